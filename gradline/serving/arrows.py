"""Arrow streams from strangers, and predictions as Arrow.

Arrow trusts a stream in some things: a compressed buffer says itself how large it will
be, a column of nulls may have any number of rows in no bytes, a dictionary or a view
may name one long text a million times. So before Arrow sees a byte, the messages are
walked through here, by what the format says of them (Schema.fbs, Message.fbs):

    a message        FFFFFFFF, its size in 4 bytes, its head (a flatbuffer), its body
    a head           of a schema, a dictionary or a record batch, and the body's size
    a record batch   its rows, and whether its buffers are compressed

Compression, other messages, too many rows and heads beyond measure are refused.
After that Arrow reads, every batch is validated in full, only columns of numbers and
texts are taken, and no text that is named twice is ever copied twice.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradline.data import Array, Codes, Column, Kind
from gradline.inference import Intervals
from gradline.serving.limits import Deadline, Limits
from gradline.serving.parsing import unknown_column
from gradline.serving.problems import Problem, quoted
from gradline.serving.rows import PIECE
from gradline.tables import ArrowBatch, kind_of

#: What Arrow streams are sent as.
ARROW_STREAM = "application/vnd.apache.arrow.stream"

#: Kinds of messages, as Message.fbs numbers them.
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3

#: Bytes of a schema's head: some, and some for each column.
_HEAD, _HEAD_PER_COLUMN = 65_536, 4096

#: Messages of one stream.
MOST_MESSAGES = 10_000

#: What pandas calls an index without a name.
_INDEX = re.compile(r"__index_level_[0-9]{1,3}__")

_CONTINUES = b"\xff\xff\xff\xff"


class Stream:
    """An Arrow stream, as a `data.Source`.

    Args:
        body: its bytes.
        names: the columns that it must have, no more and no fewer.
        limits: how many rows there may be.
        due: when its time is up.
        step: rows of a batch.

    Raises:
        Problem: 400 for what is no such stream, 413 for too many rows, 415 for a
            compressed one, 422 for columns that are of no use.
    """

    name = "the request"

    #: How missing values are asked for.
    gaps = "?missing=nan"

    def __init__(
        self,
        body: bytes,
        names: tuple[str, ...],
        limits: Limits,
        due: Deadline,
        step: int = PIECE,
    ) -> None:
        import pyarrow as pa

        self._step = step

        self.rows: int | None = _walk(body, len(names), limits)
        self._most_text = 4 * max(len(body), limits.body)
        self._body = body
        self._due = due
        try:
            schema = pa.ipc.open_stream(pa.py_buffer(body)).schema
            fields = [(field.name, field.type) for field in schema]
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _broken(error) from None
        index = _index_of_pandas(schema)
        seen: set[str] = set()
        found = []
        for name, kind in fields:
            if name in seen:
                raise Problem(422, f"the stream has two columns {quoted(name)}")
            seen.add(name)
            if name not in names:
                if name in index and not pa.types.is_nested(kind):
                    continue  # pandas writes it beside the columns
                raise unknown_column(name, names, "the stream")
            if kind_of(kind) == "other" or _is_nested(kind):
                raise Problem(
                    422,
                    f"column {name!r} is of type {str(kind)[:80]}: give numbers or "
                    "texts",
                )
            found.append((name, kind))
        for name in names:
            if name not in seen:
                raise Problem(422, f"the stream has no column {name!r}: give it too")
        self.columns = tuple(Column(n, _kind(t), str(t)) for n, t in found)

    def batches(self, columns: Sequence[str]) -> Iterator[_Checked]:
        import pyarrow as pa

        reader = pa.ipc.open_stream(pa.py_buffer(self._body))
        while True:
            self._due.check()
            try:
                batch = reader.read_next_batch()
                for column in batch.columns:  # first: Arrow looks at every letter
                    _refuse_long(column, self._most_text)
                batch.validate(full=True)
                batch = batch.select(list(columns))
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError) as error:
                raise _broken(error) from None
            if batch.num_rows > (self.rows or 0):
                raise _broken(None)
            for start in range(0, batch.num_rows, self._step):
                self._due.check()
                yield _Checked(batch.slice(start, self._step))


class _Checked(ArrowBatch):
    """Rows of a stream."""

    def __init__(self, batch: Any) -> None:
        super().__init__(batch)
        self._coded: dict[str, tuple[Codes, list[str]]] = {}

    def category(self, name: str) -> tuple[Codes, list[str]]:
        if name not in self._coded:
            self._coded[name] = self._codes(name)
        return self._coded[name]

    def _codes(self, name: str) -> tuple[Codes, list[str]]:
        import pyarrow as pa

        column = self._batch.column(name)
        if pa.types.is_string_view(column.type):
            column = column.dictionary_encode()
        if not pa.types.is_dictionary(column.type):
            return super().category(name)
        levels = _values(column.dictionary)
        indices = column.indices.cast(pa.int64()).fill_null(-1)
        places = pa.RecordBatch.from_arrays([indices], ["x"]).to_tensor().to_numpy()
        known: dict[str, int] = {}
        coded = [-1 if v is None else known.setdefault(v, len(known)) for v in levels]
        return np.array([*coded, -1], dtype=np.int64)[places[:, 0]], list(known)


def _values(dictionary: Any) -> list[str | None]:
    """What a dictionary holds, as the names of levels."""
    import pyarrow as pa

    if pa.types.is_floating(dictionary.type) or pa.types.is_decimal(dictionary.type):
        from gradline.data import number_label

        dictionary = dictionary.cast(pa.float64(), safe=False)
        return [None if v is None else number_label(v) for v in dictionary.to_pylist()]
    return [None if v is None else str(v) for v in dictionary.to_pylist()]


def _refuse_long(column: Any, most: int) -> None:
    """Refuse texts of which all together are too long.

    Views may overlap: what they name may be much more than what there is.
    """
    import pyarrow as pa

    views = column.dictionary if pa.types.is_dictionary(column.type) else column
    if not pa.types.is_string_view(views.type):
        return
    raw = views.buffers()[1]
    if raw is None or not len(views):
        return
    lengths = np.frombuffer(raw, dtype=np.int32)[::4]
    part = lengths[views.offset : views.offset + len(views)].astype(np.int64)
    if int(np.maximum(part, 0).sum()) > most:
        raise Problem(413, "the texts of the stream are too long: send fewer rows")


def _kind(found: Any) -> Kind:
    """What a column can be used as; a dictionary of numbers is numbers here."""
    import pyarrow as pa

    return kind_of(found.value_type if pa.types.is_dictionary(found) else found)


def _index_of_pandas(schema: Any) -> set[str]:
    """The columns that are the index of a frame, by what pandas wrote beside them."""
    names = {name for name in schema.names if _INDEX.fullmatch(name)}
    try:
        told = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names |= {name for name in told["index_columns"] if isinstance(name, str)}
    except (ValueError, LookupError, TypeError, RecursionError):
        pass  # it says nothing of an index
    return names


def _is_nested(kind: Any) -> bool:
    """A dictionary of dictionaries."""
    import pyarrow as pa

    return bool(
        pa.types.is_dictionary(kind) and pa.types.is_dictionary(kind.value_type)
    )


def predictions_stream(parts: Sequence[Array | Intervals]) -> bytes:
    """Predictions as an Arrow stream: prediction, and low and high where there are.

    NaN, for a row that was not complete, is null.
    """
    import pyarrow as pa

    names = list(Intervals._fields) if isinstance(parts[0], Intervals) else None
    schema = pa.schema([(n, pa.float64()) for n in names or ["prediction"]])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for part in parts:
            columns = list(part) if isinstance(part, Intervals) else [part]
            arrays = [pa.array(values, from_pandas=True) for values in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    found: bytes = sink.getvalue().to_pybytes()
    return found


# The messages.


def _walk(body: bytes, columns: int, limits: Limits) -> int:
    """Look at the head of every message; return the rows of all batches."""
    place = rows = entries = 0
    try:
        for number in range(MOST_MESSAGES):
            if place == len(body):
                return rows
            if body[place : place + 4] != _CONTINUES:
                raise _broken(None)
            (size,) = struct.unpack_from("<i", body, place + 4)
            if size == 0:  # the end of the stream
                if place + 8 == len(body):
                    return rows
                raise Problem(
                    400, "something follows the Arrow stream: send one stream alone"
                )
            if size < 0 or size > _HEAD + _HEAD_PER_COLUMN * columns:
                raise _broken(None)
            start = place + 8
            head = _Table.root(body[start : start + size])
            kind, told = head.byte(1), head.table(2)
            if (kind != _SCHEMA and number == 0) or told is None:
                raise _broken(None)
            if kind == _DICTIONARY:
                told = told.table(1)
                if told is None:
                    raise _broken(None)
                entries += told.whole(0)
            elif kind == _BATCH:
                rows += told.whole(0)
            elif kind != _SCHEMA or number > 0:
                raise _broken(None)
            if kind != _SCHEMA and told.has(3):
                raise Problem(
                    415, "the stream is compressed: send it without compression"
                )
            if not 0 <= rows <= limits.rows or not 0 <= entries <= 8 * limits.rows:
                raise Problem(
                    413,
                    f"the stream has more than {limits.rows:,} rows, the most at one "
                    "time: send them in parts",
                )
            length = head.whole(3)
            place = start + size + length
            if length < 0 or place > len(body):
                raise _broken(None)
    except (struct.error, IndexError):
        raise _broken(None) from None
    raise Problem(413, f"the stream has more than {MOST_MESSAGES:,} batches")


class _Table:
    """A table of a flatbuffer: which fields it has, and where."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place
        (back,) = struct.unpack_from("<i", data, place)
        self._fields = place - back
        if self._fields < 0 or place < 0:
            raise IndexError
        (self._size,) = struct.unpack_from("<H", data, self._fields)

    @classmethod
    def root(cls, data: bytes) -> _Table:
        (place,) = struct.unpack_from("<I", data, 0)
        return cls(data, place)

    def _at(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot + 2 > self._size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, self._fields + slot)
        return self._place + offset if offset else None

    def has(self, number: int) -> bool:
        return self._at(number) is not None

    def byte(self, number: int) -> int:
        at = self._at(number)
        return 0 if at is None else self._data[at]

    def whole(self, number: int) -> int:
        at = self._at(number)
        return 0 if at is None else int(struct.unpack_from("<q", self._data, at)[0])

    def table(self, number: int) -> _Table | None:
        at = self._at(number)
        if at is None:
            return None
        (offset,) = struct.unpack_from("<I", self._data, at)
        return _Table(self._data, at + offset)


def _broken(error: BaseException | None) -> Problem:
    why = "" if error is None else f" ({' '.join(str(error).split())[:120]})"
    return Problem(
        400,
        f"the body is no whole Arrow stream{why}: send Arrow's IPC stream format, as "
        "pyarrow.ipc.new_stream writes it",
    )
