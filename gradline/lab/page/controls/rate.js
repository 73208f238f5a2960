/* The learning rate: a slider over powers of ten, with the stability limit and the best
   value marked on it. Beyond the limit it says so, and offers the best. */

import { h, say } from "../dom.js";
import { plain, show } from "../numbers.js";

const LEAST = 1e-15;
const MOST = 1e6;

export function rate(store) {
  const number = h("input", { id: "lr-number", type: "number", min: 0, step: "any", "aria-label": "Learning rate, as a number" });
  const slider = h("input", { id: "lr", type: "range", min: 0, max: 1, step: 0.001, "aria-describedby": "lr-words" });
  const best = h("div", { class: "mark best", hidden: true }, h("span", {}, "best"));
  const limit = h("div", { class: "mark limit", hidden: true }, h("span", {}, "limit"));
  const ticks = h("div", { "aria-hidden": "true" });
  const words = h("p", { class: "words", id: "lr-words" });
  const use = h("button", { type: "button", id: "use-best", hidden: true, onclick: useBest }, "Use the best");
  const element = h(
    "div",
    { class: "rate", id: "rate" },
    h("div", { class: "head" }, h("label", { for: "lr" }, "Learning rate"), number),
    h("div", { class: "slider" }, slider, best, limit, ticks),
    h("div", { class: "advice" }, words, use),
  );

  let range = [-4, 1]; // powers of ten
  let held = false; // the range stays while the thumb is dragged
  slider.addEventListener("pointerdown", () => (held = true));
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    slider.addEventListener(end, () => {
      held = false;
      draw();
    });
  }
  slider.addEventListener("input", () => {
    const power = range[0] + Number(slider.value) * (range[1] - range[0]);
    store.change({ lr: Number(plain(10 ** power, 3)) });
  });
  number.addEventListener("change", () => {
    const value = Number(number.value);
    if (number.value !== "" && value > 0) store.change({ lr: Math.min(MOST, Math.max(LEAST, value)) });
    number.value = plain(store.setting.lr); // what was refused or bounded does not stay
  });

  function useBest() {
    const value = store.run?.limits?.best;
    if (narrow(store)) store.standardize(true);
    else if (value) store.change({ lr: value });
    slider.focus();
  }

  const place = (value) => (Math.log10(value) - range[0]) / (range[1] - range[0]);

  function span() {
    const { lr } = store.setting;
    const known = [lr, store.run?.limits?.limit, store.run?.limits?.best].filter((v) => v > 0);
    const low = Math.floor(Math.log10(Math.min(...known)) + 1e-9) - 1;
    const high = Math.ceil(Math.log10(Math.max(...known)) - 1e-9) + 1;
    return [Math.min(low, high - 4), high];
  }

  function mark(element, value) {
    element.hidden = !(value > 0) || place(value) < 0 || place(value) > 1;
    if (!element.hidden) element.style.setProperty("--at", place(value));
  }

  function draw() {
    const { lr } = store.setting;
    const limits = store.run?.limits ?? {};
    if (!held) range = span();
    const step = Math.ceil((range[1] - range[0]) / 6);
    const powers = [];
    for (let p = Math.ceil(range[0]); p <= range[1]; p += step) powers.push(p);
    ticks.replaceChildren(
      ...powers.map((p) => {
        const tick = h("span", { class: "tick" }, p >= -3 && p <= 3 ? String(Number((10 ** p).toPrecision(1))) : show(10 ** p, 1).replace("1×", ""));
        tick.style.setProperty("--at", (p - range[0]) / (range[1] - range[0]));
        return tick;
      }),
    );
    const value = Math.min(1, Math.max(0, place(lr)));
    if (!held) slider.value = String(value);
    slider.setAttribute("aria-valuetext", show(lr));
    if (document.activeElement !== number) number.value = plain(lr);
    mark(best, limits.best);
    mark(limit, limits.limit);
    const there = limits.limit > 0;
    element.style.setProperty("--limit", there ? place(limits.limit) : 2);
    const over = there && lr >= limits.limit;
    element.toggleAttribute("data-over", over);
    const scale = narrow(store);
    use.hidden = !scale && (!(limits.best > 0) || Math.abs(Math.log(lr / limits.best)) < 0.01);
    use.classList.toggle("strong", over);
    use.textContent = scale ? "Standardise" : `Use the best, ${show(limits.best, apart(limits))}`;
    say(words, sentence(lr, limits, over && (store.run.over_limit ?? !limits.note)));
  }

  store.on("setting run total", draw);
  draw();
  return element;
}

/* The best rate is all but the limit where the bowl is a gutter: no rate helps then. */
function narrow({ setting, run }) {
  const { limit, best } = run?.limits ?? {};
  return !setting.standardize && !setting.mistake && best > 0 && limit / best < 1.01;
}

/* As many digits as tell the limit from the best. */
function apart({ limit, best }) {
  let digits = 3;
  while (digits < 8 && best > 0 && limit !== best && show(limit, digits) === show(best, digits)) digits += 1;
  return digits;
}

function sentence(lr, { limit, best, note }, over) {
  if (over) {
    return `Diverges: above ${show(limit, apart({ limit, best }))} the error along the steepest direction grows with each step; sooner or later the loss turns upward.`;
  }
  if (note) return note;
  if (!(limit > 0)) return "No limit is known for this optimizer and loss.";
  if (best > 0 && lr < best / 100) return `Safe but slow: the best is ${show(best, apart({ limit, best }))}.`;
  return `Stable: the limit is ${show(limit, apart({ limit, best }))}.`;
}
