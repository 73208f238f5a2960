/* The guided lesson: one step at a time, with a task that checks itself. What was solved
   is kept in this browser, where it allows that. */

import { h, icon, say, settle } from "../dom.js";
import { DEFAULTS } from "../store.js";
import { STEPS } from "./steps.js";

const KEY = "gradline-lesson";

export function lesson(store, side, button, player) {
  const kept = recall();
  let memory = null; // of this step; null while it is being set up
  let parts = null; // elements of the open step

  side.add("lesson", button, "Lesson", (body) => go(kept.at, body), () => {
    parts = null;
    memory = null;
  });

  async function go(place, body) {
    const step = STEPS[place];
    kept.at = place;
    keep();
    memory = null;
    draw(body, step, place);
    const mine = parts;
    store.show({ residuals: false, curve: "log", equal: true, ...step.view });
    await store.change({ ...structuredClone(DEFAULTS), ...structuredClone(step.begin) });
    if (mine !== parts) return;
    if (store.playing) player.pause();
    await player.seek(step.end ? store.run.total : 0);
    if (mine !== parts) return;
    memory = {};
    look();
  }

  function draw(body, step, place) {
    const mark = h("span", { class: "tick", "aria-hidden": "true" }, icon("tick"));
    const now = h("p", { class: "now" });
    const news = h("p", { class: "good", role: "status", id: "lesson-news" });
    const hint = h("p", { class: "quiet", id: "lesson-hint", hidden: true }, step.hint);
    const again = () => go(place, body);
    const more = h("button", {
      type: "button", class: "textual", "aria-expanded": "false", "aria-controls": "lesson-hint", id: "lesson-hint-button",
      onclick: () => {
        hint.hidden = !hint.hidden;
        more.setAttribute("aria-expanded", String(!hint.hidden));
      },
    }, "Hint");
    const task = h("div", { class: "task", id: "lesson-task" }, mark, h("div", {}, h("h4", {}, "Your turn"), h("p", {}, step.task), question(step), now, news));
    const next = place + 1 < STEPS.length
      ? h("button", { type: "button", class: "framed push", id: "lesson-next", onclick: () => go(place + 1, body) }, "Next")
      : h("button", { type: "button", class: "framed push", id: "lesson-next", onclick: () => side.show(null) }, "Finish");
    const heading = h("h3", { id: "lesson-title", tabindex: -1 }, `${place + 1}. ${step.title}`);
    body.replaceChildren(
      h("ol", { class: "dots", "aria-label": "Steps of the lesson" }, STEPS.map((s, i) =>
        h("li", {}, h("button", {
          type: "button",
          "data-done": kept.done.includes(s.id),
          "aria-current": i === place ? "step" : null,
          "aria-label": `${i + 1}. ${s.title}${kept.done.includes(s.id) ? ", solved" : ""}`,
          title: s.title,
          onclick: () => go(i, body),
        }, String(i + 1))))),
      heading,
      ...step.text.map((t) => h("p", {}, t)),
      task,
      h("div", { class: "row" }, more, h("button", { type: "button", class: "textual", id: "lesson-where", onclick: () => point(step) }, "Show me where"), h("button", { type: "button", class: "textual", id: "lesson-again", onclick: again }, "Start this step again")),
      hint,
      h("div", { class: "row" },
        place ? h("button", { type: "button", class: "framed", id: "lesson-back", onclick: () => go(place - 1, body) }, "Back") : "",
        next),
    );
    if (parts) heading.focus();
    parts = { step, task, now, news, next, dots: body.querySelectorAll(".dots button")[place] };
    if (kept.done.includes(step.id)) mend(false);
  }

  /* Bring the control that the task needs into sight, and to the hand. */
  function point({ where }) {
    const control = document.querySelector(where);
    control.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    control.focus({ preventScroll: true, focusVisible: true });
  }

  function question(step) {
    if (!step.answer) return "";
    const field = h("input", { type: "number", step: "any", id: "lesson-answer" });
    const check = () => {
      if (field.value === "" || !memory || !store.frame) return;
      const right = Math.abs(Number(field.value) - step.answer(store)) <= 0.006;
      if (right) solve();
      else say(parts.news, "Not quite.");
    };
    return h("form", { class: "row", onsubmit: (e) => (e.preventDefault(), check()) },
      h("label", { for: "lesson-answer" }, step.question), h("span", { class: "answer" }, field),
      h("button", { type: "button", class: "framed", id: "lesson-check", onclick: check }, "Check"));
  }

  /* Show it as solved; `news`: just now. */
  function mend(news) {
    parts.task.toggleAttribute("data-done", true);
    parts.dots.toggleAttribute("data-done", true);
    parts.next.classList.replace("framed", "strong");
    if (news) say(parts.news, "Solved.");
  }

  function solve() {
    const { id } = parts.step;
    if (!kept.done.includes(id)) kept.done.push(id);
    keep();
    mend(true);
  }

  const judge = settle(450, () => {
    if (!memory || !parts || !store.run || !store.frame || store.busy) return;
    if (parts.step.solved?.(memory, store, player) && parts.news.textContent !== "Solved.") solve();
  });

  function look() {
    if (!memory || !parts || !store.run || !store.frame) return;
    parts.step.watch?.(memory, store, player);
    say(parts.now, parts.step.now?.(store, memory) ?? "");
    judge();
  }

  store.on("setting run frame pose total view playing busy", look);

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      /* no storage: it lasts as long as the page */
    }
  }
}

function recall() {
  const usual = { done: [], at: 0 };
  try {
    const { done, at } = JSON.parse(localStorage.getItem(KEY)) ?? usual;
    const known = STEPS.map((s) => s.id).filter((id) => done.includes(id));
    return { done: known, at: Number.isInteger(at) && at >= 0 && at < STEPS.length ? at : 0 };
  } catch {
    return usual;
  }
}
