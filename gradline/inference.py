"""How sure the coefficients are: standard errors, tests, intervals, influence.

With xc the terms minus their mean, W the sum of the weights, and R the root that the
spectrum of the design gives, RRᵀ = (Xcᵀ diag(w) Xc / W)⁻¹, each row becomes

    u_i = [1, Rᵀ xc_i]          so that  Σ w_i u_i u_iᵀ / W = 1  (the identity)
    G   = [[1, -meanᵀR], [0, R]]         (d + 1, d + 1)

and everything below is said in u, where nothing is large and nothing cancels, with n
the rows of a weight above 0 and k the coefficients, intercept included:

    leverage    h_i = w_i ‖u_i‖² / W
    classic     s²/W · G Gᵀ              s² = Σ w r² / (n - k)
    HC0         G (Σ w² r² u uᵀ) Gᵀ / W²
    HC1         the same · n/(n - k)
    HC2, HC3    the same with r² / (1 - h), r² / (1 - h)²
    cluster     G (Σ_g s_g s_gᵀ) Gᵀ / W² · m/(m - 1) · (n - 1)/(n - k)
                where s_g = Σ w r u over the rows of cluster g, of which there are m

Source: MacKinnon & White, "Some heteroskedasticity-consistent covariance matrix
estimators with improved finite sample properties", 1985; Cameron & Miller, "A
practitioner's guide to cluster-robust inference", 2015; Cook & Weisberg, Residuals and
Influence in Regression, 1982.

Equivalent: R's summary(lm), sandwich::vcovHC and vcovCL, statsmodels' OLS and WLS with
use_t=True. Use statsmodels for autocorrelation (HAC) or several clusterings at once.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from gradline.checks import one_of, real
from gradline.data import (
    Array,
    Progress,
    Source,
)
from gradline.design import Design
from gradline.distributions import f_above, t_central_quantile, t_two_sided
from gradline.errors import UsageError
from gradline.evidence import (
    Evidence,
    Line,
    centred,
    half_root,
    perfect,
    sure,
    whitened,
)
from gradline.sandwich import ALONE, Cov, meat, parts, squared_lengths


@dataclass(frozen=True, eq=False)
class Inference:
    """Standard errors, tests and intervals of a fit, and how well it explains.

    Dicts are by term, "Intercept" first. Tests are of a coefficient being 0, by
    Student's t, as R and Stata do (statsmodels takes the normal for robust errors
    unless told use_t=True).

    Attributes:
        cov: how the covariance was estimated: "classic", "HC0" to "HC3", "cluster".
        level: of the intervals.
        statistic: "t".
        standard_errors: in the units of the coefficients.
        t: coefficient / standard error.
        p: P(|T| > |t|), two-sided.
        intervals: (low, high) by term.
        rows: n, rows with a weight above 0.
        df_model: coefficients without the intercept.
        df_resid: n - df_model - 1; n - df_model without an intercept.
        df: degrees of freedom of t: df_resid, or the number of clusters - 1.
        clusters: how many; None unless cov is "cluster".
        residual_std: √(Σ w r² / df_resid), R's residual standard error.
        r2: 1 - Σ w r² / Σ w (y - mean)²; NaN where y is constant. Without an intercept
            Σ w y² is below, and adjusted_r2 has n for n - 1.
        adjusted_r2: 1 - (1 - r2)(n - 1) / df_resid.
        f_statistic: of all slopes being 0; of Wald's kind for a robust covariance;
            NaN where there is no slope, or no more clusters than slopes.
        f_p_value: P(F > f_statistic) with df_model and df degrees of freedom.
        log_likelihood: -n/2 (log(2π Σ w r² / n) + 1) + ½ Σ log w.
        aic: 2k - 2 log_likelihood, k = df_model + 1 coefficients as in statsmodels;
            R's AIC counts the variance too and is larger by 2.
        bic: k log n - 2 log_likelihood; R's is larger by log n.
        note: what to beware of, or None.
    """

    cov: str
    level: float
    statistic: Literal["t"]
    standard_errors: dict[str, float]
    t: dict[str, float]
    p: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    rows: int
    df_model: int
    df_resid: int
    df: int
    clusters: int | None
    residual_std: float
    r2: float
    adjusted_r2: float
    f_statistic: float
    f_p_value: float
    log_likelihood: float
    aic: float
    bic: float
    note: str | None
    _half: Array = field(repr=False)  # covariance = half·middle·halfᵀ
    _middle: Array | None = field(repr=False)

    def __str__(self) -> str:
        """A line for each coefficient, and what the numbers rest on."""
        rows = [["", "estimate", "std. error", "t", "p", "low", "high"]]
        for name, error in self.standard_errors.items():
            low, high = self.intervals[name]
            values = ((low + high) / 2, error, self.t[name], self.p[name], low, high)
            rows.append([name, *(f"{v:.5g}" for v in values)])
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, wide, strict=True))
            )
            for row in rows
        ]
        kind = self.cov if self.clusters is None else f"{self.clusters:,} clusters"
        lines.append(f"{kind} standard errors, t on {self.df:,} df, R² {self.r2:.6g}")
        return "\n".join(lines + ([self.note] if self.note else []))

    def _repr_html_(self) -> str:
        """The same, as a notebook shows it."""
        from gradline.notebook import inference_html

        return inference_html(self)

    @cached_property
    def covariance(self) -> Array:
        """Of the coefficients, (d + 1, d + 1), the intercept first."""
        half = self._half
        found = half @ (half.T if self._middle is None else self._middle @ half.T)
        return np.asarray((found + found.T) / 2)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, in order, without the covariance."""
        names = [n for n in self.__dataclass_fields__ if not n.startswith("_")]
        plain = {name: getattr(self, name) for name in names}
        return plain | {"intervals": {k: list(v) for k, v in self.intervals.items()}}


#: How a table of them is sorted, and which row is row 7.
COUNTED = "the largest first; rows are counted from 0, as in the arrays"


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """How much each row that was used weighs in the fit; arrays (rows,), in order.

    Attributes:
        leverage: h, the diagonal of the hat matrix: 0 to 1, of mean k/n.
        residuals: y - prediction, in the units of y.
        studentized_internal: √w r / (s √(1 - h)); R's rstandard.
        studentized_external: the same with s from all other rows; R's rstudent.
        cooks_distance: internal² h / ((1 - h) k).

    A row of leverage 1 determines a coefficient alone: what divides by 1 - h is NaN
    there. A row of weight 0 has leverage and distance 0.

    `largest` and the printed table count rows as the arrays do: from 0, and only those
    that were used, so that a row dropped for a missing value has no number.
    """

    leverage: Array
    residuals: Array
    studentized_internal: Array
    studentized_external: Array
    cooks_distance: Array

    def largest(self, most: int = 5) -> list[int]:
        """The rows with the largest Cook's distances, the largest first.

        Args:
            most: how many of them.

        Returns:
            Their places in the arrays, counted from 0.
        """
        known = np.where(np.isnan(self.cooks_distance), -1.0, self.cooks_distance)
        order = np.argsort(-known, kind="stable")[:most]
        return [int(place) for place in order if known[place] >= 0]

    def rule(self) -> str:
        """How many rows weigh much by the usual rules, in a sentence."""
        n, alone = len(self.leverage), int((self.leverage > 1 - ALONE).sum())
        mean = float(self.leverage.mean()) if n else 0.0
        far = int((np.abs(self.studentized_external) > 3).sum())
        high = int((self.leverage > 3 * mean).sum())
        text = (
            f"{far:,} of {n:,} rows lie over 3 studentised residuals off; {high:,} "
            f"have over 3 times the mean leverage of {mean:.3g}"
        )
        if alone:
            text += f"; {alone:,} determine a coefficient alone"
        return f"{text}."

    def __repr__(self) -> str:
        return f"<Influence of {len(self.leverage):,} rows>"

    def __str__(self) -> str:
        """The rows that weigh most, and how many do by the usual rules."""
        rows = [["row", "Cook's distance", "leverage", "studentised", "residual"]]
        for place in self.largest():
            values = (
                self.cooks_distance[place],
                self.leverage[place],
                self.studentized_external[place],
                self.residuals[place],
            )
            rows.append([f"{place:,}", *(f"{v:.4g}" for v in values)])
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  " + "  ".join(c.rjust(w) for c, w in zip(row, wide, strict=True))
            for row in rows
        ]
        head = f"Influence of {len(self.leverage):,} rows, {COUNTED}"
        return "\n".join([head, "", *lines, "", *textwrap.wrap(self.rule(), 80)])

    def _repr_html_(self) -> str:
        """The same, as a notebook shows it."""
        from gradline.notebook import influence_html

        return influence_html(self)


class Intervals(NamedTuple):
    """Predictions with the ends of their intervals, (n,) each, in units of y.

    Attributes:
        prediction: what is expected.
        low: the lower end.
        high: the upper end.
    """

    prediction: Array
    low: Array
    high: Array

    def _repr_html_(self) -> str:
        """The first rows as a notebook shows them."""
        from gradline.notebook import intervals_html

        return intervals_html(self)


def infer(
    line: Line,
    design: Design,
    source: Source | None,
    *,
    cov: Cov = "classic",
    level: float = 0.95,
    progress: Progress | None = None,
) -> Inference:
    """Standard errors, tests and intervals; see `Fit.inference`.

    Args:
        line: the coefficients.
        design: how columns become terms.
        source: the data, which all but "classic" pass over once.
        cov: how the covariance of the coefficients is estimated.
        level: of the intervals.
        progress: True for a bar; or what is told how reading gets on.
    """
    name = _cov_name(cov)
    _check_level("level", level)
    known = sure(line)
    n, k = known.rows, line.certificate.rank
    rss = line.certificate.loss * known.weight
    variance = rss / (n - k)
    half = half_root(line, known)
    middle: Array | None = None
    df, clusters = n - k, None
    if name == "classic":
        half = half * math.sqrt(variance / known.weight)
        errors = np.sqrt(np.square(half).sum(1))
    else:
        summed, clusters = meat(line, design, source, cov, progress)
        middle = summed / known.weight**2
        df = n - k if clusters is None else clusters - 1
        errors = np.sqrt(((half @ middle) * half).sum(1).clip(min=0))
    values = line.values
    note, rounding = None, perfect(line, known)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.full(len(values), np.nan) if rounding else values / errors
    if rounding:
        note = (
            "the line goes through every point up to rounding, so t and p mean nothing"
        )
    p = t_two_sided(t, df)
    reach = t_central_quantile(level, df) * errors
    names, slopes = line.names, len(line.slopes)
    f = _f_statistic(line, known, middle, clusters, variance)
    f = math.nan if rounding else f
    tss = known.variance * known.weight
    r2 = 1 - rss / tss if tss > 0 else math.nan
    likelihood = -math.inf if rss > 0 else math.inf
    if rss > 0:
        likelihood = -n / 2 * (math.log(2 * math.pi * rss / n) + 1)
        likelihood += known.log_weights / 2
    return Inference(
        cov=name,
        level=float(level),
        statistic="t",
        standard_errors=dict(zip(names, errors.tolist(), strict=True)),
        t=dict(zip(names, t.tolist(), strict=True)),
        p=dict(zip(names, p.tolist(), strict=True)),
        intervals=dict(
            zip(
                names,
                zip((values - reach).tolist(), (values + reach).tolist(), strict=True),
                strict=True,
            )
        ),
        rows=n,
        df_model=slopes,
        df_resid=n - k,
        df=df,
        clusters=clusters,
        residual_std=math.sqrt(variance),
        r2=r2,
        adjusted_r2=1 - (1 - r2) * (n - line.has_intercept) / (n - k),
        f_statistic=f,
        f_p_value=float(f_above(f, slopes, df)) if slopes else math.nan,
        log_likelihood=likelihood,
        aic=2 * k - 2 * likelihood,
        bic=k * math.log(n) - 2 * likelihood,
        note=note,
        _half=half,
        _middle=middle,
    )


def half_widths(
    line: Line, X: Array, level: float, kind: Literal["prediction", "confidence"]
) -> Array:
    """Half the width of each row's interval, (rows,), for terms X (rows, d)."""
    known = sure(line)
    df = known.rows - line.certificate.rank
    variance = line.certificate.loss * known.weight / df
    u = whitened(known, centred(known, X))  # (rows, d)
    share = (line.has_intercept + squared_lengths(u)) / known.weight
    spread = np.sqrt(variance * (share + (kind == "prediction")))
    return np.asarray(t_central_quantile(level, df) * spread)


def check_interval(line: Line, interval: float, kind: str) -> None:
    """Refuse what no interval can be had for, before work starts."""
    _check_level("interval", interval)
    one_of("kind", kind, "prediction", "confidence")
    sure(line)


def influence(
    line: Line, design: Design, source: Source | None, progress: Progress | None = None
) -> Influence:
    """Leverages, studentised residuals and Cook's distances; see `Fit.influence`."""
    known = sure(line)
    k = line.certificate.rank
    df = known.rows - k
    s = math.sqrt(line.certificate.loss * known.weight / df)
    leverages, residuals, roots = [], [], []
    for part in parts(line, design, source, "influence", progress):
        leverages.append(part.leverage)
        residuals.append(part.residual)
        roots.append(np.sqrt(part.w))
    h, r = np.concatenate(leverages), np.concatenate(residuals)
    free = np.where(1 - h > ALONE, 1 - h, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.concatenate(roots) * r / (s * np.sqrt(free))
        left = (df - 1) / np.where(df - inside**2 > 0, df - inside**2, np.nan)
        outside = inside * np.sqrt(left) if df > 1 else np.full_like(inside, np.nan)
    return Influence(h, r, inside, outside, inside**2 * h / (free * k))


# The parts.


def _cov_name(cov: Cov) -> str:
    if isinstance(cov, str):
        name: str = one_of("cov", cov, "classic", "HC0", "HC1", "HC2", "HC3")
        return name
    given: Any = cov
    if isinstance(given, tuple) and len(given) == 2 and given[0] == "cluster":
        return "cluster"
    raise UsageError(
        f"cov is {cov!r}: give 'classic', 'HC0' to 'HC3', or ('cluster', column)"
    )


def _check_level(name: str, level: Any) -> None:
    if isinstance(level, bool) or not 0 < real(name, level) < 1:
        raise UsageError(f"{name} is {level!r}: give a share between 0 and 1, as 0.95")


def _f_statistic(
    line: Line,
    known: Evidence,
    middle: Array | None,
    clusters: int | None,
    variance: float,
) -> float:
    """F of all slopes being 0, from z = R⁻¹ slopes, whose covariance is well scaled."""
    q = len(line.slopes)
    if q == 0 or (clusters is not None and clusters <= q):
        return math.nan
    if middle is None:
        explained = (known.variance - line.certificate.loss) * known.weight
        return max(0.0, explained) / q / variance if variance > 0 else math.nan
    z = np.linalg.solve(known.root, line.slopes)
    inner = middle[-q:, -q:]
    size = np.sqrt(inner.diagonal())
    if not (size > 0).all():
        return math.nan
    z = z / size
    try:
        solved = np.linalg.solve(inner / np.outer(size, size), z)
    except np.linalg.LinAlgError:
        return math.nan
    return float(z @ solved) / q
