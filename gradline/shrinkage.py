"""From a state to penalised slopes: the quadratic, ridge in closed form, whole paths.

The objective is that of objective.py. In slopes u = b · scale, where the scale is the
standard deviation of each column, or 1 where the features are not standardised, and
with C and q of coordinate.py,

    ridge           u = (C + α)⁻¹ · Xcᵀ diag(w) y / W
    all slopes 0    from α = max |Xcᵀ diag(w) y / W| / l1_ratio on

A path starts at that α and goes down, each solution the start of the next one. Nothing
here depends on the number of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gradline.bounds import Bounds
from gradline.coordinate import Point, Terms, minimise
from gradline.data import Array
from gradline.errors import UsageError
from gradline.freeslopes import Factor, Quadratic
from gradline.scaled import scaled
from gradline.solvers import SAFE_CONDITION, Singular
from gradline.state import EPS, Moments
from gradline.survey import Survey

#: A path asked for by its length reaches from the first alpha down to this share of it:
#: the first where there are more terms than rows, as in scikit-learn, else the second,
#: as in glmnet, for many rows need little penalty.
LEAST_SHARE, LEAST_SHARE_MANY = 1e-3, 1e-4

#: Of paths: the gap as a share of half the variance of the target.
PATH_TOLERANCE = 1e-10

#: The step and the tolerance of a path that only leads to where to begin.
COARSE, COARSE_TOLERANCE = 1.5, 1e-4

#: Where l1_ratio is smaller, alphas are chosen as if it were this, as in glmnet.
LEAST_RATIO = 1e-3


@dataclass(frozen=True)
class Shrinkable:
    """A least-squares problem in the units that its penalty counts slopes in.

    Attributes:
        problems: one for each target; they share C.
        scale: what raw slopes are multiplied by, (d,); 0 for constant columns.
        low: bounds of the slopes in those units, (d,); a constant column's are 0.
        high: (d,).
        bounds: those of the raw slopes.
    """

    problems: tuple[Quadratic, ...]
    scale: Array
    low: Array
    high: Array
    bounds: Bounds

    def raw(self, u: Array) -> Array:
        """Slopes in the units of the input, (d,), those at a bound exactly there."""
        slopes = np.divide(u, self.scale, out=np.zeros_like(u), where=self.scale > 0)
        slopes = np.clip(slopes, *self.bounds)
        slopes = np.where((u == self.low) & (u != 0), self.bounds.low, slopes)
        return np.where((u == self.high) & (u != 0), self.bounds.high, slopes)

    def terms(self, alpha: float, l1_ratio: float) -> Terms:
        """The penalty and the bounds."""
        return Terms(alpha * l1_ratio, alpha * (1 - l1_ratio), self.low, self.high)

    def solve(
        self,
        alpha: float,
        l1_ratio: float,
        start: Array | None = None,
        tolerance: float = 1e-14,
        target: int = 0,
        factor: Factor | None = None,
    ) -> Point:
        """The slopes of one target at one alpha, in these units.

        Args:
            alpha: the weight of the penalty.
            l1_ratio: of the elastic net.
            start: slopes to begin from.
            tolerance: as in `minimise`.
            target: which one.
            factor: of an earlier solution, see `minimise`.
        """
        problem = self.problems[target]
        factor = Factor(problem) if factor is None else factor
        if start is None:
            start = self._approached(alpha * l1_ratio, alpha, target, factor)
        terms = self.terms(alpha, l1_ratio)
        return minimise(problem, terms, start, tolerance, factor)

    def _approached(
        self, l1: float, alpha: float, target: int, factor: Factor
    ) -> Array:
        """Slopes to begin from: those on a coarse path to the penalty, from all at 0.

        So few slopes become free at a time, which saves most of the work where there
        are more of them than rows.
        """
        problem, u = self.problems[target], np.zeros(len(self.scale))
        now = self.first_alpha(1.0, target)
        least = max(l1, now * LEAST_SHARE / 10)
        while now > COARSE * least:
            now /= COARSE
            terms = Terms(now, alpha - l1, self.low, self.high)
            u = minimise(problem, terms, u, COARSE_TOLERANCE, factor).u
        return u

    def ridge(self, alpha: float, target: int = 0) -> Array:
        """The slopes under a ridge penalty, in these units, (d,); bounds left out."""
        problem = self.problems[target]
        if not alpha:
            return problem.origin.copy()
        if problem.root is not None:
            # R = U Σ Vᵀ: nothing is squared that has to be divided by again.
            U, sigma, Vh = np.linalg.svd(problem.root, full_matrices=False)
            u: Array = Vh.T @ (sigma * (U.T @ problem.image) / (sigma**2 + alpha))
            return u
        shrunk = torch.from_numpy(problem.matrix.copy())
        right = problem.matrix @ problem.origin + problem.pull
        shrunk.diagonal().add_(alpha)
        lower = torch.linalg.cholesky_ex(shrunk).L
        solved = torch.cholesky_solve(torch.from_numpy(right)[:, None], lower)
        u = solved[:, 0].numpy()
        return u  # noqa: RET504 - typed above

    def first_alpha(self, l1_ratio: float, target: int = 0) -> float:
        """The least alpha at which all slopes that can be 0 are."""
        problem = self.problems[target]
        u = np.clip(0.0, self.low, self.high)
        q = problem.gradient(u)
        pull = np.maximum(np.where(self.high > 0, q, 0), np.where(self.low < 0, -q, 0))
        return float(pull.max(initial=0.0)) / max(l1_ratio, LEAST_RATIO)


def of_survey(survey: Survey, standardize: bool, bounds: Bounds) -> Shrinkable:
    """The problem of a survey, measured from its least-squares optimum.

    Where the design is ill conditioned C is RᵀR, of the triangle's R, and whatever has
    to be solved is solved with R itself.
    """
    spectrum, sums = survey.spectrum, survey.sums
    scale = spectrum.scale.numpy()
    live = scale > 0
    slopes = survey.optimum[:-1].numpy()
    unit = scale if standardize else np.where(live, 1.0, 0.0)
    factor = np.divide(scale, unit, out=np.zeros_like(scale), where=live)
    root = image = None
    if not isinstance(spectrum, Singular):
        safe = np.where(live, scale, 1.0)
        matrix = sums.xx / (sums.weight * safe[:, None] * safe)
        smallest = 1 / (spectrum.condition / spectrum.largest) ** 2
    else:
        r = spectrum.rank
        sigma = spectrum.sigma[:r].numpy()
        image = spectrum.explained.numpy()
        root = sigma[:, None] * spectrum.vectors[:, :r].numpy().T
        matrix = root.T @ root
        smallest = 0.0 if r < live.sum() or not r else float(sigma[-1]) ** 2
        root = root * factor
        if r and r == live.sum() and sigma[0] < SAFE_CONDITION * sigma[-1]:
            root = None  # only constant columns were in the way
    matrix = matrix * factor[:, None] * factor
    if not standardize and live.any():
        smallest *= float(factor[live].min()) ** 2
    problem = Quadratic(
        matrix,
        slopes * unit,
        np.zeros(len(slopes)),
        survey.optimum_loss / 2,
        max(survey.variance, survey.floor) ** 0.5,
        root,
        image,
        smallest if live.all() else 0.0,
    )
    return _bounded((problem,), unit, bounds)


def of_moments(moments: Moments, standardize: bool, bounds: Bounds) -> Shrinkable:
    """The problems of a state, one for each target.

    They are measured from the least-squares line of all its rows; the state given stays
    as it is.
    """
    state, sums, live, divide, matrix, pull = scaled(moments, standardize)
    W, unit = state.weight, np.where(live, divide, 0.0)
    problems = [
        Quadratic(
            matrix,
            state.line[:, t] * unit,
            pull[:, t],
            float(state.rr[t]) / W / 2,
            max(math.sqrt(float(sums.yy[t]) / W), 16 * EPS * abs(sums.y_mean[t])),
        )
        for t in range(moments.targets)
    ]
    return _bounded(tuple(problems), unit, bounds)


def _bounded(
    problems: tuple[Quadratic, ...], unit: Array, bounds: Bounds
) -> Shrinkable:
    with np.errstate(invalid="ignore"):
        low = np.where(unit > 0, bounds.low * unit, 0.0)
        high = np.where(unit > 0, bounds.high * unit, 0.0)
    return Shrinkable(problems, unit, low, high, bounds)


def unbounded(features: int) -> Bounds:
    """No bounds on so many slopes."""
    return Bounds(np.full(features, -np.inf), np.full(features, np.inf))


class Path(NamedTuple):
    """Slopes at each alpha of a path, of each target.

    alphas (A,), decreasing as a rule; slopes (A, d, k) raw; intercepts (A, k); gaps
    (A, k): how far each objective may be above its optimum; nonzero (A, k): how many
    slopes are not 0.
    """

    alphas: Array
    slopes: Array
    intercepts: Array
    gaps: Array
    nonzero: Array


def alpha_grid(first: float, n_alphas: int, eps: float) -> Array:
    """Alphas from the first down to `eps` of it, equally spaced on a log scale."""
    if n_alphas == 1 or first <= 0:
        return np.full(min(n_alphas, 1), max(first, 0.0))
    return first * np.logspace(0, math.log10(eps), n_alphas)


def least_share(moments: Moments) -> float:
    """How far down a path goes for these data, as a share of its first alpha."""
    many = moments.counted > moments.features
    return LEAST_SHARE_MANY if many else LEAST_SHARE


def walk(
    problem: Shrinkable,
    alphas: Array,
    l1_ratio: float,
    tolerance: float = PATH_TOLERANCE,
    target: int = 0,
    factor: Factor | None = None,
) -> list[Point]:
    """The points of one target at each alpha, from the largest to the smallest.

    Args:
        problem: the problem.
        alphas: (A,), in any order; the points have it too.
        l1_ratio: of the penalty.
        tolerance: as in `minimise`.
        target: which one.
        factor: of an earlier walk on the same C.
    """
    factor = Factor(problem.problems[target]) if factor is None else factor
    found: dict[int, Point] = {}
    u = np.zeros(len(problem.scale))
    for i in np.argsort(-alphas, kind="stable").tolist():
        alpha = float(alphas[i])
        found[i] = problem.solve(alpha, l1_ratio, u, tolerance, target, factor)
        u = found[i].u
    return [found[i] for i in range(len(alphas))]


def elastic_net_path(
    moments: Moments,
    alphas: Array,
    l1_ratio: float = 1.0,
    standardize: bool = True,
    tolerance: float = PATH_TOLERANCE,
    bounds: Bounds | None = None,
) -> Path:
    """Slopes at each alpha, from a state alone.

    Args:
        moments: the state, of d features and k targets.
        alphas: (A,), in any order; from large to small is fastest.
        l1_ratio: 1 for the lasso, 0 for ridge, between for the elastic net.
        standardize: whether slopes of standardised features are counted.
        tolerance: of the gap, as a share of half the target's variance.
        bounds: of the raw slopes.

    Equivalent: sklearn.linear_model.enet_path, whose features the caller centres and
    scales; R's glmnet(x, y, alpha=l1_ratio, lambda=alphas).
    """
    alphas = np.asarray(alphas, dtype=np.float64)
    if alphas.ndim != 1 or not np.isfinite(alphas).all() or (alphas < 0).any():
        raise UsageError("alphas must be a list of numbers of 0 or more")
    box = unbounded(moments.features) if bounds is None else bounds
    shrinkable = of_moments(moments, standardize, box)
    A, d, k = len(alphas), moments.features, moments.targets
    slopes, gaps = np.zeros((A, d, k)), np.zeros((A, k))
    factor = Factor(shrinkable.problems[0])
    for t in range(k):
        points = walk(shrinkable, alphas, l1_ratio, tolerance, t, factor)
        gaps[:, t] = [point.gap for point in points]
        for i, point in enumerate(points):
            slopes[i, :, t] = shrinkable.raw(point.u)
    nonzero = np.count_nonzero(slopes, axis=1)
    means = np.einsum("d,adk->ak", moments.x_mean, slopes)
    return Path(alphas, slopes, moments.y_mean - means, gaps, nonzero)
