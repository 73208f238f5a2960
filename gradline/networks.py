"""Any torch module and any loss, by the same loop."""

from __future__ import annotations

from typing import Any

from torch import nn

from gradline.data import Progress
from gradline.objective import Loss
from gradline.prepare import Prepared
from gradline.result import Fit
from gradline.training import Batches, Training


def fit_network(
    prepared: Prepared,
    model: nn.Module | None,
    loss: Loss | nn.Module,
    training: Training,
    batches: Batches,
    early_stopping: Any,
    progress: Progress | None,
) -> Fit:
    """Train a module on the terms of the design."""
    raise NotImplementedError
