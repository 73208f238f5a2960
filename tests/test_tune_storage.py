"""Trials drawn by Optuna, and kept in its SQLite file: resumed, refused, silent."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import gradline as gl
from gradline import boards
from gradline.objective import Huber
from helpers import ROOT, hearing_ctrl_c
from test_tune import FEATURES, SPLIT, table

SEARCH: dict[str, Any] = {
    "lr": (1e-3, 0.05, "log"),
    "momentum": [0, 0.5, 0.9],
    "epochs": (1, 200),
    "nesterov": [True, False],
}


def searched(storage: Path | None, trials: int, method: Any, **more: Any) -> gl.Tuning:
    return gl.tune(
        table(),
        target="y",
        features=FEATURES,
        **{
            "split": SPLIT,
            "search": SEARCH,
            "method": method,
            "trials": trials,
            "storage": storage,
        }
        | more,
    )


def records(tuning: gl.Tuning) -> list[Any]:
    """Scores to ten digits: the last ones depend on how many were scored at once."""
    return [
        (t.number, t.params, f"{t.score or 0:.10g}", t.status, t.epochs)
        for t in tuning.trials
    ]


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_a_search_in_two_parts_is_one_in_whole(tmp_path: Path, method: str) -> None:
    whole = searched(None, 10, method)
    first = searched(tmp_path / "a.db", 4, method)
    again = searched(tmp_path / "a.db", 10, method)
    assert records(first) == records(whole)[:4]
    assert records(again) == records(whole)
    assert again.best == whole.best
    assert again.storage == str(tmp_path / "a.db")
    seen = optuna.load_study(
        study_name="gradline", storage=f"sqlite:///{tmp_path / 'a.db'}"
    )
    assert len(seen.trials) == 10
    assert seen.best_value == pytest.approx(whole.chosen.score)


def test_a_finished_search_tries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"lr": [0.001, 0.01, 9.0], "momentum": [0, 0.5]}
    first = searched(tmp_path / "a.db", None, "grid", search=search, epochs=9)  # type: ignore[arg-type]

    def never(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(boards, "line_of", never)
    again = searched(tmp_path / "a.db", None, "grid", search=search, epochs=9)  # type: ignore[arg-type]
    assert records(again) == records(first)
    assert again.fit is not None
    assert first.fit is not None
    assert again.fit.coefficients == first.fit.coefficients
    assert {t.status for t in again.trials} == {"ok", "failed"}
    assert [t.seconds for t in again.trials] == [t.seconds for t in first.trials]


def test_choices_that_are_no_texts_come_back(tmp_path: Path) -> None:
    search = {
        "loss": ["squared", Huber(1.5)],
        "features": [["x0"], ["x0", "x3"], None],
    }
    split = gl.Split(validation=0.2)
    for method in ("grid", "optuna"):
        file = tmp_path / f"{method}.db"
        trials = None if method == "grid" else 3
        found = [
            gl.tune(
                table(),
                target="y",
                split=split,
                search=search,
                method=method,  # type: ignore[arg-type]
                trials=trials,
                storage=file,
            )
            for _ in range(2)
        ]
        assert records(found[0]) == records(found[1])
        assert all(t.status == "ok" for t in found[0].trials)


def test_optuna_finds_a_good_setting_soon() -> None:
    found = searched(None, 30, "optuna")
    scores = [t.score for t in found.trials if t.score is not None]
    assert found.chosen.score is not None
    assert min(scores[15:]) <= min(scores[:15]) * 1.01
    assert np.mean(scores[15:]) < np.mean(scores[:15])


def test_one_file_holds_several_searches(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    one = searched(file, 3, "random", study="one")
    two = searched(file, 4, "optuna", study="two")
    assert (len(one.trials), len(two.trials)) == (3, 4)
    assert len(searched(file, 3, "random", study="one").trials) == 3
    other = f"sqlite:///{file}"  # as Optuna has it
    assert len(searched(other, 3, "random", study="one").trials) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"search": SEARCH | {"momentum": [0, 0.5]}}, "search differs"),
        ({"seed": 1}, "seed differs"),
        ({"method": "optuna"}, "method differs"),
        ({"score": "r2"}, "score differs"),
        ({"split": gl.Split(validation=0.2, seed=3)}, "split differs"),
        ({"intercept": False}, "fixed settings differ"),
    ],
)
def test_another_search_is_refused(
    tmp_path: Path, more: dict[str, Any], what: str
) -> None:
    file = tmp_path / "a.db"
    searched(file, 2, "random")
    method = more.pop("method", "random")
    with pytest.raises(
        gl.UsageError, match=f"another search .its {what}.*stays as it was.*--study"
    ):
        searched(file, 2, method, **more)


def test_other_data_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    searched(file, 2, "random")
    frame = table()
    frame.loc[:, "x2"] *= 1.0001  # a feature alone
    with pytest.raises(gl.UsageError, match="its data differ"):
        gl.tune(
            frame,
            target="y",
            features=FEATURES,
            split=SPLIT,
            search=SEARCH,
            method="random",
            trials=2,
            storage=file,
        )


@pytest.mark.parametrize("name", ["ü b.db", "what?.db", "50%25#.db"])
def test_names_of_files_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    searched(tmp_path / name, 2, "random")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert len(searched(tmp_path / name, 3, "random").trials) == 3


def test_hostile_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "data.csv"
    text.write_text("x,y\n1,2\n" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE mine (a)")
    base.close()
    torn = tmp_path / "torn.db"
    torn.write_bytes(b"SQLite format 3\0" + b"\xff" * 500)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for file, message in [
        (text, "is no SQLite file"),
        (other, "of something else"),
        (torn, "cannot be used to keep trials"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "a.db", "there is no folder"),
    ]:
        with pytest.raises(gl.FileError, match=message):
            searched(file, 2, "random")
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_ctrl_c_keeps_the_trials_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.db"
    true, count = boards.line_of, []

    def interrupted(*arguments: Any) -> Any:
        count.append(1)
        if len(count) == 4:
            signal.raise_signal(signal.SIGINT)
        return true(*arguments)

    monkeypatch.setattr(boards, "line_of", interrupted)
    with hearing_ctrl_c():
        stopped = searched(file, 6, "optuna")
    assert stopped.interrupted
    assert len(stopped.trials) == 3
    assert "the same call goes on" in str(stopped)
    monkeypatch.setattr(boards, "line_of", true)
    assert records(searched(file, 6, "optuna")) == records(searched(None, 6, "optuna"))


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Killed hard in the midst of trials that are trained for real."""
    file = tmp_path / "a.db"
    script = f"""
import gradline as gl, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from test_tune import table
gl.tune(table(), target="y", search={{"loss": ["huber", "absolute"],
    "degree": (1, 5)}}, method="optuna", trials=8, storage={str(file)!r})
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )

    def finished() -> int:
        try:
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as base:
                query = "SELECT count(*) FROM trials WHERE state != 'RUNNING'"
                count: int = base.execute(query).fetchone()[0]
            base.close()
        except sqlite3.Error:
            return 0
        return count

    end = time.monotonic() + 60
    while finished() < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = finished()
    named: dict[str, Any] = {
        "target": "y",
        "search": {"loss": ["huber", "absolute"], "degree": (1, 5)},
        "method": "optuna",
        "trials": 8,
    }
    found = gl.tune(table(), storage=file, **named)
    assert kept >= 2
    assert records(found) == records(gl.tune(table(), **named))


def test_nothing_is_printed_and_the_logger_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    searched(tmp_path / "a.db", 4, "optuna")
    searched(tmp_path / "a.db", 5, "optuna")
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_trials_that_do_badly_are_given_up(tmp_path: Path) -> None:
    named: dict[str, Any] = {
        "target": "y",
        "features": FEATURES,
        "split": SPLIT,
        "search": {"lr": (1e-5, 0.01, "log")},
        "batch_size": 100,
        "epochs": 18,
        "method": "optuna",
        "trials": 10,
    }
    found = gl.tune(table(), **named)
    pruned = [t for t in found.trials if t.status == "pruned"]
    assert len(pruned) >= 2
    assert {t.epochs for t in pruned} <= {2, 6}
    assert all(t.score is None for t in pruned)
    assert "of 18 epochs its validation rmse" in str(pruned[0].reason)
    assert f"{len(pruned)} pruned" in str(found)
    assert found.chosen.epochs == 18
    gl.tune(table(), storage=tmp_path / "a.db", **named | {"trials": 7})
    again = gl.tune(table(), storage=tmp_path / "a.db", **named)
    assert records(again) == records(found)
    whole = gl.tune(table(), prune=False, **named | {"trials": 3})
    assert {t.status for t in whole.trials} == {"ok"}
