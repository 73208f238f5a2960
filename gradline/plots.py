"""Pictures of data, of a fit and of its learning: numbers in, Matplotlib Figures out.

    data_figure       the points
    loss_figure       loss by epoch, and how far it is from the optimum
    fit_figure        the points and the fitted line
    predicted_figure  actual against predicted, for any number of features
    learning_gif      the line as it learns, as a moving picture
    save_figure       a Figure to PNG, SVG or PDF

pyplot is never imported: nothing here opens a window or keeps a global figure. Names
of columns are drawn letter by letter, so that "$" in a name is not taken for maths.
The colours are Okabe and Ito's, which colour-blind people can tell apart.
"""

from __future__ import annotations

import functools
import math
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    Formatter,
    MaxNLocator,
    NullLocator,
)
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor

from gradline.errors import ShapeError, UsageError
from gradline.files import replacing

Array: TypeAlias = NDArray[np.float64]
Limits: TypeAlias = tuple[float, float]

#: Ticks are these numbers, times a power of ten.
STEPS = [1, 2, 2.5, 5, 10]

#: More points than this are drawn as a density: dots would only cover each other.
DENSE = 5_000
#: Of the points held out, at most so many are drawn over a density.
HELD_OUT_SHOWN = 300
#: A moving picture has about so many frames.
FRAMES = 60

BLUE, RED, PURPLE, DEEP = "#0072B2", "#D55E00", "#CC79A7", "#00243A"
INK, GREY, RULE = "#222222", "#666666", "#E4E4E4"

_DASHED: Any = {"color": INK, "linestyle": (0, (4, 3)), "linewidth": 1.8}
_FONT = "DejaVu Sans"  # it comes with Matplotlib, so pictures are alike everywhere
_STYLE: Any = {
    "font.family": _FONT,
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
    xs, ys = _pairs(x, y)
    with _styled():
        figure, (ax,) = _panels()
        x_limits, y_limits = _limits(xs), _limits(ys)
        if truth is not None:
            y_limits = _reach(y_limits, x_limits, truth)
        _points(figure, ax, xs, ys, (x_limits, y_limits))
        if truth is not None:
            _true_line(ax, x_limits, truth, x_name, y_name)
        _frame(ax, x_limits, y_limits, x_name, y_name)
        _head(ax, title)
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
    xs, ys = _pairs(x, y)
    other_xs, other_ys = _pairs(*held_out) if held_out else (xs[:0], ys[:0])
    with _styled():
        figure, (ax,) = _panels()
        x_limits = _limits(np.concatenate([xs, other_xs]))
        y_span = _limits(np.concatenate([ys, other_ys]))
        y_limits = _reach(y_span, x_limits, (slope, intercept))
        _points(figure, ax, xs, ys, (x_limits, y_limits))
        if held_out:
            dense = len(xs) > DENSE or len(other_xs) > DENSE
            _held_out_points(ax, other_xs, other_ys, dense)
        text = _equation(slope, intercept, x_name, y_name, x_limits, y_span)
        ax.plot(
            *_line(x_limits, slope, intercept),
            color=RED,
            linewidth=3.5,
            zorder=4,
            label=f"fitted: {text}",
        )
        if truth is not None:
            _true_line(ax, x_limits, truth, x_name, y_name)
        _frame(ax, x_limits, y_limits, x_name, y_name)
        _head(ax, title)
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
    ys, guesses = _pairs(actual, predicted, ("actual", "predicted"))
    with _styled():
        # A little less tall where the scale of the density takes some of the width.
        figure, (ax,) = _panels(size=(8.0, 7.0 if len(ys) > DENSE else 7.6))
        both = _limits(np.concatenate([ys, guesses]))
        _points(figure, ax, guesses, ys, (both, both), shape=1.0)
        ax.plot(both, both, **_DASHED, zorder=5, label="actual = predicted")
        _frame(ax, both, both, f"predicted {y_name}", f"actual {y_name}")
        ax.set_aspect("equal")
        _head(ax, title)
    return figure


def loss_figure(
    epochs: ArrayLike,
    losses: ArrayLike,
    *,
    optimum: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the loss by epoch and, where the optimum is known, the gap that is left.

    Both scales of the loss are logarithmic, so that the first epochs show as well as
    the long tail. The gap, loss - optimum, stands over a linear axis of epochs: there
    gradient descent draws straight lines, whose slopes are its rates of convergence.
    Below the rounding error of the optimum a gap means nothing; that part is shaded.

    Args:
        epochs: shape (k,), ascending.
        losses: the loss at each of them, shape (k,).
        optimum: the least loss there is.
        title: a line above the picture.

    Returns:
        A Figure, of two panels where the optimum is known. The first loss that is not
        finite is marked.

    Raises:
        ShapeError: epochs and losses are not two vectors of one length.
    """
    ts, values = _vectors(epochs, losses, ("epochs", "losses"))
    with _styled():
        if optimum is None:
            figure, (left,) = _panels()
        else:
            figure, (left, right) = _panels(2, size=(11.0, 5.0))
        _loss_axes(left, ts, values, optimum, color=BLUE)
        _head(left, title)
        if optimum is not None:
            _gap_axes(right, ts, values, optimum)
            _head(right, "" if title else None)  # both panels leave the same room
    return figure


def learning_gif(
    path: str | Path,
    x: ArrayLike,
    y: ArrayLike,
    slopes: ArrayLike,
    intercepts: ArrayLike,
    losses: ArrayLike,
    *,
    epochs: ArrayLike,
    truth: tuple[float, float] | None = None,
    optimum: float | None = None,
    x_name: str = "x",
    y_name: str = "y",
) -> None:
    """Write the moving picture: the line as it learns, beside its loss.

    About 60 of the epochs become frames, close together at first, where the line moves
    fast. The last one stays for two seconds; then it starts again.

    Args:
        path: the .gif file to write, 960 by 480 pixels.
        x: the feature, shape (n,).
        y: the target, shape (n,).
        slopes: the line's slope after each epoch, shape (k,).
        intercepts: the line's intercept after each epoch, shape (k,).
        losses: the loss at each epoch, shape (k,).
        epochs: their numbers, ascending, shape (k,).
        truth: slope and intercept of the true line, drawn dashed.
        optimum: the least loss there is, drawn dashed.
        x_name: what the feature is called.
        y_name: what the target is called.

    Raises:
        ShapeError: vectors that belong together are not of one length.
        UsageError: the path does not end in .gif, or no epoch has finite numbers.
    """
    if Path(path).suffix.lower() != ".gif":
        raise UsageError(f"{str(path)!r} is not a .gif file: name one, like learn.gif")
    xs, ys = _pairs(x, y)
    ts, values = _vectors(epochs, losses, ("epochs", "losses"))
    slope, intercept = (
        _vectors(epochs, numbers, ("epochs", name))[1]
        for name, numbers in (("slopes", slopes), ("intercepts", intercepts))
    )
    # Descent that runs away ends in numbers that cannot be drawn.
    good = np.isfinite([ts, values, slope, intercept]).all(axis=0)
    if not good.any():
        raise UsageError("no epoch has a finite line and loss: there is no learning")
    ts, values, slope, intercept = (a[good] for a in (ts, values, slope, intercept))
    shown = _frames(ts, FRAMES)
    with _styled():
        movie = _Movie(
            xs,
            ys,
            ts,
            values,
            slope,
            intercept,
            truth=truth,
            optimum=optimum,
            names=(x_name, y_name),
        )
        _write_gif(path, movie, shown)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the extension; the same bytes each time.

    Args:
        figure: what to write.
        path: ends in .png (at least 1,200 pixels wide), .svg or .pdf.

    Raises:
        UsageError: the path ends in something else.
    """
    kind = Path(path).suffix.lower()
    # Dates and versions would make each file differ from the one before.
    unmarked: dict[str, dict[str, str | None]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": "gradline"},
        ".pdf": {"CreationDate": None, "Creator": "gradline", "Producer": None},
    }
    if kind not in unmarked:
        raise UsageError(
            f"{str(path)!r} is no picture that can be written: "
            "end the name in .png, .svg or .pdf"
        )
    dpi = max(150, math.ceil(1200 / figure.get_figwidth()))
    with _styled(), replacing(path) as unfinished:
        figure.savefig(
            unfinished, format=kind[1:], dpi=dpi, metadata=dict(unmarked[kind])
        )


# --- numbers in


def _vectors(a: ArrayLike, b: ArrayLike, names: tuple[str, str]) -> tuple[Array, Array]:
    """Two float vectors of one length, or an error that names both shapes."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ShapeError(
            f"{names[0]} has shape {first.shape} and {names[1]} {second.shape}: "
            "give two vectors of one length"
        )
    return first, second


def _pairs(
    a: ArrayLike, b: ArrayLike, names: tuple[str, str] = ("x", "y")
) -> tuple[Array, Array]:
    """The pairs of two vectors that can be drawn: those with two finite numbers."""
    first, second = _vectors(a, b, names)
    # NaN is not below either; next to the largest floats, axes have no room to be.
    fine = (np.abs(first) < 1e300) & (np.abs(second) < 1e300)
    return first[fine], second[fine]


def _check_line(slope: float, intercept: float) -> None:
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise UsageError(
            f"the line has slope {slope} and intercept {intercept}: "
            "give two finite numbers"
        )


def _line(x_limits: Limits, slope: float, intercept: float) -> tuple[Array, Array]:
    """The two ends of a line across the picture."""
    ends = np.array(x_limits)  # (2,)
    with np.errstate(over="ignore", invalid="ignore"):  # of a line that ran away
        return ends, np.clip(slope * ends + intercept, -1e300, 1e300)


def _limits(values: Array, margin: float = 0.05) -> Limits:
    """From the least to the greatest value, and a little air."""
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    air = margin * (high - low) or margin * abs(low) or 1.0
    return low - air, high + air


def _reach(limits: Limits, x_limits: Limits, line: tuple[float, float]) -> Limits:
    """Limits widened for a line, but never so far that the points become a stripe."""
    (low, high), (_, heights) = limits, _line(x_limits, *line)
    most = 0.5 * (high - low)
    return (
        max(min(low, float(heights.min())), low - most),
        min(max(high, float(heights.max())), high + most),
    )


def _frames(epochs: Array, count: int) -> list[int]:
    """About `count` positions, first and last included, evenly spaced in log epoch.

    Whole epochs cannot be closer than one, so the first few coincide; the spacing is
    made finer until enough different ones are left.
    """
    if len(epochs) <= count:
        return list(range(len(epochs)))
    passed = epochs - epochs[0] + 1.0
    wanted = count
    while True:
        at = np.searchsorted(passed, np.geomspace(1.0, passed[-1], wanted))
        found = np.unique(np.minimum(at, len(epochs) - 1))
        if len(found) >= count or wanted > 50 * count:
            return [int(i) for i in found]
        wanted += max(1, count - len(found))


# --- words and numbers out


@functools.cache
def _drawable() -> frozenset[int]:
    """The characters the font has; Matplotlib warns about each one it has not."""
    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())


def _clean(text: str) -> str:
    """A text on one line, with a box for every character that cannot be drawn."""
    return "".join(c if ord(c) in _drawable() else "□" for c in " ".join(text.split()))


def _wrapped(text: str, width: int) -> str:
    """A text on at most two lines; what does not fit becomes an ellipsis."""
    return textwrap.fill(_clean(text), width, max_lines=2, placeholder=" …")


def _number(value: float, digits: int = 3, *, trim: bool = False) -> str:
    """A number for people: 0.998, 12,300, 1.2·10⁹; `trim` drops zeros at the end."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    power = math.floor(math.log10(abs(value)))
    if -5 < power < 7:
        text = f"{value:,.{max(0, digits - 1 - power)}f}"
    else:
        mantissa, _, exponent = f"{value:.{max(0, digits - 1)}e}".partition("e")
        text, power, trim = mantissa, int(exponent), True
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not -5 < power < 7:
        times = _power_of_ten(power)
        text = times if text == "1" else f"{text}·{times}"
    return text.replace("-", "−")


def _power_of_ten(power: int) -> str:
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _equation(
    slope: float,
    intercept: float,
    x_name: str,
    y_name: str,
    x_limits: Limits | None = None,
    y_limits: Limits | None = None,
) -> str:
    """The line in words: "y = 0.998·x + 0.004".

    With the limits of the picture, each number is as precise as the eye can be there:
    to a thousandth of the height. Without them the line is known, and written out.
    """
    x_short, y_short = _clean(x_name), _clean(y_name)
    if len(x_short) + len(y_short) > 24:
        x_short, y_short = "x", "y"  # the axes have the names in full
    if x_limits is None or y_limits is None:
        first = _number(slope, 6, trim=True)
        second = _number(abs(intercept), 6, trim=True)
    else:
        tall = math.log10(y_limits[1] - y_limits[0])
        wide = math.log10(x_limits[1] - x_limits[0])
        first = _rounded(slope, round(tall - wide) - 3, least=3)
        second = _rounded(abs(intercept), round(tall) - 3, least=1)
    sign = "−" if intercept < 0 and second != "0" else "+"
    return f"{y_short} = {first}·{x_short} {sign} {second}"


def _rounded(value: float, last: int, *, least: int) -> str:
    """A number down to the place of 10^last, or to so many digits if that is more.

    What is a million times smaller than that place is rounding error: it is 0.
    """
    if abs(value) <= 10.0 ** (last - 6):
        return "0"
    digits = math.floor(math.log10(abs(value))) - last + 1
    return _number(value, min(max(digits, least), 5))


class _Ticks(Formatter):
    """Plain tick labels; a common power of ten or offset goes into the axis label.

    Matplotlib would put them in a corner, where the legend stands.
    """

    def __init__(self, limits: Limits) -> None:
        low, high = limits
        span, middle = high - low, (low + high) / 2
        self.offset = 0.0
        if max(abs(low), abs(high)) > 1e4 * span:  # labels would be all alike
            unit = 10.0 ** (math.ceil(math.log10(span)) + 1)
            self.offset = round(middle / unit) * unit
        size = math.log10(max(abs(low - self.offset), abs(high - self.offset)))
        self.power = 0 if -3 <= size < 5.5 else 3 * math.floor(size / 3)

    def name(self, name: str) -> str:
        """The axis label: the column's name and what was taken from its numbers."""
        if self.offset:
            sign = "+" if self.offset < 0 else "−"
            name += f" {sign} {_number(abs(self.offset), 15, trim=True)}"
        return f"{name} (×{_power_of_ten(self.power)})" if self.power else name

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Every label with the decimals that the closest two ticks need."""
        scaled = (np.asarray(values, np.float64) - self.offset) / 10.0**self.power
        step = float(np.diff(scaled).min()) if len(scaled) > 1 else 1.0
        # Far from 0, neighbouring floats are far apart, and ticks are not quite round.
        blur = 4 * float(np.finfo(np.float64).eps) * abs(self.offset) / 10.0**self.power
        decimals, most = 0, 1e-3 * step + min(blur, 0.1 * step)
        while decimals < 6 and abs(step - round(step, decimals)) > most:
            decimals += 1
        # Adding 0 makes 0 of a -0.
        labels = [f"{round(v, decimals) + 0.0:,.{decimals}f}" for v in scaled]
        return [label.replace("-", "−") for label in labels]

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.format_ticks([x])[0]


# --- what every picture is made of


@contextmanager
def _styled() -> Iterator[None]:
    with _STYLE_LOCK, matplotlib.rc_context(_STYLE):
        yield


def _panels(
    count: int = 1, size: tuple[float, float] = (8.0, 5.0)
) -> tuple[Figure, list[Axes]]:
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15, wspace=0.06)  # inches
    figure = Figure(figsize=size, layout=layout)
    FigureCanvasAgg(figure)  # text can be measured before anything is saved
    axes: list[Axes] = list(figure.subplots(1, count, squeeze=False)[0])
    for ax in axes:
        ax.set_autoscale_on(False)  # all limits are set; tries can overflow
        # Given here, since ticks are made later, when the style has been put back.
        ax.tick_params(length=0, labelsize=12, labelcolor=GREY, pad=6)
        ax.grid(color=RULE, linewidth=0.8)
    return figure, axes


def _frame(
    ax: Axes, x_limits: Limits, y_limits: Limits, x_name: str, y_name: str
) -> None:
    """Limits, ticks and names of two linear axes."""
    ax.set_xlim(*x_limits)
    ax.set_ylim(*y_limits)
    height = ax.figure.get_figheight() if isinstance(ax.figure, Figure) else 5.0
    for axis, limits, name, width in (
        (ax.xaxis, x_limits, x_name, 56),
        (ax.yaxis, y_limits, y_name, int(6 * height)),
    ):
        ticks = _Ticks(limits)
        axis.set_major_locator(MaxNLocator(6, steps=STEPS))
        axis.set_major_formatter(ticks)
        axis.set_label_text(ticks.name(_wrapped(name, width)))


def _points(
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
        _dots(ax, x, y, color=BLUE, label=_count(len(x), "point"))
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
        _log_ticks(bar.ax.yaxis, 1.0, max(top, 2.0))
        bar.set_label(f"points per cell, of {len(x):,}", labelpad=8)


def _dots(ax: Axes, x: Array, y: Array, *, color: str, label: str) -> None:
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
        color=color,
        zorder=2,
        label=label,
    )


def _held_out_points(ax: Axes, x: Array, y: Array, dense: bool) -> None:
    label = _count(len(x), "point") + " held out"
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


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _true_line(
    ax: Axes, x_limits: Limits, truth: tuple[float, float], x_name: str, y_name: str
) -> Line2D:
    (line,) = ax.plot(
        *_line(x_limits, *truth),
        **_DASHED,
        zorder=5,
        label=f"true: {_equation(*truth, x_name, y_name)}",
    )
    return line


def _head(ax: Axes, title: str | None) -> None:
    """Title and legend above the axes, where they cannot cover data."""
    room = _legend_height(ax)
    if title is not None:
        wide = ax.figure.get_figwidth() if isinstance(ax.figure, Figure) else 8.0
        ax.set_title(_wrapped(title, int(6.6 * wide)) or " ", loc="left", pad=room)


def _legend_height(ax: Axes) -> float:
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
        if isinstance(handle, Line2D) and handle.get_linestyle() == "None":
            handle.set(markersize=8, alpha=0.8)  # tiny dots are no key
    return legend


# --- loss by epoch


def _loss_axes(
    ax: Axes, epochs: Array, losses: Array, optimum: float | None, *, color: str
) -> None:
    """The loss over its epochs, both logarithmic, and the optimum dashed."""
    finite = np.isfinite(losses)
    _loss_line(ax, epochs[finite], losses[finite], color=color)
    if optimum is not None and math.isfinite(optimum):
        _optimum_line(ax, losses[finite], optimum)
    if not finite.all():
        first = float(epochs[~finite][0])
        ax.axvline(
            first,
            color=RED,
            linestyle=":",
            linewidth=2,
            label=f"not finite from epoch {first:,.0f}",
        )
    _log_epochs(ax, epochs)
    _log_height(ax, losses[finite], optimum)
    ax.yaxis.set_label_text("loss")


def _loss_line(ax: Axes, epochs: Array, values: Array, *, color: str) -> None:
    ax.plot(
        epochs,
        values,
        color=color,
        marker="o" if len(epochs) <= 30 else "none",
        markersize=6,
        zorder=3,
    )


def _optimum_line(ax: Axes, losses: Array, optimum: float) -> None:
    label = f"exact optimum: {_number(optimum, 4, trim=True)}"
    if (losses > 0).any() and not _within_reach(losses, optimum):
        label += " (below)"
    ax.axhline(optimum, **_DASHED, zorder=4, label=label)


def _within_reach(losses: Array, optimum: float) -> bool:
    """Whether the optimum can be shown without squeezing the curve into a stripe."""
    positive = losses[losses > 0]
    return optimum > 0 and (len(positive) == 0 or optimum > 1e-4 * positive.min())


def _gap_axes(ax: Axes, epochs: Array, losses: Array, optimum: float) -> None:
    """What is left of the loss above the optimum, over a linear axis of epochs."""
    gap = losses - optimum
    floor = _rounding(gap, optimum)
    meant = np.isfinite(gap) & (gap > floor)
    if not meant.any():
        at_optimum = np.isfinite(gap).any()
        text = "no gap: at the optimum" if at_optimum else "no gap to show"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", color=GREY)
        ax.yaxis.set_major_locator(NullLocator())
        _linear_epochs(ax, epochs)
    else:
        if floor > 0:  # what is below is left out: it would fill the picture with noise
            gap = np.where(meant, gap, np.nan)
        _loss_line(ax, epochs, gap, color=BLUE)
        low, high = float(gap[meant].min()), float(gap[meant].max())
        if floor > 0 and low < 10 * floor:
            _log_limits(ax, floor / 10, high)
            ax.axhspan(
                ax.get_ylim()[0], floor, color="#EBEBEB", zorder=0, label="rounding"
            )
        else:
            _log_limits(ax, low, high)
        # Once there, nothing more is to be seen: the rest would squeeze the slope.
        last = epochs[meant][-1]
        _linear_epochs(ax, epochs[epochs <= epochs[0] + 1.25 * (last - epochs[0])])
    ax.yaxis.set_label_text("loss − optimum")


def _rounding(gap: Array, optimum: float) -> float:
    """The gap below which rounding errors decide.

    No loss is below the optimum. One that seems to be, by a little, tells how large
    the errors are where it was computed; float32 has seven digits.
    """
    below = -gap[np.isfinite(gap) & (gap < 0)]
    below = below[below < 1e-5 * abs(optimum)]
    least = 8 * float(np.finfo(np.float64).eps) * abs(optimum)
    return max(least, 2 * float(below.max())) if len(below) else least


def _log_epochs(ax: Axes, epochs: Array) -> None:
    """Logarithmic epochs when there are many, with room for an epoch 0."""
    first, last = (float(epochs[0]), float(epochs[-1])) if len(epochs) else (0.0, 1.0)
    if last < 30 * max(first, 1.0):
        _linear_epochs(ax, epochs)
        return
    low: float
    if first < 1:
        ax.set_xscale("symlog", linthresh=1.0, linscale=0.3)
        low, ticks = first - 0.1, [0.0]
    else:
        ax.set_xscale("log")
        low, ticks = first / (last / first) ** 0.02, []
    powers = range(math.ceil(math.log10(max(first, 1.0))), int(math.log10(last)) + 1)
    if len(powers) > 5:
        powers = powers[::2]
    ticks += [10.0**power for power in powers]
    labels = [
        f"{t:,.0f}" if t < 1e6 else _power_of_ten(round(math.log10(t))) for t in ticks
    ]
    _fix_ticks(ax.xaxis, ticks, labels)
    ax.set_xlim(low, last * (last / max(first, 1.0)) ** 0.03)
    ax.xaxis.set_label_text("epoch")


def _linear_epochs(ax: Axes, epochs: Array) -> None:
    limits = _limits(epochs, margin=0.03)
    if len(epochs) and epochs[0] == epochs[-1]:
        limits = float(epochs[0]) - 1, float(epochs[0]) + 1
    ticks = _Ticks(limits)
    ax.set_xlim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(ticks)
    ax.xaxis.set_label_text(ticks.name("epoch"))


def _log_height(ax: Axes, values: Array, optimum: float | None) -> None:
    """A logarithmic height for what is positive; zeros run off the lower edge."""
    positive = values[values > 0]
    if optimum is not None and _within_reach(values, optimum):
        positive = np.append(positive, optimum)
    if len(positive):
        _log_limits(ax, float(positive.min()), float(positive.max()))
    else:
        ax.set_ylim(-0.05, 1.0)


def _log_limits(ax: Axes, low: float, high: float) -> None:
    # Within what a float can hold, with room for air and for Matplotlib's own sums.
    low, high = (min(max(value, 1e-290), 1e290) for value in (low, high))
    decades = math.log10(high) - math.log10(low)
    air = 10.0 ** min(max(0.06 * decades, 0.01), 10.0) if decades else 2.0
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(low / air, high * air)
    _log_ticks(ax.yaxis, low / air, high * air)


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    """Decades where the axis has several; else 1, 2, 5; else evenly spaced numbers."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last - first >= 2:
        stride = next(k for k in (1, 2, 3, 5, 10, 20, 50, 100) if last - first < 8 * k)
        powers = [power for power in range(first, last + 1) if power % stride == 0]
        ticks = [10.0**power for power in powers]
    else:
        ticks = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
        ticks = [t for t in ticks if low <= t <= high]
        powers = None
    if len(ticks) < 3:
        ticks = [
            t
            for t in MaxNLocator(5, steps=STEPS).tick_values(low, high)
            if low <= t <= high
        ]
    if powers and (first < -4 or last > 5):
        labels = [_power_of_ten(power) for power in powers]
    else:
        labels = [_number(t, 6, trim=True) for t in ticks]
    _fix_ticks(axis, ticks, labels)


def _fix_ticks(axis: Axis, ticks: list[float], labels: list[str]) -> None:
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(labels))
    axis.set_minor_locator(NullLocator())


# --- the moving picture


class _Movie:
    """One canvas; what stands still is drawn once, and what moves on top of it."""

    def __init__(
        self,
        x: Array,
        y: Array,
        epochs: Array,
        losses: Array,
        slopes: Array,
        intercepts: Array,
        *,
        truth: tuple[float, float] | None,
        optimum: float | None,
        names: tuple[str, str],
    ) -> None:
        self.epochs, self.losses = epochs, losses
        self.slopes, self.intercepts = slopes, intercepts
        self.names = names if len("".join(names)) <= 8 else ("x", "y")
        figure, (left, right) = _panels(2, size=(9.6, 4.8))  # 960 by 480 at 100 dpi
        self.canvas = canvas = cast("Any", FigureCanvasAgg(figure))

        self.x_limits, self.y_span = _limits(x), _limits(y)
        y_limits = self.y_span
        for k in (0, -1):
            line = float(slopes[k]), float(intercepts[k])
            low, high = _reach(self.y_span, self.x_limits, line)
            y_limits = min(low, y_limits[0]), max(high, y_limits[1])
        limits = (self.x_limits, y_limits)
        _points(figure, left, x, y, limits, shape=1.25, scale=False)
        (self.line,) = left.plot([], [], color=RED, linewidth=3.5, label="learned")
        self.trail = LineCollection([], linewidths=1.2, color=RED, alpha=0.14)
        left.add_collection(self.trail, autolim=False)
        moving: list[tuple[Axes, Artist]] = [(left, self.trail), (left, self.line)]
        if truth is not None:
            moving.append((left, _true_line(left, self.x_limits, truth, *names)))
        _frame(left, self.x_limits, y_limits, *names)

        _loss_axes(right, epochs, losses, optimum, color="#BFD9E8")
        (self.done,) = right.plot([], [], color=BLUE)
        (self.dot,) = right.plot([], [], color=BLUE, marker="o", markersize=11)
        room = max(_legend_height(left), _legend_height(right))
        self.epoch_text = left.set_title("epoch", loc="left", pad=room)
        self.line_text = left.set_title("y", loc="right", pad=room, color=RED)
        self.loss_text = right.set_title("loss", loc="left", pad=room)
        moving += [(left, self.epoch_text), (left, self.line_text)]
        moving += [(right, self.done), (right, self.dot), (right, self.loss_text)]
        self.moving = moving

        figure.draw_without_rendering()  # places everything, once
        figure.set_layout_engine("none")
        for _, artist in self.moving:
            artist.set_animated(True)
        self.dot.set_clip_on(False)  # whole at the first epoch and at the last
        canvas.draw()
        self.still = canvas.copy_from_bbox(figure.bbox)

    def picture(self, passed: list[int]) -> NDArray[np.uint8]:
        """The last of the epochs passed and a trail of those before: (480, 960, 3)."""
        now = passed[-1]
        slope, intercept = float(self.slopes[now]), float(self.intercepts[now])
        self.line.set_data(*_line(self.x_limits, slope, intercept))
        before = passed[:-1]
        # One colour for all of it: what stays as it was costs no bytes.
        self.trail.set_segments(
            [
                np.column_stack(
                    _line(self.x_limits, self.slopes[k], self.intercepts[k])
                )
                for k in before
            ]
        )
        self.done.set_data(self.epochs[: now + 1], self.losses[: now + 1])
        self.dot.set_data(self.epochs[now : now + 1], self.losses[now : now + 1])
        self.epoch_text.set_text(f"epoch {self.epochs[now]:,.0f}")
        text = _equation(slope, intercept, *self.names, self.x_limits, self.y_span)
        # It shares its row with the epoch. A line that ran away needs no equation.
        self.line_text.set_text(text if len(text) <= 26 else "")
        self.line_text.set_fontsize(14 if len(text) <= 21 else 12)
        self.loss_text.set_text(f"loss {_number(float(self.losses[now]), 4)}")
        self.canvas.restore_region(self.still)
        for ax, artist in self.moving:
            ax.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[..., :3]


def _palette() -> tuple[list[int], NDArray[np.uint8]]:
    """The colours of every frame, and the nearest one to each 15-bit colour.

    They are the picture's own colours and what lies between two of them. A palette
    made from the frames would be a little off in every colour, white included.
    """
    pairs = [("white", INK), ("white", RED), ("white", BLUE)]
    pairs += [(BLUE, RED), (BLUE, DEEP), (RED, INK)]
    blends = [
        np.linspace(ImageColor.getrgb(a), ImageColor.getrgb(b), 40) for a, b in pairs
    ]  # (40, 3) each, 240 of the 256 there can be
    colours = np.concatenate(blends).round().astype(np.float32)
    level = np.linspace(0, 255, 32, dtype=np.float32)
    red, green, blue = (
        (level[:, np.newaxis] - colours[:, channel]) ** 2 for channel in range(3)
    )  # (32, 240) each
    rest = green[:, np.newaxis] + blue  # (32, 32, 240)
    nearest = np.array([(r + rest).argmin(axis=-1) for r in red], np.uint8)
    return colours.astype(int).ravel().tolist(), nearest


def _write_gif(path: str | Path, movie: _Movie, shown: list[int]) -> None:
    """Every frame in the same colours: nothing flickers, and only changes cost."""
    colours, nearest = _palette()
    frames = []
    for i in range(len(shown)):
        red, green, blue = np.moveaxis(movie.picture(shown[: i + 1]) >> 3, -1, 0)
        frame = Image.fromarray(nearest[red, green, blue])
        frame.putpalette(colours)
        frames.append(frame)
    # Milliseconds: time to see the start, then quickly on, then time to read the end.
    durations = [700, *[80] * (len(frames) - 2), 2000][-len(frames) :]
    with replacing(path) as unfinished:
        frames[0].save(
            unfinished,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,
            optimize=True,
            transparency=255,  # stands for "as before": most of every frame
        )
