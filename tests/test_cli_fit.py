"""`gradline fit`: what its options do, what it prints, what it draws."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gradline as gl
from commands import python, run, write_houses
from gradline.options import build_parser
from helpers import CERTIFICATE


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fit_prints_a_table_and_saves(capsys: pytest.CaptureFixture[str]) -> None:
    frame = write_houses()
    code, out, err = run(capsys, "fit", "houses.csv", "--target", "price")
    assert (code, err) == (0, "")
    want = gl.fit(frame, target="price")
    for term, value in [("Intercept", want.intercept), *want.coefficients.items()]:
        assert any(
            line.split()[:2] == [term, f"{value:#.6g}"] for line in out.splitlines()
        ), term
    assert "Certificate: exact." in out
    assert out.rstrip().endswith("Model saved to model.safetensors")
    loaded = gl.load("model.safetensors")
    np.testing.assert_allclose(loaded.predict(frame), want.predict(frame), rtol=1e-12)


def test_fit_json_is_the_documented_object(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    code, out, err = run(
        capsys,
        "fit",
        "houses.csv",
        "--target",
        "price",
        "--json",
        "-o",
        "m.safetensors",
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found["coefficients"]) == ["area", "town[Jena]", "town[Ulm]"]
    assert found["rows"] == 60
    assert found["method"] == "exact"
    assert found["trace"] is None
    assert found["model"] == "m.safetensors"
    assert set(found["metrics"]) == {"r2", "rmse", "mae", "rows"}
    assert set(found["certificate"]) >= set(CERTIFICATE)
    loaded = gl.load("m.safetensors")
    assert loaded.coefficients == found["coefficients"]
    assert loaded.intercept == found["intercept"]


def test_fit_json_of_a_descent_has_its_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x, y = gl.sample_linear_data(seed=0)
    pd.DataFrame({"x": x, "y": y}).to_csv("d.csv", index=False)
    words = ["fit", "d.csv", "--target", "y", "--method", "gd", "--lr", "0.1"]
    code, out, _ = run(capsys, *words, "--epochs", "50", "--seed", "3", "--json")
    assert code == 0
    found = json.loads(out)
    want = gl.fit(x, y, method="gd", lr=0.1, epochs=50, seed=3)
    assert want.trace is not None
    assert found["trace"]["epochs"] == list(range(51))
    assert found["trace"]["losses"] == pytest.approx(want.trace.losses.tolist())
    assert found["coefficients"]["x"] == pytest.approx(want.coefficients["x"])
    assert found["certificate"]["status"] == "not_converged"


def write_line() -> tuple[np.ndarray, np.ndarray]:
    x, y = gl.sample_linear_data(seed=0)
    pd.DataFrame({"x": x, "y": y}).to_csv("d.csv", index=False)
    return x, y


STEPS = ["fit", "d.csv", "--target", "y", "--lr", "0.05", "--epochs", "20"]


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("--momentum 0.9 --nesterov", {"momentum": 0.9, "nesterov": True}),
        ("--momentum 0.9 --dampening 0.3", {"momentum": 0.9, "dampening": 0.3}),
        ("--optimizer Adam", {"optimizer": "Adam"}),
        (
            "--optimizer adam --optimizer-option betas=0.8,0.9 "
            "--optimizer-option amsgrad=true --optimizer-option weight-decay=1e-3",
            {
                "optimizer": "Adam",
                "optimizer_options": {
                    "betas": (0.8, 0.9),
                    "amsgrad": True,
                    "weight_decay": 1e-3,
                },
            },
        ),
        (
            "--optimizer LBFGS --optimizer-option line_search_fn=strong_wolfe "
            "--optimizer-option history_size=5 --optimizer-option max_eval=None",
            {
                "optimizer": "LBFGS",
                "optimizer_options": {
                    "line_search_fn": "strong_wolfe",
                    "history_size": 5,
                    "max_eval": None,
                },
            },
        ),
    ],
)
def test_settings_of_descent_reach_fit(
    words: str, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = write_line()
    code, out, _ = run(capsys, *STEPS, "--json", *words.split())
    assert code == 0
    want = gl.fit(x, y, lr=0.05, epochs=20, **settings)
    assert json.loads(out)["coefficients"] == pytest.approx(want.coefficients)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.9,0.99", (0.9, 0.99)),
        ("(0.9, 0.99)", (0.9, 0.99)),
        ("[0.9]", (0.9,)),
        ("1", 1),
        ("-1e-8", -1e-8),
        ("True", True),
        ("false", False),
        ("none", None),
        ("strong_wolfe", "strong_wolfe"),
        ("'a b'", "a b"),
        ("nan", "nan"),  # no number: left for the optimiser to refuse
        ("9" * 9000, "9" * 9000),
        ("__import__('os').abort()", "__import__('os').abort()"),
        ("[" * 9000, ("",)),
    ],
)
def test_the_value_of_an_option(text: str, value: Any) -> None:
    words = ["fit", "d.csv", "--optimizer-option", f"a={text}"]
    ((name, found),) = build_parser().parse_args(words).optimizer_option
    assert (name, found) == ("a", value)
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optimizer", "Adm"], "did you mean 'Adam'"),
        (["--dampening", "0.5"], "dampening is given without momentum"),
        (["--dampening", "x"], "--dampening: invalid float value: 'x'"),
        (["--optimizer-option", "betas"], "'betas' is not NAME=VALUE, such as"),
        (["--optimizer-option", "=1"], "'=1' is not NAME=VALUE"),
        (["--optimizer-option", "lr=1"], "give lr itself, or --lr"),
        (["--optimizer-option", "momentun=1"], "did you mean 'momentum'"),
        (
            ["--optimizer-option", "eps=1", "--optimizer-option", "eps=2"],
            "--optimizer-option eps is given twice",
        ),
        (["--optimizer", "Adam", "--optimizer-option", "beta=0.9,0.9"], "'betas'?"),
        (
            ["--optimizer", "Adam", "--optimizer-option", "betas=0.9"],
            "refuses betas=0.9: give 2 values, such as (0.9, 0.999)",
        ),
        (
            ["--optimizer", "Adam", "--optimizer-option", "eps=small"],
            "refuses eps='small': give a number, such as 1e-08",
        ),
        (
            ["--optimizer", "Adam", "--optimizer-option", "amsgrad=1"],
            "refuses amsgrad=1: give True or False",
        ),
        (
            ["--optimizer", "Adam", "--optimizer-option", "capturable=true"],
            "torch.optim.Adam refuses: If capturable=True",
        ),
    ],
    ids=str,
)
def test_bad_settings_of_descent(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_line()
    code, out, err = run(capsys, *STEPS, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == ["d.csv"]  # noqa: PTH208


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text("x,z,y\n1,1,5\n2,2,5\n3,3,5\n", encoding="utf-8")
    code, out, err = run(capsys, "fit", "c.csv", "--target", "y", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert found["metrics"]["r2"] is None
    assert found["certificate"]["condition"] is None
    assert found["certificate"]["status"] == "rank_deficient"
    assert "'x', 'z' depend on one another" in err


def test_fit_options_reach_fit(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a;b,c;g;w;y\n1,5;2;1;1;2\n2,5;1;2;1;4,25\n;5;1;1;3\n4;4;2;2;8\n3;7;1;1;1\n"
    Path("semi.csv").write_text(text, encoding="cp1252")
    words = ["fit", "semi.csv", "--target", "y", "--features", 'a,"b,c",g']
    words += ["--categories", "g", "--weights", "w", "--missing", "drop"]
    words += ["--delimiter", ";", "--decimal", ",", "--encoding", "cp1252"]
    code, out, err = run(capsys, *words, "--minimum-norm", "--json")
    assert code == 0
    found = json.loads(out)
    assert list(found["coefficients"]) == ["a", "b,c", "g[2]"]
    assert (found["rows"], found["dropped"]) == (4, 1)
    assert err.startswith("gradline: note: 1 incomplete row was dropped.\n")
    assert found["inference"] is None
    assert "4 rows determine 4 coefficients exactly" in found["notes"][1]
    assert err.splitlines()[1] == f"gradline: note: {found['notes'][1]}"


def test_fit_cov(capsys: pytest.CaptureFixture[str]) -> None:
    frame = write_houses()
    words = ["fit", "houses.csv", "--target", "price", "--json"]
    plain = gl.fit(frame, target="price")
    alone = gl.fit(frame, target="price", features=["area"])
    for option, want in [
        ("classic", plain.inference()),
        ("HC3", plain.inference("HC3")),
        ("cluster:town", alone.inference(("cluster", frame["town"]))),
    ]:
        code, out, err = run(capsys, *words, "--cov", option)
        assert (code, err) == (0, "")
        found = json.loads(out)["inference"]
        assert found["cov"] == want.cov
        assert found["df"] == want.df
        assert list(found["standard_errors"]) == list(want.standard_errors)
        for term, error in want.standard_errors.items():
            assert found["standard_errors"][term] == pytest.approx(error, rel=1e-9)
    code, out, _ = run(capsys, *words[:-1], "--cov", "HC1")
    assert "Standard errors: HC1" in out
    for option, match in [("HC9", "is none of classic, HC0"), ("cluster:", "is none")]:
        code, _, err = run(capsys, *words, "--cov", option)
        assert code == 2
        assert match in err
    Path("model.safetensors").unlink()
    code, _, err = run(capsys, *words, "--features", "area", "--cov", "cluster:twon")
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean 'town'" in err
    assert not Path("model.safetensors").exists()


def test_plot(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    words = ["fit", "houses.csv", "--target", "price", "--plot", "fit.png"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert out.endswith("Model saved to model.safetensors, picture to fit.png\n")
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")


def test_surface(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    words = ["fit", "houses.csv", "--target", "price", "--surface", "loss.svg"]
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert out.endswith("Model saved to model.safetensors, picture to loss.svg\n")
    first = Path("loss.svg").read_bytes()
    assert b"<svg" in first
    code, _, _ = run(capsys, *words, "--surface-terms", "area,town[Jena]")
    assert (code, Path("loss.svg").read_bytes()) == (0, first)  # the first two terms
    code, _, _ = run(capsys, *words, "--surface-terms", "Intercept,town[Ulm]")
    assert code == 0
    assert Path("loss.svg").read_bytes() != first


def test_all_pictures_of_a_descent(capsys: pytest.CaptureFixture[str]) -> None:
    write_line()
    pictures = ["--plot", "a.png", "--plot-loss", "b.svg", "--surface", "c.pdf"]
    code, out, _ = run(capsys, *STEPS, *pictures)
    assert code == 0
    assert out.endswith("picture to a.png, picture to b.svg, picture to c.pdf\n")
    assert {"a.png", "b.svg", "c.pdf"} < set(os.listdir())  # noqa: PTH208


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--surface", "a.gif"], "cannot draw into 'a.gif': end its name in .png"),
        (["--surface", "houses.csv"], "end its name in .png"),
        (["--surface", "no/a.png"], "no folder 'no'"),
        (["--surface", "a.png", "--plot", "a.png"], "overwritten: name another file"),
        (
            ["--surface-terms", "area,Intercept"],
            "--surface-terms says what --surface draws: give --surface loss.png too",
        ),
        (
            ["--surface", "a.png", "--surface-terms", "area"],
            "--surface-terms names 1 coefficient: give two, such as area,Intercept",
        ),
        (
            ["--surface", "a.png", "--surface-terms", "a,b,c"],
            "names 3 coefficients: give two, such as a,Intercept",
        ),
        (
            ["--surface", "a.png", "--surface-terms", "aera,Intercept"],
            "the fit has no coefficient 'aera': did you mean 'area'?",
        ),
        (
            ["--surface", "a.png", "--surface-terms", "area,area"],
            "x and y are both 'area': give two coefficients",
        ),
        (["--plot-loss", "a.png"], "an exact fit has none: give --method gd"),
        (
            ["--plot-loss", "a.png", "--loss", "absolute"],
            "a fit by --loss absolute has none: give --batch-size 256",
        ),
    ],
    ids=str,
)
def test_a_picture_that_cannot_be_leaves_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_houses()
    code, out, err = run(capsys, "fit", "houses.csv", "--target", "price", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == ["houses.csv"]  # noqa: PTH208


def test_a_fit_loads_nothing_that_it_does_not_use() -> None:
    write_houses()
    unused = [
        "matplotlib", "pandas", "polars", "scipy", "sklearn", "threadpoolctl",
        "torch._dynamo",
    ]  # fmt: skip
    code = (
        "import sys; from gradline.cli import main; "
        "main(['fit', 'houses.csv', '--target', 'price']); "
        f"print('loaded:', *[m for m in {unused} if m in sys.modules])"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_the_table_says_where_moments_did_not_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = np.linspace(0, 1, 40)
    frame = pd.DataFrame({f"x{k}": x**k for k in range(1, 8)}).assign(y=np.sin(9 * x))
    frame.to_csv("powers.csv", index=False)
    _, out, _ = run(capsys, "fit", "powers.csv", "--target", "y")
    assert "(standardised design, so solved by QR)" in out
    frame[["x1", "y"]].to_csv("one.csv", index=False)
    _, out, _ = run(capsys, "fit", "one.csv", "--target", "y")
    assert "(standardised design)" in out


@pytest.mark.parametrize(
    "options",
    [
        ["--loss", "absolute"],
        ["--loss", "huber"],
        ["--method", "sgd"],
        ["--nonnegative"],
        ["--penalty", "lasso", "--alpha", "0"],
    ],
)
def test_every_way_stops_at_what_does_not_determine_a_line(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.csv").write_text(
        "x,z,y\n1,3,5\n2,3,6\n3,3,5\n4,3,8\n5,3,9\n", encoding="utf-8"
    )
    words = ["fit", "c.csv", "--target", "y", "-o", "c.safetensors", *options]
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "column 'z' of c.csv is constant" in err
    assert not Path("c.safetensors").exists()
    code, _, _ = run(capsys, *words, "--minimum-norm")
    assert code == 0


def test_a_penalty_determines_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text("x,z,y\n1,3,5\n2,3,6\n3,3,5\n4,3,8\n", encoding="utf-8")
    words = ["fit", "c.csv", "--target", "y", "--penalty", "ridge", "--alpha", "0.1"]
    code, _, _ = run(capsys, *words)
    assert code == 0


@pytest.mark.parametrize(
    ("options", "place", "text"),
    [
        (
            "--method sgd --lr 0.01 --epochs 9",
            "gradline.batchrun.Run._note",
            "with --checkpoint",
        ),
        (
            "--method sgd --lr 0.01 --epochs 9 --checkpoint run.ckpt",
            "gradline.batchrun.Run._note",
            "same command goes on from run.ckpt",
        ),
        (
            "--optimizer Adam --epochs 9",
            "gradline.quadratic.Record.add",
            "is as it was",
        ),
    ],
)
def test_ctrl_c_in_a_descent_keeps_the_model_that_was_there(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    place: str,
    text: str,
) -> None:
    write_line()
    Path("model.safetensors").write_text("mine")
    module, kind, name = place.rsplit(".", 2)
    owner = getattr(__import__(module, fromlist=[kind]), kind)
    original = getattr(owner, name)

    def interrupted(self: Any, epoch: Any, *more: Any) -> Any:
        if epoch == 3:
            raise KeyboardInterrupt
        return original(self, epoch, *more)

    monkeypatch.setattr(owner, name, interrupted)
    monkeypatch.setattr(
        "gradline.checkpoints.Checkpoint.due", lambda self, _: self.path is not None
    )
    command = ["fit", "d.csv", "--target", "y", "-o", "model.safetensors"]
    code, out, err = run(capsys, *command, *options.split())
    assert (code, out) == (130, ""), err
    assert "no model is written" in err
    assert text in err
    assert Path("model.safetensors").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "absolute", "--cov", "HC3"], "--cov HC3 is of standard errors"),
        (["--penalty", "ridge", "--cov", "HC1"], "a fit by --penalty ridge has none"),
        (["--nonnegative", "--cov", "cluster:g"], "a fit by --nonnegative has none"),
        (["--loss", "absolute", "--surface", "s.png"], "--surface draws the squared"),
        (["--loss", "huber", "--plot-loss", "s.png"], "give --batch-size 256"),
        (["--nonnegative", "--plot-loss", "s.png"], "has none: leave it out"),
        (["--method", "sgd", "--loss", "huber"], "batch_size and method='sgd'"),
        (["--loss", "mae"], "did you mean 'absolute'?"),
    ],
)
def test_what_has_no_meaning_for_a_way_to_fit(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.csv").write_text(
        "x,g,y\n1,1,5\n2,1,6\n3,2,5\n4,2,8\n5,3,9\n6,3,9\n", encoding="utf-8"
    )
    code, _, err = run(capsys, "fit", "c.csv", "--target", "y", *options)
    assert code == 2
    assert message in err
    assert not Path("model.safetensors").exists()


def test_the_advice_on_plot_loss_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{i},{(i * 7) % 11 + i}\n" for i in range(40))
    Path("c.csv").write_text("x,y\n" + rows, encoding="utf-8")
    words = ["fit", "c.csv", "--target", "y", "--loss", "absolute", "--epochs", "5"]
    words += ["--batch-size", "256", "--plot-loss", "loss.png"]
    code, _, _ = run(capsys, *words)
    assert code == 0
    assert Path("loss.png").exists()


def test_minibatches_say_that_cov_has_no_effect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # They have standard errors where they come within 1e-8 of the optimum.
    rows = "".join(f"{i},{(i * 7) % 11 + i}\n" for i in range(40))
    Path("c.csv").write_text("x,y\n" + rows, encoding="utf-8")
    words = ["fit", "c.csv", "--target", "y", "--cov", "HC3", "--batch-size", "8"]
    code, out, _ = run(capsys, *words, "--epochs", "1")
    assert code == 0
    assert "No standard errors for minibatches" in out
