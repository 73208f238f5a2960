"""Stochastic gradient descent, batch by batch."""

from __future__ import annotations

from typing import Any

from gradline.data import Progress
from gradline.objective import Loss
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.training import Batches, Training


def fit_minibatch(
    prepared: Prepared,
    loss: Loss,
    training: Training,
    batches: Batches,
    early_stopping: Any,
    progress: Progress | None,
) -> Fit:
    """Fit by minibatches."""
    raise NotImplementedError
