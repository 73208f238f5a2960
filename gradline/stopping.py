"""Early stopping: the rule by which a descent ends where the validation loss is least.

    best = loss at epoch 0
    at each epoch: where its loss is below best - min_delta, it is the best one;
                   where none has been for `patience` epochs, stop, keep the best.

A loss that is lower by rounding alone is not below.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradline.checks import real, whole
from gradline.data import Array
from gradline.errors import UsageError

#: Rounding may lower a loss by so much of itself.
ROUNDING = 8 * sys.float_info.epsilon


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop a descent, by the loss of rows it does not learn from.

    Attributes:
        patience: how many epochs in a row may pass without a better one.
        min_delta: how much lower a loss must be to be better, in units of the loss.

    Equivalent: Keras' EarlyStopping(patience=10, restore_best_weights=True), with the
    start as the first candidate.
    """

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        whole("patience", self.patience, 1)
        if real("min_delta", self.min_delta) < 0:
            raise UsageError(f"min_delta is {self.min_delta}: give 0 or more")


def as_early_stopping(value: Any) -> EarlyStopping | None:
    """What `fit` is given as early_stopping; None where it is None or False.

    Raises:
        UsageError: neither True, nor a number of epochs, nor an EarlyStopping.
    """
    if value is None or value is False:
        return None
    if value is True:
        return EarlyStopping()
    if isinstance(value, EarlyStopping):
        return value
    if isinstance(value, str | float):
        raise UsageError(
            f"early_stopping is {value!r}: give True, a number of epochs to wait, or "
            "gl.EarlyStopping(patience=10, min_delta=0.0)"
        )
    return EarlyStopping(whole("early_stopping", value, 1))


@dataclass
class Stopper:
    """The rule at work: it is told each epoch's validation loss, from epoch 0 on.

    Attributes:
        rule: the rule; None looks on and never stops.
        best_epoch: the epoch of the least loss so far.
        best_loss: that loss.
        last_epoch: the last one it was told.
    """

    rule: EarlyStopping | None
    best_epoch: int = 0
    best_loss: float = field(default=math.inf)
    last_epoch: int = 0

    def improves(self, epoch: int, loss: float) -> bool:
        """Take in an epoch's loss; whether it is better than all before."""
        self.last_epoch = epoch
        if epoch == 0 or loss < self.best_loss - self._margin(self.best_loss):
            self.best_epoch, self.best_loss = epoch, loss
            return True
        return False

    def sees(self, start: int, losses: Array) -> bool:
        """Take in the losses of successive epochs (K,); whether to stop at one of them.

        Args:
            start: the epoch of the first.
            losses: as for `improves`; those after the stop are not looked at.
        """
        if start and self.best_epoch == start - 1:
            before = np.append(self.best_loss, losses[:-1])
            least = 0.0 if self.rule is None else self.rule.min_delta
            if (losses < before - np.maximum(least, ROUNDING * before)).all():
                self.last_epoch = self.best_epoch = start + len(losses) - 1
                self.best_loss = float(losses[-1])
                return False  # one long way down
        for epoch, loss in enumerate(losses.tolist(), start):
            self.improves(epoch, loss)
            if self.waited_enough:
                return True
        return False

    def _margin(self, loss: float) -> float:
        """How much lower than this a loss must be to be better."""
        least = 0.0 if self.rule is None else self.rule.min_delta
        return max(least, ROUNDING * loss)

    @property
    def waited_enough(self) -> bool:
        """Whether none was better for as long as the rule would wait."""
        if self.rule is None:
            return False
        return self.last_epoch - self.best_epoch >= self.rule.patience

    def settings(self, epochs: int) -> dict[str, Any]:
        """What a fit remembers of it, as JSON has it.

        Args:
            epochs: how many there would have been.
        """
        assert self.rule is not None
        return {
            "patience": self.rule.patience,
            "min_delta": self.rule.min_delta,
            "epochs": epochs,
            "best_epoch": self.best_epoch,
            "last_epoch": self.last_epoch,
            "validation_loss": self.best_loss,
        }


def sentence(stop: dict[str, Any], training: str) -> str:
    """What early stopping did, in a sentence.

    Args:
        stop: of `Stopper.settings`.
        training: how the training loss stands there.
    """
    best, last, whole_way = stop["best_epoch"], stop["last_epoch"], stop["epochs"]
    least = f"{stop['validation_loss']:.4g}"
    if best == last and last < whole_way:
        return (
            f"The validation loss was still falling at epoch {last:,}, where it is "
            f"{least} and the run ended by itself; {training}."
        )
    if best == last:
        return (
            f"The validation loss was still falling at the last epoch, {last:,}, where "
            f"it is {least}, and {training}: give more epochs."
        )
    return (
        f"Stopped on purpose at epoch {best:,} of {whole_way:,}, where the validation "
        f"loss is least, {least}; {training}."
    )


def unseen_note(rows: int) -> tuple[str, ...]:
    """What to say of validation rows that cannot be predicted; () of none."""
    if not rows:
        return ()
    some = f"{rows:,} row{'s' if rows > 1 else ''} of the validation part"
    return (
        f"{some} {'have' if rows > 1 else 'has'} a level that the training part has "
        "not, and no share in the validation loss.",
    )
