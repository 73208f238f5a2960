"""Trials in Optuna's hands: drawn by its sampler, kept in its SQLite file.

A file holds studies by name, and a study the trials of one search on the same data. It
remembers what it was asked, so that the same call goes on where the last one stopped,
and another search is refused. Optuna's own tools read the file too (optuna-dashboard).

    finished    COMPLETE with its score; PRUNED, or PRUNED with a reason where the
                setting failed, so that the sampler keeps away from it
    killed      RUNNING: such a trial is given up, and its number drawn again

Nothing here is imported before it is needed: Optuna is the extra `tune`.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradline.errors import FileError, MissingExtraError, UsageError
from gradline.files import said
from gradline.spaces import Choice, Space, plain
from gradline.trials import SCORES, Trial

#: Where a study keeps what it was asked, and a trial what became of it.
ASKED, FOUND = "gradline_search", "gradline_trial"

#: A fact about the data may differ by this share, for sums are rounded.
ROUNDING = 1e-9


def optuna_module() -> Any:
    """Optuna, silent.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtraError(
            "Optuna is not installed, which method='optuna' and storage= need: "
            "pip install 'gradline[tune]'"
        ) from None
    return optuna


@contextmanager
def silent() -> Iterator[None]:
    """A block in which Optuna logs nothing; its level comes back afterwards."""
    logging = optuna_module().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def file_of(storage: str) -> str:
    """The file of a storage, which Optuna's own words may name: sqlite:///tune.db.

    Raises:
        UsageError: the address of another database.
    """
    scheme, found, path = storage.partition("://")
    if not found:
        return storage
    if scheme != "sqlite" or not path.startswith("/") or len(path) < 2:
        raise UsageError(
            f"storage is {storage!r} and trials are kept in a file: give its path, "
            "such as tune.db"
        )
    return path[1:]


class Study:
    """A study of Optuna's that holds the trials of one search.

    Args:
        space: what is searched.
        score: what is chosen by.
        storage: the file, or None for one in memory.
        name: of the study within the file.
        asked: what the search is, as JSON has it.

    Raises:
        UsageError: the file holds another search under this name.
        FileError: it is no SQLite file of Optuna's, or cannot be written.
    """

    def __init__(
        self,
        space: Space,
        score: str,
        storage: str | None,
        name: str,
        asked: dict[str, Any],
    ) -> None:
        self._optuna = optuna_module()
        self._space = space
        self._labels = {n: _labels(v) for n, v in space.items()}
        self._score = score
        self._distributions = {n: self._distribution(n) for n in space}
        direction = "maximize" if SCORES[score] else "minimize"
        kept = None if storage is None else self._opened(storage)
        try:
            self._study = self._optuna.create_study(
                storage=kept,
                study_name=name,
                direction=direction,
                load_if_exists=True,
                pruner=self._optuna.pruners.MedianPruner(),
            )
        except Exception as error:  # of SQLAlchemy, by many names
            if storage is None:
                raise
            raise _unusable(storage, error) from None
        before = self._study.user_attrs.get(ASKED)
        if before is None:
            self._study.set_user_attr(ASKED, asked)
        else:
            _refuse_other(storage or "", name, before, asked)
        self._give_up()

    def finished(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The settings of each finished trial, and what became of it."""
        states = self._optuna.trial.TrialState
        found = self._study.get_trials(states=(states.COMPLETE, states.PRUNED))
        return [
            (self._settings(t.params), json.loads(t.user_attrs[FOUND])) for t in found
        ]

    def add(self, settings: dict[str, Any], trial: Trial) -> None:
        """Keep a trial whose settings were drawn elsewhere."""
        states = self._optuna.trial.TrialState
        ok = trial.status == "ok"
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=states.COMPLETE if ok else states.PRUNED,
                value=trial.score if ok else None,
                params={n: self._label(n, v) for n, v in settings.items()},
                distributions=self._distributions,
                user_attrs={FOUND: _record(trial)},
            )
        )

    def ask(self, seed: int, number: int) -> tuple[Any, dict[str, Any]]:
        """A trial to be told of, and the settings it draws.

        Args:
            seed: of the search.
            number: how many trials are finished: the draw depends on these alone.
        """
        own = int(np.random.default_rng([seed, number]).integers(2**31))
        self._study.sampler = self._optuna.samplers.TPESampler(seed=own)
        asked = self._study.ask(self._distributions)
        return asked, self._settings(asked.params)

    def tell(self, asked: Any, trial: Trial) -> None:
        """How a trial that was asked for ended."""
        asked.set_user_attr(FOUND, _record(trial))
        if trial.status == "ok":
            self._study.tell(asked, trial.score)
        else:
            self._study.tell(asked, state=self._optuna.trial.TrialState.PRUNED)

    def is_worse(self, asked: Any, rung: int, value: float) -> bool:
        """Whether a trial on its way is worse than the median of others there."""
        asked.report(value, rung)
        return bool(asked.should_prune())

    def drop(self, asked: Any) -> None:
        """Give up a trial that was asked for: Ctrl-C stopped it."""
        self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)

    def _give_up(self) -> None:
        """End trials that a killed run has left behind."""
        states = self._optuna.trial.TrialState
        for left in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            self._study.tell(left.number, state=states.FAIL)

    def _opened(self, storage: str) -> Any:
        _check_file(storage)
        from sqlalchemy.engine import URL

        url = URL.create("sqlite", database=str(Path(storage).absolute()))
        try:
            return self._optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False)
            )
        except Exception as error:  # of SQLAlchemy, by many names
            raise _unusable(storage, error) from None

    def _distribution(self, name: str) -> Any:
        values, kinds = self._space[name], self._optuna.distributions
        if isinstance(values, Choice):
            return kinds.CategoricalDistribution(self._labels[name])
        kind = kinds.IntDistribution if values.whole else kinds.FloatDistribution
        return kind(values.low, values.high, log=values.log)

    def _label(self, name: str, value: Any) -> Any:
        values = self._space[name]
        if not isinstance(values, Choice):
            return value
        place = next(i for i, v in enumerate(values.values) if v is value)
        return self._labels[name][place]

    def _settings(self, params: dict[str, Any]) -> dict[str, Any]:
        """What the labels stand for, in the order of the search."""
        found = {}
        for name, values in self._space.items():
            value = params[name]
            if isinstance(values, Choice):
                value = values.values[self._labels[name].index(value)]
            found[name] = value
        return found


def _labels(values: Any) -> list[Any]:
    """What choices are called in a study: numbers and texts by themselves."""
    if not isinstance(values, Choice):
        return []
    found = [plain(v) for v in values.values]
    simple = all(v is None or isinstance(v, bool | int | float | str) for v in found)
    if simple and len({*found}) == len(found):
        return found
    return [f"{place}: {value}" for place, value in enumerate(found)]


def _record(trial: Trial) -> str:
    return json.dumps(trial.to_dict())


def _check_file(storage: str) -> None:
    """Refuse a file that is not SQLite, before SQLAlchemy says so in its own words."""
    path = Path(storage)
    try:
        if path.is_dir():
            raise FileError(f"{storage!r} is a folder: name a file, such as tune.db")
        if not path.parent.is_dir():
            raise FileError(
                f"{storage!r} cannot be written: there is no folder "
                f"{str(path.parent)!r}"
            )
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise FileError(
                    f"{storage!r} is no SQLite file, and would be overwritten: name a "
                    "new one, such as tune.db"
                )
        found = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = found.execute("SELECT name FROM sqlite_master WHERE type='table'")
            tables = {name for (name,) in rows}
        finally:
            found.close()
    except (OSError, ValueError, sqlite3.Error) as error:
        if isinstance(error, FileError):
            raise
        raise _unusable(storage, error) from None
    if tables and "studies" not in tables:
        raise FileError(
            f"{storage!r} is an SQLite file of something else: name a new one, such as "
            "tune.db"
        )


def _unusable(storage: str, error: Exception) -> FileError:
    """What went wrong with a file, in a line."""
    text = said(error) if isinstance(error, OSError) else str(error)
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return FileError(
        f"{storage!r} cannot be used to keep trials ({first}): name another file, such "
        "as tune.db"
    )


def _refuse_other(
    storage: str, name: str, before: dict[str, Any], asked: dict[str, Any]
) -> None:
    """Refuse trials of another search, and say where it differs."""
    for what in asked:
        if not _alike(before.get(what), asked[what]):
            raise UsageError(
                f"{storage!r} holds the trials of another search (its {what} "
                f"differ{'' if what in ('data', 'fixed settings') else 's'}), and a "
                "stored search stays as it was begun, but for the number of trials: "
                "name another file, or another study in it with study= (--study; this "
                f"one is {name!r})"
            )


def _alike(a: Any, b: Any) -> bool:
    """Whether two facts are the same, but for rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=ROUNDING)
    return type(a) is type(b) and bool(a == b)
