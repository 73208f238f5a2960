"""fit(): from data to a certified line. "auto" lives here, and nowhere below.

Data become a source, a source gets a design, one pass leaves a state, the state gives
the optimum; a second pass measures the residuals there and refines it. Descent then
starts from the state (path.py) and never reads the data again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import (
    TOLERANCE,
    Certificate,
    advice_for,
    digits_to_trust,
    gradient_norm,
    relative_gap,
)
from gradline.data import Chunk, Source
from gradline.design import Design, Missing, Tally, build_design
from gradline.errors import (
    DataError,
    DivergenceError,
    ShapeError,
    Status,
    UsageError,
)
from gradline.intake import open_table
from gradline.model import LinearRegression
from gradline.path import Bowl, Path, raw_bowl, scaled_bowl
from gradline.result import Fit, Sample, Scores, Trace
from gradline.solvers import (
    EPS,
    Spectrum,
    column_scale,
    from_moments,
    from_triangle,
    needs_triangle,
    triangle_scale,
)
from gradline.state import Moments, Triangle, centred
from gradline.state import weights as weights_of

#: Called with a title and the rows to come (or None): a context manager that gives a
#: function to call with each number of rows done. terminal.py has one with a bar.
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], Any]]]

#: A trace keeps this many epochs, and this many numbers, at the most.
TRACE_EPOCHS = 10_001
TRACE_NUMBERS = 5_000_000

#: A fit keeps this many rows to draw.
SAMPLE_ROWS = 2_000


def fit(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
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
        categories: numeric features to treat as categories.
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
    table = open_table(
        data,
        y,
        target=target,
        weights=weights,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        categories=tuple(categories),
    )
    design = build_design(
        table.source,
        target=table.target,
        features=features,
        categories=categories,
        weights=table.weights,
        missing=missing,
    )
    if degenerate not in ("allow", "refuse"):
        raise UsageError(f"degenerate is {degenerate!r}: give 'allow' or 'refuse'")
    survey = take_survey(table.source, design, progress, degenerate == "refuse")
    if chosen == "exact":
        return conclude(survey, survey.optimum, method="exact")
    return _descend(survey, lr, epochs, standardize, start, seed)


def certify(model: LinearRegression, x: Any, y: Any, **options: Any) -> Certificate:
    """Hold any linear model, however it was trained, against the exact optimum.

    Args:
        model: with one output; its parameters are read and not changed.
        x: the features, as `fit` takes them; one column per weight.
        y: the target, (n,).
        **options: of `fit`: features, weights, missing and so on.

    Returns:
        The certificate of the model's weights on these data, as if by descent.
    """
    options = {"target": None, "features": None, **options}
    features, missing = options.pop("features"), options.pop("missing", "error")
    categories = options.pop("categories", ())
    table = open_table(x, y, categories=categories, **options)
    design = build_design(
        table.source,
        target=table.target,
        features=features,
        categories=categories,
        weights=table.weights,
        missing=missing,
    )
    survey = take_survey(table.source, design)
    return conclude(survey, parameters_of(model, survey), method="gd").certificate


@dataclass(frozen=True)
class Survey:
    """All that the passes over the data have found out.

    Attributes:
        source: the data.
        design: how its columns become terms.
        tally: rows used and dropped.
        moments: the state.
        spectrum: of the design.
        solver: what the spectrum came from.
        optimum: the optimal slopes and intercept, (d + 1,), raw.
        level: the prediction at the mean of x, at the optimum.
        optimum_loss: mean squared error there, from the residuals themselves.
        optimum_mae: mean absolute error there.
        error: how far each number of `optimum` may be off, (d + 1,).
        sample: some rows to draw.
    """

    source: Source
    design: Design
    tally: Tally
    moments: Moments
    spectrum: Spectrum
    solver: Literal["moments", "triangle"]
    optimum: Tensor
    level: float
    optimum_loss: float
    optimum_mae: float
    error: Tensor
    sample: Sample

    @property
    def mean(self) -> Tensor:
        """The mean of x, (d,)."""
        return self.moments.mean[:-1]

    @property
    def variance(self) -> float:
        """The variance of y: the loss of predicting its mean."""
        return max(0.0, float(self.moments.scatter[-1, -1]) / self.moments.weight)


def take_survey(
    source: Source,
    design: Design,
    progress: Progress | None = None,
    refuse_degenerate: bool = False,
) -> Survey:
    """Read the data: the state, the optimum, and the residuals at the optimum."""
    tally = Tally()
    moments = Moments(len(design.terms))
    for chunk in _pass(source, design, "reading", progress, tally):
        moments.add(chunk)
    _check_enough(source, design, tally, moments)
    if refuse_degenerate:
        _check_determined(source, design, moments)
    spectrum = from_moments(moments)
    solver: Literal["moments", "triangle"] = "moments"
    if needs_triangle(spectrum):
        solver = "triangle"
        triangle = Triangle(moments, triangle_scale(moments))
        for chunk in _pass(source, design, "reading again (QR)", progress):
            triangle.add(chunk)
        spectrum = from_triangle(moments, triangle)
    slopes = spectrum.solve()
    measured = _measure(
        _pass(source, design, "residuals", progress), moments, slopes, tally.rows
    )
    # One step of Newton's method with the residuals' own gradient: it takes away what
    # rounding left in the solution, and the loss changes by exactly what it promises.
    step = spectrum.newton_step(measured.gradient)
    loss = measured.loss - float(measured.gradient @ step) - measured.offset**2
    slopes = slopes + step
    mean = moments.mean
    level = float(mean[-1]) + measured.offset
    intercept = level - slopes @ mean[:-1]
    # What one more step would still find, by the rate at which such steps shrink.
    squared = 2 if solver == "moments" else 1
    rest = min(1.0, 64 * EPS * len(slopes) * spectrum.condition**squared)
    error = torch.cat(
        [step.abs() * (0 if spectrum.deficient else rest), torch.zeros(1)]
    )
    return Survey(
        source,
        design,
        tally,
        moments,
        spectrum,
        solver,
        torch.cat([slopes, intercept[None]]),
        level,
        max(0.0, loss),
        measured.mae,
        error,
        measured.sample,
    )


def conclude(
    survey: Survey,
    parameters: Tensor,
    *,
    method: Literal["exact", "gd"],
    trace: Trace | None = None,
    path: Path | None = None,
    settings: dict[str, Any] | None = None,
) -> Fit:
    """Any slopes and intercept as a Fit, certified against the survey's optimum.

    Args:
        survey: of the data.
        parameters: raw slopes and intercept, (d + 1,).
        method: how they were found.
        trace: the history of a descent.
        path: the descent, which knows how many epochs are still needed.
        settings: what to remember of how it was fitted.
    """
    spectrum, design = survey.spectrum, survey.design
    slopes = parameters[:-1]
    coordinates = _coordinates(survey, parameters)
    gap = 0.5 * float(coordinates.square().sum())
    if method == "exact":
        coordinates, gap = coordinates * 0, 0.0
    share = relative_gap(gap, survey.optimum_loss, survey.variance)
    loss = survey.optimum_loss + gap
    plain = raw_bowl(spectrum, survey.mean)
    scaled = scaled_bowl(spectrum, survey.mean)
    level = (
        survey.level
        if method == "exact"
        else float(parameters[-1] + slopes @ survey.mean)
    )
    digits = digits_to_trust(
        spectrum,
        slopes=slopes,
        mean=survey.mean,
        level=level,
        residual=survey.optimum_loss**0.5,
        spread=survey.variance**0.5,
        error=survey.error + (parameters - survey.optimum).abs(),
        solver=survey.solver,
    )
    status = _status(survey, method, share)
    settings = {"lr": None, "epochs": None, **(settings or {})}
    needed = None
    best: tuple[float, int | None] | None = None
    if path is not None:
        goal = TOLERANCE * max(survey.optimum_loss, EPS * survey.variance)
        total = path.epochs_to(goal)
        done = settings["epochs"] or 0
        needed = None if total is None else max(0, total - done)
        if status == Status.NOT_CONVERGED:
            best = (scaled.best_lr, _epochs_from_scratch(survey, scaled, goal))
    dependent = tuple(design.terms[i] for i in spectrum.dependent())
    if not spectrum.deficient:
        dependent = ()
    columns = len(design.terms) + 1
    certificate = Certificate(
        status=status,
        advice=advice_for(
            status,
            loss=loss,
            gap_share=share,
            digits=digits,
            condition=spectrum.condition,
            dependent=dependent,
            rows=survey.tally.rows,
            columns=columns,
            lr=settings["lr"],
            epochs_needed=needed,
            best=best,
        ),
        loss=loss,
        optimum_loss=survey.optimum_loss,
        gap=gap,
        relative_gap=share,
        gradient_norm=gradient_norm(plain, coordinates),
        condition=spectrum.condition,
        rank=spectrum.rank + 1,
        columns=columns,
        dependent=dependent,
        digits=digits,
        lr_limit=plain.lr_limit,
        lr_limit_standardized=scaled.lr_limit,
        best_lr=plain.best_lr,
        epochs_needed=needed,
        solver=survey.solver,
    )
    mae = survey.optimum_mae if method == "exact" else _mae(survey, slopes, level)
    r2 = 1 - loss / survey.variance if survey.variance > 0 else math.nan
    return Fit(
        coefficients=dict(zip(design.terms, slopes.tolist(), strict=True)),
        intercept=float(parameters[-1]),
        certificate=certificate,
        trace=trace,
        metrics=Scores(r2, math.sqrt(loss), mae, survey.tally.rows),
        method=method,
        rows=survey.tally.rows,
        dropped=survey.tally.dropped,
        design=design,
        settings={"data": survey.source.name, **settings},
        notes=_notes(survey, certificate),
        center=survey.mean.numpy(),
        level=level,
        sample=survey.sample,
    )


def parameters_of(model: LinearRegression, survey: Survey) -> Tensor:
    """A model's slopes and intercept as float64, (d + 1,).

    Raises:
        ShapeError: the model has another number of features, or several outputs.
    """
    weight = model.weight.detach().double().cpu()
    d = len(survey.design.terms)
    if tuple(weight.shape) != (1, d):
        raise ShapeError(
            f"the model's weight has shape {tuple(weight.shape)} and the design {d} "
            f"terms: give LinearRegression(in_features={d})"
        )
    return torch.cat([weight[0], model.bias.detach().double().cpu()])


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
    if method not in ("auto", "exact", "gd"):
        raise UsageError(f"method is {method!r}: give 'exact', 'gd' or 'auto'")
    if method == "exact" and names:
        raise UsageError(
            f"method='exact' does not descend and has no use for {', '.join(names)}: "
            "leave it out, or give method='gd'"
        )
    if isinstance(lr, str) and lr != "auto":
        raise UsageError(f"lr is {lr!r}: give a positive number, or 'auto'")
    if isinstance(lr, (int, float)) and not (math.isfinite(lr) and lr > 0):
        raise UsageError(f"lr is {lr}: give a positive number, or 'auto'")
    if epochs is not None and (
        isinstance(epochs, bool) or int(epochs) != epochs or epochs < 0
    ):
        raise UsageError(f"epochs is {epochs!r}: give a whole number, 0 or more")
    if start is not None and seed is not None:
        raise UsageError("start and seed are both given: the seed would have no effect")
    return "gd" if method == "gd" or (method == "auto" and names) else "exact"


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
    seed = 0 if seed is None and start is None else seed
    first = _start(survey, start, seed, scaled)
    path = Path(
        bowl,
        rate,
        first,
        survey.optimum,
        bowl.left.T @ _coordinates(survey, first),
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
        f"lr {rate:g} diverges here: the stability limit is {bowl.lr_limit:.3g}; "
        f"give less, such as {bowl.lr_limit / 2:.2g}"
    )
    if not is_scaled and scaled.lr_limit > 1.01 * bowl.lr_limit:
        message += (
            f", or standardise the features, where the limit is {scaled.lr_limit:.3g} "
            "(standardize=True, --standardize)"
        )
    return DivergenceError(message + ", or lr='auto'", rate, bowl.lr_limit)


def _start(
    survey: Survey, model: LinearRegression | None, seed: int | None, scaled: bool
) -> Tensor:
    """Raw slopes and intercept at epoch 0, (d + 1,)."""
    if model is not None:
        return parameters_of(model, survey)
    d = len(survey.design.terms)
    if survey.spectrum.deficient:
        slopes, level = torch.zeros(d, dtype=torch.float64), 0.0
    else:
        source = torch.Generator().manual_seed(seed or 0)
        drawn = LinearRegression(d, dtype=torch.float64, generator=source)
        slopes, level = drawn.weight.detach()[0], float(drawn.bias.detach())
    if not scaled:
        return torch.cat([slopes, torch.tensor([level], dtype=torch.float64)])
    raw = torch.where(survey.spectrum.scale > 0, slopes / survey.spectrum.scale, 0.0)
    return torch.cat([raw, (level - raw @ survey.mean)[None]])


def _coordinates(survey: Survey, parameters: Tensor) -> Tensor:
    """√2·[Σ Vᵀ Δu, Δlevel]: half its squared norm is the gap."""
    delta = parameters - survey.optimum
    level = delta[-1] + delta[:-1] @ survey.mean
    return math.sqrt(2) * torch.cat(
        [survey.spectrum.coordinates(delta[:-1]), level[None]]
    )


def _epochs_from_scratch(survey: Survey, bowl: Bowl, goal: float) -> int | None:
    """How long the best rate on standardised features takes to converge."""
    first = _start(survey, None, 0, scaled=True)
    amplitude = bowl.left.T @ _coordinates(survey, first)
    path = Path(bowl, bowl.best_lr, first, survey.optimum, amplitude, 0.0)
    return path.epochs_to(goal)


def _epochs_to_keep(total: int, features: int) -> Tensor:
    """All epochs 0 to total, or a selection that is denser at the start."""
    most = min(TRACE_EPOCHS, max(100, TRACE_NUMBERS // max(1, features)))
    if total < most:
        return torch.arange(total + 1)
    spaced = np.geomspace(1, total, most - 1).round().astype(np.int64)
    return torch.from_numpy(np.unique(np.concatenate([[0], spaced, [total]])))


def _status(survey: Survey, method: str, share: float) -> Status:
    if method == "gd" and share > TOLERANCE:
        return Status.NOT_CONVERGED
    if survey.spectrum.deficient:
        return Status.RANK_DEFICIENT
    return Status.EXACT if method == "exact" else Status.CONVERGED


def _notes(survey: Survey, certificate: Certificate) -> tuple[str, ...]:
    notes = []
    if survey.tally.dropped:
        many = survey.tally.dropped != 1
        notes.append(
            f"{survey.tally.dropped:,} incomplete row{'s were' if many else ' was'} "
            "dropped."
        )
    for name, levels in survey.design.levels.items():
        if len(levels) < 2:
            notes.append(f"Category {name!r} has one level only and adds no term.")
    if certificate.status == Status.RANK_DEFICIENT:
        notes.append(certificate.advice)
    return tuple(notes)


@dataclass
class _Measured:
    """A pass over the residuals of given slopes."""

    loss: float
    mae: float
    gradient: Tensor  # Σ w·r·(x - mean)/W, (d,)
    offset: float  # Σ w·r/W
    sample: Sample


def _measure(
    chunks: Iterable[Chunk], moments: Moments, slopes: Tensor, rows: int
) -> _Measured:
    """Residuals of the line through the mean with these slopes, in one pass."""
    squares = absolutes = offset = 0.0
    gradient = torch.zeros(len(slopes), dtype=torch.float64)
    picker = _Picker(rows, len(slopes))
    for chunk in chunks:
        picker.add(chunk)
        z = centred(chunk, moments.shift, moments.delta)  # (rows, d + 1)
        X = z[:, :-1]
        r = z[:, -1] - X @ slopes
        w = weights_of(chunk)
        wr = r if w is None else r * w
        squares += float(wr @ r)
        absolutes += float(wr.abs().sum())
        offset += float(wr.sum())
        gradient += wr @ X
    W = moments.weight
    return _Measured(
        squares / W, absolutes / W, gradient / W, offset / W, picker.done()
    )


class _Picker:
    """Keeps a seeded, even choice of rows to draw."""

    def __init__(self, rows: int, columns: int) -> None:
        most = max(50, min(SAMPLE_ROWS, 2_000_000 // max(1, columns)))
        random = np.random.default_rng(0)
        all_rows = rows <= most
        chosen = np.arange(rows) if all_rows else random.choice(rows, most, False)
        self._wanted = np.sort(chosen)
        self._seen = 0
        self._X: list[Any] = []
        self._y: list[Any] = []

    def add(self, chunk: Chunk) -> None:
        stop = self._seen + len(chunk.y)
        low, high = np.searchsorted(self._wanted, [self._seen, stop])
        rows = self._wanted[low:high] - self._seen
        self._X.append(chunk.X[rows])
        self._y.append(chunk.y[rows])
        self._seen = stop

    def done(self) -> Sample:
        return Sample(np.concatenate(self._X), np.concatenate(self._y))


def _mae(survey: Survey, slopes: Tensor, level: float) -> float:
    total = 0.0
    w, center = slopes.numpy(), survey.mean.numpy()
    for chunk in survey.design.chunks(survey.source):
        r = np.abs((chunk.y - level) - (chunk.X - center) @ w)
        total += float(r.sum() if chunk.weight is None else chunk.weight @ r)
    return total / survey.moments.weight


def _pass(
    source: Source,
    design: Design,
    title: str,
    progress: Progress | None,
    tally: Tally | None = None,
) -> Iterator[Chunk]:
    shown = progress(title, source.rows) if progress else nullcontext(int)
    with shown as advance:
        for chunk in design.chunks(source, tally):
            yield chunk
            advance(len(chunk.y))


def _check_enough(
    source: Source, design: Design, tally: Tally, moments: Moments
) -> None:
    if tally.rows == 0 and tally.dropped:
        raise DataError(
            f"{source.name} has no complete row: all {tally.dropped:,} miss a value in "
            "some column; leave out the emptiest column"
        )
    if tally.rows == 0:
        raise DataError(f"{source.name} has no rows: a line needs at least 2")
    if tally.rows == 1:
        raise DataError(f"{source.name} has one row: a line needs at least 2")
    if moments.weight <= 0:
        raise DataError(
            f"the weights in {design.weights!r} are all 0: give some row a weight"
        )
    finite = torch.isfinite(moments.scatter.diagonal())
    if not finite.all():
        names = [*design.terms, design.target]
        name = names[int(torch.argmin(finite.int()))]
        raise DataError(
            f"column {name!r} holds numbers too large to square: divide it by a power "
            "of ten first"
        )


def _check_determined(source: Source, design: Design, moments: Moments) -> None:
    way_out = (
        "or take the answer of least norm with degenerate='allow' (--minimum-norm)"
    )
    constant = [
        term
        for term, scale in zip(design.terms, column_scale(moments), strict=False)
        if scale == 0
    ]
    constant += [name for name, levels in design.levels.items() if len(levels) < 2]
    if constant:
        raise DataError(
            f"column {constant[0]!r} of {source.name} is constant and cannot be told "
            f"from the intercept: leave it out of the features, {way_out}"
        )
    if moments.rows < len(design.terms) + 1:
        raise DataError(
            f"{source.name} has {moments.rows:,} rows for {len(design.terms) + 1:,} "
            f"coefficients: give more rows or fewer features, {way_out}"
        )
