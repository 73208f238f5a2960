"""Whether there is a notebook about, and a place in it that can be written anew.

Nothing is imported to find out: where IPython is not loaded there is no notebook.
"""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether this code runs in a kernel, whose output is a page and no terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Pane:
    """A place in a notebook's output: what is shown there takes the place of the last.

    It is made at the first `show`, in the cell that runs then.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, content: dict[str, Any]) -> None:
        """Show content, by MIME type."""
        if self._handle is not None:
            self._handle.update(content, raw=True)
            return
        from IPython import display

        self._handle = display.display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
