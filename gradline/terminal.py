"""What a person sees in a terminal: the table, the certificate, the progress bar."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gradline.errors import Status
from gradline.result import Fit, Scores

#: Sentences are wrapped at this many characters.
WIDTH = 80

#: More terms than this, and the table shows the largest ones.
MOST_TERMS_SHOWN = 60


def number(value: float, digits: int = 6) -> str:
    """A number to read: up to `digits` significant digits, no needless zeros."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{value:.{digits}g}"


def fit_table(fit: Fit) -> str:
    """The coefficients, the scores and the certificate of a fit, as text."""
    head = f"{printable(fit.target, 48)} from {len(fit.design.features)} feature"
    head += "" if len(fit.design.features) == 1 else "s"
    head += f", {fit.rows:,} rows, {_method(fit)}"
    lines = [head, ""]
    rows = [("Intercept", fit.intercept), *fit.coefficients.items()]
    lines += _coefficient_lines(rows)
    lines += ["", scores_line(fit.metrics), ""]
    lines += certificate_lines(fit)
    for note in fit.notes:
        if note != fit.certificate.advice:
            lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    return "\n".join(lines)


def scores_line(scores: Scores) -> str:
    """R², RMSE and MAE in a line."""
    return (
        f"R² {number(scores.r2)}   RMSE {number(scores.rmse)}   "
        f"MAE {number(scores.mae)}   ({scores.rows:,} rows)"
    )


def certificate_lines(fit: Fit) -> list[str]:
    """The certificate, a fact a line, the advice first."""
    c = fit.certificate
    pairs = [
        ("loss", f"{number(c.loss)} (mean squared error)"),
        ("exact optimum", number(c.optimum_loss)),
        ("gap", f"{number(c.gap, 3)} ({number(c.relative_gap, 3)} of the optimum)"),
        ("gradient norm", number(c.gradient_norm, 3)),
        ("condition", f"{number(c.condition, 4)} (standardised design)"),
        ("rank", f"{c.rank} of {c.columns} columns"),
        (
            "digits to trust",
            f"{number(c.digits, 3)} (rounding alone, not noise)",
        ),
        (
            "lr limit",
            f"{number(c.lr_limit, 4)} as the data are, "
            f"{number(c.lr_limit_standardized, 4)} standardised",
        ),
    ]
    if c.epochs_needed and c.status == Status.NOT_CONVERGED:
        pairs.append(("epochs needed", f"{c.epochs_needed:,} more"))
    width = max(len(name) for name, _ in pairs)
    title = f"Certificate: {str(c.status).replace('_', ' ')}. {printable(c.advice)}"
    title_lines = textwrap.wrap(title, WIDTH, break_long_words=False)
    return title_lines + [f"  {name:<{width}}  {value}" for name, value in pairs]


def _method(fit: Fit) -> str:
    if fit.method == "exact":
        return "exact least squares"
    lr, epochs = fit.settings.get("lr"), fit.settings.get("epochs")
    where = " on standardised features" if fit.settings.get("standardize") else ""
    return f"gradient descent, lr {number(lr or 0, 4)}, {epochs:,} epochs{where}"


def _coefficient_lines(rows: list[tuple[str, float]]) -> list[str]:
    hidden = 0
    if len(rows) > MOST_TERMS_SHOWN:
        hidden = len(rows) - MOST_TERMS_SHOWN
        rows = rows[:MOST_TERMS_SHOWN]
    names = [printable(name, 48) for name, _ in rows]
    values = [f"{value:.8g}" for _, value in rows]
    wide, long = (
        max(map(len, [*names, "term"])),
        max(map(len, [*values, "coefficient"])),
    )
    lines = [f"  {'term':<{wide}}  {'coefficient':>{long}}"]
    lines += [
        f"  {name:<{wide}}  {value:>{long}}"
        for name, value in zip(names, values, strict=True)
    ]
    if hidden:
        lines.append(f"  ... and {hidden:,} more (--json has all of them)")
    return lines


def printable(text: str, most: int | None = None) -> str:
    """Text that cannot move the cursor or ring the bell, cut to `most` characters."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if most is not None and len(shown) > most:
        return shown[: most - 1] + "…"
    return shown


@contextmanager
def progress_bar(
    title: str, total: int | None, *, stream: TextIO | None = None, after: float = 0.5
) -> Iterator[Callable[[int], Any]]:
    """A bar of rows on stderr, on a terminal only, once work takes over half a second.

    Args:
        title: what is being done.
        total: the rows to come, or None.
        stream: where it is drawn; standard error unless told.
        after: seconds before it is drawn at all.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield int  # takes the rows done, to no effect
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        desc=title,
        unit=" rows",
        unit_scale=True,
        file=stream,
        leave=False,
        delay=after,
    ) as bar:
        yield bar.update
