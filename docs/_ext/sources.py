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
from docutils.nodes import system_message
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxRole

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


def link_to(
    env: BuildEnvironment, path: Path, page: str, *inside: nodes.Node
) -> nodes.reference:
    """A link from the page that is being read, which notes that it is needed."""
    link = nodes.reference("", "", *inside, internal=True)
    link["refuri"] = env._app.builder.get_relative_uri(env.docname, page)
    if page.startswith("source/"):
        facts = env.metadata[env.docname]
        facts["sources"] = f"{facts.get('sources', '')}\n{path}".strip()
    return link


class Source(SphinxRole):
    """The role :source:`path.py`: a link to a file of gradline/."""

    def run(self) -> tuple[list[nodes.Node], list[system_message]]:
        """The link."""
        path = ROOT / "gradline" / self.text
        name = nodes.literal("", self.text)
        return [link_to(self.env, path, page_of(path) or "", name)], []


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
        node.replace_self(link_to(self.env, path, page, *node.children))


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
    app.add_role("source", Source())
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
