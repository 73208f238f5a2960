"""Targets of a linear probe: numbers, or labels whose classes turn up on the way.

Numbers are (b,) or (b, k). Labels are (b,), whole numbers or booleans: each class is a
target of its own, 1 in its rows and -1 in all others, as in scikit-learn's
RidgeClassifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from gradline.data import Array, Codes, exact_float64, is_tensor, real_array, shape_text
from gradline.errors import DataError, MissingValueError, ShapeError, UsageError
from gradline.probebatches import FORMS, Rows

Task = Literal["auto", "regression", "classification"]

#: More distinct labels than this, and than half the rows, are amounts by mistake.
MANY_CLASSES = 20


class Targets:
    """Targets as numbers, (b, k) or codes of classes, (b,); classes as they turn up.

    Args:
        task: what they are; settled by the first batch where it is "auto".
        classes: the labels, where they are known before.

    Attributes:
        task: "regression" or "classification", once a batch was seen.
        flat: whether numbers came as (b,).
        labels: the classes in the order in which they turned up.
    """

    def __init__(self, task: Task, classes: Iterable[Any] | None) -> None:
        self.task = "classification" if classes is not None else task
        self.flat = True
        self.auto = self.task == "auto"
        self.width: int | None = None
        self.known = classes is not None
        self.labels: list[int] = []
        self.boolean = False
        if classes is not None:
            given = _labels(classes, "classes")
            self.boolean = given.dtype == np.bool_
            self.labels = [int(v) for v in given]
            if len(set(self.labels)) < max(2, len(self.labels)):
                raise UsageError(f"classes is {classes!r}: give two or more, each once")

    @property
    def classification(self) -> bool:
        return self.task == "classification"

    @property
    def count(self) -> int:
        """k: targets, or classes so far."""
        return len(self.labels) if self.classification else self.width or 0

    def take(self, rows: Rows) -> Array | Codes:
        """Targets of a batch: numbers (b, k), or the places of its classes (b,)."""
        values = rows.targets
        where = f"the targets of {rows.place}"
        if values is None:
            raise UsageError(f"{rows.place} has no targets: {FORMS}")
        if self.task == "auto":
            self.task = _task(values, where)
        if self.classification:
            return self._codes(values, where, len(rows.features))
        return self._numbers(values, where, len(rows.features), rows.first)

    def _numbers(self, values: Any, where: str, rows: int, first: int) -> Array:
        values = real_array(values, where)
        if values.ndim not in (1, 2) or len(values) != rows:
            raise ShapeError(
                f"{where} have shape {shape_text(values)} and the features {rows:,} "
                f"rows: give ({rows},), or ({rows}, k) for k targets"
            )
        flat = values.ndim == 1
        width = 1 if flat else int(values.shape[1])
        if self.width is not None and (width, flat) != (self.width, self.flat):
            before = "(rows,)" if self.flat else f"(rows, {self.width})"
            raise ShapeError(
                f"{where} have shape {shape_text(values)} and those before {before}: "
                "give one shape"
            )
        if width < 1:
            raise ShapeError(f"{where} have no column: give one or more")
        self.width, self.flat = width, flat
        found = exact_float64(values, [where] * width).reshape(rows, width)
        if not np.isfinite(found).all():
            row, column = divmod(int(np.argmin(np.isfinite(found))), width)
            raise MissingValueError(
                f"{where} have {found[row, column]} in row {first + row}, column "
                f"{column} (counted from 0): leave the row out, or fill it in"
            )
        return found

    def _codes(self, values: Any, where: str, rows: int) -> Codes:
        labels = _labels(values, where)
        if labels.shape != (rows,):
            raise ShapeError(
                f"{where} have shape {shape_text(labels)} and the features {rows:,} "
                f"rows: give labels of shape ({rows},), or task='regression' for "
                "numbers"
            )
        self.boolean = self.boolean or labels.dtype == np.bool_
        kinds, codes = np.unique(labels.astype(np.int64), return_inverse=True)
        places = {label: place for place, label in enumerate(self.labels)}
        for label in kinds.tolist():
            if label in places:
                continue
            if self.known:
                raise DataError(
                    f"{where} have the label {label}, which classes lacks: add it, or "
                    "leave classes out"
                )
            places[label] = len(self.labels)
            self.labels.append(label)
        found: Codes = np.array([places[k] for k in kinds.tolist()], np.int64)[codes]
        return found.reshape(rows)

    def refuse_numbers(self, rows: int) -> None:
        """Refuse whole numbers that are no labels, unless the task was named."""
        count = len(self.labels)
        if self.auto and not self.known and count > max(MANY_CLASSES, rows / 2):
            raise UsageError(
                f"the targets are whole numbers, {count:,} different ones in {rows:,} "
                "rows: give task='regression' if they are amounts, or "
                "task='classification' if each is a class"
            )

    def classes(self) -> tuple[int | bool, ...]:
        """The labels in their order, sorted unless they were given."""
        kind = bool if self.boolean and set(self.labels) <= {0, 1} else int
        labels = self.labels if self.known else sorted(self.labels)
        return tuple(kind(label) for label in labels)


def codes_of(values: Any, classes: tuple[int | bool, ...], rows: Rows) -> Codes:
    """The place of each label among the classes, (b,); -1 for one that is not there."""
    labels = _labels(values, f"the targets of {rows.place}")
    if labels.shape != (len(rows.features),):
        raise ShapeError(
            f"the targets of {rows.place} have shape {shape_text(labels)} and the "
            f"features {len(rows.features):,} rows: give one label for each"
        )
    order = np.argsort(np.array(classes, np.int64))
    ordered = np.array(classes, np.int64)[order]
    whole = labels.astype(np.int64)
    at = np.minimum(np.searchsorted(ordered, whole), len(ordered) - 1)
    found: Codes = np.where(ordered[at] == whole, order[at], -1)
    return found


def weights_of(rows: Rows) -> Array | None:
    """The weights of a batch, (b,) float64, of 0 or more."""
    if rows.weight is None:
        return None
    where = f"the weights of {rows.place}"
    found = exact_float64(real_array(rows.weight, where), [where])
    if found.shape != (len(rows.features),):
        raise ShapeError(
            f"{where} have shape {shape_text(found)} and the features "
            f"{len(rows.features):,} rows: give one for each row"
        )
    if not np.isfinite(found).all() or (len(found) and found.min() < 0):
        row = int(np.argmin(np.isfinite(found) & (found >= 0)))
        raise DataError(
            f"{where} have {found[row]} in row {rows.first + row}: give finite ones, "
            "of 0 or more"
        )
    return found


def _task(values: Any, where: str) -> Literal["regression", "classification"]:
    """What targets are, by their type."""
    kind = _kind(values, where)
    if kind == "f":
        return "regression"
    if np.ndim(values) != 1:
        raise ShapeError(
            f"{where} are whole numbers of shape {shape_text(_as_array(values))}: give "
            "labels as (rows,), or task='regression' for numbers"
        )
    return "classification"


def _as_array(values: Any) -> Any:
    return values if is_tensor(values) else np.asarray(values)


def _kind(values: Any, where: str) -> str:
    """Whether targets are numbers with a fraction, "f", or whole or booleans, "i"."""
    if is_tensor(values):
        return "f" if values.is_floating_point() else "i"
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return "i"
    if array.dtype.kind == "f":
        return "f"
    raise DataError(
        f"{where} hold {'text' if array.dtype.kind in 'UST' else array.dtype}: give "
        "whole numbers, such as [names.index(label) for label in labels]"
    )


def _labels(values: Any, where: str) -> Any:
    """Labels as a NumPy array of whole numbers or booleans."""
    given: Any = values if is_tensor(values) else np.asarray(values)
    if _kind(given, where) == "i":
        found = given.detach().cpu().numpy() if is_tensor(given) else given
        if found.dtype == np.uint64 and found.size and found.max() >= 2**63:
            raise DataError(f"{where} have labels of 2^63 or more: give smaller ones")
        return found
    numbers = exact_float64(given, [where])
    if not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        raise DataError(
            f"{where} are numbers with a fraction, which are no labels: give whole "
            "numbers, or task='regression'"
        )
    return numbers.astype(np.int64)
