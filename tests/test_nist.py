"""NIST's linear sets: every digit that float64 input allows.

certified.json says how many digits the exact solution of the rounded input shares with
the certified values; no solver that is handed float64 can be asked for more.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import gradline as gl
from helpers import REFERENCES

SETS = json.loads((REFERENCES / "nist" / "certified.json").read_text("utf-8"))["sets"]

#: How far below the attainable number of digits an answer may stay.
SLACK = 0.5


def design(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    data = np.array(record["data"], dtype=float)
    form = record["form"]
    if form["kind"] == "multilinear":
        return data[:, 1:], data[:, 0]
    powers = range(1, form["degree"] + 1)
    return np.column_stack([data[:, 1] ** k for k in powers]), data[:, 0]


def digits(found: float, certified: str) -> float:
    """NIST's log relative error: digits in common, 15 at the most."""
    truth = float(certified)
    if found == truth:
        return 15.0
    error = abs(found - truth) / abs(truth) if truth else abs(found)
    return min(15.0, -math.log10(error))


def attainable(record: dict[str, Any], what: str) -> float:
    limits = record["attainable_lre_when_inputs_rounded_to"]
    found = [limits[k][what] for k in ("float64", "float64_design_matrix")]
    return min([15.0, *(v for v in found if isinstance(v, float))])


def fitted(record: dict[str, Any]) -> gl.Fit:
    return gl.fit(*design(record), intercept=record["form"]["intercept"])


@pytest.mark.parametrize("record", SETS, ids=lambda r: r["name"])
def test_coefficients(record: dict[str, Any]) -> None:
    fit = fitted(record)
    truth = record["recomputed_40_digits"]["beta"]
    found = [fit.intercept] if record["form"]["intercept"] else []
    found += fit.coefficients.values()
    worst = min(digits(b, t) for b, t in zip(found, truth, strict=True))
    assert worst >= attainable(record, "beta") - SLACK
    rss = float(record["rss"])
    if rss:
        assert fit.certificate.optimum_loss * fit.rows == pytest.approx(rss, rel=1e-7)
    else:
        assert fit.certificate.optimum_loss < 1e-25


@pytest.mark.parametrize("record", SETS, ids=lambda r: r["name"])
def test_standard_errors(record: dict[str, Any]) -> None:
    inference = fitted(record).inference()
    truth = record["recomputed_40_digits"]
    least = attainable(record, "sd") - SLACK
    if not float(truth["rss"]):  # Wampler1 and 2: every residual is 0
        assert max(inference.standard_errors.values()) < 1e-9
        return
    found = list(inference.standard_errors.values())
    worst = min(digits(e, t) for e, t in zip(found, truth["sd"], strict=True))
    assert worst >= least
    assert digits(inference.residual_std, truth["rsd"]) >= least
    rss = inference.residual_std**2 * inference.df_resid
    assert digits(rss, truth["rss"]) >= least


def test_all_eleven_sets_are_here() -> None:
    assert len(SETS) == 11
    without = {r["name"] for r in SETS if not r["form"]["intercept"]}
    assert without == {"NoInt1", "NoInt2"}


@pytest.mark.parametrize("record", SETS, ids=lambda r: r["name"])
def test_r2_and_f(record: dict[str, Any]) -> None:
    found = fitted(record).inference()
    truth = record["recomputed_40_digits"]
    off = abs(found.r2 - float(truth["r2"]))  # a share of 1, so not relative
    assert off <= 10 ** (SLACK - attainable(record, "beta"))
    if float(truth["rss"]):
        assert found.f_statistic == pytest.approx(float(record["F"]), rel=1e-7)
