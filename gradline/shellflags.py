"""The words of `gradline completion` and `gradline help`."""

from __future__ import annotations

import argparse


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Of which shell."""


def add_help(parser: argparse.ArgumentParser) -> None:
    """Of which command."""
