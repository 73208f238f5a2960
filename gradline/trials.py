"""What a search is: its trials, the setting it chose, and the score on the test part.

Plain records, which survive JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from gradline.result import Fit
from gradline.scores import Scores
from gradline.spaces import Choice, Space, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TrialStatus = Literal["ok", "failed", "pruned"]

#: Scores to choose by, and whether more of it is better.
SCORES = {"rmse": False, "mae": False, "r2": True}


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes:
        number: from 0 on.
        params: the searched arguments that had an effect, by name.
        score: on the validation part; None where it failed.
        train_score: on the training part.
        status: "ok", "failed" or "pruned".
        reason: why it failed, or was pruned.
        epochs: of its descent, where it was one; where early stopping chose, those
            that it chose.
        seconds: what it took.
    """

    number: int
    params: dict[str, Any]
    score: float | None
    train_score: float | None
    status: TrialStatus = "ok"
    reason: str | None = None
    epochs: int | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, repr=False)
class Tuning:
    """What a search found.

    Attributes:
        trials: all that were finished, by number.
        chosen: the one with the best validation score; of equals, the first.
        fit: the chosen setting, fitted again on the training and the validation part;
            None where Ctrl-C ended the search.
        test: the score of that fit on the test part, which nothing has seen before;
            None where there is no test part, or Ctrl-C ended the search.
        score: what was chosen by: "rmse", "mae" or "r2".
        method: how the settings were drawn: "grid", "random" or "optuna".
        fixed: the arguments of fit that were the same in all trials.
        space: what was searched.
        target: the column that was predicted.
        rows: how many rows there are to train, to validate and to test, by part.
        interrupted: whether Ctrl-C ended it.
        storage: the file of its trials, or None.
        notes: warnings in plain words.
        seconds: what the search took, without the refit.
    """

    trials: tuple[Trial, ...]
    chosen: Trial
    fit: Fit | None
    test: Scores | None
    score: str
    method: str
    fixed: dict[str, Any]
    space: Space
    target: str
    rows: dict[str, int]
    interrupted: bool = False
    storage: str | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def best(self) -> dict[str, Any]:
        """The chosen setting: the searched arguments that had an effect, by name."""
        return dict(self.chosen.params)

    @property
    def ranked(self) -> list[Trial]:
        """The trials that have a score, the best first."""
        return ranked(self.trials, self.score)

    def count(self, status: TrialStatus) -> int:
        """How many trials ended so."""
        return sum(trial.status == status for trial in self.trials)

    def plot(
        self,
        path: str | FilePath | None = None,
        params: Sequence[str] | None = None,
    ) -> Figure:
        """Draw the validation curve: scores over each searched argument.

        Args:
            path: where to write it too: .png, .svg or .pdf.
            params: which of the searched arguments; unless told, all that differ
                among the trials, four at the most.

        Returns:
            A matplotlib Figure.

        Raises:
            UsageError: an argument that was not searched.
        """
        from gradline.plots import saved
        from gradline.plots.tuning import draw_tuning

        return saved(draw_tuning(self, params), path)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the fit's own numbers, as JSON has it."""
        return {
            "method": self.method,
            "score": self.score,
            "search": {name: _said(values) for name, values in self.space.items()},
            "fixed": plain(self.fixed),
            "target": self.target,
            "rows": self.rows,
            "trials": [trial.to_dict() for trial in self.trials],
            "best": self.chosen.to_dict(),
            "test": None if self.test is None else dict(self.test),
            "interrupted": self.interrupted,
            "storage": self.storage,
            "notes": list(self.notes),
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        return (
            f"<Tuning of {self.target!r}: {len(self.trials):,} trials, "
            f"{self.score} {self.chosen.score:.6g} at best>"
        )

    def __str__(self) -> str:
        from gradline.leaderboard import tuning_table

        return tuning_table(self)

    def _repr_html_(self) -> str:
        """The search as a notebook shows it."""
        from gradline.notebook import tuning_html

        return tuning_html(self)


def ranked(trials: Sequence[Trial], score: str) -> list[Trial]:
    """The trials that came to a score, the best first; of equals, the first."""
    sign = -1 if SCORES[score] else 1

    def place(trial: Trial) -> tuple[float, int]:
        assert trial.score is not None
        return sign * trial.score, trial.number

    return sorted((t for t in trials if t.status == "ok"), key=place)


def _said(values: Any) -> Any:
    """Choices as a list, a range as its ends."""
    if isinstance(values, Choice):
        return [plain(v) for v in values.values]
    found = {"low": values.low, "high": values.high}
    return found | {"log": values.log, "whole": values.whole}
