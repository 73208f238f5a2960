/* A canvas that is sharp on any screen, with layers that are drawn seldom.

   A view draws what rarely changes on a layer, puts the layer on the canvas for each
   picture, and draws what moves on top. `stale` says that layers must be drawn again:
   after a change of size or theme. Sizes are CSS pixels. */

import { onThemeChange } from "./theme.js";

export class Canvas {
  constructor(element, onchange) {
    this.element = element;
    this.context = element.getContext("2d");
    this.layers = [];
    this.colours = new Map();
    this.width = this.height = 0;
    this.ratio = 1;
    this.stale = true;
    this.measure = true; // the page is asked for a size only after it said so
    const again = () => {
      this.stale = this.measure = true;
      this.colours.clear();
      onchange();
    };
    new ResizeObserver(again).observe(element);
    addEventListener("resize", again); // also told when a page is zoomed
    onThemeChange(again);
  }

  /* A further surface of the same size: its context. */
  layer() {
    const context = document.createElement("canvas").getContext("2d");
    this.layers.push(context);
    return context;
  }

  /* Take the size that the page gives, before drawing; false where there is none. */
  fit() {
    if (!this.measure) return this.width > 60 && this.height > 60;
    this.measure = false;
    const { clientWidth: width, clientHeight: height } = this.element;
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    if (width !== this.width || height !== this.height || ratio !== this.ratio) {
      Object.assign(this, { width, height, ratio, stale: true });
      for (const context of [this.context, ...this.layers]) {
        context.canvas.width = Math.round(width * ratio);
        context.canvas.height = Math.round(height * ratio);
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
      }
    }
    return width > 60 && height > 60;
  }

  clear(context = this.context) {
    context.clearRect(0, 0, this.width, this.height);
  }

  /* Put a layer on the canvas, pixel by pixel. */
  put(layer) {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.drawImage(layer.canvas, 0, 0);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }

  /* A colour of the theme, by its name in style.css. */
  colour(name) {
    let found = this.colours.get(name);
    if (found === undefined) {
      found = getComputedStyle(this.element).getPropertyValue(`--${name}`).trim() || "gray";
      this.colours.set(name, found);
    }
    return found;
  }

  font(size = 12, weight = 400) {
    const sans = this.colour("sans");
    return `${weight} ${size}px ${sans === "gray" ? "system-ui, sans-serif" : sans}`;
  }
}
