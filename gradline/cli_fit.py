"""`gradline fit`: options become a fit, its table, a model file and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gradline.cli_checks import (
    check_outputs,
    check_picture,
    check_use,
    names_target,
    no_target,
    takes_the_rest,
)
from gradline.errors import UsageError
from gradline.files import check_model_name
from gradline.fitflags import column_list, fit_arguments
from gradline.options import reading_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradline.inference import Inference
    from gradline.result import Fit


class Fitted(NamedTuple):
    """What the command has to say: as JSON and as text."""

    value: dict[str, Any]
    text: str


def fit_command(arguments: argparse.Namespace) -> Fitted:
    """Fit; write the model and the pictures.

    Args:
        arguments: of the command line.
    """
    from gradline.summary import summary
    from gradline.terminal import fit_table

    if arguments.target is None and not names_target(arguments.formula):
        raise UsageError(no_target(arguments))
    pictures = [
        (name, draw)
        for name, draw in (
            (arguments.plot, _plot),
            (arguments.plot_loss, _plot_loss),
            (arguments.surface, _plot_surface),
        )
        if name is not None
    ]
    for name, _ in pictures:
        check_picture(name)
    check_use(arguments)
    if arguments.surface_terms is not None:
        _check_surface_terms(arguments)
    outputs = [arguments.output, *(name for name, _ in pictures)]
    logs = [arguments.log] * (arguments.log is not None)
    check_outputs(outputs + logs, [arguments.data])
    check_model_name(arguments.output)
    if logs:
        from gradline.jsonlines import check_log

        check_log(arguments.log)
    fitted, inference = fitted_as_asked(
        arguments, lambda found: _stopped(found, arguments)
    )
    if logs and fitted.trace is None:
        raise UsageError(
            "--log writes the epochs of a descent and this fit has none: give "
            "--method gd, or leave it out"
        )
    figures = [(name, draw(fitted, arguments)) for name, draw in pictures]
    fitted.save(arguments.output)
    if figures:
        from gradline.plots import save_figure

        for name, figure in figures:
            save_figure(figure, name)
    if logs:
        _log(fitted, arguments)
    value = summary(fitted, arguments.output, inference) | {"data": arguments.data}
    text = f"{fit_table(fitted, inference)}\n\nModel saved to {arguments.output}"
    for picture in outputs[1:]:
        text += f", picture to {picture}"
    if logs:
        text += f", epochs added to {arguments.log}"
    return Fitted(value, text)


def fitted_as_asked(
    arguments: argparse.Namespace, stopped: Callable[[Fit], str]
) -> tuple[Fit, Inference | None]:
    """Fit the data, score the parts, find the standard errors: for fit and report.

    Args:
        arguments: of the command line, checked.
        stopped: what to say of a descent that Ctrl-C has ended.
    """
    from gradline.bar import progress_bar
    from gradline.fitting import fit

    wishes = fit_arguments(arguments)
    if takes_the_rest(wishes) and isinstance(arguments.cov, tuple):
        wishes["exclude"].append(arguments.cov[1])
    split = wishes["split"]
    if arguments.score_test and (split is None or not split.has("test")):
        raise UsageError("--score-test needs a test part: give --test 0.2 too")
    fitted = fit(
        arguments.data,
        method=arguments.method,
        degenerate="allow" if arguments.minimum_norm else "refuse",
        progress=progress_bar,
        **wishes,
        **reading_options(arguments),
    )
    if fitted.settings.get("interrupted"):
        raise KeyboardInterrupt(stopped(fitted))
    for part in ["validation"] + ["test"] * arguments.score_test:
        if part == "test" or fitted.has_part(part):
            fitted.evaluate(part=part)
    inference: Inference | None = None
    if fitted.no_inference is None:
        inference = fitted.inference(arguments.cov, progress=progress_bar)
    return fitted, inference


def _stopped(fitted: Fit, arguments: argparse.Namespace) -> str:
    """What to say after Ctrl-C: what there is, and how to go on."""
    text = (
        f"stopped by Ctrl-C: no model is written, and {arguments.output} is as it was"
    )
    if arguments.checkpoint is not None and Path(arguments.checkpoint).exists():
        return f"{text}; the same command goes on from {arguments.checkpoint}"
    if fitted.method == "sgd" and arguments.checkpoint is None:
        text += "; with --checkpoint run.ckpt the same command can go on where it was"
    return text


def _log(fitted: Fit, arguments: argparse.Namespace) -> None:
    """The epochs of the descent, as a run of its own in the file."""
    from gradline.jsonlines import log_jsonl
    from gradline.sinks import last

    about = {"data": arguments.data, "target": fitted.target, **fitted.settings}
    last(log_jsonl(fitted.steps(), arguments.log, params=about))


def _plot(fitted: Fit, _: argparse.Namespace) -> Figure:
    return fitted.plot()


def _plot_loss(fitted: Fit, _: argparse.Namespace) -> Figure:
    if fitted.trace is None:
        raise UsageError(
            "--plot-loss draws a descent and an exact fit has none: give --method gd, "
            "or leave it out"
        )
    return fitted.plot_loss()


def _plot_surface(fitted: Fit, arguments: argparse.Namespace) -> Figure:
    return fitted.plot_surface(terms=column_list(arguments.surface_terms))


def _check_surface_terms(arguments: argparse.Namespace) -> None:
    """Before any work: two coefficients, and a picture to draw them in."""
    terms = column_list(arguments.surface_terms) or []
    if arguments.surface is None:
        raise UsageError(
            "--surface-terms says what --surface draws: give --surface loss.png too"
        )
    if len(terms) != 2:
        raise UsageError(
            f"--surface-terms names {len(terms)} coefficient"
            f"{'' if len(terms) == 1 else 's'}: give two, such as "
            f"{terms[0] if terms else 'area'},Intercept"
        )
