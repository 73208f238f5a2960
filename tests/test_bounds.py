"""Bounds on slopes: against SciPy, and what users get wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear, nnls
from sklearn.linear_model import ElasticNet, Lasso

import gradline as gl
from gradline.data import Array
from gradline.errors import DataError, UsageError


def rows(n: int = 200, d: int = 8, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * np.arange(1, d + 1) + 3
    X[:, 1:] += 0.6 * X[:, :-1]
    return X, X @ random.normal(size=d) + 2 + random.normal(size=n)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("intercept", [True, False])
def test_nonnegative_is_scipys(seed: int, intercept: bool) -> None:
    X, y = rows(seed=seed)
    fit = gl.fit(X, y, nonnegative=True, intercept=intercept)
    C, c = (X - X.mean(0), y - y.mean()) if intercept else (X, y)
    assert np.abs(fit.slopes - nnls(C, c)[0]).max() < 1e-8
    assert fit.certificate.status == "converged"
    assert fit.certificate.gap <= 1e-12 * y.var()
    assert (fit.slopes == 0).any()
    middle = y.mean() - X.mean(0) @ fit.slopes if intercept else 0
    assert fit.intercept == pytest.approx(middle, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_bounds_are_scipys(seed: int) -> None:
    X, y = rows(seed=seed)
    bounds = {"x1": (0.1, 0.4), "x3": (None, 0.2), "x5": (-0.1, None)}
    fit = gl.fit(X, y, bounds=bounds)
    low, high = np.full(8, -np.inf), np.full(8, np.inf)
    low[[0, 4]], high[[0, 2]] = [0.1, -0.1], [0.4, 0.2]
    theirs = lsq_linear(
        X - X.mean(0), y - y.mean(), (low, high), method="bvls", tol=1e-14
    )
    assert np.abs(fit.slopes - theirs.x).max() < 1e-8
    assert (fit.slopes >= low).all()
    assert (fit.slopes <= high).all()
    c = fit.certificate
    assert c.loss == pytest.approx(fit.metrics.rmse**2 / 2, rel=1e-12)
    assert c.objective == "half the mean squared error"
    assert fit.settings["bounds"]["x3"] == [None, 0.2]


def test_more_columns_than_rows() -> None:
    X, y = rows(30, 60)
    fit = gl.fit(X, y, nonnegative=True)
    ours = np.square(y - fit.predict(X)).sum()
    assert ours <= nnls(X - X.mean(0), y - y.mean())[1] ** 2 + 1e-8 * y.var() * 30
    assert (fit.slopes >= 0).all()
    assert fit.certificate.status == "rank_deficient"


@pytest.mark.parametrize(
    ("penalty", "model"),
    [
        ("lasso", Lasso(0.3, positive=True, tol=1e-14, max_iter=100_000)),
        ("elastic_net", ElasticNet(0.3, positive=True, tol=1e-14, max_iter=100_000)),
    ],
)
def test_bounds_beside_a_penalty_are_scikit_learns(penalty: Any, model: Any) -> None:
    X, y = rows()
    scale = X.std(0)
    model.fit((X - X.mean(0)) / scale, y)
    fit = gl.fit(X, y, penalty=penalty, alpha=0.3, nonnegative=True)
    assert np.abs(fit.slopes - model.coef_ / scale).max() < 1e-8
    assert fit.certificate.bound in ("duality", "gradient")


def test_ridge_within_bounds() -> None:
    X, y = rows()
    fit = gl.fit(X, y, penalty="ridge", alpha=0.5, nonnegative=True)
    Z = (X - X.mean(0)) / X.std(0)
    extended = np.vstack([Z, np.sqrt(0.5 * 200) * np.eye(8)])
    theirs = nnls(extended, np.append(y - y.mean(), np.zeros(8)))[0]
    assert np.abs(fit.slopes * X.std(0) - theirs).max() < 1e-8


def test_weights_count() -> None:
    X, y = rows()
    w = np.random.default_rng(1).integers(0, 4, 200)
    fit = gl.fit(X, y, nonnegative=True, weights=w)
    again = gl.fit(np.repeat(X, w, 0), np.repeat(y, w), nonnegative=True)
    assert np.allclose(fit.slopes, again.slopes, rtol=1e-9, atol=1e-11)


def test_a_category_stands_for_its_terms() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"g": random.choice(list("abc"), 90), "x": random.normal(size=90)}
    )
    frame["y"] = frame["x"] - 2 * (frame["g"] == "b") + 3 * (frame["g"] == "c")
    fit = gl.fit(frame, target="y", nonnegative=["g"])
    assert fit.coefficients["g[b]"] == 0
    assert fit.coefficients["g[c]"] > 0
    one = gl.fit(frame, target="y", bounds={"g[c]": (None, 1)})
    assert one.coefficients["g[c]"] == 1
    assert one.coefficients["g[b]"] < 0


def test_bounds_that_do_not_bind_leave_least_squares() -> None:
    X, y = rows()
    fit = gl.fit(X, y, bounds={"x1": (-100, 100)})
    assert np.abs(fit.slopes - gl.fit(X, y).slopes).max() < 1e-12
    assert "0 of 8 slopes are at a bound" in fit.certificate.advice


def test_a_constant_column_stays_where_its_bounds_let_it() -> None:
    X, y = rows()
    X[:, 2] = 4
    fit = gl.fit(X, y, bounds={"x3": (1, 2), "x1": (0, None)})
    assert fit.coefficients["x3"] == 1  # its effect is in the intercept
    assert np.allclose(fit.predict(X).mean(), y.mean())


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"bounds": {"xx1": (0, 1)}}, "'xx1', which is no term: did you mean 'x1'"),
        ({"bounds": {"zebra": (0, 1)}}, "is no term: terms are 'x1', 'x2'"),
        ({"bounds": {"x1": (1, 0)}}, "are 1 and 0: give the lower one first"),
        ({"bounds": {"x1": 3}}, "are 3: give two numbers"),
        ({"bounds": {"x1": ("a", None)}}, "give two numbers, low and high"),
        ({"bounds": {"x1": (float("nan"), 1)}}, "give two numbers, low and high"),
        (
            {"bounds": {"Intercept": (0, 1)}},
            "names the intercept, which is always free",
        ),
        ({"bounds": [("x1", 0)]}, "bounds is a list: give a dict"),
        ({"bounds": {}}, "bounds names no term"),
        ({"nonnegative": ["q"]}, "nonnegative names 'q', which is no term"),
        ({"nonnegative": "x1"}, r"give a list of names, \['x1'\]"),
        (
            {"bounds": {"x1": (None, -1)}, "nonnegative": True},
            "no slope of 'x1' is at least 0 and at most -1",
        ),
        ({"nonnegative": True, "loss": "huber"}, "loss does not go with a penalty"),
        ({"nonnegative": True, "folds": 5}, "folds are for choosing alpha"),
    ],
)
def test_what_is_wrong_is_said(wishes: dict[str, Any], message: str) -> None:
    X, y = rows(30, 3)
    with pytest.raises(UsageError, match=message):
        gl.fit(X, y, **wishes)


def test_no_standard_errors() -> None:
    X, y = rows()
    fit = gl.fit(X, y, nonnegative=True)
    with pytest.raises(DataError, match="no standard errors for a fit with bounds"):
        fit.inference()
