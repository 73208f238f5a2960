"""Which rows are for training, which for validation, which for the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradline.data import Source

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Split:
    """How rows are split into parts.

    Attributes:
        validation: the share of rows to choose by.
        test: the share of rows to judge by, once, at the end.
        column: a column that says of each row which part it belongs to.
        time: a column in whose order the parts follow one another.
        group: a column whose equal values stay together.
        seed: of the draw.
    """

    validation: float = 0.0
    test: float = 0.0
    column: str | None = None
    time: str | None = None
    group: str | None = None
    seed: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that say where a row belongs, and are no features."""
        raise NotImplementedError

    def has(self, part: Part) -> bool:
        """Whether there is such a part."""
        raise NotImplementedError

    def part(self, source: Source, part: Part) -> Source:
        """The rows of one part as a source."""
        raise NotImplementedError
