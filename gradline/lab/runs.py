"""A descent that a page looks at: any step of it, when it is asked for.

Squared loss by full-batch SGD is known in closed form (path.py), every step at once and
past the stability limit too. Everything else is walked by the five-step loop
(descent.py), as far as somebody looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from gradline.conclude import conclude, path_from, starting_point
from gradline.data import Array
from gradline.descent import descend
from gradline.errors import DivergenceError
from gradline.lab.bench import Bench
from gradline.lab.settings import MOST_LOOP_STEPS, Setting
from gradline.model import LinearRegression
from gradline.path import Path
from gradline.quadratic import Quadratic
from gradline.recurrence import Rule
from gradline.survey import Survey

#: A loss so many times that of the start is called divergence.
FAR = 1e12

#: Steps that a page gets at once, to draw the curve and the path.
KEPT = 600


@dataclass(frozen=True)
class Frames:
    """Some steps of a run.

    Attributes:
        steps: their numbers, (K,); 0 is the start.
        parameters: raw slopes and intercept after each, (K, d + 1).
        losses: over all training rows, (K,).
        validation: over all rows held out, (K,), or None.
        gradients: of the training loss, in the coordinates of the descent, (K, d + 1).
        seen: the losses that the steps themselves saw, (K,); None for full batches.
    """

    steps: np.ndarray[Any, np.dtype[np.int64]]
    parameters: Array
    losses: Array
    validation: Array | None
    gradients: Array
    seen: Array | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain arrays."""
        return dict(vars(self))


class Run(Protocol):
    """A descent.

    Attributes:
        total: its last step: as set, or where it diverged.
        closed: whether it is known in closed form.
        diverged: the step where the loss ran away, if it did so far.
    """

    total: int
    closed: bool
    diverged: int | None

    def frames(self, steps: Any, go_on: Callable[[], bool]) -> Frames:
        """These steps; fewer where the run has ended before, or go_on() is False."""
        ...


@dataclass
class ClosedRun:
    """Full-batch SGD on squared loss."""

    bench: Bench
    path: Path
    total: int
    standardize: bool
    closed: bool = True
    diverged: int | None = None

    def __post_init__(self) -> None:
        self.diverged = self._divergence()
        if self.diverged is not None:
            self.total = self.diverged

    def _divergence(self) -> int | None:
        steps = kept_steps(self.total, 4_000)
        with np.errstate(all="ignore"):
            losses = self.path.losses(steps)
        most = FAR * max(losses[0], self.bench.survey.variance)
        gone = ~(losses < most)
        return int(steps[int(np.argmax(gone))]) if gone.any() else None

    def frames(self, steps: Any, go_on: Callable[[], bool]) -> Frames:
        """See Run."""
        steps = np.asarray(steps, np.int64)
        steps = steps[steps <= self.total]
        with np.errstate(all="ignore"):
            losses, parameters = self.path.trace(steps)
        held = self.bench.held
        return Frames(
            steps,
            parameters,
            losses,
            None if held is None else held.losses(parameters),
            gradients_at(self.bench.loss(self.standardize), parameters),
        )


@dataclass
class LoopRun:
    """Anything else, by the five-step loop on the rows.

    Attributes:
        bench: the data.
        walk: yields raw slopes and intercept, (d + 1,), after each step.
        total: as in Run.
    """

    bench: Bench
    walk: Iterator[Array]
    total: int
    standardize: bool
    closed: bool = False
    diverged: int | None = None
    _seen: list[Array] = field(default_factory=list)

    def frames(self, steps: Any, go_on: Callable[[], bool]) -> Frames:
        """See Run."""
        steps = np.asarray(steps, np.int64)
        last = min(int(steps.max(initial=0)), self.total)
        while len(self._seen) <= last and go_on():
            try:
                self._seen.append(next(self.walk))
            except StopIteration:
                self.total = len(self._seen) - 1
                break
            except DivergenceError:
                self.total = self.diverged = len(self._seen) - 1
                break
        steps = steps[steps < len(self._seen)]
        parameters = np.array([self._seen[k] for k in steps]).reshape(
            len(steps), len(self.bench.terms) + 1
        )
        held = self.bench.held
        return Frames(
            steps,
            parameters,
            self.bench.loss(False).losses(parameters),
            None if held is None else held.losses(parameters),
            gradients_at(self.bench.loss(self.standardize), parameters),
        )


def gradients_at(loss: Quadratic, parameters: Array) -> Array:
    """The gradient at raw slopes and intercept, in the coordinates of the descent.

    Args:
        loss: the quadratic, in those coordinates.
        parameters: (K, d + 1).

    Returns:
        (K, d + 1).
    """
    J, target = loss.J.numpy(), loss.target.numpy()
    scale, mean = loss.scale.numpy(), loss.mean.numpy()
    slopes = parameters[:, :-1]
    level = parameters[:, -1:] + slopes @ mean[:, None]
    inner = np.hstack([slopes * scale, level])
    found: Array = (inner @ J.T - target) @ J
    return found


def make_run(bench: Bench, setting: Setting) -> Run:
    """The descent that a setting asks for."""
    survey = bench.survey
    start = _start(bench, setting)
    plain = setting.loss == "squared" and setting.optimizer == "SGD"
    if plain and not setting.batch_size and not setting.mistake:
        bowl = survey.scaled_bowl if setting.standardize else survey.raw_bowl
        return ClosedRun(
            bench,
            path_from(survey, bowl, rule_of(setting), start),
            setting.epochs,
            setting.standardize,
        )
    return LoopRun(
        bench,
        _loop(bench, setting, start),
        min(setting.epochs, MOST_LOOP_STEPS),
        setting.standardize,
    )


def rule_of(setting: Setting) -> Rule:
    """SGD as set."""
    return Rule(
        setting.lr,
        setting.momentum,
        nesterov=setting.nesterov and setting.momentum > 0,
        weight_decay=setting.weight_decay,
    )


def _start(bench: Bench, setting: Setting) -> torch.Tensor:
    """Raw slopes and intercept at step 0, (d + 1,)."""
    inner = bench.loss(setting.standardize)
    if len(setting.start) == len(bench.terms) + 1:
        given = torch.tensor(setting.start, dtype=torch.float64)
        return inner.raw(given[None])[0]
    return starting_point(bench.survey, None, setting.seed, setting.standardize)


def _loop(bench: Bench, setting: Setting, start: torch.Tensor) -> Iterator[Array]:
    """The five-step loop, on standardised features where that is set."""
    inner = bench.loss(setting.standardize)
    train = ~bench.dots.held
    X = torch.from_numpy(bench.dots.X[train])
    y = torch.from_numpy(bench.dots.y[train])
    if setting.standardize:
        X = (X - inner.mean) / inner.scale
    model = LinearRegression(X.shape[1], dtype=torch.float64)
    first = inner.inward(start)
    with torch.no_grad():
        model.weight.copy_(first[None, :-1])
        model.bias.copy_(first[-1:])
    losses: dict[str, nn.Module] = {
        "squared": nn.MSELoss(),
        "huber": nn.HuberLoss(delta=0.1),
        "absolute": nn.L1Loss(),
    }
    options: dict[str, Any] = {}
    if setting.optimizer == "SGD":
        options = {"momentum": setting.momentum, "nesterov": setting.nesterov}
    yield start.numpy()
    for step in descend(
        model,
        X,
        y[:, None],
        lr=setting.lr,
        epochs=MOST_LOOP_STEPS,
        optimizer=setting.optimizer,
        loss=losses[setting.loss],
        batch_size=setting.batch_size or None,
        weight_decay=setting.weight_decay,
        **options,
    ):
        now = torch.cat(
            [step.parameters["weight"].reshape(-1), step.parameters["bias"].reshape(-1)]
        )
        yield inner.raw(now[None])[0].numpy()


def kept_steps(total: int, most: int = KEPT) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Steps 0 to total, or a selection that is denser at the start."""
    if total < most:
        return np.arange(total + 1)
    spaced = np.geomspace(1, total, most - 1).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(most // 4), spaced, [total]]))


def limits(survey: Survey, setting: Setting) -> dict[str, Any]:
    """The stability limit and the best learning rate, as set but for lr."""
    bowl = survey.scaled_bowl if setting.standardize else survey.raw_bowl
    high, low = bowl.ends
    rule = rule_of(setting)
    return {
        "limit": rule.limit(high),
        "best": rule.best_lr(high, low),
        "curvatures": [high, low],
        "condition": high / low,
        "note": None,
    }


def certificate_at(bench: Bench, setting: Setting, run: Run, frames: Frames) -> Any:
    """The certificate of one step, as a dict; None where its loss is not finite."""
    parameters = frames.parameters[0]
    if not np.isfinite(parameters).all() or not math.isfinite(frames.losses[0]):
        return None
    path = run.path if isinstance(run, ClosedRun) else None
    found = conclude(
        bench.survey,
        torch.from_numpy(parameters.copy()),
        method="gd",
        path=path,
        settings={
            "lr": setting.lr,
            "epochs": int(frames.steps[0]),
            "standardize": setting.standardize,
            "weight_decay": setting.weight_decay,
        },
    )
    return found.certificate.to_dict()
