/* Numbers as people read them. */

const SUPER = { "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074", 5: "\u2075", 6: "\u2076", 7: "\u2077", 8: "\u2078", 9: "\u2079" };
const raised = (n) => [...String(n)].map((c) => SUPER[c]).join("");

/* 0.0123, 1,234, 3.1×10⁻⁷; a true minus sign. */
export function show(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (size >= 1e6 || size < 1e-3) {
    const [head, power] = value.toExponential(digits - 1).split("e");
    const trimmed = head.includes(".") ? head.replace(/\.?0+$/, "") : head;
    text = `${trimmed}×10${raised(Number(power))}`;
  } else if (size >= 10 ** digits) {
    text = Math.round(value).toLocaleString("en-GB");
  } else {
    text = String(Number(value.toPrecision(digits)));
  }
  return text.replace(/^-/, "−");
}

export const whole = (value) => Math.round(value).toLocaleString("en-GB");

export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  if (share === 0) return "0 %";
  const p = 100 * share;
  if (p >= 1000) return `${show(p)} %`;
  return `${p < 0.01 ? show(p, 2) : Number(p.toPrecision(2))} %`;
}

/* What a number box gets: plain, short, never "3.0000000004". */
export const plain = (value, digits = 4) => String(Number(Number(value).toPrecision(digits)));

export const plural = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;
