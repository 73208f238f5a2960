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
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gradline.curvature import largest_eigenvalue
from gradline.data import Array
from gradline.errors import DataError
from gradline.state import EPS, Centred, Moments
from gradline.triangle import Triangle

#: Moments square the condition number; past this they would lose half the digits.
SAFE_CONDITION = 1e4

#: Wider than this, extreme eigenvalues are found by Lanczos instead of all of them.
WIDE = 512


class Direct(Protocol):
    """What solves for slopes: all that `solve_moments` asks of a spectrum."""

    rank: int

    @property
    def condition(self) -> float: ...

    @property
    def deficient(self) -> bool: ...

    def newton_step(self, gradient: Tensor) -> Tensor: ...

    def upper(self) -> Tensor: ...


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

    def inverse(self) -> Tensor:
        """(Xcᵀ diag(w) Xc / W)⁻¹ in raw units, (d, d); a pseudoinverse if deficient.

        Xc is X minus its mean. Times residual variance / W, it is the covariance of the
        slopes.
        """

    def root(self) -> Tensor:
        """Some R with R Rᵀ = inverse(), (d, rank), in raw units."""

    def newton_step(self, gradient: Tensor) -> Tensor:
        """The raw step that zeroes `gradient` = Xcᵀ(w·r)/W, (d,) or (d, k)."""

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

    Source: the normal equations; Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 20.4.
    """

    def __init__(self, scale: Tensor, correlation: Tensor, factor: Tensor) -> None:
        self.scale = scale
        self.rank = scale.numel()
        self._correlation = correlation
        self._factor = factor

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        """The smallest and the largest eigenvalue of C."""
        if self.columns <= WIDE:
            values = torch.linalg.eigvalsh(self._correlation)
            return float(values[0]), float(values[-1])
        top = largest_eigenvalue(lambda v: self._correlation @ v, self.columns)
        return 1.0 / largest_eigenvalue(self._solved, self.columns), top

    def _solved(self, right: Tensor) -> Tensor:
        """C⁻¹ times a vector (d,) or several, (d, k)."""
        if right.ndim == 2:
            return torch.cholesky_solve(right, self._factor, upper=True)
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

    @cached_property
    def _inverse(self) -> Tensor:
        return torch.cholesky_inverse(self._factor, upper=True)

    def inverse(self) -> Tensor:
        return self._inverse / self.scale[:, None] / self.scale

    def upper(self) -> Tensor:
        """The R of a QR decomposition of the centred rows over √W, raw, (d, d)."""
        return self._factor * self.scale

    def root(self) -> Tensor:
        unit = torch.eye(self.columns, dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(self._factor, unit, upper=True)
        return inverse / self.scale[:, None]

    def energy(self, slopes: Tensor) -> float:
        return float((self._factor @ (slopes * self.scale)).square().sum())

    def newton_step(self, gradient: Tensor) -> Tensor:
        scale = _beside(self.scale, gradient)
        return self._solved(gradient / scale) / scale

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
    def explained(self) -> Tensor:
        """Σ Vᵀu* of the optimum, (r,): never the difference of large slopes."""
        return self._sigma[: self.rank] * self._rotated[: self.rank]

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

    def upper(self) -> Tensor:
        """Some R with RᵀR the scatter over W, raw, (rank, d)."""
        kept = self._sigma[: self.rank, None] * self._vectors[:, : self.rank].T
        return kept * self.scale

    def inverse(self) -> Tensor:
        rows = self.root()
        return rows @ rows.T

    def root(self) -> Tensor:
        return self._rows / self._safe_scale[:, None]

    def energy(self, slopes: Tensor) -> float:
        return float(self.coordinates(slopes).square().sum())

    def newton_step(self, gradient: Tensor) -> Tensor:
        scale, safe = (_beside(s, gradient) for s in (self.scale, self._safe_scale))
        scaled = torch.where(scale > 0, gradient / safe, 0.0)
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
        """Scaled slopes as raw ones, of least norm where they are not unique."""
        scale, safe = (_beside(s, u) for s in (self.scale, self._safe_scale))
        slopes = torch.where(scale > 0, u / safe, 0.0)
        null = self._vectors[:, self.rank :] / self._safe_scale[:, None]
        if null.shape[1]:
            basis = torch.linalg.qr(null / null.norm(dim=0)).Q
            for _ in range(2):  # the second time takes away what rounding left
                slopes = slopes - basis @ (basis.T @ slopes)
            slopes = torch.where(scale > 0, slopes, 0.0)  # the basis is rounded
        return slopes


def _beside(scale: Tensor, values: Tensor) -> Tensor:
    """A scale (d,) in the shape that multiplies values, (d,) or (d, k)."""
    return scale if values.ndim == 1 else scale[:, None]


def column_scale(sums: Centred) -> Tensor:
    """The standard deviations of [X y], (d + 1,), 0 where rounding explains them."""
    squares = np.append(sums.xx.diagonal(), sums.yy[0]).clip(min=0)
    deviation = np.sqrt(squares / sums.weight)
    noise = 4 * EPS * np.abs(np.append(sums.x_mean, sums.y_mean[0]))
    return torch.from_numpy(np.where(deviation > noise, deviation, 0.0))


def from_moments(sums: Centred) -> Factored | None:
    """The spectrum by Cholesky's method, or None where that would lose digits."""
    scale = column_scale(sums)[:-1]
    if not bool((scale > 0).all()):
        return None
    correlation = torch.from_numpy(sums.xx) / (sums.weight * scale[:, None] * scale)
    factor, failed = torch.linalg.cholesky_ex(correlation, upper=True)
    if int(failed):
        return None
    found = Factored(scale, correlation, factor)
    return found if found.condition < SAFE_CONDITION else None


class Solution(NamedTuple):
    """The least-squares optimum of every target, as a state gives it.

    Attributes:
        slopes: (d, k), raw.
        intercept: (k,), the prediction at 0.
        level: (k,), the prediction at the mean of x.
        loss: (k,), the mean squared residual.
        moved: (k,), √ of how much of the loss about the state's line the step to the
            optimum took away: small beside √loss where nothing was lost.
        loss_error: (k,), what rounding may have done to the loss.
        rank: of the design, its ones included.
        condition: of its scaled columns.
    """

    slopes: Array
    intercept: Array
    level: Array
    loss: Array
    moved: Array
    loss_error: Array
    rank: int
    condition: float


def solve_moments(moments: Moments, spectrum: Direct) -> Solution:
    """The optimum as a small step from the line that the state was measured from.

        step = (Xcᵀ diag(w) Xc)⁻¹ Xcᵀ diag(w) r,    loss = (Σ w r² - step·Xcᵀ(w·r)) / W

    Args:
        moments: the state, of any number of targets.
        spectrum: of its design.
    """
    W = moments.weight
    gradient = moments.xr / W  # (d, k)
    step = spectrum.newton_step(torch.from_numpy(gradient)).numpy()
    drop = (step * gradient).sum(0).clip(min=0)
    about = moments.rr / W
    slopes = moments.line + step
    if spectrum.deficient:  # the line need not be the one of least norm
        whole = (moments.xr + moments.xx @ moments.line) / W
        slopes = spectrum.newton_step(torch.from_numpy(whole)).numpy()
    return Solution(
        slopes,
        moments.y_mean - moments.x_mean @ slopes,
        moments.y_mean,
        np.maximum(about - drop, 0.0),
        np.sqrt(drop),
        moments.rr_error / W + EPS * drop,
        spectrum.rank + moments.intercept,
        spectrum.condition,
    )


def solve(moments: Moments) -> Solution:
    """The least-squares optimum of every target, from a state alone.

    Args:
        moments: the state of at least one row with a weight above 0.

    Returns:
        A Solution. Where columns depend on one another, that with the slopes of least
        Euclidean norm, the intercept left free. From a condition of 1e4 on, digits are
        lost that only another pass over the rows could bring back: `gl.fit` makes it.

    Raises:
        DataError: the state has no rows, or numbers too large to square.

    Equivalent: numpy.linalg.lstsq on the centred rows, for all targets at once.
    """
    sums = moments.value()
    if sums.weight <= 0:
        raise DataError("the state has no rows of a weight above 0: add some first")
    if not (np.isfinite(sums.xx).all() and np.isfinite(sums.yy).all()):
        raise DataError(
            "the state holds numbers too large to square: divide the columns by a "
            "power of ten first"
        )
    return solve_moments(moments, from_moments(sums) or from_scatter(sums))


def from_scatter(sums: Centred) -> Singular:
    """The spectrum by the eigenvalues of the scatter: half the digits of R."""
    scale = column_scale(sums)[:-1]
    live = scale > 0
    safe = torch.where(live, scale, 1.0)
    correlation = torch.from_numpy(sums.xx) / (sums.weight * safe[:, None] * safe)
    values, vectors = torch.linalg.eigh(correlation[live][:, live])
    sigma = values.flip(0).clamp(min=0).sqrt()
    full = torch.zeros(len(scale), len(sigma), dtype=torch.float64)
    full[live] = vectors.flip(1)
    top = float(sigma[0]) if len(sigma) else 0.0
    rank = int((sigma > top * (16 * EPS * max(1, len(sigma))) ** 0.5).sum())
    return Singular(scale, sigma, full, torch.zeros_like(sigma), rank)


def triangle_scale(sums: Centred) -> Tensor:
    """What a Triangle divides [X y] by: standard deviations, 1 where constant."""
    scale = column_scale(sums)
    return torch.where(scale > 0, scale, 1.0)


def from_triangle(sums: Centred, triangle: Triangle) -> Singular:
    """The spectrum through the singular values of R: nothing is squared."""
    scale = column_scale(sums)
    live = scale[:-1] > 0
    root = sums.weight**0.5
    R = triangle.R[:, :-1][:, live] / root
    U, sigma, Vh = torch.linalg.svd(R, full_matrices=False)
    against_y = triangle.R[:, -1] / root * triangle_scale(sums)[-1]
    rotated = (U.T @ against_y) / sigma.clamp(min=1e-300)
    vectors = Vh.T
    if vectors.shape[1] < vectors.shape[0]:  # fewer rows than columns
        vectors = _completed(vectors)
        missing = vectors.shape[1] - sigma.numel()
        sigma = torch.cat([sigma, sigma.new_zeros(missing)])
        rotated = torch.cat([rotated, rotated.new_zeros(missing)])
    # A column far from zero is known only to eps·|mean|, and a direction that mixes
    # such columns can look this long without being there.
    blur = (
        torch.from_numpy(np.abs(sums.x_mean))[live] / scale[:-1][live] + sums.rows**0.25
    )
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
