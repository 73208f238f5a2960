"""Every epoch of gradient descent: the plain five-step loop against the closed form.

The loop starts where gradline's descent starts, and keeps what its trace keeps: every
loss and weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import OURS, Report, Rival, close, report
from torch import nn

import gradline as gl
from gradline.conclude import path_from, starting_point
from gradline.path import raw_bowl
from gradline.recurrence import Rule

EPOCHS = 1000
LR = 0.1

#: Losses before each epoch; slopes and intercepts after it.
Answer = tuple[Any, Any, Any]


def plain(
    x: torch.Tensor, y: torch.Tensor, start: tuple[float, float], epochs: int
) -> Answer:
    """The loop as anyone writes it."""
    model = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.constant_(model.weight, start[0])
    nn.init.constant_(model.bias, start[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    inputs, targets = x[:, None], y[:, None]
    losses, weights, biases = [], [], []
    for _ in range(epochs):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        weights.append(model.weight.item())
        biases.append(model.bias.item())
    return losses, weights, biases


def whole(x: Any, y: Any) -> gl.Fit:
    return gl.fit(x, y, method="gd", lr=LR, epochs=EPOCHS, standardize=False)


def answer(x: Any, y: Any) -> Answer:
    """`gl.fit` with its trace, as the loop has it."""
    trace = whole(x, y).trace
    assert trace is not None
    losses, weights, intercepts = trace.losses, trace.weights, trace.intercepts
    return losses[:-1], weights[1:, 0], intercepts[1:]


def from_state(fit: gl.Fit) -> Callable[[], Answer]:
    """The path alone: from what one pass over the data leaves to every epoch."""
    survey = fit._origin.survey

    def path() -> Answer:
        bowl = raw_bowl(survey.spectrum, survey.mean)
        first = starting_point(survey, None, 0, False)
        found = path_from(survey, bowl, Rule(LR), first)
        losses, parameters = found.trace(np.arange(EPOCHS + 1))
        return losses[:-1], parameters[1:, 0], parameters[1:, 1]

    return path


def agree(name: str, ours: Answer, theirs: Answer) -> None:
    """As far as the loop went."""
    epochs = len(theirs[0])
    judge = close(1e-9)
    judge(name, tuple(part[:epochs] for part in ours), theirs)


def lesson(out: Report, n: int) -> None:
    x, y = gl.sample_linear_data(n, seed=0)
    fit = whole(x, y)
    assert fit.trace is not None
    start = float(fit.trace.weights[0, 0]), float(fit.trace.intercepts[0])
    data = torch.from_numpy(x), torch.from_numpy(y)
    work = f"n = {n:,}, 1 feature, {EPOCHS:,} epochs, every loss and weight"
    loop = Rival(lambda: plain(*data, start, EPOCHS), goal=500)
    ours = {"gl.fit whole": lambda: answer(x, y), "the path alone": from_state(fit)}
    for name, run in ours.items():
        rivals = {OURS: Rival(run), "the plain loop": loop}
        out.race(f"{work}: {name}", rivals, rounds=7, agree=agree)


def many_rows(out: Report, n: int) -> None:
    x, y = gl.sample_linear_data(n, seed=0)
    trace = whole(x, y).trace
    assert trace is not None
    start = float(trace.weights[0, 0]), float(trace.intercepts[0])
    data = torch.from_numpy(x), torch.from_numpy(y)
    timed = 10
    rivals = {
        OURS: Rival(lambda: answer(x, y)),
        f"the plain loop, {timed} epochs x {EPOCHS // timed}": Rival(
            lambda: plain(*data, start, timed), goal=1000, scale=EPOCHS / timed
        ),
    }
    work = f"n = {n:,}, 1 feature, {EPOCHS:,} epochs, every loss and weight"
    out.race(work, rivals, rounds=3, agree=agree)


def main() -> None:
    with report("Every epoch of a descent, against the plain five-step loop.") as out:
        lesson(out, 100)
        many_rows(out, 10_000 if out.small else 10_000_000)


if __name__ == "__main__":
    main()
