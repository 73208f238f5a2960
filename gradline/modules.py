"""A trained torch module as what predicts, and what a file keeps of it.

    prediction = module((X - center) / scale)       X: the terms of the design, (n, d)

The module gives (n,) or (n, 1), nothing else: a shape that would have to be broadcast
is refused.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradline.data import Array, shape_text
from gradline.errors import ModelFileError, ShapeError, UsageError

#: What precedes the names of a module's tensors in a file.
PREFIX = "module."


class Standardized(nn.Module):
    """A module whose inputs are standardised first: (x - center) / scale.

    Args:
        module: takes standardised terms, (n, d).
        center: what is subtracted from each term, (d,).
        scale: what divides it then, (d,).
    """

    center: Tensor
    scale: Tensor

    def __init__(self, module: nn.Module, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Any:
        """What the module gives for raw terms x, (n, d)."""
        like = next(self.module.parameters(), x)
        scaled = (x.to(self.center.dtype) - self.center) / self.scale
        return self.module(scaled.to(like.dtype))


@dataclass(frozen=True)
class Trained:
    """A module with the scaling of its inputs.

    Attributes:
        module: takes scaled terms of its parameters' own type.
        center: subtracted from the terms, (d,) float64; None for terms as they are.
        scale: divides them then, (d,) float64.
    """

    module: nn.Module
    center: Tensor | None = None
    scale: Tensor | None = None

    @property
    def model(self) -> nn.Module:
        """What takes the terms as they are, (n, d): a copy, ready to predict."""
        module = copy.deepcopy(self.module).eval()
        if self.center is None or self.scale is None:
            return module
        like = like_of(module)
        center, scale = (t.to(like.device) for t in (self.center, self.scale))
        return Standardized(module, center, scale).eval()

    def inputs(self, X: Array) -> Tensor:
        """Terms (n, d) as the module takes them."""
        like = like_of(self.module)
        x = torch.from_numpy(X)
        if self.center is not None and self.scale is not None:
            x = (x - self.center) / self.scale
        return x.to(like.device, like.dtype)

    def predict(self, X: Array) -> Array:
        """Predictions for terms (n, d): (n,) float64.

        Raises:
            ShapeError: the module gives another shape than (n,) or (n, 1).
        """
        self.module.eval()
        with torch.no_grad():
            found = checked(self.module, self.inputs(X))
        values: Array = found.reshape(-1).double().cpu().numpy()
        return values

    def tensors(self) -> dict[str, Tensor]:
        """What a file keeps: the state of the module, and the scaling."""
        state = self.module.state_dict()
        found = {
            f"{PREFIX}{name}": value.detach().cpu().clone().contiguous()
            for name, value in state.items()
            if isinstance(value, Tensor)
        }
        if self.center is not None and self.scale is not None:
            found["input.center"] = self.center.clone()
            found["input.scale"] = self.scale.clone()
        return found

    def about(self) -> dict[str, Any]:
        """What a file says of it, as JSON has it."""
        return {
            "class": type(self.module).__name__,
            "layers": str(self.module)[:2_000],
            "standardize": self.center is not None,
        }


def like_of(module: nn.Module) -> Tensor:
    """A tensor of the type and on the device of a module's parameters."""
    return next(
        (p for p in module.parameters() if p.is_floating_point()), torch.zeros(())
    )


def checked(module: nn.Module, x: Tensor) -> Tensor:
    """What a module predicts for x (n, d): (n,) or (n, 1).

    Raises:
        ShapeError: it refuses x, or gives another shape.
    """
    n, d = x.shape
    try:
        found: Any = module(x)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:120]
        raise ShapeError(
            f"the module refuses the terms of the design, x of shape {shape_text(x)} "
            f"({why}): give one that takes (n, {d})"
        ) from None
    if not isinstance(found, Tensor):
        raise ShapeError(
            f"the module gives a {type(found).__name__} for x of shape "
            f"{shape_text(x)}: let it give a tensor of shape ({n},) or ({n}, 1)"
        )
    if tuple(found.shape) not in ((n,), (n, 1)):
        raise ShapeError(
            f"the module predicts the shape {shape_text(found)} from x of shape "
            f"{shape_text(x)} and the target has shape ({n},): let it give ({n},) or "
            f"({n}, 1)"
        )
    return found


def restored(
    tensors: dict[str, Tensor], about: dict[str, Any], model: nn.Module, name: str
) -> Trained:
    """A module with the tensors of a file; the one that is given stays as it is.

    Args:
        tensors: of the file.
        about: what it says of the module.
        model: a module of the same shape.
        name: of the file.

    Raises:
        UsageError: the module has other tensors than the file.
        ModelFileError: the file lacks its scaling, or tensors are not finite.
    """
    found = {k.removeprefix(PREFIX): v for k, v in tensors.items() if PREFIX in k}
    own = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
    what = f"{name} holds the weights of a {about['class']}"
    for key in sorted(found.keys() ^ own.keys()):
        here, there = ("the file", "the module")[:: 1 if key in found else -1]
        raise UsageError(
            f"{what}, and the module given does not fit: {here} has {key!r} and "
            f"{there} has not; give a module like the one that was trained"
        )
    for key, value in own.items():
        if value.shape != found[key].shape or value.dtype != found[key].dtype:
            raise UsageError(
                f"{what}, and the module given does not fit: {key!r} has shape "
                f"{shape_text(found[key])} and type {found[key].dtype} in the file and "
                f"{shape_text(value)}, {value.dtype} in the module; give a module like "
                "the one that was trained"
            )
        if value.is_floating_point() and not torch.isfinite(found[key]).all():
            raise ModelFileError(
                f"{name} is damaged ({key!r} is not finite): fit again"
            )
    module = copy.deepcopy(model)
    module.load_state_dict(found)
    if not about["standardize"]:
        return Trained(module.eval())
    center, scale = tensors["input.center"].double(), tensors["input.scale"].double()
    if center.shape != scale.shape or not bool((scale > 0).all()):
        raise ModelFileError(
            f"{name} is damaged (its scaling is no scaling): fit again"
        )
    return Trained(module.eval(), center, scale)
