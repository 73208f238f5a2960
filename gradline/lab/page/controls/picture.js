/* What the data picture shows: its axis where there are several features, and the
   squares of the residuals. */

import { at } from "../dom.js";

const MOST = 200; // terms that are offered

export function picture(store) {
  const axis = at("axis");
  const squares = at("squares");
  axis.addEventListener("change", () => store.show({ axis: Number(axis.value) }));
  squares.addEventListener("change", () => store.show({ squares: squares.checked }));

  function offer() {
    const { data } = store;
    const several = !data.curve && data.terms.length > 1;
    axis.hidden = !several;
    if (!several) return;
    const names = ["Predicted, actual", ...data.terms.slice(0, MOST)];
    axis.replaceChildren(...names.map((name, i) => new Option(name, String(i))));
    draw();
  }

  function draw() {
    const { view, setting, data } = store;
    if (data) axis.value = String(view.axis <= Math.min(MOST, data.terms.length) ? view.axis : 0);
    squares.checked = Boolean(view.squares);
    squares.parentElement.hidden = !view.residuals || setting.loss !== "squared";
  }

  store.on("data", offer);
  store.on("view setting", draw);
  draw();
}
