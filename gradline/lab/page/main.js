/* Puts the page together. */

import { Player } from "./player.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";
import { CodeView } from "./views/code.js";
import { CurveView } from "./views/curve.js";
import { DataView } from "./views/data.js";
import { Stage } from "./views/stage.js";
import { SurfaceView } from "./views/surface.js";

const socket = new Socket({
  onstate: (state) => {
    if (state === "open") store.change({}); // at first, and after a lost connection
  },
});
const store = new Store(socket);
const player = new Player(store);

const at = (id) => document.getElementById(id);
const stage = new Stage(store, player);
stage.add(new DataView(at("data-view"), store, player));
stage.add(new SurfaceView(at("surface-view"), store, player));
stage.add(new CurveView(at("curve-view"), store, player));
stage.add(new CodeView(at("code-view"), store, player));

at("play").addEventListener("click", () =>
  store.playing ? player.pause() : player.play(),
);
at("lr").addEventListener("input", (event) =>
  store.change({ lr: 10 ** Number(event.target.value) }),
);

stage.start();

// For tests and measurements: stage.frames counts the pictures drawn.
window.gradlineLab = { store, player, stage };
