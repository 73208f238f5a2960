/* Where an axis has its ticks, and what they say. Pure: numbers in, texts out.

   A tick stands at 1, 2 or 5 times a power of ten. What all labels share is said once,
   in `note`, beside the axis title: an offset ("+1.7e9") or a power ("×10⁶"). */

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/* The step of 1, 2 or 5 times a power of ten that is nearest to `raw`. */
export function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  const share = raw / power;
  const nice = share < 1.42 ? 1 : share < 3.17 ? 2 : share < 7.08 ? 5 : 10;
  return nice * power;
}

/* A number with a true minus and commas at the thousands. */
export function plain(value, decimals = 0) {
  const text = Math.abs(value).toFixed(decimals);
  const [whole, rest] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = value < 0 && Number(text) !== 0 ? "−" : "";
  return sign + grouped + (rest ? `.${rest}` : "");
}

/* A number to read, not to compute with: `digits` that count, powers where needed. */
export function short(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e6 || size < 1e-4) {
    const [share, exponent] = value.toExponential(Math.max(0, digits - 2)).split("e");
    return `${share.replace("-", "−")}×${power(Number(exponent))}`;
  }
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return plain(value, Math.min(decimals, 8));
}

/* 10 to the power k, as text. */
export function power(k) {
  const digits = [...String(Math.abs(k))].map((c) => SUPERSCRIPTS[c]).join("");
  return `10${k < 0 ? "⁻" : ""}${digits}`;
}

/* Ticks of a linear axis: {values, labels, note, step}. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return { values: [], labels: [], note: "", step: 1 };
  const step = niceStep((high - low) / Math.max(1, count));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const size = Math.max(Math.abs(low), Math.abs(high));
  const offset = size / step > 2e4 ? offsetOf(low, high) : 0;
  const values = [];
  for (let i = first; i <= last; i++) values.push(i * step);
  const rest = values.map((v) => v - offset);
  const largest = Math.max(step, ...rest.map(Math.abs));
  let exponent = 0;
  if (largest >= 1e6 || largest < 1e-2) exponent = Math.floor(Math.log10(largest) + 1e-9);
  const unit = 10 ** exponent;
  const decimals = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  const notes = [];
  if (exponent) notes.push(`×${power(exponent)}`);
  if (offset) notes.push(offsetText(offset));
  return {
    values,
    labels: rest.map((v) => plain(v / unit, decimals)),
    note: notes.join(" "),
    step,
  };
}

/* The roundest number near limits that lie far from 0. */
function offsetOf(low, high) {
  const middle = (low + high) / 2;
  const room = 10 ** Math.ceil(Math.log10(high - low));
  for (let p = 10 ** Math.floor(Math.log10(Math.abs(middle))); p > 1.5 * room; p /= 10) {
    const found = Math.round(middle / p) * p;
    if (Math.abs(middle - found) <= room) return found;
  }
  return Math.floor(low / room) * room;
}

function offsetText(offset) {
  const sign = offset < 0 ? "−" : "+";
  const size = Math.abs(offset);
  const exponent = Number(size.toPrecision(12)).toExponential().replace("+", "");
  const text = exponent.length <= 8 ? exponent : plain(size, size < 1e3 ? 6 : 0);
  return sign + text.replace("e-", "e−");
}

/* Ticks of a logarithmic axis from low to high, both above 0: also {minor}. */
export function logTicks(low, high, count = 5) {
  const from = Math.log10(low);
  const to = Math.log10(high);
  const decades = to - from;
  if (decades < 0.9) {
    const found = ticks(low, high, Math.min(3, count));
    return { ...found, minor: [] };
  }
  const multiples = decades < 1.6 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / count));
  const values = [];
  for (let k = Math.floor(from); k <= to; k++) {
    if (multiples.length === 1 && k % every !== 0) continue;
    for (const m of multiples) {
      const value = m * 10 ** k;
      if (value >= low * 0.9999 && value <= high * 1.0001) values.push(value);
    }
  }
  const minor = [];
  if (decades <= 6) {
    for (let k = Math.floor(from); k <= to; k++) {
      for (let m = 2; m < 10; m++) {
        const value = m * 10 ** k;
        if (value >= low && value <= high) minor.push(value);
      }
    }
  }
  const wordy = from < -3.01 || to > 5.01;
  const label = (value) => {
    const k = Math.floor(Math.log10(value) + 1e-9);
    const m = Math.round(value / 10 ** k);
    if (wordy) return m === 1 ? power(k) : `${m}·${power(k)}`;
    return plain(value, Math.max(0, -k));
  };
  return { values, labels: values.map(label), note: "", minor };
}
