"""Descent in closed form is the loop of torch.optim.SGD, without walking it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gradline as gl


def walk(
    X: np.ndarray, y: np.ndarray, start: gl.LinearRegression, lr: float, epochs: int
) -> tuple[np.ndarray, np.ndarray]:
    """The plain loop in float64: losses at, and parameters before, each epoch."""
    model = nn.Linear(X.shape[1], 1, dtype=torch.float64)
    model.load_state_dict(start.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    losses, parameters = [], []
    for _ in range(epochs + 1):
        loss = nn.functional.mse_loss(model(inputs), targets)
        losses.append(loss.item())
        parameters.append([*model.weight[0].tolist(), model.bias.item()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(losses), np.array(parameters)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-9 of the largest: a parameter may cross zero on its way."""
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * size)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(4, 40),
    d=st.integers(1, 4),
    share=st.floats(1e-3, 0.999),
    spread=st.floats(0, 2),
    offset=st.floats(-5, 5),
)
def test_closed_form_is_the_loop(
    seed: int, n: int, d: int, share: float, spread: float, offset: float
) -> None:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10 ** random.uniform(-spread, spread, d) + offset
    y = random.normal(size=n) * 3 + offset
    start = gl.LinearRegression(d, dtype=torch.float64)
    limit = gl.fit(X, y).certificate.lr_limit
    ones = np.column_stack([X, np.ones(n)])
    assert limit == pytest.approx(n / np.linalg.eigvalsh(ones.T @ ones)[-1], rel=1e-9)
    fit = gl.fit(X, y, method="gd", lr=share * limit, epochs=50, start=start)
    losses, parameters = walk(X, y, start, share * limit, 50)
    assert fit.trace is not None
    assert fit.trace.epochs.tolist() == list(range(51))
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-9)
    found = np.column_stack([fit.trace.weights, fit.trace.intercepts])
    close(found, parameters)


def test_the_lesson() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    start = gl.LinearRegression(dtype=torch.float64)
    fit = gl.fit(x, y, method="gd", lr=0.1, epochs=1000, start=start)
    losses, parameters = walk(x[:, None], y, start, 0.1, 1000)
    assert fit.trace is not None
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-12)
    assert fit.coefficients["x"] == pytest.approx(parameters[-1, 0], abs=1e-13)
    assert fit.intercept == pytest.approx(parameters[-1, 1], abs=1e-13)


def test_standardised_descent_is_the_loop_on_standardised_features() -> None:
    random = np.random.default_rng(3)
    X = random.normal(size=(60, 3)) * [1, 1000, 0.01] + [5, -2000, 0]
    y = X @ [1.0, 0.002, 50.0] + random.normal(size=60)
    fit = gl.fit(X, y, method="gd", lr=0.2, epochs=40, standardize=True, seed=4)
    assert fit.trace is not None
    mean, scale = X.mean(0), X.std(0)
    start = gl.LinearRegression(
        3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )
    losses, parameters = walk((X - mean) / scale, y, start, 0.2, 40)
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-9)
    slopes = parameters[:, :3] / scale
    close(fit.trace.weights, slopes)
    close(fit.trace.intercepts, parameters[:, 3] - slopes @ mean)


def test_a_hopelessly_scaled_problem_is_still_the_loop() -> None:
    """Eigenvalues 1e18 apart: the flat directions must not pick up rounding."""
    x = np.linspace(1e9, 1e9 + 1000, 30)
    y = 3 * (x - 1e9) + np.sin(x)
    start = gl.LinearRegression(dtype=torch.float64)
    limit = gl.fit(x, y).certificate.lr_limit
    fit = gl.fit(x, y, method="gd", lr=0.3 * limit, epochs=30, start=start)
    losses, parameters = walk(x[:, None], y, start, 0.3 * limit, 30)
    assert fit.trace is not None
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-6)
    close(fit.trace.intercepts, parameters[:, 1])


def test_weighted_descent_is_the_loop_on_the_weighted_loss() -> None:
    x, y = gl.sample_linear_data(40, seed=2)
    w = np.random.default_rng(0).uniform(0.1, 3, 40)
    start = gl.LinearRegression(dtype=torch.float64)
    fit = gl.fit(x, y, weights=w, lr=0.3, epochs=25, start=start)
    b, c = start.weight.item(), start.bias.item()
    losses = []
    for _ in range(26):
        r = b * x + c - y
        losses.append((w * r**2).sum() / w.sum())
        b, c = b - 0.6 * (w * r * x).sum() / w.sum(), c - 0.6 * (w * r).sum() / w.sum()
    assert fit.trace is not None
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-9)


def test_long_runs_keep_a_selection_with_both_ends() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, method="gd", lr=1e-6, epochs=5_000_000)
    trace = fit.trace
    assert trace is not None
    assert len(trace) <= 10_001
    assert (trace.epochs[0], trace.epochs[-1]) == (0, 5_000_000)
    assert (np.diff(trace.epochs) > 0).all()
    assert trace.weights[-1, 0] == fit.coefficients["x"]
    assert (np.diff(trace.losses) <= 0).all()


def test_epochs_needed_are_the_epochs_needed() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    start = gl.LinearRegression()
    short = gl.fit(x, y, lr=0.05, epochs=100, start=start)
    needed = short.certificate.epochs_needed
    assert needed is not None
    assert needed > 0
    enough = gl.fit(x, y, lr=0.05, epochs=100 + needed, start=start)
    almost = gl.fit(x, y, lr=0.05, epochs=99 + needed, start=start)
    assert enough.certificate.status == "converged"
    assert almost.certificate.status == "not_converged"


def test_the_best_lr_is_the_best() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3]
    y = X.sum(1) + np.random.default_rng(1).normal(size=50)
    best = gl.fit(X, y).certificate.best_lr
    gaps = [
        gl.fit(X, y, lr=lr, epochs=200, standardize=False, seed=0).certificate.gap
        for lr in (0.9 * best, best, 1.05 * best)
    ]
    assert min(gaps) == gaps[1]
