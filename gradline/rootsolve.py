"""From a root of the scatter to slopes: least squares, ridge, and none below 0.

With a root (x, y) as in rootstate.py,

    least squares   ‖y - x b‖²                  of least norm where many b fit
    ridge           ‖y - x b‖² + α ‖b‖²         scikit-learn's Ridge(alpha=α)
    nonnegative     either of them, b_j ≥ 0

whose penalty counts raw slopes and a sum of squares, where objective.py counts means.

Ranks are judged on columns scaled to equal length, so that they do not depend on units:
a singular value counts where it is above what rounding makes of the rows. A tolerance
of the user's own is one of the raw columns, as in scipy.linalg.lstsq.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from gradline.coordinate import Terms, minimise
from gradline.data import Array, Mask
from gradline.errors import DataError
from gradline.freeslopes import Quadratic
from gradline.pivoted import Shifted
from gradline.rootstate import Root
from gradline.solvers import SAFE_CONDITION
from gradline.state import EPS, SMALL
from gradline.threads import one_thread

#: Rounds of refinement after a solve by x xᵀ.
ROUNDS = 2

#: With so many rows at most, x xᵀ costs little beside the decomposition it saves.
MOST_ROWS = 6000

#: Decompositions of up to so many columns are left to one thread.
ALONE = 2500


class Slopes(NamedTuple):
    """What is found: slopes (d, k), and the rank of the centred columns."""

    slopes: Array
    rank: int


def svd(matrix: Array) -> tuple[Array, Array, Array]:
    """The thin singular value decomposition: U, σ, Vᵀ.

    Divide and conquer, which can fail where many values are alike; then QR steps,
    which are slower.
    """
    try:
        with _alone(min(matrix.shape)):
            U, sigma, Vh = np.linalg.svd(matrix, full_matrices=False)
        return U, sigma, Vh
    except np.linalg.LinAlgError:
        from scipy.linalg import svd as steady

    try:
        steady_parts = steady(matrix, full_matrices=False, lapack_driver="gesvd")
    except (ValueError, np.linalg.LinAlgError):
        raise DataError(
            "the singular values of X could not be found: give fewer columns, or an "
            "alpha above 0"
        ) from None
    left, lengths, right = (np.asarray(p, dtype=np.float64) for p in steady_parts)
    return left, lengths, right


def singular_values(matrix: Array) -> Array:
    """The singular values, largest first."""
    try:
        with _alone(min(matrix.shape)):
            sigma = np.linalg.svd(matrix, compute_uv=False)
    except np.linalg.LinAlgError:
        sigma = svd(matrix)[1]
    return np.asarray(sigma, dtype=np.float64)


def column_scale(root: Root) -> Array:
    """The standard deviation of each column of x, (d,), 0 where it is rounding."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("md,md->d", root.x, root.x)
    if not np.isfinite(squares).all():
        raise DataError(
            "X holds numbers too large to square: divide the columns by a power of ten "
            "first"
        )
    found = np.sqrt(squares / root.weight) if root.weight else squares
    return np.where(found > 4 * EPS * np.abs(root.mean), found, 0.0)


class Scaled(NamedTuple):
    """The decomposition of x / (scale·√W): U, σ, Vᵀ, and which σ are no rounding.

    live: the columns that vary, of which the decomposition is.
    """

    U: Array
    sigma: Array
    Vh: Array
    rank: int
    scale: Array
    live: Mask


def decompose(root: Root, scale: Array, quick: bool = False) -> Scaled:
    """The root in scaled columns, with its rank.

    Args:
        root: of the rows.
        scale: of the columns, 0 where constant.
        quick: whether singular vectors to half the digits will do, as for measuring.
    """
    live = scale > 0
    size = scale[live] * root.weight**0.5
    scaled = (root.x[:, live] if not live.all() else root.x) / size
    parts = _by_gram(scaled) if quick else None
    U, sigma, Vh = parts or svd(scaled)
    top = float(sigma[0]) if len(sigma) else 0.0
    # A column far from zero is known only to eps·|mean|, and a direction that mixes
    # such columns can look this long without being there. Of many rows that are alike,
    # as those of categories, roundings add up as √n.
    blur = np.abs(root.mean[live]) / scale[live]
    blur += max(root.rows**0.25, root.rows**0.5 / 4)
    floor = 4 * EPS * (np.abs(Vh) @ blur)
    sure = (sigma > floor) & (sigma > 4 * EPS * top * len(sigma) ** 0.5)
    return Scaled(U, sigma, Vh, int(sure.cumprod().sum()), scale, live)


def _by_gram(x: Array) -> tuple[Array, Array, Array] | None:
    """U, σ, Vᵀ by the eigenvalues of xᵀx; None where the rank would be in doubt.

    What is short beside the longest is either rounding or tells that digits are lost.
    The lengths are those of x along the eigenvectors: they are not squared.
    """
    d = x.shape[1]
    if d <= SMALL // 4 or len(x) < d - 1:
        return None
    vectors = eigh(x.T @ x)[1][:, ::-1]
    U = x @ vectors
    sigma = np.linalg.norm(U, axis=0)
    order = np.argsort(-sigma)
    U, sigma, vectors = U[:, order], sigma[order], vectors[:, order]
    short = sigma * SAFE_CONDITION < sigma[0]
    if 2 * short.sum() > d or (sigma[short] > 64 * EPS * d * sigma[0]).any():
        return None
    return U / np.where(sigma > 0, sigma, 1.0), sigma, vectors.T


def least_squares(root: Root, tol: float | None = None) -> Slopes:
    """The least-squares slopes, of least Euclidean norm where they are not unique.

    Args:
        root: of the rows.
        tol: singular values of x at most this share of the largest count as 0; None
            for those that rounding explains, whatever the units of the columns.

    Equivalent: scipy.linalg.lstsq(Xc, yc, cond=tol).
    """
    scale = column_scale(root)
    if tol is not None:
        U, sigma, Vh = svd(root.x)
        share = max(tol, EPS * max(root.x.shape))
        rank = int((sigma > share * sigma[:1]).sum())
        inner = (U[:, :rank].T @ root.y) / sigma[:rank, None]
        return Slopes(Vh[:rank].T @ inner, rank)
    if len(root.x) < root.features and len(root.x) <= MOST_ROWS:
        found = by_rows(root, 0.0)
        if found is not None:
            return found
    return least_norm(root, decompose(root, scale))


def least_norm(root: Root, parts: Scaled) -> Slopes:
    """The slopes of least norm of a decomposed root."""
    U, sigma, Vh, rank, scale, live = parts
    slopes = np.zeros((root.features, root.targets))
    root_weight = root.weight**0.5
    inner = (U[:, :rank].T @ root.y) / (sigma[:rank, None] * root_weight)
    if rank == int(live.sum()):
        slopes[live] = (Vh.T @ inner) / scale[live, None]
    elif rank:
        # V_rᵀ·scale·b = inner has many solutions: the least is in the rows' own span.
        basis, R = np.linalg.qr((Vh[:rank] * scale[live]).T)
        slopes[live] = basis @ np.linalg.solve(R.T, inner)
    return Slopes(slopes, rank)


def by_rows(root: Root, alpha: float) -> Slopes | None:
    """Slopes by x xᵀ, for fewer rows than columns; None where that would lose digits.

    b = xᵀu with (x xᵀ + α) u = y. Centred rows sum to nothing along √w: there, and
    only there, x xᵀ may be 0, and so is y.
    """
    x, y = root.x, root.y
    gram = x @ x.T
    values, vectors = eigh(gram)
    top, m = float(values[-1]), len(gram)
    none = int((values < 64 * m * EPS * top).sum())
    if none > root.intercept or values[none] * SAFE_CONDITION**2 < top or top <= 0:
        return None
    basis, size = vectors[:, none:], values[none:, None] + alpha
    u = basis @ ((basis.T @ y) / size)
    for _ in range(ROUNDS):
        off = y - x @ (x.T @ u) - alpha * u
        u += basis @ ((basis.T @ off) / size)
    return Slopes(x.T @ u, m - none)


def ridge(root: Root, alphas: Array) -> Slopes:
    """The ridge slopes of each target, under a penalty of its own.

    Args:
        root: of the rows.
        alphas: (k,), 0 or more.

    Equivalent: sklearn.linear_model.Ridge(alpha=alphas).
    """
    slopes = np.zeros((root.features, root.targets))
    column_scale(root)  # refuses what is too large
    rank = -1
    for alpha in np.unique(alphas):
        these = alphas == alpha
        part = root if these.all() else _of_targets(root, these)
        if alpha == 0:
            slopes[:, these], rank = least_squares(part)
            continue
        found = None
        if len(root.x) < root.features and len(root.x) <= MOST_ROWS:
            found = by_rows(part, float(alpha))
        if found is not None:
            slopes[:, these] = found.slopes
            continue
        slopes[:, these] = _shrunk(part, float(alpha))
    return Slopes(slopes, rank)


def _shrunk(root: Root, alpha: float) -> Array:
    """V diag(σ / (σ² + α)) Uᵀ y, by a factor of xᵀx + α where that keeps the digits."""
    x, y = root.x, root.y
    factor = Shifted(x.T @ x, alpha)
    if factor.safe:
        slopes = factor.solve(x.T @ y)
        for _ in range(ROUNDS):
            slopes += factor.solve(x.T @ (y - x @ slopes) - alpha * slopes)
        return slopes
    U, sigma, Vh = svd(root.x)
    with np.errstate(divide="ignore", invalid="ignore"):
        bent = np.where(sigma > 0, 1 / (sigma + alpha / sigma), 0.0)
    found: Array = Vh.T @ (bent[:, None] * (U.T @ root.y))
    return found


def nonnegative(root: Root, alphas: Array) -> Slopes:
    """The slopes of each target with none below 0, under a penalty of its own.

    Args:
        root: of the rows.
        alphas: (k,), 0 or more.

    Equivalent: scipy.optimize.nnls(Xc, yc); sklearn.linear_model.Ridge(positive=True).
    """
    live = column_scale(root) > 0
    slopes = np.zeros((root.features, root.targets))
    for j, alpha in enumerate(alphas) if live.any() else ():
        x, y = with_penalty(root, float(alpha), j)
        slopes[live, j] = _nonnegative(x[:, live], y)
    return Slopes(slopes, -1)


def _nonnegative(x: Array, y: Array) -> Array:
    """The b ≥ 0 that makes ‖y - x b‖² least, (d,).

    Where columns nearly depend on one another, many b may do: Lawson and Hanson's
    active set finds the one with few slopes above 0 that scikit-learn finds.
    """
    size = np.linalg.norm(x, axis=0)
    root = x / size
    matrix = root.T @ root
    values = np.linalg.eigvalsh(matrix)
    if values[0] * SAFE_CONDITION**2 < values[-1]:
        from scipy.optimize import nnls

        found: Array = nnls(x, y, maxiter=max(1000, 10 * len(size)))[0]
        return found
    origin = np.zeros(len(size))
    for _ in range(2):
        left = y - root @ origin
        origin += np.linalg.solve(matrix, root.T @ left)
    left = y - root @ origin
    problem = Quadratic(
        matrix,
        origin,
        root.T @ left,
        float(left @ left) / 2,
        float(np.linalg.norm(y)),
        flattest=float(values[0]),
    )
    terms = Terms(0.0, 0.0, np.zeros(len(size)), np.full(len(size), np.inf))
    found = minimise(problem, terms, np.clip(origin, 0.0, None), tolerance=0.0).u
    slopes: Array = found / size
    return slopes


def with_penalty(root: Root, alpha: float, target: int) -> tuple[Array, Array]:
    """Rows whose sum of squares is that of one target and the penalty, x and y."""
    x, y = root.x, root.y[:, target]
    if alpha == 0:
        return x, y
    d = root.features
    return np.concatenate([x, alpha**0.5 * np.eye(d)]), np.append(y, np.zeros(d))


def _of_targets(root: Root, these: Array) -> Root:
    """The root of some targets."""
    part = Root(root.features, int(these.sum()), root.intercept)
    part.rows, part.counted, part.weight = root.rows, root.counted, root.weight
    part.x, part.y = root.x, root.y[:, these]
    d = root.features
    chosen = np.append(np.ones(d, dtype=bool), these)
    part._near, part._rest = root._near[chosen], root._rest[chosen]
    return part


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues, smallest first, and eigenvectors."""
    with _alone(len(matrix)):
        values, vectors = np.linalg.eigh(matrix)
    return values, vectors


def _alone(columns: int) -> AbstractContextManager[None]:
    """A block for a decomposition of so many columns.

    One goes through its columns one by one, and wakes the threads at each: another
    core gains it little, and costs ten times as much where others use that core.
    """
    return one_thread() if columns <= ALONE else nullcontext()
