/* What can be taken away: script, model, pictures, report; and the link. */

import { at, h, say } from "../dom.js";

const KINDS = [
  ["script", "PyTorch script", "a plain file that walks to this step"],
  ["model", "Model", "safetensors; gradline predict reads it"],
  ["picture", "Picture", "this step as a PNG"],
  ["movie", "Moving picture", "the descent as a GIF"],
  ["report", "Report", "one HTML file for a colleague"],
];

export function exports(store) {
  const menu = at("export-menu");
  const button = at("open-export");
  const buttons = KINDS.map(([what, title, text]) =>
    h("button", { type: "button", "data-export": what, onclick: () => take(what, title) }, h("b", {}, title), h("span", { class: "quiet" }, text)),
  );
  menu.append(...buttons);
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    buttons.forEach((item, i) => {
      const why = store.run?.exports?.[KINDS[i][0]] ?? null;
      item.setAttribute("aria-disabled", String(Boolean(why)));
      say(item.querySelector(".quiet"), why ?? KINDS[i][2]);
    });
    const { right, bottom } = button.getBoundingClientRect();
    menu.style.top = `${bottom + 4}px`;
    menu.style.left = `${Math.max(8, Math.min(right, innerWidth - 8) - menu.offsetWidth)}px`;
    buttons[0].focus();
  });
  menu.addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const here = buttons.indexOf(document.activeElement);
    buttons[(here + move + buttons.length) % buttons.length].focus();
  });

  async function take(what, title) {
    const { run, step } = store;
    if (!run || run.exports?.[what]) return;
    menu.hidePopover();
    store.progress = { what: `Making the ${title.toLowerCase()}`, rows: null, share: null };
    store.tell("progress");
    try {
      const answer = await store.socket.ask({ type: "export", what, run: run.run, step });
      save(answer);
      say(at("announce"), `${answer.name} is saved.`);
    } catch (error) {
      store.fail(error.message);
    } finally {
      store.progress = null;
      store.tell("progress");
    }
  }

  const copy = at("copy-link");
  copy.addEventListener("click", async () => {
    const word = copy.querySelector(".word");
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      done = "In the address bar";
    }
    say(word, done);
    say(at("announce"), done === "Copied" ? "The link is copied." : "The link is in the address bar.");
    setTimeout(() => say(word, "Copy link"), 1600);
  });
}

function save({ name, media, text, base64 }) {
  const parts = base64 === undefined ? text : Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([parts], { type: media }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
