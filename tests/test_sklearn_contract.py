"""scikit-learn's own word on the estimators: its checks, and the tests that it ships.

Both run in processes of their own: the checks want SCIPY_ARRAY_API set before SciPy is
imported, and the tests scikit-learn's classes replaced before anything is (the plugin
sklearn_swap.py).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers import ROOT

#: Hundreds of tests in each process, which others may keep waiting.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: Where LinearRegression is used inside others. Left out, for their time: what trains
#: forests and boosting beside it, draws, or fits hundreds of times over, as
#: feature_selection's test_sequential; and the checks of all estimators, test_common.
MODULES = [
    "sklearn.linear_model.tests.test_base",
    "sklearn.linear_model.tests.test_ransac",
    "sklearn.linear_model.tests.test_huber",
    "sklearn.linear_model.tests.test_omp",
    "sklearn.ensemble.tests.test_stacking",
    "sklearn.ensemble.tests.test_voting",
    "sklearn.compose.tests.test_target",
    "sklearn.feature_selection.tests.test_rfe",
    "sklearn.frozen.tests.test_frozen",
    "sklearn.model_selection.tests.test_search",
    "sklearn.preprocessing.tests.test_polynomial",
    "sklearn.inspection.tests.test_partial_dependence",
    "sklearn.inspection.tests.test_permutation_importance",
    "sklearn.tests.test_metadata_routing",
    "sklearn.tests.test_multioutput",
    "sklearn.tests.test_pipeline",
]

CHECKS = """
import json, sys, warnings
import gradline as gl
from sklearn.linear_model import RidgeClassifier
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("ignore")
models = [
    gl.LinearRegressor(),
    gl.LinearRegressor(fit_intercept=False),
    gl.LinearRegressor(positive=True),
    gl.RidgeRegressor(),
    gl.RidgeRegressor(positive=True),
    gl.RidgeRegressorCV(),
    gl.RidgeClassifier(),
    RidgeClassifier(),
]
for model in models:
    found = check_estimator(model, on_skip=None, on_fail=None)
    wrong = [
        [one["check_name"], one["status"], str(one["exception"])[:300]]
        for one in found
        if one["status"] != "passed"
    ]
    print(json.dumps([type(model).__module__, repr(model), len(found), wrong]))
"""


def run(*words: str, cwd: Path, **environment: str) -> str:
    """What a Python process with these arguments prints."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    found = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


def test_check_estimator(tmp_path: Path) -> None:
    """All checks pass, none is excused.

    One is skipped for a classifier that has no probabilities, for scikit-learn's own
    RidgeClassifier too.
    """
    lines = run("-c", CHECKS, cwd=tmp_path, SCIPY_ARRAY_API="1").splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 8
    *ours, theirs = found
    for module, model, checks, wrong in ours:
        assert module.startswith("gradline.")
        assert checks > 55
        if model == "RidgeClassifier()":
            skipped = [one for one in theirs[3] if one[1] == "skipped"]
            assert len(wrong) == 1
            assert wrong == skipped
        else:
            assert wrong == [], model


def shipped(modules: list[str], cwd: Path) -> dict[str, tuple[str, dict[str, int]]]:
    """How scikit-learn's tests end with our classes: test -> its end and its fits."""
    if importlib.util.find_spec(modules[0]) is None:
        pytest.skip("this scikit-learn was installed without its tests")
    (cwd / "pytest.ini").write_text("[pytest]\n")
    said = run(
        *("-m", "pytest", "-q", "-c", "pytest.ini", "--rootdir=.", "--tb=short"),
        *("-p", "no:cacheprovider", "-p", "sklearn_swap", "--pyargs", *modules),
        cwd=cwd,
        SWAP_OUT=str(cwd / "out.json"),
    )
    found = json.loads((cwd / "out.json").read_text(encoding="utf-8"))
    failed = [name for name, (end, _) in found.items() if end == "failed"]
    assert not failed, said[-6000:]
    return {name: (end, fits) for name, (end, fits) in found.items()}


def test_what_scikit_learn_ships_for_linear_regression(tmp_path: Path) -> None:
    found = shipped(MODULES, tmp_path)
    ends = Counter(end for end, _ in found.values())
    # test_base skips one test where array_api_strict is missing and one that wants the
    # GPU of a Mac; others skip what needs a package, none because of the estimator.
    assert ends["skipped"] <= 4, [
        n for n, (end, _) in found.items() if end == "skipped"
    ]
    assert ends["passed"] > 200
    # scikit-learn marks these as known to fail, of its own LinearRegression. Ours pass.
    known = [n for n, (end, _) in found.items() if end in ("xfailed", "xpassed")]
    assert {found[n][0] for n in known if "sample_weight_consistency" in n} == {
        "xpassed"
    }
    assert ends["xfailed"] == 0
    fitted = {name for name, (_, fits) in found.items() if fits}
    assert len(fitted) > 120
    assert sum(fits.get("LinearRegression", 0) for _, fits in found.values()) > 400
    assert {test.partition("::")[0] for test in fitted} == set(MODULES)


def test_what_scikit_learn_ships_for_ridge(tmp_path: Path) -> None:
    """sklearn_swap.LEFT_OUT has what is not run, and why."""
    found = shipped(["sklearn.linear_model.tests.test_ridge"], tmp_path)
    ends = Counter(end for end, _ in found.values())
    assert ends["skipped"] == 0
    assert ends["passed"] > 300
    # Three of test_ridge.py end with pytest.xfail whatever the estimator does.
    assert ends["xfailed"] == 3
    fits: Counter[str] = Counter()
    for _, of_test in found.values():
        fits.update(of_test)
    assert fits["Ridge"] > 1000
    assert fits["RidgeCV"] > 200
    assert fits["RidgeClassifier"] > 20
