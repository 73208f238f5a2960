"""From the states of the folds to a linear layer: every penalty, and the proof.

objective.py states the objective, ridge.py its solution at all alphas from one
eigendecomposition. Here they are put together for many targets, some at a time, so that
memory stays at about d² numbers for each fold.

A layer of few digits cannot hold the optimum. What its rounding costs is known exactly:
with δ the difference of its scaled slopes from the optimal ones u, C as in ridge.py and
e what the prediction at the mean of x is off,

    gap = 1/2 · (δᵀ (C + alpha) δ + e²),     averaged over the targets

It is large where features lie far from zero: the bias then makes up for a level many
times what the slopes tell apart, and has few digits for it. Such a layer is not called
exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import Certificate, relative_gap, whole_digits
from gradline.crossval import held_out_error
from gradline.data import Array
from gradline.errors import DataError, Status, listed
from gradline.foldstates import left_out
from gradline.model import LinearRegression
from gradline.ridge import Eigen, eigen
from gradline.solvers import from_moments, from_scatter
from gradline.state import EPS, SMALL, Moments
from gradline.threads import blas_threads

#: Numbers in the slopes of some targets at all alphas.
_NUMBERS = 1 << 23

#: Rounding that adds more than this share to the loss is told, and not called exact.
COSTLY = 0.01

#: Unless it is a smaller share than this of the spread of the targets.
_NOTHING = 1e-8


class Lines(NamedTuple):
    """Lines of all targets: slopes (d, k), the mean of x (d,) and the level there (k,).

    The prediction is level + (x - mean)·slopes.
    """

    slopes: Array
    mean: Array
    level: Array


class Folded(NamedTuple):
    """What the folds say: errors (A, F, k), and each fold's own coordinates."""

    errors: Array
    systems: list[Eigen]


def folded(states: Sequence[Moments], alphas: Array, standardize: bool) -> Folded:
    """The mean squared error on each fold, of lines fitted on the others.

    Args:
        states: of the folds.
        alphas: (A,), from large to small.
        standardize: whether slopes of standardised features are counted.
    """
    errors, systems = [], []
    with blas_threads(1 if states[0].features <= SMALL else None):
        for rest, held in left_out(states):
            system = eigen(rest, standardize)
            found = [
                held_out_error(
                    rest.select(some), held.select(some), system_slopes(part, alphas)
                )
                for some, part in _parts(system, len(alphas))
            ]
            errors.append(np.concatenate(found, axis=1))
            systems.append(system)
    return Folded(np.stack(errors, axis=1), systems)


def system_slopes(system: Eigen, alphas: Array) -> Array:
    """Raw slopes at each alpha, (A, d, k)."""
    return system.slopes(system.coordinates(alphas))


def _parts(system: Eigen, alphas: int) -> Iterator[tuple[list[int], Eigen]]:
    """The coordinates of some targets at a time."""
    d, k = system.line.shape
    step = max(1, _NUMBERS // (d * alphas))
    for start in range(0, k, step):
        some = list(range(start, min(start + step, k)))
        yield (
            some,
            replace(
                system,
                line=system.line[:, some],
                rest=system.rest[:, some],
                level=system.level[some],
                loss=system.loss[some],
            ),
        )


def lines_at(system: Eigen, alpha: Array) -> Lines:
    """The lines at an alpha for each target, (k,)."""
    slopes = np.empty_like(system.line)
    for value in np.unique(alpha):
        some = np.flatnonzero(alpha == value)
        part = replace(system, line=system.line[:, some], rest=system.rest[:, some])
        slopes[:, some] = part.slopes(part.coordinates(np.array([value])))[0]
    return Lines(slopes, system.mean, system.level)


def layer(lines: Lines, dtype: torch.dtype, device: torch.device) -> LinearRegression:
    """Lines as a module; its bias makes up for the rounding of its slopes.

    Raises:
        DataError: numbers that the type cannot hold.
    """
    weight = torch.from_numpy(lines.slopes.T.copy()).to(dtype)
    held: Array = weight.double().numpy()
    fits = bool(np.isfinite(held).all())
    bias = torch.from_numpy(lines.level - (held @ lines.mean if fits else 0)).to(dtype)
    if not (fits and bool(torch.isfinite(bias).all())):
        name = str(dtype).removeprefix("torch.")
        raise DataError(
            f"the layer has numbers that {name} cannot hold, for features of this "
            "size: give dtype=torch.float32, or divide the features by their largest "
            "value"
        )
    return LinearRegression.of(weight.to(device), bias.to(device)).eval()


def certified(
    moments: Moments,
    system: Eigen,
    lines: Lines,
    alpha: Array,
    module: LinearRegression,
    names: Sequence[str],
) -> Certificate:
    """How far a layer is from the exact optimum of its objective.

    Args:
        moments: of all rows.
        system: its coordinates.
        lines: the optimum.
        alpha: for each target, (k,).
        module: the layer.
        names: of the features, for messages.
    """
    sums = moments.value()
    spectrum = from_moments(sums) or from_scatter(sums)
    d, k = lines.slopes.shape
    weight = module.weight.detach().cpu().double().numpy().T  # (d, k)
    bias = module.bias.detach().cpu().double().numpy()
    # In the coordinates of ridge.py, u = V c: slopes = vectors @ c, and back again.
    scaled = _coordinates(system, weight - lines.slopes, sums.xx / sums.weight, alpha)
    off = bias + weight.T @ lines.mean - lines.level  # (k,)
    gaps = 0.5 * (scaled + np.square(off))
    best = 0.5 * _objective(system, alpha)
    gap, optimum = float(gaps.mean()), float(best.mean())
    spread = float((sums.yy / sums.weight).mean())
    steepest, flattest = _curvatures(sums.xx / sums.weight, lines.mean)
    top = float(system.values.max(initial=0.0))
    dead = min(d - 1, int((~system.vectors.any(axis=1)).sum()))  # constant features
    least, low = float(alpha.min()), float(system.values[dead])
    inner = (top + least) / (low + least) if low + least > 0 else math.inf
    digits = whole_digits(max(4 * EPS * inner, torch.finfo(module.weight.dtype).eps))
    unique = least > 0 or not spectrum.deficient
    dtype = module.weight.dtype
    # What any weights of so few digits cost, wherever the features lie.
    usual = max(0.25 * torch.finfo(dtype).eps ** 2, _NOTHING) * 0.5 * spread
    costly = unique and gap > max(COSTLY * optimum, usual)
    status = Status.EXACT if unique else Status.RANK_DEFICIENT
    if costly:
        status = Status.NOT_CONVERGED
    slope = _gradient(system, weight - lines.slopes, sums.xx / sums.weight, alpha)
    dependent = tuple(names[j] for j in spectrum.dependent())
    return Certificate(
        status=status,
        advice=_rounded(gap, optimum, dtype)
        if costly
        else _advice(unique, dependent, digits, dtype),
        loss=optimum + gap,
        optimum_loss=optimum,
        gap=gap,
        relative_gap=relative_gap(gap, optimum, EPS * spread),
        gradient_norm=float(np.hypot(np.linalg.norm(slope), np.linalg.norm(off))) / k,
        condition=spectrum.condition,
        rank=spectrum.rank + 1,
        columns=d + 1,
        dependent=dependent,
        digits=digits,
        # torch.nn.MSELoss averages over the outputs too, so each is k times as flat.
        lr_limit=k * 2 / steepest,
        lr_limit_standardized=k / max(1.0, spectrum.largest**2),
        best_lr=k * min(2 / (steepest + flattest), 0.99999 * 2 / steepest),
        epochs_needed=None,
        solver="closed form",
        objective="half the mean squared error + ridge penalty"
        + (f", mean of {k:,} outputs" if k > 1 else ""),
    )


def _coordinates(system: Eigen, off: Array, scatter: Array, alpha: Array) -> Array:
    """δᵀ (C + alpha) δ of raw differences, (k,)."""
    energy = (off * (scatter @ off)).sum(axis=0)
    found: Array = energy + alpha * np.square(_inverse(system) @ off).sum(axis=0)
    return np.maximum(found, 0.0)


def _gradient(system: Eigen, off: Array, scatter: Array, alpha: Array) -> Array:
    """The gradient in raw slopes, (d, k): (C + alpha) δ there."""
    back = _inverse(system)
    found: Array = scatter @ off + alpha * (back.T @ (back @ off))
    return found


def _inverse(system: Eigen) -> Array:
    """From raw slopes to coordinates, (d, d); columns that are constant give none."""
    # vectors = V over the scale, with V orthonormal: its inverse is Vᵀ times the scale.
    size = np.sqrt(np.square(system.vectors).sum(axis=1))  # 1 / scale, (d,)
    live = size > 0
    safe = np.where(live, size, 1.0)
    found: Array = np.where(live, system.vectors.T / np.square(safe), 0.0)
    return found


def _objective(system: Eigen, alpha: Array) -> Array:
    """Twice the objective at the optimum, (k,): the mean squared error + alpha·‖u‖²."""
    found = np.empty(len(alpha))
    for value in np.unique(alpha):
        some = np.flatnonzero(alpha == value)
        part = replace(
            system,
            line=system.line[:, some],
            rest=system.rest[:, some],
            loss=system.loss[some],
        )
        at = part.coordinates(np.array([value]))  # (1, d, k)
        found[some] = part.losses(at)[0] + value * np.square(at[0]).sum(axis=0)
    return found


def _curvatures(scatter: Array, mean: Array) -> tuple[float, float]:
    """The extreme eigenvalues of the Hessian of the mean squared error, in raw units.

    That is 2 · [[C + x̄x̄ᵀ, x̄], [x̄ᵀ, 1]] in slopes and intercept.
    """
    ends = np.append(mean, 1.0)
    hessian = np.outer(ends, ends)
    hessian[:-1, :-1] += scatter
    values: Tensor = torch.linalg.eigvalsh(torch.from_numpy(2 * hessian))
    return float(values[-1]), max(0.0, float(values[0]))


def _rounded(gap: float, optimum: float, dtype: torch.dtype) -> str:
    """What to do about a layer that has too few digits for these features."""
    name = str(dtype).removeprefix("torch.")
    if gap < 10 * optimum:
        much = f"adds {100 * gap / optimum:.2g}% to the loss"
    else:
        much = "makes nearly all of the loss"
    finer = {torch.float64: "", torch.float32: "give dtype=torch.float64, or "}
    return (
        f"Rounding the layer to {name} {much}: "
        f"{finer.get(dtype, 'give dtype=torch.float32, or ')}subtract the features' "
        "means first."
    )


def _advice(
    unique: bool, dependent: tuple[str, ...], digits: float, dtype: torch.dtype
) -> str:
    if not unique:
        return (
            "Features depend on one another or are constant "
            f"({listed(dependent, 4)}), so the layer is not unique: give a larger "
            "alpha."
        )
    if digits < 4 and torch.finfo(dtype).eps < 1e-4:
        return (
            "Features are nearly dependent and alpha is small, so the weights are good "
            f"to {math.floor(digits)} digits: give a larger alpha."
        )
    name = str(dtype).removeprefix("torch.")
    return f"Nothing to do: the weights are good to {digits:.1f} digits, as {name}."
