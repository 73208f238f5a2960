"""The routes of the lab: the page, and one WebSocket for each page that is open."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from gradline.errors import GradlineError, UsageError
from gradline.lab.guard import Guard
from gradline.lab.session import Session
from gradline.save import strict_json

#: Bytes that a message may have.
MOST_MESSAGE = 1_000_000

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def make_app(host: str = "127.0.0.1") -> ASGIApp:
    """The lab as an ASGI application.

    Args:
        host: where it will listen.
    """
    pages = _pages()

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "") or "index.html"
        if name not in pages:
            raise HTTPException(404)
        return Response(pages[name], media_type=_KINDS[name.rpartition(".")[2]])

    routes = [
        WebSocketRoute("/ws", _talk),
        Route("/", page),
        Route("/{name:path}", page),
    ]
    return Guard(Starlette(routes=routes), host)


def _pages() -> dict[str, bytes]:
    """Every file of the page, by its path below page/; nothing else is ever served."""
    found: dict[str, bytes] = {}

    def walk(folder: Any, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            elif entry.name.rpartition(".")[2] in _KINDS:
                found[prefix + entry.name] = entry.read_bytes()

    walk(resources.files("gradline.lab").joinpath("page"), "")
    return found


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    session = Session()
    try:
        while True:
            text = await socket.receive_text()
            answer = await to_thread.run_sync(_answer, session, text)
            await socket.send_text(answer)
    except WebSocketDisconnect:
        pass
    finally:
        await to_thread.run_sync(session.close)


def _answer(session: Session, text: str) -> str:
    number = None
    try:
        if len(text) > MOST_MESSAGE:
            raise UsageError("the message is too long")
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise UsageError("the message is no JSON") from None
        number = message.get("id") if isinstance(message, dict) else None
        if not isinstance(number, int):
            number = None
        found = session.answer(message)
    except GradlineError as error:
        found = {"type": "error", "message": str(error)}
    return strict_json({"id": number, **found})
