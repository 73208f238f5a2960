"""The words that `fit` and `tune` share: which columns, which rows, which method.

Each `add_...` puts one group of options on a command; `fit_arguments` makes of them the
arguments of `gl.fit`, by name. Nothing heavy is imported here.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import math
from typing import Any

from gradline.errors import UsageError


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Which columns."""
    add = parser.add_argument_group("columns").add_argument
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
    add(
        "--formula",
        metavar="TEXT",
        help="target and terms in one, such as 'log(y) ~ x + C(g) + x:z + poly(z, 3)', "
        "instead of --target and --features",
    )
    add(
        "--degree",
        type=int,
        metavar="N",
        help="of each numeric feature a polynomial of this degree",
    )
    add("--exclude", metavar="A,B", action="append", help="columns to leave out")
    add("--weights", metavar="COLUMN", help="a column of row weights")
    add(
        "--no-intercept",
        action="store_true",
        help="fit through the origin; R² and F are then about 0",
    )
    add(
        "--missing",
        choices=["error", "drop"],
        default="error",
        help="refuse incomplete rows, or drop and count them (default: error)",
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Which rows to learn from, to choose by, and to test on."""
    add = parser.add_argument_group("parts of the data").add_argument
    add("--validation", type=float, metavar="SHARE", help="rows to choose by: 0.2")
    add("--test", type=float, metavar="SHARE", help="rows to test on at the end: 0.2")
    add(
        "--split-column",
        metavar="COLUMN",
        help="says of each row: train, validation or test",
    )
    add("--split-time", metavar="COLUMN", help="parts follow one another in its order")
    add("--split-group", metavar="COLUMN", help="rows of one group stay together")
    add("--split-seed", type=int, metavar="N", help="another one draws other parts (0)")


def add_descent(parser: argparse.ArgumentParser) -> None:
    """How to descend."""
    add = parser.add_argument_group("descent").add_argument
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
    add("--dampening", type=float, default=0.0, help="of the momentum (default: 0)")
    add("--nesterov", action="store_true", help="Nesterov's momentum")
    add("--weight-decay", type=float, default=0.0, help="of SGD (default: 0)")
    add(
        "--optimizer-option",
        type=_setting,
        metavar="NAME=VALUE",
        action="append",
        help="another setting of the optimizer, such as betas=0.9,0.99; repeatable",
    )
    add(
        "--early-stopping",
        action="store_true",
        help="stop where the validation loss is least, and keep those weights",
    )
    add(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="how long early stopping waits for a lower loss; asks for it, too",
    )


def add_batches(parser: argparse.ArgumentParser) -> None:
    """How to descend batch by batch."""
    add = parser.add_argument_group(
        "minibatches (with --batch-size or --method sgd)"
    ).add_argument
    add("--batch-size", type=int, metavar="ROWS", help="rows in a batch (default: 256)")
    add(
        "--schedule",
        metavar="NAME",
        help="of the learning rate: constant (default), inverse, cosine, linear, or a "
        "class of torch.optim.lr_scheduler, such as StepLR:step_size=2,gamma=0.5",
    )
    add(
        "--shuffle",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="draw batches anew in each epoch (default: yes)",
    )
    add(
        "--average",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep the average of the weights (default: where lr is found, and "
        "constant)",
    )
    add(
        "--checkpoint",
        metavar="FILE",
        help="where a run writes how far it is, and a killed one goes on from; it is "
        "removed at the end",
    )


def add_loss(parser: argparse.ArgumentParser) -> None:
    """Which loss."""
    add = parser.add_argument_group("loss").add_argument
    add(
        "--loss",
        default="squared",
        metavar="NAME",
        help="squared (default), absolute, huber, huber:EPSILON[:SCALE], quantile:0.9 "
        "(quantile alone: 0.5, the median)",
    )


def add_penalty(parser: argparse.ArgumentParser) -> None:
    """Penalties and bounds."""
    add = parser.add_argument_group("penalty and bounds").add_argument
    add("--penalty", choices=["ridge", "lasso", "elastic_net"], help="on the slopes")
    add(
        "--alpha",
        type=_alpha,
        help="its weight, or how to choose it: cv (default), 1se; ridge: gcv, loo",
    )
    add("--l1-ratio", type=float, help="of the elastic net: 0 ridge, 1 lasso (0.5)")
    add("--folds", type=int, help="of the cross-validation (default: 5)")
    add(
        "--nonnegative",
        action="store_true",
        help="no slope below 0, of all terms",
    )
    add(
        "--nonnegative-terms",
        metavar="A,B",
        action="append",
        help="no slope below 0, of these terms",
    )
    add(
        "--bound",
        type=_bound,
        action="append",
        metavar="TERM=LOW:HIGH",
        help="bounds of a slope, such as price=:0 or share=0:1; repeatable",
    )


def fit_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `gl.fit` that these groups stand for, by name."""
    nonnegative = column_list(arguments.nonnegative_terms)
    if arguments.nonnegative and nonnegative:
        raise UsageError(
            "--nonnegative is of all terms and --nonnegative-terms of some: give one"
        )
    return {
        "target": arguments.target,
        "features": column_list(arguments.features),
        "formula": arguments.formula,
        "degree": arguments.degree,
        "exclude": column_list(arguments.exclude) or [],
        "categories": column_list(arguments.categories) or (),
        "weights": arguments.weights,
        "intercept": not arguments.no_intercept,
        "missing": arguments.missing,
        "split": _split(arguments),
        "lr": arguments.lr,
        "epochs": arguments.epochs,
        "standardize": arguments.standardize,
        "seed": arguments.seed,
        "optimizer": arguments.optimizer,
        "momentum": arguments.momentum,
        "dampening": arguments.dampening,
        "nesterov": arguments.nesterov,
        "weight_decay": arguments.weight_decay,
        "optimizer_options": settings(arguments.optimizer_option),
        "early_stopping": _stopping(arguments),
        "batch_size": arguments.batch_size,
        "schedule": arguments.schedule,
        "shuffle": arguments.shuffle,
        "average": arguments.average,
        "checkpoint": arguments.checkpoint,
        "loss": arguments.loss,
        "penalty": arguments.penalty,
        "alpha": arguments.alpha,
        "l1_ratio": arguments.l1_ratio,
        "folds": arguments.folds,
        "nonnegative": arguments.nonnegative if nonnegative is None else nonnegative,
        "bounds": _by_name("--bound", arguments.bound),
    }


def _stopping(arguments: argparse.Namespace) -> bool | int | None:
    """Early stopping, as `fit` takes it."""
    if arguments.patience is not None:
        return int(arguments.patience)
    return True if arguments.early_stopping else None


def _split(arguments: argparse.Namespace) -> Any:
    """A Split, where one is asked for."""
    names = ("validation", "test", "column", "time", "group", "seed")
    options = {
        name: getattr(arguments, name if name in names[:2] else f"split_{name}")
        for name in names
    }
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return None
    from gradline.splits import Split

    return Split(**given)


def _alpha(text: str) -> float | str:
    try:
        return text if text in ("cv", "1se", "gcv", "loo") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number nor one of cv, 1se, gcv, loo"
        ) from None


def _bound(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """TERM=LOW:HIGH, either of which may be left out."""
    name, equals, ends = text.rpartition("=")
    low, colon, high = ends.partition(":")
    with contextlib.suppress(ValueError):
        if equals and colon and name.strip():
            return name.strip(), (
                float(low) if low.strip() else None,
                float(high) if high.strip() else None,
            )
    raise argparse.ArgumentTypeError(
        f"{text!r} is not TERM=LOW:HIGH, such as price=:0 or share=0:1"
    )


def _rate(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number nor 'auto'"
        ) from None


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE as a name and a value; nothing in it is ever run."""
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name or not value.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=VALUE, such as betas=0.9,0.99 or amsgrad=true"
        )
    return name, _value(value.strip())


def _value(text: str) -> Any:
    """A word or a number, or several between commas, as a tuple."""
    if "," not in text and text[0] not in "([":
        return word(text)
    parts = text.strip("()[] ").removesuffix(",").split(",")
    return tuple(word(part.strip()) for part in parts)


def word(text: str) -> Any:
    """True, False, None, a finite number, or else the text itself."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.casefold() in words:
        return words[text.casefold()]
    with contextlib.suppress(ValueError):
        number = float(text)
        if not math.isfinite(number):
            return text
        with contextlib.suppress(ValueError):
            return int(text)
        return number
    return text.strip("'\"")


def on_one_line(text: str) -> str:
    """A text with its line breaks as blanks."""
    return " ".join(text.split())


def column_list(given: list[str] | None) -> list[str] | None:
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


def settings(pairs: list[tuple[str, Any]] | None) -> dict[str, Any] | None:
    """The values of --optimizer-option by name."""
    return _by_name("--optimizer-option", pairs)


def _by_name(option: str, pairs: list[tuple[str, Any]] | None) -> dict[str, Any] | None:
    """The values of a repeatable option by name."""
    names = [name for name, _ in pairs or []]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} {name} is given twice: drop one")
    return dict(pairs) if pairs else None
