"""The validation curve: how well settings did, over each argument that was searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradline.data import Array
from gradline.errors import DataError, UsageError, listed
from gradline.plots.geometry import Limits, limits_of
from gradline.plots.marks import draw_chosen
from gradline.plots.style import BLUE, INK, ORANGE, panels, set_frame, set_head, styled
from gradline.plots.ticks import fix_ticks, log_ticks, turn_names
from gradline.plots.words import clean, names_of, number, shown_text, wrapped

if TYPE_CHECKING:
    from gradline.trials import Trial, Tuning  # which load torch; no picture needs it

#: So many panels have room beside one another.
MOST_PANELS = 4

#: So many lines, one for each combination of words, can be told apart in a panel.
MOST_LINES = 4

_DASHES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2))]
_MARKERS = ("o", "s", "^", "v")

#: Places of trials, (k,).
Places = np.ndarray[tuple[int, ...], np.dtype[np.intp]]

#: An argument with at most so many values is drawn as a curve of the best at each.
CURVE = 60

#: Trials this many times as far from the best one as most others are not shown.
FAR = 3.0

_TITLES = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}


@dataclass(frozen=True)
class Searched:
    """An argument and its values in the trials, (m,).

    Attributes:
        name: of the argument.
        places: where each trial stands on the axis, (m,).
        labels: of the places 0, 1, 2 ..., where values are not numbers; else None.
        log: whether the axis is logarithmic.
    """

    name: str
    places: Array
    labels: list[str] | None
    log: bool


@dataclass(frozen=True)
class Heights:
    """The heights of all panels.

    Attributes:
        limits: from where to where.
        outside: how many trials are not within.
    """

    limits: Limits
    outside: int


def draw_tuning(tuning: Tuning, params: Sequence[str] | None = None) -> Figure:
    """Draw the validation and the training score over each searched argument.

    Each trial is a point. A line goes through the best of those that share a value, so
    that with one argument it is the validation curve itself. Trials that failed, and
    arguments without effect in a trial, have no point.

    Args:
        tuning: the search.
        params: which arguments; unless told, all with several values, four at the most.

    Returns:
        A Figure, a panel for each argument, the chosen setting marked in all.

    Raises:
        UsageError: an argument that was not searched.
        DataError: no argument has two values to draw.
    """
    trials = [trial for trial in tuning.trials if trial.status == "ok"]
    names = _names(tuning, trials, params)
    with styled():
        figure, axes = panels(len(names), size=(max(8.0, 1.0 + 4.6 * len(names)), 5.0))
        heights = _heights(trials, tuning.score == "r2")
        for place, (ax, name) in enumerate(zip(axes, names, strict=True)):
            own = [trial for trial in trials if name in trial.params]
            _draw(ax, tuning, own, name, heights)
            if place:
                ax.yaxis.set_label_text("")
            _head(ax, heights, first=place == 0)
    return figure


def _names(
    tuning: Tuning, trials: list[Trial], params: Sequence[str] | None
) -> list[str]:
    """Which arguments to draw."""
    space = list(tuning.space)
    if params is not None:
        for name in params:
            if name not in space:
                raise UsageError(
                    f"{name!r} was not searched: give some of {listed(space)}"
                )
        return list(params)[:MOST_PANELS]
    found = []
    for name in space:
        values = [t.params[name] for t in trials if name in t.params]
        if any(value != values[0] for value in values):
            found.append(name)
    if not found:
        raise DataError(
            "there is one setting and no curve to draw: search over more values"
        )
    return found[:MOST_PANELS]


def _draw(
    ax: Axes,
    tuning: Tuning,
    trials: list[Trial],
    name: str,
    heights: Heights,
) -> None:
    """One argument's panel."""
    seen = _searched(name, [t.params[name] for t in trials])
    validation = np.array([t.score for t in trials], np.float64)
    training = np.array(
        [math.nan if t.train_score is None else t.train_score for t in trials]
    )
    groups = _groups(tuning, trials, name)
    better = np.argmax if tuning.score == "r2" else np.argmin
    where, best = (
        seen.places,
        [_best(seen.places, validation, g, better) for g in groups],
    )
    chosen = [np.concatenate(best)] if len(groups) > MOST_LINES else best
    joined = not seen.labels and len(groups) <= MOST_LINES and len(chosen[0]) > 0
    alone = sum(map(len, chosen)) == len(trials)
    for values, color, label in (
        (training, BLUE, "training"),
        (validation, ORANGE, "validation"),
    ):
        if not alone:
            ax.plot(
                where,
                values,
                "o",
                color=color,
                markersize=5,
                alpha=max(0.15, min(0.6, 40 / len(where))),
                markeredgewidth=0,
                zorder=2,
                label=None if joined or seen.labels else label,
            )
        for place, rows in enumerate(chosen if joined or seen.labels else []):
            ax.plot(
                where[rows],
                values[rows],
                color=color,
                marker=_MARKERS[place] if len(rows) <= 30 else "none",
                markersize=6,
                linestyle=_DASHES[place] if joined else "none",
                zorder=3,
                label=None if place else label if alone else f"{label}, best at each",
            )
    if joined and len(groups) > 1:
        for place, rows in enumerate(groups):
            said = ", ".join(
                shown_text(v) for v in _kind(tuning, trials[rows[0]], name)
            )
            ax.plot(
                [],
                [],
                color=INK,
                marker=_MARKERS[place],
                markersize=6,
                linestyle=_DASHES[place],
                label=clean(said),
            )
    if name in tuning.chosen.params:
        _mark(ax, tuning, seen, trials)
    _frame(ax, seen, heights, _TITLES[tuning.score])


def _kind(tuning: Tuning, trial: Trial, name: str) -> tuple[Any, ...]:
    """The values of the other arguments that are chosen from a list of words."""
    return tuple(
        trial.params.get(other)
        for other, values in tuning.space.items()
        if other != name
        and not all(_is_number(v) for v in getattr(values, "values", ()))
    )


def _groups(tuning: Tuning, trials: list[Trial], name: str) -> list[Places]:
    """The trials by those values, each a line of its own: (k,) places in each."""
    found: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        found.setdefault(repr(_kind(tuning, trial, name)), []).append(place)
    return [np.array(places) for places in found.values()]


def _best(where: Array, scores: Array, rows: Places, better: Any) -> Places:
    """The best trial at each value, by value; none of many values."""
    ends = np.unique(where[rows])
    if len(ends) > CURVE:
        return np.zeros(0, np.intp)
    at = [rows[where[rows] == end] for end in ends]
    return np.array([r[int(better(scores[r]))] for r in at], np.intp)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mark(ax: Axes, tuning: Tuning, seen: Searched, trials: list[Trial]) -> None:
    """The chosen setting: a dotted line, and a diamond."""
    numbers = [trial.number for trial in trials]
    at = seen.places[numbers.index(tuning.chosen.number)]
    said = tuning.chosen.params[seen.name]
    if isinstance(said, int | float) and not isinstance(said, bool):
        said = number(float(said), 3, trim=True)
    ax.axvline(at, color=ORANGE, linestyle=":", linewidth=1.5, zorder=2)
    draw_chosen(
        ax, at, float(tuning.chosen.score or 0.0), wrapped(f"chosen: {said}", 30)
    )


def _searched(name: str, values: list[Any]) -> Searched:
    """Where the values of an argument stand on its axis."""
    numeric = all(_is_number(v) and math.isfinite(v) for v in values)
    if numeric:
        places = np.array(values, np.float64)
        positive = bool(places.min() > 0)
        return Searched(
            name, places, None, positive and places.max() >= 30 * places.min()
        )
    known = list(dict.fromkeys(str(v) for v in values))
    places = np.array([known.index(str(v)) for v in values], np.float64)
    return Searched(name, places, names_of(known), False)


def _head(ax: Axes, heights: Heights, *, first: bool) -> None:
    """What the colours mean, once; what is chosen, in each panel."""
    title = None
    if heights.outside and first:
        many = f"{heights.outside:,} trial{'' if heights.outside == 1 else 's'}"
        title = f"{many} far off {'are' if heights.outside > 1 else 'is'} not shown"
    if not first:
        for line in ax.get_lines():
            told = line.get_color() == INK or str(line.get_label())[:6] == "chosen"
            if not told:
                line.set_label("_")
        title = " " if heights.outside else None
    set_head(ax, title)


def _heights(trials: list[Trial], more_is_better: bool) -> Heights:
    """The heights of all panels.

    Very bad settings would squeeze what matters: what is further from the best trial
    than some times the better part of them is left out.
    """
    pairs = [(t.score, t.train_score) for t in trials]
    values = np.array(pairs, np.float64)  # (m, 2), NaN where there is none
    seen = values[:, 0]
    best = float(seen.max() if more_is_better else seen.min())
    off = np.abs(seen - best)
    share = 0.75 if len(seen) <= CURVE else 0.3
    near = off <= (FAR * float(np.quantile(off, share)) or float(off.max()))
    kept, whole = (limits_of(v[np.isfinite(v)]) for v in (values[near], values))
    if whole[1] - whole[0] <= FAR * (kept[1] - kept[0]):
        return Heights(whole, 0)
    return Heights(kept, int((~near).sum()))


def _frame(ax: Axes, seen: Searched, heights: Heights, title: str) -> None:
    """Limits, ticks and names of both axes."""
    places = seen.places
    if seen.labels is not None:
        set_frame(ax, (-0.5, len(seen.labels) - 0.5), heights.limits, seen.name, title)
        fix_ticks(ax.xaxis, [float(i) for i in range(len(seen.labels))], seen.labels)
        turn_names(ax, seen.labels)
    elif seen.log:
        low, high = float(places.min()), float(places.max())
        air = (high / low) ** 0.04
        set_frame(ax, (low / air, high * air), heights.limits, seen.name, title)
        ax.set_xscale("log")
        ax.set_xlim(low / air, high * air)
        log_ticks(ax.xaxis, low / air, high * air)
    else:
        set_frame(ax, limits_of(places, 0.04), heights.limits, seen.name, title)
        if (places == np.round(places)).all():
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
