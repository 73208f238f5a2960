"""Who may talk to the lab: its own pages, and nobody else.

Where a request goes to and where it comes from are looked at, on every request and on
the WebSocket, before anything is done; hosts.py says why:

    Host     there once, and one of the names of hosts.py, with or without a port
    Origin   absent (a link that is followed, or no browser), or there once and equal
             to http:// and the Host: another port is another page
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gradline.hosts import Hosts, values_of

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
        "data: blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

_FOREIGN = (
    "The lab answers its own pages only, at the address that it said when it was "
    "started."
)


class Guard:
    """ASGI middleware that refuses foreign hosts and origins.

    Args:
        app: what it guards.
        host: where the server listens.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._hosts = Hosts(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._welcome(scope):
            await _refuse(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((k.encode(), v.encode()) for k, v in HEADERS.items()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception:
            # A fault of ours: told to whoever started the lab, not to the page.
            traceback.print_exc(file=sys.stderr)

    def _welcome(self, scope: Scope) -> bool:
        hosts = values_of(scope, b"host")
        origins = values_of(scope, b"origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return False
        return origins in ([], [f"http://{hosts[0]}"])


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the handshake
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse(_FOREIGN, status_code=403)
    await answer(scope, receive, send)
