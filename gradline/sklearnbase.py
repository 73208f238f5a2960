"""What all estimators with scikit-learn's face have in common.

They validate and delegate: scikit-learn's own checks make arrays of what was given,
rowsolve.py finds slopes, vouching.py certifies them. scikit-learn is needed here only,
and loaded when one of the estimators is first asked for.
"""

from __future__ import annotations

import os
from copy import copy
from inspect import signature
from typing import Any, Self

import numpy as np

from gradline.certificate import Certificate
from gradline.data import Array
from gradline.errors import DataError, ShapeError, UsageError
from gradline.lastdigits import few, polish
from gradline.rootsolve import singular_values
from gradline.rootstate import Root
from gradline.rowsolve import Found, observe, solve
from gradline.sparserows import Rows, by_blocks
from gradline.threads import one_thread, threads_for
from gradline.vouching import Given, Kind, vouch

try:
    from sklearn import get_config
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        MultiOutputMixin,
        RegressorMixin,
    )
    from sklearn.metrics import check_scoring, get_scorer
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_scalar
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.metadata_routing import (
        MetadataRouter,
        MethodMapping,
        process_routing,
    )
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError:
    # The classes are there all the same, so that `from gradline import *` and hasattr
    # work; to make an object of one is refused.
    from gradline.withoutsklearn import *  # noqa: F403

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "GridSearchCV",
    "LabelBinarizer",
    "Linear",
    "MetadataRouter",
    "MethodMapping",
    "MultiOutputMixin",
    "Regressor",
    "RegressorMixin",
    "as_rows",
    "check_classification_targets",
    "check_is_fitted",
    "check_scalar",
    "check_scoring",
    "column_or_1d",
    "columns",
    "compute_sample_weight",
    "get_scorer",
    "process_routing",
    "routing",
    "threads_of",
]

#: What predictions take.
SPARSE = ["csr", "csc", "coo"]


class NoStateError(DataError, AttributeError):
    """The rows were too large for what this attribute is made from.

    An AttributeError, so that `hasattr` says no, as of what scikit-learn has not set.
    """


class Linear(BaseEstimator):  # type: ignore[misc]
    """An estimator with `coef_` and `intercept_` that came from a root of the rows."""

    fit_intercept: bool
    copy_X: bool
    positive: bool
    n_jobs: int | None
    coef_: Any
    intercept_: Any
    rank_: int

    #: Whether slopes of a column of targets, (n, 1), are those of one, (n,): as in
    #: scikit-learn, whose Ridge says yes and whose LinearRegression says no.
    _flat = False

    #: What is either True or False.
    _switches: tuple[str, ...] = ("fit_intercept", "copy_X", "positive")

    _root: Root | None
    _few: Rows | None
    _alphas: Array
    _certified: list[Certificate]

    # What it says.

    @property
    def certificate_(self) -> Any:
        """How good the slopes are: a gl.Certificate, or a list with one per target.

        The optimum is that of all rows, those of `partial_fit` included. Made when it
        is first asked for.
        """
        check_is_fitted(self)
        if not hasattr(self, "_certified"):
            if self._root is None:
                raise NoStateError(_NO_ROOT)
            slopes = np.atleast_2d(self.coef_).T
            intercepts = np.broadcast_to(self.intercept_, slopes.shape[1])
            given = Given(slopes, intercepts, self._few)
            kinds = [Kind(float(a), self.positive) for a in self._alphas]
            names = getattr(self, "feature_names_in_", None)
            if names is None:
                names = [f"x{j}" for j in range(len(slopes))]
            m, d = self._root.x.shape
            with threads_for(20.0 * m * d * d, threads_of(self.n_jobs)):
                self._certified = vouch(self._root, given, kinds, list(names))
        return self._certified if len(self._certified) > 1 else self._certified[0]

    @property
    def singular_(self) -> Array:
        """The singular values of the centred, weighted X, largest first."""
        check_is_fitted(self)
        if self._root is None:
            raise NoStateError(_NO_ROOT)
        sigma = singular_values(self._root.x)
        found = np.zeros(min(self._root.counted, self._root.features))
        found[: len(sigma)] = sigma[: len(found)]
        return found

    def _raw_predictions(self, X: Any) -> Array:
        """X·coef_ + intercept_."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, reset=False)
        coef = self.coef_.T if self.coef_.ndim == 2 else self.coef_
        found: Array = X @ coef + self.intercept_
        return found

    # How it learns.

    def _check_parameters(self) -> None:
        """Refuse what is neither True nor False where only these will do."""
        for name in self._switches:
            given = getattr(self, name, False)
            if not isinstance(given, (bool, np.bool_)):
                raise UsageError(f"{name} is {given!r}: give True or False")

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, reset: bool, more: bool = False
    ) -> Any:
        """X, y and weights as arrays that belong together; more: to rows so far."""
        X, y = self._validated(X, y, reset, y_numeric=True)
        return X, y, self._checked_weight(sample_weight, X, more)

    def _validated(self, X: Any, y: Any, reset: bool, y_numeric: bool) -> Any:
        """X and y as arrays of one length, of what this estimator can take."""
        self._check_parameters()
        return validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse=False if self.positive else SPARSE,
            dtype=[np.float64, np.float32],
            force_writeable=not self.copy_X,
            y_numeric=y_numeric,
            multi_output=True,
        )

    def _checked_weight(self, sample_weight: Any, X: Any, more: bool) -> Array | None:
        if sample_weight is None:
            return None
        options: dict[str, Any] = {"ensure_non_negative": True}
        if "allow_all_zero_weights" in signature(_check_sample_weight).parameters:
            options["allow_all_zero_weights"] = more  # others allow them anyway
        weight: Array = _check_sample_weight(
            sample_weight, X, dtype=np.float64, **options
        )
        if not (more or weight.any()):
            raise DataError("sample_weight is 0 in every row: give some above 0")
        return weight

    def _learn(
        self, X: Any, Y: Array, weight: Array | None, alphas: Array, tol: float | None
    ) -> Found:
        """Fit the rows alone; Y is (n, k)."""
        rows = as_rows(X, Y, weight)
        kept = few(rows)
        found = observe(
            rows,
            alphas,
            intercept=self.fit_intercept,
            positive=self.positive,
            tol=tol,
            threads=threads_of(self.n_jobs),
            overwrite=not self.copy_X,
        )
        self._root = found.root
        self._keep(found, alphas, X.dtype, kept)
        return found

    def _learn_more(
        self, X: Any, Y: Array, weight: Array | None, alphas: Array, tol: float | None
    ) -> Found:
        """Fit all rows so far, these included; where that fails, all is as it was."""
        rows = as_rows(X, Y, weight)
        root = getattr(self, "_root", None)
        if root is None:
            if hasattr(self, "coef_"):
                raise NoStateError(_NO_ROOT)
            root = Root(X.shape[1], Y.shape[1], self.fit_intercept)
        if root.targets != Y.shape[1]:
            raise ShapeError(
                f"y has {Y.shape[1]} targets and the rows so far {root.targets}: give "
                "as many, or begin again with fit"
            )
        if root.intercept != bool(self.fit_intercept):
            raise UsageError(
                f"fit_intercept has become {self.fit_intercept} since the first rows: "
                "set it back, or begin again with fit"
            )
        root = copy(root).merge(by_blocks(rows, bool(self.fit_intercept)))
        slopes = solve(root, alphas, self.positive, tol)
        found = Found(root, slopes, root.mean, root.level)
        self._root = root
        self._keep(found, alphas, X.dtype)
        return found

    def _keep(
        self, found: Found, alphas: Array, dtype: Any, kept: Rows | None = None
    ) -> None:
        slopes = found.slopes.slopes
        intercept = found.level - found.mean @ slopes
        whole = found.slopes.rank in (-1, len(slopes)) and not self.positive
        if kept is not None and found.root is not None and whole:
            with one_thread():
                slopes, intercept = polish(kept, found.root, slopes, intercept, alphas)
        self._few = kept
        self.coef_ = np.ascontiguousarray(slopes.T.astype(dtype))
        self.intercept_ = intercept.astype(dtype) if self.fit_intercept else 0.0
        self._alphas = alphas
        self.__dict__.pop("_certified", None)

    def __getstate__(self) -> Any:
        # Rows are not to travel with the estimator: it says now what it makes of them.
        if self.__dict__.get("_few") is not None:
            _ = self.certificate_
        state = dict(super().__getstate__())
        if "_few" in state:
            state["_few"] = None
        return state

    def _shape(self, one: bool) -> None:
        """Slopes and intercept of a single target as scikit-learn has them."""
        if one:
            self.coef_ = self.coef_[0]
            if self.fit_intercept:
                self.intercept_ = self.intercept_[0]
        elif self._flat and len(self.coef_) == 1:
            self.coef_ = self.coef_[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.positive
        return tags


class Regressor(MultiOutputMixin, RegressorMixin, Linear):  # type: ignore[misc]
    """A regressor; what it makes small is in `_penalties` and `_tolerance`."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows; what was learned before is forgotten.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
            y: (n,), or (n, k) for k targets.
            sample_weight: one number of 0 or more per row, or None.

        Returns:
            The estimator itself.

        Raises:
            ValueError: data that cannot be fitted.
        """
        tol = self._tolerance()
        X, y, weight = self._checked(X, y, sample_weight, reset=True)
        Y = columns(y)
        alphas = self._penalties(Y.shape[1])
        found = self._learn(X, Y, weight, alphas, tol)
        self._shape(y.ndim == 1)
        self._ranked(found)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take in more rows: the fit is that of all rows so far, exactly.

        After any number of calls, and after `fit` too, slopes are those that `fit`
        gives on all rows at once. What is kept of them is a root of d² numbers at most
        (rootstate.py).

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
            y: (n,), or (n, k) for k targets.
            sample_weight: one number of 0 or more per row, or None.

        Returns:
            The estimator itself.
        """
        tol = self._tolerance()
        first = not hasattr(self, "coef_")
        X, y, weight = self._checked(X, y, sample_weight, reset=first, more=not first)
        Y = columns(y)
        found = self._learn_more(X, Y, weight, self._penalties(Y.shape[1]), tol)
        self._shape(y.ndim == 1)
        self._ranked(found)
        return self

    def predict(self, X: Any) -> Array:
        """The predictions, (n,), or (n, k) for k targets.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
        """
        return self._raw_predictions(X)

    def _penalties(self, targets: int) -> Array:
        return np.zeros(targets)

    def _tolerance(self) -> float | None:
        return None

    def _ranked(self, found: Found) -> None:
        """Keep the rank, where the estimator tells it."""


_NO_ROOT = (
    "X was sparse and too large for the state that this needs, d² numbers: fit fewer "
    "columns, or blocks of rows with partial_fit from the start"
)


def as_rows(X: Any, Y: Array, weight: Array | None) -> Rows:
    """What was checked, as rows."""
    return Rows(X.tocsr() if hasattr(X, "tocsr") else X, Y, weight)


def columns(y: Array) -> Array:
    """Targets as float64 (n, k)."""
    y = np.asarray(y, dtype=np.float64)
    return y[:, None] if y.ndim == 1 else y


def routing() -> bool:
    """Whether scikit-learn's metadata routing is on."""
    return bool(get_config()["enable_metadata_routing"])


def threads_of(n_jobs: Any) -> int | None:
    """How many threads n_jobs asks for; None for as many as torch takes."""
    if n_jobs is None:
        return None
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)):
        raise UsageError(f"n_jobs is {n_jobs!r}: give a whole number, -1 for all cores")
    if n_jobs == 0:
        raise UsageError("n_jobs is 0: give 1 or more, or -1 for all cores")
    if n_jobs > 0:
        return int(n_jobs)
    return max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))
