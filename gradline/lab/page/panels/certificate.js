/* The certificate of the step that is shown: one sentence, a few numbers, a proof. */

import { at, h, say, throttle } from "../dom.js";
import { percent, plural, show, whole } from "../numbers.js";

const PATIENCE = 60_000; // milliseconds for a proof

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

  let asked = null; // the proof that is waited for
  async function check() {
    const { run, step } = store;
    prove.disabled = true;
    say(result, "The five-step loop is running…");
    const mine = (asked = {});
    let timer = null;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("The loop took too long: try an earlier step.")), PATIENCE);
      });
      const answer = await Promise.race([store.socket.ask({ type: "proof", run: run.run, step }), late]);
      if (mine === asked) say(result, answer.sentence);
    } catch (error) {
      if (mine === asked) say(result, error.message);
    } finally {
      clearTimeout(timer);
      if (mine === asked) prove.disabled = false;
    }
  }

  function draw() {
    const { run, frame } = store;
    if (!run || !frame) return;
    const card = at("certificate");
    const known = frame.exact !== false;
    card.toggleAttribute("data-waiting", !known);
    const c = current(store);
    // Those that only the server knows keep their last value, dimmed, until it answers.
    card.toggleAttribute("data-stale", !c);
    if (!known) {
      say(at("certificate-badge"), "computing…");
      at("certificate-badge").dataset.tone = "";
      say(at("certificate-sentence"), `Computing step ${whole(store.step)}…`);
      return;
    }
    const optimum = run.optimum?.loss;
    const gap = c && Number.isFinite(c.gap) ? c.gap : frame.loss - optimum;
    const relative = c?.relative_gap ?? gap / Math.abs(optimum);
    say(cells.loss, show(frame.loss, 4));
    say(cells.optimum, show(c?.optimum_loss ?? optimum, 4));
    say(cells.gap, show(Math.min(frame.loss, Math.max(0, gap))));
    say(cells.relative, optimum > 0 ? percent(Math.max(0, relative)) : "–");
    if (c || !store.certificate) say(cells.gradient, show(c?.gradient_norm));
    say(cells.condition, show(run.limits?.condition ?? c?.condition));
    if (c || !store.certificate) say(cells.digits, show(c?.digits));
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
    asked = null; // of another run
    prove.disabled = false;
    say(result, "");
    ask();
  });
  store.on("frame", () => {
    draw();
    ask();
  });
  store.on("certificate run total", draw);
}

/* The certificate, where it is that of the step that is shown. */
const current = ({ certificate, certificateStep, step }) => (certificateStep === step ? certificate : null);

/* A word, its tone, and the sentence. */
function verdict(store, relative) {
  const { run, step, setting, frame } = store;
  const c = current(store);
  const each = run.per_epoch ?? 1;
  const when = step === 0 ? "At the random start" : `After ${plural(Math.floor(step / each), "epoch")}`;
  if (run.diverged !== null && run.diverged !== undefined) {
    const usual = `The loss runs away within ${plural(Math.ceil(run.diverged / each), "epoch")}. No number of epochs mends that: take a smaller learning rate.`;
    return ["diverges", "bad", run.message ?? usual];
  }
  if (!Number.isFinite(relative)) return ["", "", `${when} there is nothing to compare with yet.`];
  if (c?.status === "rank_deficient") return ["rank deficient", "bad", c.advice];
  if (relative <= 1e-8) {
    return ["converged", "good", `${when} the ${setting.degree > 1 ? "curve" : "line"} is the best there is: no other has a smaller loss.`];
  }
  if (run.optimum?.perfect) {
    return ["not converged", "", `${when} the loss is still ${show(frame.loss)}: a perfect fit exists, with a loss of 0.`];
  }
  const far = relative > 1 ? `${show(relative + 1)} times` : `${percent(relative)} above`;
  const needed = run.needed ?? null;
  const rest = run.converged ?? needed;
  const limit = run.limits?.limit;
  let more = "";
  if (limit > 0 && setting.lr >= limit) {
    const sure = run.over_limit ?? !run.limits.note;
    more = " The learning rate is above its limit.";
    if (sure) return ["diverges", "bad", `${when} the loss is ${far} the smallest possible.${more} Sooner or later the loss turns upward.`];
  }
  else if (rest !== null && rest > step) {
    more = ` ${plural(Math.ceil((rest - step) / each), "more epoch")} would bring it to within 10⁻⁸ of it.`;
  }
  return ["not converged", "", `${when} the loss is ${far} the smallest possible.${more}`];
}
