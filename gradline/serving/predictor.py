"""A fit as what answers: a source of rows in, predictions out, piece by piece.

The numbers are those of `Fit.predict`: the same design makes the terms, the same
expression the predictions, the same function the intervals. What can be known before a
request comes is kept here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from gradline.data import Array, Batch
from gradline.errors import DataError, GradlineError, UsageError, listed
from gradline.evidence import why_not
from gradline.inference import Intervals, check_interval, half_widths
from gradline.predicting import predicted_batches
from gradline.result import Fit
from gradline.serving.problems import Problem, quoted
from gradline.serving.quick import MOST_ROWS, Quick
from gradline.serving.rows import piece
from gradline.serving.wishes import Options
from gradline.truths import spellings

#: How a sentence of the library says to give missing; a source says it its own way.
_GAPS = "missing='nan' (--missing nan)"


class Predictor:
    """Predicts with a fit.

    Args:
        fit: a line; a module of a user's own is not served.

    Attributes:
        features: the columns that a row must have, in the order of the fit.
        terms: how many numbers a row becomes.
        step: rows to predict at one time.
        no_interval: why there are no intervals, or None.
    """

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.features = fit.design.features
        self.terms = len(fit.design.terms)
        self.step = piece(self.terms)
        self._line = fit._line
        self._slopes = fit.slopes
        self._quick = Quick.of(fit.design)
        self._levels = {
            name: frozenset([*levels, *spellings(levels)])
            for name, levels in fit.design.levels.items()
        }
        self.no_interval = why_not(self._line)

    def predict_few(
        self, columns: dict[str, list[Any]], rows: int, options: Options
    ) -> list[Array | Intervals] | None:
        """Predict a few rows by the shortest way; None where `predict` must look.

        Args:
            columns: values of JSON by name, all of the same length.
            rows: how many.
            options: how.
        """
        if self._quick is None or rows > MOST_ROWS:
            return None
        X = self._quick.terms(columns, rows)
        if X is None or (options.interval is not None and self.no_interval):
            return None
        predicted = self._line_at(X)
        if not all(map(math.isfinite, predicted.tolist())):
            return None
        if options.interval is None:
            return [predicted]
        half = half_widths(self._line, X, options.interval, _kind(options))
        if not all(map(math.isfinite, half.tolist())):
            return None
        return [Intervals(predicted, predicted - half, predicted + half)]

    def predict(self, source: Any, options: Options) -> list[Array | Intervals]:
        """Predict each row: pieces, in order, none where there are no rows.

        Args:
            source: the rows, a `data.Source` with the features and `gaps`.
            options: how.

        Raises:
            Problem: 422, in the sentence of the library.
        """
        try:
            return self._predicted(source, options)
        except UsageError as error:
            raise Problem(400, str(error)) from None
        except (DataError, GradlineError) as error:
            text = str(error).replace(_GAPS, source.gaps)
            raise Problem(422, text) from None

    def check(self, source: Any) -> None:
        """Refuse columns of another kind than the fit's.

        Raises:
            Problem: 422.
        """
        try:
            self.fit.design.check_columns(source)
        except DataError as error:
            raise Problem(422, str(error)) from None

    def refuse_unknown(self, batch: Batch, start: int) -> None:
        """Refuse levels that the fit has not seen, in rows that are not complete too.

        Raises:
            Problem: 422.
        """
        for name, known in self._levels.items():
            codes, levels = batch.category(name)
            foreign = [place for place, v in enumerate(levels) if v not in known]
            if foreign:
                row = int(np.argmax(np.isin(codes, foreign)))
                raise Problem(
                    422,
                    f"column {name!r} holds {quoted(levels[codes[row]])} in row "
                    f"{start + row + 1:,}, a level the model has not seen: leave such "
                    f"rows out, or fit with them; it knows "
                    f"{listed(self.fit.design.levels[name])}",
                )

    def _predicted(self, source: Any, options: Options) -> list[Array | Intervals]:
        share = options.interval
        kind = _kind(options)
        if share is not None:
            check_interval(self._line, share, kind)
        found: list[Array | Intervals] = []
        for _, X, predicted in predicted_batches(
            self.fit.design, self._line_at, _Strict(source, self), options.missing, None
        ):
            if share is None:
                found.append(predicted)
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                half = half_widths(self._line, X, share, kind)
                ends = Intervals(predicted, predicted - half, predicted + half)
            wide = ~np.isfinite(half) & np.isfinite(predicted)
            if wide.any():
                row = _before(found) + int(np.argmax(wide)) + 1
                raise DataError(
                    f"the interval for row {row:,} is not finite, its values are too "
                    "large: correct the row or leave it out"
                )
            found.append(ends)
        return found

    def _line_at(self, X: Array) -> Array:
        """As `Fit.predict_terms`."""
        found: Array = self._line.level + (X - self._line.center) @ self._slopes
        return found


def _kind(options: Options) -> Literal["prediction", "confidence"]:
    return "prediction" if options.kind == "prediction" else "confidence"


class _Strict:
    """A source whose levels are checked as it is read."""

    def __init__(self, source: Any, predictor: Predictor) -> None:
        self._source = source
        self._predictor = predictor
        self.name = source.name
        self.columns = source.columns
        self.rows = source.rows

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        start = 0
        for batch in self._source.batches(columns):
            self._predictor.refuse_unknown(batch, start)
            yield batch
            start += batch.rows


def _before(parts: list[Array | Intervals]) -> int:
    return sum(len(p[0]) if isinstance(p, Intervals) else len(p) for p in parts)
