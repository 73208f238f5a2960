"""docs/comparisons.md says what benchmarks/README.md says, and leaves no loss out."""

from __future__ import annotations

import re

from helpers import ROOT

MEASURED = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "comparisons.md").read_text(encoding="utf-8")

#: gradline's time, the rival and its time, the ratio; the goal, "" where there is none.
Row = tuple[str, str, str, str]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def measured() -> list[Row]:
    """The rows of the results; an empty cell repeats the one above it."""
    found: list[Row] = []
    ours = ""
    for line in MEASURED.splitlines():
        row = cells(line) if line.startswith("|") else []
        if len(row) != 5 or row[0] == "work" or set("".join(row)) == {"-"}:
            continue
        ours = row[1] or ours
        found.append((ours, row[2], row[3], row[4]))
    return found


def shown(text: str) -> list[Row]:
    """The rows of the page's tables with four or five columns."""
    rows = [cells(line) for line in text.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if len(row) in (4, 5) and row[0] not in ("work", "")]
    return [(row[1], row[2], row[3], (*row, "")[4]) for row in rows]


def ratio(row: Row) -> float:
    """rival / gradline: 1.39, or 1 / 1.47."""
    top, _, bottom = row[2].partition("/")
    return float(top) / float(bottom or 1)


def test_every_row_was_measured() -> None:
    known = {row[:3]: row[3] for row in measured()}
    found = shown(PAGE)
    assert len(found) > 40
    for row in found:
        assert row[:3] in known, f"{row} is not in benchmarks/README.md"
        assert row[3] in ("", known[row[:3]]), f"the goal of {row}: {known[row[:3]]}"


def test_no_row_is_left_out() -> None:
    found = {row[:3] for row in shown(PAGE)}
    assert [row for row in measured() if row[:3] not in found] == []


def test_losses_come_first_and_no_other_is_among_the_gains() -> None:
    slower, rest = PAGE.split("## Where gradline is slower")[1].split("\n## ", 1)
    assert all(ratio(row) < 1 for row in shown(slower))
    floor = rest.index("## Beside the least")
    gains = rest[:floor] + rest[floor:].split("\n## ", 1)[1]
    assert all(ratio(row) >= 1 for row in shown(gains))
    missed = {row[:3] for row in measured() if "missed" in row[3]}
    first = slower + rest.split("\n## ", 1)[0]
    assert missed <= {row[:3] for row in shown(first)}


def test_the_sentences_quote_what_was_measured() -> None:
    for words in ("2026-11-24", "2 cores", "torch 2.13.0"):
        assert words in PAGE
        assert words in MEASURED
    prose = re.sub(r"^\|.*$", "", PAGE, flags=re.M)
    for number in re.findall(r"\d+ MB", prose):
        assert number in MEASURED, number
    table = PAGE[PAGE.index("## Memory") :]
    for line in re.findall(r"^\| `.*$", table, re.M):
        numbers = re.findall(r"\d+ MB", line)
        assert " | ".join(numbers) in MEASURED, line
