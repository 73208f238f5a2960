"""gl.RidgeRegressorCV: ridge whose penalty the data choose, with scikit-learn's face.

Each alpha is judged by leaving every row out, in closed form (leaveout.py), by

    -1/n · Σ w_i e_i(α)²

unless `scoring` says otherwise; or by folds, as GridSearchCV has them.
"""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np

from gradline.data import Array
from gradline.errors import UsageError
from gradline.lastdigits import few
from gradline.leaveout import Decomposition
from gradline.ridgers import RidgeRegressor
from gradline.rootsolve import Slopes
from gradline.rowsolve import Found, root_of_rows
from gradline.sklearnbase import (
    BaseEstimator,
    GridSearchCV,
    Linear,
    MetadataRouter,
    MethodMapping,
    MultiOutputMixin,
    RegressorMixin,
    as_rows,
    check_scalar,
    check_scoring,
    columns,
    get_scorer,
    process_routing,
    routing,
    threads_of,
)


class RidgeRegressorCV(MultiOutputMixin, RegressorMixin, Linear):  # type: ignore[misc]
    """Ridge regression with alpha chosen, as sklearn.linear_model.RidgeCV.

    Args:
        alphas: the penalties to choose from, above 0; with folds, 0 may be one.
        fit_intercept: False for lines through the origin. It is never penalised.
        scoring: a scorer or its name. Unless told, the mean squared error of rows left
            out, negative; with folds, R².
        cv: None to leave each row out, in closed form; or a number of folds, a splitter
            of scikit-learn's, or the splits themselves.
        store_cv_results: keep what each alpha did on each row left out, in
            `cv_results_`.
        alpha_per_target: choose one for each target; where rows are left out.
        n_jobs: threads at most; None for as many as torch takes, -1 for all cores.

    Attributes:
        alpha_: the penalty chosen, or (k,) with alpha_per_target.
        best_score_: its score, or (k,).
        cv_results_: (n, A) or (n, k, A): weighted squared errors of rows left out, or
            where `scoring` is given their predictions.
        coef_: slopes, (d,), or (k, d) for k > 1 targets.
        intercept_: the prediction at 0; 0.0 without an intercept.
        certificate_: of the fit with this alpha; a list where there are many targets.
        n_features_in_: d.
        feature_names_in_: the names of the columns, where X had some.

    Equivalent: sklearn.linear_model.RidgeCV. Use gl.cross_validate for folds in one
    pass over a file.
    """

    _flat = True
    _switches = ("fit_intercept", "store_cv_results", "alpha_per_target")
    copy_X = True
    positive = False

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: Any = None,
        cv: Any = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose alpha, and fit with it to all rows.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
            y: (n,), or (n, k) for k targets.
            sample_weight: one number of 0 or more per row, or None.
            **params: for the scorer and the splitter, where metadata routing is on.

        Returns:
            The estimator itself.
        """
        if params and not routing():
            raise UsageError(
                f"fit does not take {sorted(params)[0]!r}: turn metadata routing on, "
                "sklearn.set_config(enable_metadata_routing=True), or leave it out"
            )
        self._check_parameters()
        alphas = self._penalties()
        self.__dict__.pop("cv_results_", None)
        if self.cv is None:
            return self._by_rows(X, y, sample_weight, alphas, params)
        for name in ("store_cv_results", "alpha_per_target"):
            if getattr(self, name):
                raise UsageError(
                    f"cv!=None and {name}=True are incompatible: leave one of them out"
                )
        return self._by_folds(X, y, sample_weight, alphas, params)

    def predict(self, X: Any) -> Array:
        """The predictions, (n,), or (n, k) for k targets.

        Args:
            X: (n, d): an array, a frame, or a sparse matrix.
        """
        return self._raw_predictions(X)

    def get_metadata_routing(self) -> Any:
        """Which metadata go to the scorer and to the splitter.

        Returns:
            A sklearn.utils.metadata_routing.MetadataRouter.
        """
        scores = MethodMapping().add(caller="fit", callee="score")
        splits = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        router = router.add(scorer=self._scorer(), method_mapping=scores)
        return router.add(splitter=self.cv, method_mapping=splits)

    def _scorer(self) -> Any:
        if routing() and self.scoring is None:
            return get_scorer("r2").set_score_request(sample_weight=True)
        return check_scoring(self, scoring=self.scoring, allow_none=True)

    def _penalties(self) -> Array:
        """The alphas, (A,)."""
        ends = "neither" if self.cv is None else "left"
        given = self.alphas
        alone = np.ndim(given) == 0
        for i, alpha in enumerate([given] if alone else list(given)):
            name = "alphas" if alone or len(given) == 1 else f"alphas[{i}]"
            check_scalar(
                alpha, name, numbers.Real, min_val=0.0, include_boundaries=ends
            )
        found = np.atleast_1d(np.asarray(given, dtype=np.float64))
        if found.ndim > 1 or not len(found):
            raise UsageError(f"alphas is {given!r}: give some numbers above 0")
        return found

    def _by_rows(
        self, X: Any, y: Any, sample_weight: Any, alphas: Array, params: Any
    ) -> Self:
        """By leaving each row out."""
        X, y, weight = self._checked(X, y, sample_weight, reset=True)
        Y = columns(y)
        rows = as_rows(X, Y, weight)
        kept_rows = few(rows)
        n, k = Y.shape
        root = root_of_rows(rows, self.fit_intercept, threads_of(self.n_jobs))
        parts = Decomposition(root, rows, float(alphas.min()))
        held = self.scoring is not None or self.store_cv_results
        kept = np.empty((n, k, len(alphas))) if held else None
        sums = np.zeros((k, len(alphas)))
        for some, errors in parts.left_out(alphas):
            squares = np.square(errors)
            if weight is not None:
                squares *= weight[some, None, None]
            sums += squares.sum(axis=0)
            if kept is not None:
                as_is = self.scoring is None
                kept[some] = squares if as_is else Y[some, :, None] - errors
        if self.scoring is None:
            scores = -sums / n  # (k, A)
            if not self.alpha_per_target:
                scores = scores.mean(axis=0, keepdims=True)
        else:
            assert kept is not None
            scores = self._scored(kept, y, sample_weight, params)
        best = scores.argmax(axis=1)
        chosen = np.broadcast_to(alphas[best], k)
        slopes = parts.slopes(alphas)[np.broadcast_to(best, k), :, np.arange(k)].T
        self._root = root
        found = Found(root, Slopes(slopes, -1), root.mean, root.level)
        self._keep(found, np.array(chosen), X.dtype, kept_rows)
        self._shape(y.ndim == 1)
        many = self.alpha_per_target and k > 1
        score = scores[np.arange(len(best)), best]
        self.alpha_ = np.array(chosen) if many else float(alphas[best[0]])
        self.best_score_ = score if many else float(score[0])
        if self.store_cv_results and kept is not None:
            self.cv_results_ = (kept[:, 0] if y.ndim == 1 else kept).astype(X.dtype)
        return self

    def _scored(
        self, predictions: Array, y: Array, sample_weight: Any, params: Any
    ) -> Array:
        """The scorer's score of each alpha, (1, A), or of each target, (k, A)."""
        scorer = self._scorer()
        if routing():
            if sample_weight is not None:
                params = {**params, "sample_weight": sample_weight}
            more = process_routing(self, "fit", **params).scorer.score
        else:
            more = {} if sample_weight is None else {"sample_weight": sample_weight}
        same, count = Same(), predictions.shape[2]
        if not (self.alpha_per_target and y.ndim > 1):
            found = predictions[:, 0] if y.ndim == 1 else predictions
            scores = [scorer(same, found[..., a], y, **more) for a in range(count)]
            return np.array([scores], dtype=np.float64)
        return np.array(
            [
                [
                    scorer(same, predictions[:, j, a], y[:, j], **more)
                    for a in range(count)
                ]
                for j in range(y.shape[1])
            ],
            dtype=np.float64,
        )

    def _by_folds(
        self, X: Any, y: Any, sample_weight: Any, alphas: Array, params: Any
    ) -> Self:
        """By folds, as GridSearchCV has them."""
        model = RidgeRegressor(fit_intercept=self.fit_intercept, n_jobs=self.n_jobs)
        if routing():
            model.set_fit_request(sample_weight=True)
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        search = GridSearchCV(
            model, {"alpha": alphas}, cv=self.cv, scoring=self._scorer()
        ).fit(X, y, **params)
        best = search.best_estimator_
        learned = {
            name: value
            for name, value in vars(best).items()
            if name not in best.get_params()
            and not name.startswith("_metadata")
            and name != "_sklearn_output_config"
        }
        self.__dict__.pop("_certified", None)
        self.__dict__.update(learned)
        self.alpha_, self.best_score_ = float(best.alpha), float(search.best_score_)
        return self


class Same(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts what it is given: for scorers, which ask an estimator."""

    def predict(self, predictions: Array) -> Array:
        """What is given."""
        return predictions
