/* The data, the line as it moves, and its residuals. */

import { predict } from "../maths.js";
import { Canvas, scale } from "./canvas.js";

export class DataView {
  constructor(element, store) {
    this.store = store;
    this.canvas = new Canvas(element, () => this.draw());
    store.on("data frame view", () => this.draw());
  }

  draw() {
    const { data, frame } = this.store;
    if (!data || !frame || !this.canvas) return;
    const { context: c, width, height } = this.canvas;
    c.clearRect(0, 0, width, height);
    const xs = data.X.map((row) => row[0]);
    const x = scale([Math.min(...xs), Math.max(...xs)], [40, width - 12]);
    const y = scale([Math.min(...data.y), Math.max(...data.y)], [height - 28, 12]);
    c.fillStyle = this.canvas.colour("point");
    xs.forEach((v, i) => {
      c.beginPath();
      c.arc(x(v), y(data.y[i]), 3, 0, 7);
      c.fill();
    });
    if (!data.curve) return;
    c.strokeStyle = this.canvas.colour("line");
    c.lineWidth = 2.5;
    c.beginPath();
    data.curve.x.forEach((v, i) => {
      c.lineTo(x(v), y(predict(data.curve.terms[i], frame.parameters)));
    });
    c.stroke();
  }
}
