"""The site builds without a warning, asks no other host, and leaves nothing out.

It is built once, by Sphinx in a process of its own, as `scripts/docs` does.
"""

from __future__ import annotations

import html
import importlib.util
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import expect

import gradline
from browser import chromium
from gradline.options import build_parser
from helpers import ROOT

EXTENSIONS = ROOT / "docs" / "_ext"


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    words = ["-q", "-W", "--keep-going", "-n", "-b", "html", "-d", out / "doctrees"]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, ROOT / "docs", out / "html"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return out / "html"


def text_of(page: Path) -> str:
    found = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    return html.unescape(found)


def inventory(site: Path) -> list[tuple[str, str, str]]:
    """What the reference documents: name, kind, page."""
    data = (site / "objects.inv").read_bytes()
    body = zlib.decompress(data.split(b"\n", 4)[4]).decode()
    found = re.findall(r"^(\S+) (py:\w+) \S+ (\S+) .*$", body, re.M)
    return [(name, kind, page.partition("#")[0]) for name, kind, page in found]


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """Once: Sphinx warns of a second description, and warnings are errors."""
    found = [
        name.removeprefix("gradline.")
        for name, _, page in inventory(site)
        if name.count(".") == 1 and page.startswith("reference/")
    ]
    assert sorted(found) == sorted(gradline.__all__)


def test_every_public_method_is_in_the_reference(site: Path) -> None:
    known = {name for name, _, _ in inventory(site)}
    missing = [
        f"gradline.{name}.{member}"
        for name in gradline.__all__
        for member, value in vars(getattr(gradline, name)).items()
        if not member.startswith("_")
        and (callable(value) or isinstance(value, property))
        and (getattr(value, "__module__", None) or "gradline").startswith("gradline")
        and isinstance(getattr(gradline, name), type)
        and getattr(gradline, name).__module__.startswith("gradline")
    ]
    assert [name for name in missing if name not in known] == []


def test_the_reference_reads_well_and_its_types_lead_somewhere(site: Path) -> None:
    pages = sorted((site / "reference").glob("*.html"))
    for page in pages:
        text = text_of(page)
        for raw in ("TypeAliasForwardRef", "Alias for field number", "set-like object"):
            assert raw not in text, f"{page.name}: {raw}"
    together = "".join(page.read_text(encoding="utf-8") for page in pages)
    terms = re.findall(r'<dt id="term-(\w+)"', together)
    assert {"Array", "Progress", "Source", "Design", "Report"} <= set(terms)
    for term in terms:
        assert f'href="types.html#term-{term}"' in together, f"nothing names {term}"
    for word in ("RANK_DEFICIENT", "Intervals", "loss_error"):
        assert word in together


def test_pages_say_which_files_they_read(site: Path) -> None:
    text = text_of(site / "robust-losses.html")
    assert (
        "This page reads docs/engel.csv, docs/flights.csv and draws into docs/images: "
        "gradline sample --examples" in text
    )
    reads = re.compile(r"""["' ]docs/(\w+\.csv|images/)""")
    for page in (ROOT / "docs").glob("*.md"):
        fences = r"^```(?:python|console)$.*?^```$"
        code = "".join(re.findall(fences, page.read_text("utf-8"), re.M | re.S))
        if page.stem != "README" and reads.search(code):
            text = text_of(site / f"{page.stem}.html")
            assert "gradline sample --examples makes" in text, page.name
    assert "gradline sample --examples" in text_of(site / "index.html")
    copies = {p.name for p in site.glob("_downloads/*/*.csv")}
    assert copies == {p.name for p in (ROOT / "docs").glob("*.csv")}


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    text = text_of(site / "reference" / "command-line.html")
    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a.choices, dict))
    for name, command in commands.choices.items():
        assert f"gradline {name}" in text
        for action in command._actions:
            for word in action.option_strings:
                assert word in text, f"gradline {name} {word}"


def test_no_link_is_dead_and_nothing_comes_from_elsewhere(site: Path) -> None:
    found = extension("links").faults(site)
    assert not found, "\n".join(found)


def test_the_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">.</a><a href="b.html#here">.</a>'
        '<a href="c.html">.</a><a href="b.html#there">.</a><a href="#gone">.</a>'
        '<a href="https://nowhere">.</a><a href="ftp://host.org/x">.</a>'
        '<script src="https://host.org/x.js"></script><img src="no.png">'
    )
    (tmp_path / "b.html").write_text('<a id="here" href="a.html">.</a>')
    (tmp_path / "s.css").write_text("@import 'https://host.org/font.css'; b {}")
    assert extension("links").faults(tmp_path) == [
        "a.html: c.html leads to no file",
        "a.html: b.html#there leads to no place in that page",
        "a.html: #gone leads to no place in that page",
        "a.html: https://nowhere is no address",
        "a.html: ftp://host.org/x is of a kind that no page here needs",
        "a.html: loads https://host.org/x.js from elsewhere",
        "a.html: loads no.png, which is not there",
        "s.css: loads https://host.org/font.css from elsewhere",
    ]


def test_formulas_are_mathml_and_none_is_left_as_tex(site: Path) -> None:
    page = (site / "certificate.html").read_text(encoding="utf-8")
    assert page.count("<math ") > 20
    for path in site.rglob("*.html"):
        if "source" in path.relative_to(site).parts:
            continue
        text = re.sub(
            r"<(pre|code).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.S
        )
        text = re.sub(r"<script.*?</script>", "", text, flags=re.S)
        left = re.search(r"\\(?:frac|sum|lambda|sqrt|mathrm|text)\b|\$\$", text)
        assert left is None, f"{path.name}: {text[left.start() - 40 : left.end() + 40]}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("coming-from-*.md")))
def test_code_stands_side_by_side(site: Path, page: Path) -> None:
    text = (site / f"{page.stem}.html").read_text(encoding="utf-8")
    names = re.findall(r"^\*\*(.+)\*\*$", page.read_text(encoding="utf-8"), re.M)
    pairs = text.count('<div class="beside')
    assert pairs > 3
    assert names.count("gradline") == pairs == len(names) - pairs
    if page.stem == "coming-from-r":  # a table of coefficients fits no column
        assert text.count('<div class="wide') == 1


def test_links_to_files_lead_to_pages_of_them(site: Path) -> None:
    lesson = (site / "lesson.html").read_text(encoding="utf-8")
    assert 'href="source/gradline/descent.py.html"' in lesson
    assert not list(site.glob("_downloads/**/*.py"))
    text = text_of(site / "source" / "gradline" / "descent.py.html")
    source = (ROOT / "gradline" / "descent.py").read_text(encoding="utf-8")
    assert source.strip() in text
    pages = (site / "minibatches.html").read_text(encoding="utf-8")
    assert 'href="index.html"' in pages  # of ../README.md


def test_search_finds_pages_by_their_words(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    facts = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"certificate", "reference/fitting", "lesson"} <= set(facts["docnames"])
    assert "certif" in facts["terms"]
    entries = facts["indexentries"]
    for page, words in extension("searchwords").WORDS.items():
        for word in words:
            found = [facts["docnames"][n] for n, _, main in entries[word] if main]
            assert found == [page], word


def test_docstrings_keep_their_formulas() -> None:
    rewritten = extension("docstrings").rewritten
    text = [
        *("The loss", "", "    a * |b|", "", "of w_ and `x*y`.", ""),
        *("Args:", "    x: |x| * 2", "", "Source: A*B."),
    ]
    assert rewritten(text) == [
        *("The loss", "", "::", "", "    a * |b|", "", "of w\\_ and `x*y`.", ""),
        *("Args:", "    x: \\|x\\| \\* 2", "", "", "**Source:** A\\*B."),
    ]


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_the_screen_and_ask_no_one_else(site: Path, width: int) -> None:
    """In a browser: no request leaves the site, nothing fails, nothing sticks out."""
    with chromium() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900})
        page = context.new_page()
        faults: list[str] = []
        foreign: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((site.as_uri(), "data:"))
                else foreign.append(request.url)
            ),
        )
        wide = []
        for path in sorted(site.rglob("*.html")):
            if "source" in path.relative_to(site).parts:
                continue
            page.goto(path.as_uri())
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append(path.name)
        first = {}
        for words in ("install", "outliers", "learning+rate", "gl.fit"):
            page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
            expect(page.locator("#search-results li").first).to_be_visible()
            first[words] = page.locator("#search-results li > a").first.inner_text()
        context.close()
    assert first == {
        "install": "gradline",
        "outliers": "Other losses: outliers, medians, quantiles",
        "learning+rate": "The lesson: how gradient descent finds a line",
        "gl.fit": "Fitting",
    }
    assert not faults, faults
    assert not foreign, foreign
    assert not wide, wide
