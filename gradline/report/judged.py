"""What residuals tell: bends, unequal noise, far and pulling rows, neighbours alike.

The thresholds, and where they come from, stand at the top of findings.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradline.data import Array
from gradline.distributions import t_two_sided
from gradline.report.groups import differ, groups
from gradline.report.markup import short
from gradline.report.panels import Panel
from gradline.report.residuals import COOK, PLACE, RESIDUAL, STANDARD, Seen
from gradline.report.ticks import said
from gradline.reported import Finding

if TYPE_CHECKING:
    from gradline.result import Fit

#: A p-value below this is no chance.
SURE = 1e-3


def squared(fit: Fit) -> bool:
    """Whether the fit is one of least squares, whose residuals average to zero."""
    return fit.settings.get("loss") not in ("huber", "absolute", "quantile")


def constant(fit: Fit) -> bool:
    """Whether the target is the same in all rows, up to rounding."""
    if fit.sample is None or fit.metrics.rmse > 1e-12 * abs(fit.level):
        return False
    return float(np.ptp(fit.sample.y)) <= 1e-12 * abs(fit.level)


def of_residuals(fit: Fit, seen: Seen) -> list[Finding]:
    """What is worth saying of the rows of a fit that is at its optimum."""
    found = _influence(seen) if seen.known else []
    if not squared(fit):
        found += _far(seen)
    else:
        off = _through_origin(seen)
        found += off
        bends = [] if off else _bends(seen) or _waves(seen)
        found += bends
        found += [] if off else _growing(fit, seen, alone=not bends)
        found += _tails(seen)
    found += _neighbours(fit, seen)
    return found


def _influence(seen: Seen) -> list[Finding]:
    found = []
    rows = seen.notable
    pulling = rows[rows[:, COOK] > 1]
    if len(pulling):
        pulling = pulling[np.argsort(-pulling[:, COOK])]
        told = _named(pulling)
        text = (
            f"{told}: Cook's distance {said(float(pulling[0, COOK]), 3)}, over 1. "
            "Without such a row the coefficients are others."
        )
        advice = (
            "Check it for a mistake; fit without it and compare; or loss='huber' "
            "(--loss huber)."
        )
        found.append(Finding("influential", "look", text, advice))
    if seen.alone:
        text = (
            f"{seen.alone:,} row{'s' * (seen.alone > 1)} with leverage 1: each "
            "determines a coefficient alone, such as the only row of a level."
        )
        advice = (
            "Put rare levels together, or leave those rows out: nothing is "
            "learned from them about the rest."
        )
        found.append(Finding("alone", "look", text, advice))
    if seen.df > 2 and seen.moments[0] > 0:
        z = rows[:, STANDARD]
        left = np.clip(seen.df - z**2, 1e-12, None)
        t = z * np.sqrt((seen.df - 1) / left)
        p = t_two_sided(t, seen.df - 1) * seen.count
        out = rows[p < SURE]
        if len(out):
            first = float(np.abs(t[p < SURE]).max())
            out = out[np.argsort(-np.abs(out[:, STANDARD]))]
            text = (
                f"{_named(out)}: further from the line than chance allows "
                f"({said(first, 3)} standard errors of a fit without it; p below "
                f"0.001 for the largest of {seen.count:,})."
            )
            advice = (
                "Look at those rows first: a slip of the pen, another unit, "
                "another kind of case?"
            )
            found.append(Finding("outlier", "look", text, advice))
    return found


def middle_spread(seen: Seen) -> tuple[float, float]:
    """The median residual, and the median distance from it over 0.6745, as of a σ.

    Rousseeuw & Croux, "Alternatives to the median absolute deviation", 1993.
    """
    if seen.rows is not None:
        r = seen.rows[:, RESIDUAL]
        middle = float(np.median(r))
        return middle, float(np.median(np.abs(r - middle))) / 0.6745
    low, middle, high = (
        seen.scale * v for v in seen.standard.quantiles(np.array([0.25, 0.5, 0.75]))
    )
    return float(middle), float(high - low) / 2 / 0.6745


def _far(seen: Seen) -> list[Finding]:
    """Rows far from a robust fit, by a spread that they cannot stretch."""
    middle, spread = middle_spread(seen)
    if seen.df < 10 or spread <= 0:
        return []
    off = np.abs(seen.notable[:, RESIDUAL] - middle) / spread
    # A median tells as much of a spread as 0.37 of the rows would.
    p = t_two_sided(off, max(0.37 * seen.df, 1.0)) * seen.count
    there = p < SURE
    if not there.any():
        return []
    order = np.argsort(-off[there])
    text = (
        f"{_named(seen.notable[there][order])}: further from the line than chance "
        f"allows ({said(float(off.max()), 3)} times the spread of the middle half; p "
        f"below 0.001 for the largest of {seen.count:,}). The fit gives such rows "
        "little weight; R² and RMSE do not."
    )
    advice = (
        "Look at those rows first: a slip of the pen, another unit, another kind "
        "of case?"
    )
    return [Finding("outlier", "look", text, advice)]


def _named(rows: Array) -> str:
    """Row 3, Rows 3 and 7, Rows 3, 7, 9 and more."""
    numbers = [f"{int(p) + 1:,}" for p in rows[:, PLACE]]
    if len(numbers) == 1:
        return f"Row {numbers[0]}"
    if len(numbers) > 4:
        return f"Rows {', '.join(numbers[:4])} and others"
    return f"Rows {', '.join(numbers[:-1])} and {numbers[-1]}"


def _through_origin(seen: Seen) -> list[Finding]:
    """An intercept that would help, where there is none."""
    for bend in seen.bends:
        p = float(t_two_sided(np.array([bend.t]), max(seen.df - 1, 1))[0])
        if bend.name == "" and p < SURE and bend.share >= 0.02:
            text = (
                "The line is held to the origin, and the rows do not pass there: an "
                f"intercept would take away {bend.share:.0%} of the residual sum of "
                "squares (from 2% on, p < 0.001)."
            )
            advice = "Leave out intercept=False (--no-intercept)."
            return [Finding("no_intercept", "look", text, advice)]
    return []


def _waves(seen: Seen) -> list[Finding]:
    """Means of residuals that differ along a feature, or along the prediction."""
    most = min(20, seen.count // 10)
    rounding = seen.moments[2] == 0  # a perfect fit: z is not told
    if most < 4 or not seen.known or seen.weighted or rounding:
        return []
    lines = [("the prediction", seen.by_fitted)]
    lines += [(p.name, seen.noise[i]) for i, p in _numbers(seen)]
    found = []
    squares = seen.squares - seen.total**2 / seen.count
    for name, line in lines:
        cells = groups(line, 0, most)
        _, p, share = differ(cells, squares, seen.df)
        if p * len(lines) < SURE and share >= 0.02:
            found.append((share, name, len(cells.rows)))
    if not found:
        return []
    named = [f for f in found if f[1] != "the prediction"]
    share, name, count = max(named or found)
    text = (
        f"The residuals follow a curve along {short(name)}: among {count} groups of "
        f"rows in its order, means differ by {share:.0%} of the residual sum of "
        "squares more than by chance (from 2% on, p < 0.001)."
    )
    advice = (
        "No square alone makes up for it: a higher power (--degree 3 and more), a "
        "wave such as sin(x) as a feature, or steps as a category. The picture "
        "feature by feature shows its shape."
    )
    return [Finding("curvature", "look", text, advice)]


def _numbers(seen: Seen) -> list[tuple[int, Panel]]:
    """Features along which rows have an order."""
    return [(i, p) for i, p in enumerate(seen.panels) if p.levels is None]


def _bends(seen: Seen) -> list[Finding]:
    """Squares that would help: of features by name, else of the prediction."""
    bends = [bend for bend in seen.bends if bend.name != ""]
    tests = max(len(bends), 1)
    found = []
    for bend in sorted(bends, key=lambda b: -b.share):
        p = float(t_two_sided(np.array([bend.t]), max(seen.df - 1, 1))[0]) * tests
        if p < SURE and bend.share >= 0.02:
            found.append(bend)
    named = [b for b in found if b.name]
    if named:
        first = named[0]
        name = short(first.name or "")
        also = ", ".join(short(b.name or "") for b in named[1:4])
        text = (
            f"The residuals bend with {name}: its square would take away "
            f"{first.share:.0%} of the residual sum of squares (from 2% on, p < "
            "0.001)"
        )
        text += f"; also with {also}." if also else "."
        advice = (
            f"Let it bend: degree=2 (--degree 2), or a formula with poly({name}, "
            f"2) or log({name})."
        )
        return [Finding("curvature", "look", text, advice)]
    if found:
        text = (
            "The residuals bend with the prediction: its square would take away "
            f"{found[0].share:.0%} of the residual sum of squares (from 2% on, p "
            "< 0.001)."
        )
        advice = (
            "Try the logarithm of the target, interactions, or degree=2 (--degree 2)."
        )
        return [Finding("curvature", "look", text, advice)]
    return []


def breusch_pagan(seen: Seen) -> tuple[float, float]:
    """Koenker's statistic, n R² of z² on the prediction, and its p (χ², 1 df)."""
    n, x, xx, e, ee, xe = seen.spread
    if n < 3:
        return math.nan, 1.0
    sxx, see, sxe = xx - x * x / n, ee - e * e / n, xe - x * e / n
    if sxx <= 1e-12 * xx or see <= 1e-12 * ee:
        return math.nan, 1.0
    statistic = n * sxe**2 / (sxx * see)
    return statistic, math.erfc(math.sqrt(statistic / 2))


def spread_ratio(seen: Seen) -> tuple[float, bool]:
    """The larger over the smaller spread of the outer fifths; whether it grows."""
    cells = seen.by_fitted.filled
    total = np.cumsum(cells[0])
    low, high = total <= 0.2 * total[-1], total > 0.8 * total[-1]
    if not low.any() or not high.any():
        return 1.0, True
    first, last = (
        math.sqrt(float(np.average(cells[4][part], weights=cells[0][part])))
        for part in (low, high)
    )
    if min(first, last) <= 0:
        return math.inf, last > first
    return max(first, last) / min(first, last), last > first


def _growing(fit: Fit, seen: Seen, alone: bool) -> list[Finding]:
    """Noise that follows the prediction; or, where no bend feigns it, a feature."""
    _, p = breusch_pagan(seen)
    ratio, grows = spread_ratio(seen)
    text = ""
    if p < SURE and ratio >= 1.5:
        where = "greatest" if grows else "least"
        text = (
            f"The noise is not equal: residuals spread {said(ratio, 2)} times as wide "
            f"among the fifth of rows with the {where} predictions as at the other "
            "end (from 1.5 on, p < 0.001)."
        )
    elif alone:
        found = [(*along(seen, i), panel.name) for i, panel in _numbers(seen)]
        sure = [f for f in found if f[1] * len(found) < SURE and f[0] >= 1.5]
        if sure:
            ratio, _, name = max(sure)
            text = (
                f"The noise is not equal along {short(name)}: residuals are "
                f"{said(ratio, 2)} times as wide in one fifth of the rows, in its "
                "order, as in another (from 1.5 on, p < 0.001)."
            )
    if not text:
        return []
    advice = (
        "Take standard errors that allow for it: fit.inference('HC3') (--cov "
        "HC3); or predict the logarithm of the target."
        if fit.no_inference is None
        else "Predict the logarithm of the target, or give weights."
    )
    return [Finding("heteroscedastic", "look", text, advice)]


def along(seen: Seen, place: int) -> tuple[float, float]:
    """How |z| differs between fifths of the rows along a feature: ratio, and p."""
    n = seen.count
    if n < 30:
        return 1.0, 1.0
    fifths = groups(seen.noise[place], 1, 5)
    mean = float(fifths.rows @ fifths.means) / n
    _, p, _ = differ(fifths, seen.moments[2] - n * mean**2, n - 1)
    least, most = float(fifths.means.min()), float(fifths.means.max())
    return (most / least if least > 0 else math.inf), p


def shape(seen: Seen) -> tuple[float, float, float]:
    """Skewness, excess kurtosis, and p of Jarque and Bera's test."""
    n, *sums = seen.moments
    m, m2, m3, m4 = (v / n for v in sums)
    variance = m2 - m * m
    if n < 8 or variance <= 0:
        return 0.0, 0.0, 1.0
    third = m3 - 3 * m * m2 + 2 * m**3
    fourth = m4 - 4 * m * m3 + 6 * m * m * m2 - 3 * m**4
    skew, excess = third / variance**1.5, fourth / variance**2 - 3
    return skew, excess, math.exp(-n / 12 * (skew**2 + excess**2 / 4))


def _tails(seen: Seen) -> list[Finding]:
    skew, excess, p = shape(seen)
    if p >= SURE or (abs(skew) <= 1 and excess <= 2):
        return []
    beyond = seen.beyond / seen.count
    text = (
        f"The residuals are not normal: skewness {said(skew, 2)}, excess kurtosis "
        f"{said(excess, 2)} (over 1, or over 2, p < 0.001); {beyond:.2%} lie "
        "beyond three standard errors, and normal noise has 0.27% there."
    )
    advice = (
        "Coefficients bear it where rows are many; prediction intervals do not. "
        "Try log(target), or loss='huber' (--loss huber)."
    )
    return [Finding("tails", "look" if seen.count < 500 else "know", text, advice)]


def _neighbours(fit: Fit, seen: Seen) -> list[Finding]:
    if seen.count < 30 or seen.squares <= 0:
        return []
    squares = seen.squares - seen.total**2 / seen.count  # about their mean
    if squares <= 1e-12 * seen.squares:
        return []
    alike = 1 - seen.steps / squares / 2
    if alike <= 0.2 or alike * math.sqrt(seen.count) <= 4:
        return []
    text = (
        "Rows that follow one another have residuals alike: correlation "
        f"{said(alike, 2)} (over 0.2; 0 for independent rows), Durbin-Watson "
        f"{said(2 * (1 - alike), 3)}."
    )
    errors = (
        "Standard errors are too small where rows belong together: --cov "
        "cluster:COLUMN; "
    )
    advice = (
        "Rows in order of time want --split-time; or give a feature that tells "
        "the groups apart."
    )
    if fit.no_inference is None:
        advice = errors + advice[0].lower() + advice[1:]
    return [Finding("neighbours_alike", "look", text, advice)]
