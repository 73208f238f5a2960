"""Code side by side: two blocks with a bold name above each stand beside one another.

    **scikit-learn**          a paragraph that is one bold name
    ```python ...```          the code
    **gradline**
    ```python ...```          and maybe its output

In plain Markdown they follow one another; gradline.css puts them in two columns where
the screen has room.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

#: So many characters fit a column; a table of longer lines stands below the two.
COLUMN = 64


def _name(node: nodes.Node | None) -> str | None:
    """The text of a paragraph that is bold and nothing else."""
    if not isinstance(node, nodes.paragraph):
        return None
    parts = [part for part in node if part.astext()]  # MyST leaves empty texts
    bold = len(parts) == 1 and isinstance(parts[0], nodes.strong)
    return node.astext() if bold else None


def _table(node: nodes.Node) -> bool:
    """Whether a block is output with lines that must not wrap, not a long sentence."""
    if not isinstance(node, nodes.literal_block) or node.get("language") != "text":
        return False
    return sum(len(line) > COLUMN for line in node.astext().splitlines()) > 2


class Beside(SphinxTransform):
    """Wraps such pairs."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """In every section."""
        for section in list(self.document.findall(nodes.section)):
            self._pair(section)

    def _pair(self, section: nodes.section) -> None:
        children = list(section.children)
        for left in children:
            if _name(left) in (None, "gradline") or left.parent is not section:
                continue
            at = section.index(left)
            right = at + 2
            if right + 1 >= len(section) or _name(section[right]) != "gradline":
                continue
            end = right + 1
            while end < len(section) and isinstance(section[end], nodes.literal_block):
                end += 1
                if section[end - 1].get("language") == "text":
                    break
                if end < len(section) and not self._output(section[end]):
                    break
            last = end - 1 if _table(section[end - 1]) else end
            columns = [
                nodes.container("", *section[at:right], classes=["column"]),
                nodes.container("", *section[right:last], classes=["column"]),
            ]
            if last < end:
                columns.append(nodes.container("", section[last], classes=["wide"]))
            pair = nodes.container("", *columns, classes=["beside"])
            section.children[at:end] = [pair]
            section.setup_child(pair)

    @staticmethod
    def _output(node: nodes.Node) -> bool:
        return isinstance(node, nodes.literal_block) and node.get("language") == "text"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(Beside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
