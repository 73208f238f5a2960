"""From a first guess to the optimum of losses with kinks, in a few passes.

    1   the survey: means, scatter, least squares, and an even choice of rows
    2   the optimum for those rows alone; the rows near its kinks are kept (globs.py)
    3   the optimum for sums and kept rows; the rows near its kinks are kept
    ... until a step stays within the ball in which sums and rows are the loss itself

Usually the third pass is the last. A step that raised the loss is taken back, and the
next pass keeps four times as many rows; where there is no room for more, a step goes to
the edge of the ball, which lowers the loss always. Small data are all kept, and read
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gradline.data import Array
from gradline.globs import Frame, Globs, Place
from gradline.huber import Valley
from gradline.interior import interior_point, pinball
from gradline.objective import Absolute, Huber, Loss, Quantile
from gradline.state import EPS
from gradline.vertex import least_pinball

#: Passes at the most, the survey not counted.
MOST_PASSES = 30

#: Data of so many numbers are kept whole, and of larger ones never more than this.
SMALL_NUMBERS = 400_000
MOST_NUMBERS = 8_000_000

#: So many rows are enough to find the size of residuals.
START_ROWS = 4_000

#: A loss within this share of its lower bound is at its optimum to rounding.
CLOSE = 1e-13

#: A gradient of so small a share of the pull of all rows is rounding.
FLAT = 1e-12


def rows_to_choose(rows: int | None, p: int) -> int:
    """How many rows to choose, and to keep, of so many; all of them where few.

    The optimum of m rows is off by about √(p/m) of the noise, so that about n·√(p/m)
    rows are within three times that from a kink: m of them where m = (3·n·√p)^(2/3).
    """
    most = max(MOST_NUMBERS // (p + 1), 20 * p)
    if rows is None:
        return most
    if rows * (p + 1) <= SMALL_NUMBERS:
        return rows
    return min(rows, most, max(20 * p, 2_000, int((3 * rows * p**0.5) ** (2 / 3))))


@dataclass
class Optimum:
    """Where one loss came to.

    Attributes:
        u: the line in the coordinates of globs.py, (p,).
        scale: of Huber's loss; NaN for the others.
        loss: there, its mean over the weights.
        lower: the optimum is at least this.
        bound: how that is known.
        gradient: of the mean loss in u, (p,), the least of its subgradients.
        done: whether the optimum is found.
        unique: whether no other line has this loss, as far as is known.
        passes: how many, the survey's included.
        error: how far rounding may have moved u, a norm.
        outside: for Huber's loss, the share of weight beyond the kinks.
    """

    u: Array
    scale: float = math.nan
    loss: float = math.nan
    lower: float = 0.0
    bound: Literal["duality", "gradient"] = "duality"
    gradient: Array = field(default_factory=lambda: np.zeros(0))
    done: bool = False
    unique: bool = True
    passes: int = 1
    error: float = math.inf
    outside: float = math.nan


class Task:
    """One loss on its way to the optimum.

    Args:
        loss: what to make small.
        frame: the coordinates.
        keep: how many rows a pass is to keep.
        room: how many it may keep at the most.
    """

    def __init__(self, loss: Loss, frame: Frame, keep: int, room: int) -> None:
        self.loss = loss
        self.frame = frame
        self.keep = keep
        self.room = max(room, keep)
        self.found = Optimum(np.zeros(frame.size))
        self._at = np.zeros(frame.size)
        self._scale = math.nan
        self._best = math.inf
        self._flat = False  # the scale may be on its way to 0, see `_look_flat`
        self._density = math.inf  # rows per unit of reach, near 0
        self._looks = 0
        self._weight = math.nan

    @property
    def _factor(self) -> float:
        """What half the absolute loss, by which it is found, is multiplied by."""
        if isinstance(self.loss, Huber):
            return 4.0 * self.loss.epsilon if self._flat else 1.0
        return 2.0 if isinstance(self.loss, Absolute) else 1.0

    @property
    def place(self) -> Place:
        """The line to look about, and how many rows to keep."""
        kink, turn = 0.0, 0.0
        if isinstance(self.loss, Huber) and not self._flat:
            kink = self.loss.epsilon * self._scale
            turn = self.loss.epsilon if self.loss.scale is None else 0.0
        guess = 1.5 * self.keep / self._density
        return Place(self._at, kink, turn, self.keep, guess or math.inf)

    def begin(self, z: Array, y: Array, w: Array, u: Array, rows: int) -> None:
        """Go to the optimum of some rows.

        Args:
            z: (k, p); y, w: (k,), all weights above 0.
            u: a line to begin with, (p,).
            rows: how many they stand for.
        """
        columns = np.ascontiguousarray(z.T)
        r = self.frame.residual(columns, y, u)
        whole = len(r) >= rows
        step = np.zeros(len(u))
        if isinstance(self.loss, Huber):
            few = slice(None, None, max(1, len(r) // START_ROWS))
            step = interior_point(z[few] * w[few, None], r[few] * w[few], 0.5).u
            size = np.abs(r - z @ step)
            typical = float(np.average(size, weights=w))
            self._scale = self.loss.scale or typical
            if self.loss.scale is None:
                on_it = float(np.average(size <= 1e-9 * typical, weights=w))
                self._flat = on_it > 0.8 * (1 - self.loss.epsilon**-2)
            if not whole and not self._flat:
                globs = Globs(Place(u, 0.0, 0.0, len(r)))
                globs.add(columns, r, w)
                valley = Valley(globs, self.loss.epsilon, self.loss.scale is None)
                low = valley.lowest(self._scale, step)
                step, self._scale = low.step, low.scale
        elif not whole:
            step = least_pinball(z * w[:, None], r * w, _level(self.loss)).u
        self._at = u + step
        if whole:
            return
        place = self.place
        length = np.einsum("kp,kp->k", z, z) + place.turn**2
        reach = np.abs(np.abs(r - z @ step) - place.kink) / np.sqrt(length)
        near = min(len(r) - 1, max(20, self.keep * len(r) // rows))
        edge = float(np.partition(reach, near)[near])
        if edge > 0:
            self._density = near * (rows / len(r)) / edge

    def look(self, globs: Globs) -> None:
        """Take in a pass about `place`, and settle where to look next."""
        self._looks += 1
        self.found.passes += 1
        kept = len(globs.rows().r)
        if math.isfinite(globs.reach) and globs.reach > 0 and kept:
            self._density = kept / globs.reach
        if isinstance(self.loss, Huber) and not self._flat:
            self._look_huber(globs, self.loss)
        else:
            self._look_quantile(globs, _level(self.loss))

    def _look_quantile(self, globs: Globs, level: float) -> None:
        rows, found = globs.rows(), self.found
        weight = globs.up_weight + globs.down_weight + float(rows.w.sum())
        self._weight = weight
        # The sums go as two rows of their own: no more than the rows they stand for.
        Z = np.vstack([rows.z * rows.w[:, None], globs.up[:-1], globs.down[:-1]])
        y = np.concatenate([rows.r * rows.w, globs.up[-1:], globs.down[-1:]])
        here = pinball(y, level)
        if not self._lower_than_before(here / weight):
            return
        low = least_pinball(Z, y, level)
        there = pinball(y - Z @ low.u, level)
        gradient = low.dual @ Z
        # A dual point that is off by `gradient` is off in its value by that times the
        # way to the optimum: ten typical residuals are more than that.
        typical = here / weight / min(level, 1 - level)
        size = float(np.linalg.norm(low.u)) + 10 * typical
        bound = float(low.dual @ y) - float(np.linalg.norm(gradient)) * size
        found.lower = max(found.lower, self._factor * bound / weight)
        inside = float(np.linalg.norm(low.u)) < globs.reach
        if inside:
            found.u, found.loss = self._at + low.u, self._factor * there / weight
            found.gradient = self._factor * gradient / weight
            found.unique = low.unique
            along = found.u[int(self.frame.intercept) :]
            unit = EPS * (float(np.linalg.norm(along)) + typical)
            found.error = 4 * low.inverse * unit
        found.done = _close(found) or (inside and low.proven)
        if not found.done:
            self._go_on(low.u, math.nan, globs)
        elif isinstance(self.loss, Huber):
            self._settle_flat(self.loss, globs, low.dual, typical)

    def _settle_flat(
        self, loss: Huber, globs: Globs, dual: Array, typical: float
    ) -> None:
        """Whether the scale is 0, and the line that of the absolute loss.

        As the scale goes to 0, Huber's loss goes to 2ε Σ w|r|. That is its optimum
        where the multipliers a of the absolute loss, between -1 and 1, leave

            Σ w (1 - ε²a²) ≥ 0
        """
        rows = globs.rows()
        a = 2 * dual[: len(rows.w)]
        left = float(rows.w @ (1 - (loss.epsilon * a) ** 2))
        left += (globs.up_weight + globs.down_weight) * (1 - loss.epsilon**2)
        if left >= 0:
            self.found.scale = 0.0
            a = np.abs(a)
            out = float(rows.w[a > 1 - 1e-6].sum()) + globs.up_weight
            self.found.outside = (out + globs.down_weight) / self._weight
            return
        self._flat, self._looks, self._scale = False, 0, typical
        self.found = Optimum(self.found.u, passes=self.found.passes)
        self._at = self.found.u

    def _look_huber(self, globs: Globs, loss: Huber) -> None:
        found = self.found
        free = loss.scale is None
        valley = Valley(globs, loss.epsilon, free)
        here = valley.value(np.zeros(len(self._at)), self._scale)
        if not self._lower_than_before(here / valley.weight):
            return
        low = valley.lowest(self._scale)
        moved = math.hypot(
            float(np.linalg.norm(low.step)), low.scale - self._scale if free else 0.0
        )
        if moved < globs.reach:
            found.u, found.scale = self._at + low.step, low.scale
            found.loss = low.loss / valley.weight
            found.lower = (low.loss - low.gap) / valley.weight
            found.bound = "gradient"
            gradient, _, _ = valley.slopes(low.step, low.scale)
            found.gradient = gradient[: len(self._at)] / valley.weight
            found.error = low.gradient * low.inverse
            found.outside = valley.beyond(low.step, low.scale) / valley.weight
            # Where no curvature bounds the gap, a gradient of rounding has to do.
            level = low.gradient <= FLAT * valley.weight * (1 if free else low.scale)
            found.done = low.gap <= CLOSE * low.loss or (math.isnan(low.gap) and level)
            if found.done:
                return
        self._go_on(low.step, low.scale, globs)

    def _lower_than_before(self, here: float) -> bool:
        """Whether the last step lowered the loss; if not, it is taken back."""
        if here < self._best or self._looks == 1:
            self._best = here
            self.found.u, self.found.scale = self._at, self._scale
            self.found.loss = here * self._factor
            return True
        self._at, self._scale = self.found.u, self.found.scale
        self.keep = min(4 * self.keep, self.room)
        return False

    def _go_on(self, step: Array, scale: float, globs: Globs) -> None:
        """Look about the new line next; nearer the optimum, fewer rows will do."""
        if self._looks == 1:
            self.keep = max(self.keep // 4, min(self.keep, 20 * len(step)))
        elif self.keep < self.room:
            self.keep = min(2 * self.keep, self.room)
        else:
            change = math.hypot(
                float(np.linalg.norm(step)),
                0.0 if math.isnan(scale) else scale - self._scale,
            )
            share = min(1.0, 0.999 * globs.reach / change) if change else 1.0
            step, scale = share * step, self._scale + share * (scale - self._scale)
        self._at = self._at + step
        if isinstance(self.loss, Huber) and self.loss.scale is None and not self._flat:
            self._scale = scale


def _level(loss: Loss) -> float:
    return loss.level if isinstance(loss, Quantile) else 0.5


def _close(found: Optimum) -> bool:
    return found.loss - found.lower <= CLOSE * found.loss


def approach(
    tasks: Sequence[Task],
    look: Callable[[list[Place], str], list[Globs]],
) -> None:
    """Bring all tasks to their optimum, by passes that they share.

    Args:
        tasks: that have begun; `found` is filled in.
        look: makes a pass about several places, and is told what it is called.
    """
    for number in range(2, MOST_PASSES + 2):
        active = [task for task in tasks if not task.found.done]
        if not active:
            return
        found = look([task.place for task in active], f"pass {number}")
        for task, globs in zip(active, found, strict=True):
            task.look(globs)
