"""A few rows into terms without a detour: what a single row is answered by.

The design reads batches; for one row, most of its time goes into NumPy's calls. Here a
row becomes terms in plain Python, by a plan that is made once: a number goes to its
place, a level puts a 1 there. What comes out is the design's own X, bit for bit.

Anything out of the ordinary (a formula, a missing value, a level that is not known, a
number that is none) is left to the design, which knows what to say of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradline.data import Array
from gradline.design import Design
from gradline.serving.limits import MOST_SIZE

#: Rows up to which this is quicker.
MOST_ROWS = 16

_INTEGER = 2**53


class Quick:
    """How rows of one design become terms.

    Args:
        design: without a formula and without a degree; see `of`.
    """

    def __init__(self, design: Design) -> None:
        self._width = len(design.terms)
        self._numbers: list[tuple[str, int]] = []
        self._levels: list[tuple[str, dict[Any, int]]] = []
        place = 0
        for name in design.features:
            if name not in design.levels:
                self._numbers.append((name, place))
                place += 1
                continue
            own = design.indicated(name)
            base = len(design.levels[name]) - len(own)
            self._levels.append(
                (
                    name,
                    {
                        level: place + k - base if k >= base else -1
                        for k, level in enumerate(design.levels[name])
                    },
                )
            )
            place += len(own)

    @classmethod
    def of(cls, design: Design) -> Quick | None:
        """The plan for a design; None where there can be none."""
        return None if design.encoding is not None else cls(design)

    def terms(self, columns: dict[str, list[Any]], rows: int) -> Array | None:
        """X, (rows, d); None where the design must look.

        Args:
            columns: values of JSON by name, all of the same length.
            rows: how many.
        """
        found = [[0.0] * self._width for _ in range(rows)]
        for name, place in self._numbers:
            for row, value in zip(found, columns[name], strict=True):
                kind = type(value)
                if kind is float:
                    if not -MOST_SIZE <= value <= MOST_SIZE:
                        return None
                elif kind is not int or not -_INTEGER <= value <= _INTEGER:
                    return None
                row[place] = value
        for name, places in self._levels:
            for row, value in zip(found, columns[name], strict=True):
                if type(value) is not str:
                    return None
                at = places.get(value)
                if at is None:
                    return None
                if at >= 0:
                    row[at] = 1.0
        return np.array(found, dtype=np.float64, order="F")
