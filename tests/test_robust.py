"""Huber's loss: against scikit-learn, torch, a plain minimiser, and itself in parts."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import HuberRegressor

import gradline as gl
import gradline.approach
from gradline.data import Chunk
from gradline.globs import Globs, Place, Some
from gradline.save import strict_json
from gradline.summary import summary
from helpers import ROOT, TOLERANCE
from robust_data import huber, joint_huber, noisy, residuals

FINE = TOLERANCE["float64"]


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data go the way of large ones: some rows chosen, some kept near kinks."""
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)


def plain(X: Any, y: Any, epsilon: float, scale: float, w: Any = None) -> Any:
    """Huber's line by iterated least squares: slow, and hard to get wrong."""
    Z = np.column_stack([np.ones(len(y)), X])
    w = np.ones(len(y)) if w is None else w
    b = np.linalg.lstsq(Z * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    for _ in range(20_000):
        r = y - Z @ b
        v = w * np.minimum(1.0, epsilon * scale / np.maximum(np.abs(r), 1e-300))
        step = np.linalg.solve(Z.T @ (v[:, None] * Z), Z.T @ (v * r))
        b = b + step
        if np.abs(step).max() < 1e-14 * np.abs(b).max():
            break
    return b


@pytest.mark.parametrize("kind", ["t", "outliers"])
@pytest.mark.parametrize("epsilon", [1.1, 1.35, 3.0])
def test_as_scikit_learn(kind: str, epsilon: float) -> None:
    X, y = noisy(1500, 4, kind=kind)
    fit = gl.fit(X, y, loss=gl.Huber(epsilon))
    theirs = HuberRegressor(epsilon=epsilon, alpha=0, tol=1e-12, max_iter=5000)
    theirs.fit(X, y)
    # Its L-BFGS stops some 1e-5 from the optimum: never below ours.
    r = y - theirs.predict(X)
    best = joint_huber(r, epsilon, theirs.scale_)
    assert fit.certificate.loss <= best * (1 + 1e-14)
    assert fit.certificate.loss == pytest.approx(best, rel=1e-6)
    assert fit.slopes == pytest.approx(theirs.coef_, rel=1e-3)
    scale = fit.settings["scale"]
    assert scale == pytest.approx(theirs.scale_, rel=1e-3)
    # Started at our optimum, it stays there to 1e-6.
    theirs.set_params(warm_start=True)
    theirs.coef_, theirs.intercept_ = fit.slopes, fit.intercept
    theirs.scale_ = scale
    theirs.fit(X, y)
    assert theirs.coef_ == pytest.approx(fit.slopes, rel=1e-6)
    assert theirs.scale_ == pytest.approx(scale, rel=1e-6)


def test_the_loss_is_that_of_torch() -> None:
    X, y = noisy(500, 3)
    fit = gl.fit(X, y, loss=gl.Huber(1.5, scale=0.8))
    predicted = torch.from_numpy(fit.predict(X))
    loss = torch.nn.HuberLoss(delta=1.5 * 0.8)(predicted, torch.from_numpy(y))
    assert fit.certificate.loss == pytest.approx(float(loss), rel=FINE)


@pytest.mark.parametrize("weighted", [False, True])
def test_scale_given_is_the_plain_minimum(weighted: bool) -> None:
    X, y = noisy(800, 3, kind="outliers")
    w = np.random.default_rng(1).random(800) if weighted else None
    fit = gl.fit(X, y, loss="huber:1.35:0.5", weights=w)
    expected = plain(X, y, 1.35, 0.5, w)
    assert [fit.intercept, *fit.slopes] == pytest.approx(expected, rel=FINE)
    r = residuals(fit, X, y)
    assert fit.certificate.loss == pytest.approx(huber(r, 1.35, 0.5, w), rel=FINE)


def test_joint_scale_is_the_minimum_in_the_scale_too() -> None:
    X, y = noisy(700, 2)
    fit = gl.fit(X, y, loss="huber")
    scale = fit.settings["scale"]
    given = gl.fit(X, y, loss=gl.Huber(1.35, scale=scale))
    assert given.slopes == pytest.approx(fit.slopes, rel=FINE)
    r = residuals(fit, X, y)
    found = scipy.optimize.minimize_scalar(
        lambda s: joint_huber(r, 1.35, s), bounds=(scale / 3, scale * 3)
    )
    assert found.x == pytest.approx(scale, rel=1e-5)
    assert fit.certificate.loss <= found.fun * (1 + 1e-14)


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("loss", ["huber", "huber:1.35:0.7", "absolute"])
@pytest.mark.parametrize("kind", ["t", "outliers"])
def test_streamed_is_whole(
    loss: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = noisy(30_000, 5, kind=kind)
    w = np.random.default_rng(2).integers(0, 3, size=len(y)).astype(float)
    parts = gl.fit(X, y, loss=loss, weights=w)
    assert parts.settings["passes"] in (2, 3, 4)
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 10**9)
    whole = gl.fit(X, y, loss=loss, weights=w)
    assert whole.settings["passes"] == 1
    assert parts.slopes == pytest.approx(whole.slopes, rel=FINE)
    assert parts.intercept == pytest.approx(whole.intercept, rel=FINE)
    assert parts.certificate.loss == pytest.approx(whole.certificate.loss, rel=1e-12)
    assert parts.certificate.status == whole.certificate.status == gl.Status.EXACT


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("loss", ["huber", "quantile:0.8"])
def test_a_file_in_batches(loss: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    X, y = noisy(20_000, 3)
    names = ["x1", "x2", "x3", "y"]
    table = pa.table(dict(zip(names, [*X.T, y], strict=True)))
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=3000)
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    whole = gl.fit(X, y, loss=loss)
    for name in ("t.parquet", "t.csv"):
        fit = gl.fit(tmp_path / name, target="y", loss=loss)
        assert fit.settings["passes"] > 1
        assert fit.slopes == pytest.approx(whole.slopes, rel=FINE)
        assert fit.certificate.status == gl.Status.EXACT


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("loss", ["huber", "quantile:0.3"])
def test_order_and_threads_do_not_matter(loss: str) -> None:
    X, y = noisy(60_000, 20)
    fit = gl.fit(X, y, loss=loss)
    order = np.random.default_rng(3).permutation(len(y))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        other = gl.fit(X[order], y[order], loss=loss)
    finally:
        torch.set_num_threads(threads)
    assert other.slopes == pytest.approx(fit.slopes, rel=FINE)


@pytest.mark.parametrize("loss", ["huber", "huber:1.35:0.7", "absolute"])
def test_weights_are_repeated_rows(loss: str) -> None:
    X, y = noisy(400, 3)
    w = np.random.default_rng(4).integers(0, 4, size=400)
    fit = gl.fit(X, y, loss=loss, weights=w.astype(float))
    again = gl.fit(np.repeat(X, w, axis=0), np.repeat(y, w), loss=loss)
    assert fit.slopes == pytest.approx(again.slopes, rel=FINE)
    assert fit.certificate.loss == pytest.approx(again.certificate.loss, rel=FINE)


def test_float32() -> None:
    X, y = noisy(2000, 3)
    fit = gl.fit(X.astype(np.float32), y.astype(np.float32), loss="huber")
    assert fit.slopes == pytest.approx(
        gl.fit(X, y, loss="huber").slopes, rel=TOLERANCE["float32"]
    )


@pytest.mark.parametrize("loss", ["huber", "quantile:0.9"])
def test_unscaled_data(loss: str) -> None:
    X, y = noisy(3000, 3)
    near = gl.fit(X, y, loss=loss)
    far = gl.fit(X * [1e6, 1e-6, 1] + [1e6, 1e-3, 1e8], y, loss=loss)
    scaled = far.slopes * [1e6, 1e-6, 1]
    assert scaled == pytest.approx(near.slopes, rel=1e-7)
    assert far.certificate.status == gl.Status.EXACT


@pytest.mark.parametrize("loss", ["huber", "absolute", "quantile:0.9"])
def test_no_intercept(loss: str) -> None:
    X, y = noisy(500, 2)
    fit = gl.fit(X, y, loss=loss, intercept=False)
    assert fit.intercept == 0
    r = residuals(fit, X, y)
    by_hand = {
        "huber": lambda r: joint_huber(r, 1.35, fit.settings["scale"]),
        "absolute": lambda r: float(np.abs(r).mean()),
        "quantile:0.9": lambda r: float(np.where(r > 0, 0.9 * r, -0.1 * r).mean()),
    }[loss]
    assert fit.certificate.loss == pytest.approx(by_hand(r), rel=FINE)
    for step in np.vstack([np.eye(2), -np.eye(2)]):
        assert by_hand(r - 1e-3 * X @ step) >= by_hand(r)


@pytest.mark.parametrize("loss", ["huber", "huber:1.35:0.7", "absolute"])
def test_dependent_columns(loss: str) -> None:
    X, y = noisy(300, 2)
    both = np.column_stack([X, X[:, 0] * 3])
    fit = gl.fit(both, y, loss=loss)
    assert fit.certificate.status == gl.Status.RANK_DEFICIENT
    assert set(fit.certificate.dependent) == {"x1", "x3"}
    alone = gl.fit(X, y, loss=loss)
    assert fit.predict(both) == pytest.approx(alone.predict(X), rel=1e-8)
    # Of all that fit, the slopes of least norm: 1 and 3 share as 1:3.
    assert fit.slopes[2] == pytest.approx(3 * fit.slopes[0], rel=1e-8)


@pytest.mark.parametrize("loss", ["huber", "huber:1.35:0.7", "absolute"])
def test_fewer_rows_than_columns(loss: str) -> None:
    X, y = noisy(4, 9)
    fit = gl.fit(X, y, loss=loss)
    assert fit.certificate.status == gl.Status.RANK_DEFICIENT
    assert fit.predict(X) == pytest.approx(y, rel=1e-9)
    assert np.abs(fit.slopes).max() < 100


@pytest.mark.parametrize("loss", ["huber", "huber:1.35:0.7", "absolute"])
@pytest.mark.parametrize("constant", [True, False])
def test_perfect_fits(loss: str, constant: bool) -> None:
    X, _ = noisy(50, 2)
    y = np.full(50, 7.0) if constant else X @ [1.0, 2.0] + 3
    fit = gl.fit(X, y, loss=loss)
    assert fit.predict(X) == pytest.approx(y, rel=1e-12)
    assert fit.certificate.gap == 0
    assert fit.certificate.status == gl.Status.EXACT
    if loss == "huber":
        assert fit.settings["scale"] == 0


def test_most_rows_on_one_line() -> None:
    X, _ = noisy(400, 2)
    y = X @ [1.0, 2.0] + 3
    y[:100] += np.random.default_rng(5).normal(size=100) * 50
    fit = gl.fit(X, y, loss="huber")
    assert fit.settings["scale"] == 0
    assert any("scale is 0" in note for note in fit.notes)
    assert fit.slopes == pytest.approx([1, 2], rel=FINE)
    assert fit.settings["outliers"] == pytest.approx(0.25)
    for scale in (1e-3, 0.1, 1.0):
        assert fit.certificate.loss <= joint_huber(residuals(fit, X, y), 1.35, scale)


def test_one_feature_and_few_rows() -> None:
    fit = gl.fit([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 40.0], loss="absolute")
    assert fit.intercept == pytest.approx(0, abs=1e-12)
    assert fit.slopes == pytest.approx([1])


def test_categories_and_missing_values() -> None:
    penguins = pd.read_csv(ROOT / "docs" / "penguins.csv")
    features = ["flipper_length_mm", "sex"]
    fit = gl.fit(
        penguins, target="body_mass_g", features=features, missing="drop", loss="huber"
    )
    assert list(fit.coefficients) == ["flipper_length_mm", "sex[male]"]
    assert fit.rows + fit.dropped == len(penguins)
    assert any("incomplete" in note for note in fit.notes)
    kept = penguins[["body_mass_g", *features]].dropna()
    X = np.column_stack([kept["flipper_length_mm"], kept["sex"] == "male"]).astype(
        float
    )
    again = gl.fit(X, kept["body_mass_g"].to_numpy(), loss="huber")
    assert fit.slopes == pytest.approx(again.slopes, rel=FINE)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 60), st.integers(1, 4), st.booleans())
def test_the_gap_is_a_bound(seed: int, n: int, d: int, free: bool) -> None:
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(n, d)), random.standard_t(1.5, size=n)
    if seed % 3 == 0:
        X, y = np.round(X), np.round(y)
    loss = gl.Huber(1.35, None if free else 0.5)
    fit = gl.fit(X, y, loss=loss)
    c = fit.certificate
    assert c.gap >= 0
    if str(c.status) == "rank_deficient":
        return
    r, scale = residuals(fit, X, y), fit.settings["scale"]
    value = joint_huber if free else huber
    if scale == 0:
        assert c.loss == pytest.approx(2 * 1.35 * np.abs(r).mean(), rel=1e-8, abs=1e-9)
        return
    assert c.loss == pytest.approx(value(r, 1.35, scale), rel=1e-9)
    for size in (0.1, 1e-3, 1e-5):
        step = random.normal(size=d) * size
        wide = scale * (1 + size * random.normal()) if free else scale
        if wide > 0:
            there = value(r - X @ step - size * random.normal(), 1.35, wide)
            assert there >= c.optimum_loss - 1e-12 * c.loss


def test_stopped_short(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = noisy(20_000, 3)
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    exact = gl.fit(X, y, loss="absolute").certificate.loss
    monkeypatch.setattr(gradline.approach, "MOST_PASSES", 1)
    monkeypatch.setattr(gradline.approach, "rows_to_choose", lambda *_: 200)
    monkeypatch.setattr("gradline.robust.rows_to_choose", lambda *_: 200)
    fit = gl.fit(X, y, loss="absolute")
    c = fit.certificate
    assert c.status == gl.Status.NOT_CONVERGED
    assert c.optimum_loss <= exact * (1 + 1e-12)
    assert c.loss >= exact * (1 - 1e-12)
    assert "Stopped after 2 passes" in c.advice


def test_table_json_and_file(tmp_path: Path) -> None:
    X, y = noisy(300, 2)
    fit = gl.fit(X, y, loss="huber")
    text = str(fit)
    assert "Huber regression, epsilon 1.35, scale" in text
    assert "by the gradient" in text
    assert "No standard errors for Huber regression" in text
    assert "lr limit" not in text
    assert "drawn with replacement" in (fit.no_inference or "")
    strict_json(summary(fit))
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert again.predict(X) == pytest.approx(fit.predict(X))
    assert again.settings["scale"] == fit.settings["scale"]
    assert math.isnan(again.certificate.lr_limit)
    with pytest.raises(gl.DataError, match="no standard errors for Huber"):
        fit.inference()
    assert fit.evaluate(X, y).rmse == pytest.approx(fit.metrics.rmse)
    assert fit.metrics.mae == pytest.approx(np.abs(residuals(fit, X, y)).mean())


def test_progress_names_the_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []

    @contextmanager
    def progress(title: str, _: int | None) -> Any:
        titles.append(title)
        yield int

    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    X, y = noisy(5000, 2)
    gl.fit(X, y, loss="huber", progress=progress)
    assert titles[:2] == ["reading", "pass 2"]


def test_ctrl_c_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    calls = []

    def stop(*_: Any) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Globs, "add", stop)
    X, y = noisy(5000, 2)
    with pytest.raises(KeyboardInterrupt):
        gl.fit(X, y, loss="absolute")
    assert calls


def test_globs_merge_as_one() -> None:
    random = np.random.default_rng(0)
    z, r = random.normal(size=(3, 900)), random.normal(size=900)
    w = random.random(900)
    place = Place(np.zeros(3), 0.7, 1.35, 50)
    whole = Globs(place)
    whole.add(z.copy(), r.copy(), w.copy())
    halves = [Globs(place), Globs(place)]
    for part, half in ((slice(0, 400), halves[0]), (slice(400, 900), halves[1])):
        half.add(z[:, part].copy(), r[part].copy(), w[part].copy())
    halves[0].merge(halves[1])
    one, two = whole.rows(), halves[0].rows()
    assert len(one.r) == len(two.r) == 50
    assert np.sort(one.r) == pytest.approx(np.sort(two.r))
    assert whole.reach == pytest.approx(halves[0].reach)
    for name in ("up", "down", "square", "up_weight", "square_weight"):
        assert getattr(whole, name) == pytest.approx(getattr(halves[0], name))


def test_some_rows_are_the_same_however_they_are_read() -> None:
    X = np.arange(10_000.0)[:, None]
    chunk = Chunk(X, X[:, 0], None)
    one, two = Some(500, 10_000), Some(500, None)
    one.take(0, chunk)
    other = Some(500, None)
    for start in range(0, 10_000, 1700):
        part = Chunk(X[start : start + 1700], X[start : start + 1700, 0], None)
        (two if start < 5000 else other).take(start, part)
    other.merge(two)
    first, second = one.done(500).y, other.done(500).y
    assert 400 < len(first) < 800
    assert 400 < len(second) < 1100
    small = min(first, second, key=len)
    assert set(small) <= set(max(first, second, key=len))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("median", "did you mean 'absolute'"),
        ("MAE", "did you mean 'absolute'"),
        ("l1", "did you mean 'absolute'"),
        ("mse", "did you mean 'squared'"),
        ("l2", "did you mean 'squared'"),
        (torch.nn.MSELoss, r"the class MSELoss itself: make one of it, MSELoss\(\)"),
        (3, "a torch loss module such as"),
    ],
)
def test_names_from_elsewhere(loss: Any, message: str) -> None:
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(*noisy(20, 1), loss=loss)


def test_quantile_alone_is_the_median() -> None:
    X, y = noisy(101, 1)
    assert gl.fit(X, y, loss="quantile").settings["level"] == 0.5
