"""Numbers in sentences, as page/numbers.js writes them: 0.0123, 1,234, 1.21×10¹¹."""

from __future__ import annotations

import math

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

#: Digits that are enough to tell any two numbers apart.
_MOST = 15


def number(value: float, digits: int = 3) -> str:
    """A number to so many digits, with a true minus sign and no e-notation."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    head, _, power = f"{abs(value):.{digits - 1}e}".partition("e")
    place = int(power)
    if place >= 6 or place < -3:
        if "." in head:
            head = head.rstrip("0").rstrip(".")
        text = f"{head}×10{str(place).translate(_RAISED)}"
    elif place >= digits - 1:
        text = f"{abs(value):,.0f}"
    else:
        text = f"{abs(value):.{digits - 1 - place}f}".rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 else text


def apart(value: float, other: float, digits: int = 3) -> tuple[str, str]:
    """Two numbers to as many digits as it takes to see that they differ."""
    while True:
        found = number(value, digits), number(other, digits)
        if found[0] != found[1] or value == other or digits >= _MOST:
            return found
        digits += 1


def counted(count: int, word: str) -> str:
    """1 step, 1,200 steps."""
    return f"{count:,} {word}{'s' * (count != 1)}"
