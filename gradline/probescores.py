"""How well a linear layer does on batches: accuracy, confusion, R² and RMSE.

    accuracy = Σ w·(predicted class is the true one) / Σ w
    R² = 1 - Σ w (y - prediction)² / Σ w (y - mean of y)²,   for each output

The output of a class is meant to be 1 in its rows and -1 in all others, and its R² and
RMSE are against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.data import Array, Codes
from gradline.errors import DataError
from gradline.layout import number, rounded, table_of

#: More outputs than this, and tables show the first ones.
MOST_SHOWN = 12


@dataclass(frozen=True, repr=False)
class ProbeScores:
    """How well a probe does on rows.

    Attributes:
        rows: how many.
        accuracy: the share of rows whose class is predicted, by weight; NaN where the
            targets are numbers.
        confusion: how many rows of each true class, (C, ...), were taken for each
            class, (..., C); (0, 0) where the targets are numbers.
        r2: of each output, (k,); NaN where a target is constant.
        rmse: of each output, (k,), in units of the target.
        outputs: the names of the outputs, k: the classes where there are some.
        unseen: rows of a class that the probe does not know: counted as wrong, and in
            no row of `confusion`.
    """

    rows: int
    accuracy: float
    confusion: Codes
    r2: Array
    rmse: Array
    outputs: tuple[str, ...]
    unseen: int = 0

    @property
    def recall(self) -> Array:
        """The share of each class's rows that is predicted, (C,); NaN without rows."""
        rows = self.confusion.sum(axis=1)
        hits = self.confusion.diagonal().astype(np.float64)
        found: Array = np.full(len(rows), np.nan)
        np.divide(hits, rows, out=found, where=rows > 0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain values, for JSON; None where one is undefined."""
        return {
            "rows": self.rows,
            "accuracy": None if np.isnan(self.accuracy) else self.accuracy,
            "confusion": self.confusion.tolist(),
            "r2": [None if np.isnan(v) else v for v in self.r2.tolist()],
            "rmse": self.rmse.tolist(),
            "outputs": list(self.outputs),
            "unseen": self.unseen,
        }

    def __repr__(self) -> str:
        if np.isnan(self.accuracy):
            return f"ProbeScores(rows={self.rows}, r2={self.r2}, rmse={self.rmse})"
        return f"ProbeScores(rows={self.rows}, accuracy={self.accuracy!r})"

    def __str__(self) -> str:
        names = list(self.outputs[:MOST_SHOWN])
        kind = "target" if np.isnan(self.accuracy) else "class"
        lines, _ = table_of(names, self.columns(), kind)
        more = len(self.outputs) - MOST_SHOWN
        last = [f"  ... and {more:,} more"] * (more > 0)
        return "\n".join([self.headline(), *lines, *last])

    def _repr_html_(self) -> str:
        """The scores as a notebook shows them."""
        from gradline.notebook import probe_scores_html

        return probe_scores_html(self)

    def headline(self) -> str:
        """The accuracy in words, or how many rows there are."""
        if np.isnan(self.accuracy):
            return f"{self.rows:,} rows"
        hits = int(self.confusion.trace())
        head = f"accuracy {number(self.accuracy)} ({hits:,} of {self.rows:,} rows)"
        if self.unseen:
            head += f"; {self.unseen:,} rows of a class that the probe does not know"
        return head

    def columns(self) -> dict[str, list[str]]:
        """What is known of each output, of the first 12: cells by the column's head."""
        count = min(len(self.outputs), MOST_SHOWN)
        if np.isnan(self.accuracy):
            return {
                "R²": [number(float(v), 6) for v in self.r2[:count]],
                "RMSE": [rounded(float(v), 6) for v in self.rmse[:count]],
            }
        return {
            "rows": [f"{v:,}" for v in self.confusion.sum(1)[:count]],
            "recall": [number(float(v), 4) for v in self.recall[:count]],
            "taken most for": [self._mistaken(c) for c in range(count)],
        }

    def _mistaken(self, place: int) -> str:
        """The class that one is taken for by mistake, and how often."""
        row = self.confusion[place].copy()
        row[place] = 0
        if not row.any():
            return "-"
        worst = int(row.argmax())
        return f"{self.outputs[worst]} ({row[worst]:,})"


class Scoring:
    """An accumulator of scores.

    Args:
        level: near the mean of each target, (k,): where squares are measured from.
        classes: how many, 0 for numbers.
    """

    def __init__(self, level: Array, classes: int) -> None:
        self._level = level
        self._classes = classes
        self.confusion = np.zeros((classes, classes), np.int64)
        self._rows = self._unseen = 0
        self._weight = self._hits = 0.0
        self._errors, self._y, self._yy = (np.zeros(len(level)) for _ in range(3))

    def add(self, outputs: Array, targets: Any, weight: Array | None) -> None:
        """Take in rows.

        Args:
            outputs: (b, k) float64.
            targets: numbers (b, k), or places of classes (b,), -1 for an unknown one.
            weight: (b,), or None.
        """
        w = np.ones(len(outputs)) if weight is None else weight
        y = targets
        if self._classes:
            guess = outputs.argmax(axis=1)
            known = targets >= 0
            self._hits += float(w[guess == targets].sum())
            self._unseen += int((~known).sum())
            pairs = targets[known] * self._classes + guess[known]
            counts = np.bincount(pairs, minlength=self._classes**2)
            self.confusion += counts.reshape(self._classes, self._classes)
            y = np.full(outputs.shape, -1.0)
            y[np.flatnonzero(known), targets[known]] = 1.0
        off = y - self._level
        self._rows += len(outputs)
        self._weight += float(w.sum())
        self._errors += w @ np.square(y - outputs)
        self._y += w @ off
        self._yy += w @ np.square(off)

    def value(self, outputs: tuple[str, ...]) -> ProbeScores:
        """The scores.

        Raises:
            DataError: no rows.
        """
        if self._weight <= 0:
            raise DataError("batches has no rows of a weight above 0: give some")
        mean = self._y / self._weight
        spread = np.maximum(self._yy / self._weight - np.square(mean), 0.0)
        spread[spread <= 1e-15 * self._yy / self._weight] = 0.0
        errors = self._errors / self._weight
        left = np.divide(
            errors, spread, out=np.full_like(errors, np.nan), where=spread > 0
        )
        accuracy = self._hits / self._weight if self._classes else np.nan
        return ProbeScores(
            self._rows,
            accuracy,
            self.confusion,
            1 - left,
            np.sqrt(errors),
            outputs,
            self._unseen,
        )
