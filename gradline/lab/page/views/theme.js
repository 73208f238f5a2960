/* Colours: read once from the CSS variables, again when the theme changes. */

const pixel = document.createElement("canvas");
pixel.width = pixel.height = 1;
const pen = pixel.getContext("2d", { willReadFrequently: true });

/* Any CSS colour as [red, green, blue], 0 to 255. */
export function rgb(colour) {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = "#888";
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const gamma = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);

function oklab(colour) {
  const [r, g, b] = rgb(colour).map((v) => linear(v / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/* From one colour to another in steps that look equal (Oklab): share -> [r, g, b]. */
export function ramp(from, to) {
  const a = oklab(from);
  const b = oklab(to);
  return (share) => {
    const [L, u, v] = a.map((value, i) => value + (b[i] - value) * share);
    const l = (L + 0.3963377774 * u + 0.2158037573 * v) ** 3;
    const m = (L - 0.1055613458 * u - 0.0638541728 * v) ** 3;
    const s = (L - 0.0894841775 * u - 1.291485548 * v) ** 3;
    return [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    ].map((c) => Math.round(255 * gamma(Math.max(0, Math.min(1, c)))));
  };
}

export const css = ([r, g, b], alpha = 1) => `rgba(${r}, ${g}, ${b}, ${alpha})`;

/* Call back when light becomes dark or the other way. */
export function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
  new MutationObserver(callback).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["class", "data-theme", "style"],
  });
}
