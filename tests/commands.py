"""The command line in tests: run in this process or in one of its own, on some data."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gradline.cli import main
from helpers import ROOT


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process: code, stdout, stderr."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a process of its own, with gradline to import."""
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return python("-m", "gradline", *words)


def write_houses(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "area": random.uniform(30, 200, rows).round(1),
            "town": random.choice(["Ulm", "Bonn", "Jena"], rows),
        }
    )
    frame["price"] = frame["area"] * 3 + frame["town"].str.len() * 10
    frame["price"] += random.normal(size=rows)
    frame.to_csv("houses.csv", index=False)
    return frame
