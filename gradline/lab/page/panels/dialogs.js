/* Dialogs: a head with a title and a cross, a body; a click beside it closes it. */

import { h, icon } from "../dom.js";

export function furnish(dialog, title, ...content) {
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  const body = h("div", { class: "dialog-body" }, content);
  dialog.replaceChildren(
    h("header", { class: "side-head" }, h("h2", { id: `${dialog.id}-title` }, title), close),
    body,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return body;
}
