"""Which rows are for training, which for validation, which for the test.

A row belongs to a part by what stands in it, so that chunks, the order of the rows and
the format of the file make no difference:

    by share    u(row) = rowhash.draws of all columns, or of `key`:
                test where u < test, validation where u < test + validation, else train
    by group    the groups in order of their draw, counted in one pass: a group goes to
                the test part if that brings it nearer to n·test rows, else to the
                validation part if it brings that nearer, else to train; a part that
                would have none gets the group nearest to its share
    by time     the rows in order of a column, n of them: train before the value that
                stands n·(1 - validation - test) places up, validation before the one
                n·(1 - test) places up, then test; rows of equal time stay together
    by column   a column says it

Shares by hash are met but for the noise of a draw, ±√(n·share·(1 - share)) rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np

from gradline.checks import column_names, real, whole
from gradline.data import Array, Batch, Source, column_of, row_number
from gradline.errors import ColumnError, DataError, MissingValueError, UsageError
from gradline.instants import counted, cuts, ordered
from gradline.parts import Labelled, Labels, PartSource
from gradline.rowhash import can_hash, draws, hashed_columns

Part = Literal["train", "validation", "test"]

#: The parts, in the order of their numbers.
PARTS: tuple[Part, ...] = ("train", "validation", "test")

#: What a column may say, and which part that is; case does not matter.
WORDS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "false": "train",
    "0": "train",
    "true": "test",
    "1": "test",
}


#: A part that misses its share by so much is worth a note.
FAR = 0.05


@dataclass(frozen=True)
class Split:
    """How rows are split into parts.

    By share, unless a column is named, each row goes where a seeded hash of what stands
    in it says: chunks, the order of the rows and the format of the file make no
    difference, and rows that are equal go to the same part. Shares are then met but for
    the noise of a draw.

    Args:
        validation: the share of rows to choose by, such as 0.2.
        test: the share of rows to judge by, once, at the end.
        column: a column that says of each row train, validation or test (also valid,
            val or dev; true or 1 for test, false or 0 for train).
        time: a column of dates, times or numbers: the oldest rows are for training,
            then come those for validation, the newest are for the test.
        group: a column whose equal values stay together in one part; shares are met
            as well as that allows.
        seed: another seed draws other parts.
        key: the columns that are hashed, such as an id, and are then no features
            unless named; all numbers and categories unless told.
        cuts: the times at which the validation and the test part begin, instead of the
            quantiles; those of `settled`.
        refit: whether the validation part, having chosen a setting, is learned from
            too: "train" then holds both, as after `tune`.

    Raises:
        UsageError: shares that leave no row to learn from, or arguments that do not go
            together.

    Equivalent: sklearn.model_selection.train_test_split twice, GroupShuffleSplit, for
    data in memory.
    """

    validation: float = 0.0
    test: float = 0.0
    column: str | None = None
    time: str | None = None
    group: str | None = None
    seed: int = 0
    key: Sequence[str] | None = None
    cuts: Sequence[float | None] | None = field(default=None, repr=False, compare=False)
    refit: bool = field(default=False, repr=False)
    _tests: list[None] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    _known: WeakValueDictionary[int, Labelled] = field(
        default_factory=WeakValueDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0 <= real(name, getattr(self, name)) < 1:
                raise UsageError(
                    f"{name} is {getattr(self, name)}: give a share of the rows from 0 "
                    "to 1, such as 0.2"
                )
        if self.validation + self.test >= 1:
            raise UsageError(
                f"validation={self.validation:g} and test={self.test:g} leave no row "
                "to learn from: give shares whose sum is below 1"
            )
        whole("seed", self.seed)
        if self.key is not None:
            object.__setattr__(self, "key", column_names("key", self.key))
            if not self.key:
                raise UsageError("key is empty: name a column, or leave it out")
        for name in ("column", "time", "group"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, str):
                raise UsageError(
                    f"{name} is of type {type(given).__name__}: give the name of a "
                    "column as text; values that are in an array belong beside the "
                    "features, as a column of a frame"
                )
        named = [n for n in ("column", "time", "group", "key") if getattr(self, n)]
        if self.cuts is not None:
            object.__setattr__(self, "cuts", tuple(self.cuts))
            if self.time is None or len(self.cuts) != 2:
                raise UsageError(
                    f"cuts is {self.cuts}: give two times, and the column they are in "
                    "with time=..."
                )
        if len(named) > 1:
            raise UsageError(
                f"{named[0]} and {named[1]} are two ways to split: give one of them"
            )
        shares = self.validation or self.test
        if self.column is not None and shares:
            raise UsageError(
                f"column {self.column!r} says of each row where it belongs: leave the "
                "shares out"
            )
        if self.column is None and not shares:
            raise UsageError(
                "nothing is split off: give validation=0.2, test=0.2 or both, or the "
                "column that says where each row belongs"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that say where a row belongs, and are no features unless named."""
        named = (self.column, self.time, self.group)
        return tuple(name for name in named if name is not None)

    def aside(self, target: str) -> tuple[str, ...]:
        """Columns that are no features unless named: those above, and the key.

        A key with the target in it is a row's whole content, as `settled` has it, and
        its columns are what they were.

        Args:
            target: the column that is predicted.
        """
        key = tuple(self.key or ())
        return self.columns if target in key else (*self.columns, *key)

    def has(self, part: str, source: Source | None = None) -> bool:
        """Whether there is such a part.

        Args:
            part: "train", "validation" or "test".
            source: the data, which are asked where a column says it; without them it
                counts as there.
        """
        _numbers(part)
        if part == "train" or (self.refit and part == "validation"):
            return part == "train"
        if self.column is None:
            return bool(getattr(self, part))
        if source is None:
            return True
        return bool(np.isin(_numbers(part), self._labelled(source).labels()).all())

    def part(self, source: Source, part: str | Sequence[str]) -> Source:
        """The rows of one part as a source.

        Args:
            source: all rows.
            part: "train", "validation" or "test"; several with + between them, such as
                "train+validation", or in a tuple.

        Raises:
            UsageError: no such part.
            ColumnError: the data lack a column that the split needs.
            DataError: while reading, a row that belongs nowhere, or no row at all.
        """
        numbers = _numbers(part)
        title = " and ".join(PARTS[n] for n in numbers)
        if self.refit and 0 in numbers:
            numbers = sorted({*numbers, 1})
        return PartSource(self._labelled(source), numbers, title)

    def settled(self, source: Source) -> Split:
        """The same split of these data, with nothing left to find out from them.

        The columns that are hashed, and the times where parts begin, are filled in: it
        splits the same rows alike when columns or rows have been added.
        """
        if self.time is not None and self.cuts is None:
            return replace(self, cuts=self._labelled(source).cuts)
        if self.columns or self.key is not None:
            return self
        return replace(self, key=hashed_columns(source))

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold of it; `Split(**values)` is the same split."""
        found: dict[str, Any] = {"validation": self.validation, "test": self.test}
        found |= {"column": self.column, "time": self.time, "group": self.group}
        found |= {"seed": self.seed, "key": None, "cuts": None}
        if self.key is not None:
            found["key"] = list(self.key)
        if self.cuts is not None:
            found["cuts"] = [
                c if c is not None and c < np.inf else None for c in self.cuts
            ]
        return found | ({"refit": True} if self.refit else {})

    def count_test(self) -> int:
        """Note that a fit has been scored on the test part; how many had been before.

        Counted on this object: an equal split made anew begins at 0.
        """
        self._tests.append(None)
        return len(self._tests) - 1

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_known": None}  # what it knows of data stays with them

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_known": WeakValueDictionary()})

    def _labelled(self, source: Source) -> Labelled:
        """The rows with the numbers of their parts.

        They are found out once, while somebody holds a part of the source.
        """
        found = self._known.get(id(source))  # it holds the source: no other has that id
        if found is None:
            found = self._labelling(source)
            if source.rows is not None and not getattr(source, "ahead", False):
                found.labels()  # in memory: then every thread may begin anywhere
            self._known[id(source)] = found
        return found

    def _labelling(self, source: Source) -> Labelled:
        """What says of each row where it belongs."""
        for name in self.columns:
            column_of(source, name)
        if self.column is not None:
            name = self.column
            if column_of(source, name).kind == "other":
                raise ColumnError(
                    f"column {name!r} holds {column_of(source, name).type} values: it "
                    "is to say train, validation or test of each row"
                )
            return Labelled(source, [name], partial(_said, name))
        if self.time is not None:
            return self._by_time(source, self.time)
        keys = (self.group,) if self.group else self.key or hashed_columns(source)
        for name in keys:
            if not can_hash(column_of(source, name)):
                raise ColumnError(
                    f"column {name!r} holds {column_of(source, name).type} values, "
                    "which cannot be hashed: name numbers, texts or dates"
                )

        if self.group:
            return self._by_group(source, self.group)

        def drawn(batch: Batch, _: int) -> Labels:
            u = draws(batch, source, keys, self.seed)
            return _placed(u, self.test, self.test + self.validation, (2, 1, 0))

        return Labelled(source, keys, drawn)

    def _by_group(self, source: Source, name: str) -> Labelled:
        held = [(np.zeros(0), np.zeros(0))]
        for batch in source.batches([name]):
            found, times = np.unique(
                draws(batch, source, [name], self.seed), return_counts=True
            )
            held = [counted([*held, (found, times.astype(np.float64))])]
        groups, rows = held[0]
        parts = shared_out(rows, self.validation, self.test)

        def placed(batch: Batch, _: int) -> Labels:
            u = draws(batch, source, [name], self.seed)
            return parts[np.searchsorted(groups, u)]

        return Labelled(source, [name], placed)

    def notes(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """Warnings where rows that stay together left a part far from its share.

        Args:
            counts: how many rows each part has.
        """
        if not (self.group or self.time) or self.cuts is not None:
            return ()
        rows, found = sum(counts.values()), []
        why = "groups" if self.group else "rows of equal time"
        for part, asked in (("validation", self.validation), ("test", self.test)):
            share = counts[part] / rows
            if asked and abs(share - asked) > FAR:
                found.append(
                    f"The {part} part has {share:.0%} of the rows and {asked:.0%} were "
                    f"asked for: {why} stay together."
                )
        return tuple(found)

    def _by_time(self, source: Source, name: str) -> Labelled:
        column = column_of(source, name)
        if self.cuts is None:
            first = 1 - self.validation - self.test
            shares = (first, 1 - self.test if self.validation else first)
            low, high = cuts(source, column, shares)
        else:
            low, high = (np.inf if cut is None else cut for cut in self.cuts)

        def placed(batch: Batch, start: int) -> Labels:
            return _placed(ordered(batch, column, start), low, high, (0, 1, 2))

        return Labelled(source, [name], placed, cuts=(low, high))


def shared_out(rows: Array, validation: float, test: float) -> Labels:
    """The part that each group goes to, (groups,).

    Args:
        rows: how many each has, in the order in which they are asked.
        validation: its share of all rows.
        test: its share.
    """
    parts = np.zeros(len(rows), np.uint8)
    wanted = [(n, share) for n, share in ((2, test), (1, validation)) if share]
    for place, (number, share) in enumerate(wanted):
        goal, has = share * rows.sum(), 0.0
        spare = int((parts == 0).sum()) - (len(wanted) - place)  # for the other parts
        for group in np.flatnonzero(parts == 0):
            if spare > 0 and abs(has + rows[group] - goal) < abs(has - goal):
                parts[group] = number
                has, spare = has + rows[group], spare - 1
        left = np.flatnonzero(parts == 0)
        if not has and len(left) > 1:
            parts[left[np.argmin(np.abs(rows[left] - goal))]] = number
    return parts


def _numbers(part: str | Sequence[str]) -> list[int]:
    """The numbers of the parts that are named."""
    names = part.split("+") if isinstance(part, str) else list(part)
    for name in names:
        if name not in PARTS:
            raise UsageError(
                f"there is no part {name!r}: give 'train', 'validation' or 'test'"
            )
    return sorted({PARTS.index(name) for name in names})


def _placed(
    values: Array, low: float, high: float, parts: tuple[int, int, int]
) -> Labels:
    """Which part each value belongs to: below `low`, below `high`, and above."""
    found = np.full(len(values), parts[2], np.uint8)
    found[values < high] = parts[1]
    found[values < low] = parts[0]
    return found


def _said(name: str, batch: Batch, start: int) -> Labels:
    """The parts that a column names."""
    codes, levels = batch.category(name)
    if (codes < 0).any():
        row = row_number(batch, start, int(np.argmax(codes < 0)))
        raise MissingValueError(
            f"column {name!r} has a missing value, first in row {row:,}: say train, "
            "validation or test of each row"
        )
    parts = [WORDS.get(level.strip().casefold()) for level in levels]
    for place, found in enumerate(parts):
        if found is None and (codes == place).any():
            row = row_number(batch, start, int(np.argmax(codes == place)))
            raise DataError(
                f"column {name!r} holds {levels[place]!r} in row {row:,}: say train, "
                "validation or test of each row"
            )
    numbers = [0 if found is None else PARTS.index(found) for found in parts]
    return np.array(numbers, np.uint8)[codes]
