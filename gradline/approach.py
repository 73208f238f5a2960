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
from functools import partial
from typing import Literal

import numpy as np

from gradline.apex import apex, share_of_dual
from gradline.certificate import TOLERANCE
from gradline.data import Array
from gradline.globs import Frame, Globs, Place, about
from gradline.huber import Lowest, Valley
from gradline.interior import interior_point, pinball
from gradline.objective import Absolute, Huber, Loss, Quantile
from gradline.state import EPS
from gradline.ties import on_ties
from gradline.vertex import least_pinball

#: Passes at the most, the survey not counted.
MOST_PASSES = 30

#: Data of so many numbers are kept whole, and of larger ones never more than this.
SMALL_NUMBERS = 400_000
MOST_NUMBERS = 3_000_000

#: So many rows are enough to find the size of residuals.
START_ROWS = 4_000

#: A loss within this share of its lower bound is at its optimum to rounding.
CLOSE = 1e-13

#: A residual of so small a share of a typical one is 0 but for rounding.
ON_IT = 1e-10

#: A step of so many typical residuals has lost digits of what they are.
FAR = 1e3

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
        done: whether there is nothing left to look for.
        proven: whether this is the optimum, to rounding.
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
    proven: bool = False
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
        self._typical = 0.0  # size of a residual
        self._from = self._at, self._scale  # the best line looked about so far
        self._taken_back = False
        self._sample: Callable[[Array], Globs] | None = None  # some rows about a line
        self._lower = 0.0  # of the absolute loss, `_factor` times

    @property
    def _factor(self) -> float:
        """What half the absolute loss, by which it is found, is multiplied by."""
        if isinstance(self.loss, Huber):
            return 4.0 * self.loss.epsilon if self._flat else 1.0
        return 2.0 if isinstance(self.loss, Absolute) else 1.0

    @property
    def _tiny(self) -> float:
        """A residual of no more is 0 but for rounding."""
        rounding = 64 * EPS * math.sqrt(len(self._at)) * np.linalg.norm(self._at)
        return float(ON_IT * self._typical + rounding)

    @property
    def place(self) -> Place:
        """The line to look about, and how many rows to keep."""
        kink, turn = 0.0, 0.0
        if isinstance(self.loss, Huber) and not self._flat:
            kink = self.loss.epsilon * self._scale
            turn = self.loss.epsilon if self.loss.scale is None else 0.0
        guess = 1.5 * self.keep / self._density
        tiny = 0.0 if kink else self._tiny
        return Place(self._at, kink, turn, self.keep, guess or math.inf, tiny)

    def begin(self, z: Array, y: Array, w: Array, u: Array, rows: int) -> None:
        """Go to the optimum of some rows.

        Args:
            z: (k, p).
            y: (k,).
            w: (k,), all above 0.
            u: a line to begin with, (p,).
            rows: how many they stand for.
        """
        columns = np.ascontiguousarray(z.T)
        r = self.frame.residual(columns, y, u)
        whole = len(r) >= rows
        if isinstance(self.loss, Huber) and self.loss.scale is None and not whole:
            self._sample = partial(about, self.frame, columns, y, w)
        step = np.zeros(len(u))
        if isinstance(self.loss, Huber):
            few = slice(None, None, max(1, len(r) // START_ROWS))
            step = interior_point(z[few] * w[few, None], r[few] * w[few], 0.5).u
            size = np.abs(r - z @ step)
            typical = float(np.average(size, weights=w))
            self._scale = self.loss.scale or typical
            if self.loss.scale is None:
                self._at, self._typical = u + step, typical
                on_it = float(np.average(size <= self._tiny, weights=w))
                self._flat = on_it > 0.8 * (1 - self.loss.epsilon**-2)
            if not whole and not self._flat:
                free = self.loss.scale is None
                low = Lowest(step, self._scale)
                for part in (few, slice(None)):  # the long way on few rows
                    globs = about(self.frame, columns[:, part], y[part], w[part], u)
                    valley = Valley(globs, self.loss.epsilon, free)
                    low = valley.lowest(low.scale or typical, low.step, judge=False)
                step, self._flat = low.step, low.collapsed
                self._scale = typical if low.collapsed else low.scale
        if self._flat or (not whole and not isinstance(self.loss, Huber)):
            step = least_pinball(z * w[:, None], r * w, _level(self.loss)).u
        self._at = u + step
        self._typical = float(np.average(np.abs(r - z @ step), weights=w))
        if whole:
            return
        place = self.place
        length = np.einsum("kp,kp->k", z, z) + place.turn**2
        away = np.abs(np.abs(r - z @ step) - place.kink)
        reach = np.full(len(r), np.inf)
        np.divide(away, np.sqrt(length), out=reach, where=length > 0)
        near = min(len(r) - 1, max(20, self.keep * len(r) // rows))
        edge = float(np.partition(reach, near)[near])
        if 0 < edge < math.inf:
            self._density = near * (rows / len(r)) / edge

    def look(self, globs: Globs) -> None:
        """Take in a pass about `place`, and settle where to look next."""
        self._looks += 1
        self.found.passes += 1
        kept = len(globs.rows().r)
        known = 0 < globs.reach < math.inf and kept >= self.keep / 2
        self._density = kept / globs.reach if known else math.inf
        if isinstance(self.loss, Huber) and not self._flat:
            self._look_huber(globs, self.loss)
        else:
            self._look_quantile(globs, _level(self.loss))

    def _look_quantile(self, globs: Globs, level: float) -> None:
        rows, found = globs.rows(), self.found
        weight = globs.up_weight + globs.down_weight + globs.tie_weight
        weight += float(rows.w.sum())
        self._weight = weight
        # The sums go as rows of their own: no more than the rows they stand for.
        sums = [
            (globs.up, globs.up_weight),
            (globs.down, globs.down_weight),
            (np.append(globs.tie_sum, 0.0), globs.tie_weight),
        ]
        added = np.array([glob for glob, share in sums if share])
        added = added.reshape(-1, len(self._at) + 1)
        Z = np.vstack([rows.z * rows.w[:, None], added[:, :-1]])
        y = np.concatenate([rows.r * rows.w, added[:, -1]])
        here = pinball(y, level)
        if not self._lower_than_before(here / weight):
            return
        if globs.tie_weight and on_ties(globs, level, self._tiny):
            found.u, found.loss = self._at, self._factor * here / weight
            found.lower, found.error = found.loss, EPS * self._typical
            found.gradient = np.zeros(len(found.u))
            found.proven = found.done = True
            if isinstance(self.loss, Huber):
                self._settle_flat(self.loss, globs)
            return
        low = least_pinball(Z, y, level)
        there = pinball(y - Z @ low.u, level)
        gradient = low.dual @ Z
        # A dual point that is off by `gradient` is off in its value by that times the
        # way to the optimum: ten typical residuals are more than that.
        typical = here / weight / min(level, 1 - level)
        size = float(np.linalg.norm(low.u)) + 10 * typical
        bound = float(low.dual @ y) - float(np.linalg.norm(gradient)) * size
        self._lower = max(self._lower, self._factor * bound / weight)
        found.lower = self._lower
        if isinstance(self.loss, Huber):  # as apex.py has it
            each = np.append(rows.w, [share for _, share in sums if share])
            squares = 4 * float(each @ low.dual**2)
            found.lower *= share_of_dual(self.loss.epsilon, weight, squares)
        inside = float(np.linalg.norm(low.u)) < globs.reach
        if inside:
            found.u, found.loss = self._at + low.u, self._factor * there / weight
            found.gradient = self._factor * gradient / weight
            found.unique = low.unique
            along = found.u[int(self.frame.intercept) :]
            unit = EPS * (float(np.linalg.norm(along)) + typical)
            found.error = 4 * low.inverse * unit
        if self._from_afar(low.u, there / weight):
            return
        gap = found.loss - self._lower
        found.proven = gap <= CLOSE * found.loss or (inside and low.proven)
        found.done = found.proven or (inside and gap <= TOLERANCE * found.loss)
        found.done = found.done or math.isinf(globs.reach)  # there are no more rows
        if not found.done:
            self._go_on(low.u, math.nan, globs)
        elif isinstance(self.loss, Huber):
            if self._looks <= 5 and np.linalg.norm(low.u) > self._tiny:
                self._at, found.done = found.u, False  # the rows on it, from there
            else:
                self._settle_flat(self.loss, globs)

    def _settle_flat(self, loss: Huber, globs: Globs) -> None:
        """Whether the scale is 0, and the line that of the absolute loss: apex.py."""
        found, self._at = self.found, self.found.u
        top = apex(globs, loss.epsilon, self._tiny, self._typical, self._sample)
        found.lower = top.share * found.loss
        if top.step is None:
            found.scale, found.outside = 0.0, top.outside
            found.proven = _near(found, CLOSE)
            found.done = found.proven or _near(found, TOLERANCE) or self._looks > 5
            return
        self._at, self._scale = globs.place.u + top.step, top.scale
        self._flat, self._looks = False, 0
        self.found = Optimum(found.u, lower=found.lower, passes=found.passes)

    def _look_huber(self, globs: Globs, loss: Huber) -> None:
        found = self.found
        free = loss.scale is None
        valley = Valley(globs, loss.epsilon, free)
        here = valley.value(np.zeros(len(self._at)), self._scale)
        if not self._lower_than_before(here / valley.weight):
            return
        low = valley.lowest(self._scale)
        if low.collapsed:
            self._flat = True
            self._at, self._looks = self._at + low.step, 0
            return
        moved = math.hypot(
            float(np.linalg.norm(low.step)), low.scale - self._scale if free else 0.0
        )
        if moved < globs.reach:
            found.u, found.scale = self._at + low.step, low.scale
            found.loss = low.loss / valley.weight
            # Where no curvature bounds the gap, a gradient of rounding has to do, over
            # a way of ten scales, and the minimum is flat.
            flat = math.isnan(low.gap) and low.gradient <= FLAT * valley.weight * (
                1.0 if free else low.scale
            )
            gap = 10 * low.scale * low.gradient if flat else low.gap
            found.unique = not flat
            found.lower = (low.loss - gap) / valley.weight
            found.bound = "gradient"
            gradient, _, _ = valley.slopes(low.step, low.scale)
            found.gradient = gradient[: len(self._at)] / valley.weight
            found.error = low.gradient * low.inverse if not flat else low.scale
            found.outside = valley.beyond(low.step, low.scale) / valley.weight
            if self._from_afar(low.step, low.scale):
                self._scale = low.scale
                return
            found.proven = gap <= CLOSE * low.loss
            found.done = found.proven or gap <= TOLERANCE * low.loss
            found.done = found.done or (math.isinf(globs.reach) and self._looks > 2)
            if found.done:
                return
        self._go_on(low.step, low.scale, globs)

    def _from_afar(self, step: Array, typical: float) -> bool:
        """Whether a step was so long that its digits want another look from its end."""
        if self._looks > 2 or float(np.linalg.norm(step)) < FAR * typical:
            return False
        self._at = self._at + step
        return True

    def _lower_than_before(self, here: float) -> bool:
        """Whether the last step lowered the loss; if not, it is taken back."""
        if here < self._best or self._looks == 1 or self._taken_back:
            self._best, self._taken_back = here, False
            self._from = self._at, self._scale
            self.found.u, self.found.scale = self._from
            self.found.loss = here * self._factor
            return True
        self._at, self._scale, self._taken_back = *self._from, True
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


def _near(found: Optimum, share: float) -> bool:
    return found.loss - found.lower <= share * found.loss


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
