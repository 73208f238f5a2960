"""A fit as a Python script that needs torch and no gradline.

What comes from data (names, levels) gets into the script by ascii() alone, which makes
a literal of it: nothing in it can run, or end the line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradline import __version__
from gradline.formula import Arithmetic, Call, Column, Constant, Factor, Numbers
from gradline.recipe import Piece, Recipe, simple

#: What stands for a missing value in a CSV file: as Arrow has it, and pandas.
_MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "n/a",
    "nan",
    "null",
)

_HEAD = '''\
"""A line that gradline fitted, in plain PyTorch. It needs torch, and nothing else.

    python {file} data.csv       prints a prediction for each row
    python {file} --help         says how to read other kinds of CSV files

    from {module} import predict
    predict({{"column": [1.0, 2.0], ...}})    columns, or a list of rows, each a dict
"""

import argparse
import csv
import math
import sys

import torch

# By gradline {version}: {about}
TARGET = {target}
NUMBERS = {numbers}
LEVELS = {levels}  # of each category, the base first
PLACES = {{name: {{k: i for i, k in enumerate(LEVELS[name])}} for name in LEVELS}}
TERMS = [  # name, slope, center
{terms}
]
LEVEL = {level!r}  # the prediction at the centers
{learned}MISSING = {missing}


class Line(torch.nn.Module):
    """level + (terms - center) @ slope, for terms of shape (rows, {d})."""

    def __init__(self):
        super().__init__()
        _, slope, center = zip(*TERMS)
        self.slope = torch.nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.level = torch.nn.Parameter(torch.tensor(LEVEL, dtype=torch.float64))
        self.register_buffer("center", torch.tensor(center, dtype=torch.float64))

    def forward(self, terms):
        return self.level + (terms - self.center) @ self.slope


def number(name, place, value):
    """A value of a column of numbers; NaN where it is missing."""
    if value is None or (isinstance(value, str) and value.strip() in MISSING):
        return math.nan
    try:
        found = float("_" if "_" in str(value) else value)
    except (TypeError, ValueError):
        comma = " (--decimal , reads 1,5 as a number)" * ("," in str(value))
        raise ValueError(
            f"column {{name!r}} holds {{value!r}} in row {{place}}: give numbers "
            f"there{{comma}}"
        ) from None
    if math.isinf(found):
        raise ValueError(f"column {{name!r}} is infinite in row {{place}}: correct it")
    return found


def level(name, place, value):
    """The place of a value among the levels of its column; None where missing."""
    value = value.item() if hasattr(value, "item") else value
    value = number(name, place, value) if name in NUMBERS else value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() and abs(value) < 2**53 else value
    known = PLACES[name]
    if value is None or (str(value) in MISSING and str(value) not in known):
        return None
    text = str(value)
    if text not in known and all(k.lower() in ("true", "false") for k in known):
        spelled = (text.capitalize(), text.lower(), text.upper())
        text = next((other for other in spelled if other in known), text)
    if text not in known:
        raise ValueError(
            f"column {{name!r}} holds {{text!r}} in row {{place}}, a level the model "
            f"has not seen: leave such rows out; it knows {{LEVELS[name][:8]}}"
        )
    return known[text]


def column(data, name):
    """One column of data: a dict of columns, a frame, or a list of rows."""
    try:
        if hasattr(data, "keys"):
            return list(data[name])
        return [row[name] for row in data]
    except KeyError:
        raise ValueError(f"there is no column {{name!r}}: give it too") from None


def numbers(data, name):
    """A column of numbers, (rows,)."""
    values = [number(name, i, v) for i, v in enumerate(column(data, name), 1)]
    return torch.tensor(values, dtype=torch.float64)


def indicators(data, name):
    """A column of 0 and 1 for each level of a category; NaN where it is missing."""
    codes = [level(name, i, v) for i, v in enumerate(column(data, name), 1)]
    missing = torch.tensor([math.nan if c is None else 0.0 for c in codes])
    codes = torch.tensor([-1 if c is None else c for c in codes])
    missing = missing.double()
    return [missing + (codes == k) for k in range(len(LEVELS[name]))]


def product(*factors):
    """The products of the columns of factors; the first one's change fastest."""
    found = factors[0]
    for factor in factors[1:]:
        found = [a * b for b in factor for a in found]
    return found

{helpers}
def terms(data, missing="error"):
    """The terms of the model, (rows, {d}); NaN in rows that are not complete."""
    x = {{name: numbers(data, name) for name in NUMBERS}}
    g = {{name: indicators(data, name) for name in LEVELS}}
    complete = True
    for name, values in [*x.items(), *((name, g[name][0]) for name in g)]:
        gap = torch.isnan(values)
        complete = ~gap & complete
        if missing != "nan" and gap.any():
            raise ValueError(
                f"column {{name!r}} has a missing value, first in row "
                f"{{int(gap.nonzero()[0]) + 1}}: fill it in, or predict nothing there "
                "with missing='nan' (--missing nan)"
            )
    found = []
{pieces}
    found = torch.stack(found, dim=1)
    undefined = complete & ~torch.isfinite(found).all(dim=1)
    if undefined.any():
        row = int(undefined.nonzero()[0])
        name = TERMS[int((~torch.isfinite(found[row])).nonzero()[0])][0]
        raise ValueError(
            f"the term {{name!r}} is not a finite number in row {{row + 1}}: leave "
            "such rows out"
        )
    found[~complete] = math.nan
    return found


def predict(data, missing="error"):
    """Predictions of the target, (rows,) float64.

    data: a dict of columns, a frame, or a list of rows, each a dict.
    missing: "error", or "nan" to predict NaN where a value is missing.
    """
    x = terms(data, missing)
    incomplete = torch.isnan(x).any(dim=1)
    with torch.no_grad():
        found = Line()(x)
    if not torch.isfinite(found[~incomplete]).all():
        raise ValueError("a prediction is not finite: the values are too large")
    return found


def read(path, delimiter=None, decimal=".", encoding="utf-8-sig"):
    """The rows of a CSV file, each a dict. A delimiter of None is found out."""
    wanted = {{*NUMBERS, *LEVELS}}
    try:
        with open(path, newline="", encoding=encoding) as file:
            for one in delimiter or ",;\\t|":
                file.seek(0)
                header, *lines = [*csv.reader(file, delimiter=one)] or [[]]
                if wanted <= {{*header}}:
                    break
            else:
                raise ValueError(
                    f"it lacks a column: it needs {{sorted(wanted)}}; if they are "
                    "there, give --delimiter or --encoding"
                )
    except LookupError:
        raise ValueError(f"there is no encoding {{encoding!r}}: try cp1252") from None
    except UnicodeError:
        raise ValueError(
            f"it is not text in {{encoding}}: give --encoding, such as cp1252 or utf-16"
        ) from None
    lines = [line for line in lines if line]
    for place, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise ValueError(
                f"row {{place}} has {{len(line)}} values and the first line has "
                f"{{len(header)}}: correct it, or give --delimiter"
            )
    rows = [dict(zip(header, line)) for line in lines]
    if decimal == ",":
        for place, row in enumerate(rows, 1):
            row.update({{name: with_point(name, place, row[name]) for name in NUMBERS}})
    return rows


def with_point(name, place, value):
    """A number with a decimal comma as one with a point."""
    if "." in value and value.strip() not in MISSING:
        raise ValueError(
            f"column {{name!r}} holds {{value!r}} in row {{place}}: with --decimal , "
            "give numbers without points"
        )
    return value if "." in value else value.replace(",", ".")


def main():
    parser = argparse.ArgumentParser(
        description="Print a prediction for each row of a CSV file."
    )
    add = parser.add_argument
    add("data", metavar="data.csv", help="its first line names the columns")
    add("--delimiter", help="between columns, or 'tab'; else found out of , ; tab |")
    add("--decimal", choices=".,", default=".", metavar="MARK", help=". or , (else .)")
    add("--encoding", default="utf-8-sig", help="such as cp1252; else UTF-8")
    add(
        "--missing",
        choices=["error", "nan"],
        default="error",
        help="nan prints an empty line where a value is missing; error stops there",
    )
    given = parser.parse_args()
    delimiter = "\\t" if given.delimiter in ("tab", "\\\\t") else given.delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\\r\\n'):
        parser.error("--delimiter takes one character, or 'tab'")
    try:
        rows = read(given.data, delimiter, given.decimal, given.encoding)
        found = predict(rows, given.missing)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, OSError):
            error = f"{{error.strerror}}: give a CSV file"
        print(f"{{given.data}}: {{error}}", file=sys.stderr)
        sys.exit(2)
    for value in found.tolist():
        print("" if math.isnan(value) else repr(value))


if __name__ == "__main__":
    main()
'''

_POLY = '''
def poly(x, learned):
    """Orthonormal polynomials of x, degree 1 and up; see gradline's poly.py."""
    rows, middle, half, alphas, betas = learned
    t = (x - middle) / half
    before, now, shrunk = 0.0, torch.full_like(x, 1 / math.sqrt(rows)), 0.0
    found = []
    for alpha, beta in zip(alphas, betas):
        before, now = now, ((t - alpha) * now - shrunk * before) / beta
        shrunk = beta
        found.append(now)
    return found

'''

_SCALE = '''
def scale(x, learned):
    """x less its mean, by its standard deviation."""
    rows, middle, half, alphas, betas = learned
    deviation = betas[0] * math.sqrt(rows / max(1, rows - 1))
    return [((x - middle) / half - alphas[0]) / deviation]

'''

_CENTER = '''
def center(x, learned):
    """x less its mean."""
    rows, middle, half, alphas, betas = learned
    return [(x - middle) - half * alphas[0]]

'''

_HELPERS = {"poly": _POLY, "scale": _SCALE, "center": _CENTER}


def plain_script(known: Recipe, file: str = "model.py") -> str:
    """The script of a recipe.

    Args:
        known: what it computes.
        file: its name, which its first lines tell of.
    """
    plain = file if file.isascii() and file.isprintable() and "\\" not in file else ""
    plain = plain.replace('"', "") or "model.py"
    terms = zip(
        (name for piece in known.pieces for name in piece.names),
        known.slopes.tolist(),
        known.center.tolist(),
        strict=True,
    )
    kinds = {f.kind for f in known.factors if f.kind in _HELPERS and not f.raw}
    learned = {
        name: (p.rows, p.middle, p.half, p.alpha, p.beta)
        for name, p in known.learned.items()
    }
    return _HEAD.format(
        file=plain,
        module=plain.removesuffix(".py"),
        version=_ascii(__version__),
        about=_ascii(known.about),
        target=ascii(known.target),
        numbers=ascii(list(known.numbers)),
        levels=_levels(known),
        terms="\n".join(f"    ({n!a}, {s!r}, {c!r})," for n, s, c in terms),
        level=known.level,
        learned=_learned(learned),
        missing=_wrapped(_MISSING),
        d=len(known.slopes),
        helpers="".join(_HELPERS[kind] for kind in sorted(kinds)),
        pieces="\n".join(f"    found += {_piece(p)}" for p in known.pieces),
    )


def _ascii(text: str) -> str:
    """Text for a comment: on one line, whatever it holds."""
    return ascii(text)[1:-1]


def _levels(known: Recipe) -> str:
    found = [f"    {n!a}: {list(values)!a}," for n, values in known.levels.items()]
    return "\n".join(["{", *found, "}"]) if found else "{}"


def _learned(learned: Mapping[str, tuple[object, ...]]) -> str:
    if not learned:
        return ""
    found = [f"    {name!a}: {values!r}," for name, values in learned.items()]
    head = "LEARNED = {  # rows, middle and half of the range, alphas, betas"
    return "\n".join([head, *found, "}"]) + "\n"


def _wrapped(words: tuple[str, ...]) -> str:
    lines = [", ".join(map(ascii, words[i : i + 9])) for i in range(0, len(words), 9)]
    return "{\n" + "".join(f"    {line},\n" for line in lines) + "}"


def _piece(piece: Piece) -> str:
    """The columns of a piece as an expression."""
    reduced = {f.columns[0] for f, whole in piece.factors if not whole}
    parts = []
    for factor, _ in piece.factors:
        if factor.kind == "category":
            name = factor.columns[0]
            parts.append(f"g[{name!a}]" + "[1:]" * (name in reduced))
        else:
            parts.append(_columns(factor))
    return parts[0] if len(parts) == 1 else f"product({', '.join(parts)})"


def _columns(factor: Factor) -> str:
    """The columns of a factor of numbers as an expression, a list."""
    x = _expression(simple(factor.of))
    if factor.kind == "numbers":
        return f"[{x}]"
    if factor.raw:
        return f"[({x}) ** k for k in range(1, {factor.degree + 1})]"
    return f"{factor.kind}({x}, LEARNED[{factor.text!a}])"


def _expression(numbers: Numbers) -> str:
    if isinstance(numbers, Column):
        return f"x[{numbers.name!a}]"
    if isinstance(numbers, Call):
        return f"torch.{numbers.function}({_expression(numbers.of)})"
    if isinstance(numbers, Arithmetic):
        ((operator, operand),) = numbers.rest
        sign = "**" if operator == "^" else operator
        return f"({_expression(numbers.first)} {sign} {_expression(operand)})"
    return _constant(numbers)


def _constant(numbers: Constant) -> str:
    value = numbers.value
    if not math.isfinite(value):
        return f"float({str(value)!r})"
    return f"({value!r})" if value < 0 else repr(value)
