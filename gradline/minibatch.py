"""Minibatch descent of a line: from prepared data to a certified Fit.

One pass surveys the data: where the optimum is, how steep the loss is, what the scale
of each term is. Then the batches go by, in the plain loop (epochs.py) or, for SGD on
squared loss, as affine maps (affine.py), which are the same steps. At the end of each
epoch the loss over all rows is known: from the state for squared loss, from a pass for
another.

The fit is the last weights of the run, or the average of the weights after each step of
its second half. A run without a number of epochs, which stops at its goal, begins the
average anew after the epochs 1, 2, 4, 8, …: it too is of the last half, or more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.batchrun import Run, Watched
from gradline.certificate import TOLERANCE, above, relative_gap
from gradline.checkpoints import FAULTS, Checkpoint, digest
from gradline.checks import learning_rate
from gradline.conclude import conclude, gap_of
from gradline.data import Progress
from gradline.errors import DivergenceError
from gradline.objective import Loss, Squared
from gradline.offbeat import Measured, conclude_other, measure
from gradline.plans import Plan, check, first_point, settle
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.retrace import Origin
from gradline.scores import Trace
from gradline.stopping import EarlyStopping
from gradline.survey import Survey, take_survey
from gradline.training import Batches, Training

#: A rate that was found, not given, is quartered so often where it diverges.
RETRIES = 10


def fit_minibatch(
    prepared: Prepared,
    loss: Loss,
    training: Training,
    batches: Batches,
    early_stopping: EarlyStopping | None,
    progress: Progress | None,
    refused: bool = False,
) -> Fit:
    """Fit a line by minibatches.

    Args:
        prepared: the data.
        loss: to be made small.
        training: the optimiser and its settings.
        batches: size, schedule, shuffling, averaging, checkpoint.
        early_stopping: stop where the validation loss is least.
        progress: True for a bar; or what is told how reading and training get on.
        refused: turn down data that do not determine a line.

    Raises:
        UsageError: things that do not go together.
        DivergenceError: the loss grew without bound, and the rate was given.
        FileError: a checkpoint that is of another run, or damaged.
    """
    check(loss, training, batches)
    survey = take_survey(prepared.source, prepared.design, progress, refused)
    plan = settle(survey, loss, training, batches, early_stopping is not None)
    first = first_point(survey, training, plan)
    watched = Watched(survey, prepared, loss, early_stopping, progress)
    about = _about(survey, plan, first) | {"early_stopping": repr(early_stopping)}
    checkpoint = Checkpoint(batches.checkpoint, about)
    saved = checkpoint.load()
    if saved is not None and plan.automatic:
        try:
            plan = replace(plan, lr=learning_rate(saved["lr"]))  # maybe quartered
        except FAULTS as error:
            raise checkpoint.damaged(error) from None
    for attempt in range(RETRIES + 1):
        run = Run(survey, plan, first, watched, checkpoint)
        try:
            run.go(saved, progress)
            break
        except DivergenceError:
            if not plan.automatic or plan.lr is None or attempt == RETRIES:
                raise
            checkpoint.remove()
            plan, saved = replace(plan, lr=plan.lr / 4), None
    return _concluded(run)


def _about(survey: Survey, plan: Plan, first: Tensor) -> dict[str, Any]:
    """What a checkpoint must be of."""
    sums = survey.sums
    squares = (sums.xx.diagonal(), sums.yy)
    return {
        "data": survey.source.name,
        "rows": survey.tally.rows,
        "terms": list(survey.design.terms),
        "target": survey.design.response,
        "loss": repr(plan.loss),
        "epochs": plan.epochs,
        **plan.settings(),
        **({"lr": "auto"} if plan.automatic else {}),
        "content": digest([sums.x_mean, sums.y_mean, *squares]),
        "start": digest([first]),
    }


def _concluded(run: Run) -> Fit:
    """The fit that a run leaves."""
    plan, survey = run.plan, run.survey
    epoch, batch = run.where
    notes: tuple[str, ...] = ()
    if run.interrupted:
        notes = (
            f"stopped by Ctrl-C in epoch {epoch:,}, after {batch:,} of its "
            f"{run.stream.batches:,} batches; what they learned is kept",
        )
        if batch < run.stream.batches or epoch == 0:
            raw = run.raw(run.kept())
            loss = run.watched.training(raw, run.stream, run.kept())
            run.record.add(epoch, loss, raw, run.watched.seen(raw), False)
    times, losses, rows, seen = run.record.value()
    chosen = int(times[-1])
    best, stop = None, {}
    if run.stopper is not None and run.watched.stopping is not None:
        best = chosen = run.stopper.best_epoch
        stop = {"early_stopping": run.stopper.settings(plan.epochs)}
    parameters = rows[int(np.searchsorted(times, chosen))].clone()
    squared = isinstance(plan.loss, Squared)
    trace = Trace(
        times,
        losses + squared * survey.optimum_loss,
        rows[:, :-1].numpy(),
        rows[:, -1].numpy(),
        None if run.stopper is None else seen,
        best,
    )
    settings = plan.settings() | {
        "epochs": chosen,
        "interrupted": run.interrupted,
        "how": _how(plan, chosen),
        **stop,
    }
    if not squared:
        settings["no_inference"] = (
            f"no standard errors for the {plan.loss.title} by minibatches: the "
            "formulas are those of least squares; give method='exact' and no loss"
        )
        found = measure(run.stream, run.inward(parameters), plan.loss)
        return conclude_other(
            survey,
            parameters,
            found,
            _raw_gradient(run, found),
            trace,
            settings,
            notes,
            plan.loss,
        )
    share = relative_gap(gap_of(survey, parameters), survey.optimum_loss, survey.floor)
    if share > TOLERANCE:
        settings["no_inference"] = (
            f"no standard errors for minibatches: the loss is {above(share)} the "
            "optimum, so coefficients may be off by as much as their errors; give "
            "method='exact'"
        )
    return conclude(
        survey,
        parameters,
        method="sgd",
        trace=trace,
        settings=settings,
        notes=notes,
        origin=Origin(survey),
    )


def _raw_gradient(run: Run, found: Measured) -> Tensor:
    """The gradient in raw slopes and intercept, (d + 1,)."""
    gradient = torch.from_numpy(found.gradient)
    slopes = gradient[:-1] * run.scale + gradient[-1] * run.shift
    last = gradient[-1:] * run.survey.design.intercept
    return torch.cat([slopes, last])


def _how(plan: Plan, epochs: int) -> str:
    """The method in words."""
    parts = [f"{plan.optimizer} on batches of {plan.size:,} rows"]
    if not isinstance(plan.loss, Squared):
        parts.append(plan.loss.title)
    if plan.lr is not None:
        parts.append(f"lr {plan.lr:.4g}")
    if plan.schedule.name != "constant":
        parts.append(f"{plan.schedule.name} schedule")
    parts += [
        f"{name.replace('_', ' ')} {plan.options[name]:.4g}"
        for name in ("momentum", "weight_decay")
        if plan.options.get(name)
    ]
    parts += ["weights averaged"] * plan.average
    parts.append(f"{epochs:,} epoch{'' if epochs == 1 else 's'}")
    where = " on standardised features" if plan.scaled else ""
    return ", ".join(parts) + where
