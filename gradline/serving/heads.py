"""The head of a request: what it says of the body, and what answer it wants."""

from __future__ import annotations

import re
from typing import Any

from gradline.serving.problems import Problem, quoted

#: How a proxy is asked; a server has to understand it too (RFC 9112, 3.2.2).
_ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp]://([^/]*)(/.*)?", re.DOTALL)


def target(path: str) -> tuple[str | None, str]:
    """The host and the path that a request line names; the host may be None."""
    found = _ABSOLUTE.fullmatch(path)
    return (None, path) if found is None else (found[1].lower(), found[2] or "/")


class Head:
    """A request: its head, and what is known of it so far."""

    def __init__(self, scope: Any, receive: Any) -> None:
        self.scope = scope
        self.receive = receive
        self.origin: str | None = None
        self.read = False
        self._heads: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            self._heads.setdefault(name, []).append(value.decode("latin-1").lower())

    def told(self, name: bytes) -> list[str]:
        """Every header of a name, in lower case."""
        return self._heads.get(name, [])

    @property
    def has_body(self) -> bool:
        """Whether something comes after the head."""
        return bool(self.told(b"transfer-encoding") or self.length())

    def length(self) -> int | None:
        """What Content-Length says."""
        found = self.told(b"content-length")
        return int(found[0]) if found and found[0].isdecimal() else None

    def check_type(self, wanted: str, elsewhere: str) -> None:
        """Refuse a body of another type, or a compressed one."""
        packed = self.told(b"content-encoding")
        if packed not in ([], ["identity"]):
            raise Problem(415, "the body is compressed: send it as it is")
        found = self.told(b"content-type")
        kind, *more = [part.strip() for part in ", ".join(found).split(";")]
        if kind != wanted:
            given = f"the body is of type {quoted(kind)}" if kind else (
                "the request has no Content-Type"
            )  # fmt: skip
            raise Problem(
                415,
                f"{given}: send {wanted} with 'Content-Type: {wanted}'; {elsewhere}",
                {"accept": wanted},
            )
        for part in more:
            name, _, value = part.partition("=")
            if name.strip() == "charset" and value.strip().strip('"') != "utf-8":
                raise Problem(415, f"the charset is {quoted(value)}: send UTF-8")

    def best(self, first: str, second: str) -> str:
        """The type of answer that Accept likes best, the first one if none matters.

        Raises:
            Problem: 406.
        """
        accept = ", ".join(self.told(b"accept"))
        if not accept.strip():
            return first
        liked = {kind: _liking(accept, kind) for kind in (first, second)}
        if max(liked.values()) <= 0:
            raise Problem(
                406,
                f"Accept is {quoted(accept)}: give {first}, {second} or */*",
            )
        return first if liked[first] >= liked[second] else second


def _liking(accept: str, kind: str) -> float:
    """How much an Accept header likes a type: its q; the most specific range counts."""
    family = kind.partition("/")[0] + "/*"
    weights: dict[str, float] = {}
    for part in accept.split(","):
        name, *more = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for piece in more:
            if piece.startswith("q="):
                fine = re.fullmatch(r"[01](\.[0-9]{0,3})?", piece[2:])
                weight = min(1.0, float(piece[2:])) if fine else 0.0
        weights[name] = max(weight, weights.get(name, 0.0))
    for name in (kind, family, "*/*"):
        if name in weights:
            return weights[name]
    return 0.0
