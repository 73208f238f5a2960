"""A run as JSON lines: one object for each step, in a file that grows as it runs.

    {"event": "run", "run": 1, "started": "2026-11-29T16:00:00+00:00", "gradline": ...}
    {"run": 1, "epoch": 1, "loss": 0.41, "gradient_norm": 1.2, "weight": 0.3, ...}
    {"event": "end", "run": 1, "ending": "finished", "steps": 1000, "seconds": 0.21}

A file that is there is added to, and nothing in it is changed: each run begins with a
line of facts and has a number. Each line is written at once, so that the file can be
looked at while it grows, and a run that is killed leaves at most its last line
unfinished. It is strict JSON: NaN and infinities are null.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from gradline.errors import FileError
from gradline.files import InputFile, cannot_write, check_place, one_line
from gradline.save import strict_json
from gradline.sinks import (
    Ending,
    Followed,
    S,
    check_steps,
    followed,
    numbers_of,
    plain_params,
)


@dataclass(frozen=True)
class LoggedRun:
    """A run as `read_jsonl` finds it in a file.

    Attributes:
        number: of the run in that file, from 1.
        facts: when it started, with which versions, and its params.
        steps: a dict for each step that was written: epoch, loss and so on.
        ending: "finished", "left" (the loop was left early) or "failed" (by an error of
            the steps, or in the `with` block around them); None where the run is still
            going on, or was killed.
        end: all that its last line says: steps, seconds, error.
    """

    number: int
    facts: dict[str, Any]
    steps: list[dict[str, Any]] = field(default_factory=list, repr=False)
    end: dict[str, Any] | None = None

    @property
    def params(self) -> dict[str, Any]:
        """What `log_jsonl` was given as params."""
        found: dict[str, Any] = self.facts.get("params", {})
        return found

    @property
    def ending(self) -> str | None:
        """How it ended, as far as the file says."""
        return None if self.end is None else str(self.end.get("ending"))


def log_jsonl(
    steps: Iterable[S],
    path: str | Path,
    *,
    every: int = 1,
    params: dict[str, Any] | None = None,
) -> Followed[S]:
    """Write steps to a file of JSON lines, and yield each of them on.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
        path: the file. One that holds runs gets another; any other is refused.
        every: write the first step, then one in so many epochs (or batches), and the
            last.
        params: settings to remember in the run's first line, such as {"lr": 0.1}.

    Returns:
        A gl.Followed: an iterator of the same steps, and a context manager.

    Raises:
        FileError: it cannot be written; or the file that is there is no such log.
        UsageError: what was given are no steps.
    """
    every = check_steps(steps, every, "log_jsonl")
    check_log(path)
    return followed(steps, _Lines(Path(path), plain_params(params)), every)


def check_log(path: str | Path) -> None:
    """Refuse, before any work, a file that no run can be added to.

    Raises:
        FileError: there is no such folder; or the file there is no log of runs.
    """
    check_place(path)
    _runs_in(Path(path))


def read_jsonl(path: str | Path) -> list[LoggedRun]:
    """The runs in a file of log_jsonl, in order; a line cut short is left out.

    Args:
        path: the file.

    Returns:
        A LoggedRun for each. pandas.DataFrame(runs[-1].steps) is a table of the last.

    Raises:
        FileError: it cannot be read, or is no such file.
    """
    found: list[LoggedRun] = []
    by_number: dict[int, LoggedRun] = {}
    known = InputFile(path)
    with known.reading(), known.path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            entry = _entry(line)
            if entry is None:
                continue
            number = entry.pop("run")
            event = entry.pop("event", None)
            if event == "run":
                by_number[number] = LoggedRun(number, entry)
                found.append(by_number[number])
            elif number in by_number and event == "end":
                run = by_number[number]
                at = found.index(run)
                found[at] = LoggedRun(number, run.facts, run.steps, entry)
            elif number in by_number:
                by_number[number].steps.append(entry)
    if not found:
        raise _foreign(known.path)
    return found


class _Lines:
    """The file, while a run is written to it."""

    def __init__(self, path: Path, params: dict[str, Any]) -> None:
        self._path, self._params = path, params
        self._file: TextIO | None = None
        self._number, self._began, self._batches = 1, 0.0, False

    def open(self) -> None:
        number, whole_line = _runs_in(self._path)
        self._number, self._began = number + 1, time.monotonic()
        try:
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        try:
            if not whole_line:  # a run was killed in the middle of one
                self._file.write("\n")
            facts = {"event": "run", "run": self._number, "started": _now()}
            self._put(facts | _versions() | {"params": self._params})
        except BaseException:
            with suppress(OSError):  # again what it said already
                self._file.close()
            raise

    def write(self, place: int, step: Any) -> None:
        line: dict[str, Any] = {"run": self._number, "epoch": int(step.epoch)}
        if place != step.epoch or getattr(step, "batch", 1) != 1:
            self._batches = True
        if self._batches:
            line["batch"] = int(getattr(step, "batch", 1))
        self._put(line | numbers_of(step))

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        assert self._file is not None
        line = {"event": "end", "run": self._number, "ending": ending, "steps": steps}
        line["seconds"] = round(time.monotonic() - self._began, 3)
        if error is not None:
            line["error"] = f"{type(error).__name__}: {error}".removesuffix(": ")
        try:
            self._put(line)
        finally:
            try:
                self._file.close()
            except OSError as problem:
                raise cannot_write(self._path, problem) from problem

    def _put(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(strict_json(line) + "\n")
        except OSError as error:
            raise cannot_write(self._path, error) from error


def _runs_in(path: Path) -> tuple[int, bool]:
    """How many runs a file holds, and whether its last line is whole.

    Raises:
        FileError: it holds something else, which is not to be added to.
    """
    if not path.exists() or path.stat().st_size == 0:
        return 0, True
    if not path.is_file():  # /dev/stdout
        return 0, True
    known, most, line = InputFile(path), 0, ""
    with known.reading(), known.path.open(encoding="utf-8", errors="replace") as file:
        for place, line in enumerate(file):
            entry = _entry(line)
            if place == 0 and (entry is None or entry.get("event") != "run"):
                raise _foreign(path)
            if entry is not None and entry.get("event") == "run":
                most = max(most, entry["run"])
    return most, line.endswith("\n")


def _entry(line: str) -> dict[str, Any] | None:
    """A line as an object with the number of a run; None for one that is not whole."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("run"), int):
        return None
    return found


def _foreign(path: Path) -> FileError:
    return FileError(
        f"{one_line(path.name)} is there and holds no runs of gradline's: name another "
        "file, such as run.jsonl"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("gradline", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder, not installed
            continue
    return found
