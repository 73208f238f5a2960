"""One pass that leaves a loss with kinks as it is near a line: sums, and a few rows.

The losses of robust.py are made of straight and quadratic pieces, and a row changes
from one to the next where its residual is at a kink: at 0 for the absolute and the
quantile loss, at ±κ for Huber's. A row far from its kinks stays on its piece while the
line moves a little, and all such rows are known by sums of their pieces ("globs"). Only
rows near a kink have to be kept. In the coordinates

    z = [1, Rᵀ(x - centre)],  RRᵀ the inverse scatter of x, so that z has the scatter 1
    prediction = zᵀu

a step Δ of u moves a residual by at most ‖z‖·‖Δ‖, so that the rows by order of

    reach = (distance of |r| from κ) / ‖z‖        (‖(z, ε)‖ where κ = ε·scale moves too)

are those that a step must be longer and longer to bring to their kink. The pass keeps
the rows of least reach. Within a ball about the line, of the reach of the first row
that was not kept, sums and rows are together the loss itself, exactly; a minimum found
within it is the minimum. The ball is as large as one has room for rows.

Source: Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise", 1997, where
globs are of the absolute loss, and signs that turn out wrong are mended afterwards.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradline.data import Array, Chunk, to_float64
from gradline.state import block_rows


@dataclass(frozen=True)
class Frame:
    """The coordinates z.

    Attributes:
        center: (d,).
        root: R, (d, r).
        intercept: whether z begins with 1.
    """

    center: Array
    root: Array
    intercept: bool

    @property
    def size(self) -> int:
        """p, the length of z."""
        return int(self.root.shape[1]) + self.intercept

    def rows(self, X: Array, into: Array | None = None) -> Array:
        """z as columns, (p, rows), in the memory of `into` where that fits."""
        shape = (self.size, len(X))
        z = into if into is not None and into.shape == shape else np.empty(shape)
        if self.intercept:
            z[0] = 1.0
        away = X - self.center
        np.dot(self.root.T, away.T, out=z[int(self.intercept) :])
        return z

    def residual(self, z: Array, y: Array, u: Array) -> Array:
        """y - zᵀu, (rows,); the level goes first, for it may be large."""
        r: Array
        if not self.intercept:
            r = y - np.dot(u, z)
            return r
        r = (y - u[0]) - np.dot(u[1:], z[1:])
        return r


class Place(NamedTuple):
    """A line, and what a pass about it is to keep.

    u: (p,). kink: κ, in units of y; 0 for the absolute and the quantile loss.
    turn: ε where κ moves with the scale, else 0. keep: how many rows. guess: keep
    those of less reach from the start, as far as is known. tiny: a residual of no more
    is at the kink of 0 exactly, but for rounding.
    """

    u: Array
    kink: float
    turn: float
    keep: int
    guess: float = np.inf
    tiny: float = 0.0


class Rows(NamedTuple):
    """Rows kept: z (k, p), residual (k,), weight (k,), reach (k,)."""

    z: Array
    r: Array
    w: Array
    reach: Array


class Globs:
    """What is left of the rows seen so far, about one line.

    Attributes:
        up, down: Σ w·[z, r] of the rows above and below the kinks, (p + 1,).
        up_weight, down_weight: their Σ w.
        square: Σ w·[z, r][z, r]ᵀ of the rows between the kinks, (p + 1, p + 1).
        square_weight: their Σ w.
        tie: Σ w z zᵀ of rows at the kink of 0 for which there was no room, (p, p).
        tie_sum: their Σ w z, (p,); tie_weight: their Σ w; longest: their largest ‖z‖.
        reach: how far the line may move until a row in the sums comes to a kink.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        p = len(place.u)
        self.up, self.down = np.zeros(p + 1), np.zeros(p + 1)
        self.up_weight = self.down_weight = self.square_weight = 0.0
        self.square = np.zeros((p + 1, p + 1))
        self.tie, self.tie_sum = np.zeros((p, p)), np.zeros(p)
        self.tie_weight = self.longest = 0.0
        self.reach = place.guess
        self._kept: list[Rows] = []
        self._count = 0
        self._space: Array | None = None  # to work in, again and again

    def add(self, z: Array, r: Array, w: Array | None) -> None:
        """Take in rows, z (p, rows), r and w (rows,), which may be overwritten."""
        place = self.place
        length = np.einsum("pb,pb->b", z, z)
        if place.turn:
            length += place.turn**2
        away = np.abs(np.abs(r) - place.kink)
        # A row of length 0 is not moved at all.
        reach = np.full(len(r), np.inf)
        np.divide(away, np.sqrt(length), out=reach, where=length > 0)
        if place.tiny:
            reach[away <= place.tiny] = 0.0
        near = reach < self.reach
        if w is not None:
            near &= w > 0
        rows = np.flatnonzero(near)
        weight = np.ones(len(rows)) if w is None else w[rows]
        kept = Rows(np.ascontiguousarray(z[:, rows].T), r[rows], weight, reach[rows])
        w = np.where(near, 0.0, 1.0 if w is None else w)
        self._sum(z, r, w)
        self._keep(kept)

    def merge(self, other: Globs) -> None:
        """Take in what the other has seen about the same line."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = max(self.longest, other.longest)
        self.reach = min(self.reach, other.reach)
        self._kept += other._kept
        self._count += other._count
        self._prune(self.place.keep)

    def rows(self) -> Rows:
        """The rows kept."""
        if len(self._kept) != 1 or self._count > self.place.keep:
            self._prune(self.place.keep)
        if not self._kept:
            none = np.zeros(0)
            return Rows(np.zeros((0, len(self.place.u))), none, none, none)
        return self._kept[0]

    def with_ties(self) -> Globs:
        """The same, where the rows at the kink of 0 are between kinks ±κ."""
        if not self.tie_weight:
            return self
        other = copy(self)
        other.square = self.square.copy()
        other.square[:-1, :-1] += self.tie
        other.square_weight += self.tie_weight
        return other

    def _keep(self, rows: Rows) -> None:
        if len(rows.r):
            self._kept.append(rows)
            self._count += len(rows.r)
        if self._count > 2 * self.place.keep:
            self._prune(self.place.keep)

    def _prune(self, most: int) -> None:
        """Leave the rows of least reach; the others go into the sums."""
        if not self._kept:
            return
        rows = Rows(*(np.concatenate(parts) for parts in zip(*self._kept, strict=True)))
        if len(rows.r) > most:
            rows = _without_doubles(rows)
        stay = rows.reach < self.reach
        if int(stay.sum()) > most:
            order = np.argpartition(rows.reach, most)
            if not rows.reach[order[most]]:  # of the rows on the line, the longest
                length = np.einsum("kp,kp->k", rows.z, rows.z)
                order = np.lexsort((-length, rows.reach))
            self.reach = float(rows.reach[order[most]])
            stay = np.zeros(len(rows.r), dtype=bool)
            stay[order[:most]] = True
        ties = ~stay & (np.abs(rows.r) <= self.place.tiny)
        if ties.any():
            self._tie(rows.z[ties], rows.w[ties])
        go = ~stay & ~ties
        if go.any():
            self._sum(rows.z[go].T, rows.r[go], rows.w[go])
        self._kept = [Rows(*(part[stay] for part in rows))]
        self._count = len(self._kept[0].r)

    def _tie(self, z: Array, w: Array) -> None:
        root = z * np.sqrt(w)[:, None]
        self.tie += root.T @ root
        self.tie_sum += w @ z
        self.tie_weight += float(w.sum())
        self.longest = max(self.longest, float(np.linalg.norm(z, axis=1).max()))

    def _sum(self, z: Array, r: Array, w: Array) -> None:
        kink = self.place.kink
        sides = np.stack([w * (r > kink), w * (r <= -kink)])  # (2, rows)
        if kink == 0:
            sides[1] = w - sides[0]
        sums = np.dot(sides, z.T)  # (2, p)
        ends = np.dot(sides, r)
        total = sides.sum(1)
        self.up += np.append(sums[0], ends[0])
        self.down += np.append(sums[1], ends[1])
        self.up_weight += float(total[0])
        self.down_weight += float(total[1])
        if not kink:
            return
        inside = w - sides[0] - sides[1]
        root = np.sqrt(np.maximum(inside, 0.0))
        shape = (len(z) + 1, len(r))
        if self._space is None or self._space.shape != shape:
            self._space = np.empty(shape)
        both = self._space
        np.multiply(z, root, out=both[:-1])
        np.multiply(r, root, out=both[-1])
        self.square += np.dot(both, both.T)
        self.square_weight += float(inside.sum())


_SUMS = (
    "up",
    "down",
    "square",
    "up_weight",
    "down_weight",
    "square_weight",
    "tie",
    "tie_sum",
    "tie_weight",
)


def _without_doubles(rows: Rows) -> Rows:
    """Equal rows as one of their joint weight, where there are many such."""
    if len(np.unique(rows.r)) > len(rows.r) / 2:
        return rows
    both = np.ascontiguousarray(np.column_stack([rows.z, rows.r]))
    whole = both.view(np.dtype((np.void, both.itemsize * both.shape[1])))[:, 0]
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    weight = np.bincount(which, weights=rows.w)
    return Rows(rows.z[first], rows.r[first], to_float64(weight), rows.reach[first])


def about(frame: Frame, z: Array, y: Array, w: Array, u: Array) -> Globs:
    """Rows, all kept, about a line."""
    globs = Globs(Place(u, 0.0, 0.0, len(y)))
    globs.add(z.copy(), frame.residual(z, y, u), w)
    return globs


class Several:
    """Globs about several lines in one pass: what reading.gather fills."""

    def __init__(self, frame: Frame, places: list[Place]) -> None:
        self.frame = frame
        self.globs = [Globs(place) for place in places]

    def take(self, start: int, chunk: Chunk) -> None:
        """Take in a chunk, a block at a time while it is in the cache."""
        rows = len(chunk.y)
        step = block_rows(rows, self.frame.size + chunk.X.shape[1])
        z: Array | None = None
        for first in range(0, rows, step):
            part = slice(first, min(first + step, rows))
            z = self.frame.rows(chunk.X[part], into=z)
            w = None if chunk.weight is None else chunk.weight[part]
            for globs in self.globs:
                r = self.frame.residual(z, chunk.y[part], globs.place.u)
                globs.add(z, r, w)

    def merge(self, other: Several) -> None:
        """Take in what another has read."""
        for mine, theirs in zip(self.globs, other.globs, strict=True):
            mine.merge(theirs)


class Some:
    """An even choice of about so many rows, the same however the data are read.

    A row is kept where a hash of its place is below a share, which is halved whenever
    there are too many.

    Attributes:
        rows: how many rows there were; kept: those chosen, as chunks.
    """

    def __init__(self, most: int, expected: int | None) -> None:
        self.most = most
        self.rows = 0
        self._share = 1.0
        if expected is not None and expected > most:
            self._share = 1.2 * most / expected
        self._parts: list[tuple[Array, Chunk]] = []
        self._count = 0

    def take(self, start: int, chunk: Chunk) -> None:
        """Choose from a chunk, before which `start` rows came."""
        self.rows += len(chunk.y)
        hashed = _hashed(start, len(chunk.y))
        self._add(hashed, chunk)
        while self._count > 2 * self.most and self._share > 0:
            self._share /= 2
            self._thin()

    def merge(self, other: Some) -> None:
        """Choose from what the other has chosen."""
        self.rows += other.rows
        self._share = min(self._share, other._share)
        self._parts += other._parts
        self._thin()

    def done(self, most: int) -> Chunk:
        """The rows chosen, about so many at the most; all where all were to be kept."""
        if self.rows > most and self._share * self.rows > 1.3 * most:
            self._share = 1.2 * most / self.rows
            self._thin()
        self._parts.sort(key=lambda part: float(part[0][0]) if len(part[0]) else 0.0)
        chunks = [chunk for _, chunk in self._parts]
        weights = [c.weight for c in chunks if c.weight is not None]
        return Chunk(
            np.concatenate([c.X for c in chunks]),
            np.concatenate([c.y for c in chunks]),
            np.concatenate(weights) if weights else None,
        )

    def _thin(self) -> None:
        parts, self._parts, self._count = self._parts, [], 0
        for hashed, chunk in parts:
            self._add(hashed, chunk)

    def _add(self, hashed: Array, chunk: Chunk) -> None:
        chosen = np.flatnonzero(hashed < self._share)
        weight = None if chunk.weight is None else np.array(chunk.weight[chosen])
        part = Chunk(
            np.array(chunk.X[chosen], dtype=np.float64),
            np.array(chunk.y[chosen], dtype=np.float64),
            weight,
        )
        self._parts.append((hashed[chosen], part))
        self._count += len(chosen)


def _hashed(start: int, rows: int) -> Array:
    """A number in [0, 1) for each place, as good as random (splitmix64)."""
    place = np.arange(start, start + rows, dtype=np.uint64)
    place = (place + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    place = (place ^ (place >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    place = (place ^ (place >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    place ^= place >> np.uint64(31)
    return (place >> np.uint64(11)).astype(np.float64) * 2.0**-53
