"""Data that a page has opened: the file of the command line, and what it uploaded.

Files are told apart by names that mean nothing outside: "file:1" is the file of the
command line, opened once and shared by all pages; "file:2" and on are a page's own, lie
in a temporary folder and vanish with the page. Whatever a file holds, it is read by
gradline's readers: nothing in it is ever executed or unpickled.

Whoever computes asks for the source, and needs no more:

    opened = files["file:2"]                 # UsageError where there is no such file
    prepare(opened.source, target="y", features=["x"], ...)
    bench = opened.remember(key, lambda: ...)  # made once for all pages that have it
"""

from __future__ import annotations

import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradline.data import Batch, Column, Source, column_of
from gradline.errors import DataError, UsageError
from gradline.readers import open_source

#: Names of files that are taken; what is in them decides how they are read.
SUFFIXES = (
    *(".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt"),
    *(".parquet", ".pq", ".arrow", ".feather", ".ipc", ".npy"),
)

#: Files that a page may have uploaded at one time.
MOST_FILES = 8

#: What is made of one file is remembered for so many settings.
MOST_REMEMBERED = 4

#: Columns among which a feature is looked for.
MOST_COMPARED = 200

#: Values of a column that are looked at for a decimal comma, and such a number.
MOST_LEVELS = 50
_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?(e[-+]?\d+)?", re.IGNORECASE)

#: Letters of an example.
MOST_EXAMPLE = 40


class _Memory:
    """What was made of a file, the last few of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        with self._lock:
            self._made[key] = value
            while len(self._made) > MOST_REMEMBERED:
                self._made.popitem(last=False)


@dataclass(frozen=True)
class Opened:
    """A file that has been looked at.

    Attributes:
        source: its rows, to be read again and again.
        title: its name, without folders.
        columns: of each its name, its kind and an example, for a page.
        target: the column to predict: as asked for, or the last that looks measured.
        features: the columns to predict from, at first.
        hint: what may be wrong with how it was read, or None.
    """

    source: Source
    title: str
    columns: tuple[dict[str, str], ...]
    target: str
    features: tuple[str, ...]
    hint: str | None = None
    _memory: _Memory = field(default_factory=_Memory, repr=False, compare=False)

    def remember(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gave for this key before, or gives now.

        For what is immutable and takes long, such as a pass over the rows. Two pages
        that ask at the same moment may both make it; neither waits for the other.
        """
        found = self._memory.get(key)
        if found is None:
            found = make()
            self._memory.put(key, found)
        return found

    def to_dict(self) -> dict[str, Any]:
        """For a page."""
        return {
            "title": self.title,
            "rows": self.source.rows,
            "columns": list(self.columns),
            "target": self.target,
            "features": list(self.features),
            "hint": self.hint,
        }


def open_data(
    path: str | Path,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    **reading: Any,
) -> Opened:
    """Open a file, and look at its first rows.

    Args:
        path: of it, or anything else that readers.open_source takes.
        target: the column to predict; found out if None.
        features: the columns to predict from; one is found out if None.
        **reading: delimiter, encoding, decimal of a CSV file.

    Raises:
        GradlineError: it cannot be read, or holds nothing to draw a line through.
    """
    source = open_source(path, **reading)
    title = source.name
    columns = source.columns
    if len(columns) < 2:
        raise DataError(
            f"{title} has one column: give two at least, one to predict and one to "
            "predict it from, or say what stands between them"
        )
    for name in () if features is None else features:
        column_of(source, name)
    if target is not None and column_of(source, target).kind != "number":
        raise DataError(
            f"the target {target!r} holds {column_of(source, target).type} values and "
            f"a line predicts numbers: name a column of numbers"
        )
    first = _first_batch(source, [c.name for c in columns if c.kind != "other"])
    comma = _with_comma(columns, first)
    if target is None:
        free = [
            c.name
            for c in columns
            if c.kind == "number" and c.name not in (features or ())
        ]
        if not free:
            raise DataError(
                f"{title} has no column of numbers to predict: "
                + (
                    f"{comma!r} holds numbers with a decimal comma, so say that the "
                    "decimal mark is a comma"
                    if comma
                    else "give a table with one"
                )
            )
        target = _likely_target(free, first)
    if features is None:
        features = [_best_feature(columns, target, first)]
    return Opened(
        source,
        title,
        tuple(
            {"name": c.name, "kind": c.kind, "example": _example(c, first)}
            for c in columns
        ),
        target,
        tuple(features),
        f"{comma!r} looks like numbers with a decimal comma: if so, say that the "
        "decimal mark is a comma."
        if comma
        else None,
    )


def _with_comma(columns: tuple[Column, ...], batch: Batch) -> str | None:
    """A column of texts that are numbers with a decimal comma, if there is one."""
    for column in columns[:MOST_COMPARED]:
        if column.kind != "category":
            continue
        with suppress(DataError):
            levels = [t for t in batch.category(column.name)[1] if t][:MOST_LEVELS]
            numbers = all(_COMMA.fullmatch(t.strip()) for t in levels)
            if numbers and any("," in t for t in levels):
                return column.name
    return None


def _first_batch(source: Source, names: list[str]) -> Batch:
    batches: Any = source.batches(names)
    first: Batch | None = None
    rows = 0
    with closing(batches):
        for batch in batches:
            rows += batch.rows
            if first is None and batch.rows:
                first = batch
            if first is not None and rows > 1:
                return first
    raise DataError(
        f"{source.name} has {'one row' if rows else 'no rows'}: give a table with two "
        "at least"
    )


def _example(column: Column, batch: Batch) -> str:
    """A value of a column, as text; "" where none is at hand."""
    if column.kind == "other":
        return ""
    with suppress(DataError):
        if column.kind == "number":
            values = batch.numbers([column.name])[:, 0]
            values = values[np.isfinite(values)][:1]
            return f"{values[0]:.6g}" if len(values) else ""
        codes, levels = batch.category(column.name)
        known = codes[codes >= 0][:1]
        return levels[int(known[0])][:MOST_EXAMPLE] if len(known) else ""
    return ""


def _likely_target(names: list[str], batch: Batch) -> str:
    """The last column that looks measured: not counted through, not a few values.

    So neither the number of a row nor a year that is there three times, unless there
    is nothing else.
    """
    for name in names[: -MOST_COMPARED - 1 : -1]:
        with suppress(DataError):
            values = batch.numbers([name])[:, 0]
            values = values[np.isfinite(values)]
            few = len(np.unique(values)) <= min(10, len(values) // 3)
            counted = len(values) > 2 and bool((np.diff(values) == 1).all())
            if len(values) and not few and not counted:
                return name
    return names[-1]


def _best_feature(columns: tuple[Column, ...], target: str, batch: Batch) -> str:
    """The column of numbers that goes best with the target in the first rows.

    By Pearson's correlation; where there are no numbers, the first category.
    """
    others = [c for c in columns if c.name != target and c.kind != "other"]
    numbers = [c.name for c in others if c.kind == "number"][:MOST_COMPARED]
    if not others:
        raise DataError(
            f"there is nothing to predict {target!r} from: give a table with another "
            "column of numbers or of texts"
        )
    if not numbers:
        return others[0].name
    strengths = [_strength(batch, name, target) for name in numbers]
    return numbers[int(np.argmax(strengths))]


def _strength(batch: Batch, name: str, target: str) -> float:
    try:
        pair = batch.numbers([name, target])
    except DataError:
        return 0.0
    pair = pair[np.isfinite(pair).all(axis=1)]
    with np.errstate(all="ignore"):
        pair = pair - pair.mean(axis=0) if len(pair) else np.zeros((1, 2))
        pair = pair / np.abs(pair).max(axis=0)
        x, y = pair.T
        strength = abs(x @ y) / np.sqrt((x @ x) * (y @ y))
    return float(strength) if np.isfinite(strength) else 0.0


class Files:
    """What one page has opened, by the names that messages use.

    Args:
        given: the file of the command line, or None.
    """

    def __init__(self, given: Opened | None = None) -> None:
        self.given = None if given is None else "file:1"
        self._opened: dict[str, Opened] = {} if given is None else {"file:1": given}
        self._own: dict[str, Path] = {}
        self._next = 2
        self._coming = 0
        self._closed = False
        self._lock = threading.Lock()

    def __getitem__(self, name: Any) -> Opened:
        """An opened file, by what a page calls it.

        Raises:
            UsageError: there is no file of this name (any longer).
        """
        found = self._opened.get(name) if isinstance(name, str) else None
        if found is None:
            raise UsageError(
                f"there is no {str(name)[:40]!r} here: files are gone once their page "
                "is closed; open the file again"
            )
        return found

    def describe(self, name: Any) -> dict[str, Any]:
        """A file for a page, its name in `data`."""
        return {"data": name, **self[name].to_dict()}

    @contextmanager
    def room(self) -> Iterator[None]:
        """Room for one more file, while it comes.

        Raises:
            UsageError: there are so many.
        """
        with self._lock:
            if len(self._own) + self._coming >= MOST_FILES:
                raise UsageError(
                    f"this page has {MOST_FILES} files open: close one of them first"
                )
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming -= 1

    def add(self, opened: Opened, folder: Path) -> str:
        """Take a file; its folder is deleted with the page. Returns its name.

        Raises:
            UsageError: the page is closed.
        """
        with self._lock:
            self.check_open()
            name = f"file:{self._next}"
            self._next += 1
            self._opened[name], self._own[name] = opened, folder
        return name

    def shut(self, name: Any) -> None:
        """Forget one file of the page, and delete it.

        Raises:
            UsageError: there is no such file, or it is not the page's own.
        """
        if name == self.given:
            raise UsageError("the file that the lab was started with stays open")
        self[name]
        with self._lock:
            folder = self._own.pop(name, None)
            self._opened.pop(name, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def check_open(self) -> None:
        """Refuse work for a page that is gone.

        Raises:
            UsageError: it is.
        """
        if self._closed:
            raise UsageError("the page is closed")

    def close(self) -> None:
        """Forget all files, and delete those of the page."""
        with self._lock:
            self._closed = True
            own, self._own, self._opened = self._own, {}, {}
        for folder in own.values():
            shutil.rmtree(folder, ignore_errors=True)
