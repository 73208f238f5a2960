"""cross_validate(): the error on rows held out, at every penalty, for many targets.

Here the arguments are checked and the targets joined to the data; the errors are found,
and an alpha chosen for each target, in choosing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gradline.checks import column_names, one_of, real
from gradline.choosing import ALPHAS, Rule, validated
from gradline.crossval import CrossValidation
from gradline.data import (
    Array,
    JoinedSource,
    Progress,
    Source,
    exact_float64,
    real_array,
)
from gradline.design import Missing, check_target
from gradline.errors import ColumnError, ShapeError, UsageError
from gradline.folds import as_folds
from gradline.intake import open_features
from gradline.objective import as_penalty
from gradline.prepare import prepare
from gradline.splits import Split


def cross_validate(
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    penalty: Literal["ridge", "lasso", "elastic_net"] | None = "ridge",
    alphas: Sequence[float] | None = None,
    l1_ratio: float | None = None,
    standardize: bool | None = None,
    folds: Any = None,
    rule: Rule = "cv",
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
) -> CrossValidation:
    """The error on rows held out, at every penalty, from one pass over the data.

    Args:
        data: as in `fit`.
        y: the target, (n,), or k of them, (n, k), unless they are columns of data.
        target: the name of that column, or a list of names: each target gets its own
            penalty.
        features: the columns to predict from; every other column unless told.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        penalty: its kind; None for the plain score of least squares.
        alphas: its weights; 100 of them unless told.
        l1_ratio: of the elastic net.
        standardize: whether the penalty counts slopes of standardised features; yes
            unless told. Each fold is predicted with the scale of the rows it was
            fitted on.
        folds: how many, 5 unless told, or a gl.KFold, gl.GroupKFold or
            gl.TimeSeriesFolds.
        rule: how to choose alpha: "cv", the least error; "1se", the largest alpha
            within one standard error of that; "gcv" and "loo" for ridge, which need
            no folds.
        weights: row weights: an array (n,), or the name of a column.
        intercept: False for lines through the origin.
        missing: "error" refuses incomplete rows, "drop" leaves them out.
        split: cross-validate the training part of it alone.
        formula: the target and the terms in one text, as in `fit`.
        degree: of each numeric feature x, poly(x, degree) instead of x.
        delimiter: of a CSV file.
        encoding: of a CSV file.
        decimal: the decimal mark of a CSV file.
        progress: True for a bar; or what is told how reading gets on.

    Returns:
        A CrossValidation: .alphas, .errors (A, F, k), .mean, .best_alpha, .plot().

    Raises:
        UsageError: arguments that do not go together.
        DataError: data that cannot be fitted as given.

    Equivalent: sklearn.linear_model.RidgeCV(alphas, alpha_per_target=True), or
    cross_val_score for each alpha; R's cv.glmnet.
    """
    one_of("rule", rule, "cv", "1se", "gcv", "loo")
    kind = as_penalty(penalty, rule if penalty else None, l1_ratio, standardize)
    if kind is None and (alphas is not None or rule != "cv"):
        raise UsageError(
            "without a penalty there is no alpha to choose: leave out alphas and rule, "
            "or give penalty='ridge'"
        )
    if kind is None and standardize is not None:
        raise UsageError("standardize is for a penalty: leave it out")
    grid = None if alphas is None else _checked(alphas)
    reading: dict[str, Any] = {
        "delimiter": delimiter,
        "encoding": encoding,
        "decimal": decimal,
    }
    names = _target_names(target)
    if y is not None and np.ndim(y) == 2:
        data, names = _with_targets(data, y, names, categories, reading)
        y, reading = None, {}
    others = names[1:]
    for name in others:
        if features is not None and name in features:
            raise ColumnError(
                f"{name!r} is a target and a feature: take it off the features"
            )
    prepared = prepare(
        data,
        y,
        target=names[0] if names else None,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=weights,
        missing=missing,
        intercept=intercept,
        split=split,
        formula=formula,
        degree=degree,
        aside=(*as_folds(folds).columns, *others),
        **reading,
    )
    for name in others:
        check_target(prepared.source, name)
        if name in prepared.design.features:  # a formula may name it
            raise ColumnError(
                f"{name!r} is a target and a feature: take it out of the formula"
            )
    return validated(prepared, kind, grid, folds, progress, others).curve


def _checked(alphas: Any) -> Array:
    """Alphas as given, from large to small.

    Raises:
        UsageError: none, or one that is negative or not finite.
    """
    found = [alphas] if isinstance(alphas, int | float) else list(alphas)
    values = np.array([real("an alpha", value) for value in found])
    if not len(values) or values.min() < 0:
        raise UsageError(
            f"alphas is {alphas!r}: give numbers of 0 or more, or leave it out for "
            f"{ALPHAS} of them"
        )
    return np.sort(values)[::-1]


def _target_names(target: Any) -> list[str]:
    """The names of the targets; none where none is given."""
    if target is None:
        return []
    names = [target] if isinstance(target, str) else column_names("target", target)
    names = list(names)
    if len(set(names)) < len(names) or not names:
        raise UsageError(f"target is {target!r}: name each target once")
    return names


def _with_targets(
    data: Any, y: Any, names: list[str], categories: Sequence[str], reading: Any
) -> tuple[Source, list[str]]:
    """Data with the columns of y, (n, k), beside their own, and their names."""
    columns = getattr(y, "columns", None)
    values = exact_float64(real_array(y if columns is None else y.to_numpy(), "y"), [])
    width = values.shape[1]
    if not names:
        names = [f"y{i + 1}" for i in range(width)] if width > 1 else ["y"]
        names = names if columns is None else [str(name) for name in columns]
    if len(names) != width:
        raise ShapeError(
            f"y has {width} columns and {len(names)} targets are named: give a name "
            "for each"
        )
    source = open_features(data, None, categories=tuple(categories), **reading)
    taken = {column.name for column in source.columns}
    for name in names:
        if name in taken:
            raise ColumnError(
                f"y has a column {name!r} and the data have one too, which would let "
                "the answer leak in: leave it out"
            )
    joined = {name: values[:, i].copy() for i, name in enumerate(names)}
    return JoinedSource(source, joined), names
