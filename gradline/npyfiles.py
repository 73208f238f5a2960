"""NumPy's .npy files, a part at a time.

Read, not mapped into memory: as fast, counted once, and a file cut short while it is
read is an error instead of the end of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gradline.data import (
    BATCH_BYTES,
    ArrayBatch,
    Column,
    column_of,
    feature_names,
    shape_text,
)
from gradline.errors import DataError, FileError, ShapeError
from gradline.files import InputFile, said
from gradline.prefetch import prefetched

NPY_MAGIC = b"\x93NUMPY"

#: Bytes of the file that one batch holds, about.
NPY_BYTES = min(BATCH_BYTES, 8 << 20)


class NpyFile:
    """The head of a .npy file, and its rows.

    Attributes:
        name: what messages call it.
        dtype: of its numbers, or of its records.
        rows: how many.
        shape: of the array.

    Raises:
        DataError: complex numbers, or Python objects, which are never loaded.
        FileError: cut short, or no array.
        ShapeError: more than two axes, or none.
    """

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self.name = file.name
        with file.reading():
            try:
                mapped = np.load(file.path, mmap_mode="r", allow_pickle=False)
            except ValueError as error:
                if "Python objects" in str(error):
                    raise DataError(
                        f"{file.name} holds Python objects: save numbers with "
                        "numpy.save, such as with .astype(float)"
                    ) from error
                raise FileError(
                    f"cannot read {file.name}: {said(error)}; give a whole .npy file"
                ) from error
        # A map of no bytes is an array like any other.
        self._offset = int(getattr(mapped, "offset", 0))
        self._by_columns = mapped.ndim == 2 and not mapped.flags.c_contiguous
        self.dtype = mapped.dtype
        self.shape = mapped.shape
        del mapped
        if not 1 <= len(self.shape) <= (1 if self.dtype.names else 2):
            raise ShapeError(
                f"{file.name} has shape {self.shape}: save (n,) for one feature or "
                "(n, d) for d of them"
            )
        if not self.dtype.names and self.dtype.kind not in "iufb":
            what = "complex" if self.dtype.kind == "c" else f"{self.dtype} values"
            raise DataError(f"{file.name} holds {what}: save real numbers")
        self.rows = int(self.shape[0])

    def parts(self, rows: int) -> Iterator[Any]:
        """All rows in order, in new arrays of at most `rows`: (b,) or (b, d)."""
        width = self.shape[1:]
        columns = self.shape[1] if width else 1
        size = self.dtype.itemsize
        with self._file.reading(), self._file.path.open("rb") as opened:
            for start in range(0, self.rows, rows):
                count = min(rows, self.rows - start)
                if self._by_columns:
                    part = np.empty((count, columns), self.dtype, order="F")
                    for at in range(columns):
                        opened.seek(self._offset + (at * self.rows + start) * size)
                        self._fill(opened, part[:, at])
                else:
                    part = np.empty((count, *width), self.dtype)
                    opened.seek(self._offset + start * columns * size)
                    self._fill(opened, part)
                yield part

    def _fill(self, opened: Any, part: Any) -> None:
        view = memoryview(part.reshape(-1).view(np.uint8)) if part.size else b""
        if len(view) and opened.readinto(view) != len(view):
            raise FileError(
                f"{self.name} ends before its last row: give a whole .npy file"
            )


class NpySource:
    """A .npy file of numbers, (n,) or (n, d), with the column names of an array.

    Attributes:
        width: how many columns.
    """

    def __init__(self, found: NpyFile, names: Sequence[str] | None = None) -> None:
        self._found = found
        self.name = found.name
        self.rows: int | None = found.rows
        self.width = found.shape[1] if len(found.shape) == 2 else 1
        names = names or feature_names(self.width, len(found.shape))
        if len(names) != self.width:
            raise ShapeError(
                f"{found.name} has shape {shape_text(found)} and {len(names)} names "
                "are given: give one for each column"
            )
        if not names:
            raise DataError(f"{found.name} has no columns: give at least a target")
        self._places = {name: i for i, name in enumerate(names)}
        self.columns = tuple(Column(n, "number", str(found.dtype)) for n in names)

    def renamed(self, names: Sequence[str]) -> NpySource:
        """The same file with other names for its columns, in their order."""
        return NpySource(self._found, names)

    def batches(self, columns: Sequence[str]) -> Iterator[ArrayBatch]:
        """Read all rows once."""
        for name in columns:
            column_of(self, name)
        rows = max(1, NPY_BYTES // (self.width * self._found.dtype.itemsize))
        with closing(prefetched(self._found.parts(rows))) as parts:
            for part in parts:
                matrix = part if part.ndim == 2 else part[:, None]
                yield ArrayBatch(self._places, matrix)


def record_batches(found: NpyFile, names: Sequence[str], rows: int) -> Iterator[Any]:
    """The fields of an array of records, as Arrow record batches."""
    import pyarrow as pa

    for part in found.parts(rows):
        columns = [_arrow(part[name]) for name in names]
        yield pa.RecordBatch.from_arrays(columns, names=list(names))


def record_schema(found: NpyFile) -> Any:
    """The Arrow schema of an array of records."""
    import pyarrow as pa

    dtype = found.dtype
    return pa.schema(
        [(name, _arrow(np.zeros(0, dtype)[name]).type) for name in dtype.names or ()]
    )


def _arrow(values: Any) -> Any:
    """A field's values in an Arrow array."""
    import pyarrow as pa

    if values.ndim > 1 or values.dtype.kind in "cV":
        return pa.nulls(len(values), pa.binary())  # neither number nor category
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    native = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("="))
    if native.dtype.kind == "U":
        return pa.array(native, pa.large_string())
    return pa.array(native, from_pandas=True)
