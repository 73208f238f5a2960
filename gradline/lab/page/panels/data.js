/* Which data: the ready-made sets, a file of one's own, its target and features. */

import { at, h, icon, say } from "../dom.js";
import { plural, whole } from "../numbers.js";
import { furnish } from "./dialogs.js";
import { upload } from "./upload.js";

const MANY = 12; // features before there is a search

const FALLBACK = [
  { name: "line", title: "A noisy line", story: "The lesson's own: y = x and noise.", drawn: true },
  { name: "penguins", title: "Penguins", story: "Flippers and body mass.", drawn: false, real: true },
];

export function dataPanel(store) {
  const dialog = at("data-dialog");
  const files = new Map(); // "file:1" -> what the server said of it
  const kept = new Map(); // "file:2" -> what the browser has of it, to send it again
  let last = null; // that of the file that was opened or chosen last, or null
  let refused = null; // a file that could not be fitted as chosen
  const sets = h("ul", { class: "cards sets" });
  const words = h("p", { role: "status", "aria-live": "polite" });
  const share = h("progress", { hidden: true, "aria-label": "Reading the file" });
  const chooser = h("input", { type: "file", id: "file", accept: ".csv,.tsv,.txt,.parquet,.gz", class: "unseen", tabindex: -1, "aria-label": "A file" });
  const offer = (id, list) => h("select", { id }, list.map(([value, text]) => h("option", { value }, text)));
  const decimal = offer("decimal", [["", "Point: 0.5"], [",", "Comma: 0,5"]]);
  const delimiter = offer("delimiter", [["", "As found"], [",", "Comma"], [";", "Semicolon"], ["tab", "Tab"], ["|", "Bar"]]);
  const encoding = offer("encoding", [["", "As found"], ["utf-8", "UTF-8"], ["cp1252", "Western (1252)"], ["cp1250", "Central Europe (1250)"], ["cp1251", "Cyrillic (1251)"], ["shift_jis", "Japanese (Shift JIS)"], ["gb18030", "Chinese (GB 18030)"], ["utf-16", "UTF-16"]]);
  const again = h("button", { type: "button", class: "framed", id: "read-again", hidden: true, onclick: () => take(last) }, "Read the file again");
  const reading = () => ({
    ...(decimal.value && { decimal: decimal.value }),
    ...(delimiter.value && { delimiter: delimiter.value }),
    ...(encoding.value && { encoding: encoding.value }),
  });
  const drop = h(
    "div",
    { class: "drop", id: "drop" },
    h("button", { type: "button", class: "strong", id: "open-file", autofocus: true, onclick: () => chooser.click() }, "Open a file"),
    h("span", { class: "quiet" }, "or drop a CSV or Parquet file on this page. It stays on this machine."),
    h("span", { class: "reading" },
      h("label", {}, h("span", { class: "quiet" }, "Decimal"), decimal),
      h("label", {}, h("span", { class: "quiet" }, "Between columns"), delimiter),
      h("label", {}, h("span", { class: "quiet" }, "Encoding"), encoding),
      again),
    share,
    words,
  );
  const columns = h("section", { class: "columns-part", hidden: true });
  const own = h("ul", { class: "cards sets", hidden: true });
  furnish(dialog, "Data", h("h3", {}, "Your own"), drop, chooser, own, columns, h("h3", {}, "Ready made"), sets);

  at("open-data").addEventListener("click", () => {
    drawSets();
    drawColumns();
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    if (words.className === "bad") say(words, "");
    refused = null;
  });
  chooser.addEventListener("change", () => chooser.files[0] && take(chooser.files[0]));
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (!dialog.open) at("open-data").click();
    drop.toggleAttribute("data-over", true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.removeAttribute("data-over");
  });
  addEventListener("drop", (event) => {
    drop.removeAttribute("data-over");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });

  /* What is wrong, where one looks: in the dialog, or above the page once it is shut. */
  function complain(message) {
    words.className = "bad";
    say(words, dialog.open ? message : "");
    store.fail(dialog.open ? "" : message);
    words.scrollIntoView?.({ block: "nearest" });
  }

  /* Open a file; one that was open and is read in another way takes its own place. */
  async function take(file) {
    const before = [...kept].find(([, one]) => one === file)?.[0];
    remember(file);
    share.hidden = false;
    words.className = "quiet";
    say(words, `Reading ${file.name}…`);
    try {
      const found = await upload(file, store.hello?.session ?? "", (part) => {
        if (part === null) share.removeAttribute("value");
        else share.value = part;
      }, reading());
      files.set(found.data, found);
      kept.set(found.data, file);
      say(words, `${found.title}${found.rows ? `: ${plural(found.rows, "row")}` : ""}${found.hint ? `. ${found.hint}` : ""}`);
      await choose(found);
      if (files.has(before) && store.setting.data !== before) {
        await store.socket.ask({ type: "close", data: before });
        forget(before);
        drawSets();
      }
    } catch (error) {
      complain(error.message);
    } finally {
      share.hidden = true;
      chooser.value = "";
    }
  }

  function remember(file) {
    last = file ?? null;
    again.hidden = !last;
    say(again, last ? `Read ${last.name} again` : "");
  }

  function forget(data) {
    files.delete(data);
    if (kept.get(data) === last && ![...kept].some(([name, file]) => name !== data && file === last)) remember(null);
    kept.delete(data);
    if (refused?.data === data) refused = null;
  }

  async function choose(found, done = false) {
    remember(kept.get(found.data));
    await store.choose(found.data, { target: found.target, features: found.features ?? [], lr: 0.1, standardize: true, validation: 0, degree: 1 });
    const wrong = store.setting.data === found.data ? "" : store.error;
    refused = wrong ? found : null;
    if (wrong) complain(`${found.title} is open, but cannot be fitted with these columns: ${wrong}.`);
    else if (words.className === "bad") say(words, "");
    if (done && !wrong) dialog.close();
    drawSets();
    drawColumns();
  }

  /* Let go of a file; where it is in use, the usual data take its place first. */
  async function shut({ data, title }) {
    try {
      if (store.setting.data === data) await store.choose("line", { standardize: false });
      await store.socket.ask({ type: "close", data });
      forget(data);
      words.className = "quiet";
      say(words, `${title} is closed.`);
    } catch (error) {
      complain(error.message);
    }
    drawSets();
    drawColumns();
  }

  function drawSets() {
    const known = store.hello?.datasets ?? FALLBACK;
    const opened = [...files.values()].map((f) => ({
      name: f.data,
      title: f.title,
      story: f.rows ? `Your file, ${plural(f.rows, "row")}.` : "Your file.",
      pick: () => choose(f),
      close: f.data === store.hello?.file?.data ? null : () => shut(f),
    }));
    own.hidden = !opened.length;
    own.replaceChildren(...cards(opened));
    sets.replaceChildren(...cards(known));
  }

  function cards(list) {
    return list.map((d) =>
        h("li", {}, h(
          "button",
          {
            type: "button",
            class: "card",
            "data-set": d.name,
            "aria-pressed": String(store.setting.data === d.name),
            onclick: async () => {
              if (d.pick) return d.pick();
              dialog.close();
              await store.choose(d.name, d.name === "line" ? {} : { standardize: true, lr: 0.1 });
            },
          },
          h("b", {}, d.title),
          h("span", { class: "quiet" }, d.story ?? ""),
        ), d.close ? h("button", { type: "button", class: "icon shut", "aria-label": `Close ${d.title}`, title: "Close this file", onclick: d.close }, icon("close")) : null),
    );
  }

  function known() {
    const file = refused ?? files.get(store.setting.data);
    if (file) return file.columns;
    return store.data?.columns?.map((c) => (typeof c === "string" ? { name: c, kind: "number" } : c)) ?? [];
  }

  function drawColumns() {
    const list = known();
    columns.hidden = !refused && (list.length < 3 || !store.data);
    if (columns.hidden) return;
    const { target, features } = refused ?? {
      target: store.setting.target ?? store.data.target,
      features: store.setting.features.length ? store.setting.features : store.data.features,
    };
    const chosen = new Set(features);
    const select = h("select", { id: "target" }, list.filter((c) => c.kind === "number" || c.name === target).map((c) => h("option", { value: c.name }, c.name)));
    select.value = target;
    const boxes = h("ul", { class: "columns", "aria-label": "Features" });
    const count = h("span", { class: "quiet" });
    const search = h("input", { type: "search", "aria-label": "Search features", placeholder: `Search ${whole(list.length)} columns`, oninput: fill });
    const apply = h("button", { type: "button", class: "strong", id: "use-columns", onclick: use }, "Use these columns");

    function fill() {
      const sought = search.value.trim().toLowerCase();
      boxes.replaceChildren(
        ...list
          .filter((c) => c.name !== select.value && c.name.toLowerCase().includes(sought))
          .slice(0, 300)
          .map((c) => {
            const box = h("input", {
              type: "checkbox",
              value: c.name,
              checked: chosen.has(c.name),
              disabled: c.kind === "other",
              onchange: () => {
                if (box.checked) chosen.add(c.name);
                else chosen.delete(c.name);
                tally();
              },
            });
            return h("li", {}, h("label", {}, box, h("span", {}, c.name), h("span", { class: "quiet" }, c.kind), h("span", { class: "quiet" }, c.example ?? "")));
          }),
      );
      tally();
    }
    function tally() {
      const n = [...chosen].filter((name) => name !== select.value).length;
      say(count, n ? plural(n, "feature") : "Choose at least one feature");
      apply.disabled = n === 0;
    }
    async function use() {
      const features = list.map((c) => c.name).filter((name) => chosen.has(name) && name !== select.value);
      if (refused) return choose({ ...refused, target: select.value, features }, true);
      await store.change({ target: select.value, features, start: [], axes: [], degree: features.length > 1 ? 1 : store.setting.degree, edits: { added: [], moved: {}, deleted: [] } });
      if (store.error) complain(store.error);
      else dialog.close();
    }
    select.addEventListener("change", fill);
    columns.replaceChildren(
      h("h3", {}, refused ? `Columns of ${refused.title}` : "Columns"),
      h("div", { class: "field" }, h("label", { for: "target" }, "Predict"), h("span", { class: "wide" }, select)),
      h("div", { class: "row" }, h("span", {}, "from"), list.length > MANY ? search : null),
      boxes,
      h("div", { class: "row" }, count, h("span", { class: "push" }), apply),
    );
    fill();
  }

  store.on("hello", () => {
    const { file } = store.hello;
    if (file) files.set(file.data, file);
  });
  store.on("progress", () => {
    const { progress } = store;
    if (share.hidden || !progress) return;
    say(words, progress.rows ? `${progress.what}: ${whole(progress.rows)} rows` : progress.what);
    if (typeof progress.share === "number") share.value = progress.share;
  });
}
