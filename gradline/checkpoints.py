"""Checkpoints: where a run by minibatches was, so that a killed one goes on.

A checkpoint is a safetensors file: every tensor of the run (parameters, sums of the
average, all that the optimiser keeps), and as JSON in its metadata the place of each in
the state, the plain numbers, and what the run was: its data and its arguments.
It is written beside and renamed, so the file is always a whole one. Random numbers need
no room in it: those of an epoch follow from the seed and its number (shuffle.py).

A run that finds a checkpoint of itself goes on from there and ends with the same bits
as if nothing had happened, on the same machine with as many threads. A checkpoint of
another run is refused. A run that ends well removes its own; one that Ctrl-C ends, or
a kill, leaves it. Nothing in a checkpoint can run code, and nothing is believed before
it is checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.errors import FileError, UsageError
from gradline.files import InputFile, check_place, replacing

#: Written into every file; raised when an older reader would misread a newer one.
FORMAT = 1

#: Seconds between two checkpoints within an epoch.
EVERY = 30.0

#: What damaged contents may raise where they are used.
FAULTS = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    OverflowError,
    RecursionError,
)


class Checkpoint:
    """The checkpoint of a run.

    Args:
        path: of the file; None for none, and nothing is ever written.
        about: what the run is: names and plain values, all of which must be the same
            for it to go on.
    """

    def __init__(self, path: Any, about: dict[str, Any]) -> None:
        self.path = None if path is None else _checked(path)
        self.about = json.loads(json.dumps(about, default=str))
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The state it was saved with; None where there is no file.

        Raises:
            FileError: it is of another run, of a newer format, damaged, or no
                checkpoint.
        """
        path = self.path
        if path is None or not path.exists():
            return None
        tensors, text = _read(path)
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise FileError(
                    f"{path.name} has the checkpoint format {found['format']!r} and "
                    f"this gradline reads {FORMAT}: {_ANEW}"
                )
            before = found["about"]
            for name, now in self.about.items():
                if before.get(name) != now:
                    raise FileError(_differs(path.name, name, before.get(name), now))
            state: dict[str, Any] = _joined(found["state"], tensors)
            return state
        except FileError:
            raise
        except FAULTS as error:
            raise self.damaged(error) from None

    def damaged(self, error: Exception) -> FileError:
        """What to say of a file with contents that cannot be."""
        assert self.path is not None
        why = " ".join(str(error).split())[:80] or type(error).__name__
        return FileError(
            f"{self.path.name} is damaged or no checkpoint of gradline ({why}): {_ANEW}"
        )

    def due(self, epoch_ended: bool) -> bool:
        """Whether it is time to save: after each epoch, and every so many seconds."""
        if self.path is None:
            return False
        return epoch_ended or time.monotonic() - self._last > EVERY

    def save(self, state: dict[str, Any]) -> None:
        """Write a state, whole or not at all.

        Raises:
            FileError: it cannot be written; what was there before is untouched.
        """
        from safetensors.torch import save

        assert self.path is not None
        tensors: dict[str, Tensor] = {}
        about = {"format": FORMAT, "about": self.about}
        text = json.dumps(about | {"state": _split(state, "state", tensors)})
        content = save(tensors, metadata={"gradline.checkpoint": text})
        with replacing(self.path) as beside:
            beside.write_bytes(content)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Remove the file of a run that has ended well."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


_ANEW = "remove the file to begin anew, or name another one"


def digest(parts: Iterable[Any]) -> str:
    """A short text that differs where numbers differ by more than rounding."""
    found = hashlib.sha256()
    for part in parts:
        for value in np.asarray(part, dtype=np.float64).ravel().tolist():
            found.update(f"{value:.9e} ".encode())
    return found.hexdigest()[:16]


def like(saved: Any, fresh: Any, name: str = "the state") -> None:
    """Refuse what is not of the build of a fresh state: keys, kinds, shapes.

    Raises:
        ValueError: and where.
    """
    kinds = (bool, int, float, str)
    if isinstance(fresh, dict):
        if not isinstance(saved, dict) or saved.keys() != fresh.keys():
            raise ValueError(f"{name} has other names")
        for key, value in fresh.items():
            like(saved[key], value, f"{name}.{key}")
    elif isinstance(fresh, Tensor):
        found = isinstance(saved, Tensor)
        if not found or saved.shape != fresh.shape or saved.dtype != fresh.dtype:
            raise ValueError(f"{name} is of another kind")
    elif isinstance(fresh, list | tuple):
        if not isinstance(saved, list | tuple) or len(saved) != len(fresh):
            raise ValueError(f"{name} is of another length")
        for i, (one, other) in enumerate(zip(saved, fresh, strict=True)):
            like(one, other, f"{name}.{i}")
    elif isinstance(fresh, kinds) and type(saved) is not type(fresh):
        raise ValueError(f"{name} is {str(saved)[:20]!r}")
    elif fresh is None and saved is not None:
        raise ValueError(f"{name} is there")


def small(value: Any, sizes: Iterable[int], name: str) -> None:
    """Refuse tensors of other sizes than these in what an optimiser keeps.

    Raises:
        ValueError: and where.
    """
    allowed = set(sizes)
    if isinstance(value, Tensor):
        if value.numel() not in allowed:
            raise ValueError(f"{name} has {value.numel()} numbers")
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            small(item, allowed, f"{name}.{key}")


def _differs(file: str, name: str, before: Any, now: Any) -> str:
    if name == "content":
        return f"{file} is of a run on other data, which have changed since: {_ANEW}"
    if name == "start":
        return f"{file} is of a run that began elsewhere: {_ANEW}"
    return (
        f"{file} is of a run with {name} {before!r}, and this one has {now!r}: {_ANEW}"
    )


def _checked(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"checkpoint is {path!r}: give the path of a file, 'run.ckpt'")
    if not Path(path).parent.is_dir():
        raise FileError(
            f"cannot write the checkpoint {path}: there is no folder "
            f"{str(Path(path).parent)!r}; make it first, or name another file with "
            "checkpoint (--checkpoint)"
        )
    check_place(path)
    return Path(path)


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """All tensors, and the description, of a checkpoint."""
    from safetensors import SafetensorError, safe_open

    ours = FileError(f"{path.name} is no checkpoint of gradline: name another file")
    with InputFile(path).reading():
        try:
            with safe_open(str(path), framework="pt") as file:
                text = (file.metadata() or {}).get("gradline.checkpoint")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except OSError:
            raise
        except (SafetensorError, ValueError, TypeError, AttributeError, OverflowError):
            raise ours from None
    if text is None:
        raise ours
    return tensors, text


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A state as JSON, its tensors set aside under their names."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        pairs = [
            [key, _split(item, f"{name}.{key}", tensors)] for key, item in value.items()
        ]
        return {"pairs": pairs}  # keys may be numbers
    if isinstance(value, list | tuple):
        return [_split(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {name}, a {type(value).__name__}")


def _joined(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The other way round."""
    if isinstance(value, list):
        return [_joined(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        found = tensors[value["tensor"]]
        if found.is_floating_point() and not bool(torch.isfinite(found).all()):
            raise ValueError(f"{value['tensor']} is not finite")
        return found
    if "float" in value:
        return float(value["float"])
    return {key: _joined(item, tensors) for key, item in value["pairs"]}
