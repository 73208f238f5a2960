/* The whole setting in the address: #v=1&lr=0.03&step=40, only what differs from the
   defaults. What comes in is believed in nothing: unknown names are passed over, and a
   value of another kind leaves its default. The server checks bounds again. */

import { DEFAULTS } from "./store.js";

const VERSION = "1";
const LONGEST = 40_000; // letters of a link
const VIEW = { residuals: false, squares: false, curve: "log", equal: true, axis: 0 };
const CURVES = ["linear", "log", "gap"];

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const number = (v) => typeof v === "number" && Number.isFinite(v) && Math.abs(v) < 1e100;
const pair = (v) => Array.isArray(v) && v.length === 2 && v.every(number);

export function encode({ setting, view, step }) {
  const parts = new URLSearchParams({ v: VERSION });
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = setting[name];
    if (same(value, usual)) continue;
    parts.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  for (const [name, usual] of Object.entries(VIEW)) {
    const value = view[name];
    if (value !== undefined && !same(value, usual)) parts.set(`view.${name}`, String(value));
  }
  if (step) parts.set("step", String(step));
  const text = parts.toString();
  return text === `v=${VERSION}` ? "" : `#${text}`;
}

/* {setting, view, step} with only what the link names, or null where it is none. */
export function decode(hash) {
  if (!hash || hash.length > LONGEST) return null;
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  if (parts.get("v") !== VERSION) return null;
  const found = { setting: {}, view: {}, step: 0 };
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (!parts.has(name)) continue;
    const value = read(name, parts.get(name), usual);
    if (value !== undefined) found.setting[name] = value;
  }
  for (const [name, usual] of Object.entries(VIEW)) {
    const text = parts.get(`view.${name}`);
    if (text === null) continue;
    if (typeof usual === "boolean") found.view[name] = text === "true";
    else if (name === "curve") found.view[name] = CURVES.includes(text) ? text : usual;
    else if (/^\d{1,4}$/.test(text)) found.view[name] = Number(text);
  }
  const step = parts.get("step");
  if (step !== null && /^\d{1,9}$/.test(step)) found.step = Number(step);
  return found;
}

function read(name, text, usual) {
  if (typeof usual === "string" || name === "target") {
    return text.length <= 1000 ? text : undefined;
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof usual === "number") return number(value) ? value : undefined;
  if (typeof usual === "boolean") return value === true || value === false ? value : undefined;
  if (name === "edits") return edits(value);
  if (!Array.isArray(value) || value.length > 1000) return undefined;
  const fits = name === "start" ? number : (v) => typeof v === "string" && v.length < 1000;
  return value.every(fits) ? value : undefined;
}

function edits(value) {
  if (value === null || typeof value !== "object") return undefined;
  const { added = [], moved = {}, deleted = [] } = value;
  const places = Object.entries(moved ?? {});
  const fine =
    Array.isArray(added) && Array.isArray(deleted) &&
    added.length <= 1000 && places.length <= 1000 && deleted.length <= 1000 &&
    added.every(pair) && deleted.every(Number.isInteger) &&
    places.every(([k, v]) => /^\d{1,6}$/.test(k) && pair(v));
  return fine ? { added, moved: Object.fromEntries(places), deleted } : undefined;
}
