"""The pictures: what they say, that it is true, and that odd data cannot break them."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray
from PIL import Image

import gradline as gl
from gradline import plots
from gradline.errors import FileError, ShapeError, UsageError
from gradline.plots.movie import _frames, _Movie

Array = NDArray[np.float64]
EPOCHS = 1000


@pytest.fixture(scope="module")
def line() -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, 100)
    return x, x + random.normal(0, 0.1, 100)


@pytest.fixture(scope="module")
def run(line: tuple[Array, Array]) -> dict[str, Any]:
    """Gradient descent by hand, with the optimum from another library's solver."""
    x, y = line
    slope, intercept = np.float64(-1.1), np.float64(1.4)
    slopes, intercepts, losses = [], [], []
    for _ in range(EPOCHS):
        error = slope * x + intercept - y
        losses.append(np.mean(error**2))
        slope -= 0.1 * 2 * np.mean(error * x)
        intercept -= 0.1 * 2 * np.mean(error)
        slopes.append(slope)
        intercepts.append(intercept)
    best = np.polyfit(x, y, 1)
    return {
        "epochs": np.arange(1, EPOCHS + 1),
        "slopes": np.array(slopes),
        "intercepts": np.array(intercepts),
        "losses": np.array(losses),
        "optimum": float(np.mean((np.polyval(best, x) - y) ** 2)),
    }


def legend(ax: Axes) -> list[str]:
    shown = ax.get_legend()
    return [text.get_text() for text in shown.get_texts()] if shown else []


def drawn(ax: Axes, label: str) -> tuple[Array, Array]:
    """The numbers behind the one line whose label begins like this."""
    (found,) = (a for a in ax.get_lines() if str(a.get_label()).startswith(label))
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def assert_legend_is_off_the_data(figure: Figure) -> None:
    figure.draw_without_rendering()
    for ax in figure.axes:
        shown = ax.get_legend()
        if isinstance(shown, Legend):
            assert shown.get_window_extent().y0 >= ax.bbox.y1
            assert shown.get_window_extent().x1 <= figure.bbox.x1
            title = ax.title if ax.title.get_text() else ax._left_title  # type: ignore[attr-defined]
            if title.get_text().strip():
                assert title.get_window_extent().y0 >= shown.get_window_extent().y1


# --- data and fit


def test_data_figure_shows_points_and_true_line(line: tuple[Array, Array]) -> None:
    x, y = line
    figure = plots.data_figure(
        x, y, truth=(1, 0), x_name="hours", y_name="score", title="Marks"
    )
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("hours", "score")
    assert ax.get_title(loc="left") == "Marks"
    assert legend(ax) == ["100 points", "true: score = 1·hours + 0"]
    np.testing.assert_array_equal(drawn(ax, "100 points"), [x, y])
    ends, heights = drawn(ax, "true")
    np.testing.assert_array_equal(ends, heights)
    assert ends[0] < x.min()
    assert ends[1] > x.max()
    assert_legend_is_off_the_data(figure)


def test_fit_figure_draws_the_line_it_was_given(line: tuple[Array, Array]) -> None:
    held_out = np.array([0.2, 0.4]), np.array([0.3, 0.2])
    figure = plots.fit_figure(
        *line, 0.9976, 0.00412, truth=(1, -0.5), held_out=held_out, title="Fit"
    )
    (ax,) = figure.axes
    assert legend(ax) == [
        "100 points",
        "2 points held out",
        "fitted: y = 0.998·x + 0.004",
        "true: y = 1·x − 0.5",
    ]
    ends, heights = drawn(ax, "fitted")
    np.testing.assert_array_equal(heights, 0.9976 * ends + 0.00412)
    np.testing.assert_array_equal(drawn(ax, "2 points held out"), held_out)
    marks = {a.get_label(): a.get_marker() for a in ax.get_lines()}
    assert marks["100 points"] != marks["2 points held out"]
    red = [a for a in ax.get_lines() if str(a.get_label()).startswith("fitted")]
    assert to_hex(red[0].get_color()).upper() == plots.RED
    assert_legend_is_off_the_data(figure)


@pytest.mark.parametrize(
    ("slope", "intercept", "scale", "text"),
    [
        (0.9976, 0.00412, 1, "y = 0.998·x + 0.004"),
        (-2.1, 12.3, 1, "y = −2.100·x + 12.300"),
        (0.9869, -0.000724, 1, "y = 0.987·x − 0.0007"),
        (1.0, -1e-17, 1, "y = 1.000·x + 0"),
        (986_928.4, -745.6, 1e6, "y = 986,928·x − 746"),
        (0.0, 4.0, 1, "y = 0·x + 4.000"),
        (1.0, -1e14, 1, "y = 1.000·x − 10¹⁴"),
    ],
)
def test_equations_are_as_precise_as_the_picture(
    slope: float, intercept: float, scale: float, text: str
) -> None:
    x = np.array([0.0, 1.0])
    (ax,) = plots.fit_figure(x, scale * x, slope, intercept).axes
    assert legend(ax)[-1] == f"fitted: {text}"


def test_a_wild_line_leaves_the_points_visible(line: tuple[Array, Array]) -> None:
    x, y = line
    (ax,) = plots.fit_figure(x, y, 900.0, -300.0).axes
    low, high = ax.get_ylim()
    assert high - low < 2.3 * np.ptp(y)


def test_pairs_that_are_not_finite_are_left_out() -> None:
    (ax,) = plots.data_figure([1, 2, np.nan, 4], [1, np.inf, 3, 4]).axes
    np.testing.assert_array_equal(drawn(ax, "2 points"), [[1, 4], [1, 4]])


def test_many_points_become_a_density() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=plots.DENSE + 1)
    for figure in (
        plots.data_figure(x, x),
        plots.fit_figure(x, x, 1, 0, held_out=(x[:1000], x[:1000])),
        plots.predicted_figure(x, x),
    ):
        ax = figure.axes[0]
        counts = np.asarray(ax.collections[0].get_array())
        assert counts.sum() == len(x)  # each point is in one cell, none is outside
        (beside,) = (child for child in ax.child_axes)
        assert beside.get_ylabel() == "points per cell, of 5,001"
        assert not any(np.size(a.get_xdata()) > 1000 for a in ax.get_lines())
        assert_legend_is_off_the_data(figure)
    (ax,) = plots.data_figure(x[:-1], x[:-1]).axes
    assert len(drawn(ax, "5,000 points")[0]) == plots.DENSE


def test_many_held_out_points_are_thinned_and_it_says_so() -> None:
    x = np.linspace(0, 1, plots.DENSE + 1)
    ax = plots.fit_figure(x, x, 1, 0, held_out=(x, x)).axes[0]
    assert "300 of 5,001 points held out" in legend(ax)
    assert len(drawn(ax, "300 of")[0]) == plots.HELD_OUT_SHOWN


def test_predicted_figure_has_equal_axes_and_the_diagonal() -> None:
    figure = plots.predicted_figure([1, 2, 3.0], [1.5, 2, 9], y_name="delay")
    (ax,) = figure.axes
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_aspect() == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted delay", "actual delay")
    np.testing.assert_array_equal(*drawn(ax, "actual = predicted"))
    np.testing.assert_array_equal(drawn(ax, "3 points"), [[1.5, 2, 9], [1, 2, 3]])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([3.0], [4.0]),
        ([3.0, 3.0], [4.0, 4.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1e14, 1e14 + 1], [0.0, 1.0]),
        ([1e-9, 2e-9], [-1e-12, 1e-12]),
        ([1e200, 2e200], [-1e-200, 1e-200]),
        ([1e6, 5e6], [-1e9, 3e9]),
    ],
)
def test_odd_numbers_are_drawn_without_a_warning(
    x: Any, y: Any, tmp_path: Path
) -> None:
    for number, figure in enumerate(
        (
            plots.data_figure(x, y, truth=(1, 0)),
            plots.fit_figure(x, y, 1e-3, 1, held_out=(x, y)),
            plots.predicted_figure(x, y),
        )
    ):
        plots.save_figure(figure, tmp_path / f"{number}.png")


def test_large_and_far_numbers_have_short_ticks() -> None:
    (ax,) = plots.data_figure([1e6, 5e6], [1e14, 1e14 + 1], x_name="income").axes
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert ax.get_xlabel() == "income (×10⁶)"
    assert ax.get_ylabel() == "y − 10¹⁴"
    assert [t.get_text() for t in ax.get_xticklabels()][1:3] == ["1", "2"]
    assert "0.2" in [t.get_text() for t in ax.get_yticklabels()]


# --- names


@pytest.mark.parametrize(
    "name",
    [
        "price $",
        "$x$ and $y$",
        r"$\frac{1}$",  # broken as maths: would raise
        "cost_usd^2",
        "<script>alert(1)</script>",
        r"back\slash $ \$",
        "a\tb\n c",
        "收入 🚀 \x00 \ud800",  # neither the font nor an encoder has these
        "_hidden",
        "",
        "a very long name, " * 20,
        "x" * 500,
    ],
)
def test_names_are_drawn_letter_by_letter(
    name: str, line: tuple[Array, Array], tmp_path: Path
) -> None:
    figure = plots.fit_figure(*line, 1, 0, x_name=name, y_name=name, title=name)
    plots.save_figure(figure, tmp_path / "names.png")
    plots.save_figure(figure, tmp_path / "names.svg")
    (ax,) = figure.axes
    texts = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_legend().get_texts()]  # type: ignore[union-attr]
    assert not any(text.get_parse_math() for text in texts)
    if len(name) < 30 and name.isascii() and name.isprintable():
        assert ax.get_xlabel() == name
    for label in (ax.xaxis.label, ax.yaxis.label):
        box = label.get_window_extent()
        assert box.width <= figure.bbox.width
        assert box.height <= figure.bbox.height
    assert "<script" not in (tmp_path / "names.svg").read_text(encoding="utf-8")


def test_a_dollar_name_is_written_as_it_is() -> None:
    (ax,) = plots.fit_figure([0, 1], [0, 1], 1, 0, x_name="$a$", y_name="b_$").axes
    assert ax.get_xlabel() == "$a$"
    assert legend(ax)[-1] == "fitted: b_$ = 1.000·$a$ + 0"


# --- a Fit


def test_draw_fit_of_one_feature_is_the_line(line: tuple[Array, Array]) -> None:
    x, y = line
    (ax,) = plots.draw_fit(gl.fit({"hours": x, "score": y}, target="score")).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("hours", "score")
    assert ax.get_title(loc="left") == ""
    np.testing.assert_array_equal(drawn(ax, "100 points"), [x, y])
    ends, heights = drawn(ax, "fitted: score = ")
    best = np.polyfit(x, y, 1)
    np.testing.assert_allclose(heights, np.polyval(best, ends), rtol=1e-12)


def test_draw_fit_of_a_category_is_predicted_against_actual() -> None:
    y = [1.0, 3.0, 10.0, 14.0]
    (ax,) = plots.draw_fit(gl.fit({"g": list("aabb"), "y": y}, target="y")).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted y", "actual y")
    np.testing.assert_allclose(drawn(ax, "4 points"), [[2, 2, 12, 12], y], rtol=1e-14)


def test_draw_fit_of_many_features_is_predicted_against_actual() -> None:
    random = np.random.default_rng(2)
    X = random.normal(size=(50, 3)) + 1e8  # far off, where an intercept has no digits
    y = X @ [1.0, -2.0, 3.0] + random.normal(size=50)
    (ax,) = plots.draw_fit(gl.fit(X, y)).axes
    here = X - X.mean(axis=0)
    best = np.linalg.lstsq(here, y - y.mean())[0]
    predicted, actual = drawn(ax, "50 points")
    np.testing.assert_array_equal(actual, y)
    np.testing.assert_allclose(predicted - y.mean(), here @ best, atol=1e-6)


def test_draw_fit_says_how_many_of_the_rows_it_shows() -> None:
    x = np.linspace(0, 1, 2_500)
    for features in (x, np.column_stack([x, x**2])):
        (ax,) = plots.draw_fit(gl.fit(features, x)).axes
        assert ax.get_title(loc="left") == "2,000 of 2,500 rows"
        assert legend(ax)[0] == "2,000 points"


def test_a_fit_draws_itself_where_it_was_fitted(
    line: tuple[Array, Array], tmp_path: Path
) -> None:
    fit = gl.fit(*line)
    assert isinstance(fit.plot(tmp_path / "fit.png"), Figure)
    with Image.open(tmp_path / "fit.png") as picture:
        assert picture.format == "PNG"
    fit.save(tmp_path / "line.safetensors")
    loaded = gl.load(tmp_path / "line.safetensors")
    for draw in (loaded.plot, lambda: plots.draw_fit(loaded)):
        with pytest.raises(gl.DataError, match="this fit holds no rows to draw"):
            draw()


# --- loss


def test_loss_figure_shows_loss_optimum_and_gap(run: dict[str, Any]) -> None:
    optimum = run["optimum"]
    figure = plots.loss_figure(
        run["epochs"], run["losses"], optimum=optimum, title="Loss"
    )
    left, right = figure.axes
    assert legend(left) == [f"exact optimum: {optimum:.4g}"]
    assert left.get_xscale() == left.get_yscale() == "log"
    assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "loss")
    curve = left.get_lines()[0]
    np.testing.assert_array_equal(curve.get_ydata(), run["losses"])
    assert set(drawn(left, "exact optimum")[1]) == {optimum}
    assert (right.get_xscale(), right.get_yscale()) == ("linear", "log")
    assert right.get_ylabel() == "loss − optimum"
    gap = np.asarray(right.get_lines()[0].get_ydata())
    np.testing.assert_array_equal(gap, run["losses"] - optimum)
    assert_legend_is_off_the_data(figure)


def test_loss_figure_has_one_panel_without_an_optimum(run: dict[str, Any]) -> None:
    (ax,) = plots.loss_figure(run["epochs"], run["losses"]).axes
    assert legend(ax) == []


def test_gap_ends_where_rounding_begins() -> None:
    epochs = np.arange(1, 1001)
    losses = 0.01 + 0.5 * np.exp(-epochs / 10.0)  # equal to 0.01 after about 400
    right = plots.loss_figure(epochs, losses, optimum=0.01).axes[1]
    assert legend(right) == ["rounding"]
    shown = np.asarray(right.get_lines()[0].get_ydata())
    assert np.nanmin(shown) > 8 * np.finfo(np.float64).eps * 0.01
    assert 300 < right.get_xlim()[1] < 500


def test_a_zero_epoch_keeps_its_place() -> None:
    epochs = np.arange(0, 101)
    ax = plots.loss_figure(epochs, np.exp(-epochs / 50.0)).axes[0]
    assert ax.get_xscale() == "symlog"
    assert ax.get_xlim()[0] < 0
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "10", "100"]


def test_the_first_loss_that_is_not_finite_is_marked() -> None:
    losses = np.array([1.0, 10, 1e300, np.inf, np.nan])
    left = plots.loss_figure([1, 2, 3, 4, 5], losses, optimum=0.5).axes[0]
    assert legend(left)[-1] == "not finite from epoch 4"
    np.testing.assert_array_equal(left.get_lines()[0].get_ydata(), losses[:3])


@pytest.mark.parametrize("optimum", [None, 0.0, 0.01, 1e300, math.nan, -1.0])
@pytest.mark.parametrize(
    "losses",
    [
        [],
        [0.3],
        [0.0],
        [0.0, 0.0, 0.0],
        [math.nan, math.nan],
        [1e-320, 1e308],
        [0.5, 0.01, 0.0, -1e-18],
        [0.0104, 0.0103],
        np.geomspace(1, 1e-40, 200),
        np.geomspace(1e-3, 1e308, 200),
    ],
)
def test_any_losses_are_drawn_without_a_warning(
    losses: Any, optimum: float | None
) -> None:
    first = 0 if optimum else 1
    epochs = np.arange(first, first + len(losses))
    figure = plots.loss_figure(epochs, losses, optimum=optimum)
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert np.isfinite([ax.get_xlim(), ax.get_ylim()]).all()


# --- the loss over two coefficients


def contours(ax: Axes) -> list[Array]:
    """Points of the contours drawn, the largest first: (count, 2) each."""
    return [np.asarray(patch.get_xy()) for patch in ax.patches]  # type: ignore[attr-defined]


def test_surface_shows_exact_contours_trail_and_optimum(
    line: tuple[Array, Array], tmp_path: Path
) -> None:
    x, y = line
    fit = gl.fit(x, y, lr=0.1, epochs=50, seed=1)
    figure = fit.plot_surface(tmp_path / "surface.png")
    assert (tmp_path / "surface.png").read_bytes().startswith(b"\x89PNG")
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("coefficient of x", "Intercept")
    assert fit.trace is not None
    best = np.polyfit(x, y, 1)
    optimum = float(np.mean((np.polyval(best, x) - y) ** 2))
    assert legend(ax)[0].startswith("start, loss ")
    assert legend(ax)[1].startswith("after 50 epochs, loss ")
    assert legend(ax)[2].startswith("exact optimum, loss ")
    assert legend(ax)[3] == "loss above the optimum"
    (star,) = np.transpose(drawn(ax, "exact optimum"))
    np.testing.assert_allclose(star, best, atol=1e-12)
    path = ax.get_lines()[0]
    np.testing.assert_array_equal(path.get_xdata(), fit.trace.weights[:, 0])
    np.testing.assert_array_equal(path.get_ydata(), fit.trace.intercepts)
    # Every point of a contour has its loss, computed on the data.
    found = contours(ax)
    assert len(found) >= 6
    gaps = []
    for points in found:
        slopes, intercepts = points.T
        residuals = slopes[:, None] * x + intercepts[:, None] - y
        gap = np.mean(residuals**2, axis=1) - optimum
        np.testing.assert_allclose(gap, gap[0], rtol=1e-9)
        gaps.append(gap[0])
    assert gaps == sorted(gaps, reverse=True)
    digits = {f"{gap:.6e}"[:8].rstrip("0") for gap in gaps}
    assert digits <= {"1.", "2.", "5."}
    written = [float(text.get_text().replace("−", "-")) for text in ax.texts]
    assert len(written) >= 3
    for value in written:
        assert np.isclose(gaps, value).any()
    assert_legend_is_off_the_data(figure)


def test_labels_stand_on_their_contours_and_apart() -> None:
    X = np.random.default_rng(3).normal(size=(80, 4)) * [1, 1e6, 1e-6, 1]
    fit = gl.fit(X, X.sum(axis=1) + X[:, 3])
    for terms in (("x1", "x2"), ("x3", "x2"), ("x4", "Intercept")):
        figure = fit.plot_surface(terms=terms)
        figure.draw_without_rendering()
        (ax,) = figure.axes
        assert ax.get_title(loc="left") == (
            "Loss, with the other 3 coefficients at their best"
        )
        boxes = [text.get_window_extent() for text in ax.texts]
        assert len(boxes) >= 3
        for box in boxes:
            assert ax.bbox.x0 <= box.x0
            assert box.x1 <= ax.bbox.x1
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)


def test_a_valley_without_an_end_is_drawn_as_one() -> None:
    X = np.random.default_rng(0).normal(size=(50, 2))
    X = np.column_stack([X, 2 * X[:, 0]])
    fit = gl.fit(X, X[:, 0] + X[:, 1])
    (ax,) = fit.plot_surface(terms=("x1", "x3")).axes
    assert legend(ax)[0].startswith("one of many optima")
    for points in contours(ax):
        assert np.isfinite(points).all()
        # Two lines along the valley: x1 + 2 x3 is the same on each, but for the ends.
        along = points @ [1.0, 2.0]
        low, high = ax.get_xlim()
        seen = along[(points[:, 0] > low - 5) & (points[:, 0] < high + 5)]
        if len(seen):
            assert np.unique(seen.round(4)).size <= 2


@pytest.mark.parametrize("scale", [1e-120, 1e-9, 1.0, 1e9, 1e120])
def test_surfaces_of_odd_data_are_drawn_without_a_warning(
    scale: float, tmp_path: Path
) -> None:
    x = np.array([1.0, 2.0, 3.0, 5.0])
    for data, target in ((x * scale, x), (x, x * scale), (x + 1e8, x * scale), (x, x)):
        fit = gl.fit(data, target + np.array([0, 1, 0, 1]) * scale)
        plots.save_figure(fit.plot_surface(), tmp_path / "odd.png")
    fit = gl.fit(x, x * scale, epochs=0)
    plots.save_figure(fit.plot_surface(), tmp_path / "odd.png")


def test_a_surface_of_constants_says_so() -> None:
    fit = gl.fit({"a": [1.0, 1, 1], "b": [2.0, 2, 2], "y": [1.0, 2, 3]}, target="y")
    (ax,) = fit.plot_surface(terms=("a", "b")).axes
    assert contours(ax) == []
    assert legend(ax)[0].startswith("one of many optima")


def test_the_slice_of_a_surface_is_named() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    fit = gl.fit(X, X.sum(axis=1) + X[:, 0] ** 2, lr=0.1, epochs=3)
    (ax,) = plots.surface_figure(fit.loss_surface("x1", "x2", others="fit")).axes
    assert legend(ax)[0] == "start"
    assert legend(ax)[2].startswith("lowest with the others fixed")
    assert legend(ax)[3] == "loss above the lowest"
    (ax,) = fit.plot_surface().axes  # a step's loss is not the map's
    assert legend(ax)[:2] == ["start", "after 3 epochs"]


def test_mistakes_about_surfaces_are_named(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    fit = gl.fit(X, X.sum(axis=1))
    with pytest.raises(UsageError, match="was given 1 coefficients: give two of"):
        fit.plot_surface(terms=["x1"])
    with pytest.raises(UsageError, match="was given 'x1': give two of 'x1', "):
        fit.plot_surface(terms="x1")
    with pytest.raises(UsageError, match="no coefficient 'intercept': did you mean"):
        fit.plot_surface(terms=("x1", "intercept"))
    with pytest.raises(UsageError, match=r"end the name in \.png"):
        fit.plot_surface(tmp_path / "a.bmp")
    with pytest.raises(ShapeError, match=r"the trail has shape \(1,\)"):
        plots.surface_figure(
            gl.fit(X, X[:, 0], epochs=0).loss_surface("x1"), epochs=[1, 2]
        )
    fit.save(tmp_path / "m.safetensors")
    with pytest.raises(gl.DataError, match="loaded from a file"):
        gl.load(tmp_path / "m.safetensors").plot_surface()


def test_pictures_of_other_kinds_of_fits_are_refused_by_what_they_are(
    tmp_path: Path,
) -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X.sum(axis=1)
    lasso = gl.fit(X, y, penalty="lasso", alpha=0.1)
    huber = gl.fit(X, y, loss="huber")
    batches = gl.fit(X, y, loss="absolute", batch_size=20, epochs=2)
    net = gl.fit(X, y, model=torch.nn.Linear(2, 1), loss="absolute", epochs=2)
    with pytest.raises(
        gl.DataError, match="by lasso, alpha 0.1.*no losses to draw: descend"
    ):
        lasso.plot_loss()
    with pytest.raises(gl.DataError, match="by Huber.*no epochs: give batch_size=256"):
        huber.at(3)
    for squared in (lasso, gl.fit(X, y, model=torch.nn.Linear(2, 1), epochs=2)):
        assert squared.loss_surface().names == ("x1", "Intercept")
    for fit, how in ((huber, "Huber"), (batches, "SGD on batches"), (net, "Linear")):
        with pytest.raises(gl.DataError, match=f"this fit is by {how}.*without loss"):
            fit.plot_surface()
    lasso.save(tmp_path / "m.safetensors")
    with pytest.raises(gl.DataError, match="loaded from a file"):
        gl.load(tmp_path / "m.safetensors").loss_surface()


# --- the moving picture


def gif(
    path: Path, line: tuple[Array, Array], run: dict[str, Any], **more: Any
) -> None:
    given = {**run, **more}
    trajectory = [given.pop(k) for k in ("slopes", "intercepts", "losses")]
    plots.learning_gif(path, *line, *trajectory, **given)


def test_learning_gif(
    line: tuple[Array, Array], run: dict[str, Any], tmp_path: Path
) -> None:
    gif(tmp_path / "a.gif", line, run, truth=(1, 0))
    gif(tmp_path / "b.gif", line, run, truth=(1, 0))
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert (tmp_path / "a.gif").stat().st_size < 600_000
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.size == (960, 480)
        assert picture.info["loop"] == 0  # for ever
        assert 55 <= picture.n_frames <= 65  # type: ignore[attr-defined]
        durations, frames = [], []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            durations.append(picture.info["duration"])
            frames.append(np.asarray(picture.convert("RGB")))
    assert durations[-1] == 2000
    assert max(durations[1:-1]) <= 100
    assert (frames[0][0, 0] == 255).all()  # white is white
    assert (frames[-1][0, 0] == 255).all()
    changes = [(a != b).any() for a, b in itertools.pairwise(frames)]
    assert all(changes)


def test_frames_are_close_where_the_line_is_fast() -> None:
    for epochs in (np.arange(1.0, 1001), np.arange(0.0, 100_001), np.arange(1.0, 62)):
        shown = _frames(epochs, plots.FRAMES)
        assert shown[0] == 0
        assert shown[-1] == len(epochs) - 1
        assert shown == sorted(set(shown))
        assert abs(len(shown) - plots.FRAMES) <= 5
        assert shown[:8] == list(range(8))
    assert _frames(np.arange(5.0), plots.FRAMES) == [0, 1, 2, 3, 4]


def test_movie_draws_the_line_of_its_epoch(
    line: tuple[Array, Array], run: dict[str, Any]
) -> None:
    movie = _Movie(
        *line,
        *(run[k] for k in ("epochs", "losses", "slopes", "intercepts")),
        truth=None,
        optimum=run["optimum"],
        names=("x", "y"),
    )
    movie.picture([0, 1, 49])
    ends, heights = np.asarray(movie.line.get_data())
    np.testing.assert_array_equal(
        heights, run["slopes"][49] * ends + run["intercepts"][49]
    )
    assert movie.epoch_text.get_text() == "epoch 50"
    assert movie.loss_text.get_text().startswith(f"loss {run['losses'][49]:.3g}"[:8])
    assert len(movie.trail.get_segments()) == 2
    assert np.asarray(movie.dot.get_data()).ravel().tolist() == [
        50,
        run["losses"][49],
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_learning_gif_of_few_epochs(
    count: int, line: tuple[Array, Array], run: dict[str, Any], tmp_path: Path
) -> None:
    short = {k: v[:count] for k, v in run.items() if k != "optimum"}
    gif(tmp_path / "few.gif", line, short)
    with Image.open(tmp_path / "few.gif") as picture:
        assert picture.n_frames == count  # type: ignore[attr-defined]


def test_learning_gif_of_a_run_that_diverges(
    line: tuple[Array, Array], tmp_path: Path
) -> None:
    epochs = np.arange(1, 101)
    with np.errstate(over="ignore"):
        slopes = -(10.0 ** (4.0 * epochs))  # infinite from epoch 78
    run = {"epochs": epochs, "slopes": slopes, "intercepts": -slopes, "losses": -slopes}
    gif(tmp_path / "away.gif", line, run, x_name="$x$" * 30, truth=(1, 0), optimum=0.0)
    with pytest.raises(UsageError, match="no epoch has a finite"):
        gif(tmp_path / "none.gif", line, run, losses=np.full(100, np.nan))
    assert not (tmp_path / "none.gif").exists()


# --- files


def test_files_are_wide_enough_and_the_same_each_time(tmp_path: Path) -> None:
    for kind in ("png", "svg", "pdf"):
        both = [tmp_path / f"{n}.{kind}" for n in "ab"]
        for path in both:
            plots.save_figure(plots.fit_figure([1, 2, 4], [1, 2, 3], 1, 0), path)
        assert both[0].read_bytes() == both[1].read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width >= 1200
        assert "Software" not in picture.info
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_narrow_figure_is_wide_in_pixels(tmp_path: Path) -> None:
    plots.save_figure(Figure(figsize=(2, 1)), tmp_path / "narrow.PNG")
    with Image.open(tmp_path / "narrow.PNG") as picture:
        assert picture.width >= 1200


def test_a_file_that_fails_leaves_the_old_one(
    line: tuple[Array, Array],
    run: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def half(*where: Any, **_: Any) -> None:
        path = next(p for p in where if isinstance(p, Path))
        path.write_bytes(b"half")
        raise RuntimeError("power cut")

    monkeypatch.setattr(Figure, "savefig", half)
    monkeypatch.setattr(Image.Image, "save", half)
    for name in ("old.png", "old.gif"):
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(RuntimeError):
        plots.save_figure(Figure(), tmp_path / "old.png")
    with pytest.raises(RuntimeError):
        gif(tmp_path / "old.gif", line, run)
    assert {p.name for p in tmp_path.iterdir()} == {"old.png", "old.gif"}
    assert all(p.read_bytes() == b"old" for p in tmp_path.iterdir())


def test_mistakes_are_named(line: tuple[Array, Array], tmp_path: Path) -> None:
    x, y = line
    with pytest.raises(UsageError, match=r"end the name in \.png, \.svg or \.pdf"):
        plots.save_figure(Figure(), tmp_path / "a.jpeg")
    with pytest.raises(UsageError, match=r"not a \.gif file"):
        plots.learning_gif("a.mp4", x, y, [1], [1], [1], epochs=[1])
    with pytest.raises(FileError, match="no folder"):
        plots.save_figure(Figure(), tmp_path / "nowhere" / "a.png")
    with pytest.raises(ShapeError, match=r"x has shape \(100, 1\) and y \(100,\)"):
        plots.data_figure(x[:, np.newaxis], y)
    with pytest.raises(ShapeError, match=r"actual has shape \(100,\)"):
        plots.predicted_figure(x, y[:9])
    with pytest.raises(ShapeError, match=r"slopes \(2,\)"):
        plots.learning_gif("a.gif", x, y, [1, 2], [1], [1], epochs=[1])
    with pytest.raises(UsageError, match="slope nan"):
        plots.fit_figure(x, y, math.nan, 0)


# --- no global state


def test_pyplot_is_never_imported_and_no_setting_stays(tmp_path: Path) -> None:
    program = """
import sys, matplotlib
before = matplotlib.rcParams.copy()  # dict() would choose a backend, with pyplot
from gradline import plots
figure = plots.fit_figure([1, 2, 3], [1, 2, 4], 1, 0, truth=(1, 0))
plots.save_figure(figure, sys.argv[1] + "/a.png")
plots.loss_figure([1, 2], [2, 1], optimum=0.5)
plots.learning_gif(sys.argv[1] + "/a.gif", [1, 2], [1, 2], [0, 1], [0, 1], [2, 1],
                   epochs=[1, 2])
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
assert matplotlib.rcParams.copy() == before
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)], check=True
    )


def test_a_users_own_style_changes_nothing(tmp_path: Path) -> None:
    def png(name: str) -> bytes:
        figure = plots.fit_figure([1, 2, 3], [1, 2, 4], 1, 0, title="same")
        plots.save_figure(figure, tmp_path / name)
        return (tmp_path / name).read_bytes()

    plain = png("plain.png")
    loud: Any = {
        "axes.facecolor": "black",
        "font.size": 30,
        "axes.grid": True,
        "text.usetex": True,
        "savefig.bbox": "tight",
        "xtick.labelsize": 40,
        "figure.dpi": 30,
    }
    with matplotlib.rc_context(loud):
        assert png("loud.png") == plain


def test_a_first_loss_does_not_press_validation_into_a_stripe() -> None:
    from gradline.plots import loss_figure

    epochs = np.arange(12)
    training = np.append(2000.0, 300 + np.arange(11) % 3)
    figure = loss_figure(epochs, training, optimum=299.0, validation=training + 5)
    low, high = figure.axes[0].get_ylim()
    assert low < 299
    assert 307 < high < 400
