"""Numbers and columns of text: how a table in a terminal is laid out.

Cells of a column are of one width, decimal points below one another where there is
room; names give way, cut in their middle. Marks and digits are those of R.
"""

from __future__ import annotations

import math
import textwrap

#: Sentences are wrapped at this many characters.
WIDTH = 80


#: Tables are no wider than this; the names of terms give way.
TABLE_WIDTH = 88


#: Marks for p below these, as in R.
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))


def number(value: float, digits: int = 6) -> str:
    """A number to read: up to `digits` significant digits, no needless zeros."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{value:.{digits}g}"


def table_of(
    names: list[str], columns: dict[str, list[str]], title: str = "term"
) -> tuple[list[str], bool]:
    """Names beside columns of equally wide cells, and whether names have room there."""
    blocks = [flush_right([title, *cells]) for title, cells in columns.items()]
    room = TABLE_WIDTH - 2 - sum(2 + len(block[0]) for block in blocks)
    shown = [printable(name) for name in names]
    fits = room >= min(max(map(len, shown)), 24)
    shown = [title, *_cut(shown, max(room, 8))]
    wide = max(map(len, shown))
    rows = zip(shown, *blocks, strict=True)
    lines = ["  ".join(["", name.ljust(wide), *cells]) for name, *cells in rows]
    return [line.rstrip() for line in lines], fits


def _cut(names: list[str], most: int) -> list[str]:
    """Names of at most so many characters, an ellipsis in place of their middle.

    Those that are alike then end in their place in the list instead.
    """
    tails = [name[len(name) - (most - 1) // 2 :] for name in names]
    for _ in range(2):
        cut = [
            name if len(name) <= most else f"{name[: most - 1 - len(tail)]}…{tail}"
            for name, tail in zip(names, tails, strict=True)
        ]
        tails = [
            tail if cut.count(short) == 1 else f"#{place}"
            for place, (short, tail) in enumerate(zip(cut, tails, strict=True))
        ]
    return cut


def flush_right(cells: list[str]) -> list[str]:
    """Cells of one width, flush right."""
    wide = max(map(len, cells))
    return [cell.rjust(wide) for cell in cells]


def by_point(cells: list[str]) -> list[str]:
    """Cells of one width, with their decimal points below one another."""
    tails = [len(c) - c.index(".") if "." in c else 0 for c in cells]
    wide = max(tails)
    return flush_right(
        [c + " " * (wide - t) for c, t in zip(cells, tails, strict=True)]
    )


def stars(p: float) -> str:
    """R's mark for how small p is: ***, **, *, . or nothing."""
    return next((mark for below, mark in STARS if p < below), "")


def p_value(p: float) -> str:
    """Three significant digits, as R: <2e-16 below what 1 - p could tell from 1."""
    if math.isnan(p):
        return "-"
    return "<2e-16" if p < 2.2e-16 else f"{p:.3g}"


def rounded(value: float, digits: int) -> str:
    """A number for a table: all digits before the point, up to nine of them."""
    if math.isnan(value):
        return "-"
    before = math.floor(math.log10(abs(value))) + 1 if 0 < abs(value) < 1e9 else 0
    return f"{value:#.{max(digits, before)}g}".removesuffix(".")


def t_value(t: float) -> str:
    """Three decimals, as R."""
    return f"{t:.3f}" if abs(t) < 1e5 else rounded(t, 4)


def sentence(text: str) -> list[str]:
    """Text as a sentence, begun in a capital and wrapped."""
    return textwrap.wrap(
        printable(text[:1].upper() + text[1:]), WIDTH, break_long_words=False
    )


def printable(text: str, most: int | None = None) -> str:
    """Text that cannot move the cursor or ring the bell, cut to `most` characters."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if most is not None and len(shown) > most:
        return shown[: most - 1] + "…"
    return shown
