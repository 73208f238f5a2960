"""Splits: which rows go where, whatever the chunks, the order and the format."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gradline as gl
from gradline.data import ArraySource, JoinedSource, Source
from gradline.parts import PartBatch
from gradline.readers import open_source
from gradline.splits import PARTS


def table(rows: int = 3000) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows, 2))
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "a": x[:, 0].round(6),
            "b": x[:, 1].round(6),
            "town": draw.choice(["Aachen", "Bonn", "Köln"], rows),
            "who": draw.integers(0, 60, rows),
            "day": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(draw.integers(0, 900, rows), unit="D"),
            "y": (1 + x @ [2.0, -1.0]).round(6),
        }
    )


def rows_of(split: gl.Split, source: Source, part: str) -> set[int]:
    """The column "row" of one part."""
    found: list[float] = []
    for batch in split.part(source, part).batches(["row"]):
        found += batch.numbers(["row"])[:, 0].tolist()
    assert len(found) == len(set(found))
    return {int(value) for value in found}


def parts_of(split: gl.Split, data: Any) -> list[set[int]]:
    source = open_source(data)
    return [
        rows_of(split, source, part) if split.has(part, source) else set()
        for part in PARTS
    ]


SHARES = gl.Split(validation=0.2, test=0.1, seed=3)


def test_shares_are_met_and_every_row_is_in_one_part() -> None:
    train, validation, test = parts_of(SHARES, table())
    assert train | validation | test == set(range(3000))
    assert len(train) + len(validation) + len(test) == 3000
    assert abs(len(validation) - 600) < 4 * (3000 * 0.2 * 0.8) ** 0.5
    assert abs(len(test) - 300) < 4 * (3000 * 0.1 * 0.9) ** 0.5


def test_the_seed_draws_other_parts() -> None:
    other = gl.Split(validation=0.2, test=0.1, seed=4)
    assert parts_of(SHARES, table()) != parts_of(other, table())


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "polars", "arrow table"])
def test_the_format_makes_no_difference(kind: str, tmp_path: Path) -> None:
    frame = table()
    wanted = parts_of(SHARES, frame)
    data: Any = tmp_path / f"data.{kind}"
    if kind == "csv":
        frame.to_csv(data, index=False)
    elif kind == "parquet":
        frame.to_parquet(data, row_group_size=700)
    elif kind == "arrow":
        frame.to_feather(data)
    elif kind == "polars":
        data = pl.from_pandas(frame)
    else:
        data = pa.table(frame)
    assert parts_of(SHARES, data) == wanted


def test_the_order_of_rows_and_columns_makes_no_difference() -> None:
    frame = table()
    shuffled = frame.sample(frac=1, random_state=0)[frame.columns[::-1]]
    assert parts_of(SHARES, shuffled) == parts_of(SHARES, frame)


@pytest.mark.parametrize("step", [1, 7, 1000, 5000])
def test_chunks_make_no_difference(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = table(600)[["row", "a", "b", "y"]]
    wanted = parts_of(SHARES, frame)
    matrix = frame.to_numpy(dtype=float)
    monkeypatch.setattr("gradline.data.CACHE_ROWS", step)
    monkeypatch.setattr("gradline.data.CACHE_BYTES", 1)
    source = ArraySource(matrix, list(frame.columns))
    assert [rows_of(SHARES, source, part) for part in PARTS] == wanted


def test_joined_targets_count_as_columns() -> None:
    frame = table(600)[["row", "a", "b", "y"]]
    matrix = frame.to_numpy(dtype=float)
    source = JoinedSource(
        ArraySource(matrix[:, :3], ["row", "a", "b"]), {"y": matrix[:, 3]}
    )
    assert [rows_of(SHARES, source, part) for part in PARTS] == parts_of(SHARES, frame)


def test_given_weights_are_not_part_of_a_row() -> None:
    frame = table(600)[["row", "a", "b", "y"]]
    x, y = frame[["row", "a", "b"]].to_numpy(dtype=float), frame["y"].to_numpy()
    plain = gl.fit(x, y, split=SHARES)
    weighted = gl.fit(x, y, weights=np.arange(600.0), split=SHARES)
    assert plain.rows == weighted.rows
    assert weighted.settings["split"]["key"] == ["x1", "x2", "x3", "y"]


def test_zeros_and_missing_values_have_one_face_each() -> None:
    other_nan = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    assert np.isnan(other_nan)
    one = np.array([[0.0, np.nan]] * 64)
    one[:, 1] = np.nan
    two = np.array([[-0.0, other_nan]] * 64)
    key = np.arange(64.0)[:, None]
    names = ["row", "a", "b"]
    for split in (SHARES, gl.Split(test=0.5)):
        first = ArraySource(np.hstack([key, one]), names)
        second = ArraySource(np.hstack([key, two]), names)
        assert rows_of(split, first, "train") == rows_of(split, second, "train")


def test_equal_rows_stay_together() -> None:
    frame = pd.DataFrame({"row": range(400), "a": np.arange(400) // 4})
    parts = parts_of(gl.Split(test=0.5, key=["a"]), frame)
    for part in parts:
        assert {row // 4 for row in part} == {row // 4 for row in part if row % 4 == 0}
        assert len(part) % 4 == 0
    assert parts[0]
    assert parts[2]


def test_whole_numbers_too_large_for_floats_are_hashed_all_the_same() -> None:
    big = 2**60 + np.arange(500)
    frame = pd.DataFrame({"row": range(500), "id": big})
    train, _, test = parts_of(gl.Split(test=0.3, key=["row", "id"]), frame)
    assert 100 < len(test) < 200
    assert len(train) + len(test) == 500


def test_numbers_read_as_text_are_the_same_numbers(tmp_path: Path) -> None:
    frame = table(300)
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    text = open_source(path, categories=["who"])
    wanted = parts_of(SHARES, path)
    assert [rows_of(SHARES, text, part) for part in PARTS] == wanted


def test_groups_stay_together() -> None:
    frame = table()
    parts = parts_of(gl.Split(validation=0.3, test=0.3, group="who"), frame)
    groups = [set(frame["who"].iloc[sorted(part)]) for part in parts]
    assert groups[0] | groups[1] | groups[2] == set(frame["who"])
    assert sum(map(len, groups)) == frame["who"].nunique()
    assert all(groups)


@pytest.mark.parametrize("kind", ["frame", "csv", "parquet", "text", "numbers", "date"])
def test_time_goes_from_train_to_test(kind: str, tmp_path: Path) -> None:
    frame = table()
    data: Any = frame
    if kind == "csv":
        data = tmp_path / "data.csv"
        frame.to_csv(data, index=False)
    elif kind == "parquet":
        data = tmp_path / "data.parquet"
        frame.to_parquet(data, row_group_size=700)
    elif kind == "text":
        data = frame.assign(day=frame["day"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    elif kind == "numbers":
        data = frame.assign(day=(frame["day"] - pd.Timestamp("2020-01-01")).dt.days)
    elif kind == "date":
        data = frame.assign(day=frame["day"].dt.date)
    split = gl.Split(validation=0.2, test=0.1, time="day")
    train, validation, test = parts_of(split, data)
    days = frame["day"]
    ordered = np.sort(days.to_numpy())
    low, high = ordered[round(3000 * 0.7)], ordered[round(3000 * 0.9)]
    assert train == set(np.flatnonzero(days < low))
    assert validation == set(np.flatnonzero((days >= low) & (days < high)))
    assert test == set(np.flatnonzero(days >= high))


@pytest.mark.parametrize("shares", [{"validation": 0.25}, {"test": 0.25}])
def test_time_with_two_parts(shares: dict[str, float]) -> None:
    frame = pd.DataFrame({"row": range(8), "t": [7, 6, 5, 4, 3, 2, 1, 0]})
    split = gl.Split(**shares, time="t")
    source = open_source(frame)
    assert rows_of(split, source, "train") == {2, 3, 4, 5, 6, 7}
    assert rows_of(split, source, next(iter(shares))) == {0, 1}


@pytest.mark.parametrize(
    "values",
    [
        ["train", "Valid", "TEST"],
        ["training", "dev", "testing"],
        ["train", "val", "test"],
    ],
)
def test_a_column_says_it(values: list[str]) -> None:
    frame = pd.DataFrame({"row": range(6), "part": values * 2})
    assert parts_of(gl.Split(column="part"), frame) == [{0, 3}, {1, 4}, {2, 5}]


@pytest.mark.parametrize("values", [[0, 1], [False, True], [0.0, 1.0]])
def test_a_column_may_say_whether_it_is_the_test(values: list[Any]) -> None:
    frame = pd.DataFrame({"row": range(4), "part": values * 2})
    source = open_source(frame)
    split = gl.Split(column="part")
    assert rows_of(split, source, "train") == {0, 2}
    assert rows_of(split, source, "test") == {1, 3}
    assert split.has("test", source)
    assert not split.has("validation", source)


def test_several_parts_at_once() -> None:
    source = open_source(table())
    both = rows_of(SHARES, source, "train+validation")
    assert both == rows_of(SHARES, source, "train") | rows_of(
        SHARES, source, "validation"
    )
    found = SHARES.part(source, ("validation", "train"))
    assert sum(b.rows for b in found.batches(["row"])) == len(both) == found.rows


def test_a_split_survives_json_and_pickle() -> None:
    source = open_source(table())
    for split in (
        SHARES,
        gl.Split(test=0.3, time="day"),
        gl.Split(validation=0.2, test=0.3, time="day"),
        gl.Split(test=0.3, group="who"),
    ):
        settled = split.settled(source)
        again = gl.Split(**settled.to_dict())
        held = split.part(source, "test")  # a part remembers
        copy = pickle.loads(pickle.dumps(split))
        for part in ("train", "test"):
            wanted = rows_of(split, source, part)
            assert rows_of(again, source, part) == wanted
            assert rows_of(copy, source, part) == wanted
        assert held.rows is not None
    more = table().assign(new=1.0)
    again = gl.Split(**SHARES.settled(source).to_dict())
    assert rows_of(again, open_source(more), "test") == rows_of(SHARES, source, "test")


def test_parts_of_a_parquet_file_are_read_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline.tables.KEPT_BYTES", 0)
    frame = table()
    frame.to_parquet(tmp_path / "data.parquet", row_group_size=700)
    source = open_source(tmp_path / "data.parquet")
    part = SHARES.part(source, "train")
    wanted = rows_of(SHARES, open_source(frame), "train")
    for round in range(2):  # the second one knows the parts
        assert part.rows == (None if not round else len(wanted))
        stretches = part.side_by_side(["row"])  # type: ignore[attr-defined]
        assert len(stretches) == 5
        found: set[int] = set()
        for rows, begin in reversed(stretches):
            for batch in begin():
                assert isinstance(batch, PartBatch)
                here = batch.numbers(["row"])[:, 0].astype(int)
                assert here.tolist() == batch.places.tolist()
                found |= set(here.tolist())
            assert rows <= 700
        assert found == wanted


def test_a_fit_learns_from_the_training_part_alone() -> None:
    frame = table()
    source = open_source(frame)
    train = frame.iloc[sorted(rows_of(SHARES, source, "train"))]
    fit = gl.fit(frame, target="y", exclude=["day"], split=SHARES)
    plain = gl.fit(train, target="y", exclude=["day"])
    assert fit.rows == len(train)
    assert fit.coefficients == pytest.approx(plain.coefficients, rel=1e-9, abs=1e-12)


def test_levels_are_learned_from_the_training_part_alone() -> None:
    frame = table()
    frame["part"] = np.where(frame["town"] == "Köln", "test", "train")
    fit = gl.fit(frame, target="y", exclude=["day"], split=gl.Split(column="part"))
    assert fit.design.levels["town"] == ("Aachen", "Bonn")
    assert "part" not in fit.design.features


def test_columns_that_split_are_features_where_they_are_named() -> None:
    frame = table()
    split = gl.Split(test=0.2, group="who")
    fit = gl.fit(frame, target="y", exclude=["day"], split=split)
    assert fit.design.features == ("row", "a", "b", "town")
    fit = gl.fit(frame, target="y", features=["a", "who"], split=split)
    assert fit.design.features == ("a", "who")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing is split off: give validation=0.2"),
        ({"test": 1.0}, "test is 1.0: give a share of the rows from 0 to 1"),
        ({"validation": 0.5, "test": 0.5}, "leave no row to learn from"),
        ({"test": 0.2, "group": "a", "time": "b"}, "time and group are two ways"),
        ({"test": 0.2, "column": "a"}, "leave the shares out"),
        ({"group": "a"}, "nothing is split off"),
        ({"test": 0.2, "key": "a"}, "key is 'a': give a list of names"),
        ({"test": 0.2, "key": []}, "key is empty"),
        ({"test": 0.2, "group": 3}, "group is of type int: give the name"),
        ({"test": 0.2, "cuts": [1, 2]}, "give two times"),
        ({"test": 0.2, "seed": -1}, "seed is -1"),
    ],
)
def test_splits_that_cannot_be_meant(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(gl.UsageError, match=message):
        gl.Split(**arguments)


def test_data_that_cannot_be_split() -> None:
    frame = table(50)
    source = open_source(frame)
    with pytest.raises(gl.ColumnError, match="no column 'whom': did you mean 'who'"):
        gl.Split(test=0.2, group="whom").part(source, "test")
    with pytest.raises(gl.UsageError, match="there is no part 'exam'"):
        SHARES.part(source, "exam")
    with pytest.raises(gl.DataError, match="'town' holds '.*' in row 1: say train"):
        gl.Split(column="town").part(source, "test")
    with pytest.raises(gl.DataError, match="'town' holds '.*' in row 1, and rows are"):
        gl.Split(test=0.2, time="town").part(source, "test")
    clock = pd.DataFrame({"at": [datetime.time(1)] * 3, "y": [1.0, 2.0, 3.0]})
    with pytest.raises(gl.ColumnError, match="'at' holds time64.*cannot be hashed"):
        gl.Split(test=0.2, group="at").part(open_source(clock), "test")
    gaps = frame.assign(day=frame["day"].where(frame["row"] != 3))
    with pytest.raises(gl.MissingValueError, match="'day' has a missing.* row 4"):
        gl.Split(test=0.2, time="day").part(open_source(gaps), "test")
    with pytest.raises(gl.DataError, match="has no row in the validation part"):
        list(gl.Split(test=0.2).part(source, "validation").batches(["row"]))


def test_times_are_put_in_order_a_part_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradline.instants.SORTED_AT_ONCE", 10)
    monkeypatch.setattr("gradline.tables.BATCH_ROWS", 37)
    frame = table()
    split = gl.Split(validation=0.2, test=0.1, time="a")
    parts = parts_of(split, frame)
    ordered = np.sort(frame["a"])
    assert parts[0] == set(np.flatnonzero(frame["a"] < ordered[2100]))
    assert parts[2] == set(np.flatnonzero(frame["a"] >= ordered[2700]))


def test_a_share_is_no_split() -> None:
    with pytest.raises(gl.UsageError, match="split is 0.2: give a gl.Split, such as"):
        gl.fit(table(), target="y", split=0.2)  # type: ignore[arg-type]


def test_a_key_is_no_feature_unless_named() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(60, 3)), columns=["id", "x", "y"])
    split = gl.Split(test=0.3, key=["id"])
    fit = gl.fit(table, target="y", split=split)
    assert fit.design.features == ("x",)
    named = gl.fit(table, target="y", features=["id", "x"], split=split)
    assert named.design.features == ("id", "x")
    whole = gl.fit(table, target="y", split=gl.Split(test=0.3))
    again = gl.fit(table, target="y", split=gl.Split(**whole.settings["split"]))
    assert again.coefficients == whole.coefficients


def places_of(split: gl.Split, data: Any) -> np.ndarray:
    return split._labelled(open_source(data)).labels()


def test_dates_are_hashed_alike_however_they_arrive(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(
        random.integers(0, 90, 300), unit="D"
    )
    table = pd.DataFrame({"x": random.integers(0, 3, 300) * 1.0, "day": days})
    table["y"] = table["x"] + random.integers(0, 3, 300)
    text = table.assign(day=table["day"].dt.strftime("%Y-%m-%d"))
    text.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    dates = pl.from_pandas(table).with_columns(pl.col("day").cast(pl.Date))
    dates.write_parquet(tmp_path / "d.parquet")
    split = gl.Split(validation=0.3, test=0.3)
    found = [
        places_of(split, data)
        for data in (
            table,
            text,
            dates,
            pl.from_pandas(table),
            tmp_path / "t.csv",
            tmp_path / "t.parquet",
            tmp_path / "d.parquet",
        )
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    without = places_of(split, table.drop(columns="day"))
    assert (without != found[0]).any()  # the days have a say


def test_a_loaded_fit_says_that_the_data_are_others(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "y"])
    split = gl.Split(validation=0.2, test=0.2)
    fit = gl.fit(table, target="y", split=split)
    counts = fit.settings["parts"]
    assert sum(counts.values()) == 300
    assert counts["train"] == fit.rows
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert again.evaluate(table, part="test").note is None
    other = table.assign(a=table["a"].astype(np.float32))
    note = again.evaluate(other, part="test").note
    assert note is not None
    assert note.startswith("the data are not those that were split: ")
    assert f"{counts['test']} were" in note


@pytest.mark.parametrize("seed", range(20))
def test_few_groups_meet_shares_as_well_as_they_can(seed: int) -> None:
    path = Path(__file__).parents[1] / "docs" / "penguins.csv"
    split = gl.Split(group="island", test=0.2, seed=seed)
    fit = gl.fit(path, target="body_mass_g", missing="drop", split=split)
    counts = fit.settings["parts"]
    # 168, 124 and 52 birds: any but the largest island may be drawn
    assert counts["validation"] == 0
    assert 0 < counts["test"] < 168
    far = abs(counts["test"] / 344 - 0.2) > 0.05
    told = [n for n in fit.notes if "groups stay together" in n]
    assert len(told) == far
    if far:
        assert told == [
            "The test part has 36% of the rows and 20% were asked for: groups stay "
            "together."
        ]
    three = gl.Split(group="island", validation=0.2, test=0.2, seed=seed)
    places = places_of(three, path)
    assert np.bincount(places, minlength=3).all()


def test_many_groups_meet_shares_exactly_but_for_a_group() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"who": random.integers(0, 400, 5000), "y": 1.0})
    places = places_of(gl.Split(validation=0.2, test=0.1, group="who"), table)
    found = np.bincount(places) / 5000
    np.testing.assert_allclose(found, [0.7, 0.2, 0.1], atol=0.003)
    order = random.permutation(5000)
    again = places_of(
        gl.Split(validation=0.2, test=0.1, group="who"), table.iloc[order]
    )
    np.testing.assert_array_equal(again, places[order])


def test_equal_times_that_miss_the_share_are_noted() -> None:
    table = pd.DataFrame({"t": np.repeat([1.0, 2.0], [40, 60]), "x": np.arange(100.0)})
    table["y"] = table["x"] + np.sin(table["x"])
    fit = gl.fit(table, target="y", split=gl.Split(time="t", test=0.3))
    assert (
        "The test part has 60% of the rows and 30% were asked for: rows of equal time "
        "stay together."
    ) in fit.notes


@pytest.mark.parametrize("name", ["group", "time", "column"])
def test_an_array_that_splits_belongs_in_the_frame(name: str) -> None:
    told = f"{name} is of type ndarray: give the name of a column as text; values that"
    with pytest.raises(gl.UsageError, match=told):
        gl.Split(**{name: np.arange(5), "test": 0.2})
