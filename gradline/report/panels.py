"""Which features get a picture of their own, and what belongs to each.

The component of a feature is what its own terms add to the prediction, minus their
mean: Σ slope·(term - mean of the term). Residuals are drawn around it: partial
residuals. A feature in an interaction has no component of its own, nor has one of a
module that is no line; the residuals alone are drawn against those.

Source: Larsen & McCleary, "The use of partial residual plots in regression analysis",
1972; R's termplot and car::crPlots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradline.data import Array, Batch, Codes, Mask, Source
from gradline.design import Design
from gradline.terms import factor_width

if TYPE_CHECKING:
    from gradline.result import Fit

#: So many features are drawn, and so many levels of a category.
MOST_PANELS = 8
MOST_LEVELS = 12


@dataclass
class Panel:
    """A feature to draw.

    Attributes:
        name: of the column.
        places: of its own terms among the design's, (t,); empty where it has none.
        plain: whether the column itself is a term.
        size: the standard deviation of its component, in units of the target.
        levels: of a category, those that are drawn; None for numbers.
        strips: of a category, which strip each level is drawn in, -1 for none.
    """

    name: str
    places: Codes
    plain: bool
    size: float
    levels: tuple[str, ...] | None = None
    strips: Codes | None = None

    def values(self, design: Design, batch: Batch, keep: Mask | None) -> Array:
        """The feature in the rows kept; of a category the strip of each, (rows,)."""
        if self.strips is None:
            found = batch.numbers([self.name])[:, 0]
        else:
            found = self.strips[design.codes(batch, self.name)].astype(np.float64)
        return found if keep is None else found[keep]


def owners(design: Design) -> list[tuple[str, ...]]:
    """The columns that each term is made of, (d,)."""
    found: list[tuple[str, ...]] = []
    if design.encoding is None:
        for feature in design.features:
            own = feature in design.levels
            found += [(feature,)] * (len(design.indicated(feature)) if own else 1)
        return found
    for product in design.products:
        width = 1
        for factor, whole in product:
            width *= factor_width(factor, whole, design.levels)
        columns = dict.fromkeys(c for factor, _ in product for c in factor.columns)
        found += [tuple(columns)] * width
    return found


def panels_of(fit: Fit, X: Array) -> list[Panel]:
    """All features of a fit, those of the largest component first.

    Args:
        fit: the fit.
        X: terms of some rows, to see how much each feature moves the prediction.
    """
    design, of = fit.design, owners(fit.design)
    line = fit._network is None
    found = []
    for name in design.features:
        own = [i for i, columns in enumerate(of) if columns == (name,)]
        mixed = any(name in columns and len(columns) > 1 for columns in of)
        places = np.array([] if mixed or not line else own, dtype=np.int64)
        plain = design.terms[own[0]] == name if len(own) == 1 else False
        size = 0.0
        if line and len(X):
            every = [i for i, columns in enumerate(of) if name in columns]
            size = float((X[:, every] @ fit.slopes[every]).std())
        panel = Panel(name, places, plain and not mixed, size)
        if name in design.levels and name not in design.numbers:
            _choose_levels(panel, fit, design)
        found.append(panel)
    return sorted(found, key=lambda panel: -panel.size)


def _choose_levels(panel: Panel, fit: Fit, design: Design) -> None:
    """The levels that are drawn: all, or those furthest from the base."""
    levels = design.levels[panel.name]
    chosen = list(range(len(levels)))
    if len(levels) > MOST_LEVELS:
        offset = len(levels) - len(panel.places)
        sizes = np.zeros(len(levels))
        if len(panel.places):
            sizes[offset:] = np.abs(fit.slopes[panel.places])
            sizes[:offset] = np.inf  # the base is always there
        chosen = sorted(np.argsort(-sizes, kind="stable")[:MOST_LEVELS].tolist())
    panel.levels = tuple(levels[i] for i in chosen)
    panel.strips = np.full(len(levels), -1, dtype=np.int64)
    panel.strips[chosen] = np.arange(len(chosen))


def some_terms(fit: Fit, source: Source | None) -> Array:
    """Terms of some rows, (m, d): the fit's sample, or the first rows of each batch."""
    if fit.sample is not None:
        return fit.sample.X
    if source is None:
        return np.zeros((0, len(fit.design.terms)))
    parts, rows = [], 0
    for chunk in fit.design.chunks(source):
        parts.append(np.array(chunk.X[:500]))
        rows += len(parts[-1])
        if rows >= 5_000:
            break
    return np.concatenate(parts) if parts else np.zeros((0, len(fit.design.terms)))
