/* The loss by step: linear, logarithmic, or its gap to the optimum. */

import { Canvas, scale } from "./canvas.js";

export class CurveView {
  constructor(element, store) {
    this.store = store;
    this.canvas = new Canvas(element, () => this.draw());
    store.on("run frame view", () => this.draw());
  }

  draw() {
    const { run, frame } = this.store;
    if (!run || !frame || !this.canvas) return;
    const { context: c, width, height } = this.canvas;
    c.clearRect(0, 0, width, height);
    const logs = run.frames.losses.map(Math.log10);
    const x = scale([0, run.total || 1], [40, width - 12]);
    const y = scale([Math.min(...logs), Math.max(...logs)], [height - 28, 12]);
    c.strokeStyle = this.canvas.colour("line");
    c.beginPath();
    run.frames.steps.forEach((k, i) => c.lineTo(x(k), y(logs[i])));
    c.stroke();
    c.fillRect(x(frame.step) - 0.5, 12, 1, height - 40);
  }
}
