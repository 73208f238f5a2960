"""What data looks like inside gradline: columns, batches, sources, chunks.

A *source* is anything that can be read in batches again and again: an array, a frame,
a file. A *batch* is some of its rows, column by column. The design (design.py) turns
batches into *chunks*: numbers only, ready for the state.

Sources over arrays live here; readers.py has those over files and frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gradline.errors import DataError, ShapeError, UsageError, unknown_column

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: What a column can be used as. "other" (dates, lists, binary) can't be fitted on.
Kind = Literal["number", "category", "other"]

#: True for a bar on a terminal or in a notebook; or what is called with a title and the
#: rows to come (or None): a context manager that gives a function to call with each
#: number of rows done. bar.py has one; its `bar_for` takes either.
Progress = (
    Callable[[str, int | None], AbstractContextManager[Callable[[int], Any]]] | bool
)

#: The bytes of float64 that one batch holds, at the most.
BATCH_BYTES = 32 << 20

#: Rows in memory that are picked together, where they are too many to permute.
SLICE_ROWS = 4096

#: Batches of what is in memory already: small enough to stay in the cache for all that
#: is done with them, of rows enough to keep all cores at peak.
CACHE_BYTES = 8 << 20
CACHE_ROWS = 2048


@dataclass(frozen=True)
class Column:
    """One column of a source.

    Attributes:
        name: its name, unique within the source.
        kind: what it can be used as.
        type: what the data themselves call its type, for messages ("int64", "string").
    """

    name: str
    kind: Kind
    type: str


class Batch(Protocol):
    """Some consecutive rows of a source."""

    @property
    def rows(self) -> int:
        """How many rows."""

    def numbers(self, names: Sequence[str]) -> Array:
        """The numeric columns `names`: (rows, len(names)) float64, NaN if missing."""

    def category(self, name: str) -> tuple[Codes, list[str]]:
        """A column as categories: codes (rows,), -1 if missing, and their levels.

        The levels are those of this batch, in no particular order, without doubles.
        A numeric column may be asked for too: 3.0 is the level "3", 2.5 is "2.5".
        """


class Source(Protocol):
    """Data that can be read again and again, in batches, in the same order."""

    @property
    def name(self) -> str:
        """What messages call it: the file's name, or "the data"."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its columns, in order, with unique names."""

    @property
    def rows(self) -> int | None:
        """How many rows, or None where only reading would tell."""

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read all rows once, the named columns only."""


class Chunk(NamedTuple):
    """Rows ready for the state: numbers only, none missing, all finite.

    Attributes:
        X: (rows, d), float64.
        y: (rows,), float64; (rows, k) for k targets.
        weight: (rows,), float64; None where all rows weigh the same.
    """

    X: Array
    y: Array
    weight: Array | None


def column_of(source: Source, name: str) -> Column:
    """The source's column called `name`.

    Raises:
        ColumnError: there is none; the nearest name is suggested.
    """
    for column in source.columns:
        if column.name == name:
            return column
    raise unknown_column(name, [c.name for c in source.columns], source.name)


def csv_options(source: Source) -> dict[str, str]:
    """What was said of the CSV file of a source, as `fit` takes it; {} for others."""
    return dict(getattr(source, "csv_options", {}))


def row_places(batch: Batch, start: int) -> Codes:
    """Which rows of the data a batch holds, (rows,), from 0.

    Args:
        batch: one after another, or some rows picked out (parts.PartBatch).
        start: how many rows came before it.
    """
    places: Codes | None = getattr(batch, "places", None)
    return np.arange(start, start + batch.rows) if places is None else places


class RowsBefore(int):
    """How many rows came before a batch that holds some rows picked out of others.

    Adding the place of a row gives its place among all rows of the data, as it would
    where the batch's rows followed one another: messages name the right one.
    """

    places: Codes

    def __add__(self, row: int) -> int:
        return int(self.places[row])


def rows_before(batch: Batch, start: int) -> int:
    """`start`, rows that came before a batch, as what places in it can be added to."""
    places: Codes | None = getattr(batch, "places", None)
    if places is None:
        return start
    before = RowsBefore(start)
    before.places = places
    return before


def row_number(batch: Batch, start: int, row: int) -> int:
    """A row of a batch as a person counts the rows of the data, from 1."""
    return rows_before(batch, start) + row + 1


def levels_of_numbers(values: Array) -> tuple[Codes, list[str]]:
    """Numbers as categories: codes, -1 where NaN, and the levels as short texts."""
    missing = np.isnan(values)
    found, codes = np.unique(values, return_inverse=True, equal_nan=True)
    found = found[~np.isnan(found)]
    codes = np.where(missing, -1, codes.reshape(values.shape)).astype(np.int64)
    return codes, [number_label(v) for v in found]


def number_label(value: float) -> str:
    """A number as the name of a level: 3.0 is "3", 2.5 is "2.5"."""
    whole = np.isfinite(value) and value == int(value) and abs(value) < 2**53
    return str(int(value)) if whole else repr(float(value))


#: So many rows, and what begins the batches that have them.
Slice = tuple[int, Callable[[], Iterator[Any]]]


class ArrayBatch:
    """Rows of an ArraySource."""

    def __init__(self, columns: dict[str, int], matrix: Any) -> None:
        self._columns = columns
        self._matrix = matrix

    @property
    def rows(self) -> int:
        return int(self._matrix.shape[0])

    def numbers(self, names: Sequence[str]) -> Array:
        places = [self._columns[n] for n in names]
        if places == list(range(self._matrix.shape[1])):
            picked = self._matrix
        else:
            picked = self._matrix[:, places]
        return exact_float64(picked, names)

    def category(self, name: str) -> tuple[Codes, list[str]]:
        return levels_of_numbers(self.numbers([name])[:, 0])


class ArraySource:
    """A matrix in memory, (n, d), NumPy or torch, of any float or integer type."""

    def __init__(self, matrix: Any, names: Sequence[str], name: str = "the data"):
        self._matrix = matrix
        self._places = {n: i for i, n in enumerate(names)}
        self.name = name
        kind = str(matrix.dtype).removeprefix("torch.")
        self.columns = tuple(Column(n, "number", kind) for n in names)
        self.rows: int | None = int(matrix.shape[0])

    def batches(self, columns: Sequence[str]) -> Iterator[ArrayBatch]:
        total, width = self._matrix.shape
        step = max(CACHE_ROWS, CACHE_BYTES // (8 * max(1, width)))
        for start in range(0, total, step):
            yield ArrayBatch(self._places, self._matrix[start : start + step])

    def slices(self, columns: Sequence[str]) -> list[Slice]:
        """All rows in short stretches, each a number of rows and what begins it.

        Args:
            columns: as in `batches`.
        """

        def begin(start: int) -> Iterator[ArrayBatch]:
            yield ArrayBatch(self._places, self._matrix[start : start + SLICE_ROWS])

        total = int(self._matrix.shape[0])
        starts = range(0, total, SLICE_ROWS)
        return [(min(SLICE_ROWS, total - s), partial(begin, s)) for s in starts]


class _JoinedBatch:
    """A batch with array columns beside its own."""

    def __init__(self, batch: Batch | None, extra: dict[str, Array], rows: int):
        self._batch = batch
        self._extra = extra
        self.rows = rows

    def numbers(self, names: Sequence[str]) -> Array:
        if self._batch is not None and self._extra.keys().isdisjoint(names):
            return self._batch.numbers(names)
        if len(names) == 1:
            return self._extra[names[0]][:, None]
        own = [name for name in names if name not in self._extra]
        values = self._base().numbers(own) if own else np.empty((self.rows, 0))
        by_columns = values.strides[0] < values.strides[-1]
        joined = np.empty((self.rows, len(names)), order="F" if by_columns else "C")
        places = [i for i, name in enumerate(names) if name not in self._extra]
        whole = places == list(range(len(own)))
        joined[:, slice(len(own)) if whole else places] = values
        for place, name in enumerate(names):
            if name in self._extra:
                joined[:, place] = self._extra[name]
        return joined

    def category(self, name: str) -> tuple[Codes, list[str]]:
        if name in self._extra:
            return levels_of_numbers(self._extra[name])
        return self._base().category(name)

    def instants(self, name: str) -> Array:
        base: Any = self._base()  # only what comes from Arrow has dates
        found: Array = base.instants(name)
        return found

    def _base(self) -> Batch:
        assert self._batch is not None
        return self._batch


class JoinedSource:
    """A source with columns from arrays beside its own: a target, or weights.

    Args:
        source: the columns.
        extra: further ones by name, (n,) each.
        aside: those of them that say nothing of what a row is, such as weights.

    Raises:
        ShapeError: while reading, where the source has more or fewer rows.
    """

    def __init__(
        self, source: Source, extra: dict[str, Array], aside: Sequence[str] = ()
    ) -> None:
        self._source = source
        self._extra = extra
        self.aside = tuple(aside)
        self.name = source.name
        added = tuple(Column(n, "number", str(v.dtype)) for n, v in extra.items())
        self.columns = source.columns + added
        self.rows = source.rows
        self.ahead = bool(getattr(source, "ahead", False))
        self.csv_options = csv_options(source)
        if self.rows is not None:
            self._check(self.rows)

    def batches(self, columns: Sequence[str]) -> Iterator[_JoinedBatch]:
        wanted = [c for c in columns if c not in self._extra]
        start = 0
        for batch in self._source.batches(wanted or [self._source.columns[0].name]):
            stop = start + batch.rows
            part = {n: v[start:stop] for n, v in self._extra.items()}
            if any(v.shape[0] != batch.rows for v in part.values()):
                self._check(stop)
            yield _JoinedBatch(batch, part, batch.rows)
            start = stop
        self._check(start)

    def slices(self, columns: Sequence[str]) -> list[Slice]:
        """As those of the source, with the columns beside; [] where it has none."""
        split = getattr(self._source, "slices", None)
        if split is None:
            return []

        def begin(start: int, rows: int, inner: Any) -> Iterator[_JoinedBatch]:
            part = {n: v[start : start + rows] for n, v in self._extra.items()}
            for batch in inner():
                yield _JoinedBatch(batch, part, batch.rows)

        found: list[Slice] = []
        start = 0
        for rows, inner in split([c for c in columns if c not in self._extra]):
            found.append((rows, partial(begin, start, rows, inner)))
            start += rows
        return found

    def _check(self, rows: int) -> None:
        for name, values in self._extra.items():
            if values.shape[0] != rows:
                raise ShapeError(
                    f"{self.name} has {rows:,} rows and {name!r} has shape "
                    f"{shape_text(values)}: give one value per row"
                )


def shape_text(values: Any) -> str:
    """A shape for a message: "(100, 1)"."""
    return str(tuple(int(s) for s in values.shape))


def is_tensor(data: Any) -> bool:
    """Whether `data` is a torch tensor, asked without importing torch."""
    return any(
        c.__module__.split(".")[0] == "torch" and c.__name__ == "Tensor"
        for c in type(data).__mro__
    )


def to_float64(values: Any) -> Array:
    """A NumPy array or torch tensor of any real type as a float64 NumPy array."""
    if is_tensor(values):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def exact_float64(values: Any, names: Sequence[str]) -> Array:
    """Numbers as float64, where that changes none of them.

    Args:
        values: a NumPy array or torch tensor of real numbers, (n,) or (n, d).
        names: of the columns, for the message.

    Raises:
        DataError: an integer of more than 53 bits, which float64 would round.
    """
    found = to_float64(values)
    if str(values.dtype).removeprefix("torch.") not in ("int64", "uint64"):
        return found
    if not found.size or np.abs(found).max() < 2.0**53:
        return found
    whole = values.detach().cpu().numpy() if is_tensor(values) else values
    top = 2.0 ** (64 if whole.dtype == np.uint64 else 63)  # which it cannot hold
    with np.errstate(invalid="ignore"):
        rounded = (found.astype(whole.dtype) != whole) | (found >= top)
    if rounded.any():
        place = np.unravel_index(int(np.argmax(rounded)), rounded.shape)
        name = names[int(place[1]) if len(place) > 1 else 0]
        raise DataError(
            f"column {name!r} holds {whole[place]}, a whole number of more digits than "
            "float64 has: subtract a number near it from all of them first, as integers"
        )
    return found


def real_array(data: Any, what: str) -> Any:
    """Check that `data` holds real numbers; return it as an array or a tensor.

    NumPy arrays and torch tensors come back as they are, without a copy; lists and
    numbers become arrays.

    Raises:
        UsageError: for an object that is no array.
        DataError: for complex numbers, text or objects.
    """
    if is_tensor(data):
        if data.is_complex():
            raise DataError(f"{what} is complex ({data.dtype}): give real numbers")
        if data.layout is not _strided():
            raise DataError(f"{what} is a sparse tensor: give {what}.to_dense()")
        return data
    try:
        array = np.asarray(data)
    except ValueError:
        raise DataError(
            f"{what} has rows of different lengths: give a rectangle of numbers"
        ) from None
    if array.dtype.kind in "iufb":
        if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
            array = np.ma.filled(data.astype(np.float64), np.nan)
        return array
    if array.dtype.kind == "O" and array.ndim == 0:
        raise UsageError(
            f"{what} is a {type(data).__name__}: give an array, a tensor, a data "
            "frame, an Arrow table or the path of a file"
        )
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    raise DataError(
        f"{what} holds {_held(array)}: give numbers, or a data frame with "
        "named columns where text becomes categories"
    )


def _held(array: np.ndarray[Any, Any]) -> str:
    """What an array of no numbers holds, for a message: text, such as 'low'."""
    kind = {"M": "dates", "m": "lengths of time"}.get(array.dtype.kind)
    text = next((v for v in array.flat if isinstance(v, str)), None)
    if kind is None and text is not None:
        shown = str(text) if len(text) <= 40 else f"{text[:37]}..."
        return f"text, such as {shown!r}"
    return kind or f"{array.dtype} values"


def _strided() -> Any:
    import torch

    return torch.strided


def feature_names(count: int, ndim: int) -> list[str]:
    """Names for the columns of a bare array: "x", or "x1" to "xd"."""
    return ["x"] if ndim == 1 else [f"x{i + 1}" for i in range(count)]


def array_source(data: Any, what: str = "x") -> ArraySource:
    """A source over a bare array: (n,) or (n, d)."""
    array = real_array(data, what)
    if array.ndim == 0:
        raise ShapeError(
            f"{what} is one number: give one value per row, such as [{array.item():g}]"
        )
    if array.ndim > 2:
        raise ShapeError(
            f"{what} has shape {shape_text(array)}: give (n,) for one feature or "
            "(n, d) for d of them"
        )
    names = feature_names(1 if array.ndim == 1 else int(array.shape[1]), array.ndim)
    matrix = array[:, None] if array.ndim == 1 else array
    return ArraySource(matrix, names, "the data")
