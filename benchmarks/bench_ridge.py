"""Ridge at 100 penalties, by 5 folds and by leaving one out, and what one fit costs.

The goal is that all of 100 x 5 fits cost at most twice one exact fit: one pass over the
rows leaves the states of the folds, and from these comes the rest. scikit-learn fits
each penalty on each fold (RidgeCV with folds, a few of the penalties, and its time
scaled up), or leaves one row out in closed form (RidgeCV without), as gradline does
with rule="loo". All have the same folds and penalties, and must agree on the errors.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from measure import OURS, Report, Rival, report
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_score

import gradline as gl
from gradline.prepare import prepare

#: scikit-learn with folds gets so many of the penalties.
FEW = 2


class Shape(NamedTuple):
    """A problem, the goals against folds and one row left out, and how many targets."""

    rows: int
    columns: int
    targets: int
    folds_goal: float | None
    one_out_goal: float | None


SHAPES = [
    Shape(1_000_000, 20, 1, 20, 5),
    Shape(200_000, 100, 1, 20, 5),
    Shape(200_000, 50, 20, None, None),
]

ALPHAS = np.logspace(2, -6, 100)


def data(shape: Shape, rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, shape.columns))
    slopes = random.standard_normal((shape.columns, shape.targets))
    Y = X @ slopes + 3 * random.standard_normal((rows, shape.targets))
    return X, Y[:, 0] if shape.targets == 1 else Y


def fold_of(X: Any, y: Any) -> Any:
    """Which fold each row belongs to, for scikit-learn."""
    source = prepare(X, y if y.ndim == 1 else y[:, 0]).source
    labels = gl.KFold(5).labeller(source)
    found, start = [], 0
    for batch in source.batches(["x1"]):
        found.append(labels(batch, start)[0])
        start += batch.rows
    return np.concatenate(found).astype(int)


def ours(X: Any, y: Any, rule: Any) -> Any:
    found = gl.cross_validate(X, y, alphas=ALPHAS, rule=rule, standardize=False)
    return found.mean


def exact(X: Any, y: Any) -> Any:
    fit = gl.fit(X, y if y.ndim == 1 else y[:, 0])
    return fit.certificate.status


def by_folds(X: Any, y: Any, folds: Any) -> Any:
    places = np.linspace(0, len(ALPHAS) - 1, FEW).astype(int)
    held = PredefinedSplit(folds)
    share = 1 - 1 / 5  # of the rows, which each of the others is fitted on
    errors = []
    for alpha in ALPHAS[places]:
        model = Ridge(alpha * len(X) * share)
        scores = cross_val_score(model, X, y, cv=held, scoring="neg_mean_squared_error")
        errors.append(-scores.mean())
    return places, np.array(errors)


def one_out(X: Any, y: Any) -> Any:
    model = RidgeCV(ALPHAS * len(X), store_cv_results=True).fit(X, y)
    return np.arange(len(ALPHAS)), model.cv_results_.mean(0)


def agree(name: str, mine: Any, theirs: Any) -> None:
    """The errors are alike; folds differ by a row, and so does their penalty."""
    if not isinstance(theirs, tuple):
        return
    places, errors = theirs
    off = np.abs(mine[places, 0] / errors - 1).max()
    if off > 1e-4:
        raise SystemExit(f"{name} differs from gradline by {off:.1e}")


def race(out: Report, shape: Shape) -> None:
    rows = shape.rows // 100 if out.small else shape.rows
    X, y = data(shape, rows)
    what = f"{rows:,} x {shape.columns}"
    what += f", {shape.targets} targets" if shape.targets > 1 else ""
    rivals = {OURS: Rival(lambda: ours(X, y, "cv"))}
    rivals["gradline, one exact fit"] = Rival(
        lambda: exact(X, y), None if out.small or shape.targets > 1 else 1 / 2
    )
    if shape.folds_goal is not None:
        folds = fold_of(X, y)
        rivals[f"scikit-learn, {FEW} penalties, scaled"] = Rival(
            lambda: by_folds(X, y, folds),
            shape.folds_goal,
            1,
            scale=len(ALPHAS) / FEW,
        )
    out.race(f"{what}, ridge: 100 penalties, 5 folds", rivals, agree=agree)
    if shape.one_out_goal is None:
        return
    rivals = {OURS: Rival(lambda: ours(X, y, "loo"))}
    rivals["scikit-learn, RidgeCV"] = Rival(
        lambda: one_out(X, y), shape.one_out_goal, 1
    )
    out.race(f"{what}, ridge: 100 penalties, one row left out", rivals, agree=agree)


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Ridge: the penalty chosen by the data.") as out:
        for shape in SHAPES:
            race(out, shape)


if __name__ == "__main__":
    main()
