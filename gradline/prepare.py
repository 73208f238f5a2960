"""From what fit is given to a source and the design that reads it.

A split comes first: what is learned of the data, from the levels of a category on, is
learned from the training part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradline.checks import column_name, column_names
from gradline.data import Source
from gradline.design import Design, Missing, build_design
from gradline.intake import open_table
from gradline.splits import Split


class Prepared(NamedTuple):
    """Data ready to be fitted.

    Attributes:
        source: the rows to learn from: the training part, where there is a split.
        design: how its columns become terms, learned from those rows.
        whole: all rows.
        split: how they were split, or None.
    """

    source: Source
    design: Design
    whole: Source
    split: Split | None

    @property
    def validation(self) -> Source | None:
        """The rows to choose by, where there are some."""
        if self.split is None or not self.split.has("validation", self.whole):
            return None
        return self.split.part(self.whole, "validation")


def prepare(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: Any = None,
    missing: Missing = "error",
    intercept: bool = True,
    split: Split | None = None,
    **reading: Any,
) -> Prepared:
    """Data and choices as a source and the design that reads it.

    Args:
        data: as in `fit`, and so are all that follow.
        y: the target, unless it is a column of data.
        target: its name.
        features: the columns to predict from.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        weights: row weights.
        missing: what to do with incomplete rows.
        intercept: False for a line through the origin.
        split: which rows to learn from.
        **reading: delimiter, encoding, decimal of a CSV file.
    """
    if target is not None:
        column_name("target", target)
    if features is not None:
        features = column_names("features", features)
    exclude = column_names("exclude", exclude)
    categories = column_names("categories", categories)
    table = open_table(
        data, y, target=target, weights=weights, categories=categories, **reading
    )
    source = table.source
    if split is not None:
        if features is None:
            exclude = (*exclude, *split.columns)
        source = split.part(source, "train")
    design = build_design(
        source,
        target=table.target,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=table.weights,
        missing=missing,
        intercept=intercept,
    )
    return Prepared(source, design, table.source, split)
