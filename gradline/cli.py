"""The command line: arguments in, a table or one JSON object out.

Exit codes: 0 success, 2 bad usage or bad input (one line on standard error says what to
do), 130 stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import gradline
from gradline.errors import DataError, GradlineError, UsageError

if TYPE_CHECKING:
    from gradline.result import Fit

_EPILOG = """examples:
  gradline demo                                      the lesson, with pictures
  gradline fit flights.csv --target delay            fit, certify, save
  gradline predict model.safetensors new.csv         predictions.csv
  gradline evaluate model.safetensors test.csv       R², RMSE, MAE

gradline COMMAND --help says more."""


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except GradlineError as error:
        print(f"gradline: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "gradline: stopped by Ctrl-C before there was a result; nothing written",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; there is no one to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemoryError:
        print(
            "gradline: not enough memory for this many columns; give fewer with "
            "--features",
            file=sys.stderr,
        )
        return 2


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gradline",
        description="Linear regression on PyTorch, with a certificate on every fit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"gradline {gradline.__version__}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_sample(commands)
    _add_fit(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    return parser


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    parser.set_defaults(run=run, command=name)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    return parser


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", _demo, "the lesson, end to end, with pictures")
    parser.add_argument(
        "--out",
        "-o",
        metavar="DIR",
        default="gradline-demo",
        help="where the files go (default: %(default)s)",
    )


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", _sample, "a noisy line as CSV or Parquet")
    add = parser.add_argument
    add("-n", type=int, default=100, metavar="N", help="points (default: 100)")
    add("--slope", type=float, default=1.0, help="true slope (default: 1)")
    add("--intercept", type=float, default=0.0, help="true intercept (default: 0)")
    add("--noise", type=float, default=0.1, help="its standard deviation (0.1)")
    add("--seed", type=int, help="the same seed gives the same points")
    _add_output(parser, "data.csv", "a .csv, .parquet or .arrow file, or - for stdout")


def _add_fit(commands: Any) -> None:
    parser = _command(commands, "fit", _fit, "fit a line, certify it, save the model")
    add = parser.add_argument
    add("data", metavar="DATA", help="a CSV, Parquet or Arrow file")
    add("--target", metavar="COLUMN", help="the column to predict")
    add(
        "--features",
        metavar="A,B",
        action="append",
        help="the columns to predict from (default: every other column)",
    )
    add(
        "--categories",
        metavar="A,B",
        action="append",
        help="numeric features to treat as categories",
    )
    add("--weights", metavar="COLUMN", help="a column of row weights")
    add(
        "--missing",
        choices=["error", "drop"],
        default="error",
        help="refuse incomplete rows, or drop and count them (default: error)",
    )
    add(
        "--minimum-norm",
        action="store_true",
        help="accept constant features, and fewer rows than coefficients",
    )
    add(
        "--method",
        choices=["auto", "exact", "gd"],
        default="auto",
        help="solve, or descend (default: exact, gd where an option below is given)",
    )
    add("--lr", type=_rate, metavar="RATE", help="learning rate, or auto (default)")
    add("--epochs", type=int, help="epochs of descent (default: until converged)")
    add(
        "--standardize",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="descend on standardised features (default: with --lr auto)",
    )
    add("--seed", type=int, help="of the random start (default: 0)")
    _add_reading(parser)
    _add_output(parser, "model.safetensors", "the model file")
    add("--plot", metavar="FILE", help="draw the fit: .png, .svg or .pdf")


def _add_predict(commands: Any) -> None:
    parser = _command(commands, "predict", _predict, "predict with a saved model")
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
    parser.add_argument("data", metavar="DATA", help="a CSV, Parquet or Arrow file")
    parser.add_argument(
        "--missing",
        choices=["error", "nan"],
        default="error",
        help="refuse incomplete rows, or predict nothing there (default: error)",
    )
    _add_reading(parser)
    _add_output(
        parser,
        "predictions.csv",
        "the data with a column 'prediction': a .csv, .parquet or .arrow file, or - ",
    )


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", _evaluate, "score a model on new data")
    parser.add_argument("model", metavar="MODEL", help="a file that fit saved")
    parser.add_argument("data", metavar="DATA", help="data with the target among them")
    parser.add_argument(
        "--missing",
        choices=["error", "drop"],
        help="refuse incomplete rows, or drop them (default: as the model was fitted)",
    )
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delimiter", help="of a CSV file (default: found out)")
    parser.add_argument("--encoding", help="of a CSV file (default: found out)")
    parser.add_argument("--decimal", default=".", help="decimal mark (default: .)")


def _add_output(parser: argparse.ArgumentParser, default: str, text: str) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=default, help=f"{text} ({default})"
    )


def _rate(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number nor 'auto'"
        ) from None


def _names(given: list[str] | None) -> list[str] | None:
    """Column names of a repeatable option: a,b and 'a,"b,c"' and option twice."""
    if given is None:
        return None
    return [
        name.strip() for row in csv.reader(given, skipinitialspace=True) for name in row
    ]


def _reading(arguments: argparse.Namespace) -> dict[str, Any]:
    delimiter = arguments.delimiter
    return {
        "delimiter": {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter),
        "encoding": arguments.encoding,
        "decimal": arguments.decimal,
    }


def _show(arguments: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    """Print a result: one JSON object, or text."""
    if arguments.json:
        from gradline.save import strict_json

        head = {"command": arguments.command, "gradline": gradline.__version__}
        text = strict_json(head | value, indent=2)
    print(text)


def _demo(arguments: argparse.Namespace) -> int:
    from gradline.demo import demo

    result = demo(arguments.out, _teller(arguments))
    if arguments.json:
        _show(arguments, result, "")
    return 130 if result["interrupted"] else 0


def _teller(arguments: argparse.Namespace) -> Any:
    """Where the lines of a story go: stdout, or stderr where stdout is for JSON."""
    stream = sys.stderr if arguments.json else sys.stdout
    return lambda line: print(line, file=stream, flush=True)


def _sample(arguments: argparse.Namespace) -> int:
    from gradline.synth import sample_linear_data
    from gradline.writers import write_columns

    _refuse_two_outputs(arguments)
    x, y = sample_linear_data(
        arguments.n,
        arguments.slope,
        arguments.intercept,
        arguments.noise,
        arguments.seed,
    )
    write_columns(arguments.output, {"x": x, "y": y})
    facts = {"file": arguments.output, "rows": len(x), "seed": arguments.seed}
    if arguments.output != "-":
        _show(arguments, facts, f"{len(x):,} points written to {arguments.output}")
    return 0


def _fit(arguments: argparse.Namespace) -> int:
    from gradline.fitting import fit
    from gradline.summary import summary
    from gradline.terminal import fit_table, progress_bar

    if arguments.target is None:
        raise UsageError(_no_target(arguments))
    fitted = fit(
        arguments.data,
        target=arguments.target,
        features=_names(arguments.features),
        categories=_names(arguments.categories) or (),
        method=arguments.method,
        lr=arguments.lr,
        epochs=arguments.epochs,
        standardize=arguments.standardize,
        seed=arguments.seed,
        weights=arguments.weights,
        missing=arguments.missing,
        degenerate="allow" if arguments.minimum_norm else "refuse",
        progress=progress_bar,
        **_reading(arguments),
    )
    fitted.save(arguments.output)
    if arguments.plot:
        fitted.plot(arguments.plot)
    if arguments.json:  # the table has them among its lines
        for note in fitted.notes:
            print(f"gradline: note: {_one_line(note)}", file=sys.stderr)
    value = summary(fitted, arguments.output) | {"data": arguments.data}
    text = f"{fit_table(fitted)}\n\nModel saved to {arguments.output}"
    if arguments.plot:
        text += f", picture to {arguments.plot}"
    _show(arguments, value, text)
    return 0


def _no_target(arguments: argparse.Namespace) -> str:
    """What to say where --target is not given: the columns there are."""
    from gradline.errors import listed
    from gradline.readers import open_source

    source = open_source(arguments.data, **_reading(arguments))
    names = [c.name for c in source.columns if c.kind == "number"]
    return f"name the column to predict with --target, one of {listed(names)}"


def _predict(arguments: argparse.Namespace) -> int:
    from gradline.readers import open_source
    from gradline.save import load
    from gradline.writers import write_predictions

    _refuse_two_outputs(arguments)
    model = load(arguments.model)
    reading = _reading(arguments)
    seen = open_source(arguments.data, **reading)
    columns = tuple(c.name for c in seen.columns)
    if "prediction" in columns:
        raise DataError(
            f"{seen.name} has a column 'prediction' already: rename it first"
        )
    kept = list(model.design.levels)
    if seen.rows is None:
        # A streamed CSV reads all numbers as float64. The columns the model does not
        # compute with are passed on as they stand, as text.
        numbers = set(model.design.features) - set(model.design.levels)
        kept = [name for name in columns if name not in numbers]
    source = model.open(arguments.data, **reading, categories=kept)
    predicted = model.predictions(source, missing=arguments.missing, columns=columns)
    pairs = _with_bar(predicted, source.rows)
    rows = write_predictions(arguments.output, pairs, "prediction")
    facts = {
        "file": arguments.output,
        "rows": rows,
        "target": model.target,
        "column": "prediction",
        "model": arguments.model,
    }
    if arguments.output != "-":
        text = f"{rows:,} predictions of {model.target} written to {arguments.output}"
        _show(arguments, facts, text)
    return 0


def _with_bar(pairs: Any, rows: int | None) -> Any:
    from gradline.terminal import progress_bar

    with progress_bar("predicting", rows) as advance:
        for batch, prediction in pairs:
            yield batch, prediction
            advance(len(prediction))


def _refuse_two_outputs(arguments: argparse.Namespace) -> None:
    if arguments.json and arguments.output == "-":
        raise UsageError("-o - and --json would both write to stdout: drop one")


def _evaluate(arguments: argparse.Namespace) -> int:
    from gradline.save import load
    from gradline.terminal import scores_line

    model: Fit = load(arguments.model)
    reading = _reading(arguments)
    if arguments.missing:
        reading["missing"] = arguments.missing
    scores = model.evaluate(arguments.data, **reading)
    facts = {
        "model": arguments.model,
        "data": arguments.data,
        "target": model.target,
        "rows": scores.rows,
        "metrics": dict(scores),
    }
    _show(arguments, facts, scores_line(scores))
    return 0
