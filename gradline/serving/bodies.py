"""A request's body: read as it comes, bounded in bytes and in time.

What is too large is refused before it is there: by its Content-Length at once, else at
the first byte beyond. All bodies together are bounded too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gradline.serving.limits import Deadline, Limits
from gradline.serving.problems import Problem, busy

#: After a refusal, bytes and seconds of a body that are still taken and thrown away: a
#: client that is not done with sending would not see the answer.
MOST_THROWN = 256 << 20
THROWING = 2.0


class Gone(Exception):
    """Whoever asked has left."""


class Bodies:
    """The bodies that are in memory.

    Args:
        limits: how large one may be, and all of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @contextmanager
    def room(self) -> Iterator[Held]:
        """Room for one body, while it is needed."""
        held = Held(self)
        try:
            yield held
        finally:
            self._held -= held.size

    def grow(self, held: Held, more: int) -> None:
        """Take so many bytes more.

        Raises:
            Problem: 413 or 503.
        """
        if held.size + more > self._limits.body:
            raise self.too_large()
        if self._held + more > self._limits.held:
            raise busy("there are too many large requests in hand: try again soon")
        held.size += more
        self._held += more

    def too_large(self) -> Problem:
        """The refusal of a body."""
        return Problem(
            413,
            f"the body has more than {self._limits.body:,} bytes: send the rows in "
            "parts",
            close=True,
        )

    async def read(
        self, held: Held, length: int | None, receive: Any, due: Deadline
    ) -> bytes:
        """A whole body.

        Args:
            held: room for it.
            length: what Content-Length says.
            receive: of ASGI.
            due: when the time of the request is up.

        Raises:
            Problem: 408, 413 or 503.
            Gone: the other side has broken off.
        """
        if length is not None and length > self._limits.body:
            raise self.too_large()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(due.left):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    block = message.get("body", b"")
                    self.grow(held, len(block))
                    parts.append(block)
                    if not message.get("more_body", False):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            raise Problem(
                408,
                f"the body did not come in {due.seconds:g} seconds: send it faster, "
                "or less of it",
                close=True,
            ) from None


class Held:
    """How much memory one body takes."""

    def __init__(self, bodies: Bodies) -> None:
        self.size = 0
        self._bodies = bodies


async def throw_away(receive: Any) -> None:
    """Take what still comes of a body that was refused."""
    left = MOST_THROWN
    with suppress(TimeoutError):
        async with asyncio.timeout(THROWING):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                left -= len(message.get("body", b""))
