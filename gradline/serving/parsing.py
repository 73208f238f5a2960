"""JSON text into rows, bit by bit, strictly.

A request is one object:

    {"row": {"x": 1.0, "species": "Adelie"}}                   one row
    {"rows": [{"x": 1.0, "species": "Adelie"}, ...]}           many
    {"columns": {"x": [1.0, ...], "species": ["Adelie", ...]}} many, by columns

and beside that "interval": 0.95, "kind": "confidence", "missing": "nan".

The rows are taken apart one by one: json's scanner holds the interpreter while it works
on one value, and would keep everybody waiting for the whole text. So the rows are
counted, and the time is looked at, before all of them are in memory.

A row that does not fit the model is refused (422) only once the whole text is known to
be JSON of the right form: what is not is refused as that (400).

Strict means: no NaN or Infinity, no name twice in an object, nothing after the end, no
nesting deeper than shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.scanner import make_scanner
from typing import Any

from gradline.errors import did_you_mean
from gradline.serving.limits import Deadline, Limits
from gradline.serving.problems import MOST_NAME, Problem, quoted
from gradline.serving.wishes import OPTIONS, Options, checked_options

#: Values that are read between two looks at the clock.
STRIDE = 256

#: Letters up to which a text is scanned in one go: that keeps nobody waiting yet.
WHOLE = 500_000

_SPACES = frozenset(" \t\n\r")
_SPACE = re.compile(r"[ \t\n\r]*")

_SHAPES = ("row", "rows", "columns")
_SHAPE_HINT = (
    'give {"rows": [{...}, ...]}, {"columns": {...: [...], ...}} or {"row": {...}}'
)


@dataclass
class Asked:
    """A request, taken apart.

    Attributes:
        options: how to predict.
        columns: values by name, all of the same length.
        rows: how many.
    """

    options: Options
    columns: dict[str, list[Any]] = field(default_factory=dict)
    rows: int = 0


def parse(body: bytes, names: tuple[str, ...], limits: Limits, due: Deadline) -> Asked:
    """Take a request apart.

    Args:
        body: its JSON.
        names: the columns that each row must have, no more and no fewer.
        limits: how many rows there may be.
        due: when its time is up.

    Raises:
        Problem: 400 for what is no such JSON, 413 for too many rows, 422 for a column
            that is not there or not known, 504.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(
            400, f"the body is no UTF-8 from byte {error.start:,} on: send UTF-8"
        ) from None
    # Objects, lists and values take much more memory than their few letters; and one
    # large value would keep the interpreter from everybody else.
    spare = len(names) + 64
    if (
        text.count("[") + text.count("{") > limits.rows + spare
        or text.count(",") > 2 * limits.rows * (len(names) + 1) + spare
    ):
        raise _too_many(limits)
    try:
        found = _Reader(text, names, limits, due).request()
    except json.JSONDecodeError as error:
        raise Problem(
            400,
            f"the body is no JSON ({error.msg} in line {error.lineno}, column "
            f"{error.colno}): send one JSON object",
        ) from None
    except RecursionError:
        raise Problem(400, f"the body is nested too deeply: {_SHAPE_HINT}") from None
    except ValueError:  # a whole number of more digits than Python takes
        raise Problem(
            400, "the body has a number of thousands of digits: send a shorter one"
        ) from None
    return found


class _Reader:
    """One pass through the text."""

    def __init__(
        self, text: str, names: tuple[str, ...], limits: Limits, due: Deadline
    ) -> None:
        self._text = text
        self._at = 0
        self._names = names
        self._wanted = frozenset(names)
        self._limits = limits
        self._due = due
        decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
        self._decode = decoder.raw_decode
        self._scan = make_scanner(decoder)  # type: ignore[arg-type]
        self._rows = 0
        self._columns: dict[str, list[Any]] | None = None
        self._fault: Problem | None = None  # the first one in what the rows say

    def request(self) -> Asked:
        """The whole text."""
        given: dict[str, Any] = {}
        if not self._next_is("{"):
            self._value()  # says what is wrong with it, if it is no JSON at all
            raise Problem(400, f"the body is no JSON object: {_SHAPE_HINT}")
        for key in self._members():
            if key in given:
                raise _twice(key)
            if key in _SHAPES and any(shape in given for shape in _SHAPES):
                raise Problem(
                    400, "the body has several of row, rows and columns: give one"
                )
            if key in _SHAPES:
                given[key] = None
                getattr(self, f"_read_{key}")()
            elif key in OPTIONS:
                given[key] = self._value()
            else:
                raise Problem(
                    400,
                    f"the body has {quoted(key)}, which is not known: {_SHAPE_HINT}, "
                    "and beside it interval, kind or missing",
                )
        self._skip()
        if self._at < len(self._text):
            raise json.JSONDecodeError("Extra data", self._text, self._at)
        if self._columns is None:
            raise Problem(400, f"the body has no rows: {_SHAPE_HINT}")
        options = {key: given[key] for key in OPTIONS if key in given}
        asked = Asked(checked_options(options), self._columns, self._rows)
        if self._fault is None and not self._rows:
            raise _none()
        if self._fault is not None:
            raise self._fault
        return asked

    def _read_row(self) -> None:
        row = self._value()
        if not isinstance(row, dict):
            raise Problem(400, 'row is no object: give {"row": {"name": value, ...}}')
        self._take([row])

    def _read_rows(self) -> None:
        if not self._next_is("["):
            self._value()
            raise Problem(400, 'rows is no list: give {"rows": [{...}, ...]}')
        self._columns = {name: [] for name in self._names}
        for some in self._stretches():
            for place, row in enumerate(some):
                if type(row) is not dict:
                    raise Problem(
                        400,
                        f"row {self._rows + place + 1:,} is no object: give "
                        '{"rows": [{...}, ...]}',
                    )
            self._take(some)

    def _read_columns(self) -> None:
        if not self._next_is("{"):
            self._value()
            raise Problem(
                400, 'columns is no object: give {"columns": {"name": [...], ...}}'
            )
        columns: dict[str, list[Any]] = {}
        for name in self._members():
            if name in columns:
                raise _twice(name)
            if name not in self._wanted:
                self._blame(self._unknown([name], "columns"))
            values = self._value()
            if not isinstance(values, list):
                raise Problem(400, f"column {name!r} is no list: give its values")
            if len(values) > self._limits.rows:
                raise _too_many(self._limits)
            columns[name] = values
            self._due.check()
        self._check_names(columns.keys(), "columns")
        lengths = {name: len(values) for name, values in columns.items()}
        self._rows = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != self._rows:
                first = next(iter(lengths))
                self._blame(
                    Problem(
                        422,
                        f"column {name!r} has {length:,} values and {first!r} has "
                        f"{self._rows:,}: give columns of the same length",
                    )
                )
                break
        self._columns = {name: columns.get(name, []) for name in self._names}

    def _take(self, rows: list[dict[str, Any]]) -> None:
        """Add rows to the columns."""
        if self._columns is None:
            self._columns = {name: [] for name in self._names}
        if self._rows + len(rows) > self._limits.rows:
            raise _too_many(self._limits)
        for place, row in enumerate(rows):
            if row.keys() != self._wanted:
                self._check_names(row.keys(), f"row {self._rows + place + 1:,}")
        if self._fault is None:
            for name, values in self._columns.items():
                values += [row[name] for row in rows]
        self._rows += len(rows)
        self._due.check()

    def _check_names(self, names: Any, where: str) -> None:
        known = set(names)
        if known - self._wanted:
            unknown = [n for n in names if n not in self._wanted]
            self._blame(self._unknown(unknown, where))
        lacking = [name for name in self._names if name not in known]
        if lacking:
            self._blame(
                Problem(
                    422,
                    f"{where} {'have' if where == 'columns' else 'has'} no "
                    f"{lacking[0]!r}: give all of "
                    f"{', '.join(map(repr, self._names[:20]))}"
                    f"{', ...' if len(self._names) > 20 else ''}",
                )
            )

    def _blame(self, fault: Problem) -> None:
        """Keep the first fault of the rows until the whole text is read."""
        self._fault = self._fault or fault

    def _unknown(self, names: list[str], where: str) -> Problem:
        return unknown_column(names[0], self._names, where)

    # The text.

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _next_is(self, letter: str) -> bool:
        self._skip()
        return self._text.startswith(letter, self._at)

    def _value(self) -> Any:
        self._skip()
        value, self._at = self._decode(self._text, self._at)
        return value

    def _passed(self, letters: str) -> str:
        """The next letter, which is one of these."""
        self._skip()
        found = self._text[self._at : self._at + 1]
        if not found or found not in letters:
            names = " or ".join(repr(letter) for letter in letters)
            raise json.JSONDecodeError(f"Expecting {names}", self._text, self._at)
        self._at += 1
        return found

    def _members(self) -> Iterator[str]:
        """The names in an object; who asks for the next one has read the value."""
        self._passed("{")
        if self._next_is("}"):
            self._at += 1
            return
        while True:
            if not self._next_is('"'):
                raise json.JSONDecodeError("Expecting a name", self._text, self._at)
            name = self._value()
            self._passed(":")
            yield name
            if self._passed(",}") == "}":
                return

    def _stretches(self) -> Iterator[list[Any]]:
        """The values of a list, up to STRIDE of them at one time."""
        if len(self._text) <= WHOLE:
            whole = self._value()
            for start in range(0, len(whole), STRIDE):
                yield whole[start : start + STRIDE]
            return
        self._passed("[")
        if self._next_is("]"):
            self._at += 1
            return
        text, scan, at = self._text, self._scan, self._at
        some: list[Any] = []
        while True:  # no method is called for a row: most of the time would go there
            if text[at : at + 1] in _SPACES:
                self._at = at
                self._skip()
                at = self._at
            try:
                value, at = scan(text, at)
            except StopIteration as stop:
                raise json.JSONDecodeError(
                    "Expecting value", text, stop.value
                ) from None
            some.append(value)
            if text[at : at + 1] == ",":
                at += 1
            else:
                self._at = at
                if self._passed(",]") == "]":
                    yield some
                    return
                at = self._at
            if len(some) == STRIDE:
                yield some
                some = []


def unknown_column(name: str, known: tuple[str, ...], where: str) -> Problem:
    """A column that the model does not have; the nearest name is suggested."""
    hint = f"it has {', '.join(map(repr, known[:20]))}"
    if len(known) > 20:
        hint += ", ..."
    if len(name) <= MOST_NAME:  # to compare longer ones, or many, takes long
        hint = did_you_mean(name, known[:200], hint)
    verb = "have" if where == "columns" else "has"
    return Problem(
        422,
        f"{where} {verb} {quoted(name)}, which is no column of the model: leave it "
        f"out; {hint}",
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each name is there once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _twice(next(k for k, _ in pairs if k in seen or seen.add(k)))  # type: ignore[func-returns-value]
    return found


def _twice(name: str) -> Problem:
    return Problem(400, f"the body has {quoted(name)} twice: which one is meant?")


def _no_constant(text: str) -> Any:
    raise Problem(
        400, f"the body has {text}, which is no JSON: for a missing value give null"
    )


def _none() -> Problem:
    return Problem(422, "the body has no rows: give one at least")


def _too_many(limits: Limits) -> Problem:
    return Problem(
        413,
        f"the body has more than {limits.rows:,} rows, or as many values: send them "
        "in parts",
    )
