"""A run for TensorBoard: scalars by step, its settings beside them.

    for step in gl.log_tensorboard(gl.descend(model, x, y, lr=0.1), "runs/lr0.1"):
        ...
    $ tensorboard --logdir runs

TensorBoard is an extra: pip install 'gradline[tensorboard]'.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gradline.errors import FileError, MissingExtraError
from gradline.files import cannot_write
from gradline.sinks import (
    Ending,
    Followed,
    S,
    Tags,
    check_steps,
    flat_params,
    followed,
    plain_params,
    scalars_of,
)


def log_tensorboard(
    steps: Iterable[S],
    folder: str | Path,
    *,
    every: int = 1,
    params: dict[str, Any] | None = None,
) -> Followed[S]:
    """Write steps as TensorBoard's scalars, and yield each of them on.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
        folder: of this run alone, such as "runs/lr0.1"; made where it is not there.
        every: write the first step, then one in so many epochs (or batches), and the
            last.
        params: settings of the run, for TensorBoard's page HPARAMS.

    Returns:
        A gl.Followed: an iterator of the same steps, and a context manager.

    Raises:
        MissingExtraError: TensorBoard is not installed.
        FileError: the folder holds a run already: two would be drawn as one.
        UsageError: what was given are no steps.
    """
    every = check_steps(steps, every, "log_tensorboard")
    known = plain_params(params)
    _writer_class()
    _check_folder(Path(folder))
    return followed(steps, _Board(Path(folder), flat_params(known)), every)


class _Board:
    """The event file, while a run is written to it."""

    def __init__(self, folder: Path, params: dict[str, Any]) -> None:
        self._folder, self._params = folder, params
        self._writer: Any = None
        self._tags, self._begun = Tags(), False

    def open(self) -> None:
        _check_folder(self._folder)
        try:
            self._writer = _writer_class()(os.fspath(self._folder), flush_secs=5)
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def write(self, place: int, step: Any) -> None:
        scalars = scalars_of(step)
        if not self._begun and self._params:
            self._settings()
        self._begun = True
        for name, value in scalars.items():
            self._writer.add_scalar(self._tags.of(name), value, place)

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        try:
            self._writer.close()
        except OSError as problem:
            raise cannot_write(self._folder, problem) from problem

    def _settings(self) -> None:
        """Into this very run, where SummaryWriter.add_hparams would make another."""
        from torch.utils.tensorboard.summary import hparams

        given = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in self._params.items()
            if value is not None
        }
        for part in hparams(given, {"loss": None}):
            self._writer.file_writer.add_summary(part)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file: name a folder for the run, as runs/first")
    if folder.is_dir() and any(folder.glob("*tfevents*")):
        raise FileError(
            f"{folder} holds a run already, and TensorBoard would draw both as one: "
            f"name another folder, such as {folder}-2"
        )


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError(
            "TensorBoard is not installed, which log_tensorboard needs: "
            "pip install 'gradline[tensorboard]'"
        ) from None
    return SummaryWriter
