"""Some rows of a source, as a source.

Which rows is for a function to say, batch by batch. What it says is kept after a whole
pass, a byte for each row, so that it is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradline.data import Array, Batch, Codes, Source, csv_options, row_places
from gradline.errors import DataError
from gradline.truths import spellings

#: A number for each row: which part it belongs to.
Labels = npt.NDArray[np.uint8]


#: How many rows came before a batch, the batch, and the parts of its rows.
Found = tuple[int, Batch, Labels]


class Labelled:
    """The rows of a source, each with the number of its part.

    Args:
        source: the rows.
        needs: the columns that say which part a row belongs to.
        label: says so, (rows,) uint8, for a batch and how many rows came before it.
        cuts: the times where parts begin, in a split by time.
    """

    def __init__(
        self,
        source: Source,
        needs: Sequence[str],
        label: Callable[[Batch, int], Labels],
        cuts: tuple[float, float] | None = None,
    ) -> None:
        self.source = source
        self.cuts = cuts
        self._needs = tuple(needs)
        self._label = label
        self._known: dict[int, Labels] = {}  # by how many rows came before
        self._whole: Labels | None = None

    @property
    def known(self) -> Labels | None:
        """Of all rows, once they have been read; else None."""
        if self._whole is None and self.source.rows is not None and self._known:
            parts = [self._known[start] for start in sorted(self._known)]
            if sum(map(len, parts)) == self.source.rows:
                self._whole = np.concatenate(parts)
                self._known = {}
        return self._whole

    def labels(self) -> Labels:
        """Of all rows, read where need be."""
        if self.known is None:
            for _ in self.batches(self._needs):
                pass
        found = self.known
        assert found is not None
        return found

    def batches(self, columns: Sequence[str]) -> Iterator[Found]:
        """All rows: how many came before each batch, the batch, and its labels."""
        known = self.known
        wanted = columns if known is not None else self._reading(columns)
        found = yield from self._followed(0, self.source.batches(wanted))
        if self._whole is None:
            self._whole = found

    def side_by_side(
        self, columns: Sequence[str]
    ) -> list[tuple[int, int, Callable[[], Iterator[Found]]]]:
        """The same in stretches that different threads may read, where there are.

        For each: how many rows came before, how many it has, and what begins it.
        """
        split = getattr(self.source, "side_by_side", None)
        if split is None:
            return []
        wanted = columns if self.known is not None else self._reading(columns)
        found: list[tuple[int, int, Callable[[], Iterator[Found]]]] = []
        start = 0
        for rows, begin in split(wanted):
            found.append((start, rows, partial(self._stretch, start, begin)))
            start += rows
        return found

    def _stretch(
        self, start: int, begin: Callable[[], Iterator[Batch]]
    ) -> Iterator[Found]:
        found = yield from self._followed(start, begin())
        if self._whole is None:
            self._known[start] = found

    def _followed(
        self, start: int, batches: Iterable[Batch]
    ) -> Generator[Found, None, Labels]:
        """Batches with their labels; returns the labels of all."""
        known = self._whole
        parts: list[Labels] = []
        for batch in batches:
            if known is not None:
                labels = known[start : start + batch.rows]
            else:
                labels = self._label(batch, start)
                parts.append(labels)
            yield start, batch, labels
            start += batch.rows
        return np.concatenate(parts) if parts else np.zeros(0, np.uint8)

    def _reading(self, columns: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*columns, *self._needs]))


class PartSource:
    """The rows of some parts.

    Args:
        rows_of: all rows, with the numbers of their parts.
        wanted: the numbers of the parts that are wanted.
        title: what they are called, for messages: "training".

    Raises:
        DataError: at the end of a pass that has found no row.
    """

    def __init__(self, rows_of: Labelled, wanted: Sequence[int], title: str) -> None:
        self._all = rows_of
        self._wanted = np.zeros(256, bool)
        self._wanted[list(wanted)] = True
        self._title = title
        source = rows_of.source
        self.name = source.name
        self.columns = source.columns
        self.ahead = bool(getattr(source, "ahead", False))
        self.csv_options = csv_options(source)

    @property
    def rows(self) -> int | None:
        """How many; None until they have been read once."""
        known = self._all.known
        return None if known is None else int(self._wanted[known].sum())

    @property
    def counts(self) -> dict[str, int] | None:
        """How many rows each part has; None until all have been read once."""
        known = self._all.known
        if known is None:
            return None
        found = np.bincount(known, minlength=3)[:3].tolist()
        return dict(zip(("train", "validation", "test"), found, strict=True))

    def batches(self, columns: Sequence[str]) -> Iterator[PartBatch]:
        """Read these rows once."""
        count = 0
        for batch in self._picked(self._all.batches(columns)):
            count += batch.rows
            yield batch
        if not count:
            raise DataError(
                f"{self.name} has no row in the {self._title} part: give it a larger "
                "share, or the split another seed"
            )

    def side_by_side(
        self, columns: Sequence[str]
    ) -> list[tuple[int, Callable[[], Iterator[PartBatch]]]]:
        """As `tables.ArrowSource.side_by_side`."""
        known = self._all.known

        def count(start: int, rows: int) -> int:
            if known is None:
                return rows  # as many at the most
            return int(self._wanted[known[start : start + rows]].sum())

        def picked(begin: Callable[[], Iterator[Found]]) -> Iterator[PartBatch]:
            return self._picked(begin())

        return [
            (count(start, rows), partial(picked, begin))
            for start, rows, begin in self._all.side_by_side(columns)
        ]

    def _picked(self, batches: Iterable[Found]) -> Iterator[PartBatch]:
        for start, batch, labels in batches:
            rows = np.flatnonzero(self._wanted[labels])
            if len(rows):
                yield PartBatch(batch, rows, start)


class KnownSource:
    """The rows of a source whose categories have levels that a design knows.

    Args:
        source: the rows.
        levels: for each category, the levels that are known.

    Attributes:
        unseen: how many rows the last pass has left out, because they have another.
    """

    def __init__(self, source: Source, levels: Mapping[str, Sequence[str]]) -> None:
        self._source = source
        self._known = {
            name: frozenset([*known, *spellings(known)])
            for name, known in levels.items()
        }
        self.unseen = 0
        self.name = source.name
        self.columns = source.columns
        self.rows: int | None = None
        self.ahead = bool(getattr(source, "ahead", False))
        self.csv_options = csv_options(source)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read these rows once."""
        start = unseen = 0
        wanted = list(dict.fromkeys([*columns, *self._known]))
        for batch in self._source.batches(wanted):
            known = np.ones(batch.rows, dtype=bool)
            for name, levels in self._known.items():
                codes, found = batch.category(name)
                # A missing value, -1, is for the design to judge.
                known &= np.array([*(level in levels for level in found), True])[codes]
            picked = np.flatnonzero(known)
            unseen += batch.rows - len(picked)
            if len(picked) == batch.rows:
                yield batch
            elif len(picked):
                yield PartBatch(batch, picked, start)
            start += batch.rows
        self.unseen = unseen


def known_only(source: Source, levels: Mapping[str, Sequence[str]]) -> Source:
    """A source without the rows of levels that are not known; itself, if none can be.

    Args:
        source: the rows.
        levels: for each category, the levels that are known.
    """
    return KnownSource(source, levels) if levels else source


class PartBatch:
    """Some rows of a batch.

    Attributes:
        rows: how many.
        places: which rows of the source they are, (rows,), from 0.
    """

    def __init__(self, batch: Batch, picked: Codes, start: int) -> None:
        self._batch = batch
        #: Whether `numbers` makes a new array whose columns lie one after another.
        self.copies = bool(getattr(batch, "copies", False))
        self._picked = picked
        self._start = start
        self.rows = len(picked)

    @property
    def places(self) -> Codes:
        """Which rows of the source these are, from 0."""
        places: Codes = row_places(self._batch, self._start)[self._picked]
        return places

    def numbers(self, names: Sequence[str]) -> Array:
        values = self._batch.numbers(names)
        if self.rows == len(values):
            return values
        if not self.copies:
            return values[self._picked]
        picked = np.empty((self.rows, len(names)), order="F")
        for place in range(len(names)):
            np.take(values[:, place], self._picked, out=picked[:, place], mode="clip")
        return picked

    def category(self, name: str) -> tuple[Codes, list[str]]:
        codes, levels = self._batch.category(name)
        return codes[self._picked], levels

    def instants(self, name: str) -> Array:
        base: Any = self._batch
        found: Array = base.instants(name)
        return found[self._picked]
