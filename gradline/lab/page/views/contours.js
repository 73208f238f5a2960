/* Contours of a loss that is known on a grid: marching squares. Pure.

   The line crosses a cell where its corners lie on both sides of the level; where on
   an edge is found by linear interpolation. */

/* Lay the contour of `level` into a path.

   grid: {x: [nx], y: [ny], losses: [ny][nx]}; at(x, y) -> [px, py] */
export function traceContour(context, { x, y, losses }, level, sx, sy) {
  for (let j = 0; j + 1 < y.length; j++) {
    const below = losses[j];
    const above = losses[j + 1];
    for (let i = 0; i + 1 < x.length; i++) {
      const a = below[i] - level;
      const b = below[i + 1] - level;
      const c = above[i + 1] - level;
      const d = above[i] - level;
      if (!Number.isFinite(a + b + c + d)) continue;
      const points = [];
      if (a > 0 !== b > 0) points.push([x[i] + ((x[i + 1] - x[i]) * a) / (a - b), y[j]]);
      if (b > 0 !== c > 0) points.push([x[i + 1], y[j] + ((y[j + 1] - y[j]) * b) / (b - c)]);
      if (c > 0 !== d > 0) points.push([x[i] + ((x[i + 1] - x[i]) * d) / (d - c), y[j + 1]]);
      if (d > 0 !== a > 0) points.push([x[i], y[j] + ((y[j + 1] - y[j]) * a) / (a - d)]);
      if (points.length === 4 && a + b + c + d > 0 === a > 0) {
        points.push(points.shift()); // a saddle: the middle is on a's side
      }
      for (let k = 0; k + 1 < points.length; k += 2) {
        context.moveTo(sx(points[k][0]), sy(points[k][1]));
        context.lineTo(sx(points[k + 1][0]), sy(points[k + 1][1]));
      }
    }
  }
}
