/* The data, the line as it moves, its residuals; points are added, moved, deleted.

   Drawn seldom, on a layer: axes, dots that stand still or their density, the line of
   the optimum and the truth. Drawn for each picture: the line, residuals, dots that
   move, what the pointer is at. Training rows are discs, held-out ones open diamonds. */

import { clamp, predict } from "../maths.js";
import { drawAxes, inside, layOut, note } from "./axes.js";
import { Canvas } from "./canvas.js";
import { drawDensity, drawDensityKey } from "./density.js";
import { kindOf, makePicture, sample } from "./dots.js";
import { Editor } from "./edit.js";
import { Glide } from "./glide.js";
import { drawWords } from "./marks.js";
import { short } from "./ticks.js";

const MOST_RESIDUALS = 400;

export class DataView {
  constructor(element, store, player) {
    this.store = store;
    this.player = player;
    this.dirty = true;
    this.canvas = new Canvas(element, () => (this.dirty = true));
    this.layer = this.canvas.layer();
    this.picture = null;
    this.limits = new Glide(); // x low, x high, y low, y high
    this.fresh = true; // the layer must be drawn again
    store.on("data run", () => this.remake());
    store.on("view", () => this.remake());
    store.on("pose", () => (this.dirty = true));
    this.editor = new Editor(this);
  }

  remake() {
    const { data, run, view } = this.store;
    if (!data || !run) return;
    const before = this.picture;
    const name = `${data.title}|${kindOf(data, view.axis)}|${view.axis ?? ""}|${data.terms}`;
    this.picture = makePicture(data, run, view.axis);
    const same = name === this.name;
    this.name = name;
    this.aim(same && before);
    this.fresh = true;
    this.dirty = true;
  }

  /* Limits of the new picture; a drag leaves them alone, so that nothing trembles. */
  aim(same) {
    if (this.editor.dragging && this.limits.now) return;
    const { xLimits, yLimits } = this.picture;
    this.limits.aim([...xLimits, ...yLimits], { jump: !same });
  }

  draw(now) {
    const { canvas, player, picture } = this;
    const { data, run } = this.store;
    if (!canvas.fit()) return false;
    const c = canvas.context;
    if (!data || !run || !picture || !player.pose) {
      canvas.clear();
      return false;
    }
    const gliding = this.limits.move(now);
    if (gliding || this.fresh || canvas.stale) this.drawLayer();
    const { parameters } = player.pose;
    canvas.clear();
    canvas.put(this.layer);
    inside(c, this.plot, () => {
      if (picture.moving) this.drawMoving(parameters);
      if (this.store.view.residuals) this.drawResiduals(parameters);
      this.drawLine(c, parameters, canvas.colour("line"), 2.5);
      this.editor.drawPoint(c);
    }, 3);
    this.drawGone(c, parameters);
    this.drawHover(c, parameters);
    return gliding;
  }

  drawLayer() {
    const { canvas, layer, picture } = this;
    const limits = this.limits.now;
    const { data, run } = this.store;
    canvas.stale = this.fresh = false;
    this.plot = layOut(
      canvas,
      { limits: limits.slice(0, 2), title: picture.xTitle },
      { limits: limits.slice(2), title: picture.yTitle },
    );
    canvas.clear(layer);
    drawAxes(layer, canvas, this.plot);
    const density = picture.kind === "curve" ? data.density : null;
    let key = null;
    inside(layer, this.plot, () => {
      if (density) key = drawDensity(layer, canvas, this.plot, density);
      else if (!picture.moving) this.drawDots(layer, null);
      layer.setLineDash([6, 5]);
      if (data.truth && this.store.view.truth !== false && picture.kind === "curve") {
        this.drawTruth(layer, data.truth);
      }
      this.drawLine(layer, run.optimum.parameters, canvas.colour("optimum"), 1.5);
      layer.setLineDash([]);
    }, 4);
    if (key) drawDensityKey(layer, canvas, this.plot, key);
    else this.drawKey(layer);
  }

  drawTruth(c, { slope, intercept }) {
    const [low, high] = this.plot.xLimits;
    c.strokeStyle = this.canvas.colour("truth");
    c.lineWidth = 1.25;
    c.setLineDash([1.5, 4]);
    c.beginPath();
    for (const x of [low, high]) c.lineTo(this.plot.x(x), this.plot.y(slope * x + intercept));
    c.stroke();
    c.setLineDash([6, 5]);
  }

  /* The line or curve of some parameters. */
  drawLine(c, parameters, colour, width) {
    const { plot, picture } = this;
    const { curve } = this.store.data;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.lineJoin = c.lineCap = "round";
    c.beginPath();
    const far = 20 * this.canvas.height; // beyond this a canvas loses its precision
    if (picture.kind === "curve" && curve) {
      for (let i = 0; i < curve.x.length; i++) {
        const value = plot.y(predict(curve.terms[i], parameters));
        c.lineTo(plot.x(curve.x[i]), clamp(value, -far, far));
      }
    } else if (picture.ends) {
      const [x1, y1, x2, y2] = picture.ends(parameters);
      c.moveTo(plot.x(x1), clamp(plot.y(y1), -far, far));
      c.lineTo(plot.x(x2), clamp(plot.y(y2), -far, far));
    }
    c.stroke();
  }

  /* Where no part of the line is in sight, say so: it is not lost. */
  drawGone(c, parameters) {
    const { plot, picture, canvas } = this;
    const { curve } = this.store.data;
    if (picture.kind === "predicted" || picture.moving) return;
    const { run, step } = this.store;
    const ys = curve.terms.map((terms) => plot.y(predict(terms, parameters)));
    const above = ys.every((y) => y < plot.top);
    const below = ys.every((y) => y > plot.bottom);
    if (!above && !below) return;
    const over = run.diverged !== null && run.diverged !== undefined && step >= run.total;
    const name = curve.terms[0].length > 1 ? "curve" : "line";
    const text = `${over ? "diverged: " : ""}the ${name} is ${above ? "above" : "below"} the picture`;
    const middle = (plot.left + plot.right) / 2;
    const y = above ? plot.top + 12 : plot.bottom - 12;
    drawWords(c, canvas, text, middle, y, over ? "bad" : "line");
  }

  /* The y of the line at a place of the picture. */
  lineAt(parameters, i) {
    const { picture } = this;
    if (picture.kind === "predicted") return picture.at[0];
    return picture.at[1] - (this.store.data.y[i] - predict(this.store.data.X[i], parameters));
  }

  drawDots(c, parameters, places = null) {
    const { picture, plot, canvas } = this;
    const { held } = this.store.data;
    const count = places ? places.length : picture.count;
    const radius = count > 4000 ? 1.5 : count > 800 ? 2.2 : count > 300 ? 3 : 3.8;
    const skip = this.editor.hidden;
    for (const part of [1, 0]) {
      c.beginPath();
      for (let n = 0; n < count; n++) {
        const i = places ? places[n] : n;
        if (Boolean(held?.[i]) !== Boolean(part) || i === skip) continue;
        picture.place(parameters, i);
        dot(c, plot.x(picture.at[0]), plot.y(picture.at[1]), radius, part);
      }
      if (part) {
        c.strokeStyle = canvas.colour("held");
        c.lineWidth = radius > 2 ? 1.5 : 1;
        c.stroke();
      } else {
        c.fillStyle = canvas.colour("point");
        c.globalAlpha = count > 300 ? 0.5 : 0.72;
        c.fill();
        c.globalAlpha = 1;
      }
    }
  }

  drawMoving(parameters) {
    this.places ??= [];
    if (this.placesOf !== this.picture) {
      this.places = sample(this.picture.count);
      this.placesOf = this.picture;
    }
    this.drawDots(this.canvas.context, parameters, this.places);
  }

  drawResiduals(parameters) {
    const { picture, plot, canvas } = this;
    const c = canvas.context;
    const { setting } = this.store;
    const { held } = this.store.data;
    const squares = this.store.view.squares && setting.loss === "squared";
    const stride = Math.max(1, Math.ceil(picture.count / MOST_RESIDUALS));
    const far = 4 * canvas.height;
    c.strokeStyle = c.fillStyle = canvas.colour("residual");
    c.lineWidth = 1.25;
    c.globalAlpha = squares ? 0.12 : 0.55;
    c.beginPath();
    for (let i = 0; i < picture.count; i += stride) {
      if (held?.[i]) continue;
      picture.place(parameters, i);
      const x = plot.x(picture.at[0]);
      const y = plot.y(picture.at[1]);
      const to = clamp(plot.y(this.lineAt(parameters, i)), -far, far);
      if (squares) c.rect(x, Math.min(y, to), Math.abs(y - to), Math.abs(y - to));
      else {
        c.moveTo(x, y);
        c.lineTo(x, to);
      }
    }
    if (squares) c.fill();
    c.globalAlpha = squares ? 0.4 : 0.55;
    c.stroke();
    c.globalAlpha = 1;
  }

  drawHover(c, parameters) {
    const i = this.editor.at;
    const { picture, plot, canvas, store } = this;
    if (i === null || i === undefined || i >= picture.count) return;
    picture.place(parameters, i);
    const [x, y] = this.editor.dragging ? this.editor.dragging.now : picture.at;
    const px = plot.x(x);
    const py = plot.y(y);
    c.strokeStyle = canvas.colour("ink");
    c.lineWidth = 1.5;
    c.beginPath();
    c.arc(px, py, 7, 0, 2 * Math.PI);
    c.stroke();
    note(c, canvas, this.values(i, x, y), px, py);
  }

  values(i, x, y) {
    const { data } = this.store;
    const dragging = this.editor.dragging;
    const lines = [];
    if (this.picture.kind === "curve") lines.push(`${data.features[0]} ${short(x)}`);
    else if (this.picture.kind === "term") lines.push(`${this.picture.xTitle} ${short(x)}`);
    lines.push(`${data.target} ${short(dragging ? y : data.y[i])}`);
    if (!dragging) {
      // Numbers are of the step that is shown; a line on its way to it has none.
      const { frame } = this.store;
      const predicted = frame?.exact ? predict(data.X[i], frame.parameters) : NaN;
      const told = (value) => (frame?.exact ? short(value) : "…");
      lines.push(`predicted ${told(predicted)}`, `residual ${told(data.y[i] - predicted)}`);
    }
    if (data.held?.[i]) lines.push("held out: not trained on");
    return lines;
  }

  drawKey(c) {
    const { canvas, plot, picture } = this;
    const { data } = this.store;
    if (picture.count < 2 && data.editable) {
      c.fillStyle = canvas.colour("muted");
      c.font = canvas.font(15);
      c.textAlign = "center";
      c.textBaseline = "middle";
      c.fillText("Click to add points", (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2);
    }
    if (!data.held?.some(Boolean)) return;
    c.font = canvas.font(11);
    c.textAlign = "right";
    c.textBaseline = "middle";
    let x = plot.right;
    for (const [text, name, part] of [["held out", "held", 1], ["training", "point", 0]]) {
      c.fillStyle = canvas.colour("muted");
      c.fillText(text, x, 12);
      x -= c.measureText(text).width + 9;
      c.beginPath();
      dot(c, x, 12, 3.8, part);
      c.strokeStyle = c.fillStyle = canvas.colour(name);
      c.lineWidth = 1.5;
      if (part) c.stroke();
      else c.fill();
      x -= 14;
    }
  }
}

function dot(c, x, y, radius, held) {
  if (held) {
    const r = radius * 1.25;
    c.moveTo(x, y - r);
    c.lineTo(x + r, y);
    c.lineTo(x, y + r);
    c.lineTo(x - r, y);
    c.closePath();
  } else {
    c.moveTo(x + radius, y);
    c.arc(x, y, radius, 0, 2 * Math.PI);
  }
}
