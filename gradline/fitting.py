"""fit(): from data to a certified line. "auto" lives here, and nowhere below.

Data become a source, a source gets a design, one pass leaves a state, the state gives
the optimum and its loss; only where that would lose digits are the data read again.
Descent starts from the state too (path.py) and never sees the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from gradline.certificate import Certificate
from gradline.checks import column_name, column_names, one_of
from gradline.conclude import conclude, parameters_of
from gradline.data import Progress, Source
from gradline.design import Design, Missing, build_design
from gradline.errors import DataError, UsageError
from gradline.intake import open_table
from gradline.model import LinearRegression
from gradline.result import Fit
from gradline.retrace import solved
from gradline.survey import take_survey
from gradline.training import Training, descend_on, optimizer_settings


def fit(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    method: Literal["auto", "exact", "gd"] = "auto",
    lr: float | Literal["auto"] | None = None,
    epochs: int | None = None,
    standardize: bool | None = None,
    start: LinearRegression | None = None,
    seed: int | None = None,
    optimizer: str | None = None,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    optimizer_options: dict[str, Any] | None = None,
    weights: Any = None,
    intercept: bool = True,
    missing: Missing = "error",
    degenerate: Literal["allow", "refuse"] = "allow",
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    progress: Progress | None = None,
) -> Fit:
    """Fit y = intercept + Σ coefficient·feature by least squares.

    The loss is the mean squared error, Σ w_i (y_i - prediction_i)² / Σ w_i.

    Args:
        data: the features: an array or tensor, (n,) or (n, d); a pandas, polars or
            Arrow table; a dict of columns; or the path of a CSV, Parquet or Arrow file.
        y: the target, (n,), unless it is a column of data.
        target: the name of that column.
        features: the names of the columns to predict from; every other column unless
            told. Text and booleans become categories, the first level in sorted order
            the base.
        exclude: columns to leave out of them.
        categories: features to treat as categories whatever they look like: numbers,
            or texts that look like numbers or like names.
        method: "exact" solves; "gd" descends, by full-batch gradient descent; "auto"
            descends where lr, epochs, standardize, start, seed, optimizer or one of
            its settings is given, else solves.
        lr: the learning rate of "gd". "auto", the default, is the fastest for these
            data and this momentum β, on standardised features: 2(1 + β)/(λmax + λmin),
            or, with Nesterov's, where the steepest and the flattest shrink alike.
            A number is taken as it is, on the data as they are: weights and losses
            are those of torch.optim.SGD. Another optimiser has its own default, and
            takes the data as they are.
        epochs: full passes to descend for; unless told, as many as converge, at most
            10 million (they cost nothing: see path.py), or 100,000 for an optimiser
            other than SGD.
        standardize: descend on features of mean 0 and standard deviation 1. Unless
            told, with lr="auto" only. Coefficients are in the input's units always.
        start: the model to start from; it is not changed. Unless told, parameters
            drawn from N(0, 1), or 0 where the optimum is not unique.
        seed: of that draw; 0 unless told.
        optimizer: the name of a class in torch.optim: "SGD" unless told, in closed
            form. Any other steps on the state (see quadratic.py), so its cost does
            not depend on the rows; Ctrl-C ends it and keeps what was learned.
        momentum: of SGD, from 0 up to but not including 1.
        dampening: of the momentum, below 1.
        nesterov: Nesterov's momentum.
        weight_decay: this times each parameter is added to its gradient, to that of
            the intercept too, in the coordinates of the descent. The descent ends at
            the ridge solution there; the gap is that to the least-squares optimum.
        optimizer_options: further settings of the optimiser, by torch's names.
        weights: row weights of 0 or more: an array (n,), or the name of a column.
        intercept: False fits a line through the origin; R² and F are then about 0
            instead of the mean, as in R and statsmodels.
        missing: "error" refuses incomplete rows, "drop" leaves them out and counts.
        degenerate: "refuse" turns down fewer rows than coefficients, and a constant
            feature; "allow" gives the answer of least norm, and a status that says so.
        delimiter: of a CSV file; found out unless told.
        encoding: of a CSV file; found out unless told.
        decimal: the decimal mark of a CSV file.
        progress: is told how reading gets on.

    Returns:
        A Fit, with its certificate.

    Raises:
        UsageError: arguments that do not go together.
        DataError: data that cannot be fitted as given (ColumnError, ShapeError and
            MissingValueError are kinds of it).
        FileError: a file that cannot be read.
        DivergenceError: lr is at or above the stability limit.

    Equivalent: sklearn.linear_model.LinearRegression().fit(X, y), statsmodels OLS and
    WLS, R's lm. Use those when you need what they alone have: formulas with arbitrary
    code, or mixed models.
    """
    named = {
        "momentum": momentum,
        "dampening": dampening,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
    }
    name, options = optimizer_settings(optimizer, named, optimizer_options)
    training = Training(lr, epochs, standardize, start, seed, name, options)
    chosen = _method(method, training, optimizer is not None)
    reading = {"delimiter": delimiter, "encoding": encoding, "decimal": decimal}
    source, design = _prepare(
        data,
        y,
        target,
        features,
        exclude,
        categories,
        weights,
        missing,
        intercept,
        **reading,
    )
    one_of("degenerate", degenerate, "allow", "refuse")
    survey = take_survey(source, design, progress, degenerate == "refuse")
    if chosen == "exact":
        return solved(survey.best)
    return descend_on(survey, training)


def certify(
    model: LinearRegression,
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: Any = None,
    intercept: bool = True,
    missing: Missing = "error",
) -> Certificate:
    """Hold any linear model, however it was trained, against the exact optimum.

    Args:
        model: with one output; its parameters are read and not changed. Its inputs are
            the terms of the design: the features, categories as indicator columns.
        data: as in `fit`, and so are y and all that follows.
        y: the target, (n,), unless it is a column of data.
        target: the name of that column.
        features: the columns to predict from.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        weights: row weights, (n,), or the name of a column.
        intercept: False to compare with lines through the origin; the model's bias is
            then 0 or None.
        missing: what to do with incomplete rows.

    Returns:
        The certificate of the model's weights on these data, as if by descent.

    Raises:
        ShapeError: the model has not one weight per term, or several outputs.
    """
    _check_model("model", model)
    prepared = _prepare(
        data, y, target, features, exclude, categories, weights, missing, intercept
    )
    survey = take_survey(*prepared)
    return conclude(survey, parameters_of(model, survey), method="gd").certificate


def _prepare(
    data: Any,
    y: Any,
    target: str | None,
    features: Sequence[str] | None,
    exclude: Sequence[str],
    categories: Sequence[str],
    weights: Any,
    missing: Missing,
    intercept: bool = True,
    **reading: Any,
) -> tuple[Source, Design]:
    """Data and choices as a source and the design that reads it."""
    if target is not None:
        column_name("target", target)
    if features is not None:
        features = column_names("features", features)
    exclude = column_names("exclude", exclude)
    categories = column_names("categories", categories)
    table = open_table(
        data, y, target=target, weights=weights, categories=categories, **reading
    )
    design = build_design(
        table.source,
        target=table.target,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=table.weights,
        missing=missing,
        intercept=intercept,
    )
    return table.source, design


def _method(method: str, training: Training, optimizer: bool) -> Literal["exact", "gd"]:
    """Settle "auto", and refuse settings that would have no effect."""
    given = {
        "lr": training.lr is not None,
        "epochs": training.epochs is not None,
        "standardize": training.standardize is not None,
        "start": training.start is not None,
        "seed": training.seed is not None,
        "optimizer": optimizer,
    }
    names = [name for name, is_given in given.items() if is_given]
    names += training.options
    one_of("method", method, "auto", "exact", "gd")
    if method == "exact" and names:
        raise UsageError(
            f"method='exact' does not descend and has no use for {', '.join(names)}: "
            "leave it out, or give method='gd'"
        )
    if training.start is not None:
        _check_model("start", training.start)
    training.check()
    return "gd" if method == "gd" or names else "exact"


def _check_model(name: str, model: Any) -> None:
    """Refuse what is no linear model, or one with NaN in it."""
    weight, bias = getattr(model, "weight", None), getattr(model, "bias", None)
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor | None)):
        raise UsageError(
            f"{name} is a {type(model).__name__}: give a gl.LinearRegression, or a "
            "torch.nn.Linear"
        )
    fine = torch.isfinite(weight).all()
    if not (fine and (bias is None or torch.isfinite(bias).all())):
        raise DataError(
            f"{name} has a weight or bias that is NaN or infinite: it has diverged; "
            "start again with a smaller lr"
        )
