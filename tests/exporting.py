"""What the tests of exports share: fits of many kinds, with data to predict for."""

from __future__ import annotations

import csv
from typing import Any, NamedTuple

import numpy as np

import gradline as gl
from helpers import ROOT

#: Exports compute the same as fit.predict, in another order of rounding.
SAME = 1e-12

Columns = dict[str, list[Any]]


class Case(NamedTuple):
    """A fit, the columns to predict for, and what it predicts."""

    fit: gl.Fit
    columns: Columns
    expected: np.ndarray[Any, Any]


def penguins() -> Columns:
    """The penguins, missing values as None."""
    with (ROOT / "docs" / "penguins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    words = {"species", "island", "sex"}
    return {
        name: [
            (row[name] or None) if name in words or not row[name] else float(row[name])
            for row in rows
        ]
        for name in rows[0]
    }


def odd_columns() -> Columns:
    """Categories of numbers and of truth, whole numbers, numbers far from 0."""
    random = np.random.default_rng(5)
    n = 60
    codes = random.integers(0, 4, n)
    found: Columns = {
        "count": random.integers(-5, 90, n).tolist(),
        "huge": random.integers(3 * 10**9, 4 * 10**9, n).tolist(),
        "vast": random.integers(3 * 10**9, 4 * 10**9, n).tolist(),
        "far": (1e9 + random.uniform(0, 3, n)).tolist(),
        "true": (random.uniform(size=n) < 0.5).tolist(),
        "grade": np.array([1.0, 2.5, 10.0, -3.0])[codes].tolist(),
        "only": ["one"] * n,
        "a \"quoted\" 'name'; --": random.normal(size=n).tolist(),
        "lev\nels": np.array(["it's", '"', "a\nb", "größe, é"])[codes].tolist(),
    }
    found["y"] = random.normal(size=n).tolist()
    return found


PENGUINS: dict[str, dict[str, Any]] = {
    "numbers": {"features": ["bill_length_mm", "bill_depth_mm", "year"]},
    "categories": {"features": ["flipper_length_mm", "sex", "species"]},
    "all": {},
    "no intercept": {"features": ["bill_length_mm", "species"], "intercept": False},
    "ridge": {"features": ["bill_length_mm", "sex"], "penalty": "ridge", "alpha": 1.0},
    "descent": {"features": ["bill_length_mm", "sex"], "method": "gd", "epochs": 40},
    "huber": {"features": ["bill_length_mm", "sex"], "loss": "huber"},
    "number as category": {"features": ["year", "sex"], "categories": ["year"]},
    "degree": {"features": ["bill_length_mm", "flipper_length_mm", "sex"], "degree": 4},
}
FORMULAS: dict[str, str] = {
    "log of the target": "log(body_mass_g) ~ bill_length_mm + sex",
    "functions": "body_mass_g ~ log(bill_length_mm) + log2(bill_depth_mm) + "
    "log10(flipper_length_mm) + log1p(year - 2000) + exp(bill_depth_mm / 20) + "
    "sqrt(year - 2000) + abs(bill_length_mm - 40) + square(bill_depth_mm)",
    "arithmetic": "body_mass_g ~ I(bill_length_mm / bill_depth_mm - 2 ^ 3 / 5) + "
    "I((year - 2000) ^ 1.5) + I(2 ^ (bill_depth_mm / 9)) + "
    "I(log(2) * bill_length_mm * bill_length_mm)",
    "learned": "body_mass_g ~ scale(bill_length_mm) + center(bill_depth_mm) + "
    "scale(log(flipper_length_mm))",
    "polynomials": "body_mass_g ~ poly(bill_length_mm, 9) + "
    "poly(log(flipper_length_mm), 3) + poly(bill_depth_mm, 3, raw=True)",
    "interactions": "body_mass_g ~ bill_length_mm:bill_depth_mm + sex*species + "
    "poly(bill_depth_mm, 2):sex + poly(bill_length_mm, 2):poly(bill_depth_mm, 2) + "
    "bill_length_mm*C(year)*sex",
    "without lower ones": "body_mass_g ~ 0 + sex:species + bill_length_mm:species",
    "both": "body_mass_g ~ year + C(year):sex",
}
ODD: dict[str, dict[str, Any]] = {
    "truth": {"features": ["count", "true"]},
    "levels that are numbers": {"features": ["grade"], "categories": ["grade"]},
    "one level": {"formula": "y ~ count + only"},
    "whole numbers": {"formula": "y ~ huge:vast + I(huge^2)", "target": None},
    "far from 0": {"features": ["far", "count"]},
    "hostile": {"features": ["a \"quoted\" 'name'; --", "lev\nels"]},
    "number and category": {"formula": "y ~ grade + C(grade):true"},
}


def cases() -> dict[str, Case]:
    """All of them, by name."""
    birds, odd = penguins(), odd_columns()
    found = {}
    for name, options in PENGUINS.items():
        fit = gl.fit(birds, target="body_mass_g", missing="drop", **options)
        found[name] = _case(fit, birds)
    for name, formula in FORMULAS.items():
        fit = gl.fit(birds, formula=formula, missing="drop")
        found[name] = _case(fit, birds)
    for name, options in ODD.items():
        fit = gl.fit(odd, **{"target": "y"} | options)
        found[name] = _case(fit, odd)
    return found


NAMES = [*PENGUINS, *FORMULAS, *ODD]


def _case(fit: gl.Fit, columns: Columns) -> Case:
    columns = {name: columns[name] for name in fit.design.features}
    return Case(fit, columns, fit.predict(columns, missing="nan"))
