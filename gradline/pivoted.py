"""Columns that depend on others outright: Cholesky's method with pivots.

With C the correlation matrix of the columns, in the order that pivoting finds,

    C = Rᵀ R,    R = [R₁ R₂],    R₁ (r, r) upper triangular

r is the rank, and each column left out is N-th of those kept: the directions

    N = [-R₁⁻¹ R₂; 1]

are of length 0 in the rows. A sum of squares tells that to half the digits only, so
that whoever uses this measures the rows along them. Slopes of least norm are those of
the kept columns less what lies along N. It takes d³/3 operations, where eigenvalues
take 10 d³, and goes well whatever values are repeated.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.solvers import SAFE_CONDITION, column_scale
from gradline.state import EPS, Centred

#: What is left of a column's own square where it counts as dependent on others.
LEFT = 1e-9


class Pivoted:
    """A scatter whose columns depend on one another, the rest well conditioned.

    Args:
        scale: the standard deviations, (d,); 0 where constant.
        kept: the r columns that determine the others.
        upper: R in the order of all columns, (r, d); 0 where constant.
        others: the columns left out which are not constant.
        condition: of the kept columns, about.

    Attributes:
        null: N as raw slopes, columns of length 1, (d, m).

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section
    10.3; LAPACK's pstrf.
    """

    deficient = True
    condition = float("inf")

    def __init__(
        self, scale: Array, kept: Array, upper: Array, others: Array, condition: float
    ) -> None:
        from scipy.linalg import solve_triangular

        self.scale = scale
        self.rank = len(kept)
        self.kept_condition = condition
        self._kept, self._upper, self._others = kept, upper, others
        self._factor = upper[:, kept]
        #: N in scaled columns, of length 1, (d, m).
        self.directions = np.zeros((len(scale), len(others)))
        self.directions[kept] = -solve_triangular(self._factor, upper[:, others])
        self.directions[others, np.arange(len(others))] = 1.0
        self.directions /= np.linalg.norm(self.directions, axis=0)
        safe = np.where(scale > 0, scale, 1.0)[:, None]
        null = self.directions / safe
        self.null = null / np.linalg.norm(null, axis=0)
        self._basis = np.linalg.qr(self.null)[0]

    def upper(self) -> Tensor:
        """Some R with RᵀR the scatter over W, raw, (rank, d)."""
        return torch.from_numpy(self._upper * self.scale)

    def newton_step(self, gradient: Tensor) -> Tensor:
        """The slopes of least norm that a gradient asks for, (d, k)."""
        from scipy.linalg import cho_solve

        slopes = np.zeros(gradient.shape)
        scale = self.scale[self._kept, None]
        right = gradient.numpy()[self._kept] / scale
        slopes[self._kept] = cho_solve((self._factor, False), right) / scale
        for _ in range(2):  # the second time takes away what rounding left
            slopes -= self._basis @ (self._basis.T @ slopes)
        slopes[self.scale == 0] = 0.0  # the basis is rounded
        return torch.from_numpy(slopes)


def from_pivots(sums: Centred) -> Pivoted | None:
    """The columns by pivots; None where what is kept is not well conditioned.

    Whether those left out depend on the kept ones outright is for the rows to say.
    """
    from scipy.linalg.lapack import dpstrf

    scale = column_scale(sums)[:-1].numpy()
    live = np.flatnonzero(scale > 0)
    if not len(live):
        return None
    size = scale[live]
    correlation = sums.xx[np.ix_(live, live)] / (sums.weight * size[:, None] * size)
    found, order, rank, _ = dpstrf(correlation, tol=LEFT)
    if 2 * rank < len(live):
        return None
    condition = condition_of(found[:rank, :rank], correlation, order[:rank] - 1)
    if not condition < SAFE_CONDITION**2:
        return None
    upper = np.zeros((rank, len(scale)))
    upper[:, live[order - 1]] = np.triu(found[:rank])
    kept, others = live[order[:rank] - 1], live[order[rank:] - 1]
    return Pivoted(scale, kept, upper, others, condition**0.5)


def condition_of(upper: Array, matrix: Array, chosen: Array | None = None) -> float:
    """The condition of a symmetric matrix, about, by its Cholesky factor.

    Args:
        upper: the factor, (r, r).
        matrix: the matrix, (d, d).
        chosen: the r columns of it that were factored; all unless told.

    Equivalent: scipy.linalg.lapack.dpocon.
    """
    from scipy.linalg.lapack import dpocon

    part = matrix if chosen is None else matrix[np.ix_(chosen, chosen)]
    norm = float(np.abs(part).sum(axis=0).max())
    share, failed = dpocon(upper, norm)
    return float(1 / share) if share > EPS and not failed else float("inf")


class Shifted:
    """The factor of a scatter with a penalty on its diagonal, C + α.

    Args:
        scatter: C, (d, d).
        alpha: α, above 0.

    Attributes:
        safe: whether it is there, and well conditioned.
    """

    def __init__(self, scatter: Array, alpha: float) -> None:
        from scipy.linalg.lapack import dpotrf

        matrix = scatter.copy()
        matrix[np.diag_indices_from(matrix)] += alpha
        self._scale = np.sqrt(matrix.diagonal())
        matrix /= self._scale[:, None]
        matrix /= self._scale
        self._factor, failed = dpotrf(matrix)
        condition = float("inf") if failed else condition_of(self._factor, matrix)
        self.safe = condition < SAFE_CONDITION**2

    def solve(self, right: Array) -> Array:
        """(C + α)⁻¹ right, (d, k)."""
        from scipy.linalg import cho_solve

        scale = self._scale[:, None]
        found: Array = cho_solve((self._factor, False), right / scale) / scale
        return found
