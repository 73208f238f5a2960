/* Which picture the data view shows, and where its dots are. Pure.

   One feature: the feature across, the target up, and the curve.
   Several: "predicted" (axis 0), what the model says against what is so; or one term
   (axis 1, 2, ...) across, and up what the other terms leave of the target (each taken less its
   mean, so that the picture stays in place while they change).

   makePicture(data, run, axis) -> {
     kind: "curve" | "predicted" | "term", count, xTitle, yTitle, moving,
     place(parameters, i) -> sets at[0], at[1]: where dot i is,
     xLimits, yLimits, ends(parameters) -> the line of "term" and "predicted" }
   `moving`: the dots depend on the parameters. */

import { extent, padded, predict } from "../maths.js";

export const MOST_MOVING = 1500; // dots that are drawn anew for each picture

export function kindOf(data, axis) {
  if (data.curve && data.terms.length >= 1) return "curve";
  if (data.terms.length === 1) return "term";
  return axis >= 1 && axis <= data.terms.length ? "term" : "predicted";
}

export function makePicture(data, run, axis) {
  const kind = kindOf(data, axis);
  const at = [0, 0];
  const count = data.y.length;
  const common = { kind, count, at, moving: kind !== "curve" };
  if (kind === "curve") {
    const xs = data.x ?? acrossOf(data);
    const place = (_, i) => {
      at[0] = xs[i];
      at[1] = data.y[i];
    };
    const box = data.density;
    return {
      ...common,
      place,
      xTitle: data.features[0],
      yTitle: data.target,
      xLimits: padded(box ? box.x : extent(xs)),
      yLimits: padded(box ? box.y : extent(data.y), 0.08),
    };
  }
  const best = run.optimum.parameters;
  if (kind === "predicted") {
    const place = (parameters, i) => {
      at[0] = predict(data.X[i], parameters);
      at[1] = data.y[i];
    };
    const limits = padded(extent([...data.y, ...sample(count).map((i) => predict(data.X[i], best))]));
    return {
      ...common,
      place,
      xTitle: `predicted ${data.target}`,
      yTitle: `actual ${data.target}`,
      xLimits: limits,
      yLimits: limits,
      ends: () => [limits[0], limits[0], limits[1], limits[1]],
    };
  }
  const j = Math.max(0, (axis || 1) - 1);
  const d = data.terms.length;
  const means = data.terms.map((_, k) => mean(data.X, k));
  const place = (parameters, i) => {
    const row = data.X[i];
    let rest = data.y[i];
    for (let k = 0; k < d; k++) if (k !== j) rest -= parameters[k] * (row[k] - means[k]);
    at[0] = row[j];
    at[1] = rest;
  };
  const xLimits = padded(extent(data.X.map((row) => row[j])));
  const ups = [...data.y];
  for (const i of sample(count)) {
    place(best, i);
    ups.push(at[1]);
  }
  return {
    ...common,
    place,
    xTitle: data.terms[j],
    yTitle: d > 1 ? `${data.target}, less the other terms` : data.target,
    xLimits,
    yLimits: padded(extent(ups), 0.08),
    ends: (parameters) => {
      let level = parameters[d];
      for (let k = 0; k < d; k++) if (k !== j) level += parameters[k] * means[k];
      const value = (x) => level + parameters[j] * x;
      return [xLimits[0], value(xLimits[0]), xLimits[1], value(xLimits[1])];
    },
  };
}

/* The feature itself, where the first term is a multiple of it and a constant: the first
   of a polynomial's terms is. */
function acrossOf({ X, curve }) {
  const last = curve.x.length - 1;
  const first = curve.terms[0][0];
  const slope = (curve.x[last] - curve.x[0]) / (curve.terms[last][0] - first);
  if (slope === 1) return X.map((row) => row[0]);
  return X.map((row) => curve.x[0] + (row[0] - first) * slope);
}

/* At most MOST_MOVING places among `count`, evenly spread. */
export function sample(count, most = MOST_MOVING) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.floor((i * count) / most));
}

function mean(rows, k) {
  let sum = 0;
  for (const row of rows) sum += row[k];
  return rows.length ? sum / rows.length : 0;
}
