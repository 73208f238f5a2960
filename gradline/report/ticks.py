"""Numbers for people: round ticks with labels alike, and values with their minus."""

from __future__ import annotations

import math

from gradline.layout import number as plain

#: Ticks are these numbers, times a power of ten.
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def said(value: float, digits: int = 4) -> str:
    """A number as people write it: 12,300, 0.998, −3.2e-07."""
    size = abs(value)
    if not 1e-4 <= size < 1e9:  # 0, the undefined and the infinite among them
        return plain(value, digits).replace("-", "−").replace("e−", "e-")
    places = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


class Ticks:
    """Round numbers along an axis.

    Attributes:
        values: where they are.
        labels: what they say, each with the decimals the step needs.
        suffix: what was taken from them, for the name of the axis: " (×10⁶)".
    """

    def __init__(self, low: float, high: float, most: int = 5) -> None:
        span = high - low
        power = 10.0 ** math.floor(math.log10(span / most))
        step = next(s * power for s in STEPS if s * power * most >= span * (1 - 1e-9))
        years = low >= 1000 and high < 3000 and span < 400  # 2008, and not 2,008
        if years and span > 1:
            step = max(step, 1.0)
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        self.values = [i * step for i in range(first, last + 1)]
        offset, size = 0.0, max(abs(low), abs(high))
        if size > 1e4 * span:  # labels would be all alike
            unit = 10.0 ** (math.ceil(math.log10(span)) + 1)
            offset = round((low + high) / 2 / unit) * unit
            size = max(abs(low - offset), abs(high - offset))
        log = math.log10(size)
        shift = 0 if -3 <= log < 6 else 3 * math.floor(log / 3)
        digits = 0
        scaled = step / 10.0**shift
        while digits < 6 and abs(scaled - round(scaled, digits)) > 1e-3 * scaled:
            digits += 1
        comma = "" if years else ","
        rounded = (round((v - offset) / 10.0**shift, digits) for v in self.values)
        self.labels = [
            f"{v + 0.0:{comma}.{digits}f}".replace("-", "−") for v in rounded
        ]
        self.suffix = ""
        if offset:
            sign = "+" if offset < 0 else "−"
            self.suffix += f" {sign} {abs(offset):,.10g}"
        if shift:
            self.suffix += f" (×{power_of_ten(shift)})"


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Powers of ten between two numbers, or 1, 2, 5 times them where they are few."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    stride = max(1, math.ceil((last - first + 1) / 8))
    values = [10.0**p for p in range(first, last + 1, stride)]
    if len(values) < 3:
        found = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
        values = [v for v in found if low <= v <= high]
        if len(values) < 2:
            values = [v for v in Ticks(low, high, 4).values if v > 0]
        return values, [said(v, 3) for v in values]
    plainly = first > -4 and last < 6
    return values, [
        said(v) if plainly else power_of_ten(round(math.log10(v))) for v in values
    ]


def power_of_ten(power: int) -> str:
    """10⁹ or 10⁻¹²."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
