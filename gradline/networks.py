"""Any torch module and any loss, by the same loop and with the same face.

The module is trained on a copy: the one that is given stays as it is. It takes the
terms of the design, (n, d), standardised by the training rows unless told otherwise,
and gives (n,) or (n, 1). Full batches go through `gl.descend`, so the rows are held in
memory; minibatches are streamed.

What can be promised of the result is little, and the certificate says so: whether the
loss is convex in the parameters of a module cannot be known, so there is no gap, only
the gradient. A line trained with the squared loss is the exception: it is held against
the exact optimum like any other.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradline.certificate import Certificate, above
from gradline.conclude import conclude
from gradline.criteria import as_named, criterion_of, title_of
from gradline.data import Progress
from gradline.design import Design
from gradline.errors import Status, UsageError
from gradline.model import LinearRegression
from gradline.modulejob import History, Job
from gradline.moduleloop import (
    full_batches,
    minibatches,
    own_randomness,
)
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.retrace import Origin, epochs_to_keep
from gradline.schedules import as_schedule
from gradline.scores import Trace, score_by
from gradline.stopping import EarlyStopping, sentence, unseen_note
from gradline.survey import Survey, take_survey
from gradline.training import Batches, Training, plain_settings

#: A gradient so much smaller than that at the start counts as none.
SMALL = 1e-4


def fit_network(
    prepared: Prepared,
    model: nn.Module | None,
    loss: Loss | nn.Module,
    training: Training,
    batches: Batches,
    stopping: EarlyStopping | None,
    progress: Progress | None,
    refused: bool = False,
) -> Fit:
    """Train a module on the terms of the design.

    Args:
        prepared: the data.
        model: what to train a copy of; None for a line.
        loss: a named loss, or any function of prediction and target.
        training: how to descend.
        batches: how to descend batch by batch.
        stopping: stop by the validation part.
        progress: True for a bar; or what is told how reading gets on.
        refused: turn down data that do not determine a line, where that is trained.

    Raises:
        UsageError: arguments that do not go together; too many rows for full batches.
        ShapeError: the module refuses the terms, or predicts another shape.
        DivergenceError: the loss ran away.
    """
    goal = as_named(loss)
    design = prepared.design
    _refuse(model, goal, training, batches, design)
    refused = refused and model is None
    survey = take_survey(prepared.source, design, progress, refused)
    start = _line(survey, training) if model is None else model
    module = copy.deepcopy(start)
    scaled = training.standardize is not False
    job = Job(module, goal, survey, *(_scaling(survey) if scaled else (None, None)))
    with own_randomness(module, training.seed):
        if batches.given:
            history = minibatches(job, prepared, training, batches, stopping)
        else:
            history = full_batches(job, prepared, training, stopping)
    return _concluded(job, history, training, stopping)


def _refuse(
    model: Any, goal: Any, training: Training, batches: Batches, design: Design
) -> None:
    """Refuse, before any work, what does not go together."""
    if model is not None and not isinstance(model, nn.Module):
        raise UsageError(
            f"model is a {type(model).__name__}: give a torch.nn.Module, such as "
            "torch.nn.Sequential(...)"
        )
    if model is not None and training.start is not None:
        raise UsageError(
            "start and model are both given, and training starts from the model: leave "
            "start out"
        )
    if model is not None and not design.intercept:
        _refuse_bias(model)
    for name in ("average", "checkpoint"):
        if getattr(batches, name) is not None:
            raise UsageError(
                f"{name} is for lines, and this is a module or a loss of your own: "
                "leave it out"
            )
    as_schedule(batches.schedule)
    named = isinstance(goal, Squared | Absolute | Quantile | Huber)
    if named:
        criterion_of(goal)
    elif design.weights is not None:
        raise UsageError(
            f"row weights do not go with {title_of(goal)}, which takes none: leave "
            "them out, or name the loss, such as loss='absolute'"
        )


def _refuse_bias(model: nn.Module) -> None:
    """Refuse intercept=False where the module would have one all the same."""
    if not isinstance(model, nn.Linear | LinearRegression):
        raise UsageError(
            "intercept=False is for a line, and what a "
            f"{type(model).__name__} gives at 0 is its own affair: leave it out"
        )
    bias: Tensor | None = model.bias
    if bias is not None and (bias.requires_grad or bool(bias.any())):
        raise UsageError(
            "intercept=False and the module has a bias: give one without, "
            f"nn.Linear({model.weight.shape[-1]}, 1, bias=False), or leave "
            "intercept=False out"
        )


def _line(survey: Survey, training: Training) -> nn.Module:
    """A line to start from, in float64: drawn from N(0, 1), as LinearRegression is."""
    if training.start is not None:
        return training.start
    source = torch.Generator().manual_seed(training.seed or 0)
    d = len(survey.design.terms)
    line = LinearRegression(d, dtype=torch.float64, generator=source)
    if not survey.design.intercept:
        line.bias.data.zero_()
        line.bias.requires_grad_(False)
    return line


def _scaling(survey: Survey) -> tuple[Tensor, Tensor]:
    """What standardises the terms: their mean and standard deviation, (d,) each."""
    scale = survey.spectrum.scale
    return survey.mean, torch.where(scale > 0, scale, 1.0)


def _concluded(
    job: Job, history: History, training: Training, stopping: EarlyStopping | None
) -> Fit:
    """A training as a Fit."""
    survey, stopper = job.survey, history.stopper
    kind = type(job.module).__name__
    settings: dict[str, Any] = {
        "how": _how(kind, job, history, training),
        "lr": history.lr,
        "epochs": history.epochs,
        "standardize": job.center is not None,
        "seed": training.seed or 0,
        "optimizer": training.optimizer,
        "optimizer_options": plain_settings(training.options),
        "batch_size": history.batch_size,
        "loss": title_of(job.goal),
        "module": kind,
        "parameters": sum(p.numel() for p in job.module.parameters()),
        "interrupted": history.interrupted,
    }
    notes = unseen_note(history.unseen)
    if history.interrupted:
        many = f"after {history.epochs:,} epochs; what they learned is kept"
        notes = (f"stopped by Ctrl-C {many}", *notes)
    if stopping is not None and stopper is not None:
        settings["early_stopping"] = stopper.settings(history.total)
        settings["epochs"] = stopper.best_epoch
    trace = _trace(job, history, stopping is not None)
    if job.linear and isinstance(job.goal, Squared):
        line = torch.from_numpy(job.line_now())
        return conclude(
            survey,
            line,
            method="gd",
            trace=trace,
            settings=settings,
            notes=notes,
            origin=Origin(survey),
        )
    settings["no_inference"] = (
        f"no standard errors for {'a line' if job.linear else f'a {kind}'} trained on "
        f"{title_of(job.goal)}: they are known for least squares only; leave out model "
        "and loss"
    )
    stop = settings.get("early_stopping")
    if stop is not None:
        notes += (sentence(stop, f"the training loss is {history.loss:.4g}"),)
    trained = job.trained
    d = len(survey.design.terms)
    line_now = job.line_now() if job.linear else np.full(d + 1, math.nan)
    return Fit(
        coefficients=dict(
            zip(survey.design.terms, line_now[:-1].tolist(), strict=True)
            if job.linear
            else ()
        ),
        intercept=float(line_now[-1]),
        certificate=_certificate(job, history),
        trace=trace,
        metrics=score_by(
            survey.design,
            survey.source,
            trained.predict,
            origin=not survey.design.intercept,
        ),
        method="network",
        rows=survey.tally.rows,
        dropped=survey.tally.dropped,
        design=survey.design,
        settings={"data": survey.source.name, **settings},
        notes=notes,
        center=survey.mean.numpy(),
        level=float(line_now[-1] + line_now[:-1] @ survey.mean.numpy()),
        sample=survey.sample,
        _source=survey.source,
        _network=None if job.linear else trained,
    )


def _how(kind: str, job: Job, history: History, training: Training) -> str:
    """The method in words."""
    many = sum(p.numel() for p in job.module.parameters())
    epochs = history.epochs
    if history.best is not None and history.stopper is not None:
        epochs = history.stopper.best_epoch
    batches = "" if history.batch_size is None else f", batches of {history.batch_size}"
    rate = "" if history.lr is None else f", lr {history.lr:.4g}"
    stopped = ", early stopping" if history.best is not None else ""
    where = " on standardised features" if job.center is not None else ""
    return (
        f"{kind} of {many:,} parameters by {training.optimizer}{rate}{batches}, "
        f"{epochs:,} epochs{stopped}{where}"
    )


def _trace(job: Job, history: History, chosen: bool) -> Trace:
    """The history, without the parameters of a module that is no line."""
    d = len(job.survey.design.terms)
    last, stopper = history.epochs, history.stopper
    best = stopper.best_epoch if chosen and stopper is not None else None
    kept = epochs_to_keep(last, d)
    if best is not None:
        kept = np.union1d(kept, [best])
    if job.linear:
        history.lines.setdefault(last, job.line_now())
        kept = np.array([k for k in kept if int(k) in history.lines], np.int64)
        lines = np.array([history.lines[int(k)] for k in kept])
        weights, intercepts = lines[:, :-1], lines[:, -1]
    else:
        weights, intercepts = np.empty((len(kept), 0)), np.full(len(kept), math.nan)
    return Trace(
        kept,
        np.array(history.losses)[kept],
        weights,
        intercepts,
        np.array(history.seen)[kept] if history.seen else None,
        best,
    )


def _certificate(job: Job, history: History) -> Certificate:
    """What can be said of a module that need not have one lowest place."""
    survey = job.survey
    spectrum, ones = survey.spectrum, int(survey.design.intercept)
    share = history.end / history.start if history.start else 0.0
    small = share <= SMALL
    kind = "line" if job.linear else type(job.module).__name__
    why = (
        "the loss need not be convex"
        if job.linear
        else f"the loss need not be convex in the parameters of a {kind}"
    )
    advice = f"No gap is promised, for {why}: its gradient is {share:.2g} of that at "
    advice += "the start"
    if not small and history.best is None:
        advice += ", so more epochs or another lr may lower it"
    if isinstance(job.goal, Squared):
        advice += f"; the loss is {_beside_line(history.loss, survey)}"
    return Certificate(
        status=Status.CONVERGED if small else Status.NOT_CONVERGED,
        advice=f"{advice}.",
        loss=history.loss,
        optimum_loss=math.nan,
        gap=math.nan,
        relative_gap=math.nan,
        gradient_norm=history.end,
        condition=spectrum.condition,
        rank=spectrum.rank + ones,
        columns=len(survey.design.names),
        dependent=(),
        digits=math.nan,
        lr_limit=math.nan,
        lr_limit_standardized=math.nan,
        best_lr=math.nan,
        epochs_needed=None,
        solver="module",
        objective=title_of(job.goal),
        bound="none",
    )


def _beside_line(loss: float, survey: Survey) -> str:
    """A loss beside that of the best line, which is known exactly."""
    line = survey.best.optimum_loss
    if loss <= line:
        less = 1 - loss / line if line else 0.0
        return f"{less:.1%} below that of the best line on the same terms, {line:.4g}"
    share = (loss - line) / line if line else math.inf
    return f"{above(share)} that of the best line on the same terms, {line:.4g}"
