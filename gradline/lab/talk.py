"""One WebSocket: messages of a page come in, wait their turn, are answered.

Three tasks: one reads, always, so that a page that is gone is noticed; one works, in a
thread, one message at a time; one sends. What waits is bounded: of settings only the
newest one counts, so it takes the place of one that waits and stops one under way.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from typing import Any

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.from_thread import run_sync as in_loop
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gradline.errors import GradlineError, UsageError
from gradline.lab.hello import hello
from gradline.lab.jobs import Job, Stopped
from gradline.lab.remedies import for_page
from gradline.lab.rooms import MOST_PAGES, Rooms
from gradline.lab.session import Session
from gradline.save import strict_json

#: Letters that a message may have: a thousand points moved by hand take 60,000. Beyond
#: MOST_BYTES the connection is closed before the message is there.
MOST_MESSAGE = 250_000
MOST_BYTES = 4_000_000

#: Messages of one page that may wait, besides one setting.
MOST_WAITING = 64

#: Messages in a second, and how many at once.
RATE, BURST = 200, 400

_OVERTAKEN = "a newer setting has taken the place of this one"
_FAULT = "the lab made a mistake; what happened is written where it was started"


async def talk(socket: WebSocket, rooms: Rooms, threads: CapacityLimiter) -> None:
    """Serve one page until it leaves.

    Args:
        socket: not yet accepted.
        rooms: where it gets a session.
        threads: as many as there may be pages: nobody waits for another one.
    """
    await socket.accept()
    room = rooms.enter()
    if room is None:
        text = f"{MOST_PAGES} pages of this lab are open: close some and reload"
        await _send_quietly(socket, {"type": "error", "id": None, "message": text})
        await socket.close(1013)
        return
    token, session = room
    page = _Page(socket, session, threads)
    try:
        page.push(hello(token, session.files, rooms.most_upload))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(page.send)
            tasks.start_soon(page.work)
            await page.read()
            page.job.stop()
            tasks.cancel_scope.cancel()
    finally:
        # Its place is free once its work has ended: who comes and goes all the time
        # cannot have more of it under way than one who stays.
        page.job.stop()
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(session.close, limiter=threads)
        rooms.leave(token)


class _Page:
    """The tasks of one page."""

    def __init__(
        self, socket: WebSocket, session: Session, threads: CapacityLimiter
    ) -> None:
        self._socket = socket
        self._session = session
        self._threads = threads
        self._waiting: deque[dict[str, Any]] = deque()
        self._outbox: deque[dict[str, Any]] = deque()
        self._progress: dict[str, Any] | None = None
        self._came, self._goes = anyio.Event(), anyio.Event()
        self._tokens, self._then = float(BURST), time.monotonic()
        self._doing: Any = None
        self.job = Job()

    async def read(self) -> None:
        """Take messages in until the page is gone."""
        while True:
            try:
                event = await self._socket.receive()
            except (WebSocketDisconnect, RuntimeError):
                return
            if event["type"] == "websocket.disconnect":
                return
            self.take(event.get("text"))
            await self._slow_down()

    async def _slow_down(self) -> None:
        """Wait where a page sends too fast: it alone is kept waiting."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + RATE * (now - self._then)) - 1
        self._then = now
        await anyio.sleep(max(0.0, -self._tokens / RATE))

    def take(self, text: str | None) -> None:
        """Put a message where it waits for its turn, or answer what is wrong."""
        number: int | None = None
        try:
            message = _parsed(text)
            number = _number(message)
            self._queue(message)
        except GradlineError as error:
            self.push({"type": "error", "id": number, "message": str(error)})

    def _queue(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind in ("set", "cancel"):
            for old in [m for m in self._waiting if m.get("type") == "set"]:
                self._waiting.remove(old)
                self._overtaken(old)
            if self._doing == "set":
                self.job.stop()
        if kind == "cancel":
            self.push({"type": "cancel", "id": _number(message)})
            return
        if len(self._waiting) >= MOST_WAITING:
            raise UsageError(
                f"{MOST_WAITING} messages of this page are waiting: wait for answers"
            )
        self._waiting.append(message)
        self._came.set()

    def _overtaken(self, message: dict[str, Any]) -> None:
        self.push({"type": "error", "id": _number(message), "message": _OVERTAKEN})

    async def work(self) -> None:
        """Answer what waits, one message after another, in a thread."""
        while True:
            while not self._waiting:
                self._came = anyio.Event()
                await self._came.wait()
            message = self._waiting.popleft()
            self.job = Job(self._tell)
            self._doing = message.get("type")
            answer = await to_thread.run_sync(
                _answer,
                self._session,
                message,
                self.job,
                limiter=self._threads,
            )
            self._doing, self._progress = None, None
            self.push(answer)

    def _tell(self, progress: dict[str, Any]) -> None:
        """Progress, from the thread that works: the newest one counts."""
        with suppress(RuntimeError):  # the lab is closed, and nobody listens
            in_loop(self._put_progress, {"id": None, **progress})

    def _put_progress(self, progress: dict[str, Any]) -> None:
        self._progress = progress
        self._goes.set()

    def push(self, message: dict[str, Any] | str) -> None:
        """Send a message when its turn comes."""
        self._outbox.append(message)  # type: ignore[arg-type]
        self._goes.set()

    async def send(self) -> None:
        """Send what is to be sent."""
        while True:
            await self._goes.wait()
            self._goes = anyio.Event()
            while self._outbox or self._progress:
                if self._outbox:
                    message: Any = self._outbox.popleft()
                else:
                    message, self._progress = self._progress, None
                await _send_quietly(self._socket, message)


async def _send_quietly(socket: WebSocket, message: Any) -> None:
    """Send to a page that may be gone by now."""
    text = message if isinstance(message, str) else strict_json(message)
    if socket.client_state is WebSocketState.CONNECTED:
        try:
            await socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return


def _parsed(text: str | None) -> dict[str, Any]:
    """A message as an object."""
    if text is None:
        raise UsageError("the message is binary: send JSON as text")
    if len(text) > MOST_MESSAGE:
        raise UsageError(
            f"the message has {len(text):,} letters: {MOST_MESSAGE:,} are the most"
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the message is no JSON") from None
    if not isinstance(message, dict):
        raise UsageError('the message is no object: send {"id": 1, "type": ...}')
    return message


def _number(message: dict[str, Any]) -> int | None:
    number = message.get("id")
    return number if type(number) is int and abs(number) < 2**53 else None


def _answer(session: Session, message: dict[str, Any], job: Job) -> str:
    """The answer to a message, as text; in a thread."""
    try:
        found = session.answer(message, job)
        if not job.go_on():
            raise Stopped(_OVERTAKEN)
    except GradlineError as error:
        found = {"type": "error", "message": for_page(str(error))}
    except Exception:
        # A fault of ours is told to whoever started the lab, not to the page.
        traceback.print_exc(file=sys.stderr)
        found = {"type": "error", "message": _FAULT}
    return strict_json({"id": _number(message), **found})
