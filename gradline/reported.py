"""What a report says of itself once it is written: its file, and what it warns of."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gradline.errors import UsageError

Grade = Literal["act", "look", "know"]


def page_name(path: str | Path) -> None:
    """Refuse the name of a file that is no page: it may be somebody's data.

    Raises:
        UsageError: it ends in neither .html nor .htm.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"a report is a page, and {str(path)!r} is not the name of one: end it in "
            ".html"
        )


class Finding(NamedTuple):
    """Something to know about a fit.

    Attributes:
        name: a word for it, as in --json.
        grade: "act" before using the fit, "look" at it, or only "know" it.
        text: what was seen, and by what threshold.
        advice: what to do; "" where the text says it.
    """

    name: str
    grade: Grade
    text: str
    advice: str


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        file: where.
        bytes: its weight.
        findings: what it warns of, the gravest first.
        rows: how many rows its pictures are of; 0 where there were none to draw.
        pictures: how many it has.
    """

    file: str
    bytes: int
    findings: tuple[Finding, ...]
    rows: int
    pictures: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        told = [finding._asdict() for finding in self.findings]
        return {
            "file": self.file,
            "bytes": self.bytes,
            "rows": self.rows,
            "pictures": self.pictures,
            "findings": told,
        }

    def _repr_html_(self) -> str:
        """The report in a frame of its own, as a notebook shows it."""
        try:
            page = Path(self.file).read_text(encoding="utf-8")
        except OSError:
            return f"<p>{escape(str(self.file))} is not there any more.</p>"
        return (
            f"<p>Written to {escape(str(self.file))}</p>"
            '<iframe sandbox="allow-scripts" '
            'style="width:100%;height:36em;border:1px solid #8888" '
            f'srcdoc="{escape(page)}"></iframe>'
        )
