"""Huber, absolute and quantile loss in memory and from a file, against the others.

scikit-learn's QuantileRegressor is a linear program of two variables for each row, and
gets so few rows that it ends at all: its time is multiplied by how many fewer, which
flatters it, for its work grows faster than they do. QuantReg of statsmodels gets fewer
rows too, for it takes up to 1,000 steps of least squares; its answer is held against
ours on little data. Nobody else reads a file in parts.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import statsmodels.api as sm
from measure import OURS, Report, Rival, line_of, peak, report, write_parquet
from sklearn.linear_model import HuberRegressor, QuantileRegressor

import gradline as gl

ROWS, COLUMNS = 1_000_000, 20

#: So many rows are enough for a linear program, and for QuantReg; the goal for all.
PROGRAM_ROWS, STEPS_ROWS = 10_000, 100_000
GOAL = 5.0

#: HuberRegressor stops earlier: at most such a share of the loss above ours.
NEAR = 1e-4


def data(rows: int) -> tuple[Any, Any]:
    """Heavy noise, and one row in fifty far off."""
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, COLUMNS)) + 1
    y = X @ random.standard_normal(COLUMNS) + 2 + random.standard_t(3, rows)
    y[::50] += 100 * random.standard_normal(len(y[::50]))
    return X, y


def loss_at(loss: Any, line: Any, scale: float, X: Any, y: Any) -> float:
    """The mean loss of a line, [intercept, slopes]."""
    r = y - line[0] - X @ line[1:]
    if isinstance(loss, gl.Huber):
        t = np.abs(r) / scale
        e = loss.epsilon
        return float(np.mean(scale + scale * np.where(t <= e, t**2, 2 * e * t - e**2)))
    return float(np.mean(np.where(r > 0, loss.level * r, (loss.level - 1) * r)))


def ours(loss: Any, X: Any, y: Any) -> Any:
    fit = gl.fit(X, y, loss=loss)
    return line_of(fit), fit.settings.get("scale"), fit.settings["passes"]


def huber(loss: Any, X: Any, y: Any) -> Any:
    model = HuberRegressor(epsilon=loss.epsilon, alpha=0, tol=1e-8, max_iter=1000)
    model.fit(X, y)
    return np.append(model.intercept_, model.coef_), model.scale_, None


def quantreg(loss: Any, X: Any, y: Any) -> Any:
    found = sm.QuantReg(y, sm.add_constant(X)).fit(loss.level, vcov="iid")
    return found.params, None, None


def check_quantreg(loss: Any) -> None:
    """QuantReg and gradline agree on little data, or the run ends."""
    X, y = data(2_000)
    theirs, mine = quantreg(loss, X, y)[0], ours(loss, X, y)[0]
    above = loss_at(loss, theirs, 0, X, y) / loss_at(loss, mine, 0, X, y) - 1
    if not -1e-12 <= above <= 1e-3:
        sys.exit(f"QuantReg and gradline do not agree: {above:.3g} of the loss apart")


def program(loss: Any, X: Any, y: Any) -> None:
    model = QuantileRegressor(quantile=loss.level, alpha=0, solver="highs")
    model.fit(X, y)  # of fewer rows: no answer to hold against ours


def race(out: Report, loss: Any) -> None:
    rows = ROWS // 100 if out.small else ROWS
    few = PROGRAM_ROWS // 10 if out.small else PROGRAM_ROWS
    X, y = data(rows)
    rivals = {OURS: Rival(lambda: ours(loss, X, y))}
    if isinstance(loss, gl.Huber):
        rivals["HuberRegressor"] = Rival(lambda: huber(loss, X, y), GOAL, 1)
    else:
        check_quantreg(loss)
        some = STEPS_ROWS // 100 if out.small else STEPS_ROWS

        def steps() -> None:
            quantreg(loss, X[:some], y[:some])

        rivals[f"QuantReg, {some:,} rows"] = Rival(steps, GOAL, 1, scale=rows / some)
        rivals[f"QuantileRegressor, {few:,} rows"] = Rival(
            lambda: program(loss, X[:few], y[:few]), GOAL, 1, scale=rows / few
        )

    def agree(name: str, mine: Any, theirs: Any) -> None:
        if theirs is None:
            return
        least = loss_at(loss, mine[0], mine[1], X, y)
        above = loss_at(loss, theirs[0], theirs[1], X, y) / least - 1
        out.say("loss", f"    {name} ends {above:.1e} of the loss above ours")
        if not -1e-12 <= above <= NEAR:
            sys.exit(f"{name} and gradline do not agree: {above:.3g} of the loss apart")

    passes = ours(loss, X, y)[2]
    work = f"{rows:,} x {COLUMNS}, {loss.title}, {passes} passes"
    out.race(work, rivals, rounds=3, agree=agree)


#: What a child process runs, to be weighed: the path and the loss are put in.
FIT = "import gradline as gl; gl.fit({!r}, target='y', loss={!r})"


def memory(out: Report, folder: Path) -> None:
    """Peak memory from a file, and from one of five times the rows."""
    size = 2_000_000
    paths = {rows: folder / f"{rows}.parquet" for rows in (size, 5 * size)}
    for rows, path in paths.items():
        write_parquet(path, rows, COLUMNS)
    bare = peak("import gradline as gl; gl.fit([1, 2, 3], [1, 2, 4])")
    for loss in ("huber", "quantile:0.9"):
        work = f"memory, Parquet of {COLUMNS} columns, {loss}"
        out.title(work)
        peaks = {}
        for rows, path in paths.items():
            peaks[rows] = peak(FIT.format(str(path), loss)) - bare
            name = f"{rows:,} rows, beyond three rows"
            out.most(work, name, peaks[rows], "MB")
        growth = peaks[5 * size] / max(peaks[size], 1.0)
        out.most(work, "growth", growth, "times", 1.25)


def main() -> None:
    warnings.simplefilter("ignore")
    with report("Losses with kinks, certificates included.") as out:
        for loss in (gl.Huber(1.35), gl.Quantile(0.5), gl.Quantile(0.9)):
            race(out, loss)
        if out.small:
            out.say("skipped", "\nmemory means nothing at tiny sizes")
            return
        with tempfile.TemporaryDirectory() as folder:
            memory(out, Path(folder))


if __name__ == "__main__":
    main()
