"""The middle of the sandwich: how much each row, or cluster, pulls on each coefficient.

The formulas stand at the top of inference.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from gradline.bar import bar_for
from gradline.data import (
    Array,
    Batch,
    Chunk,
    Codes,
    Mask,
    Progress,
    Source,
    column_of,
    shape_text,
)
from gradline.design import Design, Tally
from gradline.errors import DataError, ShapeError
from gradline.evidence import Evidence, Line, centred, sure, whitened
from gradline.threads import blas_threads, threads_beside

#: ("cluster", column), or ("cluster", array) with one value per row of the data.
Cov = Literal["classic", "HC0", "HC1", "HC2", "HC3"] | tuple[str, Any]

#: A row with a leverage nearer to 1 than this determines a coefficient alone.
ALONE = 1e-10


class Part(NamedTuple):
    """Some rows, with all that is made of them."""

    u: Array  # (rows, d), without the leading 1
    residual: Array  # (rows,)
    w: Array  # (rows,), ones where there are no weights
    leverage: Array  # (rows,)
    groups: Codes | None


def parts(
    line: Line,
    design: Design,
    source: Source | None,
    title: str,
    progress: Progress | None,
    groups: _Groups | None = None,
) -> Iterator[Part]:
    """One pass over the data, which must be those of the fit.

    Raises:
        DataError: there are no data, or they are others.
    """
    known = sure(line)
    if source is None:
        raise DataError(
            "a model from a file holds no rows, and this needs another pass over them: "
            "give the data of the fit with data=..."
        )
    tally, weight, rss = Tally(), 0.0, 0.0
    column = () if groups is None or groups.column is None else (groups.column,)
    shown = bar_for(progress, title, source.rows)
    with shown as advance, blas_threads(threads_beside(source)):
        for chunk, batch, keep in design.chunks_of(source, tally, column):
            part = _part(line, known, chunk)
            if groups is not None:
                part = part._replace(groups=groups.codes(batch, keep))
            weight += float(part.w.sum())
            rss += float(part.w @ np.square(part.residual))
            yield part
            advance(len(chunk.y))
    if groups is not None:
        groups.check_end(tally.rows + tally.dropped)
    expected = line.certificate.loss * known.weight
    size = known.variance + known.level**2
    tolerance = 1e-6 * expected + 1e-24 * size * known.weight
    if not (
        math.isclose(weight, known.weight, rel_tol=1e-9)
        and abs(rss - expected) <= tolerance
    ):
        raise DataError(
            f"{source.name} is not what the model was fitted on: its residuals add up "
            f"to {rss:.6g} and not {expected:.6g}; give the data of the fit"
        )


def _part(line: Line, known: Evidence, chunk: Chunk) -> Part:
    xc = centred(known, chunk.X)
    u = whitened(known, xc)
    r = (chunk.y - line.level) - np.dot(xc, line.slopes)
    w = np.ones(len(r)) if chunk.weight is None else np.array(chunk.weight, float)
    leverage = w * (line.has_intercept + squared_lengths(u)) / known.weight
    return Part(u, r, w, leverage, None)


def squared_lengths(u: Array) -> Array:
    """The squared length of each row, (rows,)."""
    lengths: Array = np.einsum("ij,ij->i", u, u)
    return lengths


def meat(
    line: Line,
    design: Design,
    source: Source | None,
    cov: Cov,
    progress: Progress | None,
) -> tuple[Array, int | None]:
    """The middle of the sandwich in u, times W², and how many clusters there are."""
    known = sure(line)
    n, k, d = known.rows, line.certificate.rank, len(line.slopes)
    if not isinstance(cov, str):
        return _cluster_meat(line, design, source, cov[1], progress)
    total = np.zeros((k, k))
    start = 0
    for part in parts(line, design, source, f"{cov} errors", progress):
        factor = part.w * part.residual
        if cov in ("HC2", "HC3"):
            free = 1 - part.leverage
            if (free < ALONE).any():
                raise DataError(
                    f"row {start + int(np.argmin(free)) + 1:,} of those used has "
                    f"leverage 1, it determines a coefficient alone, so {cov} is not "
                    "defined: give cov='HC1', or leave the row out"
                )
            factor = factor / (np.sqrt(free) if cov == "HC2" else free)
        scores = part.u * factor[:, None]  # (rows, d), and factor itself before them
        total[-d:, -d:] += np.dot(scores.T, scores)  # symmetric: half the work
        if line.has_intercept:
            total[0, 0] += factor @ factor
            total[0, 1:] += factor @ scores
        start += len(factor)
    if line.has_intercept:
        total[1:, 0] = total[0, 1:]
    return total * (n / (n - k) if cov == "HC1" else 1.0), None


def _cluster_meat(
    line: Line,
    design: Design,
    source: Source | None,
    by: Any,
    progress: Progress | None,
) -> tuple[Array, int]:
    known = sure(line)
    n, k = known.rows, line.certificate.rank
    groups = _Groups(source, by)
    sums = torch.zeros(0, k, dtype=torch.float64)
    counted: set[int] = set()
    for part in parts(line, design, source, "cluster errors", progress, groups):
        assert part.groups is not None
        codes = torch.from_numpy(part.groups)
        factor = (part.w * part.residual)[:, None]
        scores = torch.from_numpy(part.u * factor)
        if line.has_intercept:
            scores = torch.cat([torch.from_numpy(factor), scores], dim=1)
        more = groups.count - len(sums)
        if more > 0:  # grown by half, so that many new clusters cost no more than few
            sums = torch.cat([sums, sums.new_zeros(max(more, len(sums) // 2), k)])
        sums.index_add_(0, codes, scores)
        counted.update(np.unique(part.groups[part.w > 0]).tolist())
    m = len(counted)
    if m < 2:
        raise DataError(
            f"the clusters {groups.name} are {m}: give at least 2, many more if errors "
            "are to be trusted"
        )
    summed = (sums.T @ sums).numpy()
    return summed * (m / (m - 1) * (n - 1) / (n - k)), m


class _Groups:
    """Which cluster each row belongs to: from a column, or from an array."""

    def __init__(self, source: Source | None, by: Any) -> None:
        self.column: str | None = None
        self._known: dict[str, int] = {}
        self._codes: Codes | None = None
        self._start = 0
        self.count = 0
        self.name = repr(by) if isinstance(by, str) else "of the array"
        if isinstance(by, str):
            self.column = by
            if source is not None and column_of(source, by).kind == "other":
                raise DataError(
                    f"the cluster column {by!r} is of type "
                    f"{column_of(source, by).type}: give texts or numbers"
                )
            return
        self._codes = _coded(by)
        self.count = int(self._codes.max(initial=-1)) + 1

    def codes(self, batch: Batch, keep: Mask | None) -> Codes:
        """The clusters of the rows kept of one batch, as numbers from 0."""
        if self._codes is None:
            assert self.column is not None
            local, labels = batch.category(self.column)
            for label in labels:
                self._known.setdefault(label, len(self._known))
            self.count = len(self._known)
            places = np.array([self._known[label] for label in labels] + [-1])
            codes: Codes = places.astype(np.int64)[local]
        else:
            codes = self._codes[self._start : self._start + batch.rows]
            if len(codes) < batch.rows:
                self.check_end(self._start + batch.rows, "at least ")
        used = codes if keep is None else codes[keep]
        if (used < 0).any():
            rows = (codes < 0) if keep is None else (codes < 0) & keep
            row = self._start + int(np.argmax(rows)) + 1
            raise DataError(
                f"the cluster column {self.column!r} has a missing value, first in row "
                f"{row:,}: fill it in, or leave the row out"
            )
        self._start += batch.rows
        return used

    def check_end(self, rows: int, more: str = "") -> None:
        """Refuse an array that is not as long as the data."""
        if self._codes is not None and len(self._codes) != rows:
            raise ShapeError(
                f"the clusters have shape {shape_text(self._codes)} and the data "
                f"{more}{rows:,} rows: give one value per row"
            )


def _coded(by: Any) -> Codes:
    """An array of clusters as numbers from 0."""
    values = np.asarray(by)
    if values.ndim != 1:
        raise ShapeError(
            f"the clusters have shape {shape_text(values)}: give (n,), one per row, or "
            "the name of a column"
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        row = int(np.argmax(np.isnan(values))) + 1
        raise DataError(
            f"the clusters have a missing value, first in row {row:,}: fill it in"
        )
    if values.dtype.kind in "biufUSM":
        return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)
    known: dict[Any, int] = {}
    listed_values = values.tolist()
    for row, value in enumerate(listed_values):
        if value is None or value != value:
            raise DataError(
                f"the clusters have a missing value, first in row {row + 1:,}: fill it "
                "in"
            )
    return np.array([known.setdefault(v, len(known)) for v in listed_values], np.int64)
