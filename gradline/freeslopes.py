"""The quadratic that slopes lie in, and the solution for those of them that are free.

In slopes u, (d,), with C = Xcᵀ diag(w) Xc / W, residuals r and q = Xcᵀ diag(w) r / W,

    q(u) = pull - C (u - origin)
    1/2W · Σ w r² = half - (u - origin)ᵀ (pull + q(u)) / 2

where `half` and `pull` are those of the origin. With F the free slopes, `Factor` solves

    (C_FF + α₂) step = force

by Cholesky's factor. From one solve to the next few slopes become free and few cease to
be, so the factor grows by the new ones, and those that are gone are held at 0 by as
many forces: both cost |F|² each instead of |F|³ for all.

Source: Golub & Van Loan, Matrix Computations, 4th ed., sections 4.2.9 and 2.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradline.data import Array
from gradline.state import EPS

#: Where C cannot be factored, so much of its diagonal is added to it. Steps are
#: repeated until the gradient is 0, so that it has no part in the answer.
RIDGE = 1e-11

#: So many slopes may be held at 0 before the rest is factored anew.
MOST_HELD = 24

#: Places of slopes among all of them.
Places = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Quadratic:
    """1/2W · Σ w r² as a function of the slopes, measured from slopes near its least.

    Attributes:
        matrix: C, (d, d).
        origin: slopes to measure from, (d,): near the optimum, so that nothing is lost.
        pull: q there, (d,).
        half: 1/2W · Σ w r² there.
        size: √ of the mean squared target about its mean: what residuals count as.
        root: some R with RᵀR = C, (m, d), where C itself would have lost digits; the
            origin is then the optimum, and may be so large that it is of no use.
        image: R · origin, (m,), which is not.
        flattest: C's smallest eigenvalue, or something below; 0 where not known.
    """

    matrix: Array
    origin: Array
    pull: Array
    half: float
    size: float
    root: Array | None = None
    image: Array | None = None
    flattest: float = 0.0

    def gradient(self, u: Array) -> Array:
        """q at slopes u, (d,): what is left to explain, against x."""
        left: Array = self.pull - self.matrix @ (u - self.origin)
        if self.root is not None and self.image is not None:
            left = self.root.T @ (self.image - self.root @ u)
        return left

    def half_loss(self, u: Array, q: Array) -> float:
        """1/2W · Σ w r² at slopes u."""
        if self.root is not None and self.image is not None:
            off = self.image - self.root @ u
            return self.half + float(off @ off) / 2
        return max(0.0, self.half - float((u - self.origin) @ (self.pull + q)) / 2)


class Factor:
    """Cholesky's factor of C + α₂ for what is free, kept from one solve to the next.

    Args:
        problem: its C; other problems with the same C may share the factor.
    """

    def __init__(self, problem: Quadratic) -> None:
        self.problem = problem
        self._l2 = 0.0
        self._order: Places = np.zeros(0, dtype=np.intp)  # of rows of the factor
        self._place = np.full(len(problem.origin), -1, dtype=np.intp)  # of slopes there
        # The factor is the corner of this; what is above its diagonal is not looked at.
        self._space = torch.zeros(0, 0, dtype=torch.float64)

    @property
    def _lower(self) -> torch.Tensor:
        return self._space[: len(self._order), : len(self._order)]

    def solve(self, free: Places, force: Array, l2: float) -> Array:
        """The step of the free slopes, (f,), under a force on each of them, (f,)."""
        self._prepare(free, l2)
        right = torch.zeros(len(self._order), 1, dtype=torch.float64)
        at = torch.from_numpy(self._place[free])
        right[at, 0] = torch.from_numpy(force)
        solved = torch.cholesky_solve(right, self._lower)
        if len(free) < len(self._order):
            is_free = torch.zeros(len(self._order), dtype=torch.bool)
            is_free[at] = True
            held = torch.nonzero(~is_free)[:, 0]
            unit = torch.zeros(len(self._order), len(held), dtype=torch.float64)
            unit[held, torch.arange(len(held))] = 1.0
            columns = torch.cholesky_solve(unit, self._lower)
            solved -= columns @ torch.linalg.solve(columns[held], solved[held])
        step: Array = solved[at, 0].numpy()
        return step

    def _prepare(self, free: Places, l2: float) -> None:
        """See to it that the factor has the free slopes, and few others."""
        fresh = free[self._place[free] < 0]
        held = len(self._order) + len(fresh) - len(free)
        same = l2 == self._l2 and self.problem.root is None
        near = same and held <= MOST_HELD and 2 * len(fresh) <= len(free)
        if near and (not len(fresh) or self._grow(fresh)):
            return
        self._l2 = l2
        self._room(len(free), keep=0)[:] = factored(self.problem, free, l2)
        self._set(free)

    def _room(self, size: int, keep: int) -> torch.Tensor:
        """The space of a factor of so many rows, the first `keep` as they were."""
        if size > len(self._space):
            most = min(len(self._place), max(2 * size, 64))
            space = torch.zeros(most, most, dtype=torch.float64)
            space[:keep, :keep] = self._space[:keep, :keep]
            self._space = space
        return self._space[:size, :size]

    def _set(self, order: Places) -> None:
        self._order = order
        self._place[:] = -1
        self._place[order] = np.arange(len(order))

    def _grow(self, fresh: Places) -> bool:
        """Add rows to the factor; False where they depend on those that it has."""
        matrix, n = self.problem.matrix, len(self._order)
        corner = torch.from_numpy(matrix[np.ix_(fresh, fresh)])
        corner.diagonal().add_(self._l2)
        size = corner.diagonal().clone()
        across = torch.from_numpy(matrix[np.ix_(self._order, fresh)])
        side = torch.linalg.solve_triangular(self._lower, across, upper=False)
        corner, failed = torch.linalg.cholesky_ex(corner - side.T @ side)
        if int(failed) or bool((corner.diagonal().square() < RIDGE * size).any()):
            return False
        lower = self._room(n + len(fresh), keep=n)
        lower[n:, :n] = side.T
        lower[n:, n:] = corner
        self._set(np.concatenate([self._order, fresh]))
        return True


def factored(problem: Quadratic, free: Places, l2: float) -> torch.Tensor:
    """The lower Cholesky factor of C_FF + α₂, (f, f).

    By the QR decomposition of R_F where R is at hand, so that nothing is squared. Where
    the free slopes depend on one another, that of a matrix very near.
    """
    if problem.root is not None:
        part = torch.from_numpy(problem.root[:, free])
        norms = part.square().sum(0)
        eye = torch.eye(len(free), dtype=torch.float64)
        stacked = torch.cat([part, l2**0.5 * eye])
        upper = torch.linalg.qr(stacked, mode="r").R
        pivots = upper.diagonal().square() / (norms + l2)
        if bool((pivots < (64 * EPS) ** 2).any()):
            stacked[len(part) :] = float(RIDGE * norms.max() + l2) ** 0.5 * eye
            upper = torch.linalg.qr(stacked, mode="r").R
        lower: torch.Tensor = upper.T * upper.diagonal().sign()
        return lower
    part = torch.from_numpy(problem.matrix[np.ix_(free, free)])
    part.diagonal().add_(l2)
    size = part.diagonal().clone()
    lower, failed = torch.linalg.cholesky_ex(part)
    if int(failed) or bool((lower.diagonal().square() < RIDGE * size).any()):
        part.diagonal().add_(RIDGE * size)
        lower = torch.linalg.cholesky_ex(part).L
    return lower
