"""Markup that cannot be broken into: text is escaped unless it is markup already.

    el("p", "x < ", el("b", name), class_="note")

Every word of a user's, the name of a column or of a level, comes in as a plain str, and
leaves escaped, whether as text or inside an attribute.
"""

from __future__ import annotations

import re
from html import escape

from gradline.layout import printable

#: Elements that have no end.
_VOID = frozenset(
    ["meta", "br", "path", "line", "circle", "rect", "ellipse", "polyline"]
)
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*\Z")


class Markup(str):
    """Text that is markup: it is put in as it stands."""

    __slots__ = ()


def el(name: str, *inside: str | None, **attributes: object) -> Markup:
    """An element of HTML or SVG.

    Args:
        name: of the element.
        *inside: markup, or text to be escaped; None is nothing.
        **attributes: by name, a trailing _ dropped and others made -; None and False
            leave one out, True gives it no value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        if not _NAME.match(key):
            raise ValueError(f"{key!r} is no name of an attribute")
        words.append(key if value is True else f'{key}="{clean(value)}"')
    start = " ".join(words)
    if name in _VOID and not inside:
        return Markup(f"<{start}/>")
    return Markup(f"<{start}>{join(*inside)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Parts one after another, text escaped."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else clean(part)
            for part in parts
            if part is not None
        )
    )


def clean(value: object) -> str:
    """A value as text that is nothing but text: escaped, of printable characters."""
    return escape(printable(str(value).replace("\n", " ")), quote=True)


def short(name: str, most: int = 48) -> str:
    """A name of at most so many characters, an ellipsis in place of its middle."""
    name = printable(name.replace("\n", " "))
    if len(name) <= most:
        return name
    tail = (most - 1) // 2
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"
