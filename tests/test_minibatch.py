"""Minibatch descent: the fast path is the plain loop, and the plain loop is torch's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import gradline as gl
import gradline.plans
from gradline.affine import AffineSteps
from gradline.objective import Squared
from gradline.recurrence import Rule
from gradline.schedules import as_schedule
from gradline.shuffle import BatchStream
from gradline.stepping import LoopSteps
from helpers import TOLERANCE

Data = tuple[Any, Any]


def data(rows: int = 300, d: int = 3, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, d)) * np.arange(1, d + 1) + 0.5
    y = X @ random.normal(size=d) + 2 + random.normal(size=rows)
    return X, y


RULES = [
    {},
    {"momentum": 0.8},
    {"momentum": 0.8, "dampening": 0.3},
    {"momentum": 0.8, "nesterov": True},
]


def both(
    X: Any,
    y: Any,
    rule: dict[str, Any],
    *,
    size: int = 32,
    schedule: Any = None,
    weights: Any = None,
    intercept: bool = True,
    shuffle: bool = True,
    since: int = 7,
    scaled: bool = False,
    epochs: int = 3,
    lr: float = 0.01,
) -> list[Any]:
    """The fast path and the plain loop on the same batches."""
    from gradline.prepare import prepare

    prepared = prepare(X, y, weights=weights, intercept=intercept)
    found = []
    for kind in (AffineSteps, LoopSteps):
        stream = BatchStream(
            prepared.source,
            prepared.design,
            size,
            shuffle=shuffle,
            seed=3,
            shift=X.mean(0) if scaled else None,
            scale=X.std(0) if scaled else None,
        )
        start = torch.arange(1.0, X.shape[1] + 2, dtype=torch.float64)
        start[-1] *= intercept
        plan = as_schedule(schedule)
        steps: Any
        if kind is AffineSteps:
            steps = AffineSteps(
                stream, start, Rule(lr, **rule), plan, epochs, intercept
            )
        else:
            steps = LoopSteps(
                stream, start, Squared(), "SGD", lr, rule, plan, epochs, intercept
            )
        steps.restart_average(since)
        turns = list(steps.turns(epochs))
        assert [t.epoch for t in turns if t.last] == list(range(1, epochs + 1))
        assert sum(t.rows for t in turns) == epochs * len(y)
        found.append((steps.parameters(), steps.average()))
    return found


def assert_same(found: list[Any]) -> None:
    (fast, fast_mean), (plain, plain_mean) = found
    for one, other in ((fast, plain), (fast_mean, plain_mean)):
        torch.testing.assert_close(one, other, rtol=TOLERANCE["float64"], atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("schedule", [None, "cosine", "StepLR:step_size=1,gamma=0.5"])
@pytest.mark.parametrize("d", [3, 25])
def test_the_fast_path_is_the_plain_loop(
    rule: dict[str, Any], decay: float, schedule: Any, d: int
) -> None:
    X, y = data(d=d)  # 300 rows: the last of the batches of 32 is a short one
    lr = 0.01 if d == 3 else 1e-5
    rule = rule | ({"weight_decay": decay} if decay else {})
    assert_same(both(X, y, rule, schedule=schedule, lr=lr))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("d", [3, 25])
@pytest.mark.parametrize(
    ("weighted", "intercept", "shuffle", "scaled"),
    list(itertools.product([True, False], repeat=4)),
)
def test_with_weights_and_without_intercept(
    rule: dict[str, Any],
    d: int,
    weighted: bool,
    intercept: bool,
    shuffle: bool,
    scaled: bool,
) -> None:
    X, y = data(d=d)
    weights = np.random.default_rng(1).uniform(0, 3, len(y)) if weighted else None
    found = both(
        X,
        y,
        rule,
        weights=weights,
        intercept=intercept,
        shuffle=shuffle,
        scaled=scaled,
        lr=0.01 if d == 3 or scaled else 1e-5,
    )
    assert_same(found)


@pytest.mark.parametrize("size", [1, 7, 300, 1000])
def test_batches_of_any_size(size: int) -> None:
    X, y = data()
    assert_same(both(X, y, {"momentum": 0.5}, size=size, lr=0.001))


def by_hand(X: Any, y: Any, size: int, epochs: int, lr: float, seed: int) -> Any:
    """The loop of the tutorials: TensorDataset, DataLoader, Linear, SGD."""
    from torch.utils.data import DataLoader, TensorDataset

    model = torch.nn.Linear(X.shape[1], 1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(y))
        rows = TensorDataset(torch.from_numpy(X[order]), torch.from_numpy(y[order]))
        for part, target in DataLoader(rows, batch_size=size):
            loss = torch.nn.functional.mse_loss(model(part)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return np.append(model.weight.detach().numpy()[0], model.bias.detach().numpy())


def zeros(d: int) -> gl.LinearRegression:
    model = gl.LinearRegression(d, dtype=torch.float64)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    return model


def test_it_is_the_loop_with_a_data_loader() -> None:
    X, y = data()
    fit = gl.fit(
        X,
        y,
        batch_size=32,
        lr=0.005,
        momentum=0.9,
        epochs=4,
        seed=5,
        start=zeros(3),
    )
    wanted = by_hand(X, y, 32, 4, 0.005, 5)
    found = np.append(fit.slopes, fit.intercept)
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE["float64"])
    assert fit.method == "sgd"
    assert fit.settings["batch_size"] == 32
    assert fit.settings["average"] is False
    predicted = ((y - fit.predict(X)) ** 2).mean()
    assert fit.trace is not None
    assert fit.trace.losses[-1] == pytest.approx(predicted, rel=1e-9)
