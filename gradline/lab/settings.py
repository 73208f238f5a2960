"""Everything that can be set in the lab, with its bounds: what a link holds.

A setting comes from a browser, so nothing in it is believed: unknown names, other types
and numbers out of bounds are refused in a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from gradline.errors import UsageError, did_you_mean
from gradline.lab.words import number as shown

#: Points that may be added, moved or deleted by hand.
MOST_EDITS = 1_000

#: Steps of a run: those in closed form cost nothing, those of a loop do.
MOST_STEPS = 1_000_000
MOST_LOOP_STEPS = 20_000


@dataclass(frozen=True)
class Edits:
    """What was done to the points of a ready-made set by hand.

    Attributes:
        added: x and y of each new point.
        moved: x and y by the number of the point.
        deleted: numbers of points.
    """

    added: tuple[tuple[float, float], ...] = ()
    moved: dict[int, tuple[float, float]] = field(default_factory=dict)
    deleted: tuple[int, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One state of the lab.

    Attributes:
        data: the name of a ready-made set, or "file:" and the number of an opened one.
        target: its column; None for the set's own.
        features: its columns; () for the set's own.
        n: rows of a set that is drawn.
        noise: of a set that is drawn, as a multiple of its own.
        outliers: how many rows are thrown far off.
        seed: of the draw, of the start, of the parts and of the batches.
        edits: points added, moved and deleted by hand.
        validation: the share of rows held out.
        degree: of the polynomial.
        standardize: descend on features of mean 0 and standard deviation 1.
        optimizer: of torch.optim.
        lr: the learning rate.
        momentum: of SGD.
        nesterov: Nesterov's momentum.
        weight_decay: of the optimiser.
        batch_size: rows in a batch; 0 for all.
        loss: "squared", "huber" or "absolute".
        delta: where Huber's loss turns from squared to absolute, as a multiple of the
            residuals' own robust scale (goals.py).
        epochs: how long the run is.
        start: weights and bias at step 0, in the coordinates of the descent; () draws.
        mistake: the name of one of mistakes.py, or "".
        axes: the two terms whose loss is drawn; () for the first two.
    """

    data: str = "line"
    target: str | None = None
    features: tuple[str, ...] = ()
    n: int = 100
    noise: float = 1.0
    outliers: int = 0
    seed: int = 0
    edits: Edits = field(default_factory=Edits)
    validation: float = 0.0
    degree: int = 1
    standardize: bool = False
    optimizer: str = "SGD"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    batch_size: int = 0
    loss: str = "squared"
    delta: float = 1.35
    epochs: int = 200
    start: tuple[float, ...] = ()
    mistake: str = ""
    axes: tuple[str, ...] = ()


#: name: (least, most)
BOUNDS: dict[str, tuple[float, float]] = {
    "n": (2, 2_000),
    "noise": (0, 20),
    "outliers": (0, 50),
    "seed": (0, 2**31 - 1),
    "validation": (0, 0.8),
    "degree": (1, 15),
    "lr": (1e-15, 1e6),
    "momentum": (0, 0.999),
    "weight_decay": (0, 1e6),
    "batch_size": (0, 1_000_000),
    "delta": (0.01, 1_000),
    "epochs": (1, MOST_STEPS),
}

#: What the page calls them, where that is another name.
NAMES = {
    "n": "the number of points",
    "noise": "the noise",
    "seed": "the number of the draw",
    "validation": "the validation share",
    "degree": "the degree",
    "lr": "the learning rate",
    "weight_decay": "the weight decay",
    "batch_size": "the batch size",
    "delta": "Huber's delta",
    "epochs": "the number of epochs",
}

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"),
    "loss": ("squared", "huber", "absolute"),
}


def parse(given: Any) -> Setting:
    """A setting from what a page sent.

    Raises:
        UsageError: it is no setting; the message says which entry.
    """
    if not isinstance(given, dict):
        raise UsageError("a setting is an object of names and values")
    known = {f.name: f for f in fields(Setting)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(
                f"there is no setting {str(name)[:40]!r}: "
                f"{did_you_mean(str(name)[:40], known, 'see settings.py')}"
            )
        values[name] = _value(name, value)
    return Setting(**values)


def _value(name: str, value: Any) -> Any:
    if name in BOUNDS:
        low, high = BOUNDS[name]
        whole = isinstance(getattr(Setting, name), int)
        number, said = _number(name, value), NAMES.get(name, name)
        if not low <= number <= high:
            raise UsageError(
                f"{said} can be from {shown(low)} to {shown(high)}, and not "
                f"{shown(number)}"
            )
        if whole and number != int(number):
            raise UsageError(f"{said} can only be whole, and not {shown(number)}")
        return int(number) if whole else number
    if name in ("standardize", "nesterov"):
        if not isinstance(value, bool):
            raise UsageError(f"{name} is {value!r:.40}: give true or false")
        return value
    if name == "edits":
        return _edits(value)
    if name == "start":
        return tuple(_number("start", v) for v in _items(name, value, 1_000))
    if name in ("features", "axes"):
        return tuple(_text(name, v) for v in _items(name, value, 1_000))
    if name == "target" and value is None:
        return None
    text = _text(name, value)
    if name in CHOICES and text not in CHOICES[name]:
        raise UsageError(f"{name} is {text!r:.40}: give {', '.join(CHOICES[name])}")
    return text


def _edits(value: Any) -> Edits:
    if not isinstance(value, dict) or value.keys() - {"added", "moved", "deleted"}:
        raise UsageError("edits is an object of added, moved and deleted")
    added = tuple(_pair(v) for v in _items("added", value.get("added", []), MOST_EDITS))
    moved = value.get("moved", {})
    if not isinstance(moved, dict) or len(moved) > MOST_EDITS:
        raise UsageError(f"moved is an object of up to {MOST_EDITS:,} points")
    places = {_place(k): _pair(v) for k, v in moved.items()}
    deleted = tuple(
        _place(v) for v in _items("deleted", value.get("deleted", []), MOST_EDITS)
    )
    return Edits(added, places, deleted)


def _place(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number < 2_000 + MOST_EDITS:
        raise UsageError(f"{value!r:.40} is no number of a point")
    return number


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise UsageError("a point is [x, y]")
    return _number("x", value[0]), _number("y", value[1])


def _items(name: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise UsageError(f"{name} is a list of up to {most:,}")
    return value


def _number(name: str, value: Any) -> float:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not plain or not abs(value) <= 1e100:  # NaN is not, either
        raise UsageError(f"{name} is {value!r:.40}: give a number")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1_000:
        raise UsageError(f"{name} is {value!r:.40}: give a text of up to 1,000 letters")
    return value
