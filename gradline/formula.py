"""What a formula says, as plain records: operators, factors, arithmetic, columns.

grammar.py makes these from text, terms.py multiplies them out, encode.py makes numbers
of them. Each knows its own text, from which grammar.py would make it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradline.data import Array

#: Of numbers, one by one.
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "square": np.square,
}

#: The highest degree of a polynomial.
MOST_DEGREE = 30

_PLAIN_NAME = re.compile(r"[^\W\d][\w.]*")


# What numbers are made of.


@dataclass(frozen=True)
class Column:
    """A column of the data."""

    name: str

    @property
    def text(self) -> str:
        if _PLAIN_NAME.fullmatch(self.name):
            return self.name
        return "`" + self.name.replace("`", "``") + "`"


@dataclass(frozen=True)
class Constant:
    """A number."""

    value: float

    @property
    def text(self) -> str:
        whole = self.value == round(self.value) and abs(self.value) < 1e15
        return str(int(self.value)) if whole else repr(self.value)


@dataclass(frozen=True)
class Call:
    """A function of numbers."""

    function: str
    of: Numbers

    @property
    def text(self) -> str:
        return f"{self.function}({self.of.text})"


@dataclass(frozen=True)
class Arithmetic:
    """Operands with operators between them, from left to right; all of one rank."""

    first: Numbers
    rest: tuple[tuple[str, Numbers], ...]

    @property
    def text(self) -> str:
        rank = _RANKS[self.rest[0][0]]
        blank = "" if self.rest[0][0] == "^" else " "
        return _inner(self.first, rank) + "".join(
            f"{blank}{operator}{blank}{_inner(value, rank)}"
            for operator, value in self.rest
        )


Numbers = Column | Constant | Call | Arithmetic


#: Which operators bind more tightly than which.
_RANKS = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 3}


def _inner(value: Numbers, rank: int) -> str:
    """An operand of an operator as text, in brackets where it needs them."""
    if isinstance(value, Arithmetic):
        bracketed = _RANKS[value.rest[0][0]] <= rank
    else:
        bracketed = isinstance(value, Constant) and value.value < 0
    return f"({value.text})" if bracketed else value.text


def columns_in(value: Numbers) -> Iterator[str]:
    """The columns that numbers are made from."""
    if isinstance(value, Column):
        yield value.name
    elif isinstance(value, Call):
        yield from columns_in(value.of)
    elif isinstance(value, Arithmetic):
        yield from columns_in(value.first)
        for _, operand in value.rest:
            yield from columns_in(operand)


# What terms are made of.

FactorKind = Literal["column", "numbers", "category", "scale", "center", "poly"]


@dataclass(frozen=True)
class Factor:
    """What a term is a product of.

    Attributes:
        kind: "column" is a column as it stands, numbers or a category.
        of: the numbers; the column, of a category.
        degree: of a polynomial.
        raw: whether its columns are x, x^2, ... as they are.
        base: the level of a category that has no column; the first unless told.
    """

    kind: FactorKind
    of: Numbers
    degree: int = 1
    raw: bool = False
    base: str | None = None

    @property
    def text(self) -> str:
        """As the grammar has it."""
        inside = self.of.text
        if self.kind in ("column", "numbers"):
            return f"I({inside})" if isinstance(self.of, Arithmetic) else inside
        if self.kind == "category":
            return f"C({inside})"
        if self.kind == "poly":
            return f"poly({inside}, {self.degree}{', raw=True' * self.raw})"
        return f"{self.kind}({inside})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, in order."""
        return tuple(dict.fromkeys(columns_in(self.of)))


@dataclass(frozen=True)
class Dot:
    """Every other column."""


@dataclass(frozen=True)
class Intercept:
    """0 or 1."""

    there: bool


@dataclass(frozen=True)
class Sum:
    """Operands with a sign before each, "+" or "-"."""

    parts: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Chain:
    """Operands with operators between them, from left to right: * and /, or :."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Power:
    """A sum times itself, so often."""

    of: Node
    times: int


Node = Factor | Dot | Intercept | Sum | Chain | Power


@dataclass(frozen=True)
class Formula:
    """A formula, taken apart.

    Attributes:
        text: as it was written.
        response: what is left of the ~, or None.
        right: what is right of it.
    """

    text: str
    response: Numbers | None
    right: Sum

    @property
    def target(self) -> str | None:
        """The column that is left of the ~, or within what is."""
        return None if self.response is None else next(columns_in(self.response))

    @property
    def dotted(self) -> bool:
        """Whether every other column is asked for."""
        return any(isinstance(node, Dot) for node in _leaves(self.right))

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns that are categories by C()."""
        factors = [node for node in _leaves(self.right) if isinstance(node, Factor)]
        return tuple(
            dict.fromkeys(f.columns[0] for f in factors if f.kind == "category")
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """Those of them that are nothing else: a file is to be read for their text."""
        factors = [node for node in _leaves(self.right) if isinstance(node, Factor)]
        others = {c for f in factors if f.kind != "category" for c in f.columns}
        if self.dotted:
            return ()
        return tuple(name for name in self.categories if name not in others)


def _leaves(node: Node) -> Iterator[Node]:
    """The factors, dots and numbers of a formula."""
    if isinstance(node, Sum):
        for _, part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, Chain):
        yield from _leaves(node.first)
        for _, part in node.rest:
            yield from _leaves(part)
    elif isinstance(node, Power):
        yield from _leaves(node.of)
    else:
        yield node
