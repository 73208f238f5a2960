"""Memory that does not grow with the file: each pass in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

# Peak memory of reading every chunk, less that of the imports, in MB.
PASS = """
import resource, sys
import gradline.csvfiles, gradline.folders, gradline.tables
from gradline.designing import build_design
from gradline.readers import open_source
import pyarrow.parquet, pyarrow.csv
for module in (gradline.tables, gradline.folders):  # a file of 100 MB is a large one
    for name in ("KEPT_BYTES", "HELD_BYTES"):
        if hasattr(module, name):
            setattr(module, name, 1 << 20)
gradline.csvfiles.WHOLE_BYTES = 8 << 20
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
source = open_source(sys.argv[1])
target = source.columns[-1].name
design = build_design(source, target=target, features=None)
rows = 0
for _ in range(2):
    for chunk in design.chunks(source):
        rows += len(chunk.y)
print(rows, peak() - before)
"""

ROWS, COLUMNS, GROUP = 1_250_000, 10, 125_000  # 100 MB of float64


@cache
def _group() -> pa.Table:
    values = np.random.default_rng(0).normal(size=(COLUMNS, GROUP))
    return pa.table({f"x{i}": column for i, column in enumerate(values)})


def _write(kind: str, path: Path) -> Path:
    groups = range(ROWS // GROUP)
    if kind == "folder":
        path.mkdir()
        for i in groups:
            (path / f"part={i}").mkdir()
            pa.parquet.write_table(_group(), path / f"part={i}" / "a.parquet")
        return path
    if kind in ("npy", "npy by columns"):
        name = path.with_suffix(".npy")
        order: Any = "F" if kind == "npy by columns" else "C"
        whole = np.lib.format.open_memmap(
            name, "w+", np.float64, (ROWS, COLUMNS), fortran_order=order == "F"
        )
        for i in groups:
            whole[i * GROUP : (i + 1) * GROUP] = 1.0
        whole.flush()
        return name
    schema = _group().schema
    writers: dict[str, Any] = {
        "parquet": lambda name: pa.parquet.ParquetWriter(name, schema),
        "csv": lambda name: pa.csv.CSVWriter(name, schema),
    }
    name = path.with_suffix(f".{kind}")
    with writers[kind](name) as writer:
        for _ in groups if kind == "parquet" else range(4):
            writer.write_table(_group())
    return name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("parquet", 70),
        ("folder", 70),
        ("csv", 130),
        ("npy", 70),
        ("npy by columns", 70),
    ],
)
def test_memory_is_flat(kind: str, most: int, tmp_path: Path) -> None:
    path = _write(kind, tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "-c", PASS, str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == 2 * (ROWS if kind != "csv" else 4 * GROUP)
    assert grown < most
