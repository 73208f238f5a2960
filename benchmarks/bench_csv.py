"""A CSV file, streamed: against reading it and nothing else, and against pandas.

The bare read is pyarrow's open_csv, batch by batch. pandas only reads, too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from measure import OURS, Report, Rival, close, line_of, normal_equations, peak, report

import gradline as gl

FEATURES = 10
NAMES = [*(f"x{i + 1}" for i in range(FEATURES)), "y"]


def write(path: Path, rows: int) -> None:
    """Numbers of six decimals, as measurements are written."""
    random = np.random.default_rng(0)
    with pa.OSFile(str(path), "wb") as file:
        schema = pa.schema([(name, pa.float64()) for name in NAMES])
        with pyarrow.csv.CSVWriter(file, schema) as writer:
            for start in range(0, rows, 100_000):
                count = min(100_000, rows - start)
                X = random.standard_normal((FEATURES, count)).round(6)
                y = X.sum(axis=0) + 2.0 + random.standard_normal(count)
                writer.write_table(pa.table([*X, y.round(6)], schema=schema))


def bare(path: Path, rows: int) -> None:
    with pyarrow.csv.open_csv(path) as reader:
        assert sum(batch.num_rows for batch in reader) == rows


def pandas(path: Path) -> Any:
    """The table alone; the line from it is no part of the time."""
    return pd.read_csv(path)


def agree(name: str, ours: Any, theirs: Any) -> None:
    """Hold the line against plain NumPy on what pandas read."""
    if theirs is not None:
        X, y = theirs[NAMES[:-1]].to_numpy(), theirs["y"].to_numpy()
        close(1e-8)(name, ours, normal_equations(X, y))


def race(out: Report, path: Path, rows: int) -> None:
    rivals = {
        OURS: Rival(lambda: line_of(gl.fit(path, target="y"))),
        "bare read, pyarrow.csv.open_csv": Rival(lambda: bare(path, rows), 1 / 1.3),
        "pandas.read_csv": Rival(lambda: pandas(path)),
    }
    size = path.stat().st_size / 1e6
    work = f"CSV, {rows:,} x {len(NAMES)} ({size:,.0f} MB)"
    out.race(work, rivals, agree=agree)
    work = "peak memory of a fresh process"
    out.title(work)
    code = f"import gradline as gl; gl.fit({str(path)!r}, target='y')"
    out.most(work, "gl.fit", peak(code), "MB")
    code = f"import pandas; pandas.read_csv({str(path)!r})"
    out.most(work, "pandas.read_csv", peak(code), "MB")


def main() -> None:
    with (
        report("Fits from a CSV file, against reading it.") as out,
        tempfile.TemporaryDirectory() as folder,
    ):
        rows, path = 5_000 if out.small else 1_000_000, Path(folder) / "data.csv"
        write(path, rows)
        race(out, path, rows)


if __name__ == "__main__":
    main()
