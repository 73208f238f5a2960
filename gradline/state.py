"""What one pass over the rows leaves behind: small, mergeable, in float64.

`Moments` holds means and the centred scatter of [X y]: cheap, and enough unless columns
are nearly collinear. `Triangle` holds the R of a QR decomposition of the same centred
rows: it squares nothing, so it keeps twice the digits, for more work.

Both are accumulators: `add(chunk)`, `merge(other)`. Sums run over rows i with weights
w_i (1 where none are given), W = Σ w_i:

    mean    = Σ w_i z_i / W                          z_i = [x_i y_i]
    scatter = Σ w_i (z_i - mean)(z_i - mean)ᵀ = RᵀR

Rows are shifted by a number near their mean before anything is multiplied, a block at
a time while it is in the cache: differences from a nearby number lose nothing even
when x is near 1e14 and varies by 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array, Chunk
from gradline.errors import ShapeError

#: Numbers in a block: what two cores' caches hold beside the matrix they build.
BLOCK_NUMBERS = 1 << 19
BLOCK_ROWS = (2048, 131_072)

#: Wider than this, a scatter is built by halves: the lower triangle is never computed.
HALVE_ABOVE = 384

#: Where the mean has come so many standard deviations (squared) from the shift, digits
#: begin to be lost, and the shift moves.
FAR = 100.0


def centred(
    chunk: Chunk, shift: Tensor, delta: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The rows of [X y], less shift and delta, as columns of blocks.

    Args:
        chunk: the rows.
        shift: subtracted first: exact where the rows are near it. (d + 1,)
        delta: subtracted from what is left, (d + 1,).

    Yields:
        z (d + 1, b) float64, overwritten by the next one; the weights (b,), or None.
    """
    rows, d = chunk.X.shape
    least, most = BLOCK_ROWS
    step = min(max(least, BLOCK_NUMBERS // (d + 1)), most, rows)
    buffer = torch.empty(d + 1, step, dtype=torch.float64)
    weight = None if chunk.weight is None else torch.tensor(chunk.weight).double()
    for start in range(0, rows, step):
        z = buffer[:, : min(step, rows - start)]
        stop = start + z.shape[1]
        _subtract(chunk.X[start:stop].T, shift[:-1, None], z[:-1])
        _subtract(chunk.y[start:stop], shift[-1:], z[-1])
        if delta is not None:
            z -= delta[:, None]
        yield z, None if weight is None else weight[start:stop]


def _subtract(values: Array, shift: Tensor, out: Tensor) -> None:
    """out = values - shift, by all cores where torch may look at the memory."""
    if values.flags.writeable:
        torch.sub(torch.from_numpy(values), shift, out=out)
    else:  # torch has no read-only tensors
        with np.errstate(over="ignore"):
            np.subtract(values, shift.numpy(), out=out.numpy())


def _add_products(total: Tensor, a: Tensor) -> None:
    """total += a aᵀ, the upper triangle of it; below it, whatever is convenient."""
    m = a.shape[0]
    if m <= HALVE_ABOVE:
        total.addmm_(a, a.T)
        return
    half = m // 2
    _add_products(total[:half, :half], a[:half])
    _add_products(total[half:, half:], a[half:])
    total[:half, half:].addmm_(a[:half], a[half:].T)


class Moments:
    """Count, means and centred scatter of the rows seen so far.

    Args:
        features: d, the number of columns of X.

    Attributes:
        rows: how many rows.
        counted: how many of them have a weight above 0.
        weight: W, the sum of the row weights.
        shift: near the mean, (d + 1,).

    Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979. The nearest elsewhere: OnlineStats.LinReg in
    Julia.
    """

    def __init__(self, features: int) -> None:
        width = features + 1
        self.rows = 0
        self.counted = 0
        self.weight = 0.0
        self.shift = torch.zeros(width, dtype=torch.float64)
        self._sums = torch.zeros(width, dtype=torch.float64)  # Σ w (z - shift)
        self._products = torch.zeros(width, width, dtype=torch.float64)  # upper
        self._scatter: Tensor | None = None  # kept until more rows come

    @property
    def delta(self) -> Tensor:
        """mean - shift, (d + 1,)."""
        return self._sums / self.weight if self.weight else self._sums

    @property
    def mean(self) -> Tensor:
        """The weighted mean of [X y], (d + 1,)."""
        return self.shift + self.delta

    @property
    def scatter(self) -> Tensor:
        """Σ w (z - mean)(z - mean)ᵀ, (d + 1, d + 1), symmetric."""
        if self._scatter is None:
            upper = self._products.triu()
            whole = upper + upper.triu(1).T
            self._scatter = whole.addr_(self.delta, self._sums, alpha=-1.0)
        return self._scatter

    def add(self, chunk: Chunk) -> Moments:
        """Take in more rows; return self.

        Raises:
            ShapeError: the chunk has another number of columns.
        """
        if chunk.X.shape[1] + 1 != self.shift.numel():
            raise ShapeError(
                f"a chunk of {chunk.X.shape[1]} columns does not go with a state of "
                f"{self.shift.numel() - 1}: build it with Moments(d) for d columns"
            )
        self._scatter = None
        self.rows += len(chunk.y)
        weight = (
            float(len(chunk.y)) if chunk.weight is None else float(chunk.weight.sum())
        )
        self.counted += (
            len(chunk.y) if chunk.weight is None else int((chunk.weight > 0).sum())
        )
        if weight == 0:
            return self
        first = self.weight == 0
        self.weight += weight
        if first:
            self.shift = _rough_mean(chunk)
        self._accumulate(chunk)
        if first and self._is_far():
            # The first block was no guide to the rest: once more, from their mean.
            self.shift = self.mean
            self._sums.zero_()
            self._products.zero_()
            self._accumulate(chunk)
        elif self._is_far():
            self._move()
        return self

    def merge(self, other: Moments) -> Moments:
        """Take in another state's rows; return self. The order does not matter."""
        self.rows += other.rows
        self.counted += other.counted
        if other.weight == 0:
            return self
        if self.weight == 0:
            self._scatter = None
            self.weight, self.shift = other.weight, other.shift.clone()
            self._sums, self._products = other._sums.clone(), other._products.clone()
            return self
        between = (other.shift - self.shift) + (other.delta - self.delta)
        total = self.weight + other.weight
        share = other.weight / total
        scatter = self.scatter + other.scatter  # a new one, ours to change
        scatter.addr_(between, between, alpha=self.weight * share)
        delta = self.delta + share * between
        self.weight = total
        self._place(scatter, self.shift, delta)
        return self

    def _accumulate(self, chunk: Chunk) -> None:
        for z, w in centred(chunk, self.shift):
            if w is None:
                self._sums += z.sum(dim=1)
            else:
                root = w.sqrt()
                z *= root
                self._sums += z @ root
            _add_products(self._products, z)

    def _is_far(self) -> bool:
        """Whether the mean lies far from the shift, by the columns' own spread."""
        squares = self._products.diagonal()
        moved = self.delta * self._sums
        return bool((moved > FAR * (squares - moved)).any())

    def _move(self) -> None:
        """Make the mean the shift."""
        self._place(self.scatter, self.shift, self.delta)

    def _place(self, scatter: Tensor, shift: Tensor, delta: Tensor) -> None:
        """Hold a scatter about the mean shift + delta."""
        self.shift = shift + delta
        left = delta - (self.shift - shift)  # what float64 could not put into the shift
        self._sums = left * self.weight
        self._products = scatter.addr(left, self._sums)
        self._scatter = None


def _rough_mean(chunk: Chunk) -> Tensor:
    """A number near the first rows that count, (d + 1,)."""
    rows = slice(0, 1024)
    if chunk.weight is not None and not chunk.weight[rows].any():
        rows = slice(int(np.argmax(chunk.weight > 0)), None)
    w = None if chunk.weight is None else chunk.weight[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.append(
            np.average(chunk.X[rows], axis=0, weights=w),
            np.average(chunk.y[rows], weights=w),
        )
    return torch.from_numpy(np.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0))


class Triangle:
    """The R of a QR decomposition of the centred, scaled rows of [X y].

    Args:
        moments: the state of all the rows, which says where their centre is.
        scale: what each column of [X y] is divided by, (d + 1,), none zero.

    Attributes:
        R: upper triangular, (d + 1, d + 1), with RᵀR the scatter of the scaled rows.

    Source: Demmel, Grigori, Hoemmen & Langou, "Communication-optimal parallel and
    sequential QR and LU factorizations", 2012 (TSQR).
    """

    def __init__(self, moments: Moments, scale: Tensor) -> None:
        self._shift, self._delta, self._scale = moments.shift, moments.delta, scale
        self.R = torch.zeros(0, scale.numel(), dtype=torch.float64)

    def add(self, chunk: Chunk) -> Triangle:
        """Take in more rows; return self."""
        for z, w in centred(chunk, self._shift, self._delta):
            z /= self._scale[:, None]
            if w is not None:
                z *= w.sqrt()
            self._reduce(z.T)
        return self

    def merge(self, other: Triangle) -> Triangle:
        """Take in another triangle's rows, with the same centre; return self."""
        return self._reduce(other.R)

    def _reduce(self, rows: Tensor) -> Triangle:
        self.R = torch.linalg.qr(torch.cat([self.R, rows]), mode="r").R
        return self
