"""The triangle of a QR decomposition of the rows: nothing is squared.

It keeps twice the digits of the moments, for more work and another pass, and is made
where these would lose too many.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array, Chunk
from gradline.state import Moments, block_rows


def centred(
    chunk: Chunk, shift: Tensor, delta: Tensor
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The rows of [X y], less shift and delta, as columns of blocks.

    Args:
        chunk: the rows, with one target.
        shift: subtracted first: exact where the rows are near it. (d + 1,)
        delta: subtracted from what is left, (d + 1,).

    Yields:
        z (d + 1, b) float64, overwritten by the next one; the weights (b,), or None.
    """
    rows, d = chunk.X.shape
    step = block_rows(rows, d + 1)
    buffer = torch.empty(d + 1, step, dtype=torch.float64)
    weight = None if chunk.weight is None else torch.tensor(chunk.weight).double()
    for start in range(0, rows, step):
        z = buffer[:, : min(step, rows - start)]
        stop = start + z.shape[1]
        _subtract(chunk.X[start:stop].T, shift[:-1, None], z[:-1])
        _subtract(chunk.y[start:stop], shift[-1:], z[-1])
        z -= delta[:, None]
        yield z, None if weight is None else weight[start:stop]


def _subtract(values: Array, shift: Tensor, out: Tensor) -> None:
    """out = values - shift, by all cores where torch may look at the memory."""
    if values.flags.writeable:
        torch.sub(torch.from_numpy(values), shift, out=out)
    else:  # torch has no read-only tensors
        with np.errstate(over="ignore"):
            np.subtract(values, shift.numpy(), out=out.numpy())


class Triangle:
    """The R of a QR decomposition of the centred, scaled rows of [X y].

    Args:
        moments: the state of all the rows, of one target, which says where their
            centre is.
        scale: what each column of [X y] is divided by, (d + 1,), none zero.

    Attributes:
        R: upper triangular, (d + 1, d + 1), with RᵀR the scatter of the scaled rows.

    Source: Demmel, Grigori, Hoemmen & Langou, "Communication-optimal parallel and
    sequential QR and LU factorizations", 2012 (TSQR).
    """

    def __init__(self, moments: Moments, scale: Tensor) -> None:
        self._shift, self._delta = centre(moments)
        self._scale = scale
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

    def value(self) -> Tensor:
        """R."""
        return self.R

    def _reduce(self, rows: Tensor) -> Triangle:
        self.R = torch.linalg.qr(torch.cat([self.R, rows]), mode="r").R
        return self


def centre(moments: Moments) -> tuple[Tensor, Tensor]:
    """The mean of [X y] in two parts, a float64 near it and the rest, (d + 1,) each."""
    y = moments.y_mean
    shift = np.append(moments.shift, y[:1])
    return torch.from_numpy(shift), torch.from_numpy(np.append(moments.delta, 0.0))
