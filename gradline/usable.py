"""Which columns and values can be used, and what to say of those that cannot."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from gradline.data import Array, Codes, Column, Mask, Source, column_of
from gradline.errors import ColumnError, DataError, MissingValueError, listed

#: The code of a category where its level is missing.
MISSING = -1

#: A text column with a new level in every fourth row or more is a name or an id: once
#: it has so many levels in the midst of reading, or so many at the end.
MANY_LEVELS, SOME_LEVELS = 1_000, 50

_DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NUMBERISH = re.compile(r"[-+]{0,2}[€$£¥]?\s?\d[\d.,:/\s_-]*(e[-+]?\d+)?\s?[€$£¥%]?")


def check_target(source: Source, target: str) -> None:
    """Refuse a target that is not there, or not numbers.

    Raises:
        ColumnError: with an example of what it holds.
    """
    column = column_of(source, target)
    if column.kind != "number":
        numeric = [c.name for c in source.columns if c.kind == "number"]
        hint = f"numbers are in {listed(numeric)}" if numeric else "no column has any"
        raise ColumnError(
            f"the target {target!r} holds {said(source, column)} and must hold "
            f"numbers: {decimal_hint(source, column) or hint}"
        )


def useless(name: str, kind: str) -> ColumnError:
    """The error for a column of dates, lists and the like."""
    return ColumnError(
        f"column {name!r} holds {kind} values, which are neither numbers nor "
        f"categories: leave it out with exclude=[{name!r}] (--exclude {name})"
    )


def said(source: Source, column: Column) -> str:
    """What a column holds, for a message, with an example where it is text."""
    if column.kind != "category":
        return {"other": f"{column.type} values"}.get(column.kind, "numbers")
    for batch in source.batches([column.name]):
        codes, names = batch.category(column.name)
        found = np.flatnonzero(codes >= 0)
        if len(found):
            return f"text, such as {names[codes[found[0]]]!r}"
    return "text"


def decimal_hint(source: Source, column: Column) -> str | None:
    """What to do about a text column whose texts are numbers with decimal commas."""
    if column.kind != "category":
        return None
    for batch in source.batches([column.name]):
        _, names = batch.category(column.name)
        if any(_DECIMAL_COMMA.fullmatch(n.strip()) for n in names):
            return (
                "for numbers with decimal commas give decimal=',' (--decimal ,); "
                "thousands separators must be taken out of the file"
            )
        return None
    return None


def check_features(source: Source, features: Sequence[str], target: str) -> None:
    """Refuse features that are none, doubled, not there or of no use.

    Raises:
        ColumnError: which one, and why.
        DataError: there is none.
    """
    if not features:
        raise DataError(
            f"{source.name} has no column beside the target {target!r}: a line needs "
            "at least one feature"
        )
    seen: set[str] = set()
    by_name = {column.name: column for column in source.columns}
    for name in features:
        column = by_name.get(name) or column_of(source, name)
        if name == target:
            raise ColumnError(
                f"{name!r} is the target and a feature: take it off the features"
            )
        if name in seen:
            raise ColumnError(f"feature {name!r} is named twice: name it once")
        seen.add(name)
        if column.kind == "other":
            raise useless(name, column.type)


def missing_error(name: str, row: int) -> MissingValueError:
    """The error for a missing value, in a row counted from 1."""
    return MissingValueError(
        f"column {name!r} has a missing value, first in row {row:,}: fill it in, leave "
        "the column out, or drop such rows with missing='drop' (--missing drop)"
    )


def refuse_infinity(values: Array, names: Sequence[str], start: int) -> None:
    """Refuse an infinite value in columns (rows, d), before which `start` rows came."""
    infinite = np.isinf(values)
    if infinite.any():
        row, column = divmod(int(np.argmax(infinite)), infinite.shape[1])
        raise MissingValueError(
            f"column {names[column]!r} is infinite, first in row {start + row + 1:,}: "
            "no line fits that; correct it or leave the row out"
        )


def refuse_identifier(
    source: Source, name: str, levels: Collection[str], rows: int, most: int
) -> None:
    """Refuse a category of more than `most` levels that has too many for its rows.

    Numbers with a stray mark among them have as many, and are told as such.
    """
    if len(levels) > most and len(levels) > rows / 4:
        refuse_numbers_as_text(source, name, list(levels))
        raise ColumnError(
            f"column {name!r} has {len(levels):,} different values in {rows:,} rows, "
            f"so it looks like a name or an id: leave it out with exclude=[{name!r}] "
            f"(--exclude {name}), or insist with categories=[{name!r}]"
        )


def refuse_numbers_as_text(source: Source, name: str, levels: list[str]) -> None:
    """Refuse a text column that is numbers or dates with something in the way.

    As a category it would fit beautifully, and mean nothing.
    """
    column = column_of(source, name)
    if not column.type.startswith(("string", "large_string")):
        return  # somebody made it a category, or it is true and false
    numbers = [v for v in levels if _NUMBERISH.fullmatch(v.strip())]
    if not numbers or len(numbers) < len(levels) / 2:
        return
    others = [v for v in levels if v not in numbers]
    but = f", but {listed(others, 2)} {'do' if len(others) > 1 else 'does'} not"
    hint = decimal_hint(source, column)
    raise ColumnError(
        f"column {name!r} holds text, and {listed(numbers, 2)} look like numbers or "
        f"dates{but if others else ''}: {hint or 'mend the file'}, leave it out with "
        f"exclude=[{name!r}] (--exclude {name}), or make it a category with "
        f"categories=[{name!r}] (--categories {name})"
    )


def complete_rows(
    numbers: tuple[Array, Sequence[str]],
    beside: tuple[Array, Sequence[str]],
    codes: dict[str, Codes],
    start: int,
    drop: bool,
) -> Mask | None:
    """The rows to keep; None when all are, which is looked for first.

    Args:
        numbers: (rows, columns), NaN where something is missing, and their names.
        beside: the same of the columns that are no features.
        codes: of each category, (rows,).
        start: how many rows came before, for messages.
        drop: whether incomplete rows are left out.

    Raises:
        MissingValueError: a missing value (unless drop) or an infinity.
    """
    (values, names), (others, extra) = numbers, beside
    fine = all_finite(values) and all_finite(others)
    if fine and not any((c == MISSING).any() for c in codes.values()):
        return None
    refuse_infinity(values, names, start)
    refuse_infinity(others, extra, start)
    gaps = {name: np.isnan(values[:, i]) for i, name in enumerate(names)}
    gaps |= {name: code == MISSING for name, code in codes.items()}
    gaps |= {name: np.isnan(others[:, i]) for i, name in enumerate(extra)}
    incomplete = np.zeros(values.shape[0], dtype=bool)
    for gap in gaps.values():
        incomplete |= gap
    if not incomplete.any():
        return None  # the sum overflowed, the values are fine
    if not drop:
        row = int(np.argmax(incomplete))
        column = next(name for name, gap in gaps.items() if gap[row])
        raise missing_error(column, start + row + 1)
    return ~incomplete


def all_finite(values: Array) -> bool:
    """Whether all are finite, by their squares; False also where those overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        flat = values.ravel(order="K")  # no copy where they lie in one piece
        return bool(np.isfinite(np.dot(flat, flat)))  # lets other threads run
