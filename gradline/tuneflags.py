"""The words of `gradline tune`: what is searched, and how.

A value is written as it is for `fit`, several between commas (formulas between commas
or semicolons); a range is LOW:HIGH, or LOW:HIGH:log for numbers drawn evenly by their
logarithm, or LOW:HIGH:COUNT and LOW:HIGH:log:COUNT for so many numbers, evenly spaced,
as a grid needs them.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from gradline.checks import WHOLE
from gradline.errors import UsageError
from gradline.fitflags import word


def add_search(parser: argparse.ArgumentParser) -> None:
    """What is searched, and how."""
    add = parser.add_argument_group("search").add_argument
    add(
        "--search",
        type=_searched,
        action="append",
        metavar="NAME=VALUES",
        help="an option of fit and its values: momentum=0,0.5,0.9; a range lr=0.001:1 "
        "or lr=0.001:1:log; 20 steps of it alpha=1e-4:10:log:20; intercept=true,false; "
        "repeatable (default: the alpha of ridge)",
    )
    add(
        "--sampler",
        choices=["auto", "grid", "random", "optuna"],
        default="auto",
        help="try all combinations, draw, or draw by what was good so far (default: "
        "grid; random where a range is given)",
    )
    add("--trials", type=int, metavar="N", help="settings to draw (default: 50)")
    add(
        "--score",
        choices=["rmse", "mae", "r2", "mse"],
        default="rmse",
        help="what to choose by, on the validation part (default: rmse)",
    )
    add(
        "--prune",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with optuna, give up trials that do badly on the way (default: yes)",
    )
    add("--timeout", type=float, metavar="SECONDS", help="begin no trial after so long")
    add(
        "--storage",
        metavar="FILE",
        help="keep the trials here, and go on where the same call stopped: tune.db",
    )
    add(
        "--study",
        metavar="NAME",
        help="what the search is called in that file (default: gradline)",
    )


def search_of(pairs: list[tuple[str, Any]] | None) -> dict[str, Any] | None:
    """The searches by name, as `tune` takes them; None where there are none."""
    found: dict[str, Any] = {}
    for name, values in pairs or []:
        if name in found:
            raise UsageError(f"--search {name} is given twice: give all values at once")
        found[name] = values
    return found or None


def _searched(text: str) -> tuple[str, Any]:
    """NAME=VALUES as a name and a list, or a range."""
    name, equals, values = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals or not name or not values.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=VALUES, such as lr=0.001:1:log or momentum=0,0.9"
        )
    parts = values.split(":")
    low, high = (word(part.strip() or "none") for part in (parts * 2)[:2])
    if name in _LISTS:
        raise argparse.ArgumentTypeError(
            f"{name} takes lists, and there is no way to write several here: search "
            f"formula='y ~ a; y ~ a + b', or use gl.tune(..., search={{'{name}': "
            "[['a'], ['a', 'b']]})"
        )
    if len(parts) == 1 or not (_is_number(low) and _is_number(high)):
        return name, [word(part.strip()) for part in _between(name, values)]
    rest = [part.strip() for part in parts[2:]]
    log = rest[:1] == ["log"]
    rest = rest[log:]
    if not rest:
        return name, (low, high, "log") if log else (low, high)
    if len(rest) > 1 or not rest[0].isdigit() or int(rest[0]) < 2 or low >= high:
        raise argparse.ArgumentTypeError(
            f"{values!r} is no range: write LOW:HIGH, LOW:HIGH:log or, for 20 steps, "
            "LOW:HIGH:20 or LOW:HIGH:log:20"
        )
    return name, _steps(text, low, high, log, int(rest[0]), name in WHOLE)


#: Settings whose values are lists or dicts.
_LISTS = ("features", "categories", "exclude", "bounds", "optimizer_options")


def _between(name: str, values: str) -> list[str]:
    """The values between commas, or semicolons where there are some.

    A comma within parentheses or backticks belongs to the value: poly(x, 3).
    """
    if name == "formula" and ";" in values:
        return [part for part in values.split(";") if part.strip()]
    found, depth, quoted = [""], 0, False
    for sign in values:
        quoted ^= sign == "`"
        depth += 0 if quoted else (sign in "([") - (sign in ")]")
        if sign == "," and depth <= 0 and not quoted:
            found.append("")
        else:
            found[-1] += sign
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _steps(
    text: str, low: Any, high: Any, log: bool, count: int, whole: bool
) -> list[Any]:
    """So many numbers from low to high; whole ones where the setting is."""
    if log and low <= 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} goes by logarithms: begin above 0, or leave out log"
        )
    shares = [place / (count - 1) for place in range(count)]
    if log:
        a, b = math.log(low), math.log(high)
        values = [math.exp(a + share * (b - a)) for share in shares]
    else:
        values = [low + share * (high - low) for share in shares]
    values[0], values[-1] = low, high
    if whole:
        return list(dict.fromkeys(round(value) for value in values))
    return [float(f"{value:.6g}") for value in values]
