/* Keyboard shortcuts. They rest while something that needs the keys has the focus. */

import { at } from "../dom.js";

const TAKES = "input, select, textarea, [contenteditable], canvas[tabindex]";

export function keys(store, player) {
  const actions = {
    " ": () => (store.playing ? player.pause() : player.play()),
    ArrowRight: (event) => player.step(event.shiftKey ? 10 : 1),
    ArrowLeft: (event) => player.step(event.shiftKey ? -10 : -1),
    Home: () => player.reset(),
    End: () => player.seek(store.run?.total ?? 0),
    ".": () => player.substep(),
    r: () => player.reset(),
    l: () => at("open-lesson").click(),
    m: () => at("open-gallery").click(),
    d: () => at("open-data").click(),
    t: () => at("theme").click(),
    "?": () => at("open-help").click(),
    Escape: () => !at("side").hidden && at("side-close").click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open], [popover]:popover-open")) return;
    const inside = event.target instanceof Element ? event.target : document.body;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!Object.hasOwn(actions, key)) return;
    const typing = inside.closest("input[type=number], input[type=search], input[type=text], select");
    if (typing && key !== "Escape") return;
    const arrow = key.startsWith("Arrow") || key === "Home" || key === "End";
    if (arrow && inside.closest(TAKES)) return;
    if (key === " " && inside.closest(`button, a, summary, ${TAKES}`)) {
      // a slider has no use for the space bar; everything else has
      if (!inside.matches("input[type=range]")) return;
    }
    event.preventDefault();
    actions[key](event);
  });
}
