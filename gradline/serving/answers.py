"""Predictions as JSON.

    {"target": "body_mass_g", "predictions": [4334.0, null],
     "model": {"name": "penguins.safetensors", "version": "sha256:..."}}

and with an interval "interval", "kind", "low" and "high". null stands where a row was
not complete. Numbers are written so that they read back as the same float64.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradline.data import Array
from gradline.inference import Intervals
from gradline.save import strict_json
from gradline.serving.limits import Deadline
from gradline.serving.wishes import Options

JSON = "application/json"


def predictions_json(
    target: str,
    model: dict[str, str],
    parts: Sequence[Array | Intervals],
    options: Options,
    due: Deadline,
) -> bytes:
    """An answer as JSON.

    Args:
        target: what is predicted.
        model: its name and version.
        parts: of the predictions, in order.
        options: how they were made.
        due: when the time of the request is up.
    """
    head: dict[str, Any] = {"target": target}
    lists = {"predictions": [p[0] if isinstance(p, Intervals) else p for p in parts]}
    if options.interval is not None:
        head |= {"interval": options.interval, "kind": options.kind}
        ends = [p for p in parts if isinstance(p, Intervals)]
        lists |= {"low": [p.low for p in ends], "high": [p.high for p in ends]}
    found = [json.dumps(head)[:-1]]
    for name, arrays in lists.items():
        found.append(f', "{name}": [')
        for place, array in enumerate(arrays):
            due.check()
            found.append(", " * (place > 0) + _numbers(array))
        found.append("]")
    found.append(f', "model": {json.dumps(model)}}}')
    return "".join(found).encode("ascii")


def _numbers(values: Array) -> str:
    """Numbers with commas between them."""
    plain: list[Any] = values.tolist()
    if np.isnan(values).any():
        plain = [None if value != value else value for value in plain]
    return json.dumps(plain)[1:-1]


def as_json(value: Any) -> bytes:
    """A constant answer."""
    return strict_json(value).encode("utf-8", errors="replace")
