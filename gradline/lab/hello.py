"""What a page is told first: what there is to choose from, and how far it may go."""

from __future__ import annotations

from typing import Any

import torch

from gradline import __version__
from gradline.lab.answers import offers
from gradline.lab.files import SUFFIXES, Files


def hello(session: str, files: Files, most_upload: int) -> dict[str, Any]:
    """The first message to a page.

    Args:
        session: what its uploads have to show.
        files: those it has.
        most_upload: bytes of a file that it may send.
    """
    return {
        "type": "hello",
        "id": None,
        "session": session,
        "version": __version__,
        "torch": torch.__version__,
        **offers(),
        "file": None if files.given is None else files.describe(files.given),
        "upload": {"most": most_upload, "suffixes": list(SUFFIXES)},
    }
