/* The small switches on the pictures, and the theme. */

import { at, h, say } from "../dom.js";

export function switches(store) {
  const box = (id, change) =>
    at(id).addEventListener("change", (event) => change(event.target.checked));
  box("residuals", (residuals) => store.show({ residuals }));
  box("equal", (equal) => store.show({ equal }));
  box("standardize", (standardize) => store.standardize(standardize));
  for (const input of document.getElementsByName("curve")) {
    input.addEventListener("change", () => store.show({ curve: input.value }));
  }
  at("undo-edits").addEventListener("click", () =>
    store.change({ edits: { added: [], moved: {}, deleted: [] } }),
  );

  function draw() {
    at("residuals").checked = store.view.residuals;
    at("equal").checked = store.view.equal;
    at("standardize").checked = store.setting.standardize;
    for (const input of document.getElementsByName("curve")) {
      input.checked = input.value === store.view.curve;
    }
    const { added, moved, deleted } = store.setting.edits;
    at("undo-edits").hidden = !(added.length + deleted.length + Object.keys(moved).length);
  }

  function title() {
    const few = store.data;
    if (few) say(at("title-data"), `${few.target} by ${few.features.length > 1 ? `${few.features.length} features` : few.features[0]}`);
  }

  const across = at("axis-across");
  const up = at("axis-up");
  for (const select of [across, up]) {
    select.addEventListener("change", () => {
      const axes = [across.value, up.value];
      if (axes[0] === axes[1]) axes[select === across ? 1 : 0] = store.run.surface.names[select === across ? 0 : 1];
      store.change({ axes });
    });
  }

  /* Which two parameters the surface is over, where there are more than two. */
  function axes() {
    const { data, run } = store;
    const many = (data?.terms?.length ?? 0) > 1;
    at("axes").hidden = !many;
    if (!many || !run) return;
    const names = [...data.terms, "Intercept"];
    const [i, j] = run.surface.axes;
    for (const [select, place] of [[across, i], [up, j]]) {
      if (select.options.length !== names.length || [...select.options].some((o, k) => o.value !== names[k])) {
        select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
      }
      select.value = names[place];
    }
  }

  store.on("run", axes);
  store.on("view setting", draw);
  store.on("run", title);
  draw();
}

const THEMES = {
  auto: ["(prefers-color-scheme: dark)", "as the system", "M12 3.500v17a8.500 8.500 0 0 0 0-17zM12 3.500a8.500 8.500 0 0 0 0 17"],
  light: ["not all", "light", "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400"],
  dark: ["all", "dark", "M20 14.500A8.500 8.500 0 1 1 9.500 4a7 7 0 0 0 10.500 10.500z"],
};

/* Light, dark, or as the system is; kept in this browser where it allows that. */
export function theme(store) {
  const button = at("theme");
  let now = "auto";
  try {
    now = localStorage.getItem("gradline-theme") ?? "auto";
  } catch {
    /* no storage: nothing is kept */
  }
  function set(name) {
    const [media, word, path] = THEMES[name] ?? THEMES.auto;
    at("dark").media = media;
    document.documentElement.dataset.theme = name;
    button.setAttribute("aria-label", `Theme: ${word}`);
    button.title = `Theme: ${word} (T)`;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
    shape.setAttribute("d", path);
    svg.append(shape);
    button.replaceChildren(svg);
    try {
      localStorage.setItem("gradline-theme", name);
    } catch {
      /* as above */
    }
    store.show({ theme: name });
  }
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    set(names[(names.indexOf(store.view.theme) + 1) % names.length]);
  });
  set(Object.hasOwn(THEMES, now) ? now : "auto");
}
