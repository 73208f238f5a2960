"""Arguments, checked in one way: each check returns the value or says what to give."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from gradline.errors import UsageError

#: Seeds and counts above this are mistakes, and libraries below do not take them.
LARGEST = 10**15

#: The arguments of `fit` that are whole numbers: a range of another is of real ones.
WHOLE = ("epochs", "degree", "batch_size", "folds", "seed", "early_stopping")


def whole(name: str, value: Any, least: int = 0, most: int = LARGEST) -> int:
    """A whole number between `least` and `most`; NumPy's integers are welcome."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise UsageError(
            f"{name} is {value!r}: give a whole number, {least:,} or more"
        ) from None
    if not least <= number <= most:
        limit = f"{least:,} or more" if number < least else f"at most {most:,}"
        raise UsageError(f"{name} is {number}: give {limit}")
    return number


def real(name: str, value: Any) -> float:
    """A finite number."""
    try:
        number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name} is {value!r}: give a finite number")
    return number


def learning_rate(value: Any) -> float:
    """A positive number."""
    try:
        number = real("lr", value)
    except UsageError:
        number = 0.0
    if number <= 0:
        raise UsageError(f"lr is {value!r}: give a positive number, or 'auto'")
    return number


def one_of(name: str, value: Any, *allowed: Any) -> Any:
    """One of a few values."""
    if not any(type(value) is type(a) and value == a for a in allowed):
        shown = " or ".join(repr(a) for a in allowed)
        raise UsageError(f"{name} is {value!r}: give {shown}")
    return value


def column_name(name: str, value: Any) -> str:
    """The name of a column, as text."""
    if not isinstance(value, str):
        raise UsageError(
            f"{name} is {value!r}: give a column's name as text, such as {str(value)!r}"
        )
    return value


def column_names(name: str, value: Any) -> tuple[str, ...]:
    """A list of names of columns."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        given = value if isinstance(value, str) else "name"
        raise UsageError(f"{name} is {value!r}: give a list of names, [{given!r}]")
    return tuple(column_name(name, item) for item in value)
