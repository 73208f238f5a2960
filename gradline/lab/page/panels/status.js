/* One line for what is wrong or under way; and the one voice for screen readers. */

import { at, icon, say, settle } from "../dom.js";
import { show, whole } from "../numbers.js";

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

  const announce = settle(700, () => say(at("announce"), box.hidden ? "" : words.textContent));

  function current() {
    if (store.connection === "lost") {
      return ["lost", "The connection to the lab is lost; trying again. Is gradline lab still running?", "Try now", () => store.socket.again()];
    }
    if (store.error) return ["error", store.error];
    if (store.progress) {
      const { what, rows } = store.progress;
      return ["progress", rows ? `${what}: ${whole(rows)} rows` : `${what}…`];
    }
    const { run } = store;
    if (run && run.diverged !== null && run.diverged !== undefined) {
      const best = run.limits?.best;
      const text = run.message ?? `Diverged at step ${whole(run.diverged)}.`;
      const use = best > 0 && store.setting.lr > best;
      return use
        ? ["diverged", text, `Use the best, ${show(best)}`, () => store.change({ lr: best })]
        : ["diverged", text];
    }
    if (run?.message) return ["note", run.message];
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
