"""Sampled lines: the asked-for truth, reproducible."""

from __future__ import annotations

import numpy as np
import pytest

import gradline as gl


def test_shape_dtype_and_seed() -> None:
    x, y = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    assert x.shape == y.shape == (100,)
    assert x.dtype == y.dtype == np.float64
    again = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])
    other = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=1)
    assert not np.array_equal(x, other[0])
    free, _ = gl.sample_linear_data()
    assert not np.array_equal(free, gl.sample_linear_data()[0])


def test_the_truth_is_in_it() -> None:
    x, y = gl.sample_linear_data(100_000, slope=-3, intercept=7, noise=0.5, seed=2)
    assert np.polyfit(x, y, 1) == pytest.approx([-3, 7], abs=0.02)
    assert np.std(y + 3 * x - 7) == pytest.approx(0.5, rel=0.02)
    assert 0 <= x.min() < 0.01 < 0.99 < x.max() < 1
    x, y = gl.sample_linear_data(10, slope=2, intercept=1, noise=0, seed=0)
    np.testing.assert_allclose(y, 2 * x + 1, rtol=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 2.5}, "n is 2.5"),
        ({"noise": -1}, "noise is -1"),
        ({"slope": np.inf}, "slope is inf"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_arguments(options: dict[str, float], message: str) -> None:
    with pytest.raises(gl.UsageError, match=message):
        gl.sample_linear_data(**options)
