"""Orthonormal polynomials of a column, from one pass over it in any pieces.

Over the rows x_1 ... x_n, the polynomials q_0, q_1 ... q_N of degree 0 to N have
Σ_i q_j(x_i) q_k(x_i) = 1 for j = k and 0 else: those of R's poly(x, N). They follow

    β_k q_{k+1}(t) = (t - α_k) q_k(t) - β_{k-1} q_{k-1}(t),   q_0 = 1/√n,

with t = (x - middle)/half from -1 to 1. A pass keeps the range of x and the triangle R
of the QR decomposition of V, whose columns are the Chebyshev polynomials T_0(t) ...
T_N(t), well apart from one another on [-1, 1]: V = QR, and Q's columns are the q_k.
As t T_k = (T_{k-1} + T_{k+1})/2, which makes a matrix S of t V_{0..N-1} = V S,
β_k = R_{k+1,k+1} S_{k+1,k} / R_{k,k} and α_k = (R S R⁻¹)_{k,k}. Where the range grows,
T_k(t) of the new t is a mix M of those of the old one, R becomes the triangle of R M,
and |T_k(t)| ≤ 1 on the old range keeps M small. Triangles merge by QR of both.

Degree 1 has the mean, middle + half·α_0, and the standard deviation, half·β_0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradline.data import Array

#: Relative to its column, a diagonal of R below this is rounding.
ROUNDING = 1e-12

#: Rows in a block of a QR decomposition: it stays in the cache.
BLOCK = 1024


@dataclass(frozen=True)
class Polynomials:
    """What was learned of some numbers: their orthonormal polynomials.

    Attributes:
        rows: how many they were.
        middle: of their range.
        half: of its width.
        alpha: (N,), see the top of the file.
        beta: (N,).
    """

    rows: int
    middle: float
    half: float
    alpha: tuple[float, ...]
    beta: tuple[float, ...]

    @property
    def deviation(self) -> float:
        """The standard deviation in units of `half`, as if of a sample (n - 1)."""
        return self.beta[0] * math.sqrt(self.rows / max(1, self.rows - 1))

    def values(self, x: Array) -> Array:
        """q_1(x) to q_N(x), (n, N), for x (n,)."""
        t = (x - self.middle) / self.half
        out = np.empty((len(x), len(self.alpha)), order="F")
        before: Array | float = 0.0
        now: Array = np.full(len(x), 1 / math.sqrt(self.rows))
        shrunk = 0.0  # β of the step before
        for k, (alpha, beta) in enumerate(zip(self.alpha, self.beta, strict=True)):
            out[:, k] = ((t - alpha) * now - shrunk * before) / beta
            before, now, shrunk = now, out[:, k], beta
        return out

    def centred(self, x: Array) -> Array:
        """x minus the mean, (n,)."""
        return (x - self.middle) - self.half * self.alpha[0]

    def scaled(self, x: Array) -> Array:
        """x minus the mean, by the standard deviation, (n,)."""
        t: Array = (x - self.middle) / self.half
        return (t - self.alpha[0]) / self.deviation


class Learner:
    """The state of a pass over numbers: their range, and R; see the top of the file.

    Args:
        degree: N, 1 or more.
    """

    def __init__(self, degree: int) -> None:
        self.rows = 0
        self._low, self._high = math.inf, -math.inf
        self._R: Array = np.zeros((degree + 1, degree + 1))

    def add(self, x: Array) -> None:
        """Take in finite numbers, (n,)."""
        if not len(x):
            return
        self._reach(float(x.min()), float(x.max()))
        parts = [self._R]
        for start in range(0, len(x), 8 * BLOCK):
            t = (x[start : start + 8 * BLOCK] - self._middle) / self._half
            parts += _triangles(_chebyshev(t, len(self._R) - 1))
        self._R = _triangle(np.vstack(parts))
        self.rows += len(x)

    def merge(self, other: Learner) -> None:
        """Take in what another has."""
        if not other.rows:
            return
        low, high = min(self._low, other._low), max(self._high, other._high)
        own, theirs = self._reached(low, high), other._reached(low, high)
        self._R = _triangle(np.vstack([own, theirs]))
        self._low, self._high = low, high
        self.rows += other.rows

    def value(self) -> Polynomials:
        """What was learned; β is 0 from the first degree on that x has no room for."""
        R, degree = self._R, len(self._R) - 1
        size = np.sqrt(np.square(R).sum(axis=0))
        alpha, beta = np.zeros(degree), np.zeros(degree)
        inverse = np.zeros_like(R)
        for k in range(degree):
            # Column k of R S R⁻¹ needs that of R⁻¹, by substitution, up to row k.
            inverse[k, k] = 1 / R[k, k]
            for i in range(k - 1, -1, -1):
                inverse[i, k] = (
                    -(R[i, i + 1 : k + 1] @ inverse[i + 1 : k + 1, k]) / R[i, i]
                )
            step = _times_t(inverse[: k + 1, k])
            alpha[k] = R[k, k : k + 2] @ step[k : k + 2]
            if R[k + 1, k + 1] <= ROUNDING * size[k + 1]:
                break
            beta[k] = R[k + 1, k + 1] * step[k + 1]
        return Polynomials(
            self.rows,
            self._middle,
            self._half,
            tuple(alpha.tolist()),
            tuple(beta.tolist()),
        )

    @property
    def _middle(self) -> float:
        return _middle(self._low, self._high)

    @property
    def _half(self) -> float:
        return _half(self._low, self._high)

    def _reach(self, low: float, high: float) -> None:
        low, high = min(self._low, low), max(self._high, high)
        self._R = self._reached(low, high)
        self._low, self._high = low, high

    def _reached(self, low: float, high: float) -> Array:
        """R for a range that is as wide or wider."""
        if not self.rows or (low, high) == (self._low, self._high):
            return self._R
        half = _half(low, high)
        stretch = self._half / half if self._high > self._low else 0.0
        shift = (self._middle - _middle(low, high)) / half
        # The column k of M: T_k(stretch·t + shift) in Chebyshev polynomials of t.
        M = np.zeros_like(self._R)
        M[0, 0] = 1.0
        for k in range(1, len(M)):
            moved = stretch * _times_t(M[:, k - 1])[:-1] + shift * M[:, k - 1]
            M[:, k] = moved if k == 1 else 2 * moved - M[:, k - 2]
        return _triangle(self._R @ M)


def _middle(low: float, high: float) -> float:
    return low / 2 + high / 2


def _half(low: float, high: float) -> float:
    """Half the width of a range; 1 where it has none."""
    return high / 2 - low / 2 or 1.0


def _times_t(c: Array) -> Array:
    """t·Σ c_k T_k(t), one degree higher: (d + 1,) for c (d,)."""
    out = np.zeros(len(c) + 1)
    out[1] = c[0]
    out[2:] += c[1:] / 2
    out[: len(c) - 1] += c[1:] / 2
    return out


def _chebyshev(t: Array, degree: int) -> Array:
    """T_0(t) to T_degree(t), (n, degree + 1), for t (n,)."""
    T = np.empty((degree + 1, len(t)))
    T[0] = 1.0
    T[1] = t
    for k in range(2, degree + 1):
        np.multiply(2 * t, T[k - 1], out=T[k])
        T[k] -= T[k - 2]
    return T.T


def _triangles(V: Array) -> list[Array]:
    """Triangles of the blocks of V, and the rows that are left."""
    rows, width = V.shape
    whole = rows // BLOCK * BLOCK
    blocks = V[:whole].reshape(-1, BLOCK, width)  # no copy: columns lie in one piece
    if not whole:
        return [V]
    return [*np.asarray(np.linalg.qr(blocks, mode="r")), V[whole:]]


def _triangle(A: Array) -> Array:
    """R of the QR decomposition, its diagonal not negative."""
    R = np.asarray(np.linalg.qr(A, mode="r"))
    return R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None]
