"""A root of the scatter of the rows: nothing is squared, and any rows can be added.

With rows (x_i, y_i) of weight w_i, W = Σ w and mean the weighted mean of both, the root
is any pair of matrices x (m, d) and y (m, k), of m rows, such that

    xᵀx = Σ w (x_i - mean)(x_i - mean)ᵀ      xᵀy = Σ w (x_i - mean)(y_i - mean)ᵀ

and so on for yᵀy. The centred rows themselves, times √w, are one; so is the triangle R
of their QR decomposition, which has d + k rows however many they were. Two roots are
merged by stacking them and what lies between their means,

    √(W₁W₂/W) · (mean₂ - mean₁)

and taking the R of that. Every slope that least squares gives comes from the root with
the digits of the rows, where the sums of state.py would have squared the condition. So
it is for what cannot be read again (`partial_fit`), for columns that nearly depend on
one another, and for fewer rows than columns, where it is smaller than those sums.
"""

from __future__ import annotations

import numpy as np
import torch

from gradline.checks import whole
from gradline.data import Array, Chunk
from gradline.errors import ShapeError
from gradline.solvers import Solution
from gradline.state import SMALL, Moments

#: Rows of a block, as a multiple of the columns: with fewer, QR does its work twice.
BLOCK_FACTOR = 8
BLOCK_LEAST = 2048

#: More rows than so many times the columns, and the root is made a triangle.
MOST = 2


class Root:
    """The root of the rows seen so far, in the terms above.

    Args:
        features: d.
        targets: k.
        intercept: False for lines through the origin: nothing is centred.

    Attributes:
        rows: how many rows.
        counted: how many of them have a weight above 0.
        weight: W.
        x: (m, d).
        y: (m, k).

    Source: Demmel, Grigori, Hoemmen & Langou, "Communication-optimal parallel and
    sequential QR and LU factorizations", 2012; Ross et al., "Incremental learning for
    robust visual tracking", 2008, for the means. The nearest elsewhere:
    sklearn.decomposition.IncrementalPCA.
    """

    def __init__(self, features: int, targets: int = 1, intercept: bool = True) -> None:
        d, k = whole("features", features, 1), whole("targets", targets, 1)
        self.intercept = bool(intercept)
        self.rows = 0
        self.counted = 0
        self.weight = 0.0
        # The mean as a float64 near it and the rest: differences of large ones are
        # exact.
        self._near = np.zeros(d + k)
        self._rest = np.zeros(d + k)
        self.x = np.zeros((0, d))
        self.y = np.zeros((0, k))

    @property
    def features(self) -> int:
        """d."""
        return self.x.shape[1]

    @property
    def targets(self) -> int:
        """k."""
        return self.y.shape[1]

    @property
    def mean(self) -> Array:
        """The weighted mean of x, (d,); 0 without an intercept."""
        found: Array = (self._near + self._rest)[: self.features]
        return found

    @property
    def level(self) -> Array:
        """The weighted mean of y, (k,); 0 without an intercept."""
        found: Array = (self._near + self._rest)[self.features :]
        return found

    def add(self, chunk: Chunk, overwrite: bool = False) -> Root:
        """Take in more rows; return self.

        Args:
            chunk: real and finite: X (b, d), y (b, k), weights (b,) or None.
            overwrite: whether X, float64, may be centred where it lies, and kept.
        """
        X, Y, w = chunk
        if X.shape[1] != self.features or Y.ndim != 2 or Y.shape[1] != self.targets:
            raise ShapeError(
                f"rows of {X.shape[1]} features and {Y.shape[-1]} targets do not go "
                f"with a root of {self.features} and {self.targets}: give the same"
            )
        given = len(X)
        if w is not None and not (w > 0).all():
            X, Y, w, overwrite = X[w > 0], Y[w > 0], w[w > 0], False
        other = Root(self.features, self.targets, self.intercept)
        other._take(X, Y, w, overwrite)
        other.rows = given
        return self.merge(other)

    def merge(self, other: Root) -> Root:
        """Take in another root's rows; return self."""
        if (other.features, other.targets, other.intercept) != (
            self.features,
            self.targets,
            self.intercept,
        ):
            raise ShapeError("two roots of other shapes or intercepts do not merge")
        rows = self.rows + other.rows
        if other.weight == 0:
            self.rows = rows
            return self
        if self.weight == 0:
            self.__dict__.update(other.__dict__)
            self.rows = rows
            return self
        W = self.weight + other.weight
        between = np.zeros((0, self.features + self.targets))
        if self.intercept:
            step = (other._near - self._near) + (other._rest - self._rest)
            share = other.weight / W
            between = ((self.weight * share) ** 0.5 * step)[None]
            near = self._near + step * share
            # What float64 did not put into the new mean is kept beside it.
            self._rest = self._rest + ((self._near - near) + step * share)
            self._near = near
        d = self.features
        self.x = np.concatenate([self.x, other.x, between[:, :d]])
        self.y = np.concatenate([self.y, other.y, between[:, d:]])
        self.rows, self.weight = rows, W
        self.counted += other.counted
        if len(self.x) > MOST * (self.features + self.targets):
            self.reduce()
        return self

    def reduce(self) -> Root:
        """Make the root a triangle where it has more rows than columns; return self."""
        if len(self.x) > self.features + self.targets:
            self._set(triangle(np.concatenate([self.x, self.y], axis=1)))
        return self

    def _set(self, both: Array) -> None:
        """Keep rows of [x y]."""
        self.x, self.y = both[:, : self.features], both[:, self.features :]

    def _take(self, X: Array, Y: Array, w: Array | None, overwrite: bool) -> None:
        """Begin with these rows, all of a weight above 0."""
        rows, d = X.shape
        c = d + Y.shape[1]
        self.counted = rows
        self.weight = float(rows) if w is None else float(w.sum())
        if not rows:
            return
        step = max(BLOCK_LEAST, BLOCK_FACTOR * c)
        if rows <= max(step, c):
            self._whole(X, Y, w, overwrite)
            return
        if self.intercept:
            self._near = np.concatenate([_average(X, w), _average(Y, w)])
            left = np.zeros(c)
            for start in range(0, rows, step):
                some = slice(start, start + step)
                z = self._block(X, Y, w, some, root=False)
                left += z.sum(axis=0) if w is None else w[some] @ z
            self._rest = left / self.weight
        found = np.zeros((0, c))
        for start in range(0, rows, step):
            z = self._block(X, Y, w, slice(start, start + step), root=True)
            found = triangle(np.concatenate([found, z]))
        self._set(found)

    def _whole(self, X: Array, Y: Array, w: Array | None, overwrite: bool) -> None:
        """Rows that are few enough to be held at once."""
        if overwrite and X.dtype == np.float64 and X.flags.writeable:
            x = X
        else:
            x = np.array(X, dtype=np.float64)
        y = np.array(Y, dtype=np.float64)
        if self.intercept:
            # Twice: the first mean is rounded, the mean of what is left is not.
            share = None if w is None else w / self.weight
            means = []
            for _ in range(2):
                m = [(z.mean(0) if share is None else share @ z) for z in (x, y)]
                x -= m[0]
                y -= m[1]
                means.append(np.concatenate(m))
            self._near, self._rest = means
        if w is not None:
            root = np.sqrt(w)[:, None]
            x *= root
            y *= root
        self.x, self.y = x, y
        if len(x) > MOST * (self.features + self.targets):
            self.reduce()

    def _block(
        self, X: Array, Y: Array, w: Array | None, some: slice, root: bool
    ) -> Array:
        """Rows of [X Y] less the mean so far, times √w where asked, (b, c)."""
        d = X.shape[1]
        z = np.empty((len(X[some]), d + Y.shape[1]))
        np.subtract(X[some], self._near[:d], out=z[:, :d])
        np.subtract(Y[some], self._near[d:], out=z[:, d:])
        z -= self._rest
        if root and w is not None:
            z *= np.sqrt(w[some])[:, None]
        return z


def root_of(moments: Moments, upper: Array, solution: Solution) -> Root:
    """The root that a state and its solution stand for.

    Its y is what gives the solution back, and the residuals' squares: residuals of two
    targets are not held to each other.

    Args:
        moments: the state.
        upper: a root of its scatter over W, (r, d).
        solution: of the state.
    """
    r = len(upper)
    d, k = moments.features, moments.targets
    found = Root(d, k, moments.intercept)
    found.rows, found.counted = moments.rows, moments.counted
    found.weight = moments.weight
    if moments.intercept:
        near = np.concatenate([moments.shift, moments.level])
        rest = np.concatenate([moments.delta, moments.rise])
        found._near, found._rest = near, rest
    x = np.zeros((r + k, d))
    x[:r] = upper * moments.weight**0.5
    y = np.zeros((r + k, k))
    y[:r] = x[:r] @ solution.slopes
    y[r:] = np.diag(np.sqrt(moments.weight * solution.loss))
    found.x, found.y = x, y
    return found


def triangle(rows: Array) -> Array:
    """The R of a QR decomposition, (min(n, c), c)."""
    if rows.shape[1] <= SMALL // 4:
        return np.asarray(np.linalg.qr(rows, mode="r"), dtype=np.float64)
    R: Array = torch.linalg.qr(torch.from_numpy(rows), mode="r").R.numpy()
    return R


def _average(values: Array, w: Array | None) -> Array:
    """The weighted mean of the rows, (c,), in float64."""
    if w is None:
        mean: Array = values.mean(axis=0, dtype=np.float64)
    else:
        mean = w @ values / w.sum()
    return mean
