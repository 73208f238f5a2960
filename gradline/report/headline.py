"""What was found, in plain sentences: how good the fit is, and its largest effect.

No effect is named whose number would mislead: of coefficients that the columns do not
determine or that are on their way, of features that act together, or that zero could
be as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradline.errors import Status
from gradline.inference import Inference
from gradline.report.coefficients import Effects
from gradline.report.judged import constant, middle_spread, squared
from gradline.report.markup import short
from gradline.report.panels import owners
from gradline.report.residuals import Seen
from gradline.report.ticks import said

if TYPE_CHECKING:
    from gradline.result import Fit

#: An effect with a larger p is not named.
NAMED = 0.05


def found_sentence(
    fit: Fit, seen: Seen | None, effects: Effects, inference: Inference | None
) -> str:
    """What was found, in a few plain sentences."""
    count = len(fit.design.features)
    text = f"From {count:,} feature{'s' * (count != 1)} in {fit.rows:,} "
    text += f"row{'s' * (fit.rows != 1)}, {_how_good(fit, seen)}."
    for part in ("test", "validation"):
        if part in fit.scores:
            text += _held_out(fit, part)
            break
    return text + _largest(fit, effects, inference)


def _how_good(fit: Fit, seen: Seen | None) -> str:
    name, r2, rmse = short(fit.target, 40), fit.metrics.r2, fit.metrics.rmse
    if not squared(fit):
        # R² and RMSE are judged by the rows that such a fit leaves aside.
        if seen is not None and seen.rows is not None and seen.count > 2:
            typical = 0.6745 * middle_spread(seen)[1]
            return (
                f"{name} is predicted; half of the residuals lie within "
                f"{said(typical, 3)} of their median"
            )
        error = said(fit.metrics.at_hand["mae"], 3)
        return f"{name} is predicted, {error} off on average"
    if not math.isfinite(r2) or constant(fit):
        return f"{name} does not vary: there is nothing to explain"
    if r2 < 0:
        found = f"the fit does worse than the mean of {name} would"
    else:
        share = f"{r2:.0%}" if 0.01 <= r2 < 0.995 else f"{r2:.2%}"
        found = f"the fit explains {share} of the variation of {name}"
    return f"{found}, with a typical error of {said(rmse, 3)}"


def _held_out(fit: Fit, part: str) -> str:
    """What rows say that the fit has not seen."""
    held = fit.scores[part]
    text = f" On {held.rows:,} {part} row{'s' * (held.rows != 1)} that it has not seen"
    if squared(fit) and math.isfinite(held.r2):
        worse = held.r2 < 0
        told = "worse than the mean" if worse else f"R² {said(held.r2, 2)}"
        return f"{text}: {told}, with a typical error of {said(held.rmse, 3)}."
    return f"{text}, it is {said(held.at_hand['mae'], 3)} off on average."


def _largest(fit: Fit, effects: Effects, inference: Inference | None) -> str:
    """The largest effect, where one number tells it."""
    vague = fit.certificate.status in (Status.RANK_DEFICIENT, Status.NOT_CONVERGED)
    vague = vague or constant(fit)
    if not effects.order or vague or not math.isfinite(fit.metrics.r2):
        return ""
    first = effects.order[0]
    of = owners(fit.design)
    columns, value = of[first], float(fit.slopes[first])
    if value == 0 or not math.isfinite(float(effects.size[first])):
        return ""
    same = [o for o in of if set(o) & set(columns)]
    level = columns[0] in fit.design.levels and columns[0] not in fit.design.numbers
    if any(o != columns for o in same) or (len(same) > 1 and not level):
        return (
            " Features act together, or by powers: the pictures tell what each does, "
            "no coefficient alone."
        )
    name = list(fit.coefficients)[first]
    if inference is not None and not inference.p[name] < NAMED:
        return ""
    way = "more" if value > 0 else "less"
    alike = ", other features alike" if len(fit.design.features) > 1 else ""
    if level:
        return (
            f" The largest effect: {short(name, 40)}, {said(abs(value), 3)} {way} than "
            f"the base level{alike}."
        )
    return (
        f" The largest effect: each unit of {short(name, 40)} goes with "
        f"{said(abs(value), 3)} {way}{alike}."
    )
