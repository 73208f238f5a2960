"""From a state to a Fit by descent: SGD in closed form, other optimisers in steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from gradline.certificate import TOLERANCE
from gradline.checks import learning_rate, one_of, real, whole
from gradline.conclude import path_from, starting_point
from gradline.descent import make_optimizer
from gradline.errors import DivergenceError, UsageError, did_you_mean
from gradline.heldout import loss_of
from gradline.model import LinearRegression
from gradline.path import Path
from gradline.quadratic import Quadratic, walk
from gradline.recurrence import Rule
from gradline.result import Fit
from gradline.retrace import epochs_kept, trained, walked
from gradline.stopping import EarlyStopping
from gradline.survey import HARD_CONDITION, Survey

#: An optimiser that is to go on until converged gives up after so many epochs.
MOST_STEPS = 100_000

_SGD = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0}


@dataclass(frozen=True)
class Training:
    """How to descend, checked before any data are read.

    Attributes:
        lr: a number; "auto" or None for the best of SGD, None for another optimiser's
            own default.
        epochs: how many; None for as many as converge.
        standardize: descend on standardised features; None to settle it from lr.
        start: the model to start from.
        seed: of the start, where there is none.
        optimizer: the name of a class in torch.optim.
        options: its settings beside lr, those only that are not its defaults.
    """

    lr: float | Literal["auto"] | None = None
    epochs: int | None = None
    standardize: bool | None = None
    start: LinearRegression | None = None
    seed: int | None = None
    optimizer: str = "SGD"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def automatic(self) -> bool:
        """Whether the learning rate is to be found."""
        return self.lr is None or self.lr == "auto"

    def check(self, batches: bool = False) -> None:
        """Refuse what cannot be meant.

        Args:
            batches: whether it goes batch by batch: any optimiser finds its rate then,
                the seed has a use beside a start, and torch's SGD is the one that runs.

        Raises:
            UsageError: and what to give instead.
        """
        if not self.automatic:
            learning_rate(self.lr)
        if self.epochs is not None:
            whole("epochs", self.epochs)
        if self.standardize is not None:
            one_of("standardize", self.standardize, True, False)
        if self.seed is not None:
            whole("seed", self.seed)
        if self.start is not None and self.seed is not None and not batches:
            raise UsageError(
                "start and seed are both given: the seed would have no effect"
            )
        if self.optimizer == "SGD" and not (batches and self.options.keys() - _SGD):
            _check_rule(self.options)
            return
        if self.lr == "auto" and not batches:
            raise UsageError(
                f"lr='auto' is for SGD: give {self.optimizer} a number, or leave it out"
            )
        model = LinearRegression(1, generator=torch.Generator())
        lr = None if self.automatic else float(self.lr)  # type: ignore[arg-type]
        make_optimizer(model, self.optimizer, lr, self.options)


@dataclass(frozen=True)
class Batches:
    """How to descend batch by batch; None where nothing was said.

    Attributes:
        size: rows in a batch.
        schedule: how the learning rate changes: the name of a scheduler of torch.optim.
        shuffle: whether batches are drawn anew in each epoch.
        average: whether the average of the weights is kept, not the last ones.
        checkpoint: a file that a killed run goes on from.
    """

    size: int | None = None
    schedule: Any = None
    shuffle: Any = None
    average: Any = None
    checkpoint: Any = None

    @property
    def given(self) -> list[str]:
        """The names of what was said."""
        names = {"size": "batch_size"}
        found = [k for k, v in vars(self).items() if v is not None]
        return [names.get(k, k) for k in found]


def optimizer_settings(
    optimizer: Any, named: dict[str, Any], options: Any
) -> tuple[str, dict[str, Any]]:
    """The optimiser's name, and its settings that are not SGD's defaults.

    Args:
        optimizer: the name as given, or None.
        named: momentum, dampening, nesterov and weight_decay as given.
        options: further settings as given: a dict, or None.

    Raises:
        UsageError: no such optimiser; a setting given twice.
    """
    if optimizer is not None and not isinstance(optimizer, str):
        raise UsageError(
            f"optimizer is a {type(optimizer).__name__}: give the name of a class in "
            "torch.optim, such as 'Adam', or descend with gl.descend"
        )
    if options is not None and not (
        isinstance(options, dict) and all(isinstance(k, str) for k in options)
    ):
        raise UsageError(
            f"optimizer_options is {options!r}: give a dict, such as "
            "{'betas': (0.9, 0.99)}"
        )
    options = dict(options or {})
    named = {k: v for k, v in named.items() if v is not _SGD[k] and v != _SGD[k]}
    if "lr" in options:
        raise UsageError("optimizer_options has lr: give lr itself, or --lr")
    twice = sorted(named.keys() & options.keys())
    if twice:
        raise UsageError(
            f"{', '.join(twice)} given twice: once is enough, leave it out of "
            "optimizer_options"
        )
    name = "SGD" if optimizer is None else optimizer
    return _class_name(name), options | named


def descend_on(
    survey: Survey,
    training: Training,
    held: Quadratic | None = None,
    stopping: EarlyStopping | None = None,
) -> Fit:
    """Descend as told, from the state alone.

    Args:
        survey: of the data.
        training: how.
        held: the validation loss, where there are rows for it.
        stopping: stop by it.

    Raises:
        DivergenceError: lr is at or above the stability limit; or another optimiser's
            loss kept growing.
        UsageError: the optimiser refuses its settings.
    """
    if training.optimizer == "SGD":
        return _closed_form(survey, training, held, stopping)
    return _stepping(survey, training, held, stopping)


def _closed_form(
    survey: Survey,
    training: Training,
    held: Quadratic | None,
    stopping: EarlyStopping | None,
) -> Fit:
    path, total, settings, survey = closed_path(survey, training)
    return trained(survey, path, total, settings, held, stopping)


def closed_path(
    survey: Survey, training: Training
) -> tuple[Path, int, dict[str, Any], Survey]:
    """A descent by SGD in closed form, not yet walked.

    Returns:
        The path, how many epochs to go along it, what to remember of it, and the survey
        it was made from: with its last digits, where they matter.

    Raises:
        DivergenceError: lr is at or above the stability limit.
    """
    if survey.spectrum.condition > HARD_CONDITION:
        survey = survey.best  # else its last digits can wait for the certificate
    automatic = training.automatic
    scaled = automatic if training.standardize is None else training.standardize
    bowl = survey.scaled_bowl if scaled else survey.raw_bowl
    lr = 0.0 if automatic else float(training.lr)  # type: ignore[arg-type]
    rule = Rule(lr, **training.options)
    steepest, flattest = bowl.ends
    if automatic:
        lr = rule.best_lr(steepest, flattest)
        rule = Rule(lr, **training.options)
    limit = rule.limit(steepest)
    if lr >= limit:
        raise _too_fast(survey, rule, limit, scaled)
    seed = training.seed
    if training.start is None:
        seed = 0 if seed is None else int(seed)
    first = starting_point(survey, training.start, seed, scaled)
    path = path_from(survey, bowl, rule, first)
    total = training.epochs
    settings = {
        "lr": lr,
        "lr_limit": limit,
        "standardize": scaled,
        "seed": seed,
        "optimizer": "SGD",
        "momentum": rule.momentum,
        "dampening": rule.dampening,
        "nesterov": rule.nesterov,
        "weight_decay": rule.weight_decay,
    }
    total = path.epochs_to_shrink() if total is None else int(total)
    return path, total, settings, survey


def _stepping(
    survey: Survey,
    training: Training,
    held: Quadratic | None,
    stopping: EarlyStopping | None,
) -> Fit:
    survey = survey.best
    scaled = bool(training.standardize)
    seed = training.seed
    if training.start is None:
        seed = 0 if seed is None else int(seed)
    goal = None
    options = training.options
    if training.epochs is None:
        if training.optimizer == "LBFGS":  # it stops by itself long before
            options = {"tolerance_grad": 0.0, "tolerance_change": 0.0} | options
        goal = 0.01 * TOLERANCE * max(survey.optimum_loss, survey.floor)
    loss = loss_of(survey, scaled)
    epochs = MOST_STEPS if training.epochs is None else int(training.epochs)
    steps = walk(
        loss,
        starting_point(survey, training.start, seed, scaled),
        training.optimizer,
        None if training.lr is None else float(training.lr),
        options,
        epochs=epochs,
        goal=goal,
        keep=epochs_kept(len(survey.design.terms)),
        held=held,
        stopping=stopping,
    )
    settings = {
        "lr": steps.lr,
        "standardize": scaled,
        "seed": seed,
        "optimizer": training.optimizer,
        "optimizer_options": plain_settings(options),
        "weight_decay": steps.weight_decay,
        "interrupted": steps.interrupted,
    }
    return walked(survey, steps, settings, epochs, held)


def _check_rule(options: dict[str, Any]) -> None:
    """The settings of SGD that torch takes, and that can converge."""
    unknown = sorted(options.keys() - _SGD.keys())
    if unknown:
        hint = did_you_mean(unknown[0], _SGD, f"it has {', '.join(_SGD)}")
        raise UsageError(f"SGD in closed form has no setting {unknown[0]!r}: {hint}")
    values = _SGD | options
    momentum = real("momentum", values["momentum"])
    dampening = real("dampening", values["dampening"])
    decay = real("weight_decay", values["weight_decay"])
    one_of("nesterov", values["nesterov"], True, False)
    if not 0 <= momentum < 1:
        raise UsageError(
            f"Invalid momentum value: {momentum:g}: give 0 or more, and less than 1, "
            "from where descent never settles"
        )
    if decay < 0:
        raise UsageError(f"Invalid weight_decay value: {decay:g}: give 0 or more")
    if values["nesterov"] and (momentum <= 0 or dampening != 0):
        raise UsageError(
            "Nesterov momentum requires a momentum and zero dampening: give "
            "momentum=0.9, and leave out dampening"
        )
    if dampening >= 1:
        raise UsageError(
            f"dampening is {dampening:g}: give less than 1, or the gradient counts "
            "for nothing after the first epoch"
        )
    if dampening and not momentum:
        raise UsageError(
            "dampening is given without momentum, where it has no effect: give "
            "momentum too, or leave it out"
        )


def _class_name(name: str) -> str:
    """The name of a class of torch.optim as torch writes it."""
    known = {n.casefold(): n for n in vars(torch.optim) if n[:1].isupper()}
    return known.get(name.casefold(), name)


def plain_settings(value: Any) -> Any:
    """Settings as JSON has them."""
    if isinstance(value, dict):
        return {str(k): plain_settings(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_settings(v) for v in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return value if isinstance(value, (bool, int, float, str)) else repr(value)


def _too_fast(
    survey: Survey, rule: Rule, limit: float, is_scaled: bool
) -> DivergenceError:
    using = [
        f"{name} {value:g}"
        for name, value in (
            ("Nesterov's momentum" if rule.nesterov else "momentum", rule.momentum),
            ("dampening", rule.dampening),
            ("weight_decay", rule.weight_decay),
        )
        if value
    ]
    where = f"with {', '.join(using)} the" if using else "the"
    message = (
        f"lr {rule.lr:.6g} diverges here: {where} stability limit is {limit:.6g}; "
        f"give less, such as {limit / 2:.2g}"
    )
    if not is_scaled:
        other = rule.limit(survey.scaled_bowl.ends[0])
        if other > 1.01 * limit:
            message += (
                f", or standardise the features, where the limit is {other:.6g} "
                "(standardize=True, --standardize)"
            )
    return DivergenceError(message + ", or lr='auto'", rule.lr, limit)
