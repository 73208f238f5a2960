"""The process: connections that may not dawdle, signals, an end that loses nothing.

uvicorn bounds neither the time for a request's head nor that for reading an answer; so
a connection here has HEAD seconds for each head, from the end of the answer before it
or from the first byte, and is cut off where an answer lies unread.

At SIGTERM or Ctrl-C: /readyz says no at once, and for DRAIN seconds everything is
answered still, each answer with "Connection: close", so that clients go elsewhere by
themselves. Then nothing new is taken, what is in hand is answered within GRACE seconds,
and the process ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from gradline.errors import UsageError
from gradline.hosts import Hosts
from gradline.listening import address_of, bound
from gradline.result import Fit
from gradline.save import load
from gradline.serving.answers import as_json
from gradline.serving.app import Pages, Service
from gradline.serving.facts import example_row, facts, model_version
from gradline.serving.limits import Deadline, Limits
from gradline.serving.page import page
from gradline.serving.predictor import Predictor
from gradline.serving.rows import Request
from gradline.serving.schema import openapi
from gradline.serving.wishes import Options

#: Seconds for a request's head, and between two requests.
HEAD = 10.0

#: Seconds in which an answer must have been taken in whole.
TAKING = 60.0

#: Seconds in which all is still answered; in which those who have come by then say what
#: they want; and in which what is in hand ends.
DRAIN, LAST, GRACE = 0.3, 0.1, 30.0

#: Connections at one time, beside those of requests in hand.
SPARE = 256

#: Threads that compute: more would only wait for the interpreter.
MOST_THREADS = 4


@dataclass(frozen=True)
class Served:
    """What to serve, and to whom.

    Attributes:
        fit: the model.
        name: of its file.
        version: its fingerprint.
        limits: of requests.
        hosts: further names by which the server may be asked.
        origins: pages of other sites that may ask it.
        log: is told of each answer in a line, or None.
    """

    fit: Fit
    name: str
    version: str
    limits: Limits
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    log: Callable[[str], None] | None = None


def load_served(path: str, limits: Limits, **more: Any) -> Served:
    """A model file, ready to be served.

    Args:
        path: of a file that fit saved.
        limits: of requests.
        **more: as in Served.

    Raises:
        FileError: it cannot be read, or is no model.
        UsageError: it is a module of a user's own, whose code no file holds.
    """
    name = Path(path).name
    try:
        fit = load(path)
    except UsageError:
        raise UsageError(
            f"{name} holds the weights of a module, and no model file holds code: "
            "serve a line, which gl.fit without model makes"
        ) from None
    return Served(fit, name, model_version(path), limits, **more)


def make_service(served: Served, host: str, address: str) -> Service:
    """The application for a model.

    Args:
        served: the model.
        host: where it will listen.
        address: what to type to get there.
    """
    predictor = Predictor(served.fit)
    told = facts(
        served.fit, served.name, served.version, served.limits, predictor.no_interval
    )
    row = example_row(served.fit)
    pages = Pages(
        as_json(told),
        as_json(openapi(told, served.limits, row)),
        page(told, row, address.rstrip("/")),
    )
    with suppress(Exception):  # the first request shall not wait for imports
        columns = {name: [value] for name, value in row.items()}
        share = None if predictor.no_interval else 0.95
        predictor.predict(Request(columns, 1, Deadline(60)), Options(interval=share))
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1))
    return Service(
        predictor,
        {"name": served.name, "version": served.version},
        pages,
        served.limits,
        Hosts(host, served.hosts),
        frozenset(served.origins),
        ThreadPoolExecutor(threads, thread_name_prefix="predict"),
        served.log,
    )


def serve(
    served: Served, host: str, port: int, ready: Callable[[str], None]
) -> signal.Signals:
    """Serve until a signal comes; return that signal.

    Args:
        served: the model.
        host: to listen on.
        port: to listen on; 0 for any that is free.
        ready: is told the address, once requests are answered there.

    Raises:
        UsageError: the address cannot be had.
    """
    listener = bound(host, port)
    try:
        address = address_of(listener, host)
        service = make_service(served, host, address)
        server = Server(service, served.limits, lambda: ready(address))
        server.run([listener])
        service.close()
    finally:
        listener.close()
    return server.stopped_by


class Connection(H11Protocol):
    """uvicorn's connection, with an end to every kind of waiting."""

    _head_timer: asyncio.TimerHandle | None = None
    _taking_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; h11 has found that, not the application."""
        headers, body = self._service.unreadable()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reason = HTTPStatus.BAD_REQUEST.phrase.encode("ascii")
            for event in (
                h11.Response(status_code=400, headers=headers, reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def _service(self) -> Service:
        service: Any = self.config.app
        assert isinstance(service, Service)
        return service

    def on_response_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_response_complete()
        if self.transport.get_write_buffer_size() and self._taking_timer is None:
            self._taking_timer = self.loop.call_later(TAKING, self._cut_off)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._taking_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Run the clock while a head is to come, and only then."""
        cycle: RequestResponseCycle | None = self.cycle
        waits = cycle is None or cycle.response_complete
        if waits and self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD, self._head_late)
        elif not waits and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _cut_off(self) -> None:
        self._taking_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready, and ends as this file's head says.

    Args:
        service: what to serve.
        limits: of requests.
        ready: is called once connections are accepted.

    Attributes:
        stopped_by: the signal that ended it.
    """

    def __init__(
        self, service: Service, limits: Limits, ready: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                service,
                log_level="critical",
                access_log=False,
                http=Connection,
                loop="asyncio",
                ws="none",
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                backlog=512,
                limit_concurrency=limits.concurrency + SPARE,
                timeout_keep_alive=int(HEAD),
                timeout_graceful_shutdown=int(GRACE),
                h11_max_incomplete_event_size=32_768,
            )
        )
        self._service = service
        self._ready = ready
        self._arriving: set[asyncio.Task[Any]] = set()
        self.stopped_by = signal.SIGTERM

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stopping = True
        if not self.force_exit:
            await asyncio.sleep(DRAIN)
            self._take_the_last(sockets or [])
            await asyncio.sleep(LAST)
        await super().shutdown(sockets)

    def _take_the_last(self, sockets: list[socket.socket]) -> None:
        """Accept who has come already, and close the door behind them."""
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            return Connection(self.config, self.server_state, {}, loop)

        for listener in sockets:
            with suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    line.setblocking(False)
                    task = loop.create_task(
                        loop.connect_accepted_socket(connection, line)
                    )
                    self._arriving.add(task)
                    task.add_done_callback(self._arriving.discard)
        for server in self.servers:
            server.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal once more at the end; here it is told.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: Any) -> None:
        if self.should_exit:
            self.force_exit = True  # the second time: at once
            return
        self.stopped_by = signal.Signals(number)
        self.should_exit = True
