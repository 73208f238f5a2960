"""A run for MLflow, by whatever MLflow the user has: mlflow or mlflow-skinny.

    for step in gl.log_mlflow(gl.descend(model, x, y, lr=0.1), params={"lr": 0.1}):
        ...
    gl.log_fit_mlflow(fit)

Both write to the active run. Where there is none they start one and end it; a run that
was there before stays open. Into one that log_mlflow started and still writes to, no
other is mixed. Metrics go in batches, about one a second: MLflow's server
may be far away.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradline.errors import MissingExtraError, UsageError
from gradline.files import said
from gradline.save import strict_json
from gradline.sinks import (
    MOST_NUMBERS,
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
from gradline.summary import summary

if TYPE_CHECKING:
    from gradline.result import Fit

#: MLflow takes so many metrics, and so many params, in one call.
_BATCH, _PARAMS = 1000, 100

#: A param is cut to so many characters; MLflow refuses more than 6,000.
_LONGEST = 500

#: Seconds between two batches.
_PAUSE = 1.0

#: So many epochs of a fit's descent are logged, at the most.
_EPOCHS = 500

#: The runs that were started here and are still written to, by id.
_open_runs: set[str] = set()


def log_mlflow(
    steps: Iterable[S],
    *,
    every: int = 1,
    params: dict[str, Any] | None = None,
) -> Followed[S]:
    """Write steps as metrics of an MLflow run, and yield each of them on.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
        every: write the first step, then one in so many epochs (or batches), and the
            last.
        params: settings of the run, such as {"lr": 0.1}.

    Returns:
        A gl.Followed: an iterator of the same steps, and a context manager.

    Raises:
        MissingExtraError: MLflow is not installed.
        UsageError: what was given are no steps; another log_mlflow has not ended yet;
            or MLflow refuses, and what it says.
    """
    every = check_steps(steps, every, "log_mlflow")
    known = flat_params(plain_params(params))
    return followed(steps, _Metrics(_mlflow("log_mlflow"), known), every)


def log_fit_mlflow(fit: Fit, *, model_file: str | None = "model.safetensors") -> str:
    """Write a fit to an MLflow run: params, metrics, the certificate, the model file.

    Params are the fit's settings; metrics its scores, its certificate's numbers, its
    coefficients and, of a descent, the loss by epoch; tags the certificate's status and
    advice. fit.json holds all of it, as `gradline fit --json` says it.

    Args:
        fit: the fit.
        model_file: the name of the model's artifact, for gl.load; None for none.

    Returns:
        The id of the run.

    Raises:
        MissingExtraError: MLflow is not installed.
        UsageError: this is no fit; or MLflow refuses, and what it says.
    """
    if not hasattr(fit, "certificate"):
        raise UsageError(
            f"log_fit_mlflow was given a {type(fit).__name__}: give a fit of gl.fit, "
            "or steps to log_mlflow"
        )
    sink = _Metrics(_mlflow("log_fit_mlflow"), flat_params(_settings(fit)))
    sink.open()
    ending: Ending = "failed"
    failure: BaseException | None = None
    try:
        for name, value in _measures(fit).items():
            sink.put(name, value, 0)
        if fit.trace is not None:
            places = np.linspace(0, len(fit.trace) - 1, min(len(fit.trace), _EPOCHS))
            for k in np.unique(places.round().astype(int)).tolist():
                sink.put("loss", float(fit.trace.losses[k]), int(fit.trace.epochs[k]))
        sink.tag("certificate.status", str(fit.certificate.status))
        sink.tag("certificate.advice", fit.certificate.advice)
        with tempfile.TemporaryDirectory() as folder:
            about = Path(folder) / "fit.json"
            about.write_text(strict_json(summary(fit), indent=2), encoding="utf-8")
            sink.artifact(about)
            if model_file is not None:
                file = Path(folder) / Path(model_file).name
                fit.save(file)
                sink.artifact(file)
        ending = "finished"
    except BaseException as error:
        failure = error
        raise
    finally:
        sink.close(ending, failure, 0)
    return sink.run_id


class _Metrics:
    """An MLflow run, while it is written to."""

    def __init__(self, mlflow: Any, params: dict[str, Any]) -> None:
        self._mlflow, self._params = mlflow, params
        self._tags, self._own = Tags(), False
        self._waiting: list[Any] = []
        self._sent = 0.0
        self.run_id = ""

    def open(self) -> None:
        with _refusals():
            active = self._mlflow.active_run()
            if active is not None and active.info.run_id in _open_runs:
                raise UsageError(
                    "an earlier log_mlflow is still writing to the run it started, and "
                    "this one would be mixed into it: end that first, by its .close() "
                    "or mlflow.end_run(), or stand it in a `with` block"
                )
            self._own = active is None
            run = self._mlflow.start_run() if active is None else active
            self._client = self._mlflow.MlflowClient()
        self.run_id = run.info.run_id
        if self._own:
            _open_runs.add(self.run_id)
        self._sent = time.monotonic()
        try:
            self._settings()
        except BaseException as error:
            self._end("FAILED" if isinstance(error, Exception) else "KILLED")
            raise

    def write(self, place: int, step: Any) -> None:
        for name, value in scalars_of(step).items():
            self.put(name, value, place)

    def put(self, name: str, value: float, place: int) -> None:
        """A number at a step, sent with others; infinite ones as MLflow has them."""
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric(self._tags.of(name), value, now, place)
        self._waiting.append(metric)
        late = time.monotonic() - self._sent > _PAUSE
        if late or len(self._waiting) >= _BATCH:
            self._send()

    def tag(self, name: str, value: str) -> None:
        """A word about the run."""
        with _refusals():
            self._client.set_tag(self.run_id, name, value)

    def artifact(self, file: Path) -> None:
        """A file of the run."""
        with _refusals():
            self._client.log_artifact(self.run_id, str(file))

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        status = "FINISHED"
        if ending == "failed":
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
        try:
            self._send()
        finally:
            self._end(status)

    def _settings(self) -> None:
        kind = self._mlflow.entities.Param
        tags = Tags()
        params = [
            kind(tags.of(name), str(value)[:_LONGEST])
            for name, value in self._params.items()
            if value is not None
        ]
        for first in range(0, len(params), _PARAMS):
            with _refusals():
                some = params[first : first + _PARAMS]
                self._client.log_batch(self.run_id, params=some)

    def _send(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            with _refusals():
                self._client.log_batch(self.run_id, metrics=some)
        self._sent = time.monotonic()

    def _end(self, status: str) -> None:
        """End the run that was started here, and no other."""
        _open_runs.discard(self.run_id)
        active = self._mlflow.active_run()
        if self._own and active is not None and active.info.run_id == self.run_id:
            with _refusals():
                self._mlflow.end_run(status)


def _settings(fit: Fit) -> dict[str, Any]:
    """What a fit was made by."""
    features = list(fit.design.features)
    about = {
        "target": fit.target,
        "features": ", ".join(features[:40]) + ", ..." * (len(features) > 40),
        "method": fit.method,
        "rows": fit.rows,
        "dropped": fit.dropped,
    }
    return about | plain_params(fit.settings)


def _measures(fit: Fit) -> dict[str, float]:
    """The numbers of a fit by name; what is not known is left out."""
    found: dict[str, float] = {}
    for part, scores in fit.scores.items():
        for name in ("r2", "rmse", "mae"):
            found[f"{part}/{name}"] = scores.at_hand[name]
    for name, value in fit.certificate.to_dict().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[f"certificate/{name}"] = float(value)
    if len(fit.coefficients) <= MOST_NUMBERS:
        for term, value in fit.coefficients.items():
            found[f"coefficient/{term}"] = value
    if fit.coefficients:
        found["intercept"] = fit.intercept
    return {name: value for name, value in found.items() if not math.isnan(value)}


@contextmanager
def _refusals() -> Iterator[None]:
    """A block in which what MLflow refuses becomes one sentence."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise UsageError(
            f"MLflow refuses: {said(error)}; look at mlflow.get_tracking_uri() and at "
            "the run it has active"
        ) from error


def _mlflow(call: str) -> Any:
    try:
        import mlflow
        import mlflow.entities
    except ImportError:
        raise MissingExtraError(
            f"MLflow is not installed, which {call} needs: pip install mlflow"
        ) from None
    return mlflow
