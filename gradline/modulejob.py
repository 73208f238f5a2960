"""A torch module, its loss and its rows, as the loops of moduleloop.py train them.

A `Job` says what is trained on what; a `History` is what the training left behind: the
loss at each epoch, that of the validation part, and the best state of the module.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradline.criteria import Criterion, criterion_of, title_of, weighted
from gradline.data import Array, Chunk
from gradline.errors import ShapeError, UsageError
from gradline.model import LinearRegression
from gradline.modules import Trained, checked, like_of
from gradline.objective import Absolute, Huber, Quantile, Squared
from gradline.stopping import Stopper
from gradline.survey import Survey

#: Rows that are shown to a module before it is trained.
_PROBE = 8


class Rows(NamedTuple):
    """Rows as a module takes them: x (n, d), y (n,) or (n, 1), and their mean loss."""

    x: Tensor
    y: Tensor
    criterion: nn.Module


@dataclass
class Job:
    """What is trained, on what, and for which loss.

    Attributes:
        module: the copy.
        goal: a named loss, or a function.
        survey: of the training rows.
        center: what standardises the terms, or None.
        scale: likewise.
        columns: whether the module gives (n, 1).
    """

    module: nn.Module
    goal: Any
    survey: Survey
    center: Tensor | None
    scale: Tensor | None
    columns: bool = field(default=False)

    @property
    def trained(self) -> Trained:
        """The module with its scaling."""
        return Trained(self.module, self.center, self.scale)

    @property
    def linear(self) -> bool:
        """Whether the module is a line in the terms."""
        module, d = self.module, len(self.survey.design.terms)
        if not isinstance(module, nn.Linear | LinearRegression):
            return False
        return tuple(module.weight.shape) == (1, d)

    def rows(self, chunk: Chunk) -> Rows:
        """A chunk as the module takes it."""
        like = like_of(self.module)

        def tensor(values: Array) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(
                like.device, like.dtype
            )

        y = tensor(chunk.y)
        criterion = self.criterion
        if chunk.weight is not None:
            criterion = weighted(self.goal, tensor(chunk.weight))
        return Rows(
            self.trained.inputs(np.asarray(chunk.X)),
            y[:, None] if self.columns else y,
            Flat(criterion),
        )

    @property
    def criterion(self) -> Criterion:
        """The loss of rows of equal weight, (n,) both."""
        if isinstance(self.goal, Squared | Absolute | Quantile | Huber):
            return criterion_of(self.goal)
        goal: Criterion = self.goal
        return goal

    def probe(self, chunk: Chunk) -> None:
        """See what the module makes of some rows, and what the loss makes of that."""
        if not any(p.requires_grad for p in self.module.parameters()):
            raise UsageError(
                f"the {type(self.module).__name__} has no parameters that require "
                "gradients: there is nothing to learn"
            )
        few = Chunk(chunk.X[:_PROBE], chunk.y[:_PROBE], None)
        self.module.eval()
        found = checked(self.module, self.trained.inputs(np.asarray(few.X)))
        if not found.requires_grad:
            raise UsageError(
                "the module's output knows nothing of its parameters (detached, or "
                "made under no_grad): return it as it was computed"
            )
        self.columns = found.ndim == 2
        rows = self.rows(few)
        try:
            value: Any = rows.criterion(found, rows.y)
        except TypeError as error:
            raise UsageError(
                f"the loss {title_of(self.goal)} cannot be called as loss(prediction, "
                f"target) ({error}): wrap what else it needs, such as "
                "lambda p, y: loss(p, y, variance)"
            ) from None
        if isinstance(value, Tensor) and value.is_complex():
            raise UsageError(
                f"the loss {title_of(self.goal)} is a complex number, which has no "
                "least: take its absolute value"
            )
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value)
            raise ShapeError(
                f"the loss of predictions and targets of shape ({len(few.y)},) is "
                f"{shape} and must be one number: take its mean, or reduction='mean'"
            )
        slope = None
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), found, allow_unused=True)
        if slope is None:
            raise UsageError(
                f"the loss {title_of(self.goal)} does not depend on the prediction "
                "(a constant, or detached from it): compute it from the prediction "
                "by torch's functions, with no detach, no_grad, item or numpy"
            )

    def line_now(self) -> Array:
        """Raw slopes and intercept of a linear module, (d + 1,)."""
        module: Any = self.module
        slopes = module.weight.detach()[0].double().cpu()
        bias = 0.0 if module.bias is None else float(module.bias.detach())
        if self.center is not None and self.scale is not None:
            slopes = slopes / self.scale
            bias -= float(slopes @ self.center)
        return np.append(slopes.numpy(), bias)


@dataclass
class History:
    """What a training left behind.

    Attributes:
        losses: at each epoch from 0 on, (K,).
        seen: the validation losses, likewise; [] without such rows.
        lines: raw slopes and intercept by epoch, of a linear module.
        stopper: what saw the validation losses.
        best: the module's state at its best epoch, where early stopping is on.
        start: the norm of the gradient at the start, and `end` of that of the result.
        loss: of the result.
        epochs: how many were walked, and `total`: of how many.
        unseen: validation rows of a level that nothing is known of.
        interrupted: whether Ctrl-C ended it.
        batch_size: rows in a batch; None for all.
        lr: the learning rate it began with.
    """

    losses: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    lines: dict[int, Array] = field(default_factory=dict)
    stopper: Stopper | None = None
    best: dict[str, Tensor] | None = None
    start: float = math.nan
    interrupted: bool = False
    batch_size: int | None = None
    lr: float | None = None
    epochs: int = 0
    total: int = 0
    unseen: int = 0
    loss: float = math.nan
    end: float = math.nan

    def note(
        self, job: Job, epoch: int, held: Callable[[], float] | None, keep: set[int]
    ) -> bool:
        """Take in the module after an epoch; whether to stop there."""
        better = False
        if held is not None and self.stopper is not None:
            self.seen.append(held())
            better = self.stopper.improves(epoch, self.seen[-1])
            if better and self.stopper.rule is not None:
                self.best = copy.deepcopy(job.module.state_dict())
        if job.linear and (epoch in keep or better):
            self.lines[epoch] = job.line_now()
        self.epochs = epoch
        return self.stopper is not None and self.stopper.waited_enough


class Flat(nn.Module):
    """Any function of prediction and target (n,), for those of shape (n, 1) too."""

    def __init__(self, function: Criterion) -> None:
        super().__init__()
        self.function = function

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What the function says."""
        return self.function(prediction.reshape(-1), target.reshape(-1))
