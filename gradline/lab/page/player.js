/* Time: play, pause, step, reset, speed, scrub.

   clock   where time stands, in steps, a fraction between two of them
   pose    what the pictures show: {step, parameters, loss, validation, gradient, seen,
           exact}; exact: of a step that was computed, not one between two of them
   line    which of the five lines has just run, 0 to 4, or -1: at speed

   The frames that came with a run are enough to draw its curve and path, and to draw any
   step at once, nearly; the exact frame is asked for and takes its place. Until then
   store.frame has no numbers to read: exact is false, losses are NaN. Frames ahead
   of the one that plays are fetched in time. Tells "frame" when the step changes,
   "pose" when only the picture between steps does, "total" when the run proves shorter. */

import { clamp, countUpTo, ease, frameBetween, unread } from "./maths.js";

export const LINES = 5; // of code in one step
const SLOW = 3; // steps a second, below which the five lines can be followed
const SMOOTH = 30; // below which the picture moves between steps
const MOST = 20000; // frames that are kept
const NUMBERS = 60000; // that are asked for at once

export class Player {
  constructor(store) {
    this.store = store;
    this.speed = 20; // steps a second
    this.frames = new Map(); // step -> frame
    this.known = []; // its steps, rising
    this.version = 0; // of what is known
    this.clock = 0;
    this.pose = null;
    this.line = -1;
    this.asked = -1; // fetched or under way up to here
    this.pending = false;
    store.on("run", () => this.begin());
  }

  get total() {
    return this.store.run ? this.store.run.total : 0;
  }

  begin() {
    const { run } = this.store;
    this.frames = new Map();
    this.known = [];
    this.keep(run.frames);
    this.kept = this.known;
    this.asked = -1;
    this.pending = false;
    this.line = -1;
    const at = Math.min(this.clock, this.total);
    this.seek(Math.floor(at), { clock: at });
  }

  /* Take frames in; those that are not finite say where the run ends. */
  keep({ steps, parameters, losses, validation, gradients, seen }) {
    const fresh = [];
    steps.forEach((step, i) => {
      if (!Number.isFinite(losses[i]) || !parameters[i].every(Number.isFinite)) return;
      if (!this.frames.has(step)) fresh.push(step);
      this.frames.set(step, {
        step,
        parameters: parameters[i],
        loss: losses[i],
        validation: validation ? validation[i] : null,
        gradient: gradients ? gradients[i] : null,
        seen: seen ? seen[i] : null,
        exact: true,
      });
    });
    if (!fresh.length) return;
    this.version += 1;
    const last = this.known[this.known.length - 1] ?? -1;
    this.known = this.known.concat(fresh);
    if (fresh[0] < last) this.known.sort((a, b) => a - b);
    if (this.known.length > MOST) this.forget();
  }

  /* Keep what came with the run and what is near; the rest can be asked for again. */
  forget() {
    const near = (k) => Math.abs(k - this.clock) < MOST / 4;
    const whole = new Set(this.kept);
    for (const k of this.known) if (!whole.has(k) && !near(k)) this.frames.delete(k);
    this.known = [...this.frames.keys()].sort((a, b) => a - b);
  }

  async fetch(steps) {
    const { run, socket } = this.store;
    const missing = steps.filter((k) => k <= run.total && !this.frames.has(k));
    if (!missing.length) return;
    const answer = await socket.ask({ type: "frames", run: run.run, steps: missing });
    if (answer.run !== this.store.run.run) return;
    this.keep(answer.frames);
    if (answer.total !== run.total || answer.diverged !== run.diverged) {
      run.total = answer.total;
      run.diverged = answer.diverged;
      if (answer.message) run.message = answer.message;
      this.store.tell("total");
    }
  }

  /* What is known of the run as {steps, losses, validation, seen}, at most some 1,200. */
  history() {
    const { run } = this.store;
    const last = run.frames.steps[run.frames.steps.length - 1] ?? 0;
    if ((this.known[this.known.length - 1] ?? 0) <= last) return run.frames;
    const stride = Math.ceil(this.known.length / 1200);
    const steps = this.known.filter((_, i, all) => i % stride === 0 || i === all.length - 1);
    const found = steps.map((k) => this.frames.get(k));
    const column = (name) => found.map((frame) => frame[name]);
    return {
      steps,
      losses: column("loss"),
      validation: run.frames.validation ? column("validation") : null,
      seen: run.frames.seen ? column("seen") : null,
    };
  }

  /* The frame at a step: itself, or one between its neighbours. */
  near(step) {
    const found = this.frames.get(step);
    if (found) return found;
    const after = countUpTo(this.known, step);
    const a = this.frames.get(this.known[after - 1]);
    const b = this.frames.get(this.known[after]);
    if (!a && !b) return null;
    if (!a || !b) return { ...(a ?? b), step, exact: false };
    return frameBetween(a, b, step);
  }

  /* Go to a step: nearly at once, exactly as soon as the server has answered. */
  async seek(step, { clock = null } = {}) {
    if (!this.store.run) return;
    step = clamp(Math.round(step), 0, this.total);
    this.clock = clock ?? step;
    this.line = -1;
    this.asked = Math.min(this.asked, step - 1);
    this.show(step);
    const needed = [step, step + 1].filter((k) => k <= this.total && !this.frames.has(k));
    if (!needed.length) return;
    const wanted = (this.wanted = {});
    const run = this.store.run;
    await new Promise((go) => setTimeout(go, 60)); // a slider passes many steps
    if (wanted !== this.wanted || run !== this.store.run) return;
    try {
      await this.fetch(needed);
    } catch {
      return; // the run is over, or the connection: both are told elsewhere
    }
    if (this.store.step === step && run === this.store.run) this.show(step);
  }

  show(step) {
    const frame = this.near(step);
    if (!frame) return;
    this.pose = frame;
    this.store.step = step;
    this.store.frame = frame.exact ? frame : unread(frame);
    this.store.tell("frame");
    this.store.tell("pose");
  }

  play() {
    if (!this.store.run) return;
    if (this.store.step >= this.total) this.seek(0);
    this.store.playing = true;
    this.store.tell("playing");
  }

  /* Stop where time stands, at a whole step. */
  pause() {
    this.store.playing = false;
    this.line = -1;
    this.clock = this.store.step;
    if (this.store.run) this.show(this.store.step);
    this.store.tell("playing");
  }

  reset() {
    if (this.store.playing) this.pause();
    return this.seek(0);
  }

  /* One whole step on; back with -1. */
  step(count = 1) {
    if (this.store.playing) this.pause();
    return this.seek(this.store.step + count);
  }

  /* The next of the five lines; the fifth takes the step. */
  async substep() {
    if (this.store.playing) this.pause();
    const { step } = this.store;
    if (step >= this.total) return;
    const line = this.line >= LINES - 1 ? 0 : this.line + 1;
    if (line === LINES - 1) await this.seek(step + 1);
    else this.store.tell("frame");
    this.line = line;
    this.store.tell("pose");
  }

  /* Called once for each picture that is drawn; dt in seconds. */
  tick(dt) {
    const { run, playing } = this.store;
    if (!playing || !run) return;
    const stride = Math.max(1, Math.floor(this.speed / 120));
    const next = Math.min(this.clock + this.speed * dt, run.total);
    this.ahead(next, stride);
    const step = Math.floor(next);
    const after = countUpTo(this.known, step);
    const here = this.known[after - 1];
    if (here === undefined || step - here > 2 * stride) {
      if (this.known[after] === undefined) this.finish(); // it ends before its total
      return; // the frame is on its way: time waits for it
    }
    this.clock = next;
    const moved = here !== this.store.step;
    if (moved) {
      this.store.step = here;
      this.store.frame = this.frames.get(here);
    }
    this.pose = this.between(here, next);
    if (moved) this.store.tell("frame");
    this.store.tell("pose");
    if (step >= run.total) this.finish();
  }

  finish() {
    const last = Math.min(this.total, this.known[this.known.length - 1] ?? 0);
    this.store.step = last;
    this.pause();
  }

  /* What to show at a fraction of a step; sets the line that runs. */
  between(here, clock) {
    const frame = this.frames.get(here);
    const share = clock - here;
    this.line = this.speed <= SLOW ? Math.min(LINES - 1, Math.floor(share * LINES)) : -1;
    const after = this.speed <= SMOOTH ? this.frames.get(here + 1) : null;
    if (!after || share <= 0 || share >= 1) return frame;
    // At a speed that can be followed only the fifth line moves anything.
    const moved =
      this.speed <= SLOW ? ease(clamp(share * LINES - (LINES - 1), 0, 1)) : share;
    return moved > 0 ? frameBetween(frame, after, here + moved) : frame;
  }

  /* Ask for what is needed within the next two seconds, one question at a time. */
  ahead(clock, stride) {
    const { run } = this.store;
    const needed = clock + Math.max(30, 2 * this.speed);
    if (this.pending || this.asked >= run.total || needed < this.asked) return;
    const width = run.frames.parameters[0]?.length ?? 1;
    const count = clamp(Math.floor(NUMBERS / width), 20, 1500);
    const from = Math.max(Math.floor(clock), this.asked + 1);
    const first = Math.ceil(from / stride) * stride;
    const wanted = [];
    for (let k = first; k <= run.total && wanted.length < count; k += stride) {
      wanted.push(k);
      if (k > needed + this.speed) break;
    }
    this.asked = wanted.length ? wanted[wanted.length - 1] : run.total;
    if (this.asked + stride > run.total) this.asked = run.total;
    this.pending = true;
    const done = () => {
      if (run === this.store.run) this.pending = false;
    };
    this.fetch(wanted).then(done, done);
  }
}
