"""From any coefficients to a Fit: certified, scored, explained."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from gradline.certificate import (
    BATCH_TOLERANCE,
    TOLERANCE,
    Certificate,
    above,
    advice_for,
    digits_to_trust,
    relative_gap,
)
from gradline.errors import ShapeError, Status, UsageError
from gradline.evidence import Evidence
from gradline.model import LinearRegression
from gradline.path import Bowl, Path, scaled_bowl
from gradline.recurrence import Rule
from gradline.result import Fit
from gradline.scores import Scores, Trace
from gradline.stopping import sentence
from gradline.survey import MAE_NUMBERS, Survey, mean_absolute_error
from gradline.usable import header_note


def conclude(
    survey: Survey,
    parameters: Tensor,
    *,
    method: Literal["exact", "gd", "sgd"],
    trace: Trace | None = None,
    path: Path | None = None,
    settings: dict[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    origin: Any = None,
) -> Fit:
    """Any slopes and intercept as a Fit.

    It is judged when it is first asked for what only a judgement can tell: its
    certificate, metrics, notes, or what inference needs.

    Args:
        survey: of the data.
        parameters: raw slopes and intercept, (d + 1,).
        method: how they were found.
        trace: the history of a descent.
        path: the descent, which knows how many epochs are still needed.
        settings: what to remember of how it was fitted.
        notes: what to tell beside it.
        origin: what `Fit.at` and `Fit.loss_surface` go back to; see retrace.py.
    """
    slopes, mean = parameters[:-1], survey.mean
    level = survey.level if method == "exact" else float(parameters[-1] + slopes @ mean)
    settings = {"lr": None, "epochs": None, **(settings or {})}
    judged = partial(judge, survey, parameters, method, level, path, settings, notes)
    return Fit._judged_later(
        judged,
        coefficients=dict(zip(survey.design.terms, slopes.tolist(), strict=True)),
        intercept=float(parameters[-1]),
        trace=trace,
        method=method,
        rows=survey.tally.rows,
        dropped=survey.tally.dropped,
        design=survey.design,
        settings={"data": survey.source.name, **settings},
        center=mean.numpy(),
        level=level,
        sample=survey.sample,
        _source=survey.source,
        _origin=origin,
    )


class Judgement(NamedTuple):
    """What a fit is found to be: fields of a Fit."""

    certificate: Certificate
    metrics: Scores
    notes: tuple[str, ...]
    evidence: Evidence


def judge(
    survey: Survey,
    parameters: Tensor,
    method: Literal["exact", "gd", "sgd"],
    level: float,
    path: Path | None,
    settings: dict[str, Any],
    notes: tuple[str, ...],
) -> Judgement:
    """Hold slopes and intercept, (d + 1,), against the survey's optimum.

    Args:
        survey: of the data.
        parameters: raw slopes and intercept, (d + 1,).
        method: how they were found.
        level: their prediction at the mean of x.
        path: the descent, which knows how many epochs are still needed.
        settings: of the fit, lr and epochs among them.
        notes: what to tell beside it.
    """
    survey = survey.best
    spectrum, design = survey.spectrum, survey.design
    slopes = parameters[:-1]
    off = parameters - survey.optimum
    gap = gap_of(survey, parameters)
    steepest, flattest = survey.curvatures
    share = relative_gap(gap, survey.optimum_loss, survey.floor)
    loss = survey.optimum_loss + gap
    digits = digits_to_trust(
        spectrum,
        slopes=slopes,
        mean=survey.mean,
        level=level,
        residual=survey.optimum_loss**0.5,
        spread=survey.variance**0.5,
        error=survey.error + off.abs(),
        solver=survey.solver,
        refined=survey.refined,
    )
    status = _status(survey, method, share)
    needed = None
    best: tuple[float, int | None] | None = None
    if path is not None:
        goal = TOLERANCE * max(survey.optimum_loss, survey.floor)
        done = settings["epochs"] or 0
        total = path.epochs_to(goal, done)
        needed = None if total is None else total - done
        if status == Status.NOT_CONVERGED and not settings.get("standardize"):
            scaled = scaled_bowl(spectrum, survey.mean, design.intercept)
            best = (scaled.best_lr, _epochs_from_scratch(survey, scaled, goal))
    dependent = survey.dependent
    columns = len(design.names)
    ones = int(design.intercept)  # the column of ones
    decay = settings.get("weight_decay")
    stop = settings.get("early_stopping")
    if stop is not None:
        stop = sentence(stop, f"the training loss is {loss:.4g}, {_stands(share)}")
        notes = (*notes, stop)
    certificate = Certificate(
        status=status,
        advice=stop
        if stop is not None and status == Status.NOT_CONVERGED
        else drawn_in(decay, loss, share)
        if decay and status == Status.NOT_CONVERGED and needed is None
        else advice_for(
            status,
            loss=loss,
            gap_share=share,
            digits=digits,
            condition=spectrum.condition,
            dependent=dependent,
            rows=survey.tally.rows,
            columns=columns,
            rank=spectrum.rank + ones,
            lr=None if path is None else settings["lr"],
            epochs_needed=needed,
            best=best,
        ),
        loss=loss,
        optimum_loss=survey.optimum_loss,
        gap=gap,
        relative_gap=share,
        gradient_norm=float(survey.curvature(off).norm()),
        condition=spectrum.condition,
        rank=spectrum.rank + ones,
        columns=columns,
        dependent=dependent,
        digits=digits,
        lr_limit=2 / steepest,
        lr_limit_standardized=1 / max(float(ones), spectrum.largest**2),
        best_lr=min(2 / (steepest + flattest), 0.99999 * 2 / steepest),
        epochs_needed=needed,
        solver=survey.solver,
    )
    mae: float | Callable[[], float] | None = None
    if method == "exact":
        mae = survey.optimum_mae
    if mae is None:
        mae = partial(mean_absolute_error, survey, slopes, level, loss)
        if survey.tally.rows * columns <= MAE_NUMBERS:
            mae = mae()
    r2 = 1 - loss / survey.variance if survey.variance > 0 else math.nan
    return Judgement(
        certificate,
        Scores(r2, math.sqrt(loss), mae, survey.tally.rows),
        notes + notes_of(survey, certificate),
        _evidence(survey),
    )


def _evidence(survey: Survey) -> Evidence:
    """What inference needs of the survey."""
    moments = survey.moments
    return Evidence(
        rows=moments.counted,
        weight=moments.weight,
        log_weights=survey.tally.log_weights,
        variance=survey.variance,
        level=float(survey.sums.y_mean[0]),
        center=survey.mean.numpy(),
        remainder=(moments.shift - survey.sums.x_mean) + moments.delta,
        spectrum=survey.spectrum,
        held=survey.held,
    )


def parameters_of(model: LinearRegression, survey: Survey) -> Tensor:
    """A model's slopes and intercept as float64, (d + 1,).

    Raises:
        ShapeError: the model has another number of features, or several outputs.
        UsageError: it has a bias and the design no intercept.
    """
    weight = model.weight.detach().double().cpu()
    d = len(survey.design.terms)
    if tuple(weight.shape) != (1, d):
        raise ShapeError(
            f"the model's weight has shape {tuple(weight.shape)} and the design {d} "
            f"terms: give LinearRegression(in_features={d})"
        )
    bias = torch.zeros(1, dtype=torch.float64)
    if model.bias is not None:
        bias = model.bias.detach().double().cpu()
    if float(bias) != 0 and not survey.design.intercept:
        raise UsageError(
            f"the model's bias is {float(bias):.6g} and the line goes through the "
            "origin: set the bias to 0, or leave out intercept=False"
        )
    return torch.cat([weight[0], bias])


def starting_point(
    survey: Survey, model: LinearRegression | None, seed: int | None, scaled: bool
) -> Tensor:
    """Raw slopes and intercept at epoch 0, (d + 1,)."""
    if model is not None:
        return parameters_of(model, survey)
    d = len(survey.design.terms)
    if survey.spectrum.deficient:
        slopes, level = torch.zeros(d, dtype=torch.float64), 0.0
    else:
        # As LinearRegression draws: first the weights, then the bias.
        source = torch.Generator().manual_seed(seed or 0)
        slopes = torch.randn(1, d, dtype=torch.float64, generator=source)[0]
        level = float(torch.randn(1, dtype=torch.float64, generator=source))
        level *= survey.design.intercept
    if not scaled:
        return torch.cat([slopes, torch.tensor([level], dtype=torch.float64)])
    raw = torch.where(survey.spectrum.scale > 0, slopes / survey.spectrum.scale, 0.0)
    return torch.cat([raw, (level - raw @ survey.mean)[None]])


def coordinates_of(survey: Survey, parameters: Tensor) -> Tensor:
    """√2·[Σ Vᵀ Δu, Δlevel]: half its squared norm is the gap; no level, no last one."""
    delta = parameters - survey.optimum
    level = delta[-1] + delta[:-1] @ survey.mean
    return _with_level(survey, survey.spectrum.coordinates(delta[:-1]), level)


def _with_level(survey: Survey, rows: Tensor, level: Tensor | float) -> Tensor:
    """√2·[rows, level], or the rows alone where the line goes through the origin."""
    if survey.design.intercept:
        last = torch.as_tensor(level, dtype=torch.float64).reshape(1)
        rows = torch.cat([rows, last])
    return math.sqrt(2) * rows


def path_from(survey: Survey, bowl: Bowl, rule: Rule, first: Tensor) -> Path:
    """The descent in a bowl of the survey from slopes and intercept, (d + 1,)."""
    amplitude = bowl.left.T @ coordinates_of(survey, first)
    target = None
    if rule.weight_decay:  # the optimum, as seen from 0
        rows = survey.spectrum.coordinates(survey.optimum[:-1])
        target = bowl.left.T @ _with_level(survey, rows, survey.level)
    return Path(
        bowl, rule, first, survey.optimum, survey.optimum_loss, amplitude, target
    )


def _epochs_from_scratch(survey: Survey, bowl: Bowl, goal: float) -> int | None:
    """How long the best rate on standardised features takes to converge."""
    first = starting_point(survey, None, 0, scaled=True)
    return path_from(survey, bowl, Rule(bowl.best_lr), first).epochs_to(goal)


def _stands(share: float) -> str:
    """How a training loss stands to its optimum."""
    return "at its optimum" if share <= TOLERANCE else f"{above(share)} its optimum"


def drawn_in(decay: float, loss: float, share: float) -> str:
    """What to do next with a descent that weight decay keeps from the optimum."""
    return (
        f"weight_decay {decay:.3g} draws the coefficients towards 0, to an optimum of "
        f"its own: the loss is {loss:.3g}, {above(share)} the least-squares one; leave "
        "it out for least squares."
    )


def gap_of(survey: Survey, parameters: Tensor) -> float:
    """How far the loss at slopes and intercept, (d + 1,), is above the optimum's."""
    off = parameters - survey.optimum
    level = float(off[-1] + survey.mean @ off[:-1])
    return survey.spectrum.energy(off[:-1]) + level**2


def _status(survey: Survey, method: str, share: float) -> Status:
    goal = {"exact": math.inf, "sgd": BATCH_TOLERANCE}.get(method, TOLERANCE)
    if share > goal:
        return Status.NOT_CONVERGED
    if survey.spectrum.deficient:
        return Status.RANK_DEFICIENT
    return Status.EXACT if method == "exact" else Status.CONVERGED


def notes_of(survey: Survey, certificate: Certificate) -> tuple[str, ...]:
    """What to tell beside a fit: rows dropped, categories without a term, its rank."""
    notes = [*header_note(survey.source)]
    if survey.tally.dropped:
        many = survey.tally.dropped != 1
        notes.append(
            f"{survey.tally.dropped:,} incomplete row{'s were' if many else ' was'} "
            "dropped."
        )
    notes += [
        f"Category {name!r} has one level only and adds no term."
        for name in survey.design.levels
        if not survey.design.indicated(name)
    ]
    if certificate.status == Status.RANK_DEFICIENT:
        notes.append(certificate.advice)
    return tuple(notes)
