"""`gradline completion` and `gradline help`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gradline.errors import UsageError


def completion_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Not there yet."""
    raise UsageError("completion is not there yet")


def help_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Not there yet."""
    raise UsageError("help is not there yet")
