"""Probe: a linear layer on the features of a network, and what is known of it.

It is a result, made by linear_probe() in probing.py: nothing in it changes. The state
of all rows goes with it, so that any other penalty costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import Certificate
from gradline.checks import real
from gradline.crossval import CrossValidation
from gradline.data import Array
from gradline.errors import DataError, ShapeError, UsageError
from gradline.folds import KFold
from gradline.model import LinearRegression
from gradline.probebatches import Rows, frozen, read_rows, wide_enough
from gradline.probescores import ProbeScores, Scoring
from gradline.probesolve import Lines, layer, lines_at, system_slopes
from gradline.probestates import fold_labels
from gradline.probetargets import Targets, codes_of, weights_of
from gradline.ridge import Eigen, eigen
from gradline.state import Moments

#: Rows of a fold have their mean where it was, but for so many standard deviations.
_SAME = 1e-5


class ProbePath(NamedTuple):
    """Layers at many penalties.

    In float64, for raw features.

    Attributes:
        alphas: the penalties, (A,).
        weights: (A, k, d).
        biases: (A, k).
    """

    alphas: Tensor
    weights: Tensor
    biases: Tensor


class Probe:
    """A linear layer on the features of a network, and what is known of it.

    Made by `gl.linear_probe`.

    Attributes:
        module: the layer, a gl.LinearRegression with the parameters of torch.nn.Linear:
            weight (k, d), bias (k,), for raw features of its type. It drops into a
            network: nn.Sequential(backbone, probe.module).
        alpha: the penalty of each output, (k,); alpha · weight of all rows is
            scikit-learn's. One for all classes.
        alphas: those tried, (A,), from large to small.
        cross_validation: the error of each output at each alpha, a gl.CrossValidation;
            None where alpha was given.
        certificate: how far the module is from the exact optimum, the rounding of its
            parameters included; condition and rank are those of the features.
        task: "regression" or "classification".
        classes: the labels in the order of the outputs; () for numbers.
        rows: rows used.
        features: d.
        outputs: k.
        standardize: whether the penalty counts slopes of standardised features.
        state: the sums of all rows, a gl.Moments.
        notes: warnings in plain words.
    """

    def __init__(
        self,
        *,
        module: LinearRegression,
        alpha: Array,
        alphas: Array,
        cross_validation: CrossValidation | None,
        certificate: Certificate,
        targets: Targets,
        rows: int,
        standardize: bool,
        state: Moments,
        notes: tuple[str, ...],
        backbone: Any,
        folds: KFold | None,
        fold_lines: list[Lines],
    ) -> None:
        self.module = module
        self.alpha = alpha
        self.alphas = alphas
        self.cross_validation = cross_validation
        self.certificate = certificate
        self.task = targets.task
        self.classes = targets.classes() if targets.classification else ()
        self.rows = rows
        self.features = state.features
        self.outputs = state.targets
        self.standardize = standardize
        self.state = state
        self.notes = notes
        self._flat = targets.flat and not self.classes
        self._backbone = backbone
        self._folds = folds
        self._fold_lines = fold_lines

    @property
    def condition(self) -> float:
        """σmax/σmin of the standardised features; infinite if they are dependent."""
        return self.certificate.condition

    @property
    def rank(self) -> int:
        """Of the features and a column of ones: d + 1 where none depend on others."""
        return self.certificate.rank

    @property
    def names(self) -> tuple[str, ...]:
        """What the outputs are called: the classes, or y1 to yk."""
        return output_names(self.classes, self.outputs)

    def state_dict(self) -> dict[str, Any]:
        """The parameters, "weight" and "bias", as torch.nn.Linear has them."""
        return dict(self.module.state_dict())

    def predict(self, batches: Any) -> Tensor:
        """Predict for each row.

        Args:
            batches: a tensor of inputs, or batches as `gl.linear_probe` takes them;
                targets are not needed, and not looked at.

        Returns:
            On the CPU: the labels, (n,), for classes; else numbers in the type of the
            module, (n,) or (n, k) as the targets were.
        """
        found = [out.cpu() for _, out in self._outputs(batches, labelled=False)]
        if not found:
            found = [self.module.weight.detach().cpu().new_zeros(0, self.outputs)]
        outputs = torch.cat(found)
        if self.classes:
            labels = torch.tensor(self.classes)
            return labels[outputs.argmax(dim=1)]
        return outputs[:, 0] if self._flat else outputs

    def evaluate(self, batches: Any) -> ProbeScores:
        """Score the predictions for rows whose targets are known.

        Args:
            batches: as `gl.linear_probe` takes them.

        Returns:
            A ProbeScores: .accuracy and .confusion for classes, .r2, .rmse by output.
        """
        scoring = Scoring(self.state.y_mean, len(self.classes))
        targets = Targets("regression", None)
        for rows, out in self._outputs(batches):
            y = self._targets_of(rows, targets)
            scoring.add(out.cpu().double().numpy(), y, weights_of(rows))
        return scoring.value(self.names)

    def held_out(self, batches: Any) -> ProbeScores:
        """Score each row by the layer of the folds that have not seen it.

        Another pass over the very batches that the probe was made from, in the same
        order: it gives the accuracy in cross-validation, which sums alone cannot know.

        Args:
            batches: those given to `gl.linear_probe`.

        Raises:
            UsageError: there were no folds; alpha was given, or chosen without.
            DataError: the rows are others, or come in another order.
        """
        if self._folds is None:
            raise UsageError(
                "no rows were held out: choose alpha by folds, alpha='cv' or '1se'"
            )
        labels_of = fold_labels(self._folds)
        scoring = Scoring(self.state.y_mean, len(self.classes))
        targets, start = Targets("regression", None), 0
        sums = np.zeros((self._folds.count, self.features))
        counts = np.zeros(self._folds.count)
        for rows in self._rows(batches):
            X = wide_enough(rows.features).cpu().double().numpy()
            if not len(X):
                continue
            y, weight = self._targets_of(rows, targets), weights_of(rows)
            labels = labels_of(start, len(X))
            start += len(X)
            for fold, lines in enumerate(self._fold_lines):
                some = labels == fold
                w = None if weight is None else weight[some]
                off = X[some] - lines.mean
                scoring.add(lines.level + off @ lines.slopes, y[some], w)
                sums[fold] += off.sum(axis=0) if w is None else w @ off
                counts[fold] += some.sum() if w is None else w.sum()
        self._check_same(sums, counts, start)
        return scoring.value(self.names)

    def path(self, alphas: Iterable[float] | None = None) -> ProbePath:
        """The layers at many penalties, from the state: no row is read again.

        Args:
            alphas: which ones; those that were tried, unless told.
        """
        grid = self.alphas if alphas is None else checked_alphas(alphas)
        system = self._system
        slopes = system_slopes(system, grid)  # (A, d, k)
        biases = system.level - np.einsum("d,adk->ak", system.mean, slopes)
        weights = torch.from_numpy(slopes.transpose(0, 2, 1).copy())
        return ProbePath(torch.from_numpy(grid.copy()), weights, torch.tensor(biases))

    def module_at(self, alpha: float) -> LinearRegression:
        """The layer at another penalty, for all outputs; from the state.

        Args:
            alpha: 0 or more.
        """
        value = np.full(self.outputs, checked_alphas([alpha])[0])
        weight = self.module.weight
        return layer(lines_at(self._system, value), weight.dtype, weight.device)

    def to_dict(self) -> dict[str, Any]:
        """What was found, without the weights, for JSON."""
        found = self.cross_validation
        return {
            "task": self.task,
            "classes": list(self.classes),
            "rows": self.rows,
            "features": self.features,
            "outputs": self.outputs,
            "standardize": self.standardize,
            "alpha": self.alpha.tolist(),
            "cross_validation": None if found is None else found.to_dict(),
            "certificate": self.certificate.to_dict(),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else "regression"
        return (
            f"<Probe: {what}, {self.features:,} features, {self.outputs:,} output"
            f"{'' if self.outputs == 1 else 's'}, {self.rows:,} rows>"
        )

    def __str__(self) -> str:
        from gradline.probetable import probe_table

        return probe_table(self)

    def _repr_html_(self) -> str:
        """The probe as a notebook shows it."""
        from gradline.notebook import probe_html

        return probe_html(self)

    @property
    def _system(self) -> Eigen:
        return eigen(self.state, self.standardize)

    def _rows(self, batches: Any, labelled: bool = True) -> Iterator[Rows]:
        with frozen(self._backbone) as features_of:
            sliced = self._backbone is not None
            for rows in read_rows(batches, features_of, sliced, None, labelled):
                if rows.features.shape[1] != self.features:
                    raise ShapeError(
                        f"{rows.place} has {rows.features.shape[1]:,} features and the "
                        f"probe {self.features:,}: give what it was made from"
                    )
                yield rows

    def _outputs(
        self, batches: Any, labelled: bool = True
    ) -> Iterator[tuple[Rows, Tensor]]:
        weight = self.module.weight
        for rows in self._rows(batches, labelled):
            with torch.no_grad():
                yield rows, self.module(rows.features.to(weight.device, weight.dtype))

    def _targets_of(self, rows: Rows, targets: Targets) -> Any:
        """Numbers (b, k), or places of classes (b,)."""
        if self.classes:
            if rows.targets is None:
                raise UsageError(f"{rows.place} has no targets: give labels beside")
            return codes_of(rows.targets, self.classes, rows)
        found = targets.take(rows)
        if found.shape[1] != self.outputs:
            raise ShapeError(
                f"the targets of {rows.place} have {found.shape[1]} columns and the "
                f"probe {self.outputs} outputs: give the targets it was made for"
            )
        return found

    def _check_same(self, sums: Array, counts: Array, rows: int) -> None:
        """Refuse rows that were not cut into folds as those of the fit.

        The mean of the rows of a fold, and that of all others, make the mean of all.
        """
        W = self.state.weight
        spread = np.sqrt(np.maximum(self.state.xx.diagonal() / W, 0.0)) + 1e-300
        same = rows == self.rows and np.isclose(counts.sum(), W, rtol=1e-9)
        if same:
            for lines, total, count in zip(self._fold_lines, sums, counts, strict=True):
                off = total / W + lines.mean - self.state.x_mean
                size = np.abs(self.state.x_mean) * 1e-12 + _SAME * spread
                same = same and bool((np.abs(off) <= size).all()) and count > 0
        if not same:
            raise DataError(
                "batches has other rows than the probe was made from, or in another "
                "order, so rows would be scored by lines that have seen them: give the "
                "same batches, with shuffle=False, or rows apart to evaluate()"
            )


def output_names(classes: tuple[int | bool, ...], count: int) -> tuple[str, ...]:
    """What outputs are called: the classes, or y1 to yk."""
    if classes:
        return tuple(str(label) for label in classes)
    return tuple(f"y{i + 1}" for i in range(count)) if count > 1 else ("y",)


def checked_alphas(alphas: Any) -> Array:
    """Penalties from large to small, (A,).

    Raises:
        UsageError: none, or one that is negative or not finite.
    """
    given = [alphas] if isinstance(alphas, int | float) else list(alphas)
    values = np.array([real("an alpha", value) for value in given])
    if not len(values) or values.min() < 0:
        raise UsageError(f"alphas is {alphas!r}: give numbers of 0 or more")
    return np.sort(values)[::-1].copy()
