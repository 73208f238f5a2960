"""fit(): from data to a certified line. What "auto" means is in routes.py.

Data become a source, a source gets a design, one pass leaves a state, the state gives
the optimum and its loss; only where that would lose digits are the data read again.
Descent starts from the state too (path.py) and never sees the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from gradline.certificate import Certificate
from gradline.checks import one_of
from gradline.conclude import conclude, parameters_of
from gradline.criteria import Criterion
from gradline.data import Progress
from gradline.design import Missing
from gradline.errors import UsageError, listed
from gradline.folds import as_folds
from gradline.heldout import held_out
from gradline.model import LinearRegression
from gradline.objective import Loss, as_loss, as_penalty
from gradline.plans import BATCH
from gradline.prepare import Prepared, prepare
from gradline.result import Fit
from gradline.retrace import solved
from gradline.routes import (
    NO_VALIDATION,
    check_model,
    descends,
    is_function,
    refuse_idle,
    route_of,
)
from gradline.splits import Split
from gradline.stopping import EarlyStopping, as_early_stopping
from gradline.survey import take_survey
from gradline.training import Batches, Training, descend_on, optimizer_settings


def fit(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    method: Literal["auto", "exact", "gd", "sgd"] = "auto",
    lr: float | Literal["auto"] | None = None,
    epochs: int | None = None,
    standardize: bool | None = None,
    start: LinearRegression | Fit | None = None,
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
    loss: str | Loss | nn.Module | Criterion = "squared",
    penalty: Literal["ridge", "lasso", "elastic_net"] | None = None,
    alpha: float | Literal["cv", "1se", "gcv", "loo"] | None = None,
    l1_ratio: float | None = None,
    folds: Any = None,
    bounds: dict[str, tuple[float | None, float | None]] | None = None,
    nonnegative: bool | Sequence[str] = False,
    split: Split | None = None,
    early_stopping: Any = None,
    model: nn.Module | None = None,
    batch_size: int | None = None,
    schedule: Any = None,
    shuffle: Any = None,
    average: bool | None = None,
    checkpoint: Any = None,
    formula: str | None = None,
    degree: int | None = None,
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
            other than SGD. Minibatches take as many as 4,000 steps make, between 10
            and 1,000, where they do not end by themselves.
        standardize: descend on features of mean 0 and standard deviation 1. Unless
            told, with lr="auto" only. Coefficients are in the input's units always.
        start: the model to start from, or a Fit to go on from; it is not changed.
            Unless told, parameters drawn from N(0, 1), or 0 where the optimum is not
            unique. (Minibatches of another loss, or by another optimiser with
            lr="auto", begin at the least-squares line, or at the target's mean.)
        seed: of that draw, and of the batches; 0 unless told.
        optimizer: the name of a class in torch.optim: "SGD" unless told, in closed
            form. Any other steps on the state (see quadratic.py), so its cost does not
            depend on the rows; Ctrl-C ends it and keeps what was learned. By
            minibatches, unless told, Adam and its kin find their lr, as SGD does, and
            the rest keep their own, all on standardised features.
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
            Under a penalty, and for a module, such data determine the answer as any.
        delimiter: of a CSV file; found out unless told.
        encoding: of a CSV file; found out unless told.
        decimal: the decimal mark of a CSV file.
        progress: True for a bar; or what is told how reading gets on.
        loss: "squared", "absolute", "huber" or "quantile:0.9" ("quantile" alone is the
            median's); gl.Huber(...) or gl.Quantile(...); or a torch loss module or any
            function of prediction and target, for which a line is trained by descent.
            See objective.py.
        penalty: "ridge", "lasso" or "elastic_net", on the slopes of standardised
            features unless standardize=False. See docs/penalties.md for its scaling.
        alpha: its weight; or how to choose it: "cv" (unless told), the least
            cross-validated error; "1se", the largest within one standard error of it;
            for ridge also "gcv" and "loo".
        l1_ratio: of the elastic net: 0 is ridge, 1 the lasso; 0.5 unless told.
        folds: for "cv" and "1se": how many, 5 unless told, or a gl.KFold and its kin.
        bounds: for the slopes of some terms, {"x": (0, None)}: squared loss.
        nonnegative: no slope below 0: of all terms (True), or of those named.
        split: which rows to learn from, to choose by, and to test on: a gl.Split.
        early_stopping: stop a descent where the validation loss is least: True, how
            many epochs to wait, or a gl.EarlyStopping. Needs a validation part.
        model: a torch module to train a copy of instead of a line: from the terms of
            the design, (n, d), standardised unless standardize=False, it predicts (n,)
            or (n, 1). By SGD with lr 0.1 for 1,000 epochs, unless told.
        batch_size: rows in a batch, 256 unless told; given, or with method="sgd",
            descent goes batch by batch, over data of any size. SGD then finds its lr
            for these batches and averages the weights, until the loss is within 1e-5
            of its optimum, or at most 1,000 epochs; see docs/minibatches.md.
        schedule: (this and the three below go with batch_size or method="sgd")
            of the learning rate of minibatches: "constant", "inverse", "linear",
            "cosine", or one of torch's, "StepLR:step_size=2"; see schedules.py.
        shuffle: whether minibatches are drawn anew each epoch; True unless told. A
            number is the rows of the buffer, where data are too large to be held.
        average: whether the average of the weights, over the second half of the steps,
            is kept, not the last ones. Unless told, where lr is found and constant.
        checkpoint: a file that a killed run by minibatches goes on from, to the same
            bits; see checkpoints.py.
        formula: the target and the terms in one text, "log(y) ~ x + C(g) + x:z",
            instead of target and features; see docs/formulas.md.
        degree: of each numeric feature x, poly(x, degree) instead of x.

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
    begun = start if isinstance(start, Fit) else None
    first = start.model if isinstance(start, Fit) else start
    name, options = optimizer_settings(optimizer, named, optimizer_options)
    batches = Batches(batch_size, schedule, shuffle, average, checkpoint)
    limits = None if bounds is None and not nonnegative else (bounds, nonnegative)
    route = route_of(method, loss, model, penalty, limits, batches)
    shrunk = as_penalty(penalty, alpha, l1_ratio, standardize)
    training = Training(
        lr,
        epochs,
        None if route == "penalty" else standardize,
        first,
        seed,
        name,
        options,
    )
    if route == "network" and method == "sgd" and batch_size is None:
        batches = replace(batches, size=BATCH)
    goal: Any = loss if is_function(loss) else as_loss(loss)
    descending = descends(method, training, optimizer is not None, route)
    stopping = as_early_stopping(early_stopping)
    refuse_idle(route, descending, folds, stopping, split)
    one_of("degenerate", degenerate, "allow", "refuse")
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
        aside=() if folds is None else as_folds(folds).columns,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
    )
    if stopping is not None and prepared.validation is None:
        raise UsageError(NO_VALIDATION)
    if begun is not None and tuple(begun.coefficients) != prepared.design.terms:
        raise UsageError(
            f"start is a fit on the terms {listed(begun.coefficients)} and these data "
            f"have {listed(prepared.design.terms)}: give the same features"
        )
    refused = degenerate == "refuse"
    if route == "network":
        from gradline.networks import fit_network

        found = fit_network(
            prepared, model, goal, training, batches, stopping, progress, refused
        )
    elif route == "batches":
        from gradline.minibatch import fit_minibatch

        found = fit_minibatch(
            prepared, goal, training, batches, stopping, progress, refused
        )
    elif route == "penalty":
        from gradline.penalized import fit_penalized

        found = fit_penalized(prepared, shrunk, limits, folds, progress, refused)
    elif route == "loss":
        from gradline.robust import fit_robust

        found = fit_robust(prepared, goal, progress, refused)
    else:
        found = _least_squares(
            prepared, training, descending, stopping, refused, progress
        )
    return found._examined(prepared)


def _least_squares(
    prepared: Prepared,
    training: Training,
    descending: bool,
    stopping: EarlyStopping | None,
    refused: bool,
    progress: Progress | None,
) -> Fit:
    """By solving, or by descent in closed form or on the state."""
    survey = take_survey(prepared.source, prepared.design, progress, refused)
    if not descending:
        return solved(survey.best)
    held = None
    if prepared.validation is not None:
        held = held_out(prepared.validation, prepared.design, progress)
    return descend_on(survey, training, held, stopping)


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
    formula: str | None = None,
    degree: int | None = None,
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
        formula: the target and the terms in one text, "log(y) ~ x + C(g) + x:z",
            instead of target and features; see docs/formulas.md.
        degree: of each numeric feature x, poly(x, degree) instead of x.

    Returns:
        The certificate of the model's weights on these data, as if by descent.

    Raises:
        ShapeError: the model has not one weight per term, or several outputs.
    """
    check_model("model", model)
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
        formula=formula,
        degree=degree,
    )
    survey = take_survey(prepared.source, prepared.design)
    return conclude(survey, parameters_of(model, survey), method="gd").certificate
