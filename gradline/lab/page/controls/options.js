/* The column of settings, and why some of them do not apply. */

import { h, say } from "../dom.js";
import { show } from "../numbers.js";
import { choice, field, toggle } from "./fields.js";
import { rate } from "./rate.js";

const MOMENTUM = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999];
const DECAY = [0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const BATCH = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const DELTAS = [0.1, 0.2, 0.5, 0.75, 1, 1.35, 2, 3, 5, 10];
const EPOCHS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000];
const POINTS = [2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];
const NOISE = [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10];
const OUTLIERS = [0, 1, 2, 3, 5, 8, 10, 15, 20, 30, 50];
const SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
const DEGREES = Array.from({ length: 15 }, (_, i) => i + 1);

const notSgd = ({ setting }) => (setting.optimizer === "SGD" ? "" : "only with SGD");
const isFile = ({ setting }) => setting.data.startsWith("file:");

function notDrawn(store) {
  if (isFile(store)) return "only for drawn data";
  const known = store.hello?.datasets?.find((d) => d.name === store.setting.data);
  const drawn = store.data?.drawn ?? known?.drawn ?? store.setting.data === "line";
  return drawn ? "" : "only for drawn data";
}

const manyFeatures = ({ data }) =>
  data?.features?.length > 1 ? "only for one feature" : data && !data.curve ? "only for a number" : "";
const notEditable = (store) =>
  isFile(store) ? "only for ready-made data" : store.data?.editable === false ? "only for one feature" : "";

/* Where Huber's loss turns from squared to absolute, as a multiple of the residuals'
   robust scale; what that is in units of the target stands below. */
function huber(store) {
  const row = field(store, { name: "delta", label: "Delta", stops: DELTAS, low: 0.01, high: 1000, hint: "as a multiple of the residuals' robust scale" });
  const words = h("p", { class: "quiet small", id: "delta-words" });
  const part = h("div", { id: "huber" }, row, words);
  function draw() {
    part.hidden = store.setting.loss !== "huber";
    const { delta, note } = store.run?.objective ?? {};
    say(words, note ?? (delta > 0 ? `Squared up to ${show(delta)} in units of ${store.data?.target ?? "the target"}, absolute beyond.` : ""));
  }
  store.on("setting run", draw);
  draw();
  return part;
}

export function options(store, element) {
  const draw = h(
    "button",
    { type: "button", class: "framed", id: "new-draw", onclick: () => store.change({ seed: (store.setting.seed + 1) % 2 ** 31, start: [] }) },
    "New draw",
  );
  const seed = field(store, { name: "seed", label: "Seed", stops: [0, 1], low: 0, high: 2 ** 31 - 1, whole: true });
  seed.querySelector("input[type=range]").replaceWith(draw);
  seed.querySelector("label").htmlFor = "set-seed-number";

  const part = (title, ...rows) => h("section", { class: "part" }, h("h2", {}, title), rows);
  element.append(
    rate(store),
    part(
      "Descent",
      toggle(store, { name: "standardize", label: "Standardise" }),
      h(
        "div",
        { class: "pair" },
        choice(store, { name: "optimizer", label: "Optimizer", options: ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"].map((v) => [v, v]) }),
        choice(store, {
          name: "loss",
          label: "Loss",
          options: [["squared", "Squared"], ["huber", "Huber"], ["absolute", "Absolute"]],
        }),
      ),
      huber(store),
      field(store, { name: "momentum", label: "Momentum", stops: MOMENTUM, low: 0, high: 0.999, off: notSgd }),
      toggle(store, {
        name: "nesterov",
        label: "Nesterov",
        off: (s) => notSgd(s) || (s.setting.momentum ? "" : "needs momentum"),
      }),
      field(store, { name: "weight_decay", label: "Weight decay", stops: DECAY, low: 0, high: 1e6 }),
      field(store, { name: "batch_size", label: "Batch size", stops: BATCH, low: 0, high: 1e6, whole: true, none: "all" }),
      field(store, { name: "epochs", label: "Epochs", stops: EPOCHS, low: 1, high: 1e6, whole: true }),
    ),
    part(
      "Data",
      field(store, { name: "n", label: "Points", stops: POINTS, low: 2, high: 2000, whole: true, off: notDrawn }),
      field(store, { name: "noise", label: "Noise", stops: NOISE, low: 0, high: 20, off: notDrawn, hint: "as a multiple of the usual noise" }),
      field(store, { name: "outliers", label: "Outliers", stops: OUTLIERS, low: 0, high: 50, whole: true, off: notEditable }),
      field(store, { name: "degree", label: "Degree", stops: DEGREES, low: 1, high: 15, whole: true, off: manyFeatures }),
      field(store, { name: "validation", label: "Validation", stops: SHARES, low: 0, high: 0.8, hint: "share of rows held out" }),
      seed,
    ),
  );
}
