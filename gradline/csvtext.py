"""The text of CSV files: encoding, delimiter, rows; all that needs no Arrow."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradline.errors import FileError, UsageError, did_you_mean

#: What may stand between the fields, the likeliest first.
DELIMITERS = (",", ";", "\t", "|")

_READ_BYTES = 1 << 20
_SNIFF_BYTES = 64 << 10
_SNIFF_ROWS = 100
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a]")


class Utf8:
    """A file's text as UTF-8 bytes, decoded and checked while Arrow reads it.

    Where no encoding is given, a byte order mark tells it. Without one, ASCII needs no
    decision, and the first byte beyond ASCII makes it: where it begins a letter of
    UTF-8 the file is UTF-8, and must stay so; otherwise the file is Windows-1252, which
    has Latin-1 in it. A first such byte late in a large file thus needs no second
    pass, and all that was read before it stands.

    Attributes:
        quotes: how many double quotes have been read.
        closed: set to True, there is nothing more to read.

    Raises:
        FileError: bytes that are not text in this encoding.
    """

    _MARKS = (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    _LETTER = re.compile(
        rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
    )
    _BEYOND_ASCII = re.compile(rb"[\x80-\xff]")

    def __init__(
        self, source: Callable[[int], bytes], name: str, encoding: str | None
    ) -> None:
        self._source = source
        self._name = name
        self._given = encoding
        self._held = b""  # read, and not decoded yet
        self._ready = b""  # decoded, and not handed out yet
        self._offset = 0  # of the bytes that were decoded
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False
        self.quotes = 0
        self.closed = False
        while len(self._held) < 4 and (block := source(4)):
            self._held += block
        marked = (code for mark, code in self._MARKS if self._held.startswith(mark))
        found = encoding or next(marked, None)
        if found is not None:
            if codecs.lookup(found).name == "utf-8":
                found = "utf-8-sig"
            self._decoder = codecs.getincrementaldecoder(found)()

    def readable(self) -> bool:
        """For Arrow, which asks."""
        return True

    def close(self) -> None:
        """For Arrow, which calls it; the file is closed by who opened it."""
        self.closed = True

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes of text; fewer only at the end.

        Never fewer before it: Arrow finds no end of a row in too short a block.
        """
        size = size if size > 0 else _READ_BYTES
        parts = [self._ready]
        count = len(self._ready)
        while count < size and not self._ended and not self.closed:
            block = self._source(size)
            self._ended = not block
            text = self._decoded(self._held + block, self._ended)
            parts.append(text)
            count += len(text)
        text = parts[0] if len(parts) == 1 else b"".join(parts)
        text, self._ready = text[:size], text[size:]
        self.quotes += text.count(b'"')
        return text

    def lines(self) -> Iterator[str]:
        """The lines from here on, with their ends."""
        rest = b""
        while block := self.read():
            *whole, rest = (rest + block).splitlines(keepends=True)
            for line in whole:
                yield line.decode()
        if rest:
            yield rest.decode()

    def _decoded(self, data: bytes, final: bool) -> bytes:
        self._held = b""
        if self._decoder is None and not data.isascii():
            found = self._BEYOND_ASCII.search(data)
            start = found.start() if found else 0
            if len(data) - start < 4 and not final:
                data, self._held = data[:start], data[start:]  # not enough to tell
            elif self._LETTER.match(data, start):
                self._decoder = codecs.getincrementaldecoder("utf-8")()
            else:
                self._decoder = _Windows1252()
        if self._decoder is None:
            text = data
        else:
            try:
                text = self._decoder.decode(data, final).encode()
            except UnicodeError as error:
                raise self._undecodable(error) from error
        self._offset += len(data)
        if b"\0" in text:
            raise FileError(
                f"{self._name} holds NUL bytes, so it is not plain text: give CSV, "
                "Parquet or Arrow (Feather) data, or encoding='utf-16' if it is that"
            )
        return text

    def _undecodable(self, error: UnicodeError) -> FileError:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        where = f"byte {self._offset + start + 1:,}"
        if self._given:
            return FileError(
                f"{self._name} is not {self._given}, {where} does not belong to it: "
                "leave out the encoding to have it found, or give another one"
            )
        return FileError(
            f"{self._name} begins as Unicode, but about {where} it is not: mend the "
            "file, or give its encoding, such as encoding='cp1252'"
        )


class _Windows1252(codecs.IncrementalDecoder):
    """Windows-1252 as browsers read it: its five unused bytes are Latin-1's."""

    _LETTERS = "".join(
        bytes([byte]).decode("cp1252", errors="ignore") or chr(byte)
        for byte in range(256)
    )

    def decode(self, input: Any, final: bool = False) -> str:
        return codecs.charmap_decode(input, "strict", self._LETTERS)[0]


class Fault(NamedTuple):
    """A row that is no row: the line it begins in, how many fields it has.

    `fields` is None for a row whose quote never closes.
    """

    line: int
    fields: int | None


def first_fault(lines: Iterable[str], delimiter: str, width: int) -> Fault | None:
    """The first row of a CSV text without `width` fields, or with an open quote."""
    quotes = 0

    def counted() -> Iterator[str]:
        nonlocal quotes
        for line in lines:
            quotes += line.count('"')
            yield line

    reader = csv.reader(counted(), delimiter=delimiter)
    start = 1
    try:
        for record in reader:
            if quotes % 2 and reader.line_num > start:
                return Fault(start, None)
            if record and len(record) != width:
                return Fault(start, len(record))
            start, quotes = reader.line_num + 1, 0
    except csv.Error:  # a field beyond 128 kB
        return Fault(start, None) if quotes % 2 else None
    return None


def sniffed(head: bytes, candidates: Sequence[str]) -> str:
    """The delimiter that splits the first rows most evenly, then into the most fields.

    It has to split the header. When none does, the file has one column.
    """
    text = head[:_SNIFF_BYTES].decode(errors="replace")
    lines = text.splitlines(keepends=True)
    best, best_score = candidates[0], (0.0, 1)
    for delimiter in candidates:
        try:
            rows = islice(csv.reader(lines, delimiter=delimiter), _SNIFF_ROWS)
            widths = [len(row) for row in rows if row]
        except csv.Error:
            continue
        if len(head) > _SNIFF_BYTES and 1 < len(widths) < _SNIFF_ROWS:
            widths.pop()  # it was cut
        if widths and widths[0] > 1:
            score = (widths.count(widths[0]) / len(widths), widths[0])
            if score > best_score:
                best, best_score = delimiter, score
    return best


def first_control(head: bytes, delimiter: str) -> str | None:
    """Where the first bytes hold a control character that is no delimiter; or None."""
    for found in _CONTROL.finditer(head[:_SNIFF_BYTES]):
        if found[0] != delimiter.encode():
            start = found.start()
            line = head.count(b"\n", 0, start) + 1
            code = found[0][0]
            return f"line {line:,}, byte {start + 1:,} holds the control code {code}"
    return None


def row_ends(text: bytes) -> npt.NDArray[np.int64]:
    """Where rows end: after each line break that is not between quotes."""
    data = np.frombuffer(text, dtype=np.uint8)
    breaks = np.flatnonzero(data == (10 if b"\n" in text else 13))
    if b'"' in text:
        inside = np.logical_xor.accumulate(data == ord('"'))
        breaks = breaks[~inside[breaks]]
    return breaks + 1


def checked_encoding(encoding: str | None) -> str | None:
    """An encoding that Python can decode text from."""
    if encoding is not None:
        try:
            "a".encode(encoding)
        except (LookupError, ValueError):
            hint = did_you_mean(
                encoding,
                ("utf-8", "utf-16", "cp1252", "latin-1", "gbk"),
                "give one such as 'cp1252'",
            )
            raise UsageError(f"there is no encoding {encoding!r}: {hint}") from None
    return encoding


def checked_delimiter(delimiter: str | None, decimal: str) -> str:
    """The delimiter as one character; a comma where it is to be found out."""
    if decimal not in {".", ","}:
        raise UsageError(f"decimal is {decimal!r}: give '.' or ','")
    if delimiter is None:
        return ","
    mark = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if len(mark) != 1 or not mark.isascii() or mark in '"\r\n\0':
        raise UsageError(
            f"delimiter is {delimiter!r}: give one character, such as ',', ';' or 'tab'"
        )
    if mark == decimal:
        raise UsageError(
            f"delimiter and decimal are both {mark!r}: give two different ones"
        )
    return mark
