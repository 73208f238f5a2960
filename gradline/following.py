"""The coordinates and the rate of a Learner, as the rows grow.

Standardised coordinates are z = (x - shift)/scale with the mean and the standard
deviation of all rows so far, so slopes and level become, with no change of the line,

    inner = [ slopes·scale,  intercept + slopes·shift ]

The rate is that of plans.py, for the larger of what all rows and what the chunk at hand
ask for: rows that come sorted lie far from the mean of those before, and a step sees
those of the chunk only. So do batches, whose rows count as they are: a chunk of two
rows is a batch of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.plans import Plan, rate
from gradline.reading import Reading
from gradline.state import EPS, Centred


@dataclass(frozen=True)
class Coordinates:
    """Where a chunk is learned from.

    Attributes:
        shift: (d,), subtracted from x.
        scale: (d,), divides it then.
        lr: the learning rate there; None for the optimiser's own.
        limit: the rate above which it is not stable, about; None where not known.
    """

    shift: Array
    scale: Array
    lr: float | None
    limit: float | None

    @property
    def inward(self) -> Tensor:
        """What takes raw slopes and intercept to the descent's, (d + 1, d + 1)."""
        found = np.diag(np.append(self.scale, 1.0))
        found[-1, :-1] = self.shift
        return torch.from_numpy(found)

    @property
    def outward(self) -> Tensor:
        """The other way round."""
        found = np.diag(np.append(1 / self.scale, 1.0))
        found[-1, :-1] = -self.shift / self.scale
        return torch.from_numpy(found)


def follow(so_far: Reading, chunk: Reading, plan: Plan, slower: float) -> Coordinates:
    """The coordinates of the rows so far, and the rate for a chunk of them.

    Args:
        so_far: all rows, those of the chunk too.
        chunk: those to be learned from now.
        plan: what was settled at the first chunk.
        slower: what a rate that was found is divided by.
    """
    state, here = so_far.moments.value(), chunk.moments.value()
    d = len(state.x_mean)
    shift, scale = np.zeros(d), np.ones(d)
    if plan.scaled:
        shift = state.x_mean
        spread = np.sqrt(np.diagonal(state.xx) / state.weight)
        # What rounding alone makes of a constant is no spread.
        scale = np.where(spread > 64 * EPS * np.abs(shift), spread, 1.0)
    intercept = so_far.moments.intercept
    tops = [_steepest(s, shift, scale, intercept) for s in (state, here)]
    sizes = []
    for part in (so_far, chunk):
        z = (part.picker.done().X - shift) / scale
        squares = np.square(z).sum(axis=1) + intercept
        mean = float(squares.mean())
        sizes.append(float(np.square(squares).mean()) / mean if mean else 0.0)
    top = max(tops)
    # 1/B, in the mean over the batches of this chunk: its last one may be short.
    rows = chunk.tally.rows
    whole, rest = divmod(rows, plan.size)
    inverse = (whole / plan.size + (1 / rest if rest else 0.0)) / (whole + bool(rest))
    found = rate(plan.optimizer, plan.options, top, max(*sizes, top) * inverse)
    lr = plan.lr
    if plan.automatic:
        lr = _residual(state) / 20 if found is None else found[0]
        lr /= slower
    return Coordinates(shift, scale, lr, None if found is None else found[1])


def loss_at(state: Centred, raw: Tensor) -> float:
    """The mean squared error of slopes and intercept, (d + 1,), from the state."""
    slopes, intercept = raw[:-1].numpy(), float(raw[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        squares = state.yy[0] - 2 * slopes @ state.xy[:, 0] + slopes @ state.xx @ slopes
        off = state.y_mean[0] - intercept - slopes @ state.x_mean
        return float(max(0.0, squares) / state.weight + off * off)


def _residual(state: Centred) -> float:
    """The size of the residuals of the best line, about."""
    slopes = np.linalg.lstsq(state.xx, state.xy[:, 0])[0]
    left = float(state.yy[0] - slopes @ state.xy[:, 0])
    return float(np.sqrt(max(left, EPS * state.yy[0]) / state.weight))


def _steepest(state: Centred, shift: Array, scale: Array, intercept: bool) -> float:
    """The largest eigenvalue of the mean of [z 1][z 1]ᵀ."""
    off = np.append((state.x_mean - shift) / scale, 1.0)
    found = np.outer(off, off)
    found[:-1, :-1] += state.xx / state.weight / np.outer(scale, scale)
    if not intercept:
        found = found[:-1, :-1]
    return float(np.linalg.eigvalsh(found)[-1])
