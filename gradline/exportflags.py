"""The words of `gradline export`."""

from __future__ import annotations

import argparse


def add_export(parser: argparse.ArgumentParser) -> None:
    """What to export, and as what."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file that fit saved")
    add(
        "--to",
        choices=["pytorch", "onnx", "sql"],
        help="a plain script that needs torch alone, an ONNX graph, or a SELECT for "
        "DuckDB and SQLite (default: as the name of the output says)",
    )
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write it, or - for stdout (model.py, model.onnx or model.sql)",
    )
    add("--table", metavar="NAME", help="of SQL: where the features are (data)")
    add(
        "--column",
        metavar="NAME",
        help="of SQL: of the predictions (prediction; prediction_ where a feature is "
        "called that)",
    )
