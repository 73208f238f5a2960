"""A picture as SVG: a frame with axes, and marks in it. Nothing has to run to see it.

Marks are in tenths of a unit, written as whole numbers, each relative to the one
before: 2,000 points are one path of some 18 kB. Colours are classes of style.css, so
that light, dark and paper each have their own. hover.js finds values from the marks
themselves and from data-x and data-y, which say what the ends of the axes stand for.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence

import numpy as np

from gradline.data import Array, Codes
from gradline.report.bins import Grid
from gradline.report.markup import Markup, el, join, short
from gradline.report.ticks import Ticks, log_ticks

#: The size of a picture, in its own units; text is 11 of them high.
WIDE, TALL = 380, 280
LARGE = (520, 360)
RIGHT, TOP, BOTTOM = 12, 12, 42
#: How many tints a density has.
TINTS = 5


class Frame:
    """A picture: axes, and marks that are added one above another.

    Args:
        x: its ends, and y its.
        names: of the two axes.
        log: whether y is logarithmic.
        ticks: of x: where, and what they say; round numbers unless told. Those that
            are too long to stand side by side are turned, and the picture is taller.
        levels: of x, where it is a category: what 0, 1, ... stand for.
        size: wide and tall.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        names: tuple[str, str],
        *,
        log: bool = False,
        ticks: Sequence[tuple[float, str]] | None = None,
        levels: Sequence[str] | None = None,
        size: tuple[int, int] = (WIDE, TALL),
    ) -> None:
        self.log, self.levels = log, levels
        self.wide, self.tall = size
        # As long as the axis, at 6.2 units a character.
        self.names = [
            short(name, max(12, round(room / 6.2)))
            for name, room in zip(names, (self.wide - 60, self.tall - 70), strict=True)
        ]
        self.plain = tuple(self.names)  # without what is taken from the ticks
        self.marks: list[Markup] = []
        self.taken: list[tuple[float, float, float, float]] = []  # boxes of words
        self.x, self.y = (float(x[0]), float(x[1])), (float(y[0]), float(y[1]))
        self._grid = ticks is None  # strips have no lines between them
        self._across = list(ticks) if ticks is not None else self._ticks(0, self.x)
        if log:
            self._up = list(zip(*log_ticks(*self.y), strict=True))
        else:
            self._up = self._ticks(1, self.y)
        wide = max((len(label) for _, label in self._up), default=1)
        letter = 6.1 if size != LARGE else 8.5  # on a phone they are larger there
        self.left = round(32 + letter * wide)  # where the axes begin
        self.bottom, self.turned = BOTTOM, False
        if ticks:
            longest = max(len(label) for _, label in ticks)
            room = (self.wide - self.left - RIGHT) / len(ticks)
            self.turned = longest * 6.1 > room
        if self.turned:
            self.bottom += round(4.4 * longest)
            self.tall += self.bottom - BOTTOM

    def _ticks(self, axis: int, ends: tuple[float, float]) -> list[tuple[float, str]]:
        """Round numbers; what is taken from them goes into the name of the axis."""
        found = Ticks(*ends)
        self.names[axis] += found.suffix
        return list(zip(found.values, found.labels, strict=True))

    # From values to units.

    def across(self, values: Array) -> Array:
        """Where values of x lie, in units."""
        low, high = self.x
        room = self.wide - self.left - RIGHT
        return np.asarray(self.left + (np.asarray(values) - low) / (high - low) * room)

    def up(self, values: Array) -> Array:
        """Where values of y lie, in units from the top."""
        low, high = self.y
        values = np.asarray(values, dtype=np.float64)
        if self.log:
            low, high = math.log10(low), math.log10(high)
            values = np.log10(np.clip(values, 1e-300, None))
        room = self.tall - TOP - self.bottom
        return np.asarray(TOP + (high - values) / (high - low) * room)

    @property
    def scale(self) -> Array:
        """Units for each unit of x, and of y, (2,): y grows upwards, units down."""
        across = (self.wide - self.left - RIGHT) / (self.x[1] - self.x[0])
        up = (self.tall - TOP - self.bottom) / (self.y[1] - self.y[0])
        return np.array([across, -up])

    def _tenths(self, x: Array, y: Array) -> Codes:
        far = 30_000.0
        found = np.column_stack([self.across(x), self.up(y)]) * 10
        return np.rint(np.clip(found, -far, far)).astype(np.int64)

    # Marks.

    def points(self, x: Array, y: Array, kind: str = "dot", **more: object) -> None:
        """Dots, one for each pair; those outside are left out."""
        inside = (
            (x >= self.x[0]) & (x <= self.x[1]) & (y >= self.y[0]) & (y <= self.y[1])
        )
        at = self._tenths(x[inside], y[inside])
        if len(at):
            self._path("".join(f"m{a} {b}h0" for a, b in _steps(at)), kind, **more)

    def line(self, x: Array, y: Array, kind: str, **more: object) -> None:
        """A line through points, in order; clipped to the frame."""
        fine = np.isfinite(x) & np.isfinite(y)
        at = self._tenths(x[fine], y[fine])
        if len(at) < 2:
            return
        (a, b), *rest = _steps(_thinned(at))
        self._path(f"m{a} {b}l" + " ".join(f"{c} {d}" for c, d in rest), kind, **more)

    def _path(self, d: str, kind: str, **more: object) -> None:
        self.marks.append(el("path", d=d.replace(" -", "-"), class_=kind, **more))

    def rule(self, *, x: float | None = None, y: float | None = None) -> None:
        """A thin line across the frame, at an x or at a y."""
        if x is not None and self.x[0] <= x <= self.x[1]:
            self.line(np.array([x, x]), np.array(self.y), "rule")
        if y is not None and self.y[0] <= y <= self.y[1]:
            self.line(np.array(self.x), np.array([y, y]), "rule")

    def density(self, grid: Grid, narrower: float = 0.0) -> None:
        """The rows of a grid, as tints: each says how many rows a cell of it holds.

        Args:
            grid: the counts.
            narrower: by what share strips are, so that there is room between them.
        """
        counts, most = grid.counts, max(int(grid.counts.max()), 1)
        bounds = np.unique(np.rint(np.geomspace(1, most + 1, TINTS + 1)).astype(int))
        xs, ys = (
            closed(a.edges, counts.sum(1 - i)) if not a.fixed else spans(a.edges)
            for i, a in enumerate((grid.x, grid.y))
        )
        left, right = np.rint(self.across(xs) * 10).astype(int)
        aside = round(narrower / 2 * float(right[0] - left[0]))
        low_y, high_y = np.rint(self.up(ys) * 10).astype(int)
        for place, low in enumerate(bounds[:-1]):
            high = int(bounds[place + 1]) - 1
            tint = TINTS - len(bounds) + 2 + place
            d: dict[int, list[str]] = {}  # by height
            for j in np.flatnonzero(((counts >= low) & (counts <= high)).any(0)):
                hit = (counts[:, j] >= low) & (counts[:, j] <= high)
                edge = np.diff(np.concatenate([[0], hit.astype(int), [0]]))
                starts, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
                tall = max(int(low_y[j] - high_y[j]), 1) + 1
                middle = int(low_y[j] + high_y[j]) // 2
                for a, b in zip(starts, ends, strict=True):
                    for i, k in (
                        [(a, b)]
                        if not aside
                        else zip(range(a, b), range(a + 1, b + 1), strict=True)
                    ):
                        wide = right[k - 1] - left[i] - 2 * aside
                        step = f"M{left[i] + aside} {middle}h{wide}"
                        d.setdefault(tall, []).append(step)
            rows = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            for tall, steps in d.items():
                self._path(
                    "".join(steps),
                    f"cell d{tint}",
                    stroke_width=tall,
                    data_rows=f"{rows} rows",
                )

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        turn: float,
        kind: str,
        **more: object,
    ) -> None:
        """An ellipse in tenths of a unit: centre, half-axes, degrees clockwise."""
        cx, cy = (round(10 * v) for v in centre)
        rx, ry = (min(max(round(10 * v), 1), 10**6) for v in radii)
        shape: dict[str, object] = {"cx": cx, "cy": cy, "rx": rx, "ry": ry}
        shape["transform"] = f"rotate({turn:.2f} {cx} {cy})"
        self.marks.append(el("ellipse", class_=kind, **shape, **more))

    def star(self, x: float, y: float, kind: str = "star") -> None:
        """A mark for one place, larger than a dot."""
        ((a, b),) = self._tenths(np.array([x]), np.array([y]))
        self._path(f"M{a - 55} {b}h110M{a} {b - 55}v110", kind)

    def say(
        self, x: float, y: float, text: str, kind: str = "tag", **more: object
    ) -> None:
        """A word beside a place, within the frame; none where there is no room."""
        ((x, y),) = self._tenths(np.array([x]), np.array([y])) / 10
        text = short(text, 30)
        first = x < self.wide * 0.62
        for after, down in itertools.product((first, not first), (0, -10, 12)):
            a = x + (6 if after else -6)
            b = min(max(y + down, TOP + 9), self.tall - self.bottom - 4)
            begin = a if after else a - 5.6 * len(text)
            box = (begin, b - 9, begin + 5.6 * len(text), b + 2)
            inside = box[0] > self.left and box[2] < self.wide - RIGHT + 4
            if inside and not any(_meet(box, other) for other in self.taken):
                break
        else:
            return
        self.taken.append(box)
        anchor = None if after else "end"
        self.marks.append(
            el(
                "text",
                text,
                x=f"{a:.0f}",
                y=f"{b:.0f}",
                class_=kind,
                text_anchor=anchor,
                **more,
            )
        )

    # The whole.

    def svg(self, title: str, about: str, key: str) -> Markup:
        """The picture.

        Args:
            title: what it is.
            about: what it shows, for those who do not see it.
            key: that no other picture of the page has.
        """
        right, bottom = self.wide - RIGHT, self.tall - self.bottom
        box = {
            "x": self.left,
            "y": TOP,
            "width": right - self.left,
            "height": bottom - TOP,
        }
        clip = el("clipPath", el("rect", **box), id=f"clip-{key}")
        drawn: list[Markup] = []
        words: list[Markup] = []
        for mark in self.marks:
            (words if mark.startswith("<text") else drawn).append(mark)
        scaled = el("g", *drawn, transform="scale(.1)")
        return el(
            "svg",
            el("title", title, id=f"title-{key}"),
            el("desc", about, id=f"about-{key}"),
            el("defs", clip),
            self._axes(),
            el("g", scaled, clip_path=f"url(#clip-{key})"),
            *words,
            viewBox=f"0 0 {self.wide} {self.tall}",
            role="img",
            aria_labelledby=f"title-{key} about-{key}",
            class_="plot",
            data_x=f"{self.left} {right} {self.x[0]!r} {self.x[1]!r}",
            data_y=f"{bottom} {TOP} {self.y[0]!r} {self.y[1]!r}" + " log" * self.log,
            data_x_name=self.plain[0],
            data_y_name=self.plain[1],
            data_levels=None if self.levels is None else json.dumps(self.levels),
        )

    def _axes(self) -> Markup:
        """Ticks, their labels and thin lines, and the names of both axes."""
        right, bottom = self.wide - RIGHT, self.tall - self.bottom
        grid, words = [], []
        for value, label in self._across:
            at = float(self.across(np.array(value)))
            if self._grid:
                grid.append(f"M{at:.1f} {TOP}V{bottom}")
            if self.turned:
                way = f"translate({at + 4:.1f} {bottom + 12}) rotate(-40)"
                words.append(el("text", label, transform=way, class_="end"))
                continue
            at = min(at, self.wide - 3.05 * len(label))
            words.append(el("text", label, x=f"{at:.1f}", y=bottom + 15, class_="mid"))
        for value, label in self._up:
            at = float(self.up(np.array(value)))
            grid.append(f"M{self.left} {at:.1f}H{right}")
            words.append(
                el("text", label, x=self.left - 6, y=f"{at + 3.8:.1f}", class_="end")
            )
        middle = (TOP + bottom) / 2
        words.append(
            el(
                "text",
                self.names[0],
                x=(self.left + right) / 2,
                y=self.tall - 7,
                class_="mid name",
            )
        )
        words.append(
            el(
                "text",
                self.names[1],
                x=0,
                y=0,
                class_="mid name",
                transform=f"translate(11 {middle:.0f}) rotate(-90)",
            )
        )
        return el(
            "g", el("path", d="".join(grid), class_="grid"), *words, class_="axes"
        )


def limits(values: Array, air: float = 0.04) -> tuple[float, float]:
    """From the least to the greatest value, and a little air."""
    values = values[np.isfinite(values)]
    low, high = (
        (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    )
    room = air * (high - low)
    if room <= 1e-12 * max(abs(low), abs(high)):
        room = 0.05 * max(abs(low), abs(high)) or 1.0
    return low - room, high + room


def spans(edges: Array) -> Array:
    """Where cells begin, and where they end, (2, cells)."""
    return np.array([edges[:-1], edges[1:]])


def closed(edges: Array, counts: Array) -> Array:
    """The same, without stripes between values that are rounded.

    Whole numbers in cells of a half leave every other cell empty. Where cells are
    empty among the middle four fifths of the rows, each cell with rows is drawn as far
    as halfway to the next, and no further than there.
    """
    found = spans(edges)
    used = np.flatnonzero(counts)
    total = np.cumsum(counts[used])
    middle = used[(total >= 0.1 * total[-1]) & (total <= 0.9 * total[-1])]
    gaps = np.diff(middle)
    if len(gaps) < 3 or gaps.max() == 1:
        return found
    most = int(gaps.max())
    for a, b in itertools.pairwise(used.tolist()):
        if 1 < b - a <= most:
            found[1, a] = found[0, b] = (edges[a + 1] + edges[b]) / 2
    return found


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes (left, top, right, bottom) share room."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _steps(at: Codes) -> list[tuple[int, int]]:
    """Each place less the one before."""
    found: list[tuple[int, int]] = np.diff(at, axis=0, prepend=0).tolist()
    return found


def _thinned(at: Codes) -> Codes:
    """A line without steps that nobody sees, of under half a unit."""
    keep, last = [0], at[0]
    for i in range(1, len(at) - 1):
        if abs(at[i] - last).max() >= 5:
            keep.append(i)
            last = at[i]
    return at[[*keep, len(at) - 1]]


def joined(parts: Sequence[Markup]) -> Markup:
    """Several pieces of markup as one."""
    return join(*parts)
