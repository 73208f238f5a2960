"""The loss over two parameters on a grid, where it is no quadratic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradline.data import Array
from gradline.lab.bench import Bench
from gradline.lab.goals import Goal, Squares

#: Points along each side, and rows times points at the most.
POINTS = 61
MOST_PRODUCT = 12_000_000

#: A path that goes so many times as far off as it began is not shown whole.
FAR_OFF = 3.0


def grid(
    bench: Bench,
    goal: Goal,
    standardize: bool,
    axes: tuple[int, int],
    parameters: Array,
) -> dict[str, Any] | None:
    """The loss about the optimum, as wide as a path needs; None for the squared loss.

    Args:
        bench: the data.
        goal: the loss.
        standardize: whether the coordinates are those of standardised features.
        axes: the places of the two parameters; the others are where they are best.
        parameters: of the path, raw, (K, d + 1).

    Returns:
        x (m,), y (m,) in the coordinates of the descent; losses: (m, m), a row for each
        y; centre (2,) and base, the optimum and its loss.
    """
    if isinstance(goal, Squares):
        return None
    best = bench.inward(goal.optimum[None], standardize)[0]
    path = bench.inward(parameters, standardize)[:, list(axes)]
    off = np.abs(path - best[list(axes)])
    off = off[np.isfinite(off).all(axis=1)]
    near = off <= FAR_OFF * np.maximum(off[:1], 1e-9) if len(off) else off > 0
    reach = np.where(near, off, 0.0).max(axis=0, initial=0.0)
    # In steps, so that another learning rate need not compute it again.
    halves = tuple(_stepped(1.3 * float(r), float(max(reach))) for r in reach)
    count = min(POINTS, math.isqrt(MOST_PRODUCT // len(bench.rows.y)) | 1)

    def make() -> dict[str, Any]:
        x, y = (
            best[axis] + half * np.linspace(-1, 1, count)
            for axis, half in zip(axes, halves, strict=True)
        )
        points = np.tile(best, (count * count, 1))
        points[:, axes[0]] = np.tile(x, count)
        points[:, axes[1]] = np.repeat(y, count)
        loss = bench.loss(standardize)
        slopes = points[:, :-1] / loss.scale.numpy()
        level = points[:, -1] - slopes @ loss.mean.numpy()
        losses = goal.losses(np.column_stack([slopes, level]))
        return {
            "x": x,
            "y": y,
            "losses": losses.reshape(count, count),
            "centre": best[list(axes)],
            "base": goal.optimum_loss,
        }

    key = ("grid", goal.name, goal.delta, standardize, axes, halves)
    found: dict[str, Any] = bench.remember(key, make)
    return found


def _stepped(value: float, other: float) -> float:
    """A half-width, rounded up to a step of √2; some width where there is none."""
    value = max(value, 1e-3 * other) or 1.0
    return float(2.0 ** (math.ceil(2 * math.log2(value)) / 2))
