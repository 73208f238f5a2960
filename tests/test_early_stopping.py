"""Early stopping: as a loop by hand stops, at the same epoch with the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import gradline as gl
from gradline.data import Array, Chunk
from gradline.prepare import prepare
from gradline.stopping import Stopper
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]
SPLIT = gl.Split(validation=0.3, seed=1)
DEGREE = 12


def polynomial(rows: int = 80, seed: int = 4) -> tuple[Array, Array]:
    """A sine with noise, and the powers of x to predict it from."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows)
    y = np.sin(3 * x) + 0.4 * rng.normal(size=rows)
    return np.column_stack([x**k for k in range(1, DEGREE + 1)]), y


def part(X: Array, y: Array, name: str, weights: Any = None) -> Chunk:
    """The rows of a part of SPLIT."""
    prepared = prepare(X, y, weights=weights, split=SPLIT)
    source = prepared.source if name == "train" else prepared.validation
    assert source is not None
    (chunk,) = prepared.design.chunks(source)
    return chunk


class Loop:
    """The loop by hand: validation loss at every epoch, patience, best weights kept."""

    def __init__(
        self,
        X: Array,
        y: Array,
        make: Any,
        epochs: int,
        patience: int,
        min_delta: float = 0.0,
        weight: Array | None = None,
    ) -> None:
        train, held = part(X, y, "train"), part(X, y, "validation")
        xt, yt = torch.from_numpy(train.X), torch.from_numpy(train.y)
        xv, yv = torch.from_numpy(held.X), torch.from_numpy(held.y)
        model = gl.LinearRegression(
            X.shape[1],
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(0),
        )
        optimizer = make(model.parameters())
        self.seen: list[float] = []
        self.losses: list[float] = []
        best = np.inf
        for epoch in range(epochs + 1):
            if epoch:
                optimizer.zero_grad()
                nn.functional.mse_loss(model(xt)[:, 0], yt).backward()
                optimizer.step()
            with torch.no_grad():
                seen = float(nn.functional.mse_loss(model(xv)[:, 0], yv))
                self.losses.append(float(nn.functional.mse_loss(model(xt)[:, 0], yt)))
            self.seen.append(seen)
            if seen < best - (min_delta if epoch else 0):
                best, self.best_epoch = seen, epoch
                self.slopes = model.weight.detach().numpy()[0].copy()
                self.intercept = float(model.bias.detach())
            elif epoch - self.best_epoch >= patience:
                break
        self.last_epoch = epoch


OPTIMIZERS: list[tuple[dict[str, Any], Any]] = [
    ({"lr": 0.3}, lambda p: torch.optim.SGD(p, lr=0.3)),
    (
        {"lr": 0.1, "momentum": 0.9},
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ),
    (
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(
            p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01
        ),
    ),
    ({"lr": 0.05, "optimizer": "Adam"}, lambda p: torch.optim.Adam(p, lr=0.05)),
    ({"lr": 0.01, "optimizer": "RMSprop"}, lambda p: torch.optim.RMSprop(p, lr=0.01)),
]


@pytest.mark.parametrize(("settings", "make"), OPTIMIZERS)
@pytest.mark.parametrize(("patience", "min_delta"), [(5, 0.0), (100, 0.0), (10, 1e-4)])
def test_it_stops_as_a_loop_by_hand(
    settings: dict[str, Any], make: Any, patience: int, min_delta: float
) -> None:
    X, y = polynomial()
    want = Loop(X, y, make, 1500, patience, min_delta)
    fit = gl.fit(
        X,
        y,
        epochs=1500,
        split=SPLIT,
        early_stopping=gl.EarlyStopping(patience, min_delta),
        **settings,
    )
    assert fit.trace is not None
    assert fit.trace.best_epoch == want.best_epoch == fit.settings["epochs"]
    assert fit.trace.epochs[-1] == want.last_epoch
    np.testing.assert_allclose(fit.slopes, want.slopes, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(fit.intercept, want.intercept, rtol=RTOL, atol=RTOL)
    seen = fit.trace.validation_losses
    assert seen is not None
    np.testing.assert_allclose(seen, np.array(want.seen)[fit.trace.epochs], rtol=RTOL)
    np.testing.assert_allclose(
        fit.trace.losses, np.array(want.losses)[fit.trace.epochs], rtol=RTOL
    )


def test_validation_losses_are_recorded_without_early_stopping() -> None:
    X, y = polynomial()
    want = Loop(X, y, OPTIMIZERS[0][1], 50, 1000)
    for settings in (OPTIMIZERS[0][0], {"lr": 0.3, "optimizer": "SGD"}):
        fit = gl.fit(X, y, epochs=50, split=SPLIT, **settings)
        assert fit.trace is not None
        assert fit.trace.validation_losses is not None
        np.testing.assert_allclose(fit.trace.validation_losses, want.seen, rtol=RTOL)
        assert fit.trace.best_epoch is None
        assert fit.settings["epochs"] == 50


def test_weights_count_in_the_validation_loss() -> None:
    X, y = polynomial()
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    fit = gl.fit(X[:, :3], y, weights=w, epochs=20, lr=0.1, split=SPLIT)
    assert fit.trace is not None
    assert fit.trace.validation_losses is not None
    chunk = part(X[:, :3], y, "validation", w)
    residual = chunk.y - chunk.X @ fit.slopes - fit.intercept
    want = np.average(residual**2, weights=chunk.weight)
    assert fit.trace.validation_losses[-1] == pytest.approx(want, rel=RTOL)


def test_far_columns_keep_the_digits_of_the_validation_loss() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) + 1e7
    y = X[:, 0] - 1e7 + 0.1 * rng.normal(size=300)
    fit = gl.fit(X, y, lr="auto", epochs=60, split=SPLIT)
    assert fit.trace is not None
    assert fit.trace.validation_losses is not None
    held = part(X, y, "validation")
    residual = held.y - fit.predict(held.X)
    assert fit.trace.validation_losses[-1] == pytest.approx(
        np.mean(residual**2), rel=1e-6
    )


def test_the_certificate_says_that_it_stopped_on_purpose() -> None:
    X, y = polynomial()
    fit = gl.fit(X, y, lr=0.3, epochs=100_000, split=SPLIT, early_stopping=50)
    assert fit.certificate.status == "not_converged"
    best = fit.settings["epochs"]
    assert f"Stopped on purpose at epoch {best:,} of 100,000" in fit.certificate.advice
    assert "validation loss is least" in fit.certificate.advice
    assert fit.settings["early_stopping"]["patience"] == 50
    assert "early stopping" in str(fit)


def test_a_validation_loss_that_still_falls_asks_for_more_epochs() -> None:
    X, y = polynomial()
    fit = gl.fit(X, y, lr=0.3, epochs=3, split=SPLIT, early_stopping=True)
    assert "still falling at the last epoch, 3" in fit.certificate.advice
    assert fit.trace is not None
    assert fit.trace.best_epoch == 3


def test_no_epoch_better_than_the_start_keeps_the_start() -> None:
    X, y = polynomial()
    held = part(X[:, :1], y, "validation")
    best = gl.fit(held.X, held.y).model  # nothing is better on the validation rows
    fit = gl.fit(
        X[:, :1], y, start=best, lr=0.1, epochs=100, split=SPLIT, early_stopping=7
    )
    assert fit.trace is not None
    assert fit.trace.best_epoch == 0
    assert fit.trace.epochs[-1] == 7
    np.testing.assert_allclose(fit.slopes, best.weight.detach().numpy()[0], rtol=RTOL)


def test_long_runs_stop_without_being_walked() -> None:
    """Ten million epochs planned, and the trace thins out without losing the best."""
    X, y = polynomial(300)
    fit = gl.fit(X, y, lr=0.02, epochs=10_000_000, split=SPLIT, early_stopping=10)
    assert fit.trace is not None
    assert fit.trace.best_epoch in fit.trace.epochs
    seen = fit.trace.validation_losses
    assert seen is not None
    assert seen.min() == seen[fit.trace.epochs == fit.trace.best_epoch][0]


def test_other_epochs_of_a_stopped_fit() -> None:
    X, y = polynomial()
    fit = gl.fit(X, y, lr=0.3, epochs=3000, split=SPLIT, early_stopping=5)
    best = fit.settings["epochs"]
    there = fit.at(best)
    np.testing.assert_array_equal(there.slopes, fit.slopes)
    assert there.trace is not None
    assert there.trace.validation_losses is not None
    assert "early_stopping" not in there.settings
    assert fit.at(best + 3).settings["epochs"] == best + 3
    assert fit.loss_surface().trail is not None


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_file_keeps_it(tmp_path: Path, optimizer: str) -> None:
    X, y = polynomial()
    fit = gl.fit(
        X, y, lr=0.05, optimizer=optimizer, split=SPLIT, early_stopping=5, epochs=2000
    )
    fit.save(tmp_path / "model.safetensors")
    again = gl.load(tmp_path / "model.safetensors")
    assert again.trace is not None
    assert fit.trace is not None
    assert again.trace.best_epoch == fit.trace.best_epoch
    assert again.trace.validation_losses is not None
    assert fit.trace.validation_losses is not None
    np.testing.assert_array_equal(
        again.trace.validation_losses, fit.trace.validation_losses
    )
    assert again.settings == fit.settings
    assert again.at(fit.settings["epochs"]) is again
    assert again.at(2).trace is not None


def test_the_picture_shows_both_losses_and_the_epoch() -> None:
    X, y = polynomial()
    fit = gl.fit(X, y, lr=0.3, epochs=3000, split=SPLIT, early_stopping=50)
    left, right = fit.plot_loss().axes
    labels = left.get_legend_handles_labels()[1]
    assert labels[:2] == ["training", "validation"]
    assert f"chosen: epoch {fit.settings['epochs']:,}" in labels
    assert right.get_ylabel() == "loss − optimum"
    plain = gl.fit(X, y, lr=0.3, epochs=300, split=SPLIT).plot_loss().axes[0]
    assert "chosen" not in " ".join(plain.get_legend_handles_labels()[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.1}, r"give split=gl.Split\(validation=0.2\)"),
        ({"lr": 0.1, "split": gl.Split(test=0.2)}, "needs rows to watch"),
        ({}, "early_stopping is for a descent"),
        ({"lr": 0.1, "early_stopping": 0}, "early_stopping is 0: give 1 or more"),
        ({"lr": 0.1, "early_stopping": "yes"}, "give True, a number of epochs"),
        ({"lr": 0.1, "early_stopping": 2.5}, "give True, a number of epochs"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    X, y = polynomial()
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(X, y, **{"early_stopping": True, **settings})


def test_the_rule_itself() -> None:
    for bad, message in ((0, "patience is 0"), (1.5, "patience is 1.5")):
        with pytest.raises(gl.UsageError, match=message):
            gl.EarlyStopping(bad)  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match="min_delta is -1"):
        gl.EarlyStopping(min_delta=-1)
    stopper = Stopper(gl.EarlyStopping(2))
    seen = [3.0, 2.0, 2.0 * (1 - 1e-16), 2.5]  # lower by rounding is not lower
    found = [stopper.improves(e, v) for e, v in enumerate(seen)]
    assert found == [True, True, False, False]
    assert stopper.waited_enough
    assert stopper.best_epoch == 1


@pytest.mark.parametrize("options", [{}, {"optimizer": "Adam"}])
def test_validation_rows_of_an_unknown_level_are_counted(
    options: dict[str, Any],
) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=100), "kind": ["a", "b"] * 50})
    table["part"] = ["train"] * 70 + ["validation"] * 30
    table.loc[[80, 90], "kind"] = "c"  # which no training row has
    table["y"] = table["x"] + rng.normal(size=100)
    split = gl.Split(column="part")
    fit = gl.fit(table, target="y", lr=0.1, epochs=30, split=split, **options)
    assert any("2 rows of the validation part have a level" in n for n in fit.notes)
    known = table[70:].query("kind != 'c'")
    want = np.mean((known["y"] - fit.predict(known)) ** 2)
    assert fit.trace is not None
    assert fit.trace.validation_losses is not None
    assert fit.trace.validation_losses[-1] == pytest.approx(want, rel=RTOL)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gradline.cli import main

    X, y = polynomial()
    names = [f"x{k}" for k in range(1, DEGREE + 1)]
    pd.DataFrame(X, columns=names).assign(y=y).to_csv(tmp_path / "d.csv", index=False)
    words = ["fit", str(tmp_path / "d.csv"), "--target", "y", "--lr", "0.3"]
    words += ["--epochs", "2000", "--patience", "20", "--json"]
    words += ["-o", str(tmp_path / "m.safetensors")]
    assert main(words) == 2
    assert "--validation 0.2" in capsys.readouterr().err
    picture = tmp_path / "loss.png"
    words += ["--validation", "0.3", "--split-seed", "1", "--plot-loss", str(picture)]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert picture.stat().st_size > 1000
    trace = found["trace"]
    assert len(trace["validation_losses"]) == len(trace["epochs"])
    assert trace["best_epoch"] == found["settings"]["epochs"]
    assert found["settings"]["early_stopping"]["patience"] == 20
    assert "Stopped on purpose" in found["certificate"]["advice"]


@pytest.mark.parametrize("min_delta", [0.0, 0.01])
@pytest.mark.parametrize("patience", [3, 40])
def test_epochs_in_blocks_are_epochs_one_by_one(
    patience: int, min_delta: float
) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(400)
    for noise in (0.0, 1e-17, 1e-3, 0.1):
        losses = np.exp(-time / 60) + 1e-6 * time + noise * rng.normal(size=400)
        rule = gl.EarlyStopping(patience, min_delta)
        one, many = Stopper(rule), Stopper(rule)
        for epoch, loss in enumerate(losses.tolist()):
            one.improves(epoch, loss)
            if one.waited_enough:
                break
        for start in range(0, 400, 37):
            if many.sees(start, losses[start : start + 37]):
                break
        assert many == one
