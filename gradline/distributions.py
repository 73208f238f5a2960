"""Student's t and Fisher's F: tails and a quantile, to 1e-12 relative however far out.

Both tails are a regularised incomplete beta function,

    P(|T| > t) = I_x(df/2, 1/2)       x = df / (df + t²)
    P(F > f)   = I_x(df2/2, df1/2)    x = df2 / (df2 + df1·f)
    I_x(a, b)  = xᵃ yᵇ / B(a, b) · continued fraction        y = 1 - x

Source: Didonato & Morris, "Algorithm 708: significant digit computation of the
incomplete beta function ratios", 1992 (BRCOMP and BFRAC). x and y are both given, so
that neither is known only as one minus the other.

Equivalent: scipy.stats.t.sf, t.ppf, f.sf. Use those where SciPy is at hand: this file
is here so that a fit does not need it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from gradline.data import Array

#: Above this, log Γ comes from Stirling's series.
_LARGE = 10.0

#: Degrees of freedom from which on t is found by way of the normal distribution.
_NEARLY_NORMAL = 1e5

_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)

_EPS = float(np.finfo(np.float64).eps)


def t_two_sided(t: Array | float, df: float) -> Array:
    """P(|T| > |t|) for Student's t, of the shape of t; NaN stays NaN.

    Args:
        t: any numbers.
        df: degrees of freedom, above 0.
    """
    size = np.abs(np.asarray(t, dtype=np.float64))
    if df >= _NEARLY_NORMAL:
        return _t_by_normal(size, df)
    with np.errstate(over="ignore"):
        x, y = _shares(size * (size / df))
    return _incomplete_beta(df / 2, 0.5, x, y)


def _t_by_normal(size: Array, df: float) -> Array:
    """P(|T| > size), by the normal deviate that has the same: for many rows.

    The continued fraction needs ever more terms there, and this is right to 1e-14.

    Source: Hill, "Algorithm 395: Student's t-distribution", 1970.
    """
    a = df - 0.5
    b = 48 * a * a
    with np.errstate(over="ignore", invalid="ignore"):
        square = a * np.log1p(size * (size / df))
        top = ((-0.4 * square - 3.3) * square - 24) * square - 85.5
        rest = top / (0.8 * square * square + 100 + b) + square + 3
        deviate = np.sqrt(square) * (rest / b + 1)
    found = [math.erfc(z / math.sqrt(2)) for z in np.ravel(deviate).tolist()]
    return np.array(found).reshape(np.shape(size))


def f_above(f: Array | float, df1: float, df2: float) -> Array:
    """P(F > f) for Fisher's F with df1 and df2 degrees of freedom.

    Args:
        f: numbers of 0 or more.
        df1: of the numerator, above 0.
        df2: of the denominator, above 0.
    """
    with np.errstate(over="ignore"):
        x, y = _shares(np.asarray(f, dtype=np.float64) * (df1 / df2))
    return _incomplete_beta(df2 / 2, df1 / 2, x, y)


@lru_cache(maxsize=256)  # 3 ms, and a server is asked for the same one again and again
def t_central_quantile(level: float, df: float) -> float:
    """The t with P(|T| <= t) = level: the half width of an interval, in errors.

    Args:
        level: between 0 and 1, both excluded.
        df: degrees of freedom, above 0.
    """
    tail = level >= 0.5
    goal = math.log(1 - level) if tail else math.log(level)

    def off(u: float) -> tuple[float, float]:
        """log P - goal at t = eᵘ, and its slope in u."""
        t = math.exp(u)
        outside = float(t_two_sided(t, df))
        p = outside if tail else float(_t_inside(t, df))
        if p <= 0:
            return -math.inf, 0.0
        density = 2 * t * math.exp(_log_t_density(t, df))
        return math.log(p) - goal, (-density if tail else density) / p

    low, high = -80.0, 700.0  # in log t
    u = 0.5
    for _ in range(200):
        value, slope = off(u)
        too_far = (value < 0) == tail
        low, high = (low, u) if too_far else (u, high)
        step = value / slope if slope else math.inf
        following = u - step
        if not low <= following <= high:
            following = (low + high) / 2
        if abs(following - u) <= 2 * _EPS * max(1.0, abs(u)):
            return math.exp(following)
        u = following
    return math.exp(u)


def _t_inside(t: float, df: float) -> Array:
    x, y = _shares(np.asarray(t * (t / df)))
    return _incomplete_beta(0.5, df / 2, y, x)


def _shares(q: Array) -> tuple[Array, Array]:
    """1/(1 + q) and q/(1 + q), each to its own last digit."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return 1 / (1 + q), np.where(q > 1, 1 / (1 + 1 / q), q / (1 + q))


def _log_t_density(t: float, df: float) -> float:
    front = -_log_beta(df / 2, 0.5) - 0.5 * math.log(df)
    return front - (df + 1) / 2 * math.log1p(t * (t / df))


def _incomplete_beta(a: float, b: float, x: Array, y: Array) -> Array:
    """I_x(a, b), where y = 1 - x."""
    x, y = np.asarray(x), np.asarray(y)
    near = x * (a + b + 2) < a + 1  # where its own fraction converges fast
    result = np.array(np.where(near, 0.0, 1.0) + 0 * x)  # NaN where x is
    inner, outer = near & (x > 0), ~near & (y > 0)
    if inner.any():
        u, v = x[inner], y[inner]
        result[inner] = _front(a, b, u, v) * _fraction(a, b, u, v)
    if outer.any():
        u, v = y[outer], x[outer]
        result[outer] = 1 - _front(b, a, u, v) * _fraction(b, a, u, v)
    return result


def _front(a: float, b: float, x: Array, y: Array) -> Array:
    """xᵃ yᵇ / B(a, b)."""
    if min(a, b) < _LARGE:
        with np.errstate(divide="ignore"):  # in the branch that is not taken
            log_x = np.where(y < 0.5, np.log1p(-y), np.log(x))
            log_y = np.where(x < 0.5, np.log1p(-x), np.log(y))
        return np.asarray(np.exp(a * log_x + b * log_y - _log_beta(a, b)))
    # Both are large: the sum of logarithms would cancel, so it is taken relative to
    # the beta function's own peak at x = a/(a + b).
    distance = _distance(a, b, x, y)
    exponent = a * _excess(-distance / a) + b * _excess(distance / b)
    correction = _stirling(a + b) - _stirling(a) - _stirling(b)
    peak = math.sqrt(a / (a + b) * b / (2 * math.pi))
    return np.asarray(peak * np.exp(correction - exponent))


def _distance(a: float, b: float, x: Array, y: Array) -> Array:
    """a - (a + b)·x, from the smaller of the two sides."""
    return np.where(x < y, a - (a + b) * x, (a + b) * y - b)


def _excess(e: Array) -> Array:
    """e - log(1 + e), without cancelling where e is small."""
    # log(1 + e) = 2·artanh(r), r = e/(2 + e), so e - log(1 + e) = e·r - 2Σ r^(2k+1)/..
    r = e / (2 + e)
    square = r * r
    total = np.zeros_like(e)
    for k in range(12, 0, -1):
        total = square * (1 / (2 * k + 1) + total)
    near = r * (e - 2 * total)
    with np.errstate(divide="ignore"):
        return np.where(np.abs(e) < 0.3, near, e - np.log1p(e))


def _log_beta(a: float, b: float) -> float:
    """log B(a, b), where the smaller is below _LARGE or both are."""
    a, b = max(a, b), min(a, b)
    if a < _LARGE:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    # log Γ(a + b) - log Γ(a), two huge numbers for a huge a, as a small one.
    ratio = (a - 0.5) * math.log1p(b / a) + b * (math.log(a + b) - 1)
    ratio += _stirling(a + b) - _stirling(a)
    return math.lgamma(b) - ratio


def _stirling(a: float) -> float:
    """log Γ(a) - ((a - ½) log a - a + ½ log 2π), a >= _LARGE."""
    inverse = 1 / (a * a)
    total = 0.0
    for c in reversed(_STIRLING):
        total = c + inverse * total
    return total / a


def _fraction(a: float, b: float, x: Array, y: Array) -> Array:
    """The continued fraction of I_x(a, b), by its even part."""
    c = 1 + _distance(a, b, x, y)
    c0, c1, yp1 = b / a, 1 + 1 / a, y + 1
    n, p, s = 0, 1.0, a + 1
    an, bn = np.zeros_like(x), np.ones_like(x)
    anp1, bnp1 = np.ones_like(x), c / c1
    r = found = c1 / c
    done = np.zeros(x.shape, dtype=bool)
    while n < 100_000:
        n += 1
        t = n / a
        w = n * (b - n) * x
        e = a / s
        alpha = (p * (p + c0) * e * e) * (w * x)
        e = (1 + t) / (c1 + t + t)
        beta = n + w / s + e * (c + n * yp1)
        p = 1 + t
        s += 2
        an, anp1 = anp1, alpha * an + beta * anp1
        bn, bnp1 = bnp1, alpha * bn + beta * bnp1
        before, r = r, anp1 / bnp1
        an, bn = an / bnp1, bn / bnp1
        anp1, bnp1 = r, np.ones_like(x)
        found = np.where(done, found, r)  # later terms would only add rounding
        done |= np.abs(r - before) <= 4 * _EPS * np.abs(r)
        if done.all():
            break
    return found
