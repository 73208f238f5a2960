"""Ridge at every penalty, for every target, from one eigendecomposition of the state.

objective.py states the objective; with scale_j the standard deviation of column j (1
where features are not standardised), C = Xcᵀ diag(w) Xc / (W · scale scaleᵀ) = V Λ Vᵀ
and u = b · scale, its optimum is

    u(α) = V (Λ + α)⁻¹ Vᵀ · Xcᵀ diag(w) yc / (W · scale)

Written with the state's own line u₀ and the residuals r of it (state.py), so that
nothing large is subtracted:

    Vᵀu(α) = (Λ·Vᵀu₀ + Vᵀ(Xcᵀ diag(w) r / (W · scale))) / (Λ + α)

Two scores need no folds, n being the rows that count and H(α) the matrix that takes y
to its predictions:

    generalised   GCV(α) = MSE(α) / (1 - trace H(α)/n)²,  trace H = 1 + Σ Λ/(Λ + α)
    leave-one-out LOO(α) = 1/W · Σ w_i (r_i(α) / (1 - h_i(α)))²,
                  h_i = w_i/W · (1 + Σ_j (Vᵀz_i)_j² / (Λ_j + α)),  z = (x - mean)/scale

The first asks the state alone, the second one more pass over the rows, for all alphas
at once. The scale is that of all rows in both. Without an intercept the 1s go, and
nothing is centred.

Sources: Golub, Heath & Wahba, "Generalized cross-validation as a method for choosing a
good ridge parameter", 1979; Allen, "The relationship between variable selection and
data augmentation", 1974 (PRESS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gradline.data import Array, Chunk
from gradline.scaled import scaled
from gradline.state import SMALL, Moments

#: Alphas go from so many times the largest eigenvalue, where slopes have all but
#: vanished, down to this share of it, where they are those of least squares.
LARGEST_SHARE, LEAST_SHARE = 1e3, 1e-8

#: Eigenvalues below this share of the largest are rounding.
_ROUNDING = 1e-14

#: Numbers in a block of rows of the leave-one-out pass.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Eigen:
    """A state in the coordinates in which ridge shrinks each direction by itself.

    Attributes:
        values: Λ, (d,), 0 where rounding explains it.
        vectors: V over the scale, (d, d): coordinates to raw slopes; 0 for constants.
        line: Vᵀu₀, (d, k).
        rest: Vᵀ(Xcᵀ diag(w) r / (W · scale)), (d, k).
        mean: of x, (d,).
        level: the mean of y, (k,).
        weight: W.
        counted: n.
        intercept: whether there is one.
        loss: Σ w r² / W about the line, (k,).
    """

    values: Array
    vectors: Array
    line: Array
    rest: Array
    mean: Array
    level: Array
    weight: float
    counted: int
    intercept: bool
    loss: Array

    def coordinates(self, alphas: Array) -> Array:
        """Vᵀu at each alpha, (A, d, k); 0 in a direction that nothing determines."""
        pull = self.values[:, None] * self.line + self.rest
        size = self.values + alphas[:, None]
        floor = _ROUNDING * max(float(self.values.max(initial=0.0)), 1e-300)
        inverse = np.where(size > floor, 1 / np.maximum(size, 1e-300), 0.0)
        return inverse[:, :, None] * pull

    def slopes(self, coordinates: Array) -> Array:
        """Raw slopes, (A, d, k)."""
        slopes: Array = self.vectors @ coordinates
        return slopes

    def losses(self, coordinates: Array) -> Array:
        """The mean squared error at each alpha, (A, k): a sum of what is not below 0.

        Beyond the state's line, (u - u₀)ᵀ C (u - u₀) - 2 (u - u₀)ᵀ·rest.
        """
        off = coordinates - self.line
        beyond = (off * (self.values[:, None] * off - 2 * self.rest)).sum(axis=1)
        losses: Array = np.maximum(self.loss + beyond, 0.0)
        return losses

    def freedom(self, alphas: Array) -> Array:
        """trace H, the effective number of coefficients, (A,)."""
        size = self.values + alphas[:, None]
        shares = np.divide(self.values, size, out=np.zeros_like(size), where=size > 0)
        found: Array = self.intercept + shares.sum(axis=1)
        return found


def eigen(moments: Moments, standardize: bool = True) -> Eigen:
    """A state's eigendecomposition.

    Args:
        moments: the state, of d features and k targets; it stays as it is.
        standardize: whether slopes of standardised features are counted.
    """
    state, sums, live, divide, matrix, pull = scaled(moments, standardize)
    found, V = _eigh(matrix)
    found = np.where(found > _ROUNDING * max(float(found[-1]), 0.0), found, 0.0)
    return Eigen(
        found,
        np.where(live[:, None], V / divide[:, None], 0.0),
        V.T @ (state.line * (divide * live)[:, None]),
        V.T @ pull,
        sums.x_mean,
        sums.y_mean,
        state.weight,
        sums.counted,
        state.intercept,
        state.rr / state.weight,
    )


def _eigh(matrix: Array) -> tuple[Array, Array]:
    if len(matrix) <= SMALL:
        values, vectors = np.linalg.eigh(matrix)
        return values, vectors
    found = torch.linalg.eigh(torch.from_numpy(matrix))
    return found.eigenvalues.numpy(), found.eigenvectors.numpy()


def ridge_path(
    moments: Moments, alphas: Array, standardize: bool = True
) -> tuple[Array, Array]:
    """Ridge slopes and intercepts at each alpha, for each target.

    Args:
        moments: the state, of d features and k targets.
        alphas: (A,), 0 or more.
        standardize: whether slopes of standardised features are counted.

    Returns:
        Slopes (A, d, k) and intercepts (A, k), in the units of the input.

    Equivalent: sklearn.linear_model.Ridge(alpha * W) on scaled features, once for each.
    """
    found = eigen(moments, standardize)
    slopes = found.slopes(found.coordinates(np.asarray(alphas, dtype=np.float64)))
    along = np.einsum("d,adk->ak", found.mean, slopes)
    return slopes, (found.level - along) * found.intercept


def ridge_alphas(moments: Moments, standardize: bool = True, count: int = 100) -> Array:
    """A grid of alphas for a state, (count,), from large to small.

    It spans eleven decades about the largest eigenvalue, by the features alone: all
    targets have the same.
    """
    return alphas_about(float(eigen(moments, standardize).values[-1]), count)


def alphas_about(largest: float, count: int = 100) -> Array:
    """As `ridge_alphas`, about the largest eigenvalue, where that is known."""
    top = np.log10(LARGEST_SHARE * largest) if largest > 0 else 0.0
    low = np.log10(LEAST_SHARE / LARGEST_SHARE)
    return np.logspace(top, top + low, count)


def generalised(moments: Moments, alphas: Array, standardize: bool = True) -> Array:
    """The generalised cross-validation score at each alpha, (A, k): GCV above.

    Infinite where as many coefficients are free as there are rows.
    """
    found = eigen(moments, standardize)
    alphas = np.asarray(alphas, dtype=np.float64)
    left = 1 - found.freedom(alphas) / found.counted
    losses = found.losses(found.coordinates(alphas))
    scores = losses / np.where(left > 1e-12, left, np.nan)[:, None] ** 2
    return np.where(np.isnan(scores), np.inf, scores)


class LeaveOneOut:
    """LOO above at each alpha, for each target: an accumulator of chunks.

    Args:
        found: the state of all rows, in its own coordinates.
        alphas: (A,).
    """

    def __init__(self, found: Eigen, alphas: Array) -> None:
        self._found = found
        size = found.values + np.asarray(alphas, dtype=np.float64)[:, None]
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
        self._inverse = inverse.T / found.weight  # (d, A)
        coordinates = found.coordinates(np.asarray(alphas, dtype=np.float64))
        self._coordinates = coordinates.transpose(2, 1, 0)  # (k, d, A)
        self._sums = np.zeros((len(alphas), len(found.level)))

    def add(self, chunk: Chunk) -> LeaveOneOut:
        """Take in rows, y (rows,) or (rows, k); return self."""
        rows, alphas = len(chunk.y), len(self._sums)
        step = max(64, _BLOCK // (alphas + len(self._found.values)))
        for start in range(0, rows, step):
            some = slice(start, start + step)
            weight = None if chunk.weight is None else chunk.weight[some]
            self._block(chunk.X[some], chunk.y[some], weight)
        return self

    def merge(self, other: LeaveOneOut) -> None:
        """Take in another's rows."""
        self._sums += other._sums

    def value(self) -> Array:
        """LOO, (A, k): infinite where a row determines its own prediction."""
        return self._sums / self._found.weight

    def _block(self, X: Array, y: Array, weight: Array | None) -> None:
        found = self._found
        T = np.dot(X - found.mean * found.intercept, found.vectors)  # (b, d)
        leverage = np.dot(np.square(T), self._inverse)  # (b, A)
        leverage += found.intercept / found.weight
        if weight is not None:
            leverage *= weight[:, None]
        left = 1 - leverage
        left[left < 1e-12] = np.nan
        Y = y[:, None] if y.ndim == 1 else y
        for k, coordinates in enumerate(self._coordinates):
            residual = np.dot(T, -coordinates)
            residual += (Y[:, k] - found.level[k] * found.intercept)[:, None]
            residual /= left
            np.square(residual, out=residual)
            if weight is not None:
                residual *= weight[:, None]
            sums = residual.sum(axis=0)
            self._sums[:, k] += np.where(np.isnan(sums), np.inf, sums)
