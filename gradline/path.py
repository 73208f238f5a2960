"""Gradient descent in closed form: every epoch from one pass over the data.

Squared loss is a quadratic. Along an eigenvector of its Hessian, with eigenvalue h, a
step of plain gradient descent multiplies the distance to the optimum by ρ = 1 - lr·h,
whatever the other directions do. So after k epochs

    parameters(k) = optimum + Σ_i ρ_i^k c_i v_i
    loss(k)       = optimum_loss + ½ Σ_i h_i c_i² ρ_i^(2k)

with c_i the distance at the start. This is the very trajectory that the five-step loop
walks (descent.py, torch.optim.SGD, full batch, no momentum), at a cost that knows
neither the number of rows nor the number of epochs.

Source: Goh, "Why momentum really works", Distill, 2017, for the picture; any text on
quadratic forms for the algebra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradline.solvers import Spectrum

#: No descent is planned for longer than this, however small its learning rate.
MOST_EPOCHS = 10_000_000

#: Descent that plans its own length shrinks every direction by this much.
SHRINK = 1e-12


@dataclass(frozen=True)
class Bowl:
    """The loss as seen by descent: its curvatures, and where their axes point.

    Attributes:
        curvature: eigenvalues h of the Hessian, (m,), largest first.
        root: √h, (m,): singular values, found without squaring.
        left: rotates the coordinates of `Spectrum.coordinates` (and the level) onto
            the axes, (d' + 1, m).
        axes: a unit step along each axis, in raw slopes and intercept, (d + 1, m).
    """

    curvature: Tensor
    root: Tensor
    left: Tensor
    axes: Tensor

    @property
    def lr_limit(self) -> float:
        """The learning rate above which plain descent diverges: 2/hmax."""
        return 2.0 / float(self.curvature[0])

    @property
    def best_lr(self) -> float:
        """The learning rate with the fastest worst direction: 2/(hmax + hmin).

        A hair below the limit where hmin is nothing beside hmax: at the limit itself
        the steepest direction would swing for ever.
        """
        live = self.live
        return min(2.0 / float(live[0] + live[-1]), 0.99999 * self.lr_limit)

    @property
    def live(self) -> Tensor:
        """The curvatures that are not rounding, (m',), largest first."""
        floor = float(self.root[0]) * 1e-15 * math.sqrt(len(self.root))
        return self.curvature[self.root > floor]


def raw_bowl(spectrum: Spectrum, mean: Tensor) -> Bowl:
    """The loss over the slopes and the intercept of the data as they are.

    Args:
        spectrum: of the centred, scaled design.
        mean: the mean of x, (d,).
    """
    d = spectrum.columns
    m = spectrum.sigma.numel()
    J = torch.zeros(m + 1, d + 1, dtype=torch.float64)
    J[:m, :d] = (spectrum.vectors * spectrum.sigma).T * spectrum.scale
    J[m, :d] = mean
    J[m, d] = 1.0
    U, S, Vh = torch.linalg.svd(math.sqrt(2) * J, full_matrices=False)
    return Bowl(S.square(), S, U, Vh.T)


def scaled_bowl(spectrum: Spectrum, mean: Tensor) -> Bowl:
    """The loss over slopes of standardised features and the level at their mean.

    Args:
        spectrum: of the centred, scaled design.
        mean: the mean of x, (d,).
    """
    d = spectrum.columns
    m = spectrum.sigma.numel()
    inverse = torch.where(spectrum.scale > 0, 1 / spectrum.scale, 0.0)
    axes = torch.zeros(d + 1, m + 1, dtype=torch.float64)
    axes[:d, :m] = spectrum.vectors * inverse[:, None]
    axes[d, :m] = -(mean @ axes[:d, :m])
    axes[d, m] = 1.0  # the level alone
    root = math.sqrt(2) * torch.cat([spectrum.sigma, torch.ones(1).double()])
    order = torch.argsort(root, descending=True)
    left = torch.eye(m + 1, dtype=torch.float64)[:, order]
    return Bowl(root[order].square(), root[order], left, axes[:, order])


@dataclass(frozen=True)
class Path:
    """The trajectory of plain full-batch gradient descent from one start.

    Attributes:
        bowl: the loss.
        lr: the learning rate, in the bowl's own coordinates.
        start: slopes and intercept at epoch 0, (d + 1,), raw.
        optimum: slopes and intercept at the optimum, (d + 1,), raw.
        amplitude: √h·c, the start's distance along each axis, (m,).
        optimum_loss: the loss at the optimum.
    """

    bowl: Bowl
    lr: float
    start: Tensor
    optimum: Tensor
    amplitude: Tensor
    optimum_loss: float

    def gaps(self, epochs: Tensor) -> Tensor:
        """Loss minus optimum loss after each of `epochs` (K,): (K,), never below 0."""
        energy = 0.5 * self.amplitude.square()
        return torch.cat(
            [self._power(2 * part) @ energy for part in self._parts(epochs)]
        )

    def losses(self, epochs: Tensor) -> Tensor:
        """The loss after each of `epochs` (K,): (K,)."""
        return self.optimum_loss + self.gaps(epochs)

    def parameters(self, epochs: Tensor) -> Tensor:
        """Slopes and intercept after each of `epochs` (K,): (K, d + 1), raw."""
        return torch.cat([self._parameters(part) for part in self._parts(epochs)])

    def epochs_to(self, gap: float) -> int | None:
        """The first epoch whose gap is at most `gap`; None past MOST_EPOCHS."""

        def reached(epoch: int) -> bool:
            return float(self.gaps(torch.tensor([epoch]))[0]) <= gap

        if not reached(MOST_EPOCHS):
            return None
        low, high = -1, MOST_EPOCHS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def epochs_to_shrink(self) -> int:
        """The epochs after which every direction has shrunk to SHRINK of its start."""
        rate = float((1 - self.lr * self.bowl.live).abs().max())
        if rate <= 0:
            return 1
        if rate >= 1:
            return MOST_EPOCHS
        return min(MOST_EPOCHS, max(1, math.ceil(math.log(SHRINK) / math.log(rate))))

    def _parameters(self, epochs: Tensor) -> Tensor:
        """From the optimum once every direction has shrunk, from the start before.

        Both are the same in exact arithmetic. Near the start, the first would subtract
        two far-away optima in directions that have hardly moved.
        """
        h, a, root = self.bowl.curvature, self.amplitude, self.bowl.root
        x = self.lr * h
        k = epochs.double()[:, None]  # (K, 1)
        power = self._power(epochs)  # (K, m)
        # (1 - ρ^k)/h, without cancellation for small x, and k·lr where h is nothing.
        small = -torch.expm1(k * torch.log1p(-x.clamp(max=0.5))) / h.clamp(min=1e-300)
        large = (1 - power) / h.clamp(min=1e-300)
        walked = torch.where(x < 0.5, small, large)
        walked = torch.where(h < 1e-290, k * self.lr, walked)
        from_start = self.start - (walked * (root * a)) @ self.bowl.axes.T
        if len(self.bowl.live) < len(h):
            return from_start  # directions without curvature stay where they started
        from_optimum = self.optimum + (power * (a / root)) @ self.bowl.axes.T
        settled = (power.abs().amax(dim=1) < 0.5)[:, None]
        return torch.where(settled, from_optimum, from_start)

    def _power(self, exponents: Tensor) -> Tensor:
        """ρ^k, (K, m), for whole k ≥ 0 and ρ of either sign."""
        x = self.lr * self.bowl.curvature
        rho = 1 - x
        logs = torch.where(x < 0.5, torch.log1p(-x.clamp(max=0.5)), rho.abs().log())
        k = exponents.double()[:, None]
        size = torch.where(k == 0, 1.0, torch.exp(k * logs))
        odd = (exponents.long() % 2 == 1)[:, None]
        return torch.where(odd & (rho < 0), -size, size)

    def _parts(self, epochs: Tensor) -> tuple[Tensor, ...]:
        step = max(1, 4_000_000 // max(1, self.bowl.root.numel()))
        return torch.split(epochs, step)
