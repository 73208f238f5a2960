/* The loss curves: which lines there are, and the limits that hold them. Pure. */

import { extent } from "../maths.js";

const FAR = 100; // times the first loss: more than that leaves the top of a log picture

/* {mode, steps, training, validation, floor, optimum}: what is drawn, as drawn.

   frames: those that came with the run, or more: {steps, losses, validation, seen}
   mode: "linear", "log" or "gap" (to the optimum, on a logarithmic axis) */
export function seriesOf(run, mode, frames = run.frames) {
  const { steps, losses, validation, seen } = frames;
  const best = run.optimum.loss;
  const tiny = Math.max(Math.abs(best) * 1e-15, 1e-300);
  const shown = (loss) => {
    if (!Number.isFinite(loss)) return NaN;
    if (mode !== "gap") return mode === "log" && loss <= 0 ? NaN : loss;
    return loss - best > tiny ? loss - best : NaN;
  };
  return {
    mode,
    log: mode !== "linear",
    steps,
    training: losses.map(shown),
    validation: validation && mode !== "gap" ? validation.map(shown) : null,
    seen: seen ? seen.map((loss) => (loss === null ? NaN : shown(loss))) : null,
    optimum: mode === "gap" ? null : best,
    shown,
  };
}

/* Limits that hold the curves; of a diverging one only the beginning. */
export function lossLimits(series, diverged) {
  const { training, validation, log, optimum } = series;
  const first = training.find(Number.isFinite) ?? 1;
  const values = [...training, ...(validation ?? [])];
  if (optimum > 0 || !log) values.push(optimum);
  let [low, high] = extent(values.filter((v) => v !== null));
  if (diverged !== null && diverged !== undefined) {
    high = Math.min(high, first * (log ? FAR ** 2 : 4));
  } else if (!log) high = Math.min(high, Math.max(first * 4, low * 4));
  if (log) {
    if (!(low > 0)) low = high * 1e-6;
    low = Math.max(low, high * 1e-20);
    return high / low < 1.05 ? [low / 1.1, high * 1.1] : [rounded(low, -1), rounded(high, 1)];
  }
  if (low > 0 && low < 0.5 * high) low = 0;
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low === 0 ? 0 : low - room, high + room];
}

/* Out to 1, 2 or 5 times a power of ten, so that limits stay when a slider moves. */
function rounded(value, side) {
  const wanted = value * (side > 0 ? 1.12 : 1 / 1.12);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const share = wanted / power;
  if (side > 0) return power * (share <= 2 ? 2 : share <= 5 ? 5 : 10);
  return power * (share >= 5 ? 5 : share >= 2 ? 2 : 1);
}

/* Whether all that happens does so in the first hundredth of a long run: then a linear
   axis of steps would show a wall and a floor. */
export function early({ steps, training }, total) {
  if (total < 1000) return false;
  const logs = training.map((v) => (v > 0 ? Math.log(v) : NaN));
  const [low, high] = extent(logs);
  const at = logs.findIndex((v) => v < low + 0.1 * (high - low));
  return at >= 0 && steps[at] < total / 100;
}

/* Place of the least finite value; null where there is none. */
export function lowest(values) {
  let best = null;
  values.forEach((v, i) => {
    if (Number.isFinite(v) && (best === null || v < values[best])) best = i;
  });
  return best;
}
