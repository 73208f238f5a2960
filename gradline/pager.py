"""Shows a long text on a terminal by a pager, as git and man do."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess


def pager_words() -> list[str]:
    """The pager as words: MANPAGER, PAGER, or less; none where it is to be printed."""
    given = next(
        (os.environ[name] for name in ("MANPAGER", "PAGER") if os.environ.get(name)),
        "less",
    )
    try:
        words = shlex.split(given)
    except ValueError:  # a quotation mark without its other half
        return []
    return [] if words in ([], ["cat"]) else words


def page_through(text: str, words: list[str]) -> bool:
    """Show a text by a pager until the reader leaves it; whether that was possible.

    Args:
        text: what is shown.
        words: the pager and its options, see `pager_words`.
    """
    # As git does: less ends by itself if the text fits on the screen (F), shows bold
    # type (R), and leaves the text on the screen (X), unless the reader's LESS differs.
    environment = {"LESS": "FRX", **os.environ}
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, env=environment, text=True, encoding="utf-8"
        )
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
    try:
        with contextlib.suppress(BrokenPipeError):
            process.communicate(text + "\n")
        return process.wait() not in (126, 127)  # a shell's "no such program"
    finally:
        signal.signal(signal.SIGINT, before)
