"""The printed table: what R's summary(lm) has, in 88 columns, whatever the names."""

from __future__ import annotations

import numpy as np
import pytest

import gradline as gl
from gradline.layout import STARS, stars
from gradline.terminal import fit_table


def lines_of(fit: gl.Fit) -> list[str]:
    lines = str(fit).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  term"))
    return lines[first : lines.index("", first)]


def noisy(columns: dict[str, np.ndarray]) -> gl.Fit:
    noise = np.random.default_rng(9).normal(size=len(next(iter(columns.values()))))
    y = noise + sum(column / column.std() for column in columns.values())
    return gl.fit({**columns, "y": y}, target="y")


@pytest.mark.parametrize(
    ("p", "mark"),
    [
        (0.0, "***"),
        (0.000999, "***"),
        (0.001, "**"),
        (0.01, "*"),
        (0.049, "*"),
        (0.05, "."),
        (0.1, ""),
        (1.0, ""),
        (float("nan"), ""),
    ],
)
def test_stars_are_those_of_r(p: float, mark: str) -> None:
    assert stars(p) == mark


def test_the_table_has_stars_and_their_meaning() -> None:
    random = np.random.default_rng(0)
    fit = noisy({"large": random.normal(size=50), "small": random.normal(size=50)})
    fit_with_nothing = gl.fit(
        {"x": random.normal(size=50), "y": random.normal(size=50)}, target="y"
    )
    for found in (fit, fit_with_nothing):
        rows = lines_of(found)
        p = found.inference().p
        for row, name in zip(rows[1:], p, strict=False):
            cells = row.split()
            assert cells[0] == name
            assert (cells[5] if stars(p[name]) else "") == stars(p[name])
        assert ("Signif. codes" in str(found)) == any(map(stars, p.values()))
    assert "  Signif. codes: 0 *** 0.001 ** 0.01 * 0.05 . 0.1" in lines_of(fit)
    assert len(STARS) == 4


def test_the_lines_below_the_table() -> None:
    x, y = gl.sample_linear_data(40, seed=2)
    fit = gl.fit(x, y)
    i = fit.inference()
    text = str(fit)
    likelihood = f"Log-likelihood {i.log_likelihood:.4f}   AIC {i.aic:.4f}"
    assert f"{likelihood}   BIC {i.bic:.4f}\n" in text
    assert f"Residual std. error {i.residual_std:.6g} on 38 df" in text
    assert f"adjusted R² {i.adjusted_r2:.6g}" in text
    assert f"F = {i.f_statistic:.5g} on 1 and 38 df, p <2e-16" in text
    perfect = str(gl.fit(x, 0 * x))
    assert "nan" not in perfect
    assert "inf" not in perfect.replace("infinite", "")


def test_the_kind_of_the_errors_stands_below_the_table() -> None:
    x, y = gl.sample_linear_data(40, seed=2)
    fit = gl.fit(x, y)
    assert "Standard errors" not in str(fit)
    robust = fit_table(fit, fit.inference("HC3"))
    assert "  Standard errors: HC3, for noise that differs by row\n\n" in robust
    groups = np.repeat(np.arange(8), 5)
    clustered = fit_table(fit, fit.inference(("cluster", groups)))
    assert "  Standard errors: clustered, of 8 clusters; t on 7 df\n\n" in clustered


def test_decimal_points_stand_below_one_another() -> None:
    random = np.random.default_rng(0)
    fit = noisy({"a": random.normal(size=60) * 1e-3, "bb": random.normal(size=60) * 50})
    rows = lines_of(fit)[1:4]
    for column in (1, 2, -2, -1):  # coefficient, error, low, high
        points = set()
        for row in rows:
            cell = row.split()[column]
            start = row.index(f" {cell}") if column > 0 else row.rindex(f" {cell}")
            points.add(start + 1 + (cell.index(".") if "." in cell else len(cell)))
        assert len(points) == 1, rows


@pytest.mark.parametrize("power", [0, 3, 8])
@pytest.mark.parametrize("length", [8, 30, 60, 400])
def test_the_table_is_never_wider_than_88(power: int, length: int) -> None:
    random = np.random.default_rng(1)
    names = [f"{'column ' * length}"[: length - 2] + f"{k:02}" for k in range(6)]
    sizes = 10.0 ** np.linspace(-power, power, 6)
    fit = noisy(
        {n: random.normal(size=40) * s for n, s in zip(names, sizes, strict=True)}
    )
    found = lines_of(fit)
    assert max(map(len, str(fit).splitlines())) <= 88
    terms = [row[: found[0].index("coefficient") - 2].strip() for row in found[2:8]]
    assert len(set(terms)) == 6, terms  # cut, but still told apart
    short = gl.fit(fit.sample.X, fit.sample.y, lr=1e-20, epochs=1)  # type: ignore[union-attr]
    assert max(map(len, str(short).splitlines())) <= 88


def test_names_that_only_differ_in_the_middle_are_numbered() -> None:
    random = np.random.default_rng(1)
    names = [f"{'a' * 60}{k}{'z' * 60}" for k in range(3)]
    fit = noisy({name: random.normal(size=40) for name in names})
    rows = [row.split()[0] for row in lines_of(fit)[1:5]]
    assert rows[0] == "Intercept"
    assert [row[-3:] for row in rows[1:]] == ["…#1", "…#2", "…#3"]


def test_the_head_names_the_descent() -> None:
    x, y = gl.sample_linear_data(40, seed=2)

    def head(**how: object) -> str:
        return str(gl.fit(x, y, epochs=3, **how)).split("\n\n")[0].replace("\n", " ")  # type: ignore[arg-type]

    assert head(lr=0.1).endswith("rows, gradient descent, lr 0.1, 3 epochs")
    assert "lr 0.1, momentum 0.9, 3 epochs" in head(lr=0.1, momentum=0.9)
    assert "Nesterov momentum 0.9" in head(lr=0.1, momentum=0.9, nesterov=True)
    assert "weight decay 0.01" in head(lr=0.1, weight_decay=0.01)
    assert head(optimizer="Adam").endswith("descent by Adam, lr 0.001, 3 epochs")
    assert head().endswith("3 epochs on standardised features")
