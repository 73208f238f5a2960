/* The lesson, step by step: what it says, where it begins, and when its task is solved.

   begin   the setting that the step starts from, beside the defaults
   view    what is drawn
   watch   (memory, store, player): remember what was done; called on every change
   solved  (memory, store, player): asked when things have come to rest
   now     a line about where one stands, or ""
   where   the control that the task needs: a selector
   answer  (store) -> the number that a question wants; `question` is its label */

import { predict } from "../maths.js";
import { show, whole } from "../numbers.js";

const atEnd = ({ run, step }) => run !== null && step >= run.total;
const fine = ({ run }) => run.diverged === null || run.diverged === undefined;
/* The step is shown at which it has converged. */
const arrived = ({ run, step }) => (run.converged ?? null) !== null && step >= run.converged;
/* As the code view has it: −0.000746. */
const plainly = (v) => String(Number(v.toPrecision(4))).replace("-", "−");
const gapOf = ({ run, frame }) => (frame.loss - run.optimum.loss) / Math.abs(run.optimum.loss);

export const STEPS = [
  {
    id: "points",
    where: "#set-noise",
    title: "Points, and a line in them",
    text: [
      "A hundred points. We made them ourselves, so we know the truth: y = x, and noise around it.",
      "The model is not told. It gets the points, and has to find the line by itself.",
    ],
    begin: {},
    task: "Make the noise three times as large, and look at what becomes of the points.",
    hint: "Noise is the second slider under Data. Give it 3.",
    solved: (m, { setting }) => setting.noise >= 3,
    now: ({ setting }) => `Noise ${show(setting.noise)}`,
  },
  {
    id: "loss",
    where: "#residuals",
    title: "A random line, and how bad it is",
    text: [
      "A line is two numbers, weight and bias: y = weight · x + bias. They begin at random, and the line is a bad one.",
      "How bad? Take each point's distance from the line, up or down; square it; average. That is the loss. Far points count most.",
    ],
    begin: { n: 20, seed: 3 },
    task: "Switch the residuals on. Then drag one point away from the line until the loss is half as large again.",
    hint: "The switch is on the picture of the data. Take a point that is near the line at either end, and drag it to the far edge. With keys: focus the picture, arrows choose a point, shift and arrows move it.",
    watch: (m, { frame }) => (m.first ??= frame?.loss),
    solved: (m, { view, frame, setting, step }) =>
      view.residuals && step === 0 && Object.keys(setting.edits.moved).length > 0 && frame.loss >= 1.5 * m.first,
    now: ({ frame }, m) => `Loss ${show(frame?.loss)}, wanted ${show(1.5 * (m.first ?? NaN))}`,
  },
  {
    id: "step",
    where: "#substep",
    title: "One step, five lines",
    text: [
      "The loss is a valley over the plane of all weights and biases. Its slope, the gradient, says which way is up. So: a small step the other way.",
      "That is five lines of PyTorch: predict, measure, forget the old gradient, find the new one, step. Everything that is trained today is trained by these five.",
    ],
    begin: { lr: 0.3 },
    task: "Go through the five lines, one by one, until the line has moved.",
    hint: "The button right of play with the little list on it, or the key “.”; five times.",
    watch: (m, { playing }, player) => {
      m.lines ??= new Set();
      if (!playing && player.line >= 0) m.lines.add(player.line);
    },
    solved: (m, { step }) => m.lines?.size === 5 && step >= 1,
    now: (_, m) => `${m.lines?.size ?? 0} of 5 lines`,
  },
  {
    id: "thousand",
    where: "#set-epochs",
    title: "A thousand times",
    text: [
      "An epoch is one pass over all the data. Here that is one step, because each step looks at every point.",
      "The loss falls fast, then slowly: the valley is steep across and flat along its floor.",
    ],
    begin: {},
    task: "Give it 1,000 epochs, and go to the end.",
    hint: "Epochs is a slider under Descent. Then play at a higher speed, or drag the scrubber to its right end.",
    solved: (m, store) => store.run.total >= 1000 && atEnd(store),
    now: (store) => `Epoch ${whole(store.step)} of ${whole(store.run?.total ?? 0)}`,
  },
  {
    id: "rate",
    where: "#lr",
    title: "How large a step?",
    text: [
      "Small steps are safe and slow. Too large ones land on the other side of the valley, higher than they started: the descent diverges.",
      "For squared loss the limit is known before the first step: 2 divided by the steepest curvature. The slider shows it.",
    ],
    begin: {},
    task: "Go over the limit once, play, and see what becomes of it. Then find the largest learning rate that still converges, to 3 %.",
    hint: "The number can be typed: take the limit that is named below the slider, and stay just under it.",
    watch: (m, { run, step, frame, setting }) => {
      // Seen to grow: an earlier step of this run had a smaller loss.
      if (!run || !frame?.exact || !(setting.lr >= run.limits?.limit)) return;
      const { steps, losses } = run.frames;
      if (losses.some((loss, i) => steps[i] < step && loss < frame.loss)) m.over = true;
    },
    solved: (m, { setting, run }) =>
      Boolean(m.over) && run.limits?.limit > 0 && setting.lr < run.limits.limit && setting.lr >= 0.97 * run.limits.limit,
    now: ({ setting, run }, m) =>
      `${m.over ? "Growth seen. " : ""}Now at ${show((100 * setting.lr) / (run?.limits?.limit ?? NaN))} % of the limit`,
  },
  {
    id: "standardise",
    where: "#standardize",
    title: "A bowl, not a gutter",
    text: [
      "Penguins: the length of a flipper in millimetres predicts the mass in grams. Numbers near 200 make the valley a gutter, millions of times steeper across than along.",
      "Standardise the feature, mean 0 and standard deviation 1, and the gutter becomes a round bowl: the same learning rate then works in all directions.",
    ],
    begin: { data: "penguins", lr: 0.1 },
    task: "The learning rate 0.1 diverges here. Make it converge without touching the learning rate.",
    hint: "The switch is on the picture of the loss surface. Then play.",
    solved: (m, store) => {
      const { setting, run } = store;
      return setting.data === "penguins" && setting.lr === 0.1 && fine(store) && arrived(store);
    },
    now: (store) => (!store.run || !fine(store) ? "It diverges" : arrived(store) ? "It has converged" : "Stable: play it"),
  },
  {
    id: "twenty",
    where: "#lr",
    title: "As fast as can be",
    text: [
      "Between too slow and too far lies the best learning rate, and how fast that is depends on the shape of the bowl: its condition, steepest by flattest.",
      "The certificate says at which epoch the line is the best there is, to eight digits.",
    ],
    begin: {},
    task: "Make it converge within 20 epochs.",
    hint: "Make the bowl round first; then use the best learning rate for it, and play.",
    solved: (m, store) => fine(store) && arrived(store) && store.run.converged <= 20 * (store.run.per_epoch ?? 1),
    now: ({ run }) => {
      const when = run?.converged ?? run?.needed;
      return when ? `Converges at epoch ${whole(when / (run.per_epoch ?? 1))}` : "Does not converge";
    },
  },
  {
    id: "validation",
    where: "#set-degree",
    title: "Points it has not seen",
    text: [
      "A more flexible curve always fits the points it has seen better. The number that counts is the loss on points it has not: hold some out, and look at them only to judge.",
      "Here a polynomial of degree 12 learns from 21 points, and 9 are held out.",
    ],
    begin: { n: 30, noise: 2, seed: 5, validation: 0.3, degree: 12, standardize: true, epochs: 5000, lr: 0.1 },
    end: true,
    task: "Note the validation loss at the end. Then find a degree whose validation loss at the end is smaller by a tenth.",
    hint: "The truth is a straight line. After the change, go to the end again.",
    watch: (m, store) => {
      const { setting, frame } = store;
      if (m.first === undefined && setting.degree === 12 && setting.validation && atEnd(store)) m.first = frame?.validation ?? undefined;
    },
    solved: (m, store) =>
      m.first !== undefined && store.setting.degree < 12 && store.setting.validation === 0.3 && store.setting.seed === 5 &&
      store.setting.n === 30 && store.setting.noise === 2 && atEnd(store) && fine(store) && store.frame.validation <= 0.9 * m.first,
    now: ({ frame }, m) => `Validation loss ${show(frame?.validation)}, wanted ${show(0.9 * (m.first ?? NaN))} at the end`,
  },
  {
    id: "predict",
    where: "#code-view",
    title: "Predict",
    text: [
      "Training is over; the two numbers stay as they are. To predict is to put an x into the line.",
    ],
    begin: { epochs: 1000, lr: 0.5 },
    end: true,
    task: "What does the line say at x = 0.5? Two decimals will do.",
    hint: "weight · 0.5 + bias. Weight and bias stand beside the last of the five lines, and below.",
    question: "At x = 0.5, y is",
    answer: ({ frame }) => predict([0.5], frame.parameters),
    now: ({ frame, data }) =>
      frame && data?.terms.length === 1 ? `weight ${plainly(frame.parameters[0])}, bias ${plainly(frame.parameters[1])}` : "",
  },
  {
    id: "own",
    where: "#open-data",
    title: "Your own data",
    text: [
      "The same with data that matter to you: a CSV or Parquet file, of any size; it stays on this machine. Or one of the ready-made sets.",
      "And do you need descent at all? For a line, no: gl.fit(x, y) solves it in one pass. Descent is how everything else is trained, and the line is where one can see it.",
    ],
    begin: {},
    task: "Open a file, or choose another set. Then bring it within 1 % of the smallest possible loss.",
    hint: "Data is at the top left. Standardise, use the best learning rate, and go to the end.",
    solved: (m, store) => store.setting.data !== "line" && fine(store) && store.step > 0 && gapOf(store) <= 0.01,
    now: (store) => (store.setting.data === "line" ? "" : store.frame && store.run ? `${show(100 * gapOf(store))} % above the smallest` : ""),
  },
];
