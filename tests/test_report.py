"""The report: one file, light, safe, well-formed; numbers those of the fit."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from statsmodels.nonparametric.smoothers_lowess import lowess
from statsmodels.stats.diagnostic import het_breuschpagan, linear_reset
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.stattools import durbin_watson, jarque_bera

import gradline as gl
from commands import run
from gradline.report import residuals
from gradline.report.bins import Grid, Line, smooth
from gradline.report.charts import apart
from gradline.report.findings import findings, inflation_of
from gradline.report.groups import differ, groups
from gradline.report.judged import along, breusch_pagan, shape, spread_ratio
from gradline.report.markup import Markup, el
from gradline.report.panels import panels_of
from gradline.report.residuals import COOK, LEVERAGE, STANDARD, Seen, look
from gradline.report.svg import Frame, closed
from gradline.report.ticks import Ticks, log_ticks, said
from gradline.report.writing import MOST_BYTES
from gradline.reported import Report
from helpers import ROOT, TOLERANCE

RTOL = TOLERANCE["float64"]
PENGUINS = str(ROOT / "docs" / "penguins.csv")
FLIGHTS = str(ROOT / "docs" / "flights.csv")
ENGEL = str(ROOT / "docs" / "engel.csv")
VOID = {"meta", "br", "path", "line", "circle", "rect", "ellipse"}


class Checked(HTMLParser):
    """A page whose elements end in the order they began."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.said.append(data)

    @property
    def words(self) -> str:
        return " ".join(self.said)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def written(fit: gl.Fit, place: Path, **more: Any) -> tuple[Report, Checked, str]:
    """A report, checked for what holds for every one."""
    file = place / "r.html"
    report = fit.report(file, **more)
    text = file.read_text(encoding="utf-8")
    assert report.bytes == file.stat().st_size <= MOST_BYTES
    page = Checked(text)
    assert page.count("h1") == 1
    assert page.count("svg") >= page.count("figure")
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, a in page.elements:
        for name in (a.get("aria-labelledby") or "").split():
            assert name in ids
        assert not any(k.startswith("on") or k in ("style", "src", "href") for k in a)
    # The namespace of SVG is a name that the script gives, and nothing is fetched.
    bare = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|<link|\burl\((?!#)", bare)
    assert not re.search(r"\bnan\b|>inf|undefined", page.words.casefold())
    return report, page, text


def line(rows: int, features: int = 1, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, features))
    return X, X @ np.arange(1, features + 1) + random.normal(size=rows)


def seen_of(fit: gl.Fit) -> Seen:
    assert fit._source is not None
    assert fit.sample is not None
    return look(fit, fit._source, panels_of(fit, fit.sample.X))


# The page.


def test_it_has_all_its_parts(tmp_path: Path) -> None:
    fit = gl.fit(
        PENGUINS,
        target="body_mass_g",
        features=["flipper_length_mm", "sex"],
        missing="drop",
    )
    report, page, text = written(fit, tmp_path, data=PENGUINS)
    heads = [a["id"] for tag, a in page.elements if tag == "h2"]
    assert heads == [
        "h-findings",
        "h-what",
        "h-certificate",
        "h-coefficients",
        "h-scores",
        "h-fit",
        "h-residuals",
        "h-partials",
        "h-descent",
        "h-again",
    ]
    assert report.pictures == page.count("figure") == 8
    assert report.rows == 333
    assert "333; 11 incomplete left out" in page.words
    assert hashlib.sha256(Path(PENGUINS).read_bytes()).hexdigest() in text
    assert "sex (2 levels, base female)" in page.words
    assert [f.name for f in report.findings] == ["curvature"]  # it knows no species


def test_the_policy_lets_its_own_script_run_and_nothing_else(tmp_path: Path) -> None:
    _, page, text = written(gl.fit(*line(30)), tmp_path)
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    for tag in ("script", "style"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")


EVIL = "<script>alert(1)</script>"
WORST = [EVIL, "\"><img src=x onerror=alert(1)>'", "a&b;\t\n$body{}", "]]>--><!--"]


def test_names_are_only_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=40) for name in WORST})
    frame["</title><script>x"] = random.choice(WORST, 40)
    frame["${style}</svg>"] = frame[EVIL] + random.normal(size=40)
    for more in ({}, {"method": "gd", "epochs": 9}):
        fit = gl.fit(frame, target="${style}</svg>", **more)
        _, page, text = written(fit, tmp_path)
        assert page.count("script") == 1
        assert page.count("img") == 0
        assert page.count("title") > 1
        assert "alert(1)" not in re.findall("<script>.*?</script>", text, re.DOTALL)[0]
        assert EVIL in page.words


def test_markup_escapes_text_and_attributes() -> None:
    made = el("p", "a<b", Markup("<b>c</b>"), None, title='"<', hidden=True, id=None)
    assert made == '<p title="&quot;&lt;" hidden>a&lt;b<b>c</b></p>'
    with pytest.raises(ValueError, match="is no name of an attribute"):
        el("p", **{"x onload=": 1})


def net() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    )


PARTS = gl.Split(validation=0.2, test=0.2)
TWO: dict[str, Any] = {"features": ["flipper_length_mm", "bill_depth_mm"]}
KINDS: dict[str, dict[str, Any]] = {
    "exact": {},
    "no intercept": {"intercept": False},
    "weighted": {"weights": "year", **TWO},
    "formula": {
        "target": None,
        "formula": "log(body_mass_g) ~ flipper_length_mm * sex + poly(year, 2)",
    },
    "degree": {"degree": 3, "features": ["flipper_length_mm", "sex"]},
    "gd": {"lr": 0.1, "standardize": True, "epochs": 50, "momentum": 0.5},
    "early": {"method": "gd", "split": PARTS, "early_stopping": True},
    "adam": {"optimizer": "Adam", "epochs": 30},
    "sgd": {"method": "sgd", "epochs": 5},
    "sgd huber": {"method": "sgd", "epochs": 3, "loss": "huber:1.35:200", **TWO},
    "ridge": {"penalty": "ridge"},
    "lasso": {"penalty": "lasso", "alpha": 1.0},
    "bounds": {"bounds": {"year": (0, None)}},
    "huber": {"loss": "huber"},
    "quantile": {"loss": "quantile:0.9"},
    "network": {"model": net, "epochs": 20, **TWO},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fit_and_how_to_do_it_again(kind: str, tmp_path: Path) -> None:
    wishes = {"target": "body_mass_g", "missing": "drop"} | KINDS[kind]
    model = wishes["model"]() if "model" in wishes else None
    if model is not None:
        wishes["model"] = model
    fit = gl.fit(PENGUINS, **wishes)
    report, page, text = written(fit, tmp_path)
    assert report.rows == fit.rows
    reason = fit.no_inference
    shown = ("std. error" in page.words, "Residuals against leverage" in page.words)
    assert shown == (reason is None, reason is None)
    if reason is not None and model is None:
        assert reason[10:60] in page.words
    assert ("Learning curve" in page.words) == (fit.trace is not None)
    (code,) = re.findall("In Python</h3><pre><code>(.*?)</code>", text, re.DOTALL)
    code = code.replace("&#x27;", "'").replace("penguins.csv", PENGUINS)
    names: dict[str, Any] = {"model": model}
    exec(code, names)
    again = names["fit"]
    assert again.metrics.rmse == pytest.approx(fit.metrics.rmse, rel=1e-6)
    assert again.slopes == pytest.approx(fit.slopes, rel=1e-5)


@pytest.mark.parametrize(
    ("rows", "features"), [(2, 1), (3, 1), (10, 1), (9, 3), (400, 200)]
)
def test_any_size(rows: int, features: int, tmp_path: Path) -> None:
    report, page, _ = written(gl.fit(*line(rows, features)), tmp_path)
    if features > 40:
        assert "160 more are not shown (fit.coefficients has them all)" in page.words
        assert "176 more: in the file" in page.words  # on paper
    assert report.pictures >= 2


def test_odd_data(tmp_path: Path) -> None:
    x = np.arange(20.0)
    perfect, page, _ = written(gl.fit(x, 2 * x + 1), tmp_path)
    assert "goes through every point" in page.words
    assert not [f for f in perfect.findings if f.grade == "act"]
    X = np.column_stack([x, 3 * x, np.sin(x)])
    report, page, _ = written(gl.fit(X, x + np.cos(x)), tmp_path)
    assert report.findings[0].name == "rank_deficient"
    assert "2 of 4" not in page.words
    report, _, _ = written(gl.fit(1e9 + X[:, [2]], 1e-9 * np.cos(x)), tmp_path)
    assert report.pictures > 4
    written(gl.fit(x, np.full(20, 7.0)), tmp_path)
    written(gl.fit(x + 1, x % 3, weights=x % 4), tmp_path)


@pytest.mark.parametrize(("x", "y"), [(1e-9, 1e12), (1e9, 1e-12), (1.0, 1e140)])
def test_any_units(x: float, y: float, tmp_path: Path) -> None:
    X, target = line(60, 2)
    _, page, _ = written(gl.fit(x * X, y * target), tmp_path)
    assert "Loss surface" in page.words
    rings = [a for tag, a in page.elements if tag == "ellipse"]
    assert len(rings) > 3
    assert "under" in str(rings[-1]["data-rows"])  # the smallest, drawn last
    assert re.search(r"loss \S+ to \S+ above its least", str(rings[0]["data-rows"]))


def picture(page: Checked, key: str) -> dict[str, str | None]:
    """The attributes of a picture, by its key."""
    return next(
        a
        for tag, a in page.elements
        if tag == "svg" and f"title-{key} " in (a.get("aria-labelledby") or "")
    )


def test_a_pointer_reads_levels_and_whole_values(tmp_path: Path) -> None:
    frame = pd.read_csv(PENGUINS).dropna().assign(far=lambda f: 1e7 * f.bill_depth_mm)
    fit = gl.fit(
        frame, target="body_mass_g", features=["far", "species", "year"], missing="drop"
    )
    _, page, _ = written(fit, tmp_path)
    keys = {panel.name: i for i, panel in enumerate(panels_of(fit, fit.sample.X))}  # type: ignore[union-attr]
    strips = picture(page, f"partial-{keys['species']}")
    assert json.loads(str(strips["data-levels"])) == ["Adelie", "Chinstrap", "Gentoo"]
    far = picture(page, f"partial-{keys['far']}")
    assert "data-levels" not in far
    assert far["data-x-name"] == "far"  # its values are whole, its ticks are not
    assert float(str(far["data-x"]).split()[3]) > 1e8
    assert "far (×10⁶)" in page.said
    assert {"2007", "2008", "2009"} <= set(page.said)
    assert sum("data-row" in a for tag, a in page.elements if tag == "path") >= 6


def test_names_of_levels_stay_apart() -> None:
    for names in (
        [f"a long name of some category number {i:03d}" for i in range(12)],
        [f"number {i:03d} of the categories of a long name" for i in range(12)],
        ["<b>", "", "a" * 90, "a" * 80 + "b" + "a" * 9, "x"],
    ):
        found = apart(names, 14)
        assert len(set(found)) == len(names)
        assert max(len(name) for name in found) <= 14


def test_words_in_a_picture_do_not_meet() -> None:
    frame = Frame((0.0, 1.0), (0.0, 1.0), ("x", "y"))
    for at in (0.5, 0.501, 0.502, 0.503, 0.504, 0.505, 0.506, 0.507):
        frame.say(at, 0.5, "row 1,234")
    assert 2 < len(frame.taken) == len(frame.marks) < 8
    for i, (left, top, right, bottom) in enumerate(frame.taken):
        for a, b, c, d in frame.taken[:i]:
            assert left >= c or a >= right or top >= d or b >= bottom


def test_rounded_values_leave_no_stripes() -> None:
    random = np.random.default_rng(0)
    for unit, smoothly in ((1.0, False), (0.1, False), (1e-9, True)):
        x = np.round(random.normal(scale=12, size=4000) / unit) * unit
        x = np.clip(x, -40 * max(unit, 0.1), 40 * max(unit, 0.1))
        grid = Grid()
        grid.add(x, random.normal(size=4000))
        count = grid.counts.sum(1)
        begin, end = closed(grid.x.edges, count)
        used = np.flatnonzero(count)
        middle = used[len(used) // 4 : -len(used) // 4]
        assert (begin[middle][1:] <= end[middle][:-1] + 1e-12).all()
        assert (begin[used] <= grid.x.edges[used]).all()
        if smoothly:
            np.testing.assert_array_equal(begin, grid.x.edges[:-1])


def test_long_names_and_many_levels_stay_light(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(3000, 30)))
    frame.columns = [f"{'long ' * 200}{i}" for i in range(30)]
    frame["level"] = [f"{'&' * 300}{i % 200}" for i in range(3000)]
    frame["y"] = random.normal(size=3000)
    fit = gl.fit(frame, target="y", categories=["level"])
    report, page, _ = written(fit, tmp_path)
    assert "189 more are not shown" in page.words
    assert report.bytes < 270_000


# Its numbers.


def test_the_table_is_that_of_the_fit(tmp_path: Path) -> None:
    fit = gl.fit(PENGUINS, target="body_mass_g", missing="drop")
    _, page, _ = written(fit, tmp_path)
    inference = fit.inference()
    for name, value in fit.coefficients.items():
        low, high = inference.intervals[name]
        for number in (
            said(value, 5),
            said(inference.standard_errors[name], 3),
            f"{said(low, 4)} to {said(high, 4)}",
        ):
            assert number in page.said
    robust = fit.inference("HC3")
    _, page, _ = written(fit, tmp_path, inference=robust)
    assert "inference = fit.inference('HC3')" in page.words
    assert said(robust.standard_errors["year"], 3) in page.said
    assert "Standard errors: HC3" in page.words


def test_what_is_drawn_is_the_influence_of_the_fit() -> None:
    X, y = line(80, 3)
    for more in ({}, {"weights": np.linspace(0.2, 2, 80)}, {"intercept": False}):
        fit = gl.fit(X, y, **more)
        seen, known = seen_of(fit), fit.influence()
        assert seen.rows is not None
        for which, values in (
            (LEVERAGE, known.leverage),
            (STANDARD, known.studentized_internal),
            (COOK, known.cooks_distance),
        ):
            np.testing.assert_allclose(seen.rows[:, which], values, rtol=RTOL)


def test_tests_are_those_of_statsmodels() -> None:
    import statsmodels.api as sm

    X, y = line(150, 2)
    y = y + 0.2 * X[:, 0] ** 2
    fit = gl.fit(X, y)
    seen = seen_of(fit)
    ols = sm.OLS(y, sm.add_constant(X)).fit()
    by = {bend.name: bend for bend in seen.bends}
    reset = linear_reset(ols, power=2, use_f=True)
    assert by[None].t ** 2 == pytest.approx(float(reset.fvalue), rel=1e-6)
    for i in range(2):
        squared = sm.OLS(y, sm.add_constant(np.column_stack([X, X[:, i] ** 2]))).fit()
        bend = by[fit.design.terms[i]]
        assert bend.t == pytest.approx(squared.tvalues[-1], rel=1e-6)
        assert bend.share == pytest.approx(1 - squared.ssr / ols.ssr, rel=1e-6)
    z = fit.influence().studentized_internal
    fitted = sm.add_constant(ols.fittedvalues)
    found = het_breuschpagan(z, fitted)
    assert breusch_pagan(seen) == pytest.approx(found[:2], rel=1e-6)
    _, p, skew, kurtosis = jarque_bera(z)
    assert shape(seen) == pytest.approx((skew, kurtosis - 3, p), rel=1e-6)
    durbin = durbin_watson(ols.resid)
    assert seen.steps / seen.squares == pytest.approx(durbin, rel=RTOL)
    ones = sm.add_constant(X)
    vif = [variance_inflation_factor(ones, i) for i in (1, 2)]
    found = [inflation_of(fit, [i]) for i in range(2)]
    np.testing.assert_allclose(found, vif, rtol=RTOL)


def test_the_trend_is_near_lowess() -> None:
    random = np.random.default_rng(3)
    x = np.sort(random.uniform(0, 10, 200))
    y = np.sin(x / 2) + random.normal(scale=0.2, size=200)
    y[50] += 40
    ours = smooth(np.ones(200), x, y, np.linspace(x[0], x[-1], 60))
    theirs = np.interp(np.linspace(x[0], x[-1], 60), *lowess(y, x, frac=2 / 3).T)
    assert np.abs(ours - theirs).max() < 0.03


# Grids.


def test_a_grid_counts_the_rows_whatever_the_order() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=5000), 1e6 + random.standard_t(2, size=5000)
    whole = Grid()
    whole.add(x, y)
    for pieces in (np.arange(5000)[:, None], random.permutation(5000).reshape(10, -1)):
        cut = Grid()
        for piece in pieces:
            cut.add(x[piece], y[piece])
        np.testing.assert_array_equal(cut.counts, whole.counts)
    exact, *_ = np.histogram2d(x, y, [whole.x.edges, whole.y.edges])
    np.testing.assert_array_equal(whole.counts, exact)
    used = np.flatnonzero(whole.counts.any(axis=1))
    assert used[-1] - used[0] + 1 > 96 / 2 - 1


def test_sums_on_a_line_are_those_of_the_rows() -> None:
    random = np.random.default_rng(0)
    x, y = random.exponential(size=9000), random.normal(size=9000)
    line = Line(1)
    for part in range(0, 9000, 700):
        line.add(x[part : part + 700], y[part : part + 700])
    assert line.sums[0].sum() == 9000
    assert line.sums[1].sum() == pytest.approx(x.sum(), rel=RTOL)
    shares = np.array([0.01, 0.25, 0.5, 0.99])
    wide = float(np.diff(line.x.edges)[0])
    assert np.abs(line.quantiles(shares) - np.quantile(x, shares)).max() < 2 * wide


def test_many_rows_are_seen_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = line(1500, 2)
    fit = gl.fit(X, y)
    few = seen_of(fit)
    monkeypatch.setattr(residuals, "HOLD", 100)
    many = seen_of(fit)
    assert few.rows is not None
    assert many.rows is None
    for name in ("picture", "residual", "location", "lever"):
        a, b = getattr(few, name), getattr(many, name)
        np.testing.assert_array_equal(a.counts, b.counts)
    found, *_ = np.histogram2d(
        few.rows[:, LEVERAGE],
        few.rows[:, STANDARD],
        [many.lever.x.edges, many.lever.y.edges],
    )
    np.testing.assert_array_equal(many.lever.counts, found)
    assert findings(fit, few) == findings(fit, many)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    file = tmp_path / "big.parquet"
    random = np.random.default_rng(0)
    X = random.normal(size=(200_000, 3))
    frame = pd.DataFrame(X, columns=list("abc"))
    frame["y"] = X.sum(1) + random.normal(size=len(X))
    frame.to_parquet(file, row_group_size=20_000)
    fit = gl.fit(file, target="y")
    report, page, _ = written(fit, tmp_path)
    assert report.rows == 200_000
    assert "drawn as their density" in page.words
    assert report.bytes < 150_000
    assert report.findings == ()


# What it warns of.


def names_of(fit: gl.Fit) -> set[str]:
    return {f.name for f in findings(fit, seen_of(fit))}


def test_clean_data_raise_no_alarm() -> None:
    alarms = []
    for seed in range(30):
        for rows, features in ((100, 1), (300, 3), (2500, 6)):
            alarms += names_of(gl.fit(*line(rows, features, seed)))
    assert len(alarms) <= 1


def test_what_is_wrong_is_seen() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(1, 10, 400)
    noise = random.normal(size=400)
    assert "heteroscedastic" in names_of(gl.fit(x, x + noise * x))
    assert "curvature" in names_of(gl.fit(x, x**2 + 5 * noise))
    assert "tails" in names_of(gl.fit(x, x + random.standard_t(2, size=400)))
    assert "tails" in names_of(gl.fit(x, x + random.exponential(size=400)))
    walk = noise.copy()
    for i in range(1, 400):
        walk[i] += 0.6 * walk[i - 1]
    assert "neighbours_alike" in names_of(gl.fit(x, x + walk))
    y = x + noise
    y[7] += 12
    assert "outlier" in names_of(gl.fit(x, y))
    far = np.append(x, 300.0)
    fit = gl.fit(far, np.append(x + noise, 0.0))
    found = {f.name: f for f in findings(fit, seen_of(fit))}
    assert "Row 401" in found["influential"].text
    twins = np.column_stack([x, x + 0.01 * noise])
    assert "collinear" in names_of(gl.fit(twins, y))
    assert "few_rows" in names_of(gl.fit(*line(20, 4)))
    assert "not_converged" in names_of(gl.fit(x, y, lr=1e-4, epochs=3))
    wide, y = line(120, 40)
    frame = pd.DataFrame(wide).assign(y=y)
    frame.columns = [str(c) for c in frame.columns]
    fit = gl.fit(frame, target="y", split=gl.Split(validation=0.3, seed=1))
    fit.evaluate(part="validation")
    assert "overfitting" in names_of(fit)
    frame.loc[:20, "3"] = np.nan
    assert "rows_left_out" in names_of(gl.fit(frame, target="y", missing="drop"))


def lead_of(page: Checked) -> str:
    return re.sub(r"\s+", " ", page.words).split("Linear fit ")[1].split(" What to")[0]


def words_of(fit: gl.Fit) -> dict[str, str]:
    """Findings by name: text and advice."""
    return {f.name: f"{f.text} {f.advice}" for f in findings(fit, seen_of(fit))}


def test_robust_fits_raise_no_alarm_of_clean_data() -> None:
    alarms = []
    for seed in range(12):
        X, y = line(120, 2, seed)
        for loss in ("huber", "absolute", "quantile:0.9"):
            alarms += words_of(gl.fit(X, y, loss=loss))
    assert len(alarms) <= 1, alarms


def test_a_robust_fit_hides_no_row(tmp_path: Path) -> None:
    X, y = line(200, 1)
    y[17] += 500
    for loss in ("huber", "absolute", "quantile:0.5"):
        fit = gl.fit(X, y, loss=loss)
        assert "Row 18: further" in words_of(fit)["outlier"]
        _, page, _ = written(fit, tmp_path)
        assert "half of the residuals lie within 0.6" in lead_of(page)
        assert "explains" not in lead_of(page)


def test_waves_are_seen() -> None:
    import statsmodels.api as sm

    random = np.random.default_rng(0)
    x = np.linspace(0, 20, 400)
    noise = random.normal(size=400)
    fit = gl.fit(x, 3 * np.sin(x) + noise)
    assert "follow a curve along x:" in words_of(fit)["curvature"]
    mixed = random.permutation(400)
    assert "curvature" in words_of(gl.fit(x[mixed], (3 * np.sin(x) + noise)[mixed]))
    # Its F is that of the groups in the analysis of variance of the residuals.
    fit = gl.fit(x, x + noise)
    seen = seen_of(fit)
    which = np.arange(400) // 20
    residual = sm.OLS(x + noise, sm.add_constant(x)).fit().resid
    cells = groups(seen.noise[0], 0, 20)
    f, p, _ = differ(cells, seen.squares, 399)
    one = stats.f_oneway(*(residual[which == g] for g in range(20)))
    assert (f, p) == pytest.approx((one.statistic, one.pvalue), rel=1e-6)


def test_noise_that_follows_a_feature_is_seen() -> None:
    random = np.random.default_rng(0)
    a, b, noise = random.normal(size=(3, 500))
    fit = gl.fit(np.column_stack([a, b]), 5 * a + noise * np.exp(b))
    assert "not equal along x2" in words_of(fit)["heteroscedastic"]
    fit = gl.fit(a, 3 * a + noise * (0.2 + abs(a)))
    assert "not equal along x" in words_of(fit)["heteroscedastic"]
    x = np.arange(500.0)
    fit = gl.fit(x, x + noise)
    z = np.abs(fit.influence().studentized_internal)
    one = stats.f_oneway(*np.split(z, 5))
    ratio, p = along(seen_of(fit), 0)
    means = [part.mean() for part in np.split(z, 5)]
    assert p == pytest.approx(one.pvalue, rel=1e-6)
    assert ratio == pytest.approx(max(means) / min(means), rel=1e-6)


def test_the_origin_is_named() -> None:
    import statsmodels.api as sm

    random = np.random.default_rng(0)
    x = random.uniform(0, 1, 200)
    y = 3 + x + 0.3 * random.normal(size=200)
    fit = gl.fit(x, y, intercept=False)
    found = words_of(fit)
    assert "no_intercept" in found
    assert "curvature" not in found
    (bend,) = [b for b in seen_of(fit).bends if b.name == ""]
    known = sm.OLS(y, sm.add_constant(x)).fit()
    assert bend.t == pytest.approx(known.tvalues[0], rel=1e-6)
    clean = sum(
        len(words_of(gl.fit(*line(100, 2, s), intercept=False))) for s in range(20)
    )
    assert clean == 0


def test_features_that_say_the_same() -> None:
    random = np.random.default_rng(0)
    level = random.choice(["a", "b", "c"], 300)
    x = (level == "b") + 2.0 * (level == "c") + 0.05 * random.normal(size=300)
    frame = pd.DataFrame({"x": x, "level": level, "y": x + random.normal(size=300)})
    found = words_of(gl.fit(frame, target="y"))["collinear"]
    assert "x (variance inflation" in found
    frame["x"] = random.normal(size=300)
    fit = gl.fit(frame, target="y")
    assert "collinear" not in words_of(fit)
    # Fox and Monette's, by determinants of correlations; whatever the base.
    X = np.column_stack([frame.x, level == "b", level == "c"]).astype(float)
    R = np.corrcoef(X.T)
    known = np.linalg.det(R[1:, 1:]) / np.linalg.det(R)
    assert inflation_of(fit, [1, 2]) ** 2 == pytest.approx(known, rel=1e-9)


def test_outliers_show_the_number_that_was_tested() -> None:
    X, y = line(12)
    y[4] += 60
    fit = gl.fit(X, y)
    tested = np.abs(fit.influence().studentized_external).max()
    assert f"({said(float(tested), 3)} standard errors" in words_of(fit)["outlier"]
    three = gl.fit(np.arange(3.0), np.array([0.0, 1.2, 1.9]))
    assert "Rows 1 and 3: Cook's distance 2.5" in words_of(three)["influential"]


def test_quantiles_have_neighbours_about_their_mean() -> None:
    X, y = line(200)
    seen = seen_of(gl.fit(X, y, loss="quantile:0.95"))
    assert seen.rows is not None
    r = seen.rows[:, residuals.RESIDUAL]
    squares = seen.squares - seen.total**2 / seen.count
    assert seen.steps / squares == pytest.approx(durbin_watson(r - r.mean()), rel=1e-9)
    walk = np.cumsum(np.random.default_rng(0).normal(size=200))
    found = words_of(gl.fit(X, walk, loss="quantile:0.9"))["neighbours_alike"]
    assert "--cov" not in found


def test_few_validation_rows_show_overfitting(tmp_path: Path) -> None:
    alarms = 0
    for seed in range(20):
        X, y = line(60, 1, seed)
        fit = gl.fit(X, y, split=gl.Split(validation=0.3, seed=seed))
        fit.evaluate(part="validation")
        alarms += len(words_of(fit))
    assert alarms == 0
    wide, _ = line(60, 30)
    y = wide[:, 0] + np.random.default_rng(5).normal(size=60)
    fit = gl.fit(wide, y, split=gl.Split(validation=0.3, seed=0))
    fit.evaluate(part="validation")
    assert "overfitting" in words_of(fit)
    _, page, _ = written(fit, tmp_path)
    assert "On 19 validation rows that it has not seen" in lead_of(page)


def test_no_sentence_claims_what_is_not_known(tmp_path: Path) -> None:
    X, y = line(100)
    fit = gl.fit(X, y)
    fit.save(tmp_path / "m.safetensors")
    _, page, _ = written(gl.load(tmp_path / "m.safetensors"), tmp_path)
    assert "were not looked for" in page.words
    assert "no bend" not in page.words
    _, page, _ = written(fit, tmp_path)
    assert "no bend" in page.words
    assert "other features alike" not in lead_of(page)
    adam = gl.fit(
        PENGUINS,
        target="body_mass_g",
        missing="drop",
        optimizer="Adam",
        epochs=200,
    )
    assert list(words_of(adam)) == ["not_converged"]
    formula = "body_mass_g ~ species * flipper_length_mm"
    _, page, _ = written(gl.fit(PENGUINS, formula=formula, missing="drop"), tmp_path)
    assert "largest effect" not in lead_of(page)
    assert "no part of its own" not in page.words
    assert "Blue: what each level" not in page.words
    twice = gl.fit(np.column_stack([X, 2 * X]), y)
    _, page, _ = written(twice, tmp_path)
    assert "largest effect" not in lead_of(page)
    _, page, _ = written(gl.fit(X, np.full(100, 7.0)), tmp_path)
    assert "y does not vary" in lead_of(page)
    report, page, _ = written(gl.fit(X, 2 * X[:, 0] + 1), tmp_path)
    assert [f.name for f in report.findings] == ["perfect"]
    _, page, _ = written(gl.fit(*line(3)), tmp_path)
    assert "1 degree of freedom" in page.words
    lasso = gl.fit(*line(20, 4), penalty="lasso", alpha=0.1)
    assert "intervals" not in words_of(lasso)["few_rows"]
    assert "ridge" not in words_of(lasso)["few_rows"]


@pytest.mark.parametrize("features", [1, 2])
def test_scales_far_apart(features: int, tmp_path: Path) -> None:
    X, y = line(50, features)
    _, page, _ = written(gl.fit(1e-9 * X, 1e12 * y), tmp_path)
    assert "Loss surface" in page.words


def test_advice_that_is_heeded_is_not_given(tmp_path: Path) -> None:
    fit = gl.fit(ENGEL, target="foodexp")
    for kind in ("classic", "HC3"):
        robust = fit.inference(kind)
        report, _, _ = written(fit, tmp_path, inference=robust)
        advice = {f.name: f.advice for f in report.findings}["heteroscedastic"]
        assert ("--cov HC3" in advice) == (kind == "classic")


def test_the_noise_of_real_data_grows() -> None:
    fit = gl.fit(ENGEL, target="foodexp")
    found = names_of(fit)
    assert {"heteroscedastic", "curvature", "influential"} <= found
    ratio, grows = spread_ratio(seen_of(fit))
    assert ratio > 3
    assert grows
    skew, excess, _ = shape(seen_of(fit))
    z = fit.influence().studentized_internal
    assert skew == pytest.approx(stats.skew(z), rel=1e-6)
    assert excess == pytest.approx(stats.kurtosis(z), rel=1e-6)


# Model files, parts, and the command.


def test_a_model_file_and_its_data(tmp_path: Path) -> None:
    split = gl.Split(validation=0.3)
    fit = gl.fit(PENGUINS, target="body_mass_g", missing="drop", split=split)
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    report, page, _ = written(again, tmp_path)
    assert report.rows == 0
    assert "gradline report MODEL --data FILE" in page.words
    assert "std. error" in page.words
    whole, page, _ = written(again, tmp_path, data=PENGUINS)
    assert whole.rows == fit.rows
    own, _, _ = written(fit, tmp_path)
    assert own.pictures == whole.pictures + 1  # a file does not hold the surface
    with pytest.raises(gl.DataError, match="is not what the model was fitted on"):
        again.report(tmp_path / "x.html", data=pd.read_csv(PENGUINS)[:300])
    assert not (tmp_path / "x.html").exists()


def test_the_validation_part_is_scored_or_said_to_be_left_out(tmp_path: Path) -> None:
    split = gl.Split(validation=0.3)
    wishes = {"target": "body_mass_g", "missing": "drop", "split": split}
    for more in ({"penalty": "ridge"}, {"loss": "huber"}, {}):
        fit = gl.fit(PENGUINS, **wishes, **more)
        _, page, _ = written(fit, tmp_path)
        assert "validation" in page.said
        fit = gl.fit(PENGUINS, **wishes, **more)
        fit.save(tmp_path / "m.safetensors")
        again = gl.load(tmp_path / "m.safetensors")
        known = "validation" in again.scores
        _, page, _ = written(again, tmp_path)
        assert ("validation rows are not scored here" in page.words) != known
        _, page, _ = written(again, tmp_path, data=PENGUINS)
        assert "validation" in page.said
        assert "not scored here" not in page.words


def test_a_failed_report_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    file.write_text("before")
    fit = gl.fit(*line(30))
    with pytest.raises(gl.DataError, match="is not what the model was fitted on"):
        fit.report(file, data=line(31)[0], y=line(31)[1])
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(gl.FileError, match="there is no folder"):
        fit.report(tmp_path / "no" / "r.html")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


Capsys = pytest.CaptureFixture[str]
FIT = ("--target", "body_mass_g", "--missing", "drop")


def test_the_command_on_data(place: Path, capsys: Capsys) -> None:
    words = ("report", PENGUINS, *FIT, "--validation", "0.2", "--test", "0.2")
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert re.match(r"Report of \d+ kB written to report.html\n", out)
    text = (place / "report.html").read_text()
    page = Checked(text)
    named = shlex.quote(PENGUINS)  # where the folder's name has a space
    assert f"gradline report {named} --target body_mass_g" in page.words
    assert "The test part is left untouched" in page.words
    assert page.said.count("test") == 0
    code, out, _ = run(capsys, *words, "--score-test", "--cov", "HC3", "--json")
    assert code == 0
    value = json.loads(out)
    assert value["command"] == "report"
    assert value["bytes"] == (place / "report.html").stat().st_size
    assert {"file", "rows", "pictures", "findings", "source"} <= set(value)
    page = Checked((place / "report.html").read_text())
    assert page.said.count("test") == 1
    assert "Standard errors: HC3" in page.words


ROUTES = (
    "--penalty ridge",
    "--penalty lasso --alpha 1",
    "--penalty elastic_net --alpha 1 --l1-ratio 0.5",
    "--loss huber",
    "--loss absolute",
    "--loss quantile:0.9",
    "--nonnegative",
    "--nonnegative-terms year",
    "--bound year=0:",
    "--bound year=0: --no-intercept",
    "--penalty ridge --validation 0.3 --test 0.2 --score-test",
    "--loss huber --validation 0.3",
    "--weights year --features flipper_length_mm",
    "--degree 2 --minimum-norm",
    "--no-intercept --cov HC1",
    "--cov cluster:species",
    "--lr 0.1 --standardize --epochs 20 --momentum 0.5",
    "--optimizer Adam --epochs 20",
    "--method sgd --epochs 3",
    "--batch-size 32 --epochs 3 --loss absolute",
    "--method gd --validation 0.2 --early-stopping",
)


@pytest.mark.parametrize("route", ROUTES)
def test_the_command_by_every_route(route: str, place: Path, capsys: Capsys) -> None:
    words = ("report", PENGUINS, *FIT, *route.split(), "--json")
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert json.loads(out)["rows"] > 100
    page = Checked((place / "report.html").read_text())
    assert route in page.words
    assert "--json" not in page.words  # the page is the same without
    assert ("validation" in page.said) == ("--validation" in route)


def test_how_a_file_was_read_is_part_of_doing_it_again(
    place: Path, capsys: Capsys
) -> None:
    rows = "".join(f"{k},5;{k * k},25;{k % 3}\n" for k in range(40))
    Path("rents.csv").write_text("Größe;y;z\n" + rows, encoding="cp1252")
    reading = ("--decimal", ",", "--delimiter", ";", "--encoding", "cp1252")
    assert run(capsys, "fit", "rents.csv", "--target", "y", *reading)[0] == 0
    want = gl.load("model.safetensors").coefficients
    for words in (
        ("rents.csv", "--target", "y", "--test", "0.2"),
        ("rents.csv", "--target", "y"),
        ("model.safetensors", "--data", "rents.csv"),
    ):
        code, _, err = run(capsys, "report", *words, *reading, "-o", "r.html")
        assert (code, err) == (0, "")
        (text,) = re.findall(
            "In Python</h3><pre><code>(.*?)</code>",
            (place / "r.html").read_text(),
            re.S,
        )
        names: dict[str, Any] = {}
        exec(text.replace("&#x27;", "'"), names)
    assert names["fit"].coefficients == pytest.approx(want)


def test_what_is_good_to_know_is_told_too(place: Path, capsys: Capsys) -> None:
    (place / "two.csv").write_text("x,y\n1,2\n2,5\n")
    code, out, err = run(capsys, "report", "two.csv", "--target", "y")
    assert (code, err) == (0, "")
    assert "kB written to report.html; 1 good to know:\n  2 rows for 2 coeff" in out
    with pytest.raises(gl.UsageError, match=r"'two.csv' is not the name of one"):
        gl.fit("two.csv", target="y").report("two.csv")
    assert (place / "two.csv").read_text().startswith("x,y")


def test_the_command_on_a_model(place: Path, capsys: Capsys) -> None:
    split = ("--validation", "0.2", "--test", "0.2")
    code, _, _ = run(capsys, "fit", PENGUINS, *FIT, *split)
    assert code == 0
    words = ("report", "model.safetensors", "-o", "r.html")
    assert run(capsys, *words)[0] == 0
    code, _, err = run(capsys, *words, "--data", PENGUINS, "--score-test")
    assert (code, err) == (0, "")
    page = Checked((place / "r.html").read_text())
    assert "Normal Q-Q" in page.words
    assert page.said.count("test") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((PENGUINS, *FIT, "-o", "-"), "a report goes into a file, not to stdout"),
        ((PENGUINS, *FIT, "-o", "victim.csv"), "is not the name of one"),
        (("no.csv", *FIT), "there is no file 'no.csv'"),
        ((PENGUINS,), "name the column to predict with --target"),
        ((PENGUINS, *FIT, "--data", PENGUINS), "--data gives a model its rows"),
        ((PENGUINS, *FIT, "--score-test"), "--score-test needs a test part"),
        ((PENGUINS, *FIT, "-o", PENGUINS), "would be overwritten"),
        ((PENGUINS, *FIT, "-o", "no/r.html"), "there is no folder 'no'"),
        (("m.safetensors", "--target", "y"), "--target says how to fit"),
        (("m.safetensors", "--cov", "HC3"), "--cov needs rows"),
        (("m.safetensors", "--data", ENGEL), "column"),
        (("m.safetensors", "--data", PENGUINS), "is not what the model"),
    ],
)
def test_mistakes(
    words: tuple[str, ...], message: str, place: Path, capsys: Capsys
) -> None:
    frame = pd.read_csv(PENGUINS).dropna()[:100]
    fit = gl.fit(frame, target="body_mass_g", features=["year"], missing="drop")
    fit.save("m.safetensors")
    code, out, err = run(capsys, "report", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (place / "report.html").exists()


def test_numbers_for_people() -> None:
    assert said(1189.83) == "1,190"
    assert said(-0.00012345, 3) == "−0.000123"
    assert said(1.5e-7, 2) == "1.5e-07"
    assert said(123456789.4) == "123,456,789"
    assert said(0.0) == "0"
    ticks = Ticks(1e9, 1e9 + 4)
    assert ticks.suffix == " − 1,000,000,000"
    assert ticks.labels == ["0", "1", "2", "3", "4"]
    assert Ticks(0, 3e7).suffix == " (×10⁶)"
    assert log_ticks(1e-3, 1e3)[1] == [
        *("0.001", "0.01", "0.1", "1", "10", "100", "1,000")
    ]
    assert len(log_ticks(2.0, 9.0)[0]) >= 2
