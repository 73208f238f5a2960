"""The same table from every kind of input gives the same numbers and categories."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch

import gradline as gl
import gradline.csvfiles
import gradline.tables
from gradline.data import Array, ArraySource, Source
from gradline.errors import ColumnError, DataError, ShapeError
from gradline.readers import open_source
from gradline.tables import ArrowBatch
from gradline.writers import write_table

NAN = float("nan")

# One small table with all that matters: a missing number, text with a comma, a quote,
# a line break and letters beyond ASCII, missing text, true and false.
COLUMNS: dict[str, list[Any]] = {
    "id": [1, 2, 3, 4, 5],
    "price": [1.5, None, -2.25, 1e300, 0.1],
    "town": ["Zürich", "a, b", 'say "hi"', None, "two\nlines"],
    "open": [True, False, None, True, True],
}
NUMBERS = np.array([[1.0, 1.5], [2, NAN], [3, -2.25], [4, 1e300], [5, 0.1]])
TOWNS = COLUMNS["town"]
OPEN = ["True", "False", None, "True", "True"]


def table() -> pa.Table:
    return pa.table(COLUMNS)


def csv_text(delimiter: str = ",", decimal: str = ".", end: str = "\n") -> str:
    """The table as CSV, written by hand so that no library's habits are tested."""
    lines = [delimiter.join(COLUMNS)]
    for row in zip(*COLUMNS.values(), strict=True):
        fields = []
        for value in row:
            text = "" if value is None else str(value)
            if isinstance(value, float):
                text = text.replace(".", decimal)
            if any(mark in text for mark in (delimiter, '"', "\n")):
                text = '"' + text.replace('"', '""') + '"'
            fields.append(text)
        lines.append(delimiter.join(fields))
    return end.join(lines) + end


def numbers(source: Source, names: list[str]) -> Array:
    parts = [batch.numbers(names) for batch in source.batches(names)]
    return np.concatenate(parts) if parts else np.empty((0, len(names)))


def categories(source: Source, name: str) -> list[str | None]:
    out: list[str | None] = []
    for batch in source.batches([name]):
        codes, levels = batch.category(name)
        assert len(set(levels)) == len(levels)
        assert set(codes) - {-1} == set(range(len(levels)))  # no level without rows
        assert codes.dtype == np.int64
        assert codes.shape == (batch.rows,)
        out += [None if code < 0 else levels[code] for code in codes]
    return out


def kinds(source: Source) -> dict[str, str]:
    return {column.name: column.kind for column in source.columns}


def arrow_of(source: Source, names: list[str]) -> pa.Table:
    batches = []
    for batch in source.batches(names):
        assert isinstance(batch, ArrowBatch)
        batches.append(batch.arrow())
    return pa.Table.from_batches(batches)


def of_bytes(folder: Path, name: str, data: bytes | str, **options: Any) -> Source:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return open_source(path, **options)


# Every kind of input against the same known numbers.


def _parquet(folder: Path) -> Path:
    pa.parquet.write_table(table(), folder / "t.parquet", row_group_size=2)
    return folder / "t.parquet"


def _feather(folder: Path) -> Path:
    pa.feather.write_feather(table(), folder / "t.feather", chunksize=2)
    return folder / "t.feather"


def _stream(folder: Path) -> Path:
    with pa.ipc.new_stream(folder / "t.arrow", table().schema) as writer:
        writer.write_table(table(), max_chunksize=2)
    return folder / "t.arrow"


def _csv(text: str, encoding: str = "utf-8", name: str = "t.csv") -> Any:
    def write(folder: Path) -> Path:
        data = text.encode(encoding)
        packed = gzip.compress(data) if name.endswith(".gz") else data
        (folder / name).write_bytes(packed)
        return folder / name

    return write


class Capsule:
    """An object that speaks the Arrow PyCapsule protocol and nothing else."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return table().__arrow_c_stream__(requested_schema)


INPUTS: dict[str, Callable[[Path], Any]] = {
    "csv": _csv(csv_text()),
    "csv ;": _csv(csv_text(";")),
    "csv tab": _csv(csv_text("\t"), name="t.tsv"),
    "csv |": _csv(csv_text("|"), name="t.txt"),
    "csv crlf": _csv(csv_text(end="\r\n")),
    "csv cr": _csv(csv_text(end="\r")),
    "csv gz": _csv(csv_text(), name="t.csv.gz"),
    "csv unknown extension": _csv(csv_text(), name="t.dat"),
    "csv bom": _csv(csv_text(), "utf-8-sig"),
    "csv utf-16": _csv(csv_text(), "utf-16"),
    "csv utf-16-be": _csv("\ufeff" + csv_text(), "utf-16-be"),
    "csv utf-32": _csv(csv_text(), "utf-32"),
    "csv latin-1": _csv(csv_text(), "latin-1"),
    "csv cp1252": _csv(csv_text(), "cp1252"),
    "parquet": _parquet,
    "parquet, no extension": lambda f: _parquet(f).rename(f / "t"),
    "feather": _feather,
    "feather, no extension": lambda f: _feather(f).rename(f / "t"),
    "arrow stream": _stream,
    "arrow table": lambda _: table(),
    "arrow table in pieces": lambda _: pa.concat_tables([table()[:1], table()[1:]]),
    "arrow batch": lambda _: table().to_batches()[0],
    "arrow reader": lambda _: table().to_reader(max_chunksize=2),
    "capsule": lambda _: Capsule(),
    "pandas": lambda _: table().to_pandas(),
    "pandas, index": lambda _: table().to_pandas().set_index(np.arange(5) * 7),
    "pandas nullable": lambda _: table().to_pandas().convert_dtypes(),
    "pandas arrow": lambda _: table().to_pandas(types_mapper=pd.ArrowDtype),
    "pandas object": lambda _: table().to_pandas().astype(object),
    "pandas category": lambda _: table().to_pandas().astype({"town": "category"}),
    "polars": lambda _: pl.DataFrame(COLUMNS),
    "polars lazy": lambda _: pl.DataFrame(COLUMNS).lazy(),
    "polars category": lambda _: pl.DataFrame(COLUMNS).cast({"town": pl.Categorical}),
    "mapping": lambda _: COLUMNS,
    "mapping of arrays": lambda _: {
        "id": torch.tensor(COLUMNS["id"]),
        "price": np.array(COLUMNS["price"], dtype=np.float64),
        "town": pl.Series(TOWNS),
        "open": pd.Series(COLUMNS["open"], dtype="boolean"),
    },
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_gives_the_same(kind: str, tmp_path: Path) -> None:
    data = INPUTS[kind](tmp_path)
    source = open_source(data)
    assert kinds(source) == {
        "id": "number",
        "price": "number",
        "town": "category",
        "open": "category",
    }
    is_path = isinstance(data, Path)
    assert source.name == (data.name if is_path else "the data")
    assert source.rows == (None if kind == "arrow stream" else 5)
    for _ in range(2):  # a source can be read again
        np.testing.assert_array_equal(numbers(source, ["id", "price"]), NUMBERS)
        np.testing.assert_array_equal(numbers(source, ["price"]), NUMBERS[:, 1:])
        swapped = numbers(source, ["price", "id"])
        np.testing.assert_array_equal(swapped, NUMBERS[:, ::-1])
        line_break = "\r" if kind == "csv cr" else "\r\n" if "crlf" in kind else "\n"
        towns = [t and t.replace(line_break, "\n") for t in categories(source, "town")]
        assert towns == TOWNS
        assert categories(source, "open") == OPEN
    assert categories(source, "id") == ["1", "2", "3", "4", "5"]
    assert categories(source, "price")[:3] == ["1.5", None, "-2.25"]


def test_a_source_is_returned_as_it_is() -> None:
    source = ArraySource(np.ones((2, 1)), ["x"])
    assert open_source(source) is source


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    path = str(_csv(csv_text())(tmp_path))
    assert open_source(path).rows == 5


@pytest.mark.parametrize(
    "data",
    [
        np.array([1.0, 2.0]),
        torch.tensor([1, 2]),
        [1.0, 2.0],
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
        pd.Series([1, 2]),
        pl.Series([1, 2]),
    ],
    ids=["numpy", "torch", "list", "arrow", "chunks", "pandas", "polars"],
)
def test_one_unnamed_column_is_called_x(data: Any) -> None:
    source = open_source(data)
    assert [c.name for c in source.columns] == ["x"]
    np.testing.assert_array_equal(numbers(source, ["x"]), [[1.0], [2.0]])


@pytest.mark.parametrize("series", [pd.Series([1], name="y"), pl.Series("y", [1])])
def test_a_series_keeps_its_name(series: Any) -> None:
    assert [c.name for c in open_source(series).columns] == ["y"]


# Types.


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        *((pa.array([1, None], t), "number") for t in (pa.int8(), pa.int64())),
        *((pa.array([1, None], t), "number") for t in (pa.uint8(), pa.uint64())),
        (pa.array(np.array([1, NAN], np.float16)), "number"),
        (pa.array([1, None], pa.float32()), "number"),
        (pa.array([Decimal("1.00"), None], pa.decimal32(5, 2)), "number"),
        (pa.array([Decimal("1.00"), None], pa.decimal128(30, 2)), "number"),
        (pa.array([Decimal("1.00"), None], pa.decimal256(60, 2)), "number"),
        (pa.nulls(2), "number"),
        (pa.array(["1", None], pa.string()), "category"),
        (pa.array(["1", None], pa.large_string()), "category"),
        (pa.array(["1", None], pa.string_view()), "category"),
        (pa.array(["1", None]).dictionary_encode(), "category"),
        (pa.array([1, None]).dictionary_encode(), "category"),
        (pa.array([True, None]), "category"),
        (pa.array([1, None], pa.date32()), "other"),
        (pa.array([1, None], pa.time64("us")), "other"),
        (pa.array([1, None], pa.timestamp("ns", "UTC")), "other"),
        (pa.array([1, None], pa.duration("s")), "other"),
        (pa.array([1, None], pa.date32()).dictionary_encode(), "other"),
        (pa.array([[1], None]), "other"),
        (pa.array([{"a": 1}, None]), "other"),
        (pa.array([b"1", None]), "other"),
    ],
    ids=lambda v: str(v.type) if isinstance(v, pa.Array) else "",
)
def test_kinds_of_arrow_types(array: pa.Array, kind: str) -> None:
    source = open_source(pa.table({"a": array}))
    assert kinds(source) == {"a": kind}
    assert source.columns[0].type == str(array.type)
    batch = next(iter(source.batches(["a"])))
    if kind == "number":
        first = NAN if pa.types.is_null(array.type) else 1.0
        np.testing.assert_array_equal(batch.numbers(["a"]), [[first], [NAN]])
    if kind == "other":
        with pytest.raises(ColumnError, match=r"'a' holds .* wanted as a category: le"):
            batch.category("a")
    else:
        codes, levels = batch.category("a")
        expected = [] if pa.types.is_null(array.type) else ["1"]
        assert levels == (["True"] if pa.types.is_boolean(array.type) else expected)
        assert list(codes) == [0 if expected else -1, -1]
    if (
        kind != "number"
        and str(array.type) != "bool"
        and "int64" not in str(array.type)
    ):
        with pytest.raises(ColumnError, match=r"'a' holds .* wanted as a number"):
            batch.numbers(["a"])


def test_true_and_false_can_be_numbers() -> None:
    batch = next(iter(open_source({"a": [True, None, False]}).batches(["a"])))
    np.testing.assert_array_equal(batch.numbers(["a"]), [[1], [NAN], [0]])


def test_integers_beyond_float_precision_stay_apart_as_categories() -> None:
    big = 2**60
    assert categories(open_source({"a": [big, big + 1]}), "a") == [
        str(big),
        str(big + 1),
    ]
    with pytest.raises(DataError, match=f"'a' holds {big + 1}, a whole number of more"):
        numbers(open_source({"a": [big, big + 1]}), ["a"])


def test_a_dictionary_with_doubles_nulls_and_unused_levels() -> None:
    column = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, None, 4], pa.int8()), pa.array(["a", "a", None, "no", "b"])
    )
    source = open_source(pa.table({"a": column}))
    assert categories(source, "a") == ["a", "a", None, None, "b"]
    assert categories(open_source(pa.table({"a": column}).slice(4)), "a") == ["b"]


def test_pandas_categories_without_rows_are_no_levels() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["u", "v"], categories=["v", "w", "u"])})
    assert categories(open_source(frame), "a") == ["u", "v"]
    assert kinds(open_source(pd.DataFrame({"a": pd.Categorical([3, 1])}))) == {
        "a": "category"
    }


def test_names_that_are_not_text() -> None:
    frame = pd.DataFrame(np.ones((2, 2)))
    assert list(kinds(open_source(frame))) == ["0", "1"]
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", 1), ("b", "")])
    frame = pd.DataFrame(np.ones((2, 3)), columns=columns)
    assert list(kinds(open_source(frame))) == ["a_x", "a_1", "b"]
    assert list(kinds(open_source({3: [1.0], "y": [2.0]}))) == ["3", "y"]


def test_pandas_kinds_beyond_the_ordinary() -> None:
    frame = pd.DataFrame(
        {
            "sparse": pd.arrays.SparseArray([0.0, 1.0, 0.0]),
            "when": pd.to_datetime(["2020-01-01"] * 3),
            "month": pd.period_range("2020-01", periods=3, freq="M"),
            "bin": pd.cut(pd.Series([1, 2, 3]), 2),
            "none": [None] * 3,
            "decimal": [Decimal("1.5")] * 3,
        }
    )
    source = open_source(frame)
    assert [c.kind for c in source.columns] == [
        "number",
        "other",
        "other",
        "other",
        "number",
        "number",
    ]
    got = numbers(source, ["sparse", "none", "decimal"])
    np.testing.assert_array_equal(got, [[0, NAN, 1.5], [1, NAN, 1.5], [0, NAN, 1.5]])


def test_masked_strided_and_wide_arrays_in_a_mapping() -> None:
    source = open_source(
        {
            "masked": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
            "strided": np.arange(6.0)[::2],
            "long": np.arange(3, dtype=np.longdouble),
            "half": torch.arange(3, dtype=torch.bfloat16),
            "grad": torch.ones(3, requires_grad=True),
        }
    )
    names = [c.name for c in source.columns]
    expected = [[1, 0, 0, 0, 1], [NAN, 2, 1, 1, 1], [3, 4, 2, 2, 1]]
    np.testing.assert_array_equal(numbers(source, names), expected)


def test_a_column_of_mixed_types_spoils_only_itself() -> None:
    frame = pd.DataFrame({"mixed": pd.Series([1, "a"], dtype=object), "x": [1.0, 2.0]})
    source = open_source(frame)
    assert kinds(source) == {"mixed": "other", "x": "number"}
    np.testing.assert_array_equal(numbers(source, ["x"]), [[1.0], [2.0]])
    message = (
        r"column 'mixed' of the data holds values of mixed or unknown types \(.*\)"
    )
    with pytest.raises(ColumnError, match=message):
        next(iter(source.batches(["x", "mixed"])))


# CSV: names, missing markers, types.


def test_missing_markers_count_in_numbers_and_texts(tmp_path: Path) -> None:
    marks = ["", "NA", "N/A", "NaN", "null", "#N/A", '"NA"', '""']
    rows = "".join(f"{m},{m},x\n" for m in marks)
    source = of_bytes(tmp_path, "a.csv", f"n,t,z\n1,a,x\n{rows}")
    assert categories(source, "t") == ["a"] + [None] * len(marks)
    np.testing.assert_array_equal(
        numbers(source, ["n"])[:, 0], [1.0] + [NAN] * len(marks)
    )


def test_header_names_are_stripped_and_filled_in(tmp_path: Path) -> None:
    text = '\n , a ,"b, c",column_5,\n1,2,3,4,5\n'
    source = of_bytes(tmp_path, "a.csv", text)
    names = ["column_1", "a", "b, c", "column_5", "column_5_"]
    assert [c.name for c in source.columns] == names
    np.testing.assert_array_equal(numbers(source, names), [[1, 2, 3, 4, 5]])


def test_a_header_with_a_line_break_in_quotes(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", '"long\nname",b\n1,2\n')
    assert kinds(source) == {"long\nname": "number", "b": "number"}
    np.testing.assert_array_equal(numbers(source, ["b"]), [[2.0]])


def test_pandas_index_column(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.5, 2.5]}).to_csv(tmp_path / "a.csv")
    source = open_source(tmp_path / "a.csv")
    np.testing.assert_array_equal(numbers(source, ["column_1", "a"])[:, 0], [0, 1])


def test_header_only(tmp_path: Path) -> None:
    for text in ("a,b", "a,b\n", "a,b\r\n\r\n"):
        source = of_bytes(tmp_path, "a.csv", text)
        assert source.rows == 0
        assert kinds(source) == {"a": "number", "b": "number"}
        assert numbers(source, ["a", "b"]).shape == (0, 2)
        assert categories(source, "a") == []


def test_types_hold_for_the_whole_of_a_small_file(tmp_path: Path) -> None:
    rows = "1,1,2020-01-01,true\n" * 100_000 + "1.5,A12,2021-01-01,false\n"
    source = of_bytes(tmp_path, "a.csv", "x,zip,day,flag\n" + rows)
    assert [c.kind for c in source.columns] == [
        "number",
        "category",
        "other",
        "category",
    ]
    assert numbers(source, ["x"])[-1, 0] == 1.5
    assert categories(source, "zip")[-2:] == ["1", "A12"]
    assert set(categories(source, "flag")) == {"True", "False"}


def test_categories_are_read_as_text(tmp_path: Path) -> None:
    text = "zip,x\n01234,1\n1234,2\nNA,3\n"
    plain = "zip,x\n1234,1\n1234,2\nNA,3\n"
    assert categories(of_bytes(tmp_path, "p.csv", plain), "zip") == [
        "1234",
        "1234",
        None,
    ]
    source = of_bytes(tmp_path, "a.csv", text, categories=["zip"])
    assert kinds(source) == {"zip": "category", "x": "number"}
    assert categories(source, "zip") == ["01234", "1234", None]
    with pytest.raises(
        ColumnError, match=r"a.csv has no column 'zap': did you mean 'z"
    ):
        open_source(tmp_path / "a.csv", categories=["zap"])


def test_text_is_kept_exactly(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", "t,u\n  padded ,x\nPadded,y\npadded,z\n")
    assert categories(source, "t") == ["  padded ", "Padded", "padded"]


def test_infinity_is_a_number(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", "a,b\ninf,1\n-inf,2\n1.5,3\n")
    np.testing.assert_array_equal(numbers(source, ["a"])[:, 0], [np.inf, -np.inf, 1.5])


def test_five_thousand_columns(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(-999, 999, (40, 5000)) / 8
    header = ",".join(f"x{i}" for i in range(5000))
    buffer = io.StringIO()
    np.savetxt(buffer, data, delimiter=",", fmt="%.3f", header=header, comments="")
    source = of_bytes(tmp_path, "wide.csv", buffer.getvalue())
    names = [c.name for c in source.columns]
    assert names[-1] == "x4999"
    np.testing.assert_array_equal(numbers(source, names), data)


# CSV: delimiter and decimal mark.


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a;b\n1,5;2\n", {"decimal": ","}, {"a": 1.5, "b": 2}),
        ("a;b;c\n1,5;2,5;3,5\n", {"decimal": ","}, {"a": 1.5, "b": 2.5, "c": 3.5}),
        ("a\n1,5\n", {"decimal": ","}, {"a": 1.5}),
        ("a\n1\n2\n", {}, {"a": 1}),
        ("a\tb, c\td|e\n1\t2\t3\n", {}, {"a": 1, "b, c": 2, "d|e": 3}),
        ('"a;b;c;d",e\n1,2\n', {}, {"a;b;c;d": 1, "e": 2}),
        ("a|b;c|d\n1|2|3\n", {}, {"a": 1, "b;c": 2, "d": 3}),
        ("a:b\n1:2\n", {"delimiter": ":"}, {"a": 1, "b": 2}),
        ("a\tb\n1\t2\n", {"delimiter": "tab"}, {"a": 1, "b": 2}),
        ("a\tb\n1\t2\n", {"delimiter": "\\t"}, {"a": 1, "b": 2}),
        ("a\x01b\n1\x012\n", {"delimiter": "\x01"}, {"a": 1, "b": 2}),
        ("a,b;c\n1,2\n", {"delimiter": ","}, {"a": 1, "b;c": 2}),
    ],
)
def test_delimiters_and_decimal_marks(
    text: str, options: dict[str, str], expected: dict[str, float], tmp_path: Path
) -> None:
    source = of_bytes(tmp_path, "a.csv", text, **options)
    assert [c.name for c in source.columns] == list(expected)
    first = numbers(source, list(expected))[0]
    np.testing.assert_array_equal(first, list(expected.values()))


# CSV: encodings.


def test_the_first_foreign_byte_may_come_late(tmp_path: Path) -> None:
    text = "town,x\n" + "Bern,1\n" * 300_000 + "Zürich,2\n"
    for encoding in ("latin-1", "utf-8"):
        source = of_bytes(tmp_path, "a.csv", text.encode(encoding))
        assert set(categories(source, "town")) == {"Bern", "Zürich"}


def test_windows_letters(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", b"t,x\n\x80 5,1\n\x81,2\n\x93q\x94,3\n")
    assert categories(source, "t") == ["€ 5", "\x81", "“q”"]


def test_a_given_encoding_is_used(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", "t,x\n北京,1\n".encode("gbk"), encoding="gbk")
    assert categories(source, "t") == ["北京"]
    data = "t,x\nü,1\n".encode("utf-8-sig")
    source = of_bytes(tmp_path, "a.csv", data, encoding="UTF8")
    assert [c.name for c in source.columns] == ["t", "x"]
    data = "t,x\nü,1\n".encode("utf-16-le")
    source = of_bytes(tmp_path, "a.csv", data, encoding="utf-16-le")
    assert categories(source, "t") == ["ü"]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"]
)
def test_letters_cut_between_reads(encoding: str, size: int) -> None:
    from gradline.csvtext import Utf8

    text = "aé€\nñ,ü" + ("😀" if "utf" in encoding else "") + "é"
    raw = io.BytesIO(text.encode(encoding))
    stream = Utf8(lambda n: raw.read(min(n, size)), "a.csv", None)
    assert stream.read(1000).decode() == text
    raw.seek(0)
    stream = Utf8(raw.read, "a.csv", None)
    parts = iter(lambda: stream.read(size), b"")
    assert b"".join(parts).decode() == text
    raw.seek(0)
    lines = Utf8(lambda n: raw.read(min(n, size)), "a.csv", None).lines()
    assert list(lines) == text.splitlines(keepends=True)


# Large CSV files, made small by lowering the limits.


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 2 kB are large, their first 1 kB is the sample."""
    monkeypatch.setattr(gradline.csvfiles, "WHOLE_BYTES", 2000)
    monkeypatch.setattr(gradline.csvfiles, "SAMPLE_BYTES", 1000)
    monkeypatch.setattr(gradline.csvfiles, "BLOCK_BYTES", 512)


def large_text(rows: int = 3000) -> str:
    """Rows with every nuisance: quotes, line breaks, foreign letters, nothing."""
    rng = np.random.default_rng(1)
    towns = np.array(["Bern", '"a, b"', '"two\nlines"', "Zürich", "", '"say ""hi"""'])
    lines = [
        f"{x:.3f},{town},{k},{'' if k % 3 else k},{'true' if k % 2 else 'false'}\n"
        for x, town, k in zip(
            rng.normal(size=rows), rng.choice(towns, rows), range(rows), strict=True
        )
    ]
    return "x,town,k,gaps,flag\n" + "".join(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_streamed_equals_read_whole(
    encoding: str, packed: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = large_text().encode(encoding)
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    whole = open_source(path)
    request.getfixturevalue("streaming")
    streamed = open_source(path)
    assert (whole.rows, streamed.rows) == (3000, None)
    assert kinds(whole) == kinds(streamed)
    names = ["gaps", "x", "k"]
    for _ in range(2):
        np.testing.assert_array_equal(numbers(whole, names), numbers(streamed, names))
    for name in ("town", "flag", "k", "gaps"):
        assert categories(whole, name) == categories(streamed, name)


@pytest.mark.usefixtures("streaming")
def test_streamed_integers_may_become_fractions(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", "x,y\n" + "1,2\n" * 2000 + "1.5,2\n")
    assert source.rows is None
    assert numbers(source, ["x"])[-1, 0] == 1.5


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize(
    ("late", "kind", "last"),
    [
        ("2.5", "number", 2.5),
        ("7", "number", 7.0),
        ("Bern", "category", "Bern"),
        ("true", "category", "True"),
        ("2020-01-01", "other", None),
        ("", "number", NAN),
    ],
)
def test_a_column_that_begins_with_missing_values(
    late: str, kind: str, last: object, tmp_path: Path
) -> None:
    text = "a,x\n" + ",1\n" * 2000 + f"{late},2\n" + "NA,3\n" * 500
    source = of_bytes(tmp_path, "a.csv", text)
    assert source.rows is None
    assert kinds(source) == {"a": kind, "x": "number"}
    if kind == "number":
        got = numbers(source, ["a"])[:, 0]
        np.testing.assert_array_equal(got[[0, 2000, 2500]], [NAN, last, NAN])
    elif kind == "category":
        assert categories(source, "a")[1999:2002] == [None, last, None]


@pytest.mark.usefixtures("streaming")
def test_streaming_a_column_as_text(tmp_path: Path) -> None:
    text = "zip,x\n" + "01234,1\n" * 2000 + "A12,2\n"
    source = of_bytes(tmp_path, "a.csv", text, categories=["zip"])
    assert categories(source, "zip")[-2:] == ["01234", "A12"]


@pytest.mark.usefixtures("streaming")
def test_streaming_can_be_left_early_and_begun_again(tmp_path: Path) -> None:
    source = of_bytes(tmp_path, "a.csv", large_text())
    for _ in range(30):
        batches: Iterator[Any] = iter(source.batches(["x"]))
        next(batches)
        batches.close()  # type: ignore[attr-defined]
    assert numbers(source, ["x"]).shape == (3000, 1)


@pytest.mark.usefixtures("streaming")
def test_batches_are_neither_tiny_nor_huge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gradline.tables, "BATCH_ROWS", 100)
    table = pa.table({"k": np.arange(1000.0)})
    pa.feather.write_feather(table, tmp_path / "tiny.feather", chunksize=1)
    pa.feather.write_feather(table, tmp_path / "huge.feather", chunksize=1000)
    pa.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    pa.csv.write_csv(table, tmp_path / "a.csv")
    for name in ("tiny.feather", "huge.feather", "a.parquet", "a.csv"):
        source = open_source(tmp_path / name)
        sizes = [batch.rows for batch in source.batches(["k"])]
        assert sum(sizes) == 1000
        assert max(sizes) <= 100
        assert min(sizes[:-1]) > 0
        assert len(sizes) <= 25, name
        np.testing.assert_array_equal(numbers(source, ["k"])[:, 0], np.arange(1000.0))


def test_no_columns_asked_for_still_counts_rows(tmp_path: Path) -> None:
    source = open_source(_csv(csv_text())(tmp_path))
    assert sum(batch.rows for batch in source.batches([])) == 5
    batch = next(iter(source.batches(["id"])))
    assert batch.numbers([]).shape == (5, 0)


def test_batches_outlive_the_pass_that_made_them(tmp_path: Path) -> None:
    for data in (_feather(tmp_path), _parquet(tmp_path), _stream(tmp_path)):
        batches = list(open_source(data).batches(["id"]))
        got = np.concatenate([batch.numbers(["id"]) for batch in batches])
        np.testing.assert_array_equal(got[:, 0], NUMBERS[:, 0])


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow stream", "arrow table"])
def test_names_with_dots_and_prefixes(kind: str, tmp_path: Path) -> None:
    """Parquet's own column selection takes "a" for "a.b" too."""
    data = pa.table(
        {"a.b": [1.0], "a": [2.0], "s": [{"b": 3.0}], "s.b": [4.0], "ab": [5.0]}
    )
    path: Any = tmp_path / "t.arrow"
    if kind == "parquet":
        pa.parquet.write_table(data, path := tmp_path / "t.parquet")
    elif kind == "feather":
        pa.feather.write_feather(data, path)
    elif kind == "arrow stream":
        with pa.ipc.new_stream(path, data.schema) as writer:
            writer.write_table(data)
    else:
        path = data
    source = open_source(path)
    for name, value in {"a": 2.0, "a.b": 1.0, "s.b": 4.0, "ab": 5.0}.items():
        assert numbers(source, [name]).tolist() == [[value]]


# Arrow data through and out again.


def test_arrow_gives_the_requested_columns(tmp_path: Path) -> None:
    source = open_source(_parquet(tmp_path))
    assert arrow_of(source, ["town", "id"]).equals(table().select(["town", "id"]))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".pq", ".arrow", ".feather"])
def test_written_tables_read_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    batches = table().to_batches(max_chunksize=2)
    write_table(path, [batches[0], pa.Table.from_batches(batches[1:])])
    source = open_source(path)
    np.testing.assert_array_equal(numbers(source, ["id", "price"]), NUMBERS)
    assert categories(source, "town") == TOWNS
    assert categories(source, "open") == OPEN
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow"])
def test_batches_with_their_own_categories_are_written(
    suffix: str, tmp_path: Path
) -> None:
    parts = [pa.array([t]).dictionary_encode() for t in ("a", "b")]
    views = [pa.array([t], pa.string_view()) for t in ("u", "v")]
    batches = [
        pa.RecordBatch.from_arrays([part, view], names=["c", "d"])
        for part, view in zip(parts, views, strict=True)
    ]
    write_table(tmp_path / f"o{suffix}", iter(batches))
    assert categories(open_source(tmp_path / f"o{suffix}"), "c") == ["a", "b"]
    write_table(tmp_path / f"e{suffix}", [], schema=batches[0].schema)
    empty = open_source(tmp_path / f"e{suffix}")
    assert (empty.rows, [c.name for c in empty.columns]) == (0, ["c", "d"])


def test_standard_output_takes_csv_and_stays_open(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    write_table("-", table().select(["id", "town"]).to_batches(max_chunksize=2))
    sys.stdout.write("still open\n")
    out = capsysbinary.readouterr().out.decode()
    assert out.splitlines()[:2] == ['"id","town"', '1,"Zürich"']
    assert out.endswith("still open\n")
    assert pd.read_csv(io.StringIO(out), nrows=5)["id"].tolist() == [1, 2, 3, 4, 5]


# What has no columns, or no shape.


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, DataError, r"the data has no columns: give at least a target"),
        (pd.DataFrame(index=[1, 2]), DataError, r"the data has no columns"),
        ({"a": [1, 2], "b": [1]}, ShapeError, r"'b' has 1 values and 'a' has 2: give"),
        ({"a": np.ones((2, 1))}, ShapeError, r"'a' has shape \(2, 1\): give \(n,\)"),
        ({"a": torch.ones(2, 2)}, ShapeError, r"'a' has shape \(2, 2\): give \(n,\)"),
        ({"a": "text"}, ShapeError, r"column 'a' is a str: give one value per row"),
        ({"a": 1.0}, ShapeError, r"column 'a' is a float: give one value per row"),
        pytest.param(  # a name of its own: its repr is its address
            object(), DataError, r"x is an? object: give an array", id="object"
        ),
        ({1: [1], "1": [2]}, ColumnError, r"the data has more than one column .* '1'"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            ColumnError,
            r"the data has more than one column called 'a': rename all but one",
        ),
        (
            pa.table([[1], [2]], names=["a", "a"]),
            ColumnError,
            r"the data has more than one column called 'a': rename all but one",
        ),
        (
            pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}),
            DataError,
            r"the DataFrame cannot be read as an Arrow table \(.*\): give a data frame",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_read(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises((error, ValueError), match=message):
        open_source(data)


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "zip.csv"
    path.write_text("zip,n,z\n01067,10,0\n80331,20,0.5\n,30,0\n", encoding="utf-8")
    source = open_source(path)
    assert [c.kind for c in source.columns] == ["category", "number", "number"]
    batch = next(source.batches(["zip"]))
    codes, levels = batch.category("zip")
    assert [levels[c] if c >= 0 else None for c in codes] == ["01067", "80331", None]


def test_whole_numbers_that_float64_would_round_are_refused(tmp_path: Path) -> None:
    exact = np.arange(50, dtype=np.int64)
    large = 2**60 + 257 * exact
    told = f"holds {large[1]}, a whole number of more digits than float64 has"
    table = pa.table({"t": large, "y": exact})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    pa.csv.write_csv(table, tmp_path / "t.csv")
    holes = pa.table({"t": pa.array([None, *large[1:].tolist()]), "y": exact})
    for data in (tmp_path / "t.parquet", tmp_path / "t.csv", table, holes):
        with pytest.raises(gl.DataError, match=f"'t' {told}"):
            gl.fit(data, target="y", missing="drop")
    for x in (large, torch.from_numpy(large)):
        with pytest.raises(gl.DataError, match=f"'x' {told}"):
            gl.fit(x, exact)
    with pytest.raises(gl.DataError, match=f"'y' {told}"):
        gl.fit(exact, large)
    fine = gl.fit(256 * exact + 2**60, exact)  # all of them fit into float64
    assert fine.coefficients["x"] == pytest.approx(1 / 256, rel=1e-12)


def test_the_first_whole_number_that_float64_lacks() -> None:
    """2⁵³ + 1 is rounded to 2⁵³, which is itself fine."""
    fine = np.array([2**53, -(2**53), 1])
    assert np.array_equal(next(batches_of(fine)), fine[:, None].astype(float))
    with pytest.raises(DataError, match="9007199254740993"):
        next(batches_of(np.array([2**53 + 1, 1])))


def batches_of(values: Any) -> Iterator[Any]:
    source = open_source(values)
    names = [c.name for c in source.columns]
    return (batch.numbers(names) for batch in source.batches(names))
