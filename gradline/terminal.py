"""What a person sees in a terminal: the table, the certificate, the progress bar."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gradline.errors import Status
from gradline.inference import Inference
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


def fit_table(fit: Fit, inference: Inference | None = None) -> str:
    """The coefficients, their errors, the scores and the certificate, as text.

    Args:
        fit: the fit.
        inference: what to show of it; the classic kind unless told.
    """
    head = f"{printable(fit.target, 48)} from {len(fit.design.features)} feature"
    head += "" if len(fit.design.features) == 1 else "s"
    head += f", {fit.rows:,} rows, {_method(fit)}"
    lines = [head, ""]
    reason = fit.no_inference
    if inference is None and reason is None:
        inference = fit.inference()
    if inference is None:
        rows = [("Intercept", fit.intercept), *fit.coefficients.items()]
        lines += _coefficient_lines(rows)
        lines += ["", scores_line(fit.metrics)]
        lines += _sentence(f"{reason}.") if reason else []
    else:
        lines += inference_lines(fit, inference)
        lines += ["", scores_line(fit.metrics), *fitness_lines(inference)]
    lines.append("")
    lines += certificate_lines(fit)
    for note in fit.notes:
        if note != fit.certificate.advice:
            lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    if inference is not None and inference.note:
        lines += _sentence(f"Note: {inference.note}.")
    return "\n".join(lines)


def inference_lines(fit: Fit, inference: Inference) -> list[str]:
    """A line for each term: coefficient, error, t, p and interval."""
    names = ["Intercept", *fit.coefficients]
    values = [fit.intercept, *fit.coefficients.values()]
    hidden = max(0, len(names) - MOST_TERMS_SHOWN)
    low_end = f"{100 * inference.level:.6g}% low"
    cells = [["term", "coefficient", "std. error", "t", "p", low_end, "high"]]
    for name, value in list(zip(names, values, strict=True))[:MOST_TERMS_SHOWN]:
        low, high = inference.intervals[name]
        cells.append(
            [
                printable(name, 48),
                rounded(value, 6),
                rounded(inference.standard_errors[name], 5),
                _t_value(inference.t[name]),
                p_value(inference.p[name]),
                rounded(low, 5),
                rounded(high, 5),
            ]
        )
    wide = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join(
            ["", row[0].ljust(wide[0])]
            + [cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True)]
        )
        for row in cells
    ]
    if hidden:
        lines.append(f"  ... and {hidden:,} more (--json has all of them)")
    return lines


def fitness_lines(inference: Inference) -> list[str]:
    """What the residuals say of the whole: their size, R² adjusted, F."""
    i = inference
    line = f"Residual std. error {number(i.residual_std)} on {i.df_resid:,} df"
    if not math.isnan(i.adjusted_r2):
        line += f"   adjusted R² {number(i.adjusted_r2)}"
    lines = [line]
    if not math.isnan(i.f_statistic):
        p = p_value(i.f_p_value)
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        f = f"F = {number(i.f_statistic, 5)} on {i.df_model:,} and {i.df:,} df, {p}"
        lines.append(f)
    if i.clusters is not None:
        lines.append(f"Standard errors: of {i.clusters:,} clusters")
    elif i.cov != "classic":
        lines.append(f"Standard errors: {i.cov}, for noise that differs by row")
    return lines


def p_value(p: float) -> str:
    """Three significant digits, as R: <2e-16 below what 1 - p could tell from 1."""
    if math.isnan(p):
        return "-"
    return "<2e-16" if p < 2.2e-16 else f"{p:.3g}"


def rounded(value: float, digits: int) -> str:
    """A number for a table: all digits before the point, up to nine of them."""
    if math.isnan(value):
        return "-"
    before = math.floor(math.log10(abs(value))) + 1 if 0 < abs(value) < 1e9 else 0
    return f"{value:#.{max(digits, before)}g}".removesuffix(".")


def _t_value(t: float) -> str:
    """Three decimals, as R."""
    return f"{t:.3f}" if abs(t) < 1e5 else rounded(t, 4)


def _sentence(text: str) -> list[str]:
    return textwrap.wrap(
        printable(text[:1].upper() + text[1:]), WIDTH, break_long_words=False
    )


def scores_line(scores: Scores) -> str:
    """R², RMSE and, where it is at hand, MAE in a line."""
    mae = scores.at_hand["mae"]
    known = "" if math.isnan(mae) else f"MAE {number(mae)}   "
    return (
        f"R² {number(scores.r2)}   RMSE {number(scores.rmse)}   "
        f"{known}({scores.rows:,} rows)"
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
