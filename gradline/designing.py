"""Which columns, which levels: a design is chosen, and learns what it must in one pass.

Features are those named, or all others, or those of a formula; categories get their
levels and polynomials their coefficients from the rows the design is built on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from gradline.checks import one_of, whole
from gradline.data import Source, column_of
from gradline.design import INTERCEPT, Design
from gradline.encode import Encoding, Levels
from gradline.errors import ColumnError, DataError, did_you_mean, listed
from gradline.formula import MOST_DEGREE, Column, Factor, Formula
from gradline.levels import Missing as Missing
from gradline.levels import learn
from gradline.poly import Polynomials
from gradline.terms import MOST_TERMS, Term, expand
from gradline.truths import spellings
from gradline.usable import (
    check_features,
    decimal_hint,
    said,
)
from gradline.usable import check_target as check_target


def build_design(
    source: Source,
    *,
    target: str,
    features: Sequence[str] | None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: str | None = None,
    missing: Missing = "error",
    intercept: bool = True,
    formula: Formula | None = None,
    degree: int | None = None,
) -> Design:
    """Choose the columns, and learn what there is to learn of them in one pass.

    Args:
        source: the data.
        target: the column to predict; numbers.
        features: the columns to predict it from; None takes every other column, or
            those of the formula.
        exclude: columns to leave out of the features, and of a formula's dot.
        categories: numeric columns to treat as categories all the same.
        weights: a column of row weights.
        missing: "error" refuses a missing value, "drop" leaves such rows out.
        intercept: False for a line through the origin.
        formula: the terms, see formula.py.
        degree: of each numeric column a polynomial of this degree, without a formula.

    Raises:
        ColumnError: a column that is not there, not usable, or named twice.
        DataError: no rows, no features, or too many terms.
        UsageError: an unknown value of `missing`; a formula that cannot be meant.
    """
    one_of("missing", missing, "error", "drop")
    one_of("intercept", intercept, True, False)
    check_target(source, target)
    if weights is not None and column_of(source, weights).kind != "number":
        raise ColumnError(f"the weights in {weights!r} are not numbers: give numbers")
    if weights == target:
        raise ColumnError(f"{target!r} is the target and the weights: give another")
    for name in exclude:
        column_of(source, name)
    taken = {target, weights, *exclude}
    others = tuple(c.name for c in source.columns if c.name not in taken)

    by_name = {column.name: column for column in source.columns}

    def is_category(name: str) -> bool:
        column = by_name.get(name) or column_of(source, name)
        return column.kind == "category" or name in categories

    encoding, bases = None, {}
    if formula is not None:
        found = expand(formula.right, others, is_category)
        encoding = Encoding(formula.text, found.terms, formula.response)
        intercept, bases = intercept and found.intercept, found.bases
        chosen = _columns_read(source, encoding)
    elif features is None:
        chosen = others
    else:
        chosen = tuple(name for name in features if name not in exclude)
    check_features(source, chosen, target)
    for name in categories:
        column_of(source, name)
        if name not in chosen:
            raise ColumnError(f"category {name!r} is not among the features: add it")
    if degree is not None and whole("degree", degree, 1, MOST_DEGREE) > 1:
        encoding = Encoding("", _powers(chosen, is_category, degree))
    plain = Design(target, chosen, {}, weights, missing, intercept, encoding)
    if encoding is None:
        to_learn: tuple[Factor, ...] = ()
        levelled = [name for name in chosen if is_category(name)]
        numbers = [name for name in chosen if not is_category(name)]
    else:
        to_learn = encoding.to_learn
        numbers, levelled = [*encoding.numbers], [*encoding.categories]
    levels: Levels = {}
    learned: dict[str, Polynomials] = {}
    if levelled or to_learn:
        levels, learned = learn(
            source,
            categories=levelled,
            numeric=[*numbers, target, *([weights] if weights else [])],
            factors=to_learn,
            missing=missing,
            asked_for={*categories, *(formula.categories if formula else ())},
        )
    elif encoding is None:
        return _named(plain)
    if encoding is not None:
        encoding = replace(encoding, learned=learned)
    for name, base in bases.items():
        levels[name] = _based(name, levels[name], base)
    return _checked(replace(plain, levels=levels, encoding=encoding))


def _columns_read(source: Source, encoding: Encoding) -> tuple[str, ...]:
    """The columns that a formula reads, in the order of the data."""
    if not encoding.terms:
        raise DataError(
            f"the formula {encoding.text!r} has no term but the intercept, whose fit "
            "is the mean of the target: a line needs at least one, as in y ~ x"
        )
    by_name = {column.name: column for column in source.columns}
    for name in encoding.numbers:
        column = by_name.get(name) or column_of(source, name)
        if column.kind == "category":
            where = next(
                f.text
                for f in encoding.factors
                if f.kind != "category" and name in f.columns
            )
            hint = decimal_hint(source, column) or f"as a category it is C({name})"
            raise ColumnError(
                f"{where} needs numbers and column {name!r} holds "
                f"{said(source, column)}: {hint}"
            )
    wanted = {*encoding.numbers, *encoding.categories}
    for name in encoding.categories:
        if name not in by_name:
            column_of(source, name)
    return tuple(c.name for c in source.columns if c.name in wanted)


def _powers(
    names: Sequence[str], is_category: Callable[[str], bool], degree: int
) -> tuple[Term, ...]:
    """A term for each column: a category, or a polynomial."""
    return tuple(
        (
            Factor("category", Column(name))
            if is_category(name)
            else Factor("poly", Column(name), degree),
        )
        for name in names
    )


def _based(name: str, levels: tuple[str, ...], base: str) -> tuple[str, ...]:
    """Levels with the base first."""
    base = spellings(levels).get(base, base)
    if base not in levels:
        hint = did_you_mean(base, levels, f"it has {listed(levels)}")
        raise DataError(f"column {name!r} has no level {base!r} to be the base: {hint}")
    return (base, *(level for level in levels if level != base))


def _named(design: Design) -> Design:
    """A design, unless a term has the name of the intercept: both are keys."""
    if design.intercept and INTERCEPT in design.terms:
        raise ColumnError(
            f"a term of the design would be called {INTERCEPT!r}, as the intercept is: "
            "rename the column, or fit without intercept, intercept=False "
            "(--no-intercept)"
        )
    return design


def _checked(design: Design) -> Design:
    """A design, unless its terms are too many or their names are not unique."""
    doubled = [name for name, n in Counter(_named(design).terms).items() if n > 1]
    if doubled:
        raise ColumnError(
            f"two terms of the design would be called {doubled[0]!r}, a level of one "
            "column and another column: rename one of the columns"
        )
    if len(design.terms) > MOST_TERMS:
        most = max(design.levels, key=lambda name: len(design.levels[name]))
        raise DataError(
            f"the design has {len(design.terms):,} terms, most of them from "
            f"{most!r}: leave it out, the limit is {MOST_TERMS:,}"
        )
    return design
