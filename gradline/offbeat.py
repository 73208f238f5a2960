"""A line by a loss that is not squared: measured over all rows, and made a Fit.

With ψ the derivative of the loss in the residual, the gradient over all rows is

    -1/W · Σ w_i ψ(r_i) [x_i 1]

It is all that is known of how far the optimum is: such a fit is called converged where,
on standardised features, its norm is below GRADIENT_SHARE of the root mean square of ψ,
and a share for the rows that the line goes through, as many as there are coefficients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import Certificate
from gradline.data import Array
from gradline.epochs import loss_of_rows
from gradline.errors import Status
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared
from gradline.result import Fit
from gradline.scores import Scores, Trace
from gradline.shuffle import BatchStream
from gradline.survey import Survey
from gradline.usable import header_note

#: A gradient smaller than this share of its parts is as good as none.
GRADIENT_SHARE = 0.02


@dataclass
class Measured:
    """A pass over the residuals of a line.

    Attributes:
        loss: over all rows.
        gradient: in slopes and level, (d + 1,), in the coordinates of the stream.
        size: the root mean square of ψ.
        squares: mean squared error, and
        absolutes: mean absolute error.
    """

    loss: float
    gradient: Array
    size: float
    squares: float
    absolutes: float


def measure(stream: BatchStream, inner: Tensor, loss: Loss) -> Measured:
    """Read all rows once, in their order.

    Args:
        stream: of the rows.
        inner: slopes and level, (d + 1,), in its coordinates.
        loss: of the residuals.
    """
    theta = np.append(-inner.numpy(), 1.0)
    total = squares = absolutes = weights = bent = 0.0
    gradient = np.zeros(len(theta))
    for block in stream.in_order():
        r = block.values @ theta  # y - [x 1]·inner
        w = np.ones(len(r)) if block.weight is None else block.weight
        pull = slope_of_rows(loss, r)
        weights += float(w.sum())
        total += float(w @ loss_of_rows(loss, torch.from_numpy(r)).numpy())
        squares += float(w @ np.square(r))
        absolutes += float(w @ np.abs(r))
        bent += float(w @ np.square(pull))
        gradient -= (w * pull) @ block.values
    return Measured(
        total / weights,
        gradient[:-1] / weights,
        math.sqrt(bent / weights),
        squares / weights,
        absolutes / weights,
    )


def slope_of_rows(loss: Loss, residual: Array) -> Array:
    """ψ of each residual, (rows,)."""
    match loss:
        case Squared():
            return 2 * residual
        case Absolute():
            return np.sign(residual)
        case Quantile(level=q):
            return np.where(residual > 0, q, np.where(residual < 0, q - 1, 0.0))
        case Huber(epsilon=e, scale=s):
            assert s is not None
            return np.clip(residual, -e * s, e * s)


def conclude_other(
    survey: Survey,
    parameters: Tensor,
    found: Measured,
    gradient: Tensor,
    trace: Trace,
    settings: dict[str, Any],
    notes: tuple[str, ...],
    loss: Loss,
) -> Fit:
    """The Fit of such a line.

    Args:
        survey: of the data.
        parameters: raw slopes and intercept, (d + 1,).
        found: by the pass over its residuals.
        gradient: in raw slopes and intercept, (d + 1,).
        trace: the history.
        settings: what to remember.
        notes: what to tell beside it.
        loss: of the residuals.
    """
    design, spectrum = survey.design, survey.spectrum
    scale = torch.where(spectrum.scale > 0, spectrum.scale, 1.0)
    scaled = (gradient[:-1] - gradient[-1] * survey.mean) / scale
    pull = math.hypot(float(scaled.norm()), float(gradient[-1]))
    share = pull / found.size if found.size else 0.0
    if share > GRADIENT_SHARE + len(design.names) / survey.tally.rows:
        status = Status.NOT_CONVERGED
        advice = (
            f"The gradient is still {share:.1%} of what its rows pull: train on with "
            "more epochs, or leave out minibatches (batch_size and method='sgd') for a "
            "fit to the last digit."
        )
    else:
        status = Status.CONVERGED
        advice = (
            f"The rows pull against one another but for {share:.2%}, as near as "
            "batches come; leave out minibatches (batch_size and method='sgd') for a "
            "fit to the last digit."
        )
    if spectrum.deficient:
        status = Status.RANK_DEFICIENT
        advice = (
            "The columns depend on one another, so the coefficients are not unique."
        )
    ones = int(design.intercept)
    nan = math.nan
    certificate = Certificate(
        status=status,
        advice=advice,
        loss=found.loss,
        optimum_loss=nan,
        gap=nan,
        relative_gap=nan,
        gradient_norm=float(gradient.norm()),
        condition=spectrum.condition,
        rank=spectrum.rank + ones,
        columns=len(design.names),
        dependent=survey.dependent,
        digits=nan,
        lr_limit=nan,
        lr_limit_standardized=nan,
        best_lr=nan,
        epochs_needed=None,
        solver="minibatches",
        objective=loss.title,
        bound="none",
    )
    slopes = parameters[:-1]
    r2 = 1 - found.squares / survey.variance if survey.variance > 0 else nan
    notes += header_note(survey.source)
    dropped = survey.tally.dropped
    if dropped:
        notes += (f"{dropped:,} incomplete row{'s were' * (dropped > 1)} dropped.",)
    return Fit(
        coefficients=dict(zip(design.terms, slopes.tolist(), strict=True)),
        intercept=float(parameters[-1]),
        certificate=certificate,
        trace=trace,
        metrics=Scores(
            r2, math.sqrt(found.squares), found.absolutes, survey.tally.rows
        ),
        method="sgd",
        rows=survey.tally.rows,
        dropped=dropped,
        design=design,
        settings={"data": survey.source.name, **settings},
        notes=notes,
        center=survey.mean.numpy(),
        level=float(parameters[-1] + slopes @ survey.mean),
        sample=survey.sample,
        _source=survey.source,
    )
