"""A fit in one picture: the one that suits it, or its loss surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gradline.errors import DataError, UsageError, listed
from gradline.plots.curves import curves_figure
from gradline.plots.figures import fit_figure, predicted_figure
from gradline.plots.surface import surface_figure

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
    numeric = len(terms) == 1 and not fit.design.texts
    if numeric and terms[0] in fit.coefficients:
        return fit_figure(
            X[:, 0],
            y,
            fit.coefficients[terms[0]],
            fit.intercept,
            x_name=terms[0],
            y_name=fit.target,
            title=title,
        )
    if numeric:  # a module of one feature
        at = np.linspace(X.min(), X.max(), 400)
        said = {"fitted": (at, fit.predict_terms(at[:, None]))}
        return curves_figure(
            X[:, 0], y, said, x_name=terms[0], y_name=fit.target, title=title
        )
    predicted = fit.predict_terms(X)  # (m,)
    if fit.settings.get("loss") in ("huber", "absolute", "quantile"):
        # Its points need not lie about the diagonal: say why.
        some = "" if title is None else f", {title}"
        title = f"By {fit.certificate.objective}{some}"
    return predicted_figure(y, predicted, y_name=fit.target, title=title)


def draw_surface(fit: Fit, terms: Sequence[str] | None = None) -> Figure:
    """Draw the loss over two coefficients of a fit, and its descent across it.

    Args:
        fit: where it was fitted.
        terms: two terms, or one and "Intercept"; the first two unless told, or the
            only one and the intercept.

    Returns:
        A Figure. All other coefficients are at their best at each of its points.

    Raises:
        DataError: as `Fit.loss_surface`.
        UsageError: not two coefficients, or one that is not there.
    """
    known = list(fit.coefficients) + ["Intercept"] * fit.design.intercept
    if len(known) < 2:
        raise UsageError(
            "a loss surface is over two coefficients and this fit has one: draw its "
            "loss with plot_loss (--plot-loss), or fit with more"
        )
    if terms is None:
        terms = known[:2]
    if isinstance(terms, str) or len(terms) != 2:
        given = repr(terms) if isinstance(terms, str) else f"{len(terms)} coefficients"
        raise UsageError(
            f"a loss surface is over two coefficients and was given {given}: give two "
            f"of {listed(known)}"
        )
    surface = fit.loss_surface(terms[0], terms[1], points=2)  # its corners
    others = len(known) - 2
    title = None
    if others:
        title = f"Loss, with the other {others:,} coefficients at their best"
    if others == 1:
        title = "Loss, with the other coefficient at its best"
    trace = None if fit.trace is None else fit.trace.chosen
    epochs = None if trace is None else trace.epochs
    # With others about, a step's loss is higher than the map's at that place.
    losses = None if trace is None or others else trace.losses
    return surface_figure(surface, epochs=epochs, losses=losses, title=title)
