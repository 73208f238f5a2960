"use strict";
(() => {
  const tip = document.getElementById("tip");
  const skip = (document.querySelector("main").dataset.skip || "").split(" ").filter(Boolean).map(Number);
  const NS = "http://www.w3.org/2000/svg";

  // Marks are in tenths of a unit, each step relative to the one before.
  const places = (path) => {
    if (path.places) return path.places;
    const found = [];
    const numbers = path.getAttribute("d").replace(/h0/g, "").match(/-?\d+/g).map(Number);
    let x = 0, y = 0;
    for (let i = 0; i + 1 < numbers.length; i += 2) {
      x += numbers[i];
      y += numbers[i + 1];
      found.push([x / 10, y / 10]);
    }
    return (path.places = found);
  };

  const rowOf = (place) => {
    let row = place;
    for (const gap of skip) if (gap <= row) row += 1; else break;
    return row + 1;
  };

  const valueOf = (text, at) => {
    const [a, b, low, high, log] = text.split(" ").map((w) => (w === "log" ? 1 : Number(w)));
    const share = (at - a) / (b - a);
    if (log) return 10 ** (Math.log10(low) + share * (Math.log10(high) - Math.log10(low)));
    return low + share * (high - low);
  };

  const said = (value, text) => {
    const [, , low, high] = text.split(" ").map(Number);
    if (text.endsWith("log")) return value.toPrecision(4).replace("-", "\u2212");
    // Places are known to some thousandth of the axis: no more digits than that.
    const span = Math.abs(high - low) || 1;
    const digits = 2 - Math.floor(Math.log10(span));
    const size = Math.max(Math.abs(low), Math.abs(high));
    if (digits > 8 || size >= 1e15) {
      const known = Math.max(3, Math.min(17, digits + 1 + Math.floor(Math.log10(Math.abs(value) || span))));
      return value.toPrecision(known).replace("-", "\u2212");
    }
    const unit = 10 ** Math.max(0, -digits);
    const year = low >= 1000 && high < 3000 && span < 400;
    return (Math.round(value / unit) * unit).toLocaleString("en", {
      maximumFractionDigits: Math.max(0, digits), useGrouping: !year,
    }).replace("-", "\u2212");
  };

  const xOf = (svg, x) => {
    const value = valueOf(svg.dataset.x, x);
    if (svg.dataset.levels) return JSON.parse(svg.dataset.levels)[Math.round(value)] ?? "";
    return said(value, svg.dataset.x);
  };

  const nearest = (svg, x, y) => {
    let best = null, least = 24 * 24;
    for (const path of svg.querySelectorAll(".dot, .fit[data-name], .other[data-name]")) {
      places(path).forEach(([a, b], i) => {
        const off = (a - x) ** 2 + (b - y) ** 2;
        if (off < least) { least = off; best = { path, i, at: [a, b] }; }
      });
    }
    return best;
  };

  const show = (svg, found, cell) => {
    const [x, y] = found.at;
    const lines = [];
    if (found.path && found.path.dataset.row !== undefined) lines.push("row " + rowOf(found.i).toLocaleString("en"));
    if (found.path && found.path.dataset.name) lines.push(found.path.dataset.name);
    lines.push(svg.dataset.xName + ": " + xOf(svg, x));
    lines.push(svg.dataset.yName + ": " + said(valueOf(svg.dataset.y, y), svg.dataset.y));
    if (cell) lines.push(cell);
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    let mark = svg.querySelector(".mark");
    if (!mark) {
      mark = document.createElementNS(NS, "circle");
      mark.setAttribute("class", "mark");
      mark.setAttribute("r", "5");
      svg.append(mark);
    }
    mark.setAttribute("cx", x);
    mark.setAttribute("cy", y);
    mark.setAttribute("visibility", found.path ? "visible" : "hidden");
    const point = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(point.x + 12, innerWidth - box.width - 4)) + "px";
    tip.style.top = Math.max(4, point.y - box.height - 10) + "px";
  };

  const hide = (svg) => {
    tip.hidden = true;
    const mark = svg.querySelector(".mark");
    if (mark) mark.remove();
  };

  for (const svg of document.querySelectorAll(".plot")) {
    svg.setAttribute("tabindex", "0");
    const look = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const found = nearest(svg, x, y);
      const cell = event.target.dataset && event.target.dataset.rows;
      if (found) show(svg, found);
      else if (cell) show(svg, { at: [x, y] }, cell);
      else hide(svg);
    };
    svg.addEventListener("pointermove", look);
    svg.addEventListener("pointerdown", look);
    svg.addEventListener("pointerleave", () => hide(svg));
    svg.addEventListener("blur", () => hide(svg));
    let order = null, now = -1;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20 }[event.key];
      if (event.key === "Escape") hide(svg);
      if (!step) return;
      const path = svg.querySelector(".dot, .fit[data-name]");
      if (!path) return;
      event.preventDefault();
      order ??= places(path).map((at, i) => ({ path, i, at })).sort((a, b) => a.at[0] - b.at[0]);
      now = Math.max(0, Math.min(order.length - 1, now + step));
      show(svg, order[now]);
    });
  }
})();
