"""A killed run goes on and ends with the same bits; a foreign file is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import gradline as gl
import gradline.checkpoints
from gradline.batchrun import Run
from gradline.errors import FileError, UsageError
from helpers import ROOT, hearing_ctrl_c


def data(rows: int = 500) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(rows, 3))
    return X, X @ [1.0, -2.0, 0.5] + 3 + random.normal(size=rows)


WAYS: dict[str, dict[str, Any]] = {
    "fast": {"lr": 0.05, "momentum": 0.9, "average": True},
    "auto": {},
    "adam": {"optimizer": "Adam", "lr": 0.05, "schedule": "cosine"},
    "lbfgs": {
        "optimizer": "LBFGS",
        "lr": 0.5,
        "optimizer_options": {"max_iter": 3},
    },
    "step": {"optimizer": "RMSprop", "lr": 0.05, "schedule": "StepLR:step_size=2"},
    "plateau": {"lr": 0.05, "schedule": "ReduceLROnPlateau:patience=0"},
    "onecycle": {"lr": 0.05, "momentum": 0.9, "schedule": "OneCycleLR:max_lr=0.1"},
    "huber": {"loss": "huber:1.35:1"},
    "stopping": {
        "lr": 0.02,
        "split": gl.Split(validation=0.3, seed=1),
        "early_stopping": 50,
    },
}


class Killed(Exception):
    """What ends a run in its midst, as a kill would."""


def killed_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs write a checkpoint after each turn, and die after so many."""
    kept = gradline.checkpoints.Checkpoint.save
    count = [0]

    def save(self: Any, state: Any) -> None:
        kept(self, state)
        count[0] += 1
        if count[0] == saves:
            raise Killed

    monkeypatch.setattr(gradline.checkpoints, "EVERY", -1.0)
    monkeypatch.setattr(gradline.checkpoints.Checkpoint, "save", save)


def same(one: gl.Fit, other: gl.Fit) -> None:
    assert one.coefficients == other.coefficients
    assert one.intercept == other.intercept
    assert one.trace is not None
    assert other.trace is not None
    for name in ("epochs", "losses", "weights", "intercepts"):
        np.testing.assert_array_equal(
            getattr(one.trace, name), getattr(other.trace, name)
        )
    assert one.settings == other.settings


@pytest.mark.parametrize("way", WAYS)
def test_resumed_runs_end_with_the_same_bits(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data()
    options = {"method": "sgd", "batch_size": 64, "seed": 2, **WAYS[way]}
    if way != "auto":
        options["epochs"] = 4
    monkeypatch.setattr("gradline.shuffle.BLOCK_ROWS", 64)  # a turn is a batch
    whole = gl.fit(X, y, **options)
    path = tmp_path / "run.ckpt"
    for _ in range(3):
        with monkeypatch.context() as patch:
            killed_after(5, patch)
            with pytest.raises(Killed):
                gl.fit(X, y, checkpoint=path, **options)
        assert path.exists()
    again = gl.fit(X, y, checkpoint=path, **options)
    same(again, whole)
    assert not path.exists()  # a run that ended well leaves none


SCRIPT = """
import sys, time, numpy as np, gradline as gl, gradline.checkpoints as c
c.EVERY = float(sys.argv[2])
random = np.random.default_rng(0)
X = random.normal(size=(1000, 3))
y = X @ [1.0, -2.0, 0.5] + random.normal(size=1000)
for path in (sys.argv[1], None):
    fit = gl.fit(X, y, method="sgd", optimizer="Adam", lr=1e-3, batch_size=32,
                 epochs=6, checkpoint=path)
    print(np.append(fit.slopes, fit.intercept).tobytes().hex())
"""


def test_a_run_that_was_killed_with_sigkill(tmp_path: Path) -> None:
    def begin(path: Path, every: str = "60") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path), every],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )

    path = tmp_path / "run.ckpt"
    run = begin(path, "0")
    while not path.exists():
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert path.exists()
    half = set(tmp_path.iterdir()) - {path}  # what it was about to write, if anything
    resumed, whole = begin(path).communicate()[0].split()
    assert resumed == whole
    assert set(tmp_path.iterdir()) == half


def interrupted(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """A checkpoint of a run that was killed."""
    X, y = data()
    given: dict[str, Any] = {"method": "sgd", "lr": 0.05, "epochs": 9} | options
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            gl.fit(X, y, checkpoint=path, batch_size=64, **given)


def test_ctrl_c_keeps_what_was_learned_and_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data()
    path = tmp_path / "run.ckpt"
    options: dict[str, Any] = {"method": "sgd", "lr": 0.02, "epochs": 8}
    whole = gl.fit(X, y, batch_size=64, **options)
    noted = Run._note

    def note(self: Any, epoch: int) -> bool:
        found = noted(self, epoch)
        if epoch == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return found

    with monkeypatch.context() as patch, hearing_ctrl_c():
        patch.setattr(Run, "_note", note)
        fit = gl.fit(X, y, batch_size=64, checkpoint=path, **options)
    assert fit.settings["interrupted"]
    assert fit.notes[0].startswith("stopped by Ctrl-C in epoch 4, after 8 of its 8")
    assert fit.trace is not None
    assert fit.trace.epochs[-1] == 4
    assert whole.trace is not None
    np.testing.assert_array_equal(fit.slopes, whole.trace.weights[4])
    assert path.exists()
    same(gl.fit(X, y, batch_size=64, checkpoint=path, **options), whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 32}, "with batch_size 64, and this one has 32"),
        ({"lr": 0.01}, "with lr 0.05, and this one has 0.01"),
        ({"epochs": 10}, "with epochs 9, and this one has 10"),
        ({"seed": 1}, "with seed 0, and this one has 1"),
        ({"momentum": 0.5}, "with momentum 0.0, and this one has 0.5"),
        ({"schedule": "cosine"}, "with schedule 'constant', and this one has 'cosine'"),
        ({"loss": "absolute"}, "with loss 'Squared..', and this one has 'Absolute"),
        ({"shift": 1.0}, "on other data, which have changed since"),
        ({"rows": 499}, "with rows 500, and this one has 499"),
        ({"start": gl.LinearRegression(3), "seed": 0}, "that began elsewhere"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_run_is_refused(
    options: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "run.ckpt"
    interrupted(path, monkeypatch)
    X, y = data()
    X = X[: options.get("rows", 500)] + options.pop("shift", 0.0)
    y = y[: options.pop("rows", 500)]
    given = {"batch_size": 64, "lr": 0.05, "epochs": 9} | options
    before = path.read_bytes()
    with pytest.raises(FileError, match=rf"run.ckpt is of a run .*{message}.*: remove"):
        gl.fit(X, y, method="sgd", checkpoint=path, **given)
    assert path.read_bytes() == before


def rewritten(path: Path, change: Any) -> None:
    """The checkpoint with another description or other tensors."""
    with safe_open(str(path), framework="pt") as file:
        about = json.loads(file.metadata()["gradline.checkpoint"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    change(about, tensors)
    save_file(tensors, path, metadata={"gradline.checkpoint": json.dumps(about)})


HOSTILE = {
    "newer": lambda about, _: about.update(format=2),
    "no state": lambda about, _: about.pop("state"),
    "a list": lambda about, _: about.update(state=[1, 2]),
    "no tensor": lambda about, _: about.update(state={"tensor": "nowhere"}),
    "infinite": lambda _, tensors: tensors["state.steps.theta"].fill_(torch.inf),
    "short": lambda _, t: t.update({"state.steps.theta": torch.zeros(2).double()}),
    "no numbers": lambda _, t: t.update({"state.steps.theta": torch.zeros(5).int()}),
    "where": lambda about, _: set_in(about, "where", ["a", 1]),
    "beyond": lambda about, _: set_in(about, "where", [99, 1]),
    "negative": lambda about, _: set_in(about, "where", [1, -4]),
    "lr": lambda about, _: set_in(about, "lr", "fast"),
}


def set_in(about: dict[str, Any], name: str, value: Any) -> None:
    for pair in about["state"]["pairs"]:
        if pair[0] == name:
            pair[1] = value


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_checkpoint_is_refused(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    interrupted(path, monkeypatch, lr=None)
    rewritten(path, HOSTILE[fault])
    X, y = data()
    with pytest.raises(FileError, match="run.ckpt .*remove the file to begin anew"):
        gl.fit(X, y, method="sgd", batch_size=64, epochs=9, checkpoint=path)


@pytest.mark.parametrize("key", ["lr", "betas", "params", "exp_avg", "step"])
def test_a_hostile_optimiser_state_is_refused(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    options: dict[str, Any] = {"optimizer": "Adam", "lr": 0.05, "epochs": 9}
    interrupted(path, monkeypatch, **options)
    text = path.read_bytes().decode("latin1")
    assert f'"{key}\\"' in text

    def change(about: Any, tensors: Any) -> None:
        if key in ("exp_avg", "step"):
            name = next(n for n in tensors if n.endswith(f".{key}"))
            tensors[name] = torch.zeros(7, 7).double()
            return
        about.update(json.loads(swapped(json.dumps(about), key)))

    rewritten(path, change)
    X, y = data()
    with pytest.raises(FileError, match="run.ckpt .*remove the file to begin anew"):
        gl.fit(X, y, method="sgd", batch_size=64, checkpoint=path, **options)


def swapped(text: str, key: str) -> str:
    """JSON in which the last value of a name has become a text."""
    place = text.rindex(f'["{key}", ') + len(f'["{key}", ')
    end = text.index("]", place)
    return text[:place] + '"nonsense"' + text[end + (key in ("betas", "params")) :]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    X, y = data()
    gl.fit(X, y).save(tmp_path / "model.safetensors")
    (tmp_path / "text.ckpt").write_text("hello")
    for name in ("model.safetensors", "text.ckpt"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(FileError, match=f"{name} is no checkpoint of gradline"):
            gl.fit(X, y, method="sgd", checkpoint=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(FileError, match="there is no folder"):
        gl.fit(X, y, method="sgd", checkpoint=tmp_path / "no" / "run.ckpt")
    with pytest.raises(UsageError, match="checkpoint is 3: give the path of a file"):
        gl.fit(X, y, method="sgd", checkpoint=3)
