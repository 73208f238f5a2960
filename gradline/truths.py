"""True and false as levels of a category, however files and people write them.

A column of booleans has the levels "False" and "True". Read as text (C(b) of a CSV
file, a column of texts), the same values are "false", "TRUE" or as else they stand
there; where a category holds nothing else, these are booleans too.
"""

from __future__ import annotations

from collections.abc import Collection

#: How files write the levels of true and false.
TRUTHS = {"True": ("True", "true", "TRUE"), "False": ("False", "false", "FALSE")}

_LEVEL = {text: level for level, texts in TRUTHS.items() for text in texts}


def truths(texts: Collection[str]) -> dict[str, str]:
    """The level, "True" or "False", of each text; {} where one of them says neither."""
    found = {text: _LEVEL[text] for text in texts if text in _LEVEL}
    return found if len(found) == len(texts) else {}


def spellings(levels: Collection[str]) -> dict[str, str]:
    """Further texts that mean one of the levels of a fit, and which one.

    Only where all levels say true or false, each of them once: a fit may have kept
    "true" and "TRUE" apart.
    """
    said = truths(levels)
    if len(set(said.values())) < len(levels):
        return {}
    return {
        text: level
        for level, truth in said.items()
        for text in TRUTHS[truth]
        if text != level
    }
