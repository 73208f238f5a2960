/* Many rows as a density: cells, the darker the more rows, and what the shades mean. */

import { css, ramp } from "./theme.js";
import { plain } from "./ticks.js";

/* density: {x: [low, high], y: [low, high], counts: ny rows of nx, from below} */
export function drawDensity(c, canvas, plot, { x, y, counts }) {
  const ny = counts.length;
  const nx = counts[0].length;
  let most = 0;
  for (const row of counts) for (const n of row) most = Math.max(most, n);
  const shade = ramp(canvas.colour("heat-low"), canvas.colour("point"));
  const colours = Array.from({ length: 65 }, (_, i) => shade(0.12 + (0.88 * i) / 64));
  const share = (n) => Math.log1p(n) / Math.log1p(most);
  const image = new ImageData(nx, ny);
  for (let j = 0; j < ny; j++) {
    for (let i = 0; i < nx; i++) {
      const n = counts[ny - 1 - j][i];
      const at = 4 * (j * nx + i);
      const [r, g, b] = colours[Math.round(64 * share(n))];
      image.data[at] = r;
      image.data[at + 1] = g;
      image.data[at + 2] = b;
      image.data[at + 3] = n ? 255 : 0;
    }
  }
  const small = document.createElement("canvas");
  small.width = nx;
  small.height = ny;
  small.getContext("2d").putImageData(image, 0, 0);
  c.imageSmoothingEnabled = false;
  const left = plot.x(x[0]);
  const top = plot.y(y[1]);
  c.drawImage(small, left, top, plot.x(x[1]) - left, plot.y(y[0]) - top);
  c.imageSmoothingEnabled = true;
  return { most, shade: (s) => css(colours[Math.round(64 * s)]) };
}

/* The bar that says how many rows a shade means, at the top right. */
export function drawDensityKey(c, canvas, plot, { most, shade }) {
  const width = 90;
  const right = plot.right;
  c.font = canvas.font(11);
  c.textBaseline = "middle";
  c.fillStyle = canvas.colour("muted");
  c.textAlign = "right";
  const text = `${plain(most)} rows`;
  c.fillText(text, right, 12);
  const end = right - c.measureText(text).width - 6;
  for (let i = 0; i < width; i++) {
    c.fillStyle = shade(i / (width - 1));
    c.fillRect(end - width + i, 8, 1.5, 8);
  }
  c.fillStyle = canvas.colour("muted");
  c.fillText("1", end - width - 5, 12);
}
