"""A fit in one picture, whichever one suits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from gradline.errors import DataError
from gradline.plots.figures import fit_figure, predicted_figure

if TYPE_CHECKING:
    from gradline.result import Fit  # which loads torch; no picture needs it


def draw_fit(fit: Fit) -> Figure:
    """Draw the line over the points where there is one numeric feature.

    With more features, or a category, draw actual against predicted.

    Args:
        fit: with the rows to draw, `fit.sample`.

    Returns:
        A Figure. Its title says so where it shows only some of the rows.

    Raises:
        DataError: the fit was loaded from a file, which holds no rows.
    """
    if fit.sample is None:
        raise DataError(
            "this fit holds no rows to draw, for a model file keeps none: plot "
            "where it was fitted"
        )
    X, y = fit.sample  # (m, d), (m,)
    title = f"{len(y):,} of {fit.rows:,} rows" if len(y) < fit.rows else None
    terms = fit.design.terms
    if len(terms) == 1 and terms[0] in fit.design.features:
        return fit_figure(
            X[:, 0],
            y,
            fit.coefficients[terms[0]],
            fit.intercept,
            x_name=terms[0],
            y_name=fit.target,
            title=title,
        )
    predicted = fit.level + (X - fit.center) @ fit.slopes  # (m,)
    return predicted_figure(y, predicted, y_name=fit.target, title=title)
