"""gl.RidgeRegressor, gl.RidgeRegressorCV and gl.RidgeClassifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context, linear_model
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gradline as gl
from gradline.errors import Status
from helpers import TOLERANCE

#: Of a well-conditioned fit, against another library's.
CLOSE = {"rtol": TOLERANCE["float64"], "atol": TOLERANCE["float64"]}

SHAPES = [(60, 4), (6_000, 10), (20, 50), (90, 140)]
ALPHAS = [1e-3, 1.0, 1e4]


def made(n: int, d: int, k: int = 1, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + random.normal(size=d)
    Y = X @ random.normal(size=(d, k)) + random.normal(size=(n, k)) + 3
    return X, Y[:, 0] if k == 1 else Y, random.integers(0, 4, size=n).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_ridge_as_scikit_learn(
    n: int, d: int, targets: int, intercept: bool, weighted: bool
) -> None:
    X, y, w = made(n, d, targets)
    w = w if weighted else None
    for alpha in [*ALPHAS, [*ALPHAS[: targets - 1], 0.5]]:
        ours = gl.RidgeRegressor(alpha, fit_intercept=intercept).fit(X, y, w)
        theirs = linear_model.Ridge(alpha, fit_intercept=intercept, solver="svd")
        theirs.fit(X, y, w)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, **CLOSE)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, **CLOSE)
        assert np.shape(ours.predict(X)) == np.shape(theirs.predict(X))
        found = ours.certificate_
        for one in found if isinstance(found, list) else [found]:
            assert one.status == Status.EXACT
            assert one.relative_gap < 1e-16


def test_its_certificate_is_of_its_objective() -> None:
    X, y, _ = made(200, 4)
    ours = gl.RidgeRegressor(10.0).fit(X, y)
    other = gl.fit(X, y, penalty="ridge", alpha=10.0 / 200, standardize=False)
    mine = ours.certificate_
    assert mine.objective == "half the mean squared error + ridge penalty, alpha 10"
    assert mine.loss == pytest.approx(other.certificate.loss)
    assert mine.lr_limit == pytest.approx(other.certificate.lr_limit)
    ours.coef_ = ours.coef_ * 1.1
    ours.__dict__.pop("_certified")
    off = ours.certificate_
    assert off.status == Status.NOT_CONVERGED
    assert off.loss - off.gap == pytest.approx(mine.loss)
    assert off.gap == pytest.approx(off.loss - mine.loss)


@pytest.mark.parametrize("alpha", [0.0, 1e-12, 1e-4])
def test_ridge_of_nearly_collinear_columns(alpha: float) -> None:
    """Where the normal equations would have lost all digits."""
    random = np.random.default_rng(0)
    x = random.normal(size=5_000)
    X = np.column_stack([x, x + 1e-6 * random.normal(size=len(x)), x**2])
    y = X @ [1.0, 2.0, 3.0]
    ours = gl.RidgeRegressor(alpha).fit(X, y)
    U, s, Vh = np.linalg.svd(X - X.mean(0), full_matrices=False)
    right = Vh.T @ (s / (s**2 + alpha) * (U.T @ (y - y.mean())))
    np.testing.assert_allclose(ours.coef_, right, rtol=1e-7)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (5_000, 20), (20, 40)])
def test_positive(n: int, d: int) -> None:
    X, y, _ = made(n, d)
    ours = gl.RidgeRegressor(2.0, positive=True).fit(X, y)
    theirs = linear_model.Ridge(2.0, positive=True, tol=1e-12, max_iter=10**6)
    np.testing.assert_allclose(ours.coef_, theirs.fit(X, y).coef_, atol=1e-4)
    # At the optimum no slope above 0 has a pull, and none at 0 an upward one.
    pull = X.T @ (y - ours.predict(X)) - 2.0 * ours.coef_
    held = ours.coef_ == 0
    assert held.any()
    assert np.abs(pull[~held]).max() < 1e-7
    assert pull[held].max() < 1e-7
    assert ours.certificate_.status == Status.EXACT


@pytest.mark.parametrize("intercept", [True, False])
def test_sparse_as_dense(intercept: bool) -> None:
    random = np.random.default_rng(0)
    for n, d in ((2000, 30), (40, 90), (900, 5000)):
        X = sp.random_array((n, d), density=0.05, rng=random, format="csr")
        y, w = X @ random.normal(size=d), random.uniform(size=n)
        for make in (gl.RidgeRegressor, gl.RidgeRegressorCV):
            if make is gl.RidgeRegressorCV and d == 5000:
                with pytest.raises(ValueError, match="too many to leave rows out"):
                    make().fit(X, y)
                continue
            ours = make(fit_intercept=intercept).fit(X, y, w)
            dense = make(fit_intercept=intercept).fit(X.toarray(), y, w)
            np.testing.assert_allclose(ours.coef_, dense.coef_, rtol=1e-6, atol=1e-8)


def test_partial_fit_is_exact(tmp_path: Path) -> None:
    X, y, w = made(3_000, 6, 2)
    for alpha in (0.1, [1.0, 100.0]):
        whole = gl.RidgeRegressor(alpha).fit(X, y, w)
        ours = gl.RidgeRegressor(alpha)
        for part in np.array_split(np.arange(3_000), 9):
            ours.partial_fit(X[part], y[part], w[part])
            joblib.dump(ours, tmp_path / "part.joblib")
            ours = joblib.load(tmp_path / "part.joblib")
        np.testing.assert_allclose(ours.coef_, whole.coef_, **CLOSE)
        np.testing.assert_allclose(ours.intercept_, whole.intercept_, **CLOSE)


@pytest.mark.parametrize(
    "alpha", [-1.0, "large", float("nan"), [1.0, 2.0, 3.0], [[1.0]]]
)
def test_wrong_alpha(alpha: Any) -> None:
    with pytest.raises(ValueError, match="alpha|penalties"):
        gl.RidgeRegressor(alpha).fit(np.eye(3), np.ones((3, 2)))


# Alpha chosen.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "d", "targets"), [(60, 4, 1), (20, 50, 2), (900, 30, 3)])
def test_leaving_out_as_scikit_learn(
    n: int, d: int, targets: int, intercept: bool, weighted: bool
) -> None:
    X, y, w = made(n, d, targets)
    w = w + 0.5 if weighted else None
    for options in ({}, {"alpha_per_target": True}, {"scoring": "r2"}):
        given: Any = {
            "alphas": np.logspace(-3, 4, 8),
            "fit_intercept": intercept,
            "store_cv_results": True,
            **options,
        }
        ours = gl.RidgeRegressorCV(**given).fit(X, y, w)
        theirs = linear_model.RidgeCV(**given).fit(X, y, w)
        np.testing.assert_array_equal(ours.alpha_, theirs.alpha_)
        np.testing.assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-7)
        np.testing.assert_allclose(ours.cv_results_, theirs.cv_results_, rtol=1e-5)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)


def test_leaving_out_is_what_it_says() -> None:
    """Against fits that really leave each row out."""
    X, y, _ = made(25, 40)
    ours = gl.RidgeRegressorCV(
        [1e-6, 1.0], scoring="neg_mean_absolute_error", store_cv_results=True
    ).fit(X, y)
    for j, alpha in enumerate(ours.alphas):
        right = cross_val_predict(gl.RidgeRegressor(alpha), X, y, cv=LeaveOneOut())
        np.testing.assert_allclose(ours.cv_results_[:, j], right, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("cv", [4, KFold(3, shuffle=True, random_state=0)])
def test_by_folds_as_scikit_learn(cv: Any) -> None:
    X, y, w = made(80, 5, 2)
    scoring = make_scorer(mean_absolute_error, greater_is_better=False)
    for options in ({}, {"scoring": scoring}):
        given: Any = {"alphas": [0.1, 1, 10, 100], "cv": cv, **options}
        frame = pd.DataFrame(X, columns=list("abcde"))
        ours = gl.RidgeRegressorCV(**given).fit(frame, y, w)
        theirs = linear_model.RidgeCV(**given).fit(frame, y, w)
        assert ours.alpha_ == theirs.alpha_
        assert ours.best_score_ == pytest.approx(theirs.best_score_)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, **CLOSE)
        assert ours.feature_names_in_.tolist() == list("abcde")
        assert ours.certificate_[0].status == Status.EXACT


def test_choosing_says_no() -> None:
    X, y, _ = made(20, 3)
    for given, message in (
        ({"alphas": [1.0, 0.0]}, r"alphas\[1\] == 0.0, must be > 0"),
        ({"alphas": [1.0, -1.0], "cv": 3}, r"alphas\[1\] == -1.0, must be >= 0"),
        ({"alphas": []}, "give some numbers"),
        ({"cv": 3, "alpha_per_target": True}, "incompatible"),
        ({"cv": 3, "store_cv_results": True}, "incompatible"),
    ):
        with pytest.raises(ValueError, match=message):
            gl.RidgeRegressorCV(**given).fit(X, y)
    with pytest.raises(ValueError, match="turn metadata routing on"):
        gl.RidgeRegressorCV().fit(X, y, groups=y)


def test_metadata_routing() -> None:
    X, y, w = made(100, 3)
    with config_context(enable_metadata_routing=True):
        ours = gl.RidgeRegressorCV().set_fit_request(sample_weight=True)
        ours.set_score_request(sample_weight=True)
        search = GridSearchCV(ours, {"fit_intercept": [True, False]}, cv=3)
        search.fit(X, y, sample_weight=w + 0.1)
        with_scorer = gl.RidgeRegressorCV(
            scoring=make_scorer(mean_absolute_error).set_score_request(
                sample_weight=True
            )
        )
        with_scorer.fit(X, y, sample_weight=w + 0.1)
    right = linear_model.RidgeCV().fit(X, y, w + 0.1)
    assert search.best_estimator_.alpha_ == right.alpha_


# Classes.


@pytest.mark.parametrize("weights", [None, "balanced", {0: 3.0, 1: 0.5}])
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_as_scikit_learn(classes: int, weights: Any) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    w = np.random.default_rng(0).uniform(size=len(y))
    for labels in (y, np.array(["a", "b", "c"])[y]):
        if isinstance(weights, dict) and labels is not y:
            continue
        ours = gl.RidgeClassifier(0.5, class_weight=weights).fit(X, labels, w)
        theirs = linear_model.RidgeClassifier(0.5, class_weight=weights, solver="svd")
        theirs.fit(X, labels, w)
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_allclose(
            ours.decision_function(X), theirs.decision_function(X), **CLOSE
        )
        assert ours.coef_.shape == theirs.coef_.shape
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        assert ours.score(X, labels) == theirs.score(X, labels)


def test_many_labels() -> None:
    X, y = make_multilabel_classification(random_state=0)
    ours = gl.RidgeClassifier().fit(X, y)
    theirs = linear_model.RidgeClassifier().fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    with pytest.raises(ValueError, match="one class per row"):
        gl.RidgeClassifier().partial_fit(X, y, classes=[0, 1])


def test_classes_by_partial_fit() -> None:
    X, y = load_iris(return_X_y=True)
    weights = {0: 2.0}
    whole = gl.RidgeClassifier(class_weight=weights).fit(X, y)
    ours = gl.RidgeClassifier(class_weight=weights)
    for some in np.split(np.arange(150), [40, 60, 90]):  # sorted: one class at first
        ours.partial_fit(X[some], y[some], classes=[0, 1, 2])
    np.testing.assert_allclose(ours.coef_, whole.coef_, **CLOSE)
    np.testing.assert_array_equal(ours.predict(X), whole.predict(X))
    assert len(ours.certificate_) == 3
    with pytest.raises(ValueError, match="has the class"):
        ours.partial_fit(X[:3], [0, 1, 7])
    with pytest.raises(ValueError, match="give the same"):
        ours.partial_fit(X[:3], [0, 1, 1], classes=[0, 1])
    with pytest.raises(ValueError, match=r"give classes=\[...\]"):
        gl.RidgeClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="all rows at once"):
        gl.RidgeClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


def test_in_a_search() -> None:
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), gl.RidgeClassifier())
    search = GridSearchCV(model, {"ridgeclassifier__alpha": [0.1, 1e6]}, cv=3)
    assert search.fit(X, y).best_params_ == {"ridgeclassifier__alpha": 0.1}


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (gl.LinearRegressor(), linear_model.LinearRegression()),
        (
            gl.LinearRegressor(fit_intercept=False),
            linear_model.LinearRegression(fit_intercept=False),
        ),
        (
            gl.LinearRegressor(positive=True),
            linear_model.LinearRegression(positive=True),
        ),
        (gl.RidgeRegressor(), linear_model.Ridge()),
        (gl.RidgeRegressorCV(), linear_model.RidgeCV()),
    ],
    ids=repr,
)
def test_shapes_and_types_are_scikit_learns(ours: Any, theirs: Any, dtype: str) -> None:
    X, y, _ = made(30, 4)
    X = (10 * X).astype(dtype)
    for Y in (y, y[:, None], np.column_stack([y, y])):
        ours.fit(X, Y)
        theirs.fit(X, Y)
        pairs = [(m.coef_, m.intercept_, m.predict(X)) for m in (ours, theirs)]
        for mine, other in zip(*pairs, strict=True):
            assert type(mine) is type(other)
            assert np.shape(mine) == np.shape(other)
            assert np.asarray(mine).dtype == np.asarray(other).dtype
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
