"""fit(): whatever comes in, the least-squares answer in the units of the input."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression as SkLinearRegression

import gradline as gl
from gradline.blueprint import about_design, design_from
from gradline.othernames import ELSEWHERE
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]


def problem(seed: int = 0, n: int = 120, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10.0 ** random.integers(-2, 3, d) + 4
    y = X @ random.normal(size=d) + 2 + random.normal(size=n)
    return X, y


def found(fit: gl.Fit) -> np.ndarray:
    return np.array([fit.intercept, *fit.coefficients.values()])


def expected(X: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """An independent library's answer."""
    weights = np.ones(len(y)) if w is None else w
    return np.asarray(sm.WLS(y, sm.add_constant(X), weights=weights).fit().params)


# Truth.


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 80), d=st.integers(1, 6))
def test_exact_against_two_libraries(seed: int, n: int, d: int) -> None:
    X, y = problem(seed, n, d)
    fit = gl.fit(X, y)
    np.testing.assert_allclose(found(fit), expected(X, y), rtol=1e-7)
    twin = SkLinearRegression().fit(X, y)
    np.testing.assert_allclose(fit.slopes, twin.coef_, rtol=1e-7)
    assert fit.metrics.r2 == pytest.approx(twin.score(X, y), rel=1e-9)


def test_known_truth() -> None:
    """Integers small enough that every sum is exact: the answer has no error at all."""
    random = np.random.default_rng(0)
    X = random.integers(-9, 10, (50, 4)).astype(float)
    B = np.array([3.0, -2.0, 0.5, 7.0])
    fit = gl.fit(X, X @ B - 11)
    np.testing.assert_allclose(fit.slopes, B, rtol=1e-14)
    assert fit.intercept == pytest.approx(-11, rel=1e-14)
    assert fit.metrics.r2 == pytest.approx(1, abs=1e-14)
    assert fit.certificate.optimum_loss < 1e-25


@pytest.mark.parametrize("method", ["exact", "gd"])
def test_weights(method: str) -> None:
    X, y = problem()
    w = np.random.default_rng(1).uniform(0, 5, len(y))
    w[:10] = 0
    fit = gl.fit(X, y, weights=w, method=method)
    tolerance = RTOL if method == "exact" else 1e-6
    np.testing.assert_allclose(found(fit), expected(X, y, w), rtol=tolerance)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y, w=w)
    by_name = gl.fit(frame, target="y", weights="w", method=method)
    assert list(by_name.coefficients) == ["a", "b", "c"]
    np.testing.assert_allclose(found(by_name), found(fit), rtol=1e-12)
    assert by_name.evaluate(frame).r2 == pytest.approx(fit.metrics.r2, rel=1e-9)


@pytest.mark.parametrize("method", ["exact", "gd"])
def test_the_metrics_are_those_of_the_predictions(method: str) -> None:
    X, y = problem()
    options = {} if method == "exact" else {"lr": "auto", "epochs": 5}
    fit = gl.fit(X, y, method=method, **options)
    residual = y - X @ fit.slopes - fit.intercept
    assert fit.metrics.rmse == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-9)
    assert fit.metrics.mae == pytest.approx(np.abs(residual).mean(), rel=1e-9)
    assert fit.metrics.r2 == pytest.approx(1 - residual.var() / y.var(), abs=0.2)
    again = fit.evaluate(X, y)
    assert dict(again) == pytest.approx(dict(fit.metrics), rel=1e-9)
    np.testing.assert_allclose(fit.predict(X), y - residual, rtol=1e-9)


def test_many_chunks_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem(n=5000)
    whole = gl.fit(X, y)
    monkeypatch.setattr("gradline.data.BATCH_BYTES", 1)
    parts = gl.fit(X, y)
    np.testing.assert_allclose(found(parts), found(whole), rtol=1e-12)
    np.testing.assert_allclose(
        parts.predict(X), whole.predict(X), rtol=1e-12, atol=1e-12
    )
    assert parts.metrics.mae == pytest.approx(whole.metrics.mae, rel=1e-12)


# Whatever comes in.

NUMPY = ["f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
TORCH = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
]


@pytest.mark.parametrize("dtype", [*NUMPY, *TORCH], ids=str)
def test_every_real_dtype_is_summed_in_float64(dtype: Any) -> None:
    """The same small whole numbers in every type: the same answer to float64."""
    random = np.random.default_rng(0)
    high = 2 if dtype in ("?", torch.bool) else 100
    X, y = random.integers(0, high, (300, 2)), random.integers(0, 100, 300)
    want = expected(X.astype(float), y.astype(float))
    cast = X.astype(dtype) if isinstance(dtype, str) else torch.tensor(X, dtype=dtype)
    np.testing.assert_allclose(found(gl.fit(cast, y)), want, rtol=RTOL)
    one = gl.fit(cast[:, 0], y)
    assert list(one.coefficients) == ["x"]
    np.testing.assert_allclose(found(one), expected(X[:, :1] * 1.0, y), rtol=RTOL)


def containers(X: np.ndarray, y: np.ndarray, folder: Path) -> dict[str, Any]:
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y)
    frame.to_csv(folder / "d.csv", index=False)
    frame.to_parquet(folder / "d.parquet")
    frame.to_feather(folder / "d.feather")
    return {
        "pandas": frame,
        "polars": pl.DataFrame(frame.to_dict("list")),
        "arrow": pa.Table.from_pandas(frame),
        "dict": frame.to_dict("list"),
        "csv": folder / "d.csv",
        "csv as text": str(folder / "d.csv"),
        "parquet": folder / "d.parquet",
        "feather": folder / "d.feather",
    }


def test_every_container(tmp_path: Path) -> None:
    X, y = problem()
    want = expected(X, y)
    for name, data in containers(X, y, tmp_path).items():
        fit = gl.fit(data, target="y")
        assert list(fit.coefficients) == ["a", "b", "c"], name
        np.testing.assert_allclose(found(fit), want, rtol=RTOL, err_msg=name)
        np.testing.assert_allclose(
            fit.predict(data), fit.predict(X), rtol=1e-12, err_msg=name
        )
        assert fit.evaluate(data).r2 == pytest.approx(fit.metrics.r2, rel=1e-12)
        swapped = gl.fit(data, target="y", features=["c", "a"])
        assert list(swapped.coefficients) == ["c", "a"]


def test_y_beside_a_frame() -> None:
    X, y = problem()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for target in (y, list(y), torch.tensor(y), pd.Series(y), pl.Series(y)):
        fit = gl.fit(frame, target)
        np.testing.assert_allclose(found(fit), expected(X, y), rtol=RTOL)
        assert fit.target == "y"
    assert gl.fit(frame, pd.Series(y, name="price")).target == "price"
    assert gl.fit(frame, y, target="price").target == "price"


def test_lists_and_noncontiguous_and_read_only() -> None:
    X, y = problem()
    want = expected(X, y)
    frozen = X.copy()
    frozen.flags.writeable = False
    for data in (X.tolist(), np.asfortranarray(X), frozen, np.repeat(X, 2, 0)[::2]):
        before = np.array(data)
        np.testing.assert_allclose(found(gl.fit(data, y)), want, rtol=RTOL)
        np.testing.assert_array_equal(before, data)


# Categories and missing values.


def test_categories_are_treatment_coded() -> None:
    group = ["b", "a", "c", "b", "a", "c", "b"]
    y = [5.0, 1.0, 9.0, 5.0, 1.0, 9.0, 5.0]
    fit = gl.fit({"g": group, "y": y}, target="y")
    assert fit.coefficients == pytest.approx({"g[b]": 4.0, "g[c]": 8.0})
    assert fit.intercept == pytest.approx(1.0)
    np.testing.assert_allclose(fit.predict({"g": ["c", "a"]}), [9, 1])
    flags = gl.fit({"g": [True, False, True], "y": [3.0, 1.0, 3.0]}, target="y")
    assert flags.coefficients == pytest.approx({"g[True]": 2.0})


def test_numbers_as_categories_sort_by_value() -> None:
    data = {"month": [10, 2, 1, 10, 2, 1], "y": [3.0, 2.0, 1.0, 3.0, 2.0, 1.0]}
    fit = gl.fit(data, target="y", categories=["month"])
    assert list(fit.coefficients) == ["month[2]", "month[10]"]
    np.testing.assert_allclose(fit.predict({"month": [10, 1]}), [3, 1])


@pytest.mark.parametrize("kind", ["pandas", "polars", "csv"])
def test_categories_with_numbers_against_pandas_dummies(
    kind: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=200),
            "town": random.choice(["Ulm", "Aachen", "Öhringen", "bonn"], 200),
            "new": random.choice([True, False], 200),
        }
    )
    frame["y"] = frame["size"] * 3 + frame["town"].str.len() + random.normal(size=200)
    dummies = pd.get_dummies(frame, columns=["town", "new"], drop_first=False)
    names = ["size", "town_Ulm", "town_bonn", "town_Öhringen", "new_True"]
    want = expected(dummies[names].astype(float).to_numpy(), frame["y"].to_numpy())
    data: Any = frame
    if kind == "polars":
        data = pl.DataFrame(frame.to_dict("list"))
    if kind == "csv":
        data = tmp_path / "d.csv"
        frame.to_csv(data, index=False)
    fit = gl.fit(data, target="y")
    assert list(fit.coefficients) == [
        "size",
        "town[Ulm]",
        "town[bonn]",
        "town[Öhringen]",
        "new[True]",
    ]
    np.testing.assert_allclose(found(fit), want, rtol=1e-8)
    np.testing.assert_allclose(
        fit.predict(frame), fit.predict(frame[["new", "town", "size"]]), rtol=1e-12
    )


def holes() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": [1.0, 2.0, np.nan, 4.0, 5.0, 7.0],
            "g": ["u", "v", "u", None, "v", "w"],
            "y": [1.0, 3.0, 2.0, 4.0, 6.0, np.nan],
        }
    )


def test_missing_values_are_refused_with_column_and_row() -> None:
    with pytest.raises(gl.MissingValueError, match=r"'a' .* first in row 3: .*drop"):
        gl.fit(holes(), target="y")
    with pytest.raises(gl.MissingValueError, match=r"'g' .* first in row 4"):
        gl.fit(holes(), target="y", features=["g"])
    with pytest.raises(gl.MissingValueError, match=r"'y' .* first in row 6"):
        gl.fit(holes().assign(a=1.5, g="u"), target="y", features=["a"])


def test_missing_values_are_dropped_when_asked_and_counted() -> None:
    fit = gl.fit(holes(), target="y", missing="drop")
    assert (fit.rows, fit.dropped) == (3, 3)
    # "w" stands in a dropped row alone, so it is no level.
    assert list(fit.coefficients) == ["a", "g[v]"]
    assert any("3 incomplete rows were dropped" in note for note in fit.notes)


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused_even_when_dropping(missing: Any, bad: float) -> None:
    X, y = problem()
    X[17, 1] = bad
    with pytest.raises(
        gl.MissingValueError, match=r"'x2' is infinite, first in row 18"
    ):
        gl.fit(X, y, missing=missing)
    with pytest.raises(gl.MissingValueError, match="'y' is infinite"):
        gl.fit(X[:10], np.full(10, bad), missing=missing)


def test_huge_but_finite_values_are_no_missing_values() -> None:
    x = np.array([1e300, -1e300, 1e300, 0.0])
    with pytest.raises(gl.DataError, match="'x' holds numbers too large to square"):
        gl.fit(x, [1.0, 2.0, 1.0, 1.5])


def test_predicting_incomplete_rows() -> None:
    fit = gl.fit(holes(), target="y", missing="drop")
    with pytest.raises(gl.MissingValueError, match=r"'g' .* first in row 2"):
        fit.predict({"a": [1.0, 2.0], "g": ["u", None]})
    some = fit.predict({"a": [1.0, np.nan], "g": ["u", "v"]}, missing="nan")
    assert np.isnan(some).tolist() == [False, True]
    with pytest.raises(gl.UsageError, match="missing is 'drop'"):
        fit.predict({"a": [1.0], "g": ["u"]}, missing="drop")  # type: ignore[arg-type]


def test_an_unknown_level_is_refused_with_its_row() -> None:
    fit = gl.fit({"g": ["a", "b", "a"], "y": [1.0, 2.0, 1.0]}, target="y")
    with pytest.raises(gl.DataError, match=r"'g' holds 'z' in row 2.*'a', 'b'"):
        fit.predict({"g": ["a", "z"]})


# Descent.


def test_auto_descends_when_a_setting_of_descent_is_given() -> None:
    x, y = gl.sample_linear_data(seed=0)
    assert gl.fit(x, y).method == "exact"
    assert gl.fit(x, y).trace is None
    for setting in ({"lr": 0.1}, {"epochs": 3}, {"seed": 1}, {"standardize": True}):
        assert gl.fit(x, y, **setting).method == "gd"


def test_a_setting_without_effect_is_refused() -> None:
    x, y = gl.sample_linear_data(seed=0)
    with pytest.raises(gl.UsageError, match="has no use for lr, epochs"):
        gl.fit(x, y, method="exact", lr=0.1, epochs=10)
    with pytest.raises(gl.UsageError, match="start and seed"):
        gl.fit(x, y, start=gl.LinearRegression(), seed=1)


def test_descent_on_badly_scaled_data_in_input_units() -> None:
    X, y = problem()
    X[:, 0] = X[:, 0] * 1e6 + 1e7
    fit = gl.fit(X, y, method="gd")
    np.testing.assert_allclose(found(fit), expected(X, y), rtol=1e-6)
    assert fit.settings["standardize"]
    assert fit.certificate.status == "converged"


def test_lr_above_the_limit_stops_and_says_what_to_do() -> None:
    X, y = problem()
    limit = gl.fit(X, y).certificate.lr_limit
    with pytest.raises(gl.DivergenceError) as caught:
        gl.fit(X, y, method="gd", lr=1.01 * limit, epochs=10)
    message = str(caught.value)
    assert f"the stability limit is {limit:.6g}" in message
    assert "standardise the features, where the limit is" in message
    assert "lr='auto'" in message
    assert caught.value.lr_limit == pytest.approx(limit)
    gl.fit(X, y, method="gd", lr=0.99 * limit, epochs=10)


def test_not_converged_is_a_status_with_gap_and_epochs() -> None:
    x, y = gl.sample_linear_data(seed=0)
    fit = gl.fit(x, y, method="gd", lr=0.01, epochs=100)
    certificate = fit.certificate
    assert certificate.status == "not_converged"
    assert certificate.gap > 0
    assert certificate.epochs_needed
    assert f"{certificate.epochs_needed:,} more epochs" in certificate.advice


def test_the_start_is_where_it_starts() -> None:
    x, y = gl.sample_linear_data(seed=0)
    start = gl.LinearRegression()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    fit = gl.fit(x, y, lr=0.1, epochs=5, start=start)
    assert fit.trace is not None
    assert fit.trace.weights[0, 0] == start.weight.item()
    assert all(torch.equal(v, before[k]) for k, v in start.state_dict().items())
    twice = [gl.fit(x, y, lr=0.1, epochs=5, seed=3).intercept for _ in range(2)]
    assert twice[0] == twice[1] != gl.fit(x, y, lr=0.1, epochs=5, seed=4).intercept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, "lr is 0"),
        ({"lr": -0.1}, "lr is -0.1"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"method": "magic"}, "method is 'magic'"),
        ({"missing": "skip"}, "missing is 'skip'"),
        ({"degenerate": "no"}, "degenerate is 'no'"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    x, y = gl.sample_linear_data(seed=0)
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(x, y, **options)


# Shapes and columns.


def test_one_column_targets_are_refused_not_broadcast() -> None:
    x, y = gl.sample_linear_data(seed=0)
    for column in (y[:, None], torch.tensor(y)[:, None], y[:, None].tolist()):
        with pytest.raises(gl.ShapeError, match=r"\(100, 1\).*\(100,\)"):
            gl.fit(x, column)
    with pytest.raises(gl.ShapeError, match=r"\(99,\)"):
        gl.fit(x, y[:99])
    with pytest.raises(gl.ShapeError, match=r"\(100, 2\)"):
        gl.fit(x, np.column_stack([y, y]))
    np.testing.assert_allclose(found(gl.fit(x[:, None], y)), found(gl.fit(x, y)))


def test_columns_that_are_not_there() -> None:
    frame = pd.DataFrame({"area": [1.0, 2, 3], "price": [2.0, 4, 7]})
    with pytest.raises(gl.ColumnError, match="no column 'pricee'.*'price'"):
        gl.fit(frame, target="pricee")
    with pytest.raises(gl.ColumnError, match="no column 'Area'.*'area'"):
        gl.fit(frame, target="price", features=["Area"])
    with pytest.raises(gl.ColumnError, match="no column 'w'"):
        gl.fit(frame, target="price", weights="w")
    with pytest.raises(gl.UsageError, match="no target is given.*'area', 'price'"):
        gl.fit(frame)
    with pytest.raises(gl.UsageError, match="target='price'"):
        gl.fit(frame, "price")
    with pytest.raises(gl.ColumnError, match="the target and a feature"):
        gl.fit(frame, target="price", features=["price", "area"])
    with pytest.raises(gl.ColumnError, match="named twice"):
        gl.fit(frame, target="price", features=["area", "area"])
    with pytest.raises(gl.ColumnError, match="leak"):
        gl.fit(frame, frame["price"])
    with pytest.raises(gl.DataError, match="no column beside the target"):
        gl.fit(frame[["price"]], target="price")
    fit = gl.fit(frame, target="price")
    with pytest.raises(gl.ColumnError, match="no column 'area'"):
        fit.predict(frame[["price"]])
    with pytest.raises(gl.ColumnError, match="fitted on numbers"):
        fit.predict({"area": ["a", "b"]})
    with pytest.raises(gl.ShapeError, match=r"\(3, 2\)"):
        fit.predict(np.ones((3, 2)))


def test_targets_and_features_of_no_use() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2026-01-01", periods=3),
            "name": ["a", "b", "c"],
            "y": [1.0, 2, 4],
        }
    )
    with pytest.raises(gl.ColumnError, match="target 'name' holds .* numbers"):
        gl.fit(frame, target="name")
    with pytest.raises(gl.ColumnError, match="'when' holds dates .*the days since"):
        gl.fit(frame, target="y")


def test_many_numbers_with_a_stray_mark_are_no_names() -> None:
    n = 500
    data = {"x": ["-", *(f"{i}.25" for i in range(1, n))], "y": np.arange(n) * 1.0}
    with pytest.raises(
        gl.ColumnError, match="'x' holds text, .* '-' in row 1 does not"
    ):
        gl.fit(data, target="y")


def test_a_stray_mark_in_the_target_is_named_with_its_row(tmp_path: Path) -> None:
    data = {"x": [1.0, 2.0, 3.0, 4.0], "y": ["249.45", None, "-", "12"]}
    with pytest.raises(gl.ColumnError, match="'y' holds text, '-' in row 3, and must"):
        gl.fit(data, target="y")
    file = tmp_path / "commas.csv"
    file.write_text("a;y\n1,5;2,5\n-;3,5\n2,5;3,5\n3,5;-\n", encoding="utf-8")
    with pytest.raises(gl.ColumnError, match="give decimal=','"):
        gl.fit(file, target="y")
    with pytest.raises(gl.ColumnError, match="'y' holds text, '-' in row 4") as target:
        gl.fit(file, target="y", decimal=",")
    with pytest.raises(gl.ColumnError, match="but '-' in row 2 does not") as feature:
        gl.fit(file, np.arange(4.0), target="t", features=["a"], decimal=",")
    for known in (target, feature):  # what was given is not asked for
        assert "decimal" not in str(known.value)
    file.write_text("a;y\n1.001,5;2,5\n1.002,5;3\n1.003,5;5\n", encoding="utf-8")
    with pytest.raises(gl.ColumnError, match="dates: thousands separators must be"):
        gl.fit(file, target="y", decimal=",")


def test_text_for_a_target_array_is_called_text() -> None:
    x = np.arange(2.0)
    with pytest.raises(gl.DataError, match="y holds text, such as 'low': give numbers"):
        gl.fit(x, np.array(["low", "high"]))
    with pytest.raises(gl.DataError, match="y holds dates: give numbers"):
        gl.fit(x, np.array(["2024-01-01", "2024-01-02"], dtype="M8[D]"))


def test_no_target_beside_an_array_asks_for_y_first() -> None:
    with pytest.raises(gl.UsageError, match="given: give y beside x, gl.fit"):
        gl.fit(np.arange(3.0))
    with pytest.raises(gl.UsageError, match="target=.*or give y beside x"):
        gl.fit({"a": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coef_", "'coef_': here it is fit.coefficients or fit.slopes$"),
        ("summary", r"here it is print\(fit\) or"),
        ("score", r"here it is fit.evaluate\(x, y\)"),
        ("pvalues", r"here it is fit.inference\(\).p$"),
        ("coefficent", "'coefficent': did you mean 'coefficients'"),
        ("zzz", r"no attribute 'zzz': print\(fit\) shows"),
        ("_private", "no attribute '_private'$"),
    ],
)
def test_a_name_that_a_fit_has_not(name: str, message: str) -> None:
    fit = gl.fit([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    with pytest.raises(AttributeError, match=message):
        getattr(fit, name)


def test_what_other_names_are_here_is_there() -> None:
    x = np.arange(8.0)
    y = x + np.cos(x)
    fit = gl.fit(x, y, method="gd", lr="auto", epochs=400)
    assert not set(ELSEWHERE) & set(dir(fit)), "these are names of a fit by now"
    for line in {line for lines in ELSEWHERE.values() for line in lines}:
        known = {"fit": fit, "gl": gl, "x": x, "y": y, "print": str}
        assert eval(line, known) is not None, line


@pytest.mark.parametrize(
    ("features", "given", "message"),
    [
        (2, [0.5, 0.25], r"'x1', 'x2', a single row as \[\[0.5, 0.25\]\]$"),
        (2, [1.0, 2.0, 3.0], r"'x1', 'x2', such as \[\[1, 2\]\]$"),
        (9, [[1.0]], r"such as \[\[1, 2, 3, ..., 9\]\]$"),
        (2, 0.5, r"has 2 features: give a row .*, such as \[\[1, 2\]\]$"),
        (1, 0.5, r"one value per row, such as \[0.5\]$"),
        (1, {"x": 0.5}, r"column 'x' is a float: .*, such as \[0.5\]$"),
    ],
)
def test_a_single_row_is_shown_as_it_has_to_be(
    features: int, given: Any, message: str
) -> None:
    X, y = problem(d=features)
    fit = gl.fit(X[:, 0] if features == 1 else X, y)
    with pytest.raises(gl.ShapeError, match=message):
        fit.predict(given)


def test_a_column_of_names_is_not_a_category() -> None:
    n = 2500
    data = {"id": [f"p{i}" for i in range(n)], "y": np.arange(n) * 1.0}
    with pytest.raises(gl.ColumnError, match="'id' .* looks like a name or an id"):
        gl.fit(data, target="y")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(100), "go down to -1"),
        (np.zeros(100), "all 0"),
        (np.full(100, np.nan), "missing value"),
        (np.ones(99), r"\(99,\)"),
        (np.ones((100, 1)), r"\(100, 1\)"),
    ],
)
def test_bad_weights(weights: np.ndarray, message: str) -> None:
    x, y = gl.sample_linear_data(seed=0)
    with pytest.raises(gl.DataError, match=message):
        gl.fit(x, y, weights=weights)


@pytest.mark.parametrize("bad", ["text", [["a"]], [[1, 2], [3]], 1 + 2j, object()])
def test_what_is_no_array(bad: Any) -> None:
    with pytest.raises((gl.DataError, gl.UsageError, gl.FileError)):
        gl.fit(bad, [1.0])


# Degenerate designs.


def test_duplicated_columns_share_the_slope_and_are_named() -> None:
    x, y = gl.sample_linear_data(seed=0)
    fit = gl.fit(np.column_stack([x, x, np.sin(9 * x)]), y)
    assert fit.certificate.status == "rank_deficient"
    assert (fit.certificate.rank, fit.certificate.columns) == (3, 4)
    assert fit.certificate.dependent == ("x1", "x2")
    assert "'x1', 'x2'" in fit.certificate.advice
    assert fit.coefficients["x1"] == pytest.approx(fit.coefficients["x2"], rel=1e-9)
    once = gl.fit(np.column_stack([x, np.sin(9 * x)]), y)
    assert fit.metrics.rmse == pytest.approx(once.metrics.rmse, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_least_norm_against_numpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    X = random.normal(size=(30, 3))
    X = np.column_stack([X, X @ random.normal(size=(3, 2)), np.full(30, 3.0)])
    X *= [1, 10, 0.1, 1, 5, 1]
    y = random.normal(size=30)
    fit = gl.fit(X, y)
    want = np.linalg.lstsq(X - X.mean(0), y - y.mean(), rcond=1e-10)[0]
    np.testing.assert_allclose(fit.slopes, want, rtol=1e-8, atol=1e-12)
    assert fit.certificate.rank == 4
    assert "x6" in fit.certificate.dependent


@pytest.mark.parametrize("n", [2, 3, 6])
def test_fewer_rows_than_columns_interpolate_with_least_norm(n: int) -> None:
    random = np.random.default_rng(n)
    X, y = random.normal(size=(n, 8)), random.normal(size=n)
    fit = gl.fit(X, y)
    want = np.linalg.lstsq(X - X.mean(0), y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(fit.slopes, want, rtol=1e-8)
    np.testing.assert_allclose(fit.predict(X), y, rtol=1e-9, atol=1e-12)
    assert fit.certificate.status == "rank_deficient"
    assert f"{n} rows cannot determine 9 coefficients" in fit.certificate.advice


def test_degenerate_designs_are_refused_when_asked() -> None:
    X, y = problem(n=30)
    X[:, 1] = 5.0
    with pytest.raises(gl.DataError, match="'x2' .* is constant"):
        gl.fit(X, y, degenerate="refuse")
    with pytest.raises(gl.DataError, match="3 rows for 4 coefficients"):
        gl.fit(problem(n=3)[0], y[:3], degenerate="refuse")
    fit = gl.fit(X, y)
    assert fit.coefficients["x2"] == 0
    assert fit.certificate.dependent == ("x2",)


def test_a_category_of_one_level_adds_no_term_and_says_so() -> None:
    data = {"g": ["a"] * 4, "x": [1.0, 2, 3, 5], "y": [1.0, 2, 3, 4]}
    fit = gl.fit(data, target="y")
    assert list(fit.coefficients) == ["x"]
    assert any("'g' has one level only" in note for note in fit.notes)
    with pytest.raises(gl.DataError, match="'g' .* is constant"):
        gl.fit(data, target="y", degenerate="refuse")


@pytest.mark.parametrize("method", ["exact", "gd"])
def test_constant_target(method: Any) -> None:
    fit = gl.fit(np.arange(5.0), np.full(5, 7.0), method=method)
    assert fit.coefficients["x"] == pytest.approx(0, abs=1e-12)
    assert fit.intercept == pytest.approx(7)
    assert np.isnan(fit.metrics.r2)
    assert fit.certificate.status in ("exact", "converged")


def test_too_few_rows() -> None:
    with pytest.raises(gl.DataError, match="no rows"):
        gl.fit(np.ones((0, 2)), np.ones(0))
    with pytest.raises(gl.DataError, match="one row"):
        gl.fit(np.ones((1, 2)), np.ones(1))
    with pytest.raises(gl.DataError, match="no complete row: all 2"):
        gl.fit([np.nan, 1.0], [1.0, np.nan], missing="drop")


def test_x_near_1e14_keeps_its_slope() -> None:
    """statsmodels#9258: an intercept lost when x is near 1e14."""
    x = np.arange(100.0)
    y = 2 * x + 3
    fit = gl.fit(x + 1e14, y)
    assert fit.coefficients["x"] == pytest.approx(2, rel=1e-12)
    np.testing.assert_allclose(fit.predict(x + 1e14), y, atol=1e-9)


def test_the_model_is_a_torch_module() -> None:
    X, y = problem()
    fit = gl.fit(X, y)
    with torch.inference_mode():
        predicted = fit.model(torch.from_numpy(X))[:, 0]
    np.testing.assert_allclose(predicted.numpy(), fit.predict(X), rtol=1e-9)


# What was once wrong.


def test_two_terms_of_one_name_are_refused() -> None:
    data = {"g": ["a", "b", "a"], "g[b]": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]}
    with pytest.raises(gl.ColumnError, match=r"would be called 'g\[b\]'.*rename"):
        gl.fit(data, target="y")


@pytest.mark.parametrize("far", [1e6, 1e12, 1e20])
@pytest.mark.parametrize("weight", [0.0, 1e-30])
def test_a_far_first_row_without_weight_costs_no_digits(
    far: float, weight: float
) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    w = np.r_[weight, np.ones(40)]
    fit = gl.fit(np.r_[far, x], np.r_[0.0, y], weights=w)
    if weight == 0 or far < 1e12:
        np.testing.assert_allclose(found(fit), found(gl.fit(x, y)), rtol=1e-9)


def test_a_start_with_nan_is_refused() -> None:
    x, y = gl.sample_linear_data(seed=0)
    model = gl.LinearRegression()
    with torch.no_grad():
        model.weight.fill_(float("nan"))
    with pytest.raises(gl.DataError, match="NaN or infinite"):
        gl.fit(x, y, start=model, epochs=3)
    with pytest.raises(gl.DataError, match="NaN or infinite"):
        gl.certify(model, x, y)
    with pytest.raises(gl.UsageError, match="LinearRegression"):
        gl.fit(x, y, start=3, epochs=3)  # type: ignore[arg-type]


def test_evaluate_checks_what_it_is_given() -> None:
    x, y = gl.sample_linear_data(seed=0)
    fit = gl.fit(x, y)
    with pytest.raises(gl.UsageError, match="missing is 'nan'"):
        fit.evaluate(x, y, missing="nan")
    with pytest.raises(gl.UsageError, match="give y beside x"):
        fit.evaluate(x)
    with pytest.raises(gl.UsageError, match="the data are no file"):
        fit.predict(x, delimiter=";")
    with pytest.raises(gl.DataError, match="too large to square"):
        fit.evaluate(x, y * 1e300)


def test_infinity_never_comes_out() -> None:
    x, y = gl.sample_linear_data(seed=0)
    fit = gl.fit(x * 1e-100, y)
    with pytest.raises(gl.DataError, match="prediction for row 2 is not finite"):
        fit.predict([0.0, 1e300])


@pytest.mark.parametrize("size", [1e-150, 1e-170, 1e-320])
def test_numbers_too_small_to_square_are_refused(size: float) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    with pytest.raises(gl.DataError, match="'x' holds numbers too small"):
        gl.fit(x * size, y)
    with pytest.raises(gl.DataError, match="'y' holds numbers too small"):
        gl.fit(x, y * size)
    with pytest.raises(gl.DataError, match="weights.*add up to"):
        gl.fit(x, y, weights=np.full(40, size))


def test_rows_without_weight_determine_nothing() -> None:
    X, y = problem(n=40)
    w = np.zeros(40)
    w[:2] = 1
    with pytest.raises(gl.DataError, match="2 rows for 4 coefficients"):
        gl.fit(X, y, weights=w, degenerate="refuse")


def test_whole_numbers_float64_cannot_tell_apart() -> None:
    x = np.arange(50, dtype=np.uint64) + np.uint64(2**63)
    told = f"'x' holds {x[1]}, a whole number of more digits than float64 has"
    with pytest.raises(gl.DataError, match=told):
        gl.fit(x, np.arange(50.0))
    rounded = x.astype(np.float64)  # by whoever asks for it
    with pytest.raises(
        gl.DataError, match=r"less than float64 can tell near 9.22e\+18"
    ):
        gl.fit(rounded, np.arange(50.0), degenerate="refuse")
    fit = gl.fit(rounded, np.arange(50.0))
    assert fit.certificate.status == "rank_deficient"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["12,5", "13,5", "14,5", "12,5"], "decimal commas give decimal=','"),
        (["31.12.2025", "01.01.2026", "02.01.2026", "01.01.2026"], "like dates: make"),
        (
            ["2025-1-31", "2026-1-1 9:00", "2026-1-2", "2026-1-2"],
            "days since the first",
        ),
        (["12:30", "9:15", "10:00", "12:30"], "look like numbers or dates: mend the"),
        (["1", "-", "3", "2"], "but '-' in row 2 does not: correct that value"),
        (["1", "-", "3", "?", "2", "?"], "'-' in row 2 does not, nor does another:"),
        (["01067", "01069", "80331", "01067"], r"categories=\['v'\]"),
        (["1.234,5", "2.345,6", "3.456,7", "1.234,5"], "thousands separators"),
    ],
)
def test_numbers_in_the_guise_of_text_are_no_categories(
    values: list[str], message: str
) -> None:
    data = {"v": values, "y": [1.0, 2.0, 3.0, 1.5, 2.5, 0.5][: len(values)]}
    with pytest.raises(gl.ColumnError, match=message):
        gl.fit(data, target="y")
    assert len(gl.fit(data, target="y", categories=["v"]).coefficients) >= 2
    if "," in values[0]:
        with pytest.raises(gl.ColumnError, match="decimal"):
            gl.fit({"x": [1.0, 2, 3, 4], "v": values}, target="v")


def test_excluded_columns_are_no_features() -> None:
    data = {"id": [1, 2, 3, 4], "x": [1.0, 2, 4, 5], "y": [1.0, 2, 3, 4]}
    assert list(gl.fit(data, target="y", exclude=["id"]).coefficients) == ["x"]
    with pytest.raises(gl.ColumnError, match="no column 'idd'"):
        gl.fit(data, target="y", exclude=["idd"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "ab"}, r"features is 'ab': give a list of names, \['ab'\]"),
        ({"features": [1]}, "features is 1: give a column's name as text"),
        ({"categories": None}, "categories is None"),
        ({"target": 1}, "target is 1"),
        ({"lr": True}, "lr is True"),
        ({"lr": [0.1]}, r"lr is \[0.1\]"),
        ({"epochs": 10**30}, "at most 1,000,000,000,000,000"),
        ({"epochs": float("nan")}, "epochs is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"standardize": "yes"}, "standardize is 'yes'"),
        ({"weights": 1}, "weights is one number"),
        ({"weights": "y"}, "the target and the weights"),
    ],
)
def test_arguments_of_the_wrong_kind(options: dict[str, Any], message: str) -> None:
    data = {"x": [1.0, 2, 4, 5], "y": [1.0, 2, 3, 4]}
    with pytest.raises(gl.GradlineError, match=message):
        gl.fit(data, **{"target": "y", **options})


def test_numpy_integers_are_whole_numbers() -> None:
    x, y = gl.sample_linear_data(np.int64(50), seed=np.int64(0))
    fit = gl.fit(x, y, seed=np.int64(3), epochs=np.int32(5))
    fit.save("/dev/null")
    assert fit.settings["seed"] == 3


@pytest.mark.parametrize("name", ["line.safetensors", "line", "line.v2"])
def test_a_model_is_not_called_something_else(name: str, tmp_path: Path) -> None:
    fit = gl.fit([1.0, 2, 4], [1.0, 2, 3])
    for other in ("line.pkl", "line.CSV"):
        with pytest.raises(gl.UsageError, match="another kind: call it 'line.safet"):
            fit.save(tmp_path / other)
    fit.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert gl.load(tmp_path / name).coefficients == fit.coefficients


def test_reprs_are_short() -> None:
    x, y = gl.sample_linear_data(seed=0)
    assert repr(gl.fit(x, y)) == "<Fit of 'y' on 1 terms, 100 rows, exact, exact>"
    step = next(gl.descend(gl.LinearRegression(), x, y))
    assert repr(step).startswith("<Step epoch 1, loss ")


def test_data_that_change_after_the_fit_are_noticed_or_do_not_matter() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(3_000_000, 1))
    y = 2 * X[:, 0] + random.normal(size=len(X))
    few_x, few_y = X[:500].copy(), y[:500].copy()
    known = gl.fit(few_x, few_y, method="gd", lr=0.1, epochs=20)
    small = gl.fit(few_x, few_y, method="gd", lr=0.1, epochs=20)
    assert known.certificate.optimum_loss > 0
    large, again = gl.fit(X, y), gl.fit(X, y)
    assert large.metrics.mae == pytest.approx(np.abs(y - large.predict(X)).mean())
    few_x *= 3
    X *= 3
    assert small.certificate == known.certificate
    assert small.metrics.mae == known.metrics.mae
    assert math.isfinite(again.metrics.rmse)
    assert math.isnan(again.metrics.at_hand["mae"])
    with pytest.raises(gl.DataError, match="the data has changed since the fit"):
        _ = again.metrics.mae


def test_predicting_leaves_the_callers_array_as_it_is() -> None:
    x, y = np.arange(20.0).reshape(10, 2) ** 1.5, np.arange(10.0)
    fit = gl.fit(x, y)
    new = np.array([[1.0, np.nan], [2.0, 3.0]])
    before = new.copy()
    assert np.isnan(fit.predict(new, missing="nan")).tolist() == [True, False]
    np.testing.assert_array_equal(new, before)


def test_a_term_called_intercept_is_refused() -> None:
    frame = pd.DataFrame(
        {
            "Intercept": [1.0, 2.0, 4.0, 3.0, 5.0],
            "x": [2.0, 1.0, 4.0, 3.0, 7.0],
            "y": [1.0, 3.0, 2.0, 5.0, 4.0],
        }
    )
    told = r"would be called 'Intercept', as the intercept is: rename the column, or"
    for told_by in ({"target": "y"}, {"formula": "y ~ x + Intercept"}):
        with pytest.raises(gl.ColumnError, match=told):
            gl.fit(frame, **told_by)
    fit = gl.fit(frame, target="y", intercept=False)
    errors = fit.inference().standard_errors
    assert list(errors) == ["Intercept", "x"]
    again = sm.OLS(frame["y"], frame[["Intercept", "x"]]).fit().bse
    np.testing.assert_allclose(list(errors.values()), again, rtol=1e-10)
    about = about_design(fit.design) | {"intercept": True}
    with pytest.raises(ValueError, match="two terms have one name"):
        design_from(about)
