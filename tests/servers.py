"""A served model to test against: a real server in a thread, or in a process."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import gradline as gl
from gradline.listening import address_of, bound
from gradline.serving.limits import Limits
from gradline.serving.server import Served, Server, load_served, make_service
from helpers import ROOT

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"


class Reply(NamedTuple):
    """An answer: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_never)

    @property
    def detail(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        found = self.json
        assert found["status"] == self.status
        assert found.keys() == {"type", "title", "status", "detail"}
        return str(found["detail"])

    @property
    def table(self) -> pa.Table:
        assert self.headers["content-type"] == ARROW
        return pa.ipc.open_stream(self.body).read_all()


def _never(text: str) -> Any:
    raise AssertionError(f"{text} is no JSON")


class Client:
    """One connection, which is kept as long as the server keeps it."""

    def __init__(self, port: int, timeout: float = 20.0) -> None:
        self.port = port
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        self.line.request(method, path, body, headers or {})
        got = self.line.getresponse()
        found = {k.lower(): v for k, v in got.getheaders()}
        return Reply(got.status, found, got.read())

    def predict(self, request: Any, **headers: str) -> Reply:
        """Ask in JSON; bytes are sent as they are."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.ask("POST", "/predict", body, {"Content-Type": JSON, **headers})

    def stream(self, data: Any, query: str = "", **headers: str) -> Reply:
        """Ask in Arrow; bytes are sent as they are."""
        body = data if isinstance(data, bytes) else stream_of(data)
        path = "/predict/arrow" + query
        return self.ask("POST", path, body, {"Content-Type": ARROW, **headers})

    def close(self) -> None:
        self.line.close()


class Running(NamedTuple):
    """A server in this process."""

    port: int
    server: Server

    def client(self) -> Client:
        return Client(self.port)


def stream_of(data: Any, **options: Any) -> bytes:
    """A table as an Arrow stream."""
    table = pa.table(data)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def served(model: gl.Fit | Path, limits: Limits, **more: Any) -> Served:
    """What to serve: a fit, or the file of one."""
    if isinstance(model, Path):
        return load_served(str(model), limits, **more)
    return Served(model, "m.safetensors", "sha256:" + "0" * 64, limits, **more)


@contextmanager
def running(
    model: gl.Fit | Path, limits: Limits | None = None, **more: Any
) -> Iterator[Running]:
    """A server in a thread of this process.

    Args:
        model: a fit, or the file of one.
        limits: of requests.
        **more: as in Served; `host` too.
    """
    limits = limits or Limits()
    host = more.pop("host", "127.0.0.1")
    given = served(model, limits, **more)
    ready = threading.Event()
    listener = bound("127.0.0.1", 0)
    service = make_service(given, host, address_of(listener, "127.0.0.1"))
    server = Server(service, limits, ready.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert ready.wait(20)
        yield Running(listener.getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        service.close()
        assert not thread.is_alive()


class Process:
    """`gradline serve` as a process of its own."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "gradline", "serve", "--port", "0", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        self.line = self.popen.stdout.readline()
        if self.line == "{\n":
            self.line += "".join(iter(self.popen.stdout.readline, "}\n")) + "}"
        found = re.search(r"http://[^/]+:(\d+)/", self.line)
        assert found, f"it did not start: {self.line!r} {self.end()[1]}"
        self.port = int(found[1])

    def end(self, timeout: float = 40) -> tuple[str, str]:
        """What it says until it ends."""
        try:
            return self.popen.communicate(timeout=timeout)
        finally:
            self.popen.kill()
