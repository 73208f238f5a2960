"""The sections that are words and numbers: what was fitted, and what came of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradline.errors import Status
from gradline.inference import Inference
from gradline.layout import p_value
from gradline.report.coefficients import coefficient_table
from gradline.report.content import Content, section
from gradline.report.markup import Markup, el, join, short
from gradline.report.reproduce import versions
from gradline.report.ticks import said
from gradline.terminal import method_words

if TYPE_CHECKING:
    from gradline.scores import Scores


def what(c: Content) -> Markup:
    """On what, and how."""
    fit, design, s = c.fit, c.fit.design, c.fit.settings
    text = None if design.encoding is None else design.encoding.text
    names = ", ".join(short(n, 40) for n in design.features[:24])
    hidden = len(design.features) - 24
    names += f" and {hidden:,} more" if hidden > 0 else ""
    pairs: list[tuple[str, str | None]] = [
        ("Data", c.data or str(s.get("data") or "in memory")),
        ("SHA-256", c.fingerprint),
        (
            "Rows",
            f"{fit.rows:,}"
            + (f"; {fit.dropped:,} incomplete left out" if fit.dropped else ""),
        ),
        ("Parts", _parts(s)),
        ("Target", short(fit.target, 120)),
        ("Features", names),
        ("Formula", None if not text else short(text, 800)),
        (
            "Categories",
            ", ".join(
                f"{short(n, 30)} ({len(v):,} levels, base {short(v[0], 24)})"
                for n, v in list(design.levels.items())[:12]
                if v
            )
            or None,
        ),
        ("Weights", design.weights),
        ("Intercept", None if design.intercept else "none: through the origin"),
        ("Method", method_words(fit)),
        ("Versions", ", ".join(f"{k} {v}" for k, v in versions().items())),
        ("Date", c.now.strftime("%Y-%m-%d %H:%M")),
    ]
    rows = [join(el("dt", k), el("dd", short(v, 900))) for k, v in pairs if v]
    return section("what", "What was fitted", el("dl", *rows))


def _parts(s: dict[str, object]) -> str | None:
    counts = s.get("parts")
    if not isinstance(counts, dict):
        return None
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def certificate(c: Content) -> Markup:
    """How near the optimum, in words and numbers."""
    k = c.fit.certificate
    status = str(k.status).replace("_", " ")
    least = "the smallest there is" if k.bound == "exact" else "a bound below it"
    words = {
        Status.EXACT: (
            "These coefficients are the optimum itself: no others fit these rows "
            "better."
        ),
        Status.CONVERGED: "The descent has reached the optimum, as far as it matters.",
        Status.NOT_CONVERGED: "The descent stopped short of the optimum.",
        Status.RANK_DEFICIENT: (
            "Many sets of coefficients fit equally well: the columns do not "
            "determine them."
        ),
    }[k.status]
    if k.bound == "none":
        words = "For this kind of model no optimum is known to hold it against."
    elif k.bound in ("duality", "gradient") and k.status in (
        Status.EXACT,
        Status.CONVERGED,
    ):
        words = (
            "The coefficients are as good as the optimum, up to a bound that is proven."
        )
    pairs = [
        (k.objective, said(k.loss, 6)),
        (f"optimum, {least}", said(k.optimum_loss, 6)),
        ("gap" if k.bound == "exact" else "gap, at most", said(k.gap, 3)),
        ("gradient norm", said(k.gradient_norm, 3)),
        ("condition", said(k.condition, 4)),
        ("rank", f"{k.rank:,} of {k.columns:,}"),
        ("digits to trust", said(k.digits, 3)),
        ("learning rate limit", said(k.lr_limit, 4)),
    ]
    rows = [
        el("tr", el("th", a, scope="row"), el("td", b, class_="n"))
        for a, b in pairs
        if b != "undefined"
    ]
    return section(
        "certificate",
        "Certificate",
        el(
            "p",
            el("strong", status[0].upper() + status[1:], ". "),
            words,
            " ",
            short(k.advice, 400),
        ),
        el("table", el("tbody", *rows), class_="facts"),
    )


def coefficients(c: Content) -> Markup:
    """The table, and what its errors rest on."""
    fit = c.fit
    if not fit.coefficients:
        return section(
            "coefficients",
            "Coefficients",
            el("p", "A module of your own has no coefficients to show."),
        )
    why = None
    if c.inference is None:
        reason = str(fit.no_inference)
        why = el("p", short(reason[:1].upper() + reason[1:], 400), ".", class_="note")
    else:
        why = el("p", *_fitness(c.inference), class_="note")
    return section(
        "coefficients",
        "Coefficients",
        coefficient_table(fit, c.inference, c.effects),
        why,
    )


def _fitness(i: Inference) -> list[str]:
    kind = {
        "classic": (
            "Standard errors are classic: noise equal in all rows, and independent. "
        )
    }.get(i.cov, f"Standard errors: {i.cov}. ")
    if i.clusters is not None:
        kind = f"Standard errors are clustered, {i.clusters:,} clusters. "
    found = [
        kind,
        (
            f"Residual standard error {said(i.residual_std)} on {i.df_resid:,} "
            f"degree{'s' * (i.df_resid != 1)} of freedom"
        ),
    ]
    if math.isfinite(i.adjusted_r2):
        found.append(f"; adjusted R² {said(i.adjusted_r2)}")
    if math.isfinite(i.f_statistic):
        p = p_value(i.f_p_value)
        found.append(
            f"; F {said(i.f_statistic)} on {i.df_model:,} and {i.df:,}, p "
            f"{p if p[0] == '<' else '= ' + p}"
        )
    if math.isfinite(i.aic):
        found.append(f"; AIC {said(i.aic, 6)}, BIC {said(i.bic, 6)}")
    found.append(".")
    if i.note:
        found.append(f" {i.note[:1].upper()}{i.note[1:]}.")
    return found


def scores(c: Content) -> Markup:
    """Of each part that was scored, and why another was not."""
    fit = c.fit
    head = el(
        "tr",
        *(
            el("th", h, scope="col", class_=None if i == 0 else "n")
            for i, h in enumerate(("part", "rows", "R²", "RMSE", "MAE"))
        ),
    )
    rows = [_score_row(part, scores) for part, scores in fit.scores.items()]
    known = fit.settings.get("cross_validation")
    if isinstance(known, dict):
        rows.append(
            el(
                "tr",
                el("th", f"cross-validation ({known['folds']})", scope="row"),
                el("td"),
                el("td", said(known["r2"], 5), class_="n"),
                el("td", said(known["rmse"], 5), class_="n"),
                el("td"),
            )
        )
    note = None
    has_test = fit.has_part("test") or (
        "test" in (fit.settings.get("parts") or {})
        and (fit.settings.get("parts") or {}).get("test")
    )
    if has_test and "test" not in fit.scores:
        note = el(
            "p",
            (
                'The test part is left untouched: fit.evaluate(part="test") or '
                "--score-test reads it, once, for the fit that you have settled "
                "on."
            ),
            class_="note",
        )
    counts = fit.settings.get("parts") or {}
    unread = None
    if counts.get("validation") and "validation" not in fit.scores:
        unread = el(
            "p",
            (
                f"The {counts['validation']:,} validation rows are not scored here: a "
                "model file holds no rows. Give them: --data FILE, or "
                "fit.report(path, data=...)."
            ),
            class_="note",
        )
    table = el("table", el("thead", head), el("tbody", *rows), class_="facts")
    return section("scores", "Scores", el("div", table, class_="wide"), unread, note)


def _score_row(part: str, scores: Scores) -> Markup:
    names = {"train": "training"}
    cells = [
        f"{scores.rows:,}",
        said(scores.r2, 5),
        said(scores.rmse, 5),
        said(scores.at_hand["mae"], 5),
    ]
    label = names.get(part, part) + (" (R² about 0)" if scores.origin else "")
    return el(
        "tr",
        el("th", label, scope="row"),
        *(el("td", t if t != "undefined" else "–", class_="n") for t in cells),
    )
