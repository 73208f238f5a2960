"""`gradline export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gradline.errors import UsageError


def export_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Not there yet."""
    raise UsageError("export is not there yet")
