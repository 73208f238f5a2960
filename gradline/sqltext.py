"""A fit as one SQL SELECT, for DuckDB, SQLite and others that speak standard SQL.

What the text makes sure of:
- every number has an exponent, so that no engine takes it for a decimal or an integer;
- a column is named with its table, as SQLite takes a "name" it does not know for text;
- bounds are cast to double, so that SQLite compares text columns as the numbers in them
  and takes other text for no number;
- a category is compared as text, in all the spellings that engines give its level;
- a level with a line break or another control character is written as JSON, as reading
  a file may change such characters.

A row with a value that is missing, no finite number or an unknown level gets NULL.
An orthonormal polynomial is written by its roots, q_k(t) = c (t - r_1) ... (t - r_k):
they are real, apart, and the eigenvalues of the tridiagonal matrix of α and β, see
poly.py. Nothing nests deeply, as SQLite's parser has a small stack.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Sequence
from unicodedata import category

import numpy as np

from gradline.data import Array, number_label
from gradline.errors import UsageError
from gradline.formula import Arithmetic, Call, Column, Constant, Factor, Numbers
from gradline.poly import Polynomials
from gradline.recipe import Piece, Recipe, simple
from gradline.truths import spellings, truths

#: Engines refuse expressions that are nested a thousand deep, as a long sum is.
MOST_IN_A_SUM = 100

#: Letters: SQLite takes no longer text.
MOST_LETTERS = 1_000_000

_LEAST, _MOST = (
    f"CAST({sign}1.7976931348623157e308 AS DOUBLE PRECISION)" for sign in ("-", "")
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_TRUTH = {"True": "1", "False": "0"}


def sql_text(
    known: Recipe, table: str = "data", column: str = "prediction", head: str = ""
) -> str:
    """The SELECT of a recipe: all columns of a table, and the predictions.

    Args:
        known: what it computes.
        table: where the features are.
        column: the name of the predictions.
        head: of a comment before it.

    Raises:
        UsageError: a name or a level has a NUL in it, which no SQL text may hold; or
            the text would be longer than engines take.
    """
    given = [_finite(_column(name)) for name in known.numbers]
    for factor in known.factors:
        if not isinstance(factor.of, Column):
            given += [_finite(text) for text in _base(factor)]
    met = {name for piece in known.pieces for name in piece.categories}
    for name in known.levels:
        if name not in met:  # it has one level, which changes nothing
            spelled = itertools.chain(*_spellings(known.levels[name]))
            texts = ", ".join(map(_quoted, spelled))
            given.append(f"{_text_of(name)} IN ({texts})")
    parts = [_number(known.constant)]
    for piece in known.pieces:
        parts += _piece(piece, known)
        _check_length(parts)
    lines = [
        *([f"-- {ascii(head)[1:-1]}"] if head else []),
        "SELECT t.*,",
        f"  {_case(given, parts)} AS {_named(column)}",
        f"FROM {_named(table)} AS t",
    ]
    text = "\n".join(lines) + "\n"
    _check_length([text])
    words = text + "".join(itertools.chain(*known.levels.values()))
    if "\0" in words or any("\ud800" <= letter <= "\udfff" for letter in words):
        raise UsageError(
            "a column or a level has a character in its name that no SQL may hold: "
            "rename it in the data and fit again"
        )
    return text


def _check_length(parts: Iterable[str]) -> None:
    if sum(map(len, parts)) > MOST_LETTERS:
        raise UsageError(
            f"as SQL this model would be longer than {MOST_LETTERS:,} letters, which "
            "engines refuse: export it --to onnx or --to pytorch"
        )


def _case(given: Sequence[str], parts: Sequence[str]) -> str:
    total = _joined(parts, "\n    + ")
    if not given:
        return f"(\n    {total}\n  )"
    condition = _joined(given, "\n    AND ")
    return f"CASE WHEN {condition} THEN\n    {total}\n  END"


def _joined(parts: Sequence[str], between: str) -> str:
    """Operands with an operator between them, in brackets where they are many."""
    while len(parts) > MOST_IN_A_SUM:
        groups = [
            parts[i : i + MOST_IN_A_SUM] for i in range(0, len(parts), MOST_IN_A_SUM)
        ]
        parts = [f"({between.join(group)})" for group in groups]
    return between.join(parts)


# Names and literals.


def _named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    if any(category(letter) == "Cc" for letter in text):
        # Who reads a file may make one newline of two letters, and no row would match.
        return f"({_literal(json.dumps([text]))} ->> '$[0]')"
    return _literal(text)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column(name: str) -> str:
    return f"t.{_named(name)}"


def _double(name: str) -> str:
    return f"CAST({_column(name)} AS DOUBLE PRECISION)"


def _text_of(name: str) -> str:
    return f"CAST({_column(name)} AS TEXT)"


def _number(value: float) -> str:
    """A number that reads back as the same double, whatever the engine."""
    if not math.isfinite(value):
        return {"inf": "9e999", "-inf": "(-9e999)"}.get(str(value), "NULL")
    text = repr(value).removesuffix(".0")
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if text.startswith("-") else text


def _finite(text: str) -> str:
    return f"{text} BETWEEN {_LEAST} AND {_MOST}"


# Categories.


def _spellings(levels: Sequence[str]) -> list[list[str]]:
    """The texts that engines make of each level, itself first."""
    found = [[level] for level in levels]
    taken = set(levels)
    for own, level in zip(found, levels, strict=True):
        for text in _other_spellings(level, levels):
            if text not in taken:
                taken.add(text)
                own.append(text)
    return found


def _other_spellings(level: str, levels: Sequence[str]) -> Iterable[str]:
    same = spellings(levels)
    if same:
        texts = [text for text, meant in same.items() if meant == level]
        return (*texts, _TRUTH[truths([level])[level]])
    if not _NUMBER.fullmatch(level):
        return ()
    value = float(level)
    if not math.isfinite(value):
        return ()
    short = f"{value:.15g}"  # as SQLite has it
    if "e" in short:
        digits, power = short.split("e")
        short = f"{digits if '.' in digits else digits + '.0'}e{power}"
    elif "." not in short:
        short += ".0"
    return (number_label(value), repr(value), short)


def _cells(piece: Piece, known: Recipe, slopes: Array, names: Sequence[str]) -> str:
    """The slope of each choice of levels: a CASE in a CASE, NULL for any other level.

    Args:
        piece: with the categories.
        known: has their levels.
        slopes: an axis for each of `names`.
        names: the categories that are left.
    """
    if not names:
        return _number(float(slopes))
    name, *rest = names
    spelled = _spellings(known.levels[name])
    whens = []
    for own, part in zip(spelled, slopes, strict=True):
        value = _cells(piece, known, part, rest)
        whens += [f"WHEN {_quoted(text)} THEN {value}" for text in own]
    return f"CASE {_text_of(name)} {' '.join(whens)} END"


# Terms.


def _piece(piece: Piece, known: Recipe) -> list[str]:
    """What a piece adds, in summands."""
    names, alone = piece.categories, len(piece.numeric) == 1
    columns = _products([_columns(f, known, alone) for f in piece.numeric])
    found = []
    for k, factors in enumerate(columns):
        slopes = piece.slopes[..., k]
        if names:
            value = _cells(piece, known, slopes, names)
            found.append(" * ".join([value, *factors]))
            continue
        slope, center = float(slopes), float(piece.centers[k])
        text = " * ".join(factors)
        if center:
            sign, size = "-" if center > 0 else "+", _number(abs(center))
            text = f"({text} {sign} {size})"
        found.append(f"{_number(slope)} * {text}")
    return found


def _products(factors: Sequence[Sequence[str]]) -> list[list[str]]:
    """Choices of one column from each factor; the first one's change fastest."""
    found: list[list[str]] = [[]]
    for columns in factors:
        found = [[*before, text] for text in columns for before in found]
    return found


def _base(factor: Factor) -> list[str]:
    """The number that a factor is made of, and its powers where these may overflow."""
    x = _expression(simple(factor.of))
    return [x, f"POWER({x}, {_number(factor.degree)})"] if factor.raw else [x]


def _columns(factor: Factor, known: Recipe, alone: bool) -> list[str]:
    """The columns of a factor of numbers."""
    if isinstance(factor.of, Column) and factor.kind == "numbers":
        # With a double it needs no cast; two whole numbers may overflow.
        return [(_column if alone else _double)(factor.of.name)]
    x = _expression(simple(factor.of))
    if factor.kind == "numbers":
        return [x]
    if factor.raw:
        powers = [f"POWER({x}, {_number(k)})" for k in range(2, factor.degree + 1)]
        return [x, *powers]
    learned = known.learned[factor.text]
    if factor.kind == "center":
        return [
            f"(({x} - {_number(learned.middle)}) - "
            f"{_number(learned.half * learned.alpha[0])})"
        ]
    t = f"(({x} - {_number(learned.middle)}) / {_number(learned.half)}"
    if factor.kind == "scale":
        mean, deviation = _number(learned.alpha[0]), _number(learned.deviation)
        return [f"({t} - {mean}) / {deviation})"]
    return _orthonormal(f"{t})", learned)


def _orthonormal(t: str, learned: Polynomials) -> list[str]:
    """q_1(t) to q_N(t), each by its roots, of which it has as many as its degree."""
    found = []
    lead = 1 / math.sqrt(learned.rows)
    for k in range(1, len(learned.alpha) + 1):
        lead /= learned.beta[k - 1]
        between = np.array(learned.beta[: k - 1])
        jacobi = np.diag(learned.alpha[:k]) + np.diag(between, 1) + np.diag(between, -1)
        roots = [f"({t} - {_number(r)})" for r in np.linalg.eigvalsh(jacobi).tolist()]
        found.append(" * ".join([_number(lead), *roots]))
    return found


# Arithmetic.


def _expression(numbers: Numbers) -> str:
    if isinstance(numbers, Column):
        return _double(numbers.name)
    if isinstance(numbers, Constant):
        return _number(numbers.value)
    if isinstance(numbers, Call):
        text = _call(numbers.function, _expression(numbers.of))
    else:
        text = _operation(numbers)
    _check_length([text])
    return text


def _operation(numbers: Arithmetic) -> str:
    ((operator, operand),) = numbers.rest
    left, right = _expression(numbers.first), _expression(operand)
    if operator == "^":
        return f"POWER({left}, {right})"
    if operator == "/":
        right = f"NULLIF({right}, 0e0)"
    return f"({left} {operator} {right})"


def _call(function: str, x: str) -> str:
    """A function; where it is not defined it gets no value, which some engines ask."""
    if function in ("log", "log2", "log10"):
        name = {"log": "LN"}.get(function, function.upper())
        return f"{name}(CASE WHEN {x} > 0e0 THEN {x} END)"
    if function == "sqrt":
        return f"SQRT(CASE WHEN {x} >= 0e0 THEN {x} END)"
    if function == "log1p":  # u - 1 is what rounding has left of x, see Kahan
        u = f"(1e0 + {x})"
        return (
            f"CASE WHEN {u} > 0e0 THEN CASE WHEN {u} = 1e0 THEN {x} "
            f"WHEN {u} > 9e15 THEN LN({u}) "
            f"ELSE LN({u}) * {x} / ({u} - 1e0) END END"
        )
    if function == "square":
        return f"POWER({x}, 2e0)"
    return f"{function.upper()}({x})"
