"""Gradient descent in closed form: every epoch from one pass over the data.

Squared loss is a quadratic. Along an eigenvector of its Hessian, with eigenvalue h,
descent never hears of the other directions: a step of plain gradient descent
multiplies the distance to the optimum by 1 - lr·h, and momentum and weight decay make
of it a recurrence of two terms (recurrence.py). So after k epochs

    parameters(k) = fixed point + Σ_i P_k(h_i) e_i v_i
    loss(k)       = optimum_loss + ½ Σ_i h_i (distance to the optimum along v_i)²

with e_i the distance at the start. Without weight decay the fixed point is the
optimum. With it, it is the ridge solution in the coordinates of the descent, the
intercept drawn towards 0 like every slope: that is what torch.optim.SGD does when it is
given all parameters.

This is the very trajectory that the five-step loop walks (descent.py, torch.optim.SGD,
full batch), at a cost that knows neither the number of rows nor the number of epochs.

Source: Goh, "Why momentum really works", Distill, 2017, for the picture; any text on
quadratic forms for the algebra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.recurrence import Rule
from gradline.solvers import Spectrum

#: No descent is planned for longer than this, however small its learning rate.
MOST_EPOCHS = 10_000_000

#: Descent that plans its own length shrinks every direction by this much.
SHRINK = 1e-12

#: Whole numbers of epochs, (K,).
Epochs = np.ndarray[Any, np.dtype[np.int64]]

#: Numbers of (epochs × directions) worked on at a time.
PART = 2_000_000


@dataclass(frozen=True)
class Bowl:
    """The loss as seen by descent: its curvatures, and where their axes point.

    Attributes:
        curvature: eigenvalues h of the Hessian, (m,), largest first.
        root: √h, (m,): singular values, found without squaring.
        left: rotates the coordinates of `Spectrum.coordinates` (and the level) onto
            the axes, (d' + 1, m).
        axes: a unit step along each axis, in raw slopes and intercept, (d + 1, m).
        onto: how far along each axis raw slopes and intercept are, (m, d + 1).
        free: how many parameters descent moves: d + 1, or d without an intercept.
    """

    curvature: Tensor
    root: Tensor
    left: Tensor
    axes: Tensor
    onto: Tensor
    free: int

    @property
    def lr_limit(self) -> float:
        """The learning rate above which plain descent diverges: 2/hmax."""
        return 2.0 / float(self.curvature[0])

    @property
    def best_lr(self) -> float:
        """The learning rate of plain descent with the fastest worst direction."""
        return Rule(0.0).best_lr(*self.ends)

    @property
    def ends(self) -> tuple[float, float]:
        """The largest curvature and the smallest that is not rounding."""
        live = self.live
        return float(live[0]), float(live[-1])

    @property
    def live(self) -> Tensor:
        """The curvatures that are not rounding, (m',), largest first."""
        root: Array = self.root.numpy()
        floor = root[0] * 1e-15 * math.sqrt(len(root))
        return self.curvature[: int((root > floor).sum())]


def raw_bowl(spectrum: Spectrum, mean: Tensor, intercept: bool = True) -> Bowl:
    """The loss over the slopes and the intercept of the data as they are.

    Args:
        spectrum: of the centred, scaled design.
        mean: the mean of x, (d,).
        intercept: whether there is one; else it stays where it is, at 0.
    """
    J = raw_root(spectrum, mean, intercept)
    U, S, Vh = torch.linalg.svd(J, full_matrices=False)
    return Bowl(S.square(), S, U, Vh.T, Vh, len(mean) + intercept)


def raw_root(spectrum: Spectrum, mean: Tensor, intercept: bool = True) -> Tensor:
    """J with loss = optimum_loss + ½‖J·(parameters - optimum)‖², (m + 1, d + 1).

    Without an intercept the last column is 0, and there is no last row.
    """
    d = spectrum.columns
    sigma = spectrum.sigma
    m = sigma.numel()
    J = torch.zeros(m + 1, d + 1, dtype=torch.float64)
    J[:m, :d] = (spectrum.vectors * sigma).T * spectrum.scale
    J[m, :d] = mean
    J[m, d] = 1.0
    J.mul_(math.sqrt(2))
    return J if intercept else J[:m]


def scaled_bowl(spectrum: Spectrum, mean: Tensor, intercept: bool = True) -> Bowl:
    """The loss over slopes of standardised features and the level at their mean.

    Args:
        spectrum: of the centred, scaled design.
        mean: the mean of x, (d,).
        intercept: whether there is one; else it stays where it is, at 0.
    """
    d = spectrum.columns
    sigma, vectors = spectrum.sigma, spectrum.vectors
    m = sigma.numel()
    inverse = torch.where(spectrum.scale > 0, 1 / spectrum.scale, 0.0)
    axes = torch.zeros(d + 1, m + 1, dtype=torch.float64)
    axes[:d, :m] = vectors * inverse[:, None]
    axes[d, :m] = -(mean @ axes[:d, :m])
    axes[d, m] = 1.0  # the level alone
    onto = torch.zeros(m + 1, d + 1, dtype=torch.float64)
    onto[:m, :d] = (vectors * spectrum.scale[:, None]).T
    onto[m, :d] = mean
    onto[m, d] = 1.0
    root = math.sqrt(2) * torch.cat([sigma, torch.ones(1).double()])
    if not intercept:
        root, axes, onto = root[:m], axes[:, :m], onto[:m]
    order = torch.argsort(root, descending=True)
    left = torch.eye(len(root), dtype=torch.float64)[:, order]
    root = root[order]
    return Bowl(root.square(), root, left, axes[:, order], onto[order], d + intercept)


@dataclass(frozen=True)
class Path:
    """The trajectory of full-batch gradient descent from one start.

    Attributes:
        bowl: the loss.
        rule: the settings of torch.optim.SGD, in the bowl's own coordinates.
        start: slopes and intercept at epoch 0, (d + 1,), raw.
        optimum: slopes and intercept at the optimum, (d + 1,), raw.
        optimum_loss: the loss at the optimum.
        amplitude: √h times the start's distance from the optimum on each axis, (m,).
        target: √h times the optimum's distance from 0 on each axis, (m,): needed for
            weight decay alone.
    """

    bowl: Bowl
    rule: Rule
    start: Tensor
    optimum: Tensor
    optimum_loss: float
    amplitude: Tensor
    target: Tensor | None = None

    def losses(self, epochs: Epochs) -> Array:
        """The loss after each of `epochs` (K,): (K,)."""
        return self.optimum_loss + self.gaps(epochs)

    def gaps(self, epochs: Epochs) -> Array:
        """Loss minus optimum loss after each of `epochs` (K,): (K,), never below 0."""
        parts = [self._gaps(*self._powers(part)) for part in self._parts(epochs)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def parameters(self, epochs: Epochs) -> Array:
        """Slopes and intercept after each of `epochs` (K,): (K, d + 1), raw."""
        return self.trace(epochs)[1]

    def trace(self, epochs: Epochs) -> tuple[Array, Array]:
        """Losses (K,) and parameters (K, d + 1) after each of `epochs` (K,)."""
        losses, parameters = [], []
        for part in self._parts(epochs):
            powers = self._powers(part)
            losses.append(self.optimum_loss + self._gaps(*powers))
            parameters.append(self._parameters(*powers))
        if len(losses) == 1:
            return losses[0], parameters[0]
        return np.concatenate(losses), np.concatenate(parameters)

    def epochs_to(self, gap: float, since: int = 0) -> int | None:
        """The first epoch from `since` whose gap is at most `gap`.

        None past MOST_EPOCHS. With momentum the gap swings; then an epoch where it
        comes to `gap` from above, the first one as far as 64 probes at a time can see.
        """
        if self.gaps(np.array([MOST_EPOCHS]))[0] > gap:
            return None
        high = max(MOST_EPOCHS, since)
        probes = since + np.geomspace(1, high - since + 1, 64) - 1
        low = since - 1
        while True:
            tried = np.unique(probes.astype(np.int64))
            reached = self.gaps(tried) <= gap
            reached[-1] = True
            first = int(np.argmax(reached))
            high = int(tried[first])
            low = int(tried[first - 1]) if first else low
            if high - low <= 1:
                return high
            probes = np.linspace(low + 1, high, 64)

    def epochs_to_shrink(self) -> int:
        """The epochs after which every direction has shrunk to SHRINK of its start."""
        moving = self.bowl.live.numpy()
        if self.rule.weight_decay and np.any(self._flat_start):
            moving = np.append(moving, 0.0)
        rate = self.rule.shrinking(moving)
        if rate <= 0:
            return 2
        if rate >= 1:
            return MOST_EPOCHS
        # Momentum may delay it: two equal roots λ shrink as k·λ^k.
        need = math.log(SHRINK) / math.log(rate)
        if self.rule.momentum:
            need -= math.log(1 + need) / math.log(rate)
        return min(MOST_EPOCHS, max(1, math.ceil(need)))

    @cached_property
    def _curvature(self) -> Array:
        h: Array = self.bowl.curvature.numpy()
        return h if self._outside is None else np.append(h, 0.0)

    @cached_property
    def _pull(self) -> Array:
        return self._curvature + self.rule.weight_decay

    @cached_property
    def _axes(self) -> Array:
        axes: Array = self.bowl.axes.numpy()
        if self._outside is None:
            return axes
        return np.column_stack([axes, self._outside])

    @cached_property
    def _along(self) -> Array:
        """How far along each axis the start is, (m,)."""
        along: Array = (self.bowl.onto @ self.start).numpy()
        return along

    @cached_property
    def _outside(self) -> Array | None:
        """The part of the start that no axis sees; weight decay still draws it in."""
        rows, columns = self.bowl.axes.shape
        if self.rule.weight_decay == 0 or rows == columns:
            return None
        start = self.start.numpy()
        rest: Array = start - self.bowl.axes.numpy() @ self._along
        large = np.abs(rest).max() > 1e-13 * np.abs(start).max()
        return rest if large else None

    @cached_property
    def _flat_start(self) -> Array:
        """What the start has in directions without curvature."""
        flat = self._along[len(self.bowl.live) :]
        small = 1e-12 * float(self.start.abs().max())
        found = np.asarray(np.abs(flat) > small, dtype=np.float64)
        return found if self._outside is None else np.append(found, 1.0)

    @cached_property
    def _slope(self) -> Array:
        """The gradient along each axis at the start, weight decay included."""
        slope: Array = (self.bowl.root * self.amplitude).numpy()
        if self.rule.weight_decay:
            slope = slope + self.rule.weight_decay * self._along
        if self._outside is not None:
            slope = np.append(slope, self.rule.weight_decay)
        return slope

    @cached_property
    def _fixed(self) -> Array:
        """Where it all ends, (d + 1,), raw."""
        if self.target is None:
            optimum: Array = self.optimum.numpy()
            return optimum
        m = len(self.target)
        along = (self.bowl.root * self.target).numpy() / self._pull[:m]
        fixed: Array = self.bowl.axes.numpy() @ along
        return fixed

    @cached_property
    def _whole(self) -> bool:
        """Whether the fixed point is one point, whatever the start."""
        if self.rule.weight_decay:
            return True
        columns = self.bowl.axes.shape[1]
        return self.bowl.free == columns == len(self.bowl.live)

    def _powers(self, epochs: Epochs) -> tuple[Array, Array]:
        return self.rule.powers(self._curvature, epochs)

    def _gaps(self, left: Array, walked: Array) -> Array:
        """½ Σ of squares, whatever the epoch: nothing is subtracted."""
        amplitude: Array = self.amplitude.numpy()
        gaps: Array
        if self.target is None:
            gaps = (0.5 * np.square(amplitude)) @ np.square(left)
            return gaps
        m = len(amplitude)
        pulled = self.rule.weight_decay * self.target.numpy()
        now = left[:m] * amplitude[:, None] - walked[:m] * pulled[:, None]
        gaps = 0.5 * np.square(now).sum(axis=0)
        return gaps

    def _parameters(self, left: Array, walked: Array) -> Array:
        """From the fixed point once every direction stays small, from the start before.

        Both are the same in exact arithmetic. Near the start, the first would subtract
        two far-away points in directions that have hardly moved.
        """
        count = first = left.shape[1]
        if self._whole:
            moving = np.abs(left).max(axis=0) >= 0.5
            first = count - int(np.argmax(moving[::-1])) if moving.any() else 0
        found = np.empty((count, len(self.start)))
        if first:
            steps = self._axes * self._slope
            np.subtract(
                self.start.numpy(), (steps @ walked[:, :first]).T, out=found[:first]
            )
        if first < count:
            steps = self._axes * (self._slope / self._pull)
            np.add(self._fixed, (steps @ left[:, first:]).T, out=found[first:])
        return found

    def _parts(self, epochs: Epochs) -> list[Epochs]:
        step = max(1, PART // max(1, self.bowl.root.numel()))
        if len(epochs) <= step:
            return [epochs]
        return np.split(epochs, range(step, len(epochs), step))
