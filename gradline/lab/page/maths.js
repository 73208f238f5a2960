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

/* base + ½‖root (a - centre)‖² */
export function lossAt({ centre, base, root }, a, b) {
  const u = a - centre[0];
  const v = b - centre[1];
  const p = root[0][0] * u + root[0][1] * v;
  const q = root[1][0] * u + root[1][1] * v;
  return base + 0.5 * (p * p + q * q);
}
