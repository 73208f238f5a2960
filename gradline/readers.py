"""Anything that holds columns, as a source: files, frames, tables, arrays.

Whatever comes in becomes Arrow record batches first, so that a number, a text and a
missing value mean the same from every kind of input. Arrow is loaded when the first
file or frame is opened; pandas and polars are recognised, never imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from gradline.csvfiles import CsvFile
from gradline.data import Source, array_source, column_of, is_tensor, to_float64
from gradline.errors import DataError, FileError, ShapeError
from gradline.files import InputFile, one_line, said
from gradline.folders import Folder, folder_members, glob_members, is_glob
from gradline.npyfiles import (
    NPY_MAGIC,
    NpyFile,
    NpySource,
    record_batches,
    record_schema,
)
from gradline.tables import (
    ARROW_SUFFIXES,
    PARQUET_SUFFIXES,
    ArrowSource,
    Opened,
    Part,
    check_unique,
    kept,
)

#: Parquet's mark and the byte that follows it: a CSV column may be called "PAR1".
PARQUET_SUFFIXES_MAGIC = b"PAR1\x15"
_ARROW_MAGIC = b"ARROW1\0\0"

#: Files that people have and gradline does not read: their first bytes, what to do.
_FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or a zip archive: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV",
    b"\xfd7zXZ\0": "compressed with xz: unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it, or compress it with gzip",
    b"FEA1\0": "Feather version 1, which Arrow gives up: write it as Parquet",
    b"SQLite f": "an SQLite database: export the table as CSV",
    b"\x89HDF\r": "an HDF5 file: write the table as Parquet",
}


def open_source(
    data: Any,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    categories: Sequence[str] = (),
) -> Source:
    """Anything that holds columns, as a source that can be read again and again.

    Args:
        data: the path of a CSV file (also .csv.gz), a Parquet, an Arrow (Feather) or
            a NumPy file (.npy); a folder of Parquet, CSV or Arrow files, also with
            hive partitions (year=2024/), or a pattern such as "data/*.parquet"; a
            pandas or polars frame or series; an Arrow table; any object with
            `__arrow_c_stream__`; a mapping from names to arrays; a NumPy array or a
            torch tensor, (n,) or (n, d); or a source, which is returned.
        delimiter: what stands between the fields of a CSV file, found out if None.
        encoding: that of a CSV file, such as "cp1252", found out if None.
        decimal: the decimal mark in a CSV file, "." or ",".
        categories: columns that are to be read as text, even where they look like
            numbers: "01234" of a CSV file then stays "01234".

    Raises:
        FileError: a file that is missing or cannot be read.
        ColumnError: two columns with one name; a category that is not there.
        DataError: an object without columns that Arrow can hold.
        UsageError: an argument that cannot be meant.
    """
    if callable(getattr(data, "batches", None)):
        source = cast(Source, data)
    elif isinstance(data, str | os.PathLike):
        source = _path_source(data, delimiter, encoding, decimal, categories)
        if isinstance(source, ArrowSource):
            given = {"delimiter": delimiter, "encoding": encoding}
            given["decimal"] = decimal if decimal != "." else None
            source.csv_options = {k: v for k, v in given.items() if v is not None}
    else:
        source = _object_source(data)
    for name in categories:
        column_of(source, name)
    return source


# Files. Arrow trusts the offsets and indices in a file, and a wrong one could end the
# process: every batch is validated, which takes a hundredth of the time of reading.


def _path_source(
    path: str | os.PathLike[str],
    delimiter: str | None,
    encoding: str | None,
    decimal: str,
    text: Sequence[str],
) -> Source:
    """A file, a folder of files, or the files that a pattern stands for."""

    def opened(file: InputFile) -> Opened:
        return _opened(file, delimiter, encoding, decimal, text)

    place = _place(path)
    members = None
    if place is not None and place.is_dir():
        members = folder_members(place)
    elif place is not None and is_glob(place):
        members = glob_members(str(place))
    if members is None:
        file = InputFile(path)
        if file.magic.startswith(NPY_MAGIC):
            return _npy_source(file)
        found = opened(file)
        if found.held_bytes:  # in memory as it is
            return ArrowSource(file.name, found.schema, found.rows, found.read)
        read = kept(found.read, file.reading)
        return ArrowSource(
            file.name, found.schema, found.rows, read, ahead=True, parts=found.parts
        )
    folder = Folder(members, opened, text)
    return ArrowSource(
        one_line(Path(path).name or str(path)),
        folder.schema,
        folder.rows,
        kept(folder.read, folder.unchanged),
        folder.refused,
        ahead=True,
    )


def _place(path: str | os.PathLike[str]) -> Path | None:
    """A path with its ~ resolved; None where InputFile has to say what is wrong."""
    place = Path(path)
    try:
        place = place if place.exists() else place.expanduser()
        place.is_dir()
    except (OSError, ValueError, RuntimeError):
        return None
    return None if "://" in os.fspath(path) else place


def _opened(
    file: InputFile,
    delimiter: str | None,
    encoding: str | None,
    decimal: str,
    text: Sequence[str],
) -> Opened:
    """A file by what its first bytes say; where they say nothing, by its name."""
    for magic, advice in _FOREIGN.items():
        if file.magic.startswith(magic):
            if file.path.suffix.lower() == ".npz":
                advice = "an archive of arrays: save one array as .npy"
            raise FileError(f"{file.name} is {advice}")
    suffix = file.path.suffix.lower()
    if file.magic.startswith(PARQUET_SUFFIXES_MAGIC) or suffix in PARQUET_SUFFIXES:
        return _parquet(file)
    if file.magic.startswith(_ARROW_MAGIC) or suffix in ARROW_SUFFIXES:
        return _ipc(file)
    found = CsvFile(
        file, delimiter=delimiter, encoding=encoding, decimal=decimal, text=text
    )
    return Opened(found.schema, found.rows, found.record_batches, found.held_bytes)


def _npy_source(file: InputFile) -> Source:
    found = NpyFile(file)
    if not found.dtype.names:
        return NpySource(found)

    def read(names: Sequence[str], rows: int) -> Iterator[Any]:
        return record_batches(found, names, rows)

    schema = record_schema(found)
    return ArrowSource(file.name, schema, found.rows, read, ahead=True)


def _parquet(file: InputFile) -> Opened:
    def opened() -> Any:
        import pyarrow.parquet as pq

        # Buffered, not memory-mapped: as fast, and a file cut short while it is read
        # is an error instead of the end of the process.
        # Without pre_buffer=False, Arrow holds every row group it has read until the
        # end: 2 GB of memory for a file of 2 GB, against 0.13.
        return pq.ParquetFile(
            file.path,
            buffer_size=1 << 20,
            pre_buffer=False,
            page_checksum_verification=True,
        )

    def read(
        names: Sequence[str], rows: int, groups: list[int] | None = None
    ) -> Iterator[Any]:
        with file.reading(), opened() as parquet:
            # In one thread: a second one computes meanwhile, and waking more costs a
            # tenth of the decoding (5 M x 11 float64).
            for batch in parquet.iter_batches(
                batch_size=rows,
                row_groups=groups,
                columns=list(names),
                use_threads=False,
            ):
                batch.validate(full=True)
                yield batch

    with file.reading(), opened() as parquet:
        rows = parquet.metadata.num_rows
        sizes = [
            parquet.metadata.row_group(i).num_rows
            for i in range(parquet.metadata.num_row_groups)
        ]
        schema = parquet.schema_arrow
        check_unique(schema.names, file.name)  # in here: names may be damaged too
    parts = [Part(size, partial(read, groups=[i])) for i, size in enumerate(sizes)]
    return Opened(schema, rows, read, parts=tuple(parts))


def _ipc(file: InputFile) -> Opened:
    random_access = file.magic.startswith(_ARROW_MAGIC)  # else Arrow's stream format

    def opened(mapped: Any, fields: list[int] | None = None) -> Any:
        from pyarrow import ipc

        options = ipc.IpcReadOptions(included_fields=fields)
        kind = ipc.open_file if random_access else ipc.open_stream
        return kind(mapped, options=options)

    def batches(reader: Any) -> Iterator[Any]:
        if not random_access:
            yield from reader
            return
        for place in range(reader.num_record_batches):
            yield reader.get_batch(place)

    def read(names: Sequence[str], _rows: int) -> Iterator[Any]:
        import pyarrow as pa

        places = sorted(schema.get_field_index(name) for name in names)
        with file.reading(), pa.memory_map(str(file.path)) as mapped:
            for batch in batches(opened(mapped, places)):
                batch.validate(full=True)
                yield batch

    import pyarrow as pa

    with file.reading(), pa.memory_map(str(file.path)) as mapped:
        reader = opened(mapped)
        schema = reader.schema
        check_unique(schema.names, file.name)
        count = getattr(reader, "count_rows", None)
        rows = int(count()) if count is not None else None
    return Opened(schema, rows, read)


# Objects in memory.


def _object_source(data: Any) -> Source:
    import pyarrow as pa

    if _is(data, "pandas", "Series") or _is(data, "polars", "Series"):
        data = data.to_frame(name="x" if data.name in (None, "") else data.name)
    if _is(data, "polars", "LazyFrame"):
        data = data.collect()
    if _is(data, "pandas", "DataFrame"):
        labels = [_label(label) for label in data.columns]
        return _columns_source(labels, [data.iloc[:, i] for i in range(len(labels))])
    if isinstance(data, Mapping):
        return _columns_source([str(key) for key in data], list(data.values()))
    if isinstance(data, pa.Array | pa.ChunkedArray):
        data = pa.table({"x": data})
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        try:
            return _table_source(pa.table(data))
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"the {type(data).__name__} cannot be read as an Arrow table "
                f"({said(error)}): give a data frame or a table with plain columns"
            ) from error
    return array_source(data)


def _table_source(table: Any, refused: Mapping[str, str] | None = None) -> ArrowSource:
    def read(names: Sequence[str], rows: int) -> Iterator[Any]:
        yield from table.select(list(names)).to_batches(max_chunksize=rows)

    return ArrowSource("the data", table.schema, table.num_rows, read, refused)


def _columns_source(names: list[str], columns: list[Any]) -> ArrowSource:
    """Columns that were converted one by one: one of no use does not spoil the rest."""
    import pyarrow as pa

    check_unique(names, "the data")
    arrays: list[Any] = []
    refused: dict[str, str] = {}
    for name, values in zip(names, columns, strict=True):
        try:
            array = _arrow_array(values, name)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            refused[name] = said(error)
            array = pa.nulls(len(values))
        if arrays and len(array) != len(arrays[0]):
            raise ShapeError(
                f"column {name!r} has {len(array):,} values and {names[0]!r} has "
                f"{len(arrays[0]):,}: give columns of the same length"
            )
        arrays.append(array)
    return _table_source(pa.table(arrays, names=names), refused)


def _arrow_array(values: Any, name: str) -> Any:
    """One column as an Arrow array, without a copy where that is possible."""
    import pyarrow as pa

    if is_tensor(values):
        values = values.detach().cpu()
        floats = values.is_floating_point()
        values = to_float64(values) if floats else values.numpy()
    if isinstance(values, np.ma.MaskedArray):
        values = pa.array(values.data, mask=np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise ShapeError(
                f"column {name!r} has shape {values.shape}: give (n,), one value per "
                "row"
            )
        if values.dtype == np.longdouble:
            values = values.astype(np.float64)
    elif isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        shown = (
            f", such as [{values!r}]" if isinstance(values, str | int | float) else ""
        )
        raise ShapeError(
            f"column {name!r} is a {type(values).__name__}: give one value per row"
            f"{shown[:60]}"
        )
    if _is(values, "pandas", "Series") and hasattr(values, "sparse"):
        values = values.sparse.to_dense()
    if hasattr(values, "__arrow_c_stream__") and not _is(values, "pandas", "Series"):
        return pa.chunked_array(values)
    return pa.array(values, from_pandas=True)


def _is(data: Any, package: str, name: str) -> bool:
    """Whether data are of a class of a package, asked without importing it."""
    return any(
        c.__module__.split(".")[0] == package and c.__name__ == name
        for c in type(data).__mro__
    )


def _label(label: Any) -> str:
    """A frame's column label as a name; levels of a MultiIndex joined by "_"."""
    if isinstance(label, tuple):
        return "_".join(str(part) for part in label if str(part))
    return str(label)
