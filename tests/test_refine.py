"""The last digits, against exact arithmetic."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline as gl
from gradline import refine
from test_certificate import exact_answer


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_a_product_of_two_is_exact(a: float, b: float) -> None:
    high, low = refine._product(np.array([a]), np.array([b]))
    if abs(a * b) > 1e-250 or not (a and b):
        assert Fraction(high[0]) + Fraction(low[0]) == Fraction(a) * Fraction(b)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    decades=st.floats(0, 8),
    noise=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_every_coefficient_is_right_to_the_last_digit(
    seed: int, decades: float, noise: float
) -> None:
    random = np.random.default_rng(seed)
    U, _ = np.linalg.qr(random.normal(size=(12, 3)))
    V, _ = np.linalg.qr(random.normal(size=(3, 3)))
    X = U @ np.diag(np.logspace(0, -decades, 3)) @ V.T + 5
    y = X @ random.normal(size=3) + noise * random.normal(size=12)
    fit = gl.fit(X, y)
    truth = [float(b) for b in exact_answer(X, y)]
    found = [fit.intercept, *fit.slopes]
    np.testing.assert_allclose(found, truth, rtol=4e-16, atol=1e-20)


def test_weights_are_refined_too() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=30)
    times = random.integers(1, 5, 30)
    powers = np.column_stack([x, x**2, x**3, x**4])
    y = powers.sum(1) + random.normal(size=30)
    weighted = gl.fit(powers, y, weights=times.astype(float))
    repeated = gl.fit(np.repeat(powers, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, rtol=4e-16)
    assert weighted.intercept == pytest.approx(repeated.intercept, rel=4e-16)


def exact_errors(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> list[float]:
    """Standard errors √(rss/(n - k) · (AᵀWA)⁻¹) in rationals, the intercept first."""
    A = [[Fraction(1), *map(Fraction, row)] for row in X.tolist()]
    weights, k = list(map(Fraction, w.tolist())), X.shape[1] + 1
    b = exact_answer(X, y, w)
    rss = Fraction(0)
    for row, v, u in zip(A, y.tolist(), weights, strict=True):
        rss += u * (Fraction(v) - sum(p * q for p, q in zip(row, b, strict=True))) ** 2
    M = [
        [
            sum(u * r[i] * r[j] for r, u in zip(A, weights, strict=True))
            for j in range(k)
        ]
        + [Fraction(i == j) for j in range(k)]
        for i in range(k)
    ]
    for c in range(k):
        M[c] = [v / M[c][c] for v in M[c]]
        for r in range(k):
            if r != c:
                M[r] = [p - M[r][c] * q for p, q in zip(M[r], M[c], strict=True)]
    return [float(M[i][k + i] * rss / (len(y) - k)) ** 0.5 for i in range(k)]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    decades=st.floats(0, 12),
    offset=st.sampled_from([0.0, 5.0, 1e4]),
    weighted=st.booleans(),
)
def test_every_standard_error_is_right_to_the_last_digits(
    seed: int, decades: float, offset: float, weighted: bool
) -> None:
    random = np.random.default_rng(seed)
    U, _ = np.linalg.qr(random.normal(size=(12, 3)))
    V, _ = np.linalg.qr(random.normal(size=(3, 3)))
    X = U @ np.diag(np.logspace(0, -decades, 3)) @ V.T + offset
    y = X @ random.normal(size=3) + random.normal(size=12)
    w = random.uniform(0.1, 3, 12) if weighted else np.ones(12)
    fit = gl.fit(X, y, weights=w if weighted else None)
    if fit.certificate.rank < 4:
        return
    found = list(fit.inference().standard_errors.values())
    np.testing.assert_allclose(found, exact_errors(X, y, w), rtol=4e-15)
    copied = pickle.loads(pickle.dumps(fit))
    assert list(copied.inference().standard_errors.values()) == found
    assert copied.evidence is not None
    assert copied.evidence.held is None  # a copy leaves the data behind


def test_float32_columns_are_refined_in_float64() -> None:
    random = np.random.default_rng(0)
    X = (random.normal(size=(40, 2)) + 100).astype(np.float32)
    y = (X @ np.float32([1, 2])).astype(np.float32)
    fit = gl.fit(X, y)
    wide = gl.fit(X.astype(np.float64), y.astype(np.float64))
    assert fit.coefficients == wide.coefficients
    assert fit.intercept == wide.intercept
    truth = [float(b) for b in exact_answer(X, y)]
    found = [fit.intercept, *fit.slopes]
    np.testing.assert_allclose(found, truth, rtol=4e-16)


def test_large_data_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gl.sample_linear_data(1000, seed=0)
    near = gl.fit(x, y)
    monkeypatch.setattr("gradline.survey.REFINE_NUMBERS", 0)
    plain = gl.fit(x, y)
    assert plain.coefficients["x"] == pytest.approx(near.coefficients["x"], rel=1e-13)
    assert plain.certificate.digits < near.certificate.digits
