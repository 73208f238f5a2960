"""A picture to a file."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from gradline.errors import UsageError
from gradline.files import replacing
from gradline.plots.style import styled

#: Dates and versions would make each file differ from the one before.
_UNMARKED: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "gradline"},
    ".pdf": {"CreationDate": None, "Creator": "gradline", "Producer": None},
}


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the extension; the same bytes each time.

    Args:
        figure: what to write.
        path: ends in .png (at least 1,200 pixels wide), .svg or .pdf.

    Raises:
        UsageError: the path ends in something else.
    """
    kind = check_kind(path)
    dpi = max(150, math.ceil(1200 / figure.get_figwidth()))
    with styled(), replacing(path) as unfinished:
        figure.savefig(
            unfinished, format=kind[1:], dpi=dpi, metadata=dict(_UNMARKED[kind])
        )


def check_kind(path: str | Path) -> str:
    """The kind of picture that a path names, .png, .svg or .pdf; others are refused."""
    kind = Path(path).suffix.lower()
    if kind not in _UNMARKED:
        raise UsageError(
            f"{str(path)!r} is no picture that can be written: "
            "end the name in .png, .svg or .pdf"
        )
    return kind


def saved(figure: Figure, path: str | Path | None) -> Figure:
    """A figure, written to a file too where one is named."""
    if path is not None:
        save_figure(figure, path)
    return figure
