"""The command line: arguments in, a table or one JSON object out.

Exit codes: 0 success, 2 bad usage or bad input (one line on standard error says what to
do), 130 stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import gradline
from gradline.errors import DataError, GradlineError, UsageError
from gradline.files import said

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
        if message.startswith("unrecognized arguments"):
            message += " (a list of columns is written a,b without spaces, or quoted)"
        self.exit(2, f"{self.prog}: {_one_line(message)}; see '{self.prog} --help'\n")


def run() -> NoReturn:
    """The command as a process: run it, and end without delay.

    The interpreter's own end would wait for, or trip over, threads that Arrow and
    torch keep for work that is already done.
    """
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, _leave)
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _leave(number: int, _: Any) -> NoReturn:
    """Leave by an exception, so that unfinished files are cleaned away."""
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # "R²" on an ASCII terminal
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except GradlineError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        _complain("stopped by Ctrl-C; no half-written file is left")
        return 130
    except BrokenPipeError:
        _forget_stdout()  # whoever read our output has left; there is no one to tell
        return 141
    except OSError as error:
        _forget_stdout()
        return _complain(f"cannot write to standard output: {said(error)}")
    except MemoryError:
        return _complain("not enough memory for so many columns: give fewer --features")


def _complain(text: str) -> int:
    """One line on standard error; the exit code of a user's mistake."""
    with contextlib.suppress(OSError):
        print(f"gradline: {_one_line(text)}", file=sys.stderr)
    return 2


def _forget_stdout() -> None:
    """What is still in the buffer has nowhere to go; let the end not stumble on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        help="features to treat as categories, whatever they look like",
    )
    add("--exclude", metavar="A,B", action="append", help="columns to leave out")
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
    add("--optimizer", metavar="NAME", help="of torch.optim (default: SGD)")
    add("--momentum", type=float, default=0.0, help="of SGD (default: 0)")
    add("--nesterov", action="store_true", help="Nesterov's momentum")
    add("--weight-decay", type=float, default=0.0, help="of SGD (default: 0)")
    add(
        "--cov",
        type=_cov,
        default="classic",
        metavar="KIND",
        help="standard errors: classic (default), HC0 to HC3 for noise that differs by "
        "row, or cluster:COLUMN (which is then no feature unless --features says so)",
    )
    _add_reading(parser)
    _add_output(parser, "model.safetensors", "the model file")
    add("--plot", metavar="FILE", help="draw the fit: .png, .svg or .pdf")
    add("--plot-loss", metavar="FILE", help="draw the loss of a descent by epoch")


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


def _cov(text: str) -> Any:
    kind, _, column = text.partition(":")
    if kind == "cluster" and column:
        return ("cluster", column)
    if text not in ("classic", "HC0", "HC1", "HC2", "HC3"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of classic, HC0, HC1, HC2, HC3, cluster:COLUMN"
        )
    return text


def _names(given: list[str] | None) -> list[str] | None:
    """Column names of a repeatable option: a,b and 'a,"b,c"' and option twice."""
    if given is None:
        return None
    try:
        rows = list(csv.reader(given, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UsageError(
            f"the list of columns {', '.join(given)!r} cannot be read ({error}): write "
            "a,b with quotes around a name that holds a comma"
        ) from None
    return [name.strip() for row in rows for name in row]


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
    outputs = [arguments.output]
    for picture in (arguments.plot, arguments.plot_loss):
        if picture is not None:
            if not picture.lower().endswith((".png", ".svg", ".pdf")):
                raise UsageError(
                    f"cannot draw into {picture!r}: end its name in .png, .svg or .pdf"
                )
            outputs.append(picture)
    _check_outputs(outputs, [arguments.data])
    features, exclude = _names(arguments.features), _names(arguments.exclude) or []
    if features is None and isinstance(arguments.cov, tuple):
        exclude.append(arguments.cov[1])
    fitted = fit(
        arguments.data,
        target=arguments.target,
        features=features,
        exclude=exclude,
        categories=_names(arguments.categories) or (),
        method=arguments.method,
        lr=arguments.lr,
        epochs=arguments.epochs,
        standardize=arguments.standardize,
        seed=arguments.seed,
        optimizer=arguments.optimizer,
        momentum=arguments.momentum,
        nesterov=arguments.nesterov,
        weight_decay=arguments.weight_decay,
        weights=arguments.weights,
        missing=arguments.missing,
        degenerate="allow" if arguments.minimum_norm else "refuse",
        progress=progress_bar,
        **_reading(arguments),
    )
    inference = None
    if fitted.no_inference is None:
        inference = fitted.inference(arguments.cov, progress=progress_bar)
    fitted.save(arguments.output)
    if arguments.plot is not None:
        fitted.plot(arguments.plot)
    if arguments.plot_loss is not None:
        fitted.plot_loss(arguments.plot_loss)
    value = summary(fitted, arguments.output, inference) | {"data": arguments.data}
    if arguments.json:  # the table has them among its lines
        for note in value["notes"]:
            print(f"gradline: note: {_one_line(note)}", file=sys.stderr)
    text = f"{fit_table(fitted, inference)}\n\nModel saved to {arguments.output}"
    for picture in outputs[1:]:
        text += f", picture to {picture}"
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
    from gradline.inference import Intervals
    from gradline.readers import open_source
    from gradline.save import load
    from gradline.writers import write_predictions

    _refuse_two_outputs(arguments)
    if arguments.output != "-":
        _check_outputs([arguments.output], [arguments.model, arguments.data])
    model = load(arguments.model)
    reading = _reading(arguments)
    seen = open_source(arguments.data, **reading)
    columns = tuple(c.name for c in seen.columns)
    added = ["prediction"] if arguments.interval is None else [*Intervals._fields]
    if arguments.kind is not None and arguments.interval is None:
        raise UsageError("--kind says which interval: give --interval 0.95 too")
    for name in added:
        if name in columns:
            raise DataError(
                f"{seen.name} has a column {name!r} already: rename it first"
            )
    kept = list(model.design.levels)
    if seen.rows is None:
        # A streamed CSV reads all numbers as float64. The columns the model does not
        # compute with are passed on as they stand, as text.
        numbers = set(model.design.features) - set(model.design.levels)
        kept = [name for name in columns if name not in numbers]
    source = model.open(arguments.data, **reading, categories=kept)
    missing = arguments.missing
    predicted: Any
    if arguments.interval is None:
        found = model.predictions(source, missing=missing, columns=columns)
        predicted = ((batch, (values,)) for batch, values in found)
    else:
        predicted = model.intervals(
            source,
            arguments.interval,
            kind=arguments.kind or "prediction",
            missing=missing,
            columns=columns,
        )
    pairs = _with_bar(predicted, source.rows)
    schema = getattr(source, "schema", None)
    rows = write_predictions(arguments.output, pairs, added, schema)
    facts = {
        "file": arguments.output,
        "rows": rows,
        "target": model.target,
        "column": "prediction",
        "columns": added,
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
            advance(batch.rows)


def _check_outputs(outputs: list[str], inputs: list[str]) -> None:
    """Refuse, before any work, an output that would destroy an input or another."""
    from gradline.files import check_place

    taken = [(os.path.realpath(name), name) for name in inputs]
    for output in outputs:
        if output == "-":
            raise UsageError("a model or a picture is no text: name a file, not -")
        check_place(output)
        for real, name in taken:
            if os.path.realpath(output) == real:
                raise UsageError(
                    f"{output!r} is {name!r} itself and would be overwritten: name "
                    "another file"
                )
        taken.append((os.path.realpath(output), output))


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
