"""What is learned of the data before they are fitted: levels, means, polynomials.

One pass over the rows, the complete ones where incomplete ones are to be dropped. Text
that is numbers, names or dates in disguise is refused on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gradline.data import Array, Batch, Column, Source, column_of
from gradline.encode import Levels, evaluate, undefined_error
from gradline.errors import ColumnError, DataError, MissingValueError, listed
from gradline.formula import Factor
from gradline.poly import Learner, Polynomials

#: A text column with a new level in every fourth row or more is a name or an id: once
#: it has so many levels in the midst of reading, or so many at the end.
MANY_LEVELS, SOME_LEVELS = 1_000, 50

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NUMBERISH = re.compile(r"[-+]{0,2}[€$£¥]?\s?\d[\d.,:/\s_-]*(e[-+]?\d+)?\s?[€$£¥%]?")

Missing = Literal["error", "drop"]


def learn(
    source: Source,
    *,
    categories: Sequence[str],
    numeric: Sequence[str],
    factors: Sequence[Factor],
    missing: Missing,
    asked_for: set[str],
) -> tuple[Levels, dict[str, Polynomials]]:
    """Learn the levels of categories, and the polynomials of factors, in one pass.

    Args:
        source: the rows to learn from.
        categories: the columns whose levels are wanted.
        numeric: all columns of numbers that the design needs, the target included.
        factors: those of scale, center and poly.
        missing: "drop" learns from complete rows alone.
        asked_for: categories that may look like numbers or like names.

    Returns:
        Levels by column, sorted; polynomials by the text of their factor.

    Raises:
        ColumnError: a category that looks like names, ids or numbers.
        DataError: too few different values for a polynomial, or none for a deviation;
            a function that is not defined somewhere.
        MissingValueError: a missing value or an infinity in what a factor reads.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in categories}
    learners = {f.text: Learner(f.degree if f.kind == "poly" else 1) for f in factors}
    columns = list(dict.fromkeys(name for f in factors for name in f.columns))
    # Only dropping needs the other columns: a level may stand in dropped rows alone.
    drop = missing == "drop"
    reading = dict.fromkeys([*categories, *(numeric if drop else columns)])
    rows = 0
    for batch in source.batches(list(reading)):
        coded = {name: batch.category(name) for name in categories}
        complete = np.ones(batch.rows, dtype=bool)
        if drop:
            complete &= ~np.isnan(batch.numbers(numeric)).any(axis=1)
            for codes, _ in coded.values():
                complete &= codes >= 0
        _take(learners, factors, columns, batch, complete, rows)
        rows += batch.rows
        for name, (codes, labels) in coded.items():
            used = np.unique(codes[complete & (codes >= 0)])
            found[name] |= {labels[i]: None for i in used}
            if name not in asked_for:
                _refuse_identifier(name, len(found[name]), rows, MANY_LEVELS)
    for name in categories:
        if name not in asked_for:
            _refuse_identifier(name, len(found[name]), rows, SOME_LEVELS)
            _refuse_numbers_as_text(source, name, list(found[name]))
    levels = {
        name: tuple(sorted(found[name], key=_level_order(found[name], asked_for, name)))
        for name in categories
    }
    return levels, {f.text: _learned(f, learners[f.text]) for f in factors}


def _take(
    learners: dict[str, Learner],
    factors: Sequence[Factor],
    names: Sequence[str],
    batch: Batch,
    complete: Any,
    start: int,
) -> None:
    """Show the learners a batch, before which `start` rows came."""
    if not factors:
        return
    values = batch.numbers(names)
    refuse_infinity(values, names, start)
    places = np.flatnonzero(complete)
    columns = {name: values[places, i] for i, name in enumerate(names)}
    for name, column in columns.items():
        if np.isnan(column).any():
            row = places[int(np.argmax(np.isnan(column)))]
            raise missing_error(name, start + int(row) + 1)
    for factor in factors:
        x = evaluate(factor.of, columns)
        undefined = ~np.isfinite(x)
        if undefined.any():
            row = int(np.argmax(undefined))
            number = start + int(places[row]) + 1
            raise undefined_error(factor.of.text, factor.columns, columns, row, number)
        learners[factor.text].add(x)


def _learned(factor: Factor, learner: Learner) -> Polynomials:
    """What a learner has found, if it is of use to the factor."""
    if learner.rows == 0:
        raise DataError(
            f"there is no complete row to learn {factor.text} from: leave out the "
            "emptiest column"
        )
    found = learner.value()
    rank = next((k for k, b in enumerate(found.beta) if b == 0), None)
    if rank is None or factor.kind == "center":
        return found
    if factor.kind == "scale":
        raise DataError(
            f"{factor.text} divides by the standard deviation, which is 0 here: leave "
            "the term out"
        )
    name = factor.of.text
    raise DataError(
        f"{factor.text} needs more than {factor.degree} different values and {name!r} "
        f"has {rank + 1} that float64 can tell apart: give a lower degree, leave it "
        f"out, or make it a category, C({name}) or categories=[{name!r}]"
    )


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


def _level_order(levels: dict[str, Any], asked_for: set[str], name: str) -> Any:
    """Text sorts by its code points; numbers made categories, by their value."""
    if name in asked_for and all(_NUMBER.fullmatch(level) for level in levels):
        return float
    return str


def _refuse_identifier(name: str, levels: int, rows: int, most: int) -> None:
    if levels > most and levels > rows / 4:
        raise ColumnError(
            f"column {name!r} has {levels:,} different values in {rows:,} rows, so it "
            f"looks like a name or an id: leave it out with exclude=[{name!r}] "
            f"(--exclude {name}), or insist with categories=[{name!r}]"
        )


def _refuse_numbers_as_text(source: Source, name: str, levels: list[str]) -> None:
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
