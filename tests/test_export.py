"""Exports predict what the fit predicts: in torch, onnxruntime, DuckDB and SQLite."""

from __future__ import annotations

import ast
import csv
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

import gradline as gl
from commands import run
from exporting import NAMES, SAME, Case, Columns, cases, penguins
from gradline.export import exported
from helpers import ROOT

#: SQL may add up in another order, and numbers go through text.
SQL = 1e-9

#: Runs scripts in a process where gradline cannot be imported.
RUNNER = """
import json, runpy, sys
sys.modules["gradline"] = None
found = {}
for name, path, columns in json.load(open(sys.argv[1])):
    script = runpy.run_path(path)
    found[name] = script["predict"](columns, missing="nan").tolist()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def known() -> dict[str, Case]:
    return cases()


def close(found: Any, case: Case, tolerance: float) -> None:
    """The same predictions, relative to the largest, and none in the same rows."""
    found = np.array([np.nan if v is None else v for v in found], dtype=np.float64)
    assert found.shape == case.expected.shape
    scale = np.nanmax(np.abs(case.expected))
    np.testing.assert_allclose(found, case.expected, rtol=0, atol=tolerance * scale)


# PyTorch.


def isolated(*words: str) -> subprocess.CompletedProcess[str]:
    """Python without the paths of this process, and what it printed."""
    return subprocess.run(
        [sys.executable, "-I", *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def from_scripts(
    known: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[float]]:
    """What all scripts predict, in one process without gradline."""
    folder = tmp_path_factory.mktemp("scripts")
    jobs = []
    for number, (name, case) in enumerate(known.items()):
        path = folder / f"model{number}.py"
        case.fit.export(path)
        jobs.append((name, str(path), case.columns))
    (folder / "jobs.json").write_text(json.dumps(jobs))
    (folder / "runner.py").write_text(RUNNER)
    done = isolated(str(folder / "runner.py"), str(folder / "jobs.json"))
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_script(
    name: str, known: dict[str, Case], from_scripts: dict[str, list[float]]
) -> None:
    close(from_scripts[name], known[name], SAME)


def script_of(fit: gl.Fit) -> dict[str, Any]:
    """The names of a script, run in this process."""
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(compile(exported(fit, "pytorch", "m.py"), "m.py", "exec"), namespace)
    return namespace


def test_script_imports_torch_alone(known: dict[str, Case]) -> None:
    for case in known.values():
        tree = ast.parse(exported(case.fit, "pytorch", "m.py"))
        found = {
            name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert found == {"argparse", "csv", "math", "sys", "torch"}
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]


def test_script_reads_a_csv(tmp_path: Path) -> None:
    data = ROOT / "docs" / "penguins.csv"
    fit = gl.fit(
        data, formula="log(body_mass_g) ~ poly(bill_length_mm, 2)*sex", missing="drop"
    )
    fit.export(tmp_path / "model.py")
    done = isolated(str(tmp_path / "model.py"), str(data), "--missing", "nan")
    assert done.returncode == 0, done.stderr
    found = [float(line or "nan") for line in done.stdout.splitlines()]
    expected = fit.predict(data, missing="nan")
    np.testing.assert_allclose(found, expected, rtol=SAME)
    refused = isolated(str(tmp_path / "model.py"), str(data))
    assert refused.returncode == 2
    said = f"{data}: column 'bill_length_mm' has a missing value, "
    assert refused.stderr.startswith(said)
    assert "first in row 4: " in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_script_says_what_is_wrong() -> None:
    fit = gl.fit(
        {"x": [1.0, 2.0, 3.0, 5.0], "g": ["a", "b", "a", "b"], "y": [1.0, 2, 3, 5]},
        formula="y ~ log(x) + g",
    )
    predict = script_of(fit)["predict"]
    for columns, message in [
        ({"x": [1.0], "g": ["c"]}, "'g' holds 'c' in row 1, a level the model has not"),
        ({"x": ["1,5"], "g": ["a"]}, "'x' holds '1,5' in row 1: give numbers there"),
        ({"x": ["1_000"], "g": ["a"]}, "'x' holds '1_000' in row 1: give numbers"),
        ({"x": [2.0, np.inf], "g": ["a", "a"]}, "'x' is infinite in row 2"),
        ({"x": [2.0, -1.0], "g": ["a", "a"]}, r"'log\(x\)' is not a finite .* row 2"),
        ({"x": [2.0, None], "g": ["a", "a"]}, "'x' has a missing value, .* row 2"),
        ({"x": [2.0, 1.0], "g": ["a", None]}, "'g' has a missing value, .* row 2"),
        ({"x": [2.0]}, "no column 'g'"),
    ]:
        with pytest.raises(ValueError, match=message):
            predict(columns)
    rows = [{"x": 2.0, "g": "a"}, {"x": np.float64(3), "g": np.str_("b")}]
    expected = fit.predict({"x": [2.0, 3.0], "g": ["a", "b"]})
    np.testing.assert_allclose(predict(rows), expected, rtol=SAME)
    frame = {"x": torch.tensor([2.0, 3.0]).double(), "g": pa.array(["a", "b"])}
    frame["g"] = frame["g"].to_pylist()
    np.testing.assert_allclose(predict(frame), expected, rtol=SAME)


def test_script_reads_truth_and_numbers_as_a_file_has_them(tmp_path: Path) -> None:
    """true, TRUE and True are one level; a category's 3 and 3.0 from a file are two."""
    path = tmp_path / "d.csv"
    path.write_text("y,b,x\n1,true,3\n2,false,3\n4,true,5\n3,false,4\n5,true,7\n")
    fit = gl.fit(path, target="y")
    assert fit.design.levels == {"b": ("False", "True")}
    expected = fit.predict(path)
    given_bools = {"b": [True, False, True, False, True], "x": [3.0, 3, 5, 4, 7]}
    np.testing.assert_array_equal(fit.predict(given_bools), expected)
    script = script_of(fit)
    np.testing.assert_allclose(script["predict"](script["read"](path)), expected)
    np.testing.assert_allclose(script["predict"](given_bools), expected)


def test_script_reads_a_number_that_is_a_category_too(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("y,x\n1,1.0\n2,2\n4,1\n3,3\n5,3.0\n7,2.0\n9,4\n8,4\n")
    fit = gl.fit(path, formula="y ~ x + C(x)")
    script = script_of(fit)
    found = script["predict"](script["read"](path))
    np.testing.assert_allclose(found, fit.predict(path), rtol=SAME)


# ONNX.


def session(fit: gl.Fit) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        exported(fit, "onnx", "m.onnx"), providers=["CPUExecutionProvider"]
    )


def inputs(case: Case, rows: int | None = None) -> dict[str, Any]:
    """The columns as an ONNX file takes them."""
    found: dict[str, Any] = {}
    for name, values in case.columns.items():
        if name in case.fit.design.numbers:
            column = [np.nan if v is None else v for v in values]
            found[name] = np.array(column, dtype=np.float64)[:rows]
        else:
            texts = [
                f"{v:g}" if isinstance(v, float) else "" if v is None else str(v)
                for v in values
            ]
            found[name] = np.array(texts, dtype=object)[:rows]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_onnx(name: str, known: dict[str, Case]) -> None:
    case = known[name]
    model = session(case.fit)
    (found,) = model.run(None, inputs(case))
    assert found.dtype == np.float64
    close(found, case, SAME)
    for rows in (0, 1, 7):
        (part,) = model.run(None, inputs(case, rows))
        np.testing.assert_allclose(part, found[:rows], rtol=SAME)


@pytest.mark.parametrize("name", ["interactions", "functions", "both", "hostile"])
def test_onnx_by_its_reference(name: str, known: dict[str, Case]) -> None:
    """By the definition of each operator, in plain NumPy, too."""
    case = known[name]
    given = {
        name: values if values.dtype == np.float64 else values.astype(str)
        for name, values in inputs(case).items()
    }
    graph = ReferenceEvaluator(onnx.load_from_string(exported(case.fit, "onnx", "m")))
    with np.errstate(all="ignore"):
        (found,) = graph.run(None, given)
    close(found, case, SAME)


def test_onnx_takes_a_thousand_rows(known: dict[str, Case]) -> None:
    case = known["interactions"]
    some = inputs(case)
    many = {name: np.resize(values, 1000) for name, values in some.items()}
    (found,) = session(case.fit).run(None, many)
    np.testing.assert_allclose(found, np.resize(case.expected, 1000), rtol=1e-11)


def test_onnx_file_is_what_it_says(known: dict[str, Case], tmp_path: Path) -> None:
    case = known["categories"]
    case.fit.export(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["gradline"] == gl.__version__
    assert about["target"] == "body_mass_g"
    assert json.loads(about["terms"]) == list(case.fit.design.terms)
    assert about["status"] == "exact"
    assert {o.domain: o.version for o in model.opset_import} == {
        "": 17,
        "ai.onnx.ml": 2,
    }
    for value in [*model.graph.input, *model.graph.output]:
        (size,) = value.type.tensor_type.shape.dim
        assert size.dim_param == "rows"
    assert [v.name for v in model.graph.input] == list(case.fit.design.features)
    assert [v.name for v in model.graph.output] == ["prediction"]


def picky() -> gl.Fit:
    """A fit that refuses much."""
    return gl.fit(
        {
            "x": [1.0, 2.0, 3.0, 5.0, 6.0, 8.0],
            "g": ["a", "b", "a", "b", "a", "b"],
            "one": ["k"] * 6,
            "y": [1.0, 2.0, 3.0, 5.0, 4.0, 7.0],
        },
        formula="y ~ log(x) + I(1/x) + exp(x) + g + one",
    )


#: Only the first row can be predicted for.
PICKED: Columns = {
    "x": [2.0, None, np.nan, np.inf, -np.inf, -1.0, 0.0, 1e4, 2.0, 2.0, 2.0],
    "g": ["a", "a", "a", "a", "a", "a", "a", "a", "c", None, "b"],
    "one": [*["k"] * 10, "other"],
}


def test_onnx_predicts_nan_where_the_fit_refuses() -> None:
    fit = picky()
    (found,) = session(fit).run(None, inputs(Case(fit, PICKED, np.zeros(11))))
    (expected,) = fit.predict({"x": [2.0], "g": ["a"], "one": ["k"]})
    assert found[0] == pytest.approx(expected)
    assert np.isnan(found).tolist() == [False, *[True] * 10]
    steep = gl.fit({"x": [1.0, 2.0, 3.0], "y": [1e10, 2e10, 3e10]}, target="y")
    (found,) = session(steep).run(None, {"x": np.array([2.0, 1e300])})
    assert np.isnan(found).tolist() == [False, True]


def test_onnx_output_has_a_name_of_its_own() -> None:
    data = {"prediction": [1.0, 2.0, 4.0], "c0": [1.0, 0.0, 0.5], "y": [1.0, 2.0, 3.0]}
    fit = gl.fit(data, target="y")
    model = session(fit)
    assert [o.name for o in model.get_outputs()] == ["prediction_"]
    columns = {n: np.array(data[n]) for n in ("prediction", "c0")}
    np.testing.assert_allclose(model.run(None, columns)[0], fit.predict(columns))
    nameless = gl.fit({"": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 4.0]}, target="y")
    with pytest.raises(gl.UsageError, match="a feature has no name"):
        nameless.export("m.onnx")


def test_log1p_is_exact_near_0() -> None:
    x = np.array([1e-18, 3e-16, 1e-12, 1e-5, 0.7, 4e20, -0.5, 1e300])
    y = np.log1p(x) * 2
    fit = gl.fit({"x": x, "y": y}, formula="y ~ 0 + log1p(x)")
    expected = fit.predict({"x": x})
    np.testing.assert_allclose(expected, y, rtol=1e-12)
    (found,) = session(fit).run(None, {"x": x})
    np.testing.assert_allclose(found, expected, rtol=SAME)
    for engine in ENGINES:
        np.testing.assert_allclose(ENGINES[engine](fit, {"x": x.tolist()}), expected)


def test_without_onnx(
    known: dict[str, Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(gl.MissingExtraError, match=r"pip install 'gradline\[onnx\]'"):
        known["numbers"].fit.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


# SQL.


def in_duckdb(fit: gl.Fit, columns: Columns) -> list[float | None]:
    with duckdb.connect() as engine:
        engine.register("data", pa.table(columns))
        return [row[-1] for row in engine.execute(fit.to_sql()).fetchall()]


def in_sqlite(fit: gl.Fit, columns: Columns) -> list[float | None]:
    engine = sqlite3.connect(":memory:")
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    engine.execute(f"CREATE TABLE data ({names})")
    holes = ", ".join("?" * len(columns))
    engine.executemany(
        f"INSERT INTO data VALUES ({holes})", zip(*columns.values(), strict=True)
    )
    found = [row[-1] for row in engine.execute(fit.to_sql())]
    engine.close()
    return found


ENGINES = {"duckdb": in_duckdb, "sqlite": in_sqlite}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_sql(engine: str, name: str, known: dict[str, Case]) -> None:
    case = known[name]
    close(ENGINES[engine](case.fit, case.columns), case, SQL)


def test_duckdb_reads_the_file_itself() -> None:
    """Its own types: whole numbers, and true and false, as it takes them from CSV."""
    data = ROOT / "docs" / "penguins.csv"
    fit = gl.fit(
        data, formula="body_mass_g ~ year*sex + C(year) + species", missing="drop"
    )
    text = fit.to_sql(table=str(data), column="mass")
    assert text.startswith("-- body_mass_g as gradline ")
    found = duckdb.sql(text)
    assert found.columns[-1] == "mass"
    values = [np.nan if r[-1] is None else r[-1] for r in found.fetchall()]
    np.testing.assert_allclose(values, fit.predict(data, missing="nan"), rtol=SQL)


def test_sqlite_takes_text_columns_as_its_import_makes_them() -> None:
    """All are text, and what is missing is empty."""
    birds = penguins()
    fit = gl.fit(
        birds, formula="body_mass_g ~ bill_length_mm + log(year) + sex", missing="drop"
    )
    engine = sqlite3.connect(":memory:")
    engine.execute("CREATE TABLE data (bill_length_mm TEXT, year TEXT, sex TEXT)")
    names = ["bill_length_mm", "year", "sex"]
    columns = zip(*(birds[name] for name in names), strict=True)
    rows = [["" if v is None else str(v) for v in row] for row in columns]
    rows += [["12x", "2007", "male"], ["abc", "2007", "male"], ["40", "2007", "x"]]
    engine.executemany("INSERT INTO data VALUES (?, ?, ?)", rows)
    found = [r[-1] for r in engine.execute(fit.to_sql())]
    engine.close()
    assert found[-3:] == [None, None, None]
    expected = fit.predict(birds, missing="nan")
    values = [np.nan if v is None else v for v in found[:-3]]
    np.testing.assert_allclose(values, expected, rtol=SQL)


@pytest.mark.parametrize("engine", ENGINES)
def test_sql_predicts_null_where_the_fit_refuses(engine: str) -> None:
    fit = picky()
    found = ENGINES[engine](fit, PICKED)
    (expected,) = fit.predict({"x": [2.0], "g": ["a"], "one": ["k"]})
    assert found[0] == pytest.approx(expected)
    assert found[1:] == [None] * 10


def test_sql_asks_no_engine_what_is_not_defined() -> None:
    """Some stop at log(0) and 1/0, so these are never asked for."""
    text = picky().to_sql()
    x = 'CAST(t."x" AS DOUBLE PRECISION)'
    assert f"LN(CASE WHEN {x} > 0e0 THEN {x} END)" in text
    assert f"(1e0 / NULLIF({x}, 0e0))" in text


def test_a_column_that_is_not_there_is_an_error_in_sqlite() -> None:
    """Which would take an unknown "name" for text, and predict nothing."""
    fit = gl.fit({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 4.0]}, target="y")
    engine = sqlite3.connect(":memory:")
    engine.execute("CREATE TABLE data (z)")
    with pytest.raises(sqlite3.OperationalError, match="no such column: t.x"):
        engine.execute(fit.to_sql())
    engine.close()


def test_sql_of_many_columns() -> None:
    """More than a thousand: a plain sum of them would be nested too deeply."""
    X = np.random.default_rng(0).normal(size=(1300, 1200))
    fit = gl.fit(X, X.sum(axis=1))
    columns = {f"x{i + 1}": X[:5, i].tolist() for i in range(1200)}
    assert list(columns) == list(fit.design.features)
    for engine in ENGINES:
        found = ENGINES[engine](fit, columns)
        np.testing.assert_allclose(found, fit.predict(X[:5]), atol=1e-9)


def test_sql_read_as_text_has_the_same_levels(tmp_path: Path) -> None:
    """Reading a file makes \\n of \\r\\n; a literal with these would match nothing."""
    words = ["a\r\nb", "c\rd", "e\nf", "tab\tand\x85 \x1f'\"", "plain"]
    columns: Columns = {"x": [1.0, 2.0, 4.0, 7.0, 8.0, 2.0], "g": [*words, words[0]]}
    fit = gl.fit({**columns, "y": [1.0, 2, 5, 3, 7, 3]}, target="y")
    fit.export(tmp_path / "m.sql")
    assert (tmp_path / "m.sql").read_text() == fit.to_sql()
    for engine in ENGINES.values():
        np.testing.assert_allclose(engine(fit, columns), fit.predict(columns), rtol=SQL)


def test_sql_names_its_column_beside_a_feature_of_that_name() -> None:
    columns: Columns = {"prediction": [1.0, 2.0, 4.0], "Prediction_": [1.0, 0.0, 3.0]}
    fit = gl.fit({**columns, "y": [1.0, 2, 5]}, target="y")
    assert ' AS "prediction__"\n' in fit.to_sql()
    for engine in ENGINES.values():
        np.testing.assert_allclose(engine(fit, columns), fit.predict(columns), rtol=SQL)
    with pytest.raises(gl.UsageError, match="a feature of the model: give another"):
        fit.to_sql(column="Prediction")
    for empty in ("", " "):
        with pytest.raises(gl.UsageError, match="give a name, or leave it out"):
            fit.to_sql(column=empty)
        with pytest.raises(gl.UsageError, match="give a name, or leave it out"):
            fit.to_sql(table=empty)


def test_sql_refuses_what_it_cannot_say() -> None:
    fit = gl.fit(
        {"x": [1.0, 2.0, 4.0], "g": ["a\0", "b", "b"], "y": [1, 2, 3]}, target="y"
    )
    with pytest.raises(gl.UsageError, match="that no SQL may hold"):
        fit.to_sql()
    deep = "log(" * 24 + "x" + ")" * 24
    x = np.array([1.0, 2.0, 3.0, 4.0])
    plain = gl.fit({"x": x, "y": x}, formula="y ~ log(x)")
    text = plain.to_sql()
    assert "NULLIF" not in text
    from gradline.grammar import parse_numbers
    from gradline.sqltext import _expression

    with pytest.raises(gl.UsageError, match="longer than 1,000,000 letters"):
        _expression(parse_numbers(deep))


# Names and levels from elsewhere.

HOSTILE = [
    "'''; import os; os.abort() #",
    '"""); raise SystemExit(3)',
    "\\",
    "\\'",
    "x\n    import os",
    "{}{0}{terms}%s",
    "'); DROP TABLE data; --",
    '"; DROP TABLE data; --',
    "/* */ -- \r\n ;",
    "\u2028 \u202e ünï 名前 🐧",
    "$(touch pwned) `touch pwned`",
    "]]}}",
    "",
    " ",
]


def hostile_fit(name: str, one: str, other: str) -> tuple[gl.Fit, Columns]:
    columns: Columns = {
        name: [1.0, 2.0, 4.0, 7.0],
        f"{name}g": [one, other, one, other],
    }
    return gl.fit(
        {**columns, "the target": [1.0, 2, 5, 3]}, target="the target"
    ), columns


class Blank(ast.NodeTransformer):
    """Takes out what literals hold, and their signs."""

    def visit_Constant(self, _: ast.Constant) -> ast.AST:
        return ast.Constant(0)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        is_number = isinstance(node.operand, ast.Constant)
        return ast.Constant(0) if is_number else self.generic_visit(node)


def shape_of(text: str) -> str:
    """The code of a script, whatever its literals hold."""
    return ast.dump(Blank().visit(ast.parse(text)))


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_words(word: str) -> None:
    fit, columns = hostile_fit(word or "empty", f"a{word}", f"{word}b")
    check_words(fit, columns)


@settings(max_examples=40)
@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_any_words_stay_words(name: str, one: str, other: str) -> None:
    if one == other or "\0" in name + one + other or not name.strip():
        return
    fit, columns = hostile_fit(name, f"a{one}", f"a{other}")
    check_words(fit, columns)


def check_words(fit: gl.Fit, columns: Columns) -> None:
    expected = fit.predict(columns)
    plain, _ = hostile_fit("x", "a", "b")
    text = exported(fit, "pytorch", "m.py").decode("ascii")
    assert shape_of(text) == shape_of(exported(plain, "pytorch", "m.py").decode())
    np.testing.assert_allclose(script_of(fit)["predict"](columns), expected, rtol=SAME)
    for engine in ENGINES.values():
        np.testing.assert_allclose(engine(fit, columns), expected, rtol=SQL)
    given = {
        name: np.array(values, dtype=np.float64 if i == 0 else object)
        for i, (name, values) in enumerate(columns.items())
    }
    np.testing.assert_allclose(session(fit).run(None, given)[0], expected, rtol=SAME)


def test_the_name_of_the_file_is_a_word_too(tmp_path: Path) -> None:
    fit, _ = hostile_fit("x", "a", "b")
    for name in ['"""; import os; """.py', "\\x.py", "a\nb.py", "ü.py"]:
        fit.export(tmp_path / name)
        text = (tmp_path / name).read_text("ascii")
        assert shape_of(text) == shape_of(exported(fit, "pytorch", "m.py").decode())


# From Python and the command line.


def network() -> torch.nn.Module:
    layers = torch.nn.Linear(1, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)
    return torch.nn.Sequential(*layers)


def test_a_module_is_refused(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 30)
    fit = gl.fit(x, 2 * x, model=network(), epochs=5, lr=0.1, seed=0)
    for end in ("py", "onnx", "sql"):
        with pytest.raises(gl.UsageError, match=r"torch.onnx.export or torch.export"):
            fit.export(tmp_path / f"m.{end}")
    assert not list(tmp_path.iterdir())


def test_export_says_what_is_wrong(known: dict[str, Case], tmp_path: Path) -> None:
    fit = known["numbers"].fit
    with pytest.raises(gl.UsageError, match="end in .py, .onnx or .sql"):
        fit.export(tmp_path / "m.txt")
    with pytest.raises(gl.UsageError, match="let it end in .sql"):
        fit.export(tmp_path / "m.py", to="sql")
    with pytest.raises(gl.UsageError, match="give 'pytorch' or 'onnx' or 'sql'"):
        fit.export(tmp_path / "m", to="pmml")  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match="table is for SQL"):
        fit.export(tmp_path / "m.py", table="t")
    with pytest.raises(gl.FileError, match="there is no folder"):
        fit.export(tmp_path / "no" / "m.py")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def model(known: dict[str, Case], tmp_path: Path, monkeypatch: Any) -> str:
    monkeypatch.chdir(tmp_path)
    known["categories"].fit.save("model.safetensors")
    return "model.safetensors"


def test_the_command(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "export", model, "--to", "sql", "--table", "birds")
    assert code == 0
    assert out.startswith("body_mass_g as sql written to model.sql: it adds a column")
    assert Path("model.sql").read_text().endswith('FROM "birds" AS t\n')
    code, out, _ = run(capsys, "export", model, "--to", "onnx", "--json")
    facts = json.loads(out)
    assert (code, facts["output"], facts["opset"]) == (0, "prediction", 17)
    assert facts["inputs"]["species"] == "category"
    assert facts["bytes"] == Path("model.onnx").stat().st_size
    code, out, _ = run(capsys, "export", model, "-o", "line.py")
    assert code == 0
    assert "python line.py data.csv" in out
    assert "from line import predict" in Path("line.py").read_text()
    code, out, _ = run(capsys, "export", model, "--to", "pytorch", "-o", "-")
    text = Path("line.py").read_text()
    text = text.replace("python line.py", "python model.py")
    assert (code, out) == (0, text.replace("from line import", "from model import"))


def test_the_command_tells_the_column_and_quotes_the_file(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {"prediction": [1.0, 2.0, 4.0], "y": [1.0, 2, 5]}
    gl.fit(columns, target="y").save("m.safetensors")
    code, out, _ = run(capsys, "export", "m.safetensors", "--to", "sql", "--json")
    assert (code, json.loads(out)["column"]) == (0, "prediction_")
    code, out, _ = run(capsys, "export", "m.safetensors", "-o", "my model.py")
    assert code == 0
    assert "python 'my model.py' data.csv prints predictions" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say what to export to: give --to"),
        (["-o", "-"], "say what to export to: give --to"),
        (["-o", "m.txt"], "does not say what to write"),
        (["--to", "onnx", "-o", "-"], "an ONNX file is no text"),
        (["--to", "sql", "-o", "-", "--json"], "would both write to stdout"),
        (["--to", "sql", "-o", "model.safetensors"], "and would be overwritten"),
        (["--to", "onnx", "--table", "t"], "--table is for --to sql"),
        (["--to", "sql", "--table", ""], "--table is '': give a name"),
        (["--to", "sql", "--column", ""], "--column is '': give a name"),
        (["-o", "m.sql", "--column", "species"], "'species', which is a feature"),
        (["--to", "sql", "-o", "m.onnx"], "let it end in .sql"),
        (["--to", "sql", "-o", "no/m.sql"], "there is no folder"),
    ],
)
def test_the_command_refuses(
    model: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "export", model, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_command_refuses_a_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.linspace(0, 1, 30)
    fit = gl.fit(x, 2 * x, model=network(), epochs=5, lr=0.1, seed=0)
    fit.save(tmp_path / "m.safetensors")
    words = [str(tmp_path / "m.safetensors"), "--to", "sql"]
    code, out, err = run(capsys, "export", *words, "-o", str(tmp_path / "m.sql"))
    assert (code, out) == (2, "")
    assert re.search(r"torch.onnx.export\(fit.model, ...\)", err)
    assert len(err.splitlines()) == 1


def test_csv_of_the_script_needs_all_columns(tmp_path: Path) -> None:
    fit, _ = hostile_fit("x", "a", "b")
    read = script_of(fit)["read"]
    path = tmp_path / "d.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["x", "xg"], ["1", "a;b"]])
    assert read(path) == [{"x": "1", "xg": "a;b"}]
    path.write_text("x;other\n1;2\n")
    with pytest.raises(ValueError, match=r"lacks a column: it needs \['x', 'xg'\]"):
        read(path)
    path.write_text("")
    with pytest.raises(ValueError, match="lacks a column"):
        read(path)
    path.write_text("x,xg\n")
    assert script_of(fit)["predict"](read(path)).shape == (0,)
    path.write_text("x,xg\n1\n")
    with pytest.raises(ValueError, match="row 1 has 1 values and the first line has 2"):
        read(path)


def test_the_script_reads_what_a_german_spreadsheet_saves(tmp_path: Path) -> None:
    """cp1252, semicolons, decimal commas: each is an option, and each is told of."""
    rows = "Fläche m²;Lage;Preis\n81,2;süd;249,45\n60;nord;180\n95,5;süd;301,5\n"
    path, script = tmp_path / "neu.csv", str(tmp_path / "model.py")
    path.write_text(rows, encoding="cp1252")
    options: dict[str, Any] = {"decimal": ",", "encoding": "cp1252"}
    fit = gl.fit(path, target="Preis", **options)
    fit.export(script)
    expected = fit.predict(path, **options)
    words = ["--decimal", ",", "--encoding", "cp1252"]
    for more in ([], ["--delimiter", ";"], ["--missing", "nan"]):
        done = isolated(script, str(path), *words, *more)
        assert (done.returncode, done.stderr) == (0, "")
        found = [float(line) for line in done.stdout.splitlines()]
        np.testing.assert_allclose(found, expected, rtol=SAME)
    tabs = tmp_path / "tabs.csv"
    tabs.write_text(rows.replace(";", "\t"), encoding="utf-8-sig")
    done = isolated(script, str(tabs), "--delimiter", "tab", "--decimal", ",")
    assert (len(done.stdout.splitlines()), done.stderr) == (3, "")
    points = tmp_path / "points.csv"
    points.write_text(rows.replace("81,2", "1.081,2"))
    odd = tmp_path / "odd.csv"
    odd.write_bytes(b"\xff\xfea")
    for wrong, more, message in [
        (path, [], "it is not text in utf-8-sig: give --encoding, such as cp1252"),
        (path, ["--encoding", "what"], "there is no encoding 'what'"),
        (path, ["--decimal", "x"], "usage"),
        (path, words[2:], "'81,2' in row 1: give numbers there (--decimal , reads"),
        (points, ["--decimal", ","], "'1.081,2' in row 1: with --decimal , give"),
        (tabs, ["--delimiter", ","], "give --delimiter or --encoding"),
        (tabs, ["--delimiter", "ab"], "usage"),
        (tmp_path / "no.csv", [], "No such file or directory: give a CSV file"),
        (tmp_path, [], "give a CSV file"),
        (odd, [], "give --encoding"),
    ]:
        done = isolated(script, str(wrong), *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        if message != "usage":
            assert done.stderr.startswith(f"{wrong}: ")
            assert len(done.stderr.splitlines()) == 1
    done = isolated(script, "--help")
    assert done.returncode == 0
    for word in ("data.csv", "--delimiter", "--decimal", "--encoding", "--missing"):
        assert word in done.stdout
