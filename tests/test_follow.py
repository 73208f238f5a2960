"""Following a run: JSON lines, TensorBoard, MLflow, the bar, the live picture.

What is written is held against the steps themselves, and read back by TensorBoard's own
reader and by MLflow's own client. Nothing leaves this machine.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gradline as gl
from gradline import bar, liveplot
from gradline.cli import main
from gradline.sinks import Tags, numbers_of, scalars_of
from helpers import ROOT

XY = gl.sample_linear_data(n=60, slope=2.0, intercept=1.0, noise=0.1, seed=3)


def steps(epochs: int = 25, **more: Any) -> Iterator[gl.Step]:
    torch.manual_seed(0)
    return gl.descend(gl.LinearRegression(), *XY, lr=0.1, epochs=epochs, **more)


def lines(path: Path) -> list[dict[str, Any]]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = path.read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


class Odd:
    """A step of somebody else's, with whatever numbers."""

    def __init__(self, epoch: int, loss: float, **more: Any) -> None:
        self.epoch, self.loss = epoch, loss
        vars(self).update(more)


# JSON lines.


def test_every_step_is_written_and_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    seen = list(gl.log_jsonl(steps(), path, params={"lr": 0.1}))
    first, *rest, end = lines(path)
    assert first["event"] == "run"
    assert first["run"] == 1
    assert first["params"] == {"lr": 0.1}
    assert "torch" in first
    assert end["ending"] == "finished"
    assert end["steps"] == len(seen) == 25
    assert len(rest) == 25
    for line, step in zip(rest, seen, strict=True):
        assert line == {
            "run": 1,
            "epoch": step.epoch,
            "loss": step.loss,
            "gradient_norm": step.gradient_norm,
            "weight": step.weight,
            "bias": step.bias,
        }


def test_the_first_each_nth_and_the_last_step(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    gl.last(gl.log_jsonl(steps(), path, every=10))
    (run,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in run.steps] == [1, 10, 20, 25]


def test_other_steps_are_not_looked_at(tmp_path: Path) -> None:
    """Looking at a number waits for the device."""
    looked: list[int] = []

    class Lazy:
        def __init__(self, epoch: int) -> None:
            self.epoch = epoch

        @property
        def loss(self) -> float:
            looked.append(self.epoch)
            return 1.0

    made = map(Lazy, range(1, 31))
    gl.last(gl.log_jsonl(made, tmp_path / "run.jsonl", every=10))
    assert sorted(set(looked)) == [1, 10, 20, 30]


def test_batches_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    seen = list(gl.log_jsonl(steps(3, batch_size=20), path))
    (run,) = gl.read_jsonl(path)
    assert [(s["epoch"], s.get("batch", 1)) for s in run.steps] == [
        (s.epoch, s.batch) for s in seen
    ]
    assert len(seen) == 9


def test_a_file_that_is_there_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    gl.last(gl.log_jsonl(steps(2), path))
    before = path.read_bytes()
    gl.last(gl.log_jsonl(steps(3), path, params={"again": True}))
    assert path.read_bytes().startswith(before)
    first, second = gl.read_jsonl(path)
    assert (first.number, second.number) == (1, 2)
    assert (len(first.steps), len(second.steps)) == (2, 3)
    assert second.params == {"again": True}


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(gl.FileError, match=r"data\.csv is there and holds no runs"):
        gl.log_jsonl(steps(), path)
    with pytest.raises(gl.FileError, match="holds no runs"):
        gl.read_jsonl(path)
    assert path.read_text() == "x,y\n1,2\n"


def test_no_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(gl.FileError, match="there is no folder") as refused:
        gl.log_jsonl(steps(), tmp_path / "not" / "run.jsonl")
    assert " -o" not in str(refused.value)  # an option of the command line
    with pytest.raises(gl.FileError, match=r"make it first or name another place$"):
        gl.live_plot(steps(), path=tmp_path / "not" / "live.png")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Another is suggested where its own name is near, not its ending alone."""
    (tmp_path / "r.jsonl").touch()
    (tmp_path / "first.jsonl").touch()
    with pytest.raises(gl.FileError, match=r"zzz\.jsonl': check the path$"):
        gl.read_jsonl(tmp_path / "zzz.jsonl")
    for wrong in ("frist.jsonl", "first.json", "first"):
        with pytest.raises(gl.FileError, match=r"did you mean .*first\.jsonl'"):
            gl.read_jsonl(tmp_path / wrong)


def test_a_line_cut_short_is_no_trouble(tmp_path: Path) -> None:
    """What kill -9 leaves: the reader skips it, and the next run begins a line."""
    path = tmp_path / "run.jsonl"
    gl.last(gl.log_jsonl(steps(3), path))
    text = path.read_text()
    path.write_text(text[: text.rindex('"bias"')])  # in the middle of epoch 3
    (cut,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in cut.steps] == [1, 2]
    assert cut.ending is None
    gl.last(gl.log_jsonl(steps(2), path))
    assert [len(run.steps) for run in gl.read_jsonl(path)] == [2, 2]


def test_nan_and_infinity_are_null(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    odd = [Odd(1, math.nan, weight=math.inf), Odd(2, 1.0, weight=[1.0, -math.inf])]
    gl.last(gl.log_jsonl(odd, path))
    _, first, second, _ = lines(path)
    assert first["loss"] is None
    assert first["weight"] is None
    assert second["weight"] == [1.0, None]


def test_left_early_the_last_step_is_there_and_the_file_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    source = steps(1000)
    for step in gl.log_jsonl(source, path, every=100):
        if step.epoch == 42:
            break
    assert next(source, None) is None  # closed too
    (run,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in run.steps] == [1, 42]
    assert run.ending == "left"


def test_an_error_in_the_loop_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    def loop() -> None:
        for step in gl.log_jsonl(steps(), path, every=100):
            assert 1 / (7 - step.epoch)

    with pytest.raises(ZeroDivisionError):
        loop()
    (run,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in run.steps] == [1, 7]
    assert run.ending == "left"


def test_bound_to_a_name_a_block_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    source = steps(1000)
    with gl.log_jsonl(source, path, every=100) as run:
        for step in run:
            if step.epoch == 42:
                break
        assert gl.read_jsonl(path)[-1].ending is None  # it could go on
        assert next(run).epoch == 43
    assert next(source, None) is None
    (found,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in found.steps] == [1, 43]
    assert found.ending == "left"
    again = gl.log_jsonl(steps(), path)
    next(again)
    again.close()
    again.close()
    assert next(again, None) is None
    with gl.log_jsonl(steps(3), path) as run:
        gl.last(run)
    endings = [found.ending for found in gl.read_jsonl(path)]
    assert endings == ["left", "left", "finished"]


class Trouble(BaseException):
    """What no `except Exception` catches, as Ctrl-C."""


@pytest.mark.parametrize("error", [ValueError("mine"), Trouble(), StopIteration(3)])
def test_an_error_in_a_block_is_seen_by_all_followers(
    error: BaseException, tmp_path: Path
) -> None:
    inner, outer = tmp_path / "inner.jsonl", tmp_path / "outer.jsonl"
    source = steps()

    def block() -> None:
        with gl.log_jsonl(gl.progress(gl.log_jsonl(source, inner)), outer) as run:
            for step in run:
                if step.epoch == 7:
                    raise error

    with pytest.raises(type(error)) as caught:
        block()
    assert caught.value is error
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "block"  # and nothing of ours behind it
    assert next(source, None) is None
    for path in (inner, outer):
        (found,) = gl.read_jsonl(path)
        assert [s["epoch"] for s in found.steps] == list(range(1, 8))
        assert found.ending == "failed"
        assert found.end is not None
        assert found.end["error"].startswith(type(error).__name__)


def test_an_error_before_the_first_step_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with pytest.raises(ValueError, match="early"), gl.log_jsonl(steps(), path):
        raise ValueError("early")
    assert not path.exists()


def test_an_error_after_the_last_step_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = gl.log_jsonl(steps(), path)
    gl.last(run)
    with pytest.raises(ValueError, match="late"), run:
        raise ValueError("late")
    assert gl.read_jsonl(path)[-1].ending == "finished"


def test_divergence_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    x, y = XY
    running = gl.descend(gl.LinearRegression(), 100 * x, y, lr=1.0)
    with pytest.raises(gl.DivergenceError, match="stability limit"):
        gl.last(gl.log_jsonl(running, path))
    (run,) = gl.read_jsonl(path)
    assert run.ending == "failed"
    assert run.end is not None
    assert run.end["error"].startswith("DivergenceError: SGD with lr 1 diverges")
    assert run.steps


def test_ctrl_c_leaves_whole_lines(tmp_path: Path) -> None:
    """In a process of its own, in the middle of a descent."""
    path = tmp_path / "run.jsonl"
    code = (
        "import gradline as gl, sys\n"
        "x, y = gl.sample_linear_data(n=50, slope=1, intercept=0, noise=0.1, seed=0)\n"
        "s = gl.descend(gl.LinearRegression(), x, y, lr=0.01, epochs=10**8)\n"
        "for step in gl.log_jsonl(s, sys.argv[1]):\n"
        "    if step.epoch == 5: print('running', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode != 0
    found = lines(path)  # each a whole one
    assert found[-1]["event"] == "end"
    assert found[-1]["ending"] in ("failed", "left")
    (run,) = gl.read_jsonl(path)
    assert [s["epoch"] for s in run.steps] == list(range(1, len(run.steps) + 1))


def test_a_full_disk_is_one_sentence() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(gl.FileError, match="no space left"):
        gl.last(gl.log_jsonl(steps(), "/dev/full"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([1, 2], "yield a int, which has no epoch"),
        ([Odd(1, None)], "which has no loss"),  # type: ignore[arg-type]
        (7, "follows steps and was given a int"),
        ("steps", "follows steps and was given a str"),
    ],
)
def test_what_are_no_steps(wrong: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(gl.UsageError, match=message):
        gl.last(gl.log_jsonl(wrong, tmp_path / "run.jsonl"))


def test_a_fit_is_pointed_to_its_steps(tmp_path: Path) -> None:
    fit = gl.fit(*XY)
    with pytest.raises(gl.UsageError, match=r"its descent is fit\.steps\(\)"):
        gl.log_jsonl(fit, tmp_path / "run.jsonl")  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match="every is 0"):
        gl.log_jsonl(steps(), tmp_path / "run.jsonl", every=0)
    with pytest.raises(gl.UsageError, match="params is a list"):
        gl.log_jsonl(steps(), tmp_path / "run.jsonl", params=[])  # type: ignore[arg-type]


# What is written of a step.


def test_any_module_has_its_parameters_written_by_name() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(30, 3))
    net = nn.Sequential(nn.Linear(3, 50), nn.ReLU(), nn.Linear(50, 1)).double()
    step = gl.last(gl.descend(net, x, x[:, :1], lr=0.01, epochs=2))
    assert step is not None
    found = numbers_of(step)
    assert found["0.weight_norm"] == pytest.approx(
        float(torch.linalg.vector_norm(step.parameters["0.weight"])), rel=1e-12
    )  # 150 numbers are too many
    assert len(found["0.bias"]) == 50
    assert found["2.bias"] == float(step.parameters["2.bias"])
    assert scalars_of(step)["0.bias/49"] == float(step.parameters["0.bias"][49])


def test_the_steps_of_a_fit() -> None:
    x = np.random.default_rng(1).normal(size=(80, 2))
    data = {"a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, 2.0] + 3}
    fit = gl.fit(data, target="y", method="gd", lr=0.1, epochs=30, seed=0)
    assert fit.trace is not None
    found = list(fit.steps())
    assert [s.epoch for s in found] == fit.trace.epochs.tolist()
    assert [s.loss for s in found] == fit.trace.losses.tolist()
    assert found[-1].weight == fit.coefficients
    assert found[-1].bias == fit.intercept
    model = gl.LinearRegression(2, dtype=torch.float64)
    with torch.no_grad():  # the same start, walked by the loop
        model.weight.copy_(
            torch.tensor([[*found[0].weight.values()]], dtype=torch.float64)
        )
        model.bias.fill_(found[0].bias)
    walked = list(gl.descend(model, x, data["y"][:, None], lr=0.1, epochs=30))
    # A Step's loss is that before its update, so that of the epoch before.
    for step, before in zip(walked, found, strict=False):
        assert step.loss == pytest.approx(before.loss, rel=1e-9)
    with pytest.raises(gl.DataError, match="an exact fit has no epochs"):
        gl.fit(*XY).steps()


def test_names_stay_different() -> None:
    tags = Tags()
    names = ["weight/sex[male]", "weight/sex(male)", "weight/a//b", "weight/../x", "é"]
    found = [tags.of(name) for name in names]
    assert found == [
        "weight/sex_male",
        "weight/sex_male_2",
        "weight/a/b",
        "weight/x",
        "é",
    ]
    assert [tags.of(name) for name in names] == found


# TensorBoard.


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    folder = tmp_path / "runs" / "first"
    about = {"lr": 0.1, "optimizer": "SGD", "momentum": None}
    seen = list(gl.log_tensorboard(steps(), folder, every=5, params=about))
    found = accumulator.EventAccumulator(str(folder))
    found.Reload()
    kept = [s for s in seen if s.epoch == 1 or s.epoch % 5 == 0]
    for name in ("loss", "gradient_norm", "weight", "bias"):
        events = found.Scalars(name)
        assert [e.step for e in events] == [s.epoch for s in kept]
        values = [getattr(s, name) for s in kept]
        assert [e.value for e in events] == pytest.approx(values, rel=1e-6)  # float32
    plugin = found.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert b"optimizer" in plugin.content
    assert len(list(folder.iterdir())) == 1  # one run, one file


def test_tensorboard_keeps_runs_apart(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    gl.last(gl.log_tensorboard(steps(2), tmp_path / "a"))
    with pytest.raises(gl.FileError, match="holds a run already.*a-2"):
        gl.log_tensorboard(steps(2), tmp_path / "a")
    (tmp_path / "file").write_text("x")
    with pytest.raises(gl.FileError, match="is a file: name a folder"):
        gl.log_tensorboard(steps(2), tmp_path / "file")


def test_tensorboard_is_flushed_when_left_early(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    for step in gl.log_tensorboard(steps(), tmp_path, every=100):
        if step.epoch == 9:
            break
    found = accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [e.step for e in found.Scalars("loss")] == [1, 9]


@pytest.mark.parametrize(
    ("module", "call", "hint"),
    [
        ("torch.utils.tensorboard", "log_tensorboard", r"'gradline\[tensorboard\]'"),
        ("mlflow", "log_mlflow", "pip install mlflow$"),
    ],
)
def test_what_is_not_installed(
    module: str,
    call: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    where = [tmp_path] if call == "log_tensorboard" else []
    with pytest.raises(gl.MissingExtraError, match=hint):
        getattr(gl, call)(steps(), *where)


# MLflow.


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """MLflow on a database of these tests' own, which takes a while to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "true")
        known = pytest.importorskip("mlflow")
        folder = tmp_path_factory.mktemp("mlflow")
        before = known.get_tracking_uri()
        known.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        yield folder
        known.set_tracking_uri(before)


@pytest.fixture
def mlflow(tracking: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An experiment of each test's own."""
    import mlflow as known

    where = (tracking / request.node.name).as_uri()
    made = known.create_experiment(request.node.name, where)
    known.set_experiment(experiment_id=made)
    yield known
    while known.active_run() is not None:
        known.end_run()


# Of MLflow's own database code.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def only_run(mlflow: Any) -> Any:
    (run,) = mlflow.search_runs(output_format="list")
    return run


@quiet
def test_mlflow_steps_make_a_run(mlflow: Any) -> None:
    about = {"lr": 0.1, "split": {"seed": 0}, "nothing": None}
    seen = list(gl.log_mlflow(steps(), every=5, params=about))
    assert mlflow.active_run() is None  # it ended what it had started
    run = only_run(mlflow)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1", "split.seed": "0"}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    kept = [s for s in seen if s.epoch == 1 or s.epoch % 5 == 0]
    found = sorted((m.step, m.value) for m in history)
    assert found == [(s.epoch, s.loss) for s in kept]
    assert run.data.metrics["weight"] == seen[-1].weight


@quiet
def test_mlflow_writes_to_the_active_run_and_leaves_it(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        for step in gl.log_mlflow(steps()):
            if step.epoch == 4:
                break
        active = mlflow.active_run()
        assert active is not None
        assert active.info.run_id == run.info.run_id
        assert active.info.status == "RUNNING"
    assert only_run(mlflow).data.metrics["loss"] == step.loss


@quiet
def test_mlflow_is_told_of_failure(mlflow: Any) -> None:
    x, y = XY
    running = gl.descend(gl.LinearRegression(), 100 * x, y, lr=1.0)
    with pytest.raises(gl.DivergenceError):
        gl.last(gl.log_mlflow(running))
    assert only_run(mlflow).info.status == "FAILED"


@quiet
def test_mlflow_is_told_of_an_error_in_a_block(mlflow: Any) -> None:
    def block(error: BaseException) -> None:
        with gl.log_mlflow(steps()) as run:
            next(run)
            raise error

    for error in (ValueError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            block(error)
        assert mlflow.active_run() is None
    found = mlflow.search_runs(output_format="list")
    assert sorted(run.info.status for run in found) == ["FAILED", "KILLED"]


@quiet
def test_two_descents_are_not_mixed_into_one_mlflow_run(mlflow: Any) -> None:
    first = gl.log_mlflow(steps(), params={"lr": 0.1})
    for step in first:
        if step.epoch == 3:
            break
    second = gl.log_mlflow(steps(), params={"lr": 0.2})
    with pytest.raises(gl.UsageError, match=r"still writing .* its \.close\(\)"):
        gl.last(second)
    with pytest.raises(gl.UsageError, match="still writing"):
        gl.log_fit_mlflow(gl.fit(*XY))
    first.close()
    assert mlflow.active_run() is None
    assert only_run(mlflow).data.metrics["loss"] == step.loss
    gl.last(gl.log_mlflow(steps(2), params={"lr": 0.2}))
    assert len(mlflow.search_runs(output_format="list")) == 2


@quiet
def test_mlflow_refusal_is_a_sentence(mlflow: Any) -> None:
    gl.last(gl.log_mlflow(steps(2), params={"lr": 0.1}))
    run = only_run(mlflow)
    with (
        mlflow.start_run(run_id=run.info.run_id),
        pytest.raises(gl.UsageError, match="MLflow refuses: "),
    ):
        gl.last(gl.log_mlflow(steps(2), params={"lr": 0.2}))  # params never change


@quiet
def test_a_fit_in_mlflow(mlflow: Any, tracking: Path) -> None:
    data = {"a b[c]": XY[0], "y": XY[1]}
    fit = gl.fit(data, target="y", method="gd", lr=0.2, epochs=40)
    run_id = gl.log_fit_mlflow(fit)
    run = only_run(mlflow)
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["method"] == "gd"
    assert run.data.params["epochs"] == "40"
    assert run.data.tags["certificate.status"] == "not_converged"
    assert run.data.tags["certificate.advice"] == fit.certificate.advice
    metrics = run.data.metrics
    assert metrics["train/r2"] == fit.metrics.r2
    assert metrics["certificate/gap"] == fit.certificate.gap
    assert metrics["coefficient/a_b_c"] == fit.coefficients["a b[c]"]
    history = mlflow.MlflowClient().get_metric_history(run_id, "loss")
    assert len(history) == 41
    folder = tracking / "test_a_fit_in_mlflow" / run_id / "artifacts"
    again = gl.load(folder / "model.safetensors")
    assert again.coefficients == fit.coefficients
    about = json.loads((folder / "fit.json").read_text())
    assert about["certificate"]["status"] == "not_converged"
    with pytest.raises(gl.UsageError, match="give a fit of gl.fit"):
        gl.log_fit_mlflow(steps())  # type: ignore[arg-type]


# The bar.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_of_epochs_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    seen = list(gl.progress(steps(batch_size=20), 25))
    assert len(seen) == 75
    shown = screen.getvalue()
    assert "25/25" in shown
    assert f"loss {seen[-1].loss:.6g}" in shown


def test_no_bar_in_a_pipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gl.last(gl.progress(steps(), 25))
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 7}\n" for i in range(50)))
    gl.fit(path, target="y", progress=True)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(gl.UsageError, match="total is 0"):
        gl.progress(steps(), 0)


def test_progress_true_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(bar.progress_bar, "__kwdefaults__", None, raising=False)
    titles: list[str] = []
    inner = bar.progress_bar
    monkeypatch.setattr(
        bar, "progress_bar", lambda t, n, **k: titles.append(t) or inner(t, n, **k)
    )
    fit = gl.fit({"x": XY[0], "y": XY[1]}, target="y", progress=True)
    fit.influence(progress=True)
    gl.fit({"x": XY[0], "y": XY[1]}, target="y", progress=False)
    assert len(titles) == 2
    for wrong in ("yes", 1):
        with pytest.raises(gl.UsageError, match=rf"progress is {wrong!r}: give True"):
            gl.fit({"x": XY[0], "y": XY[1]}, target="y", progress=wrong)


# The live picture.


def test_a_picture_is_drawn_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "live.svg"
    gl.last(gl.live_plot(steps(), *XY, path=path))
    text = path.read_text()
    assert text.startswith("<?xml")
    with pytest.raises(gl.UsageError, match=r"end the name in \.png"):
        gl.live_plot(steps(), *XY, path=tmp_path / "live.txt")
    with pytest.raises(gl.ShapeError, match="x has 3 rows and y 60"):
        gl.live_plot(steps(), XY[0][:3], XY[1], path=path)
    with pytest.raises(gl.UsageError, match="needs x and y"):
        gl.live_plot(steps(), XY[0], path=path)


def drawn(monkeypatch: pytest.MonkeyPatch, running: Any, *data: Any) -> list[Any]:
    """The figures of a run, all of them, without writing."""
    figures: list[Any] = []
    monkeypatch.setattr(liveplot, "save_figure", lambda f, _: figures.append(f))
    gl.last(gl.live_plot(running, *data, path="unwritten.png"))
    return figures


def test_the_last_picture_is_of_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[gl.Step] = []
    figures = drawn(monkeypatch, (seen.append(s) or s for s in steps()), *XY)
    line, loss, weights = figures[-1].axes
    last = seen[-1]
    ends = line.lines[-1].get_xydata()
    assert ends[:, 1] == pytest.approx(last.weight * ends[:, 0] + last.bias)
    assert loss.get_title(loc="left").startswith("epoch 25: loss ")
    assert loss.lines[0].get_ydata()[-1] == last.loss
    assert weights.lines[0].get_ydata()[-1] == last.weight
    assert len(line.lines[0].get_xdata()) == 60


def test_points_may_be_tensors_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.tensor(XY[0], requires_grad=True), torch.tensor(XY[1])
    y[3] = math.nan
    figures = drawn(monkeypatch, steps(), x[:, None], y)
    assert len(figures[-1].axes[0].lines[0].get_xdata()) == 59
    with pytest.raises(gl.UsageError, match="no finite pair"):
        gl.live_plot(steps(), [math.nan], [1.0], path="unwritten.png")


def test_several_features_have_no_line_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    running = gl.descend(gl.LinearRegression(3), X, X[:, :1], epochs=5, batch_size=10)
    figures = drawn(monkeypatch, running, X, X[:, 0])
    loss, weights = figures[-1].axes
    assert loss.get_title(loc="left").startswith("batch 20: loss ")
    assert weights.get_xlabel() == "batch"
    assert len(weights.lines) == 4


def test_pictures_are_few_and_far_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten a second at the most, however fast the steps are."""
    clock = itertools.count(step=0.001)
    monkeypatch.setattr(liveplot.time, "monotonic", lambda: next(clock))
    figures = drawn(monkeypatch, (Odd(k, 1 / k) for k in range(1, 1001)))
    assert 5 <= len(figures) <= 12  # in about 1.0 s of that clock
    assert len(figures[-1].axes) == 1


def test_long_runs_keep_some_of_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveplot, "_KEPT", 50)
    clock = itertools.count(step=1e-6)
    monkeypatch.setattr(liveplot.time, "monotonic", lambda: next(clock))
    figures = drawn(monkeypatch, (Odd(k, 1 / k, weight=k) for k in range(1, 1001)))
    loss, weights = figures[-1].axes
    x = loss.lines[0].get_xdata()
    assert len(x) <= 52
    assert (x[0], x[-1]) == (1, 1000)
    assert np.array_equal(weights.lines[0].get_ydata(), x)


def test_a_line_that_runs_away_is_drawn_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = [1.0, 1e200, math.inf, math.nan]
    odd = [Odd(k, v, weight=v, bias=0.0) for k, v in enumerate(numbers, 1)]
    figures = drawn(monkeypatch, odd, *XY)
    assert figures[-1].axes[0].get_title(loc="left") == "the line ran away"


def test_neither_notebook_nor_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "agg")
    with pytest.raises(gl.UsageError, match=r"give path='live\.png'"):
        gl.live_plot(steps(), *XY)


def test_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that says it has windows; its canvas counts what it is shown."""
    import matplotlib.pyplot as plt

    monkeypatch.setattr(liveplot, "_has_windows", lambda _: True)
    shown: list[bool] = []
    monkeypatch.setattr(plt, "show", lambda block: shown.append(block))
    before = plt.get_fignums()
    gl.last(gl.live_plot(steps(), *XY))
    opened = [n for n in plt.get_fignums() if n not in before]
    assert len(opened) == 1  # one window, however many pictures
    assert shown == [False]
    picture = plt.figure(opened[0]).axes[0].images[0].get_array()
    assert picture is not None
    assert len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0)) > 50
    plt.close(opened[0])


# Together, and on the command line.


def test_consumers_stand_one_inside_another(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    inner = gl.log_jsonl(steps(), path)
    outer = gl.live_plot(gl.progress(inner, 25), path=tmp_path / "live.png")
    for step in outer:
        if step.epoch == 3:
            break
    del outer, inner
    (run,) = gl.read_jsonl(path)
    assert run.ending == "left"
    assert len(run.steps) == 3
    assert (tmp_path / "live.png").read_bytes().startswith(b"\x89PNG")


def test_last_of_nothing() -> None:
    assert gl.last([]) is None
    assert gl.last(iter([1, 2])) == 2


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = XY
    rows = "".join(f"{a},{b}\n" for a, b in zip(x, y, strict=True))
    Path("data.csv").write_text("x,y\n" + rows)
    fit = ["fit", "data.csv", "--target", "y", "--log", "run.jsonl"]
    assert main([*fit, "--method", "gd", "--epochs", "20"]) == 0
    assert "epochs added to run.jsonl" in capsys.readouterr().out
    (run,) = gl.read_jsonl("run.jsonl")
    fitted = gl.load("model.safetensors")
    assert run.params["data"] == "data.csv"
    assert run.params["epochs"] == 20
    assert run.steps[-1]["weight"] == fitted.coefficients
    assert [s["epoch"] for s in run.steps] == list(range(21))
    assert main([*fit, "--method", "gd", "--epochs", "5", "--json"]) == 0
    assert len(gl.read_jsonl("run.jsonl")) == 2
    capsys.readouterr()
    Path("model.safetensors").unlink()
    assert main(fit) == 2
    said = capsys.readouterr().err
    assert "this fit has none: give --method gd" in said
    assert not Path("model.safetensors").exists()
    assert main([*fit[:-1], "data.csv"]) == 2
    assert main([*fit[:-1], "nowhere/run.jsonl"]) == 2
