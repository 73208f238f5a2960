"""Huber, absolute and quantile loss, from rows that are streamed."""

from __future__ import annotations

from gradline.data import Progress
from gradline.objective import Loss
from gradline.prepare import Prepared
from gradline.result import Fit


def fit_robust(
    prepared: Prepared,
    loss: Loss,
    progress: Progress | None,
) -> Fit:
    """Fit with a loss that is not squared."""
    raise NotImplementedError
