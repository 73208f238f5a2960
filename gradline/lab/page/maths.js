/* The little arithmetic that the page does itself: lines, residuals, coordinates. */

/* The prediction from terms (d) by slopes and intercept (d + 1). */
export function predict(terms, parameters) {
  let sum = parameters[terms.length];
  for (let j = 0; j < terms.length; j++) sum += terms[j] * parameters[j];
  return sum;
}

/* Raw slopes and intercept as coordinates of the descent: {scale, mean}. */
export function inward(parameters, { scale, mean }) {
  const d = scale.length;
  const inner = new Array(d + 1);
  let level = parameters[d];
  for (let j = 0; j < d; j++) {
    inner[j] = parameters[j] * scale[j];
    level += parameters[j] * mean[j];
  }
  inner[d] = level;
  return inner;
}

/* One coordinate of inward(), with nothing made: for the many points of a path. */
export function inwardAt(parameters, { scale, mean }, index) {
  const d = scale.length;
  if (index < d) return parameters[index] * scale[index];
  let level = parameters[d];
  for (let j = 0; j < d; j++) level += parameters[j] * mean[j];
  return level;
}

/* Coordinates on the way from one kind of descent to another, share from 0 to 1. */
export function between(from, to, share) {
  if (share <= 0) return from;
  if (share >= 1) return to;
  return {
    scale: from.scale.map((s, j) => s ** (1 - share) * to.scale[j] ** share),
    mean: from.mean.map((m, j) => mix(m, to.mean[j], share)),
  };
}

/* base + ½‖root (a - centre)‖² */
export function lossAt({ centre, base, root }, a, b) {
  return base + excessAt(root, a - centre[0], b - centre[1]);
}

/* ½‖root (u, v)‖² */
export function excessAt(root, u, v) {
  const p = root[0][0] * u + root[0][1] * v;
  const q = root[1][0] * u + root[1][1] * v;
  return 0.5 * (p * p + q * q);
}

export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

export const mix = (from, to, share) => from + (to - from) * share;

/* Slow, fast, slow: for what moves from one state to another. */
export const ease = (share) =>
  share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;

/* The least and the largest finite value; [0, 1] where there is none. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/* Limits with a margin on both sides; a single value gets room around it. */
export function padded([low, high], share = 0.06) {
  const room = high > low ? (high - low) * share : Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

/* How many of the rising numbers are at most `value`. */
export function countUpTo(rising, value) {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* A frame at a step between two others: parameters straight, losses geometric. */
export function frameBetween(before, after, step) {
  const share = (step - before.step) / (after.step - before.step);
  const level = (a, b) =>
    a > 0 && b > 0 ? a ** (1 - share) * b ** share : a == null ? null : mix(a, b, share);
  return {
    step,
    parameters: before.parameters.map((p, i) => mix(p, after.parameters[i], share)),
    loss: level(before.loss, after.loss),
    validation: level(before.validation, after.validation),
    gradient: null,
    seen: null,
    exact: false,
  };
}

/* A frame that is drawn but not read: its losses are not those of its step. */
export function unread(frame) {
  const validation = frame.validation === null ? null : NaN;
  return { ...frame, loss: NaN, validation, gradient: null, seen: null, exact: false };
}
