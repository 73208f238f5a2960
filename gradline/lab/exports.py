"""A step of a run as something to keep: a script, a model, a picture, a report."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gradline.design import INTERCEPT
from gradline.errors import UsageError
from gradline.lab.bench import Bench
from gradline.lab.runs import Frames, GoOn, Run
from gradline.lab.script import check_script, script
from gradline.lab.settings import Setting
from gradline.lab.verdict import fit_at
from gradline.result import Fit
from gradline.scores import Trace

#: What each export is called, and what kind of file it is.
KINDS = {
    "script": ("descent.py", "text/x-python"),
    "model": ("model.safetensors", "application/octet-stream"),
    "picture": ("fit.png", "image/png"),
    "movie": ("learning.gif", "image/gif"),
    "report": ("report.html", "text/html"),
}


def export(
    what: Any,
    bench: Bench,
    setting: Setting,
    run: Run,
    frames: Frames,
    *,
    go_on: GoOn,
) -> dict[str, Any]:
    """One step as a file.

    Args:
        what: one of KINDS.
        bench: the data.
        setting: of the run.
        run: the run.
        frames: with the step alone.
        go_on: whether anybody still wants it.

    Returns:
        name and media of the file; text, or base64 of its bytes.

    Raises:
        UsageError: there is no such export, or not of this run.
    """
    if what not in KINDS:
        raise UsageError(f"there is no export {what!r:.40}: give {', '.join(KINDS)}")
    name, media = KINDS[what]
    step = int(frames.steps[0])
    if what == "script":
        text = script(bench, run.goal, setting, step)
        return {"name": name, "media": media, "text": text}
    if not np.isfinite(frames.parameters).all() or not np.isfinite(frames.losses).all():
        raise UsageError(
            f"the line at step {step:,} is past all numbers: go back to a step before "
            "the loss ran away"
        )
    with tempfile.TemporaryDirectory(prefix="gradline-lab-") as folder:
        path = Path(folder) / name
        if what == "movie":
            _movie(path, bench, run, step, go_on)
        else:
            fit = _traced(bench, setting, run, frames, go_on)
            if what == "model":
                fit.save(path)
            elif what == "picture":
                fit.plot(path)
            else:
                fit.report(path)
        return _packed(path, media)


def possible(bench: Bench, setting: Setting) -> dict[str, str | None]:
    """Of each export None, or the sentence that says why this run has none."""
    reasons: dict[str, str | None] = dict.fromkeys(KINDS)
    checks: dict[str, Callable[[], None]] = {
        "movie": lambda: _check_movie(bench),
        "script": lambda: check_script(bench, setting),
    }
    for what, check in checks.items():
        try:
            check()
        except UsageError as error:
            reasons[what] = str(error)
    return reasons


def _packed(path: Path, media: str) -> dict[str, Any]:
    if media.startswith("text/"):
        return {"name": path.name, "media": media, "text": path.read_text("utf-8")}
    packed = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"name": path.name, "media": media, "base64": packed}


def _steps_to(step: int, count: int) -> Any:
    """About so many steps up to one, the first and the last among them."""
    spaced = np.geomspace(1, step + 1, count).round().astype(np.int64) - 1
    return np.unique(np.concatenate([[0], spaced, [step]]))


def _traced(
    bench: Bench, setting: Setting, run: Run, frames: Frames, go_on: GoOn
) -> Fit:
    """A step as a Fit, with the history that led to it."""
    fit = fit_at(bench, setting, run, frames)
    seen = run.frames(_steps_to(int(frames.steps[0]), 400), go_on)
    if run.goal.name != "squared":
        return fit
    trace = Trace(
        seen.steps,
        seen.losses,
        seen.parameters[:, :-1],
        seen.parameters[:, -1],
        seen.validation,
    )
    return _with(fit, trace)


def _with(fit: Fit, trace: Trace) -> Fit:
    _ = fit.certificate  # judged, so that all fields are there
    return replace(fit, trace=trace)


def _check_movie(bench: Bench) -> None:
    if len(bench.terms) != 1 or bench.curve is None:
        raise UsageError(
            "a moving picture is of a straight line over one numeric feature: choose "
            f"one feature and degree 1; there are {len(bench.terms)} terms beside the "
            f"{INTERCEPT.lower()}"
        )


def _movie(path: Path, bench: Bench, run: Run, step: int, go_on: GoOn) -> None:
    _check_movie(bench)
    from gradline.plots import FRAMES, learning_gif

    frames = run.frames(_steps_to(step, 4 * FRAMES), go_on)
    design, shown = bench.survey.design, ~bench.dots.held
    learning_gif(
        path,
        bench.dots.X[shown, 0],
        bench.dots.y[shown],
        frames.parameters[:, 0],
        frames.parameters[:, 1],
        frames.losses,
        epochs=frames.steps,
        truth=bench.truth,
        optimum=run.goal.optimum_loss,
        x_name=design.features[0],
        y_name=design.response,
    )
