"""Minibatch descent, the five steps on one batch after another.

    stream = BatchStream(source, design, 256)
    for turn in train(model, stream, criterion, optimizer, epochs=10):
        print(turn.epoch, turn.batch, turn.loss)

It is the loop of descent.py with a batch in place of all rows. Batch B of the stream
has the loss

    1/|B| · Σ_{i in B} v_i · loss_i,    v_i = w_i / (mean weight of all rows)

whose mean over the batches an epoch may draw is the loss over all rows: weights change
how much a row counts, never how long a step is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradline.data import Chunk
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared
from gradline.schedules import Rates
from gradline.shuffle import BatchStream

#: Predictions, targets and weights (or None) of a batch to one number.
Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, repr=False)
class Turn:
    """A batch that was stepped on.

    Attributes:
        epoch: counted from 1.
        batch: of the epoch, counted from 1.
        rows: in it.
        last: whether it was the last of its epoch.
    """

    epoch: int
    batch: int
    rows: int
    last: bool
    loss_tensor: Tensor

    @property
    def loss(self) -> float:
        """What its forward pass saw, before the step."""
        return float(self.loss_tensor)

    def __repr__(self) -> str:
        return f"<Turn epoch {self.epoch}, batch {self.batch}, loss {self.loss:.6g}>"


def train(
    model: nn.Module,
    stream: BatchStream,
    criterion: Criterion,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    rates: Rates | None = None,
    epoch: int = 1,
    batch: int = 0,
) -> Iterator[Turn]:
    """Train a module in place, batch by batch; yield a Turn after each.

    Stop whenever you like by leaving the for loop: the model keeps what it learned.

    Args:
        model: maps X (rows, d) to predictions (rows,) or (rows, 1).
        stream: of the batches.
        criterion: what a batch costs: of a loss of objective.py by `criterion_of`, of
            a torch module by `criterion_from`.
        optimizer: of the model's parameters.
        epochs: the last one, counted from 1.
        rates: of the learning rate; unchanged unless told.
        epoch: the first one, and
        batch: how many of its batches were done before: to go on from there.
    """
    like = next(model.parameters())
    per_epoch = stream.batches
    for number in range(epoch, epochs + 1):
        seen = Mean()
        done = batch if number == epoch else 0
        for chunk in stream.epoch(number, skip=done):
            X, y, w = _tensors(chunk, like)  # (b, d), (b,), (b,)
            if rates is not None:
                rates.before((number - 1) * per_epoch + done)
            model.train()

            # 1. Forward: predict this batch with the parameters as they are.
            prediction = model(X).reshape(y.shape)

            # 2. Loss: one number for the batch.
            loss = criterion(prediction, y, w)

            # 3. Zero the gradients: backward adds to them.
            optimizer.zero_grad()

            # 4. Backward: the gradient of the loss in every parameter.
            loss.backward()

            # 5. Step: move every parameter a little downhill.
            optimizer.step(_again(optimizer, model, criterion, X, y, w))

            done += 1
            loss = loss.detach()
            if rates is not None:
                rates.after()
                if rates.schedule.by_loss:
                    seen.add(float(loss), len(y))
                if done == per_epoch:
                    rates.end_epoch(seen.value)
            yield Turn(number, done, len(y), done == per_epoch, loss)


class Mean:
    """A mean that grows by parts."""

    def __init__(self) -> None:
        self._sum, self._rows = 0.0, 0

    def add(self, value: float, rows: int) -> None:
        """The mean of some rows more."""
        self._sum += value * rows
        self._rows += rows

    @property
    def value(self) -> float:
        """Of all rows so far; NaN before the first."""
        return self._sum / self._rows if self._rows else math.nan


def _again(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    criterion: Criterion,
    X: Tensor,
    y: Tensor,
    w: Tensor | None,
) -> Any:
    """Steps 1 to 4 as a function, for the one optimiser that looks several times."""
    if not isinstance(optimizer, torch.optim.LBFGS):
        return None

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(X).reshape(y.shape), y, w)
        loss.backward()
        return loss

    return closure


def _tensors(chunk: Chunk, like: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    X, y, w = (
        None if part is None else torch.from_numpy(np.asarray(part)).to(like)
        for part in chunk
    )
    assert X is not None
    assert y is not None
    return X, y, w


def criterion_of(loss: Loss) -> Criterion:
    """A loss of objective.py on a batch."""

    def mean(each: Tensor, weight: Tensor | None) -> Tensor:
        return each.mean() if weight is None else (each * weight).mean()

    def of(prediction: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        return mean(loss_of_rows(loss, y - prediction), weight)

    return of


def loss_of_rows(loss: Loss, residual: Tensor) -> Tensor:
    """What each row costs, by its residual, (rows,)."""
    match loss:
        case Squared():
            return residual.square()
        case Absolute():
            return residual.abs()
        case Quantile(level=q):
            return torch.maximum(q * residual, (q - 1) * residual)
        case Huber(epsilon=e, scale=s):
            assert s is not None
            size = residual.abs()
            far = e * s * (size - e * s / 2)
            return torch.where(size <= e * s, residual.square() / 2, far)


def criterion_from(module: nn.Module) -> Criterion:
    """A loss module of torch on a batch; it knows no weights."""

    def of(prediction: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        assert weight is None, "a loss module knows no weights"
        found: Tensor = module(prediction, y)
        return found

    return of
