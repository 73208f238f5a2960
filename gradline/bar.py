"""A bar of what is done, on a terminal, once work takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


@contextmanager
def progress_bar(
    title: str,
    total: int | None,
    *,
    stream: TextIO | None = None,
    after: float = 0.5,
    unit: str = " rows",
) -> Iterator[Callable[[int], Any]]:
    """A bar of rows on stderr, on a terminal only, once work takes over half a second.

    Args:
        title: what is being done.
        total: the rows to come, or None.
        stream: where it is drawn; standard error unless told.
        after: seconds before it is drawn at all.
        unit: what is counted.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield int  # takes the rows done, to no effect
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        desc=title,
        unit=unit,
        unit_scale=total is None or total >= 10_000,  # 1.2M, but 7 of 50
        file=stream,
        leave=False,
        delay=after,
    ) as bar:
        yield bar.update
