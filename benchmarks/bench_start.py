"""What a command costs beyond importing torch: whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import OURS, Report, Rival, close, process, report

import gradline as gl


def command(*words: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return run


def check(words: list[str], x: np.ndarray, y: np.ndarray) -> None:
    """Hold the command's line against NumPy's."""
    told = subprocess.run(
        [sys.executable, *words, "--json"], check=True, capture_output=True, text=True
    )
    facts = json.loads(told.stdout)
    line = np.array([facts["coefficients"]["x"], facts["intercept"]])
    close(1e-9)("NumPy", line, np.polyfit(x, y, 1))


def race(out: Report, folder: Path) -> None:
    data, model = folder / "small.csv", folder / "m.safetensors"
    x, y = gl.sample_linear_data(100, seed=0)
    rows = [f"{a},{b}" for a, b in zip(x, y, strict=True)]
    data.write_text("\n".join(["x,y", *rows]), encoding="utf-8")
    words = ["-m", "gradline", "fit", str(data), "--target", "y", "-o", str(model)]
    check(words, x, y)
    work = "gradline fit small.csv, the whole process"
    rivals = {
        OURS: Rival(command(*words)),
        "python -c 'import torch'": Rival(command("-c", "import torch"), 1 / 1.3),
        "python -c pass": Rival(command("-c", "pass")),
        "gradline --help": Rival(command("-m", "gradline", "--help")),
    }
    out.race(work, rivals, rounds=7)
    work = "peak memory of the process"
    out.title(work)
    out.most(work, "gradline fit small.csv", process(*words)[1], "MB")
    out.most(work, "import torch", process("-c", "import torch")[1], "MB")


def main() -> None:
    with (
        report("The start of a command, against importing torch.") as out,
        tempfile.TemporaryDirectory() as folder,
    ):
        race(out, Path(folder))


if __name__ == "__main__":
    main()
