"""Absolute and quantile loss: against HiGHS, scikit-learn, statsmodels and R."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import QuantileRegressor

import gradline as gl
import gradline.approach
from gradline.interior import interior_point
from gradline.interior import pinball as total
from gradline.vertex import least_pinball
from helpers import TOLERANCE
from robust_data import noisy, pinball, residuals

FINE = TOLERANCE["float64"]


def engel() -> Any:
    return sm.datasets.engel.load_pandas().data


def highs(Z: Any, y: Any, level: float, w: Any = None) -> float:
    """The least loss, by a linear program solved with HiGHS."""
    k, p = Z.shape
    w = np.full(k, 1 / k) if w is None else w / w.sum()
    cost = np.concatenate([np.zeros(2 * p), level * w, (1 - level) * w])
    unit = np.eye(k)
    found = scipy.optimize.linprog(
        cost, A_eq=np.hstack([Z, -Z, unit, -unit]), b_eq=y, method="highs"
    )
    return float(found.fun)


#: From R: rq(foodexp ~ income, tau, data = engel), quantreg 5.9.
R_ENGEL = {
    0.05: (124.88004, 0.34336),
    0.1: (110.14157, 0.40177),
    0.25: (95.48354, 0.47410),
    0.5: (81.48225, 0.56018),
    0.75: (62.39659, 0.64401),
    0.9: (67.35087, 0.68630),
    0.95: (64.10396, 0.70907),
}


@pytest.mark.parametrize("level", R_ENGEL)
def test_engel_as_in_r(level: float) -> None:
    fit = gl.fit(engel(), target="foodexp", loss=gl.Quantile(level))
    assert fit.intercept == pytest.approx(R_ENGEL[level][0], abs=6e-6)
    assert fit.slopes[0] == pytest.approx(R_ENGEL[level][1], abs=6e-6)
    assert fit.certificate.status == gl.Status.EXACT
    assert fit.certificate.relative_gap < 1e-12


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_as_statsmodels(level: float) -> None:
    table = engel()
    fit = gl.fit(table, target="foodexp", loss=gl.Quantile(level))
    model = sm.QuantReg(table["foodexp"], sm.add_constant(table["income"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may go round in circles at the optimum
        theirs = model.fit(level, p_tol=1e-10, max_iter=5000)
    assert [fit.intercept, *fit.slopes] == pytest.approx(theirs.params, rel=1e-6)
    loss = pinball(np.asarray(theirs.resid), level)
    assert fit.certificate.loss <= loss * (1 + 1e-14)


def test_stackloss_as_in_the_literature() -> None:
    # Koenker & Bassett, 1982; R: rq(stack.loss ~ ., data = stackloss).
    data = sm.datasets.stackloss.load_pandas().data
    fit = gl.fit(data, target="STACKLOSS", loss="absolute")
    known = [-39.68985507, 0.83188406, 0.57391304, -0.06086957]
    assert [fit.intercept, *fit.slopes] == pytest.approx(known, rel=1e-7)
    assert fit.metrics.mae * 21 == pytest.approx(42.08116, abs=1e-5)


@pytest.mark.parametrize("level", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["t", "outliers"])
def test_as_scikit_learn(level: float, kind: str) -> None:
    X, y = noisy(400, 3, kind=kind)
    fit = gl.fit(X, y, loss=gl.Quantile(level))
    theirs = QuantileRegressor(quantile=level, alpha=0, solver="highs").fit(X, y)
    assert fit.slopes == pytest.approx(theirs.coef_, rel=1e-7)
    assert fit.intercept == pytest.approx(theirs.intercept_, rel=1e-7)
    r = residuals(fit, X, y)
    assert fit.certificate.loss == pytest.approx(pinball(r, level), rel=FINE)
    below = float((r < -1e-9).mean())
    assert below <= level <= below + 5 / 400  # as a quantile's share must be


def test_absolute_is_half_and_doubled() -> None:
    X, y = noisy(300, 2)
    fit, half = gl.fit(X, y, loss="absolute"), gl.fit(X, y, loss="quantile:0.5")
    assert fit.slopes == pytest.approx(half.slopes, rel=FINE)
    assert fit.certificate.loss == pytest.approx(2 * half.certificate.loss, rel=FINE)
    assert fit.certificate.loss == pytest.approx(fit.metrics.mae, rel=FINE)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(6, 60),
    st.integers(1, 4),
    st.sampled_from([0.05, 0.5, 0.75]),
)
def test_the_gap_is_a_bound(seed: int, n: int, d: int, level: float) -> None:
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(n, d)), random.standard_t(1.5, size=n)
    if seed % 2:  # many rows in one point
        X, y = np.round(X), np.round(y)
    w = random.integers(1, 4, size=n).astype(float) if seed % 3 else None
    fit = gl.fit(X, y, loss=gl.Quantile(level), weights=w)
    best = highs(np.column_stack([np.ones(n), X]), y, level, w)
    c = fit.certificate
    size = np.abs(y).mean()
    assert c.loss == pytest.approx(
        pinball(residuals(fit, X, y), level, w), rel=1e-9, abs=1e-12 * size
    )
    assert c.gap >= 0
    assert c.optimum_loss <= best + 1e-9 * size
    assert c.loss == pytest.approx(best, rel=1e-8, abs=1e-10 * size)


@pytest.mark.parametrize("level", [0.25, 0.5, 0.9])
def test_rows_in_memory_by_interior_point_and_simplex(level: float) -> None:
    X, y = noisy(600, 4)
    Z = np.column_stack([np.ones(600), X])
    near, found = interior_point(Z, y, level), least_pinball(Z, y, level)
    assert found.proven
    least = total(y - Z @ found.u, level)
    assert total(y - Z @ near.u, level) == pytest.approx(least, rel=1e-9)
    assert int((np.abs(y - Z @ found.u) < 1e-12).sum()) == 5  # a vertex
    assert found.dual @ Z == pytest.approx(np.zeros(5), abs=1e-9)
    assert found.dual @ y == pytest.approx(least, rel=FINE)
    assert found.dual.min() >= level - 1 - 1e-12
    assert found.dual.max() <= level + 1e-12


def test_not_unique_is_said() -> None:
    fit = gl.fit([0.0, 0.0, 1.0, 1.0], [1.0, 2.0, 5.0, 7.0], loss="absolute")
    assert fit.certificate.loss == pytest.approx(0.75)
    assert any("not unique" in note for note in fit.notes)
    fit = gl.fit(engel(), target="foodexp", loss="absolute")
    assert not fit.notes


@pytest.mark.parametrize("level", [0.5, 0.97])
def test_ties_in_large_data(level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims: nine rows in ten are 0, more than can be kept."""
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 2))
    y = np.where(random.random(20_000) < 0.9, 0.0, random.exponential(5, 20_000))
    fit = gl.fit(X, y, loss=gl.Quantile(level))
    assert fit.certificate.status == gl.Status.EXACT
    assert fit.settings["passes"] <= 5
    if level == 0.5:
        assert fit.slopes == pytest.approx([0, 0], abs=1e-12)
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 10**9)
    whole = gl.fit(X, y, loss=gl.Quantile(level))
    assert fit.certificate.loss == pytest.approx(whole.certificate.loss, rel=FINE)


def test_whole_numbers_and_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stars from 1 to 5 by shop: all rows are copies of a few."""
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    random = np.random.default_rng(1)
    shop = random.choice(["a", "b", "c"], 20_000)
    better = np.array([{"a": 0.2, "b": 0.5, "c": 0.8}[s] for s in shop])
    stars = 1 + random.binomial(4, better)
    fit = gl.fit({"shop": shop, "stars": stars}, target="stars", loss="quantile:0.6")
    assert fit.certificate.relative_gap < 1e-8
    for name in "abc":
        here = fit.predict({"shop": [name]})[0]
        assert here == pytest.approx(
            np.quantile(stars[shop == name], 0.6, method="inverted_cdf")
        )


def test_several_levels_are_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradline.approach, "SMALL_NUMBERS", 100)
    X, y = noisy(20_000, 3)
    several = gl.fit_quantiles(X, y, quantiles=[0.9, 0.1, 0.5])
    assert several.levels == (0.1, 0.5, 0.9)
    for level, fit in several.items():
        alone = gl.fit(X, y, loss=gl.Quantile(level))
        assert fit.slopes == pytest.approx(alone.slopes, rel=FINE)
    assert several.crossings.rows == 0
    predicted = several.predict(X)
    assert predicted.shape == (20_000, 3)
    for (_, fit), column in zip(several.items(), predicted.T, strict=True):
        assert column == pytest.approx(fit.predict(X))
    assert "no lines cross" in str(several).lower()


def test_crossing_is_never_silent() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=40)
    y = random.normal(size=40)
    levels = [0.4, 0.45, 0.5, 0.55, 0.6]
    fits = gl.fit_quantiles(x, y, quantiles=levels)
    predicted = fits.predict(x)
    crossed = (np.diff(predicted, axis=1) < -1e-9).any(axis=1)
    assert fits.crossings == gl.Crossings(
        int(crossed.sum()), 40, int(np.argmax(crossed)) + 1
    )
    assert fits.crossings.rows > 0
    assert re.search(r"Lines cross in \d+\s+of 40", str(fits))
    for fit in fits.values():
        assert any("rearrange=True" in note for note in fit.notes)
    arranged = fits.predict(x, rearrange=True)
    assert (np.diff(arranged, axis=1) >= 0).all()
    assert np.sort(predicted, axis=1) == pytest.approx(arranged)
    assert "crossing" in repr(fits)


def test_first_crossing_counts_dropped_rows() -> None:
    random = np.random.default_rng(3)
    x, y = random.normal(size=40), random.normal(size=40)
    fits = gl.fit_quantiles(x, y, quantiles=[0.4, 0.45, 0.5, 0.55, 0.6])
    gap = np.concatenate([[np.nan, np.nan], x]), np.concatenate([[1.0, 2.0], y])
    later = gl.fit_quantiles(
        *gap, quantiles=[0.4, 0.45, 0.5, 0.55, 0.6], missing="drop"
    )
    assert fits.crossings.first is not None
    assert later.crossings.first == fits.crossings.first + 2


@pytest.mark.parametrize(
    ("quantiles", "says"),
    [
        ([0.5, 1.0], "give a share between 0 and 1"),
        ([], "is empty"),
        ([0.1, 0.1], "given twice"),
        ("0.5", "give a list of levels"),
        (0.5, "give a list of levels"),
    ],
)
def test_levels_that_are_none(quantiles: Any, says: str) -> None:
    with pytest.raises(gl.UsageError, match=says):
        gl.fit_quantiles([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], quantiles=quantiles)


def test_unknown_level() -> None:
    fits = gl.fit_quantiles([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], quantiles=[0.25, 0.75])
    with pytest.raises(KeyError, match=r"no quantile 0\.5: fitted are 0\.25, 0\.75"):
        fits[0.5]


def test_picture(tmp_path: Any) -> None:
    fits = gl.fit_quantiles(engel(), target="foodexp")
    figure = fits.plot(tmp_path / "engel.png")
    assert (tmp_path / "engel.png").stat().st_size > 1000
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [line.get_label() for line in lines] == [
        "quantile 0.9",
        "quantile 0.5",
        "quantile 0.1",
    ]
    for line, fit in zip(lines, reversed(list(fits.values())), strict=True):
        x, y = line.get_data()
        assert np.asarray(y) == pytest.approx(fit.intercept + fit.slopes[0] * x)
    with pytest.raises(gl.UsageError, match="one numeric feature"):
        gl.fit_quantiles(*noisy(50, 2)).plot()


def test_many_lines_are_named_by_a_few() -> None:
    levels = [round(0.05 * i, 2) for i in range(1, 20)]
    fits = gl.fit_quantiles(engel(), target="foodexp", quantiles=levels)
    (ax,) = fits.plot().axes[:1]
    named = [
        label for label in ax.get_legend_handles_labels()[1] if "quantile" in label
    ]
    # Places 0, 4.5, 9, 13.5 and 18 of 19, rounded to even.
    assert named == [f"quantile {q:g}" for q in (0.95, 0.75, 0.5, 0.25, 0.05)]
    height = ax.get_window_extent().height / ax.figure.bbox.height
    assert height > 0.5


def test_a_picture_of_several_terms_names_its_loss() -> None:
    fit = gl.fit(*noisy(50, 2), loss="quantile:0.9")
    assert "quantile loss at 0.9" in fit.plot().axes[0].get_title(loc="left")
    fit = gl.fit(*noisy(50, 2), loss="absolute")
    assert "mean absolute error" in fit.plot().axes[0].get_title(loc="left")
    assert "By" not in gl.fit(*noisy(50, 2)).plot().axes[0].get_title(loc="left")


def test_every_line_through_p_points_is_tried() -> None:
    """A slow, plain reference: the best of all lines through two of the points."""
    random = np.random.default_rng(7)
    x, y = random.normal(size=14), random.normal(size=14)
    Z = np.column_stack([np.ones(14), x])
    best = min(
        pinball(y - Z @ np.linalg.solve(Z[list(pair)], y[list(pair)]), 0.3)
        for pair in itertools.combinations(range(14), 2)
    )
    assert gl.fit(x, y, loss="quantile:0.3").certificate.loss == pytest.approx(best)


def test_several_remember_their_split() -> None:
    split = gl.Split(test=0.25, seed=1)
    fits = gl.fit_quantiles(engel(), target="foodexp", split=split)
    for level, several in fits.items():
        alone = gl.fit(engel(), target="foodexp", loss=gl.Quantile(level), split=split)
        assert several.evaluate(part="test") == alone.evaluate(part="test")
        assert several.settings["split"] == alone.settings["split"]


def test_several_by_a_formula_or_a_degree() -> None:
    fits = gl.fit_quantiles(engel(), formula="foodexp ~ log(income)")
    alone = gl.fit(engel(), formula="foodexp ~ log(income)", loss="quantile:0.9")
    assert fits[0.9].coefficients == pytest.approx(alone.coefficients, rel=FINE)
    fits = gl.fit_quantiles(engel(), target="foodexp", degree=2)
    alone = gl.fit(engel(), target="foodexp", degree=2, loss="quantile:0.5")
    assert fits[0.5].coefficients == pytest.approx(alone.coefficients, rel=1e-9)
