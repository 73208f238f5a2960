"""The words of the command line: every option, its help, and what its text means.

`build_parser` knows the commands, cli.py runs them. Nothing heavy is imported here, so
that `gradline --help` is there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from gradline.errors import closest
from gradline.exportflags import add_export
from gradline.fitflags import (
    add_batches,
    add_columns,
    add_descent,
    add_loss,
    add_penalty,
    add_split,
    on_one_line,
)
from gradline.serveflags import add_serve, port, size
from gradline.shellflags import add_completion, add_help
from gradline.tuneflags import add_search

_EPILOG = """examples:
  gradline demo                                      the lesson, with pictures
  gradline fit flights.csv --target delay            fit, certify, save
  gradline predict model.safetensors new.csv         predictions.csv
  gradline evaluate model.safetensors test.csv       R², RMSE, MAE
  gradline tune flights.csv --target delay           search settings, test the best
  gradline report flights.csv --target delay         one HTML file to send or print

gradline COMMAND --help lists the options of a command, and 'gradline help COMMAND'
says what it is for, with examples."""


#: What DATA may be.
_DATA = "a CSV, Parquet, Arrow or .npy file, a folder of such, or a 'pattern*'"


#: What other tools call an option, and what it is called here.
_FOREIGN = {
    "learning-rate": "lr",
    "lambda": "alpha",
    "iterations": "epochs",
    "max-iter": "epochs",
    "label": "target",
    "out": "output",
}


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    _words: Sequence[str] = ()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; a word too many is an error of the command it stands in."""
        self._words = sys.argv[1:] if args is None else args
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            _, command = commands_of(self)[found.command]
            command.error(_too_much(command, found.command, rest))
        return found

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("argument COMMAND: invalid choice: ")
        if unknown != message:  # it begins with a name in quotes, of either kind
            name = unknown[1 : unknown.index(unknown[0], 1)]
            near = closest(name, commands_of(self))
            message = f"there is no command {name!r}"
            message += f" (did you mean {near!r}?)" if near else ""
        elif message.endswith("are required: COMMAND"):
            message = f"give a COMMAND: {', '.join(commands_of(self))}"
            if any(word.startswith("-") for word in self._words):
                message = _too_much(self, None, self._words)
        self.exit(2, f"{self.prog}: {on_one_line(message)}; see '{self.prog} --help'\n")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from gradline import __version__

        print(f"gradline {__version__}")
        parser.exit()


def _too_much(
    parser: argparse.ArgumentParser, command: str | None, words: Sequence[str]
) -> str:
    """What to say of words that a parser has no use for.

    Args:
        parser: of the command.
        command: its name; None for gradline itself.
        words: what it left.
    """
    option = next((word for word in words if word.startswith("-")), None)
    if option is not None:
        name = option.partition("=")[0]
        plain = name.lstrip("-")
        known = [o for a in parser._actions for o in a.option_strings if o[:2] == "--"]
        if name in known and command is not None:
            return f"{name} is an option of {command}: give it after the word {command}"
        near = closest(plain, [k.lstrip("-") for k in known]) if plain[1:] else None
        if f"--{_FOREIGN.get(plain)}" in known:
            near = _FOREIGN[plain]
        hint = "" if near is None else f" (did you mean --{near}?)"
        return f"there is no option {name}{hint}"
    if os.path.exists(words[0]):  # noqa: PTH110 (that of Path trips over long ones)
        count = f"{len(words):,} more file{'s' * (len(words) > 1)}"
        return (
            f"{words[0]!r} is one file too many ({count} than {command} takes): put a "
            "pattern in quotes, so that the shell leaves it whole, or give the folder"
        )
    return (
        f"unrecognized arguments: {' '.join(words)} (a list of columns is written a,b "
        "without spaces, or quoted)"
    )


def build_parser() -> argparse.ArgumentParser:
    """What takes the command line apart: an attribute per option, and the command."""
    found = _Parser(
        prog="gradline",
        description="Linear regression on PyTorch, with a certificate on every fit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--version", action=_Version, nargs=0, help="say the version and leave"
    )
    commands = found.add_subparsers(metavar="COMMAND", required=True, dest="command")
    _add_demo(commands)
    _add_sample(commands)
    _add_fit(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_tune(commands)
    _add_lab(commands)
    _add_report(commands)
    _add_export(commands)
    _add_serve(commands)
    _add_completion(commands)
    _add_help(commands)
    return found


def commands_of(
    parser: argparse.ArgumentParser,
) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """The commands of a parser: by name, a line on each and its own parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {known.dest: known.help or "" for known in action._choices_actions}
            return {name: (lines[name], sub) for name, sub in action.choices.items()}
    return {}


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"'gradline help {name}' says more, with examples.",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    return parser


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", "the lesson, end to end, with pictures")
    parser.add_argument(
        "-o",
        "--output",
        "--out",
        metavar="DIR",
        default="gradline-demo",
        help="where the files go (default: %(default)s)",
    )


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", "a noisy line, or the documents' data")
    add = parser.add_argument
    add("-n", type=int, default=100, metavar="N", help="points (default: 100)")
    add("--slope", type=float, default=1.0, help="true slope (default: 1)")
    add("--intercept", type=float, default=0.0, help="true intercept (default: 0)")
    add("--noise", type=float, default=0.1, help="its standard deviation (0.1)")
    add("--seed", type=int, help="the same seed gives the same points")
    _add_output(parser, "data.csv", "a .csv, .parquet or .arrow file, or - for stdout")
    add(
        "--examples",
        nargs="?",
        const="docs",
        metavar="DIR",
        help="instead, the files that the documents read, such as penguins.csv "
        "(default: docs)",
    )


def _add_fit(commands: Any) -> None:
    parser = _command(commands, "fit", "fit a line, certify it, save the model")
    add = parser.add_argument
    add("data", metavar="DATA", help=_DATA)
    _add_fitting(parser)
    _add_output(parser, "model.safetensors", "the model file")
    add("--plot", metavar="FILE", help="draw the fit: .png, .svg or .pdf")
    add("--plot-loss", metavar="FILE", help="draw the loss of a descent by epoch")
    add("--log", metavar="FILE", help="add a descent's epochs to a file of JSON lines")
    add(
        "--surface",
        metavar="FILE",
        help="draw the loss over two coefficients, and the path of a descent on it",
    )
    add(
        "--surface-terms",
        metavar="A,B",
        action="append",
        help="which two, such as area,Intercept (default: the first two)",
    )


def _add_predict(commands: Any) -> None:
    parser = _command(commands, "predict", "predict with a saved model")
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
    parser.add_argument("data", metavar="DATA", help=_DATA)
    parser.add_argument(
        "--missing",
        choices=["error", "nan"],
        default="error",
        help="refuse incomplete rows, or predict nothing there (default: error)",
    )
    parser.add_argument(
        "--interval",
        type=float,
        metavar="SHARE",
        help="add columns low and high that hold this share, such as 0.95",
    )
    parser.add_argument(
        "--kind",
        choices=["prediction", "confidence"],
        help="of the interval: for a new observation (default), or for the line itself",
    )
    parser.add_argument(
        "--column",
        metavar="NAME",
        help="of the predictions, and of NAME_low and NAME_high (default: prediction, "
        "low and high)",
    )
    _add_reading(parser)
    _add_output(
        parser,
        "predictions.csv",
        "the data with a column 'prediction': a .csv, .parquet or .arrow file, or - ",
    )


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", "score a model on new data")
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
    parser.add_argument("data", metavar="DATA", help="data with the target among them")
    parser.add_argument(
        "--part",
        choices=["train", "validation", "test"],
        help="score the rows that the fit's split puts there (default: all rows)",
    )
    parser.add_argument(
        "--missing",
        choices=["error", "drop"],
        help="refuse incomplete rows, or drop them (default: as the model was fitted)",
    )
    _add_reading(parser)


def _add_tune(commands: Any) -> None:
    parser = _command(
        commands,
        "tune",
        "search settings by a validation part, score the best on a test part",
    )
    add = parser.add_argument
    add("data", metavar="DATA", help=_DATA)
    add_search(parser)
    add_columns(parser)
    _add_method(parser)
    add_split(parser)
    add_descent(parser)
    add_batches(parser)
    add_loss(parser)
    add_penalty(parser)
    _add_reading(parser)
    _add_output(parser, "model.safetensors", "the model file of the chosen setting")
    add("--plot", metavar="FILE", help="draw the validation curve: .png, .svg or .pdf")


def _add_lab(commands: Any) -> None:
    parser = _command(commands, "lab", "a web page on which you watch it learn")
    add = parser.add_argument
    add("data", metavar="DATA", nargs="?", help=_DATA + " (it can be opened there too)")
    add("--target", metavar="COLUMN", help="the column to predict (found out)")
    add(
        "--features",
        metavar="A,B",
        action="append",
        help="the columns to predict from, at first (default: the likeliest one)",
    )
    _add_reading(parser)
    add("--no-browser", action="store_true", help="only say the address")
    add(
        "--port",
        type=port,
        help="where to listen (default: 8080, or the next free one; 0: any)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="on which address (127.0.0.1: this machine alone; 0.0.0.0: for everyone)",
    )
    add(
        "--max-upload",
        type=size,
        default=2 * 10**9,
        metavar="SIZE",
        help="of a file that the page sends, such as 500MB (default: 2GB)",
    )


def _add_report(commands: Any) -> None:
    parser = _command(
        commands, "report", "all there is to know of a fit, in one HTML file"
    )
    add = parser.add_argument
    add(
        "data",
        metavar="MODEL|DATA",
        help=f"a model file that fit saved (.safetensors), or data to fit: {_DATA}",
    )
    add(
        "--data",
        metavar="FILE",
        dest="rows",
        help="with a model: the rows it was fitted on, for the pictures of residuals",
    )
    _add_fitting(parser)
    _add_output(parser, "report.html", "the report")


def _add_export(commands: Any) -> None:
    text = "a saved model as a PyTorch script, an ONNX file or SQL"
    add_export(_command(commands, "export", text))


def _add_serve(commands: Any) -> None:
    text = "answer predictions of a saved model over HTTP"
    add_serve(_command(commands, "serve", text))


def _add_completion(commands: Any) -> None:
    add_completion(_command(commands, "completion", "the script that completes words"))


def _add_help(commands: Any) -> None:
    add_help(_command(commands, "help", "the manual, or the page of one command"))


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    """How to fit, the same for `fit` and `report`."""
    add_columns(parser)
    _add_method(parser)
    add_split(parser)
    parser.add_argument(
        "--score-test",
        action="store_true",
        help="score the test part too: once, for the fit that you have settled on",
    )
    add_descent(parser)
    add_batches(parser)
    add_loss(parser)
    add_penalty(parser)
    _add_cov(parser)
    _add_reading(parser)


def _add_cov(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cov",
        type=_cov,
        default="classic",
        metavar="KIND",
        help="standard errors: classic (default), HC0 to HC3 for noise that differs by "
        "row, or cluster:COLUMN (which is then no feature unless --features says so)",
    )


def _add_method(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--minimum-norm",
        action="store_true",
        help="accept constant features, and fewer rows than coefficients",
    )
    add(
        "--method",
        choices=["auto", "exact", "gd", "sgd"],
        default="auto",
        help="solve, descend, or descend by minibatches (default: exact, gd where an "
        "option of descent is given)",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delimiter", help="of a CSV file (default: found out)")
    parser.add_argument("--encoding", help="of a CSV file (default: found out)")
    parser.add_argument("--decimal", default=".", help="decimal mark (default: .)")


def _add_output(parser: argparse.ArgumentParser, default: str, text: str) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=default, help=f"{text} ({default})"
    )


def _cov(text: str) -> Any:
    kind, _, column = text.partition(":")
    if kind == "cluster" and column:
        return ("cluster", column)
    if text not in ("classic", "HC0", "HC1", "HC2", "HC3"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of classic, HC0, HC1, HC2, HC3, cluster:COLUMN"
        )
    return text


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """How to read a CSV file, by the names that `fit` gives the options."""
    delimiter = arguments.delimiter
    return {
        "delimiter": {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter),
        "encoding": arguments.encoding,
        "decimal": arguments.decimal,
    }
