"""What steps through the batches: the plain loop, with the face of affine.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from gradline.checkpoints import like, small
from gradline.descent import make_optimizer
from gradline.epochs import Turn, criterion_of, train
from gradline.errors import UsageError
from gradline.model import LinearRegression
from gradline.objective import Loss
from gradline.schedules import Rates, Schedule
from gradline.shuffle import BatchStream


class Steps(Protocol):
    """Minibatch descent of a line, which can be looked at, averaged and resumed."""

    stream: BatchStream
    averaged: int

    def parameters(self) -> Tensor:
        """Slopes and level, (d + 1,)."""

    def average(self) -> Tensor | None:
        """Their mean after each step that is averaged; None where none is."""

    def restart_average(self, since: int) -> None:
        """Begin the average anew, with the step `since` of the run, counted from 0."""

    def recast(self, A: Tensor, lr: float | None) -> None:
        """Go on in other coordinates, where θ is Aθ, with another rate."""

    def turns(self, epochs: int, epoch: int = 1, batch: int = 0) -> Iterator[Turn]:
        """Step, and say so after some batches, at the least after each epoch."""

    def state(self) -> dict[str, Any]:
        """All that going on takes: tensors and plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


class LoopSteps:
    """Any optimiser of torch.optim and any loss, by the five steps with autograd.

    Args:
        stream: of the batches.
        start: slopes and level to begin with, (d + 1,), in the stream's coordinates.
        loss: of the residuals.
        optimizer: the name of a class in torch.optim.
        lr: its learning rate; None for its own default.
        options: its other settings.
        schedule: of the learning rate.
        epochs: of the whole run, for the schedule.
        intercept: whether the level moves.
    """

    def __init__(
        self,
        stream: BatchStream,
        start: Tensor,
        loss: Loss,
        optimizer: str,
        lr: float | None,
        options: dict[str, Any],
        schedule: Schedule,
        epochs: int,
        intercept: bool = True,
    ) -> None:
        self.stream = stream
        self.model = LinearRegression(len(start) - 1, dtype=torch.float64)
        with torch.no_grad():
            self.model.weight.copy_(start[None, :-1])
            self.model.bias.copy_(start[-1:])
        self.model.bias.requires_grad_(intercept)
        self.criterion = criterion_of(loss)
        self.optimizer = make_optimizer(self.model, optimizer, lr, options)
        self.rates = Rates(schedule, self.optimizer, stream.batches, epochs)
        self.sum = torch.zeros_like(start)
        self.averaged = 0
        self.average_from = 0

    def parameters(self) -> Tensor:
        """Slopes and level, (d + 1,)."""
        return torch.cat([self.model.weight.detach()[0], self.model.bias.detach()])

    def average(self) -> Tensor | None:
        """The mean of the parameters after each step since `average_from`."""
        return self.sum / self.averaged if self.averaged else None

    def restart_average(self, since: int) -> None:
        """Begin the average anew, with the step `since` of the run, counted from 0."""
        self.sum, self.averaged, self.average_from = 0 * self.sum, 0, since

    def recast(self, A: Tensor, lr: float | None) -> None:
        """Go on where θ is Aθ; an optimiser's means of gradients stay as they are."""
        moved = A @ self.parameters()
        with torch.no_grad():
            self.model.weight.copy_(moved[None, :-1])
            self.model.bias.copy_(moved[-1:])
        self.sum = A @ self.sum
        if lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = lr

    def turns(self, epochs: int, epoch: int = 1, batch: int = 0) -> Iterator[Turn]:
        """Step, and yield a Turn after each batch."""
        per_epoch = self.stream.batches
        found = train(
            self.model,
            self.stream,
            self.criterion,
            self.optimizer,
            epochs=epochs,
            rates=self.rates,
            epoch=epoch,
            batch=batch,
        )
        kind = type(self.optimizer).__name__
        try:
            for turn in found:
                step = (turn.epoch - 1) * per_epoch + turn.batch - 1
                if step >= self.average_from:
                    self.sum = self.sum + self.parameters()
                    self.averaged += 1
                yield turn
        except (RuntimeError, AssertionError, TypeError) as error:
            # SparseAdam wants sparse gradients, and capturable=True a GPU.
            raise UsageError(f"torch.optim.{kind} refuses: {error}") from None

    def state(self) -> dict[str, Any]:
        """All that going on takes: tensors and plain values."""
        return {
            "parameters": self.parameters(),
            "sum": self.sum,
            "averaged": self.averaged,
            "average_from": self.average_from,
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        fresh = self.state()
        kept = state["optimizer"]["state"]
        fresh["optimizer"] = fresh["optimizer"] | {"state": kept}
        like(state, fresh | {"rates": state["rates"]})
        for place, parameter in enumerate(self.optimizer.param_groups[0]["params"]):
            sizes = {0, 1, parameter.numel(), len(self.sum)}
            small(kept.get(place), sizes, f"the optimiser's {place}")
        with torch.no_grad():
            self.model.weight.copy_(state["parameters"][None, :-1])
            self.model.bias.copy_(state["parameters"][-1:])
        self.sum = state["sum"]
        self.averaged = state["averaged"]
        self.average_from = state["average_from"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.restore(state["rates"])
