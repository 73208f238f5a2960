"""Quantile regression of rows in memory, by an interior point.

The problem and its dual, with the weights multiplied into the rows:

    least  Σ q·max(r_i, 0) + (1-q)·max(-r_i, 0),    r = y - Z u
    most   yᵀa,   with   Zᵀa = 0   and   q-1 ≤ a_i ≤ q

Every such a gives a lower bound. The path through the inside of the box leads to the
optimum in some 15 steps, each a weighted least-squares problem, whatever the rows. It
gets near, not there: vertex.py makes the last step.

Source: Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise", 1997, and
their rq.fit.fnb in R's quantreg; Mehrotra's predictor and corrector.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradline.cholesky import Cholesky
from gradline.data import Array

#: Steps at the most, the share of the way to the wall that one goes, and the gap, as a
#: share of the loss, at which it ends.
MOST_STEPS = 80
SHORT = 0.9995
NEAR = 1e-11


class Interior(NamedTuple):
    """Where the path ends: u (p,) and the dual a (k,), inside its box."""

    u: Array
    dual: Array


def pinball(r: Array, level: float) -> float:
    """Σ q·max(r, 0) + (1-q)·max(-r, 0)."""
    return float(level * r.sum() - r[r < 0].sum())


def interior_point(Z: Array, y: Array, level: float) -> Interior:
    """Quantile regression to about ten digits of its loss.

    Args:
        Z: rows of full rank, times their weights, (k, p).
        y: targets, times the weights, (k,).
        level: q.
    """
    size = float(np.abs(y).mean()) or 1.0
    y = y / size
    # In R's terms x = a + 1 - q, from 0 to 1, and s = 1 - x.
    x = np.full(len(y), 1.0 - level)
    s = 1.0 - x
    normal = _Normal(Z)
    u = normal.solve(np.ones(len(y)), y)
    r = y - Z @ u
    r[r == 0] = 1e-3
    z, w = np.maximum(-r, 0.0), np.maximum(r, 0.0)  # multipliers of x ≥ 0 and s ≥ 0
    floor = 1e-3 * float(np.abs(r).mean())
    z += floor
    w += floor
    best, best_gap = Interior(u, x - (1.0 - level)), np.inf
    for _ in range(MOST_STEPS):
        gap = float(x @ z + s @ w)
        loss = pinball(y - Z @ u, level)
        if gap < best_gap:
            best, best_gap = Interior(u, x - (1.0 - level)), gap
        if not gap > NEAR * loss:
            break
        q = 1.0 / (z / x + w / s)
        # Newton's step for x·z = 0 and s·w = 0: the predictor.
        resid = y - Z @ u
        du = normal.solve(q, resid)
        dx = q * (resid - Z @ du)
        dz, dw = -z * (1.0 + dx / x), -w * (1.0 - dx / s)
        along, back = _reach(x, s, dx), _reach_of(z, w, dz, dw)
        if min(along, back) < 1.0:
            ahead = float((z + back * dz) @ (x + along * dx))
            ahead += float((w + back * dw) @ (s - along * dx))
            mu = gap * (ahead / gap) ** 3 / (2 * len(y))
            # The corrector: towards x·z = s·w = mu, with what the first step bent.
            bent = mu * (1.0 / x - 1.0 / s) - dx * dz / x - dx * dw / s
            du = normal.solve(q, resid + bent, reuse=True)
            step = q * (resid + bent - Z @ du)
            dz = (mu - dx * dz) / x - z - z * step / x
            dw = (mu + dx * dw) / s - w + w * step / s
            dx = step
            along, back = _reach(x, s, dx), _reach_of(z, w, dz, dw)
        x = x + along * dx
        s = s - along * dx
        u = u + back * du
        z, w = z + back * dz, w + back * dw
        if not (np.isfinite(u).all() and min(x.min(), s.min()) > 0):
            break
    return Interior(best.u * size, best.dual)


class _Normal:
    """(Zᵀ diag(q) Z)⁻¹ Zᵀ diag(q) b."""

    def __init__(self, Z: Array) -> None:
        self._Z = Z
        self._factor: Cholesky | None = None

    def solve(self, q: Array, b: Array, reuse: bool = False) -> Array:
        if self._factor is None or not reuse:
            root = self._Z * np.sqrt(q)[:, None]
            gram = root.T @ root
            self._factor = Cholesky(gram, unit=float(gram.diagonal().max()) or 1.0)
        return self._factor.solve(self._Z.T @ (q * b))


def _reach(x: Array, s: Array, dx: Array) -> float:
    """How far along dx both x and s = 1 - x stay above 0, at most 1."""
    return _short(max(float((-dx / x).max()), float((dx / s).max())))


def _reach_of(z: Array, w: Array, dz: Array, dw: Array) -> float:
    return _short(max(float((-dz / z).max()), float((-dw / w).max())))


def _short(steepest: float) -> float:
    return min(1.0, SHORT / steepest) if steepest > 0 else 1.0
