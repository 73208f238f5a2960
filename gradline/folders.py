"""Many files as one source: a folder, a glob, hive partitions.

    data/year=2024/month=1/part.parquet      gives every row year 2024 and month 1

The files are read in the order of their paths. They must have the same columns: whole
numbers and fractions in one column widen to fractions, text and numbers in one column
are refused, with the file's name.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from gradline.data import Kind
from gradline.errors import ColumnError, FileError, listed
from gradline.files import InputFile, one_line, said
from gradline.tables import ARROW_SUFFIXES, PARQUET_SUFFIXES, Opened, kind_of

CSV_SUFFIXES = {".csv", ".tsv"}

#: Data of opened files of up to so many bytes in all are kept: small CSV files are
#: read whole to learn their types.
HELD_BYTES = 64 << 20

#: What hive writes where a key has no value.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"

_MAGIC = re.compile(r"[*?\[]")
_INTEGER = re.compile(r"[-+]?\d{1,18}")


class Member(NamedTuple):
    """One file of a folder: where it is, and its partitions' keys and values."""

    path: Path
    name: str  # below the folder, for messages
    keys: tuple[tuple[str, str], ...]


def is_glob(path: str | os.PathLike[str]) -> bool:
    """Whether a path that is not there stands for several files."""
    return bool(_MAGIC.search(str(path))) and not os.path.lexists(path)


def folder_members(path: Path) -> list[Member]:
    """The data files in a folder and the folders in it, in the order of their paths.

    Names that begin with "." or "_" are left out, as everywhere.

    Raises:
        FileError: there is none, or they are of several kinds.
    """
    found = list(_walked(path))
    if not found:
        raise FileError(
            f"{str(path)!r} is a folder without a .parquet, .csv or .arrow file: name "
            "a folder with some, or one file"
        )
    return _members(found, path, repr(str(path)))


def glob_members(pattern: str) -> list[Member]:
    """The data files that a pattern such as "data/*.parquet" stands for.

    Folders that it names stand for the files in them.

    Raises:
        FileError: there is none, or they are of several kinds.
    """
    pattern = str(Path(pattern).expanduser())
    fixed = []
    for part in Path(pattern).parts:
        if _MAGIC.search(part):
            break
        fixed.append(part)
    root = Path(*fixed) if fixed else Path()
    found: list[Path] = []
    for match in map(Path, glob.iglob(pattern, recursive=True)):  # noqa: PTH207
        hidden = any(part[0] == "_" for part in match.relative_to(root).parts)
        if hidden and not any(part[0] == "_" for part in Path(pattern).parts):
            continue  # as in a folder; glob itself leaves out names that begin with "."
        found += _walked(match) if match.is_dir() else [match]
    if not found:
        folder = "" if root.is_dir() else f", and there is no folder {str(root)!r}"
        raise FileError(
            f"no file matches {pattern!r}{folder}: check the pattern, or name the "
            "folder"
        )
    known = [file for file in found if _kind(file)]
    return _members(known or found, root, repr(pattern))


def _walked(folder: Path) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        raise FileError(
            f"cannot read the folder {str(error.filename)!r}: {said(error)}; ask for "
            "the right to read it, or for a copy"
        ) from error

    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if name[0] not in "._"]
        for name in names:
            file = Path(place, name)
            if name[0] not in "._" and _kind(file) and file.is_file():
                yield file


def _kind(file: Path) -> str | None:
    """Which format a file's name promises."""
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last == ".gz" and len(suffixes) == 2:
        return "CSV" if suffixes[0] in CSV_SUFFIXES else None
    if last in PARQUET_SUFFIXES:
        return "Parquet"
    if last in ARROW_SUFFIXES:
        return "Arrow"
    return "CSV" if last in CSV_SUFFIXES else None


def _members(found: Sequence[Path], root: Path, where: str) -> list[Member]:
    found = sorted(set(found), key=lambda file: file.parts)
    kinds: dict[str | None, Path] = {}
    for file in found:
        kinds.setdefault(_kind(file), file)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        raise FileError(
            f"{where} holds files of several kinds, such as {first.name} "
            f"({one or 'unknown'}) and {second.name} ({other or 'unknown'}): name one "
            "kind, such as with '*.parquet'"
        )
    members = []
    for file in found:
        below = file.relative_to(root)
        pairs = (part.partition("=") for part in below.parts[:-1] if "=" in part)
        keys = tuple((unquote(key), unquote(value)) for key, _, value in pairs)
        members.append(Member(file, one_line(str(below)), keys))
    first_keys = [key for key, _ in members[0].keys]
    for member in members:
        keys_here = [key for key, _ in member.keys]
        if keys_here != first_keys:
            raise FileError(
                f"{members[0].name} has the partitions {listed(first_keys) or 'none'} "
                f"and {member.name} has {listed(keys_here) or 'none'}: put every file "
                "at the same depth"
            )
    return members


class Folder:
    """Files with the same columns, read one after another.

    Args:
        members: at least one, in order.
        opened: opens one of them.
        text: columns that are to be text, partitions too.

    Attributes:
        schema: the columns of all the files, and the partitions' keys after them.
        rows: of all the files, or None where one of them does not know.
        refused: columns without a common type, and why.

    Raises:
        ColumnError: a file lacks a column, or has text where another has numbers.
        FileError: a file that cannot be read.
    """

    def __init__(
        self,
        members: Sequence[Member],
        opened: Callable[[InputFile], Opened],
        text: Sequence[str] = (),
    ) -> None:
        import pyarrow as pa

        self._members = members
        self._open = opened
        self._text = set(text)
        self._files = [InputFile(m.path, m.name) for m in members]
        self._held: list[Opened | None] = []
        self.rows: int | None = 0
        self.refused: dict[str, str] = {}
        types: dict[str, Any] = {}
        held = 0
        for place, file in enumerate(self._files):
            found = opened(file)
            here = dict(zip(found.schema.names, found.schema.types, strict=True))
            types = self._joined(types, here, file) if place else here
            known = self.rows is not None and found.rows is not None
            self.rows = (self.rows or 0) + (found.rows or 0) if known else None
            held += found.held_bytes
            self._held.append(found if held <= HELD_BYTES else None)
        self._keys = {
            key: values
            for key, values in self._partitions().items()
            if key not in types  # the files hold it themselves
        }
        types |= {key: values.type for key, values in self._keys.items()}
        self.schema = pa.schema(list(types.items()))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """A block that refuses files that have changed since they were opened."""
        for file in self._files:
            with file.reading():
                pass
        yield

    def read(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        """The record batches of some columns, all rows, file by file."""
        import pyarrow as pa
        import pyarrow.compute as compute

        schema = pa.schema([self.schema.field(name) for name in names])
        inside = [name for name in names if name not in self._keys]
        for place, (file, held) in enumerate(zip(self._files, self._held, strict=True)):
            found = held or self._open(file)
            for batch in found.read(inside or found.schema.names[:1], rows):
                columns = []
                for field in schema:
                    if field.name in self._keys:
                        value = self._keys[field.name][place]
                        column = pa.repeat(value, batch.num_rows)
                    else:
                        column = batch.column(field.name)
                        if column.type != field.type:
                            column = compute.cast(column, field.type, safe=False)
                    columns.append(column)
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _joined(
        self, types: dict[str, Any], here: dict[str, Any], file: InputFile
    ) -> dict[str, Any]:
        """The types that hold the columns of one more file too."""
        first = self._files[0].name
        for name in [*types, *here]:
            if name not in here or name not in types:
                lacks, has = (file.name, first) if name in types else (first, file.name)
                raise ColumnError(
                    f"{lacks} has no column {name!r}, which {has} has: give files with "
                    "the same columns"
                )
        joined = {}
        for name, found in types.items():
            both = _common(found, here[name])
            if both is None:
                one, other = kind_of(found), kind_of(here[name])
                if "other" not in (one, other) or one != other:
                    raise ColumnError(
                        f"column {name!r} of {file.name} holds {here[name]} and that "
                        f"of {first} {found}: make them one type{_advice(one, other)}"
                    )
                self.refused[name] = f"{here[name]} in {file.name}, {found} in {first}"
                both = found
            joined[name] = both
        return joined

    def _partitions(self) -> dict[str, Any]:
        """For each key of the partitions, its value for every file."""
        import pyarrow as pa

        found: dict[str, Any] = {}
        for at, (key, _) in enumerate(self._members[0].keys):
            given = [member.keys[at][1] for member in self._members]
            values = [None if value == _NO_VALUE else value for value in given]
            whole = all(v is None or _INTEGER.fullmatch(v) for v in values)
            if whole and key not in self._text:
                numbers = [None if v is None else int(v) for v in values]
                found[key] = pa.array(numbers, pa.int64())
            else:
                found[key] = pa.array(values, pa.large_string())
        return found


def _common(one: Any, other: Any) -> Any:
    """The type that holds the values of both, or None."""
    import pyarrow as pa

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    kinds = {kind_of(one), kind_of(other)}
    if kinds == {"number"}:
        signed = pa.types.is_signed_integer
        return pa.int64() if signed(one) and signed(other) else pa.float64()
    if kinds == {"category"} and _is_text(one) and _is_text(other):
        return pa.large_string()
    return None


def _is_text(found: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        return _is_text(found.value_type)
    is_ = pa.types
    plain = is_.is_string(found) or is_.is_large_string(found)
    return plain or bool(is_.is_string_view(found))


def _advice(one: Kind, other: Kind) -> str:
    mixed = {one, other} == {"number", "category"}
    return ", or mend the file that is wrong" if mixed else ""
