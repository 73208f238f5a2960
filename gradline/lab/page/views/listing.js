/* The run as PyTorch code: what stands above the loop, and the five steps. Pure. */

import { short } from "./ticks.js";

const LOSSES = {
  squared: "nn.MSELoss()",
  huber: "nn.HuberLoss(delta=0.1)",
  absolute: "nn.L1Loss()",
};

export const STEPS = [
  ["prediction = model(x)", "forward: predict with the parameters as they are"],
  ["loss = loss_fn(prediction, y)", "loss: how far off, as one number"],
  ["optimizer.zero_grad()", "zero: forget the gradients of the last step"],
  ["loss.backward()", "backward: the loss's slope in every parameter"],
  ["optimizer.step()", "step: move every parameter a little downhill"],
];

/* A number as Python reads it. */
export function literal(value) {
  return String(Number(value.toPrecision(12)));
}

/* The optimizer as a call of torch.optim. */
export function optimizerOf(setting) {
  const given = [`lr=${literal(setting.lr)}`];
  if (setting.optimizer === "SGD" && setting.momentum) {
    given.push(`momentum=${literal(setting.momentum)}`);
    if (setting.nesterov) given.push("nesterov=True");
  }
  if (setting.weight_decay || setting.optimizer === "AdamW") {
    given.push(`weight_decay=${literal(setting.weight_decay)}`);
  }
  return `torch.optim.${setting.optimizer}(model.parameters(), ${given.join(", ")})`;
}

/* Lines of code: [{text, indent, step: 0 to 4 or null}]. */
export function listing(setting, run, data) {
  const d = data.terms.length;
  const lines = [];
  const add = (text, indent = 0, step = null) => lines.push({ text, indent, step });
  if (setting.standardize) add("x = (x - x.mean(0)) / x.std(0, correction=0)");
  add(`model = nn.Linear(${d}, 1)`);
  add(`loss_fn = ${LOSSES[setting.loss] ?? LOSSES.squared}`);
  add(`optimizer = ${optimizerOf(setting)}`);
  add("");
  const epochs = Math.max(1, setting.epochs);
  const wrong = run.mistake?.code ?? null;
  const steps = STEPS.map(([text]) => text);
  if (wrong) wrong.forEach((text, i) => (steps[i] = text));
  const batches = setting.batch_size > 0;
  add(`for epoch in range(${epochs}):`);
  if (batches) add("for x, y in batches:", 1);
  steps.forEach((text, i) => add(text, batches ? 2 : 1, i));
  return lines;
}

/* What stands beside each of the five lines: the numbers of the moment. */
export function remarks({ now, after, names, gradient }) {
  const few = names.slice(0, 2);
  const more = names.length > 2 ? " …" : "";
  const list = (values) => few.map((name, i) => `${name} ${short(values[i])}`).join("  ") + more;
  const grads = gradient ? few.map((n, i) => `∂${n} ${short(gradient[i], 3)}`).join("  ") + more : "";
  const moved = after
    ? few.map((n, i) => `${n} ${short(now.inner[i])} → ${short(after.inner[i])}`).join("  ") + more
    : list(now.inner);
  return ["", short(now.loss), "", grads, moved];
}
