"""What one pass over the rows leaves behind: small, mergeable, in float64.

`Moments` holds the sums that least squares needs. Two shifts keep their digits, and
both are only places to measure from: any numbers would do, near ones lose nothing.

    z = x - shift                   shift: near the mean of x
    r = y - level - z·line          line, level: near the least-squares solution

The first makes differences of numbers near 1e14 exact. The second is the same idea for
the target: what is summed are residuals of a line that fits already, first that of the
opening rows, later one from all rows so far. So the optimum is line + a small step, the
residual sum of squares is Σ w r² less a small part of it, and neither is ever the
difference of large numbers. With weights w (1 where none are given), W = Σ w, the state
is

    W,  Σ w z,  Σ w z zᵀ,  Σ w z r,  Σ w r,  Σ w r²

It is an accumulator: `add(chunk)`, `merge(other)`, `value()`. So is the triangle of a
QR decomposition (triangle.py), which squares nothing and is made where this one would
lose too many digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from gradline.checks import whole
from gradline.data import Array, Chunk, exact_float64, real_array, shape_text
from gradline.errors import DataError, MissingValueError, ShapeError

#: Numbers in a block: it stays in the cache while products are made of it.
BLOCK_NUMBERS = 1 << 19
BLOCK_ROWS = (2048, 262_144)

#: Where the mean has come so many standard deviations (squared) from the shift, digits
#: begin to be lost, and the shift moves.
FAR = 100.0

#: Data whose mean is within so many standard deviations of 0 are not shifted at all.
NEAR = 3.0

#: So many rows say where to measure from, to begin with.
OPENING_ROWS = 1024

#: A line is fitted to this many rows per coefficient at the least, and again whenever
#: the rows have become so many times as many.
LINE_ROWS = 8
LINE_GROWTH = 8

#: Up to so many columns NumPy solves: torch would wake threads for it, and where many
#: readers do so at once they wait for one another for longer than the work takes.
SMALL = 256

EPS = float(np.finfo(np.float64).eps)

#: Sums may overflow; whoever reads the state says so in words.
_quiet = np.errstate(over="ignore", invalid="ignore")


class Centred(NamedTuple):
    """The state in terms that do not depend on where it was measured from.

    rows: n; counted: how many of them have a weight above 0; weight: W.
    x_mean (d,), y_mean (k,): weighted means.
    xx (d, d), xy (d, k), yy (k,): Σ w (x - mean)(x - mean)ᵀ and so on; of the targets
    among each other only the squares. spread (k,): Σ w (y - mean of y)², which yy is
    too unless the design has no intercept and all means count as 0.
    """

    rows: int
    counted: int
    weight: float
    x_mean: Array
    y_mean: Array
    xx: Array
    xy: Array
    yy: Array
    spread: Array


class Products(NamedTuple):
    """Σ w z (d,), Σ w z zᵀ (d, d), Σ w z r (d, k), Σ w r (k,) and Σ w r² (k,)."""

    z: Array
    zz: Array
    zr: Array
    r: Array
    rr: Array


class Moments:
    """The sums of the rows seen so far, in the terms above.

    Args:
        features: d, the number of columns of X.
        targets: k; chunks have y (rows,) where it is 1, else (rows, k).
        intercept: False for lines through the origin: nothing is centred, all means
            count as 0 and every sum below is about 0.

    Attributes:
        rows: how many rows.
        counted: how many of them have a weight above 0.
        weight: W.
        shift: (d,).
        line: slopes, (d, k), and level, (k,), of the line that residuals are of.

    Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979, for the shift; the line does the same for y. The
    nearest elsewhere: OnlineStats.LinReg in Julia.
    """

    def __init__(self, features: int, targets: int = 1, intercept: bool = True) -> None:
        d, k = whole("features", features, 1), whole("targets", targets, 1)
        self.intercept = bool(intercept)
        self.rows = 0
        self.counted = 0
        self.weight = 0.0
        self.shift = np.zeros(d)
        self.line = np.zeros((d, k))
        self.level = np.zeros(k)
        self._z = np.zeros(d)  # Σ w z
        self._zz = np.zeros((d, d))  # Σ w z zᵀ
        self._zr = np.zeros((d, k))  # Σ w z r
        self._r = np.zeros(k)  # Σ w r
        self._rr = np.zeros(k)  # Σ w r²
        self._blur = np.zeros(k)  # what rounding may have done to Σ w r²
        self._fitted_at = 0  # rows when the line was last fitted

    # What it says.

    @property
    def features(self) -> int:
        """d, the number of columns of X."""
        return len(self.shift)

    @property
    def targets(self) -> int:
        """k, the number of columns of y."""
        return len(self.level)

    @property
    def delta(self) -> Array:
        """The mean of z, (d,): what the mean of x has beside the shift."""
        if not self.intercept:
            return np.zeros_like(self._z)
        return self._z / self.weight if self.weight else self._z

    @property
    def x_mean(self) -> Array:
        """The weighted mean of x, (d,)."""
        return self.shift + self.delta

    @property
    def y_mean(self) -> Array:
        """The weighted mean of y, (k,)."""
        return self.level + self.rise

    @property
    def rise(self) -> Array:
        """What the mean of y has beside the level, (k,)."""
        if not (self.weight and self.intercept):
            return np.zeros_like(self.level)
        found: Array = self.delta @ self.line + self._r / self.weight
        return found

    @property
    def xx(self) -> Array:
        """Σ w (x - mean)(x - mean)ᵀ, (d, d)."""
        xx: Array = self._zz - np.outer(self.delta, self._z)
        return xx

    @property
    def xr(self) -> Array:
        """Σ w (x - mean) r, (d, k): what is left to explain, against x."""
        return self._zr - np.outer(self.delta, self._r)

    @property
    def rr(self) -> Array:
        """Σ w (r - mean of r)², (k,): squares about the line, at its best level."""
        if not (self.weight and self.intercept):
            return self._rr
        return np.maximum(self._rr - np.square(self._r) / self.weight, 0.0)

    @property
    def rr_error(self) -> Array:
        """What rounding may have done to `rr`, (k,)."""
        return self._blur + EPS * self._rr

    @_quiet
    def value(self) -> Centred:
        """Means and centred sums; where they were measured from is gone."""
        xx, xr = self.xx, self.xr
        bent = xx @ self.line
        explained = (self.line * (bent + 2 * xr)).sum(0)
        yy = spread = np.maximum(self.rr + explained, 0.0)
        if not self.intercept and self.weight:
            total = self._z @ self.line + self._r  # Σ w y
            spread = np.maximum(yy - np.square(total) / self.weight, 0.0)
            spread[spread <= 4 * EPS * yy] = 0.0  # a constant, but for rounding
        return Centred(
            self.rows,
            self.counted,
            self.weight,
            self.x_mean,
            self.y_mean,
            xx,
            xr + bent,
            yy,
            spread,
        )

    # How it grows.

    def add(self, chunk: Chunk) -> Moments:
        """Take in more rows; return self.

        Args:
            chunk: X (rows, d) and y (rows,), or (rows, k) for k targets, and weights
                (rows,) or None: arrays or tensors of any real type, none missing.

        Raises:
            ShapeError: shapes that do not belong together, or not to this state.
            MissingValueError: NaN or infinity; its row and column are named.
            DataError: no numbers, or a negative weight.
        """
        return self.add_checked(self._checked(chunk))

    @_quiet
    def add_checked(self, chunk: Chunk) -> Moments:
        """As `add`, for float64 arrays that are known to fit: those of a design."""
        w = chunk.weight
        weight = float(len(chunk.y)) if w is None else float(w.sum())
        counted = len(chunk.y) if w is None else int(np.count_nonzero(w > 0))
        if weight == 0:
            self.rows += len(chunk.y)
            return self
        if self.weight == 0:
            self._begin(chunk)
        elif self._outgrown():
            self.fit_line()
        first = self.weight == 0
        self._accumulate(chunk)
        self.rows += len(chunk.y)
        self.counted += counted
        self.weight += weight
        if not self._is_far():
            return self
        if first:
            # The opening rows were no guide to the rest: once more, from their mean.
            mean = self.x_mean
            again = Moments(self.features, self.targets, self.intercept)
            again._begin(chunk, mean)
            again._accumulate(chunk)
            again.rows, again.counted, again.weight = self.rows, counted, weight
            self.__dict__.update(again.__dict__)
        else:
            self._move_shift(self.x_mean)
        return self

    def _add_products(
        self, rows: int, counted: int, weight: float, level: Array, sums: Products
    ) -> Moments:
        """Be the state of rows whose products are at hand; return self.

        For an empty state. Nothing is shifted, so means are to be small, or not far
        above the deviations: else digits are lost.

        Args:
            rows: n.
            counted: how many of them have a weight above 0.
            weight: W.
            level: (k,), near the mean of y; residuals are of it.
            sums: of the rows as they are, and of these residuals.
        """
        self.rows, self.counted, self.weight = rows, counted, weight
        self.level = level
        self._z, self._zz, self._zr, self._r, self._rr = sums
        return self

    @_quiet
    def merge(self, other: Moments) -> Moments:
        """Take in another state's rows; return self. The order does not matter."""
        if other._kind != self._kind:
            raise ShapeError(
                f"a state of {other._kind} does not go with one of {self._kind}"
            )
        rows = self.rows + other.rows
        if other.weight and self.weight < other.weight:
            larger, smaller = other._copy(), self._copy()
        else:
            larger, smaller = self, other._copy()
        if smaller.weight:
            smaller._move_shift(larger.shift)
            smaller._move_line(larger.line - smaller.line, larger.level - smaller.level)
            for name in ("counted", "weight", "_z", "_zz", "_zr", "_r", "_rr", "_blur"):
                setattr(larger, name, getattr(larger, name) + getattr(smaller, name))
        if larger is not self:
            self.__dict__.update(larger.__dict__)
        self.rows = rows
        if self.weight and self._is_far():
            self._move_shift(self.x_mean)
        return self

    def select(self, targets: Sequence[int], absent: float = 0.0) -> Moments:
        """A state of the same rows and of these targets, in this order.

        Args:
            targets: which ones, by their number; -1 is a new one, which has been the
                same in all rows.
            absent: what it has been.
        """
        at = np.asarray(targets, dtype=np.int64)
        old = np.maximum(at, 0)
        found = self._copy()
        for name in ("line", "level", "_zr", "_r", "_rr", "_blur"):
            values = getattr(self, name)[..., old]
            setattr(found, name, np.where(at < 0, 0.0, values))
        new = np.where(at < 0, absent, 0.0)
        if self.intercept:
            found.level = np.where(at < 0, new, found.level)  # and no residual is left
        else:
            found._take_off(np.zeros_like(found.line), -new)
        return found

    @_quiet
    def merge_sums(
        self, sums: tuple[Array, Array, Array, Array, Array], rows: int, weight: float
    ) -> None:
        """Take in sums that were made elsewhere, measured from this state's own line.

        Args:
            sums: Σ w z zᵀ (d, d), Σ w z r (d, k), Σ w z (d,), Σ w r (k,), Σ w r² (k,).
            rows: how many rows they are of, all of a weight above 0.
            weight: the sum of their weights.
        """
        names = ("_zz", "_zr", "_z", "_r", "_rr")
        for name, values in zip(names, sums, strict=True):
            setattr(self, name, getattr(self, name) + values)
        self.rows += rows
        self.counted += rows
        self.weight += weight

    @_quiet
    def fit_line(self) -> None:
        """Measure residuals from the least-squares line of the rows so far."""
        self._fitted_at = self.rows
        step = _solved(self.xx, self.xr)
        rise = self._r / self.weight - self.delta @ step
        self._move_line(step, rise if self.intercept else np.zeros_like(rise))

    # The parts.

    @property
    def _kind(self) -> str:
        """What a state must share with another to be merged with it."""
        without = "" if self.intercept else " without intercept"
        return f"{self.features} features and {self.targets} targets{without}"

    def _checked(self, chunk: Chunk) -> Chunk:
        """A chunk from outside as float64 arrays that go with this state."""
        X, y = real_array(chunk.X, "X"), real_array(chunk.y, "y")
        if X.ndim != 2 or X.shape[1] != self.features:
            raise ShapeError(
                f"a chunk of X with shape {shape_text(X)} does not go with a state of "
                f"{self.features} features: give X of shape (rows, {self.features}), "
                "or build the state with Moments(d) for d columns"
            )
        wanted = (len(X),) if self.targets == 1 else (len(X), self.targets)
        if tuple(y.shape) != wanted:
            raise ShapeError(
                f"a chunk of X with shape {shape_text(X)} and y with shape "
                f"{shape_text(y)} does not go with a state of targets={self.targets}: "
                f"give y of shape {wanted}"
            )
        X = exact_float64(X, [f"X[:, {j}]" for j in range(self.features)])
        y = exact_float64(y, ["y"] * self.targets)
        _refuse_gaps(X, "X")
        _refuse_gaps(_columns(y), "y")
        if chunk.weight is None:
            return Chunk(X, y, None)
        weight = exact_float64(real_array(chunk.weight, "weight"), ["weight"])
        if weight.shape != (len(X),):
            raise ShapeError(
                f"weight has shape {weight.shape} and X {X.shape}: give one per row, "
                f"({len(X)},)"
            )
        _refuse_gaps(weight[:, None], "weight")
        if len(weight) and weight.min() < 0:
            raise DataError(
                f"a weight of row {int(np.argmin(weight)) + 1:,} is "
                f"{weight.min():g}: give weights of 0 or more"
            )
        return Chunk(X, y, weight)

    def _begin(self, chunk: Chunk, mean: Array | None = None) -> None:
        """Choose where to measure from, by the opening rows that count."""
        first = 0
        if chunk.weight is not None and not chunk.weight[:OPENING_ROWS].any():
            first = int(np.argmax(chunk.weight > 0))
        rows = slice(first, first + OPENING_ROWS)
        w = None if chunk.weight is None else chunk.weight[rows]
        with np.errstate(all="ignore"):
            x = chunk.X[rows].astype(np.float64)
            y = _columns(chunk.y[rows]).astype(np.float64)
            share = np.full(len(y), 1.0 / len(y)) if w is None else w / w.sum()
            near = share @ x * self.intercept
            z = x - near
            squares = share @ np.square(z)
            at_zero = (np.square(near) <= NEAR**2 * squares).all()
            at_zero &= np.isfinite(squares).all()
            self.shift = _finite(near if mean is None else mean) * (not at_zero)
            self.level = _finite(share @ y) * self.intercept
            if len(y) < LINE_ROWS * (self.features + 1):
                return
            self._fitted_at = len(y)
            wz = z.T * share
            step = _solved(wz @ z, wz @ (y - self.level))
            self.level = self.level + (self.shift - near) @ step
            self.line = step

    def _outgrown(self) -> bool:
        """Whether there are now rows enough for a better line."""
        least = LINE_ROWS * (self.features + 1)
        return self.rows >= max(least, LINE_GROWTH * self._fitted_at)

    def _accumulate(self, chunk: Chunk) -> None:
        """Add the sums of a chunk, a block at a time while it is in the cache."""
        d, k = self.line.shape
        rows = len(chunk.y)
        step = block_rows(rows, d + k)
        shifted = bool(self.shift.any())
        Y = _columns(chunk.y)
        beside = np.ones((1 + k, step))  # √w, then √w·r
        space = np.empty(0)
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            x = chunk.X[start:stop]
            side = beside[:, : stop - start]
            r = side[1:]  # (k, b)
            w = None if chunk.weight is None else chunk.weight[start:stop]
            if shifted or w is not None or not _plain(x):
                if len(space) < x.size:
                    space = np.empty(step * d)
                z = _shaped_as(x, space)
                np.subtract(x, self.shift, out=z)
            else:
                z = x
            np.subtract(Y[start:stop].T, self.level[:, None], out=r)
            if k == d == 1:
                r[0] -= z[:, 0] * self.line[0, 0]
            elif k == 1:
                r[0] -= np.dot(z, self.line[:, 0])
            else:
                r -= np.dot(self.line.T, z.T)
            if w is not None:
                np.sqrt(w, out=side[0])
                z *= side[0][:, None]
                r *= side[0]
            # NumPy sees that this is symmetric, and does half the work. np.dot, not @:
            # it lets other threads run meanwhile, whatever the shapes.
            self._zz += np.dot(z.T, z)
            sums = np.dot(side, z)  # (1 + k, d)
            self._z += sums[0]
            self._zr += sums[1:].T
            self._r += np.dot(r, side[0])
            self._rr += np.dot(r[0], r[0]) if k == 1 else np.einsum("kb,kb->k", r, r)

    def _is_far(self) -> bool:
        """Whether the mean lies far from the shift, by the columns' own spread."""
        squares = self._zz.diagonal()
        moved = self.delta * self._z  # 0 without intercept
        return bool((moved > FAR * (squares - moved)).any())

    def _move_shift(self, shift: Array) -> None:
        """Measure x from elsewhere; the line stays where it is."""
        step = self.shift - shift  # z grows by it
        # What float64 could not put into the new shift is in the sums already.
        W = self.weight
        self._zz = self._zz + (np.outer(step, self._z) + np.outer(self._z, step))
        self._zz += W * np.outer(step, step)
        self._zr = self._zr + np.outer(step, self._r)
        self._z = self._z + W * step
        self.shift = shift.copy()
        # The level moves along the line. What float64 cannot put into it is no part of
        # the line that later rows are measured from, so it has to leave the sums too.
        along = step @ self.line
        level = self.level - along
        self._take_off(np.zeros_like(self.line), (level - self.level) + along)
        self.level = level

    def _move_line(self, line: Array, level: Array) -> None:
        """Measure residuals from a line that lies higher by these, (d, k) and (k,).

        By what the numbers really move, that is: a level of 1e12 moves in steps of
        1e-4, and the sums must not be told otherwise.
        """
        line = (self.line + line) - self.line
        level = (self.level + level) - self.level
        self._take_off(line, level)
        self.line = self.line + line
        self.level = self.level + level

    def _take_off(self, line: Array, level: Array) -> None:
        """Take z·line + level off every residual."""
        bent = self._zz @ line
        before = self._rr
        drop = (line * (2 * self._zr - bent)).sum(0)
        drop += level * (2 * (self._r - self._z @ line) - self.weight * level)
        self._rr = np.maximum(before - drop, 0.0)
        self._blur = self._blur + EPS * (before + np.abs(drop))
        self._zr = self._zr - bent - np.outer(self._z, level)
        self._r = self._r - self._z @ line - self.weight * level

    def _copy(self) -> Moments:
        """A state of the same rows; its arrays are replaced, not written into."""
        copy = object.__new__(Moments)
        copy.__dict__.update(self.__dict__)
        for name in ("_z", "_zz", "_zr", "_r", "_rr"):
            setattr(copy, name, getattr(self, name).copy())
        return copy


def _refuse_gaps(values: Array, name: str) -> None:
    """Refuse NaN and infinity, by the first row that has one."""
    if np.isfinite(values).all():
        return
    row, column = divmod(int(np.argmin(np.isfinite(values))), values.shape[1])
    where = f"{name}[{row}, {column}]" if values.shape[1] > 1 else f"{name}[{row}]"
    raise MissingValueError(
        f"{where} is {values[row, column]}: leave the row out, or fill it in"
    )


def block_rows(rows: int, columns: int) -> int:
    """How many rows of so many columns to work on at a time."""
    least, most = BLOCK_ROWS
    return min(max(least, BLOCK_NUMBERS // columns), most, rows)


def _columns(y: Array) -> Array:
    """Targets as (rows, k)."""
    return y[:, None] if y.ndim == 1 else y


def _finite(values: Array) -> Array:
    """What is not finite, as 0: a place to measure from must be."""
    return np.where(np.isfinite(values), values, 0.0)


def _plain(x: Array) -> bool:
    """Whether BLAS can work on x where it lies: float64 in one piece.

    np.dot would copy others, each of its operands, and not see that they are the same.
    """
    return x.dtype == np.float64 and x.flags.aligned and x.flags.forc


def _shaped_as(x: Array, space: Array) -> Array:
    """The beginning of `space` in the shape of x, which runs through memory as x."""
    flat = space[: x.size]
    if x.strides[0] < x.strides[-1]:
        return flat.reshape(x.shape[::-1]).T
    return flat.reshape(x.shape)


def _solved(xx: Array, xr: Array) -> Array:
    """A line near the least-squares one, (d, k): it need not be more than near."""
    scale = np.sqrt(np.maximum(xx.diagonal(), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    shape = xx / scale / scale[:, None]
    shape[np.diag_indices_from(shape)] += 1e-9
    if len(shape) <= SMALL:
        try:
            lower = np.linalg.cholesky(shape)
        except np.linalg.LinAlgError:
            return np.zeros_like(xr)
        half = np.linalg.solve(lower, xr / scale[:, None])
        return _finite(np.linalg.solve(lower.T, half) / scale[:, None])
    factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(shape))
    if int(failed):
        return np.zeros_like(xr)
    solved = torch.cholesky_solve(torch.from_numpy(xr / scale[:, None]), factor)
    return _finite(solved.numpy() / scale[:, None])
