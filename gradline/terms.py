"""From a formula to the terms of a design, and which of their columns there are.

A term is a product of factors, and X has a column for each choice of one column from
each of them. A category can be whole, with a column for each level, or reduced, without
the base. It is reduced where the whole would bring in what terms before it span
already: an intercept spans the sum of a category's columns, x that of x:g. The rule is
that of patsy and formulaic: a term of categories a, b spans 1, a-, b- and a-:b- (a- is
reduced); what no term before has spanned is put together again, "t:a- and t" as "t:a".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gradline.errors import DataError, UsageError
from gradline.formula import (
    Chain,
    Column,
    Dot,
    Factor,
    Intercept,
    Node,
    Power,
    Sum,
)

#: The state holds about terms² numbers; past this it would be many GB.
MOST_TERMS = 20_000

#: Of one term: categories in an interaction of k span 2^k parts.
MOST_FACTORS = 8

#: Products that are made, and pairs looked at, while a formula is multiplied out.
MOST_WORK = 500_000

Term = tuple[Factor, ...]


class Coded(NamedTuple):
    """A factor of a term; `whole`, of a category: whether the base has a column."""

    factor: Factor
    whole: bool


class Expanded(NamedTuple):
    """A formula as a list of terms.

    Attributes:
        terms: lower ones first.
        intercept: whether there is one.
        bases: of categories, where the formula says which.
        dotted: whether it took every other column.
    """

    terms: tuple[Term, ...]
    intercept: bool
    bases: dict[str, str]
    dotted: bool


def expand(
    right: Sum, others: Sequence[str], is_category: Callable[[str], bool]
) -> Expanded:
    """Multiply a formula out.

    Args:
        right: of the formula, what is right of the ~.
        others: the columns that a dot stands for.
        is_category: whether a column as it stands is one.

    Raises:
        UsageError: too many terms, or a term taken off that is not there.
    """
    work = _Expansion(others, is_category)
    intercept, terms = True, work.none()
    for sign, part in right.parts:
        if isinstance(part, Intercept):
            intercept = part.there == (sign == "+")
        else:
            work.join(terms, sign, work.of(part))
    ordered = sorted(terms.values(), key=len)
    return Expanded(tuple(ordered), intercept, work.bases, work.dotted)


class _Terms(dict[frozenset[Factor], Term]):
    """Terms by their factors, whose order makes no difference, in order.

    Args:
        work: how many products have been made for a formula, in a list of one.
        given: terms to begin with.
    """

    def __init__(self, work: list[int], given: Iterable[Term] = ()) -> None:
        super().__init__({frozenset(term): term for term in given})
        self.work = work

    def put(self, factors: Iterable[Factor]) -> None:
        """Add the product of factors; a factor times itself is itself."""
        term = tuple(dict.fromkeys(factors))
        self.work[0] += 1
        if len(term) > MOST_FACTORS:
            raise UsageError(
                f"the formula has a term of {len(term)} factors: give at most "
                f"{MOST_FACTORS} in an interaction"
            )
        self.setdefault(frozenset(term), term)
        if len(self) > MOST_TERMS or self.work[0] > MOST_WORK:
            raise UsageError(
                f"the formula has more than {MOST_TERMS:,} terms once it is multiplied "
                "out, or too many on the way: give a lower power, or fewer columns"
            )


class _Expansion:
    def __init__(self, others: Sequence[str], is_category: Callable[[str], bool]):
        self._others = others
        self._is_category = is_category
        self._work = [0]
        self.bases: dict[str, str] = {}
        self.dotted = False

    def none(self) -> _Terms:
        """No terms yet."""
        return _Terms(self._work)

    def of(self, node: Node) -> _Terms:
        found = self.none()
        if isinstance(node, Factor):
            found.put([self._resolved(node)])
        elif isinstance(node, Dot):
            self.dotted = True
            for name in self._others:
                found.put([self._resolved(Factor("column", Column(name)))])
        elif isinstance(node, Sum):
            for sign, part in node.parts:
                self.join(found, sign, self.of(part))
        elif isinstance(node, Power):
            base = found = self.of(node.of)
            for _ in range(node.times - 1):
                found = _crossed(found, base)
        elif isinstance(node, Chain):
            found = self.of(node.first)
            for operator, operand in node.rest:
                found = _OPERATORS[operator](found, self.of(operand))
        return found

    def join(self, terms: _Terms, sign: str, others: _Terms) -> None:
        """Add terms, or take them off."""
        for key, term in others.items():
            if sign == "+":
                terms.put(term)
            elif terms.pop(key, None) is None:
                name = ":".join(factor.text for factor in term)
                raise UsageError(
                    f"the formula takes off {name}, which stands nowhere before it: "
                    "leave that out, or mend the name"
                )

    def _resolved(self, factor: Factor) -> Factor:
        """A column as numbers or as a category; the base is noted apart."""
        if factor.kind == "column":
            assert isinstance(factor.of, Column)
            kind = "category" if self._is_category(factor.of.name) else "numbers"
            return Factor("category" if kind == "category" else "numbers", factor.of)
        if factor.base is not None:
            name = factor.columns[0]
            if self.bases.setdefault(name, factor.base) != factor.base:
                raise UsageError(
                    f"the formula names two base levels of {name!r}, "
                    f"{self.bases[name]!r} and {factor.base!r}: name one"
                )
            return Factor("category", factor.of)
        return factor


def _products(left: _Terms, right: _Terms) -> _Terms:
    """a:b."""
    found = _Terms(left.work)
    for one, other in itertools.product(left.values(), right.values()):
        found.put([*one, *other])
    return found


def _crossed(left: _Terms, right: _Terms) -> _Terms:
    """a*b, which is a + b + a:b."""
    found = _Terms(left.work, left.values())
    for term in itertools.chain(right.values(), _products(left, right).values()):
        found.put(term)
    return found


def _nested(left: _Terms, right: _Terms) -> _Terms:
    """a/b, which is a + a:b; (a + b)/c is a + b + a:b:c."""
    found = _Terms(left.work, left.values())
    common = [factor for term in left.values() for factor in term]
    for term in right.values():
        found.put([*common, *term])
    return found


_OPERATORS = {":": _products, "*": _crossed, "/": _nested}


def coded(terms: Iterable[Term], intercept: bool) -> tuple[tuple[Coded, ...], ...]:
    """The products that X has columns for, in order; see the top of the file.

    Args:
        terms: lower ones first.
        intercept: whether one stands before them.
    """
    bits: dict[Factor, int] = {}  # of all factors, so that sets of them are numbers
    spanned = {0} if intercept else set()
    found: list[tuple[Coded, ...]] = []
    work = 0
    for term in terms:
        numeric, choices = 0, [0]
        for factor in term:
            bit = bits.setdefault(factor, 1 << len(bits))
            if factor.kind == "category":
                choices = [c | more for c in choices for more in (bit, 0)]
            else:
                numeric |= bit
        parts = [numeric | c for c in choices if numeric | c not in spanned]
        spanned.update(parts)
        work += len(parts) ** 2
        if work > MOST_WORK:
            raise UsageError(
                "the formula has too many interactions of categories without the "
                "lower ones that they hold: add these, as a*b does for a:b"
            )
        parts.sort(key=int.bit_count)
        found += [
            tuple(Coded(f, bool(bits[f] & whole)) for f in term if bits[f] & present)
            for present, whole in _put_together([(part, numeric) for part in parts])
        ]
    return tuple(found)


def _put_together(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """As few products as span the same: t and t:a- are t:a.

    Args:
        parts: the factors of each, and which of them are whole; smaller ones first.
    """
    found: list[tuple[int, int]] = []
    for present, whole in parts:
        for other in found:
            added = present ^ other[0]
            lacks_one = present & other[0] == other[0] and added.bit_count() == 1
            if lacks_one and whole == other[1]:  # what is added is reduced, then
                left = [p for p in found if p != other]
                left.append((present, whole | added))
                left.sort(key=lambda p: p[0].bit_count())
                found = _put_together(left)
                break
        else:
            found.append((present, whole))
    return found


def count_columns(
    products: Iterable[tuple[Coded, ...]], levels: dict[str, tuple[str, ...]]
) -> int:
    """How many columns X has.

    Raises:
        DataError: more than there may be, with the term that has the most.
    """
    most, total, at = 0, 0, ""
    for product in products:
        width = 1
        for factor, whole in product:
            width *= factor_width(factor, whole, levels)
        total += width
        if width > most:
            most, at = width, ":".join(f.text for f, _ in product)
    if total > MOST_TERMS:
        raise DataError(
            f"the design has {total:,} terms, most of them from {at!r}: leave it out, "
            f"the limit is {MOST_TERMS:,}"
        )
    return total


def factor_width(
    factor: Factor, whole: bool, levels: dict[str, tuple[str, ...]]
) -> int:
    """How many columns a factor has."""
    if factor.kind == "category":
        return len(levels[factor.columns[0]]) - (not whole)
    return factor.degree
