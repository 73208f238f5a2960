/* Places for words in a picture, so that none lies on another. Pure.

   A box is [left, top, width, height], px. */

/* Whether two boxes meet, or come nearer than `room` from the side. */
export function meet([l1, t1, w1, h1], [l2, t2, w2, h2], room = 6) {
  return l1 < l2 + w2 + room && l2 < l1 + w1 + room && t1 < t2 + h2 && t2 < t1 + h1;
}

/* The box of the first of some places [left, top] that is inside a plot and not taken;
   null where there is none. Words may stand a little above the plot, not below it. */
export function freePlace(places, wide, high, plot, taken) {
  for (const [left, top] of places) {
    if (left < plot.left + 2 || left + wide > plot.right + 4) continue;
    if (top < plot.top - 8 || top + high > plot.bottom - 1) continue;
    const box = [left, top, wide, high];
    if (!taken(box)) return box;
  }
  return null;
}
