"""The losses of objective.py as torch modules, on (prediction, target).

Without row weights they are torch's own where torch has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradline.errors import UsageError
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared

#: Any function of prediction and target, (n,) or (n, 1) both, that gives one number.
Criterion = Callable[[Tensor, Tensor], Tensor]


class Pinball(nn.Module):
    """The quantile loss: mean of q·max(r, 0) + (1 - q)·max(-r, 0), r = y - prediction.

    Args:
        level: q.
    """

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The mean loss of predictions and targets of one shape."""
        return _pinball(target - prediction, self.level).mean()


def criterion_of(loss: Loss) -> nn.Module:
    """The mean loss over rows of equal weight.

    Raises:
        UsageError: a loss whose scale would have to be found together with the model.
    """
    match loss:
        case Squared():
            return nn.MSELoss()
        case Absolute():
            return nn.L1Loss()
        case Quantile(level):
            return Pinball(level)
    return nn.HuberLoss(delta=_turn(loss))


def weighted(loss: Loss, weight: Tensor) -> Criterion:
    """The weighted mean loss over rows of these weights, (n,).

    Raises:
        UsageError: as `criterion_of`.
    """
    total = weight.sum()

    def mean(prediction: Tensor, target: Tensor) -> Tensor:
        rows = by_row(loss, prediction.reshape(-1), target.reshape(-1))
        return weight @ rows / total

    return mean


def by_row(loss: Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """The loss of each row, (n,)."""
    residual = target - prediction
    match loss:
        case Squared():
            return residual.square()
        case Absolute():
            return residual.abs()
        case Quantile(level):
            return _pinball(residual, level)
    turn = _turn(loss)
    return nn.functional.huber_loss(prediction, target, reduction="none", delta=turn)


def as_named(loss: Any) -> Any:
    """torch's own losses by our names, where they are the same; else as it is."""
    if type(loss) is nn.MSELoss and loss.reduction == "mean":
        return Squared()
    if type(loss) is nn.L1Loss and loss.reduction == "mean":
        return Absolute()
    return loss


def title_of(loss: Any) -> str:
    """What a loss is called in tables."""
    if isinstance(loss, Squared | Absolute | Quantile | Huber):
        return loss.title
    name = getattr(loss, "__name__", type(loss).__name__)
    summed = getattr(loss, "reduction", "mean") == "sum"
    return f"{name}, summed" if summed else name


def _pinball(residual: Tensor, level: float) -> Tensor:
    return torch.maximum(level * residual, (level - 1) * residual)


def _turn(loss: Huber) -> float:
    """The residual at which the Huber loss turns."""
    if loss.scale is None:
        raise UsageError(
            f"the Huber loss {loss.epsilon:g} finds its scale together with a line, "
            "and not with a module or by minibatches: give the scale too, such as "
            f"gl.Huber({loss.epsilon:g}, scale=2.0) (huber:{loss.epsilon:g}:2.0)"
        )
    return loss.epsilon * loss.scale
