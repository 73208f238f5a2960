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
    """A contour of the loss.

    Attributes:
        centre: x and y of its middle.
        axes: the longer and the shorter half-axis; infinite where the loss is flat.
        angle: from the x axis to the longer half-axis, in radians, in (-π/2, π/2].
    """

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float

    def points(self, count: int = 200) -> Array:
        """Points around it, the first one again at the end, (count, 2)."""
        turn = np.linspace(0, 2 * math.pi, count)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        along = np.array([[cos, sin], [-sin, cos]]) * np.array(self.axes)[:, None]
        found: Array = np.column_stack([np.cos(turn), np.sin(turn)]) @ along
        return np.asarray(found + np.array(self.centre))


@dataclass(frozen=True)
class LossSurface:
    """The loss over two coefficients.

    Attributes:
        names: of the two.
        x: values of the first, (points,).
        y: values of the second, (points,).
        losses: the loss, (points, points): losses[i, j] is at y[i] and x[j], as
            matplotlib's contour takes it.
        centre: where it is lowest; (one such place, where it is flat).
        base: the loss there.
        root: R with loss = base + ½‖R·(point - centre)‖², (2, 2).
        others: "optimum" or "fit": where the other coefficients are.
        trail: the descent's steps across it, (K, 2); None for an exact fit.
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

    def loss(self, x: Any, y: Any) -> Any:
        """The loss at points, whatever the shape they have in common."""
        higher = rise(
            self.root, np.asarray(x) - self.centre[0], np.asarray(y) - self.centre[1]
        )
        return self.base + higher

    def ellipse(self, level: float) -> Ellipse:
        """The contour on which the loss is `level`.

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


def rise(root: Array, x: Array, y: Array) -> Array:
    """½‖R (x, y)‖², broadcast."""
    first, second = root[0, 0] * x + root[0, 1] * y, root[1, 0] * x + root[1, 1] * y
    found: Array = 0.5 * (np.square(first) + np.square(second))
    return found
