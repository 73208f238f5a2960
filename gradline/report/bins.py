"""Counts of rows on grids that grow as rows come: pictures of data of any size.

A cell is 2^p wide and begins at a whole multiple of that, p the least power of two by
which the whole range so far has at most `most` cells. When a value lies outside, cells
are put together in pairs until it does not. So the counts are those of the rows
themselves, and the same however the rows are cut and in whatever order they come.

`smooth` draws a trend through such cells: at each place a straight line is fitted to
the nearest two thirds of the rows, weighted by Cleveland's tricube, and three times
again with less weight on cells far from the trend, as R's lowess.

Source: Cleveland, "Robust locally weighted regression", 1979.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradline.data import Array, Codes

#: Cells along one side of a picture; at least half of them span the range.
CELLS = 96
#: Cells along a line, for trends and quantiles.
FINE = 2048


class Axis:
    """Where values lie among cells of one side.

    Attributes:
        low: the least value so far, and `high` the greatest.
        power: p; a cell is 2^p wide.
        first: the place of the first cell, in cells from 0.
    """

    def __init__(self, most: int, fixed: bool = False) -> None:
        self.most = most
        self.fixed = fixed  # whole numbers from 0, a cell each
        self.low, self.high = math.inf, -math.inf
        self.power, self.first = 0, 0

    def stretch(self, values: Array) -> tuple[int, int]:
        """Make room for values; returns the powers that cells grow by, and `first`.

        Cell i becomes cell ((i + old first) >> powers) - new first.
        """
        before, first, seen = self.power, self.first, self.high >= self.low
        if len(values):
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))
        if self.fixed or not self.high >= self.low:
            return 0, 0
        size = max(abs(self.low), abs(self.high))
        wide = max((self.high - self.low) / self.most, 1e-13 * size, 1e-290)
        power = max(math.floor(math.log2(wide)), -1000)
        while self._cell(self.high, power) - self._cell(self.low, power) >= self.most:
            power += 1
        self.power, self.first = power, self._cell(self.low, power)
        return (power - before, first) if seen else (0, self.first)

    @staticmethod
    def _cell(value: float, power: int) -> int:
        return math.floor(math.ldexp(value, -power))

    def places(self, values: Array) -> Codes:
        """The cell of each value, (rows,)."""
        if self.fixed:
            return values.astype(np.int64)
        return (np.floor(np.ldexp(values, -self.power)) - self.first).astype(np.int64)

    @property
    def edges(self) -> Array:
        """Where cells begin, and the last one ends, (most + 1,)."""
        if self.fixed:
            return np.arange(self.most + 1.0) - 0.5
        edges: Array = np.ldexp(np.arange(self.most + 1.0) + self.first, self.power)
        return edges


class Grid:
    """Counts of rows, by cells of x and y.

    Attributes:
        counts: (cells of x, cells of y).
    """

    def __init__(self, across: int = CELLS, up: int = CELLS, fixed: bool = False):
        self.x, self.y = Axis(across, fixed), Axis(up)
        self.counts = np.zeros((across, up), dtype=np.int64)

    def add(self, x: Array, y: Array) -> None:
        """Count rows, (rows,) each."""
        old: Any = self.counts
        for side, (axis, values) in enumerate(((self.x, x), (self.y, y))):
            first = axis.first
            powers, _ = axis.stretch(values)
            old = _moved(old, side, first, powers, axis.first)
        place = self.x.places(x) * self.y.most + self.y.places(y)
        self.counts = old + np.bincount(place, minlength=old.size).reshape(old.shape)


class Line:
    """Counts and sums of rows, by cells of x.

    Attributes:
        sums: (1 + k, cells): rows, and Σ of each of k values given beside x.
    """

    def __init__(self, values: int, most: int = FINE) -> None:
        self.x = Axis(most)
        self.sums = np.zeros((2 + values, most))

    def add(self, x: Array, *values: Array) -> None:
        """Count rows: x and what is summed up, (rows,) each."""
        first = self.x.first
        powers, _ = self.x.stretch(x)
        old = _moved(self.sums, 1, first, powers, self.x.first)
        place, most = self.x.places(x), self.x.most
        rows = [np.bincount(place, minlength=most)]
        rows += [np.bincount(place, v, minlength=most) for v in (x, *values)]
        self.sums = old + np.array(rows)

    @property
    def filled(self) -> Array:
        """Cells with rows: count, mean of x, means of the values: (2 + k, cells)."""
        found = self.sums[:, self.sums[0] > 0]
        found = np.concatenate([found[:1], found[1:] / found[0]])
        return np.asarray(found)

    def quantiles(self, shares: Array) -> Array:
        """The x below which these shares of the rows lie, within a cell's width."""
        count, _ = self.sums[:2]
        edges = self.x.edges
        total = np.concatenate([[0.0], np.cumsum(count)])
        found = np.interp(shares * total[-1], total, edges)
        return np.asarray(np.clip(found, self.x.low, self.x.high))


def _moved(old: Any, side: int, first: int, powers: int, now: int) -> Any:
    """Counts by the new cells of one side."""
    if powers == 0 and first == now:
        return old
    there = np.flatnonzero(old.any(axis=1 - side))
    if len(there) == 0:
        return old
    place = ((there + first) >> powers) - now
    new = np.zeros_like(old)
    if side == 0:
        np.add.at(new, place, old[there])
    else:
        np.add.at(new.T, place, old.T[there])
    return new


def smooth(count: Array, x: Array, y: Array, at: Array, share: float = 2 / 3) -> Array:
    """A trend through cells, or through points of count 1, at these places.

    Args:
        count: rows of each, (m,).
        x: their mean x, (m,), ascending.
        y: their mean y, (m,).
        at: where, (k,), ascending.
        share: of the rows that each place looks at.

    Returns:
        (k,).
    """
    found = _local(count, x, y, at, share)
    for _ in range(3):  # rows far from the trend count less and less
        off = np.abs(y - np.interp(x, at, found))
        middle = _median(off, count)
        if middle <= 1e-12 * max(float(off.max()), 1e-300):
            break
        weight = np.square(np.clip(1 - np.square(off / (6 * middle)), 0, None))
        found = _local(count, x, y, at, share, weight)
    return found


def _median(values: Array, count: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(count[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _local(
    count: Array,
    x: Array,
    y: Array,
    at: Array,
    share: float,
    trust: Array | None = None,
) -> Array:
    """Straight lines through the nearest rows, at each place."""
    total = float(count.sum())
    wanted = min(total, max(share * total, 3.0)) * (1 - 1e-12)
    trusted = count if trust is None else count * trust
    found = np.empty(len(at))
    for i, place in enumerate(at):
        off = np.abs(x - place)
        order = np.argsort(off, kind="stable")
        reach = int(np.searchsorted(np.cumsum(count[order]), wanted))
        h = float(off[order[min(reach, len(x) - 1)]]) * (1 + 1e-9)
        near = np.clip(1 - (off / h) ** 3, 0, None) ** 3 if h > 0 else 1.0 * (off <= 0)
        w = trusted * near
        if not w.any():
            w = count * near
        mass = w.sum()
        xm, ym = w @ x / mass, w @ y / mass
        spread = w @ np.square(x - xm)
        slope = 0.0
        if spread > 1e-12 * mass * h * h:
            slope = w @ ((x - xm) * (y - ym)) / spread
        found[i] = ym + slope * (place - xm)
    return found
