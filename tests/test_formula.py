"""Formulas: formulaic makes the same columns, chunks make no difference, nothing runs.

formulaic is the oracle: it executes Python, gradline does not.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from formulaic import model_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_bytes

import gradline as gl
from commands import run
from gradline.grammar import parse, parse_factor
from gradline.prepare import Prepared, prepare
from gradline.readers import open_source
from gradline.save import strict_json
from helpers import ROOT, TOLERANCE, real_table

RTOL = TOLERANCE["float64"]
PENGUINS = ROOT / "docs" / "penguins.csv"

_random = np.random.default_rng(0)
_N = 80
TABLE = pd.DataFrame(
    {
        "y": np.exp(_random.normal(size=_N)),
        "x": _random.normal(size=_N),
        "z": _random.uniform(1, 5, _N),
        "v": _random.normal(5, 2, _N),
        "g": _random.choice(list("abc"), _N),
        "h": _random.choice(["s", "t"], _N),
        "k": _random.choice(["p", "q", "r"], _N),
        "m": _random.integers(1, 4, _N),
        "body mass": _random.normal(size=_N),
        "ok": _random.choice([True, False], _N),
    }
)

FORMULAS = """
x | x + z | x * z | x:z | x + x:z | x:x | (x + z + v)**2 | (x + z)^3 - x:z
g | g + h | g * h | g:h | g + g:h | h + g:h | g * h - g | g * h - g - h | ok * g
0 + g | g - 1 | -1 + g | 0 + g + h | 0 + g:h | 0 + h + g:h | -1 + g * h | x + 0
g:x | g * x | x + g:x | 0 + g:x | 0 + x + g:x | x:z + g | g:x + h:x | x + g:x + h:x
g / h | h / x | (g + h) / k | (g + x) / h | g / h / k
(g + h + k)^2 | (g + h + x)^2 - g:h | (x + g)**3 | g * h * k | g:h:k | x:g:h
0 + g + h + g:h:x | g + g:h:x | 0 + h:k + g:h | (g + h + k)^3 - g:h:k | x * g * h - g
log(z) | log10(z):g | sqrt(z) + exp(x) | log1p(z) + log2(z) + abs(x) + square(v)
I(x^2) | I(x * z) + I((x + z) / v - 2) | I(-x + 2**-1) | log(z + 1) * g | exp(-x)
poly(x, 3) | poly(x, 2) * g | g:poly(x, 2) | 0 + poly(x, 2):g | poly(x, 2):poly(z, 2)
poly(z, 3, raw=True) | poly(log(z), 2) | scale(x) | center(z) * g | scale(log(z)) + h
C(m) | C(m) * x | C(m) + m | 0 + C(m):g | `body mass` * g | scale(`body mass`)
"""


def python_of(formula: str) -> str:
    """As formulaic wants it: I() and the arguments of functions are Python."""
    if "(" not in formula or "I(" in formula or "-x" in formula:
        return formula.replace("^", "**")
    return formula


def matrix_of(prepared: Prepared) -> np.ndarray:
    """[1 X], with the ones where the design has an intercept."""
    design = prepared.design
    X = np.vstack([chunk.X for chunk in design.chunks(prepared.source)])
    return np.column_stack([np.ones(len(X)), X]) if design.intercept else X


def formulaic_matrix(formula: str, table: pd.DataFrame) -> pd.DataFrame:
    names = ("log2", "log1p", "sqrt", "square", "abs")
    context = {name: getattr(np, name) for name in names}
    return model_matrix(python_of(formula), table, context=context)


@pytest.mark.parametrize(
    "right", [f.strip() for line in FORMULAS.splitlines() for f in line.split("|") if f]
)
def test_the_columns_are_those_of_formulaic(right: str) -> None:
    ours = matrix_of(prepare(TABLE, formula=f"y ~ {right}"))
    theirs = formulaic_matrix(right, TABLE).to_numpy(dtype=float)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("table", "formula"),
    [
        ("wage1_simple", "log(wage) ~ educ + exper + I(exper^2) + female*married"),
        (
            "wage1_simple",
            "log(wage) ~ poly(exper, 4) + C(numdep)*educ + log(tenure + 1)",
        ),
        ("wage1_simple", "wage ~ (educ + exper + C(female))^2 - educ:exper"),
        (
            "penguins_categorical_missing",
            "body_mass_g ~ species*sex + island + bill_length_mm:species",
        ),
        (
            "penguins_categorical_missing",
            "sqrt(body_mass_g) ~ poly(flipper_length_mm, 3)*sex + C(year)",
        ),
        (
            "penguins_categorical_missing",
            "body_mass_g ~ 0 + species:island + scale(bill_depth_mm)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_real_data_and_statsmodels(table: str, formula: str) -> None:
    """Also where columns depend on one another: species and islands do."""
    data = real_table(table).dropna()
    data = data.astype(dict.fromkeys(data.select_dtypes("number"), float))
    left, right = formula.split("~")
    y, X = (formulaic_matrix(f, data) for f in (f"0 + {left}", right))
    prepared = prepare(data, formula=formula)
    np.testing.assert_allclose(matrix_of(prepared), X, rtol=1e-10, atol=1e-10)
    fit = gl.fit(data, formula=formula)
    theirs = sm.OLS(y.to_numpy(float), X.to_numpy(float)).fit()
    squares = fit.metrics.rmse**2 * len(data)
    assert squares == pytest.approx(theirs.ssr, rel=1e-9)
    assert fit.certificate.rank == np.linalg.matrix_rank(X)
    np.testing.assert_allclose(
        fit.predict(data), theirs.fittedvalues, rtol=1e-8, atol=1e-8
    )
    if fit.certificate.status == "exact":
        values = [fit.intercept] * fit.design.intercept + [*fit.coefficients.values()]
        np.testing.assert_allclose(values, theirs.params, rtol=1e-7, atol=1e-10)
        found = fit.inference("HC1").standard_errors
        robust = theirs.get_robustcov_results("HC1", use_t=True)
        np.testing.assert_allclose([*found.values()], robust.bse, rtol=1e-6)
        leverage = theirs.get_influence().hat_matrix_diag
        np.testing.assert_allclose(fit.influence().leverage, leverage, rtol=1e-7)


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ x + g", ["Intercept", "x", "g[b]", "g[c]"]),
        ("y ~ 0 + g:x", ["g[a]:x", "g[b]:x", "g[c]:x"]),
        ("y ~ C(g, ref='c')", ["Intercept", "g[a]", "g[b]"]),
        ("y ~ C(m, ref=2) + m", ["Intercept", "m[1]", "m[3]", "m"]),
        ("y ~ h:g - 1", [f"h[{h}]:g[{g}]" for g in "abc" for h in "st"]),
        ("y ~ poly(x,2)", ["Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]"]),
        (
            "y ~ poly( z , degree=2, raw = TRUE)",
            ["Intercept", "poly(z, 2, raw=True)[1]", "poly(z, 2, raw=True)[2]"],
        ),
        ("y ~ I(x**2/3-(z+-1))", ["Intercept", "I(x^2 / 3 - (z + (-1)))"]),
        ("y ~ `body mass`:x", ["Intercept", "body mass:x"]),
        ("y ~ log(`body mass`^2)", ["Intercept", "log(`body mass`^2)"]),
        ("y ~ x:z + z + z:x", ["Intercept", "z", "x:z"]),
        ("y ~ scale(z) + center(z)", ["Intercept", "scale(z)", "center(z)"]),
    ],
)
def test_names(formula: str, names: list[str]) -> None:
    assert list(prepare(TABLE, formula=formula).design.names) == names


def test_a_dot_is_every_other_column() -> None:
    some = TABLE[["y", "x", "g", "z", "v"]]
    terms = prepare(some, formula="y ~ . - z").design.terms
    assert terms == ("x", "g[b]", "g[c]", "v")
    terms = prepare(some, formula="y ~ .", exclude=["z"], weights="v").design.terms
    assert terms == ("x", "g[b]", "g[c]")
    terms = prepare(some, formula="log(y) ~ (.)^2").design.terms
    assert len(terms) == 5 + 9
    with pytest.raises(gl.UsageError, match="exclude takes columns out of a formula's"):
        gl.fit(some, formula="y ~ x", exclude=["z"])
    plain, dotted = (gl.fit(some, target="y"), gl.fit(some, formula="y ~ ."))
    assert dotted.coefficients == plain.coefficients


class Pieces:
    """A frame in batches of so many rows each."""

    def __init__(self, table: pd.DataFrame, sizes: list[int]) -> None:
        ends = np.cumsum(sizes)
        self._parts = [
            table.iloc[a:b] for a, b in zip([0, *ends], ends, strict=False) if b > a
        ]
        self.columns = open_source(table).columns
        self.rows = len(table)
        self.name = "the data"

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        for part in self._parts:
            yield from open_source(part[list(columns)]).batches(columns)


LEARNS = "log(y) ~ poly(x, 4)*C(g, ref='b') + scale(z) + center(log(z)):h + C(m) - 1"


@pytest.mark.parametrize("sizes", [[40, 40], [1, 78, 1], [79, 1], [1] * _N])
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_one_chunk_is_two_is_row_by_row(sizes: list[int], missing: Any) -> None:
    table = TABLE.copy()
    if missing == "drop":
        table.loc[[0, 17, 79], "x"] = np.nan
        table.loc[[3, 79], "g"] = None
        table.loc[5, "y"] = np.nan
        table.loc[6, "m"] = 9  # a level of dropped rows only
        table.loc[6, "z"] = np.nan
    whole = prepare(table, formula=LEARNS, missing=missing)
    parts = prepare(Pieces(table, sizes), formula=LEARNS, missing=missing)
    assert parts.design.levels == whole.design.levels
    assert "9" not in whole.design.levels["m"]
    scale = np.abs(matrix_of(whole)).max(axis=0)
    np.testing.assert_allclose(
        matrix_of(parts) / scale, matrix_of(whole) / scale, atol=1e-12
    )
    if missing == "drop":
        complete = prepare(table.dropna(), formula=LEARNS)
        assert whole.design.encoding == complete.design.encoding


def test_files_larger_than_a_batch(tmp_path: Path) -> None:
    rows = 90_000
    r = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "y": r.normal(size=rows),
            "x": 1e6 + r.normal(size=rows),
            "zip": r.choice([10115, 20095, 50667], rows),
            "g": r.choice(list("abcd"), rows),
        }
    )
    formula = "y ~ poly(x, 3) + C(zip) + zip:center(x) + g:scale(x)"
    known = gl.fit(table, formula=formula)
    paths = tmp_path / "t.csv", tmp_path / "t.parquet"
    table.to_csv(paths[0], index=False)
    table.to_parquet(paths[1], row_group_size=25_000)
    for path in paths:
        fit = gl.fit(path, formula=formula)
        assert fit.rows == rows
        assert list(fit.coefficients) == list(known.coefficients)
        np.testing.assert_allclose(fit.slopes, known.slopes, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(
            fit.predict(path), known.predict(table), rtol=1e-7, atol=1e-9
        )
        assert fit.evaluate(path).rmse == pytest.approx(known.metrics.rmse, rel=1e-9)
    only = gl.fit(paths[0], formula="y ~ C(zip)")  # read as text, and so again
    assert list(only.coefficients) == ["zip[20095]", "zip[50667]"]
    np.testing.assert_allclose(
        only.predict(paths[0])[:9],
        gl.fit(table, formula="y ~ C(zip)").predict(table)[:9],
    )


@pytest.mark.parametrize("most", [1, 200, 3000])
def test_wide_batches_are_taken_in_pieces(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = TABLE.copy()
    table.loc[[3, 50], "z"] = np.nan
    formula = "y ~ poly(x, 3)*g*k + scale(z)"
    known = gl.fit(table, formula=formula, missing="drop")
    known_errors = known.inference("HC1").standard_errors
    clusters = known.inference(("cluster", "h")).standard_errors
    monkeypatch.setattr("gradline.pieces.BATCH_BYTES", most)
    fit = gl.fit(table, formula=formula, missing="drop")
    assert (fit.rows, fit.dropped) == (78, 2)
    np.testing.assert_allclose(fit.slopes, known.slopes, rtol=1e-9)
    found = fit.predict(table, missing="nan")
    np.testing.assert_allclose(found, known.predict(table, missing="nan"), rtol=1e-10)
    errors = fit.inference("HC1").standard_errors
    np.testing.assert_allclose([*errors.values()], [*known_errors.values()], rtol=1e-8)
    errors = fit.inference(("cluster", "h")).standard_errors
    np.testing.assert_allclose(
        [*errors.values()], [*clusters.values()], rtol=1e-6, atol=1e-12
    )
    with pytest.raises(gl.MissingValueError, match="'z' has a missing value.*row 4"):
        fit.predict(table)
    with pytest.raises(gl.DataError, match="'sqrt.x.' is not .* row 2, where x is -"):
        gl.fit(TABLE, formula="y ~ sqrt(x) + g*k")


def test_a_target_that_is_made_of_a_column() -> None:
    fit = gl.fit(TABLE, formula="log(y) ~ x + g")
    assert fit.target == "log(y)"
    assert fit.design.target == "y"
    logged = TABLE.assign(y=np.log(TABLE.y))
    known = gl.fit(logged, target="y", features=["x", "g"])
    np.testing.assert_allclose(fit.slopes, known.slopes, rtol=RTOL)
    np.testing.assert_allclose(fit.predict(TABLE), known.predict(TABLE), rtol=RTOL)
    assert fit.evaluate(TABLE).r2 == pytest.approx(fit.metrics.r2, rel=1e-12)
    apart = fit.evaluate(TABLE[["x", "g"]], TABLE["y"])
    assert apart.r2 == pytest.approx(fit.metrics.r2, rel=1e-12)
    assert str(fit).startswith("log(y) ~ x + g, 80 rows, exact least squares\n")
    per = gl.fit(TABLE, formula="I(y/1000) ~ x")
    assert per.target == "I(y / 1000)"
    assert per.slopes[0] * 1000 == pytest.approx(
        gl.fit(TABLE, formula="y ~ x").slopes[0], rel=1e-12
    )


def test_arrays_and_a_target_of_their_own() -> None:
    X, y = TABLE[["x", "z"]].to_numpy(), TABLE["y"].to_numpy()
    fit = gl.fit(X, y, formula="log(price) ~ x2 + x1:x2")
    known = gl.fit(TABLE, formula="log(y) ~ z + x:z")
    np.testing.assert_allclose(fit.slopes, known.slopes, rtol=RTOL)
    # A bare array is read in the order of the data, not of the formula.
    np.testing.assert_allclose(fit.predict(X), known.predict(TABLE), rtol=RTOL)
    right = gl.fit(TABLE, target="y", formula="~ x + g")
    assert right.coefficients == gl.fit(TABLE, formula="y ~ x + g").coefficients
    assert gl.fit(X[:, 0], y, formula="x^1").coefficients.keys() == {"x"}
    through = gl.fit(TABLE, formula="y ~ x", intercept=False)
    assert list(through.design.names) == ["x"]


def test_categories_by_argument_and_certify() -> None:
    fit = gl.fit(TABLE, formula="y ~ m*x", categories=["m"])
    assert list(fit.coefficients) == ["m[2]", "m[3]", "x", "m[2]:x", "m[3]:x"]
    found = gl.certify(fit.model, TABLE, formula="y ~ m*x", categories=["m"])
    assert found.status == "converged"
    assert found.relative_gap < 1e-12
    squares = gl.fit(TABLE, target="y", features=["x", "g"], degree=2)
    found = gl.certify(squares.model, TABLE, target="y", features=["x", "g"], degree=2)
    assert found.status == "converged"


def test_what_is_learned_is_learned_of_the_training_part_alone() -> None:
    split = gl.Split(column="part")
    formula = "log(y) ~ poly(x, 3)*g + scale(z) + C(m)"
    part = np.tile(["train", "train", "validation", "test"], _N // 4)
    train = part == "train"
    marked = TABLE.assign(part=part)
    known = prepare(TABLE[train], formula=formula).design
    changed = marked.copy()
    for name, value in {"x": 99.0, "z": 1e9, "g": "new", "m": 9, "y": 0.5}.items():
        changed[name] = marked[name].where(train, value)
    for table in (marked, changed):
        found = prepare(table, formula=formula, split=split).design
        assert (found.levels, found.encoding) == (known.levels, known.encoding)
    assert "part" not in prepare(marked, formula="y ~ .", split=split).design.features
    fit = gl.fit(marked, formula=formula, split=split)
    assert (fit.rows, fit.evaluate(part="test").rows) == (_N // 2, _N // 4)


@pytest.mark.parametrize(
    "way",
    [
        {"penalty": "lasso", "alpha": 0.01},
        {"penalty": "ridge"},
        {"loss": "huber"},
        {"method": "sgd", "epochs": 5},
    ],
)
def test_every_way_to_fit_takes_a_formula(way: Any, tmp_path: Path) -> None:
    fit = gl.fit(TABLE, formula="log(y) ~ poly(x, 2)*g + log(z)", **way)
    assert list(fit.coefficients)[:3] == ["poly(x, 2)[1]", "poly(x, 2)[2]", "g[b]"]
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(TABLE), fit.predict(TABLE))


def test_clusters_and_descent_and_weights() -> None:
    fit = gl.fit(TABLE, formula="y ~ poly(x, 2)*h", weights="z", lr="auto")
    assert fit.certificate.status == "converged"
    exact = gl.fit(TABLE, formula="y ~ poly(x, 2)*h", weights="z")
    np.testing.assert_allclose(fit.slopes, exact.slopes, rtol=1e-4)
    X = formulaic_matrix("poly(x, 2)*h", TABLE).to_numpy()
    model = sm.WLS(TABLE.y, X, TABLE.z)
    groups = pd.factorize(TABLE.k)[0]
    theirs = model.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    found = exact.inference(("cluster", "k")).standard_errors
    np.testing.assert_allclose([*found.values()], theirs.bse, rtol=1e-7)


def test_degree_is_a_polynomial_of_each_number() -> None:
    some = TABLE[["y", "x", "g", "z"]]
    fit = gl.fit(some, target="y", degree=3)
    known = gl.fit(some, formula="y ~ poly(x, 3) + g + poly(z, 3)")
    assert fit.coefficients == known.coefficients
    assert "from 3 features to degree 3, 80 rows" in str(fit)
    assert gl.fit(some, target="y", degree=1).design.encoding is None
    # Columns of a lower degree are the first ones of a higher degree.
    lower = prepare(some, target="y", degree=2)
    higher = prepare(some, target="y", degree=5)
    places = [
        higher.design.names.index(n.replace(", 2", ", 5")) for n in lower.design.names
    ]
    np.testing.assert_allclose(
        matrix_of(lower), matrix_of(higher)[:, places], atol=1e-13
    )
    for degree in (0, 31, 2.5, True):
        with pytest.raises(gl.UsageError, match="degree is"):
            gl.fit(some, target="y", degree=degree)  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match=r"write poly\(x, 2\) there"):
        gl.fit(some, formula="y ~ x", degree=2)
    with pytest.raises(
        gl.DataError, match="needs more than 3 different values and 'm'"
    ):
        gl.fit(TABLE[["y", "x", "m"]], target="y", degree=3)


# What is refused.

BAD = [
    ("y ~ x +", "at its end after 'y ~ x \\+': a term is needed here"),
    ("y ~ (x + z", "'\\)' is needed here"),
    ("y ~ x z", "an operator, or the end, is needed"),
    ("y = x", "write ~ between target and features, as in y ~ x"),
    ("y == x", "write ~ between target and features"),
    ("y ~ x ~ z", "an operator, or the end, is needed"),
    ("", "a term is needed"),
    ("~", "a term is needed"),
    ("y ~ (x + z)^50", "a power of a sum is a whole number from 1 to 8"),
    ("y ~ (x + z)^1.5", "a power of a sum is a whole number"),
    ("y ~ x^2^2", "an operator, or the end"),
    ("y ~ 2*x", r"arithmetic with numbers goes into I\(...\)"),
    ("y ~ x + 2", "only 0 and 1 may stand alone"),
    ("y ~ (0 + x)*g", "stand outside brackets only"),
    ("y ~ (1 | g)", "stand outside brackets|grouped and mixed terms are not offered"),
    ("y ~ x | g", "grouped and mixed terms are not offered"),
    ("y ~ x %in% g", "write a/b for b within a"),
    ("y ~ x > 3", "this is no part of one"),
    ("y ~ lgo(x)", r"lgo\(\) is no function of formulas: did you mean log\?"),
    ("y ~ as.factor(g)", r"R's word for a category: write C\(...\)"),
    ("y ~ Q('a b')", "write it in backticks"),
    ("y ~ 1", "has no term but the intercept, .*at least one"),
    ("y ~ __import__('os').system('x')", "no function of formulas"),
    ("y ~ x.__class__", "no column 'x.__class__'"),
    ("y ~ log(C(g))", r"C\(\) stands outermost only"),
    ("y ~ log(scale(x))", r"scale\(\) stands outermost only"),
    ("y ~ C(log(x))", r"C\(\) takes the name of a column"),
    ("y ~ C(g, 'b')", r"C\(\) takes ref="),
    ("y ~ C(g, ref=b)", "ref= takes a level"),
    ("y ~ C(g, ref='d')", "column 'g' has no level 'd' to be the base"),
    ("y ~ C(g, ref='a') + C(g, ref='b'):x", "two base levels of 'g', 'a' and 'b'"),
    ("y ~ poly(x)", "takes a degree"),
    ("y ~ poly(x, 31)", "the degree of poly.. is a whole number from 1 to 30"),
    ("y ~ poly(x, 2, 3)", "takes raw=True"),
    ("y ~ poly(x, 2, raw=1)", "raw is True or False"),
    ("y ~ poly(m, 3)", "more than 3 different values and 'm' has 3 that float64 can"),
    ("y ~ I(3)", "there is no column within the brackets"),
    ("y ~ log(2)", "has no column in it"),
    ("y ~ I(1e999*x)", "this number is too large"),
    ("y ~ log(.)", "a column, a number or a function is needed"),
    ("y ~ x - z", "takes off z, which stands nowhere before it"),
    ("y ~ y + x", "'y' is the target and a feature"),
    ("y ~ xx", "the data has no column 'xx'"),
    ("y ~ log(xx)", "the data has no column 'xx'"),
    ("y ~ log(g)", r"log\(g\) needs numbers and column 'g' holds text, such as"),
    (
        "y ~ log(x)",
        r"the term 'log\(x\)' is not a finite number in row 2, where x is -",
    ),
    ("y ~ poly(sqrt(x), 2)", r"the term 'sqrt\(x\)' is not a finite number in row 2"),
    ("y ~ I(x/(m - 1))*g", "is not a finite number in row .* and m is 1"),
    ("y ~ exp(exp(v*3))", "is not a finite number"),
    (
        "log(x) ~ z",
        r"the term 'log\(x\)' is not a finite number in row 2, where x is -",
    ),
    ("g ~ x", "the target 'g' holds text"),
    ("log(y*z) ~ x", "an operator|more than one column"),
    ("y/2 ~ x", "write one target on the left"),
    ("poly(y, 2) ~ x", "is no target"),
    ("y + z ~ x", "'~' is needed here|write one target"),
    ("y ~ " + "(" * 40 + "x" + ")" * 40, "more than 30 brackets"),
    ("y ~ I(" + "x^" * 40 + "2)", "more than 30 brackets or powers"),
    ("y ~ x" + " + x" * 4000, "letters: give at most 10,000"),
    ("y ~ " + ":".join(f"I(x + {i})" for i in range(9)), "a term of 9 factors"),
    ("y ~ `x", "a name between backticks needs one at each end"),
    ('y ~ C(g, ref="a)', "a text needs a quote at each end"),
    (7, "formula is 7: give a text"),
]


@pytest.mark.parametrize(("formula", "message"), BAD)
def test_what_is_refused(formula: Any, message: str) -> None:
    with pytest.raises(gl.GradlineError, match=message) as caught:
        gl.fit(TABLE, formula=formula)
    assert isinstance(caught.value, (gl.UsageError, gl.DataError))
    assert "\n" not in str(caught.value)


def test_what_does_not_go_with_a_formula() -> None:
    with pytest.raises(gl.UsageError, match="features and formula both say"):
        gl.fit(TABLE, formula="y ~ x", features=["x"])
    with pytest.raises(gl.UsageError, match="target is 'z' and the formula predicts"):
        gl.fit(TABLE, target="z", formula="y ~ x")
    with pytest.raises(gl.UsageError, match="no target is given"):
        gl.fit(TABLE, formula="x + g")
    with pytest.raises(gl.ColumnError, match="category 'g' is not among the features"):
        gl.fit(TABLE, formula="y ~ x", categories=["g"])
    with pytest.raises(gl.DataError, match=r"scale\(c\) divides by the standard dev"):
        gl.fit(TABLE.assign(c=2.0), formula="y ~ scale(c)")
    same = TABLE.assign(**{"log(z)": 1.0})
    with pytest.raises(gl.ColumnError, match=r"two terms .* called 'log\(z\)'"):
        gl.fit(same, formula="y ~ log(z) + `log(z)`")


def test_names_and_numbers_in_disguise_are_refused_as_ever() -> None:
    table = TABLE.assign(
        name=[f"n{i}" for i in range(_N)], t=[f"{i},5" for i in range(_N)]
    )
    with pytest.raises(gl.ColumnError, match="looks like a name or an id"):
        gl.fit(table, formula="y ~ name + x")
    with pytest.raises(gl.ColumnError, match="look like numbers or dates"):
        gl.fit(table[:40], formula="y ~ t + x")
    assert len(prepare(table, formula="y ~ C(name)").design.terms) == _N - 1


def test_values_that_are_not_there() -> None:
    table = TABLE.copy()
    table.loc[4, "z"] = np.nan
    for formula in ("y ~ log(z)", "y ~ scale(z)", "y ~ poly(z, 2)*g"):
        with pytest.raises(gl.MissingValueError, match="'z' has a missing .* row 5"):
            gl.fit(table, formula=formula)
    fit = gl.fit(table, formula="y ~ poly(z, 2)*g", missing="drop")
    assert (fit.rows, fit.dropped) == (79, 1)
    with pytest.raises(gl.MissingValueError, match="'z' has a missing value.*row 5"):
        fit.predict(table)
    assert np.flatnonzero(np.isnan(fit.predict(table, missing="nan"))).tolist() == [4]
    # What is not defined in a row that is dropped does no harm.
    table.loc[4, "x"] = -1.0
    good = table[(table.x > 0) | table.z.isna()]
    assert gl.fit(good, formula="y ~ log(x) + z", missing="drop").dropped == 1
    with pytest.raises(gl.DataError, match=r"'log\(z\)' is not .* row 2, where z is 0"):
        gl.fit(TABLE, formula="y ~ log(z)").predict({"z": [1.0, 0.0]})
    table.loc[9, "z"] = np.inf
    with pytest.raises(gl.MissingValueError, match="'z' is infinite, first in row 10"):
        gl.fit(table, formula="y ~ scale(z)", missing="drop")


def test_a_factor_that_is_not_defined_is_seen_beside_the_base_too() -> None:
    table = pd.DataFrame({"y": [1.0, 2, 3, 4], "x": [1.0, 0, 1, 2], "g": list("aabb")})
    with pytest.raises(
        gl.DataError, match="not a finite number in row 2, where x is 0"
    ):
        gl.fit(table, formula="y ~ log(x):g + g")


# Hostile text.

_WIDE = pd.DataFrame(
    {"y": np.arange(40.0)}
    | {f"c{i}": np.array(list("uv"))[(np.arange(40) >> (i % 5)) & 1] for i in range(20)}
    | {f"x{i}": np.random.default_rng(i).normal(size=40) for i in range(20)}
)
_C = [f"c{i}" for i in range(20)]


@pytest.mark.parametrize(
    "right",
    [
        "(.)^8",
        "(" + "+".join(_C) + ")^8",
        "(" + "+".join(_C[:12]) + ")^7" + "*x0" * 2500,
        "+".join(":".join(_C[i : i + 8]) for i in range(12)) + "+" + ":".join(_C[::3]),
        ":".join("(" + "+".join(_C) + ")" for _ in range(8)),
        "x1" + ":x1" * 3000,
        "I(" + "-" * 9000 + "x1)",
        "I(" + "x1*" * 3000 + "x1)",
        "/".join(_C * 100),
    ],
)
def test_hostile_formulas_end_soon(right: str) -> None:
    start = time.process_time()
    with contextlib.suppress(gl.UsageError, gl.DataError):
        prepare(_WIDE, formula=f"y ~ {right}")
    assert time.process_time() - start < 30  # without limits: until memory is full


_WORDS = """
x z g y m . 0 1 2 -1 3.5 1e9 + - * / : ^ ** ( ) ~ , = ` ' " | % I( C( poly( log( scale(
ref raw True `body␣mass` 'a' \\ é [ ] { } ; @ __import__ lambda ␣
"""
_words = st.lists(st.sampled_from(_WORDS.split()), max_size=14)


@settings(max_examples=300, deadline=None)
@given(_words | st.text(max_size=30))
def test_any_text_is_a_formula_or_a_sentence(words: Any) -> None:
    text = (" ".join(words) if isinstance(words, list) else words).replace("␣", " ")
    with contextlib.suppress(gl.UsageError, gl.DataError):
        parse(text)
        prepare(TABLE, target=None if "~" in text else "y", formula=text)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["x", "`body mass`", "3", "2.5", "1e-9", "(-4)"]),
        lambda inner: (
            st.tuples(inner, st.sampled_from("+-*/^"), inner).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            )
            | inner.map(lambda t: f"log({t})")
            | inner.map(lambda t: f"-{t}")
        ),
        max_leaves=12,
    )
)
def test_a_factor_is_its_text(inner: str) -> None:
    with contextlib.suppress(gl.UsageError):
        factor = parse_factor(f"scale({inner})")
        assert parse_factor(factor.text) == factor


# Model files and the command line.


def saved_formula(tmp_path: Path, formula: str = LEARNS) -> tuple[gl.Fit, Path]:
    fit = gl.fit(TABLE, formula=formula)
    path = tmp_path / "m.safetensors"
    fit.save(path)
    return fit, path


@pytest.mark.parametrize(
    "formula",
    [LEARNS, "y ~ .", "I(y/2 - 1) ~ (x + g)^2 + I(x^2/3 - (z - -1)) + `body mass`"],
)
def test_a_model_file_holds_the_formula(formula: str, tmp_path: Path) -> None:
    fit, path = saved_formula(tmp_path, formula)
    again = gl.load(path)
    assert again.design == fit.design
    assert str(again) == str(fit)
    np.testing.assert_array_equal(again.predict(TABLE), fit.predict(TABLE))
    assert dict(again.evaluate(TABLE)) == dict(fit.evaluate(TABLE))
    # Not to the bit: where an array happens to lie decides how its sum is taken.
    assert again.inference("HC1", data=TABLE).p == pytest.approx(
        fit.inference("HC1").p, rel=1e-12
    )
    assert pickle.loads(pickle.dumps(fit)).design == fit.design
    again.save(tmp_path / "twice.safetensors")
    assert (tmp_path / "twice.safetensors").read_bytes() == path.read_bytes()


def test_a_degree_is_stored_too(tmp_path: Path) -> None:
    odd = TABLE.rename(columns={"x": "a`b", "z": "", "v": "é\n"})
    fit = gl.fit(odd[["y", "a`b", "", "é\n", "g"]], target="y", degree=2)
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert again.design == fit.design
    np.testing.assert_array_equal(again.predict(odd), fit.predict(odd))


def test_a_file_without_a_formula_is_what_it_was(tmp_path: Path) -> None:
    gl.fit(TABLE[["y", "x", "g"]], target="y").save(tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gradline"])
    assert about["format"] == 1
    assert "encoding" not in about["design"]


def put(*keys: Any, value: Any) -> Any:
    def change(about: Any) -> None:
        for key in ("design", "encoding", *keys)[:-1]:
            about = about[key]
        about[keys[-1]] = value

    return change


DEEP = "log(" * 3000 + "x" + ")" * 3000


@pytest.mark.parametrize(
    "change",
    [
        put("terms", value=[]),
        put("terms", value="x"),
        put("terms", value=[["x"]] * 30_000),
        put("terms", value=[["x"] * 9]),
        put("terms", value=[[7]]),
        put("terms", value=[["__import__('os').system('touch /tmp/owned')"]]),
        put("terms", value=[["x"], ["C(g)"], ["scale(z)"]]),
        put("terms", 0, 0, value="poly(x, 5)"),
        put("terms", 0, 0, value="poly( x, 4)"),
        put("terms", 0, 0, value=DEEP),
        put("text", value=None),
        put("response", value="log(x)"),
        put("response", value="log(y) + z"),
        put("response", value="eval(y)"),
        put("response", value=[1]),
        put("learned", value={}),
        put("learned", value=[]),
        put("learned", "poly(x, 4)", "beta", value=[1.0, 1.0, 1.0]),
        put("learned", "poly(x, 4)", "beta", value=[1.0, 1.0, 1.0, 0.0]),
        put("learned", "poly(x, 4)", "alpha", value=[1.0, 1.0, 1.0, None]),
        put("learned", "poly(x, 4)", "alpha", value="0000"),
        put("learned", "poly(x, 4)", "half", value=-1.0),
        put("learned", "poly(x, 4)", "half", value=10**400),
        put("learned", "poly(x, 4)", "middle", value="0"),
        put("learned", "poly(x, 4)", "rows", value=0),
        put("learned", "poly(x, 4)", "rows", value=10**400),
        put("learned", "scale(z)", value=None),
        lambda about: about["design"].pop("features"),
        lambda about: about["design"].update(features=["x", "z", "g", "h"]),
        lambda about: about["design"].update(features=[{}, "z", "g", "h"]),
        lambda about: about["design"].update(levels={}),
        lambda about: about["design"]["levels"].update(g=[str(i) for i in range(9000)]),
        lambda about: about["design"].update(encoding=7),
        lambda about: about["design"].pop("encoding"),
    ],
)
def test_a_doctored_file_is_refused(change: Any, tmp_path: Path) -> None:
    _, path = saved_formula(tmp_path)
    content = path.read_bytes()
    tensors = tensors_of(content)
    size = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gradline"])
    change(about)
    path.write_bytes(to_bytes(tensors, metadata={"gradline": json.dumps(about)}))
    with pytest.raises(gl.ModelFileError, match="damaged"):
        gl.load(path)
    assert strict_json(about)


def test_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = str(tmp_path / "m.safetensors"), tmp_path / "p.csv"
    formula = "log(body_mass_g) ~ poly(flipper_length_mm, 2)*sex + C(year)"
    words = ("fit", str(PENGUINS), "--formula", formula, "--missing", "drop")
    code, text, _ = run(capsys, *words, "-o", model)
    assert code == 0
    assert text.startswith(f"{formula}, 333 rows, exact least\nsquares\n")
    known = gl.fit(PENGUINS, formula=formula, missing="drop")
    assert gl.load(model).coefficients == known.coefficients
    code, text, _ = run(
        capsys, "predict", model, str(PENGUINS), "--missing", "nan", "-o", str(out)
    )
    assert code == 0
    assert "predictions of log(body_mass_g)" in text
    found = pd.read_csv(out).prediction.to_numpy()
    np.testing.assert_allclose(
        found, known.predict(PENGUINS, missing="nan"), rtol=1e-12
    )
    code, text, _ = run(capsys, "evaluate", model, str(PENGUINS))
    assert code == 0
    assert f"R² {known.metrics.r2:.6g} " in text
    code, text, _ = run(capsys, *words, "--json", "-o", model)
    facts = json.loads(text)
    assert facts["formula"] == formula
    assert facts["target"] == "log(body_mass_g)"
    code, _, error = run(capsys, "fit", str(PENGUINS), "--formula", "~ sex")
    assert (code, "name the column to predict with --target" in error) == (2, True)
    code, _, error = run(capsys, "fit", str(PENGUINS), "--formula", "a ~ (b")
    assert (code, error.count("\n")) == (2, 1)
    words = ("fit", str(PENGUINS), "--target", "body_mass_g", "--missing", "drop")
    some = ("--features", "sex,flipper_length_mm", "--degree", "2", "-o", model)
    code, text, _ = run(capsys, *words, *some)
    assert "poly(flippe…_mm, 2)[2]" in text or "2)[2]" in text
    code, text, _ = run(
        capsys,
        *("fit", str(PENGUINS), "--formula", "body_mass_g ~ . + log(bill_depth_mm)"),
        *("--cov", "cluster:island", "--missing", "drop", "-o", model),
    )
    assert code == 0
    assert "island" not in "".join(gl.load(model).coefficients)
