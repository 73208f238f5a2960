"""The losses of objective.py as torch modules, on (prediction, target), (n,) both.

Without row weights they are torch's own where torch has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from gradline.epochs import loss_of_rows
from gradline.errors import UsageError
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared

#: Any function of prediction and target, (n,) both, that gives one number.
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
        return loss_of_rows(Quantile(self.level), target - prediction).mean()


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
    return nn.HuberLoss(delta=_turn_of(loss))


def weighted(loss: Loss, weight: Tensor) -> Criterion:
    """The weighted mean loss over rows of these weights, (n,).

    Raises:
        UsageError: as `criterion_of`.
    """
    _turn_of(loss)
    total = weight.sum()

    def mean(prediction: Tensor, target: Tensor) -> Tensor:
        return weight @ loss_of_rows(loss, target - prediction) / total

    return mean


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


def _turn_of(loss: Loss) -> float:
    """The residual at which a Huber loss turns; none for others."""
    if not isinstance(loss, Huber):
        return math.inf
    if loss.scale is None:
        raise UsageError(
            f"the Huber loss {loss.epsilon:g} finds its scale together with a line, "
            "and not with a module or by minibatches: give the scale too, such as "
            f"gl.Huber({loss.epsilon:g}, scale=2.0) (huber:{loss.epsilon:g}:2.0)"
        )
    return loss.epsilon * loss.scale
