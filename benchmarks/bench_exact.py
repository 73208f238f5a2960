"""Exact least squares in memory, against three rivals.

gradline's figure has the certificate and the standard errors in it; of the others only
statsmodels gives standard errors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import machine, medians, own_peak, table

import gradline as gl

SHAPES = [
    (1_000_000, 100, "float64"),
    (100_000, 1000, "float64"),
    (1_000_000, 100, "float32"),
    (10_000_000, 1, "float64"),
    (1_000_000, 10, "float64"),
]


def rivals(X: Any, y: Any) -> dict[str, Callable[[], Any]]:
    found: dict[str, Callable[[], Any]] = {
        "gradline": lambda: gl.fit(X, y).inference().standard_errors
    }
    try:
        from sklearnex.linear_model import LinearRegression as Intelex

        found["scikit-learn-intelex"] = lambda: Intelex().fit(X, y)
    except ImportError:
        print("scikit-learn-intelex is not installed: pip install '.[bench]'")
    from sklearn.linear_model import LinearRegression

    found["scikit-learn"] = lambda: LinearRegression().fit(X, y)
    if X.size <= 20_000_000:
        import statsmodels.api as sm

        found["statsmodels"] = lambda: sm.OLS(y, sm.add_constant(X)).fit().bse
    return found


def main() -> None:
    print(machine())
    warnings.simplefilter("ignore")
    for n, d, dtype in SHAPES:
        random = np.random.default_rng(0)
        X = random.standard_normal((n, d)).astype(dtype)
        y = (X[:, 0] + random.standard_normal(n)).astype(dtype)
        table(f"{n:,} x {d:,}, {dtype}", medians(rivals(X, y), 3))
    print("\ncost per row, 10 features")
    for n in (10**4, 10**5, 10**6, 10**7):
        X = np.random.default_rng(0).standard_normal((n, 10))
        y = X[:, 0] + 1.0
        seconds = medians({"gradline": lambda X=X, y=y: gl.fit(X, y)}, 3)["gradline"]
        print(f"  {n:>12,} rows   {seconds / n * 1e9:10.1f} ns a row")
    print(f"\npeak memory of this process: {own_peak():,.0f} MB")


if __name__ == "__main__":
    main()
