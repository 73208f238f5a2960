"""Descent in closed form is the loop of torch.optim.SGD, without walking it."""

from __future__ import annotations

import dataclasses
import math
import pickle
import signal
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gradline as gl
from gradline.conclude import parameters_of, path_from
from gradline.path import Path, raw_bowl
from gradline.prepare import prepare
from gradline.quadratic import Record
from gradline.recurrence import Rule
from gradline.survey import Survey, take_survey
from helpers import hearing_ctrl_c


def walk(
    X: np.ndarray,
    y: np.ndarray,
    start: gl.LinearRegression,
    lr: float,
    epochs: int,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The plain loop in float64: losses at, and parameters before, each epoch."""
    model = nn.Linear(X.shape[1], 1, dtype=torch.float64)
    model.load_state_dict(start.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **options)
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


def survey_of(X: np.ndarray, y: np.ndarray) -> Survey:
    prepared = prepare(X, y)
    return take_survey(prepared.source, prepared.design)


def sgd_path(
    X: np.ndarray, y: np.ndarray, start: gl.LinearRegression, rule: Rule
) -> Path:
    survey = survey_of(X, y)
    first = parameters_of(start, survey)
    return path_from(survey, raw_bowl(survey.spectrum, survey.mean), rule, first)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of SGD that torch takes."""
    momentum = draw(
        st.just(0.0) | st.floats(0, 0.999) | st.sampled_from([0.5, 0.9, 0.99, 0.999])
    )
    nesterov = momentum > 0 and draw(st.booleans())
    dampening = 0.0 if nesterov else draw(st.just(0.0) | st.floats(-0.5, 0.99))
    decay = draw(st.just(0.0) | st.floats(1e-6, 3))
    return {
        "momentum": momentum,
        "dampening": dampening,
        "nesterov": nesterov,
        "weight_decay": decay,
    }


@settings(max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 30),
    d=st.integers(1, 4),
    share=st.floats(1e-3, 1.4) | st.sampled_from([0.25, 0.5, 0.999, 1.0, 1.001]),
    spread=st.floats(0, 1.5),
    offset=st.floats(-5, 5),
    options=rules(),
)
def test_momentum_dampening_nesterov_and_decay_are_the_loop(
    seed: int,
    n: int,
    d: int,
    share: float,
    spread: float,
    offset: float,
    options: dict[str, Any],
) -> None:
    """Beyond the stability limit too, and with fewer rows than coefficients."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10 ** random.uniform(-spread, spread, d) + offset
    y = random.normal(size=n) * 3 + offset
    start = gl.LinearRegression(d, dtype=torch.float64)
    steepest = np.linalg.norm(np.column_stack([X, np.ones(n)]), 2) ** 2 * 2 / n
    lr = share * Rule(0.0, **options).limit(float(steepest))
    losses, parameters = walk(X, y, start, lr, 60, **options)
    path = sgd_path(X, y, start, Rule(lr, **options))
    found_losses, found = path.trace(np.arange(61))
    # Where the line goes through all points, the loop's own residuals are rounding.
    size = max(np.abs(y).max(), np.abs(X).max() * np.abs(parameters).max())
    rounding = 1e-14 * size
    allowed = 1e-9 * losses + 2 * np.sqrt(losses) * rounding + rounding**2
    assert (np.abs(found_losses - losses) <= allowed).all()
    # To 1e-9 of the largest so far: an error, like the parameters, grows when they do.
    size = np.maximum.accumulate(np.abs(parameters).max(axis=1))[:, None]
    assert (np.abs(found - parameters) <= 1e-9 * size).all()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("off", [0.0, 1e-15, 1e-12, 1e-9, -1e-9, -1e-15])
@pytest.mark.parametrize("momentum", [1e-8, 0.5, 0.9, 0.999])
def test_roots_that_coincide_are_the_recurrence_itself(
    momentum: float, off: float, nesterov: bool
) -> None:
    """At and beside the curvature where both roots are one, in 50 digits."""
    if nesterov:
        twin = (1 - momentum) ** 2 / (1 + momentum) ** 2
    else:
        twin = (1 - momentum**0.5) ** 2
    q = twin * (1 + off)
    rule = Rule(1.0, momentum=momentum, nesterov=nesterov)
    left, walked = rule.powers(np.array([q]), np.arange(401))
    exact = recurrence(rule, q, 400)
    expected = np.array([float(e) for e in exact])
    np.testing.assert_allclose(left[0], expected, rtol=1e-9, atol=1e-15)
    moved = np.array([float((1 - e) / Decimal(q)) for e in exact])
    np.testing.assert_allclose(walked[0], moved, rtol=1e-9)


@pytest.mark.parametrize("q", [0.0, 1e-18, 1e-12, 1e-7, 1.0])
@pytest.mark.parametrize(
    ("kind", "momentum"),
    [("heavy", 0.0)]
    + [(k, m) for k in ("heavy", "nesterov", "dampened") for m in (0.3, 0.9, 0.999)],
)
def test_flat_directions_move_by_the_right_amount(
    kind: str, momentum: float, q: float
) -> None:
    """What is walked is right where what is left cannot be told from 1."""
    rule = Rule(
        1.0,
        momentum=momentum,
        nesterov=kind == "nesterov",
        dampening=0.5 if kind == "dampened" else 0.0,
    )
    _, walked = rule.powers(np.array([q]), np.array([0, 1, 2, 7, 200]))
    tiny = q or 1e-40  # what is walked of a distance of 1 in no curvature at all
    exact = recurrence(rule, tiny, 200)
    expected = [float((1 - exact[k]) / Decimal(tiny)) for k in (0, 1, 2, 7, 200)]
    np.testing.assert_allclose(walked[0], expected, rtol=1e-9)


def recurrence(rule: Rule, q: float, epochs: int) -> list[Decimal]:
    """torch.optim.SGD's rule, step by step, in 50 digits."""
    with localcontext(prec=50):
        β, τ, lr, h = (Decimal(v) for v in (rule.momentum, rule.dampening, rule.lr, q))
        e, velocity = Decimal(1), None
        left = [e]
        for _ in range(epochs):
            gradient = step = h * e
            if β:
                velocity = (
                    gradient if velocity is None else β * velocity + (1 - τ) * gradient
                )
                step = gradient + β * velocity if rule.nesterov else velocity
            e = e - lr * step
            left.append(e)
        return left


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.6, "dampening": 0.4},
        {"weight_decay": 0.3},
        {"momentum": 0.8, "weight_decay": 0.05},
    ],
    ids=str,
)
@pytest.mark.parametrize("standardize", [False, True])
def test_fit_takes_the_settings_of_sgd(
    options: dict[str, Any], standardize: bool
) -> None:
    random = np.random.default_rng(5)
    X = random.normal(size=(50, 2)) * [1, 3] + [4, -1]
    y = X @ [1.0, -2.0] + 7 + random.normal(size=50)
    fit = gl.fit(X, y, lr=0.02, epochs=80, standardize=standardize, seed=9, **options)
    generator = torch.Generator().manual_seed(9)
    start = gl.LinearRegression(2, dtype=torch.float64, generator=generator)
    mean, scale = (X.mean(0), X.std(0)) if standardize else (0.0, np.ones(2))
    losses, parameters = walk((X - mean) / scale, y, start, 0.02, 80, **options)
    slopes = parameters[:, :2] / scale
    assert fit.trace is not None
    np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-9)
    close(fit.trace.weights, slopes)
    close(fit.trace.intercepts, parameters[:, 2] - slopes @ (mean * np.ones(2)))
    assert options.items() <= fit.settings.items()
    assert fit.settings["optimizer"] == "SGD"


@pytest.mark.parametrize("standardize", [False, True])
def test_decay_ends_at_the_ridge_solution_and_says_so(standardize: bool) -> None:
    random = np.random.default_rng(6)
    X = random.normal(size=(40, 3)) * [1, 2, 0.5] + [3, 0, -2]
    y = X @ [1.0, 2.0, 3.0] + 5 + random.normal(size=40)
    decay = 0.2
    fit = gl.fit(
        X, y, lr=0.02, epochs=50_000, standardize=standardize, weight_decay=decay
    )
    mean, scale = (X.mean(0), X.std(0)) if standardize else (np.zeros(3), np.ones(3))
    ones = np.column_stack([(X - mean) / scale, np.ones(40)])
    inner = np.linalg.solve(ones.T @ ones * 2 / 40 + decay * np.eye(4), ones.T @ y / 20)
    slopes = inner[:3] / scale
    np.testing.assert_allclose(fit.slopes, slopes, rtol=1e-10)
    assert fit.intercept == pytest.approx(inner[3] - slopes @ mean, rel=1e-10)
    exact = gl.fit(X, y)
    loss = np.mean((ones @ inner - y) ** 2)
    c = fit.certificate
    assert c.gap == pytest.approx(loss - exact.certificate.optimum_loss, rel=1e-9)
    assert c.status == "not_converged"
    assert c.advice.startswith("weight_decay 0.2 draws the coefficients towards 0")
    assert c.epochs_needed is None


def test_decay_reaches_directions_without_curvature() -> None:
    """Wide data and a constant column: what no row sees decays all the same."""
    random = np.random.default_rng(7)
    X = random.normal(size=(3, 6))
    X[:, 2] = 4.0
    y = random.normal(size=3)
    start = gl.LinearRegression(6, dtype=torch.float64)
    for options in ({"weight_decay": 0.1}, {"weight_decay": 0.1, "momentum": 0.7}):
        fit = gl.fit(X, y, lr=0.01, epochs=200, start=start, **options)
        losses, parameters = walk(X, y, start, 0.01, 200, **options)
        assert fit.trace is not None
        np.testing.assert_allclose(fit.trace.losses, losses, rtol=1e-9)
        close(np.column_stack([fit.trace.weights, fit.trace.intercepts]), parameters)


def test_a_constant_column_keeps_its_start_without_decay() -> None:
    X = np.column_stack([np.arange(8.0), np.full(8, 3.0)])
    y = 2 * X[:, 0] + np.sin(X[:, 0])
    start = gl.LinearRegression(2, dtype=torch.float64)
    fit = gl.fit(X, y, lr=0.01, epochs=3000, start=start)
    _, parameters = walk(X, y, start, 0.01, 3000)
    np.testing.assert_allclose([*fit.slopes, fit.intercept], parameters[-1], rtol=1e-9)


LIMITS = [
    ({}, 2.0),
    ({"momentum": 0.9}, 2 * 1.9),
    ({"momentum": 0.9, "nesterov": True}, 3.8 / 2.8),
    ({"momentum": 0.6, "dampening": 0.5}, 2 * 1.6 / 0.5),
]


@pytest.mark.parametrize(("options", "reach"), LIMITS, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_the_stability_limit_is_where_the_loop_begins_to_diverge(
    options: dict[str, Any], reach: float, decay: float
) -> None:
    x, y = gl.sample_linear_data(60, seed=1)
    x = x * 3
    options = {**options, "weight_decay": decay}
    steepest = np.linalg.eigvalsh(
        2 / 60 * np.array([[x @ x, x.sum()], [x.sum(), 60.0]])
    )[-1]
    limit = reach / (steepest + decay)
    start = gl.LinearRegression(dtype=torch.float64)
    with pytest.raises(gl.DivergenceError, match="stability limit is") as caught:
        gl.fit(x, y, lr=1.0001 * limit, epochs=5, start=start, **options)
    assert caught.value.lr_limit == pytest.approx(limit, rel=1e-9)
    fit = gl.fit(x, y, lr=0.99 * limit, epochs=5, start=start, **options)
    assert fit.settings["lr_limit"] == pytest.approx(limit, rel=1e-9)
    above, _ = walk(x[:, None], y, start, 1.02 * limit, 600, **options)
    below, _ = walk(x[:, None], y, start, 0.98 * limit, 600, **options)
    assert above[-1] > 1e6 * below[0]
    assert below[-1] < below[0]


def test_divergence_names_the_settings() -> None:
    x, y = gl.sample_linear_data(60, seed=1)
    with pytest.raises(
        gl.DivergenceError,
        match=r"lr 99 diverges here: with Nesterov's momentum 0.9, weight_decay 0.1 "
        r"the stability limit is [\d.]+; give less, such as",
    ):
        gl.fit(x, y, lr=99, momentum=0.9, nesterov=True, weight_decay=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.5},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "dampening": 0.3},
        {"weight_decay": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("spread", [1.5, 30.0, 1e4])
def test_auto_takes_the_best_lr_for_the_momentum(
    options: dict[str, Any], spread: float
) -> None:
    rule = Rule(0.0, **options)
    best = rule.best_lr(spread, 1.0)
    h = np.array([spread, 1.0])
    rate = dataclasses.replace(rule, lr=best).shrinking(h)
    assert rate < 1
    for factor in (0.9, 0.99, 0.999, 1.00001, 1.001, 1.01, 1.1):
        other = dataclasses.replace(rule, lr=best * factor).shrinking(h)
        assert rate <= other + 1e-6  # so flat: a hair below the limit on purpose


def test_auto_with_momentum_converges_faster() -> None:
    random = np.random.default_rng(2)
    X = random.normal(size=(80, 2)) @ [[1.0, 0.98], [0.0, 0.05]]
    y = X @ [1.0, 2.0] + random.normal(size=80)
    plain = gl.fit(X, y, method="gd")
    heavy = gl.fit(X, y, method="gd", momentum=0.9)
    eager = gl.fit(X, y, method="gd", momentum=0.9, nesterov=True)
    assert plain.certificate.status == "converged"
    for fit in (heavy, eager):
        assert fit.certificate.status == "converged"
        assert 5 * fit.settings["epochs"] < plain.settings["epochs"]
        np.testing.assert_allclose(fit.slopes, gl.fit(X, y).slopes, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": -0.1}, "Invalid momentum value: -0.1"),
        ({"momentum": 1.0}, "Invalid momentum value: 1: give 0 or more, and less"),
        ({"momentum": "much"}, "momentum is 'much': give a finite number"),
        ({"weight_decay": -1.0}, "Invalid weight_decay value: -1"),
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero damp"),
        (
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "Nesterov momentum requires a momentum and zero damp",
        ),
        ({"nesterov": 1, "momentum": 0.5}, "nesterov is 1: give True or False"),
        ({"dampening": 0.5}, "dampening is given without momentum"),
        ({"dampening": 1.0, "momentum": 0.5}, "dampening is 1: give less than 1"),
        ({"optimizer_options": {"momentun": 0.5}}, "did you mean 'momentum'"),
        ({"optimizer_options": {"foreach": True}}, "no setting 'foreach': it has mom"),
        (
            {"optimizer_options": {"momentum": 0.5}, "momentum": 0.5},
            "momentum given twice",
        ),
        ({"optimizer_options": {"lr": 0.5}}, "give lr itself"),
        ({"optimizer_options": 3}, "optimizer_options is 3: give a dict"),
        ({"optimizer": "Adma"}, "torch.optim has no optimiser 'Adma': did you mean"),
        ({"optimizer": torch.optim.Adam}, "optimizer is a type: give the name"),
        ({"optimizer": "Adam", "lr": "auto"}, "lr='auto' is for SGD: give Adam a num"),
        ({"optimizer": "Adam", "momentum": 0.5}, "torch.optim.Adam refuses"),
        (
            {"optimizer": "RMSprop", "optimizer_options": {"betas": (0.1, 0.2)}},
            "torch.optim.RMSprop refuses",
        ),
        ({"optimizer": "SparseAdam"}, "torch.optim.SparseAdam refuses"),
        ({"method": "exact", "momentum": 0.5}, "no use for momentum"),
        ({"method": "exact", "optimizer": "SGD"}, "no use for optimizer"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    x, y = gl.sample_linear_data(20, seed=0)
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(x, y, **options)


def test_momentum_alone_means_descent() -> None:
    x, y = gl.sample_linear_data(20, seed=0)
    assert gl.fit(x, y, momentum=0.5).method == "gd"
    assert gl.fit(x, y, optimizer="sgd").settings["optimizer"] == "SGD"
    assert gl.fit(x, y, optimizer_options={"momentum": 0.5}).settings["momentum"] == 0.5
    assert gl.fit(x, y, momentum=0.0, nesterov=False).method == "exact"


def test_momentum_for_a_million_epochs() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(
        x, y, lr=1e-7, epochs=1_000_000, standardize=False, momentum=0.9, seed=0
    )
    trace = fit.trace
    assert trace is not None
    assert trace.epochs[-1] == 1_000_000
    assert np.isfinite(trace.losses).all()
    # After the start-up, momentum is a rate ten times as large.
    plain = gl.fit(x, y, lr=1e-6, epochs=1_000_000, standardize=False, seed=0)
    np.testing.assert_allclose(fit.slopes, plain.slopes, rtol=1e-4)


# Other optimisers, on the quadratic of the state


OTHERS: list[tuple[str, float | None, dict[str, Any]]] = [
    ("Adam", 0.05, {}),
    ("Adam", None, {"betas": (0.8, 0.99), "amsgrad": True}),
    ("AdamW", 0.05, {"weight_decay": 0.1}),
    ("NAdam", 0.02, {}),
    ("RAdam", 0.02, {}),
    ("Adamax", 0.05, {}),
    ("Adadelta", 1.0, {}),
    ("Adagrad", 0.3, {"weight_decay": 0.01}),
    ("ASGD", 0.01, {}),
    ("RMSprop", 0.01, {"momentum": 0.5, "centered": True}),
    ("Rprop", 0.01, {}),
    ("Adafactor", 0.05, {}),
    ("LBFGS", 0.1, {"max_iter": 3}),
    ("LBFGS", 1.0, {"max_iter": 5, "line_search_fn": "strong_wolfe"}),
]


@pytest.mark.parametrize(("name", "lr", "options"), OTHERS, ids=str)
@pytest.mark.parametrize("d", [1, 3])
def test_other_optimisers_are_their_loop_over_the_data(
    name: str, lr: float | None, options: dict[str, Any], d: int
) -> None:
    random = np.random.default_rng(8)
    X = random.normal(size=(70, d)) * [1.0, 3.0, 0.5][:d] + [2.0, 0.0, -1.0][:d]
    y = X.sum(1) * 2 + 3 + random.normal(size=70)
    start = gl.LinearRegression(d, dtype=torch.float64)
    # Adafactor divides by small differences, and magnifies rounding after 40 epochs.
    epochs = {"LBFGS": 4, "Adafactor": 20}.get(name, 60)
    fit = gl.fit(
        X,
        y,
        optimizer=name,
        lr=lr,
        epochs=epochs,
        start=start,
        optimizer_options=options,
    )
    model = gl.LinearRegression(d, dtype=torch.float64)
    model.load_state_dict(start.state_dict())
    inputs, targets = (X[:, 0], y) if d == 1 else (X, y[:, None])
    steps = list(
        gl.descend(
            model, inputs, targets, optimizer=name, lr=lr, epochs=epochs, **options
        )
    )
    assert fit.trace is not None
    assert fit.trace.epochs.tolist() == list(range(epochs + 1))
    np.testing.assert_allclose(fit.trace.losses[:-1], [s.loss for s in steps], 1e-9)
    weights = np.array([np.ravel(s.weight) for s in steps])
    close(fit.trace.weights[1:], weights)
    close(fit.trace.intercepts[1:], np.array([s.bias for s in steps]))
    assert fit.settings["optimizer"] == name
    assert fit.settings["interrupted"] is False
    assert fit.method == "gd"


def test_other_optimisers_on_standardised_features() -> None:
    random = np.random.default_rng(9)
    X = random.normal(size=(50, 2)) * [100, 0.1] + [500, 0]
    y = X @ [0.1, 20.0] + random.normal(size=50)
    start = gl.LinearRegression(
        2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    fit = gl.fit(X, y, optimizer="adam", lr=0.1, epochs=30, standardize=True, seed=3)
    mean, scale = X.mean(0), X.std(0)
    *_, last = gl.descend(
        start, (X - mean) / scale, y[:, None], optimizer="Adam", lr=0.1, epochs=30
    )
    slopes = last.weight[0] / scale
    np.testing.assert_allclose(fit.slopes, slopes, rtol=1e-9)
    assert fit.intercept == pytest.approx(last.bias - slopes @ mean, rel=1e-9)
    assert fit.settings["optimizer"] == "Adam"


def test_other_optimisers_go_on_until_converged() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, optimizer="LBFGS")
    assert fit.certificate.status == "converged"
    assert fit.settings["epochs"] < 20
    adam = gl.fit(x, y, optimizer="Adam", lr=0.05)
    assert adam.certificate.status == "converged"
    assert adam.coefficients["x"] == pytest.approx(fit.coefficients["x"], rel=1e-3)
    short = gl.fit(x, y, optimizer="Adam", lr=0.01, epochs=5)
    assert short.certificate.status == "not_converged"
    assert "more epochs" not in short.certificate.advice
    assert short.certificate.advice.endswith("the optimum itself from method='exact'.")


def test_decay_of_another_optimiser_is_named() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    options = {"weight_decay": 0.5}
    fit = gl.fit(x, y, optimizer="Adam", lr=0.05, epochs=800, **options)
    assert fit.certificate.status == "not_converged"
    assert fit.certificate.advice.startswith("weight_decay 0.5 draws the coefficients")


def test_other_optimisers_that_run_away_are_stopped() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    with pytest.raises(
        gl.DivergenceError, match=r"ASGD with lr 50 diverges: the loss is .* at epoch"
    ):
        gl.fit(x, y, optimizer="ASGD", lr=50.0, epochs=1000)


def test_ctrl_c_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    whole = gl.fit(x, y, optimizer="Adam", lr=0.01, epochs=100)
    steps = 0
    step = torch.optim.Adam.step

    def pressed(self: torch.optim.Adam, closure: Any = None) -> Any:
        nonlocal steps
        steps += 1
        if steps == 42:
            step(self, closure)  # half of an epoch is not to be seen
            signal.raise_signal(signal.SIGINT)
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", pressed)
    with hearing_ctrl_c():
        fit = gl.fit(x, y, optimizer="Adam", lr=0.01, epochs=100)
    assert fit.settings["epochs"] == 41
    assert fit.settings["interrupted"] is True
    assert "stopped by Ctrl-C after 41 epochs; what they learned is kept" in fit.notes
    assert whole.trace is not None
    assert fit.coefficients["x"] == whole.trace.weights[41, 0]


def test_long_walks_keep_a_selection_with_both_ends() -> None:
    record = Record(10)
    for epoch in range(104):
        record.add(epoch, float(epoch), torch.zeros(2).double(), -1.0, epoch == 51)
    epochs, gaps, inner, seen = record.value()
    assert epochs.tolist() == [0, 16, 32, 48, 51, 64, 80, 96, 103]  # 51 is the best
    assert gaps.tolist() == epochs.tolist()
    assert inner.shape == (9, 2)
    assert seen.tolist() == [-1.0] * 9


# Fit.at


def test_the_model_at_any_epoch() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, lr=0.05, epochs=100, momentum=0.5, seed=1)
    for epoch in (0, 1, 57, 100, 350):
        there = fit.at(epoch)
        same = gl.fit(x, y, lr=0.05, epochs=epoch, momentum=0.5, seed=1)
        assert there.coefficients == same.coefficients
        assert there.certificate == same.certificate
        assert there.metrics == same.metrics
        assert there.settings == same.settings
        assert there.trace is not None
        assert there.trace.epochs.tolist() == list(range(epoch + 1))
    assert fit.at(10).at(100).coefficients == fit.coefficients


def test_the_model_at_a_recorded_epoch_of_another_optimiser() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, optimizer="Adam", lr=0.05, epochs=30)
    there = fit.at(12)
    assert fit.trace is not None
    assert there.coefficients["x"] == fit.trace.weights[12, 0]
    assert there.certificate.loss == pytest.approx(fit.trace.losses[12], rel=1e-12)
    assert there.settings["epochs"] == 12
    assert there.trace is not None
    assert len(there.trace) == 13
    with pytest.raises(
        gl.DataError,
        match="epoch 31 is not among those this optimiser recorded: the last one is 30",
    ):
        fit.at(31)


def test_the_model_at_an_epoch_that_was_not_recorded() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, optimizer="Adam", lr=0.001, epochs=10_005)
    with pytest.raises(gl.DataError, match="the nearest are 5,000 and 5,002"):
        fit.at(5_001)
    assert fit.at(5_000).settings["epochs"] == 5_000


def test_the_model_at_an_epoch_needs_a_descent_and_an_epoch() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    with pytest.raises(gl.DataError, match="an exact fit has no epochs: descend"):
        gl.fit(x, y).at(3)
    fit = gl.fit(x, y, lr=0.1, epochs=3)
    with pytest.raises(gl.UsageError, match="epoch is -1: give 0 or more"):
        fit.at(-1)
    with pytest.raises(gl.UsageError, match="epoch is 1.5: give a whole number"):
        fit.at(1.5)  # type: ignore[arg-type]


def test_a_loaded_fit_knows_the_epochs_in_its_file(tmp_path: Any) -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, lr=0.05, epochs=20_000, seed=1)
    fit.save(tmp_path / "line.safetensors")
    loaded = gl.load(tmp_path / "line.safetensors")
    there, same = loaded.at(5), fit.at(5)
    assert there.coefficients == same.coefficients
    assert there.intercept == same.intercept
    np.testing.assert_array_equal(there.predict(x), same.predict(x))
    c, known = there.certificate, same.certificate
    assert c.gap == pytest.approx(known.gap, rel=1e-9)
    assert c.relative_gap == pytest.approx(known.relative_gap, rel=1e-9)
    assert c.status == known.status == "not_converged"
    assert math.isnan(c.gradient_norm)
    assert there.metrics.r2 == pytest.approx(same.metrics.r2, rel=1e-9)
    assert there.metrics.rmse == pytest.approx(same.metrics.rmse, rel=1e-12)
    assert math.isnan(there.metrics.mae)
    assert there.settings["epochs"] == 5
    assert loaded.at(20_000) is loaded
    with pytest.raises(
        gl.DataError,
        match=r"epoch 19,999 is not among those the file of the model holds: the "
        r"nearest are 19,9\d\d and 20,000",
    ):
        loaded.at(19_999)


def test_a_pickled_fit_leaves_the_data_behind() -> None:
    x, y = gl.sample_linear_data(100, seed=0)
    fit = gl.fit(x, y, lr=0.05, epochs=50, seed=1)
    copied = pickle.loads(pickle.dumps(fit))
    assert copied.coefficients == fit.coefficients
    assert copied.at(7).coefficients == fit.at(7).coefficients
    with pytest.raises(gl.DataError, match="epoch 51 is not among those"):
        copied.at(51)
