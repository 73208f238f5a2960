"""What the commands refuse before any work.

Outputs that would destroy an input or one another, and a target that is not named.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from gradline.errors import UsageError
from gradline.options import reading_options
from gradline.reported import page_name


def names_target(formula: str | None) -> bool:
    """Whether a formula says what to predict."""
    if formula is None:
        return False
    from gradline.grammar import parse

    return parse(formula).response is not None


def takes_the_rest(wishes: dict[str, Any]) -> bool:
    """Whether columns become features that nobody named."""
    if wishes["formula"] is None:
        return wishes["features"] is None
    from gradline.grammar import parse

    return parse(wishes["formula"]).dotted


def check_picture(name: str) -> None:
    """Refuse the name of a file that no picture can be drawn into."""
    if not name.lower().endswith((".png", ".svg", ".pdf")):
        raise UsageError(
            f"cannot draw into {name!r}: end its name in .png, .svg or .pdf"
        )


def check_page(name: str, inputs: list[str]) -> None:
    """Refuse the name of a file that is no page: it may be somebody's data."""
    if name == "-":
        raise UsageError(
            "a report goes into a file, not to stdout: give -o report.html"
        )
    check_outputs([name], inputs)
    page_name(name)


def no_target(arguments: argparse.Namespace) -> str:
    """What to say where --target is not given: the columns there are."""
    from gradline.errors import listed
    from gradline.readers import open_source
    from gradline.usable import holds_decimal_commas

    formula = getattr(arguments, "formula", None)
    if formula is not None and "~" not in formula:
        return (
            f"the formula {formula!r} has no ~, so no target: write 'y ~ x', or name "
            "the column to predict with --target"
        )
    source = open_source(arguments.data, **reading_options(arguments))
    names = [c.name for c in source.columns if c.kind == "number"]
    commas = [c.name for c in source.columns if holds_decimal_commas(source, c)]
    one = f", one of {listed(names)}" if names else ""
    more = ""
    if commas:
        which = f"{listed(commas, 3)} hold{'s' * (len(commas) == 1)}"
        more = f"; {which} numbers with decimal commas: give --decimal , too"
    return f"name the column to predict with --target{one}{more}"


def check_outputs(outputs: list[str], inputs: list[str]) -> None:
    """Refuse, before any work, an output that would destroy an input or another."""
    from gradline.files import check_place

    taken = [(os.path.realpath(name), name) for name in inputs]
    for output in outputs:
        if output == "-":
            raise UsageError("a model or a picture is no text: name a file, not -")
        check_place(output)
        for real, name in taken:
            if os.path.realpath(output) == real:
                what = "is named twice" if output == name else f"is {name!r} itself"
                raise UsageError(
                    f"{output!r} {what} and would be overwritten: name another file"
                )
        taken.append((os.path.realpath(output), output))


def refuse_two_outputs(arguments: argparse.Namespace) -> None:
    """Refuse two outputs on standard output."""
    if arguments.json and arguments.output == "-":
        raise UsageError("-o - and --json would both write to stdout: drop one")


def check_use(arguments: argparse.Namespace) -> None:
    """Refuse, before any work, what has no meaning for this way to fit.

    Standard errors where there are none, the picture of a descent where nothing
    descends, and that of the squared loss for another. `report` has no words for
    single pictures: it draws those that there are.
    """
    from gradline.objective import Squared, as_loss

    batches = arguments.method == "sgd" or arguments.batch_size is not None
    loss = not isinstance(as_loss(arguments.loss), Squared)
    ways = {
        f"--loss {arguments.loss}": loss,
        f"--penalty {arguments.penalty}": arguments.penalty is not None,
        "--nonnegative": bool(arguments.nonnegative or arguments.nonnegative_terms),
        "--bound": arguments.bound is not None,
    }
    way = next((name for name, is_given in ways.items() if is_given), None)
    if way is None:
        return
    if arguments.cov != "classic":
        kind = arguments.cov if isinstance(arguments.cov, str) else "cluster"
        raise UsageError(
            f"--cov {kind} is of standard errors, and a fit by {way} has none: leave "
            "it out"
        )
    if getattr(arguments, "surface", None) is not None and loss:
        raise UsageError(
            f"--surface draws the squared loss, and this fit is by {way}: leave it "
            "out, or leave out --loss"
        )
    if getattr(arguments, "plot_loss", None) is not None and not batches:
        hint = "give --batch-size 256, which descends, or leave it out"
        if isinstance(as_loss(arguments.loss), Squared):
            hint = "leave it out"
        raise UsageError(
            f"--plot-loss draws a descent, and a fit by {way} has none: {hint}"
        )
