"""From a state to the least-squares optimum.

The objective, over rows i with weights w_i and W = Σ w_i, is torch.nn.MSELoss:

    loss(b, c) = 1/W · Σ w_i (y_i - x_iᵀb - c)²

In coordinates that are centred and scaled, u_j = b_j · scale_j with scale_j the
standard deviation of column j, and `level` the prediction at the mean of x,

    loss = optimum_loss + ‖Σ Vᵀ (u - u*)‖² + (level - mean of y)²

where the correlation matrix of X is V Σ² Vᵀ. So the spectrum (V, Σ) says everything:
the solution, the rank, the condition, and how far any other coefficients are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gradline.state import Moments, Triangle

#: Moments square the condition number; past this they would lose half the digits.
SAFE_CONDITION = 1e4

EPS = float(torch.finfo(torch.float64).eps)


@dataclass(frozen=True)
class Spectrum:
    """The design's singular values and directions, centred and scaled.

    Attributes:
        scale: the standard deviation of each column, (d,); 0 where it is constant.
        sigma: singular values of the scaled design over √W, (m,), largest first,
            where m is the number of columns that are not constant.
        vectors: V, the right singular vectors, (d, m); zero rows at constant columns.
        rotated: the optimal scaled slopes along those directions, Vᵀu*, (m,).
        rank: how many singular values are above rounding.
    """

    scale: Tensor
    sigma: Tensor
    vectors: Tensor
    rotated: Tensor
    rank: int

    @property
    def columns(self) -> int:
        """d, constant columns included."""
        return int(self.scale.numel())

    @property
    def deficient(self) -> bool:
        """Whether some columns depend on others, or are constant."""
        return self.rank < self.columns

    @property
    def condition(self) -> float:
        """σmax/σmin of the scaled design; infinite where the rank is deficient."""
        if self.deficient or not self.rank:
            return float("inf")
        return float(self.sigma[0] / self.sigma[-1])

    def dependent(self) -> list[int]:
        """The columns that are constant or take part in a dependence."""
        null = self.vectors[:, self.rank :]
        involved = (null.abs() > 1e-6).any(dim=1)
        return torch.nonzero(involved | (self.scale == 0)).flatten().tolist()

    def solve(self) -> Tensor:
        """The optimal slopes in the units of the input, (d,).

        Where the rank is deficient: those of least Euclidean norm.
        """
        return self.to_raw(self.vectors[:, : self.rank] @ self.rotated[: self.rank])

    def inverse(self) -> Tensor:
        """(Xcᵀ diag(w) Xc / W)⁻¹ in raw units, (d, d); a pseudoinverse if deficient.

        Xc is X minus its mean. Times residual variance / W, it is the covariance of the
        slopes.
        """
        rows = self.vectors[:, : self.rank] / self.sigma[: self.rank]  # (d, r)
        rows = rows / self._safe_scale[:, None]
        return rows @ rows.T

    def newton_step(self, gradient: Tensor) -> Tensor:
        """The step of the raw slopes that zeroes `gradient` = Xcᵀ(w·r)/W, (d,)."""
        kept = self.vectors[:, : self.rank]
        scaled = torch.where(self.scale > 0, gradient / self._safe_scale, 0.0)
        return self.to_raw(
            kept @ ((kept.T @ scaled) / self.sigma[: self.rank].square())
        )

    def to_raw(self, u: Tensor) -> Tensor:
        """Scaled slopes as raw ones, (d,); of least norm where they are not unique."""
        slopes = torch.where(self.scale > 0, u / self._safe_scale, 0.0)
        null = self.vectors[:, self.rank :] / self._safe_scale[:, None]
        if null.shape[1]:
            basis = torch.linalg.qr(null / null.norm(dim=0)).Q
            for _ in range(2):  # the second time takes away what rounding left
                slopes = slopes - basis @ (basis.T @ slopes)
        return slopes

    def coordinates(self, slopes: Tensor) -> Tensor:
        """Σ Vᵀ u of raw slopes: its squared norm is what they add to the loss."""
        return self.sigma * (self.vectors.T @ (slopes * self.scale))

    @property
    def _safe_scale(self) -> Tensor:
        return torch.where(self.scale > 0, self.scale, 1.0)


def column_scale(moments: Moments) -> Tensor:
    """The standard deviations of [X y], (d + 1,), 0 where rounding explains them."""
    deviation = (moments.scatter.diagonal().clamp(min=0) / moments.weight).sqrt()
    noise = 4 * EPS * moments.mean.abs()
    return torch.where(deviation > noise, deviation, 0.0)


def from_moments(moments: Moments) -> Spectrum:
    """The spectrum through the eigenvalues of the correlation matrix.

    Good to SAFE_CONDITION; `needs_triangle` says whether it was.

    Source: the normal equations; Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 20.4.
    """
    scale = column_scale(moments)[:-1]
    live = scale > 0
    scatter = moments.scatter[:-1, :-1][live][:, live] / moments.weight
    s = scale[live]
    correlation = scatter / s[:, None] / s[None, :]
    values, vectors = torch.linalg.eigh((correlation + correlation.T) / 2)
    sigma = values.flip(0).clamp(min=0).sqrt()
    vectors = vectors.flip(1)
    against_y = moments.scatter[:-1, -1][live] / moments.weight / s
    rotated = (vectors.T @ against_y) / sigma.square().clamp(min=1e-300)
    return _spectrum(moments, scale, live, sigma, vectors, rotated)


def needs_triangle(spectrum: Spectrum) -> bool:
    """Whether squaring the condition number has cost more digits than it may."""
    if not spectrum.sigma.numel():
        return False
    return bool(spectrum.sigma[0] > SAFE_CONDITION * spectrum.sigma[-1])


def triangle_scale(moments: Moments) -> Tensor:
    """What a Triangle divides [X y] by: standard deviations, 1 where constant."""
    scale = column_scale(moments)
    return torch.where(scale > 0, scale, 1.0)


def from_triangle(moments: Moments, triangle: Triangle) -> Spectrum:
    """The spectrum through the singular values of R: nothing is squared.

    Source: Golub & Van Loan, Matrix Computations, 4th ed., section 5.3.
    """
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
    return _spectrum(moments, scale[:-1], live, sigma, vectors, rotated)


def _completed(vectors: Tensor) -> Tensor:
    """Orthonormal columns (m, k) extended to a whole basis (m, m)."""
    whole = torch.linalg.qr(vectors, mode="complete").Q
    return torch.cat([vectors, whole[:, vectors.shape[1] :]], dim=1)


def _spectrum(
    moments: Moments,
    scale: Tensor,
    live: Tensor,
    sigma: Tensor,
    vectors: Tensor,
    rotated: Tensor,
) -> Spectrum:
    """Put constant columns back, and say which singular values are only rounding."""
    # A column far from zero is known only to eps·|mean|, and a direction that mixes
    # such columns can look this long without being there.
    blur = moments.mean[:-1][live].abs() / scale[live] + moments.rows**0.25
    floor = 4 * EPS * (vectors.abs() * blur[:, None]).sum(0)
    top = sigma[0] if sigma.numel() else 0.0
    sure = (sigma > floor) & (sigma > 4 * EPS * top * len(sigma) ** 0.5)
    rank = int(sure.int().cumprod(0).sum())
    full = torch.zeros(scale.numel(), sigma.numel(), dtype=torch.float64)
    full[live] = vectors
    return Spectrum(scale, sigma, full, rotated, rank)
