"""regularization_path(): the slopes at every weight of a penalty, from one pass.

The objective is that of objective.py. The path starts at the least alpha at which all
slopes are 0 and goes down; see shrinkage.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradline.bounds import read_bounds
from gradline.checks import real, whole
from gradline.data import Array, Progress
from gradline.design import Missing
from gradline.errors import UsageError
from gradline.objective import as_penalty
from gradline.prepare import prepare
from gradline.ridge import ridge_alphas
from gradline.shrinkage import alpha_grid, least_share, of_survey, unbounded, walk
from gradline.splits import Split
from gradline.survey import take_survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class RegularizationPath:
    """The slopes at each alpha.

    Attributes:
        alphas: the weights of the penalty, (A,), from large to small.
        slopes: raw, (A, d).
        intercepts: (A,).
        terms: the names of the slopes, d.
        gaps: how far each objective may be above its optimum, (A,).
        r2: the share of the target's variance that is explained, (A,).
        scale: the standard deviation of each term, (d,).
        penalty: ridge, lasso or elastic net.
        l1_ratio: of it.
        standardize: whether it counts slopes of standardised features.
        target: the name of the target.
        rows: rows used.
    """

    alphas: Array
    slopes: Array
    intercepts: Array
    terms: tuple[str, ...]
    gaps: Array
    r2: Array
    scale: Array
    penalty: str
    l1_ratio: float
    standardize: bool
    target: str
    rows: int

    @property
    def nonzero(self) -> Any:
        """How many slopes are not 0 at each alpha, (A,)."""
        return np.count_nonzero(self.slopes, axis=1)

    @property
    def entered(self) -> dict[str, float]:
        """The largest alpha at which each term has a slope, first to last; 0: never."""
        there = self.slopes != 0
        first = np.where(there.any(0), self.alphas[np.argmax(there, axis=0)], 0.0)
        order = np.argsort(-first, kind="stable")
        return {self.terms[j]: float(first[j]) for j in order}

    def plot(self, path: str | FilePath | None = None) -> Figure:
        """Draw the slopes, times the standard deviation of their term, over alpha.

        Args:
            path: where to write it too: .png, .svg or .pdf.
        """
        from gradline.plots import draw_path, saved

        return saved(draw_path(self), path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        r2 = [float(v) if np.isfinite(v) else None for v in self.r2]
        return {
            "target": self.target,
            "rows": self.rows,
            "penalty": self.penalty,
            "l1_ratio": self.l1_ratio,
            "standardize": self.standardize,
            "terms": list(self.terms),
            "alphas": self.alphas.tolist(),
            "intercepts": self.intercepts.tolist(),
            "slopes": self.slopes.tolist(),
            "nonzero": self.nonzero.tolist(),
            "r2": r2,
            "gaps": self.gaps.tolist(),
        }

    def __repr__(self) -> str:
        alphas, terms = len(self.alphas), len(self.terms)
        return (
            f"<RegularizationPath of {self.target!r}: {self.penalty}, "
            f"{alphas} alpha{'' if alphas == 1 else 's'}, "
            f"{terms} term{'' if terms == 1 else 's'}>"
        )

    def __str__(self) -> str:
        count = len(self.alphas)
        alphas = f"{count:,} alpha{'' if count == 1 else 's'}"
        head = f"{self.target}, {self.penalty}, {alphas}, {self.rows:,} rows"
        places = np.unique(np.linspace(0, count - 1, min(count, SHOWN)).round())
        entered, last = self.entered, np.inf
        lines = [head, "", "       alpha  slopes      R²  terms that enter"]
        for k in places.astype(int).tolist():
            alpha = float(self.alphas[k])
            new = [n for n, first in entered.items() if alpha <= first < last]
            new = [n for n in new if entered[n] > 0 or alpha == 0]
            more = f" and {len(new) - NAMES} more" if len(new) > NAMES else ""
            names = textwrap.shorten(", ".join(new[:NAMES]), 48, placeholder=" …")
            row = f"  {alpha:10.4g}  {int(self.nonzero[k]):6}  {self.r2[k]:6.4f}"
            lines.append(f"{row}  {names}{more}".rstrip())
            last = alpha
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The path as a notebook shows it."""
        from gradline.notebook import path_html

        return path_html(self)


#: So many alphas of a path are printed, and so many of the terms that enter at one.
SHOWN, NAMES = 12, 3


def regularization_path(
    data: Any,
    y: Any = None,
    *,
    penalty: Literal["ridge", "lasso", "elastic_net"] = "lasso",
    alphas: Sequence[float] | None = None,
    eps: float | None = None,
    n_alphas: int = 100,
    l1_ratio: float | None = None,
    standardize: bool | None = None,
    bounds: dict[str, tuple[float | None, float | None]] | None = None,
    nonnegative: bool | Sequence[str] = False,
    target: str | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    weights: Any = None,
    intercept: bool = True,
    missing: Missing = "error",
    formula: str | None = None,
    split: Split | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    progress: Progress | None = None,
) -> RegularizationPath:
    """The slopes at every weight of a penalty, from one pass over the data.

    Args:
        data: as in `fit`.
        y: the target, (n,), unless it is a column of data.
        penalty: its kind.
        alphas: its weights; unless told, `n_alphas` of them, from the least at which
            all slopes are 0 down to `eps` of it.
        eps: 1e-4 where there are more rows than terms, else 1e-3, unless told.
        n_alphas: how many.
        l1_ratio: of the elastic net, 0.5 unless told.
        standardize: whether slopes of standardised features are counted; yes unless
            told.
        bounds: as in `fit`.
        nonnegative: as in `fit`.
        target: the name of the target's column.
        features: the columns to predict from.
        exclude: columns to leave out of them.
        categories: features to treat as categories.
        weights: row weights.
        intercept: False for lines through the origin.
        missing: "error" refuses incomplete rows, "drop" leaves them out.
        formula: the target and the terms in one text.
        split: take the training part of it alone.
        delimiter: of a CSV file.
        encoding: of a CSV file.
        decimal: the decimal mark of a CSV file.
        progress: True for a bar; or what is told how reading gets on.

    Returns:
        A RegularizationPath: .alphas, .slopes (A, d), .terms, .gaps, .plot().

    Raises:
        UsageError: arguments that do not go together.
        DataError: data that cannot be fitted as given.

    Equivalent: sklearn.linear_model.lasso_path and enet_path on centred and scaled
    features; R's glmnet.
    """
    kind = as_penalty(penalty, "cv", l1_ratio, standardize)
    if kind is None:
        raise UsageError("penalty is None: give 'ridge', 'lasso' or 'elastic_net'")
    prepared = prepare(
        data,
        y,
        target=target,
        features=features,
        exclude=exclude,
        categories=categories,
        weights=weights,
        missing=missing,
        intercept=intercept,
        formula=formula,
        split=split,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
    )
    design = prepared.design
    box = unbounded(len(design.terms))
    if bounds is not None or nonnegative is not False:
        box = read_bounds(design, bounds, nonnegative)
    n_alphas = whole("n_alphas", n_alphas, 1)
    survey = take_survey(prepared.source, design, progress).best
    problem = of_survey(survey, kind.standardize, box)
    share = least_share(survey.moments) if eps is None else real("eps", eps)
    if not 0 < share < 1:
        raise UsageError(f"eps is {eps}: give a share between 0 and 1, such as 1e-3")
    if alphas is not None:
        grid = np.sort(np.array([real("an alpha", a) for a in alphas]))[::-1]
        if not len(grid) or grid[-1] < 0:
            raise UsageError("alphas must be numbers of 0 or more: give some")
    elif kind.l1_ratio:
        grid = alpha_grid(problem.first_alpha(kind.l1_ratio), n_alphas, share)
    else:
        grid = ridge_alphas(survey.moments, kind.standardize, n_alphas)
    found = walk(problem, grid, kind.l1_ratio)
    slopes = np.stack([problem.raw(point.u) for point in found])
    half = max(survey.variance, 0.0) / 2
    losses = np.array([point.loss for point in found])
    return RegularizationPath(
        alphas=grid,
        slopes=slopes,
        intercepts=float(survey.sums.y_mean[0]) - slopes @ survey.sums.x_mean,
        terms=design.terms,
        gaps=np.array([point.gap for point in found]),
        r2=1 - losses / half if half > 0 else np.full(len(grid), np.nan),
        scale=survey.spectrum.scale.numpy(),
        penalty=kind.name,
        l1_ratio=kind.l1_ratio,
        standardize=kind.standardize,
        target=design.response,
        rows=survey.tally.rows,
    )
