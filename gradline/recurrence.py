"""One direction of descent: torch.optim.SGD on a parabola, every epoch at once.

On a parabola of curvature h, weight decay makes the gradient q·e with q = h + decay,
where e is the distance to the point where that gradient is 0. With β for momentum and
τ for dampening, torch.optim.SGD then does

    velocity = β·velocity + (1 - τ)·q·e        (at the first epoch: velocity = q·e)
    e = e - lr·velocity                        (Nesterov: e - lr·(q·e + β·velocity))

so e obeys e(k+1) = T·e(k) - D·e(k-1): its powers are those of the roots λ of
λ² - Tλ + D, real or complex, and the distance left after k epochs is P_k·e(0) with

    P_k = λ1^k + (P_1 - λ1) U_k,     U_k = (λ1^k - λ2^k)/(λ1 - λ2).

Where roots nearly coincide U_k is found from their ratio, and where a direction is so
flat that P_k is nearly 1, 1 - P_k is found without subtracting.

Source: torch.optim.SGD for the rule; Goh, "Why momentum really works", Distill, 2017,
for the roots; Jury's criterion for the stability limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.data import Array

#: Below this a curvature counts as none when it divides.
TINY = 1e-290


@dataclass(frozen=True)
class Rule:
    """The settings of torch.optim.SGD, by its own names."""

    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def limit(self, curvature: float) -> float:
        """The learning rate above which descent diverges.

        2/q without momentum, 2(1 + β)/((1 - τ)q) with it, (2 + 2β)/((1 + 2β)q) with
        Nesterov's, where q = curvature + weight_decay.
        """
        return self._reach() / (curvature + self.weight_decay)

    def best_lr(self, steepest: float, flattest: float) -> float:
        """The learning rate with the fastest worst direction, for this momentum.

        2(1 + β)/((1 - τ)(qmax + qmin)): Polyak's, where β is his too. For Nesterov's
        momentum the rate at which the two ends shrink alike. A hair below the limit
        where qmin is nothing beside qmax.
        """
        high, low = steepest + self.weight_decay, flattest + self.weight_decay
        top = self._reach()
        if not self.nesterov:
            return min(top / (high + low), 0.99999 * top / high)
        left, right = 1.0, 0.99999 * top
        for _ in range(60):
            middle = (left + right) / 2
            ends = self._radius(np.array([middle, middle * low / high]))
            left, right = (middle, right) if ends[0] < ends[1] else (left, middle)
        return left / high

    def shrinking(self, curvature: Array) -> float:
        """By how much the slowest direction shrinks in an epoch, in the long run."""
        return float(self._radius(self.lr * (curvature + self.weight_decay)).max())

    def powers(
        self, curvature: Array, epochs: np.ndarray[Any, np.dtype[np.int64]]
    ) -> tuple[Array, Array]:
        """What is left of each distance, and what was walked.

        Args:
            curvature: h, (m,), without the weight decay.
            epochs: whole numbers of 0 or more, (K,).

        Returns:
            P, (m, K), and W = (1 - P)/q, (m, K), which has a limit where q is 0.
        """
        q = curvature[:, None] + self.weight_decay  # (m, 1)
        k = np.asarray(epochs, dtype=np.float64)  # (K,)
        with np.errstate(all="ignore"):  # powers may overflow: so would the loop
            if self.momentum == 0:
                left, walked = self._plain(q, k)
            else:
                left, walked = np.empty((2, len(q), len(k)))
                real = self._characteristic(self.lr * q)[2][:, 0] >= 0
                for pick, find in ((real, self._real), (~real, self._complex)):
                    if pick.all():
                        left, walked = find(q, k)
                    elif pick.any():
                        left[pick], walked[pick] = find(q[pick], k)
        at_start = k == 0
        left[:, at_start], walked[:, at_start] = 1.0, 0.0
        return left, walked

    def _plain(self, q: Array, k: Array) -> tuple[Array, Array]:
        """Without momentum: P_k = (1 - x)^k with x = lr·q."""
        x = self.lr * q
        turned = x[:, 0] > 1
        logs = np.where(x > 1, np.log(np.abs(1 - x)), np.log1p(-np.minimum(x, 1)))
        exponents = logs * k
        left = np.exp(exponents)
        gone = -np.expm1(exponents)
        if turned.any():
            left[turned] *= _signs(k)
            gone[turned] = 1 - left[turned]
        return left, _divided(gone, q, k * self.lr)

    def _real(self, q: Array, k: Array) -> tuple[Array, Array]:
        """Two real roots, λ1 the longer one."""
        T, D, square = self._characteristic(self.lr * q)
        half = np.sqrt(square) / 2
        first = np.where(T < 0, T / 2 - half, T / 2 + half)  # λ1
        ratio = np.where(first == 0, 0.0, D / first**2)  # t = λ2/λ1
        apart = np.where(first == 0, 1.0, 2 * half / np.abs(first))  # 1 - t
        # R_k = (1 - t^k)/(1 - t), which is k where the roots coincide.
        near = np.maximum(apart, 1e-300)
        logs = np.where(near < 0.5, np.log1p(-near), np.log(np.abs(ratio)))
        R = -np.expm1(logs * k) / near
        odd = ratio[:, 0] < 0
        if odd.any():
            R[odd] = (1 - _signs(k) * np.exp(logs[odd] * k)) / near[odd]
        # μ = 1 - λ, the smaller one from the product of both.
        step, pull = self._gains
        total = 1 - self.momentum + pull * q  # μ1 + μ2
        rate = self._product / (total / 2 + half)  # μ1/q
        mu = np.where(total > 0, rate * q, total / 2 - half)
        mu = np.where(first < 0, 1 - first, mu)  # μ1
        logs = np.where(first > 0, np.log1p(-mu), np.log(np.abs(first)))
        before = np.exp(logs * (k - 1))
        before[(first == 0) & (k == 1)] = 1.0
        negative = first[:, 0] < 0
        if negative.any():
            before[negative] *= -_signs(k)
        U = before * R
        left = before * (first + (mu - step * q) * R)
        whole = _divided(-np.expm1(logs * k), mu, k)  # 1 + λ1 + … + λ1^(k-1)
        flat = (first > 0) & (total > 0)
        walked = np.where(
            flat, rate * (whole - U) + step * U, _divided(1 - left, q, k * step)
        )
        return left, walked

    def _complex(self, q: Array, k: Array) -> tuple[Array, Array]:
        """Two conjugate roots √D·exp(±iφ), or their negatives where T < 0."""
        T, D, square = self._characteristic(self.lr * q)
        half = np.sqrt(-square) / 2
        turns = np.arctan2(half, np.abs(T) / 2) * k
        step, pull = self._gains
        drift = (1 - self.momentum) / 2 - step * q + pull * q / 2  # P_1 - T/2
        drift = np.where(T < 0, -drift, drift)
        left = np.exp(np.log(D) / 2 * k)
        left *= np.cos(turns) + drift / half * np.sin(turns)
        negative = T[:, 0] < 0
        if negative.any():
            left[negative] *= _signs(k)
        return left, (1 - left) / q

    @property
    def _gains(self) -> tuple[float, float]:
        """1 - P_1 = step·q, and T = 1 + β - pull·q."""
        if self.nesterov:
            both = self.lr * (1 + self.momentum)
            return both, both
        return self.lr, self.lr * (1 - self.dampening)

    @property
    def _product(self) -> float:
        """μ1·μ2 = 1 - T + D, over q."""
        return self.lr * (1 if self.nesterov else 1 - self.dampening)

    def _characteristic(self, x: Array) -> tuple[Array, Array, Array]:
        """T, D and T² - 4D, the last from its factors; x = lr·q."""
        β = self.momentum
        if self.nesterov:
            z = 1 - x
            return (1 + β) * z, β * z, z * ((1 - β) ** 2 - (1 + β) ** 2 * x)
        y = (1 - self.dampening) * x
        root = math.sqrt(β)
        less, more = (1 - β) / (1 + root), 1 + root
        return 1 + β - y, np.full_like(y, β), (less**2 - y) * (more**2 - y)

    def _radius(self, x: Array) -> Array:
        """The length of the longer root."""
        if self.momentum == 0:
            return np.abs(1 - x)
        T, D, square = self._characteristic(x)
        real = np.abs(T) / 2 + np.sqrt(np.maximum(square, 0)) / 2
        return np.where(square < 0, np.sqrt(np.abs(D)), real)

    def _reach(self) -> float:
        """The lr·q above which descent diverges."""
        β = self.momentum
        if self.nesterov:
            return (2 + 2 * β) / (1 + 2 * β)
        return 2 * (1 + β) / (1 - self.dampening) if β else 2.0


def _signs(k: Array) -> Array:
    """(-1)^k, of the shape of k."""
    return 1.0 - 2.0 * (k % 2)


def _divided(top: Array, bottom: Array, limit: Array) -> Array:
    """top/bottom, (m, K) over (m, 1), and `limit` (K,) where bottom is nothing."""
    flat = np.abs(bottom) < TINY
    if not flat.any():
        return top / bottom
    return np.where(flat, limit, top / np.where(flat, 1.0, bottom))
