/* Points by hand: click adds, drag moves, double click or Delete or a long press deletes.

   Keys: arrows walk from point to point (left to right), shift and arrows move, Enter
   adds one beside, Escape lets go. A click chooses: the point that was clicked, or the
   one that it added, is what the keys are about until the focus goes elsewhere. A change goes out as store.change({edits}), by the
   numbers of the points (data.numbers); the store sends one at a time, and the dragged
   dot follows the pointer meanwhile. */

import { clamp } from "../maths.js";
import { short } from "./ticks.js";

const NEAR = 12; // px within which a pointer is at a dot
const LONG = 550; // ms of a press that deletes
const STILL = 5; // px within which a press has not moved

export class Editor {
  constructor(view) {
    this.view = view;
    this.at = null; // the dot under the pointer or the keys
    this.chosen = null; // the number of the point that the keys are about
    this.dragging = null; // {number, now: [x, y]}
    this.hidden = null; // the dot that the layer leaves out: it is being dragged
    this.base = { name: "", count: 0 };
    const { element } = view.canvas;
    this.voice = makeVoice(element);
    element.style.touchAction = "pan-y";
    const on = (kind, act, options) => element.addEventListener(kind, act, options);
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.go(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", () => this.drop(false));
    on("pointerleave", () => !this.dragging && this.point(this.kept()));
    on("dblclick", (event) => this.remove(this.nearest(this.where(event))));
    on("keydown", (event) => this.key(event));
    on("touchstart", (event) => this.touch(event), { passive: false });
    on("blur", () => this.choose(null));
    view.store.on("data", () => this.took());
  }

  get able() {
    const { data } = this.view.store;
    return Boolean(data?.editable && !data.density && this.view.picture?.kind === "curve");
  }

  /* New data: the dragged dot may have another place among them. */
  took() {
    const { data, setting } = this.view.store;
    const { edits } = setting;
    const name = [setting.data, setting.n, setting.target, setting.features].join("|");
    const { added, moved, deleted } = edits;
    const plain = !added.length && !deleted.length && !Object.keys(moved).length;
    if (plain || name !== this.base.name) {
      const count = data.numbers.length + deleted.length - added.length;
      this.base = { name, count };
    }
    if (this.dragging) this.hidden = this.at = data.numbers.indexOf(this.dragging.number);
    else this.at = this.kept();
    const { element } = this.view.canvas;
    element.style.cursor = data.editable ? "crosshair" : "default";
  }

  where(event) {
    const box = this.view.canvas.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest([px, py], reach = NEAR) {
    const { plot, picture, player, store } = this.view;
    if (!plot || !picture || !player.pose || store.data.density) return null;
    let best = null;
    let least = reach * reach;
    const places = picture.moving ? this.view.places ?? [] : null;
    const count = places ? places.length : picture.count;
    for (let n = 0; n < count; n++) {
      const i = places ? places[n] : n;
      picture.place(player.pose.parameters, i);
      const dx = plot.x(picture.at[0]) - px;
      const dy = plot.y(picture.at[1]) - py;
      const far = dx * dx + dy * dy;
      if (far < least) {
        least = far;
        best = i;
      }
    }
    return best;
  }

  inPlot([px, py]) {
    const { plot } = this.view;
    return plot && px >= plot.left && px <= plot.right && py >= plot.top && py <= plot.bottom;
  }

  values([px, py]) {
    const { plot } = this.view;
    const x = clamp(px, plot.left, plot.right);
    const y = clamp(py, plot.top, plot.bottom);
    return [plot.x.invert(x), plot.y.invert(y)];
  }

  /* The place of the chosen point among the dots; null where there is none. */
  kept() {
    if (this.chosen === null) return null;
    const i = this.view.store.data.numbers.indexOf(this.chosen);
    return i < 0 ? null : i;
  }

  /* Choose the dot i, or none. */
  choose(i) {
    this.chosen = i === null ? null : (this.view.store.data?.numbers[i] ?? null);
    this.point(i);
  }

  point(i) {
    if (i === this.at) return;
    this.at = i;
    this.view.dirty = true;
  }

  /* A finger on a dot drags it; anywhere else it scrolls the page. */
  touch(event) {
    if (!this.able || event.touches.length !== 1) return;
    if (this.nearest(this.where(event.touches[0]), 20) !== null) event.preventDefault();
  }

  press(event) {
    if (event.button) return;
    const at = this.where(event);
    const i = this.nearest(at, event.pointerType === "touch" ? 20 : NEAR);
    this.pressed = { at, i, moved: false };
    this.view.canvas.element.focus({ preventScroll: true });
    this.choose(i);
    if (!this.able || i === null) return;
    this.view.canvas.element.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") {
      this.timer = setTimeout(() => {
        this.pressed = null;
        this.drop(false);
        this.remove(i);
      }, LONG);
    }
  }

  go(event) {
    const at = this.where(event);
    if (!this.pressed) {
      const near = this.nearest(at);
      this.point(near ?? this.kept());
      const { element } = this.view.canvas;
      if (this.able) element.style.cursor = near === null ? "crosshair" : "grab";
      return;
    }
    const [x, y] = this.pressed.at;
    if (Math.hypot(at[0] - x, at[1] - y) > STILL) {
      this.pressed.moved = true;
      clearTimeout(this.timer);
    }
    if (!this.pressed.moved || this.pressed.i === null || !this.able) return;
    if (!this.dragging) {
      const { numbers } = this.view.store.data;
      this.dragging = { number: numbers[this.pressed.i], now: this.values(at) };
      this.hidden = this.at = this.pressed.i;
      this.view.fresh = true;
      this.view.canvas.element.style.cursor = "grabbing";
    }
    this.dragging.now = this.values(at);
    this.place(this.dragging.number, this.dragging.now);
    this.view.dirty = true;
  }

  release(event) {
    clearTimeout(this.timer);
    const { pressed } = this;
    this.pressed = null;
    if (this.dragging) return this.drop(true);
    const at = this.where(event);
    if (pressed && !pressed.moved && pressed.i === null && this.able && this.inPlot(at)) {
      this.add(this.values(at));
    }
  }

  drop(done) {
    clearTimeout(this.timer);
    this.pressed = null;
    if (!this.dragging) return;
    const { number, now } = this.dragging;
    this.dragging = null;
    this.hidden = null;
    if (done) this.place(number, now);
    this.view.remake();
  }

  change(change) {
    const { store } = this.view;
    return store.change({ edits: { ...store.setting.edits, ...change } });
  }

  place(number, point) {
    const { added, moved } = this.view.store.setting.edits;
    const later = number - this.base.count;
    if (later >= 0) {
      this.change({ added: added.map((p, i) => (i === later ? point : p)) });
    } else this.change({ moved: { ...moved, [number]: point } });
  }

  add(point) {
    const { added } = this.view.store.setting.edits;
    this.say(`added a point at ${short(point[0])}, ${short(point[1])}`);
    this.chosen = this.base.count + added.length;
    return this.change({ added: [...added, point] });
  }

  remove(i) {
    const { data, setting } = this.view.store;
    if (!this.able || i === null || i === undefined) return;
    const number = data.numbers[i];
    if (setting.edits.deleted.includes(number)) return;
    this.say("deleted the point");
    this.choose(null);
    this.change({ deleted: [...setting.edits.deleted, number] });
  }

  key(event) {
    const { data } = this.view.store;
    if (!data || data.density || !this.view.picture) return;
    const turn = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (turn && event.shiftKey && this.able && this.at !== null) this.nudge(event.key);
    else if (turn) this.walk(turn);
    else if ((event.key === "Delete" || event.key === "Backspace") && this.at !== null) {
      this.remove(this.at);
    } else if (event.key === "Enter" && this.able) this.addBeside();
    else if (event.key === "Escape") this.choose(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  walk(turn) {
    const { picture, player } = this.view;
    const { parameters } = player.pose;
    const x = (i) => {
      picture.place(parameters, i);
      return picture.at[0];
    };
    const order = Array.from({ length: picture.count }, (_, i) => i).sort((a, b) => x(a) - x(b));
    const now = this.at === null ? (turn > 0 ? -1 : order.length) : order.indexOf(this.at);
    this.choose(order[clamp(now + turn, 0, order.length - 1)] ?? null);
    if (this.at === null) return;
    picture.place(parameters, this.at);
    this.say(this.view.values(this.at, ...picture.at).join(", "));
  }

  nudge(key) {
    const { data } = this.view.store;
    const { plot, picture, player } = this.view;
    const dx = (plot.xLimits[1] - plot.xLimits[0]) / 50;
    const dy = (plot.yLimits[1] - plot.yLimits[0]) / 50;
    picture.place(player.pose.parameters, this.at);
    const x = picture.at[0] + (key === "ArrowRight" ? dx : key === "ArrowLeft" ? -dx : 0);
    const y = data.y[this.at] + (key === "ArrowUp" ? dy : key === "ArrowDown" ? -dy : 0);
    this.place(data.numbers[this.at], [x, y]);
    this.say(`${short(x)}, ${short(y)}`);
  }

  addBeside() {
    const { plot, picture, player } = this.view;
    const middle = [(plot.xLimits[0] + plot.xLimits[1]) / 2, (plot.yLimits[0] + plot.yLimits[1]) / 2];
    if (this.at === null) return this.add(middle);
    picture.place(player.pose.parameters, this.at);
    return this.add([picture.at[0] + (plot.xLimits[1] - plot.xLimits[0]) / 40, picture.at[1]]);
  }

  /* The dragged dot, where the pointer is. */
  drawPoint(c) {
    if (!this.dragging) return;
    const { plot, canvas } = this.view;
    const [x, y] = this.dragging.now;
    c.fillStyle = canvas.colour("point");
    c.beginPath();
    c.arc(plot.x(x), plot.y(y), 5, 0, 2 * Math.PI);
    c.fill();
  }

  say(text) {
    this.voice.textContent = text;
  }
}

/* A place beside the canvas where a screen reader hears what the keys did. */
function makeVoice(element) {
  const voice = document.createElement("span");
  voice.setAttribute("aria-live", "polite");
  Object.assign(voice.style, {
    position: "absolute",
    width: "1px",
    height: "1px",
    overflow: "hidden",
    clipPath: "inset(50%)",
    whiteSpace: "nowrap",
  });
  element.after(voice);
  if (!element.hasAttribute("tabindex")) element.tabIndex = 0;
  return voice;
}
