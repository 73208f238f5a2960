"""A run so far, in one picture: the line in the points, the loss, the parameters."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradline.data import Array
from gradline.plots.geometry import limits_of, line_ends
from gradline.plots.loss import draw_loss
from gradline.plots.marks import draw_points
from gradline.plots.style import (
    BLUE,
    DEEP,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    panels,
    set_frame,
    set_head,
    styled,
)
from gradline.plots.words import equation, number, wrapped

_COLORS = (RED, BLUE, ORANGE, PURPLE, DEEP, "#009E73", "#56B4E9", GREY)


def live_figure(
    places: Array,
    losses: Array,
    weights: dict[str, Array],
    points: tuple[Array, Array] | None = None,
    unit: str = "epoch",
) -> Figure:
    """Draw what a run has come to.

    Args:
        places: epochs, or counted batches, ascending, shape (k,).
        losses: the loss at each, shape (k,).
        weights: parameters by name, a value for each place, shape (k,).
        points: the feature and the target, shape (n,) each. The line is drawn over
            them where there is one slope.
        unit: what places count: "epoch" or "batch".

    Returns:
        A Figure of one to three panels: points and line, loss, parameters.
    """
    line = None if points is None else _line(weights)
    with_points = points is not None and line is not None
    count = 1 + with_points + bool(weights)
    # Numbers that ran away cannot be drawn: they are left out, as in the loss.
    with styled():
        figure, axes = panels(count, size=(2.0 + 4.0 * count, 4.2))
        if with_points:
            assert points is not None
            assert line is not None
            _draw_line(figure, axes[0], points, line)
        middle = axes[int(with_points)]
        draw_loss(middle, places, losses, None, color=BLUE)
        set_head(middle, f"{unit} {places[-1]:,.0f}: loss {number(losses[-1], 4)}")
        if weights:
            _draw_weights(axes[-1], places, weights)
        for ax in axes[int(with_points) :]:
            ax.xaxis.set_label_text(ax.get_xlabel().replace("epoch", unit))
    return figure


def _line(weights: dict[str, Array]) -> tuple[float, float] | None:
    """Slope and intercept, where that is what the parameters are."""
    slopes = [v for name, v in weights.items() if name != "bias"]
    names = {name.partition("/")[0] for name in weights}
    if len(slopes) != 1 or not names <= {"weight", "bias"}:
        return None
    bias = float(weights["bias"][-1]) if "bias" in weights else 0.0
    return float(slopes[0][-1]), bias


def _draw_line(
    figure: Figure, ax: Axes, points: tuple[Array, Array], line: tuple[float, float]
) -> None:
    x, y = points
    # The frame is that of the points, with some room: it must not move with the line.
    limits = limits_of(x), limits_of(y, margin=0.3)
    draw_points(figure, ax, x, y, limits, shape=1.25, scale=False)
    ax.lines[-1].set_label("_points")
    title = "the line ran away"
    if math.isfinite(line[0]) and math.isfinite(line[1]):
        title = equation(*line, "x", "y", limits)
        ax.plot(*line_ends(limits[0], *line), color=RED, linewidth=3.5, zorder=4)
        ax.lines[-1].set_label("_line")
    set_frame(ax, *limits, "x", "y")
    set_head(ax, title)


def _draw_weights(ax: Axes, places: Array, weights: dict[str, Array]) -> None:
    finite = [v[np.isfinite(v)] for v in weights.values()]
    everything = np.concatenate(finite)
    for (name, values), color in zip(weights.items(), _COLORS, strict=False):
        shown = np.where(np.isfinite(values), values, np.nan)
        label = wrapped(name.removeprefix("weight/"), 24)
        ax.plot(places, shown, color=color, label=label)
    across = limits_of(places, margin=0.03)
    if places[0] == places[-1]:
        across = float(places[0]) - 1, float(places[0]) + 1
    set_frame(ax, across, limits_of(everything), "epoch", "")
    set_head(ax, "" if len(weights) > 1 else None)
