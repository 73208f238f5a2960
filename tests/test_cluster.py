"""Map and merge: any number of workers finds the same, and the first fault is told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gradline as gl
from gradline.cluster import map_merge
from gradline.state import Moments


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
    def parts() -> list[list[int]]:
        return [[2 * part, 2 * part + 1] for part in range(20)]

    found = map_merge(parts, Seen, lambda s, p: s.parts.append(p), workers)
    order = [p for w in range(workers) for p in range(w, 20, workers)]
    expected = [item for part in order for item in (2 * part, 2 * part + 1)]
    assert found.parts == expected


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_first_failure_is_the_one_that_is_told(workers: int) -> None:
    def take(_: Seen, part: int) -> None:
        if part in (9, 10, 11, 30):
            raise ValueError(f"part {part}")

    before = threading.active_count()
    with pytest.raises(ValueError, match="part 9"):
        map_merge(lambda: [[p] for p in range(40)], Seen, take, workers)
    assert threading.active_count() == before


def test_an_interrupt_stops_every_worker_in_the_midst_of_its_part() -> None:
    taken: list[int] = []

    def take(_: Seen, item: int) -> None:
        taken.append(item)
        if item == 5:  # of the first worker
            raise KeyboardInterrupt
        time.sleep(0.002)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        map_merge(lambda: [[0], range(100, 10_000), [5]], Seen, take, workers=2)
    assert threading.active_count() == before
    assert len(taken) < 1_000


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


def grouped(path: Path, rows: int, group: int) -> pa.Table:
    random = np.random.default_rng(2)
    X = random.normal(size=(rows, 5))
    table = pa.table(
        {
            **{f"x{i}": X[:, i] for i in range(5)},
            "g": np.array(["u", "v", "w"])[np.arange(rows) % 3],
            "y": X @ [1.0, -2.0, 0.5, 0.0, 3.0] + random.normal(size=rows),
        }
    )
    pq.write_table(table, path, row_group_size=group)
    return table


def test_row_groups_are_read_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline.tables.KEPT_BYTES", 0)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    path = tmp_path / "t.parquet"
    table = grouped(path, 50_000, 7_000)
    seen = set()
    add = Moments.add_checked

    def noting(self: Moments, chunk: gl.Chunk) -> Moments:
        seen.add(threading.current_thread().name)
        return add(self, chunk)

    monkeypatch.setattr(Moments, "add_checked", noting)
    split = gl.fit(path, target="y")
    assert len(seen) == 3
    whole = gl.fit(table, target="y")
    np.testing.assert_allclose(split.slopes, whole.slopes, rtol=1e-12)
    assert split.rows == whole.rows == 50_000
    loss = whole.certificate.loss
    assert split.certificate.loss == pytest.approx(loss, rel=1e-12)
    assert split.sample is not None
    assert len(split.sample.y) == 2_000


def test_the_first_fault_of_a_file_is_named_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline.tables.KEPT_BYTES", 0)
    path = tmp_path / "t.parquet"
    table = grouped(path, 30_000, 5_000)
    holes = table.column("x2").to_numpy().copy()
    holes[[12_345, 7_001, 25_000]] = np.nan
    table = table.set_column(2, "x2", pa.array(holes))
    pq.write_table(table, path, row_group_size=5_000)
    with pytest.raises(gl.MissingValueError, match=r"'x2' .* first in row 7,002"):
        gl.fit(path, target="y")
    fit = gl.fit(path, target="y", missing="drop")
    assert (fit.rows, fit.dropped) == (29_997, 3)
