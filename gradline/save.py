"""Model files: one safetensors file holds all that predicting on raw data needs.

Tensors: weight (1, d), bias (1,), center (d,), level (1,); of a descent's trace
trace.epochs, trace.losses, trace.weights, trace.intercepts and, where validation rows
were watched, trace.validation_losses; and for standard errors, up to 2,000 terms,
remainder (d,) and root (d, d), see inference.py. The rest is JSON under the metadata
key "gradline", with a format version. Nothing in such a file can run code, and nothing
in it is believed before it is checked.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradline.blueprint import about_design, count, design_from, number
from gradline.certificate import Certificate
from gradline.data import Array
from gradline.errors import ModelFileError, Status, UsageError
from gradline.evidence import Evidence
from gradline.files import InputFile, check_model_name, replacing
from gradline.modules import PREFIX
from gradline.result import METHODS, Fit
from gradline.scores import Scores, Trace

if TYPE_CHECKING:
    from torch import nn

#: Written into every file; raised when an older reader would misread a newer file:
#: 2 where the design has a formula or a degree, of which older ones knew nothing.
FORMATS = (1, 2)

#: With more terms than this, what standard errors need would be most of the file.
MOST_ROOT = 2_000

_TRACE = ("epochs", "losses", "weights", "intercepts")


def save(fit: Fit, path: str | Path) -> None:
    """Write a fit to `path`, whole or not at all.

    Raises:
        FileError: it cannot be written; what was there before is untouched.
        UsageError: its name is that of another kind of file, such as model.pkl.
    """
    check_model_name(path)
    tensors: dict[str, Any] = {
        "weight": fit.slopes[None, :],
        "bias": np.array([fit.intercept]),
        "center": np.asarray(fit.center, dtype=np.float64),
        "level": np.array([fit.level]),
    }
    if fit.trace is not None:
        for name in _TRACE[: 2 if fit._network is not None else 4]:
            tensors[f"trace.{name}"] = np.ascontiguousarray(getattr(fit.trace, name))
        if fit.trace.validation_losses is not None:
            tensors["trace.validation_losses"] = np.ascontiguousarray(
                fit.trace.validation_losses
            )
    known = fit.evidence
    if fit.no_inference is not None or len(fit.coefficients) > MOST_ROOT:
        known = None
    if known is not None:
        tensors["remainder"] = np.ascontiguousarray(known.remainder)
        tensors["root"] = np.ascontiguousarray(known.root)
        tensors["across"] = np.ascontiguousarray(known.across)
    about = {
        "format": FORMATS[fit.design.encoding is not None],
        "design": about_design(fit.design),
        "certificate": fit.certificate.to_dict(),
        "metrics": fit.metrics.at_hand,
        "method": fit.method,
        "rows": fit.rows,
        "dropped": fit.dropped,
        "settings": fit.settings,
        "notes": list(fit.notes),
        "best_epoch": None if fit.trace is None else fit.trace.best_epoch,
        "evidence": None if known is None else _about_evidence(known),
    }
    if fit._network is not None:
        for name in ("weight", "bias", "level"):
            del tensors[name]
        about["network"] = fit._network.about()
    content = _to_bytes(fit, tensors, {"gradline": strict_json(about)})
    with replacing(path) as beside:
        beside.write_bytes(content)


def _to_bytes(fit: Fit, tensors: dict[str, Any], about: dict[str, str]) -> bytes:
    from safetensors import numpy, torch

    if fit._network is None:
        return numpy.save(tensors, metadata=about)
    import torch as of

    found = {name: of.from_numpy(value) for name, value in tensors.items()}
    return torch.save(found | fit._network.tensors(), metadata=about)


def load(path: str | Path, model: nn.Module | None = None) -> Fit:
    """Read a fit that `save` wrote; it predicts on raw data.

    Args:
        path: of the file.
        model: of a fit of a torch module, a module of the same shape: files hold no
            code. It stays as it is; a copy gets the tensors.

    Raises:
        UsageError: a module is needed and not given, not needed and given, or of
            another shape.
        FileError: the file cannot be read.
        ModelFileError: it is not a gradline model, is damaged, or is of a newer format.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"path is {path!r}: give the path of a model file")
    path = Path(path)
    tensors, text = _read(path)
    try:
        about = json.loads(text)
        if not isinstance(about, dict):
            raise ValueError("its description is no object")
        if about.get("format") not in FORMATS:
            raise ModelFileError(
                f"{path.name} has the model format {about.get('format')!r} and this "
                f"gradline reads {FORMATS[0]} to {FORMATS[-1]}: update gradline"
            )
        if about.get("network") is not None or model is not None:
            return _network_fit(path, tensors, about, model)
        return _fit(tensors, about)
    except (ModelFileError, UsageError):
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        why = f"{error.args[0]}" if error.args else type(error).__name__
        why = " ".join(why.split())[:120]
        raise ModelFileError(
            f"{path.name} is damaged or was not written by gradline ({why}): fit again"
        ) from None


def strict_json(value: Any, indent: int | None = None) -> str:
    """JSON that any reader takes: NaN and infinities become null."""
    return json.dumps(
        _finite(value), allow_nan=False, ensure_ascii=False, indent=indent
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, np.ndarray):
        plain = value.dtype.kind in "biuf" and bool(np.isfinite(value).all())
        return value.tolist() if plain else _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    return value


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """All tensors, and gradline's part of the metadata, of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    not_ours = ModelFileError(
        f"{path.name} is not a gradline model: give a file that gradline saved"
    )
    if path.is_file() and path.stat().st_size == 0:
        raise not_ours
    with InputFile(path).reading():
        try:
            with safe_open(str(path), framework="np") as file:
                text = (file.metadata() or {}).get("gradline")
                names = [n for n in file.keys() if not n.startswith(PREFIX)]  # noqa: SIM118
                tensors = {name: file.get_tensor(name) for name in names}
        except OSError:
            raise
        except (SafetensorError, ValueError, TypeError, AttributeError, OverflowError):
            raise not_ours from None
    if text is None:
        raise not_ours
    return tensors, text


def _network_fit(
    path: Path, tensors: dict[str, Any], about: dict[str, Any], model: Any
) -> Fit:
    """A fit of a torch module, whose code the file does not hold."""
    known = about.get("network")
    if known is None:
        raise UsageError(
            f"{path.name} holds a line, which needs no module: leave model out"
        )
    kind = known["class"]
    if not isinstance(kind, str) or not isinstance(known["standardize"], bool):
        raise ValueError("the module is not described")
    if model is None:
        raise UsageError(
            f"{path.name} holds the weights of a {kind}, and no model file holds code: "
            "give a module like it too, gl.load(path, model=...)"
        )
    from safetensors import safe_open
    from torch import nn

    from gradline.modules import restored

    if not isinstance(model, nn.Module):
        raise UsageError(f"model is a {type(model).__name__}: give a torch.nn.Module")
    with safe_open(str(path), framework="pt") as file:
        own = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    d = len(design_from(about["design"]).terms)
    tensors = tensors | {
        "weight": np.zeros((1, d)),
        "bias": np.zeros(1),
        "level": np.zeros(1),
    }
    k = len(tensors.get("trace.epochs", ()))
    tensors |= {"trace.weights": np.zeros((k, d)), "trace.intercepts": np.zeros(k)}
    fit = _fit(tensors, about)
    trace = fit.trace
    if trace is not None:
        trace = dataclasses.replace(
            trace, weights=np.empty((k, 0)), intercepts=np.full(k, math.nan)
        )
    return dataclasses.replace(
        fit,
        coefficients={},
        intercept=math.nan,
        level=math.nan,
        trace=trace,
        _network=restored(own, known, model, path.name),
    )


def _fit(tensors: dict[str, Any], about: dict[str, Any]) -> Fit:
    design = design_from(about["design"])
    terms = design.terms
    d = len(terms)
    weight = _tensor(tensors, "weight", (1, d))
    bias = _tensor(tensors, "bias", (1,))
    center = _tensor(tensors, "center", (d,))
    level = _tensor(tensors, "level", (1,))
    trace = None
    if "trace.epochs" in tensors:
        epochs = tensors["trace.epochs"]
        if epochs.ndim != 1 or epochs.dtype != np.int64:
            raise ValueError("trace.epochs is no list of whole numbers")
        k = len(epochs)
        seen = None
        if "trace.validation_losses" in tensors:
            seen = _tensor(tensors, "trace.validation_losses", (k,))
        best = about.get("best_epoch")
        if best is not None and count(best) not in epochs:
            raise ValueError(f"the best epoch {best}")
        trace = Trace(
            epochs,
            _tensor(tensors, "trace.losses", (k,)),
            _tensor(tensors, "trace.weights", (k, d)),
            _tensor(tensors, "trace.intercepts", (k,)),
            seen,
            best,
        )
    method = about["method"]
    if method not in METHODS:
        raise ValueError(f"method {str(method)[:20]!r}")
    settings, notes = about["settings"], about["notes"]
    if not isinstance(settings, dict) or not all(isinstance(n, str) for n in notes):
        raise ValueError("settings or notes")
    return Fit(
        coefficients=dict(zip(terms, weight[0].tolist(), strict=True)),
        intercept=float(bias[0]),
        certificate=_certificate(about["certificate"]),
        trace=trace,
        metrics=_scores(about["metrics"]),
        method=method,
        rows=count(about["rows"]),
        dropped=count(about["dropped"]),
        design=design,
        settings=settings,
        notes=tuple(notes),
        center=center,
        level=float(level[0]),
        evidence=_evidence(tensors, about["evidence"], d),
    )


def _about_evidence(known: Evidence) -> dict[str, Any]:
    return {
        "rows": known.rows,
        "weight": known.weight,
        "log_weights": known.log_weights,
        "variance": known.variance,
        "level": known.level,
    }


def _evidence(
    tensors: dict[str, Any], about: dict[str, Any] | None, d: int
) -> Evidence | None:
    if about is None:
        return None
    weight, log_weights, variance, level = (
        number(about[name], math.nan)
        for name in ("weight", "log_weights", "variance", "level")
    )
    if not all(map(math.isfinite, (weight, log_weights, variance, level))):
        raise ValueError("the evidence is not finite")
    if weight <= 0 or variance < 0:
        raise ValueError("the evidence has a negative size")
    return Evidence(
        rows=count(about["rows"]),
        weight=weight,
        log_weights=log_weights,
        variance=variance,
        level=level,
        center=_tensor(tensors, "center", (d,)),
        remainder=_tensor(tensors, "remainder", (d,)),
        saved=(
            _tensor(tensors, "root", (d, d)),
            _tensor(tensors, "across", (d,)),
        ),
    )


def _tensor(tensors: dict[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    values: Array = tensors[name]
    if values.shape != shape or values.dtype != np.float64:
        raise ValueError(f"{name} has shape {values.shape} and type {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite")
    return values


def _scores(about: dict[str, Any]) -> Scores:
    return Scores(
        number(about["r2"], math.nan),
        number(about["rmse"], math.nan),
        number(about["mae"], math.nan),
        count(about["rows"]),
    )


def _certificate(about: dict[str, Any]) -> Certificate:
    values: dict[str, Any] = {}
    bound = about.get("bound", "exact")
    if bound not in ("exact", "duality", "gradient", "none"):
        raise ValueError(f"bound {str(bound)[:20]!r}")
    for field in dataclasses.fields(Certificate):
        if field.name not in about and field.default is not dataclasses.MISSING:
            continue  # a field that files did not have from the beginning
        value = about[field.name]
        if field.name == "status":
            value = Status(value)
        elif field.name in ("rank", "columns"):
            value = count(value)
        elif field.name == "epochs_needed":
            value = None if value is None else count(value)
        elif field.name in ("advice", "solver", "objective", "bound"):
            if not isinstance(value, str):
                raise ValueError(f"{field.name} is no text")
        elif field.name == "dependent":
            value = tuple(str(name) for name in value)
        else:
            infinite = bound == "exact" or field.name == "condition"
            value = number(value, math.inf if infinite else math.nan)
        values[field.name] = value
    return Certificate(**values)
