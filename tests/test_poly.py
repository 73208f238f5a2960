"""Orthonormal polynomials in one pass: tables, exact fractions, and formulaic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

from gradline.poly import Learner, Polynomials
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]

random = np.random.default_rng(0)
DATA = {
    "normal": random.normal(size=300),
    "skewed": np.exp(2 * random.normal(size=300)),
    "ties": random.integers(0, 12, 300).astype(float),
    "negative": -1e-3 * random.uniform(1, 2, 300),
}


def learned(x: np.ndarray, degree: int, sizes: list[int] | None = None) -> Polynomials:
    learner = Learner(degree)
    for piece in np.split(x, np.cumsum(sizes or [len(x)])[:-1]):
        learner.add(piece)
    return learner.value()


def exact(x: np.ndarray, degree: int) -> np.ndarray:
    """The same by the Stieltjes recurrence in fractions: slow, and without rounding."""
    values = [Fraction(v) for v in x.tolist()]
    before, now = [Fraction(0)] * len(x), [Fraction(1)] * len(x)
    columns, before_size = [], Fraction(1)
    for _ in range(degree + 1):
        size = sum((p * p for p in now), Fraction(0))
        norm = math.sqrt(size)
        columns.append([float(p) / norm for p in now])
        shift = sum((v * p * p for v, p in zip(values, now, strict=True)), Fraction(0))
        after = [
            (v - shift / size) * p - (size / before_size) * b
            for v, p, b in zip(values, now, before, strict=True)
        ]
        before, now, before_size = now, after, size
    return np.array(columns[1:]).T


def test_the_tables_of_fisher_and_yates() -> None:
    """Integers that every book prints, and R's poly(1:10, 3) over their lengths."""
    x = np.arange(1.0, 11)
    table = np.array(
        [
            [-9, -7, -5, -3, -1, 1, 3, 5, 7, 9],
            [6, 2, -1, -3, -4, -4, -3, -1, 2, 6],
            [-42, 14, 35, 31, 12, -12, -31, -35, -14, 42],
        ]
    ).T
    known = table / np.sqrt([330, 132, 8580])
    found = learned(x, 3)
    np.testing.assert_allclose(found.values(x), known, rtol=1e-13, atol=1e-15)
    # R: attr(poly(1:10, 3), "coefs") is alpha 5.5 5.5 5.5, norm2 1 10 82.5 528 3088.8
    alpha = found.middle + found.half * np.array(found.alpha)
    np.testing.assert_allclose(alpha, [5.5, 5.5, 5.5], rtol=1e-14)
    norm2 = 10 * np.cumprod((found.half * np.array(found.beta)) ** 2)
    np.testing.assert_allclose(norm2, [82.5, 528, 3088.8], rtol=1e-13)


@pytest.mark.parametrize("degree", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", DATA)
def test_formulaic_says_the_same(name: str, degree: int) -> None:
    x = DATA[name]
    matrix = model_matrix(f"0 + poly(x, {degree})", pd.DataFrame({"x": x}))
    found = learned(x, degree).values(x)
    scale = np.abs(found).max(axis=0)
    np.testing.assert_allclose(found / scale, matrix.to_numpy() / scale, atol=1e-12)


@pytest.mark.parametrize("at", [0.0, 1e6, -3e9])
@pytest.mark.parametrize("spread", [1.0, 1e-2])
def test_far_from_0_no_digits_are_lost(at: float, spread: float) -> None:
    """formulaic keeps 8 digits at 1e6 with a spread of 0.01."""
    x = at + spread * random.normal(size=80)
    found = learned(x, 5, [1, 40, 39]).values(x)
    np.testing.assert_allclose(found, exact(x, 5), atol=1e-13)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-13)


@pytest.mark.parametrize("degree", [1, 4, 8])
@pytest.mark.parametrize("name", DATA)
def test_one_piece_is_many_is_row_by_row(name: str, degree: int) -> None:
    x = DATA[name]
    whole = learned(x, degree).values(x)
    scale = np.abs(whole).max(axis=0)
    for sizes in ([150, 150], [1, 1, 298], [0, 7, 293], [1] * 300):
        found = learned(x, degree, sizes).values(x)
        np.testing.assert_allclose(found / scale, whole / scale, atol=1e-12)


def test_blocks_of_a_large_piece() -> None:
    x = np.random.default_rng(1).normal(size=20_001)
    q = learned(x, 4).values(x)
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(q.sum(axis=0), 0, atol=1e-12)


def test_states_merge_in_any_order() -> None:
    x = np.sort(DATA["skewed"])  # ranges that do not meet
    parts = [x[:3], x[3:200], x[200:299], x[299:], x[:0]]
    whole = learned(x, 4).values(x)
    for order in ([0, 1, 2, 3, 4], [3, 4, 2, 0, 1], [4, 3, 1, 2, 0]):
        learners = []
        for i in order:
            learner = Learner(4)
            learner.add(parts[i])
            learners.append(learner)
        first, *rest = learners
        for other in rest:
            first.merge(other)
        assert first.rows == len(x)
        np.testing.assert_allclose(first.value().values(x), whole, atol=1e-12)


def test_the_mean_and_the_deviation() -> None:
    x = 1e6 + DATA["normal"] / 100
    found = learned(x, 1, [100, 200])
    mean = float(sum(Fraction(v) for v in x.tolist()) / len(x))
    centred = x - mean
    np.testing.assert_allclose(found.centred(x), centred, atol=1e-9)
    assert found.half * found.deviation == pytest.approx(np.std(centred, ddof=1))
    np.testing.assert_allclose(
        found.scaled(x), centred / np.std(centred, ddof=1), atol=1e-9
    )


@pytest.mark.parametrize("values", [1, 2, 4])
def test_too_few_different_values_are_seen(values: int) -> None:
    x = np.tile([3.1, -7.0, 0.3, 11.0][:values], 30)
    beta = learned(x, 6, [17, 30 * values - 17]).beta
    assert all(b > 0 for b in beta[: values - 1])
    assert beta[values - 1] == 0


def test_values_beyond_the_range_follow_the_same_polynomials() -> None:
    x = DATA["normal"]
    found = learned(x, 3)
    further = np.linspace(-20, 20, 11)
    for k, column in enumerate(found.values(x).T, start=1):
        fitted = np.polynomial.Polynomial.fit(x, column, k)
        np.testing.assert_allclose(
            found.values(further)[:, k - 1], fitted(further), rtol=RTOL, atol=1e-9
        )
