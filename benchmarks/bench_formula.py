"""Formulas: terms made chunk by chunk, against formulaic's whole matrix.

No goals, but what they cost: a fit by formula in memory, its peak from a file, and what
a polynomial degree adds to a plain fit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from formulaic import model_matrix
from measure import (
    OURS,
    Report,
    Rival,
    close,
    line_of,
    normal_equations,
    peak,
    report,
)

import gradline as gl

RIGHT = "poly(x, 3)*g + log(z):x + scale(v)"


def table(rows: int) -> pd.DataFrame:
    """Numbers, and a category of 8 levels; y is made of them, with noise."""
    random = np.random.default_rng(0)
    found = pd.DataFrame(
        {
            "x": random.normal(1e3, 1.0, rows),
            "z": random.uniform(1, 9, rows),
            "v": random.normal(size=rows),
            "g": random.choice(list("abcdefgh"), rows),
        }
    )
    found["y"] = np.sin(found.x) + np.log(found.z) + random.normal(size=rows)
    return found


def in_memory(out: Report, rows: int) -> None:
    """The whole fit from a frame; formulaic makes the matrix, NumPy solves."""
    data = table(rows)
    y = data["y"].to_numpy()

    def theirs() -> np.ndarray:
        matrix = model_matrix(RIGHT, data).to_numpy(dtype=float)
        return normal_equations(matrix[:, 1:], y)

    rivals = {
        OURS: Rival(lambda: line_of(gl.fit(data, formula=f"y ~ {RIGHT}"))),
        "formulaic and NumPy": Rival(theirs, rounds=3),
    }
    out.race(f"y ~ {RIGHT}, {rows:,} rows", rivals, agree=close(1e-5))


def degrees(out: Report, rows: int) -> None:
    """What degree= adds: the pass that learns, and more columns."""
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, 10))
    y = X.sum(axis=1) + random.standard_normal(rows)
    rivals = {
        f"degree {k}": Rival(lambda k=k: gl.fit(X, y, degree=k).intercept)
        for k in (1, 2, 3)
    }
    out.race(f"degree= in memory, {rows:,} x 10", rivals, rounds=3)


def from_files(out: Report, folder: Path, sizes: tuple[int, ...]) -> None:
    """The peak of a process that fits a Parquet file."""
    work = "a fit by formula from Parquet, whole processes"
    out.title(work)
    for rows in sizes:
        path = folder / f"{rows}.parquet"
        table(rows).to_parquet(path)
        code = f"import gradline as gl; gl.fit({str(path)!r}, formula='y ~ {RIGHT}')"
        out.most(work, f"{rows:,} rows", peak(code), "MB")


def main() -> None:
    with (
        report("Formulas, against formulaic.") as out,
        tempfile.TemporaryDirectory() as folder,
    ):
        in_memory(out, 20_000 if out.small else 1_000_000)
        degrees(out, 20_000 if out.small else 1_000_000)
        from_files(
            out, Path(folder), (20_000, 80_000) if out.small else (2_000_000, 8_000_000)
        )


if __name__ == "__main__":
    main()
