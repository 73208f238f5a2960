"""Huber's loss near a line, made small by Newton's method.

Of the rows between the kinks ("in") and outside ("out"), at a line and a scale s,
κ = ε·s, W = Σ w over all rows, half the loss with the scale given and the loss with
the scale found are

    given    f = Σ_in w r²/2 + κ Σ_out w|r| - κ²/2 Σ_out w
    found    f = W s + Σ_in w r²/s + 2ε Σ_out w|r| - ε² s Σ_out w

Both are convex, the second in line and scale together; Newton's method with the
derivatives of the pieces at hand ends after finitely many changes of piece.

Source: Huber, Robust Statistics, 1981, section 7.7 for the scale as a parameter;
Owen, "A robust hybrid of lasso and ridge regression", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradline.cholesky import Cholesky
from gradline.data import Array
from gradline.globs import Globs, Rows
from gradline.state import EPS

#: Steps at the most; a dozen is usual.
MOST_STEPS = 300

#: A scale that has shrunk to so small a share of its first value is on its way to 0;
#: one that has grown by as much, to where the sums are no longer the loss.
COLLAPSED = 1e-9


class Lowest(NamedTuple):
    """The minimum as far as the pass about the line knows the loss.

    step: from that line, (p,). scale: found, or as given. loss: f there.
    gradient: its norm there, rounding counted in. gap: at most so far above the
    minimum, where that lies within the pass's ball; NaN where no bound is known.
    collapsed: whether the scale goes to 0. inverse: the norm of the inverse Hessian.
    """

    step: Array
    scale: float
    loss: float = np.nan
    gradient: float = np.nan
    gap: float = np.nan
    collapsed: bool = False
    inverse: float = np.inf


@dataclass
class Valley:
    """f near a line: sums and rows of one pass, with ε and, or without, the scale.

    Attributes:
        globs: of the pass.
        epsilon: ε.
        free: whether the scale is found too.
    """

    globs: Globs
    epsilon: float
    free: bool

    def __post_init__(self) -> None:
        g = self.globs
        self._rows: Rows = g.rows()
        side = g.up - g.down
        self._out_z, self._out_r = side[:-1], float(side[-1])
        self._out_w = g.up_weight + g.down_weight
        self._zz, self._zr = g.square[:-1, :-1], g.square[:-1, -1]
        self._rr = float(g.square[-1, -1])
        self.weight = self._out_w + g.square_weight + float(self._rows.w.sum())

    def value(self, step: Array, scale: float) -> float:
        """f after a step from the pass's line."""
        r = self._rows.r - self._rows.z @ step
        squares = self._rr + float(step @ (self._zz @ step - 2 * self._zr))
        absolutes = self._out_r - float(self._out_z @ step)
        return self._value(r, squares, absolutes, scale)

    def _value(self, r: Array, squares: float, absolutes: float, scale: float) -> float:
        w, kink = self._rows.w, self.epsilon * scale
        size = np.abs(r)
        out = size > kink
        outer = w[out]
        absolutes += float(outer @ size[out])
        squares += float(w[~out] @ r[~out] ** 2)
        beyond = self._out_w + float(outer.sum())
        if not self.free:
            return squares / 2 + kink * absolutes - kink**2 / 2 * beyond
        e = self.epsilon
        flat = self.weight * scale - e**2 * scale * beyond
        inner = squares / scale if squares else 0.0
        return flat + inner + 2 * e * absolutes

    def slopes(
        self, step: Array, scale: float, margin: float = 0.0
    ) -> tuple[Array, Array, float]:
        """Gradient and Hessian in line (and scale), and rounding in the gradient.

        Args:
            step: from the pass's line.
            scale: s.
            margin: count in the Hessian only rows that stay between the kinks when
                line and scale move by so much.
        """
        z, w, e = self._rows.z, self._rows.w, self.epsilon
        r = self._rows.r - z @ step
        kink = e * scale
        inside = np.abs(r) <= kink
        pull = np.clip(r, -kink, kink) * w
        out = ~inside
        in_zr = self._zr - self._zz @ step
        in_rr = self._rr + float(step @ (self._zz @ step - 2 * self._zr))
        total = in_zr + kink * self._out_z + pull @ z
        blur = EPS * (np.abs(pull) @ np.abs(z) + np.abs(in_zr) + np.abs(self._zr))
        blur = blur + EPS * kink * np.sqrt(self.weight * (self.weight + self._out_w))
        if margin:
            length = np.sqrt(np.einsum("kp,kp->k", z, z) + (e**2 if self.free else 0))
            inside &= np.abs(np.abs(r) - kink) > margin * length
        zi, wi, ri = z[inside], w[inside], r[inside]
        root = zi * np.sqrt(wi)[:, None]
        zz = self._zz + root.T @ root
        rounding = float(np.linalg.norm(blur))
        if not self.free:
            return -total, zz, rounding
        squares = in_rr + float(w[~out] @ r[~out] ** 2)
        beyond = self._out_w + float(w[out].sum())
        along = self.weight - squares / scale**2 - e**2 * beyond
        gradient = np.append(-2 * total / scale, along)
        hessian = np.empty((len(total) + 1,) * 2)
        hessian[:-1, :-1] = 2 * zz / scale
        hessian[:-1, -1] = 2 * (in_zr + (wi * ri) @ zi) / scale**2
        hessian[-1, :-1] = hessian[:-1, -1]
        hessian[-1, -1] = 2 * (in_rr + float(wi @ ri**2)) / scale**3
        return gradient, hessian, 2 * rounding / scale + EPS * self.weight

    def beyond(self, step: Array, scale: float) -> float:
        """The weight of the rows outside the kinks."""
        r = self._rows.r - self._rows.z @ step
        out = np.abs(r) > self.epsilon * scale
        return self._out_w + float(self._rows.w[out].sum())

    def lowest(
        self, scale: float, start: Array | None = None, judge: bool = True
    ) -> Lowest:
        """The minimum, by Newton's method.

        Args:
            scale: to begin with.
            start: a step from the pass's line to begin with; none unless told.
            judge: whether to say how near it is.
        """
        p = len(self.globs.place.u)
        step, first = np.zeros(p) if start is None else start, scale
        value, ridge = self.value(step, scale), 0.0
        for _ in range(MOST_STEPS):
            gradient, hessian, _ = self.slopes(step, scale)
            # Where the pieces at hand promise too much, shorter and steeper steps.
            while ridge < 1e12:
                move, ridge = _solve(hessian, gradient, ridge)
                if self.free and scale + move[p] < 0.1 * scale:
                    move *= -0.9 * scale / move[p]
                if self.free and move[p] > 9 * scale:
                    move *= 9 * scale / move[p]
                promised = -float(gradient @ move)
                last = promised <= 1e-15 * abs(value)
                there = step + move[:p]
                wide = scale + float(move[p]) if self.free else scale
                found = self.value(there, wide)
                if last or found <= value - 1e-4 * promised:
                    break
                ridge = max(1e-3, 10 * ridge)
            if found <= value + 4 * EPS * abs(value):
                step, scale, value = there, wide, found
            if last or ridge >= 1e12:
                break
            ridge = ridge / 30 if ridge > 1e-6 else 0.0
            if self.free and scale < COLLAPSED * first:
                return Lowest(step, 0.0, value, np.nan, np.nan, True, np.inf)
            if self.free and scale * COLLAPSED > first:
                break
        return self._judged(step, scale, value) if judge else Lowest(step, scale)

    def _judged(self, step: Array, scale: float, value: float) -> Lowest:
        """With how far above the minimum it may be.

        Where the rows between the kinks stay there within a ball of radius t, f is at
        least a parabola of their Hessian H in it, and where t ≥ 4‖gradient‖/λmin the
        parabola is above f(here) all along the ball's edge. So the minimum lies in the
        ball, at most gradientᵀ H⁻¹ gradient / 2 below; twice that is reported, for H
        changes a little with the scale.
        """
        gradient, hessian, rounding = self.slopes(step, scale)
        norm = float(np.linalg.norm(gradient)) + rounding
        gap, inverse = np.nan, np.inf
        radius = 0.0
        for _ in range(3):
            least = float(np.linalg.eigvalsh(hessian)[0])
            if not least > 1e-14 * self.weight / max(scale, 1e-300):
                break
            inverse = 1.0 / least
            needed = 4 * norm * inverse
            if needed <= radius:
                gap = norm**2 * inverse
                break
            radius = 4 * needed
            _, hessian, _ = self.slopes(step, scale, margin=radius)
        moved = float(np.linalg.norm(step)) + radius
        if not moved < self.globs.reach:
            gap = np.nan
        return Lowest(step, scale, value, norm, gap, False, inverse)


def _solve(hessian: Array, gradient: Array, ridge: float) -> tuple[Array, float]:
    """A Newton step, and the ridge on the scaled Hessian that it took."""
    diagonal = hessian.diagonal()
    top = float(diagonal.max())
    size = np.sqrt(np.where(diagonal > 1e-14 * top, diagonal, top or 1.0))
    factor = Cholesky(hessian / size / size[:, None], ridge)
    return -factor.solve(gradient / size) / size, factor.ridge
