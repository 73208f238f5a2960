"""Several quantiles at once: lines that share their passes, and whether they cross.

The lines of different quantiles are fitted each on its own, so that two of them may
cross: at some place the line of 0.9 lies below that of 0.5, which no true quantiles do.
That is counted on the training rows, and said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gradline.bar import bar_for
from gradline.checks import one_of, real
from gradline.data import Array, Mask, Progress, row_number
from gradline.design import Design, Missing
from gradline.errors import UsageError
from gradline.objective import Quantile
from gradline.prepare import Prepared, prepare
from gradline.result import Fit
from gradline.robust import fit_losses
from gradline.splits import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Lines so near, as a share of the spread of predictions, meet and do not cross.
MEETING = 1e-9


class Crossings(NamedTuple):
    """Where the lines are out of order, on the training rows.

    Attributes:
        rows: of how many rows some higher quantile is predicted below a lower one.
        total: of so many rows.
        first: the first such row, counted from 1, or None.
    """

    rows: int
    total: int
    first: int | None

    def __str__(self) -> str:
        if not self.rows:
            return f"no lines cross on the {self.total:,} training rows"
        return (
            f"lines cross in {self.rows:,} of {self.total:,} training rows, first in "
            f"row {self.first:,}: a higher quantile is predicted below a lower one "
            "there; predict with rearrange=True to put them in order"
        )


@dataclass(frozen=True, repr=False)
class QuantileFits(Mapping[float, Fit]):
    """A fit for each quantile: a mapping from the level, such as 0.9, to its Fit.

    So `fits[0.9]` is one, `fits.items()` are all, lowest first.

    Attributes:
        fits: by level, lowest first.
        crossings: where the lines are out of order.
    """

    fits: dict[float, Fit]
    crossings: Crossings

    def __getitem__(self, level: float) -> Fit:
        if level not in self.fits:
            known = ", ".join(f"{known:g}" for known in self.fits)
            raise KeyError(f"there is no quantile {level}: fitted are {known}")
        return self.fits[level]

    def __iter__(self) -> Iterator[float]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels, lowest first."""
        return tuple(self.fits)

    def predict(
        self,
        data: Any,
        *,
        rearrange: bool = False,
        missing: Literal["error", "nan"] = "error",
        **reading: Any,
    ) -> Array:
        """Predict all quantiles for each row of raw data.

        Args:
            data: as in `Fit.predict`.
            rearrange: put the quantiles of each row in order where lines cross. Where
                they don't it changes nothing, and it is never further from the true
                quantiles.
            missing: an incomplete row is an error, or predicts NaN.
            **reading: delimiter, encoding, decimal of a CSV file.

        Returns:
            (n, q) float64, a column for each level, lowest first.

        Source: Chernozhukov, Fernández-Val & Galichon, "Quantile and probability curves
        without crossing", 2010, for the rearrangement.
        """
        one_of("rearrange", rearrange, True, False)
        found = np.column_stack(
            [fit.predict(data, missing=missing, **reading) for fit in self.values()]
        )
        return np.sort(found, axis=1) if rearrange else found

    def plot(self, path: str | FilePath | None = None) -> Figure:
        """Draw the points and a line for each quantile.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            UsageError: there is more than one feature, or it is a category.
        """
        from gradline.plots import draw_quantiles, saved

        return saved(draw_quantiles(self), path)

    def __repr__(self) -> str:
        first = next(iter(self.values()))
        levels = ", ".join(f"{level:g}" for level in self)
        return (
            f"<QuantileFits of {first.target!r} at {levels}, {first.rows:,} rows, "
            f"{self.crossings.rows:,} crossing>"
        )

    def __str__(self) -> str:
        from gradline.terminal import quantiles_table

        return quantiles_table(list(self.items()), str(self.crossings))

    def _repr_html_(self) -> str:
        """The quantiles as a notebook shows them."""
        from gradline.notebook import quantiles_html

        return quantiles_html(self)


def fit_quantiles(
    data: Any,
    y: Any = None,
    *,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: Any = None,
    intercept: bool = True,
    missing: Missing = "error",
    split: Split | None = None,
    formula: str | None = None,
    degree: int | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    progress: Progress | None = None,
) -> QuantileFits:
    """Fit a line for each of several quantiles, by passes that they share.

    Args:
        data: as in `fit`, and so are all but quantiles.
        y: the target, unless it is a column of data.
        quantiles: the levels, each between 0 and 1.
        target: the name of the column to predict.
        features: the columns to predict from.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        weights: row weights, (n,), or the name of a column.
        intercept: False for lines through the origin.
        missing: "error" refuses incomplete rows, "drop" leaves them out and counts.
        split: which rows to learn from, and to test on: `evaluate` of each fit.
        formula: the target and the terms in one text, instead of target and features.
        degree: of each numeric feature x, poly(x, degree) instead of x.
        delimiter: of a CSV file; found out unless told.
        encoding: of a CSV file; found out unless told.
        decimal: the decimal mark of a CSV file.
        progress: True for a bar; or what is told how reading gets on.

    Returns:
        QuantileFits: a Fit for each level, each what fit(..., loss="quantile:0.9")
        gives for it, and where their lines cross.

    Raises:
        UsageError: a level that is none, or one given twice.
        DataError: data that cannot be fitted as given.

    Equivalent: R's quantreg::rq(y ~ x, tau = c(0.1, 0.5, 0.9)).
    """
    levels = _levels(quantiles)
    prepared = prepare(
        data,
        y,
        target=target,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=weights,
        missing=missing,
        intercept=intercept,
        split=split,
        formula=formula,
        degree=degree,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
    )
    found = fit_losses(prepared, [Quantile(level) for level in levels], progress)
    crossings = _crossings(prepared, found, progress)
    if crossings.rows:
        said = f"{str(crossings)[:1].upper()}{str(crossings)[1:]}."
        found = [dataclasses.replace(f, notes=(*f.notes, said)) for f in found]
    found = [f._examined(prepared) for f in found]
    return QuantileFits(dict(zip(levels, found, strict=True)), crossings)


def _levels(quantiles: Any) -> list[float]:
    if isinstance(quantiles, (str, bytes)) or not isinstance(
        quantiles, (Sequence, np.ndarray)
    ):
        raise UsageError(
            f"quantiles is {quantiles!r}: give a list of levels, [0.1, 0.5, 0.9]"
        )
    levels = [Quantile(real("a quantile's level", q)).level for q in quantiles]
    if not levels:
        raise UsageError("quantiles is empty: give levels, such as [0.1, 0.5, 0.9]")
    for level in levels:
        if levels.count(level) > 1:
            raise UsageError(f"the quantile {level:g} is given twice: give it once")
    return sorted(float(level) for level in levels)


def _crossings(
    prepared: Prepared, fits: Sequence[Fit], progress: Progress | None
) -> Crossings:
    """One more pass: in which rows the predictions are out of order."""
    design: Design = prepared.design
    slopes = np.column_stack([fit.slopes for fit in fits])  # (d, q)
    levels = np.array([fit.level for fit in fits])
    spread = float(np.ptp(levels)) + fits[0].metrics.rmse
    title, source = "looking for crossings", prepared.source
    start = rows = total = 0
    first: int | None = None
    shown = bar_for(progress, title, source.rows)
    with shown as advance:
        for batch in source.batches(design.reading()):
            found = design.chunk(batch, start)
            if found is not None:
                chunk, kept = found
                predicted = levels + (chunk.X - fits[0].center) @ slopes  # (rows, q)
                falls = np.diff(predicted, axis=1) < -MEETING * spread
                crossed: Mask = np.any(falls, axis=1)
                total += len(crossed)
                rows += int(crossed.sum())
                if first is None and crossed.any():
                    place = int(np.argmax(crossed))
                    if kept is not None:
                        place = int(np.flatnonzero(kept)[place])
                    first = row_number(batch, start, place)
            start += batch.rows
            advance(batch.rows)
    return Crossings(rows, total, first)
