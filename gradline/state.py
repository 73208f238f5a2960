"""What one pass over the rows leaves behind: small, mergeable, in float64.

`Moments` holds means and the centred scatter of [X y]: cheap, and enough unless columns
are nearly collinear. `Triangle` holds the R of a QR decomposition of the same centred
rows: it squares nothing, so it keeps twice the digits, for about twice the work.

Both are accumulators: `add(chunk)`, `merge(other)`. Sums run over rows i with weights
w_i (1 where none are given), W = Σ w_i:

    mean    = Σ w_i z_i / W                          z_i = [x_i y_i]
    scatter = Σ w_i (z_i - mean)(z_i - mean)ᵀ = RᵀR

The mean is kept as `shift + delta`, where shift is near the first rows' mean:
differences from a nearby number lose nothing even when x is near 1e14 and varies by 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gradline.data import Chunk
from gradline.errors import ShapeError


def centred(chunk: Chunk, shift: Tensor, delta: Tensor | None = None) -> Tensor:
    """[X y] - shift - delta as a new tensor, (rows, d + 1) float64.

    Two subtractions, in this order: the first is exact where rows are near the shift.
    """
    z = np.empty((len(chunk.y), chunk.X.shape[1] + 1))
    with np.errstate(over="ignore"):  # the survey refuses what overflows, by name
        np.subtract(chunk.X, shift[:-1].numpy(), out=z[:, :-1])
        np.subtract(chunk.y, shift[-1].item(), out=z[:, -1])
    tensor = torch.from_numpy(z)
    return tensor if delta is None else tensor.sub_(delta)


def weights(chunk: Chunk) -> Tensor | None:
    """The row weights as a tensor, (rows,), or None."""
    return None if chunk.weight is None else torch.tensor(chunk.weight).double()


def _rough_mean(chunk: Chunk) -> Tensor:
    """A number near the rows that count, (d + 1,); their mean is good enough."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.append(
            np.average(chunk.X, axis=0, weights=chunk.weight),
            np.average(chunk.y, weights=chunk.weight),
        )
    return torch.from_numpy(np.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0))


class Moments:
    """Count, means and centred scatter of the rows seen so far.

    Args:
        features: d, the number of columns of X.

    Attributes:
        rows: how many rows.
        counted: how many of them have a weight above 0.
        weight: W, the sum of the row weights.
        shift: about the mean of the first rows, (d + 1,).
        delta: mean - shift, (d + 1,).
        scatter: (d + 1, d + 1), symmetric.

    Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979. scikit-learn's nearest is none; in Julia,
    OnlineStats.LinReg.
    """

    def __init__(self, features: int) -> None:
        width = features + 1
        self.rows = 0
        self.counted = 0
        self.weight = 0.0
        self.shift = torch.zeros(width, dtype=torch.float64)
        self.delta = torch.zeros(width, dtype=torch.float64)
        self.scatter = torch.zeros(width, width, dtype=torch.float64)

    @property
    def mean(self) -> Tensor:
        """The weighted mean of [X y], (d + 1,)."""
        return self.shift + self.delta

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
        part = Moments(chunk.X.shape[1])
        part.rows = len(chunk.y)
        w = weights(chunk)
        part.weight = float(part.rows) if w is None else float(w.sum())
        part.counted = part.rows if w is None else int((w > 0).sum())
        if part.weight == 0:
            self.rows += part.rows
            return self

        def average(values: Tensor) -> Tensor:
            return (values.sum(0) if w is None else w @ values) / part.weight

        part.shift = self.shift if self.weight else _rough_mean(chunk)
        z = centred(chunk, part.shift)  # (rows, d + 1)
        part.delta = average(z)
        z -= part.delta
        leftover = average(z)  # what rounding left of the mean
        part.delta = part.delta + leftover
        weighted = z if w is None else z * w[:, None]
        part.scatter = weighted.T @ z - part.weight * torch.outer(leftover, leftover)
        return self.merge(part)

    def merge(self, other: Moments) -> Moments:
        """Take in another state's rows; return self. The order does not matter."""
        if self.weight == 0:
            rows = self.rows + other.rows
            self.__dict__.update(other.__dict__)
            self.rows = rows
            return self
        self.rows += other.rows
        self.counted += other.counted
        if other.weight == 0:
            return self
        total = self.weight + other.weight
        between = (other.shift - self.shift) + (other.delta - self.delta)
        share = other.weight / total
        self.scatter = (
            self.scatter
            + other.scatter
            + (self.weight * share) * torch.outer(between, between)
        )
        self.delta = self.delta + share * between
        self.weight = total
        return self


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
        z = centred(chunk, self._shift, self._delta) / self._scale
        w = weights(chunk)
        return self._reduce(z if w is None else z * w.sqrt()[:, None])

    def merge(self, other: Triangle) -> Triangle:
        """Take in another triangle's rows, with the same centre; return self."""
        return self._reduce(other.R)

    def _reduce(self, rows: Tensor) -> Triangle:
        self.R = torch.linalg.qr(torch.cat([self.R, rows]), mode="r").R
        return self
