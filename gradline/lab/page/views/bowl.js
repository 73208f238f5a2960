/* The loss over two parameters in coordinates between raw and standardised. Pure.

   A share of 0 is raw, 1 standardised; on the way the bowl turns from a canyon into a
   round one. With one feature, or two slopes as axes, the way is exact: coordinates are
   a linear change of the raw ones. Else the two ends are exact and the way is a blend. */

import { between, excessAt, extent, inwardAt, mix } from "../maths.js";

/* {frame, centre, root} at a share of the way; excess = ½‖root (a - centre)‖². */
export function bowlAt(run, share) {
  const { raw, standardised, axes } = run.surface;
  const frame = between(run.inner.raw, run.inner.standardised, share);
  if (share <= 0) return { frame, centre: raw.centre, root: raw.root };
  if (share >= 1) return { frame, centre: standardised.centre, root: standardised.root };
  const centre = [0, 1].map((k) => inwardAt(run.optimum.parameters, frame, axes[k]));
  const d = frame.scale.length;
  const slopes = axes[0] < d && axes[1] < d;
  const from = run.inner.raw;
  if (slopes) {
    const [p, q] = axes.map((i) => from.scale[i] / frame.scale[i]);
    return { frame, centre, root: raw.root.map(([a, b]) => [a * p, b * q]) };
  }
  if (d === 1) {
    const p = from.scale[0] / frame.scale[0];
    const q = (from.mean[0] - frame.mean[0]) / frame.scale[0];
    const root = raw.root.map(([a, b]) =>
      axes[0] === 0 ? [a * p + b * q, b] : [a, b * p + a * q],
    );
    return { frame, centre, root };
  }
  const a = upright(raw.root);
  const b = upright(standardised.root);
  return { frame, centre, root: a.map((row, i) => row.map((v, j) => blend(v, b[i][j], share))) };
}

/* Where SGD with weight decay comes to rest: (H + decay·I) a = H centre, H = rootᵀroot.
   For one feature, where the picture shows all there is. */
export function restingPlace({ root, centre }, decay) {
  const [[a, b], [c, d]] = root;
  const [p, q, r] = [a * a + c * c, a * b + c * d, b * b + d * d];
  const [u, v] = [p * centre[0] + q * centre[1], q * centre[0] + r * centre[1]];
  const determinant = (p + decay) * (r + decay) - q * q;
  return [((r + decay) * u - q * v) / determinant, ((p + decay) * v - q * u) / determinant];
}

/* The same paraboloid with a positive diagonal. */
function upright(root) {
  return root.map((row, i) => (row[i] < 0 ? row.map((v) => -v) : row));
}

function blend(from, to, share) {
  return from > 0 && to > 0 ? from ** (1 - share) * to ** share : mix(from, to, share);
}

/* Raw parameters that the picture should hold: the start, the optimum, and the path as
   long as its loss stays below `times` that of the start. */
export function landmarks(run, times = 1.5) {
  const { parameters, losses } = run.frames;
  const found = [run.optimum.parameters];
  const most = losses[0] * times;
  const stride = Math.max(1, Math.floor(parameters.length / 200));
  for (let i = 0; i < parameters.length; i++) {
    if (i > 0 && !(losses[i] <= most)) break;
    if (i % stride === 0 || i < 20) found.push(parameters[i]);
  }
  return found;
}

/* [u low, u high, v low, v high] around the landmarks in some coordinates. */
export function spanOf(marks, frame, axes) {
  const spans = axes.map((index) => extent(marks.map((p) => inwardAt(p, frame, index))));
  const widths = spans.map(([low, high]) => high - low);
  const widest = Math.max(...widths);
  return spans.flatMap(([low, high], k) => {
    const middle = (low + high) / 2;
    const least = Math.max(widest * 0.02, Math.abs(middle) * 1e-12, 1e-300);
    const half = 0.5 * Math.max(widths[k], least || 1) * 1.44;
    return [middle - half, middle + half];
  });
}

/* Levels above the lowest for contours: that of the start, and doublings of it (or
   fourfold, ...) down to a hundredth and up to the corners of the picture. */
export function levelsFor(start, { root, centre }, [u1, u2, v1, v2], most = 13) {
  let corner = 0;
  for (const u of [u1, u2]) {
    for (const v of [v1, v2]) {
      corner = Math.max(corner, excessAt(root, u - centre[0], v - centre[1]));
    }
  }
  if (!(corner > 0) || !Number.isFinite(corner)) return [];
  const anchor = start > corner * 1e-12 ? start : corner / 100;
  const least = Math.min(anchor, corner) / 64;
  let factor = 2;
  while (Math.log(corner / least) / Math.log(factor) > most) factor *= 2;
  const levels = [];
  const first = Math.ceil(Math.log(least / anchor) / Math.log(factor) - 1e-9);
  for (let k = first; anchor * factor ** k < corner; k++) levels.push(anchor * factor ** k);
  return levels;
}
