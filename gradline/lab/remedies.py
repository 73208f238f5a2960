"""What an error advises, in words for a page: it has controls, and no options.

gradline's sentences end in what to type in Python and in a shell, such as
`exclude=['x'] (--exclude x)`. On the page one ticks columns, and chooses how a file is
read. What is not known here keeps its sentence, without the option in brackets.
"""

from __future__ import annotations

import re

_NAME = r"""\[(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]"""
_OPTION = r" \(--[a-z-]+[ =].*?\)(?=[,.;:]|$)"
_EXCLUDE = rf"leave it out with exclude={_NAME}{_OPTION}"
_CATEGORY = (
    r", or (?:insist with|make it a category(?: with|, C\(.*?\) or)) "
    rf"categories={_NAME}(?:{_OPTION})?"
)

_WORDS = [
    (rf", {_EXCLUDE}{_CATEGORY}", ", or choose other features"),
    (rf"{_EXCLUDE}{_CATEGORY}", "choose other features"),
    (_EXCLUDE, "choose other features"),
    (rf", leave it out{_CATEGORY}", ", or choose another feature"),
    (_CATEGORY, ""),
    (
        r"give decimal=',' \(--decimal ,\)",
        "choose Comma under Decimal and read the file again",
    ),
    (rf"give categories={_NAME} to read it as text", "choose other features"),
    (r"give its encoding, such as encoding='cp1252'", "choose another encoding"),
    (r"or encoding='utf-16' if", "or choose the encoding UTF-16 if"),
    (r"leave out the encoding to have it found, or give", "choose As found, or"),
    (r"empty it and give missing='drop' \(--missing drop\)", "empty it"),
    (r" \(--[a-z-]+(?:[ =][^()]*)?\)", ""),
]


def for_page(text: str) -> str:
    """A sentence of gradline's for somebody who has the page, and no command line."""
    for pattern, words in _WORDS:
        text = re.sub(pattern, lambda _, words=words: words, text)  # type: ignore[misc]
    return text
