"""Map and merge: who reads which part does not change what is found.

A state takes in parts with one function and other states with `merge`. Threads here,
and processes or machines elsewhere, differ only in who calls which.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar


class Mergeable(Protocol):
    """Something that can take in another of its kind."""

    def merge(self, other: Self) -> object:
        """Take in what the other has seen."""


S = TypeVar("S", bound=Mergeable)
T = TypeVar("T")


def map_merge(
    parts: Callable[[], Iterable[Iterable[T]]],
    make: Callable[[], S],
    take: Callable[[S, T], object],
    workers: int = 1,
) -> S:
    """The items of all parts in one state, by one thread or several.

    Worker i of k takes the parts i, i + k, i + 2k and so on into a state of its own,
    and the states are merged in the order of the workers: for a number of workers the
    result is the same to the last bit, however they take turns.

    Args:
        parts: begins the parts anew; each worker goes through all and takes the items
            of its own, so going to the next part should cost little.
        make: an empty state.
        take: takes an item into a state.
        workers: how many threads, this one included.

    Raises:
        BaseException: what `take` or `parts` raised for the first part that failed, in
            the order of the parts, once all workers have stopped.
    """
    if workers == 1:
        state = make()
        for part in parts():
            for item in part:
                take(state, item)
        return state
    states = [make() for _ in range(workers)]
    failures: dict[int, BaseException] = {}
    failed_at = [float("inf")]  # the first part that failed so far
    lock = threading.Lock()

    def work(worker: int) -> None:
        index = -1
        try:
            for index, part in enumerate(parts()):
                for item in part if index % workers == worker else ():
                    if index > failed_at[0]:
                        return
                    take(states[worker], item)
        except BaseException as error:
            with lock:
                failures.setdefault(index, error)
                # A fault lets earlier parts go on, for theirs is told; Ctrl-C does not.
                at = index if isinstance(error, Exception) else -1
                failed_at[0] = min(failed_at[0], at)

    threads = [
        threading.Thread(target=work, args=(i,), name=f"gradline-{i}")
        for i in range(1, workers)
    ]
    for thread in threads:
        thread.start()
    try:
        work(0)
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C while waiting
        failed_at[0] = -1
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[min(failures)]
    first, *rest = states
    for other in rest:
        first.merge(other)
    return first
