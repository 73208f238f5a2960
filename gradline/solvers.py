"""From a state to the least-squares optimum.

The objective, over rows i with weights w_i and W = Σ w_i, is torch.nn.MSELoss:

    loss(b, c) = 1/W · Σ w_i (y_i - x_iᵀb - c)²

In coordinates that are centred and scaled, u_j = b_j · scale_j with scale_j the
standard deviation of column j, and `level` the prediction at the mean of x,

    loss = optimum_loss + ‖Σ Vᵀ (u - u*)‖² + (level - mean of y)²

where the correlation matrix of X is C = V Σ² Vᵀ. A `Spectrum` answers from it: the
solution, the rank, the condition, the inverse, and how far other coefficients are.
There are two: `Factored` works with the Cholesky factor of C, fast, where C is well
conditioned; `Singular` with the singular values of a triangle, where it is not.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from gradline.curvature import largest_eigenvalue
from gradline.state import Moments, Triangle

#: Moments square the condition number; past this they would lose half the digits.
SAFE_CONDITION = 1e4

EPS = float(torch.finfo(torch.float64).eps)

#: Wider than this, extreme eigenvalues are found by Lanczos instead of all of them.
WIDE = 512


class Spectrum(Protocol):
    """What the centred, scaled design says about its coefficients.

    Attributes:
        scale: the standard deviation of each column, (d,); 0 where it is constant.
        rank: how many directions the rows determine.
        condition: σmax/σmin of the scaled design; infinite if rank deficient.
        sigma: its singular values over √W, (m,), largest first, where m is the number
            of columns that are not constant.
        vectors: V, the right singular vectors, (d, m); zero rows at constant columns.
    """

    scale: Tensor
    rank: int

    @property
    def condition(self) -> float: ...

    @property
    def sigma(self) -> Tensor: ...

    @property
    def vectors(self) -> Tensor: ...

    @property
    def largest(self) -> float:
        """σmax."""

    @property
    def columns(self) -> int:
        """d, constant columns included."""

    @property
    def deficient(self) -> bool:
        """Whether some columns depend on others, or are constant."""

    def dependent(self) -> list[int]:
        """The columns that are constant or take part in a dependence."""

    def solve(self) -> Tensor:
        """The optimal slopes in the units of the input, (d,).

        Where the rank is deficient: those of least Euclidean norm.
        """

    def inverse(self) -> Tensor:
        """(Xcᵀ diag(w) Xc / W)⁻¹ in raw units, (d, d); a pseudoinverse if deficient.

        Xc is X minus its mean. Times residual variance / W, it is the covariance of the
        slopes.
        """

    def root(self) -> Tensor:
        """Some R with R Rᵀ = inverse(), (d, rank), in raw units."""

    def newton_step(self, gradient: Tensor) -> Tensor:
        """The step of the raw slopes that zeroes `gradient` = Xcᵀ(w·r)/W, (d,)."""

    def coordinates(self, slopes: Tensor) -> Tensor:
        """Σ Vᵀ u of raw slopes, (m,)."""

    def energy(self, slopes: Tensor) -> float:
        """‖Σ Vᵀ u‖² of raw slopes: what a step of them adds to the optimum's loss."""

    def sensitivity(self) -> tuple[Tensor, Tensor]:
        """Row norms of V Σ⁻¹ and of V Σ⁻², (d,) each, for perturbation bounds."""

    def looseness(self) -> Tensor:
        """How far the choice of least norm is off, raw, per unit of rounding, (d,)."""


class _Base:
    """What both spectra have in common."""

    scale: Tensor
    rank: int

    @property
    def columns(self) -> int:
        return int(self.scale.numel())

    @property
    def deficient(self) -> bool:
        return self.rank < self.columns

    @property
    def _safe_scale(self) -> Tensor:
        return torch.where(self.scale > 0, self.scale, 1.0)

    @property
    def sigma(self) -> Tensor:
        raise NotImplementedError

    @property
    def vectors(self) -> Tensor:
        raise NotImplementedError

    def coordinates(self, slopes: Tensor) -> Tensor:
        return self.sigma * (self.vectors.T @ (slopes * self.scale))


class Factored(_Base):
    """The spectrum through the Cholesky factor of the correlation matrix.

    Args:
        scale: the standard deviations, all above 0, (d,).
        correlation: C, (d, d).
        factor: its upper Cholesky factor, (d, d).
        against_y: the scaled X against y, (d,).

    Source: the normal equations; Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 20.4.
    """

    def __init__(
        self, scale: Tensor, correlation: Tensor, factor: Tensor, against_y: Tensor
    ) -> None:
        self.scale = scale
        self.rank = scale.numel()
        self._correlation = correlation
        self._factor = factor
        self._against_y = against_y

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        """The smallest and the largest eigenvalue of C."""
        if self.columns <= WIDE:
            values = torch.linalg.eigvalsh(self._correlation)
            return float(values[0]), float(values[-1])
        top = largest_eigenvalue(lambda v: self._correlation @ v, self.columns)
        return 1.0 / largest_eigenvalue(self._solved, self.columns), top

    def _solved(self, right: Tensor) -> Tensor:
        """C⁻¹ times a vector."""
        return torch.cholesky_solve(right[:, None], self._factor, upper=True)[:, 0]

    @property
    def condition(self) -> float:
        smallest, largest = self._extremes
        return math.inf if smallest <= 0 else math.sqrt(largest / smallest)

    @property
    def largest(self) -> float:
        return math.sqrt(self._extremes[1])

    @cached_property
    def _eigen(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self._correlation)
        return values.flip(0).clamp(min=0).sqrt(), vectors.flip(1)

    @property
    def sigma(self) -> Tensor:
        return self._eigen[0]

    @property
    def vectors(self) -> Tensor:
        return self._eigen[1]

    def dependent(self) -> list[int]:
        return []

    def solve(self) -> Tensor:
        return self._solved(self._against_y) / self.scale

    @cached_property
    def _inverse(self) -> Tensor:
        return torch.cholesky_inverse(self._factor, upper=True)

    def inverse(self) -> Tensor:
        return self._inverse / self.scale[:, None] / self.scale

    def root(self) -> Tensor:
        unit = torch.eye(self.columns, dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(self._factor, unit, upper=True)
        return inverse / self.scale[:, None]

    def energy(self, slopes: Tensor) -> float:
        return float((self._factor @ (slopes * self.scale)).square().sum())

    def newton_step(self, gradient: Tensor) -> Tensor:
        return self._solved(gradient / self.scale) / self.scale

    def sensitivity(self) -> tuple[Tensor, Tensor]:
        return self._inverse.diagonal().sqrt(), self._inverse.norm(dim=1)

    def looseness(self) -> Tensor:
        return torch.zeros_like(self.scale)


class Singular(_Base):
    """The spectrum by singular values.

    Args:
        scale: the standard deviations, (d,); 0 where constant.
        sigma: singular values, (m,), largest first.
        vectors: right singular vectors, (d, m).
        rotated: the optimal scaled slopes along them, Vᵀu*, (m,).
        rank: how many singular values are above rounding.

    Source: Golub & Van Loan, Matrix Computations, 4th ed., section 5.3.
    """

    def __init__(
        self, scale: Tensor, sigma: Tensor, vectors: Tensor, rotated: Tensor, rank: int
    ) -> None:
        self.scale = scale
        self.rank = rank
        self._sigma = sigma
        self._vectors = vectors
        self._rotated = rotated

    @property
    def sigma(self) -> Tensor:
        return self._sigma

    @property
    def vectors(self) -> Tensor:
        return self._vectors

    @property
    def condition(self) -> float:
        if self.deficient or not self.rank:
            return float("inf")
        return float(self._sigma[0] / self._sigma[-1])

    @property
    def largest(self) -> float:
        return float(self._sigma[0]) if self._sigma.numel() else 0.0

    @property
    def _rows(self) -> Tensor:
        """V Σ⁻¹, the determined directions only, (d, r)."""
        return self._vectors[:, : self.rank] / self._sigma[: self.rank]

    def dependent(self) -> list[int]:
        null = self._vectors[:, self.rank :]
        involved = (null.abs() > 1e-6).any(dim=1)
        return torch.nonzero(involved | (self.scale == 0)).flatten().tolist()

    def solve(self) -> Tensor:
        return self._raw(self._vectors[:, : self.rank] @ self._rotated[: self.rank])

    def inverse(self) -> Tensor:
        rows = self.root()
        return rows @ rows.T

    def root(self) -> Tensor:
        return self._rows / self._safe_scale[:, None]

    def energy(self, slopes: Tensor) -> float:
        return float(self.coordinates(slopes).square().sum())

    def newton_step(self, gradient: Tensor) -> Tensor:
        scaled = torch.where(self.scale > 0, gradient / self._safe_scale, 0.0)
        return self._raw(self._rows @ (self._rows.T @ scaled))

    def sensitivity(self) -> tuple[Tensor, Tensor]:
        rows = self._rows
        return rows.norm(dim=1), (rows / self._sigma[: self.rank]).norm(dim=1)

    def looseness(self) -> Tensor:
        # With N an orthonormal basis of what is free, and b = s - N Nᵀ s, an error E in
        # N moves b by E Nᵀ s + N Eᵀ b; E has a row for each of b.
        if self.rank == self._vectors.shape[1]:
            return torch.zeros_like(self.scale)
        null = self._vectors[:, self.rank :] / self._safe_scale[:, None]
        norms = null.norm(dim=0)
        N, R = torch.linalg.qr(null / norms)
        unit = torch.eye(len(norms), dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(R, unit, upper=True)
        once = self.sensitivity()[0] * self.largest / self._safe_scale
        per = (1 / norms) @ inverse.abs()  # E is at most once ⊗ per
        s = self._vectors[:, : self.rank] @ self._rotated[: self.rank]
        free = N.T @ (s / self._safe_scale)
        held = once @ self.solve().abs()
        loose: Tensor = once * (per @ free.abs()) + N.abs() @ per * held
        return loose

    def _raw(self, u: Tensor) -> Tensor:
        """Scaled slopes as raw ones, (d,); of least norm where they are not unique."""
        slopes = torch.where(self.scale > 0, u / self._safe_scale, 0.0)
        null = self._vectors[:, self.rank :] / self._safe_scale[:, None]
        if null.shape[1]:
            basis = torch.linalg.qr(null / null.norm(dim=0)).Q
            for _ in range(2):  # the second time takes away what rounding left
                slopes = slopes - basis @ (basis.T @ slopes)
            slopes = torch.where(self.scale > 0, slopes, 0.0)  # the basis is rounded
        return slopes


def column_scale(moments: Moments) -> Tensor:
    """The standard deviations of [X y], (d + 1,), 0 where rounding explains them."""
    squares = moments.scatter.diagonal().clamp(min=0)
    deviation = (squares / moments.weight).sqrt()
    noise = 4 * EPS * moments.mean.abs()
    return torch.where(deviation > noise, deviation, 0.0)


def from_moments(moments: Moments) -> Factored | None:
    """The spectrum by Cholesky's method, or None where that would lose digits."""
    scale = column_scale(moments)[:-1]
    if not bool((scale > 0).all()):
        return None
    scatter = moments.scatter
    correlation = scatter[:-1, :-1] / (moments.weight * scale[:, None] * scale)
    factor, failed = torch.linalg.cholesky_ex(correlation, upper=True)
    if int(failed):
        return None
    against_y = scatter[:-1, -1] / (moments.weight * scale)
    found = Factored(scale, correlation, factor, against_y)
    return found if found.condition < SAFE_CONDITION else None


def triangle_scale(moments: Moments) -> Tensor:
    """What a Triangle divides [X y] by: standard deviations, 1 where constant."""
    scale = column_scale(moments)
    return torch.where(scale > 0, scale, 1.0)


def from_triangle(moments: Moments, triangle: Triangle) -> Singular:
    """The spectrum through the singular values of R: nothing is squared."""
    scale = column_scale(moments)
    live = scale[:-1] > 0
    root = moments.weight**0.5
    R = triangle.R[:, :-1][:, live] / root
    U, sigma, Vh = torch.linalg.svd(R, full_matrices=False)
    against_y = triangle.R[:, -1] / root * triangle_scale(moments)[-1]
    rotated = (U.T @ against_y) / sigma.clamp(min=1e-300)
    vectors = Vh.T
    if vectors.shape[1] < vectors.shape[0]:  # fewer rows than columns
        vectors = _completed(vectors)
        missing = vectors.shape[1] - sigma.numel()
        sigma = torch.cat([sigma, sigma.new_zeros(missing)])
        rotated = torch.cat([rotated, rotated.new_zeros(missing)])
    # A column far from zero is known only to eps·|mean|, and a direction that mixes
    # such columns can look this long without being there.
    blur = moments.mean[:-1][live].abs() / scale[:-1][live] + moments.rows**0.25
    floor = 4 * EPS * (vectors.abs() * blur[:, None]).sum(0)
    top = sigma[0] if sigma.numel() else 0.0
    sure = (sigma > floor) & (sigma > 4 * EPS * top * len(sigma) ** 0.5)
    rank = int(sure.int().cumprod(0).sum())
    full = torch.zeros(scale.numel() - 1, sigma.numel(), dtype=torch.float64)
    full[live] = vectors  # constant columns are back, as rows of zeros
    return Singular(scale[:-1], sigma, full, rotated, rank)


def _completed(vectors: Tensor) -> Tensor:
    """Orthonormal columns (m, k) extended to a whole basis (m, m)."""
    whole = torch.linalg.qr(vectors, mode="complete").Q
    return torch.cat([vectors, whole[:, vectors.shape[1] :]], dim=1)
