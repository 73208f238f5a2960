"""A Parquet file, streamed: against decoding it and nothing else, and against DuckDB.

The bare decode is pyarrow's, in one process, with its threads and without. DuckDB
computes all means and covariances in one SELECT, from which the line follows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
from measure import CORES, OURS, Report, Rival, close, line_of, peak, report
from measure import write_parquet as write

import gradline as gl

#: In all, and the larger file's peak over the smaller one's.
MOST_MB = 600
FLAT = 1.1

NAMES = [*(f"x{i + 1}" for i in range(10)), "y"]


def decode(path: Path, **options: Any) -> None:
    """Every batch of the columns, and nothing done with them."""
    rows = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=NAMES, **options):
            rows += batch.num_rows
        assert rows == file.metadata.num_rows


def duck(path: Path, pair: Callable[[str, str], str]) -> np.ndarray[Any, Any]:
    """Intercept and slopes, (11,), from all covariances in one SELECT.

    Args:
        path: the file.
        pair: the covariance of two columns in SQL.
    """
    d = len(NAMES)
    places = [(i, j) for i in range(d) for j in range(i, d)]
    asked = [f"avg({name})" for name in NAMES]
    asked += [pair(NAMES[i], NAMES[j]) for i, j in places]
    with duckdb.connect() as database:
        database.execute(f"PRAGMA threads={CORES}")
        query = f"SELECT {', '.join(asked)} FROM read_parquet('{path}')"
        row = database.execute(query).fetchone()
    assert row is not None
    mean, scatter = np.array(row[:d]), np.zeros((d, d))
    for (i, j), value in zip(places, row[d:], strict=True):
        scatter[i, j] = scatter[j, i] = value
    slopes = np.linalg.solve(scatter[:-1, :-1], scatter[:-1, -1])
    return np.append(mean[-1] - mean[:-1] @ slopes, slopes)


def race(out: Report, path: Path, rows: int, rounds: int) -> None:
    rivals = {
        OURS: Rival(lambda: line_of(gl.fit(path, target="y"))),
        "bare decode": Rival(lambda: decode(path)),
        "bare decode, use_threads=False": Rival(
            lambda: decode(path, use_threads=False)
        ),
        "DuckDB, covar_pop(a, b)": Rival(
            lambda: duck(path, lambda a, b: f"covar_pop({a}, {b})")
        ),
        "DuckDB, avg(a * b) - avg(a) * avg(b)": Rival(
            lambda: duck(path, lambda a, b: f"avg({a}*{b}) - avg({a})*avg({b})")
        ),
    }
    size = path.stat().st_size / 1e9
    work = f"Parquet, {rows:,} x {len(NAMES)} ({size:.2f} GB)"
    found = out.race(work, rivals, rounds=rounds, agree=close(1e-8))
    for kind, goal in (("bare decode", 1 / 1.5), ("DuckDB", 2)):
        fastest = min(s for name, s in found.items() if name.startswith(kind))
        name = f"the faster {kind}"
        out.ratio(work, name, fastest / found[OURS], goal)


def memory(out: Report, files: dict[int, Path]) -> None:
    work = "peak memory of a fresh process"
    out.title(work)
    loaded = peak("import gradline as gl, pyarrow.parquet, torch; gl.fit")
    out.most(work, "the imports alone", loaded, "MB")
    peaks = []
    for rows, path in files.items():
        code = f"import gradline as gl; gl.fit({str(path)!r}, target='y')"
        peaks.append(peak(code))
        out.most(work, f"gl.fit, {rows:,} rows", peaks[-1], "MB", MOST_MB)
    out.most(work, "the larger over the smaller", peaks[-1] / peaks[0], "", FLAT)


def main() -> None:
    about = "Fits from a Parquet file, against decoding it and against DuckDB."
    with report(about) as out, tempfile.TemporaryDirectory() as folder:
        files = {}
        for rows in (20_000, 80_000) if out.small else (5_000_000, 20_000_000):
            files[rows] = Path(folder) / f"{rows}.parquet"
            write(files[rows], rows)
        for (rows, path), rounds in zip(files.items(), (5, 3), strict=True):
            race(out, path, rows, rounds)
        memory(out, files)


if __name__ == "__main__":
    main()
