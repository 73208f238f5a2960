"""What messages are answered with: thin over bench, runs and verdict."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gradline.data import Progress
from gradline.design import INTERCEPT
from gradline.errors import DataError, UsageError
from gradline.lab import verdict
from gradline.lab.bench import (
    Bench,
    axes_of,
    data_key,
    make_bench,
    surface,
)
from gradline.lab.datasets import READY
from gradline.lab.exports import export, possible
from gradline.lab.files import Files
from gradline.lab.goals import Goal, goal_of, robust_scale
from gradline.lab.grid import grid
from gradline.lab.mistakes import MISTAKES
from gradline.lab.plain import prove
from gradline.lab.runs import (
    KEPT,
    KEPT_NUMBERS,
    Frames,
    GoOn,
    Run,
    kept_steps,
    make_run,
    start_of,
)
from gradline.lab.settings import BOUNDS, CHOICES, Setting, parse
from gradline.lab.verdict import certificate_at, facts_of, limits
from gradline.lab.words import number

#: Steps that may be asked for at once, and numbers in them.
MOST_FRAMES = 5_000
MOST_NUMBERS = 400_000

#: Seconds that a walk may take before a page gets its first steps.
BUDGET = 1.0

#: So many times as long for a loop with a mistake: its text speaks of its end.
PATIENCE = 4


def offers() -> dict[str, Any]:
    """What there is to choose from: for hello."""
    return {
        "datasets": [ready.to_dict() for ready in READY.values()],
        "mistakes": [mistake.offered() for mistake in MISTAKES.values()],
        "bounds": {name: list(ends) for name, ends in BOUNDS.items()},
        "choices": {name: list(known) for name, known in CHOICES.items()},
    }


class Desk:
    """One page's data and run.

    Args:
        files: what the page has opened.
    """

    def __init__(self, files: Files | None = None) -> None:
        self._files = files
        self._bench: Bench | None = None
        self._key: Any = None
        self._setting = Setting()
        self._run: Run | None = None
        self._number = 0

    def set(
        self, message: Any, go_on: GoOn, progress: Progress | None
    ) -> dict[str, Any]:
        """A setting as a run."""
        setting = parse(message.get("setting"))
        if setting.mistake and setting.mistake not in MISTAKES:
            raise UsageError(
                f"there is no mistake {setting.mistake[:40]!r}: give one of "
                f"{', '.join(MISTAKES)}, or none"
            )
        key, data = data_key(setting), None
        bench = self._bench
        if key != self._key or bench is None:
            bench = make_bench(setting, self._files, progress)
            data = bench.to_dict()
        goal = goal_of(bench, setting)
        run = make_run(bench, goal, setting)
        budget = BUDGET if run.closed or not setting.mistake else PATIENCE * BUDGET
        deadline = time.monotonic() + budget
        most = min(KEPT, max(50, KEPT_NUMBERS // (len(bench.terms) + 1)))
        frames = run.frames(
            kept_steps(run.total, most), lambda: go_on() and time.monotonic() < deadline
        )
        if not len(frames.steps):
            raise UsageError("the run was given up before its first step")
        self._bench, self._key, self._setting, self._run = bench, key, setting, run
        self._number += 1
        return {"data": data, **self._told(bench, setting, run, frames)}

    def _told(
        self, bench: Bench, setting: Setting, run: Run, frames: Frames
    ) -> dict[str, Any]:
        goal = run.goal
        axes = axes_of(bench, setting.axes)
        names = [*bench.terms, INTERCEPT]
        converged, needed = run.converged()
        held = goal.validation(goal.optimum[None])
        mistake = MISTAKES.get(setting.mistake)
        rates = bench.remember(
            ("limits", _rates(setting)), lambda: limits(bench, setting)
        )
        return {
            "type": "run",
            "run": self._number,
            "closed": run.closed,
            "total": run.total,
            "per_epoch": run.per_epoch,
            "diverged": run.diverged,
            "known": int(frames.steps[-1]),
            "over_limit": verdict.over_limit(setting, run, rates),
            "message": verdict.message(bench, setting, run),
            "converged": converged,
            "needed": needed,
            "mistake": None
            if mistake is None
            else mistake.told(facts_of(bench, setting, run, frames)),
            "exports": possible(bench, setting),
            "frames": frames.to_dict(),
            "limits": rates,
            "objective": _objective(bench, setting, goal),
            "optimum": {
                "parameters": goal.optimum,
                "inner": bench.inward(goal.optimum[None], setting.standardize)[0],
                "loss": goal.optimum_loss,
                "perfect": verdict.perfect(run),
                "validation": None if held is None else held[0],
            },
            "inner": {
                "raw": _frame(bench, False),
                "standardised": _frame(bench, True),
            },
            "surface": {
                "axes": axes,
                "names": [names[i] for i in axes],
                "raw": _surface(bench, False, axes),
                "standardised": _surface(bench, True, axes),
                "grid": grid(bench, goal, setting.standardize, axes, frames.parameters),
            },
        }

    def _here(self, message: Any) -> tuple[Bench, Run]:
        if self._bench is None or self._run is None:
            raise UsageError("nothing is set yet")
        if message.get("run") != self._number:
            raise UsageError("this run is over: another one has begun")
        return self._bench, self._run

    def frames(self, message: Any, go_on: GoOn) -> dict[str, Any]:
        """Further steps of the run."""
        bench, run = self._here(message)
        steps = message.get("steps")
        most = max(1, min(MOST_FRAMES, MOST_NUMBERS // (len(bench.terms) + 1)))
        fine = isinstance(steps, list) and len(steps) <= most
        if not fine or not all(type(k) is int and 0 <= k <= 10**9 for k in steps):
            raise UsageError(f"steps is a list of up to {most:,} whole numbers")
        deadline = time.monotonic() + 2 * BUDGET
        frames = run.frames(
            np.array(steps, np.int64), lambda: go_on() and time.monotonic() < deadline
        )
        converged, needed = run.converged()
        mistake = MISTAKES.get(self._setting.mistake)
        told = None
        if mistake is not None and len(frames.steps) and frames.steps[-1] == run.total:
            told = mistake.told(self._whole_facts(bench, run))
        return {
            "type": "frames",
            "run": self._number,
            "mistake": told,
            "partial": len(frames.steps) < sum(k <= run.total for k in steps),
            "total": run.total,
            "diverged": run.diverged,
            "message": verdict.message(bench, self._setting, run),
            "converged": converged,
            "needed": needed,
            "frames": frames.to_dict(),
        }

    def _whole_facts(self, bench: Bench, run: Run) -> dict[str, Any]:
        """The facts of a run that has been walked to its end."""
        frames = run.frames(kept_steps(run.total), lambda: False)
        return facts_of(bench, self._setting, run, frames)

    def _one(self, message: Any, go_on: GoOn) -> tuple[Bench, Run, Frames]:
        """The bench, the run, and the step that a message names, or its last one."""
        bench, run = self._here(message)
        step = message.get("step")
        if type(step) is not int or not 0 <= step <= 10**9:
            raise UsageError("step is a whole number")
        frames = run.frames(np.array([min(step, run.total)]), go_on)
        if not len(frames.steps):  # it ended on the way there
            frames = run.frames(np.array([run.total]), go_on)
        if not len(frames.steps):
            raise UsageError(f"the run was given up before step {step:,}")
        return bench, run, frames

    def certificate(self, message: Any, go_on: GoOn) -> dict[str, Any]:
        """How far one step is from the optimum."""
        bench, run, frames = self._one(message, go_on)
        return {
            "type": "certificate",
            "run": self._number,
            "step": int(frames.steps[0]),
            "asked": message["step"],
            "partial": int(frames.steps[0]) != message["step"],
            "certificate": certificate_at(bench, self._setting, run, frames),
        }

    def proof(self, message: Any, go_on: GoOn) -> dict[str, Any]:
        """The plain loop, really run, held against what is shown."""
        bench, run, frames = self._one(message, go_on)
        setting = self._setting
        mistake = MISTAKES.get(setting.mistake)
        if mistake is not None and mistake.walk is not None:
            return {
                "type": "proof",
                "steps": 0,
                "difference": None,
                "sentence": "What you see already is the plain PyTorch loop, with the "
                "mistake in it: there is no other one to compare it with.",
            }

        def shown(step: int) -> Any:
            found = run.frames(np.array([step]), lambda: True).parameters
            if not len(found):
                raise DataError(f"the run ended before step {step:,}")
            return found[0]

        start = start_of(bench, setting)
        step = int(frames.steps[0])
        found = prove(bench, run.goal, setting, start, step, shown, go_on)
        return {"type": "proof", **found}

    def export(self, message: Any, go_on: GoOn) -> dict[str, Any]:
        """A step as a file to keep."""
        bench, run, frames = self._one(message, go_on)
        found = export(
            message.get("what"), bench, self._setting, run, frames, go_on=go_on
        )
        return {"type": "export", **found}

    def close(self) -> None:
        """Let go of everything."""
        self._bench = self._run = self._key = None


def _rates(setting: Setting) -> tuple[Any, ...]:
    """What of a setting decides about its limits."""
    return (
        setting.standardize,
        setting.optimizer,
        setting.loss,
        setting.momentum,
        setting.nesterov,
        setting.weight_decay,
        bool(setting.batch_size),
        setting.mistake,
    )


def _objective(bench: Bench, setting: Setting, goal: Goal) -> dict[str, Any]:
    """What the descent makes small."""
    note = scale = None
    if goal.delta is not None:
        scale = robust_scale(bench)
        note = (
            f"Errors up to {number(goal.delta)} count squared, larger ones in "
            f"proportion: {number(setting.delta)} times {number(scale)}, the robust "
            "standard deviation of the residuals."
        )
    return {"name": goal.name, "delta": goal.delta, "scale": scale, "note": note}


def _frame(bench: Bench, standardize: bool) -> dict[str, Any]:
    loss = bench.loss(standardize)
    return {"scale": loss.scale.numpy(), "mean": loss.mean.numpy()}


def _surface(bench: Bench, standardize: bool, axes: tuple[int, int]) -> Any:
    return bench.remember(
        ("surface", standardize, axes), lambda: surface(bench.loss(standardize), axes)
    )
