"""The passes over the data: the state, the optimum, and the residuals there.

One pass leaves the moments. Where they would lose too many digits, a second one leaves
the triangle of a QR decomposition. A last pass measures the residuals at the optimum,
never as a difference of large sums, and refines it by their own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gradline.certificate import TOLERANCE
from gradline.curvature import largest_eigenvalue
from gradline.data import Chunk, Source
from gradline.design import Design, Tally
from gradline.errors import DataError
from gradline.refine import Held, refine
from gradline.result import Sample
from gradline.solvers import (
    EPS,
    WIDE,
    Spectrum,
    column_scale,
    from_moments,
    from_triangle,
    triangle_scale,
)
from gradline.state import Moments, Triangle, centred

#: Called with a title and the rows to come (or None): a context manager that gives a
#: function to call with each number of rows done. terminal.py has one with a bar.
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], Any]]]

#: Columns and weights whose squares come near to nothing are refused.
SMALLEST = 1e-140

#: Up to so many numbers the last digits are always worth their price; ten times as many
#: where the columns are so nearly dependent.
REFINE_NUMBERS = 200_000
HARD_CONDITION = 100.0

#: Standard errors get their last digits from up to so many numbers times columns.
HELD_NUMBERS = 10_000_000

#: A fit keeps this many rows to draw.
SAMPLE_ROWS = 2_000


@dataclass(frozen=True)
class Survey:
    """All that the passes over the data have found out.

    Attributes:
        source: the data.
        design: how its columns become terms.
        tally: rows used and dropped.
        moments: the state.
        spectrum: of the design.
        solver: what the spectrum came from.
        optimum: the optimal slopes and intercept, (d + 1,), raw.
        level: the prediction at the mean of x, at the optimum.
        optimum_loss: mean squared error there, from the residuals themselves.
        optimum_mae: mean absolute error there.
        error: how far each number of `optimum` may be off, (d + 1,).
        sample: some rows to draw.
        refined: whether the optimum is right to the last digits, see refine.py.
        held: the rows, where they are few enough to have the last digits of more.
    """

    source: Source
    design: Design
    tally: Tally
    moments: Moments
    spectrum: Spectrum
    solver: Literal["moments", "triangle"]
    optimum: Tensor
    level: float
    optimum_loss: float
    optimum_mae: float
    error: Tensor
    sample: Sample
    refined: bool = False
    held: Held | None = None

    @property
    def mean(self) -> Tensor:
        """The mean of x, (d,)."""
        return self.moments.mean[:-1]

    @property
    def variance(self) -> float:
        """The variance of y: the loss of predicting its mean."""
        return max(0.0, float(self.moments.scatter[-1, -1]) / self.moments.weight)

    @property
    def floor(self) -> float:
        """A loss that rounding alone may make, of numbers of the target's size."""
        rounding = 16 * EPS * float(self.moments.mean[-1])
        return max(EPS * self.variance, rounding**2 / TOLERANCE)

    def curvature(self, step: Tensor) -> Tensor:
        """The loss's Hessian times a step in raw slopes and intercept, (d + 1,)."""
        slopes, mean = step[:-1], self.mean
        level = step[-1] + mean @ slopes
        pulled = self.moments.scatter[:-1, :-1] @ slopes / self.moments.weight
        return 2 * torch.cat([pulled + level * mean, level[None]])

    @cached_property
    def curvatures(self) -> tuple[float, float]:
        """The largest and about the smallest eigenvalue of that Hessian."""
        size = len(self.optimum)
        if size <= WIDE:
            mean = torch.cat([self.mean, torch.ones(1).double()])
            hessian = torch.outer(mean, mean)
            hessian[:-1, :-1] += self.moments.scatter[:-1, :-1] / self.moments.weight
            values = torch.linalg.eigvalsh(2 * hessian)
            return float(values[-1]), max(0.0, float(values[0]))
        largest = largest_eigenvalue(self.curvature, size)
        rest = largest_eigenvalue(lambda v: largest * v - self.curvature(v), size)
        return largest, max(0.0, largest - rest)


def take_survey(
    source: Source,
    design: Design,
    progress: Progress | None = None,
    refuse_degenerate: bool = False,
) -> Survey:
    """Read the data: the state, the optimum, and the residuals at the optimum."""
    tally = Tally()
    moments = Moments(len(design.terms))
    for chunk in _pass(source, design, "reading", progress, tally):
        moments.add(chunk)
    _check_enough(source, design, tally, moments)
    if refuse_degenerate:
        _check_determined(source, design, moments)
    factored = from_moments(moments)
    spectrum: Spectrum
    solver: Literal["moments", "triangle"] = "moments"
    if factored is not None:
        spectrum = factored
    else:
        solver = "triangle"
        triangle = Triangle(moments, triangle_scale(moments))
        for chunk in _pass(source, design, "reading again (QR)", progress):
            triangle.add(chunk)
        spectrum = from_triangle(moments, triangle)
    slopes = spectrum.solve()
    measured = _measure(
        _pass(source, design, "residuals", progress), moments, slopes, tally.rows
    )
    # One step of Newton's method with the residuals' own gradient: it takes away what
    # rounding left in the solution, and the loss changes by exactly what it promises.
    step = spectrum.newton_step(measured.gradient)
    loss = measured.loss - float(measured.gradient @ step) - measured.offset**2
    slopes = slopes + step
    mean = moments.mean
    level = float(mean[-1]) + measured.offset
    intercept = level - slopes @ mean[:-1]
    # What one more step would still find, by the rate at which such steps shrink.
    squared = 2 if solver == "moments" else 1
    rest = min(1.0, 64 * EPS * len(slopes) * spectrum.condition**squared)
    error = torch.cat(
        [step.abs() * (0 if spectrum.deficient else rest), torch.zeros(1)]
    )
    survey = Survey(
        source,
        design,
        tally,
        moments,
        spectrum,
        solver,
        torch.cat([slopes, intercept[None]]),
        level,
        max(0.0, loss),
        measured.mae,
        error,
        measured.sample,
    )
    return _refined(survey) if _worth_refining(survey) else survey


def _worth_refining(survey: Survey) -> bool:
    """Whether the last digits are to be had for little."""
    numbers = survey.tally.rows * len(survey.optimum)
    hard = survey.spectrum.condition > HARD_CONDITION
    most = REFINE_NUMBERS * (10 if hard else 1)
    return numbers <= most and not survey.spectrum.deficient


def _refined(survey: Survey) -> Survey:
    """The survey with its optimum right to the last digits float64 can hold."""
    chunks = list(survey.design.chunks(survey.source))
    weighted = chunks[0].weight is not None
    whole = Chunk(
        np.concatenate([c.X for c in chunks], dtype=np.float64),
        np.concatenate([c.y for c in chunks], dtype=np.float64),
        np.concatenate([c.weight for c in chunks if c.weight is not None], dtype=float)
        if weighted
        else None,
    )
    moments, slopes = survey.moments, survey.optimum[:-1]
    parts = abs(survey.level) + float((slopes * survey.mean).abs().sum())
    spread = survey.variance**0.5
    natural = torch.cat([spread / survey.spectrum.scale, torch.tensor([parts])])
    held = Held(whole, (moments.shift[:-1].numpy(), moments.delta[:-1].numpy()))
    found = refine(
        held,
        survey.spectrum,
        slopes.numpy(),
        survey.level,
        1e-6 * natural.numpy(),
    )
    if not np.isfinite(found.off).all():
        return survey
    return replace(
        survey,
        optimum=torch.from_numpy(np.append(found.slopes, found.intercept)),
        level=found.level,
        optimum_loss=found.loss,
        optimum_mae=found.mae,
        error=torch.from_numpy(found.off),
        refined=True,
        held=held if whole.X.size * whole.X.shape[1] <= HELD_NUMBERS else None,
    )


@dataclass
class _Measured:
    """A pass over the residuals of given slopes."""

    loss: float
    mae: float
    gradient: Tensor  # Σ w·r·(x - mean)/W, (d,)
    offset: float  # Σ w·r/W
    sample: Sample


def _measure(
    chunks: Iterable[Chunk], moments: Moments, slopes: Tensor, rows: int
) -> _Measured:
    """Residuals of the line through the mean with these slopes, in one pass."""
    squares = absolutes = offset = 0.0
    gradient = torch.zeros(len(slopes), dtype=torch.float64)
    picker = _Picker(rows, len(slopes))
    for chunk in chunks:
        picker.add(chunk)
        for z, w in centred(chunk, moments.shift, moments.delta):
            X = z[:-1]  # (d, b)
            r = z[-1] - slopes @ X
            wr = r if w is None else r * w
            squares += float(wr @ r)
            absolutes += float(wr.abs().sum())
            offset += float(wr.sum())
            gradient += X @ wr
    W = moments.weight
    return _Measured(
        squares / W, absolutes / W, gradient / W, offset / W, picker.done()
    )


class _Picker:
    """Keeps a seeded, even choice of rows to draw."""

    def __init__(self, rows: int, columns: int) -> None:
        most = max(50, min(SAMPLE_ROWS, 2_000_000 // max(1, columns)))
        random = np.random.default_rng(0)
        all_rows = rows <= most
        chosen = np.arange(rows) if all_rows else random.choice(rows, most, False)
        self._wanted = np.sort(chosen)
        self._seen = 0
        self._X: list[Any] = []
        self._y: list[Any] = []

    def add(self, chunk: Chunk) -> None:
        stop = self._seen + len(chunk.y)
        low, high = np.searchsorted(self._wanted, [self._seen, stop])
        rows = self._wanted[low:high] - self._seen
        self._X.append(chunk.X[rows])
        self._y.append(chunk.y[rows])
        self._seen = stop

    def done(self) -> Sample:
        return Sample(np.concatenate(self._X), np.concatenate(self._y))


def mean_absolute_error(survey: Survey, slopes: Tensor, level: float) -> float:
    """The weighted mean of |residual|, in one more pass.

    Args:
        survey: of the data.
        slopes: raw, (d,).
        level: the prediction at the mean of x.
    """
    total = 0.0
    w, center = slopes.numpy(), survey.mean.numpy()
    for chunk in survey.design.chunks(survey.source):
        r = np.abs((chunk.y - level) - (chunk.X - center) @ w)
        total += float(r.sum() if chunk.weight is None else chunk.weight @ r)
    return total / survey.moments.weight


def _pass(
    source: Source,
    design: Design,
    title: str,
    progress: Progress | None,
    tally: Tally | None = None,
) -> Iterator[Chunk]:
    shown = progress(title, source.rows) if progress else nullcontext(int)
    with shown as advance:
        for chunk in design.chunks(source, tally):
            yield chunk
            advance(len(chunk.y))


def _check_enough(
    source: Source, design: Design, tally: Tally, moments: Moments
) -> None:
    if tally.rows == 0 and tally.dropped:
        raise DataError(
            f"{source.name} has no complete row: all {tally.dropped:,} miss a value in "
            "some column; leave out the emptiest column"
        )
    if tally.rows == 0:
        raise DataError(f"{source.name} has no rows: a line needs at least 2")
    if tally.rows == 1:
        raise DataError(f"{source.name} has one row: a line needs at least 2")
    if moments.weight <= 0:
        raise DataError(
            f"the weights in {design.weights!r} are all 0: give some row a weight"
        )
    if not SMALLEST < moments.weight < 1 / SMALLEST:
        raise DataError(
            f"the weights in {design.weights!r} add up to {moments.weight:.0e}: "
            "multiply them by a power of ten first"
        )
    names = [*design.terms, design.target]
    finite = torch.isfinite(moments.scatter.diagonal()) & torch.isfinite(moments.mean)
    if not finite.all():
        name = names[int(torch.argmin(finite.int()))]
        raise DataError(
            f"column {name!r} holds numbers too large to square: divide it by a power "
            "of ten first"
        )
    scale = column_scale(moments)
    small = (scale > 0) & (scale < SMALLEST)
    still = (scale == 0) & (moments.mean.abs() < SMALLEST) & (moments.mean != 0)
    if (small | still).any():
        name = names[int(torch.argmax((small | still).int()))]
        raise DataError(
            f"column {name!r} holds numbers too small to square: multiply it by a "
            "power of ten first"
        )


def _check_determined(source: Source, design: Design, moments: Moments) -> None:
    way_out = (
        "or take the answer of least norm with degenerate='allow' (--minimum-norm)"
    )
    constant = [
        (term, abs(mean))
        for term, scale, mean in zip(
            design.terms, column_scale(moments), moments.mean.tolist(), strict=False
        )
        if scale == 0
    ]
    constant += [(name, 0.0) for name, lev in design.levels.items() if len(lev) < 2]
    if constant:
        name, size = constant[0]
        nearly = f", or varies less than float64 can tell near {size:.3g}"
        raise DataError(
            f"column {name!r} of {source.name} is constant"
            f"{nearly if size > 1e12 else ''} and cannot be told from the intercept: "
            f"leave it out of the features, {way_out}"
        )
    if moments.counted < len(design.terms) + 1:
        most = max(design.levels, key=lambda n: len(design.levels[n]), default=None)
        levels = len(design.levels[most]) if most is not None else 0
        hint = f" ({levels:,} of them levels of {most!r})" if levels > 10 else ""
        raise DataError(
            f"{source.name} has {moments.counted:,} rows for {len(design.terms) + 1:,} "
            f"coefficients{hint}: give more rows or fewer features, {way_out}"
        )
