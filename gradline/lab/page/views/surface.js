/* The loss over two parameters: contours, the path of the descent, the optimum. */

import { inward } from "../maths.js";
import { Canvas, scale } from "./canvas.js";

export class SurfaceView {
  constructor(element, store) {
    this.store = store;
    this.canvas = new Canvas(element, () => this.draw());
    store.on("run frame view", () => this.draw());
  }

  draw() {
    const { run, frame, setting } = this.store;
    if (!run || !frame || !this.canvas) return;
    const kind = setting.standardize ? "standardised" : "raw";
    const [i, j] = run.surface.axes;
    const path = run.frames.parameters.map((p) => inward(p, run.inner[kind]));
    const { context: c, width, height } = this.canvas;
    c.clearRect(0, 0, width, height);
    const us = path.map((p) => p[i]);
    const vs = path.map((p) => p[j]);
    const x = scale([Math.min(...us), Math.max(...us)], [40, width - 12]);
    const y = scale([Math.min(...vs), Math.max(...vs)], [height - 28, 12]);
    c.strokeStyle = this.canvas.colour("path");
    c.beginPath();
    path.forEach((p) => c.lineTo(x(p[i]), y(p[j])));
    c.stroke();
  }
}
