"""Certificates of slopes that came from a root of the rows (rootstate.py).

Everything is measured from the root: with x, y its rows, b the slopes of a target and
x', y' the rows with √α·1 and 0 below them where there is a ridge penalty α,

    least squares   loss = ‖y - x b‖²/W                     the mean squared error
    otherwise       loss = ‖y' - x' b‖²/2W                  half of it and the penalty

What is left to gain is the part of the residual that free columns of x' still explain,
a sum of squares along their singular vectors; for slopes held at 0 by `positive`, a
bound by the gradient and the curvature comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from gradline.certificate import (
    FEW_DIGITS,
    TOLERANCE,
    Certificate,
    advice_for,
    digits_to_trust,
    relative_gap,
)
from gradline.curvature import largest_eigenvalue
from gradline.data import Array, Mask
from gradline.errors import Status
from gradline.lastdigits import measured
from gradline.objective import SQUARED
from gradline.rootsolve import Scaled, column_scale, decompose, singular_values
from gradline.rootstate import Root
from gradline.solvers import WIDE, Singular
from gradline.sparserows import Rows
from gradline.state import EPS

#: With more columns than this no whole basis of them is made.
MOST_COLUMNS = 2048

#: Singular vectors name a column as dependent from this share on.
_INVOLVED = 1e-6


class Kind(NamedTuple):
    """What was made small: the penalty of the target, and whether slopes are bound."""

    alpha: float
    positive: bool

    @property
    def title(self) -> str:
        """What it is called."""
        if self.alpha:
            return f"half the mean squared error + ridge penalty, alpha {self.alpha:g}"
        return "half the mean squared error" if self.positive else SQUARED


class Given(NamedTuple):
    """What there is to vouch for.

    slopes (d, k) and intercepts (k,), in the type that they were rounded to; rows: all
    of them, where they are few.
    """

    slopes: Array
    intercepts: Array
    rows: Rows | None = None


def vouch(
    root: Root, given: Given, kinds: Sequence[Kind], names: Sequence[str]
) -> list[Certificate]:
    """The certificate of each target.

    Args:
        root: of all the rows.
        given: the slopes.
        kinds: what was made small, of each target.
        names: of the columns.
    """
    design = decompose(root, column_scale(root), quick=True)
    limits = _limits(root)
    shared: dict[float, Scaled] = {}  # what targets of the same penalty have in common
    return [
        _one(root, given, j, kind, names, design, limits, shared)
        for j, kind in enumerate(kinds)
    ]


class _Limits(NamedTuple):
    """The curvatures of the mean squared error in slopes and intercept."""

    steepest: float
    flattest: float


def _one(
    root: Root,
    given: Given,
    j: int,
    kind: Kind,
    names: Sequence[str],
    design: Scaled,
    limits: _Limits,
    shared: dict[float, Scaled],
) -> Certificate:
    W, d = root.weight, root.features
    b = given.slopes[:, j].astype(np.float64)
    plain = not kind.alpha and not kind.positive
    half = 1.0 if plain else 0.5
    live = int(design.live.sum())
    free = design.live & (b > 0) if kind.positive else design.live
    x, y = root.x, root.y[:, j]
    if kind.alpha:
        x = np.concatenate([x, kind.alpha**0.5 * np.eye(d)])
        y = np.append(y, np.zeros(d))
    residual = y - x @ b
    loss = half * float(residual @ residual) / W
    if plain:
        own = design
    elif kind.positive:
        own = _free_part(root, x, free)
    else:
        if kind.alpha not in shared:
            shared[kind.alpha] = _free_part(root, x, free)
        own = shared[kind.alpha]
    explained = own.U[:, : own.rank].T @ residual
    gap = half * float(explained @ explained) / W
    bound = "exact"
    if kind.positive:
        excess = np.where(free, 0.0, np.maximum(x.T @ residual / W, 0.0))
        length, size = np.linalg.norm(x, axis=0), np.linalg.norm(y)
        excess[excess * W <= 8 * EPS * d**0.5 * length * size] = 0.0  # rounding
        if excess.any():
            bound = "gradient"
            least = _flattest(root, kind, design)
            gap += float(excess @ excess) / (2 * least) if least > 0 else math.inf
            gap = min(gap, loss)
    variance = float(root.y[:, j] @ root.y[:, j]) / W
    level = float(root.level[j])
    floor = half * max(EPS * variance, (16 * EPS * level) ** 2 / TOLERANCE)
    optimum = max(loss - gap, 0.0)
    share = relative_gap(gap, optimum, floor)
    rank, ones = design.rank, int(root.intercept)
    unique = rank == d or kind.alpha > 0
    status = Status.EXACT
    if not share <= TOLERANCE:
        status = Status.NOT_CONVERGED
    elif not unique:
        status = Status.RANK_DEFICIENT
    dependent = _dependent(design, names) if rank < d else ()
    condition = math.inf
    if rank == d:
        condition = float(design.sigma[0] / design.sigma[-1])
    residual_size = math.sqrt(max(loss / half, 0.0))
    kept = np.ones(d, dtype=bool) if plain else free
    digits = _digits(
        root, y, given, kind.alpha, own, j, residual_size, variance**0.5, kept
    )
    advice = advice_for(
        status,
        loss=loss,
        gap_share=share,
        digits=digits,
        condition=condition,
        dependent=dependent,
        rows=root.counted,
        columns=d + ones,
        rank=rank + ones,
        lr=None,
        epochs_needed=None,
        best=None,
    )
    if not plain and status == Status.EXACT:
        advice = _advice(kind, b, digits)
    return Certificate(
        status=status,
        advice=advice,
        loss=loss,
        optimum_loss=optimum,
        gap=gap,
        relative_gap=share,
        gradient_norm=2 * half * float(np.linalg.norm((x.T @ residual)[free])) / W,
        condition=condition,
        rank=rank + ones,
        columns=d + ones,
        dependent=dependent,
        digits=digits,
        lr_limit=2 / limits.steepest if limits.steepest > 0 else math.inf,
        lr_limit_standardized=1 / max(float(ones), float(design.sigma[0]) ** 2)
        if live
        else 1.0,
        best_lr=_best_lr(limits),
        epochs_needed=None,
        solver="triangle",
        objective=kind.title,
        bound=bound,  # type: ignore[arg-type]
    )


def _advice(kind: Kind, b: Array, digits: float) -> str:
    """What to do next, under a penalty or with slopes of 0 or more."""
    said = ""
    if kind.positive:
        held = int((b == 0).sum())
        said = f"{held} of {len(b)} slopes {'is' if held == 1 else 'are'} 0. "
    if digits < FEW_DIGITS and kind.alpha:
        return said + (
            f"Rounding alone is sure to spare {math.floor(digits)} digits of the worst "
            "coefficient only: a larger alpha would spare more."
        )
    return said + (
        f"Nothing to do: the coefficients are good to {math.floor(digits)} digits."
    )


def _free_part(root: Root, x: Array, free: Mask) -> Scaled:
    """The decomposition of what slopes are free, their penalty included."""
    part = Root(max(1, int(free.sum())), 1, root.intercept)
    part.rows, part.weight = root.rows, root.weight
    part.x = x[:, free] if free.any() else np.zeros((len(x), 1))
    size = np.linalg.norm(part.x, axis=0) / root.weight**0.5
    return decompose(part, size, quick=True)


def _flattest(root: Root, kind: Kind, design: Scaled) -> float:
    """The smallest curvature of half the mean squared error and the penalty."""
    sigma = singular_values(root.x)
    least = float(sigma[-1]) if design.rank == root.features else 0.0
    return (least**2 + kind.alpha) / root.weight


def _dependent(design: Scaled, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that are constant or take part in a dependence.

    A direction that nothing determines is one of what the rows' own span leaves: a
    column is in it where its share of the span is less than whole.
    """
    share = np.square(design.Vh[: design.rank]).sum(axis=0)
    involved = np.ones(len(design.live), dtype=bool)
    involved[design.live] = 1 - share > _INVOLVED
    return tuple(name for name, out in zip(names, involved, strict=True) if out)


def _limits(root: Root) -> _Limits:
    """The largest and the smallest eigenvalue of the loss's Hessian."""
    mean, x, W = root.mean, root.x, root.weight
    d, ones = root.features, int(root.intercept)
    if d <= WIDE:
        hessian = np.zeros((d + ones, d + ones))
        across = np.append(mean, 1.0)[: d + ones]
        hessian += np.outer(across, across) * ones
        hessian[:d, :d] += x.T @ x / W
        values = np.linalg.eigvalsh(2 * hessian)
        return _Limits(float(values[-1]), max(0.0, float(values[0])))
    rows, center = torch.from_numpy(x), torch.from_numpy(mean)

    def image(step: torch.Tensor) -> torch.Tensor:
        slopes = step[:d]
        found = rows.T @ (rows @ slopes) / W
        if not ones:
            return 2 * found
        level = step[-1] + center @ slopes
        return 2 * torch.cat([found + level * center, level[None]])

    steepest = largest_eigenvalue(image, d + ones)
    rest = largest_eigenvalue(lambda v: steepest * v - image(v), d + ones, 1e-3)
    return _Limits(steepest, max(0.0, steepest - rest))


def _best_lr(limits: _Limits) -> float:
    steepest, flattest = limits
    if steepest <= 0:
        return math.inf
    return min(2 / (steepest + flattest), 0.99999 * 2 / steepest)


def _digits(
    root: Root,
    y: Array,
    given: Given,
    alpha: float,
    own: Scaled,
    j: int,
    residual: float,
    spread: float,
    kept: Mask,
) -> float:
    """The digits to trust in the worst free coefficient, by certificate.py."""
    if not kept.any():
        return 15.9
    count = int(own.live.sum())
    if own.rank < count and count > MOST_COLUMNS:
        return math.nan
    scale = np.zeros(len(own.live))
    scale[own.live] = own.scale[own.live]
    vectors, sigma = own.Vh.T, own.sigma
    if own.rank < count and vectors.shape[1] < count:
        whole = np.linalg.qr(vectors, mode="complete")[0]
        vectors = np.concatenate([vectors, whole[:, vectors.shape[1] :]], axis=1)
        sigma = np.append(sigma, np.zeros(count - len(sigma)))
    full = np.zeros((len(scale), len(sigma)))
    full[own.live] = vectors
    rotated = np.zeros(len(sigma))
    inner = own.U[:, : own.rank].T @ y / root.weight**0.5
    rotated[: own.rank] = inner / own.sigma[: own.rank]
    spectrum = Singular(
        torch.from_numpy(scale),
        torch.from_numpy(sigma),
        torch.from_numpy(full),
        torch.from_numpy(rotated),
        own.rank,
    )
    b = given.slopes[kept, j].astype(np.float64)
    level, c = float(root.level[j]), float(given.intercepts[j])
    truth = None
    if given.rows is not None and own.rank == len(own.live):
        truth = measured(
            given.rows, spectrum, j, kept, b, level, spread, alpha, root.intercept
        )
    if truth is not None:
        best, off = truth
        error = np.abs(np.append(b, c) - best) + off
    else:  # rounded to their type; what that does to float64 is counted anyway
        unit = float(np.finfo(given.slopes.dtype).eps) / 2
        error = unit * np.abs(np.append(b, c)) * (unit > EPS)
    return digits_to_trust(
        spectrum,
        slopes=torch.from_numpy(b),
        mean=torch.from_numpy(root.mean[kept]),
        level=level,
        residual=residual,
        spread=spread,
        error=torch.from_numpy(error),
        solver="triangle",
        refined=truth is not None,
    )
