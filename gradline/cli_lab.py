"""`gradline lab`: serve the page, and open it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gradline.lab.server import serve


def lab_command(arguments: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """Serve until Ctrl-C.

    Args:
        arguments: of options.py.
        tell: is told the address.
    """
    serve(
        arguments.host,
        arguments.port,
        browser=not arguments.no_browser,
        ready=lambda address: tell(f"The lab is at {address} (Ctrl-C ends it)"),
    )
    return 0
