"""Ticks: plain labels on linear axes, round numbers on logarithmic ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    Formatter,
    MaxNLocator,
    NullLocator,
)

from gradline.plots.geometry import Limits
from gradline.plots.words import number, power_of_ten

#: Ticks are these numbers, times a power of ten.
STEPS = [1, 2, 2.5, 5, 10]


class Ticks(Formatter):
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
            name += f" {sign} {number(abs(self.offset), 15, trim=True)}"
        return f"{name} (×{power_of_ten(self.power)})" if self.power else name

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


def log_limits(ax: Axes, low: float, high: float) -> None:
    """A logarithmic height from low to high, and a little air."""
    # Within what a float can hold, with room for air and for Matplotlib's own sums.
    low, high = (min(max(value, 1e-290), 1e290) for value in (low, high))
    decades = math.log10(high) - math.log10(low)
    air = 10.0 ** min(max(0.06 * decades, 0.01), 10.0) if decades else 2.0
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(low / air, high * air)
    log_ticks(ax.yaxis, low / air, high * air)


def log_ticks(axis: Axis, low: float, high: float) -> None:
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
        labels = [power_of_ten(power) for power in powers]
    else:
        labels = [number(t, 6, trim=True) for t in ticks]
    fix_ticks(axis, ticks, labels)


def fix_ticks(axis: Axis, ticks: list[float], labels: list[str]) -> None:
    """These ticks with these labels, and no others."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(labels))
    axis.set_minor_locator(NullLocator())


def turn_names(ax: Axes, names: Sequence[str]) -> None:
    """Turn the names below an axis where they would run into one another."""
    if len(names) * max(map(len, names), default=0) > 44:
        for label in ax.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
