"""Learning from chunks as they come, and going on from a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import SGDRegressor

import gradline as gl
from gradline.errors import ColumnError, DataError, DivergenceError, UsageError
from helpers import TOLERANCE


def data(rows: int = 3000, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3)) * [1e6, 1.0, 1e-3] + [1e6, 0.0, 1.0]
    y = X @ [1e-6, 2.0, 1e3] + random.normal(size=rows)
    return X, y


def test_chunks_lead_near_the_optimum_of_all_of_them() -> None:
    X, y = data()
    learner = gl.Learner(batch_size=32)
    for start in range(0, 3000, 500):
        assert learner.learn(X[start : start + 500], y[start : start + 500]) is learner
    assert learner.rows == 3000
    fit, exact = learner.result(), gl.fit(X, y)
    assert fit.certificate.optimum_loss == pytest.approx(exact.certificate.loss)
    assert fit.certificate.relative_gap < 1e-2
    assert fit.metrics.mae == pytest.approx(np.abs(y - fit.predict(X)).mean())
    assert "on 6 chunks as they came" in str(fit)
    with pytest.raises(DataError, match="seen once"):
        fit.inference()
    # scikit-learn's partial_fit needs scaled features, and ends no nearer.
    model = SGDRegressor(penalty=None, random_state=0)
    Z = (X - X[:500].mean(0)) / X[:500].std(0)
    for start in range(0, 3000, 500):
        model.partial_fit(Z[start : start + 500], y[start : start + 500])
    theirs = np.square(y - model.predict(Z)).mean()
    assert fit.certificate.loss < theirs


def test_one_chunk_is_an_epoch_of_fit() -> None:
    X, y = data(1000)
    X = X / [1e6, 1, 1]
    options: dict[str, Any] = {"lr": 0.01, "momentum": 0.9, "batch_size": 64, "seed": 3}
    found = gl.Learner(**options).learn(X, y).result()
    wanted = gl.fit(X, y, epochs=1, **options)
    np.testing.assert_allclose(found.slopes, wanted.slopes, rtol=TOLERANCE["float64"])
    adam = gl.Learner(optimizer="Adam", lr=0.01).learn(X, y).learn(X, y).result()
    again = gl.fit(X, y, optimizer="Adam", lr=0.01, epochs=2, batch_size=256)
    np.testing.assert_allclose(adam.slopes, again.slopes, rtol=TOLERANCE["float64"])


def test_frames_with_categories_and_weights(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": random.normal(size=900),
            "g": random.choice(["a", "b"], 900),
            "w": random.uniform(1, 2, 900),
        }
    )
    frame["y"] = frame.x + 2 * (frame.g == "b") + 0.1 * random.normal(size=900)
    learner = gl.Learner(target="y", weights="w", batch_size=16)
    learner.learn(frame[:300]).learn(frame[300:600])
    frame[600:].to_csv(tmp_path / "rest.csv", index=False)
    fit = learner.learn(tmp_path / "rest.csv").result()
    exact = gl.fit(frame, target="y", weights="w")
    assert list(fit.coefficients) == list(exact.coefficients)
    assert fit.certificate.optimum_loss == pytest.approx(exact.certificate.loss)
    assert fit.coefficients["g[b]"] == pytest.approx(2, abs=0.1)
    fit.save(tmp_path / "model.safetensors")
    loaded = gl.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(frame), fit.predict(frame))


def test_faults_leave_the_learner_as_it_was() -> None:
    X, y = data()
    learner = gl.Learner(batch_size=100)
    with pytest.raises(UsageError, match="nothing was learned yet: call learn"):
        learner.result()
    learner.learn(X[:1000], y[:1000])
    before = learner.result()
    broken = y[1000:2000].copy()
    broken[7] = np.nan
    with pytest.raises(DataError, match="missing value, first in row 8"):
        learner.learn(X[1000:2000], broken)
    with pytest.raises((ColumnError, DataError)):
        learner.learn(X[1000:2000, :2], y[1000:2000])
    with pytest.raises(DataError, match="no rows"):
        learner.learn(X[:0], y[:0])
    assert learner.rows == 1000
    np.testing.assert_array_equal(learner.result().slopes, before.slopes)
    with pytest.raises(DivergenceError, match=r"in chunk 1: with batches of 10 rows"):
        gl.Learner(lr=1.0, batch_size=10).learn(X, y)
    with pytest.raises(UsageError, match="batch_size is 0"):
        gl.Learner(batch_size=0).learn(X, y)
    with pytest.raises(UsageError, match="did you mean 'Adam'"):
        gl.Learner(optimizer="Adamm")


def test_many_rows_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline.learner.HOLD", 3000)
    monkeypatch.setattr("gradline.survey.REFINE_NUMBERS", 3000)
    monkeypatch.setattr("gradline.conclude.MAE_NUMBERS", 3000)
    X, y = data()
    learner = gl.Learner()
    for start in range(0, 3000, 500):
        learner.learn(X[start : start + 500], y[start : start + 500])
    fit = learner.result()
    exact = gl.fit(X, y).certificate.loss
    assert fit.certificate.optimum_loss == pytest.approx(exact, rel=1e-9)
    assert "MAE" not in str(fit)
    with pytest.raises(DataError, match="the rows a Learner has learned from are gone"):
        _ = fit.metrics.mae


def test_fit_goes_on_from_a_fit_or_a_model() -> None:
    X, y = data(1000)
    X = X / [1e6, 1, 1]
    options: dict[str, Any] = {"lr": 0.01, "batch_size": 1000, "shuffle": False}
    whole = gl.fit(X, y, epochs=5, **options)
    first = gl.fit(X, y, epochs=2, **options)
    for start in (first, first.model):
        second = gl.fit(X, y, epochs=3, start=start, **options)
        np.testing.assert_allclose(second.slopes, whole.slopes, rtol=1e-12)
    with pytest.raises(UsageError, match=r"start is a fit on the terms 'x1', 'x2'"):
        gl.fit(X[:, :2], y, epochs=1, start=first, **options)
    learner = gl.Learner(start=whole, lr=1e-9).learn(X, y)
    np.testing.assert_allclose(learner.result().slopes, whole.slopes, rtol=1e-6)
    assert torch.equal(
        first.model.weight, gl.fit(X, y, epochs=2, **options).model.weight
    )


def test_a_learner_keeps_the_state_for_a_surface_and_no_epochs() -> None:
    x, y = gl.sample_linear_data(200, seed=0)
    fit = gl.Learner().learn(x, y).result()
    assert fit.loss_surface().names == ("x", "Intercept")
    with pytest.raises(gl.DataError, match="a Learner's fit has no epochs, since its"):
        fit.at(3)


def in_chunks(X: Any, y: Any, rows: int, **options: Any) -> gl.Learner:
    learner = gl.Learner(**options)
    for start in range(0, len(y), rows):
        learner.learn(X[start : start + rows], y[start : start + rows])
    return learner


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"shuffle": False}, {"optimizer": "Adam"}]
)
def test_a_trend_does_not_make_a_found_rate_diverge(options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    x = np.linspace(0, 100, 10_000)
    y = 2 * x + random.normal(size=10_000)
    learner = in_chunks(x, y, 1000, **options)
    fit = learner.result()
    assert fit.certificate.loss < 1.1 * np.square(y).mean()
    if not options:
        assert fit.coefficients["x"] == pytest.approx(2, abs=0.05)
        assert fit.certificate.relative_gap < 1e-2
    assert repr(learner).startswith("Learner(10,000 rows in 10 chunks, ")
    with pytest.raises(DivergenceError, match=r"lr 0\.01 diverges here, in chunk"):
        in_chunks(x, y, 1000, lr=0.01)


def test_a_feature_constant_at_first_and_chunks_of_two_rows() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 3)) * [1, 100, 1]
    y = X @ [1, 0.02, 3] + 5 + random.normal(size=3000)
    X[:300, 1] = 3  # and later 100 times as wide
    fit = in_chunks(X, y, 300, batch_size=16).result()
    assert fit.certificate.relative_gap < 0.05
    small = in_chunks(X[1000:2000], y[1000:2000], 2)
    assert small.result().certificate.relative_gap < 0.05
    assert repr(gl.Learner()) == "Learner(nothing learned yet: call learn)"


def test_units_do_not_matter_where_coordinates_follow() -> None:
    X, y = data(600)
    options: dict[str, Any] = {"momentum": 0.5, "batch_size": 50, "lr": 0.01}
    fast = in_chunks(X, y, 200, standardize=True, **options).result()
    plain = X / [1e6, 1, 1e-3]  # whatever the units of the features
    again = in_chunks(plain, y, 200, standardize=True, **options).result()
    np.testing.assert_allclose(fast.predict(X), again.predict(plain), rtol=1e-8)
