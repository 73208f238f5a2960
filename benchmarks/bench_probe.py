"""A linear probe on features: the best layer at 50 penalties, chosen by 5 folds.

The features are ReLUs of random numbers, in float32, as a network gives them, and wait
in memory for all. scikit-learn's RidgeCV and RidgeClassifierCV leave one row out in
closed form, which takes the singular values of all rows; GridSearchCV fits each penalty
on each fold. The other way is a head trained by gradient descent: Adam in batches of
256, at one learning rate and without weight decay; nothing is searched.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import OURS, Report, Rival, peak, report
from sklearn.linear_model import Ridge, RidgeClassifierCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gradline as gl

ALPHAS = np.logspace(2, -6, 50)

#: GridSearchCV gets so many of the penalties.
FEW = 2

#: Epochs of the head that is trained, and its learning rate, torch's own.
EPOCHS, RATE = 10, 1e-3


class Shape(NamedTuple):
    """Rows, features and outputs; classes, or numbers."""

    rows: int
    features: int
    outputs: int
    classes: bool


SHAPES = [
    Shape(50_000, 512, 10, True),
    Shape(50_000, 512, 10, False),
    Shape(20_000, 1024, 10, True),
]


def data(shape: Shape, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (rows, d) float32 and targets; as many rows again to test on."""
    random = torch.Generator().manual_seed(0)
    d, k = shape.features, shape.outputs
    mix = torch.randn(64, d, generator=random)
    inner = torch.randn(2 * rows, 64, generator=random)
    X = (inner @ mix / 8 + 0.5 * torch.randn(2 * rows, d, generator=random)).relu()
    Y = inner @ torch.randn(64, k, generator=random)
    Y += 4 * torch.randn(2 * rows, k, generator=random)
    return X, Y.argmax(dim=1) if shape.classes else Y


def ours(X: Any, y: Any, alpha: Any = "cv") -> gl.Probe:
    return gl.linear_probe((X, y), alphas=ALPHAS, alpha=alpha, standardize=False)


def trained(X: torch.Tensor, y: torch.Tensor, outputs: int) -> nn.Module:
    """A head after some epochs of Adam, by the loss that is usual."""
    torch.manual_seed(0)
    head = nn.Linear(X.shape[1], outputs)
    loss = (
        nn.functional.mse_loss if y.is_floating_point() else nn.functional.cross_entropy
    )
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    loader = DataLoader(
        TensorDataset(X, y),
        sampler=torch.utils.data.BatchSampler(
            torch.utils.data.RandomSampler(range(len(X))), 256, drop_last=False
        ),
        batch_size=None,
    )
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss(head(inputs), targets).backward()
            optimizer.step()
    return head


def searched(X: Any, y: Any, classes: bool) -> None:
    """Each penalty on each fold, for a few of them."""
    labels = np.eye(y.max() + 1)[y] * 2 - 1 if classes else y
    grid = {"alpha": ALPHAS[:: len(ALPHAS) // FEW][:FEW] * len(X)}
    GridSearchCV(Ridge(), grid, cv=5, scoring="neg_mean_squared_error").fit(X, labels)


def score(outputs: Any, y: Any) -> float:
    """Accuracy, or the mean R²."""
    outputs, y = np.asarray(outputs), np.asarray(y)
    if y.ndim == 1:
        return float((outputs.argmax(axis=1) == y).mean())
    left = np.square(y - outputs).mean(axis=0) / y.var(axis=0)
    return float(1 - left.mean())


def race(out: Report, shape: Shape) -> None:
    rows = shape.rows
    if out.small:
        rows, shape = rows // 50, shape._replace(features=shape.features // 8)
    X, y = data(shape, rows)
    learn, test = slice(0, rows), slice(rows, 2 * rows)
    A, b = X[learn].numpy(), y[learn].numpy()
    k = shape.outputs
    kind = "classes" if shape.classes else "targets"
    work = f"{rows:,} x {shape.features}, {k} {kind}: 50 penalties"
    last: dict[str, Any] = {}

    def kept(name: str, run: Any) -> Any:
        """Run it, and remember what it found."""

        def again() -> None:
            last[name] = run()

        return again

    name = "RidgeClassifierCV" if shape.classes else "RidgeCV"

    def by_one() -> Any:
        if shape.classes:
            return RidgeClassifierCV(ALPHAS * rows).fit(A, b)
        return RidgeCV(ALPHAS * rows, alpha_per_target=True).fit(A, b)

    adam = f"torch, Adam, {EPOCHS} epochs, one rate"
    runs = {
        OURS: lambda: ours(X[learn], y[learn]),
        "gradline, alpha='gcv'": lambda: ours(X[learn], y[learn], "gcv"),
        "gradline, alpha='loo'": lambda: ours(X[learn], y[learn], "loo"),
        f"scikit-learn, {name}": by_one,
        adam: lambda: trained(X[learn], y[learn], k),
    }
    rivals = {
        who: Rival(kept(who, run), None, None if who.startswith(OURS) else 1)
        for who, run in runs.items()
    }
    rivals[f"scikit-learn, GridSearchCV, {FEW} penalties, scaled"] = Rival(
        lambda: searched(A, b, shape.classes), None, 1, scale=len(ALPHAS) / FEW
    )
    out.race(work, rivals, rounds=3)
    with torch.no_grad():
        found = {
            who: X[test].numpy() @ model.coef_.T + model.intercept_
            if who.startswith("scikit")
            else getattr(model, "module", model)(X[test])
            for who, model in last.items()
        }
    what = "accuracy" if shape.classes else "R²"
    for who, outputs in found.items():
        value = score(outputs, y[test])
        if "=" not in who and abs(value - score(found[OURS], y[test])) > 0.02:
            out.say("differs", f"  {who} differs from gradline on new rows")
        out.say("score", f"  {who:<38} {value:9.4f} {what} on new rows", value=value)


FRESH = """
import sys, torch, numpy as np
sys.path.insert(0, {here!r})
from bench_probe import Shape, data, ALPHAS
X, y = data(Shape({rows}, 512, 10, True), {rows} // 2)
{code}
"""

CODES = {
    "the features alone": "",
    OURS: "import gradline as gl; gl.linear_probe((X, y), alphas=ALPHAS)",
    "scikit-learn, RidgeClassifierCV": (
        "from sklearn.linear_model import RidgeClassifierCV\n"
        "RidgeClassifierCV(ALPHAS * len(X)).fit(X.numpy(), y.numpy())"
    ),
}


def memory(out: Report) -> None:
    """Peaks of fresh processes that hold the features and probe them."""
    from pathlib import Path

    rows = 5_000 if out.small else 50_000
    here = str(Path(__file__).parent)
    work = f"{rows:,} x 512, 10 classes: peak memory"
    out.title(work)
    for name, code in CODES.items():
        value = peak(FRESH.format(here=here, rows=rows, code=code))
        out.most(work, name, value, "MB")


def main() -> None:
    warnings.simplefilter("ignore")
    with report("A linear probe on features.") as out:
        for shape in SHAPES:
            race(out, shape)
        memory(out)


if __name__ == "__main__":
    main()
