"""One part of the data as a pass left it, and the line that a setting leads to.

What `fit` would find from the rows is found here from their state, by the same parts:
the descent in closed form (path.py), other optimisers on the state (quadratic.py), the
exact optimum, penalties and bounds (shrinkage.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradline.bounds import read_bounds
from gradline.data import Array, Chunk
from gradline.effects import DESCENT, descends, squared
from gradline.heldout import loss_of, stop_early
from gradline.objective import Penalty, as_penalty
from gradline.prepare import prepare
from gradline.quadratic import Quadratic
from gradline.result import Fit
from gradline.retrace import solved
from gradline.shrinkage import Shrinkable, of_survey, unbounded
from gradline.spaces import default_of, same
from gradline.state import Centred
from gradline.stopping import as_early_stopping
from gradline.survey import Survey
from gradline.training import Training, closed_path, descend_on, optimizer_settings

#: The arguments of fit that say how columns become terms: one pass for each of them.
DESIGN = tuple(n for n in default_of(prepare) if n not in ("y", "target", "split"))

#: What a setting may say and still be scored from a state.
CLOSED = {*DESIGN, *DESCENT, "method", "standardize", "loss", "degenerate"}
SHRUNK = {"penalty", "alpha", "l1_ratio", "bounds", "nonnegative"}

#: Numbers of (rows x lines) worked on at a time.
PART = 1_000_000


@dataclass(frozen=True)
class Line:
    """Slopes and intercept that a setting leads to, (d + 1,), and after what."""

    parameters: Array
    epochs: int | None
    seconds: float


@dataclass(frozen=True)
class Side:
    """The rows of a part, as what one pass left of them."""

    survey: Survey
    _shrinkable: dict[Any, Shrinkable] = field(default_factory=dict)

    @cached_property
    def loss(self) -> Quadratic:
        """The loss over raw slopes and intercept."""
        return loss_of(self.survey)

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
        """R², RMSE and, where wanted, MAE of lines (K, d + 1).

        R² is about the mean of y, with or without an intercept: lines are compared.
        """
        losses = self.loss.losses(lines)
        variance = float(self.survey.sums.spread[0]) / self.survey.sums.weight
        r2 = 1 - losses / variance if variance > 0 else np.full(len(losses), math.nan)
        found = {"r2": r2, "rmse": np.sqrt(losses)}
        if absolute:
            held = self.survey.rows
            design, source = self.survey.design, self.survey.source
            rows = design.chunks(source) if held is None else [held]
            found["mae"] = mean_absolutes(lines, rows)
        names, columns = list(found), [v.tolist() for v in found.values()]
        return [dict(zip(names, v, strict=True)) for v in zip(*columns, strict=True)]


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


def line_of(train: Side, seen: Side, call: dict[str, Any], before: float) -> Line:
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
    return Line(parameters, epochs, time.perf_counter() - before)


def _shrunk_line(train: Side, call: dict[str, Any], before: float) -> Line:
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
    return Line(np.append(slopes, intercept), None, time.perf_counter() - before)


def _line(found: Fit, epochs: int | None, before: float) -> Line:
    parameters = np.append(found.slopes, found.intercept)
    return Line(parameters, epochs, time.perf_counter() - before)


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


def mean_squares(sums: Centred) -> dict[str, Any]:
    """Rows, and the mean squares of all terms and of the target: none is near 0."""
    terms = sums.xx.diagonal() / sums.weight + sums.x_mean**2
    target = float(sums.yy[0]) / sums.weight + float(sums.y_mean[0]) ** 2
    return {"rows": sums.rows, "terms": terms.tolist(), "target": target}
