"""Designs that leave some directions open: the answer of least norm, columns named.

Held against numpy's pinv and lstsq on centred rows, and against rationals. Columns are
whole numbers, so that what depends in float64 depends in float32 and bfloat16 too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import gradline as gl
from test_certificate import natural_sizes, true_digits


def numbers(seed: int, n: int = 20, d: int = 3) -> np.ndarray:
    whole = np.random.default_rng(seed).integers(-8, 9, size=(n, d))
    return np.asarray(whole, dtype=np.float64)


A, B, C = numbers(1).T
ONE = np.ones(20)

#: From three independent columns of 20 whole numbers each; how many directions are
#: determined, and which columns are named.
DESIGNS: dict[str, tuple[list[np.ndarray], int, str]] = {
    "duplicated": ([A, B, A], 2, "x1 x3"),
    "duplicated three times": ([A, A, B, A], 2, "x1 x2 x4"),
    "two duplicated": ([A, B, C, B, A], 3, "x1 x2 x4 x5"),
    "constant": ([A, 7 * ONE, B], 2, "x2"),
    "zero": ([0 * ONE, A], 1, "x1"),
    "two constants": ([3 * ONE, A, -ONE], 1, "x1 x3"),
    "nothing but constants": ([0 * ONE, 5 * ONE], 0, "x1 x2"),
    "scaled": ([A, B, 2 * A, C], 3, "x1 x3"),
    "scaled by -3": ([-3 * A, B, A], 2, "x1 x3"),
    "scaled by 2^20": ([A, B, 2.0**20 * A], 2, "x1 x3"),
    "scaled by 2^-20": ([2.0**-20 * A, B, A], 2, "x1 x3"),
    "shifted": ([A, B, A + 5], 2, "x1 x3"),
    "a sum": ([A, B, A + B, C], 3, "x1 x2 x3"),
    "two sums": ([A, B, C, A + B, B - C], 3, "x1 x2 x3 x4 x5"),
    "indicators of every level": (
        [*(1.0 * (np.arange(20) % 3 == k) for k in range(3)), A],
        3,
        "x1 x2 x3",
    ),
    "a sum, a double and a constant": (
        [A, A + B, B, C, C, 2 * ONE],
        3,
        "x1 x2 x3 x4 x5 x6",
    ),
}

#: Rows and columns of random numbers.
WIDE = [(2, 3), (4, 7), (6, 6), (5, 40), (20, 400), (2, 1000)]


def given(values: np.ndarray, kind: str) -> tuple[Any, np.ndarray]:
    """Data of that kind, and what they hold in float64."""
    if kind == "float64":
        return values, values
    if kind == "float32":
        narrow = values.astype(np.float32)
        return narrow, narrow.astype(np.float64)
    tensor = torch.from_numpy(values).to(getattr(torch, kind.removeprefix("torch.")))
    return tensor, tensor.double().numpy()


def least_norm(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """Slopes by numpy, in two ways."""
    root, share = np.sqrt(w)[:, None], w / w.sum()
    A, v = root * (X - share @ X), root[:, 0] * (y - share @ y)
    # Units are taken up by the columns, and so do not count in what is small.
    return [np.linalg.pinv(A, rcond=1e-11) @ v, np.linalg.lstsq(A, v, rcond=1e-11)[0]]


def exact_least_norm(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> list[Fraction]:
    """Intercept and slopes of least norm in rationals."""
    d, weights = X.shape[1], list(map(Fraction, w.tolist()))
    columns = [list(map(Fraction, x)) for x in [*X.T.tolist(), y.tolist()]]
    means = [mean_of(x, weights) for x in columns]
    centred = [[v - m for v in x] for x, m in zip(columns, means, strict=True)]
    rows = [
        [
            sum(
                (u * p * q for u, p, q in zip(weights, x, z, strict=True)),
                start=Fraction(),
            )
            for z in centred
        ]
        for x in centred[:d]
    ]
    pivots = eliminate(rows, d)
    b = [Fraction(0)] * d
    for row, c in enumerate(pivots):
        b[c] = rows[row][d]
    null = []
    for free in (c for c in range(d) if c not in pivots):
        direction = [Fraction(int(c == free)) for c in range(d)]
        for row, c in enumerate(pivots):
            direction[c] = -rows[row][free]
        null.append(direction)
    grams = [[dot(p, q) for q in [*null, b]] for p in null]
    eliminate(grams, len(null))
    for row, direction in zip(grams, null, strict=True):
        b = [v - row[-1] * z for v, z in zip(b, direction, strict=True)]
    return [means[d] - dot(means[:d], b), *b]


def mean_of(values: list[Fraction], weights: list[Fraction]) -> Fraction:
    return dot(values, weights) / sum(weights)


def dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=True)), start=Fraction())


def eliminate(rows: list[list[Fraction]], d: int) -> list[int]:
    """Gauss and Jordan, in place; returns the pivots' columns."""
    pivots: list[int] = []
    for c in range(d):
        done = len(pivots)
        pivot = next((r for r in range(done, len(rows)) if rows[r][c]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        rows[done] = [v / rows[done][c] for v in rows[done]]
        for r, row in enumerate(rows):
            if r != done and row[c]:
                rows[r] = [p - row[c] * q for p, q in zip(row, rows[done], strict=True)]
        pivots.append(c)
    return pivots


KINDS = ["float64", "float32", "torch.float32", "torch.bfloat16"]


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DESIGNS)
def test_the_answer_of_least_norm_with_columns_named(
    name: str, kind: str, weighted: bool
) -> None:
    columns, rank, named = DESIGNS[name]
    data, X = given(np.column_stack(columns), kind)
    target, y = given(numbers(2, d=1)[:, 0], kind)
    w = np.random.default_rng(3).uniform(0.1, 3, 20) if weighted else np.ones(20)
    fit = gl.fit(data, target, weights=w if weighted else None)
    certificate = fit.certificate
    assert certificate.status == "rank_deficient"
    assert (certificate.rank, certificate.columns) == (rank + 1, X.shape[1] + 1)
    assert certificate.dependent == tuple(named.split())
    assert all(repr(term) in certificate.advice for term in named.split()[:3])
    for want in least_norm(X, y, w):
        # What numpy makes of columns in other units is right to fewer digits.
        atol = 1e-9 * np.abs(want).max() if "2^" in name else 1e-13
        np.testing.assert_allclose(fit.slopes, want, rtol=1e-10, atol=atol)
    share = w / w.sum()
    assert fit.intercept == pytest.approx(
        share @ y - share @ X @ fit.slopes, rel=1e-12, abs=1e-13
    )
    truth = exact_least_norm(X, y, w)
    natural = natural_sizes(X, y, w, truth)
    found = [fit.intercept, *fit.slopes]
    true = true_digits(found, truth, natural)
    assert certificate.digits <= true + 1e-9
    assert true > (4 if "2^" in name else 12)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d"), WIDE)
def test_fewer_rows_than_coefficients(
    n: int, d: int, kind: str, weighted: bool
) -> None:
    random = np.random.default_rng(n)
    data, X = given(random.normal(size=(n, d)), kind)
    target, y = given(random.normal(size=n), kind)
    w = random.uniform(0.1, 3, n) if weighted else np.ones(n)
    fit = gl.fit(data, target, weights=w if weighted else None)
    certificate = fit.certificate
    assert certificate.status == "rank_deficient"
    assert (certificate.rank, certificate.columns) == (n, d + 1)
    assert len(certificate.dependent) == d
    assert f"{n:,} rows cannot determine {d + 1:,} coefficients" in certificate.advice
    for want in least_norm(X, y, w):
        np.testing.assert_allclose(fit.slopes, want, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(fit.predict(data), y, rtol=1e-10, atol=1e-12)
    if d < 10:
        truth = exact_least_norm(X, y, w)
        natural = natural_sizes(X, y, w, truth)
        true = true_digits([fit.intercept, *fit.slopes], truth, natural)
        assert certificate.digits <= true + 1e-9


def test_a_column_that_only_rows_of_no_weight_change_is_constant() -> None:
    X = numbers(1)
    X[:, 1] = 4.0
    X[:5, 1] = [1.0, 2.0, 3.0, 5.0, 6.0]
    w = np.where(np.arange(20) < 5, 0.0, 1.0)
    fit = gl.fit(X, numbers(2, d=1)[:, 0], weights=w)
    assert fit.certificate.dependent == ("x2",)
    assert fit.coefficients["x2"] == 0
    once = gl.fit(X[5:], numbers(2, d=1)[5:, 0])
    np.testing.assert_allclose(fit.slopes, once.slopes, rtol=1e-13)


def test_a_constant_column_beside_other_dependent_ones_gets_no_slope() -> None:
    """The first row of a basis that should have been 0 was 1e-16."""
    X = np.array([[8192.0, 8196.5, 8191.75, 8192.125], [8192.0, 8186.5, 8192, 8194.25]])
    for order in ([0, 1, 2, 3], [1, 0, 2, 3], [1, 2, 3, 0]):
        fit = gl.fit(X[:, order], [2060.5, 2063.5], weights=[1.8, 0.2])
        assert fit.slopes[order.index(0)] == 0


@pytest.mark.parametrize("factor", [0.1, 1 / 3, 1e-5, 7e11])
def test_multiples_that_are_rounded_depend_all_the_same(factor: float) -> None:
    a, b, _ = np.random.default_rng(0).normal(size=(3, 50))
    fit = gl.fit(np.column_stack([a, b, factor * a]), a + b)
    assert fit.certificate.dependent == ("x1", "x3")
    # Of all b1 + factor b3 = 1, the least.
    least = np.array([1.0, factor]) / (1 + factor**2)
    # A slope of x1 is of size 1 here: 2e-24 beside it is rounding.
    np.testing.assert_allclose(fit.slopes[[0, 2]], least, rtol=1e-10, atol=1e-15)
    assert fit.coefficients["x2"] == pytest.approx(1, rel=1e-13)
