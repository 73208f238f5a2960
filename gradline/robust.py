"""Huber, absolute and quantile loss, from rows that are streamed: a few passes each.

approach.py finds the optimum; here it becomes a Fit with its certificate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.approach import (
    MOST_NUMBERS,
    Optimum,
    Task,
    approach,
    rows_to_choose,
)
from gradline.certificate import (
    TOLERANCE,
    Certificate,
    above,
    advice_for,
    digits_to_trust,
    relative_gap,
)
from gradline.conclude import notes_of
from gradline.data import Array, Progress
from gradline.errors import Status
from gradline.globs import Frame, Globs, Place, Several, Some
from gradline.objective import Absolute, Huber, Loss, Quantile
from gradline.prepare import Prepared
from gradline.reading import gather
from gradline.result import Fit
from gradline.scores import Scores
from gradline.solvers import Spectrum
from gradline.state import EPS
from gradline.survey import MAE_NUMBERS, Survey, mean_absolute_error, take_survey
from gradline.threads import blas_threads

#: Residuals so small a share of the target's size are rounding: the fit is perfect.
PERFECT = 1e3 * EPS

#: With so many columns or fewer, one thread does the linear algebra of rows in memory.
NARROW = 64


def fit_robust(
    prepared: Prepared,
    loss: Loss,
    progress: Progress | None,
    refused: bool = False,
) -> Fit:
    """Fit with a loss that is not squared.

    Args:
        prepared: the data and their design.
        loss: Huber, Absolute or Quantile.
        progress: True for a bar; or what is told how each pass gets on.
        refused: turn down data that do not determine a line.

    Returns:
        A Fit with method "robust".

    Equivalent: sklearn.linear_model.HuberRegressor(alpha=0) and
    QuantileRegressor(alpha=0), statsmodels QuantReg, R's quantreg::rq.
    """
    return fit_losses(prepared, [loss], progress, refused)[0]


def fit_losses(
    prepared: Prepared,
    losses: Sequence[Loss],
    progress: Progress | None,
    refused: bool = False,
) -> list[Fit]:
    """A fit by each of several losses, from passes that they share."""
    source, design = prepared.source, prepared.design
    size = len(design.names)
    most = rows_to_choose(source.rows, size)
    survey = take_survey(
        source, design, progress, refused, lambda: Some(most, source.rows)
    )
    chosen = survey.beside
    assert isinstance(chosen, Some)
    frame = Frame(survey.mean.numpy(), survey.spectrum.root().numpy(), design.intercept)
    if _perfect(survey):
        found = [_at_least_squares(survey, frame, loss) for loss in losses]
    else:
        # Products of few columns gain nothing from more threads.
        with blas_threads(1 if size <= NARROW else None):
            found = _found(prepared, survey, frame, losses, chosen, progress)
    return [
        _fit(survey, frame, optimum, loss)
        for optimum, loss in zip(found, losses, strict=True)
    ]


def _found(
    prepared: Prepared,
    survey: Survey,
    frame: Frame,
    losses: Sequence[Loss],
    chosen: Some,
    progress: Progress | None,
) -> list[Optimum]:
    """The optimum of each loss."""
    size = len(prepared.design.names)
    keep = rows_to_choose(chosen.rows, size)
    sample = chosen.done(keep)
    whole = len(sample.y) == chosen.rows
    w = np.ones(len(sample.y)) if sample.weight is None else sample.weight
    live = w > 0
    z = frame.rows(sample.X[live]).T
    room = min(chosen.rows, MOST_NUMBERS // (size + 1))
    tasks = [Task(loss, frame, keep, room) for loss in losses]
    start = _least_squares(survey, frame)
    for task in tasks:
        rows = len(z) if whole else chosen.rows
        task.begin(z, sample.y[live], w[live], start, rows)

    def look(places: list[Place], title: str) -> list[Globs]:
        if whole:  # they are at hand
            several = Several(frame, places)
            several.take(0, sample)
            return several.globs
        make = partial(Several, frame, places)
        return gather(prepared.source, prepared.design, make, progress, title).globs

    approach(tasks, look)
    if whole:
        for task in tasks:
            task.found.passes = 1
    return [task.found for task in tasks]


def _least_squares(survey: Survey, frame: Frame) -> Array:
    """The least-squares line in the frame's coordinates, (p,)."""
    slopes = survey.optimum[:-1].numpy()
    u = frame.root.T @ (survey.sums.xx @ slopes) / survey.sums.weight
    return np.append(survey.level, u) if frame.intercept else u


def _perfect(survey: Survey) -> bool:
    """Whether the least-squares line goes through all rows but for rounding."""
    size = survey.variance + float(survey.sums.y_mean[0]) ** 2
    if survey.optimum_loss > 1e-16 * size:  # no need for its last digits
        return False
    return survey.best.optimum_loss <= PERFECT**2 * size


def _at_least_squares(survey: Survey, frame: Frame, loss: Loss) -> Optimum:
    """A perfect fit is the optimum of every loss; what is left is rounding."""
    return Optimum(
        _least_squares(survey, frame),
        scale=0.0 if isinstance(loss, Huber) and loss.scale is None else math.nan,
        loss=0.0,
        gradient=np.zeros(frame.size),
        done=True,
        proven=True,
        error=0.0,
        outside=0.0,
    )


def _fit(survey: Survey, frame: Frame, found: Optimum, loss: Loss) -> Fit:
    """An optimum as a Fit."""
    design, mean = survey.design, survey.mean
    slopes = torch.from_numpy(frame.root @ found.u[int(frame.intercept) :])
    slopes = _least_norm(survey.spectrum, slopes)
    level = float(found.u[0]) if frame.intercept else 0.0
    if _perfect(survey):
        slopes, level = survey.best.optimum[:-1], survey.best.level
    intercept = (level - float(slopes @ mean)) * design.intercept
    certificate = _certificate(survey, frame, found, loss, slopes, level)
    off = slopes - survey.optimum[:-1]
    squares = survey.optimum_loss + survey.spectrum.energy(off)
    squares += (level - survey.level) ** 2 * design.intercept
    mae: Any = partial(mean_absolute_error, survey, slopes, level, squares)
    if isinstance(loss, Absolute) and found.done:
        mae = found.loss
    elif survey.tally.rows * certificate.columns <= MAE_NUMBERS:
        mae = mae()
    r2 = 1 - squares / survey.variance if survey.variance > 0 else math.nan
    return Fit(
        coefficients=dict(zip(design.terms, slopes.tolist(), strict=True)),
        intercept=intercept,
        certificate=certificate,
        trace=None,
        metrics=Scores(r2, math.sqrt(squares), mae, survey.tally.rows),
        method="robust",
        rows=survey.tally.rows,
        dropped=survey.tally.dropped,
        design=design,
        settings=_settings(survey, found, loss),
        notes=notes_of(survey, certificate) + _notes(survey, found, loss),
        center=mean.numpy(),
        level=level,
        sample=survey.sample,
        _source=survey.source,
    )


def _least_norm(spectrum: Spectrum, slopes: Tensor) -> Tensor:
    """Of all slopes with these predictions, those of least Euclidean norm."""
    if not spectrum.deficient:
        return slopes
    live = spectrum.scale > 0
    null = spectrum.vectors[:, spectrum.rank :]
    null = null / torch.where(live, spectrum.scale, 1.0)[:, None]
    if null.shape[1]:
        basis = torch.linalg.qr(null / null.norm(dim=0)).Q
        for _ in range(2):  # the second time takes away what rounding left
            slopes = slopes - basis @ (basis.T @ slopes)
    return torch.where(live, slopes, 0.0)


def _certificate(
    survey: Survey,
    frame: Frame,
    found: Optimum,
    loss: Loss,
    slopes: Tensor,
    level: float,
) -> Certificate:
    design, spectrum = survey.design, survey.spectrum
    gap = found.loss - found.lower if found.loss else 0.0
    gap = 0.0 if gap < 0 else gap  # NaN stays NaN
    share = relative_gap(gap, found.lower, EPS * survey.variance**0.5)
    status = Status.EXACT if found.proven else Status.CONVERGED
    if share > TOLERANCE or (math.isnan(share) and not found.done):
        status = Status.NOT_CONVERGED
    elif spectrum.deficient:
        status = Status.RANK_DEFICIENT
    columns, rank = len(design.names), spectrum.rank + int(design.intercept)
    dependent = survey.dependent
    digits = digits_to_trust(
        spectrum,
        slopes=slopes,
        mean=survey.mean,
        level=level,
        residual=survey.optimum_loss**0.5,
        spread=survey.variance**0.5,
        error=_moved(survey, frame, found),
        solver=survey.solver,
        refined=False,
    )
    if status == Status.NOT_CONVERGED:
        digits = 0.0
        advice = (
            f"Stopped after {found.passes} passes with the loss at {found.loss:.3g}, "
            f"{above(share)} what is proven to be out of reach: more rows near the "
            "line may decide, or fewer features."
        )
    else:
        advice = advice_for(
            status,
            loss=found.loss,
            gap_share=share,
            digits=digits,
            condition=spectrum.condition,
            dependent=dependent,
            rows=survey.tally.rows,
            columns=columns,
            rank=rank,
            lr=None,
            epochs_needed=None,
            best=None,
        )
    return Certificate(
        status=status,
        advice=advice,
        loss=found.loss,
        optimum_loss=found.loss - gap,
        gap=gap,
        relative_gap=share,
        gradient_norm=_gradient_norm(survey, frame, found),
        condition=spectrum.condition,
        rank=rank,
        columns=columns,
        dependent=dependent,
        digits=digits,
        lr_limit=math.nan,
        lr_limit_standardized=math.nan,
        best_lr=math.nan,
        epochs_needed=None,
        solver="simplex" if found.bound == "duality" else "newton",
        objective=loss.title,
        bound=found.bound,
    )


def _moved(survey: Survey, frame: Frame, found: Optimum) -> Tensor:
    """How far rounding may have moved slopes and intercept, (d + 1,)."""
    if not math.isfinite(found.error):
        return torch.full((len(survey.optimum),), math.inf, dtype=torch.float64)
    rows = torch.from_numpy(frame.root)
    both = torch.cat([rows, (survey.mean @ rows)[None]])
    moved: Tensor = found.error * both.norm(dim=1)
    moved[-1] = (moved[-1] + found.error) * frame.intercept
    return moved


def _gradient_norm(survey: Survey, frame: Frame, found: Optimum) -> float:
    """Of the loss in slopes and intercept: z = Rᵀ(x - mean), so x - mean = C R z."""
    if not len(found.gradient):
        return math.nan
    scatter = survey.sums.xx / survey.sums.weight
    first = int(frame.intercept)
    slopes = scatter @ (frame.root @ found.gradient[first:])
    pull = float(found.gradient[0]) if first else 0.0
    return float(np.linalg.norm(np.append(slopes + frame.center * pull, pull)))


def _settings(survey: Survey, found: Optimum, loss: Loss) -> dict[str, Any]:
    """What to remember of how it was fitted."""
    known: dict[str, Any] = {"data": survey.source.name, "lr": None, "epochs": None}
    if isinstance(loss, Huber):
        given = loss.scale is not None
        scale = float(loss.scale if loss.scale is not None else found.scale)
        known |= {"loss": "huber", "epsilon": loss.epsilon, "scale": scale}
        known |= {"outliers": None if math.isnan(found.outside) else found.outside}
        what = "Huber regression"
        how = f"{what}, epsilon {loss.epsilon:g}, scale {scale:.6g}"
        how += " as given" if given else ""
    elif isinstance(loss, Quantile):
        known |= {"loss": "quantile", "level": loss.level}
        what = "quantile regression"
        how = f"{what} at {loss.level:g}"
    else:
        known["loss"] = "absolute"
        what = how = "least absolute deviations"
    many = "" if found.passes == 1 else "es"
    return known | {
        "passes": found.passes,
        "how": f"{how}, {found.passes} pass{many}",
        "no_inference": (
            f"no standard errors for {what}: those of least squares do not hold for "
            "it; fit random rows drawn with replacement, some hundred times, and take "
            "the spread of the coefficients"
        ),
    }


def _notes(survey: Survey, found: Optimum, loss: Loss) -> tuple[str, ...]:
    notes = []
    if not found.unique and not survey.spectrum.deficient:
        notes.append(
            "The optimum is not unique: other coefficients have the same loss, and "
            "another program may find those."
        )
    if isinstance(loss, Huber) and not math.isnan(found.outside):
        kinks = "the line" if found.scale == 0 else f"{loss.epsilon:g} scales"
        notes.append(f"{found.outside:.2%} of the weight lies beyond {kinks}.")
    if isinstance(loss, Huber) and found.scale == 0 and found.loss:
        notes.append(
            "The scale is 0: so many rows lie on one line exactly that the others "
            "count as outliers, and the line is that of the absolute loss."
        )
    return tuple(notes)
