"""Imports go one way: a file imports only from rows above it in DESIGN's layout.

ROWS is that layout, lowest first. To add a file, give it a row after everything it
imports. A package, such as plots/, is one row.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers import ROOT

PACKAGE = ROOT / "gradline"

ROWS = [
    "errors",
    "othernames",
    "kernels",
    "prefetch",
    "threads",
    "checks",
    "sinks",
    "files",
    "examples",
    "hosts",
    "listening",
    "data",
    "truths",
    "bar",
    "stopping",
    "instants",
    "rowhash",
    "parts",
    "splits",
    "synth",
    "tables",
    "writers",
    "folders",
    "npyfiles",
    "csvtext",
    "csvfiles",
    "readers",
    "intake",
    "formula",
    "grammar",
    "terms",
    "poly",
    "encode",
    "usable",
    "levels",
    "pieces",
    "design",
    "designing",
    "prepare",
    "state",
    "triangle",
    "cluster",
    "model",
    "modules",
    "objective",
    "curvature",
    "descent",
    "solvers",
    "paraboloid",
    "recurrence",
    "path",
    "quadratic",
    "refine",
    "certificate",
    "distributions",
    "evidence",
    "sandwich",
    "inference",
    "scores",
    "reported",
    "faces",
    "predicting",
    "exam",
    "reading",
    "folds",
    "foldstates",
    "crossval",
    "result",
    "survey",
    "heldout",
    "conclude",
    "retrace",
    "surface",
    "training",
    "bounds",
    "freeslopes",
    "coordinate",
    "rootstate",
    "pivoted",
    "rootsolve",
    "sparserows",
    "rowsolve",
    "lastdigits",
    "vouching",
    "withoutsklearn",
    "sklearnbase",
    "estimator",
    "ridgers",
    "leaveout",
    "ridgecv",
    "scaled",
    "shrinkage",
    "ridge",
    "choosing",
    "cv",
    "penalized",
    "penaltypath",
    "cholesky",
    "interior",
    "vertex",
    "globs",
    "ties",
    "huber",
    "apex",
    "approach",
    "robust",
    "quantiles",
    "checkpoints",
    "shuffle",
    "schedules",
    "epochs",
    "criteria",
    "stepping",
    "affine",
    "offbeat",
    "plans",
    "batchrun",
    "minibatch",
    "following",
    "learner",
    "modulejob",
    "moduleloop",
    "networks",
    "routes",
    "fitting",
    "spaces",
    "effects",
    "trials",
    "sides",
    "boards",
    "studies",
    "searches",
    "tuning",
    "curves",
    "learning",
    "validating",
    "blueprint",
    "save",
    "recipe",
    "plainscript",
    "onnxgraph",
    "sqltext",
    "export",
    "hub",
    "summary",
    "jsonlines",
    "tensorboards",
    "mlflows",
    "layout",
    "terminal",
    "probebatches",
    "probetargets",
    "probestates",
    "probesolve",
    "probescores",
    "probe",
    "probetable",
    "probing",
    "leaderboard",
    "plots",
    "liveplot",
    "report",
    "notebook",
    "lesson",
    "demo",
    "fitflags",
    "tuneflags",
    "exportflags",
    "serveflags",
    "shellflags",
    "options",
    "manual",
    "manpage",
    "roff",
    "completing",
    "pager",
    "cli_checks",
    "cli_fit",
    "cli_tune",
    "lab",
    "serving",
    "cli_lab",
    "cli_report",
    "cli_export",
    "cli_serve",
    "cli_shell",
    "cli",
]

# Imports against the order, each inside a function and each on purpose: a Fit offers
# its faces as methods, and loads one only when that method is called.
LAZY_UPWARD = {
    ("certificate", "notebook"),
    ("crossval", "notebook"),
    ("curves", "notebook"),
    ("inference", "notebook"),
    ("paraboloid", "notebook"),
    ("penaltypath", "notebook"),
    ("probe", "notebook"),
    ("probescores", "notebook"),
    ("quantiles", "notebook"),
    ("result", "notebook"),
    ("scores", "notebook"),
    ("trials", "notebook"),
    ("crossval", "plots"),
    ("penaltypath", "plots"),
    ("crossval", "terminal"),
    ("curves", "plots"),
    ("faces", "export"),
    ("faces", "hub"),
    ("probe", "probetable"),
    ("faces", "plots"),
    ("faces", "report"),
    ("faces", "retrace"),
    ("faces", "save"),
    ("faces", "surface"),
    ("scores", "terminal"),
    ("result", "terminal"),
    ("trials", "plots"),
    ("trials", "leaderboard"),
    ("quantiles", "plots"),
    ("quantiles", "terminal"),
}

# The only files that import pyarrow.
ARROW = {
    "arrows.py",
    "csvfiles.py",
    "folders.py",
    "npyfiles.py",
    "readers.py",
    "tables.py",
    "writers.py",
}
HEAVY = {"matplotlib", "numpy", "pandas", "polars", "pyarrow", "sklearn", "torch"}
RUNS_CODE = {"_pickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}


class Import(NamedTuple):
    """An imported name: its line, what it names, whether a function holds it."""

    line: int
    target: str  # dotted, "gradline.errors.DataError" for `from .errors import ...`
    lazy: bool


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """gradline/plots/ticks.py -> gradline.plots.ticks; __init__ names its package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row(module: str) -> str | None:
    """The row of a dotted module; None for gradline itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "gradline" and len(parts) > 1 else None


#: Several tests look at every file.
parsed = cache(ast.parse)


def imports(path: Path, source: str | None = None) -> Iterator[Import]:
    """Every import in a file, wherever it stands, relative ones made absolute."""
    text = path.read_text(encoding="utf-8") if source is None else source
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(child.lineno, name.name, lazy)
            elif isinstance(child, ast.ImportFrom):
                base = [child.module] if child.module else []
                if child.level:
                    base = package[: len(package) - child.level + 1] + base
                for name in child.names:
                    yield Import(child.lineno, ".".join([*base, name.name]), lazy)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, lazy or inside)

    yield from walk(parsed(text), lazy=False)


def complaints(path: Path, source: str | None = None) -> list[str]:
    """What is wrong with the imports of one file, a sentence for each."""
    own = row(dotted(path))
    if path.parent == PACKAGE and path.name in {"__init__.py", "__main__.py"}:
        return []  # they stand above every row
    if own not in ROWS:
        return [
            f"{path.name} has no row: place {own!r} in ROWS of tests/test_layers.py"
        ]
    found = []
    for line, target, lazy in imports(path, source):
        if target.split(".")[0] != "gradline":
            continue
        where = f"{path.relative_to(PACKAGE.parent)}:{line} imports {target}"
        other = row(target)
        if other is None and own == ROWS[-1]:
            continue  # nothing is above the top row, so all of gradline is below it
        if other is not None and other.startswith("__"):
            continue  # gradline.__version__
        if other not in ROWS:
            found.append(f"{where}: name the module that defines it")
        elif other == own and path.parent != PACKAGE:
            continue  # inside one package
        elif ROWS.index(other) >= ROWS.index(own) and not (
            lazy and (own, other) in LAZY_UPWARD
        ):
            found.append(f"{where}, but {other!r} is not above {own!r} in the layout")
    return found


def test_a_file_imports_only_from_rows_above_it() -> None:
    found = [complaint for path in sources() for complaint in complaints(path)]
    assert not found, "\n".join(found)


def test_rows_are_named_once_and_have_a_file() -> None:
    assert len(set(ROWS)) == len(ROWS)
    gone = set(ROWS) - {path.stem for path in PACKAGE.iterdir()}
    assert not gone, f"ROWS names {gone}, which are no files: take them out"
    unknown = {name for pair in LAZY_UPWARD for name in pair} - set(ROWS)
    assert not unknown, f"LAZY_UPWARD names {unknown}, which have no row"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("data.py", "from gradline.design import D", "'design' is not above 'data'"),
        ("data.py", "import gradline.design", "'design' is not above 'data'"),
        ("data.py", "from .design import D", "'design' is not above 'data'"),
        ("data.py", "def f():\n    from gradline import cli", "'cli' is not above"),
        ("data.py", "import gradline", "name the module that defines it"),
        ("data.py", "from gradline import fit_all", "name the module that defines it"),
        ("result.py", "from gradline.plots import p", "'plots' is not above 'result'"),
        ("plots/a.py", "from gradline.cli import main", "'cli' is not above 'plots'"),
        ("new.py", "", "place 'new' in ROWS"),
        ("data.py", "from gradline.errors import DataError", None),
        ("faces.py", "def f():\n    from gradline.plots import plot", None),
        ("plots/a.py", "from gradline.plots.b import x", None),
        ("cli.py", "import gradline", None),
        ("demo.py", "from gradline import __version__", None),
        ("__init__.py", "from gradline.cli import main", None),
    ],
)
def test_the_rule_itself(name: str, source: str, message: str | None) -> None:
    found = complaints(PACKAGE / name, source)
    if message is None:
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]


def test_no_import_cycles() -> None:
    """Holds inside packages too, where rows say nothing."""
    modules = {dotted(path): path for path in sources()}
    graph = {
        name: {
            known
            for _, target, lazy in imports(path)
            for known in (target, target.rpartition(".")[0])
            if not lazy and known in modules and known not in {"gradline", name}
        }
        for name, path in modules.items()
        if name != "gradline"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " -> ".join(error.args[1]))


def test_only_the_readers_import_pyarrow() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        for line, target, _ in imports(path)
        if target.split(".")[0] == "pyarrow" and path.name not in ARROW
    ]
    assert not found, f"pyarrow is imported outside {sorted(ARROW)}: {found}"


def code_runners(source: str) -> Iterator[tuple[int, str]]:
    """Calls that run what a file or a string says: eval, exec, torch.load and kin."""
    for node in ast.walk(parsed(source)):
        match node:
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
                yield node.lineno, "torch.load"
            case ast.Attribute(attr="read_pickle"):
                yield node.lineno, "read_pickle"
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield value.lineno, "allow_pickle"


def test_no_file_can_run_code() -> None:
    found = []
    for path in sources():
        short = path.relative_to(ROOT)
        for line, target, _ in imports(path):
            if target.split(".")[0] in RUNS_CODE or target == "torch.load":
                found.append(f"{short}:{line} imports {target}")
        for line, name in code_runners(path.read_text(encoding="utf-8")):
            found.append(f"{short}:{line} uses {name}")
    assert not found, "\n".join(found)


def test_code_runners_are_seen() -> None:
    source = "eval('1')\nexec(s)\ntorch.load(p)\nnp.load(p, allow_pickle=True)\n"
    assert sorted(code_runners(source)) == [
        (1, "eval"),
        (2, "exec"),
        (3, "torch.load"),
        (4, "allow_pickle"),
    ]
    assert not list(code_runners("model.eval()\nnp.load(p, allow_pickle=False)\n"))


@pytest.mark.parametrize(
    ("module", "file"), [("gradline", "__init__.py"), ("gradline.cli", "cli.py")]
)
def test_starting_up_loads_nothing_heavy(module: str, file: str) -> None:
    if not (PACKAGE / file).exists():
        pytest.skip(f"gradline/{file} is not there yet")
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    heavy = HEAVY.intersection(run.stdout.split())
    assert not heavy, f"import {module} loads {sorted(heavy)}; import them when needed"
