/* Puts the page together. */

import { Player } from "./player.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";
import { CodeView } from "./views/code.js";
import { CurveView } from "./views/curve.js";
import { DataView } from "./views/data.js";
import { SurfaceView } from "./views/surface.js";

const socket = new Socket({
  onstate: (state) => {
    if (state === "open") store.change({}); // at first, and after a lost connection
  },
});
const store = new Store(socket);
const player = new Player(store);

const at = (id) => document.getElementById(id);
new DataView(at("data-view"), store);
new SurfaceView(at("surface-view"), store);
new CurveView(at("curve-view"), store);
new CodeView(at("code-view"), store);

at("play").addEventListener("click", () =>
  store.playing ? player.pause() : player.play(),
);
at("lr").addEventListener("input", (event) =>
  store.change({ lr: 10 ** Number(event.target.value) }),
);

let last = performance.now();
function tick(now) {
  player.tick(Math.min(0.1, (now - last) / 1000));
  last = now;
  requestAnimationFrame(tick);
}
requestAnimationFrame(tick);
