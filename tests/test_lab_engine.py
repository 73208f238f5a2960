"""What the lab computes, against gl.fit, gl.descend and loops written by hand."""

from __future__ import annotations

import ast
import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gradline as gl
from forks import forked
from gradline.errors import GradlineError
from gradline.lab.answers import offers
from gradline.lab.bench import make_bench
from gradline.lab.datasets import READY
from gradline.lab.density import density
from gradline.lab.files import Files, open_data
from gradline.lab.mistakes import MISTAKES
from gradline.lab.session import Session
from gradline.lab.settings import BOUNDS, CHOICES, Setting, parse
from gradline.lab.words import apart, number
from gradline.readers import open_source
from gradline.save import strict_json
from helpers import ROOT


@pytest.fixture
def session() -> Iterator[Session]:
    found = Session()
    yield found
    found.close()


def run(session: Session, **setting: Any) -> dict[str, Any]:
    answer = session.answer({"type": "set", "setting": setting})
    strict_json(answer)
    return answer


def ask(session: Session, kind: str, run: dict[str, Any], **more: Any) -> Any:
    return session.answer({"type": kind, "run": run["run"], **more})


def line(n: int = 100) -> tuple[Any, Any]:
    return gl.sample_linear_data(n, 1.0, 0.0, 0.1, 0)


# Data.


@pytest.mark.parametrize("name", ["penguins", "engel", "flights"])
def test_packaged_data_are_those_of_the_docs(name: str) -> None:
    packaged = ROOT / "gradline" / "lab" / "data" / f"{name}.csv"
    assert packaged.read_bytes() == (ROOT / "docs" / f"{name}.csv").read_bytes()


@pytest.mark.parametrize("name", READY)
def test_every_set_runs_and_its_optimum_is_that_of_fit(
    session: Session, name: str
) -> None:
    found = run(session, data=name, standardize=True, lr=0.1)
    bench = make_bench(Setting(data=name))
    X, y, whole = bench.rows
    assert whole
    fit = gl.fit(X, y)
    assert found["optimum"]["parameters"] == pytest.approx(
        [*fit.slopes, fit.intercept], rel=1e-9
    )
    assert found["optimum"]["loss"] == pytest.approx(fit.certificate.loss, rel=1e-9)
    data = found["data"]
    assert data["rows"] == len(y)
    assert len(data["X"]) == len(data["y"]) == len(data["numbers"])
    assert (data["density"] is not None) == data["sampled"] == (len(y) > 2_000)


def test_points_keep_number_and_part_when_others_are_edited(session: Session) -> None:
    before = run(session, validation=0.3)["data"]
    edits = {"added": [[0.5, 3.0]], "moved": {"7": [0.9, -1.0]}, "deleted": [3, 50]}
    after = run(session, validation=0.3, edits=edits)["data"]
    old = dict(zip(before["numbers"].tolist(), before["held"].tolist(), strict=True))
    new = dict(zip(after["numbers"].tolist(), after["held"].tolist(), strict=True))
    assert set(new) == (set(old) - {3, 50}) | {100}
    assert all(new[k] == old[k] for k in new if k in old)
    place = after["numbers"].tolist().index(7)
    assert (after["x"][place], after["y"][place]) == (0.9, -1.0)


def test_noise_leaves_points_in_place() -> None:
    wide, narrow = (make_bench(Setting(data="steep", noise=v)) for v in (2, 1))
    assert np.array_equal(wide.rows.X, narrow.rows.X)


def test_categories_and_several_features(session: Session) -> None:
    features = ["species", "flipper_length_mm"]
    found = run(session, data="penguins", features=features, standardize=True, lr=0.2)
    fit = gl.fit(
        "docs/penguins.csv", target="body_mass_g", features=features, missing="drop"
    )
    assert found["data"]["terms"] == list(fit.coefficients)
    best = found["optimum"]["parameters"]
    assert best == pytest.approx([*fit.slopes, fit.intercept], rel=1e-9)


def test_the_feature_of_a_polynomial_is_known(session: Session) -> None:
    data = run(session, data="sine", degree=5)["data"]
    x = make_bench(Setting(data="sine")).rows.X[:, 0]
    assert data["x"] == pytest.approx(x, rel=1e-12)


def test_density_counts_every_row_once() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 5_000)) * [[3.0], [0.1]]
    x[4_000:] += 1_000  # the grid has to grow
    source = open_source({"x": x, "y": y})
    found = density(source, "x", "y")
    assert found is not None
    counts = found["counts"]
    assert counts.sum() == 5_000
    assert found["x"][0] <= x.min()
    assert x.max() <= found["x"][1]
    share = (x > 500).mean()
    middle = np.linspace(*found["x"], counts.shape[1] + 1)[:-1]
    assert counts[:, middle > 500].sum() / 5_000 == pytest.approx(share, abs=0.01)


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = line(30_000)
    path = tmp_path / "line.csv"
    np.savetxt(path, np.column_stack([x, y]), delimiter=",", header="x,y", comments="")
    opened = open_data(path)
    reads = []
    batches = opened.source.batches

    def counted(columns: Any) -> Any:
        reads.append(columns)
        return batches(columns)

    monkeypatch.setattr(opened.source, "batches", counted)
    session = Session(Files(opened))
    found = run(session, data="file:1", lr=0.3)
    count = len(reads)
    assert found["data"]["rows"] == 30_000
    assert found["data"]["sampled"]
    assert found["data"]["density"]["counts"].sum() == 30_000
    assert len(found["data"]["y"]) <= 2_000
    run(session, data="file:1", lr=0.4, optimizer="Adam")
    other = run(Session(Files(opened)), data="file:1", loss="huber", epochs=3)
    assert len(reads) == count
    assert "20,000 of the 30,000 rows" in other["message"] or "rows" in other["message"]
    assert found["optimum"]["parameters"] == pytest.approx(
        [gl.fit(x, y).slopes[0], gl.fit(x, y).intercept], rel=1e-9
    )
    held = run(session, data="file:1", validation=0.25)["data"]
    assert 0.2 < held["held_rows"] / 30_000 < 0.3


# Runs.


def torch_loop(
    x: Any, y: Any, start: Any, steps: int, loss: Any = None, **options: Any
) -> Any:
    """The lesson's loop: weights after each step, (steps + 1, 2)."""
    model = nn.Linear(1, 1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(start[0])
        model.bias.fill_(start[1])
    kind = getattr(torch.optim, options.pop("kind", "SGD"))
    optimizer = kind(model.parameters(), **options)
    loss_fn = nn.MSELoss() if loss is None else loss
    X, target = torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]
    found = [list(start)]
    for _ in range(steps):
        value = loss_fn(model(X), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        found.append([model.weight.item(), model.bias.item()])
    return np.array(found)


@pytest.mark.parametrize(
    ("setting", "options"),
    [
        ({}, {}),
        ({"momentum": 0.8}, {"momentum": 0.8}),
        ({"momentum": 0.8, "nesterov": True}, {"momentum": 0.8, "nesterov": True}),
        ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
        ({"optimizer": "Adam"}, {"kind": "Adam"}),
        ({"optimizer": "AdamW"}, {"kind": "AdamW", "weight_decay": 0}),
        ({"optimizer": "RMSprop"}, {"kind": "RMSprop"}),
        ({"optimizer": "Adagrad"}, {"kind": "Adagrad"}),
        ({"loss": "absolute"}, {"loss": nn.L1Loss()}),
    ],
    ids=str,
)
def test_runs_are_those_of_the_torch_loop(
    session: Session, setting: Any, options: Any
) -> None:
    found = run(session, lr=0.05, epochs=150, start=[2.0, -1.0], **setting)
    x, y = line()
    expected = torch_loop(x, y, (2.0, -1.0), 150, lr=0.05, **options)
    frames = found["frames"]
    # RMSprop and Adagrad divide by gradients that are nearly 0 in the end.
    assert frames["parameters"] == pytest.approx(expected, rel=1e-9, abs=1e-10)
    rest = y - expected[:, :1] * x - expected[:, 1:]
    size = np.abs(rest) if setting.get("loss") == "absolute" else rest**2
    assert frames["losses"] == pytest.approx(size.mean(axis=1), rel=1e-9)
    assert ask(session, "proof", found, step=150)["difference"] < 1e-9


def test_huber_is_torchs_with_the_delta_that_is_told(session: Session) -> None:
    found = run(session, data="outliers", loss="huber", lr=0.3, start=[0.0, 0.0])
    bench = make_bench(Setting(data="outliers"))
    x, y = bench.rows.X[:, 0], bench.rows.y
    delta = found["objective"]["delta"]
    loss = nn.HuberLoss(delta=delta)
    expected = torch_loop(x, y, (0.0, 0.0), 200, loss, lr=0.3)
    assert found["frames"]["parameters"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    fit = gl.fit(x, y, loss=gl.Huber(1.0, delta))
    assert found["optimum"]["loss"] == pytest.approx(fit.certificate.loss, rel=1e-9)
    grid = found["surface"]["grid"]
    losses = np.array(grid["losses"])
    assert losses.min() >= grid["base"] * (1 - 1e-12)
    at = nn.HuberLoss(delta=delta)(
        torch.from_numpy(grid["x"][3] * x + grid["y"][5]), torch.from_numpy(y)
    )
    assert losses[5, 3] == pytest.approx(float(at), rel=1e-9)
    seen = ask(session, "certificate", found, step=200)["certificate"]
    assert seen["optimum_loss"] == pytest.approx(fit.certificate.loss, rel=1e-9)
    assert "Huber" in seen["sentence"]
    assert seen["gap"] > 0


def test_minibatches_are_those_of_descend(session: Session) -> None:
    found = run(session, batch_size=30, epochs=5, seed=4, start=[0.0, 0.0])
    assert (found["per_epoch"], found["total"]) == (4, 20)
    x, y = gl.sample_linear_data(100, 1.0, 0.0, 0.1, 4)
    model = gl.LinearRegression(dtype=torch.float64)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    steps = list(gl.descend(model, x, y, lr=0.1, epochs=5, batch_size=30, seed=4))
    frames = found["frames"]
    last = [steps[-1].weight, steps[-1].bias]
    assert frames["parameters"][-1] == pytest.approx(last, rel=1e-9)
    assert frames["seen"][1:] == pytest.approx([s.loss for s in steps], rel=1e-9)
    assert ask(session, "proof", found, step=20)["difference"] < 1e-9


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("loss", ["squared", "huber", "absolute"])
def test_gradients_are_those_of_autograd(
    session: Session, standardize: bool, loss: str
) -> None:
    found = run(
        session, data="canyon", standardize=standardize, loss=loss, epochs=3, lr=0.01
    )
    X, y, _ = make_bench(Setting(data="canyon")).rows
    kind = "standardised" if standardize else "raw"
    scale, mean = (torch.from_numpy(found["inner"][kind][k]) for k in ("scale", "mean"))
    delta = found["objective"]["delta"]
    module = {"squared": nn.MSELoss(), "absolute": nn.L1Loss()}.get(loss)
    module = nn.HuberLoss(delta=delta) if module is None else module
    for k in (0, 3):
        raw = torch.from_numpy(found["frames"]["parameters"][k])
        inner = torch.cat([raw[:-1] * scale, (raw[-1] + raw[:-1] @ mean)[None]])
        inner.requires_grad_()
        z = (torch.from_numpy(X) - mean) / scale
        module(z @ inner[:-1] + inner[-1], torch.from_numpy(y)).backward()
        assert inner.grad is not None
        expected = inner.grad.numpy()
        assert found["frames"]["gradients"][k] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_divergence_begins_at_the_first_step_that_is_far(
    session: Session, momentum: float
) -> None:
    lr = 0.8 if momentum == 0 else 1.5
    found = run(session, lr=lr, momentum=momentum, epochs=100_000, start=[0.0, 0.0])
    x, y = line()
    walked = torch_loop(x, y, (0.0, 0.0), 400, lr=lr, momentum=momentum)
    losses = ((y - walked[:, :1] * x - walked[:, 1:]) ** 2).mean(axis=1)
    first = int(np.argmax(losses >= 1e12 * max(losses[0], y.var())))
    assert first
    assert found["diverged"] == found["total"] == first
    assert f"{found['limits']['limit']:.3g}" in found["message"]


def test_convergence_is_the_first_step_within_the_gap(session: Session) -> None:
    found = run(session, lr=0.3, epochs=1_000)
    lowest = found["optimum"]["loss"]
    near = ask(
        session,
        "frames",
        found,
        steps=[found["needed"] - 1, found["needed"]],
    )["frames"]["losses"]
    assert near[0] - lowest > 1e-8 * lowest >= near[1] - lowest
    assert found["converged"] == found["needed"]
    short = run(session, lr=0.3, epochs=10)
    assert short["converged"] is None
    assert short["needed"] == found["needed"]


def test_limits_hold_where_they_are_told(session: Session) -> None:
    limit = run(session)["limits"]["limit"]
    assert run(session, lr=0.999 * limit, epochs=10**5)["diverged"] is None
    assert run(session, lr=1.01 * limit, epochs=10**5)["diverged"] is not None
    for setting in ({"optimizer": "Adam"}, {"loss": "absolute"}):
        found = run(session, epochs=2, **setting)["limits"]
        assert found["limit"] is None
        assert found["note"]


def test_a_change_of_lr_computes_nothing_about_the_data_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(session, n=200)
    from gradline.lab import answers, bench

    for module, name in ((answers, "make_bench"), (bench, "loss_of")):
        monkeypatch.setattr(module, name, None)
    monkeypatch.setattr(answers, "surface", None)
    assert run(session, n=200, lr=0.31)["data"] is None


def test_certificates_say_how_far(session: Session) -> None:
    found = run(session, lr=0.3, epochs=1_000)
    early = ask(session, "certificate", found, step=5)["certificate"]
    assert "above" in early["sentence"] or "times" in early["sentence"]
    assert f"{early['epochs_needed']:,} more steps" in early["sentence"]
    late = ask(session, "certificate", found, step=1_000)["certificate"]
    assert "best line there is" in late["sentence"]
    assert late["relative_gap"] < 1e-8


def test_a_polynomial_is_called_a_curve(session: Session) -> None:
    found = run(session, data="sine", degree=3, lr=0.3, standardize=True)
    for step in (5, 200):
        sentence = ask(session, "certificate", found, step=step)["certificate"]
        assert "curve" in sentence["sentence"]
        assert "line" not in sentence["sentence"]


# Mistakes.


def test_the_gallery_is_offered() -> None:
    offered = offers()
    assert [m["name"] for m in offered["mistakes"]] == list(MISTAKES)
    assert {d["name"] for d in offered["datasets"] if d["real"]} == {
        "penguins",
        "engel",
        "flights",
    }
    parse({}) and [parse(m["setting"]) for m in offered["mistakes"]]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_does_what_it_says_and_its_fix_fixes_it(
    session: Session, name: str
) -> None:
    setting = {**MISTAKES[name].setting, "mistake": name}
    wrong = run(session, **setting)
    told = wrong["mistake"]
    assert len(told["code"]) == 5
    assert told["what"]
    assert told["notice"]
    assert told["fix"]
    facts, best = told["facts"], wrong["optimum"]["loss"]
    right = run(session, **{**setting, **told["change"]})
    assert right["mistake"] is None
    assert right["diverged"] is None
    losses = wrong["frames"]["losses"]
    if name == "no_zero_grad":
        assert losses[100:].max() > 20 * best
        assert (np.diff(np.sign(np.diff(losses))) != 0).sum() > 4  # up and down
    if name == "shapes":
        assert abs(facts["slopes"][0]) < 1e-3
        assert wrong["frames"]["parameters"][-1][1] == pytest.approx(
            facts["mean_y"], abs=1e-3
        )
    if name in ("lr_too_high", "unscaled"):
        assert wrong["diverged"] == facts["step"]
        assert losses[-1] > 1e6 * losses[0]
        assert right["converged"] is not None
    if name == "unscaled":
        assert facts["best_needed"] > 1_000 * right["needed"]
    if name == "too_early":
        assert losses[-1] > 2 * best
        assert right["converged"] == right["total"]
    if name == "float32":
        bench = make_bench(Setting(data="clock"))
        distinct = np.unique(bench.rows.X.astype(np.float32))
        assert facts["distinct"] == len(distinct) < 5
        assert np.diff(distinct).min() == facts["spacing"] == 128
        assert facts["seen"] > 3 * best
    if name == "training_score":
        assert facts["validation"] > 10 * facts["loss"]
        held = right["frames"]["validation"][-1]
        assert held < facts["validation"] / 10
        assert held < 5 * right["frames"]["losses"][-1]
    else:
        assert right["frames"]["losses"][-1] < 1.1 * best


# Sentences.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123"),
        (-1234.4, "−1,234"),
        (1.21e11, "1.21×10¹¹"),
        (-7.46e-4, "−7.46×10⁻⁴"),
        (999.9, "1,000"),
        (2.0, "2"),
        (0, "0"),
    ],
)
def test_numbers_are_written_as_on_the_page(value: float, text: str) -> None:
    assert number(value) == text


def test_numbers_that_differ_look_different() -> None:
    assert apart(3.1001e-6, 3.1e-6) == ("3.1001×10⁻⁶", "3.1×10⁻⁶")


def test_standardising_leaves_the_first_line_where_it_is(session: Session) -> None:
    for data in ("line", "penguins", "clock", "canyon"):
        first = [
            run(session, data=data, standardize=s, lr=1e-12)["frames"]["parameters"][0]
            for s in (False, True)
        ]
        assert first[0] == pytest.approx(first[1], rel=1e-12), data


def test_just_above_the_limit_it_is_said_what_will_happen(session: Session) -> None:
    limit = run(session)["limits"]["limit"]
    found = run(session, lr=1.0001 * limit, epochs=10)
    assert found["over_limit"]
    assert found["diverged"] is None
    assert "sooner or later the loss turns upward" in found["message"]
    assert not run(session, lr=0.9 * limit)["over_limit"]


def test_a_perfect_fit_is_said_to_exist(session: Session) -> None:
    found = run(session, noise=0, epochs=20)
    assert found["optimum"]["perfect"]
    told = ask(session, "certificate", found, step=5)["certificate"]
    assert told["sentence"].startswith("A perfect fit exists; at step 5")
    assert told["gap"] <= told["loss"]
    assert not run(session)["optimum"]["perfect"]


def test_rows_left_out_are_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,2\n2,\n3,5\n4,7\n", encoding="utf-8")
    data = run(Session(Files(open_data(path))), data="file:1")["data"]
    assert (data["rows"], data["dropped"]) == (3, 1)
    assert data["rows_said"] == "3 rows; 1 more left out, where a value is missing"


def test_a_constant_column_is_called_constant(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,2\n1,3\n1,5\n", encoding="utf-8")
    session = Session(Files(open_data(path, target="y", features=["x"])))
    found = run(session, data="file:1")
    assert found["message"].startswith("'x' is constant")
    told = ask(session, "certificate", found, step=3)["certificate"]
    assert "leave out 1" not in told["advice"]


def test_a_run_says_which_exports_it_has_and_what_its_loss_is(session: Session) -> None:
    assert set(run(session)["exports"].values()) == {None}
    assert "degree 1" in run(session, data="sine", degree=3)["exports"]["movie"]
    found = run(session, loss="huber")
    assert found["objective"]["note"].startswith("Errors up to ")


def test_the_certificate_names_its_step_and_the_proof_is_a_sentence(
    session: Session,
) -> None:
    found = run(session, lr=0.9, epochs=500)
    told = ask(session, "certificate", found, step=400)
    assert (told["asked"], told["step"]) == (400, found["total"])
    assert told["partial"]
    found = run(session)
    assert not ask(session, "certificate", found, step=9)["partial"]
    said = ask(session, "proof", found, step=200)["sentence"]
    assert said.startswith(
        "I ran the plain PyTorch loop for 200 steps: weight and bias"
    )
    wrong = run(session, mistake="shapes", lr=0.3, epochs=300)
    assert wrong["mistake"]["facts"]["step"] == 300
    said = ask(session, "proof", wrong, step=3)
    assert said["difference"] is None
    assert said["sentence"].endswith(".")


# Scripts and other exports.

KINDS: dict[str, dict[str, Any]] = {
    "closed": {"data": "steep"},
    "momentum": {"momentum": 0.9, "lr": 0.05},
    "nesterov": {"momentum": 0.9, "nesterov": True, "lr": 0.05},
    "adam": {"optimizer": "Adam"},
    "decay": {"weight_decay": 0.3},
    "batches": {"batch_size": 7, "seed": 3},
    "huber": {"data": "outliers", "loss": "huber", "batch_size": 30},
    "standardised": {"data": "clock", "standardize": True},
    "degree": {"data": "sine", "degree": 6, "standardize": True, "validation": 0.3},
    "categories": {
        "data": "penguins",
        "features": ["species", "flipper_length_mm"],
        "standardize": True,
    },
    "flights": {"data": "flights", "standardize": True},
    "diverged": {"lr": 0.8},
    "no_zero_grad": {"mistake": "no_zero_grad"},
    "shapes": {"mistake": "shapes"},
    "float32": {"data": "clock", "standardize": True, "mistake": "float32"},
}


def execute(text: str, folder: Path) -> Any:
    names = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert names <= {"torch", "numpy", "csv", "math"}
    (folder / "run.py").write_text(text, encoding="utf-8")
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    done = forked("run.py", folder=folder, env=env)
    assert done.returncode == 0, done.stderr
    weight, bias = done.stdout.splitlines()
    return [
        *ast.literal_eval(weight.removeprefix("weight ")),
        float(bias.removeprefix("bias ")),
    ]


def test_scripts_end_where_the_lab_does(session: Session, tmp_path: Path) -> None:
    texts, expected = [], []
    for setting in KINDS.values():
        found = run(session, epochs=40, **setting)
        step = min(found["total"], 37)
        texts.append(ask(session, "export", found, what="script", step=step)["text"])
        frames = ask(session, "frames", found, steps=[step])["frames"]
        expected.append(frames["parameters"][0])
    for text in texts:
        assert "gradline" not in text.split("\n", 1)[1]
    code = "".join(f"exec({text!r}, {{}})\n" for text in texts)
    (tmp_path / "all.py").write_text(code, encoding="utf-8")
    done = forked("all.py", folder=tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for kind, weight, bias, there in zip(
        KINDS, lines[0::2], lines[1::2], expected, strict=True
    ):
        here = [*ast.literal_eval(weight[7:]), float(bias[5:])]
        assert here == pytest.approx(there.tolist(), rel=1e-6), kind


def test_a_script_of_a_hostile_file_only_computes(tmp_path: Path) -> None:
    name = 'x"\'\n"""; import os #\u2028z'
    title = "da'ta\".csv"
    x, y = line(3_000)
    rows = "".join(
        f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True)
    )
    quoted = name.replace('"', '""')
    path = tmp_path / title
    path.write_text(f'"{quoted}",y\nNA,1\n{rows}', encoding="utf-8", newline="")
    session = Session(Files(open_data(path, target="y", features=[name])))
    found = run(session, data="file:1", epochs=20)
    text = ask(session, "export", found, what="script", step=20)["text"]
    assert "csv.reader" in text
    here = execute(text, tmp_path)
    assert here == pytest.approx(found["frames"]["parameters"][-1].tolist(), rel=1e-6)


def test_a_script_reads_true_and_false_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "flags.csv"
    x, y = line(3_000)
    words = ["true", "FALSE", "True", "false"]
    rows = "".join(
        f"{a!r},{words[i % 4]},{b!r}\n"
        for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True))
    )
    path.write_text("x,flag,y\n" + rows, encoding="utf-8")
    session = Session(Files(open_data(path, target="y", features=["x", "flag"])))
    found = run(session, data="file:1", epochs=20)
    text = ask(session, "export", found, what="script", step=20)["text"]
    here = execute(text, tmp_path)
    assert here == pytest.approx(found["frames"]["parameters"][-1].tolist(), rel=1e-6)


def test_models_pictures_and_movies(session: Session, tmp_path: Path) -> None:
    found = run(session, data="steep", epochs=50)
    kept = {}
    for what in ("model", "picture", "movie"):
        answer = ask(session, "export", found, what=what, step=30)
        kept[what] = base64.b64decode(answer["base64"])
    path = tmp_path / "model.safetensors"
    path.write_bytes(kept["model"])
    loaded = gl.load(path)
    there = found["frames"]["parameters"][30]
    assert [*loaded.slopes, loaded.intercept] == pytest.approx(there, rel=1e-12)
    assert kept["picture"].startswith(b"\x89PNG")
    assert kept["movie"].startswith(b"GIF89")
    with pytest.raises(GradlineError, match="no export"):
        ask(session, "export", found, what="pickle", step=30)
    two = run(session, data="canyon", epochs=5)
    with pytest.raises(GradlineError, match="one numeric feature"):
        ask(session, "export", two, what="movie", step=5)


# Whatever comes in.

ODD = [None, True, -1, 0, 1.5, 1e300, 10**400, "", "x" * 2_000, [], {}, [[1]], "file:9"]


def message(random: Any) -> Any:
    """A message that may mean something, or nothing."""

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    if random.random() < 0.1:
        return pick(ODD)
    kind = pick(["set", "set", "set", "frames", "certificate", "proof", "export", "no"])
    if kind != "set":
        found = {"type": kind, "run": pick([1, 2, 3, None]), "step": pick([0, 5, *ODD])}
        return found | {"steps": pick([[0, 1], [10**9], *ODD]), "what": pick(ODD)}
    setting: dict[str, Any] = {}
    for name, (low, high) in BOUNDS.items():
        if random.random() < 0.25:
            value = low + (high - low) * random.random() ** 8
            setting[name] = int(value) if isinstance(low, int) else value
    for name, known in CHOICES.items():
        if random.random() < 0.4:
            setting[name] = pick(known)
    setting["data"] = pick(list(READY))
    setting["n"] = pick([2, 5, 300])
    setting["epochs"] = pick([1, 50, 1_000_000])
    if random.random() < 0.1:
        setting["mistake"] = pick(list(MISTAKES))
    if random.random() < 0.3:
        setting[pick([*BOUNDS, "data", "features", "edits", "start", "axes"])] = pick(
            ODD
        )
    if random.random() < 0.3:
        setting["edits"] = {
            "added": [[1, 2], [1e100, 0]][: int(random.integers(3))],
            "moved": {str(pick([0, 1, 99])): [1e-300, -1e100]},
            "deleted": [0, 1, 2][: int(random.integers(4))],
        }
    return {"type": "set", "setting": setting}


def test_no_message_breaks_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradline.lab import answers

    monkeypatch.setattr(answers, "BUDGET", 0.01)
    random = np.random.default_rng(5)
    session = Session()
    answered = 0
    for _ in range(300):
        sent = message(random)
        try:
            answer = session.answer(sent)
        except GradlineError:
            continue
        assert len(strict_json(answer)) < 4_000_000
        answered += 1
    assert answered > 30
    assert run(session)["type"] == "run"
