"""A pytest plugin: scikit-learn's own tests with gradline's estimators in their place.

    python -m pytest -p sklearn_swap --pyargs sklearn.linear_model.tests.test_base

Before any test module is imported, `LinearRegression`, `Ridge`, `RidgeCV` and
`RidgeClassifier` become gradline's wherever scikit-learn holds them. Of a module, only
tests that name `LinearRegression` are run: in their own lines, in those of what they
call in their module, or in their parameters. Of test_base and test_ridge all are.
SWAP_OUT=file is told, as JSON, how each test ended and which classes it fitted.

gradline solves ridge exactly and has no `solver`, `tol`, `max_iter` and `random_state`
to choose: what stands in for scikit-learn's takes them, and does nothing with them. So
a test that is repeated for each solver is run for one, and likewise for each gcv_mode.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import sklearn.linear_model

import gradline as gl

#: Of each test, how often it fitted what.
FITS: dict[str, dict[str, int]] = {}

#: Of each test, how it ended.
ENDS: dict[str, str] = {}

_now = [""]


class LinearRegression(gl.LinearRegressor):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        seen("LinearRegression")
        return super().fit(X, y, sample_weight)


class Ridge(gl.RidgeRegressor):
    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: Any = None,
        tol: float = 1e-4,
        solver: str = "auto",
        positive: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            alpha, fit_intercept=fit_intercept, copy_X=copy_X, positive=positive
        )
        self.max_iter, self.tol, self.solver = max_iter, tol, solver
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        seen("Ridge")
        self.solver_ = self.solver
        return super().fit(X, y, sample_weight)


class RidgeClassifier(gl.RidgeClassifier):
    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: Any = None,
        tol: float = 1e-4,
        class_weight: Any = None,
        solver: str = "auto",
        positive: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            alpha,
            fit_intercept=fit_intercept,
            copy_X=copy_X,
            class_weight=class_weight,
            positive=positive,
        )
        self.max_iter, self.tol, self.solver = max_iter, tol, solver
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        seen("RidgeClassifier")
        return super().fit(X, y, sample_weight)


class RidgeCV(gl.RidgeRegressorCV):
    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: Any = None,
        cv: Any = None,
        gcv_mode: Any = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
    ) -> None:
        super().__init__(
            alphas,
            fit_intercept=fit_intercept,
            scoring=scoring,
            cv=cv,
            store_cv_results=store_cv_results,
            alpha_per_target=alpha_per_target,
        )
        self.gcv_mode = gcv_mode

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Any:
        seen("RidgeCV")
        return super().fit(X, y, sample_weight, **params)


SWAPPED = (LinearRegression, Ridge, RidgeCV, RidgeClassifier)
NAMED = re.compile(r"\bLinearRegression\b")

#: Modules whose tests are all run.
WHOLE = (
    "sklearn.linear_model.tests.test_base",
    "sklearn.linear_model.tests.test_ridge",
)

_FUNCTIONS = "tests functions of scikit-learn's own, none of the estimators"
_CLASSIFIER_CV = "tests RidgeClassifierCV, which stays scikit-learn's"
_SOLVERS = "tests what only some solver of scikit-learn's does or refuses"
_ARRAY_API = "tests arrays of other libraries in place of NumPy's: skipped, as here"

_PARTIAL_FIT = "takes LinearRegression for one without partial_fit, which ours has"

_PROCESSES = "starts processes, which takes longer than all others together"

#: Tests that are not run, and why: nearly all of test_ridge.py.
LEFT_OUT = {
    "test_multioutput_regressor_has_partial_fit": _PARTIAL_FIT,
    "test_permutation_importance_equivalence_sequential_parallel": _PROCESSES,
    "test_primal_dual_relationship": _FUNCTIONS,
    "test_ridge_regression_convergence_fail": _FUNCTIONS,
    "test_X_CenterStackOp": _FUNCTIONS,
    "test_compute_gram": _FUNCTIONS,
    "test_compute_covariance": _FUNCTIONS,
    "test_check_gcv_mode_choice": _FUNCTIONS,
    "test_ridge_regression_check_arguments_validity": _FUNCTIONS,
    "test_ridge_regression_dtype_stability": _FUNCTIONS,
    "test_lbfgs_solver_consistency": _FUNCTIONS,
    "test_regularization_limits_ridge_classifier_gcv": _CLASSIFIER_CV,
    "test_class_weights_cv": _CLASSIFIER_CV,
    "test_ridge_classifier_cv_store_cv_results": _CLASSIFIER_CV,
    "test_ridge_regression_custom_scoring": _CLASSIFIER_CV,
    "test_ridge_classifier_with_scoring": _CLASSIFIER_CV,
    "test_n_iter": _SOLVERS,
    "test_ridge_fit_intercept_sparse_error": _SOLVERS,
    "test_ridge_fit_intercept_sparse_sag": _SOLVERS,
    "test_ridge_positive_error_test": _SOLVERS,
    "test_lbfgs_solver_error": _SOLVERS,
    "test_ridge_array_api_compliance": _ARRAY_API,
    "test_ridge_classifier_multilabel_array_api": _ARRAY_API,
    "test_ridge_per_target_alpha_array_api": _ARRAY_API,
    "test_array_api_error_and_warnings_for_solver_parameter": _ARRAY_API,
    "test_array_api_numpy_namespace_no_warning": _ARRAY_API,
}

#: Of parameters that make no difference here, the value that is run.
ONE_OF = {"solver": "sparse_cg", "gcv_mode": "eigen"}


def seen(name: str) -> None:
    """Count a fit by the test that runs."""
    of_test = FITS.setdefault(_now[0], {})
    of_test[name] = of_test.get(name, 0) + 1


def swap(other: type) -> None:
    """Put a class in the place of scikit-learn's, wherever it is held."""
    own = getattr(sklearn.linear_model, other.__name__)
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("sklearn."):
            for place, value in list(vars(module).items()):
                if value is own:
                    setattr(module, place, other)


for one in SWAPPED:
    swap(one)


def names_one(item: pytest.Function) -> bool:
    """Whether a test has to do with what was swapped."""
    params = getattr(item, "callspec", None)
    if params is not None and NAMED.search(repr(params.params)):
        return True
    todo, done = [item.function], set()
    while todo:
        function = inspect.unwrap(todo.pop())
        if function in done:
            continue
        done.add(function)
        try:
            text = inspect.getsource(function)
        except (OSError, TypeError):
            continue
        if NAMED.search(text.partition("):\n")[2] or text):
            return True
        # What it calls of its own module, and fixtures it takes.
        for name in set(re.findall(r"\b[A-Za-z_]\w*\b", text)):
            value = getattr(item.module, name, None)
            home = getattr(value, "__module__", None)
            if callable(value) and home == item.module.__name__:
                todo.append(value)
            elif isinstance(value, (list, tuple, dict)) and NAMED.search(repr(value)):
                return True
    return False


def repeated(item: pytest.Function, items: list[pytest.Function]) -> bool:
    """Whether a test is there with the same parameters but for the solver, too."""
    mine = _parameters(item)
    for name, value in ONE_OF.items():
        if name in mine and mine[name] != value:
            others = (o for o in items if o.function is item.function)
            return any(_parameters(o)[name] == value for o in others)
    return False


def _parameters(item: pytest.Function) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Function]
) -> None:
    """Leave out tests that have to do with other estimators alone."""
    chosen = [
        item
        for item in items
        if (item.module.__name__ in WHOLE or names_one(item))
        and item.originalname not in LEFT_OUT
    ]
    kept = [i for i in chosen if not repeated(i, chosen)]
    config.hook.pytest_deselected(items=[i for i in items if i not in kept])
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Function) -> None:
    """Whose fits are counted from here on: outside its root a test has no file."""
    _now[0] = f"{item.module.__name__}::{item.name}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How a test ended."""
    end = str(report.outcome)
    if hasattr(report, "wasxfail"):
        end = "xfailed" if report.skipped else "xpassed"
    if report.when == "call" or end != "passed":
        ENDS[_now[0]] = end


def pytest_sessionfinish() -> None:
    """Tell the one who started this."""
    out = os.environ.get("SWAP_OUT")
    if out:
        found = {name: [end, FITS.get(name, {})] for name, end in ENDS.items()}
        Path(out).write_text(json.dumps(found), encoding="utf-8")
