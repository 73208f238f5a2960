"""Errors in training and on rows held out, over rows or a setting; fitted curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike

from gradline.data import Array
from gradline.plots.geometry import finite_pairs, limits_of
from gradline.plots.marks import draw_chosen, draw_points
from gradline.plots.style import (
    BLUE,
    DASHED,
    ORANGE,
    RED,
    panels,
    set_frame,
    set_head,
    styled,
)
from gradline.plots.ticks import log_ticks, turn_names
from gradline.plots.words import names_of, shown_text, wrapped

#: Values that span so many times their least are drawn on a logarithmic axis.
WIDE = 30.0

#: Errors above so many times the median are cut off: they would squeeze the others.
TALL = 5.0


def curve_figure(
    values: Sequence[Any] | Array,
    training: tuple[Array, Array],
    validation: tuple[Array, Array],
    *,
    x_name: str,
    y_name: str,
    best: int | None = None,
    log: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the error in training and on rows held out, with their spread over folds.

    Args:
        values: numbers, or names; (points,).
        training: the errors and their spread, (points,) each; NaN for no spread.
        validation: the errors on rows held out and their spread.
        x_name: what the values are.
        y_name: what the errors are.
        best: the place of the value to mark.
        log: whether the axis of values is logarithmic though they span little.
        title: a line above the picture.

    Returns:
        A Figure. The axis of values is logarithmic where they span much.
    """
    numeric = all(isinstance(v, int | float | np.number) for v in values)
    numeric = numeric and not any(isinstance(v, bool) for v in values)
    xs = np.array(values, float) if numeric else np.arange(len(values), dtype=float)
    order = np.argsort(xs, kind="stable")
    with styled():
        figure, (ax,) = panels()
        for (error, spread), color, name in (
            (training, BLUE, "training"),
            (validation, ORANGE, "validation"),
        ):
            draw = _draw_error if numeric else _draw_bars
            draw(ax, xs[order], error[order], spread[order], color, name)
        height = _height(training, validation)
        lost = ~np.isfinite(validation[0])
        for place in np.flatnonzero(lost).tolist():
            ax.plot(
                [xs[place]],
                [height[1] - 0.04 * (height[1] - height[0])],
                "x",
                color=RED,
                markersize=9,
                markeredgewidth=2.5,
                zorder=6,
                label="diverged" if place == int(np.argmax(lost)) else None,
            )
        if best is not None and math.isfinite(validation[0][best]):
            label = wrapped(f"best: {shown_text(values[best])}", 40)
            beside = 0.0 if numeric else 0.06
            draw_chosen(ax, xs[best] + beside, validation[0][best], label)
        wide = limits_of(xs, margin=0.04 if numeric else 0.2)
        set_frame(ax, wide, height, x_name, y_name)
        if not numeric:
            ax.xaxis.set_major_locator(FixedLocator(xs.tolist()))
            names = names_of([shown_text(v) for v in values])
            ax.set_xticks(xs.tolist(), names)
            turn_names(ax, names)
        elif xs.min() > 0 and xs.max() > (2 if log else WIDE) * xs.min():
            air = (xs.max() / xs.min()) ** 0.03
            ax.set_xscale("log")
            ax.set_xlim(xs.min() / air, xs.max() * air)
            log_ticks(ax.xaxis, xs.min() / air, xs.max() * air)
        elif np.array_equal(xs, np.rint(xs)):
            ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        set_head(ax, title)
    return figure


def curves_figure(
    x: ArrayLike,
    y: ArrayLike,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    x_name: str = "x",
    y_name: str = "y",
    title: str | None = None,
) -> Figure:
    """Draw points, and what models in one feature say over its range.

    Args:
        x: the feature, (n,).
        y: the target, (n,).
        curves: by name, places and predictions there, (m,) each.
        x_name: what the feature is called.
        y_name: what the target is called.
        title: a line above the picture.

    Returns:
        A Figure whose height is that of the points: what shoots above it is cut off.
    """
    xs, ys = finite_pairs(x, y)
    with styled():
        figure, (ax,) = panels()
        x_limits, y_limits = limits_of(xs), limits_of(ys, margin=0.15)
        draw_points(figure, ax, xs, ys, (x_limits, y_limits))
        looks: list[Any] = [
            {"color": RED, "linewidth": 3.0},
            {"color": ORANGE, "linewidth": 3.0},
            DASHED,
        ]
        if len(curves) == 1:
            looks = looks[:1]
        for place, (name, (at, said)) in enumerate(curves.items()):
            look = looks[place % len(looks)]
            ax.plot(np.asarray(at), np.asarray(said), **look, zorder=4, label=name)
        set_frame(ax, x_limits, y_limits, x_name, y_name)
        set_head(ax, title)
    return figure


def _draw_error(
    ax: Axes, xs: Array, error: Array, spread: Array, color: str, name: str
) -> None:
    seen = np.isfinite(error)
    if np.isfinite(spread).any():
        around = np.where(np.isfinite(spread), spread, 0.0)
        ax.fill_between(
            xs[seen],
            (error - around)[seen],
            (error + around)[seen],
            color=color,
            alpha=0.15,
            linewidth=0,
            zorder=1,
        )
    ax.plot(
        xs[seen],
        error[seen],
        color=color,
        marker="o" if len(xs) <= 30 else "none",
        markersize=6,
        zorder=3,
        label=name,
    )


def _draw_bars(
    ax: Axes, xs: Array, error: Array, spread: Array, color: str, name: str
) -> None:
    """Points with their spread: between words there is nothing to draw a line over."""
    seen = np.isfinite(error)
    shift = -0.06 if name == "training" else 0.06
    ax.errorbar(
        xs[seen] + shift,
        error[seen],
        yerr=np.where(np.isfinite(spread), spread, 0.0)[seen],
        color=color,
        marker="o",
        markersize=7,
        linestyle="none",
        capsize=4,
        elinewidth=1.5,
        zorder=3,
        label=name,
    )


def _height(*curves: tuple[Array, Array]) -> tuple[float, float]:
    """From the least to the largest that is drawn, wild ones left out."""
    ends = []
    for error, spread in curves:
        around = np.where(np.isfinite(spread), spread, 0.0)
        ends += [error - around, error + around]
    shown = np.concatenate(ends)
    shown = shown[np.isfinite(shown)]
    if len(shown):
        shown = shown[shown <= TALL * np.median(shown)]
    return limits_of(np.maximum(shown, 0.0), margin=0.06)
