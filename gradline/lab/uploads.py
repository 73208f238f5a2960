"""A file that a page sends: PUT /files?name=flights.csv&session=TOKEN, then its bytes.

The query may also have `decimal` ("." or ","), `delimiter` (one character or "tab")
and `encoding`.

It is written to a temporary file as it comes, bounded by --max-upload and by the disk,
then opened by gradline's readers. When anything goes wrong on the way, or the page
breaks off, nothing of it is left.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, fail_after, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gradline.csvtext import checked_delimiter
from gradline.errors import FileError, GradlineError, UsageError
from gradline.files import said
from gradline.lab.files import SUFFIXES, Files, open_data
from gradline.lab.remedies import for_page
from gradline.lab.rooms import Rooms
from gradline.save import strict_json

#: Letters of a name, each of up to four bytes; some systems take none of the odd ones.
MOST_LETTERS = 60
ODD = '<>:"|?*'

#: Bytes of the disk that stay free.
SPARE = 200_000_000

#: Seconds that the next bytes may take to come.
PATIENCE = 30.0

#: Bytes that are gathered before they are written.
BLOCK = 1 << 20


async def upload(request: Request, rooms: Rooms, threads: CapacityLimiter) -> Response:
    """Take a file in; answer what is in it.

    Args:
        request: with `name` and `session` in its query.
        rooms: where the page is.
        threads: for writing and reading.
    """
    try:
        session = rooms.find(request.query_params.get("session", ""))
        if session is None:
            return _told(403, "this page is not open here: reload it")
        title = clean_name(request.query_params.get("name", ""))
        with session.files.room():
            found = await _taken(request, session.files, title, rooms, threads)
    except TimeoutError:
        return _told(408, f"nothing more of the file came in {PATIENCE:.0f} seconds")
    except ClientDisconnect:
        return _told(400, "the file came to half only")  # nobody hears it
    except _TooLarge as error:
        return _told(413, str(error))
    except GradlineError as error:
        return _told(400, str(error))
    return Response(strict_json(found), 201, media_type="application/json")


class _TooLarge(FileError):
    """More bytes than there is room for."""


def clean_name(name: str) -> str:
    """The last part of a file's name, without anything that is no name.

    Raises:
        UsageError: it is no file that gradline reads.
    """
    last = re.split(r"[/\\]", name)[-1]
    last = "".join(c if c.isprintable() and c not in ODD else "_" for c in last)
    last = last.strip()[-MOST_LETTERS:].lstrip(".")
    if not last.lower().endswith(SUFFIXES):
        raise UsageError(
            f"{last!r:.80} is no file of data by its name: give a CSV, TSV, Parquet, "
            "Arrow or .npy file"
        )
    return last


async def _taken(
    request: Request, files: Files, title: str, rooms: Rooms, threads: CapacityLimiter
) -> dict[str, Any]:
    _check_length(request, rooms)
    query = request.query_params
    reading = {
        k: query[k] for k in ("decimal", "delimiter", "encoding") if query.get(k)
    }
    checked_delimiter(reading.get("delimiter"), reading.get("decimal", "."))
    folder = rooms.folder() / secrets.token_hex(8)
    path = folder / title  # so that messages say the name that the page knows
    kept = False
    try:
        folder.mkdir()
        with _made(path) as file:
            async for block in _blocks(request, rooms.most_upload):
                files.check_open()
                await to_thread.run_sync(_write, file, block, limiter=threads)
        opened = await to_thread.run_sync(
            partial(open_data, path, **reading), limiter=threads
        )
        name = files.add(opened, folder)
        kept = True
        return files.describe(name)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _made(path: Path) -> Any:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    return os.fdopen(handle, "wb")


def _write(file: Any, block: bytes) -> None:
    """Write, unless the disk would be full."""
    try:
        if (
            shutil.disk_usage(file.name if isinstance(file.name, str) else ".").free
            < SPARE
        ):
            raise _TooLarge("the disk is nearly full: free some space and try again")
        file.write(block)
    except OSError as error:
        if isinstance(error, GradlineError):
            raise
        raise _TooLarge(f"the file cannot be kept: {said(error)}") from error


def _check_length(request: Request, rooms: Rooms) -> None:
    """Refuse what says itself that it is too much."""
    with suppress(ValueError):
        length = int(request.headers.get("content-length", "0"))
        _check_size(length, rooms.most_upload)
        if length + SPARE > shutil.disk_usage(rooms.folder()).free:
            raise _TooLarge("the disk has no room for this file: free some space")


def _check_size(length: int, most: int) -> None:
    if length > most:
        raise _TooLarge(
            f"the file is larger than {most:,} bytes: start gradline lab with the "
            "file's path, which reads it where it is"
        )


async def _blocks(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body in blocks of about a megabyte."""
    held: list[bytes] = []
    size = total = 0
    stream = aiter(request.stream())
    while True:
        with fail_after(PATIENCE):
            part = await anext(stream, None)
        if part is None:
            break
        total += len(part)
        _check_size(total, most)
        held.append(part)
        size += len(part)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _told(status: int, text: str) -> Response:
    return Response(
        strict_json({"message": for_page(text)}), status, media_type="application/json"
    )
