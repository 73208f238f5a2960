"""From what fit is given to a source and the design that reads it.

A split comes first: what is learned of the data, from the levels of a category on, is
learned from the training part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradline.checks import column_name, column_names
from gradline.data import Source
from gradline.design import Design, Missing
from gradline.designing import build_design
from gradline.errors import UsageError
from gradline.formula import Formula
from gradline.grammar import parse
from gradline.intake import open_table
from gradline.parts import known_only
from gradline.splits import Split
from gradline.usable import check_target


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
        """The rows to choose by, where there are some.

        Those with a level that the training part has not are left out: no coefficient
        says what it does.
        """
        if self.split is None or not self.split.has("validation", self.whole):
            return None
        part = self.split.part(self.whole, "validation")
        return known_only(part, self.design.levels)


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
    formula: str | None = None,
    degree: int | None = None,
    aside: Sequence[str] = (),
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
        formula: the target and the terms.
        degree: of a polynomial of each numeric feature.
        aside: columns that are no features unless they are named, such as those that
            say which fold a row belongs to; those of the split are, too.
        **reading: delimiter, encoding, decimal of a CSV file.
    """
    if split is not None and not callable(getattr(split, "part", None)):
        raise UsageError(
            f"split is {split!r}: give a gl.Split, such as gl.Split(test=0.2)"
        )
    if isinstance(target, list | tuple):
        raise UsageError(
            f"target is {target!r} and one target is fitted here: name one, or fit "
            "many targets at once with gl.cross_validate"
        )
    if target is not None:
        column_name("target", target)
    if features is not None:
        features = column_names("features", features)
    exclude = column_names("exclude", exclude)
    categories = column_names("categories", categories)
    parsed, texts = None, categories
    if formula is not None:
        parsed = parse(formula)
        target = _formula_target(parsed, target)
        _refuse_beside(parsed, features, exclude, degree)
        texts = tuple(dict.fromkeys([*categories, *parsed.texts]))
    table = open_table(
        data, y, target=target, weights=weights, categories=texts, **reading
    )
    source = table.source
    if split is not None:
        aside = (*aside, *split.aside(table.target))
        source = split.part(source, "train")
    if features is None:
        exclude = (*exclude, *aside)
    design = build_design(
        source,
        target=table.target,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=table.weights,
        missing=missing,
        intercept=intercept,
        formula=parsed,
        degree=degree,
    )
    return Prepared(source, design, table.source, split)


def _formula_target(formula: Formula, target: str | None) -> str | None:
    """The target, which a formula may name too."""
    if target is not None and formula.target not in (None, target):
        raise UsageError(
            f"target is {target!r} and the formula predicts {formula.target!r}: give "
            "one of them"
        )
    return formula.target if target is None else target


def _refuse_beside(
    formula: Formula,
    features: Sequence[str] | None,
    exclude: Sequence[str],
    degree: int | None,
) -> None:
    """Refuse what says the same as a formula in another way, or has no effect."""
    if features is not None:
        raise UsageError(
            "features and formula both say what to predict from: give one of them"
        )
    if degree is not None:
        raise UsageError(
            f"degree does not go with a formula: write poly(x, {degree}) there"
        )
    if exclude and not formula.dotted:
        raise UsageError(
            "exclude takes columns out of a formula's dot, and this formula has none: "
            "leave exclude out, and the column out of the formula"
        )


def reopened(design: Design, data: Any, y: Any, **reading: Any) -> Source:
    """Other data for a design that is known, with the target: opened and checked.

    Args:
        design: of a fit.
        data: what `fit` takes.
        y: the target, (n,), unless it is a column of data.
        **reading: as `intake.open_table`.

    Raises:
        ColumnError: a column is missing, or of another kind.
    """
    reading.setdefault("categories", design.texts)
    table = open_table(data, y, target=design.target, names=design.features, **reading)
    check_target(table.source, design.target)
    design.check_columns(table.source)
    return table.source
