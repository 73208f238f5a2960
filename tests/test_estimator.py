"""gl.LinearRegressor: right answers, on whatever X is, in whatever it is used."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
import torch
from scipy.linalg import lstsq
from scipy.optimize import nnls
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

import gradline as gl
from gradline.errors import Status
from helpers import ROOT, TOLERANCE, nist

#: Of a well-conditioned fit, against another library's.
CLOSE = {"rtol": TOLERANCE["float64"], "atol": TOLERANCE["float64"]}

#: Rows and columns: QR at once, the sums, the sums of several blocks, wide.
SHAPES = [(60, 4), (6_000, 10), (30_000, 40), (20, 50), (90, 140)]


def made(n: int, d: int, k: int = 1, seed: int = 0) -> Any:
    """X, y and weights; columns of unequal means and scales."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * np.logspace(-1, 1, d) + random.normal(size=d)
    Y = X @ random.normal(size=(d, k)) + random.normal(size=(n, k)) + 3
    return X, Y[:, 0] if k == 1 else Y, random.integers(0, 4, size=n).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_as_scikit_learn(
    n: int, d: int, targets: int, intercept: bool, weighted: bool
) -> None:
    X, y, w = made(n, d, targets)
    w = w if weighted else None
    ours = gl.LinearRegressor(fit_intercept=intercept).fit(X, y, w)
    theirs = LinearRegression(fit_intercept=intercept, tol=1e-14).fit(X, y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, **CLOSE)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, **CLOSE)
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    assert ours.rank_ == theirs.rank_
    many = min(len(ours.singular_), len(theirs.singular_))
    np.testing.assert_allclose(
        ours.singular_[:many], theirs.singular_[:many], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), **CLOSE)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y))


def test_as_statsmodels_wls() -> None:
    X, y, w = made(500, 5)
    ours = gl.LinearRegressor().fit(X, y, w + 0.5)
    theirs = sm.WLS(y, sm.add_constant(X), weights=w + 0.5).fit()
    np.testing.assert_allclose(
        np.append(ours.intercept_, ours.coef_), theirs.params, **CLOSE
    )


def exactly(X: Any, y: Any, alpha: Any = 0) -> list[Fraction]:
    """Intercept and slopes of ridge, in rational numbers: no digit is lost."""
    d = X.shape[1]
    rows = [[Fraction(1), *map(Fraction, x.tolist())] for x in X]
    right = [Fraction(v) for v in y.tolist()]
    A = [
        [
            sum((r[i] * r[j] for r in rows), Fraction(alpha if i == j > 0 else 0))
            for j in range(d + 1)
        ]
        + [sum((r[i] * v for r, v in zip(rows, right, strict=True)), Fraction())]
        for i in range(d + 1)
    ]
    for i in range(d + 1):
        A[i] = [value / A[i][i] for value in A[i]]
        for j in range(d + 1):
            if j != i and A[j][i]:
                A[j] = [u - A[j][i] * v for u, v in zip(A[j], A[i], strict=True)]
    return [row[-1] for row in A]


def true_digits(model: Any, truth: list[Fraction]) -> float:
    """The digits of the worst coefficient of a model."""
    found = [model.intercept_, *model.coef_]
    off = [
        abs(Fraction(float(b)) - t) / abs(t) for b, t in zip(found, truth, strict=True)
    ]
    return -math.log10(max(max(off), Fraction(1, 10**17)))


@pytest.mark.parametrize(
    ("name", "least"),
    [("Longley", 13), ("Norris", 15), ("Pontius", 15), ("Filip", 5)],
)
def test_nist(name: str, least: float) -> None:
    """The digits that the certificate promises, of the very numbers that were given."""
    known = nist(name)
    data = np.array(known["data"], dtype=float)
    X = data[:, 1:]
    if known["form"]["kind"] != "multilinear":
        X = data[:, 1:] ** np.arange(1, known["form"]["degree"] + 1)
    ours = gl.LinearRegressor().fit(X, data[:, 0])
    digits = ours.certificate_.digits
    assert least <= digits <= true_digits(ours, exactly(X, data[:, 0])) + 0.1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [0, 0.5])
@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("gap", [1e-2, 1.0])
def test_digits_are_those_of_what_is_returned(
    gap: float, noise: int, alpha: float, dtype: Any
) -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=150)
    X = np.column_stack([a, a + gap * random.normal(size=150)]).astype(dtype)
    y = (X @ [1.0, 3.0] + noise * random.normal(size=150) + 1).astype(dtype)
    ours = gl.RidgeRegressor(alpha) if alpha else gl.LinearRegressor()
    ours.fit(X, y)
    digits = ours.certificate_.digits
    assert digits <= true_digits(ours, exactly(X, y, alpha)) + 0.1
    assert digits >= (14 if dtype == np.float64 else 6.5)
    again = pickle.loads(pickle.dumps(ours))  # the rows stay behind
    assert again._few is None
    assert again.certificate_.digits == digits


def test_digits_of_many_float32_rows() -> None:
    X, y, _ = made(30_000, 4)
    ours = gl.LinearRegressor().fit(X.astype("f4"), y.astype("f4"))
    right = gl.LinearRegressor().fit(X.astype("f4").astype(float), y.astype("f4"))
    off = np.abs(ours.coef_ / right.coef_ - 1).max()
    assert 6 < ours.certificate_.digits <= -np.log10(off)


# Data that are hard.


def test_float32_of_half_a_million_rows() -> None:
    """scikit-learn#33032: the tolerance of float32 took a column away."""
    random = np.random.RandomState(1137)
    x = random.rand(500_000)
    X = np.column_stack([x, 0.3 * x + 0.1 * random.rand(len(x))])
    y = X @ [0.5, 2.0] + 0.1 * random.rand(len(x))
    for intercept in (True, False):
        right = gl.LinearRegressor(fit_intercept=intercept).fit(X, y)
        ours = gl.LinearRegressor(fit_intercept=intercept)
        ours.fit(X.astype(np.float32), y.astype(np.float32))
        assert ours.coef_.dtype == ours.predict(X[:2].astype("f4")).dtype == np.float32
        np.testing.assert_allclose(ours.coef_, right.coef_, rtol=1e-6)
        assert ours.rank_ == 2


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n", [1_000, 100_000])
def test_collinear_columns(n: int, form: Any) -> None:
    """scikit-learn#9073: three indicators of one category gave slopes of ±3e11."""
    random = np.random.default_rng(0)
    X = np.eye(3)[random.integers(0, 3, n)]
    X = np.column_stack([X, random.normal(size=n)])
    y = X @ [1.0, 2.0, 3.0, 0.5] + 0.1 * random.normal(size=n)
    ours = gl.LinearRegressor().fit(form(X), y)
    least = lstsq(X - X.mean(0), y - y.mean(), cond=1e-10)[0]
    np.testing.assert_allclose(ours.coef_, least, **CLOSE)
    found = ours.certificate_
    assert found.status == Status.RANK_DEFICIENT
    assert found.dependent == ("x0", "x1", "x2")
    assert (ours.rank_, found.rank, found.columns) == (3, 4, 5)
    singular = np.linalg.svd(X - X.mean(0), compute_uv=False)
    np.testing.assert_allclose(ours.singular_, singular, atol=1e-9 * singular[0])
    ridge = gl.RidgeRegressor(0.5).fit(form(X), y)
    right = np.linalg.solve(
        (X - X.mean(0)).T @ X + 0.5 * np.eye(4), (X - X.mean(0)).T @ y
    )
    np.testing.assert_allclose(ridge.coef_, right, **CLOSE)
    # Rows that break the dependence make the rank whole.
    more = ours.partial_fit(form(X + 0.5 * random.normal(size=X.shape)), y)
    assert more.rank_ == 4


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("partial", [False, True])
def test_nearly_collinear_columns(gap: float, partial: bool) -> None:
    """As good as LAPACK's answer, and as the certificate says."""
    random = np.random.default_rng(1)
    x = random.normal(size=20_000)
    X = np.column_stack([x, x + gap * random.normal(size=len(x)), x**2])
    true = np.array([2.0, -1.0, 0.5])
    y = X @ true
    ours = gl.LinearRegressor()
    for part in np.array_split(np.arange(len(x)), 7) if partial else [slice(None)]:
        ours = ours.partial_fit(X[part], y[part]) if partial else ours.fit(X, y)
    off = np.abs(ours.coef_ / true - 1).max()
    assert off < 10**-ours.certificate_.digits
    theirs = lstsq(X - X.mean(0), y - y.mean())[0]
    assert off < 20 * np.abs(theirs / true - 1).max() + 1e-13


def test_far_from_zero() -> None:
    """statsmodels#9258: near 1e14 a slope of 3 is still 3."""
    random = np.random.default_rng(0)
    x = 1e14 + np.arange(1000.0)
    y = 3 * np.arange(1000.0) + random.normal(size=1000)
    right = gl.LinearRegressor().fit(np.arange(1000.0)[:, None], y).coef_
    for ours in (gl.LinearRegressor().fit(x[:, None], y), gl.LinearRegressor()):
        if not hasattr(ours, "coef_"):
            for i in range(0, 1000, 100):
                ours.partial_fit(x[i : i + 100, None], y[i : i + 100])
        np.testing.assert_allclose(ours.coef_, right, rtol=1e-9)


def test_units_do_not_change_the_rank() -> None:
    X, y, _ = made(200, 3)
    units = np.array([1e-9, 1.0, 1e9])
    ours = gl.LinearRegressor().fit(X * units, y)
    assert ours.rank_ == 3
    np.testing.assert_allclose(
        ours.coef_ * units, gl.LinearRegressor().fit(X, y).coef_, rtol=1e-9
    )


def test_tol_is_of_the_raw_singular_values() -> None:
    X, y, _ = made(200, 3)
    X[:, 2] = X[:, 1] + 1e-5 * X[:, 2]
    for tol, rank in ((1e-3, 2), (1e-8, 3), (None, 3)):
        ours = gl.LinearRegressor(tol=tol).fit(X, y)
        assert ours.rank_ == rank
        theirs = LinearRegression(tol=tol or 1e-12).fit(X, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


@pytest.mark.parametrize("X", [np.ones((5, 2)), np.zeros((5, 2))])
def test_columns_that_do_not_vary(X: Any) -> None:
    y = np.arange(5.0)
    ours = gl.LinearRegressor().fit(X, y)
    assert (ours.coef_.tolist(), ours.intercept_, ours.rank_) == ([0, 0], 2, 0)
    assert ours.certificate_.dependent == ("x0", "x1")


def test_numbers_too_large_to_square() -> None:
    X = np.full((5, 1), 1e200) * np.arange(5.0)[:, None]
    for model in (gl.LinearRegressor(), gl.RidgeRegressor()):
        with pytest.raises(ValueError, match="too large to square"):
            model.fit(X, np.arange(5.0))


# None below 0.


@pytest.mark.parametrize(("n", "d"), [(200, 8), (5_000, 30), (20, 40)])
def test_positive(n: int, d: int) -> None:
    X, y, w = made(n, d, 2)
    ours = gl.LinearRegressor(positive=True).fit(X, y, w)
    root = np.sqrt(w)[:, None]
    Xc = (X - np.average(X, axis=0, weights=w)) * root
    Yc = (y - np.average(y, axis=0, weights=w)) * root
    right = np.array([nnls(Xc, t)[0] for t in Yc.T])
    if n > d:
        np.testing.assert_allclose(ours.coef_, right, rtol=1e-7, atol=1e-9)
    assert (ours.coef_ >= 0).all()
    for found in ours.certificate_:
        assert found.status in (Status.EXACT, Status.RANK_DEFICIENT)
        assert found.relative_gap < 1e-12


# Sparse, frames, tensors.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_sparse_as_dense(form: Any, intercept: bool, weighted: bool) -> None:
    random = np.random.default_rng(0)
    for n, d in ((2000, 30), (40, 90)):
        X = sp.random_array((n, d), density=0.1, rng=random)
        y = X @ random.normal(size=(d, 2)) + random.normal(size=(n, 2))
        w = random.uniform(size=n) if weighted else None
        ours = gl.LinearRegressor(fit_intercept=intercept).fit(form(X), y, w)
        dense = gl.LinearRegressor(fit_intercept=intercept).fit(X.toarray(), y, w)
        np.testing.assert_allclose(ours.coef_, dense.coef_, **CLOSE)
        np.testing.assert_allclose(ours.intercept_, dense.intercept_, **CLOSE)
        np.testing.assert_allclose(ours.predict(form(X)), dense.predict(X.toarray()))


def test_sparse_with_means_far_from_zero() -> None:
    """A column that is stored sparse and is not: its sums would cancel."""
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 3))
    X[:, 0] += 1e7
    y = X @ [1.0, 2.0, 3.0] + random.normal(size=2000)
    ours = gl.LinearRegressor().fit(sp.csr_array(X), y)
    np.testing.assert_allclose(ours.coef_, gl.LinearRegressor().fit(X, y).coef_)


def test_sparse_is_never_made_dense_as_a_whole() -> None:
    """Dense it would be 800 MB, and its sums 200 MB."""
    random = np.random.default_rng(0)
    X = sp.random_array((20_000, 5_000), density=1e-3, rng=random, format="csr")
    true = random.normal(size=5_000)
    y = X @ true + 5
    tracemalloc.start()
    ours = gl.LinearRegressor().fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    np.testing.assert_allclose(ours.coef_, true, rtol=0, atol=1e-8)
    assert ours.intercept_ == pytest.approx(5)
    with pytest.raises(ValueError, match="too large for the state"):
        _ = ours.certificate_
    assert not hasattr(ours, "singular_")
    assert not hasattr(ours, "rank_")
    with pytest.raises(ValueError, match="too large for the state"):
        ours.partial_fit(X, y)


def test_pandas_and_polars() -> None:
    X, y, _ = made(100, 3)
    right = gl.LinearRegressor().fit(X, y)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for data in (frame, pl.from_pandas(frame)):
        ours = gl.LinearRegressor().fit(data, y)
        assert ours.feature_names_in_.tolist() == ["a", "b", "c"]
        np.testing.assert_allclose(ours.coef_, right.coef_, **CLOSE)
        np.testing.assert_allclose(ours.predict(data), right.predict(X), **CLOSE)
    with pytest.raises(ValueError, match="feature names"):
        ours.predict(frame.rename(columns={"a": "z"}))
    frame["b"] = frame["a"]
    assert gl.LinearRegressor().fit(frame, y).certificate_.dependent == ("a", "b")


def test_tensors() -> None:
    X, y, _ = made(100, 3)
    ours = gl.LinearRegressor().fit(torch.from_numpy(X), torch.from_numpy(y))
    np.testing.assert_array_equal(ours.coef_, gl.LinearRegressor().fit(X, y).coef_)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output_of_a_pipeline(output: str) -> None:
    X, y, _ = made(100, 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make_pipeline(StandardScaler(), gl.LinearRegressor())
    model.set_output(transform=output).fit(frame, y)
    assert model[-1].feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.score(frame, y) == pytest.approx(
        LinearRegression().fit(X, y).score(X, y)
    )


# Where people already work.


def test_in_a_search_over_a_column_transformer() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": random.normal(size=300), "g": random.choice(["u", "v", "w"], size=300)}
    )
    y = frame["x"] ** 2 + (frame["g"] == "u") + 0.1 * random.normal(size=300)
    columns = ColumnTransformer(
        [("power", PolynomialFeatures(), ["x"]), ("level", OneHotEncoder(), ["g"])]
    )
    search = GridSearchCV(
        make_pipeline(columns, gl.LinearRegressor()),
        {"columntransformer__power__degree": [1, 2]},
        cv=3,
    ).fit(frame, y)
    assert search.best_params_ == {"columntransformer__power__degree": 2}
    found = search.best_estimator_[-1].certificate_
    # The constant of PolynomialFeatures and three levels of three: both are too many.
    assert found.status == Status.RANK_DEFICIENT
    assert found.columns - found.rank == 2
    scores = cross_val_score(search.best_estimator_, frame, y, cv=3)
    assert scores.min() > 0.97


def test_metadata_routing() -> None:
    X, y, w = made(200, 3)
    y[::2] += 5 * X[::2, 0]
    w = np.where(np.arange(200) % 2, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = gl.LinearRegressor().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(
            make_pipeline(StandardScaler(), model),
            {"linearregressor__fit_intercept": [True]},
            cv=2,
        )
        unasked = GridSearchCV(gl.LinearRegressor(), {}, cv=2)
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            unasked.fit(X, y, sample_weight=w)
        search.estimator[0].set_fit_request(sample_weight=False)
        search.fit(X, y, sample_weight=w)
    right = LinearRegression().fit(StandardScaler().fit_transform(X), y, w)
    np.testing.assert_allclose(search.best_estimator_[-1].coef_, right.coef_, **CLOSE)


def test_clone_and_params() -> None:
    model = gl.LinearRegressor(fit_intercept=False, tol=1e-8, n_jobs=1)
    X, y, _ = made(50, 3)
    again = clone(model.fit(X, y))
    assert again.get_params() == model.get_params()
    assert set(model.get_params()) == set(LinearRegression().get_params())
    assert not hasattr(again, "coef_")
    with pytest.raises(NotFittedError):
        _ = again.certificate_
    assert repr(again) == "LinearRegressor(fit_intercept=False, n_jobs=1, tol=1e-08)"


def test_n_jobs_is_threads() -> None:
    X, y, _ = made(120_000, 12)
    one, two, both = (gl.LinearRegressor(n_jobs=n).fit(X, y) for n in (1, 2, -1))
    np.testing.assert_allclose(one.coef_, two.coef_, **CLOSE)
    np.testing.assert_allclose(one.coef_, both.coef_, **CLOSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": -1.0}, "tol is -1"),
        ({"tol": "small"}, "give a finite number"),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"n_jobs": 1.5}, "n_jobs is 1.5"),
        ({"fit_intercept": "yes"}, "fit_intercept is 'yes': give True or False"),
        ({"positive": "a"}, "positive is 'a': give True or False"),
        ({"copy_X": 1}, "copy_X is 1: give True or False"),
    ],
)
def test_wrong_options(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gl.LinearRegressor(**options).fit(np.eye(3), np.ones(3))


def test_wrong_weights() -> None:
    with pytest.raises(ValueError, match="sample_weight|[Ss]ample weight|weights"):
        gl.LinearRegressor().fit(np.eye(3), np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="[Nn]egative"):
        gl.LinearRegressor().fit(np.eye(3), np.ones(3), [-1.0, 1, 1])


def test_copy_x() -> None:
    for n, d in ((10, 12), (400, 3)):
        X, y, _ = made(n, d)
        before = X.copy()
        right = gl.LinearRegressor().fit(X, y)
        np.testing.assert_array_equal(X, before)
        ours = gl.LinearRegressor(copy_X=False).fit(X, y)
        np.testing.assert_array_equal(ours.coef_, right.coef_)
        assert np.abs(X - (before - before.mean(0))).max() < 1e-12  # centred in place


# More rows, and another process.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_partial_fit_is_exact(n: int, d: int, intercept: bool, weighted: bool) -> None:
    X, y, w = made(n, d, 2)
    random = np.random.default_rng(0)
    cuts = np.sort(random.choice(np.arange(1, n), size=9, replace=False))
    w[0] = 1.0  # the first rows must count; a part of weights of 0 may follow
    X[: n // 3] += 100.0  # what comes first is no guide to the rest
    whole = gl.LinearRegressor(fit_intercept=intercept).fit(
        X, y, w if weighted else None
    )
    for begin in ("fit", "partial_fit"):
        ours = gl.LinearRegressor(fit_intercept=intercept)
        learn = getattr(ours, begin)
        for part in np.split(np.arange(n), cuts):
            learn(X[part], y[part], sample_weight=w[part] if weighted else None)
            learn = ours.partial_fit
        np.testing.assert_allclose(ours.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(
            ours.intercept_, whole.intercept_, rtol=1e-7, atol=1e-8
        )
        mine, all_at_once = ours.certificate_[0], whole.certificate_[0]
        assert mine.loss == pytest.approx(all_at_once.loss, rel=1e-8, abs=1e-12)
        assert mine.rank == all_at_once.rank
        assert ours.rank_ == whole.rank_


def test_partial_fit_row_by_row_and_sparse() -> None:
    X, y, _ = made(50, 3)
    whole = gl.LinearRegressor().fit(X, y)
    ours = gl.LinearRegressor()
    for i in range(50):
        ours.partial_fit(
            X[i : i + 1] if i % 2 else sp.csr_array(X[i : i + 1]), y[i : i + 1]
        )
    np.testing.assert_allclose(ours.coef_, whole.coef_, **CLOSE)


def test_partial_fit_of_rows_without_weight() -> None:
    X, y, _ = made(50, 3)
    ours = gl.LinearRegressor()
    with pytest.raises(ValueError, match="sample_weight is 0|[Ss]ample weights"):
        ours.partial_fit(X, y, np.zeros(50))
    before = ours.partial_fit(X, y).coef_
    ours.partial_fit(X + 1, 2 * y, np.zeros(50))
    np.testing.assert_allclose(ours.coef_, before, rtol=1e-13)


@pytest.mark.parametrize("levels", [300, 2000])
def test_one_hot_of_many_levels(levels: int) -> None:
    """The SVD of many alike values did not converge; and it was slow."""
    random = np.random.default_rng(1)
    n = 20_000
    level = random.integers(0, levels, n)
    z = random.normal(size=n)
    ones = sp.csr_array((np.ones(n), (np.arange(n), level)), shape=(n, levels))
    X = sp.hstack([ones, z[:, None]], format="csr")
    y = random.normal(size=n)
    # By groups: slopes of least norm are differences from the mean of the groups'.
    count, total = np.bincount(level), np.bincount(level, y)
    inside = z - (np.bincount(level, z) / count)[level]
    slope = inside @ y / (inside @ inside)
    means = (total - slope * np.bincount(level, z)) / count
    ours = gl.LinearRegressor().fit(X, y)
    assert ours.rank_ == levels
    np.testing.assert_allclose(
        ours.coef_, np.append(means - means.mean(), slope), atol=1e-10
    )
    ridge = gl.RidgeRegressor(1.0).fit(X, y)
    r = y - ridge.predict(X)
    np.testing.assert_allclose(X.T @ r, ridge.coef_, atol=1e-9)
    assert abs(r.mean()) < 1e-12
    many = gl.RidgeClassifier().fit(X, level % 3)
    r = many._labels.transform(level % 3) - many.decision_function(X)
    np.testing.assert_allclose((X.T @ r).T, many.coef_, atol=1e-9)
    if levels < 1000:
        assert ours.certificate_.status == Status.RANK_DEFICIENT
        assert ridge.certificate_.relative_gap < 1e-20
        chosen = gl.RidgeRegressorCV(alphas=[1.0]).fit(X, y)
        np.testing.assert_allclose(chosen.coef_, ridge.coef_, atol=1e-10)


def test_svd_that_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise np.linalg.LinAlgError("SVD did not converge")

    X, y, _ = made(90, 140)
    right = gl.RidgeRegressor(1e-9).fit(X, y).coef_
    monkeypatch.setattr(np.linalg, "svd", fails)
    for model in (gl.RidgeRegressor(1e-9), gl.LinearRegressor()):
        parts = np.split(np.arange(90), 3)
        for part in parts:
            model.partial_fit(X[part], y[part])
        assert np.isfinite(model.singular_).all()
        np.testing.assert_allclose(model.coef_, right, atol=1e-8)
    monkeypatch.setattr("scipy.linalg.svd", fails)
    with pytest.raises(ValueError, match="singular values of X could not be found"):
        _ = model.singular_


def test_partial_fit_says_no() -> None:
    X, y, _ = made(50, 3)
    ours = gl.LinearRegressor().partial_fit(X, y)
    with pytest.raises(ValueError, match="4 features"):
        ours.partial_fit(np.ones((2, 4)), np.ones(2))
    with pytest.raises(ValueError, match="y has 2 targets"):
        ours.partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="fit_intercept has become False"):
        ours.set_params(fit_intercept=False).partial_fit(X, y)
    with pytest.raises(ValueError, match="too large to square"):
        ours.set_params(fit_intercept=True).partial_fit(X * 1e200, y)
    ours.partial_fit(X, y)  # what was refused has left nothing behind
    np.testing.assert_allclose(ours.coef_, gl.LinearRegressor().fit(X, y).coef_)


def test_pickle_and_joblib(tmp_path: Path) -> None:
    X, y, w = made(6_000, 5)
    ours = gl.LinearRegressor().partial_fit(X[:2000], y[:2000], w[:2000])
    joblib.dump(ours, tmp_path / "half.joblib")
    again = joblib.load(tmp_path / "half.joblib")
    assert pickle.loads(pickle.dumps(again)).coef_.tolist() == ours.coef_.tolist()
    for model in (ours, again):
        model.partial_fit(X[2000:], y[2000:], w[2000:])
    np.testing.assert_array_equal(ours.coef_, again.coef_)
    assert again.certificate_ == ours.certificate_
    whole = gl.LinearRegressor().fit(X, y, w)
    np.testing.assert_allclose(again.coef_, whole.coef_, **CLOSE)


# The certificate.


def test_certificate_is_that_of_fit() -> None:
    X, y, w = made(3_000, 4)
    ours = gl.LinearRegressor().fit(X, y, w).certificate_
    other = gl.fit(X, y, weights=w).certificate
    assert ours.status == other.status == Status.EXACT
    for name in ("loss", "optimum_loss", "condition", "lr_limit", "best_lr"):
        assert getattr(ours, name) == pytest.approx(getattr(other, name), rel=1e-9), (
            name
        )
    assert (ours.rank, ours.columns) == (other.rank, other.columns)
    assert ours.lr_limit_standardized == pytest.approx(other.lr_limit_standardized)
    assert ours.relative_gap < 1e-20
    assert abs(ours.digits - other.digits) < 6


def test_certificate_measures_the_gap() -> None:
    """Of slopes that were changed by hand it says how far off they are."""
    X, y, _ = made(300, 3)
    ours = gl.LinearRegressor().fit(X, y)
    best = np.mean((y - ours.predict(X)) ** 2)
    ours.coef_ = ours.coef_ + 0.1
    ours.intercept_ = y.mean() - X.mean(0) @ ours.coef_
    worse = np.mean((y - ours.predict(X)) ** 2)
    found = ours.certificate_
    assert found.status == Status.NOT_CONVERGED
    assert found.gap == pytest.approx(worse - best)
    assert found.optimum_loss == pytest.approx(best)


def test_certificate_of_a_wide_state_is_quick() -> None:
    X, y, _ = made(30, 3000)
    found = gl.LinearRegressor().fit(X, y).certificate_
    assert found.status == Status.RANK_DEFICIENT
    assert found.rank == 30


# What is not installed, and what is not loaded.


def test_without_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ImportError('not here')\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "import gradline as gl\n"
        "from gradline import *\n"
        "for made in (LinearRegressor, RidgeRegressor, RidgeRegressorCV, "
        "RidgeClassifier):\n"
        "    try: made()\n"
        "    except gl.MissingExtraError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == (
        "scikit-learn is not installed, which gl.LinearRegressor needs: "
        "pip install 'gradline[sklearn]'"
    )
