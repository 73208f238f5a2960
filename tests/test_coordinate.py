"""Coordinate descent: against a plain one, scikit-learn, and what an optimum is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from sklearn.linear_model import enet_path

from gradline.bounds import Bounds
from gradline.coordinate import Terms, duality_gap, minimise
from gradline.data import Array, Chunk
from gradline.errors import UsageError
from gradline.freeslopes import Factor, Quadratic, factored
from gradline.shrinkage import (
    Shrinkable,
    alpha_grid,
    elastic_net_path,
    of_moments,
    unbounded,
)
from gradline.state import Moments

#: The objective may differ so much from the optimum, as a share of ½ variance.
CLOSE = 1e-10


class Case(NamedTuple):
    """A random problem at one alpha."""

    problem: Shrinkable
    alpha: float
    l1_ratio: float

    @property
    def terms(self) -> Terms:
        return self.problem.terms(self.alpha, self.l1_ratio)

    @property
    def quadratic(self) -> Quadratic:
        return self.problem.problems[0]

    def value(self, u: Array) -> float:
        q = self.quadratic.gradient(u)
        return self.quadratic.half_loss(u, q) + self.terms.value(u)


def case(seed: int) -> Case:
    """Few or many rows, dependent or constant columns, weights, bounds."""
    random = np.random.default_rng(seed)
    n, d = int(random.integers(3, 60)), int(random.integers(1, 25))
    X = random.normal(size=(n, d))
    if random.random() < 0.3:
        X = X @ random.normal(size=(d, d))
    if random.random() < 0.3 and d > 2:
        X[:, 1] = X[:, 0]
    if random.random() < 0.3 and d > 2:
        X[:, 2] = 3
    if random.random() < 0.3:
        X *= 10.0 ** random.integers(-3, 4, d)
    spread = np.where(X.std(0) > 1e-9, X.std(0), 1.0)
    y = X @ (random.normal(size=d) * (random.random(d) < 0.4) / spread)
    y += random.normal(size=n) * random.choice([0.1, 1.0])
    weight = random.random(n) * 2 if random.random() < 0.3 else None
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    kind = int(random.integers(4))
    if kind == 1:
        low[:] = 0
    if kind == 2:
        low[random.random(d) < 0.5] = -0.1
        high[random.random(d) < 0.5] = 0.1
    if kind == 3:
        low[:] = random.normal(size=d) * 0.1
        high[:] = low + random.random(d) * 0.2
    moments = Moments(d, 1, intercept=bool(random.random() < 0.7))
    moments.add(Chunk(X, y, weight))
    problem = of_moments(moments, bool(random.random() < 0.7), Bounds(low, high))
    ratio = float(random.choice([1.0, 0.5, 0.95, 0.0]))
    alpha = problem.first_alpha(ratio) * 10.0 ** random.uniform(-4, 0.1)
    return Case(problem, alpha, ratio)


def plainly(known: Case, sweeps: int = 4_000) -> Array:
    """Coordinate descent and nothing else, until no slope moves."""
    terms, C = known.terms, known.quadratic.matrix
    u = np.clip(np.zeros(len(C)), terms.low, terms.high)
    q = known.quadratic.gradient(u)
    for _ in range(sweeps):
        most = 0.0
        for j in range(len(C)):
            curve = C[j, j] + terms.l2
            if curve <= 0:
                continue
            pull = q[j] + C[j, j] * u[j]
            new = np.sign(pull) * max(abs(pull) - terms.l1, 0) / curve
            new = min(max(new, terms.low[j]), terms.high[j])
            q -= C[j] * (new - u[j])
            most = max(most, abs(new - u[j]) * curve**0.5)
            u[j] = new
        if most < 1e-15:
            break
    return u


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_it_finds_what_the_plain_descent_finds(first: int) -> None:
    for seed in range(first, first + 20):
        known = case(seed)
        found = known.problem.solve(known.alpha, known.l1_ratio)
        size = known.quadratic.size**2 / 2
        assert found.value - known.value(plainly(known)) <= CLOSE * size, seed
        assert 0 <= found.gap <= CLOSE * (size + found.loss), seed
        assert (found.u >= known.terms.low).all()
        assert (found.u <= known.terms.high).all()


def test_the_conditions_of_the_optimum_hold() -> None:
    for seed in range(120, 150):
        known = case(seed)
        u = known.problem.solve(known.alpha, known.l1_ratio).u
        terms = known.terms
        h = known.quadratic.gradient(u) - terms.l2 * u  # what pulls at each slope
        room = (
            1e-11
            * np.sqrt(known.quadratic.matrix.diagonal())
            * (known.quadratic.size + (2 * known.value(u)) ** 0.5)
        )
        inner = (u > terms.low) & (u < terms.high)
        free = inner & (u != 0)
        assert (np.abs(h - terms.l1 * np.sign(u))[free] <= room[free]).all(), seed
        zero = inner & (u == 0)
        assert (np.abs(h)[zero] <= terms.l1 + room[zero]).all(), seed
        least = np.where(u > 0, terms.l1, -terms.l1)
        at_high = (u == terms.high) & (u > terms.low)
        assert (h[at_high] >= (least - room)[at_high]).all(), seed


def test_the_gap_is_never_less_than_what_is_missing() -> None:
    for seed in range(170, 200):
        known = case(seed)
        best = known.problem.solve(known.alpha, known.l1_ratio).value
        random = np.random.default_rng(seed)
        for size in (0.01, 1.0):
            u = random.normal(size=len(known.problem.scale)) * size
            u = np.clip(u, known.terms.low, known.terms.high)
            q = known.quadratic.gradient(u)
            gap = duality_gap(known.terms, u, q, known.quadratic.half_loss(u, q))
            missing = known.value(u) - best
            assert gap >= missing * (1 - 1e-9) - 1e-13 * known.quadratic.size**2, seed


def rows(n: int, d: int, seed: int = 0) -> tuple[Array, Array]:
    """Standardised features, each like its neighbour, and a target."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d))
    for j in range(1, d):
        X[:, j] = 0.7 * X[:, j - 1] + 0.7 * X[:, j]
    y = X[:, ::5].sum(1) + random.normal(size=n)
    X = (X - X.mean(0)) / X.std(0)
    return X, y - y.mean()


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(200, 30), (40, 90)])
def test_paths_are_those_of_scikit_learn(shape: tuple[int, int], ratio: float) -> None:
    X, y = rows(*shape)
    moments = Moments(shape[1]).add(Chunk(X, y, None))
    first = of_moments(moments, True, unbounded(shape[1])).first_alpha(ratio)
    alphas = alpha_grid(first, 20, 1e-2)
    ours = elastic_net_path(moments, alphas, ratio, tolerance=1e-14)
    _, theirs, _ = enet_path(
        X, y, l1_ratio=ratio, alphas=alphas, tol=1e-13, max_iter=200_000
    )
    assert np.abs(ours.slopes[:, :, 0].T - theirs).max() < 1e-8
    assert np.abs(ours.intercepts).max() < 1e-12
    assert ours.nonzero[0, 0] == 0
    assert ours.nonzero[1, 0] > 0
    assert (ours.gaps <= 1e-12 * y.var()).all()


def test_a_path_is_monotone() -> None:
    """Down a path the loss falls, and the penalty's norm grows."""
    X, y = rows(60, 40, 1)
    moments = Moments(40).add(Chunk(X, y, None))
    alphas = alpha_grid(
        of_moments(moments, True, unbounded(40)).first_alpha(1), 50, 1e-3
    )
    slopes = elastic_net_path(moments, alphas).slopes[:, :, 0]
    losses = np.square(y - slopes @ X.T).sum(1)
    norms = np.abs(slopes).sum(1)
    assert (np.diff(losses) <= 1e-9 * losses[0]).all()
    assert (np.diff(norms) >= -1e-9 * norms[-1]).all()


def test_many_targets_are_as_if_alone_and_chunks_make_no_difference() -> None:
    X, y = rows(80, 12)
    Y = np.column_stack([y, y**2, 5 + X[:, 0]])
    whole = Moments(12, 3).add(Chunk(X, Y, None))
    parts = Moments(12, 3)
    for start in range(0, 80, 7):
        parts.merge(
            Moments(12, 3).add(Chunk(X[start : start + 7], Y[start : start + 7], None))
        )
    alphas = np.array([0.01, 1.0, 0.1])
    found = elastic_net_path(whole, alphas, 0.8, tolerance=1e-14)
    again = elastic_net_path(parts, alphas, 0.8, tolerance=1e-14)
    assert np.allclose(found.slopes, again.slopes, rtol=1e-9, atol=1e-11)
    for t in range(3):
        alone = elastic_net_path(
            Moments(12).add(Chunk(X, Y[:, t], None)), alphas, 0.8, tolerance=1e-14
        )
        assert np.allclose(found.slopes[:, :, [t]], alone.slopes, rtol=1e-9, atol=1e-11)
        assert np.allclose(found.intercepts[:, [t]], alone.intercepts, atol=1e-11)


def test_a_kept_factor_solves_as_a_new_one() -> None:
    X, _ = rows(300, 60)
    C = X.T @ X / 300
    problem = Quadratic(C, np.zeros(60), np.zeros(60), 1.0, 1.0)
    factor, random = Factor(problem), np.random.default_rng(0)
    free = np.sort(random.choice(60, 20, replace=False))
    for _ in range(60):
        if random.random() < 0.5:
            free = np.union1d(free, random.choice(60, 4))
        else:
            free = np.setdiff1d(free, random.choice(60, 4))
        force = random.normal(size=len(free))
        l2 = float(random.choice([0.0, 0.0, 0.0, 0.1]))
        whole = C[np.ix_(free, free)] + l2 * np.eye(len(free))
        assert np.allclose(
            factor.solve(free, force, l2), np.linalg.solve(whole, force), rtol=1e-9
        )


def test_a_factor_of_dependent_slopes_is_that_of_a_matrix_near_by() -> None:
    X, _ = rows(20, 5)
    X = np.column_stack([X, X[:, 0]])
    C = X.T @ X / 20
    problem = Quadratic(C, np.zeros(6), np.zeros(6), 1.0, 1.0)
    lower = factored(problem, np.arange(6), 0.0).numpy()
    assert np.allclose(lower @ lower.T, C, atol=1e-9)


def test_nothing_to_explain_leaves_all_slopes_at_0() -> None:
    X, _ = rows(30, 4)
    moments = Moments(4).add(Chunk(X, np.full(30, 7.0), None))
    found = elastic_net_path(moments, np.array([0.5, 0.1]))
    assert not found.slopes.any()
    assert np.allclose(found.intercepts, 7)


def test_a_start_far_away_does_no_harm() -> None:
    known = case(3)
    u = np.full(len(known.problem.scale), 1e6)
    far = minimise(known.quadratic, known.terms, u, 1e-14)
    near = known.problem.solve(known.alpha, known.l1_ratio)
    assert far.value == pytest.approx(near.value, rel=1e-9)


def test_alphas_are_checked() -> None:
    X, y = rows(30, 4)
    moments = Moments(4).add(Chunk(X, y, None))
    with pytest.raises(
        UsageError, match="alphas must be a list of numbers of 0 or more"
    ):
        elastic_net_path(moments, np.array([-1.0]))
