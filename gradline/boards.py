"""Settings scored from states, without retraining; the others trained for real.

Squared loss is a quadratic in slopes and intercept, on the validation part as well as
on the training part. One pass over both leaves two states of about d² numbers, and

    training state    + a setting  ->  slopes and intercept  (path.py, shrinkage.py)
    validation state  + these      ->  the validation loss   (quadratic.py)

are closed forms, so a trial costs no pass over the rows and no epochs: a thousand
learning rates take as long as one. It is not an approximation. The slopes are those
that `fit` finds, which reads nothing else either, and the loss is that of the rows, for
the state holds all coefficients of the quadratic. Only a mean absolute error, which no
state holds, is measured on the rows: once for a block of trials.

What does not go by squared loss over all rows at once (minibatches, other losses,
modules) is trained by `fit` on the training part and scored on the validation part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.data import Progress
from gradline.errors import DataError, GradlineError
from gradline.fitting import fit
from gradline.intake import Table
from gradline.parts import KnownSource
from gradline.prepare import prepare
from gradline.scores import Scores
from gradline.sides import DESIGN, Line, Side, is_closed, line_of, mean_squares
from gradline.spaces import same
from gradline.splits import Split
from gradline.survey import take_survey

#: So many passes are kept, the latest ones.
KEPT = 64

#: What a trial may fail with; torch raises RuntimeError for a module that does not fit.
FAULTS = (GradlineError, ArithmeticError, RuntimeError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        validation: the scores on the validation part; None where it failed.
        train: those on the training part.
        reason: why it failed.
        pruned: whether it was given up on its way instead.
        epochs: of its descent, where it was one.
        seconds: what it took.
    """

    validation: dict[str, float] | None
    train: dict[str, float] | None
    reason: str | None = None
    pruned: bool = False
    epochs: int | None = None
    seconds: float = 0.0


class Board:
    """Where settings are scored.

    Args:
        table: all rows, and which columns are the target and the weights.
        split: which of the rows are for what.
        absolute: whether the mean absolute error is wanted.
        progress: True for a bar; or what is told how reading gets on.

    Attributes:
        rows: how many there are to train and to validate, by part.
        unseen: validation rows left out, for they have a level that training lacks.
    """

    def __init__(
        self,
        table: Table,
        split: Split,
        *,
        absolute: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._whole, target, weights = table
        self._common: dict[str, Any] = {
            "target": target,
            "weights": weights,
            "split": split,
        }
        self._split = split
        self._absolute = absolute
        self._progress = progress
        self._sides: dict[Any, tuple[Side, Side] | GradlineError] = {}
        self.rows: dict[str, int] = {}
        self.unseen = 0

    def facts(self, call: dict[str, Any]) -> dict[str, Any]:
        """What the data are, to know them again: rows, and mean squares of columns.

        Args:
            call: a setting; where a pass for its design has been made, nothing is read.
        """
        found: dict[str, Any] = {"columns": [c.name for c in self._whole.columns]}
        known = self._sides.get(self._key(call))
        if isinstance(known, tuple):
            for name, side in zip(("train", "validation"), known, strict=True):
                found[name] = mean_squares(side.survey.sums)
            return found
        names = [c.name for c in self._whole.columns if c.kind == "number"]
        for name in ("train", "validation"):
            rows, squares = 0, np.zeros(len(names))
            for batch in self._split.part(self._whole, name).batches(names):
                values = batch.numbers(names)
                rows += batch.rows
                squares += np.nansum(np.square(values), axis=0)
            found[name] = {"rows": rows, "squares": squares.tolist()}
        return found

    def _key(self, call: dict[str, Any]) -> Any:
        wanted = (*DESIGN, "degenerate")
        return same({n: call[n] for n in wanted if n in call and n != "weights"})

    def sides(self, call: dict[str, Any]) -> tuple[Side, Side]:
        """What the pass over the training and the validation part left.

        Args:
            call: the setting; its design is learned from the training part alone.
        """
        wanted = (*DESIGN, "degenerate")
        options = {n: call[n] for n in wanted if n in call and n != "weights"}
        key = self._key(call)
        if key not in self._sides:
            while len(self._sides) >= KEPT:
                del self._sides[next(iter(self._sides))]
            try:
                self._sides[key] = self._read(dict(options))
            except GradlineError as error:
                self._sides[key] = error  # it would fail again, after another pass
        found = self._sides[key]
        if isinstance(found, GradlineError):
            raise found
        return found

    def _read(self, options: dict[str, Any]) -> tuple[Side, Side]:
        refuse = options.pop("degenerate", "allow") == "refuse"
        prepared = prepare(self._whole, **self._common, **options)
        train = take_survey(prepared.source, prepared.design, self._progress, refuse)
        rows = prepared.validation
        assert rows is not None
        try:
            seen = take_survey(rows, prepared.design, self._progress)
        except DataError as error:
            if "has one row" not in str(error):
                raise
            raise DataError(
                "the validation part has one row that can be scored: give it a larger "
                "share (--validation 0.2), or rows of levels that training has"
            ) from error
        if isinstance(rows, KnownSource):
            self.unseen = max(self.unseen, rows.unseen)
        self.rows = {"train": train.tally.rows, "validation": seen.tally.rows}
        return Side(train), Side(seen)

    def outcomes(self, calls: list[dict[str, Any]]) -> Iterator[tuple[int, Outcome]]:
        """Try settings: yields each one's place and how it ended, as soon as known.

        Args:
            calls: arguments of fit that are not its defaults, those without effect left
                out.
        """
        closed = [i for i, call in enumerate(calls) if is_closed(call)]
        yield from self._from_states(calls, closed)
        for place in set(range(len(calls))) - set(closed):
            yield place, self._trained(calls[place])

    def _from_states(
        self, calls: list[dict[str, Any]], places: list[int]
    ) -> Iterator[tuple[int, Outcome]]:
        groups: dict[int, tuple[tuple[Side, Side], list[int], list[Line]]] = {}
        for place in places:
            before = time.perf_counter()
            try:
                sides = self.sides(calls[place])
                line = line_of(*sides, calls[place], before)
            except FAULTS as error:
                yield place, _failed(error, before)
                continue
            _, those, lines = groups.setdefault(id(sides), (sides, [], []))
            those.append(place)
            lines.append(line)
        for (train, seen), those, lines in groups.values():
            before = time.perf_counter()
            rows = np.stack([line.parameters for line in lines])
            scores = zip(
                seen.scores(rows, self._absolute),
                train.scores(rows, self._absolute),
                strict=True,
            )
            share = (time.perf_counter() - before) / len(lines)
            for place, line, (ours, theirs) in zip(those, lines, scores, strict=True):
                yield (
                    place,
                    Outcome(
                        ours, theirs, epochs=line.epochs, seconds=line.seconds + share
                    ),
                )

    def _trained(self, call: dict[str, Any]) -> Outcome:
        before = time.perf_counter()
        try:
            found = fit(self._whole, **(self._common | call))
            if found.settings.get("interrupted"):
                raise KeyboardInterrupt  # it was cut short, which is no trial
            seen = found.evaluate(part="validation")
            learned = found.evaluate(part="train")
            self.unseen = max(self.unseen, seen.unseen)
            self.rows = {"train": found.rows, "validation": seen.rows}
            ours, theirs = (
                _of_scores(scores, self._absolute) for scores in (seen, learned)
            )
        except FAULTS as error:
            return _failed(error, before)
        epochs = found.settings.get("epochs")
        return Outcome(
            ours, theirs, epochs=epochs, seconds=time.perf_counter() - before
        )


def _of_scores(scores: Scores, absolute: bool) -> dict[str, float]:
    found = {"r2": scores.r2, "rmse": scores.rmse}
    return found | {"mae": scores.mae} if absolute else found


def _failed(error: Exception, before: float) -> Outcome:
    known = isinstance(error, GradlineError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    reason = " ".join(text.split())
    return Outcome(None, None, reason, seconds=time.perf_counter() - before)
