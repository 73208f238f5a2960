"""A page of the manual: its sections, from the parser and manual.py, as plain text.

The parser says what can be typed, manual.py what it is for. A page is a list of
sections; here it becomes text of any width, and roff.py makes it one for man.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from gradline import manual
from gradline.manual import Example, Words
from gradline.options import commands_of


class Item(NamedTuple):
    """What can be typed, and what it means."""

    term: str
    text: str


class Heading(NamedTuple):
    """The name of a group, inside a section."""

    text: str


class Lines(NamedTuple):
    """Text whose lines stay as they are."""

    text: str


Block = str | Item | Heading | Lines | Example


class Section(NamedTuple):
    """A title, and what stands under it."""

    title: str
    blocks: list[Block]


def page(parser: argparse.ArgumentParser, command: str | None) -> list[Section]:
    """The page of a command, or of gradline itself.

    Args:
        parser: of the whole command line.
        command: one that the parser knows, or None.
    """
    commands = commands_of(parser)
    if command is None:
        words, own, about = manual.GRADLINE, parser, _lower(parser.description)
    else:
        words = manual.COMMANDS[command]
        about, own = commands[command]
    groups = list(_groups(own))
    found = [
        Section("NAME", [f"{name_of(command)} - {about}"]),
        Section("SYNOPSIS", [Lines("\n".join(words.synopsis or _synopsis(own)))]),
        Section("DESCRIPTION", list(words.text)),
        Section("COMMANDS", [Item(n, line) for n, (line, _) in commands.items()]),
        Section("ARGUMENTS", [Item(*entry) for entry in _arguments(own)]),
        Section("OPTIONS", [block for group in groups for block in group]),
        Section("EXAMPLES", list(words.examples)),
        Section("FILES", [Item(*entry) for entry in words.files]),
        Section("EXIT STATUS", [Item(*entry) for entry in manual.STATUS]),
        Section("ENVIRONMENT", [Item(*entry) for entry in manual.ENVIRONMENT]),
        Section("SEE ALSO", [_also(words, command)]),
    ]
    if command is None:
        return [section for section in found if section.blocks]
    left_out = ("COMMANDS", "ENVIRONMENT")  # they stand on the first page
    return [s for s in found if s.blocks and s.title not in left_out]


def name_of(command: str | None) -> str:
    """What a page is called: gradline-fit, or gradline."""
    return "gradline" if command is None else f"gradline-{command}"


def _also(words: Words, command: str | None) -> str:
    """The pages to read next."""
    if command is None:
        return "gradline help COMMAND"
    names = [f"gradline help {name}" for name in words.also]
    return ", ".join([*names, "gradline help"])


def _lower(text: str | None) -> str:
    """A sentence as it stands after a dash."""
    found = (text or "").strip().removesuffix(".")
    return found[:1].lower() + found[1:]


def _synopsis(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """What is typed at the least, the options as one word."""
    needed = [
        _typed(action.option_strings[-1], action)
        for action in parser._actions
        if action.option_strings and action.required
    ]
    given = [
        f"[{_value(action)}]" if action.nargs == "?" else _value(action)
        for action in parser._actions
        if not action.option_strings
    ]
    return (" ".join([parser.prog, *given, *needed, "[OPTION]..."]),)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """What is typed without dashes; the commands of gradline have their own place."""
    for action in parser._actions:
        commands = isinstance(action, argparse._SubParsersAction)
        if not action.option_strings and not commands:
            yield _value(action), _help(action, parser)


def _groups(parser: argparse.ArgumentParser) -> Iterator[list[Block]]:
    """The options, group by group, each after its heading; first those of no group."""
    for group in parser._action_groups:
        items: list[Block] = [
            Item(_option(action), _help(action, parser))
            for action in group._group_actions
            if action.option_strings and action.help != argparse.SUPPRESS
        ]
        if items:
            of_none = group.title in (None, "options", "positional arguments")
            yield items if of_none else [Heading(str(group.title).capitalize()), *items]


def _option(action: argparse.Action) -> str:
    """-o, --output FILE."""
    names = sorted(action.option_strings, key=len)  # short ones first
    return _typed(", ".join(names), action)


def _typed(names: str, action: argparse.Action) -> str:
    return names if action.nargs == 0 else f"{names} {_value(action)}"


def _value(action: argparse.Action) -> str:
    """What stands for a value: its metavar, or the choices."""
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "|".join(str(choice) for choice in action.choices)
    return action.dest.upper() if action.option_strings else action.dest


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The line of help, with its %(default)s filled in, as argparse does."""
    known = {name: value for name, value in vars(action).items() if value is not None}
    return (action.help or "") % {"default": None, **known, "prog": parser.prog}


#: How far text is set in: below a title, and below a term.
_LEFT, _DEEPER = 7, 14

#: Where all terms of a section are no longer than this, text stands beside them.
_SHORT = 12


def plain(sections: list[Section], width: int, *, bold: bool = False) -> str:
    """A page as text, at most so wide where words allow it.

    Args:
        sections: the page.
        width: columns.
        bold: whether titles and terms are in bold type, by the codes of a terminal.
    """

    def strong(text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if bold else text

    lines: list[str] = []
    for section in sections:
        lines += [strong(section.title)]
        terms = [block.term for block in section.blocks if isinstance(block, Item)]
        beside = max(map(len, terms), default=0)
        for block in section.blocks:
            match block:
                case Item(term, text) if beside <= _SHORT:
                    first, *rest = _set(text, _LEFT + beside + 3, width)
                    gap = " " * (beside - len(term) + 3)
                    lines += [" " * _LEFT + strong(term) + gap + first.lstrip(), *rest]
                    if block is not section.blocks[-1]:
                        continue
                case Item(term, text):
                    lines += [" " * _LEFT + strong(term), *_set(text, _DEEPER, width)]
                case Heading(text):
                    lines += ["   " + strong(text)]
                    continue
                case Lines(text):
                    lines += textwrap.indent(text, " " * _LEFT).splitlines()
                case Example(text, line):
                    lines += _set(f"{text}:", _LEFT, width)
                    lines += ["", *textwrap.indent(line, " " * 11).splitlines()]
                case str(text):
                    lines += _set(text, _LEFT, width)
            lines += [""]
    return "\n".join(lines).rstrip()


def _set(text: str, left: int, width: int) -> list[str]:
    """A paragraph, set in."""
    return textwrap.wrap(
        text,
        max(width, left + 20),
        initial_indent=" " * left,
        subsequent_indent=" " * left,
        break_long_words=False,
        break_on_hyphens=False,
    )
