"""CSV files as Arrow record batches.

A CSV file says nothing about itself, so everything is found out: encoding, delimiter,
names, types. A small file is read whole, and its types hold for every row. A larger one
is streamed, with the types of its first megabytes; a value further on that does not fit
is an error that names it, never a guess.

Bytes flow one way:  file -> Utf8 (decodes, checks) -> Arrow (splits, converts).
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradline.csvtext import (
    DELIMITERS,
    Utf8,
    checked_delimiter,
    checked_encoding,
    first_control,
    first_fault,
    row_ends,
    sniffed,
)
from gradline.errors import ColumnError, FileError, GradlineError, listed
from gradline.files import InputFile, said
from gradline.tables import check_unique

#: Files of up to this many bytes of text are read whole.
WHOLE_BYTES = 32 << 20

#: The types of a larger file are those of its first so many bytes.
SAMPLE_BYTES = 8 << 20

#: What Arrow parses at a time. 1 MiB is as fast as 4 MiB (220 MB/s on two cores, 21
#: columns) at 170 MB of peak memory against 310.
BLOCK_BYTES = 1 << 20

#: How much of a file is looked at for codes such as 01067.
CODE_BYTES = 256 << 10

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
#: What may be a code such as 01067; not 1.05, 1e-05 or 2024-01-05.
_CODE = re.compile(rb"(?<![\d.eE+-])[-+]?0\d")
_MISFIT = re.compile(
    r"CSV column #(\d+): .*?conversion error to .*?: invalid value '(.*)'", re.DOTALL
)


#: How Arrow says that a row does not fit a block.
_ROW_TOO_LONG = "straddling object"


class CsvFile:
    """A CSV file that hands out record batches, again and again.

    Args:
        file: where it is; gzip is unpacked.
        delimiter: one character; found out among , ; tab and | when None.
        encoding: a name that Python knows; found out when None, see `Utf8`.
        decimal: "." or ",".
        text: columns to read as text, whatever they look like.

    Attributes:
        schema: the Arrow schema.
        rows: how many, or None for a file that is not read whole.
        held_bytes: what a file that was read whole takes in memory.

    Raises:
        UsageError: an argument that cannot be meant.
        ColumnError: two columns with one name; while reading, a column of numbers
            that turns out to hold text.
        FileError: not text, no columns, a ragged row, a quote that never closes.
    """

    def __init__(
        self,
        file: InputFile,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        decimal: str = ".",
        text: Sequence[str] = (),
    ) -> None:
        self._file = file
        self._encoding = checked_encoding(encoding)
        self._decimal = decimal
        self._delimiter = checked_delimiter(delimiter, decimal)
        self._table: Any = None
        self._quotes_checked = False
        with file.reading():
            with self._opened() as stream:
                head = stream.read(WHOLE_BYTES + 1)
            self._check_head(head)
            if delimiter is None:
                others = [d for d in DELIMITERS if d != decimal]
                self._delimiter = sniffed(head, others)
            self._names, self._start = self._header(head)
            self._text = [name for name in self._names if name in set(text)]
            whole = len(head) <= WHOLE_BYTES
            ends = row_ends(head[: max(SAMPLE_BYTES, 2 * self._start)])
            longest = int(np.diff(ends, prepend=0).max()) if ends.size else len(head)
            self._block = max(BLOCK_BYTES, 4 * longest)
            near = int(ends[ends <= self._start + CODE_BYTES].max(initial=0))
            self._text += self._codes(head[self._start : max(near, self._start)])
            if whole:
                self._table = self._parsed(head[self._start :])
                self._check_quotes(head.count(b'"'))
                self.schema = self._table.schema
            else:
                last = int(ends[-1]) if ends.size else len(head)
                self.schema = self._planned(self._parsed(head[self._start : last]))
        self.rows: int | None = self._table.num_rows if whole else None
        self.held_bytes: int = self._table.nbytes if whole else 0

    def record_batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        """All rows once, in order: the columns `names`, in batches of about `rows`."""
        if self._table is not None:
            yield from self._table.select(list(names)).to_batches(max_chunksize=rows)
        else:
            yield from self._streamed({n: self.schema.field(n).type for n in names})

    # What the head of the file tells.

    def _check_head(self, head: bytes) -> None:
        name = self._file.name
        if not head.strip():
            raise FileError(
                f"{name} is empty: it needs column names and at least one row"
            )
        control = first_control(head, self._delimiter)
        if control is not None:
            raise FileError(
                f"{name} is not text: give CSV, Parquet or Arrow (Feather) data, or "
                f"mend the text, of which {control}"
            )

    def _header(self, head: bytes) -> tuple[list[str], int]:
        """The columns' names, and where in the text the first row begins."""
        name = self._file.name
        consumed = 0

        def lines() -> Iterator[str]:
            nonlocal consumed
            for match in _LINE.finditer(head):
                consumed = match.end()
                yield match[0].decode(errors="replace")  # the head may end mid-letter

        try:
            reader = csv.reader(lines(), delimiter=self._delimiter, strict=True)
            given = next(record for record in reader if record)
        except csv.Error as error:
            raise FileError(
                f"the column names of {name} cannot be read ({said(error)}): mend the "
                "quotes in its first line"
            ) from error
        names = [field.strip() for field in given]
        if all(map(_is_number, names)) and any("." in field for field in names):
            raise FileError(
                f"the first line of {name} holds numbers ({listed(names, 3)}) where "
                "column names belong: add a line with a name for each column"
            )
        taken = set(names)
        for place, field in enumerate(names):
            if not field:  # pandas writes its index so
                names[place] = f"column_{place + 1}"
                while names[place] in taken:
                    names[place] += "_"
        check_unique(names, name)
        return names, consumed

    def _codes(self, body: bytes) -> list[str]:
        """Columns with values such as 01067: codes, whose zeros no number keeps."""
        if not _CODE.search(body):
            return []
        import pyarrow as pa
        import pyarrow.compute as compute

        known = set(self._text)
        texts = self._parsed(body, dict.fromkeys(self._names, pa.string()))
        numbers = self._parsed(body)
        return [
            name
            for name in self._names
            if name not in known
            and pa.types.is_integer(numbers.schema.field(name).type)
            and compute.any(
                compute.match_substring_regex(texts.column(name), r"^\s*[-+]?0\d")
            ).as_py()
        ]

    def _planned(self, sample: Any) -> Any:
        """The types to stream with: wider where the sample may have seen too little."""
        import pyarrow as pa

        types = {
            f.name: _streaming_type(f.type, sample.column(f.name))
            for f in sample.schema
        }
        unseen = [f.name for f in sample.schema if pa.types.is_null(f.type)]
        if unseen:
            types |= self._types_further_on(unseen)
        return pa.schema(list(types.items()))

    def _types_further_on(self, names: list[str]) -> dict[str, Any]:
        """The types of columns the sample has no value of, from their first values."""
        import pyarrow as pa
        import pyarrow.csv as pc

        found: dict[str, Any] = {}
        for batch in self._streamed(dict.fromkeys(names, pa.string())):
            for name in names:
                values = batch.column(name).drop_null()
                if name in found or not len(values):
                    continue
                # Written and read again, they are typed as all others are.
                sink = pa.BufferOutputStream()
                pc.write_csv(pa.table({name: values}), sink)
                options = pc.ConvertOptions(decimal_point=self._decimal)
                unthreaded = pc.ReadOptions(use_threads=False)
                again = pc.read_csv(sink.getvalue(), unthreaded, None, options)
                found[name] = _streaming_type(again.schema.field(0).type, again[name])
            if len(found) == len(names):
                break
        return found

    # Reading rows.

    @contextmanager
    def _opened(self) -> Iterator[Utf8]:
        """The file's text from its first byte."""
        packed = self._file.magic.startswith(b"\x1f\x8b")
        path = self._file.path
        with gzip.open(path) if packed else path.open("rb") as raw:
            stream = Utf8(raw.read, self._file.name, self._encoding)
            try:
                yield stream
            finally:
                stream.closed = True  # Arrow may still be reading ahead

    def _options(self, types: dict[str, Any], only: bool) -> tuple[Any, Any, Any]:
        import pyarrow.csv as pc

        return (
            pc.ReadOptions(column_names=self._names, block_size=self._block),
            pc.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            pc.ConvertOptions(
                column_types=types,
                include_columns=list(types) if only else [],
                strings_can_be_null=True,
                decimal_point=self._decimal,
                check_utf8=False,  # Utf8 has
            ),
        )

    def _parsed(self, body: bytes, types: dict[str, Any] | None = None) -> Any:
        """Rows as a table, each column with the type that holds all its values."""
        import pyarrow as pa
        import pyarrow.csv as pc

        if types is None:
            types = dict.fromkeys(self._text, pa.string())
        if not body.strip():
            return pa.schema(
                [(n, types.get(n, pa.null())) for n in self._names]
            ).empty_table()
        try:
            reading, parsing, converting = self._options(types, False)
            # Arrow's threads beside torch's can abort a process that ends soon after.
            reading.use_threads = False
            return pc.read_csv(pa.BufferReader(body), reading, parsing, converting)
        except pa.ArrowInvalid as error:
            if _ROW_TOO_LONG in str(error) and self._block < len(body):
                self._block = len(body)
                return self._parsed(body, types)
            raise self._explained(error) from error

    def _streamed(self, types: dict[str, Any]) -> Iterator[Any]:
        """The columns of `types`, read as these, in batches of about a block."""
        import pyarrow as pa
        import pyarrow.csv as pc

        with self._file.reading(), self._opened() as stream:
            stream.read(self._start)
            try:
                with pc.open_csv(stream, *self._options(types, True)) as reader:
                    yield from reader
            except pa.ArrowInvalid as error:
                raise self._explained(error) from error
            self._check_quotes(stream.quotes)

    # What went wrong, in words.

    def _explained(self, error: Exception) -> GradlineError:
        """The error to show for one of Arrow's."""
        misfit = _MISFIT.search(str(error))
        # A value with a line break may be rows that an open quote has eaten.
        if misfit is None or "\n" in misfit[2] or "\r" in misfit[2]:
            fault = self._first_fault()
            if fault is not None:
                return FileError(fault)
        if misfit:
            return self._misfit(self._names[int(misfit[1])], misfit[2])
        if _ROW_TOO_LONG in str(error):
            return FileError(
                f"{self._file.name} has a row of more than {self._block:,} bytes, far "
                "more than its first ones: look for a quote that closes too late"
            )
        return FileError(f"cannot read {self._file.name}: {said(error)}; mend the file")

    def _misfit(self, name: str, value: str) -> ColumnError:
        """The error for a value that its column's first megabytes did not announce."""
        import pyarrow as pa
        import pyarrow.compute as compute

        row, where = 0, ""
        for batch in self._streamed({name: pa.string()}):
            texts = compute.utf8_trim_whitespace(batch.column(name))
            place = compute.index(texts, value.strip()).as_py()
            if place >= 0:
                where = f" until row {row + place + 1:,}"
                break
            row += batch.num_rows
        shown = value if len(value) <= 40 else f"{value[:37]}..."
        looks = _looks_like(self.schema.field(name).type)
        return ColumnError(
            f"{self._file.name}: column {name!r} reads as {looks}{where}, which says "
            f"{shown!r}: give categories=[{name!r}] to read it as text, or mend the row"
        )

    def _check_quotes(self, count: int) -> None:
        """Where quotes do not pair up, see that the last one has not eaten rows."""
        if count % 2 and not self._quotes_checked:
            self._quotes_checked = True  # a lone inch mark is no fault; look once
            fault = self._first_fault()
            if fault is not None:
                raise FileError(fault)

    def _first_fault(self) -> str | None:
        """What is wrong with the first row that is no row, read slowly; or None."""
        with self._opened() as stream:
            fault = first_fault(stream.lines(), self._delimiter, len(self._names))
        if fault is None:
            return None
        line = f"line {fault.line:,} of {self._file.name}"
        if fault.fields is None:
            return f"{line} opens a quote that is never closed: mend that line"
        plural = "" if fault.fields == 1 else "s"
        return (
            f"{line} has {fault.fields:,} field{plural} where the header has "
            f"{len(self._names):,}: mend that line, or give the delimiter if it is not "
            f"{self._delimiter!r}"
        )


def _streaming_type(found: Any, values: Any) -> Any:
    """Numbers as float64, so that 1 and later 1.5 is no surprise; the rest as found.

    Integers too large for float64 stay what they are: whoever wants numbers is told.
    """
    import pyarrow as pa

    if pa.types.is_integer(found) and len(values):
        import pyarrow.compute as compute

        ends = compute.min_max(values).as_py()
        if max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > 2**53:
            return found
    number = pa.types.is_integer(found) or pa.types.is_null(found)
    return pa.float64() if number else found


def _looks_like(found: Any) -> str:
    """A type of Arrow's as the person sees it."""
    import pyarrow as pa

    if pa.types.is_floating(found):
        return "numbers"
    return "true and false" if pa.types.is_boolean(found) else "dates or times"


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
