"""The slopes of a penalised fit, over the weight of the penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradline.data import Array
from gradline.errors import DataError
from gradline.plots.geometry import limits_of
from gradline.plots.style import (
    BLUE,
    DEEP,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    panels,
    set_frame,
    set_head,
    styled,
)
from gradline.plots.ticks import log_ticks
from gradline.plots.words import clean

if TYPE_CHECKING:
    from gradline.penaltypath import RegularizationPath

#: At most so many terms are named, those with the largest slopes, and only where there
#: is room beside the end of the line; the others are drawn grey, and counted.
NAMED = 10

_COLOURS = (BLUE, RED, ORANGE, DEEP, PURPLE)
_DASHES = ("-", (0, (5, 1.5)))


def draw_path(found: RegularizationPath) -> Figure:
    """Draw slope times standard deviation of each term, from the largest alpha down.

    Args:
        found: the path.

    Raises:
        DataError: fewer than two alphas above 0.
    """
    shown = found.alphas > 0
    if shown.sum() < 2:
        raise DataError("one alpha is no path to draw: give several")
    alphas = found.alphas[shown]
    sizes = found.slopes[shown] * found.scale  # (A, d)
    order = np.argsort(-np.abs(sizes).max(axis=0), kind="stable")
    heights = limits_of(np.append(sizes.ravel(), 0.0), margin=0.06)
    largest = [int(j) for j in order[:NAMED] if sizes[:, j].any()]
    placed = places_of(sizes[-1, largest], heights)
    named = [j for j, at in zip(largest, placed, strict=True) if at is not None]
    with styled():
        figure, (ax,) = panels()
        there = np.maximum.accumulate(sizes != 0, axis=0)
        there[:-1] |= there[1:]  # from the last 0 on
        drawn = np.where(there, sizes, np.nan)
        for j in order[::-1].tolist():
            if j in named:
                place = named.index(j)
                colour = _COLOURS[place % len(_COLOURS)]
                dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
                ax.plot(alphas, drawn[:, j], color=colour, linestyle=dash, zorder=3)
            else:
                ax.plot(alphas, drawn[:, j], color=GREY, alpha=0.35, linewidth=1)
        ax.axhline(0, color=INK, linewidth=0.8, zorder=2)
        x_name = f"alpha of the {found.penalty} penalty, from large to small"
        y_name = f"slope × standard deviation, in units of {clean(found.target)}"
        set_frame(ax, (0.0, 1.0), heights, x_name, y_name)
        low, high = float(alphas.min()), float(alphas.max())
        ax.set_xscale("log")
        ax.set_xlim(high, low)
        log_ticks(ax.xaxis, low, high)
        places = np.array([at for at in placed if at is not None])
        _name_lines(ax, [found.terms[j] for j in named], sizes[-1, named], places)
        rest = int(np.count_nonzero(sizes.any(axis=0))) - len(named)
        plural = "" if rest == 1 else "s"
        set_head(ax, f"Grey: {rest:,} more term{plural}" if rest else None)
    return figure


def _name_lines(ax: Axes, names: list[str], ends: Array, places: Array) -> None:
    """Each name beside the end of its line; a thin leader where it had to move."""
    for place, (end, at) in enumerate(zip(ends.tolist(), places.tolist(), strict=True)):
        name = clean(names[place])
        colour = _COLOURS[place % len(_COLOURS)]
        ax.annotate(
            name if len(name) <= 24 else f"{name[:11]}…{name[-12:]}",
            (1.0, end),
            xycoords=ax.get_yaxis_transform(),
            xytext=(1.025, at),
            textcoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=11,
            color=colour,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "relpos": (0, 0.5),
            },
        )


def places_of(wanted: Array, heights: tuple[float, float]) -> list[float | None]:
    """Where names stand, the first at their own height; None where there is no room.

    Args:
        wanted: the heights of the lines' ends, the most important first, (m,).
        heights: of the picture.
    """
    low, high = heights
    least = 0.052 * (high - low)
    taken: list[float] = []
    found: list[float | None] = []
    for end in wanted.tolist():
        tried = [end + least * step for step in (0, 0.5, -0.5, 1, -1, 1.5, -1.5)]
        free = [
            at
            for at in tried
            if low <= at <= high and all(abs(at - t) >= 0.999 * least for t in taken)
        ]
        found.append(free[0] if free else None)
        taken += free[:1]
    return found
