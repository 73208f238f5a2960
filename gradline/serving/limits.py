"""How much a server takes on, and when the time of one request is up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gradline.serving.problems import Problem

#: The largest number in JSON: squares of larger ones leave no room in float64.
MOST_SIZE = 1e100


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may take.

    Attributes:
        body: bytes of one request.
        rows: rows of one request.
        seconds: from its head to its answer.
        concurrency: requests for predictions in hand at one time.
    """

    body: int = 10 * 10**6
    rows: int = 100_000
    seconds: float = 30.0
    concurrency: int = 64

    @property
    def held(self) -> int:
        """Bytes of all requests that are in hand at one time."""
        return max(8 * self.body, 64 * 10**6)


class Deadline:
    """The end of a request's time.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at the least."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Refuse to go on once the time is up.

        Raises:
            Problem: 504.
        """
        if time.monotonic() > self._end:
            raise Problem(
                504,
                f"the answer was not ready in {self.seconds:g} seconds: send fewer "
                "rows, or try again when there is less to do",
            )
