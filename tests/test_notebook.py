"""In a notebook: what fits and their kin show of themselves, the bar, the live picture.

The notebooks of docs/notebooks are executed in a kernel of this very interpreter.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import gradline as gl
from gradline import bar, kernels
from gradline.report.ticks import said
from helpers import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
PENGUINS = ROOT / "docs" / "penguins.csv"

#: Names that would break out of a page that does not escape them.
WICKED = ['</style><script>alert("x")</script>', "<img src=x onerror=alert(1)>", 'a"b']


class Page(HTMLParser):
    """Reads a piece of HTML: its tags must be closed in order; text is kept."""

    VOID = frozenset(["path", "line", "circle", "rect", "ellipse", "br", "meta"])

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(shown: Any) -> Page:
    return Page(shown._repr_html_())


def digits() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X, y


@pytest.fixture(scope="module")
def fit() -> gl.Fit:
    return gl.fit(
        PENGUINS,
        target="body_mass_g",
        features=["flipper_length_mm", "sex"],
        missing="drop",
    )


@pytest.fixture(scope="module")
def descent() -> gl.Fit:
    x, y = gl.sample_linear_data(n=80, slope=1, intercept=0, noise=0.1, seed=0)
    return gl.fit(x, y, method="gd", lr=0.1, epochs=50)


def everything(fit: gl.Fit, descent: gl.Fit) -> Iterator[Any]:
    """One of each kind that shows itself."""
    about: dict[str, Any] = {"target": "body_mass_g", "missing": "drop"}
    yield from (fit, fit.certificate, fit.metrics, fit.influence())
    yield from (fit.inference(), fit.inference(("cluster", "island")))
    yield fit.predict(PENGUINS, interval=0.9, missing="nan")
    assert descent.trace is not None
    yield from (descent, descent.trace, descent.loss_surface())
    whole = gl.fit(PENGUINS, penalty="lasso", alpha="cv", **about)
    yield from (whole, whole.cross_validation)
    yield gl.regularization_path(PENGUINS, penalty="lasso", **about)
    yield gl.fit_quantiles(PENGUINS, features=["flipper_length_mm"], **about)
    yield gl.tune(PENGUINS, search={"alpha": [0.1, 1.0]}, penalty="ridge", **about)
    yield gl.learning_curve(PENGUINS, **about)
    yield gl.validation_curve(
        PENGUINS, parameter="alpha", values=[0.1, 1.0], penalty="ridge", **about
    )


def test_all_kinds_are_whole_pages_that_need_nothing(
    fit: gl.Fit, descent: gl.Fit
) -> None:
    kinds = set()
    for shown in everything(fit, descent):
        text = shown._repr_html_()
        found = Page(text)
        kinds.add(type(shown).__name__)
        assert found.text
        assert not found.named("script")
        assert not re.search(r"https?:|url\((?!#)|@import|src=|href=", text)
        assert len(text) < 20_000
        assert "undefined" not in found.text
        assert "nan" not in found.text.casefold().split()
        if not isinstance(shown, tuple):  # which is made of arrays, and says so
            assert not re.match(r"<\w+ object|.*array\(", repr(shown))
    assert len(kinds) == 14


def test_predictions_with_ends_show_the_first_rows_and_the_last() -> None:
    x = np.linspace(0, 1, 12)
    found = page(gl.fit(x, x + np.cos(9 * x)).predict(x, interval=0.5))
    assert found.text.startswith("Predictions of 12 rows")
    assert "1 rows between" not in found.text
    assert "1 row between is not shown" in found.text
    assert len(found.named("tr")) == 12  # with the head
    few = page(gl.fit(x, x + np.cos(9 * x)).predict(x[:1], interval=0.5))
    assert "of 1 row" in few.text
    assert "shown" not in few.text


def test_a_fit_shows_its_numbers(fit: gl.Fit) -> None:
    found = page(fit)
    inference = fit.inference()
    for term, value in fit.coefficients.items():
        assert term in found.text
        assert said(value, 5) in found.text
        assert said(inference.standard_errors[term], 3) in found.text
        low, high = inference.intervals[term]
        assert f"{said(low, 4)} to {said(high, 4)}" in found.text
    assert fit.certificate.advice in found.text
    assert "R² 0.805837 · RMSE 354.276" in found.text
    assert "11 incomplete rows were dropped." in found.text
    assert found.named("span")[0]["class"] == "badge good"
    assert len(found.named("svg")) >= 3  # the picture, and an interval for each slope


def test_what_is_wrong_has_its_colour(descent: gl.Fit) -> None:
    assert "badge look" in descent._repr_html_()
    assert "not converged" in page(descent).text
    x = np.arange(10.0)
    twins = gl.fit({"a": x, "b": 2 * x, "y": x**2}, target="y")
    assert "badge bad" in twins._repr_html_()
    assert "depend on one another" in page(twins).text
    assert "No standard errors" in page(twins).text


def test_no_name_breaks_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = {name: random.normal(size=50) for name in WICKED}
    target = "<b>y</b>"
    y = random.normal(size=50)
    fit = gl.fit({**data, target: y}, target=target)
    for shown in (
        fit,
        fit.inference(),
        gl.fit({**data, target: y}, target=target, method="gd", lr=0.1).loss_surface(),
        gl.regularization_path({**data, target: y}, target=target, penalty="lasso"),
        gl.fit_quantiles({**data, target: y}, target=target),
    ):
        found = page(shown)
        kinds = {name for name, _ in found.tags}
        assert not kinds & {"script", "img"}
        assert any(name[:3] in found.text for name in [target, *WICKED])
    report = fit.report(tmp_path / "<i>.html")
    frame = page(report).named("iframe")
    assert len(frame) == 1
    assert frame[0]["sandbox"] == "allow-scripts"
    assert not page(report).named("i")
    (tmp_path / "<i>.html").unlink()
    assert "is not there any more" in page(report).text


def test_showing_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    shutil.copy(PENGUINS, path)
    fit = gl.fit(path, target="body_mass_g", missing="drop")
    path.unlink()
    assert page(fit).named("svg")
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")  # has no rows to draw
    assert page(again).text.startswith("body_mass_g from 7 features")
    assert not any("plot" in str(a.get("class")) for a in page(again).named("svg"))


def test_many_terms_are_folded_and_cut() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 60))
    fit = gl.fit(X, X[:, 0] + random.normal(size=300))
    found = page(fit)
    first = found.named("details")[0]
    assert "open" not in first
    assert "60 coefficients" in found.text
    assert "20 more are not shown" in found.text
    assert "open" in page(gl.fit(X[:, :2], X[:, 0])).named("details")[0]


def test_a_module_shows_itself() -> None:
    from torch import nn

    x, y = gl.sample_linear_data(n=40, slope=1, intercept=0, noise=0.1, seed=0)
    net = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    fit = gl.fit(x, y, model=net, epochs=5)
    assert "a module of your own" in page(fit).text
    assert page(fit).named("svg")


def test_influence_in_words(fit: gl.Fit) -> None:
    found = fit.influence()
    worst = int(np.nanargmax(found.cooks_distance))
    assert found.largest(1) == [worst]
    lines = str(found).splitlines()
    first, counted = lines[0].split("; ")
    assert first == "Influence of 333 rows, the largest first"
    assert counted == "rows are counted from 0, as in the arrays"
    shown = [int(line.split()[0]) for line in lines[3:8]]
    assert shown == found.largest()  # and a page's rows are the same
    assert lines[3].split()[:2] == [f"{worst}", f"{found.cooks_distance.max():.4g}"]
    text = page(found).text
    assert counted in text
    assert f" residual {worst} " in text
    assert repr(found) == "<Influence of 333 rows>"
    far = int((np.abs(found.studentized_external) > 3).sum())
    assert found.rule().startswith(f"{far} of 333 rows lie over 3 studentised")


def test_a_probe_shows_itself() -> None:
    X, y = digits()
    probe = gl.linear_probe((X, y))
    assert probe.cross_validation is not None
    error = probe.cross_validation.errors.mean(axis=(1, 2)).min()
    found = page(probe)
    assert found.text.startswith("10 classes from 64 features, 1,797 rows, ridge")
    assert "exact Nothing to do: the weights are good to" in found.text
    assert f"for all outputs: mean squared error {error:.5f}" in found.text
    assert "MSE of all 10 targets" in found.text  # beside the curve
    assert "3 of 64 features are constant" in found.text
    for name in ("objective", "gap", "condition", "rank", "lr limit"):
        assert name in found.text
    assert not found.named("script")
    regression = gl.linear_probe((X[:, :8], X[:, 20:40]), alpha=0.1)
    found = page(regression)
    assert found.text.startswith("20 targets from 8 features")
    assert "8 more are not shown." in found.text
    far, y = X[:, 1:8] + 1000.0, X[:, 1:8].sum(axis=1) + 0.1 * X[:, 20] + 1.3
    coarse = gl.linear_probe((far, y), alpha=1e-6, dtype=torch.float16)
    assert "badge look" in coarse._repr_html_()
    assert "give dtype=torch.float32" in page(coarse).text


def test_scores_of_a_probe_show_themselves() -> None:
    X, y = digits()
    scores = gl.linear_probe((X, y), alpha=0.1).evaluate((X, y))
    found = page(scores)
    hits = int(scores.confusion.trace())
    assert f"accuracy {scores.accuracy:.6g} ({hits:,} of 1,797 rows)" in found.text
    for label, row in enumerate(scores.confusion.tolist()):
        assert f" {label} {' '.join(map(str, row))}" in found.text
    numbers = gl.linear_probe((X[:, :8], X[:, 20:22]), alpha=0.1)
    text = page(numbers.evaluate((X[:, :8], X[:, 20:22]))).text
    assert text.startswith("Scores : 1,797 rows target R² RMSE y1 ")
    assert "Confusion" not in text


def test_the_curve_of_a_shared_alpha_is_that_of_all() -> None:
    """It is the curve that alpha was chosen by, and says so."""
    X, y = digits()
    found = gl.linear_probe((X, y), folds=3).cross_validation
    assert found is not None
    mean, error, of = found.curve()
    assert of == "all 10 targets"
    np.testing.assert_allclose(mean, found.errors.mean(axis=(1, 2)), rtol=1e-12)
    each = found.errors.mean(axis=2)  # by alpha and fold
    np.testing.assert_allclose(error, each.std(axis=1, ddof=1) / 3**0.5, rtol=1e-12)
    assert found.alphas[mean.argmin()] == found.alpha[0]
    (ax,) = found.plot().axes
    label = " ".join(ax.get_ylabel().split())
    assert label == "mean squared error of all 10 targets"
    drawn = [a.get_ydata() for a in ax.lines if len(a.get_ydata()) == len(mean)]
    np.testing.assert_array_equal(drawn[0], mean)
    (ax,) = found.plot(target="3").axes
    assert "of 3" in ax.get_ylabel()
    drawn = [a.get_ydata() for a in ax.lines if len(a.get_ydata()) == len(mean)]
    np.testing.assert_array_equal(drawn[0], found.mean[:, 3])
    with pytest.raises(gl.UsageError, match="there is no target 'ten'"):
        found.curve("ten")
    assert "One alpha for all targets" in page(found).text
    apart = gl.linear_probe((X[:, :8], X[:, 20:22])).cross_validation
    assert apart is not None
    assert apart.curve().of == "y1"
    assert "One alpha for all" not in page(apart).text


# The bar and the kernel.


class Screen:
    """A notebook's output, as far as IPython shows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures: list[dict[str, Any]] = []
        monkeypatch.setattr(bar, "in_notebook", lambda: True)
        monkeypatch.setattr(kernels.Pane, "show", lambda _, c: self.pictures.append(c))


def test_the_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    with bar.progress_bar("<reading>", 1000, after=0.0) as advance:
        advance(400)
        advance(100)  # too soon to be drawn
    first, last = screen.pictures
    assert first["text/plain"].startswith("<reading>: 400 of 1,000 rows, 0.")
    assert 'value="400" max="1000"' in first["text/html"]
    assert "&lt;reading&gt;" in first["text/html"]
    assert last["text/plain"] == ""  # it is gone when all is done


def test_no_bar_for_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    with bar.progress_bar("reading", 1000) as advance:
        advance(1000)
    assert screen.pictures == []


def test_the_bar_of_steps_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    x, y = gl.sample_linear_data(n=50, slope=1, intercept=0, noise=0.1, seed=0)
    step = gl.last(gl.progress(gl.descend(gl.LinearRegression(), x, y, epochs=30), 30))
    assert step is not None
    text = screen.pictures[-1]["text/plain"]
    assert text.startswith("descent: 30 of 30 epochs")
    assert text.endswith(f"loss {step.loss:.6g}")
    gl.last(gl.progress(gl.descend(gl.LinearRegression(), x, y, epochs=3)))
    assert "<progress" not in screen.pictures[-1]["text/html"]  # it would never end


def test_a_script_is_no_notebook() -> None:
    assert not kernels.in_notebook()


# Notebooks, executed.


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["lesson", "penguins"]


LEFT = """
for step in gl.live_plot(gl.descend(model, x, y), x, y):
    if step.epoch == 7:
        break
"""

PLOT = "gl.fit(x, y).plot()"
PYPLOT = f"import matplotlib.pyplot as plt\n{PLOT}"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Each notebook, executed once."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    import notebooks

    known: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            (folder / "work").mkdir()
            shutil.copytree(ROOT / "docs", folder / "work" / "docs")
            read = nbformat.read(
                ROOT / "docs" / "notebooks" / f"{name}.ipynb", as_version=4
            )
            if name == "lesson":  # whose kernel does for this too
                read.cells += notebooks.cells(LEFT, LEFT, PLOT, PYPLOT).cells
            with pytest.MonkeyPatch.context() as patch:
                known[name] = notebooks.execute(read, folder, patch)
        return known[name]

    return run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    import nbformat

    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    for cell in found.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_the_lesson_runs(executed: Callable[[str], Any]) -> None:
    import notebooks

    found = executed("lesson")
    assert notebooks.streams(found) == ""  # no warnings either
    code = [cell for cell in found.cells[:-4] if cell.cell_type == "code"]
    loop = next(cell for cell in code if "live_plot" in cell.source)
    assert len(notebooks.outputs(loop, "image/png")) == 1  # one picture: the last
    (shown,) = notebooks.outputs(loop, "text/html")
    assert 'value="1000" max="1000"' in shown
    assert len(loop.outputs) == 3  # the bar, the picture, the loss
    certificate = next(cell for cell in code if "certify" in cell.source)
    assert "converged" in Page(notebooks.outputs(certificate, "text/html")[0]).text
    assert "stability limit" in code[-1].outputs[0]["data"]["text/plain"]


def test_the_penguins_run(executed: Callable[[str], Any]) -> None:
    import notebooks

    found = executed("penguins")
    assert notebooks.streams(found) == ""
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    pages = [notebooks.outputs(cell, "text/html") for cell in code]
    assert [len(shown) for shown in pages] == [1, 1, 1, 1, 1, 1]
    assert "sex[male]" in Page(pages[0][0]).text
    assert "iframe" in pages[-1][0]


def test_a_loop_left_early_leaves_its_last_picture(
    executed: Callable[[str], Any],
) -> None:
    """A second run of the same cell has a picture of its own; so has fit.plot()."""
    import notebooks

    for cell in executed("lesson").cells[-4:]:
        assert len(notebooks.outputs(cell, "image/png")) == 1
        assert len(cell.outputs) == 1


def test_in_a_browser_light_and_dark(fit: gl.Fit, tmp_path: Path) -> None:
    """The style stays in the card, names are whole, and a fold opens."""
    import browser

    path = tmp_path / "page.html"
    outside = "<table id='other'><tr><td>outside</td></tr></table>"
    # As JupyterLab has it, which must not win.
    theirs = (
        "<style>.jp th,.jp td{text-align:right}.jp table{margin:0 auto;"
        "table-layout:fixed}.jp tbody tr:nth-child(odd){background:#f0f}"
        "body{background:#111;color:#eee;font-family:monospace}</style>"
    )
    card = fit._repr_html_()
    path.write_text(
        f"<meta charset=utf-8>{theirs}<div class=jp>{card}</div>{outside}",
        encoding="utf-8",
    )
    with browser.chromium() as opened:
        seen = opened.new_page(viewport={"width": 1000, "height": 900})
        errors: list[str] = []
        seen.on("pageerror", lambda error: errors.append(str(error)))
        seen.goto(path.as_uri())
        row = seen.locator(".gradline tbody tr").first
        behind = row.evaluate("e => getComputedStyle(e).backgroundColor")
        assert behind == "rgba(0, 0, 0, 0)"
        name = seen.locator(".gradline tbody th").first
        assert name.evaluate("e => getComputedStyle(e).textAlign") == "left"
        assert name.evaluate("e => getComputedStyle(e).color") == "rgb(238, 238, 238)"
        other = seen.locator("#other td")
        assert "monospace" in other.evaluate("e => getComputedStyle(e).fontFamily")
        terms = seen.locator(".gradline tbody th", has_text="flipper_length_mm")
        box = terms.bounding_box()
        assert box is not None
        assert box["height"] < 40  # on one line
        condition = seen.get_by_text("1.298 (standardised design)")
        assert not condition.is_visible()
        seen.locator("summary", has_text="Certificate").click()
        assert condition.is_visible()
        wide = seen.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1000
        assert errors == []
