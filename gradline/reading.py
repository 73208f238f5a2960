"""The first pass over the rows: who reads what, and what each reader collects.

Rows in memory are read by a thread for each core, batch by batch; so are the row groups
of a Parquet file. Another file is decoded by one thread while one more computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch

from gradline.bar import bar_for
from gradline.cluster import Mergeable, map_merge
from gradline.data import Batch, Chunk, Progress, Source
from gradline.design import Design, Tally
from gradline.scores import Sample
from gradline.solvers import WIDE
from gradline.state import Moments
from gradline.threads import blas_threads, threads_beside

#: In memory, so many numbers are worth waking a thread for each core.
SHARED_NUMBERS = 1_000_000

#: A fit keeps this many rows to draw.
SAMPLE_ROWS = 2_000


class Sharing(NamedTuple):
    """How the cores are shared: threads that read, and what BLAS takes in each."""

    readers: int
    blas: int | None


def share_cores(source: Source, design: Design) -> Sharing:
    """How to share them for these data; `torch.set_num_threads` says how many."""
    cores, terms = torch.get_num_threads(), len(design.terms)
    if _side_by_side(source, design):
        return Sharing(cores, 1)
    spare = threads_beside(source)
    if spare is not None:
        return Sharing(1, spare if terms <= WIDE else None)
    if source.rows is None or source.rows * (terms + 1) < SHARED_NUMBERS:
        return Sharing(1, None)
    return Sharing(cores, 1)


#: How many rows come before some batches, and what begins these.
_Stretch = tuple[int, Callable[[], Iterator[Batch]]]


def _side_by_side(
    source: Source, design: Design, also: Sequence[str] = ()
) -> list[_Stretch]:
    """Stretches of a file that several threads may read; [] where there are none."""
    split = getattr(source, "side_by_side", None)
    found: list[_Stretch] = []
    start = 0
    for rows, begin in split(design.reading(also)) if split is not None else []:
        found.append((start, begin))
        start += rows
    return found


def _placed(start: int, batches: Iterable[Batch]) -> Iterator[tuple[int, Batch]]:
    """Batches, each with how many rows come before it."""
    for batch in batches:
        yield start, batch
        start += batch.rows


def stretches(
    source: Source, design: Design, also: Sequence[str] = ()
) -> Iterator[Iterable[tuple[int, Batch]]]:
    """All rows in stretches: those of the file, or a batch each.

    Args:
        source: the data.
        design: says which columns are read.
        also: further ones.
    """
    found = _side_by_side(source, design, also)
    for start, begin in found:
        yield _placed(start, begin())
    if not found:
        for placed in _placed(0, source.batches(design.reading(also))):
            yield [placed]


class Beside(Protocol):
    """A state of chunks, by a pass that is made anyway or by one of its own."""

    def take(self, start: int, chunk: Chunk) -> None:
        """Take in a chunk, before which `start` rows came."""

    def merge(self, other: Self) -> None:
        """Take in what another has read."""


B = TypeVar("B", bound=Beside)


class _Gathering(Generic[B]):
    """Batches, handed on to a state as chunks."""

    def __init__(self, design: Design, state: B) -> None:
        self._design = design
        self.state = state

    def take(self, start: int, batch: Batch) -> None:
        """Take in a batch, before which `start` rows came."""
        for part in self._design.pieces(batch):
            found = self._design.chunk(part, start)
            if found is not None:
                self.state.take(start, found[0])
            start += part.rows

    def merge(self, other: Self) -> None:
        """Take in what another has read."""
        self.state.merge(other.state)


def gather(
    source: Source,
    design: Design,
    make: Callable[[], B],
    progress: Progress | None = None,
    title: str = "reading",
) -> B:
    """All rows in a state of one's own, in one pass by as many threads as the first.

    Args:
        source: the data.
        design: how its columns become numbers.
        make: an empty state.
        progress: True for a bar; or what is told how reading gets on.
        title: what this pass is called.

    Raises:
        DataError: as `Design.chunks`.
    """
    shared = share_cores(source, design)
    with blas_threads(shared.blas):
        found: _Gathering[B] = read_into(
            lambda: _Gathering(design, make()),
            source,
            design,
            progress,
            readers=shared.readers,
            title=title,
        )
    return found.state


class Reading:
    """What the first pass collects.

    Attributes:
        tally: of the rows.
        moments: the state.
        picker: some rows to draw.
        rows: copies of all of them, while they are few; else None.
        beside: another state that has seen the same rows, or None.
    """

    def __init__(
        self,
        design: Design,
        rows: int | None,
        hold: int,
        beside: Beside | None = None,
    ) -> None:
        self.design = design
        self.beside = beside
        self._most = hold
        self.tally = Tally()
        self.moments = Moments(len(design.terms), intercept=design.intercept)
        self.picker = _Picker(rows, len(design.terms))
        self.rows: list[Chunk] | None = []

    def take(self, start: int, batch: Batch) -> None:
        """Take in a batch, before which `start` rows came."""
        for part in self.design.pieces(batch):
            found = self.design.chunk(part, start, self.tally)
            if found is not None:
                self.moments.add_checked(found[0])
                self.keep(found[0], start)
            start += part.rows

    def keep(self, chunk: Chunk, start: int) -> None:
        """Take of a chunk's rows what is kept of them, beside their moments."""
        self.picker.add(chunk, start)
        self._hold(chunk)
        if self.beside is not None:
            self.beside.take(start, chunk)

    def merge(self, other: Reading) -> None:
        """Take in what another has read."""
        self.tally.merge(other.tally)
        self.moments.merge(other.moments)
        self.picker.merge(other.picker)
        if self.beside is not None and other.beside is not None:
            self.beside.merge(other.beside)
        self.rows = None  # there is more than one because there are many

    def _hold(self, chunk: Chunk) -> None:
        if self.tally.rows * (chunk.X.shape[1] + 1) > self._most:
            self.rows = None
        if self.rows is not None:
            weight = None if chunk.weight is None else np.array(chunk.weight)
            self.rows.append(
                Chunk(np.array(chunk.X, float), np.array(chunk.y, float), weight)
            )


def joined(chunks: list[Chunk]) -> Chunk:
    """All rows in one chunk."""
    if len(chunks) == 1:
        return chunks[0]
    weights = [c.weight for c in chunks if c.weight is not None]
    return Chunk(
        np.concatenate([c.X for c in chunks], dtype=np.float64),
        np.concatenate([c.y for c in chunks], dtype=np.float64),
        np.concatenate(weights, dtype=np.float64) if weights else None,
    )


def read_once(
    source: Source,
    design: Design,
    progress: Progress | None = None,
    *,
    readers: int = 1,
    hold: int = 0,
    beside: Callable[[], Beside] | None = None,
) -> Reading:
    """The first pass.

    Args:
        source: the data.
        design: how its columns become numbers.
        progress: True for a bar; or what is told how reading gets on.
        readers: how many threads, this one included.
        hold: up to so many numbers, all rows are kept.
        beside: makes another state to fill in the same pass.

    Raises:
        DataError: as `Design.chunks`, for the first row that is at fault.
    """
    return read_into(
        lambda: Reading(design, source.rows, hold, beside() if beside else None),
        source,
        design,
        progress,
        readers=readers,
    )


class Taking(Mergeable, Protocol):
    """Something that takes in batches, and others of its kind."""

    def take(self, start: int, batch: Batch) -> None:
        """Take in a batch, before which `start` rows came."""


S = TypeVar("S", bound=Taking)


def read_into(
    make: Callable[[], S],
    source: Source,
    design: Design,
    progress: Progress | None = None,
    *,
    readers: int = 1,
    also: Sequence[str] = (),
    title: str = "reading",
) -> S:
    """One pass over the rows, into what takes them.

    Args:
        make: an empty one, for each reader.
        source: the data.
        design: says which columns are read.
        progress: True for a bar; or what is told how reading gets on.
        readers: how many threads, this one included.
        also: further columns.
        title: what is being done.
    """
    shown = bar_for(progress, title, source.rows)
    with shown as advance:

        def take(state: S, placed: tuple[int, Batch]) -> None:
            state.take(*placed)
            advance(placed[1].rows)

        return map_merge(
            lambda: stretches(source, design, also), make, take, workers=readers
        )


class _Picker:
    """Keeps a seeded, even choice of rows to draw.

    Where their number is known the choice is made at once; else each row is kept with
    a probability that is halved whenever too many have been.
    """

    def __init__(self, rows: int | None, columns: int) -> None:
        self._most = max(50, min(SAMPLE_ROWS, 2_000_000 // max(1, columns)))
        self._wanted: np.ndarray[Any, np.dtype[np.int64]] | None = None
        if rows is not None and rows > self._most:
            self._wanted = np.sort(self._random.choice(rows, self._most, False))
        self._share = 1.0
        self._kept = 0
        self._X: list[Any] = []
        self._y: list[Any] = []

    @cached_property
    def _random(self) -> np.random.Generator:
        return np.random.default_rng(0)

    def add(self, chunk: Chunk, start: int) -> None:
        """Pick from a chunk, before which `start` rows came."""
        rows = self._pick(len(chunk.y), start)
        self._X.append(np.array(chunk.X[rows]))  # not a view, which keeps them all
        self._y.append(np.array(chunk.y[rows]))
        self._kept += len(self._y[-1])

    def done(self) -> Sample:
        self._thin(self._most)
        return Sample(self._X[0], self._y[0])

    def merge(self, other: _Picker) -> None:
        """Keep what the other has kept, too."""
        self._X += other._X
        self._y += other._y
        self._kept += other._kept

    def _pick(self, rows: int, start: int) -> Any:
        """Which of so many rows to keep."""
        if self._wanted is not None:
            low, high = np.searchsorted(self._wanted, [start, start + rows])
            return self._wanted[low:high] - start
        while self._kept + self._share * rows > 2 * self._most:
            self._share /= 2
            if self._kept:
                self._thin(self._kept // 2)
        if self._share == 1.0:
            return slice(None)
        return np.flatnonzero(self._random.random(rows) < self._share)

    def _thin(self, most: int) -> None:
        """Join what was kept, and leave an even choice of `most` rows of it."""
        X, y = self._X[0], self._y[0]
        if len(self._y) > 1:
            X, y = np.concatenate(self._X), np.concatenate(self._y)
        if len(y) > most:
            rows = np.sort(self._random.choice(len(y), most, False))
            X, y = X[rows], y[rows]
        self._X, self._y, self._kept = [X], [y], len(y)
