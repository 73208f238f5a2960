"""The lasso: paths of 100 alphas from the data and from a state, and cross-validation.

Rivals solve the same problem: features are standardised already, the alphas are the
same, and scikit-learn gets the Gram matrix where that is faster for it. What its gap is
at its own default tolerance is said beside: gradline's is a million times smaller or
more, so the second lines ask scikit-learn for a tighter one too.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from measure import OURS, Report, Rival, close, report
from sklearn.linear_model import LassoCV, lasso_path

import gradline as gl
from gradline.shrinkage import alpha_grid, elastic_net_path

#: Rows and columns; how many slopes are not 0.
SHAPES = [(1_000_000, 20, 5), (100_000, 500, 50)]

#: Of a state without rows, as where it came from a cluster.
STATE = (20_000, 1000, 100)

#: scikit-learn's default tolerance, and one that gives about seven digits.
LOOSE, TIGHT = 1e-4, 1e-10


def data(rows: int, columns: int, used: int) -> tuple[Any, Any]:
    """Standardised columns, each like its neighbour, and a centred target."""
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, columns))
    X[:, 1:] += 0.5 * X[:, :-1]
    y = X[:, ::-1][:, :used] @ random.standard_normal(used)
    y += 3 * random.standard_normal(rows)
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    return X, y - y.mean()


def grid(X: Any, y: Any) -> Any:
    return alpha_grid(float(np.abs(X.T @ y).max()) / len(y), 100, 1e-3)


def say_gap(out: Report, name: str, gap: float, half: float) -> None:
    out.most(name, f"largest gap / half variance, {name}", gap / half, "")


def paths(out: Report, rows: int, columns: int, used: int) -> None:
    X, y = data(rows, columns, used)
    alphas, half = grid(X, y), float(y.var()) / 2

    def ours() -> Any:
        found = gl.regularization_path(X, y, alphas=alphas, standardize=False)
        return found.slopes.T

    def theirs(tolerance: float) -> Any:
        return lasso_path(
            X, y, alphas=alphas, precompute=True, tol=tolerance, max_iter=100_000
        )[1]

    out.race(
        f"{rows:,} x {columns:,}, lasso path of 100 alphas from the data",
        {
            OURS: Rival(ours),
            "scikit-learn lasso_path, tol 1e-4": Rival(lambda: theirs(LOOSE), 1, 2),
            "scikit-learn lasso_path, tol 1e-10": Rival(lambda: theirs(TIGHT), 1, 1),
        },
        agree=close(1e-2),
    )
    gaps = gl.regularization_path(X, y, alphas=alphas, standardize=False).gaps
    say_gap(out, OURS, float(gaps.max()), half)
    loose = lasso_path(X, y, alphas=alphas, precompute=True, tol=LOOSE)[2]
    say_gap(out, "scikit-learn, tol 1e-4", float(loose.max()) / rows, half)


def folds(out: Report, rows: int, columns: int, used: int) -> None:
    X, y = data(rows, columns, used)
    alphas = grid(X, y)

    def ours() -> Any:
        found = gl.cross_validate(
            X, y, penalty="lasso", alphas=alphas.tolist(), standardize=False
        )
        return found.mean[:, 0]

    def theirs() -> Any:
        model = LassoCV(alphas=alphas, cv=5, precompute=True).fit(X, y)
        return model.mse_path_.mean(axis=1)

    out.race(
        f"{rows:,} x {columns:,}, lasso, 100 alphas in 5 folds",
        {OURS: Rival(ours), "scikit-learn LassoCV, tol 1e-4": Rival(theirs, 1, 1)},
        # The folds are not the same rows, which few of them do not bear.
        agree=None if out.small else close(5e-2),
    )


def from_state(out: Report, rows: int, columns: int, used: int) -> None:
    X, y = data(rows, columns, used)
    alphas = grid(X, y)
    state = gl.Moments(columns).add(gl.Chunk(X, y, None))
    gram, toward = X.T @ X, X.T @ y

    def theirs(tolerance: float) -> Any:
        return lasso_path(
            X, y, alphas=alphas, precompute=gram, Xy=toward, tol=tolerance
        )[1]

    out.race(
        f"{columns:,} columns, lasso path of 100 alphas from a state",
        {
            OURS: Rival(
                lambda: elastic_net_path(state, alphas, 1.0, False).slopes[:, :, 0].T
            ),
            "scikit-learn, Gram given, tol 1e-4": Rival(lambda: theirs(LOOSE), 1, 3),
            "scikit-learn, Gram given, tol 1e-10": Rival(lambda: theirs(TIGHT), 1, 1),
        },
        agree=close(1e-2),
    )


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Lasso paths and their cross-validation.") as out:
        for rows, columns, used in SHAPES:
            small = (rows // 500, columns // 10 + 5, used // 5 + 1)
            paths(out, *(small if out.small else (rows, columns, used)))
            folds(out, *(small if out.small else (rows, columns, used)))
        from_state(out, *((500, 60, 10) if out.small else STATE))


if __name__ == "__main__":
    main()
