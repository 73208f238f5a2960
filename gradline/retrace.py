"""The model at any epoch of a descent, certified like any other fit.

A descent in closed form is walked again to that epoch, or beyond where it stopped, from
the state: no epoch costs more than another. Another optimiser's is known at the epochs
that were recorded.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradline.certificate import BATCH_TOLERANCE, TOLERANCE, advice_for, relative_gap
from gradline.checks import whole
from gradline.conclude import conclude
from gradline.data import Array
from gradline.errors import DataError, Status
from gradline.heldout import stop_early
from gradline.path import MOST_EPOCHS, Epochs, Path
from gradline.quadratic import Quadratic, Walk
from gradline.result import Fit
from gradline.scores import Scores, Trace
from gradline.state import EPS
from gradline.stopping import EarlyStopping, unseen_note
from gradline.survey import Survey

#: A trace keeps this many epochs, and this many numbers, at the most.
TRACE_EPOCHS = 10_001
TRACE_NUMBERS = 5_000_000


@dataclass(frozen=True)
class Origin:
    """What a fit came from, as long as it is in memory.

    Attributes:
        survey: of the data.
        path: its descent, where that is known in closed form.
        held: the validation loss, where there are rows for it.
    """

    survey: Survey
    path: Path | None = None
    held: Quadratic | None = None


def solved(survey: Survey) -> Fit:
    """The optimum itself."""
    return conclude(survey, survey.optimum, method="exact", origin=Origin(survey))


def trained(
    survey: Survey,
    path: Path,
    epochs: int,
    settings: dict[str, Any],
    held: Quadratic | None = None,
    stopping: EarlyStopping | None = None,
) -> Fit:
    """A descent in closed form after so many epochs, or where it is stopped early.

    Args:
        survey: of the data.
        path: the descent.
        epochs: 0 or more.
        settings: what to remember; `epochs` is put in.
        held: the validation loss, to be recorded too.
        stopping: stop by it; needs `held`.
    """
    last = chosen = epochs
    best = None
    if held is not None and stopping is not None:
        stopper = stop_early(path, held, stopping, epochs)
        last, chosen = stopper.last_epoch, stopper.best_epoch
        best = chosen
        settings = settings | {"early_stopping": stopper.settings(epochs)}
    kept = np.union1d(epochs_to_keep(last, len(survey.design.terms)), [chosen])
    losses, parameters = path.trace(kept)
    seen = None if held is None else held.losses(parameters)
    return conclude(
        survey,
        torch.from_numpy(parameters[np.searchsorted(kept, chosen)].copy()),
        method="gd",
        trace=Trace(kept, losses, parameters[:, :-1], parameters[:, -1], seen, best),
        path=path,
        settings=settings | {"epochs": chosen},
        notes=() if held is None else unseen_note(held.unseen),
        origin=Origin(survey, path, held),
    )


def walked(
    survey: Survey,
    walk: Walk,
    settings: dict[str, Any],
    epochs: int,
    held: Quadratic | None = None,
) -> Fit:
    """The loop of another optimiser after its last epoch, or its best one.

    Args:
        survey: of the data.
        walk: what the loop left.
        settings: what to remember; `epochs` is put in.
        epochs: how many there would have been without early stopping.
        held: the validation loss, where there are rows for it.
    """
    last = chosen = int(walk.epochs[-1])
    notes = () if held is None else unseen_note(held.unseen)
    if walk.interrupted:
        many = f"after {last:,} epochs; what they learned is kept"
        notes = (f"stopped by Ctrl-C {many}", *notes)
    stopper, best = walk.stopper, None
    if stopper is not None and stopper.rule is not None:
        best = chosen = stopper.best_epoch
        settings = settings | {"early_stopping": stopper.settings(epochs)}
    return conclude(
        survey,
        torch.from_numpy(walk.parameters[np.searchsorted(walk.epochs, chosen)].copy()),
        method="gd",
        trace=Trace(
            walk.epochs,
            survey.optimum_loss + walk.gaps,
            walk.parameters[:, :-1],
            walk.parameters[:, -1],
            walk.validation_losses,
            best,
        ),
        settings=settings | {"epochs": chosen},
        notes=notes,
        origin=Origin(survey),
    )


def at(fit: Fit, epoch: int) -> Fit:
    """The fit after `epoch` epochs; see `Fit.at`."""
    epoch = whole("epoch", epoch, most=MOST_EPOCHS)
    trace, origin = fit.trace, fit._origin
    if trace is None:
        raise no_descent(fit, "epochs")
    left_out = ("data", "early_stopping")
    settings = {k: v for k, v in fit.settings.items() if k not in left_out}
    if isinstance(origin, Origin) and origin.path is not None:
        return trained(origin.survey, origin.path, epoch, settings, origin.held)
    last = _recorded(trace, epoch, loaded=fit.sample is None)
    short = trace.until(last)
    how = {}
    if "how" in settings:
        how["how"] = f"{settings['how']}, as it was after epoch {epoch:,}"
    if isinstance(origin, Origin):
        if fit.method == "sgd" and "no_inference" in settings:
            settings["no_inference"] = (
                f"no standard errors for minibatches after epoch {epoch:,}: the "
                "coefficients may be off by as much as their errors; give "
                "method='exact'"
            )
        parameters = np.append(trace.weights[last], trace.intercepts[last])
        return conclude(
            origin.survey,
            torch.from_numpy(parameters),
            method="sgd" if fit.method == "sgd" else "gd",
            trace=short,
            settings=settings | {"epochs": epoch, "interrupted": False} | how,
            origin=origin,
        )
    own = int(trace.epochs[-1]) if trace.best_epoch is None else trace.best_epoch
    if epoch == own:
        return fit
    if fit.certificate.bound != "exact":
        raise DataError(
            f"the {fit.certificate.objective} at epoch {epoch:,} was not certified: "
            "fit.trace has the weights and the loss, or fit with so many epochs"
        )
    return _from_trace(fit, short, epoch)


def no_descent(fit: Fit, lacks: str) -> DataError:
    """The error for what only a descent has: epochs, losses."""
    if fit.method == "exact":
        return DataError(f"an exact fit has no {lacks}: descend, with method='gd'")
    if fit.method == "sgd":
        return DataError(
            f"a Learner's fit has no {lacks}, since its chunks come once: give gl.fit "
            "all rows, with method='gd' or 'sgd'"
        )
    hint = "give batch_size=256, which descends"
    if fit.method == "penalized":
        hint = "descend, with method='gd' and neither penalty nor bounds"
    return DataError(
        f"this fit was found without a descent, by {fit.settings['how']}, and has no "
        f"{lacks}: {hint}"
    )


def epochs_to_keep(total: int, features: int) -> Epochs:
    """All epochs 0 to total, or a selection that is denser at the start."""
    most = epochs_kept(features)
    if total < most:
        return np.arange(total + 1)
    spaced = np.geomspace(1, total, most - 1).round().astype(np.int64)
    return np.unique(np.concatenate([[0], spaced, [total]]))


def epochs_kept(features: int) -> int:
    """How many epochs a trace keeps, at the most."""
    return min(TRACE_EPOCHS, max(100, TRACE_NUMBERS // max(1, features)))


def _recorded(trace: Trace, epoch: int, loaded: bool) -> int:
    """Where the trace has this epoch; its neighbours are named where it has not."""
    place = int(np.searchsorted(trace.epochs, epoch))
    if place < len(trace) and trace.epochs[place] == epoch:
        return place
    why = "the file of the model holds" if loaded else "this optimiser recorded"
    if place == len(trace):
        near = f"the last one is {trace.epochs[-1]:,}"
    else:
        near = (
            f"the nearest are {trace.epochs[place - 1]:,} and {trace.epochs[place]:,}"
        )
    raise DataError(f"epoch {epoch:,} is not among those {why}: {near}")


def _from_trace(fit: Fit, trace: Trace, epoch: int) -> Fit:
    """A loaded fit at an epoch, from what its file says.

    The gradient and the mean absolute error need the state or the data: they are NaN.
    So do the digits, which may be none: they are 0.
    """
    known = fit.certificate
    slopes: Array = trace.weights[-1]
    intercept = float(trace.intercepts[-1])
    loss = max(float(trace.losses[-1]), known.optimum_loss)
    gap = loss - known.optimum_loss
    left = 1 - fit.metrics.r2  # a share of the target's variance
    variance = known.loss / left if left > 0 else 0.0
    share = relative_gap(gap, known.optimum_loss, EPS * variance)
    settings = {k: v for k, v in fit.settings.items() if k != "early_stopping"}
    status = known.status
    if share > (BATCH_TOLERANCE if fit.method == "sgd" else TOLERANCE):
        status = Status.NOT_CONVERGED
    elif status == Status.NOT_CONVERGED:
        status = Status.CONVERGED
    certificate = dataclasses.replace(
        known,
        status=status,
        advice=advice_for(
            status,
            loss=loss,
            gap_share=share,
            digits=0.0,
            condition=known.condition,
            dependent=known.dependent,
            rows=fit.rows,
            columns=known.columns,
            rank=known.rank,
            lr=None,
            epochs_needed=None,
            best=None,
        ),
        loss=loss,
        gap=gap,
        relative_gap=share,
        gradient_norm=math.nan,
        digits=0.0,
        epochs_needed=None,
    )
    r2 = 1 - loss / variance if variance > 0 else math.nan
    return dataclasses.replace(
        fit,
        coefficients=dict(zip(fit.coefficients, slopes.tolist(), strict=True)),
        intercept=intercept,
        certificate=certificate,
        trace=trace,
        metrics=Scores(r2, math.sqrt(loss), math.nan, fit.metrics.rows),
        settings=settings | {"epochs": epoch},
        level=intercept + float(slopes @ fit.center),
    )
