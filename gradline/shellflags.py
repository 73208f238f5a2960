"""The words of `gradline completion` and `gradline help`."""

from __future__ import annotations

import argparse

_INSTALL = """to install it, once and after each upgrade, and then open a new shell:
  bash   gradline completion bash > \\
             ~/.local/share/bash-completion/completions/gradline
  zsh    gradline completion zsh > ~/.zfunc/_gradline
  fish   gradline completion fish > ~/.config/fish/completions/gradline.fish
  tcsh   gradline completion tcsh > ~/.gradline.tcsh

'gradline help completion' says what else a shell needs for it."""


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Of which shell."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _INSTALL
    parser.add_argument(
        "shell", choices=["bash", "zsh", "fish", "tcsh"], help="the shell that reads it"
    )


def add_help(parser: argparse.ArgumentParser) -> None:
    """Of which command."""
    parser.add_argument(
        "topic",
        metavar="COMMAND",
        nargs="?",
        help="the command to read about (default: gradline itself)",
    )
    parser.add_argument(
        "--roff", action="store_true", help="write the page in the language of man"
    )
