"""The loss by epoch, and how far it is from the optimum."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from gradline.data import Array
from gradline.plots.geometry import limits_of, vectors
from gradline.plots.marks import draw_chosen
from gradline.plots.style import (
    BLUE,
    DASHED,
    GREY,
    ORANGE,
    RED,
    panels,
    set_head,
    styled,
)
from gradline.plots.ticks import Ticks, fix_ticks, log_limits
from gradline.plots.words import number, power_of_ten


def loss_figure(
    epochs: ArrayLike,
    losses: ArrayLike,
    *,
    optimum: float | None = None,
    title: str | None = None,
    validation: ArrayLike | None = None,
    chosen: int | None = None,
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
        validation: the loss of rows that are not learned from, shape (k,), beside it.
        chosen: the epoch among them that early stopping chose, to be marked.

    Returns:
        A Figure, of two panels where the optimum is known. The first loss that is not
        finite is marked.

    Raises:
        ShapeError: epochs and losses are not two vectors of one length.
    """
    ts, values = vectors(epochs, losses, ("epochs", "losses"))
    seen = None
    if validation is not None:
        _, seen = vectors(epochs, validation, ("epochs", "validation losses"))
    with styled():
        if optimum is None:
            figure, (left,) = panels()
        else:
            figure, (left, right) = panels(2, size=(11.0, 5.0))
        draw_loss(left, ts, values, optimum, color=BLUE, validation=seen)
        if chosen is not None:
            _mark_chosen(left, ts, values if seen is None else seen, chosen)
        set_head(left, title)
        if optimum is not None:
            _gap_axes(right, ts, values, optimum)
            set_head(right, "" if title else None)  # both panels leave the same room
    return figure


def draw_loss(
    ax: Axes,
    epochs: Array,
    losses: Array,
    optimum: float | None,
    *,
    color: str,
    validation: Array | None = None,
) -> None:
    """The loss over its epochs, both logarithmic, and the optimum dashed."""
    finite = np.isfinite(losses)
    shown = losses[finite]
    _loss_line(ax, epochs[finite], shown, color=color)
    if validation is not None:
        ax.lines[-1].set_label("training")
        seen = np.isfinite(validation)
        _loss_line(ax, epochs[seen], validation[seen], color=ORANGE)
        ax.lines[-1].set_label("validation")
        shown = _readable(shown, validation[seen])
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
    _log_losses(ax, shown, optimum)
    ax.yaxis.set_label_text("loss")


def _readable(training: Array, validation: Array) -> Array:
    """What the height is made for: both curves, or what follows a fall far above them.

    Where the first losses would press all later ones into a stripe, in which the two
    cannot be told apart, they run off the upper edge.
    """
    both = np.concatenate([training, validation])
    skip = max(1, len(training) // 10)
    late = np.concatenate([training[skip:], validation[skip:]])
    if len(late) < 4 or both.min() <= 0:
        return both
    narrow = math.log(late.max() / late.min()) < 0.1 * math.log(both.max() / both.min())
    return late if narrow else both


def _loss_line(ax: Axes, epochs: Array, values: Array, *, color: str) -> None:
    ax.plot(
        epochs,
        values,
        color=color,
        marker="o" if len(epochs) <= 30 else "none",
        markersize=6,
        zorder=3,
    )


def _mark_chosen(ax: Axes, epochs: Array, losses: Array, chosen: int) -> None:
    """A line at the epoch that early stopping chose, and a point on the curve."""
    ax.axvline(chosen, color=ORANGE, linestyle=":", linewidth=1.5, zorder=2)
    place = int(np.argmin(np.abs(epochs - chosen)))
    draw_chosen(ax, epochs[place], losses[place], f"chosen: epoch {chosen:,}")


def _optimum_line(ax: Axes, losses: Array, optimum: float) -> None:
    label = f"exact optimum: {number(optimum, 4, trim=True)}"
    if (losses > 0).any() and not _within_reach(losses, optimum):
        label += " (below)"
    ax.axhline(optimum, **DASHED, zorder=4, label=label)


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
            log_limits(ax, floor / 10, high)
            ax.axhspan(
                ax.get_ylim()[0], floor, color="#EBEBEB", zorder=0, label="rounding"
            )
        else:
            log_limits(ax, low, high)
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
        f"{t:,.0f}" if t < 1e6 else power_of_ten(round(math.log10(t))) for t in ticks
    ]
    fix_ticks(ax.xaxis, ticks, labels)
    ax.set_xlim(low, last * (last / max(first, 1.0)) ** 0.03)
    ax.xaxis.set_label_text("epoch")


def _linear_epochs(ax: Axes, epochs: Array) -> None:
    limits = limits_of(epochs, margin=0.03)
    if len(epochs) and epochs[0] == epochs[-1]:
        limits = float(epochs[0]) - 1, float(epochs[0]) + 1
    ticks = Ticks(limits)
    ax.set_xlim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(ticks)
    ax.xaxis.set_label_text(ticks.name("epoch"))


def _log_losses(ax: Axes, values: Array, optimum: float | None) -> None:
    """A logarithmic height for what is positive; zeros run off the lower edge."""
    positive = values[values > 0]
    if optimum is not None and _within_reach(values, optimum):
        positive = np.append(positive, optimum)
    if len(positive):
        log_limits(ax, float(positive.min()), float(positive.max()))
    else:
        ax.set_ylim(-0.05, 1.0)
