"""Map and merge: any number of workers finds the same, and the first fault is told."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gradline as gl
from gradline.cluster import map_merge


class Seen:
    """A state that remembers what it took."""

    def __init__(self) -> None:
        self.parts: list[int] = []

    def merge(self, other: Seen) -> None:
        self.parts += other.parts


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_part_is_taken_once_and_in_an_order_that_does_not_vary(
    workers: int,
) -> None:
    found = map_merge(lambda: range(20), Seen, lambda s, p: s.parts.append(p), workers)
    expected = [p for w in range(workers) for p in range(w, 20, workers)]
    assert found.parts == expected


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_first_failure_is_the_one_that_is_told(workers: int) -> None:
    def take(_: Seen, part: int) -> None:
        if part in (9, 10, 11, 30):
            raise ValueError(f"part {part}")

    before = threading.active_count()
    with pytest.raises(ValueError, match="part 9"):
        map_merge(lambda: range(40), Seen, take, workers)
    assert threading.active_count() == before


def test_a_fit_does_not_depend_on_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X = random.normal([0.0, 5.0, 0.0, -9.0], size=(400_000, 4))
    y = X @ [1.0, 2.0, 3.0, 4.0] + random.normal(size=400_000)
    fits = []
    for cores in (1, 2, 3):
        monkeypatch.setattr("torch.get_num_threads", lambda cores=cores: cores)
        fits += [gl.fit(X, y), gl.fit(X, y)]
    for one, again in zip(fits[::2], fits[1::2], strict=True):
        assert one.coefficients == again.coefficients  # to the last bit
        assert one.certificate == again.certificate
    for fit in fits:
        np.testing.assert_allclose(fit.slopes, fits[0].slopes, rtol=1e-13)
    truth = np.linalg.lstsq(np.column_stack([np.ones(len(y)), X]), y)[0]
    np.testing.assert_allclose(fits[0].slopes, truth[1:], rtol=1e-12)


def test_the_first_missing_row_is_named_whoever_finds_it() -> None:
    X = np.ones((600_000, 3))
    X[:, 1] = np.arange(600_000)
    X[500_000, 2] = np.nan
    X[200_123, 1] = np.nan
    with pytest.raises(gl.MissingValueError, match=r"'x2' .* first in row 200,124"):
        gl.fit(X, X[:, 0])
