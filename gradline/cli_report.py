"""`gradline report`: a model, or data to fit, becomes one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gradline.cli_checks import (
    check_page,
    check_use,
    names_target,
    no_target,
)
from gradline.cli_fit import fitted_as_asked
from gradline.errors import UsageError
from gradline.options import build_parser, reading_options

if TYPE_CHECKING:
    from gradline.reported import Report
    from gradline.result import Fit

#: What belongs to the command itself, not to the fit that it makes.
_OWN = {
    "command",
    "words",
    "data",
    "rows",
    "output",
    "json",
    "cov",
    "score_test",
    "delimiter",
    "encoding",
    "decimal",
}


class Reported(NamedTuple):
    """What the command has to say: as JSON and as text."""

    value: dict[str, Any]
    text: str


def report_command(arguments: argparse.Namespace, words: list[str]) -> Reported:
    """Fit, or load; write the report.

    Args:
        arguments: of the command line.
        words: as they were typed, to do it again.
    """
    model = arguments.data.endswith(".safetensors")
    inputs = [arguments.data] + [arguments.rows] * (arguments.rows is not None)
    check_page(arguments.output, inputs)
    words = [word for word in words if word != "--json"]  # the page is the same
    found = _of_model(arguments, words) if model else _of_data(arguments, words)
    value = found.to_dict()
    text = f"Report of {found.bytes / 1000:,.0f} kB written to {arguments.output}"
    text += _told(found)
    return Reported(value | {"source": arguments.data}, text)


def _told(found: Report) -> str:
    """How many findings of each kind there are, and each in a line."""
    grave = sum(finding.grade != "know" for finding in found.findings)
    good = len(found.findings) - grave
    counts = [f"{grave} thing{'s' * (grave > 1)} to watch"] * (grave > 0)
    counts += [f"{good} good to know"] * (good > 0)
    if not counts:
        return ""
    lines = "".join(f"\n  {finding.text}" for finding in found.findings)
    return f"; {' and '.join(counts)}:{lines}"


def _of_model(arguments: argparse.Namespace, words: list[str]) -> Report:
    from gradline.bar import progress_bar
    from gradline.report import report_of
    from gradline.save import load

    given = _fitting_words(arguments)
    if given:
        raise UsageError(
            f"{given[0]} says how to fit, and {arguments.data} is a model that is "
            "fitted: leave it out, or give the data in its place"
        )
    fitted = load(arguments.data)
    if arguments.rows is None and (arguments.cov != "classic" or arguments.score_test):
        word = "--score-test" if arguments.score_test else "--cov"
        raise UsageError(
            f"{word} needs rows, and a model file holds none: give --data FILE too"
        )
    reading = reading_options(arguments)
    inference = None
    if fitted.no_inference is None and arguments.cov != "classic":
        inference = fitted.inference(
            arguments.cov, data=arguments.rows, progress=progress_bar, **reading
        )
    _score_model(fitted, arguments, reading)
    rows: dict[str, Any] = {"data": arguments.rows, "y": None, "weights": None}
    rows["reading"] = {} if arguments.rows is None else reading
    return report_of(
        fitted,
        arguments.output,
        rows,
        inference=inference,
        command=words,
        progress=progress_bar,
    )


def _score_model(
    fitted: Fit, arguments: argparse.Namespace, reading: dict[str, Any]
) -> None:
    """Score the parts of a model's data, where they are given."""
    parts = fitted.settings.get("parts") or {}
    if arguments.score_test and not parts.get("test"):
        raise UsageError("--score-test needs a test part, and the model has none")
    if arguments.rows is None:
        return
    for part in ["validation"] + ["test"] * arguments.score_test:
        if parts.get(part):
            scores = fitted.evaluate(arguments.rows, part=part, **reading)
            fitted.remember(part, scores)


def _of_data(arguments: argparse.Namespace, words: list[str]) -> Report:
    from gradline.bar import progress_bar
    from gradline.report import report_of

    if arguments.rows is not None:
        raise UsageError(
            f"--data gives a model its rows, and {arguments.data} is data: leave "
            "--data out, or give a model file, which ends in .safetensors"
        )
    if arguments.target is None and not names_target(arguments.formula):
        raise UsageError(no_target(arguments))
    check_use(arguments)
    fitted, inference = fitted_as_asked(
        arguments, lambda _: "stopped by Ctrl-C: no report is written"
    )
    return report_of(
        fitted,
        arguments.output,
        {"data": None, "y": None, "weights": None, "reading": {}},
        inference=inference,
        file=arguments.data if Path(arguments.data).exists() else None,
        command=words,
        progress=progress_bar,
    )


def _fitting_words(arguments: argparse.Namespace) -> list[str]:
    """Options of a fit that differ from what they are when nothing is said."""
    plain = build_parser().parse_args(["report", arguments.data])
    return [
        f"--{name.replace('_', '-')}"
        for name, value in vars(arguments).items()
        if name not in _OWN and value != getattr(plain, name)
    ]
