"""gl.LinearRegressor: least squares with scikit-learn's face.

The objective is that of sklearn.linear_model.LinearRegression,

    ‖√w · (y - X b - c)‖²

with the slopes of least norm where many fit, or with none below 0.
"""

from __future__ import annotations

from gradline.checks import real
from gradline.errors import UsageError
from gradline.rowsolve import Found
from gradline.sklearnbase import Regressor


class LinearRegressor(Regressor):
    """Ordinary least squares, as sklearn.linear_model.LinearRegression, with proof.

    It takes what that one takes: arrays, pandas and polars frames, sparse matrices,
    many targets, row weights. Beyond that it has `certificate_`, and `partial_fit`,
    which is exact.

    Args:
        fit_intercept: False for lines through the origin.
        copy_X: False lets X be overwritten, and kept: where rows are few, or fewer than
            columns, it is centred where it lies instead of in a copy.
        tol: singular values of the centred X at most this share of the largest count
            as 0, as in scikit-learn, whose default of 1e-6 takes away columns that do
            count. None, the default: those that rounding explains, whatever the units
            of the columns.
        n_jobs: threads at most; None for as many as torch takes, -1 for all cores.
        positive: no slope below 0. X must then be dense.

    Attributes:
        coef_: slopes, (d,), or (k, d) where y is (n, k).
        intercept_: the prediction at 0; 0.0 without an intercept.
        rank_: of the centred X.
        singular_: its singular values.
        certificate_: the gap to the optimum, digits to trust, condition, what to do; a
            list where there are many targets.
        n_features_in_: d.
        feature_names_in_: the names of the columns, where X had some.

    Equivalent: sklearn.linear_model.LinearRegression. Use gl.fit for files, categories,
    formulas, and standard errors.
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        tol: float | None = None,
        n_jobs: int | None = None,
        positive: bool = False,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def _tolerance(self) -> float | None:
        if self.tol is None:
            return None
        tol = real("tol", self.tol)
        if tol < 0:
            raise UsageError(f"tol is {tol:g}: give 0 or more, or None")
        return tol

    def _ranked(self, found: Found) -> None:
        """Keep the rank, where it is known."""
        self.__dict__.pop("rank_", None)
        if found.slopes.rank >= 0:
            self.rank_ = found.slopes.rank
