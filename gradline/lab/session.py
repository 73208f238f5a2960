"""One page: messages in, messages out. It knows no network.

A page sends {"id": n, "type": ...}; each is answered with the same id.

    {"type": "set", "setting": {...}}              -> run     (settings.py)
    {"type": "frames", "run": r, "steps": [...]}   -> frames
    {"type": "certificate", "run": r, "step": k}   -> certificate
    {"type": "describe", "data": "file:2"}         -> describe (files.py)
    anything that cannot be done                   -> error   ("message": a sentence)

A run is answered as

    run      its number, to ask for its frames
    data     what to draw (bench.py), or null where it is as before
    closed, total, diverged                        (runs.py)
    frames   enough steps to draw path and curve
    limits   stability limit, best lr, curvatures
    optimum  parameters, loss, validation loss
    inner    scale and mean: how raw slopes and intercept become the coordinates of the
             descent: slope·scale, intercept + slopes·mean; standardised: both again as
             they would be if the features were standardised
    surface  axes, names, centre, base, root       (bench.py), in these coordinates;
             standardised: both again
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gradline.design import INTERCEPT
from gradline.errors import UsageError
from gradline.lab.bench import Bench, axes_of, data_key, make_bench, surface
from gradline.lab.files import Files
from gradline.lab.jobs import Job
from gradline.lab.runs import (
    Run,
    certificate_at,
    kept_steps,
    limits,
    make_run,
)
from gradline.lab.settings import Setting, parse

#: Steps that may be asked for at once.
MOST_FRAMES = 5_000


class Session:
    """The state behind one page.

    Args:
        files: what it has opened.
    """

    def __init__(self, files: Files | None = None) -> None:
        self.files = Files() if files is None else files
        self._job = Job()
        self._lock = threading.Lock()
        self._bench: Bench | None = None
        self._key: Any = None
        self._setting = Setting()
        self._run: Run | None = None
        self._number = 0
        self._wanted = 0
        self.closed = False

    def answer(self, message: Any, job: Job | None = None) -> dict[str, Any]:
        """What a message is answered with, but for its id.

        Args:
            message: as above.
            job: stops it, and is told how it gets on; one at a time.

        Raises:
            GradlineError: it cannot be done; the text says why.
        """
        kind = message.get("type") if isinstance(message, dict) else None
        handlers: dict[Any, Callable[[Any], dict[str, Any]]] = {
            "set": self._set,
            "frames": self._frames,
            "certificate": self._certificate,
            "describe": self._describe,
        }
        if not isinstance(kind, str) or kind not in handlers:
            raise UsageError(f"there is no message {kind!r:.40}")
        with self._lock:
            self._job = Job() if job is None else job
            return handlers[kind](message)

    def _go_on(self) -> bool:
        return not self.closed and self._job.go_on()

    def _describe(self, message: Any) -> dict[str, Any]:
        return {"type": "describe", **self.files.describe(message.get("data"))}

    def _set(self, message: Any) -> dict[str, Any]:
        setting = parse(message.get("setting"))
        if setting.data.startswith("file:"):
            self._job.about = f"reading {self.files[setting.data].title}"
        key, data = data_key(setting), None
        if key != self._key or self._bench is None:
            self._bench = make_bench(setting, self._job.progress)
            self._key = key
            data = self._bench.to_dict()
        bench = self._bench
        self._run = run = make_run(bench, setting)
        self._setting = setting
        self._number += 1
        frames = run.frames(kept_steps(run.total), self._go_on)
        axes = axes_of(bench, setting.axes)
        names = [*bench.terms, INTERCEPT]
        losses = {flag: bench.loss(flag) for flag in (False, True)}
        optimum = bench.survey.optimum.numpy()
        held = bench.held
        return {
            "type": "run",
            "run": self._number,
            "data": data,
            "closed": run.closed,
            "total": run.total,
            "per_epoch": 1,
            "diverged": run.diverged,
            "message": None,
            "converged": None,
            "needed": None,
            "mistake": None,
            "frames": frames.to_dict(),
            "limits": limits(bench.survey, setting),
            "optimum": {
                "parameters": optimum,
                "inner": losses[setting.standardize]
                .inward(bench.survey.optimum)
                .numpy(),
                "loss": bench.survey.optimum_loss,
                "validation": None if held is None else held.losses(optimum[None])[0],
            },
            "inner": {
                "raw": _frame(losses[False]),
                "standardised": _frame(losses[True]),
            },
            "surface": {
                "axes": axes,
                "names": [names[i] for i in axes],
                "grid": None,
                "raw": surface(losses[False], axes),
                "standardised": surface(losses[True], axes),
            },
        }

    def _here(self, message: Any) -> tuple[Bench, Run]:
        if self._bench is None or self._run is None:
            raise UsageError("nothing is set yet")
        if message.get("run") != self._number:
            raise UsageError("this run is over: another one has begun")
        return self._bench, self._run

    def _frames(self, message: Any) -> dict[str, Any]:
        _, run = self._here(message)
        steps = message.get("steps")
        fine = isinstance(steps, list) and len(steps) <= MOST_FRAMES
        if not fine or not all(type(k) is int and 0 <= k <= 10**9 for k in steps):
            raise UsageError(f"steps is a list of up to {MOST_FRAMES:,} whole numbers")
        frames = run.frames(np.array(steps, np.int64), self._go_on)
        return {
            "type": "frames",
            "run": self._number,
            "total": run.total,
            "diverged": run.diverged,
            "frames": frames.to_dict(),
        }

    def _certificate(self, message: Any) -> dict[str, Any]:
        bench, run = self._here(message)
        step = message.get("step")
        if type(step) is not int or not 0 <= step <= 10**9:
            raise UsageError("step is a whole number")
        frames = run.frames(np.array([min(step, run.total)]), self._go_on)
        if not len(frames.steps):
            raise UsageError(f"the run has no step {step:,}")
        return {
            "type": "certificate",
            "run": self._number,
            "step": int(frames.steps[0]),
            "certificate": certificate_at(bench, self._setting, run, frames),
        }

    def close(self) -> None:
        """Let go of everything."""
        self.closed = True
        with self._lock:
            self._bench = self._run = None
        self.files.close()


def _frame(loss: Any) -> dict[str, Any]:
    return {"scale": loss.scale.numpy(), "mean": loss.mean.numpy()}
