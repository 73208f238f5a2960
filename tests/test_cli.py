"""The command line from outside: a process, its streams, its exit code, its files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv
import pytest

import gradline as gl
from commands import process, python, run, write_houses
from helpers import ROOT, TOLERANCE


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_is_quick_to_load_and_names_every_command() -> None:
    code = (
        "import sys; from gradline.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'pyarrow')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout
    assert found.endswith("[]\n")
    for command in ("demo", "sample", "fit", "predict", "evaluate"):
        assert f"\n    {command} " in found


@pytest.mark.parametrize("command", ["demo", "sample", "fit", "predict", "evaluate"])
def test_every_command_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert "--json" in out


def test_predict_says_what_to_call_the_predictions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A feature may be called prediction, and data may have predictions already."""
    frame = write_houses().rename(columns={"area": "prediction"})
    frame.to_csv("houses.csv", index=False)
    run(capsys, "fit", "houses.csv", "--target", "price")
    fit = gl.load("model.safetensors")
    words = ["predict", "model.safetensors", "houses.csv", "-o", "p.csv"]
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "has a column 'prediction' already" in err
    assert "such as --column 'predicted_price'" in err
    assert not Path("p.csv").exists()
    code, out, _ = run(capsys, *words, "--column", "predicted_price", "--json")
    facts = json.loads(out)
    assert (code, facts["column"]) == (0, "predicted_price")
    assert facts["columns"] == ["predicted_price"]
    found = pd.read_csv("p.csv")
    assert list(found) == [*frame, "predicted_price"]
    np.testing.assert_allclose(found["predicted_price"], fit.predict(frame))
    code, _, _ = run(capsys, *words, "--column", "p", "--interval", "0.9")
    assert code == 0
    found = pd.read_csv("p.csv")
    assert list(found)[-3:] == ["p", "p_low", "p_high"]
    low = fit.predict(frame, interval=0.9).low
    np.testing.assert_allclose(found["p_low"], low)
    for name, message in (("", "--column is empty"), ("town", "column 'town' already")):
        code, out, err = run(capsys, *words, "--column", name)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert message in err


def test_predict_interval(capsys: pytest.CaptureFixture[str]) -> None:
    frame = write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    fit = gl.load("model.safetensors")
    words = ["predict", "model.safetensors", "houses.csv", "-o", "p.csv"]
    for extra, kind in [([], "prediction"), (["--kind", "confidence"], "confidence")]:
        code, _, err = run(capsys, *words, "--interval", "0.9", *extra)
        assert (code, err) == (0, "")
        found = pd.read_csv("p.csv")
        assert list(found)[-3:] == ["prediction", "low", "high"]
        want = fit.predict(frame, interval=0.9, kind=kind)  # type: ignore[call-overload]
        np.testing.assert_allclose(found["low"], want.low, rtol=1e-12)
        np.testing.assert_allclose(found["high"], want.high, rtol=1e-12)
    for wrong, match in [
        (["--interval", "1"], "interval is 1.0: give a share between 0 and 1"),
        (["--interval", "95"], "interval is 95.0: give a share between 0 and 1"),
        (["--kind", "confidence"], "give --interval 0.95 too"),
    ]:
        code, _, err = run(capsys, *words, *wrong)
        assert code == 2
        assert match in err


def test_predict_adds_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    frame = write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    code, out, _ = run(capsys, "predict", "model.safetensors", "houses.csv")
    assert code == 0
    assert out == "60 predictions of price written to predictions.csv\n"
    found = pd.read_csv("predictions.csv")
    assert list(found) == ["area", "town", "price", "prediction"]
    want = gl.load("model.safetensors").predict(frame)
    np.testing.assert_allclose(found["prediction"], want, rtol=TOLERANCE["float64"])
    pd.testing.assert_frame_equal(found[["area", "town", "price"]], frame)
    # New data need not have the target.
    frame.drop(columns="price").to_parquet("new.parquet")
    code, out, _ = run(
        capsys,
        "predict",
        "model.safetensors",
        "new.parquet",
        "-o",
        "p.parquet",
        "--json",
    )
    assert code == 0
    assert json.loads(out)["rows"] == 60
    np.testing.assert_allclose(pd.read_parquet("p.parquet")["prediction"], want)


def test_predict_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    code, out, _ = run(capsys, "predict", "model.safetensors", "houses.csv", "-o", "-")
    assert code == 0
    assert len(out.splitlines()) == 61
    code, _, err = run(
        capsys, "predict", "model.safetensors", "houses.csv", "-o", "-", "--json"
    )
    assert code == 2
    assert "drop one" in err


def test_predict_keeps_texts_and_long_numbers_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline.csvfiles.WHOLE_BYTES", 100)  # stream it
    frame = write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    frame["id"] = [f"{9007199254740993 + i}" for i in range(60)]
    frame["code"] = [f"{i:05d}" for i in range(60)]
    frame.to_csv("new.csv", index=False)
    code, _, _ = run(capsys, "predict", "model.safetensors", "new.csv")
    assert code == 0
    found = pd.read_csv("predictions.csv", dtype={"id": str, "code": str})
    assert found["id"].tolist() == frame["id"].tolist()
    assert found["code"].tolist() == frame["code"].tolist()


def test_evaluate_counts_the_rows_that_it_drops(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_houses()
    lines = Path("houses.csv").read_text(encoding="utf-8").splitlines()
    lines[3:5] = [",Ulm,100", "50,,200"]
    Path("holes.csv").write_text("\n".join(lines), encoding="utf-8")
    assert run(capsys, "fit", "houses.csv", "--target", "price")[0] == 0
    words = ("evaluate", "model.safetensors", "holes.csv")
    assert run(capsys, *words)[0] == 2
    _, out, _ = run(capsys, *words, "--missing", "drop")
    assert out.endswith("(58 rows, 2 incomplete dropped)\n")
    _, out, _ = run(capsys, *words, "--missing", "drop", "--json")
    assert (json.loads(out)["rows"], json.loads(out)["dropped"]) == (58, 2)
    scores = gl.load("model.safetensors").evaluate("holes.csv", missing="drop")
    assert (scores.rows, scores.dropped) == (58, 2)
    assert "dropped=2" in repr(scores)
    assert "2 more rows, incomplete, were dropped" in scores._repr_html_()


def test_names_that_are_numbers_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "2,3\n3,5\n4,6\n5,9\n"
    for head, noted in (("1,2", True), ("0,1", False), ("a,2", False)):
        Path("d.csv").write_text(f"{head}\n{rows}", encoding="utf-8")
        target = head.split(",")[1]
        for more in ((), ("--loss", "huber"), ("--batch-size", "2", "--seed", "1")):
            code, out, _ = run(capsys, "fit", "d.csv", "--target", target, *more)
            assert code == 0
            assert ("'1', '2', look like numbers: if its first" in out) is noted
    table = {"1": [1.0, 2.0, 4.0], "2": [1.0, 3.0, 4.0]}
    assert gl.fit(table, target="2").notes == ()


def test_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    frame = write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    code, out, _ = run(capsys, "evaluate", "model.safetensors", "houses.csv", "--json")
    want = gl.fit(frame, target="price").metrics
    assert code == 0
    assert json.loads(out)["metrics"] == pytest.approx(dict(want))
    code, out, _ = run(capsys, "evaluate", "model.safetensors", "houses.csv")
    assert (code, out.startswith("houses.csv: R² 0.99")) == (0, True)


@pytest.mark.parametrize("name", ["s.csv", "s.parquet", "s.arrow"])
def test_sample(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", "-n", "7", "--slope", "2", "--intercept", "1", "--noise", "0"]
    code, out, _ = run(capsys, *words, "--seed", "5", "-o", name)
    assert (code, out) == (0, f"7 points written to {name}\n")
    fit = gl.fit(name, target="y")
    assert fit.coefficients["x"] == pytest.approx(2)
    assert fit.intercept == pytest.approx(1)


def test_sample_to_stdout_and_to_its_own_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "sample", "-n", "3", "--seed", "1", "-o", "-")
    assert code == 0
    assert out.splitlines()[0].replace('"', "") == "x,y"
    assert len(out.splitlines()) == 4
    code, out, _ = run(capsys, "sample", "--json")
    assert json.loads(out)["file"] == "data.csv"
    assert len(pd.read_csv("data.csv")) == 100


def test_the_files_that_the_documents_read(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sample", "--examples")
    assert code == 0
    assert out.startswith("In docs: penguins.csv, engel.csv, flights.csv, rents.csv")
    assert Path("docs/images").is_dir()
    originals = sorted((ROOT / "docs").glob("*.csv"))
    assert len(originals) == 4
    assert [p.name for p in sorted(Path("docs").glob("*.csv"))] == [
        p.name for p in originals
    ]
    for path in originals:  # the package and docs/ hold the same
        assert Path("docs", path.name).read_bytes() == path.read_bytes(), path.name
    code, out, _ = run(capsys, "sample", "--examples", "--json")
    assert code == 0
    assert json.loads(out)["files"][0] == "docs/penguins.csv"


def test_the_documents_files_take_the_place_of_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine").mkdir()
    Path("mine/engel.csv").write_text("my own")
    code, _, err = run(capsys, "sample", "--examples", "mine")
    assert code == 2
    assert "'mine/engel.csv' is there and holds something else" in err
    assert Path("mine/engel.csv").read_text() == "my own"
    assert not Path("mine/penguins.csv").exists()
    code, _, err = run(capsys, "sample", "--examples", "mine/engel.csv")
    assert (code, "not a directory; run it in another folder" in err) == (2, True)
    for words in (["-n", "5"], ["-o", "a.csv"], ["--seed", "1"]):
        code, _, err = run(capsys, "sample", "--examples", *words)
        assert (code, f"leave out {words[0]}" in err) == (2, True)
    assert not Path("docs").exists()


def test_progress_goes_to_stderr_on_a_terminal_only() -> None:
    write_houses()
    found = process("fit", "houses.csv", "--target", "price", "--json")
    assert found.returncode == 0
    assert found.stderr == ""
    json.loads(found.stdout)


def test_a_reader_that_leaves_is_no_error_of_ours() -> None:
    python = shlex.quote(sys.executable)
    command = f"{python} -m gradline sample -n 200000 -o - | head -n 1"
    found = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.replace('"', "") == "x,y\n"
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "houses.csv", "--target", "price", "-o", "houses.csv"], "overwritten"),
        (["fit", "houses.csv", "--target", "price", "--plot", "a.gif"], "its name"),
        (["fit", "houses.csv", "--target", "price", "--plot", ""], "end its name"),
        (["fit", "houses.csv", "--target", "price", "--plot", "no/a.png"], "no folder"),
        (["fit", "houses.csv", "--target", "price", "-o", "-"], "name a file"),
        (
            [
                "fit",
                "houses.csv",
                "--target",
                "price",
                "-o",
                "a.png",
                "--plot",
                "a.png",
            ],
            "overwritten",
        ),
        (["fit", "houses.csv", "--target", "price", "--epochs", "9" * 22], "at most"),
        (["fit", "houses.csv", "--target", "price", "--seed", "9" * 22], "at most"),
        (["fit", "houses.csv", "--target", "price", "--seed", "-1"], "0 or more"),
        (["fit", "houses.csv", "--target", "price", "--features", "a\nb"], "read"),
        (["fit", "houses.csv", "--target", "price", "--features", "a,", "b"], "quoted"),
        (["predict", "houses.csv", "houses.csv", "-o", "houses.csv"], "overwritten"),
    ],
)
def test_nothing_is_destroyed_and_nothing_is_ignored(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = write_houses()
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == ["houses.csv"]  # noqa: PTH208
    pd.testing.assert_frame_equal(pd.read_csv("houses.csv"), frame)


def shell(command: str) -> subprocess.CompletedProcess[str]:
    python = shlex.quote(sys.executable)
    return subprocess.run(
        ["sh", "-c", command.replace("gradline", f"{python} -m gradline")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_closed_or_full_stdout() -> None:
    full = shell("gradline sample --json >/dev/full")
    assert full.returncode == 2
    assert full.stderr.startswith("gradline: cannot write to standard output")
    assert len(full.stderr.splitlines()) == 1
    closed = shell("gradline sample >&-")
    assert "Traceback" not in closed.stderr


def test_an_ascii_terminal() -> None:
    write_houses()
    command = "PYTHONIOENCODING=ascii gradline fit houses.csv --target price"
    found = shell(command)
    assert found.returncode == 0
    assert "R\\xb2" in found.stdout


def test_sigterm_leaves_no_temporary_file() -> None:
    """Stopped in the midst of writing predictions."""
    code = (
        "import os, signal, sys\n"
        "import gradline.writers as w\n"
        "def killed(*a):\n"
        "    a[0].write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signal.pause()\n"
        "w._writer = killed\n"
        "sys.argv = ['gradline', 'sample', '-o', 's.csv']\n"
        "from gradline.cli import run\n"
        "run()\n"
    )
    found = python("-c", code)
    assert found.returncode == 128 + 15, found.stderr
    assert os.listdir() == []  # noqa: PTH208


def test_a_quick_end_after_an_error_is_no_crash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow's threads beside torch's once aborted a quarter of such runs.

    So Arrow is given none, and the end does not wait for any.
    """
    write_houses()
    words = ["fit", "houses.csv", "--target", "price", "--features", "xx"]
    threads = []
    read = pyarrow.csv.read_csv

    def heard(body: Any, reading: Any, *options: Any) -> Any:
        threads.append(reading.use_threads)
        return read(body, reading, *options)

    monkeypatch.setattr("pyarrow.csv.read_csv", heard)
    assert run(capsys, *words)[0] == 2
    assert threads
    assert not any(threads)
    code = (
        "import atexit, sys\n"
        "atexit.register(print, 'the end of the interpreter', file=sys.stderr)\n"
        f"sys.argv = {['gradline', *words]}\n"
        "from gradline.cli import run\n"
        "run()\n"
    )
    for _ in range(2):
        found = python("-c", code)
        assert found.returncode == 2, found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_predicting_no_rows_writes_the_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    Path("none.csv").write_text("area,town\n", encoding="utf-8")
    code, _, _ = run(capsys, "predict", "model.safetensors", "none.csv")
    assert code == 0
    assert list(pd.read_csv("predictions.csv")) == ["area", "town", "prediction"]


def test_python_dash_m_and_version() -> None:
    found = process("--version")
    assert found.stdout == f"gradline {gl.__version__}\n"


# Bad usage: one line, exit 2, nothing written.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a COMMAND: demo, sample, fit, "),
        (["fitt"], "no command 'fitt' (did you mean 'fit'?); see "),
        (["zzz"], "there is no command 'zzz'; see 'gradline --help'"),
        (["it's"], 'there is no command "it\'s"; see '),
        (
            ["--versoin"],
            "no option --versoin (did you mean --version?); see 'gradline ",
        ),
        (["--json", "fit", "houses.csv"], "give it after the word fit"),
        (
            ["fit", "houses.csv", "--targt", "price"],
            "--target?); see 'gradline fit --h",
        ),
        (["fit", "houses.csv", "--penalti=ridge"], "(did you mean --penalty?)"),
        (["fit", "houses.csv", "--learning-rate", "1"], "(did you mean --lr?)"),
        (
            ["predict", "m", "houses.csv", "--zzz"],
            "gradline predict: there is no option",
        ),
        (["fit", "houses.csv", "houses.csv"], "put a pattern in quotes, so that the"),
        (["fit", "houses.csv", "--features", "a", "b"], "a list of columns is written"),
        (["fit"], "DATA"),
        (["fit", "houses.csv"], "--target, one of 'area', 'price'"),
        (["fit", "houses.csv", "--target", "pryce"], "did you mean 'price'"),
        (["fit", "houses.csv", "--target", "town"], "must hold numbers"),
        (["fit", "houses.csv", "--target", "price", "--lr", "fast"], "'fast'"),
        (["fit", "houses.csv", "--target", "price", "--lr", "9"], "stability limit"),
        (["fit", "houses.csv", "--target", "price", "--epochs", "x"], "--epochs"),
        (
            [
                "fit",
                "houses.csv",
                "--target",
                "price",
                "--method",
                "exact",
                "--lr",
                "1",
            ],
            "has no use for lr",
        ),
        (["fit", "nowhere.csv", "--target", "y"], "there is no file 'nowhere.csv'"),
        (["fit", "house.csv", "--target", "y"], "did you mean 'houses.csv'"),
        (["fit", "houses.csv", "--target", "price", "-o", "no/m"], "no folder 'no'"),
        (
            ["fit", "houses.csv", "--target", "price", "-o", "m.pkl"],
            "'m.pkl' is the name of another kind: call it 'm.safetensors'",
        ),
        (
            ["tune", "houses.csv", "--target", "price", "-o", "price.csv"],
            "'price.csv' is the name of another kind: call it 'price.safetensors'",
        ),
        (["predict", "houses.csv", "houses.csv"], "not a gradline model"),
        (["predict", "nowhere", "houses.csv"], "there is no file 'nowhere'"),
        (["sample", "-n", "0"], "n is 0"),
        (["sample", "-o", "s.xlsx"], "end its name in .csv"),
        (["sample", "--noise", "-1"], "noise is -1"),
    ],
)
def test_bad_usage(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_houses()
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == ["houses.csv"]  # noqa: PTH208


# What happens to a file, or on the way to one.

FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "header.csv": b"x,y\n",
    "one.csv": b"x,y\n1,2\n",
    "text.csv": b"x,y\n1,low\n2,high\n",
    "nan.csv": b"x,y\n1,2\nnan,3\n4,5\n",
    "inf.csv": b"x,y\n1,2\n2,inf\n4,5\n",
    "constant.csv": b"x,c,y\n1,7,2\n2,7,3\n4,7,5\n5,7,7\n",
    "twice.csv": b"x,x,y\n1,2,3\n2,3,4\n",
    "wide.csv": b"a,b,c,d,y\n1,2,3,4,5\n2,4,1,3,6\n",
    "ragged.csv": b"x,y\n1,2\n3,4,5\n6,7\n",
    "broken.parquet": b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02",
    "binary.csv": bytes(range(256)) * 8,
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.csv", "is empty"),
        ("header.csv", "has no rows"),
        ("one.csv", "has one row"),
        ("text.csv", "the target 'y' holds text, such as 'low' and must"),
        ("nan.csv", "'x' has a missing value, first in row 2"),
        ("inf.csv", "'y' is infinite, first in row 2"),
        ("constant.csv", "'c' of constant.csv is constant"),
        ("twice.csv", "more than one column called 'x'"),
        ("wide.csv", "2 rows for 5 coefficients"),
        ("ragged.csv", "3"),
        ("broken.parquet", "cannot read broken.parquet"),
        ("binary.csv", "binary.csv"),
    ],
)
def test_faulty_files(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(FILES[name])
    for words in (
        ["fit", name, "--target", "y"],
        ["fit", name, "--target", "y", "--json"],
    ):
        code, out, err = run(capsys, *words)
        assert code == 2, err
        assert out == ""
        assert message in err
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
        assert os.listdir() == [name]  # noqa: PTH208


def test_a_directory(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    code, _, err = run(capsys, "fit", "folder", "--target", "y")
    assert code == 2
    assert "is a folder" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    Path("houses.csv").chmod(0)
    code, _, err = run(capsys, "fit", "houses.csv", "--target", "price")
    assert code == 2
    assert "permission denied" in err


def test_a_full_disk_leaves_the_old_model(capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of files is a full disk that a test can have."""
    write_houses()
    run(capsys, "fit", "houses.csv", "--target", "price")
    before = Path("model.safetensors").read_bytes()
    code = (
        "import resource, signal, sys\n"
        "from gradline.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "sys.exit(main(['fit', 'houses.csv', '--target', 'price']))\n"
    )
    found = python("-c", code)
    assert found.returncode == 2
    assert "cannot write model.safetensors" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert Path("model.safetensors").read_bytes() == before
    assert sorted(os.listdir()) == ["houses.csv", "model.safetensors"]  # noqa: PTH208


def test_ctrl_c_while_reading_says_that_nothing_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_houses()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gradline.state.Moments.add_checked", interrupted)
    code, out, err = run(capsys, "fit", "houses.csv", "--target", "price")
    assert (code, out) == (130, "")
    assert "stopped by Ctrl-C" in err
    assert os.listdir() == ["houses.csv"]  # noqa: PTH208


def test_a_column_name_cannot_move_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("evil.csv").write_text("a\x1b[2J,y\n1,2\n2,3\n3,5\n", encoding="utf-8")
    code, out, _ = run(capsys, "fit", "evil.csv", "--target", "y")
    assert code == 0
    assert "\x1b" not in out


@pytest.mark.parametrize("name", ["Fläche m²", "a,b", 'the "x"', "it's", "$HOME", "-n"])
def test_a_hint_can_be_pasted_whatever_the_column_is_called(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"k{i}" for i in range(60)]
    table = {name: names, "x": np.arange(60.0), "y": np.arange(60.0) ** 2}
    pd.DataFrame(table).to_csv("odd.csv", index=False)
    words = ["fit", "odd.csv", "--target", "y"]
    code, _, err = run(capsys, *words)
    assert code == 2
    hint = err[err.index("(--exclude") + 1 : err.rindex("), or insist")]
    assert run(capsys, *words, *shlex.split(hint))[0] == 0


def test_no_target_on_a_file_with_decimal_commas_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("de.csv").write_text("Zimmer;Preis\n1;2,5\n2;3,5\n3;5,5\n", encoding="utf-8")
    _, _, err = run(capsys, "fit", "de.csv")
    wanted = (
        "one of 'Zimmer'; 'Preis' holds numbers with decimal commas: give --decimal ,"
    )
    assert wanted in err
    _, _, err = run(capsys, "fit", "de.csv", "--decimal", ",")
    assert err.endswith("--target, one of 'Zimmer', 'Preis'\n")
