"""The one pass over the rows that a report's pictures and findings need.

Of each row come its prediction f, its residual r, its leverage h and its standardised
residual z = √w r / (s √(1 - h)), as in `Fit.influence`; where inference is refused, h
is not known and z is r over the root mean squared residual. Few rows are kept as they
are. Of many only counts on grids, sums, and the rows that stand out are: memory does
not grow with the rows.

In the same pass, whether a square would help. With u the whitened terms (inference.py)
and q the square of the prediction, or of a feature, what q adds to the fit is

    q⊥ = q - mean - u·Σ w q u / W,   coefficient = Σ w q r / Σ w q⊥²,

and t² = (share of the residual sum of squares it would take) · (df - 1) / (1 - share).

Source: Ramsey, "Tests for specification errors in classical linear least-squares
regression analysis", 1969 (its q is the prediction's square); R's plot.lm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradline.bar import bar_for
from gradline.data import Array, Chunk, Codes, Progress, Source, row_places
from gradline.errors import DataError
from gradline.evidence import centred, perfect, sure, whitened
from gradline.report.bins import Grid, Line
from gradline.report.panels import MOST_LEVELS, Panel
from gradline.sandwich import ALONE, squared_lengths
from gradline.threads import blas_threads, threads_beside

if TYPE_CHECKING:
    from gradline.result import Fit

#: Up to so many rows are drawn each; of more, the density.
HOLD = 2_000
#: Rows that stand out are remembered, so many of each kind.
REMEMBERED = 8
#: The ends of the standardised residuals, exactly.
TAIL = 60

#: What is known of a row: columns of `Seen.rows` and of `Seen.notable`.
PLACE, ACTUAL, FITTED, RESIDUAL, LEVERAGE, STANDARD, COOK = range(7)

#: What is tried beside the squares of features, which go by their place.
PREDICTION, INTERCEPT = -1, -2


@dataclass
class Seen:
    """What the pass has seen.

    Attributes:
        panels: the features that are drawn.
        known: whether leverages are.
        scale: s.
        coefficients: k, intercept included.
        count: rows.
        rows: all of them, (n, 7), or None where they are many.
        values: beside them, by panel: the feature and the partial residual, (n,) each.
        notable: rows of the largest distance, residual or leverage, (m, 7).
        tails: the least and the greatest standardised residuals, ascending.
    """

    panels: list[Panel]
    known: bool
    scale: float
    coefficients: int
    df: int
    count: int = 0
    rows: Array | None = None
    values: list[tuple[Array, Array]] = field(default_factory=list)
    notable: Array = field(default_factory=lambda: np.zeros((0, 7)))
    tails: tuple[Array, Array] = (np.zeros(0), np.zeros(0))
    alone: int = 0  # rows that determine a coefficient alone
    beyond: int = 0  # rows beyond three standard deviations
    moments: Array = field(default_factory=lambda: np.zeros(5))  # Σ z^k, k = 0...4
    spread: Array = field(default_factory=lambda: np.zeros(6))  # of breusch_pagan
    steps: float = 0.0  # Σ (r - r before)²
    squares: float = 0.0  # Σ r²
    total: float = 0.0  # Σ r
    weighted: bool = False
    bends: list[Bend] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.picture = Grid()  # prediction, or the one feature, against y
        self.residual = Grid()  # prediction against r
        self.location = Grid()  # prediction against √|z|
        self.lever = Grid()  # h against z
        self.by_fitted = Line(3)  # r, √|z|, z²
        self.by_lever = Line(1)  # z
        self.standard = Line(0)
        self.grids = [
            Grid(MOST_LEVELS, fixed=True) if p.levels is not None else Grid()
            for p in self.panels
        ]
        self.trends = [Line(2) for _ in self.panels]  # component, partial residual
        self.noise = [Line(2) for _ in self.panels]  # r, |z|; of numbers


@dataclass(frozen=True)
class Bend:
    """What a square, or an intercept where there is none, would add to a fit.

    Attributes:
        name: of the feature; None for the prediction, "" for an intercept.
        share: of the residual sum of squares that it would take away.
        t: of its coefficient.
    """

    name: str | None
    share: float
    t: float


def look(
    fit: Fit, source: Source, panels: list[Panel], progress: Progress | None = None
) -> Seen:
    """Pass over the rows of a fit once.

    Args:
        fit: the fit.
        source: its rows.
        panels: features to draw.
        progress: True for a bar; or what is told how reading gets on.

    Raises:
        DataError: the rows are not those of the fit.
    """
    view = _View(fit, panels)
    shown = bar_for(progress, "report", source.rows)
    start, total, weight = 0, 0.0, 0.0
    with shown as advance, blas_threads(threads_beside(source)):
        for chunk, batch, keep in fit.design.chunks_of(source):
            places = row_places(batch, start)
            start += batch.rows
            places = places if keep is None else places[keep]
            values = [p.values(fit.design, batch, keep) for p in panels]
            squares, w = view.add(chunk, places, values)
            total += squares
            weight += w
            advance(len(chunk.y))
    seen = view.seen
    if seen.count == 0:
        raise DataError(f"{source.name} has no rows: give the data of the fit")
    expected = fit.metrics.rmse
    found = math.sqrt(total / weight) if weight > 0 else 0.0
    close = 1e-6 * expected + 1e-9 * view.size
    if seen.count != fit.rows or abs(found - expected) > close:
        raise DataError(
            f"{source.name} is not what the model was fitted on: {seen.count:,} rows "
            f"with an RMSE of {found:.6g}, and not {fit.rows:,} with {expected:.6g}; "
            "give the data of the fit, or leave them out"
        )
    view.finish()
    return seen


class _View:
    """A pass as it goes on."""

    def __init__(self, fit: Fit, panels: list[Panel]) -> None:
        self.fit, self.line = fit, fit._line
        reason = fit.no_inference
        self.known = None if reason is not None else sure(self.line)
        c = fit.certificate
        k = c.rank if self.known is not None else c.columns
        scale, df = fit.metrics.rmse, max(fit.rows - k, 1)
        self.exact = False
        if self.known is not None:
            df = self.known.rows - k
            scale = math.sqrt(c.loss * self.known.weight / df)
            self.exact = perfect(self.line, self.known)
        self.seen = Seen(panels, self.known is not None, scale, k, df)
        self.level = fit.level if math.isfinite(fit.level) else 0.0
        self.size = abs(self.level) + scale
        self.spread = scale or 1.0
        if self.known is not None:
            self.spread = math.sqrt(self.known.variance) or 1.0
            self.size += self.spread
        self.one = fit.design.numbers == fit.design.features and len(panels) == 1
        self.held: list[tuple[Array, list[tuple[Array, Array]]]] | None = []
        self.last: float | None = None
        self._start_bends()

    def add(
        self, chunk: Chunk, places: Codes, values: list[Array]
    ) -> tuple[float, float]:
        """Look at some rows; returns Σ w r² and Σ w."""
        seen, fit = self.seen, self.fit
        w = None if chunk.weight is None else np.array(chunk.weight, np.float64)
        u, h = None, np.zeros(len(chunk.y))
        if self.known is not None:
            u = whitened(self.known, centred(self.known, chunk.X))
            h = (self.line.has_intercept + squared_lengths(u)) / self.known.weight
            h = h if w is None else w * h
        f = fit.predict_terms(chunk.X)
        r = chunk.y - f
        seen.weighted |= w is not None
        root = r if w is None or self.known is None else np.sqrt(w) * r
        free = np.where(1 - h > ALONE, 1 - h, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = root / (seen.scale * np.sqrt(free))
            cook = z**2 * h / (free * seen.coefficients)
        if self.exact or seen.scale == 0:
            z, cook = np.zeros(len(r)), np.zeros(len(r))
        seen.alone += int(np.isnan(z).sum())
        z, cook = np.nan_to_num(z), np.nan_to_num(cook)
        rows = np.column_stack([places, chunk.y, f, r, h, z, cook])
        self._count(rows, values)
        self._partials(rows, chunk.X, values)
        self._remember(rows)
        if u is not None and self.bent:
            self._bend(u, f, r, w, values)
        return float(r @ r if w is None else w @ r**2), float(
            len(r) if w is None else w.sum()
        )

    def _count(self, rows: Array, values: list[Array]) -> None:
        seen = self.seen
        _, y, f, r, h, z, _ = rows.T
        root = np.sqrt(np.abs(z))
        seen.count += len(y)
        seen.picture.add(values[0] if self.one else f, y)
        seen.residual.add(f, r)
        seen.location.add(f, root)
        seen.by_fitted.add(f, r, root, z**2)
        seen.standard.add(z)
        if seen.known:
            seen.lever.add(h, z)
            seen.by_lever.add(h, z)
        seen.beyond += int((np.abs(z) > 3).sum())
        seen.moments += [float((z**k).sum()) for k in range(5)]
        x, e = (f - self.level) / self.spread, z**2
        sums = (len(x), x.sum(), x @ x, e.sum(), e @ e, x @ e)
        seen.spread += [float(v) for v in sums]
        steps = np.diff(r) if self.last is None else np.diff(r, prepend=self.last)
        seen.steps += float(steps @ steps)
        seen.squares += float(r @ r)
        seen.total += float(r.sum())
        self.last = float(r[-1])

    def _partials(self, rows: Array, X: Array, values: list[Array]) -> None:
        """Component and partial residual of each feature that is drawn."""
        seen, fit = self.seen, self.fit
        r = rows[:, RESIDUAL]
        kept = []
        size = np.abs(rows[:, STANDARD])
        for panel, x, grid, trend, noise in zip(
            seen.panels, values, seen.grids, seen.trends, seen.noise, strict=True
        ):
            component = np.zeros(len(r))
            if len(panel.places):
                at = panel.places
                component = (X[:, at] - fit.center[at]) @ fit.slopes[at]
            partial = component + r
            if panel.levels is not None:
                there = x >= 0
                grid.add(x[there], partial[there])
                trend.add(x[there], component[there], partial[there])
            else:
                grid.add(x, partial)
                trend.add(x, component, partial)
                noise.add(x, r, size)
            kept.append((x, partial))
        if self.held is not None:
            self.held.append((rows, kept))
            if seen.count > HOLD:
                self.held = None

    def _remember(self, rows: Array) -> None:
        """The rows that stand out, and the ends of the standardised residuals."""
        seen = self.seen
        every = np.concatenate([seen.notable, rows])
        chosen = set()
        for values in (every[:, COOK], np.abs(every[:, STANDARD]), every[:, LEVERAGE]):
            if len(values) > REMEMBERED:
                part = np.argpartition(-values, REMEMBERED - 1)[:REMEMBERED]
                chosen.update(part.tolist())
            else:
                chosen.update(range(len(values)))
        seen.notable = every[sorted(chosen)]
        low, high = seen.tails
        z = rows[:, STANDARD]
        low, high = np.concatenate([low, z]), np.concatenate([high, z])
        if len(low) > TAIL:
            low = np.partition(low, TAIL - 1)[:TAIL]
        if len(high) > TAIL:
            high = -np.partition(-high, TAIL - 1)[:TAIL]
        seen.tails = np.sort(low), np.sort(high)

    def _start_bends(self) -> None:
        """What squares are tried: of the prediction, and of plain features."""
        panels = self.seen.panels
        self.bent: list[int] = []
        if self.known is None or self.exact or self.seen.df < 3:
            return
        self.bent = [PREDICTION] + [
            i for i, p in enumerate(panels) if p.plain and p.levels is None
        ]
        self.shift = [(self.level, self.spread)]
        X = None if self.fit.sample is None else self.fit.sample.X
        plain = self.bent[1:]
        if not self.line.has_intercept:
            self.bent.insert(1, INTERCEPT)
            self.shift.append((-1.0, 1.0))  # of a column of zeros: ((0 + 1) / 1)²
        for i in plain:
            at = panels[i].places
            middle = float(self.fit.center[at[0]])
            wide = 0.0 if X is None else float(X[:, at[0]].std())
            self.shift.append((middle, wide or abs(middle) or 1.0))
        m, d = len(self.bent), len(self.line.slopes)
        self.sums = np.zeros((m, 4))  # Σ w q, Σ w q², Σ w q r, Σ w r²
        self.along = np.zeros((m, d))  # Σ w q u

    def _bend(
        self, u: Array, f: Array, r: Array, w: Array | None, values: list[Array]
    ) -> None:
        zeros = np.zeros(len(f))
        columns = [
            f if i == PREDICTION else zeros if i == INTERCEPT else values[i]
            for i in self.bent
        ]
        q = np.column_stack(
            [((x - a) / b) ** 2 for x, (a, b) in zip(columns, self.shift, strict=True)]
        )  # (rows, m)
        wq = q if w is None else q * w[:, None]
        wr = r if w is None else w * r
        self.sums[:, 0] += wq.sum(0)
        self.sums[:, 1] += np.einsum("ij,ij->j", wq, q)
        self.sums[:, 2] += wq.T @ r
        self.sums[:, 3] += float(wr @ r)
        self.along += wq.T @ u

    def finish(self) -> None:
        """Put together what was kept."""
        seen = self.seen
        if self.held is not None:
            seen.rows = np.concatenate([rows for rows, _ in self.held])
            seen.values = [
                (
                    np.concatenate([kept[i][0] for _, kept in self.held]),
                    np.concatenate([kept[i][1] for _, kept in self.held]),
                )
                for i in range(len(seen.panels))
            ]
        if not self.bent:
            return
        assert self.known is not None
        for i, place in enumerate(self.bent):
            q, q2, qr, rss = self.sums[i]
            left = q2 - float(self.along[i] @ self.along[i]) / self.known.weight
            left -= q**2 / self.known.weight if self.line.has_intercept else 0.0
            if left <= 1e-8 * q2 or rss <= 0:
                continue  # the square is among the terms already
            share = min(qr**2 / left / rss, 1.0)
            df = seen.df - 1
            t = math.inf if share == 1 else math.sqrt(share * df / (1 - share))
            name = {PREDICTION: None, INTERCEPT: ""}.get(place, "?")
            name = seen.panels[place].name if place >= 0 else name
            seen.bends.append(Bend(name, share, math.copysign(t, qr)))
