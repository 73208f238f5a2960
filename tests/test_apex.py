"""Huber's loss where many rows lie on one line: whether its scale is 0, and proof."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import HuberRegressor

import gradline as gl
import gradline.approach
from helpers import TOLERANCE
from robust_data import joint_huber, residuals

FINE = TOLERANCE["float64"]


def some_rows(seed: int) -> tuple[Any, Any, Any, float]:
    """X, y, weights and ε: ties, many zeros, weights of 0, large and unscaled X."""
    random = np.random.default_rng(seed)
    n, d = int(random.integers(5, 60)), int(random.integers(1, 4))
    X = random.normal(size=(n, d))
    X = [X, np.round(X), np.round(X * 2) + 1e6, X * 10.0**-3][seed % 4]
    line = (X - X.mean(axis=0)).sum(axis=1)
    y = line + random.standard_t(1.2, size=n) * 10.0 ** random.integers(-2, 3)
    y = np.where(
        random.random(n) < random.uniform(0.3, 0.9), [0 * line, line][n % 2], y
    )
    w = np.ones(n) if seed % 3 else random.choice([0.0, 1.0, 2.0], size=n)
    return X, y, w, float(random.choice([1.01, 1.35, 2.5, 3.0]))


def loss_at(r: Any, epsilon: float, scale: float, w: Any) -> float:
    if scale == 0:
        return float(2 * epsilon * np.average(np.abs(r), weights=w))
    return joint_huber(r, epsilon, scale, w)


def theirs(fit: gl.Fit, X: Any, y: Any, w: Any, epsilon: float) -> float:
    """The least loss that scikit-learn finds, from scratch and from our answer."""
    found = []
    size = np.abs(residuals(fit, X, y)).mean()
    Z = X - X.mean(axis=0)  # else the digits of X go into rounding
    for warm in (False, True):
        other = HuberRegressor(epsilon=epsilon, alpha=0, max_iter=3000, tol=1e-10)
        if warm:
            other.set_params(warm_start=True)
            other.coef_ = fit.slopes.copy()
            other.intercept_ = float(np.mean(fit.predict(X) - Z @ fit.slopes))
            other.scale_ = max(fit.settings["scale"], 1e-3 * size)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other.fit(Z, y, sample_weight=w)
        except ValueError:  # its L-BFGS gave up
            continue
        found.append(loss_at(y - other.predict(Z), epsilon, other.scale_, w))
    return min(found, default=math.inf)


@pytest.mark.parametrize("seed", range(60))
def test_no_line_and_scale_are_better(seed: int) -> None:
    X, y, w, epsilon = some_rows(seed)
    fit = gl.fit(X, y, loss=gl.Huber(epsilon), weights=w)
    c, scale = fit.certificate, fit.settings["scale"]
    away = 1e-12 * float(np.abs(y).max())  # what rounding leaves of a perfect fit
    ours = loss_at(y - fit.predict(X), epsilon, scale, w)
    assert c.loss == pytest.approx(ours, rel=1e-9, abs=away)
    best = min(ours, theirs(fit, X, y, w, epsilon))
    assert ours <= best * (1 + 1e-9) + away
    assert c.optimum_loss <= best * (1 + 1e-9) + away
    assert c.status != gl.Status.NOT_CONVERGED


def test_most_rows_on_a_line_and_all_others_above_it() -> None:
    # With 7 of 11 rows on it the line y = 0 looks safe; moved together with the scale
    # it costs those rows little, and the others, all on one side, gain.
    x = np.arange(11.0)
    y = np.array([0, 0, 3, 0, 5, 0, 0, 4, 0, 9, 0.0])
    fit = gl.fit(x, y, loss="huber")
    assert fit.certificate.loss == pytest.approx(5.0546713500371, rel=1e-12)
    assert fit.settings["scale"] == pytest.approx(1.714094459093, rel=1e-9)
    assert fit.certificate.status == gl.Status.EXACT
    found = scipy.optimize.minimize(
        lambda p: joint_huber(y - p[0] - p[1] * x, 1.35, math.exp(p[2])),
        [0.0, 0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 2000},
    )
    assert fit.certificate.loss <= found.fun * (1 + 1e-13)
    assert fit.certificate.optimum_loss <= found.fun * (1 + 1e-13)


@pytest.mark.parametrize("share", [0.5, 0.62, 0.8])
def test_streamed_is_whole(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale is 0 where 1 - share < 1/ε², pulls that cancel; else it is not."""
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 2))
    on_it = random.random(20_000) < share
    y = np.where(on_it, 0.0, np.abs(random.normal(size=20_000)) * (1 + (X[:, 0] > 0)))
    whole = gl.fit(X, y, loss=gl.Huber(1.35))
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    parts = gl.fit(X, y, loss=gl.Huber(1.35))
    assert parts.certificate.loss == pytest.approx(whole.certificate.loss, rel=FINE)
    assert parts.settings["scale"] == pytest.approx(
        whole.settings["scale"], rel=1e-6, abs=1e-12
    )
    for fit in (whole, parts):
        assert fit.certificate.optimum_loss <= whole.certificate.loss * (1 + 1e-13)
        assert fit.certificate.relative_gap < 1e-8
