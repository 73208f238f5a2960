"""Whether Huber's loss with the scale found is least at the scale 0.

The loss is convex in line and scale together, and where the scale goes to 0 it becomes
2ε Σ w|r|. At the line of the absolute loss, "on" the rows that it goes through and
"off" the others, a step s·d of the line together with a scale s changes it, while s is
small, by s times

    φ(d) = Σ_on w (1 + H(zᵀd)) + Σ_off w (1 - ε² - 2ε sign(r) zᵀd)

so that the scale is 0 where no d makes φ negative; else d leads down from there. The
dual of the loss says it in numbers, for every line and scale:

    loss ≥ 2ε Σ w α y   for all α with  Σ w α z = 0,  |α| ≤ 1  and  Σ w (1 - ε²α²) ≥ 0

The least φ gives such an α. Where its last condition fails it holds for a share of α.

Source: from H(t) = most of 2at - a², |a| ≤ ε; Boyd & Vandenberghe, Convex
Optimization, sections 3.3 and 5.2, for the conjugate and the dual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradline.data import Array
from gradline.globs import Globs, Place
from gradline.huber import Valley

#: Scales that are tried along the way down, as shares of a typical residual.
SHARES = 4.0 ** np.arange(-22, 3)


class Apex(NamedTuple):
    """What there is at the scale 0.

    share: of the loss there, proven to be out of reach for every line and scale.
    outside: the share of weight that the line does not go through.
    step, scale: a line, from this one, and a scale of less loss; None where there are
    none but for rounding.
    """

    share: float
    outside: float
    step: Array | None
    scale: float


def share_of_dual(epsilon: float, weight: float, squares: float) -> float:
    """The share of α that is a point of the dual, from Σ w and Σ w α²."""
    return min(1.0, math.sqrt(weight / squares) / epsilon) if squares > 0 else 1.0


def apex(
    globs: Globs,
    epsilon: float,
    tiny: float,
    typical: float,
    some: Callable[[Array], Globs] | None,
) -> Apex:
    """Look for a way down from the line of the absolute loss at the scale 0.

    Args:
        globs: of a pass about that line, whose kink is 0.
        epsilon: ε.
        tiny: a residual of no more is 0 but for rounding.
        typical: the mean absolute residual.
        some: an even choice of rows about a line, all kept, where `globs` has not
            kept all: what is in its sums it knows no more far from the line.
    """
    rows = globs.rows()
    length = np.sqrt(np.einsum("kp,kp->k", rows.z, rows.z))
    on_it = np.abs(rows.r) <= tiny * np.maximum(1.0, length)
    zeros = np.zeros(len(globs.place.u))
    cone = Globs(Place(zeros, epsilon, 0.0, len(rows.r)))
    on, w = rows.z[on_it], rows.w[on_it]
    cone.add(np.ascontiguousarray(on.T), np.zeros(len(on)), w.copy())
    cone.square[:-1, :-1] += globs.tie
    cone.square_weight += globs.tie_weight
    signed = (np.sign(rows.r) * rows.w)[~on_it]
    pull = globs.up[:-1] - globs.down[:-1] + signed @ rows.z[~on_it]
    cone.up[:-1] += pull
    outside = globs.up_weight + globs.down_weight + float(rows.w[~on_it].sum())
    cone.up_weight += outside
    valley = Valley(cone, epsilon, free=False)
    d = valley.lowest(1.0, judge=False).step
    alpha = np.clip(-(on @ d) / epsilon, -1.0, 1.0)
    squares = float(w @ alpha**2) + float(d @ globs.tie @ d) / epsilon**2 + outside
    left = (w * alpha) @ on + pull - globs.tie @ d / epsilon
    share = share_of_dual(epsilon, valley.weight, squares)
    # Rows of which only sums are known may ask for more than 1.
    share /= max(1.0, globs.longest * float(np.linalg.norm(d)) / epsilon)
    share *= 1.0 - min(1.0, 10 * float(np.linalg.norm(left)) / valley.weight)
    step, scale = _way_down(globs, epsilon, d, typical)
    if step is not None and some is not None:
        far, wide = _way_down(some(globs.place.u), epsilon, d, typical)
        step, scale = (step, scale) if far is None else (far, wide)
    return Apex(share, outside / valley.weight, step, scale)


def _way_down(
    globs: Globs, epsilon: float, d: Array, typical: float
) -> tuple[Array | None, float]:
    """A line, from that of the pass, and a scale of less loss than at the scale 0."""
    near = Valley(globs.with_ties(), epsilon, free=True)
    zero = near.value(0 * d, 0.0)
    scales = typical * SHARES
    scales = scales[scales * math.hypot(1.0, float(np.linalg.norm(d))) < globs.reach]
    if not len(scales):
        return None, 0.0
    scale = float(min(scales, key=lambda s: near.value(s * d, float(s))))
    if not near.value(scale * d, scale) < zero * (1 - 1e-13):
        return None, 0.0
    if math.isfinite(globs.reach):
        return scale * d, scale
    low = near.lowest(scale, scale * d, judge=False)
    return (None, 0.0) if low.collapsed else (low.step, low.scale)
