"""The estimators with scikit-learn's face against scikit-learn's own, one fit each.

Both check what they are given, by the same code of scikit-learn's; the answers must
agree. Ours keeps a root of the rows for `partial_fit` and the certificate, which is
made when asked for: its price is a line of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from measure import OURS, Report, Rival, close, peak, report
from sklearn.linear_model import (
    LinearRegression,
    Ridge,
    RidgeClassifier,
    RidgeCV,
)

import gradline as gl

#: What scikit-learn leaves of its answer: on sparse rows LSQR stops at 1e-6.
AGREE, AGREE_SPARSE, AGREE_SINGLE = 1e-8, 1e-3, 1e-3

ALPHAS = np.logspace(-3, 3, 10)

#: Fits made by processes of their own: what they add to the data is their memory.
PEAK = """
import numpy as np
X = np.random.default_rng(0).standard_normal(({rows}, {columns}))
y = X[:, 0] + 1
from sklearn.linear_model import LinearRegression
import gradline as gl
gl.LinearRegressor
{work}
"""


def dense(rows: int, columns: int, dtype: Any = np.float64) -> Any:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, columns)) + random.standard_normal(columns)
    y = X @ random.standard_normal(columns) + random.standard_normal(rows)
    return X.astype(dtype), y.astype(dtype)


def sparse(rows: int, columns: int, density: float) -> Any:
    random = np.random.default_rng(0)
    shape = (rows, columns)
    X = sp.random_array(shape, density=density, rng=random, format="csr")
    return X, X @ random.standard_normal(columns) + 0.1 * random.standard_normal(rows)


def slopes(model: Any, X: Any, y: Any) -> Callable[[], Any]:
    """A fit, and its slopes."""
    return lambda: np.asarray(model.fit(X, y).coef_, dtype=np.float64)


def race(
    out: Report,
    work: str,
    ours: Any,
    theirs: Any,
    data: Any,
    agree: float | None = AGREE,
    rounds: int | None = None,
) -> None:
    """A fit of ours and one of scikit-learn's to the same data."""
    rivals = {
        OURS: Rival(slopes(ours, *data)),
        f"scikit-learn, {type(theirs).__name__}": Rival(
            slopes(theirs, *data), 1, rounds
        ),
    }
    judge = None if agree is None else close(agree)
    out.race(f"{work}, {type(ours).__name__}", rivals, agree=judge)


def lines(out: Report) -> None:
    """Least squares."""
    small = 100 if out.small else 1
    sizes = [(100, 3), (1_000, 10), (1_000_000, 20), (100_000, 100), (10_000, 500)]
    for rows, columns in sizes:
        rows = max(100, rows // small) if rows > 1000 else rows
        columns = min(columns, rows // 4)
        work = f"{rows:,} x {columns}"
        data = dense(rows, columns)
        race(out, work, gl.LinearRegressor(), LinearRegression(), data)
    rows = 1_000_000 // small
    data = dense(rows, 20, np.float32)
    work = f"{rows:,} x 20, float32"
    race(out, work, gl.LinearRegressor(), LinearRegression(), data, AGREE_SINGLE)
    columns = 5_000 // small
    work = f"500 x {columns:,}"
    race(out, work, gl.LinearRegressor(), LinearRegression(), dense(500, columns), 1e-6)
    data = dense(rows // 10, 30)
    positive = [c(positive=True) for c in (gl.LinearRegressor, LinearRegression)]
    race(out, f"{rows // 10:,} x 30, positive", *positive, data, 1e-6)
    for columns in (200, 5_000):
        data = sparse(rows // 10, columns // small if small > 1 else columns, 0.005)
        work = f"{rows // 10:,} x {data[0].shape[1]:,}, sparse, 0.5 %"
        race(out, work, gl.LinearRegressor(), LinearRegression(), data, AGREE_SPARSE, 2)


def ridges(out: Report) -> None:
    """Ridge, its alpha given or chosen, and its classes."""
    small = 100 if out.small else 1
    for rows, columns in ((100, 3), (1_000_000, 20), (100_000, 100), (500, 5_000)):
        rows = max(100, rows // small) if rows > 1000 else rows
        columns = columns if rows > columns or small == 1 else 50
        data = dense(rows, columns)
        race(out, f"{rows:,} x {columns:,}", gl.RidgeRegressor(), Ridge(), data)
    for rows, columns in ((100, 3), (100_000, 20), (300, 2_000)):
        rows = max(100, rows // small) if rows > 1000 else rows
        columns = columns if rows > columns or small == 1 else 50
        data = dense(rows, columns)
        work = f"{rows:,} x {columns:,}, {len(ALPHAS)} alphas"
        race(out, work, gl.RidgeRegressorCV(ALPHAS), RidgeCV(ALPHAS), data, 1e-5)
    X, y = dense(100_000 // small, 50)
    data = X, np.digitize(y, np.quantile(y, [0.2, 0.4, 0.6, 0.8]))
    work = f"{len(X):,} x 50, 5 classes"
    race(out, work, gl.RidgeClassifier(), RidgeClassifier(), data)


def beyond(out: Report) -> None:
    """What scikit-learn has not: the certificate, and parts."""
    X, y = dense(100_000 // (100 if out.small else 1), 20)
    parts = np.array_split(np.arange(len(X)), 10)

    def certified() -> Any:
        model = gl.LinearRegressor().fit(X, y)
        _ = model.certificate_
        return model.coef_

    def by_parts() -> Any:
        model = gl.LinearRegressor()
        for rows in parts:
            model.partial_fit(X[rows], y[rows])
        return model.coef_

    rivals = {
        OURS: Rival(slopes(gl.LinearRegressor(), X, y)),
        "gradline, and its certificate": Rival(certified),
        "gradline, partial_fit of 10 parts": Rival(by_parts),
        "scikit-learn, LinearRegression": Rival(slopes(LinearRegression(), X, y)),
    }
    out.race(f"{len(X):,} x 20", rivals, agree=close(AGREE))


def memory(out: Report) -> None:
    """What a fit adds to the data."""
    rows, columns = (10_000 if out.small else 1_000_000), 50
    work = f"peak memory beyond the data, {rows:,} x {columns}"
    out.title(work)
    shape = {"rows": rows, "columns": columns}
    least = peak(PEAK.format(work="", **shape))
    for name, model in (
        (OURS, "gl.LinearRegressor()"),
        ("scikit-learn", "LinearRegression()"),
    ):
        full = peak(PEAK.format(work=f"{model}.fit(X, y)", **shape))
        out.most(work, name, full - least, "MB")


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Estimators with scikit-learn's face.") as out:
        lines(out)
        ridges(out)
        beyond(out)
        memory(out)


if __name__ == "__main__":
    main()
