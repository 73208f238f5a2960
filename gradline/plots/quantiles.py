"""Several quantiles in one picture: the points, and a line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from gradline.errors import DataError, UsageError
from gradline.plots.geometry import finite_pairs, limits_of, line_ends, reach
from gradline.plots.marks import draw_points
from gradline.plots.style import RED, panels, set_frame, set_head, styled

if TYPE_CHECKING:
    from gradline.quantiles import QuantileFits  # which loads torch

#: Of the lowest and of the highest line; the median is red.
LOW, HIGH = "#E69F00", "#7A1E5C"

#: Of more lines than this the legend names a few: their colours tell the others.
MOST_NAMED, FEW_NAMED = 7, 5


def draw_quantiles(fits: QuantileFits) -> Figure:
    """Draw the points and the line of each quantile, the highest named first.

    Args:
        fits: with one numeric feature, and the rows to draw.

    Returns:
        A Figure. Of more than 7 lines 5 are named. Above 5,000 points it shows their
        density.

    Raises:
        UsageError: more than one feature, or a category.
        DataError: the fits were loaded from files, which hold no rows.
    """
    first = next(iter(fits.values()))
    terms = first.design.terms
    if len(terms) != 1 or terms[0] not in first.design.features:
        raise UsageError(
            f"quantile lines are drawn over one numeric feature and this fit has "
            f"{len(terms)} terms: draw one quantile with fits[{fits.levels[0]:g}]"
            ".plot(), or fit with one"
        )
    if first.sample is None:
        raise DataError("these fits hold no rows to draw: plot where they were fitted")
    X, y = first.sample
    xs, ys = finite_pairs(X[:, 0], y)
    shades = LinearSegmentedColormap.from_list("", [LOW, RED, HIGH])
    with styled():
        figure, (ax,) = panels()
        x_limits, y_limits = limits_of(xs), limits_of(ys)
        for fit in fits.values():
            line = float(fit.slopes[0]), fit.intercept
            y_limits = reach(y_limits, x_limits, line)
        draw_points(figure, ax, xs, ys, (x_limits, y_limits))
        named = _named(fits.levels)
        for level, fit in reversed(list(fits.items())):
            ends = line_ends(x_limits, float(fit.slopes[0]), fit.intercept)
            ax.plot(
                *ends,
                color=shades(float(np.clip(level, 0.0, 1.0))),
                linewidth=2.5 if len(fits) <= 5 else 1.8,
                zorder=4,
                label=f"{'' if level in named else '_'}quantile {level:g}",
            )
        set_frame(ax, x_limits, y_limits, terms[0], first.target)
        some = len(y) < first.rows
        set_head(ax, f"{len(y):,} of {first.rows:,} rows" if some else None)
    return figure


def _named(levels: tuple[float, ...]) -> set[float]:
    """The levels that the legend names: of many, some evenly, both ends included."""
    if len(levels) <= MOST_NAMED:
        return set(levels)
    places = np.linspace(0, len(levels) - 1, FEW_NAMED).round().astype(int)
    return {levels[i] for i in places}
