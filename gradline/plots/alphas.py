"""The error on rows held out, over the weight of a penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradline.data import Array
from gradline.errors import DataError
from gradline.plots.geometry import limits_of
from gradline.plots.style import BLUE, DASHED, RED, panels, set_frame, set_head, styled
from gradline.plots.ticks import log_ticks
from gradline.plots.words import clean, number

if TYPE_CHECKING:
    from gradline.crossval import CrossValidation


def draw_alphas(found: CrossValidation, target: str | None = None) -> Figure:
    """Draw the mean error over alpha, one standard error about it, and both choices.

    Args:
        found: the cross-validation.
        target: which one; unless told the first, or the mean of all, where one alpha
            was chosen by that.

    Raises:
        DataError: one alpha is no curve.
        UsageError: no such target.
    """
    curve = found.curve(target)
    place = found.targets.index(curve.of) if curve.of in found.targets else 0
    alphas = found.alphas
    shown = (alphas > 0) & np.isfinite(curve.mean)
    if shown.sum() < 2:
        raise DataError(
            "one alpha is no curve to draw: give several, or a penalty that has some"
        )
    mean, error = curve.mean[shown], curve.standard_error[shown]
    with styled():
        figure, (ax,) = panels()
        _draw_curve(ax, alphas[shown], mean, error)
        best = float(found.best_alpha[place])
        if best > 0:
            ax.axvline(best, **DASHED, zorder=2, label=f"least error: {number(best)}")
        wide = float(found.alpha_1se[place])
        if np.isfinite(error).all() and wide > 0:
            ax.axvline(
                wide,
                color=RED,
                linestyle=":",
                linewidth=2.5,
                zorder=2,
                label=f"one standard error: {number(wide)}",
            )
        penalty = f"alpha of the {found.penalty} penalty"
        about = f"mean squared error of {clean(curve.of)}"
        set_frame(ax, (0.0, 1.0), _height(mean, error), penalty, about)
        _log_axis(ax, alphas[shown])
        set_head(ax, None)
    return figure


def _draw_curve(ax: Axes, alphas: Array, mean: Array, error: Array) -> None:
    if np.isfinite(error).all():
        ax.fill_between(
            alphas,
            mean - error,
            mean + error,
            color=BLUE,
            alpha=0.18,
            label="± 1 standard error",
            zorder=1,
        )
    ax.plot(alphas, mean, color=BLUE, zorder=3, label="error on rows held out")


def _height(mean: Array, error: Array) -> tuple[float, float]:
    """From the least to the largest that is drawn."""
    spread = np.where(np.isfinite(error), error, 0.0)
    return limits_of(np.concatenate([mean - spread, mean + spread]), margin=0.05)


def _log_axis(ax: Axes, alphas: Array) -> None:
    low, high = float(alphas.min()), float(alphas.max())
    air = (high / low) ** 0.02
    ax.set_xscale("log")
    ax.set_xlim(low / air, high * air)
    log_ticks(ax.xaxis, low / air, high * air)
