/* The five steps as real PyTorch code, with the settings and the numbers of the moment;
   the line that runs is lit. Plain text in the page: it can be selected and copied (the
   numbers beside the code are left out of a copy), and nothing is announced by itself. */

import { inward } from "../maths.js";
import { listing, remarks, STEPS } from "./listing.js";

export class CodeView {
  constructor(element, store, player) {
    this.element = element;
    this.store = store;
    this.player = player;
    this.dirty = true;
    this.rows = [];
    this.key = "";
    this.wide = true; // room for whole names beside the code
    this.room = 62; // letters in a line
    element.classList.add("code-view");
    new ResizeObserver(() => {
      this.wide = element.clientWidth > 600;
      this.room = Math.floor(element.clientWidth / 8.2) - 2;
      this.dirty = true;
    }).observe(element);
    store.on("run setting", () => (this.dirty = true));
    store.on("pose", () => (this.dirty = true));
  }

  /* Write the lines; again only where one of them reads differently. */
  write() {
    const { setting, run, data } = this.store;
    const lines = listing(setting, run, data, this.room);
    const wrong = run.mistake?.wrong ?? null;
    const key = JSON.stringify([lines, wrong]);
    if (key === this.key) return;
    this.key = key;
    this.rows = [];
    this.element.replaceChildren();
    for (const { text, indent, step } of lines) {
      const row = make("div", step === null ? "code-line" : "code-line code-step");
      const code = make("code", "", "    ".repeat(indent));
      code.style.setProperty("--in", indent + 1);
      code.append(textOf(text));
      row.append(code);
      if (step !== null) {
        const aside = make("span", "code-numbers");
        aside.setAttribute("aria-hidden", "true");
        row.append(aside);
        this.rows[step] = { row, aside, text: "" };
        if (step === wrong) row.classList.add("code-wrong");
      }
      this.element.append(row);
    }
    this.caption = make("p", "code-caption");
    this.element.append(this.caption);
    this.lit = null;
  }

  draw() {
    const { run, data, setting } = this.store;
    const { player } = this;
    if (!run || !data || !player.pose) return false;
    this.write();
    const kind = setting.standardize ? "standardised" : "raw";
    const { step } = this.store;
    const last = player.line === 4 && !this.store.playing;
    // Of a step between two that are known nothing can be read.
    const now = player.frames.get(last ? step - 1 : step);
    const after = now && player.frames.get(now.step + 1);
    const numbers = remarks({
      terms: data.terms,
      wide: this.wide,
      gradient: now?.gradient,
      now: now ? { loss: now.loss, inner: inward(now.parameters, run.inner[kind]) } : null,
      after: after ? { inner: inward(after.parameters, run.inner[kind]) } : null,
    });
    this.rows.forEach((entry, i) => {
      if (entry.text === numbers[i]) return;
      entry.text = numbers[i];
      entry.aside.textContent = numbers[i];
    });
    this.light();
    return false;
  }

  light() {
    const { line } = this.player;
    const fast = this.store.playing && line < 0;
    const state = `${line}|${fast}`;
    if (state === this.lit) return;
    this.lit = state;
    this.element.classList.toggle("code-fast", fast);
    this.rows.forEach(({ row }, i) => row.classList.toggle("code-lit", i === line));
    this.caption.textContent = line >= 0 ? STEPS[line][1] : "";
  }
}

/* The code, and a remark in it apart: it may go to a line of its own. */
function textOf(text) {
  const [code, remark] = text.split(/  (?=#)/);
  const span = make("span", "code-text");
  if (code.startsWith("#")) return make("span", "code-text code-remark", code);
  span.append(make("span", "code-code", code));
  if (remark) span.append("  ", make("span", "code-remark", remark));
  return span;
}

function make(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
