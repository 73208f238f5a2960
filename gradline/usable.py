"""Which columns and values can be used, and what to say of those that cannot."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

import numpy as np

from gradline.data import (
    Array,
    Codes,
    Column,
    Mask,
    Source,
    column_of,
    csv_options,
    row_places,
)
from gradline.errors import ColumnError, DataError, MissingValueError, listed

#: The code of a category where its level is missing.
MISSING = -1

#: A text column with a new level in every fourth row or more is a name or an id: once
#: it has so many levels in the midst of reading, or so many at the end.
MANY_LEVELS, SOME_LEVELS = 1_000, 50

_DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NUMBERISH = re.compile(r"[-+]{0,2}[€$£¥]?\s?\d[\d.,:/\s_-]*(e[-+]?\d+)?\s?[€$£¥%]?")
_DATE = re.compile(
    r"(\d{4}([-./])\d{1,2}\2\d{1,2}|\d{1,2}([-./])\d{1,2}\3(\d{2}){1,2})(\D.*)?"
)

#: What Arrow's types of time are to people, and what a line can use of them.
_TIMES = {
    "date": "dates",
    "timestamp": "dates with a time",
    "time": "times of day",
    "duration": "lengths of time",
}
_FROM_DATES = (
    "make a number of it first, such as the days since the first one, or a category, "
    "such as the month"
)


def typed(option: str, name: str) -> str:
    """An option with a column's name, as one types it in a shell: --exclude 'a b'."""
    if any(mark in name for mark in ',"'):  # a list of names is read as CSV
        doubled = name.replace('"', '""')
        name = f'"{doubled}"'
    joined = "=" if name.startswith("-") else " "
    return f"{option}{joined}{name if name.isalnum() else shlex.quote(name)}"


def check_target(source: Source, target: str) -> None:
    """Refuse a target that is not there, or not numbers.

    Raises:
        ColumnError: with an example of what it holds.
    """
    column = column_of(source, target)
    if column.kind != "number":
        numeric = [c.name for c in source.columns if c.kind == "number"]
        hint = f"numbers are in {listed(numeric)}" if numeric else "no column has any"
        stray = _first_stray(source, column)
        if stray is not None:
            hint = "correct it, or empty it and give missing='drop' (--missing drop)"
        held = said(source, column) if stray is None else f"text, {stray},"
        raise ColumnError(
            f"the target {target!r} holds {held} and must hold numbers: "
            f"{decimal_hint(source, column) or hint}"
        )


def useless(name: str, kind: str) -> ColumnError:
    """The error for a column of dates, lists and the like."""
    time = _time_words(kind)
    return ColumnError(
        f"column {name!r} holds {time or f'{kind} values'}, which are neither numbers "
        f"nor categories: {f'{_FROM_DATES}, or ' if time else ''}leave it out with "
        f"exclude=[{name!r}] ({typed('--exclude', name)})"
    )


def _time_words(kind: str) -> str | None:
    """What a type of Arrow's is called, where it is one of time: "dates"."""
    word = re.match(r"[a-z]*", kind)
    return _TIMES.get(word[0]) if word else None


def said(source: Source, column: Column) -> str:
    """What a column holds, for a message, with an example where it is text."""
    if column.kind != "category":
        held = _time_words(column.type) or f"{column.type} values"
        return {"other": held}.get(column.kind, "numbers")
    for batch in source.batches([column.name]):
        codes, names = batch.category(column.name)
        found = np.flatnonzero(codes >= 0)
        if len(found):
            return f"text, such as {names[codes[found[0]]]!r}"
    return "text"


def decimal_hint(source: Source, column: Column) -> str | None:
    """What to do about a text column whose texts are numbers with decimal commas."""
    separators = "thousands separators must be taken out of the file"
    if holds_decimal_commas(source, column):
        return (
            "for numbers with decimal commas give decimal=',' (--decimal ,); "
            f"{separators}"
        )
    commas = _decimal_commas(source, column)  # whoever said so need not be told again
    return separators if any("." in text for text in commas) else None


def holds_decimal_commas(source: Source, column: Column) -> bool:
    """Whether texts are numbers with decimal commas, and nobody has said so."""
    known = csv_options(source).get("decimal") == ","
    return not known and bool(_decimal_commas(source, column))


def _decimal_commas(source: Source, column: Column) -> list[str]:
    """The texts of a column that are such numbers, of its first batch."""
    if column.kind == "category":
        for batch in source.batches([column.name]):
            _, names = batch.category(column.name)
            return [n for n in names if _DECIMAL_COMMA.fullmatch(n.strip())]
    return []


def _first_stray(source: Source, column: Column) -> str | None:
    """The first text that is no number in a column of numbers, with its row.

    None where the column is no such: less than half of its texts look like numbers, or
    all do.
    """
    if not column.type.startswith(("string", "large_string")):
        return None
    start, numbers, texts, found = 0, 0, 0, None
    for batch in source.batches([column.name]):
        codes, names = batch.category(column.name)
        strays = [not _NUMBERISH.fullmatch(name.strip()) for name in names]
        texts, numbers = texts + len(names), numbers + len(names) - sum(strays)
        if found is None and any(strays):
            hit = np.append(strays, False)[codes]  # a missing one, -1, is none
            if hit.any():
                row = int(np.argmax(hit))
                place = int(row_places(batch, start)[row]) + 1
                found = f"{names[codes[row]]!r} in row {place:,}"
        start += batch.rows
    return found if numbers >= texts / 2 else None


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


def header_note(source: Source) -> tuple[str, ...]:
    """A note on a CSV file whose column names are numbers: its first row, perhaps.

    Not where they count 0, 1, 2: so pandas calls the columns of a frame without names.
    """
    names = [c.name for c in source.columns]
    file = source.name.lower().removesuffix(".gz")
    if not file.endswith((".csv", ".tsv", ".txt")) or not all(map(_is_whole, names)):
        return ()
    if [int(name) for name in names] == list(range(len(names))):
        return ()
    return (
        f"The column names of {source.name}, {listed(names, 3)}, look like numbers: if "
        "its first line is a row of data, add a line of names above it.",
    )


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d{1,18}", text, re.ASCII) is not None


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
            f"({typed('--exclude', name)}), or insist with categories=[{name!r}]"
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
    others = len(levels) - len(numbers)
    dates = [v for v in numbers if _DATE.fullmatch(v.strip())]
    looks, remedy, but = "numbers or dates", decimal_hint(source, column), ""
    if len(dates) > len(numbers) / 2:
        numbers, looks, remedy = dates, "dates", _FROM_DATES
    elif others:
        stray = _first_stray(source, column)
        more = {1: "", 2: ", nor does another"}.get(
            others, f", nor do {others - 1:,} others"
        )
        but = f", but {stray} does not{more}" if stray is not None else ""
        remedy = remedy or "correct that value, or empty it where none is known"
    raise ColumnError(
        f"column {name!r} holds text, and {listed(numbers[:2])} look like {looks}"
        f"{but}: {remedy or 'mend the file'}, leave it out with exclude=[{name!r}] "
        f"({typed('--exclude', name)}), or make it a category with "
        f"categories=[{name!r}] ({typed('--categories', name)})"
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
