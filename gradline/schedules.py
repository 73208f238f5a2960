"""How the learning rate changes while minibatches go by.

With T batches in the whole run and E in an epoch, batch t (from 0) is stepped with lr ×

    constant   1
    inverse    1 / (1 + t/E)
    linear     1 - t/T
    cosine     (1 + cos(π·t/T)) / 2

Any other name is a class of torch.optim.lr_scheduler, with its settings behind a colon:
"StepLR:step_size=2,gamma=0.5", "MultiStepLR:milestones=3,6,gamma=0.1". As torch means
them, OneCycleLR and CyclicLR change the rate after each batch and all others after each
epoch; ReduceLROnPlateau goes by the mean loss of an epoch's batches.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer, lr_scheduler

from gradline.errors import UsageError, closest, did_you_mean

OWN = ("constant", "inverse", "linear", "cosine")

#: Schedulers of torch that go by batches.
BY_BATCH = ("OneCycleLR", "CyclicLR")

#: Those that no name and numbers can say, and why.
_WANT_CODE = {
    "LambdaLR": "wants a Python function",
    "MultiplicativeLR": "wants a Python function",
    "SequentialLR": "is made of other schedulers",
    "ChainedScheduler": "is made of other schedulers",
}


@dataclass(frozen=True)
class Schedule:
    """A schedule by name, with the settings of torch's.

    Attributes:
        name: one of OWN, or of a class in torch.optim.lr_scheduler.
        options: its settings.
    """

    name: str = "constant"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether it is one of those above."""
        return self.name in OWN

    @property
    def by_loss(self) -> bool:
        """Whether it looks at the loss."""
        return self.name == "ReduceLROnPlateau"

    @property
    def moves_momentum(self) -> bool:
        """Whether it changes the momentum too."""
        return self.name in BY_BATCH

    def factor(self, batch: int, per_epoch: int, total: int) -> float:
        """What lr is multiplied with at a batch of the run, counted from 0."""
        share = batch / max(1, total)
        if self.name == "inverse":
            return 1 / (1 + batch / per_epoch)
        if self.name == "linear":
            return max(0.0, 1 - share)
        if self.name == "cosine":
            return (1 + math.cos(math.pi * min(1.0, share))) / 2
        return 1.0

    def __str__(self) -> str:
        given = ",".join(f"{k}={_text(v)}" for k, v in self.options.items())
        return f"{self.name}:{given}" if given else self.name


def as_schedule(value: Any) -> Schedule:
    """A schedule from what `fit` takes.

    Args:
        value: None or "constant"; "inverse", "linear", "cosine"; "StepLR:step_size=2";
            or a dict, {"name": "StepLR", "step_size": 2}.

    Raises:
        UsageError: no such schedule, or not such a setting.
    """
    if value is None:
        return Schedule()
    if isinstance(value, Schedule):
        return value
    options: dict[str, Any] = {}
    if isinstance(value, dict):
        options = dict(value)
        value = options.pop("name", None)
    if not isinstance(value, str):
        raise UsageError(
            f"schedule is {value!r}: give one of {', '.join(map(repr, OWN))}, or the "
            "name of a class in torch.optim.lr_scheduler, 'StepLR:step_size=2'"
        )
    name, _, rest = value.partition(":")
    last = ""
    for part in filter(None, rest.split(",")):
        key, equals, text = part.partition("=")
        if not equals and last and not isinstance(_number(_bare(part)), str):
            before = options[last]  # a list: milestones=3,6
            listed = before if isinstance(before, list) else [before]
            options[last] = [*listed, _number(_bare(part))]
            continue
        if not equals or ":" in text or "=" in text:
            raise UsageError(
                f"the schedule {value!r} has {part!r} where NAME=VALUE is meant: write "
                "StepLR:step_size=2,gamma=0.5"
            )
        last = key.strip()
        number = _number(_bare(text))
        options[last] = [number] if text.strip()[:1] in ("[", "(") else number
    if isinstance(options.get("milestones"), int):
        options["milestones"] = [options["milestones"]]
    found = Schedule(_known(name.strip()), options)
    if found.own and options:
        raise UsageError(
            f"the schedule {found.name!r} has no settings: leave out "
            f"{', '.join(options)}"
        )
    if not found.own:  # settings are refused here, before any data are read
        probe = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        _try(found, Rates(found, probe, per_epoch=10, epochs=None), probe)
    return found


def _known(name: str) -> str:
    classes = {
        n: k
        for n, k in vars(lr_scheduler).items()
        if isinstance(k, type)
        and issubclass(k, lr_scheduler.LRScheduler)
        and not n.startswith("_")
        and k is not lr_scheduler.LRScheduler
        and n not in _WANT_CODE
    }
    by_folded = {n.casefold(): n for n in (*OWN, *classes)}
    found = by_folded.get(name.casefold())
    if found is None and name in _WANT_CODE:
        raise UsageError(
            f"the schedule {name} is not supported, for it {_WANT_CODE[name]}, which a "
            "name with settings cannot say: name another one, or write the loop "
            "yourself around gl.descend"
        )
    if found is None:
        known = f"give {', '.join(OWN)} or a class of torch.optim.lr_scheduler"
        hint = did_you_mean(name, by_folded.values(), known)
        raise UsageError(f"there is no schedule {name!r}: {hint}")
    return found


def _try(schedule: Schedule, rates: Rates, optimizer: Optimizer) -> None:
    """Some steps, for what torch refuses only then.

    Raises:
        UsageError: a setting of another kind, or of a value that cannot work.
    """
    optimizer.step()
    try:
        for _ in range(3):
            rates.after()
            rates.end_epoch(1.0)
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        raise _refused(schedule, error) from None


def _refused(schedule: Schedule, error: Exception) -> UsageError:
    return UsageError(
        f"torch.optim.lr_scheduler.{schedule.name} refuses: {error}; write its "
        f"settings as {schedule.name}:name=value, with numbers, and not {schedule}"
    )


def _bare(text: str) -> str:
    return text.strip().strip("[]()").strip()


def _text(value: Any) -> str:
    """A setting as it may be written in a schedule's name."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def _number(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.casefold() in words:
        return words[text.casefold()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class Rates:
    """The learning rates of a run, one batch after another.

        rates = Rates(schedule, optimizer, per_epoch=40, epochs=10)
        for t in range(...):
            rates.before(t)     # sets the optimiser's lr
            ...                 # the step
            rates.after(t)      # torch's schedulers move on
        rates.end_epoch(loss)   # after each epoch

    Args:
        schedule: which.
        optimizer: whose lr is set; what it has now is the lr above.
        per_epoch: batches in an epoch.
        epochs: of the whole run; None where that is not known yet.

    Raises:
        UsageError: a setting that torch refuses, or fewer steps than the run has.
    """

    def __init__(
        self,
        schedule: Schedule,
        optimizer: Optimizer,
        per_epoch: int,
        epochs: int | None,
    ) -> None:
        self.schedule = schedule
        self._optimizer = optimizer
        self._per_epoch, self._total = per_epoch, per_epoch * (epochs or 10)
        self._known = epochs is not None
        self._base = [group["lr"] for group in optimizer.param_groups]
        self._torch: Any = None
        if not schedule.own:
            self._torch = self._made(epochs or 10)

    def before(self, batch: int) -> None:
        """Set the rate for a batch of the run, counted from 0."""
        if self._torch is None and self.schedule.name != "constant":
            factor = self.schedule.factor(batch, self._per_epoch, self._total)
            for group, base in zip(
                self._optimizer.param_groups, self._base, strict=True
            ):
                group["lr"] = base * factor

    def after(self) -> None:
        """A batch is done."""
        if self.schedule.name in BY_BATCH:
            self._torch.step()

    def end_epoch(self, loss: float) -> None:
        """An epoch is done, the mean loss of whose batches was this."""
        if self._torch is None or self.schedule.name in BY_BATCH:
            return
        self._torch.step(*([loss] if self.schedule.by_loss else []))

    def state(self) -> dict[str, Any]:
        """What it takes to go on later: plain numbers."""
        if self._torch is None:
            return {}
        plain = (int, float, str, bool, list, type(None))
        return {
            k: v for k, v in self._torch.state_dict().items() if isinstance(v, plain)
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if self._torch is not None:
            self._torch.load_state_dict(state)

    def _made(self, epochs: int) -> Any:
        kind = getattr(lr_scheduler, self.schedule.name)
        options = dict(self.schedule.options)
        known = inspect.signature(kind).parameters
        for name in options:
            if name not in known or name in ("optimizer", "last_epoch"):
                near = closest(name, known)
                hint = (
                    f"did you mean {near!r}?" if near else "see torch's documentation"
                )
                raise UsageError(
                    f"the schedule {self.schedule.name} has no setting {name!r}: {hint}"
                )
        if self.schedule.name == "OneCycleLR":
            own = {"epochs", "steps_per_epoch"} & options.keys()
            if not own:
                options.setdefault("total_steps", self._total)
            steps = options.get("total_steps")
            short = isinstance(steps, int) and 0 < steps < self._total
            if self._known and short:
                raise UsageError(
                    f"OneCycleLR has total_steps={steps:,} and this run has "
                    f"{self._total:,} steps: leave total_steps out, or give as many"
                )
        if self.schedule.name == "CosineAnnealingLR":
            options.setdefault("T_max", epochs)
        try:
            return kind(self._optimizer, **options)
        except (TypeError, ValueError, KeyError, AssertionError) as error:
            raise _refused(self.schedule, error) from None
