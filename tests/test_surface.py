"""The loss over two coefficients is the loss of the data, point by point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline as gl
from gradline.paraboloid import LossSurface


def mse(X: np.ndarray, y: np.ndarray, parameters: np.ndarray) -> float:
    return float(np.mean((X @ parameters[:-1] + parameters[-1] - y) ** 2))


def profiled(X: np.ndarray, y: np.ndarray, fixed: dict[int, float]) -> float:
    """The least loss with some of slopes and intercept fixed, by lstsq on the data."""
    full = np.column_stack([X, np.ones(len(y))])
    free = [i for i in range(full.shape[1]) if i not in fixed]
    target = y - sum(full[:, i] * value for i, value in fixed.items())
    best = np.linalg.lstsq(full[:, free], target, rcond=None)[0]
    return float(np.mean((full[:, free] @ best - target) ** 2))


def some_points(surface: LossSurface) -> list[tuple[int, int]]:
    last = len(surface.x) - 1
    return [(0, 0), (0, last), (last, 0), (last, last), (last // 2, last // 3), (2, 1)]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 40),
    d=st.integers(1, 4),
    offset=st.floats(-10, 10),
)
def test_a_profile_is_the_best_loss_of_the_data(
    seed: int, n: int, d: int, offset: float
) -> None:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10 ** random.uniform(-2, 2, d) + offset
    y = X.sum(1) + random.normal(size=n)
    fit = gl.fit(X, y)
    names = [*fit.coefficients, "Intercept"]
    i, j = random.choice(d + 1, 2, replace=False).tolist()
    surface = fit.loss_surface(names[i], names[j], points=11)
    assert surface.names == (names[i], names[j])
    assert surface.losses.shape == (11, 11)
    for row, column in some_points(surface):
        fixed = {i: float(surface.x[column]), j: float(surface.y[row])}
        assert surface.losses[row, column] == pytest.approx(
            profiled(X, y, fixed), rel=1e-8
        )
    assert surface.base == fit.certificate.optimum_loss
    assert surface.losses.min() >= surface.base


@pytest.mark.parametrize("epochs", [0, 15])
def test_a_slice_is_the_loss_of_the_data(epochs: int) -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(30, 3)) * [1, 5, 0.2] + [2, 0, -3]
    y = X.sum(1) + random.normal(size=30)
    fit = gl.fit(X, y, lr=0.01, epochs=epochs)
    names = list(fit.coefficients)
    surface = fit.loss_surface(names[2], names[0], others="fit", points=9)
    for row, column in some_points(surface):
        parameters = np.append(fit.slopes, fit.intercept)
        parameters[2], parameters[0] = surface.x[column], surface.y[row]
        assert surface.losses[row, column] == pytest.approx(
            mse(X, y, parameters), rel=1e-10
        )
    at_fit = surface.loss(fit.slopes[2], fit.slopes[0])
    assert at_fit == pytest.approx(fit.certificate.loss, rel=1e-12)
    assert surface.base > fit.certificate.optimum_loss
    assert surface.others == "fit"


def test_a_weighted_surface_is_the_weighted_loss() -> None:
    x, y = gl.sample_linear_data(50, seed=3)
    w = np.random.default_rng(0).uniform(0.1, 4, 50)
    surface = gl.fit(x, y, weights=w).loss_surface(points=5)
    assert surface.names == ("x", "Intercept")
    for row, column in [(0, 0), (4, 1), (2, 3)]:
        residual = y - surface.x[column] * x - surface.y[row]
        expected = (w * residual**2).sum() / w.sum()
        assert surface.losses[row, column] == pytest.approx(expected, rel=1e-12)


def test_far_from_zero_nothing_is_lost() -> None:
    """x near 1e8: the loss on the grid is a sum of squares, not a difference."""
    x = 1e8 + np.arange(20.0)
    y = 3 * (x - 1e8) + np.sin(x)
    fit = gl.fit(x, y)
    surface = fit.loss_surface(points=21)
    assert surface.losses[10, 10] == pytest.approx(fit.certificate.optimum_loss)
    assert np.isfinite(surface.losses).all()
    # A step of the slope, the intercept following: what the slope's scatter says.
    step = 0.01
    follow = surface.centre[1] - step * x.mean()
    expected = fit.certificate.optimum_loss + step**2 * x.var()
    assert surface.loss(surface.centre[0] + step, follow) == pytest.approx(
        expected, rel=1e-6
    )


def test_default_span_shows_start_path_and_optimum() -> None:
    x, y = gl.sample_linear_data(100, slope=2, intercept=-1, seed=0)
    start = gl.LinearRegression(dtype=torch.float64)
    with torch.no_grad():
        start.weight.fill_(-3.0)
        start.bias.fill_(4.0)
    fit = gl.fit(x, y, lr=0.3, epochs=100, momentum=0.8, start=start)
    surface = fit.loss_surface()
    assert surface.trail is not None
    for values, column in ((surface.x, 0), (surface.y, 1)):
        trail = surface.trail[:, column]
        assert values[0] < min(trail.min(), surface.centre[column])
        assert values[-1] > max(trail.max(), surface.centre[column])
        seen = np.ptp(np.append(trail, surface.centre[column]))
        assert np.ptp(values) < 1.5 * seen
    exact = gl.fit(x, y).loss_surface()
    assert exact.trail is None
    assert exact.x[0] < exact.centre[0] < exact.x[-1]
    at_edge = [*exact.losses[0], *exact.losses[-1], *exact.losses[:, 0]]
    assert min(at_edge) > 2 * exact.base


def test_a_span_is_taken_as_told() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    surface = gl.fit(x, y).loss_surface("Intercept", "x", span=((-1, 1), (0, 5)))
    np.testing.assert_allclose(surface.x, np.linspace(-1, 1, 101), atol=1e-15)
    np.testing.assert_allclose(surface.y, np.linspace(0, 5, 101), atol=1e-15)


def test_contours_are_ellipses_on_which_the_loss_is_the_level() -> None:
    random = np.random.default_rng(4)
    X = random.normal(size=(40, 2)) @ [[2.0, 1.5], [0.0, 0.4]] + [3, -1]
    y = X @ [1.0, 2.0] + random.normal(size=40)
    surface = gl.fit(X, y).loss_surface("x1", "x2")
    level = 2.5 * surface.base
    ellipse = surface.ellipse(level)
    points = ellipse.points(50)
    np.testing.assert_allclose(points[0], points[-1])
    np.testing.assert_allclose(
        surface.loss(points[:, 0], points[:, 1]), level, rtol=1e-10
    )
    long, short = ellipse.axes
    assert long > short > 0
    assert -math.pi / 2 < ellipse.angle <= math.pi / 2
    away = np.linalg.norm(points - np.array(ellipse.centre), axis=1)
    assert away.max() == pytest.approx(long)
    # Its inverse shape, known from elsewhere: the centred scatter of the two.
    scatter = np.cov(X.T, bias=True)
    values, vectors = np.linalg.eigh(scatter)
    reach = np.sqrt((level - surface.base) / values)
    np.testing.assert_allclose(ellipse.axes, reach, rtol=1e-9)
    across = vectors[:, 0] / vectors[0, 0] * abs(vectors[0, 0])
    assert math.cos(ellipse.angle) == pytest.approx(abs(across[0]), rel=1e-9)
    assert math.tan(ellipse.angle) == pytest.approx(across[1] / across[0], rel=1e-9)


def test_a_flat_direction_is_an_endless_ellipse() -> None:
    x = np.arange(12.0)
    y = 2 * x + np.cos(x)
    fit = gl.fit(np.column_stack([x, 2 * x]), y)
    assert fit.certificate.status == "rank_deficient"
    surface = fit.loss_surface("x1", "x2", points=7)
    assert np.isfinite(surface.losses).all()
    ellipse = surface.ellipse(2 * surface.base)
    assert ellipse.axes[0] > 1e6 * ellipse.axes[1]
    for row, column in some_points(surface):
        slope = surface.x[column] + 2 * surface.y[row]
        expected = profiled(x[:, None], y, {0: float(slope)})
        assert surface.losses[row, column] == pytest.approx(expected, rel=1e-9)


def test_dependent_columns_among_the_others_count_once() -> None:
    random = np.random.default_rng(5)
    X = random.normal(size=(30, 4))
    X[:, 3] = X[:, 1] - X[:, 2]
    y = X.sum(1) + random.normal(size=30)
    surface = gl.fit(X, y).loss_surface("x1", points=5)
    for row, column in [(0, 0), (4, 2), (1, 3)]:
        fixed = {0: float(surface.x[column]), 4: float(surface.y[row])}
        assert surface.losses[row, column] == pytest.approx(
            profiled(X, y, fixed), rel=1e-9
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "slpoe"}, "the fit has no coefficient 'slpoe'"),
        ({"y": "intercept"}, "no coefficient 'intercept': did you mean 'Intercept'"),
        ({"x": "Intercept"}, "x and y are both 'Intercept'"),
        ({"points": 1}, "points is 1: give 2 or more"),
        ({"others": "mean"}, "others is 'mean': give 'optimum' or 'fit'"),
        ({"span": 3}, r"span is 3: give \(\(x from, x to\), \(y from, y to\)\)"),
        ({"span": ((0, 1), (2, 2))}, "span goes from 2 to 2: give less first"),
        ({"span": ((0, math.inf), (2, 3))}, "span is inf: give a finite number"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn(arguments: dict[str, Any], message: str) -> None:
    x, y = gl.sample_linear_data(20, seed=0)
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(x, y).loss_surface(**arguments)


def test_no_contour_below_the_lowest_loss() -> None:
    x, y = gl.sample_linear_data(20, seed=0)
    surface = gl.fit(x, y).loss_surface()
    with pytest.raises(gl.UsageError, match="level is 0 and the lowest loss here"):
        surface.ellipse(0.0)
    assert surface.ellipse(surface.base).axes == (0.0, 0.0)


def test_a_loaded_fit_has_no_surface(tmp_path: Path) -> None:
    x, y = gl.sample_linear_data(20, seed=0)
    gl.fit(x, y).save(tmp_path / "line.safetensors")
    with pytest.raises(gl.DataError, match="which does not hold the state: fit again"):
        gl.load(tmp_path / "line.safetensors").loss_surface()
