"""A fit as a file that predicts without gradline: a script, an ONNX graph, or SQL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gradline import __version__
from gradline.checks import column_name, one_of
from gradline.errors import UsageError
from gradline.files import check_place, replacing
from gradline.onnxgraph import onnx_bytes
from gradline.plainscript import plain_script
from gradline.recipe import output_name, recipe
from gradline.sqltext import sql_text

if TYPE_CHECKING:
    from gradline.result import Fit

#: What a fit can be exported to, and how such files end.
SUFFIXES = {"pytorch": ".py", "onnx": ".onnx", "sql": ".sql"}


def kind_of(path: str | os.PathLike[str], to: str | None) -> str:
    """What to write into a file: as told, else by the end of its name.

    Raises:
        UsageError: neither says it, or each says another.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"path is {path!r}: give the path of a file to write")
    suffix = Path(path).suffix.lower()
    by_name = {end: kind for kind, end in SUFFIXES.items()}.get(suffix)
    if to is not None:
        one_of("to", to, *SUFFIXES)
        if by_name not in (None, to):
            raise UsageError(
                f"to is {to!r} and the name {os.fspath(path)!r} says {by_name!r}: let "
                f"it end in {SUFFIXES[to]}"
            )
        return to
    if by_name is None:
        raise UsageError(
            f"{os.fspath(path)!r} does not say what to write: let it end in .py, .onnx "
            "or .sql, or give to='pytorch', 'onnx' or 'sql'"
        )
    return by_name


def export(
    fit: Fit,
    path: str | Path,
    to: str | None = None,
    *,
    table: str | None = None,
    column: str | None = None,
) -> None:
    """Write a fit into a file, whole or not at all: see Fit.export."""
    to = kind_of(path, to)
    check_place(path)
    content = exported(fit, to, Path(path).name, table, column)
    with replacing(path) as beside:
        beside.write_bytes(content)


def exported(
    fit: Fit, to: str, name: str, table: str | None = None, column: str | None = None
) -> bytes:
    """What goes into the file.

    Args:
        fit: the fit.
        to: one of SUFFIXES.
        name: of the file.
        table: of SQL.
        column: of SQL.
    """
    given = {"table": table, "column": column}
    for key in (k for k, value in given.items() if value is not None and to != "sql"):
        raise UsageError(f"{key} is for SQL and to is {to!r}: leave it out")
    writers: dict[str, Callable[[], bytes]] = {
        "pytorch": lambda: plain_script(recipe(fit), name).encode(),
        "onnx": lambda: onnx_bytes(recipe(fit), _about(fit)),
        "sql": lambda: sql_of(fit, "data" if table is None else table, column).encode(),
    }
    return writers[to]()


def sql_of(fit: Fit, table: str, column: str | None = None) -> str:
    """A fit as a SELECT: see Fit.to_sql."""
    named("table", table)
    known = recipe(fit)
    if column is None:
        column = output_name(known)
    named("column", column)
    if column.lower() in {name.lower() for name in known.features}:
        raise UsageError(
            f"column is {column!r}, which is a feature of the model: give another "
            f"name, such as {output_name(known)!r}"
        )
    head = f"{known.target} as gradline {__version__} predicts it: {known.about}"
    return sql_text(known, table, column, head)


def named(what: str, value: str) -> None:
    """Refuse what is no name of a table or a column."""
    if not column_name(what, value).strip():
        raise UsageError(f"{what} is {value!r}: give a name, or leave it out")


def _about(fit: Fit) -> dict[str, str]:
    """What an ONNX file says of the fit, beside its target and terms."""
    return {
        "gradline": __version__,
        "rows": str(fit.rows),
        "how": fit.how,
        "status": str(fit.certificate.status),
    }
