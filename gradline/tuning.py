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
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal

from gradline.boards import Board
from gradline.checks import one_of, real, whole
from gradline.data import Progress, Source
from gradline.effects import BATCHES, DEFAULTS, DESCENT, given, idle, squared
from gradline.errors import GradlineError, UsageError
from gradline.exam import Exam
from gradline.fitting import fit
from gradline.grammar import parse
from gradline.intake import Table, open_table
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.searches import Plan, Run
from gradline.sides import DESIGN
from gradline.spaces import (
    Choice,
    Range,
    Space,
    as_space,
    at_the_end,
    check_name,
    plain,
)
from gradline.splits import Split
from gradline.stopping import as_early_stopping
from gradline.studies import file_of, silent
from gradline.trials import SCORES, Trial, Tuning, ranked

#: Trials of a search that draws, unless told.
TRIALS = 50

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
    study: str | None = None,
    timeout: float | None = None,
    prune: bool | None = None,
    score: Literal["rmse", "mae", "r2", "mse"] = "rmse",
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
            (low, high) or (low, high, "log"), of whole numbers where the argument is
            one, such as epochs or degree, else of real ones. Any argument that does
            not say which rows, also `method` and `seed`. Unless told, the alpha of the
            penalty, or of ridge, from 1e-5 to 100.
        method: "grid" tries every combination of lists, "random" draws, "optuna" draws
            with an eye to what was good so far (Optuna's TPE; the extra `tune`).
            "auto" is a grid where there are lists alone, else random.
        trials: how many settings to draw in all, those in the storage included; 50
            unless told. Random draws do not repeat a setting, and end when all were
            tried.
        seed: of the draws, and of trials that begin at random.
        storage: a file that keeps the trials, in Optuna's SQLite format (the extra
            `tune`): the same call again goes on where it stopped, with more `trials`
            if you like; what is searched stays as it is. Optuna's way to write it,
            "sqlite:///tune.db", is understood.
        study: the name of the search within that file, "gradline" unless told.
        timeout: begin no trial after so many seconds.
        prune: with "optuna", try a trial that is trained for real for a ninth of its
            epochs first, then for a third, and give it up where its score is then worse
            than the median of the others (Optuna's MedianPruner), unless False. Trials
            from a state cost nothing, and one without `epochs`, or stopped early, ends
            by itself.
        score: what to choose by, on the validation part: "rmse", "mae" or "r2"; "mse"
            chooses as "rmse" does, which is shown.
        progress: True for a bar; or what is told how the trials get on.
        **fixed: further arguments of `fit`, the same in all trials.

    Returns:
        A Tuning: `.trials`, `.best`, `.fit`, `.test`, `.plot()`.

    Raises:
        UsageError: what cannot be meant; a storage of another search; no trial could
            be scored, and why.
        MissingExtraError: Optuna is needed and not installed.

    A setting without effect beside the others is left out of its trial (alpha without a
    penalty), and a trial that fails is recorded with its reason. Ctrl-C ends the search
    and keeps the finished trials; nothing is refit then, and the test part not read.

    Equivalent: sklearn.model_selection.GridSearchCV and RandomizedSearchCV with one
    fold, and optuna.create_study, all of which train every trial.
    """
    score = "rmse" if score == "mse" else score
    _check_wishes(method, trials, seed, timeout, score)
    one_of("prune", prune, None, True, False)
    kept = None if storage is None else file_of(os.fspath(storage))
    if study is not None and kept is None:
        raise UsageError(
            f"study is {study!r} and there is no storage to keep it in: give "
            "storage='tune.db' (--storage tune.db), or leave it out"
        )
    split = Split(validation=0.2, test=0.2) if split is None else split
    if not isinstance(split, Split):
        raise UsageError(f"split is {split!r}: give gl.Split(validation=0.2, test=0.2)")
    _check_split(split)
    if fixed.get("checkpoint") is not None:
        raise UsageError("checkpoint is for one fit, and tune makes many: drop it")
    space = _space(search, fixed)
    settled = {n: fixed.pop(n) for n in _OPENING if n in fixed}
    _check_fixed(fixed, space)
    kind = _kind(method, space, trials)
    if prune and kind != "optuna":
        raise UsageError(
            f"prune is given and a {kind} search gives up no trial: leave it out, or "
            "give method='optuna' (--sampler optuna)"
        )
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
    _check_split(split, table.source)
    board = Board(table, split, absolute=score == "mae", progress=progress)
    if plan.closed and not space.keys() & DESIGN:
        board.sides(fixed)  # what is wrong with the data is told at once
    run = Run(plan, board, score, timeout, prune is not False)
    with nullcontext() if kind != "optuna" and kept is None else silent():
        if kind == "optuna" or kept is not None:
            asked = {} if kept is None else _asked(plan, score, split, board)
            run.keep(kept, "gradline" if study is None else study, asked)
        run.go(progress)
    return _concluded(run, table, split, kept)


#: Arguments of fit that are needed where the data are opened, once.
_OPENING = ("weights", "delimiter", "encoding", "decimal")


def _concluded(run: Run, table: Table, split: Split, storage: str | None) -> Tuning:
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
        found, more, whole = _refit(run, table, split, chosen)
        learned = replace(split, refit=True) if whole else split
        notes += more
        if split.has("test", table.source):
            parts = Prepared(table.source, found.design, table.source, split)
            test = Exam(parts).scores("test", found._score)
            notes += [f"{test.note[:1].upper()}{test.note[1:]}."] if test.note else []
        own = Prepared(table.source, found.design, table.source, learned)
        found._examined(own, {} if test is None else {"test": test})
    for name, value in chosen.params.items():
        if end := at_the_end(name, run.plan.space[name], value):
            notes.append(
                f"The chosen {name} is at the end of what was searched, the {end}: a "
                f"{'smaller' if end == 'least' else 'larger'} one may be better."
            )
    if run.plan.exhausted:
        notes.append(
            f"The search has {run.plan.trials:,} different "
            f"setting{'' if run.plan.trials == 1 else 's'}, fewer than the trials that "
            "were to be drawn, and it ends when each was tried."
        )
    if run.board.unseen:
        notes.append(
            f"{run.board.unseen:,} validation rows have a level that the training part "
            "lacks, and were left out."
        )
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
    run: Run, table: Table, split: Split, chosen: Trial
) -> tuple[Fit, list[str], bool]:
    """The chosen setting, learned from training and validation part; whether it was."""
    call, notes = run.call(chosen), []
    if as_early_stopping(call.pop("early_stopping", None)) is not None:
        call["epochs"] = chosen.epochs
        notes.append(
            f"Early stopping chose {chosen.epochs:,} epochs on the validation part, "
            "and the refit went as far."
        )
    own: dict[str, Any] = {"target": table.target, "weights": table.weights} | call
    formula = call.get("formula")
    if "features" not in call and (formula is None or parse(formula).dotted):
        own["exclude"] = (*call.get("exclude", ()), *split.aside(table.target))
    both = split.part(table.source, "train+validation")
    try:
        return fit(both, **own), notes, True
    except GradlineError as error:
        notes.append(
            f"The refit on both parts failed ({error}), so the fit is that of the "
            "training part."
        )
    return fit(split.part(table.source, "train"), **own), notes, False


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


def _check_split(split: Split, source: Source | None = None) -> None:
    """Refuse a split without a validation part; a column is asked in the source."""
    if not split.has("validation", source):
        raise UsageError(
            "tune chooses by a validation part and the split has none: give "
            "gl.Split(validation=0.2, test=0.2) (--validation 0.2 --test 0.2)"
        )


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
        "data": board.facts(plan.fixed),
    }
