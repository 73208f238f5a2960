"""The last step of quantile regression: a line through p of the rows, exactly.

An optimum passes through as many rows as it has coefficients: a vertex. From the p rows
nearest to a line close to it, independent of one another, the simplex method goes on:
while some row of the p pulls with more than its weight, the line lets go of it and
turns about the others, past other rows, until the loss falls no more. Where none pulls
too much the optimum is proven, to the last digit.

Source: Barrodale & Roberts, "An improved algorithm for discrete l1 linear
approximation", 1973; Koenker & d'Orey, "Computing regression quantiles", 1987.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradline.data import Array, Mask
from gradline.interior import interior_point, pinball
from gradline.state import EPS

#: A pull so much beyond its limit is rounding; one so near it may as well be at it.
SLACK = 1e-9


class Vertex(NamedTuple):
    """A line, and what proves it.

    u: (p,). dual: a of interior.py, (k,): where the vertex is proven, Zᵀa is 0 to
    rounding. proven: whether the simplex method came to its end. unique: whether no
    other line has this loss, as far as is known. inverse: how far u may move when the
    rows it goes through do, per ‖z‖: a norm.
    """

    u: Array
    dual: Array
    proven: bool
    unique: bool
    inverse: float


def least_pinball(Z: Array, y: Array, level: float) -> Vertex:
    """Quantile regression of rows in memory.

    Args:
        Z: rows, times their weights, of full column rank, (k, p).
        y: targets, times the weights, (k,).
        level: q.
    """
    near = interior_point(Z, y, level)
    r = y - Z @ near.u
    # The path ends in the middle of all optima: on fewer than p rows, if there are any.
    on_it = np.abs(r) <= 1e-6 * float(np.abs(r).mean())
    unique = int(on_it.sum()) >= Z.shape[1]
    basis = _independent(Z, r)
    if basis is None:
        return Vertex(near.u, near.dual, False, unique, np.inf)
    found = _pivot(Z, y, level, basis)
    if found.proven:
        return found._replace(unique=found.unique and unique)
    # Where many rows meet in one point the simplex method may go round in circles.
    loss = pinball(r, level)
    if pinball(y - Z @ found.u, level) <= loss * (1 + 1e-9):
        return found._replace(dual=near.dual, unique=unique)
    return Vertex(near.u, near.dual, False, unique, np.inf)


def _independent(Z: Array, r: Array) -> Array | None:
    """The p rows of least |r|, for their length, that are independent: (p,)."""
    p = Z.shape[1]
    length = np.sqrt(np.einsum("kp,kp->k", Z, Z))
    order = np.argsort(np.abs(r) / np.where(length > 0, length, np.inf))
    order = order[length[order] > 0]
    taken: list[int] = []
    basis = np.zeros((p, p))  # orthonormal rows
    for i in order[: max(50 * p, 1000)]:
        row = Z[i] / length[i]
        for _ in range(2):
            row = row - basis[: len(taken)].T @ (basis[: len(taken)] @ row)
        rest = float(np.linalg.norm(row))
        if rest < 1e-7:
            continue
        basis[len(taken)] = row / rest
        taken.append(int(i))
        if len(taken) == p:
            return np.array(taken)
    return None


def _pivot(Z: Array, y: Array, level: float, basis: Array) -> Vertex:
    """The simplex method from the vertex of these rows."""
    p = Z.shape[1]
    low, high = level - 1.0, level
    length = np.sqrt(np.einsum("kp,kp->k", Z, Z))
    held = np.zeros(len(y), dtype=bool)
    still = 0  # turns in a row that moved nothing
    for _ in range(100 + 10 * p):
        B = Z[basis]
        inverse = np.linalg.inv(B)
        u = inverse @ y[basis]
        u = u + inverse @ (y[basis] - B @ u)
        r = y - Z @ u
        # What is 0 but for rounding must not count as one side or the other.
        r[np.abs(r) <= 8 * EPS * (np.abs(y) + length * float(np.linalg.norm(u)))] = 0.0
        r[basis] = 0.0
        held[:] = False
        held[basis] = True
        dual = np.where(r < 0, low, high)
        ties = (r == 0) & ~held
        dual[ties] = 0.0
        dual[basis] = 0.0
        pull = -(dual @ Z) @ inverse  # (p,)
        beyond = np.maximum(pull - high, low - pull)
        worst = int(np.argmax(beyond))
        if beyond[worst] <= SLACK:
            dual[basis] = np.clip(pull, low, high)
            tied = bool((np.abs(beyond) <= SLACK).any()) and not ties.any()
            return Vertex(u, dual, True, not tied, _size(inverse, length[basis]))
        # Let go of that row: its residual grows from 0, the way it pulls.
        sign = 1.0 if pull[worst] > high else -1.0
        along = -sign * inverse[:, worst]  # r_worst becomes +sign·t
        moved = -(Z @ along)  # dr/dt
        slope = -float(beyond[worst])
        entering = _where_it_ends(r, moved, slope, held)
        still = still + 1 if entering is not None and r[entering] == 0 else 0
        if entering is None or still > p + 20:
            break
        basis[worst] = entering
    return Vertex(u, np.zeros(len(y)), False, True, _size(inverse, length[basis]))


def _size(inverse: Array, length: Array) -> float:
    return float(np.linalg.norm(inverse * length, 2))


def _where_it_ends(r: Array, moved: Array, slope: float, held: Mask) -> int | None:
    """The row at which the loss along a line falls no more."""
    size = np.abs(moved)
    towards = (r * moved < 0) | ((r == 0) & (size > 1e-12))
    towards &= ~held
    rows = np.flatnonzero(towards)
    if not len(rows):
        return None
    at = np.abs(r[rows]) / size[rows]
    order = np.argsort(at, kind="stable")
    # Each kink adds |dr/dt| to the slope (q and 1-q add up to 1).
    after = slope + np.cumsum(size[rows[order]])
    place = int(np.searchsorted(after, 0.0))
    return int(rows[order[min(place, len(order) - 1)]])
