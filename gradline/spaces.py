"""What to search: values of the arguments of `fit`, in a list or from a range.

A list holds choices. A pair (low, high) is a range, both ends included: of whole
numbers where the argument is one (epochs, degree, batch_size, folds, seed,
early_stopping), else of all numbers between, however the ends are written; (low, high,
"log") is one whose numbers are drawn evenly by their logarithm.

Draws are seeded by the seed and the trial's own number, so that a search that goes on
draws what it would have drawn without a break.
"""

from __future__ import annotations

import inspect
import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.checks import WHOLE, real
from gradline.errors import UsageError, did_you_mean, listed

#: A grid of more settings than this is refused.
MOST_SETTINGS = 100_000

#: A space of at most so many settings is drawn from without putting any back.
FEW = 2_000


@dataclass(frozen=True)
class Choice:
    """Some values to choose from.

    Attributes:
        values: any that the argument takes, none twice.
    """

    values: tuple[Any, ...]

    def draw(self, random: np.random.Generator) -> Any:
        """One of them."""
        return self.values[int(random.integers(len(self.values)))]


@dataclass(frozen=True)
class Range:
    """All numbers from low to high.

    Attributes:
        low: the least.
        high: the greatest.
        log: whether they are drawn evenly by their logarithm.
        whole: whether they are whole.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, random: np.random.Generator) -> float | int:
        """One of them."""
        low, high = float(self.low), float(self.high) + self.whole
        if self.log:
            value = math.exp(random.uniform(math.log(low), math.log(high)))
        else:
            value = random.uniform(low, high)
        value = min(max(value, self.low), self.high)
        return math.floor(value) if self.whole else value


Space = dict[str, Choice | Range]


def as_space(search: Any, allowed: Iterable[str]) -> Space:
    """A search as it is given, checked.

    Args:
        search: a dict from names to lists and ranges.
        allowed: the names that may be searched.

    Raises:
        UsageError: an unknown name; values that are neither.
    """
    if not isinstance(search, Mapping) or not search:
        raise UsageError(
            f"search is {search!r}: give a dict of arguments of gl.fit and their "
            "values, such as {'penalty': ['ridge'], 'alpha': (1e-4, 10, 'log')}"
        )
    known = list(allowed)
    for name in search:
        check_name(name, known)
    return {name: _as_values(name, given) for name, given in search.items()}


#: Arguments that are no setting, and why.
_ROWS = "it says which rows or columns are read, and scores of others do not compare"
_FILE = "it says how the file is read, the same for all trials"
_OTHER = {
    "target": "it says what is predicted, and scores of different targets do not "
    "compare: call tune once for each",
    "y": "it says what is predicted, once for all trials",
    "weights": f"{_ROWS}: give weights= once (--weights)",
    "missing": f"{_ROWS}: give missing= once (--missing)",
    "split": f"{_ROWS}: give split= once (--validation, --test)",
    "degenerate": "it says what is refused, not how to fit",
    "delimiter": _FILE,
    "encoding": _FILE,
    "decimal": _FILE,
    "checkpoint": "it is for one fit, and tune makes many",
    "progress": "it shows how reading gets on, and is no setting",
}


def check_name(name: Any, known: list[str]) -> None:
    """Refuse what is no argument that may be searched or fixed."""
    if name in known:
        return
    if name in _OTHER:
        raise UsageError(f"{name} cannot be searched: {_OTHER[name]}")
    hint = did_you_mean(str(name), known, f"known are {listed(known, 40)}")
    raise UsageError(f"tune has no argument {name!r} to set or to search: {hint}")


def draw(space: Space, seed: int, number: int) -> dict[str, Any]:
    """The settings of a trial, by its number."""
    random = np.random.default_rng([seed, number])
    return {name: values.draw(random) for name, values in space.items()}


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination of the choices; the last name changes first.

    Raises:
        UsageError: a range among them, or too many.
    """
    lists = []
    for name, values in space.items():
        if isinstance(values, Range):
            raise UsageError(
                f"a grid needs lists and {name} is searched from {values.low:g} to "
                f"{values.high:g}: give a list, or method='random' (--sampler random)"
            )
        lists.append(values.values)
    count = math.prod(map(len, lists))
    if count > MOST_SETTINGS:
        raise UsageError(
            f"the grid has {count:,} settings and at most {MOST_SETTINGS:,} are tried: "
            "give shorter lists, or method='random' with trials=1000"
        )
    return (dict(zip(space, row, strict=True)) for row in itertools.product(*lists))


def settings_of(space: Space) -> list[dict[str, Any]] | None:
    """Every setting of a space, where there are few; None where there are not."""
    lists: list[Sequence[Any]] = []
    for values in space.values():
        if isinstance(values, Choice):
            lists.append(values.values)
        elif values.whole and not values.log:
            lists.append(range(int(values.low), int(values.high) + 1))
        else:
            return None
    if math.prod(map(len, lists)) > FEW:
        return None
    return [dict(zip(space, row, strict=True)) for row in itertools.product(*lists)]


def at_the_end(name: str, values: Choice | Range, value: Any) -> str | None:
    """Whether a value is the "least" or the "largest" searched, and might be passed.

    Numbers alone, three at least in a list; of a range the last hundredth is its end.
    """
    if isinstance(values, Choice):
        known = [v for v in values.values if _is_number(v)]
        if len(known) < max(3, len(values.values)):
            return None
        low, high, air = min(known), max(known), 0.0
    else:
        low, high = values.low, values.high
        air = 0.0 if values.whole else 0.01
    if not _is_number(value):
        return None
    least, most = _ENDS.get(name, (0, math.inf))
    share = (value - low) / (high - low)
    if getattr(values, "log", False):
        share = math.log(value / low) / math.log(high / low)
    if share <= air and low > least:
        return "least"
    return "largest" if share >= 1 - air and high < most else None


#: Beyond these no value means anything; 0 and no end unless told.
_ENDS: dict[str, tuple[float, float]] = {
    "degree": (1, 30),
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "folds": (2, math.inf),
    "early_stopping": (1, math.inf),
    "l1_ratio": (0, 1),
    "momentum": (0, 1),
    "dampening": (0, 1),
    "seed": (math.inf, -math.inf),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def plain(value: Any) -> Any:
    """A value as JSON has it: what is no number, text or list of such, as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return _said(value)


def same(value: Any) -> Any:
    """What two values share where they are the same setting, to look it up by."""
    if isinstance(value, list | tuple):
        return tuple(same(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, same(v)) for k, v in value.items())
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value).__name__, value


def default_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of a function and their defaults, those without one left out."""
    found = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in found if p.default is not p.empty}


def _said(value: Any) -> str:
    """An object in a line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def _as_values(name: str, given: Any) -> Choice | Range:
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if isinstance(given, tuple):
        return _as_range(name, given)
    if isinstance(given, range):
        given = list(given)
    if not isinstance(given, list):
        raise UsageError(
            f"{name} is searched over {given!r}: give a list of values, [{given!r}], "
            "or a range, (low, high) or (low, high, 'log')"
        )
    values = tuple(given)
    if not values:
        raise UsageError(f"{name} is searched over no values: give some, or leave it")
    for place, value in enumerate(values):
        if same(value) in [same(v) for v in values[:place]]:
            raise UsageError(f"{name} is searched over {value!r} twice: once is enough")
    return Choice(values)


def _as_range(name: str, given: tuple[Any, ...]) -> Range:
    ends, scale = given[:2], given[2:]
    fine = len(ends) == 2 and scale in ((), ("log",), ("linear",))
    fine &= all(
        isinstance(e, numbers.Real) and not isinstance(e, bool | np.bool_) for e in ends
    )
    if not fine:
        raise UsageError(
            f"{name} is searched over {given!r}: a range is (low, high) or (low, high, "
            "'log'), and choices stand in a list, [a, b, c]"
        )
    low, high = (real(name, e) for e in ends)
    log = scale == ("log",)
    if low >= high:
        raise UsageError(
            f"{name} is searched from {low:g} to {high:g}: give low < high"
        )
    if log and low <= 0:
        raise UsageError(
            f"{name} is searched from {low:g} by logarithms: begin above 0, or leave "
            "out 'log'"
        )
    if name not in WHOLE:
        return Range(low, high, log)
    if not (low.is_integer() and high.is_integer()):
        raise UsageError(
            f"{name} is searched from {low:g} to {high:g} and is a whole number: give "
            "whole ends"
        )
    return Range(int(low), int(high), log, True)
