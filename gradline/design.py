"""From columns to numbers: a design reads rows; designing.py chooses its columns.

A design says how a source's columns become the matrix X: numeric columns as they are,
a category with levels a < b < c as the indicator columns column[b] and column[c]
(treatment coding; the first level in sorted order is the base). There is no column of
ones: the intercept, where there is to be one, comes from the centring that the state
does.

With a formula, or a degree, X's columns are the terms these make of the columns: see
formula.py (the grammar), terms.py (which terms), encode.py (their values).

Everything a design learns (levels, means, polynomials) comes from the rows it is built
on, and travels with the model, so that prediction on raw data needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradline.data import (
    Array,
    Batch,
    Chunk,
    Codes,
    Mask,
    Source,
    column_of,
    rows_before,
)
from gradline.encode import Encoder, Encoding, evaluate, undefined_error
from gradline.errors import ColumnError, DataError, listed
from gradline.formula import Factor
from gradline.levels import Missing as Missing
from gradline.pieces import pieces
from gradline.terms import Coded
from gradline.truths import spellings
from gradline.usable import (
    MISSING,
    all_finite,
    complete_rows,
    decimal_hint,
    refuse_infinity,
    said,
    useless,
)
from gradline.usable import check_target as check_target

#: What the coefficient of the column of ones is called.
INTERCEPT = "Intercept"

#: The code of a level that the design does not have.
UNKNOWN = -2


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
        features: the columns it is predicted from, in the order of the terms; with a
            formula or a degree, in the order of the data.
        levels: for each category among them, its levels in order, the base first.
        weights: the column of row weights, or None.
        missing: what to do with an incomplete row.
        intercept: False for a line through the origin.
        encoding: what a formula or a degree makes of the columns; None for each column
            as it is.
    """

    target: str
    features: tuple[str, ...]
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    weights: str | None = None
    missing: Missing = "error"
    intercept: bool = True
    encoding: Encoding | None = None

    @property
    def response(self) -> str:
        """What is predicted: the target, or what a formula makes of it: log(price)."""
        made = None if self.encoding is None else self.encoding.response
        return self.target if made is None else Factor("numbers", made).text

    @property
    def texts(self) -> tuple[str, ...]:
        """The categories that a file is to be read for as text: no numbers too."""
        return tuple(name for name in self.levels if name not in self.numbers)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The features that are read as numbers."""
        if self.encoding is not None:
            return self.encoding.numbers
        return tuple(name for name in self.features if name not in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all coefficients: "Intercept", where there is one, and the terms."""
        return (INTERCEPT, *self.terms) if self.intercept else self.terms

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The names of X's columns: "distance", "carrier[AA]", "carrier[AS]"."""
        if self.encoding is not None:
            return self._encoder.names
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
        if self.encoding is not None:
            whole = self._encoder.has_whole(feature)
        else:
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
            for part in self.pieces(batch):
                found = self.chunk(part, start, tally)
                start += part.rows
                if found is not None:
                    yield found[0], part, found[1]

    def pieces(self, batch: Batch) -> Iterable[Batch]:
        """A batch as it is, or in pieces where its terms would take much memory."""
        return (batch,) if self.encoding is None else pieces(batch, len(self.terms))

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
        start = rows_before(batch, start)
        found = self._read(batch, self._beside)
        X, beside = found.X, found.beside
        keep = complete_rows(
            (found.numbers, found.names),
            (beside, self._beside),
            found.codes,
            start,
            self.missing == "drop",
        )
        self._refuse_unknown(batch, found.codes, keep, start)
        if self.encoding is not None:
            self._respond(found, self.encoding)
            self._refuse_undefined(found, keep, start)
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
        start = rows_before(batch, start)
        found = self._read(batch, [])
        X = found.X
        complete: Mask = np.logical_not(np.isnan(found.numbers).any(axis=1))
        for values in found.codes.values():
            complete &= values != MISSING
        self._refuse_unknown(batch, found.codes, complete, start)
        refuse_infinity(found.numbers, found.names, start)
        if self.encoding is not None:
            self._refuse_undefined(found, complete, start)
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
            if name in self.levels and name not in self.numbers:
                if column.kind == "other":
                    raise useless(name, column.type)
            elif column.kind != "number":
                hint = decimal_hint(source, column) or "give numbers there"
                raise ColumnError(
                    f"column {name!r} of {source.name} holds {said(source, column)} "
                    f"and the model was fitted on numbers: {hint}"
                )

    @property
    def products(self) -> list[tuple[Coded, ...]]:
        """With a formula or a degree, the products that X has columns for, in order."""
        return list(self._encoder.products)

    @cached_property
    def _encoder(self) -> Encoder:
        """What makes the terms of a formula or a degree."""
        assert self.encoding is not None
        return Encoder(self.encoding, self.levels, self.intercept)

    def _read(self, batch: Batch, extra: Sequence[str]) -> _Read:
        """X (rows, d), the `extra` columns, and the codes of each category.

        Where they are copied anyway, X and the extra columns are views of one block
        whose columns lie one after another.
        """
        if self.encoding is not None:
            return self._read_encoded(batch, extra)
        d = len(self.terms)
        if not self.levels:
            if not extra or not getattr(batch, "copies", False):
                X = batch.numbers(self.features)
                return _Read(X, batch.numbers(extra), {}, X, self.terms)
            block = batch.numbers([*self.features, *extra])
            X = block[:, :d]
            return _Read(X, block[:, d:], {}, X, self.terms)
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
            codes = self.codes(batch, feature)
            all_codes[feature] = codes
            columns = len(self.indicated(feature))
            base = len(self.levels[feature]) - columns  # 1: the base, 0, is no column
            hit = np.flatnonzero(codes >= base)
            block[hit, place + codes[hit] - base] = 1.0
            place += columns
        X = block[:, :d]
        return _Read(X, block[:, d:], all_codes, X, self.terms)

    def _read_encoded(self, batch: Batch, extra: Sequence[str]) -> _Read:
        """As `_read`, with the terms of a formula or a degree."""
        d = len(self.terms)
        values = batch.numbers(self.numbers)
        columns = {name: values[:, i] for i, name in enumerate(self.numbers)}
        codes = {name: self.codes(batch, name) for name in self.levels}
        block = np.zeros((batch.rows, d + len(extra)), order="F")
        self._encoder.fill(block[:, :d], columns, codes)
        block[:, d:] = batch.numbers(extra)
        X, beside = block[:, :d], block[:, d:]
        return _Read(X, beside, codes, values, self.numbers, columns)

    def _respond(self, found: _Read, encoding: Encoding) -> None:
        """Put what is predicted in the place of the target."""
        if encoding.response is not None:
            found.columns[self.target] = found.beside[:, 0].copy()
            found.beside[:, 0] = evaluate(encoding.response, found.columns)

    def _refuse_undefined(self, found: _Read, keep: Mask | None, start: int) -> None:
        """Refuse a term or a target that is no finite number, in the rows kept."""
        y = found.beside[:, :1]
        if all_finite(found.X) and all_finite(y):
            return
        rows = np.arange(len(y)) if keep is None else np.flatnonzero(keep)
        self._encoder.refuse_undefined(found.X, found.columns, rows, start)
        undefined = ~np.isfinite(y[rows])
        if undefined.any():
            row = int(rows[np.argmax(undefined)])
            made_of = [self.target]
            raise undefined_error(self.response, made_of, found.columns, row, start)

    def codes(self, batch: Batch, feature: str) -> Codes:
        """A category's codes in the design's own levels; the base is 0."""
        local, names = batch.category(feature)
        known = {level: i for i, level in enumerate(self.levels[feature])}
        others = spellings(self.levels[feature])  # of true and false
        known |= {text: known[level] for text, level in others.items()}
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


class _Read(NamedTuple):
    """A batch, read.

    X: (rows, d); beside: the columns that are no features; codes: by category.
    numbers: what is NaN where something is missing, and the `names` of its columns.
    columns: with a formula, the columns of numbers by name, (rows,).
    """

    X: Array
    beside: Array
    codes: dict[str, Codes]
    numbers: Array
    names: tuple[str, ...]
    columns: dict[str, Array] = {}  # noqa: RUF012
