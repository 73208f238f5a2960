/* The run as PyTorch code: what stands above the loop, and the five steps. Pure. */

import { plain, short } from "./ticks.js";

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

/* Lines of code: [{text, indent, step: 0 to 4 or null}]; room: letters in a line. */
export function listing(setting, run, data, room = 62) {
  const d = data.terms.length;
  const lines = [];
  const add = (text, indent = 0, step = null) => lines.push({ text, indent, step });
  if (setting.standardize) add("x = (x - x.mean(0)) / x.std(0, correction=0)");
  add(`model = nn.Linear(${d}, 1)`);
  add(`loss_fn = ${LOSSES[setting.loss] ?? LOSSES.squared}`);
  const optimizer = `optimizer = ${optimizerOf(setting)}`;
  if (optimizer.length <= room) add(optimizer);
  else {
    const [call, rest] = optimizer.split("(model.parameters(), ");
    add(`${call}(`);
    add(`model.parameters(), ${rest}`, 1);
  }
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

/* What stands beside each of the five lines: the numbers of the moment.

   now, after: {loss, inner}: coordinates of the descent, (d + 1); after may be null
   gradient: (d + 1) or null; wide: whether there is room for whole names */
export function remarks({ now, after, terms, gradient, wide }) {
  const d = terms.length;
  const grads = gradient ? gradients(gradient, d, wide) : "";
  const names = d > 1 ? [`weight of ${brief(terms[0])}`] : wide ? ["weight", "bias"] : ["w", "b"];
  const move = (name, i) => {
    const before = `${name} ${compact(now.inner[i])}`;
    return after ? `${before} → ${compact(after.inner[i])}` : before;
  };
  const moved = names.map(move).join("  ") + (d > 1 ? " …" : "");
  return ["", `loss ${short(now.loss)}`, "", grads, moved];
}

function gradients(gradient, d, wide) {
  if (d > 1) return `gradient ${compact(Math.hypot(...gradient))} long`;
  const [w, b] = wide ? ["weight.grad", "bias.grad"] : ["∂w", "∂b"];
  return `${w} ${compact(gradient[0])}  ${b} ${compact(gradient[1])}`;
}

/* Four digits that count, but no more than four behind the point. */
function compact(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return short(value, 3);
  return size < 0.1 ? plain(value, 4) : short(value, 4);
}

const brief = (name) => (name.length > 10 ? `${name.slice(0, 9)}…` : name);
