"""From columns to the terms of a formula: numbers in, X out.

Nothing here looks at more rows than it is given: what had to be learned of the data
beforehand (levels, means, deviations, polynomials) comes along.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradline.data import Array, Codes
from gradline.errors import DataError
from gradline.formula import FUNCTIONS, Arithmetic, Call, Column, Factor, Numbers
from gradline.poly import Polynomials
from gradline.terms import Coded, Term, factor_width

#: Factors that are learned from the data.
LEARNED = ("scale", "center", "poly")

Levels = dict[str, tuple[str, ...]]
Product = tuple[Coded, ...]

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

    @property
    def factors(self) -> tuple[Factor, ...]:
        """All factors, each once."""
        return tuple(dict.fromkeys(f for term in self.terms for f in term))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are read as numbers."""
        numeric = [f for f in self.factors if f.kind != "category"]
        return tuple(dict.fromkeys(name for f in numeric for name in f.columns))

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns that are read as categories."""
        return tuple(f.columns[0] for f in self.factors if f.kind == "category")

    @property
    def degree(self) -> int:
        """The highest degree of its polynomials."""
        return max(f.degree for f in self.factors)

    @property
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


def factor_names(factor: Factor, whole: bool, levels: Levels) -> list[str]:
    """The names of a factor's columns: x, log(x), g[b], poly(x, 3)[1]."""
    if factor.kind == "category":
        name = factor.columns[0]
        return [f"{name}[{level}]" for level in levels[name][not whole :]]
    if factor.kind == "poly":
        return [f"{factor.text}[{k}]" for k in range(1, factor.degree + 1)]
    plain = isinstance(factor.of, Column) and factor.kind == "numbers"
    return [factor.columns[0] if plain else factor.text]


def term_names(products: Iterable[Product], levels: Levels) -> list[str]:
    """The names of X's columns; the first factor of a product changes fastest."""
    names: list[str] = []
    for product in products:
        parts = [factor_names(*coded, levels) for coded in reversed(product)]
        names += [":".join(reversed(p)) for p in itertools.product(*parts)]
    return names


def fill(
    out: Array,
    products: Iterable[Product],
    encoding: Encoding,
    columns: dict[str, Array],
    codes: dict[str, Codes],
    levels: Levels,
) -> None:
    """Write the terms of some rows.

    Args:
        out: (rows, d), zeros.
        products: the products of factors that have columns, in order.
        encoding: what they are from.
        columns: numbers by name, (rows,).
        codes: categories by name, (rows,), in the design's levels; negative: none.
        levels: of them.
    """
    known: dict[Factor, Array] = {}
    start = 0
    with np.errstate(all="ignore"):
        for product in products:
            start = _fill_product(
                out, start, product, encoding, columns, codes, levels, known
            )


def _fill_product(
    out: Array,
    start: int,
    product: Product,
    encoding: Encoding,
    columns: dict[str, Array],
    codes: dict[str, Codes],
    levels: Levels,
    known: dict[Factor, Array],
) -> int:
    """Write one product from column `start` on; returns where the next one starts."""
    stride = 1  # how far apart the columns of neighbours lie
    place: Any = 0  # where in the product a row's categories put it, (rows,)
    hit: Any = None  # the rows that have a place
    numeric: list[tuple[Array, int]] = []
    for factor, whole in product:
        if factor.kind == "category":
            name = factor.columns[0]
            code = codes[name] - (not whole)  # the base, 0, has no column
            hit = code >= 0 if hit is None else hit & (code >= 0)
            place = place + stride * code
        else:
            if factor not in known:
                known[factor] = _factor_values(factor, encoding, columns)
            numeric.append((known[factor], stride))
        stride *= factor_width(factor, whole, levels)
    rows = None if hit is None else np.flatnonzero(hit)
    for chosen in itertools.product(*(range(v.shape[1]) for v, _ in numeric)):
        offset, value = start, None
        for (values, step), k in zip(numeric, chosen, strict=True):
            offset += step * k
            column = values[:, k]
            value = column if value is None else value * column
        if rows is None:
            out[:, offset] = value
        else:
            out[rows, offset + place[rows]] = 1.0 if value is None else value[rows]
            if value is not None:  # not finite, it is to be seen in rows without place
                undefined = ~np.isfinite(value) & ~hit
                out[undefined, offset] = value[undefined]
    return start + stride


def _factor_values(
    factor: Factor, encoding: Encoding, columns: dict[str, Array]
) -> Array:
    """The columns of a factor that is made of numbers, (rows, k)."""
    x = evaluate(factor.of, columns)
    if factor.kind == "numbers":
        return x[:, None]
    if factor.raw:
        powers: Array = x[:, None] ** np.arange(1, factor.degree + 1)
        return powers
    learned = encoding.learned[factor.text]
    if factor.kind == "poly":
        return learned.values(x)
    made = learned.scaled(x) if factor.kind == "scale" else learned.centred(x)
    return made[:, None]


def undefined_error(
    name: str, made_of: Iterable[str], columns: dict[str, Array], row: int, number: int
) -> DataError:
    """The error for a term that is no finite number in a row, told as `number`."""
    given = " and ".join(f"{c} is {columns[c][row]:.6g}" for c in made_of)
    return DataError(
        f"the term {name!r} is not a finite number in row {number:,}, where {given}: "
        "take another function, or leave such rows out"
    )
