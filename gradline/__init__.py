"""gradline: linear regression on PyTorch, with a certificate on every fit.

    import gradline as gl

    x, y = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    fit = gl.fit(x, y)
    print(fit)

Names are loaded when they are first used, so that `import gradline` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradline.bar import progress
    from gradline.certificate import Certificate
    from gradline.crossval import CrossValidation
    from gradline.curves import LearningCurve, ValidationCurve
    from gradline.cv import cross_validate
    from gradline.data import Chunk
    from gradline.descent import Step, descend
    from gradline.errors import (
        ColumnError,
        DataError,
        DivergenceError,
        FileError,
        GradlineError,
        MissingExtraError,
        MissingValueError,
        ModelFileError,
        ShapeError,
        Status,
        UsageError,
    )
    from gradline.estimator import LinearRegressor
    from gradline.fitting import certify, fit
    from gradline.folds import GroupKFold, KFold, TimeSeriesFolds
    from gradline.hub import from_pretrained
    from gradline.inference import Inference, Influence, Intervals
    from gradline.jsonlines import LoggedRun, log_jsonl, read_jsonl
    from gradline.learner import Learner
    from gradline.learning import learning_curve
    from gradline.liveplot import live_plot
    from gradline.mlflows import log_fit_mlflow, log_mlflow
    from gradline.model import LinearRegression
    from gradline.objective import Absolute, Huber, Quantile
    from gradline.paraboloid import Ellipse, LossSurface
    from gradline.penaltypath import RegularizationPath, regularization_path
    from gradline.probe import Probe, ProbePath
    from gradline.probescores import ProbeScores
    from gradline.probing import linear_probe
    from gradline.quantiles import Crossings, QuantileFits, fit_quantiles
    from gradline.readers import open_source
    from gradline.result import Fit
    from gradline.ridgecv import RidgeRegressorCV
    from gradline.ridgers import RidgeClassifier, RidgeRegressor
    from gradline.save import load
    from gradline.scores import Scores, Trace
    from gradline.sinks import FitStep, Followed, last
    from gradline.solvers import Solution, solve
    from gradline.splits import Split
    from gradline.state import Moments
    from gradline.stopping import EarlyStopping
    from gradline.synth import sample_linear_data
    from gradline.tensorboards import log_tensorboard
    from gradline.trials import Trial, Tuning
    from gradline.tuning import tune
    from gradline.validating import validation_curve

    __version__: str

_HOME = {
    "Absolute": "objective",
    "Certificate": "certificate",
    "Chunk": "data",
    "ColumnError": "errors",
    "CrossValidation": "crossval",
    "Crossings": "quantiles",
    "DataError": "errors",
    "DivergenceError": "errors",
    "EarlyStopping": "stopping",
    "Ellipse": "paraboloid",
    "FileError": "errors",
    "Fit": "result",
    "FitStep": "sinks",
    "Followed": "sinks",
    "GradlineError": "errors",
    "GroupKFold": "folds",
    "Huber": "objective",
    "Inference": "inference",
    "Influence": "inference",
    "Intervals": "inference",
    "KFold": "folds",
    "Learner": "learner",
    "LearningCurve": "curves",
    "LinearRegression": "model",
    "LinearRegressor": "estimator",
    "LoggedRun": "jsonlines",
    "LossSurface": "paraboloid",
    "MissingExtraError": "errors",
    "MissingValueError": "errors",
    "ModelFileError": "errors",
    "Moments": "state",
    "Probe": "probe",
    "ProbePath": "probe",
    "ProbeScores": "probescores",
    "Quantile": "objective",
    "QuantileFits": "quantiles",
    "RegularizationPath": "penaltypath",
    "RidgeClassifier": "ridgers",
    "RidgeRegressor": "ridgers",
    "RidgeRegressorCV": "ridgecv",
    "Scores": "scores",
    "ShapeError": "errors",
    "Solution": "solvers",
    "Split": "splits",
    "Status": "errors",
    "Step": "descent",
    "TimeSeriesFolds": "folds",
    "Trace": "scores",
    "Trial": "trials",
    "Tuning": "trials",
    "UsageError": "errors",
    "ValidationCurve": "curves",
    "certify": "fitting",
    "cross_validate": "cv",
    "descend": "descent",
    "fit": "fitting",
    "fit_quantiles": "quantiles",
    "from_pretrained": "hub",
    "last": "sinks",
    "learning_curve": "learning",
    "linear_probe": "probing",
    "live_plot": "liveplot",
    "load": "save",
    "log_fit_mlflow": "mlflows",
    "log_jsonl": "jsonlines",
    "log_mlflow": "mlflows",
    "log_tensorboard": "tensorboards",
    "open_source": "readers",
    "progress": "bar",
    "read_jsonl": "jsonlines",
    "regularization_path": "penaltypath",
    "sample_linear_data": "synth",
    "solve": "solvers",
    "tune": "tuning",
    "validation_curve": "validating",
}

__all__ = [
    "Absolute",
    "Certificate",
    "Chunk",
    "ColumnError",
    "CrossValidation",
    "Crossings",
    "DataError",
    "DivergenceError",
    "EarlyStopping",
    "Ellipse",
    "FileError",
    "Fit",
    "FitStep",
    "Followed",
    "GradlineError",
    "GroupKFold",
    "Huber",
    "Inference",
    "Influence",
    "Intervals",
    "KFold",
    "Learner",
    "LearningCurve",
    "LinearRegression",
    "LinearRegressor",
    "LoggedRun",
    "LossSurface",
    "MissingExtraError",
    "MissingValueError",
    "ModelFileError",
    "Moments",
    "Probe",
    "ProbePath",
    "ProbeScores",
    "Quantile",
    "QuantileFits",
    "RegularizationPath",
    "RidgeClassifier",
    "RidgeRegressor",
    "RidgeRegressorCV",
    "Scores",
    "ShapeError",
    "Solution",
    "Split",
    "Status",
    "Step",
    "TimeSeriesFolds",
    "Trace",
    "Trial",
    "Tuning",
    "UsageError",
    "ValidationCurve",
    "certify",
    "cross_validate",
    "descend",
    "fit",
    "fit_quantiles",
    "from_pretrained",
    "last",
    "learning_curve",
    "linear_probe",
    "live_plot",
    "load",
    "log_fit_mlflow",
    "log_jsonl",
    "log_mlflow",
    "log_tensorboard",
    "open_source",
    "progress",
    "read_jsonl",
    "regularization_path",
    "sample_linear_data",
    "solve",
    "tune",
    "validation_curve",
]


if not TYPE_CHECKING:  # or a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        value: Any
        if name == "__version__":
            from importlib.metadata import version

            value = version("gradline")
        elif name in _HOME:
            value = getattr(import_module(f"gradline.{_HOME[name]}"), name)
        else:
            raise AttributeError(f"module 'gradline' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
