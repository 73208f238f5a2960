"""The grammar of formulas: text becomes a tree of plain records. Nothing is ever run.

    formula      [numbers ~] sum               y ~ x + C(g), log(y) ~ x, ~ x
    sum          [+|-] product {+|- product}   0, 1, -1: whether with an intercept
    product      nested {* nested}, {/ nested} a*b is a + b + a:b; a/b is a + a:b
    nested       power {: power}               a:b is the interaction
    power        atom [^ n], [** n]            (a + b)^2 is a + b + a:b
    atom         (sum) | . | factor            . is every other column
    factor       column | C(column, ref="b") | poly(numbers, 3, raw=True)
                 | scale(numbers) | center(numbers) | I(numbers) | f(numbers)
    numbers      arithmetic with + - * / ^ of columns, constants and f(numbers)

f is one of FUNCTIONS. A column is a name, or anything between backticks: `body mass`
(a backtick in it is written twice).
The operators are those of Wilkinson and Rogers (Applied Statistics 22, 1973), as in R.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn, TypeVar

from gradline.errors import UsageError, closest
from gradline.formula import (
    FUNCTIONS,
    MOST_DEGREE,
    Arithmetic,
    Call,
    Chain,
    Column,
    Constant,
    Dot,
    Factor,
    FactorKind,
    Formula,
    Intercept,
    Node,
    Numbers,
    Power,
    Sum,
    columns_in,
)

#: So much text, so many brackets in each other, so high a power of a sum.
MOST_LETTERS, MOST_DEPTH, MOST_POWER = 10_000, 30, 8

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[^\W\d][\w.]*)"
    r"|(?P<quoted>`(?:[^`]|``)*`)|(?P<string>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign>\*\*|[-+:*/^()~.,=])|(?P<end>$)"
)
_T = TypeVar("_T")


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def parse(text: object) -> Formula:
    """Take a formula apart.

    Raises:
        UsageError: it is no formula, with the place and what to write there.
    """
    if not isinstance(text, str):
        raise UsageError(f"formula is {text!r}: give a text, such as 'y ~ x + C(g)'")
    return _Parser(text).formula()


def parse_factor(text: str) -> Factor:
    """Take one factor apart, `Factor.text` backwards: a bare column is numbers."""
    parser = _Parser(text)
    factor = parser.factor()
    parser.expect_end()
    return Factor("numbers", factor.of) if factor.kind == "column" else factor


def parse_numbers(text: str) -> Numbers:
    """Take arithmetic apart."""
    parser = _Parser(text)
    found = parser.numbers()
    parser.expect_end()
    return found


class _Parser:
    """Recursive descent: a method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        if len(text) > MOST_LETTERS:
            raise UsageError(
                f"the formula has {len(text):,} letters: give at most "
                f"{MOST_LETTERS:,}; a dot stands for all other columns"
            )
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def formula(self) -> Formula:
        response = None
        if any(t.text == "~" and t.kind == "sign" for t in self._tokens):
            if self._peek().text != "~":
                response = self._response()
            self._expect("~")
        right = self._sum(top=True)
        if response is None and self._peek().text.startswith("="):
            self._fault("write ~ between target and features, as in y ~ x")
        self.expect_end()
        return Formula(self._text, response, right)

    def _response(self) -> Numbers:
        factor = self.factor() if self._peek(1).text in ("(", "~") else None
        if factor is None:
            self._fault("write one target on the left, such as log(y) or I(y/1000)")
        if factor.kind not in ("column", "numbers"):
            self._fault(
                f"{factor.text} is no target: write the column, or a function of it "
                f"such as {', '.join(FUNCTIONS)} or I(...)"
            )
        if len(factor.columns) > 1:
            self._fault(f"{factor.text} has more than one column in it: name one")
        return factor.of

    def _sum(self, top: bool = False) -> Sum:
        sign = self._take().text if self._peek().text in ("+", "-") else "+"
        parts = [(sign, self._operand(top))]
        while self._peek().text in ("+", "-"):
            parts.append((self._take().text, self._operand(top)))
        return Sum(tuple(parts))

    def _operand(self, top: bool) -> Node:
        token = self._peek()
        if token.kind == "number" and self._peek(1).text in ("+", "-", ")", ""):
            if not top:
                self._fault("0, 1 and -1 stand outside brackets only, as in y ~ 0 + x")
            if token.text not in ("0", "1"):
                self._fault("only 0 and 1 may stand alone; arithmetic goes into I(...)")
            self._take()
            return Intercept(token.text == "1")
        return self._chain(("*", "/"), lambda: self._chain((":",), self._power))

    def _chain(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        first = operand()
        rest = []
        while self._peek().text in operators:
            rest.append((self._take().text, operand()))
        return Chain(first, tuple(rest)) if rest else first

    def _power(self) -> Node:
        base = self._atom()
        if self._peek().text not in ("^", "**"):
            return base
        self._take()
        return Power(base, self._whole("a power of a sum", MOST_POWER))

    def _atom(self) -> Node:
        token = self._peek()
        if token.text == "(":
            return self._inside(self._sum)
        if token.text == ".":
            self._take()
            return Dot()
        if token.kind == "number":
            self._fault("arithmetic with numbers goes into I(...), as in I(2*x)")
        return self.factor()

    def factor(self) -> Factor:
        token = self._take()
        if token.kind == "quoted":
            return Factor("column", _column(token))
        if token.kind != "name":
            self._back("a term is needed here, such as x, log(x), C(g) or poly(x, 3)")
        if self._peek().text != "(":
            return Factor("column", Column(token.text))
        name = token.text
        if name == "C":
            return self._inside(self._category)
        if name == "poly":
            return self._inside(self._poly)
        if name in ("scale", "center"):
            kind: FactorKind = "scale" if name == "scale" else "center"
            return Factor(kind, self._inside(self._of_columns))
        if name != "I":
            self._at -= 1
            value = self._number_atom()
            if not list(columns_in(value)):
                self._fault(f"{value.text} has no column in it: name one")
            return Factor("numbers", value)
        return Factor("numbers", self._inside(self._of_columns))

    def _of_columns(self) -> Numbers:
        found = self.numbers()
        if not list(columns_in(found)):
            self._fault("there is no column within the brackets: name one")
        return found

    def _category(self) -> Factor:
        token = self._take()
        if token.kind not in ("name", "quoted") or self._peek().text == "(":
            self._back("C() takes the name of a column")
        column = _column(token)
        base = None
        if self._peek().text == ",":
            self._take()
            if self._peek().text != "ref":
                self._fault('C() takes ref="..." beside the column, the base level')
            self._take()
            self._expect("=")
            base = self._level()
        return Factor("category", column, base=base)

    def _level(self) -> str:
        token = self._take()
        if token.kind == "string":
            return token.text[1:-1]
        sign = ""
        if token.text == "-":
            sign, token = "-", self._take()
        if token.kind != "number":
            self._back('ref= takes a level of the column, such as ref="b"')
        return sign + token.text

    def _poly(self) -> Factor:
        of = self._of_columns()
        if self._peek().text != ",":
            self._fault("poly() takes a degree, as in poly(x, 3)")
        self._take()
        if self._peek().text == "degree":
            self._take()
            self._expect("=")
        degree = self._whole("the degree of poly()", MOST_DEGREE)
        raw = False
        if self._peek().text == ",":
            self._take()
            if self._peek().text != "raw":
                self._fault("poly() takes raw=True beside the degree, and no more")
            self._take()
            self._expect("=")
            if self._peek().text.casefold() not in ("true", "false"):
                self._fault("raw is True or False")
            raw = self._take().text.casefold() == "true"
        return Factor("poly", of, degree=degree, raw=raw)

    # Arithmetic.

    def numbers(self) -> Numbers:
        return self._arithmetic(
            ("+", "-"), lambda: self._arithmetic(("*", "/"), self._signed)
        )

    def _arithmetic(
        self, operators: tuple[str, ...], operand: Callable[[], Numbers]
    ) -> Numbers:
        first = operand()
        rest = []
        while self._peek().text in operators:
            rest.append((self._take().text, operand()))
        return Arithmetic(first, tuple(rest)) if rest else first

    def _signed(self) -> Numbers:
        minus = False
        while self._peek().text in ("+", "-"):
            minus ^= self._take().text == "-"
        value = self._raised()
        if not minus:
            return value
        if isinstance(value, Constant):
            return Constant(-value.value)
        return Arithmetic(Constant(-1.0), (("*", value),))

    def _raised(self) -> Numbers:
        base = self._number_atom()
        if self._peek().text not in ("^", "**"):
            return base
        self._take()
        self._deeper(1)
        exponent = self._signed()
        self._deeper(-1)
        return Arithmetic(base, (("^", exponent),))

    def _number_atom(self) -> Numbers:
        token = self._take()
        if token.text == "(":
            self._at -= 1
            return self._inside(self.numbers)
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                self._back("this number is too large")
            return Constant(value)
        if token.kind == "quoted":
            return _column(token)
        if token.kind != "name":
            self._back("a column, a number or a function is needed here")
        if self._peek().text != "(":
            return Column(token.text)
        if token.text == "I":
            return self._inside(self.numbers)
        if token.text not in FUNCTIONS:
            self._unknown(token.text)
        return Call(token.text, self._inside(self.numbers))

    def _unknown(self, name: str) -> NoReturn:
        if name in ("C", "poly", "scale", "center"):
            self._back(f"{name}() stands outermost only: nothing may be made of it")
        known = [*FUNCTIONS, "I", "C", "poly", "scale", "center"]
        if name in ("factor", "as.factor", "ordered"):
            self._back(f"{name}() is R's word for a category: write C(...)")
        if name == "Q":
            self._back("Q() is patsy's word for a name: write it in backticks, `a b`")
        near = closest(name, known)
        hint = f"did you mean {near}?" if near else f"it may be {', '.join(known)}"
        self._back(f"{name}() is no function of formulas: {hint}")

    # Tokens.

    def _peek(self, further: int = 0) -> _Token:
        return self._tokens[min(self._at + further, len(self._tokens) - 1)]

    def _take(self) -> _Token:
        token = self._peek()
        self._at = min(self._at + 1, len(self._tokens))
        return token

    def _expect(self, text: str) -> None:
        if self._peek().text != text or self._peek().kind == "string":
            self._fault(f"{text!r} is needed here")
        self._take()

    def expect_end(self) -> None:
        """Refuse anything that is left."""
        if self._peek().kind != "end":
            self._fault("an operator, or the end, is needed here")

    def _whole(self, what: str, most: int) -> int:
        token = self._peek()
        value = float(token.text) if token.kind == "number" else math.nan
        if not (1 <= value <= most and value == int(value)):
            self._fault(f"{what} is a whole number from 1 to {most}")
        self._take()
        return int(value)

    def _inside(self, content: Callable[[], _T]) -> _T:
        """What stands in brackets."""
        self._expect("(")
        self._deeper(1)
        found = content()
        self._deeper(-1)
        self._expect(")")
        return found

    def _deeper(self, step: int) -> None:
        self._depth += step
        if self._depth > MOST_DEPTH:
            self._fault(f"more than {MOST_DEPTH} brackets or powers lie in each other")

    def _back(self, why: str) -> NoReturn:
        """A fault of the token that was taken last."""
        self._at -= 1
        self._fault(why)

    def _fault(self, why: str) -> NoReturn:
        raise _error(self._text, self._peek().place, why)


def _column(token: _Token) -> Column:
    quoted = token.kind == "quoted"
    return Column(token.text[1:-1].replace("``", "`") if quoted else token.text)


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while True:
        while place < len(text) and text[place].isspace():
            place += 1
        found = _TOKEN.match(text, place)
        if found is None:
            raise _error(text, place, _HINTS.get(text[place], "this is no part of one"))
        assert found.lastgroup is not None
        yield _Token(found.lastgroup, found.group(), place)
        if found.lastgroup == "end":
            return
        place = found.end()


_HINTS = {
    "|": "grouped and mixed terms are not offered; a category is C(g)",
    "%": "write a/b for b within a",
    "`": "a name between backticks needs one at each end",
    '"': "a text needs a quote at each end",
    "'": "a text needs a quote at each end",
}


def _error(text: str, place: int, why: str) -> UsageError:
    """The error at a place in a formula, with a little of what is around it."""
    before, after = text[max(0, place - 24) : place], text[place : place + 12]
    where = f"at {after!r}" if after else "at its end"
    where += f" after {before!r}" if before.strip() else ""
    return UsageError(f"the formula cannot be read {where}: {why}")
