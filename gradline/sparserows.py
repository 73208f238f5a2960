"""Sparse rows: sums by products, blocks made dense, and what is too large for either.

Sparse rows are never made dense as a whole. Where columns are few, their sums come from
sparse products and are centred by formula,

    Σ w (x - mean)(x - mean)ᵀ = XᵀWX - W·mean·meanᵀ

which costs what the entries cost, and loses digits only where means are large beside
deviations. There, and for columns that nearly depend on one another, a block of rows
after the other is made dense and goes into a root. With many columns there is neither:
then slopes come from products with vectors alone, by LSQR on rows that are centred by
formula.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from gradline.data import Array, Chunk
from gradline.rootsolve import Slopes
from gradline.rootstate import Root
from gradline.state import FAR, Moments, Products

#: A block that is made dense has so many numbers: 32 MB.
DENSE_NUMBERS = 1 << 22

#: More columns than this, or a root of more numbers, and there are no sums.
MOST_COLUMNS = 4096

#: LSQR goes on until the residual, or what X still explains of it, is this share.
TOLERANCE = 1e-12

#: What LSQR says where it has come to the end of its steps.
OUT_OF_STEPS = 7


class Rows(NamedTuple):
    """What is fitted on: all finite.

    X: (n, d) array, float32 or float64, or a scipy sparse matrix in CSR.
    Y: (n, k) float64. weight: (n,) float64 of 0 or more, or None.
    """

    X: Any
    Y: Array
    weight: Array | None

    @property
    def sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return hasattr(self.X, "tocsr")


def too_large(rows: Rows) -> bool:
    """Whether neither the sums nor a root of sparse rows should be made."""
    n, d = rows.X.shape
    return bool(d > MOST_COLUMNS and n * d > DENSE_NUMBERS)


def sparse_moments(rows: Rows, intercept: bool) -> Moments | None:
    """The sums of sparse rows, centred by formula; None where that loses digits."""
    X, Y, w = rows
    X = X.astype(np.float64, copy=False)
    n, d = X.shape
    W = float(n) if w is None else float(w.sum())
    level = np.average(Y, axis=0, weights=w) * intercept
    r = Y - level
    wr = r if w is None else r * w[:, None]
    weighted = X if w is None else X.multiply(w[:, None]).tocsr()
    zz = (X.T @ weighted).toarray()
    z = np.asarray(weighted.sum(axis=0)).ravel()
    squares = zz.diagonal()
    moved = z * z / W * intercept
    if (moved > FAR * (squares - moved)).any():
        return None
    counted = n if w is None else int(np.count_nonzero(w))
    products = Products(z, zz, X.T @ wr, wr.sum(0), (wr * r).sum(0))
    empty = Moments(d, Y.shape[1], intercept)
    return empty._add_products(n, counted, W, level, products)


def by_blocks(rows: Rows, intercept: bool, overwrite: bool = False) -> Root:
    """The root of the rows; of sparse ones, a block made dense at a time."""
    X, Y, w = rows
    n, d = X.shape
    root = Root(d, Y.shape[1], intercept)
    if not rows.sparse:
        return root.add(Chunk(X, Y, w), overwrite)
    step = max(1, DENSE_NUMBERS // d)
    for start in range(0, n, step):
        some = slice(start, start + step)
        block = X[some].toarray().astype(np.float64, copy=False)
        weight = None if w is None else w[some]
        root.add(Chunk(block, Y[some], weight), overwrite=True)
    return root


def outright(rows: Rows, alphas: Array, intercept: bool) -> tuple[Slopes, Array, Array]:
    """Slopes by LSQR, from products of X with vectors alone, and the means.

    Args:
        rows: of the data, X sparse.
        alphas: the ridge penalty of each target, (k,).
        intercept: False for lines through the origin.

    Source: Paige & Saunders, "LSQR: an algorithm for sparse linear equations and sparse
    least squares", 1982, as scipy.sparse.linalg.lsqr has it.
    """
    from scipy.sparse.linalg import LinearOperator, lsqr

    X, Y, w = rows
    X = X.astype(np.float64, copy=False)
    n, d = X.shape
    root = np.ones(n) if w is None else np.sqrt(w)
    W = float(root @ root)
    share = root * root / W
    mean = (X.T @ share) * intercept
    level = (share @ Y) * intercept
    centred = (Y - level) * root[:, None]

    def along(b: Array) -> Array:
        found: Array = root * (X @ b.ravel() - mean @ b.ravel())
        return found

    def against(r: Array) -> Array:
        wr = root * r.ravel()
        found: Array = X.T @ wr - mean * wr.sum()
        return found

    operator = LinearOperator((n, d), matvec=along, rmatvec=against, dtype=np.float64)
    slopes = np.zeros((d, Y.shape[1]))
    for j, alpha in enumerate(alphas):
        found = lsqr(
            operator,
            centred[:, j],
            damp=float(alpha) ** 0.5,
            atol=TOLERANCE,
            btol=TOLERANCE,
            conlim=0,
            iter_lim=max(1000, 2 * min(n, d)),
        )
        slopes[:, j], stopped = found[:2]
        if stopped == OUT_OF_STEPS:
            warnings.warn(
                f"LSQR stopped after {found[2]:,} steps, short of the optimum: columns "
                "of X nearly depend on one another; leave some out, or give an alpha",
                RuntimeWarning,
                stacklevel=2,
            )
    return Slopes(slopes, -1), mean, level
