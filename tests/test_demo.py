"""The demo is the lesson; the lesson.py it hands out gives the same line."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import gradline as gl
import gradline.demo as demo_module
from forks import forked
from gradline.demo import FILES, demo
from helpers import ROOT


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    lines: list[str] = []
    return folder, lines, demo(folder, lines.append)


def test_every_file_is_there(story: tuple[Path, list[str], dict]) -> None:
    folder, _, result = story
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert set(result["files"]) == set(FILES)
    for name in ("data.png", "loss.png", "fit.png"):
        with Image.open(folder / name) as picture:
            assert picture.width >= 1200
    with Image.open(folder / "learning.gif") as movie:
        assert movie.n_frames >= 40  # type: ignore[attr-defined]
    assert (folder / "learning.gif").stat().st_size < 1_000_000


def test_the_data_are_the_lesson_s(story: tuple[Path, list[str], dict]) -> None:
    frame = pd.read_csv(story[0] / "data.csv")
    assert list(frame) == ["x", "y"]
    x, y = gl.sample_linear_data(100, 1, 0, 0.1, seed=demo_module.SEED)
    np.testing.assert_array_equal(frame, np.column_stack([x, y]))


def test_the_loss_is_printed_every_100(story: tuple[Path, list[str], dict]) -> None:
    printed = [re.search(r"epoch +(\d+)   loss ([\d.]+)", line) for line in story[1]]
    found = [(int(m[1]), float(m[2])) for m in printed if m]
    assert [epoch for epoch, _ in found] == list(range(100, 1001, 100))
    assert found[0][1] > 3 * found[-1][1]


def test_lesson_py_reproduces_it_with_three_packages_only(
    story: tuple[Path, list[str], dict], tmp_path: Path
) -> None:
    script = story[0] / "lesson.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported == {"torch", "numpy", "matplotlib"}
    run = forked(str(script), folder=tmp_path, env={**os.environ, "MPLBACKEND": "Agg"})
    assert (run.returncode, run.stderr) == (0, "")
    found = {
        m[1]: float(m[2]) for m in re.finditer(r"(weight|bias) +(\S+)", run.stdout)
    }
    model = gl.load(story[0] / "model.safetensors")
    assert found["weight"] == pytest.approx(model.coefficients["x"], abs=1e-6)
    assert found["bias"] == pytest.approx(model.intercept, abs=1e-6)
    assert run.stdout.count("epoch") == 10


def test_the_demo_has_the_numbers_of_the_lesson() -> None:
    tree = ast.parse((ROOT / "gradline" / "lesson.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=True)  # type: ignore[attr-defined]
                if isinstance(target, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                assert getattr(demo_module, name.id) == ast.literal_eval(value)


def test_the_certificate_and_the_held_out_part(
    story: tuple[Path, list[str], dict],
) -> None:
    folder, lines, result = story
    frame = pd.read_csv(folder / "data.csv")
    slope, intercept = np.polyfit(frame["x"], frame["y"], 1)
    assert result["coefficients"]["x"] == pytest.approx(slope, abs=1e-4)
    assert result["intercept"] == pytest.approx(intercept, abs=1e-4)
    assert result["certificate"]["status"] == "converged"
    assert result["held_out"]["rows"] == 20
    assert any("Certificate: converged" in line for line in lines)
    assert any(line.startswith("   20 it has never seen: R² 0.") for line in lines)
    assert not result["interrupted"]


def test_ctrl_c_keeps_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tired(*args: object, **options: object) -> object:
        for step in gl.descend(*args, **options):  # type: ignore[arg-type]
            yield step
            if step.epoch == 150:
                raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "descend", tired)
    lines: list[str] = []
    result = demo(tmp_path / "out", lines.append)
    assert result["interrupted"]
    assert any("Stopped by Ctrl-C: what 150 epochs learned is kept" in s for s in lines)
    saved = gl.load(tmp_path / "out" / "model.safetensors")
    assert saved.settings["epochs"] == 150
    assert saved.certificate.status == "not_converged"


def test_the_command_with_json(tmp_path: Path) -> None:
    words = ["gradline", "demo", "--json", "--output", "a folder/in it"]
    run = forked(*words, folder=tmp_path, env=os.environ)
    assert run.returncode == 0
    assert json.loads(run.stdout)["certificate"]["status"] == "converged"
    assert "epoch  1000" in run.stderr
    assert (tmp_path / "a folder" / "in it" / "learning.gif").exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(gl.FileError, match="it is a file; name a folder"):
        demo(tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"
