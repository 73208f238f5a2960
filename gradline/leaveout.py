"""Ridge with each row left out, at every penalty, from one decomposition.

With the centred rows x_i, y_i, weights w_i, W = Σ w, and √w·x = U Σ Vᵀ, the line that
never saw row i misses it by

    e_i(α) = r_i(α) / (1 - h_i(α))
    r_i = y_i - Σ_j (Vᵀx_i)_j · σ_j c_j / (σ_j² + α),         c = Uᵀ(√w y)
    h_i = w_i/W + w_i · Σ_j (Vᵀx_i)_j² / (σ_j² + α)           (w_i/W goes without an
                                                               intercept)

where nothing is fitted anew. With no more rows than columns, r and 1 - h would be small
differences; U is then a whole basis, and both are sums of what α takes away,

    √w_i r_i = Σ_j U_ij c_j · α/(σ_j² + α)
    1 - h_i  = Σ_j U_ij² · α/(σ_j² + α) - w_i/W

Source: Allen, "The relationship between variable selection and data augmentation",
1974; Golub, Heath & Wahba, 1979. ridge.py does the same by passes over a source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gradline.data import Array
from gradline.rootsolve import eigh, svd
from gradline.rootstate import Root
from gradline.solvers import SAFE_CONDITION
from gradline.sparserows import Rows
from gradline.state import EPS, SMALL

#: Numbers in a block of rows.
BLOCK = 1 << 20


class LeftOut(NamedTuple):
    """Some rows: where they are, and their errors at each alpha, (b, k, A)."""

    rows: slice
    errors: Array


class Decomposition:
    """A root in the coordinates in which ridge shrinks each direction by itself.

    Args:
        root: of all the rows.
        rows: these rows.
        least: the smallest penalty that will be asked for.
    """

    def __init__(self, root: Root, rows: Rows, least: float = 0.0) -> None:
        self._root, self._rows = root, rows
        # Of these rows, in their order: then V is needed for the slopes alone.
        self._whole_rows = len(root.x) == len(rows.Y) <= root.features
        parts = self._of_gram() if self._whole_rows else self._of_scatter(least)
        self._U, self._sigma, self._Vh = svd(root.x) if parts is None else parts
        self._c = self._U.T @ root.y

    def _of_gram(self) -> tuple[Array, Array, Array | None] | None:
        """U and σ by x xᵀ; None where that would lose digits."""
        x = self._root.x
        values, vectors = eigh(x @ x.T)
        values, vectors = values[::-1], vectors[:, ::-1]
        none = values < 64 * EPS * len(values) * values[0]
        least = float(values[~none][-1]) if not none.all() else 0.0
        if none.sum() > self._root.intercept or (least * SAFE_CONDITION**2 < values[0]):
            return None
        return vectors, np.sqrt(np.where(none, 0.0, values)), None

    def _of_scatter(self, least: float) -> tuple[Array, Array, Array] | None:
        """U, σ and Vᵀ by xᵀx; None where that would lose digits."""
        x = self._root.x
        if len(x) < x.shape[1] - 1 or x.shape[1] <= SMALL // 4:
            return None
        values, vectors = eigh(x.T @ x)
        top = float(values[-1])
        if (max(0.0, float(values[0])) + least) * SAFE_CONDITION**2 < top:
            return None
        V = vectors[:, ::-1]
        U = x @ V
        sigma = np.linalg.norm(U, axis=0)
        return U / np.where(sigma > 0, sigma, 1.0), sigma, V.T

    def slopes(self, alphas: Array) -> Array:
        """The slopes at each alpha, (A, d, k)."""
        squares = np.square(self._sigma) + alphas[:, None]  # (A, m)
        if self._Vh is None:
            u = self._U @ (self._c / squares[:, :, None])  # (A, m, k)
            along: Array = self._root.x.T @ u
            return along
        found: Array = self._Vh.T @ ((self._sigma / squares)[:, :, None] * self._c)
        return found

    def left_out(self, alphas: Array) -> Iterator[LeftOut]:
        """The errors of rows that were left out, block by block.

        Infinite where a row alone determines some direction.
        """
        n, root = len(self._rows.Y), self._root
        numbers = len(self._sigma) + len(alphas) * (1 + root.targets)
        step = max(16, BLOCK // numbers)
        for start in range(0, n, step):
            some = slice(start, min(start + step, n))
            errors = self._whole if self._whole_rows else self._some
            yield LeftOut(some, errors(some, alphas))

    def _some(self, some: slice, alphas: Array) -> Array:
        root, (X, Y, weight) = self._root, self._rows
        d = root.features
        w = np.ones(len(Y[some])) if weight is None else weight[some]
        assert self._Vh is not None
        V = self._Vh.T
        if self._rows.sparse:
            along = X[some] @ V - root.mean @ V
        else:
            along = (X[some] - root.mean) @ V  # (b, m)
        size = np.square(self._sigma) + alphas[:, None]  # (A, m)
        h = np.square(along) @ (1 / size).T  # (b, A)
        if root.intercept:
            h += 1 / root.weight
        left = 1 - w[:, None] * h
        bent = (self._sigma / size).T  # (m, A)
        errors = np.empty((len(w), root.targets, len(alphas)))
        for j in range(root.targets):
            r = (Y[some, j] - root.level[j])[:, None]
            errors[:, j] = r - along @ (self._c[:, j, None] * bent)
        alone = left <= 4 * EPS * (d + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(alone[:, None], np.inf, errors / left[:, None])

    def _whole(self, some: slice, alphas: Array) -> Array:
        root, weight = self._root, self._rows.weight
        U, sigma = self._U, self._sigma
        w = np.ones(len(U[some])) if weight is None else weight[some]
        taken = alphas / (np.square(sigma)[:, None] + alphas)  # (m, A)
        gone = 0.0 * w
        if root.intercept:
            # Along √w the rows are 0. One such direction is left out, of more their
            # share is.
            none = sigma <= 64 * EPS * len(sigma) * sigma[0]
            if none.sum() == 1:
                taken[none] = 0.0
            else:
                gone = w / root.weight
        left = np.square(U[some]) @ taken - gone[:, None]
        errors = np.empty((len(w), root.targets, len(alphas)))
        for j in range(root.targets):
            errors[:, j] = U[some] @ (self._c[:, j, None] * taken)
        alone = left <= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = errors / left[:, None] / np.sqrt(w)[:, None, None]
        return np.where(alone[:, None], np.inf, found)
