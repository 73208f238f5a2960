"""Where the lab listens, and the browser that looks at it."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable

import uvicorn

from gradline.errors import UsageError
from gradline.lab.app import MOST_MESSAGE, make_app


def serve(host: str, port: int, *, browser: bool, ready: Callable[[str], None]) -> None:
    """Serve the lab until it is stopped.

    Args:
        host: to listen on.
        port: to listen on; 0 for any that is free.
        browser: whether to open one.
        ready: is told the address, once it can be opened.

    Raises:
        UsageError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror}): give another --port, "
            "or --port 0 for any that is free"
        ) from None
    port = listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}/"
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(host),
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=MOST_MESSAGE,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    ready(address)
    if browser:
        webbrowser.open(address)
    server.run(sockets=[listener])
