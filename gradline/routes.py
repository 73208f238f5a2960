"""Which way a fit is found, by the arguments given, and what does not go with it.

Here "auto" is settled, and what would have no effect on the way chosen is refused,
before any data are read.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from gradline.checks import one_of
from gradline.errors import DataError, UsageError
from gradline.objective import Squared, as_loss
from gradline.splits import Split
from gradline.stopping import EarlyStopping
from gradline.training import Batches, Training

#: What finds the line, see `fit`.
Route = Literal["least squares", "loss", "penalty", "batches", "network"]


def route_of(
    method: str, loss: Any, model: Any, penalty: Any, limits: Any, batches: Batches
) -> Route:
    """What is asked for, by the arguments that are given."""
    one_of("method", method, "auto", "exact", "gd", "sgd")
    names = batches.given
    if model is not None or is_function(loss):  # which has no use for the others
        names = [n for n in names if n in ("schedule", "shuffle")]
    if method != "sgd" and batches.size is None and names:
        many = len(names) > 1
        raise UsageError(
            f"{', '.join(names)} {'are' if many else 'is'} for minibatches, which "
            "nothing else asks for: give method='sgd' or batch_size too, or leave "
            f"{'them' if many else 'it'} out"
        )
    if model is not None or is_function(loss):
        route: Route = "network"
    elif method == "sgd" or batches.given:
        route = "batches"
    elif penalty is not None or limits is not None:
        route = "penalty"
    elif not isinstance(as_loss(loss), Squared):
        route = "loss"
    else:
        return "least squares"
    plain = isinstance(loss, str) and loss == "squared"
    asked = [
        ("penalty", penalty is not None, route == "penalty"),
        ("bounds", limits is not None, route == "penalty"),
        ("loss", not plain, route != "penalty"),
        ("method", method in ("exact", "gd"), route not in ("batches", "network")),
    ]
    for name, given, welcome in asked:
        if given and not welcome:
            raise UsageError(f"{name} does not go with {_WAYS[route]}: {_HINTS[name]}")
    return route


def is_function(loss: Any) -> bool:
    """Whether a loss is a function or a module, and none of those with a name."""
    return callable(loss) and not isinstance(loss, type)


_WAYS = {
    "loss": "a loss that is not squared",
    "penalty": "a penalty or bounds on the slopes",
    "batches": "minibatches",
    "network": "a module of your own",
}


_HINTS = {
    "penalty": "leave it out, or give weight_decay, which every optimiser has",
    "bounds": "leave them out",
    "loss": "leave it out, for they belong to the squared loss",
    "method": "leave it out, or give method='sgd'",
}


def descends(method: str, training: Training, optimizer: bool, route: Route) -> bool:
    """Settle "auto", and refuse settings that would have no effect."""
    given = {
        "lr": training.lr is not None,
        "epochs": training.epochs is not None,
        "standardize": training.standardize is not None,
        "start": training.start is not None,
        "seed": training.seed is not None,
        "optimizer": optimizer,
    }
    names = [name for name, is_given in given.items() if is_given]
    names += training.options
    if method == "exact" and names:
        raise UsageError(
            f"method='exact' does not descend and has no use for {', '.join(names)}: "
            "leave it out, or give method='gd'"
        )
    if training.start is not None:
        check_model("start", training.start)
    training.check(route in ("batches", "network"))
    return method in ("gd", "sgd") or bool(names)


def refuse_idle(
    route: Route,
    descending: bool,
    folds: Any,
    stopping: EarlyStopping | None,
    split: Split | None,
) -> None:
    """Refuse what would have no effect on this route."""
    if route in ("loss", "penalty") and descending:
        raise UsageError(
            f"{_WAYS[route]} needs no descent and has no use for lr, epochs, optimizer "
            "and the like: leave them out, or give batch_size to descend by minibatches"
        )
    if folds is not None and route != "penalty":
        raise UsageError(
            "folds is for choosing a penalty: leave it out, or give penalty='ridge'"
        )
    if stopping is None:
        return
    if not (descending or route in ("batches", "network")):
        way = "" if route in ("loss", "penalty") else ", or give method='gd'"
        raise UsageError(f"early_stopping is for a descent: leave it out{way}")
    if split is None or not split.has("validation"):
        raise UsageError(NO_VALIDATION)


NO_VALIDATION = (
    "early_stopping needs rows to watch that are not learned from: give "
    "split=gl.Split(validation=0.2) (--validation 0.2) too"
)


def check_model(name: str, model: Any) -> None:
    """Refuse what is no linear model, or one with NaN in it."""
    weight, bias = getattr(model, "weight", None), getattr(model, "bias", None)
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor | None)):
        raise UsageError(
            f"{name} is a {type(model).__name__}: give a gl.LinearRegression, or a "
            "torch.nn.Linear"
        )
    fine = torch.isfinite(weight).all()
    if not (fine and (bias is None or torch.isfinite(bias).all())):
        raise DataError(
            f"{name} has a weight or bias that is NaN or infinite: it has diverged; "
            "start again with a smaller lr"
        )
