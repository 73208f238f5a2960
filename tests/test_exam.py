"""Scores by part: the right rows, the test part once, levels that training lacks."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import gradline as gl
from commands import run
from gradline.readers import open_source
from gradline.splits import PARTS

SPLIT = {"validation": 0.2, "test": 0.2, "seed": 1}


def table(rows: int = 400) -> pd.DataFrame:
    draw = np.random.default_rng(5)
    x = draw.normal(size=(rows, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["town"] = draw.choice(["Aachen", "Bonn", "Köln"], rows)
    frame["day"] = draw.permutation(rows)
    frame["y"] = 1 + x @ [2.0, -1.0] + draw.normal(size=rows)
    return frame


def rows_in(frame: pd.DataFrame, split: gl.Split, part: str) -> pd.DataFrame:
    source = split.part(open_source(frame), part)
    places = [batch.places for batch in source.batches(["day"])]  # type: ignore[attr-defined]
    return frame.iloc[np.concatenate(places)]


FEATURES = ["a", "b"]


@pytest.mark.parametrize("part", PARTS)
def test_scores_are_those_of_the_rows(part: str) -> None:
    frame = table()
    fit = gl.fit(frame, target="y", features=FEATURES, split=gl.Split(**SPLIT))
    here = rows_in(frame, gl.Split(**SPLIT), part)
    train = rows_in(frame, gl.Split(**SPLIT), "train")
    theirs = LinearRegression().fit(train[FEATURES], train["y"])
    scores = fit.evaluate(part=part)
    wanted = r2_score(here["y"], theirs.predict(here[FEATURES]))
    assert scores.r2 == pytest.approx(wanted, rel=1e-9)
    assert scores.rows == len(here)
    assert scores.part == part
    assert repr(scores).startswith(f"Scores('{part}', r2=")
    assert list(scores) == ["r2", "rmse", "mae", "rows"]


@pytest.mark.parametrize(
    "options",
    [
        {"method": "gd"},
        {"penalty": "ridge", "alpha": 0.1},
        {"penalty": "lasso", "alpha": 0.1},
        {"loss": "huber"},
        {"batch_size": 32, "epochs": 2},
    ],
    ids=str,
)
def test_every_method_remembers_the_parts(options: dict[str, Any]) -> None:
    frame = table()
    fit = gl.fit(
        frame, target="y", features=FEATURES, split=gl.Split(**SPLIT), **options
    )
    test = rows_in(frame, gl.Split(**SPLIT), "test")
    assert fit.rows == len(rows_in(frame, gl.Split(**SPLIT), "train"))
    wanted = r2_score(test["y"], fit.predict(test))
    assert fit.evaluate(part="test").r2 == pytest.approx(wanted, rel=1e-9)


def test_other_epochs_have_the_same_parts() -> None:
    fit = gl.fit(
        table(), target="y", features=FEATURES, split=gl.Split(**SPLIT), method="gd"
    )
    early = fit.at(1)
    assert early.evaluate(part="validation").r2 < fit.evaluate(part="validation").r2


def test_data_say_their_name(tmp_path: Path) -> None:
    frame = table()
    frame.to_csv(tmp_path / "new.csv", index=False)
    fit = gl.fit(frame, target="y", features=FEATURES)
    assert fit.evaluate(tmp_path / "new.csv").part == "new.csv"
    assert fit.evaluate(frame).part == "the data"


class Counted:
    """A source that counts how often it is read."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._source = open_source(frame)
        self.name, self.columns = self._source.name, self._source.columns
        self.rows = self._source.rows
        self.passes = 0

    def batches(self, columns: Any) -> Any:
        self.passes += 1
        return self._source.batches(columns)


def test_the_test_part_is_read_once() -> None:
    source = Counted(table())
    fit = gl.fit(source, target="y", features=FEATURES, split=gl.Split(**SPLIT))
    before = source.passes
    first = fit.evaluate(part="test")
    assert source.passes > before
    before = source.passes
    assert fit.evaluate(part="test") is first
    assert source.passes == before
    assert list(fit.scores) == ["train", "test"]


def test_a_test_part_that_many_fits_have_seen_is_no_test() -> None:
    frame, split = table(), gl.Split(**SPLIT)
    notes = []
    for features in (["a"], ["b"], ["a", "b"]):
        fit = gl.fit(frame, target="y", features=features, split=split)
        fit.evaluate(part="validation")
        notes.append(fit.evaluate(part="test").note)
        assert fit.evaluate(part="test").note == notes[-1]
    assert notes[0] is None
    assert "has been scored before, once: where fits are compared" in str(notes[1])
    assert "has been scored before, twice: " in str(notes[2])
    assert "Note: this split's test part has been scored" in str(fit)
    fresh = gl.fit(frame, target="y", features=["a"], split=gl.Split(**SPLIT))
    assert fresh.evaluate(part="test").note is None


def test_levels_that_training_lacks_are_left_out_and_counted() -> None:
    frame = table()
    test = rows_in(frame, gl.Split(**SPLIT, key=["day"]), "test").index
    frame.loc[test[:3], "town"] = "Zülpich"
    split = gl.Split(**SPLIT, key=["day"])
    fit = gl.fit(frame, target="y", features=["a", "town"], split=split)
    scores = fit.evaluate(part="test")
    assert scores.unseen == 3
    assert scores.rows == len(test) - 3
    wanted = fit.evaluate(frame.loc[test[3:]])
    assert dict(scores) == pytest.approx(dict(wanted))
    assert "3 more left out: levels not seen in training" in str(fit)
    assert "unseen=3" in repr(scores)
    with pytest.raises(gl.DataError, match="'Zülpich' in row 1, a level the model"):
        fit.evaluate(frame.loc[test[:3]])
    frame.loc[test, "town"] = "Zülpich"
    fit = gl.fit(frame, target="y", features=["a", "town"], split=split)
    with pytest.raises(gl.DataError, match=f"{len(test)} have a level that the train"):
        fit.evaluate(part="test")


def test_early_stopping_and_levels_that_training_lacks() -> None:
    frame = table()
    split = gl.Split(**SPLIT, key=["day"])
    here = rows_in(frame, split, "validation").index
    frame.loc[here[:3], "town"] = "Zülpich"
    fit = gl.fit(
        frame,
        target="y",
        features=["a", "town"],
        split=split,
        method="gd",
        early_stopping=True,
    )
    assert fit.evaluate(part="validation").unseen == 3


def test_rows_in_messages_are_those_of_the_data() -> None:
    frame = table()
    train = rows_in(frame, gl.Split(**SPLIT, key=["day"]), "train").index
    frame.loc[train[40], "a"] = np.nan
    with pytest.raises(gl.MissingValueError, match=f"first in row {train[40] + 1}:"):
        gl.fit(
            frame, target="y", features=FEATURES, split=gl.Split(**SPLIT, key=["day"])
        )


def test_saved_fits_split_alike(tmp_path: Path) -> None:
    frame = table()
    for number, split in enumerate(
        (
            gl.Split(**SPLIT),
            gl.Split(test=0.3, time="day"),
            gl.Split(test=0.3, group="a"),
        )
    ):
        fit = gl.fit(frame, target="y", features=FEATURES, split=split)
        wanted = fit.evaluate(part="test")
        fit.save(tmp_path / f"{number}.safetensors")
        again = gl.load(tmp_path / f"{number}.safetensors")
        assert dict(again.evaluate(frame, part="test")) == dict(wanted)
        more = frame.assign(new=1.0).sample(frac=1, random_state=0)
        again_more = again.evaluate(more, part="test")
        assert dict(again_more) == pytest.approx(dict(wanted))
        with pytest.raises(gl.UsageError, match="loaded does not hold its data: give"):
            again.evaluate(part="test")
        copy = pickle.loads(pickle.dumps(fit))
        assert dict(copy.evaluate(frame, part="test")) == dict(wanted)


def test_parts_that_are_not_there() -> None:
    frame = table()
    plain = gl.fit(frame, target="y", features=FEATURES)
    assert plain.evaluate(part="train") == plain.metrics
    with pytest.raises(gl.UsageError, match="no split, so there is no test part: fit"):
        plain.evaluate(part="test")
    with pytest.raises(gl.UsageError, match="no split, so its data have no parts"):
        plain.evaluate(frame, part="test")
    with pytest.raises(gl.UsageError, match="nothing is given without data"):
        plain.evaluate()
    with pytest.raises(gl.UsageError, match="part is 'exam': give 'train' or"):
        plain.evaluate(part="exam")
    halved = gl.fit(frame, target="y", features=FEATURES, split=gl.Split(test=0.5))
    with pytest.raises(gl.UsageError, match="the split has no validation part"):
        halved.evaluate(part="validation")


def test_a_penalty_is_chosen_within_the_training_part() -> None:
    frame = table()
    frame["noise"] = np.random.default_rng(0).normal(size=len(frame))
    fit = gl.fit(
        frame,
        target="y",
        exclude=["town", "day"],
        split=gl.Split(**SPLIT),
        penalty="lasso",
        alpha="1se",
        folds=gl.KFold(4),
    )
    assert fit.cross_validation is not None
    assert fit.settings["alpha"] == fit.cross_validation.alpha_1se[0]
    assert fit.cross_validation.rows == fit.rows < len(frame)
    assert "cross-validation: R²" in str(fit)
    assert "(4 folds, " in str(fit)
    with pytest.raises(gl.UsageError, match="folds are for choosing alpha"):
        gl.fit(frame, target="y", penalty="ridge", alpha=1.0, folds=5)


@pytest.mark.parametrize("penalty", ["ridge", "lasso", "elastic_net"])
def test_bounds_and_a_penalty_to_choose(penalty: Any) -> None:
    fit = gl.fit(
        table(), target="y", features=FEATURES, penalty=penalty, nonnegative=True
    )
    assert min(fit.coefficients.values()) >= 0
    assert fit.cross_validation is not None


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = table()
    frame.to_csv("data.csv", index=False)
    words = ["fit", "data.csv", "--target", "y", "--features", "a,b"]
    words += ["--validation", "0.2", "--test", "0.2"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "train: R² " in out
    assert "validation: R² " in out
    assert "test: R² " not in out
    code, out, _ = run(capsys, *words, "--score-test", "--json")
    known = json.loads(out)["scores"]
    assert list(known) == ["train", "validation", "test"]
    code, out, _ = run(
        capsys, "evaluate", "model.safetensors", "data.csv", "--part", "test", "--json"
    )
    again = json.loads(out)
    assert again["part"] == "test"
    assert again["metrics"]["r2"] == pytest.approx(known["test"]["r2"], rel=1e-12)
    code, out, _ = run(capsys, "evaluate", "model.safetensors", "data.csv")
    assert out.startswith("data.csv: R² ")
    code, _, err = run(capsys, *words[:6], "--score-test")
    assert code == 2
    assert "--score-test needs a test part: give --test 0.2 too" in err
