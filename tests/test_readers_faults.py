"""Files at fault: each becomes one sentence, and nothing half done is left behind."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import gradline.csvfiles
import gradline.files
from gradline.data import Source
from gradline.errors import (
    ColumnError,
    DataError,
    FileError,
    GradlineError,
    UsageError,
)
from gradline.files import InputFile, replacing
from gradline.readers import open_source
from gradline.writers import write_table

TABLE = pa.table({"x": np.arange(5000.0), "t": ["a", "b", None, "d", "é"] * 1000})


def read_all(source: Source) -> int:
    """Read every column in every way it offers; the number of rows."""
    rows = 0
    for batch in source.batches([c.name for c in source.columns]):
        rows += batch.rows
        for column in source.columns:
            if column.kind == "number":
                batch.numbers([column.name])
            elif column.kind == "category":
                batch.category(column.name)
    return rows


def refused(
    error: type[GradlineError], message: str, act: Callable[[], object]
) -> None:
    with pytest.raises(error, match=message) as caught:
        act()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 260


def refused_bytes(
    path: Path, data: bytes, error: type[GradlineError], message: str, **options: Any
) -> None:
    path.write_bytes(data)
    refused(error, message, lambda: read_all(open_source(path, **options)))


# Paths that lead to no file.


def test_a_missing_file_and_a_near_name(tmp_path: Path) -> None:
    (tmp_path / "house.csv").write_text("a\n1\n")
    near = r"no file '.*hose\.csv': did you mean '.*house\.csv'\?$"
    refused(FileError, near, lambda: open_source(tmp_path / "hose.csv"))
    far = r"no file '.*qqq\.parquet': check the path$"
    refused(FileError, far, lambda: open_source(tmp_path / "qqq.parquet"))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to("gone.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "empty").mkdir()
    cases: dict[str | Path, str] = {
        tmp_path / "empty": r"'.*' is a folder without a \.parquet, \.csv or \.arrow",
        tmp_path / "no" / "a.csv": r"no folder '.*no', so no file '.*a\.csv': check",
        tmp_path / "a.csv" / "b": r"no file '.*a\.csv/b': a part of the path before",
        tmp_path / "link.csv": r"link\.csv: it is a link to 'gone\.csv', which is not",
        tmp_path / "loop.csv": r"cannot read loop\.csv: its links lead in a circle",
        tmp_path / "pipe.csv": r"pipe\.csv' is a pipe or a device, .*: save them to a",
        tmp_path / ("a" * 300): r"cannot read a+: no file has so long a name",
        "a\0b.csv": r"cannot read 'a\\x00b\.csv': embedded null byte; give a whole",
        "s3://bucket/a.csv": r"'s3://bucket/a\.csv' is an address: download the file",
        "~nobody_here/a.csv": r"there is no folder",
    }
    for path, message in cases.items():
        with pytest.raises(FileError, match=message):
            open_source(path)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, r"cannot read a\.csv: permission denied; ask for the right"),
        (errno.EIO, r"cannot read a\.csv: the disk failed; copy the file elsewhere"),
        (errno.EBUSY, r"cannot read a\.csv: device or resource busy; give a whole"),
    ],
)
def test_system_errors(
    number: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")

    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", failing)
    refused(FileError, message, lambda: open_source(tmp_path / "a.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "a.csv").chmod(0)
    refused(FileError, "permission denied", lambda: open_source(tmp_path / "a.csv"))


# CSV that is none.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^a\.csv is empty: it needs column names and at least one row$"),
        (b" \r\n\n", r"^a\.csv is empty: it needs column names and at least one row$"),
        (b"\xef\xbb\xbf", r"^a\.csv is empty: it needs column names"),
        (b"a,b\n1,\0\n", r"^a\.csv holds NUL bytes, so it is not plain text: give CSV"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"holds NUL bytes, .* or encoding='utf-16'"),
        (b"\x89PNG\r\n\x1a\n\x01", r"^a\.csv is not text: give CSV, Parquet or Arrow"),
        (
            b'y,x\n1,2\n2,"a\x07b"\n',
            "mend the text, of which line 3, byte 13 holds the",
        ),
        (b"PK\x03\x04xxxx", r"^a\.csv is an Excel workbook or a zip archive: save the"),
        (b"\x28\xb5\x2f\xfd....", r"^a\.csv is compressed with zstd: unpack it, or"),
        (b"SQLite format 3", r"^a\.csv is an SQLite database: export the table as CSV"),
        (
            b"a,b\n\xc3\xa9,1\n\xff,2\n",
            r"begins as Unicode, but about byte 10 it is no",
        ),
        (b"\xff\xfea", r"begins as Unicode, but about byte 3 it is not: mend the file"),
        (
            b"a,b,c\n1,2,3\n\n1,2\n",
            r"^line 4 of a\.csv has 2 fields where the header has 3: mend that line, "
            r"or give the delimiter if it is not ','$",
        ),
        (
            b"a,b\n1,2\n1,2,3\n",
            r"^line 3 of a\.csv has 3 fields where the header has 2",
        ),
        (
            b'a,b\n"1\n1",2\n1\n',
            r"^line 4 of a\.csv has 1 field where the header has 2",
        ),
        (
            b'a,b\n1,"2\n3,4\n',
            r"^line 2 of a\.csv opens a quote that is never closed: ",
        ),
        (b'a,b\n1,"2\n3",4"\n5,"6\n', r"^line 2 of a\.csv "),
        (
            b'"a,b\n1,2\n',
            r"names of a\.csv cannot be read \(unexpected end of data\): ",
        ),
        (
            b"a, a,b,b\n1,2,3,4\n",
            r"more than one column called 'a', 'b': rename all but",
        ),
        (b"0.5,1\n2,3\n", r"first line of a\.csv holds numbers \('0\.5', '1'\) where"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_csv_at_fault(data: bytes, message: str, tmp_path: Path) -> None:
    kind = ColumnError if "called" in message else FileError
    refused_bytes(tmp_path / "a.csv", data, kind, message)


def test_a_lone_inch_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,5" pipe\n2,6 pipe\n')
    assert read_all(open_source(tmp_path / "a.csv")) == 2


def test_a_row_longer_than_all_before_it(tmp_path: Path) -> None:
    long = "x" * (3 << 20)
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 3_000_000 + f"1,{long}\n")
    assert read_all(open_source(tmp_path / "a.csv")) == 3_000_001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "utf9"}, r"there is no encoding 'utf9': did you mean 'utf-8'\?"),
        ({"encoding": "base64"}, r"there is no encoding 'base64': give one such as"),
        ({"delimiter": ";;"}, r"delimiter is ';;': give one character, such as ','"),
        ({"delimiter": '"'}, r"delimiter is '\"': give one character"),
        ({"decimal": "x"}, r"decimal is 'x': give '\.' or ','"),
        ({"decimal": ",", "delimiter": ","}, r"delimiter and decimal are both ','"),
    ],
)
def test_options_that_cannot_be_meant(
    options: dict[str, str], message: str, tmp_path: Path
) -> None:
    refused_bytes(tmp_path / "a.csv", b"a,b\n1,2\n", UsageError, message, **options)


def test_a_given_encoding_is_held_to(tmp_path: Path) -> None:
    message = r"^a\.csv is not ascii, byte 5 does not belong to it: leave out the enco"
    data = "a,b\né,1\n".encode()
    refused_bytes(tmp_path / "a.csv", data, FileError, message, encoding="ascii")


@pytest.mark.parametrize("keep", [3, 40, -20, -1])
def test_gzip_cut_short(keep: int, tmp_path: Path) -> None:
    data = gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % i for i in range(9000)))
    message = r"^cannot read a\.csv\.gz: compressed file ended before the end-of-stream"
    refused_bytes(tmp_path / "a.csv.gz", data[:keep], FileError, message)


# CSV that is streamed.


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradline.csvfiles, "WHOLE_BYTES", 2000)
    monkeypatch.setattr(gradline.csvfiles, "SAMPLE_BYTES", 1000)
    monkeypatch.setattr(gradline.csvfiles, "BLOCK_BYTES", 512)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize(
    ("good", "bad", "error", "message"),
    [
        (
            "12345,1",
            "A12,1",
            ColumnError,
            r"^a\.csv: column 'zip' reads as numbers until row 40,001, which says 'A12'"
            r": give categories=\['zip'\] to read it as text, or mend the row$",
        ),
        (
            "true,1",
            "maybe,1",
            ColumnError,
            r"'zip' reads as true and false until row 4",
        ),
        ("2020-01-01,1", "soon,1", ColumnError, r"'zip' reads as dates or times until"),
        ("1,2", "1,2,3", FileError, r"^line 40,002 of a\.csv has 3 fields where the"),
        ("1,2", "1", FileError, r"^line 40,002 of a\.csv has 1 field where the header"),
        ("1,2", '1,"2', FileError, r"^line 40,002 of a\.csv opens a quote that is nev"),
        ("1,2", "1,\0", FileError, r"^a\.csv holds NUL bytes, so it is not plain text"),
        ("1,é", "1,\udcff", FileError, r"^a\.csv begins as Unicode, but about byte 2"),
        (
            "1,2",
            '1,"' + "x\n" * 5000 + '"',
            FileError,
            r"^a\.csv has a row of more than 512 bytes, far more than its first ones",
        ),
    ],
)
def test_faults_far_into_a_large_file(
    good: str, bad: str, error: type[GradlineError], message: str, tmp_path: Path
) -> None:
    text = "zip,b\n" + f"{good}\n" * 40_000 + f"{bad}\n" + f"{good}\n" * 20
    data = text.encode(errors="surrogateescape")
    refused_bytes(tmp_path / "a.csv", data, error, message)


@pytest.mark.usefixtures("streaming")
def test_only_columns_asked_for_are_converted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("zip,b\n" + "1,2\n" * 2000 + "A12,3\n")
    source = open_source(tmp_path / "a.csv")
    assert sum(batch.rows for batch in source.batches(["b"])) == 2001


@pytest.mark.usefixtures("streaming")
def test_a_value_that_did_not_fit_after_missing_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "a,b\n" + ",2\n" * 2000 + "1,2\n" * 2000 + "some,2\n"
    )
    source = open_source(tmp_path / "a.csv")
    message = r"column 'a' reads as numbers until row 4,001, which says 'some': give"
    refused(ColumnError, message, lambda: read_all(source))


@pytest.mark.usefixtures("streaming")
def test_a_large_gzip_cut_short(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=20_000)
    text = "a,b\n" + "".join(f"{x},1\n" for x in rows)
    message = r"^cannot read a\.csv\.gz: compressed file ended before the end-of-stream"
    data = gzip.compress(text.encode())[:-5000]
    refused_bytes(tmp_path / "a.csv.gz", data, FileError, message)


# Files that change between two passes.


def _csv(path: Path) -> None:
    path.write_text("x,t\n" + "1,a\n" * 2000)


def _parquet(path: Path) -> None:
    pa.parquet.write_table(TABLE, path)


def _feather(path: Path) -> None:
    pa.feather.write_feather(TABLE, path)


def _stream(path: Path) -> None:
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE)


WRITERS = {"a.csv": _csv, "a.parquet": _parquet, "a.feather": _feather}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("name", [*WRITERS, "a.arrow"])
def test_a_file_that_changes_or_goes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS.get(name, _stream)(path)
    source = open_source(path)
    rows = read_all(source)
    assert rows == read_all(source)
    path.write_bytes(path.read_bytes()[:-30])
    message = rf"^{name} changed while gradline was reading it: run again once nothing"
    refused(FileError, message, lambda: read_all(source))
    path.unlink()
    message = rf"^there is no file '.*{name}': check the path"
    refused(FileError, message, lambda: read_all(source))


# Parquet and Arrow files that are damaged.


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.parquet", b"abc", r"^cannot read a\.parquet: parquet file size is 3 bytes"),
        ("a.parquet", b"a,b\n1,2\n3,4\n", r"^cannot read a\.parquet: .*; give a whole"),
        (
            "a.pq",
            b"PAR1\x15...PAR1",
            r"^cannot read a\.pq: .*; give a whole file of th",
        ),
        (
            "a.arrow",
            b"ARROW1\0\0...",
            r"^cannot read a\.arrow: file is too small: 11; ",
        ),
        (
            "a.arrow",
            b"abcd",
            r"^cannot read a\.arrow: expected to read \d+ metadata by",
        ),
        (
            "a.feather",
            b"FEA1\0\0\0\0",
            r"^a\.feather is Feather version 1, which Arrow",
        ),
        ("a.parquet", b"", r"^a\.parquet is empty: it needs column names and at least"),
    ],
)
def test_no_parquet_and_no_arrow(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    refused_bytes(tmp_path / name, data, FileError, message)


@pytest.mark.parametrize("kind", ["parquet", "snappy", "feather", "lz4", "stream"])
def test_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    """No exception of Arrow's escapes, and no wrong offset ends the process."""
    table = pa.table(
        {
            "x": [1.0, 2.5, None] * 50,
            "k": range(150),
            "t": ["x", None, "éé"] * 50,
            "d": pa.array(["u", "v", "w"] * 50).dictionary_encode(),
            "b": [True, None, False] * 50,
        }
    )
    path = tmp_path / ("a.parquet" if kind in ("parquet", "snappy") else "a.arrow")
    if path.suffix == ".parquet":
        compression = "none" if kind == "parquet" else "snappy"
        pa.parquet.write_table(table, path, compression=compression)
    elif kind == "stream":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        compression = "uncompressed" if kind == "feather" else "lz4"
        pa.feather.write_feather(table, path, compression=compression)
    whole = path.read_bytes()
    rng = random.Random(2)
    messages = []
    for trial in range(150):
        damaged = bytearray(whole)
        if trial % 4 == 0:
            del damaged[rng.randrange(1, len(damaged)) :]
        for _ in range(rng.choice([1, 3, 20]) if trial % 4 else 0):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_all(open_source(path))
        except GradlineError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert all("\n" not in message and len(message) < 260 for message in messages)


def test_duplicate_names_in_files(tmp_path: Path) -> None:
    table = pa.table([[1], [2]], names=["a", "a"])
    message = r"^a\.(parquet|arrow) has more than one column called 'a': rename all but"
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    refused(ColumnError, message, lambda: open_source(tmp_path / "a.parquet"))
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    refused(ColumnError, message, lambda: open_source(tmp_path / "a.arrow"))


def test_unknown_columns(tmp_path: Path) -> None:
    _parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    message = r"^a\.parquet has no column 'X': did you mean 'x'\?$"
    refused(ColumnError, message, lambda: next(iter(source.batches(["X"]))))


# Writing.


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replacing_writes_and_keeps_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.name.startswith(".")
            assert temporary.suffixes == [".csv", ".gz"]
            assert temporary.read_bytes() == b""
            temporary.write_text(content)
            assert content == "one" or path.read_text() == "one"
        assert path.read_text() == content
    assert left(tmp_path) == ["a.csv.gz"]


def test_replacing_keeps_mode_and_links(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    with replacing(str(tmp_path / "link")) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "fresh") as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def test_a_device_is_written_to_not_replaced() -> None:
    with replacing("/dev/null") as temporary:
        temporary.write_text("gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ValueError("x"), SystemExit(1), DataError("mine")]
)
def test_nothing_is_left_of_what_failed(error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert (tmp_path / "a").read_text() == "old"
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            r"^cannot write .*a\.csv: no space left on the device; free some",
        ),
        (
            errno.EDQUOT,
            r"^cannot write .*a\.csv: your disk quota is used up; free some",
        ),
        (
            errno.EACCES,
            r"^cannot write .*a\.csv: permission denied; name another place",
        ),
        (
            errno.EROFS,
            r"^cannot write .*a\.csv: the file system is read-only; name ano",
        ),
        (errno.EFBIG, r"^cannot write .*a\.csv: the file grew too large for this file"),
        (errno.EBUSY, r"^cannot write .*a\.csv: device or resource busy; name another"),
    ],
)
@pytest.mark.parametrize("at", ["open", "fsync"])
def test_system_errors_on_writing(
    at: str,
    number: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.csv").write_text("old")

    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(gradline.files.os, at, failing)
        refused(FileError, message, lambda: write_table(tmp_path / "a.csv", [TABLE]))
    assert (tmp_path / "a.csv").read_text() == "old"
    assert left(tmp_path) == ["a.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_device() -> None:
    message = r"^cannot write /dev/full: no space left on the device; free some or name"

    def write() -> None:
        with replacing("/dev/full") as temporary:
            temporary.write_text("x")

    refused(FileError, message, write)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    cases = {
        tmp_path: r"^cannot write .*: it is a folder; add a file name to it$",
        tmp_path / "no" / "a": r": there is no folder '.*no'; make it first or name an",
        tmp_path / ("a" * 300): r": the name is too long; give a shorter one$",
        Path("a\0b"): r"^cannot write 'a\\x00b': embedded null byte; name another plac",
    }
    for path, message in cases.items():
        with pytest.raises(FileError, match=message), replacing(path):
            pytest.fail("the block ran")  # refused before any work


def test_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    nested = pa.table({"a": [1], "tags": [[1, 2]]})
    unread: Iterator[Any] = iter([TABLE])
    message = (
        r"^cannot write '.*a\.xlsx': end its name in \.csv, \.parquet or \.arrow, "
    )
    refused(UsageError, message, lambda: write_table(tmp_path / "a.xlsx", unread))
    assert next(unread) is TABLE  # found out before the data were touched
    message = r"^column 'tags' holds list<.*>, which CSV cannot: write \.parquet or \.a"
    refused(ColumnError, message, lambda: write_table(tmp_path / "a.csv", [nested]))
    message = r"^there are no rows to write and no columns are known$"
    refused(DataError, message, lambda: write_table(tmp_path / "a.csv", []))
    assert left(tmp_path) == []
    write_table(tmp_path / "a.parquet", [nested])
    assert left(tmp_path) == ["a.parquet"]


def test_a_source_that_fails_while_it_is_written(tmp_path: Path) -> None:
    def failing() -> Iterator[Any]:
        yield TABLE
        raise FileError("the input broke")

    for suffix in (".csv", ".parquet", ".arrow"):
        path = tmp_path / f"a{suffix}"
        refused(
            FileError, "^the input broke$", lambda p=path: write_table(p, failing())
        )
    assert left(tmp_path) == []


def test_standard_output_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sink(io.BytesIO):
        number = errno.ENOSPC

        def write(self, _: Any) -> int:
            raise OSError(self.number, os.strerror(self.number))

    sink = Sink()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink))
    message = r"^cannot write to standard output: no space left on the device; free som"
    refused(FileError, message, lambda: write_table("-", [TABLE]))
    sink.number = errno.EPIPE  # `gradline predict ... | head`, which is no fault
    with pytest.raises(BrokenPipeError):
        write_table("-", [TABLE])
    monkeypatch.setattr(sys, "stdout", text := io.StringIO())
    write_table("-", [TABLE.slice(0, 1)])
    assert text.getvalue() == '"x","t"\n0,"a"\n'


def test_an_input_file_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a\nb.csv").write_text("a,b\n1,2\n")
    file = InputFile(str(tmp_path / "a\nb.csv"))
    assert file.name == r"'a\nb.csv'"
    assert file.magic == b"a,b\n1,2\n"
    with pytest.raises(ZeroDivisionError), file.reading():
        _ = 1 / 0  # a fault of ours is not a fault of the file
