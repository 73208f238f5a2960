"""Decoding in one thread while another computes.

    file -> [thread: read, unpack, decode] -> a queue of `depth` items -> the caller

Worth it where making an item releases Python's lock, as Arrow does.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

#: How often a waiting thread looks whether the program has come to its end, seconds.
_LOOK = 0.1


class _End:
    """What the thread puts last: why there is nothing more."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """The items, made ahead of time by one thread, in their order.

    The thread starts with the first item asked for, makes at most `depth` items that
    nobody has taken yet, and has ended when this iterator has: after the last item,
    after an error, or when it is closed, by whatever ends the loop around it.

    Args:
        items: read, and closed if it is a generator, in the thread alone.
        depth: how many items wait at most.

    Raises:
        BaseException: whatever making an item raises, after the items before it.
    """
    done: SimpleQueue[list[T] | _End] = SimpleQueue()
    room = threading.Semaphore(depth)
    stop = threading.Event()
    thread = threading.Thread(
        target=_make, args=(items, done, room, stop), name="gradline-prefetch"
    )
    try:
        thread.start()
        while not isinstance(box := done.get(), _End):
            room.release()
            yield box.pop()  # the caller alone decides how long it lives
        if box.error is not None:
            raise box.error
    finally:
        stop.set()
        room.release()  # it may be waiting for room
        if thread.ident is not None:
            thread.join()


def _make(
    items: Iterable[T],
    done: SimpleQueue[list[T] | _End],
    room: threading.Semaphore,
    stop: threading.Event,
) -> None:
    """What the thread does."""
    error: BaseException | None = None
    try:
        iterator = iter(items)
        try:
            while _has_room(room, stop):
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                done.put([item])
                del item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
    except BaseException as raised:
        error = raised
    done.put(_End(error))


def _has_room(room: threading.Semaphore, stop: threading.Event) -> bool:
    """Wait until another item is wanted; False when none will be.

    A program may end while it holds a half-read iterator. Python then waits for this
    thread, and nobody would tell it to stop.
    """
    while not room.acquire(timeout=_LOOK):
        if not threading.main_thread().is_alive():
            return False
    return not stop.is_set()
