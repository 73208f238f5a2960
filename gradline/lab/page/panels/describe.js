/* What the pictures show, in words, for those who don't see them; told at rest only. */

import { at, say, settle } from "../dom.js";
import { plural, show, whole } from "../numbers.js";

export function describe(store) {
  const speak = settle(600, () => {
    const { run, frame, data } = store;
    if (!run || !frame || !data || store.playing) return;
    say(at("words-data"), inData(store));
    say(at("words-surface"), inSurface(store));
    say(at("words-curve"), inCurve(store));
  });
  store.on("frame run playing view", speak);
}

function inData({ data, frame, run }) {
  const { parameters } = frame;
  const rows = `${plural(data.rows, "point")} of ${data.target} by ${data.features.join(", ")}.`;
  if (parameters.length !== 2) return `${rows} The model has ${plural(parameters.length, "parameter")}.`;
  const best = run.optimum?.parameters;
  const optimum = best ? ` The best line has slope ${show(best[0])} and intercept ${show(best[1])}.` : "";
  return `${rows} The line has slope ${show(parameters[0])} and intercept ${show(parameters[1])}.${optimum}`;
}

function inSurface({ run, setting, step }) {
  const { condition } = run.limits ?? {};
  const shape = !(condition > 0) ? "" : condition < 3 ? " The bowl is nearly round." : ` The valley is ${show(condition)} times steeper across than along.`;
  const names = run.surface?.names ?? [];
  return `The loss over ${names.join(" and ")}${setting.standardize ? ", standardised" : ""}, with the path of ${plural(step, "step")}.${shape}`;
}

function inCurve({ run, frame, step }) {
  const { losses } = run.frames;
  const held = frame.validation === null || frame.validation === undefined ? "" : ` The validation loss is ${show(frame.validation)}.`;
  const end = run.diverged ?? null;
  return `The loss begins at ${show(losses[0])} and is ${show(frame.loss)} at step ${whole(step)}; the smallest possible is ${show(run.optimum?.loss)}.${held}${end === null ? "" : ` It diverges at step ${whole(end)}.`}`;
}
