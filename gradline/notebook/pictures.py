"""Small pictures for the cards: static SVG, drawn from what the object holds."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

from gradline.data import Array
from gradline.paraboloid import LossSurface
from gradline.report.markup import Markup, short
from gradline.report.svg import Frame, limits

if TYPE_CHECKING:
    from gradline.result import Fit
    from gradline.scores import Trace

#: Wide and tall, and how many points there are at the most.
SIZE, POINTS = (320, 236), 400


def fit_picture(fit: Fit) -> Markup | None:
    """The line in the points of one feature, or actual against predicted values.

    Of the rows that the fit keeps to draw, so nothing is read; None where it keeps
    none.
    """
    if fit.sample is None or len(fit.sample.y) == 0:
        return None
    places = np.linspace(0, len(fit.sample.y) - 1, min(len(fit.sample.y), POINTS))
    some = np.unique(places.astype(int))
    X, y = fit.sample.X[some], fit.sample.y[some]
    predicted = fit.predict_terms(X)
    if not (np.isfinite(predicted).all() and np.isfinite(y).all()):
        return None
    kind = "dot many" if len(y) > 150 else "dot"
    terms = fit.design.terms
    if len(terms) == 1 and not fit.design.texts:
        x = X[:, 0]
        frame = Frame(limits(x), limits(y), (terms[0], fit.target), size=SIZE)
        frame.points(x, y, kind)
        at = np.linspace(*frame.x, 120)
        frame.line(at, fit.predict_terms(at[:, None]), "fit")
        return _svg(
            frame, f"{short(fit.target)} against {short(terms[0])}, and the fit"
        )
    both = limits(np.concatenate([predicted, y]))
    names = (f"predicted {fit.target}", f"actual {fit.target}")
    frame = Frame(both, both, names, size=SIZE)
    frame.points(predicted, y, kind)
    frame.line(np.array(both), np.array(both), "known")
    return _svg(frame, f"actual against predicted {short(fit.target)}")


def curve_picture(
    x: Array,
    curves: dict[str, Array],
    names: tuple[str, str],
    *,
    log: bool = False,
    ticks: list[tuple[float, str]] | None = None,
) -> Markup | None:
    """One or two curves over x; None where nothing can be drawn.

    Args:
        x: shape (k,).
        curves: by the class of its line, "trend" or "other", (k,) each.
        names: of the two axes.
        log: whether the height is logarithmic.
        ticks: of x: where, and what they say; round numbers unless told.
    """
    values = np.concatenate(list(curves.values()))
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if len(values) < 2 or len(x) < 2 or x[0] == x[-1]:
        return None
    ends = limits(values)
    if log:
        low, high = float(values.min()), float(values.max())
        air = max((high / low) ** 0.05, 1.02)
        ends = low / air, high * air
    if ticks is not None and len(ticks) > 7:  # as many as there is room for
        ticks = ticks[:: -(-len(ticks) // 7)]
    across = float(x[0]), float(x[-1])
    frame = Frame(across, ends, names, log=log, ticks=ticks, size=SIZE)
    for kind, height in curves.items():
        frame.line(x, np.where(height > 0, height, np.nan) if log else height, kind)
    return _svg(frame, f"{names[1]} over {names[0]}")


def trace_picture(trace: Trace) -> Markup | None:
    """The loss by epoch."""
    curves = {"trend": trace.losses}
    if trace.validation_losses is not None:
        curves["other"] = trace.validation_losses
    epochs = trace.epochs.astype(np.float64)
    return curve_picture(epochs, curves, ("epoch", "loss"), log=True)


def surface_picture(surface: LossSurface) -> Markup | None:
    """Contours of the loss, where it is lowest, and the path across it."""
    if not np.isfinite(surface.losses).all():
        return None
    frame = Frame(
        (float(surface.x[0]), float(surface.x[-1])),
        (float(surface.y[0]), float(surface.y[-1])),
        surface.names,
        size=SIZE,
    )
    far = float(surface.losses.max()) - surface.base
    for share in (0.9, 0.5, 0.25, 0.1, 0.03, 0.005):
        around = surface.ellipse(surface.base + share * far).points(120)
        if np.isfinite(around).all():
            frame.line(around[:, 0], around[:, 1], "ring")
    if surface.trail is not None and len(surface.trail) > 1:
        trail = surface.trail[np.isfinite(surface.trail).all(axis=1)]
        frame.line(trail[:, 0], trail[:, 1], "path")
    if all(math.isfinite(c) for c in surface.centre):
        frame.star(*surface.centre)
    return _svg(frame, f"the loss over {' and '.join(map(short, surface.names))}")


def _svg(frame: Frame, title: str) -> Markup:
    """The picture; its key is made from it, since ids are those of the whole page."""
    key = f"gradline-{zlib.crc32(''.join(frame.marks).encode()):08x}"
    return frame.svg(title, title, key)
