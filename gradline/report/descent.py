"""The pictures of a descent: its losses, and its way across the loss surface."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradline.data import Array, Codes
from gradline.errors import GradlineError
from gradline.paraboloid import LossSurface, rise
from gradline.report.charts import Picture
from gradline.report.markup import short
from gradline.report.svg import LARGE, Frame, limits
from gradline.report.ticks import said

if TYPE_CHECKING:
    from gradline.result import Fit

#: Epochs that are drawn of a longer descent, evenly spread and evenly spread by ratio.
EPOCHS = 300


def loss_pictures(fit: Fit) -> list[Picture]:
    """The loss by epoch; and its gap to the optimum, where that is known."""
    trace = fit.trace
    if trace is None or len(trace) < 2:
        return []
    every = _some(len(trace))
    epochs = trace.epochs[every].astype(np.float64)
    losses = trace.losses[every]
    seen = None if trace.validation_losses is None else trace.validation_losses[every]
    shown = losses if seen is None else np.concatenate([losses, seen])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if len(shown) == 0:
        return []
    wide = float(shown.max() / shown.min()) > 30
    ends = limits(shown)
    if wide:
        ends = float(shown.min()) / 1.3, float(shown.max()) * 1.3
    last = float(epochs[-1]) or 1.0
    frame = Frame((0.0, last), ends, ("epoch", fit.certificate.objective), log=wide)
    optimum = fit.certificate.optimum_loss
    if math.isfinite(optimum) and ends[0] < optimum < ends[1]:
        frame.line(np.array([0.0, last]), np.array([optimum] * 2), "known")
    frame.line(epochs, losses, "fit", data_name="training")
    caption = "Blue: the training rows"
    if seen is not None:
        frame.line(epochs, seen, "other", data_name="validation")
        caption += "; purple: the validation rows, which are not learned from"
    if trace.best_epoch is not None and seen is not None:
        best = int(np.searchsorted(trace.epochs, trace.best_epoch))
        at = float(trace.epochs[best])
        frame.star(at, float(trace.validation_losses[best]), "star other")  # type: ignore[index]
        caption += f"; the cross: epoch {trace.best_epoch:,}, which was kept"
    if math.isfinite(optimum):
        caption += "; dashed: the smallest loss there is"
    title = "Learning curve"
    about = (
        f"The loss falls from {said(float(losses[0]))} to {said(float(losses[-1]))} in "
        f"{int(last):,} epochs."
    )
    found = [Picture(frame.svg(title, about, "loss"), title, caption + ".")]
    gap = losses - optimum
    fine = np.isfinite(gap) & (gap > 1e-14 * max(abs(optimum), 1e-300))
    if fit.certificate.bound == "exact" and fine.sum() > 2:
        low, high = float(gap[fine].min()), float(gap[fine].max())
        frame = Frame(
            (0.0, last),
            (low / 1.5, high * 1.5),
            ("epoch", "above the optimum"),
            log=True,
        )
        frame.line(epochs[fine], gap[fine], "fit")
        title = "Gap to the optimum"
        about = f"From {said(high, 3)} to {said(low, 3)} above the smallest loss."
        caption = (
            "How far above the smallest loss there is. A straight line: each "
            "epoch takes the same share of the gap."
        )
        found.append(Picture(frame.svg(title, about, "gap"), title, caption))
    return found


def _some(count: int) -> Codes:
    """Which epochs are drawn."""
    if count <= 2 * EPOCHS:
        return np.arange(count, dtype=np.int64)
    even = np.linspace(0, count - 1, EPOCHS)
    early = np.geomspace(1, count - 1, EPOCHS)
    return np.unique(np.rint(np.concatenate([even, early])).astype(np.int64))


def surface_picture(fit: Fit, pair: tuple[str, str]) -> Picture | None:
    """The loss over two coefficients, the path of a descent, the optimum."""
    try:
        with np.errstate(all="ignore"):
            surface = fit.loss_surface(*pair, points=2)
            drawable = _drawable(surface)
    except (GradlineError, np.linalg.LinAlgError):
        return None
    if not drawable:
        return None
    x, y = _ends(surface.x), _ends(surface.y)
    if not np.isfinite([*x, *y, x[1] - x[0], y[1] - y[0], *surface.root.flat]).all():
        return None  # too large, or too small, to be drawn
    names = [_axis(name) for name in surface.names]
    frame = Frame(x, y, (names[0], names[1]), size=LARGE)
    rings = _rings(surface)
    drawn = len(rings)
    for place, gap in enumerate(reversed(rings)):
        kind = f"ring r{math.ceil(5 * (place + 1) / drawn)}"
        inner = rings[drawn - place - 2] if place + 1 < drawn else None
        _ring(frame, surface, gap, inner, kind)
    if surface.trail is not None:
        trail = surface.trail
        frame.line(trail[:, 0], trail[:, 1], "path")
        steps = trail if len(trail) <= 60 else trail[:1]
        frame.points(steps[:, 0], steps[:, 1], "step")
        frame.say(float(trail[0, 0]), float(trail[0, 1]), "start")
    frame.star(*surface.centre)
    others = len(fit.coefficients) + fit.design.intercept - 2
    title = "Loss surface"
    words = ", ".join(said(gap, 2) for gap in rings)
    caption = f"Rings: the loss is {words} above its least, at the cross"
    caption += {0: "", 1: "; the other coefficient at its best"}.get(
        others, f"; the other {others:,} coefficients at their best"
    )
    caption += ". " if surface.trail is None else ". The line is the descent. "
    caption += "Long, narrow rings make descent slow; the condition number says how."
    a, b = surface.centre
    about = (
        f"The loss over {short(pair[0])} and {short(pair[1])} is least at "
        f"{said(a)} and "
        f"{said(b)}."
    )
    return Picture(frame.svg(title, about, "surface"), title, caption)


def _drawable(surface: LossSurface) -> bool:
    """Whether its numbers can be drawn: neither endless nor too far apart."""
    scaled = np.asarray(surface.root) * np.array([np.ptp(surface.x), np.ptp(surface.y)])
    there = (surface.x, surface.y, surface.root, scaled, np.asarray(surface.centre))
    return all(bool(np.isfinite(values).all()) for values in there)


def _axis(name: str) -> str:
    return name if name == "Intercept" else f"coefficient of {short(name, 30)}"


def _ends(values: Array) -> tuple[float, float]:
    low, high = float(values[0]), float(values[-1])
    air = 1e-10 * max(abs(low), abs(high))
    return (
        (low, high) if high - low > air else (low - air - 1e-300, high + air + 1e-300)
    )


def _rings(surface: LossSurface) -> list[float]:
    """1, 2, 5, 10, ... above the least: those that can be seen, ascending."""
    x, y = surface.x - surface.centre[0], surface.y - surface.centre[1]
    top = float(rise(surface.root, x[None, [0, -1]], y[[0, -1], None]).max())
    if not 1e-290 < top < 1e290:
        return []
    least = 2e-3 * top
    powers = range(math.floor(math.log10(least)), math.floor(math.log10(top)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    return [gap for gap in found if least <= gap < top]


def _ring(
    frame: Frame, surface: LossSurface, gap: float, inner: float | None, kind: str
) -> None:
    """½‖R a‖² = gap, in units of the picture: its singular vectors are the axes."""
    a, b = surface.centre
    _, sizes, turned = np.linalg.svd(surface.root / frame.scale)
    reach = math.sqrt(2 * gap)
    short_, long = (reach / s if s > 0 else 1e6 for s in sizes.tolist())
    angle = math.degrees(math.atan2(turned[1, 1], turned[1, 0]))
    centre = float(frame.across(np.array(a))), float(frame.up(np.array(b)))
    # Inside this ring and outside the next smaller one, whose fill lies above.
    between = f"under {said(gap, 2)}"
    if inner is not None:
        between = f"{said(inner, 2)} to {said(gap, 2)}"
    words = f"loss {between} above its least"
    frame.ellipse(centre, (long, short_), angle, kind, data_rows=words)
