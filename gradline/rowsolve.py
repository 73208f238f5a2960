"""From rows in memory to a root and slopes: what an estimator's `fit` does.

Rows go into the sums of state.py, by a thread for each core, where these keep the
digits: many rows, and columns that do not nearly depend on one another. Else they go
into a root (rootstate.py) by QR, which squares nothing. Few rows, and fewer rows than
columns, go there at once.

Columns that depend on others outright are seen in the sums: the rest is solved there,
and what they add is measured on the rows.

Sparse rows have ways of their own: see sparserows.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from gradline.cluster import map_merge
from gradline.data import CACHE_BYTES, CACHE_ROWS, Array, Chunk
from gradline.errors import DataError
from gradline.pivoted import Pivoted, Shifted, from_pivots
from gradline.rootsolve import (
    Slopes,
    least_squares,
    nonnegative,
    ridge,
    singular_values,
)
from gradline.rootstate import Root, root_of
from gradline.solvers import (
    Direct,
    Solution,
    from_moments,
    solve_moments,
)
from gradline.sparserows import Rows, by_blocks, outright, sparse_moments, too_large
from gradline.state import EPS, Centred, Moments
from gradline.threads import blas_threads, threads_for

#: Up to so many products QR is as fast as the sums, and keeps all digits.
FEW_PRODUCTS = 300_000

#: Sparse rows are not made dense for QR where it would make more products than this.
MOST_PRODUCTS = 1e12

#: So many numbers are worth waking a thread for each core.
SHARED_NUMBERS = 1_000_000

#: A state whose line was off by so much has lost digits: see survey.py.
LINE_OFF = 4.0
LOSS_OFF = 1e-12


class Found(NamedTuple):
    """A root of the rows, None where it would be too large, slopes, means of x and y.

    mean (d,) and level (k,) are 0 without an intercept.
    """

    root: Root | None
    slopes: Slopes
    mean: Array
    level: Array


def observe(
    rows: Rows,
    alphas: Array,
    *,
    intercept: bool = True,
    positive: bool = False,
    tol: float | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    solved: bool = True,
) -> Found:
    """The root of the rows, and the slopes.

    Args:
        rows: of the data.
        alphas: the ridge penalty of each target, (k,).
        intercept: False for lines through the origin.
        positive: whether slopes are 0 or more.
        tol: see rootsolve.least_squares.
        threads: at most so many; as many as torch takes unless told.
        overwrite: whether X may be centred where it lies, and kept.
        solved: False for the root alone.
    """
    n, d = rows.X.shape
    k = rows.Y.shape[1]
    with threads_for(n * (d + k) ** 2 + 10.0 * min(n, d) * d * d, threads):
        if rows.sparse and too_large(rows):
            return Found(None, *outright(rows, alphas, intercept))
        if rows.sparse:
            moments = sparse_moments(rows, intercept) if d <= n else None
        else:
            many = n > 2 * (d + k) and n * (d + k) ** 2 > FEW_PRODUCTS
            moments = dense_moments(rows, intercept, threads) if many else None
        root = slopes = None
        if moments is not None:
            root, slopes = _from_moments(moments, rows, alphas)
        if root is None and rows.sparse and n * d * d > MOST_PRODUCTS:
            return Found(None, *outright(rows, alphas, intercept))
        if root is None:
            root = by_blocks(rows, intercept, overwrite)
        if not solved:
            slopes = Slopes(np.zeros((d, k)), -1)
        elif slopes is None or positive or _cuts(root, tol):
            slopes = solve(root, alphas, positive, tol)
        return Found(root, slopes, root.mean, root.level)


def root_of_rows(rows: Rows, intercept: bool, threads: int | None) -> Root:
    """The root alone.

    Raises:
        DataError: sparse rows that are too large for one.
    """
    if rows.sparse and too_large(rows):
        n, d = rows.X.shape
        raise DataError(
            f"X is sparse with {n:,} rows and {d:,} columns, too many to leave rows "
            "out: give folds, cv=5, or fewer columns"
        )
    nothing = np.zeros(rows.Y.shape[1])
    found = observe(rows, nothing, intercept=intercept, threads=threads, solved=False)
    assert found.root is not None
    return found.root


def _cuts(root: Root, tol: float | None) -> bool:
    """Whether a tolerance takes away some of the rank."""
    if tol is None:
        return False
    sigma = singular_values(root.x)
    return bool(sigma[-1] <= tol * sigma[0])


def solve(root: Root, alphas: Array, positive: bool, tol: float | None) -> Slopes:
    """The slopes of a root: see rootsolve.py."""
    m, d = root.x.shape
    with threads_for(10.0 * m * d * d):
        if positive:
            return nonnegative(root, alphas)
        if alphas.any():
            return ridge(root, alphas)
        return least_squares(root, tol)


def dense_moments(rows: Rows, intercept: bool, threads: int | None) -> Moments:
    """The sums of dense rows, by several threads where they are many."""
    X, Y, w = rows
    n, d = X.shape
    k = Y.shape[1]
    allowed = torch.get_num_threads()
    workers = allowed if threads is None else min(threads, allowed)
    if n * (d + k) < SHARED_NUMBERS:
        workers = 1
    step = max(CACHE_ROWS, CACHE_BYTES // (8 * (d + k)))
    target = Y[:, 0] if k == 1 else Y

    def parts() -> Iterator[Iterator[Chunk]]:
        for start in range(0, n, step):
            some = slice(start, start + step)
            part = Chunk(X[some], target[some], None if w is None else w[some])
            yield iter([part])

    make = partial(Moments, d, k, intercept)
    with blas_threads(1 if workers > 1 else None):
        return map_merge(parts, make, Moments.add_checked, workers)


def _from_moments(
    moments: Moments, rows: Rows, alphas: Array
) -> tuple[Root | None, Slopes | None]:
    """Root and slopes by the sums; none where they would lose digits."""
    if moments.weight <= 0:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        moments.fit_line()
        sums = moments.value()
    if not (np.isfinite(sums.xx).all() and np.isfinite(sums.yy).all()):
        raise DataError(
            "X or y holds numbers too large to square: divide them by a power of ten "
            "first"
        )
    spectrum: Direct | None = from_moments(sums) or _deficient(sums, rows)
    if spectrum is None:
        return None, None
    solution = solve_moments(moments, spectrum)
    if spectrum.deficient or _off(solution, spectrum):
        solution = _improved(solution, spectrum, moments, rows)
    root = root_of(moments, spectrum.upper().numpy(), solution)
    slopes = solution.slopes
    if alphas.any():
        shrunk = _shrunk(sums.xx, slopes, alphas)
        return root, None if shrunk is None else Slopes(shrunk, spectrum.rank)
    return root, Slopes(slopes, spectrum.rank)


def _deficient(sums: Centred, rows: Rows) -> Pivoted | None:
    """The spectrum where some columns depend on others and the rest is well off.

    The sums tell a direction of length 0 only to half the digits, so each is measured
    on the rows. None where one is there after all.
    """
    found = from_pivots(sums)
    if found is None:
        return None
    scale, V = found.scale, found.directions
    d, many = V.shape
    null = np.where(scale[:, None] > 0, V / np.where(scale > 0, scale, 1)[:, None], 0.0)
    squares, shift = np.zeros(many), sums.x_mean @ null
    step = max(CACHE_ROWS, CACHE_BYTES // (8 * d))
    for start in range(0, len(rows.Y), step):
        some = slice(start, start + step)
        x = rows.X[some]
        along = x @ null - shift if rows.sparse else (x - sums.x_mean) @ null
        w = 1.0 if rows.weight is None else rows.weight[some, None]
        squares += (w * along**2).sum(axis=0)
    lengths = np.sqrt(squares / sums.weight)
    blur = np.where(scale > 0, np.abs(sums.x_mean) / np.where(scale > 0, scale, 1), 0.0)
    floor = 4 * EPS * (np.abs(V).T @ (blur + sums.rows**0.25))
    floor += 16 * EPS * d**0.5 * found.kept_condition  # V is rounded too
    return found if (lengths <= floor).all() else None


def _off(solution: Solution, spectrum: Direct) -> bool:
    """Whether the state's line was no guide to all rows, so that digits were lost."""
    moved = spectrum.condition * solution.moved > LINE_OFF * np.sqrt(solution.loss)
    return bool(moved.any() or (solution.loss_error > LOSS_OFF * solution.loss).any())


def _improved(
    solution: Solution, spectrum: Direct, moments: Moments, rows: Rows
) -> Solution:
    """The solution by one Newton's step from the residuals' own gradient."""
    X, Y, w = rows
    n, d = X.shape
    mean = moments.x_mean
    gradient, squares = np.zeros_like(solution.slopes), np.zeros(Y.shape[1])
    step = max(CACHE_ROWS, CACHE_BYTES // (8 * (d + Y.shape[1])))
    for start in range(0, n, step):
        some = slice(start, start + step)
        x = X[some]
        if rows.sparse:
            along = x @ solution.slopes - mean @ solution.slopes
        else:
            x = x - mean
            along = x @ solution.slopes
        r = Y[some] - solution.level - along
        wr = r if w is None else r * w[some, None]
        gradient += x.T @ wr
        if rows.sparse:
            gradient -= np.outer(mean, wr.sum(0))
        squares += (wr * r).sum(0)
    W = moments.weight
    step_ = spectrum.newton_step(torch.from_numpy(gradient / W)).numpy()
    drop = (step_ * gradient).sum(0) / W
    slopes = solution.slopes + step_
    return solution._replace(
        slopes=slopes,
        intercept=solution.level - mean @ slopes,
        loss=np.maximum(squares / W - drop, 0.0),
    )


def _shrunk(xx: Array, best: Array, alphas: Array) -> Array | None:
    """Ridge slopes, (d, k), from the least-squares ones, b₀; None where unsafe.

    b = b₀ - α (C + α)⁻¹ b₀ where that takes little away, else (C + α)⁻¹ C b₀; and a
    step of refinement, of C (b₀ - b) = α b.
    """
    slopes = best.copy()
    for alpha in np.unique(alphas[alphas > 0]):
        these = alphas == alpha
        factor = Shifted(xx, float(alpha))
        if not factor.safe:
            return None
        first = best[:, these]
        gone = alpha * factor.solve(first)
        direct = factor.solve(xx @ first)
        little = np.linalg.norm(gone, axis=0) < np.linalg.norm(direct, axis=0) / 2
        found = np.where(little, first - gone, direct)
        found += factor.solve(
            xx @ np.where(little, gone, first - direct) - alpha * found
        )
        slopes[:, these] = found
    return slopes
