"""A lab to test against: a real server in a thread, and pages that talk to it."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

from websockets.sync.client import ClientConnection, connect

from gradline.lab.files import Opened
from gradline.lab.rooms import MOST_UPLOAD, Rooms
from gradline.lab.server import Server
from gradline.listening import bound


class Lab(NamedTuple):
    """A lab that runs: where it listens, and its rooms."""

    port: int
    rooms: Rooms

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers in lower case, body."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            line.request(method, path, body, headers or {})
            got = line.getresponse()
            names = {k.lower(): v for k, v in got.getheaders()}
            return got.status, names, got.read()
        finally:
            line.close()

    def put(self, name: str, body: Any, session: str) -> tuple[int, dict[str, Any]]:
        """Upload a file."""
        path = f"/files?name={quote(name, safe='')}&session={session}"
        status, _, answer = self.ask("PUT", path, body)
        return status, json.loads(answer)

    @contextmanager
    def page(self, **options: Any) -> Iterator[Page]:
        """An open page that has been greeted."""
        where = f"ws://127.0.0.1:{self.port}/ws"
        with connect(where, compression=None, max_queue=None, **options) as socket:
            yield Page(socket)


class Page:
    """One page: what it is told first is `hello`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello = self.receive()
        self.session = self.hello.get("session", "")
        self.pushed: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)

    def receive(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
        return found

    def send(self, kind: str, **message: Any) -> int:
        """Send a message; its number."""
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "type": kind, **message}))
        return number

    def wait(self, number: int | None) -> dict[str, Any]:
        """The answer to that number; what else comes is kept in `pushed`."""
        while True:
            got = self.receive()
            if got["id"] == number and got["type"] != "progress":
                return got
            self.pushed.append(got)

    def ask(self, kind: str, **message: Any) -> dict[str, Any]:
        return self.wait(self.send(kind, **message))

    def raw(self, data: str | bytes) -> dict[str, Any]:
        """The answer to a message that has no number."""
        self.socket.send(data)
        return self.wait(None)


@contextmanager
def running(
    given: Opened | None = None, most_upload: int = MOST_UPLOAD, host: str = "127.0.0.1"
) -> Iterator[Lab]:
    """A lab, in a thread of this process."""
    ready = threading.Event()
    with Rooms(given, most_upload) as rooms:
        listener = bound("127.0.0.1", 0)
        port = listener.getsockname()[1]
        server = Server(host, rooms, ready.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert ready.wait(20)
            yield Lab(port, rooms)
        finally:
            server.should_exit = True
            thread.join(20)
            listener.close()
            assert not thread.is_alive()
