"""Cross-validation from states, against plain passes over the rows and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gradline as gl
from gradline.choosing import choose_alpha
from gradline.crossval import choose, path_errors, standard_errors
from gradline.data import Array
from gradline.folds import Folds
from gradline.foldstates import read_folds
from gradline.objective import Penalty
from gradline.prepare import prepare
from gradline.ridge import ridge_path
from helpers import TOLERANCE, real_table

PENGUINS = Path(__file__).parents[1] / "docs" / "penguins.csv"

ALPHAS = np.logspace(2, -4, 13)


def table(rows: int = 240) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(rows, 8))
    x[:, 3] = x[:, 0] + 0.2 * x[:, 3]
    frame = pd.DataFrame(x * np.logspace(0, 2, 8) + 7, columns=list("abcdefgh"))
    frame["day"] = draw.permutation(rows)
    frame["who"] = draw.integers(0, 30, rows)
    frame["y"] = x @ [1.0, 0, 0, -1, 0.5, 0, 0, 0] + 2 * draw.normal(size=rows) + 1e3
    frame["z"] = 1e4 * x[:, 5] + 3e3 * draw.normal(size=rows)
    return frame


FEATURES = list("abcdefgh")


def fold_of(frame: pd.DataFrame, folds: Folds, repeat: int = 0) -> Any:
    """The block of each row."""
    source = prepare(frame, target="y", features=FEATURES).source
    labeller = folds.labeller(source)
    (batch,) = source.batches([*FEATURES, *folds.columns])
    return labeller(batch, 0)[repeat].astype(int)


def plain_errors(
    frame: pd.DataFrame, folds: Folds, solver: Any, target: str = "y"
) -> Array:
    """(A, F) by fitting and predicting rows."""
    X, y = frame[FEATURES].to_numpy(), frame[target].to_numpy()
    found = []
    for fold in range(folds.count * folds.repeats):
        labels = fold_of(frame, folds, fold // folds.count)
        here = fold % folds.count + folds.in_order
        rest = labels < here if folds.in_order else labels != here
        held = labels == here
        errors = []
        for alpha in ALPHAS:
            model = make_pipeline(StandardScaler(), solver(alpha, int(rest.sum())))
            model.fit(X[rest], y[rest])
            errors.append(np.mean((y[held] - model.predict(X[held])) ** 2))
        found.append(errors)
    return np.array(found).T


WAYS: list[Folds] = [
    gl.KFold(5),
    gl.KFold(3, repeats=2),
    gl.GroupKFold("who", 4),
    gl.TimeSeriesFolds("day", 3),
]


@pytest.mark.parametrize("folds", WAYS, ids=repr)
def test_errors_are_those_of_the_rows(folds: Folds) -> None:
    frame = table()
    found = gl.cross_validate(
        frame, target=["y", "z"], features=FEATURES, alphas=ALPHAS, folds=folds
    )
    assert found.errors.shape == (13, folds.count * folds.repeats, 2)
    for place, target in enumerate(["y", "z"]):
        wanted = plain_errors(
            frame, folds, lambda alpha, n: Ridge(alpha * n, solver="svd"), target
        )
        assert found.errors[:, :, place] == pytest.approx(
            wanted, rel=TOLERANCE["float64"]
        )


@pytest.mark.parametrize("ratio", [1.0, 0.4])
def test_lasso_and_elastic_net(ratio: float) -> None:
    frame = table()
    folds = gl.KFold(4)
    found = gl.cross_validate(
        frame,
        target="y",
        features=FEATURES,
        alphas=ALPHAS,
        folds=folds,
        penalty="lasso" if ratio == 1 else "elastic_net",
        l1_ratio=None if ratio == 1 else ratio,
    )

    def solver(alpha: float, _: int) -> Any:
        return ElasticNet(alpha, l1_ratio=ratio, tol=1e-12, max_iter=100_000)

    wanted = plain_errors(frame, folds, solver)
    assert found.errors[:, :, 0] == pytest.approx(wanted, rel=1e-7)


def test_without_a_penalty_the_plain_score_of_least_squares() -> None:
    frame = table()
    folds = gl.KFold(6, seed=4)
    found = gl.cross_validate(
        frame, target="y", features=FEATURES, penalty=None, folds=folds
    )
    theirs = cross_val_score(
        LinearRegression(),
        frame[FEATURES],
        frame["y"],
        cv=PredefinedSplit(fold_of(frame, folds)),
        scoring="neg_mean_squared_error",
    )
    assert found.errors[0, :, 0] == pytest.approx(-theirs, rel=TOLERANCE["float64"])
    assert found.alphas.tolist() == [0.0]
    fit = gl.fit(frame, target="y", features=FEATURES)
    assert found.coefficients["y"] == pytest.approx(fit.coefficients, rel=1e-8)
    assert found.intercepts[0] == pytest.approx(fit.intercept)


@pytest.mark.parametrize("intercept", [True, False])
def test_weights(intercept: bool) -> None:
    frame = table()
    w = np.random.default_rng(0).uniform(0.1, 3, len(frame))
    found = gl.cross_validate(
        frame,
        target="y",
        features=FEATURES,
        alphas=ALPHAS,
        weights=w,
        intercept=intercept,
        standardize=False,
    )
    labels = fold_of(frame, gl.KFold())
    X, y = frame[FEATURES].to_numpy(), frame["y"].to_numpy()
    for fold in range(5):
        rest, held = labels != fold, labels == fold
        for place, alpha in enumerate(ALPHAS):
            model = Ridge(alpha * w[rest].sum(), fit_intercept=intercept, solver="svd")
            model.fit(X[rest], y[rest], sample_weight=w[rest])
            off = y[held] - model.predict(X[held])
            wanted = np.average(off**2, weights=w[held])
            assert found.errors[place, fold, 0] == pytest.approx(wanted, rel=1e-8)


def test_far_from_zero_and_hardly_any_noise() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 3))
    y = x @ [1.0, 2.0, 3.0] + 1e-4 * draw.normal(size=400)
    near = gl.cross_validate(x, y, penalty=None)
    moved = gl.cross_validate((x + 2.0**30), y + 2.0**20, penalty=None)
    kept = (x + 2.0**30) - 2.0**30, (y + 2.0**20) - 2.0**20
    wanted = gl.cross_validate(*kept, penalty=None)
    assert near.rmse[0] == pytest.approx(1e-4, rel=0.1)
    assert moved.errors == pytest.approx(wanted.errors, rel=1e-6)


def test_an_error_is_never_the_difference_of_large_numbers() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 2))
    y = 1e6 * (x @ [1.0, 2.0]) + draw.normal(size=600)
    ready = prepare(x, y)
    states = read_folds(ready.source, ready.design, gl.KFold())
    found = path_errors(states, ridge_path, np.array([0.0]))[0, :, 0]
    labels = gl.KFold().labeller(ready.source)(
        next(iter(ready.source.batches(["x1"]))), 0
    )
    for fold in range(5):
        rest, held = labels[0] != fold, labels[0] == fold
        model = LinearRegression().fit(x[rest], y[rest])
        wanted = np.mean((y[held] - model.predict(x[held])) ** 2)
        assert found[fold] == pytest.approx(wanted, rel=1e-8)


def test_choices() -> None:
    alphas = np.array([8.0, 4.0, 2.0, 1.0])
    errors = np.array(
        [[[9.0], [7.0]], [[5.2], [6.2]], [[5.0], [6.0]], [[5.1], [6.1]]]
    )  # the least mean is 5.5 at alpha 2, its standard error 0.5
    assert standard_errors(errors)[2, 0] == pytest.approx(0.5)
    assert choose(alphas, errors, "cv") == [2]
    assert choose(alphas, errors, "1se") == [1]
    upside_down = choose(alphas[::-1], errors[::-1], "1se")
    assert alphas[::-1][upside_down] == [4.0]
    level = np.ones((4, 2, 1))
    assert choose(alphas, level, "cv") == [0]  # of equals the largest
    level[3] = np.nan
    assert choose(alphas, level, "1se") == [0]
    assert np.isnan(standard_errors(errors[:, :1])).all()


def test_each_target_gets_its_own_penalty() -> None:
    frame = table()
    both = gl.cross_validate(frame, target=["y", "z"], features=FEATURES)
    assert both.targets == ("y", "z")
    assert both.best_alpha[0] != both.best_alpha[1]
    for place, target in enumerate(["y", "z"]):
        one = gl.cross_validate(frame, target=target, features=FEATURES)
        assert both.best_alpha[place] == one.best_alpha[0]
        assert both.alpha_1se[place] == one.alpha_1se[0]
        assert both.errors[:, :, place] == pytest.approx(one.errors[:, :, 0], rel=1e-9)
        alpha = float(one.alpha[0])
        fit = gl.fit(
            frame, target=target, features=FEATURES, penalty="ridge", alpha=alpha
        )
        assert both.coefficients[target] == pytest.approx(fit.coefficients, rel=1e-7)
        assert one.coefficients[target] == pytest.approx(fit.coefficients, rel=1e-7)


def test_arrays_of_targets_are_columns_of_targets() -> None:
    frame = table()
    wanted = gl.cross_validate(frame, target=["y", "z"], features=FEATURES)
    X = frame[FEATURES]
    arrays = gl.cross_validate(X.to_numpy(), frame[["y", "z"]].to_numpy())
    assert arrays.targets == ("y1", "y2")
    assert arrays.errors == pytest.approx(wanted.errors, rel=1e-9)
    frames = gl.cross_validate(X, frame[["y", "z"]])
    assert frames.targets == ("y", "z")
    assert frames.errors == pytest.approx(wanted.errors, rel=1e-9)


def test_incomplete_targets() -> None:
    frame = table()
    frame.loc[5, "z"] = np.nan
    frame.loc[9, "a"] = np.nan
    both = {"target": ["y", "z"], "features": FEATURES, "missing": "drop"}
    found = gl.cross_validate(frame, **both)
    assert (found.rows, found.dropped) == (238, 2)
    with pytest.raises(gl.MissingValueError, match="target 'z' has a .* row 6: fill"):
        gl.cross_validate(frame.fillna({"a": 0.0}), target=["y", "z"])
    left_out = gl.cross_validate(frame, **both, rule="loo")
    full = frame.dropna()
    wanted = gl.cross_validate(full, target=["y", "z"], features=FEATURES, rule="loo")
    assert left_out.errors == pytest.approx(wanted.errors, rel=1e-9)


def test_the_training_part_alone_is_cross_validated() -> None:
    frame = table()
    split = gl.Split(test=0.3, column=None, seed=1)
    found = gl.cross_validate(frame, target="y", features=FEATURES, split=split)
    assert found.rows == gl.fit(frame, target="y", features=FEATURES, split=split).rows


@pytest.mark.parametrize("rule", ["cv", "1se", "gcv", "loo"])
def test_an_alpha_for_a_fit(rule: str) -> None:
    frame = table()
    ready = prepare(frame, target="y", features=FEATURES)
    chosen = choose_alpha(ready, Penalty(rule, 0.0))
    alone = gl.cross_validate(frame, target="y", features=FEATURES, rule=rule)  # type: ignore[arg-type]
    assert chosen.penalty.alpha == alone.alpha[0]
    assert chosen.curve.errors == pytest.approx(alone.errors, rel=1e-12)
    assert chosen.survey.tally.rows == len(frame)
    plain = gl.fit(frame, target="y", features=FEATURES)
    assert chosen.survey.optimum[:-1].tolist() == pytest.approx(
        list(plain.coefficients.values()), rel=1e-9
    )


def test_a_table_and_a_picture(tmp_path: Path) -> None:
    frame = table()
    found = gl.cross_validate(frame, target=["y", "z"], features=FEATURES)
    text = str(found)
    assert text.startswith("8 terms, 240 rows, ridge, 100 alphas, 5 folds")
    assert "alpha, 1 se" in text
    assert repr(found) == "<CrossValidation of 2 targets at 100 alphas, 5 folds>"
    found.plot(tmp_path / "cv.png", target="z")
    assert (tmp_path / "cv.png").stat().st_size > 10_000
    with pytest.raises(gl.UsageError, match="no target 'q': give one of 'y', 'z'"):
        found.plot(target="q")
    plain = gl.cross_validate(frame, target="y", features=FEATURES, penalty=None)
    assert "least squares" in str(plain)
    with pytest.raises(gl.DataError, match="one alpha is no curve"):
        plain.plot()


def test_a_grid_that_ends_too_early_is_noted() -> None:
    frame = table()
    found = gl.cross_validate(frame, target="y", features=FEATURES, alphas=[1e3, 1e2])
    assert (
        "is the smallest tried, 100: the error may be less at a smaller"
        in found.notes[0]
    )
    assert "Note: the alpha chosen for 'y'" in str(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"penalty": None, "alphas": [1.0]}, "no alpha to choose"),
        ({"penalty": None, "standardize": True}, "standardize is for a penalty"),
        ({"rule": "loo", "folds": 5}, "needs no folds"),
        ({"rule": "loo", "penalty": "lasso"}, "closed form for ridge alone"),
        ({"rule": "best"}, "rule is 'best'"),
        ({"alphas": [-1.0]}, "give numbers of 0 or more"),
        ({"alphas": []}, "give numbers of 0 or more"),
        ({"target": ["y", "y"]}, "name each target once"),
        ({"target": []}, "name each target once"),
    ],
)
def test_what_cannot_be_meant(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(gl.UsageError, match=message):
        gl.cross_validate(table(), **{"target": "y", "features": FEATURES} | arguments)


def test_targets_that_do_not_go() -> None:
    frame = table()
    with pytest.raises(gl.ColumnError, match="'z' is a target and a feature"):
        gl.cross_validate(frame, target=["y", "z"], features=["a", "z"])
    with pytest.raises(gl.ColumnError, match="would let the answer leak in"):
        gl.cross_validate(frame, frame[["y", "z"]])
    with pytest.raises(gl.ShapeError, match="y has 2 columns and 3 targets are named"):
        gl.cross_validate(frame[FEATURES], frame[["y", "z"]], target=["p", "q", "r"])


def test_real_data() -> None:
    table_ = real_table("penguins_categorical_missing").dropna()
    found = gl.cross_validate(table_, target="body_mass_g", exclude=["year"])
    assert found.r2[0] > 0.85
    assert found.alpha_1se[0] > found.best_alpha[0]


def test_columns_that_say_the_fold_are_no_features_unless_named() -> None:
    frame = table().drop(columns=["z", "day"])
    found = gl.cross_validate(frame, target="y", folds=gl.GroupKFold("who"))
    assert found.terms == tuple(FEATURES)
    fit = gl.fit(frame, target="y", penalty="ridge", folds=gl.GroupKFold("who"))
    assert fit.design.terms == tuple(FEATURES)
    named = gl.cross_validate(
        frame, target="y", features=["a", "who"], folds=gl.GroupKFold("who")
    )
    assert named.terms == ("a", "who")


def test_one_fold_of_time_and_one_column_of_targets() -> None:
    frame = table()
    found = gl.cross_validate(
        frame, target="y", features=FEATURES, folds=gl.TimeSeriesFolds("day", 1)
    )
    assert found.errors.shape == (100, 1, 1)
    assert np.isnan(found.standard_error).all()
    column = gl.cross_validate(frame[FEATURES].to_numpy(), frame[["y"]].to_numpy())
    assert column.targets == ("y",)


def test_many_targets_and_a_formula() -> None:
    given = {"formula": "~ sex*species", "missing": "drop", "penalty": None}
    found = gl.cross_validate(PENGUINS, target=["body_mass_g", "year"], **given)
    assert found.targets == ("body_mass_g", "year")
    for place, name in enumerate(found.targets):
        alone = gl.cross_validate(PENGUINS, target=name, **given)
        assert found.rmse[place] == pytest.approx(alone.rmse[0], rel=1e-10)
    with pytest.raises(gl.ColumnError, match="'year' is a target and a feature: take"):
        gl.cross_validate(
            PENGUINS, target=["body_mass_g", "year"], formula="~ sex + year"
        )
    dotted = given | {"formula": "~ ."}
    found = gl.cross_validate(PENGUINS, target=["body_mass_g", "year"], **dotted)
    assert "year" not in found.terms


def test_json_has_the_curve() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    y = X @ [1.0, 2.0, 0.0] + random.normal(size=60)
    found = gl.cross_validate(X, y, penalty="ridge")
    curve = found.to_dict()["curve"]
    assert curve["alpha"] == found.alphas.tolist()
    assert curve["mean"] == found.mean[:, 0].tolist()
    assert curve["standard_error"] == found.standard_error[:, 0].tolist()
