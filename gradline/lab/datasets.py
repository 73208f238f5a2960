"""Ready-made data for the lab, and what was done to their points by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from gradline.data import Array
from gradline.errors import UsageError, did_you_mean
from gradline.lab.settings import Setting
from gradline.synth import sample_linear_data

#: Whole numbers, (n,).
Numbers = np.ndarray[Any, np.dtype[np.int64]]


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
    """

    name: str
    title: str
    story: str
    target: str
    features: tuple[str, ...]
    draw: Callable[[Setting], dict[str, Array]] | None = None

    @property
    def drawn(self) -> bool:
        """Whether n and noise mean something to it."""
        return self.draw is not None


def _line(setting: Setting) -> dict[str, Array]:
    x, y = sample_linear_data(setting.n, 1.0, 0.0, 0.1 * setting.noise, setting.seed)
    return {"x": x, "y": y}


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
        ),
        Ready(
            "penguins",
            "Penguins",
            "Three species at Palmer Station, Antarctica: flippers and body mass.",
            "body_mass_g",
            ("flipper_length_mm",),
        ),
    ]
}


def columns_of(setting: Setting) -> tuple[Ready, dict[str, Any]]:
    """The columns of a ready-made set as set, its points as edited.

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
def _packaged(name: str) -> dict[str, Any]:
    import pyarrow.csv

    file = resources.files("gradline.lab").joinpath("data", f"{name}.csv")
    with file.open("rb") as stream:
        table = pyarrow.csv.read_csv(stream)
    return {c: table[c].to_numpy(zero_copy_only=False) for c in table.column_names}


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
    if edits.added:
        more = np.array(edits.added)
        x, y = np.append(x, more[:, 0]), np.append(y, more[:, 1])
    everyone = np.arange(len(x), dtype=np.int64)
    keep = np.setdiff1d(everyone, np.array(edits.deleted, np.int64))
    return keep, x[keep], y[keep]
