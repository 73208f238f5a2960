"""One pass over the rows, one state per fold.

    without(i) = the merge of the states of the other folds
    held_out(i) = the state of fold i

States are merged, never subtracted: a difference of sums loses digits, and a fold left
out would still be seen in the rounding. In folds of time, `without(i)` merges the rows
that are older.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradline.data import (
    Array,
    Batch,
    Chunk,
    Progress,
    Source,
    row_number,
)
from gradline.design import Design, Tally
from gradline.errors import (
    DataError,
    MissingValueError,
)
from gradline.folds import Blocks, Folds, Labeller
from gradline.reading import Reading, read_into, share_cores
from gradline.state import Moments
from gradline.threads import blas_threads


def with_others(
    tally: Tally,
    design: Design,
    found: tuple[Chunk, Any],
    batch: Batch,
    start: int,
    others: Sequence[str],
) -> tuple[Chunk, Any]:
    """A chunk with further targets beside its own, y (rows, k), and its rows' mask.

    Args:
        tally: of the rows, of which some may have to be dropped now.
        design: says whether they may.
        found: a chunk and which rows of its batch it has, by `Design.chunk`.
        batch: where it comes from.
        start: how many rows came before that.
        others: the further targets.

    Raises:
        MissingValueError: one is missing or infinite.
    """
    chunk, keep = found
    values = batch.numbers(list(others))
    finite = np.asarray(np.isfinite(values).all(axis=1))
    usable = finite if keep is None else finite | ~keep
    if not usable.all():
        if design.missing == "error" or np.isinf(values[~usable]).any():
            row = int(np.argmin(usable))
            name = others[int(np.argmin(np.isfinite(values[row])))]
            raise MissingValueError(
                f"the target {name!r} has a missing or infinite value, first in row "
                f"{row_number(batch, start, row):,}: fill it in, leave the target out, "
                "or drop rows where one is missing with missing='drop'"
            )
        here = finite if keep is None else finite[keep]
        weight = None if chunk.weight is None else chunk.weight[here]
        lost = len(chunk.y) - int(here.sum())
        chunk = Chunk(chunk.X[here], chunk.y[here], weight)
        keep = finite if keep is None else finite & keep
        tally.rows -= lost
        tally.dropped += lost
    values = values if keep is None else values[keep]
    return chunk._replace(y=np.column_stack([chunk.y, values])), keep


class FoldStates:
    """The states of all folds of a design.

    Args:
        blocks: the states, of one repeat after the other.
        folds: how rows were cut into them.
        reading: what else the pass has kept: a tally, and rows to draw.
        name: of the data, for messages.

    Attributes:
        folds: as given.
        tally: of the rows.

    Raises:
        DataError: a fold without a row.
    """

    def __init__(
        self, blocks: Sequence[Moments], folds: Folds, reading: Reading, name: str
    ) -> None:
        self._blocks = list(blocks)
        self._reading = reading
        self.folds = folds
        self.tally = reading.tally
        for place, state in enumerate(self._blocks if self._each > 1 else []):
            if state.weight <= 0:
                dropped = ""
                if self.tally.dropped:
                    dropped = (
                        f", {self.tally.dropped:,} others were dropped as incomplete"
                    )
                raise DataError(
                    f"block {place % self._each + 1:,} of the {self._each:,} that "
                    f"{name} is cut into for {folds.count:,} folds has no row left, or "
                    f"none of a weight ({self.tally.rows:,} rows are used{dropped}; "
                    "rows are cut into folds before incomplete ones are dropped): "
                    "give fewer folds with folds=..., 5 unless told"
                )

    def __len__(self) -> int:
        """How many times rows are held out."""
        return self.folds.count * self.folds.repeats

    @property
    def _each(self) -> int:
        """Blocks in a repeat."""
        return self.folds.count + self.folds.in_order

    def whole(self) -> Moments:
        """The state of all rows."""
        return merged(self._blocks[: self._each])

    def reading(self) -> Reading:
        """The pass as if it had left one state of all rows."""
        self._reading.moments = self.whole()
        return self._reading

    def without(self, fold: int) -> Moments:
        """What a fold is predicted from: the merge of the others, or of those before.

        Args:
            fold: from 0 to len - 1.
        """
        if self.folds.in_order:
            return merged(self._blocks[: fold + 1])
        first = fold - fold % self._each
        others = self._blocks[first : first + self._each]
        del others[fold - first]
        return merged(others)

    def held_out(self, fold: int) -> Moments:
        """The state of a fold; a copy.

        Args:
            fold: from 0 to len - 1.
        """
        return merged([self._blocks[fold + self.folds.in_order]])

    def pairs(self) -> Iterator[tuple[Moments, Moments]]:
        """`without` and `held_out` of one fold after the other.

        Of k folds it takes 3k merges instead of k²: the folds before and those after
        are merged once.
        """
        for first in range(0, len(self._blocks), self._each):
            blocks = self._blocks[first : first + self._each]
            if self.folds.in_order:
                before = merged(blocks[:1])
                for block in blocks[1:]:
                    yield merged([before]), merged([block])
                    before.merge(block)
                continue
            yield from left_out(blocks)


def left_out(blocks: Sequence[Moments]) -> Iterator[tuple[Moments, Moments]]:
    """All blocks but one, merged, and that one; for one after the other."""
    before = merged(blocks[:1])
    after = [merged(blocks[-1:])]  # those from the last one back
    for block in blocks[-2:0:-1]:
        after.append(merged([block, after[-1]]))
    yield after.pop(), merged(blocks[:1])
    for block in blocks[1:]:
        rest = [after.pop()] if after else []
        yield merged([before, *rest]), merged([block])
        before.merge(block)


def merged(states: Sequence[Moments]) -> Moments:
    """A new state of the rows of several."""
    first = states[0]
    found = Moments(first.features, first.targets, first.intercept)
    for state in states:
        found.merge(state)
    return found


class _Reading:
    """What a reader collects: a state for each block."""

    def __init__(
        self,
        reading: Reading,
        folds: Folds,
        labels: Labeller,
        others: Sequence[str],
    ) -> None:
        design = reading.design
        self.reading = reading
        self._labels = labels
        self._others = list(others)
        self._each = folds.count + folds.in_order
        d, k = len(design.terms), 1 + len(others)
        self.blocks = [
            Moments(d, k, intercept=design.intercept)
            for _ in range(self._each * folds.repeats)
        ]
        self._space = np.empty(0)

    def take(self, start: int, batch: Batch) -> None:
        """Take in a batch, before which `start` rows came."""
        reading = self.reading
        found = reading.design.chunk(batch, start, reading.tally)
        if found is None:
            return
        chunk, keep = found
        if self._others:
            tally, design = reading.tally, reading.design
            found = with_others(tally, design, found, batch, start, self._others)
            chunk, keep = found
        else:
            reading.keep(chunk, start)
        for repeat, labels in enumerate(self._labels(batch, start)):
            mine = labels if keep is None else labels[keep]
            self._scatter(chunk, mine, repeat * self._each)

    def merge(self, other: _Reading) -> None:
        """Take in what another has read."""
        self.reading.merge(other.reading)
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            mine.merge(theirs)

    def _scatter(self, chunk: Chunk, labels: Blocks, first: int) -> None:
        """Add the rows of each block to its state."""
        if not len(labels):
            return
        if self._each == 1:
            self.blocks[first].add_checked(chunk)
            return
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=self._each))
        X = self._picked(chunk.X, order)
        y = chunk.y[order]
        weight = None if chunk.weight is None else chunk.weight[order]
        start = 0
        for place, stop in enumerate(ends.tolist()):
            if stop > start:
                some = slice(start, stop)
                w = None if weight is None else weight[some]
                self.blocks[first + place].add_checked(Chunk(X[some], y[some], w))
            start = stop

    def _picked(self, X: Array, order: Any) -> Array:
        """X's rows in another order, in memory that is used again and again."""
        if self._space.size < X.size:
            self._space = np.empty(X.size)
        flat = self._space[: X.size]
        if X.strides[0] > X.strides[-1]:
            rows = flat.reshape(X.shape)
            return np.take(X, order, axis=0, out=rows, mode="clip")
        columns = flat.reshape(X.shape[::-1])
        for place in range(X.shape[1]):
            np.take(X[:, place], order, out=columns[place], mode="clip")
        return columns.T


def read_folds(
    source: Source,
    design: Design,
    folds: Folds,
    progress: Progress | None = None,
    others: Sequence[str] = (),
    hold: int = 0,
) -> FoldStates:
    """The states of all folds, from one pass over the rows.

    All folds share the design: a level that only the held-out rows have is a column of
    zeros to the others, whose coefficient is 0, that of the base. Nothing of the rows
    held out is learned by that but that there is such a level.

    Args:
        source: the rows.
        design: how columns become terms.
        folds: how rows are cut into folds.
        progress: True for a bar; or what is told how reading gets on.
        others: further targets beside the design's, each a column of numbers.
        hold: up to so many numbers, all rows are kept, see `reading.read_once`.

    Raises:
        DataError: as `Design.chunks`; and a fold without a row.
    """
    found = read_blocks(source, design, folds, progress, others, hold)
    return FoldStates(found.blocks, folds, found.reading, source.name)


def read_blocks(
    source: Source,
    design: Design,
    folds: Folds,
    progress: Progress | None = None,
    others: Sequence[str] = (),
    hold: int = 0,
) -> _Reading:
    """As `read_folds`, but the states of the blocks as they are, empty ones too."""
    labels = folds.labeller(source)
    shared = share_cores(source, design)

    def make() -> _Reading:
        return _Reading(Reading(design, source.rows, hold), folds, labels, others)

    with blas_threads(shared.blas):
        return read_into(
            make,
            source,
            design,
            progress,
            readers=shared.readers,
            also=[*others, *folds.columns],
        )
