"""Where the lab listens, and the browser that looks at it."""

from __future__ import annotations

import errno
import ipaddress
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import uvicorn

from gradline.bar import progress_bar
from gradline.errors import UsageError
from gradline.lab.app import make_app
from gradline.lab.files import Files
from gradline.lab.jobs import Job
from gradline.lab.rooms import MOST_PAGES, Rooms
from gradline.lab.session import Session
from gradline.lab.talk import MOST_BYTES

#: The first port that is tried where none is given, and how many after it.
FIRST_PORT = 8080
TRIED_PORTS = 100

#: Connections at one time: a page needs a few.
MOST_CONNECTIONS = 8 * MOST_PAGES

#: Seconds between two pings, and for the answer to one: a page that is gone without a
#: word (a laptop closed, a cable pulled) is let go of after both.
PING = 20.0


def serve(
    host: str,
    port: int | None,
    *,
    rooms: Rooms,
    ready: Callable[[str], None],
) -> None:
    """Serve the lab until it is stopped by a signal.

    Args:
        host: to listen on.
        port: to listen on; 0 for any that is free, None for 8080 or the next free one.
        rooms: its pages.
        ready: is told the address, once the first view can be had there at once.

    Raises:
        UsageError: the address cannot be had.
        KeyboardInterrupt: Ctrl-C has ended it.
    """
    listener = listening(host, port)
    try:
        warm_up(rooms)
        Server(host, rooms, lambda: ready(address_of(listener, host))).run([listener])
    finally:
        listener.close()
    # uvicorn raises the signal that ended it once more; where a shell has told its
    # background jobs to ignore Ctrl-C's, that has no effect.
    raise KeyboardInterrupt


class Server(uvicorn.Server):
    """uvicorn, which says when it accepts connections.

    Args:
        host: where it listens.
        rooms: its pages.
        ready: is called then.
    """

    def __init__(self, host: str, rooms: Rooms, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(host, rooms),
                log_level="critical",  # faults are told by guard.py and talk.py
                access_log=False,
                http="h11",  # what is tested, whatever else is installed
                loop="asyncio",
                ws="websockets-sansio",
                ws_max_size=MOST_BYTES,
                ws_ping_interval=PING,
                ws_ping_timeout=PING,
                # On one machine, packing takes longer than sending.
                ws_per_message_deflate=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def warm_up(rooms: Rooms) -> None:
    """Do once what the first page will ask for, so that it gets it at once.

    Raises:
        GradlineError: the file of the command line cannot be fitted.
    """
    session = Session(Files(rooms.given))
    setting: dict[str, Any] = {}
    if rooms.given is not None:
        setting = {
            "data": "file:1",
            "target": rooms.given.target,
            "features": list(rooms.given.features),
        }
    session.answer({"type": "set", "setting": setting}, _ShownJob())
    session.close()


class _ShownJob(Job):
    """Work that gets on with a bar on the terminal."""

    def progress(
        self, title: str, total: int | None
    ) -> AbstractContextManager[Callable[[int], Any]]:
        return progress_bar(title, total)


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
