"""gl.RidgeRegressor and gl.RidgeClassifier: ridge with scikit-learn's face.

The objective is that of sklearn.linear_model.Ridge, for each target,

    ‖√w · (y - X b - c)‖² + α ‖b‖²

whose α counts against a sum of squares and raw slopes. It is solved exactly, so that
there are no solvers, tolerances or iterations to choose. A classifier has a target for
each class, 1 for its rows and -1 for others, and says the class of the largest
prediction; for two classes one target does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from gradline.data import Array
from gradline.errors import DataError, UsageError
from gradline.sklearnbase import (
    ClassifierMixin,
    LabelBinarizer,
    Linear,
    Regressor,
    check_classification_targets,
    check_is_fitted,
    column_or_1d,
    columns,
    compute_sample_weight,
)


class RidgeRegressor(Regressor):
    """Ridge regression, as sklearn.linear_model.Ridge, solved exactly, with proof.

    Args:
        alpha: the penalty, 0 or more; or (k,), one for each target.
        fit_intercept: False for lines through the origin. It is never penalised.
        copy_X: False lets X be overwritten, and kept: where rows are few, or fewer than
            columns, it is centred where it lies instead of in a copy.
        positive: no slope below 0. X must then be dense.
        n_jobs: threads at most; None for as many as torch takes, -1 for all cores.

    Attributes:
        coef_: slopes, (d,), or (k, d) for k > 1 targets.
        intercept_: the prediction at 0; 0.0 without an intercept.
        certificate_: the gap to the optimum, digits to trust, condition, what to do; a
            list where there are many targets.
        singular_: the singular values of the centred X.
        n_features_in_: d.
        feature_names_in_: the names of the columns, where X had some.

    Equivalent: sklearn.linear_model.Ridge. gl.fit(penalty="ridge") has the penalty of
    standardised slopes and of a mean of squares instead.
    """

    _flat = True

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        positive: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.positive = positive
        self.n_jobs = n_jobs

    def _penalties(self, targets: int) -> Array:
        return penalties(self.alpha, targets)


class RidgeClassifier(ClassifierMixin, Linear):  # type: ignore[misc]
    """Classes by ridge regression, as sklearn.linear_model.RidgeClassifier.

    Args:
        alpha: the penalty, 0 or more.
        fit_intercept: False for lines through the origin.
        copy_X: False lets X be overwritten, and kept: where rows are few, or fewer than
            columns, it is centred where it lies instead of in a copy.
        class_weight: a weight for the rows of each class, {class: weight}; "balanced"
            gives all classes the same weight together.
        positive: no slope below 0. X must then be dense.
        n_jobs: threads at most; None for as many as torch takes, -1 for all cores.

    Attributes:
        classes_: the classes, sorted.
        coef_: slopes, (d,) for two classes, else (classes, d).
        intercept_: the prediction at 0, (1,) or (classes,); 0.0 without an intercept.
        certificate_: as in gl.RidgeRegressor; a list for more than two classes.
        n_features_in_: d.
        feature_names_in_: the names of the columns, where X had some.

    Equivalent: sklearn.linear_model.RidgeClassifier.
    """

    _flat = True

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        class_weight: Any = None,
        positive: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.class_weight = class_weight
        self.positive = positive
        self.n_jobs = n_jobs

    @property
    def classes_(self) -> Any:
        """The classes, sorted; of many labels, their places."""
        check_is_fitted(self)
        return self._labels.classes_

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows; what was learned before is forgotten.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
            y: the class of each row, (n,); or many labels at once, (n, labels) of 0
                and 1.
            sample_weight: one number of 0 or more per row, or None.

        Returns:
            The estimator itself.
        """
        X, y, weight = self._rows_of(X, y, sample_weight, reset=True)
        if self.class_weight is not None:
            if self.class_weight != "balanced" and not isinstance(
                self.class_weight, Mapping
            ):
                raise UsageError(
                    f"class_weight is {self.class_weight!r}: give 'balanced', "
                    "{class: weight}, or None"
                )
            weight = _times(compute_sample_weight(self.class_weight, y), weight)
        self._labels = LabelBinarizer(pos_label=1, neg_label=-1)
        Y = columns(self._labels.fit_transform(y))
        self._learn(X, Y, weight, penalties(self.alpha, Y.shape[1]), None)
        self._shape(one=False)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Take in more rows: the fit is that of all rows so far, exactly.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
            y: the class of each row, (n,).
            classes: all classes there will be; needed at the first call.
            sample_weight: one number of 0 or more per row, or None.

        Returns:
            The estimator itself.

        Raises:
            ValueError: a class that is not among `classes`, or class_weight="balanced",
                which only all rows together could tell.
        """
        if self.class_weight == "balanced":
            raise UsageError(
                "class_weight is 'balanced', which takes all rows at once: give "
                "{class: weight} to partial_fit, or use fit"
            )
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise UsageError(
                "the first partial_fit does not know the classes to come: give "
                "classes=[...]"
            )
        X, y, weight = self._rows_of(X, y, sample_weight, reset=first, more=not first)
        if y.ndim > 1:
            raise DataError("partial_fit takes one class per row: give y of shape (n,)")
        if first:
            self._labels = LabelBinarizer(pos_label=1, neg_label=-1).fit(classes)
        known = self._labels.classes_
        if classes is not None and not np.array_equal(np.unique(classes), known):
            raise UsageError(
                f"classes are {list(classes)} and were {list(known)}: give the same, "
                "or begin again with fit"
            )
        if self.class_weight is not None:  # of which this part may lack some
            own = np.ones(len(y))
            for label, share in self.class_weight.items():
                own[y == label] = share
            weight = _times(own, weight)
        strange = np.setdiff1d(y, known)
        if len(strange):
            raise DataError(
                f"y has the class {strange[0]!r}, which is not among classes: give all "
                "of them at the first call"
            )
        Y = columns(self._labels.transform(y))
        self._learn_more(X, Y, weight, penalties(self.alpha, Y.shape[1]), None)
        self._shape(one=False)
        return self

    def decision_function(self, X: Any) -> Array:
        """The predictions that classes are told by, (n,) for two, else (n, classes).

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
        """
        scores = self._raw_predictions(X)
        return scores.ravel() if scores.ndim > 1 and scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:
        """The class of each row, (n,); of many labels, (n, labels).

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
        """
        scores = self.decision_function(X)
        if self._labels.y_type_.startswith("multilabel"):
            return self._labels.inverse_transform(np.where(scores > 0, 1.0, -1.0))
        if scores.ndim == 1:
            return self.classes_[(scores > 0).astype(int)]
        return self.classes_[scores.argmax(axis=1)]

    def _rows_of(
        self, X: Any, y: Any, sample_weight: Any, reset: bool, more: bool = False
    ) -> Any:
        """X, classes and weights as arrays that belong together."""
        X, y = self._validated(X, y, reset, y_numeric=False)
        check_classification_targets(y)
        if y.ndim > 1 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y, self._checked_weight(sample_weight, X, more)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _times(own: Array, weight: Array | None) -> Array:
    """The weights of classes times those of rows."""
    return own if weight is None else own * weight


def penalties(alpha: Any, targets: int) -> Array:
    """The penalty of each target, (k,).

    Raises:
        UsageError: not as many as targets, or below 0.
    """
    try:
        found = np.asarray(alpha, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"alpha is {alpha!r}: give a number, 0 or more") from None
    if found.ndim == 1 and len(found) not in (1, targets):
        raise UsageError(
            "Number of targets and number of penalties do not correspond: "
            f"{len(found)} != {targets}: give one alpha, or one for each target"
        )
    if found.ndim > 1 or not np.isfinite(found).all() or (found < 0).any():
        raise UsageError(f"alpha is {alpha!r}: give a finite number, 0 or more")
    return np.broadcast_to(found, targets).astype(np.float64)
