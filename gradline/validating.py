"""The validation curve: the error over one setting, on rows held out.

For each fold the data are split like by a gl.Split, so everything, from the levels of a
category to the scale of a feature, is learned from that fold's training rows alone.
Where the loss is squared, two settings cost no fit of their own: the epochs of gradient
descent, of which one path has all, and the alpha of a penalty, of which one pass over
the rows leaves the states that give every one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.checks import real, whole
from gradline.crossval import held_out_error
from gradline.curves import ValidationCurve
from gradline.data import Array, Batch, Progress, Source
from gradline.effects import descends
from gradline.errors import DivergenceError, UsageError, did_you_mean
from gradline.fitting import fit
from gradline.folds import Folds, as_folds
from gradline.foldstates import read_folds
from gradline.learning import read_state
from gradline.objective import Penalty, as_penalty
from gradline.parts import Labelled, Labels, PartSource
from gradline.path import MOST_EPOCHS
from gradline.prepare import Prepared, prepare
from gradline.result import Fit
from gradline.retrace import Origin
from gradline.ridge import ridge_path
from gradline.scores import score_by
from gradline.shrinkage import elastic_net_path
from gradline.solvers import WIDE
from gradline.splits import Part, Split
from gradline.state import Moments
from gradline.threads import blas_threads

#: The arguments of `fit` that say which numbers are fitted, and how they are read.
_DATA = (
    "target",
    "features",
    "exclude",
    "categories",
    "weights",
    "intercept",
    "missing",
    "formula",
    "degree",
    "delimiter",
    "encoding",
    "decimal",
)

#: Those that a penalty has beside its alpha.
_PENALTY = ("penalty", "l1_ratio", "standardize")

#: Those of a descent in closed form, and its optimiser.
_CLOSED_FORM = (
    "method",
    "lr",
    "standardize",
    "start",
    "seed",
    "optimizer",
    "momentum",
    "dampening",
    "nesterov",
    "weight_decay",
)
_SGD = (None, "SGD", "sgd")

#: Settings of `fit` that are no value to try.
_NOT_TRIED = ("target", "weights", "split", "folds", "start", "progress", "checkpoint")


def validation_curve(
    data: Any,
    y: Any = None,
    *,
    parameter: str,
    values: Sequence[Any],
    split: Split | None = None,
    folds: Any = None,
    progress: Progress | None = None,
    **arguments: Any,
) -> ValidationCurve:
    """The error by the value of one setting: where does the fit begin to overfit?

    Args:
        data: as in `fit`.
        y: the target, (n,), unless it is a column of data.
        parameter: any argument of `fit` that is a setting: "degree", "alpha", "epochs",
            "lr", "optimizer", "batch_size" and so on.
        values: what to try.
        split: learn from its training part, and score its validation part.
        folds: how many to hold out in turn, 5 unless told or split, or a gl.KFold and
            its kin.
        progress: True for a bar; or what is told how reading gets on.
        **arguments: all other arguments of `fit`.

    Returns:
        A ValidationCurve: .values, .train_rmse, .validation_rmse, .best, .plot(). A
        value at which descent diverges has an infinite error.

    Raises:
        UsageError: no such argument, or none to try.
        DataError: as `fit`.
        KeyboardInterrupt: Ctrl-C, in a descent too: one cut short is no score.

    Equivalent: sklearn.model_selection.validation_curve(model, X, y, param_name=...,
    param_range=...).
    """
    tried = _checked(parameter, values, arguments)
    if parameter == "seed" and not descends(arguments):
        raise UsageError(
            "seed is tried and an exact fit has no random start: give what it goes "
            "with, a descent (method='gd', lr or epochs)"
        )
    cut = None
    if split is None or folds is not None:
        cut = as_folds(folds)
        if split is not None:
            raise UsageError(
                "folds and split are both given: give folds alone, or a split with a "
                "validation part"
            )
        if not {"features", "formula"} & arguments.keys():
            left_out = (*arguments.get("exclude", ()), *cut.columns)
            arguments = arguments | {"exclude": left_out}
    elif not split.has("validation"):
        raise UsageError(
            "the split has no validation part to score: give "
            "gl.Split(validation=0.2, ...), or folds instead"
        )
    job = _Job(data, y, parameter, tried, arguments, progress)
    if parameter == "alpha" and not set(arguments) - {*_DATA, *_PENALTY}:
        found = job.by_state(split, cut)
    else:
        parts = [split] if cut is None else every_fold(cut)
        found = np.stack([job.by_fit(part) for part in parts])  # (folds, points, 2)
    how = "one validation part"
    if cut is not None:
        times = "" if cut.repeats == 1 else f", {cut.repeats} times"
        how = f"{cut.count} folds{times}"
    train, validation = found[:, :, 0].T, found[:, :, 1].T
    return ValidationCurve(parameter, tuple(tried), train, validation, job.target, how)


def _checked(parameter: Any, values: Any, arguments: dict[str, Any]) -> list[Any]:
    """The values to try."""
    known = [n for n in inspect.signature(fit).parameters if n not in ("data", "y")]
    for name in (parameter, *arguments):
        if name not in known:
            hint = did_you_mean(str(name), known, f"it has {', '.join(known)}")
            raise UsageError(f"fit has no argument {name!r}: {hint}")
    if parameter in _NOT_TRIED:
        raise UsageError(f"{parameter} is no setting to try: name another")
    if parameter in arguments:
        raise UsageError(
            f"{parameter} is what is tried, and it is given too: leave it out"
        )
    tried = list(values) if not isinstance(values, str) else []
    if not tried:
        raise UsageError(
            f"values is {values!r}: give a list of what to try, such as [0.1, 1.0]"
        )
    return [v.item() if isinstance(v, np.generic) else v for v in tried]


@dataclass
class _Job:
    """What is fitted, and the values that are tried.

    Attributes:
        target: what is predicted, once something was fitted.
    """

    data: Any
    y: Any
    parameter: str
    values: list[Any]
    arguments: dict[str, Any]
    progress: Progress | None
    target: str = ""

    def prepared(self, split: Any, value: Any = None) -> Prepared:
        """The data with a value, split."""
        given = self.arguments | ({} if value is None else {self.parameter: value})
        reading = {k: v for k, v in given.items() if k in _DATA}
        found = prepare(self.data, self.y, split=split, **reading)
        self.target = found.design.response
        return found

    def by_fit(self, split: Any) -> Array:
        """Mean squared errors in training and validation, (points, 2), by fitting."""
        if self.parameter == "epochs":
            found = self._by_path(split)
            if found is not None:
                return found
        return np.array([self._fitted(split, value) for value in self.values])

    def _fitted(self, split: Any, value: Any) -> tuple[float, float]:
        held = self.prepared(split, value).validation
        assert held is not None
        try:
            fitted = self._fit(split, value)
        except DivergenceError:
            return math.inf, math.inf
        scores = score_by(fitted.design, held, fitted.predict_terms)
        return fitted.metrics.rmse**2, scores.rmse**2

    def _fit(self, split: Any, value: Any) -> Fit:
        given = self.arguments | {self.parameter: value}
        found = fit(self.data, self.y, split=split, progress=self.progress, **given)
        if found.settings.get("interrupted"):
            raise KeyboardInterrupt  # it was cut short, which is no score
        return found

    def _by_path(self, split: Any) -> Array | None:
        """Of epochs, along one descent in closed form; None where it is not."""
        plain = {*_DATA, *_CLOSED_FORM}
        if set(self.arguments) - plain or self.arguments.get("optimizer") not in _SGD:
            return None
        epochs = [whole("epochs", v, most=MOST_EPOCHS) for v in self.values]
        try:
            fitted = self._fit(split, max(epochs))
        except DivergenceError:
            return np.full((len(epochs), 2), math.inf)
        self.target, origin = fitted.target, fitted._origin
        if not isinstance(origin, Origin) or origin.path is None or origin.held is None:
            return None
        train, parameters = origin.path.trace(np.array(epochs))
        return np.column_stack([train, origin.held.losses(parameters)])

    def by_state(self, split: Split | None, cut: Folds | None) -> Array:
        """Of alphas, (folds, points, 2), from the states of one pass."""
        given = self.arguments
        penalty = as_penalty(
            given.get("penalty"), 0.0, given.get("l1_ratio"), given.get("standardize")
        )
        if penalty is None:
            raise UsageError(
                "alpha is the weight of a penalty and none is given: give "
                "penalty='ridge', 'lasso' or 'elastic_net'"
            )
        alphas = np.array([real("alpha", v) for v in self.values])
        if (alphas < 0).any():
            raise UsageError(f"an alpha is {alphas.min():g}: give 0 or more")
        prepared = self.prepared(split)
        design = prepared.design
        if cut is not None:
            pairs = read_folds(prepared.source, design, cut, self.progress).pairs()
        else:
            held = prepared.validation
            assert held is not None
            both = (prepared.source, held)
            learned, seen = (read_state(s, design, self.progress) for s in both)
            pairs = iter([(learned, seen)])
        with blas_threads(1 if len(design.terms) <= WIDE else None):
            return np.stack([_errors(*pair, alphas, penalty) for pair in pairs])


def _errors(learned: Moments, held: Moments, alphas: Array, penalty: Penalty) -> Array:
    """Mean squared errors in training and validation, (A, 2)."""
    if not penalty.l1_ratio:
        slopes = ridge_path(learned, alphas, penalty.standardize)[0]
    else:
        ratio, scaled = penalty.l1_ratio, penalty.standardize
        slopes = elastic_net_path(learned, alphas, ratio, scaled).slopes
    return np.column_stack(
        [held_out_error(learned, rows, slopes)[:, 0] for rows in (learned, held)]
    )


def every_fold(folds: Folds) -> list[FoldSplit]:
    """Each fold as a split: it is the validation part, what predicts it is learned."""
    return [
        FoldSplit(folds, repeat, fold)
        for repeat in range(folds.repeats)
        for fold in range(folds.count)
    ]


class FoldSplit:
    """One fold of some as a split, by the face of gl.Split.

    Args:
        folds: how rows are cut into folds.
        repeat: which time.
        fold: which one is held out.
    """

    def __init__(self, folds: Folds, repeat: int, fold: int) -> None:
        self._folds, self._repeat, self._fold = folds, repeat, fold
        self._known: Labelled | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that say where a row belongs, and are no features unless named."""
        return self._folds.columns

    def aside(self, target: str) -> tuple[str, ...]:
        """The same, whatever the target."""
        return self.columns

    def has(self, part: Part, source: Source | None = None) -> bool:
        """There is no test part."""
        return part != "test"

    def settled(self, source: Source) -> FoldSplit:
        """Itself: nothing is left to find out."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {"folds": repr(self._folds), "repeat": self._repeat, "fold": self._fold}

    def part(self, source: Source, part: Part) -> Source:
        """The rows to learn from, or those to score."""
        if self._known is None or self._known.source is not source:
            self._known = self._labelled(source)
        number = ("train", "validation", "test").index(part)
        return PartSource(self._known, [number], part)

    def _labelled(self, source: Source) -> Labelled:
        labels = self._folds.labeller(source)
        held = self._fold + self._folds.in_order

        def label(batch: Batch, start: int) -> Labels:
            blocks = labels(batch, start)[self._repeat]
            train = blocks < held if self._folds.in_order else blocks != held
            found: Labels = np.where(train, 0, np.where(blocks == held, 1, 3))
            return found.astype(np.uint8)

        return Labelled(source, self._folds.columns or _first(source), label)


def _first(source: Source) -> list[str]:
    """A column to read where none is needed."""
    return [source.columns[0].name]
