"""Numbers in: vectors checked, limits that hold them, and lines across the picture."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from gradline.data import Array
from gradline.errors import ShapeError

#: The least and the greatest number that an axis shows.
Limits: TypeAlias = tuple[float, float]


def vectors(a: ArrayLike, b: ArrayLike, names: tuple[str, str]) -> tuple[Array, Array]:
    """Two float vectors of one length, or an error that names both shapes."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ShapeError(
            f"{names[0]} has shape {first.shape} and {names[1]} {second.shape}: "
            "give two vectors of one length"
        )
    return first, second


def finite_pairs(
    a: ArrayLike, b: ArrayLike, names: tuple[str, str] = ("x", "y")
) -> tuple[Array, Array]:
    """The pairs of two vectors that can be drawn: those with two finite numbers."""
    first, second = vectors(a, b, names)
    # NaN is not below either; next to the largest floats, axes have no room to be.
    fine = (np.abs(first) < 1e300) & (np.abs(second) < 1e300)
    return first[fine], second[fine]


def limits_of(values: Array, margin: float = 0.05) -> Limits:
    """From the least to the greatest value, and a little air."""
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    air = margin * (high - low) or margin * abs(low) or 1.0
    return low - air, high + air


def line_ends(x_limits: Limits, slope: float, intercept: float) -> tuple[Array, Array]:
    """The two ends of a line across the picture."""
    ends = np.array(x_limits)  # (2,)
    with np.errstate(over="ignore", invalid="ignore"):  # of a line that ran away
        return ends, np.clip(slope * ends + intercept, -1e300, 1e300)


def reach(limits: Limits, x_limits: Limits, line: tuple[float, float]) -> Limits:
    """Limits widened for a line, but never so far that the points become a stripe."""
    (low, high), (_, heights) = limits, line_ends(x_limits, *line)
    most = 0.5 * (high - low)
    return (
        max(min(low, float(heights.min())), low - most),
        min(max(high, float(heights.max())), high + most),
    )
