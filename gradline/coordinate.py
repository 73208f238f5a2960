"""Slopes under penalties and bounds: coordinate descent on a quadratic.

With slopes u, (d,), in whatever units the penalty counts, C = Xcᵀ diag(w) Xc / W in
those units, residuals r and q = Xcᵀ diag(w) r / W, what is made small is

    P(u) = 1/2W · Σ w r²  +  Σ φ_j(u_j)
    φ(u) = α₁|u| + α₂/2 · u²    where low ≤ u ≤ high, else infinite

A step of coordinate descent makes P least over one slope, the others held:

    u_j ← soft(q_j + C_jj·u_j, α₁) / (C_jj + α₂), moved into [low, high]

and costs one column of C. Slopes that stay at a kink of φ (0 or a bound) are pinned,
the others free. The free ones alone solve a linear system, so after each sweep they go
to its solution at once (Newton's step), as far as none of them passes a kink. Where the
right ones are free the optimum is reached, but for rounding.

How far P(u) may be above the optimum is known from any u by duality: the residual,
scaled by θ, is a point of the dual problem, and

    gap = ½(1-θ)²‖ρ‖² + Σ (φ_j(u_j) + φ_j*(θ·h_j) - θ·h_j·u_j)

with either ρ the residual, h = q, θ = 1 and φ as above (needs α₂ > 0: it makes φ*
finite); or u's own squares counted among the residuals, ‖ρ‖² = Σ w r²/W + α₂‖u‖²,
h = q - α₂·u, φ without them, and θ ≤ 1 the largest for which φ* is finite. Both hold;
the smaller is taken. No term is the difference of large numbers.

Sources: Friedman, Hastie & Tibshirani, "Regularization paths for generalized linear
models via coordinate descent", 2010; Fercoq, Gramfort & Salmon, "Mind the duality gap",
2015; Lee et al., "Efficient sparse coding algorithms", 2006, for the step of the free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gradline.data import Array
from gradline.freeslopes import Factor, Places, Quadratic
from gradline.state import EPS
from gradline.threads import torch_threads

#: Sweeps over the slopes, and Newton's steps in each, at the most.
MOST_SWEEPS = 1000
MOST_STEPS = 8

#: With fewer slopes than this, one thread is faster than several.
WIDE = 600


@dataclass(frozen=True)
class Terms:
    """Σ φ_j(u_j), in the terms above.

    Attributes:
        l1: α₁.
        l2: α₂.
        low: (d,), -inf where nothing bounds a slope from below.
        high: (d,), inf where nothing bounds it from above.
    """

    l1: float
    l2: float
    low: Array
    high: Array

    def value(self, u: Array) -> float:
        """Σ φ_j(u_j), for slopes within their bounds."""
        return self.l1 * float(np.abs(u).sum()) + self.l2 / 2 * float(u @ u)

    def slopes(self, u: Array) -> tuple[Array, Array]:
        """Where φ - α₂/2·u² leads downwards and upwards from u, (d,) each."""
        up = np.where(u >= self.high, np.inf, np.where(u >= 0, self.l1, -self.l1))
        down = np.where(u <= self.low, -np.inf, np.where(u <= 0, -self.l1, self.l1))
        return down, up

    def piece(self, u: Array) -> tuple[Array, Array]:
        """The kinks of φ on either side of u, (d,) each."""
        if not self.l1:
            return self.low, self.high
        low = np.where(u > 0, np.maximum(self.low, 0.0), self.low)
        return low, np.where(u < 0, np.minimum(self.high, 0.0), self.high)


class Point(NamedTuple):
    """Slopes, and what is known of them.

    u (d,); q (d,) the gradient there; loss: 1/2W · Σ w r²; value: P(u); gap: P(u) is at
    most so far above the optimum; dual: whether that is by duality, else by curvature;
    excess (d,): the least subgradient of -P; sweeps: how many it took.
    """

    u: Array
    q: Array
    loss: float
    value: float
    gap: float
    dual: bool
    excess: Array
    sweeps: int


def minimise(
    problem: Quadratic,
    terms: Terms,
    start: Array,
    tolerance: float = 1e-12,
    factor: Factor | None = None,
) -> Point:
    """The slopes that make P least.

    Args:
        problem: the loss.
        terms: the penalty and the bounds.
        start: slopes to begin from, (d,): near ones save work.
        tolerance: stop when the gap is below this share of ½ size², or when no slope
            moves by more than rounding does.
        factor: what an earlier descent on the same C has factored already.

    Equivalent: sklearn.linear_model.enet_path(precompute=C); scipy.optimize.nnls.
    """
    u = np.clip(start, terms.low, terms.high)
    factor = Factor(problem) if factor is None else factor
    descent = _Descent(problem, terms, u, factor)
    with torch_threads(1 if len(u) <= WIDE else torch.get_num_threads()):
        return descent.run(tolerance)


class _Descent:
    """One descent: the slopes and the gradient there."""

    def __init__(
        self, problem: Quadratic, terms: Terms, u: Array, factor: Factor
    ) -> None:
        self.problem, self.terms, self.u, self.factor = problem, terms, u, factor
        self.q = problem.gradient(u)
        self.diagonal = problem.matrix.diagonal().clip(min=0)
        # What rounding makes of a slope of P that is 0: q is a sum over residuals.
        size = problem.size + (2 * problem.half_loss(u, self.q)) ** 0.5
        self.blur = 8 * EPS * len(u) ** 0.5 * np.sqrt(self.diagonal) * size

    def run(self, tolerance: float) -> Point:
        goal = tolerance * self.problem.size**2 / 2
        worst, stalled = math.inf, 0
        sweeps = 0
        while sweeps < MOST_SWEEPS:
            settled = self._settle()
            excess = self._excess()
            wrong = np.abs(excess) > self.blur
            if settled and not wrong.any():
                break
            if self._gap(excess)[0] <= goal:
                break
            now = float(np.abs(excess).max())
            stalled = stalled + 1 if now > worst / 2 else 0
            worst = min(worst, now)
            if settled and stalled > 20 and now <= 1e6 * float(self.blur.max()):
                break  # rounding is all that is left
            sweeps += 1
            self._sweep(np.flatnonzero(wrong))
        self.q = self.problem.gradient(self.u)
        excess = self._excess()
        gap, dual = self._gap(excess)
        loss = self.problem.half_loss(self.u, self.q)
        value = loss + self.terms.value(self.u)
        return Point(self.u, self.q, loss, value, gap, dual, excess, sweeps)

    def _excess(self) -> Array:
        """The least subgradient of -P: 0 at the optimum, (d,)."""
        h = self.q - self.terms.l2 * self.u
        excess: Array = h - np.clip(h, *self.terms.slopes(self.u))
        return excess

    def _sweep(self, order: Places) -> None:
        """Coordinate descent over the slopes named, the most wrong first."""
        terms, u, q, matrix = self.terms, self.u, self.q, self.problem.matrix
        l1, l2 = terms.l1, terms.l2
        order = order[np.argsort(-np.abs(self._excess()[order]), kind="stable")]
        for j in order.tolist():
            curve = float(self.diagonal[j]) + l2
            if curve <= 0:
                continue
            old = float(u[j])
            pull = float(q[j]) + float(self.diagonal[j]) * old
            new = math.copysign(max(abs(pull) - l1, 0.0), pull) / curve
            new = min(max(new, float(terms.low[j])), float(terms.high[j]))
            if new != old:
                u[j] = new
                q -= matrix[j] * (new - old)

    def _settle(self) -> bool:
        """Newton's steps of what is free; whether the last one was a whole one."""
        for _ in range(MOST_STEPS):
            down, up = self.terms.slopes(self.u)
            free = np.flatnonzero(down == up)
            if not len(free):
                return True
            h = self.q - self.terms.l2 * self.u
            force = (h - down)[free]
            step = self.factor.solve(free, force, self.terms.l2)
            low, high = self.terms.piece(self.u)
            wanted = self.u[free] + step
            landed = np.clip(wanted, low[free], high[free])
            if np.array_equal(wanted, landed):
                self._move(free, landed)
                return True
            self._move(free, self._onwards(free, step, force, low[free], high[free]))
        return False

    def _onwards(
        self, free: Places, step: Array, force: Array, low: Array, high: Array
    ) -> Array:
        """How far the free slopes go together, where some stop at a kink: downhill.

        All the way, or half, a quarter, an eighth of it, each stopping where it has to;
        else no further than to the first kink, where P falls for sure.
        """
        u, l2 = self.u[free], self.terms.l2
        for share in (1.0, 0.5, 0.25, 0.125):
            landed = np.clip(u + share * step, low, high)
            moved = landed - u
            bent = self._image(free, moved)[free] + l2 * moved
            if moved @ bent / 2 < force @ moved:
                return landed
        landed = np.clip(u + step, low, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            reached = np.where(step != 0, (landed - u) / step, 1.0)
        least = float(reached.min())
        target = np.clip(u + least * step, low, high)
        return np.where(reached <= least, landed, target)

    def _image(self, free: Places, step: Array) -> Array:
        """C times a step of the free slopes, (d,)."""
        image: Array = step @ self.problem.matrix[free]
        return image

    def _move(self, free: Places, landed: Array) -> None:
        if self.problem.root is None:
            self.q -= self._image(free, landed - self.u[free])
            self.u[free] = landed
        else:
            self.u[free] = landed
            self.q = self.problem.gradient(self.u)

    def _gap(self, excess: Array) -> tuple[float, bool]:
        """The gap, and whether it is by duality; else it is by strong convexity.

        That is P(u) - P* ≤ ‖excess‖² / 2μ, where μ is P's smallest curvature.
        """
        loss = self.problem.half_loss(self.u, self.q)
        dual = duality_gap(self.terms, self.u, self.q, loss)
        curve = self.problem.flattest + self.terms.l2
        convex = float(excess @ excess) / (2 * curve) if curve > 0 else math.inf
        small = dual <= 1e-12 * self.problem.size**2
        return (dual, True) if small or dual <= convex else (convex, False)


def duality_gap(terms: Terms, u: Array, q: Array, loss: float) -> float:
    """How far P(u) may be above its optimum, by the formulas at the top.

    Args:
        terms: the penalty and the bounds.
        u: slopes, (d,).
        q: the loss's gradient there, negative, (d,).
        loss: 1/2W · Σ w r² there.

    Returns:
        0 or more; infinite where no dual point is near.
    """
    l1, l2, low, high = terms.l1, terms.l2, terms.low, terms.high
    smooth = math.inf
    if l2 > 0:
        best = np.sign(q) * np.maximum(np.abs(q) - l1, 0.0) / l2
        best = np.clip(best, low, high)
        off = best - u
        # φ(u) + φ*(q) - q·u = q·(best - u) - (φ(best) - φ(u)), a sum of small terms
        parts = off * (q - l2 * (best + u) / 2) - l1 * (np.abs(best) - np.abs(u))
        smooth = float(np.maximum(parts, 0.0).sum())
    h = q - l2 * u
    # φ* is finite where no open side is steeper than α₁.
    over = np.maximum(np.where(np.isinf(high), h, 0), np.where(np.isinf(low), -h, 0))
    steepest = float(over.max(initial=0.0))
    if steepest <= l1:
        theta = 1.0
    elif l1 == 0:
        return smooth
    else:
        theta = l1 / steepest
    h = theta * h
    kinks = [np.clip(0.0, low, high)]
    kinks += [np.where(np.isinf(end), kinks[0], end) for end in (low, high)]
    star = np.max([h * kink - l1 * np.abs(kink) for kink in kinks], axis=0)
    parts = l1 * np.abs(u) + star - h * u
    scaled = (1 - theta) ** 2 * (loss + l2 / 2 * float(u @ u))
    return min(smooth, scaled + float(np.maximum(parts, 0.0).sum()))
