/* The five steps as code, with the numbers of the moment in them. */

const LINES = [
  "prediction = model(x)",
  "loss = loss_fn(prediction, y)",
  "optimizer.zero_grad()",
  "loss.backward()",
  "optimizer.step()",
];

export class CodeView {
  constructor(element, store) {
    this.element = element;
    this.store = store;
    store.on("frame", () => this.draw());
  }

  draw() {
    const { frame } = this.store;
    this.element.textContent = `${LINES.join("\n")}\n# loss ${frame.loss}`;
  }
}
