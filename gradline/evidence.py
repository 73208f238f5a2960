"""What a fit leaves for inference, and why there may be none; see inference.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gradline.certificate import Certificate
from gradline.data import Array
from gradline.design import INTERCEPT
from gradline.errors import DataError, Status, listed
from gradline.refine import Held, whiten
from gradline.solvers import Spectrum

#: Residuals below this share of the target are rounding (R warns at 1e-15).
PERFECT = 1e-14


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the passes over the data leave for inference: enough for the classic kind.

    Attributes:
        rows: n, rows with a weight above 0.
        weight: W, the sum of the weights.
        log_weights: Σ log w over those rows; 0 without weights.
        variance: of the target, weighted, over W.
        level: the mean of the target.
        center: the mean of the terms, (d,).
        remainder: what rounding took from it, (d,): the true mean is the sum.
        spectrum: of the design; None once loaded from a file.
        held: the rows, where they are few enough for the last digits.
        saved: R and meanᵀR, from a file; None where there is a spectrum.
    """

    rows: int
    weight: float
    log_weights: float
    variance: float
    level: float
    center: Array
    remainder: Array
    spectrum: Spectrum | None = None
    held: Held | None = None
    saved: tuple[Array, Array] | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self.held is None:
            return self.__dict__
        saved = self._roots  # a copy leaves the rows behind
        return self.__dict__ | {"spectrum": None, "held": None, "saved": saved}

    @property
    def root(self) -> Array:
        """R above, (d, d), in the units of the input; made when first asked for."""
        return self._roots[0]

    @property
    def across(self) -> Array:
        """meanᵀR above, (d,)."""
        return self._roots[1]

    @cached_property
    def _roots(self) -> tuple[Array, Array]:
        if self.spectrum is None:
            assert self.saved is not None
            return self.saved
        root = np.asarray(self.spectrum.root().numpy())
        if self.held is not None:
            found = whiten(self.held, self.weight, root)
            if found is not None:
                return found
        return root, self.center @ root + self.remainder @ root


class Line(NamedTuple):
    """Coefficients and what is known of them: the part of a Fit that inference needs.

    slopes (d,), center (d,) and level, the prediction at the mean; refused: why there
    are no standard errors, where whoever made the fit knows.
    """

    terms: tuple[str, ...]
    slopes: Array
    intercept: float
    center: Array
    level: float
    certificate: Certificate
    evidence: Evidence | None
    has_intercept: bool = True
    refused: str | None = None

    @property
    def names(self) -> list[str]:
        """Of all coefficients, the intercept first where there is one."""
        return [*([INTERCEPT] if self.has_intercept else []), *self.terms]

    @property
    def values(self) -> Array:
        """All coefficients, in the order of the names."""
        if not self.has_intercept:
            return self.slopes
        return np.append(self.intercept, self.slopes)


def why_not(line: Line) -> str | None:
    """Why nothing can be said of how sure the coefficients are; None where it can."""
    c, known = line.certificate, line.evidence
    if line.refused is not None:
        return line.refused
    if c.status == Status.NOT_CONVERGED:
        return (
            "no standard errors for a fit that is not_converged: its coefficients are "
            "not the least-squares ones; leave out epochs, or give method='exact'"
        )
    if c.rank < c.columns:
        about = f" ({listed(c.dependent, 3)})" if c.dependent else ""
        return (
            "no standard errors for a fit that is rank_deficient: its coefficients "
            f"are not unique{about}; leave out {c.columns - c.rank} of the columns, or "
            "give more rows"
        )
    if known is None:
        return (
            "no standard errors: the file of the model does not hold what they need; "
            "fit again"
        )
    if known.rows <= c.rank:
        return (
            f"no standard errors: {known.rows:,} rows determine {c.rank:,} "
            "coefficients exactly and leave no residual to judge them by; give more "
            "rows"
        )
    return None


def sure(line: Line) -> Evidence:
    """What inference needs, where nothing stands against it."""
    reason = why_not(line)
    if reason is not None:
        raise DataError(reason)
    assert line.evidence is not None
    return line.evidence


def half_root(line: Line, known: Evidence) -> Array:
    """G, (d + 1, d + 1); R itself where there is no intercept."""
    root, across = known.root, known.across[None]
    if not line.has_intercept:
        return root
    return np.block([[np.ones((1, 1)), -across], [np.zeros((len(root), 1)), root]])


def perfect(line: Line, known: Evidence) -> bool:
    """Whether the residuals are nothing but rounding."""
    size = known.variance + known.level**2
    return line.certificate.loss <= PERFECT**2 * size


def centred(known: Evidence, X: Array) -> Array:
    """X minus its mean, as a new array, (rows, d)."""
    # In two subtractions: the first is exact for numbers that are near the mean.
    xc = np.subtract(X, known.center, dtype=np.float64)
    xc -= known.remainder
    return xc


def whitened(known: Evidence, xc: Array) -> Array:
    """Rᵀ xc for each row, (rows, d)."""
    u: Array = np.dot(xc, known.root)
    return u
