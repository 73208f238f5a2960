"""Any optimiser of torch.optim, stepping on the state instead of on the data.

The loss over all rows is a quadratic in slopes and intercept, so with J from the state

    loss     = optimum_loss + ½‖Jθ - t‖²,    t = Jθ*
    gradient = Jᵀ(Jθ - t)

and an epoch costs two products with J, however many rows there are. What steps is a
LinearRegression with a weight (1, d) and a bias (1,), so an optimiser that treats
tensors apart does so here as it would in the five-step loop (descent.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.descent import Watch, make_optimizer
from gradline.errors import DivergenceError, UsageError
from gradline.model import LinearRegression
from gradline.path import Epochs, raw_root
from gradline.solvers import Spectrum

#: An optimiser that has not moved for so many epochs is done (LBFGS stops by itself).
STILL = 5


@dataclass(frozen=True)
class Quadratic:
    """The loss in the coordinates of a descent.

    Attributes:
        J: (r, d + 1).
        target: t, (r,).
        optimum_loss: the loss at the optimum.
        scale: what divides a slope of the descent to make it raw, (d,).
        mean: what raw slopes times it are taken off the level, (d,).
    """

    J: Tensor
    target: Tensor
    optimum_loss: float
    scale: Tensor
    mean: Tensor

    def inward(self, raw: Tensor) -> Tensor:
        """Raw slopes and intercept as coordinates of the descent, (d + 1,)."""
        level = raw[-1] + self.mean @ raw[:-1]
        return torch.cat([raw[:-1] * self.scale, level[None]])

    def raw(self, inner: Tensor) -> Tensor:
        """The other way round, for rows of coordinates (K, d + 1)."""
        slopes = inner[:, :-1] / self.scale
        return torch.column_stack([slopes, inner[:, -1] - slopes @ self.mean])


def quadratic(
    spectrum: Spectrum,
    mean: Tensor,
    optimum: Tensor,
    level: float,
    optimum_loss: float,
    scaled: bool,
    intercept: bool = True,
) -> Quadratic:
    """The loss of a state, over raw or over standardised features.

    Args:
        spectrum: of the centred, scaled design.
        mean: the mean of x, (d,).
        optimum: optimal slopes and intercept, (d + 1,), raw.
        level: the prediction at the mean of x, at the optimum.
        optimum_loss: the loss there.
        scaled: whether to descend on standardised features; a constant one then
            keeps its own unit.
        intercept: whether there is one; else its gradient is 0.
    """
    J = raw_root(spectrum, mean, intercept)
    rows = spectrum.coordinates(optimum[:-1])
    last = torch.tensor([level] if intercept else [], dtype=torch.float64)
    target = math.sqrt(2) * torch.cat([rows, last])
    ones = torch.ones_like(mean)
    if not scaled:
        return Quadratic(J, target, optimum_loss, ones, torch.zeros_like(mean))
    scale = torch.where(spectrum.scale > 0, spectrum.scale, ones)
    J[:, :-1] /= scale
    if intercept:
        J[-1, :-1] = 0.0  # the level is a coordinate of its own
    return Quadratic(J, target, optimum_loss, scale, mean)


@dataclass(frozen=True)
class Walk:
    """What a loop on the quadratic left behind.

    Attributes:
        epochs: the recorded ones, (K,); the first and the last always among them.
        gaps: loss minus optimum loss at each, (K,).
        parameters: raw slopes and intercept at each, (K, d + 1).
        lr: the learning rate it began with.
        weight_decay: of the optimiser; 0 where it has none.
        interrupted: whether Ctrl-C ended it.
    """

    epochs: Epochs
    gaps: Array
    parameters: Array
    lr: float | None
    weight_decay: float
    interrupted: bool


def walk(
    loss: Quadratic,
    start: Tensor,
    name: str,
    lr: float | None,
    options: dict[str, Any],
    *,
    epochs: int,
    goal: float | None = None,
    keep: int = 10_001,
) -> Walk:
    """Step an optimiser of torch.optim from `start`, and record it.

    Ctrl-C ends it early, after the last epoch that was complete.

    Args:
        loss: the quadratic.
        start: raw slopes and intercept at epoch 0, (d + 1,).
        name: of a class in torch.optim.
        lr: its learning rate; its own default where None.
        options: its other settings.
        epochs: how many, at the most.
        goal: stop where the gap is at most this, or where nothing moves any more;
            None goes on for all epochs.
        keep: how many epochs to record, at the most: every one, else every second,
            else every fourth, and so on, and the last.

    Raises:
        UsageError: torch.optim has no such optimiser, or it refuses its settings.
        DivergenceError: the loss stopped being finite, or kept growing.
    """
    model = LinearRegression(len(start) - 1, dtype=torch.float64)
    optimizer = make_optimizer(model, name, lr, options)
    kind = type(optimizer).__name__
    with torch.no_grad():
        inner = loss.inward(start)
        model.weight.copy_(inner[None, :-1])
        model.bias.copy_(inner[-1:])

    def here() -> Tensor:
        return torch.cat([model.weight.detach()[0], model.bias.detach()])

    def slope() -> Tensor:
        """Set the gradient; return the gap, the loss but for a constant."""
        rest = loss.J @ here() - loss.target
        gradient = loss.J.T @ rest
        model.weight.grad, model.bias.grad = gradient[None, :-1], gradient[-1:]
        return 0.5 * (rest @ rest)

    closure: Any = slope if isinstance(optimizer, torch.optim.LBFGS) else None
    # Weight decay, or a start near the optimum, may let the loss grow for a while, up
    # to where all parameters are 0.
    watch = Watch(loss.optimum_loss + 0.5 * float(loss.target @ loss.target))
    record, interrupted, still = _Record(keep), False, 0
    try:
        gap = float(slope())
        record.add(0, gap, here())
        watch.sees_divergence(loss.optimum_loss + gap)
        for epoch in range(1, epochs + 1):
            if goal is not None and (gap <= goal or still == STILL):
                break
            before = here()
            _step(optimizer, closure, kind)
            still = still + 1 if torch.equal(before, here()) else 0
            gap = float(slope())
            if watch.sees_divergence(loss.optimum_loss + gap):
                raise _diverged(optimizer, kind, loss.optimum_loss + gap, epoch)
            record.add(epoch, gap, here())
    except KeyboardInterrupt:
        if record.last is None:
            raise
        interrupted = True
    times, gaps, inner_rows = record.value()
    group = optimizer.param_groups[0]
    return Walk(
        times,
        gaps,
        loss.raw(inner_rows).numpy(),
        float(group["lr"]) if group.get("lr") is not None else None,
        float(group.get("weight_decay") or 0.0),
        interrupted,
    )


def _step(optimizer: torch.optim.Optimizer, closure: Any, kind: str) -> None:
    try:
        optimizer.step(closure)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        # SparseAdam wants sparse gradients, and capturable=True a GPU.
        raise UsageError(f"torch.optim.{kind} refuses: {error}") from None


def _diverged(
    optimizer: torch.optim.Optimizer, kind: str, loss: float, epoch: int
) -> DivergenceError:
    lr = float(optimizer.param_groups[0].get("lr") or 0.0)
    return DivergenceError(
        f"{kind} with lr {lr:g} diverges: the loss is {loss:.3g} at epoch {epoch:,}; "
        "give a smaller lr",
        lr,
    )


class _Record:
    """Keeps every epoch, and thins itself out where they become too many."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._every = 1
        self._kept: list[tuple[int, float, Tensor]] = []
        self.last: tuple[int, float, Tensor] | None = None

    def add(self, epoch: int, gap: float, inner: Tensor) -> None:
        entry = (epoch, gap, inner)
        if epoch % self._every == 0:
            self._kept.append(entry)
            if len(self._kept) >= self._keep:
                self._kept = self._kept[::2]
                self._every *= 2
        self.last = entry

    def value(self) -> tuple[Epochs, Array, Tensor]:
        assert self.last is not None
        last = self.last
        kept = [entry for entry in self._kept if entry[0] < last[0]] + [last]
        epochs, gaps, inner = zip(*kept, strict=True)
        return np.array(epochs, np.int64), np.array(gaps), torch.stack(inner)
