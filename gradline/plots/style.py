"""What every picture is made of: colours, settings, panels, titles and legends.

The colours are Okabe and Ito's, which colour-blind people can tell apart.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradline.plots.geometry import Limits
from gradline.plots.ticks import STEPS, Ticks
from gradline.plots.words import FONT, wrapped

BLUE, RED, PURPLE, DEEP = "#0072B2", "#CC3311", "#CC79A7", "#00243A"
ORANGE = "#E69F00"
INK, GREY, RULE = "#222222", "#666666", "#E4E4E4"

#: A line that is known, not learned: the truth, the optimum, the diagonal.
DASHED: Any = {"color": INK, "linestyle": (0, (4, 3)), "linewidth": 1.8}

_STYLE: Any = {
    "font.family": FONT,
    "font.size": 13,
    "axes.titlesize": 16,
    "axes.titleweight": "normal",
    "axes.titlecolor": INK,
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelpad": 8,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.bbox": None,
    "savefig.facecolor": "auto",
    "savefig.transparent": False,
    "legend.fontsize": 12,
    "lines.linewidth": 2.5,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,
    "path.simplify": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "gradline",
    "pdf.fonttype": 42,
}
# Matplotlib's settings belong to the process: two threads that swap them at once (the
# lab draws in threads) would each restore what the other had set.
_STYLE_LOCK = threading.RLock()


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib with our settings, whatever the user's are, and then as it was."""
    with _STYLE_LOCK, matplotlib.rc_context(_STYLE):
        yield


class Picture(Figure):
    """A Figure that a notebook shows, though pyplot, which would see to it, is not."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with styled():
            self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def panels(
    count: int = 1, size: tuple[float, float] = (8.0, 5.0)
) -> tuple[Figure, list[Axes]]:
    """A figure, its size in inches, with so many empty axes side by side."""
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15, wspace=0.06)  # inches
    figure = Picture(figsize=size, layout=layout)
    FigureCanvasAgg(figure)  # text can be measured before anything is saved
    axes: list[Axes] = list(figure.subplots(1, count, squeeze=False)[0])
    for ax in axes:
        ax.set_autoscale_on(False)  # all limits are set; tries can overflow
        # Given here, since ticks are made later, when the style has been put back.
        ax.tick_params(length=0, labelsize=12, labelcolor=GREY, pad=6)
        ax.grid(color=RULE, linewidth=0.8)
    return figure, axes


def set_frame(
    ax: Axes, x_limits: Limits, y_limits: Limits, x_name: str, y_name: str
) -> None:
    """Limits, ticks and names of two linear axes."""
    ax.set_xlim(*x_limits)
    ax.set_ylim(*y_limits)
    height = ax.figure.bbox.height / ax.figure.dpi  # inches
    for axis, limits, name, width in (
        (ax.xaxis, x_limits, x_name, 56),
        (ax.yaxis, y_limits, y_name, int(6 * height)),
    ):
        ticks = Ticks(limits)
        axis.set_major_locator(MaxNLocator(6, steps=STEPS))
        axis.set_major_formatter(ticks)
        axis.set_label_text(ticks.name(wrapped(name, width)))


def set_head(ax: Axes, title: str | None) -> None:
    """Title and legend above the axes, where they cannot cover data."""
    room = add_legend(ax)
    if title is not None:
        wide = ax.figure.bbox.width / ax.figure.dpi  # inches
        ax.set_title(wrapped(title, int(6.6 * wide)) or " ", loc="left", pad=room)


def add_legend(ax: Axes) -> float:
    """Adds the legend, if there is something to tell; returns its height in points."""
    if all(label.startswith("_") for label in ax.get_legend_handles_labels()[1]):
        return 8.0
    return 16.0 + _legend(ax).get_window_extent().height * 72 / ax.figure.dpi


def _legend(ax: Axes) -> Legend:
    """The legend, in as few rows as fit above the axes."""

    def build(columns: int) -> Legend:
        return ax.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.01),
            ncols=columns,
            frameon=False,
            borderaxespad=0.0,
            borderpad=0.0,
            handlelength=1.8,
            handletextpad=0.6,
            columnspacing=1.8,
            labelspacing=0.35,
        )

    rows, entries = 1, len(ax.get_legend_handles_labels()[1])
    legend = build(entries)
    while rows < entries and legend.get_window_extent().width > 1.1 * ax.bbox.width:
        rows += 1
        legend = build(math.ceil(entries / rows))
    for handle in legend.legend_handles:
        if (
            isinstance(handle, Line2D)
            and handle.get_linestyle() == "None"
            and handle.get_markersize() < 8
        ):
            handle.set(markersize=8, alpha=0.8)  # tiny dots are no key
    return legend
