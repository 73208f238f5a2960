"""The lab's server: uvicorn, and what it does before the first page comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import uvicorn

from gradline.bar import progress_bar
from gradline.lab.app import make_app
from gradline.lab.files import Files
from gradline.lab.jobs import Job
from gradline.lab.rooms import MOST_PAGES, Rooms
from gradline.lab.session import Session
from gradline.lab.talk import MOST_BYTES
from gradline.listening import address_of, listening

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
