"""Arrow data as batches and sources, whatever file or frame they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from gradline.data import (
    BATCH_BYTES,
    Array,
    Codes,
    Column,
    Kind,
    column_of,
    exact_float64,
    levels_of_numbers,
)
from gradline.errors import ColumnError, DataError, listed
from gradline.prefetch import prefetched

#: Rows in a batch, fewer where the columns are many (see data.BATCH_BYTES). No power of
#: two: columns so far apart would fight for the same lines of the cache.
BATCH_ROWS = 40_008

#: Record batches of up to so many bytes in all are kept after the first pass.
KEPT_BYTES = 64 << 20

#: What files of these formats are called.
PARQUET_SUFFIXES = {".parquet", ".pq"}
ARROW_SUFFIXES = {".arrow", ".feather", ".ipc"}

#: How many rows, and what begins their batches.
Rows = tuple[int, Callable[[], Iterator["ArrowBatch"]]]

#: Reads all rows once: the named columns, in batches of about so many rows.
Read = Callable[[Sequence[str], int], Iterator[Any]]


class Part(NamedTuple):
    """Consecutive rows of a file: how many, and what reads them alone."""

    rows: int
    read: Read


class Opened(NamedTuple):
    """A file that has been looked at.

    schema: the pyarrow.Schema; rows: how many, None where only reading would tell;
    read: gives its record batches; held_bytes: what it holds in memory; parts: where
    it consists of several that can be read side by side, in order.
    """

    schema: Any
    rows: int | None
    read: Read
    held_bytes: int = 0
    parts: tuple[Part, ...] = ()


class ArrowBatch:
    """Rows of an Arrow record batch: a `data.Batch`, and the Arrow data themselves."""

    #: `numbers` makes a new array, whose columns lie one after another.
    copies = True

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    @property
    def rows(self) -> int:
        return int(self._batch.num_rows)

    def arrow(self) -> Any:
        """The pyarrow.RecordBatch of the requested columns, in the order requested.

        For those who pass columns on, types and all, such as `gradline predict`.
        """
        return self._batch

    def numbers(self, names: Sequence[str]) -> Array:
        import pyarrow as pa

        if not names:
            return np.empty((self.rows, 0))
        batch = self._batch
        if list(names) != batch.schema.names:
            batch = batch.select(list(names))
        float64 = pa.float64()
        if all(t == float64 for t in batch.schema.types):  # as most files are
            return cast(
                Array, batch.to_tensor(null_to_nan=True, row_major=False).to_numpy()
            )
        block = np.empty((self.rows, len(names)), order="F")
        for place, name in enumerate(names):
            block[:, place] = _plain_numbers(batch.column(place), name)
        return block

    def category(self, name: str) -> tuple[Codes, list[str]]:
        import pyarrow as pa

        column = plain(self._batch.column(name))
        kind = kind_of(column.type)
        if kind == "other":
            raise _no_use(name, column.type, "a category")
        if kind == "number" and not pa.types.is_integer(column.type):
            return levels_of_numbers(_unpacked(_doubles(column, name)))
        # Texts, true and false, integers: Arrow's hash table is the fastest.
        encoded = column.dictionary_encode(null_encoding="encode")
        codes = _unpacked(encoded.indices).astype(np.int64)
        levels = encoded.dictionary.to_pylist()
        if None in levels:
            place = levels.index(None)
            levels.pop(place)
            missing = codes == place
            codes -= codes > place
            codes[missing] = -1
        return codes, [str(level) for level in levels]

    def instants(self, name: str) -> Array:
        """A column of dates or times in their order, (rows,); see instants.py.

        Raises:
            ColumnError: a column of another type.
        """
        import pyarrow as pa

        column = plain(self._batch.column(name))
        is_ = pa.types
        if is_.is_date(column.type) or is_.is_timestamp(column.type):
            zone = getattr(column.type, "tz", None)
            column = column.cast(pa.timestamp("us", zone), safe=False)
        elif is_.is_time(column.type):
            column = column.cast(pa.time64("us"), safe=False)
        elif is_.is_duration(column.type):
            column = column.cast(pa.duration("us"), safe=False)
        else:
            raise _no_use(name, column.type, "a date or a time")
        return cast(Array, _unpacked(column.cast(pa.int64())).astype(np.float64))


class ArrowSource:
    """Columns that Arrow reads, from memory or from a file.

    Args:
        name: what messages call it.
        schema: the pyarrow.Schema.
        rows: how many, or None where only reading would tell.
        read: gives the record batches of some columns, all rows, from the start.
        refused: columns Arrow cannot hold, and why; asking for one is an error.
        ahead: whether a thread reads while the caller computes. Worth it for files.
        parts: what the rows consist of, where that can be read side by side.

    Raises:
        ColumnError: two columns have one name.
        DataError: there are no columns.
    """

    def __init__(
        self,
        name: str,
        schema: Any,
        rows: int | None,
        read: Read,
        refused: Mapping[str, str] | None = None,
        ahead: bool = False,
        parts: Sequence[Part] = (),
    ) -> None:
        self.name = name
        self.schema = schema
        self.rows = rows
        self._read = read
        self._refused = dict(refused or {})
        self.ahead = ahead
        self._parts = tuple(parts)
        #: What somebody has said of a CSV file: delimiter, encoding, decimal.
        self.csv_options: dict[str, str] = {}
        if not schema.names:
            raise DataError(f"{name} has no columns: give at least a target")
        check_unique(schema.names, name)
        self.columns = tuple(
            Column(field.name, "other", "object")
            if field.name in self._refused
            else Column(field.name, kind_of(field.type), str(field.type))
            for field in schema
        )

    def batches(self, columns: Sequence[str]) -> Iterator[ArrowBatch]:
        """Read all rows once, the named columns only; see `ArrowBatch.arrow` too."""
        names = self._checked(columns)
        parts = self._regrouped(self._read, names)
        with closing(prefetched(parts) if self.ahead else parts) as batches:
            for batch in batches:
                yield ArrowBatch(batch.select(names))

    def side_by_side(self, columns: Sequence[str]) -> list[Rows]:
        """The same rows in parts that different threads may read; [] if there are none.

        Each part is a number of rows and a function that begins their batches.
        """
        names = self._checked(columns)
        if len(self._parts) < 2 or (self.rows or 0) * len(names) * 8 <= KEPT_BYTES:
            return []

        def begin(part: Part) -> Iterator[ArrowBatch]:
            for batch in self._regrouped(part.read, names):
                yield ArrowBatch(batch.select(names))

        return [(part.rows, partial(begin, part)) for part in self._parts]

    def _regrouped(self, read: Read, names: list[str]) -> Generator[Any, None, None]:
        rows = min(BATCH_ROWS, max(1, BATCH_BYTES // (8 * len(names))))
        return _regrouped(read(names, rows), rows)

    def _checked(self, columns: Sequence[str]) -> list[str]:
        """The columns to read, each once, none of them of no use."""
        names = list(dict.fromkeys(columns)) or [self.columns[0].name]
        for name in names:
            column_of(self, name)
            if name in self._refused:
                raise ColumnError(
                    f"column {name!r} of {self.name} holds values of mixed or unknown "
                    f"types ({self._refused[name]}): make them one type, such as with "
                    ".astype(str), or leave the column out"
                )
        return names


def kept(read: Read, unchanged: Callable[[], AbstractContextManager[None]]) -> Read:
    """The same reading, which keeps what it has read where that is little.

    Args:
        read: reads from a file.
        unchanged: a block that refuses a file which has changed since.
    """
    # Columns and their batches change together: several threads may read.
    held: tuple[frozenset[str], list[Any]] = (frozenset(), [])

    def again(names: Sequence[str], rows: int) -> Iterator[Any]:
        nonlocal held
        known, ready = held
        if known.issuperset(names):
            with unchanged():
                for batch in ready:
                    yield batch.select(list(names))
            return
        size = 0
        batches: list[Any] = []
        for batch in read(names, rows):
            size += batch.nbytes
            if size <= KEPT_BYTES:
                batches.append(batch)
            else:
                batches = []
            yield batch
        if size <= KEPT_BYTES:
            held = frozenset(names), batches

    return again


def check_unique(names: Sequence[str], where: str) -> None:
    """Refuse two columns with one name: a name has to say which one is meant."""
    counts = Counter(names)
    doubled = [name for name, count in counts.items() if count > 1]
    if doubled:
        raise ColumnError(
            f"{where} has more than one column called {listed(doubled)}: rename all "
            "but one"
        )


def kind_of(found: Any) -> Kind:
    """What a column of an Arrow type can be used as."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(found):  # somebody has made it a category, be it of numbers
        return "other" if kind_of(found.value_type) == "other" else "category"
    if is_.is_integer(found) or is_.is_floating(found) or is_.is_decimal(found):
        return "number"
    if is_.is_null(found):
        return "number"
    text = is_.is_string(found) or is_.is_large_string(found)
    if text or is_.is_string_view(found) or is_.is_boolean(found):
        return "category"
    return "other"


def plain(column: Any) -> Any:
    """A column with its dictionary resolved and its text in one buffer.

    Arrow neither takes from views of text nor writes them as CSV.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return plain(column.dictionary).take(column.indices)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    return column


def _doubles(column: Any, name: str) -> Any:
    """A column of numbers, or of true and false, as float64."""
    import pyarrow as pa

    column = plain(column)
    if kind_of(column.type) != "number" and not pa.types.is_boolean(column.type):
        raise _no_use(name, column.type, "a number")
    return column.cast(pa.float64(), safe=False)


def _plain_numbers(column: Any, name: str) -> Any:
    """A column as an array of some type of number, NaN where missing."""
    import pyarrow as pa

    column = plain(column)
    is_ = pa.types
    whole = is_.is_integer(column.type) and not column.null_count
    if whole or is_.is_float32(column.type) or is_.is_float16(column.type):
        found = _unpacked(column)
        return exact_float64(found, [name]) if whole else found
    if is_.is_integer(column.type):
        exact_float64(_unpacked(column.drop_null()), [name])
    return _unpacked(_doubles(column, name))


def _unpacked(column: Any) -> Any:
    """A column of integers or floats as an array, NaN where missing.

    By way of a tensor, because `Array.to_numpy` imports pandas where it is installed.
    """
    import pyarrow as pa

    batch = pa.RecordBatch.from_arrays([column], ["x"])
    gaps = bool(column.null_count)  # else integers stay what they are
    return batch.to_tensor(null_to_nan=gaps, row_major=False).to_numpy()[:, 0]


def _no_use(name: str, found: Any, wanted: str) -> ColumnError:
    hint = "make it a category" if kind_of(found) == "category" else "leave it out"
    return ColumnError(
        f"column {name!r} holds {found} and is wanted as {wanted}: {hint}, or give "
        "another column"
    )


def _regrouped(batches: Iterable[Any], rows: int) -> Generator[Any, None, None]:
    """Batches of at most `rows` rows, and of no fewer than half where many are small.

    Files come in blocks of bytes: thousands of columns make blocks of a few rows, and
    every batch has a price.
    """
    import pyarrow as pa

    small: list[Any] = []
    held = 0
    for batch in batches:
        small.append(batch)
        held += batch.num_rows
        if held < rows // 2:
            continue
        joined = small[0] if len(small) == 1 else pa.concat_batches(small)
        for start in range(0, held, rows):
            yield joined.slice(start, rows)
        small, held = [], 0
    if held:
        yield pa.concat_batches(small)
