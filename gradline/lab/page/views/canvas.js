/* A canvas that is sharp on any screen and knows its size in CSS pixels; and axes. */

export class Canvas {
  constructor(element, redraw) {
    this.element = element;
    this.context = element.getContext("2d");
    this.redraw = redraw;
    new ResizeObserver(() => this.fit()).observe(element);
    this.fit();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    this.width = width;
    this.height = height;
    this.element.width = Math.round(width * ratio);
    this.element.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.redraw?.();
  }

  colour(name) {
    return getComputedStyle(this.element).getPropertyValue(`--${name}`).trim();
  }
}

/* From data to pixels. */
export function scale([low, high], [from, to]) {
  const k = (to - from) / (high - low);
  const found = (value) => from + (value - low) * k;
  found.invert = (pixel) => low + (pixel - from) / k;
  return found;
}
