"""Gradient descent, the five steps. If you read one file of gradline, read this one.

    for step in descend(model, x, y, lr=0.1, epochs=1000):
        print(step.epoch, step.loss)

The objective is whatever `loss` says; by default the mean squared error over all rows,

    loss = 1/n · Σ (model(x_i) - y_i)²

so one epoch is one pass over all the data and one step of the optimiser; or, with
batch_size, as many steps as there are batches, each on the mean over its own rows.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from gradline.checks import learning_rate, whole
from gradline.curvature import stability_limit
from gradline.data import real_array, shape_text
from gradline.errors import (
    DataError,
    DivergenceError,
    MissingValueError,
    ShapeError,
    UsageError,
    did_you_mean,
)

#: So many epochs in a row with a growing loss, ending above the first, are divergence.
GROWING_EPOCHS = 10


@dataclass(frozen=True, repr=False)
class Step:
    """One turn of the loop: the loss it saw and the parameters it left behind.

    It is what you would print in the last line of a loop written by hand. `epoch`
    counts from 1. `loss` and `gradient_norm` are those of the forward and backward
    pass, so before the update; `weight` and `bias` are those after it. With batches
    there is one for each, and `batch` counts them from 1 within the epoch.

    The numbers stay on the model's device until you look at them.
    """

    epoch: int
    loss_tensor: Tensor
    parameters: dict[str, Tensor]
    gradient: tuple[Tensor, ...]
    batch: int = 1

    def __repr__(self) -> str:
        return f"<Step epoch {self.epoch}, loss {self.loss:.6g}>"

    @property
    def loss(self) -> float:
        """The loss of this epoch's forward pass."""
        return float(self.loss_tensor)

    @property
    def weight(self) -> Any:
        """The model's `weight` after the update: a float if it is one number."""
        return _plain(self.parameters["weight"])

    @property
    def bias(self) -> Any:
        """The model's `bias` after the update: a float if it is one number."""
        return _plain(self.parameters["bias"])

    @property
    def gradient_norm(self) -> float:
        """The Euclidean norm of the loss's gradient in all parameters."""
        return math.hypot(*(float(torch.linalg.vector_norm(g)) for g in self.gradient))


def descend(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    lr: float | Literal["auto"] | None = None,
    epochs: int = 1000,
    optimizer: str | torch.optim.Optimizer = "SGD",
    loss: nn.Module | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    **options: Any,
) -> Iterator[Step]:
    """Train `model` in place by the five-step loop; yield a Step after each turn.

    A turn is an epoch; or, with batch_size, a batch.

    Stop whenever you like by leaving the for loop: the model keeps what it learned.

    Args:
        model: any module that maps x to predictions of y's shape.
        x: the features, array or tensor; (n,) or (n, d), as the model wants them.
        y: the targets, of the very shape that model(x) has.
        lr: the learning rate, in the optimiser's sense; "auto" takes half of the
            stability limit; None is 0.1 for SGD and else the optimiser's own default.
        epochs: how many full passes over the data.
        optimizer: the name of a class in torch.optim, or an instance of one, made
            after its model and from its parameters.
        loss: any loss module; torch.nn.MSELoss() unless told.
        batch_size: rows in a batch; all of them unless told. Batches are drawn anew in
            each epoch, and the last one has what rows are left.
        seed: of that draw; 0 unless told.
        **options: passed to the optimiser: momentum, weight_decay and so on.

    Returns:
        A generator of Step, which does the work as it is asked for the next one.

    Raises:
        UsageError: an argument that cannot be meant.
        MissingValueError: x or y holds NaN or infinity; the first row is named.
        ShapeError: predictions and targets differ in shape; both are named.
        DivergenceError: the loss stopped being finite, or kept growing; the message
            says the stability limit. The model is left as it was one step before.

    Source: the lesson; torch.optim. The same from a one-pass state, in closed form:
    path.py.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"model is a {type(model).__name__}: give a torch.nn.Module, such as "
            "gl.LinearRegression()"
        )
    if loss is not None and not callable(loss):
        raise UsageError(f"loss is {loss!r}: give a loss module, torch.nn.MSELoss()")
    epochs = whole("epochs", epochs)
    if not (lr is None or (isinstance(lr, str) and lr == "auto")):
        lr = learning_rate(lr)
    x, y = _tensors_like(model, x, y)
    size = len(x) if batch_size is None else whole("batch_size", batch_size, 1)
    if seed is not None and batch_size is None:
        raise UsageError(
            "seed is for drawing batches: give batch_size too, or leave it out"
        )
    criterion = nn.MSELoss() if loss is None else loss
    _check_shapes(model, criterion, x, y)
    if lr == "auto":
        lr = 0.5 * stability_limit(model, criterion, x, y)
    stepper = make_optimizer(model, optimizer, lr, options)
    seed = whole("seed", seed or 0)
    return _loop(model, x, y, epochs, stepper, criterion, size, seed)


def _loop(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    criterion: nn.Module,
    size: int,
    seed: int,
) -> Iterator[Step]:
    watch = Watch()
    for epoch in range(1, epochs + 1):
        losses = 0.0
        for batch, (x_b, y_b) in enumerate(_batches(x, y, size, seed, epoch), 1):
            model.train()  # training mode; evaluation in between may have left it

            # 1. Forward: predict with the parameters as they are.
            prediction = model(x_b)

            # 2. Loss: one number that says how far predictions are from the targets.
            loss = criterion(prediction, y_b)

            # 3. Zero the gradients: backward adds to them, and the last ones are there.
            optimizer.zero_grad()

            # 4. Backward: the gradient of the loss in every parameter.
            loss.backward()

            if (epoch, batch) == (1, 1):
                refuse_nan(loss.item(), optimizer.param_groups[0].get("lr"))
            losses += loss.item() * len(x_b) / len(x)
            last = batch * size >= len(x)
            if not math.isfinite(losses) or (last and watch.sees_divergence(losses)):
                raise _diverged(model, x, y, optimizer, criterion, epoch, losses)

            # 5. Step: move every parameter a little downhill.
            gradient = _snapshot_gradient(model)
            optimizer.step(_closure_for(optimizer, model, x_b, y_b, criterion))

            parameters = _snapshot_parameters(model)
            yield Step(epoch, loss.detach(), parameters, gradient, batch)


# What follows serves the loop; nothing of it is needed to understand descent.


def _batches(
    x: Tensor, y: Tensor, size: int, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """All rows once in batches of `size`, drawn anew; or all of them as they are."""
    if size >= len(x):
        yield x, y
        return
    drawn = np.random.default_rng([seed, epoch]).permutation(len(x))
    order = torch.from_numpy(drawn).to(x.device)
    for rows in order.split(size):
        yield x[rows], y[rows]


class Watch:
    """Sees a loss that is not finite or that keeps growing.

    Growth in a single epoch is no proof: momentum overshoots, and the absolute loss
    rattles around its optimum.

    Args:
        least: growth up to this loss is no proof either.
    """

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._first: float | None = None
        self._last = math.inf
        self._growing = 0

    def sees_divergence(self, value: float) -> bool:
        """Whether this loss, coming after all those before, says so."""
        if self._first is None:
            self._first = max(value, self._least)
        self._growing = self._growing + 1 if value > self._last else 0
        self._last = value
        runaway = self._growing >= GROWING_EPOCHS and value > self._first
        return runaway or not math.isfinite(value)


def _diverged(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
    criterion: nn.Module,
    epoch: int,
    loss: float,
) -> DivergenceError:
    lr = float(optimizer.param_groups[0]["lr"])
    head = (
        f"{type(optimizer).__name__} with lr {lr:g} diverges: the loss is {loss:.3g} "
        f"at epoch {epoch}"
    )
    limit = stability_limit(model, criterion, x, y)
    spread = float(y.detach().double().std(correction=0))
    if not isinstance(optimizer, torch.optim.SGD) or not math.isfinite(limit):
        return DivergenceError(f"{head}; give a smaller lr{scale_advice(spread)}", lr)
    group = optimizer.param_groups[0]
    if group["momentum"] and not group["nesterov"] and not group["dampening"]:
        limit *= 1 + group["momentum"]  # the heavy ball's own limit
    advice = f"the stability limit is {limit:.3g}: give a smaller lr, or lr='auto'"
    if limit < 1e-2 and not _standardised(x):
        advice += ", or standardise x first, (x - x.mean()) / x.std()"
    else:
        advice += scale_advice(spread)
    return DivergenceError(f"{head}; {advice}", lr, limit)


def _standardised(x: Tensor) -> bool:
    """Whether each column has about mean 0 and standard deviation 1."""
    columns = x.detach().double().reshape(len(x), -1)
    spread = columns.std(dim=0, correction=0)
    constant = spread < 1e-6
    near = bool((columns.mean(dim=0).abs()[~constant] < 0.5).all())
    return near and bool(((spread - 1).abs()[~constant] < 0.5).all())


def scale_advice(spread: float) -> str:
    """What else to do about divergence where the target is far from size 1."""
    if 0.05 < spread < 20 or not 0 < spread < math.inf:
        return ""
    return (
        f", or scale the target, whose standard deviation is {spread:.3g}: train on "
        "(y - y.mean()) / y.std(), and undo that in predictions"
    )


def refuse_nan(loss: float, lr: Any) -> None:
    """Refuse a loss that is no number before anything was learned.

    Raises:
        DivergenceError: and it is not the learning rate's fault.
    """
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the loss is {loss:g} before the first step, so lr has no part in it: "
            "look at the loss (a log or root of a negative number, a division by 0) "
            "and at the model's parameters and the data",
            lr if isinstance(lr, float) else 0.0,
        )


def make_optimizer(
    model: nn.Module,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    options: dict[str, Any],
) -> torch.optim.Optimizer:
    """An optimiser of the model's parameters, by the name of its class.

    Raises:
        UsageError: there is no such class, or it refuses the settings.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise UsageError(
            "the model has no parameters that require gradients: there is nothing to "
            "learn"
        )
    if isinstance(optimizer, torch.optim.Optimizer):
        if lr is not None or options:
            given = ", ".join(["lr"] * (lr is not None) + list(options))
            raise UsageError(
                f"an optimiser instance has its own settings: drop {given}, or give "
                "the optimiser by name"
            )
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not held & {id(p) for p in parameters}:
            raise UsageError(
                "this optimiser holds none of the model's parameters: make the "
                "optimiser after its model, from model.parameters()"
            )
        return optimizer
    classes = {
        name: kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.Optimizer)
        and kind is not torch.optim.Optimizer
    }
    by_folded_name = {name.casefold(): kind for name, kind in classes.items()}
    kind = by_folded_name.get(str(optimizer).casefold())
    if kind is None:
        hint = did_you_mean(str(optimizer), classes, f"known are {', '.join(classes)}")
        raise UsageError(f"torch.optim has no optimiser {optimizer!r}: {hint}")
    if lr is None and kind is torch.optim.SGD:
        lr = 0.1
    if lr is not None:
        options = {"lr": lr, **options}
    _check_options(kind, options)
    try:
        return kind(parameters, **options)
    except ValueError as error:
        raise UsageError(f"torch.optim.{kind.__name__} refuses: {error}") from None
    except TypeError:  # it speaks of Python's operators, not of settings
        given = ", ".join(f"{k}={v!r}" for k, v in options.items())
        raise UsageError(
            f"torch.optim.{kind.__name__} cannot work with {given}: give numbers where "
            "it wants numbers, such as betas=(0.9, 0.99) (betas=0.9,0.99)"
        ) from None


def _check_options(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
    """Refuse settings the optimiser lacks, or that are of another kind than its own."""
    known = dict(inspect.signature(kind).parameters)
    known.pop("params", None)
    refuses = f"torch.optim.{kind.__name__} refuses"
    for name, value in options.items():
        if name not in known:
            hint = did_you_mean(name, known, f"it has {', '.join(known)}")
            raise UsageError(f"{refuses} the setting {name!r}: {hint}")
        usual = known[name].default
        if isinstance(usual, tuple):
            fits = isinstance(value, (tuple, list)) and len(value) == len(usual)
            if not fits:
                raise UsageError(
                    f"{refuses} {name}={value!r}: give {len(usual)} values, such as "
                    f"{usual!r}"
                )
        elif isinstance(usual, bool):
            if not isinstance(value, bool):
                raise UsageError(f"{refuses} {name}={value!r}: give True or False")
        elif isinstance(usual, (int, float)) and isinstance(value, (str, tuple, list)):
            raise UsageError(
                f"{refuses} {name}={value!r}: give a number, such as {usual!r}"
            )


def _closure_for(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    criterion: nn.Module,
) -> Any:
    """Steps 1 to 4 as a function, for the one optimiser that looks several times."""
    if not isinstance(optimizer, torch.optim.LBFGS):
        return None

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = criterion(model(x), y)
        loss.backward()
        return loss

    return closure


def _tensors_like(model: nn.Module, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """x and y as tensors of the model's dtype, on its device."""
    like = next(iter(model.parameters()), torch.zeros(()))
    tensors = []
    for name, data in (("x", x), ("y", y)):
        tensor = torch.as_tensor(real_array(data, name)).to(like.device, like.dtype)
        if tensor.ndim == 0 or tensor.shape[0] == 0:
            raise DataError(f"{name} has no rows: give at least one")
        finite = torch.isfinite(tensor).reshape(tensor.shape[0], -1).all(dim=1)
        if not finite.all():
            row = int(torch.argmin(finite.to(torch.uint8)))
            raise MissingValueError(
                f"{name} holds NaN or infinity, first in row {row + 1}: leave such "
                "rows out"
            )
        tensors.append(tensor)
    return tensors[0], tensors[1]


def _check_shapes(model: nn.Module, criterion: nn.Module, x: Tensor, y: Tensor) -> None:
    """Refuse a broadcast: (n, 1) against (n,) would silently become (n, n)."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            prediction = model(x)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:120]
        raise ShapeError(
            f"the model refuses x of shape {shape_text(x)} ({why}): give it as many "
            "columns as the model takes"
        ) from None
    model.train(was_training)
    if prediction.shape != y.shape:
        raise ShapeError(
            f"the model predicts the shape {shape_text(prediction)} from x of shape "
            f"{shape_text(x)} and y has shape {shape_text(y)}: make them equal, for "
            f"instance with y.reshape{shape_text(prediction)}"
        )
    loss = criterion(prediction, y)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise UsageError(
            "the loss is not one number: give a loss module with reduction='mean' or "
            "'sum'"
        )


def _snapshot_parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _snapshot_gradient(model: nn.Module) -> tuple[Tensor, ...]:
    return tuple(p.grad.clone() for p in model.parameters() if p.grad is not None)


def _plain(tensor: Tensor) -> Any:
    return float(tensor) if tensor.numel() == 1 else tensor.cpu().numpy()
