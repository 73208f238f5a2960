"""Settings scored from states, against training each of them.

gradline's time has the split, the refit and the score on the test part in it; the
others' have the trials alone, a few of which are run and scaled to all: by epochs,
where they take most of the time, else by their number. The rows of the parts are the
same.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import OURS, Report, Rival, close, report
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit

import gradline as gl

SPLIT = gl.Split(validation=0.2, test=0.2)

#: What is searched by descent: a thousand draws of it.
DESCENT: dict[str, Any] = {
    "lr": (1e-3, 0.5, "log"),
    "momentum": [0, 0.5, 0.9],
    "epochs": (10, 1000, "log"),
}
ALPHAS = np.geomspace(1e-4, 10, 100)

#: torch walks about so many epochs, and its time is scaled to all.
EPOCHS = 100

#: So many of the alphas are given to scikit-learn.
EVERY = 20


class Parts(NamedTuple):
    """Rows to train and to validate, as arrays."""

    X: Any
    y: Any
    V: Any
    v: Any


def data(rows: int, columns: int) -> tuple[Any, Any, Parts]:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, columns))
    y = X @ random.standard_normal(columns) + 2 + random.standard_normal(rows)
    names = [f"x{j + 1}" for j in range(columns)]
    found: list[Any] = []
    for part in ("train", "validation"):
        source = SPLIT.part(
            gl.open_source(dict(zip([*names, "y"], [*X.T, y], strict=True))), part
        )
        batches = [b.numbers([*names, "y"]) for b in source.batches([*names, "y"])]
        whole = np.concatenate(batches)
        found += [np.ascontiguousarray(whole[:, :-1]), whole[:, -1].copy()]
    return X, y, Parts(*found)


def descents(out: Report, rows: int, columns: int, trials: int) -> None:
    X, y, parts = data(rows, columns)
    named: dict[str, Any] = {"split": SPLIT, "search": DESCENT, "trials": trials}
    known = gl.tune(X, y, **named).trials
    fine = [t for t in known if t.status == "ok"]
    ran = min(fine, key=lambda t: abs(t.params["epochs"] - EPOCHS))
    total = sum(t.params["epochs"] for t in known)

    def ours() -> list[float]:
        tuning = gl.tune(X, y, **named)
        assert tuning.test is not None
        return [_score(tuning.trials[ran.number])]

    def plain() -> list[float]:
        x, target, V, v = (torch.from_numpy(a) for a in parts)
        generator = torch.Generator().manual_seed(0)
        model = gl.LinearRegression(columns, dtype=torch.float64, generator=generator)
        settings = {k: ran.params[k] for k in ("lr", "momentum")}
        optimizer = torch.optim.SGD(model.parameters(), **settings)
        for _ in range(ran.params["epochs"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x)[:, 0], target)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return [math.sqrt(torch.nn.functional.mse_loss(model(V)[:, 0], v))]

    def each() -> list[float]:
        fit = gl.fit(parts.X, parts.y, **ran.params)
        return [fit.evaluate(parts.V, parts.v).rmse]

    out.race(
        f"{trials:,} settings of lr, momentum and epochs ({total:,} in all), "
        f"{rows:,} x {columns}",
        {
            OURS: Rival(ours),
            "torch.optim.SGD, each trained": Rival(
                plain, 100, 2, total / ran.params["epochs"]
            ),
            "gl.fit, each in closed form": Rival(each, 10, 3, trials),
        },
        agree=close(1e-8),
    )


def alphas(out: Report, rows: int, columns: int) -> None:
    X, y, parts = data(rows, columns)
    few = ALPHAS[::EVERY]
    count = len(parts.y)
    fold = np.repeat([-1, 0], [count, len(parts.v)])
    both, target = np.vstack(parts[::2]), np.concatenate(parts[1::2])

    def ours() -> list[float]:
        tuning = gl.tune(
            X,
            y,
            split=SPLIT,
            penalty="ridge",
            standardize=False,
            search={"alpha": ALPHAS.tolist()},
        )
        return [_score(t) for t in tuning.trials[::EVERY]]

    def peer() -> list[float]:
        search = GridSearchCV(
            Ridge(),
            {"alpha": few * count},
            scoring="neg_root_mean_squared_error",
            cv=PredefinedSplit(fold),
            refit=False,
        )
        found: list[float] = (
            -search.fit(both, target).cv_results_["mean_test_score"]
        ).tolist()
        return found

    out.race(
        f"100 alphas of ridge, {rows:,} x {columns}",
        {
            OURS: Rival(ours),
            "scikit-learn, GridSearchCV(Ridge)": Rival(
                peer, 10, 2, len(ALPHAS) / len(few)
            ),
        },
        agree=close(1e-8),
    )


def _score(trial: gl.Trial) -> float:
    return math.nan if trial.score is None else trial.score


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Settings scored from states, against training each.") as out:
        rows = 20_000 if out.small else 1_000_000
        descents(out, rows, 10, 1000)
        alphas(out, rows, 10)


if __name__ == "__main__":
    main()
