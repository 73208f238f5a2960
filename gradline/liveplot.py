"""A picture of a run while it runs: the line in the points, the loss, the weights.

It is drawn in a notebook's output, which it leaves with the last state; or in a window,
where a script has one; or into a file.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gradline.data import Array, is_tensor, real_array
from gradline.errors import ShapeError, UsageError
from gradline.files import check_place
from gradline.kernels import Pane, in_notebook
from gradline.plots import check_kind, live_figure, save_figure, styled
from gradline.sinks import Ending, Followed, S, check_steps, followed, scalars_of

#: Pictures are at least so many seconds apart, and take at most a share of the time.
PAUSE, SHARE = 0.1, 0.25

#: So many places of the curves are kept, at the most.
_KEPT = 4000

#: So many parameters are drawn, at the most.
_DRAWN = 8

#: Points that are drawn of the data, at the most.
_POINTS = 2000


def live_plot(
    steps: Iterable[S],
    x: Any = None,
    y: Any = None,
    *,
    every: int = 1,
    path: str | Path | None = None,
) -> Followed[S]:
    """Draw a run while it runs, and yield each of its steps on.

    The loss by epoch, the parameters by epoch (the first 8) and, given x and y, the
    points and the line, where there is one feature. At most ten pictures a second, and
    at most a quarter of the time; the last state is always drawn.

    Args:
        steps: what gl.descend or fit.steps() yields, or a consumer around it.
        x: the feature, (n,) or (n, 1), in the units that the model sees.
        y: the target, (n,).
        every: look at the first step, then at one in so many epochs (or batches), and
            at the last.
        path: a file to draw into instead, anew each time: .png, .svg or .pdf.

    Returns:
        A gl.Followed: an iterator of the same steps, and a context manager.

    Raises:
        ShapeError: x and y are not two vectors of one length.
        UsageError: there is neither a notebook nor a window, nor a path.
    """
    every = check_steps(steps, every, "live_plot")
    points = _points(x, y)
    outlet: _Outlet
    if path is not None:
        outlet = _File(Path(path))
    elif in_notebook():
        outlet = _Page()
    else:
        outlet = _Window()
    return followed(steps, _Live(outlet, points), every)


class _Outlet(Protocol):
    def show(self, figure: Any) -> None:
        """Show a matplotlib Figure in place of the last."""

    def close(self) -> None:
        """There is no other."""


class _Live:
    """The curves so far, and when they are drawn again."""

    def __init__(self, outlet: _Outlet, points: tuple[Array, Array] | None) -> None:
        self._outlet, self._points = outlet, points
        self._places: list[int] = []
        self._losses: list[float] = []
        self._weights: dict[str, list[float]] = {}
        self._stride, self._count, self._next = 1, 0, 0.0
        self._fresh, self._unit = False, "epoch"
        self._skipped: tuple[int, Any] | None = None

    def open(self) -> None:
        self._next = time.monotonic() + PAUSE

    def write(self, place: int, step: Any) -> None:
        now = time.monotonic() >= self._next
        if self._count % self._stride and not now:
            self._skipped = place, step
            self._count += 1
            return
        self._count += 1
        self._keep(place, step)
        if now:
            self._draw()

    def close(self, ending: Ending, error: BaseException | None, steps: int) -> None:
        skipped, self._skipped = self._skipped, None
        if skipped is not None:
            self._keep(*skipped)
        try:
            if self._fresh:
                self._draw()
        finally:
            self._outlet.close()

    def _keep(self, place: int, step: Any) -> None:
        self._skipped = None
        if place != step.epoch:
            self._unit = "batch"
        numbers = scalars_of(step)
        self._places.append(place)
        self._losses.append(numbers.pop("loss"))
        numbers.pop("gradient_norm", None)
        numbers.pop("validation_loss", None)
        if not self._weights:
            self._weights = {name: [] for name in list(numbers)[:_DRAWN]}
        for name, values in self._weights.items():
            values.append(numbers.get(name, math.nan))
        self._fresh = True
        if len(self._places) > _KEPT:  # from here on half as many
            del self._places[1::2]
            for values in (self._losses, *self._weights.values()):
                del values[1::2]
            self._stride *= 2

    def _draw(self) -> None:
        began = time.monotonic()
        places, losses = np.array(self._places), np.array(self._losses)
        weights = {name: np.array(v) for name, v in self._weights.items()}
        figure = live_figure(places, losses, weights, self._points, self._unit)
        self._outlet.show(figure)
        self._fresh = False
        took = time.monotonic() - began
        self._next = time.monotonic() + max(PAUSE, took / SHARE - took)


class _Page:
    """A notebook's output."""

    def __init__(self) -> None:
        self._pane = Pane()

    def show(self, figure: Any) -> None:
        buffer = io.BytesIO()
        with styled():
            figure.savefig(buffer, format="png", dpi=100)
        text = base64.b64encode(buffer.getvalue()).decode("ascii")
        self._pane.show({"image/png": text, "text/plain": "<the run so far>"})

    def close(self) -> None:
        """What was shown last stays."""


class _File:
    """A picture in a file, whole at any time."""

    def __init__(self, path: Path) -> None:
        check_kind(path)
        check_place(path)
        self._path = path

    def show(self, figure: Any) -> None:
        save_figure(figure, self._path)

    def close(self) -> None:
        """The file is closed each time."""


class _Window:
    """A window of matplotlib's, which stays open after the run."""

    def __init__(self) -> None:
        import matplotlib.pyplot as plt

        self._plt: Any = plt
        self._image: Any = None
        if not _has_windows(plt.get_backend()):
            raise UsageError(
                "live_plot found neither a notebook nor a window to draw in: give "
                "path='live.png', or set MPLBACKEND to a backend with windows"
            )

    def show(self, figure: Any) -> None:
        with styled():
            figure.canvas.draw()
        picture = np.asarray(figure.canvas.buffer_rgba())
        if self._image is None:
            tall, wide = picture.shape[:2]
            window = self._plt.figure(figsize=(wide / 100, tall / 100), dpi=100)
            axes = window.add_axes((0.0, 0.0, 1.0, 1.0))
            axes.set_axis_off()
            self._image = axes.imshow(picture)
            self._plt.show(block=False)
        self._image.set_data(picture)
        self._image.figure.canvas.draw_idle()
        self._image.figure.canvas.flush_events()

    def close(self) -> None:
        """The window stays until its owner closes it, or the script ends."""


def _has_windows(backend: str) -> bool:
    from matplotlib.backends.registry import backend_registry

    return backend_registry.resolve_backend(backend)[1] is not None


def _points(x: Any, y: Any) -> tuple[Array, Array] | None:
    """The points to draw, thinned; None where there is no one feature."""
    if x is None and y is None:
        return None
    if x is None or y is None:
        raise UsageError("live_plot needs x and y to draw points: give both, or none")
    a, b = _numbers(x, "x"), _numbers(y, "y")
    if a.ndim == 2 and a.shape[1] > 1:
        return None
    a, b = a.reshape(-1), b.reshape(-1)
    if len(a) != len(b) or len(a) == 0:
        raise ShapeError(
            f"x has {len(a):,} rows and y {len(b):,}: give as many of each, one or more"
        )
    fine = np.isfinite(a) & np.isfinite(b)
    if not fine.any():
        raise UsageError("x and y have no finite pair to draw: give some, or neither")
    a, b = a[fine], b[fine]
    some = np.unique(np.linspace(0, len(a) - 1, min(len(a), _POINTS)).astype(int))
    return a[some], b[some]


def _numbers(data: Any, name: str) -> Array:
    found = real_array(data, name)
    if is_tensor(found):
        found = found.detach().double().cpu().numpy()
    return np.asarray(found, dtype=np.float64)
