"""What is learned of the data before they are fitted: levels, means, polynomials.

One pass over the rows, the complete ones where incomplete ones are to be dropped. Text
that is numbers, names or dates in disguise is refused on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gradline.data import Batch, Source, rows_before
from gradline.encode import Levels, evaluate, undefined_error
from gradline.errors import DataError
from gradline.formula import Factor
from gradline.poly import Learner, Polynomials
from gradline.truths import truths
from gradline.usable import (
    MANY_LEVELS,
    SOME_LEVELS,
    missing_error,
    refuse_identifier,
    refuse_infinity,
    refuse_numbers_as_text,
)

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")

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
                refuse_identifier(source, name, found[name], rows, MANY_LEVELS)
    for name in categories:
        if name not in asked_for:
            refuse_identifier(source, name, found[name], rows, SOME_LEVELS)
            refuse_numbers_as_text(source, name, list(found[name]))
    for name in categories:
        same = truths(found[name])  # true and false, read as text
        found[name] = dict.fromkeys(same.values()) if same else found[name]
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
    start = rows_before(batch, start)
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
            row = int(places[np.argmax(undefined)])
            read = {name: values[:, i] for i, name in enumerate(names)}
            raise undefined_error(factor.of.text, factor.columns, read, row, start)
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


def _level_order(levels: dict[str, Any], asked_for: set[str], name: str) -> Any:
    """Text sorts by its code points; numbers made categories, by their value."""
    if name in asked_for and all(_NUMBER.fullmatch(level) for level in levels):
        return float
    return str
