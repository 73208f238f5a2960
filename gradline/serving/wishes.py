"""How to predict, as a request asks for it: beside the rows in JSON, or in a query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from gradline.serving.problems import Problem, quoted

OPTIONS = ("interval", "kind", "missing")

#: The share that an interval holds where only its kind is told.
INTERVAL = 0.95

_SHARE = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?")


@dataclass
class Options:
    """How to predict.

    Attributes:
        interval: the share that an interval shall hold, or None for no interval.
        kind: of the interval: "prediction" or "confidence".
        missing: "error", or "nan" where incomplete rows predict nothing.
    """

    interval: float | None = None
    kind: str = "prediction"
    missing: str = "error"


def checked_options(given: dict[str, Any]) -> Options:
    """How to predict, of what came with a request.

    Raises:
        Problem: 400.
    """
    found = Options()
    if "interval" in given:
        share = given["interval"]
        if type(share) not in (int, float) or not 0 < share < 1:
            raise Problem(
                400,
                f"interval is {quoted(share)}: give the share that it shall hold, "
                "between 0 and 1, such as 0.95",
            )
        found.interval = float(share)
    for name, allowed in (
        ("kind", ("prediction", "confidence")),
        ("missing", ("error", "nan")),
    ):
        if name in given:
            if given[name] not in allowed:
                first, second = allowed
                raise Problem(
                    400,
                    f'{name} is {quoted(given[name])}: give "{first}" or "{second}"',
                )
            setattr(found, name, given[name])
    if "kind" in given and found.interval is None:
        found.interval = INTERVAL
    return found


def query_options(query: bytes) -> Options:
    """How to predict, of a query.

    Raises:
        Problem: 400.
    """
    if not query:
        return Options()
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=8,
        )
    except ValueError:
        raise Problem(
            400, "the query cannot be read: write ?interval=0.95&missing=nan"
        ) from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in OPTIONS:
            raise Problem(
                400,
                f"the query has {quoted(name)}, which is not known: give interval, "
                "kind or missing",
            )
        if name in given:
            raise Problem(400, f"the query has {name} twice: which one is meant?")
        number = name == "interval" and _SHARE.fullmatch(value)
        given[name] = float(value) if number else value
    return checked_options(given)
