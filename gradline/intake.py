"""What fit and evaluate are given, as one source with a target among its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradline.data import (
    Array,
    ArraySource,
    JoinedSource,
    Source,
    array_source,
    exact_float64,
    real_array,
    shape_text,
)
from gradline.errors import (
    ColumnError,
    DataError,
    ShapeError,
    UsageError,
    listed,
)


class Table(NamedTuple):
    """A source, and which of its columns are the target and the weights."""

    source: Source
    target: str
    weights: str | None


def is_bare_array(data: Any) -> bool:
    """Whether data are numbers without column names: an array, a tensor, a list."""
    module = type(data).__module__.split(".")[0]
    return module in ("numpy", "torch") or isinstance(data, (list, tuple))


def open_features(data: Any, names: Sequence[str] | None, **reading: Any) -> Source:
    """The features as a source; the columns of a bare array take the given names.

    Raises:
        ShapeError: a bare array has another number of columns than names.
    """
    _check_reading(data, reading)
    number = isinstance(data, int | float) or getattr(data, "ndim", None) == 0
    if number and names is not None and len(names) > 1:
        raise ShapeError(
            f"x is one number and the model has {len(names)} features: give a row of "
            f"them for each prediction, such as {_row_of(names)}"
        )
    if not is_bare_array(data):
        from gradline.npyfiles import NpySource
        from gradline.readers import open_source

        opened = open_source(data, **reading)
        if isinstance(opened, NpySource) and names is not None:
            # Columns without names of their own are the features, if the count fits.
            return opened.renamed(names) if len(names) == opened.width else opened
        return opened
    source = array_source(data)
    if names is None:
        return source
    matrix = real_array(data, "x")
    if len(names) != len(source.columns):
        example = f"such as {_row_of(names)}"
        if tuple(matrix.shape) == (len(names),):  # one row: show it as it has to be
            example = f"a single row as {_row_of(names, matrix.tolist())}"
        raise ShapeError(
            f"x has shape {shape_text(matrix)} and the model has {len(names)} "
            f"features: give one column for each of {listed(names)}, {example}"
        )
    return ArraySource(matrix[:, None] if matrix.ndim == 1 else matrix, names)


def _row_of(names: Sequence[str], values: Sequence[float] | None = None) -> str:
    """A table of one row of so many features, as one types it."""
    shown = [f"{v:g}" for v in values or range(1, len(names) + 1)]
    if len(shown) > 6:
        shown[3:-1] = ["..."]
    return f"[[{', '.join(shown)}]]"


def _check_reading(data: Any, reading: dict[str, Any]) -> None:
    """Refuse options of CSV files for what is no file: they would have no effect."""
    for name, plain in (("delimiter", None), ("encoding", None), ("decimal", ".")):
        given = reading.get(name, plain)
        if given != plain and not isinstance(data, (str, os.PathLike)):
            raise UsageError(
                f"{name} is {given!r} and the data are no file: leave {name} out"
            )


def open_table(
    data: Any,
    y: Any,
    *,
    target: str | None,
    weights: Any = None,
    names: Sequence[str] | None = None,
    **reading: Any,
) -> Table:
    """Join features, target and weights into one source.

    Args:
        data: arrays, a frame, a table, a path or a source.
        y: the target as an array, (n,), or None where it is a column of data.
        target: the name of that column.
        weights: the name of a column, an array (n,), or None.
        names: names for the columns of a bare array.
        **reading: passed on to readers.open_source.

    Raises:
        UsageError: neither or both of y and target.
        ShapeError: y or the weights do not have one value per row.
    """
    source = open_features(data, names, **reading)
    extra: dict[str, Array] = {}
    if y is None and target is None:
        known = listed(c.name for c in source.columns)
        column = (
            f"name the column to predict with target=... (--target), one of {known}"
        )
        beside = "give y beside x, gl.fit(x, y)"
        bare = is_bare_array(data)  # whoever gives one has the target in another
        ways = f"{beside}, or {column}" if bare else f"{column}, or {beside}"
        raise UsageError(f"no target is given: {ways}")
    if y is not None:
        if isinstance(y, str):
            raise UsageError(f"y is the text {y!r}: name a column with target={y!r}")
        named, values = _one_value_per_row(y, "y", data)
        target = target or named or "y"
        _refuse_clash(source, target, "y")
        extra[target] = values
    assert target is not None
    if weights is not None and not isinstance(weights, str):
        _, values = _one_value_per_row(weights, "weights", data)
        weights = "weights"
        _refuse_clash(source, weights, "weights")
        extra[weights] = values
    aside = [name for name in extra if name != target]
    joined = JoinedSource(source, extra, aside) if extra else source
    return Table(joined, target, weights)


def _refuse_clash(source: Source, name: str, what: str) -> None:
    if any(c.name == name for c in source.columns):
        raise ColumnError(
            f"{what} is given and the data have a column {name!r} too, which would "
            f"let the answer leak in: leave it out, or name it with "
            f"{'target' if what == 'y' else what}={name!r} alone"
        )


def _refuse_many(what: str, shape: str) -> None:
    """Refuse several targets, where one is fitted; `shape` says what they are."""
    if what == "y":
        raise ShapeError(
            f"y has {shape} and one target is fitted here: give one column, or fit "
            "many targets at once with gl.cross_validate"
        )


def _one_value_per_row(values: Any, what: str, data: Any) -> tuple[str | None, Array]:
    """An array-like as float64 (n,), and its name where it has one."""
    name = getattr(values, "name", None)
    name = name if isinstance(name, str) else None
    if isinstance(values, (int, float, complex)):
        raise ShapeError(f"{what} is one number: give one value per row")
    if not is_bare_array(values):
        from gradline.readers import open_source

        source = open_source(values)
        if len(source.columns) != 1:
            _refuse_many(what, f"{len(source.columns)} columns")
            raise ShapeError(
                f"{what} has {len(source.columns)} columns: give one value per row"
            )
        column = source.columns[0]
        if column.kind != "number":
            raise DataError(f"{what} holds {column.type} values: give numbers")
        parts = [b.numbers([column.name])[:, 0] for b in source.batches([column.name])]
        return name, np.concatenate(parts) if parts else np.zeros(0)
    array = real_array(values, what)
    if array.ndim == 0:
        raise ShapeError(f"{what} is one number: give one value per row")
    if array.ndim != 1:
        beside = (
            f" and x has shape {shape_text(data)}" if hasattr(data, "shape") else ""
        )
        if array.ndim == 2 and array.shape[1] > 1:
            _refuse_many(what, f"shape {shape_text(array)}")
        rows, hint = f"({array.shape[0]},)", f"{what}.reshape(-1)"
        if array.ndim == 2 and array.shape[1] != 1:
            hint = f"one column, {what}[:, 0]"
        raise ShapeError(
            f"{what} has shape {shape_text(array)}{beside}: {what} must be {rows}, "
            f"give {hint}"
        )
    return name, exact_float64(array, [name or what])
