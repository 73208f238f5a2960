"""The background decoder: order, bound, errors, and a thread that always ends."""

from __future__ import annotations

import _thread
import gc
import itertools
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradline.prefetch import prefetched
from helpers import hearing_ctrl_c


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "gradline-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    assert not threads()
    yield
    assert not threads()


class Counter:
    """An iterator that says how far it has come, and where it was closed."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.made = 0
        self.closed_in: str | None = None
        self._count, self._fail_at = count, fail_at

    def __iter__(self) -> Iterator[int]:
        try:
            for i in range(self._count):
                if i == self._fail_at:
                    raise ValueError(f"item {i}")
                self.made += 1
                yield i
        finally:
            self.closed_in = threading.current_thread().name


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_the_same_items_in_the_same_order(count: int, depth: int) -> None:
    source = Counter(count)
    assert list(prefetched(source, depth)) == list(range(count))
    assert source.closed_in == "gradline-prefetch"


def test_any_iterable_will_do() -> None:
    assert list(prefetched([1, None, 3])) == [1, None, 3]
    assert list(prefetched(iter("ab"))) == ["a", "b"]


def test_items_are_made_by_another_thread_and_ahead() -> None:
    source = Counter(10)
    items = prefetched(source, 3)
    assert source.made == 0  # nothing happens before the first is asked for
    assert not threads()
    assert next(items) == 0
    end = time.monotonic() + 5
    while source.made < 4 and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.02)
    assert source.made == 4  # one taken, three waiting, no more
    assert list(items) == list(range(1, 10))


@pytest.mark.parametrize("depth", [1, 2])
def test_an_error_comes_after_the_items_before_it(depth: int) -> None:
    got: list[int] = []
    with pytest.raises(ValueError, match="item 3"):
        got.extend(prefetched(Counter(10, fail_at=3), depth))
    assert got == [0, 1, 2]


def test_an_error_shows_where_it_was_raised() -> None:
    with pytest.raises(ValueError, match="item 0") as caught:
        list(prefetched(Counter(1, fail_at=0)))
    assert "__iter__" in [entry.name for entry in caught.traceback]


def test_what_cannot_be_iterated() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(prefetched(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_errors_of_every_kind(error: type[BaseException]) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(error):
        list(prefetched(items()))


@pytest.mark.parametrize("how", ["close", "break", "error", "forgotten", "first"])
def test_a_consumer_that_stops_early(how: str) -> None:
    source = Counter(1_000_000)
    items = prefetched(source, 2)
    if how == "first":
        del items
        return
    if how == "close":
        next(items)
        items.close()  # type: ignore[attr-defined]
    elif how == "break":
        for _ in items:
            break
        del items
    elif how == "error":
        with pytest.raises(ZeroDivisionError):
            sum(1 // item for item in items)
        del items
    else:
        next(items)
        del items
    gc.collect()
    assert source.closed_in == "gradline-prefetch"
    assert source.made <= 4


def test_an_interrupt_while_waiting_ends_at_once() -> None:
    released = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        released.wait(0.3)  # decoding something long
        yield 2

    start = time.monotonic()
    with hearing_ctrl_c():
        threading.Timer(0.05, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            list(itertools.chain(prefetched(items()), map(time.sleep, [5])))
    assert time.monotonic() - start < 2
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.join()


def test_items_do_not_live_longer_than_they_must() -> None:
    def items() -> Iterator[Any]:
        for _ in range(5):
            yield np.zeros(3)

    seen: list[weakref.ref[Any]] = []
    for item in prefetched(items(), 1):
        seen.append(weakref.ref(item))
        del item
        assert sum(r() is not None for r in seen) == 0


def test_two_at_once_and_one_within_another() -> None:
    a, b = prefetched(range(50)), prefetched(prefetched(range(50), 1), 3)
    assert list(zip(a, b, strict=True)) == [(i, i) for i in range(50)]


def test_a_program_may_end_with_one_half_read() -> None:
    code = (
        "from gradline.prefetch import prefetched\n"
        "import itertools\n"
        "kept = prefetched(itertools.count())\n"
        "print(next(kept))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_close_that_fails_is_told() -> None:
    def items() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(prefetched(items()))
