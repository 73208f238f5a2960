"""A state in the units in which a penalty counts slopes.

Slopes of standardised features are raw ones times the standard deviation; a column that
does not vary has none. Ridge and the lasso both begin here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradline.data import Array
from gradline.foldstates import merged
from gradline.solvers import column_scale
from gradline.state import Centred, Moments


class Scaled(NamedTuple):
    """A state measured from its least-squares line.

    state: with its line; sums: its value; live: which columns vary, (d,); divide: what
    a column is divided by, (d,), 1 where it does not vary; matrix: C = XᵀWX / W of the
    columns so divided, (d, d); pull: what is left to explain against them, (d, k).
    """

    state: Moments
    sums: Centred
    live: Any
    divide: Array
    matrix: Array
    pull: Array


def scaled(moments: Moments, standardize: bool) -> Scaled:
    """A state in the units of a penalty; the state given stays as it is.

    Args:
        moments: of d features and k targets.
        standardize: whether slopes of standardised features are counted.
    """
    state = merged([moments])
    state.fit_line()
    sums, W = state.value(), state.weight
    deviation = column_scale(sums)[:-1].numpy()
    live = deviation > 0
    divide = np.where(live & standardize, deviation, 1.0)
    matrix = sums.xx / (W * divide[:, None] * divide)
    matrix[~live] = 0
    matrix[:, ~live] = 0
    pull = np.where(live[:, None], state.xr / (W * divide[:, None]), 0.0)
    return Scaled(state, sums, live, divide, matrix, pull)
