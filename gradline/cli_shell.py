"""`gradline completion` and `gradline help`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from gradline.completing import script
from gradline.errors import UsageError, did_you_mean
from gradline.manpage import name_of, page, plain
from gradline.options import build_parser, commands_of
from gradline.pager import page_through, pager_words

#: No wider than this, for long lines are hard to follow with the eye.
_WIDEST = 100


def completion_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Print the script for a shell."""
    text = script(build_parser(), arguments.shell)
    show({"shell": arguments.shell, "script": text}, text)
    return 0


def help_command(
    arguments: argparse.Namespace, show: Callable[[dict[str, Any], str], None]
) -> int:
    """Show the page of a command; by a pager, if it is for a person to read."""
    parser = build_parser()
    topic = arguments.topic
    known = commands_of(parser)
    if topic is not None and topic not in known:
        hint = did_you_mean(topic, known, f"there are {', '.join(known)}")
        raise UsageError(f"there is no command {topic!r}: {hint}")
    sections = page(parser, topic)
    if arguments.roff:
        from gradline import __version__
        from gradline.roff import roff

        text = roff(sections, name_of(topic), __version__)
    else:
        width = shutil.get_terminal_size().columns
        width = min(max(width, 40), _WIDEST)
        read = sys.stdout is not None and sys.stdout.isatty() and not arguments.json
        words = pager_words() if read and os.environ.get("TERM") != "dumb" else []
        if words and page_through(plain(sections, width, bold=True), words):
            return 0
        text = plain(sections, width)
    show({"topic": topic, "page": text}, text)
    return 0
