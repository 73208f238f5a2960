"""Settings scored from states, without retraining; the others trained for real.

Squared loss is a quadratic in slopes and intercept, on the validation part as well as
on the training part. One pass over both leaves two states of about d² numbers, and

    training state    + a setting  ->  slopes and intercept  (path.py, shrinkage.py)
    validation state  + these      ->  the validation loss   (quadratic.py)

are closed forms, so a trial costs no pass over the rows and no epochs: a thousand
learning rates take as long as one. It is not an approximation. The slopes are those
that `fit` finds, which reads nothing else either, and the loss is that of the rows, for
the state holds all coefficients of the quadratic. Only a mean absolute error, which no
state holds, is measured on the rows: once for a block of trials.

What does not go by squared loss over all rows at once (minibatches, other losses,
modules) is trained by `fit` on the training part and scored on the validation part.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradline.bounds import read_bounds
from gradline.data import Array, Chunk, Progress
from gradline.effects import DESCENT, descends, squared
from gradline.errors import GradlineError
from gradline.fitting import fit
from gradline.heldout import stop_early
from gradline.intake import Table
from gradline.objective import Penalty, as_penalty
from gradline.parts import KnownSource
from gradline.prepare import prepare
from gradline.quadratic import Quadratic, quadratic
from gradline.result import Fit
from gradline.retrace import solved
from gradline.scores import Scores
from gradline.shrinkage import Shrinkable, of_survey, unbounded
from gradline.spaces import default_of, same
from gradline.splits import Split
from gradline.state import Centred
from gradline.stopping import as_early_stopping
from gradline.survey import Survey, take_survey
from gradline.training import (
    Training,
    closed_path,
    descend_on,
    optimizer_settings,
)

#: The arguments of fit that say how columns become terms: one pass for each of them.
DESIGN = tuple(n for n in default_of(prepare) if n not in ("y", "target", "split"))

#: What a setting may say and still be scored from a state.
CLOSED = {*DESIGN, *DESCENT, "method", "standardize", "loss", "degenerate"}
SHRUNK = {"penalty", "alpha", "l1_ratio", "bounds", "nonnegative"}

#: So many passes are kept, the latest ones.
KEPT = 64

#: What a trial may fail with; torch raises RuntimeError for a module that does not fit.
FAULTS = (GradlineError, ArithmeticError, RuntimeError, np.linalg.LinAlgError)

#: Numbers of (rows x lines) worked on at a time.
PART = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        validation: the scores on the validation part; None where it failed.
        train: those on the training part.
        reason: why it failed.
        pruned: whether it was given up on its way instead.
        epochs: of its descent, where it was one.
        seconds: what it took.
    """

    validation: dict[str, float] | None
    train: dict[str, float] | None
    reason: str | None = None
    pruned: bool = False
    epochs: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Line:
    """Slopes and intercept that a setting leads to, (d + 1,), and after what."""

    parameters: Array
    epochs: int | None
    seconds: float


@dataclass(frozen=True)
class _Side:
    """The rows of a part, as what one pass left of them."""

    survey: Survey
    _shrinkable: dict[Any, Shrinkable] = field(default_factory=dict)

    @cached_property
    def loss(self) -> Quadratic:
        """The loss over raw slopes and intercept."""
        s = self.survey
        return quadratic(
            s.spectrum,
            s.mean,
            s.optimum,
            s.level,
            s.optimum_loss,
            False,
            s.design.intercept,
        )

    def shrinkable(self, standardize: bool, limits: tuple[Any, Any]) -> Shrinkable:
        """The loss in the units that a penalty counts slopes in, within bounds."""
        key = same((standardize, *limits))
        if key not in self._shrinkable:
            bounds = unbounded(len(self.survey.design.terms))
            if limits != (None, False):
                bounds = read_bounds(self.survey.design, *limits)
            found = of_survey(self.survey.best, standardize, bounds)
            self._shrinkable[key] = found
        return self._shrinkable[key]

    def scores(self, lines: Array, absolute: bool) -> list[dict[str, float]]:
        """R², RMSE and, where wanted, MAE of lines (K, d + 1)."""
        losses = self.loss.losses(lines)
        variance = self.survey.variance
        r2 = 1 - losses / variance if variance > 0 else np.full(len(losses), math.nan)
        found = {"r2": r2, "rmse": np.sqrt(losses)}
        if absolute:
            held = self.survey.rows
            design, source = self.survey.design, self.survey.source
            rows = design.chunks(source) if held is None else [held]
            found["mae"] = mean_absolutes(lines, rows)
        names, columns = list(found), [v.tolist() for v in found.values()]
        return [dict(zip(names, v, strict=True)) for v in zip(*columns, strict=True)]


class Board:
    """Where settings are scored.

    Args:
        table: all rows, and which columns are the target and the weights.
        split: which of the rows are for what.
        absolute: whether the mean absolute error is wanted.
        progress: is told how reading gets on.

    Attributes:
        rows: how many there are to train and to validate, by part.
        unseen: validation rows left out, for they have a level that training lacks.
    """

    def __init__(
        self,
        table: Table,
        split: Split,
        *,
        absolute: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._whole, target, weights = table
        self._common: dict[str, Any] = {
            "target": target,
            "weights": weights,
            "split": split,
        }
        self._split = split
        self._absolute = absolute
        self._progress = progress
        self._sides: dict[Any, tuple[_Side, _Side] | GradlineError] = {}
        self.rows: dict[str, int] = {}
        self.unseen = 0

    def facts(self, call: dict[str, Any]) -> dict[str, Any]:
        """What the data are, to know them again: rows, and mean squares of columns.

        Args:
            call: a setting; where a pass for its design has been made, nothing is read.
        """
        found: dict[str, Any] = {"columns": [c.name for c in self._whole.columns]}
        known = self._sides.get(self._key(call))
        if isinstance(known, tuple):
            for name, side in zip(("train", "validation"), known, strict=True):
                found[name] = _squares(side.survey.sums)
            return found
        names = [c.name for c in self._whole.columns if c.kind == "number"]
        for name in ("train", "validation"):
            rows, squares = 0, np.zeros(len(names))
            for batch in self._split.part(self._whole, name).batches(names):
                values = batch.numbers(names)
                rows += batch.rows
                squares += np.nansum(np.square(values), axis=0)
            found[name] = {"rows": rows, "squares": squares.tolist()}
        return found

    def _key(self, call: dict[str, Any]) -> Any:
        wanted = (*DESIGN, "degenerate")
        return same({n: call[n] for n in wanted if n in call and n != "weights"})

    def sides(self, call: dict[str, Any]) -> tuple[_Side, _Side]:
        """What the pass over the training and the validation part left.

        Args:
            call: the setting; its design is learned from the training part alone.
        """
        wanted = (*DESIGN, "degenerate")
        options = {n: call[n] for n in wanted if n in call and n != "weights"}
        key = self._key(call)
        if key not in self._sides:
            while len(self._sides) >= KEPT:
                del self._sides[next(iter(self._sides))]
            try:
                self._sides[key] = self._read(dict(options))
            except GradlineError as error:
                self._sides[key] = error  # it would fail again, after another pass
        found = self._sides[key]
        if isinstance(found, GradlineError):
            raise found
        return found

    def _read(self, options: dict[str, Any]) -> tuple[_Side, _Side]:
        refuse = options.pop("degenerate", "allow") == "refuse"
        prepared = prepare(self._whole, **self._common, **options)
        train = take_survey(prepared.source, prepared.design, self._progress, refuse)
        rows = prepared.validation
        assert rows is not None
        seen = take_survey(rows, prepared.design, self._progress)
        if isinstance(rows, KnownSource):
            self.unseen = max(self.unseen, rows.unseen)
        self.rows = {"train": train.tally.rows, "validation": seen.tally.rows}
        return _Side(train), _Side(seen)

    def outcomes(self, calls: list[dict[str, Any]]) -> Iterator[tuple[int, Outcome]]:
        """Try settings: yields each one's place and how it ended, as soon as known.

        Args:
            calls: arguments of fit that are not its defaults, those without effect left
                out.
        """
        closed = [i for i, call in enumerate(calls) if is_closed(call)]
        yield from self._from_states(calls, closed)
        for place in set(range(len(calls))) - set(closed):
            yield place, self._trained(calls[place])

    def _from_states(
        self, calls: list[dict[str, Any]], places: list[int]
    ) -> Iterator[tuple[int, Outcome]]:
        groups: dict[int, tuple[tuple[_Side, _Side], list[int], list[_Line]]] = {}
        for place in places:
            before = time.perf_counter()
            try:
                sides = self.sides(calls[place])
                line = line_of(*sides, calls[place], before)
            except FAULTS as error:
                yield place, _failed(error, before)
                continue
            _, those, lines = groups.setdefault(id(sides), (sides, [], []))
            those.append(place)
            lines.append(line)
        for (train, seen), those, lines in groups.values():
            before = time.perf_counter()
            rows = np.stack([line.parameters for line in lines])
            scores = zip(
                seen.scores(rows, self._absolute),
                train.scores(rows, self._absolute),
                strict=True,
            )
            share = (time.perf_counter() - before) / len(lines)
            for place, line, (ours, theirs) in zip(those, lines, scores, strict=True):
                yield (
                    place,
                    Outcome(
                        ours, theirs, epochs=line.epochs, seconds=line.seconds + share
                    ),
                )

    def _trained(self, call: dict[str, Any]) -> Outcome:
        before = time.perf_counter()
        try:
            found = fit(self._whole, **(self._common | call))
            if found.settings.get("interrupted"):
                raise KeyboardInterrupt  # it was cut short, which is no trial
            seen = found.evaluate(part="validation")
            self.unseen = max(self.unseen, seen.unseen)
            self.rows = {"train": found.rows, "validation": seen.rows}
            ours, theirs = (
                _of_scores(scores, self._absolute) for scores in (seen, found.metrics)
            )
        except FAULTS as error:
            return _failed(error, before)
        epochs = found.settings.get("epochs")
        return Outcome(
            ours, theirs, epochs=epochs, seconds=time.perf_counter() - before
        )


def is_closed(call: dict[str, Any]) -> bool:
    """Whether a setting can be scored from a state."""
    shrunk = call.keys() & SHRUNK
    known = (
        {*DESIGN, *SHRUNK, "standardize", "loss", "degenerate"} if shrunk else CLOSED
    )
    return (
        call.keys() <= known
        and squared(call.get("loss", "squared"))
        and call.get("method", "auto") != "sgd"
        and not ("penalty" in call and isinstance(call.get("alpha", "cv"), str))
        and not ("early_stopping" in call and not descends(call))
        and not isinstance(call.get("start"), Fit)
    )


def line_of(train: _Side, seen: _Side, call: dict[str, Any], before: float) -> _Line:
    """The slopes and the intercept that `fit` would find, from the states.

    Args:
        train: the training part.
        seen: the validation part, for early stopping.
        call: the setting.
        before: when the work on it began.
    """
    if call.keys() & SHRUNK:
        return _shrunk_line(train, call, before)
    names = ("momentum", "dampening", "nesterov", "weight_decay")
    plain = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0}
    optimizer = call.get("optimizer")
    name, options = optimizer_settings(
        optimizer,
        {n: call.get(n, plain[n]) for n in names},
        call.get("optimizer_options"),
    )
    training = Training(
        call.get("lr"),
        call.get("epochs"),
        call.get("standardize"),
        call.get("start"),
        call.get("seed"),
        name,
        options,
    )
    training.check()
    survey = train.survey
    if not (descends(call) or "seed" in call):
        return _line(solved(survey.best), None, before)
    rule = as_early_stopping(call.get("early_stopping"))
    if name != "SGD":
        held = None if rule is None else seen.loss
        found = descend_on(survey, training, held, rule)
        if found.settings.get("interrupted"):
            raise KeyboardInterrupt  # it was cut short, which is no trial
        return _line(found, found.settings["epochs"], before)
    path, epochs, _, _ = closed_path(survey, training)
    if rule is not None:
        epochs = stop_early(path, seen.loss, rule, epochs).best_epoch
    parameters = path.parameters(np.array([epochs]))[0]
    return _Line(parameters, epochs, time.perf_counter() - before)


def _shrunk_line(train: _Side, call: dict[str, Any], before: float) -> _Line:
    """The line under a penalty, within bounds, or both."""
    wanted = (call.get(n) for n in ("penalty", "alpha", "l1_ratio", "standardize"))
    penalty = as_penalty(*wanted) or Penalty(0.0, 0.0)
    alpha, ratio = float(penalty.alpha), penalty.l1_ratio
    limits = call.get("bounds"), call.get("nonnegative", False)
    problem = train.shrinkable(penalty.standardize, limits)
    box = limits != (None, False)
    u = problem.solve(alpha, ratio).u if box or (alpha and ratio) else None
    slopes = problem.raw(problem.ridge(alpha) if u is None else u)
    sums = train.survey.sums
    intercept = float(sums.y_mean[0]) - float(slopes @ sums.x_mean)
    return _Line(np.append(slopes, intercept), None, time.perf_counter() - before)


def _line(found: Fit, epochs: int | None, before: float) -> _Line:
    parameters = np.append(found.slopes, found.intercept)
    return _Line(parameters, epochs, time.perf_counter() - before)


def mean_absolutes(lines: Array, rows: Iterable[Chunk]) -> Array:
    """The mean absolute residual of each line (K, d + 1), in one pass: (K,)."""
    total, weight = np.zeros(len(lines)), 0.0
    slopes, level = lines[:, :-1].T, lines[:, -1]
    step = max(1, PART // max(1, len(lines)))
    for chunk in rows:
        for start in range(0, len(chunk.y), step):
            part = slice(start, start + step)
            w = None if chunk.weight is None else chunk.weight[part]
            with np.errstate(over="ignore", invalid="ignore"):
                off = np.abs(chunk.y[part, None] - (chunk.X[part] @ slopes + level))
                total += off.sum(axis=0) if w is None else w @ off
            weight += len(off) if w is None else float(w.sum())
    return total / weight


def _of_scores(scores: Scores, absolute: bool) -> dict[str, float]:
    found = {"r2": scores.r2, "rmse": scores.rmse}
    return found | {"mae": scores.mae} if absolute else found


def _failed(error: Exception, before: float) -> Outcome:
    known = isinstance(error, GradlineError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    reason = " ".join(text.split())
    return Outcome(None, None, reason, seconds=time.perf_counter() - before)


def _squares(sums: Centred) -> dict[str, Any]:
    """Rows, and the mean squares of all terms and of the target: none is near 0."""
    terms = sums.xx.diagonal() / sums.weight + sums.x_mean**2
    target = float(sums.yy[0]) / sums.weight + float(sums.y_mean[0]) ** 2
    return {"rows": sums.rows, "terms": terms.tolist(), "target": target}
