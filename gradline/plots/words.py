"""Words out: names that any font can draw, and numbers as people write them."""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib import font_manager

from gradline.plots.geometry import Limits

FONT = "DejaVu Sans"  # it comes with Matplotlib, so pictures are alike everywhere


@functools.cache
def _drawable() -> frozenset[int]:
    """The characters the font has; Matplotlib warns about each one it has not."""
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


def clean(text: str) -> str:
    """A text on one line, with a box for every character that cannot be drawn."""
    return "".join(c if ord(c) in _drawable() else "□" for c in " ".join(text.split()))


def wrapped(text: str, width: int) -> str:
    """A text on at most two lines; what does not fit becomes an ellipsis."""
    return textwrap.fill(clean(text), width, max_lines=2, placeholder=" …")


def shown_text(value: Any) -> str:
    """A value of a setting as text: none, ridge, a, b."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def names_of(texts: Sequence[str], width: int = 24) -> list[str]:
    """Names for ticks: cut in the middle, so that those that differ still do.

    What all long ones begin with is left out; where that is not enough they are
    numbered.
    """
    texts = [clean(text.strip("[]")).replace("'", "") for text in texts]
    if all(len(text) <= width for text in texts):
        return texts
    start = _alike(texts)
    texts = [f"…{text[start:]}" if start > 3 else text for text in texts]
    half = width // 2
    short = [t if len(t) <= width else f"{t[: half - 1]}…{t[-half:]}" for t in texts]
    if len(set(short)) == len(set(texts)):
        return short
    return [f"{place + 1}: {text}" for place, text in enumerate(short)]


def _alike(texts: Sequence[str]) -> int:
    """How many letters all begin with, up to the last blank among them."""
    if len(texts) < 2:
        return 0
    start = 0
    while all(t[: start + 1] == texts[0][: start + 1] for t in texts):
        if start >= min(map(len, texts)):
            break
        start += 1
    return texts[0].rfind(" ", 0, start) + 1


def number(value: float, digits: int = 3, *, trim: bool = False) -> str:
    """A number for people: 0.998, 12,300, 1.2·10⁹; `trim` drops zeros at the end."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    power = math.floor(math.log10(abs(value)))
    if -5 < power < 7:
        text = f"{value:,.{max(0, digits - 1 - power)}f}"
    else:
        mantissa, _, exponent = f"{value:.{max(0, digits - 1)}e}".partition("e")
        text, power, trim = mantissa, int(exponent), True
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not -5 < power < 7:
        times = power_of_ten(power)
        text = times if text == "1" else f"{text}·{times}"
    return text.replace("-", "−")


def power_of_ten(power: int) -> str:
    """10⁹ or 10⁻¹²."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def equation(
    slope: float,
    intercept: float,
    x_name: str,
    y_name: str,
    limits: tuple[Limits, Limits] | None = None,
) -> str:
    """The line in words: "y = 0.998·x + 0.004".

    With the picture's limits of x and y, each number is as precise as the eye can be
    there: to a thousandth of the height. Without them the line is known, and written
    out.
    """
    x_short, y_short = clean(x_name), clean(y_name)
    if len(x_short) + len(y_short) > 24:
        x_short, y_short = "x", "y"  # the axes have the names in full
    if limits is None:
        first = number(slope, 6, trim=True)
        second = number(abs(intercept), 6, trim=True)
    else:
        wide, tall = (math.log10(high - low) for low, high in limits)
        first = _rounded(slope, round(tall - wide) - 3, least=3)
        second = _rounded(abs(intercept), round(tall) - 3, least=1)
    sign = "−" if intercept < 0 and second != "0" else "+"
    return f"{y_short} = {first}·{x_short} {sign} {second}"


def _rounded(value: float, last: int, *, least: int) -> str:
    """A number down to the place of 10^last, or to so many digits if that is more.

    What is a million times smaller than that place is rounding error: it is 0.
    """
    if abs(value) <= 10.0 ** (last - 6):
        return "0"
    digits = math.floor(math.log10(abs(value))) - last + 1
    return number(value, min(max(digits, least), 5))
