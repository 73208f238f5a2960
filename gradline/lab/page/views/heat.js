/* Heat and contours of a loss: of a quadratic one exactly, of others from a grid. */

import { countUpTo } from "../maths.js";
import { inPixels, svd2, traceEllipse } from "./ellipse.js";
import { traceContour } from "./contours.js";
import { css, ramp } from "./theme.js";

/* The colours between two levels, from the lowest to the highest. */
function shades(canvas, count) {
  const shade = ramp(canvas.colour("heat-low"), canvas.colour("heat-high"));
  return Array.from({ length: count }, (_, i) => css(shade(i / Math.max(1, count - 1))));
}

/* bowl: {root, centre}; levels: losses above the lowest, rising. */
export function drawBowl(c, canvas, plot, { root, centre }, levels) {
  const { left, right, top, bottom } = plot;
  const shape = svd2(inPixels(root, plot.x.perUnit, plot.y.perUnit));
  if (!(shape.s1 > 0)) return;
  const cx = plot.x(centre[0]);
  const cy = plot.y(centre[1]);
  const colours = shades(canvas, levels.length + 1);
  c.fillStyle = colours[levels.length];
  c.fillRect(left, top, right - left, bottom - top);
  for (let i = levels.length - 1; i >= 0; i--) {
    c.beginPath();
    const [, minor] = traceEllipse(c, shape, cx, cy, levels[i], plot);
    c.fillStyle = colours[i];
    c.fill();
    if (minor < 0.4) break; // the rest is thinner than a line
    c.strokeStyle = canvas.colour("contour");
    c.lineWidth = 1;
    c.globalAlpha = 0.55;
    c.stroke();
    c.globalAlpha = 1;
  }
}

/* grid: {x, y, losses}, losses by rows of y. */
export function drawGrid(c, canvas, plot, grid) {
  const { x, y, losses } = grid;
  const all = losses.flat().filter(Number.isFinite);
  const low = Math.min(...all);
  const high = Math.max(...all);
  if (!(high > low)) return;
  const count = 12;
  const levels = Array.from(
    { length: count },
    (_, i) => low + (high - low) * 2 ** ((i - count) * 0.75),
  );
  const fine = 6 * count; // shades of the heat, between the lines too
  const steps = Array.from(
    { length: fine },
    (_, i) => low + (high - low) * 2 ** ((i / 6 - count) * 0.75),
  );
  const shade = ramp(canvas.colour("heat-low"), canvas.colour("heat-high"));
  const colours = Array.from({ length: fine + 1 }, (_, i) => shade(i / fine));
  const image = new ImageData(x.length, y.length);
  losses.forEach((row, j) =>
    row.forEach((loss, i) => {
      const at = 4 * ((y.length - 1 - j) * x.length + i);
      image.data.set(colours[countUpTo(steps, loss)], at);
      image.data[at + 3] = 255;
    }),
  );
  const small = document.createElement("canvas");
  small.width = x.length;
  small.height = y.length;
  small.getContext("2d").putImageData(image, 0, 0);
  const dx = (plot.x(x[x.length - 1]) - plot.x(x[0])) / (x.length - 1);
  const dy = (plot.y(y[0]) - plot.y(y[y.length - 1])) / (y.length - 1);
  c.imageSmoothingQuality = "high";
  c.drawImage(
    small,
    plot.x(x[0]) - dx / 2,
    plot.y(y[y.length - 1]) - dy / 2,
    dx * x.length,
    dy * y.length,
  );
  c.strokeStyle = canvas.colour("contour");
  c.lineWidth = 1;
  c.globalAlpha = 0.55;
  c.beginPath();
  for (const level of levels) traceContour(c, grid, level, plot.x, plot.y);
  c.stroke();
  c.globalAlpha = 1;
}
