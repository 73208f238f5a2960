"""The words of `gradline serve`."""

from __future__ import annotations

import argparse


def add_serve(parser: argparse.ArgumentParser) -> None:
    """What to serve, and where."""
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
