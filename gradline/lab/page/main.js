/* Puts the page together: what is said goes into the store, what is seen listens. */

import { keys } from "./controls/keys.js";
import { options } from "./controls/options.js";
import { picture } from "./controls/picture.js";
import { switches, theme } from "./controls/switches.js";
import { transport } from "./controls/transport.js";
import { at, say, settle } from "./dom.js";
import { decode, encode } from "./link.js";
import { plural } from "./numbers.js";
import { certificate } from "./panels/certificate.js";
import { dataPanel } from "./panels/data.js";
import { describe } from "./panels/describe.js";
import { exports } from "./panels/export.js";
import { gallery } from "./panels/gallery.js";
import { help } from "./panels/help.js";
import { lesson } from "./panels/lesson.js";
import { Side } from "./panels/side.js";
import { status } from "./panels/status.js";
import { Player } from "./player.js";
import { Socket } from "./socket.js";
import { DEFAULTS, Store } from "./store.js";
import { CodeView } from "./views/code.js";
import { CurveView } from "./views/curve.js";
import { DataView } from "./views/data.js";
import { Stage } from "./views/stage.js";
import { SurfaceView } from "./views/surface.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

const socket = new Socket({ onstate, onpush });
const store = new Store(socket);
const player = new Player(store);
const stage = new Stage(store, player);

theme(store);
options(store, at("controls"));
switches(store);
picture(store);
transport(store, player);
keys(store, player);
status(store);
certificate(store);
dataPanel(store);
exports(store);
help(store);
describe(store);
const side = new Side();
lesson(store, side, at("open-lesson"), player);
gallery(store, side, at("open-gallery"), player);

stage.add(new DataView(at("data-view"), store, player));
stage.add(new SurfaceView(at("surface-view"), store, player));
stage.add(new CurveView(at("curve-view"), store, player));
stage.add(new CodeView(at("code-view"), store, player));
stage.start();

let unread = ""; // what is to be said of a link, once there is a run

/* What a link asks for; the step once there is a run. */
let wanted = null;
let autoplay = !calm.matches;

function restore() {
  const found = decode(location.hash);
  if (!found) {
    if (location.hash.includes("=")) unread = "This link cannot be read: it is damaged, or made by another version of the lab. Here is the usual setting.";
    return false;
  }
  // What the link does not name is as usual, also where a page is open already.
  Object.assign(store.setting, structuredClone(DEFAULTS), found.setting);
  store.show(found.view);
  wanted = found.step;
  autoplay = false;
  return true;
}
const linked = restore();

store.on("run", () => {
  at("nothing").hidden = true;
  if (unread) {
    store.fail(unread);
    unread = "";
  }
  if (linked && store.run.run === 1 && store.run.mistake) side.show("gallery");
  if (wanted !== null) {
    player.seek(wanted);
    wanted = null;
  } else if (autoplay) {
    autoplay = false;
    player.play();
  }
});
store.on("data", () => {
  say(at("data-title"), store.data.title);
  const { story, dropped, rows_said: rows } = store.data;
  const left = dropped > 0 || !story ? (rows ? `${rows}.` : `${plural(dropped, "row")} with missing values left out.`) : "";
  say(at("data-story"), [left, story].filter(Boolean).join(" "));
  at("data-story").title = at("open-data").title = at("data-story").textContent;
  at("data-story").toggleAttribute("data-dropped", dropped > 0);
});

/* The address always holds the whole setting. */
let written = location.hash;
const write = settle(250, () => {
  if (store.playing || !store.run) return;
  const hash = encode(store);
  if (hash === written) return;
  written = hash;
  history.replaceState(null, "", hash || location.pathname);
});
store.on("setting view run frame playing", write);
addEventListener("hashchange", () => {
  if (location.hash === written) return;
  written = location.hash;
  if (restore()) store.change({});
  else if (unread) {
    store.fail(unread.replace("Here is the usual setting.", "Nothing was changed."));
    unread = "";
  }
});

function onstate(state) {
  store.connection = state;
  store.tell("connection");
  if (state === "open") store.change({});
  else if (store.playing) player.pause();
}

function onpush(message) {
  if (message.type === "hello") {
    store.hello = message;
    store.tell("hello");
    const { file } = message;
    if (file && !linked && store.setting.data === "line") {
      store.choose(file.data, { target: file.target, features: file.features ?? [], standardize: true });
    }
  } else if (message.type === "progress") {
    store.progress = message.share === 1 ? null : message;
    store.tell("progress");
  }
}

window.gradlineLab = { store, player, socket, stage };
