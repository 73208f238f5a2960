/* The state of the page: one setting, one run, one step; whoever draws them listens.

   setting   what was asked for (settings.py)
   run       the server's answer (session.py), its `data` always filled in
   step      where the scrubber stands, a whole number up to run.total
   frame     the numbers at `step`: {step, parameters, loss, validation}
   kinds of change, as told to listeners: "setting", "run", "data", "frame",
   "playing", "certificate", "error", "connection", "view" (what is drawn, not what
   is computed: residuals, scale of the loss curve, theme) */

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
  epochs: 200,
  start: [],
  mistake: "",
  axes: [],
});

export class Store {
  constructor(socket) {
    this.socket = socket;
    this.setting = structuredClone(DEFAULTS);
    this.view = { residuals: false, curve: "log", equal: true };
    this.run = null;
    this.data = null;
    this.step = 0;
    this.frame = null;
    this.certificate = null;
    this.playing = false;
    this.error = "";
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

  /* Change the setting and ask for its run. While one is under way the last change
     wins: nothing queues up behind a slider. */
  async change(change) {
    Object.assign(this.setting, change);
    this.tell("setting");
    if (this.busy) {
      this.dirty = true;
      return;
    }
    this.busy = true;
    try {
      do {
        this.dirty = false;
        const setting = structuredClone(this.setting);
        const answer = await this.socket.ask({ type: "set", setting });
        this.take(answer);
      } while (this.dirty);
    } catch (error) {
      this.fail(error.message);
    } finally {
      this.busy = false;
    }
  }

  take(run) {
    this.error = "";
    this.run = run;
    if (run.data) {
      this.data = run.data;
      this.tell("data");
    }
    this.certificate = null;
    this.tell("run");
  }

  fail(message) {
    this.error = message;
    this.tell("error");
  }
}
