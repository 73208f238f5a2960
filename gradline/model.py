"""The model: a line, as a torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradline.errors import ShapeError, UsageError


class LinearRegression(nn.Module):
    """The line y = weight·x + bias, its parameters drawn at random.

    With one feature, x of shape (n,) gives predictions of shape (n,), as in the lesson.
    With more, it is `torch.nn.Linear`: (..., in_features) gives (..., out_features),
    and its state_dict is that of `torch.nn.Linear`.

    Args:
        in_features: how many numbers describe one row.
        out_features: how many numbers are predicted for one row.
        dtype: of the parameters; torch's default (float32) unless told.
        device: of the parameters.
        generator: draws the parameters; torch's global one unless told.

    Attributes:
        weight: the slopes, (out_features, in_features), drawn from N(0, 1).
        bias: the intercepts, (out_features,), drawn from N(0, 1).
    """

    def __init__(
        self,
        in_features: int = 1,
        out_features: int = 1,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(in_features, out_features)
        self.in_features = in_features
        self.out_features = out_features

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(
                torch.randn(*shape, dtype=dtype, device=device, generator=generator)
            )

        self.weight = draw(out_features, in_features)
        self.bias = draw(out_features)

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> LinearRegression:
        """A line with these parameters, copied; no random number is drawn.

        Args:
            weight: (out_features, in_features).
            bias: (out_features,), of the same type and on the same device.
        """
        outputs, inputs = weight.shape
        _check_sizes(inputs, outputs)
        line = cls.__new__(cls)
        nn.Module.__init__(line)  # and not ours, which draws
        line.in_features, line.out_features = inputs, outputs
        line.weight = nn.Parameter(weight.detach().clone())
        line.bias = nn.Parameter(bias.detach().clone())
        return line

    def forward(self, x: Tensor) -> Tensor:
        """Predict: y = weight·x + bias.

        Args:
            x: (n,) for one feature and one output, else (..., in_features).

        Returns:
            (n,) for x of shape (n,), else (..., out_features).

        Raises:
            ShapeError: x has another number of features.
        """
        lesson = self.in_features == self.out_features == 1
        if lesson and (x.ndim == 1 or x.shape[-1] == 1):
            return self.weight[0, 0] * x + self.bias[0]  # the shape of x
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            # In words that TorchScript knows: it has no tuple(), and no repr().
            shape = ", ".join([str(size) for size in x.shape])
            shape += "," if x.ndim == 1 else ""
            raise ShapeError(
                f"x has shape ({shape}) and the model in_features="
                f"{self.in_features}: give x of shape (n, {self.in_features})"
            )
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def _check_sizes(in_features: int, out_features: int) -> None:
    if in_features < 1 or out_features < 1:
        raise UsageError(
            f"in_features is {in_features} and out_features {out_features}: "
            "both must be 1 or more"
        )
