/* What the keys do, and what the page shows. */

import { at, h } from "../dom.js";
import { furnish } from "./dialogs.js";

const KEYS = [
  [["space"], "play, pause"],
  [["←", "→"], "one step back, one step on; with shift ten"],
  [["."], "one line of the code on"],
  [["Home", "End"], "to the start, to the end"],
  [["R"], "back to the start"],
  [["L"], "the guided lesson"],
  [["M"], "classic mistakes"],
  [["D"], "choose or open data"],
  [["T"], "light, dark, as the system"],
  [["?"], "this help"],
];

export function help(store) {
  const dialog = at("help-dialog");
  const versions = h("p", { class: "quiet" });
  furnish(
    dialog,
    "Help",
    h("p", {}, "A line is two numbers, and gradient descent finds them step by step. Everything shown is computed by gradline on PyTorch: the path of squared loss in closed form, everything else by the five lines themselves."),
    h("dl", { class: "shortcuts" }, KEYS.flatMap(([keys, text]) => [
      h("dt", {}, keys.flatMap((k, i) => (i ? [" ", h("kbd", {}, k)] : [h("kbd", {}, k)]))),
      h("dd", {}, text),
    ])),
    h("p", {}, "In the picture of the data: click or tap to add a point, drag to move one, double-click or double-tap to delete it."),
    h("p", {}, "With keys: give the picture the focus; arrows choose a point, shift and arrows move it, Enter adds one, Delete takes the chosen one away."),
    versions,
  );
  at("open-help").addEventListener("click", () => dialog.showModal());
  store.on("hello", () => {
    const { version, torch } = store.hello;
    versions.textContent = version ? `gradline ${version}, torch ${torch}` : "";
  });
}
