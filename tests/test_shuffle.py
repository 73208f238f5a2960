"""Batches: every row once in each epoch, by the seed, whatever the chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gradline.shuffle
import gradline.tables
from gradline.data import Chunk, array_source
from gradline.designing import build_design
from gradline.errors import DataError, UsageError
from gradline.prepare import prepare
from gradline.shuffle import BatchStream

ROWS = 1000


def table(rows: int = ROWS) -> dict[str, Any]:
    place = np.arange(float(rows))
    return {"x": place, "z": place % 7, "y": place * 2}


def stream(data: Any, size: int = 30, **options: Any) -> BatchStream:
    prepared = prepare(data, target="y")
    return BatchStream(prepared.source, prepared.design, size, **options)


def rows_of(chunks: Iterator[Chunk]) -> list[list[float]]:
    """The first column of each batch: which rows it has."""
    return [chunk.X[:, 0].tolist() for chunk in chunks]


def flat(batches: list[list[float]]) -> list[float]:
    return [row for batch in batches for row in batch]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held, and the buffer has 90 rows."""
    monkeypatch.setattr(gradline.shuffle, "HELD_BYTES", 0)
    monkeypatch.setattr(gradline.shuffle, "BUFFER_ROWS", 100)
    monkeypatch.setattr(gradline.tables, "KEPT_BYTES", 0)


def written(path: Path, rows: int = ROWS, group: int = 120) -> Path:
    pq.write_table(pa.table(table(rows)), path, row_group_size=group)
    return path


def test_every_row_once_and_other_batches_in_each_epoch() -> None:
    batches = stream(table())
    assert batches.batches == 34
    found = [rows_of(batches.epoch(e)) for e in (1, 2, 1)]
    for epoch in found:
        assert [len(b) for b in epoch] == [30] * 33 + [10]
        assert sorted(flat(epoch)) == list(range(ROWS))
    assert found[0] == found[2]
    assert found[0] != found[1]
    assert rows_of(stream(table(), seed=1).epoch(1)) != found[0]
    assert rows_of(stream(table(), shuffle=False).epoch(3))[0] == list(range(30))


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_row_once_out_of_core(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        written(path)
    else:
        lines = ["x,z,y", *(f"{i},{i % 7},{2 * i}" for i in range(ROWS))]
        path.write_text("\n".join(lines))
    batches = stream(path)
    assert not batches.held
    first, second = (rows_of(batches.epoch(e)) for e in (1, 2))
    assert [len(b) for b in first] == [30] * 33 + [10]
    assert sorted(flat(first)) == list(range(ROWS))
    assert sorted(flat(second)) == list(range(ROWS))
    assert first != second
    assert rows_of(stream(path).epoch(1)) == first
    assert rows_of(batches.epoch(1, skip=13)) == first[13:]
    beginning = np.array(flat(first[:3]))
    if kind == "csv":  # rows go no further than the buffer
        assert beginning.max() < 180
    else:  # row groups come in any order
        assert beginning.min() > 0
        assert len({int(b // 120) for b in flat(first)[:90]}) <= 2


@pytest.mark.usefixtures("small_memory")
def test_batches_do_not_depend_on_how_the_reader_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "data.parquet")
    found = rows_of(stream(path).epoch(1))
    monkeypatch.setattr(gradline.tables, "BATCH_ROWS", 17)
    assert rows_of(stream(path).epoch(1)) == found


def test_files_and_arrays_give_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_of(stream(table()).epoch(1))
    path = written(tmp_path / "data.parquet", group=10**6)
    assert rows_of(stream(path).epoch(1)) == whole
    # Without room, and in the order of the data, they are the same again.
    plain = rows_of(stream(table(), shuffle=False).epoch(1))
    monkeypatch.setattr(gradline.shuffle, "HELD_BYTES", 0)
    assert rows_of(stream(path, shuffle=False).epoch(1)) == plain


def test_all_orders_are_as_likely() -> None:
    """Each row is as often in each place: 400 epochs of 20 rows."""
    batches = stream(table(20), size=5)
    counts = np.zeros((20, 4))
    for epoch in range(1, 401):
        for place, rows in enumerate(rows_of(batches.epoch(epoch))):
            counts[np.array(rows, int), place] += 1
    # 100 expected, standard deviation √(400·¼·¾) = 8.7; 80 cells.
    assert np.abs(counts - 100).max() < 4 * 8.7


@pytest.mark.usefixtures("small_memory")
def test_slices_of_arrays_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline.data.SLICE_ROWS", 64)
    place = np.arange(float(ROWS))
    prepared = prepare(place, 2 * place, weights=np.ones(ROWS))
    batches = BatchStream(prepared.source, prepared.design, 30)
    found = list(batches.epoch(1))
    rows = np.concatenate([chunk.X[:, 0] for chunk in found])
    np.testing.assert_array_equal(np.sort(rows), place)
    np.testing.assert_array_equal(np.concatenate([c.y for c in found]), 2 * rows)
    assert np.ptp(rows[:90]) > 180  # the buffer alone would reach no further
    assert len(np.unique(rows[:90] // 64)) <= 4


@pytest.mark.usefixtures("small_memory")
def test_the_buffer_is_all_that_is_held() -> None:
    batches = stream(table(), shuffle=120)
    assert batches.buffer == 120
    sizes = [block.rows for block in batches.blocks(1)]
    assert max(sizes) <= 120
    assert sum(sizes) == ROWS


def test_weights_have_a_mean_of_one_and_rows_are_scaled() -> None:
    weights = np.arange(1.0, ROWS + 1)
    prepared = prepare(table(), target="y", weights=weights)
    shift, scale = np.array([3.0, 1.0]), np.array([2.0, 5.0])
    batches = BatchStream(
        prepared.source, prepared.design, 64, shift=shift, scale=scale
    )
    found = list(batches.epoch(1))
    mean = np.concatenate([c.weight for c in found if c.weight is not None]).mean()
    assert mean == pytest.approx(1)
    first = found[0]
    assert first.weight is not None
    raw = first.X * scale + shift
    np.testing.assert_allclose(raw[:, 0] * 2, first.y)
    np.testing.assert_allclose(first.weight, (raw[:, 0] + 1) / weights.mean())


def test_a_large_array_is_picked_by_a_thread_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = rows_of(stream(table()).epoch(1))
    monkeypatch.setattr(gradline.shuffle, "AHEAD_ROWS", 1)
    monkeypatch.setattr(gradline.shuffle, "BLOCK_ROWS", 60)
    assert rows_of(stream(table()).epoch(1)) == found
    started = stream(table()).epoch(1)
    next(started)  # and left alone: the thread ends with the generator


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UsageError, match="batch_size is 0: give 1 or more"):
        stream(table(), size=0)
    with pytest.raises(UsageError, match="shuffle is 'no': give True, False, or how"):
        stream(table(), shuffle="no")
    with pytest.raises(UsageError, match="seed is -1"):
        stream(table(), seed=-1)
    source = array_source(np.zeros((0, 2)))
    design = build_design(source, target="x2", features=["x1"])
    with pytest.raises(DataError, match="no rows to learn from"):
        BatchStream(source, design, 10)
    batches = stream(table(), rows=999)
    with pytest.raises(DataError, match="has 1,000 rows now and had 999 before"):
        list(batches.epoch(1))
