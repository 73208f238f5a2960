"""Learning curves and validation curves: what a curve is, and how it is shown.

    score = root mean squared error, on the rows that were learned from (training) and
            on rows held out (validation); of several folds the root of their mean
            squared error, and the standard deviation of their roots as the spread

Both far above the noise, and near one another: the model is too simple, it underfits.
Training far below validation: it is too free for so many rows, it overfits.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradline.data import Array
from gradline.spaces import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Curve:
    """What both curves are made of: mean squared errors, (points, folds)."""

    train_errors: Array
    validation_errors: Array

    @property
    def train_rmse(self) -> Array:
        """On the rows learned from, (points,), in units of the target."""
        return _root(self.train_errors)

    @property
    def validation_rmse(self) -> Array:
        """On the rows held out, (points,), in units of the target."""
        return _root(self.validation_errors)

    @property
    def train_spread(self) -> Array:
        """The standard deviation over the folds, (points,); NaN of one fold."""
        return _spread(self.train_errors)

    @property
    def validation_spread(self) -> Array:
        """The standard deviation over the folds, (points,); NaN of one fold."""
        return _spread(self.validation_errors)


def _listed(values: Array) -> list[Any]:
    """An array as JSON has it: what is not finite as None."""
    return [
        _listed(v) if np.ndim(v) else (float(v) if np.isfinite(v) else None)
        for v in values
    ]


@dataclass(frozen=True, repr=False)
class LearningCurve(_Curve):
    """The error by how many rows are learned from.

    Attributes:
        rows: how many, the mean over the folds, (points,), increasing.
        train_errors: mean squared error on those, (points, folds).
        validation_errors: on the rows held out, (points, folds).
        target: what is predicted.
        terms: how many slopes there are.
        how: how rows were held out, in words.
    """

    rows: Array
    train_errors: Array
    validation_errors: Array
    target: str
    terms: int
    how: str

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw both errors over the number of rows.

        Args:
            path: where to write it too: .png, .svg or .pdf.
        """
        from gradline.plots import curve_figure, saved

        figure = curve_figure(
            self.rows,
            (self.train_rmse, self.train_spread),
            (self.validation_rmse, self.validation_spread),
            x_name="rows learned from",
            log=True,
            y_name=f"error of {self.target} (RMSE)",
        )
        return saved(figure, path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it; an error that is infinite is None."""
        return {
            "rows": _listed(self.rows),
            "terms": self.terms,
            "target": self.target,
            "how": self.how,
            "train_rmse": _listed(self.train_rmse),
            "validation_rmse": _listed(self.validation_rmse),
            "train_errors": _listed(self.train_errors),
            "validation_errors": _listed(self.validation_errors),
        }

    def __repr__(self) -> str:
        return f"<LearningCurve of {self.target!r}, {len(self.rows)} sizes, {self.how}>"

    def __str__(self) -> str:
        slopes = f"{self.terms:,} slope{'' if self.terms == 1 else 's'}"
        head = f"{self.target}, {slopes}, {self.how}"
        return _table(head, "rows", [f"{n:,.0f}" for n in self.rows], self, None)

    def _repr_html_(self) -> str:
        """The curve as a notebook shows it."""
        from gradline.notebook import learning_html

        return learning_html(self)


@dataclass(frozen=True, repr=False)
class ValidationCurve(_Curve):
    """The error by the value of one setting.

    Attributes:
        parameter: the setting, an argument of `fit`.
        values: what it was, in the order given.
        train_errors: mean squared error on the rows learned from, (points, folds);
            infinite where a descent diverged.
        validation_errors: on the rows held out, (points, folds).
        target: what is predicted.
        how: how rows were held out, in words.
    """

    parameter: str
    values: tuple[Any, ...]
    train_errors: Array
    validation_errors: Array
    target: str
    how: str

    @property
    def best_index(self) -> int:
        """The place of the value with the least validation error."""
        return int(np.argmin(self.validation_rmse))

    @property
    def best(self) -> Any:
        """The value with the least validation error."""
        return self.values[self.best_index]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw both errors over the values, the best one marked.

        Args:
            path: where to write it too: .png, .svg or .pdf.
        """
        from gradline.plots import curve_figure, saved

        figure = curve_figure(
            self.values,
            (self.train_rmse, self.train_spread),
            (self.validation_rmse, self.validation_spread),
            x_name=self.parameter,
            y_name=f"error of {self.target} (RMSE)",
            best=self.best_index,
        )
        return saved(figure, path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it; an error that is infinite is None."""
        return {
            "parameter": self.parameter,
            "values": [plain(v) for v in self.values],
            "best": plain(self.best),
            "target": self.target,
            "how": self.how,
            "train_rmse": _listed(self.train_rmse),
            "validation_rmse": _listed(self.validation_rmse),
            "train_errors": _listed(self.train_errors),
            "validation_errors": _listed(self.validation_errors),
        }

    def __repr__(self) -> str:
        return (
            f"<ValidationCurve of {self.target!r} over {len(self.values)} values of "
            f"{self.parameter}, best {self.best!r}>"
        )

    def __str__(self) -> str:
        head = f"{self.target} over {self.parameter}, {self.how}"
        shown = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in self.values]
        return _table(head, self.parameter, shown, self, self.best_index)

    def _repr_html_(self) -> str:
        """The curve as a notebook shows it."""
        from gradline.notebook import validation_html

        return validation_html(self)


def _root(errors: Array) -> Array:
    found: Array = np.sqrt(errors.mean(axis=1))
    return found


def _spread(errors: Array) -> Array:
    if errors.shape[1] < 2:
        return np.full(len(errors), np.nan)
    with np.errstate(invalid="ignore"):  # infinite minus infinite
        found: Array = np.sqrt(errors).std(axis=1, ddof=1)
    return found


def _table(head: str, name: str, shown: list[str], curve: _Curve, best: Any) -> str:
    """A line for each point."""
    spread = curve.validation_spread
    known = not np.isnan(spread).all()
    columns = [
        [name, *shown],
        ["training", *(_error_text(v) for v in curve.train_rmse)],
        ["validation", *(_error_text(v) for v in curve.validation_rmse)],
    ]
    if known:
        columns.append(["±", *(_spread_text(v) for v in spread)])
    wide = [max(map(len, column)) for column in columns]
    said = "; root mean squared errors"
    if known:
        said += ", ± their standard deviation over folds"
    lines = [*textwrap.wrap(head + said, 88), ""]
    for place, cells in enumerate(zip(*columns, strict=True)):
        row = "  ".join(c.rjust(w) for c, w in zip(cells, wide, strict=True))
        lines.append(f"  {row}{'  best' if best == place - 1 else ''}")
    return "\n".join(lines)


def _error_text(value: float) -> str:
    return f"{value:#.5g}" if np.isfinite(value) else "diverged"


def _spread_text(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
