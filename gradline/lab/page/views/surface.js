/* The loss over two parameters: contours, the path of the descent, the optimum.

   Drawn seldom, on layers: heat and contours, axes, the whole path faintly; and the
   trail up to where time stands, which grows with it. Drawn for each picture: start,
   optimum and the current point. When features are standardised, or no longer, the
   picture goes from one kind of coordinates to the other before one's eyes. */

import { clamp, countUpTo, ease, excessAt, extent, inward, inwardAt } from "../maths.js";
import { drawAxes, inside, layOut, note } from "./axes.js";
import { bowlAt, landmarks, levelsFor, restingPlace, spanOf } from "./bowl.js";
import { Canvas } from "./canvas.js";
import { drawArrow, drawCross, drawDiamond, drawDisc, drawRing, drawWords } from "./marks.js";
import { drawBowl, drawGrid } from "./heat.js";
import { Glide } from "./glide.js";
import { still } from "./stage.js";
import { short } from "./ticks.js";

const MORPH = 700; // ms from canyon to round
const FAR = 1e5; // px, beyond which a canvas loses its precision

export class SurfaceView {
  constructor(element, store, player) {
    this.store = store;
    this.player = player;
    this.dirty = true;
    this.canvas = new Canvas(element, () => (this.dirty = true));
    this.ground = this.canvas.layer();
    this.trail = this.canvas.layer();
    this.limits = new Glide();
    this.share = null; // of the way from raw to standardised, as drawn
    this.morph = null; // {from, to, began}
    this.fresh = true;
    this.dragging = null; // the start, [u, v], while it is dragged
    store.on("run", () => this.take());
    store.on("view total", () => (this.fresh = this.dirty = true));
    store.on("pose", () => (this.dirty = true));
    this.listen();
  }

  take() {
    const { run, data, setting } = this.store;
    const to = setting.standardize ? 1 : 0;
    this.marks = landmarks(run);
    const plain = setting.optimizer === "SGD" && setting.loss === "squared";
    this.decay = plain ? setting.weight_decay : 0;
    const name = [data.title, data.terms, run.surface.axes, Boolean(run.surface.grid)].join("|");
    const same = name === this.name;
    this.name = name;
    this.fresh = this.dirty = true;
    if (this.share === null || !same || still()) {
      this.share = to;
      this.morph = null;
    } else if (to !== (this.morph?.to ?? this.share)) {
      const before = this.limits.now;
      const first = this.spanAt(this.share);
      const off = before.map((v, i) => v - first[i]);
      this.morph = { from: this.share, to, began: performance.now(), off };
      this.limits.from = null;
    }
    if (!this.morph && !this.dragging) this.limits.aim(this.spanAt(to), { jump: !same });
  }

  spanAt(share) {
    const { run } = this.store;
    const { axes, grid } = run.surface;
    if (grid) return [...extent(grid.x), ...extent(grid.y)];
    return spanOf(this.marks, bowlAt(run, share).frame, axes);
  }

  /* Go on with what moves; whether anything did. */
  move(now) {
    if (!this.morph) return this.limits.move(now);
    const { from, to, began, off } = this.morph;
    const share = clamp((now - began) / MORPH, 0, 1);
    this.share = from + (to - from) * ease(share);
    const span = this.spanAt(this.share);
    const rest = (1 - ease(share)) ** 2;
    this.limits.now = this.limits.to = span.map((v, i) => v + off[i] * rest);
    if (share >= 1) this.morph = null;
    return true;
  }

  draw(now) {
    const { canvas, player } = this;
    if (!canvas.fit()) return false;
    const { run } = this.store;
    if (!run || !player.pose || !this.marks) {
      canvas.clear();
      return false;
    }
    const moving = this.move(now);
    if (moving || this.fresh || canvas.stale) this.drawGround();
    this.drawTrail();
    canvas.clear();
    canvas.put(this.ground);
    canvas.put(this.trail);
    this.drawMarks();
    return moving;
  }

  drawGround() {
    const { canvas, ground } = this;
    const { run, view } = this.store;
    canvas.stale = this.fresh = false;
    const { axes, names, grid } = run.surface;
    const [u1, u2, v1, v2] = this.limits.now;
    const d = run.inner.raw.scale.length;
    const kind = this.share > 0.5 ? "standardised " : "";
    const title = (k) => (axes[k] === d ? "bias" : `weight of ${kind}${names[k]}`);
    this.plot = layOut(
      canvas,
      { limits: [u1, u2], title: title(0) },
      { limits: [v1, v2], title: title(1) },
      { square: view.equal !== false && !grid },
    );
    this.bowl = bowlAt(run, this.share);
    const { decay } = this;
    const turning = this.share > 0 && this.share < 1;
    this.rest = decay && d === 1 && !grid && !turning ? restingPlace(this.bowl, decay) : null;
    canvas.clear(ground);
    const { xLimits, yLimits } = this.plot;
    inside(ground, this.plot, () => {
      if (grid) drawGrid(ground, canvas, this.plot, grid);
      else {
        const first = this.coordinates(run.frames.parameters[0]);
        const { root, centre } = this.bowl;
        const excess = excessAt(root, first[0] - centre[0], first[1] - centre[1]);
        const levels = levelsFor(excess, this.bowl, [...xLimits, ...yLimits]);
        drawBowl(ground, canvas, this.plot, this.bowl, levels);
      }
      this.drawWhole(ground);
    });
    drawAxes(ground, canvas, this.plot, { grid: false });
    this.trailTo = -1;
  }

  /* The two coordinates of raw parameters, as the picture has them. */
  coordinates(parameters) {
    const { axes } = this.store.run.surface;
    return axes.map((index) => inwardAt(parameters, this.bowl.frame, index));
  }

  px(parameters) {
    const [index] = this.store.run.surface.axes;
    return clamp(this.plot.x(inwardAt(parameters, this.bowl.frame, index)), -FAR, FAR);
  }

  py(parameters) {
    const index = this.store.run.surface.axes[1];
    return clamp(this.plot.y(inwardAt(parameters, this.bowl.frame, index)), -FAR, FAR);
  }

  drawWhole(c) {
    c.strokeStyle = this.canvas.colour("path");
    c.globalAlpha = 0.22;
    c.lineWidth = 1.25;
    c.lineJoin = "round";
    c.beginPath();
    let [lastX, lastY] = [Infinity, Infinity];
    for (const p of this.store.run.frames.parameters) {
      if (!p.every(Number.isFinite)) break;
      const x = this.px(p);
      const y = this.py(p);
      if (Math.abs(x - lastX) + Math.abs(y - lastY) < 0.7) continue;
      c.lineTo(x, y);
      [lastX, lastY] = [x, y];
    }
    c.stroke();
    c.globalAlpha = 1;
  }

  /* Add to the trail what is new; from the start again where time went back. */
  drawTrail() {
    const { player, canvas, trail: c, plot } = this;
    const { step } = player.pose;
    const { known } = player;
    const whole = Math.floor(step);
    const inserted = player.version !== this.version && this.late(known);
    if (step < this.trailTo || this.trailTo < 0 || inserted) {
      canvas.clear(c);
      this.trailTo = -1;
    }
    this.version = player.version;
    const from = this.trailTo < 0 ? 0 : countUpTo(known, this.trailTo) - 1;
    const to = countUpTo(known, whole);
    if (to - from < 2 && this.trailTo >= 0) return;
    inside(c, plot, () => this.drawSteps(c, known, from, to));
    this.trailTo = known[to - 1] ?? 0;
    this.trailCount = to;
  }

  /* Whether frames arrived for steps that the trail has passed already. */
  late(known) {
    return this.trailTo >= 0 && countUpTo(known, this.trailTo) !== this.trailCount;
  }

  drawSteps(c, known, from, to) {
    const colour = this.canvas.colour("path");
    c.strokeStyle = c.fillStyle = colour;
    c.lineWidth = 1.75;
    c.lineJoin = c.lineCap = "round";
    c.beginPath();
    const dots = [];
    let [lastX, lastY] = [Infinity, Infinity];
    for (let n = from; n < to; n++) {
      const { parameters } = this.player.frames.get(known[n]);
      const x = this.px(parameters);
      const y = this.py(parameters);
      const far = Math.abs(x - lastX) + Math.abs(y - lastY);
      if (far < 0.6 && n < to - 1) continue;
      c.lineTo(x, y);
      if (far > 6 && dots.length < 240 && Math.abs(x) < FAR) dots.push(x, y);
      [lastX, lastY] = [x, y];
    }
    c.stroke();
    c.beginPath();
    for (let i = 0; i < dots.length; i += 2) {
      c.moveTo(dots[i] + 2.4, dots[i + 1]);
      c.arc(dots[i], dots[i + 1], 2.4, 0, 2 * Math.PI);
    }
    c.fill();
  }

  drawMarks() {
    const { canvas, plot, player } = this;
    const { run } = this.store;
    const c = canvas.context;
    const { parameters, step } = player.pose;
    const x = this.px(parameters);
    const y = this.py(parameters);
    const first = run.frames.parameters[0];
    inside(c, plot, () => {
      this.drawLast(c, x, y, step);
      drawCross(c, canvas, this.px(run.optimum.parameters), this.py(run.optimum.parameters));
      if (this.rest) drawDiamond(c, canvas, plot.x(this.rest[0]), plot.y(this.rest[1]));
      const [u, v] = this.dragging ?? this.coordinates(first);
      drawRing(c, canvas, plot.x(u), plot.y(v), this.near || this.dragging ? 7 : 5);
    });
    const inSight =
      x > plot.left - 2 && x < plot.right + 2 && y > plot.top - 2 && y < plot.bottom + 2;
    if (inSight) drawDisc(c, canvas, x, y);
    else drawArrow(c, canvas, plot, x, y);
    if (run.diverged !== null && run.diverged !== undefined && step >= run.total) {
      // At the end away from the arrow.
      const below = y < (plot.top + plot.bottom) / 2;
      const at = below ? plot.bottom - 14 : plot.top + 14;
      drawWords(c, canvas, "diverged", (plot.left + plot.right) / 2, at, "bad");
    }
    if (this.hover) this.drawHover(c);
  }

  /* From the last whole step to where time stands. */
  drawLast(c, x, y, step) {
    if (step === Math.floor(step)) return;
    const before = this.player.frames.get(Math.floor(step));
    if (!before) return;
    c.strokeStyle = this.canvas.colour("path");
    c.lineWidth = 1.75;
    c.beginPath();
    c.moveTo(this.px(before.parameters), this.py(before.parameters));
    c.lineTo(x, y);
    c.stroke();
  }

  drawHover(c) {
    const { plot, canvas } = this;
    const { run } = this.store;
    const [px, py] = this.hover;
    const [u, v] = [plot.x.invert(px), plot.y.invert(py)];
    const { names, axes } = run.surface;
    const d = run.inner.raw.scale.length;
    const name = (k) => (axes[k] === d ? "bias" : names[k]);
    const lines = [`${name(0)} ${short(u)}`, `${name(1)} ${short(v)}`];
    if (!run.surface.grid) {
      const { root, centre } = this.bowl;
      const { base } = this.share > 0.5 ? run.surface.standardised : run.surface.raw;
      lines.push(`loss ${short(base + excessAt(root, u - centre[0], v - centre[1]))}`);
    }
    note(c, canvas, lines, px, py);
  }

  /* The pointer: read the loss anywhere, drag the start. */
  listen() {
    const { element } = this.canvas;
    element.style.touchAction = "pan-y";
    const where = (event) => {
      const box = element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const atStart = ([px, py], reach) => {
      if (!this.plot || !this.store.run || this.morph) return false;
      const first = this.store.run.frames.parameters[0];
      return Math.hypot(this.px(first) - px, this.py(first) - py) < reach;
    };
    const on = (kind, act, options) => element.addEventListener(kind, act, options);
    on("touchstart", (event) => {
      if (event.touches.length === 1 && atStart(where(event.touches[0]), 24)) {
        event.preventDefault();
      }
    }, { passive: false });
    on("pointerdown", (event) => {
      const at = where(event);
      if (!atStart(at, event.pointerType === "touch" ? 24 : 12)) return;
      element.setPointerCapture(event.pointerId);
      this.dragging = at.map((v, k) => (k ? this.plot.y : this.plot.x).invert(v));
      this.hover = null;
    });
    on("pointermove", (event) => {
      const at = where(event);
      this.dirty = true;
      if (this.dragging) {
        const { left, right, top, bottom } = this.plot;
        this.dragging = [
          this.plot.x.invert(clamp(at[0], left, right)),
          this.plot.y.invert(clamp(at[1], top, bottom)),
        ];
        this.moveStart();
        return;
      }
      this.near = atStart(at, 12);
      element.style.cursor = this.near ? "grab" : "default";
      const { left, right, top, bottom } = this.plot ?? { left: 1, right: 0 };
      const over = at[0] > left && at[0] < right && at[1] > top && at[1] < bottom;
      this.hover = over && !this.near && event.pointerType === "mouse" ? at : null;
    });
    const done = () => {
      if (this.dragging && this.store.run) {
        this.dragging = null;
        this.take();
      }
      this.hover = null;
      this.dirty = true;
    };
    on("pointerup", done);
    on("pointercancel", done);
    on("pointerleave", () => !this.dragging && done());
  }

  /* Begin elsewhere: in the coordinates of the descent. */
  moveStart() {
    const { run } = this.store;
    const kind = this.share > 0.5 ? "standardised" : "raw";
    const start = inward(run.frames.parameters[0], run.inner[kind]);
    run.surface.axes.forEach((index, k) => (start[index] = this.dragging[k]));
    this.store.change({ start });
  }
}
