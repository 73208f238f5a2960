"""Penalties and bounds: coordinate descent on the state."""

from __future__ import annotations

from typing import Any

from gradline.data import Progress
from gradline.objective import Penalty
from gradline.prepare import Prepared
from gradline.result import Fit


def fit_penalized(
    prepared: Prepared,
    penalty: Penalty | None,
    bounds: Any,
    folds: Any,
    progress: Progress | None,
) -> Fit:
    """Fit with a penalty on the slopes, bounds on them, or both."""
    raise NotImplementedError
