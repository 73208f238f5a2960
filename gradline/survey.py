"""The passes over the data: the state, the optimum, and the residuals there.

One pass leaves the moments, and with them the optimum and its loss: the state is made
of residuals already (state.py). Where that would lose too many digits, because columns
are nearly dependent or the opening rows were no guide to the rest, more passes follow:
one that leaves the triangle of a QR decomposition, and one that measures the residuals
at the optimum and refines it by their own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.bar import bar_for
from gradline.certificate import TOLERANCE
from gradline.curvature import largest_eigenvalue
from gradline.data import Chunk, Progress, Source
from gradline.design import Design, Tally
from gradline.errors import DataError
from gradline.path import Bowl, raw_bowl, scaled_bowl
from gradline.reading import Beside, Reading, joined, read_once, share_cores
from gradline.refine import Held, hold, refine
from gradline.scores import Sample
from gradline.solvers import (
    WIDE,
    Factored,
    Solution,
    Spectrum,
    column_scale,
    from_moments,
    from_triangle,
    solve_moments,
    triangle_scale,
)
from gradline.state import EPS, Centred, Moments
from gradline.threads import blas_threads
from gradline.triangle import Triangle, centre, centred

#: Columns and weights whose squares come near to nothing are refused.
SMALLEST = 1e-140

#: Up to so many numbers the last digits are always worth their price (some
#: milliseconds), and of more where the columns are so nearly dependent.
REFINE_NUMBERS = 50_000
HARD_NUMBERS = 2_000_000
HARD_CONDITION = 100.0

#: A state whose line was so far off, as shares of the residuals, has lost digits: a
#: pass over the residuals at the optimum brings them back.
LINE_OFF = 4.0
LOSS_OFF = 1e-12

#: Of so many numbers the mean absolute error is measured at once, of more when asked.
MAE_NUMBERS = 4_000_000

#: Standard errors get their last digits from up to so many numbers times columns.
HELD_NUMBERS = 10_000_000


@dataclass(frozen=True)
class Survey:
    """All that the passes over the data have found out.

    Attributes:
        source: the data.
        design: how its columns become terms.
        tally: rows used and dropped.
        moments: the state.
        sums: its value.
        spectrum: of the design.
        solver: what the spectrum came from.
        optimum: the optimal slopes and intercept, (d + 1,), raw.
        level: the prediction at the mean of x, at the optimum.
        optimum_loss: mean squared error there, from the residuals themselves.
        optimum_mae: mean absolute error there; None where nobody has measured it.
        error: how far each number of `optimum` may be off, (d + 1,).
        sample: some rows to draw.
        refined: whether the optimum is right to the last digits, see refine.py.
        rows: all of them, where they are few.
        held: the rows, where they are few enough to have the last digits of more.
        beside: what else was filled in the first pass.
    """

    source: Source
    design: Design
    tally: Tally
    moments: Moments
    sums: Centred
    spectrum: Spectrum
    solver: Literal["moments", "triangle"]
    optimum: Tensor
    level: float
    optimum_loss: float
    optimum_mae: float | None
    error: Tensor
    sample: Sample
    refined: bool = False
    rows: Chunk | None = None
    held: Held | None = None
    beside: Beside | None = None

    @cached_property
    def best(self) -> Survey:
        """With the last digits of the optimum too, where they are to be had."""
        return _refined(self) if _worth_refining(self) else self

    @cached_property
    def raw_bowl(self) -> Bowl:
        """The loss as seen by a descent on the features as they are."""
        return raw_bowl(self.spectrum, self.mean, self.design.intercept)

    @cached_property
    def scaled_bowl(self) -> Bowl:
        """The loss as seen by a descent on standardised features."""
        return scaled_bowl(self.spectrum, self.mean, self.design.intercept)

    @property
    def dependent(self) -> tuple[str, ...]:
        """The terms that depend on one another; none where the rank is full."""
        if not self.spectrum.deficient:
            return ()
        return tuple(self.design.terms[i] for i in self.spectrum.dependent())

    @property
    def mean(self) -> Tensor:
        """The mean of x, (d,)."""
        return torch.from_numpy(self.sums.x_mean)

    @property
    def variance(self) -> float:
        """The variance of y: the loss of predicting its mean."""
        return float(self.sums.yy[0]) / self.sums.weight

    @property
    def floor(self) -> float:
        """A loss that rounding alone may make, of numbers of the target's size."""
        rounding = 16 * EPS * float(self.sums.y_mean[0])
        return max(EPS * self.variance, rounding**2 / TOLERANCE)

    def curvature(self, step: Tensor) -> Tensor:
        """The loss's Hessian times a step in raw slopes and intercept, (d + 1,)."""
        slopes, mean = step[:-1], self.mean
        level = step[-1] + mean @ slopes
        pulled = torch.from_numpy(self.sums.xx) @ slopes / self.sums.weight
        return 2 * torch.cat([pulled + level * mean, level[None]])

    @cached_property
    def curvatures(self) -> tuple[float, float]:
        """The largest and about the smallest eigenvalue of that Hessian."""
        size = len(self.optimum)
        if size <= WIDE:
            mean = torch.cat([self.mean, torch.ones(1).double()])
            hessian = torch.outer(mean, mean)
            hessian[:-1, :-1] += torch.from_numpy(self.sums.xx) / self.sums.weight
            if not self.design.intercept:
                hessian = hessian[:-1, :-1]
            values = torch.linalg.eigvalsh(2 * hessian)
            return float(values[-1]), max(0.0, float(values[0]))
        without = not self.design.intercept

        def image(step: Tensor) -> Tensor:
            if not without:
                return self.curvature(step)
            return self.curvature(torch.cat([step, torch.zeros(1)]))[:-1]

        size -= without
        largest = largest_eigenvalue(image, size)
        # The flattest is only ever added to the steepest: a millionth of it is enough.
        rest = largest_eigenvalue(lambda v: largest * v - image(v), size, 1e-3)
        return largest, max(0.0, largest - rest)


def take_survey(
    source: Source,
    design: Design,
    progress: Progress | None = None,
    refuse_degenerate: bool = False,
    beside: Callable[[], Beside] | None = None,
    reading: Reading | None = None,
) -> Survey:
    """Read the data: the state, the optimum, and the residuals at the optimum.

    Args:
        source: the data.
        design: how its columns become terms.
        progress: True for a bar; or what is told how reading gets on.
        refuse_degenerate: turn down data that do not determine a line.
        beside: makes another state to fill in the first pass, see `Survey.beside`.
        reading: the first pass, where it has been made already.
    """
    shared = share_cores(source, design)
    with blas_threads(shared.blas):
        if reading is None:
            reading = read_once(
                source,
                design,
                progress,
                readers=shared.readers,
                hold=REFINE_NUMBERS,
                beside=beside,
            )
        return _survey(source, design, progress, refuse_degenerate, reading)


def _survey(
    source: Source,
    design: Design,
    progress: Progress | None,
    refuse_degenerate: bool,
    reading: Reading,
) -> Survey:
    tally, moments = reading.tally, reading.moments
    check_readable(source, design, reading)
    sums = moments.value()
    if refuse_degenerate:
        _check_determined(source, design, sums)
    factored = from_moments(sums)
    found: _Optimum | None = None
    spectrum: Spectrum
    solver: Literal["moments", "triangle"]
    if factored is not None:
        spectrum, solver = factored, "moments"
        solution = solve_moments(moments, factored)
        slopes = torch.from_numpy(solution.slopes[:, 0])
        found = _from_state(solution, factored)
    else:
        solver = "triangle"
        triangle = Triangle(moments, triangle_scale(sums))
        for chunk in _again(source, design, reading, "reading again (QR)", progress):
            triangle.add(chunk)
        singular = from_triangle(sums, triangle)
        spectrum, slopes = singular, singular.solve()
    if found is None:
        chunks = _again(source, design, reading, "residuals", progress)
        found = _improved(chunks, moments, spectrum, slopes)
    intercept = found.level - found.slopes @ torch.from_numpy(sums.x_mean)
    survey = Survey(
        source,
        design,
        tally,
        moments,
        sums,
        spectrum,
        solver,
        torch.cat([found.slopes, intercept[None]]),
        found.level,
        max(0.0, found.loss),
        found.mae,
        torch.cat([found.error, torch.zeros(1)]),
        reading.picker.done(),
        rows=None if reading.rows is None else joined(reading.rows),
        beside=reading.beside,
    )
    # What is not held must be read again at once: who knows what it is later.
    return survey if survey.rows is not None else survey.best


class _Optimum(NamedTuple):
    """The optimum as one way of finding it left it.

    slopes (d,), level at the mean of x, loss, mae or None; error (d,): how far the
    slopes may be off beyond what perturbation theory says.
    """

    slopes: Tensor
    level: float
    loss: float
    mae: float | None
    error: Tensor


def _from_state(found: Solution, spectrum: Factored) -> _Optimum | None:
    """The optimum from the state alone; None where that has lost digits."""
    loss, moved = float(found.loss[0]), float(found.moved[0])
    if spectrum.condition * moved > LINE_OFF * loss**0.5:
        return None
    if float(found.loss_error[0]) > LOSS_OFF * loss:
        return None
    slopes = torch.from_numpy(found.slopes[:, 0])
    return _Optimum(slopes, float(found.level[0]), loss, None, torch.zeros_like(slopes))


def _improved(
    chunks: Iterable[Chunk], moments: Moments, spectrum: Spectrum, slopes: Tensor
) -> _Optimum:
    """The optimum by a pass over the residuals of slopes near it.

    One step of Newton's method with the residuals' own gradient takes away what
    rounding left in the solution, and the loss changes by exactly what it promises.
    """
    measured = _measure(chunks, moments, slopes)
    offset = measured.offset if moments.intercept else 0.0
    step = spectrum.newton_step(measured.gradient)
    loss = measured.loss - float(measured.gradient @ step) - offset**2
    # What one more step would still find, by the rate at which such steps shrink.
    squared = 2 if isinstance(spectrum, Factored) else 1
    rest = min(1.0, 64 * EPS * len(slopes) * spectrum.condition**squared)
    return _Optimum(
        slopes + step,
        float(moments.y_mean[0]) + offset,
        loss,
        measured.mae,
        step.abs() * (0 if spectrum.deficient else rest),
    )


def _worth_refining(survey: Survey) -> bool:
    """Whether the last digits are to be had for little."""
    numbers = survey.tally.rows * len(survey.optimum)
    hard = survey.spectrum.condition > HARD_CONDITION
    most = HARD_NUMBERS if hard else REFINE_NUMBERS
    return numbers <= most and not survey.spectrum.deficient


def _refined(survey: Survey) -> Survey:
    """The survey with its optimum right to the last digits float64 can hold."""
    whole = survey.rows
    if whole is None:
        whole = joined(list(survey.design.chunks(survey.source)))
    slopes = survey.optimum[:-1]
    parts = abs(survey.level) + float((slopes * survey.mean).abs().sum())
    spread = survey.variance**0.5
    natural = torch.cat([spread / survey.spectrum.scale, torch.tensor([parts])])
    held = hold(whole, survey.design.intercept)
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


def _measure(chunks: Iterable[Chunk], moments: Moments, slopes: Tensor) -> _Measured:
    """Residuals of the line through the mean with these slopes, in one pass."""
    squares = absolutes = offset = 0.0
    gradient = torch.zeros(len(slopes), dtype=torch.float64)
    shift, delta = centre(moments)
    for chunk in chunks:
        for z, w in centred(chunk, shift, delta):
            X = z[:-1]  # (d, b)
            r = z[-1] - slopes @ X
            wr = r if w is None else r * w
            squares += float(wr @ r)
            absolutes += float(wr.abs().sum())
            offset += float(wr.sum())
            gradient += X @ wr
    W = moments.weight
    return _Measured(squares / W, absolutes / W, gradient / W, offset / W)


def mean_absolute_error(
    survey: Survey, slopes: Tensor, level: float, loss: float
) -> float:
    """The weighted mean of |residual|, in one more pass where rows are not held.

    Args:
        survey: of the data.
        slopes: raw, (d,).
        level: the prediction at the mean of x.
        loss: the mean squared residual, by which the data are known again.

    Raises:
        DataError: the data have changed since.
    """
    total = squares = 0.0
    w, center = slopes.numpy(), survey.mean.numpy()
    held = survey.rows
    for chunk in survey.design.chunks(survey.source) if held is None else [held]:
        r = (chunk.y - level) - (chunk.X - center) @ w
        wr = np.abs(r) if chunk.weight is None else np.abs(r) * chunk.weight
        total += float(wr.sum())
        squares += float(wr @ np.abs(r))
    W = survey.moments.weight
    size = survey.variance + float(survey.sums.y_mean[0]) ** 2
    if held is None and abs(squares / W - loss) > 1e-3 * loss + 1e-20 * size:
        raise DataError(
            f"{survey.source.name} has changed since the fit: its residuals are not "
            "those of the fit any more; fit again"
        )
    return total / W


def _again(
    source: Source,
    design: Design,
    reading: Reading,
    title: str,
    progress: Progress | None,
) -> Iterable[Chunk]:
    """The rows once more: those that were kept, or another pass."""
    if reading.rows is not None:
        return reading.rows
    return _pass(source, design, title, progress)


def _pass(
    source: Source,
    design: Design,
    title: str,
    progress: Progress | None,
) -> Iterator[Chunk]:
    shown = bar_for(progress, title, source.rows)
    with shown as advance:
        for chunk in design.chunks(source):
            yield chunk
            advance(len(chunk.y))


def check_readable(source: Source, design: Design, reading: Reading) -> None:
    """Refuse what a first pass has found to be no data for a line.

    Raises:
        DataError: too few rows, no weight, or numbers of a size that has no squares.
    """
    _check_enough(source, design, reading.tally, reading.moments)
    _check_sizes(design, reading.moments.value())


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


def _check_sizes(design: Design, sums: Centred) -> None:
    """Refuse columns whose squares are not numbers that float64 can hold."""
    names = [*design.terms, design.response]
    mean = np.append(sums.x_mean, sums.y_mean[0])
    squares = np.append(sums.xx.diagonal(), sums.yy[0])
    finite = np.isfinite(squares) & np.isfinite(mean)
    if not finite.all():
        raise DataError(
            f"column {names[int(np.argmin(finite))]!r} holds numbers too large to "
            "square: divide it by a power of ten first"
        )
    scale = column_scale(sums).numpy()
    small = (scale > 0) & (scale < SMALLEST)
    still = (scale == 0) & (np.abs(mean) < SMALLEST) & (mean != 0)
    if (small | still).any():
        raise DataError(
            f"column {names[int(np.argmax(small | still))]!r} holds numbers too small "
            "to square: multiply it by a power of ten first"
        )


def _check_determined(source: Source, design: Design, sums: Centred) -> None:
    way_out = (
        "or take the answer of least norm with degenerate='allow' (--minimum-norm)"
    )
    constant = [
        (term, abs(mean))
        for term, scale, mean in zip(
            design.terms, column_scale(sums), sums.x_mean.tolist(), strict=False
        )
        if scale == 0
    ]
    constant += [(name, 0.0) for name in design.levels if not design.indicated(name)]
    if constant:
        name, size = constant[0]
        nearly = f", or varies less than float64 can tell near {size:.3g}"
        same = f"constant{nearly if size > 1e12 else ''} and cannot be told from the "
        raise DataError(
            f"column {name!r} of {source.name} is "
            f"{same + 'intercept' if design.intercept else '0 in every row'}: "
            f"leave it out of the features, {way_out}"
        )
    if sums.counted < len(design.names):
        most = max(design.levels, key=lambda n: len(design.levels[n]), default=None)
        levels = len(design.levels[most]) if most is not None else 0
        hint = f" ({levels:,} of them levels of {most!r})" if levels > 10 else ""
        raise DataError(
            f"{source.name} has {sums.counted:,} rows for {len(design.names):,} "
            f"coefficients{hint}: give more rows or fewer features, {way_out}"
        )
