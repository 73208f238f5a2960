"""One piece of work for a page: it can be told to stop, and it tells how it gets on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from gradline.errors import GradlineError

#: Seconds between two messages of progress, and before the first one.
BETWEEN = 0.15


class Stopped(GradlineError):
    """The work was given up: a newer setting has come, or the page is gone."""


class Job:
    """A piece of work.

    Args:
        push: is told {"type": "progress", "what", "rows", "share"} now and then, in the
            thread that works.

    Attributes:
        about: what it tells that it does, such as "reading flights.parquet"; what the
            reader says unless set.
    """

    def __init__(self, push: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.about = ""
        self._push = push
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask for the work to end soon; from any thread."""
        self._stop.set()

    def go_on(self) -> bool:
        """Whether anybody still wants it."""
        return not self._stop.is_set()

    def check(self) -> None:
        """End the work here if nobody wants it any longer.

        Raises:
            Stopped: so it is.
        """
        if self._stop.is_set():
            raise Stopped("a newer setting has taken the place of this one")

    def progress(
        self, title: str, total: int | None
    ) -> AbstractContextManager[Callable[[int], Any]]:
        """What readers tell their rows to (data.Progress); ends them when stopped."""
        return self._progress(title, total)

    @contextmanager
    def _progress(
        self, title: str, total: int | None
    ) -> Iterator[Callable[[int], Any]]:
        self.check()
        done, told = 0, time.monotonic()

        def advance(rows: int) -> None:
            nonlocal done, told
            self.check()
            done += rows
            if self._push is not None and time.monotonic() - told > BETWEEN:
                told = time.monotonic()
                share = min(1.0, done / total) if total else None
                what = self.about or title
                self._push(
                    {"type": "progress", "what": what, "rows": done, "share": share}
                )

        yield advance
