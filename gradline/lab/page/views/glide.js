/* Limits that stay while they fit, and glide to new ones when they no longer do. */

import { clamp, ease, mix } from "../maths.js";
import { keep } from "./keep.js";
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
