/* The gallery of classic mistakes: make one, see it, learn to notice it, mend it. */

import { h, say } from "../dom.js";
import { show } from "../numbers.js";

const FALLBACK = []; // the server names them

export function gallery(store, side, button, player) {
  let before = null; // the setting and step from before the first mistake
  let body = null;

  side.add("gallery", button, "Classic mistakes", (element) => {
    body = element;
    draw();
  }, () => (body = null));

  async function make(name) {
    if (!store.setting.mistake) {
      before = { setting: structuredClone(store.setting), step: store.step };
    }
    await store.change({ mistake: name });
    if (store.setting.mistake !== name) return;
    await player.reset();
    player.play();
  }

  async function fix() {
    await store.change({ mistake: "" });
    await player.reset();
    player.play();
  }

  async function goBack() {
    const { setting, step } = before ?? { setting: { ...store.setting, mistake: "" }, step: 0 };
    before = null;
    await store.change(setting);
    player.seek(step);
  }

  function draw() {
    if (!body) return;
    const mistake = store.run?.mistake;
    if (mistake && store.setting.mistake) drawOne(mistake);
    else drawAll();
  }

  function drawAll() {
    const list = store.hello?.mistakes ?? FALLBACK;
    body.replaceChildren(
      h("p", {}, "Each of these has cost somebody an evening. One click makes it; then see what it looks like, and how it is mended."),
      list.length
        ? h("ul", { class: "cards" }, list.map((m) =>
            h("li", {}, h("button", { type: "button", class: "card", "data-mistake": m.name, onclick: () => make(m.name) }, h("b", {}, m.title), h("span", { class: "quiet" }, m.short ?? ""))),
          ))
        : h("p", { class: "quiet" }, "This lab has no gallery."),
      before ? backButton() : "",
    );
  }

  function backButton() {
    return h("div", { class: "row" }, h("button", { type: "button", class: "framed", id: "mistake-back", onclick: goBack }, "Back to where I was"));
  }

  function drawOne(m) {
    const part = (title, text) => (text ? h("section", {}, h("h4", {}, title), h("p", {}, text)) : "");
    const facts = Array.isArray(m.facts) ? m.facts : Object.entries(m.facts ?? {});
    body.replaceChildren(
      h("div", { class: "row" }, h("button", { type: "button", class: "textual", id: "mistake-list", onclick: drawAll }, "All mistakes")),
      h("h3", { id: "mistake-title" }, m.title),
      part("What happens", m.what),
      m.code?.length
        ? h("pre", { class: "wrong-code", "aria-label": "The lines as they are wrongly written" }, m.code.map((line, i) => h("span", { class: i === m.wrong ? "wrong" : null }, line)))
        : "",
      facts.length
        ? h("dl", { class: "facts" }, facts.flatMap((f) => {
            const [name, value] = Array.isArray(f) ? f : [f.name ?? f.title, f.value];
            return [h("dt", {}, String(name)), h("dd", {}, typeof value === "number" ? show(value) : String(value))];
          }))
        : "",
      part("How one notices", m.notice),
      part("The fix", m.fix),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "strong", id: "mistake-fix", onclick: fix }, "Mend it"),
        h("button", { type: "button", class: "framed", id: "mistake-again", onclick: () => make(m.name) }, "See it again"),
        h("button", { type: "button", class: "framed", id: "mistake-back", onclick: goBack }, "Back to where I was"),
      ),
    );
    say(document.getElementById("announce"), m.title);
  }

  store.on("run hello", draw);
}
