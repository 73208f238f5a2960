"""What a report warns of: in plain words, with the threshold and what to do.

Each test asks for two things, so that neither chance nor size alone raises an alarm: p
below 0.001 (or a bound that needs no p), and an effect large enough to matter. The
thresholds and where they come from:

    unequal noise       Koenker's studentised Breusch-Pagan test on the prediction, and
                        a spread that differs by half or more between the fifths of the
                        rows with the least and the greatest predictions (Koenker 1981;
                        Fox, Applied Regression Analysis, 12.2: a variance ratio of 4);
                        or |z| between fifths along a feature (Levene 1960)
    a bend              Ramsey's RESET, and the squares of plain features: 2% or more
                        of the residual sum of squares explained (Ramsey 1969); else
                        means of groups along a feature that differ by as much beyond
                        chance (groups.py)
    the origin          an intercept, where there is none, explains 2% or more
    tails               Jarque-Bera, and |skewness| > 1 or excess kurtosis > 2
    an outlier          Bonferroni: p n < 0.001 for the studentised residual (Weisberg,
                        Applied Linear Regression, 9.1.2); of a robust fit, of the
                        distance in median absolute deviations
    influence           Cook's distance > 1 (Cook & Weisberg 1982)
    collinear           VIF > 10, of a category that of its levels together (Fox
                        & Monette 1992); condition > 30 where no terms are powers or
                        products (Belsley, Kuh & Welsch 1980)
    neighbours alike    lag-1 correlation of residuals > 0.2 and z > 4 (Durbin & Watson)
    overfitting         RMSE on validation or test rows 1.25 times that in training,
                        and F of the mean squares
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
from gradline.distributions import f_above
from gradline.errors import Status
from gradline.report.judged import SURE, constant, of_residuals
from gradline.report.markup import short
from gradline.report.panels import owners
from gradline.report.residuals import Seen
from gradline.report.ticks import said
from gradline.reported import Finding

if TYPE_CHECKING:
    from gradline.result import Fit


def findings(fit: Fit, seen: Seen | None) -> list[Finding]:
    """All that is worth saying, the gravest first.

    Args:
        fit: the fit.
        seen: its rows; None where there are none.
    """
    found = [*_certificate(fit), *_scores(fit), *_design(fit)]
    if seen is not None and seen.scale > 0 and judged(fit):
        found += of_residuals(fit, seen)
    found += _notes(fit, found)
    order = ("act", "look", "know")
    return sorted(found, key=lambda f: order.index(f.grade))


def judged(fit: Fit) -> bool:
    """Whether residuals tell of the data, and not of a descent that stopped short."""
    return fit.certificate.status != Status.NOT_CONVERGED


def _certificate(fit: Fit) -> list[Finding]:
    c, stopped = fit.certificate, bool(fit.settings.get("early_stopping"))
    if c.status == Status.NOT_CONVERGED and not stopped:
        text = "The fit is not converged; its residuals are not judged until it is."
        return [Finding("not_converged", "act", text, c.advice)]
    if c.status == Status.RANK_DEFICIENT:
        text = f"The columns determine {c.rank:,} of {c.columns:,} coefficients."
        return [Finding("rank_deficient", "act", text, c.advice)]
    return []


def _scores(fit: Fit) -> list[Finding]:
    found, train = [], fit.metrics
    for part, scores in fit.scores.items():
        if part == "train":
            continue
        if train.rmse <= 0 or scores.rmse <= 1.25 * train.rmse:
            continue
        f = (scores.rmse / train.rmse) ** 2
        if f_above(f, scores.rows, train.rows) < SURE:
            text = (
                f"On the {part} rows the RMSE is {said(scores.rmse)}, "
                f"{scores.rmse / train.rmse:.2g} times that in training (from 1.25 on, "
                "and p < 0.001, this is said)."
            )
            less = (
                "a larger alpha"
                if fit.settings.get("penalty")
                else "penalty='ridge' (--penalty ridge)"
            )
            advice = (
                f"Take fewer terms, or {less}; and see whether the parts are alike."
            )
            found.append(Finding("overfitting", "look", text, advice))
    return found


def _design(fit: Fit) -> list[Finding]:
    found, c = [], fit.certificate
    k = max(c.columns, 1)
    if fit.rows < 10 * k and c.status != Status.RANK_DEFICIENT and fit.coefficients:
        wide = "intervals are wide and " if fit.no_inference is None else ""
        text = (
            f"{fit.rows:,} rows for {k:,} coefficients: under 10 for each, {wide}"
            "the R² flatters."
        )
        advice = "Give more rows or fewer features" + (
            "." if fit.settings.get("penalty") else ", or shrink: penalty='ridge'."
        )
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
    loss = fit.metrics
    if (
        fit.rows > k + 1
        and loss.r2 > 1 - 1e-12
        and fit.coefficients
        and not constant(fit)
    ):
        text = "The line goes through every point, as data with any noise never do."
        advice = (
            "See whether a feature is the target in another form, or is known only "
            "after it."
        )
        found.append(Finding("perfect", "look", text, advice))
    return found


def _collinear(fit: Fit) -> list[Finding]:
    """Features that others explain; powers and products are meant to be."""
    of = owners(fit.design)
    features: dict[tuple[str, ...], list[int]] = {}
    for i, columns in enumerate(of):
        features.setdefault(columns, []).append(i)
    names = list(fit.coefficients)
    high, plain = [], True
    for columns, places in features.items():
        level = columns[0] in fit.design.levels
        mixed = any(o != columns and set(o) & set(columns) for o in of)
        if mixed or (len(places) > 1 and not level):
            plain = False  # powers, or products
            continue
        vif = inflation_of(fit, places)
        if vif > 10:
            name = names[places[0]] if len(places) == 1 else columns[0]
            high.append((vif, name))
    condition = fit.certificate.condition
    told = [
        f"{short(name)} (variance inflation {said(vif, 3)}, from 10 on it hurts)"
        for vif, name in sorted(high, reverse=True)[:4]
    ]
    if plain and condition > 30:
        told.insert(0, f"condition {said(condition, 3)}, from 30 on it hurts")
    if not told:
        return []
    text = f"Features say nearly the same: {'; '.join(told)}."
    advice = (
        "Leave out one of them, or read them together: their coefficients trade off "
        "against each other; predictions are as good as ever. penalty='ridge' holds "
        "them steady."
    )
    return [Finding("collinear", "look", text, advice)]


def inflation_of(fit: Fit, places: list[int]) -> float:
    """Of terms together, as of a category's levels: (det S_jj det (S⁻¹)_jj)^(1/terms).

    Of one term it is the variance inflation factor; and unlike that it does not hang
    on which level is the base: Fox & Monette, "Generalized collinearity
    diagnostics", 1992, there raised to 1 / (2 terms) and of a root.
    """
    assert fit.evidence is not None
    root = fit.evidence.root  # root rootᵀ = S⁻¹
    part = root[places] @ root[places].T
    inverse = np.linalg.inv(root)[:, places]
    _, a = np.linalg.slogdet(part)
    _, b = np.linalg.slogdet(inverse.T @ inverse)
    return math.exp(min(float(a + b) / len(places), 700.0))


def inflation(fit: Fit) -> Array:
    """The variance inflation factor of each term, (d,): S_jj (S⁻¹)_jj."""
    assert fit.evidence is not None
    root = fit.evidence.root  # root rootᵀ = S⁻¹
    inverse = np.linalg.inv(root)
    found: Array = np.square(root).sum(1) * np.square(inverse).sum(0)
    return found


def _notes(fit: Fit, found: list[Finding]) -> list[Finding]:
    """What the fit itself said."""
    said_already = {f.advice for f in found}
    notes = [
        n
        for n in fit.notes
        if n not in said_already
        and "rows were dropped" not in n
        and "row was dropped" not in n
        and "of the weight lies beyond" not in n  # true of clean data too
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
