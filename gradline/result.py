"""What a fit is: coefficients in the units of the input, and all that is known of them.

A Fit is a result, not an estimator: nothing in it changes. Most of this file says what
its methods take and give; what they do is in inference.py, predicting.py, exam.py and,
for what is shown, faces.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from gradline.certificate import Certificate
from gradline.checks import one_of
from gradline.data import Array, Batch, Progress, Source
from gradline.design import Design
from gradline.errors import UsageError
from gradline.evidence import Evidence, Line, why_not
from gradline.exam import Exam, scores_on
from gradline.faces import Faces
from gradline.inference import (
    Inference,
    Influence,
    Intervals,
    check_interval,
    half_widths,
    infer,
    influence,
)
from gradline.intake import is_bare_array, open_features
from gradline.othernames import no_attribute
from gradline.predicting import predicted_batches
from gradline.prepare import Prepared, reopened
from gradline.sandwich import Cov
from gradline.scores import Sample, Scores, Trace, score, score_by
from gradline.splits import PARTS, Split

if TYPE_CHECKING:
    from gradline.modules import Trained


#: How a fit may have been found.
METHODS = ("exact", "gd", "sgd", "penalized", "robust", "network")

#: Fields of a Fit that a judgement brings, see conclude.py.
_LATE = frozenset(["certificate", "metrics", "notes", "evidence"])


@dataclass(frozen=True, repr=False)
class Fit(Faces):
    """A fitted line (or plane), its certificate and its history.

    Attributes:
        coefficients: slope by term, in the order of the design, in units of the
            target per unit of the term; {} for a module that is no line.
        intercept: the prediction where every term is 0; 0 for a design without one.
        certificate: how far it is from the exact optimum.
        trace: the history of a descent; None for method="exact".
        metrics: scores on the training rows.
        method: how it was found: "exact", "gd", "sgd", "penalized", "robust" or
            "network".
        rows: rows used.
        dropped: rows left out as incomplete.
        design: how columns become terms.
        settings: how it was fitted: lr, epochs, standardize, seed, and the data's name;
            `how` in words, where neither "exact" nor "gd" says it; and under
            `no_inference` why there are no standard errors.
        notes: warnings in plain words.
        center: the mean of the terms, (d,), and `level` the prediction there.
        sample: up to 2,000 training rows to draw; None once loaded from a file.
        evidence: what `inference` needs beside the coefficients.
        cross_validation: how alpha was chosen, where it was: a CrossValidation, with
            its curve to .plot(); None else, and once loaded from a file.

    It also keeps hold of the data it was fitted on, for what needs another pass over
    them; a pickled fit, like a loaded one, does not.
    """

    coefficients: dict[str, float]
    intercept: float
    certificate: Certificate
    trace: Trace | None
    metrics: Scores
    method: str
    rows: int
    dropped: int
    design: Design
    settings: dict[str, Any]
    notes: tuple[str, ...] = field(default_factory=tuple)
    center: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    level: float = 0.0
    sample: Sample | None = field(default=None, repr=False, compare=False)
    evidence: Evidence | None = field(
        default_factory=lambda: None, repr=False, compare=False
    )
    cross_validation: Any = field(default=None, repr=False, compare=False)
    _source: Source | None = field(default=None, repr=False, compare=False)
    _origin: Any = field(default=None, repr=False, compare=False)  # of retrace.py
    _network: Trained | None = field(default=None, repr=False, compare=False)
    _exam: Exam | None = field(default=None, repr=False, compare=False)

    @classmethod
    def _judged_later(cls, judge: Callable[[], Any], **known: Any) -> Fit:
        """A fit whose remaining fields are found out when one is first asked for.

        Args:
            judge: returns a named tuple of them.
            **known: the other fields.
        """
        fit = object.__new__(cls)
        fit.__dict__.update(known, _judge=judge)
        return fit

    def _examined(
        self, prepared: Prepared, known: dict[str, Scores] | None = None
    ) -> Fit:
        """Remember the parts of the data, where there are some; return self.

        It is part of making a fit, before anybody has it.
        """
        if isinstance(prepared.split, Split):
            self.__dict__["_exam"] = Exam(prepared, known)
            self.settings["split"] = prepared.split.settled(prepared.whole).to_dict()
            counts = getattr(prepared.source, "counts", None)
            if counts is not None:
                self.settings["parts"] = counts
                self._add_notes(prepared.split.notes(counts))
        return self

    def remember(self, part: str, scores: Scores) -> None:
        """Count the scores of a part among those known: of a fit that was loaded.

        Args:
            part: "validation" or "test".
            scores: as `evaluate(data, part=part)` found them.
        """
        self.__dict__.setdefault("_told", {})[part] = scores

    def _add_notes(self, notes: tuple[str, ...]) -> None:
        """Add to the notes, those of a judgement that is still to come too."""
        judge = self.__dict__.get("_judge")
        if judge is None:
            self.__dict__["notes"] = (*self.notes, *notes)
        elif notes:

            def noted() -> Any:
                found = judge()
                return found._replace(notes=(*found.notes, *notes))

            self.__dict__["_judge"] = noted

    if not TYPE_CHECKING:  # or a type checker would take every name for one of a fit

        def __getattr__(self, name: str) -> Any:
            # Only for what is not there: fields that the judgement will bring.
            judge = self.__dict__.get("_judge")
            if judge is None or name not in _LATE:
                raise AttributeError(no_attribute(name, dir(self)))
            del self.__dict__["_judge"]
            try:
                self.__dict__.update(judge()._asdict())
            except BaseException:
                self.__dict__["_judge"] = judge
                raise
            return self.__dict__[name]

    def __getstate__(self) -> dict[str, Any]:
        _ = self.certificate  # a pickled fit is a judged one
        return self.__dict__ | {"_source": None, "_origin": None, "_exam": None}

    @property
    def target(self) -> str:
        """What is predicted: a column, or what a formula makes of it: log(price)."""
        return self.design.response

    @property
    def how(self) -> str:
        """The method in words, as the head of the table has it."""
        from gradline.terminal import method_words

        return method_words(self)

    @property
    def slopes(self) -> Array:
        """The coefficients as an array, (d,)."""
        return np.array(list(self.coefficients.values()))

    @property
    def model(self) -> Any:
        """The fit as a torch module, which drops into a network as its last layer.

        It takes the terms of the design in their order, (n, d): the features as they
        are where they are numbers, and a column of 0 and 1 for each level of a category
        but the first. A line in float64, with the state_dict of torch.nn.Linear; or a
        copy of a module that was trained, which standardises its inputs first where
        that was done in training.
        """
        if self._network is not None:
            return self._network.model
        import torch

        from gradline.model import LinearRegression

        weight = torch.from_numpy(self.slopes)[None, :]
        return LinearRegression.of(weight, weight.new_tensor([self.intercept])).eval()

    def inference(
        self,
        cov: Cov = "classic",
        level: float = 0.95,
        *,
        data: Any = None,
        y: Any = None,
        weights: Any = None,
        progress: Progress | None = None,
        **reading: Any,
    ) -> Inference:
        """Standard errors, tests and intervals of the coefficients, and R², F, AIC.

        Args:
            cov: "classic" takes the noise as equal in all rows, and independent;
                "HC0" to "HC3" let it differ from row to row (HC3 for few rows);
                ("cluster", column), or an array with one value per row of the data,
                lets it be related within a cluster. All but classic pass over the
                data once more.
            level: of the intervals.
            data: the data of the fit, where it was loaded from a file.
            y: the target, unless it is a column of data.
            weights: the weights, if the fit had them and they are no column of data.
            progress: True for a bar; or what is told how reading gets on.
            **reading: delimiter, encoding, decimal of a CSV file.

        Returns:
            An Inference: .standard_errors, .t, .p, .intervals by term.

        Raises:
            DataError: nothing can be said, and why: the fit is not converged, its rank
                is deficient, no residual is left; or the data are not those of the fit.
            UsageError: an unknown cov.

        Equivalent: R's summary(lm(...)), coeftest(fit, vcovHC(fit, "HC3"));
        statsmodels' OLS(...).fit(cov_type="HC3", use_t=True).
        """
        source = self._training(data, y, weights, reading)
        return infer(
            self._line, self.design, source, cov=cov, level=level, progress=progress
        )

    def influence(
        self,
        *,
        data: Any = None,
        y: Any = None,
        weights: Any = None,
        progress: Progress | None = None,
        **reading: Any,
    ) -> Influence:
        """How much each row weighs: leverage, studentised residuals, Cook's distance.

        Args:
            data: as in `inference`, and so are all that follow.
            y: the target.
            weights: the weights.
            progress: True for a bar; or what is told how reading gets on.
            **reading: delimiter, encoding, decimal of a CSV file.

        Returns:
            An Influence: arrays with one number for each row that was used.

        Raises:
            DataError: as in `inference`.

        Equivalent: R's hatvalues, rstandard, rstudent, cooks.distance.
        """
        source = self._training(data, y, weights, reading)
        return influence(self._line, self.design, source, progress)

    @property
    def no_inference(self) -> str | None:
        """Why `inference` is refused, in a sentence; None where it is not."""
        return why_not(self._line)

    @overload
    def predict(
        self,
        data: Any,
        *,
        interval: None = None,
        kind: Literal["prediction", "confidence"] = "prediction",
        missing: Literal["error", "nan"] = "error",
        **reading: Any,
    ) -> Array: ...

    @overload
    def predict(
        self,
        data: Any,
        *,
        interval: float,
        kind: Literal["prediction", "confidence"] = "prediction",
        missing: Literal["error", "nan"] = "error",
        **reading: Any,
    ) -> Intervals: ...

    def predict(
        self,
        data: Any,
        *,
        interval: float | None = None,
        kind: Literal["prediction", "confidence"] = "prediction",
        missing: Literal["error", "nan"] = "error",
        **reading: Any,
    ) -> Array | Intervals:
        """Predict the target for each row of raw data.

        Args:
            data: what `fit` takes: arrays, frames, tables or a path; a bare array has
                the features as columns, in the order of the fit.
            interval: also give the interval that holds this share, such as 0.95.
            kind: "prediction" for where a new observation (of weight 1) will be,
                "confidence" for where the line itself is.
            missing: an incomplete row is an error, or predicts NaN.
            **reading: delimiter, encoding, decimal of a CSV file.

        Returns:
            (n,) float64, in units of the target. With an interval, instead, Intervals:
            a named tuple of prediction, low and high, (n,) each.

        Raises:
            ColumnError: a feature is missing or of another kind.
            DataError: a level the model has not seen; an interval where `inference` is
                refused.
            MissingValueError: an incomplete row or an infinity; row and column named.
        """
        source = self.open(data, **reading)
        if interval is None:
            parts = [p for _, p in self.predictions(source, missing=missing)]
            return np.concatenate(parts) if parts else np.zeros(0)
        found = [
            part
            for _, part in self.intervals(source, interval, kind=kind, missing=missing)
        ]
        if not found:
            return Intervals(np.zeros(0), np.zeros(0), np.zeros(0))
        return Intervals(*(np.concatenate(ends) for ends in zip(*found, strict=True)))

    def open(self, data: Any, **reading: Any) -> Source:
        """Data as a source that has this fit's features, checked."""
        reading.setdefault("categories", self.design.texts)
        source = open_features(data, self.design.features, **reading)
        self.design.check_columns(source)
        return source

    def predictions(
        self,
        source: Source,
        *,
        missing: Literal["error", "nan"] = "error",
        columns: tuple[str, ...] | None = None,
    ) -> Iterator[tuple[Batch, Array]]:
        """Predict batch by batch: yields each batch and its predictions (rows,).

        Args:
            source: from `open`.
            missing: as in `predict`.
            columns: what to read; the features alone unless told.
        """
        for batch, _, predicted in self._predicted(source, missing, columns):
            yield batch, predicted

    def intervals(
        self,
        source: Source,
        interval: float,
        *,
        kind: Literal["prediction", "confidence"] = "prediction",
        missing: Literal["error", "nan"] = "error",
        columns: tuple[str, ...] | None = None,
    ) -> Iterator[tuple[Batch, Intervals]]:
        """As `predictions`, with the ends of the intervals.

        Args:
            source: from `open`.
            interval: as in `predict`.
            kind: as in `predict`.
            missing: as in `predict`.
            columns: what to read; the features alone unless told.
        """
        line = self._line
        check_interval(line, interval, kind)
        for batch, X, predicted in self._predicted(source, missing, columns):
            half = half_widths(line, X, interval, kind)
            yield batch, Intervals(predicted, predicted - half, predicted + half)

    def _predicted(
        self, source: Source, missing: str, columns: tuple[str, ...] | None
    ) -> Iterator[tuple[Batch, Array, Array]]:
        predict = self.predict_terms
        return predicted_batches(self.design, predict, source, missing, columns)

    def predict_terms(self, X: Array) -> Array:
        """Predict from the terms of the design, (n, d): (n,)."""
        if self._network is not None:
            return self._network.predict(X)
        found: Array = self.level + (X - self.center) @ self.slopes
        return found

    def evaluate(
        self,
        data: Any = None,
        y: Any = None,
        *,
        part: str | None = None,
        **reading: Any,
    ) -> Scores:
        """Score the predictions on data with known targets, or on a part of the fit's.

        Args:
            data: as in `predict`, with the target among its columns unless y is given;
                None for the fit's own data, of which `part` says what.
            y: the targets, (n,): the column, where a formula predicts its logarithm.
            part: "train", "validation" or "test": the rows that the fit's split puts
                there. The test part is read once; asked again, it says the same.
            **reading: missing="error" or "drop", as the fit had it unless told; and as
                in `predict`.

        Returns:
            R², RMSE and MAE, weighted as the fit was where the weights are there;
            R² is about the mean of these rows' y, with or without an intercept; .part
            says of which rows. Rows of a part with a level that the training
            part has not are left out and counted, .unseen.

        Raises:
            UsageError: neither data nor a part; a part that the split has not.
            DataError: no rows; and as in `predict`.
        """
        if data is None:
            return self._scores_of(part, y, reading)
        known = (self.settings.get("split"), self.settings.get("parts"))
        return scores_on((data, y), self.design, known, part, reading, self._score)

    def has_part(self, part: str) -> bool:
        """Whether the fit's own data, if it holds them, have such a part."""
        if self._exam is None or self._exam.prepared.split is None:
            return part == "train"
        return self._exam.prepared.split.has(part, self._exam.prepared.whole)

    @property
    def scores(self) -> dict[str, Scores]:
        """The scores known so far, by part; those of "train" are `metrics`."""
        known = {} if self._exam is None else self._exam.known
        train = self.metrics.named("train")
        train.origin = not self.design.intercept
        told: dict[str, Scores] = self.__dict__.get("_told", {})
        return {"train": train} | known | told

    def _scores_of(self, part: str | None, y: Any, reading: dict[str, Any]) -> Scores:
        """The scores of a part of the fit's own data."""
        given = ["y"] * (y is not None) + list(reading)
        if part is None or given:
            raise UsageError(
                f"{', '.join(given) or 'nothing'} is given without data: give data to "
                "score, or the part of the fit's own, evaluate(part='test')"
            )
        one_of("part", part, *PARTS)
        if part == "train":
            if self._source is not None and not self.design.intercept:
                return self._score(self.design, self._source).named(part)
            return self.scores[part]
        if self._exam is None:
            hint = f"fit with split=gl.Split({part}=0.2), or give data, evaluate(data)"
            why = f"the fit had no split, so there is no {part} part"
            if "split" in self.settings:
                why = "a fit that was loaded does not hold its data"
                hint = f"give them too, evaluate(data, part={part!r})"
            raise UsageError(f"{why}: {hint}")
        return self._exam.scores(part, self._score)

    def _score(self, design: Design, source: Source) -> Scores:
        """R², RMSE and MAE over a source."""
        if self._network is not None:
            return score_by(design, source, self._network.predict)
        return score(design, source, self.slopes, self.center, self.level)

    def __repr__(self) -> str:
        return (
            f"<Fit of {self.target!r} on {len(self.design.terms)} terms, "
            f"{self.rows:,} rows, {self.method}, {self.certificate.status}>"
        )

    def __str__(self) -> str:
        from gradline.terminal import fit_table

        return fit_table(self)

    def _repr_html_(self) -> str:
        """The fit as a notebook shows it: tables, the certificate, a picture."""
        from gradline.notebook import fit_html

        return fit_html(self)

    @property
    def _line(self) -> Line:
        return Line(
            self.design.terms,
            self.slopes,
            self.intercept,
            self.center,
            self.level,
            self.certificate,
            self.evidence,
            self.design.intercept,
            self.settings.get("no_inference"),
        )

    def _training(
        self, data: Any, y: Any, weights: Any, reading: dict[str, Any]
    ) -> Source | None:
        """The data of the fit: as given, else as remembered, else None."""
        if data is None:
            if y is not None or weights is not None or reading:
                given = ["y"] * (y is not None) + ["weights"] * (weights is not None)
                raise UsageError(
                    f"{', '.join([*given, *reading])} given without data: give data "
                    "too, or none of it"
                )
            return self._source
        if y is None and is_bare_array(data):
            raise UsageError("no target is given: give data and y")
        source = reopened(self.design, data, y, weights=weights, **reading)
        wanted = self.design.weights
        if wanted is not None and wanted not in {c.name for c in source.columns}:
            raise UsageError(
                f"the fit was weighted by {wanted!r}, which {source.name} lacks: "
                "give weights too"
            )
        return source
