"""The command line: arguments in, a table or one JSON object out.

options.py says what the words mean; here is what the commands do.

Exit codes: 0 success, 2 bad usage or bad input (one line on standard error says what to
do), 130 stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import gradline
from gradline.cli_checks import (
    check_outputs,
    names_target,
    no_target,
    refuse_two_outputs,
)
from gradline.errors import DataError, GradlineError, UsageError
from gradline.files import said
from gradline.fitflags import on_one_line
from gradline.options import build_parser, reading_options

if TYPE_CHECKING:
    from gradline.result import Fit


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
    arguments = build_parser().parse_args(argv)
    arguments.words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _COMMANDS[arguments.command](arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except GradlineError as error:
        return _complain(str(error))
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "stopped by Ctrl-C; no half-written file is left")
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
        print(f"gradline: {on_one_line(text)}", file=sys.stderr)
    return 2


def _forget_stdout() -> None:
    """What is still in the buffer has nowhere to go; let the end not stumble on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(arguments: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    """Print a result: one JSON object, or text."""
    if arguments.json:
        from gradline.save import strict_json

        head = {"command": arguments.command, "gradline": gradline.__version__}
        text = strict_json(head | value, indent=2)
    print(text)


def _demo(arguments: argparse.Namespace) -> int:
    from gradline.demo import demo

    result = demo(arguments.output, _teller(arguments))
    if arguments.json:
        _show(arguments, result, "")
    return 130 if result["interrupted"] else 0


def _teller(arguments: argparse.Namespace) -> Any:
    """Where the lines of a story go: stdout, or stderr where stdout is for JSON."""
    stream = sys.stderr if arguments.json else sys.stdout
    return lambda line: print(line, file=stream, flush=True)


def _sample(arguments: argparse.Namespace) -> int:
    if arguments.examples is not None:
        return _examples(arguments)
    from gradline.synth import sample_linear_data
    from gradline.writers import write_columns

    refuse_two_outputs(arguments)
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


def _examples(arguments: argparse.Namespace) -> int:
    """The files that the documents read."""
    from gradline.examples import write_examples

    alone = vars(build_parser().parse_args(["sample", "--examples"]))
    for name in ("n", "slope", "intercept", "noise", "seed", "output"):
        if getattr(arguments, name) != alone[name]:
            word = f"-{name[0]}" if name in ("n", "output") else f"--{name}"
            raise UsageError(
                f"--examples writes files that are always the same: leave out {word}"
            )
    files = write_examples(arguments.examples)
    facts = {"folder": arguments.examples, "files": [str(path) for path in files]}
    names = ", ".join(path.name for path in files)
    _show(arguments, facts, f"In {arguments.examples}: {names}, images/ for pictures")
    return 0


def _fit(arguments: argparse.Namespace) -> int:
    from gradline.cli_fit import fit_command

    found = fit_command(arguments)
    _tell_notes(arguments, found.value)
    _show(arguments, found.value, found.text)
    return 0


def _tell_notes(arguments: argparse.Namespace, value: dict[str, Any]) -> None:
    """On standard error beside JSON; the table has them among its lines."""
    if arguments.json:
        for note in value["notes"]:
            print(f"gradline: note: {on_one_line(note)}", file=sys.stderr)


def _predict(arguments: argparse.Namespace) -> int:
    from gradline.inference import Intervals
    from gradline.readers import open_source
    from gradline.save import load
    from gradline.writers import write_predictions

    refuse_two_outputs(arguments)
    if arguments.output != "-":
        check_outputs([arguments.output], [arguments.model, arguments.data])
    model = load(arguments.model)
    reading = reading_options(arguments)
    seen = open_source(arguments.data, **reading)
    columns = tuple(c.name for c in seen.columns)
    added = _added(arguments.column, list(Intervals._fields))
    added = added[:1] if arguments.interval is None else added
    if arguments.kind is not None and arguments.interval is None:
        raise UsageError("--kind says which interval: give --interval 0.95 too")
    for name in added:
        if name in columns:
            raise DataError(
                f"{seen.name} has a column {name!r} already: say what to call the "
                f"predictions, such as --column {_free(model.target, columns)!r}"
            )
    kept = list(model.design.texts)
    if seen.rows is None:
        # A streamed CSV reads all numbers as float64. The columns the model does not
        # compute with are passed on as they stand, as text.
        numbers = set(model.design.numbers)
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
        "column": added[0],
        "columns": added,
        "model": arguments.model,
    }
    if arguments.output != "-":
        text = f"{rows:,} predictions of {model.target} written to {arguments.output}"
        _show(arguments, facts, text)
    return 0


def _added(column: str | None, fields: list[str]) -> list[str]:
    """What the columns of predictions, and of the ends of intervals, are called."""
    if column is None:
        return fields
    if not column.strip():
        raise UsageError("--column is empty: give the predictions a name, or leave it")
    return [column, *(f"{column}_{end}" for end in fields[1:])]


def _free(target: str, columns: tuple[str, ...]) -> str:
    """A name for predictions that no column has."""
    name = f"predicted_{target}"
    while any(column.startswith(name) for column in columns):
        name += "_"
    return name


def _with_bar(pairs: Any, rows: int | None) -> Any:
    from gradline.bar import progress_bar

    with progress_bar("predicting", rows) as advance:
        for batch, prediction in pairs:
            yield batch, prediction
            advance(batch.rows)


def _evaluate(arguments: argparse.Namespace) -> int:
    from gradline.save import load
    from gradline.terminal import scores_line

    model: Fit = load(arguments.model)
    reading = reading_options(arguments)
    if arguments.missing:
        reading["missing"] = arguments.missing
    scores = model.evaluate(arguments.data, part=arguments.part, **reading)
    facts = {
        "model": arguments.model,
        "data": arguments.data,
        "target": model.target,
        "part": arguments.part,
        "note": scores.note,
        "rows": scores.rows,
        "unseen": scores.unseen,
        "dropped": scores.dropped,
        "metrics": dict(scores),
    }
    note = [f"Note: {scores.note}."] if scores.note else []
    _show(arguments, facts, "\n".join([scores_line(scores), *note]))
    return 0


def _searched_formulas(arguments: argparse.Namespace) -> list[str]:
    """The formulas that are searched over."""
    return [
        str(value)
        for name, values in arguments.search or []
        for value in (values if name == "formula" else [])
    ]


def _tune(arguments: argparse.Namespace) -> int:
    from gradline.cli_tune import check_wishes, tune_command

    formulas = [arguments.formula, *_searched_formulas(arguments)]
    if arguments.target is None and not any(map(names_target, formulas)):
        raise UsageError(no_target(arguments))
    kept = [] if arguments.storage is None else [arguments.storage]
    check_outputs(check_wishes(arguments), [arguments.data, *kept])
    found = tune_command(arguments)
    _tell_notes(arguments, found.value)
    _show(arguments, found.value, found.text)
    return found.code


def _lab(arguments: argparse.Namespace) -> int:
    from gradline.cli_lab import lab_command

    def tell(text: str) -> None:
        print(f"gradline: note: {text}", file=sys.stderr)

    return lab_command(arguments, _shower(arguments), tell)


def _report(arguments: argparse.Namespace) -> int:
    from gradline.cli_report import report_command

    found = report_command(arguments, arguments.words)
    _show(arguments, found.value, found.text)
    return 0


def _shower(arguments: argparse.Namespace) -> Callable[[dict[str, Any], str], None]:
    """Shows a result at once, for commands that go on after it."""

    def show(facts: dict[str, Any], text: str) -> None:
        _show(arguments, facts, text)
        sys.stdout.flush()

    return show


def _export(arguments: argparse.Namespace) -> int:
    from gradline.cli_export import export_command

    return export_command(arguments, _shower(arguments))


def _serve(arguments: argparse.Namespace) -> int:
    from gradline.cli_serve import serve_command

    return serve_command(arguments, _shower(arguments))


def _completion(arguments: argparse.Namespace) -> int:
    from gradline.cli_shell import completion_command

    return completion_command(arguments, _shower(arguments))


def _help(arguments: argparse.Namespace) -> int:
    from gradline.cli_shell import help_command

    return help_command(arguments, _shower(arguments))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "sample": _sample,
    "fit": _fit,
    "predict": _predict,
    "evaluate": _evaluate,
    "tune": _tune,
    "lab": _lab,
    "report": _report,
    "export": _export,
    "serve": _serve,
    "completion": _completion,
    "help": _help,
}
