"""Following a run: what every consumer of the generator of steps shares.

A consumer takes steps and yields each of them on, so that consumers stand one inside
another around the loop:

    for step in gl.progress(gl.log_jsonl(gl.descend(model, x, y), "run.jsonl")):
        ...

Each is a `Followed`: an iterator, and a context manager for one that has a name.

A step is whatever has `.epoch` and `.loss`: gl.Step, those of `fit.steps()`, or your
own. Its numbers may still be on their way from a device, so they are looked at only
when they are written: at the first step, whenever the place passes a multiple of
`every`, and at the last.

    place = the epoch; where an epoch has several steps, how many there were so far
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from gradline.checks import whole
from gradline.errors import UsageError

#: A parameter of more numbers than this is written as its Euclidean norm.
MOST_NUMBERS = 100

_ELSE = re.compile(r"[^-\w.]+")

#: How a run ended, as far as its consumer can know: "left" is a break in the loop
#: around it; or an error there, which it sees only as a context manager.
Ending = Literal["finished", "left", "failed"]

S = TypeVar("S")


@dataclass(frozen=True)
class FitStep:
    """An epoch of a fit's descent, after the fact: what `fit.steps()` yields.

    Unlike gl.Step, whose loss is that before its update, `loss` is the loss at these
    very weights.

    Attributes:
        epoch: 0 is the start.
        loss: at these weights.
        weight: the slopes by term, in the units of the input.
        bias: the intercept; None for a design without one.
        validation_loss: of the validation part; None where there is none.
    """

    epoch: int
    loss: float
    weight: dict[str, float]
    bias: float | None = None
    validation_loss: float | None = None


class Sink(Protocol):
    """Where steps are written."""

    def open(self) -> None:
        """Begin, just before the first step is asked for."""

    def write(self, place: int, step: Any) -> None:
        """Write a step."""

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        """End, after so many steps, however the run ended."""


def last(steps: Iterable[S]) -> S | None:
    """Run steps to the end, and return the last of them; None if there was none.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
    """
    found = None
    for found in steps:  # noqa: B007
        pass
    return found


class Followed(Iterator[S]):
    """Steps that are written somewhere while they pass, as `gl.log_jsonl` returns them.

    An iterator of the steps, and a context manager: what is written is closed at the
    end of the block, and an error in it is seen. Written in the `for` itself, it is
    closed when the loop is left; bound to a name, it is open until the end of the
    steps, of the block, or `close()`.
    """

    def __init__(self, steps: Iterable[S], sink: Sink, every: int) -> None:
        # No reference to self in it: dropped with the last name of this, it is closed.
        self._steps = _following(steps, sink, every)

    def __iter__(self) -> Followed[S]:
        return self

    def __next__(self) -> S:
        return next(self._steps)

    def __enter__(self) -> Followed[S]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, GeneratorExit):
            self.close()
        else:
            self.fail(error)

    def close(self) -> None:
        """End what is written, as left early where steps are left; twice is no harm."""
        self._steps.close()

    def fail(self, error: BaseException) -> None:
        """End what is written, as failed, unless it has ended.

        Args:
            error: what happened in the loop; it is noted, and not raised.
        """
        trace = error.__traceback__
        try:
            self._steps.throw(error)
        except BaseException as found:
            # A StopIteration comes out of a generator as the cause of another error.
            if found is not error and found.__cause__ is not error:
                raise
        finally:
            error.__traceback__ = trace


def followed(steps: Iterable[S], sink: Sink, every: int) -> Followed[S]:
    """Yield each step on, and write some of them to a sink.

    The sink is closed also where the loop is left early, and so are the steps.

    Args:
        steps: what gl.descend yields.
        sink: where they are written.
        every: how far apart, in epochs or batches.
    """
    return Followed(steps, sink, every)


def _following(steps: Iterable[S], sink: Sink, every: int) -> Generator[S]:
    place = written = count = 0
    missed = None  # the last step, if it was not written
    ending: Ending = "finished"
    failure: BaseException | None = None
    source = iter(steps)
    sink.open()
    try:
        for step in source:
            epoch = epoch_of(step)
            place = epoch if count == 0 else max(place + 1, epoch)
            missed = step
            if count == 0 or place // every != written // every:
                sink.write(place, step)
                written, missed = place, None
            count += 1
            yield step
    except GeneratorExit:
        ending = "left"
        raise
    except BaseException as error:
        ending, failure = "failed", error
        raise
    finally:
        _close(source, failure)
        try:
            if missed is not None:
                sink.write(place, missed)
        finally:
            sink.close(ending, failure, count)


class Tags:
    """Names as TensorBoard and MLflow take them, no two of them the same."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name with _ for what is no letter, digit, dot, dash or slash."""
        if name not in self._known:
            parts = [_ELSE.sub("_", part).strip("_.") for part in name.split("/")]
            tag = whole_tag = "/".join(part[:80] for part in parts if part) or "_"
            number = 1
            while tag in self._known.values():
                number += 1
                tag = f"{whole_tag}_{number}"
            self._known[name] = tag
        return self._known[name]


def check_steps(steps: Any, every: Any, call: str) -> int:
    """Refuse what are no steps, before anything is opened; return `every`, checked.

    Args:
        steps: what was given.
        every: what was given.
        call: the function's name.
    """
    if hasattr(steps, "coefficients"):
        hint = "its descent is fit.steps()"
        if call == "log_mlflow":
            hint += "; all of it goes by log_fit_mlflow(fit)"
        raise UsageError(f"{call} follows steps and was given a fit: {hint}")
    if not isinstance(steps, Iterable) or isinstance(steps, str | bytes | dict):
        raise UsageError(
            f"{call} follows steps and was given a {type(steps).__name__}: give "
            "gl.descend(...) or fit.steps()"
        )
    return whole("every", every, 1)


def epoch_of(step: Any) -> int:
    """The epoch of a step; refused where it has none."""
    try:
        return int(step.epoch)
    except (AttributeError, TypeError, ValueError):
        raise UsageError(
            f"these steps yield a {type(step).__name__}, which has no epoch: give "
            "gl.descend(...) or fit.steps(), whose steps have .epoch and .loss"
        ) from None


def numbers_of(step: Any) -> dict[str, Any]:
    """What is written of a step: loss, gradient norm and parameters by name.

    Returns:
        Floats, and lists or dicts of them for a parameter of several numbers. One of
        more than MOST_NUMBERS is its norm, under NAME_norm.
    """
    loss = getattr(step, "loss", None)
    if loss is None:
        raise UsageError(
            f"these steps yield a {type(step).__name__}, which has no loss: give "
            "gl.descend(...) or fit.steps(), whose steps have .epoch and .loss"
        )
    found: dict[str, Any] = {"loss": float(loss)}
    for name in ("validation_loss", "gradient_norm"):
        value = getattr(step, name, None)
        if value is not None:
            found[name] = float(value)
    parameters = getattr(step, "parameters", None)
    if not isinstance(parameters, dict):
        names = ("weight", "bias")
        parameters = {name: getattr(step, name, None) for name in names}
    for name, value in parameters.items():
        if value is not None:
            found |= _parameter(str(name), value)
    return found


def scalars_of(step: Any) -> dict[str, float]:
    """The same as numbers only: weight/0, weight/1, or weight/TERM."""
    found: dict[str, float] = {}
    for name, value in numbers_of(step).items():
        if isinstance(value, dict):
            found |= {f"{name}/{part}": number for part, number in value.items()}
        elif isinstance(value, list):
            found |= {f"{name}/{part}": number for part, number in enumerate(value)}
        else:
            found[name] = value
    return found


def plain_params(params: dict[str, Any] | None) -> dict[str, Any]:
    """Settings to remember with a run, as JSON has them; what it has not, in words."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise UsageError(
            f"params is a {type(params).__name__}: give a dict, such as "
            "params={'lr': 0.1}"
        )
    return {str(name): _plain(value) for name, value in params.items()}


def flat_params(params: dict[str, Any]) -> dict[str, Any]:
    """Plain settings without dicts in them: split.seed for {"split": {"seed": 0}}."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, dict):
            inner = flat_params(value)
            found |= {f"{name}.{part}": inside for part, inside in inner.items()}
        else:
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside) for inside in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _parameter(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        if len(value) <= MOST_NUMBERS:
            return {name: {str(k): float(v) for k, v in value.items()}}
        return {f"{name}_norm": math.hypot(*map(float, value.values()))}
    if hasattr(value, "detach"):  # a tensor, on whatever device
        value = value.detach().double().cpu().numpy()
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.size > MOST_NUMBERS:
        return {f"{name}_norm": float(np.linalg.norm(numbers))}
    if numbers.size == 1:
        return {name: float(numbers.reshape(-1)[0])}
    if numbers.ndim == 2 and len(numbers) == 1:  # the one row of a line's weight
        numbers = numbers[0]
    return {name: numbers.reshape(-1).tolist()}


def _close(source: Iterator[Any], failure: BaseException | None) -> None:
    """Close what steps come from; one that is followed is told why."""
    if failure is not None and isinstance(source, Followed):
        source.fail(failure)
        return
    close = getattr(source, "close", None)
    if close is not None:
        close()
