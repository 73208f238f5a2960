"""Folders, globs and hive partitions: many files as one source."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import gradline as gl
import gradline.design
import gradline.folders
import gradline.tables
from gradline.data import Source
from gradline.readers import open_source
from test_readers import categories, numbers

RNG = np.random.default_rng(0)


def a_table(rows: int = 6, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pa.table({"x": x, "y": 2 * x + rng.normal(size=rows)})


def write_parquet(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(table, path)


def write_csv(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [",".join(table.column_names)]
    rows += [
        ",".join("" if v is None else str(v) for v in r.values())
        for r in table.to_pylist()
    ]
    text = ("\n".join(rows) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def write_arrow(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.feather.write_feather(table, path)


Writer = Callable[[pa.Table, Path], None]
KINDS: dict[str, Writer] = {
    ".parquet": write_parquet,
    ".pq": write_parquet,
    ".csv": write_csv,
    ".csv.gz": write_csv,
    ".arrow": write_arrow,
    ".feather": write_arrow,
}


@pytest.mark.parametrize("suffix", KINDS)
def test_a_folder_is_its_files_in_the_order_of_their_paths(
    suffix: str, tmp_path: Path
) -> None:
    parts = [a_table(5 + i, seed=i) for i in range(4)]
    for name, part in zip(["b/z", "a", "b/a", "c"], parts, strict=True):
        KINDS[suffix](part, tmp_path / "data" / f"{name}{suffix}")
    (tmp_path / "data" / "README.md").write_text("# not data")
    (tmp_path / "data" / f"_hidden{suffix}").write_text("not data")
    (tmp_path / "data" / ".tmp").mkdir()
    (tmp_path / "data" / ".tmp" / f"a{suffix}").write_text("not data")
    (tmp_path / "data" / "_SUCCESS").touch()
    source = open_source(tmp_path / "data")
    whole = pa.concat_tables([parts[1], parts[2], parts[0], parts[3]])
    expected = np.column_stack([whole["x"].to_numpy(), whole["y"].to_numpy()])
    for _ in range(2):
        np.testing.assert_array_equal(numbers(source, ["x", "y"]), expected)
    np.testing.assert_array_equal(numbers(source, ["y"])[:, 0], expected[:, 1])
    assert source.rows == len(whole)
    assert source.name == "data"
    assert [c.name for c in source.columns] == ["x", "y"]
    pattern = open_source(str(tmp_path / "data" / "**" / f"*{suffix}"))
    assert pattern.rows == len(whole)
    top = open_source(tmp_path / "data" / f"[ac]{suffix}")
    assert top.rows == len(parts[1]) + len(parts[3])


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_a_folder_fits_as_one_file_does(suffix: str, tmp_path: Path) -> None:
    whole = a_table(200)
    for i in range(5):
        KINDS[suffix](whole.slice(40 * i, 40), tmp_path / "d" / f"{i}{suffix}")
    fit = gl.fit(tmp_path / "d", target="y")
    ref = gl.fit(whole, target="y")
    assert fit.coefficients["x"] == pytest.approx(ref.coefficients["x"], rel=1e-13)
    np.testing.assert_allclose(fit.predict(tmp_path / "d"), ref.predict(whole))
    assert gl.fit(str(tmp_path / "d" / "*"), target="y").intercept == fit.intercept


def hive(folder: Path, table: pa.Table | None = None) -> Path:
    for year in (2023, 2024):
        for town in ("Bern", "Zürich%2FOst", "__HIVE_DEFAULT_PARTITION__"):
            part = a_table(2, seed=year) if table is None else table
            write_parquet(part, folder / f"year={year}" / f"town={town}" / "p.parquet")
    return folder


def test_partitions_become_columns(tmp_path: Path) -> None:
    source = open_source(hive(tmp_path / "d"))
    assert [(c.name, c.kind) for c in source.columns] == [
        ("x", "number"),
        ("y", "number"),
        ("year", "number"),
        ("town", "category"),
    ]
    years = numbers(source, ["year", "x"])
    np.testing.assert_array_equal(years[:, 0], np.repeat([2023.0, 2024.0], 6))
    towns = categories(source, "town")
    # In the order of the paths: "B" < "Z" < "_".
    assert towns == ["Bern", "Bern", "Zürich/Ost", "Zürich/Ost", None, None] * 2
    assert numbers(source, ["year"]).shape == (12, 1)  # of no file's own columns
    assert source.rows == 12


def test_partitions_in_a_fit_and_its_predictions(tmp_path: Path) -> None:
    for i, town in enumerate("abc"):
        x = np.arange(5.0) + i
        table = pa.table({"x": x, "y": 2 * x + 10 * i})
        write_parquet(table, tmp_path / f"town={town}" / "p.parquet")
    fit = gl.fit(tmp_path, target="y")
    assert fit.coefficients == pytest.approx({"x": 2, "town[b]": 10, "town[c]": 20})
    np.testing.assert_allclose(
        fit.predict(tmp_path / "town=*"),
        numbers(open_source(tmp_path), ["y"])[:, 0],
        atol=1e-12,
    )


def test_partitions_as_text_when_asked(tmp_path: Path) -> None:
    for month in ("01", "02"):
        write_parquet(a_table(1), tmp_path / f"month={month}" / "p.parquet")
    np.testing.assert_array_equal(
        numbers(open_source(tmp_path), ["month"])[:, 0], [1, 2]
    )
    source = open_source(tmp_path, categories=["month"])
    assert categories(source, "month") == ["01", "02"]


def test_a_glob_may_name_partitions(tmp_path: Path) -> None:
    hive(tmp_path)
    source = open_source(f"{tmp_path}/year=2024/town=B*/*.parquet")
    assert [c.name for c in source.columns] == ["x", "y", "town"]
    assert source.rows == 2
    source = open_source(f"{tmp_path}/year=*")
    assert [c.name for c in source.columns] == ["x", "y", "year", "town"]
    assert source.rows == 12


def test_a_files_own_column_stands_before_the_partitions(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0], "k": [7]})
    write_parquet(table, tmp_path / "k=3" / "p.parquet")
    source = open_source(tmp_path)
    assert [c.name for c in source.columns] == ["x", "k"]
    assert numbers(source, ["k"]).tolist() == [[7.0]]


def test_partitions_must_agree(tmp_path: Path) -> None:
    write_parquet(a_table(), tmp_path / "a.parquet")
    write_parquet(a_table(), tmp_path / "year=1" / "a.parquet")
    message = r"^a\.parquet has the partitions none and year=1/a\.parquet has 'year': "
    with pytest.raises(gl.FileError, match=message):
        open_source(tmp_path)


WIDENED = [
    (pa.int32(), pa.int64(), "number", pa.int64()),
    (pa.int64(), pa.float32(), "number", pa.float64()),
    (pa.float32(), pa.float64(), "number", pa.float64()),
    (pa.uint64(), pa.int64(), "number", pa.float64()),
    (pa.null(), pa.float32(), "number", pa.float32()),
    (pa.string(), pa.large_string(), "category", pa.large_string()),
    (pa.string(), pa.dictionary(pa.int8(), pa.string()), "category", pa.large_string()),
    (pa.string(), pa.null(), "category", pa.string()),
    (pa.bool_(), pa.bool_(), "category", pa.bool_()),
]


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(("one", "other", "kind", "both"), WIDENED)
def test_types_widen(
    one: pa.DataType,
    other: pa.DataType,
    kind: str,
    both: pa.DataType,
    swap: bool,
    tmp_path: Path,
) -> None:
    def values(found: pa.DataType) -> Any:
        if pa.types.is_null(found):
            return [None, None]
        return ["a", "b"] if kind == "category" and found != pa.bool_() else [1, 0]

    for name, found in zip("ab", (other, one) if swap else (one, other), strict=True):
        table = pa.table({"v": pa.array(values(found)).cast(found)})
        write_arrow(table, tmp_path / f"{name}.arrow")
    source: Any = open_source(tmp_path)
    assert (source.columns[0].kind, source.schema.field("v").type) == (kind, both)
    if kind == "number":
        found_values = numbers(source, ["v"])[:, 0]
        assert len(found_values) == 4
        assert set(found_values[np.isfinite(found_values)]) == {1.0, 0.0}
    else:
        assert len(categories(source, "v")) == 4


def test_fractions_may_come_in_a_later_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,w\n1,\n2,\n")
    (tmp_path / "b.csv").write_text("v,w\n1.5,3\n")
    source = open_source(tmp_path)
    np.testing.assert_array_equal(numbers(source, ["v"])[:, 0], [1, 2, 1.5])
    np.testing.assert_array_equal(numbers(source, ["w"])[:, 0], [np.nan, np.nan, 3])


def test_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,w\n1,2\n")
    (tmp_path / "b.csv").write_text("w,v\n20,10\n")
    assert numbers(open_source(tmp_path), ["v", "w"]).tolist() == [[1, 2], [10, 20]]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("v,w\n1,2\n", "v\n1\n", r"^b\.csv has no column 'w', which a\.csv has: give"),
        ("v\n1\n", "v,w\n1,2\n", r"^a\.csv has no column 'w', which b\.csv has: give"),
        (
            "v\n1\n",
            "v\nx\n",
            r"^column 'v' of b\.csv holds string and that of a\.csv int64: make them o",
        ),
        ("v\nx\n", "v\n1.5\n", r"^column 'v' of b\.csv holds double and .* a\.csv str"),
    ],
)
def test_files_that_disagree(
    first: str, second: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(first)
    (tmp_path / "b.csv").write_text(second)
    with pytest.raises(gl.ColumnError, match=message):
        open_source(tmp_path)


def test_text_in_every_file_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v\n12\n")
    (tmp_path / "b.csv").write_text("v\n01\n")
    with pytest.raises(gl.ColumnError, match=r"b\.csv holds string"):
        open_source(tmp_path)
    assert categories(open_source(tmp_path, categories=["v"]), "v") == ["12", "01"]


def test_columns_of_no_use_spoil_only_themselves(tmp_path: Path) -> None:
    at = pa.array([0], pa.timestamp("us"))
    write_parquet(pa.table({"x": [1.0], "t": at}), tmp_path / "a.parquet")
    write_parquet(
        pa.table({"x": [2.0], "t": at.cast(pa.timestamp("ms"))}), tmp_path / "b.parquet"
    )
    source = open_source(tmp_path)
    assert numbers(source, ["x"]).tolist() == [[1.0], [2.0]]
    assert source.columns[1].kind == "other"
    with pytest.raises(gl.ColumnError, match="column 't' of .* holds values of mixed"):
        list(source.batches(["t"]))


def test_folders_and_patterns_that_lead_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "empty.csv.d").mkdir()
    cases = {
        f"{tmp_path}": r"is a folder without a \.parquet, \.csv or \.arrow file: name",
        f"{tmp_path}/*.csv": r"^no file matches '.*\*\.csv': check the pattern",
        f"{tmp_path}/no/*.csv": r"^no file matches .*, and there is no folder '.*/no'",
    }
    for path, message in cases.items():
        with pytest.raises(gl.FileError, match=message) as caught:
            open_source(path)
        assert "\n" not in str(caught.value)


def test_files_of_several_kinds(tmp_path: Path) -> None:
    write_parquet(a_table(), tmp_path / "a.parquet")
    write_csv(a_table(), tmp_path / "b.csv")
    message = r"holds files of several kinds, such as a\.parquet \(Parquet\) and b\.csv"
    for path in (tmp_path, tmp_path / "*"):
        with pytest.raises(gl.FileError, match=message):
            open_source(path)
    assert open_source(tmp_path / "*.parquet").rows == 6


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    write_csv(a_table(3), tmp_path / "a[1].csv")
    write_csv(a_table(4), tmp_path / "a1.csv")
    assert open_source(tmp_path / "a[1].csv").rows == 3
    assert open_source(tmp_path / "a[2-9].csv*".replace("2-9", "0-9")).rows == 4


def test_names_without_a_known_end_are_read_by_content(tmp_path: Path) -> None:
    for i in range(2):
        write_csv(a_table(3), tmp_path / f"part-{i}")
    assert open_source(tmp_path / "part-*").rows == 6


def test_a_folder_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    message = r"^cannot read the folder '.*': permission denied; ask for the right"
    with pytest.raises(gl.FileError, match=message):
        open_source(tmp_path)


def test_a_damaged_file_is_named_with_its_folder(tmp_path: Path) -> None:
    hive(tmp_path / "d")
    path = tmp_path / "d" / "year=2024" / "town=Bern" / "p.parquet"
    path.write_bytes(path.read_bytes()[:50])
    message = r"^cannot read year=2024/town=Bern/p\.parquet: .*; give a whole file"
    with pytest.raises(gl.FileError, match=message):
        open_source(tmp_path / "d")


@pytest.mark.parametrize("kept", [0, 64 << 20])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_any_file_that_changes_between_passes(
    suffix: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradline.tables, "KEPT_BYTES", kept)
    monkeypatch.setattr(gradline.folders, "HELD_BYTES", kept)
    for i in range(3):
        KINDS[suffix](a_table(6, seed=i), tmp_path / f"{i}{suffix}")
    source = open_source(tmp_path)
    first = numbers(source, ["x", "y"])
    np.testing.assert_array_equal(first, numbers(source, ["x", "y"]))
    KINDS[suffix](a_table(7), tmp_path / f"2{suffix}")
    with pytest.raises(gl.FileError, match=rf"^2{re.escape(suffix)} changed while"):
        numbers(source, ["x", "y"])
    (tmp_path / f"2{suffix}").unlink()
    with pytest.raises(gl.FileError, match="there is no file"):
        numbers(source, ["x", "y"])


def test_small_files_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[list[str]] = []
    real = pa.parquet.ParquetFile.iter_batches

    def counted(self: Any, *args: Any, **named: Any) -> Any:
        reads.append(named["columns"])
        return real(self, *args, **named)

    monkeypatch.setattr(pa.parquet.ParquetFile, "iter_batches", counted)
    write_parquet(a_table(1000), tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    next(iter(source.batches(["x"])))  # half a pass is not kept
    first = numbers(source, ["x", "y"])
    for names in (["y", "x"], ["x"], ["y"]):
        places = [["x", "y"].index(n) for n in names]
        np.testing.assert_array_equal(numbers(source, names), first[:, places])
    assert reads == [["x"], ["x", "y"]]
    monkeypatch.setattr(gradline.tables, "KEPT_BYTES", 1000)
    source = open_source(tmp_path / "a.parquet")
    assert [len(numbers(source, ["x"])) for _ in range(2)] == [1000, 1000]
    assert len(reads) == 4


def source_names(source: Source) -> list[str]:
    return [column.name for column in source.columns]


# NumPy's files.


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i2", "u8", "?", "g"])
def test_a_matrix(
    dtype: str, order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline.npyfiles.NPY_BYTES", 1000)
    values = np.asarray(RNG.integers(0, 2, (301, 3)), dtype=dtype, order=order)
    source = open_source(save(tmp_path / "a.npy", values))
    assert source_names(source) == ["x1", "x2", "x3"]
    assert source.rows == 301
    for _ in range(2):
        found = numbers(source, ["x1", "x2", "x3"])
        np.testing.assert_array_equal(found, values.astype(np.float64))
    np.testing.assert_array_equal(numbers(source, ["x3"])[:, 0], found[:, 2])
    assert found.dtype == np.float64


def test_fits_from_a_matrix(tmp_path: Path) -> None:
    X = RNG.normal(size=(50, 3))
    y = X @ [1.0, 2.0, 3.0] + 4
    path = save(tmp_path / "x.npy", X)
    fit = gl.fit(path, y)
    assert fit.coefficients == pytest.approx({"x1": 1, "x2": 2, "x3": 3})
    np.testing.assert_allclose(fit.predict(path), y)
    np.testing.assert_allclose(fit.predict(X), y)
    both = save(tmp_path / "xy.npy", np.column_stack([y, X]))
    fit = gl.fit(both, target="x1")
    assert fit.coefficients == pytest.approx({"x2": 1, "x3": 2, "x4": 3})
    np.testing.assert_allclose(fit.predict(both), y)  # by their names
    np.testing.assert_allclose(fit.predict(path), y)  # in their order
    line = gl.fit(save(tmp_path / "line.npy", X[:, 0]), 2 * X[:, 0])
    assert line.coefficients == pytest.approx({"x": 2})


def test_records(tmp_path: Path) -> None:
    dtype = [
        ("n", ">i4"), ("v", "f4"), ("t", "U3"), ("s", "S2"), ("b", "?"),
        ("when", "M8[s]"), ("m", "f8", 2), ("z", "c16"), ("y", "f8"),
    ]  # fmt: skip
    array = np.zeros(5, dtype)
    array["n"], array["v"] = range(5), [1, np.nan, 3, 4, 5]
    array["t"], array["s"] = list("abcab"), list("xyxyx")
    source = open_source(save(tmp_path / "r.npy", array))
    kinds = {column.name: column.kind for column in source.columns}
    assert kinds == {
        "n": "number", "v": "number", "t": "category", "s": "category",
        "b": "category", "when": "other", "m": "other", "z": "other", "y": "number",
    }  # fmt: skip
    found = numbers(source, ["n", "v"])
    np.testing.assert_array_equal(found, np.c_[np.arange(5), array["v"]])
    assert categories(source, "t") == list("abcab")
    assert categories(source, "s") == list("xyxyx")


def test_arrays_without_rows(tmp_path: Path) -> None:
    source = open_source(save(tmp_path / "a.npy", np.zeros((0, 2))))
    assert source.rows == 0
    assert numbers(source, ["x1", "x2"]).shape == (0, 2)


class Loaded:
    """Says so where it is unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.array([Loaded()], dtype=object), gl.DataError, r"^a\.npy holds Python obj"),
        (np.zeros(3, complex), gl.DataError, r"^a\.npy holds complex: save real num"),
        (np.array(["a"]), gl.DataError, r"^a\.npy holds <U1 values: save real num"),
        (np.zeros((2, 2, 2)), gl.ShapeError, r"^a\.npy has shape \(2, 2, 2\): save"),
        (np.float64(3), gl.ShapeError, r"^a\.npy has shape \(\): save \(n,\) for one"),
        (np.zeros((3, 0)), gl.DataError, r"^a\.npy has no columns: give at least a t"),
    ],
)
def test_arrays_of_no_use(
    array: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(error, match=message):
        open_source(path)


@pytest.mark.parametrize("keep", [7, 9, 60, 128, 200, -1])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_cut_short(keep: int, order: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.asarray(RNG.normal(size=(50, 2)), order=order))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(gl.FileError, match=r"a\.npy.* give a"):
        open_source(path)


def test_an_array_that_changes_between_passes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.zeros((5, 2)))
    source = open_source(path)
    numbers(source, ["x1"])
    save(path, np.zeros((6, 2)))
    with pytest.raises(gl.FileError, match=r"^a\.npy changed while gradline was"):
        numbers(source, ["x1"])


def test_an_archive_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(gl.FileError, match="is an archive of arrays: save one array"):
        open_source(tmp_path / "a.npz")


def test_unknown_columns_of_an_array(tmp_path: Path) -> None:
    source = open_source(save(tmp_path / "a.npy", np.zeros((5, 2))))
    with pytest.raises(gl.ColumnError, match="x3"):
        list(source.batches(["x3"]))
