"""A linear probe and its scores, as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradline.notebook.frame import card, facts, fold, head, notes, table, verdict
from gradline.notebook.results import alpha_picture, beside
from gradline.probescores import MOST_SHOWN, ProbeScores
from gradline.probetable import (
    alpha_words,
    certificate_pairs,
    output_columns,
    what_words,
)
from gradline.report.markup import Markup, el, join, short

if TYPE_CHECKING:
    from gradline.probe import Probe


def probe_html(probe: Probe) -> str:
    """A row for each output, the certificate, and the error by alpha, drawn.

    It costs what the printed table costs: the data are not read.

    Args:
        probe: the probe.
    """
    what, rest = what_words(probe)
    found = probe.cross_validation
    picture = None if found is None else alpha_picture(found)
    words = alpha_words(probe)
    outputs = _columns(probe.names, output_columns(probe), _kind(bool(probe.classes)))
    return card(
        head(what, rest),
        verdict(probe.certificate),
        beside(
            join(
                None if words is None else el("p", words),
                outputs,
                _more(probe.outputs),
            ),
            picture,
        ),
        fold("Certificate", facts(certificate_pairs(probe))),
        notes(probe.notes),
    )


def probe_scores_html(scores: ProbeScores) -> str:
    """Accuracy and confusion of classes; R² and RMSE of numbers.

    Args:
        scores: of a probe on rows.
    """
    classes = not np.isnan(scores.accuracy)
    parts = [
        _columns(scores.outputs, scores.columns(), _kind(classes)),
        _more(len(scores.outputs)),
    ]
    if classes:
        parts.append(
            fold("Confusion: true classes down, taken for across", *_of(scores))
        )
    return card(head("Scores", f": {scores.headline()}"), *parts)


def _of(scores: ProbeScores) -> list[Markup | None]:
    """The confusion of the first classes."""
    names = [short(name, 20) for name in scores.outputs[:MOST_SHOWN]]
    rows = [
        [name, *(f"{count:,}" for count in counts[: len(names)].tolist())]
        for name, counts in zip(names, scores.confusion, strict=False)
    ]
    return [table(["class", *names], rows), _more(len(scores.outputs))]


def _kind(classes: bool) -> str:
    return "class" if classes else "target"


def _columns(
    names: tuple[str, ...], columns: dict[str, list[str]], first: str
) -> Markup:
    """The columns of a printed table, as one of a page."""
    rows = [
        [short(name, 40), *cells]
        for name, *cells in zip(names[:MOST_SHOWN], *columns.values(), strict=True)
    ]
    return table([first, *columns], rows)


def _more(outputs: int) -> Markup | None:
    more = outputs - MOST_SHOWN
    words = f"{more:,} more are not shown."
    return el("p", words, class_="note") if more > 0 else None
