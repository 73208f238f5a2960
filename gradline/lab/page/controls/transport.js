/* Time: play, step, one line, reset, speed, and the scrubber over all steps. */

import { at, h, icon, say } from "../dom.js";
import { show, whole } from "../numbers.js";

const SPEEDS = [1, 3, 10, 20, 60, 200, 1000, 5000, 20000];

export function transport(store, player) {
  const play = at("play");
  const scrubber = at("scrubber");
  const track = at("scrub-track");
  const arrived = h("span", { class: "mark", hidden: true });
  track.append(arrived);

  play.addEventListener("click", () => (store.playing ? player.pause() : player.play()));
  at("reset").addEventListener("click", () => player.reset());
  at("back").addEventListener("click", () => player.step(-1));
  at("step").addEventListener("click", () => player.step(1));
  at("substep").addEventListener("click", () => player.substep());
  scrubber.addEventListener("input", () => {
    const step = Number(scrubber.value); // pausing puts the thumb where time stands
    if (store.playing) player.pause();
    player.seek(step);
  });

  const speed = at("speed");
  for (const value of SPEEDS) {
    speed.append(h("option", { value }, `${value.toLocaleString("en-GB")} / s`));
  }
  speed.value = String(player.speed);
  speed.addEventListener("change", () => {
    player.speed = Number(speed.value);
    store.tell("speed");
  });

  function playing() {
    const word = store.playing ? "Pause" : "Play";
    if (play.getAttribute("aria-label") === word && play.firstChild) return;
    play.setAttribute("aria-label", word);
    play.replaceChildren(icon(store.playing ? "pause" : "play"));
  }

  function total() {
    const { run } = store;
    if (!run) return;
    scrubber.max = String(Math.max(1, run.total));
    const place = run.diverged ?? run.converged ?? null;
    const inside = place !== null && place <= run.total;
    arrived.hidden = !inside;
    arrived.className = run.diverged === null ? "mark" : "mark diverged";
    arrived.title = run.diverged === null ? "converged here" : "diverged here";
    if (inside) arrived.style.setProperty("--at", place / Math.max(1, run.total));
    frame();
  }

  function frame() {
    const { run, step } = store;
    if (!run) return;
    if (Number(scrubber.value) !== step) scrubber.value = String(step);
    scrubber.style.setProperty("--at", step / Math.max(1, run.total));
    const each = run.per_epoch ?? 1;
    const epoch = Math.floor(step / each);
    const inside = each > 1 ? `, step ${whole(step % each)}` : "";
    scrubber.setAttribute(
      "aria-valuetext",
      `epoch ${whole(epoch)}${inside} of ${whole(run.total / each)}`,
    );
    say(at("epoch-now"), whole(epoch));
    say(at("epoch-total"), ` / ${whole(run.total / each)}`);
    say(at("loss-number"), store.frame?.exact === false ? "…" : show(store.frame?.loss));
    say(at("epoch-why"), run.diverged !== null && run.diverged !== undefined && run.total < store.setting.epochs * each ? "cut short: it diverges" : "");
    at("back").disabled = at("reset").disabled = step === 0 && !store.playing;
    at("step").disabled = at("substep").disabled = step >= run.total;
  }

  at("epoch").append(
    h("span", { class: "quiet" }, "Epoch "),
    h("b", { id: "epoch-now" }, "–"),
    h("span", { class: "quiet", id: "epoch-total" }),
    h("span", { class: "quiet why", id: "epoch-why" }),
  );
  at("loss-now").append(
    h("span", { class: "quiet" }, "Loss "),
    h("b", { id: "loss-number" }, "–"),
  );
  store.on("playing", () => (playing(), frame()));
  store.on("run total", total);
  store.on("frame", frame);
  playing();
}
