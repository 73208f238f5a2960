"""The one-pass state: chunks, merges and orders do not matter; offsets do not hurt."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gradline as gl
from gradline.data import Chunk
from gradline.errors import ShapeError
from gradline.solvers import from_moments, solve_moments, triangle_scale
from gradline.state import Moments
from gradline.triangle import Triangle
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]


def rows(seed: int, n: int, d: int, weighted: bool, offset: float = 0.0) -> Chunk:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10.0 ** random.integers(-3, 4, d) + offset
    weight = random.uniform(0, 3, n) if weighted else None
    return Chunk(X, random.normal(size=n), weight)


def part(chunk: Chunk, pick: slice | np.ndarray) -> Chunk:
    weight = None if chunk.weight is None else chunk.weight[pick]
    return Chunk(chunk.X[pick], chunk.y[pick], weight)


def plain(chunk: Chunk) -> tuple[float, np.ndarray, np.ndarray]:
    """Weight, mean and scatter by the definition: the slow, plain reference."""
    z = np.column_stack([chunk.X, chunk.y])
    w = np.ones(len(z)) if chunk.weight is None else chunk.weight
    mean = (w[:, None] * z).sum(0) / w.sum()
    centred = z - mean
    return w.sum(), mean, (w[:, None] * centred).T @ centred


def check(state: Moments, chunk: Chunk) -> None:
    weight, mean, scatter = plain(chunk)
    assert state.rows == len(chunk.y)
    assert state.weight == pytest.approx(weight, rel=RTOL)
    size = np.sqrt(np.diag(scatter))
    found_mean, found = whole(state)
    np.testing.assert_allclose(
        found_mean, mean, rtol=RTOL, atol=RTOL * size.max() / weight
    )
    np.testing.assert_allclose(
        found / np.outer(size, size), scatter / np.outer(size, size), rtol=0, atol=RTOL
    )


def whole(state: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scatter of [X y], from the state's value."""
    found = state.value()
    scatter = np.block([[found.xx, found.xy], [found.xy.T, np.diag(found.yy)]])
    return np.append(found.x_mean, found.y_mean), scatter


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(3, 60),
    d=st.integers(1, 5),
    weighted=st.booleans(),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_any_chunks_in_any_order_of_merging(
    seed: int, n: int, d: int, weighted: bool, cuts: list[int]
) -> None:
    chunk = rows(seed, n, d, weighted)
    check(Moments(d).add(chunk), chunk)
    edges = sorted({0, n, *(c for c in cuts if c < n)})
    parts = [Moments(d).add(part(chunk, slice(a, b))) for a, b in pairwise(edges)]
    order = np.random.default_rng(seed).permutation(len(parts))
    merged = Moments(d)
    for i in order:
        merged.merge(parts[i])
    check(merged, chunk)


@pytest.mark.parametrize("weighted", [False, True])
def test_row_by_row(weighted: bool) -> None:
    chunk = rows(5, 200, 4, weighted)
    state = Moments(4)
    for i in range(200):
        state.add(part(chunk, slice(i, i + 1)))
    check(state, chunk)


def test_a_weight_is_a_repetition() -> None:
    chunk = rows(1, 30, 3, weighted=False)
    times = np.random.default_rng(2).integers(0, 4, 30)
    repeated = part(chunk, np.repeat(np.arange(30), times))
    weighted = Chunk(chunk.X, chunk.y, times.astype(float))
    a, b = Moments(3).add(repeated), Moments(3).add(weighted)
    assert (a.rows, b.rows) == (times.sum(), 30)
    for found, expected in zip(whole(a), whole(b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=RTOL)


def test_chunks_without_weight_count_as_rows_only() -> None:
    chunk = rows(1, 30, 3, weighted=True)
    nothing = Chunk(chunk.X * 7, chunk.y, np.zeros(30))
    for order in ([nothing, chunk], [chunk, nothing]):
        state = Moments(3)
        for c in order:
            state.add(c)
        assert state.rows == 60
        np.testing.assert_allclose(
            whole(state)[1], whole(Moments(3).add(chunk))[1], rtol=RTOL
        )


def test_an_offset_of_1e14_costs_no_digits_of_the_scatter() -> None:
    small = np.random.default_rng(0).integers(-50, 50, (1000, 2)).astype(float)
    near = Chunk(small, small[:, 0], None)
    far = Chunk(small + 1e14, small[:, 0], None)
    np.testing.assert_allclose(
        whole(Moments(2).add(far))[1], whole(Moments(2).add(near))[1], rtol=1e-12
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_the_triangle_is_a_root_of_the_scatter(weighted: bool) -> None:
    chunk = rows(3, 120, 4, weighted, offset=5)
    moments = Moments(4).add(chunk)
    scale = triangle_scale(moments.value())
    at_once = Triangle(moments, scale).add(chunk)
    halves = [
        Triangle(moments, scale).add(part(chunk, s))
        for s in (slice(0, 50), slice(50, 120))
    ]
    merged = halves[0].merge(halves[1])
    expected = torch.from_numpy(whole(moments)[1]) / torch.outer(scale, scale)
    for triangle in (at_once, merged):
        found = triangle.R.T @ triangle.R
        torch.testing.assert_close(found, expected, rtol=RTOL, atol=RTOL * 120)


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"X with shape \(5, 2\) does not go with"):
        Moments(3).add(rows(0, 5, 2, weighted=False))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [1, 3])
def test_many_targets_are_solved_at_once(weighted: bool, targets: int) -> None:
    random = np.random.default_rng(4)
    chunk = rows(4, 3_000, 5, weighted, offset=3.0)
    Y = (
        chunk.X @ random.normal(size=(5, targets))
        + random.normal(size=(3_000, 3))[:, :targets]
    )
    chunk = chunk._replace(y=Y[:, 0] if targets == 1 else Y)
    parts = [slice(0, 7), slice(7, 1500), slice(1500, 3000)]
    states = [Moments(5, targets).add(part(chunk, p)) for p in parts]
    merged = states[1].merge(states[0]).merge(states[2])
    spectrum = from_moments(merged.value())
    assert spectrum is not None
    found = solve_moments(merged, spectrum)
    w = np.ones(3_000) if chunk.weight is None else chunk.weight
    design = np.column_stack([np.ones(3_000), chunk.X]) * np.sqrt(w)[:, None]
    truth = np.linalg.lstsq(design, Y * np.sqrt(w)[:, None])[0]
    np.testing.assert_allclose(found.slopes, truth[1:], rtol=RTOL)
    mean = np.average(chunk.X, axis=0, weights=w)
    np.testing.assert_allclose(found.level, truth[0] + mean @ truth[1:], rtol=RTOL)
    residual = Y - truth[0] - chunk.X @ truth[1:]
    loss = np.average(residual**2, axis=0, weights=w)
    np.testing.assert_allclose(found.loss, loss, rtol=RTOL)


def test_the_loss_is_no_difference_of_large_numbers() -> None:
    """R² rounds to 1: a difference of sums of squares would be nothing but rounding."""
    random = np.random.default_rng(0)
    noise = random.integers(-4, 5, 20_000) / 2.0**6  # exactly representable
    exact = np.round(random.normal(size=(20_000, 3)) * 1024)
    chunk = Chunk(exact, exact @ [1000.0, -2000.0, 3000.0] + noise, None)
    state = Moments(3)
    for start in range(0, 20_000, 2_000):
        state.add(part(chunk, slice(start, start + 2_000)))
    spectrum = from_moments(state.value())
    assert spectrum is not None
    found = solve_moments(state, spectrum)
    design = np.column_stack([np.ones(20_000), exact])
    left = noise - design @ np.linalg.lstsq(design, noise)[0]
    assert np.mean(left**2) < 1e-15 * np.var(chunk.y)
    np.testing.assert_allclose(found.loss[0], np.mean(left**2), rtol=RTOL)
    assert found.loss_error[0] < 1e-12 * found.loss[0]


def test_a_line_that_was_no_guide_is_said_to_be_so() -> None:
    """Opening rows of another kind: the loss is right, or its error is known."""
    random = np.random.default_rng(1)
    X = random.normal(size=(50_000, 2))
    y = X @ [1e6, 1e6] + random.normal(size=50_000)
    y[:30_000] = -y[:30_000]
    state = Moments(2)
    for start in range(0, 50_000, 10_000):
        state.add(Chunk(X[start : start + 10_000], y[start : start + 10_000], None))
    spectrum = from_moments(state.value())
    assert spectrum is not None
    found = solve_moments(state, spectrum)
    design = np.column_stack([np.ones(50_000), X])
    truth = np.mean((y - design @ np.linalg.lstsq(design, y)[0]) ** 2)
    assert abs(found.loss[0] - truth) <= found.loss_error[0] * 50 + 1e-9 * truth


def test_a_state_goes_only_with_its_like() -> None:
    with pytest.raises(ShapeError, match=r"y with shape \(5, 2\) does not go with"):
        Moments(2).add(Chunk(np.zeros((5, 2)), np.zeros((5, 2)), None))
    with pytest.raises(ShapeError, match="3 features and 1 targets"):
        Moments(2).merge(Moments(3))


def test_float32_is_summed_in_float64() -> None:
    chunk = rows(8, 5_000, 3, weighted=False, offset=1000.0)
    narrow = Chunk(chunk.X.astype(np.float32), chunk.y.astype(np.float32), None)
    wide = Chunk(narrow.X.astype(np.float64), narrow.y.astype(np.float64), None)
    check(Moments(3).add(narrow), wide)


def test_a_state_is_solved_where_columns_depend_on_one_another() -> None:
    random = np.random.default_rng(3)
    A = random.normal(size=(500, 2))
    X = np.column_stack([A, A[:, 0] - 2 * A[:, 1], np.full(500, 7.0)])
    Y = X @ random.normal(size=(4, 2)) + random.normal(size=(500, 2))
    found = gl.solve(gl.Moments(4, targets=2).add(gl.Chunk(X, Y, None)))
    least = np.linalg.lstsq(X - X.mean(0), Y - Y.mean(0), rcond=1e-10)[0]
    np.testing.assert_allclose(found.slopes, least, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.intercept, Y.mean(0) - X.mean(0) @ least)
    assert (found.rank, found.condition) == (3, np.inf)


def test_a_state_without_intercept_is_solved_about_0() -> None:
    chunk = rows(6, 4_000, 3, weighted=True, offset=2.0)
    halves = [slice(0, 2_500), slice(2_500, 4_000)]
    first, second = (
        gl.Moments(3, intercept=False).add(part(chunk, half)) for half in halves
    )
    found = gl.solve(first.merge(second))
    root = np.sqrt(chunk.weight)
    least = np.linalg.lstsq(chunk.X * root[:, None], chunk.y * root)[0]
    np.testing.assert_allclose(found.slopes[:, 0], least, rtol=RTOL)
    assert found.intercept[0] == 0
    with pytest.raises(ShapeError, match="without intercept"):
        first.merge(gl.Moments(3))


def test_what_cannot_be_solved_is_said() -> None:
    with pytest.raises(gl.DataError, match="no rows of a weight above 0"):
        gl.solve(gl.Moments(2))
    huge = gl.Chunk(np.full((3, 1), 1e200) * [[1], [2], [3]], np.ones(3), None)
    with pytest.raises(gl.DataError, match="too large to square"):
        gl.solve(gl.Moments(1).add(huge))


@pytest.mark.parametrize(
    ("X", "y", "weight", "error", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], None, ShapeError, r"y with shape \(1, 1\) does not"),
        ([1.0, 2.0], [1.0, 2.0], None, ShapeError, r"X with shape \(2,\) does not"),
        ([[1.0, 2.0]], [1.0, 2.0], None, ShapeError, r"y of shape \(1,\)"),
        ([[1.0, 2.0]], [1.0], [[1.0]], ShapeError, r"weight has shape \(1, 1\)"),
        (
            [[1, 2], [3, np.nan]],
            [1, 2],
            None,
            gl.MissingValueError,
            r"X\[1, 1\] is nan",
        ),
        ([[1, 2], [3, 4]], [1, np.inf], None, gl.MissingValueError, r"y\[1\] is inf"),
        ([[1, 2], [3, 4]], [1, 2], [1, -2], gl.DataError, "weight of row 2 is -2"),
        ([["a", "b"]], [1], None, gl.DataError, "X holds"),
        ([[1, 2**60 + 1]], [1], None, gl.DataError, "more digits than float64 has"),
    ],
)
def test_chunks_from_outside_are_checked(
    X: Any, y: Any, weight: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gl.Moments(2).add(gl.Chunk(X, y, weight))


def test_chunks_may_be_lists_or_tensors() -> None:
    chunk = rows(2, 50, 2, weighted=True)
    tensors = gl.Chunk(*(torch.from_numpy(v) for v in chunk))
    lists = gl.Chunk(*(v.tolist() for v in chunk))
    for same in (tensors, lists):
        check(gl.Moments(2).add(same), chunk)
    for wrong in (0, -1, 2.5, "2"):
        with pytest.raises(gl.UsageError, match="features is"):
            gl.Moments(wrong)


@pytest.mark.parametrize("offset", [2.0**20, 2.0**40, 1e14])
def test_a_target_far_from_0_loses_nothing_between_chunks(offset: float) -> None:
    """A level of 1e14 moves in steps of 1/64: the sums have to know."""
    random = np.random.default_rng(0)
    x = random.integers(-(2**20), 2**20, 3_000) / 2.0**20
    y = offset + np.round((x + random.normal(size=3_000)) * 64) / 64
    X = (x + 1)[:, None] * 2.0**20 + 2.0**40  # exact
    chunk = Chunk(X, y, None)
    z, r = X[:, 0] - 2.0**40 - 2.0**20, y - offset
    slope = float(np.dot(z - z.mean(), r) / np.dot(z - z.mean(), z - z.mean()))
    pieces = [slice(a, a + 500) for a in range(0, 3_000, 500)]
    added = Moments(1)
    for piece in pieces:
        added.add(part(chunk, piece))
    states = [Moments(1).add(part(chunk, piece)) for piece in pieces]
    merged = states[3]
    for i in (0, 5, 1, 2, 4):
        merged.merge(states[i])
    for state in (added, merged):
        found = gl.solve(state)
        assert found.slopes[0, 0] == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_targets_are_selected_and_added(intercept: bool) -> None:
    """As if they had been there from the first row on, in that order."""
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(300, 4)) + 3, random.normal(size=(300, 2))
    state = gl.Moments(4, 2, intercept).add(gl.Chunk(X, Y, None))
    found = state.select([1, -1, 0, -1], -1.0)
    late, more = random.normal(size=(200, 4)), random.normal(size=(200, 4))
    found.add(gl.Chunk(late, more, None))
    before = np.column_stack([Y[:, 1], -np.ones(300), Y[:, 0], -np.ones(300)])
    whole = gl.Moments(4, 4, intercept)
    whole.add(gl.Chunk(np.vstack([X, late]), np.vstack([before, more]), None))
    for mine, theirs in zip(found.value(), whole.value(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-10)
    assert state.targets == 2  # and stays as it was
    assert state.rows == 300
