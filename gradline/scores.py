"""How well predictions match, what a descent left behind, and rows to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradline.data import Array, Chunk, Source
from gradline.design import Design, Tally
from gradline.errors import DataError


class Scores(Mapping[str, float]):
    """How well predictions match: also a mapping, scores["r2"].

    Attributes:
        r2: 1 - Σ w·residual² / Σ w·(y - mean of y)²; NaN where y is constant, as
            scikit-learn's r2_score. Only in a fit's own table, `fit.metrics`, and
            without intercept, Σ w·y² is below, as in R and statsmodels: it is no figure
            to compare with others.
        rmse: root mean squared error, in units of y.
        mae: mean absolute error, in units of y. A fit of many rows measures it when it
            is first asked for, by another pass over its data; NaN where those are gone.
        rows: how many rows were scored.
        part: which rows: "train", "validation" or "test", or the name of the data;
            None for the rows of the fit.
        unseen: how many more rows there were, left out because they have a level that
            the training part has not.
        dropped: how many more there were, left out as incomplete.
        note: a warning in plain words, or None.
        origin: whether r2 is that of a fit's own table, about 0; tables say so.
    """

    _NAMES = ("r2", "rmse", "mae", "rows")
    part: str | None = None
    unseen: int = 0
    dropped: int = 0
    note: str | None = None
    origin: bool = False

    def __init__(
        self, r2: float, rmse: float, mae: float | Callable[[], float], rows: int
    ) -> None:
        self.r2 = r2
        self.rmse = rmse
        self.rows = rows
        self._mae = mae

    @property
    def mae(self) -> float:
        """Mean absolute error, in units of y."""
        if callable(self._mae):
            self._mae = self._mae()
        return self._mae

    def named(self, part: str, unseen: int = 0, note: str | None = None) -> Scores:
        """The same scores, saying of which rows they are."""
        found = Scores(self.r2, self.rmse, self._mae, self.rows)
        found.part, found.unseen, found.note = part, unseen, note
        found.dropped = self.dropped
        return found

    def to_dict(self) -> dict[str, Any]:
        """The scores at hand, and of which rows they are, for JSON."""
        return {**self.at_hand, "part": self.part, "unseen": self.unseen}

    @property
    def at_hand(self) -> dict[str, float]:
        """The scores that need no pass over the data: mae is NaN if it needs one."""
        mae = math.nan if callable(self._mae) else self._mae
        return {"r2": self.r2, "rmse": self.rmse, "mae": mae, "rows": self.rows}

    def __getitem__(self, name: str) -> float:
        if name not in self._NAMES:
            raise KeyError(name)
        value: float = getattr(self, name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._NAMES)

    def __len__(self) -> int:
        return len(self._NAMES)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scores) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash((self.r2, self.rmse, self.rows))

    def __str__(self) -> str:
        from gradline.terminal import scores_line

        return scores_line(self)

    def _repr_html_(self) -> str:
        """The scores as a notebook shows them."""
        from gradline.notebook import scores_html

        return scores_html(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.at_hand.items())
        shown = shown if self.part is None else f"{self.part!r}, {shown}"
        shown += f", unseen={self.unseen}" if self.unseen else ""
        shown += f", dropped={self.dropped}" if self.dropped else ""
        return f"Scores({shown})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mae": self.at_hand["mae"]}


@dataclass(frozen=True)
class Trace:
    """The history of a descent: entry i is the state after `epochs[i]` epochs.

    Epoch 0 is the start. All epochs are here up to 10,000 of them; of longer runs a
    selection, the first and the last always among it.

    Attributes:
        epochs: (K,) int64, increasing.
        losses: (K,) the loss at those weights, mean squared error.
        weights: (K, d) the slopes, in the units of the input.
        intercepts: (K,) the intercepts.
        validation_losses: (K,) the loss of the validation part at those weights; None
            where there is none.
        best_epoch: the epoch that early stopping chose, which is the fit's; else None,
            and the fit's is the last one.
    """

    epochs: np.ndarray[Any, np.dtype[np.int64]]
    losses: Array
    weights: Array
    intercepts: Array
    validation_losses: Array | None = None
    best_epoch: int | None = None

    def until(self, place: int) -> Trace:
        """The entries up to and with that at `place`."""
        seen, stop = self.validation_losses, place + 1
        return Trace(
            self.epochs[:stop],
            self.losses[:stop],
            self.weights[:stop],
            self.intercepts[:stop],
            None if seen is None else seen[:stop],
        )

    @property
    def chosen(self) -> Trace:
        """The entries up to the fit's own epoch."""
        if self.best_epoch is None:
            return self
        return self.until(int(np.searchsorted(self.epochs, self.best_epoch)))

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        return (
            f"<Trace of {len(self):,} epochs to {self.epochs[-1]:,}, loss "
            f"{self.losses[0]:.6g} to {self.losses[-1]:.6g}>"
        )

    def _repr_html_(self) -> str:
        """The history as a notebook shows it: its loss by epoch."""
        from gradline.notebook import trace_html

        return trace_html(self)


class Sample(NamedTuple):
    """Some rows of the training data, to draw: X (m, d) and y (m,)."""

    X: Array
    y: Array


def score(
    design: Design, source: Source, slopes: Array, center: Array, level: float
) -> Scores:
    """R², RMSE and MAE of a line over a source, in one pass.

    Args:
        design: how the source's columns become terms.
        source: the data, the target among them.
        slopes: (d,).
        center: (d,), where the line is at `level`.
        level: the prediction there.
    """

    def residual(chunk: Chunk) -> Array:
        found: Array = (chunk.y - level) - (chunk.X - center) @ slopes
        return found

    return _scored(design, source, residual)


def score_by(
    design: Design,
    source: Source,
    predict: Callable[[Array], Array],
    origin: bool = False,
) -> Scores:
    """As `score`, of anything that predicts from terms (n, d) the target (n,).

    Args:
        design: as there.
        source: as there.
        predict: says the target.
        origin: whether R² is about 0: of the own rows of a fit without intercept.
    """

    def residual(chunk: Chunk) -> Array:
        found: Array = chunk.y - predict(chunk.X)
        return found

    return _scored(design, source, residual, origin)


def _scored(
    design: Design,
    source: Source,
    residuals: Callable[[Chunk], Array],
    origin: bool = False,
) -> Scores:
    rows, total, squares, absolutes = 0, 0.0, 0.0, 0.0
    shift = middle = spread = 0.0
    tally = Tally()
    for chunk in design.chunks(source, tally):
        w = np.ones(len(chunk.y)) if chunk.weight is None else chunk.weight
        with np.errstate(over="ignore", invalid="ignore"):
            residual = residuals(chunk)
            largest = float(np.abs(residual).max())
        if not largest < 1e150:
            raise DataError(
                f"a residual of {source.name} is too large to square: the data are of "
                "another size than those of the fit"
            )
        if not rows and not origin:
            shift = float(chunk.y[0])
        rows += len(chunk.y)
        squares += float(w @ residual**2)
        absolutes += float(w @ np.abs(residual))
        weight = float(w.sum())
        if weight == 0:
            continue
        mean = float(w @ (chunk.y - shift)) / weight * (not origin)
        spread += float(w @ (chunk.y - shift - mean) ** 2)
        spread += (mean - middle) ** 2 * total * weight / (total + weight)
        middle += (mean - middle) * weight / (total + weight)
        total += weight
    if total == 0:
        raise DataError(f"{source.name} has no rows to score: give at least one")
    r2 = 1 - squares / spread if spread > 0 else float("nan")
    found = Scores(r2, (squares / total) ** 0.5, absolutes / total, rows)
    found.dropped = tally.dropped
    return found
