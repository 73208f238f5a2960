"""How the rows on a line hold it against the pull of all others.

Where many rows lie on the line to rounding, its optimality is not seen from a step: it
is that of multipliers of these rows, of which those of least squares, zᵀv, are tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradline.globs import Globs


class Pull(NamedTuple):
    """How the rows on the line hold it, by the multipliers zᵀv.

    most: the largest of the rows kept. norm: ‖v‖. squares: Σ w(zᵀv)². outside: the
    weight of all other rows.
    """

    most: float
    norm: float
    squares: float
    outside: float


def on_ties(globs: Globs, level: float, tiny: float) -> bool:
    """Whether the many rows on the line hold it against the pull of all others.

    Of the multipliers that do so, those of least squares are zᵀv. Where they are all
    between q - 1 and q, the line is the optimum.

    Args:
        globs: of a pass about the line.
        level: q.
        tiny: a residual of no more is 0 but for rounding.
    """
    pull = pull_of(globs, level, tiny)
    if pull is None:
        return False
    return bool(max(pull.most, globs.longest * pull.norm) < min(level, 1 - level))


def pull_of(globs: Globs, level: float, tiny: float) -> Pull | None:
    """The multipliers of the rows on the line; None where these hold nothing.

    Args:
        globs: as in `on_ties`, and so are all that follow.
        level: q.
        tiny: what counts as 0.
    """
    rows = globs.rows()
    on_it = np.abs(rows.r) <= tiny
    side = np.where(rows.r > 0, level, level - 1.0) * rows.w
    outer = side[~on_it] @ rows.z[~on_it]
    outer = outer + level * globs.up[:-1] - (1 - level) * globs.down[:-1]
    root = rows.z[on_it] * np.sqrt(rows.w[on_it])[:, None]
    gram = globs.tie + root.T @ root
    values, vectors = np.linalg.eigh(gram)
    if not values[0] > 1e-12 * values[-1]:
        return None
    v = -vectors @ ((vectors.T @ outer) / values)
    each = rows.z[on_it] @ v
    squares = float(v @ gram @ v)
    outside = float(rows.w[~on_it].sum()) + globs.up_weight + globs.down_weight
    most = float(np.abs(each).max()) if len(each) else 0.0
    return Pull(most, float(np.linalg.norm(v)), squares, outside)
