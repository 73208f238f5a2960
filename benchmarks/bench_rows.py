"""What a row costs, from ten thousand rows to a hundred million, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from measure import Report, Rival, close, line_of, normal_equations, report

import gradline as gl

#: A row may cost this much more than at the cheapest smaller size: noise.
FLAT = 1.1


def growth(out: Report, X: Any, y: Any, sizes: list[int]) -> None:
    """Fit the first rows of X, (n,) or (n, d); all sizes take turns."""
    d = 1 if X.ndim == 1 else X.shape[1]
    found = {}
    rivals = {
        f"{n:,} rows": Rival(
            lambda n=n: found.update({n: line_of(gl.fit(X[:n], y[:n]))})
        )
        for n in sizes
    }
    work = f"{d} feature{'s' * (d > 1)}, float64"
    times = out.race(work, rivals, rounds=5)
    for n in sizes:
        truth = normal_equations(X[:n].reshape(n, d), y[:n])
        close(1e-7)(f"NumPy, {n:,} rows", found[n], truth)
    cheapest = None
    for n, seconds in zip(sizes, times.values(), strict=True):
        cost = seconds / n * 1e9
        most = None if cheapest is None else FLAT * cheapest
        out.most(work, f"a row of {n:,}", cost, "ns", most)
        cheapest = cost if cheapest is None else min(cost, cheapest)


def main() -> None:
    with report("The cost of a row, from few rows to many.") as out:
        top = 5 if out.small else 8
        x, y = gl.sample_linear_data(10**top, seed=0)
        growth(out, x, y, [10**k for k in range(4, top + 1)])
        del x, y
        X = np.random.default_rng(0).standard_normal((10 ** (top - 1), 10))
        y = X.sum(axis=1) + np.random.default_rng(1).standard_normal(len(X))
        growth(out, X, y, [10**k for k in range(4, top)])


if __name__ == "__main__":
    main()
