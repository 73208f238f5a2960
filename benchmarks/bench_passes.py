"""Second passes: robust standard errors, and predictions, streamed from a file.

No goals, but what they cost: HC3 reads the data once more, `gradline predict` reads
one file and writes another.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import statsmodels.api as sm
from measure import OURS, Report, Rival, close, line_of, peak, process, report
from measure import write_parquet as write

import gradline as gl


def in_memory(out: Report, rows: int) -> None:
    """HC3 from arrays, the fit included, against statsmodels."""
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, 10))
    y = X.sum(axis=1) + (1 + X[:, 0] ** 2) * random.standard_normal(rows)

    def ours() -> Any:
        fit = gl.fit(X, y)
        errors = fit.inference("HC3").standard_errors
        return line_of(fit), np.array(list(errors.values()))

    def theirs() -> Any:
        found = sm.OLS(y, sm.add_constant(X)).fit(cov_type="HC3")
        return found.params, found.bse

    work = f"fit and HC3 in memory, {rows:,} x 10"
    rivals = {OURS: Rival(ours), "statsmodels": Rival(theirs, rounds=3)}
    out.race(work, rivals, agree=close(1e-8))


def from_files(out: Report, folder: Path, files: dict[int, Path]) -> None:
    """Every pass by itself, then whole processes and their peaks."""
    smallest = min(files)
    fit = gl.fit(files[smallest], target="y")

    def predict() -> None:
        rows = sum(len(part) for _, part in fit.predictions(fit.open(files[smallest])))
        assert rows == smallest

    work = f"Parquet, {smallest:,} x 11, each pass by itself"
    passes = {
        "gl.fit": Rival(lambda: gl.fit(files[smallest], target="y").intercept),
        "inference('HC3') of it": Rival(
            lambda: fit.inference("HC3").standard_errors["x1"]
        ),
        "predictions, batch by batch": Rival(predict),
    }
    out.race(work, passes, rounds=3)
    work = "whole processes"
    out.title(work)
    for rows, path in files.items():
        code = f"import gradline as gl; gl.fit({str(path)!r}, target='y')"
        hc3 = peak(f"{code}.inference('HC3')")
        out.most(work, f"gl.fit and HC3, {rows:,} rows", hc3, "MB")
        model, told = folder / "model.safetensors", folder / "told.parquet"
        fit.save(model)
        words = ["-m", "gradline", "predict", str(model), str(path), "-o", str(told)]
        seconds, memory = process(*words)
        name = f"gradline predict, {rows:,} rows"
        out.most(work, name, seconds, "s")
        out.most(work, name, memory, "MB")
        check(fit, told)


def check(fit: gl.Fit, told: Path) -> None:
    """Hold the first written predictions against the line itself."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(told) as file:
        table = next(file.iter_batches(1000))
    X = np.column_stack([table[name].to_numpy() for name in fit.coefficients])
    ours = table["prediction"].to_numpy()
    close(1e-12)("the line itself", ours, fit.intercept + X @ fit.slopes)
    told.unlink()


def main() -> None:
    warnings.simplefilter("ignore")
    with (
        report("The second passes: HC3 and predictions.") as out,
        tempfile.TemporaryDirectory() as folder,
    ):
        in_memory(out, 10_000 if out.small else 1_000_000)
        files = {}
        for rows in (20_000, 80_000) if out.small else (5_000_000, 20_000_000):
            files[rows] = Path(folder) / f"{rows}.parquet"
            write(files[rows], rows)
        from_files(out, Path(folder), files)


if __name__ == "__main__":
    main()
