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
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from gradline.certificate import Certificate
from gradline.checks import one_of, real
from gradline.data import (
    Array,
    Batch,
    Chunk,
    Codes,
    Progress,
    Source,
    column_of,
    shape_text,
)
from gradline.design import INTERCEPT, Design, Mask, Tally
from gradline.distributions import f_above, t_central_quantile, t_two_sided
from gradline.errors import DataError, ShapeError, Status, UsageError, listed
from gradline.refine import Held, whiten
from gradline.solvers import Spectrum
from gradline.threads import blas_threads, threads_beside

#: ("cluster", column), or ("cluster", array) with one value per row of the data.
Cov = Literal["classic", "HC0", "HC1", "HC2", "HC3"] | tuple[str, Any]

#: Residuals below this share of the target are rounding (R warns at 1e-15).
PERFECT = 1e-14

#: A row with a leverage nearer to 1 than this determines a coefficient alone.
ALONE = 1e-10


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the passes over the data leave for inference: enough for the classic kind.

    Attributes:
        rows: n, rows with a weight above 0.
        weight: W, the sum of the weights.
        log_weights: Σ log w over those rows; 0 without weights.
        variance: of the target, weighted, over W.
        level: the mean of the target.
        center: the mean of the terms, (d,).
        remainder: what rounding took from it, (d,): the true mean is the sum.
        spectrum: of the design; None once loaded from a file.
        held: the rows, where they are few enough for the last digits.
        saved: R and meanᵀR, from a file; None where there is a spectrum.
    """

    rows: int
    weight: float
    log_weights: float
    variance: float
    level: float
    center: Array
    remainder: Array
    spectrum: Spectrum | None = None
    held: Held | None = None
    saved: tuple[Array, Array] | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self.held is None:
            return self.__dict__
        saved = self._roots  # a copy leaves the rows behind
        return self.__dict__ | {"spectrum": None, "held": None, "saved": saved}

    @property
    def root(self) -> Array:
        """R above, (d, d), in the units of the input; made when first asked for."""
        return self._roots[0]

    @property
    def across(self) -> Array:
        """meanᵀR above, (d,)."""
        return self._roots[1]

    @cached_property
    def _roots(self) -> tuple[Array, Array]:
        if self.spectrum is None:
            assert self.saved is not None
            return self.saved
        root = np.asarray(self.spectrum.root().numpy())
        if self.held is not None:
            found = whiten(self.held, self.weight, root)
            if found is not None:
                return found
        return root, self.center @ root + self.remainder @ root


class Line(NamedTuple):
    """Coefficients and what is known of them: the part of a Fit that inference needs.

    slopes (d,), center (d,) and level, the prediction at the mean; refused: why there
    are no standard errors, where whoever made the fit knows.
    """

    terms: tuple[str, ...]
    slopes: Array
    intercept: float
    center: Array
    level: float
    certificate: Certificate
    evidence: Evidence | None
    has_intercept: bool = True
    refused: str | None = None

    @property
    def names(self) -> list[str]:
        """Of all coefficients, the intercept first where there is one."""
        return [*([INTERCEPT] if self.has_intercept else []), *self.terms]

    @property
    def values(self) -> Array:
        """All coefficients, in the order of the names."""
        if not self.has_intercept:
            return self.slopes
        return np.append(self.intercept, self.slopes)


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


@dataclass(frozen=True, eq=False)
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
    """

    leverage: Array
    residuals: Array
    studentized_internal: Array
    studentized_external: Array
    cooks_distance: Array


class Intervals(NamedTuple):
    """Predictions with the ends of their intervals, (n,) each, in units of y."""

    prediction: Array
    low: Array
    high: Array


def why_not(line: Line) -> str | None:
    """Why nothing can be said of how sure the coefficients are; None where it can."""
    c, known = line.certificate, line.evidence
    if line.refused is not None:
        return line.refused
    if c.status == Status.NOT_CONVERGED:
        return (
            "no standard errors for a fit that is not_converged: its coefficients are "
            "not the least-squares ones; leave out epochs, or give method='exact'"
        )
    if c.rank < c.columns:
        about = f" ({listed(c.dependent, 3)})" if c.dependent else ""
        return (
            "no standard errors for a fit that is rank_deficient: its coefficients "
            f"are not unique{about}; leave out {c.columns - c.rank} of the columns, or "
            "give more rows"
        )
    if known is None:
        return (
            "no standard errors: the file of the model does not hold what they need; "
            "fit again"
        )
    if known.rows <= c.rank:
        return (
            f"no standard errors: {known.rows:,} rows determine {c.rank:,} "
            "coefficients exactly and leave no residual to judge them by; give more "
            "rows"
        )
    return None


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
        progress: is told how reading gets on.
    """
    name = _cov_name(cov)
    _check_level("level", level)
    known = _sure(line)
    n, k = known.rows, line.certificate.rank
    rss = line.certificate.loss * known.weight
    variance = rss / (n - k)
    half = _half(line, known)
    middle: Array | None = None
    df, clusters = n - k, None
    if name == "classic":
        half = half * math.sqrt(variance / known.weight)
        errors = np.sqrt(np.square(half).sum(1))
    else:
        meat, clusters = _meat(line, design, source, cov, progress)
        middle = meat / known.weight**2
        df = n - k if clusters is None else clusters - 1
        errors = np.sqrt(((half @ middle) * half).sum(1).clip(min=0))
    values = line.values
    note, perfect = None, _perfect(line, known)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.full(len(values), np.nan) if perfect else values / errors
    if perfect:
        note = (
            "the line goes through every point up to rounding, so t and p mean nothing"
        )
    p = t_two_sided(t, df)
    reach = t_central_quantile(level, df) * errors
    names, slopes = line.names, len(line.slopes)
    f = _f_statistic(line, known, middle, clusters, variance)
    f = math.nan if perfect else f
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
    known = _sure(line)
    df = known.rows - line.certificate.rank
    variance = line.certificate.loss * known.weight / df
    u = _whitened(known, _centred(known, X))  # (rows, d)
    share = (line.has_intercept + _squares(u)) / known.weight
    spread = np.sqrt(variance * (share + (kind == "prediction")))
    return np.asarray(t_central_quantile(level, df) * spread)


def check_interval(line: Line, interval: float, kind: str) -> None:
    """Refuse what no interval can be had for, before work starts."""
    _check_level("interval", interval)
    one_of("kind", kind, "prediction", "confidence")
    _sure(line)


def influence(
    line: Line, design: Design, source: Source | None, progress: Progress | None = None
) -> Influence:
    """Leverages, studentised residuals and Cook's distances; see `Fit.influence`."""
    known = _sure(line)
    k = line.certificate.rank
    df = known.rows - k
    s = math.sqrt(line.certificate.loss * known.weight / df)
    leverages, residuals, roots = [], [], []
    for part in _parts(line, design, source, "influence", progress):
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
    if not 0 < real(name, level) < 1:
        raise UsageError(f"{name} is {level!r}: give a share between 0 and 1, as 0.95")


def _sure(line: Line) -> Evidence:
    reason = why_not(line)
    if reason is not None:
        raise DataError(reason)
    assert line.evidence is not None
    return line.evidence


def _half(line: Line, known: Evidence) -> Array:
    """G, (d + 1, d + 1); R itself where there is no intercept."""
    root, across = known.root, known.across[None]
    if not line.has_intercept:
        return root
    return np.block([[np.ones((1, 1)), -across], [np.zeros((len(root), 1)), root]])


def _perfect(line: Line, known: Evidence) -> bool:
    """Whether the residuals are nothing but rounding."""
    size = known.variance + known.level**2
    return line.certificate.loss <= PERFECT**2 * size


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


class _Part(NamedTuple):
    """Some rows, with all that is made of them."""

    u: Array  # (rows, d), without the leading 1
    residual: Array  # (rows,)
    w: Array  # (rows,), ones where there are no weights
    leverage: Array  # (rows,)
    groups: Codes | None


def _centred(known: Evidence, X: Array) -> Array:
    """X minus its mean, as a new array, (rows, d)."""
    # In two subtractions: the first is exact for numbers that are near the mean.
    xc = np.subtract(X, known.center, dtype=np.float64)
    xc -= known.remainder
    return xc


def _whitened(known: Evidence, xc: Array) -> Array:
    """Rᵀ xc for each row, (rows, d)."""
    u: Array = np.dot(xc, known.root)
    return u


def _parts(
    line: Line,
    design: Design,
    source: Source | None,
    title: str,
    progress: Progress | None,
    groups: _Groups | None = None,
) -> Iterator[_Part]:
    """One pass over the data, which must be those of the fit.

    Raises:
        DataError: there are no data, or they are others.
    """
    known = _sure(line)
    if source is None:
        raise DataError(
            "a model from a file holds no rows, and this needs another pass over them: "
            "give the data of the fit with data=..."
        )
    tally, weight, rss = Tally(), 0.0, 0.0
    column = () if groups is None or groups.column is None else (groups.column,)
    shown = progress(title, source.rows) if progress else nullcontext(int)
    with shown as advance, blas_threads(threads_beside(source)):
        for chunk, batch, keep in design.chunks_of(source, tally, column):
            part = _part(line, known, chunk)
            if groups is not None:
                part = part._replace(groups=groups.codes(batch, keep))
            weight += float(part.w.sum())
            rss += float(part.w @ np.square(part.residual))
            yield part
            advance(len(chunk.y))
    if groups is not None:
        groups.check_end(tally.rows + tally.dropped)
    expected = line.certificate.loss * known.weight
    size = known.variance + known.level**2
    tolerance = 1e-6 * expected + 1e-24 * size * known.weight
    if not (
        math.isclose(weight, known.weight, rel_tol=1e-9)
        and abs(rss - expected) <= tolerance
    ):
        raise DataError(
            f"{source.name} is not what the model was fitted on: its residuals add up "
            f"to {rss:.6g} and not {expected:.6g}; give the data of the fit"
        )


def _part(line: Line, known: Evidence, chunk: Chunk) -> _Part:
    xc = _centred(known, chunk.X)
    u = _whitened(known, xc)
    r = (chunk.y - line.level) - np.dot(xc, line.slopes)
    w = np.ones(len(r)) if chunk.weight is None else np.array(chunk.weight, float)
    leverage = w * (line.has_intercept + _squares(u)) / known.weight
    return _Part(u, r, w, leverage, None)


def _squares(u: Array) -> Array:
    """The squared length of each row, (rows,)."""
    lengths: Array = np.einsum("ij,ij->i", u, u)
    return lengths


def _meat(
    line: Line,
    design: Design,
    source: Source | None,
    cov: Cov,
    progress: Progress | None,
) -> tuple[Array, int | None]:
    """The middle of the sandwich in u, times W², and how many clusters there are."""
    known = _sure(line)
    n, k, d = known.rows, line.certificate.rank, len(line.slopes)
    if not isinstance(cov, str):
        return _cluster_meat(line, design, source, cov[1], progress)
    total = np.zeros((k, k))
    start = 0
    for part in _parts(line, design, source, f"{cov} errors", progress):
        factor = part.w * part.residual
        if cov in ("HC2", "HC3"):
            free = 1 - part.leverage
            if (free < ALONE).any():
                raise DataError(
                    f"row {start + int(np.argmin(free)) + 1:,} of those used has "
                    f"leverage 1, it determines a coefficient alone, so {cov} is not "
                    "defined: give cov='HC1', or leave the row out"
                )
            factor = factor / (np.sqrt(free) if cov == "HC2" else free)
        scores = part.u * factor[:, None]  # (rows, d), and factor itself before them
        total[-d:, -d:] += np.dot(scores.T, scores)  # symmetric: half the work
        if line.has_intercept:
            total[0, 0] += factor @ factor
            total[0, 1:] += factor @ scores
        start += len(factor)
    if line.has_intercept:
        total[1:, 0] = total[0, 1:]
    return total * (n / (n - k) if cov == "HC1" else 1.0), None


def _cluster_meat(
    line: Line,
    design: Design,
    source: Source | None,
    by: Any,
    progress: Progress | None,
) -> tuple[Array, int]:
    known = _sure(line)
    n, k = known.rows, line.certificate.rank
    groups = _Groups(source, by)
    sums = torch.zeros(0, k, dtype=torch.float64)
    counted: set[int] = set()
    for part in _parts(line, design, source, "cluster errors", progress, groups):
        assert part.groups is not None
        codes = torch.from_numpy(part.groups)
        factor = (part.w * part.residual)[:, None]
        scores = torch.from_numpy(part.u * factor)
        if line.has_intercept:
            scores = torch.cat([torch.from_numpy(factor), scores], dim=1)
        more = groups.count - len(sums)
        if more > 0:  # grown by half, so that many new clusters cost no more than few
            sums = torch.cat([sums, sums.new_zeros(max(more, len(sums) // 2), k)])
        sums.index_add_(0, codes, scores)
        counted.update(np.unique(part.groups[part.w > 0]).tolist())
    m = len(counted)
    if m < 2:
        raise DataError(
            f"the clusters {groups.name} are {m}: give at least 2, many more if errors "
            "are to be trusted"
        )
    meat = (sums.T @ sums).numpy()
    return meat * (m / (m - 1) * (n - 1) / (n - k)), m


class _Groups:
    """Which cluster each row belongs to: from a column, or from an array."""

    def __init__(self, source: Source | None, by: Any) -> None:
        self.column: str | None = None
        self._known: dict[str, int] = {}
        self._codes: Codes | None = None
        self._start = 0
        self.count = 0
        self.name = repr(by) if isinstance(by, str) else "of the array"
        if isinstance(by, str):
            self.column = by
            if source is not None and column_of(source, by).kind == "other":
                raise DataError(
                    f"the cluster column {by!r} is of type "
                    f"{column_of(source, by).type}: give texts or numbers"
                )
            return
        self._codes = _coded(by)
        self.count = int(self._codes.max(initial=-1)) + 1

    def codes(self, batch: Batch, keep: Mask | None) -> Codes:
        """The clusters of the rows kept of one batch, as numbers from 0."""
        if self._codes is None:
            assert self.column is not None
            local, labels = batch.category(self.column)
            for label in labels:
                self._known.setdefault(label, len(self._known))
            self.count = len(self._known)
            places = np.array([self._known[label] for label in labels] + [-1])
            codes: Codes = places.astype(np.int64)[local]
        else:
            codes = self._codes[self._start : self._start + batch.rows]
            if len(codes) < batch.rows:
                self.check_end(self._start + batch.rows, "at least ")
        used = codes if keep is None else codes[keep]
        if (used < 0).any():
            rows = (codes < 0) if keep is None else (codes < 0) & keep
            row = self._start + int(np.argmax(rows)) + 1
            raise DataError(
                f"the cluster column {self.column!r} has a missing value, first in row "
                f"{row:,}: fill it in, or leave the row out"
            )
        self._start += batch.rows
        return used

    def check_end(self, rows: int, more: str = "") -> None:
        """Refuse an array that is not as long as the data."""
        if self._codes is not None and len(self._codes) != rows:
            raise ShapeError(
                f"the clusters have shape {shape_text(self._codes)} and the data "
                f"{more}{rows:,} rows: give one value per row"
            )


def _coded(by: Any) -> Codes:
    """An array of clusters as numbers from 0."""
    values = np.asarray(by)
    if values.ndim != 1:
        raise ShapeError(
            f"the clusters have shape {shape_text(values)}: give (n,), one per row, or "
            "the name of a column"
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        row = int(np.argmax(np.isnan(values))) + 1
        raise DataError(
            f"the clusters have a missing value, first in row {row:,}: fill it in"
        )
    if values.dtype.kind in "biufUSM":
        return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)
    known: dict[Any, int] = {}
    listed_values = values.tolist()
    for row, value in enumerate(listed_values):
        if value is None or value != value:
            raise DataError(
                f"the clusters have a missing value, first in row {row + 1:,}: fill it "
                "in"
            )
    return np.array([known.setdefault(v, len(known)) for v in listed_values], np.int64)
