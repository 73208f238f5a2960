"""What an installed gradline must do: scripts/package runs it in an empty environment.

    python -P installed.py alone      nothing but the wheel and what it needs is there
    python -P installed.py extras     says the extras that a user may ask for, a,b,c
    python -P installed.py together   they are installed too

It needs nothing but the standard library and the installed package, writes into a
folder of its own, and stops at the first thing that is not so.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

#: For each extra: a module that it brings, and code that needs it. `fit` is there.
PROBES = {
    "tune": (
        "optuna",
        "gl.tune('houses.csv', target='price', method='optuna', trials=3, "
        "search={'penalty': ['ridge'], 'alpha': (0.01, 1.0)})",
    ),
    "sklearn": (
        "sklearn",
        "gl.LinearRegressor().fit([[1.0], [2.0], [4.0]], [1, 2, 3])",
    ),
    "onnx": ("onnx", "fit.export('houses.onnx')"),
    "hub": ("huggingface_hub", "fit.save_pretrained('pretrained')"),
    "tensorboard": (
        "tensorboard",
        "x, y = gl.sample_linear_data(seed=0); "
        "steps = gl.descend(gl.LinearRegression(), x, y, lr=0.1, epochs=3); "
        "gl.last(gl.log_tensorboard(steps, 'runs/first'))",
    ),
    "notebook": (
        "ipykernel",
        "from IPython.display import HTML; HTML(fit._repr_html_())",
    ),
}

#: Whose absence gradline itself has to tell; a notebook brings its own IPython.
TOLD = set(PROBES) - {"notebook"}


def main(stage: str) -> None:
    if stage == "extras":
        sys.stdout.write(",".join(extras()) + "\n")
        return
    assert set(PROBES) == set(extras()), f"PROBES should hold {extras()}"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_houses()
        checks = {
            "alone": [whereabouts, commands, lesson, library, lab, missing_extras],
            "together": [whereabouts, library, present_extras],
        }[stage]
        for check in checks:
            start = time.perf_counter()
            check()
            seconds = time.perf_counter() - start
            sys.stdout.write(
                f"installed, {stage}: {check.__name__} ({seconds:.1f} s)\n"
            )
            sys.stdout.flush()
        os.chdir("/")


def extras() -> list[str]:
    """Those that are for users: not the tools of development."""
    told = importlib.metadata.metadata("gradline").get_all("Provides-Extra") or []
    return sorted(set(told) - {"dev", "bench"})


def write_houses() -> None:
    rows = [f"{a},{3 * a + (a * 7) % 5},{'ab'[a % 2]}" for a in range(30, 90)]
    Path("houses.csv").write_text("\n".join(["area,price,town", *rows]) + "\n")


def gradline(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The installed command, as a user starts it."""
    program = Path(sys.executable).parent / "gradline"
    run = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert run.returncode == code, f"gradline {words}: {run.returncode}\n{run.stderr}"
    return run


def whereabouts() -> None:
    """The package is the installed one, whole, and knows its version."""
    import gradline as package

    assert package.__file__ is not None
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__
    version = importlib.metadata.version("gradline")
    assert gradline("--version").stdout == f"gradline {version}\n"
    assert (Path(package.__file__).parent / "py.typed").exists()
    for name in package.__all__:
        assert getattr(package, name) is not None


def is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def commands() -> None:
    """Each command on a file, as a user types it."""
    module = subprocess.run(
        [sys.executable, "-m", "gradline", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert module.stdout == gradline("--help").stdout
    told = json.loads(
        gradline("fit", "houses.csv", "--target", "price", "--json").stdout
    )
    assert abs(told["coefficients"]["area"] - 3) < 0.1, told["coefficients"]
    gradline("predict", "model.safetensors", "houses.csv", "--interval", "0.9")
    header = Path("predictions.csv").read_text().partition("\n")[0].replace('"', "")
    assert header == "area,price,town,prediction,low,high", header
    scores = gradline("evaluate", "model.safetensors", "houses.csv", "--json").stdout
    assert json.loads(scores)["metrics"]["r2"] > 0.99
    gradline("report", "model.safetensors", "--data", "houses.csv")
    assert "<svg" in Path("report.html").read_text(encoding="utf-8")
    gradline("tune", "houses.csv", "--target", "price", "--plot", "tune.png")
    assert Path("tune.png").stat().st_size > 5_000
    assert "complete -" in gradline("completion", "bash").stdout
    assert "SYNOPSIS" in gradline("help", "fit").stdout
    wrong = gradline("fit", "houses.csv", "--target", "pryce", code=2).stderr
    assert wrong.startswith("gradline: ")
    assert len(wrong.splitlines()) == 1


def lesson() -> None:
    """The demo, and the script that it leaves behind."""
    json.loads(gradline("demo", "--json", "--out", "demo").stdout)
    for name in (
        "data.csv",
        "fit.png",
        "learning.gif",
        "lesson.py",
        "model.safetensors",
    ):
        assert (Path("demo") / name).stat().st_size > 100, name
    subprocess.run(
        [sys.executable, "-P", "lesson.py"],
        cwd="demo",
        check=True,
        capture_output=True,
        env={**os.environ, "MPLBACKEND": "agg"},
    )


def library() -> None:
    import gradline as gl

    x, y = gl.sample_linear_data(n=200, slope=2, intercept=1, noise=0.01, seed=0)
    fit = gl.fit(x, y)
    assert abs(fit.coefficients["x"] - 2) < 0.01
    fit.save("line.safetensors")
    assert gl.load("line.safetensors").predict(x[:3]).shape == (3,)


def lab() -> None:
    """The lab starts, and serves its page with all that the page is made of."""
    page = importlib.resources.files("gradline.lab").joinpath("page")
    root = Path(str(page))
    assets = [path for path in sorted(root.rglob("*")) if path.is_file()]
    assert len(assets) > 30, assets
    program = Path(sys.executable).parent / "gradline"
    words = ["lab", "--no-browser", "--port", "0", "--json"]
    with subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            told = ""
            while not told.endswith("}\n"):
                line = run.stdout.readline()
                assert line, f"the lab has ended: {told}"
                told += line
            address = json.loads(told)["address"]
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert answer.read() == (root / "index.html").read_bytes()
            for path in assets:
                name = path.relative_to(root).as_posix()
                where = f"{address.rstrip('/')}/{name}"
                if name != "index.html":
                    with urllib.request.urlopen(where, timeout=20) as answer:
                        assert answer.read() == path.read_bytes(), name
        finally:
            run.send_signal(signal.SIGINT)
            code = run.wait(20)
    assert code == 130, code


def probe(extra: str) -> subprocess.CompletedProcess[str]:
    """Run the code that needs an extra, in a process of its own."""
    before = "import gradline as gl; fit = gl.fit('houses.csv', target='price')"
    code = f"{before}\n{PROBES[extra][1]}\n"
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )


def missing_extras() -> None:
    """What needs an extra says which, with a command that can be pasted."""
    for module, _ in PROBES.values():
        assert not is_there(module), f"{module} came with the bare wheel"
    for extra in sorted(TOLD):
        last = probe(extra).stderr.splitlines()[-1]
        assert "MissingExtraError" in last, f"{extra}: {last}"
        assert f"pip install 'gradline[{extra}]'" in last, last
    words = "tune houses.csv --target price --search penalty=ridge --sampler optuna"
    told = gradline(*words.split(), code=2).stderr
    assert "pip install 'gradline[tune]'" in told, told
    assert len(told.splitlines()) == 1, told


def present_extras() -> None:
    for extra, (module, _) in PROBES.items():
        assert is_there(module), module
        done = probe(extra)
        assert done.returncode == 0, f"{extra}: {done.stderr}"


if __name__ == "__main__":
    main(sys.argv[1])
