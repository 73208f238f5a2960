"""Walks that no formula knows: each yields the parameters after every step.

An optimiser other than SGD walks on the state (quadratic.py) where the loss is squared
and the batch all rows. Minibatches, and losses that are not squared, are walked by the
five-step loop (descent.py) on rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array
from gradline.descent import descend
from gradline.lab.bench import Bench
from gradline.lab.goals import Goal, tensors
from gradline.lab.settings import MOST_LOOP_STEPS, Setting
from gradline.model import LinearRegression
from gradline.quadratic import Stepping


class Place(NamedTuple):
    """Where a step led: raw slopes and intercept, (d + 1,), and the loss it saw."""

    parameters: Array
    seen: float


def options_of(setting: Setting) -> dict[str, Any]:
    """What the optimiser of a setting is given beside the learning rate."""
    options: dict[str, Any] = {"weight_decay": setting.weight_decay}
    if setting.optimizer == "SGD":
        options["momentum"] = setting.momentum
        options["nesterov"] = setting.nesterov and setting.momentum > 0
    return options


def on_state(bench: Bench, setting: Setting, start: Tensor) -> Iterator[Place]:
    """Any optimiser on the squared loss over all rows."""
    inner = bench.loss(setting.standardize)
    stepping = Stepping(
        inner, start, setting.optimizer, setting.lr, options_of(setting)
    )
    yield Place(start.numpy(), float("nan"))
    steps = stepping.steps()
    next(steps)
    for _, here in steps:
        yield Place(inner.raw(here[None])[0].numpy(), float("nan"))


def on_rows(
    bench: Bench, goal: Goal, setting: Setting, start: Tensor
) -> Iterator[Place]:
    """The five-step loop on the rows in memory."""
    inner = bench.loss(setting.standardize)
    X, y = tensors(bench.rows, bench, setting.standardize)
    model = LinearRegression(X.shape[1], dtype=torch.float64)
    first = inner.inward(start)
    with torch.no_grad():
        model.weight.copy_(first[None, :-1])
        model.bias.copy_(first[-1:])
    batches: dict[str, Any] = {}
    if setting.batch_size:
        batches = {"batch_size": setting.batch_size, "seed": setting.seed}
    yield Place(start.numpy(), float("nan"))
    for step in descend(
        model,
        X[:, 0] if X.shape[1] == 1 else X,
        y if X.shape[1] == 1 else y[:, None],
        lr=setting.lr,
        epochs=MOST_LOOP_STEPS,
        optimizer=setting.optimizer,
        loss=goal.module(),
        **batches,
        **options_of(setting),
    ):
        weight, bias = step.parameters["weight"], step.parameters["bias"]
        now = torch.cat([weight.reshape(-1), bias.reshape(-1)])
        yield Place(inner.raw(now[None])[0].numpy(), step.loss)


def batches_in(bench: Bench, setting: Setting) -> int:
    """Steps in an epoch."""
    if not setting.batch_size:
        return 1
    return max(1, -(-len(bench.rows.y) // setting.batch_size))


def warm() -> None:
    """Take the first step of an optimiser, which imports a second's worth of torch."""
    X, y = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    model = LinearRegression(dtype=torch.float64)
    for _ in zip(descend(model, X, y, epochs=1), repeat(np.nan), strict=False):
        pass
