"""What is told of the model: what it predicts, from what, and how good it is.

Nothing of where it came from: no path, no data.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gradline import __version__
from gradline.design import Design
from gradline.result import Fit
from gradline.serving.limits import Limits


def model_version(path: str | Path) -> str:
    """A model file's fingerprint: another fit has another one."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def facts(
    fit: Fit, name: str, version: str, limits: Limits, no_interval: str | None
) -> dict[str, Any]:
    """All of it, JSON-ready but for NaN and infinities.

    Args:
        fit: the model.
        name: its file's name.
        version: its fingerprint.
        limits: of a request.
        no_interval: why there are no intervals, or None.
    """
    encoding = fit.design.encoding
    return {
        "name": name,
        "version": version,
        "gradline": __version__,
        "target": fit.target,
        "formula": None if encoding is None else encoding.text or None,
        "features": [feature(fit.design, name) for name in fit.design.features],
        "coefficients": dict(fit.coefficients),
        "intercept": fit.intercept,
        "method": fit.how,
        "rows": fit.rows,
        "metrics": fit.metrics.at_hand,
        "certificate": fit.certificate.to_dict(),
        "notes": list(fit.notes),
        "intervals": no_interval is None,
        "no_intervals": no_interval,
        "limits": {
            "body": limits.body,
            "rows": limits.rows,
            "seconds": limits.seconds,
            "concurrency": limits.concurrency,
        },
    }


def feature(design: Design, name: str) -> dict[str, Any]:
    """A column that is predicted from: its name, its kind, and its levels if any."""
    if name in design.levels:
        kind = "number" if name in design.numbers else "category"
        return {"name": name, "kind": kind, "levels": list(design.levels[name])}
    return {"name": name, "kind": "number", "levels": None}


def example_row(fit: Fit) -> dict[str, Any]:
    """A row that can be predicted: means, to three digits, and first levels."""
    design = fit.design
    means = dict(zip(design.terms, fit.center.tolist(), strict=True))
    row: dict[str, Any] = {}
    for name in design.features:
        if name not in design.levels:
            row[name] = float(f"{means.get(name, 1.0):.3g}")
        elif name in design.numbers:
            row[name] = float(design.levels[name][0])
        else:
            row[name] = design.levels[name][0]
    return row
