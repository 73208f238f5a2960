"""Data ready to be descended on: the state, the optimum, the dots, the curve.

Everything about the squared loss comes from the state (survey.py); the dots, and what
the five-step loop walks on, alone are rows. So ten million rows cost a page as much as
a hundred, once they have been read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.data import Array, Chunk, Codes, Mask, Progress
from gradline.design import INTERCEPT
from gradline.errors import DataError, UsageError
from gradline.globs import Some
from gradline.heldout import loss_of
from gradline.intake import open_features
from gradline.lab.datasets import Numbers, columns_of, edited
from gradline.lab.density import density
from gradline.lab.files import Files, Opened
from gradline.lab.settings import Setting
from gradline.lab.words import counted
from gradline.prepare import Prepared, prepare
from gradline.quadratic import Quadratic
from gradline.splits import Split
from gradline.survey import Survey, take_survey

#: The column that says of a row of a ready-made set which part it is in.
PART = "which part, says the lab"

#: Coefficients that the lab shows at the most.
MOST_TERMS = 100

#: Rows in memory that a loop walks on, at the most, and numbers in them.
MOST_ROWS = 20_000
MOST_NUMBERS = 1_000_000

#: Rows, and numbers, that a page gets to draw dots from.
DOT_ROWS = 2_000
DOT_NUMBERS = 40_000

#: Where the curve is drawn.
GRID = 121


class Rows(NamedTuple):
    """Rows of one part: terms (n, d), target (n,), and whether these are all."""

    X: Array
    y: Array
    whole: bool


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
    held: Mask
    numbers: Codes


@dataclass(frozen=True)
class Curve:
    """Where one feature makes all terms: x, (g,), and the terms there, (g, d)."""

    x: Array
    terms: Array

    def feature(self, X: Array) -> Array:
        """The feature of rows of terms (m, d): the first term is linear in it."""
        if X.shape[1] == 1:
            return X[:, 0]
        low, high = self.terms[[0, -1], 0]
        share = (X[:, 0] - low) / (high - low)
        found: Array = self.x[0] + share * (self.x[-1] - self.x[0])
        return found


@dataclass(frozen=True)
class Bench:
    """Data, and all that is known of their loss.

    Attributes:
        title: of the data.
        story: one sentence about them; "" of a file.
        prepared: source and design.
        survey: of the training rows.
        held_survey: of the rows held out, or None.
        rows: training rows in memory: all, or some.
        held_rows: the same of those held out, or None.
        dots: rows to draw.
        curve: where one numeric feature makes all terms; else None.
        density: how many rows lie where, when there are more rows than dots.
        editable: whether points can be moved.
        drawn: whether n and noise mean something to the data.
        truth: slope and intercept that they were drawn with, where there are such.
        columns: those of a ready-made set, with their kinds; () for the source's.
        missing: rows that were left out before they were counted: values are missing.
    """

    title: str
    story: str
    prepared: Prepared
    survey: Survey
    held_survey: Survey | None
    rows: Rows
    held_rows: Rows | None
    dots: Dots
    curve: Curve | None
    density: dict[str, Any] | None
    editable: bool = False
    drawn: bool = False
    truth: tuple[float, float] | None = None
    columns: tuple[tuple[str, str], ...] = ()
    missing: int = 0
    memory: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms of the design."""
        return self.survey.design.terms

    @cached_property
    def raw_loss(self) -> Quadratic:
        """The training loss over raw slopes and intercept."""
        return loss_of(self.survey, False)

    @cached_property
    def scaled_loss(self) -> Quadratic:
        """The training loss over slopes of standardised features, and the level."""
        return loss_of(self.survey, True)

    def loss(self, standardize: bool) -> Quadratic:
        """The training loss in the coordinates of a descent."""
        return self.scaled_loss if standardize else self.raw_loss

    @cached_property
    def held(self) -> Quadratic | None:
        """The validation loss over raw slopes and intercept, or None."""
        return None if self.held_survey is None else loss_of(self.held_survey)

    def inward(self, parameters: Array, standardize: bool) -> Array:
        """Raw slopes and intercept (K, d + 1) in the coordinates of a descent."""
        loss = self.loss(standardize)
        scale, mean = loss.scale.numpy(), loss.mean.numpy()
        slopes = parameters[:, :-1]
        return np.column_stack([slopes * scale, parameters[:, -1] + slopes @ mean])

    def remember(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gave for this key before, or gives now; the last few of them."""
        found = self.memory.get(key)  # several pages may ask at once
        if found is None:
            found = make()
            if len(self.memory) > 40:
                self.memory.clear()
            self.memory[key] = found
        return found

    @property
    def dropped(self) -> int:
        """Rows that are left out because a value in them is missing."""
        held = 0 if self.held_survey is None else self.held_survey.tally.dropped
        return self.missing + self.survey.tally.dropped + held

    def _rows_said(self, rows: int) -> str:
        text = counted(rows, "row")
        if self.dropped:
            text += f"; {self.dropped:,} more left out, where a value is missing"
        return text

    def to_dict(self) -> dict[str, Any]:
        """What a page needs to draw the data."""
        design, dots, held = self.survey.design, self.dots, self.held_survey
        whole = self.columns or [
            (c.name, c.kind) for c in self.prepared.whole.columns if c.name != PART
        ]
        rows = self.survey.tally.rows + (0 if held is None else held.tally.rows)
        return {
            "title": self.title,
            "story": self.story,
            "target": design.response,
            "features": list(design.features),
            "terms": list(design.terms),
            "columns": [{"name": name, "kind": kind} for name, kind in whole],
            "rows": self.survey.tally.rows,
            "held_rows": 0 if held is None else held.tally.rows,
            "dropped": self.dropped,
            "rows_said": self._rows_said(rows),
            "X": dots.X,
            "x": None if self.curve is None else self.curve.feature(dots.X),
            "y": dots.y,
            "held": dots.held.astype(int),
            "numbers": dots.numbers,
            "sampled": rows > len(dots.y),
            "curve": None
            if self.curve is None
            else {"x": self.curve.x, "terms": self.curve.terms},
            "editable": self.editable,
            "drawn": self.drawn,
            "truth": None
            if self.truth is None
            else {"slope": self.truth[0], "intercept": self.truth[1]},
            "density": self.density,
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


def make_bench(
    setting: Setting, files: Files | None = None, progress: Progress | None = None
) -> Bench:
    """The bench of a ready-made set or of an opened file.

    Args:
        setting: says which.
        files: those that are open.
        progress: True for a bar; or what is told how reading gets on.

    Raises:
        GradlineError: data that cannot be fitted.
    """
    if setting.data.startswith("file:"):
        if files is None:
            raise UsageError(f"there is no {setting.data[:40]!r}: open the file again")
        opened = files[setting.data]
        seed = setting.seed if setting.validation else None
        key = (setting.target, setting.features, setting.degree)
        return opened.remember(  # type: ignore[no-any-return]
            (*key, setting.validation, seed),
            lambda: _of_file(opened, setting, progress),
        )
    return _of_ready(setting, progress)


def _of_file(opened: Opened, setting: Setting, progress: Progress | None) -> Bench:
    target = setting.target or opened.target
    features = setting.features or opened.features
    split = None
    if setting.validation:
        split = Split(validation=setting.validation, seed=setting.seed)
    prepared = _prepared(opened.source, target, features, split, setting.degree)
    known = _surveyed(prepared, progress)
    count = sum(s.tally.rows for s in known.surveys)
    design = prepared.design
    numeric = len(design.features) == 1 and not design.levels
    picture = None
    if numeric and count > len(known.dots.y):
        picture = density(opened.source, design.features[0], target, progress)
    reach = None
    if numeric and picture is not None:
        reach = (picture["x"][0], picture["x"][1])
    elif numeric and design.encoding is None:
        reach = (float(known.dots.X.min()), float(known.dots.X.max()))
    elif numeric:
        values = [b.numbers(design.features) for b in opened.source.batches(features)]
        column = np.concatenate(values)[:, 0]
        reach = (float(np.nanmin(column)), float(np.nanmax(column)))
    return Bench(
        opened.title,
        "",
        prepared,
        known.surveys[0],
        known.surveys[1] if len(known.surveys) > 1 else None,
        known.rows[0],
        known.rows[1] if len(known.rows) > 1 else None,
        known.dots,
        None if reach is None else _curve(prepared, *reach),
        picture,
    )


def _of_ready(setting: Setting, progress: Progress | None) -> Bench:
    ready, table = columns_of(setting)
    target = setting.target or ready.target
    features = setting.features or ready.features
    columns = tuple(
        (name, "number" if values.dtype.kind in "fiu" else "category")
        for name, values in table.items()
    )
    count = len(next(iter(table.values())))
    numbers: Numbers = np.arange(count, dtype=np.int64)
    known = {name for name in (target, *features) if name in table}
    numeric = all(table[name].dtype.kind in "fiu" for name in known)
    own = len(known) == len(features) + 1  # else prepare says what is wrong
    missing = 0
    editable = own and len(features) == 1 and target not in features and numeric
    if editable:
        pair = np.column_stack([table[features[0]], table[target]])
        complete = np.isfinite(pair).all(axis=1)
        xs, ys = pair[complete].T
        missing = int((~complete).sum())
        numbers, x, y = edited(xs, ys, setting)
        table = {name: values[:0] for name, values in table.items()}
        table |= {features[0]: x, target: y}
    elif own:
        table = dict(table)
        whole = np.ones(count, bool)
        for name in known:
            whole &= np.array([v is not None and v == v for v in table[name]])
        numbers = numbers[whole]
        missing = int((~whole).sum())
        table = {name: values[whole] for name, values in table.items()}
    if len(numbers) < 2:
        raise DataError("there are fewer than two points: add some")
    split = None
    held: Mask = np.zeros(len(numbers), bool)
    if setting.validation:
        draws = np.random.default_rng([setting.seed, 11]).random(int(numbers.max()) + 1)
        held = draws[numbers] < setting.validation
        if held.all():
            held[0] = False
        if not held.any():
            held[-1] = True
        split = Split(column=PART)
    listed = {name: table[name] for name in table if len(table[name]) == len(numbers)}
    if split is not None:
        listed[PART] = np.where(held, "validation", "train")
    prepared = _prepared(listed, target, features, split, setting.degree)
    found = _surveyed(prepared, progress)
    dots = found.dots
    if len(dots.y) == len(numbers):
        order = np.concatenate([numbers[~held], numbers[held]])
        dots = Dots(dots.X, dots.y, dots.held, order)
    curve = None
    if editable:
        curve = _curve(prepared, float(x.min()), float(x.max()))
    picture = None
    if editable and len(dots.y) < len(numbers):
        picture = density(prepared.whole, features[0], target)
    as_drawn = target == ready.target and features == ready.features
    return Bench(
        ready.title,
        ready.story,
        prepared,
        found.surveys[0],
        found.surveys[1] if len(found.surveys) > 1 else None,
        found.rows[0],
        found.rows[1] if len(found.rows) > 1 else None,
        dots,
        curve,
        picture,
        editable and picture is None,
        ready.drawn,
        ready.truth if as_drawn else None,
        columns,
        missing,
    )


def _prepared(
    data: Any, target: str, features: tuple[str, ...], split: Split | None, degree: int
) -> Prepared:
    prepared = prepare(
        data,
        target=target,
        features=features,
        missing="drop",
        split=split,
        degree=degree if degree > 1 else None,
    )
    count = len(prepared.design.terms)
    if count > MOST_TERMS:
        raise DataError(
            f"these features make {count:,} coefficients and the lab shows up to "
            f"{MOST_TERMS}: choose fewer, or fit them all with gradline fit"
        )
    return prepared


class _Surveyed(NamedTuple):
    """Of the training part, and of the validation part where there is one."""

    surveys: list[Survey]
    rows: list[Rows]
    dots: Dots


def _surveyed(prepared: Prepared, progress: Progress | None) -> _Surveyed:
    """The passes over the rows of both parts."""
    size = len(prepared.design.names)
    most = min(MOST_ROWS, MOST_NUMBERS // size)
    surveys, rows = [], []
    for source in (prepared.source, prepared.validation):
        if source is None:
            continue
        expected = source.rows
        found = take_survey(
            source,
            prepared.design,
            progress,
            beside=lambda expected=expected: Some(most, expected),  # type: ignore[misc]
        ).best
        surveys.append(found)
        rows.append(_rows(found, most))
    per_part = min(DOT_ROWS, DOT_NUMBERS // size)
    count = sum(len(part.y) for part in rows)
    shown = [_some(part, max(2, per_part * len(part.y) // count)) for part in rows]
    if count <= per_part:
        shown = list(rows)
    y = np.concatenate([part.y for part in shown])
    held = np.repeat([False, True][: len(shown)], [len(part.y) for part in shown])
    dots = Dots(np.concatenate([p.X for p in shown]), y, held, np.arange(len(y)))
    return _Surveyed(surveys, rows, dots)


def _rows(survey: Survey, most: int) -> Rows:
    """All rows where they are at hand, in order; else some."""
    chunk: Chunk
    if survey.rows is not None:
        chunk = survey.rows
    else:
        assert isinstance(survey.beside, Some)
        chunk = survey.beside.done(most)
    whole = len(chunk.y) == survey.tally.rows
    step = max(1, -(-len(chunk.y) // most))
    if step > 1:
        chunk = Chunk(chunk.X[::step], chunk.y[::step], None)
    return Rows(np.ascontiguousarray(chunk.X), chunk.y, whole and step == 1)


def _some(rows: Rows, most: int) -> Rows:
    """So many of these rows at the most, evenly chosen."""
    if len(rows.y) <= most:
        return rows
    places = np.linspace(0, len(rows.y) - 1, most).astype(np.int64)
    return Rows(rows.X[places], rows.y[places], False)


def _curve(prepared: Prepared, low: float, high: float) -> Curve:
    room = 0.5 * (high - low) or 1.0
    grid = np.linspace(low - room, high + room, GRID)
    features = prepared.design.features
    source = open_features({features[0]: grid}, features)
    parts = [prepared.design.matrix(batch)[0] for batch in source.batches(features)]
    return Curve(grid, np.concatenate(parts))


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
        for _ in range(2):  # the second time takes away what rounding left
            A = A - Q @ (Q.T @ A)
    root: Tensor = torch.zeros(2, 2, dtype=torch.float64)
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
