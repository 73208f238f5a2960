"""Notebooks, executed by this interpreter: a kernel of its own, in a folder of its own.

nbclient asks for the kernel by the name python3; the machine's own python3 kernel may
be another Python, so a kernelspec is made for the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from helpers import ROOT

#: Seconds that one cell may take.
PATIENCE = 60


def kernel_environment(folder: Path) -> dict[str, str]:
    """What a kernel needs in its environment: the tree under test, no home of ours."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": paths.rstrip(os.pathsep),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "OMP_NUM_THREADS": "1",
    }


def execute(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run all cells in `folder`; return the notebook, with outputs.

    Raises:
        CellExecutionError: a cell failed.
    """
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": "tests", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(about), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(folder))  # looked through first
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
    work = folder / "work"
    work.mkdir(exist_ok=True)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=PATIENCE,
        resources={"metadata": {"path": str(work)}},
    )
    client.execute(env=kernel_environment(folder))
    return notebook


def cells(*sources: str) -> Any:
    """A notebook of code cells."""
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return made


def outputs(cell: Any, kind: str) -> list[str]:
    """What a cell shows of a MIME type."""
    return [out["data"][kind] for out in cell.outputs if kind in out.get("data", {})]


def streams(notebook: Any) -> str:
    """All that was printed, to stdout and stderr."""
    return "".join(
        out["text"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for out in cell.outputs
        if out["output_type"] == "stream"
    )
