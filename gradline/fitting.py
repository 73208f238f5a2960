"""fit(): from data to a certified line. "auto" lives here, and nowhere below.

Data become a source, a source gets a design, one pass leaves a state, the state gives
the optimum; a second pass measures the residuals there and refines it. Descent then
starts from the state (path.py) and never reads the data again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import Certificate
from gradline.checks import column_name, column_names, learning_rate, one_of, whole
from gradline.conclude import (
    conclude,
    coordinates_of,
    parameters_of,
    starting_point,
)
from gradline.data import Source
from gradline.design import Design, Missing, build_design
from gradline.errors import DataError, DivergenceError, UsageError
from gradline.intake import open_table
from gradline.model import LinearRegression
from gradline.path import Bowl, Path, raw_bowl, scaled_bowl
from gradline.result import Fit, Trace
from gradline.survey import Progress, Survey, take_survey

#: A trace keeps this many epochs, and this many numbers, at the most.
TRACE_EPOCHS = 10_001
TRACE_NUMBERS = 5_000_000


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
    weights: Any = None,
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
        method: "exact" solves; "gd" descends, by full-batch gradient descent without
            momentum; "auto" descends where lr, epochs, standardize, start or seed is
            given, else solves.
        lr: the learning rate of "gd". "auto", the default, is the fastest for these
            data, 2/(λmax + λmin), on standardised features. A number is taken as it
            is, on the data as they are: weights and losses are those of
            torch.optim.SGD.
        epochs: full passes to descend for; unless told, as many as converge, at most
            10 million. (They cost nothing: see path.py.)
        standardize: descend on features of mean 0 and standard deviation 1. Unless
            told, with lr="auto" only. Coefficients are in the input's units always.
        start: the model to start from; it is not changed. Unless told, parameters
            drawn from N(0, 1), or 0 where the optimum is not unique.
        seed: of that draw; 0 unless told.
        weights: row weights of 0 or more: an array (n,), or the name of a column.
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
    chosen = _method(method, lr, epochs, standardize, start, seed)
    reading = {"delimiter": delimiter, "encoding": encoding, "decimal": decimal}
    source, design = _prepare(
        data, y, target, features, exclude, categories, weights, missing, **reading
    )
    one_of("degenerate", degenerate, "allow", "refuse")
    survey = take_survey(source, design, progress, degenerate == "refuse")
    if chosen == "exact":
        return conclude(survey, survey.optimum, method="exact")
    return _descend(survey, lr, epochs, standardize, start, seed)


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
        missing: what to do with incomplete rows.

    Returns:
        The certificate of the model's weights on these data, as if by descent.

    Raises:
        ShapeError: the model has not one weight per term, or several outputs.
    """
    _check_model("model", model)
    prepared = _prepare(
        data, y, target, features, exclude, categories, weights, missing
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
    )
    return table.source, design


def _method(
    method: str,
    lr: float | str | None,
    epochs: int | None,
    standardize: bool | None,
    start: LinearRegression | None,
    seed: int | None,
) -> Literal["exact", "gd"]:
    """Settle "auto", and refuse settings that would have no effect."""
    given = {
        "lr": lr,
        "epochs": epochs,
        "standardize": standardize,
        "start": start,
        "seed": seed,
    }
    names = [name for name, value in given.items() if value is not None]
    one_of("method", method, "auto", "exact", "gd")
    if method == "exact" and names:
        raise UsageError(
            f"method='exact' does not descend and has no use for {', '.join(names)}: "
            "leave it out, or give method='gd'"
        )
    if lr is not None and not (isinstance(lr, str) and lr == "auto"):
        learning_rate(lr)
    if epochs is not None:
        whole("epochs", epochs)
    if standardize is not None:
        one_of("standardize", standardize, True, False)
    if seed is not None:
        whole("seed", seed)
    if start is not None:
        _check_model("start", start)
    if start is not None and seed is not None:
        raise UsageError("start and seed are both given: the seed would have no effect")
    return "gd" if method == "gd" or (method == "auto" and names) else "exact"


def _check_model(name: str, model: Any) -> None:
    """Refuse what is no linear model, or one with NaN in it."""
    weight, bias = getattr(model, "weight", None), getattr(model, "bias", None)
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor)):
        raise UsageError(
            f"{name} is a {type(model).__name__}: give a gl.LinearRegression, or a "
            "torch.nn.Linear with a bias"
        )
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise DataError(
            f"{name} has a weight or bias that is NaN or infinite: it has diverged; "
            "start again with a smaller lr"
        )


def _descend(
    survey: Survey,
    lr: float | Literal["auto"] | None,
    epochs: int | None,
    standardize: bool | None,
    start: LinearRegression | None,
    seed: int | None,
) -> Fit:
    automatic = lr in (None, "auto")
    scaled = automatic if standardize is None else standardize
    bowls = {
        True: scaled_bowl(survey.spectrum, survey.mean),
        False: raw_bowl(survey.spectrum, survey.mean),
    }
    bowl = bowls[scaled]
    rate = bowl.best_lr if automatic else float(lr)  # type: ignore[arg-type]
    if rate >= bowl.lr_limit:
        raise _too_fast(rate, bowl, bowls[True], scaled)
    if start is None:
        seed = 0 if seed is None else int(seed)
    first = starting_point(survey, start, seed, scaled)
    path = Path(
        bowl,
        rate,
        first,
        survey.optimum,
        bowl.left.T @ coordinates_of(survey, first),
        survey.optimum_loss,
    )
    total = path.epochs_to_shrink() if epochs is None else int(epochs)
    kept = _epochs_to_keep(total, len(survey.design.terms))
    parameters = path.parameters(kept)  # (K, d + 1)
    trace = Trace(
        kept.numpy(),
        path.losses(kept).numpy(),
        parameters[:, :-1].numpy(),
        parameters[:, -1].numpy(),
    )
    settings = {"lr": rate, "epochs": total, "standardize": scaled, "seed": seed}
    return conclude(
        survey,
        parameters[-1],
        method="gd",
        trace=trace,
        path=path,
        settings=settings,
    )


def _too_fast(
    rate: float, bowl: Bowl, scaled: Bowl, is_scaled: bool
) -> DivergenceError:
    message = (
        f"lr {rate:.6g} diverges here: the stability limit is {bowl.lr_limit:.6g}; "
        f"give less, such as {bowl.lr_limit / 2:.2g}"
    )
    if not is_scaled and scaled.lr_limit > 1.01 * bowl.lr_limit:
        message += (
            f", or standardise the features, where the limit is {scaled.lr_limit:.6g} "
            "(standardize=True, --standardize)"
        )
    return DivergenceError(message + ", or lr='auto'", rate, bowl.lr_limit)


def _epochs_to_keep(total: int, features: int) -> Tensor:
    """All epochs 0 to total, or a selection that is denser at the start."""
    most = min(TRACE_EPOCHS, max(100, TRACE_NUMBERS // max(1, features)))
    if total < most:
        return torch.arange(total + 1)
    spaced = np.geomspace(1, total, most - 1).round().astype(np.int64)
    return torch.from_numpy(np.unique(np.concatenate([[0], spaced, [total]])))
