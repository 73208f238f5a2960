"""The pages that are open: each with a session, a token for its uploads, a folder.

A page may do nothing to another one: its token is a secret of its own, what it works on
is its own, and what it opened vanishes with it.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from gradline.lab.files import Files, Opened
from gradline.lab.session import Session

#: Pages that may be open at one time.
MOST_PAGES = 64

#: Bytes that an uploaded file may have, unless told.
MOST_UPLOAD = 2_000_000_000


class Rooms:
    """All open pages; as a context, it deletes what they left when it ends.

    Args:
        given: the file of the command line.
        most_upload: bytes that an uploaded file may have.
    """

    def __init__(
        self, given: Opened | None = None, most_upload: int = MOST_UPLOAD
    ) -> None:
        self.given = given
        self.most_upload = most_upload
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._folder: Path | None = None

    @property
    def open(self) -> int:
        """How many pages are open."""
        return len(self._sessions)

    def enter(self) -> tuple[str, Session] | None:
        """A token and a session for one more page; None where there is no room."""
        with self._lock:
            if len(self._sessions) >= MOST_PAGES:
                return None
            token = secrets.token_urlsafe(16)
            session = Session(Files(self.given))
            self._sessions[token] = session
            return token, session

    def find(self, token: str) -> Session | None:
        """The session of an open page."""
        return self._sessions.get(token)

    def leave(self, token: str) -> None:
        """A page is gone; its session has been closed."""
        with self._lock:
            self._sessions.pop(token, None)

    def folder(self) -> Path:
        """Where uploads lie; made when the first one comes, for this user only."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="gradline-lab-"))
            return self._folder

    def __enter__(self) -> Rooms:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
