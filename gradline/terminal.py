"""What a person sees of a fit in a terminal: its table and its certificate."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from gradline.crossval import CrossValidation
from gradline.errors import Status
from gradline.inference import Inference
from gradline.layout import (
    STARS,
    TABLE_WIDTH,
    WIDTH,
    by_point,
    flush_right,
    number,
    p_value,
    printable,
    rounded,
    sentence,
    stars,
    t_value,
    table_of,
)
from gradline.result import Fit
from gradline.scores import Scores

#: More terms than this, and the table shows the first ones.
MOST_TERMS_SHOWN = 60


def fit_table(fit: Fit, inference: Inference | None = None) -> str:
    """The coefficients, their errors, the scores and the certificate, as text.

    Args:
        fit: the fit.
        inference: what to show of it; the classic kind unless told.
    """
    head = f"{printable(fit.target, 48)} {head_words(fit)}"
    lines = [*textwrap.wrap(head, TABLE_WIDTH), ""]
    reason = fit.no_inference
    if inference is None and reason is None:
        inference = fit.inference()
    if inference is None:
        lines += _coefficient_lines(fit)
        lines += ["", *part_lines(fit)]
        lines += sentence(f"{reason}.") if reason else []
    else:
        lines += inference_lines(fit, inference)
        lines += ["", *part_lines(fit), *fitness_lines(inference)]
    lines.append("")
    lines += certificate_lines(fit)
    for note in fit.notes:
        if note != fit.certificate.advice:
            lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    for scores in fit.scores.values():
        if scores.note:
            lines += sentence(f"Note: {scores.note}.")
    if inference is not None and inference.note:
        lines += sentence(f"Note: {inference.note}.")
    return "\n".join(lines)


def head_words(fit: Fit) -> str:
    """What a fit is, after the name of its target."""
    return f"{_from(fit)}, {fit.rows:,} rows, {method_words(fit)}"


def crossval_table(found: CrossValidation) -> str:
    """A line for each target: the alpha, and the error on rows held out."""
    count = len(found.alphas)
    how = "least squares"
    if found.penalty is not None:
        how = f"{found.penalty}, {count:,} alpha{'' if count == 1 else 's'}"
    head = f"{len(found.terms):,} term{'' if len(found.terms) == 1 else 's'}"
    head += f", {found.rows:,} rows, {how}, {found.folds}"
    names = list(found.targets)[:MOST_TERMS_SHOWN]
    which = range(len(names))
    at, error = found.chosen, found.standard_error
    mean = [float(found.mean[at[k], k]) for k in which]
    spread = [float(error[at[k], k]) for k in which]
    columns = {
        "alpha": [number(float(a), 4) for a in found.alpha[: len(names)]],
        "MSE": [rounded(m, 6) for m in mean],
        "std. error": [rounded(s, 4) for s in spread],
        "RMSE": [rounded(m**0.5, 6) for m in mean],
        "R²": [number(float(r), 5) for r in found.r2[: len(names)]],
    }
    if found.penalty is None:
        del columns["alpha"]
    elif found.rule == "cv" and count > 1:
        columns["alpha, 1 se"] = [
            number(float(a), 4) for a in found.alpha_1se[: len(names)]
        ]
    if found.errors.shape[1] < 2:
        del columns["std. error"]
    lines, _ = table_of(names, columns, "target")
    hidden = len(found.targets) - len(names)
    lines += [f"  ... and {hidden:,} more"] * (hidden > 0)
    lines = [*textwrap.wrap(head, TABLE_WIDTH), "", *lines]
    for note in found.notes:
        lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    return "\n".join(lines)


def _from(fit: Fit) -> str:
    """What it is predicted from."""
    features, encoding = len(fit.design.features), fit.design.encoding
    if encoding is not None and encoding.text:
        right = " ".join(encoding.text.rpartition("~")[2].split())
        return f"~ {printable(right, 96)}"
    degree = "" if encoding is None else f" to degree {encoding.degree}"
    return f"from {features} feature{'' if features == 1 else 's'}{degree}"


def quantiles_table(fits: list[tuple[float, Fit]], crossings: str) -> str:
    """Several quantiles side by side: coefficients, certificates, where lines cross.

    Args:
        fits: each with its level, lowest first.
        crossings: whether the lines cross, in words.
    """
    first = fits[0][1]
    head = f"{printable(first.target, 48)} from {len(first.design.features)} feature"
    head += "" if len(first.design.features) == 1 else "s"
    passes = max(fit.settings["passes"] for _, fit in fits)
    head += f", {first.rows:,} rows, quantile regression at {len(fits)} levels"
    head += f", {passes} pass{'' if passes == 1 else 'es'}"
    names = list(first.design.names)[:MOST_TERMS_SHOWN]
    lines = [*textwrap.wrap(head, TABLE_WIDTH)]
    per_table = max(1, (TABLE_WIDTH - 24) // 12)
    for place in range(0, len(fits), per_table):
        columns = {
            f"{level:g}": by_point([rounded(v, 6) for v in _values(fit)[: len(names)]])
            for level, fit in fits[place : place + per_table]
        }
        lines += ["", *table_of(names, columns)[0]]
    lines += [*_more_terms(first), ""]
    for level, fit in fits:
        c = fit.certificate
        status = str(c.status).replace("_", " ")
        lines.append(
            f"  {level:<6g} {status}: loss {number(c.loss)}, at most "
            f"{number(c.gap, 3)} above the optimum"
        )
    lines += sentence(f"{crossings}.")
    notes = dict.fromkeys(note for _, fit in fits for note in fit.notes)
    for note in notes:
        if crossings.casefold() not in note.casefold():
            lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    return "\n".join(lines)


def inference_lines(fit: Fit, inference: Inference) -> list[str]:
    """A line for each term: coefficient, error, t, p and interval; what p's stars mean.

    Decimal points stand below one another where there is room for that and for the
    names; else digits go first, and names are cut.
    """
    i = inference
    names = list(fit.design.names)[:MOST_TERMS_SHOWN]
    values = _values(fit)
    ends = [i.intervals[name] for name in names]
    marks = [stars(i.p[name]) for name in names]
    p_values = flush_right([p_value(i.p[name]) for name in names])
    wide = max(map(len, marks))
    if wide:
        p_values = [
            f"{p} {mark:<{wide}}" for p, mark in zip(p_values, marks, strict=True)
        ]
    p_title = "p" + " " * (wide + 1 if wide else 0)
    for less, align in ((0, by_point), (0, flush_right), (2, flush_right)):
        columns = {
            "coefficient": align([rounded(v, 6 - less) for v in values[: len(names)]]),
            "std. error": align(
                [rounded(i.standard_errors[n], 5 - less) for n in names]
            ),
            "t": flush_right([t_value(i.t[n]) for n in names]),
            p_title: p_values,
            f"{100 * i.level:.6g}% low": align([rounded(a, 5 - less) for a, _ in ends]),
            "high": align([rounded(b, 5 - less) for _, b in ends]),
        }
        lines, fits = table_of(names, columns)
        if fits:
            break
    lines += _more_terms(fit)
    if wide:
        codes = " ".join(f"{mark} {below:g}" for below, mark in STARS)
        lines.append(f"  Signif. codes: 0 {codes}")
    if i.clusters is not None:
        found = f"clustered, of {i.clusters:,} clusters; t on {i.df:,} df"
        lines.append(f"  Standard errors: {found}")
    elif i.cov != "classic":
        lines.append(f"  Standard errors: {i.cov}, for noise that differs by row")
    return lines


def _more_terms(fit: Fit) -> list[str]:
    hidden = 1 + len(fit.coefficients) - MOST_TERMS_SHOWN
    return [f"  ... and {hidden:,} more (--json has all of them)"] * (hidden > 0)


def fitness_lines(inference: Inference) -> list[str]:
    """What the residuals say of the whole: their size, R² adjusted, F, likelihood."""
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
    if math.isfinite(i.log_likelihood):
        lines.append(
            f"Log-likelihood {rounded(i.log_likelihood, 6)}   "
            f"AIC {rounded(i.aic, 6)}   BIC {rounded(i.bic, 6)}"
        )
    return lines


def scores_line(scores: Scores) -> str:
    """R², RMSE and, where it is at hand, MAE in a line."""
    mae = scores.at_hand["mae"]
    known = "" if math.isnan(mae) else f"MAE {number(mae)}   "
    part = "" if scores.part is None else f"{printable(scores.part, 40)}: "
    unseen, about = "", " (about 0)" if scores.origin else ""
    if scores.unseen:
        unseen = f", {scores.unseen:,} more left out: levels not seen in training"
    if scores.dropped:
        unseen += f", {scores.dropped:,} incomplete dropped"
    return (
        f"{part}R² {number(scores.r2)}{about}   RMSE {number(scores.rmse)}   "
        f"{known}({scores.rows:,} rows{unseen})"
    )


def part_lines(fit: Fit) -> list[str]:
    """The scores of the rows that were fitted, and of other parts where known."""
    known = list(fit.scores.values())
    if "split" not in fit.settings:
        known[0].part = None  # the only rows there are
    lines = [scores_line(scores) for scores in known]
    return lines + _chosen_lines(fit.settings)


def _chosen_lines(settings: dict[str, Any]) -> list[str]:
    """The score by which alpha was chosen, where it was."""
    known = settings.get("cross_validation")
    if known is None:
        return []
    line = f"cross-validation: R² {number(known['r2'])}   RMSE {number(known['rmse'])}"
    return [f"{line}   ({known['folds']}, {known['alphas']:,} alphas)"]


def certificate_lines(fit: Fit) -> list[str]:
    """The certificate, a fact a line, the advice first."""
    c = fit.certificate
    again = ", so solved by QR" if c.solver == "triangle" else ""
    most = "" if c.bound == "exact" else "at most "
    how = {"duality": ", by the dual", "gradient": ", by the gradient"}
    pairs = [("loss", f"{number(c.loss)} ({c.objective})")]
    if not math.isnan(c.optimum_loss):
        name = "exact optimum" if c.bound == "exact" else "optimum at least"
        pairs.append((name, number(c.optimum_loss)))
    if not math.isnan(c.gap):
        share = f" ({number(c.relative_gap, 3)} of the optimum{how.get(c.bound, '')})"
        if 0 < 2 * c.relative_gap * c.optimum_loss < c.gap:
            share = ""  # it is a share of what rounding makes, not of the optimum
        pairs.append(("gap", f"{most}{number(c.gap, 3)}{share}"))
    pairs += [
        ("gradient norm", number(c.gradient_norm, 3)),
        ("condition", f"{number(c.condition, 4)} (standardised design{again})"),
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
    pairs = [(name, text) for name, text in pairs if "undefined" not in text]
    if c.epochs_needed and c.status == Status.NOT_CONVERGED:
        pairs.append(("epochs needed", f"{c.epochs_needed:,} more"))
    width = max(len(name) for name, _ in pairs)
    title = f"Certificate: {str(c.status).replace('_', ' ')}. {printable(c.advice)}"
    title_lines = textwrap.wrap(title, WIDTH, break_long_words=False)
    return title_lines + [f"  {name:<{width}}  {value}" for name, value in pairs]


def method_words(fit: Fit) -> str:
    """How a fit was found."""
    known = fit.settings
    if "how" in known:
        return printable(str(known["how"]))
    if fit.method == "exact":
        return "exact least squares"
    name = known.get("optimizer") or "SGD"
    parts = ["gradient descent" if name == "SGD" else f"descent by {name}"]
    if known.get("lr"):
        parts.append(f"lr {number(known['lr'], 4)}")
    if known.get("momentum"):
        kind = "Nesterov momentum" if known.get("nesterov") else "momentum"
        parts.append(f"{kind} {number(known['momentum'], 4)}")
    if known.get("weight_decay"):
        parts.append(f"weight decay {number(known['weight_decay'], 4)}")
    parts.append(f"{known.get('epochs'):,} epochs")
    if known.get("early_stopping"):
        parts.append("early stopping")
    where = " on standardised features" if known.get("standardize") else ""
    return ", ".join(parts) + where


def _values(fit: Fit) -> list[float]:
    """The coefficients in the order of `design.names`."""
    slopes = list(fit.coefficients.values())
    return [fit.intercept, *slopes] if fit.design.intercept else slopes


def _coefficient_lines(fit: Fit) -> list[str]:
    if not fit.coefficients:
        return ["  No coefficients: the fit is a module of your own."]
    names = list(fit.design.names)[:MOST_TERMS_SHOWN]
    values = _values(fit)[:MOST_TERMS_SHOWN]
    lines, _ = table_of(names, {"coefficient": by_point([f"{v:#.8g}" for v in values])})
    return lines + _more_terms(fit)
