"""Every refusal, as problem+json (RFC 9457): {"status", "title", "detail"}.

A detail is one sentence: what was given, what was needed, what to send next. It may
quote the request, so it is cut short; it says nothing of this machine.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

#: What refusals are sent as.
PROBLEM_JSON = "application/problem+json"

#: Letters of a detail.
MOST_DETAIL = 600

#: Letters of a name that came with a request and is quoted or compared with others.
MOST_NAME = 80

#: Seconds after which to try again, where too much is in hand.
RETRY = 1


class Problem(Exception):
    """A request that is answered with a refusal.

    Attributes:
        status: of HTTP.
        detail: one sentence.
        headers: to send along.
        close: whether the connection is of no further use.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        *,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.close = close

    def body(self) -> bytes:
        """As problem+json; ASCII, so that half a character is no trouble either."""
        detail = self.detail
        if len(detail) > MOST_DETAIL:
            detail = detail[:MOST_DETAIL] + " ..."
        value: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": detail[:1].upper() + detail[1:],
        }
        return json.dumps(value).encode("ascii")


def busy(detail: str) -> Problem:
    """Too much is in hand."""
    return Problem(503, detail, {"retry-after": str(RETRY)})


def quoted(value: object) -> str:
    """Something that came with a request, as a detail may have it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text[:MOST_NAME] + "..." if len(text) > MOST_NAME else text)
