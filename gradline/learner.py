"""Learning from chunks as they come: rows are seen once, and need not be kept.

    learner = Learner(target="arr_delay", batch_size=256)
    for chunk in chunks:            # frames, tables, arrays or files
        learner.learn(chunk)
    fit = learner.result()

Each chunk is cut into shuffled batches, and each batch is a step. Beside the weights
the learner keeps the one-pass state of all rows so far (state.py), so that `result()`
can hold the weights against the exact optimum of rows that are gone.

The levels of categories stay those of the first chunk. The scale of the terms and, with
lr="auto", the learning rate follow that state (following.py): at each chunk the
weights, their average and their momentum move to new coordinates, the same line as
before. The average of the weights leaves out the first half of the rows at the most,
and a quarter of them at the least.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradline.batchrun import RUNAWAY, diverged, steps_of
from gradline.conclude import conclude
from gradline.data import Batch, Column, Source
from gradline.design import Design, Missing
from gradline.errors import DataError, DivergenceError, UsageError
from gradline.following import Coordinates, follow, loss_at
from gradline.model import LinearRegression
from gradline.objective import Squared
from gradline.plans import Plan, check, first_point, settle
from gradline.prepare import prepare, reopened
from gradline.reading import Reading, read_once
from gradline.result import Fit
from gradline.retrace import Origin
from gradline.shuffle import BatchStream
from gradline.stepping import Steps
from gradline.survey import MAE_NUMBERS, take_survey
from gradline.training import Batches, Training, optimizer_settings

#: Up to so many numbers rows are kept all the same, for the last digits of the optimum.
HOLD = 2 * MAE_NUMBERS

#: A rate that was found is quartered where a chunk makes the loss so many times as
#: large, so often at the most.
WORSE = 10.0
RETRIES = 10


class Learner:
    """A line that learns from chunks as they come, by minibatches of squared loss.

    Args:
        target: the name of the column to predict; not needed where `learn` gets y.
        features: the names of the columns to predict from.
        weights: the name of a column of row weights. Their mean in a chunk counts as 1.
        categories: features to treat as categories; their levels are those of the
            first chunk.
        intercept: False for a line through the origin.
        missing: "error" refuses incomplete rows, "drop" leaves them out.
        lr: the learning rate; "auto" for SGD, Adam and its kin unless told: found
            for all rows so far, anew at each chunk.
        batch_size: rows in a batch.
        optimizer: the name of a class in torch.optim.
        momentum: of SGD, and so are the three that follow.
        dampening: of the momentum.
        nesterov: Nesterov's momentum.
        weight_decay: this times each parameter is added to its gradient.
        optimizer_options: further settings of the optimiser.
        standardize: learn on features that have mean 0 and standard deviation 1 in
            all rows so far; unless told, with lr="auto".
        shuffle: whether rows are shuffled within a chunk.
        average: whether the result is the average of the weights; unless told, with
            lr="auto".
        start: a model, or a Fit, to go on from.
        seed: of the start and of the shuffling.

    Raises:
        UsageError: arguments that do not go together.

    Equivalent: sklearn.linear_model.SGDRegressor.partial_fit, which steps row by row.
    """

    def __init__(
        self,
        *,
        target: str | None = None,
        features: Sequence[str] | None = None,
        weights: str | None = None,
        categories: Sequence[str] = (),
        intercept: bool = True,
        missing: Missing = "error",
        lr: float | str | None = None,
        batch_size: int = 256,
        optimizer: str | None = None,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        optimizer_options: dict[str, Any] | None = None,
        standardize: bool | None = None,
        shuffle: bool = True,
        average: bool | None = None,
        start: LinearRegression | Fit | None = None,
        seed: int = 0,
    ) -> None:
        named = {
            "momentum": momentum,
            "dampening": dampening,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
        }
        name, options = optimizer_settings(optimizer, named, optimizer_options)
        model = start.model if isinstance(start, Fit) else start
        self._training = Training(
            lr,  # type: ignore[arg-type]
            1,
            standardize,
            model,
            seed,
            name,
            options,
        )
        self._training.check(batches=True)
        self._batches = Batches(batch_size, None, shuffle, average)
        check(Squared(), self._training, self._batches)
        self._columns: dict[str, Any] = {
            "target": target,
            "features": features,
            "weights": weights,
            "categories": categories,
            "intercept": intercept,
            "missing": missing,
        }
        self._design: Design | None = None
        self._reading: Reading | None = None
        self._steps: Steps | None = None
        self._plan: Plan | None = None
        self._chunks = 0
        self._doubled = 0  # rows when the average was last begun
        self._before: tuple[Any, int] = (0.0, 0)  # the average and steps until then
        self._slower = 1.0  # what the rate that was found is divided by
        self._most = math.inf  # a loss above this is divergence

    def __repr__(self) -> str:
        """How many rows it has learned from, and whether there is a line yet."""
        if self._plan is None:
            return "Learner(nothing learned yet: call learn)"
        many = f"{self.rows:,} rows in {self._chunks:,} chunk"
        name = "" if self._plan.lr is None else f", lr {self._plan.lr:.4g}"
        return (
            f"Learner({many}{'s' * (self._chunks != 1)}, {self._plan.optimizer}{name})"
        )

    @property
    def rows(self) -> int:
        """How many rows it has learned from."""
        return 0 if self._reading is None else self._reading.tally.rows

    def learn(self, data: Any, y: Any = None, **reading: Any) -> Learner:
        """Learn from a chunk; return self.

        A chunk with a fault is refused as a whole, before anything is learned from it.

        Args:
            data: what `fit` takes: arrays, a frame, a table or the path of a file.
            y: the target, (n,), unless it is a column of data.
            **reading: delimiter, encoding, decimal of a CSV file.

        Raises:
            DataError: as `fit`; or a level of a category that the first chunk had not.
            DivergenceError: the weights grew without bound.
        """
        if self._design is None:
            prepared = prepare(data, y, **self._columns, **reading)
            source, design = prepared.source, prepared.design
        else:
            design = self._design
            weights = self._columns["weights"]
            reading["categories"] = tuple(self._columns["categories"])
            source = reopened(design, data, y, weights=weights, **reading)
        found = read_once(source, design, hold=HOLD)
        if found.tally.rows == 0:
            raise DataError(f"{source.name} has no rows to learn from: give some")
        if self._steps is None:
            self._begin(source, design, found)
        else:
            self._take_in(found)
        assert self._steps is not None
        self._chunks += 1
        self._walk(source, design, found)
        if self.rows >= 2 * self._doubled:
            first = self._doubled == 0
            average, steps = self._steps.average(), self._steps.averaged
            self._before = (0.0, 0) if first else (average, steps)
            self._steps.restart_average(0)
            self._doubled = self.rows
        return self

    def result(self) -> Fit:
        """The line as it is now, held against the exact optimum of all rows so far.

        Raises:
            UsageError: nothing was learned yet.
            DataError: the columns are so nearly dependent that the optimum needs the
                rows again.
        """
        if self._reading is None or self._steps is None or self._plan is None:
            raise UsageError("nothing was learned yet: call learn(data, y) first")
        design, plan = self._reading.design, self._plan
        survey = take_survey(self._gone, design, reading=self._reading)
        inner = self._average() if plan.average else self._steps.parameters()
        how = (
            f"{plan.optimizer} on {self._chunks:,} chunk"
            f"{'' if self._chunks == 1 else 's'} as they came, batches of "
            f"{plan.size:,} rows"
        )
        settings = plan.settings() | {
            "epochs": 1,
            "chunks": self._chunks,
            "how": how + ", weights averaged" * plan.average,
            "no_inference": "no standard errors for rows that were seen once: the "
            "coefficients may be off by as much as their errors; give gl.fit all rows, "
            "with method='exact'",
        }
        return conclude(
            survey,
            self._raw(inner),
            method="sgd",
            settings=settings,
            origin=Origin(survey),
        )

    def _average(self) -> Tensor:
        """The mean of the parameters after each step, from the last but one doubling.

        After the first chunk alone there is none yet.
        """
        assert self._steps is not None
        before, earlier = self._before
        now, steps = self._steps.average(), self._steps.averaged
        if now is None:
            return before if earlier else self._steps.parameters()
        found: Tensor = (before * earlier + now * steps) / (earlier + steps)
        return found

    def _begin(self, source: Source, design: Design, found: Reading) -> None:
        survey = take_survey(source, design, reading=found)
        plan = settle(survey, Squared(), self._training, self._batches, endless=True)
        raw = first_point(survey, self._training, plan)
        self._gone = _Gone(source.name, source.columns)
        self._design, self._reading, self._plan = design, found, plan
        self._place = follow(found, found, plan, self._slower)
        self._plan = replace(plan, lr=self._place.lr, limit=self._place.limit)
        stream = self._stream(source, design, found)
        inner = self._place.inward @ raw
        self._steps = steps_of(stream, self._plan, inner, design.intercept)

    def _walk(self, source: Source, design: Design, found: Reading) -> None:
        """Step through a chunk; again, slower, where a rate that was found fails."""
        assert self._plan is not None
        assert self._reading is not None
        state, automatic = self._reading.moments.value(), self._plan.automatic
        for attempt in range(RETRIES + 1):
            self._move(follow(self._reading, found, self._plan, self._slower))
            steps: Any = self._steps
            steps.stream = None
            kept = copy.deepcopy(steps) if automatic else steps
            steps.stream = self._stream(source, design, found)
            nothing = loss_at(state, 0 * self._raw(steps.parameters()))
            before = max(loss_at(state, self._raw(steps.parameters())), nothing)
            if self._chunks == 1 and math.isfinite(before):
                self._most = RUNAWAY * before
            self._most = max(self._most, RUNAWAY * nothing)
            most = WORSE * before if automatic else self._most
            fine = True
            for _ in steps.turns(self._chunks, self._chunks):
                fine = bool(torch.isfinite(steps.parameters()).all())
                if not fine:
                    break
            if fine and loss_at(state, self._raw(steps.parameters())) <= most:
                return
            if not automatic or attempt == RETRIES:
                raise self._diverged()
            self._steps, self._slower = kept, 4 * self._slower

    def _diverged(self) -> DivergenceError:
        assert self._plan is not None
        return diverged(self._plan, f"chunk {self._chunks:,}")

    def _move(self, place: Coordinates) -> None:
        """Go on in other coordinates, with another rate: the line stays as it is."""
        assert self._plan is not None
        assert self._steps is not None
        A = place.inward @ self._place.outward
        self._place = place
        self._plan = replace(self._plan, lr=place.lr, limit=place.limit)
        average, steps = self._before
        self._before = (A @ average, steps) if steps else (average, steps)
        self._steps.recast(A, place.lr)

    def _take_in(self, found: Reading) -> None:
        """Add a chunk's state, and its rows while there are few."""
        assert self._reading is not None
        kept, more = self._reading.rows, found.rows
        self._reading.merge(found)
        numbers = self.rows * (len(self._reading.design.terms) + 1)
        if kept is not None and more is not None and numbers <= HOLD:
            self._reading.rows = [*kept, *more]

    def _stream(self, source: Source, design: Design, found: Reading) -> BatchStream:
        assert self._plan is not None
        scaled = self._plan.scaled
        return BatchStream(
            source,
            design,
            self._plan.size,
            shuffle=self._plan.shuffle,
            seed=self._plan.seed,
            shift=self._place.shift if scaled else None,
            scale=self._place.scale if scaled else None,
            rows=found.tally.rows,
            weight=found.moments.weight,
        )

    def _raw(self, inner: Tensor) -> Tensor:
        return self._place.outward @ inner


class _Gone:
    """Rows that were there once."""

    rows: int | None = None

    def __init__(self, name: str, columns: tuple[Column, ...]) -> None:
        self.name, self.columns = name, columns

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        raise DataError(
            "the rows a Learner has learned from are gone, and this needs them again: "
            "fit all of them at once with gl.fit, or leave out columns that nearly "
            "depend on others"
        )
