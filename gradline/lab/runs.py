"""A descent that a page looks at: any step of it, when it is asked for.

Squared loss by full-batch SGD is known in closed form (path.py), every step at once and
past the stability limit too. Everything else is walked (walks.py, mistakes.py), as far
as somebody looked. A step is one update of the parameters: one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from gradline.certificate import TOLERANCE
from gradline.conclude import path_from, starting_point
from gradline.data import Array
from gradline.errors import DivergenceError
from gradline.lab.bench import Bench
from gradline.lab.goals import Goal, Squares
from gradline.lab.mistakes import MISTAKES
from gradline.lab.settings import MOST_LOOP_STEPS, Setting
from gradline.lab.walks import Place, batches_in, on_rows, on_state
from gradline.path import Path
from gradline.recurrence import Rule

#: A loss so many times that of the start is called divergence.
FAR = 1e12

#: A drawn line whose loss is so many times the variance of y is no place to begin.
HOPELESS = 1e6

#: Steps that a page gets at once, to draw the curve and the path; and numbers.
KEPT = 600
KEPT_NUMBERS = 60_000

#: Numbers that a walk keeps.
WALKED_NUMBERS = 2_000_000

#: Steps looked at in one go for where a loss ran away.
LOOK = 4_000

#: Numbers of steps, (K,).
Steps = np.ndarray[Any, np.dtype[np.int64]]

GoOn = Callable[[], bool]


@dataclass(frozen=True)
class Frames:
    """Some steps of a run.

    Attributes:
        steps: their numbers, (K,); 0 is the start.
        parameters: raw slopes and intercept after each, (K, d + 1).
        losses: over all training rows, (K,); over those in memory, where the loss is
            not squared.
        validation: over all rows held out, (K,), or None.
        gradients: of the training loss, in the coordinates of the descent, (K, d + 1).
        seen: the losses that the steps themselves saw, (K,); None where they are those.
    """

    steps: Steps
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
        goal: what it makes small, as it is shown.
        total: its last step: as set, or where it ran away.
        per_epoch: steps in an epoch.
        closed: whether it is known in closed form.
        diverged: the step where the loss ran away, if it did so far.
        capped: whether it would have been longer.
    """

    goal: Goal
    total: int
    per_epoch: int
    closed: bool
    diverged: int | None
    capped: bool

    def frames(self, steps: Any, go_on: GoOn) -> Frames:
        """These steps; fewer where the run has ended before, or go_on() is False."""

    def converged(self) -> tuple[int | None, int | None]:
        """The step with a relative gap of TOLERANCE, if it is in the run; and if not.

        What has not been walked is not known.
        """


@dataclass
class ClosedRun:
    """Full-batch SGD on squared loss."""

    bench: Bench
    goal: Goal
    path: Path
    total: int
    standardize: bool
    per_epoch: int = 1
    closed: bool = True
    diverged: int | None = None
    capped: bool = False

    def __post_init__(self) -> None:
        self.diverged = self._divergence()
        if self.diverged is not None:
            self.total = self.diverged

    def _divergence(self) -> int | None:
        """The first step whose loss is FAR above where it began."""
        first = float(self.path.losses(np.zeros(1, np.int64))[0])
        most = FAR * max(first, self.bench.survey.variance, 1e-300)

        def gone(steps: Steps) -> int | None:
            with np.errstate(all="ignore"):
                far = ~(self.path.losses(steps) < most)
            return int(np.argmax(far)) if far.any() else None

        if gone(np.array([self.total])) is None and not self._growing:
            return None
        probes = kept_steps(self.total, LOOK)
        place = gone(probes)
        if place is None:
            return None
        low = int(probes[max(0, place - 2)])
        between = np.arange(low, int(probes[place]) + 1)
        found = gone(between)
        assert found is not None
        return low + found

    @property
    def _growing(self) -> bool:
        return self.path.rule.lr > self.path.rule.limit(self.path.bowl.ends[0])

    def frames(self, steps: Any, go_on: GoOn) -> Frames:
        """See Run."""
        steps = np.asarray(steps, np.int64)
        steps = steps[steps <= self.total]
        with np.errstate(all="ignore"):
            losses, parameters = self.path.trace(steps)
            return Frames(
                steps,
                parameters,
                losses,
                self.goal.validation(parameters),
                self.goal.gradients(parameters, self.standardize),
            )

    def converged(self) -> tuple[int | None, int | None]:
        """See Run."""
        if self.diverged is not None:
            return None, None
        with np.errstate(all="ignore"):
            needed = self.path.epochs_to(
                TOLERANCE * max(self.goal.optimum_loss, self.goal.floor)
            )
        return (needed if needed is not None and needed <= self.total else None), needed


@dataclass
class LoopRun:
    """Anything else, walked as far as somebody looked.

    Attributes:
        bench: the data.
        goal: as in Run.
        walk: yields where each step led, the start first.
        total: as in Run, and so is what follows.
        standardize: whether the descent is on standardised features.
        apart: whether steps see other losses than that of all rows.
    """

    bench: Bench
    goal: Goal
    walk: Iterator[Place]
    total: int
    standardize: bool
    per_epoch: int = 1
    apart: bool = False
    capped: bool = False
    closed: bool = False
    diverged: int | None = None
    _places: list[Place] = field(default_factory=list)
    _losses: list[float] = field(default_factory=list)
    _converged: int | None = None

    def frames(self, steps: Any, go_on: GoOn) -> Frames:
        """See Run."""
        steps = np.asarray(steps, np.int64)
        last = min(int(steps.max(initial=0)), self.total)
        while len(self._places) <= last and go_on():
            if not self._walk_on():
                break
        steps = steps[steps < len(self._places)]
        places = [self._places[k] for k in steps]
        parameters = np.array([p.parameters for p in places]).reshape(
            len(steps), len(self.bench.terms) + 1
        )
        with np.errstate(all="ignore"):
            return Frames(
                steps,
                parameters,
                np.array([self._losses[k] for k in steps]),
                self.goal.validation(parameters),
                self.goal.gradients(parameters, self.standardize),
                np.array([p.seen for p in places]) if self.apart else None,
            )

    def _walk_on(self) -> bool:
        """Take one more step; whether there was one."""
        try:
            place = next(self.walk)
        except (StopIteration, DivergenceError) as error:
            self.total = len(self._places) - 1
            if isinstance(error, DivergenceError):
                self.diverged = self.total
            return False
        with np.errstate(all="ignore"):
            loss = float(self.goal.losses(place.parameters[None])[0])
        self._places.append(place)
        self._losses.append(loss)
        step = len(self._places) - 1
        most = FAR * max(self._losses[0], self.bench.survey.variance, 1e-300)
        if not loss < most:
            self.total = self.diverged = step
            return False
        lowest = self.goal.optimum_loss
        near = loss - lowest <= TOLERANCE * max(lowest, self.goal.floor)
        if near and self._converged is None:
            self._converged = step
        return True

    @property
    def known(self) -> int:
        """The last step that has been walked."""
        return len(self._places) - 1

    def converged(self) -> tuple[int | None, int | None]:
        """See Run."""
        return self._converged, self._converged


def make_run(bench: Bench, goal: Goal, setting: Setting) -> Run:
    """The descent that a setting asks for."""
    survey = bench.survey
    start = start_of(bench, setting)
    mistake = MISTAKES.get(setting.mistake)
    wrong = None if mistake is None else mistake.walk
    if is_closed(setting):
        bowl = survey.scaled_bowl if setting.standardize else survey.raw_bowl
        path = path_from(survey, bowl, rule_of(setting), start)
        return ClosedRun(bench, goal, path, setting.epochs, setting.standardize)
    batches = batches_in(bench, setting) if wrong is None else 1
    wanted = setting.epochs * batches
    most = min(MOST_LOOP_STEPS, WALKED_NUMBERS // (len(bench.terms) + 1))
    whole = not setting.batch_size and setting.loss == "squared"
    if wrong is not None:
        walk = wrong(bench, setting, start)
    elif whole:
        walk = on_state(bench, setting, start)
    else:
        walk = on_rows(bench, goal, setting, start)
    return LoopRun(
        bench,
        goal,
        walk,
        min(wanted, most),
        setting.standardize,
        batches,
        batches > 1 or wrong is not None,
        wanted > most,
    )


def is_closed(setting: Setting) -> bool:
    """Whether the descent of a setting is known in closed form."""
    mistake = MISTAKES.get(setting.mistake)
    return (
        setting.loss == "squared"
        and setting.optimizer == "SGD"
        and not setting.batch_size
        and (mistake is None or mistake.walk is None)
    )


def rule_of(setting: Setting) -> Rule:
    """SGD as set."""
    return Rule(
        setting.lr,
        setting.momentum,
        nesterov=setting.nesterov and setting.momentum > 0,
        weight_decay=setting.weight_decay,
    )


def start_of(bench: Bench, setting: Setting) -> torch.Tensor:
    """Raw slopes and intercept at step 0, (d + 1,).

    A draw is the same line whether the features are standardised or not, so that the
    switch moves nothing. It is drawn over raw slopes and intercept; over standardised
    ones where that would begin HOPELESS times as far off as the mean of y is, as with
    timestamps: a slope of 1 is then a billion beside the data.
    """
    if len(setting.start) == len(bench.terms) + 1:
        given = torch.tensor(setting.start, dtype=torch.float64)
        return bench.loss(setting.standardize).raw(given[None])[0]
    survey = bench.survey
    drawn = starting_point(survey, None, setting.seed, False)
    with np.errstate(all="ignore"):
        loss = float(Squares(bench).losses(drawn[None].numpy())[0])
    if not loss <= HOPELESS * max(survey.variance, survey.floor):
        drawn = starting_point(survey, None, setting.seed, True)
    return drawn


def kept_steps(total: int, most: int = KEPT) -> Steps:
    """Steps 0 to total, or a selection that is denser at the start."""
    if total < most:
        return np.arange(total + 1)
    spaced = np.geomspace(1, total, most - 1).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(most // 4), spaced, [total]]))
