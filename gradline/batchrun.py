"""One run over the batches: what is looked at after each epoch, and when it ends.

Without validation rows a run ends after its epochs, or at its goal; with them, where
early stopping says so. Ctrl-C ends it too, and what was learned until the last turn is
kept. With a checkpoint it can be begun again in its midst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradline.affine import AffineSteps
from gradline.bar import bar_for
from gradline.certificate import BATCH_TOLERANCE, relative_gap
from gradline.checkpoints import FAULTS, Checkpoint, like
from gradline.checks import whole
from gradline.conclude import gap_of
from gradline.data import Progress
from gradline.descent import Watch
from gradline.errors import DivergenceError
from gradline.heldout import held_out
from gradline.objective import Loss, Squared
from gradline.offbeat import measure
from gradline.plans import Plan, shift_and_scale
from gradline.prepare import Prepared
from gradline.quadratic import Quadratic, Record
from gradline.recurrence import Rule
from gradline.retrace import epochs_kept
from gradline.shuffle import BatchStream
from gradline.stepping import LoopSteps, Steps
from gradline.stopping import EarlyStopping, Stopper
from gradline.survey import Survey
from gradline.threads import blas_threads

#: Batches of fewer numbers are worked on by one thread.
FEW_NUMBERS = 1_000_000

#: A loss so many times that of the start is divergence, however it came about.
RUNAWAY = 1e6


@dataclass
class Watched:
    """The losses that are looked at after each epoch."""

    survey: Survey
    prepared: Prepared
    loss: Loss
    stopping: EarlyStopping | None
    progress: Progress | None

    def __post_init__(self) -> None:
        self.validation = self.prepared.validation
        self.held: Quadratic | None = None
        self._rows: BatchStream | None = None
        if self.validation is None:
            return
        design = self.prepared.design
        if isinstance(self.loss, Squared):
            self.held = held_out(self.validation, design, self.progress)
        else:
            self._rows = BatchStream(self.validation, design, 1, shuffle=False)

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
        assert self._rows is not None
        return measure(self._rows, raw, self.loss).loss


class Run:
    """One run over the batches, and what it leaves."""

    def __init__(
        self,
        survey: Survey,
        plan: Plan,
        first: Tensor,
        watched: Watched,
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
        self.steps = steps_of(self.stream, plan, inner, survey.design.intercept)
        self.steps.restart_average(self._average_from())
        self.stopper: Stopper | None = None
        if watched.validation is not None:
            self.stopper = Stopper(watched.stopping)
        self.record = Record(epochs_kept(len(shift)))
        self.watch = Watch()
        self.most = math.inf  # a loss above this is divergence
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
        shown = bar_for(progress, "training", rows)
        # Products of few numbers: a second thread would only wait, or be waited for.
        few = self.plan.fast and self.plan.size * self.stream.width < FEW_NUMBERS
        try:
            with shown as advance, blas_threads(1 if few else None):
                for turn in self.steps.turns(self.plan.epochs, epoch, batch):
                    self.where = (turn.epoch, turn.batch)
                    self.inner = self.steps.parameters()
                    advance(turn.rows)
                    if not bool(torch.isfinite(self.inner).all()):
                        raise diverged(self.plan, f"epoch {turn.epoch:,}")
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

    def kept(self) -> Tensor:
        """What the fit would be if it ended here, in the coordinates of the descent."""
        average = self.steps.average() if self.plan.average else None
        return self.inner if average is None else average

    def _note(self, epoch: int) -> bool:
        """Look at an epoch's end; whether to stop there."""
        inner = self.kept()
        raw = self.raw(inner)
        loss = self.watched.training(raw, self.stream, inner)
        seen = self.watched.seen(raw)
        better = False
        if self.stopper is not None:
            better = self.stopper.improves(epoch, seen)
            better = better and self.watched.stopping is not None
        self.record.add(epoch, loss, raw, seen, better)
        squared = isinstance(self.plan.loss, Squared)
        total = loss + squared * self.survey.optimum_loss
        if epoch == 0:
            zero = torch.zeros_like(inner)
            least = self.watched.training(zero, self.stream, self.inward(zero))
            least += squared * self.survey.optimum_loss
            self.watch = Watch(least)
            self.most = RUNAWAY * max(total, least)
        if self.watch.sees_divergence(total) or total > self.most:
            raise diverged(self.plan, f"epoch {epoch:,}")
        if self.stopper is not None and self.stopper.waited_enough:
            return True
        if not self.plan.to_goal:
            return False
        if epoch & (epoch - 1) == 0:
            self.steps.restart_average(epoch * self.stream.batches)
        best = self.survey.best
        share = relative_gap(gap_of(best, raw), best.optimum_loss, best.floor)
        return epoch > 0 and share <= BATCH_TOLERANCE

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
        like(saved["watch"], {"_growing": 0, **vars(self.watch)} | {"_first": 0.0})
        vars(self.watch).update(saved["watch"])
        like([saved["most"], saved["stopper"]], [0.0, self._state()["stopper"]])
        self.most = saved["most"]
        if self.stopper is not None:
            vars(self.stopper).update(saved["stopper"])
        self.inner = self.steps.parameters()
        epoch, batch = saved["where"]
        whole("epoch", epoch, 1, self.plan.epochs)
        whole("batch", batch, 0, self.stream.batches)
        self.where = (epoch, batch)
        if batch == self.stream.batches:
            return epoch + 1, 0
        return epoch, batch


def steps_of(stream: BatchStream, plan: Plan, start: Tensor, intercept: bool) -> Steps:
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


def diverged(plan: Plan, where: str) -> DivergenceError:
    """What to say, and to do next, where the loss grew without bound."""
    lr = plan.lr or 0.0
    rate = "its own lr" if plan.lr is None else f"lr {lr:.6g}"
    text = f"{plan.optimizer} with {rate} diverges here, in {where}"
    if plan.limit is None:
        return DivergenceError(f"{text}: give a smaller lr", lr)
    text += (
        f": with batches of {plan.size:,} rows the stability limit is about "
        f"{plan.limit:.3g}; give less, such as {plan.limit / 2:.2g}"
    )
    if not plan.scaled:
        text += ", or standardise the features (standardize=True, --standardize)"
    return DivergenceError(text + ", or lr='auto'", lr, plan.limit)
