/* The lab's pure functions: node --test tests/js (test_lab_views.py runs it). */

import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../gradline/lab/page/", import.meta.url);
const load = (name) => import(new URL(name, page));

const { ticks, logTicks, plain, power, short, niceStep } = await load("views/ticks.js");
const { svd2, traceEllipse } = await load("views/ellipse.js");
const { traceContour } = await load("views/contours.js");
const { bowlAt, landmarks, levelsFor, restingPlace, spanOf } = await load("views/bowl.js");
const { keep } = await load("views/keep.js");
const { early, lossLimits, lowest, seriesOf } = await load("views/losses.js");
const { listing, optimizerOf, remarks } = await load("views/listing.js");
const { freePlace, meet } = await load("views/places.js");
const { kindOf, makePicture } = await load("views/dots.js");
const maths = await load("maths.js");

const near = (a, b, tolerance = 1e-9) =>
  assert.ok(Math.abs(a - b) <= tolerance * (1 + Math.abs(b)), `${a} is not ${b}`);

test("steps are 1, 2 or 5 times a power of ten", () => {
  for (const raw of [0.0013, 0.3, 1, 7, 450, 1e7, 3e-9]) {
    const step = niceStep(raw);
    const share = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
    assert.ok([1, 2, 5, 10].some((n) => Math.abs(share - n) < 1e-6), `${step}`);
    assert.ok(step / raw < 1.6 && step / raw > 0.6);
  }
});

test("labels have a true minus, commas and no more digits than they need", () => {
  const found = ticks(-2000, 6000, 4);
  assert.deepEqual(found.labels, ["−2,000", "0", "2,000", "4,000", "6,000"]);
  assert.deepEqual(ticks(0, 1, 5).labels, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
  assert.equal(plain(-0.0001, 2), "0.00");
});

test("what all labels share is said once", () => {
  const far = ticks(1.7e9, 1.7e9 + 900, 5);
  assert.equal(far.note, "+1.7e9");
  assert.equal(far.labels[0], "0");
  assert.equal(far.labels[1], "200");
  assert.equal(ticks(0, 5e7, 5).note, "×10⁷");
  assert.equal(ticks(0, 4e-5, 4).note, "×10⁻⁵");
  assert.equal(ticks(1712345678, 1712345679, 5).note, "+1,712,345,678");
  assert.deepEqual(ticks(3, 3, 5).values, []);
});

test("logarithmic ticks", () => {
  assert.deepEqual(logTicks(0.01, 100, 5).labels, ["0.01", "0.1", "1", "10", "100"]);
  assert.deepEqual(logTicks(1e-8, 1, 3).labels.at(-1), "10⁰");
  assert.deepEqual(logTicks(0.01, 0.1, 5).labels, ["0.01", "0.02", "0.05", "0.1"]);
  assert.ok(logTicks(0.3, 0.4, 5).values.length >= 2);
  assert.equal(power(-12), "10⁻¹²");
  assert.equal(short(1401234), "1.40×10⁶");
  assert.equal(short(-0.12344), "−0.1234");
  assert.equal(short(NaN), "–");
});

test("singular values agree with the product and the norm", () => {
  const root = [[3, 1.5], [0, 0.002]];
  const { s1, s2, angle } = svd2(root);
  near(s1 * s2, 0.006);
  near(s1 * s1 + s2 * s2, 9 + 2.25 + 4e-6);
  const [x, y] = [Math.cos(angle), Math.sin(angle)];
  near(Math.hypot(3 * x + 1.5 * y, 0.002 * y), s1);
});

test("every point of an ellipse has the loss it stands for", () => {
  const root = [[2, 0.7], [0, 0.05]];
  const points = [];
  const pen = {
    moveTo: (x, y) => points.push([x, y]),
    lineTo: (x, y) => points.push([x, y]),
    closePath() {},
  };
  const box = { left: 0, right: 100, top: 0, bottom: 100 };
  traceEllipse(pen, svd2(root), 50, 40, 7, box);
  assert.ok(points.length > 100);
  const inSight = points.filter(([x, y]) => x > 0 && x < 100 && y > 0 && y < 100);
  assert.ok(inSight.length > 20);
  for (const [x, y] of inSight) near(maths.excessAt(root, x - 50, y - 40), 7, 1e-9);
});

test("a canyon is traced within sight, a flat one as two lines", () => {
  for (const root of [[[1, 200], [0, 1e-6]], [[1, 2], [0, 0]]]) {
    const points = [];
    const pen = { moveTo: (...p) => points.push(p), lineTo: (...p) => points.push(p), closePath() {} };
    traceEllipse(pen, svd2(root), 50, 50, 1e3, { left: 0, right: 100, top: 0, bottom: 100 });
    assert.ok(points.every(([x, y]) => Number.isFinite(x + y) && Math.hypot(x, y) < 1e4));
    for (const [x, y] of points) near(maths.excessAt(root, x - 50, y - 50), 1e3, 1e-3);
  }
});

test("marching squares find a circle", () => {
  const x = Array.from({ length: 41 }, (_, i) => -2 + i / 10);
  const losses = x.map((v) => x.map((u) => u * u + v * v));
  const radii = [];
  const pen = {
    moveTo: (u, v) => radii.push(Math.hypot(u, v)),
    lineTo: (u, v) => radii.push(Math.hypot(u, v)),
  };
  traceContour(pen, { x, y: x, losses }, 1.5, (u) => u, (v) => v);
  assert.ok(radii.length > 60);
  for (const r of radii) near(r, Math.sqrt(1.5), 2e-3);
});

/* Two columns of a design, x and 1, as the surface of a run with one feature. */
function runOf(mean, scale) {
  const xs = [-1.2, -0.3, 0.1, 0.6, 0.8].map((z) => mean + scale * z);
  const y = [1, 2, 2.5, 2, 4];
  const m = xs.reduce((a, b) => a + b) / 5;
  const s = Math.sqrt(xs.reduce((a, b) => a + (b - m) ** 2, 0) / 5);
  const surface = (u) => {
    const [a, b] = [u.reduce((t, v) => t + v * v, 0) * 0.4, u.reduce((t, v) => t + v, 0) * 0.4];
    const r11 = Math.sqrt(a);
    return [[r11, b / r11], [0, Math.sqrt(2 - (b / r11) ** 2)]];
  };
  const z = xs.map((x) => (x - m) / s);
  const slope = z.reduce((t, v, i) => t + v * y[i], 0) / 5 / s;
  const level = y.reduce((a, b) => a + b) / 5;
  return {
    surface: {
      axes: [0, 1],
      raw: { centre: [slope, level - slope * m], root: surface(xs), base: 0 },
      standardised: { centre: [slope * s, level], root: surface(z), base: 0 },
    },
    inner: {
      raw: { scale: [1], mean: [0] },
      standardised: { scale: [s], mean: [m] },
    },
    optimum: { parameters: [slope, level - slope * m], loss: 0 },
    frames: { parameters: [[0, 0], [1, 1], [900, 900]], losses: [3, 2, 1e6] },
  };
}

test("on the way from raw to standardised the loss of a line stays its loss", () => {
  const run = runOf(3, 0.5);
  for (const line of [[0, 0], [1.5, -2], [3, 1]]) {
    const losses = [0, 0.25, 0.5, 0.9, 1].map((share) => {
      const { frame, centre, root } = bowlAt(run, share);
      const [u, v] = [0, 1].map((i) => maths.inwardAt(line, frame, i));
      return maths.excessAt(root, u - centre[0], v - centre[1]);
    });
    for (const loss of losses) near(loss, losses[0], 1e-9);
  }
});

test("the view holds start and optimum, and lets a diverging path go", () => {
  const run = runOf(3, 0.5);
  const marks = landmarks(run);
  assert.equal(marks.length, 3);
  const { frame } = bowlAt(run, 0);
  const [u1, u2, v1, v2] = spanOf(marks, frame, [0, 1]);
  const [slope, level] = run.optimum.parameters;
  assert.ok(u1 < 0 && u2 > slope && v1 < level && v2 > 1 && u2 < 10);
  const levels = levelsFor(3, bowlAt(run, 0), [u1, u2, v1, v2]);
  assert.ok(levels.length > 3 && levels.length < 16);
  levels.slice(1).forEach((v, i) => near(v / levels[i], levels[1] / levels[0]));
});

test("limits that still fit stay", () => {
  assert.deepEqual(keep([0, 10], [0.2, 9.9], 0.65), [0, 10]);
  assert.deepEqual(keep([0, 10], [0.2, 12], 0.65), [0.2, 12]);
  assert.deepEqual(keep([0, 10], [4, 5], 0.65), [4, 5]);
});

const frames = { steps: [0, 1, 2], losses: [4, 2, 1], validation: [5, 2.5, 3] };

test("the loss curves and their limits", () => {
  const run = { frames, optimum: { loss: 1 } };
  const log = seriesOf(run, "log");
  const [low, high] = lossLimits(log, null);
  assert.ok(low < 1 && high > 5);
  const gap = seriesOf(run, "gap");
  assert.deepEqual(gap.training.slice(0, 2), [3, 1]);
  assert.ok(Number.isNaN(gap.training[2]));
  assert.equal(lowest(log.validation), 1);
  const wild = { frames: { steps: [0, 1, 2], losses: [1, 1e9, 1e18], validation: null }, optimum: { loss: 0.1 } };
  assert.ok(lossLimits(seriesOf(wild, "log"), 2)[1] < 1e7);
  assert.ok(lossLimits(seriesOf(wild, "linear"), 2)[1] < 10);
});

const setting = {
  loss: "squared", optimizer: "SGD", lr: 0.1, momentum: 0.9, nesterov: true,
  weight_decay: 0, batch_size: 0, standardize: true, epochs: 200,
};

test("the code says what was set", () => {
  const text = "torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)";
  assert.equal(optimizerOf(setting), text);
  const lines = listing(setting, {}, { terms: ["x"] });
  assert.equal(lines.filter((l) => l.step !== null).length, 5);
  assert.ok(lines[0].text.includes("correction=0"));
  const wrong = ["a", "b", "c", "d", "e"];
  const broken = listing(setting, { mistake: { code: wrong } }, { terms: ["x"] });
  assert.deepEqual(broken.filter((l) => l.step !== null).map((l) => l.text), wrong);
  const said = remarks({
    now: { loss: 0.5, inner: [1, 2] }, after: { inner: [1.5, 1.75] },
    terms: ["x"], gradient: [-5, 2.5], wide: true,
  });
  assert.equal(said[4], "weight 1.000 → 1.500  bias 2.000 → 1.750");
});

test("dots of the pictures", () => {
  const data = {
    terms: ["a", "b"], target: "y", features: ["a", "b"], curve: null,
    X: [[1, 10], [2, 20], [3, 60]], y: [5, 6, 9],
  };
  const run = { optimum: { parameters: [1, 0.1, 0] } };
  assert.equal(kindOf(data, 0), "predicted");
  const predicted = makePicture(data, run, 0);
  predicted.place([1, 0.1, 2], 1);
  assert.deepEqual(predicted.at, [6, 6]);
  const term = makePicture(data, run, 1);
  term.place([1, 0.1, 2], 2);
  near(term.at[1], 9 - 0.1 * (60 - 30)); // less the other term, taken less its mean
  const [x, y] = term.ends([1, 0.1, 2]);
  near(y, 2 + 0.1 * 30 + x);
});

test("between two frames parameters go straight and losses geometrically", () => {
  const a = { step: 0, parameters: [0, 2], loss: 1, validation: null };
  const b = { step: 4, parameters: [4, 0], loss: 16, validation: null };
  const found = maths.frameBetween(a, b, 1);
  assert.deepEqual(found.parameters, [1, 1.5]);
  near(found.loss, 2);
  assert.equal(found.exact, false);
  assert.equal(maths.countUpTo([0, 2, 4], 3), 2);
  assert.equal(maths.inwardAt([2, 1], { scale: [3], mean: [5] }, 1), 11);
});

test("a long run that is over at once gets a logarithmic axis of steps", () => {
  const steps = Array.from({ length: 200 }, (_, i) => i * 50);
  const fall = (rate) => steps.map((k) => 1 + 100 * Math.exp(-rate * k));
  assert.equal(early({ steps, training: fall(0.2) }, 9950), true);
  assert.equal(early({ steps, training: fall(0.0005) }, 9950), false);
  assert.equal(early({ steps, training: fall(0.2) }, 500), false);
});

test("weight decay comes to rest where the gradient of both is zero", () => {
  const root = [[1.2, 0.8], [0, 0.3]];
  const centre = [2, -1];
  const [a, b] = restingPlace({ root, centre }, 0.5);
  const [u, v] = [a - centre[0], b - centre[1]];
  near(1.44 * u + 0.96 * v + 0.5 * a, 0);
  near(0.96 * u + (0.64 + 0.09) * v + 0.5 * b, 0);
});

test("the code makes the columns of a polynomial, and names them", () => {
  const terms = [1, 2, 3].map((k) => `poly(x, 3)[${k}]`);
  const one = listing({ ...setting, degree: 3 }, {}, { terms, features: ["x"] });
  const text = one.map((l) => l.text).join("\n");
  assert.match(text, /vander\(t, N=4\)/);
  assert.match(text, /torch\.linalg\.qr/);
  assert.match(text, /nn\.Linear\(3, 1\)/);
  const two = { terms: [...terms, "g[b]"], features: ["x", "g"] };
  const said = listing({ ...setting, degree: 3 }, {}, two).map((l) => l.text).join("\n");
  assert.match(said, /# x has 4 columns: poly\(x, 3\)\[1…3\], g\[b\]/);
  assert.match(said, /dummies/);
  const huber = listing({ ...setting, loss: "huber" }, { objective: { delta: 0.25 } }, { terms: ["x"] });
  assert.ok(huber.some((l) => l.text === "loss_fn = nn.HuberLoss(delta=0.25)"));
});

test("of a step that is not known no number is said", () => {
  const frame = { step: 3, parameters: [1, 2], loss: 5, validation: 7, gradient: [1, 1] };
  const unread = maths.unread(frame);
  assert.ok(Number.isNaN(unread.loss) && Number.isNaN(unread.validation));
  assert.equal(unread.exact, false);
  assert.equal(unread.gradient, null);
  assert.deepEqual(unread.parameters, [1, 2]);
  assert.equal(maths.unread({ ...frame, validation: null }).validation, null);
  const said = remarks({ now: null, after: null, terms: ["x"], gradient: null, wide: true });
  assert.deepEqual(said, ["", "loss …", "", "", "…"]);
});

test("words take the first place that is free, inside the picture", () => {
  const plot = { left: 0, right: 100, top: 0, bottom: 50 };
  const taken = (box) => meet([0, 0, 40, 13], box);
  assert.deepEqual(freePlace([[5, 5], [5, 20]], 30, 13, plot, taken), [5, 20, 30, 13]);
  assert.equal(freePlace([[90, 20], [5, 40]], 30, 13, plot, taken), null);
  assert.ok(meet([0, 0, 10, 10], [12, 0, 10, 10]) && !meet([0, 0, 10, 10], [12, 0, 10, 10], 0));
});
