"""What the benchmarks share: rivals in turns, goals, peak memory, and the report.

Rivals take turns in one process, so that a slow spell of the machine meets all of them.
Times are not comparable between runs; ratios within one are. A rival's answer is held
against gradline's: a fast wrong answer ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

OURS = "gradline"
CORES = len(os.sched_getaffinity(0))

#: A turn lasts this many seconds or more: quick work is repeated, and its mean counts.
TURN = 0.05

#: Between turns: threads of the rival before, which wait for more work by spinning,
#: would take a core from the next one.
REST = 0.2

#: Runs a command and prints what it took: seconds, and its peak memory in MB. A child
#: inherits the peak of the process that starts it, so a small one has to stand between.
_BETWEEN = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Rival:
    """Somebody to race.

    Attributes:
        run: the work; returns an answer to hold against the others', or None.
        goal: its time / gradline's is to be this or more: 1/1.5 for "at most 1.5 times
            as long". None for no goal.
        rounds: how many turns it gets, where it is too slow for all. One that has
            only one is not warmed up either.
        scale: what its time is multiplied by, where it does a part of the work.
        gigabytes: read by it, to show as GB/s.
    """

    run: Callable[[], Any]
    goal: float | None = None
    rounds: int | None = None
    scale: float = 1.0
    gigabytes: float | None = None


class Report:
    """Prints what is measured, and keeps it as JSON lines where there is a file."""

    def __init__(self, name: str, small: bool, path: Path | None) -> None:
        self.small = small
        self._name = name
        self._path = path

    def say(self, kind: str, text: str, **facts: Any) -> None:
        """Print a line, and write what it says."""
        print(text, flush=True)
        if self._path is not None:
            record = {"benchmark": self._name, "kind": kind} | facts
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def title(self, work: str) -> None:
        """What the next lines are about."""
        self.say("work", f"\n{work}", work=work)

    def race(
        self,
        work: str,
        rivals: dict[str, Rival],
        *,
        rounds: int = 5,
        agree: Callable[[str, Any, Any], None] | None = None,
    ) -> dict[str, float]:
        """Median seconds by rival; gradline is the one called so.

        Args:
            work: what they all do.
            rivals: by name.
            rounds: each runs every rival that still has a turn.
            agree: told a rival's name, gradline's answer and the rival's; raises where
                they differ.
        """
        rounds = min(rounds, 2) if self.small else rounds
        turns = {k: min(rounds, r.rounds or rounds) for k, r in rivals.items()}
        times: dict[str, list[float]] = {name: [] for name in rivals}
        answers: dict[str, Any] = {}
        repeats = {
            name: _warm(rival) if turns[name] > 1 else 1
            for name, rival in rivals.items()
        }
        for turn in range(rounds):
            for name, rival in rivals.items():
                if turn >= turns[name]:
                    continue
                time.sleep(REST)
                start = time.perf_counter()
                for _ in range(repeats[name]):
                    answers[name] = rival.run()
                spent = (time.perf_counter() - start) / repeats[name]
                times[name].append(rival.scale * spent)
        if agree is not None:
            for name in rivals:
                if name != OURS:
                    agree(name, answers[OURS], answers[name])
        found = {name: float(np.median(taken)) for name, taken in times.items()}
        self.title(work)
        for name, rival in rivals.items():
            self._line(work, name, times[name], found.get(OURS), rival)
        return found

    def _line(
        self,
        work: str,
        name: str,
        times: list[float],
        ours: float | None,
        rival: Rival,
    ) -> None:
        seconds = float(np.median(times))
        spread = f"{duration(min(times))} to {duration(max(times))}"
        text = f"  {name:<38} {duration(seconds):>9}   {spread:>21} x{len(times)}"
        ratio = None if name == OURS or not ours else seconds / ours
        if ratio is not None:
            text += f"   {ratio:8.2f}"
        if rival.gigabytes is not None:
            text += f"   {rival.gigabytes / seconds:.1f} GB/s"
        facts = self._verdict(ratio, rival.goal)
        self.say(
            "time",
            text + str(facts.pop("text")),
            work=work,
            name=name,
            seconds=seconds,
            times=times,
            scale=rival.scale,
            ratio=ratio,
            **facts,
        )

    def ratio(self, work: str, name: str, ratio: float, goal: float) -> None:
        """A ratio between what was raced already, against its goal."""
        facts = self._verdict(ratio, goal)
        text = f"  {name:<38} {'':9}   {'':21}      {ratio:8.2f}{facts.pop('text')}"
        self.say("ratio", text, work=work, name=name, ratio=ratio, **facts)

    def _verdict(self, ratio: float | None, goal: float | None) -> dict[str, Any]:
        if ratio is None or goal is None:
            return {"goal": None, "met": None, "text": ""}
        met = ratio >= goal
        about = f"at least {round(goal, 3):g}"
        if goal < 1:
            about += f" (at most {1 / goal:.3g}x its time)"
        text = f"   goal {about}: {'met' if met else 'MISSED'}"
        return {"goal": goal, "met": met, "text": text}

    def most(
        self, work: str, name: str, value: float, unit: str, goal: float | None = None
    ) -> None:
        """A number that is to be small: a peak, or a growth."""
        text = f"  {name:<38} {value:9.4g} {unit}"
        met = None if goal is None else value <= goal
        if goal is not None:
            text += f"   goal at most {goal:.4g}: {'met' if met else 'MISSED'}"
        facts = {"value": value, "unit": unit, "goal": goal, "met": met}
        self.say("number", text, work=work, name=name, **facts)


@contextmanager
def report(about: str) -> Iterator[Report]:
    """Read the arguments; print the machine first, and last how it fared.

    Args:
        about: what the benchmark does.
    """
    name = Path(sys.argv[0]).stem.removeprefix("bench_")
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--small", action="store_true", help="try it out: tiny sizes")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="append the results as JSON lines"
    )
    given = parser.parse_args()
    found = Report(name, given.small, given.json)
    sizes = ", TINY SIZES, which say nothing" if given.small else ""
    found.say("start", machine() + sizes, small=given.small, **_facts())
    began = time.perf_counter()
    yield found
    spent = time.perf_counter() - began
    facts = {"load": os.getloadavg(), "seconds": spent, "peak_mb": own_peak()}
    text = f"{load()}; took {spent:.0f} s; this process peaked at {own_peak():,.0f} MB"
    found.say("end", f"\n{text}", **facts)


def _warm(rival: Rival) -> int:
    """Run it for its imports, caches and threads; return how often a turn runs it."""
    spent = TURN
    for _ in range(2):
        start = time.perf_counter()
        rival.run()
        spent = time.perf_counter() - start
        if spent > 1:
            break
    return max(1, min(1000, round(TURN / spent)))


def machine() -> str:
    """The machine, the date, and how busy it is, in two lines."""
    f = _facts()
    return (
        f"{f['date']}, {f['machine']}, {CORES} cores ({f['processor']}), torch "
        f"{f['torch']}, Python {f['python']}, gradline at {f['commit']}\n"
        f"{load()}; ratios are rival / gradline, above 1 gradline is faster"
    )


def load() -> str:
    """How busy the machine has been in the last 1, 5 and 15 minutes."""
    return "load " + " ".join(f"{x:.2f}" for x in os.getloadavg())


def _facts() -> dict[str, Any]:
    processor = platform.processor() or "?"
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": platform.machine(),
        "processor": processor,
        "cores": CORES,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": git.stdout.strip() or "?",
        "load": os.getloadavg(),
    }


def duration(seconds: float) -> str:
    """Seconds, readably."""
    return f"{seconds:.2f} s" if seconds >= 10 else f"{seconds * 1000:.4g} ms"


def own_peak() -> float:
    """The peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def process(*words: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a Python process with these arguments."""
    command = [sys.executable, "-c", _BETWEEN, sys.executable, *words]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak = run.stdout.split()
    return float(seconds), float(peak)


def peak(code: str) -> float:
    """The peak memory in MB of a Python process that runs `code`."""
    return process("-c", code)[1]


def close(rtol: float) -> Callable[[str, Any, Any], None]:
    """A judge of answers: numbers within `rtol` of the largest of them.

    Numbers, arrays, or tuples of them; a rival that answers None is not judged.
    """

    def agree(name: str, ours: Any, theirs: Any) -> None:
        if theirs is None:
            return
        pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple) else None
        for mine, other in pairs or [(ours, theirs)]:
            if mine is None or other is None:
                continue
            mine, other = np.asarray(mine), np.asarray(other)
            size = float(np.abs(other).max())
            np.testing.assert_allclose(
                mine, other, rtol=0, atol=rtol * size, err_msg=f"gradline and {name}"
            )

    return agree


def line_of(fit: Any) -> np.ndarray[Any, Any]:
    """Intercept and slopes of a gl.Fit, (d + 1,)."""
    return np.append(fit.intercept, fit.slopes)


def normal_equations(X: Any, y: Any) -> np.ndarray[Any, Any]:
    """Intercept and slopes in plain NumPy, (d + 1,): good enough for random columns."""
    mean, level = X.mean(axis=0, dtype=np.float64), y.mean(dtype=np.float64)
    scatter = np.zeros((X.shape[1], X.shape[1]))
    toward = np.zeros(X.shape[1])
    for start in range(0, len(X), 1_000_000):
        xc = X[start : start + 1_000_000] - mean
        scatter += xc.T @ xc
        toward += xc.T @ (y[start : start + 1_000_000] - level)
    slopes = np.linalg.solve(scatter, toward)
    return np.append(level - mean @ slopes, slopes)


def write_parquet(path: Path, rows: int, features: int = 10) -> None:
    """Random columns x1 to xd and y as Parquet, row group by row group.

    Row groups have pyarrow's usual 2²⁰ rows; all else is as pyarrow has it, too.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    names = [f"x{i + 1}" for i in range(features)]
    schema = pa.schema([(name, pa.float64()) for name in [*names, "y"]])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 1 << 20):
            count = min(1 << 20, rows - start)
            X = random.standard_normal((features, count))
            y = X.sum(axis=0) + 2.0 + random.standard_normal(count)
            writer.write_table(pa.table([*X, y], schema=schema), row_group_size=1 << 20)
