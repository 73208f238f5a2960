"""The learning curve: least squares on more and more rows, from one pass.

Rows are cut into nested subsets by a number drawn for each row's place, u in [0, 1):
a subset of a share s has the rows with u < s. One pass leaves a state for each fold and
each shard between two shares; the states of a fold's training rows are merged shard by
shard, so a subset costs one solution, however many rows it has, and the held-out error
follows from the held-out state (crossval.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradline.checks import real, whole
from gradline.crossval import held_out_error
from gradline.curves import LearningCurve
from gradline.data import Array, Batch, Progress, Source, row_places
from gradline.design import Design, Missing
from gradline.errors import DataError, UsageError
from gradline.folds import AllRows, Blocks, Folds, Labeller, as_folds
from gradline.foldstates import read_blocks
from gradline.objective import Penalty, as_penalty
from gradline.prepare import Prepared, prepare
from gradline.reading import read_once, share_cores
from gradline.ridge import ridge_path
from gradline.rowhash import mix, word
from gradline.shrinkage import elastic_net_path
from gradline.solvers import WIDE
from gradline.splits import Split
from gradline.state import Moments
from gradline.threads import blas_threads

#: A curve that is not told its sizes halves the rows so often at the most,
HALVINGS = 12
#: and holds states of so many numbers.
MOST_NUMBERS = 100_000_000


def learning_curve(
    data: Any,
    y: Any = None,
    *,
    sizes: Sequence[float] | None = None,
    split: Split | None = None,
    folds: Any = None,
    penalty: Literal["ridge", "lasso", "elastic_net"] | None = None,
    alpha: float | None = None,
    l1_ratio: float | None = None,
    standardize: bool | None = None,
    seed: int = 0,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: Any = None,
    intercept: bool = True,
    missing: Missing = "error",
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    formula: str | None = None,
    degree: int | None = None,
    progress: Progress | None = None,
) -> LearningCurve:
    """The error by how many rows are learned from: would more data help?

    Args:
        data: as in `fit`, and so are y, target and all that say which columns.
        y: the target, (n,), unless it is a column of data.
        sizes: shares of the training rows (0.1, 1.0), or numbers of them (100, 1000),
            which are met but for the noise of a draw; halves of halves unless told.
        split: learn from its training part, and hold out its validation part.
        folds: how many to hold out in turn, 5 unless told or split, or a gl.KFold and
            its kin.
        penalty: on the slopes, as in `fit`; None for least squares.
        alpha: its weight, a number.
        l1_ratio: of the elastic net.
        standardize: whether the penalty counts slopes of standardised features.
        seed: of the draw of the subsets.
        target: the name of that column.
        features: the columns to predict from.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        weights: row weights.
        intercept: False for lines through the origin.
        missing: "error" or "drop".
        delimiter: of a CSV file.
        encoding: of a CSV file.
        decimal: of a CSV file.
        formula: the target and the terms.
        degree: of a polynomial of each numeric feature.
        progress: True for a bar; or what is told how reading gets on.

    Returns:
        A LearningCurve: .rows, .train_rmse, .validation_rmse, .plot().

    Raises:
        UsageError: arguments that do not go together.
        DataError: as `fit`.

    Equivalent: sklearn.model_selection.learning_curve(LinearRegression(), X, y), which
    fits each subset of each fold anew.
    """
    if penalty is not None and (alpha is None or isinstance(alpha, str)):
        raise UsageError(
            f"alpha is {alpha!r}: a learning curve has one penalty, give its weight as "
            "a number, such as alpha=0.1"
        )
    shrunk = as_penalty(penalty, alpha, l1_ratio, standardize)
    asked = None if sizes is None else _checked(sizes)
    if folds is not None and features is None and formula is None:
        exclude = (*exclude, *as_folds(folds).columns)
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
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        formula=formula,
        degree=degree,
    )
    held = prepared.validation if folds is None else None
    cut = AllRows() if held is not None else as_folds(folds)
    shares = _shares(asked, prepared, cut)
    nested = _Nested(cut, shares, whole("seed", seed))
    blocks = read_blocks(prepared.source, prepared.design, nested, progress).blocks
    seen = None if held is None else read_state(held, prepared.design, progress)
    # Threads for products so small would only wait for one another.
    with blas_threads(1 if len(prepared.design.terms) <= WIDE else None):
        found = [
            [_scored(state, held_out, shrunk) for state, held_out in fold]
            for fold in _folded(blocks, nested, seen)
        ]
    return _curve(found, asked is None, prepared.design, cut, held is not None)


def _checked(sizes: Any) -> list[float]:
    """Sizes as numbers, increasing."""
    values = [real("a size", size) for size in sizes]
    for value in values:
        if value <= 0 or (value > 1 and value != int(value)):
            raise UsageError(
                f"a size is {value:g}: give shares of the rows, from 0 to 1, or whole "
                "numbers of rows"
            )
    if not values:
        raise UsageError("sizes is empty: give some, or leave it out")
    return sorted(set(values))


def _shares(asked: list[float] | None, prepared: Prepared, folds: Folds) -> list[float]:
    """The shares of the training rows that the sizes are."""
    d, blocks = len(prepared.design.terms), folds.count * folds.repeats
    source = prepared.source
    if asked is None:
        most = MOST_NUMBERS // (blocks * (d + 1) ** 2) - 2
        many = max(1, min(HALVINGS, most))
        if source.rows is not None:
            few = 2 * (d + 2)
            many = max(1, min(many, int(math.log2(max(2, source.rows / few)))))
        return [0.5**k for k in range(many, -1, -1)]
    if asked[-1] <= 1:
        return asked
    if folds.in_order:
        raise UsageError(
            "folds of time learn from more and more rows as it is: give sizes as "
            "shares, such as 0.1 and 1.0"
        )
    rows = source.rows
    if rows is None:
        rows = sum(b.rows for b in source.batches([prepared.design.target]))
    learned = rows * (1 - 1 / folds.count) if folds.count > 1 else float(rows)
    if asked[-1] > learned + 1:
        raise UsageError(
            f"a size is {asked[-1]:,.0f} and there are {learned:,.0f} rows to learn "
            "from: give fewer"
        )
    return [min(1.0, size if size <= 1 else size / learned) for size in asked]


@dataclass(frozen=True)
class _Nested:
    """Folds cut into shards: block = fold · shards + shard, the last one unused.

    Attributes:
        folds: how rows are held out.
        shares: the ends of the shards, increasing.
        seed: of the draw.
    """

    folds: Folds
    shares: Sequence[float]
    seed: int

    in_order = False

    @property
    def shards(self) -> int:
        """How many, that of no subset among them."""
        return len(self.shares) + 1

    @property
    def blocks(self) -> int:
        """How many blocks the rows are cut into before they are cut into shards."""
        return self.folds.count + self.folds.in_order

    @property
    def count(self) -> int:
        """How many blocks in all, of a repeat."""
        return self.blocks * self.shards

    @property
    def repeats(self) -> int:
        """How often rows are cut into folds."""
        return self.folds.repeats

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say where a row belongs."""
        return self.folds.columns

    def labeller(self, source: Source) -> Labeller:
        """What says which block each row belongs to."""
        outer = self.folds.labeller(source)
        ends = np.array(self.shares)
        salt = np.uint64(word(f"learning curve {self.seed}"))

        def labels(batch: Batch, start: int) -> list[Blocks]:
            shard = np.searchsorted(
                ends, drawn(row_places(batch, start), salt), "right"
            )
            each = np.uint16(self.shards)
            return [
                (found * each + shard).astype(np.uint16)
                for found in outer(batch, start)
            ]

        return labels


def drawn(places: Any, salt: Any) -> Array:
    """A share in [0, 1) for each row's place."""
    words = mix(places.astype(np.uint64) + salt)
    found: Array = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def read_state(source: Source, design: Design, progress: Progress | None) -> Moments:
    """The state of some rows, from one pass."""
    shared = share_cores(source, design)
    with blas_threads(shared.blas):
        return read_once(source, design, progress, readers=shared.readers).moments


def _folded(
    blocks: list[Moments], nested: _Nested, seen: Moments | None
) -> Iterator[list[tuple[Moments, Moments]]]:
    """For each fold, the states of its nested subsets, and what is held out."""
    shards, folds = nested.shards, nested.folds
    first = blocks[0]

    def empty() -> Moments:
        return Moments(first.features, first.targets, first.intercept)

    for repeat in range(folds.repeats):
        start = repeat * nested.count
        cut = [
            blocks[start + b * shards : start + (b + 1) * shards]
            for b in range(nested.blocks)
        ]
        for fold in range(folds.count):
            held, learned = seen, cut
            if held is None:
                out = fold + folds.in_order
                held = empty()
                for state in cut[out]:
                    held.merge(state)
                learned = cut[:out] if folds.in_order else cut[:out] + cut[out + 1 :]
            if held.weight <= 0:
                raise DataError(
                    f"fold {fold + 1} has no rows to hold out: give fewer folds"
                )
            state, pairs = empty(), []
            for shard in range(shards - 1):
                for block in learned:
                    state.merge(block[shard])
                grown = empty()
                grown.merge(state)
                pairs.append((grown, held))
            yield pairs


def _scored(
    learned: Moments, held: Moments, penalty: Penalty | None
) -> tuple[int, float, float]:
    """Rows, and the mean squared errors on them and on those held out."""
    if learned.weight <= 0:
        return learned.rows, math.nan, math.nan
    alphas = np.array([0.0 if penalty is None else float(penalty.alpha)])
    if penalty is None or not penalty.l1_ratio:
        scaled = penalty is None or penalty.standardize
        slopes = ridge_path(learned, alphas, scaled)[0]
    else:
        ratio, scaled = penalty.l1_ratio, penalty.standardize
        slopes = elastic_net_path(learned, alphas, ratio, scaled).slopes
    return (
        learned.rows,
        float(held_out_error(learned, learned, slopes)[0, 0]),
        float(held_out_error(learned, held, slopes)[0, 0]),
    )


def _curve(
    found: list[list[tuple[int, float, float]]],
    choose: bool,
    design: Design,
    folds: Folds,
    split: bool,
) -> LearningCurve:
    """The curve of the points that are to be shown."""
    rows, train, validation = np.moveaxis(np.array(found, dtype=np.float64), 2, 0)
    enough = rows.min(axis=0) > 0
    if choose:  # fewer rows than coefficients are another story
        enough &= rows.min(axis=0) >= len(design.names) + 1
        enough[-1] = True
    elif not enough.all():
        raise DataError("the smallest size leaves no row to learn from: give more")
    how = "one validation part"
    if not split:
        times = "" if folds.repeats == 1 else f", {folds.repeats} times"
        how = f"{folds.count} folds{times}"
    return LearningCurve(
        rows.mean(axis=0)[enough],
        train.T[enough],
        validation.T[enough],
        design.response,
        len(design.terms),
        how,
    )
