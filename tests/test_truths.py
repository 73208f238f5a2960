"""True and false are one pair of levels, however a file writes them and who reads."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gradline as gl
from commands import run
from gradline.export import exported
from gradline.serving.app import Service
from gradline.serving.limits import Limits
from gradline.serving.schema import _value
from gradline.serving.server import Served, make_service
from gradline.truths import spellings, truths

X = [3.0, 3.0, 5.0, 4.0, 7.0, 8.0]
Y = [1.0, 2.0, 4.0, 3.0, 5.0, 9.0]
B = [True, False, True, False, True, False]

WRITINGS = {
    "true": ["true" if b else "false" for b in B],
    "True": ["True" if b else "False" for b in B],
    "TRUE": ["TRUE" if b else "FALSE" for b in B],
}
#: Ways in which b becomes a category.
FITS: dict[str, dict[str, Any]] = {
    "as it is": {"target": "y"},
    "C(b)": {"formula": "y ~ C(b) + x"},
    "categories": {"target": "y", "categories": ["b"]},
}


def written(folder: Path, writing: str) -> Path:
    path = folder / f"{writing}.csv"
    rows = zip(Y, WRITINGS[writing], X, strict=True)
    path.write_text("y,b,x\n" + "".join(f"{y},{b},{x}\n" for y, b, x in rows))
    return path


def givens(folder: Path) -> dict[str, Any]:
    """The same rows from everywhere."""
    columns: dict[str, Any] = {"y": Y, "b": B, "x": X}
    found: dict[str, Any] = {w: written(folder, w) for w in WRITINGS}
    found["parquet"] = folder / "b.parquet"
    pq.write_table(pa.table(columns), found["parquet"])
    found["texts in parquet"] = folder / "t.parquet"
    pq.write_table(
        pa.table(columns | {"b": WRITINGS["true"]}), found["texts in parquet"]
    )
    found["arrow"] = folder / "b.arrow"
    with pa.ipc.new_file(found["arrow"], pa.table(columns).schema) as writer:
        writer.write_table(pa.table(columns))
    found["lists"] = columns
    found["frame"] = pd.DataFrame(columns)
    found["texts in a frame"] = pd.DataFrame(columns | {"b": WRITINGS["True"]})
    found["categorical"] = pd.DataFrame(columns).astype({"b": "category"})
    return found


@pytest.mark.parametrize("how", FITS)
def test_a_fit_of_any_predicts_on_any(how: str, tmp_path: Path) -> None:
    every = givens(tmp_path)
    expected = gl.fit(every["lists"], target="y").predict(every["lists"])
    for source, rows in every.items():
        fit = gl.fit(rows, **FITS[how])
        assert fit.design.levels == {"b": ("False", "True")}, source
        for other in every.values():
            np.testing.assert_allclose(fit.predict(other), expected, rtol=1e-12)


def old(fit: gl.Fit, path: Path) -> gl.Fit:
    """A fit as a file of an earlier version has it: the levels as texts."""
    levels = {"b": ("false", "true")}
    object.__setattr__(fit, "design", replace(fit.design, levels=levels))
    fit.save(path)
    return gl.load(path)


@pytest.mark.parametrize("age", ["new", "old"])
def test_exports_and_server_take_what_the_fit_takes(age: str, tmp_path: Path) -> None:
    every = givens(tmp_path)
    fit: gl.Fit = gl.fit(every["true"], **FITS["C(b)"])
    expected = fit.predict(every["lists"])
    if age == "old":
        fit = old(fit, tmp_path / "old.safetensors")
        assert fit.design.levels == {"b": ("false", "true")}
    for rows in every.values():
        np.testing.assert_allclose(fit.predict(rows), expected, rtol=1e-12)

    script: dict[str, Any] = {"__name__": "script"}
    exec(compile(exported(fit, "pytorch", "m.py"), "m.py", "exec"), script)
    session = onnxruntime.InferenceSession(
        exported(fit, "onnx", "m.onnx"), providers=["CPUExecutionProvider"]
    )
    for texts in [*WRITINGS.values(), B]:
        found = script["predict"]({"x": X, "b": texts})
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        given = {"x": np.array(X), "b": np.array([str(t) for t in texts], object)}
        (found,) = session.run(["prediction"], given)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    text = fit.to_sql("rows")
    rows = pa.table({"x": X, "b": B})
    with duckdb.connect() as duck:
        duck.register("rows", rows)
        of_duckdb = [row[-1] for row in duck.execute(text).fetchall()]
    np.testing.assert_allclose(of_duckdb, expected, rtol=1e-9)
    for texts in [*WRITINGS.values(), [int(b) for b in B]]:
        lite = sqlite3.connect(":memory:")
        lite.execute("CREATE TABLE rows (x, b)")
        lite.executemany(
            "INSERT INTO rows VALUES (?, ?)", list(zip(X, texts, strict=True))
        )
        of_sqlite = [row[-1] for row in lite.execute(text).fetchall()]
        lite.close()
        np.testing.assert_allclose(of_sqlite, expected, rtol=1e-9)

    served = Served(fit, "m", "1", Limits())
    service: Service = make_service(served, "127.0.0.1", "http://127.0.0.1")
    for word in ["true", "True", "TRUE", True]:
        body = json.dumps({"row": {"x": 3.0, "b": word}}).encode()
        answer = service._from_json("application/json", body, _later())
        (found,) = json.loads(answer.body)["predictions"]
        assert found == pytest.approx(expected[0], rel=1e-12)
    service.close()
    feature = {"kind": "category", "levels": list(fit.design.levels["b"])}
    words = _value(feature, gaps=False)["enum"]
    assert {str(word) for word in words} == {
        w for texts in WRITINGS.values() for w in texts
    }
    assert {True, False} <= {word for word in words if isinstance(word, bool)}


def _later() -> Any:
    from gradline.serving.limits import Deadline

    return Deadline(60)


def test_by_the_command_line(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    every = givens(tmp_path)
    run(
        capsys,
        "fit",
        every["true"].name,
        "--formula",
        "y ~ C(b) + x",
        "-o",
        "m.safetensors",
    )
    for name in ("True", "TRUE", "parquet", "arrow"):
        code, _, _ = run(
            capsys, "predict", "m.safetensors", every[name].name, "-o", "out.csv"
        )
        assert code == 0
        found = pd.read_csv("out.csv")["prediction"]
        expected = gl.load("m.safetensors").predict(every["lists"])
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_other_texts_among_them_stay_texts() -> None:
    columns = {"y": Y, "x": X, "b": ["true", "false", "True", "false", "maybe", "true"]}
    fit = gl.fit(columns, target="y", categories=["b"])
    assert fit.design.levels == {"b": ("True", "false", "maybe", "true")}
    with pytest.raises(gl.DataError, match="holds 'False' in row 1"):
        fit.predict({"x": [1.0], "b": [False]})


def test_a_reference_level_may_be_written_either_way(tmp_path: Path) -> None:
    path = written(tmp_path, "true")
    for word in ("true", "True"):
        fit = gl.fit(path, formula=f'y ~ C(b, ref="{word}") + x')
        assert fit.design.levels == {"b": ("True", "False")}


def test_a_held_out_part_knows_its_levels() -> None:
    """A column of texts, the levels of the training rows alone."""
    columns = {"y": Y * 20, "x": np.arange(120.0), "b": WRITINGS["true"] * 20}
    fit = gl.fit(columns, target="y", split=gl.Split(test=0.25, seed=0))
    scores = fit.evaluate(columns, part="test")
    assert scores.unseen == 0
    assert scores.rows > 20


@pytest.mark.parametrize(
    ("levels", "further"),
    [
        (["False", "True"], {"false", "FALSE", "true", "TRUE"}),
        (["false", "true"], {"False", "FALSE", "True", "TRUE"}),
        (["True"], {"true", "TRUE"}),
        (["true", "TRUE"], set()),  # kept apart by the fit
        (["true", "yes"], set()),
        ([], set()),
    ],
)
def test_spellings(levels: list[str], further: set[str]) -> None:
    assert spellings(levels).keys() == further
    assert truths(["TRUE", "false"]) == {"TRUE": "True", "false": "False"}
