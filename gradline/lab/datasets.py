"""Ready-made data for the lab, and what was done to their points by hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from gradline.data import Array
from gradline.errors import UsageError, did_you_mean
from gradline.examples import packaged
from gradline.lab.settings import Setting
from gradline.readers import open_source
from gradline.synth import sample_linear_data

#: Whole numbers, (n,).
Numbers = np.ndarray[Any, np.dtype[np.int64]]

#: Columns by name, (n,) each.
Columns = dict[str, Any]


@dataclass(frozen=True)
class Ready:
    """A ready-made set.

    Attributes:
        name: in a link.
        title: on the page.
        story: one sentence about it.
        target: the column to predict.
        features: the columns to predict from, at first.
        draw: makes the columns; None reads the packaged file `name`.csv.
        truth: slope and intercept of the line it was drawn from, where there is one.
        fixed: whether its points are always the same.
    """

    name: str
    title: str
    story: str
    target: str
    features: tuple[str, ...]
    draw: Callable[[Setting], Columns] | None = None
    truth: tuple[float, float] | None = None
    fixed: bool = False

    @property
    def drawn(self) -> bool:
        """Whether n and noise mean something to it."""
        return self.draw is not None and not self.fixed

    def to_dict(self) -> dict[str, Any]:
        """What a page needs to offer it."""
        return {
            "name": self.name,
            "title": self.title,
            "story": self.story,
            "drawn": self.drawn,
            "real": self.draw is None,
        }


def _random(setting: Setting) -> tuple[Array, Array]:
    """x, uniform on [0, 1), and standard normal noise times the setting's, (n,)."""
    random = np.random.default_rng([setting.seed, 3])
    # Each of its own, so that another noise or another n leaves the points in place.
    x = random.random(2_000)[: setting.n]
    return x, setting.noise * random.standard_normal(2_000)[: setting.n]


def _line(setting: Setting) -> Columns:
    x, y = sample_linear_data(setting.n, 1.0, 0.0, 0.1 * setting.noise, setting.seed)
    return {"x": x, "y": y}


def _steep(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"x": x, "y": 6 * x - 2 + 0.3 * noise}


def _flat(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"x": x, "y": 0.3 * x + 1 + 0.5 * noise}


def _outliers(setting: Setting) -> Columns:
    x, noise = _random(setting)
    y = x + 0.1 * noise
    y[::12] = y[::12] / 2 + 2.5 - 2.5 * x[::12]
    return {"x": x, "y": y}


def _sine(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"x": x, "y": np.sin(2 * np.pi * x) + 0.2 * noise}


def _step(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"x": x, "y": np.where(x > 0.6, 1.0, 0.0) + 0.1 * noise}


def _fan(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"x": x, "y": x + (0.02 + 0.4 * x) * noise}


def _unscaled(setting: Setting) -> Columns:
    x, noise = _random(setting)
    return {"metres": 1000 * x, "price": 50 * x + 10 + 3 * noise}


def _clock(setting: Setting) -> Columns:
    x, noise = _random(setting)
    seconds = 300 * x
    temperature = 20 + 0.02 * seconds + 0.3 * noise
    return {"timestamp": 1.7e9 + seconds, "temperature": temperature}


def _canyon(setting: Setting) -> Columns:
    x, noise = _random(setting)
    other = np.random.default_rng([setting.seed, 5]).standard_normal(2_000)
    near = x + 0.05 * other[: setting.n]
    return {"left": x, "right": near, "y": x + near + 0.1 * noise}


def _few(_: Setting) -> Columns:
    return {"x": np.array([0.2, 0.5, 0.8]), "y": np.array([0.3, 0.4, 0.8])}


READY = {
    r.name: r
    for r in [
        Ready(
            "line",
            "A noisy line",
            "The lesson's own: y = x and noise.",
            "y",
            ("x",),
            _line,
            (1.0, 0.0),
        ),
        Ready(
            "steep",
            "A steep line",
            "The slope is far from where the descent begins: y = 6x - 2.",
            "y",
            ("x",),
            _steep,
            (6.0, -2.0),
        ),
        Ready(
            "flat",
            "Mostly noise",
            "A weak slope under much noise: the loss can fall no further than that.",
            "y",
            ("x",),
            _flat,
            (0.3, 1.0),
        ),
        Ready(
            "outliers",
            "Outliers",
            "One row in twelve lies far off: squares follow them, Huber's loss less.",
            "y",
            ("x",),
            _outliers,
            (1.0, 0.0),
        ),
        Ready(
            "sine",
            "A curve",
            "One period of a sine: a line cannot follow, a polynomial can, or too far.",
            "y",
            ("x",),
            _sine,
        ),
        Ready(
            "unscaled",
            "An unscaled feature",
            "Metres from 0 to 1,000: the loss is a canyon, a million times as steep.",
            "price",
            ("metres",),
            _unscaled,
            (0.05, 10.0),
        ),
        Ready(
            "clock",
            "Timestamps",
            "Five minutes of a warming room, in seconds since 1970: a huge offset.",
            "temperature",
            ("timestamp",),
            _clock,
            (0.02, 20 - 0.02 * 1.7e9),
        ),
        Ready(
            "canyon",
            "Two features alike",
            "They say nearly the same, so how they share the slope is hard to learn.",
            "y",
            ("left", "right"),
            _canyon,
        ),
        Ready(
            "step",
            "A step",
            "No line is right here: see what the best one does.",
            "y",
            ("x",),
            _step,
        ),
        Ready(
            "fan",
            "Growing noise",
            "The larger x, the larger the noise: rows are not equally trustworthy.",
            "y",
            ("x",),
            _fan,
            (1.0, 0.0),
        ),
        Ready(
            "few",
            "Your own points",
            "Three points to begin with: click to add more, drag them, delete them.",
            "y",
            ("x",),
            _few,
            fixed=True,
        ),
        Ready(
            "penguins",
            "Penguins",
            "Three species at Palmer Station, Antarctica: flippers and body mass.",
            "body_mass_g",
            ("flipper_length_mm",),
        ),
        Ready(
            "engel",
            "Engel's law",
            "Income and food expenditure of 235 Belgian households, 1857.",
            "foodexp",
            ("income",),
        ),
        Ready(
            "flights",
            "Flights",
            "6,000 flights out of New York, 2013: delays at both ends, in minutes.",
            "arr_delay",
            ("dep_delay",),
        ),
    ]
}


def columns_of(setting: Setting) -> tuple[Ready, Columns]:
    """The columns of a ready-made set as set.

    Raises:
        UsageError: there is no such set.
    """
    ready = READY.get(setting.data)
    if ready is None:
        hint = did_you_mean(setting.data, READY, f"there are {', '.join(READY)}")
        raise UsageError(f"there is no data set {setting.data[:40]!r}: {hint}")
    table = ready.draw(setting) if ready.draw is not None else _packaged(ready.name)
    return ready, table


@cache
def _packaged(name: str) -> Columns:
    """The columns of a packaged file: numbers, or texts with None where missing."""
    with resources.as_file(packaged(name)) as path:
        source = open_source(path)
        names = [c.name for c in source.columns]
        found: dict[str, list[Any]] = {name: [] for name in names}
        batches: Any = source.batches(names)
        with closing(batches):
            for batch in batches:
                for column in source.columns:
                    if column.kind == "number":
                        part = batch.numbers([column.name])[:, 0]
                    else:
                        codes, levels = batch.category(column.name)
                        part = np.array([*levels, None], object)[codes]
                    found[column.name].append(part)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def edited(x: Array, y: Array, setting: Setting) -> tuple[Numbers, Array, Array]:
    """Points after the edits: their numbers, x and y.

    Args:
        x: of the set, (n,).
        y: of the set, (n,).
        setting: with the edits, and the outliers.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    if setting.outliers:
        random = np.random.default_rng([setting.seed, 7])
        places = random.permutation(len(y))[: setting.outliers]
        y = y.copy()
        y[places] += 6 * y.std() * random.choice([-1.0, 1.0], len(places))
    edits = setting.edits
    x, y = x.copy(), y.copy()
    for place, (px, py) in edits.moved.items():
        if place < len(x):
            x[place], y[place] = px, py
    added = np.array(edits.added).reshape(-1, 2)
    for place, point in edits.moved.items():  # an added one may be moved too
        if len(x) <= place < len(x) + len(added):
            added[place - len(x)] = point
    x, y = np.append(x, added[:, 0]), np.append(y, added[:, 1])
    everyone = np.arange(len(x), dtype=np.int64)
    keep = np.setdiff1d(everyone, np.array(edits.deleted, np.int64))
    return keep, x[keep], y[keep]
