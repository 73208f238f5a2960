"""The script with which a shell completes the words of the command line.

shtab writes it from the parser, which knows commands, options and choices. What an
option takes beyond its choices is said here, by the word that stands for its value and
by the name of the option.
"""

from __future__ import annotations

import argparse
from typing import Any

from gradline.errors import UsageError
from gradline.options import commands_of

#: The shells that gradline writes for.
SHELLS = ("bash", "zsh", "fish", "tcsh")

#: Words that an option takes besides numbers and names of columns, by its attribute.
_WORDS = {
    "alpha": ("cv", "1se", "gcv", "loo"),
    "cov": ("classic", "HC0", "HC1", "HC2", "HC3"),
    "loss": ("squared", "absolute", "huber", "quantile"),
    "lr": ("auto",),
    "optimizer": ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"),
    "schedule": ("constant", "inverse", "cosine", "linear"),
}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Args:
        parser: of the whole command line, made for this call alone: it is marked.
        shell: one of `SHELLS`.

    Raises:
        UsageError: the installed shtab does not know the shell.
    """
    import shtab

    files: dict[str, Any] = {
        "DATA": shtab.FILE,
        "DIR": shtab.DIRECTORY,
        "FILE": shtab.FILE,
        # In shtab's own words for zsh, a lone pattern in brackets is taken for
        # qualifiers, and nothing is found.
        "MODEL": shtab.glob("*.safetensors") | {"zsh": "_files -g '*.safetensors'"},
        "MODEL|DATA": shtab.FILE,
    }
    commands = commands_of(parser)
    for _, command in commands.values():
        for action in command._actions:
            words = _WORDS.get(action.dest)
            if action.dest == "topic":
                words = tuple(commands)
            if words is not None:
                action.choices = words
            elif action.metavar in files:
                action.complete = files[action.metavar]  # type: ignore[attr-defined]
    try:
        return str(shtab.complete(parser, shell))
    except NotImplementedError:
        raise UsageError(
            f"the installed shtab {shtab.__version__} does not know {shell}: "
            "pip install --upgrade shtab"
        ) from None
