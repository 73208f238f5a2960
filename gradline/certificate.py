"""The certificate: any fit, by any method, held against the exact optimum.

Nothing here trains. From the spectrum of the design and the distance of the
coefficients from the optimum come the gap, the digits to trust, the stability limit of
the learning rate, and one sentence of advice. The gap is a sum of squares along the
directions of the spectrum: it is never the difference of two losses.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gradline.errors import Status, listed
from gradline.objective import SQUARED
from gradline.solvers import Spectrum
from gradline.state import EPS

#: A gap below this share of the optimum loss counts as converged.
TOLERANCE = 1e-8

#: The same for minibatches, whose noise takes ever longer to average out.
BATCH_TOLERANCE = 1e-5

#: A condition past this, and the advice says so, however good the arithmetic.
NEARLY_DEPENDENT = 1e6

#: Fewer digits than this, and the advice says so.
FEW_DIGITS = 6


@dataclass(frozen=True)
class Certificate:
    """How far a fit is from the exact optimum, and how well that optimum is known.

    Unless `objective` says otherwise, the loss is the mean squared error,
    Σ w·residual² / Σ w, as torch.nn.MSELoss. A number that cannot be known is NaN.

    Attributes:
        status: how the fit ended.
        advice: one sentence: what to do next, if anything.
        loss: the fit's loss.
        optimum_loss: the smallest loss any coefficients reach on these rows.
        gap: loss - optimum_loss, at least 0.
        relative_gap: gap / optimum_loss; where the optimum is 0 up to rounding, as a
            share of the loss that rounding alone makes instead.
        gradient_norm: Euclidean norm of the loss's gradient in slopes and intercept,
            in the units of the input.
        condition: σmax/σmin of the standardised design; infinite if rank deficient.
        rank: of the design with its column of ones, as in R and statsmodels.
        columns: how many columns that design has; rank < columns is rank deficient.
        dependent: the terms that are constant or depend on one another.
        digits: significant digits to trust in the worst coefficient: an estimate
            that errs on the low side.
        lr_limit: the learning rate above which plain gradient descent diverges on
            the data as they are: 2/λmax of the Hessian.
        lr_limit_standardized: the same after standardising the features.
        best_lr: the fastest learning rate on the data as they are.
        epochs_needed: epochs still to go until converged at this learning rate; None
            for an exact fit, or where 10 million would not do.
        solver: "moments" or "triangle": what the optimum was found from; or how it
            was found.
        objective: what `loss`, `optimum_loss`, `gap` and `gradient_norm` are of, a
            title of objective.py.
        bound: how the gap is known. "exact": measured from the optimum itself;
            "duality": at most this, by a dual point; "gradient": at most this, by the
            gradient and the curvature; "none": the objective need not be convex, and
            only `gradient_norm` says whether there is a way down from here.
    """

    status: Status
    advice: str
    loss: float
    optimum_loss: float
    gap: float
    relative_gap: float
    gradient_norm: float
    condition: float
    rank: int
    columns: int
    dependent: tuple[str, ...]
    digits: float
    lr_limit: float
    lr_limit_standardized: float
    best_lr: float
    epochs_needed: int | None
    solver: str
    objective: str = SQUARED
    bound: Literal["exact", "duality", "gradient", "none"] = "exact"

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, in order; infinities stay infinities."""
        return asdict(self) | {"status": str(self.status)}

    def __str__(self) -> str:
        return f"{self.status}: {self.advice}"

    def _repr_html_(self) -> str:
        """The certificate as a notebook shows it."""
        from gradline.notebook import certificate_html

        return certificate_html(self)


def relative_gap(gap: float, optimum_loss: float, floor: float) -> float:
    """The gap as a share of the optimum loss, or of `floor` where that is larger.

    Args:
        gap: loss minus optimum loss.
        optimum_loss: of the exact fit.
        floor: a loss that rounding alone may make.
    """
    if gap == 0:
        return 0.0
    size = max(optimum_loss, floor)
    return gap / size if size else math.inf


def digits_to_trust(
    spectrum: Spectrum,
    *,
    slopes: Tensor,
    mean: Tensor,
    level: float,
    residual: float,
    spread: float,
    error: Tensor,
    solver: str,
    refined: bool,
) -> float:
    """Significant digits in the worst coefficient, by perturbation theory.

    A backward-stable solver returns the exact solution for data that differ from the
    given ones by rounding. In scaled coordinates that moves coefficient j by up to

        eps · ( ‖row j of V Σ⁻¹‖ (σmax ‖u‖ + ‖y‖) + ‖row j of V Σ⁻²‖ σmax ‖r‖ )

    and, where many solutions fit, by what picking the one of least norm adds.

    Args:
        spectrum: of the design.
        slopes: the coefficients, raw, (d,).
        mean: the mean of x, (d,).
        level: the mean of y.
        residual: root mean squared residual.
        spread: the standard deviation of y.
        error: how far each raw slope and the intercept are known to be off, (d + 1,).
        solver: "moments" or "triangle".
        refined: whether the optimum is right to the last digits but for `error`.

    Returns:
        Between 0 and 15.9. A coefficient below a millionth of its natural size counts
        as a millionth: no digits are lost over a zero. That size is the spread of y
        (its level, where y is constant) over the spread of x for a slope, and
        |level| + Σ |slope·mean| for the intercept.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem
    20.1, by component.
    """
    live = spectrum.scale > 0
    if not bool(live.any()) or spectrum.rank == 0:
        return whole_digits(intercept_error(slopes, mean, level, spread, error))
    scale = torch.where(live, spectrum.scale, 1.0)
    once, twice = spectrum.sensitivity()
    u = slopes * spectrum.scale
    top = spectrum.largest
    first = once * (top * float(u.norm()) + spread)
    second = twice * top * residual
    # One refinement keeps the moments' solution near that of the triangle's.
    factor = 16.0 * math.sqrt(len(u) + 1) * (2.0 if solver == "moments" else 1.0)
    moved = EPS * u.abs() if refined else factor * EPS * (first + second)  # scaled
    if spectrum.deficient:
        moved = moved + factor * EPS * spectrum.looseness() * scale
    off = error[:-1].abs() * scale + moved
    natural = spread if spread > 4 * EPS * abs(level) else abs(level)
    size = (u.abs() - off).clamp(min=max(1e-6 * natural, 1e-300))
    worst = float((off / size)[live].max())
    if refined:  # the intercept was refined with the slopes, not made from them
        own = float(error[-1].abs())
        return whole_digits(max(worst, _of_intercept(slopes, mean, level, own) + EPS))
    raw_error = torch.cat([off / scale, error[-1:].abs()])
    off_zero = intercept_error(slopes, mean, level, spread, raw_error)
    return whole_digits(max(worst, off_zero))


def intercept_error(
    slopes: Tensor, mean: Tensor, level: float, spread: float, error: Tensor
) -> float:
    """The relative error of the intercept, level - mean·slopes."""
    off = 4 * EPS * (abs(level) + spread + float((slopes * mean).abs().sum()))
    off += float(error[-1].abs()) + float((error[:-1] * mean).abs().sum())
    return _of_intercept(slopes, mean, level, off)


def _of_intercept(slopes: Tensor, mean: Tensor, level: float, off: float) -> float:
    """An error as a share of the intercept without it, or of a millionth of its parts.

    Without it: the true intercept may be the smaller one by as much.
    """
    parts = abs(level) + float((slopes * mean).abs().sum())
    if off == 0 or parts == 0:  # without an intercept, 0 it is
        return 0.0
    left = abs(level - float(slopes @ mean)) - off
    return off / max(left, 1e-6 * parts, 1e-300)


def whole_digits(relative_error: float) -> float:
    """The significant digits that a relative error leaves, from 0 to 15.9."""
    if not math.isfinite(relative_error):
        return 0.0
    if relative_error <= 0:
        relative_error = EPS
    digits = min(15.9, max(0.0, -math.log10(relative_error)))
    return math.floor(10 * digits) / 10


def _count(digits: float) -> str:
    """How many whole digits, in words."""
    whole = math.floor(digits)
    return {0: "no digit", 1: "1 digit"}.get(whole, f"{whole} digits")


def above(share: float) -> str:
    """How far above, in words that suit the size: "3.1% above", "1.2e-07 above"."""
    if share > 1e6:
        return "far above"
    if share >= 1:
        return f"{1 + share:.3g} times"
    return f"{share:.2g} of it above" if share < 1e-3 else f"{share:.2%} above"


def advice_for(
    status: Status,
    *,
    loss: float,
    gap_share: float,
    digits: float,
    condition: float,
    dependent: tuple[str, ...],
    rows: int,
    columns: int,
    rank: int,
    lr: float | None,
    epochs_needed: int | None,
    best: tuple[float, int | None] | None,
) -> str:
    """One sentence on what to do next.

    Args:
        status: how the fit ended.
        loss: the fit's loss.
        gap_share: the relative gap.
        digits: digits to trust.
        condition: of the standardised design.
        dependent: constant or dependent terms.
        rows: rows used.
        columns: columns of the design, with its ones.
        rank: of the design, with its ones.
        lr: the learning rate, for a descent.
        epochs_needed: epochs still to go at that rate.
        best: with standardised features, the best rate and the epochs it takes.
    """
    if status == Status.RANK_DEFICIENT and rows < columns:
        return (
            f"{rows:,} rows cannot determine {columns:,} coefficients: give more rows "
            "or fewer features."
        )
    if status == Status.RANK_DEFICIENT:
        one = len(dependent) == 1
        what = "is constant" if one else "depend on one another or are constant"
        return (
            f"Column{'' if one else 's'} {listed(dependent)} {what}, so the "
            f"coefficients are not unique: leave out {columns - rank} of them for a "
            "unique answer."
        )
    if status == Status.NOT_CONVERGED:
        head = f"Stopped with the loss at {loss:.3g}, {above(gap_share)} the optimum"
        if lr is None:
            return f"{head}: train on, or take the optimum itself from method='exact'."
        more = (
            f"lr {lr:.3g} needs {epochs_needed:,} more epochs"
            if epochs_needed is not None
            else f"lr {lr:.3g} would need over 10 million more epochs"
        )
        if best and best[1] is not None:
            more += (
                f"; with the features standardised, lr {best[0]:.3g} needs "
                f"{best[1]:,} in all (lr='auto')"
            )
        elif best is None and epochs_needed is not None:
            more += " (leave out epochs to go on until converged)"
        return f"{head}: {more}."
    if status == Status.CONVERGED and digits < FEW_DIGITS and condition < 1e6:
        return (
            f"The loss is within {gap_share:.1g} of the optimum, which is enough; "
            f"more epochs would only give the worst coefficient more "
            f"{f'than {_count(digits)}' if digits >= 1 else 'digits'}."
        )
    if digits < FEW_DIGITS:
        return (
            f"Trust {_count(digits)} of the worst coefficient"
            f"{' only' if digits >= 1 else ''}: the columns are nearly dependent "
            f"(condition {condition:.1e}) or far from zero; leave out a column, or "
            "centre them."
        )
    if condition > NEARLY_DEPENDENT:
        return (
            f"Right for these numbers, but the columns are nearly dependent (condition "
            f"{condition:.1e}): changes in digit {math.log10(condition):.0f} of the "
            "data change the coefficients altogether; leave out a column."
        )
    return f"Nothing to do: the coefficients are good to {math.floor(digits)} digits."
