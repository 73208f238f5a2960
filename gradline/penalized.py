"""fit() with a penalty on the slopes, bounds on them, or both.

The survey of the data leaves the state; the slopes come from it alone: ridge in closed
form, all else by coordinate descent (coordinate.py), whatever the number of rows. The
objective, half the mean squared error and the penalty, is stated in objective.py; with
bounds alone it is half the mean squared error.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from gradline.bounds import Bounds, read_bounds
from gradline.certificate import (
    TOLERANCE,
    Certificate,
    intercept_error,
    relative_gap,
    whole_digits,
)
from gradline.choosing import choose_alpha
from gradline.conclude import notes_of
from gradline.coordinate import Point
from gradline.crossval import CrossValidation
from gradline.data import Array, Progress
from gradline.errors import Status, UsageError
from gradline.freeslopes import factored
from gradline.objective import Penalty
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.retrace import Origin
from gradline.scores import Scores
from gradline.shrinkage import Shrinkable, of_survey, unbounded
from gradline.state import EPS
from gradline.survey import MAE_NUMBERS, Survey, mean_absolute_error, take_survey

_NO_INFERENCE = (
    "no standard errors for a penalised fit: the penalty draws slopes towards 0, so "
    "tests of them mean nothing; leave out penalty"
)
_NO_INFERENCE_ALPHA = (
    "no standard errors for a penalised fit; at alpha 0 it is that of least squares: "
    "leave out penalty"
)
_NO_INFERENCE_BOUNDS = (
    "no standard errors for a fit with bounds: a slope at its bound has no normal "
    "distribution; leave out the bounds"
)


def fit_penalized(
    prepared: Prepared,
    penalty: Penalty | None,
    limits: tuple[Any, Any] | None,
    folds: Any,
    progress: Progress | None,
    refused: bool = False,
) -> Fit:
    """Fit with a penalty on the slopes, bounds on them, or both.

    Args:
        prepared: the data.
        penalty: its kind and weight; None for none.
        limits: `bounds` and `nonnegative` of fit; None for none.
        folds: how to choose alpha, where it is not given.
        progress: True for a bar; or what is told how reading gets on.
        refused: turn down data that do not determine a line, where there is no penalty
            to determine it.
    """
    bounds = unbounded(len(prepared.design.terms))
    if limits is not None:
        bounds = read_bounds(prepared.design, *limits)
    if penalty is not None and isinstance(penalty.alpha, str):
        box = bounds if bounds.given else None
        chosen = choose_alpha(prepared, penalty, folds, progress, box)
        return penalized_fit(chosen.survey.best, chosen.penalty, bounds, chosen.curve)
    if folds is not None:
        raise UsageError(
            "folds are for choosing alpha, and it is given or not asked for: leave "
            "folds out, or give a penalty and alpha='cv'"
        )
    refused = refused and (penalty is None or penalty.alpha == 0)
    survey = take_survey(prepared.source, prepared.design, progress, refused).best
    return penalized_fit(survey, penalty or Penalty(0.0, 0.0), bounds)


def penalized_fit(
    survey: Survey,
    penalty: Penalty,
    bounds: Bounds,
    curve: CrossValidation | None = None,
) -> Fit:
    """The fit of a survey at one alpha, certified.

    Args:
        survey: of the data.
        penalty: its alpha is a number.
        bounds: of the raw slopes.
        curve: how alpha was chosen, where it was.
    """
    problem = of_survey(survey, penalty.standardize, bounds)
    found = _found(problem, penalty, bounds)
    slopes = problem.raw(found.point.u)
    level = float(survey.sums.y_mean[0])
    intercept = level - float(slopes @ survey.sums.x_mean)
    raw = torch.from_numpy(slopes)
    loss = 2 * found.point.loss
    certificate = _certificate(survey, penalty, bounds, problem, found, slopes)
    mae: Any = partial(mean_absolute_error, survey, raw, level, loss)
    if survey.tally.rows * certificate.columns <= MAE_NUMBERS:
        mae = mae()
    r2 = 1 - loss / survey.variance if survey.variance > 0 else math.nan
    shrinks = float(penalty.alpha) > 0
    why_not = _NO_INFERENCE if shrinks else _NO_INFERENCE_ALPHA
    settings = {
        "data": survey.source.name,
        "lr": None,
        "epochs": None,
        "penalty": penalty.name.replace(" ", "_") if shrinks else None,
        "alpha": penalty.alpha if shrinks else None,
        "l1_ratio": penalty.l1_ratio if shrinks else None,
        "standardize": penalty.standardize if shrinks else None,
        "alpha_rule": None if curve is None else curve.rule,
        "folds": None if curve is None else curve.folds,
        "cross_validation": None if curve is None else curve.choice(),
        "bounds": _bounds_by_term(survey, bounds),
        "how": _how(penalty, bounds, slopes, curve),
        "no_inference": _NO_INFERENCE_BOUNDS if bounds.given else why_not,
    }
    return Fit(
        coefficients=dict(zip(survey.design.terms, slopes.tolist(), strict=True)),
        intercept=intercept,
        certificate=certificate,
        trace=None,
        metrics=Scores(r2, math.sqrt(loss), mae, survey.tally.rows),
        method="penalized",
        rows=survey.tally.rows,
        dropped=survey.tally.dropped,
        design=survey.design,
        settings=settings,
        notes=notes_of(survey, certificate) + (() if curve is None else curve.notes),
        cross_validation=curve,
        center=survey.mean.numpy(),
        level=level,
        sample=survey.sample,
        _source=survey.source,
        _origin=Origin(survey),
    )


class _Found(NamedTuple):
    """Slopes, and whether they came from a closed form."""

    point: Point
    closed: bool


def _found(problem: Shrinkable, penalty: Penalty, bounds: Bounds) -> _Found:
    alpha, ratio = float(penalty.alpha), penalty.l1_ratio
    if bounds.given or (ratio and alpha):
        return _Found(problem.solve(alpha, ratio), False)
    quadratic, terms = problem.problems[0], problem.terms(alpha, ratio)
    u = problem.ridge(alpha)
    q = quadratic.gradient(u)
    loss = quadratic.half_loss(u, q)
    value = loss + terms.value(u)
    return _Found(Point(u, q, loss, value, 0.0, True, q - alpha * u, 0), True)


def _certificate(
    survey: Survey,
    penalty: Penalty,
    bounds: Bounds,
    problem: Shrinkable,
    found: _Found,
    slopes: Array,
) -> Certificate:
    point, spectrum = found.point, survey.spectrum
    alpha = float(penalty.alpha)
    unique = alpha > 0 or not spectrum.deficient
    gap = point.gap if math.isfinite(point.gap) else math.nan
    best = math.nan if math.isnan(gap) else max(0.0, point.value - gap)
    share = math.nan if math.isnan(gap) else relative_gap(gap, best, survey.floor / 2)
    digits = _digits(survey, problem, penalty, point, slopes)
    steepest, flattest = survey.curvatures
    status = Status.EXACT if found.closed else Status.CONVERGED
    if not found.closed and not share <= TOLERANCE:
        status = Status.NOT_CONVERGED
    if not unique:
        status = Status.RANK_DEFICIENT
    ones = int(survey.design.intercept)
    columns = len(survey.design.names)
    # In raw units: u = b·scale, so that slopes of P in b are those in u times scale.
    norm = float(np.linalg.norm(point.excess * problem.scale))
    return Certificate(
        status=status,
        advice=_advice(status, penalty, bounds, slopes, share, digits, survey),
        loss=point.value,
        optimum_loss=best,
        gap=gap,
        relative_gap=share,
        gradient_norm=norm,
        condition=spectrum.condition,
        rank=spectrum.rank + ones,
        columns=columns,
        dependent=survey.dependent,
        digits=digits,
        lr_limit=2 / steepest,
        lr_limit_standardized=1 / max(float(ones), spectrum.largest**2),
        best_lr=min(2 / (steepest + flattest), 0.99999 * 2 / steepest),
        epochs_needed=None,
        solver="closed form" if found.closed else "coordinate descent",
        objective=penalty.title if alpha else "half the mean squared error",
        bound="exact" if found.closed else "duality" if point.dual else "gradient",
    )


def _digits(
    survey: Survey, problem: Shrinkable, penalty: Penalty, point: Point, slopes: Array
) -> float:
    """Digits to trust in the worst coefficient that is free, from what is free alone.

    Rounding changes C, R and q by about ε of their size, and Newton's next step says
    what the descent has left over:

        |Δu| ≤ |C_FF⁻¹ excess_F| + f·ε·(‖rows of C_FF⁻¹‖·(σmax‖u‖ + ‖y‖))

    where R is at hand, ‖rows of R_F⁻¹‖ stands for ‖rows of C_FF⁻¹‖ in the part of y
    that is explained.
    """
    quadratic = problem.problems[0]
    terms = problem.terms(float(penalty.alpha), penalty.l1_ratio)
    down, up = terms.slopes(point.u)
    free = np.flatnonzero((down == up) & (problem.scale > 0))
    error = np.zeros(len(slopes) + 1)
    worst = 0.0
    spread, level = quadratic.size, float(survey.sums.y_mean[0])
    if len(free) and (terms.l2 > 0 or not survey.spectrum.deficient or terms.l1):
        lower = factored(quadratic, free, terms.l2)
        inverse = torch.cholesky_inverse(lower).numpy()
        once, twice = np.sqrt(inverse.diagonal()), np.linalg.norm(inverse, axis=1)
        part = quadratic.matrix[np.ix_(free, free)]
        top = float(np.abs(part).sum(0).max()) ** 0.5  # σmax or more
        size = top * float(np.linalg.norm(point.u)) + spread
        rounding = 16 * EPS * math.sqrt(len(free) + 1)
        if quadratic.root is None:
            moved = rounding * twice * (top * size)
        else:
            moved = rounding * (once * size + twice * top * (2 * point.loss) ** 0.5)
            moved += rounding * twice * terms.l1
        off = np.abs(inverse @ point.excess[free]) + moved
        u = np.abs(point.u[free])
        natural = spread / np.where(problem.scale > 0, survey.spectrum.scale, 1)[free]
        floor = 1e-6 * natural * problem.scale[free]
        worst = float((off / np.maximum(u - off, floor + 1e-300)).max())
        error[free] = off / problem.scale[free]
    raw, mean = torch.from_numpy(slopes), survey.mean
    off_zero = intercept_error(raw, mean, level, spread, torch.from_numpy(error))
    return whole_digits(max(worst, off_zero))


def _advice(
    status: Status,
    penalty: Penalty,
    bounds: Bounds,
    slopes: Array,
    share: float,
    digits: float,
    survey: Survey,
) -> str:
    if status == Status.RANK_DEFICIENT:
        return (
            "Columns depend on one another or are constant, so the coefficients are "
            "not unique: leave some out, or give penalty='ridge' for a unique answer."
        )
    if status == Status.NOT_CONVERGED:
        return (
            f"Stopped at most {share:.2g} of the optimum above it: the columns are "
            f"nearly dependent (condition {survey.spectrum.condition:.1e}); leave one "
            "out, or give a larger alpha."
        )
    said = []
    if penalty.l1_ratio and penalty.alpha:
        said.append(f"{_of(slopes == 0)} 0")
    if bounds.given:
        said.append(f"{_of(bounds.at(slopes))} at a bound")
    known = f"the coefficients are good to {math.floor(digits)} digits."
    if not said:
        return f"Nothing to do: {known}"
    return f"{' and '.join(said)}; nothing to do: {known}"


def _of(which: Any) -> str:
    """As "3 of 20 slopes are"."""
    count, d = int(which.sum()), len(which)
    verb = "is" if count == 1 or d == 1 else "are"
    return f"{count} of {d} slope{'' if d == 1 else 's'} {verb}"


def _how(
    penalty: Penalty, bounds: Bounds, slopes: Array, curve: CrossValidation | None
) -> str:
    """The method in words, for the table."""
    d, kept = len(slopes), int((slopes != 0).sum())
    parts = []
    if penalty.alpha:
        parts.append(f"{penalty.name}, alpha {penalty.alpha:.4g}")
        if curve is not None:
            rule = ", one standard error" if curve.rule == "1se" else ""
            parts[-1] += f" (by {curve.folds}{rule})"
        if 0 < penalty.l1_ratio < 1:
            parts.append(f"l1_ratio {penalty.l1_ratio:g}")
    else:
        parts.append("least squares")
    if bounds.given:
        at = int(bounds.at(slopes).sum()) or "no"
        parts.append(f"{at} slope{'' if at in (1, 'no') else 's'} at a bound")
    if penalty.l1_ratio and penalty.alpha:
        parts.append(f"{kept} of {d} slopes kept")
    return ", ".join(parts)


def _bounds_by_term(survey: Survey, bounds: Bounds) -> dict[str, list[float | None]]:
    """[low, high] by term, None where open; only of terms that have some."""
    return {
        term: [None if math.isinf(e) else float(e) for e in (low, high)]
        for term, low, high in zip(survey.design.terms, *bounds, strict=True)
        if math.isfinite(low) or math.isfinite(high)
    }
