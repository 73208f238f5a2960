"""The line as it learns, beside its loss, as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor

from gradline.data import Array
from gradline.errors import UsageError
from gradline.files import replacing
from gradline.plots.geometry import finite_pairs, limits_of, line_ends, reach, vectors
from gradline.plots.loss import draw_loss
from gradline.plots.marks import draw_points, draw_truth
from gradline.plots.style import (
    BLUE,
    DEEP,
    INK,
    RED,
    add_legend,
    panels,
    set_frame,
    styled,
)
from gradline.plots.words import equation, number

#: A moving picture has about so many frames.
FRAMES = 60


def learning_gif(
    path: str | Path,
    x: ArrayLike,
    y: ArrayLike,
    slopes: ArrayLike,
    intercepts: ArrayLike,
    losses: ArrayLike,
    *,
    epochs: ArrayLike,
    truth: tuple[float, float] | None = None,
    optimum: float | None = None,
    x_name: str = "x",
    y_name: str = "y",
) -> None:
    """Write the moving picture: the line as it learns, beside its loss.

    About 60 of the epochs become frames, close together at first, where the line moves
    fast. The last one stays for two seconds; then it starts again.

    Args:
        path: the .gif file to write, 960 by 480 pixels.
        x: the feature, shape (n,).
        y: the target, shape (n,).
        slopes: the line's slope after each epoch, shape (k,).
        intercepts: the line's intercept after each epoch, shape (k,).
        losses: the loss at each epoch, shape (k,).
        epochs: their numbers, ascending, shape (k,).
        truth: slope and intercept of the true line, drawn dashed.
        optimum: the least loss there is, drawn dashed.
        x_name: what the feature is called.
        y_name: what the target is called.

    Raises:
        ShapeError: vectors that belong together are not of one length.
        UsageError: the path does not end in .gif, or no epoch has finite numbers.
    """
    if Path(path).suffix.lower() != ".gif":
        raise UsageError(f"{str(path)!r} is not a .gif file: name one, like learn.gif")
    xs, ys = finite_pairs(x, y)
    ts, values = vectors(epochs, losses, ("epochs", "losses"))
    slope, intercept = (
        vectors(epochs, numbers, ("epochs", name))[1]
        for name, numbers in (("slopes", slopes), ("intercepts", intercepts))
    )
    # Descent that runs away ends in numbers that cannot be drawn.
    good = np.isfinite([ts, values, slope, intercept]).all(axis=0)
    if not good.any():
        raise UsageError("no epoch has a finite line and loss: there is no learning")
    ts, values, slope, intercept = (a[good] for a in (ts, values, slope, intercept))
    shown = _frames(ts, FRAMES)
    with styled():
        movie = _Movie(
            xs,
            ys,
            ts,
            values,
            slope,
            intercept,
            truth=truth,
            optimum=optimum,
            names=(x_name, y_name),
        )
        _write_gif(path, movie, shown)


def _frames(epochs: Array, count: int) -> list[int]:
    """About `count` positions, first and last included, evenly spaced in log epoch.

    Whole epochs cannot be closer than one, so the first few coincide; the spacing is
    made finer until enough different ones are left.
    """
    if len(epochs) <= count:
        return list(range(len(epochs)))
    passed = epochs - epochs[0] + 1.0
    wanted = count
    while True:
        at = np.searchsorted(passed, np.geomspace(1.0, passed[-1], wanted))
        found = np.unique(np.minimum(at, len(epochs) - 1))
        if len(found) >= count or wanted > 50 * count:
            return [int(i) for i in found]
        wanted += max(1, count - len(found))


class _Movie:
    """One canvas; what stands still is drawn once, and what moves on top of it."""

    def __init__(
        self,
        x: Array,
        y: Array,
        epochs: Array,
        losses: Array,
        slopes: Array,
        intercepts: Array,
        *,
        truth: tuple[float, float] | None,
        optimum: float | None,
        names: tuple[str, str],
    ) -> None:
        self.epochs, self.losses = epochs, losses
        self.slopes, self.intercepts = slopes, intercepts
        self.names = names if len("".join(names)) <= 8 else ("x", "y")
        figure, (left, right) = panels(2, size=(9.6, 4.8))  # 960 by 480 at 100 dpi
        self.canvas = canvas = cast("Any", FigureCanvasAgg(figure))

        self.x_limits, self.y_span = limits_of(x), limits_of(y)
        y_limits = self.y_span
        for k in (0, -1):
            line = float(slopes[k]), float(intercepts[k])
            low, high = reach(self.y_span, self.x_limits, line)
            y_limits = min(low, y_limits[0]), max(high, y_limits[1])
        limits = (self.x_limits, y_limits)
        draw_points(figure, left, x, y, limits, shape=1.25, scale=False)
        (self.line,) = left.plot([], [], color=RED, linewidth=3.5, label="learned")
        self.trail = LineCollection([], linewidths=1.2, color=RED, alpha=0.14)
        left.add_collection(self.trail, autolim=False)
        moving: list[tuple[Axes, Artist]] = [(left, self.trail), (left, self.line)]
        if truth is not None:
            moving.append((left, draw_truth(left, self.x_limits, truth, *names)))
        set_frame(left, self.x_limits, y_limits, *names)

        draw_loss(right, epochs, losses, optimum, color="#BFD9E8")
        (self.done,) = right.plot([], [], color=BLUE)
        (self.dot,) = right.plot([], [], color=BLUE, marker="o", markersize=11)
        room = max(add_legend(left), add_legend(right))
        self.epoch_text = left.set_title("epoch", loc="left", pad=room)
        self.line_text = left.set_title("y", loc="right", pad=room, color=RED)
        self.loss_text = right.set_title("loss", loc="left", pad=room)
        moving += [(left, self.epoch_text), (left, self.line_text)]
        moving += [(right, self.done), (right, self.dot), (right, self.loss_text)]
        self.moving = moving

        figure.draw_without_rendering()  # places everything, once
        figure.set_layout_engine("none")
        for _, artist in self.moving:
            artist.set_animated(True)
        self.dot.set_clip_on(False)  # whole at the first epoch and at the last
        canvas.draw()
        self.still = canvas.copy_from_bbox(figure.bbox)

    def picture(self, passed: list[int]) -> NDArray[np.uint8]:
        """The last of the epochs passed and a trail of those before: (480, 960, 3)."""
        now = passed[-1]
        slope, intercept = float(self.slopes[now]), float(self.intercepts[now])
        self.line.set_data(*line_ends(self.x_limits, slope, intercept))
        before = passed[:-1]
        # One colour for all of it: what stays as it was costs no bytes.
        self.trail.set_segments(
            [
                np.column_stack(
                    line_ends(self.x_limits, self.slopes[k], self.intercepts[k])
                )
                for k in before
            ]
        )
        self.done.set_data(self.epochs[: now + 1], self.losses[: now + 1])
        self.dot.set_data(self.epochs[now : now + 1], self.losses[now : now + 1])
        self.epoch_text.set_text(f"epoch {self.epochs[now]:,.0f}")
        text = equation(slope, intercept, *self.names, (self.x_limits, self.y_span))
        # It shares its row with the epoch. A line that ran away needs no equation.
        self.line_text.set_text(text if len(text) <= 26 else "")
        self.line_text.set_fontsize(14 if len(text) <= 21 else 12)
        self.loss_text.set_text(f"loss {number(float(self.losses[now]), 4)}")
        self.canvas.restore_region(self.still)
        for ax, artist in self.moving:
            ax.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[..., :3]


def _palette() -> tuple[list[int], NDArray[np.uint8]]:
    """The colours of every frame, and the nearest one to each 15-bit colour.

    They are the picture's own colours and what lies between two of them. A palette
    made from the frames would be a little off in every colour, white included.
    """
    pairs = [("white", INK), ("white", RED), ("white", BLUE)]
    pairs += [(BLUE, RED), (BLUE, DEEP), (RED, INK)]
    blends = [
        np.linspace(ImageColor.getrgb(a), ImageColor.getrgb(b), 40) for a, b in pairs
    ]  # (40, 3) each, 240 of the 256 there can be
    colours = np.concatenate(blends).round().astype(np.float32)
    level = np.linspace(0, 255, 32, dtype=np.float32)
    red, green, blue = (
        (level[:, np.newaxis] - colours[:, channel]) ** 2 for channel in range(3)
    )  # (32, 240) each
    rest = green[:, np.newaxis] + blue  # (32, 32, 240)
    nearest = np.array([(r + rest).argmin(axis=-1) for r in red], np.uint8)
    return colours.astype(int).ravel().tolist(), nearest


def _write_gif(path: str | Path, movie: _Movie, shown: list[int]) -> None:
    """Every frame in the same colours: nothing flickers, and only changes cost."""
    colours, nearest = _palette()
    frames = []
    for i in range(len(shown)):
        red, green, blue = np.moveaxis(movie.picture(shown[: i + 1]) >> 3, -1, 0)
        frame = Image.fromarray(nearest[red, green, blue])
        frame.putpalette(colours)
        frames.append(frame)
    # Milliseconds: time to see the start, then quickly on, then time to read the end.
    durations = [700, *[80] * (len(frames) - 2), 2000][-len(frames) :]
    with replacing(path) as unfinished:
        frames[0].save(
            unfinished,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,
            optimize=True,
            transparency=255,  # stands for "as before": most of every frame
        )
