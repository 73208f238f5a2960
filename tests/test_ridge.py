"""Ridge at every penalty, for every target, and its scores without folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge, RidgeCV

import gradline as gl
from gradline.data import Array
from gradline.ridge import (
    LeaveOneOut,
    eigen,
    generalised,
    ridge_alphas,
    ridge_path,
)
from gradline.state import Moments
from helpers import TOLERANCE

ALPHAS = np.logspace(3, -6, 12)


def problem(
    rows: int = 90, columns: int = 6, targets: int = 1, seed: int = 0
) -> tuple[Array, Array, Array]:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(rows, columns)) * np.logspace(-1, 1, columns)
    X += draw.normal(size=columns) * 10
    X[:, -1] = X[:, 0] * 30 + 0.3 * X[:, -1]  # nearly dependent
    Y = X @ draw.normal(size=(columns, targets)) + 3 * draw.normal(size=(rows, targets))
    w = draw.uniform(0.2, 3, rows)
    return X, Y, w


def state(X: Array, Y: Array, w: Array | None, intercept: bool = True) -> Moments:
    y = Y[:, 0] if Y.shape[1] == 1 else Y
    moments = Moments(X.shape[1], Y.shape[1], intercept)
    half = len(X) // 2
    for some in (slice(0, half), slice(half, None)):
        moments.add(gl.Chunk(X[some], y[some], None if w is None else w[some]))
    return moments


def scaled(X: Array, w: Array, intercept: bool) -> tuple[Array, Array]:
    mean = np.average(X, axis=0, weights=w) * intercept
    spread = np.average((X - mean) ** 2, axis=0, weights=w) ** 0.5
    return (X - mean) / spread, spread


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("targets", [1, 4])
def test_slopes_are_those_of_scikit_learn(
    targets: int, weighted: bool, standardize: bool, intercept: bool
) -> None:
    X, Y, w = problem(targets=targets)
    w = w if weighted else np.ones(len(X))
    moments = state(X, Y, w if weighted else None, intercept)
    slopes, intercepts = ridge_path(moments, ALPHAS, standardize)
    assert slopes.shape == (len(ALPHAS), X.shape[1], targets)
    Z, spread = scaled(X, w, intercept)
    if not standardize:
        Z, spread = X, np.ones(X.shape[1])
    for place, alpha in enumerate(ALPHAS):
        theirs = Ridge(alpha * w.sum(), fit_intercept=intercept, solver="svd")
        theirs.fit(Z, Y, sample_weight=w)
        wanted = np.reshape(theirs.coef_, (targets, -1)).T / spread[:, None]
        close = np.abs(slopes[place] - wanted).max() / np.abs(wanted).max()
        assert close < 1e-8
        mine = X @ slopes[place] + intercepts[place]
        assert np.abs(mine - theirs.predict(Z).reshape(mine.shape)).max() < 1e-7


def test_far_from_zero_nothing_is_lost() -> None:
    X, Y, _ = problem()
    near, _ = ridge_path(state(X, Y, None), ALPHAS)
    far, _ = ridge_path(state(X + 2.0**40, Y + 2.0**33, None), ALPHAS)
    # What the data themselves have lost by being moved: 2^-12 in X.
    rounded, _ = ridge_path(state((X + 2.0**40) - 2.0**40, Y, None), ALPHAS)
    assert np.abs(far - rounded).max() < 1e-6 * np.abs(near).max()


def test_constant_columns_get_nothing() -> None:
    X, Y, _ = problem()
    X[:, 2] = 0.1
    slopes, _ = ridge_path(state(X, Y, None), ALPHAS)
    assert (slopes[:, 2] == 0).all()
    assert np.isfinite(slopes).all()


def test_without_a_penalty_the_answer_of_least_norm() -> None:
    X, Y, _ = problem(rows=20)
    X = np.column_stack([X[:, :3], X[:, :1]])  # two columns alike
    slopes, _ = ridge_path(state(X, Y, None), np.array([0.0]), standardize=False)
    centred = X - X.mean(0)
    wanted = np.linalg.pinv(centred, rcond=1e-10) @ (Y - Y.mean(0))
    assert slopes[0] == pytest.approx(wanted, rel=1e-7)


def test_losses_are_those_of_the_rows() -> None:
    X, Y, w = problem(targets=3)
    moments = state(X, Y, w)
    found = eigen(moments)
    slopes, intercepts = ridge_path(moments, ALPHAS)
    residuals = Y - np.einsum("nd,adk->ank", X, slopes) - intercepts[:, None]
    wanted = np.einsum("n,ank->ak", w, residuals**2) / w.sum()
    assert found.losses(found.coordinates(ALPHAS)) == pytest.approx(
        wanted, rel=TOLERANCE["float64"]
    )


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
def test_generalised_is_the_formula(standardize: bool, intercept: bool) -> None:
    X, Y, _ = problem(targets=2)
    n = len(X)
    found = generalised(state(X, Y, None, intercept), ALPHAS, standardize)
    Z, _ = scaled(X, np.ones(n), intercept)
    if not standardize:
        Z = X - X.mean(0) * intercept
    for place, alpha in enumerate(ALPHAS):
        hat = Z @ np.linalg.solve(Z.T @ Z + alpha * n * np.eye(Z.shape[1]), Z.T)
        hat += intercept / n
        residuals = Y - hat @ Y
        wanted = (residuals**2).mean(0) / (1 - np.trace(hat) / n) ** 2
        assert found[place] == pytest.approx(wanted, rel=1e-7)


def leave_one_out(chunks: list[gl.Chunk], moments: gl.Moments, alphas: Array) -> Array:
    """The leave-one-out error at each alpha, (A, k), chunk by chunk."""
    found = LeaveOneOut(eigen(moments), alphas)
    for chunk in chunks:
        found.add(chunk)
    return found.value()


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_leave_one_out_is_that_of_refits(weighted: bool, intercept: bool) -> None:
    X, Y, w = problem(rows=25, columns=4, targets=2)
    w = w if weighted else np.ones(len(X))
    Z, _ = scaled(X, w, intercept)
    moments = state(X, Y, w if weighted else None, intercept)
    chunks = [
        gl.Chunk(X[i : i + 10], Y[i : i + 10], w[i : i + 10] if weighted else None)
        for i in (0, 10, 20)
    ]
    found = leave_one_out(chunks, moments, ALPHAS)
    for place, alpha in enumerate(ALPHAS):
        squares = np.zeros(2)
        for i in range(len(X)):
            rest = np.arange(len(X)) != i
            # The penalty stays alpha · W of all rows; so does the scale.
            theirs = Ridge(alpha * w.sum(), fit_intercept=intercept, solver="svd")
            theirs.fit(Z[rest], Y[rest], sample_weight=w[rest])
            squares += w[i] * (Y[i] - theirs.predict(Z[i : i + 1])[0]) ** 2
        assert found[place] == pytest.approx(squares / w.sum(), rel=1e-7)


def test_leave_one_out_is_that_of_scikit_learn() -> None:
    X, Y, _ = problem(rows=60, targets=3)
    Z, _ = scaled(X, np.ones(len(X)), True)
    alphas = np.logspace(2, -4, 20)
    theirs = RidgeCV(alphas * len(X), alpha_per_target=True, store_cv_results=True)
    theirs.fit(Z, Y)
    moments = state(X, Y, None)
    found = leave_one_out([gl.Chunk(X, Y, None)], moments, alphas)
    assert found == pytest.approx(theirs.cv_results_.mean(0).T, rel=1e-8)
    mine = gl.cross_validate(X, Y, alphas=alphas, rule="loo")
    assert mine.errors[:, 0] == pytest.approx(found, rel=1e-9)
    assert mine.alpha * len(X) == pytest.approx(theirs.alpha_)


def test_the_grid_goes_from_nothing_to_least_squares() -> None:
    X, Y, _ = problem()
    moments = state(X, Y, None)
    alphas = ridge_alphas(moments)
    assert len(alphas) == 100
    assert (np.diff(alphas) < 0).all()
    found = eigen(moments)
    losses = found.losses(found.coordinates(np.array([alphas[0], alphas[-1], 0.0])))
    assert losses[0, 0] > 0.99 * Y.var()
    assert losses[1, 0] < 1.01 * losses[2, 0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"penalty": "l2"}, "penalty is 'l2': did you mean 'ridge'"),
        ({"penalty": "l1"}, "did you mean 'lasso'"),
        ({"penalty": "elasticnet"}, "did you mean 'elastic_net'"),
        ({"penalty": "Ridge"}, "did you mean 'ridge'"),
        ({"penalty": "none"}, "give 'ridge' or 'lasso' or 'elastic_net'"),
        ({"penalty": "lasso", "alpha": "CV"}, "alpha is 'CV': did you mean 'cv'"),
        ({"penalty": "lasso", "alpha": "best"}, "give a number, or 'cv' or '1se'$"),
        ({"penalty": "ridge", "alpha": "0.1"}, "is the text '0.1': give the .*=0.1"),
        ({"bounds": {"first": (0, 1)}}, "did you mean 'first_column_of_all'"),
        ({"target": ["y", "z"]}, "one target is fitted here: .* gl.cross_validate"),
        (
            {"penalty": "ridge", "early_stopping": True},
            "early_stopping is for a descent: leave it out$",
        ),
    ],
)
def test_what_is_nearly_right_is_told(given: dict[str, Any], told: str) -> None:
    random = np.random.default_rng(0)
    names = ["first_column_of_all", "z", "y"]
    table = pd.DataFrame(random.normal(size=(30, 3)), columns=names)
    with pytest.raises(gl.UsageError, match=told):
        gl.fit(table, **({"target": "y"} | given))


def test_many_targets_are_told_where_to_go(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(30, 2)), random.normal(size=(30, 2))
    for y in (Y, pd.DataFrame(Y, columns=["a", "b"])):
        with pytest.raises(gl.ShapeError, match="many targets at once with gl.cross_v"):
            gl.fit(X, y)
    fit = gl.fit(X, Y[:, 0], penalty="lasso")
    assert fit.how in str(fit).replace("\n", " ")
    assert gl.fit(X, Y[:, 0]).how == "exact least squares"
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert again.how == fit.how
    with pytest.raises(gl.DataError, match="is not saved with a model: fit again"):
        again.plot_alpha()


def test_more_folds_than_rows_that_are_left_is_told() -> None:
    table = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) % 7})
    table.loc[::4, "x"] = np.nan
    told = r"for 35 folds has no row left.*\(30 rows are used, 10 others were dropped"
    with pytest.raises(gl.DataError, match=told):
        gl.cross_validate(table, target="y", missing="drop", penalty=None, folds=35)
