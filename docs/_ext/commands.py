"""The reference of the command line, made of the parser itself.

`.. commands::` becomes a section for each command: what it is for, how it is called,
and its options in the groups that --help shows.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gradline.options import build_parser


def _parsers() -> dict[str, argparse.ArgumentParser]:
    parser = build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise ValueError("the parser has no commands")


def _called(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    return formatter._format_action_invocation(action)


def _options(
    parser: argparse.ArgumentParser, actions: Iterable[argparse.Action]
) -> nodes.definition_list:
    formatter = parser._get_formatter()
    found = nodes.definition_list(classes=["options"])
    for action in actions:
        if action.help == argparse.SUPPRESS:
            continue
        called = _called(action, formatter)
        term = nodes.term("", "", nodes.literal("", called))
        text = formatter._expand_help(action) if action.help else ""
        body = nodes.definition("", nodes.paragraph("", text))
        found += nodes.definition_list_item("", term, body)
    return found


class Commands(SphinxDirective):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        """A section for each command, in the order of --help."""
        self.env.note_dependency(build_parser.__code__.co_filename)
        os.environ["COLUMNS"] = "80"
        return [self._section(name, parser) for name, parser in _parsers().items()]

    def _section(self, name: str, parser: argparse.ArgumentParser) -> nodes.section:
        found = nodes.section(ids=[f"gradline-{name}"], names=[f"gradline {name}"])
        found += nodes.title("", "", nodes.literal("", f"gradline {name}"))
        if parser.description:
            found += nodes.paragraph("", parser.description)
        usage = parser.format_usage().removeprefix("usage: ").rstrip()
        lines = usage.splitlines()
        usage = "\n".join(
            [lines[0], *(line.removeprefix("       ") for line in lines[1:])]
        )
        found += nodes.literal_block(usage, usage, language="text")
        for group in parser._action_groups:
            actions = group._group_actions
            if not actions:
                continue
            found += nodes.rubric("", (group.title or "").capitalize())
            if group.description:
                found += nodes.paragraph("", group.description)
            found += _options(parser, actions)
        if parser.epilog:
            found += nodes.literal_block(parser.epilog, parser.epilog, language="text")
        return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
