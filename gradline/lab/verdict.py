"""What is to be said of a run: limits, sentences, and the certificate of a step."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gradline.certificate import TOLERANCE, Certificate, relative_gap
from gradline.conclude import conclude, path_from
from gradline.errors import Status
from gradline.lab.bench import Bench
from gradline.lab.goals import Sums
from gradline.lab.mistakes import MISTAKES, spacing
from gradline.lab.runs import ClosedRun, Frames, LoopRun, Run, rule_of, start_of
from gradline.lab.settings import MOST_LOOP_STEPS, Setting
from gradline.lab.words import apart, counted, number
from gradline.recurrence import Rule
from gradline.result import Fit

NAMES = {
    "squared": "mean squared error",
    "huber": "Huber loss",
    "absolute": "mean absolute error",
}


def limits(bench: Bench, setting: Setting) -> dict[str, Any]:
    """The stability limit and the best learning rate, as set but for lr."""
    survey = bench.survey
    bowl = survey.scaled_bowl if setting.standardize else survey.raw_bowl
    high, low = bowl.ends
    rule = rule_of(setting)
    limit: float | None = rule.limit(high)
    best: float | None = rule.best_lr(high, low)
    note = None
    mistake = MISTAKES.get(setting.mistake)
    if mistake is not None and mistake.walk is not None:
        note = "These are for the code without the mistake."
    elif setting.optimizer != "SGD":
        limit = best = None
        note = (
            f"{setting.optimizer} divides each step by the size of its gradients, so "
            "no learning rate is a limit; a large one rattles about the optimum."
        )
    elif setting.loss == "absolute":
        limit = best = None
        note = (
            "The absolute loss has no curvature, so there is no limit: the steps do "
            "not shrink, and the line rattles about the optimum at the size of lr."
        )
    elif setting.loss == "huber":
        limit, best = rule.limit(high / 2), None
        note = (
            "Huber's loss is at most half as curved as the squared one: up to here it "
            "is surely stable, and past it the steps need not run away."
        )
    elif setting.batch_size:
        note = (
            "These are for full batches: a small batch may be steeper, and its noise "
            "is the larger, the larger lr is."
        )
    return {
        "limit": limit,
        "best": best,
        "curvatures": [high, low],
        "condition": high / low,
        "note": note,
    }


def message(bench: Bench, setting: Setting, run: Run) -> str | None:
    """What a page should say about a run, if anything."""
    said = []
    found = limits(bench, setting)
    if run.diverged is not None:
        said.append(_diverged(bench, setting, run, found))
    elif over_limit(setting, run, found):
        lr, limit = apart(setting.lr, found["limit"])
        said.append(
            f"The learning rate {lr} is above the stability limit, {limit}: the error "
            "along the steepest direction grows with each step, and sooner or later "
            "the loss turns upward."
        )
    if isinstance(run, LoopRun) and not bench.rows.whole and _on_rows(setting):
        rows = bench.survey.tally.rows
        said.append(
            f"The loop runs on {len(bench.rows.y):,} of the {rows:,} rows, evenly "
            "chosen."
        )
    if run.capped:
        said.append(
            f"A loop is walked for at most {MOST_LOOP_STEPS:,} steps: the run is cut "
            f"at {run.total:,}."
        )
    if setting.weight_decay and run.diverged is None:
        said.append(
            "Weight decay draws all coefficients towards 0, to an optimum of its own: "
            "the one that is shown is without it."
        )
    if bench.survey.spectrum.deficient:
        said.append(_deficient(bench))
    return " ".join(said) or None


def over_limit(setting: Setting, run: Run, found: dict[str, Any]) -> bool:
    """Whether the learning rate is above a limit that surely makes the loss grow."""
    limit = found["limit"]
    return run.closed and limit is not None and setting.lr > limit


def _deficient(bench: Bench) -> str:
    """Which columns leave the line open, and what to do."""
    survey = bench.survey
    scale = survey.spectrum.scale.tolist()
    flat = [t for t, s in zip(survey.design.terms, scale, strict=True) if s == 0]
    said = []
    if flat:
        names = ", ".join(repr(t) for t in flat[:5])
        what = "is constant: it says" if len(flat) == 1 else "are constant: they say"
        said.append(
            f"{names} {what} nothing about {survey.design.response!r}, and any slope "
            "is as good as any other. Choose another feature."
        )
    others = [t for t in survey.dependent if t not in flat]
    if others:
        names = ", ".join(repr(t) for t in others[:5])
        said.append(
            f"{names} cannot be told apart from one another: many lines are equally "
            "good. Leave one of them out."
        )
    return " ".join(said)


def perfect(run: Run) -> bool:
    """Whether the smallest loss is 0 but for rounding."""
    return run.goal.optimum_loss <= run.goal.floor


def _on_rows(setting: Setting) -> bool:
    return bool(setting.batch_size or setting.mistake) or setting.loss != "squared"


def _diverged(bench: Bench, setting: Setting, run: Run, found: dict[str, Any]) -> str:
    head = f"The loss ran away at step {run.diverged:,}"
    if setting.mistake and not run.closed:
        return f"{head}."
    limit = found["limit"]
    if limit is None or setting.lr <= limit:
        return f"{head}: take a smaller learning rate than {number(setting.lr)}."
    lr, most = apart(setting.lr, limit)
    text = (
        f"{head}: the learning rate {lr} is above the stability limit, {most}. "
        "Take a smaller one"
    )
    if found["best"] is not None:
        text += f"; {apart(found['best'], limit)[0]} is the fastest here"
    if not setting.standardize:
        other = limits(bench, replace(setting, standardize=True))["limit"]
        if other > 2 * limit:
            text += f", or standardise, and the limit is {number(other)}"
    return text + "."


def facts_of(
    bench: Bench, setting: Setting, run: Run, frames: Frames
) -> dict[str, Any]:
    """The numbers of a run that the gallery speaks of.

    Args:
        bench: the data.
        setting: of the run.
        run: the run.
        frames: with its first step first and its last one last.
    """
    survey, goal = bench.survey, run.goal
    found = limits(bench, setting)
    last = frames.parameters[-1]
    x = bench.rows.X[:, 0]
    bowl = survey.raw_bowl
    path = path_from(
        survey, bowl, Rule(bowl.best_lr), start_of(bench, replace(setting, start=()))
    )
    goal_gap = TOLERANCE * max(survey.optimum_loss, survey.floor)
    return {
        "step": int(frames.steps[-1]),
        "rows": survey.tally.rows,
        "lr": setting.lr,
        "degree": setting.degree,
        "limit": found["limit"],
        "best": found["best"],
        "condition": found["condition"],
        "first_loss": float(frames.losses[0]),
        "loss": float(frames.losses[-1]),
        "late_loss": float(np.max(frames.losses[len(frames.losses) // 2 :])),
        "seen": math.nan if frames.seen is None else float(frames.seen[-1]),
        "validation": math.nan
        if frames.validation is None
        else float(frames.validation[-1]),
        "optimum_loss": goal.optimum_loss,
        "slopes": last[:-1].tolist(),
        "best_slopes": goal.optimum[:-1].tolist(),
        "mean_y": survey.level,
        "mean_x": float(x.mean()),
        "spacing": spacing(float(x.mean())),
        "distinct": len(np.unique(x.astype(np.float32))),
        "needed": run.converged()[1],
        "best_needed": path.epochs_to(goal_gap),
    }


def fit_at(bench: Bench, setting: Setting, run: Run, frames: Frames) -> Fit:
    """A step as a Fit: judged by the squared loss.

    Args:
        bench: the data.
        setting: of the run.
        run: the run.
        frames: with that step alone.
    """
    return conclude(
        bench.survey,
        torch.from_numpy(frames.parameters[0].copy()),
        method="sgd" if setting.batch_size else "gd",
        path=run.path if isinstance(run, ClosedRun) else None,
        settings={
            "lr": setting.lr,
            "epochs": int(frames.steps[0]) // run.per_epoch,
            "standardize": setting.standardize,
            "weight_decay": setting.weight_decay,
            "optimizer": setting.optimizer,
            "momentum": setting.momentum,
        },
    )


def certificate_at(
    bench: Bench, setting: Setting, run: Run, frames: Frames
) -> dict[str, Any] | None:
    """The certificate of one step, with a sentence; None where it is not finite."""
    parameters = frames.parameters[0]
    loss = float(frames.losses[0])
    if not np.isfinite(parameters).all() or not math.isfinite(loss):
        return None
    found = fit_at(bench, setting, run, frames).certificate
    if isinstance(run.goal, Sums):
        found = _of_sums(bench, run.goal, found, frames)
    step = int(frames.steps[0])
    told = {
        "sentence": _sentence(found, setting, run, step),
        "perfect": perfect(run),
        "gap": min(found.gap, found.loss),
    }
    if bench.survey.spectrum.deficient:
        told["advice"] = _deficient(bench)
    return found.to_dict() | told


def _of_sums(
    bench: Bench, goal: Sums, squared: Certificate, frames: Frames
) -> Certificate:
    """The certificate by a loss that is not squared."""
    proven, loss = goal.certificate, float(frames.losses[0])
    gap = max(0.0, loss - proven.optimum_loss)
    share = relative_gap(gap, proven.optimum_loss, goal.floor)
    done = share <= TOLERANCE
    status = Status.NOT_CONVERGED
    if done:
        status = Status.RANK_DEFICIENT
        if not bench.survey.spectrum.deficient:
            status = Status.CONVERGED
    gradient = goal.gradients(frames.parameters[:1], False)
    return replace(
        squared,
        status=status,
        advice="Nothing to do."
        if done
        else f"The {NAMES[goal.name]} is {number(loss)} and the smallest there "
        f"is {number(proven.optimum_loss)}: train on, with a smaller learning rate if "
        "it rattles.",
        loss=loss,
        optimum_loss=proven.optimum_loss,
        gap=gap,
        relative_gap=share,
        gradient_norm=float(np.linalg.norm(gradient)),
        digits=min(squared.digits, proven.digits),
        lr_limit=math.nan,
        lr_limit_standardized=math.nan,
        best_lr=math.nan,
        epochs_needed=None,
        solver=proven.solver,
        objective=proven.objective,
        bound=proven.bound,
    )


def _goal(run: Run) -> str:
    if perfect(run):
        return "down to rounding"
    return f"to within {number(TOLERANCE)} of that, as a share of it"


def _sentence(found: Certificate, setting: Setting, run: Run, step: int) -> str:
    """A certificate for somebody who has never seen one."""
    what = NAMES[run.goal.name]
    line = "curve" if setting.degree > 1 else "line"
    if found.status == Status.RANK_DEFICIENT:
        return (
            f"At step {step:,} the {what} is as small as it can be, and many {line}s "
            "are equally good."
        )
    if found.relative_gap <= TOLERANCE:
        return (
            f"At step {step:,} the {what} is {number(found.loss, 4)}, and no "
            f"{line} has a smaller one: this is the best {line} there is, by proof."
        )
    loss, least = apart(found.loss, found.optimum_loss, 4)
    best = f"the best {line} there is has {least}"
    head = f"At step {step:,} the {what} is {loss}; {best}"
    share = found.relative_gap
    if perfect(run):
        head = (
            f"A perfect fit exists; at step {step:,} the {what} is still "
            f"{number(found.loss, 4)}"
        )
    elif share < 0.005:
        head += f", so it is {number(100 * share, 1)}% above"
    elif share < 1:
        head += f", so it is {100 * share:.0f}% above"
    elif math.isfinite(share) and share < 1e6:
        head += f", so it is {number(1 + share)} times that"
    if run.diverged is not None:
        return f"{head}; and it is growing."
    if setting.weight_decay and found.epochs_needed is None:
        return f"{head}; weight decay keeps it away from there."
    if found.epochs_needed is not None:
        more = counted(found.epochs_needed, "more step")
        return f"{head}; with this learning rate {more} would bring it {_goal(run)}."
    if isinstance(run, ClosedRun):
        return f"{head}; with this learning rate it takes over 10 million steps more."
    return f"{head}."
