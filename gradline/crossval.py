"""Cross-validation from the states of the folds: no row is read again.

The error of a line on rows it has not seen follows from their own state (state.py):
with residuals r of the state's line u, D = u - b and means over the held-out rows,

    Σ w (y - prediction)² = Σ w (r - r̄)² + 2 D·Σ w (x - x̄) r + Dᵀ Σ w (x - x̄)(x - x̄)ᵀ D
                            + W · (ȳ - prediction at x̄)²

which is exact, and adds small numbers instead of subtracting large ones. The intercept
is free, so the line goes through the means of the rows it was fitted on.

The error at an alpha is the mean over the folds; its standard error is that of the
folds' errors, sd / √folds (folds of one repeat: those of another have the same rows).
"cv" takes the alpha of least error, "1se" the largest one whose error is within one
standard error of the least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradline.data import Array
from gradline.errors import UsageError, listed
from gradline.foldstates import FoldStates
from gradline.state import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Slopes (A, d, k) and intercepts (A, k), raw, at each alpha (A,), from large to small.
PathSolver = Callable[[Moments, Array], tuple[Array, Array]]


def held_out_error(fitted_on: Moments, held_out: Moments, slopes: Array) -> Array:
    """The mean squared error of lines on rows that they were not fitted on.

    Args:
        fitted_on: the state of the rows they were fitted on, whose means they meet.
        held_out: that of the rows to predict.
        slopes: (A, d, k), raw.

    Returns:
        (A, k), in squared units of each target.
    """
    A, d, k = slopes.shape
    off = held_out.line - slopes  # (A, d, k)
    flat = off.transpose(1, 0, 2).reshape(d, A * k)
    bent = (held_out.xx @ flat).reshape(d, A, k).transpose(1, 0, 2)
    errors: Array = held_out.rr + (off * (bent + 2 * held_out.xr)).sum(axis=1)
    errors = np.maximum(errors, 0.0) / held_out.weight
    if held_out.intercept:
        apart = held_out.shift - fitted_on.shift + (held_out.delta - fitted_on.delta)
        level = held_out.level - fitted_on.level + (held_out.rise - fitted_on.rise)
        errors += np.square(level - np.einsum("d,adk->ak", apart, slopes))
    return errors


def path_errors(states: FoldStates, solver: PathSolver, alphas: Array) -> Array:
    """The mean squared error on each fold, of lines fitted on the others.

    Args:
        states: of the folds.
        solver: from the state of some rows to the lines of all alphas.
        alphas: (A,), from large to small.

    Returns:
        (A, F, k): by alpha, fold and target.
    """
    found = [
        held_out_error(rest, held, solver(rest, alphas)[0])
        for rest, held in states.pairs()
    ]
    return np.stack(found, axis=1)


def standard_errors(errors: Array, repeats: int = 1) -> Array:
    """Of the mean over folds, (A, k): NaN where there is one fold.

    Args:
        errors: (A, F, k).
        repeats: how many times the rows were cut into folds.
    """
    folds = errors.shape[1]
    if folds < 2:
        return np.full((errors.shape[0], errors.shape[2]), np.nan)
    found: Array = errors.std(axis=1, ddof=1) / np.sqrt(folds / repeats)
    return found


def choose(alphas: Array, errors: Array, rule: str, repeats: int = 1) -> Any:
    """Which alpha to take for each target: indices, (k,).

    Args:
        alphas: (A,).
        errors: (A, F, k).
        rule: "1se" takes the largest alpha within one standard error of the least;
            all others the least.
        repeats: as in `standard_errors`.
    """
    order = np.argsort(-alphas, kind="stable")
    mean = errors[order].mean(axis=1)  # (A, k)
    mean = np.where(np.isnan(mean), np.inf, mean)
    at = np.argmin(mean, axis=0)  # the first, and so the largest alpha, of equals
    if rule == "1se":
        spread = standard_errors(errors[order], repeats)
        targets = np.arange(mean.shape[1])
        limit = mean[at, targets] + np.nan_to_num(spread[at, targets])
        at = np.argmax(mean <= limit, axis=0)
    return order[at]


class Curve(NamedTuple):
    """Errors by alpha: mean and standard_error, (A,); what they are of, in words."""

    mean: Array
    standard_error: Array
    of: str


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Errors on rows held out, and the lines that they choose.

    Attributes:
        alphas: the penalties, (A,), from large to small; 0 alone without a penalty.
        errors: the mean squared error by alpha, fold and target, (A, F, k); for "gcv"
            and "loo" there is one fold, all rows.
        targets: the names of the targets, k.
        terms: the names of the slopes, d.
        rule: how alpha is chosen.
        penalty: its kind: ridge, lasso, elastic_net, or None.
        l1_ratio: of it.
        standardize: whether it counts slopes of standardised features.
        folds: how rows were held out, in words.
        repeats: how many times all rows were cut into folds.
        slopes: raw, at the chosen alphas, fitted on all rows, (d, k).
        intercepts: (k,).
        variance: of each target, (k,), over all rows: the error of predicting its
            mean, also for lines through the origin.
        rows: rows used.
        dropped: rows left out as incomplete.
        notes: warnings in plain words.
        shared: whether all targets take one alpha, by the mean of their errors.
    """

    alphas: Array
    errors: Array
    targets: tuple[str, ...]
    terms: tuple[str, ...]
    rule: str
    penalty: str | None
    l1_ratio: float
    standardize: bool
    folds: str
    repeats: int
    slopes: Array
    intercepts: Array
    variance: Array
    rows: int
    dropped: int
    notes: tuple[str, ...] = field(default_factory=tuple)
    shared: bool = False

    @property
    def _judged(self) -> Array:
        """The errors by which alpha is chosen, (A, F, k)."""
        if not self.shared:
            return self.errors
        mean = self.errors.mean(axis=2, keepdims=True)
        return np.broadcast_to(mean, self.errors.shape)

    @property
    def mean(self) -> Array:
        """The error at each alpha, the mean over the folds, (A, k)."""
        found: Array = self.errors.mean(axis=1)
        return found

    @property
    def standard_error(self) -> Array:
        """Of that mean, (A, k); NaN where there is one fold."""
        return standard_errors(self.errors, self.repeats)

    @property
    def best_alpha(self) -> Array:
        """The alpha of least error, for each target, (k,)."""
        found: Array = self.alphas[choose(self.alphas, self._judged, "cv")]
        return found

    @property
    def alpha_1se(self) -> Array:
        """The largest alpha within one standard error of the least, (k,)."""
        found: Array = self.alphas[
            choose(self.alphas, self._judged, "1se", self.repeats)
        ]
        return found

    @property
    def chosen(self) -> Any:
        """Indices of the alphas that the rule takes, (k,)."""
        return choose(self.alphas, self._judged, self.rule, self.repeats)

    @property
    def alpha(self) -> Array:
        """The alpha that the rule takes, for each target, (k,)."""
        found: Array = self.alphas[self.chosen]
        return found

    @property
    def rmse(self) -> Array:
        """The root of the error there, (k,), in units of each target."""
        found: Array = np.sqrt(self.mean[self.chosen, np.arange(len(self.targets))])
        return found

    @property
    def r2(self) -> Array:
        """1 - error there / variance of the target over all rows, (k,)."""
        least = np.square(self.rmse)
        left = np.divide(
            least,
            self.variance,
            out=np.full_like(least, np.nan),
            where=self.variance > 0,
        )
        found: Array = 1 - left
        return found

    @property
    def coefficients(self) -> dict[str, dict[str, float]]:
        """The slopes at the chosen alphas, fitted on all rows: by target, by term."""
        return {
            target: dict(zip(self.terms, self.slopes[:, place].tolist(), strict=True))
            for place, target in enumerate(self.targets)
        }

    def to_dict(self) -> dict[str, Any]:
        """What was chosen for the first target, and its errors by alpha, for JSON."""
        mean, error = self.mean[:, 0], self.standard_error[:, 0]
        columns = {"alpha": self.alphas, "mean": mean, "standard_error": error}
        return self.choice() | {
            "curve": {
                name: [float(v) if np.isfinite(v) else None for v in values]
                for name, values in columns.items()
            }
        }

    def choice(self) -> dict[str, Any]:
        """What was chosen for the first target, for JSON."""
        several = self.errors.shape[1] > 1
        return {
            "rule": self.rule,
            "folds": self.folds,
            "alphas": len(self.alphas),
            "alpha": float(self.alpha[0]),
            "best_alpha": float(self.best_alpha[0]),
            "alpha_1se": float(self.alpha_1se[0]) if several else None,
            "rmse": float(self.rmse[0]),
            "r2": float(self.r2[0]),
        }

    def curve(self, target: str | None = None) -> Curve:
        """The error by alpha of one target; or the mean of all, where they share one.

        Args:
            target: which one; unless told the first, or the mean of all targets, where
                it is what their one alpha was chosen by.

        Raises:
            UsageError: no such target.
        """
        if target is None and self.shared and len(self.targets) > 1:
            errors = self._judged[:, :, :1]
            of = f"all {len(self.targets):,} targets"
        else:
            of = self.targets[0] if target is None else target
            if of not in self.targets:
                raise UsageError(
                    f"there is no target {of!r}: give one of {listed(self.targets)}"
                )
            at = self.targets.index(of)
            errors = self.errors[:, :, at : at + 1]
        spread = standard_errors(errors, self.repeats)
        return Curve(errors.mean(axis=1)[:, 0], spread[:, 0], of)

    def plot(self, path: str | Path | None = None, target: str | None = None) -> Figure:
        """Draw the error over alpha, one standard error about it, and both choices.

        Args:
            path: where to write it too: .png, .svg or .pdf.
            target: which one; unless told the first, or the mean of all, where one
                alpha was chosen by that.

        Raises:
            DataError: without a penalty there is no curve.
            UsageError: no such target.
        """
        from gradline.plots import draw_alphas, saved

        return saved(draw_alphas(self, target), path)

    def __repr__(self) -> str:
        return (
            f"<CrossValidation of {len(self.targets)} target"
            f"{'' if len(self.targets) == 1 else 's'} at {len(self.alphas)} alpha"
            f"{'' if len(self.alphas) == 1 else 's'}, "
            f"{self.folds}>"
        )

    def __str__(self) -> str:
        from gradline.terminal import crossval_table

        return crossval_table(self)

    def _repr_html_(self) -> str:
        """The errors as a notebook shows them."""
        from gradline.notebook import crossval_html

        return crossval_html(self)
