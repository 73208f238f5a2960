"""The last digits: Newton's method with residuals in twice the working precision.

A solution from float64 factors is off by rounding times the condition number, at worst
squared. Newton's step from residuals that are themselves right removes nearly all of
it, and the next step what is left. So residuals and gradients are computed as pairs of
float64 whose sum has about 32 digits; the parameters are such pairs too. It costs some
25 operations where the plain pass has two, so it is for data of modest size.

Source: Dekker, "A floating-point technique for extending the available precision",
1971; Björck, "Iterative refinement of linear least squares solutions", 1967.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gradline.data import Array, Chunk
from gradline.solvers import Spectrum
from gradline.state import EPS

#: Steps at the most; a well-posed problem needs two.
MOST_STEPS = 12

#: Rounds of `whiten` at the most, and how near to 1 the last one must have begun.
MOST_ROUNDS = 3
NEAR = 0.01

Pair = tuple[Array, Array]

_SPLIT = 134_217_729.0  # 2^27 + 1


class Held(NamedTuple):
    """All the rows of a small data set, and their weighted mean as a pair, (d,).

    Without an intercept nothing is centred, and the mean counts as 0.
    """

    chunk: Chunk
    mean: Pair
    intercept: bool = True


def hold(chunk: Chunk, intercept: bool = True) -> Held:
    """Rows in float64 with their mean in twice the precision."""
    X, w = chunk.X, chunk.weight
    near = np.average(X, axis=0, weights=w) * intercept
    rest = np.zeros_like(near)
    if intercept:
        total = len(X) if w is None else w.sum()
        spread = _add((X, np.zeros_like(X)), (-near, np.zeros_like(near)))
        for j in range(X.shape[1]):
            column = spread[0][:, j], spread[1][:, j]
            weighted = column if w is None else _times(column, w)
            rest[j] = _value(_sum(weighted))[0] / total
    return Held(chunk, (near, rest), intercept)


class Refined(NamedTuple):
    """Parameters after refinement.

    slopes (d,), intercept and level (the prediction at the mean of x) are rounded to
    float64; off (d + 1,) is how far the unrounded ones may still be from the optimum;
    loss is the mean squared residual, mae the mean absolute one.
    """

    slopes: Array
    intercept: float
    level: float
    off: Array
    loss: float
    mae: float


def refine(
    held: Held,
    spectrum: Spectrum,
    slopes: Array,
    level: float,
    natural: Array,
    penalty: float = 0.0,
) -> Refined:
    """Newton's method from `slopes` until float64 can hold no more of the answer.

    Args:
        held: the rows, in float64.
        spectrum: of the design, whose `newton_step` solves for a gradient.
        slopes: where to begin, raw, (d,).
        level: the prediction at the mean of x, to begin with.
        natural: sizes of slopes and intercept below which they count as 0, (d + 1,).
        penalty: what a ridge adds to the scatter of the sums, which `spectrum` then
            holds too.
    """
    chunk, mean, intercept = held
    X, y = chunk.X, chunk.y
    w = np.ones(len(y)) if chunk.weight is None else chunk.weight
    total = float(w.sum())
    b: Pair = (slopes.copy(), np.zeros_like(slopes))
    high, low = _dot(mean, b)
    c = _add((np.array([level]), np.zeros(1)), (-high, -low))
    scale, inverse = spectrum.scale.numpy(), spectrum.inverse().numpy()
    inverse = np.vstack([inverse, mean[0] @ inverse])  # (d + 1, d)
    reach = np.linalg.norm(inverse * scale, axis=1)
    last, share = np.inf, 0.0
    off = np.full(len(slopes) + 1, np.inf)
    for _ in range(MOST_STEPS):
        r = _residuals(X, y, b, c)
        wr = _times(r, w)
        pull = _sum(wr)  # Σ w r
        # Less its mean as pairs too: while the level is off, both parts are large.
        sums = [_sum(_times(wr, x)) for x in X.T]
        high, low = _multiply(mean, pull)
        uphill = _add(_stacked(sums), (-high, -low))
        if penalty:
            held_back = _times(b, np.full(len(b[0]), -penalty))
            uphill = _add(uphill, held_back)
        gradient = _value(uphill)
        step = spectrum.newton_step(torch.from_numpy(gradient / total)).numpy()
        rise = 0.0
        if intercept:
            shift = float((mean[0] + mean[1]) @ step)
            rise = float(_value(pull)[0]) / total - shift
        # Rounding in the gradient and the factors may hide, or make, as much of a step.
        doubt = 4 * EPS * reach * np.linalg.norm(gradient / total / scale)
        both = np.abs(np.append(step, rise)) + doubt
        own = np.maximum(np.abs(np.append(b[0], c[0])), natural)
        size = float(np.max(both / np.maximum(np.maximum(own, both), 1e-300)))
        if not size < last / 2:  # as far as these factors and pairs lead
            off = 4 * both if last < 0.01 else np.full_like(both, np.inf)
            break
        b, c = (
            _add(b, (step, np.zeros_like(step))),
            _add(c, (np.array([rise]), 0 * c[0])),
        )
        # A step leaves about the share of the error that the worst one before it left.
        share = max(share, size / last)
        off, last = both * (1.0 if last == np.inf else max(4 * share, EPS)), size
        if size < EPS / 16:
            break
    r = _residuals(X, y, b, c)
    root = spectrum.root().numpy()
    root = np.vstack([root, mean[0] @ root])
    off += _blur(chunk, w, root, inverse, np.append(b[0], c[0]), _value(r))
    off[-1] *= intercept
    at_mean = _value(_add(c, _dot(mean, b)))
    return Refined(
        b[0] + b[1],
        float(_value(c)[0]),
        float(at_mean[0]),
        off,
        float(w @ _value(r) ** 2) / total,
        float(w @ np.abs(_value(r))) / total,
    )


def _blur(
    chunk: Chunk, w: Array, root: Array, inverse: Array, at: Array, residual: Array
) -> Array:
    """How far off slopes and intercept may be by the rounding of pairs, (d + 1,).

    Residuals are off by their parts times eps², gradients by theirs; the inverse of the
    scatter and its root, with a row for the mean each, say what that does to slopes and
    intercept, which are `at`.
    """
    X, total = np.abs(chunk.X), float(w.sum())
    parts = np.abs(chunk.y) + X @ np.abs(at[:-1]) + abs(at[-1])  # (n,)
    loose = (len(at) + 4) * EPS**2 * np.sqrt(float(w @ parts**2) / total)
    pulled = (w * np.abs(residual)) @ X / total  # (d,)
    pulled *= (np.log2(len(parts)) + 4) * EPS**2
    off = np.linalg.norm(root, axis=1) * loose + np.abs(inverse) @ pulled
    off[-1] += loose
    return np.asarray(off)


def whiten(held: Held, weight: float, root: Array) -> tuple[Array, Array] | None:
    """The root of the inverse scatter, right to the last digits.

    From R with RRᵀ about the inverse of C = Xcᵀ diag(w) Xc / W, the rows of

        U = Xc R    in pairs, for there it cancels    (n, d)

    have a scatter S = UᵀU/W = LLᵀ near 1, so that R L⁻ᵀ is a root to the last digits,
    whatever R was.

    Args:
        held: the rows, in float64.
        weight: W, the sum of the weights.
        root: R, (d, d).

    Returns:
        The better R (d, d), and meanᵀR (d,), which would cancel if made from it; None
        where R is too far off to be bettered.

    Source: Fukaya et al., "CholeskyQR2", 2014, whose second round this is.
    """
    chunk, mean, intercept = held
    spread = (chunk.X, np.zeros_like(chunk.X))
    centred = _add(spread, (-mean[0], -mean[1]))
    w = np.ones(len(chunk.y)) if chunk.weight is None else chunk.weight
    across = np.zeros(root.shape[1])
    for _ in range(MOST_ROUNDS):
        U = _value(_by(centred, root))
        shift = w @ U / weight * intercept  # what the mean itself is off by
        across = _value(_by((mean[0][None], mean[1][None]), root))[0] + shift
        U -= shift
        S = U.T @ (U * w[:, None]) / weight
        if not np.isfinite(S).all():
            return None
        try:
            L = np.linalg.cholesky(S)
        except np.linalg.LinAlgError:
            return None
        better = np.linalg.solve(L, np.vstack([root, across]).T).T
        root, across = better[:-1], better[-1]
        if np.abs(S - np.eye(len(S))).max() < NEAR:
            return root, across
    return None


def _residuals(X: Array, y: Array, b: Pair, c: Pair) -> Pair:
    """y - X b - c, (n,), as a pair."""
    r = _add((y, np.zeros_like(y)), (-c[0], -c[1]))
    for x, high, low in zip(X.T, *b, strict=True):
        product, error = _product(x, -high)
        r = _add(r, (product, error - x * low))
    return r


def _dot(a: Pair, b: Pair) -> Pair:
    return _sum(_multiply(a, b))


def _multiply(a: Pair, b: Pair) -> Pair:
    """a·b, elementwise."""
    product, error = _product(a[0], b[0])
    return product, error + (a[0] * b[1] + a[1] * b[0])


def _by(a: Pair, right: Array) -> Pair:
    """The matrix a (n, d) times right (d, m), as a pair."""
    total = (np.zeros((len(a[0]), right.shape[1])),) * 2
    for j, row in enumerate(right):
        product, error = _product(a[0][:, j, None], row)
        total = _add(total, (product, error + a[1][:, j, None] * row))
    return total


def _stacked(sums: list[Pair]) -> Pair:
    """Pairs of one number each as one pair, (d,)."""
    return np.concatenate([s[0] for s in sums]), np.concatenate([s[1] for s in sums])


def _value(pair: Pair) -> Array:
    return pair[0] + pair[1]


def _add(a: Pair, b: Pair) -> Pair:
    """a + b, elementwise."""
    s = a[0] + b[0]
    back = s - a[0]
    error = (a[0] - (s - back)) + (b[0] - back) + (a[1] + b[1])
    high = s + error
    return high, error - (high - s)


def _product(a: Array, b: Array) -> Pair:
    """a·b exactly, elementwise."""
    p = a * b
    t = _SPLIT * a
    a1 = t - (t - a)
    a2 = a - a1
    u = _SPLIT * b
    b1 = u - (u - b)
    b2 = b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _times(a: Pair, x: Array) -> Pair:
    product, error = _product(a[0], x)
    return product, error + a[1] * x


def _sum(a: Pair) -> Pair:
    """The sum of all elements, (1,), by halves."""
    while len(a[0]) > 1:
        if len(a[0]) % 2:
            a = (np.append(a[0], 0.0), np.append(a[1], 0.0))
        half = len(a[0]) // 2
        a = _add((a[0][:half], a[1][:half]), (a[0][half:], a[1][half:]))
    return a
