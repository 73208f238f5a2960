"""A Fit as plain values: what the table, the JSON and the report all render."""

from __future__ import annotations

from typing import Any

from gradline.inference import Inference
from gradline.result import Fit
from gradline.scores import Trace


def summary(
    fit: Fit, model_path: str | None = None, inference: Inference | None = None
) -> dict[str, Any]:
    """A fit as one JSON-ready object.

    Args:
        fit: the fit.
        model_path: where it was saved.
        inference: what to say of the coefficients; the classic kind unless told.

    Returns:
        target, features, formula (or None), coefficients (by term), intercept, rows,
        dropped, method, settings, metrics, scores (by part), certificate, inference (or
        None, with the reason among the notes), trace (or None), notes, model.
        Infinities and NaN are left for `save.strict_json` to make null.
    """
    reason = fit.no_inference
    if inference is None and reason is None:
        inference = fit.inference()
    notes = [*fit.notes]
    encoding = fit.design.encoding
    notes += [inference.note] if inference is not None and inference.note else []
    notes += [scores.note for scores in fit.scores.values() if scores.note]
    notes += [reason] if inference is None and reason is not None else []
    return {
        "target": fit.target,
        "features": list(fit.design.features),
        "formula": None if encoding is None else encoding.text or None,
        "coefficients": dict(fit.coefficients),
        "intercept": fit.intercept,
        "rows": fit.rows,
        "dropped": fit.dropped,
        "method": fit.method,
        "settings": dict(fit.settings),
        "metrics": fit.metrics.at_hand,
        "scores": {part: scores.to_dict() for part, scores in fit.scores.items()},
        "certificate": fit.certificate.to_dict(),
        "inference": None if inference is None else inference.to_dict(),
        "trace": None if fit.trace is None else trace_summary(fit.trace),
        "notes": notes,
        "model": model_path,
    }


def trace_summary(trace: Trace) -> dict[str, Any]:
    """A trace as lists: epochs and losses; the weights are in the model file."""
    found = {"epochs": trace.epochs.tolist(), "losses": trace.losses.tolist()}
    if trace.validation_losses is not None:
        found["validation_losses"] = trace.validation_losses.tolist()
    return found | {"best_epoch": trace.best_epoch}
