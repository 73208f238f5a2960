"""The classic mistakes, each with what happens, how one notices, and the fix.

A mistake is a setting that shows it. Where the code itself is wrong there is a loop in
plain PyTorch with the mistake in it, and that is what runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradline.lab.bench import Bench
from gradline.lab.goals import tensors
from gradline.lab.settings import Setting
from gradline.lab.walks import Place
from gradline.lab.words import number

#: The five steps as they should be.
CODE = (
    "prediction = model(x)",
    "loss = loss_fn(prediction, y)",
    "optimizer.zero_grad()",
    "loss.backward()",
    "optimizer.step()",
)

#: Rows of the loop whose errors are every prediction against every target.
MOST_PAIRED = 500

Walk = Callable[[Bench, Setting, Tensor], Iterator[Place]]

#: What a run knows of itself, for the texts: see verdict.facts_of.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Mistake:
    """A classic mistake.

    Attributes:
        name: in a setting.
        title: on the page.
        short: one line of what is done.
        setting: what shows it; the rest of the setting is as it is at first.
        what: what happens, with the numbers of the run in it.
        notice: how one would notice.
        fix: what to do.
        change: the setting that is right.
        code: the lines, and
        wrong: which of them is wrong.
        walk: the loop with the mistake in it; None where the code is right.
        taken: what of `change` is known from the run alone: settings and their facts.
    """

    name: str
    title: str
    short: str
    setting: dict[str, Any]
    what: Callable[[Facts], str]
    notice: str
    fix: str
    change: dict[str, Any]
    code: tuple[str, ...]
    wrong: int
    walk: Walk | None = None
    taken: dict[str, str] = field(default_factory=dict)

    def offered(self) -> dict[str, Any]:
        """For the gallery."""
        return {
            "name": self.name,
            "title": self.title,
            "short": self.short,
            "setting": {**self.setting, "mistake": self.name},
        }

    def told(self, facts: Facts) -> dict[str, Any]:
        """For a page that looks at it."""
        found = {name: facts[fact] for name, fact in self.taken.items()}
        found = {name: value for name, value in found.items() if value is not None}
        return {
            "name": self.name,
            "title": self.title,
            "what": self.what(facts),
            "notice": self.notice,
            "fix": self.fix,
            "change": {"mistake": "", **self.change, **found},
            "facts": facts,
            "code": list(self.code),
            "wrong": self.wrong,
        }


def _instead(line: int, text: str) -> tuple[str, ...]:
    return tuple(text if i == line else code for i, code in enumerate(CODE))


def _parts(
    bench: Bench, setting: Setting, start: Tensor
) -> tuple[Tensor, Tensor, nn.Linear, torch.optim.SGD]:
    """x (n, d), y (n,), the model at the start, and its optimiser."""
    X, y = tensors(bench.rows, bench, setting.standardize)
    model = nn.Linear(X.shape[1], 1, dtype=torch.float64)
    first = bench.loss(setting.standardize).inward(start)
    with torch.no_grad():
        model.weight.copy_(first[None, :-1])
        model.bias.copy_(first[-1:])
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=setting.lr,
        momentum=setting.momentum,
        nesterov=setting.nesterov and setting.momentum > 0,
        weight_decay=setting.weight_decay,
    )
    return X, y, model, optimizer


def _place(bench: Bench, setting: Setting, model: nn.Linear, seen: float) -> Place:
    inner = torch.cat([model.weight.detach()[0], model.bias.detach()])
    raw = bench.loss(setting.standardize).raw(inner[None].double())
    return Place(raw[0].numpy(), seen)


def no_zero_grad(bench: Bench, setting: Setting, start: Tensor) -> Iterator[Place]:
    """Backward adds to the gradients of all steps before."""
    x, y, model, optimizer = _parts(bench, setting, start)
    loss_fn = nn.MSELoss()
    yield Place(start.numpy(), math.nan)
    while True:
        prediction = model(x)[:, 0]
        loss = loss_fn(prediction, y)
        # optimizer.zero_grad() is missing here.
        loss.backward()
        optimizer.step()
        yield _place(bench, setting, model, loss.item())


def shapes(bench: Bench, setting: Setting, start: Tensor) -> Iterator[Place]:
    """Predictions (n, 1) minus targets (n,) are n × n errors."""
    x, y, model, optimizer = _parts(bench, setting, start)
    x, y = x[:MOST_PAIRED], y[:MOST_PAIRED]
    yield Place(start.numpy(), math.nan)
    while True:
        prediction = model(x)  # (n, 1)
        loss = ((prediction - y) ** 2).mean()  # over (n, n)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield _place(bench, setting, model, loss.item())


def float32(bench: Bench, setting: Setting, start: Tensor) -> Iterator[Place]:
    """x becomes float32 with its offset still in it, and only then is centred."""
    X, y = torch.from_numpy(bench.rows.X), torch.from_numpy(bench.rows.y)
    x = X.float()  # the mistake: float32 has 24 bits, and the offset takes them all
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    x = (x - mean) / scale
    y = y.float()
    model = nn.Linear(x.shape[1], 1)
    inner = bench.loss(setting.standardize).inward(start)
    with torch.no_grad():
        model.weight.copy_(inner[None, :-1])
        model.bias.copy_(inner[-1:])
    optimizer = torch.optim.SGD(model.parameters(), lr=setting.lr)
    loss_fn = nn.MSELoss()

    def raw() -> Any:
        slopes = model.weight.detach()[0].double() / scale.double()
        level = model.bias.detach().double() - slopes @ mean.double()
        return torch.cat([slopes, level]).numpy()

    yield Place(raw(), math.nan)
    while True:
        prediction = model(x)[:, 0]
        loss = loss_fn(prediction, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield Place(raw(), loss.item())


def _times(bigger: float, smaller: float) -> str:
    if not (math.isfinite(bigger) and smaller > 0):
        return "far above"
    return f"{number(bigger / smaller)} times"


def _no_zero_grad_what(f: Facts) -> str:
    return (
        f"Each step adds its gradient to those of all steps before, so the line swings "
        f"past its aim and back, and never settles: in the second half of the "
        f"{f['step']:,} steps the loss still comes up to {number(f['late_loss'])}, "
        f"{_times(f['late_loss'], f['optimum_loss'])} the smallest there is "
        f"({number(f['optimum_loss'])}). With the call in place this learning rate, "
        f"{number(f['lr'], 6)}, would be well below its limit of {number(f['limit'])}."
    )


def _shapes_what(f: Facts) -> str:
    n = min(f["rows"], MOST_PAIRED)
    return (
        f"Predictions of shape ({n}, 1) minus targets of shape ({n},) are {n} × {n} "
        f"errors, each prediction against every target. What is best then is a flat "
        f"line: the slope is {number(f['slopes'][0])} instead of "
        f"{number(f['best_slopes'][0])}, at the mean of y, {number(f['mean_y'])}."
    )


def _too_high_what(f: Facts) -> str:
    return (
        f"The learning rate {number(f['lr'], 6)} is above the stability limit of "
        f"{number(f['limit'])}: along the steepest direction each step "
        f"overshoots by more than it set out to mend. The "
        f"loss began at {number(f['first_loss'])} and is {number(f['loss'])} at step "
        f"{f['step']:,}."
    )


def _unscaled_what(f: Facts) -> str:
    slow = "millions of"
    if f["best_needed"] is not None:
        slow = f"{f['best_needed']:,}"
    return (
        f"Along the slope the loss is {number(f['condition'], 2)} times as steep as "
        "along the intercept. A rate that the slope can bear is at most "
        f"{number(f['limit'], 2)}, and with the best one the intercept takes {slow} "
        f"steps; {number(f['lr'], 6)} is too much: "
        f"the loss is {number(f['loss'])} at step {f['step']:,}."
    )


def _early_what(f: Facts) -> str:
    return (
        f"After {f['step']:,} steps the loss is {number(f['loss'])}, "
        f"{_times(f['loss'], f['optimum_loss'])} the smallest there is "
        f"({number(f['optimum_loss'])}); the slope is {number(f['slopes'][0])} and "
        f"the best one {number(f['best_slopes'][0])}. "
        f"It needs {f['needed'] or 0:,} steps in all."
    )


def _float32_what(f: Facts) -> str:
    return (
        f"float32 cannot tell numbers near {number(f['mean_x'])} apart that are less "
        f"than {number(f['spacing'], 6)} apart: of {f['rows']:,} rows only "
        f"{f['distinct']:,} different times are left. The loop's own loss ends at "
        f"{number(f['seen'])}; on the times as they are, {number(f['optimum_loss'])} "
        "is to be had."
    )


def _training_what(f: Facts) -> str:
    return (
        f"On the rows it learned from, the curve of degree {f['degree']} has a loss of "
        f"{number(f['loss'])}; on rows it has not seen, {number(f['validation'])}, "
        f"{_times(f['validation'], f['loss'])} that. The training loss alone says that "
        "all is well."
    )


MISTAKES = {
    m.name: m
    for m in [
        Mistake(
            "no_zero_grad",
            "No zero_grad",
            "The gradients of all steps add up.",
            {"data": "line", "lr": 0.3, "epochs": 200, "start": [-1.0, 2.0]},
            _no_zero_grad_what,
            "The loss falls and rises again, for ever, however small lr is.",
            "Call optimizer.zero_grad() before loss.backward().",
            {"epochs": 300},
            _instead(2, "# optimizer.zero_grad() is missing"),
            2,
            no_zero_grad,
        ),
        Mistake(
            "shapes",
            "(n, 1) against (n,)",
            "A column minus a row is a whole table.",
            {"data": "line", "lr": 0.3, "epochs": 300},
            _shapes_what,
            "The loss stops far too high, the line is flat; prediction.shape and "
            "y.shape differ. nn.MSELoss only warns.",
            "Give both the same shape: prediction = model(x)[:, 0], or y[:, None].",
            {},
            _instead(1, "loss = ((prediction - y) ** 2).mean()  # (n, 1) - (n,)"),
            1,
            shapes,
        ),
        Mistake(
            "lr_too_high",
            "Learning rate too high",
            "Each step overshoots by more than it mends.",
            {"data": "line", "lr": 0.9, "epochs": 200},
            _too_high_what,
            "The loss grows from step to step, then is inf and nan.",
            "Take the learning rate below the stability limit.",
            {},
            (*CODE[:4], "optimizer.step()  # lr is above the limit"),
            4,
            taken={"lr": "best"},
        ),
        Mistake(
            "unscaled",
            "An unscaled feature",
            "One number in thousands, the other around one.",
            {"data": "unscaled", "lr": 0.1, "epochs": 200},
            _unscaled_what,
            "It diverges, or with a rate that does not, the intercept hardly moves.",
            "Standardise the feature: (x - x.mean()) / x.std().",
            {"standardize": True, "lr": 0.1},
            ("prediction = model(x)  # x goes to 1,000", *CODE[1:]),
            0,
        ),
        Mistake(
            "too_early",
            "Stopping too early",
            "The loss fell fast, so it looks done.",
            {"data": "line", "lr": 0.1, "epochs": 15},
            _early_what,
            "The loss is still falling in the last steps, and the gradient is not near "
            "0. The certificate says the gap.",
            "Go on until the gap is closed.",
            {},
            (*CODE[:4], "optimizer.step()  # 15 times only"),
            4,
            taken={"epochs": "needed"},
        ),
        Mistake(
            "float32",
            "float32 and a huge offset",
            "Timestamps lose their seconds.",
            {"data": "clock", "standardize": True, "lr": 0.1, "epochs": 200},
            _float32_what,
            "Different rows have the same x: x.unique() is short.",
            "Subtract the offset in float64 first, then make it float32.",
            {"standardize": True},
            ("prediction = model(x)  # x = x.float(), then centred", *CODE[1:]),
            0,
            float32,
        ),
        Mistake(
            "training_score",
            "Scored on the training data",
            "A curve that has learned the noise by heart.",
            {
                "data": "sine",
                "n": 30,
                "degree": 12,
                "validation": 0.4,
                "standardize": True,
                "lr": 0.1,
                "epochs": 2_000,
            },
            _training_what,
            "Hold rows out: their loss is far above that of the training rows.",
            "Choose the degree by the loss of rows that were held out.",
            {"degree": 3},
            ("prediction = model(x)  # of the rows it learned from", *CODE[1:]),
            0,
        ),
    ]
}


def spacing(value: float) -> float:
    """How far apart neighbouring float32 numbers are there."""
    return float(np.spacing(np.float32(abs(value))))
