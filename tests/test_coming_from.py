"""The numbers that docs/coming-from-r.md quotes are R's, and gradline's are the same.

The code of these pages runs in test_docs.py; R itself can't run here, but its answers
were recorded with the references (tests/references/fits).
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradline as gl
from helpers import ROOT, TOLERANCE, reference_fit

PAGE = (ROOT / "docs" / "coming-from-r.md").read_text(encoding="utf-8")
R = reference_fit("penguins_categorical_missing")["R"]


def as_printed(text: str, value: str) -> bool:
    """Whether a number on the page is R's, rounded to the digits that are shown."""
    digits = len(re.sub(r"e.*|[-.]", "", text).lstrip("0"))
    return any(
        f"{float(value):.{n}g}" == text for n in (digits, digits + 1, digits + 2)
    )


def table() -> dict[str, list[str]]:
    """The rows of the page's table: R's term, and the numbers beside it."""
    rows = re.findall(r"^\| `([^`]+)` \| (-?\d.*) \|$", PAGE, re.M)
    return {term: numbers.split(" | ") for term, numbers in rows}


def test_the_table_is_what_r_has_computed() -> None:
    found = table()
    assert list(found) == R["terms"]
    for column, key in enumerate(("coef", "se_classic", "t", "p", "se_HC3")):
        for term, value in zip(R["terms"], R[key], strict=True):
            text = found[term][column]
            assert as_printed(text, value), f"{term}: {key} is {value}, not {text}"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("Residual standard error ", "rsd"),
        ("R² ", "r2"),
        ("adjusted ", "adj_r2"),
        ("F ", "F"),
        ("log-likelihood ", "loglik"),
        ("AIC ", "aic_R"),
        ("BIC ", "bic_R"),
    ],
)
def test_the_scores_are_what_r_has_computed(words: str, key: str) -> None:
    text = PAGE[PAGE.index("Residual standard error ") :]
    found = re.search(rf"\b{re.escape(words)}(-?[\d.]*\d)", text)
    assert found
    assert as_printed(found[1], R[key]), f"{words}is {R[key]}"


def test_the_predictions_are_what_r_has_computed() -> None:
    found = re.search(r"^R: ([\d., ]+); with standard errors ([\d., ]+)\.$", PAGE, re.M)
    assert found
    for text, key in ((found[1], "mean"), (found[2], "se_mean")):
        for number, value in zip(text.split(", "), R["predict3"][key], strict=True):
            assert as_printed(number, value)


def test_gradline_finds_what_r_found() -> None:
    fit = gl.fit(
        ROOT / "docs" / "penguins.csv",
        formula="body_mass_g ~ bill_length_mm + flipper_length_mm"
        " + species + island + sex",
        missing="drop",
    )
    plain, robust = fit.inference(), fit.inference("HC3")
    for here, key in (
        ([fit.intercept, *fit.slopes], "coef"),
        (list(plain.standard_errors.values()), "se_classic"),
        (list(robust.standard_errors.values()), "se_HC3"),
        (list(plain.t.values()), "t"),
    ):
        there = np.array(R[key], dtype=float)
        np.testing.assert_allclose(here, there, rtol=TOLERANCE["float64"])
    # A p-value has fewer digits than its t: their errors grow with t².
    there = np.array(R["p"], dtype=float)
    np.testing.assert_allclose(list(plain.p.values()), there, rtol=1e-7)
