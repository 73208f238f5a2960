"""The files of the page, without a browser: contrast, modules, nothing foreign."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import gradline.lab

PAGE = Path(gradline.lab.__file__).parent / "page"
MODULES = sorted(p.relative_to(PAGE).as_posix() for p in PAGE.rglob("*.js"))
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?from\s+["']([^"']+)["']""", re.M)


def _colours(name: str) -> dict[str, str]:
    text = (PAGE / "style" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, from 1 to 21."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


THEMES = {
    "light": _colours("tokens.css"),
    "dark": _colours("tokens.css") | _colours("dark.css"),
}
WORDS = [
    *(
        (word, ground)
        for word in ("ink", "muted")
        for ground in ("bg", "panel", "sunk")
    ),
    *(
        (word, ground)
        for word in ("accent", "bad")
        for ground in ("bg", "panel", "sunk")
    ),
    ("good", "bg"),
    ("good", "panel"),
    ("good", "good-bg"),
    ("bad", "bad-bg"),
    ("accent-ink", "accent"),
    ("muted", "good-bg"),
    ("ink", "good-bg"),
]
MARKS = [
    *((m, "panel") for m in ("point", "held", "line", "path", "optimum", "truth")),
    ("residual", "panel"),
    ("edge", "panel"),
    ("edge", "bg"),
    ("path", "heat-low"),
    ("path", "heat-high"),
]


@pytest.mark.parametrize("theme", THEMES)
def test_words_and_marks_have_the_contrast_of_wcag_aa(theme: str) -> None:
    known = THEMES[theme]
    for least, pairs in ((4.5, WORDS), (3.0, MARKS)):
        for front, back in pairs:
            found = contrast(known[front], known[back])
            assert found >= least, f"{theme}: {front} on {back} is {found:.2f}"


def test_every_module_is_there_and_fetched_at_once() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    preloaded = set(re.findall(r'modulepreload" href="/([^"]+)"', html))
    assert preloaded == set(MODULES) - {"main.js"}
    for name in MODULES:
        text = (PAGE / name).read_text(encoding="utf-8")
        assert text.startswith("/*"), f"{name} does not say what it is for"
        for target in IMPORT.findall(text):
            assert (PAGE / name).parent.joinpath(target).resolve().is_file(), target


def test_the_page_is_its_own() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style", html)
    assert re.findall(r"<script\b[^>]*>", html) == [
        '<script type="module" src="/main.js">'
    ]
    for file in PAGE.rglob("*.*"):
        text = file.read_text(encoding="utf-8").replace(
            "http://www.w3.org/2000/svg", ""
        )
        assert not re.search(
            r"https?://[a-z]|innerHTML|insertAdjacentHTML|\beval\(", text
        )
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for name in re.findall(r'(?:labelledby|describedby|controls|for)="([^"]+)"', html):
        assert all(
            part in {*ids, "data-dialog-title", "help-dialog-title"}
            for part in name.split()
        )


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_every_module_is_javascript() -> None:
    code = """
        import { readFileSync } from "node:fs";
        import { SourceTextModule } from "node:vm";
        for (const path of process.argv.slice(1))
            new SourceTextModule(readFileSync(path, "utf8"), { identifier: path });
    """
    options = ["--experimental-vm-modules", "--no-warnings", "--input-type=module"]
    done = subprocess.run(
        ["node", *options, "-e", code, *(PAGE / name for name in MODULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
