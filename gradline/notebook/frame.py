"""What every picture of an object in a notebook is made of: a card with its own style.

Notebooks are light or dark and say so nowhere: text has the colour of the text about
it, lines a part of that, and the few other colours can be read on both. Nothing is
loaded and no script runs. Where a page strips styles, plain tables are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradline.certificate import Certificate
from gradline.errors import Status
from gradline.report.markup import Markup, el, join, short

#: A rule of ours counts more than any of the notebook's, whatever the selector.
_SELF = ":is(.gradline,#gradline)"

_RULES = """
{--soft:color-mix(in srgb,currentColor 68%,transparent);\
--rule:color-mix(in srgb,currentColor 18%,transparent);--ink:currentColor;\
--blue:#2b8ac6;--orange:#cf7a17;--red:#d9503a;--green:#2c9d64;--purple:#b060a0;\
--dot:#3b97d3;font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
color:inherit;max-width:68em;text-align:left;font-variant-numeric:tabular-nums}
p{margin:.3em 0;max-width:56em}
.head{font-size:15px}
.badge{display:inline-block;padding:0 .6em;border:1px solid;border-radius:1em;\
font-size:12px;font-weight:600;margin-right:.5em}
.good{color:var(--green)}
.look{color:var(--orange)}
.bad{color:var(--red)}
.note{color:var(--soft);font-size:12.5px}
details{margin:.3em 0}
summary{cursor:pointer;color:var(--soft);font-size:13px}
.side{display:flex;flex-wrap:wrap;gap:.4em 2.2em;align-items:flex-start}
.side>.main{flex:0 1 auto;min-width:min(100%,26em);max-width:100%}
.main p{width:0;min-width:100%}
.side>.picture{flex:0 0 320px;max-width:100%}
.wide{overflow-x:auto}
.tall{max-height:28em;overflow:auto}
table{border-collapse:collapse;margin:.3em 0;border:0;font-size:13px;\
table-layout:auto;width:auto;color:inherit;background:none}
tr{background:none!important;border:0;border-bottom:1px solid var(--rule)}
th,td{padding:.18em 1.1em .18em 0;border:0;text-align:left;vertical-align:middle;\
font-weight:400;background:none;max-width:none;white-space:normal}
thead th{color:var(--soft);font-size:12px;vertical-align:bottom}
tbody th{overflow-wrap:break-word;min-width:5em;max-width:18em}
.n{text-align:right;white-space:nowrap}
.chosen>*{font-weight:600}
.stars{display:inline-block;width:1.7em;text-align:left;color:var(--soft)}
.drawn{width:200px;min-width:150px}
.what{display:block;white-space:nowrap}
svg{display:block;width:100%;height:auto;overflow:visible;\
font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
svg text{font-size:11px;fill:var(--soft)}
.row text{font-size:11px}
.row .zero{stroke:var(--soft);stroke-width:1;opacity:.55}
.row .bar{stroke:var(--blue);stroke-width:2.4;stroke-linecap:round}
.row circle{fill:var(--blue)}
.plot .name{fill:var(--ink)}
.plot .mid,.row .mid{text-anchor:middle}
.plot .end{text-anchor:end}
.plot path,.plot ellipse{fill:none}
.plot .grid{stroke:var(--rule);stroke-width:1}
.plot .dot{stroke:var(--dot);stroke-width:50;stroke-linecap:round;stroke-opacity:.75}
.plot .dot.many{stroke-width:32;stroke-opacity:.65}
.plot .fit{stroke:var(--red);stroke-width:26;stroke-linecap:round}
.plot .other{stroke:var(--orange);stroke-width:22;stroke-linejoin:round}
.plot .trend{stroke:var(--blue);stroke-width:22;stroke-linejoin:round}
.plot .known{stroke:var(--ink);stroke-width:13;stroke-dasharray:60 45}
.plot .ring{stroke:var(--blue);stroke-width:8;fill:var(--blue);fill-opacity:.06}
.plot .path{stroke:var(--orange);stroke-width:22;stroke-linejoin:round}
.plot .star{stroke:var(--ink);stroke-width:20;stroke-linecap:round}
"""


def _scoped(rules: str) -> str:
    """Every selector put inside the card."""
    found = []
    for rule in rules.replace("\\\n", "").strip().splitlines():
        selectors, brace, body = rule.partition("{")
        inside = ",".join(f"{_SELF} {s}".strip() for s in selectors.split(","))
        found.append(inside + brace + body)
    return "\n".join(found)


#: How a status is said: the colour of its badge.
_COLORS = {
    Status.EXACT: "good",
    Status.CONVERGED: "good",
    Status.NOT_CONVERGED: "look",
    Status.RANK_DEFICIENT: "bad",
}


def card(*inside: str | None) -> str:
    """Parts as one piece of HTML."""
    style = Markup(f"<style>\n{_scoped(_RULES)}\n</style>")
    return str(el("div", style, *inside, class_="gradline"))


def head(first: str, rest: str) -> Markup:
    """What an object is: a name and what more there is to say."""
    return el("p", el("b", short(first, 80)), rest, class_="head")


def badge(status: Status) -> Markup:
    """A status in its colour, which is not all that tells it."""
    words = str(status).replace("_", " ")
    return el("span", words, class_=f"badge {_COLORS[status]}")


def verdict(certificate: Certificate) -> Markup:
    """The status of a certificate in its colour, and the advice."""
    advice = short(certificate.advice, 600)
    return el("p", badge(certificate.status), advice)


def fold(title: str, *inside: str | None, unfolded: bool = False) -> Markup:
    """What is shown once it is asked for."""
    return el("details", el("summary", title), *inside, open=unfolded)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
    chosen: int | None = None,
) -> Markup:
    """A table: the first column names the row.

    Args:
        heads: of the columns.
        rows: cells, markup or text.
        words: which columns are words; the others are numbers.
        chosen: the row that was.
    """
    kinds = [None if place in words else "n" for place in range(len(heads))]
    top = (
        el("th", h, scope="col", class_=k) for h, k in zip(heads, kinds, strict=True)
    )
    body = [
        el(
            "tr",
            *(
                el("td", cell, class_=kind)
                if place
                else el("th", cell, scope="row", class_=kind)
                for place, (cell, kind) in enumerate(zip(row, kinds, strict=True))
            ),
            class_="chosen" if number == chosen else None,
        )
        for number, row in enumerate(rows)
    ]
    content = el("table", el("thead", el("tr", *top)), el("tbody", *body))
    kind = "wide" if len(body) <= 40 else "wide tall"
    return el("div", content, class_=kind)


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and values, one a line."""
    rows = (
        el("tr", el("th", name, scope="row"), el("td", value)) for name, value in pairs
    )
    return el("table", el("tbody", *rows))


def notes(texts: Iterable[str]) -> Markup:
    """What to beware of, a paragraph each."""
    return join(*(el("p", short(text, 600), class_="note") for text in texts))


def dotted(line: str) -> str:
    """A line of the printed table, whose blanks a page would not keep."""
    return " · ".join(line.split("   ")).replace(" · (", " (").replace(" -", " −")
