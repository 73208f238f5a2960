"""How a torch module is trained for `fit`: in full batches, or in minibatches.

Full batches go through `gl.descend`, minibatches through the plain loop of epochs.py;
here is what is watched meanwhile: the loss at each epoch, that of the validation part,
and the state of the module where it was least. After the last epoch the loss and its
gradient are measured over all rows, as in use: without dropout and the like.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradline.criteria import Criterion, criterion_of, weighted
from gradline.curvature import stability_limit
from gradline.data import Array, Chunk, Source
from gradline.descent import Watch, descend, make_optimizer
from gradline.epochs import Criterion as BatchCriterion
from gradline.epochs import Mean, criterion_from, train
from gradline.epochs import criterion_of as of_rows
from gradline.errors import DivergenceError, ShapeError, UsageError
from gradline.model import LinearRegression
from gradline.modules import Trained, checked, like_of
from gradline.objective import Absolute, Huber, Quantile, Squared
from gradline.plans import BATCH
from gradline.prepare import Prepared
from gradline.reading import joined
from gradline.retrace import epochs_to_keep
from gradline.schedules import Rates, as_schedule
from gradline.shuffle import BatchStream
from gradline.stopping import EarlyStopping, Stopper
from gradline.survey import Survey
from gradline.training import Batches, Training

#: Full batches hold at most so many bytes of float64.
MOST_BYTES = 2 << 30

#: Epochs, unless told, of all rows and of batches.
EPOCHS = 1000
EPOCHS_BATCHED = 50

#: Rows that are scored at a time.
EVALUATED = 8192


#: Rows that are shown to a module before it is trained.
_PROBE = 8


@contextmanager
def own_randomness(module: nn.Module, seed: int | None) -> Iterator[None]:
    """A block with random numbers of its own, seeded: torch's go on undisturbed."""
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed or 0)
        yield


class Rows(NamedTuple):
    """Rows as a module takes them: x (n, d), y (n,) or (n, 1), and their mean loss."""

    x: Tensor
    y: Tensor
    criterion: nn.Module


@dataclass
class Job:
    """What is trained, on what, and for which loss.

    Attributes:
        module: the copy.
        goal: a named loss, or a function.
        survey: of the training rows.
        center: what standardises the terms, or None.
        scale: likewise.
        columns: whether the module gives (n, 1).
    """

    module: nn.Module
    goal: Any
    survey: Survey
    center: Tensor | None
    scale: Tensor | None
    columns: bool = field(default=False)

    @property
    def trained(self) -> Trained:
        """The module with its scaling."""
        return Trained(self.module, self.center, self.scale)

    @property
    def linear(self) -> bool:
        """Whether the module is a line in the terms."""
        module, d = self.module, len(self.survey.design.terms)
        if not isinstance(module, nn.Linear | LinearRegression):
            return False
        return tuple(module.weight.shape) == (1, d)

    def rows(self, chunk: Chunk) -> Rows:
        """A chunk as the module takes it."""
        like = like_of(self.module)

        def tensor(values: Array) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(
                like.device, like.dtype
            )

        y = tensor(chunk.y)
        criterion = self.criterion
        if chunk.weight is not None:
            criterion = weighted(self.goal, tensor(chunk.weight))
        return Rows(
            self.trained.inputs(np.asarray(chunk.X)),
            y[:, None] if self.columns else y,
            _Flat(criterion),
        )

    @property
    def criterion(self) -> Criterion:
        """The loss of rows of equal weight, (n,) both."""
        if isinstance(self.goal, Squared | Absolute | Quantile | Huber):
            return criterion_of(self.goal)
        goal: Criterion = self.goal
        return goal

    def probe(self, chunk: Chunk) -> None:
        """See what the module makes of some rows, and what the loss makes of that."""
        few = Chunk(chunk.X[:_PROBE], chunk.y[:_PROBE], None)
        self.module.eval()
        with torch.no_grad():
            found = checked(self.module, self.trained.inputs(np.asarray(few.X)))
            self.columns = found.ndim == 2
            rows = self.rows(few)
            value: Any = rows.criterion(found, rows.y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value)
            raise ShapeError(
                f"the loss of predictions and targets of shape ({len(few.y)},) is "
                f"{shape} and must be one number: take its mean, or reduction='mean'"
            )

    def line_now(self) -> Array:
        """Raw slopes and intercept of a linear module, (d + 1,)."""
        module: Any = self.module
        slopes = module.weight.detach()[0].double().cpu()
        bias = 0.0 if module.bias is None else float(module.bias.detach())
        if self.center is not None and self.scale is not None:
            slopes = slopes / self.scale
            bias -= float(slopes @ self.center)
        return np.append(slopes.numpy(), bias)


@dataclass
class History:
    """What a training left behind.

    Attributes:
        losses: at each epoch from 0 on, (K,).
        seen: the validation losses, likewise; [] without such rows.
        lines: raw slopes and intercept by epoch, of a linear module.
        stopper: what saw the validation losses.
        best: the module's state at its best epoch, where early stopping is on.
        start: the norm of the gradient at the start, and `end` of that of the result.
        loss: of the result.
        epochs: how many were walked, and `total`: of how many.
        unseen: validation rows of a level that nothing is known of.
        interrupted: whether Ctrl-C ended it.
        batch_size: rows in a batch; None for all.
        lr: the learning rate it began with.
    """

    losses: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    lines: dict[int, Array] = field(default_factory=dict)
    stopper: Stopper | None = None
    best: dict[str, Tensor] | None = None
    start: float = math.nan
    interrupted: bool = False
    batch_size: int | None = None
    lr: float | None = None
    epochs: int = 0
    total: int = 0
    unseen: int = 0
    loss: float = math.nan
    end: float = math.nan

    def note(
        self, job: Job, epoch: int, held: Callable[[], float] | None, keep: set[int]
    ) -> bool:
        """Take in the module after an epoch; whether to stop there."""
        better = False
        if held is not None and self.stopper is not None:
            self.seen.append(held())
            better = self.stopper.improves(epoch, self.seen[-1])
            if better and self.stopper.rule is not None:
                self.best = copy.deepcopy(job.module.state_dict())
        if job.linear and (epoch in keep or better):
            self.lines[epoch] = job.line_now()
        self.epochs = epoch
        return self.stopper is not None and self.stopper.waited_enough


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


class _Flat(nn.Module):
    """Any function of prediction and target (n,), for those of shape (n, 1) too."""

    def __init__(self, function: Criterion) -> None:
        super().__init__()
        self.function = function

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What the function says."""
        return self.function(prediction.reshape(-1), target.reshape(-1))


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
    criterion = of_rows(job.goal) if named else criterion_from(_Flat(job.goal))
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
                raise _ran_away(optimizer, turn.loss, turn.epoch)
            if not turn.last:
                continue
            history.losses.append(mean.value)
            if watch.sees_divergence(mean.value):
                raise _ran_away(optimizer, mean.value, turn.epoch)
            mean = Mean()
            if history.note(job, turn.epoch, held, keep):
                break
    except KeyboardInterrupt:
        history.interrupted = True
    history.losses = history.losses[: history.epochs + 1]
    if history.best is not None:
        job.module.load_state_dict(history.best)
    history.loss, history.end = _measured(job, whole, criterion)
    return history


def _ran_away(
    optimizer: torch.optim.Optimizer, loss: float, epoch: int
) -> DivergenceError:
    lr = float(optimizer.param_groups[0].get("lr") or 0.0)
    return DivergenceError(
        f"{type(optimizer).__name__} with lr {lr:g} diverges: the loss is {loss:.3g} "
        f"in epoch {epoch:,}; give a smaller lr",
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
