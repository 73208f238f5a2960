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
MOST_STEPS = 8

Pair = tuple[Array, Array]

_SPLIT = 134_217_729.0  # 2^27 + 1


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
    chunk: Chunk,
    spectrum: Spectrum,
    mean: Pair,
    slopes: Array,
    level: float,
    natural: Array,
) -> Refined:
    """Newton's method from `slopes` until float64 can hold no more of the answer.

    Args:
        chunk: all rows: X (n, d), y (n,), weights (n,) or None.
        spectrum: of the design, whose `newton_step` solves for a gradient.
        mean: the weighted mean of x, (d,), as a pair.
        slopes: where to begin, raw, (d,).
        level: the prediction at the mean of x, to begin with.
        natural: sizes of slopes and intercept below which they count as 0, (d + 1,).
    """
    X, y = chunk.X, chunk.y
    w = np.ones(len(y)) if chunk.weight is None else chunk.weight
    total = float(w.sum())
    b: Pair = (slopes.copy(), np.zeros_like(slopes))
    high, low = _dot(mean, b)
    c = _add((np.array([level]), np.zeros(1)), (-high, -low))
    last = np.inf
    off = np.full(len(slopes) + 1, np.inf)
    for _ in range(MOST_STEPS):
        r = _residuals(X, y, b, c)
        wr = _times(r, w)
        pull = _sum(wr)  # Σ w r
        gradient = np.array([_value(_sum(_times(wr, x)))[0] for x in X.T])
        gradient -= (mean[0] + mean[1]) * _value(pull)
        step = spectrum.newton_step(torch.from_numpy(gradient / total)).numpy()
        rise = float(_value(pull)[0]) / total - float((mean[0] + mean[1]) @ step)
        both = np.abs(np.append(step, rise))
        held = np.maximum(np.abs(np.append(b[0], c[0])), natural)
        size = float(np.max(both / np.maximum(np.maximum(held, both), 1e-300)))
        if not size < last / 2:
            break  # as far as these factors lead
        b, c = (
            _add(b, (step, np.zeros_like(step))),
            _add(c, (np.array([rise]), 0 * c[0])),
        )
        # Each step leaves about the same share of the error as the one before it did.
        share = 1.0 if last == np.inf else min(1.0, size / last)
        off, last = both * max(share, EPS), size
        if size < EPS / 16:
            break
    r = _residuals(X, y, b, c)
    at_mean = _value(_add(c, _dot(mean, b)))
    return Refined(
        b[0] + b[1],
        float(_value(c)[0]),
        float(at_mean[0]),
        off,
        float(w @ _value(r) ** 2) / total,
        float(w @ np.abs(_value(r))) / total,
    )


def _residuals(X: Array, y: Array, b: Pair, c: Pair) -> Pair:
    """y - X b - c, (n,), as a pair."""
    r = _add((y, np.zeros_like(y)), (-c[0], -c[1]))
    for x, high, low in zip(X.T, *b, strict=True):
        product, error = _product(x, -high)
        r = _add(r, (product, error - x * low))
    return r


def _dot(a: Pair, b: Pair) -> Pair:
    product, error = _product(a[0], b[0])
    return _sum((product, error + (a[0] * b[1] + a[1] * b[0])))


def _value(pair: Pair) -> Array:
    return pair[0] + pair[1]


def _add(a: Pair, b: Pair) -> Pair:
    """a + b, elementwise."""
    s = a[0] + b[0]
    back = s - a[0]
    error = (a[0] - (s - back)) + (b[0] - back) + (a[1] + b[1])
    high = s + error
    return high, error - (high - s)


def _product(a: Array, b: Array | float) -> Pair:
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
