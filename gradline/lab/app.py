"""The routes of the lab: the page, its uploads, a WebSocket for each open page."""

from __future__ import annotations

from importlib import resources
from typing import Any

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from gradline.lab.guard import Guard
from gradline.lab.rooms import MOST_PAGES, Rooms
from gradline.lab.talk import talk
from gradline.lab.uploads import upload

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_SENTENCES = {
    404: "There is nothing here; the lab is at /.",
    405: "This can only be read.",
}


def make_app(host: str = "127.0.0.1", rooms: Rooms | None = None) -> ASGIApp:
    """The lab as an ASGI application.

    Args:
        host: where it will listen.
        rooms: its pages, and the file they share.
    """
    files = _pages()
    all_rooms = Rooms() if rooms is None else rooms
    # Threads of the pages' own: one page's long run keeps no other one waiting.
    working, reading = CapacityLimiter(MOST_PAGES), CapacityLimiter(MOST_PAGES)

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "") or "index.html"
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_KINDS[name.rpartition(".")[2]])

    async def take(request: Request) -> Response:
        return await upload(request, all_rooms, reading)

    async def converse(socket: WebSocket) -> None:
        await talk(socket, all_rooms, working)

    routes = [
        WebSocketRoute("/ws", converse),
        Route("/files", take, methods=["PUT"]),
        Route("/", page),
        Route("/{name:path}", page),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _told})
    return Guard(app, host)


async def _told(request: Request, error: Exception) -> Response:
    """A refusal in a sentence."""
    assert isinstance(error, HTTPException)
    text = _SENTENCES.get(error.status_code, error.detail)
    if error.status_code == 405 and request.url.path == "/files":
        text = "Files are sent here with PUT."
    return PlainTextResponse(text, error.status_code, headers=error.headers)


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
