"""The pictures of the rows: fit, residuals, and partial residuals by feature.

The four pictures of residuals are those of R's plot.lm. Few rows are drawn each; of
many, how many lie in a cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradline.data import Array
from gradline.report.bins import Grid, Line, smooth
from gradline.report.markup import Markup, el, short
from gradline.report.panels import Panel
from gradline.report.residuals import (
    ACTUAL,
    COOK,
    FITTED,
    LEVERAGE,
    PLACE,
    RESIDUAL,
    STANDARD,
    Seen,
)
from gradline.report.svg import LARGE, Frame, limits
from gradline.report.ticks import said

if TYPE_CHECKING:
    from gradline.result import Fit

#: Places that a trend is worked out at.
TREND = 48
#: Rows that are named in a picture.
NAMED = 3
#: Quantiles that are drawn of many rows.
QUANTILES = 240


class Picture(NamedTuple):
    """A picture and what it says: its figure, for the page."""

    svg: Markup
    title: str
    caption: str

    def figure(self, kind: str = "") -> Markup:
        """Title, picture and caption."""
        head = el("b", f"{self.title}.")
        caption = el("figcaption", head, " ", self.caption)
        return el("figure", self.svg, caption, class_=kind or None)


def fit_picture(fit: Fit, seen: Seen) -> Picture:
    """The line over the points of one feature, or actual against predicted."""
    one = len(seen.panels) == 1 and seen.panels[0].levels is None
    numeric = one and fit.design.numbers == fit.design.features
    target = fit.target
    x, y = _range(seen.picture.x), _range(seen.picture.y)
    if numeric:
        name = seen.panels[0].name
        frame = Frame(x, y, (name, target), size=LARGE)
        known = None if seen.rows is None else seen.values[0][0]
        _rows(frame, seen.picture, known, _column(seen, ACTUAL))
        at = np.linspace(*x, 240)
        drawn = _predicted(fit, name, at)
        if drawn is not None:
            frame.line(at, drawn, "fit")
        title = "The fit"
        caption = (
            f"The line is the prediction of {short(target)} at each {short(name)}."
        )
        about = f"{seen.count:,} rows of {target} against {name}, and the fitted line."
        return Picture(frame.svg(title, about, "fit"), title, caption + _many(seen))
    both = min(x[0], y[0]), max(x[1], y[1])
    frame = Frame(both, both, (f"predicted {target}", f"actual {target}"), size=LARGE)
    _rows(frame, seen.picture, _column(seen, FITTED), _column(seen, ACTUAL))
    frame.line(np.array(both), np.array(both), "known")
    title = "Actual against predicted"
    caption = "On the dashed line, the prediction is right."
    about = f"{seen.count:,} rows of {target}: actual against predicted values."
    return Picture(frame.svg(title, about, "fit"), title, caption + _many(seen))


def residual_pictures(fit: Fit, seen: Seen) -> list[Picture]:
    """Residuals against fitted, normal Q-Q, scale-location, and leverage."""
    found = [_against_fitted(fit, seen), _normal(seen), _scale(fit, seen)]
    return found + ([_leverage(seen)] if seen.known else [])


def _against_fitted(fit: Fit, seen: Seen) -> Picture:
    frame = Frame(
        _range(seen.residual.x),
        _range(seen.residual.y),
        (f"predicted {fit.target}", "residual"),
    )
    _rows(frame, seen.residual, _column(seen, FITTED), _column(seen, RESIDUAL))
    frame.rule(y=0.0)
    at, trend = _trend(seen.by_fitted, 2)
    frame.line(at, trend, "trend")
    _name_rows(frame, seen, FITTED, RESIDUAL, STANDARD)
    title = "Residuals against fitted"
    low, high = float(trend.min()), float(trend.max())
    about = (
        f"The trend of the residuals goes from {said(low, 3)} to {said(high, 3)}; "
        f"their standard error is {said(seen.scale, 3)}."
    )
    caption = (
        "The orange trend should stay near 0: a bend says that a straight line does "
        "not fit."
    )
    return Picture(frame.svg(title, about, "residuals"), title, caption)


def _normal(seen: Seen) -> Picture:
    n, inverse = seen.count, NormalDist().inv_cdf
    rows = seen.rows
    if rows is not None:
        z = np.sort(rows[:, STANDARD])
        shares = ppoints(n)
        order = np.argsort(rows[:, STANDARD], kind="stable")
        back = np.empty(n, dtype=np.int64)
        back[order] = np.arange(n)
        normal = np.array([inverse(p) for p in shares])
        x, y = normal[back], rows[:, STANDARD]
        quarters = np.quantile(z, [0.25, 0.75])
    else:
        low, high = seen.tails
        ends = ppoints(n)
        middle = np.linspace(len(low) / n, 1 - len(high) / n, QUANTILES)
        shares = np.concatenate([ends[: len(low)], middle, ends[n - len(high) :]])
        y = np.concatenate([low, seen.standard.quantiles(middle), high])
        x = np.array([inverse(p) for p in shares])
        quarters = seen.standard.quantiles(np.array([0.25, 0.75]))
    slope = float(quarters[1] - quarters[0]) / (2 * inverse(0.75))
    middle_y = float(quarters.mean())
    frame = Frame(limits(x), limits(y), ("normal quantile", "standardised residual"))
    ends_x = np.array(frame.x)
    frame.line(ends_x, middle_y + slope * ends_x, "known")
    frame.points(x, y, "dot" + size_of(len(x)), data_row=rows is not None)
    title = "Normal Q-Q"
    about = (
        f"Standardised residuals from {said(float(y.min()), 3)} to "
        f"{said(float(y.max()), 3)}, where normal noise of so many rows would go from "
        f"{said(float(x.min()), 3)} to {said(float(x.max()), 3)}."
    )
    caption = "Normal noise lies along the dashed line; ends that bend away are tails."
    if rows is None:
        caption += f" Quantiles of {n:,} rows, the {2 * len(low)} outermost one by one."
    return Picture(frame.svg(title, about, "qq"), title, caption)


def _scale(fit: Fit, seen: Seen) -> Picture:
    top = _range(seen.location.y)[1]
    frame = Frame(
        _range(seen.location.x),
        (0.0, top),
        (f"predicted {fit.target}", "√|standardised residual|"),
    )
    z = _column(seen, STANDARD)
    root = None if z is None else np.sqrt(np.abs(z))
    _rows(frame, seen.location, _column(seen, FITTED), root)
    at, trend = _trend(seen.by_fitted, 3)
    frame.line(at, trend, "trend")
    title = "Scale-location"
    about = (
        "The trend of the size of the residuals goes from "
        f"{said(float(trend.min()), 3)}"
        f" to {said(float(trend.max()), 3)}."
    )
    caption = (
        "A level trend says that the noise is equal; a rise, that larger predictions "
        "are less sure."
    )
    return Picture(frame.svg(title, about, "scale"), title, caption)


def _leverage(seen: Seen) -> Picture:
    grid = seen.lever
    y = _range(grid.y)
    x = (0.0, max(_range(grid.x)[1], 1e-9))
    frame = Frame(x, y, ("leverage", "standardised residual"))
    _rows(frame, grid, _column(seen, LEVERAGE), _column(seen, STANDARD))
    frame.rule(y=0.0)
    h = np.linspace(max(x[1] / 400, 1e-9), min(x[1], 1 - 1e-9), 160)
    drawn = False
    for distance in (0.5, 1.0):
        edge = np.sqrt(distance * seen.coefficients * (1 - h) / h)
        for sign in (1.0, -1.0):
            frame.line(h, sign * edge, "cook")
        drawn = drawn or bool((edge <= max(y[1], -y[0])).any())
        inside = edge <= 0.94 * y[1]
        if inside.any():
            i = int(np.flatnonzero(inside)[-1])
            frame.say(float(h[i]), float(edge[i]), f"{distance:g}", "tag cook")
    at, trend = _trend(seen.by_lever, 2, 0.03)
    frame.line(at, trend, "trend")
    _name_rows(frame, seen, LEVERAGE, STANDARD, COOK)
    title = "Residuals against leverage"
    most = seen.notable[np.argmax(seen.notable[:, COOK])]
    about = (
        f"The largest Cook's distance is {said(float(most[COOK]), 3)}, of row "
        f"{int(most[PLACE]) + 1:,}; the largest leverage "
        f"{said(float(seen.notable[:, LEVERAGE].max()), 3)}."
    )
    caption = (
        "Dotted: Cook's distance 0.5 and 1. A row beyond 1 changes the coefficients "
        f"much. {about}"
        if drawn
        else f"No row is near a Cook's distance of 0.5. {about}"
    )
    return Picture(frame.svg(title, about, "leverage"), title, caption)


def partial_pictures(fit: Fit, seen: Seen, most: int) -> list[Picture]:
    """Component and residual of each feature, a picture each."""
    return [_partial(fit, seen, i) for i in range(min(most, len(seen.panels)))]


def _partial(fit: Fit, seen: Seen, place: int) -> Picture:
    panel, grid, trend = seen.panels[place], seen.grids[place], seen.trends[place]
    own = len(panel.places) > 0
    what = "partial residual" if own else "residual"
    names = (panel.name, f"{what} of {fit.target}")
    x, y = seen.values[place] if seen.rows is not None else (None, None)
    key, title = f"partial-{place}", short(panel.name)
    if panel.levels is not None:
        return _strips(panel, seen, place, names, key, own)
    frame = Frame(_range(grid.x), _range(grid.y), names)
    _rows(frame, grid, x, y)
    if not own:
        frame.rule(y=0.0)
    cells = trend.filled
    if own:
        frame.line(cells[1], cells[2], "fit")
    at, drawn = _trend(trend, 3)
    frame.line(at, drawn, "trend")
    about = f"{what} of {fit.target} against {panel.name}, {seen.count:,} rows."
    caption = (
        "Blue: what it adds to the prediction; orange: what the rows say."
        if own
        else "Residuals: what it does, it does together with others, or in a module; "
        "the trend should stay at 0."
    )
    return Picture(frame.svg(title, about, key), title, caption)


def _strips(
    panel: Panel, seen: Seen, place: int, names: tuple[str, str], key: str, own: bool
) -> Picture:
    """A category: a strip of rows for each level, and its component as a bar."""
    assert panel.levels is not None
    grid, count = seen.grids[place], len(panel.levels)
    ticks = list(enumerate(apart(panel.levels, max(14, 42 // count))))
    levels = [short(level, 40) for level in panel.levels]
    frame = Frame(
        (-0.6, count - 0.4),
        _range(grid.y),
        names,
        ticks=[(float(i), label) for i, label in ticks],
        levels=levels,
    )
    cells = seen.trends[place].filled
    if seen.rows is not None:
        x, y = seen.values[place]
        there = x >= 0
        # Golden steps: as even as a grid and without its rows.
        beside = (np.arange(len(x)) * 0.6180339887) % 1 - 0.5
        frame.points(
            x[there] + 0.56 * beside[there],
            y[there],
            "dot" + size_of(len(x)),
            data_row=bool(there.all()),
        )
    else:
        frame.density(grid, narrower=0.24)
    for _, at, component, mean in cells.T:
        ends = np.array([at - 0.36, at + 0.36])
        if own:
            frame.line(ends, np.array([component] * 2), "fit")
        frame.line(ends * 0.5 + at * 0.5, np.array([mean] * 2), "trend")
    title = short(panel.name)
    rows = ", ".join(
        f"{short(panel.levels[int(at)], 24)}: {int(n):,}" for n, at, *_ in cells.T
    )
    caption = "Orange: the mean of its rows"
    caption += ". Blue: what each level adds." if own else ", which should be near 0."
    if len(panel.strips if panel.strips is not None else ()) > count:
        caption += f" {count} of {len(panel.strips):,} levels are shown."  # type: ignore[arg-type]
    return Picture(frame.svg(title, f"Rows by level: {rows}.", key), title, caption)


def apart(names: Sequence[str], room: int) -> list[str]:
    """Names cut to so many characters, each still another than the rest."""
    found = [short(name, room) for name in names]
    if len(set(found)) == len(found):
        return found
    # What all begin with tells none from another.
    pairs = zip(min(names), max(names), strict=False)
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    if same > 3:
        ends = [short(name[same:], 200) for name in names]
        found = ["…" + (t if len(t) < room else t[: room - 2] + "…") for t in ends]
    if len(set(found)) < len(found):
        found = [f"{i + 1}: {short(n, room - 4)}" for i, n in enumerate(names)]
    return found


def ppoints(n: int) -> Array:
    """Shares for n ordered values, as R's ppoints."""
    a = 3 / 8 if n <= 10 else 0.5
    return np.asarray((np.arange(1, n + 1) - a) / (n + 1 - 2 * a))


def size_of(count: int) -> str:
    """The class of dots: smaller and lighter where they are many."""
    return "" if count <= 150 else " mid" if count <= 700 else " many"


def _column(seen: Seen, which: int) -> Array | None:
    return None if seen.rows is None else seen.rows[:, which]


def _rows(frame: Frame, grid: Grid, x: Array | None, y: Array | None) -> None:
    """Each row where they are few; else their density."""
    if x is None or y is None:
        frame.density(grid)
    else:
        frame.points(x, y, "dot" + size_of(len(x)), data_row=True)


def _range(axis: object) -> tuple[float, float]:
    return limits(np.array([axis.low, axis.high]))  # type: ignore[attr-defined]


def _trend(line: Line, which: int, spare: float = 0.0) -> tuple[Array, Array]:
    """The trend of a sum's mean over x, where there are rows enough for one.

    It ends before the outermost rows, which alone would turn it.
    """
    cells = line.filled
    total = float(cells[0].sum())
    ends = np.array([0.0, 1.0])
    if total > 20:
        ends = np.array([max(2 / total, spare / 10), 1 - max(2 / total, spare)])
    low, high = line.quantiles(ends)
    at = np.linspace(low, high, TREND) if high > low else cells[1, [0, -1]]
    return at, smooth(cells[0], cells[1], cells[which], at)


def _predicted(fit: Fit, name: str, at: Array) -> Array | None:
    """The prediction over one feature; where it is not defined, NaN."""
    try:
        return np.asarray(fit.predict({name: at}))
    except ValueError:  # a logarithm of what lies beyond the rows
        return None


def _name_rows(frame: Frame, seen: Seen, x: int, y: int, by: int) -> None:
    """The numbers of the rows that stand out."""
    order = np.argsort(-np.abs(seen.notable[:, by]), kind="stable")[:NAMED]
    if seen.count < 8 or not math.isfinite(seen.scale) or seen.scale == 0:
        return
    for row in seen.notable[order]:
        frame.say(float(row[x]), float(row[y]), f"row {int(row[PLACE]) + 1:,}")


def _many(seen: Seen) -> str:
    if seen.rows is not None:
        return ""
    return f" Deeper blue: more of the {seen.count:,} rows."
