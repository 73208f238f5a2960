"""Learning and validation curves: the same as refits on the same rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import gradline as gl
from gradline.data import Array
from gradline.folds import as_folds
from gradline.learning import drawn
from gradline.plots import curve_figure, curves_figure
from gradline.prepare import prepare
from gradline.rowhash import word
from gradline.validating import every_fold
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]


def data(rows: int = 500, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4)) * [1, 10, 0.1, 3] + [0, 5, 0, 100]
    return X, X @ [1.0, 0.2, -3.0, 0.0] + rng.normal(size=rows)


def wavy(rows: int = 80, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows)
    return x, np.sin(3 * x) + 0.3 * rng.normal(size=rows)


def places(X: Array, y: Array, split: Any, part: str) -> Array:
    """Which rows belong to a part."""
    prepared = prepare(X, y, split=split)
    source = prepared.source if part == "train" else prepared.validation
    assert source is not None
    names = [c.name for c in source.columns][:1]
    return np.concatenate([b.places for b in source.batches(names)])  # type: ignore[attr-defined]


def chosen(n: int, share: float, seed: int = 0) -> Array:
    """Which rows a subset has, (n,) of booleans."""
    salt = np.uint64(word(f"learning curve {seed}"))
    found: Array = drawn(np.arange(n), salt) < share
    return found


def mse(model: Any, X: Array, y: Array, w: Array | None = None) -> float:
    return float(np.average((model.predict(X) - y) ** 2, weights=w))


SHARES = [0.05, 0.3, 1.0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [None, 0.2])
def test_a_learning_curve_is_refits_on_the_same_subsets(
    weighted: bool, alpha: float | None
) -> None:
    X, y = data()
    w = np.random.default_rng(2).uniform(0.5, 2, len(y)) if weighted else None
    penalty: Any = None if alpha is None else "ridge"
    found = gl.learning_curve(
        X, y, sizes=SHARES, folds=3, weights=w, penalty=penalty, alpha=alpha, seed=5
    )
    for place, share in enumerate(SHARES):
        subset = chosen(len(y), share, seed=5)
        rows = []
        for fold, split in enumerate(every_fold(as_folds(3))):
            train = places(X, y, split, "train")
            held = places(X, y, split, "validation")
            assert len(train) + len(held) == len(y)
            train = train[subset[train]]
            model: Any = LinearRegression()
            ws = None if w is None else w[train]
            scale = 1.0
            if alpha is not None:
                total = len(train) if ws is None else ws.sum()
                model = Ridge(alpha * total)
                mean = np.average(X[train], axis=0, weights=ws)
                scale = np.sqrt(np.average((X[train] - mean) ** 2, axis=0, weights=ws))
            model.fit(X[train] / scale, y[train], ws)
            wh = None if w is None else w[held]
            rows.append(len(train))
            assert found.train_errors[place, fold] == pytest.approx(
                mse(model, X[train] / scale, y[train], ws), rel=RTOL
            )
            assert found.validation_errors[place, fold] == pytest.approx(
                mse(model, X[held] / scale, y[held], wh), rel=RTOL
            )
        assert found.rows[place] == pytest.approx(np.mean(rows))
    np.testing.assert_allclose(
        found.validation_rmse, np.sqrt(found.validation_errors.mean(axis=1))
    )
    np.testing.assert_allclose(
        found.validation_spread, np.sqrt(found.validation_errors).std(axis=1, ddof=1)
    )


def test_a_learning_curve_on_a_validation_part() -> None:
    X, y = data()
    split = gl.Split(validation=0.3, test=0.1)
    found = gl.learning_curve(X, y, sizes=[30, 200], split=split)
    train, held = (places(X, y, split, part) for part in ("train", "validation"))
    for place, size in enumerate([30, 200]):
        some = train[chosen(len(y), size / len(train))[train]]
        assert found.rows[place] == len(some)
        assert abs(len(some) - size) < 5 * size**0.5
        model = LinearRegression().fit(X[some], y[some])
        assert found.validation_errors[place, 0] == pytest.approx(
            mse(model, X[held], y[held]), rel=RTOL
        )
    assert np.isnan(found.validation_spread).all()
    assert "one validation part" in str(found)


def test_the_last_point_is_cross_validation() -> None:
    X, y = data()
    found = gl.learning_curve(X, y, folds=4)
    want = gl.cross_validate(X, y, penalty=None, folds=4)
    assert found.validation_rmse[-1] == pytest.approx(want.rmse[0], rel=RTOL)
    assert (np.diff(found.rows) > 0).all()
    assert found.rows[0] >= X.shape[1] + 2
    lasso = gl.learning_curve(X, y, folds=4, penalty="lasso", alpha=0.1, sizes=[1.0])
    same = gl.cross_validate(X, y, penalty="lasso", alphas=[0.1], folds=4)
    assert lasso.validation_rmse[0] == pytest.approx(same.rmse[0], rel=1e-7)


def test_files_in_pieces_give_the_same_curve(tmp_path: Path) -> None:
    X, y = data(3000)
    table = pd.DataFrame(X, columns=list("abcd")).assign(y=y)
    table.to_parquet(tmp_path / "t.parquet", row_group_size=311)
    table.to_csv(tmp_path / "t.csv", index=False)
    want = gl.learning_curve(table, target="y", sizes=SHARES)
    for name in ("t.parquet", "t.csv"):
        found = gl.learning_curve(tmp_path / name, target="y", sizes=SHARES)
        np.testing.assert_array_equal(found.rows, want.rows)
        np.testing.assert_allclose(
            found.validation_errors, want.validation_errors, rtol=RTOL
        )
        np.testing.assert_allclose(found.train_errors, want.train_errors, rtol=RTOL)


def test_other_folds() -> None:
    X, y = data(300)
    table = pd.DataFrame(X, columns=list("abcd")).assign(
        y=y, day=np.arange(300) // 3, who=np.arange(300) % 7
    )
    later = gl.TimeSeriesFolds("day", 3)
    found = gl.learning_curve(table, target="y", folds=later, sizes=[1.0])
    assert found.rows[0] == pytest.approx((75 + 150 + 225) / 3, abs=3)
    curve = gl.validation_curve(
        table, target="y", folds=later, parameter="alpha", values=[0.0], penalty="ridge"
    )
    np.testing.assert_allclose(
        curve.validation_errors, found.validation_errors, rtol=RTOL
    )
    groups = gl.GroupKFold("who", 3)
    found = gl.learning_curve(table, target="y", folds=groups, sizes=[1.0])
    by_fit = gl.validation_curve(
        table, target="y", folds=groups, parameter="degree", values=[1]
    )
    np.testing.assert_allclose(
        by_fit.validation_errors, found.validation_errors, rtol=1e-7
    )
    twice = gl.learning_curve(X, y, folds=gl.KFold(3, repeats=2), sizes=[1.0])
    assert twice.validation_errors.shape == (1, 6)
    assert "3 folds, 2 times" in twice.how


def test_degrees_are_refits() -> None:
    x, y = wavy()
    degrees = [1, 3, 7]
    found = gl.validation_curve(x, y, parameter="degree", values=degrees, folds=4)
    for fold, split in enumerate(every_fold(as_folds(4))):
        train, held = (places(x, y, split, part) for part in ("train", "validation"))
        for place, degree in enumerate(degrees):
            model = make_pipeline(PolynomialFeatures(degree), LinearRegression())
            model.fit(x[train, None], y[train])
            assert found.train_errors[place, fold] == pytest.approx(
                mse(model, x[train, None], y[train]), rel=1e-7
            )
            assert found.validation_errors[place, fold] == pytest.approx(
                mse(model, x[held, None], y[held]), rel=1e-7
            )
    assert found.best == 3
    assert "3" in str(found).splitlines()[found.best_index + 3]
    assert str(found).splitlines()[found.best_index + 3].endswith("best")


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("split", [None, gl.Split(validation=0.3)])
def test_alphas_are_refits(standardize: bool, split: Any) -> None:
    X, y = data(120)
    alphas = [0.0, 0.1, 10.0]
    found = gl.validation_curve(
        X,
        y,
        parameter="alpha",
        values=alphas,
        penalty="ridge",
        standardize=standardize,
        split=split,
    )
    splits = [split] if split is not None else every_fold(as_folds(5))
    for fold, each in enumerate(splits):
        train, held = (places(X, y, each, part) for part in ("train", "validation"))
        for place, alpha in enumerate(alphas):
            model: Any = Ridge(alpha * len(train))
            if standardize:
                model = make_pipeline(StandardScaler(), model)
            model.fit(X[train], y[train])
            assert found.validation_errors[place, fold] == pytest.approx(
                mse(model, X[held], y[held]), rel=1e-7
            )
    assert found.validation_errors.shape == (3, len(splits))


def test_lasso_alphas_are_fits() -> None:
    X, y = data(150)
    split = gl.Split(validation=0.3)
    options: Any = {"penalty": "lasso", "split": split}
    found = gl.validation_curve(
        X, y, parameter="alpha", values=[0.01, 0.5], penalty="lasso", split=split
    )
    held = places(X, y, split, "validation")
    for place, alpha in enumerate([0.01, 0.5]):
        fit = gl.fit(X, y, alpha=alpha, **options)
        assert found.train_errors[place, 0] == pytest.approx(
            fit.metrics.rmse**2, rel=1e-6
        )
        assert found.validation_errors[place, 0] == pytest.approx(
            mse(fit, X[held], y[held]), rel=1e-6
        )


@pytest.mark.parametrize(
    "options",
    [{"lr": 0.05}, {"lr": 0.02, "momentum": 0.9}, {"lr": 0.01, "optimizer": "Adam"}],
)
def test_epochs_are_refits(options: dict[str, Any]) -> None:
    x, y = wavy()
    epochs = [0, 3, 40]
    found = gl.validation_curve(
        x, y, parameter="epochs", values=epochs, degree=4, folds=2, **options
    )
    for fold, split in enumerate(every_fold(as_folds(2))):
        held = places(x, y, split, "validation")
        for place, many in enumerate(epochs):
            fit = gl.fit(x, y, epochs=many, degree=4, split=split, **options)  # type: ignore[arg-type]
            assert found.train_errors[place, fold] == pytest.approx(
                fit.certificate.loss, rel=RTOL
            )
            assert found.validation_errors[place, fold] == pytest.approx(
                mse(fit, x[held], y[held]), rel=RTOL
            )


def test_any_other_setting() -> None:
    x, y = wavy()
    found = gl.validation_curve(
        x, y, parameter="lr", values=[0.1, 50.0], epochs=20, folds=3
    )
    assert np.isfinite(found.validation_rmse[0])
    assert np.isinf(found.validation_rmse[1])  # it diverged
    assert found.best == 0.1
    named = gl.validation_curve(
        x, y, parameter="optimizer", values=["SGD", "Adam"], epochs=5, lr=0.1, folds=2
    )
    assert named.values == ("SGD", "Adam")


def test_categories_and_scales_are_learned_from_the_training_rows() -> None:
    rng = np.random.default_rng(0)
    kind = np.array(["a", "b", "c"])[rng.integers(0, 3, 120)]
    table = pd.DataFrame({"x": rng.normal(size=120), "kind": kind})
    table["y"] = table["x"] + (table["kind"] == "b") + 0.1 * rng.normal(size=120)
    curve = gl.validation_curve(
        table, target="y", parameter="degree", values=[1, 2], folds=3
    )
    assert curve.target == "y"
    assert (curve.validation_rmse < 0.15).all()


def test_pictures(tmp_path: Path) -> None:
    x, y = wavy()
    curve = gl.validation_curve(x, y, parameter="degree", values=[1, 2, 3], folds=3)
    figure = curve.plot(tmp_path / "c.png")
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels == ["training", "validation", f"best: {curve.best}"]
    assert (tmp_path / "c.png").stat().st_size > 1000
    learned = gl.learning_curve(*wavy(500))
    assert learned.plot().axes[0].get_xscale() == "log"
    error = np.array([1.0, 2.0])
    named = curve_figure(
        ["SGD", "Adam"],
        (error, np.full(2, np.nan)),
        (np.array([1.0, np.inf]), np.full(2, np.nan)),
        x_name="optimizer",
        y_name="error",
        best=0,
    )
    texts = [t.get_text() for t in named.axes[0].get_xticklabels()]
    assert texts == ["SGD", "Adam"]
    drawn_curves = curves_figure(x, y, {"line": (x, x), "other": (x, 2 * x)})
    assert drawn_curves.axes[0].get_legend_handles_labels()[1][1:] == ["line", "other"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameter": "degrees", "values": [1]}, "did you mean 'degree'"),
        ({"parameter": "degree", "values": []}, "give a list of what to try"),
        ({"parameter": "loss", "values": "absolute"}, "give a list of what to try"),
        ({"parameter": "target", "values": ["y"]}, "no setting to try"),
        ({"parameter": "lr", "values": [1], "lr": 2}, "given too"),
        ({"parameter": "alpha", "values": [1]}, "give penalty='ridge'"),
        (
            {"parameter": "alpha", "values": [-1], "penalty": "ridge"},
            "an alpha is -1: give 0 or more",
        ),
        (
            {"parameter": "lr", "values": [1], "split": gl.Split(test=0.2)},
            "has no validation part",
        ),
        (
            {
                "parameter": "lr",
                "values": [1],
                "split": gl.Split(validation=0.2),
                "folds": 3,
            },
            "folds and split are both given",
        ),
        ({"parameter": "lr", "values": [1], "folds": "x"}, "folds is 'x'"),
    ],
)
def test_validation_refusals(options: dict[str, Any], message: str) -> None:
    x, y = wavy()
    with pytest.raises(gl.UsageError, match=message):
        gl.validation_curve(x, y, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sizes": [0]}, gl.UsageError, "a size is 0: give shares"),
        ({"sizes": [2.5]}, gl.UsageError, "a size is 2.5"),
        ({"sizes": []}, gl.UsageError, "sizes is empty"),
        ({"sizes": [1000]}, gl.UsageError, "there are 64 rows to learn from"),
        ({"sizes": [1e-6]}, gl.DataError, "leaves no row"),
        ({"penalty": "ridge"}, gl.UsageError, "give its weight as a number"),
        ({"penalty": "ridge", "alpha": "cv"}, gl.UsageError, "give its weight"),
        (
            {"sizes": [30], "folds": gl.TimeSeriesFolds("x")},
            gl.UsageError,
            "give sizes as shares",
        ),
    ],
)
def test_learning_refusals(options: dict[str, Any], error: Any, message: str) -> None:
    x, y = wavy()
    table = pd.DataFrame({"x": x, "z": x**2, "y": y})
    with pytest.raises(error, match=message):
        gl.learning_curve(table, target="y", **options)


def test_an_interrupted_descent_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data(60)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gradline.stepping.LoopSteps.turns", interrupted)
    monkeypatch.setattr("gradline.affine.AffineSteps.turns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gl.validation_curve(
            X, y, parameter="lr", values=[0.01, 0.02], method="sgd", epochs=2
        )


def test_words_are_points_and_a_lost_value_is_marked() -> None:
    x, y = wavy()
    frame = {"x": x, "z": np.cos(3 * x), "y": y}
    curve = gl.validation_curve(
        frame, target="y", parameter="features", values=[["x"], ["z"], ["x", "z"]]
    )
    (ax,) = curve.plot().axes
    assert {line.get_linestyle() for line in ax.get_lines()} == {"None"}
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["x", "z", "x, z"]
    wild = gl.validation_curve(x, y, parameter="lr", values=[0.01, 1e6], epochs=5)
    (ax,) = wild.plot().axes
    assert [line.get_label() for line in ax.get_lines()].count("diverged") == 1
    assert "diverged" in str(wild)
    assert "nan" not in str(wild)


def test_curves_survive_json() -> None:
    x, y = wavy()
    wild = gl.validation_curve(x, y, parameter="lr", values=[0.01, 1e6], epochs=5)
    found = json.loads(json.dumps(wild.to_dict(), allow_nan=False))
    assert found["values"] == [0.01, 1e6]
    assert found["validation_rmse"][1] is None
    assert found["best"] == 0.01
    rows = json.loads(json.dumps(gl.learning_curve(x, y).to_dict(), allow_nan=False))
    assert len(rows["rows"]) == len(rows["train_rmse"])


def test_a_seed_without_a_random_start_is_refused() -> None:
    x, y = wavy()
    with pytest.raises(gl.UsageError, match="an exact fit has no random start"):
        gl.validation_curve(x, y, parameter="seed", values=[1, 2])


def test_the_table_says_what_the_spread_is() -> None:
    x = np.arange(80.0)
    y = x + np.sin(x)
    shown = " ".join(str(gl.learning_curve(x, y)).split())
    assert "errors, ± their standard deviation over folds" in shown
    split = gl.Split(validation=0.3)
    assert "±" not in str(gl.learning_curve(x, y, split=split))
