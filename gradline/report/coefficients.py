"""The table of coefficients, each with its interval drawn beside it.

Coefficients have units of their own: they cannot be drawn along one axis as they are.
What is drawn is the effect in units of the target: of a category's level, against the
base, as it stands; of numbers, of a change by two standard deviations, about from low
to high, so that both can be compared. The interval is the same interval, times that.

Source: Gelman, "Scaling regression inputs by dividing by two standard deviations",
Statistics in Medicine, 2008.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradline.data import Array
from gradline.design import INTERCEPT
from gradline.inference import Inference
from gradline.layout import STARS, p_value, stars, t_value
from gradline.report.markup import Markup, el, short
from gradline.report.panels import owners
from gradline.report.ticks import Ticks, said

if TYPE_CHECKING:
    from gradline.result import Fit

#: So many terms are shown.
MOST = 40
#: The drawing beside each row, in units.
WIDE, TALL = 200, 22


class Effects(NamedTuple):
    """What each term does to the prediction, in units of the target, (d,).

    size: by which a coefficient is multiplied; order: terms, the largest effect first.
    """

    size: Array
    order: list[int]


def effects(fit: Fit, X: Array) -> Effects:
    """How far each term moves the prediction.

    Args:
        fit: the fit.
        X: terms of some rows, (m, d).
    """
    d = len(fit.coefficients)
    if len(X) == 0 or d == 0:
        return Effects(np.full(d, np.nan), list(range(d)))
    size = 2 * X.std(axis=0)
    for i, columns in enumerate(owners(fit.design)):
        if all(name not in fit.design.numbers for name in columns):
            size[i] = 1.0
    moved = np.abs(fit.slopes) * size
    return Effects(size, np.argsort(-moved, kind="stable").tolist())


def coefficient_table(fit: Fit, inference: Inference | None, found: Effects) -> Markup:
    """The table; more terms than MOST are cut to those of the largest effect."""
    terms = list(fit.coefficients)
    shown = sorted(found.order[:MOST])
    if len(terms) > MOST:
        shown = found.order[:MOST]
    drawn = _Scale(fit, inference, found.size, shown)
    names = [INTERCEPT] * fit.design.intercept + [terms[i] for i in shown]
    values = [fit.intercept] * fit.design.intercept + [fit.slopes[i] for i in shown]
    places = [-1] * fit.design.intercept + shown
    heads = ["term", "coefficient"]
    if inference is not None:
        heads += ["std. error", "t", "p", f"{100 * inference.level:g}% interval"]
    head = [
        el("th", h, scope="col", class_=None if i == 0 else "n")
        for i, h in enumerate(heads)
    ]
    if drawn.fine:
        head.insert(1, el("th", drawn.head(), scope="col", class_="drawn"))
    rows = []
    for name, value, place in zip(names, values, places, strict=True):
        cells = [
            el(
                "th",
                short(name, 40),
                scope="row",
                title=name if len(name) > 40 and len(name) < 200 else None,
            )
        ]
        cells.append(_cell(heads[1], said(float(value), 5)))
        if inference is not None:
            low, high = inference.intervals[name]
            p = inference.p[name]
            cells += [
                _cell(heads[2], said(inference.standard_errors[name], 3)),
                _cell(heads[3], t_value(inference.t[name]).replace("-", "−")),
                _cell(heads[4], p_value(p), " ", el("span", stars(p), class_="stars")),
                _cell(heads[5], f"{said(low, 4)} to {said(high, 4)}"),
            ]
        if drawn.fine:
            cells.insert(1, el("td", drawn.row(name, place), class_="drawn"))
        rows.append(el("tr", *cells))
    caption = _caption(fit, inference, len(terms) - len(shown), drawn)
    table = el(
        "table", el("thead", el("tr", *head)), el("tbody", *rows), class_="terms"
    )
    return el("div", table, el("p", *caption, class_="note"), class_="wide")


def _cell(head: str, *inside: str) -> Markup:
    """A number; its head goes with it, for where the table is too wide to be one."""
    words = el("span", *inside) if len(inside) > 1 else inside[0]
    return el("td", words, class_="n", data_head=head)


def _caption(
    fit: Fit, inference: Inference | None, hidden: int, drawn: _Scale
) -> list[str]:
    found: list[str] = []
    if hidden > 0:
        found.append(
            f"The {MOST} terms of the largest effect; {hidden:,} more are not shown "
            "(fit.coefficients has them all). "
        )
    if drawn.fine:
        found.append(
            f"Drawn: the effect in units of {short(fit.target)}, for numbers that of a "
            "change by two standard deviations, for levels that against the base"
        )
        found.append(
            f", with its {100 * inference.level:g}% interval. " if inference else ". "
        )
    if inference is not None:
        codes = ", ".join(f"{mark} p < {below:g}" for below, mark in STARS)
        found.append(f"Marks: {codes}.")
    return found


class _Scale:
    """One axis for all rows, in units of the target."""

    def __init__(
        self, fit: Fit, inference: Inference | None, size: Array, shown: list[int]
    ) -> None:
        self.fit, self.inference, self.size = fit, inference, size
        self.terms = list(fit.coefficients)
        ends = [0.0]
        for place in shown:
            ends += self._ends(place)
        self.low, self.high = min(ends), max(ends)
        wide = self.high - self.low
        self.fine = bool(shown) and math.isfinite(wide) and 1e-290 < wide < 1e290
        if self.fine:
            self.low, self.high = self.low - 0.04 * wide, self.high + 0.04 * wide
            self.ticks = Ticks(self.low, self.high, 3)

    def _ends(self, place: int) -> list[float]:
        size, value = float(self.size[place]), float(self.fit.slopes[place])
        if self.inference is None:
            return [size * value]
        low, high = self.inference.intervals[self.terms[place]]
        return [size * low, size * value, size * high]

    def at(self, value: float) -> float:
        return 4 + (WIDE - 8) * (value - self.low) / (self.high - self.low)

    def head(self) -> Markup:
        """The ticks above the drawings."""
        words = []
        for value, label in zip(self.ticks.values, self.ticks.labels, strict=True):
            room = 3.05 * len(label)  # half of it, within the drawing
            at = min(max(self.at(value), room), WIDE - room)
            words.append(el("text", label, x=f"{at:.1f}", y=14, class_="mid"))
        name = f"effect on {short(self.fit.target, 24)}{self.ticks.suffix}"
        return el(
            "span",
            el("span", name, class_="what"),
            el(
                "svg",
                *words,
                viewBox=f"0 0 {WIDE} 18",
                aria_hidden="true",
                class_="row",
            ),
        )

    def row(self, name: str, place: int) -> Markup:
        """A term's interval and its middle; nothing for the intercept."""
        zero = f"{self.at(0.0):.1f}"
        parts = [el("line", x1=zero, x2=zero, y1=0, y2=TALL, class_="zero")]
        about = f"{short(name)}: not drawn"
        if place >= 0:
            ends = self._ends(place)
            middle = ends[len(ends) // 2]
            about = f"effect {said(middle, 3)}"
            if len(ends) == 3:
                a, b = (f"{self.at(v):.1f}" for v in (ends[0], ends[2]))
                about += f", {said(ends[0], 3)} to {said(ends[2], 3)}"
                parts.append(
                    el("line", x1=a, x2=b, y1=TALL / 2, y2=TALL / 2, class_="bar")
                )
            parts.append(el("circle", cx=f"{self.at(middle):.1f}", cy=TALL / 2, r=3.2))
        if place < 0:
            return Markup("")
        return el(
            "svg",
            el("title", about),
            *parts,
            viewBox=f"0 0 {WIDE} {TALL}",
            role="img",
            class_="row",
        )
