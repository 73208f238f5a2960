"""What a command costs beyond importing torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import machine, medians, table

import gradline as gl


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        data, model = Path(folder) / "small.csv", Path(folder) / "m.safetensors"
        x, y = gl.sample_linear_data(100, seed=0)
        rows = [f"{a},{b}" for a, b in zip(x, y, strict=True)]
        data.write_text("\n".join(["x,y", *rows]), encoding="utf-8")
        words = ["-m", "gradline", "fit", str(data), "--target", "y", "-o", str(model)]
        found = medians(
            {
                "gradline": lambda: run(*words),
                "python -c 'import torch'": lambda: run("-c", "import torch"),
                "gradline --help": lambda: run("-m", "gradline", "--help"),
            },
            5,
        )
        table("gradline fit small.csv, the whole process", found)


if __name__ == "__main__":
    main()
