"""One state per fold from one pass: which rows are in it, and what merging leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GroupKFold as SklearnGroupKFold
from sklearn.model_selection import TimeSeriesSplit

import gradline as gl
from gradline.folds import Folds, as_folds
from gradline.foldstates import FoldStates, read_folds
from gradline.prepare import Prepared, prepare
from gradline.state import Moments


def table(rows: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    x = draw.normal([0.0, 100.0, -5.0], size=(rows, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["who"] = draw.integers(0, 40, rows)
    frame["day"] = draw.permutation(rows)
    frame["town"] = draw.choice(["Aachen", "Bonn", "Köln"], rows)
    frame["y"] = x @ [1.0, 2.0, 3.0] + draw.normal(size=rows)
    return frame


def prepared(frame: Any, **options: Any) -> Prepared:
    return prepare(frame, target="y", features=["a", "b", "c", "town"], **options)


def labels_of(ready: Prepared, folds: Folds) -> list[list[int]]:
    """The block of each row, for each repeat, as the labeller says."""
    labeller = folds.labeller(ready.source)
    found: list[list[int]] = [[] for _ in range(folds.repeats)]
    start = 0
    for batch in ready.source.batches([*ready.design.reading(), *folds.columns]):
        for repeat, labels in enumerate(labeller(batch, start)):
            found[repeat] += labels.tolist()
        start += batch.rows
    return found


def read(ready: Prepared, folds: Folds) -> FoldStates:
    return read_folds(ready.source, ready.design, folds)


def same(one: Moments, other: Moments) -> None:
    """The same rows have gone into both."""
    first, second = one.value(), other.value()
    assert first.rows == second.rows
    for name in ("weight", "x_mean", "y_mean", "xx", "xy", "yy"):
        wanted = getattr(second, name)
        scale = np.abs(wanted).max() + 1e-300
        assert np.abs(getattr(first, name) - wanted).max() <= 1e-11 * scale, name


def plain(ready: Prepared, rows: Any) -> Moments:
    """A plain state of some rows, as the reference."""
    X, y = (
        np.concatenate(parts)
        for parts in zip(
            *[(c.X, c.y) for c in ready.design.chunks(ready.source)], strict=True
        )
    )
    return Moments(X.shape[1]).add(gl.Chunk(X[rows], y[rows], None))


WAYS: list[Folds] = [
    gl.KFold(5, seed=2),
    gl.KFold(2),
    gl.KFold(4, repeats=3),
    gl.GroupKFold("who", 5),
    gl.TimeSeriesFolds("day", 4),
]


@pytest.mark.parametrize("folds", WAYS, ids=repr)
def test_states_are_those_of_the_rows(folds: Folds) -> None:
    ready = prepared(table())
    states = read(ready, folds)
    pairs = list(states.pairs())
    assert len(pairs) == len(states) == folds.count * folds.repeats
    same(states.whole(), plain(ready, slice(None)))
    for fold, (rest, held) in enumerate(pairs):
        labels = np.array(labels_of(ready, folds)[fold // folds.count])
        here = fold % folds.count + folds.in_order
        other = labels < here if folds.in_order else labels != here
        same(held, plain(ready, labels == here))
        same(rest, plain(ready, other))
        same(states.held_out(fold), held)
        same(states.without(fold), rest)


def test_folds_are_of_equal_size_and_drawn() -> None:
    ready = prepared(table(603))
    (labels,) = labels_of(ready, gl.KFold(5))
    sizes = np.bincount(labels)
    assert sizes.min() >= 120
    assert sizes.max() <= 121
    (other,) = labels_of(ready, gl.KFold(5, seed=1))
    assert 0.6 < np.mean(np.array(labels) != other) < 0.95  # by chance 0.8
    first, second = labels_of(ready, gl.KFold(5, repeats=2))
    assert 0.6 < np.mean(np.array(first) != second) < 0.95
    # In each place of five, each fold about as often as any other.
    table_ = np.array(labels[:600]).reshape(-1, 5)
    counts = [np.bincount(table_[:, i], minlength=5) for i in range(5)]
    assert np.abs(np.array(counts) - 24).max() < 4.5 * (120 * 0.16) ** 0.5


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrays", "two threads"])
def test_chunks_and_formats_make_no_difference(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table()
    folds = gl.KFold(5, repeats=2)
    wanted = read(prepared(frame), folds)
    data: Any = frame
    threads = torch.get_num_threads()
    if kind == "csv":
        data = tmp_path / "data.csv"
        frame.to_csv(data, index=False, float_format="%.17g")
        monkeypatch.setattr("gradline.tables.BATCH_ROWS", 77)
    elif kind == "parquet":
        data = tmp_path / "data.parquet"
        frame.to_parquet(data, row_group_size=101)
        monkeypatch.setattr("gradline.tables.KEPT_BYTES", 0)
    else:
        monkeypatch.setattr("gradline.tables.BATCH_ROWS", 50)
    if kind == "two threads":
        monkeypatch.setattr("gradline.reading.SHARED_NUMBERS", 1)
    try:
        torch.set_num_threads(2 if kind in ("two threads", "parquet") else threads)
        found = read(prepared(data), folds)
    finally:
        torch.set_num_threads(threads)
    for fold in range(len(wanted)):
        same(found.without(fold), wanted.without(fold))
        same(found.held_out(fold), wanted.held_out(fold))


def test_a_row_of_a_part_stays_in_its_fold() -> None:
    frame = table()
    frame["row"] = range(len(frame))
    split = gl.Split(test=0.3, key=["row"])
    ready = prepared(frame, split=split)
    (labels,) = labels_of(ready, gl.KFold(5))
    (everywhere,) = labels_of(prepared(frame), gl.KFold(5))
    rows = np.concatenate(
        [b.numbers(["row"])[:, 0].astype(int) for b in ready.source.batches(["row"])]
    )
    assert labels == [everywhere[row] for row in rows]


def test_groups_are_shared_out_as_scikit_learn_does() -> None:
    frame = table()
    ready = prepared(frame)
    (labels,) = labels_of(ready, gl.GroupKFold("who", 5))
    by_group = pd.Series(labels).groupby(frame["who"]).nunique()
    assert (by_group == 1).all()
    theirs = SklearnGroupKFold(5).split(frame, groups=frame["who"])
    sizes = sorted(len(held) for _, held in theirs)
    assert sorted(np.bincount(labels).tolist()) == sizes


def test_folds_of_time_are_those_of_scikit_learn() -> None:
    frame = table().sort_values("day")
    ready = prepared(frame)
    (labels,) = labels_of(ready, gl.TimeSeriesFolds("day", 5))
    for fold, (rest, held) in enumerate(TimeSeriesSplit(5).split(frame)):
        assert np.flatnonzero(np.array(labels) == fold + 1).tolist() == held.tolist()
        assert np.flatnonzero(np.array(labels) <= fold).tolist() == rest.tolist()


def test_weights_and_incomplete_rows() -> None:
    frame = table()
    frame["w"] = np.random.default_rng(0).uniform(0, 2, len(frame))
    frame.loc[::7, "b"] = np.nan
    ready = prepared(frame, weights="w", missing="drop")
    folds = gl.KFold(3)
    states = read(ready, folds)
    (labels,) = labels_of(ready, folds)
    keep = frame["b"].notna().to_numpy()
    (chunk,) = ready.design.chunks(ready.source)
    assert chunk.weight is not None
    for fold in range(3):
        here = np.array(labels)[keep] == fold
        wanted = Moments(chunk.X.shape[1])
        wanted.add(gl.Chunk(chunk.X[here], chunk.y[here], chunk.weight[here]))
        same(states.held_out(fold), wanted)
    assert states.tally.dropped == (~keep).sum()


def test_a_level_of_one_fold_alone_is_a_column_of_zeros_elsewhere() -> None:
    frame = table(100)
    frame.loc[3, "town"] = "Zülpich"
    found = gl.cross_validate(
        frame, target="y", features=["a", "b", "c", "town"], alphas=[0.01]
    )
    assert "town[Zülpich]" in found.terms
    assert np.isfinite(found.errors).all()


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (1, "number of folds is 1: give 2 or more"),
        (True, "folds is True: give how many"),
        ("many", "folds is 'many': give how many, such as 5, or a gl.KFold"),
        (2.5, "folds is 2.5"),
    ],
)
def test_folds_that_cannot_be_meant(folds: Any, message: str) -> None:
    with pytest.raises(gl.UsageError, match=message):
        as_folds(folds)


def test_data_that_cannot_be_cut() -> None:
    frame = table(30)
    ready = prepared(frame)
    with pytest.raises(gl.DataError, match="'town' has 3 groups for 5 folds"):
        read(ready, gl.GroupKFold("town"))
    with pytest.raises(gl.ColumnError, match="no column 'whom'"):
        read(ready, gl.GroupKFold("whom"))
    with pytest.raises(gl.DataError, match="has no row left, or none of a weight"):
        read(ready, gl.KFold(31))
    gaps = frame.assign(who=frame["who"].where(frame["day"] != 0))
    row = int(np.flatnonzero(frame["day"] == 0)[0]) + 1
    with pytest.raises(gl.MissingValueError, match=f"'who' has a .* row {row}, and"):
        read(prepared(gaps), gl.GroupKFold("who"))
    same_day = frame.assign(day=1)
    with pytest.raises(gl.DataError, match="has no row"):
        read(prepared(same_day), gl.TimeSeriesFolds("day"))
