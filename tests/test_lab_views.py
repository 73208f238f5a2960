"""The lab's pictures: what of them is pure is tested by node's own runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).parent / "js"


def node() -> str:
    """node 20.19 or later, which reads modules without a package.json beside them."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node on this machine")
    told = subprocess.run([found, "--version"], capture_output=True, text=True)
    version = tuple(int(part) for part in told.stdout.strip(" v\n").split(".")[:2])
    if version < (20, 19):
        pytest.skip(f"node is {told.stdout.strip()}: 20.19 or later is needed")
    return found


def test_the_pure_functions_of_the_pictures() -> None:
    done = subprocess.run(
        [node(), "--test", *sorted(map(str, JS.glob("*.test.mjs")))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
