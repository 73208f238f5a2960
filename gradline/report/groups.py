"""Rows put into groups along a feature: do means differ between them, or spreads?

With e the residuals, n_g and m_g the rows and the mean of group g, among G groups

    between = Σ n_g m_g² - (Σ n_g m_g)² / n,     F = (between / (G - 1)) / (rest / df),

as in the analysis of variance. For the residuals of a fit it sees any shape that the
fit leaves over, waves too, and is conservative: the fit has taken its part already.
For |z| it sees noise that is unequal in whatever way, as Levene's test does.

Source: Levene, "Robust tests for equality of variances", 1960; Neill & Johnson,
"Testing for lack of fit in regression - a review", 1984.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradline.data import Array
from gradline.distributions import f_above
from gradline.report.bins import Line


class Groups(NamedTuple):
    """Rows by groups along a feature: counts, and means of the values, (G,) each."""

    rows: Array
    means: Array


def groups(line: Line, which: int, most: int) -> Groups:
    """Cells put together into at most so many groups of about as many rows each.

    Args:
        line: sums of rows by cells.
        which: of the values summed there.
        most: groups.
    """
    cells = line.filled
    count = cells[0]
    middle: Array = np.cumsum(count) - count / 2
    place = np.floor(middle / count.sum() * most).astype(np.int64)
    rows: Array = np.asarray(np.bincount(place, count), dtype=np.float64)
    total = np.bincount(place, count * cells[2 + which])
    there = rows > 0
    return Groups(rows[there], total[there] / rows[there])


def differ(found: Groups, squares: float, df: float) -> tuple[float, float, float]:
    """F of the means of groups, its p, and the share of squares beyond chance.

    Args:
        found: groups.
        squares: Σ e² about the mean, of all rows.
        df: degrees of freedom that these squares have.
    """
    count, means = found
    free, rest_df = len(count) - 1, df - len(count) + 1
    if free < 1 or rest_df < 1 or squares <= 0:
        return 0.0, 1.0, 0.0
    middle = float(count @ means) / float(count.sum())
    between = min(float(count @ np.square(means - middle)), squares * (1 - 1e-12))
    noise = (squares - between) / rest_df
    f = between / free / noise
    return f, float(f_above(f, free, rest_df)), (between - free * noise) / squares
