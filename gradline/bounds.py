"""Bounds on slopes: what the user asks for, as two numbers per term.

    low_j ≤ b_j ≤ high_j        the intercept is free

`bounds` names terms, or features: the name of a category stands for all its terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradline.checks import column_names
from gradline.data import Array, Mask
from gradline.design import Design
from gradline.errors import UsageError, did_you_mean


class Bounds(NamedTuple):
    """The least and the largest slope of each term, (d,) each, in raw units."""

    low: Array
    high: Array

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    def at(self, slopes: Array) -> Mask:
        """Which slopes are at a bound, (d,)."""
        return (slopes <= self.low) | (slopes >= self.high)


def read_bounds(
    design: Design,
    bounds: Mapping[str, tuple[float | None, float | None]] | None,
    nonnegative: bool | Sequence[str],
) -> Bounds:
    """Bounds by term from the arguments of fit.

    Args:
        design: how columns become terms.
        bounds: (low, high) by term or feature; None for none.
        nonnegative: True for all terms, or the terms and features meant.

    Raises:
        UsageError: an unknown name, or no numbers with low ≤ high.
    """
    d = len(design.terms)
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    if bounds is not None and not isinstance(bounds, Mapping):
        raise UsageError(
            f"bounds is a {type(bounds).__name__}: give a dict such as "
            "{'x': (0, None)}, by term"
        )
    if bounds is not None and not bounds:
        raise UsageError(
            "bounds names no term: leave it out, or give some, {'x': (0, None)}"
        )
    for name, pair in (bounds or {}).items():
        least, most = _ends(name, pair)
        for j in _terms(design, name, "bounds"):
            low[j], high[j] = max(low[j], least), min(high[j], most)
    if nonnegative is True:
        low = np.maximum(low, 0.0)
    elif nonnegative is not False:
        for name in column_names("nonnegative", nonnegative):
            for j in _terms(design, name, "nonnegative"):
                low[j] = max(low[j], 0.0)
    if (low > high).any():
        j = int(np.argmax(low > high))
        raise UsageError(
            f"no slope of {design.terms[j]!r} is at least {low[j]:g} and at most "
            f"{high[j]:g}: give bounds that leave room"
        )
    return Bounds(low, high)


def _terms(design: Design, name: Any, argument: str) -> list[int]:
    """The places of the terms that a name stands for."""
    if name in design.terms:
        return [design.terms.index(name)]
    if name in design.levels:
        own = [f"{name}[{level}]" for level in design.levels[name]]
        own += [f"C({name})[{level}]" for level in design.levels[name]]
        found = [j for j, term in enumerate(design.terms) if term in own]
        if found:
            return found
    if name == "Intercept":
        raise UsageError(
            f"{argument} names the intercept, which is always free: leave it out, or "
            "give intercept=False"
        )
    hint = did_you_mean(
        str(name), [*design.terms, *design.levels], f"terms are {_some(design)}"
    )
    raise UsageError(f"{argument} names {name!r}, which is no term: {hint}")


def _some(design: Design) -> str:
    terms = [repr(term) for term in design.terms[:8]]
    return ", ".join(terms) + (", ..." if len(design.terms) > 8 else "")


def _ends(name: str, pair: Any) -> tuple[float, float]:
    """(low, high), with infinity for None."""
    wrong = UsageError(
        f"the bounds of {name!r} are {pair!r}: give two numbers, low and high, with "
        "None for an open end, such as (0, None)"
    )
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise wrong
    ends = []
    for value, otherwise in zip(pair, (-math.inf, math.inf), strict=True):
        if value is None:
            ends.append(otherwise)
        elif isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise wrong
        else:
            ends.append(float(value))
    low, high = ends
    if math.isnan(low) or math.isnan(high):
        raise wrong
    if low > high or low == math.inf or high == -math.inf:
        raise UsageError(
            f"the bounds of {name!r} are {low:g} and {high:g}: give the lower one first"
        )
    return low, high
