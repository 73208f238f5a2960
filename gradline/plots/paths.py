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

#: So many terms are named, those with the largest slopes; the others are drawn grey.
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
    named = [int(j) for j in order[:NAMED] if sizes[:, j].any()]
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
        heights = limits_of(np.append(sizes.ravel(), 0.0), margin=0.06)
        set_frame(ax, (0.0, 1.0), heights, x_name, y_name)
        low, high = float(alphas.min()), float(alphas.max())
        ax.set_xscale("log")
        ax.set_xlim(high, low)
        log_ticks(ax.xaxis, low, high)
        _name_lines(ax, [found.terms[j] for j in named], sizes[-1, named], heights)
        set_head(ax, None)
    return figure


def _name_lines(
    ax: Axes, names: list[str], ends: Array, heights: tuple[float, float]
) -> None:
    """Each name beside the end of its line, moved as far as names would overlap."""
    low, high = heights
    least = 0.052 * (high - low)
    order = np.argsort(ends, kind="stable")
    at = spread_out(ends[order], least, low, high)
    for place, height in zip(order.tolist(), at.tolist(), strict=True):
        name = clean(names[place])
        ax.annotate(
            name if len(name) <= 24 else name[:23] + "…",
            (1.0, height),
            xycoords=ax.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            color=_COLOURS[place % len(_COLOURS)],
            annotation_clip=False,
        )


def spread_out(wanted: Array, least: float, low: float, high: float) -> Array:
    """Heights in the same order, at least so far apart, near those wanted.

    Args:
        wanted: ascending, (m,).
        least: the distance between neighbours.
        low: no height is below it, if there is room.
        high: nor above it.
    """
    at = wanted.astype(np.float64).copy()
    for _ in range(200):
        apart = np.diff(at)
        close = np.maximum(least - apart, 0.0) / 2
        if close.max(initial=0.0) < 1e-3 * least:
            break
        at[:-1] -= close
        at[1:] += close
        at = np.clip(at, low, high)
    return at
