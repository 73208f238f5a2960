"""How many rows lie where: a picture of x and y from one pass, however many rows.

The grid begins with what the first rows span and grows with them: where a value lies
outside, the span doubles towards it and counts are added up in pairs. It begins with
more bins than are drawn, which the doublings at both ends may use up; what is left of
them is added up in pairs at the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradline.bar import bar_for
from gradline.data import Array, Progress, Source
from gradline.lab.datasets import Numbers

#: Bins in x and in y, and how many are drawn at the most.
BINS = (640, 480)
DRAWN = (120, 90)


class Span:
    """The bins of one column."""

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.low = math.nan
        self.width = 0.0

    def begin(self, values: Array) -> None:
        """Span these values, and a little more."""
        low, high = float(values.min()), float(values.max())
        room = (high - low) or max(abs(high), 1.0) * 1e-6
        self.low, self.width = low - 0.001 * room, 1.002 * room

    def grow(self, value: float, counts: Numbers, axis: int) -> Numbers:
        """Double the span until it holds a value; the counts that follow from it."""
        while not self.low <= value < self.low + self.width:
            half = self.bins // 2
            counts = np.moveaxis(counts, axis, 0)
            paired = _paired(counts, 0)
            wider = np.zeros_like(counts)
            if value < self.low:
                self.low -= self.width
                wider[half:] = paired
            else:
                wider[:half] = paired
            counts = np.moveaxis(wider, 0, axis)
            self.width *= 2
        return counts

    def places(self, values: Array) -> Numbers:
        """In which bin each value is."""
        share = (values - self.low) / self.width * self.bins
        return np.clip(share.astype(np.int64), 0, self.bins - 1)


def _paired(counts: Numbers, axis: int) -> Numbers:
    """Neighbouring bins added up."""
    along = np.moveaxis(counts, axis, 0)
    found: Numbers = np.moveaxis(along[0::2] + along[1::2], 0, axis)
    return found


def density(
    source: Source, x: str, y: str, progress: Progress | None = None
) -> dict[str, Any] | None:
    """Count the rows of a source over a grid of two numeric columns.

    Args:
        source: the data.
        x: a column.
        y: another.
        progress: True for a bar; or what is told how reading gets on.

    Returns:
        x and y: [low, high] of the grid; counts: for each bin of y, from the lowest,
        those of x. None where no row is complete.
    """
    across, up = Span(BINS[0]), Span(BINS[1])
    counts: Numbers = np.zeros((BINS[1], BINS[0]), np.int64)
    names = list(dict.fromkeys([x, y]))

    def take(pairs: Array) -> None:
        nonlocal counts
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if not len(pairs):
            return
        for span, values, axis in ((across, pairs[:, 0], 1), (up, pairs[:, -1], 0)):
            if math.isnan(span.low):
                span.begin(values)
            for value in (float(values.min()), float(values.max())):
                counts = span.grow(value, counts, axis)
        flat = up.places(pairs[:, -1]) * BINS[0] + across.places(pairs[:, 0])
        counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)

    with bar_for(progress, "drawing", source.rows) as advance:
        for batch in source.batches(names):
            take(batch.numbers(names))
            advance(batch.rows)
    if not counts.any():
        return None
    return _cropped(across, up, counts)


def _cropped(across: Span, up: Span, counts: Numbers) -> dict[str, Any]:
    """Without the empty rows and columns around."""
    found: dict[str, Any] = {}
    cut = []
    for name, span, axis, most in (
        ("y", up, 1, DRAWN[1]),
        ("x", across, 0, DRAWN[0]),
    ):
        while np.ptp(np.flatnonzero(counts.any(axis=axis))) >= most:
            counts = _paired(counts, 1 - axis)
            span.bins //= 2
        filled = np.flatnonzero(counts.any(axis=axis))
        first, last = int(filled[0]), int(filled[-1]) + 1
        bin_width = span.width / span.bins
        found[name] = [span.low + first * bin_width, span.low + last * bin_width]
        cut.append(slice(first, last))
    return found | {"counts": counts[cut[0], cut[1]]}
