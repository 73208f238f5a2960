"""What a descent makes small, at any slopes and intercept: losses, gradients, optimum.

    squared    1/n · Σ r²                                    torch.nn.MSELoss
    huber      1/n · Σ r²/2 where |r| ≤ δ, else δ(|r| - δ/2)   torch.nn.HuberLoss(δ)
    absolute   1/n · Σ |r|                                   torch.nn.L1Loss

The squared loss is known over all rows, from the state. The others are summed over the
rows in memory, which may be a sample; their optimum is that of these rows, proven by
`gradline.fit(loss=...)`.

δ is the setting's `delta` times the robust scale of the residuals,

    σ = 1.4826 · median |residual of the line of least absolute errors|

which is their standard deviation where they are normal, whatever a few outliers do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from gradline.certificate import Certificate
from gradline.data import Array
from gradline.errors import DataError
from gradline.fitting import fit
from gradline.lab.bench import Bench, Rows
from gradline.lab.settings import Setting
from gradline.objective import Absolute, Huber
from gradline.quadratic import Quadratic

#: What makes the median absolute deviation of normal numbers a standard deviation.
NORMAL = 1.4826

#: Numbers of a block of residuals.
BLOCK = 2_000_000


class Goal(Protocol):
    """A loss over the training rows of a bench.

    Attributes:
        name: "squared", "huber" or "absolute".
        optimum: raw slopes and intercept, (d + 1,).
        optimum_loss: the loss there.
        floor: a loss that rounding alone may make.
        delta: Huber's δ, in units of the target, or None.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def delta(self) -> float | None:
        """See above."""

    @property
    def optimum(self) -> Array:
        """See above."""

    @property
    def optimum_loss(self) -> float:
        """See above."""

    @property
    def floor(self) -> float:
        """See above."""

    def losses(self, parameters: Array) -> Array:
        """At raw slopes and intercept (K, d + 1): (K,)."""

    def validation(self, parameters: Array) -> Array | None:
        """The loss of the rows held out there: (K,); None where there are none."""

    def gradients(self, parameters: Array, standardize: bool) -> Array:
        """The gradient there, in the coordinates of a descent: (K, d + 1)."""

    def module(self) -> nn.Module:
        """The loss as a torch module."""


@dataclass(frozen=True)
class Squares:
    """The mean squared error over all rows."""

    bench: Bench
    name: str = "squared"
    delta: float | None = None

    @property
    def optimum(self) -> Array:
        found: Array = self.bench.survey.optimum.numpy()
        return found

    @property
    def optimum_loss(self) -> float:
        return self.bench.survey.optimum_loss

    @property
    def floor(self) -> float:
        return self.bench.survey.floor

    def losses(self, parameters: Array) -> Array:
        # In coordinates about the mean nothing large is subtracted.
        loss = self.bench.scaled_loss
        return loss.losses(self.bench.inward(parameters, True))

    def validation(self, parameters: Array) -> Array | None:
        held = self.bench.held
        return None if held is None else held.losses(parameters)

    def gradients(self, parameters: Array, standardize: bool) -> Array:
        loss: Quadratic = self.bench.loss(standardize)
        J = loss.J.numpy()
        inner = self.bench.inward(parameters, standardize)
        found: Array = (inner @ J.T - loss.target.numpy()) @ J
        return found

    def module(self) -> nn.Module:
        return nn.MSELoss()


@dataclass(frozen=True)
class Sums:
    """Huber's or the absolute loss over the rows in memory."""

    bench: Bench
    name: str
    delta: float | None = None

    @cached_property
    def _fit(self) -> Any:
        X, y, _ = self.bench.rows
        loss = Absolute() if self.delta is None else Huber(1.0, self.delta)
        return fit(X, y, loss=loss)

    @property
    def optimum(self) -> Array:
        return np.append(self._fit.slopes, self._fit.intercept)

    @property
    def optimum_loss(self) -> float:
        return float(self._fit.certificate.optimum_loss)

    @property
    def certificate(self) -> Certificate:
        """Of the optimum: how it was proven."""
        found: Certificate = self._fit.certificate
        return found

    @property
    def floor(self) -> float:
        size = math.sqrt(self.bench.survey.floor)
        return size if self.delta is None else min(size**2, size * self.delta)

    def losses(self, parameters: Array) -> Array:
        return self._means(self.bench.rows, parameters)

    def validation(self, parameters: Array) -> Array | None:
        held = self.bench.held_rows
        return None if held is None else self._means(held, parameters)

    def gradients(self, parameters: Array, standardize: bool) -> Array:
        X, y, _ = self.bench.rows
        loss, mean = self.bench.loss(standardize), self.bench.survey.mean.numpy()
        centred = X - mean
        found = np.empty(parameters.shape)
        step = max(1, BLOCK // len(y))
        for start in range(0, len(parameters), step):
            part = parameters[start : start + step]
            pull = self._slope(self._residuals(centred, y, part))  # (K, n)
            level = -pull.mean(axis=1)
            slopes = -(pull @ centred) / len(y)
            # The terms of the descent are off from these by a constant.
            off = mean - loss.mean.numpy()
            slopes = (slopes + level[:, None] * off) / loss.scale.numpy()
            found[start : start + step] = np.column_stack([slopes, level])
        return found

    def module(self) -> nn.Module:
        return nn.L1Loss() if self.delta is None else nn.HuberLoss(delta=self.delta)

    def _means(self, rows: Rows, parameters: Array) -> Array:
        centred = rows.X - self.bench.survey.mean.numpy()
        found = np.empty(len(parameters))
        step = max(1, BLOCK // len(rows.y))
        for start in range(0, len(parameters), step):
            part = parameters[start : start + step]
            size = np.abs(self._residuals(centred, rows.y, part))
            if self.delta is not None:
                near = np.minimum(size, self.delta)
                size = near * (size - near / 2)
            found[start : start + step] = size.mean(axis=1)
        return found

    def _residuals(self, centred: Array, y: Array, parameters: Array) -> Array:
        slopes, mean = parameters[:, :-1], self.bench.survey.mean.numpy()
        level = parameters[:, -1] + slopes @ mean
        found: Array = y - slopes @ centred.T - level[:, None]
        return found

    def _slope(self, residuals: Array) -> Array:
        if self.delta is None:
            return np.sign(residuals)
        return np.clip(residuals, -self.delta, self.delta)


def goal_of(bench: Bench, setting: Setting) -> Goal:
    """The loss that a setting asks for."""
    if setting.loss == "squared":
        return Squares(bench)
    delta = None
    if setting.loss == "huber":
        delta = setting.delta * robust_scale(bench)

    def make() -> Sums:
        return Sums(bench, setting.loss, delta)

    found: Sums = bench.remember(("goal", setting.loss, delta), make)
    return found


def robust_scale(bench: Bench) -> float:
    """σ, see the top of the file; where it is 0, the standard deviation of y, or 1."""

    def measure() -> float:
        X, y, _ = bench.rows
        try:
            found = fit(X, y, loss=Absolute())
            rest = y - found.predict_terms(X)
        except DataError:
            rest = y - np.median(y)
        scale = NORMAL * float(np.median(np.abs(rest)))
        spread = float(y.std())
        return scale if scale > 1e-9 * spread and scale > 0 else spread or 1.0

    scale: float = bench.remember("robust scale", measure)
    return scale


def tensors(rows: Rows, bench: Bench, standardize: bool) -> tuple[Any, Any]:
    """X, (n, d), in the coordinates of a descent, and y, (n,), as float64 tensors."""
    X, y = torch.from_numpy(rows.X), torch.from_numpy(np.ascontiguousarray(rows.y))
    if standardize:
        loss = bench.scaled_loss
        X = (X - loss.mean) / loss.scale
    return X, y
