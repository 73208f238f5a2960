"""`gradline serve`: read the model, answer until a signal comes."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from gradline.hosts import is_open
from gradline.serving.limits import Limits
from gradline.serving.server import load_served, serve

_OPEN = (
    "anyone who can reach this machine at {host} can ask this model and read its "
    "coefficients; there is no password and no encryption"
)


def serve_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Serve until SIGTERM, which is success, or Ctrl-C.

    Args:
        arguments: of options.py.
        show: is given the address, once it answers: as facts, and in a sentence.
    """
    limits = Limits(
        body=arguments.max_body,
        rows=arguments.max_rows,
        seconds=arguments.timeout,
        concurrency=arguments.concurrency,
    )
    served = load_served(
        arguments.model,
        limits,
        hosts=tuple(arguments.allow_host),
        origins=tuple(arguments.allow_origin),
        log=_log if arguments.log else None,
    )

    def ready(address: str) -> None:
        if is_open(arguments.host):
            _say(f"gradline: note: {_OPEN.format(host=arguments.host)}")
        facts = {
            "address": address,
            "host": arguments.host,
            "model": arguments.model,
            "version": served.version,
            "target": served.fit.target,
            "features": list(served.fit.design.features),
        }
        show(
            facts,
            f"{served.name} predicts {served.fit.target} at {address} (Ctrl-C ends it)",
        )

    stopped_by = serve(served, arguments.host, arguments.port, ready)
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt("the server has stopped")
    return 0


def _log(line: str) -> None:
    _say(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
