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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradline.certificate import Certificate, above
from gradline.conclude import conclude
from gradline.criteria import Criterion, as_named, criterion_of, title_of, weighted
from gradline.curvature import stability_limit
from gradline.data import Array, Chunk, Progress
from gradline.descent import descend, make_optimizer
from gradline.design import Design
from gradline.errors import ShapeError, Status, UsageError
from gradline.model import LinearRegression
from gradline.modules import Trained, checked, like_of
from gradline.objective import Absolute, Huber, Loss, Quantile, Squared
from gradline.prepare import Prepared
from gradline.reading import joined
from gradline.result import Fit
from gradline.retrace import epochs_to_keep
from gradline.scores import Trace, score_by
from gradline.stopping import EarlyStopping, Stopper, sentence
from gradline.survey import Survey, take_survey
from gradline.training import Batches, Training, plain_settings

#: Full batches hold at most so many bytes of float64.
MOST_BYTES = 2 << 30

#: Epochs, unless told.
EPOCHS = 1000

#: A gradient so much smaller than that at the start counts as none.
SMALL = 1e-4

#: Rows that are shown to a module before it is trained.
_PROBE = 8


def fit_network(
    prepared: Prepared,
    model: nn.Module | None,
    loss: Loss | nn.Module,
    training: Training,
    batches: Batches,
    stopping: EarlyStopping | None,
    progress: Progress | None,
) -> Fit:
    """Train a module on the terms of the design.

    Args:
        prepared: the data.
        model: what to train a copy of; None for a line.
        loss: a named loss, or any function of prediction and target.
        training: how to descend.
        batches: how to descend batch by batch.
        stopping: stop by the validation part.
        progress: is told how reading gets on.

    Raises:
        UsageError: arguments that do not go together; too many rows for full batches.
        ShapeError: the module refuses the terms, or predicts another shape.
        DivergenceError: the loss ran away.
    """
    goal = as_named(loss)
    design = prepared.design
    _refuse(model, goal, training, design)
    survey = take_survey(prepared.source, design, progress)
    start = _line(survey, training) if model is None else model
    module = copy.deepcopy(start)
    scaled = training.standardize is not False
    job = _Job(module, goal, survey, *(_scaling(survey) if scaled else (None, None)))
    with _own_randomness(module, training.seed):
        history = _full(job, prepared, training, stopping)
    return _concluded(job, history, training, stopping)


def _refuse(model: Any, goal: Any, training: Training, design: Design) -> None:
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
    named = isinstance(goal, Squared | Absolute | Quantile | Huber)
    if named:
        criterion_of(goal)
    elif design.weights is not None:
        raise UsageError(
            f"row weights do not go with {title_of(goal)}, which takes none: leave "
            "them out, or name the loss, such as loss='absolute'"
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


@contextmanager
def _own_randomness(module: nn.Module, seed: int | None) -> Iterator[None]:
    """A block with random numbers of its own, seeded: torch's go on undisturbed."""
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed or 0)
        yield


class _Rows(NamedTuple):
    """Rows as a module takes them: x (n, d), y (n,) or (n, 1), and their mean loss."""

    x: Tensor
    y: Tensor
    criterion: Criterion


@dataclass
class _Job:
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

    def rows(self, chunk: Chunk) -> _Rows:
        """A chunk as the module takes it."""
        like = like_of(self.module)

        def tensor(values: Array) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(
                like.device, like.dtype
            )

        y = tensor(chunk.y)
        criterion: Criterion = self.goal
        if chunk.weight is not None:
            criterion = weighted(self.goal, tensor(chunk.weight))
        elif isinstance(self.goal, Squared | Absolute | Quantile | Huber):
            criterion = criterion_of(self.goal)
        return _Rows(
            self.trained.inputs(np.asarray(chunk.X)),
            y[:, None] if self.columns else y,
            criterion,
        )

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
                f"the loss of predictions and targets of shape {tuple(found.shape)} is "
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
class _History:
    """What a training left behind.

    Attributes:
        losses: at each epoch from 0 on, (K,).
        seen: the validation losses, likewise; [] without such rows.
        lines: raw slopes and intercept by epoch, of a linear module.
        stopper: what saw the validation losses.
        best: the module's state at its best epoch, where early stopping is on.
        start: the norm of the gradient at the start, and `end` of that of the result.
        loss: of the result.
        epochs: how many were walked.
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
    loss: float = math.nan
    end: float = math.nan

    def note(
        self, job: _Job, epoch: int, held: Callable[[], float] | None, keep: set[int]
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


def _full(
    job: _Job, prepared: Prepared, training: Training, stopping: EarlyStopping | None
) -> _History:
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
    history = _History(start=_gradient(job.module, rows))
    held = None
    if prepared.validation is not None:
        seen = job.rows(joined(list(design.chunks(prepared.validation))))
        history.stopper = Stopper(stopping)

        def held() -> float:
            return _loss(job.module, seen)

    keep = {*epochs_to_keep(total, len(design.terms)).tolist(), total}
    criterion = _AsModule(rows.criterion)
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


def _loss(module: nn.Module, rows: _Rows) -> float:
    """The loss over some rows, as in use: without dropout and the like."""
    module.eval()
    with torch.no_grad():
        return float(rows.criterion(checked(module, rows.x), rows.y))


def _gradient(module: nn.Module, rows: _Rows) -> float:
    """The norm of the gradient of that loss in all parameters."""
    module.eval()
    module.zero_grad()
    rows.criterion(checked(module, rows.x), rows.y).backward()
    norms = [p.grad.norm().item() for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    return math.hypot(*norms)


class _AsModule(nn.Module):
    """Any function of prediction and target as a loss module."""

    def __init__(self, function: Criterion) -> None:
        super().__init__()
        self.function = function

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What the function says."""
        return self.function(prediction, target)


def _concluded(
    job: _Job, history: _History, training: Training, stopping: EarlyStopping | None
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
    notes: tuple[str, ...] = ()
    if history.interrupted:
        notes = (
            f"stopped by Ctrl-C after {history.epochs:,} epochs; what they learned is "
            "kept",
        )
    if stopping is not None and stopper is not None:
        total = EPOCHS if training.epochs is None else training.epochs
        settings["early_stopping"] = stopper.settings(total)
        settings["epochs"] = stopper.best_epoch
    trace = _trace(job, history, stopping is not None)
    if job.linear and isinstance(job.goal, Squared):
        line = torch.from_numpy(job.line_now())
        return conclude(
            survey, line, method="gd", trace=trace, settings=settings, notes=notes
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
        metrics=score_by(survey.design, survey.source, trained.predict),
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


def _how(kind: str, job: _Job, history: _History, training: Training) -> str:
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


def _trace(job: _Job, history: _History, chosen: bool) -> Trace:
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


def _certificate(job: _Job, history: _History) -> Certificate:
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
