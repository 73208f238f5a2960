"""A number drawn for each row from what stands in it, and from nothing else.

    h(row) = mix(seed + Σ_columns odd(name) · fold(bits of the value))
    draw   = the top 53 bits of h, as a share in [0, 1)

The bits are those of the value as float64 (-0 counts as 0, and every NaN as missing),
or of a text BLAKE2b's first 64; a text that reads as a number counts as that number,
and a date, a time stamp or a text that is one in ISO 8601 as its microseconds since
1970. A float32 copy of a column holds other values, and so draws otherwise.
So the draw depends neither on how rows are cut into batches, nor on their order, nor on
that of the columns, nor on the format of the file. Rows that are equal draw the same.

`mix` is the finaliser of splitmix64 (Steele, Lea & Flood, "Fast splittable pseudorandom
number generators", 2014), odd(name) a random odd number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from gradline.data import Array, Batch, Column, Source
from gradline.errors import DataError
from gradline.instants import dated, instant, is_dated

Words = npt.NDArray[np.uint64]

#: Rows at a time: their bits stay in the cache.
_ROWS = 4096

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d")
_MISSING = np.uint64(0x7FF8000000000000)  # the bits of NaN


def hashed_columns(source: Source) -> tuple[str, ...]:
    """The columns that can be hashed, but for given weights.

    They are numbers, categories, dates and time stamps.
    """
    aside = getattr(source, "aside", ())
    return tuple(c.name for c in source.columns if can_hash(c) and c.name not in aside)


def can_hash(column: Column) -> bool:
    """Whether what a column holds can be hashed."""
    return column.kind != "other" or is_dated(column)


def draws(batch: Batch, source: Source, columns: Sequence[str], seed: int) -> Array:
    """A share in [0, 1) for each row of a batch, (rows,).

    Args:
        batch: with these columns.
        source: it is of.
        columns: what to hash.
        seed: another seed draws other shares.
    """
    kinds = {c.name: c.kind for c in source.columns}
    total = np.full(batch.rows, word(f"seed {seed}"), np.uint64)
    plain = [name for name in columns if kinds[name] == "number"]
    try:
        _add_numbers(total, batch.numbers(plain), plain)
    except DataError:  # whole numbers too large for float64
        for name in plain:
            _add_numbers(total, _rounded(batch, name)[:, None], [name])
    for name in columns:
        if kinds[name] == "other":
            _add_numbers(total, dated(batch, name)[:, None], [name])
        elif kinds[name] == "category":
            codes, levels = batch.category(name)
            words = [*map(_text_word, levels), int(_MISSING)]
            total += _folded(np.array(words, np.uint64))[codes] * _odd(name)
    return (mix(total) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mix(words: Words) -> Words:
    """Words whose bits all depend on all bits of these; the array is overwritten."""
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def _add_numbers(total: Words, values: Array, names: Sequence[str]) -> None:
    """Add the columns' part of the sum, (rows, columns), to `total`."""
    odd = np.array([_odd(name) for name in names], np.uint64)
    for start in range(0, len(total) if names else 0, _ROWS):
        some = slice(start, start + _ROWS)
        block = values[some] + 0.0  # a copy, in which -0 is 0
        if np.isnan(block.min()):
            block[np.isnan(block)] = np.nan
        bits: Words = block.view(np.uint64)
        bits ^= bits >> np.uint64(32)
        total[some] += np.einsum("ij,j->i", bits, odd)


def _folded(bits: Words) -> Words:
    """Upper bits over the lower ones, where a product keeps them all."""
    return bits ^ (bits >> np.uint64(32))


def _rounded(batch: Batch, name: str) -> Array:
    """A column as float64, whole numbers of more digits than it has rounded."""
    try:
        return batch.numbers([name])[:, 0]
    except DataError:
        codes, levels = batch.category(name)
        return np.array([*map(float, levels), np.nan])[codes]


def _text_word(text: str) -> int:
    if _NUMBER.fullmatch(text):
        return int(np.array(float(text) + 0.0).view(np.uint64))
    if _DATE.match(text):
        try:
            return int(np.array(instant(text) + 0.0).view(np.uint64))
        except ValueError:  # it only begins like a date
            pass
    return word(text)


def word(text: str) -> int:
    """64 bits of a text, the same on every machine."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _odd(name: str) -> np.uint64:
    return np.uint64(word(f"column {name}") | 1)
