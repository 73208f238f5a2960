"""What a fit computes, as plain records that any language can be written from.

    prediction = level + Σ_k slope_k (x_k - center_k)

over the terms x_k, each a product of numbers made of columns and of indicators of
levels. The terms come in pieces: all products of the columns of some factors. A piece
with categories is a table with a cell for each choice of levels, those of the base
included, whose slopes are 0; its centers are taken off the constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradline.data import Array
from gradline.encode import evaluate
from gradline.errors import UsageError
from gradline.formula import (
    Arithmetic,
    Call,
    Column,
    Constant,
    Factor,
    Numbers,
    columns_in,
)
from gradline.poly import Polynomials
from gradline.terms import Coded, factor_width

if TYPE_CHECKING:
    from gradline.design import Design
    from gradline.result import Fit


class Piece(NamedTuple):
    """The terms that are products of the columns of some factors.

    Attributes:
        factors: in order; the first one's columns change fastest.
        names: of the terms, (w,).
        slopes: one axis for each category, of all its levels, and a last one for the
            products of the other factors' columns, (L1, ..., Lr, k).
        centers: of the same, (k,); zeros where there are categories.
    """

    factors: tuple[Coded, ...]
    names: tuple[str, ...]
    slopes: Array
    centers: Array

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns of its categories, in the order of the axes."""
        return tuple(f.columns[0] for f, _ in self.factors if f.kind == "category")

    @property
    def numeric(self) -> tuple[Factor, ...]:
        """The other factors; products of their columns are the last axis."""
        return tuple(f for f, _ in self.factors if f.kind != "category")


@dataclass(frozen=True)
class Recipe:
    """A fit without what it was learned from.

    Attributes:
        target: what is predicted, such as log(price).
        features: the columns that are read, in order.
        numbers: those of them that are read as numbers.
        levels: of those that are read as categories, the base first.
        pieces: the terms, in the order of the design.
        constant: of the prediction: the level, less the centers of categories.
        level: the prediction at the centers.
        slopes: of all terms, (d,).
        center: of all terms, (d,).
        learned: by the text of a factor, its polynomials.
        about: what kind of fit it is, in words.
    """

    target: str
    features: tuple[str, ...]
    numbers: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]
    pieces: tuple[Piece, ...]
    constant: float
    level: float
    slopes: Array
    center: Array
    learned: dict[str, Polynomials]
    about: str

    @property
    def factors(self) -> tuple[Factor, ...]:
        """All factors of numbers, each once."""
        found = (f for piece in self.pieces for f in piece.numeric)
        return tuple(dict.fromkeys(found))


def recipe(fit: Fit) -> Recipe:
    """The recipe of a fit.

    Raises:
        UsageError: it is a module of the user's own, whose code nobody else has.
    """
    if fit._network is not None:
        name = fit.settings.get("module", "module")
        raise UsageError(
            f"this fit is a {name} of your own, whose code gradline does not have: "
            "export fit.model with torch.onnx.export or torch.export"
        )
    design = fit.design
    slopes, center = fit.slopes, np.asarray(fit.center, dtype=np.float64)
    pieces: list[Piece] = []
    start, constant = 0, fit.level
    for factors in _products(design):
        widths = [factor_width(f, whole, design.levels) for f, whole in factors]
        stop = start + int(np.prod(widths))
        here = slice(start, stop)
        start = stop
        if here.start == here.stop:  # a category with one level, the base
            continue
        table = _table(factors, slopes[here].reshape(widths, order="F"))
        own = center[here]
        if any(f.kind == "category" for f, _ in factors):
            constant -= float(slopes[here] @ own)
            own = np.zeros(table.shape[-1])
        pieces.append(Piece(factors, design.terms[here], table, own))
    encoding = design.encoding
    return Recipe(
        target=fit.target,
        features=design.features,
        numbers=design.numbers,
        levels=design.levels,
        pieces=tuple(pieces),
        constant=constant,
        level=fit.level,
        slopes=slopes,
        center=center,
        learned={} if encoding is None else encoding.learned,
        about=f"{len(design.terms)} terms, {fit.rows:,} rows, {fit.how}",
    )


def _products(design: Design) -> list[tuple[Coded, ...]]:
    """The products of factors that X has columns for, without a formula too."""
    if design.encoding is not None:
        return design.products
    found: list[tuple[Coded, ...]] = []
    for name in design.features:
        if name in design.levels:
            whole = len(design.indicated(name)) == len(design.levels[name])
            found.append((Coded(Factor("category", Column(name)), whole),))
        else:
            found.append((Coded(Factor("numbers", Column(name)), False),))
    return found


def _table(factors: tuple[Coded, ...], slopes: Array) -> Array:
    """Slopes by choice of levels, the base too, and of columns: see Piece.

    Args:
        factors: of the piece.
        slopes: an axis for each of them.
    """
    bases = [(int(f.kind == "category" and not whole), 0) for f, whole in factors]
    slopes = np.pad(slopes, bases)
    is_category = [f.kind == "category" for f, _ in factors]
    order = [i for i, yes in enumerate(is_category) if yes]
    others = [i for i, yes in enumerate(is_category) if not yes]
    levels = [slopes.shape[i] for i in order]
    # The first of the other factors changes fastest, so it comes last here.
    moved = slopes.transpose([*order, *reversed(others)])
    found: Array = np.ascontiguousarray(moved).reshape([*levels, -1])
    return found


def simple(numbers: Numbers) -> Numbers:
    """Arithmetic with two operands at a time, and without any of constants alone."""
    if isinstance(numbers, Call):
        found: Numbers = Call(numbers.function, simple(numbers.of))
    elif isinstance(numbers, Arithmetic):
        found = simple(numbers.first)
        for operator, operand in numbers.rest:
            pair = Arithmetic(found, ((operator, simple(operand)),))
            found = pair if has_column(pair) else _constant(pair)
        return found
    else:
        return numbers
    return found if has_column(found) else _constant(found)


def has_column(numbers: Numbers) -> bool:
    """Whether a column stands in it."""
    return next(columns_in(numbers), None) is not None


def _constant(numbers: Numbers) -> Constant:
    return Constant(float(evaluate(numbers, {})))


def output_name(known: Recipe) -> str:
    """What predictions are called: "prediction", unless a feature is."""
    taken = {name.lower() for name in known.features}  # to SQL, A and a are one name
    name = "prediction"
    while name in taken:
        name += "_"
    return name
