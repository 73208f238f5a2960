r"""A page of the manual in roff, the language of man: what `gradline help --roff` says.

In roff a line that begins with a dot or an apostrophe is a command, a backslash begins
an escape, and a bare hyphen may be set as a dash, so that all of these are escaped; so
is whatever is not ASCII. `gradline help --roff fit > gradline-fit.1` can then be read
with `man ./gradline-fit.1`, by groff and by mandoc.
"""

from __future__ import annotations

from gradline.manpage import Heading, Item, Lines, Section
from gradline.manual import Example

_ESCAPES = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
    '"': r"\(dq",
}


def roff(sections: list[Section], name: str, version: str) -> str:
    """A page for man.

    Args:
        sections: the page.
        name: what it is called.
        version: of gradline.
    """
    lines = [f'.TH {escaped(name.upper())} 1 "" "gradline {escaped(version)}"']
    lines += [".nh", ".ad l"]  # no option is cut in two, nor a blank widened
    for section in sections:
        lines += [f".SH {escaped(section.title)}"]
        for block in section.blocks:
            if block is not section.blocks[0] and not isinstance(block, Item | Heading):
                lines += [".PP"]
            match block:
                case Item(term, text):
                    lines += [".TP", rf"\fB{escaped(term)}\fR", escaped(text)]
                case Heading(text):
                    lines += [f".SS {escaped(text)}"]
                case Lines(text):
                    lines += [".nf", *map(escaped, text.split("\n")), ".fi"]
                case Example(text, line):
                    lines += [escaped(f"{text}:"), ".PP", ".RS 4", ".nf"]
                    lines += [*map(escaped, line.split("\n")), ".fi", ".RE"]
                case str(text):
                    lines += [escaped(text)]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """A text of which roff takes every sign as it is."""
    found = "".join(
        _ESCAPES.get(sign) or (sign if sign.isascii() else rf"\[u{ord(sign):04X}]")
        for sign in text
    )
    return rf"\&{found}" if found.startswith(".") else found
