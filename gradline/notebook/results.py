"""Searches, curves, paths, quantiles, histories and surfaces, as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradline.crossval import CrossValidation
from gradline.curves import LearningCurve, ValidationCurve
from gradline.data import Array
from gradline.leaderboard import TITLES, once_each, setting
from gradline.notebook.frame import badge, card, dotted, head, notes, table
from gradline.notebook.pictures import curve_picture, surface_picture, trace_picture
from gradline.paraboloid import LossSurface
from gradline.penaltypath import RegularizationPath
from gradline.quantiles import QuantileFits
from gradline.report.markup import Markup, el, join, short
from gradline.report.ticks import said
from gradline.scores import Trace
from gradline.terminal import scores_line

if TYPE_CHECKING:
    from gradline.trials import Tuning

#: Why targets have the same alpha.
ONE_ALPHA = "One alpha for all targets, chosen by the mean of their errors."

#: So many rows of a table are shown; the rest of a long one is left to its object.
SHOWN = 60


def trace_html(trace: Trace) -> str:
    """The loss by epoch, drawn, and a few of the epochs.

    Args:
        trace: of a descent.
    """
    places = np.unique(np.linspace(0, len(trace) - 1, min(len(trace), 8)).astype(int))
    seen = trace.validation_losses
    heads = ["epoch", "loss"] + ["validation loss"] * (seen is not None)
    rows = []
    for k in places.tolist():
        row = [f"{trace.epochs[k]:,}", said(float(trace.losses[k]), 6)]
        rows.append(row + ([] if seen is None else [said(float(seen[k]), 6)]))
    chosen = []
    if trace.best_epoch is not None:
        chosen.append(f"Early stopping chose epoch {trace.best_epoch:,}.")
    known = table(heads, rows, words=())
    return card(
        head("Trace", f" of a descent, epochs {trace.epochs[0]:,} to {rows[-1][0]}"),
        beside(known, trace_picture(trace)),
        notes(chosen),
    )


def surface_html(surface: LossSurface) -> str:
    """Contours, and where the loss is lowest.

    Args:
        surface: the loss over two coefficients.
    """
    first, second = (short(name, 40) for name in surface.names)
    where = "at their best" if surface.others == "optimum" else "as in the fit"
    rows = [
        [first, said(surface.centre[0], 6)],
        [second, said(surface.centre[1], 6)],
        ["loss", said(surface.base, 6)],
    ]
    return card(
        head("Loss surface", f" over {first} and {second}"),
        beside(table(["", "lowest at"], rows), surface_picture(surface)),
        notes([f"Other coefficients, if there are any, are {where}."]),
    )


def crossval_html(found: CrossValidation) -> str:
    """A row for each target, and the error by alpha of the first, or of all.

    Args:
        found: a cross-validation.
    """
    at, error = found.chosen, found.standard_error
    heads = ["target", "alpha", "MSE", "std. error", "RMSE", "R²"]
    rows = []
    for k, name in enumerate(found.targets[:SHOWN]):
        mse, spread = float(found.mean[at[k], k]), float(error[at[k], k])
        cells = [said(float(found.alpha[k]), 4), said(mse, 5), _known(spread)]
        cells += [said(mse**0.5, 5), said(float(found.r2[k]), 5)]
        rows.append([short(name), *cells])
    kind = found.penalty or "least squares"
    words = f": {kind}, {found.rows:,} rows, {found.folds}"
    return card(
        head("Cross-validation", words),
        beside(table(heads, rows), alpha_picture(found)),
        notes([ONE_ALPHA] if found.shared and len(found.targets) > 1 else []),
        notes(found.notes),
    )


def alpha_picture(found: CrossValidation) -> Markup | None:
    """The error by alpha: of the first target, or the mean that all share one by.

    Args:
        found: a cross-validation; without a penalty there is no picture.
    """
    if found.penalty is None or len(found.alphas) < 3:
        return None
    curve = found.curve()
    order = np.argsort(found.alphas)
    x = np.log10(found.alphas[order])
    fine = np.isfinite(x)
    several = len(found.targets) > 1
    name = f"MSE of {short(curve.of, 18)}" if several else "mean squared error"
    names = "log₁₀ alpha", name
    return curve_picture(x[fine], {"trend": curve.mean[order][fine]}, names)


def path_html(path: RegularizationPath) -> str:
    """The alphas, and which terms enter at each.

    Args:
        path: slopes by penalty.
    """
    count = len(path.alphas)
    places = np.unique(np.linspace(0, count - 1, min(count, 12)).round()).astype(int)
    last, rows = np.inf, []
    for k in places.tolist():
        alpha = float(path.alphas[k])
        new = [n for n, first in path.entered.items() if alpha <= first < last]
        names = ", ".join(short(n, 30) for n in new[:4])
        names += f" and {len(new) - 4} more" if len(new) > 4 else ""
        rows.append(
            [
                said(alpha, 4),
                f"{path.nonzero[k]}",
                f"{path.r2[k] + 0.0:.4f}".replace("-", ""),
                names,
            ]
        )
        last = alpha
    heads = ["alpha", "slopes", "R²", "terms that enter"]
    words = f" of {short(path.target)}: {path.penalty}, {count:,} alphas"
    return card(
        head("Regularization path", f"{words}, {path.rows:,} rows"),
        table(heads, rows, words=(3,)),
    )


def quantiles_html(fits: QuantileFits) -> str:
    """Coefficients side by side, a column for each level; where lines cross.

    Args:
        fits: by level.
    """
    first = next(iter(fits.values()))
    names = list(first.design.names)
    columns = []
    for fit in fits.values():
        values = list(fit.coefficients.values())
        columns.append([fit.intercept, *values] if fit.design.intercept else values)
    rows: list[list[str]] = [
        [short(name), *(said(float(column[k]), 5) for column in columns)]
        for k, name in enumerate(names[:SHOWN])
    ]
    rows.append(["certificate", *(badge(f.certificate.status) for f in fits.values())])
    heads = ["term", *(f"{level:g}" for level in fits)]
    hidden = len(names) - SHOWN
    crossed = str(fits.crossings)
    return card(
        head(first.target, f": quantiles, {first.rows:,} rows"),
        table(heads, rows),
        notes([f"{hidden:,} more terms are not shown."] if hidden > 0 else []),
        notes([f"{crossed[:1].upper()}{crossed[1:]}."]),
    )


def tuning_html(tuning: Tuning) -> str:
    """The best trials, the one that was chosen, and its score on the test part.

    Args:
        tuning: a search.
    """
    trials = once_each(tuning.ranked)
    heads = ["trial", "setting", f"validation {TITLES[tuning.score]}", "training"]
    rows = [
        [
            str(trial.number),
            setting(trial.params),
            _known(trial.score),
            _known(trial.train_score),
        ]
        for trial in trials[:10]
    ]
    chosen = [k for k, t in enumerate(trials[:10]) if t.number == tuning.chosen.number]
    tested = None
    if tuning.test is not None:
        words = dotted(scores_line(tuning.test).removeprefix("test: "))
        tested = el("p", el("b", "Test part, read once: "), words)
    lost = tuning.count("failed")
    more = [f"{lost:,} trials failed."] if lost else []
    if len(trials) > len(rows):
        more.append(f"{len(trials) - len(rows):,} more settings were worse.")
    words = f": {len(tuning.trials):,} settings tried ({tuning.method})"
    return card(
        head(tuning.target, words),
        el("p", "Chosen: ", el("b", setting(tuning.chosen.params))),
        table(heads, rows, words=(0, 1), chosen=chosen[0] if chosen else None),
        tested,
        notes([*more, *tuning.notes]),
    )


def learning_html(curve: LearningCurve) -> str:
    """The errors by how many rows are learned from.

    Args:
        curve: a learning curve.
    """
    shown = [f"{n:,.0f}" for n in curve.rows]
    words = f" of {short(curve.target)}, {curve.terms:,} slopes, {curve.how}"
    return card(
        head("Learning curve", words),
        _errors("rows", shown, curve, None, np.log10(curve.rows)),
    )


def validation_html(curve: ValidationCurve) -> str:
    """The errors by the value of a setting, the best one marked.

    Args:
        curve: a validation curve.
    """
    shown = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in curve.values]
    words = f" of {short(curve.target)} over {curve.parameter}, {curve.how}"
    x = np.arange(len(shown), dtype=np.float64)
    return card(
        head("Validation curve", words),
        _errors(curve.parameter, shown, curve, curve.best_index, x),
    )


def _errors(
    name: str,
    shown: list[str],
    curve: LearningCurve | ValidationCurve,
    best: int | None,
    x: Array,
) -> Markup:
    """A row for each point, and both errors drawn over x."""
    train, held = curve.train_rmse, curve.validation_rmse
    spread = curve.validation_spread
    known = not np.isnan(spread).all()
    rows = []
    for k, text in enumerate(shown):
        row = [short(text), _error(float(train[k])), _error(float(held[k]))]
        rows.append(row + [_known(float(spread[k]))] * known)
    curves = {"trend": train, "other": held}
    ticks = list(zip(x.tolist(), [short(t, 10) for t in shown], strict=True))
    picture = curve_picture(x, curves, (name, "error (RMSE)"), ticks=ticks)
    heads = [name, "training", "validation"] + ["± over folds"] * known
    note = "Root mean squared errors"
    note += ": training blue, validation orange." if picture is not None else "."
    return join(beside(table(heads, rows, chosen=best), picture), notes([note]))


def beside(first: Markup, picture: Markup | None) -> Markup:
    """A picture beside a table, or below it, where there is one."""
    drawn = None if picture is None else el("div", picture, class_="picture")
    return el("div", el("div", first, class_="main"), drawn, class_="side")


def _known(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else said(value, 5)


def _error(value: float) -> str:
    return said(value, 5) if np.isfinite(value) else "diverged"
