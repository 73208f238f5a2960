"""Dates and times as numbers, for the order of rows.

A date or a time stamp is the microseconds since 1970 (a time zone's own offset taken
into account; without one as if in UTC), a time of day those since midnight, a number
itself. Text is read as ISO 8601, such as 2024-01-31 or 2024-01-31T12:00:00Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from gradline.data import Array, Batch, Column, Source, row_number
from gradline.errors import DataError, MissingValueError

#: Values that are put in order together, at the least.
SORTED_AT_ONCE = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instants(batch: Batch, column: Column, start: int) -> Array:
    """A column's values in the order of time, (rows,) float64, NaN where missing.

    Args:
        batch: with the column.
        column: numbers, dates, times, or text that says dates.
        start: how many rows came before the batch, for messages.

    Raises:
        ColumnError: neither numbers nor dates.
        DataError: a text that is no ISO date; its row is named.
    """
    if column.kind == "number":
        return batch.numbers([column.name])[:, 0]
    if column.kind == "category":
        codes, levels = batch.category(column.name)
        found = np.empty(len(levels) + 1)
        found[-1] = np.nan
        for place, level in enumerate(levels):
            try:
                found[place] = instant(level)
            except ValueError:
                row = row_number(batch, start, int(np.argmax(codes == place)))
                raise DataError(
                    f"column {column.name!r} holds {level!r} in row {row:,}, and rows "
                    "are to follow in its order: give dates such as 2024-01-31, or "
                    "numbers"
                ) from None
        return found[codes]
    return dated(batch, column.name)


def is_dated(column: Column) -> bool:
    """Whether a column holds dates or time stamps, by its type."""
    return column.kind == "other" and column.type.startswith(("date", "timestamp"))


def dated(batch: Batch, name: str) -> Array:
    """A column of dates or times, (rows,) float64, NaN where missing."""
    arrow: Any = batch  # arrays hold numbers alone
    found: Array = arrow.instants(name)
    return found


def ordered(batch: Batch, column: Column, start: int) -> Array:
    """As `instants`, none of them missing.

    Raises:
        MissingValueError: one is missing; its row is named.
    """
    found = instants(batch, column, start)
    missing = np.isnan(found)
    if missing.any():
        row = row_number(batch, start, int(np.argmax(missing)))
        raise MissingValueError(
            f"column {column.name!r} has a missing value, first in row {row:,}, and "
            "rows are to follow in its order: fill it in, or leave such rows out"
        )
    return found


def cuts(source: Source, column: Column, shares: Sequence[float]) -> list[float]:
    """The values that stand so far up in the order of a column, infinite past its end.

    Distinct values are held, and how often each is met: days are few.

    Args:
        source: the rows.
        column: their order.
        shares: of the rows, from 0 to 1: the value at place round(rows · share).
    """
    held = [(np.zeros(0), np.zeros(0))]  # values and counts; the first are the most
    size = rows = 0
    for batch in source.batches([column.name]):
        found, times = np.unique(ordered(batch, column, rows), return_counts=True)
        held.append((found, times.astype(np.float64)))
        size += len(found)
        rows += batch.rows
        if size > max(len(held[0][0]), SORTED_AT_ONCE):  # seldom, and so cheap
            held, size = [counted(held)], 0
    values, counts = counted(held)
    if not rows:
        raise DataError(f"{source.name} has no rows to split: give at least one")
    at = np.searchsorted(np.cumsum(counts), [round(rows * s) for s in shares], "right")
    return [float(values[i]) if i < len(values) else float("inf") for i in at]


def counted(held: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Distinct values in order, and how often each is met."""
    every = np.concatenate([values for values, _ in held])
    values, places = np.unique(every, return_inverse=True)
    counts = np.concatenate([times for _, times in held])
    total = np.bincount(places.ravel(), counts, len(values))
    return values, total.astype(np.float64)


def instant(text: str) -> float:
    """A text in ISO 8601 as a number; a ValueError where it is none."""
    text = text.strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        if len(text) != 7:  # 2024-01
            raise
        found = datetime.fromisoformat(f"{text}-01")
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return float((found - _EPOCH) // timedelta(microseconds=1))
