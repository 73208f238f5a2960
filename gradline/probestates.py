"""One pass over batches of features: a state for each fold, on whatever device.

Rows are put together to blocks of one size, whatever the size of the batches, and each
block is cut into folds by the place of its rows among all (folds.py). So the batches
make no difference, not even in the last bit.

On the CPU a block goes to the states as it is (state.py). On another device its
products are made there, in float64 and measured from a centre and a line near the
data's, and only the sums come back, each time the rows have become eight times as many:

    z = x - shift,  r = y - level - z·line,    Σ w z zᵀ, Σ w z r, Σ w z, Σ w r, Σ w r²
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array, Chunk
from gradline.errors import DataError, ShapeError
from gradline.folds import KFold
from gradline.probebatches import Rows, wide_enough
from gradline.probetargets import Targets, weights_of
from gradline.state import LINE_GROWTH, Moments

#: Numbers in a block of features, on the CPU and elsewhere; and its fewest rows.
BLOCK = {"cpu": 1 << 20}
BLOCK_ELSEWHERE = 1 << 25
BLOCK_ROWS = (2048, 65_536)

#: Rows that the CPU looks at first, of each fold: they say where to measure from.
OPENING = 2048

#: Numbers in float64 at a time on a device, while products are made.
PART = 1 << 22


class Gathered(NamedTuple):
    """What a pass leaves: a state for each fold, all of the same targets in one order.

    states: one for each fold. device, dtype: of the features. rows: all, those without
    weight too.
    """

    states: list[Moments]
    device: torch.device
    dtype: torch.dtype
    rows: int


class Gathering:
    """A pass over batches.

    Args:
        targets: what makes numbers of the targets.
        folds: how rows are cut; None for one state of all rows.
    """

    def __init__(self, targets: Targets, folds: KFold | None) -> None:
        self._targets = targets
        self._labels = None if folds is None else fold_labels(folds)
        self._count = 1 if folds is None else folds.count
        self._states: list[Moments] = []
        self._block: _Block | None = None
        self._sums: list[DeviceSums] = []
        self._dtype, self._device = torch.float32, torch.device("cpu")
        self._weighted: bool | None = None
        self.rows = 0

    def add(self, rows: Rows) -> None:
        """Take in a batch."""
        X = rows.features
        y = self._targets.take(rows)
        weight = weights_of(rows)
        if not len(X):
            return
        weighted = weight is not None
        if self._weighted not in (None, weighted):
            raise ShapeError(
                f"{rows.place} has {'' if weighted else 'no '}weights and those before "
                f"it have {'none' if weighted else 'some'}: give all batches weights, "
                "or none"
            )
        self._weighted = weighted
        wide = wide_enough(X)
        if not _has_float64(wide.device):
            wide = wide.cpu()
        if self._block is None:
            self._dtype, self._device = X.dtype, X.device
            self._begin(wide, self._targets.count, weighted)
        elif wide.device != self._block.X.device:
            raise DataError(
                f"{rows.place} is on {wide.device} and those before it on "
                f"{self._block.X.device}: give device= to bring them together"
            )
        elif wide.dtype == torch.float64:
            self._block.widen()
        start = 0
        assert self._block is not None
        while start < len(wide):
            start += self._block.fill(wide, y, weight, start)
            if self._block.full:
                self._flush()

    def value(self) -> Gathered:
        """The states; a class that a fold has not seen is -1 in all its rows.

        Raises:
            DataError: no rows at all.
        """
        if self._block is None:
            raise DataError("batches has no rows: give one or more")
        self._flush()
        for sums in self._sums:
            sums.bring()
        return Gathered(self._states, self._device, self._dtype, self.rows)

    def _begin(self, X: Tensor, targets: int, weighted: bool) -> None:
        d, device = X.shape[1], X.device
        least, most = BLOCK_ROWS
        numbers = BLOCK.get(device.type, BLOCK_ELSEWHERE)
        size = min(max(least, numbers // d), most)
        k = 1 if self._targets.classification else targets
        self._block = _Block(size, X, self._targets.classification, k, weighted)
        self._states = [Moments(d, max(1, targets)) for _ in range(self._count)]
        if elsewhere(device):
            self._sums = [DeviceSums(state, device) for state in self._states]

    def _flush(self) -> None:
        """Cut the block into folds, and let each state take its part."""
        block = self._block
        assert block is not None
        if not block.rows:
            return
        self._grow(self._targets.count)
        start, self.rows = self.rows, self.rows + block.rows
        self._targets.refuse_numbers(self.rows)
        X, y, weight = block.take()
        if self._labels is None:
            self._scatter(0, X, y, weight)
            return
        labels = self._labels(start, len(X))
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=self._count))
        first = 0
        for fold, end in enumerate(ends.tolist()):
            some = order[first:end]
            first = end
            if len(some):
                at = torch.from_numpy(some).to(X.device)
                w = None if weight is None else weight[some]
                self._scatter(fold, X.index_select(0, at), y[some], w)

    def _scatter(self, fold: int, X: Tensor, y: Any, weight: Array | None) -> None:
        """Let the state of a fold take rows."""
        if self._targets.classification:
            codes, y = y[:, 0].astype(np.int64), np.full((len(X), self._k), -1.0)
            y[np.arange(len(X)), codes] = 1.0
        if self._sums:
            self._sums[fold].add(X, torch.from_numpy(y), weight)
        else:
            self._states[fold].add_checked(Chunk(X.numpy(), y, weight))

    @property
    def _k(self) -> int:
        return self._states[0].targets

    def _grow(self, targets: int) -> None:
        """Make room for classes that were not seen before: -1 in all rows so far."""
        if targets <= self._k:
            return
        order = [*range(self._k), *[-1] * (targets - self._k)]
        for sums in self._sums:
            sums.bring()
        self._states = [state.select(order, -1.0) for state in self._states]
        for fold, sums in enumerate(self._sums):
            sums.state = self._states[fold]


class _Block:
    """Rows of several batches, put together."""

    def __init__(
        self, size: int, like: Tensor, codes: bool, targets: int, weighted: bool
    ) -> None:
        d = like.shape[1]
        self.X = torch.empty(size, d, dtype=like.dtype, device=like.device)
        self._y = np.empty((size, targets), np.int64 if codes else np.float64)
        self._weight = np.empty(size) if weighted else None
        self.rows = 0

    @property
    def full(self) -> bool:
        return self.rows == len(self.X)

    def widen(self) -> None:
        """Hold float64 from now on."""
        if self.X.dtype != torch.float64:
            self.X = self.X.double()

    def fill(self, X: Tensor, y: Any, weight: Array | None, start: int) -> int:
        """Take rows from `start` on, as many as there is room for; return how many."""
        count = min(len(X) - start, len(self.X) - self.rows)
        here = slice(self.rows, self.rows + count)
        there = slice(start, start + count)
        self.X[here].copy_(X[there])
        self._y[here] = y[there, None] if y.ndim == 1 else y[there]
        if self._weight is not None and weight is not None:
            self._weight[here] = weight[there]
        self.rows += count
        return count

    def take(self) -> tuple[Tensor, Any, Array | None]:
        """All rows; the block is empty then."""
        rows, self.rows = self.rows, 0
        weight = None if self._weight is None else self._weight[:rows]
        return self.X[:rows], self._y[:rows], weight


class DeviceSums:
    """The sums of a fold's rows, made where the rows are.

    Args:
        state: takes them in the end.
        device: where they are made.
    """

    def __init__(self, state: Moments, device: torch.device) -> None:
        self.state = state
        self._device = device
        self._from: tuple[Tensor, Tensor, Tensor] | None = None  # shift, line, level
        self._sums: list[Tensor] = []
        self._rows, self._weight = 0, 0.0

    def add(self, X: Tensor, y: Tensor, weight: Array | None) -> None:
        """Take in rows: X (b, d) there, y (b, k) float64 and weight (b,) here."""
        if self.state.weight == 0 and self._from is None:
            # The opening rows, here: they say where to measure from.
            head = None if weight is None else weight[:OPENING]
            chunk = Chunk(X[:OPENING].cpu().numpy(), y[:OPENING].numpy(), head)
            self.state.add_checked(chunk)
            X, y = X[OPENING:], y[OPENING:]
            weight = None if weight is None else weight[OPENING:]
        if weight is not None:
            some = np.flatnonzero(weight > 0)
            if len(some) < len(weight):
                at = torch.from_numpy(some)
                self.state.rows += len(weight) - len(some)
                X, y, weight = X[at.to(X.device)], y[at], weight[some]
        if not len(X):
            return
        if self.state.weight == 0:  # none of the opening rows had a weight
            self.add(X, y, weight)
            return
        if self._rows >= (LINE_GROWTH - 1) * self.state.rows:
            self.bring()
        w = None if weight is None else torch.from_numpy(weight).to(self._device)
        self._accumulate(X, y.to(self._device), w)
        self._rows += len(X)
        self._weight += float(len(X)) if weight is None else float(weight.sum())

    def bring(self) -> None:
        """Let the state take what is here, and measure from a better line then."""
        if self._from is not None and self._rows:
            arrays = [t.cpu().numpy() for t in self._sums]
            zz, zr, z, r, rr = arrays
            own = Moments(self.state.features, self.state.targets)
            shift, line, level = (t.cpu().numpy() for t in self._from)
            own.shift, own.line, own.level = shift, line, level
            own.merge_sums((zz, zr, z, r, rr), self._rows, self._weight)
            self.state.merge(own)
        self._from, self._sums, self._rows, self._weight = None, [], 0, 0.0

    def _accumulate(self, X: Tensor, y: Tensor, weight: Tensor | None) -> None:
        d, k = X.shape[1], y.shape[1]
        if self._from is None:
            self.state.fit_line()
            state = self.state
            places = (state.x_mean, state.line, state.y_mean)
            shift, line, level = (
                torch.tensor(v, dtype=torch.float64, device=self._device)
                for v in places
            )
            self._from = shift, line, level
            shapes = [(d, d), (d, k), (d,), (k,), (k,)]
            self._sums = [shift.new_zeros(shape) for shape in shapes]
        shift, line, level = self._from
        zz, zr, z_sum, r_sum, rr = self._sums
        step = max(1, PART // (d + k))
        for start in range(0, len(X), step):
            z = X[start : start + step].double() - shift  # (b, d)
            r = y[start : start + step] - level - z @ line  # (b, k)
            wz, wr = z, r
            if weight is not None:
                w = weight[start : start + step, None]
                wz, wr = z * w, r * w
            zz.addmm_(wz.T, z)
            zr.addmm_(z.T, wr)
            z_sum += wz.sum(0)
            r_sum += wr.sum(0)
            rr += (wr * r).sum(0)


def _has_float64(device: torch.device) -> bool:
    return device.type != "mps"


def elsewhere(device: torch.device) -> bool:
    """Whether products are made on another device than the CPU, by torch."""
    return device.type != "cpu"


class _Places(NamedTuple):
    """Rows that folds are drawn for: all that a labeller asks of a batch."""

    rows: int


def fold_labels(folds: KFold) -> Callable[[int, int], Any]:
    """What says which fold rows belong to, from the first one's place and how many."""
    nothing: Any = None  # KFold asks nothing of a source
    labeller = folds.labeller(nothing)

    def labels(start: int, rows: int) -> Any:
        batch: Any = _Places(rows)
        return labeller(batch, start)[0]

    return labels


def check_folds(gathered: Gathered, count: int) -> None:
    """Refuse a fold without a row that counts.

    Raises:
        DataError: there is one.
    """
    if min(state.weight for state in gathered.states) > 0:
        return
    raise DataError(
        f"{gathered.rows:,} rows are too few for {count:,} folds, of which one has no "
        "row of a weight above 0: give fewer folds, or alpha='gcv', which needs none"
    )
