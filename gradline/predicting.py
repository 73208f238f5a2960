"""From raw data to predictions, batch by batch, and what stops them.

A row that is not complete, a level that is not known and a prediction that is no finite
number are named, with the row and the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gradline.checks import one_of
from gradline.data import Array, Batch, Source
from gradline.design import Design
from gradline.errors import DataError, MissingValueError


def predicted_batches(
    design: Design,
    predict: Callable[[Array], Array],
    source: Source,
    missing: str,
    columns: tuple[str, ...] | None,
) -> Iterator[tuple[Batch, Array, Array]]:
    """Each batch with its terms X (rows, d) and predictions (rows,).

    Args:
        design: how columns become terms.
        predict: from terms (rows, d) to predictions (rows,).
        source: the data, with the features.
        missing: "error", or "nan" for rows that are not complete.
        columns: what to read; the features alone where None.
    """
    one_of("missing", missing, "error", "nan")
    start = 0
    for batch in _batches(design, source, columns):
        X, complete = design.matrix(batch, start)
        if missing == "error" and not complete.all():
            row = int(np.argmin(complete))
            gap = next(
                (t for t, v in zip(design.terms, X[row], strict=True) if np.isnan(v)),
                "?",
            )
            gap = _missing_in(design, batch, row) or gap
            raise MissingValueError(
                f"column {gap!r} has a missing value, first in row "
                f"{start + row + 1:,}: fill it in, or predict nothing there with "
                "missing='nan' (--missing nan)"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            predicted = predict(X)
        if not np.isfinite(predicted[complete]).all():
            row = int(np.argmin(np.isfinite(predicted) | ~complete))
            raise DataError(
                f"the prediction for row {start + row + 1:,} is not finite, its "
                "values are too large: correct the row or leave it out"
            )
        yield batch, X, predicted
        start += batch.rows


def _batches(
    design: Design, source: Source, columns: tuple[str, ...] | None
) -> Iterator[Batch]:
    if columns is not None:  # whoever names them wants the batches of the source
        yield from source.batches(columns)
        return
    for batch in source.batches(design.features):
        yield from design.pieces(batch)


def _missing_in(design: Design, batch: Batch, row: int) -> str | None:
    """The first feature that is missing in a row of a batch."""
    for name in design.features:
        if name not in design.numbers:
            if batch.category(name)[0][row] < 0:
                return name
        elif np.isnan(batch.numbers([name])[row, 0]):
            return name
    return None
