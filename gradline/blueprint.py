"""A design as JSON, and back: what comes from a file is believed only when checked.

The factors of a formula are stored as the grammar has them, and taken apart by it
again; nothing else is done with their text.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from gradline.checks import LARGEST
from gradline.design import Design
from gradline.encode import Encoding, Levels
from gradline.errors import UsageError
from gradline.formula import columns_in
from gradline.grammar import parse_factor, parse_numbers
from gradline.poly import Polynomials
from gradline.terms import MOST_FACTORS, MOST_TERMS


def about_design(design: Design) -> dict[str, Any]:
    """A design as plain values."""
    about = {
        field.name: getattr(design, field.name) for field in dataclasses.fields(design)
    }
    encoding = about.pop("encoding")
    if encoding is not None:  # else the file is as it was before there were formulas
        about["encoding"] = {
            "text": encoding.text,
            "response": None if encoding.response is None else encoding.response.text,
            "terms": [[factor.text for factor in term] for term in encoding.terms],
            "learned": {
                name: dataclasses.asdict(found)
                for name, found in encoding.learned.items()
            },
        }
    return about


def _encoding(
    about: dict[str, Any] | None, target: str, features: list[str], levels: Levels
) -> Encoding | None:
    """The terms of a formula, taken apart as if they had been typed."""
    if about is None:
        return None
    text, response, terms = about["text"], about["response"], about["terms"]
    if not isinstance(text, str) or not isinstance(terms, list):
        raise ValueError("the formula")
    if not 0 < len(terms) <= MOST_TERMS or not all(
        isinstance(term, list) and 0 < len(term) <= MOST_FACTORS for term in terms
    ):
        raise ValueError("the terms of the formula")
    made = None if response is None else parse_numbers(response)
    known = {name: parse_factor(name) for term in terms for name in term}
    if any(factor.text != name for name, factor in known.items()):
        raise ValueError("a factor of the formula")
    encoding = Encoding(
        text,
        tuple(tuple(known[name] for name in term) for term in terms),
        made,
        {name: _polynomials(found) for name, found in about["learned"].items()},
    )
    wanted = {factor.text: factor for factor in encoding.to_learn}
    if wanted.keys() != encoding.learned.keys():
        raise ValueError("what the formula has learned")
    for name, factor in wanted.items():
        beta = encoding.learned[name].beta
        if len(beta) != factor.degree or (0 in beta and factor.kind != "center"):
            raise ValueError(f"what {name} has learned")
    read = {*encoding.numbers, *encoding.categories}
    if read != set(features) or set(encoding.categories) != levels.keys():
        raise ValueError("the columns of the formula")
    if made is not None and set(columns_in(made)) != {target}:
        raise ValueError("the target of the formula")
    return encoding


def _polynomials(about: dict[str, Any]) -> Polynomials:
    alpha, beta = (
        tuple(number(value, math.nan) for value in about[name])
        for name in ("alpha", "beta")
    )
    middle, half = (number(about[name], math.nan) for name in ("middle", "half"))
    if not all(map(math.isfinite, (*alpha, *beta, middle, half))):
        raise ValueError("a polynomial is not finite")
    rows = count(about["rows"])
    if len(alpha) != len(beta) or half <= 0 or min(beta) < 0 or not 0 < rows < LARGEST:
        raise ValueError("a polynomial is not one")
    return Polynomials(rows, middle, half, alpha, beta)


def design_from(about: dict[str, Any]) -> Design:
    """What `about_design` told of.

    Raises:
        KeyError, TypeError, ValueError: it is no design.
    """
    try:
        return _design(about)
    except UsageError as error:  # of the grammar: it is not the reader's to mend
        raise ValueError(f"{error}") from None


def _design(about: dict[str, Any]) -> Design:
    if not isinstance(about["features"], (list, tuple)):
        raise ValueError("the features are no list")
    told = about["levels"]
    if not isinstance(told, dict) or not all(
        isinstance(found, (list, tuple)) for found in told.values()
    ):
        raise ValueError("the levels are no lists by feature")
    names = [about["target"], *about["features"]]
    levels = {n: tuple(values) for n, values in told.items()}
    names += [level for values in levels.values() for level in values]
    weights, missing = about["weights"], about["missing"]
    if weights is not None:
        names.append(weights)
    if not all(isinstance(n, str) for n in names):
        raise ValueError("a column's name is no text")
    if missing not in ("error", "drop") or not about["features"]:
        raise ValueError("the design is not complete")
    intercept = about.get("intercept", True)
    if not isinstance(intercept, bool):
        raise ValueError("intercept is neither true nor false")
    encoding = _encoding(
        about.get("encoding"), about["target"], list(about["features"]), levels
    )
    design = Design(
        about["target"],
        tuple(about["features"]),
        levels,
        weights,
        missing,
        intercept,
        encoding,
    )
    if len(set(design.names)) != len(design.names):
        raise ValueError("two terms have one name")
    if any(name not in design.features for name in levels):
        raise ValueError("levels of an unknown column")
    return design


def count(value: Any) -> int:
    """A whole number of 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"the count {str(value)[:20]}")
    return value


def number(value: Any, absent: float) -> float:
    """A number; `absent` where there is none."""
    if value is None:
        return absent
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"the number {str(value)[:20]!r}")
    return float(value)
