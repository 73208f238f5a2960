/* One row: a label, a slider over sensible values, and a box for any other number.
   A row that does not apply is off, and its reason stands where the slider was. */

import { h, say } from "../dom.js";
import { plain } from "../numbers.js";

/* name: of the setting; stops: the slider's values; low, high: bounds of the box;
   whole: no fractions; none: a word for 0; off(store): why it does not apply, or "". */
export function field(store, { name, label, stops, low, high, whole, none, off, hint }) {
  const id = `set-${name.replaceAll("_", "-")}`;
  const reason = h("span", { class: "reason", id: `${id}-reason` });
  const slider = h("input", { id, type: "range", min: 0, max: stops.length - 1, step: 1, title: hint });
  const number = h("input", {
    id: `${id}-number`,
    type: "number",
    min: low,
    max: high,
    step: whole ? 1 : "any",
    placeholder: none,
    "aria-label": `${label}, as a number`,
    "aria-describedby": `${id}-reason`,
  });
  const row = h("div", { class: "field", id: `row-${name.replaceAll("_", "-")}` }, h("label", { for: id }, label), slider, reason, number);

  slider.addEventListener("input", () => store.change({ [name]: stops[Number(slider.value)] }));
  number.addEventListener("change", () => {
    const bounds = store.hello?.bounds?.[name] ?? [low, high];
    let value = number.value === "" ? (none ? 0 : NaN) : Number(number.value);
    if (!Number.isFinite(value)) return draw(true);
    value = Math.min(bounds[1], Math.max(bounds[0], value));
    store.change({ [name]: whole ? Math.round(value) : value });
    draw(true); // what was refused or bounded does not stay in the box
  });

  function draw(now) {
    const value = store.setting[name];
    let place = 0;
    while (place < stops.length - 1 && stops[place + 1] <= value) place += 1;
    if (stops[Number(slider.value)] !== value) slider.value = String(place);
    slider.style.setProperty("--at", Number(slider.value) / (stops.length - 1));
    const text = none && value === 0 ? none : plain(value);
    slider.setAttribute("aria-valuetext", text);
    if (now === true || document.activeElement !== number) {
      number.value = none && value === 0 ? "" : plain(value);
    }
    const why = off?.(store) ?? "";
    row.toggleAttribute("data-off", Boolean(why));
    slider.disabled = number.disabled = Boolean(why);
    say(reason, why);
  }

  store.on("setting run data hello", draw);
  draw();
  return row;
}

/* A label over a select. */
export function choice(store, { name, label, options }) {
  const id = `set-${name}`;
  const select = h(
    "select",
    { id, onchange: () => store.change({ [name]: select.value }) },
    options.map(([value, text]) => h("option", { value }, text)),
  );
  const draw = () => (select.value = store.setting[name]);
  store.on("setting", draw);
  draw();
  return h("div", {}, h("label", { for: id }, label), select);
}

/* A switch that is a checkbox; off(store) as above. */
export function toggle(store, { name, label, off }) {
  const id = `set-${name}`;
  const input = h("input", { id, type: "checkbox", "aria-describedby": `${id}-reason`, onchange: () => (name === "standardize" ? store.standardize(input.checked) : store.change({ [name]: input.checked })) });
  const reason = h("span", { class: "reason", id: `${id}-reason` });
  const row = h("div", { class: "field", id: `row-${name}` }, h("label", { for: id }, label), h("span", { class: "switch wide" }, input, reason));
  function draw() {
    const why = off?.(store) ?? "";
    input.checked = store.setting[name];
    input.disabled = Boolean(why);
    row.toggleAttribute("data-off", Boolean(why));
    say(reason, why);
  }
  store.on("setting run data hello", draw);
  draw();
  return row;
}
