"""Six failures that other tools have had in public, and what gradline does there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import SGDRegressor

import gradline as gl


def test_pytorch_180157_rank_deficient_input_is_said_to_be_so() -> None:
    """A least squares that is wrong on rank-deficient input, in silence."""
    random = np.random.default_rng(0)
    A = random.normal(size=(64, 3))
    X = np.column_stack([A, A @ [1.0, 2.0, -1.0], A[:, 0] - A[:, 1]])
    y = X @ np.ones(5) + 3
    for data in (X, torch.from_numpy(X)):
        fit = gl.fit(data, y)
        assert fit.certificate.status == "rank_deficient"
        assert fit.certificate.rank == 4
        assert fit.certificate.dependent == ("x1", "x2", "x3", "x4", "x5")
        np.testing.assert_allclose(fit.predict(data), y, rtol=1e-12)
        least = np.linalg.lstsq(X - X.mean(0), y - y.mean(), rcond=1e-10)[0]
        np.testing.assert_allclose(fit.slopes, least, rtol=1e-9)
        assert fit.intercept == pytest.approx(y.mean() - X.mean(0) @ least, rel=1e-9)


def test_scikit_learn_33032_float32_with_half_a_million_rows() -> None:
    """float32 sums drift; here they are float64 inside, whatever comes in."""
    random = np.random.default_rng(0)
    X = (random.normal(size=(500_000, 2)) + 1000).astype(np.float32)
    y = (X.astype(np.float64) @ [2.0, -1.0] + 5).astype(np.float32)
    fit = gl.fit(X, y)
    np.testing.assert_allclose(fit.slopes, [2, -1], rtol=1e-6)
    wide = gl.fit(X.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(fit.slopes, wide.slopes, rtol=1e-12)
    assert fit.intercept == pytest.approx(wide.intercept, rel=1e-10)
    X, y = X.astype(np.float64), y.astype(np.float64)
    theirs = np.linalg.lstsq(X - X.mean(0), y - y.mean())[0]
    np.testing.assert_allclose(fit.slopes, theirs, rtol=1e-11)
    assert fit.intercept == pytest.approx(y.mean() - X.mean(0) @ theirs, rel=1e-8)
    assert fit.intercept == pytest.approx(5, abs=1e-3)  # what rounding y left of it


def test_scikit_learn_9073_collinear_columns_give_no_3e11() -> None:
    x = np.random.default_rng(0).normal(size=100)
    X = np.column_stack([x, 2 * x, x + 1e-16])
    fit = gl.fit(X, 3 * x + 1)
    # Of all b1 + 2 b2 + b3 = 3, the least.
    np.testing.assert_allclose(fit.slopes, [0.5, 1.0, 0.5], rtol=1e-12)
    assert fit.intercept == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(fit.predict(X), 3 * x + 1, rtol=1e-12)
    assert fit.certificate.status == "rank_deficient"
    assert "'x1', 'x2', 'x3'" in fit.certificate.advice


def test_statsmodels_9258_an_intercept_at_1e14_is_not_lost() -> None:
    x = np.arange(50.0)
    fit = gl.fit(x + 1e14, 2 * x + 3)
    assert fit.coefficients["x"] == pytest.approx(2, rel=1e-14)
    # 3 - 2e14, to the last digit float64 has there
    assert fit.intercept == pytest.approx(3 - 2e14, rel=1e-15)
    np.testing.assert_allclose(fit.predict(x + 1e14), 2 * x + 3, rtol=1e-9)
    assert fit.certificate.rank == 2


def test_scikit_learn_19451_sgd_on_unscaled_features() -> None:
    """SGDRegressor reaches losses of 1e18 and more; descent here scales by itself."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2)) * [1.0, 1e4]
    y = X @ [3.0, 0.002] + random.normal(size=200)
    theirs = SGDRegressor(random_state=0, max_iter=50, tol=None).fit(X, y)
    assert ((theirs.predict(X) - y) ** 2).mean() > 1e15
    ours = gl.fit(X, y, method="gd")
    assert ours.certificate.status == "converged"
    found = [ours.intercept, *ours.slopes]
    best = np.linalg.lstsq(np.column_stack([np.ones(200), X]), y)[0]
    np.testing.assert_allclose(found, best, rtol=1e-9)
    np.testing.assert_allclose(found[1:], [3, 0.002], rtol=0.05)
    exact = gl.fit(X, y)
    np.testing.assert_allclose([exact.intercept, *exact.slopes], best, rtol=1e-10)
    with pytest.raises(gl.DivergenceError, match="stability limit is"):
        gl.fit(X, y, method="gd", lr=0.01, epochs=50)


def test_pytorch_109104_sgd_says_how_far_from_least_squares_it_is() -> None:
    """torch's SGD "not even close" to least squares, and nothing said so."""
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 2)) * [1.0, 30.0] + [0.0, 100.0]
    y = X @ [1.0, 0.5] + 7 + random.normal(size=100)
    model = gl.LinearRegression(2, dtype=torch.float64)
    for _ in gl.descend(model, X, y[:, None], lr=1e-5, epochs=100):
        pass
    certificate = gl.certify(model, X, y)
    ones = np.column_stack([np.ones(100), X])
    best = np.linalg.lstsq(ones, y)[0]
    left = np.array([model.bias.item(), *model.weight.detach().numpy()[0]])
    assert np.abs(left / best - 1).max() > 0.5  # not even close
    gap = ((ones @ (left - best)) ** 2).mean()
    assert certificate.gap == pytest.approx(gap, rel=1e-9)
    assert certificate.status == "not_converged"
    assert certificate.relative_gap > 0.5
    short = gl.fit(X, y, method="gd", lr=1e-5, epochs=100)
    assert short.certificate.epochs_needed is None or (
        short.certificate.epochs_needed > 1e5
    )
    assert "lr='auto'" in short.certificate.advice
    off = ones @ ([short.intercept, *short.slopes] - best)
    assert short.certificate.gap == pytest.approx((off**2).mean(), rel=1e-9)
    done = gl.fit(X, y, method="gd")
    assert done.certificate.status == "converged"
    np.testing.assert_allclose([done.intercept, *done.slopes], best, rtol=1e-9)
