"""A line on top of a page that reads files: which, and how to have them.

Whoever installed a wheel has no docs/penguins.csv, and no docs/images for a picture. A
page whose code names them gets a note below its title, with links to the files; on
GitHub, where the files stand beside the page, it needs none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

#: A file that code reads, and the folder that it draws into.
FILE = re.compile(r"\bdocs/(\w+\.csv)\b")
PICTURE = re.compile(r"\bdocs/images/")

#: It tells so itself, and how.
HOME = "index"


class Examples(SphinxTransform):
    """Adds the note."""

    default_priority = 300

    def apply(self, **kwargs: Any) -> None:
        """Below the title."""
        if self.env.docname == HOME:
            return
        code = "\n".join(n.astext() for n in self.document.findall(nodes.literal_block))
        names = [name for name in dict.fromkeys(FILE.findall(code)) if _there(name)]
        title = next(iter(self.document.findall(nodes.title)), None)
        drawn = PICTURE.search(code) is not None
        if title is None or not (names or drawn):
            return
        line = nodes.paragraph("", "", classes=["examples"])
        if names:
            line += nodes.Text("This page reads ")
            for n, name in enumerate(names):
                line += nodes.Text(", " if n else "")
                link = download_reference("", "", nodes.literal("", f"docs/{name}"))
                line += link
                link["reftarget"] = f"/{name}"
                link["refdoc"] = self.env.docname
                link["refexplicit"] = True
        if drawn:
            line += nodes.Text(" and draws into " if names else "This page draws into ")
            line += nodes.literal("", "docs/images")
        line += nodes.Text(": ")
        line += nodes.literal("", "gradline sample --examples")
        line += nodes.Text(" makes what is needed, where you are.")
        title.parent.insert(title.parent.index(title) + 1, line)


def _there(name: str) -> bool:
    return (Path(__file__).resolve().parents[1] / name).is_file()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(Examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
