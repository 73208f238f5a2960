"""From columns to the terms of a formula: numbers in, X out.

Nothing here looks at more rows than it is given: what had to be learned of the data
beforehand (levels, means, deviations, polynomials) comes along.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gradline.data import Array, Codes
from gradline.errors import DataError
from gradline.formula import FUNCTIONS, Arithmetic, Call, Column, Factor, Numbers
from gradline.poly import Polynomials
from gradline.terms import Coded, Term, coded, count_columns, factor_width

#: Factors that are learned from the data.
LEARNED = ("scale", "center", "poly")

Levels = dict[str, tuple[str, ...]]
Product = tuple[Coded, ...]
Places = npt.NDArray[np.intp]

_ARITHMETIC = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}


@dataclass(frozen=True)
class Encoding:
    """The terms that a formula, or a degree, makes of a design's columns.

    Attributes:
        text: the formula as it was written; "" where there is none.
        terms: products of factors, lower ones first.
        response: what is predicted, where that is not the target as it stands.
        learned: by factor, what was learned from the data.
    """

    text: str
    terms: tuple[Term, ...]
    response: Numbers | None = None
    learned: dict[str, Polynomials] = field(default_factory=dict)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """All factors, each once."""
        return tuple(dict.fromkeys(f for term in self.terms for f in term))

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are read as numbers."""
        numeric = [f for f in self.factors if f.kind != "category"]
        return tuple(dict.fromkeys(name for f in numeric for name in f.columns))

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The columns that are read as categories."""
        return tuple(f.columns[0] for f in self.factors if f.kind == "category")

    @cached_property
    def degree(self) -> int:
        """The highest degree of its polynomials."""
        return max(f.degree for f in self.factors)

    @cached_property
    def to_learn(self) -> tuple[Factor, ...]:
        """The factors that are learned from the data."""
        return tuple(f for f in self.factors if f.kind in LEARNED and not f.raw)


def evaluate(numbers: Numbers, columns: dict[str, Array]) -> Array:
    """Arithmetic, row by row: NaN or infinite where it is not defined.

    Args:
        numbers: what to evaluate.
        columns: the columns that it names, (n,) each.
    """
    with np.errstate(all="ignore"):
        found: Any = _value(numbers, columns)
        return np.asarray(found, dtype=np.float64)


def _value(numbers: Numbers, columns: dict[str, Array]) -> Any:
    if isinstance(numbers, Column):
        return columns[numbers.name]
    if isinstance(numbers, Call):
        return FUNCTIONS[numbers.function](_value(numbers.of, columns))
    if isinstance(numbers, Arithmetic):
        found = _value(numbers.first, columns)
        for operator, operand in numbers.rest:
            found = _ARITHMETIC[operator](found, _value(operand, columns))
        return found
    return np.float64(numbers.value)


class Encoder:
    """The terms of an encoding, for rows of numbers and codes.

    Args:
        encoding: which terms, and what was learned for them.
        levels: of the categories, the base first.
        intercept: whether there is one.

    Attributes:
        products: the products of factors that X has columns for, in order.
        names: of X's columns, (d,).

    Raises:
        DataError: there are too many.
    """

    def __init__(self, encoding: Encoding, levels: Levels, intercept: bool) -> None:
        self._encoding = encoding
        self._levels = levels
        self.products = coded(encoding.terms, intercept)
        count_columns(self.products, levels)
        names: list[str] = []
        made_of: list[tuple[str, ...]] = []
        for product in self.products:
            # The first factor of a product changes fastest.
            parts = [self._factor_names(*c) for c in reversed(product)]
            found = [":".join(reversed(p)) for p in itertools.product(*parts)]
            numeric = [f for f, _ in product if f.kind != "category"]
            columns = dict.fromkeys(name for f in numeric for name in f.columns)
            names += found
            made_of += [tuple(columns)] * len(found)
        self.names = tuple(names)
        self._made_of = made_of

    def has_whole(self, category: str) -> bool:
        """Whether all levels of a category have a column, in some product."""
        factor = Factor("category", Column(category))
        return any(Coded(factor, True) in product for product in self.products)

    def fill(
        self, out: Array, columns: dict[str, Array], codes: dict[str, Codes]
    ) -> None:
        """Write the terms of some rows; NaN or infinite where one is not defined.

        Args:
            out: (rows, d), zeros.
            columns: numbers by name, (rows,).
            codes: categories by name, (rows,), as places in the levels; negative: none.
        """
        known: dict[Factor, Array] = {}
        start = 0
        with np.errstate(all="ignore"):
            for product in self.products:
                for factor, _ in product:
                    if factor.kind != "category" and factor not in known:
                        known[factor] = self._values(factor, columns)
                start = self._fill_product(out, start, product, known, codes)

    def refuse_undefined(
        self, X: Array, columns: dict[str, Array], rows: Places, start: int
    ) -> None:
        """Refuse a term that is no finite number in one of these rows.

        Args:
            X: (rows, d), filled.
            columns: as in `fill`.
            rows: which rows count.
            start: how many rows came before, for the message.
        """
        undefined = ~np.isfinite(X[rows])
        if undefined.any():
            row, at = divmod(int(np.argmax(undefined)), undefined.shape[1])
            place = int(rows[row])
            raise undefined_error(
                self.names[at], self._made_of[at], columns, place, start
            )

    def _fill_product(
        self,
        out: Array,
        start: int,
        product: Product,
        known: dict[Factor, Array],
        codes: dict[str, Codes],
    ) -> int:
        """Write one product from column `start` on; returns where the next starts."""
        stride = 1  # how far apart the columns of a factor lie
        place: Any = 0  # which column a row's categories point to, (rows,)
        hit: Any = None  # the rows whose categories have a column, (rows,)
        numeric: list[tuple[Array, int]] = []
        for factor, whole in product:
            if factor.kind == "category":
                code = codes[factor.columns[0]] - (not whole)  # the base has no column
                hit = code >= 0 if hit is None else hit & (code >= 0)
                place = place + stride * code
            else:
                numeric.append((known[factor], stride))
            stride *= factor_width(factor, whole, self._levels)
        if stride == 0:  # a category with one level
            return start
        rows = None if hit is None else np.flatnonzero(hit)
        for chosen in itertools.product(*(range(v.shape[1]) for v, _ in numeric)):
            offset, value = start, None
            for (values, step), k in zip(numeric, chosen, strict=True):
                offset += step * k
                value = values[:, k] if value is None else value * values[:, k]
            if rows is None:
                out[:, offset] = value
                continue
            out[rows, offset + place[rows]] = 1.0 if value is None else value[rows]
            if value is not None:  # what is not finite is seen in the other rows too
                undefined = ~np.isfinite(value) & ~hit
                out[undefined, offset] = value[undefined]
        return start + stride

    def _values(self, factor: Factor, columns: dict[str, Array]) -> Array:
        """The columns of a factor that is made of numbers, (rows, k)."""
        x = evaluate(factor.of, columns)
        if factor.kind == "numbers":
            return x[:, None]
        if factor.raw:
            powers: Array = x[:, None] ** np.arange(1, factor.degree + 1)
            return powers
        learned = self._encoding.learned[factor.text]
        if factor.kind == "poly":
            return learned.values(x)
        made = learned.scaled(x) if factor.kind == "scale" else learned.centred(x)
        return made[:, None]

    def _factor_names(self, factor: Factor, whole: bool) -> list[str]:
        """The names of a factor's columns: x, log(x), g[b], poly(x, 3)[1]."""
        name = factor.columns[0]
        if factor.kind == "category":
            return [f"{name}[{level}]" for level in self._levels[name][not whole :]]
        if factor.kind == "poly":
            return [f"{factor.text}[{k}]" for k in range(1, factor.degree + 1)]
        plain = isinstance(factor.of, Column) and factor.kind == "numbers"
        return [name if plain else factor.text]


def undefined_error(
    name: str, made_of: Iterable[str], columns: dict[str, Array], row: int, start: int
) -> DataError:
    """The error for a term that is no finite number in a row of some.

    Args:
        name: of the term.
        made_of: the columns behind it.
        columns: by name, (rows,).
        row: its place.
        start: how many rows came before them.
    """
    given = " and ".join(f"{c} is {columns[c][row]:.6g}" for c in made_of)
    return DataError(
        f"the term {name!r} is not a finite number in row {start + row + 1:,}, where "
        f"{given}: take another function, or leave such rows out"
    )
