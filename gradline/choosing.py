"""How a penalty's weight is chosen: for cross_validate(), and fit() with alpha="cv".

One pass over the rows leaves the states of the folds (foldstates.py), or of all rows;
from these come the errors at every alpha (crossval.py, ridge.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from gradline.bounds import Bounds
from gradline.crossval import CrossValidation, PathSolver, choose, path_errors
from gradline.data import (
    Array,
    Batch,
    Progress,
)
from gradline.design import Design, Tally
from gradline.errors import UsageError, listed
from gradline.folds import AllRows, Folds, GroupKFold, TimeSeriesFolds, as_folds
from gradline.foldstates import FoldStates, read_folds, with_others
from gradline.objective import Penalty
from gradline.prepare import Prepared
from gradline.reading import read_into, share_cores
from gradline.ridge import LeaveOneOut, eigen, generalised, ridge_alphas, ridge_path
from gradline.shrinkage import (
    alpha_grid,
    elastic_net_path,
    least_share,
    of_moments,
    unbounded,
)
from gradline.state import SMALL, Moments
from gradline.survey import REFINE_NUMBERS, Survey, check_readable, take_survey
from gradline.threads import blas_threads

Rule = Literal["cv", "1se", "gcv", "loo"]

#: Alphas of a grid, unless they are given.
ALPHAS = 100

#: An error that changes by less than this share to the next alpha stands still.
STILL = 1e-4

Notes = tuple[str, ...]


class Chosen(NamedTuple):
    """An alpha chosen for fit().

    penalty: with alpha as a number; curve: how it was chosen; survey: of all rows, from
    the same pass.
    """

    penalty: Penalty
    curve: CrossValidation
    survey: Survey


def choose_alpha(
    prepared: Prepared,
    penalty: Penalty,
    folds: Any = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
) -> Chosen:
    """Find the alpha of a penalty that says how to: "cv", "1se", "gcv" or "loo".

    Args:
        prepared: the data.
        penalty: its alpha is one of these words.
        folds: as in `cross_validate`.
        progress: True for a bar; or what is told how reading gets on.
        bounds: of the raw slopes, where there are some.

    Raises:
        UsageError: folds for "gcv" or "loo", which need none.
    """
    found = validated(prepared, penalty, None, folds, progress, (), bounds)
    alpha = float(found.curve.alpha[0])
    survey = take_survey(
        prepared.source, prepared.design, progress, reading=found.states.reading()
    )
    return Chosen(replace(penalty, alpha=alpha), found.curve, survey)


class Validated(NamedTuple):
    """The curve, and the states it comes from."""

    curve: CrossValidation
    states: FoldStates


def validated(
    prepared: Prepared,
    penalty: Penalty | None,
    grid: Array | None,
    folds: Any,
    progress: Progress | None,
    others: Sequence[str] = (),
    bounds: Bounds | None = None,
) -> Validated:
    """Errors at every alpha, and the slopes at the one that the rule takes."""
    source, design = prepared.source, prepared.design
    rule = "cv" if penalty is None else str(penalty.alpha)
    closed = rule in ("gcv", "loo")
    if closed and folds is not None:
        raise UsageError(f"{rule!r} needs no folds: leave them out")
    if closed and bounds is not None:
        raise UsageError(
            f"{rule!r} has a closed form for ridge without bounds alone: choose alpha "
            "by 'cv', or leave the bounds out"
        )
    ways: Folds = AllRows() if closed else as_folds(folds)
    states = read_folds(source, design, ways, progress, others, REFINE_NUMBERS)
    reading = states.reading()
    check_readable(source, design, reading)
    # Many small products: several threads would wait for one another.
    small = len(design.terms) <= SMALL and rule != "loo"  # which reads the rows again
    with blas_threads(1 if small else None):
        curve = _curve(prepared, penalty, grid, bounds, states, others, progress)
    return Validated(curve, states)


def _curve(
    prepared: Prepared,
    penalty: Penalty | None,
    grid: Array | None,
    bounds: Bounds | None,
    states: FoldStates,
    others: Sequence[str],
    progress: Progress | None,
) -> CrossValidation:
    """All that the states say."""
    design, ways = prepared.design, states.folds
    rule = "cv" if penalty is None else str(penalty.alpha)
    tally, moments = states.tally, states.whole()
    alphas = _grid(moments, penalty, bounds) if grid is None else grid
    solver = _solver(penalty, bounds)
    scaled = penalty is None or penalty.standardize
    if rule == "gcv":
        errors = generalised(moments, alphas, scaled)[:, None]
    elif rule == "loo":
        errors = _left_out(prepared, moments, alphas, scaled, others, progress)
    else:
        errors = path_errors(states, solver, alphas)
    at = choose(alphas, errors, rule, ways.repeats)
    targets = (design.response, *others)
    slopes, intercepts = solver(moments, np.unique(alphas[at])[::-1])
    place = {a: i for i, a in enumerate(np.unique(alphas[at])[::-1].tolist())}
    rows = [place[a] for a in alphas[at].tolist()]
    each = np.arange(len(targets))
    sums = moments.value()
    return CrossValidation(
        alphas=alphas,
        errors=errors,
        targets=targets,
        terms=design.terms,
        rule=rule,
        penalty=None if penalty is None else penalty.name,
        l1_ratio=0.0 if penalty is None else penalty.l1_ratio,
        standardize=scaled,
        folds=_said(ways, rule),
        repeats=ways.repeats,
        slopes=slopes[rows, :, each].T,
        intercepts=intercepts[rows, each],
        variance=sums.spread / sums.weight,
        rows=tally.rows,
        dropped=tally.dropped,
        notes=()
        if penalty is None
        else end_notes(alphas, errors.mean(axis=1), at, targets),
    )


def _solver(penalty: Penalty | None, bounds: Bounds | None) -> PathSolver:
    """What gives the lines of all alphas from a state."""
    if penalty is None:
        return ridge_path
    if not penalty.l1_ratio and bounds is None:
        return partial(ridge_path, standardize=penalty.standardize)

    def solve(moments: Moments, alphas: Array) -> tuple[Array, Array]:
        ratio, scaled = penalty.l1_ratio, penalty.standardize
        path = elastic_net_path(moments, alphas, ratio, scaled, bounds=bounds)
        return path.slopes, path.intercepts

    return solve


def _grid(moments: Moments, penalty: Penalty | None, bounds: Bounds | None) -> Array:
    """Alphas to try, from large to small: for all targets the same."""
    if penalty is None:
        return np.zeros(1)
    if not penalty.l1_ratio:
        return ridge_alphas(moments, penalty.standardize, ALPHAS)
    box = unbounded(moments.features) if bounds is None else bounds
    problem = of_moments(moments, penalty.standardize, box)
    first = [problem.first_alpha(penalty.l1_ratio, t) for t in range(moments.targets)]
    top, low = max(first), min([f for f in first if f > 0], default=0.0)
    # Targets of other units begin elsewhere: the grid reaches over all of them.
    least = least_share(moments)
    share = least * low / top if top > 0 else least
    count = round(ALPHAS * np.log(share) / np.log(least))
    return alpha_grid(top, count, share)


class _LeavingOut:
    """What a reader collects for leave-one-out."""

    def __init__(
        self, design: Design, found: LeaveOneOut, others: Sequence[str]
    ) -> None:
        self._design, self._others = design, others
        self.found = found

    def take(self, start: int, batch: Batch) -> None:
        """Take in a batch."""
        found = self._design.chunk(batch, start)
        if found is not None and self._others:
            found = with_others(
                Tally(), self._design, found, batch, start, self._others
            )
        if found is not None:
            self.found.add(found[0])

    def merge(self, other: _LeavingOut) -> None:
        """Take in what another has read."""
        self.found.merge(other.found)


def _left_out(
    prepared: Prepared,
    moments: Moments,
    alphas: Array,
    standardize: bool,
    others: Sequence[str],
    progress: Progress | None,
) -> Array:
    """The leave-one-out error at each alpha, (A, 1, k), by one more pass."""
    source, design = prepared.source, prepared.design
    found = eigen(moments, standardize)
    shared = share_cores(source, design)
    with blas_threads(shared.blas):
        left_out = read_into(
            lambda: _LeavingOut(design, LeaveOneOut(found, alphas), others),
            source,
            design,
            progress,
            readers=shared.readers,
            also=others,
            title="leaving one out",
        )
    return left_out.found.value()[:, None]


def _said(folds: Folds, rule: str) -> str:
    """How rows are held out, in words."""
    if rule == "gcv":
        return "generalised cross-validation"
    if rule == "loo":
        return "one row left out at a time"
    if isinstance(folds, GroupKFold):
        return f"{folds.count} folds of whole groups by {folds.column!r}"
    if isinstance(folds, TimeSeriesFolds):
        return f"{folds.count} folds in the order of {folds.column!r}"
    again = f", {folds.repeats} times" if folds.repeats > 1 else ""
    return f"{folds.count} folds{again}"


def end_notes(alphas: Array, mean: Array, at: Any, targets: Sequence[str]) -> Notes:
    """A warning where the grid ends before the error has stopped falling."""
    if len(alphas) < 2:
        return ()
    found = []
    for end, beside, way in ((-1, -2, "small"), (0, 1, "larg")):
        falls = mean[end] < (1 - STILL) * mean[beside]
        here = (at == np.arange(len(alphas))[end]) & falls
        if here.any():
            names = listed(t for t, is_ in zip(targets, here, strict=True) if is_)
            found.append(
                f"the alpha chosen for {names} is the {way}est tried, "
                f"{alphas[end]:.3g}: the error may be less at a {way}er one"
            )
    return tuple(found)
