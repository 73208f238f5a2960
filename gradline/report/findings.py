"""What a report warns of: in plain words, with the threshold and what to do.

Each test asks for two things, so that neither chance nor size alone raises an alarm: p
below 0.001 (or a bound that needs no p), and an effect large enough to matter. The
thresholds and where they come from:

    noise that grows    Koenker's studentised Breusch-Pagan test on the prediction, and
                        a spread that differs by half or more between the fifths of the
                        rows with the least and the greatest predictions (Koenker 1981;
                        Fox, Applied Regression Analysis, 12.2: a variance ratio of 4)
    a bend              Ramsey's RESET, and the squares of plain features: 2% or more
                        of the residual sum of squares explained (Ramsey 1969)
    tails               Jarque-Bera, and |skewness| > 1 or excess kurtosis > 2
    an outlier          Bonferroni: p n < 0.001 for the studentised residual (Weisberg,
                        Applied Linear Regression, 9.1.2)
    influence           Cook's distance > 1 (Cook & Weisberg 1982)
    collinear           condition > 30 (Belsley, Kuh & Welsch 1980); VIF > 10
    neighbours alike    lag-1 correlation of residuals > 0.2 and z > 4 (Durbin & Watson)
    overfitting         RMSE on validation or test rows 1.25 times that in training
    few rows            under 10 rows per coefficient (Harrell, Regression Modeling
                        Strategies, 4.4)
    rows left out       over 5% incomplete (Schafer 1999)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradline.certificate import FEW_DIGITS, NEARLY_DEPENDENT
from gradline.data import Array
from gradline.distributions import t_two_sided
from gradline.errors import Status
from gradline.report.markup import short
from gradline.report.panels import owners
from gradline.report.residuals import COOK, PLACE, STANDARD, Seen
from gradline.report.ticks import said
from gradline.reported import Finding

if TYPE_CHECKING:
    from gradline.result import Fit

#: A p-value below this is no chance.
SURE = 1e-3


def findings(fit: Fit, seen: Seen | None) -> list[Finding]:
    """All that is worth saying, the gravest first.

    Args:
        fit: the fit.
        seen: its rows; None where there are none.
    """
    found = [*_certificate(fit), *_scores(fit), *_design(fit)]
    if seen is not None and seen.scale > 0:
        found += _residuals(fit, seen)
    found += _notes(fit, found)
    order = ("act", "look", "know")
    return sorted(found, key=lambda f: order.index(f.grade))


def _certificate(fit: Fit) -> list[Finding]:
    c, stopped = fit.certificate, bool(fit.settings.get("early_stopping"))
    if c.status == Status.NOT_CONVERGED and not stopped:
        return [Finding("not_converged", "act", "The fit is not converged.", c.advice)]
    if c.status == Status.RANK_DEFICIENT:
        text = f"The columns determine {c.rank:,} of {c.columns:,} coefficients."
        return [Finding("rank_deficient", "act", text, c.advice)]
    return []


def _scores(fit: Fit) -> list[Finding]:
    found, train = [], fit.metrics
    for part, scores in fit.scores.items():
        if part == "train":
            continue
        if train.rmse > 0 and scores.rmse > 1.25 * train.rmse and scores.rows >= 30:
            text = (
                f"On the {part} rows the RMSE is {said(scores.rmse)}, "
                f"{scores.rmse / train.rmse:.2g} times that in training (from 1.25 on, "
                "this is said)."
            )
            advice = (
                "Take fewer terms, or penalty='ridge' (--penalty ridge); and see "
                "whether the parts are alike."
            )
            found.append(Finding("overfitting", "look", text, advice))
    return found


def _design(fit: Fit) -> list[Finding]:
    found, c = [], fit.certificate
    k = max(c.columns, 1)
    if fit.rows < 10 * k and c.status != Status.RANK_DEFICIENT and fit.coefficients:
        text = (
            f"{fit.rows:,} rows for {k:,} coefficients: under 10 for each, intervals "
            "are wide and the R² flatters."
        )
        advice = "Give more rows or fewer features, or shrink: penalty='ridge'."
        found.append(Finding("few_rows", "know", text, advice))
    every = fit.rows + fit.dropped
    if fit.dropped > 0.05 * every:
        text = (
            f"{fit.dropped:,} of {every:,} rows ({fit.dropped / every:.0%}) were "
            "incomplete and are left out."
        )
        advice = "Ask why they are: rows that are missing for a reason bend the answer."
        found.append(Finding("rows_left_out", "know", text, advice))
    if fit.no_inference is None and c.rank == c.columns and len(fit.coefficients) > 1:
        found += _collinear(fit)
    return found


def _collinear(fit: Fit) -> list[Finding]:
    """Terms that others explain; those of one feature, or of products, are meant to."""
    of = owners(fit.design)
    single = [
        i
        for i, columns in enumerate(of)
        if sum(set(columns) <= set(o) or set(o) <= set(columns) for o in of) == 1
    ]
    vif = inflation(fit)
    high = sorted((i for i in single if vif[i] > 10), key=lambda i: -vif[i])
    condition = fit.certificate.condition
    if not high and not (condition > 30 and len(single) == len(of)):
        return []
    names = list(fit.coefficients)
    told = ", ".join(
        f"{short(names[i])} (VIF {said(float(vif[i]), 3)})" for i in high[:4]
    )
    text = (
        f"Features say nearly the same: condition {said(condition, 3)}, from 30 "
        "on it hurts"
    )
    text += f"; {told}" if told else ""
    advice = (
        "Leave out one of them, or read them together: their coefficients trade off "
        "against each other; predictions are as good as ever. penalty='ridge' holds "
        "them steady."
    )
    return [Finding("collinear", "look", f"{text}.", advice)]


def inflation(fit: Fit) -> Array:
    """The variance inflation factor of each term, (d,): S_jj (S⁻¹)_jj."""
    assert fit.evidence is not None
    root = fit.evidence.root  # root rootᵀ = S⁻¹
    inverse = np.linalg.inv(root)
    found: Array = np.square(root).sum(1) * np.square(inverse).sum(0)
    return found


def _residuals(fit: Fit, seen: Seen) -> list[Finding]:
    squared = fit.settings.get("loss") not in ("huber", "absolute", "quantile")
    found = _influence(seen) if seen.known else []
    found += _bends(seen) if squared else []
    found += _growing(seen) if squared else []
    if squared:
        found += _tails(seen)
    found += _neighbours(seen)
    return found


def _influence(seen: Seen) -> list[Finding]:
    found = []
    rows = seen.notable
    pulling = rows[rows[:, COOK] > 1]
    if len(pulling) and seen.df > 1:
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
            out = out[np.argsort(-np.abs(out[:, STANDARD]))]
            text = (
                f"{_named(out)}: further from the line than chance allows "
                f"({said(float(abs(out[0, STANDARD])), 3)} standard errors; p "
                f"below 0.001 for the largest of {seen.count:,})."
            )
            advice = (
                "Look at those rows first: a slip of the pen, another unit, "
                "another kind of case?"
            )
            found.append(Finding("outlier", "look", text, advice))
    return found


def _named(rows: Array) -> str:
    """Row 3, Rows 3 and 7, Rows 3, 7, 9 and more."""
    numbers = [f"{int(p) + 1:,}" for p in rows[:, PLACE]]
    if len(numbers) == 1:
        return f"Row {numbers[0]}"
    if len(numbers) > 4:
        return f"Rows {', '.join(numbers[:4])} and others"
    return f"Rows {', '.join(numbers[:-1])} and {numbers[-1]}"


def _bends(seen: Seen) -> list[Finding]:
    """Squares that would help: of features by name, else of the prediction."""
    tests = max(len(seen.bends), 1)
    found = []
    for bend in sorted(seen.bends, key=lambda b: -b.share):
        p = float(t_two_sided(np.array([bend.t]), max(seen.df - 1, 1))[0]) * tests
        if p < SURE and bend.share >= 0.02:
            found.append(bend)
    named = [b for b in found if b.name is not None]
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


def _growing(seen: Seen) -> list[Finding]:
    _, p = breusch_pagan(seen)
    ratio, grows = spread_ratio(seen)
    if p >= SURE or ratio < 1.5:
        return []
    where = "greatest" if grows else "least"
    text = (
        f"The noise is not equal: residuals spread {said(ratio, 2)} times as wide "
        f"among the fifth of rows with the {where} predictions as at the other "
        "end (from 1.5 on, p < 0.001)."
    )
    advice = (
        "Take standard errors that allow for it: fit.inference('HC3') (--cov "
        "HC3); or predict the logarithm of the target."
    )
    return [Finding("heteroscedastic", "look", text, advice)]


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


def _neighbours(seen: Seen) -> list[Finding]:
    if seen.count < 30 or seen.squares <= 0:
        return []
    alike = 1 - seen.steps / seen.squares / 2
    if alike <= 0.2 or alike * math.sqrt(seen.count) <= 4:
        return []
    text = (
        "Rows that follow one another have residuals alike: correlation "
        f"{said(alike, 2)} (over 0.2; 0 for independent rows), Durbin-Watson "
        f"{said(2 * (1 - alike), 3)}."
    )
    advice = (
        "Standard errors are too small where rows belong together: --cov "
        "cluster:COLUMN; rows in order of time want --split-time; or a feature "
        "that tells the groups apart."
    )
    return [Finding("neighbours_alike", "look", text, advice)]


def _notes(fit: Fit, found: list[Finding]) -> list[Finding]:
    """What the fit itself said."""
    said_already = {f.advice for f in found}
    notes = [
        n
        for n in fit.notes
        if n not in said_already
        and "rows were dropped" not in n
        and "row was dropped" not in n
    ]
    notes += [s.note for s in fit.scores.values() if s.note]
    result = [
        Finding("note", "know", short(n[:1].upper() + n[1:], 600), "") for n in notes
    ]
    c = fit.certificate
    unsure = c.digits < FEW_DIGITS or c.condition > NEARLY_DEPENDENT
    done = c.status in (Status.EXACT, Status.CONVERGED)
    if unsure and done and c.advice not in said_already:
        result.append(Finding("digits", "look", short(c.advice, 400), ""))
    return result
