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
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.descent import Watch, make_optimizer
from gradline.errors import DivergenceError, UsageError
from gradline.model import LinearRegression
from gradline.path import Epochs, raw_root
from gradline.solvers import Spectrum
from gradline.stopping import EarlyStopping, Stopper

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
        unseen: how many rows are not in it, for a level that nothing is known of.
    """

    J: Tensor
    target: Tensor
    optimum_loss: float
    scale: Tensor
    mean: Tensor
    unseen: int = 0

    def inward(self, raw: Tensor) -> Tensor:
        """Raw slopes and intercept as coordinates of the descent, (d + 1,)."""
        level = raw[-1] + self.mean @ raw[:-1]
        return torch.cat([raw[:-1] * self.scale, level[None]])

    def raw(self, inner: Tensor) -> Tensor:
        """The other way round, for rows of coordinates (K, d + 1)."""
        slopes = inner[:, :-1] / self.scale
        return torch.column_stack([slopes, inner[:, -1] - slopes @ self.mean])

    def losses(self, inner: Array) -> Array:
        """The loss at rows of coordinates (K, d + 1): (K,)."""
        rest = torch.from_numpy(inner) @ self.J.T - self.target
        losses: Array = (self.optimum_loss + 0.5 * rest.square().sum(1)).numpy()
        return losses


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
        validation_losses: at each, (K,); None without validation rows.
        stopper: what saw these losses; its best epoch is among the recorded ones.
    """

    epochs: Epochs
    gaps: Array
    parameters: Array
    lr: float | None
    weight_decay: float
    interrupted: bool
    validation_losses: Array | None = None
    stopper: Stopper | None = None


class Stepping:
    """An optimiser of torch.optim on the quadratic.

    Args:
        loss: the quadratic.
        start: raw slopes and intercept at epoch 0, (d + 1,).
        name: of a class in torch.optim.
        lr: its learning rate; its own default where None.
        options: its other settings.

    Raises:
        UsageError: torch.optim has no such optimiser, or it refuses its settings.
    """

    def __init__(
        self,
        loss: Quadratic,
        start: Tensor,
        name: str,
        lr: float | None,
        options: dict[str, Any],
    ) -> None:
        self.loss = loss
        self._model = model = LinearRegression(len(start) - 1, dtype=torch.float64)
        self.optimizer = make_optimizer(model, name, lr, options)
        with torch.no_grad():
            inner = loss.inward(start)
            model.weight.copy_(inner[None, :-1])
            model.bias.copy_(inner[-1:])

    def steps(self) -> Iterator[tuple[float, Tensor]]:
        """The gap and the coordinates of the descent, (d + 1,), at epochs 0, 1, 2, ….

        Raises:
            UsageError: the optimiser refuses to step.
            DivergenceError: the loss stopped being finite, or kept growing.
        """
        optimizer, lowest = self.optimizer, self.loss.optimum_loss
        kind = type(optimizer).__name__
        closure: Any = None
        if isinstance(optimizer, torch.optim.LBFGS):
            closure = self._slope
        # Weight decay, or a start near the optimum, may let the loss grow for a while,
        # up to where all parameters are 0.
        target = self.loss.target
        watch = Watch(lowest + 0.5 * float(target @ target))
        gap = float(self._slope())
        watch.sees_divergence(lowest + gap)
        for epoch in count(1):
            yield gap, self._here()
            _step(optimizer, closure, kind)
            gap = float(self._slope())
            if watch.sees_divergence(lowest + gap):
                raise _diverged(optimizer, kind, lowest + gap, epoch)

    def _here(self) -> Tensor:
        model = self._model
        return torch.cat([model.weight.detach()[0], model.bias.detach()])

    def _slope(self) -> Tensor:
        """Set the gradient; return the gap, the loss but for a constant."""
        model, J = self._model, self.loss.J
        rest = J @ self._here() - self.loss.target
        gradient = J.T @ rest
        model.weight.grad, model.bias.grad = gradient[None, :-1], gradient[-1:]
        return 0.5 * (rest @ rest)


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
    held: Quadratic | None = None,
    stopping: EarlyStopping | None = None,
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
        held: the validation loss over raw slopes and intercept, looked at each epoch.
        stopping: stop by it; needs `held`.

    Raises:
        UsageError: torch.optim has no such optimiser, or it refuses its settings.
        DivergenceError: the loss stopped being finite, or kept growing.
    """
    stepping = Stepping(loss, start, name, lr, options)
    stopper = None if held is None else Stopper(stopping)
    record, interrupted, still = Record(keep), False, 0

    def note(epoch: int, gap: float, inner: Tensor) -> bool:
        """Record an epoch; whether the validation loss says to stop there."""
        seen, better = math.nan, False
        if held is not None and stopper is not None:
            seen = float(held.losses(loss.raw(inner[None]).numpy())[0])
            better = stopper.improves(epoch, seen) and stopping is not None
        record.add(epoch, gap, inner, seen, better)
        return stopper is not None and stopper.waited_enough

    try:
        before = None
        for epoch, (gap, inner) in enumerate(stepping.steps()):
            moved = before is None or not torch.equal(before, inner)
            still, before = 0 if moved else still + 1, inner
            done = note(epoch, gap, inner) or epoch == epochs
            if done or (goal is not None and (gap <= goal or still == STILL)):
                break
    except KeyboardInterrupt:
        if record.last is None:
            raise
        interrupted = True
    times, gaps, inner_rows, seen = record.value()
    group = stepping.optimizer.param_groups[0]
    return Walk(
        times,
        gaps,
        loss.raw(inner_rows).numpy(),
        float(group["lr"]) if group.get("lr") is not None else None,
        float(group.get("weight_decay") or 0.0),
        interrupted,
        None if held is None else seen,
        stopper,
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


class _Entry(NamedTuple):
    """An epoch as it was: gap, coordinates (d + 1,), and the validation loss."""

    epoch: int
    gap: float
    inner: Tensor
    seen: float


class Record:
    """Keeps every epoch, and thins itself out where they become too many."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._every = 1
        self._kept: list[_Entry] = []
        self._best: _Entry | None = None
        self.last: _Entry | None = None

    def add(
        self, epoch: int, gap: float, inner: Tensor, seen: float, better: bool
    ) -> None:
        """Keep an epoch; for good, while it is the best one."""
        entry = _Entry(epoch, gap, inner, seen)
        if better:
            self._best = entry
        if epoch % self._every == 0:
            self._kept.append(entry)
            if len(self._kept) >= self._keep:
                self._kept = self._kept[::2]
                self._every *= 2
        self.last = entry

    def state(self) -> dict[str, Any]:
        """All of it, as tensors and plain values."""
        marked = [e for e in (self._best, self.last) if e is not None]
        entries = [*self._kept, *marked]
        return {
            "every": self._every,
            "kept": len(self._kept),
            "best": self._best is not None,
            "epochs": [e.epoch for e in entries],
            "gaps": [e.gap for e in entries],
            "seen": [e.seen for e in entries],
            "inner": torch.stack([e.inner for e in entries]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        columns = (state[name] for name in ("epochs", "gaps", "inner", "seen"))
        entries = [_Entry(*row) for row in zip(*columns, strict=True)]
        if not all(type(e.gap) is float and type(e.epoch) is int for e in entries):
            raise ValueError("an epoch of the history is no number")
        self._every = state["every"]
        self._kept = entries[: state["kept"]]
        self._best = entries[-2] if state["best"] else None
        self.last = entries[-1]

    def value(self) -> tuple[Epochs, Array, Tensor, Array]:
        """Epochs, gaps, coordinates and validation losses of those kept."""
        assert self.last is not None
        kept = {entry.epoch: entry for entry in self._kept}
        kept |= {e.epoch: e for e in (self._best, self.last) if e is not None}
        epochs, gaps, inner, seen = zip(*(kept[k] for k in sorted(kept)), strict=True)
        times = np.array(epochs, np.int64)
        return times, np.array(gaps), torch.stack(inner), np.array(seen)
