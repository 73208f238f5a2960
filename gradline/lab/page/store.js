/* The state of the page: one setting, one run, one step; whoever draws them listens.

   hello     what the server offers (session.py), or null until it has said so
   setting   what was asked for (settings.py)
   run       the server's answer (session.py)
   data      what to draw, kept from the last run that brought any
   step      where the scrubber stands, a whole number up to run.total
   frame     the numbers at `step`: {step, parameters, loss, validation}
   view      what is drawn, not what is computed: residuals, curve, equal, axis, theme

   Kinds of change, as told to listeners: "hello", "setting", "run", "data", "frame",
   "playing", "certificate", "error", "connection", "view", "busy", "progress", "edit";
   the player tells "pose" and "total". */

export const DEFAULTS = Object.freeze({
  data: "line",
  target: null,
  features: [],
  n: 100,
  noise: 1,
  outliers: 0,
  seed: 0,
  edits: { added: [], moved: {}, deleted: [] },
  validation: 0,
  degree: 1,
  standardize: false,
  optimizer: "SGD",
  lr: 0.1,
  momentum: 0,
  nesterov: false,
  weight_decay: 0,
  batch_size: 0,
  loss: "squared",
  delta: 1.35,
  epochs: 200,
  start: [],
  mistake: "",
  axes: [],
});

export class Store {
  constructor(socket) {
    this.socket = socket;
    this.hello = null;
    this.setting = structuredClone(DEFAULTS);
    this.good = null; // the last setting that the server could do
    this.view = { residuals: false, curve: "log", equal: true, axis: 0, theme: "auto" };
    this.run = null;
    this.data = null;
    this.step = 0;
    this.frame = null;
    this.certificate = null;
    this.playing = false;
    this.error = "";
    this.progress = null;
    this.connection = "opening"; // "open", "lost"
    this.listeners = new Map();
    this.busy = false; // a "set" is under way
    this.dirty = false; // and the setting has changed since
  }

  on(kinds, listener) {
    for (const kind of kinds.split(" ")) {
      if (!this.listeners.has(kind)) this.listeners.set(kind, new Set());
      this.listeners.get(kind).add(listener);
    }
  }

  tell(kind) {
    for (const listener of this.listeners.get(kind) ?? []) listener(this);
  }

  show(change) {
    Object.assign(this.view, change);
    this.tell("view");
  }

  /* Other data: what was said of the old ones no longer holds. */
  choose(data, more = {}) {
    return this.change({
      data,
      target: null,
      features: [],
      edits: structuredClone(DEFAULTS.edits),
      start: [],
      axes: [],
      outliers: 0,
      mistake: "",
      ...more,
    });
  }

  /* The switch moves no line: the run begins at the same one, in the other coordinates. */
  standardize(standardize) {
    const { run } = this;
    const first = run?.frames?.parameters?.[0];
    const to = run?.inner?.standardised;
    if (!first || !first.every(Number.isFinite) || run.mistake || run.frames.steps[0] !== 0 || !to) {
      return this.change({ standardize });
    }
    let start = first;
    if (standardize) {
      const slopes = first.slice(0, -1);
      const moved = slopes.reduce((sum, slope, i) => sum + slope * to.mean[i], first.at(-1));
      start = [...slopes.map((slope, i) => slope * to.scale[i]), moved];
    }
    return this.change({ standardize, start });
  }

  /* Change the setting and ask for its run. While one is under way the last change
     wins: nothing queues up behind a slider. What the server cannot do is undone, and
     its sentence shown. */
  async change(change) {
    Object.assign(this.setting, change);
    this.tell("setting");
    this.dirty = true;
    if (this.connection !== "open") return;
    if (!this.busy) this.working = this.work();
    await this.working;
  }

  async work() {
    this.busy = true;
    this.tell("busy");
    try {
      while (this.dirty) {
        this.dirty = false;
        const setting = structuredClone(this.setting);
        try {
          this.take(await this.socket.ask({ type: "set", setting }));
          this.good = setting;
        } catch (error) {
          if (this.connection !== "open" || this.dirty) continue;
          this.fail(error.message);
          this.setting = structuredClone(this.good ?? DEFAULTS);
          this.tell("setting");
          if (this.good || this.hopeless) return;
          this.hopeless = true; // a link that cannot be done: the usual setting, once
          this.dirty = true;
        }
      }
    } finally {
      this.busy = false;
      this.tell("busy");
    }
  }

  take(run) {
    if (this.good) this.clear();
    this.progress = null;
    this.run = run;
    if (run.data) {
      this.data = run.data;
      this.tell("data");
    }
    this.certificate = null;
    this.tell("run");
  }

  clear() {
    if (this.error) this.fail("");
  }

  fail(message) {
    this.error = message;
    this.tell("error");
  }
}
