"""`gradline tune`: options become a search, its result a table, a model, a picture."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gradline.cli_checks import check_picture
from gradline.errors import DataError
from gradline.files import check_model_name
from gradline.fitflags import fit_arguments
from gradline.options import reading_options
from gradline.tuneflags import search_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradline.trials import Tuning


class Tuned(NamedTuple):
    """What the command has to say: as JSON, as text, and its exit code."""

    value: dict[str, Any]
    text: str
    code: int


def tune_command(arguments: argparse.Namespace) -> Tuned:
    """Search, refit, score; write the model and the picture.

    Args:
        arguments: of the command line.
    """
    from gradline.effects import given
    from gradline.leaderboard import tuning_table
    from gradline.splits import Split
    from gradline.summary import summary
    from gradline.tuning import tune

    check_model_name(arguments.output)
    wishes = given(fit_arguments(arguments) | reading_options(arguments))
    search = search_of(arguments.search)
    if arguments.method != "auto":
        search = (search or {}) | {"method": [arguments.method]}
    split = wishes.pop("split", None)
    if split is not None and split.column is None and arguments.validation is None:
        split = replace(split, validation=0.2)  # --test alone
    tuning = tune(
        arguments.data,
        split=Split(validation=0.2, test=0.2) if split is None else split,
        search=search,
        method=arguments.sampler,
        trials=arguments.trials,
        seed=wishes.pop("seed", 0),
        storage=arguments.storage,
        study=arguments.study,
        timeout=arguments.timeout,
        prune=arguments.prune,
        score=arguments.score,
        progress=_bar,
        degenerate="allow" if arguments.minimum_norm else "refuse",
        **wishes,
    )
    text = tuning_table(tuning)
    value = tuning.to_dict() | {"data": arguments.data, "model": None, "fit": None}
    figure = None if arguments.plot is None else _picture(tuning)
    if tuning.fit is None:  # Ctrl-C: what is finished is told and drawn
        if figure is not None:
            from gradline.plots import save_figure

            save_figure(figure, arguments.plot)
            text += f"\n\nPicture saved to {arguments.plot}"
        return Tuned(value, text, 130)
    tuning.fit.save(arguments.output)
    text += f"\n\nModel saved to {arguments.output}"
    value |= {
        "model": arguments.output,
        "fit": summary(tuning.fit, arguments.output),
    }
    if figure is not None:
        from gradline.plots import save_figure

        save_figure(figure, arguments.plot)
        text += f", picture to {arguments.plot}"
    return Tuned(value, text, 0)


def _picture(tuning: Tuning) -> Figure | None:
    """The picture of a search; of one that was cut short, if there is one to draw."""
    try:
        return tuning.plot()
    except DataError:
        if tuning.fit is None:
            return None
        raise


def check_wishes(arguments: argparse.Namespace) -> list[str]:
    """Refuse, before any work, what cannot be written; the files that will be."""
    outputs = [arguments.output]
    if arguments.plot is not None:
        check_picture(arguments.plot)
        outputs.append(arguments.plot)
    return outputs


def _bar(title: str, total: int | None) -> AbstractContextManager[Any]:
    """A bar that counts trials, and one that counts rows while they are read."""
    from gradline.bar import progress_bar
    from gradline.searches import TITLE

    return progress_bar(title, total, unit=" trials" if title == TITLE else " rows")
