"""Standard errors, tests, intervals and influence, against exact answers and others.

The reference blocks of six real tables are from exact arithmetic; statsmodels is the
independent library, always with use_t=True; SciPy and mpmath know the distributions.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.outliers_influence import OLSInfluence

import gradline as gl
from gradline.data import Array, ArraySource
from gradline.distributions import f_above, t_central_quantile, t_two_sided
from gradline.layout import p_value, rounded
from gradline.terminal import fit_table
from helpers import TOLERANCE, real_table, reference_fit
from test_references import COLUMNS, gradline_name

COVS = ["classic", "HC0", "HC1", "HC2", "HC3"]


@pytest.fixture(scope="module")
def real_fits() -> dict[str, gl.Fit]:
    return {
        name: gl.fit(real_table(name), target=y, features=x, missing="drop")
        for name, (y, x) in COLUMNS.items()
    }


def values(by_term: dict[str, Any]) -> Array:
    return np.array(list(by_term.values()), dtype=np.float64)


def close(found: Any, expected: Any, tolerance: float = TOLERANCE["float64"]) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)


# Known truth.


@pytest.mark.parametrize("cov", COVS)
@pytest.mark.parametrize("name", COLUMNS)
def test_standard_errors_of_real_tables(
    name: str, cov: Any, real_fits: dict[str, gl.Fit]
) -> None:
    reference = reference_fit(name)
    found = real_fits[name].inference(cov)
    terms = [gradline_name(term) for term in reference["terms"]]
    assert list(found.standard_errors) == terms
    expected = [float(v) for v in reference["reference"][f"se_{cov}"]]
    # The errors of the flights' HC2 and HC3 come from 80-bit sums over 327 346 rows.
    close(values(found.standard_errors), expected)
    close(np.sqrt(found.covariance.diagonal()), expected)


@pytest.mark.parametrize("name", COLUMNS)
def test_scalars_of_real_tables(name: str, real_fits: dict[str, gl.Fit]) -> None:
    reference = reference_fit(name)
    found = real_fits[name].inference()
    known = reference["reference"]
    assert found.df_resid == reference["df_resid"]
    close(values(found.t), [float(v) for v in known["t"]])
    close(found.r2, float(known["r2"]))
    close(found.adjusted_r2, float(known["adj_r2"]))
    close(found.residual_std, float(known["rsd"]))
    close(found.f_statistic, float(known["F"]))
    df = found.df_resid
    close(values(found.p), t_two_sided(np.array([*map(float, known["t"])]), df), 1e-6)
    reach = stats.t.isf(0.025, df) * values(found.standard_errors)
    coefficients = np.array([float(v) for v in known["coef"]])
    for term, low, high in zip(
        found.intervals, coefficients - reach, coefficients + reach, strict=True
    ):
        scale = np.abs(reach).max() + abs(low)
        assert found.intervals[term] == pytest.approx((low, high), abs=1e-9 * scale)


def test_huge_offsets_cost_no_digits() -> None:
    """x near 1e9 and spread over 1: [1 X]ᵀ[1 X] could not be inverted at all."""
    random = np.random.default_rng(3)
    x = np.round(random.normal(size=50) * 2**20) / 2**20
    noise = random.normal(size=50)
    near = gl.fit(x, x + noise).inference("HC3")
    far = gl.fit(x + 2**30, x + noise).inference("HC3")
    assert far.standard_errors["x"] == pytest.approx(near.standard_errors["x"], 1e-12)
    slope_part = 2**30 * far.standard_errors["x"]
    assert far.standard_errors["Intercept"] == pytest.approx(slope_part, rel=1e-7)


# An independent library.


def problem(seed: int, n: int, d: int, weighted: bool) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) @ random.normal(size=(d, d)) + 10
    X = X * 10.0 ** random.integers(-3, 4, d)
    y = X @ (random.normal(size=d) / X.std(0)) + random.normal(size=n) * (1 + X[:, 0])
    weights = random.uniform(0.1, 5, n) if weighted else None
    groups = random.integers(0, max(2, n // 4), n)
    groups[:2] = 0, 1
    return {"X": X, "y": y, "weights": weights, "groups": groups}


def oracle(p: dict[str, Any]) -> Any:
    X = sm.add_constant(p["X"], has_constant="add")
    if p["weights"] is None:
        return sm.OLS(p["y"], X).fit()
    return sm.WLS(p["y"], X, weights=p["weights"]).fit()


def agrees(found: gl.Inference, expected: Any, tolerance: float) -> None:
    close(values(found.standard_errors), expected.bse, tolerance)
    close(values(found.p), expected.pvalues, 1e3 * tolerance)
    size = np.abs(expected.conf_int(0.1)).max(axis=1, keepdims=True)
    off = np.abs(values(found.intervals) - expected.conf_int(0.1)) / size
    assert off.max() < 10 * tolerance
    scale = np.sqrt(np.outer(np.square(expected.bse), np.square(expected.bse)))
    covariance = expected.cov_params()
    assert np.abs(found.covariance - covariance).max() < tolerance * scale.max()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(12, 80),
    st.integers(1, 5),
    st.sampled_from([0, 1]),
)
def test_statsmodels_agrees(seed: int, n: int, d: int, weighted: int) -> None:
    p = problem(seed, n, d, bool(weighted))
    fit = gl.fit(p["X"], p["y"], weights=p["weights"])
    want = oracle(p)
    tolerance = 1e-6  # statsmodels' own: its design is neither centred nor scaled
    classic = fit.inference(level=0.9)
    agrees(classic, want, tolerance)
    for name, theirs in [
        ("r2", want.rsquared),
        ("adjusted_r2", want.rsquared_adj),
        ("f_statistic", want.fvalue),
        ("log_likelihood", want.llf),
        ("aic", want.aic),
        ("bic", want.bic),
        ("residual_std", math.sqrt(want.scale)),
        ("df_resid", want.df_resid),
        ("df_model", want.df_model),
    ]:
        assert getattr(classic, name) == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    close(classic.f_p_value, want.f_pvalue, 1e-4)
    for cov in COVS[1:]:
        robust = want.get_robustcov_results(cov, use_t=True)
        found = fit.inference(cov, level=0.9)
        agrees(found, robust, tolerance)
        close(found.f_statistic, robust.fvalue, 1e-5)
    robust = want.get_robustcov_results("cluster", groups=p["groups"], use_t=True)
    found = fit.inference(("cluster", p["groups"]), level=0.9)
    agrees(found, robust, tolerance)
    assert found.df == found.clusters - 1 == len(set(p["groups"])) - 1  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["prediction", "confidence"])
@pytest.mark.parametrize("weighted", [False, True])
def test_prediction_intervals(kind: Any, weighted: bool) -> None:
    p = problem(5, 40, 3, weighted)
    fit = gl.fit(p["X"], p["y"], weights=p["weights"])
    new = p["X"][:7] * 1.1
    found = fit.predict(new, interval=0.9, kind=kind)
    want = oracle(p).get_prediction(sm.add_constant(new)).summary_frame(0.1)
    short = "obs" if kind == "prediction" else "mean"
    close(found.prediction, want["mean"])
    close(found.low, want[f"{short}_ci_lower"])
    close(found.high, want[f"{short}_ci_upper"])
    np.testing.assert_array_equal(found.prediction, fit.predict(new))


def test_intervals_where_a_row_is_incomplete() -> None:
    fit = gl.fit([1.0, 2.0, 4.0, 5.0], [1.0, 2.0, 2.0, 5.0])
    found = fit.predict([3.0, np.nan], interval=0.5, missing="nan")
    assert np.isnan([found.prediction[1], found.low[1], found.high[1]]).all()
    assert found.low[0] < found.prediction[0] < found.high[0]
    assert len(fit.predict(np.zeros(0), interval=0.5).low) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_influence(weighted: bool) -> None:
    p = problem(8, 30, 3, weighted)
    fit = gl.fit(p["X"], p["y"], weights=p["weights"])
    found = fit.influence()
    root = np.sqrt(p["weights"]) if weighted else np.ones(30)
    X = sm.add_constant(p["X"])
    # As R does with weights: the influence in the fit of √w y on √w x.
    want = OLSInfluence(sm.OLS(root * p["y"], root[:, None] * X).fit())
    close(found.leverage, want.hat_matrix_diag, 1e-8)
    close(found.residuals, p["y"] - fit.predict(p["X"]), 1e-7)
    close(found.studentized_internal, want.resid_studentized_internal, 1e-7)
    close(found.studentized_external, want.resid_studentized_external, 1e-7)
    close(found.cooks_distance, want.cooks_distance[0], 1e-7)
    assert found.leverage.sum() == pytest.approx(4)


def test_a_row_that_stands_alone() -> None:
    x = np.array([0.0, 0, 0, 0, 1])
    fit = gl.fit(x, [1.0, 2, 3, 5, 4])
    assert np.isnan(fit.influence().studentized_internal[4])
    assert np.isfinite(fit.influence().studentized_internal[:4]).all()
    for cov in ("HC2", "HC3"):
        with pytest.raises(gl.DataError, match=f"row 5 .* leverage 1.*so {cov} is not"):
            fit.inference(cov)
    assert math.isfinite(fit.inference("HC1").standard_errors["x"])


# One answer, however the data come.


class Bits(ArraySource):
    """An array that comes a few rows at a time."""

    def batches(self, columns: Any) -> Any:
        for whole in super().batches(columns):
            for start in range(0, whole.rows, 7):
                yield type(whole)(self._places, whole._matrix[start : start + 7])


def test_chunked_is_whole() -> None:
    p = problem(2, 50, 2, True)
    matrix = np.column_stack([p["X"], p["y"], p["weights"], p["groups"]])
    names = ["a", "b", "y", "w", "firm"]
    how = {"target": "y", "features": ["a", "b"], "weights": "w"}
    whole = gl.fit(ArraySource(matrix, names), **how)
    bits = gl.fit(Bits(matrix, names), **how)
    by_array = ("cluster", p["groups"].astype(str))
    for cov in [*COVS, ("cluster", "firm"), by_array]:
        close(bits.inference(cov).covariance, whole.inference(cov).covariance)
    close(
        bits.inference(by_array).covariance,
        bits.inference(("cluster", "firm")).covariance,
    )
    close(bits.influence().cooks_distance, whole.influence().cooks_distance)


def test_zero_weights_do_not_count() -> None:
    p = problem(4, 40, 2, True)
    some = p["weights"] * (np.arange(40) % 3 > 0)
    kept = some > 0
    zeros = gl.fit(p["X"], p["y"], weights=some)
    fewer = gl.fit(p["X"][kept], p["y"][kept], weights=some[kept])
    for cov in COVS:
        close(zeros.inference(cov).covariance, fewer.inference(cov).covariance)
    assert zeros.inference().aic == pytest.approx(fewer.inference().aic)
    ours = zeros.inference(("cluster", p["groups"]))
    theirs = fewer.inference(("cluster", p["groups"][kept]))
    close(ours.covariance, theirs.covariance)
    assert ours.clusters == theirs.clusters


def test_clusters_of_dropped_rows_and_categories(tmp_path: Path) -> None:
    table = real_table("penguins_categorical_missing")
    y, x = COLUMNS["penguins_categorical_missing"]
    table.to_csv(tmp_path / "p.csv", index=False)
    how: dict[str, Any] = {"target": y, "features": x[:2], "missing": "drop"}
    from_file = gl.fit(tmp_path / "p.csv", **how)
    from_frame = gl.fit(table, **how)
    used = table.dropna(subset=[y, *x[:2]])
    model = sm.OLS(used[y], sm.add_constant(used[x[:2]])).fit()
    codes = used["species"].astype("category").cat.codes
    want = model.get_robustcov_results("cluster", groups=codes, use_t=True)
    for fit in (from_file, from_frame):
        found = fit.inference(("cluster", "species"))
        close(values(found.standard_errors), want.bse, 1e-7)
        array = fit.inference(("cluster", table["species"]))
        close(array.covariance, found.covariance)


def test_descent_that_converged_is_as_good() -> None:
    p = problem(9, 60, 3, False)
    exact = gl.fit(p["X"], p["y"]).inference("HC1")
    gd = gl.fit(p["X"], p["y"], method="gd").inference("HC1")
    close(values(gd.standard_errors), values(exact.standard_errors), 1e-6)


# After a file.


def test_a_loaded_fit_knows_the_classic_kind(tmp_path: Path) -> None:
    p = problem(6, 30, 2, True)
    fit = gl.fit(p["X"], p["y"], weights=p["weights"])
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    for other in (again, pickle.loads(pickle.dumps(fit))):
        assert str(other) == str(fit)
        assert other.inference().to_dict() == fit.inference().to_dict()
        close(other.inference().covariance, fit.inference().covariance)
        ours, theirs = (f.predict(p["X"], interval=0.9) for f in (other, fit))
        np.testing.assert_array_equal(ours.low, theirs.low)
        for call in (
            lambda other=other: other.inference("HC1"),
            lambda other=other: other.influence(),
        ):
            with pytest.raises(
                gl.DataError, match=r"holds no rows.*give .* data=\.\.\."
            ):
                call()
    data = {"data": p["X"], "y": p["y"], "weights": p["weights"]}
    close(again.inference("HC3", **data).covariance, fit.inference("HC3").covariance)
    close(again.influence(**data).leverage, fit.influence().leverage)
    with pytest.raises(gl.DataError, match="is not what the model was fitted on"):
        again.inference("HC3", **(data | {"y": p["y"] + 1}))
    with pytest.raises(gl.UsageError, match="weighted by 'weights', which .* lacks"):
        again.inference("HC3", data=p["X"], y=p["y"])
    with pytest.raises(gl.UsageError, match="y given without data"):
        again.inference("HC3", y=p["y"])
    with pytest.raises(gl.UsageError, match="no target is given"):
        again.inference("HC3", data=p["X"])


def test_data_changed_since_the_fit() -> None:
    x, y = np.arange(9.0), np.array([1.0, 3, 2, 5, 4, 7, 6, 9, 8])
    fit = gl.fit(x, y)
    y[3] += 1
    x[3] += 5
    with pytest.raises(gl.DataError, match="is not what the model was fitted on"):
        fit.inference("HC0")


# Where nothing can be said.


def test_not_converged_is_refused() -> None:
    p = problem(1, 40, 2, False)
    fit = gl.fit(p["X"], p["y"], lr="auto", epochs=2)
    with pytest.raises(gl.DataError, match="not_converged.*leave out epochs, or give"):
        fit.inference()
    with pytest.raises(gl.DataError, match="not_converged"):
        fit.predict(p["X"], interval=0.9)
    assert "No standard errors for a fit that is not_converged" in str(fit)
    assert "std. error" not in str(fit)


def test_rank_deficient_is_refused() -> None:
    x = np.arange(6.0)
    fit = gl.fit({"a": x, "b": 2 * x, "y": x**2}, target="y")
    match = r"rank_deficient.*not unique \('a', 'b'\); leave out 1 of the columns"
    with pytest.raises(gl.DataError, match=match):
        fit.inference()
    with pytest.raises(gl.DataError, match="rank_deficient"):
        fit.influence()
    assert "rank_deficient" in " ".join(str(fit).split())


def test_no_residual_left() -> None:
    fit = gl.fit([1.0, 2.0], [1.0, 5.0])
    with pytest.raises(gl.DataError, match="2 rows determine 2 coefficients exactly"):
        fit.inference()
    assert "2 rows determine 2 coefficients" in str(fit)


def test_a_perfect_fit_has_no_p() -> None:
    x = np.arange(10.0)
    found = gl.fit(x, 3 * x + 1).inference()
    assert np.isnan(values(found.p)).all()
    assert np.isnan(found.f_p_value)
    assert found.note is not None
    assert "every point" in found.note
    assert values(found.standard_errors).max() < 1e-12
    assert "goes through every point" in str(gl.fit(x, 3 * x + 1))
    constant = gl.fit(x, np.full(10, 2.0))
    assert math.isnan(constant.inference().r2)
    assert "std. error" in str(constant)


def test_what_cov_may_be() -> None:
    fit = gl.fit(np.arange(5.0), [1.0, 3, 2, 5, 5])
    wrong: list[Any] = [("cluster",), ("firm", "a"), 3, None]
    for cov in wrong:
        with pytest.raises(gl.UsageError, match="cov is .*: give 'classic', 'HC0' to"):
            fit.inference(cov)
    bad: Any = "HC4"
    with pytest.raises(gl.UsageError, match="cov is 'HC4': give 'classic' or 'HC0'"):
        fit.inference(bad)
    for level in (0, 1, 95, "x"):
        with pytest.raises(gl.UsageError, match="level is"):
            fit.inference(level=level)  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match="interval is 95: give a share between"):
        fit.predict([1.0], interval=95)
    with pytest.raises(gl.UsageError, match="interval is True: give a share between"):
        fit.predict([1.0], interval=True)
    with pytest.raises(gl.UsageError, match="kind is 'mean'"):
        fit.predict([1.0], interval=0.5, kind="mean")  # type: ignore[call-overload]


def test_what_clusters_may_be() -> None:
    table = pd.DataFrame(
        {
            "x": np.arange(6.0),
            "y": [1.0, 3, 2, 5, 5, 7],
            "firm": ["a", "b", None, "a", "b", "c"],
            "day": pd.date_range("2024-01-01", periods=6),
        }
    )
    fit = gl.fit(table, target="y", features=["x"])
    for by, match in [
        ("firm", "'firm' has a missing value, first in row 3"),
        ("frim", "did you mean 'firm'"),
        ("day", "'day' is of type timestamp"),
        (table["firm"], "missing value, first in row 3"),
        ([1, 2, 3], r"shape \(3,\) and the data .*6 rows: give one value per row"),
        ([1.0] * 7, r"shape \(7,\) and the data 6 rows"),
        ([1.0, 2, 3, 4, 5, np.nan], "missing value, first in row 6"),
        (np.ones((6, 1)), r"shape \(6, 1\): give \(n,\)"),
        ([1] * 6, "the clusters of the array are 1: give at least 2"),
    ]:
        with pytest.raises(gl.DataError, match=match):
            fit.inference(("cluster", by))


# The table.


def test_the_table_is_complete_and_narrow(real_fits: dict[str, gl.Fit]) -> None:
    for name, fit in real_fits.items():
        lines = str(fit).splitlines()
        head = next(i for i, line in enumerate(lines) if "std. error" in line)
        rows = lines[head : head + len(fit.coefficients) + 2]
        names = ["term", "Intercept", *fit.coefficients]
        for row, term in zip(rows, names, strict=True):
            assert row[2:].startswith(term), name
        assert max(map(len, lines)) <= 88, name
        assert f"on {fit.inference().df_resid:,} df" in str(fit)


def test_the_table_of_robust_errors() -> None:
    fit = gl.fit(np.arange(6.0), [1.0, 3, 2, 5, 5, 9])
    assert "Standard errors: HC3" in fit_table(fit, fit.inference("HC3", level=0.99))
    assert "99% low" in fit_table(fit, fit.inference("HC3", level=0.99))
    clusters = fit.inference(("cluster", [1, 1, 2, 2, 3, 3]))
    assert "of 3 clusters" in fit_table(fit, clusters)


def test_printing_makes_no_pass_over_the_data() -> None:
    source = ArraySource(np.random.default_rng(0).normal(size=(20, 2)), ["x", "y"])
    fit = gl.fit(source, target="y")
    source.batches = None  # type: ignore[assignment, method-assign]
    assert "std. error" in str(fit)
    with pytest.raises(TypeError):
        fit.inference("HC0")


def test_numbers_to_read() -> None:
    assert p_value(0.041234) == "0.0412"
    assert p_value(1e-17) == "<2e-16"
    assert p_value(math.nan) == "-"
    assert p_value(3.21e-9) == "3.21e-09"
    assert rounded(-3482258.63, 6) == "-3482259"
    assert rounded(0.5, 4) == "0.5000"
    assert rounded(0.0, 4) == "0.000"
    assert rounded(1e300, 4) == "1.000e+300"
    assert rounded(math.nan, 4) == "-"


# The distributions.


def exact_t(t: float, df: float) -> Any:
    with mpmath.workdps(80):
        x = df / (df + mpmath.mpf(t) ** 2)
        half = mpmath.mpf(1) / 2
        return mpmath.betainc(mpmath.mpf(df) / 2, half, 0, x, regularized=True)


@pytest.mark.parametrize("df", [1, 2, 3, 4.5, 10, 19, 20, 30, 1e3, 1e4, 1e6, 1e8, 1e12])
def test_student_against_scipy(df: float) -> None:
    t = np.concatenate([[0.0], np.geomspace(1e-3, 36, 200)])
    if df < 30:
        t = np.concatenate([t, np.geomspace(40, 1e14, 60)])
    expected = 2 * stats.t.sf(t, df)
    ours = t_two_sided(t, df)
    seen = expected > 1e-300
    close(ours[seen], expected[seen], 1e-12)
    assert (ours[~seen] < 1e-299).all()
    np.testing.assert_array_equal(t_two_sided(-t, df), ours)


@pytest.mark.parametrize("df", [1, 7, 20, 1e4, 1e8])
@pytest.mark.parametrize("t", [1e-8, 0.3, 1.7, 1.75, 5, 30, 36])
def test_student_against_40_digits(t: float, df: float) -> None:
    close(float(t_two_sided(t, df)), float(exact_t(t, df)), 1e-12)


@pytest.mark.parametrize("df1", [1, 2, 3, 19, 50, 500, 2_000])
@pytest.mark.parametrize("df2", [1, 2, 17, 30, 300, 1e4])
def test_fisher_against_scipy(df1: float, df2: float) -> None:
    f = np.geomspace(1e-3, 1e3, 100)
    expected = stats.f.sf(f, df1, df2)
    seen = expected > 1e-150
    # SciPy itself is off by up to 1e-12 further out, and by 3e-8 where df2 is 1e9.
    close(f_above(f, df1, df2)[seen], expected[seen], 2e-12)
    assert f_above(0.0, df1, df2) == 1


def test_fisher_is_right_where_scipy_is_not() -> None:
    """By 40 digits, mpmath; SciPy 1.17 is off by 3e-8 in the first."""
    close(float(f_above(4.939650471597292, 10, 1e9)), 3.44530935588109e-07, 1e-13)
    close(float(f_above(63.75670837931431, 10, 1e6)), 1.7231481062377633e-130, 1e-13)
    close(float(f_above(2.257212, 2000, 1e9)), 3.746718596588371e-195, 1e-12)


def test_ends_of_the_distributions() -> None:
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(
            t_two_sided(np.array([0.0, np.inf, -np.inf, 1e200, np.nan]), 5),
            [1, 0, 0, 0, np.nan],
        )
    assert math.isnan(f_above(math.nan, 2, 3))
    assert f_above(math.inf, 2, 3) == 0


@pytest.mark.parametrize("df", [1, 2, 5, 30, 1e3, 1e7, 1e12])
@pytest.mark.parametrize("level", [1e-10, 0.01, 0.3, 0.5, 0.9, 0.95, 0.99, 1 - 1e-9])
def test_quantile(level: float, df: float) -> None:
    found = t_central_quantile(level, df)
    if level >= 0.5:
        close(found, stats.t.isf((1 - level) / 2, df), 1e-12)
    else:
        with mpmath.workdps(80):
            inside = float(1 - exact_t(found, df))
        close(inside, level, 1e-12)


def test_an_inference_prints_as_a_table() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    fit = gl.fit(X, X @ [1.0, 2.0] + np.random.default_rng(1).normal(size=40))
    found = fit.inference("HC1")
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["Intercept", "x1", "x2"]
    assert lines[2].split()[1] == f"{fit.coefficients['x1']:.5g}"
    assert lines[2].split()[2] == f"{found.standard_errors['x1']:.5g}"
    assert lines[-1].startswith("HC1 standard errors, t on 37 df, R² 0.")
    assert "3 clusters" in str(fit.inference(("cluster", np.arange(40) % 3)))
