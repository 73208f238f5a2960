"""Minibatch descent: the fast path is the plain loop, and the plain loop is torch's."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch

import gradline as gl
import gradline.minibatch
from gradline.affine import AffineSteps
from gradline.objective import Huber, Squared
from gradline.recurrence import Rule
from gradline.schedules import as_schedule
from gradline.shuffle import BatchStream
from gradline.stepping import LoopSteps
from helpers import TOLERANCE

Data = tuple[Any, Any]


def data(rows: int = 300, d: int = 3, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, d)) * np.arange(1, d + 1) + 0.5
    y = X @ random.normal(size=d) + 2 + random.normal(size=rows)
    return X, y


RULES = [
    {},
    {"momentum": 0.8},
    {"momentum": 0.8, "dampening": 0.3},
    {"momentum": 0.8, "nesterov": True},
]


def both(
    X: Any,
    y: Any,
    rule: dict[str, Any],
    *,
    size: int = 32,
    schedule: Any = None,
    weights: Any = None,
    intercept: bool = True,
    shuffle: bool = True,
    since: int = 7,
    scaled: bool = False,
    epochs: int = 3,
    lr: float = 0.01,
) -> list[Any]:
    """The fast path and the plain loop on the same batches."""
    from gradline.prepare import prepare

    prepared = prepare(X, y, weights=weights, intercept=intercept)
    found = []
    for kind in (AffineSteps, LoopSteps):
        stream = BatchStream(
            prepared.source,
            prepared.design,
            size,
            shuffle=shuffle,
            seed=3,
            shift=X.mean(0) if scaled else None,
            scale=X.std(0) if scaled else None,
        )
        start = torch.arange(1.0, X.shape[1] + 2, dtype=torch.float64)
        start[-1] *= intercept
        plan = as_schedule(schedule)
        steps: Any
        if kind is AffineSteps:
            steps = AffineSteps(
                stream, start, Rule(lr, **rule), plan, epochs, intercept
            )
        else:
            steps = LoopSteps(
                stream, start, Squared(), "SGD", lr, rule, plan, epochs, intercept
            )
        steps.restart_average(since)
        turns = list(steps.turns(epochs))
        assert [t.epoch for t in turns if t.last] == list(range(1, epochs + 1))
        assert sum(t.rows for t in turns) == epochs * len(y)
        found.append((steps.parameters(), steps.average()))
    return found


def assert_same(found: list[Any]) -> None:
    (fast, fast_mean), (plain, plain_mean) = found
    for one, other in ((fast, plain), (fast_mean, plain_mean)):
        torch.testing.assert_close(one, other, rtol=TOLERANCE["float64"], atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("schedule", [None, "cosine", "StepLR:step_size=1,gamma=0.5"])
@pytest.mark.parametrize("d", [3, 25])
def test_the_fast_path_is_the_plain_loop(
    rule: dict[str, Any], decay: float, schedule: Any, d: int
) -> None:
    X, y = data(d=d)  # 300 rows: the last of the batches of 32 is a short one
    lr = 0.01 if d == 3 else 1e-5
    rule = rule | ({"weight_decay": decay} if decay else {})
    assert_same(both(X, y, rule, schedule=schedule, lr=lr))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("d", [3, 25])
@pytest.mark.parametrize(
    ("weighted", "intercept", "shuffle", "scaled"),
    list(itertools.product([True, False], repeat=4)),
)
def test_with_weights_and_without_intercept(
    rule: dict[str, Any],
    d: int,
    weighted: bool,
    intercept: bool,
    shuffle: bool,
    scaled: bool,
) -> None:
    X, y = data(d=d)
    weights = np.random.default_rng(1).uniform(0, 3, len(y)) if weighted else None
    found = both(
        X,
        y,
        rule,
        weights=weights,
        intercept=intercept,
        shuffle=shuffle,
        scaled=scaled,
        lr=0.01 if d == 3 or scaled else 1e-5,
    )
    assert_same(found)


@pytest.mark.parametrize("size", [1, 7, 300, 1000])
def test_batches_of_any_size(size: int) -> None:
    X, y = data()
    assert_same(both(X, y, {"momentum": 0.5}, size=size, lr=0.001))


def by_hand(X: Any, y: Any, size: int, epochs: int, lr: float, seed: int) -> Any:
    """The loop of the tutorials: TensorDataset, DataLoader, Linear, SGD."""
    from torch.utils.data import DataLoader, TensorDataset

    model = torch.nn.Linear(X.shape[1], 1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(y))
        rows = TensorDataset(torch.from_numpy(X[order]), torch.from_numpy(y[order]))
        for part, target in DataLoader(rows, batch_size=size):
            loss = torch.nn.functional.mse_loss(model(part)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return np.append(model.weight.detach().numpy()[0], model.bias.detach().numpy())


def zeros(d: int) -> gl.LinearRegression:
    model = gl.LinearRegression(d, dtype=torch.float64)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    return model


def test_it_is_the_loop_with_a_data_loader() -> None:
    X, y = data()
    fit = gl.fit(
        X,
        y,
        batch_size=32,
        lr=0.005,
        momentum=0.9,
        epochs=4,
        seed=5,
        start=zeros(3),
    )
    wanted = by_hand(X, y, 32, 4, 0.005, 5)
    found = np.append(fit.slopes, fit.intercept)
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE["float64"])
    assert fit.method == "sgd"
    assert fit.settings["batch_size"] == 32
    assert fit.settings["average"] is False
    predicted = ((y - fit.predict(X)) ** 2).mean()
    assert fit.trace is not None
    assert fit.trace.losses[-1] == pytest.approx(predicted, rel=1e-9)


def test_descend_takes_the_same_batches() -> None:
    X, y = data()
    model = zeros(3)
    steps = list(
        gl.descend(
            model,
            X,
            y[:, None],
            lr=0.005,
            epochs=3,
            batch_size=64,
            seed=5,
            momentum=0.9,
        )
    )
    assert [(s.epoch, s.batch) for s in steps][4:7] == [(1, 5), (2, 1), (2, 2)]
    fit = gl.fit(
        X, y, batch_size=64, lr=0.005, momentum=0.9, epochs=3, seed=5, start=zeros(3)
    )
    found = model.weight.detach().numpy()[0]
    np.testing.assert_allclose(found, fit.slopes, rtol=TOLERANCE["float64"])
    with pytest.raises(gl.UsageError, match="seed is for drawing batches"):
        gl.descend(zeros(3), X, y[:, None], seed=1)
    with pytest.raises(gl.DivergenceError, match="at epoch 1"):
        list(gl.descend(zeros(3), X * 1e3, y[:, None], lr=1.0, batch_size=10))


def test_the_default_converges_on_unscaled_data() -> None:
    """scikit-learn#19451: features of a million and of a thousandth."""
    random = np.random.default_rng(0)
    X = random.normal(size=(5000, 4)) * [1e6, 1e-3, 1, 30] + [1e7, 0, -5, 100]
    y = X @ [1e-6, 1e3, 1, 0.1] + random.normal(size=5000)
    fit, exact = gl.fit(X, y, method="sgd"), gl.fit(X, y)
    c = fit.certificate
    assert c.status == "converged"
    assert c.relative_gap <= 1e-5
    assert c.optimum_loss == pytest.approx(exact.certificate.loss)
    np.testing.assert_allclose(fit.slopes, exact.slopes, rtol=2e-2)
    assert fit.settings["standardize"] is fit.settings["average"] is True
    assert fit.trace is not None
    assert fit.trace.losses[-1] == pytest.approx(c.loss)
    epochs = fit.settings["epochs"]
    assert len(fit.trace.weights) == len(fit.trace.epochs) == epochs + 1
    with pytest.raises(gl.DataError, match="no standard errors for minibatches"):
        fit.inference()
    assert fit.at(1).certificate.loss == pytest.approx(fit.trace.losses[1])
    assert fit.at(1).method == "sgd"
    with pytest.raises(gl.DataError, match="the last one is"):
        fit.at(epochs + 1)


def test_what_does_not_converge_says_so() -> None:
    """Nearly dependent columns: a thousand epochs are not enough."""
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    X = np.column_stack([x, x + 1e-4 * random.normal(size=200)])
    y = X[:, 0] - 300 * X[:, 1] + 0.01 * random.normal(size=200)
    fit = gl.fit(X, y, method="sgd", batch_size=20)
    assert fit.certificate.status == "not_converged"
    assert "take the optimum itself from method='exact'" in fit.certificate.advice
    few = gl.fit(*data(), method="sgd", epochs=1, seed=1)
    assert few.certificate.status == "not_converged"
    assert few.certificate.gap > 0


@pytest.mark.parametrize(
    "optimizer", ["Adam", "adamw", "RMSprop", "Adagrad", "Adadelta", "NAdam", "LBFGS"]
)
def test_any_optimiser_runs(optimizer: str) -> None:
    X, y = data()
    options: dict[str, Any] = {"batch_size": 50, "optimizer": optimizer}
    fit = gl.fit(X, y, lr=0.1, epochs=5, **options)
    assert fit.trace is not None
    assert fit.trace.losses[-1] < fit.trace.losses[0]
    if optimizer in ("Adagrad", "Adadelta", "LBFGS"):
        with pytest.raises(gl.UsageError, match="lr='auto' is for SGD, Adam, AdamW"):
            gl.fit(X, y, lr="auto", **options)
    else:  # whatever the units
        fit = gl.fit(X * 1e3, y, lr="auto", epochs=60, **options)
        assert fit.certificate.relative_gap < 0.02


@pytest.mark.parametrize("name", ["SparseAdam", "Muon"])
def test_an_optimiser_that_cannot_is_refused(name: str) -> None:
    with pytest.raises(gl.UsageError, match=name):
        gl.fit(*data(), batch_size=50, optimizer=name, epochs=2)


def test_a_rate_that_is_too_large_is_named_with_its_limit() -> None:
    X, y = data()
    with pytest.raises(
        gl.DivergenceError, match="with batches of 32 rows the"
    ) as raised:
        gl.fit(X * 1e3, y, batch_size=32, lr=0.1, epochs=5)
    message = str(raised.value)
    assert "or standardise the features (standardize=True, --standardize)" in message
    limit = raised.value.lr_limit
    assert limit is not None
    fit = gl.fit(X * 1e3, y, batch_size=32, lr=limit / 2, epochs=5)
    assert fit.certificate.loss < 1e3 * fit.certificate.optimum_loss
    with pytest.raises(gl.DivergenceError, match="Adagrad with lr 1e\\+300 diverges"):
        gl.fit(X, y, batch_size=32, optimizer="Adagrad", lr=1e300, epochs=5)


@pytest.mark.parametrize(("d", "size"), [(3, 8), (10, 64), (40, 64)])
def test_the_stability_limit_is_about_right(d: int, size: int) -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(4000, d))
    y = X.sum(1) + random.normal(size=4000)
    options: dict[str, Any] = {"batch_size": size, "standardize": True, "epochs": 20}
    with pytest.raises(gl.DivergenceError) as raised:
        gl.fit(X, y, lr=10.0, **options)
    limit = raised.value.lr_limit
    assert limit is not None
    gl.fit(X, y, lr=0.8 * limit, **options)
    with pytest.raises(gl.DivergenceError):
        gl.fit(X, y, lr=1.6 * limit, **options)


def test_rows_out_of_core_are_learned_from_too(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    X, y = data(2000)
    columns = {f"x{i + 1}": X[:, i] for i in range(3)} | {"y": y}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet", row_group_size=300)
    options: dict[str, Any] = {"batch_size": 50, "lr": 0.01, "epochs": 3}
    whole = gl.fit(X, y, shuffle=False, **options)
    monkeypatch.setattr("gradline.shuffle.HELD_BYTES", 0)
    monkeypatch.setattr("gradline.tables.KEPT_BYTES", 0)
    path = tmp_path / "data.parquet"
    streamed = gl.fit(path, target="y", shuffle=False, **options)
    np.testing.assert_array_equal(streamed.slopes, whole.slopes)
    shuffled = gl.fit(path, target="y", method="sgd", shuffle=400)
    assert shuffled.certificate.status == "converged"


def test_weights_count_as_rows_do() -> None:
    """With whole weights, batches of all rows: as if rows were repeated."""
    X, y = data(100)
    weights = np.random.default_rng(2).integers(0, 4, 100)
    options: dict[str, Any] = {"lr": 0.01, "epochs": 9, "shuffle": False, "seed": 1}
    weighted = gl.fit(X, y, weights=weights, batch_size=100, **options)
    again = np.repeat(np.arange(100), weights)
    repeated = gl.fit(X[again], y[again], batch_size=len(again), **options)
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, rtol=1e-9)


def test_scikit_learn_finds_the_same_line() -> None:
    from sklearn.linear_model import SGDRegressor

    X, y = data(5000)
    Z = (X - X.mean(0)) / X.std(0)
    model = SGDRegressor(penalty=None, average=True, tol=None, max_iter=50).fit(Z, y)
    fit = gl.fit(Z, y, method="sgd")
    np.testing.assert_allclose(fit.slopes, model.coef_, atol=0.02)
    theirs = np.square(y - model.predict(Z)).mean()
    assert fit.certificate.loss <= theirs + 1e-5 * fit.certificate.optimum_loss


@pytest.mark.parametrize(
    ("loss", "level"), [("absolute", 0.5), ("quantile:0.8", 0.8), ("quantile:0.1", 0.1)]
)
def test_quantiles_by_minibatches(loss: str, level: float) -> None:
    from sklearn.linear_model import QuantileRegressor

    X, y = data(1000)
    fit = gl.fit(X * [1e3, 1, 1e-3], y, batch_size=32, loss=loss, epochs=30)
    model = QuantileRegressor(quantile=level, alpha=0).fit(X, y)
    np.testing.assert_allclose(
        fit.slopes * [1e3, 1, 1e-3], model.coef_, atol=4 / np.sqrt(1000)
    )
    r = y - model.predict(X)
    best = np.maximum(level * r, (level - 1) * r).mean() * (2 if level == 0.5 else 1)
    if loss == "absolute":
        assert fit.certificate.objective == "mean absolute error"
    assert fit.certificate.loss == pytest.approx(best, rel=2e-3)
    assert fit.certificate.bound == "none"
    assert np.isnan(fit.certificate.gap)
    assert fit.certificate.status == "converged"
    assert "no standard errors for the" in str(fit.no_inference)
    assert fit.metrics.mae == pytest.approx(
        np.abs(y - fit.predict(X * [1e3, 1, 1e-3])).mean()
    )


def test_huber_by_minibatches() -> None:
    X, y = data(1000)
    y[::20] += 50
    fit = gl.fit(X, y, method="sgd", loss=Huber(1.5, 1.0), epochs=40)
    theta = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    rows = torch.from_numpy(np.column_stack([X, np.ones(1000)]))
    optimizer = torch.optim.LBFGS([theta], max_iter=200, tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.huber_loss(
            rows @ theta, torch.from_numpy(y), delta=1.5
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    best = closure().item()
    assert fit.certificate.loss == pytest.approx(best, rel=1e-3)
    found = np.append(fit.slopes, fit.intercept)
    np.testing.assert_allclose(found, theta.detach().numpy(), atol=0.05)
    with pytest.raises(
        gl.UsageError, match="Huber loss by minibatches needs its scale"
    ):
        gl.fit(X, y, method="sgd", loss="huber")


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_early_stopping_by_the_validation_part(loss: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 40))
    y = X[:, 0] + 3 * random.normal(size=120)
    fit = gl.fit(
        X,
        y,
        method="sgd",
        batch_size=16,
        loss=loss,
        lr=0.01,
        start=zeros(40),
        split=gl.Split(validation=0.4, seed=0),
        early_stopping=5,
    )
    trace = fit.trace
    assert trace is not None
    assert trace.validation_losses is not None
    best = int(np.argmin(trace.validation_losses))
    assert fit.settings["epochs"] == trace.best_epoch == trace.epochs[best]
    assert trace.epochs[-1] == trace.best_epoch + 5
    np.testing.assert_array_equal(fit.slopes, trace.weights[best])
    assert fit.settings["early_stopping"]["patience"] == 5


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1]),
        ("inverse", [1, 2 / 3, 1 / 2, 2 / 5]),
        ("linear", [1, 3 / 4, 1 / 2, 1 / 4]),
        ("cosine", [1, 0.8535533905932737, 0.5, 0.14644660940672624]),
        ("StepLR:step_size=1,gamma=0.5", [1, 1, 0.5, 0.5]),
        ({"name": "ExponentialLR", "gamma": 0.1}, [1, 1, 0.1, 0.1]),
        ("cosineannealinglr", [1, 1, 0.5, 0.5]),
        ("OneCycleLR:max_lr=1.0,cycle_momentum=false,pct_start=0.5", None),
    ],
)
def test_schedules(schedule: Any, factors: list[float] | None) -> None:
    from gradline.schedules import Rates

    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    rates = Rates(as_schedule(schedule), optimizer, per_epoch=2, epochs=2)
    found = []
    for epoch in range(2):
        for batch in range(2):
            rates.before(2 * epoch + batch)
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            rates.after()
        rates.end_epoch(1.0)
    if factors is None:
        assert found[1] == 1.0
        assert found[0] == pytest.approx(1 / 25)
    else:
        np.testing.assert_allclose(found, factors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"schedule": "LambdaLR"}, "wants a Python function"),
        ({"schedule": "cosine:T=3"}, "has no settings: leave out T"),
        ({"schedule": "StepLR"}, "refuses: .*step_size"),
        ({"schedule": "StepLR:stepsize=3"}, "did you mean 'step_size'"),
        ({"schedule": "StepLR:3"}, "NAME=VALUE is meant"),
        ({"schedule": 3}, "schedule is 3: give one of 'constant'"),
        ({"batch_size": 0}, "batch_size is 0: give 1 or more"),
        ({"average": "yes"}, "average is 'yes': give True or False"),
        ({"shuffle": -3}, "shuffle is -3: give True, False"),
        ({"method": "exact"}, "method does not go with minibatches"),
        ({"penalty": "ridge"}, "penalty does not go with minibatches"),
        ({"lr": -1.0}, "lr is -1.0: give a positive number"),
        ({"optimizer": "Adams"}, "did you mean 'Adam'"),
        ({"nesterov": True}, "Nesterov momentum requires"),
        ({"optimizer_options": {"beta": 1}}, "no setting|has no setting|refuses"),
        ({"early_stopping": True}, "early_stopping needs rows to watch"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    given = {"batch_size": 32, "epochs": 2} | options
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(*data(), **given)


def test_on_the_command_line(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from commands import run

    X, y = data()
    rows = np.column_stack([X, y])
    path = tmp_path / "data.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b,c,y", comments="")
    model = tmp_path / "m.safetensors"
    words = ["fit", str(path), "--target", "y", "--method", "sgd", "--batch-size", "64"]
    words += ["--epochs", "5", "--schedule", "cosine", "--average", "--lr", "0.01"]
    words += ["--checkpoint", str(tmp_path / "run.ckpt"), "-o", str(model)]
    code, out, err = run(capsys, *words)
    assert code == 0, err
    out = " ".join(out.split())
    assert "SGD on batches of 64 rows, lr 0.01, cosine schedule" in out
    assert "5 epochs" in out
    fit = gl.load(model)
    same = gl.fit(
        path,
        target="y",
        method="sgd",
        batch_size=64,
        epochs=5,
        schedule="cosine",
        average=True,
        lr=0.01,
    )
    assert fit.coefficients == same.coefficients
    assert fit.settings["schedule"] == "cosine"
    assert not (tmp_path / "run.ckpt").exists()
    code, _, err = run(capsys, *words[:8], "--shuffle", "--schedule", "cosin")
    assert code == 2
    assert "did you mean 'cosine'?" in err


def test_a_rate_that_was_found_is_quartered_where_it_diverges(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data(1000)
    plain = gl.fit(X, y, method="sgd")
    settled = gradline.minibatch.settle

    def far(*given: Any) -> Any:
        plan = settled(*given)
        return dataclasses.replace(plan, lr=64 * plan.lr)

    monkeypatch.setattr(gradline.minibatch, "settle", far)
    fit = gl.fit(X, y, method="sgd", checkpoint=tmp_path / "run.ckpt")
    assert fit.certificate.status == "converged"
    assert fit.settings["lr"] <= 4 * plain.settings["lr"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"intercept": False},
        {"weights": "drawn"},
        {"batch_size": 10**6},
        {"batch_size": 8},
    ],
    ids=str,
)
def test_the_default_converges_however_it_is_dressed(options: dict[str, Any]) -> None:
    X, y = data(2000)
    if "weights" in options:
        options = {"weights": np.random.default_rng(0).exponential(size=2000)}
    fit = gl.fit(X * [1e4, 1, 1e-4], y, method="sgd", **options)
    assert fit.certificate.status == "converged"


def test_degenerate_data_say_what_they_are() -> None:
    X, y = data(500)
    fit = gl.fit(np.column_stack([X, np.ones(500)]), y, method="sgd")
    assert fit.certificate.status == "rank_deficient"
    exact = gl.fit(X, X @ [1.0, 2.0, 3.0], method="sgd")
    assert exact.certificate.status == "converged"
    assert exact.certificate.loss < 1e-10


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            "OneCycleLR:max_lr=1,total_steps=3",
            "this run has 14 steps",
        ),
        ("StepLR:step_size=a", "StepLR refuses"),
        ("StepLR:step_size=0", "StepLR refuses"),
        ("StepLR:step_size=2:gamma=1", "where NAME=VALUE is meant"),
        ("SequentialLR", "is made of other schedulers"),
        ("cosin", r"did you mean 'cosine'\?$"),
    ],
)
def test_schedules_that_cannot_be(schedule: str, message: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 2))
    with pytest.raises(gl.UsageError, match=message):
        gl.fit(X, X.sum(axis=1), batch_size=16, epochs=2, schedule=schedule)


@pytest.mark.parametrize("text", ["3,6", "[3,6]", "(3, 6)"])
def test_milestones_are_a_list(text: str) -> None:
    found = as_schedule(f"MultiStepLR:milestones={text},gamma=0.5")
    assert found.options == {"milestones": [3, 6], "gamma": 0.5}
    assert as_schedule(str(found)) == found
    assert as_schedule("MultiStepLR:milestones=3").options == {"milestones": [3]}


@pytest.mark.parametrize(
    "given",
    [
        {"shuffle": False},
        {"average": True},
        {"schedule": "cosine"},
        {"checkpoint": "run.ckpt"},
    ],
)
@pytest.mark.parametrize("method", ["auto", "gd", "exact"])
def test_settings_of_minibatches_alone_ask_for_none(
    given: dict[str, Any], method: Any
) -> None:
    x, y = gl.sample_linear_data(50, seed=0)
    with pytest.raises(gl.UsageError, match=f"{next(iter(given))} is for minibatches"):
        gl.fit(x, y, method=method, **given)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "RMSprop"])
def test_adam_needs_no_rate_on_unscaled_data(optimizer: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 2)) * [1000, 0.01] + [5000, 0]
    y = X @ [0.003, 200] + random.normal(size=2000)
    fit = gl.fit(X, y, method="sgd", optimizer=optimizer)
    assert fit.settings["standardize"] is True
    assert fit.certificate.relative_gap < 1e-2
    other = gl.fit(X, y, method="sgd", optimizer="Adagrad", epochs=2)
    assert other.settings["standardize"] is True


def test_an_epoch_and_a_checkpoint_are_named_as_they_are() -> None:
    x, y = gl.sample_linear_data(200, seed=0)
    fit = gl.fit(x, y, method="sgd", lr=0.01, epochs=5)
    assert "after epoch 2" in fit.at(2).settings["no_inference"]
    with pytest.raises(gl.FileError, match=r"with checkpoint \(--checkpoint\)"):
        gl.fit(x, y, method="sgd", checkpoint="nowhere/run.ckpt")
