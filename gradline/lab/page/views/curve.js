/* The loss by epoch: linear, logarithmic, or its gap to the optimum. Click or drag goes
   there.

   Two layers: the whole curve faint with axes and labels, and the same curve strong, of
   which each picture shows as much as has been walked. */

import { clamp, countUpTo } from "../maths.js";
import { drawAxes, inside, layOut } from "./axes.js";
import { Canvas } from "./canvas.js";
import { Glide } from "./glide.js";
import { early, lossLimits, lowest, seriesOf } from "./losses.js";
import { plain, short } from "./ticks.js";

const TITLES = { linear: "loss", log: "loss", gap: "loss above the optimum" };
const GROW = 300; // ms between two looks at how far a loop has walked
const FAR = 1e4; // px, beyond which a line needs no precision

export class CurveView {
  constructor(element, store, player) {
    this.store = store;
    this.player = player;
    this.dirty = true;
    this.canvas = new Canvas(element, () => (this.dirty = true));
    this.faint = this.canvas.layer();
    this.strong = this.canvas.layer();
    this.limits = new Glide();
    this.fresh = true;
    store.on("run total view", () => this.take());
    store.on("pose", () => (this.dirty = true));
    this.listen();
  }

  take() {
    const { run, view, data } = this.store;
    if (!run) return;
    const mode = TITLES[view.curve] ? view.curve : "log";
    this.series = seriesOf(run, mode, this.player.history());
    this.version = this.player.version;
    this.since = performance.now();
    const name = `${data?.title}|${data?.target}|${mode}`;
    this.limits.aim(this.wanted(lossLimits(this.series, run.diverged)), {
      jump: name !== this.name,
    });
    this.name = name;
    this.perEpoch = run.per_epoch ?? 1;
    this.fresh = this.dirty = true;
  }

  /* Limits glide as exponents where the axis is logarithmic. */
  wanted(limits) {
    return this.series.log ? limits.map(Math.log10) : limits;
  }

  draw(now) {
    const { canvas, player } = this;
    if (!canvas.fit()) return false;
    const { run } = this.store;
    if (!run || !this.series || !player.pose) {
      canvas.clear();
      return false;
    }
    if (this.grown(now)) this.take();
    const moving = this.limits.move(now);
    if (moving || this.fresh || canvas.stale) this.drawLayers();
    canvas.clear();
    canvas.put(this.faint);
    this.drawWalked();
    this.drawNow();
    return moving;
  }

  /* Whether a loop has walked on beyond what is drawn; looked at now and then. */
  grown(now) {
    const { known, version } = this.player;
    const { steps } = this.series;
    if (version === this.version || now - this.since < GROW) return false;
    return known[known.length - 1] > steps[steps.length - 1];
  }

  xOf(step) {
    return this.plot.x(this.logX ? Math.max(step, 0.5) / this.perEpoch : step / this.perEpoch);
  }

  drawLayers() {
    const { canvas, faint, strong, series } = this;
    const { run } = this.store;
    canvas.stale = this.fresh = false;
    this.logX = early(series, run.total);
    const end = Math.max(1, run.total) / this.perEpoch;
    const limits = series.log ? this.limits.now.map((v) => 10 ** v) : this.limits.now;
    this.plot = layOut(
      canvas,
      {
        limits: this.logX ? [0.5 / this.perEpoch, end] : [0, end],
        log: this.logX,
        whole: true,
        title: this.logX ? "epoch, logarithmic" : "epoch",
      },
      { limits, title: TITLES[series.mode], log: series.log },
    );
    for (const c of [faint, strong]) canvas.clear(c);
    drawAxes(faint, canvas, this.plot);
    inside(faint, this.plot, () => {
      this.drawSeen(faint);
      this.drawOptimum(faint);
    });
    inside(faint, this.plot, () => this.drawLines(faint, 0.28, 1.5), 2);
    inside(strong, this.plot, () => this.drawLines(strong, 1, 2.25), 2);
    this.drawLabels(faint);
  }

  drawLines(c, alpha, width) {
    const { series, canvas } = this;
    c.globalAlpha = alpha;
    c.lineWidth = width;
    c.lineJoin = "round";
    if (series.validation) this.drawLine(c, series.validation, canvas.colour("held"), [7, 4]);
    this.drawLine(c, series.training, canvas.colour("line"), []);
    c.globalAlpha = 1;
  }

  drawLine(c, values, colour, dashes) {
    const { plot, series } = this;
    c.strokeStyle = colour;
    c.setLineDash(dashes);
    c.beginPath();
    let open = false;
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) {
        open = false;
        return;
      }
      const x = this.xOf(series.steps[i]);
      const y = clamp(plot.y(value), -FAR, FAR);
      if (open) c.lineTo(x, y);
      else c.moveTo(x, y);
      open = true;
    });
    c.stroke();
    c.setLineDash([]);
  }

  /* What each step itself saw: the loss of its minibatch. */
  drawSeen(c) {
    const { series, plot, canvas } = this;
    const { seen } = series;
    if (!seen) return;
    c.fillStyle = canvas.colour("line");
    c.globalAlpha = 0.25;
    seen.forEach((value, i) => {
      if (Number.isFinite(value)) {
        c.fillRect(this.xOf(series.steps[i]) - 1, plot.y(value) - 1, 2, 2);
      }
    });
    c.globalAlpha = 1;
  }

  drawOptimum(c) {
    const { series, plot, canvas } = this;
    if (series.optimum === null || (series.log && !(series.optimum > 0))) return;
    const y = Math.round(plot.y(series.optimum)) + 0.5;
    c.strokeStyle = canvas.colour("optimum");
    c.lineWidth = 1.25;
    c.setLineDash([6, 5]);
    c.beginPath();
    c.moveTo(plot.left, y);
    c.lineTo(plot.right, y);
    c.stroke();
    c.setLineDash([]);
  }

  /* Names at the lines themselves, each where it covers neither a line nor a name. */
  drawLabels(c) {
    const { series, plot, canvas } = this;
    const { run } = this.store;
    this.taken = [];
    c.font = canvas.font(11, 500);
    c.textBaseline = "alphabetic";
    c.textAlign = "left";
    const { optimum } = series;
    if (optimum !== null && plot.y(optimum) > plot.top && plot.y(optimum) < plot.bottom + 1) {
      const text = `optimum ${short(optimum)}`;
      const left = plot.right - 4 - c.measureText(text).width;
      this.drawName(c, text, "optimum", [[left, plot.y(optimum)]]);
    }
    if (series.validation) {
      for (const [values, text, colour] of [
        [series.validation, "validation", "held"],
        [series.training, "training", "line"],
      ]) {
        const places = [];
        for (const share of [0.55, 0.35, 0.75, 0.2]) {
          const i = this.placeAt(share);
          const y = plot.y(values[i]);
          if (y > plot.top) places.push([this.xOf(series.steps[i]), y]);
        }
        this.drawName(c, text, colour, places);
      }
    }
    if (run.diverged !== null && run.diverged !== undefined) this.drawDiverged(c);
    this.drawBest(c);
  }

  /* A name above or below the first of some places where it has room. */
  drawName(c, text, colour, places) {
    const { plot } = this;
    const wide = c.measureText(text).width;
    let first = null;
    for (const [x, y] of places) {
      for (const line of [y - 6, y + 14, y - 20, y - 34]) {
        const box = [Math.min(x, plot.right - wide), line - 10, wide, 13];
        first ??= box;
        if (line < plot.top + 8 || line > plot.bottom - 3 || this.covers(box)) continue;
        first = box;
        places = null;
        break;
      }
      if (!places) break;
    }
    if (!first) return;
    this.taken.push(first);
    c.fillStyle = this.canvas.colour(colour);
    c.fillText(text, first[0], first[1] + 10);
  }

  /* Whether a box [left, top, width, height] lies on a name or a line. */
  covers([left, top, wide, high]) {
    const { series, plot } = this;
    for (const [l, t, w, h] of this.taken) {
      if (left < l + w + 6 && l < left + wide + 6 && top < t + h && t < top + high) return true;
    }
    const hit = (y) => y > top - 1 && y < top + high + 1;
    if (series.optimum !== null && hit(plot.y(series.optimum))) return true;
    for (const values of [series.training, series.validation ?? []]) {
      for (let k = 0; k <= 4; k++) {
        const share = (left + (wide * k) / 4 - plot.left) / (plot.right - plot.left);
        if (hit(plot.y(values[this.placeAt(share)]))) return true;
      }
    }
    return false;
  }

  placeAt(share) {
    const { series, plot } = this;
    const x = plot.left + (plot.right - plot.left) * share;
    const step = plot.x.invert(x) * this.perEpoch;
    return clamp(countUpTo(series.steps, step) - 1, 0, series.steps.length - 1);
  }

  /* Where the curve leaves the top: an arrow and the word. */
  drawDiverged(c) {
    const { series, plot, canvas } = this;
    const i = series.training.findIndex((v) => Number.isFinite(v) && plot.y(v) < plot.top);
    if (i < 0) return;
    const [x1, x2] = [Math.max(0, i - 1), i].map((k) => this.xOf(series.steps[k]));
    const [y1, y2] = [Math.max(0, i - 1), i].map((k) => plot.y(series.training[k]));
    const over = x1 + ((x2 - x1) * (plot.top - y1)) / (y2 - y1 || 1);
    const x = clamp(over, plot.left + 8, plot.right - 8);
    c.fillStyle = canvas.colour("bad");
    c.beginPath();
    c.moveTo(x, plot.top - 8);
    c.lineTo(x - 5, plot.top + 1);
    c.lineTo(x + 5, plot.top + 1);
    c.fill();
    c.font = canvas.font(11, 600);
    const right = x > (plot.left + plot.right) / 2;
    c.textAlign = right ? "right" : "left";
    c.fillText("diverges", right ? x - 9 : x + 9, plot.top + 2);
  }

  drawBest(c) {
    const { series, plot, canvas } = this;
    if (!series.validation) return;
    const i = lowest(series.validation);
    if (i === null) return;
    const x = this.xOf(series.steps[i]);
    const y = plot.y(series.validation[i]);
    if (y < plot.top || y > plot.bottom) return;
    c.strokeStyle = c.fillStyle = canvas.colour("held");
    c.lineWidth = 1.75;
    c.beginPath();
    c.arc(x, y, 4.5, 0, 2 * Math.PI);
    c.stroke();
    const last = i >= series.steps.length - 1;
    if (last) return; // still getting better: nothing to say
    const epoch = plain(Math.round((10 * series.steps[i]) / this.perEpoch) / 10);
    c.font = canvas.font(11, 500);
    c.textAlign = "left";
    this.drawName(c, `best at ${epoch}`, "held", [[x + 7, y], [x + 7, y - 10], [x + 7, y - 26]]);
  }

  drawWalked() {
    const { canvas } = this;
    const c = canvas.context;
    const x = this.xOf(this.player.pose.step);
    c.save();
    c.beginPath();
    c.rect(0, 0, x, canvas.height);
    c.clip();
    canvas.put(this.strong);
    c.restore();
  }

  drawNow() {
    const { canvas, plot, series, player } = this;
    const c = canvas.context;
    const { step, loss, validation } = player.pose;
    const x = this.xOf(step);
    c.strokeStyle = canvas.colour("muted");
    c.lineWidth = 1;
    c.globalAlpha = 0.6;
    c.beginPath();
    c.moveTo(Math.round(x) + 0.5, plot.top);
    c.lineTo(Math.round(x) + 0.5, plot.bottom);
    c.stroke();
    c.globalAlpha = 1;
    if (series.validation && validation !== null) this.drawValue(c, x, validation, "held");
    this.drawValue(c, x, loss, "line", true);
  }

  drawValue(c, x, loss, name, said = false) {
    const { canvas, plot, series } = this;
    const value = series.shown(loss);
    const y = Number.isFinite(value) ? plot.y(value) : plot.bottom;
    const at = clamp(y, plot.top, plot.bottom);
    c.fillStyle = canvas.colour(name);
    c.strokeStyle = canvas.colour("panel");
    c.lineWidth = 2;
    c.beginPath();
    c.arc(x, at, 5, 0, 2 * Math.PI);
    c.fill();
    c.stroke();
    if (!said) return;
    c.font = canvas.font(12, 600);
    const text = short(series.mode === "gap" && Number.isFinite(value) ? value : loss);
    const wide = c.measureText(text).width;
    const right = x + wide + 16 < plot.right;
    const left = right ? x + 9 : x - 9 - wide;
    const top = at < plot.top + 18 ? at + 16 : at - 11;
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.lineJoin = "round";
    c.lineWidth = 4;
    c.strokeText(text, left, top);
    c.fillStyle = canvas.colour("ink");
    c.fillText(text, left, top);
  }

  /* Click or drag goes to that step. */
  listen() {
    const { element } = this.canvas;
    element.style.touchAction = "pan-y";
    element.style.cursor = "ew-resize";
    let held = false;
    const go = (event) => {
      if (!this.plot || !this.store.run) return;
      const box = element.getBoundingClientRect();
      const step = this.plot.x.invert(event.clientX - box.left) * this.perEpoch;
      if (this.store.playing) this.player.pause();
      this.player.seek(Math.round(step));
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      held = true;
      element.setPointerCapture(event.pointerId);
      go(event);
    });
    element.addEventListener("pointermove", (event) => held && go(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      element.addEventListener(kind, () => (held = false));
    }
  }
}
