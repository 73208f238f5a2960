"""Exact least squares in memory, standard errors included, against three rivals.

gradline's time has the certificate and the standard errors in it. Of the others only
statsmodels gives standard errors, which gradline's have to match.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import statsmodels.api as sm
from measure import OURS, Report, Rival, close, line_of, report
from sklearn.linear_model import LinearRegression

import gradline as gl

try:
    from sklearnex.linear_model import LinearRegression as Intelex
except ImportError:  # it is not built for every processor
    Intelex = None


class Shape(NamedTuple):
    """A problem, and the goals against each rival; None leaves the rival out."""

    rows: int
    columns: int
    dtype: str
    intelex: float
    sklearn: float
    statsmodels: float | None
    slow_rounds: int


SHAPES = [
    Shape(1_000_000, 100, "float64", 1.2, 15, 30, 2),
    Shape(100_000, 1000, "float64", 1.2, 15, 30, 1),
    Shape(1_000_000, 100, "float32", 1, 8, None, 2),
    Shape(10_000_000, 1, "float64", 1, 8, None, 3),
    Shape(1_000_000, 10, "float64", 1, 8, None, 3),
]

#: Intercept and slopes, and their standard errors where there are some.
Answer = tuple[Any, Any]


def data(rows: int, columns: int, dtype: str) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, columns), dtype=dtype)
    X += 1
    slopes = random.standard_normal(columns, dtype=dtype)
    y = X @ slopes
    y += 2 + random.standard_normal(rows, dtype=dtype)
    return X, y


def ours(X: Any, y: Any) -> Answer:
    fit = gl.fit(X, y)
    errors = fit.inference().standard_errors
    return line_of(fit), np.array(list(errors.values()))


def sklearn(kind: Any, X: Any, y: Any) -> Answer:
    model = kind().fit(X, y)
    return np.append(model.intercept_, model.coef_), None


def statsmodels(X: Any, y: Any) -> Answer:
    found = sm.OLS(y, sm.add_constant(X)).fit()
    return found.params, found.bse


def rivals(shape: Shape, X: Any, y: Any) -> dict[str, Rival]:
    few = shape.slow_rounds
    found = {OURS: Rival(lambda: ours(X, y))}
    if Intelex is not None:
        found["scikit-learn-intelex, no errors"] = Rival(
            lambda: sklearn(Intelex, X, y), shape.intelex
        )
    found["scikit-learn, no errors"] = Rival(
        lambda: sklearn(LinearRegression, X, y), shape.sklearn, few
    )
    if shape.statsmodels is not None:
        found["statsmodels, bse"] = Rival(
            lambda: statsmodels(X, y), shape.statsmodels, 1
        )
    return found


def race(out: Report, shape: Shape) -> None:
    rows = shape.rows // 1000 if out.small else shape.rows
    columns = min(20, shape.columns) if out.small else shape.columns
    for rival in rivals(shape, *data(200, 3, shape.dtype)).values():
        rival.run()  # the slow ones are warmed here, on little
    X, y = data(rows, columns, shape.dtype)
    work = f"{rows:,} x {columns:,}, {shape.dtype}, exact with standard errors"
    tolerance = 1e-8 if shape.dtype == "float64" else 1e-3
    out.race(work, rivals(shape, X, y), agree=close(tolerance))


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Exact fits in memory, with standard errors.") as out:
        if Intelex is None:
            out.say("skipped", "scikit-learn-intelex is left out: not installed")
        for shape in SHAPES:
            race(out, shape)


if __name__ == "__main__":
    main()
