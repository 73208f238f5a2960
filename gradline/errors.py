"""Every way gradline says no, and every way a fit can end.

    GradlineError
    ├── UsageError(ValueError)         an argument that cannot be meant
    ├── DataError(ValueError)          data that cannot be fitted as given
    │   ├── ColumnError                a column that is missing, doubled or of no use
    │   ├── MissingValueError          NaN, null or infinity, with column and row
    │   └── ShapeError                 two shapes that do not belong together
    ├── FileError(OSError)             a file that cannot be read or written
    │   └── ModelFileError             a file that is not a gradline model
    ├── DivergenceError(ArithmeticError)   descent that ran away, with the limit
    └── MissingExtraError(ImportError) an optional part that is not installed

Each message is one sentence: what was given, what was needed, what to type next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum


class GradlineError(Exception):
    """The base of every error gradline raises on purpose."""


class UsageError(GradlineError, ValueError):
    """An argument has a value that cannot be meant."""


class DataError(GradlineError, ValueError):
    """The data cannot be fitted, or predicted for, as given."""


class ColumnError(DataError):
    """A column is missing, there twice, or of a type that is of no use."""


class MissingValueError(DataError):
    """A value is missing or infinite; the message names column and first row."""


class ShapeError(DataError):
    """Two shapes do not belong together; the message names both."""


class FileError(GradlineError, OSError):
    """A file cannot be read or written."""


class ModelFileError(FileError):
    """A file is not a gradline model, or not one this version can trust."""


class DivergenceError(GradlineError, ArithmeticError):
    """Descent ran away; the message says the stability limit and what to do.

    Attributes:
        lr: the learning rate that was given.
        lr_limit: the largest stable learning rate, or None where it is unknown.
    """

    def __init__(self, message: str, lr: float, lr_limit: float | None = None) -> None:
        super().__init__(message)
        self.lr = lr
        self.lr_limit = lr_limit


class MissingExtraError(GradlineError, ImportError):
    """An optional part is not installed; the message is the install command."""


class Status(StrEnum):
    """How a fit stands against the exact optimum.

    The member's text is its name in JSON; `meaning` is the sentence that explains it.
    """

    #: The optimum itself.
    EXACT = "exact"
    #: Descent has reached it: docs/certificate.md says how near that is.
    CONVERGED = "converged"
    #: Descent stopped short of it.
    NOT_CONVERGED = "not_converged"
    #: The columns do not determine the coefficients: many fit equally well.
    RANK_DEFICIENT = "rank_deficient"

    @property
    def meaning(self) -> str:
        """One sentence on what this status says about the coefficients."""
        return _MEANING[self]


_MEANING = {
    Status.EXACT: "This is the least-squares optimum itself.",
    Status.CONVERGED: "Descent has reached the least-squares optimum.",
    Status.NOT_CONVERGED: (
        "This is not the least-squares optimum: descent stopped short of it, or "
        "rounding moved the coefficients away."
    ),
    Status.RANK_DEFICIENT: (
        "The columns do not determine the coefficients; of the many that fit equally "
        "well, an exact fit has those of least norm."
    ),
}


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to a mistyped one, or None when nothing is near."""
    names = [str(k) for k in known]
    folded: dict[str, str] = {}
    for k in names:
        folded.setdefault(k.casefold(), k)
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if not near and len(name) > 2:  # its beginning, if of one name alone
        near = [k for k in folded if k.startswith(name.casefold())]
        near = near if len(near) == 1 else []
    return folded[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The end of a message on a name that is not known: the nearest, or what else."""
    near = closest(name, known)
    return f"did you mean {near!r}?" if near else otherwise


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a message: quoted, separated by commas, cut after `most`."""
    all_names = list(names)
    shown = ", ".join(repr(n) for n in all_names[:most])
    rest = len(all_names) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def unknown_column(name: str, known: Iterable[str], where: str) -> ColumnError:
    """The error for a column that is not there, with the nearest name or a list."""
    names = list(known)
    hint = did_you_mean(name, names, f"it has {listed(names)}")
    return ColumnError(f"{where} has no column {name!r}: {hint}")
