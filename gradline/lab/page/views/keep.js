/* Whether limits still hold what is to be seen. Pure. */

/* Each pair of `wanted`, or the one that is shown where it holds it well enough. */
export function keep(shown, wanted, least) {
  const found = [];
  for (let i = 0; i < wanted.length; i += 2) {
    const [a, b, c, d] = [shown[i], shown[i + 1], wanted[i], wanted[i + 1]];
    const slack = (b - a) * 0.015;
    const fits = c >= a - slack && d <= b + slack && d - c > (b - a) * least;
    found.push(fits ? a : c, fits ? b : d);
  }
  return found;
}
