/* What stands on a picture: where the descent began, is, and should end. */

/* The optimum: a cross with a ground of its own, so that it is seen on any heat. */
export function drawCross(c, canvas, x, y, size = 5.5) {
  c.lineCap = "round";
  for (const [colour, width] of [["panel", 5], ["optimum", 2.25]]) {
    c.strokeStyle = canvas.colour(colour);
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x - size, y - size);
    c.lineTo(x + size, y + size);
    c.moveTo(x - size, y + size);
    c.lineTo(x + size, y - size);
    c.stroke();
  }
}

/* Where weight decay leads instead of the optimum: an open diamond. */
export function drawDiamond(c, canvas, x, y, size = 8) {
  for (const [colour, width] of [["panel", 5], ["optimum", 2]]) {
    c.strokeStyle = canvas.colour(colour);
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x, y - size);
    c.lineTo(x + size, y);
    c.lineTo(x, y + size);
    c.lineTo(x - size, y);
    c.closePath();
    c.stroke();
  }
}

/* The start: a ring. */
export function drawRing(c, canvas, x, y, radius) {
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
  c.fillStyle = canvas.colour("panel");
  c.fill();
  c.strokeStyle = canvas.colour("path");
  c.lineWidth = 2;
  c.stroke();
}

/* Where it is: a disc in the colour of the line. */
export function drawDisc(c, canvas, x, y, radius = 6) {
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
  c.fillStyle = canvas.colour("line");
  c.fill();
  c.strokeStyle = canvas.colour("panel");
  c.lineWidth = 2;
  c.stroke();
}

/* Where it is when it has left the picture: an arrow at the edge that points there. */
export function drawArrow(c, canvas, { left, right, top, bottom }, x, y) {
  const cx = (left + right) / 2;
  const cy = (top + bottom) / 2;
  const dx = x - cx;
  const dy = y - cy;
  const reach = Math.min(
    (right - left - 24) / 2 / Math.max(1e-9, Math.abs(dx)),
    (bottom - top - 24) / 2 / Math.max(1e-9, Math.abs(dy)),
  );
  c.save();
  c.translate(cx + dx * reach, cy + dy * reach);
  c.rotate(Math.atan2(dy, dx));
  c.beginPath();
  c.moveTo(9, 0);
  c.lineTo(-6, -6.5);
  c.lineTo(-2.5, 0);
  c.lineTo(-6, 6.5);
  c.closePath();
  c.fillStyle = canvas.colour("line");
  c.strokeStyle = canvas.colour("panel");
  c.lineWidth = 1.5;
  c.fill();
  c.stroke();
  c.restore();
}

/* Words in the middle of a picture, legible on any ground. */
export function drawWords(c, canvas, text, x, y, colour) {
  c.font = canvas.font(12, 600);
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.lineWidth = 4;
  c.strokeStyle = canvas.colour("panel");
  c.strokeText(text, x, y);
  c.fillStyle = canvas.colour(colour);
  c.fillText(text, x, y);
}
