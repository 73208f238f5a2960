"""How many cores NumPy's linear algebra takes: as many as torch may, or fewer.

torch.set_num_threads says how many cores this process is to use. NumPy's BLAS does not
hear of it, and where a thread of its own decodes a file, products that take all cores
would fight it for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

#: So many operations are worth waking threads for: some hundredths of a second.
WORTH_WAKING = 3e8


@contextmanager
def blas_threads(most: int | None = None) -> Iterator[None]:
    """A block in which BLAS takes at most so many threads; torch's number unless told.

    The setting is the process's, and comes back when the block ends.
    """
    allowed = torch.get_num_threads()
    wanted = allowed if most is None else min(most, allowed)
    if wanted >= _cores():  # what BLAS takes anyway
        yield
        return
    with _libraries().limit(limits=wanted, user_api="blas"):
        yield


@contextmanager
def torch_threads(most: int) -> Iterator[None]:
    """A block in which torch takes at most so many threads.

    For many small operations: to wake a thread and to wait for it takes longer than
    they do. The setting is the process's, and comes back when the block ends.
    """
    allowed = torch.get_num_threads()
    if most >= allowed:
        yield
        return
    torch.set_num_threads(most)
    try:
        yield
    finally:
        torch.set_num_threads(allowed)


@contextmanager
def threads_for(operations: float, most: int | None = None) -> Iterator[None]:
    """A block of so many operations: one thread where they are few, else at most so.

    LAPACK hands out work many times over, and where other programs have the cores each
    of its threads waits for the last: a thousand times longer than little work takes.

    Args:
        operations: about how many multiplications there will be.
        most: threads at most; torch's number unless told.
    """
    if operations >= WORTH_WAKING:
        with blas_threads(most):
            yield
        return
    with torch_threads(1), blas_threads(1):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which neither torch nor BLAS wakes a thread."""
    with torch_threads(1), blas_threads(1):
        yield


@cache
def _libraries() -> Any:
    """The BLAS libraries of this process: looking for them takes some milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def threads_beside(source: object) -> int | None:
    """How many threads to leave BLAS while this source is read; None for all.

    A file is decoded by another thread meanwhile (its `ahead`), which needs a core.
    """
    if not getattr(source, "ahead", False):
        return None
    return max(1, torch.get_num_threads() - 1)


def _cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
