"""Values of JSON as batches of columns, without Arrow between: rows come by the few.

A number is a number of JSON; a level of a category is a text, true or false, or a
number, named as everywhere in gradline (3.0 is the level "3"). null is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from gradline.data import Array, Codes, number_label
from gradline.serving.limits import MOST_SIZE, Deadline
from gradline.serving.problems import Problem, quoted

#: Rows of a batch, and numbers that they may become: what is done with one takes a few
#: milliseconds, and little memory.
PIECE, PIECE_NUMBERS = 4096, 2_000_000

_INTEGER = 2**53


def piece(terms: int) -> int:
    """Rows of a batch, where each becomes so many numbers."""
    return max(1, min(PIECE, PIECE_NUMBERS // max(1, terms)))


class Values:
    """Rows of a request: a `data.Batch`.

    Args:
        columns: values of JSON by name, all of the same length.
        rows: how many.
        start: how many came before, for messages.
    """

    #: `numbers` makes a new array, whose columns lie one after another.
    copies = True

    def __init__(self, columns: dict[str, list[Any]], rows: int, start: int) -> None:
        self._columns = columns
        self._start = start
        self._coded: dict[str, tuple[Codes, list[str]]] = {}
        self.rows = rows

    def numbers(self, names: Sequence[str]) -> Array:
        block = np.empty((self.rows, len(names)), order="F")
        for place, name in enumerate(names):
            block[:, place] = self._numbers(name)
        return block

    def _numbers(self, name: str) -> Any:
        values = self._columns[name]
        kinds = set(map(type, values))
        if kinds != {float}:
            if not kinds <= {float, int, type(None)}:
                raise self._other(name, (float, int, type(None)), "a number")
            if int in kinds:
                values = [self._exact(name, v) if type(v) is int else v for v in values]
        found = np.array(values, dtype=np.float64)  # None is NaN
        if (np.abs(found) > MOST_SIZE).any():
            row = int(np.argmax(np.abs(found) > MOST_SIZE))
            raise Problem(
                422,
                f"column {name!r} is {found[row]:g} in row {self._row(row)}: give "
                f"numbers between {-MOST_SIZE:g} and {MOST_SIZE:g}",
            )
        return found

    def _exact(self, name: str, value: int) -> float:
        """A whole number as float64, where it was meant as one.

        JavaScript writes float64 as whole numbers up to 1e21, of 17 digits and zeros;
        a number of more digits is something else, such as an id.
        """
        if -_INTEGER <= value <= _INTEGER:
            return float(value)
        try:
            found = float(value)
        except OverflowError:
            raise Problem(
                422,
                f"column {name!r} holds a number of {len(str(value)):,} digits: give "
                f"numbers between {-MOST_SIZE:g} and {MOST_SIZE:g}",
            ) from None
        if int(found) != value and Decimal(repr(found)) != value:
            raise Problem(
                422,
                f"column {name!r} holds {quoted(str(value))}, a whole number of more "
                "digits than float64 has: subtract a number near it, as in the data "
                "of the fit",
            )
        return found

    def category(self, name: str) -> tuple[Codes, list[str]]:
        if name in self._coded:
            return self._coded[name]
        values = self._columns[name]
        kinds = set(map(type, values))
        if not kinds <= {str, bool, int, float, type(None)}:
            raise self._other(name, (str, bool, int, float, type(None)), "a level")
        places: dict[str | None, int] = {None: -1}
        levels: list[str] = []
        codes = np.empty(self.rows, dtype=np.int64)
        plain = kinds <= {str, type(None)}
        for row, value in enumerate(values):
            label: Any = value if plain else self._label(name, value)
            code = places.get(label)
            if code is None:
                code = places[label] = len(levels)
                levels.append(label)
            codes[row] = code
        self._coded[name] = codes, levels
        return codes, levels

    def _label(self, name: str, value: Any) -> str | None:
        """What a value is called as a level."""
        if type(value) is int:
            value = self._exact(name, value)
        if isinstance(value, float):
            return number_label(value)
        return None if value is None else str(value)

    def _other(self, name: str, kinds: tuple[type, ...], wanted: str) -> Problem:
        """A value of a kind that is of no use."""
        values = self._columns[name]
        row = next(i for i, v in enumerate(values) if type(v) not in kinds)
        return Problem(
            422,
            f"column {name!r} holds {quoted(values[row])} in row {self._row(row)}: "
            f"give {wanted} there",
        )

    def _row(self, place: int) -> str:
        return f"{self._start + place + 1:,}"


class Request:
    """All rows of a request, as a `data.Source` that is read once.

    Args:
        columns: values of JSON by name.
        rows: how many.
        due: when its time is up.
        step: rows of a batch.
    """

    name = "the request"

    #: How missing values are asked for.
    gaps = '"missing": "nan"'

    def __init__(
        self,
        columns: dict[str, list[Any]],
        rows: int,
        due: Deadline,
        step: int = PIECE,
    ) -> None:
        self._all = columns
        self._step = step
        self._due = due
        self.rows: int | None = rows
        self.columns = ()

    def batches(self, columns: Sequence[str]) -> Iterator[Values]:
        rows = self.rows or 0
        if rows <= self._step:
            yield Values(self._all, rows, 0)
            return
        for start in range(0, rows, self._step):
            self._due.check()
            stop = min(start + self._step, rows)
            part = {name: self._all[name][start:stop] for name in columns}
            yield Values(part, stop - start, start)
