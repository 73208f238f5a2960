"""The words of `gradline export`."""

from __future__ import annotations

import argparse


def add_export(parser: argparse.ArgumentParser) -> None:
    """What to export, and as what."""
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
