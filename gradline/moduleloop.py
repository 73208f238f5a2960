"""How a torch module is trained for `fit`: in full batches, or in minibatches.

Full batches go through `gl.descend`, minibatches through the plain loop of epochs.py;
what is watched meanwhile is noted in a History, see modulejob.py. After the last epoch
the loss and its gradient are measured over all rows, as in use: without dropout and the
like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from gradline.curvature import stability_limit
from gradline.data import Source
from gradline.descent import Watch, descend, make_optimizer, refuse_nan, scale_advice
from gradline.epochs import Criterion as BatchCriterion
from gradline.epochs import Mean, criterion_from, train
from gradline.epochs import criterion_of as of_rows
from gradline.errors import DivergenceError, UsageError
from gradline.modulejob import Flat, History, Job, Rows
from gradline.modules import checked, like_of
from gradline.objective import Absolute, Huber, Quantile, Squared
from gradline.plans import BATCH
from gradline.prepare import Prepared
from gradline.reading import joined
from gradline.retrace import epochs_to_keep
from gradline.schedules import Rates, as_schedule
from gradline.shuffle import BatchStream
from gradline.stopping import EarlyStopping, Stopper
from gradline.training import Batches, Training

#: Full batches hold at most so many bytes of float64.
MOST_BYTES = 2 << 30

#: Epochs, unless told, of all rows and of batches.
EPOCHS = 1000
EPOCHS_BATCHED = 50

#: Rows that are scored at a time.
EVALUATED = 8192


@contextmanager
def own_randomness(module: nn.Module, seed: int | None) -> Iterator[None]:
    """A block with random numbers of its own, seeded: torch's go on undisturbed."""
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed or 0)
        yield


def full_batches(
    job: Job, prepared: Prepared, training: Training, stopping: EarlyStopping | None
) -> History:
    """The five steps over all rows, epoch after epoch."""
    survey, design = job.survey, prepared.design
    size = survey.tally.rows * (len(design.terms) + 1) * 8
    if size > MOST_BYTES:
        raise UsageError(
            f"{survey.tally.rows:,} rows need {size / 2**30:.1f} GiB for batches of "
            "all rows: give batch_size=1024 (--batch-size 1024), which streams them"
        )
    chunk = survey.rows or joined(list(design.chunks(prepared.source)))
    job.probe(chunk)
    rows = job.rows(chunk)
    total = EPOCHS if training.epochs is None else training.epochs
    history = History(start=_gradient(job.module, rows), total=total)
    held = None
    validation = prepared.validation
    if validation is not None:
        seen = job.rows(joined(list(design.chunks(validation))))
        history.unseen = getattr(validation, "unseen", 0)
        history.stopper = Stopper(stopping)

        def held() -> float:
            return _loss(job.module, seen)

    keep = {*epochs_to_keep(total, len(design.terms)).tolist(), total}
    criterion = rows.criterion
    lr = training.lr
    if lr == "auto":
        lr = 0.5 * stability_limit(job.module, criterion, rows.x, rows.y)
    optimizer = make_optimizer(job.module, training.optimizer, lr, training.options)
    history.lr = optimizer.param_groups[0].get("lr")
    refuse_nan(_loss(job.module, rows), lr)
    history.note(job, 0, held, keep)
    try:
        for step in descend(
            job.module,
            rows.x,
            rows.y,
            epochs=total,
            optimizer=optimizer,
            loss=criterion,
        ):
            history.losses.append(step.loss)  # of the parameters before the step
            if history.note(job, step.epoch, held, keep):
                break
    except ValueError as error:
        raise _alone(error, 1, 1) from None
    except KeyboardInterrupt:
        history.interrupted = True
    history.losses = [*history.losses[: history.epochs], _loss(job.module, rows)]
    if history.best is not None:
        job.module.load_state_dict(history.best)
    history.end = _gradient(job.module, rows)
    history.loss = _loss(job.module, rows)
    return history


def _loss(module: nn.Module, rows: Rows) -> float:
    """The loss over some rows, as in use: without dropout and the like."""
    module.eval()
    with torch.no_grad():
        return float(rows.criterion(checked(module, rows.x), rows.y))


def _gradient(module: nn.Module, rows: Rows) -> float:
    """The norm of the gradient of that loss in all parameters."""
    module.eval()
    module.zero_grad()
    rows.criterion(checked(module, rows.x), rows.y).backward()
    norms = [p.grad.norm().item() for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    return math.hypot(*norms)


def minibatches(
    job: Job,
    prepared: Prepared,
    training: Training,
    batches: Batches,
    stopping: EarlyStopping | None,
) -> History:
    """The five steps batch by batch, over rows that are streamed."""
    survey, design = job.survey, prepared.design
    job.probe(next(iter(design.chunks(prepared.source))))
    size = BATCH if batches.size is None else batches.size

    def stream(source: Source, rows: int | None, shuffle: Any) -> BatchStream:
        return BatchStream(
            source,
            design,
            size if rows is not None else EVALUATED,
            shuffle=shuffle,
            seed=training.seed or 0,
            shift=None if job.center is None else job.center.numpy(),
            scale=None if job.scale is None else job.scale.numpy(),
            rows=rows,
            weight=None if rows is None else survey.moments.weight,
        )

    shuffle = True if batches.shuffle is None else batches.shuffle
    rows = stream(prepared.source, survey.tally.rows, shuffle)
    named = isinstance(job.goal, Squared | Absolute | Quantile | Huber)
    criterion = of_rows(job.goal) if named else criterion_from(Flat(job.goal))
    total = EPOCHS_BATCHED if training.epochs is None else training.epochs
    lr = training.lr
    if lr == "auto":
        raise UsageError(
            "lr='auto' is for full batches or a line: give a number, or leave out "
            "batch_size"
        )
    optimizer = make_optimizer(job.module, training.optimizer, lr, training.options)
    rates = Rates(as_schedule(batches.schedule), optimizer, rows.batches, total)
    whole = stream(prepared.source, None, False)
    history = History(batch_size=size, lr=optimizer.param_groups[0].get("lr"))
    history.total = total
    first, history.start = _measured(job, whole, criterion)
    history.losses.append(first)
    refuse_nan(first, history.lr)
    held = None
    validation = prepared.validation
    if validation is not None:
        seen = stream(validation, None, False)
        history.unseen = getattr(validation, "unseen", 0)
        history.stopper = Stopper(stopping)

        def held() -> float:
            return _measured(job, seen, criterion, slope=False)[0]

    keep = {*epochs_to_keep(total, len(design.terms)).tolist(), total}
    history.note(job, 0, held, keep)
    watch, mean = Watch(first), Mean()
    try:
        for turn in train(
            job.module, rows, criterion, optimizer, epochs=total, rates=rates
        ):
            mean.add(turn.loss, turn.rows)
            if not math.isfinite(turn.loss):
                raise _ran_away(job, optimizer, turn.loss, turn.epoch)
            if not turn.last:
                continue
            history.losses.append(mean.value)
            if watch.sees_divergence(mean.value):
                raise _ran_away(job, optimizer, mean.value, turn.epoch)
            mean = Mean()
            if history.note(job, turn.epoch, held, keep):
                break
    except ValueError as error:
        raise _alone(error, size, survey.tally.rows) from None
    except KeyboardInterrupt:
        history.interrupted = True
    history.losses = history.losses[: history.epochs + 1]
    if history.best is not None:
        job.module.load_state_dict(history.best)
    history.loss, history.end = _measured(job, whole, criterion)
    return history


def _alone(error: ValueError, size: int, rows: int) -> Exception:
    """What to say where BatchNorm sees a single row; any other error as it is."""
    if "more than 1 value per channel" not in str(error):
        return error
    advice = "give more rows"
    if rows > 2:
        fits = next(s for s in range(max(2, size), 2 * rows + 3) if rows % s != 1)
        advice = f"give batch_size={fits}, which leaves none"
    return UsageError(
        "a layer of the module, such as BatchNorm, cannot learn from a batch of a "
        f"single row, and batches of {size:,} leave one of {rows:,} rows: {advice}"
    )


def _ran_away(
    job: Job, optimizer: torch.optim.Optimizer, loss: float, epoch: int
) -> DivergenceError:
    lr = float(optimizer.param_groups[0].get("lr") or 0.0)
    return DivergenceError(
        f"{type(optimizer).__name__} with lr {lr:g} diverges: the loss is {loss:.3g} "
        f"in epoch {epoch:,}; give a smaller lr"
        f"{scale_advice(job.survey.variance**0.5)}",
        lr,
    )


def _measured(
    job: Job, stream: BatchStream, criterion: BatchCriterion, slope: bool = True
) -> tuple[float, float]:
    """The loss over all rows of a stream, as in use, and the norm of its gradient.

    It is the mean over batches, by their rows: of a loss that is a mean, that of rows.
    """
    module = job.module
    like = like_of(module)
    module.eval()
    module.zero_grad()
    total = 0.0
    with torch.set_grad_enabled(slope):
        for chunk in stream.epoch(1):
            X, y, w = (
                None if part is None else torch.from_numpy(np.asarray(part)).to(like)
                for part in chunk
            )
            assert X is not None
            assert y is not None
            loss = criterion(checked(module, X).reshape(-1), y, w)
            loss = loss * (len(y) / stream.rows)
            total += float(loss.detach())
            if slope:
                loss.backward()
    norms = [p.grad.norm().item() for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    return total, math.hypot(*norms)
