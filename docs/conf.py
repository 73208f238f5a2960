"""The site: `scripts/docs` builds it from this folder into docs/_build/html.

A page is plain Markdown, which reads as well on GitHub; what only Sphinx can read is
.rst. What is on the site is on the site: nothing is fetched from elsewhere, formulas
are MathML, and files that the pages link to are pages of it too (_ext/sources.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent), str(_HERE / "_ext")]

project = "gradline"
author = "The gradline authors"
project_copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.linkcode",
    "myst_parser",
    "sphinx_copybutton",
    "beside",
    "commands",
    "docstrings",
    "examples",
    "mathml",
    "searchwords",
    "sources",
    "types_named",
]
exclude_patterns = ["_build", "README.md"]


# Explicit references must lead somewhere. What annotations name may be torch's,
# NumPy's or internal, and then has no page here.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!gradline\.[A-Z]).*")]
default_role = "code"
smartquotes = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
# what reference/types.rst explains, and _ext/types_named.py links to
autodoc_type_aliases = {"Array": "Array", "Progress": "Progress"}
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = "gradline"
html_static_path = ["_static"]
html_css_files = ["gradline.css"]
html_copy_source = False
html_show_sphinx = False
# Summaries are fetched, which a page that was opened from a file may not do.
html_show_search_summary = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
