/* A contour of a quadratic loss is an ellipse. Pure.

   ½‖root (a - centre)‖² = excess is the ellipse whose half-axes lie along the right
   singular vectors of root, √(2·excess) over the singular values long. In a canyon the
   long one is thousands of times the short one, so only what is in sight is traced. */

/* Singular values s1 >= s2 of a 2 × 2 matrix, and the right vectors' angle (of s1). */
export function svd2([[a, b], [c, d]]) {
  const e = a * a + c * c;
  const f = b * b + d * d;
  const g = a * b + c * d;
  const angle = 0.5 * Math.atan2(2 * g, e - f); // of the steepest direction
  const s1 = Math.sqrt(0.5 * (e + f + Math.hypot(e - f, 2 * g)));
  const s2 = s1 > 0 ? Math.abs(a * d - b * c) / s1 : 0;
  return { s1, s2, angle };
}

/* root, in pixels: kx and ky are pixels for a unit of each coordinate. */
export function inPixels(root, kx, ky) {
  return root.map(([p, q]) => [p / kx, q / ky]);
}

/* Lay the ellipse of `excess` into a path: `shape` from svd2, centre and box in pixels.

   context: anything with moveTo, lineTo, closePath
   box: {left, right, top, bottom}: what is in sight
   returns the half-axes, the longer first */
export function traceEllipse(context, shape, cx, cy, excess, box, points = 90) {
  const { s1, s2, angle } = shape;
  const reach = Math.sqrt(2 * excess);
  const minor = reach / s1;
  const far = 4 * Math.hypot(box.right - box.left, box.bottom - box.top) + 1e4;
  const away = Math.hypot(cx - box.left, cy - box.top);
  const major = s2 * 1e3 * (far + away) > reach ? reach / s2 : 1e3 * (far + away);
  // Along: the unit vector of the long axis; across: that of the short one.
  const ax = -Math.sin(angle);
  const ay = Math.cos(angle);
  const bx = ay;
  const by = -ax;
  let low = Infinity;
  let high = -Infinity;
  for (const x of [box.left - 40, box.right + 40]) {
    for (const y of [box.top - 40, box.bottom + 40]) {
      const u = (x - cx) * ax + (y - cy) * ay;
      low = Math.min(low, u);
      high = Math.max(high, u);
    }
  }
  if (low > major || high < -major) return [major, minor];
  const from = Math.acos(Math.min(1, Math.max(-1, high / major)));
  const to = Math.acos(Math.min(1, Math.max(-1, low / major)));
  for (const side of [1, -1]) {
    for (let i = 0; i <= points; i++) {
      const turn = side > 0 ? from + ((to - from) * i) / points : to - ((to - from) * i) / points;
      const u = major * Math.cos(turn);
      const v = side * minor * Math.sin(turn);
      const x = cx + u * ax + v * bx;
      const y = cy + u * ay + v * by;
      if (side > 0 && i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
  }
  context.closePath();
  return [major, minor];
}

/* Levels of loss above the lowest, each `factor` times the one before, at most `most`. */
export function geometricLevels(least, largest, most = 14) {
  if (!(least > 0) || !(largest > least)) return [];
  const wanted = Math.max(3, Math.log(largest / least) / Math.max(1, most - 1));
  const factor = Math.log(largest / least) / Math.log(2) <= most ? 2 : Math.exp(wanted);
  const levels = [];
  for (let level = least; level < largest && levels.length < 4 * most; level *= factor) {
    levels.push(level);
  }
  return levels;
}
