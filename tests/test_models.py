"""Model files of every released version still load, and say what they said.

tests/models/ has a folder for each release, made by make.py with the code of that time.
A file that fails here is one that people have: mend the reader, never the file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import gradline as gl
from gradline.save import FORMATS
from helpers import ROOT
from models.make import DATA, KINDS, known_of, make, network

MODELS = ROOT / "tests" / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/expected.json"))
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.safetensors"))]

#: Between machines and versions of libraries, sums round in another order.
SAME = 1e-11


def expected_of(folder: Path) -> dict[str, Any]:
    text = (folder / "expected.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)["models"]
    return found


def format_of(path: Path) -> int:
    with safe_open(str(path), framework="np") as file:
        found: int = json.loads(file.metadata()["gradline"])["format"]
    return found


def loaded(path: Path) -> gl.Fit:
    return gl.load(path, model=network() if path.stem == "network" else None)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_released_file_still_loads(path: Path) -> None:
    expected = expected_of(path.parent)[path.stem]
    tolerance = 1e-5 if path.stem == "network" else SAME  # its weights are float32
    check(known_of(loaded(path)), expected, tolerance)


def check(found: Any, expected: Any, tolerance: float) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            check(found[key], value, tolerance)
    elif isinstance(expected, (list, float)):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        assert found == expected


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_all_files_are_there(folder: Path) -> None:
    assert {p.stem for p in folder.glob("*.safetensors")} == expected_of(folder).keys()
    assert all(path.stat().st_size < 20_000 for path in folder.iterdir())


def test_each_release_has_a_folder() -> None:
    """That of the next release may be there already."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    missing = {f"v{number}" for number in released} - {f.name for f in FOLDERS}
    assert not missing, f"run tests/models/make.py for {missing}, see CONTRIBUTING.md"
    assert FOLDERS


def test_each_format_has_a_file() -> None:
    assert {format_of(path) for path in FILES} == set(FORMATS)


def test_make_writes_what_is_here_and_more(tmp_path: Path) -> None:
    """The recipe still runs; a later one may know more kinds of fits."""
    make(tmp_path / "v9.9.9")
    made = expected_of(tmp_path / "v9.9.9")
    assert made.keys() == KINDS.keys()
    assert expected_of(FOLDERS[-1]).keys() <= made.keys()


def test_the_file_alone_predicts_on_raw_data(tmp_path: Path) -> None:
    """Levels, scaling and polynomials are in it: one row needs no other."""
    for name in ("categories", "formula", "degree", "no-intercept"):
        options: dict[str, Any] = {"target": "price"} | KINDS[name]
        fit = gl.fit(DATA, **options)
        fit.save(tmp_path / "m.safetensors")
        again = gl.load(tmp_path / "m.safetensors")
        row = {key: values[4:5] for key, values in DATA.items()}
        np.testing.assert_allclose(
            again.predict(row), fit.predict(DATA)[4:5], rtol=1e-14
        )
