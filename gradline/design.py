"""From columns to numbers: which columns, which levels, which rows.

A design says how a source's columns become the matrix X: numeric columns as they are,
a category with levels a < b < c as the indicator columns column[b] and column[c]
(treatment coding; the first level in sorted order is the base). There is no column of
ones: the intercept, where there is to be one, comes from the centring that the state
does.

Everything a design learns (levels) comes from the rows it is built on, and travels
with the model, so that prediction on raw data needs nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gradline.checks import one_of
from gradline.data import (
    Array,
    Batch,
    Chunk,
    Codes,
    Column,
    Source,
    column_of,
)
from gradline.errors import (
    ColumnError,
    DataError,
    MissingValueError,
    listed,
)

#: The state holds about terms² numbers; past this it would be many GB.
MOST_TERMS = 20_000

#: A text column with a new level in every fourth row or more is a name or an id: once
#: it has so many levels in the midst of reading, or so many at the end.
MANY_LEVELS, SOME_LEVELS = 1_000, 50

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NUMBERISH = re.compile(r"[-+]{0,2}[€$£¥]?\s?\d[\d.,:/\s_-]*(e[-+]?\d+)?\s?[€$£¥%]?")

#: What the coefficient of the column of ones is called.
INTERCEPT = "Intercept"

#: Codes of a category that are no level of the design.
MISSING, UNKNOWN = -1, -2

Missing = Literal["error", "drop"]
Mask = npt.NDArray[np.bool_]


@dataclass
class Tally:
    """What a pass over the rows has met.

    Attributes:
        rows: rows used.
        dropped: rows left out as incomplete.
        log_weights: Σ log w over the rows of a weight above 0; 0 without weights.
    """

    rows: int = 0
    dropped: int = 0
    log_weights: float = 0.0

    def merge(self, other: Tally) -> None:
        """Count what the other has met, too."""
        self.rows += other.rows
        self.dropped += other.dropped
        self.log_weights += other.log_weights


@dataclass(frozen=True)
class Design:
    """How columns become numbers.

    Attributes:
        target: the column to predict.
        features: the columns it is predicted from, in the order of the terms.
        levels: for each category among them, its levels in order, the base first.
        weights: the column of row weights, or None.
        missing: what to do with an incomplete row.
        intercept: False for a line through the origin.
    """

    target: str
    features: tuple[str, ...]
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    weights: str | None = None
    missing: Missing = "error"
    intercept: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Of all coefficients: "Intercept", where there is one, and the terms."""
        return (INTERCEPT, *self.terms) if self.intercept else self.terms

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The names of X's columns: "distance", "carrier[AA]", "carrier[AS]"."""
        names: list[str] = []
        for feature in self.features:
            if feature in self.levels:
                names += [f"{feature}[{level}]" for level in self.indicated(feature)]
            else:
                names.append(feature)
        return tuple(names)

    def indicated(self, feature: str) -> tuple[str, ...]:
        """The levels of a category that have a column of their own: all but the base.

        Without an intercept the first category has no base, as in R: its columns stand
        for what the intercept would.
        """
        first = next(f for f in self.features if f in self.levels)
        whole = not self.intercept and feature == first
        return self.levels[feature] if whole else self.levels[feature][1:]

    def chunks(self, source: Source, tally: Tally | None = None) -> Iterator[Chunk]:
        """Read the source once, as numbers.

        Args:
            source: the data, with target, features and weights among its columns.
            tally: counts the rows used and dropped, if given.

        Yields:
            Chunks with X (rows, d), y (rows,) and weight (rows,) or None.

        Raises:
            MissingValueError: a missing value (unless missing="drop") or an infinity.
            DataError: an unknown level, or a negative weight.
        """
        for chunk, _, _ in self.chunks_of(source, tally):
            yield chunk

    def chunks_of(
        self, source: Source, tally: Tally | None = None, also: Sequence[str] = ()
    ) -> Iterator[tuple[Chunk, Batch, Mask | None]]:
        """As `chunks`, with the batch of each and which of its rows were kept.

        Args:
            source: as in `chunks`.
            tally: as in `chunks`.
            also: further columns that the batches shall have.
        """
        start = 0
        for batch in source.batches(self.reading(also)):
            found = self.chunk(batch, start, tally)
            start += batch.rows
            if found is not None:
                yield found[0], batch, found[1]

    def reading(self, also: Sequence[str] = ()) -> list[str]:
        """The columns that a pass over the rows needs, and others."""
        return list(dict.fromkeys([*self.features, *self._beside, *also]))

    def chunk(
        self, batch: Batch, start: int, tally: Tally | None = None
    ) -> tuple[Chunk, Mask | None] | None:
        """One batch as numbers, with which of its rows were kept; None if none were.

        Args:
            batch: with the columns of `reading`.
            start: how many rows came before it, for messages.
            tally: as in `chunks`.
        """
        X, beside, codes = self._read(batch, self._beside)
        keep = self._complete(X, codes, beside, self._beside, start)
        self._refuse_unknown(batch, codes, keep, start)
        if keep is not None:
            X, beside = X[keep], beside[keep]
        if tally is not None:
            tally.rows += X.shape[0]
            tally.dropped += batch.rows - X.shape[0]
        if X.shape[0] == 0:
            return None
        weight = beside[:, 1] if self.weights else None
        if weight is not None and weight.min() < 0:
            raise DataError(
                f"the weights in {self.weights!r} go down to {weight.min():g}: "
                "give weights of 0 or more"
            )
        y = beside[:, 0]
        if y.strides[0] != y.itemsize:
            y = np.ascontiguousarray(y)
        if weight is not None and tally is not None:
            tally.log_weights += float(np.log(weight[weight > 0]).sum())
        return Chunk(X, y, weight), keep

    @property
    def _beside(self) -> list[str]:
        """The columns that are no features."""
        return [self.target] + ([self.weights] if self.weights else [])

    def matrix(self, batch: Batch, start: int = 0) -> tuple[Array, Mask]:
        """One batch's features as X (rows, d), for prediction.

        Returns:
            X, and a mask (rows,) that is true for the complete rows; X is NaN in
            the others.

        Raises:
            MissingValueError: an infinity.
            DataError: a level the design does not know.
        """
        X, _, codes = self._read(batch, [])
        complete: Mask = np.logical_not(np.isnan(X).any(axis=1))
        for values in codes.values():
            complete &= values != MISSING
        self._refuse_unknown(batch, codes, complete, start)
        _refuse_infinity(X, self.terms, start)
        if not complete.all():
            X = np.where(
                complete[:, None], X, np.nan
            )  # a new one: X may be the caller's
        return X, complete

    def check_columns(self, source: Source) -> None:
        """Refuse a source that lacks a feature, or has one of another kind.

        Raises:
            ColumnError: with the column's name and what it is instead.
        """
        for name in self.features:
            column = column_of(source, name)
            if name in self.levels:
                if column.kind == "other":
                    raise _useless(name, column.type)
            elif column.kind != "number":
                hint = decimal_hint(source, column) or "give numbers there"
                raise ColumnError(
                    f"column {name!r} of {source.name} holds {_said(source, column)} "
                    f"and the model was fitted on numbers: {hint}"
                )

    def _read(
        self, batch: Batch, extra: Sequence[str]
    ) -> tuple[Array, Array, dict[str, Codes]]:
        """X (rows, d), the `extra` columns, and the codes of each category.

        Where they are copied anyway, X and the extra columns are views of one block
        whose columns lie one after another: the state works on the block.
        """
        d = len(self.terms)
        if not self.levels:
            if not extra or not getattr(batch, "copies", False):
                return batch.numbers(self.features), batch.numbers(extra), {}
            block = batch.numbers([*self.features, *extra])
            return block[:, :d], block[:, d:], {}
        block = np.zeros((batch.rows, d + len(extra)), order="F")
        all_codes: dict[str, Codes] = {}
        place = 0
        numbers = [f for f in self.features if f not in self.levels]
        values = batch.numbers([*numbers, *extra])
        block[:, d:] = values[:, len(numbers) :]
        for feature in self.features:
            if feature not in self.levels:
                block[:, place] = values[:, numbers.index(feature)]
                place += 1
                continue
            codes = self._codes(batch, feature)
            all_codes[feature] = codes
            columns = len(self.indicated(feature))
            base = len(self.levels[feature]) - columns  # 1: the base, 0, is no column
            hit = np.flatnonzero(codes >= base)
            block[hit, place + codes[hit] - base] = 1.0
            place += columns
        return block[:, :d], block[:, d:], all_codes

    def _codes(self, batch: Batch, feature: str) -> Codes:
        """A category's codes in the design's own levels; the base is 0."""
        local, names = batch.category(feature)
        known = {level: i for i, level in enumerate(self.levels[feature])}
        places = [known.get(n, UNKNOWN) for n in names] + [MISSING]
        codes: Codes = np.array(places, dtype=np.int64)[local]
        return codes

    def _refuse_unknown(
        self, batch: Batch, codes: dict[str, Codes], keep: Mask | None, start: int
    ) -> None:
        """Refuse a level that is not the design's, in the rows that are kept."""
        for feature, values in codes.items():
            unknown = values == UNKNOWN if keep is None else keep & (values == UNKNOWN)
            if unknown.any():
                row = int(np.argmax(unknown))
                local, names = batch.category(feature)
                raise DataError(
                    f"column {feature!r} holds {names[local[row]]!r} in row "
                    f"{start + row + 1:,}, a level the model has not seen: leave such "
                    f"rows out, or fit with them; it knows "
                    f"{listed(self.levels[feature])}"
                )

    def _complete(
        self,
        X: Array,
        codes: dict[str, Codes],
        beside: Array,
        extra: Sequence[str],
        start: int,
    ) -> Mask | None:
        """The rows to keep; None when all are, which is looked for first."""
        fine = _all_finite(X) and _all_finite(beside)
        if fine and not any((c == MISSING).any() for c in codes.values()):
            return None
        _refuse_infinity(X, self.terms, start)
        _refuse_infinity(beside, extra, start)
        gaps = {name: np.isnan(X[:, i]) for i, name in enumerate(self.terms)}
        gaps |= {name: values == MISSING for name, values in codes.items()}
        gaps |= {name: np.isnan(beside[:, i]) for i, name in enumerate(extra)}
        incomplete = np.zeros(X.shape[0], dtype=bool)
        for gap in gaps.values():
            incomplete |= gap
        if not incomplete.any():
            return None  # the sum overflowed, the values are fine
        if self.missing == "error":
            row = int(np.argmax(incomplete))
            column = next(name for name, gap in gaps.items() if gap[row])
            raise MissingValueError(
                f"column {column!r} has a missing value, first in row "
                f"{start + row + 1:,}: fill it in, leave the column out, or drop such "
                "rows with missing='drop' (--missing drop)"
            )
        return ~incomplete


def _all_finite(values: Array) -> bool:
    """Whether all are finite, by their squares; False also where those overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        flat = values.ravel(order="K")  # no copy where they lie in one piece
        return bool(np.isfinite(np.dot(flat, flat)))  # lets other threads run


def _refuse_infinity(values: Array, names: Sequence[str], start: int) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        row, column = divmod(int(np.argmax(infinite)), infinite.shape[1])
        raise MissingValueError(
            f"column {names[column]!r} is infinite, first in row {start + row + 1:,}: "
            "no line fits that; correct it or leave the row out"
        )


def _useless(name: str, kind: str) -> ColumnError:
    return ColumnError(
        f"column {name!r} holds {kind} values, which are neither numbers nor "
        f"categories: leave it out with exclude=[{name!r}] (--exclude {name})"
    )


def build_design(
    source: Source,
    *,
    target: str,
    features: Sequence[str] | None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: str | None = None,
    missing: Missing = "error",
    intercept: bool = True,
) -> Design:
    """Choose the columns, and learn the levels of the categories in one pass.

    Args:
        source: the data.
        target: the column to predict; numbers.
        features: the columns to predict it from; None takes every other column.
        exclude: columns to leave out of the features.
        categories: numeric columns to treat as categories all the same.
        weights: a column of row weights.
        missing: "error" refuses a missing value, "drop" leaves such rows out.
        intercept: False for a line through the origin.

    Raises:
        ColumnError: a column that is not there, not usable, or named twice.
        DataError: no rows, no features, or too many terms.
        UsageError: an unknown value of `missing`.
    """
    one_of("missing", missing, "error", "drop")
    one_of("intercept", intercept, True, False)
    check_target(source, target)
    if weights is not None and column_of(source, weights).kind != "number":
        raise ColumnError(f"the weights in {weights!r} are not numbers: give numbers")
    if weights == target:
        raise ColumnError(f"{target!r} is the target and the weights: give another")
    for name in exclude:
        column_of(source, name)
    if features is None:
        taken = {target, weights, *exclude}
        chosen = tuple(c.name for c in source.columns if c.name not in taken)
    else:
        chosen = tuple(name for name in features if name not in exclude)
    _check_features(source, chosen, target)
    for name in categories:
        column_of(source, name)
        if name not in chosen:
            raise ColumnError(f"category {name!r} is not among the features: add it")
    kinds = {column.name: column.kind for column in source.columns}
    levelled = [n for n in chosen if kinds[n] == "category" or n in categories]
    plain = Design(target, chosen, {}, weights, missing, intercept)
    if not levelled:
        return plain
    levels = _learn_levels(source, plain, levelled, set(categories))
    design = replace(plain, levels=levels)
    doubled = [name for name, n in Counter(design.terms).items() if n > 1]
    if doubled:
        raise ColumnError(
            f"two terms of the design would be called {doubled[0]!r}, a level of one "
            "column and another column: rename one of the columns"
        )
    if len(design.terms) > MOST_TERMS:
        most = max(levels, key=lambda name: len(levels[name]))
        raise DataError(
            f"the design has {len(design.terms):,} terms, most of them from "
            f"{most!r}: leave it out, the limit is {MOST_TERMS:,}"
        )
    return design


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
            f"the target {target!r} holds {_said(source, column)} and must hold "
            f"numbers: {decimal_hint(source, column) or hint}"
        )


def _said(source: Source, column: Column) -> str:
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


def _check_features(source: Source, features: Sequence[str], target: str) -> None:
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
            raise _useless(name, column.type)


def _learn_levels(
    source: Source, design: Design, names: Sequence[str], asked_for: set[str]
) -> dict[str, tuple[str, ...]]:
    """The levels met in complete rows, sorted, the base first."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    numeric = [n for n in design.features if n not in names] + [design.target]
    if design.weights:
        numeric.append(design.weights)
    # Only dropping needs the other columns: a level may stand in dropped rows alone.
    reading = [*names, *numeric] if design.missing == "drop" else list(names)
    rows = 0
    for batch in source.batches(reading):
        rows += batch.rows
        coded = {name: batch.category(name) for name in names}
        complete = np.ones(batch.rows, dtype=bool)
        if design.missing == "drop":
            complete &= ~np.isnan(batch.numbers(numeric)).any(axis=1)
            for codes, _ in coded.values():
                complete &= codes >= 0
        for name, (codes, labels) in coded.items():
            used = np.unique(codes[complete & (codes >= 0)])
            found[name] |= {labels[i]: None for i in used}
            if name not in asked_for:
                _refuse_identifier(name, len(found[name]), rows, MANY_LEVELS)
    for name in names:
        if name not in asked_for:
            _refuse_identifier(name, len(found[name]), rows, SOME_LEVELS)
            _refuse_numbers_as_text(source, name, list(found[name]))
    return {
        name: tuple(sorted(found[name], key=_level_order(found[name], asked_for, name)))
        for name in names
    }


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
