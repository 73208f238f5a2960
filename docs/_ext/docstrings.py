"""Docstrings as they are written here, for Sphinx.

They are plain text: a formula may hold * and |, and stands on lines of its own,
indented. reStructuredText would read these as markup, so the first are escaped, and the
second become literal blocks. The sections (Args and so on) are napoleon's work, after.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Equivalent|Source):")
CODE = re.compile(r"(`+[^`]+`+)")
MARKUP = re.compile(r"(?<!\\)([*|]|(?<=\w)_(?!\w))")


#: A text that begins like this would begin a list: "weight: W."
NUMBER = re.compile(r"^(\s+\w+: |\s*)([A-Za-z]|\d+)\.(?=\s|$)")
FILE = re.compile(r"\b(\w+)\.py\b")
PAGE = re.compile(r"\bdocs/([\w-]+)\.md\b")


def escaped(line: str) -> str:
    """A line whose characters mean themselves, but for `code`; files become links."""
    parts = CODE.split(NUMBER.sub(r"\1\\\2.", line))
    for n in range(0, len(parts), 2):
        text = PAGE.sub(r":doc:`/\1`", MARKUP.sub(r"\\\1", parts[n]))
        parts[n] = FILE.sub(_file, text)
    return "".join(parts)


def _file(found: re.Match[str]) -> str:
    known = (ROOT / "gradline" / found[0]).is_file()
    return f":source:`{found[0]}`" if known else found[0]


def rewritten(lines: list[str]) -> list[str]:
    """The docstring as napoleon shall get it."""
    found: list[str] = []
    literal = section = False
    for line in lines:
        inside = line.startswith(" ")
        if not line.strip():
            found.append("")
            continue
        if not inside:
            literal, section = False, False
            title = SECTION.match(line)
            if title and line.strip() != title.group(0):  # "Source: a book."
                rest = line[title.end() :].strip()
                found += ["", f"**{title.group(1)}:** {escaped(rest)}"]
                continue
            section = bool(title)
            if section and title and title.group(1) in ("Equivalent", "Source"):
                found += ["", f"**{title.group(1)}:**", ""]
                continue
        elif not section and not literal and found and not found[-1]:
            found += ["::", ""]
            literal = True
        keep = inside and literal
        text = line if keep else escaped(line)
        continues = inside and not section and not literal
        found.append(text.strip() if continues else text)
    return found


#: Classes that one makes by calling them, beside those that document their Args;
#: gradline's own functions make the others.
MADE = {"Absolute", "Chunk", "EarlyStopping", "Huber", "Quantile"}


def _docstring(*facts: Any) -> None:
    """On autodoc-process-docstring: the lines come last."""
    _, what, _, _, _, lines = facts
    # Of these, napoleon would take what stands before a colon for the type.
    plain = what in ("property", "attribute")
    first = ["..", ""] if plain else []  # an empty comment
    lines[:] = first + rewritten(lines)


def _signature(*facts: Any) -> tuple[str, None] | None:
    """On autodoc-process-signature: none for what is not called."""
    _, what, name, value, *_ = facts
    made = what != "class" or name.rpartition(".")[2] in MADE
    made = made or "Args:" in (value.__doc__ or "")
    return None if made else ("", None)


def _skipped(*facts: Any) -> bool | None:
    """On autodoc-skip-member: a named tuple's Attributes say more than its fields."""
    value = facts[3]
    said = getattr(value, "__doc__", None) or ""
    return True if said.startswith("Alias for field number") else None


def _headings(_: Sphinx, document: nodes.document) -> None:
    """On doctree-read: attributes are called so, and a dash is one."""
    for node in document.findall(nodes.field_name):
        if node.astext() == "Variables":
            node[0] = nodes.Text("Attributes")
    for body in document.findall(nodes.field_body):
        for text in list(body.findall(nodes.Text)):
            if text.startswith(" -- "):
                text.parent.replace(text, nodes.Text(f" – {text[4:]}"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite docstrings before napoleon does."""
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skipped)
    app.connect("doctree-read", _headings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
