"""What the parts of a fit's own data have scored; the test part, once.

A part is scored when it is first asked for, and the answer is kept. A split counts the
fits that have been scored on its test part: from the second one on the scores say so,
because a part that fits were compared by is no test of the best of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradline.checks import one_of
from gradline.data import Source
from gradline.design import Design, Missing
from gradline.errors import DataError, UsageError
from gradline.intake import is_bare_array
from gradline.parts import KnownSource, known_only
from gradline.prepare import Prepared, reopened
from gradline.scores import Scores
from gradline.splits import PARTS, Split

#: Scores the rows of a source, read by a design.
Scorer = Callable[[Design, Source], Scores]


class Exam:
    """The parts of a fit's data, and their scores.

    Args:
        prepared: the data of the fit.
        known: scores that were found before, by part.
    """

    def __init__(
        self, prepared: Prepared, known: dict[str, Scores] | None = None
    ) -> None:
        self.prepared = prepared
        self._known: dict[str, Scores] = dict(known or {})

    @property
    def known(self) -> dict[str, Scores]:
        """The scores found so far, by part."""
        return dict(self._known)

    def scores(self, part: str, scorer: Scorer) -> Scores:
        """The scores of one part; the same ones when asked again.

        Raises:
            UsageError: there is no such part.
        """
        if part in self._known:
            return self._known[part]
        split, design = self.prepared.split, self.prepared.design
        if split is None:
            raise UsageError(
                f"there is no {part} part, since the fit had no split: fit with "
                "split=gl.Split(test=0.2) (--test 0.2), or give data to score"
            )
        found = part_scores(split, self.prepared.whole, part, design, scorer)
        if part == "test" and (before := split.count_test()):
            found.note = (
                f"this split's test part has been scored before, {_times(before)}: "
                "where fits are compared by it, it is no longer untouched, and what it "
                "says of the best of them is too good; judge that one by fresh rows"
            )
        self._known[part] = found
        return found


def part_scores(
    split: Split,
    source: Source,
    part: str,
    design: Design,
    scorer: Scorer,
    counts: dict[str, int] | None = None,
) -> Scores:
    """The scores of one part of some data.

    Rows of a level that the design does not know are left out and counted.

    Args:
        split: says which rows belong to the part.
        source: all rows.
        part: "train", "validation" or "test".
        design: of the fit.
        scorer: scores the rows of a source.
        counts: how many rows each part had when they were split, where known.

    Raises:
        UsageError: the split has no such part.
        DataError: no row is left to score.
    """
    one_of("part", part, *PARTS)
    if split.refit and part == "validation":
        raise UsageError(
            "the validation part chose the setting and was then learned from, so there "
            "is none left to score: ask for the test part, or for train, both together"
        )
    if not split.has(part, source):
        raise UsageError(
            f"the split has no {part} part: fit with split=gl.Split({part}=0.2) "
            f"(--{part} 0.2)"
        )
    every = split.part(source, part)
    rows = known_only(every, design.levels)
    try:
        found = scorer(design, rows)
    except DataError as error:
        unseen = rows.unseen if isinstance(rows, KnownSource) else 0
        if not unseen:
            raise
        raise DataError(
            f"no row of the {part} part can be scored: {unseen:,} have a level that "
            f"the training part has not; of the others: {error}"
        ) from error
    unseen = rows.unseen if isinstance(rows, KnownSource) else 0
    return found.named(part, unseen, _other_data(every, part, counts))


def _other_data(rows: Source, part: str, counts: dict[str, int] | None) -> str | None:
    """A warning where these are not the rows that were split."""
    now = getattr(rows, "counts", None)
    if counts is None or now is None or now == counts:
        return None
    part = part if now[part] != counts[part] else "train"
    return (
        f"the data are not those that were split: {now[part]:,} rows are in the {part} "
        f"part and {counts[part]:,} were, so rows that the fit has learned from may be "
        "among those scored"
    )


def scores_on(
    given: tuple[Any, Any],
    design: Design,
    known: tuple[dict[str, Any] | None, dict[str, int] | None],
    part: str | None,
    reading: dict[str, Any],
    scorer: Scorer,
) -> Scores:
    """The scores on data with known targets, or on a part of them.

    Args:
        given: data and y, as in `Fit.evaluate`.
        design: of the fit.
        known: the split of the fit, and how many rows its parts had, where known,
            from its settings.
        part: which part that split makes of these data; None for all rows.
        reading: as in `Fit.evaluate`.
        scorer: scores the rows of a source.
    """
    data, y = given
    missing: Missing = reading.pop("missing", design.missing)
    one_of("missing", missing, "error", "drop")
    if y is None and is_bare_array(data):
        raise UsageError("no target is given: give y beside x, evaluate(x, y)")
    source = reopened(design, data, y, **reading)
    names = {c.name for c in source.columns}
    weights = design.weights if design.weights in names else None
    design = replace(design, weights=weights, missing=missing)
    if part is None:
        return scorer(design, source).named(source.name)
    split, counts = known
    if split is None:
        raise UsageError(
            "the fit had no split, so its data have no parts: leave part out"
        )
    return part_scores(Split(**split), source, part, design, scorer, counts)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
