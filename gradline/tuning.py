"""tune(): which setting predicts best what it has not learned from.

    every trial     learned from the training part, scored on the validation part
    the best one    learned again from both
    the test part   read once, at the very end, to score that

So nothing that is learned, from the levels of a category on, and nothing that is chosen
knows the test part. Which trials are scored from a state and which are trained for
real, see boards.py; which settings have no effect beside others, effects.py.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from gradline.boards import DESIGN, Board, Outcome
from gradline.checks import one_of, real, whole
from gradline.data import Progress
from gradline.effects import BATCHES, DEFAULTS, DESCENT, given, idle, squared
from gradline.errors import DivergenceError, GradlineError, UsageError
from gradline.fitting import fit
from gradline.formula import parse
from gradline.intake import Table, open_table
from gradline.result import Fit
from gradline.spaces import (
    Choice,
    Range,
    Space,
    as_space,
    check_name,
    draw,
    grid,
    plain,
    same,
)
from gradline.splits import Split
from gradline.studies import Study, silent
from gradline.trials import SCORES, Trial, TrialStatus, Tuning, ranked

#: What the bar of a search is called; the passes of reading have other titles.
TITLE = "trials"

#: Trials of a search that draws, unless told.
TRIALS = 50

#: So many trials are scored from states at once.
BLOCK = 256

#: Arguments of fit that say which rows or how to read them: fixed at the most.
READING = ("weights", "missing", "degenerate", "delimiter", "encoding", "decimal")

#: Arguments of fit that are tune's own, or make no sense for many fits.
_OWN = ("y", "target", "split", "progress", "checkpoint", *READING)

#: What may be searched.
SEARCHED = tuple(name for name in DEFAULTS if name not in _OWN)

#: What is searched unless told: how strongly to shrink.
ALPHAS = [float(f"{10 ** (k / 4):.4g}") for k in range(-20, 9)]


def tune(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    split: Split | None = None,
    search: dict[str, Any] | None = None,
    method: Literal["auto", "grid", "random", "optuna"] = "auto",
    trials: int | None = None,
    seed: int = 0,
    storage: str | os.PathLike[str] | None = None,
    study: str = "gradline",
    timeout: float | None = None,
    score: Literal["rmse", "mae", "r2"] = "rmse",
    progress: Progress | None = None,
    **fixed: Any,
) -> Tuning:
    """Search the settings of `fit` that predict best on rows held out.

    Args:
        data: as in `fit`.
        y: the target, (n,), unless it is a column of data.
        target: the name of that column.
        split: which rows are to train, to validate and to test; by default
            gl.Split(validation=0.2, test=0.2). Without a test part there is no score
            on it.
        search: arguments of `fit` and their values: a list of choices, or a range,
            (low, high) or (low, high, "log"); of whole numbers where both ends are.
            Any argument that does not say which rows, also `method` and `seed`. Unless
            told, the alpha of the penalty, or of ridge, from 1e-5 to 100.
        method: "grid" tries every combination of lists, "random" draws, "optuna" draws
            with an eye to what was good so far (Optuna's TPE; the extra `tune`).
            "auto" is a grid where there are lists alone, else random.
        trials: how many settings to draw in all, those in the storage included; 50
            unless told.
        seed: of the draws, and of trials that begin at random.
        storage: a file that keeps the trials, in Optuna's SQLite format (the extra
            `tune`): the same call again goes on where it stopped.
        study: the name of the search within that file.
        timeout: begin no trial after so many seconds.
        score: what to choose by, on the validation part: "rmse", "mae" or "r2".
        progress: is told how the trials get on.
        **fixed: further arguments of `fit`, the same in all trials.

    Returns:
        A Tuning: `.trials`, `.best`, `.fit`, `.test`, `.plot()`.

    Raises:
        UsageError: what cannot be meant; a storage of another search.
        MissingExtraError: Optuna is needed and not installed.
        GradlineError: no trial could be scored; the reason of the first one.

    A setting without effect beside the others is left out of its trial (alpha without a
    penalty), and a trial that fails is recorded with its reason. Ctrl-C ends the search
    and keeps the finished trials; nothing is refit then, and the test part not read.

    Equivalent: sklearn.model_selection.GridSearchCV and RandomizedSearchCV with one
    fold, and optuna.create_study, all of which train every trial.
    """
    _check_wishes(method, trials, seed, timeout, score)
    kept = None if storage is None else os.fspath(storage)
    split = Split(validation=0.2, test=0.2) if split is None else split
    if not isinstance(split, Split):
        raise UsageError(f"split is {split!r}: give gl.Split(validation=0.2, test=0.2)")
    if not split.has("validation"):
        raise UsageError(
            "tune chooses by a validation part and the split has none: give "
            "gl.Split(validation=0.2, test=0.2) (--validation 0.2 --test 0.2)"
        )
    if fixed.get("checkpoint") is not None:
        raise UsageError("checkpoint is for one fit, and tune makes many: drop it")
    space = _space(search, fixed)
    settled = {n: fixed.pop(n) for n in _OPENING if n in fixed}
    _check_fixed(fixed, space)
    kind = _kind(method, space, trials)
    plan = Plan(space, fixed, kind, TRIALS if trials is None else trials, seed)
    target, texts = _formulas(plan, target)
    table = open_table(
        data,
        y,
        target=target,
        weights=settled.pop("weights", None),
        categories=texts,
        **settled,
    )
    board = Board(table, split, absolute=score == "mae", progress=progress)
    if not space.keys() & DESIGN:
        board.sides(fixed)  # what is wrong with the data is told at once
    run = _Run(plan, board, score, timeout)
    with nullcontext() if kind != "optuna" and kept is None else silent():
        if kind == "optuna" or kept is not None:
            run.keep(kept, study, _asked(plan, score, split, board))
        run.go(progress)
    return _concluded(run, table, split, kept)


#: Arguments of fit that are needed where the data are opened, once.
_OPENING = ("weights", "delimiter", "encoding", "decimal")


class Plan:
    """Which settings are to be tried, in which order.

    Args:
        space: what is searched.
        fixed: what is the same in all trials.
        method: grid, random or optuna.
        trials: how many, unless it is a grid.
        seed: of draws.
    """

    def __init__(
        self,
        space: Space,
        fixed: dict[str, Any],
        method: str,
        trials: int,
        seed: int,
    ) -> None:
        self.space, self.fixed, self.method, self.seed = space, fixed, method, seed
        self._grid: list[dict[str, Any]] = []
        if method == "grid":
            different = {self.key(found): found for found in reversed([*grid(space)])}
            self._grid = [*reversed(different.values())]
        self.trials = len(self._grid) if method == "grid" else trials
        self._refuse_idle()

    def settings(self, number: int) -> dict[str, Any]:
        """The searched values of a trial of a grid or a random search."""
        if self.method == "grid":
            return self._grid[number]
        return draw(self.space, self.seed, number)

    def call(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The arguments of fit of a trial: those that have an effect."""
        whole = self.fixed | settings
        if self.seed and "seed" not in whole:
            whole["seed"] = self.seed
        none = idle(whole)
        found = given({n: v for n, v in whole.items() if n not in none})
        if found.keys() <= {"seed", *DESIGN} and "seed" not in self.space:
            found.pop("seed", None)  # of an exact fit, where nothing is drawn
        return found

    def shown(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The searched values of a trial that have an effect."""
        none = idle(self.fixed | settings)
        return {n: v for n, v in settings.items() if n not in none}

    def key(self, settings: dict[str, Any]) -> Any:
        """What settings share that come to the same."""
        return same(dict(sorted(self.call(settings).items())))

    def _refuse_idle(self) -> None:
        """Refuse what has no effect in any trial."""
        tried = self._grid or [draw(self.space, 0, n) for n in range(PROBES)]
        names = {*self.space, *given(self.fixed)}
        for settings in tried:
            names -= (self.fixed | settings).keys() - idle(self.fixed | settings)
            if not names:
                return
        name = min(names)
        how = "searched" if name in self.space else "given"
        raise UsageError(
            f"{name} is {how} and has no effect in any trial: leave it out, or give "
            f"what it goes with ({_GOES_WITH.get(name, 'a descent: lr or epochs')})"
        )


#: So many draws show whether an argument ever has an effect.
PROBES = 200

_GOES_WITH = {
    "alpha": "penalty='ridge'",
    "folds": "penalty='ridge'",
    "l1_ratio": "penalty='elastic_net'",
    "dampening": "momentum",
    "nesterov": "momentum",
    "momentum": "a descent by SGD",
}


class _Run:
    """A search on its way: what is finished, and what became of it."""

    def __init__(
        self, plan: Plan, board: Board, score: str, timeout: float | None
    ) -> None:
        self.plan, self.board, self.score = plan, board, score
        self.trials: dict[int, Trial] = {}
        self.interrupted = False
        self.seconds = 0.0
        self.first_error: GradlineError | None = None
        self.stopped = False
        self._timeout = timeout
        self._known: dict[Any, Outcome] = {}
        self._settings: dict[int, dict[str, Any]] = {}
        self._study: Study | None = None

    def keep(self, storage: str | None, name: str, asked: dict[str, Any]) -> None:
        """Keep the trials in a study; take in those that it has already."""
        study = Study(self.plan.space, self.score, storage, name, asked)
        self._study = study
        for settings, record in study.finished():
            number = record["number"]
            params = self.plan.shown(settings)
            self.trials[number] = Trial(**(record | {"params": params}))
            self._settings[number] = settings

    def call(self, trial: Trial) -> dict[str, Any]:
        """The arguments of fit of a trial."""
        return self.plan.call(self._settings[trial.number])

    def go(self, progress: Progress | None) -> None:
        """Try what is left, until done, out of time or stopped by Ctrl-C."""
        began = time.monotonic()
        left = self.plan.trials - len(self.trials)
        shown = progress(TITLE, left) if progress and left > 0 else nullcontext(int)
        turn = self._drawn() if self.plan.method == "optuna" else self._planned()
        try:
            with shown as advance:
                for _ in turn:
                    advance(1)
                    late = time.monotonic() - began
                    if self._timeout is not None and late > self._timeout:
                        self.stopped = len(self.trials) < self.plan.trials
                        break
        except KeyboardInterrupt:
            self.interrupted = True
            if not any(t.status == "ok" for t in self.trials.values()):
                raise
        finally:
            self.seconds = time.monotonic() - began

    def _planned(self) -> Iterator[Trial]:
        """A grid, or random draws: what is closed goes in blocks."""
        left = [n for n in range(self.plan.trials) if n not in self.trials]
        for start in range(0, len(left), BLOCK):
            block = left[start : start + BLOCK]
            places: dict[Any, list[int]] = {}
            for number in block:
                self._settings[number] = self.plan.settings(number)
                key = self.plan.key(self._settings[number])
                places.setdefault(key, []).append(number)
            new = [key for key in places if key not in self._known]
            for key in places.keys() & self._known.keys():
                yield from self._finish(places[key], self._known[key])
            calls = [self.plan.call(self._settings[places[key][0]]) for key in new]
            for place, outcome in self.board.outcomes(calls):
                self._known[new[place]] = outcome
                yield from self._finish(places[new[place]], outcome)

    def _finish(self, numbers: list[int], outcome: Outcome) -> Iterator[Trial]:
        for number in numbers:
            trial = self._taken(number, outcome)
            if self._study is not None:
                self._study.add(self._settings[number], trial)
            yield trial

    def _drawn(self) -> Iterator[Trial]:
        """What Optuna asks for, one after the other."""
        assert self._study is not None
        while len(self.trials) < self.plan.trials:
            number = len(self.trials)
            asked, settings = self._study.ask(self.plan.seed, number)
            self._settings[number] = settings
            key = self.plan.key(settings)
            try:
                if key not in self._known:
                    ((_, found),) = self.board.outcomes([self.plan.call(settings)])
                    self._known[key] = found
                trial = self._taken(number, self._known[key])
                self._study.tell(asked, trial)
            except BaseException:
                self.trials.pop(number, None)
                self._study.drop(asked)
                raise
            yield trial

    def _taken(self, number: int, outcome: Outcome) -> Trial:
        """A trial that has just ended, among the others."""
        found, train = outcome.validation, outcome.train
        score = None if found is None else found[self.score]
        reason = outcome.reason
        status: TrialStatus = "ok" if score is not None else "failed"
        if score is not None and not np.isfinite(score):
            status, reason = "failed", f"its {self.score} is {score}"
            score = None
        if outcome.error is not None and self.first_error is None:
            self.first_error = outcome.error
        trial = Trial(
            number,
            self.plan.shown(self._settings[number]),
            score,
            None if train is None or score is None else train[self.score],
            status,
            reason,
            outcome.epochs,
            outcome.seconds,
        )
        self.trials[number] = trial
        return trial


def _concluded(run: _Run, table: Table, split: Split, storage: str | None) -> Tuning:
    """The best trial, learned again from both parts, and its score on the test part."""
    trials = tuple(run.trials[n] for n in sorted(run.trials))
    order = ranked(trials, run.score)
    if not order:
        raise _nothing(trials)
    chosen, notes = order[0], []
    found, test = None, None
    left = run.plan.trials - len(trials)
    to_go = f"{left:,} trial{'' if left == 1 else 's'} to go"
    again = "the same call goes on" if storage else "with storage= it could go on"
    if run.interrupted:
        notes.append(
            f"Stopped by Ctrl-C with {to_go}: nothing was refit, and the "
            f"test part was not read; {again}."
        )
    else:
        if run.stopped:
            notes.append(f"Out of time with {to_go}; {again}.")
        found, more = _refit(run, table, split, chosen)
        notes += more
        if split.has("test"):
            test = found.evaluate(split.part(table.source, "test"))
    return Tuning(
        trials,
        chosen,
        found,
        test,
        run.score,
        run.plan.method,
        dict(run.plan.fixed),
        dict(run.plan.space),
        table.target if found is None else found.target,
        run.board.rows,
        run.interrupted,
        storage,
        tuple(notes),
        run.seconds,
    )


def _refit(
    run: _Run, table: Table, split: Split, chosen: Trial
) -> tuple[Fit, list[str]]:
    """The chosen setting, learned from the training and the validation part."""
    call, notes = run.call(chosen), []
    if call.pop("early_stopping", None) is not None:
        call["epochs"] = chosen.epochs
        notes.append(
            f"Early stopping chose {chosen.epochs:,} epochs on the validation part, "
            "and the refit went as far."
        )
    own: dict[str, Any] = {"target": table.target, "weights": table.weights} | call
    formula = call.get("formula")
    if "features" not in call and (formula is None or parse(formula).dotted):
        own["exclude"] = (*call.get("exclude", ()), *split.columns)
    both = split.part(table.source, "train+validation")
    try:
        return fit(both, **own), notes
    except DivergenceError as error:
        notes.append(
            f"The refit on both parts failed ({error}), so the fit is that of the "
            "training part."
        )
    return fit(split.part(table.source, "train"), **own), notes


def _nothing(trials: Sequence[Trial]) -> GradlineError:
    """What to say where no trial has a score."""
    if not trials:
        return UsageError("no trial was finished in time: give a longer timeout")
    reasons = Counter(trial.reason or "" for trial in trials)
    reason, count = reasons.most_common(1)[0]
    many = f"all {len(trials):,} trials" if len(trials) > 1 else "the only trial"
    most = "because" if count == len(trials) else f"{count:,} of them because"
    return UsageError(f"{many} failed, {most} {reason}")


def _space(search: Any, fixed: dict[str, Any]) -> Space:
    """What is searched: as given, or the alpha of a penalty."""
    if search is not None:
        return as_space(search, SEARCHED)
    said = DEFAULTS | fixed
    found: dict[str, Any] = {"alpha": ALPHAS}
    if said["penalty"] is None:
        found = {"penalty": ["ridge"]} | found
    whole = fixed | {"penalty": "ridge", "alpha": 1.0}
    descends = given({n: v for n, v in fixed.items() if n in (*DESCENT, *BATCHES)})
    if (
        "alpha" in fixed
        or descends
        or "alpha" in idle(whole)
        or not squared(said["loss"])
    ):
        raise UsageError(
            "nothing is searched: give some arguments and their values, such as "
            "search={'lr': (0.001, 1, 'log')} (--search lr=0.001:1:log)"
        )
    return as_space(found, SEARCHED)


def _formulas(plan: Plan, target: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The target, which a formula may name, and the columns to be read as text."""
    categories = tuple(plan.fixed.get("categories", ()))
    texts = [plan.fixed.get("formula")]
    searched = plan.space.get("formula")
    if isinstance(searched, Choice):
        texts = list(searched.values)
    parsed = [parse(text) for text in texts if text is not None]
    if not parsed:
        return target, categories
    predicted = {(f.response, f.target) for f in parsed}
    if len(predicted) > 1 or (
        len(parsed) < len(texts) and (None, None) not in predicted
    ):
        raise UsageError(
            "the formulas predict different things, and their scores cannot be "
            "compared: give them all the same left side"
        )
    named = parsed[0].target
    if target is not None and named not in (None, target):
        raise UsageError(
            f"target is {target!r} and the formula predicts {named!r}: give one of them"
        )
    alike = set.intersection(*(set(f.texts) for f in parsed))
    more = tuple(sorted(alike)) if len(parsed) == len(texts) else ()
    return named if target is None else target, tuple(dict.fromkeys(categories + more))


def _check_wishes(
    method: str, trials: Any, seed: Any, timeout: Any, score: str
) -> None:
    if method in ("exact", "gd", "sgd"):
        raise UsageError(
            f"method={method!r} is one of fit's, and tune's says how settings are "
            f"drawn: give search={{'method': [{method!r}]}}"
        )
    one_of("method", method, "auto", "grid", "random", "optuna")
    one_of("score", score, *SCORES)
    if trials is not None:
        whole("trials", trials, 1)
    whole("seed", seed)
    if timeout is not None and real("timeout", timeout) <= 0:
        raise UsageError(f"timeout is {timeout}: give a number of seconds above 0")


def _check_fixed(fixed: dict[str, Any], space: Space) -> None:
    known = [*SEARCHED, *READING]
    for name in fixed:
        check_name(name, known)
        if name in space:
            raise UsageError(f"{name} is both given and searched: drop one of them")


def _kind(method: str, space: Space, trials: int | None) -> str:
    """How settings are drawn, "auto" settled."""
    ranges = any(isinstance(values, Range) for values in space.values())
    if method == "auto":
        method = "random" if ranges or trials is not None else "grid"
    if method == "grid" and trials is not None:
        raise UsageError(
            "a grid tries every combination and has no use for trials: leave it out, "
            "or give method='random'"
        )
    return method


def _asked(plan: Plan, score: str, split: Split, board: Board) -> dict[str, Any]:
    """What a search is, as JSON has it: another one is not to be mixed with it."""
    space = {name: plain(vars(values)) for name, values in plan.space.items()}
    return {
        "method": plan.method,
        "seed": plan.seed,
        "score": score,
        "search": space,
        "fixed settings": plain(plan.fixed),
        "split": plain(split.to_dict()),
        "data": board.facts(),
    }
