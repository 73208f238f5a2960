"""What the documents say is true: their code runs and prints what stands below it.

In a Markdown file, ```python blocks run in order in one namespace; a ```text block
after one is its output. ```console blocks hold `$ gradline ...` commands and their
output; a line of three dots stands for lines left out. They run in a folder that holds
what `gradline sample --examples` writes, as a reader's does, and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

from forks import forked
from gradline.examples import write_examples
from helpers import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it starts on."""

    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(m.group(1), m.group(2), text.count("\n", 0, m.start()) + 1)
        for m in FENCE.finditer(text)
    ]


def matches(found: str, expected: str) -> bool:
    """Whether output is as documented; "..." on a line of its own skips lines."""
    parts = [re.escape(p.strip("\n")) for p in expected.split("\n...\n")]
    return re.fullmatch(r"\n?(?:.*\n)*?".join(parts), found.strip("\n")) is not None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_python_blocks(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_examples(tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    found = blocks(path)
    for block, following in zip_longest(found, found[1:]):
        if block.language != "python":
            continue
        output = io.StringIO()
        code = compile("\n" * block.line + block.text, str(path), "exec")
        with contextlib.redirect_stdout(output):
            exec(code, namespace)
        if following is not None and following.language == "text":
            where = f"{path.name}:{following.line}"
            assert matches(output.getvalue(), following.text), (
                f"{where} should read\n{output.getvalue()}"
            )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_console_blocks(path: Path, tmp_path: Path) -> None:
    write_examples(tmp_path / "docs")
    for block in blocks(path):
        if block.language != "console":
            continue
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            words = shlex.split(command)
            assert words[0] == "gradline", f"{path.name}:{block.line}: {command}"
            run = forked(
                *words,
                folder=tmp_path,
                env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "88"},
                mixed=True,
            )
            assert matches(run.stdout, expected), (
                f"{path.name}:{block.line}: {command} printed\n{run.stdout}"
            )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
