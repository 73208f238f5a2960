"""Minibatch SGD in memory: rows a second, and the time to come near the optimum.

scikit-learn steps row by row in compiled code; the loop with a DataLoader is the one of
the tutorials. First all go through the same rows as often. Then each goes on until its
loss is near the exact optimum: a share of it, 1e-2 or 1e-4, is what is left above. For
that each has the best of a few learning rates that gradline does not need.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import OURS, Report, Rival, line_of, report
from sklearn.linear_model import SGDRegressor
from torch.utils.data import DataLoader, TensorDataset

import gradline as gl

ROWS, COLUMNS, BATCH, EPOCHS = 1_000_000, 10, 256, 5

#: The DataLoader has the patience of so few rows.
LOADED = 20_000

#: Constant rates that the others may choose from, for squared loss r²/2 a row.
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)

#: Passes that a rival gets to come near.
PASSES = 20


def data(rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, COLUMNS))
    y = X @ random.standard_normal(COLUMNS) + 2 + random.standard_normal(rows)
    return X, y


def ours(X: Any, y: Any, epochs: int, **options: Any) -> Any:
    return line_of(
        gl.fit(X, y, method="sgd", batch_size=BATCH, epochs=epochs, **options)
    )


def sklearn(X: Any, y: Any, epochs: int, average: bool = False) -> Any:
    model = SGDRegressor(max_iter=epochs, tol=None, penalty=None, average=average)
    model.fit(X, y)
    return np.append(model.intercept_, model.coef_)


def loader_loop(X: Any, y: Any, lr: float, epochs: int, until: Any = None) -> Any:
    rows = TensorDataset(torch.from_numpy(X).float(), torch.from_numpy(y).float())
    loader = DataLoader(rows, batch_size=BATCH, shuffle=True)
    model = torch.nn.Linear(COLUMNS, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    line = np.zeros(COLUMNS + 1)
    for _ in range(epochs):
        for part, target in loader:
            loss = torch.nn.functional.mse_loss(model(part)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        line = np.append(model.bias.detach().numpy(), model.weight.detach().numpy())
        if until is not None and until(line):
            break
    return line


def throughput(out: Report, X: Any, y: Any) -> None:
    few = min(len(y), LOADED)
    epochs = EPOCHS
    rivals = {
        OURS: Rival(lambda: ours(X, y, epochs, lr=0.01)),
        "gradline, averaged": Rival(lambda: ours(X, y, epochs, lr=0.01, average=True)),
        "gradline, momentum": Rival(lambda: ours(X, y, epochs, lr=0.01, momentum=0.9)),
        "scikit-learn SGDRegressor": Rival(lambda: sklearn(X, y, epochs), 3, 2),
        "a DataLoader loop": Rival(
            lambda: loader_loop(X[:few], y[:few], 0.01, 1),
            50,
            2,
            scale=epochs * len(y) / few,
        ),
    }
    work = f"{len(y):,} x {COLUMNS}, float64, {epochs} epochs, batches of {BATCH}"
    found = out.race(work, rivals)
    for name, seconds in found.items():
        rate = epochs * len(y) / seconds / 1e6
        out.say(
            "rate", f"  {name:<38} {rate:9.3g} M rows/s", name=name, rows_per_s=rate
        )


def near(X: Any, y: Any, share: float) -> Callable[[Any], bool]:
    """Whether a line's loss is within a share of the optimum above it."""
    ones = np.column_stack([np.ones(len(y)), X])
    optimum = np.linalg.lstsq(ones.T @ ones, ones.T @ y, rcond=None)[0]
    H = ones.T @ ones / len(y)
    least = float(np.square(y - ones @ optimum).mean())

    def reached(line: Any) -> bool:
        off = np.asarray(line, float) - optimum
        return bool(off @ H @ off <= share * least)

    return reached


def patient(X: Any, y: Any, lr: float, reached: Callable[[Any], bool]) -> Any:
    """scikit-learn, epoch by epoch, until it is near."""
    model = SGDRegressor(penalty=None, learning_rate="constant", eta0=lr)
    line = np.zeros(COLUMNS + 1)
    for _ in range(PASSES):
        model.partial_fit(X, y)
        line = np.append(model.intercept_, model.coef_)
        if reached(line):
            break
    return line


def best_rate(run: Callable[[float], Any], reached: Callable[[Any], bool]) -> float:
    """The largest rate that comes near; the smallest where none does."""
    for rate in reversed(RATES):
        with np.errstate(all="ignore"):
            try:
                if reached(run(rate)):
                    return rate
            except ValueError:  # scikit-learn says so where it overflows
                continue
    return RATES[0]


def time_to(out: Report, X: Any, y: Any, share: float) -> None:
    reached = near(X, y, share)
    few = min(len(y), LOADED * 5)
    small = X[:few], y[:few]
    near_few = near(*small, share)
    theirs = best_rate(lambda lr: patient(X, y, lr, reached), reached)
    loop = best_rate(lambda lr: loader_loop(*small, lr, PASSES, near_few), near_few)
    rivals = {
        OURS: Rival(lambda: to_gap(X, y, reached)),
        f"scikit-learn, eta0 {theirs:g}": Rival(
            lambda: patient(X, y, theirs, reached), None, 2
        ),
        f"a DataLoader loop, lr {loop:g}, {few:,} rows": Rival(
            lambda: loader_loop(*small, loop, PASSES, near_few), None, 1
        ),
    }

    def agree(name: str, _: Any, line: Any) -> None:
        there = near_few(line) if "DataLoader" in name else reached(line)
        if not there:
            out.say("note", f"  {name} is not there after {PASSES} passes", name=name)

    work = f"{len(y):,} x {COLUMNS}: to within {share:g} of the optimum"
    out.race(work, rivals, rounds=3, agree=agree)


def to_gap(X: Any, y: Any, reached: Callable[[Any], bool]) -> Any:
    """gradline, with nothing told: as many epochs as that takes."""
    for epochs in (1, 2, 4, 8, 16):
        line = ours(X, y, epochs, lr="auto")
        if reached(line):
            return line
    raise SystemExit("gradline does not come near")


def main() -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    with report("Minibatch SGD: rows a second, and time to a gap.") as out:
        X, y = data(ROWS // 50 if out.small else ROWS)
        throughput(out, X, y)
        for share in (1e-2, 1e-4):
            time_to(out, X, y, share)


if __name__ == "__main__":
    main()
