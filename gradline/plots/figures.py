"""The points, the fitted line, and what was predicted against what was seen."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gradline.errors import UsageError
from gradline.plots.geometry import finite_pairs, limits_of, line_ends, reach
from gradline.plots.marks import DENSE, draw_held_out, draw_points, draw_truth
from gradline.plots.style import DASHED, RED, panels, set_frame, set_head, styled
from gradline.plots.words import equation


def data_figure(
    x: ArrayLike,
    y: ArrayLike,
    *,
    truth: tuple[float, float] | None = None,
    x_name: str = "x",
    y_name: str = "y",
    title: str | None = None,
) -> Figure:
    """Draw the points, and the true line dashed where it is known.

    Args:
        x: the feature, shape (n,).
        y: the target, shape (n,).
        truth: slope and intercept of the true line.
        x_name: what the feature is called.
        y_name: what the target is called.
        title: a line above the picture.

    Returns:
        A Figure. Above 5,000 points it shows their density. Pairs that are not finite
        cannot be drawn and are left out.

    Raises:
        ShapeError: x and y are not two vectors of one length.
    """
    xs, ys = finite_pairs(x, y)
    with styled():
        figure, (ax,) = panels()
        x_limits, y_limits = limits_of(xs), limits_of(ys)
        if truth is not None:
            y_limits = reach(y_limits, x_limits, truth)
        draw_points(figure, ax, xs, ys, (x_limits, y_limits))
        if truth is not None:
            draw_truth(ax, x_limits, truth, x_name, y_name)
        set_frame(ax, x_limits, y_limits, x_name, y_name)
        set_head(ax, title)
    return figure


def fit_figure(
    x: ArrayLike,
    y: ArrayLike,
    slope: float,
    intercept: float,
    *,
    truth: tuple[float, float] | None = None,
    held_out: tuple[ArrayLike, ArrayLike] | None = None,
    x_name: str = "x",
    y_name: str = "y",
    title: str | None = None,
) -> Figure:
    """Draw the points and the fitted line, in red, with its equation.

    Args:
        x: the feature the line was fitted to, shape (n,).
        y: the target the line was fitted to, shape (n,).
        slope: of the fitted line, in units of y per unit of x.
        intercept: of the fitted line, in units of y.
        truth: slope and intercept of the true line, drawn dashed.
        held_out: x and y of points that were not fitted, drawn as diamonds.
        x_name: what the feature is called.
        y_name: what the target is called.
        title: a line above the picture.

    Returns:
        A Figure. Above 5,000 points it shows their density, and at most 300 of the
        points held out, evenly chosen.

    Raises:
        ShapeError: x and y are not two vectors of one length.
        UsageError: slope or intercept is not finite.
    """
    _check_line(slope, intercept)
    xs, ys = finite_pairs(x, y)
    other_xs, other_ys = finite_pairs(*held_out) if held_out else (xs[:0], ys[:0])
    with styled():
        figure, (ax,) = panels()
        x_limits = limits_of(np.concatenate([xs, other_xs]))
        y_span = limits_of(np.concatenate([ys, other_ys]))
        y_limits = reach(y_span, x_limits, (slope, intercept))
        draw_points(figure, ax, xs, ys, (x_limits, y_limits))
        if held_out:
            dense = len(xs) > DENSE or len(other_xs) > DENSE
            draw_held_out(ax, other_xs, other_ys, dense)
        text = equation(slope, intercept, x_name, y_name, (x_limits, y_span))
        ax.plot(
            *line_ends(x_limits, slope, intercept),
            color=RED,
            linewidth=3.5,
            zorder=4,
            label=f"fitted: {text}",
        )
        if truth is not None:
            draw_truth(ax, x_limits, truth, x_name, y_name)
        set_frame(ax, x_limits, y_limits, x_name, y_name)
        set_head(ax, title)
    return figure


def predicted_figure(
    actual: ArrayLike,
    predicted: ArrayLike,
    *,
    y_name: str = "y",
    title: str | None = None,
) -> Figure:
    """Draw actual values against predicted ones, with the diagonal they should hug.

    This is the picture for many features, where there is no one line to draw. Up goes
    what was seen and right what the model said, so that a point's height above the
    diagonal is its residual.

    Args:
        actual: the target as it was seen, shape (n,).
        predicted: what the model says, shape (n,).
        y_name: what the target is called.
        title: a line above the picture.

    Returns:
        A Figure with equal axes. Above 5,000 points it shows their density.

    Raises:
        ShapeError: actual and predicted are not two vectors of one length.
    """
    ys, guesses = finite_pairs(actual, predicted, ("actual", "predicted"))
    with styled():
        # A little less tall where the scale of the density takes some of the width.
        figure, (ax,) = panels(size=(8.0, 7.0 if len(ys) > DENSE else 7.6))
        both = limits_of(np.concatenate([ys, guesses]))
        draw_points(figure, ax, guesses, ys, (both, both), shape=1.0)
        ax.plot(both, both, **DASHED, zorder=5, label="actual = predicted")
        set_frame(ax, both, both, f"predicted {y_name}", f"actual {y_name}")
        ax.set_aspect("equal")
        set_head(ax, title)
    return figure


def _check_line(slope: float, intercept: float) -> None:
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise UsageError(
            f"the line has slope {slope} and intercept {intercept}: "
            "give two finite numbers"
        )
