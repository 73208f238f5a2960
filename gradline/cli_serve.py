"""`gradline serve`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gradline.errors import UsageError


def serve_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Not there yet."""
    raise UsageError("serve is not there yet")
