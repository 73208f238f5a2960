"""Batches of features and targets for a linear probe, from whatever yields them.

A batch is (inputs, targets) or (inputs, targets, weight). With a backbone the inputs go
through it, in eval mode and without autograd; what comes out are the features, (b, d).
Targets are numbers, (b,) or (b, k), or labels, (b,), whole numbers or booleans: each
class is a target of its own, 1 in its rows and -1 in all others, as in scikit-learn's
RidgeClassifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradline.data import exact_float64, is_tensor, real_array, shape_text
from gradline.errors import (
    MissingValueError,
    ShapeError,
    UsageError,
)

#: Rows that go through a backbone at a time, where they came in one piece.
SLICE = 256

#: Rows that are looked at in one piece, where there is none.
PIECE = 8192

#: Types that float32 holds exactly.
_SMALL = (
    torch.bfloat16,
    torch.float16,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.bool,
)

#: Types that NumPy and torch both have.
_NUMPY = frozenset(
    [
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
    ]
)

FORMS = (
    "give a DataLoader, or any iterable of (inputs, targets) or (inputs, targets, "
    "weight), or one pair of tensors (features, targets)"
)


class Rows(NamedTuple):
    """A batch: features (b, d), targets, weight (b,) or None, and what it is called.

    first: the number of its first row there, for messages.
    """

    features: Tensor
    targets: Any
    weight: Any
    place: str
    first: int = 0


@contextmanager
def frozen(backbone: Any) -> Iterator[Callable[[Any], Any]]:
    """A function of inputs: the backbone in eval mode, and without autograd.

    Its modules' training flags are as they were once the block ends; parameters and
    buffers are not touched.
    """
    if backbone is None:
        yield lambda inputs: inputs
        return
    if not callable(backbone):
        raise UsageError(
            f"backbone is a {type(backbone).__name__}: give a torch.nn.Module or a "
            "function of the inputs"
        )
    parts = list(backbone.modules()) if isinstance(backbone, nn.Module) else []
    flags = [part.training for part in parts]
    tensor = next(_tensors(backbone), None) if parts else None

    def features(inputs: Any) -> Any:
        if tensor is not None:
            inputs = _moved(inputs, tensor.device)
        with torch.inference_mode():
            return backbone(inputs)

    try:
        for part in parts:
            part.training = False
        yield features
    finally:
        for part, flag in zip(parts, flags, strict=True):
            part.training = flag


def read_rows(
    batches: Any,
    features_of: Callable[[Any], Any],
    sliced: bool,
    device: Any = None,
    labelled: bool = True,
) -> Iterator[Rows]:
    """The batches one after the other, checked.

    Args:
        batches: as `linear_probe` takes them.
        features_of: from inputs to features, as `frozen` gives it.
        sliced: whether rows that came in one piece go through it some at a time.
        device: where features are wanted; where they are unless told.
        labelled: False where batches may come without targets.
    """
    width = None
    for raw in _raw(batches, sliced, labelled):
        place = raw.place
        X = _features(features_of(raw.features), raw, device)
        if width is not None and X.shape[1] != width:
            raise ShapeError(
                f"{place} has {X.shape[1]:,} features and those before it {width:,}: "
                "give batches of one width"
            )
        width = X.shape[1]
        yield raw._replace(features=X)


def _raw(batches: Any, sliced: bool, labelled: bool) -> Iterator[Rows]:
    """Batches with inputs in the place of features, as they came."""
    pair = _pair(batches, labelled)
    if pair is not None:
        rows = len(pair[0])
        for name, values in zip(("targets", "weight"), pair[1:], strict=False):
            if values is not None and len(values) != rows:
                raise ShapeError(
                    f"the features have {rows:,} rows and {name} {len(values):,}: give "
                    "one for each row"
                )
        step = SLICE if sliced else PIECE
        for start in range(0, max(1, rows), step):
            some = slice(start, start + step)
            parts: list[Any] = [None if v is None else v[some] for v in pair]
            yield Rows(parts[0], parts[1], parts[2], "the data", start)
        return
    if isinstance(batches, torch.utils.data.Dataset) and not isinstance(
        batches, torch.utils.data.IterableDataset
    ):
        raise UsageError(
            "batches is a dataset, which gives single rows: wrap it in "
            "torch.utils.data.DataLoader(dataset, batch_size=256)"
        )
    if isinstance(batches, str | bytes | dict) or not isinstance(batches, Iterable):
        raise UsageError(f"batches is a {type(batches).__name__}: {FORMS}")
    for number, batch in enumerate(batches):
        place = f"batch {number}"
        if not labelled and _is_values(batch):
            yield Rows(batch, None, None, place)
            continue
        if isinstance(batch, dict):
            names = ", ".join(map(repr, list(batch)[:4]))
            raise UsageError(
                f"{place} is a dict of {names}: give pairs, such as "
                "((b['x'], b['y']) for b in loader)"
            )
        least = 2 if labelled else 1
        if not isinstance(batch, tuple | list) or not least <= len(batch) <= 3:
            many = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
            raise UsageError(f"{place} is a {type(batch).__name__}{many}: {FORMS}")
        inputs, targets, weight = [*batch, None, None][:3]
        yield Rows(inputs, targets, weight, place)


def _pair(batches: Any, labelled: bool) -> list[Any] | None:
    """Features, targets and weight that came in one piece; None for batches."""
    if not labelled and _is_values(batches):
        return [batches, None, None]
    if not isinstance(batches, tuple) and not (labelled and isinstance(batches, list)):
        return None  # a list of tensors is one of batches, where no targets are wanted
    parts: list[Any] = list(batches)
    if not 2 <= len(parts) <= 3 or not _is_values(parts[0]) or parts[0].ndim < 1:
        return None
    beside = list if isinstance(batches, tuple) else ()  # labels may be a list there
    if all(_is_values(v) or isinstance(v, beside) for v in parts[1:]):
        return [*parts, None][:3]
    return None


def _is_values(values: Any) -> bool:
    return is_tensor(values) or isinstance(values, np.ndarray)


def _features(values: Any, raw: Rows, device: Any) -> Tensor:
    """Features as a tensor (b, d), all finite."""
    place = raw.place
    if not _is_values(values):
        raise UsageError(
            f"the features of {place} are a {type(values).__name__}: give a tensor, or "
            "a backbone that gives one, such as lambda x: model(x).last_hidden_state"
            "[:, 0]"
        )
    checked = real_array(values, f"the feature matrix of {place}")
    X = checked.detach() if is_tensor(checked) else _tensor_of(checked)
    if X.ndim < 2:
        raise ShapeError(
            f"the features of {place} have shape {shape_text(X)}: give (rows, "
            "features), x[:, None] for one feature, and a DataLoader rather than "
            "single rows"
        )
    if X.ndim > 2:
        raise ShapeError(
            f"the features of {place} have shape {shape_text(X)}, and a linear layer "
            "wants (rows, features): flatten them, x.flatten(1), or pool them first, "
            f"x.mean({tuple(range(2, X.ndim))!r})"
        )
    if X.shape[1] < 1:
        raise ShapeError(f"the features of {place} have no column: give one or more")
    if device is not None:
        X = X.to(device)
    if not bool(torch.isfinite(X).all()):
        row, column = torch.nonzero(~torch.isfinite(X))[0].tolist()
        raise MissingValueError(
            f"{place} has {float(X[row, column])} in row {raw.first + row}, feature "
            f"{column} (all counted from 0): leave the row out, or mend what makes the "
            "features"
        )
    return X


def feature_dtype(values: Tensor) -> torch.dtype:
    """The type of a module on such features: theirs, or torch's default for whole."""
    return values.dtype if values.is_floating_point() else torch.get_default_dtype()


def wide_enough(values: Tensor) -> Tensor:
    """Features as float32 where that holds them exactly, else as float64."""
    if values.dtype in (torch.float32, torch.float64):
        return values
    if values.dtype in _SMALL:
        return values.to(torch.float32)
    names = [f"feature {j}" for j in range(values.shape[1])]
    return torch.from_numpy(exact_float64(values, names)).to(values.device)


def _tensor_of(values: Any) -> Tensor:
    """A NumPy array as a tensor, copied: torch has no read-only ones."""
    native = values.dtype.isnative and values.dtype.name in _NUMPY
    return torch.from_numpy(values.copy() if native else values.astype(np.float64))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _moved(inputs: Any, device: torch.device) -> Any:
    """Inputs on a device: tensors, and whatever holds them."""
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, np.ndarray):
        return torch.from_numpy(inputs).to(device)
    if isinstance(inputs, dict):
        return {name: _moved(value, device) for name, value in inputs.items()}
    if isinstance(inputs, list):
        return [_moved(value, device) for value in inputs]
    if type(inputs) is tuple:
        return tuple(_moved(value, device) for value in inputs)
    return inputs
