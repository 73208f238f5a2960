"""What a person sees of a search: its best trials, what was chosen, the test score."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Any

from gradline.layout import WIDTH, number, printable
from gradline.spaces import Choice, plain, same
from gradline.terminal import scores_line
from gradline.trials import Trial, Tuning

#: So many of the best trials are shown.
SHOWN = 10

#: What scores are called.
TITLES = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}


def tuning_table(tuning: Tuning) -> str:
    """The best trials, the chosen setting and its score on the test part, as text."""
    lines = [_head(tuning), ""]
    lines += _trial_lines(tuning)
    lines += ["", *_chosen_lines(tuning)]
    lines += _failures(tuning)
    for note in tuning.notes:
        lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value of an argument, to read."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, list | tuple):
        return printable(",".join(str(v) for v in value), 24)
    return printable(str(plain(value)), 24)


def setting(params: dict[str, Any]) -> str:
    """A setting in words."""
    words = [f"{name} {shown(value)}" for name, value in params.items()]
    return ", ".join(words) or "no setting that has an effect"


def _head(tuning: Tuning) -> str:
    trials, failed = len(tuning.trials), tuning.count("failed")
    many = f"{trials:,} setting{'' if trials == 1 else 's'}"
    parts = [f"{printable(tuning.target, 48)}: {many} tried ({tuning.method})"]
    if failed:
        parts.append(f"{failed:,} failed")
    if tuning.count("pruned"):
        parts.append(f"{tuning.count('pruned'):,} pruned")
    rows = tuning.rows
    if {"train", "validation"} <= rows.keys():
        parts.append(
            f"learned from {rows['train']:,} rows, scored on {rows['validation']:,}"
        )
    return "\n".join(textwrap.wrap(", ".join(parts), WIDTH))


def _trial_lines(tuning: Tuning) -> list[str]:
    different = once_each(tuning.ranked)
    best = different[:SHOWN]
    names = [
        name
        for name, values in tuning.space.items()
        if not (isinstance(values, Choice) and len(values.values) == 1)
        and any(name in trial.params for trial in best)
    ]
    title = TITLES[tuning.score]
    columns = [["trial", *(str(t.number) for t in best)]]
    for name in names:
        cells = [shown(t.params[name]) if name in t.params else "-" for t in best]
        columns.append([name, *cells])
    if any(t.epochs is not None for t in best) and "epochs" not in names:
        columns.append(["epochs", *(_epochs(t) for t in best)])
    columns.append([f"validation {title}", *(_score(t.score) for t in best)])
    columns.append(["training", *(_score(t.train_score) for t in best)])
    wide = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    lines = [
        "  " + "  ".join(c.rjust(w) for c, w in zip(row, wide, strict=True))
        for row in rows
    ]
    hidden = len(different) - len(best)
    return lines + [f"  ... and {hidden:,} more (--json has all of them)"] * bool(
        hidden
    )


def once_each(trials: list[Trial]) -> list[Trial]:
    """Each setting once: Optuna may draw one again."""
    found: dict[Any, Trial] = {}
    for trial in trials:
        found.setdefault(same(trial.params), trial)
    return [*found.values()]


def _epochs(trial: Trial) -> str:
    return "-" if trial.epochs is None else str(trial.epochs)


def _score(value: float | None) -> str:
    return "-" if value is None else number(value)


def _chosen_lines(tuning: Tuning) -> list[str]:
    chosen = tuning.chosen
    lines = textwrap.wrap(
        f"Chosen: trial {chosen.number}, {setting(chosen.params)}", WIDTH
    )
    if tuning.fit is None:
        return lines
    lines.append(f"Learned again from both parts, {tuning.fit.rows:,} rows")
    known = tuning.fit.settings.get("cross_validation")
    if known is not None and "alpha" in known:
        alpha = number(float(known["alpha"]), 4)
        lines.append(f"alpha {alpha} was found in those by {known['folds']}")
    if tuning.test is None:
        text = (
            "There is no test part, so nothing says how well it will do: give a share "
            "for it (--test 0.2)"
        )
        return [*lines, *textwrap.wrap(text, WIDTH)]
    scores = scores_line(tuning.test).removeprefix("test: ")
    return [*lines, f"Test part, read once: {scores}"]


def _failures(tuning: Tuning) -> list[str]:
    """The reasons for which trials failed, the most frequent first."""
    reasons = Counter(t.reason or "" for t in tuning.trials if t.status == "failed")
    if not reasons:
        return []
    reason, count = reasons.most_common(1)[0]
    total = tuning.count("failed")
    text = f"Failed: {total:,}, " + ("" if count == total else f"{count:,} of them ")
    if len(reasons) > 1:
        text = f"Failed: {total:,}, such as "
    return textwrap.wrap(text + printable(reason), WIDTH)
