"""The certificate says what is true, measured another way."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from operator import mul
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline as gl
from gradline.certificate import advice_for
from gradline.save import strict_json
from helpers import CERTIFICATE


def problem(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(80, 3)) * [1, 20, 0.3] + [0, 5, -2]
    return X, X @ [1.0, 0.1, 4.0] + random.normal(size=80)


@pytest.mark.parametrize("method", ["exact", "gd"])
def test_every_field_is_there_and_survives_json(method: str) -> None:
    X, y = problem()
    certificate = gl.fit(X, y, method=method).certificate
    shown = json.loads(strict_json(certificate.to_dict()))
    for field in CERTIFICATE:
        assert hasattr(certificate, field)
        assert shown[field] is not None


@pytest.mark.parametrize("epochs", [0, 1, 10, 300])
def test_gap_gradient_and_limits_against_plain_formulas(epochs: int) -> None:
    X, y = problem()
    n = len(y)
    fit = gl.fit(X, y, method="gd", lr=1e-3, epochs=epochs, seed=1)
    certificate = fit.certificate
    ones = np.column_stack([X, np.ones(n)])
    best = np.linalg.lstsq(ones, y, rcond=None)[0]
    optimum = ((y - ones @ best) ** 2).mean()
    b = np.array([*fit.coefficients.values(), fit.intercept])
    loss = ((y - ones @ b) ** 2).mean()
    gradient = 2 / n * ones.T @ (ones @ b - y)
    hessian = np.linalg.eigvalsh(2 / n * ones.T @ ones)
    scaled = np.linalg.svd((X - X.mean(0)) / X.std(0), compute_uv=False)
    assert certificate.optimum_loss == pytest.approx(optimum, rel=1e-9)
    assert certificate.loss == pytest.approx(loss, rel=1e-9)
    assert certificate.gap == pytest.approx(loss - optimum, rel=1e-9)
    assert certificate.relative_gap == pytest.approx(certificate.gap / optimum)
    assert certificate.gradient_norm == pytest.approx(
        np.linalg.norm(gradient), rel=1e-9
    )
    assert certificate.condition == pytest.approx(scaled[0] / scaled[-1], rel=1e-9)
    assert certificate.rank == np.linalg.matrix_rank(ones)
    assert certificate.lr_limit == pytest.approx(2 / hessian[-1], rel=1e-9)
    assert certificate.best_lr == pytest.approx(
        2 / (hessian[-1] + hessian[0]), rel=1e-9
    )


def test_the_gap_is_no_difference_of_losses() -> None:
    """Far below the rounding of the loss itself, it is still right."""
    x, y = gl.sample_linear_data(100, seed=0)
    gaps = [
        gl.fit(x, y, lr=0.1, epochs=k, seed=0, standardize=False).certificate.gap
        for k in (500, 1000, 1500)
    ]
    assert 0 < gaps[2] < gaps[1] < gaps[0] < 1e-7
    assert gaps[2] < 1e-16 * 0.0094  # no two losses could show it
    assert gaps[2] / gaps[1] == pytest.approx(gaps[1] / gaps[0], rel=1e-3)


def test_an_exact_fit_is_its_own_optimum() -> None:
    X, y = problem()
    certificate = gl.fit(X, y).certificate
    assert certificate.status == gl.Status.EXACT
    assert certificate.gap == certificate.relative_gap == certificate.gradient_norm == 0
    assert certificate.epochs_needed is None


def test_any_model_can_be_certified() -> None:
    X, y = problem()
    model = gl.LinearRegression(3)
    for _ in gl.descend(model, X, y[:, None], optimizer="Adam", lr=0.05, epochs=30):
        pass
    certificate = gl.certify(model, X, y)
    residual = y - model(torch.from_numpy(X).float()).detach().numpy()[:, 0]
    assert certificate.loss == pytest.approx((residual**2).mean(), rel=1e-5)
    assert certificate.status == "not_converged"
    exact = gl.fit(X, y)
    assert gl.certify(exact.model, X, y).status == "converged"
    with pytest.raises(gl.ShapeError, match="in_features=3"):
        gl.certify(gl.LinearRegression(2), X, y)


def whole(values: np.ndarray) -> tuple[list[Any], int]:
    """float64 as whole numbers over one power of two: quicker than rationals."""
    flat = [v.as_integer_ratio() for v in values.astype(float).ravel().tolist()]
    below = max(bottom for _, bottom in flat)
    numbers = np.array([top * (below // bottom) for top, bottom in flat], dtype=object)
    return numbers.reshape(values.shape).tolist(), below


def exact_answer(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> list[Fraction]:
    """Least squares in rationals: what float64 data truly say, the intercept first."""
    rows, one = whole(np.column_stack([X, y]))
    rows = [[one, *row] for row in rows]
    w = [1] * len(rows) if weights is None else whole(weights)[0]
    weighed = [[u * v for v in r] for r, u in zip(rows, w, strict=True)]
    columns, p = list(zip(*rows, strict=True)), len(rows[0]) - 1
    A = [
        [sum(map(mul, left, right)) for right in columns]
        for left in list(zip(*weighed, strict=True))[:p]
    ]
    # Gauss and Jordan without fractions (Bareiss): every division leaves nothing.
    before = 1
    for c in range(p):
        pivot = next(r for r in range(c, p) if A[r][c])
        A[c], A[pivot] = A[pivot], A[c]
        for r in range(p):
            if r != c:
                by, own = A[c][c], A[r][c]
                A[r] = [
                    (by * u - own * v) // before
                    for u, v in zip(A[r], A[c], strict=True)
                ]
        before = A[c][c]
    return [Fraction(row[p], row[r]) for r, row in enumerate(A)]


def natural_sizes(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, truth: list[Fraction]
) -> list[float]:
    """What an intercept and slopes of no zero would be about: see Certificate."""
    w = w / w.sum()
    mean, level = w @ X, w @ y
    spread = np.sqrt(w @ (X - mean) ** 2)
    parts = abs(level) + sum(
        abs(float(b) * m) for b, m in zip(truth[1:], mean, strict=True)
    )
    slopes = np.sqrt(w @ (y - level) ** 2) / np.where(spread, spread, np.inf)
    return [float(parts), *slopes.tolist()]


def true_digits(
    found: list[float], truth: list[Fraction], natural: list[float]
) -> float:
    """Of the worst coefficient, a millionth of its natural size at the least."""
    digits = [16.0]
    for b, value, size in zip(found, truth, natural, strict=True):
        off = abs(Fraction(float(b)) - value)
        if off:
            share = off / max(abs(value), Fraction(size) / 1_000_000)
            digits.append(-math.log10(share))
    return max(0.0, min(digits))


@settings(max_examples=400)
@given(
    seed=st.integers(0, 2**32 - 1),
    decades=st.floats(0, 16),
    noise=st.sampled_from([0.0, 1e-3, 1.0]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    weighted=st.booleans(),
    dtype=st.sampled_from(["float64", "float64", "float32"]),
    refined=st.sampled_from([True, True, False]),
    method=st.sampled_from(["exact", "exact", "gd"]),
)
def test_digits_are_never_above_the_true_digits(
    seed: int,
    decades: float,
    noise: float,
    offset: float,
    weighted: bool,
    dtype: str,
    refined: bool,
    method: Literal["exact", "gd"],
) -> None:
    random = np.random.default_rng(seed)
    d, n = int(random.integers(1, 6)), int(random.integers(7, 20))
    U, _ = np.linalg.qr(random.normal(size=(n, d)))
    V, _ = np.linalg.qr(random.normal(size=(d, d)))
    X = U @ np.diag(np.logspace(0, -decades, d)) @ V.T + offset
    y = X @ random.normal(size=d) + noise * random.normal(size=n)
    X, y = X.astype(dtype), y.astype(dtype)
    w = random.uniform(0, 3, n) if weighted else np.ones(n)
    with pytest.MonkeyPatch.context() as patch:
        if not refined:  # as large data are
            patch.setattr("gradline.survey.REFINE_NUMBERS", 0)
        fit = gl.fit(
            X,
            y,
            method=method,
            epochs=500 if method == "gd" else None,
            weights=w if weighted else None,
        )
    if fit.certificate.status == "rank_deficient" or fit.certificate.rank <= d:
        return  # see test_rank.py
    X, y = X.astype(float), y.astype(float)
    truth = exact_answer(X, y, w)
    true = true_digits(
        [fit.intercept, *fit.slopes], truth, natural_sizes(X, y, w, truth)
    )
    assert fit.certificate.digits <= true + 1e-9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_of_an_easy_problem_are_all_there_are(dtype: str) -> None:
    X, y = problem()
    assert gl.fit(X.astype(dtype), y.astype(dtype)).certificate.digits > 15


def test_digits_of_an_easy_problem_too_large_to_refine_are_many() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(100_000, 3)) + 5
    fit = gl.fit(X, X @ [1.0, 2.0, 3.0] + 4 + random.normal(size=len(X)))
    assert fit.certificate.digits > 12


def test_an_intercept_of_nothing_beside_large_parts_is_right_too() -> None:
    """Parts of 5e4 leave 1e-4: it was right to 4 digits, and 8 were said."""
    random = np.random.default_rng(0)
    d = int(random.integers(2, 4))
    U, _ = np.linalg.qr(random.normal(size=(12, d)))
    V, _ = np.linalg.qr(random.normal(size=(d, d)))
    X = U @ np.diag([1, 1e-3, 1e-6]) @ V.T + 1e4
    y = X @ random.normal(size=d)
    fit = gl.fit(X, y)
    found = [fit.intercept, *fit.slopes]
    truth = [float(b) for b in exact_answer(X, y)]
    assert abs(truth[0]) < 1e-3
    np.testing.assert_allclose(found, truth, rtol=4e-15)
    assert fit.certificate.digits > 14


@pytest.mark.parametrize(
    ("digits", "condition", "said"),
    [
        (0.4, 10.0, "would only give the worst coefficient more digits."),
        (1.0, 10.0, "would only give the worst coefficient more than 1 digit."),
        (2.9, 10.0, "would only give the worst coefficient more than 2 digits."),
        (0.4, 1e9, "Trust no digit of the worst coefficient: the columns"),
        (1.2, 1e9, "Trust 1 digit of the worst coefficient only: the columns"),
    ],
)
def test_digits_are_counted_in_words(
    digits: float, condition: float, said: str
) -> None:
    found = advice_for(
        gl.Status.CONVERGED,
        loss=1.0,
        gap_share=1e-9,
        digits=digits,
        condition=condition,
        dependent=(),
        rows=9,
        columns=2,
        rank=2,
        lr=0.1,
        epochs_needed=0,
        best=None,
    )
    assert said in found


def test_advice_on_nearly_dependent_columns() -> None:
    X, y = problem()
    X = np.column_stack([X, X[:, 0] + 1e-9 * np.random.default_rng(1).normal(size=80)])
    certificate = gl.fit(X, y).certificate
    assert certificate.status == "exact"
    assert certificate.condition > 1e8
    assert certificate.solver == "triangle"
    assert "nearly dependent" in certificate.advice
