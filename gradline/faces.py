"""What a fit shows of itself: pictures, its loss, other epochs, a file.

Each face lies above a fit in the layout and is loaded when its method is called, so
that a fit costs nothing for what is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from gradline.errors import DataError
from gradline.sinks import FitStep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradline.data import Progress
    from gradline.inference import Inference
    from gradline.paraboloid import LossSurface
    from gradline.reported import Report


class Faces:
    """The faces of a Fit, which is the only class with them."""

    def plot(self, path: str | FilePath | None = None) -> Figure:
        """Draw the fit: the line over the points, or predicted against actual.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: the fit was loaded from a file, which holds no rows to draw.
        """
        from gradline.plots import draw_fit, saved

        fit: Any = self
        return saved(draw_fit(fit), path)

    def save(self, path: str | FilePath) -> None:
        """Write the fit to one safetensors file, whole or not at all.

        Raises:
            FileError: it cannot be written; what was there before is untouched.
            UsageError: its name is that of another kind of file, such as model.pkl.
        """
        from gradline.save import save

        fit: Any = self
        save(fit, path)

    def export(
        self,
        path: str | FilePath,
        to: Literal["pytorch", "onnx", "sql"] | None = None,
        *,
        table: str | None = None,
        column: str | None = None,
    ) -> None:
        """Write the fit as something that predicts without gradline.

        Args:
            path: where to write it; its end, .py, .onnx or .sql, says what.
            to: "pytorch", a plain script that needs torch alone; "onnx", a graph for
                onnxruntime and others; "sql", a SELECT for DuckDB, SQLite and others.
            table: of SQL, where the features are: "data" unless told.
            column: of SQL, the name of the predictions: "prediction" unless told.

        Raises:
            FileError: it cannot be written; what was there before is untouched.
            MissingExtraError: onnx is needed and not installed.
            UsageError: the path does not say what to write; or the fit is a module of
                your own, whose code gradline does not have.
        """
        from gradline.export import export

        fit: Any = self
        export(fit, path, to, table=table, column=column)

    def to_sql(self, table: str = "data", column: str | None = None) -> str:
        """The fit as a SELECT for DuckDB, SQLite and others: see `export`.

        Args:
            table: where the features are.
            column: the name of the predictions, beside all columns of the table;
                prediction where it is None, with _ behind it where a feature is
                called that.
        """
        from gradline.export import sql_of

        fit: Any = self
        return sql_of(fit, table, column)

    def save_pretrained(self, folder: str | FilePath) -> None:
        """Write the fit, config.json and a model card into a folder.

        It is what `push_to_hub` uploads, and `gl.from_pretrained` reads.

        Args:
            folder: made where it is not there. Its README.md stays as it is.

        Raises:
            FileError: it cannot be written.
            MissingExtraError: huggingface-hub is not installed.
        """
        from gradline.hub import save_pretrained

        fit: Any = self
        save_pretrained(fit, folder)

    def push_to_hub(self, repo: str, **options: Any) -> str:
        """Upload the fit, with a model card, to the Hugging Face Hub.

        Args:
            repo: such as "you/penguins"; made where it is not there.
            **options: those of huggingface_hub.ModelHubMixin.push_to_hub: private,
                token, branch, commit_message, create_pr.

        Returns:
            The address of the commit.

        Raises:
            FileError: the Hub refuses, or is out of reach.
            MissingExtraError: huggingface-hub is not installed.
        """
        from gradline.hub import push_to_hub

        fit: Any = self
        return push_to_hub(fit, repo, **options)

    def report(
        self,
        path: str | FilePath = "report.html",
        *,
        data: Any = None,
        y: Any = None,
        weights: Any = None,
        inference: Inference | None = None,
        progress: Progress | None = None,
        **reading: Any,
    ) -> Report:
        """Write all there is to know of the fit into one HTML file, to send or print.

        It needs nothing else, opens offline and weighs less than 300 kB: what was
        fitted on what, the certificate, coefficients with their intervals, scores,
        pictures of the fit and its residuals, what to watch, and how to do it again.
        Any number of rows is read once. The test part is told of where it was scored
        before; it is not read here.

        Args:
            path: where to write it.
            data: the data of the fit, where it was loaded from a file, which holds no
                rows; a path gets a fingerprint. All rows: its split is made again.
            y: the target, unless it is a column of data.
            weights: the weights, if the fit had them and they are no column of data.
            inference: what to say of the coefficients, such as fit.inference("HC3");
                the classic kind unless told.
            progress: True for a bar; or what is told how reading gets on.
            **reading: delimiter, encoding, decimal of a CSV file.

        Returns:
            A Report: .file, .bytes, and .findings, what it warns of.

        Raises:
            DataError: the data are not those of the fit.
            FileError: it cannot be written; what was there before is untouched.
            UsageError: its name ends in neither .html nor .htm.
        """
        from gradline.report import report_of

        fit: Any = self
        given = {"data": data, "y": y, "weights": weights, "reading": reading}
        return report_of(fit, path, given, inference=inference, progress=progress)

    def at(self, epoch: int) -> Self:
        """The fit after `epoch` epochs of its descent, certified and scored.

        Args:
            epoch: any from 0 to 10 million for SGD, beyond the last one too; one that
                was recorded, for another optimiser and for a fit that was loaded.

        Raises:
            DataError: there was no descent; or that epoch was not recorded.
        """
        from gradline.retrace import at

        fit: Any = self
        _refuse_network(fit, "the model at other epochs")
        found: Any = at(fit, epoch)
        if fit._exam is not None:
            found._examined(fit._exam.prepared)
        return found  # type: ignore[no-any-return]

    def steps(self) -> Iterator[FitStep]:
        """Its descent, epoch by epoch, for the consumers of gl.descend's steps.

            gl.last(gl.log_jsonl(fit.steps(), "run.jsonl"))

        Yields:
            A FitStep for each epoch that the trace recorded: the start, which is epoch
            0, and the last one among them. Its loss is that at its weights.

        Raises:
            DataError: there was no descent.
        """
        from gradline.retrace import no_descent

        fit: Any = self
        if fit.trace is None:
            raise no_descent(fit, "epochs")
        return _steps_of(fit)

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
        from gradline.surface import loss_surface

        fit: Any = self
        _refuse_network(fit, "the loss over two coefficients")
        return loss_surface(fit, x, y, span, points, others)

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
        from gradline.plots import loss_figure, saved
        from gradline.retrace import no_descent

        fit: Any = self
        if fit.trace is None:
            raise no_descent(fit, "losses to draw")
        optimum = fit.certificate.optimum_loss
        figure = loss_figure(
            fit.trace.epochs,
            fit.trace.losses,
            optimum=None if np.isnan(optimum) else optimum,
            validation=fit.trace.validation_losses,
            chosen=fit.trace.best_epoch,
        )
        return saved(figure, path)

    def plot_alpha(self, path: str | FilePath | None = None) -> Figure:
        """Draw the cross-validated error over alpha, and the alpha that was chosen.

        Args:
            path: where to write it too: .png, .svg or .pdf.

        Returns:
            A matplotlib Figure.

        Raises:
            DataError: alpha was not chosen by the data, or the fit was loaded.
        """
        fit: Any = self
        if fit.cross_validation is None:
            if fit.settings.get("cross_validation"):
                raise DataError(
                    "the curve of alpha is not saved with a model: fit again, and draw "
                    "it from that fit"
                )
            raise DataError(
                "there is no curve of alpha: fit with a penalty and alpha='cv'"
            )
        figure: Figure = fit.cross_validation.plot(path)
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
        from gradline.plots import draw_surface, saved

        fit: Any = self
        _refuse_network(fit, "the loss over two coefficients")
        return saved(draw_surface(fit, terms), path)


def _steps_of(fit: Any) -> Iterator[FitStep]:
    trace, terms = fit.trace, list(fit.coefficients)
    seen = trace.validation_losses
    for k, epoch in enumerate(trace.epochs.tolist()):
        yield FitStep(
            epoch,
            float(trace.losses[k]),
            dict(zip(terms, trace.weights[k].tolist(), strict=True)) if terms else {},
            float(trace.intercepts[k]) if fit.design.intercept and terms else None,
            None if seen is None else float(seen[k]),
        )


def _refuse_network(fit: Any, what: str) -> None:
    """Say that a module has no coefficients."""
    if fit._network is not None:
        raise DataError(
            f"{what} is known for a line, and this fit is a module of your own: "
            "fit without model"
        )
