/* The panel at the side: the lesson or the gallery, one at a time. */

import { at, icon } from "../dom.js";

export class Side {
  constructor() {
    this.panels = new Map(); // name -> {button, title, open(body), close()}
    this.open = null;
    at("side-close").append(icon("close"));
    at("side-close").addEventListener("click", () => this.show(null));
  }

  add(name, button, title, open, close = () => {}) {
    this.panels.set(name, { button, title, open, close });
    button.addEventListener("click", () => this.show(this.open === name ? null : name));
  }

  show(name) {
    const before = this.panels.get(this.open);
    if (before) {
      before.close();
      before.button.setAttribute("aria-expanded", "false");
    }
    this.open = name;
    const now = this.panels.get(name);
    at("side").hidden = !now;
    at("lab").classList.toggle("with-side", Boolean(now));
    at("side-body").replaceChildren();
    if (!now) {
      before?.button.focus();
      return;
    }
    at("side-title").textContent = now.title;
    now.button.setAttribute("aria-expanded", "true");
    now.open(at("side-body"));
    at("side").scrollTop = 0;
    at("side-title").focus();
  }
}
