"""Six real tables whose answers are known from exact arithmetic.

The recipe of each reference says which package has the table; the numbers to match are
the "reference" block, computed from rationals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gradline as gl
from helpers import TOLERANCE, real_table, reference_fit

#: Relative tolerance of a coefficient after descent has converged.
AFTER_DESCENT = 1e-6

# In flights and penguins the references call a level C(carrier)[T.AS], gradline
# carrier[AS]; both have the first level in byte order as the base.
COLUMNS = {
    "engel_hetero": ("foodexp", ["income"]),
    "longley": ("TOTEMP", ["GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"]),
    "wage1_simple": ("wage", ["educ"]),
    "stackloss_outliers": ("STACKLOSS", ["AIRFLOW", "WATERTEMP", "ACIDCONC"]),
    "penguins_categorical_missing": (
        "body_mass_g",
        ["bill_length_mm", "flipper_length_mm", "species", "island", "sex"],
    ),
    "flights_large": (
        "arr_delay",
        ["dep_delay", "distance", "air_time", "origin", "carrier"],
    ),
}


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {}


def table(tables: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    if name not in tables:
        tables[name] = real_table(name)
    return tables[name]


def gradline_name(term: str) -> str:
    """C(carrier)[T.AS] is carrier[AS] here."""
    return term.replace("C(", "").replace(")[T.", "[")


def check(fit: gl.Fit, name: str, tolerance: float) -> None:
    reference = reference_fit(name)
    terms = [gradline_name(term) for term in reference["terms"]]
    assert ["Intercept", *fit.coefficients] == terms
    found = [fit.intercept, *fit.coefficients.values()]
    expected = [float(value) for value in reference["reference"]["coef"]]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)
    assert fit.rows == reference["rows_used"]
    assert fit.dropped == reference["rows_raw"] - reference["rows_used"]
    r2 = float(reference["reference"]["r2"])
    assert fit.metrics.r2 == pytest.approx(r2, rel=tolerance)
    rss = float(reference["reference"]["rss"])
    assert fit.certificate.optimum_loss * fit.rows == pytest.approx(
        rss, rel=TOLERANCE["float64"]
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_exact(name: str, tables: dict[str, pd.DataFrame]) -> None:
    target, features = COLUMNS[name]
    fit = gl.fit(table(tables, name), target=target, features=features, missing="drop")
    check(fit, name, TOLERANCE["float64"])
    assert fit.certificate.status == "exact"
    assert fit.certificate.rank == len(fit.coefficients) + 1


@pytest.mark.parametrize("name", COLUMNS)
def test_descent(name: str, tables: dict[str, pd.DataFrame]) -> None:
    target, features = COLUMNS[name]
    fit = gl.fit(
        table(tables, name),
        target=target,
        features=features,
        missing="drop",
        method="gd",
    )
    check(fit, name, AFTER_DESCENT)
    assert fit.certificate.status == "converged"
    assert fit.certificate.epochs_needed == 0
