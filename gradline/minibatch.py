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

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.affine import AffineSteps
from gradline.certificate import BATCH_TOLERANCE, TOLERANCE, above, relative_gap
from gradline.checkpoints import FAULTS, Checkpoint, digest
from gradline.conclude import conclude, gap_of
from gradline.data import Progress
from gradline.descent import Watch
from gradline.errors import DivergenceError
from gradline.heldout import held_out
from gradline.objective import Loss, Squared
from gradline.offbeat import Measured, conclude_other, measure
from gradline.plans import Plan, check, first_point, settle, shift_and_scale
from gradline.prepare import Prepared
from gradline.quadratic import Quadratic, Record
from gradline.recurrence import Rule
from gradline.result import Fit
from gradline.retrace import Origin, epochs_kept
from gradline.scores import Trace
from gradline.shuffle import BatchStream
from gradline.stepping import LoopSteps, Steps
from gradline.stopping import EarlyStopping, Stopper
from gradline.survey import Survey, take_survey
from gradline.training import Batches, Training

#: A rate that was found, not given, is quartered so often where it diverges.
RETRIES = 10

#: A loss so many times that of the start is divergence, however it came about.
RUNAWAY = 1e6


def fit_minibatch(
    prepared: Prepared,
    loss: Loss,
    training: Training,
    batches: Batches,
    early_stopping: EarlyStopping | None,
    progress: Progress | None,
) -> Fit:
    """Fit a line by minibatches.

    Args:
        prepared: the data.
        loss: to be made small.
        training: the optimiser and its settings.
        batches: size, schedule, shuffling, averaging, checkpoint.
        early_stopping: stop where the validation loss is least.
        progress: is told how reading and training get on.

    Raises:
        UsageError: things that do not go together.
        DivergenceError: the loss grew without bound, and the rate was given.
        FileError: a checkpoint that is of another run, or damaged.
    """
    check(loss, batches)
    survey = take_survey(prepared.source, prepared.design, progress)
    plan = settle(survey, loss, training, batches, early_stopping is not None)
    first = first_point(survey, training, plan)
    watched = _Watched(survey, prepared, loss, early_stopping, progress)
    checkpoint = Checkpoint(batches.checkpoint, _about(survey, plan, first))
    saved = checkpoint.load()
    if saved is not None and plan.automatic:
        plan = replace(plan, lr=saved.get("lr"))  # it may have been quartered
    for attempt in range(RETRIES + 1):
        run = _Run(survey, plan, first, watched, checkpoint)
        try:
            run.go(saved, progress)
            break
        except DivergenceError:
            if not plan.automatic or plan.lr is None or attempt == RETRIES:
                raise
            checkpoint.remove()
            plan, saved = replace(plan, lr=plan.lr / 4), None
    return run.concluded()


def _about(survey: Survey, plan: Plan, first: Tensor) -> dict[str, Any]:
    """What a checkpoint must be of."""
    sums = survey.sums
    squares = (sums.xx.diagonal(), sums.yy)
    return {
        "data": survey.source.name,
        "rows": survey.tally.rows,
        "terms": list(survey.design.terms),
        "target": survey.design.target,
        "loss": repr(plan.loss),
        "epochs": plan.epochs,
        **plan.settings(),
        **({"lr": "auto"} if plan.automatic else {}),
        "content": digest([sums.x_mean, sums.y_mean, *squares]),
        "start": digest([first]),
    }


@dataclass
class _Watched:
    """The losses that are looked at after each epoch."""

    survey: Survey
    prepared: Prepared
    loss: Loss
    stopping: EarlyStopping | None
    progress: Progress | None

    def __post_init__(self) -> None:
        self.validation = self.prepared.validation
        self.held: Quadratic | None = None
        if self.validation is not None and isinstance(self.loss, Squared):
            self.held = held_out(self.validation, self.prepared.design, self.progress)

    def training(self, raw: Tensor, stream: BatchStream, inner: Tensor) -> float:
        """The loss over all rows above the optimum's; of another loss, all of it."""
        if isinstance(self.loss, Squared):
            return gap_of(self.survey, raw)
        return measure(stream, inner, self.loss).loss

    def seen(self, raw: Tensor) -> float:
        """The validation loss; NaN without validation rows."""
        if self.held is not None:
            return float(self.held.losses(raw[None].numpy())[0])
        if self.validation is None:
            return math.nan
        design = self.prepared.design
        stream = BatchStream(self.validation, design, 1 << 14, shuffle=False)
        return measure(stream, raw, self.loss).loss


class _Run:
    """One run over the batches, and what it leaves."""

    def __init__(
        self,
        survey: Survey,
        plan: Plan,
        first: Tensor,
        watched: _Watched,
        checkpoint: Checkpoint,
    ) -> None:
        self.survey, self.plan, self.watched = survey, plan, watched
        shift, scale = shift_and_scale(survey, plan.scaled)
        self.shift, self.scale = torch.from_numpy(shift), torch.from_numpy(scale)
        self.stream = BatchStream(
            survey.source,
            survey.design,
            plan.size,
            shuffle=plan.shuffle,
            seed=plan.seed,
            shift=shift if plan.scaled else None,
            scale=scale if plan.scaled else None,
            rows=survey.tally.rows,
            weight=survey.moments.weight,
        )
        inner = self.inward(first)
        self.steps = _steps(self.stream, plan, inner, survey.design.intercept)
        self.steps.restart_average(self._average_from())
        self.stopper: Stopper | None = None
        if watched.validation is not None:
            self.stopper = Stopper(watched.stopping)
        self.record = Record(epochs_kept(len(shift)))
        self.watch = Watch()
        self.where = (0, 0)  # epoch and batch of the last turn
        self.inner = inner
        self.interrupted = False
        self.checkpoint = checkpoint

    def inward(self, raw: Tensor) -> Tensor:
        """Raw slopes and intercept in the coordinates of the descent, (d + 1,)."""
        level = raw[-1] + self.shift @ raw[:-1]
        return torch.cat([raw[:-1] * self.scale, level[None]])

    def raw(self, inner: Tensor) -> Tensor:
        """The other way round."""
        slopes = inner[:-1] / self.scale
        return torch.cat([slopes, (inner[-1] - slopes @ self.shift)[None]])

    def go(self, saved: dict[str, Any] | None, progress: Progress | None) -> None:
        """Step until the end, the goal, early stopping or Ctrl-C.

        Args:
            saved: the state of a checkpoint to go on from.
            progress: is told of the rows.
        """
        epoch, batch = 1, 0
        if saved is None:
            self._note(0)
        else:
            try:
                epoch, batch = self._restore(saved)
            except FAULTS as error:
                raise self.checkpoint.damaged(error) from None
        rows = (self.plan.epochs - epoch + 1) * self.stream.rows
        rows -= batch * self.plan.size
        shown = progress("training", rows) if progress else nullcontext(int)
        try:
            with shown as advance:
                for turn in self.steps.turns(self.plan.epochs, epoch, batch):
                    self.where = (turn.epoch, turn.batch)
                    self.inner = self.steps.parameters()
                    advance(turn.rows)
                    if not bool(torch.isfinite(self.inner).all()):
                        raise self._diverged(turn.epoch)
                    if turn.last and self._note(turn.epoch):
                        break
                    if self.checkpoint.due(turn.last):
                        self.checkpoint.save(self._state())
        except KeyboardInterrupt:
            self.interrupted = True
            return
        self.checkpoint.remove()

    def _average_from(self) -> int:
        """The first step that is averaged, of those counted from 0."""
        total = self.plan.epochs * self.stream.batches
        if not self.plan.average:
            return total
        return 0 if self.plan.to_goal else total // 2

    def _kept(self) -> Tensor:
        """What the fit would be if it ended here, in the coordinates of the descent."""
        average = self.steps.average() if self.plan.average else None
        return self.inner if average is None else average

    def _note(self, epoch: int) -> bool:
        """Look at an epoch's end; whether to stop there."""
        inner = self._kept()
        raw = self.raw(inner)
        loss = self.watched.training(raw, self.stream, inner)
        seen = self.watched.seen(raw)
        better = False
        if self.stopper is not None:
            better = self.stopper.improves(epoch, seen)
            better = better and self.watched.stopping is not None
        self.record.add(epoch, loss, raw, seen, better)
        squared = isinstance(self.plan.loss, Squared)
        whole = loss + squared * self.survey.optimum_loss
        if epoch == 0:
            zero = torch.zeros_like(inner)
            least = self.watched.training(zero, self.stream, self.inward(zero))
            least += squared * self.survey.optimum_loss
            self.watch = Watch(least)
            self.most = RUNAWAY * max(whole, least)
        if self.watch.sees_divergence(whole) or whole > self.most:
            raise self._diverged(epoch)
        if self.stopper is not None and self.stopper.waited_enough:
            return True
        if not self.plan.to_goal:
            return False
        if epoch & (epoch - 1) == 0:
            self.steps.restart_average(epoch * self.stream.batches)
        best = self.survey.best
        share = relative_gap(gap_of(best, raw), best.optimum_loss, best.floor)
        return epoch > 0 and share <= BATCH_TOLERANCE

    def _diverged(self, epoch: int) -> DivergenceError:
        plan = self.plan
        lr = plan.lr
        rate = "its own lr" if lr is None else f"lr {lr:.6g}"
        text = f"{plan.optimizer} with {rate} diverges here, in epoch {epoch:,}"
        if plan.limit is None:
            return DivergenceError(f"{text}: give a smaller lr", lr or 0.0)
        text += (
            f": with batches of {plan.size:,} rows the stability limit is about "
            f"{plan.limit:.3g}; give less, such as {plan.limit / 2:.2g}"
        )
        if not plan.scaled:
            text += ", or standardise the features (standardize=True, --standardize)"
        return DivergenceError(text + ", or lr='auto'", lr or 0.0, plan.limit)

    def _state(self) -> dict[str, Any]:
        """All that going on takes."""
        return {
            "lr": self.plan.lr,
            "where": list(self.where),
            "steps": self.steps.state(),
            "record": self.record.state(),
            "watch": vars(self.watch),
            "most": self.most,
            "stopper": None
            if self.stopper is None
            else {k: v for k, v in vars(self.stopper).items() if k != "rule"},
        }

    def _restore(self, saved: dict[str, Any]) -> tuple[int, int]:
        """Go on from there; the epoch and the batches of it that are done."""
        self.steps.restore(saved["steps"])
        self.record.restore(saved["record"])
        vars(self.watch).update(saved["watch"])
        self.most = saved["most"]
        if self.stopper is not None:
            vars(self.stopper).update(saved["stopper"])
        self.inner = self.steps.parameters()
        epoch, batch = saved["where"]
        self.where = (epoch, batch)
        if batch == self.stream.batches:
            return epoch + 1, 0
        return epoch, batch

    def concluded(self) -> Fit:
        """The fit that it leaves."""
        plan, survey = self.plan, self.survey
        epoch, batch = self.where
        notes: tuple[str, ...] = ()
        if self.interrupted:
            notes = (
                f"stopped by Ctrl-C in epoch {epoch:,}, after {batch:,} of its "
                f"{self.stream.batches:,} batches; what they learned is kept",
            )
            if batch < self.stream.batches or epoch == 0:
                raw = self.raw(self._kept())
                loss = self.watched.training(raw, self.stream, self._kept())
                self.record.add(epoch, loss, raw, self.watched.seen(raw), False)
        times, losses, rows, seen = self.record.value()
        chosen = int(times[-1])
        best, stop = None, {}
        if self.stopper is not None and self.watched.stopping is not None:
            best = chosen = self.stopper.best_epoch
            stop = {"early_stopping": self.stopper.settings(plan.epochs)}
        parameters = rows[int(np.searchsorted(times, chosen))].clone()
        squared = isinstance(plan.loss, Squared)
        trace = Trace(
            times,
            losses + squared * survey.optimum_loss,
            rows[:, :-1].numpy(),
            rows[:, -1].numpy(),
            None if self.stopper is None else seen,
            best,
        )
        settings = plan.settings() | {
            "epochs": chosen,
            "interrupted": self.interrupted,
            "how": self._how(chosen),
            **stop,
        }
        if not squared:
            settings["no_inference"] = (
                f"no standard errors for the {plan.loss.title} by minibatches: the "
                "formulas are those of least squares; give method='exact' and no loss"
            )
            found = measure(self.stream, self.inward(parameters), plan.loss)
            return conclude_other(
                survey,
                parameters,
                found,
                self._raw_gradient(found),
                trace,
                settings,
                notes,
                plan.loss,
            )
        share = relative_gap(
            gap_of(survey, parameters), survey.optimum_loss, survey.floor
        )
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

    def _raw_gradient(self, found: Measured) -> Tensor:
        """The gradient in raw slopes and intercept, (d + 1,)."""
        gradient = torch.from_numpy(found.gradient)
        slopes = gradient[:-1] * self.scale + gradient[-1] * self.shift
        last = gradient[-1:] * self.survey.design.intercept
        return torch.cat([slopes, last])

    def _how(self, epochs: int) -> str:
        """The method in words."""
        plan = self.plan
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


def _steps(stream: BatchStream, plan: Plan, start: Tensor, intercept: bool) -> Steps:
    """What walks the plan: affine maps where they can, else the plain loop."""
    if plan.fast:
        assert plan.lr is not None
        rule = Rule(plan.lr, **plan.options)
        return AffineSteps(stream, start, rule, plan.schedule, plan.epochs, intercept)
    return LoopSteps(
        stream,
        start,
        plan.loss,
        plan.optimizer,
        plan.lr,
        plan.options,
        plan.schedule,
        plan.epochs,
        intercept,
    )
