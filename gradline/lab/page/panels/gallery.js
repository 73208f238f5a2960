/* The gallery of classic mistakes: make one, see it, learn to notice it, mend it. */

import { h, icon, say } from "../dom.js";
import { show } from "../numbers.js";
import { DEFAULTS } from "../store.js";

/* Numbers of a run that stand below its story. */
const FACTS = [
  ["loss", "Loss at the end"],
  ["validation", "On rows not seen"],
  ["optimum_loss", "Smallest possible"],
];

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function gallery(store, side, button, player) {
  let before = null; // the setting and step from before the first mistake
  let body = null;
  let mended = null; // the mistake that was just put right

  side.add("gallery", button, "Classic mistakes", (element) => {
    body = element;
    draw();
  }, () => (body = null));

  async function make(name) {
    if (!store.setting.mistake) {
      before ??= { setting: structuredClone(store.setting), step: store.step };
    }
    mended = null;
    const known = store.hello?.mistakes?.find((m) => m.name === name);
    await store.change({ ...structuredClone(DEFAULTS), ...known?.setting, mistake: name });
    if (store.setting.mistake === name) await from0();
  }

  async function fix(m) {
    mended = m;
    await store.change({ mistake: "", ...m.change });
    await from0();
  }

  async function from0() {
    await player.reset();
    if (calm.matches) await player.seek(store.run.total);
    else player.play();
  }

  async function goBack() {
    const { setting, step } = before ?? { setting: { ...store.setting, mistake: "" }, step: 0 };
    before = mended = null;
    await store.change(setting);
    player.seek(step);
  }

  function draw() {
    if (!body) return;
    const mistake = store.run?.mistake;
    if (mistake && store.setting.mistake) drawOne(mistake);
    else if (mended) drawMended(mended);
    else drawAll();
  }

  function drawAll() {
    const list = store.hello?.mistakes ?? [];
    body.replaceChildren(
      h("p", {}, "Each of these has cost somebody an evening. One click makes it; then see what it looks like, and how it is mended."),
      list.length
        ? h("ul", { class: "cards" }, list.map((m) =>
            h("li", {}, h("button", { type: "button", class: "card", "data-mistake": m.name, onclick: () => make(m.name) }, h("b", {}, m.title), h("span", { class: "quiet" }, m.short ?? ""))),
          ))
        : h("p", { class: "quiet" }, "This lab has no gallery."),
      before ? backButton() : "",
    );
  }

  function backButton() {
    return h("button", { type: "button", class: "framed", id: "mistake-back", onclick: goBack }, "Back to where I was");
  }

  function drawOne(m) {
    const part = (title, text) => (text ? h("section", {}, h("h4", {}, title), h("p", {}, text)) : "");
    const facts = FACTS.filter(([name]) => Number.isFinite(m.facts?.[name]));
    body.replaceChildren(
      h("div", { class: "row" }, listButton()),
      h("h3", { id: "mistake-title" }, m.title),
      part("What happens", m.what),
      m.code?.length
        ? h("pre", { class: "wrong-code", "aria-label": "The lines as they are wrongly written" }, m.code.map((line, i) => h("span", { class: i === m.wrong ? "wrong" : null }, line)))
        : "",
      facts.length
        ? h("dl", { class: "facts" }, facts.flatMap(([name, text]) => [h("dt", {}, text), h("dd", {}, show(m.facts[name]))]))
        : "",
      part("How one notices", m.notice),
      part("The fix", m.fix),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "strong", id: "mistake-fix", onclick: () => fix(m) }, "Mend it"),
        h("button", { type: "button", class: "framed", id: "mistake-again", onclick: () => make(m.name) }, "See it again"),
        before ? backButton() : "",
      ),
    );
    say(document.getElementById("announce"), m.title);
  }

  function drawMended(m) {
    body.replaceChildren(
      h("div", { class: "row" }, listButton()),
      h("h3", { id: "mistake-title" }, m.title),
      h("section", { class: "task", "data-done": true }, h("span", { class: "tick", "aria-hidden": "true" }, icon("tick")), h("div", {}, h("h4", {}, "Mended"), h("p", {}, m.fix))),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "framed", id: "mistake-again", onclick: () => make(m.name) }, "See the mistake again"),
        before ? backButton() : "",
      ),
    );
    say(document.getElementById("announce"), `Mended. ${m.fix}`);
  }

  function listButton() {
    return h("button", { type: "button", class: "textual", id: "mistake-list", onclick: () => ((mended = null), drawAll()) }, "All mistakes");
  }

  store.on("run hello", draw);
}
