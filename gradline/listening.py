"""Where a server listens, how that is written, and the browser that looks at it.

The same for the lab and for `gradline serve`: one faces people, the other programs.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import subprocess
import sys
from contextlib import suppress

from gradline.errors import UsageError

#: The first port that is tried where none is given, and how many after it.
FIRST_PORT = 8080
TRIED_PORTS = 100


def listening(host: str, port: int | None) -> socket.socket:
    """A socket on a port, or on 8080 or the next free one.

    Raises:
        UsageError: the address cannot be had.
    """
    if port is not None:
        return bound(host, port)
    for tried in range(FIRST_PORT, FIRST_PORT + TRIED_PORTS):
        with suppress(_BusyError):
            return bound(host, tried)
    return bound(host, 0)


class _BusyError(UsageError):
    """Somebody else listens there."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio leaves Nagle's algorithm on: 44 ms for each file.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # where it would share a port that is in use
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(
                f"--host is {host!r:.80}, which is no address of this machine: give "
                "127.0.0.1, or 0.0.0.0 for all of them"
            ) from None
        kind = _BusyError if error.errno == errno.EADDRINUSE else UsageError
        raise kind(
            f"cannot listen on {host}:{port} ({error.strerror}): give another --port, "
            "or --port 0 for any that is free"
        ) from None
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """What to type into a browser on this machine."""
    port = listener.getsockname()[1]
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def open_browser(address: str) -> None:
    """Show an address in the browser of this machine, if it has one.

    In a process of its own: a browser that blocks, fails or talks is no matter here,
    and Ctrl-C here does not reach it.
    """
    with suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-I", "-m", "webbrowser", "-t", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
