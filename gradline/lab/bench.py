"""Data ready to be descended on: the state, the optimum, the dots, the curve.

Everything about the loss comes from the state (survey.py); the dots alone are rows. So
ten million rows cost a page as much as a hundred, once they have been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradline.data import Array, Progress
from gradline.design import INTERCEPT
from gradline.errors import DataError
from gradline.heldout import loss_of
from gradline.lab.datasets import Numbers, columns_of, edited
from gradline.lab.settings import Setting
from gradline.prepare import Prepared, prepare
from gradline.quadratic import Quadratic
from gradline.splits import Split
from gradline.survey import Survey, take_survey

#: The column that says of a row of a ready-made set which part it is in.
PART = "which part, says the lab"

#: Numbers that a page gets to draw dots from.
DOT_NUMBERS = 40_000

#: Where the curve is drawn.
GRID = 121


@dataclass(frozen=True)
class Dots:
    """Rows to draw.

    Attributes:
        X: terms, (m, d).
        y: target, (m,).
        held: whether a row is held out, (m,).
        numbers: by which a point is edited, (m,).
    """

    X: Array
    y: Array
    held: Any
    numbers: Numbers


@dataclass(frozen=True)
class Bench:
    """Data, and all that is known of their loss.

    Attributes:
        title: of the data.
        story: one sentence about them.
        prepared: source and design.
        survey: of the training rows.
        held: the validation loss over raw slopes and intercept, or None.
        dots: rows to draw.
        curve: x, (g,), and the terms there, (g, d), where one feature makes them all;
            else None.
        editable: whether points can be moved.
        drawn: whether n and noise mean something to the data.
    """

    title: str
    story: str
    prepared: Prepared
    survey: Survey
    held: Quadratic | None
    dots: Dots
    curve: tuple[Array, Array] | None
    editable: bool
    drawn: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms of the design."""
        return self.survey.design.terms

    def loss(self, standardize: bool) -> Quadratic:
        """The training loss in the coordinates of a descent."""
        return loss_of(self.survey, standardize)

    def to_dict(self) -> dict[str, Any]:
        """What a page needs to draw the data."""
        design = self.survey.design
        return {
            "title": self.title,
            "story": self.story,
            "target": design.response,
            "features": list(design.features),
            "terms": list(design.terms),
            "columns": [
                {"name": c.name, "kind": c.kind}
                for c in self.prepared.whole.columns
                if c.name != PART
            ],
            "drawn": self.drawn,
            "truth": None,
            "sampled": self.survey.tally.rows > len(self.survey.sample.y),
            "rows": self.survey.tally.rows,
            "held_rows": int(self.dots.held.sum()) if self.held is not None else 0,
            "X": self.dots.X,
            "y": self.dots.y,
            "held": self.dots.held.astype(int),
            "numbers": self.dots.numbers,
            "curve": None
            if self.curve is None
            else {"x": self.curve[0], "terms": self.curve[1]},
            "editable": self.editable,
            "density": None,
        }


def data_key(setting: Setting) -> tuple[Any, ...]:
    """What of a setting decides about the bench."""
    edits = setting.edits
    return (
        setting.data,
        setting.target,
        setting.features,
        setting.n,
        setting.noise,
        setting.outliers,
        setting.seed,
        edits.added,
        tuple(sorted(edits.moved.items())),
        edits.deleted,
        setting.validation,
        setting.degree,
    )


def make_bench(setting: Setting, progress: Progress | None = None) -> Bench:
    """The bench of a ready-made set.

    Raises:
        GradlineError: data that cannot be fitted.
    """
    ready, table = columns_of(setting)
    target = setting.target or ready.target
    features = setting.features or ready.features
    numbers: Numbers = np.arange(len(next(iter(table.values()))), dtype=np.int64)
    editable = len(features) == 1 and table[features[0]].dtype.kind in "fiu"
    if editable:
        complete = np.isfinite(table[features[0]]) & np.isfinite(table[target])
        x, y = table[features[0]][complete], table[target][complete]
        numbers, x, y = edited(x, y, setting)
        table = {features[0]: x, target: y}
    if len(numbers) < 2:
        raise DataError("there are fewer than two points: add some")
    split = None
    if setting.validation:
        draws = np.random.default_rng([setting.seed, 11]).random(int(numbers.max()) + 1)
        held = draws[numbers] < setting.validation
        if held.all() or not held.any():
            held[0], held[-1] = True, False
        table = table | {PART: np.where(held, "validation", "train")}
        split = Split(column=PART)
    prepared = prepare(
        table,
        target=target,
        features=features,
        missing="drop",
        split=split,
        degree=setting.degree if setting.degree > 1 else None,
    )
    survey = take_survey(prepared.source, prepared.design, progress).best
    part = prepared.validation
    other = None if part is None else take_survey(part, prepared.design, progress)
    samples = [survey.sample] + ([] if other is None else [other.sample])
    X = np.concatenate([s.X for s in samples])
    y = np.concatenate([s.y for s in samples])
    held_out = np.repeat([False, True][: len(samples)], [len(s.y) for s in samples])
    if editable and split is not None:
        held = table[PART] == "validation"
        numbers = np.concatenate([numbers[~held], numbers[held]])
    return Bench(
        ready.title,
        ready.story,
        prepared,
        survey,
        None if other is None else loss_of(other),
        Dots(X, y, held_out, numbers[: len(y)]),
        _curve(prepared, table, features) if editable else None,
        editable,
        ready.drawn,
    )


def _curve(
    prepared: Prepared, table: dict[str, Any], features: tuple[str, ...]
) -> tuple[Array, Array]:
    x = table[features[0]].astype(np.float64)
    room = 0.5 * float(np.ptp(x)) or 1.0
    grid = np.linspace(x.min() - room, x.max() + room, GRID)
    from gradline.intake import open_features

    source = open_features({features[0]: grid}, prepared.design.features)
    parts = [
        prepared.design.matrix(batch)[0]
        for batch in source.batches(prepared.design.features)
    ]
    return grid, np.concatenate(parts)


def surface(loss: Quadratic, axes: tuple[int, int]) -> dict[str, Any]:
    """The loss over two parameters of a descent, the others at their best.

    Args:
        loss: in the coordinates of the descent.
        axes: their places among slopes and intercept.

    Returns:
        centre (2,), base, and root (2, 2): loss = base + ½‖root (a - centre)‖².
    """
    J = loss.J
    best = torch.linalg.lstsq(J, loss.target[:, None], driver="gelsd").solution[:, 0]
    A = J[:, list(axes)]
    rest = J[:, [i for i in range(J.shape[1]) if i not in axes]]
    if rest.shape[1]:
        Q = torch.linalg.qr(rest).Q
        for _ in range(2):
            A = A - Q @ (Q.T @ A)
    root = torch.zeros(2, 2, dtype=torch.float64)
    R = torch.linalg.qr(A, mode="r").R
    root[: R.shape[0]] = R
    return {
        "centre": best[list(axes)].numpy(),
        "base": loss.optimum_loss,
        "root": root.numpy(),
    }


def axes_of(bench: Bench, wanted: tuple[str, ...]) -> tuple[int, int]:
    """The places of two terms among slopes and intercept: those named, or the first."""
    known = [*bench.terms, INTERCEPT]
    if len(wanted) == 2 and wanted[0] != wanted[1] and set(wanted) <= set(known):
        return known.index(wanted[0]), known.index(wanted[1])
    return (0, 1)
