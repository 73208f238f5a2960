"""Source files as pages, so that a link to one stays on the site.

In a page, [path.py](../gradline/path.py) leads to the file on GitHub, and here to a
page with its text; README.md, CHANGELOG.md and so on lead to the pages made of them.
The reference links every object to the line where it begins.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[2]

#: The pages that other files of the repository are.
PAGES = {
    "README.md": "index",
    "docs/README.md": "index",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "benchmarks/README.md": "benchmarks",
}

#: What has a page as source: code, and texts short enough to read.
SHOWN = {".py", ".toml", ".txt", ".sql", ".js", ".css", ".html", ".yaml", ".yml", ""}


def page_of(path: Path) -> str | None:
    """The page that a file of the repository is shown on, if it is."""
    inside = path.relative_to(ROOT).as_posix()
    if inside in PAGES:
        return PAGES[inside]
    return f"source/{inside}" if path.suffix in SHOWN else None


class Links(SphinxTransform):
    """Links to files of the repository become links to their pages."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Before Sphinx would copy the files."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        for node in list(self.document.findall(download_reference)):
            self._lead(node, (here / node["reftarget"]).resolve())
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "doc" and node["reftarget"].startswith("/"):
                self._lead(node, Path(node["reftarget"]).with_suffix(".md"))

    def _lead(self, node: nodes.Element, path: Path) -> None:
        """To the file's page, if it is one of ours."""
        page = page_of(path) if path.is_file() and path.is_relative_to(ROOT) else None
        if page is None:
            return
        link = nodes.reference("", "", *node.children, internal=True)
        builder = self.env._app.builder
        link["refuri"] = builder.get_relative_uri(self.env.docname, page)
        node.replace_self(link)
        if page.startswith("source/"):
            facts = self.env.metadata[self.env.docname]
            facts["sources"] = f"{facts.get('sources', '')}\n{path}".strip()


def linkcode_resolve(domain: str, info: dict[str, Any]) -> str | None:
    """Where the source of a documented object is, for sphinx.ext.linkcode."""
    if domain != "py":
        return None
    value: Any = sys.modules[info["module"]]
    for part in info["fullname"].split("."):
        value = getattr(value, part, None)
    if isinstance(value, property):
        value = value.fget
    value = getattr(value, "func", value)  # functools.cached_property
    try:
        value = inspect.unwrap(value)
        path = Path(inspect.getsourcefile(value) or "").resolve()
        line = inspect.getsourcelines(value)[1]
    except (OSError, TypeError, ValueError):
        return None
    if not path.is_relative_to(ROOT / "gradline"):
        return None
    _linked.add(path)
    return f"../{page_of(path)}.html#line-{line}"


#: The files that the reference links to, in this process.
_linked: set[Path] = set()


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    paths = set(_linked)
    for facts in app.env.metadata.values():
        paths |= {Path(p) for p in facts.get("sources", "").splitlines()}
    formatter = HtmlFormatter(lineanchors="line", anchorlinenos=False)
    for path in sorted(paths):
        text = path.read_text(encoding="utf-8")
        body = highlight(text, get_lexer_for_filename(path.name), formatter)
        inside = path.relative_to(ROOT).as_posix()
        context = {
            "title": inside,
            "body": f"<h1>{inside}</h1>\n{body}",
            "parents": [],
        }
        yield f"source/{inside}", context, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform, and what collects the pages."""
    app.config.linkcode_resolve = linkcode_resolve
    app.add_transform(Links)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
