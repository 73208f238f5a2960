"""The scripts run anywhere: POSIX sh, executable, and no trace of one machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from helpers import ROOT

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())

# What sh on Debian, Alpine or a Mac need not understand.
BASHISMS = {
    "[[ ]]": r"\[\[\s",
    "==": r"\[ [^]]*==",
    "function": r"^\s*function\s",
    "source": r"^\s*source\s",
    "local": r"^\s*local\s",
    "pipefail": r"pipefail",
    "<<<": r"<<<",
    "&>": r"&>",
    "arrays": r"^\s*\w+=\(|\$\{\w+\[",
    "echo -e or -n": r"\becho -[en]",
    "$'...'": r"(^|\s)\$'",
    "[ -nt ]": r"\s-[no]t\s",
}

# Where packages come from, and where files lie, is for the machine to say.
FOREIGN = {
    "a package registry": r"pypi\.org|pythonhosted\.org|download\.pytorch\.org",
    "a registry option": r"--(extra-)?index-url|--find-links|--trusted-host",
    "a machine's path": r"(?<![\w.~}])/(work|opt|root|home|Users)/\w",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_posix_sh(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert os.access(script, os.X_OK), f"chmod +x scripts/{script.name}"
    code = re.sub(r"(^|\s)#.*", "", text)
    found = [name for name, bad in BASHISMS.items() if re.search(bad, code, re.M)]
    assert not found, f"scripts/{script.name} is not POSIX sh: {found}"
    subprocess.run([shutil.which("sh") or "sh", "-n", script], check=True)


def test_setup_says_what_it_takes() -> None:
    run = subprocess.run(
        [ROOT / "scripts" / "setup", "everything"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == (
        "gradline: scripts/setup takes 'core', 'dev' or 'bench', not 'everything'.\n"
    )


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        needed += extra
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in needed}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    assert {pin.partition("==")[0].lower() for pin in pins} == names


def committed() -> list[Path]:
    """The files git holds or would add; none where this is not a checkout."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def test_no_registry_and_no_machine_path_is_committed() -> None:
    found = []
    for path in committed():
        text = path.read_text(encoding="utf-8", errors="ignore")
        for what, pattern in FOREIGN.items():
            for hit in re.finditer(pattern, text):
                line = text.count("\n", 0, hit.start()) + 1
                found.append(f"{path.relative_to(ROOT)}:{line} {what}: {hit[0]}")
    assert not found, "\n".join(found)


def test_no_big_file_is_committed() -> None:
    big = [path for path in committed() if path.stat().st_size > 1_000_000]
    assert not big, f"over 1 MB: {big}"
