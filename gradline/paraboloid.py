"""A loss over two coefficients: a paraboloid, its contours ellipses.

    loss(a) = base + ½‖R (a - centre)‖²

so every point of a grid is a sum of squares; nothing is subtracted. surface.py finds
centre, base and R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradline.checks import real
from gradline.data import Array
from gradline.errors import UsageError


@dataclass(frozen=True)
class Ellipse:
    """A contour of the loss: all pairs of two coefficients with one and the same loss.

    Both coefficients count in their own units, side by side: lengths and the angle
    are those of a picture with one scale for both axes.

    Attributes:
        centre: x and y of its middle, in the units of the two coefficients.
        axes: the longer and the shorter half-axis; infinite where the loss is flat,
            0 at the lowest point itself.
        angle: from the x axis to the longer half-axis, in radians, in (-π/2, π/2].
    """

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float

    def points(self, count: int = 200) -> Array:
        """Points around it, the first one again at the end.

        Args:
            count: how many, 2 or more.

        Returns:
            (count, 2): x and y of each, in the units of the two coefficients; infinite
            or NaN where the loss is flat.
        """
        turn = np.linspace(0, 2 * math.pi, count)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        along = np.array([[cos, sin], [-sin, cos]]) * np.array(self.axes)[:, None]
        found: Array = np.column_stack([np.cos(turn), np.sin(turn)]) @ along
        return np.asarray(found + np.array(self.centre))


@dataclass(frozen=True)
class LossSurface:
    """The loss over two coefficients, exactly: a paraboloid.

    Losses are the mean squared error of the training rows (weighted, where the fit
    was), in the units of the target, squared. Coefficients are in the units of the
    input: those of the target per unit of the term, the intercept in those of the
    target.

    Attributes:
        names: of the two, (x's, y's).
        x: values of the first, (points,), ascending.
        y: values of the second, (points,), ascending.
        losses: the loss, (points, points): losses[i, j] is at y[i] and x[j], as
            matplotlib's contour takes it.
        centre: x and y of where it is lowest; one such place, where it is flat.
        base: the loss there.
        root: R with loss = base + ½‖R·(point - centre)‖², (2, 2), upper triangular.
        others: where the other coefficients are: "optimum" for each at its best, point
            by point, or "fit" for where the fit has them.
        trail: x and y of the descent's steps across it, (K, 2), one for each epoch of
            the trace; None for an exact fit.
    """

    names: tuple[str, str]
    x: Array
    y: Array
    losses: Array
    centre: tuple[float, float]
    base: float
    root: Array
    others: Literal["optimum", "fit"]
    trail: Array | None

    def __repr__(self) -> str:
        x, y = self.names
        at = f"{x}={self.centre[0]:.6g}, {y}={self.centre[1]:.6g}"
        return f"<LossSurface over {x!r} and {y!r}, lowest {self.base:.6g} at {at}>"

    def loss(self, x: Any, y: Any) -> Any:
        """The loss at points: base + ½‖R·(point - centre)‖².

        Args:
            x: values of the first coefficient, of any shape.
            y: values of the second, of a shape that broadcasts with it.

        Returns:
            The losses, in the shape the two have in common.
        """
        higher = rise(
            self.root, np.asarray(x) - self.centre[0], np.asarray(y) - self.centre[1]
        )
        return self.base + higher

    def ellipse(self, level: float) -> Ellipse:
        """The contour on which the loss is `level`.

        Args:
            level: a loss, in the units of the target squared; `base` or more.

        Returns:
            An Ellipse, exact; its half-axes are √(2(level - base)) / σ for the two
            singular values σ of R.

        Raises:
            UsageError: no point of the surface is that low.
        """
        level = real("level", level)
        if level < self.base:
            raise UsageError(
                f"level is {level:g} and the lowest loss here {self.base:g}: give more"
            )
        _, sizes, turned = np.linalg.svd(self.root)
        reach = math.sqrt(2 * (level - self.base))
        short, long = (reach / s if s > 0 else math.inf for s in sizes.tolist())
        across, up = turned[1].tolist()
        angle = math.atan2(up, across)
        if angle <= -math.pi / 2:
            angle += math.pi
        elif angle > math.pi / 2:
            angle -= math.pi
        return Ellipse(self.centre, (long, short), angle)

    def _repr_html_(self) -> str:
        """The surface as a notebook shows it: its contours."""
        from gradline.notebook import surface_html

        return surface_html(self)


def rise(root: Array, x: Array, y: Array) -> Array:
    """½‖R (x, y)‖², broadcast."""
    first, second = root[0, 0] * x + root[0, 1] * y, root[1, 0] * x + root[1, 1] * y
    found: Array = 0.5 * (np.square(first) + np.square(second))
    return found
