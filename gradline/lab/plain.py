"""The plain PyTorch loop of a setting, as the lesson has it, and what it proves.

Nothing of gradline is in the loop: a module, a loss, an optimiser, five steps. What a
page shows of a run, in closed form or walked on the state, is held against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradline.data import Array
from gradline.errors import UsageError
from gradline.lab.bench import Bench
from gradline.lab.goals import Goal, tensors
from gradline.lab.settings import Setting
from gradline.lab.walks import options_of
from gradline.lab.words import counted

#: Steps that are really run, at the most, and numbers that they look at.
MOST_PROOF = 2_000
MOST_NUMBERS = 1_000_000_000

#: Digits that a float64 has.
MOST_DIGITS = 15


def plain_loop(
    bench: Bench, goal: Goal, setting: Setting, start: Tensor
) -> Iterator[Array]:
    """Raw slopes and intercept after each step, (d + 1,).

    Args:
        bench: the data, all of them in memory.
        goal: the loss.
        setting: all else.
        start: raw slopes and intercept, (d + 1,).
    """
    x, y = tensors(bench.rows, bench, setting.standardize)
    inner = bench.loss(setting.standardize)
    model = nn.Linear(x.shape[1], 1, dtype=torch.float64)
    first = inner.inward(start)
    with torch.no_grad():
        model.weight.copy_(first[None, :-1])
        model.bias.copy_(first[-1:])
    loss_fn = goal.module()
    kind = getattr(torch.optim, setting.optimizer)
    optimizer = kind(model.parameters(), lr=setting.lr, **options_of(setting))
    for rows in _batches(len(y), setting):
        prediction = model(x[rows])[:, 0]
        loss = loss_fn(prediction, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        now = torch.cat([model.weight.detach()[0], model.bias.detach()])
        yield inner.raw(now[None])[0].numpy()


def _batches(count: int, setting: Setting) -> Iterator[Any]:
    """Which rows each step sees; an epoch has its own permutation."""
    epoch = 0
    while True:
        epoch += 1
        size = setting.batch_size or count
        if size >= count:
            yield slice(None)
            continue
        order = np.random.default_rng([setting.seed, epoch]).permutation(count)
        yield from torch.from_numpy(order).split(size)


def prove(
    bench: Bench,
    goal: Goal,
    setting: Setting,
    start: Tensor,
    step: int,
    shown: Callable[[int], Array],
    go_on: Callable[[], bool],
) -> dict[str, Any]:
    """Run the plain loop, and compare.

    Args:
        bench: the data.
        goal: the loss.
        setting: of the run.
        start: raw slopes and intercept, (d + 1,).
        step: how far, at the most.
        shown: raw slopes and intercept that the page shows at a step, (d + 1,).
        go_on: whether anybody still wants it.

    Raises:
        UsageError: the rows are not all in memory, or too many.
    """
    if not bench.rows.whole:
        raise UsageError(
            f"the data have {bench.survey.tally.rows:,} rows, and the plain loop is "
            "run on up to 20,000 that are in memory: choose a smaller file"
        )
    steps = min(step, MOST_PROOF, MOST_NUMBERS // max(1, bench.rows.X.size))
    walked = [start.numpy()]
    for now in plain_loop(bench, goal, setting, start) if steps else ():
        walked.append(now)
        if len(walked) > steps or not go_on():
            break
    done, now = len(walked) - 1, walked[-1]
    there = shown(done)
    with np.errstate(all="ignore"):
        size = max(float(np.abs(there).max()), 1e-300)
        difference = float(np.abs(now - there).max()) / size
    return {
        "steps": done,
        "difference": difference,
        "sentence": _sentence(done, step, difference),
    }


def _sentence(done: int, step: int, difference: float) -> str:
    head = f"I ran the plain PyTorch loop for {counted(done, 'step')}"
    what = "weight and bias"
    where = "what you see" if done == step else f"the run at step {done:,}"
    if difference == 0:
        return f"{head}: {what} are those of {where}, to the last digit."
    if not math.isfinite(difference) or difference >= 0.1:
        return f"{head}: {what} do not agree with {where}."
    digits = min(MOST_DIGITS, math.floor(-math.log10(difference)))
    return f"{head}: {what} agree with {where} to {counted(digits, 'digit')}."
