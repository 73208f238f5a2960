"""A bar of what is done, on a terminal or in a notebook, once work takes a while.

Elsewhere, in a pipe or a log, nothing is drawn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from gradline.checks import whole
from gradline.errors import UsageError
from gradline.kernels import Pane, in_notebook
from gradline.sinks import Ending, Followed, S, check_steps, followed

if TYPE_CHECKING:
    from gradline.data import Progress

#: A bar is drawn anew at most so often, in seconds.
PAUSE = 0.1


def bar_for(
    progress: Progress | None, title: str, total: int | None, unit: str = " rows"
) -> AbstractContextManager[Callable[[int], Any]]:
    """What a caller's `progress` makes of a piece of work: a bar of its own for True.

    Args:
        progress: True, False, None, or a function of title and total.
        title: what is being done.
        total: the rows to come, or None.
        unit: what a bar of its own counts.

    Raises:
        UsageError: it is something else.
    """
    if progress is True:
        return progress_bar(title, total, unit=unit)
    if not progress:
        return nullcontext(int)
    if not callable(progress):
        raise UsageError(
            f"progress is {progress!r:.80}: give True for a bar, False for none, or a "
            "function of a title and a total"
        )
    return progress(title, total)


@contextmanager
def progress_bar(
    title: str,
    total: int | None,
    *,
    stream: TextIO | None = None,
    after: float = 0.5,
    unit: str = " rows",
) -> Iterator[Callable[[int], Any]]:
    """A bar of rows, once work takes over half a second.

    Args:
        title: what is being done.
        total: the rows to come, or None.
        stream: where it is drawn, if that is a terminal; standard error unless told,
            or the page, in a notebook.
        after: seconds before it is drawn at all.
        unit: what is counted.
    """
    bar = _bar(title, total, stream, after, unit, leave=False)
    if bar is None:
        yield int  # takes the rows done, to no effect
        return
    try:
        yield bar.update
    finally:
        bar.close()


def progress(
    steps: Iterable[S], total: int | None = None, *, title: str = "descent"
) -> Followed[S]:
    """Show a bar of epochs and the loss while steps are taken; yield each of them on.

    It is drawn on a terminal, on standard error, or in a notebook; elsewhere nothing
    is. The loss is looked at as often as the bar is drawn, ten times a second.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
        total: the epochs to come; without it the bar counts only.
        title: what stands before the bar.

    Returns:
        A gl.Followed: an iterator of the same steps, and a context manager.

    Raises:
        UsageError: what was given are no steps.
    """
    check_steps(steps, 1, "progress")
    if total is not None:
        total = whole("total", total, 1)
    return followed(steps, _Epochs(title, total), 1)


class _Bar(Protocol):
    def update(self, done: int) -> Any:
        """So many more are done."""

    def set_postfix_str(self, s: str, refresh: bool) -> Any:
        """What stands behind the bar, as tqdm says it."""

    def close(self) -> None:
        """No more comes."""


def _bar(
    title: str,
    total: int | None,
    stream: TextIO | None,
    after: float,
    unit: str,
    leave: bool,
) -> _Bar | None:
    """A bar where there is somebody to see it."""
    if stream is None and in_notebook():
        return _PageBar(title, total, after, unit, leave)
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        return None
    from tqdm import tqdm

    bar: _Bar = tqdm(
        total=total,
        desc=title,
        unit=unit,
        unit_scale=total is None or total >= 10_000,  # 1.2M, but 7 of 50
        file=stream,
        leave=leave,
        delay=after,
        mininterval=PAUSE,
    )
    return bar


class _PageBar:
    """A bar in a notebook: HTML, which takes the place of the last."""

    def __init__(
        self, title: str, total: int | None, after: float, unit: str, leave: bool
    ) -> None:
        self._title, self._total, self._unit, self._leave = title, total, unit, leave
        self._pane, self._done, self._after = Pane(), 0, after
        self._begun = time.monotonic()
        self._next = self._begun + after
        self._drawn, self._words = False, ""

    def update(self, done: int) -> None:
        self._done += done
        if time.monotonic() >= self._next:
            self._draw()
            self._next = time.monotonic() + PAUSE

    def set_postfix_str(self, s: str, refresh: bool) -> None:
        self._words = s
        if refresh:
            self._draw()

    def close(self) -> None:
        if self._leave:
            self._draw()
        elif self._drawn:
            self._pane.show({"text/html": "<span></span>", "text/plain": ""})

    def _draw(self) -> None:
        self._drawn = True
        seconds = time.monotonic() - self._begun
        of = "" if self._total is None else f" of {self._total:,}"
        text = f"{self._title}: {self._done:,}{of}{self._unit}, {seconds:.1f} s"
        text += f", {self._words}" * bool(self._words)
        ends = ""
        if self._total is not None:
            ends = f' value="{min(self._done, self._total)}" max="{self._total}"'
        page = (
            f'<div style="font-variant-numeric:tabular-nums">'
            f'<progress{ends} style="width:14em;vertical-align:middle;'
            f'margin-right:.8em"></progress>{escape(text)}</div>'
        )
        if self._total is None and self._leave:  # which would move for ever
            page = f"<div>{escape(text)}</div>"
        self._pane.show({"text/html": page, "text/plain": text})


class _Epochs:
    """A bar of epochs, as what steps are written to."""

    def __init__(self, title: str, total: int | None) -> None:
        self._title, self._total = title, total
        self._bar: _Bar | None = None
        self._done = 0
        self._next = 0.0
        self._last: Any = None

    def open(self) -> None:
        self._bar = _bar(self._title, self._total, None, 0.0, " epochs", leave=True)

    def write(self, place: int, step: Any) -> None:
        if self._bar is None:
            return
        self._last = step
        if time.monotonic() >= self._next:
            self._say(refresh=False)
            self._next = time.monotonic() + PAUSE
        if step.epoch > self._done:
            self._bar.update(int(step.epoch) - self._done)
            self._done = int(step.epoch)

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        if self._bar is None:
            return
        try:
            if self._last is not None:
                self._say(refresh=True)
        finally:
            self._bar.close()

    def _say(self, refresh: bool) -> None:
        assert self._bar is not None
        loss = f"loss {float(self._last.loss):.6g}"
        self._bar.set_postfix_str(loss, refresh=refresh)
