"""Huber, absolute and quantile loss, from rows that are streamed: a few passes each.

approach.py finds the optimum; here it becomes a Fit with its certificate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
from gradline.data import Array, Progress
from gradline.errors import Status
from gradline.globs import Frame, Globs, Place, Several, Some
from gradline.objective import Absolute, Huber, Loss, Quantile
from gradline.prepare import Prepared
from gradline.reading import gather
from gradline.result import Fit
from gradline.scores import Scores
from gradline.state import EPS
from gradline.survey import MAE_NUMBERS, Survey, mean_absolute_error, take_survey

#: Residuals so small a share of the target's size are rounding: the fit is perfect.
PERFECT = 1e3 * EPS


def fit_robust(
    prepared: Prepared,
    loss: Loss,
    progress: Progress | None,
) -> Fit:
    """Fit with a loss that is not squared.

    Args:
        prepared: the data and their design.
        loss: Huber, Absolute or Quantile.
        progress: is told how each pass gets on.

    Returns:
        A Fit with method "robust".

    Equivalent: sklearn.linear_model.HuberRegressor(alpha=0) and
    QuantileRegressor(alpha=0), statsmodels QuantReg, R's quantreg::rq.
    """
    return fit_losses(prepared, [loss], progress)[0]


def fit_losses(
    prepared: Prepared, losses: Sequence[Loss], progress: Progress | None
) -> list[Fit]:
    """A fit by each of several losses, from passes that they share."""
    source, design = prepared.source, prepared.design
    size = len(design.names)
    most = rows_to_choose(source.rows, size)
    survey = take_survey(
        source, design, progress, beside=lambda: Some(most, source.rows)
    )
    chosen = survey.beside
    assert isinstance(chosen, Some)
    frame = Frame(
        survey.mean.numpy(), survey.spectrum.root().numpy(), design.intercept
    )
    start = _start(survey, frame)
    if _perfect(survey):
        found = [Optimum(start, done=True, loss=0.0, passes=1) for _ in losses]
        return [_fit(survey, frame, o, x) for o, x in zip(found, losses, strict=True)]
    keep = rows_to_choose(chosen.rows, size)
    sample = chosen.done(keep)
    w = np.ones(len(sample.y)) if sample.weight is None else sample.weight
    live = w > 0
    z = frame.rows(sample.X[live]).T
    tasks = [
        Task(loss, frame, keep, min(chosen.rows, MOST_NUMBERS // (size + 1)))
        for loss in losses
    ]
    rows = chosen.rows - int((~live).sum()) if len(live) == chosen.rows else chosen.rows
    for task in tasks:
        task.begin(z, sample.y[live], w[live], start, rows)

    def look(places: list[Place], title: str) -> list[Globs]:
        if len(sample.y) == chosen.rows:  # all of them are at hand
            several = Several(frame, places)
            several.take(0, sample)
            return several.globs
        make = partial(Several, frame, places)
        return gather(source, design, make, progress, title).globs

    approach(tasks, look)
    return [
        _fit(survey, frame, task.found, loss)
        for task, loss in zip(tasks, losses, strict=True)
    ]


def _start(survey: Survey, frame: Frame) -> Array:
    """The least-squares line in the frame's coordinates, (p,)."""
    slopes = survey.optimum[:-1].numpy()
    u = frame.root.T @ (survey.sums.xx @ slopes) / survey.sums.weight
    return np.append(survey.level, u) if frame.intercept else u


def _perfect(survey: Survey) -> bool:
    """Whether the least-squares line goes through all rows but for rounding."""
    best = survey.best
    size = survey.variance + float(survey.sums.y_mean[0]) ** 2
    return best.optimum_loss <= PERFECT**2 * size


def _fit(survey: Survey, frame: Frame, found: Optimum, loss: Loss) -> Fit:
    """An optimum as a Fit."""
    design, spectrum = survey.design, survey.spectrum
    slopes = torch.from_numpy(frame.root @ found.u[int(frame.intercept) :])
    slopes = _least_norm(survey, slopes)
    level = float(found.u[0]) if frame.intercept else 0.0
    if _perfect(survey):
        slopes, level = survey.best.optimum[:-1], survey.best.level
    intercept = (level - float(slopes @ survey.mean)) * design.intercept
    certificate = _certificate(survey, frame, found, loss, slopes, level)
    off = torch.cat([slopes, torch.tensor([intercept]).double()]) - survey.optimum
    squares = survey.optimum_loss + spectrum.energy(off[:-1])
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
        notes=_notes(survey, certificate, found, loss),
        center=survey.mean.numpy(),
        level=level,
        sample=survey.sample,
        _source=survey.source,
    )


def _least_norm(survey: Survey, slopes: Tensor) -> Tensor:
    """Of all slopes with these predictions, those of least Euclidean norm."""
    spectrum = survey.spectrum
    if not spectrum.deficient:
        return slopes
    live = spectrum.scale > 0
    safe = torch.where(live, spectrum.scale, 1.0)
    null = spectrum.vectors[:, spectrum.rank :] / safe[:, None]
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
    gap = max(0.0, found.loss - found.lower)
    floor = EPS * survey.variance**0.5
    share = relative_gap(gap, found.lower, floor)
    columns = len(design.names)
    rank = spectrum.rank + int(design.intercept)
    dependent = ()
    if not (share <= TOLERANCE):
        status = Status.NOT_CONVERGED
    elif spectrum.deficient:
        status = Status.RANK_DEFICIENT
    else:
        status = Status.EXACT if found.done else Status.CONVERGED
    if spectrum.deficient:
        dependent = tuple(design.terms[i] for i in spectrum.dependent())
    error = torch.zeros(len(slopes) + 1, dtype=torch.float64)
    digits = digits_to_trust(
        spectrum,
        slopes=slopes,
        mean=survey.mean,
        level=level,
        residual=survey.optimum_loss**0.5,
        spread=survey.variance**0.5,
        error=error,
        solver=survey.solver,
        refined=False,
    )
    return Certificate(
        status=status,
        advice=_advice(found, share)
        if status == Status.NOT_CONVERGED
        else advice_for(
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
        ),
        loss=found.loss,
        optimum_loss=found.loss - gap,
        gap=gap,
        relative_gap=share,
        gradient_norm=0.0,
        condition=spectrum.condition,
        rank=rank,
        columns=columns,
        dependent=dependent,
        digits=digits,
        lr_limit=math.nan,
        lr_limit_standardized=math.nan,
        best_lr=math.nan,
        epochs_needed=None,
        solver=survey.solver,
        objective=loss.title,
        bound=found.bound,
    )


def _advice(found: Optimum, share: float) -> str:
    return (
        f"Stopped after {found.passes} passes with the loss at {found.loss:.3g}, "
        f"{above(share)} the least it can be."
    )


def _settings(survey: Survey, found: Optimum, loss: Loss) -> dict[str, Any]:
    passes = f"{found.passes} pass{'es' if found.passes > 1 else ''}"
    if isinstance(loss, Huber):
        kind, what = "huber", f"Huber regression at {loss.epsilon:g}"
    elif isinstance(loss, Quantile):
        kind, what = "quantile", f"quantile regression at {loss.level:g}"
    else:
        kind, what = "absolute", "least absolute deviations"
    known: dict[str, Any] = {
        "data": survey.source.name,
        "lr": None,
        "epochs": None,
        "loss": kind,
        "passes": found.passes,
        "how": f"{what}, {passes}",
        "no_inference": f"no standard errors for {what}",
    }
    if isinstance(loss, Huber):
        known |= {"epsilon": loss.epsilon, "scale": found.scale}
        known |= {"outliers": found.outside}
    elif isinstance(loss, Quantile):
        known["level"] = loss.level
    return known


def _notes(
    survey: Survey, certificate: Certificate, found: Optimum, loss: Loss
) -> tuple[str, ...]:
    return ()
