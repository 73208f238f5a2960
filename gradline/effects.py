"""Which settings have an effect beside which others.

A search crosses settings that do not all go together: alpha without a penalty, momentum
with a solver that takes no steps. What has no effect beside the others is left out of a
trial, and settings that then come to the same are one trial:

    penalty                 without it, no alpha, l1_ratio or folds
    penalty or bounds       no descent, so no lr, epochs, optimizer, momentum ...
    another loss, exact     the same, unless batch_size makes it a descent
    optimizer               momentum, dampening, nesterov only where torch has them
    momentum 0              no dampening, no Nesterov
    lr "auto"               for SGD alone: another optimiser takes its own default

Settings that contradict each other, such as a penalty and minibatches, are refused by
`fit`, and such a trial has failed.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import nn

from gradline.fitting import fit
from gradline.objective import Squared
from gradline.spaces import default_of, same

#: The arguments of fit, by name, and their defaults.
DEFAULTS = default_of(fit)

#: Those of a descent alone.
DESCENT = (
    "lr",
    "epochs",
    "start",
    "seed",
    "optimizer",
    "momentum",
    "dampening",
    "nesterov",
    "weight_decay",
    "optimizer_options",
    "early_stopping",
)

#: Those that make a descent go batch by batch.
BATCHES = ("batch_size", "schedule", "shuffle", "average", "checkpoint")


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not the defaults of fit."""
    return {
        name: value
        for name, value in settings.items()
        if name not in DEFAULTS
        or not (
            same(value) == same(DEFAULTS[name])
            or (value is None and name in ("categories", "exclude"))
        )
    }


def squared(loss: Any) -> bool:
    """Whether a loss is the squared one."""
    return isinstance(loss, Squared) or loss == "squared"


def idle(settings: dict[str, Any]) -> set[str]:
    """The names of settings that have no effect beside the others.

    Args:
        settings: arguments of fit by name, defaults among them or not.
    """
    said = DEFAULTS | settings
    found: set[str] = set()
    if said["penalty"] is None:
        found |= {"alpha", "l1_ratio", "folds"}
    if said["penalty"] != "elastic_net":
        found.add("l1_ratio")
    if not isinstance(said["alpha"], str | None):
        found.add("folds")
    if not _descent_possible(said):
        found |= {*DESCENT}
        if said["penalty"] is None:
            found.add("standardize")
    found |= _not_of_optimizer(said)
    return found & settings.keys()


def descends(call: dict[str, Any]) -> bool:
    """Whether `fit` would descend, by the settings that are given and not the defaults.

    A seed alone makes it descend too, and is left out here.
    """
    starts = {*DESCENT, *BATCHES, "standardize", "model"} - {"seed", "early_stopping"}
    if "penalty" in call:
        starts = {*BATCHES}
    return bool(call.keys() & starts) or call.get("method") in ("gd", "sgd")


def _descent_possible(said: dict[str, Any]) -> bool:
    if said["model"] is not None or isinstance(said["loss"], nn.Module):
        return True
    if said["method"] == "sgd" or any(said[name] is not None for name in BATCHES):
        return True
    if said["method"] == "gd":
        return True
    if said["method"] == "exact" or not squared(said["loss"]):
        return False
    bounded = said["bounds"] is not None or said["nonnegative"] is not False
    return said["penalty"] is None and not bounded


def _not_of_optimizer(said: dict[str, Any]) -> set[str]:
    """Settings that the optimiser does not have, or not without momentum."""
    name = "SGD" if said["optimizer"] is None else str(said["optimizer"])
    found = set(_lacking(name.casefold()))
    if not said["momentum"]:
        found |= {"dampening", "nesterov"}
    if name.casefold() != "sgd" and said["lr"] == "auto":
        found.add("lr")
    return found


@cache
def _lacking(name: str) -> tuple[str, ...]:
    """Settings of SGD that the optimiser of this name does not have."""
    known = {n.casefold(): kind for n, kind in vars(torch.optim).items()}
    kind = known.get(name)
    if not inspect.isclass(kind):
        return ()
    takes = inspect.signature(kind).parameters
    names = ("momentum", "dampening", "nesterov", "weight_decay")
    return tuple(n for n in names if n not in takes)
