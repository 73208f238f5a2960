"""The loss of rows that are not learned from, at any weights, from their own state.

It is a quadratic of slopes and intercept like the training loss, with an optimum of its
own: nothing is read again, whatever the weights, and nothing large is subtracted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradline.data import Progress, Source
from gradline.design import Design
from gradline.path import PART, Path
from gradline.quadratic import Quadratic, quadratic
from gradline.stopping import EarlyStopping, Stopper
from gradline.survey import Survey, take_survey

#: Epochs looked at in one go, to begin with.
FIRST_LOOK = 512


def held_out(
    source: Source, design: Design, progress: Progress | None = None
) -> Quadratic:
    """The loss of a source's rows over raw slopes and intercept, from one pass.

    Args:
        source: rows that are not learned from.
        design: learned from those that are.
        progress: True for a bar; or what is told how reading gets on.
    """
    found = loss_of(take_survey(source, design, progress))
    return replace(found, unseen=getattr(source, "unseen", 0))


def loss_of(survey: Survey, standardize: bool = False) -> Quadratic:
    """The loss of a survey's rows as a quadratic of slopes and intercept.

    Args:
        survey: of the rows.
        standardize: whether slopes are those of standardised features.
    """
    return quadratic(
        survey.spectrum,
        survey.mean,
        survey.optimum,
        survey.level,
        survey.optimum_loss,
        standardize,
        survey.design.intercept,
    )


def stop_early(
    path: Path, held: Quadratic, rule: EarlyStopping, epochs: int
) -> Stopper:
    """Where a loop over these epochs would have stopped, without walking it.

    Args:
        path: the descent.
        held: the validation loss.
        rule: when to stop.
        epochs: how many there would be.
    """
    stopper = Stopper(rule)
    size = max(1, PART // (path.bowl.root.numel() + 1))
    start, step = 0, min(FIRST_LOOK, size)
    while start <= epochs:
        block = np.arange(start, min(start + step, epochs + 1))
        if stopper.sees(start, held.losses(path.parameters(block))):
            return stopper
        start, step = start + step, min(2 * step, size)
    return stopper
