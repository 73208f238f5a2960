"""What is drawn of data: points, or their density, and the true line."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradline.data import Array
from gradline.plots.geometry import Limits, line_ends
from gradline.plots.style import BLUE, DASHED, DEEP, GREY, ORANGE, PURPLE
from gradline.plots.ticks import log_ticks
from gradline.plots.words import equation

#: More points than this are drawn as a density: dots would only cover each other.
DENSE = 5_000
#: Of the points held out, at most so many are drawn over a density.
HELD_OUT_SHOWN = 300


def draw_points(
    figure: Figure,
    ax: Axes,
    x: Array,
    y: Array,
    limits: tuple[Limits, Limits],
    *,
    shape: float = 1.6,
    scale: bool = True,
) -> None:
    """The data: dots while they are few, a density with its scale when many.

    `shape` is the width of the axes over their height.
    """
    if len(x) <= DENSE:
        _dots(ax, x, y)
        return
    across = 60
    down = round(across / shape / math.sqrt(3))  # makes the hexagons regular
    cells = ax.hexbin(
        x,
        y,
        gridsize=(across, down),
        extent=(*limits[0], *limits[1]),
        mincnt=1,
        norm=LogNorm(vmin=1),
        cmap=LinearSegmentedColormap.from_list("", ["#C9E0F0", BLUE, DEEP]),
        linewidths=0.2,
        edgecolors="face",
    )
    if scale:
        beside = ax.inset_axes((1.03, 0.0, 0.022, 1.0))  # as tall as the axes
        bar = figure.colorbar(cells, cax=beside)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=11, labelcolor=GREY)
        top = float(np.asarray(cells.get_array()).max())
        log_ticks(bar.ax.yaxis, 1.0, max(top, 2.0))
        bar.set_label(f"points per cell, of {len(x):,}", labelpad=8)


def _dots(ax: Axes, x: Array, y: Array) -> None:
    # Fewer points are drawn larger; many let each other shine through.
    size = float(np.clip(26 / max(len(x), 1) ** 0.27, 3.2, 10))
    alpha = float(np.clip(4 / max(len(x), 1) ** 0.33, 0.3, 0.75))
    ax.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=size,
        markeredgewidth=0,
        alpha=alpha,
        color=BLUE,
        zorder=2,
        label=_count(len(x)),
    )


def draw_held_out(ax: Axes, x: Array, y: Array, dense: bool) -> None:
    """Points that were not fitted, as diamonds; over a density only some of them."""
    label = f"{_count(len(x))} held out"
    if dense and len(x) > HELD_OUT_SHOWN:
        label = f"{HELD_OUT_SHOWN} of {len(x):,} points held out"
        chosen = np.linspace(0, len(x) - 1, HELD_OUT_SHOWN).astype(int)
        x, y = x[chosen], y[chosen]
    ax.plot(
        x,
        y,
        linestyle="none",
        marker="D",
        markersize=float(np.clip(20 / max(len(x), 1) ** 0.28, 3.5, 8)),
        markerfacecolor=PURPLE,
        markeredgecolor="white",
        markeredgewidth=0.9,
        zorder=3,
        label=label,
    )


def draw_chosen(ax: Axes, x: float, y: float, label: str) -> None:
    """A diamond at what was chosen on a curve."""
    ax.plot(
        [x],
        [y],
        color=ORANGE,
        marker="D",
        markersize=9,
        markeredgecolor="white",
        linestyle="none",
        zorder=5,
        label=label,
    )


def _count(n: int) -> str:
    return f"{n:,} point{'' if n == 1 else 's'}"


def draw_truth(
    ax: Axes, x_limits: Limits, truth: tuple[float, float], x_name: str, y_name: str
) -> Line2D:
    """The true line, dashed, with its equation."""
    (line,) = ax.plot(
        *line_ends(x_limits, *truth),
        **DASHED,
        zorder=5,
        label=f"true: {equation(*truth, x_name, y_name)}",
    )
    return line
