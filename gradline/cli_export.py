"""`gradline export`: a saved model as a script, an ONNX file or SQL."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from typing import Any

from gradline.cli_checks import check_outputs, refuse_two_outputs
from gradline.errors import UsageError
from gradline.export import SUFFIXES, exported, kind_of, named
from gradline.files import replacing
from gradline.recipe import Recipe, output_name, recipe
from gradline.result import Fit
from gradline.save import load

#: What to do with each, for the line that says it is there.
_USE = {
    "pytorch": "python {file} data.csv prints predictions",
    "onnx": "its inputs are the columns, its output is {column!r}",
    "sql": "it adds a column {column!r} to a table {table!r}",
}


def export_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Export a model; returns the exit code."""
    to, file = _wishes(arguments)
    fit = _loaded(arguments.model)
    known = recipe(fit)
    name = f"model{SUFFIXES[to]}" if file == "-" else file
    content = exported(fit, to, name, arguments.table, arguments.column)
    if file == "-":
        sys.stdout.write(content.decode())
        return 0
    with replacing(file) as beside:
        beside.write_bytes(content)
    told = {
        "column": arguments.column or output_name(known),
        "table": arguments.table or "data",
    }
    facts: dict[str, Any] = {
        "model": arguments.model,
        "to": to,
        "file": file,
        "bytes": len(content),
        "target": known.target,
        "inputs": _inputs(known),
    }
    if to == "onnx":
        from gradline.onnxgraph import OPSET

        facts |= {"output": told["column"], "opset": OPSET}
    if to == "sql":
        facts |= told
    use = _USE[to].format(file=shlex.quote(file), **told)
    show(facts, f"{known.target} as {to} written to {file}: {use}")
    return 0


def _loaded(path: str) -> Fit:
    """A fit with coefficients; a module's file has none, and no code."""
    try:
        return load(path)
    except UsageError:
        raise UsageError(
            f"{path} holds a torch module of your own, and no model file holds code: "
            "load it in Python, gl.load(path, model=...), and export that with "
            "torch.onnx.export(fit.model, ...)"
        ) from None


def _wishes(arguments: argparse.Namespace) -> tuple[str, str]:
    """What to write and where to, before any work."""
    to, file = arguments.to, arguments.output
    if to is None and file in (None, "-"):
        raise UsageError(
            "say what to export to: give --to pytorch, --to onnx or --to sql"
        )
    for option in ("table", "column"):
        if getattr(arguments, option) is not None and to not in (None, "sql"):
            raise UsageError(f"--{option} is for --to sql: leave it out")
        if getattr(arguments, option) is not None:
            named(f"--{option}", getattr(arguments, option))
    if file is None:
        file = f"model{SUFFIXES[to]}"
    if file == "-":
        refuse_two_outputs(arguments)
        if to == "onnx":
            raise UsageError("an ONNX file is no text: name a file, not -")
        return to, file
    to = kind_of(file, to)
    check_outputs([file], [arguments.model])
    return to, file


def _inputs(known: Recipe) -> dict[str, str]:
    """What each column holds, by name."""
    return {
        name: "number" if name in known.numbers else "category"
        for name in known.features
    }
