"""Tables into files: CSV, Parquet or Arrow by the name, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from gradline.data import Array, Batch
from gradline.errors import ColumnError, DataError, UsageError
from gradline.files import cannot_write, replacing
from gradline.tables import ARROW_SUFFIXES, PARQUET_SUFFIXES, ArrowBatch, plain


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, Array]) -> None:
    """Write arrays, (n,) each, as the columns of a table; see `write_table`."""
    import pyarrow as pa

    write_table(path, [pa.table(dict(columns))])


def write_predictions(
    path: str | os.PathLike[str],
    pairs: Iterable[tuple[Batch, Sequence[Array]]],
    columns: Sequence[str],
    schema: Any = None,
) -> int:
    """Write batches with their predictions as further columns; return the rows.

    Args:
        path: as in `write_table`.
        pairs: batches of a file or a frame, and for each of the columns an array
            (rows,); NaN is missing.
        columns: the names of these columns.
        schema: of the batches; needed only where there may be no batch at all.
    """
    import pyarrow as pa

    rows = 0

    def joined() -> Iterator[Any]:
        nonlocal rows
        for batch, arrays in pairs:
            assert isinstance(batch, ArrowBatch)
            rows += batch.rows
            table = batch.arrow()
            for column, values in zip(columns, arrays, strict=True):
                table = table.append_column(column, pa.array(values, from_pandas=True))
            yield table

    if schema is not None:
        for column in columns:
            schema = schema.append(pa.field(column, pa.float64()))
    write_table(path, joined(), schema)
    return rows


def write_table(
    path: str | os.PathLike[str], batches: Iterable[Any], schema: Any = None
) -> None:
    """Write Arrow data as CSV, Parquet or Arrow, whole or not at all.

    Args:
        path: the file; its extension says the format: .csv, .parquet or .pq, .arrow,
            .feather or .ipc. "-" writes CSV to standard output.
        batches: pyarrow record batches and tables, all with one schema.
        schema: that schema; needed only where there may be no batch at all.

    Categories are written as what they stand for, texts as a rule.

    Raises:
        UsageError: another extension, found before anything is read or written.
        ColumnError: a column that the format cannot hold.
        DataError: no batch and no schema.
        FileError: the file cannot be written; what was there stays.
        BrokenPipeError: who reads standard output has stopped.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    to_stdout = str(path) == "-"
    if not to_stdout and suffix not in {".csv"} | PARQUET_SUFFIXES | ARROW_SUFFIXES:
        raise UsageError(
            f"cannot write {str(path)!r}: end its name in .csv, .parquet or .arrow, or "
            "give - for CSV on standard output"
        )
    # Read the first batch before the file is made: bad input then leaves no trace.
    simple = _simple_batches(batches)
    first = next(simple, None)
    if first is None and schema is None:
        raise DataError("there are no rows to write and no columns are known")
    plain_schema = _simple_schema(schema) if first is None else first.schema
    if to_stdout or suffix == ".csv":
        _check_fits_csv(plain_schema)
    rows = chain([] if first is None else [first], simple)
    if to_stdout:
        with _StandardOutput(plain_schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
        return
    with replacing(place) as temporary, _writer(temporary, suffix, plain_schema) as w:
        for batch in rows:
            w.write_batch(batch)


def _writer(path: Path, suffix: str, schema: Any) -> Any:
    """The Arrow writer that an extension names."""
    if suffix in PARQUET_SUFFIXES:
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema)
    if suffix in ARROW_SUFFIXES:
        from pyarrow import ipc

        return ipc.new_file(str(path), schema)
    import pyarrow.csv as pc

    return pc.CSVWriter(str(path), schema)


class _StandardOutput:
    """CSV to standard output, which stays open: Arrow's own writer would close it."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def __enter__(self) -> _StandardOutput:
        self._write(self._schema.empty_table(), header=True)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write_batch(self, batch: Any) -> None:
        """Write rows, so that who reads the other end has them."""
        self._write(batch, header=False)

    def _write(self, data: Any, header: bool) -> None:
        import pyarrow as pa
        import pyarrow.csv as pc

        sink = pa.BufferOutputStream()
        pc.write_csv(data, sink, pc.WriteOptions(include_header=header))
        text = sink.getvalue().to_pybytes()
        raw = getattr(sys.stdout, "buffer", None)
        try:
            sys.stdout.flush()
            if raw is None:
                sys.stdout.write(text.decode())
            else:
                raw.write(text)  # UTF-8 whatever the terminal's encoding
                raw.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write("to standard output", error) from error


def _simple_batches(batches: Iterable[Any]) -> Iterator[Any]:
    """Record batches, with categories resolved: each batch may have its own levels."""
    import pyarrow as pa

    for item in batches:
        for batch in item.to_batches() if isinstance(item, pa.Table) else [item]:
            columns = [plain(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _simple_schema(schema: Any) -> Any:
    """The schema that `_simple_batches` gives to batches of a schema."""
    import pyarrow as pa

    empty = [plain(pa.array([], field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(empty, names=schema.names).schema


def _check_fits_csv(schema: Any) -> None:
    """Refuse columns that have no text of their own in a CSV file."""
    import pyarrow as pa

    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_interval(field.type):
            raise ColumnError(
                f"column {field.name!r} holds {field.type}, which CSV cannot: write "
                ".parquet or .arrow"
            )
