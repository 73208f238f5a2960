"""Who may talk to the lab: its own pages, and nobody else.

A page of another site may send requests to this machine too; its Origin gives it away.
A name of another site may be made to point here (DNS rebinding); its Host gives it
away. So both are looked at, on every request and on the WebSocket, before anything is
done:

    Host     there once, and one of the names below, with or without a port
    Origin   absent (a link that is followed, or no browser), or there once and equal
             to http:// and the Host: another port is another page

The names are those of this machine's loopback. Where the lab listens for others too,
they are any address as numbers, which no foreign site can pretend to be, the name that
--host gave, and the machine's own name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
import traceback
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

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

#: A name or [an IPv6 address], and perhaps a port: nothing else is a Host.
_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")

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
        self._for_all = is_open(host)
        own = socket.gethostname().lower()
        self._names = {"localhost"}
        if self._for_all:
            self._names |= {host.lower(), own, f"{own}.local"}

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
        hosts = _all(scope, b"host")
        origins = _all(scope, b"origin")
        if len(hosts) != 1 or not self._known(hosts[0]):
            return False
        return origins in ([], [f"http://{hosts[0]}"])

    def _known(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        six, name = found.groups()
        try:
            address = ipaddress.ip_address(six or name)
        except ValueError:
            return not six and name in self._names
        return self._for_all or address.is_loopback


def is_open(host: str) -> bool:
    """Whether other machines can reach what listens there."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() != "localhost"


def _all(scope: Scope, name: bytes) -> list[str]:
    """Every header of one name, in lower case, as host names compare."""
    return [v.decode("latin-1").lower() for k, v in scope["headers"] if k == name]


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the handshake
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse(_FOREIGN, status_code=403)
    await answer(scope, receive, send)
