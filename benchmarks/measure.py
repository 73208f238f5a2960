"""What the benchmarks share: median times of rivals in one process, and peak memory.

Rivals take turns, so that a slow spell of the machine meets all of them. Times are not
comparable between runs; ratios within one are.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch


def machine() -> str:
    """The machine in a line."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.machine()}, {cores} cores, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def medians(rivals: dict[str, Callable[[], Any]], repeat: int = 5) -> dict[str, float]:
    """The median seconds of each rival over `repeat` rounds; every round runs all."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for run in rivals.values():
        run()  # warm: imports, caches, threads
    for _ in range(repeat):
        for name, run in rivals.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: sorted(found)[repeat // 2] for name, found in times.items()}


def table(title: str, found: dict[str, float], ours: str = "gradline") -> None:
    """Print seconds, and how many times as long as ours each rival takes."""
    print(f"\n{title}")
    for name, seconds in found.items():
        times = "" if name == ours else f"   {seconds / found[ours]:8.2f}x ours"
        print(f"  {name:<34} {seconds * 1000:12.2f} ms{times}")


def peak(code: str) -> float:
    """The peak memory in MB of a Python process that runs `code`."""
    tail = (
        "\nimport resource; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return float(run.stdout.split()[-1])


def own_peak() -> float:
    """The peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
