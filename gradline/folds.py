"""How rows are cut into folds: at random, by groups, in the order of time.

A row belongs to a fold by its place among the rows of the data: of each `count`
successive rows one goes to each fold, in an order that is drawn anew for them. So
neither the size of the chunks nor the number of threads makes a difference, folds are
of equal size, and the order of sorted data does no harm. A draw from what stands in the
row, as in splits.py, would cost a look at all columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gradline.checks import column_name, whole
from gradline.data import (
    Batch,
    Source,
    column_of,
    row_number,
    row_places,
)
from gradline.errors import (
    ColumnError,
    DataError,
    MissingValueError,
    UsageError,
)
from gradline.instants import cuts, ordered
from gradline.rowhash import mix, word

#: A number for each row: which block of rows it belongs to.
Blocks = npt.NDArray[np.uint16]

#: Says so for a batch, before which so many rows came: a row of blocks per repeat.
Labeller = Callable[[Batch, int], list[Blocks]]

#: More folds than this are no cross-validation; leave-one-out has a closed form.
MOST_FOLDS = 1000

#: Orders of folds that are drawn at first; each row of blocks then draws one of them.
_ORDERS = 4096


class Folds(Protocol):
    """How rows are cut into folds."""

    @property
    def count(self) -> int:
        """How many folds, for each repeat."""

    @property
    def repeats(self) -> int:
        """How many times all rows are cut into folds."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say where a row belongs."""

    @property
    def in_order(self) -> bool:
        """Whether blocks follow one another, and each is judged by those before."""

    def labeller(self, source: Source) -> Labeller:
        """What says which block each row belongs to."""


@dataclass(frozen=True)
class KFold:
    """Folds of equal size, drawn at random.

    Args:
        count: how many.
        seed: another seed draws others.
        repeats: how many times all rows are cut into folds, each time anew.

    Equivalent: sklearn.model_selection.KFold(shuffle=True), RepeatedKFold.
    """

    count: int = 5
    seed: int = 0
    repeats: int = 1

    columns = ()
    in_order = False

    def __post_init__(self) -> None:
        _check(self.count)
        whole("seed", self.seed)
        whole("repeats", self.repeats, 1)

    def labeller(self, source: Source) -> Labeller:
        """What says which fold each row belongs to."""
        draw = np.random.default_rng(self.seed)
        plain = np.tile(np.arange(self.count, dtype=np.uint16), (_ORDERS, 1))
        orders = [draw.permuted(plain, axis=1) for _ in range(self.repeats)]
        words = [word(f"folds {self.seed} {i}") for i in range(self.repeats)]

        def labels(batch: Batch, start: int) -> list[Blocks]:
            places = row_places(batch, start)
            first = int(places[0]) // self.count
            blocks = np.arange(
                first, int(places[-1]) // self.count + 1, dtype=np.uint64
            )
            at = places - first * self.count
            found = []
            for order, salt in zip(orders, words, strict=True):
                drawn = mix(blocks + np.uint64(salt)) % np.uint64(_ORDERS)
                found.append(order[drawn].reshape(-1)[at])
            return found

        return labels


@dataclass(frozen=True)
class GroupKFold:
    """Folds in which the rows of a group stay together, of about equal size.

    Groups go, the largest first, to the fold that has the fewest rows so far; one pass
    over that column counts them.

    Args:
        column: whose equal values are a group.
        count: how many folds.

    Equivalent: sklearn.model_selection.GroupKFold.
    """

    column: str
    count: int = 5

    repeats = 1
    in_order = False

    def __post_init__(self) -> None:
        column_name("column", self.column)
        _check(self.count)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of groups."""
        return (self.column,)

    def labeller(self, source: Source) -> Labeller:
        """What says which fold each row belongs to.

        Raises:
            ColumnError: there is no such column, or it holds no groups.
            DataError: fewer groups than folds.
        """
        column = column_of(source, self.column)
        if column.kind == "other":
            raise ColumnError(
                f"column {self.column!r} holds {column.type} values, which are no "
                "groups: name numbers or texts"
            )
        sizes: dict[str, int] = {}
        rows = 0
        for batch in source.batches([self.column]):
            codes, levels = self._codes(batch, rows)
            counts = np.bincount(codes, minlength=len(levels))
            for level, count in zip(levels, counts.tolist(), strict=True):
                if count:
                    sizes[level] = sizes.get(level, 0) + count
            rows += batch.rows
        if len(sizes) < self.count:
            raise DataError(
                f"column {self.column!r} has {len(sizes):,} groups for {self.count:,} "
                "folds: give fewer folds"
            )
        folds: dict[str, int] = {}
        held = np.zeros(self.count, dtype=np.int64)
        for level, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
            folds[level] = int(np.argmin(held))
            held[folds[level]] += size

        def labels(batch: Batch, start: int) -> list[Blocks]:
            codes, levels = self._codes(batch, start)
            known = np.array([folds.get(level, 0) for level in levels], np.uint16)
            return [known[codes]]

        return labels

    def _codes(self, batch: Batch, start: int) -> tuple[Any, list[str]]:
        codes, levels = batch.category(self.column)
        if (codes < 0).any():
            row = row_number(batch, start, int(np.argmax(codes < 0)))
            raise MissingValueError(
                f"column {self.column!r} has a missing value, first in row {row:,}, "
                "and belongs to no group: fill it in, or leave such rows out"
            )
        return codes, levels


@dataclass(frozen=True)
class TimeSeriesFolds:
    """Folds that follow one another: each is predicted from all rows before it.

    The rows are cut into count + 1 blocks of about equal size in the order of a column;
    rows of equal time stay together. The first block is never predicted.

    Args:
        column: dates, times or numbers.
        count: how many folds.

    Equivalent: sklearn.model_selection.TimeSeriesSplit, for sorted data.
    """

    column: str
    count: int = 5

    repeats = 1
    in_order = True

    def __post_init__(self) -> None:
        column_name("column", self.column)
        _check(self.count, 1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of times."""
        return (self.column,)

    def labeller(self, source: Source) -> Labeller:
        """What says which block each row belongs to.

        Raises:
            ColumnError: there is no such column.
            MissingValueError: a time is missing.
        """
        column = column_of(source, self.column)
        shares = [(i + 1) / (self.count + 1) for i in range(self.count)]
        starts = np.array(cuts(source, column, shares))

        def labels(batch: Batch, start: int) -> list[Blocks]:
            found = np.searchsorted(starts, ordered(batch, column, start), "right")
            return [found.astype(np.uint16)]

        return labels


@dataclass(frozen=True)
class AllRows:
    """One block of all rows: nothing is held out."""

    count = 1
    repeats = 1
    columns = ()
    in_order = False

    def labeller(self, source: Source) -> Labeller:
        """All rows belong to it."""
        return lambda batch, _: [np.zeros(batch.rows, np.uint16)]


def as_folds(value: Any) -> Folds:
    """Folds by how many, or as they are.

    Raises:
        UsageError: neither.
    """
    if value is None:
        return KFold()
    if isinstance(value, KFold | GroupKFold | TimeSeriesFolds):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return KFold(int(value))
    raise UsageError(
        f"folds is {value!r}: give how many, such as 5, or a gl.KFold, gl.GroupKFold "
        "or gl.TimeSeriesFolds"
    )


def _check(count: Any, least: int = 2) -> None:
    whole("the number of folds", count, least, MOST_FOLDS)
