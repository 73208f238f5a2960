"""A fit, its certificate, its scores and what it says of its coefficients, as HTML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradline.certificate import Certificate
from gradline.inference import COUNTED, Inference, Influence, Intervals
from gradline.layout import STARS, number, p_value, stars, t_value
from gradline.notebook.frame import (
    card,
    dotted,
    facts,
    fold,
    head,
    notes,
    table,
    verdict,
)
from gradline.notebook.pictures import fit_picture
from gradline.report.coefficients import coefficient_table, effects
from gradline.report.markup import Markup, el, join, short
from gradline.report.ticks import said
from gradline.terminal import fitness_lines, head_words, part_lines

if TYPE_CHECKING:
    from gradline.result import Fit
    from gradline.scores import Scores

#: More terms than this are folded away.
OPEN = 15

#: So many rows of predictions are shown, and the last one.
FIRST = 10


def fit_html(fit: Fit) -> str:
    """Coefficients with their intervals, scores, certificate, notes and a picture.

    It costs what the printed table costs: the data are not read.

    Args:
        fit: the fit.
    """
    c = fit.certificate
    reason = fit.no_inference
    inference = fit.inference() if reason is None else None
    picture = fit_picture(fit)
    said_notes = [note for note in fit.notes if note != c.advice]
    said_notes += [s.note for s in fit.scores.values() if s.note]
    if reason is not None and fit.coefficients:
        said_notes.append(f"{reason[:1].upper()}{reason[1:]}.")
    if inference is not None and inference.note:
        said_notes.append(f"{inference.note[:1].upper()}{inference.note[1:]}.")
    lines = [el("p", dotted(line)) for line in part_lines(fit)]
    if inference is not None:
        fitness = "; ".join(map(dotted, fitness_lines(inference)))
        lines.append(el("p", fitness, class_="note"))
    return card(
        head(fit.target, f" {head_words(fit)}"),
        verdict(c),
        el(
            "div",
            el("div", _coefficients(fit, inference), *lines, class_="main"),
            None if picture is None else el("div", picture, class_="picture"),
            class_="side",
        ),
        fold("Certificate", facts(certificate_pairs(c))),
        notes(said_notes),
    )


def certificate_html(certificate: Certificate) -> str:
    """The status in its colour, the advice, and the numbers.

    Args:
        certificate: of a fit.
    """
    return card(
        el("p", el("b", "Certificate"), class_="head"),
        verdict(certificate),
        facts(certificate_pairs(certificate)),
    )


def inference_html(inference: Inference) -> str:
    """A row for each coefficient, and what the numbers rest on.

    Args:
        inference: of a fit.
    """
    i = inference
    kind = f"{i.clusters:,} clusters" if i.clusters is not None else i.cov
    heads = ["term", "estimate", "std. error", "t", "p"]
    heads += [f"{100 * i.level:g}% low", "high"]
    rows = []
    for name, error in i.standard_errors.items():
        low, high = i.intervals[name]
        p = join(p_value(i.p[name]), " ", el("span", stars(i.p[name]), class_="stars"))
        cells = [said((low + high) / 2, 6), said(error, 4), _signed(t_value(i.t[name]))]
        cells += [p, said(low, 5), said(high, 5)]
        rows.append([short(name), *cells])
    known = table(heads, rows)
    if len(rows) > OPEN:
        known = fold(f"{len(rows):,} coefficients", known)
    codes = ", ".join(f"{mark} p < {below:g}" for below, mark in STARS)
    lines = map(dotted, fitness_lines(i))
    return card(
        head("Inference", f": {kind} standard errors, t on {i.df:,} df"),
        known,
        el("p", "; ".join(lines), class_="note"),
        notes([f"R² {said(i.r2, 6)}. Marks: {codes}."]),
        notes([i.note] if i.note else []),
    )


def influence_html(influence: Influence) -> str:
    """The rows that weigh most, by Cook's distance.

    Args:
        influence: of a fit.
    """
    rows = []
    for place in influence.largest():
        cells = [
            said(float(values[place]), 4)
            for values in (
                influence.cooks_distance,
                influence.leverage,
                influence.studentized_external,
                influence.residuals,
            )
        ]
        rows.append([f"{place:,}", *cells])
    heads = ["row", "Cook's distance", "leverage", "studentised", "residual"]
    return card(
        head("Influence", f" of {len(influence.leverage):,} rows, {COUNTED}"),
        table(heads, rows),
        notes([influence.rule()]),
    )


def intervals_html(found: Intervals) -> str:
    """The first rows of predictions with their ends, and the last.

    Args:
        found: predictions with intervals.
    """
    count = len(found.prediction)
    places = [k for k in range(count) if k < FIRST or k == count - 1]
    rows = []
    for place in places:
        ends = [float(values[place]) for values in found]
        cells = [said(v, 6) if math.isfinite(v) else "–" for v in ends]
        rows.append([f"{place + 1:,}", *cells])
    hidden = count - len(rows)
    many = f"{hidden:,} rows between are" if hidden > 1 else "1 row between is"
    return card(
        head("Predictions", f" of {count:,} row{'s' * (count != 1)}"),
        table(["row", "prediction", "low", "high"], rows),
        notes([f"{many} not shown."] if hidden else []),
    )


def scores_html(scores: Scores) -> str:
    """R², RMSE and MAE in a row.

    Args:
        scores: of a fit, or of a part.
    """
    known = scores.at_hand
    about = "R² (about 0)" if scores.origin else "R²"
    cells = [said(known["r2"], 6), said(known["rmse"], 6), said(known["mae"], 6)]
    cells = ["–" if cell == "undefined" else cell for cell in cells]
    row = [short(scores.part or "the fit's rows"), *cells, f"{scores.rows:,}"]
    left = []
    if scores.unseen:
        many = f"{scores.unseen:,} more rows were left out"
        left.append(f"{many}: they have levels not seen in training.")
    if scores.dropped:
        left.append(f"{scores.dropped:,} more rows, incomplete, were dropped.")
    return card(
        table(["", about, "RMSE", "MAE", "rows"], [row]),
        notes([*left, *([f"{scores.note}."] if scores.note else [])]),
    )


def certificate_pairs(c: Certificate) -> list[tuple[str, str]]:
    """The numbers of a certificate, those that are known."""
    most = "" if c.bound == "exact" else "at most "
    share = f" ({number(c.relative_gap, 3)} of the optimum)"
    if 0 < 2 * c.relative_gap * c.optimum_loss < c.gap or math.isnan(c.relative_gap):
        share = ""
    pairs = [
        ("loss", f"{number(c.loss)} ({c.objective})", c.loss),
        ("exact optimum", number(c.optimum_loss), c.optimum_loss),
        ("gap", f"{most}{number(c.gap, 3)}{share}", c.gap),
        ("gradient norm", number(c.gradient_norm, 3), c.gradient_norm),
        ("condition", f"{number(c.condition, 4)} (standardised design)", c.condition),
        ("rank", f"{c.rank:,} of {c.columns:,} columns", 0.0),
        ("digits to trust", f"{number(c.digits, 3)} (rounding alone)", c.digits),
        (
            "lr limit",
            f"{number(c.lr_limit, 4)} as the data are, "
            f"{number(c.lr_limit_standardized, 4)} standardised",
            c.lr_limit,
        ),
    ]
    found = [(name, text) for name, text, value in pairs if not math.isnan(value)]
    if c.epochs_needed:
        found.append(("epochs needed", f"{c.epochs_needed:,} more"))
    return found


def _coefficients(fit: Fit, inference: Inference | None) -> Markup:
    if not fit.coefficients:
        words = "No coefficients: the fit is a module of your own."
        return el("p", words, class_="note")
    X = np.zeros((0, len(fit.coefficients))) if fit.sample is None else fit.sample.X
    known = coefficient_table(fit, inference, effects(fit, X))
    many = len(fit.coefficients)
    title = "Coefficients" if many <= OPEN else f"{many:,} coefficients"
    return fold(title, known, unfolded=many <= OPEN)


def _signed(text: str) -> str:
    return text.replace("-", "−")
