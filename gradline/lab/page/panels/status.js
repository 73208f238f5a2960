/* One line for what is wrong or under way; and the one voice for screen readers. */

import { at, icon, say, settle } from "../dom.js";
import { whole } from "../numbers.js";

/* Divergence is said where one looks: at the learning rate and in the certificate. */
const diverges = (run) => run.diverged !== null && run.diverged !== undefined;

export function status(store) {
  const box = at("status");
  const words = at("status-words");
  const action = at("status-action");
  const close = at("status-close");
  let dismissed = "";
  let act = null;
  let slow = null; // progress is shown only where it takes a while

  close.append(icon("close"));
  close.addEventListener("click", () => {
    dismissed = words.textContent;
    if (store.error) store.fail("");
    draw();
  });
  action.addEventListener("click", () => act?.());

  const announce = settle(700, () => {
    const { run } = store;
    const gone = run && diverges(run) ? (run.message ?? "The descent diverges.") : "";
    say(at("announce"), box.hidden ? gone : words.textContent);
  });

  function current() {
    if (store.connection === "lost") {
      return ["lost", "The connection to the lab is lost; trying again. Is gradline lab still running?", "Try now", () => store.socket.again()];
    }
    if (store.error) return ["error", store.error];
    if (store.progress) {
      const { what, rows } = store.progress;
      return ["progress", rows ? `${what}: ${whole(rows)} rows` : `${what}…`];
    }
    return null;
  }

  function draw() {
    const found = current();
    const hide = !found || (found[1] === dismissed && found[0] !== "lost");
    if (!found) dismissed = "";
    box.hidden = hide;
    const share = at("status-share");
    share.hidden = hide || found[0] !== "progress";
    action.hidden = hide || !found[2];
    close.hidden = hide || found[0] === "lost" || found[0] === "progress";
    if (!hide) {
      box.dataset.kind = found[0];
      say(words, found[1]);
      action.textContent = found[2] ?? "";
      act = found[3] ?? null;
      if (found[0] === "progress") {
        if (typeof store.progress.share === "number") share.value = store.progress.share;
        else share.removeAttribute("value");
      }
    }
    announce();
  }

  store.on("progress", () => {
    clearTimeout(slow);
    if (store.progress && box.hidden) slow = setTimeout(draw, 300);
    else draw();
  });
  store.on("error connection run total", draw);
  store.on("busy", () => at("lab").setAttribute("aria-busy", String(store.busy)));
}
