"""What minibatch descent is to do, settled from what was asked and what the data are.

Coordinates are standardised ones, z = (x - mean)/sd of the whole data, wherever the
learning rate is found and not given. Then, for squared loss,

    lr = ½ · 1/(λ + R²/B · (1 - B/n)) · (1 - β)/(1 - τ)

with λ the largest eigenvalue of the mean of z zᵀ, the level's 1 in it; R² =
mean ‖z‖⁴ / mean ‖z‖², how far a single row may throw a step; β momentum and τ
dampening. Steps of a batch of B rows are stable, in the mean square, up to about twice
as much. Other losses, and optimisers other than SGD, take the scale of the target from
the residuals s of the least-squares line: SGD steps are as long as they would be for
a squared loss of the same curvature, those of Adam and its kin s/20.

Source: Bach & Moulines, "Non-strongly-convex smooth stochastic approximation with
convergence rate O(1/n)", 2013, for a constant rate and averaging.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.checks import one_of, whole
from gradline.conclude import starting_point
from gradline.data import Array
from gradline.errors import UsageError
from gradline.objective import Huber, Loss, Squared
from gradline.schedules import Schedule, as_schedule
from gradline.shuffle import check_shuffle
from gradline.survey import Survey
from gradline.training import Batches, Training

#: Rows in a batch.
BATCH = 256

#: A run that stops at its goal gives up after so many epochs.
MOST_EPOCHS = 1000

#: Any other takes so many steps, unless told, in epochs between these.
STEPS = 4000
EPOCHS = (10, 1000)

#: Optimisers whose rate is how far a parameter goes in a step.
STRIDES = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop")

#: The settings of SGD that the fast path knows.
PLAIN = frozenset(["momentum", "dampening", "nesterov", "weight_decay"])


@dataclass(frozen=True)
class Plan:
    """How to descend.

    Attributes:
        size: rows in a batch.
        epochs: how many, at the most.
        to_goal: whether to stop once the loss is as near its optimum as is asked.
        lr: the learning rate; None for the optimiser's own default.
        automatic: whether it was found, not given.
        scaled: whether on standardised features.
        optimizer: the name of a class in torch.optim.
        options: its other settings.
        schedule: of the learning rate.
        shuffle: whether to, or the rows of the buffer.
        average: whether the fit is the average of the weights.
        seed: of the start and of the batches.
        loss: to be made small.
        limit: the learning rate above which batches of this size diverge, about; None
            where that is not known.
    """

    size: int
    epochs: int
    to_goal: bool
    lr: float | None
    automatic: bool
    scaled: bool
    optimizer: str
    options: dict[str, Any]
    schedule: Schedule
    shuffle: bool | int
    average: bool
    seed: int
    loss: Loss
    limit: float | None

    @property
    def fast(self) -> bool:
        """Whether its steps are affine maps."""
        return (
            isinstance(self.loss, Squared)
            and self.optimizer == "SGD"
            and self.options.keys() <= PLAIN
            and not self.schedule.by_loss
            and not self.schedule.moves_momentum
        )

    def settings(self) -> dict[str, Any]:
        """What a fit remembers of it, as JSON has it."""
        momentum = {k: self.options.get(k, 0.0) for k in ("momentum", "dampening")}
        return {
            "lr": self.lr,
            "lr_found": self.automatic,
            "standardize": self.scaled,
            "seed": self.seed,
            "optimizer": self.optimizer,
            **(momentum if self.optimizer == "SGD" else {}),
            "nesterov": bool(self.options.get("nesterov")),
            "weight_decay": float(self.options.get("weight_decay") or 0.0),
            "optimizer_options": {k: _plain(v) for k, v in self.options.items()},
            "batch_size": self.size,
            "schedule": str(self.schedule),
            "shuffle": self.shuffle,
            "average": self.average,
        }


def settle(
    survey: Survey,
    loss: Loss,
    training: Training,
    batches: Batches,
    stops: bool = False,
    endless: bool = False,
) -> Plan:
    """The plan for these data.

    Args:
        survey: of the data.
        loss: to be made small.
        training: what was asked of the descent.
        batches: and of its batches.
        stops: whether early stopping may end it.
        endless: whether there is more to come than the survey has seen.

    Raises:
        UsageError: things that do not go together.
    """
    size = BATCH if batches.size is None else batches.size
    schedule = as_schedule(batches.schedule)
    sgd, squared = training.optimizer == "SGD", isinstance(loss, Squared)
    told = not (training.lr is None or training.lr == "auto")
    finds = sgd or training.optimizer in STRIDES
    automatic = not told and finds  # others have a rate of their own
    scaled = not told if training.standardize is None else training.standardize
    per_epoch = -(-survey.tally.rows // size)
    ends = not endless  # what falls to 0 needs an end
    if batches.schedule is None and automatic and ends and not (sgd and squared):
        schedule = Schedule("linear")
    average = batches.average
    if average is None:
        average = automatic and schedule.name == "constant"
    to_goal = training.epochs is None and automatic and average and squared and sgd
    to_goal = to_goal and not training.options.get("weight_decay")
    epochs = training.epochs
    if epochs is None:
        few, many = EPOCHS
        epochs = min(many, max(few, math.ceil(STEPS / per_epoch)))
        if to_goal or stops:
            epochs = MOST_EPOCHS
    z = scaled_rows(survey, scaled)
    top, single = steepness(survey, z, scaled)
    rest = single / size
    if not endless:  # a batch that has all rows is no draw
        rest *= max(0.0, 1 - size / survey.tally.rows)
    found = rate(training.optimizer, training.options, top, rest)
    limit = None if found is None else found[1]
    lr = None if training.lr is None or automatic else float(training.lr)
    if automatic:
        size_of_residuals = max(survey.optimum_loss, survey.floor) ** 0.5
        lr = size_of_residuals / 20
        if found is not None:
            lr = found[0]
            lr *= 1.0 if squared else _curved(loss, size_of_residuals)
    return Plan(
        size=size,
        epochs=epochs,
        to_goal=to_goal,
        lr=lr,
        automatic=automatic,
        scaled=scaled,
        optimizer=training.optimizer,
        options=training.options,
        schedule=schedule,
        shuffle=check_shuffle(True if batches.shuffle is None else batches.shuffle),
        average=average,
        seed=training.seed or 0,
        loss=loss,
        limit=limit if squared else None,
    )


def rate(
    optimizer: str, options: dict[str, Any], top: float, rest: float
) -> tuple[float, float] | None:
    """The rate of SGD for squared loss, and about where it is no longer stable.

    Args:
        optimizer: the name of a class in torch.optim: None is known of others.
        options: its settings beside lr.
        top: λ of the formula above.
        rest: what single rows add to it, R²/B · (1 - B/n).
    """
    if optimizer != "SGD":
        return None
    momentum = float(options.get("momentum") or 0.0)
    slower = (1 - momentum) / (1 - float(options.get("dampening") or 0.0))
    steep = top + rest
    return 0.5 / steep * slower, 1 / steep * (slower if momentum else 1.0)


def check(loss: Loss, training: Training, batches: Batches) -> None:
    """Refuse what cannot be meant, before any data are read."""
    if training.lr == "auto" and training.optimizer not in ("SGD", *STRIDES):
        raise UsageError(
            f"lr='auto' is for SGD, {', '.join(STRIDES)}: give {training.optimizer} a "
            "number, or leave lr out for its own"
        )
    as_schedule(batches.schedule)
    if batches.size is not None:
        whole("batch_size", batches.size, 1)
    if batches.shuffle is not None:
        check_shuffle(batches.shuffle)
    if batches.average is not None:
        one_of("average", batches.average, True, False)
    if isinstance(loss, Huber) and loss.scale is None:
        raise UsageError(
            "the Huber loss by minibatches needs its scale: give huber:1.35:SCALE in "
            "units of the target, or leave out batch_size and method='sgd', for then "
            "the scale is found"
        )


def first_point(survey: Survey, training: Training, plan: Plan) -> Tensor:
    """Raw slopes and intercept to begin with, (d + 1,).

    A model that was given; else as for full-batch descent. Where a loss that is not
    squared, or an optimiser of its own step length, finds its rate by itself: the
    least-squares line, or the mean of the target.
    """
    plain = plan.optimizer == "SGD" and isinstance(plan.loss, Squared)
    if training.start is not None or plain or not plan.automatic:
        return starting_point(survey, training.start, plan.seed, plan.scaled)
    if not isinstance(plan.loss, Squared):
        return survey.optimum.clone()
    start = torch.zeros_like(survey.optimum)
    start[-1] = float(survey.sums.y_mean[0]) * survey.design.intercept
    return start


def shift_and_scale(survey: Survey, scaled: bool) -> tuple[Array, Array]:
    """The coordinates of the descent: z = (x - shift)/scale, (d,) each."""
    d = len(survey.design.terms)
    if not scaled:
        return np.zeros(d), np.ones(d)
    scale = survey.spectrum.scale.numpy()
    return survey.mean.numpy(), np.where(scale > 0, scale, 1.0)


def scaled_rows(survey: Survey, scaled: bool) -> Array:
    """Some rows in these coordinates, the level's 1 among them, (m, d + 1)."""
    shift, scale = shift_and_scale(survey, scaled)
    X = (survey.sample.X - shift) / scale
    return np.column_stack([X, np.full(len(X), float(survey.design.intercept))])


def steepness(survey: Survey, z: Array, scaled: bool) -> tuple[float, float]:
    """λ and R² of the formula above."""
    if scaled:
        top = max(float(survey.design.intercept), survey.spectrum.largest**2)
    else:
        top = survey.curvatures[0] / 2
    squares = np.square(z).sum(axis=1)
    mean = float(squares.mean())
    single = float(np.square(squares).mean()) / mean if mean else 0.0
    return top, max(single, top)


def _curved(loss: Loss, size: float) -> float:
    """What makes of a rate for squared loss one for another loss."""
    if isinstance(loss, Huber):
        return 2.0  # half the square
    return 2.0 * size  # |r| is about as curved as r²/2s


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if isinstance(value, bool | int | float | str) else repr(value)
