"""The loss over two coefficients, exactly: a paraboloid, its contours ellipses.

With J from the state, loss = optimum_loss + ½‖J(θ - θ*)‖². Split the columns of J into
the two that are looked at, A, and the rest, B. As a function of the two alone,

    loss(a) = base + ½‖R (a - centre)‖²

with R the 2×2 triangle of A, once what B can explain is projected out of it (a profile:
the other coefficients always at their best), or of A itself (a slice: the others
fixed). So every point of a grid is a sum of squares; nothing is subtracted.

Source: any text on quadratic forms; R's profile() and contour() draw the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gradline.checks import one_of, real, whole
from gradline.data import Array
from gradline.design import INTERCEPT
from gradline.errors import DataError, UsageError, did_you_mean, listed
from gradline.objective import SQUARED
from gradline.paraboloid import LossSurface, rise
from gradline.path import raw_root
from gradline.state import EPS
from gradline.survey import Survey

if TYPE_CHECKING:
    from gradline.result import Fit

#: The room left around what is to be seen, as a share of its width.
MARGIN = 0.15


def loss_surface(
    fit: Fit,
    x: str | None,
    y: str | None,
    span: tuple[tuple[float, float], tuple[float, float]] | None,
    points: int,
    others: str,
) -> LossSurface:
    """The loss of a fit's data over two coefficients; see `Fit.loss_surface`."""
    terms = list(fit.coefficients)
    if y is None:
        y = INTERCEPT if fit.design.intercept or len(terms) < 2 else terms[1]
    names = (terms[0] if x is None else x, y)
    columns = [_column(name, terms, fit.design.intercept) for name in names]
    if columns[0] == columns[1]:
        raise UsageError(f"x and y are both {y!r}: give two coefficients")
    points = whole("points", points, 2, 5_000)
    one_of("others", others, "optimum", "fit")
    survey = fit._origin.survey if fit._origin is not None else None
    if not isinstance(survey, Survey):
        raise _no_state(fit)
    at_fit = torch.from_numpy(np.append(fit.slopes, fit.intercept))
    centre, base, root = _paraboloid(survey, columns, at_fit, others == "fit")
    trail = None
    if fit.trace is not None:
        trace = fit.trace.chosen
        both = np.column_stack([trace.weights, trace.intercepts])
        trail = both[:, columns]
    spans = _spans(span, centre, base, root, trail, survey)
    # From the centre outwards, so that the losses never subtract large numbers.
    offsets = [
        np.linspace(low, high, points) - middle
        if span is not None
        else np.linspace(low - middle, high - middle, points)
        for (low, high), middle in zip(spans, centre, strict=True)
    ]
    losses = base + rise(root, offsets[0][None, :], offsets[1][:, None])
    return LossSurface(
        names,
        centre[0] + offsets[0],
        centre[1] + offsets[1],
        losses,
        centre,
        base,
        root,
        "fit" if others == "fit" else "optimum",
        trail,
    )


def _no_state(fit: Fit) -> DataError:
    """Why the state of the squared loss is not there, and what to do."""
    other = fit.method == "sgd" and fit.certificate.objective != SQUARED
    if other or fit.method in ("robust", "network"):
        how = fit.settings.get("how", fit.certificate.objective)
        return DataError(
            "the loss over two coefficients is known for a line and the squared loss, "
            f"and this fit is by {how}: fit without loss and model"
        )
    return DataError(
        "the fit was loaded from a file, which does not hold the state: fit again"
    )


def _paraboloid(
    survey: Survey, columns: list[int], at_fit: Tensor, fixed: bool
) -> tuple[tuple[float, float], float, Array]:
    """Its lowest point, the loss there, and R."""
    J = raw_root(survey.spectrum, survey.mean, survey.design.intercept)
    A = J[:, columns]  # (m + 1, 2)
    rest = [i for i in range(J.shape[1]) if i not in columns]
    B = J[:, rest]
    best = survey.optimum[columns]
    if not fixed:
        Q = _basis(B)
        for _ in range(2):  # the second time takes away what rounding left
            A = A - Q @ (Q.T @ A)
        root = torch.linalg.qr(A, mode="r").R
        return (float(best[0]), float(best[1])), survey.optimum_loss, _square(root)
    # The others stand off their optimum and pull the centre of the two along.
    off = B @ (at_fit[rest] - survey.optimum[rest])
    Q, root = torch.linalg.qr(A)
    shift = torch.linalg.lstsq(root, -(Q.T @ off)[:, None], driver="gelsd").solution
    left = off + A @ shift[:, 0]
    centre = best + shift[:, 0]
    base = survey.optimum_loss + 0.5 * float(left @ left)
    return (float(centre[0]), float(centre[1])), base, _square(root)


def _basis(B: Tensor) -> Tensor:
    """Orthonormal columns that span those of B, dependent ones counted once."""
    length = B.norm(dim=0)
    B = B[:, length > 0] / length[length > 0]
    if B.shape[1] == 0:
        return B
    U, S, _ = torch.linalg.svd(B, full_matrices=False)
    rank = int((S / S[0] > 4 * EPS * max(B.shape) ** 0.5).sum())
    found: Tensor = U[:, :rank]
    return found


def _square(root: Tensor) -> Array:
    """R as (2, 2), with zeros for rows that are not there."""
    full = np.zeros((2, 2))
    full[: root.shape[0]] = root.numpy()
    return full


def _spans(
    span: Any,
    centre: tuple[float, float],
    base: float,
    root: Array,
    trail: Array | None,
    survey: Survey,
) -> list[tuple[float, float]]:
    """From where to where, for both: as told, or to show start, trail and optimum."""
    if span is not None:
        return _given(span)
    # The contour where the line explains nothing, or twice the loss at its best.
    height = max(
        survey.variance - base, survey.optimum_loss, base - survey.optimum_loss
    )
    # With columns of length 1, or a pair of unlike units would look flat.
    scale = np.linalg.norm(root, axis=0)
    scale[scale == 0] = 1.0
    _, sizes, turned = np.linalg.svd(root / scale)
    seen = sizes > 1e-12 * sizes[0] if sizes[0] > 0 else np.zeros(2, bool)
    found = []
    for i, middle in enumerate(centre):
        spread = turned[seen, i] / sizes[seen] / scale[i]
        reach = math.sqrt(2 * height * float(spread @ spread))
        low = high = middle
        if trail is not None:
            low = min(middle, float(trail[:, i].min()))
            high = max(middle, float(trail[:, i].max()))
        wide = max(high - low, 0.2 * reach if trail is not None else 2 * reach)
        if wide == 0:
            wide = 2 * max(1.0, abs(middle))
        room = MARGIN * wide + max(0.0, wide - (high - low)) / 2
        found.append((low - room, high + room))
    return found


def _given(span: Any) -> list[tuple[float, float]]:
    try:
        ((a, b), (c, d)) = span
    except (TypeError, ValueError):
        raise UsageError(
            f"span is {span!r}: give ((x from, x to), (y from, y to))"
        ) from None
    ends = [(real("span", a), real("span", b)), (real("span", c), real("span", d))]
    for low, high in ends:
        if low >= high:
            raise UsageError(f"span goes from {low:g} to {high:g}: give less first")
    return ends


def _column(name: Any, terms: list[str], intercept: bool) -> int:
    """The place of a coefficient among slopes and intercept."""
    known = [*terms, INTERCEPT] if intercept else terms
    if isinstance(name, str) and name in known:
        return known.index(name)
    hint = did_you_mean(str(name), known, f"there are {listed(known)}")
    raise UsageError(f"the fit has no coefficient {name!r}: {hint}")
