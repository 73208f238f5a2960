"""The sections of a report, in their order; each is a heading and what follows."""

from __future__ import annotations

import shlex

from gradline.report.content import Content, section
from gradline.report.findings import judged
from gradline.report.headline import found_sentence
from gradline.report.judged import squared
from gradline.report.markup import Markup, el, join, short
from gradline.report.reproduce import python_lines
from gradline.report.residuals import HOLD
from gradline.report.tables import certificate, coefficients, scores, what

#: So many names of a list are written out on paper.
ON_PAPER = 24
_GRADES = {"act": "Act first", "look": "Look at it", "know": "Good to know"}


def body(c: Content) -> Markup:
    """The whole page, below its head."""
    return join(
        _head(c),
        _warnings(c),
        what(c),
        certificate(c),
        coefficients(c),
        scores(c),
        _fit(c),
        _residuals(c),
        _partials(c),
        _descent(c),
        _again(c),
    )


def _head(c: Content) -> Markup:
    return el(
        "header",
        el("p", "Linear fit", class_="kicker"),
        el("h1", short(c.fit.target, 60)),
        el("p", found_sentence(c.fit, c.seen, c.effects, c.inference), class_="lead"),
    )


def _warnings(c: Content) -> Markup:
    if not c.findings:
        return section("findings", "What to watch", el("p", _nothing(c)))
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
    return section("findings", "What to watch", el("ul", *items))


def _nothing(c: Content) -> str:
    """That nothing was found, and where it was looked for."""
    if c.seen is None or not judged(c.fit):
        why = "without the rows" if c.seen is None else "of a descent stopped early"
        return (
            f"Nothing stands out in what can be seen {why}: bends, noise that grows "
            "and rows that pull were not looked for."
        )
    looked = ["no noise that grows"] if squared(c.fit) else []
    if c.seen.known:
        looked = ["no bend", *looked, "no row that pulls"]
        looked += ["no features that say the same"] * (len(c.fit.coefficients) > 1)
    else:
        looked.append("no row far off")
        looked.append("no neighbours alike")
    text = f"Nothing stands out: {', '.join(looked)}."
    if c.features > len(c.seen.panels):
        text += (
            f" Bends and noise were looked for along the prediction and the "
            f"{len(c.seen.panels)} features that move it most."
        )
    return text


_NO_ROWS = (
    "The pictures of rows are left out: a model file holds no rows. Give them too: "
    "gradline report MODEL --data FILE, or fit.report(path, data=...)."
)


def _fit(c: Content) -> Markup:
    if c.picture is None:
        return section("fit", "Fit", el("p", _NO_ROWS))
    return section("fit", "Fit", c.picture.figure("large"))


def _residuals(c: Content) -> Markup | None:
    if c.seen is None:
        return None
    if not c.residuals:
        return section(
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
    return section(
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
    return section(
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
    return section(
        "descent", title, grid, None if c.surface is None else c.surface.figure("large")
    )


def _again(c: Content) -> Markup:
    data = c.data
    name = c.fit.settings.get("data")
    if data is None and name and name != "the data" and "." in str(name):
        data = str(name)
    cov = _cov(c)
    whole = python_lines(c.fit, data, cov, reading=c.reading)
    cut = python_lines(c.fit, data, cov, ON_PAPER, reading=c.reading)
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
    return section("again", "Do it again", el("h3", "In Python"), python, command)


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
