"""linear_probe(): the last layer of a network, exactly, from one pass over batches.

For features h = backbone(x), (d,), and targets y, (k,), it finds the W (k, d) and the
b (k,) that make

    1/2W · Σ w_i ‖y_i - W h_i - b‖² + alpha/2 · Σ u²

small, with u the slopes in standard deviations of the features, or W as it is; b is
free. There is no learning rate and no epoch: a state for each fold, of about d² numbers
(probestates.py), gives every alpha and its error on the rows held out (probesolve.py).

For labels, each class is a target that is 1 in its rows and -1 in all others, and the
largest output is the prediction: ridge classification.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from gradline.bar import bar_for
from gradline.checks import one_of, real
from gradline.choosing import end_notes
from gradline.crossval import CrossValidation, choose
from gradline.data import Array, Chunk, Progress
from gradline.errors import DataError, UsageError, did_you_mean, listed
from gradline.folds import KFold, as_folds
from gradline.foldstates import merged
from gradline.probe import Probe, checked_alphas, output_names
from gradline.probebatches import feature_dtype, frozen, read_rows, wide_enough
from gradline.probesolve import certified, folded, layer, lines_at
from gradline.probestates import Gathered, Gathering, check_folds
from gradline.probetargets import Targets, Task, codes_of, weights_of
from gradline.ridge import Eigen, LeaveOneOut, alphas_about, eigen, generalised
from gradline.solvers import column_scale
from gradline.state import Moments

#: Alphas that are tried, unless they are given.
ALPHAS = 50

_RULES = ("cv", "1se", "gcv", "loo")

_SAID = {
    "gcv": "generalised cross-validation",
    "loo": "one row left out at a time",
}


def linear_probe(
    batches: Any,
    *,
    backbone: Any = None,
    task: Task = "auto",
    classes: Sequence[Any] | None = None,
    alpha: Literal["cv", "1se", "gcv", "loo"] | float = "cv",
    alphas: Iterable[float] | None = None,
    alpha_per_target: bool | None = None,
    folds: int | KFold | None = None,
    standardize: bool = True,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Probe:
    """The best linear layer on features: exactly, in one pass, no learning rate.

    Args:
        batches: a DataLoader, or any iterable of (inputs, targets) or (inputs, targets,
            weight); or one such pair or triple of tensors or arrays. An iterator will
            do: it is read once. Targets are numbers, (b,) or (b, k), or labels, (b,):
            whole numbers or booleans.
        backbone: makes features (b, d) of inputs: a torch.nn.Module, which is run in
            eval mode, without autograd, on its own device, and left as it was; or any
            function. Without, inputs are the features.
        task: "regression" or "classification"; "auto" goes by the type of the targets.
        classes: the labels, in the order of the outputs; those that turn up, sorted,
            unless told.
        alpha: the weight of the penalty, or how to choose it: "cv", the least error on
            the folds; "1se", the largest within one standard error of that; "gcv",
            generalised cross-validation, of one state alone; "loo", leave-one-out,
            which reads batches a second time.
        alphas: those to try; 50 unless told, about the largest eigenvalue.
        alpha_per_target: an alpha for each output, or one for all; unless told, one for
            each number, and one for all classes, by the mean of their errors.
        folds: how many, 5 unless told, or a gl.KFold; a row's fold depends on its place
            alone, whatever the batches.
        standardize: whether the penalty counts slopes of standardised features.
        dtype: of the module; that of the features unless told.
        device: where features are brought, and sums made; where they are unless told.
        progress: is told how many rows were read, as in `fit`.

    Returns:
        A Probe: .module, the layer; .alpha, .cross_validation, .certificate, .classes;
        .predict(), .evaluate(), .path().

    Raises:
        UsageError: arguments that do not go together.
        DataError: batches that are of no use; it says which one, and why.

    Equivalent: sklearn.linear_model.RidgeClassifier(alpha * n) or Ridge(alpha * n) on
    all features at once, standardised before; RidgeCV and RidgeClassifierCV choose by
    "loo". Another loss than squares (logistic regression, say) is better served by
    torch.optim, for which `probe.module` is a start.
    """
    rule, fixed = _rule(alpha, alphas)
    one_of("task", task, "auto", "regression", "classification")
    one_of("standardize", standardize, True, False)
    one_of("alpha_per_target", alpha_per_target, None, True, False)
    _refuse(batches, rule, folds, classes, task, dtype, device)
    cut = _folds(folds) if rule in ("cv", "1se") else None
    targets = Targets(task, classes)
    reading = _Reading(batches, backbone, device, progress)
    gathered = _gathered(reading, targets, cut)
    state = merged(gathered.states)
    _check(state, gathered, cut)
    names = output_names(targets.classes(), state.targets)
    system = eigen(state, standardize)
    chosen = np.full(state.targets, fixed)
    found, fold_lines, grid = None, [], chosen[:1].copy()
    if rule is not None:
        grid = _tried(alphas, system)
        shared = targets.classification
        shared = shared if alpha_per_target is None else not alpha_per_target
        errors: Array
        systems: list[Any] = []
        if cut is not None:
            errors, systems = folded(gathered.states, grid, standardize)
        elif rule == "gcv":
            errors = generalised(state, grid, standardize)[:, None]
        else:
            errors = _left_out(reading, state, targets, LeaveOneOut(system, grid))
        found = _curve(
            errors, grid, rule, shared, names, system, state, standardize, cut
        )
        chosen = found.alpha
        fold_lines = [lines_at(system, chosen) for system in systems]
    lines = lines_at(system, chosen)
    kind = dtype or feature_dtype(torch.empty(0, dtype=gathered.dtype))
    module = layer(lines, kind, gathered.device)
    terms = _terms(state.features)
    return Probe(
        module=module,
        alpha=chosen,
        alphas=grid,
        cross_validation=found,
        certificate=certified(state, system, lines, chosen, module, terms),
        targets=targets,
        rows=gathered.rows,
        standardize=standardize,
        state=state,
        notes=_notes(state, targets, found),
        backbone=backbone,
        folds=cut,
        fold_lines=fold_lines,
    )


class _Reading(NamedTuple):
    """Where batches come from, and what makes features of them."""

    batches: Any
    backbone: Any
    device: Any
    progress: Progress | None


def _rule(alpha: Any, alphas: Any) -> tuple[str | None, float]:
    """How alpha is chosen, and what it is where it is not.

    Raises:
        UsageError: a word that is no rule, a number that is none, or both.
    """
    if isinstance(alpha, str):
        if alpha not in _RULES:
            otherwise = f"give a number, or {' or '.join(map(repr, _RULES))}"
            hint = did_you_mean(alpha, _RULES, otherwise)
            raise UsageError(f"alpha is {alpha!r}: {hint}")
        return alpha, 0.0
    value = real("alpha", alpha)
    if value < 0:
        raise UsageError(f"alpha is {alpha!r}: give 0 or more")
    if alphas is not None:
        raise UsageError(
            f"alpha is {value:g} and alphas are given too: leave one of them out"
        )
    return None, value


def _refuse(
    batches: Any,
    rule: str | None,
    folds: Any,
    classes: Any,
    task: str,
    dtype: Any,
    device: Any,
) -> None:
    """Refuse, before any work, what does not go together."""
    if classes is not None and task == "regression":
        raise UsageError("classes are for labels: leave them out for a regression")
    if folds is not None and rule not in ("cv", "1se"):
        how = "a given alpha" if rule is None else f"alpha={rule!r}"
        raise UsageError(f"{how} needs no folds: leave them out")
    if dtype is not None and not (
        isinstance(dtype, torch.dtype) and dtype.is_floating_point
    ):
        raise UsageError(f"dtype is {dtype!r}: give torch.float32 or torch.float64")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).split("\n", 1)[0]
        raise UsageError(
            f"device is {device!r}, which this torch has not ({why}): leave it out"
        ) from None
    if rule == "loo" and hasattr(batches, "__next__"):
        raise UsageError(
            "alpha='loo' reads batches twice, and an iterator can be read once: give a "
            "DataLoader or a list, or alpha='cv' or 'gcv'"
        )


def _folds(folds: Any) -> KFold:
    """Folds by place: of how many rows there are to come, nothing need be known."""
    found = as_folds(folds)
    if not isinstance(found, KFold) or found.repeats > 1:
        raise UsageError(
            f"folds is {folds!r}: give how many, or a gl.KFold without repeats"
        )
    return found


def _gathered(reading: _Reading, targets: Targets, cut: KFold | None) -> Gathered:
    """The states of the folds, from one pass; classes in the order of the outputs.

    Raises:
        DataError: no rows; or one class only.
    """
    batches, backbone, device, progress = reading
    gathering = Gathering(targets, cut)
    show = bar_for(progress, "features", None)
    with frozen(backbone) as features_of, show as done:
        for rows in read_rows(batches, features_of, backbone is not None, device):
            gathering.add(rows)
            done(len(rows.features))
    gathered = gathering.value()
    if not targets.classification:
        return gathered
    labels = targets.classes()
    seen = np.any([state.y_mean > -1 for state in gathered.states], axis=0)
    if seen.sum() < 2:
        only = targets.labels[int(np.argmax(seen))]
        raise DataError(
            f"all {gathered.rows:,} labels are {only}: give rows of two or more classes"
        )
    order = [targets.labels.index(int(label)) for label in labels]
    states = [state.select(order, -1.0) for state in gathered.states]
    return gathered._replace(states=states)


def _check(state: Moments, gathered: Gathered, cut: KFold | None) -> None:
    """Refuse a state that says nothing.

    Raises:
        DataError: no row of a weight above 0, too few for the folds; numbers that are
            too large to square.
    """
    if state.weight <= 0:
        raise DataError(
            f"none of the {gathered.rows:,} rows has a weight above 0: give some"
        )
    if cut is not None:
        check_folds(gathered, cut.count)
    sums = state.value()
    if not (np.isfinite(sums.xx).all() and np.isfinite(sums.yy).all()):
        raise DataError(
            "features or targets are too large to square: divide them by a power of "
            "ten first"
        )


def _tried(alphas: Any, system: Eigen) -> Array:
    """The alphas to try, from large to small."""
    if alphas is not None:
        return checked_alphas(alphas)
    return alphas_about(float(system.values[-1]), ALPHAS)


def _left_out(
    reading: _Reading, state: Moments, targets: Targets, found: LeaveOneOut
) -> Array:
    """The leave-one-out error at each alpha, (A, 1, k), by another pass."""
    batches, backbone, device, progress = reading
    again, classes = Targets("regression", None), targets.classes()
    show = bar_for(progress, "leaving one out", None)
    count = 0
    with frozen(backbone) as features_of, show as done:
        for rows in read_rows(batches, features_of, backbone is not None, device):
            X = wide_enough(rows.features).cpu().double().numpy()
            if targets.classification:
                codes = codes_of(rows.targets, classes, rows)
                y = np.where(codes[:, None] == np.arange(len(classes)), 1.0, -1.0)
            else:
                y = again.take(rows)
            found.add(Chunk(X, y, weights_of(rows)))
            count += len(X)
            done(len(X))
    if count != state.rows:
        raise DataError(
            f"batches had {state.rows:,} rows the first time and {count:,} the second: "
            "give the same ones twice, or alpha='cv' or 'gcv', which read once"
        )
    return found.value()[:, None]


def _curve(
    errors: Array,
    grid: Array,
    rule: str,
    shared: bool,
    names: tuple[str, ...],
    system: Eigen,
    state: Moments,
    standardize: bool,
    cut: KFold | None,
) -> CrossValidation:
    """Errors at every alpha as a CrossValidation."""
    judged, called = errors, names
    if shared:
        judged = errors.mean(axis=2, keepdims=True)
        called = ("all outputs",) if len(names) > 1 else names
    at = choose(grid, judged, rule)
    chosen = np.broadcast_to(grid[at], (len(names),))
    lines = lines_at(system, chosen)
    sums = state.value()
    return CrossValidation(
        alphas=grid,
        errors=errors,
        targets=names,
        terms=_terms(state.features),
        rule=rule,
        penalty="ridge",
        l1_ratio=0.0,
        standardize=standardize,
        folds=_SAID.get(rule, "" if cut is None else f"{cut.count} folds"),
        repeats=1,
        slopes=lines.slopes,
        intercepts=lines.level - lines.mean @ lines.slopes,
        variance=sums.spread / sums.weight,
        rows=state.rows,
        dropped=0,
        notes=end_notes(grid, judged.mean(axis=1), at, called),
        shared=shared,
    )


def _terms(features: int) -> tuple[str, ...]:
    """What features are called, from 0 on as tensors count them."""
    return tuple(f"feature {j}" for j in range(features))


def _notes(
    state: Moments, targets: Targets, found: CrossValidation | None
) -> tuple[str, ...]:
    """What to watch, in words."""
    notes = [] if found is None else list(found.notes)
    d = state.features
    constant = np.flatnonzero(column_scale(state.value())[:-1].numpy() == 0)
    if len(constant) == d:
        notes.append("all features are constant: the probe predicts means")
    elif len(constant):
        many = f"{len(constant):,} of {d:,} features are constant"
        notes.append(
            f"{many} ({listed(map(str, constant), 4)}, counted from 0), and have the "
            "weight 0"
        )
    if state.counted <= d:
        notes.append(
            f"{state.counted:,} rows do not determine the weights of {d:,} features: "
            "the penalty does; more rows would help"
        )
    if targets.classification:
        empty = np.flatnonzero(state.y_mean <= -1.0)
        names = [str(targets.classes()[c]) for c in empty]
        if names:
            notes.append(
                f"no row is of class {listed(names, 4)}: it is never predicted"
            )
    return tuple(notes)
