"""The README as a package index shows it: no picture or link that leads nowhere.

Pictures and links of README.md are paths within the source tree. On the page of a
package there is no tree, so pictures are left out, and a link becomes its text with the
path in brackets.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!\w+:)[^)]*\)\n\n?", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)]*)\)")


def standalone(text: str) -> str:
    """A Markdown text that needs no files beside it; code is left as it is."""
    parts = _FENCE.split(text)  # every other one is code
    parts[::2] = [_LINK.sub(_told, _PICTURE.sub("", part)) for part in parts[::2]]
    return "".join(parts)


def _told(link: re.Match[str]) -> str:
    """A link as words."""
    text, path = link[1], link[2]
    return path if path.endswith(text) else f"{text} ({path})"


class Readme(MetadataHookInterface):
    """Gives the long description, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put it in."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": standalone(text),
        }
