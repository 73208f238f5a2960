"""The sections of a report, in their order; each is a heading and what follows."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gradline.errors import Status
from gradline.inference import Inference
from gradline.layout import p_value
from gradline.report.charts import Picture
from gradline.report.coefficients import Effects, coefficient_table
from gradline.report.markup import Markup, el, join, short
from gradline.report.reproduce import python_lines, versions
from gradline.report.residuals import HOLD, Seen
from gradline.report.ticks import said
from gradline.reported import Finding
from gradline.terminal import method_words

if TYPE_CHECKING:
    from gradline.result import Fit
    from gradline.scores import Scores

#: So many names of a list are written out on paper.
ON_PAPER = 24
_GRADES = {"act": "Act first", "look": "Look at it", "know": "Good to know"}


@dataclass(frozen=True)
class Content:
    """All that a report is made of."""

    fit: Fit
    seen: Seen | None
    inference: Inference | None
    effects: Effects
    findings: list[Finding]
    features: int
    picture: Picture | None
    residuals: list[Picture]
    partials: list[Picture]
    losses: list[Picture]
    surface: Picture | None
    data: str | None
    fingerprint: str | None
    command: str | None
    now: datetime


def body(c: Content) -> Markup:
    """The whole page, below its head."""
    return join(
        _head(c),
        _warnings(c),
        _what(c),
        _certificate(c),
        _coefficients(c),
        _scores(c),
        _fit(c),
        _residuals(c),
        _partials(c),
        _descent(c),
        _again(c),
    )


def _section(key: str, title: str, *inside: Markup | None) -> Markup:
    heading = el("h2", title, id=f"h-{key}")
    return el("section", heading, *inside, aria_labelledby=f"h-{key}")


def _head(c: Content) -> Markup:
    return el(
        "header",
        el("p", "Linear fit", class_="kicker"),
        el("h1", short(c.fit.target, 60)),
        el("p", found_sentence(c), class_="lead"),
    )


def found_sentence(c: Content) -> str:
    """What was found, in one plain sentence or two."""
    fit = c.fit
    r2, rmse = fit.metrics.r2, fit.metrics.rmse
    names = list(fit.coefficients)
    from_ = f"{len(fit.design.features):,} feature" + "s" * (
        len(fit.design.features) != 1
    )
    text = f"From {from_} in {fit.rows:,} row{'s' * (fit.rows != 1)}, "
    if math.isfinite(r2) and fit.settings.get("loss") not in ("quantile", "absolute"):
        share = f"{r2:.0%}" if 0.01 <= r2 < 0.995 else f"{r2:.2%}"
        if r2 < 0:
            text += f"the fit does worse than the mean of {short(fit.target, 40)} would"
        else:
            text += (
                f"the fit explains {share} of the variation of {short(fit.target, 40)}"
            )
    else:
        text += f"{short(fit.target, 40)} is predicted"
    text += f", with a typical error of {said(rmse, 3)}."
    if (
        names
        and c.effects.order
        and math.isfinite(float(c.effects.size[c.effects.order[0]]))
    ):
        first = c.effects.order[0]
        value, name = float(fit.slopes[first]), short(names[first], 40)
        way = "more" if value > 0 else "less"
        level = name.endswith("]") and "[" in name and not name.startswith("poly(")
        if value != 0 and level:
            text += (
                f" The largest effect: {name}, {said(abs(value), 3)} {way} than "
                "the base level, other features alike."
            )
        elif value != 0:
            text += (
                f" The largest effect: each unit of {name} goes with "
                f"{said(abs(value), 3)} {way}, other features alike."
            )
    return text


def _warnings(c: Content) -> Markup:
    if not c.findings:
        checked = (
            "Nothing stands out"
            if c.seen is not None
            else "Nothing stands out in what can be seen without the rows"
        )
        return _section(
            "findings",
            "What to watch",
            el(
                "p",
                (
                    f"{checked}: no bend, no growing noise, no row that pulls, no "
                    "features that say the same."
                ),
            ),
        )
    items = [
        el(
            "li",
            el("span", _GRADES[f.grade], class_=f"grade {f.grade}"),
            " ",
            el("span", f.text),
            " ",
            el("em", f.advice) if f.advice else None,
        )
        for f in c.findings
    ]
    return _section("findings", "What to watch", el("ul", *items))


def _what(c: Content) -> Markup:
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
    return _section("what", "What was fitted", el("dl", *rows))


def _parts(s: dict[str, object]) -> str | None:
    counts = s.get("parts")
    if not isinstance(counts, dict):
        return None
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _certificate(c: Content) -> Markup:
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
    return _section(
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


def _coefficients(c: Content) -> Markup:
    fit = c.fit
    if not fit.coefficients:
        return _section(
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
    return _section(
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
            "degrees of freedom"
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


def _scores(c: Content) -> Markup:
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
    return _section("scores", "Scores", el("div", table, class_="wide"), unread, note)


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


_NO_ROWS = (
    "The pictures of rows are left out: a model file holds no rows. Give them too: "
    "gradline report MODEL --data FILE, or fit.report(path, data=...)."
)


def _fit(c: Content) -> Markup:
    if c.picture is None:
        return _section("fit", "Fit", el("p", _NO_ROWS))
    return _section("fit", "Fit", c.picture.figure("large"))


def _residuals(c: Content) -> Markup | None:
    if c.seen is None:
        return None
    if not c.residuals:
        return _section(
            "residuals",
            "Residuals",
            el(
                "p",
                "The line goes through every point: there are no residuals to judge.",
            ),
        )
    said_ = (
        ""
        if c.seen.rows is not None
        else (
            f"There are {c.seen.count:,} rows: more than {HOLD:,} are drawn as "
            "their density, from all of them. "
        )
    )
    if not c.seen.known:
        said_ += (
            "Residuals are standardised by their root mean square alone: "
            "leverages are known where standard errors are."
        )
    figures = [p.figure() for p in c.residuals]
    return _section(
        "residuals",
        "Residuals",
        el("p", said_) if said_ else None,
        el("div", *figures, class_="panels"),
    )


def _partials(c: Content) -> Markup | None:
    if (
        c.seen is None
        or not c.partials
        or (
            len(c.partials) == 1
            and c.features == 1
            and c.seen.panels[0].levels is None
            and c.picture is not None
            and c.seen.panels[0].plain
        )
    ):
        return None
    hidden = c.features - len(c.partials)
    text = (
        "Each feature's own part of the prediction, and the residuals around it: "
        "the rows as they would be with all other features held."
    )
    if hidden > 0:
        text += (
            f" The {len(c.partials)} that move the prediction most; {hidden:,} "
            "more are not shown."
        )
    return _section(
        "partials",
        "Feature by feature",
        el("p", text),
        el("div", *(p.figure() for p in c.partials), class_="panels"),
    )


def _descent(c: Content) -> Markup | None:
    parts = [p.figure() for p in c.losses]
    grid = el("div", *parts, class_="panels") if parts else None
    if c.surface is None and grid is None:
        return None
    title = "How it learned" if c.losses else "Loss surface"
    return _section(
        "descent", title, grid, None if c.surface is None else c.surface.figure("large")
    )


def _again(c: Content) -> Markup:
    data = c.data
    name = c.fit.settings.get("data")
    if data is None and name and name != "the data" and "." in str(name):
        data = str(name)
    cov = _cov(c)
    whole = python_lines(c.fit, data, cov)
    cut = python_lines(c.fit, data, cov, ON_PAPER)
    python = el(
        "pre", el("code", _lines(whole)), class_="screen" if cut != whole else None
    )
    if cut != whole:
        python = join(python, el("pre", el("code", _lines(cut)), class_="paper"))
    command = None
    if c.command is not None:
        command = join(
            el("h3", "On the command line"), el("pre", el("code", c.command))
        )
    return _section("again", "Do it again", el("h3", "In Python"), python, command)


def _cov(c: Content) -> object:
    """The kind of standard errors, as fit.inference takes it."""
    if c.inference is None:
        return "classic"
    if c.inference.clusters is None:
        return c.inference.cov
    words = shlex.split(c.command or "")
    named = [w.partition("cluster:")[2] for w in words if "cluster:" in w]
    return ("cluster", named[-1] if named else "the column of the clusters")


def _lines(text: str) -> Markup:
    """Code, its line breaks kept."""
    return Markup("\n".join(join(line) for line in text.split("\n")))
