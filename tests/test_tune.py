"""gl.tune: what is scored from states is what training finds; nothing leaks."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit

import gradline as gl
from gradline import boards
from gradline.effects import idle
from gradline.sides import is_closed
from helpers import TOLERANCE, hearing_ctrl_c

CLOSE = TOLERANCE["float64"]
SPLIT = gl.Split(validation=0.25, test=0.25)


def table(rows: int = 400, d: int = 4, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, d)) * [1.0, 2.0, 0.5, 3.0][:d] + [0, 5, -1, 0][:d]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(d)])
    frame["kind"] = random.choice(["a", "b", "c"], rows)
    frame["w"] = random.uniform(0.5, 2.0, rows)
    noise = random.normal(size=rows)
    frame["y"] = X @ np.arange(1.0, d + 1) + 0.3 * X[:, 0] ** 2 + noise
    return frame


def part(frame: pd.DataFrame, name: str) -> Any:
    return SPLIT.part(gl.open_source(frame), name)


FEATURES = ["x0", "x1", "x2", "x3"]

SETTINGS: list[dict[str, Any]] = [
    {},
    {"method": "gd"},
    {"lr": 0.01, "epochs": 20},
    {"lr": 0.02, "epochs": 0},
    {"lr": 0.01, "epochs": 7, "momentum": 0.9},
    {"lr": 0.01, "epochs": 7, "momentum": 0.9, "nesterov": True},
    {"lr": 0.01, "epochs": 30, "momentum": 0.5, "dampening": 0.3},
    {"lr": 0.01, "epochs": 300, "weight_decay": 0.1},
    {"lr": "auto", "epochs": 5, "momentum": 0.3},
    {"lr": 0.3, "epochs": 40, "standardize": True, "seed": 3},
    {"optimizer": "Adam", "lr": 0.05, "epochs": 60},
    {"optimizer": "RMSprop", "lr": 0.01, "epochs": 30, "standardize": True},
    {"lr": 0.001, "epochs": 5000, "early_stopping": 5},
    {"optimizer": "Adam", "lr": 0.5, "epochs": 500, "early_stopping": True},
    {"penalty": "ridge", "alpha": 0.1},
    {"penalty": "ridge", "alpha": 0.1, "standardize": False},
    {"penalty": "lasso", "alpha": 0.2},
    {"penalty": "elastic_net", "alpha": 0.2, "l1_ratio": 0.3},
    {"nonnegative": True},
    {"penalty": "ridge", "alpha": 1.0, "bounds": {"x0": (0.0, 0.5)}},
    {"degree": 3},
    {"degree": 8, "penalty": "ridge", "alpha": 1e-6},
    {"intercept": False},
    {"intercept": False, "lr": 0.01, "epochs": 25},
    {"features": ["x1", "kind"], "lr": 0.02, "epochs": 9},
    {"formula": "y ~ poly(x0, 2) + x1:kind"},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("weights", [None, "w"])
def test_scores_from_states_are_those_of_training(
    setting: dict[str, Any], weights: str | None
) -> None:
    frame = table()
    named = {} if {"features", "formula"} & setting.keys() else {"features": FEATURES}
    common: dict[str, Any] = {"target": "y", "weights": weights, **named}
    setting = setting or {"method": "exact"}
    assert is_closed(setting)
    score: Any = "rmse" if weights is None else "mae"
    found = gl.tune(
        frame,
        split=SPLIT,
        search={name: [value] for name, value in setting.items()},
        score=score,
        **common,
    )
    trained = gl.fit(frame, split=SPLIT, **common, **setting)
    seen = trained.evaluate(part(frame, "validation"))
    (trial,) = found.trials
    assert trial.score == pytest.approx(seen[score], rel=CLOSE)
    assert trial.train_score == pytest.approx(trained.metrics[score], rel=CLOSE)
    if "early_stopping" in setting:
        assert trial.epochs == trained.settings["epochs"]
        assert found.fit is not None
        assert found.fit.settings["epochs"] == trial.epochs


def test_a_descent_is_the_plain_loop() -> None:
    """Against torch.optim.SGD over the rows of the training part, step by step."""
    frame = table()
    found = gl.tune(
        frame,
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={"lr": [0.005, 0.01], "momentum": [0, 0.9], "epochs": [3, 50]},
    )
    train, seen = (
        next(iter(part(frame, name).batches([*FEATURES, "y"])))
        for name in ("train", "validation")
    )
    X, y = (torch.from_numpy(train.numbers(n)) for n in (FEATURES, ["y"]))
    V, v = (torch.from_numpy(seen.numbers(n)) for n in (FEATURES, ["y"]))
    assert len(found.trials) == 8
    for trial in found.trials:
        generator = torch.Generator().manual_seed(0)
        model = gl.LinearRegression(4, dtype=torch.float64, generator=generator)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=trial.params["lr"], momentum=trial.params["momentum"]
        )
        for _ in range(trial.params["epochs"]):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(X), y).backward()
            optimizer.step()
        loss = torch.nn.functional.mse_loss(model(V), v).detach()
        assert trial.score == pytest.approx(math.sqrt(float(loss)), rel=CLOSE)


def test_ridge_is_scikit_learns_grid_search() -> None:
    frame = table()
    alphas = [0.001, 0.01, 0.1, 1.0, 10.0]
    found = gl.tune(
        frame,
        target="y",
        features=FEATURES,
        split=SPLIT,
        standardize=False,
        penalty="ridge",
        search={"alpha": alphas},
    )
    both = next(iter(part(frame, "train+validation").batches([*FEATURES, "y"])))
    seen = next(iter(part(frame, "validation").batches(["y"])))
    X, y = both.numbers(FEATURES), both.numbers(["y"])[:, 0]
    fold = np.where(np.isin(y, seen.numbers(["y"])[:, 0]), 0, -1)
    rows = int((fold == -1).sum())
    peer = GridSearchCV(
        Ridge(),
        {"alpha": [alpha * rows for alpha in alphas]},
        scoring="neg_root_mean_squared_error",
        cv=PredefinedSplit(fold),
        refit=False,
    ).fit(X, y)
    scores = [trial.score for trial in found.trials]
    assert scores == pytest.approx(-peer.cv_results_["mean_test_score"], rel=CLOSE)
    assert found.best["alpha"] * rows == pytest.approx(peer.best_params_["alpha"])
    assert found.fit is not None
    refit = Ridge(alpha=found.best["alpha"] * len(y)).fit(X, y)
    assert found.fit.slopes == pytest.approx(refit.coef_, rel=1e-8)
    assert found.fit.rows == len(y)
    assert found.test is not None
    test = next(iter(part(frame, "test").batches([*FEATURES, "y"])))
    residual = test.numbers(["y"])[:, 0] - refit.predict(test.numbers(FEATURES))
    assert found.test.rmse == pytest.approx(np.sqrt(np.mean(residual**2)), rel=CLOSE)


def test_other_losses_are_trained_for_real() -> None:
    frame = table()
    found = gl.tune(
        frame,
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={"loss": ["squared", "huber", "absolute"], "degree": [1, 2]},
    )
    assert [t.status for t in found.trials] == ["ok"] * 6
    for trial in found.trials:
        trained = gl.fit(
            frame, target="y", features=FEATURES, split=SPLIT, **trial.params
        )
        seen = trained.evaluate(part(frame, "validation"))
        assert trial.score == pytest.approx(seen.rmse, rel=CLOSE)
    assert found.best["degree"] == 2


def test_the_test_part_changes_nothing_but_its_score() -> None:
    """Poisoned test rows: trials, choice and fit stay as they are."""
    frame = table()
    random = np.random.default_rng(1)
    frame["part"] = random.choice(["train", "validation", "test"], len(frame))
    search = {"alpha": [0.01, 0.1, 1.0], "degree": [1, 2, 3]}
    split = gl.Split(column="part")
    clean = gl.tune(frame, target="y", split=split, search=search, penalty="ridge")
    frame.loc[frame["part"] == "test", ["x0", "x1", "y"]] *= -1e3
    dirty = gl.tune(frame, target="y", split=split, search=search, penalty="ridge")
    assert [t.score for t in clean.trials] == [t.score for t in dirty.trials]
    assert clean.fit is not None
    assert dirty.fit is not None
    assert clean.fit.coefficients == dirty.fit.coefficients
    assert clean.test is not None
    assert dirty.test is not None
    assert dirty.test.rmse > 100 * clean.test.rmse
    assert "part" not in " ".join(clean.fit.coefficients)


class Watched(gl.Split):
    """A split that notes which parts are read, in which order."""

    def part(self, source: Any, part: Any) -> Any:
        found = super().part(source, part)
        batches, log = found.batches, self.__dict__.setdefault("log", [])

        def noted(columns: Any) -> Any:
            log.append(part)
            return batches(columns)

        found.batches = noted
        return found


def test_the_test_part_is_read_once_and_last() -> None:
    split = Watched(validation=0.2, test=0.2)
    search = {"alpha": [0.01, 0.1], "penalty": ["ridge", "lasso"], "degree": [1, 2]}
    gl.tune(table(), target="y", split=split, search=search)
    log = split.__dict__["log"]
    assert log.count("test") == 1
    assert log[-1] == "test"
    assert log.count("train+validation") >= 1
    assert log.index("train+validation") > max(
        place for place, name in enumerate(log) if name == "validation"
    )


def test_levels_are_learned_from_the_training_part() -> None:
    """Rows of a level that training lacks are scored by neither way, and counted."""
    frame = table()
    frame["part"] = ["train"] * 200 + ["validation"] * 100 + ["test"] * 100
    frame.loc[[250, 260], "kind"] = "only in validation"
    split = gl.Split(column="part")
    search = {"loss": ["squared", "huber:100:1000"]}  # the same, but trained for real
    found = gl.tune(frame, target="y", split=split, search=search)
    scores = [trial.score for trial in found.trials]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    assert found.rows == {"train": 200, "validation": 98}
    assert "2 validation rows have a level" in str(found)
    assert found.fit is not None
    assert "kind[only in validation]" in found.fit.coefficients


def test_a_test_part_that_has_been_scored_before_is_no_secret() -> None:
    split = gl.Split(validation=0.2, test=0.2)
    first = gl.tune(table(), target="y", split=split)
    again = gl.tune(table(), target="y", split=split)
    assert "scored before" not in str(first)
    assert "test part has been scored before, once" in str(again).replace("\n", " ")


def test_without_a_test_part_there_is_no_test() -> None:
    found = gl.tune(table(), target="y", split=gl.Split(validation=0.3))
    assert found.test is None
    assert "There is no test part" in str(found)


@pytest.mark.parametrize(
    "split",
    [
        gl.Split(validation=0.3, test=0.2, seed=2),
        gl.Split(validation=0.3, test=0.2, time="when"),
        gl.Split(validation=0.3, test=0.2, group="g"),
        gl.Split(column="part"),
    ],
)
def test_the_fit_knows_which_rows_it_has_learned_from(
    tmp_path: Path, split: gl.Split
) -> None:
    frame = table()
    frame["when"], frame["g"] = np.arange(400.0), np.arange(400) // 10
    frame["part"] = np.resize(["train", "validation", "test", "train"], 400)
    found = gl.tune(frame, target="y", features=FEATURES, split=split)
    assert found.fit is not None
    assert found.fit.evaluate(part="test") is found.test  # not read again
    assert found.fit.scores["test"] is found.test
    found.fit.save(tmp_path / "a.safetensors")
    loaded = gl.load(tmp_path / "a.safetensors")
    assert loaded.evaluate(frame, part="test").rmse == found.test.rmse
    train = loaded.evaluate(frame, part="train")
    assert train.rows == found.fit.rows
    assert train.rmse == pytest.approx(found.fit.metrics.rmse)
    for fit, data in ((found.fit, None), (loaded, frame)):
        with pytest.raises(gl.UsageError, match="chose the setting and was then"):
            fit.evaluate(data, part="validation")


def test_a_search_that_fails_in_part_goes_on() -> None:
    found = gl.tune(
        table(),
        target="y",
        features=FEATURES,
        split=SPLIT,
        epochs=20,
        search={"lr": [0.01, 5.0], "momentum": [0, 0.5]},
    )
    assert [t.status for t in found.trials] == ["ok", "ok", "failed", "failed"]
    assert "diverges" in str(found.trials[2].reason)
    assert found.trials[2].score is None
    assert found.count("failed") == 2
    assert "2 failed" in str(found)
    assert "diverges here" in str(found)


def test_where_all_fail_the_reason_is_told() -> None:
    with pytest.raises(
        gl.UsageError, match=r"all 2 trials failed, 1 of them because lr"
    ):
        gl.tune(table(), target="y", search={"lr": [5.0], "momentum": [0, 0.5]})


def test_what_has_no_effect_is_left_out() -> None:
    found = gl.tune(
        table(),
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={
            "penalty": [None, "ridge", "elastic_net"],
            "alpha": [0.01, 0.1],
            "l1_ratio": [0.2, 0.8],
            "lr": ["auto"],
        },
    )
    names = [sorted(trial.params) for trial in found.trials]
    assert names == [
        ["lr", "penalty"],
        *[["alpha", "penalty"]] * 2,
        *[["alpha", "l1_ratio", "penalty"]] * 4,
    ]


@pytest.mark.parametrize(
    ("settings", "without"),
    [
        ({"alpha": 1.0}, {"alpha"}),
        ({"penalty": "ridge", "alpha": 1.0, "l1_ratio": 0.5}, {"l1_ratio"}),
        ({"penalty": "ridge", "lr": 0.1, "momentum": 0.5}, {"lr", "momentum"}),
        ({"method": "exact", "lr": 0.1, "standardize": True}, {"lr", "standardize"}),
        ({"loss": "huber", "epochs": 3}, {"epochs"}),
        ({"loss": "huber", "epochs": 3, "batch_size": 8}, set()),
        ({"optimizer": "Adam", "momentum": 0.9, "weight_decay": 1.0}, {"momentum"}),
        ({"lr": 0.1, "momentum": 0, "nesterov": True}, {"nesterov"}),
        ({"lr": 0.1, "momentum": 0.5, "nesterov": True}, set()),
        ({"optimizer": "Adam", "lr": "auto"}, {"lr"}),
        ({"penalty": "ridge", "alpha": 1.0, "folds": 5}, {"folds"}),
        ({"penalty": "ridge", "alpha": "cv", "folds": 5}, set()),
        ({"optimizer": "NoSuch", "lr": 0.1}, set()),
    ],
)
def test_idle(settings: dict[str, Any], without: set[str]) -> None:
    assert idle(settings) == without


def test_random_draws_are_seeded_and_go_on_alike() -> None:
    def draws(trials: int, seed: int) -> list[dict[str, Any]]:
        found = gl.tune(
            table(),
            target="y",
            features=FEATURES,
            search={"lr": (1e-3, 0.02, "log"), "epochs": (1, 9), "momentum": [0, 0.5]},
            trials=trials,
            seed=seed,
        )
        return [trial.params for trial in found.trials]

    first = draws(20, 0)
    assert draws(20, 0) == first
    assert draws(30, 0)[:20] == first
    assert draws(20, 1) != first
    assert {type(p["epochs"]) for p in first} == {int}
    assert {p["epochs"] for p in draws(200, 2)} == set(range(1, 10))
    assert all(1e-3 <= p["lr"] <= 0.02 for p in first)


def test_a_range_is_whole_only_where_the_setting_is() -> None:
    search: dict[str, Any] = {"l1_ratio": (0, 1), "alpha": (1, 10), "degree": (1.0, 2)}
    found = gl.tune(
        table(), target="y", penalty="elastic_net", search=search, trials=20
    )
    for name in ("l1_ratio", "alpha"):
        values = [trial.params[name] for trial in found.trials]
        assert len({*values}) == 20
        assert not any(value.is_integer() for value in values)
    assert {type(trial.params["degree"]) for trial in found.trials} == {int}


def test_equal_settings_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    true = boards.line_of

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return true(*arguments)

    monkeypatch.setattr(boards, "line_of", counted)
    found = gl.tune(
        table(), target="y", search={"momentum": [0, 0.5]}, lr="auto", trials=40
    )
    assert len(found.trials) == 2
    assert len(calls) == 2
    assert "The search has 2 different settings, fewer than the trials" in str(found)


def test_random_draws_repeat_nothing() -> None:
    def degrees(trials: int, **more: Any) -> list[Any]:
        found = gl.tune(
            table(), target="y", search={"degree": (1, 5)}, trials=trials, **more
        )
        shown = str(found).split("\n\n")[1].split("\n")[1:]  # the rows of the table
        assert len(shown) == len({row.split()[1] for row in shown})
        return [trial.params["degree"] for trial in found.trials]

    assert sorted(degrees(50)) == [1, 2, 3, 4, 5]
    assert degrees(3) == degrees(50)[:3]
    assert len(degrees(12, method="optuna")) == 12  # may repeat, and is shown once
    search = {"penalty": [None, "ridge"], "alpha": (1e-3, 1.0)}
    found = gl.tune(table(), target="y", search=search, trials=20)
    assert [trial.params["penalty"] for trial in found.trials].count(None) == 1
    assert len(found.trials) == 20


def test_one_pass_for_a_design_however_many_trials() -> None:
    split = Watched(validation=0.2, test=0.2)
    frame = table(3000)
    gl.tune(
        frame,
        target="y",
        features=FEATURES,
        split=split,
        search={"lr": (1e-3, 1e-2), "epochs": (1, 1000)},
        trials=300,
    )
    log = split.__dict__["log"]
    assert log.count("validation") == 1
    assert log.count("train") <= 2  # levels are looked for first


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"search": {"lrr": [1]}}, r"no argument 'lrr' .* did you mean 'lr'"),
        ({"search": {"split": [1]}}, "split cannot be searched: .*which rows"),
        ({"search": {"target": ["y", "x0"]}}, "different targets do not compare"),
        ({"search": {"weights": [None, "w"]}}, "which rows or columns are read"),
        ({"study": "abc"}, "there is no storage to keep it in"),
        ({"prune": True}, "a grid search gives up no trial"),
        ({"storage": "mysql://a/b"}, "trials are kept in a file"),
        (
            {"search": {"alpha": [0.1, 1]}, "penalty": "ridge", "folds": 5},
            "folds is for choosing an alpha .* and alpha is searched",
        ),
        ({"search": {}}, "give a dict of arguments"),
        ({"search": {"lr": 0.1}}, r"give a list of values, \[0.1\]"),
        ({"search": {"lr": []}}, "over no values"),
        ({"search": {"lr": [0.1, 0.1]}}, "0.1 twice"),
        ({"search": {"lr": (1, 2, 3)}}, "a range is"),
        ({"search": {"lr": (2, 1)}}, "give low < high"),
        ({"search": {"lr": (0, 1, "log")}}, "begin above 0"),
        ({"search": {"degree": (1, 2.5)}}, "is a whole number: give whole ends"),
        ({"search": {"lr": (0.1, math.inf)}}, "give a finite number"),
        ({"search": {"lr": (0.1, 1.0)}, "method": "grid"}, "a grid needs lists"),
        ({"search": {"lr": [0.1]}, "method": "grid", "trials": 3}, "no use for trials"),
        ({"method": "sgd"}, r"give search=\{'method': \['sgd'\]\}"),
        ({"method": "bayes"}, "method is 'bayes'"),
        ({"trials": 0}, "trials is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"score": "mape"}, "score is 'mape'"),
        ({"split": gl.Split(test=0.2)}, "the split has none"),
        ({"split": 0.2}, "give gl.Split"),
        ({"search": {"lr": [0.1]}, "lr": 0.2}, "both given and searched"),
        ({"search": {"lr": [0.1]}, "foo": 0.2}, "no argument 'foo'"),
        ({"search": {"lr": [0.1]}, "checkpoint": "a"}, "checkpoint is for one fit"),
        ({"search": {"alpha": [0.1]}}, "alpha is searched and has no effect"),
        ({"search": {"lr": [0.1]}, "l1_ratio": 0.2}, "l1_ratio is given and has no"),
        ({"loss": "huber"}, "nothing is searched"),
        ({"lr": 0.1}, "nothing is searched"),
        ({"search": {"formula": ["y ~ x0", "log(y) ~ x0"]}}, "predict different"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(gl.UsageError, match=text):
        gl.tune(table(50), target="y", **arguments)


def test_a_grid_too_large_is_counted() -> None:
    search = {name: [*range(1, 101)] for name in ("epochs", "batch_size", "degree")}
    with pytest.raises(gl.UsageError, match="has 1,000,000 settings and at most 100,0"):
        gl.tune(table(50), target="y", search=search)


def test_faults_of_the_data_are_told_at_once() -> None:
    frame = table(50)
    frame.loc[3, "x0"] = np.nan
    with pytest.raises(gl.MissingValueError, match="'x0' has a missing value"):
        gl.tune(frame, target="y", split=gl.Split(validation=0.2, key=["w"]))
    with pytest.raises(gl.ColumnError, match="did you mean 'y'"):
        gl.tune(frame, target="Y")
    with pytest.raises(gl.UsageError, match="only trial failed, because .*'x9'"):
        gl.tune(frame, target="y", search={"features": [["x9"]], "lr": [0.1]})


def test_features_may_be_searched_and_one_may_be_missing() -> None:
    found = gl.tune(
        table(),
        target="y",
        split=SPLIT,
        search={"features": [["x0"], ["x0", "x3"], ["x9"]]},
    )
    assert [trial.status for trial in found.trials] == ["ok", "ok", "failed"]
    assert found.best == {"features": ["x0", "x3"]}
    assert "x9" in str(found.trials[2].reason)


def test_time_out_keeps_what_is_finished() -> None:
    found = gl.tune(
        table(),
        target="y",
        search={"loss": ["huber", "absolute"], "degree": [1, 2]},
        timeout=1e-9,
    )
    assert len(found.trials) == 1
    assert found.fit is not None
    assert "Out of time with 3 trials to go" in str(found)


def test_ctrl_c_keeps_the_finished_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    true, count = boards.fit, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        count.append(1)
        if len(count) == 3:
            import signal

            signal.raise_signal(signal.SIGINT)
        return true(*arguments, **named)

    monkeypatch.setattr(boards, "fit", interrupted)
    split = Watched(validation=0.2, test=0.2)
    with hearing_ctrl_c():
        found = gl.tune(
            table(),
            target="y",
            split=split,
            search={"loss": ["huber", "absolute"], "degree": [1, 2]},
        )
    assert found.interrupted
    assert len(found.trials) == 2
    assert found.fit is None
    assert found.test is None
    assert "test" not in split.__dict__["log"]
    assert "Stopped by Ctrl-C with 2 trials to go" in str(found)
    assert "<Tuning of 'y': 2 trials" in repr(found)


def test_ctrl_c_before_any_trial_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(boards, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gl.tune(table(), target="y", search={"loss": ["huber"]})


def test_progress_counts_trials() -> None:
    from contextlib import contextmanager

    seen: dict[str, list[Any]] = {}

    @contextmanager
    def progress(title: str, total: int | None) -> Any:
        counts = seen.setdefault(title, [total])
        yield counts.append

    search = {"lr": [0.001, 0.002], "epochs": [1, 2, 3]}
    gl.tune(table(), target="y", search=search, progress=progress)
    assert seen["trials"] == [6, *[1] * 6]
    assert "reading" in seen


def test_json_and_table() -> None:
    found = gl.tune(
        table(),
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={
            "penalty": ["ridge"],
            "alpha": (1e-3, 1.0, "log"),
            "bounds": [None, {"x0": (0, None)}],
        },
        trials=15,
    )
    value = json.loads(json.dumps(found.to_dict()))
    assert len(value["trials"]) == 15
    assert value["best"]["params"] == value["trials"][value["best"]["number"]]["params"]
    assert value["search"]["alpha"] == {
        "low": 0.001,
        "high": 1.0,
        "log": True,
        "whole": False,
    }
    assert value["test"].keys() == {"r2", "rmse", "mae", "rows"}
    assert value["rows"]["train"] > value["rows"]["validation"]
    text = str(found)
    assert "15 settings tried (random)" in text
    assert "and 5 more" in text
    assert "penalty" not in text.splitlines()[3]  # it is the same in all
    assert "Test part, read once: R²" in text
    best = found.ranked
    assert [t.score for t in best] == sorted(t.score for t in found.trials)  # type: ignore[type-var]


def test_r2_is_the_more_the_better() -> None:
    search = {"alpha": [0.001, 10.0], "penalty": ["ridge"]}
    found = gl.tune(table(), target="y", split=SPLIT, search=search, score="r2")
    assert found.best["alpha"] == 0.001
    assert found.chosen.score == max(t.score for t in found.trials)  # type: ignore[type-var]
    assert "validation R²" in str(found)


def test_chunks_and_files_make_no_difference(tmp_path: Path) -> None:
    frame = table(3000)
    search = {"alpha": [0.01, 1.0], "penalty": ["ridge", "lasso"]}
    whole = gl.tune(frame, target="y", split=SPLIT, search=search)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=100)
    parts = gl.tune(tmp_path / "a.parquet", target="y", split=SPLIT, search=search)
    for a, b in zip(whole.trials, parts.trials, strict=True):
        assert a.score == pytest.approx(b.score, rel=CLOSE)
    assert whole.test is not None
    assert parts.test is not None
    assert whole.test.rmse == pytest.approx(parts.test.rmse, rel=CLOSE)


def test_arrays(tmp_path: Path) -> None:
    x, y = gl.sample_linear_data(n=300, seed=1)
    found = gl.tune(x, y, search={"degree": [1, 5]})
    assert found.target == "y"
    found.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_a_refit_that_diverges_falls_back_and_says_so() -> None:
    """A rate just below the limit of the training part, above that of both."""
    frame = table(200)
    frame["part"] = ["train"] * 100 + ["validation"] * 60 + ["test"] * 40
    frame.loc[frame["part"] == "validation", FEATURES] *= 1.5
    found = gl.tune(
        frame,
        target="y",
        features=FEATURES,
        split=gl.Split(column="part"),
        epochs=50,
        search={"lr": [0.95 * limit(frame)]},
    )
    assert found.fit is not None
    assert found.fit.rows == 100
    assert "The refit on both parts failed" in str(found)


def limit(frame: pd.DataFrame) -> float:
    train = frame[frame["part"] == "train"]
    fit = gl.fit(train, target="y", features=FEATURES)
    return fit.certificate.lr_limit


def test_optuna_is_asked_for_only_when_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    gl.tune(table(), target="y", search={"lr": [0.001], "epochs": [1]})
    for named in ({"method": "optuna"}, {"storage": "a.db"}):
        with pytest.raises(
            gl.MissingExtraError, match=r"pip install 'gradline\[tune\]'"
        ):
            gl.tune(table(), target="y", **named)  # type: ignore[arg-type]


def test_a_module_that_does_not_fit_has_failed_and_the_search_goes_on() -> None:
    torch.manual_seed(0)
    good, bad = (torch.nn.Linear(n, 1).double() for n in (4, 3))
    found = gl.tune(
        table(),
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={"model": [bad, good]},
        epochs=3,
        lr=0.001,
    )
    assert [trial.status for trial in found.trials] == ["failed", "ok"]
    assert found.trials[0].reason
    assert json.dumps(found.to_dict())


def test_pictures(tmp_path: Path) -> None:
    found = gl.tune(
        table(),
        target="y",
        features=FEATURES,
        split=SPLIT,
        search={
            "penalty": [None, "ridge", "lasso"],
            "alpha": (1e-3, 10.0, "log"),
            "degree": (1, 3),
            "standardize": [True, False],
        },
        trials=80,
        score="r2",
    )
    figure = found.plot(tmp_path / "all.png")
    assert len(figure.axes) == 4
    assert [ax.get_xlabel() for ax in figure.axes] == list(found.space)
    assert figure.axes[0].get_ylabel() == "R²"
    assert figure.axes[1].get_xscale() == "log"
    figure = found.plot(tmp_path / "one.svg", params=["degree"])
    (ax,) = figure.axes
    labels = ax.get_legend_handles_labels()[1]
    assert labels[-1] == f"chosen: {found.best['degree']}"
    with pytest.raises(gl.UsageError, match="'lr' was not searched: give some of"):
        found.plot(params=["lr"])
    one = gl.tune(table(), target="y", search={"lr": [0.001], "epochs": [2]})
    with pytest.raises(gl.DataError, match="one setting and no curve"):
        one.plot()


def test_each_combination_of_words_has_a_line_of_its_own() -> None:
    search = {"penalty": ["ridge", "lasso"], "alpha": (1e-3, 10.0, "log")}
    found = gl.tune(table(), target="y", search=search, trials=20)
    (ax,) = found.plot(params=["alpha"]).axes
    known = {
        name: {t.params["alpha"] for t in found.trials if t.params["penalty"] == name}
        for name in ("ridge", "lasso")
    }
    drawn = [
        {*line.get_xdata()} for line in ax.get_lines() if len(line.get_xdata()) > 2
    ]
    assert len(drawn) == 4
    assert all(places in known.values() for places in drawn)


def test_long_names_of_ticks_differ() -> None:
    from gradline.plots.words import names_of

    same = "body_mass_g ~ sex + species + "
    texts = [f"{same}flipper_length_mm", f"{same}bill_length_mm", f"{same}year"]
    assert len({*names_of(texts)}) == 3
    middles = [f"aaaaaaaaaaaaaaa{n}{'b' * 30}" for n in range(3)]
    assert len({*names_of(middles)}) == 3
    assert all(len(name) <= 30 for name in names_of(middles))
    assert names_of(["a", "b c"]) == ["a", "b c"]


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"alpha": [1e-9, 1.0, 10.0]}, "chosen alpha is at the end .* the least: a sm"),
        ({"alpha": [0, 1.0, 10.0]}, None),
        ({"alpha": [1e-9, 1.0]}, None),
        ({"alpha": (1e3, 1e4)}, "the least: a smaller one may be better"),
        ({"degree": (1, 2), "alpha": [0]}, "chosen degree is .* the largest: a larger"),
    ],
)
def test_a_best_value_at_the_end_is_noted(search: Any, text: str | None) -> None:
    found = gl.tune(table(), target="y", search=search, penalty="ridge", trials=99)
    notes = [note for note in found.notes if "at the end" in note]
    assert bool(notes) == (text is not None)
    assert text is None or re.search(text, notes[0])


def test_none_is_the_default_and_a_found_alpha_is_shown() -> None:
    search = {"categories": [["kind"], None], "penalty": ["ridge"]}
    found = gl.tune(table(), target="y", search=search)
    assert found.count("failed") == 0
    assert found.fit is not None
    alpha = found.fit.settings["cross_validation"]["alpha"]
    said = str(found).partition("\nalpha ")[2].split()[0]
    assert float(said.replace(",", "")) == pytest.approx(alpha, rel=1e-3)


def test_one_row_to_validate_by_is_too_few() -> None:
    frame = table(40)
    frame["part"] = ["train"] * 39 + ["validation"]
    with pytest.raises(gl.DataError, match="validation part has one row that can be"):
        gl.tune(frame, target="y", features=["x0"], split=gl.Split(column="part"))
