"""The loss over two coefficients: its contours, the path of a descent, the optimum.

The contours are the ellipses of the surface itself, not lines traced through a grid.
They are found in the coordinates of the picture, where both sides have length 1:
coefficients may differ in size by any factor.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gradline.data import Array
from gradline.paraboloid import Ellipse, LossSurface, rise
from gradline.plots.geometry import Limits, vectors
from gradline.plots.style import (
    BLUE,
    DEEP,
    INK,
    RED,
    panels,
    set_frame,
    set_head,
    styled,
)
from gradline.plots.words import number

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

#: A trail of more steps than this is drawn without a dot for each.
DOTS = 60
#: A half-axis of so many widths of the picture looks endless in it.
ENDLESS = 1e3
#: What a label needs for itself, across and up, in points of 1/72 inch.
ROOM = np.array([54.0, 22.0])
#: From the highest contour to the lowest one.
_TINTS: Colormap = LinearSegmentedColormap.from_list(
    "", ["#F3F8FC", "#CFE3F1", "#A5CCE6", "#6AA9D3"]
)


def surface_figure(
    surface: LossSurface,
    *,
    epochs: ArrayLike | None = None,
    losses: ArrayLike | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the loss over two coefficients as a map: deeper blue is lower.

    Args:
        surface: from `Fit.loss_surface`; its span is the picture's.
        epochs: of the steps of its trail, shape (K,).
        losses: at those steps, shape (K,); left out where the other coefficients were
            elsewhere, so that they are not the map's.
        title: a line above the picture.

    Returns:
        A Figure. Each contour says how far it is above the optimum, which is a star;
        the trail of a descent is a red line from its start.

    Raises:
        ShapeError: epochs and losses are not as long as the trail.
    """
    trail = surface.trail
    words = ["start", "end of the descent"]
    if trail is not None and epochs is not None:
        ts = vectors(trail[:, 0], epochs, ("the trail", "epochs"))[1]
        words[1] = f"after {ts[-1]:,.0f} epoch{'' if ts[-1] == 1 else 's'}"
    if trail is not None and losses is not None:
        values = vectors(trail[:, 0], losses, ("the trail", "losses"))[1]
        words[0] += f", loss {_short(values[0])}"
        words[1] += f", loss {_short(values[-1])}"
    x_limits, y_limits = _limits(surface.x), _limits(surface.y)
    with styled():
        figure, (ax,) = panels(size=(8.0, 6.6))
        ax.grid(visible=False)
        map_ = _Map(surface, x_limits, y_limits)
        rings = gaps(surface)
        _draw_contours(ax, map_, rings)
        if trail is not None:
            _draw_trail(ax, trail, words)
        _draw_optimum(ax, surface)
        if rings:
            least = "optimum" if surface.others == "optimum" else "lowest"
            label = f"loss above the {least}"
            ax.plot([], [], color=BLUE, linewidth=1.2, label=label)
        set_frame(ax, x_limits, y_limits, *map(_axis_name, surface.names))
        set_head(ax, title)
        _label_contours(ax, map_, rings)
    return figure


def _limits(values: Array) -> Limits:
    """From the first value to the last, as far apart as axes need."""
    low, high = float(values[0]), float(values[-1])
    air = 1e-10 * max(abs(low), abs(high))
    return (low, high) if high - low > air else (low - air, high + air)


def _short(loss: float) -> str:
    return number(float(loss), 3, trim=True)


def _axis_name(name: str) -> str:
    return name if name == "Intercept" else f"coefficient of {name}"


def gaps(surface: LossSurface) -> list[float]:
    """What is drawn of a surface, as losses above its lowest: 1, 2, 5, 10, ascending.

    So the rings are evenly spaced to the eye, whatever the lowest loss is. Those too
    small to be seen around the optimum are left out.
    """
    x, y = surface.x - surface.centre[0], surface.y - surface.centre[1]
    top = float(rise(surface.root, x[None, [0, -1]], y[[0, -1], None]).max())
    if not 1e-290 < top < 1e290:
        return []
    least = 1e-3 * top  # in a round bowl, a thirtieth of the way to the corners
    powers = range(math.floor(math.log10(least)), math.floor(math.log10(top)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    return [gap for gap in found if least <= gap < top]


class _Map:
    """A surface in the coordinates of its picture: (0, 0) to (1, 1)."""

    def __init__(
        self, surface: LossSurface, x_limits: Limits, y_limits: Limits
    ) -> None:
        self.low = np.array([x_limits[0], y_limits[0]])
        self.wide = np.array([x_limits[1] - x_limits[0], y_limits[1] - y_limits[0]])
        self.centre, self.trail = surface.centre, surface.trail
        centre = (np.array(surface.centre) - self.low) / self.wide
        self.surface = dataclasses.replace(
            surface,
            centre=(float(centre[0]), float(centre[1])),
            base=0.0,
            root=surface.root * self.wide,
        )

    def contour(self, gap: float, count: int = 721) -> Array:
        """Points around the contour so far above the optimum, (count, 2).

        They are in the units of the data. An ellipse that is endless, or as good as,
        ends far outside the picture.
        """
        exact = self.surface.ellipse(gap)
        off = math.hypot(exact.centre[0] - 0.5, exact.centre[1] - 0.5)
        long, short = (min(axis, ENDLESS * (1 + off)) for axis in exact.axes)
        inner = Ellipse(exact.centre, (long, short), exact.angle).points(count)
        found: Array = self.low + self.wide * inner
        return found


def _draw_contours(ax: Axes, map_: _Map, rings: list[float]) -> None:
    """Each contour filled over the larger ones, the lowest in the deepest blue."""
    tints = _TINTS(np.linspace(0, 1, len(rings) + 1))
    ax.set_facecolor(tints[0])
    for gap, tint in zip(reversed(rings), tints[1:], strict=True):
        x, y = map_.contour(gap).T
        ax.fill(x, y, facecolor=tint, edgecolor=BLUE, linewidth=0.9, zorder=1)


def _draw_trail(ax: Axes, trail: Array, words: list[str]) -> None:
    x, y = trail.T
    ax.plot(
        x,
        y,
        color=RED,
        linewidth=2.2,
        marker="o" if len(trail) <= DOTS else "none",
        markersize=4.5,
        zorder=4,
    )
    for k, fill, label in ((0, "white", words[0]), (-1, RED, words[1])):
        ax.plot(
            x[k],
            y[k],
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor=fill,
            markeredgecolor=RED,
            markeredgewidth=2.2,
            clip_on=False,
            zorder=5,
            label=label,
        )


def _draw_optimum(ax: Axes, surface: LossSurface) -> None:
    loss = f"loss {_short(surface.base)}"
    label = f"exact optimum, {loss}"
    if surface.others == "fit":
        label = f"lowest with the others fixed, {loss}"
    elif not _is_unique(surface):
        label = f"one of many optima, {loss}"
    ax.plot(
        *surface.centre,
        linestyle="none",
        marker="*",
        markersize=16,
        markerfacecolor=INK,
        markeredgecolor="white",
        markeredgewidth=1.2,
        zorder=6,
        label=label,
    )


def _is_unique(surface: LossSurface) -> bool:
    """Whether the surface rises in every direction."""
    scale = np.linalg.norm(surface.root, axis=0)  # (2,)
    if not scale.all():
        return False
    sizes = np.linalg.svd(surface.root / scale, compute_uv=False)
    return bool(sizes[1] > 1e-12 * sizes[0])


def _label_contours(ax: Axes, map_: _Map, rings: list[float]) -> None:
    """The gaps written on their contours, along the ray that has room for the most."""
    if not rings:
        return
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    size = np.asarray(ax.bbox.size) * 72 / ax.figure.dpi / ROOM  # of the axes, in rooms

    def rooms(points: Array) -> Array:
        spots: Any = ax.transAxes.inverted().transform(ax.transData.transform(points))
        return np.asarray(spots * size)

    around = np.array([map_.contour(gap, 181)[:-1] for gap in rings])  # (rings, 180, 2)
    spots: Any = rooms(around.reshape(-1, 2)).reshape(around.shape)
    inside = (spots > 0.6) & (spots < size - 0.6)
    free = inside.all(axis=2)  # (rings, 180)
    taken = [rooms(np.array([map_.centre]))]
    if map_.trail is not None:
        taken.append(_along(rooms(map_.trail)))
    for spot in np.concatenate(taken):
        free &= np.square(spots - spot).sum(axis=2) > 0.8
    best: list[int] = []
    chosen = 0
    for ray in range(spots.shape[1]):
        kept: list[int] = []
        for k in np.flatnonzero(free[:, ray]).tolist():
            if not kept or np.linalg.norm(spots[k, ray] - spots[kept[-1], ray]) > 1:
                kept.append(k)
        if len(kept) > len(best):
            best, chosen = kept, ray
    for k in best:
        x, y = around[k, chosen].tolist()
        ax.text(
            x,
            y,
            f"+{number(rings[k], 1, trim=True)}",
            color=DEEP,
            fontsize=11,
            ha="center",
            va="center",
            zorder=3,
            bbox={"facecolor": "white", "alpha": 0.75, "boxstyle": "round,pad=0.15"},
        )


def _along(path: Array, count: int = 400) -> Array:
    """Points evenly along a path, (count, 2)."""
    lengths = np.sqrt(np.square(np.diff(path, axis=0)).sum(axis=1))
    passed = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0, passed[-1], count)
    return np.column_stack([np.interp(at, passed, path[:, i]) for i in range(2)])
