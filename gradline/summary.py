"""A Fit as plain values: what the table, the JSON and the report all render."""

from __future__ import annotations

from typing import Any

from gradline.result import Fit, Trace


def summary(fit: Fit, model_path: str | None = None) -> dict[str, Any]:
    """A fit as one JSON-ready object.

    Args:
        fit: the fit.
        model_path: where it was saved.

    Returns:
        target, features, coefficients (by term), intercept, rows, dropped, method,
        settings, metrics, certificate, trace (or None), notes, model. Infinities and
        NaN are left for `save.strict_json` to make null.
    """
    return {
        "target": fit.target,
        "features": list(fit.design.features),
        "coefficients": dict(fit.coefficients),
        "intercept": fit.intercept,
        "rows": fit.rows,
        "dropped": fit.dropped,
        "method": fit.method,
        "settings": dict(fit.settings),
        "metrics": dict(fit.metrics),
        "certificate": fit.certificate.to_dict(),
        "trace": None if fit.trace is None else trace_summary(fit.trace),
        "notes": list(fit.notes),
        "model": model_path,
    }


def trace_summary(trace: Trace) -> dict[str, Any]:
    """A trace as lists: epochs and losses; the weights are in the model file."""
    return {"epochs": trace.epochs.tolist(), "losses": trace.losses.tolist()}
