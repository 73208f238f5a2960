"""The one-pass state: chunks, merges and orders do not matter; offsets do not hurt."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradline.data import Chunk
from gradline.errors import ShapeError
from gradline.solvers import triangle_scale
from gradline.state import Moments, Triangle
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
    np.testing.assert_allclose(
        state.mean, mean, rtol=RTOL, atol=RTOL * size.max() / weight
    )
    np.testing.assert_allclose(
        state.scatter.numpy() / np.outer(size, size),
        scatter / np.outer(size, size),
        rtol=0,
        atol=RTOL,
    )


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
    np.testing.assert_allclose(a.scatter, b.scatter, rtol=RTOL)
    np.testing.assert_allclose(a.mean, b.mean, rtol=RTOL)


def test_chunks_without_weight_count_as_rows_only() -> None:
    chunk = rows(1, 30, 3, weighted=True)
    nothing = Chunk(chunk.X * 7, chunk.y, np.zeros(30))
    for order in ([nothing, chunk], [chunk, nothing]):
        state = Moments(3)
        for c in order:
            state.add(c)
        assert state.rows == 60
        np.testing.assert_allclose(
            state.scatter, Moments(3).add(chunk).scatter, rtol=RTOL
        )


def test_an_offset_of_1e14_costs_no_digits_of_the_scatter() -> None:
    small = np.random.default_rng(0).integers(-50, 50, (1000, 2)).astype(float)
    near = Chunk(small, small[:, 0], None)
    far = Chunk(small + 1e14, small[:, 0], None)
    np.testing.assert_allclose(
        Moments(2).add(far).scatter, Moments(2).add(near).scatter, rtol=1e-12
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_the_triangle_is_a_root_of_the_scatter(weighted: bool) -> None:
    chunk = rows(3, 120, 4, weighted, offset=5)
    moments = Moments(4).add(chunk)
    scale = triangle_scale(moments)
    whole = Triangle(moments, scale).add(chunk)
    halves = [
        Triangle(moments, scale).add(part(chunk, s))
        for s in (slice(0, 50), slice(50, 120))
    ]
    merged = halves[0].merge(halves[1])
    expected = moments.scatter / torch.outer(scale, scale)
    for triangle in (whole, merged):
        found = triangle.R.T @ triangle.R
        torch.testing.assert_close(found, expected, rtol=RTOL, atol=RTOL * 120)


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ShapeError, match="a chunk of 2 columns"):
        Moments(3).add(rows(0, 5, 2, weighted=False))
