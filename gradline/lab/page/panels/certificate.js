/* The certificate of the step that is shown: one sentence, a few numbers, a proof. */

import { at, h, say, throttle } from "../dom.js";
import { percent, plural, show, whole } from "../numbers.js";

const ROWS = [
  ["loss", "Loss"],
  ["optimum", "Smallest possible"],
  ["gap", "Gap"],
  ["relative", "Gap, relative"],
  ["gradient", "Gradient norm"],
  ["condition", "Condition"],
  ["digits", "Digits to trust"],
  ["validation", "Validation loss"],
];

export function certificate(store) {
  const cells = {};
  at("certificate-numbers").append(
    ...ROWS.map(([name, label]) => {
      cells[name] = h("dd", { id: `certificate-${name}` }, "–");
      return h("div", {}, h("dt", {}, label), cells[name]);
    }),
  );
  const note = h("p", { class: "note quiet", hidden: true });
  const result = h("p", { id: "proof-words", class: "note quiet", role: "status" });
  const prove = h("button", { type: "button", class: "textual", id: "proof", onclick: check }, "Check with PyTorch");
  at("certificate").querySelector(".words").append(note, result);
  at("certificate").querySelector(".title").append(prove);

  let asking = false;
  const ask = throttle(200, async () => {
    const { run, step } = store;
    if (!run || asking || store.connection !== "open") return;
    asking = true;
    try {
      const answer = await store.socket.ask({ type: "certificate", run: run.run, step });
      if (answer.run === store.run.run) {
        store.certificate = answer.certificate;
        store.certificateStep = answer.step;
        store.tell("certificate");
      }
    } catch {
      /* the run is over, or the connection: both are said elsewhere */
    } finally {
      asking = false;
      if (store.run && (store.run !== run || store.step !== step)) ask();
    }
  });

  async function check() {
    const { run, step } = store;
    prove.disabled = true;
    say(result, "The five-step loop is running…");
    try {
      const answer = await store.socket.ask({ type: "proof", run: run.run, step });
      say(result, answer.sentence);
    } catch (error) {
      say(result, error.message);
    } finally {
      prove.disabled = false;
    }
  }

  function draw() {
    const { run, frame, certificate: c } = store;
    if (!run || !frame) return;
    const optimum = run.optimum?.loss;
    const gap = c && Number.isFinite(c.gap) ? c.gap : frame.loss - optimum;
    const relative = c?.relative_gap ?? gap / Math.abs(optimum);
    say(cells.loss, show(frame.loss, 4));
    say(cells.optimum, show(c?.optimum_loss ?? optimum, 4));
    say(cells.gap, show(Math.max(0, gap)));
    say(cells.relative, optimum > 0 ? percent(Math.max(0, relative)) : "–");
    say(cells.gradient, show(c?.gradient_norm));
    say(cells.condition, show(run.limits?.condition ?? c?.condition));
    say(cells.digits, show(c?.digits));
    say(cells.validation, frame.validation === null ? "–" : show(frame.validation, 4));
    const [word, tone, text] = verdict(store, relative);
    note.hidden = !run.message || run.message === text;
    say(note, run.message ?? "");
    const badge = at("certificate-badge");
    say(badge, word);
    badge.dataset.tone = tone;
    say(at("certificate-sentence"), text);
  }

  store.on("run", () => {
    say(result, "");
    ask();
  });
  store.on("frame", () => {
    draw();
    ask();
  });
  store.on("certificate run total", draw);
}

/* A word, its tone, and the sentence. */
function verdict({ run, step, setting, certificate: c }, relative) {
  const each = run.per_epoch ?? 1;
  const when = step === 0 ? "At the random start" : `After ${plural(Math.floor(step / each), "epoch")}`;
  if (run.diverged !== null && run.diverged !== undefined) {
    const usual = `The loss runs away within ${plural(Math.ceil(run.diverged / each), "epoch")}. No number of epochs mends that: take a smaller learning rate.`;
    return ["diverges", "bad", run.message ?? usual];
  }
  if (!Number.isFinite(relative)) return ["", "", `${when} there is nothing to compare with yet.`];
  if (c?.status === "rank_deficient") return ["rank deficient", "bad", c.advice];
  if (relative <= 1e-8) {
    return ["converged", "good", `${when} the line is the best there is: no other has a smaller loss.`];
  }
  const far = relative > 1 ? `${show(relative + 1)} times` : `${percent(relative)} above`;
  const needed = run.needed ?? null;
  const rest = run.converged ?? needed;
  const limit = run.limits?.limit;
  let more = "";
  if (limit > 0 && setting.lr >= limit) more = " The learning rate is above its limit.";
  else if (rest !== null && rest > step) {
    more = ` ${whole(Math.ceil((rest - step) / each))} more would bring it there.`;
  }
  return ["not converged", "", `${when} the loss is ${far} the smallest possible.${more}`];
}
