"""A learning curve, and early stopping, against those who fit and walk.

scikit-learn's learning_curve fits each subset of each fold; gradline merges the states
of shards. The subsets are other rows for each, so their answers are compared at the
last size, where both learn from all rows of the folds. The loop with early stopping is
torch's own, full batch, with the validation loss after each epoch; epoch and weights
must be those of gradline.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import OURS, Report, Rival, report
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import PredefinedSplit, learning_curve
from torch import nn

import gradline as gl
from gradline.data import row_places
from gradline.prepare import prepare


class Shape(NamedTuple):
    """A problem, and the goals against scikit-learn and the loop."""

    rows: int
    columns: int
    sklearn: float
    loop: float


SHAPES = [Shape(1_000_000, 20, 10, 20), Shape(200_000, 100, 10, 20)]

SIZES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
SPLIT = gl.Split(validation=0.2)
LR, EPOCHS, PATIENCE = 0.02, 1000, 20

#: What counts as better: less would be a matter of rounding.
DELTA = 1e-6


def data(rows: int, columns: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, columns))
    y = X @ random.standard_normal(columns) + 3 * random.standard_normal(rows)
    return X, y


def fold_of(X: Any, y: Any) -> Any:
    """Which fold each row belongs to, for scikit-learn."""
    source = prepare(X, y).source
    labels = gl.KFold(5).labeller(source)
    found, start = [], 0
    for batch in source.batches(["x1"]):
        found.append(labels(batch, start)[0])
        start += batch.rows
    return np.concatenate(found).astype(int)


def ours(X: Any, y: Any) -> Any:
    return gl.learning_curve(X, y, sizes=SIZES, folds=5).validation_errors[-1]


def theirs(X: Any, y: Any, folds: Any) -> Any:
    model, held = LinearRegression(), PredefinedSplit(folds)
    scores = learning_curve(
        model, X, y, train_sizes=SIZES, cv=held, scoring="neg_mean_squared_error"
    )[2]
    return -scores[-1]


def stopped(X: Any, y: Any) -> Any:
    fit = gl.fit(
        X,
        y,
        lr=LR,
        epochs=EPOCHS,
        split=SPLIT,
        early_stopping=gl.EarlyStopping(PATIENCE, DELTA),
    )
    return np.append(fit.slopes, fit.settings["epochs"])


def parts(X: Any, y: Any) -> Any:
    """Training and validation rows, as tensors."""
    prepared = prepare(X, y, split=SPLIT)
    found = []
    for source in (prepared.source, prepared.validation):
        assert source is not None
        places = [row_places(batch, 0) for batch in source.batches(["x1"])]
        rows = np.concatenate(places)
        found += [torch.from_numpy(X[rows]), torch.from_numpy(y[rows])]
    return found


def loop(xt: Any, yt: Any, xv: Any, yv: Any) -> Any:
    source = torch.Generator().manual_seed(0)
    model = gl.LinearRegression(xt.shape[1], dtype=torch.float64, generator=source)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    best, best_epoch, weights = np.inf, 0, np.zeros(0)
    for epoch in range(EPOCHS + 1):
        if epoch:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(xt)[:, 0], yt).backward()
            optimizer.step()
        with torch.no_grad():
            seen = nn.functional.mse_loss(model(xv)[:, 0], yv).item()
        if seen < best - DELTA:
            best, best_epoch = seen, epoch
            weights = model.weight.detach().numpy()[0].copy()
        elif epoch - best_epoch >= PATIENCE:
            break
    return np.append(weights, best_epoch)


def agree(name: str, mine: Any, other: Any) -> None:
    """The same to 1e-7, the epochs too."""
    off = np.abs(np.asarray(mine) / np.asarray(other) - 1).max()
    if off > 1e-7:
        raise SystemExit(f"{name} differs from gradline by {off:.1e}")


def race(out: Report, shape: Shape) -> None:
    rows = shape.rows // 50 if out.small else shape.rows
    X, y = data(rows, shape.columns)
    what = f"{rows:,} x {shape.columns}"
    folds, tensors = fold_of(X, y), parts(X, y)
    out.race(
        f"{what}, learning curve: {len(SIZES)} sizes, 5 folds",
        {
            OURS: Rival(lambda: ours(X, y)),
            "scikit-learn": Rival(lambda: theirs(X, y, folds), shape.sklearn, 1),
        },
        agree=agree,
    )
    out.race(
        f"{what}, full-batch SGD with early stopping",
        {
            OURS: Rival(lambda: stopped(X, y)),
            "torch, a loop": Rival(lambda: loop(*tensors), shape.loop, 1),
        },
        agree=agree,
    )


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Learning curves and early stopping.") as out:
        for shape in SHAPES:
            race(out, shape)


if __name__ == "__main__":
    main()
