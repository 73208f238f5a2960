"""Types that the reference names and gradline does not export: links to what they are.

reference/types.rst is a glossary of them. An annotation that names one of its terms
leads there, from wherever the type lives.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import TypeAliasForwardRef
from sphinx.util.nodes import make_refnode

PAGE = "reference/types"


def _named(self: TypeAliasForwardRef) -> str:
    """Within a union Sphinx prints an alias by its repr."""
    return self.name


def _missing(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, inside: nodes.TextElement
) -> nodes.reference | None:
    """On missing-reference: the place of the type, if it is one of the glossary's."""
    if node.get("refdomain") != "py":
        return None
    name = str(node["reftarget"]).rpartition(".")[2]
    ours = re.sub(r"^An? ", "gradline.", name)  # "Returns: An Inference: ..."
    if ours != name and ours in env.domaindata["py"]["objects"]:
        known = env.domaindata["py"]["objects"][ours]
        refer = (app.builder, node["refdoc"], known.docname, known.node_id)
        return make_refnode(*refer, inside, ours)
    name = name.rpartition(" ")[2]
    terms: dict[tuple[str, str], tuple[str, str]] = env.domaindata["std"]["objects"]
    page, place = terms.get(("term", name), ("", ""))
    if page != PAGE:
        return None
    return make_refnode(app.builder, node["refdoc"], page, place, inside, name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what resolves them."""
    TypeAliasForwardRef.__repr__ = _named  # type: ignore[method-assign]
    app.connect("missing-reference", _missing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
