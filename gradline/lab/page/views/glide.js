/* Limits that stay while they fit, and glide to new ones when they no longer do. */

import { clamp, ease, mix } from "../maths.js";
import { still } from "./stage.js";

const TIME = 350; // ms

export class Glide {
  constructor() {
    this.now = null; // as drawn: pairs of low and high, one after the other
    this.to = null;
    this.from = null;
    this.began = 0;
  }

  /* Go to limits; at once where they are of something else, or motion is unwanted. */
  aim(wanted, { jump = false, least = 0.65 } = {}) {
    if (jump || !this.now) {
      this.now = this.to = wanted;
      this.from = null;
      return;
    }
    const to = keep(this.to, wanted, least);
    if (to.every((v, i) => v === this.to[i])) return;
    this.to = to;
    if (still()) {
      this.now = to;
      return;
    }
    this.from = this.now.slice();
    this.began = performance.now();
  }

  /* Move on; whether there was anything to move. */
  move(now) {
    if (!this.from) return false;
    const share = clamp((now - this.began) / TIME, 0, 1);
    this.now = this.to.map((v, i) => mix(this.from[i], v, ease(share)));
    if (share >= 1) this.from = null;
    return true;
  }
}

/* Each pair of `wanted`, or the one that is shown where it holds it well enough. */
export function keep(shown, wanted, least) {
  const found = [];
  for (let i = 0; i < wanted.length; i += 2) {
    const [a, b, c, d] = [shown[i], shown[i + 1], wanted[i], wanted[i + 1]];
    const slack = (b - a) * 0.015;
    const fits = c >= a - slack && d <= b + slack && d - c > (b - a) * least;
    found.push(fits ? a : c, fits ? b : d);
  }
  return found;
}
