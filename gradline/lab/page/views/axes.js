/* Axes: from data to pixels, and the ticks, labels and titles around a picture.

     const plot = layOut(canvas, { limits, title }, { limits, title, log: true });
     drawAxes(context, canvas, plot);
     plot.x(value), plot.y(value)      pixels
     plot.x.invert(pixel)              and back

   The y title stands above its axis, the x title below the right end: both read without
   turning the head. What all labels share (an offset, a power) is said in the title. */

import { logTicks, ticks } from "./ticks.js";

/* From data to pixels. */
export function scale([low, high], [from, to], log = false) {
  const a = log ? Math.log10(low) : low;
  const b = log ? Math.log10(high) : high;
  const k = (to - from) / (b - a || 1);
  const found = log
    ? (value) => (value > 0 ? from + (Math.log10(value) - a) * k : from - 1e4 * Math.sign(k))
    : (value) => from + (value - a) * k;
  found.invert = log
    ? (pixel) => 10 ** (a + (pixel - from) / k)
    : (pixel) => a + (pixel - from) / k;
  found.perUnit = k;
  return found;
}

/* Where everything of a picture is.

   An axis is {limits: [low, high], title, log, whole}; whole: no ticks between whole numbers. */
export function layOut(canvas, xAxis, yAxis, { square = false, headroom = 0, room = 0 } = {}) {
  const { width, height, context } = canvas;
  const size = width < 420 ? 11 : width < 700 ? 12 : 13;
  const top = 30 + headroom;
  const bottom = height - 42;
  const right = width - 16;
  const marks = (axis, room) => {
    const count = Math.max(2, Math.floor(room));
    const [low, high] = axis.limits;
    if (axis.log) return logTicks(low, high, count);
    return ticks(low, high, axis.whole ? Math.min(count, high - low) : count);
  };
  const yTicks = marks(yAxis, (bottom - top) / 42);
  context.font = canvas.font(size);
  const widest = Math.max(16, ...yTicks.labels.map((t) => context.measureText(t).width));
  // In steps, so that the picture does not tremble as labels change.
  const left = Math.max(room, 14 + 6 * Math.ceil(widest / 6));
  let xLimits = xAxis.limits;
  let yLimits = yAxis.limits;
  if (square) {
    // One unit is as long on both axes: the tighter axis gets more room.
    const kx = (right - left) / (xLimits[1] - xLimits[0]);
    const ky = (bottom - top) / (yLimits[1] - yLimits[0]);
    const k = Math.min(kx, ky);
    xLimits = around(xLimits, (right - left) / k);
    yLimits = around(yLimits, (bottom - top) / k);
  }
  const x = scale(xLimits, [left, right], xAxis.log);
  const y = scale(yLimits, [bottom, top], yAxis.log);
  const again = { ...yAxis, limits: yLimits };
  const found = square ? marks(again, (bottom - top) / 42) : yTicks;
  if (square) {
    const wider = Math.max(16, ...found.labels.map((t) => context.measureText(t).width));
    const moved = 14 + 6 * Math.ceil(wider / 6);
    if (moved > left) {
      return layOut(canvas, xAxis, yAxis, { square, headroom, room: moved });
    }
  }
  return {
    left,
    right,
    top,
    bottom,
    size,
    x,
    y,
    xLimits,
    yLimits,
    xAxis,
    yAxis,
    xTicks: fitting(context, marks({ ...xAxis, limits: xLimits }, (right - left) / 80), x),
    yTicks: found,
  };
}

function around([low, high], length) {
  const middle = (low + high) / 2;
  return [middle - length / 2, middle + length / 2];
}

/* Every label, or every second one, ...: so that none touches the next. */
function fitting(context, found, x) {
  let every = 1;
  const touches = () => {
    let end = -Infinity;
    for (let i = 0; i < found.values.length; i += every) {
      const half = context.measureText(found.labels[i]).width / 2 + 6;
      const at = x(found.values[i]);
      if (at - half < end) return true;
      end = at + half;
    }
    return false;
  };
  while (every < found.values.length && touches()) every += 1;
  return { ...found, labels: found.labels.map((t, i) => (i % every ? "" : t)) };
}

/* Draw ticks, labels, titles and a faint grid. */
export function drawAxes(context, canvas, plot, { grid = true } = {}) {
  const { left, right, top, bottom, size, xTicks, yTicks } = plot;
  const line = (x1, y1, x2, y2) => {
    context.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    context.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
  };
  context.lineWidth = 1;
  context.strokeStyle = canvas.colour("rule");
  context.beginPath();
  if (grid) for (const v of yTicks.values) line(left, plot.y(v), right, plot.y(v));
  line(left, bottom, right, bottom);
  line(left, top, left, bottom);
  for (const v of xTicks.values) line(plot.x(v), bottom, plot.x(v), bottom + 4);
  for (const v of yTicks.values) line(left - 4, plot.y(v), left, plot.y(v));
  for (const v of xTicks.minor ?? []) line(plot.x(v), bottom, plot.x(v), bottom + 2);
  for (const v of yTicks.minor ?? []) line(left - 2, plot.y(v), left, plot.y(v));
  context.stroke();
  context.fillStyle = canvas.colour("muted");
  context.font = canvas.font(size);
  context.textBaseline = "middle";
  context.textAlign = "right";
  yTicks.values.forEach((v, i) => context.fillText(yTicks.labels[i], left - 7, plot.y(v)));
  context.textBaseline = "top";
  context.textAlign = "center";
  xTicks.values.forEach((v, i) => {
    const text = xTicks.labels[i];
    const half = context.measureText(text).width / 2;
    const at = Math.min(plot.x(v), canvas.width - half - 2);
    context.fillText(text, at, bottom + 7);
  });
  titles(context, canvas, plot);
}

function titles(context, canvas, plot) {
  const { right, size } = plot;
  const say = (axis, note) => (note ? `${axis.title}  (${note})` : axis.title);
  context.fillStyle = canvas.colour("ink");
  context.font = canvas.font(size);
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  const room = canvas.width - 20;
  context.fillText(cut(context, say(plot.yAxis, plot.yTicks.note), room * 0.7), 8, 16);
  context.textAlign = "right";
  const title = cut(context, say(plot.xAxis, plot.xTicks.note), room);
  context.fillText(title, right, canvas.height - 7);
}

/* A text that is no wider than `room`, an ellipsis at its end where it was cut. */
export function cut(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let kept = text;
  while (kept.length > 1 && context.measureText(`${kept}…`).width > room) {
    kept = kept.slice(0, -1);
  }
  return `${kept}…`;
}

/* Draw no further than the picture, for what `draw` draws. */
export function inside(context, { left, right, top, bottom }, draw, room = 0) {
  context.save();
  context.beginPath();
  context.rect(left - room, top - room, right - left + 2 * room, bottom - top + 2 * room);
  context.clip();
  draw();
  context.restore();
}

/* A text on a soft ground of the panel's colour, kept inside the canvas. */
export function note(context, canvas, lines, x, y) {
  context.font = canvas.font(12);
  context.textAlign = "left";
  context.textBaseline = "middle";
  const wide = Math.max(...lines.map((t) => context.measureText(t).width)) + 16;
  const high = 17 * lines.length + 9;
  const left = Math.max(2, Math.min(x + 12, canvas.width - wide - 2));
  const above = y - high - 10;
  const top = above > 2 ? above : Math.min(y + 14, canvas.height - high - 2);
  context.fillStyle = canvas.colour("panel");
  context.strokeStyle = canvas.colour("rule");
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(Math.round(left) + 0.5, Math.round(top) + 0.5, wide, high, 5);
  context.fill();
  context.stroke();
  context.fillStyle = canvas.colour("ink");
  lines.forEach((t, i) => context.fillText(t, left + 8, top + 13 + 17 * i));
}
