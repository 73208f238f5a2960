"""A batch in pieces, where a formula would make too many numbers of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradline.data import BATCH_BYTES, Array, Batch, Codes


def pieces(batch: Batch, terms: int) -> Iterator[Batch]:
    """A batch whose terms take more than BATCH_BYTES, in pieces that take less.

    Args:
        batch: some rows.
        terms: how many float64 each of them becomes.
    """
    most = max(1, BATCH_BYTES // (8 * max(1, terms)))
    if batch.rows <= most:
        yield batch
        return
    whole = _Kept(batch)
    for start in range(0, batch.rows, most):
        yield _Piece(whole, start, min(start + most, batch.rows))


class _Kept:
    """What was read of a batch, for all its pieces."""

    def __init__(self, batch: Batch) -> None:
        self.places: Codes | None = getattr(batch, "places", None)
        self._batch = batch
        self._numbers: dict[tuple[str, ...], Array] = {}
        self._categories: dict[str, tuple[Codes, list[str]]] = {}

    def numbers(self, names: Sequence[str]) -> Array:
        key = tuple(names)
        if key not in self._numbers:
            self._numbers[key] = self._batch.numbers(names)
        return self._numbers[key]

    def category(self, name: str) -> tuple[Codes, list[str]]:
        if name not in self._categories:
            self._categories[name] = self._batch.category(name)
        return self._categories[name]


class _Piece:
    """Some of the rows, and which places of the data they have, where that is known."""

    def __init__(self, whole: _Kept, start: int, stop: int) -> None:
        self._whole = whole
        self._rows = slice(start, stop)
        self.rows = stop - start
        self.places = None if whole.places is None else whole.places[self._rows]

    def numbers(self, names: Sequence[str]) -> Array:
        return self._whole.numbers(names)[self._rows]

    def category(self, name: str) -> tuple[Codes, list[str]]:
        codes, levels = self._whole.category(name)
        return codes[self._rows], levels
