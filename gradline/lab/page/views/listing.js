/* The run as PyTorch code: what stands above the loop, and the five steps. Pure. */

import { show } from "../numbers.js";
import { plain, short } from "./ticks.js";

const LOSSES = {
  squared: "nn.MSELoss()",
  huber: "nn.HuberLoss()",
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

function lossOf(setting, { objective }) {
  const delta = objective?.delta;
  if (setting.loss === "huber" && delta > 0) return `nn.HuberLoss(delta=${literal(delta)})`;
  return LOSSES[setting.loss] ?? LOSSES.squared;
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
  if (setting.degree > 1) for (const [text, indent] of polynomials(setting, data, room)) add(text, indent);
  if (data.features?.length !== 1 && d > 1) add(cut(`# x has ${d} columns: ${folded(data.terms)}`, room));
  if (setting.standardize) add("x = (x - x.mean(0)) / x.std(0, correction=0)");
  add(`model = nn.Linear(${d}, 1)`);
  add(`loss_fn = ${lossOf(setting, run)}`);
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

/* The columns of a polynomial: powers made orthonormal, the constant left out. These are
   those of gradline's poly.py, which finds them in one pass over rows of any number. */
function polynomials({ degree }, { features, terms }, room) {
  const long = terms.filter((name) => POLY.test(name)).length;
  const qr = (x) => [
    `t = ${x} - ${x}.mean()`,
    `powers = torch.linalg.vander(t, N=${degree + 1})`,
    "Q, R = torch.linalg.qr(powers)",
  ];
  const columns = "(Q * R.diagonal().sign())[:, 1:]";
  const why = "  # orthonormal";
  const ended = (text) => (text.length + why.length > room ? text : text + why);
  if (features.length === 1) {
    return [...qr("x[:, 0]").map((text) => [text, 0]), [ended(`x = ${columns}`), 0]];
  }
  const rest = terms.length - long;
  return [
    ["def poly(x):", 0],
    ...qr("x").map((text) => [text, 1]),
    [ended(`return ${columns}`), 1],
    [`polys = [poly(column) for column in numeric.T]`, 0],
    [`x = torch.cat([*polys${rest ? ", dummies" : ""}], dim=1)`, 0],
  ];
}

const POLY = /^poly\(.*\)\[(\d+)\]$/;

/* Names of terms, the degrees of one polynomial together. */
function folded(terms) {
  const found = [];
  terms.forEach((name, i) => {
    const degree = Number(name.match(POLY)?.[1] ?? 0);
    if (degree > 1 && found.length) {
      const first = terms[i - degree + 1] ?? name;
      found[found.length - 1] = `${first.replace("[1]", "")}[1…${degree}]`;
    } else found.push(name);
  });
  return found.join(", ");
}

const cut = (text, room) => (text.length > room ? `${text.slice(0, room - 1)}…` : text);

/* What stands beside each of the five lines: the numbers of the moment.

   now, after: {loss, inner}: coordinates of the descent, (d + 1); after may be null, and
   now, while the step's numbers are on their way: then every number is "…"
   gradient: (d + 1) or null; wide: whether there is room for whole names */
export function remarks({ now, after, terms, gradient, wide }) {
  const d = terms.length;
  if (!now) return ["", "loss …", "", "", "…"];
  const grads = gradient ? gradients(gradient, d, wide) : "";
  const move = ([name, i]) => {
    const before = `${name} ${compact(now.inner[i])}`;
    return after ? `${before} → ${compact(after.inner[i])}` : before;
  };
  const one = d > 1 ? "[0]" : "";
  const names = wide ? [[`weight${one}`, 0], ["bias", d]] : [[`w${one}`, 0], ["b", d]];
  const shown = !wide && d > 1 ? names.slice(0, 1) : names;
  const hidden = d + 1 - shown.length;
  const moved = shown.map(move).join("  ") + (hidden ? `  and ${hidden} more` : "");
  return ["", `loss ${show(now.loss)}`, "", grads, moved];
}

function gradients(gradient, d, wide) {
  if (d > 1) return `length of the gradient ${compact(Math.hypot(...gradient))}`;
  const [w, b] = wide ? ["weight.grad", "bias.grad"] : ["∂w", "∂b"];
  return `${w} ${compact(gradient[0])}  ${b} ${compact(gradient[1])}`;
}

/* Four digits that count, but no more than four behind the point. */
function compact(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return short(value, 3);
  return size < 0.1 ? plain(value, 4) : short(value, 4);
}
