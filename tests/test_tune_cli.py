"""gradline tune: words in, a table or JSON out, files whole or not at all."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradline as gl
from commands import process, run, write_houses
from gradline import boards
from gradline.tuneflags import _searched
from helpers import hearing_ctrl_c


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_houses(200)


TUNE = ("tune", "houses.csv", "--target", "price")


def test_with_nothing_said_it_shrinks(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *TUNE)
    assert (code, err) == (0, "")
    assert "price: 29 settings tried (grid), learned from" in out
    assert "Test part, read once: R²" in out
    assert out.endswith("Model saved to model.safetensors\n")
    assert gl.load("model.safetensors").settings["penalty"] == "ridge"


def test_it_is_what_the_library_finds(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--search", "lr=0.01:0.5:log:6", "--search", "momentum=0,0.5")
    more = ("--search", "epochs=5:20:4", "--standardize", "--json")
    code, out, err = run(capsys, *TUNE, *words, *more, "-o", "m.safetensors")
    assert code == 0
    assert err.count("\n") == 1  # a note, since the longest run was the best
    assert "The chosen epochs is at the end of what was searched" in err
    value = json.loads(out)
    lrs = [float(f"{v:.6g}") for v in np.geomspace(0.01, 0.5, 6)]
    found = gl.tune(
        "houses.csv",
        target="price",
        search={"lr": lrs, "momentum": [0, 0.5], "epochs": [5, 10, 15, 20]},
        standardize=True,
        degenerate="refuse",
    )
    assert value["command"] == "tune"
    assert value["best"]["params"] == found.best
    scores = [t["score"] for t in value["trials"]]
    assert scores == pytest.approx([t.score for t in found.trials], nan_ok=True)
    assert found.test is not None
    assert value["test"]["rmse"] == pytest.approx(found.test.rmse)
    assert value["model"] == "m.safetensors"
    assert value["fit"]["coefficients"] == gl.load("m.safetensors").coefficients


def test_every_way_to_write_values() -> None:
    for text, meant in [
        ("momentum=0,0.5,0.9", [0, 0.5, 0.9]),
        ("penalty=ridge,lasso", ["ridge", "lasso"]),
        ("penalty=none,ridge", [None, "ridge"]),
        ("nesterov=true,false", [True, False]),
        ("loss=huber:1.5,quantile:0.5", ["huber:1.5", "quantile:0.5"]),
        ("formula=y ~ a:b", ["y ~ a:b"]),
        ("formula=y ~ poly(a, 2),y ~ `b,c`", ["y ~ poly(a, 2)", "y ~ `b,c`"]),
        ("formula=y ~ poly(a, 2); y ~ b", ["y ~ poly(a, 2)", "y ~ b"]),
        ("degree=1:8", (1, 8)),
        ("lr=1e-4:1", (1e-4, 1)),
        ("lr=1e-4:1:log", (1e-4, 1, "log")),
        ("degree=1:8:8", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("alpha=0.01:1:log:3", [0.01, 0.1, 1.0]),
        ("epochs=1:100:log:3", [1, 10, 100]),
        ("l1_ratio=0:1:5", [0, 0.25, 0.5, 0.75, 1]),
    ]:
        assert _searched(text) == (text.partition("=")[0], meant)
    assert _searched("--weight-decay=0:1")[0] == "weight_decay"
    for text in (
        "lr",
        "lr=",
        "=1",
        "lr=1:2:3:4",
        "lr=2:1:5",
        "lr=0:1:log:5",
        "lr=0:1:x",
    ):
        with pytest.raises(argparse.ArgumentTypeError):
            _searched(text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--search", "lr"], "'lr' is not NAME=VALUES, such as lr=0.001:1:log"),
        (["--search", "lrr=0.1"], "did you mean 'lr'?"),
        (["--search", "lr=1,2", "--search", "lr=3"], "--search lr is given twice"),
        (["--search", "lr=0.1", "--lr", "0.2"], "both given and searched"),
        (["--search", "lr=0.1:1", "--sampler", "grid"], "--sampler random"),
        (["--validation", "0", "--test", "0.2"], "--validation 0.2 --test 0.2"),
        (["--study", "abc"], "there is no storage to keep it in"),
        (["--prune"], "a grid search gives up no trial"),
        (["--search", "features=a,b"], "there is no way to write several here"),
        (["--search", "target=a,b"], "target cannot be searched"),
        (["--loss", "huber"], "nothing is searched"),
        (["--method", "gd", "--search", "alpha=1,2"], "alpha is searched and has no"),
        (["--plot", "a.txt"], "end its name in .png"),
        (["--plot", "houses.csv"], "end its name in .png"),
        (["-o", "houses.csv"], "is named twice and would be overwritten"),
        (["-o", "tune.db", "--storage", "tune.db"], "would be overwritten"),
        (["--storage", "houses.csv"], "is no SQLite file"),
        (["--checkpoint", "a"], "checkpoint is for one fit"),
        (["--trials", "0"], "trials is 0"),
        (["--sampler", "bayes"], "invalid choice: 'bayes'"),
        (["--search", "lr=7,8", "--search", "epochs=3"], "all 2 trials failed"),
    ],
)
def test_mistakes_are_told_in_a_line(
    capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    code, out, err = run(capsys, *TUNE, *words)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1
    assert [p.name for p in Path().iterdir()] == ["houses.csv"]


def test_a_test_part_alone_and_a_validation_part_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, *TUNE, "--test", "0.3", "--json")
    assert code == 0
    split = gl.Split(validation=0.2, test=0.3)
    found = gl.tune("houses.csv", target="price", split=split, degenerate="refuse")
    assert found.test is not None
    assert json.loads(out)["test"]["rmse"] == found.test.rmse
    code, out, _ = run(capsys, *TUNE, "--validation", "0.3")
    assert code == 0
    assert "There is no test part, so nothing says how well it will do" in out
    assert "give a share for it (--test 0.2)" in out.replace("\n", " ")


def test_the_target_may_stand_in_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--search", "formula=price ~ area,price ~ area + town")
    code, out, _ = run(capsys, "tune", "houses.csv", *words, "--json")
    assert code == 0
    value = json.loads(out)
    assert value["best"]["params"] == {"formula": "price ~ area + town"}
    code, _, err = run(capsys, "tune", "houses.csv")
    assert code == 2
    assert "name the column to predict with --target, one of 'area', 'price'" in err


def test_a_method_of_fit_and_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--method", "gd", "--search", "epochs=1:50:log:8", "--plot", "tune.png")
    code, out, err = run(capsys, *TUNE, *words)
    assert (code, err) == (0, "")
    assert "picture to tune.png" in out
    assert Path("tune.png").stat().st_size > 10_000


def test_storage_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--search", "alpha=1e-4:10:log", "--penalty", "ridge", "--storage", "a.db")
    values = []
    for trials in ("3", "6"):
        code, out, _ = run(
            capsys, *TUNE, *words, "--sampler", "optuna", "--trials", trials, "--json"
        )
        assert code == 0
        values.append(json.loads(out))
    assert values[1]["trials"][:3] == values[0]["trials"]
    assert len(values[1]["trials"]) == 6


def test_ctrl_c_shows_what_is_finished_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    true, count = boards.fit, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        count.append(1)
        if len(count) == 2:
            signal.raise_signal(signal.SIGINT)
        return true(*arguments, **named)

    monkeypatch.setattr(boards, "fit", interrupted)
    words = (*TUNE, "--search", "loss=huber,absolute", "--plot", "a.png")
    with hearing_ctrl_c():
        code, out, err = run(capsys, *words)
    assert (code, err) == (130, "")
    assert "Stopped by Ctrl-C with 1 trial to go" in out
    assert "Model saved" not in out
    count.clear()
    with hearing_ctrl_c():
        code, out, err = run(capsys, *words, "--json")
    assert code == 130
    value = json.loads(out)
    assert (value["model"], value["test"], value["interrupted"]) == (None, None, True)
    assert len(value["trials"]) == 1
    assert "note: Stopped by Ctrl-C" in err
    assert [p.name for p in Path().iterdir()] == ["houses.csv"]


def test_ctrl_c_draws_what_is_finished(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    true, count = boards.fit, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        count.append(1)
        if len(count) == 3:
            signal.raise_signal(signal.SIGINT)
        return true(*arguments, **named)

    monkeypatch.setattr(boards, "fit", interrupted)
    with hearing_ctrl_c():
        code, out, _ = run(
            capsys,
            *TUNE,
            "--search",
            "loss=huber,absolute,huber:2",
            "--plot",
            "a.png",
        )
    assert code == 130
    assert out.endswith("Picture saved to a.png\n")
    assert Path("a.png").stat().st_size > 10_000


def test_a_formula_without_a_tilde(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "fit", "houses.csv", "--formula", "price")
    assert code == 2
    assert "the formula 'price' has no ~, so no target: write 'y ~ x'" in err


@pytest.mark.parametrize("flag", ["--nonnegative", "--early-stopping"])
def test_a_flag_does_not_eat_the_data(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    descent = ["--validation", "0.2", "--method", "gd"]
    more = descent if flag == "--early-stopping" else []
    words = ["fit", flag, "houses.csv", "--target", "price", *more, "--json"]
    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert json.loads(out)["target"] == "price"
    both = ("--nonnegative", "--nonnegative-terms", "area")
    code, _, err = run(capsys, "fit", "houses.csv", "--target", "price", *both)
    assert code == 2
    assert "--nonnegative is of all terms" in err


def test_help_loads_nothing_heavy() -> None:
    found = process("tune", "--help")
    assert found.returncode == 0
    assert "--search NAME=VALUES" in found.stdout
    heavy = "import sys, gradline.options; print({'torch','optuna'} & set(sys.modules))"
    from commands import python

    assert python("-c", heavy).stdout.strip() == "set()"
