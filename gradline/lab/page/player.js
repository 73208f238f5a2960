/* Time: play, pause, step, reset, speed, scrub.

   The frames that came with a run are enough to draw its curve and path; a step between
   them is asked for, and steps ahead of the one that plays are fetched in time. */

const AHEAD = 400; // steps asked for at once

export class Player {
  constructor(store) {
    this.store = store;
    this.speed = 20; // steps a second
    this.frames = new Map(); // step -> frame
    this.asked = -1; // up to here
    this.clock = 0; // fractional step
    store.on("run", () => this.begin());
  }

  begin() {
    const { run } = this.store;
    this.frames.clear();
    this.keep(run.frames);
    this.asked = -1;
    this.seek(Math.min(this.store.step, run.total));
  }

  keep({ steps, parameters, losses, validation }) {
    steps.forEach((step, i) => {
      this.frames.set(step, {
        step,
        parameters: parameters[i],
        loss: losses[i],
        validation: validation ? validation[i] : null,
      });
    });
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
    }
  }

  async seek(step) {
    const { run } = this.store;
    step = Math.max(0, Math.min(Math.round(step), run.total));
    this.clock = step;
    this.store.step = step;
    if (!this.frames.has(step)) {
      try {
        await this.fetch([step]);
      } catch {
        return;
      }
    }
    if (this.store.step === step) this.show(step);
  }

  show(step) {
    const frame = this.frames.get(step);
    if (!frame) return;
    this.store.step = step;
    this.store.frame = frame;
    this.store.tell("frame");
  }

  play() {
    if (!this.store.run) return;
    if (this.store.step >= this.store.run.total) this.seek(0);
    this.store.playing = true;
    this.store.tell("playing");
  }

  pause() {
    this.store.playing = false;
    this.store.tell("playing");
  }

  /* Called once for each picture that is drawn; dt in seconds. */
  tick(dt) {
    const { run, playing } = this.store;
    if (!playing || !run) return;
    const next = Math.min(this.clock + this.speed * dt, run.total);
    const step = Math.floor(next);
    if (this.frames.has(step)) {
      this.clock = next;
      if (step !== this.store.step) this.show(step);
    }
    if (step + AHEAD / 2 > this.asked && this.asked < run.total) {
      const from = Math.max(step, this.asked + 1);
      this.asked = Math.min(run.total, from + AHEAD);
      const steps = Array.from({ length: this.asked - from + 1 }, (_, i) => from + i);
      this.fetch(steps).catch(() => {});
    }
    if (step >= run.total) this.pause();
  }
}
