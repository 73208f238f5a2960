"""What a fit is: coefficients in the units of the input, and all that is known of them.

A Fit is a result, not an estimator: nothing in it changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from gradline.certificate import Certificate
from gradline.checks import one_of
from gradline.data import Array, Batch, Progress, Source
from gradline.design import Design, Missing, check_target
from gradline.errors import DataError, MissingValueError, UsageError
from gradline.evidence import Evidence, Line, why_not
from gradline.exam import Exam, part_scores
from gradline.inference import (
    Inference,
    Influence,
    Intervals,
    check_interval,
    half_widths,
    infer,
    influence,
)
from gradline.intake import is_bare_array, open_features, open_table
from gradline.prepare import Prepared
from gradline.sandwich import Cov
from gradline.scores import Sample, Scores, Trace, score, score_by
from gradline.splits import PARTS, Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradline.modules import Trained
    from gradline.paraboloid import LossSurface


#: How a fit may have been found.
METHODS = ("exact", "gd", "sgd", "penalized", "robust", "network")

#: Fields of a Fit that a judgement brings, see conclude.py.
_LATE = frozenset(["certificate", "metrics", "notes", "evidence"])


@dataclass(frozen=True, repr=False)
class Fit:
    """A fitted line (or plane), its certificate and its history.

    Attributes:
        coefficients: slope by term, in the order of the design, in units of the
            target per unit of the term; {} for a module that is no line.
        intercept: the prediction where every term is 0; 0 for a design without one.
        certificate: how far it is from the exact optimum.
        trace: the history of a descent; None for method="exact".
        metrics: scores on the training rows.
        method: how it was found: one of METHODS.
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
    def judged_later(cls, judge: Callable[[], Any], **known: Any) -> Fit:
        """A fit whose remaining fields are found out when one is first asked for.

        Args:
            judge: returns a named tuple of them.
            **known: the other fields.
        """
        fit = object.__new__(cls)
        fit.__dict__.update(known, _judge=judge)
        return fit

    def examined(self, prepared: Prepared) -> Fit:
        """Remember the parts of the data, where there are some; return self.

        It is part of making a fit, before anybody has it.
        """
        if isinstance(prepared.split, Split):
            self.__dict__["_exam"] = Exam(prepared)
            self.settings["split"] = prepared.split.settled(prepared.whole).to_dict()
        return self

    def __getattr__(self, name: str) -> Any:
        # Only for what is not there: fields that the judgement will bring.
        judge = self.__dict__.get("_judge")
        if judge is None or name not in _LATE:
            raise AttributeError(f"a Fit has no attribute {name!r}")
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
    def slopes(self) -> Array:
        """The coefficients as an array, (d,)."""
        return np.array(list(self.coefficients.values()))

    @property
    def model(self) -> Any:
        """The fit as a torch module on the terms of the design, (n, d).

        A line in float64; or a copy of a module that was trained, which standardises
        its inputs first where that was done in training.
        """
        if self._network is not None:
            return self._network.model
        import torch

        from gradline.model import LinearRegression

        model = LinearRegression(len(self.coefficients), dtype=torch.float64)
        with torch.no_grad():
            model.weight.copy_(torch.from_numpy(self.slopes)[None, :])
            model.bias.fill_(self.intercept)
        return model.eval()

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
            progress: is told how reading gets on.
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
            progress: is told how reading gets on.
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
        """Each batch with its terms X (rows, d) and predictions (rows,)."""
        one_of("missing", missing, "error", "nan")
        start = 0
        for batch in self._batches(source, columns):
            X, complete = self.design.matrix(batch, start)
            if missing == "error" and not complete.all():
                row = int(np.argmin(complete))
                gap = next(
                    (
                        t
                        for t, v in zip(self.design.terms, X[row], strict=True)
                        if np.isnan(v)
                    ),
                    "?",
                )
                gap = self._missing_in(batch, row) or gap
                raise MissingValueError(
                    f"column {gap!r} has a missing value, first in row "
                    f"{start + row + 1:,}: fill it in, or predict nothing there with "
                    "missing='nan' (--missing nan)"
                )
            with np.errstate(over="ignore", invalid="ignore"):
                predicted = self.predict_terms(X)
            if not np.isfinite(predicted[complete]).all():
                row = int(np.argmin(np.isfinite(predicted) | ~complete))
                raise DataError(
                    f"the prediction for row {start + row + 1:,} is not finite, its "
                    "values are too large: correct the row or leave it out"
                )
            yield batch, X, predicted
            start += batch.rows

    def _batches(
        self, source: Source, columns: tuple[str, ...] | None
    ) -> Iterator[Batch]:
        if columns is not None:  # whoever names them wants the batches of the source
            yield from source.batches(columns)
            return
        for batch in source.batches(self.design.features):
            yield from self.design.pieces(batch)

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
            .part says of which rows. Rows of a part with a level that the training
            part has not are left out and counted, .unseen.

        Raises:
            UsageError: neither data nor a part; a part that the split has not.
            DataError: no rows; and as in `predict`.
        """
        if data is None:
            return self._scores_of(part, y, reading)
        missing: Missing = reading.pop("missing", self.design.missing)
        one_of("missing", missing, "error", "drop")
        if y is None and is_bare_array(data):
            raise UsageError("no target is given: give y beside x, evaluate(x, y)")
        reading.setdefault("categories", self.design.texts)
        table = open_table(
            data, y, target=self.design.target, names=self.design.features, **reading
        )
        check_target(table.source, self.design.target)
        self.design.check_columns(table.source)
        names = {c.name for c in table.source.columns}
        weights = self.design.weights if self.design.weights in names else None
        design = dataclasses.replace(self.design, weights=weights, missing=missing)
        if part is not None:
            if (known := self.settings.get("split")) is None:
                raise UsageError(
                    "the fit had no split, so its data have no parts: leave part out"
                )
            split = Split(**known)
            return part_scores(split, table.source, part, design, self._score)
        return self._score(design, table.source).named(table.source.name)

    def has_part(self, part: str) -> bool:
        """Whether the fit's own data, if it holds them, have such a part."""
        if self._exam is None or self._exam.prepared.split is None:
            return part == "train"
        return self._exam.prepared.split.has(part, self._exam.prepared.whole)

    @property
    def scores(self) -> dict[str, Scores]:
        """The scores known so far, by part; those of "train" are `metrics`."""
        known = {} if self._exam is None else self._exam.known
        return {"train": self.metrics.named("train")} | known

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
            return self.scores["train"]
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

    def plot(self, path: str | FilePath | None = None) -> Figure:
        """Draw the fit: the line over the points, or predicted against actual.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: the fit was loaded from a file, which holds no rows to draw.
        """
        from gradline.plots import draw_fit

        return _saved(draw_fit(self), path)

    def save(self, path: str | FilePath) -> None:
        """Write the fit to one safetensors file, whole or not at all.

        Raises:
            FileError: it cannot be written; what was there before is untouched.
        """
        from gradline.save import save

        save(self, path)

    def at(self, epoch: int) -> Fit:
        """The fit after `epoch` epochs of its descent, certified and scored.

        Args:
            epoch: any from 0 to 10 million for SGD, beyond the last one too; one that
                was recorded, for another optimiser and for a fit that was loaded.

        Raises:
            DataError: there was no descent; or that epoch was not recorded.
        """
        self._refuse_network("the model at other epochs")
        from gradline.retrace import at

        found = at(self, epoch)
        if self._exam is not None:
            found.examined(self._exam.prepared)
        return found

    def loss_surface(
        self,
        x: str | None = None,
        y: str | None = None,
        *,
        span: tuple[tuple[float, float], tuple[float, float]] | None = None,
        points: int = 101,
        others: Literal["optimum", "fit"] = "optimum",
    ) -> LossSurface:
        """The loss over two coefficients, exactly, on a grid.

        Args:
            x: a term, or "Intercept"; the first term unless told.
            y: another one; the intercept unless told, or the second term without one.
            span: from where to where, for both; unless told, wide enough to show the
                start of the descent, its steps and the optimum.
            points: along each side.
            others: where all other coefficients are: at their best for each point
                ("optimum", a profile), or as in this fit ("fit", a slice).

        Raises:
            DataError: the fit was loaded from a file, or has another loss.
            UsageError: no such coefficient.
        """
        self._refuse_network("the loss over two coefficients")
        from gradline.surface import loss_surface

        return loss_surface(self, x, y, span, points, others)

    def plot_loss(self, path: str | FilePath | None = None) -> Figure:
        """Draw the loss of a descent by epoch, and its gap to the exact optimum.

        The loss of the validation part is drawn beside it where there is one, and the
        epoch that early stopping chose is marked.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: there was no descent to draw.
        """
        from gradline.plots import loss_figure

        if self.trace is None:
            from gradline.retrace import no_descent

            raise no_descent(self, "losses to draw")
        optimum = self.certificate.optimum_loss
        figure = loss_figure(
            self.trace.epochs,
            self.trace.losses,
            optimum=None if np.isnan(optimum) else optimum,
            validation=self.trace.validation_losses,
            chosen=self.trace.best_epoch,
        )
        return _saved(figure, path)

    def plot_alpha(self, path: str | FilePath | None = None) -> Figure:
        """Draw the cross-validated error over alpha, and the alpha that was chosen.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: alpha was not chosen by the data, or the fit was loaded.
        """
        if self.cross_validation is None:
            raise DataError(
                "there is no curve of alpha: fit with penalty='ridge', alpha='cv'"
            )
        figure: Figure = self.cross_validation.plot(path)
        return figure

    def plot_surface(
        self,
        path: str | FilePath | None = None,
        terms: Sequence[str] | None = None,
    ) -> Figure:
        """Draw the loss over two coefficients, and the path of the descent across it.

        Its contours are the ellipses of `loss_surface`, all other coefficients at
        their best.

        Args:
            path: where to write it too: .png, .svg or .pdf.
            terms: which two; "Intercept" may be one. The first two terms unless told,
                or the only one and the intercept.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: as `loss_surface`.
            UsageError: not two coefficients, or one that is not there.
        """
        self._refuse_network("the loss over two coefficients")
        from gradline.plots import draw_surface

        return _saved(draw_surface(self, terms), path)

    def __repr__(self) -> str:
        return (
            f"<Fit of {self.target!r} on {len(self.design.terms)} terms, "
            f"{self.rows:,} rows, {self.method}, {self.certificate.status}>"
        )

    def __str__(self) -> str:
        from gradline.terminal import fit_table

        return fit_table(self)

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
        reading = {"categories": self.design.texts} | reading
        table = open_table(
            data,
            y,
            target=self.design.target,
            weights=weights,
            names=self.design.features,
            **reading,
        )
        check_target(table.source, self.design.target)
        self.design.check_columns(table.source)
        wanted = self.design.weights
        if wanted is not None and wanted not in {c.name for c in table.source.columns}:
            raise UsageError(
                f"the fit was weighted by {wanted!r}, which {table.source.name} lacks: "
                "give weights too"
            )
        return table.source

    def _refuse_network(self, what: str) -> None:
        """Say that a module has no coefficients."""
        if self._network is not None:
            raise DataError(
                f"{what} is known for a line, and this fit is a module of your own: "
                "fit without model"
            )

    def _missing_in(self, batch: Batch, row: int) -> str | None:
        """The first feature that is missing in a row of a batch."""
        for name in self.design.features:
            if name not in self.design.numbers:
                if batch.category(name)[0][row] < 0:
                    return name
            elif np.isnan(batch.numbers([name])[row, 0]):
                return name
        return None


def _saved(figure: Figure, path: str | FilePath | None) -> Figure:
    """A figure, written to a file too where one is named."""
    if path is not None:
        from gradline.plots import save_figure

        save_figure(figure, path)
    return figure
