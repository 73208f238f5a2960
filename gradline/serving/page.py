"""The page for people: what is served, and what to type to ask it.

One file without scripts and without anything from elsewhere; its style is allowed by
its fingerprint. Every name comes from a model file, so every one is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #5b6775; --line: #d8dee6;
  --paper: #fff; --code: #f4f6f8; --mark: #1f6f8b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --dim: #9aa6b2;
  --line: #36404b; --paper: #161b21; --code: #1f262e; --mark: #7cc4dc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; }
.dim { color: var(--dim); }
pre { background: var(--code); padding: .7rem .9rem; border-radius: 6px;
  font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; }
td.word { white-space: nowrap; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
a { color: var(--mark); }
"""

#: Of the page: nothing but its own style.
POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    + "'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

#: Rows of a table, and levels of a category, that are shown.
MOST_SHOWN, MOST_LEVELS = 200, 12


def page(told: dict[str, Any], row: dict[str, Any], address: str) -> bytes:
    """The page, as UTF-8.

    Args:
        told: of the model, by facts.py.
        row: one that can be predicted, as an example.
        address: of this server, without a slash at its end.
    """
    target = told["target"]
    body = {"rows": [row]} | ({"interval": 0.95} if told["intervals"] else {})
    quality, certificate = told["metrics"], told["certificate"]
    facts = [
        f"R² {quality['r2']:.4g}, RMSE {quality['rmse']:.4g} on the {told['rows']:,} "
        "rows that it was fitted on",
        f"Certificate: {certificate['status']}. {certificate['advice']}",
    ]
    limits = told["limits"]
    parts = [
        f"<h1>{escape(target)}, predicted</h1>",
        f'<p class="dim">{escape(told["name"])}, version '
        f"<code>{escape(told['version'].removeprefix('sha256:')[:12])}</code>, "
        f"{escape(told['method'])}, gradline {escape(told['gradline'])}</p>",
        *(f"<p>{escape(fact)}</p>" for fact in facts),
        "<h2>Ask it</h2>",
        _curl(
            f"{address}/predict",
            "-H",
            "Content-Type: application/json",
            "-d",
            json.dumps(body, ensure_ascii=False),
        ),
        "<p>Many rows by columns, and null where a value is missing:</p>",
        _curl(
            f"{address}/predict",
            "-H",
            "Content-Type: application/json",
            "-d",
            json.dumps(
                {"columns": {k: [v, None] for k, v in row.items()}, "missing": "nan"},
                ensure_ascii=False,
            ),
        ),
        "<p>Arrow streams, there and back:</p>",
        _curl(
            f"{address}/predict/arrow",
            "-H",
            "Content-Type: application/vnd.apache.arrow.stream",
            "--data-binary",
            "@rows.arrows",
            "-o",
            "predictions.arrows",
        ),
        f'<p class="dim">At most {limits["rows"]:,} rows, {limits["body"]:,} bytes and '
        f"{limits['seconds']:g} seconds for one request.</p>",
        "<h2>Columns</h2>",
        _table(("column", "kind", "levels"), [_column(f) for f in told["features"]]),
        "<h2>Coefficients</h2>",
        _table(
            ("term", "coefficient"),
            [
                [escape(name), f'<td class="number">{value:.6g}</td>']
                for name, value in {
                    "Intercept": told["intercept"],
                    **told["coefficients"],
                }.items()
            ],
        ),
        "<h2>More</h2>",
        "<p>"
        + ", ".join(
            f'<a href="{path}">{path}</a>'
            for path in ("/openapi.json", "/model", "/healthz", "/readyz", "/metrics")
        )
        + "</p>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(target)}, predicted</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>"
    ).encode()


def _curl(*words: str) -> str:
    line = f"curl {words[0]}"
    for flag, value in zip(words[1::2], words[2::2], strict=True):
        line += f" \\\n  {flag} {shlex.quote(value)}"
    return f"<pre><code>{escape(line)}</code></pre>"


def _column(feature: dict[str, Any]) -> list[str]:
    levels = feature["levels"] or []
    shown = ", ".join(levels[:MOST_LEVELS])
    if len(levels) > MOST_LEVELS:
        shown += f" and {len(levels) - MOST_LEVELS:,} more"
    kind = f'<td class="word">{feature["kind"]}</td>'
    return [escape(feature["name"]), kind, escape(shown)]


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = "".join(
        "<tr>"
        + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row)
        + "</tr>"
        for row in rows[:MOST_SHOWN]
    )
    more = len(rows) - MOST_SHOWN
    rest = f'<p class="dim">and {more:,} more</p>' if more > 0 else ""
    head = "".join(f"<th>{h}</th>" for h in heads)
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>{rest}'
