"""The last digits of slopes of few rows: found at once, and measured when asked for.

A copy of few rows is kept. With X and y as they are, in extended precision where the
machine has it, one step of Newton's method,

    r = y - X b - c        b += (C + α)⁻¹ (Xcᵀ diag(w) r - α b)        c += ...

leaves slopes and intercept that are right to about the last digit. How far any are off
is measured by refine.py, whose residuals are pairs of float64.
"""

from __future__ import annotations

import numpy as np

from gradline.data import Array, Chunk, Mask
from gradline.pivoted import Shifted
from gradline.refine import hold, refine
from gradline.rootstate import Root
from gradline.solvers import Spectrum
from gradline.sparserows import Rows

#: Rows of so many numbers are few: as survey.py counts them.
FEW_NUMBERS = 50_000


def few(rows: Rows) -> Rows | None:
    """A copy of the rows that count, dense; None where there are many."""
    X, Y, w = rows
    if X.shape[0] * (X.shape[1] + Y.shape[1]) > FEW_NUMBERS:
        return None
    X = X.toarray() if rows.sparse else np.array(X)
    if w is not None and not w.all():
        kept = w > 0
        return Rows(X[kept], Y[kept], w[kept])
    return Rows(X, Y.copy(), None if w is None else w.copy())


def polish(
    rows: Rows, root: Root, slopes: Array, intercept: Array, alphas: Array
) -> tuple[Array, Array]:
    """Slopes (d, k) and intercepts (k,) by one step from residuals of extended digits.

    Args:
        rows: what `few` keeps.
        root: of these rows.
        slopes: where to begin.
        intercept: beside them; left as it is in a root without one.
        alphas: the penalty of each target, (k,).
    """
    if len(rows.X) <= root.features or len(np.unique(alphas)) > 1:
        return slopes, intercept
    alpha = float(alphas[0])
    factor = Shifted(root.x.T @ root.x, alpha)
    if not factor.safe:
        return slopes, intercept
    X = rows.X.astype(np.longdouble)
    r = rows.Y - X @ slopes - intercept
    wr = r if rows.weight is None else r * rows.weight[:, None]
    share = None if rows.weight is None else rows.weight / root.weight
    mean = X.mean(axis=0) if share is None else share @ X
    pull = wr.sum(axis=0)
    gradient = X.T @ wr
    if root.intercept:
        gradient = gradient - np.outer(mean, pull)
    step = factor.solve((gradient - alpha * slopes).astype(np.float64))
    if not np.isfinite(step).all():
        return slopes, intercept
    if root.intercept:
        rise = pull / root.weight - mean @ step
        intercept = (intercept + rise).astype(np.float64)
    return slopes + step, intercept


def measured(
    rows: Rows,
    spectrum: Spectrum,
    target: int,
    kept: Mask,
    start: Array,
    level: float,
    spread: float,
    alpha: float,
    intercept: bool,
) -> tuple[Array, Array] | None:
    """Slopes and intercept to the last digits, and how far off they may be, (d + 1,).

    Args:
        rows: what `few` keeps.
        spectrum: of the kept columns, the penalty included.
        target: which one.
        kept: the columns whose slopes are free, (d,).
        start: slopes of these near the optimum.
        level: the mean of y.
        spread: its standard deviation.
        alpha: the penalty, of a sum of squares.
        intercept: whether there is one.

    Returns:
        None where the steps do not lead there.
    """
    X = rows.X[:, kept].astype(np.float64)
    held = hold(Chunk(X, rows.Y[:, target], rows.weight), intercept)
    parts = abs(level) + float(np.abs(start * held.mean[0]).sum())
    natural = 1e-6 * np.append(spread / spectrum.scale.numpy(), parts)
    found = refine(held, spectrum, start, level, natural, alpha)
    if not np.isfinite(found.off).all():
        return None
    return np.append(found.slopes, found.intercept), found.off
