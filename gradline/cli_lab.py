"""`gradline lab`: open the data, serve the page, show it in the browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gradline.errors import UsageError
from gradline.fitflags import column_list
from gradline.hosts import is_open
from gradline.lab.files import Opened, open_data
from gradline.lab.rooms import Rooms
from gradline.lab.server import serve
from gradline.listening import open_browser
from gradline.options import reading_options

_OPEN = (
    "Anyone who can reach this machine at {host} can use this lab, see its data and "
    "upload files to it; there is no password and no encryption."
)


def lab_command(
    arguments: argparse.Namespace,
    show: Callable[[dict[str, Any], str], None],
    tell: Callable[[str], None],
) -> int:
    """Serve until Ctrl-C.

    Args:
        arguments: of options.py.
        show: is given the address, once it can be opened: as facts, and in a sentence.
        tell: is told what is to be known about it.
    """
    given = _given(arguments)

    def ready(address: str) -> None:
        if is_open(arguments.host):
            tell(_OPEN.format(host=arguments.host))
        facts = {"address": address, "data": arguments.data, "host": arguments.host}
        if given is not None:
            facts |= {"target": given.target, "features": list(given.features)}
        show(facts, f"The lab is at {address} (Ctrl-C ends it)")
        if not arguments.no_browser:
            open_browser(address)

    with Rooms(given, arguments.max_upload) as rooms:
        try:
            serve(arguments.host, arguments.port, rooms=rooms, ready=ready)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the lab is closed") from None
    return 0


def _given(arguments: argparse.Namespace) -> Opened | None:
    """The file of the command line, opened."""
    reading = reading_options(arguments)
    if arguments.data is not None:
        return open_data(
            arguments.data,
            target=arguments.target,
            features=column_list(arguments.features),
            **reading,
        )
    given = {
        "--target": arguments.target,
        "--features": arguments.features,
        "--delimiter": arguments.delimiter,
        "--encoding": arguments.encoding,
        "--decimal": None if arguments.decimal == "." else arguments.decimal,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"{flag} is given and no data: write gradline lab DATA {flag} ..."
            )
    return None
