/* The loss by epoch: linear, logarithmic, or its gap to the optimum. Click or drag goes
   there.

   Two layers: the whole curve faint with axes and labels, and the same curve strong, of
   which each picture shows as much as has been walked. */

import { clamp, countUpTo } from "../maths.js";
import { show } from "../numbers.js";
import { drawAxes, inside, layOut } from "./axes.js";
import { Canvas } from "./canvas.js";
import { Glide } from "./glide.js";
import { early, lossLimits, lowest, seriesOf } from "./losses.js";
import { freePlace, meet } from "./places.js";
import { plain } from "./ticks.js";

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
    this.drawEnd(faint);
    this.drawBest(faint);
    this.placeNames();
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

  /* Names at the lines themselves, the most telling first: each gets the first of its
     places that is free, and is left out where none is. */
  placeNames() {
    const { series, plot, canvas } = this;
    const { run } = this.store;
    const { optimum } = series;
    const c = canvas.context;
    this.names = [];
    c.font = canvas.font(11, 500);
    const add = (text, colour, places, more) => {
      const wide = c.measureText(text).width;
      const found = freePlace(places(wide), wide, 13, plot, (box) => this.covers(box));
      if (found) this.names.push({ text, colour, box: found, ...more });
    };
    const lines = (x, y) => [-17, 5, -31, 19, -45].map((off) => [x, y + off]);
    if (run.diverged !== null && run.diverged !== undefined) this.placeEnd(add);
    if (optimum !== null && plot.y(optimum) > plot.top && plot.y(optimum) < plot.bottom + 1) {
      const y = plot.y(optimum);
      add(`optimum ${show(optimum)}`, "optimum", (wide) =>
        [1, 0.7, 0.4].flatMap((share) => [
          [this.across(share) - wide - 4, y - 15],
          [this.across(share) - wide - 4, y + 4],
          [this.across(share) - wide - 4, y - 29],
          [this.across(share) - wide - 4, y - 43],
        ]),
      );
    }
    const best = this.bestPlace();
    if (best?.text) {
      const { x, y } = best;
      add(best.text, "held", (wide) =>
        [[x + 9, y - 6], [x - wide - 9, y - 6], ...lines(x - wide / 2, y), ...lines(x + 9, y)],
      );
    }
    if (!series.validation) return;
    for (const [values, text, colour] of [
      [series.validation, "validation", "held"],
      [series.training, "training", "line"],
    ]) {
      add(text, colour, () =>
        [0.55, 0.35, 0.75, 0.2, 0.1].flatMap((share) => {
          const i = this.placeAt(share);
          return lines(this.xOf(series.steps[i]), plot.y(values[i]));
        }),
      );
    }
  }

  across(share) {
    return this.plot.left + (this.plot.right - this.plot.left) * share;
  }

  /* Draw those of the names that the value, box, leaves to be seen. */
  drawNames(c, box) {
    const { canvas } = this;
    c.font = canvas.font(11, 500);
    c.textBaseline = "middle";
    c.textAlign = "left";
    for (const name of this.names) {
      if (box && meet(name.box, box)) continue;
      c.fillStyle = canvas.colour(name.colour);
      c.fillText(name.text, name.box[0], name.box[1] + name.box[3] / 2);
    }
  }

  /* Whether a box [left, top, width, height] lies on a name or a line. */
  covers(box) {
    if (this.names.some((name) => meet(name.box, box))) return true;
    return this.onLine(box);
  }

  onLine([left, top, wide, high]) {
    const { series, plot } = this;
    const hit = (y1, y2) => Math.max(y1, y2) > top - 1 && Math.min(y1, y2) < top + high + 1;
    if (series.optimum !== null) {
      const y = plot.y(series.optimum);
      if (hit(y, y)) return true;
    }
    for (const values of [series.training, series.validation ?? []]) {
      let last = null;
      for (let x = left - 3; x <= left + wide + 9; x += 6) {
        const y = plot.y(values[this.indexAt(Math.min(x, left + wide + 3))]);
        if (hit(last ?? y, y)) return true;
        last = y;
      }
    }
    return false;
  }

  placeAt(share) {
    return this.indexAt(this.across(share));
  }

  /* The place in the series of what is drawn at x, px. */
  indexAt(x) {
    const { series, plot } = this;
    const step = plot.x.invert(x) * this.perEpoch;
    return clamp(countUpTo(series.steps, step) - 1, 0, series.steps.length - 1);
  }

  /* Where a run that diverges leaves the picture, or ends: an arrow, a line, the words. */
  placeEnd(add) {
    const { run } = this.store;
    const { plot } = this;
    const x = this.leaves() ?? plot.right;
    const epoch = plain(Math.floor(run.diverged / this.perEpoch));
    const places = (wide) => [plot.top - 4, plot.top + 10, plot.top + 24].flatMap((y) => [
      [x + 9, y],
      [x - wide - 9, y],
    ]);
    add(`diverges, over at epoch ${epoch}`, "bad", places);
    if (!this.names.length) add("diverges", "bad", places);
  }

  /* Where the curve leaves the top, px; null where it does not. */
  leaves() {
    const { series, plot } = this;
    const i = series.training.findIndex((v) => Number.isFinite(v) && plot.y(v) < plot.top);
    if (i < 0) return null;
    const [x1, x2] = [Math.max(0, i - 1), i].map((k) => this.xOf(series.steps[k]));
    const [y1, y2] = [Math.max(0, i - 1), i].map((k) => plot.y(series.training[k]));
    const over = x1 + ((x2 - x1) * (plot.top - y1)) / (y2 - y1 || 1);
    return clamp(over, plot.left + 8, plot.right - 8);
  }

  drawEnd(c) {
    const { plot, canvas } = this;
    const { run } = this.store;
    if (run.diverged === null || run.diverged === undefined) return;
    c.fillStyle = c.strokeStyle = canvas.colour("bad");
    c.lineWidth = 1.5;
    c.setLineDash([3, 4]);
    c.beginPath();
    c.moveTo(plot.right, plot.top);
    c.lineTo(plot.right, plot.bottom);
    c.stroke();
    c.setLineDash([]);
    const x = this.leaves();
    if (x === null) return;
    c.beginPath();
    c.moveTo(x, plot.top - 8);
    c.lineTo(x - 5, plot.top + 1);
    c.lineTo(x + 5, plot.top + 1);
    c.fill();
  }

  /* Where the validation loss is least: {x, y, text}, no text at the end of the run. */
  bestPlace() {
    const { series, plot } = this;
    const i = series.validation ? lowest(series.validation) : null;
    if (i === null) return null;
    const x = this.xOf(series.steps[i]);
    const y = plot.y(series.validation[i]);
    if (y < plot.top || y > plot.bottom) return null;
    const epoch = plain(Math.round((10 * series.steps[i]) / this.perEpoch) / 10);
    // At the end it is still getting better: nothing to say.
    return { x, y, text: i >= series.steps.length - 1 ? "" : `best at ${epoch}` };
  }

  drawBest(c) {
    const best = this.bestPlace();
    if (!best) return;
    c.strokeStyle = this.canvas.colour("held");
    c.lineWidth = 1.75;
    c.beginPath();
    c.arc(best.x, best.y, 4.5, 0, 2 * Math.PI);
    c.stroke();
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
    const held = series.validation && validation !== null;
    const dots = held ? [[this.drawDot(c, x, validation, "held"), "held"]] : [];
    dots.push([this.drawDot(c, x, loss, "line"), "line"]);
    const box = this.placeValue(c, x, dots[dots.length - 1][0], dots);
    this.drawNames(c, box);
    this.drawValue(c, box);
  }

  /* The loss where time stands; its height, px. */
  drawDot(c, x, loss, name) {
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
    return at;
  }

  /* The number of the step that store.frame is of; "…" until it is known. */
  said() {
    const { frame } = this.store;
    const { series } = this;
    if (!frame?.exact) return "…";
    const above = series.shown(frame.loss);
    return show(series.mode === "gap" && Number.isFinite(above) ? above : frame.loss);
  }

  /* Beside the dot, where it covers no name, no line and no dot; failing that no name. */
  placeValue(c, x, y, dots) {
    const { canvas, plot } = this;
    c.font = canvas.font(12, 600);
    const wide = c.measureText(this.said()).width;
    const sides = [x + 9, x - 9 - wide];
    const places = [-19, 5, -33, 19, -47, 33, -61].flatMap((off) =>
      sides.map((left) => [left, y + off]),
    );
    const marks = dots.map(([at]) => [x - 6, at - 6, 12, 12]);
    const onMark = (box) => marks.some((mark) => meet(mark, box, 0));
    const onName = (box) => this.names.some((name) => meet(name.box, box));
    const find = (taken) => freePlace(places, wide, 14, plot, taken);
    return (
      find((box) => onMark(box) || onName(box) || this.onLine(box)) ??
      find((box) => onMark(box) || onName(box)) ??
      find(onMark) ?? [clamp(sides[0], plot.left, plot.right - wide), y - 19, wide, 14]
    );
  }

  drawValue(c, [left, top, , high]) {
    const { canvas } = this;
    c.font = canvas.font(12, 600);
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.lineJoin = "round";
    c.lineWidth = 4;
    c.strokeStyle = canvas.colour("panel");
    c.strokeText(this.said(), left, top + high / 2);
    c.fillStyle = canvas.colour("ink");
    c.fillText(this.said(), left, top + high / 2);
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
