"""Batches: every row once in each epoch, in an order that the seed fixes.

Up to HELD_BYTES of numbers, all rows are kept as float64 after the first pass, and an
epoch is a permutation of all of them, each as likely as another: what a batch holds
depends on the seed, the epoch and the order of the rows, and on nothing else.

More rows than that are read anew in each epoch and never held. Row groups of a Parquet
file, and slices of an array, come in an order drawn for the epoch; then rows go through
a buffer: so many rows
at a time are permuted and leave it in batches. Rows of a CSV file, which can only be
read from its beginning, come no further from their place than that buffer; its ends
are drawn anew in each epoch too. Batches depend on the row groups and the buffer then,
still not on how the reader cuts its batches.

The permutations of epoch e are drawn by numpy.random.default_rng([seed, e]), so an
epoch can be had again without those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import torch

from gradline.checks import whole
from gradline.data import Array, Batch, Chunk, Codes, Source
from gradline.design import Design
from gradline.errors import DataError, UsageError
from gradline.prefetch import prefetched

#: Up to so many bytes of float64 all rows are kept in memory.
HELD_BYTES = 512 << 20

#: The shuffle buffer of data that are not: rows, and bytes at the most.
BUFFER_ROWS = 1 << 18
BUFFER_BYTES = 64 << 20

#: From so many rows on, a thread of its own picks them.
AHEAD_ROWS = 100_000

#: Rows that are handed on at a time: they stay in the cache for what is done with them.
BLOCK_ROWS = 16_384


class Block(NamedTuple):
    """Rows of consecutive batches.

    values: (rows, d + 2), C-ordered: the terms, then a column of ones, then the target;
    weight: (rows,), their mean over all rows 1, or None.
    """

    values: Array
    weight: Array | None

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.values)

    def part(self, start: int, stop: int) -> Block:
        """Some of its rows, as views."""
        weight = None if self.weight is None else self.weight[start:stop]
        return Block(self.values[start:stop], weight)

    def chunk(self) -> Chunk:
        """As X (rows, d), y (rows,) and weight."""
        return Chunk(self.values[:, :-2], self.values[:, -1], self.weight)


class BatchStream:
    """All rows in batches, epoch by epoch.

        stream = BatchStream(source, design, 256, seed=0)
        for epoch in range(1, 11):
            for chunk in stream.epoch(epoch):
                ...  # chunk.X (256, d), chunk.y (256,), chunk.weight (256,) or None

    The last batch of an epoch has what rows are left, as torch's DataLoader with
    drop_last=False.

    Args:
        source: the data.
        design: how their columns become terms.
        size: rows in a batch.
        shuffle: True; False for the order of the data; or the rows of the buffer, for
            data that are not held.
        seed: of the permutations.
        shift: (d,), and
        scale: (d,): terms come as (x - shift)/scale; as they are, where not given.
        rows: how many rows there are, where that is known; and
        weight: the sum of their weights: else one pass counts them.
    """

    def __init__(
        self,
        source: Source,
        design: Design,
        size: int,
        *,
        shuffle: bool | int = True,
        seed: int = 0,
        shift: Array | None = None,
        scale: Array | None = None,
        rows: int | None = None,
        weight: float | None = None,
    ) -> None:
        self.source = source
        self.design = design
        self.size = whole("batch_size", size, 1)
        self.shuffle = check_shuffle(shuffle)
        self.seed = whole("seed", seed)
        self._shift, self._scale = shift, scale
        self._held: Block | None = None
        self._rows, self._weight = rows, weight
        if rows is None or (design.weights and weight is None):
            self._count()

    @property
    def width(self) -> int:
        """Of a block's values: d + 2."""
        return len(self.design.terms) + 2

    @property
    def rows(self) -> int:
        """How many rows an epoch has."""
        assert self._rows is not None
        return self._rows

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        return -(-self.rows // self.size)

    @property
    def held(self) -> bool:
        """Whether all rows are kept in memory."""
        wide = self.width + (self.design.weights is not None)
        return self.rows * wide * 8 <= HELD_BYTES

    @property
    def buffer(self) -> int:
        """The rows of the shuffle buffer, whole batches."""
        most = max(1, min(BUFFER_ROWS, BUFFER_BYTES // (8 * self.width)))
        asked = most if isinstance(self.shuffle, bool) else self.shuffle
        return max(1, asked // self.size) * self.size

    def epoch(self, number: int, skip: int = 0) -> Iterator[Chunk]:
        """The batches of an epoch, counted from 1.

        Args:
            number: of the epoch.
            skip: leave out so many batches at its beginning.

        Raises:
            DataError: the data have another number of rows than before; and as
                `Design.chunks`.
        """
        for block in self.blocks(number, skip):
            for start in range(0, block.rows, self.size):
                yield block.part(start, start + self.size).chunk()

    def blocks(self, number: int, skip: int = 0) -> Iterator[Block]:
        """The same rows in the same order, many whole batches at a time."""
        random = np.random.default_rng([self.seed, number])
        done = skip * self.size
        if self.held:
            yield from self._from_memory(random, done)
            return
        seen = 0
        for window in self._windows(random):
            for start in range(max(0, done - seen), window.rows, self._step):
                yield window.part(start, start + self._step)
            seen += window.rows

    def in_order(self) -> Iterator[Block]:
        """All rows once, in the order of the data."""
        if self.held:
            whole = self._whole
            for start in range(0, whole.rows, self._step):
                yield whole.part(start, start + self._step)
            return
        for chunk in self.design.chunks(self.source):
            yield self._block(self._packed(chunk))

    @property
    def _whole(self) -> Block:
        if self._held is None:
            self._held = self._all_rows()
        return self._held

    @property
    def _step(self) -> int:
        return max(1, BLOCK_ROWS // self.size) * self.size

    def _from_memory(self, random: np.random.Generator, done: int) -> Iterator[Block]:
        whole = self._whole
        if self.shuffle is False:
            for start in range(done, whole.rows, self._step):
                yield whole.part(start, start + self._step)
            return
        picked = self._picked(random.permutation(whole.rows)[done:])
        if whole.rows < AHEAD_ROWS or torch.get_num_threads() == 1:
            yield from picked
            return
        with closing(prefetched(picked)) as ahead:
            yield from ahead

    def _picked(self, order: Codes) -> Iterator[Block]:
        """Rows in this order: np.take lets another thread compute meanwhile."""
        whole = self._whole
        for start in range(0, len(order), self._step):
            rows = order[start : start + self._step]
            yield Block(
                np.take(whole.values, rows, axis=0),
                None if whole.weight is None else np.take(whole.weight, rows),
            )

    def _windows(self, random: np.random.Generator) -> Iterator[Block]:
        """Rows as the buffer lets them out, whole batches but for the last."""
        wide = self.width + (self.design.weights is not None)
        size = self.buffer
        space = np.empty((size, wide))
        end = size
        if self.shuffle is not False:
            end = int(random.integers(1, size // self.size, endpoint=True)) * self.size
        filled = seen = 0
        for chunk in self._chunks(random if self.shuffle is not False else None):
            packed = self._packed(chunk)
            start = 0
            while start < len(packed):
                take = min(end - filled, len(packed) - start)
                space[filled : filled + take] = packed[start : start + take]
                filled, start, seen = filled + take, start + take, seen + take
                if filled == end:
                    yield self._mixed(space[:filled], random)
                    filled, end = 0, size
        if filled:
            yield self._mixed(space[:filled], random)
        self._check_rows(seen)

    def _mixed(self, rows: Array, random: np.random.Generator) -> Block:
        """A copy of the rows, permuted unless told otherwise."""
        if self.shuffle is False:
            rows = rows.copy()
        else:
            rows = rows[random.permutation(len(rows))]
        return self._block(rows)

    def _block(self, rows: Array) -> Block:
        """Packed rows, (rows, d + 2) or (rows, d + 3), as a block."""
        if self.design.weights is None:
            return Block(rows, None)
        return Block(np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy())

    def _chunks(self, random: np.random.Generator | None) -> Iterator[Chunk]:
        """All rows once, its stretches in an order drawn where there are several."""
        stretches = _stretches(self.source, self.design)
        if random is None or len(stretches) < 2:
            yield from self.design.chunks(self.source)
            return
        for place in random.permutation(len(stretches)):
            start, begin = stretches[place]
            batches = begin()
            for batch in batches:
                found = self.design.chunk(batch, start)
                start += batch.rows
                if found is not None:
                    yield found[0]

    def _all_rows(self) -> Block:
        wide = self.width + (self.design.weights is not None)
        space = np.empty((self.rows, wide))
        filled = 0
        for chunk in self.design.chunks(self.source):
            stop = filled + len(chunk.y)
            if stop <= len(space):
                self._packed(chunk, space[filled:stop])
            filled = stop
        self._check_rows(filled)
        return self._block(space)

    def _packed(self, chunk: Chunk, out: Array | None = None) -> Array:
        """Terms, ones, target and weight of a chunk side by side."""
        d = self.width - 2
        if out is None:
            wide = self.width + (self.design.weights is not None)
            out = np.empty((len(chunk.y), wide))
        X = out[:, :d]
        if self._shift is None:
            X[:] = chunk.X
        else:
            np.subtract(chunk.X, self._shift, out=X)
        if self._scale is not None:
            X /= self._scale
        out[:, d] = 1.0
        out[:, d + 1] = chunk.y
        if chunk.weight is not None:
            assert self._weight is not None
            np.multiply(chunk.weight, self.rows / self._weight, out=out[:, d + 2])
        return out

    def _count(self) -> None:
        rows, weight = 0, 0.0
        with closing(self.design.chunks(self.source)) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                rows += len(chunk.y)
                weight += len(chunk.y) if chunk.weight is None else chunk.weight.sum()
        if rows == 0 or weight <= 0:
            raise DataError(
                f"{self.source.name} has no rows to learn from: give at least one, of "
                "a weight above 0"
            )
        self._rows, self._weight = rows, float(weight)

    def _check_rows(self, found: int) -> None:
        if found != self.rows:
            raise DataError(
                f"{self.source.name} has {found:,} rows now and had {self.rows:,} "
                "before: fit again once nothing writes to it"
            )


def check_shuffle(value: Any) -> bool | int:
    """Whether to shuffle, or the rows of the buffer.

    Raises:
        UsageError: neither.
    """
    if value is True or value is False:
        return value
    try:
        return whole("shuffle", value, 1)
    except UsageError:
        raise UsageError(
            f"shuffle is {value!r}: give True, False, or how many rows the buffer of "
            "data too large for memory shall hold"
        ) from None


def _stretches(
    source: Source, design: Design
) -> list[tuple[int, Callable[[], Iterator[Batch]]]]:
    """What can be begun anywhere, with the rows before it: row groups, or slices."""
    found: list[tuple[int, Callable[[], Iterator[Batch]]]] = []
    for way in ("side_by_side", "slices"):
        split = getattr(source, way, None)
        start = 0
        for rows, begin in split(design.reading()) if split is not None else []:
            found.append((start, begin))
            start += rows
        if found:
            break
    return found
