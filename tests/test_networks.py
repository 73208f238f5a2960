"""Modules of the user's own: the loop by hand, bit for bit; files; refusals."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradline as gl
from gradline import moduleloop
from gradline.data import Array
from gradline.prepare import prepare
from gradline.save import strict_json
from gradline.shuffle import BatchStream
from gradline.summary import summary
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]
EPOCHS = 25


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For products so small, threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def data(rows: int = 120, seed: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3)) * [3, 10, 1] + [5, -4, 0]
    y = np.sin(X[:, 0]) + 0.1 * X[:, 1] + 0.1 * rng.normal(size=rows)
    return X, y


def net(*layers: nn.Module, seed: int = 7) -> nn.Module:
    """A small network; its weights drawn without touching torch's own numbers."""
    made = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), *layers, nn.Linear(8, 1))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=source))
    return made


def by_hand(
    model: nn.Module,
    X: Array,
    y: Array,
    criterion: Any,
    epochs: int = EPOCHS,
    make: Any = lambda p: torch.optim.SGD(p, lr=0.1),
) -> tuple[nn.Module, list[float]]:
    """The five steps, written once more."""
    model = copy.deepcopy(model)
    dtype = next(model.parameters()).dtype
    x, t = torch.from_numpy(X).to(dtype), torch.from_numpy(y).to(dtype)[:, None]
    optimizer = make(model.parameters())
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(11)
        for _ in range(epochs):
            model.train()
            loss = criterion(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return model.eval(), losses


def same_bits(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


@pytest.mark.parametrize("layers", [(), (nn.Dropout(0.3),), (nn.BatchNorm1d(8),)])
@pytest.mark.parametrize(
    ("loss", "criterion"),
    [
        ("squared", nn.MSELoss()),
        ("absolute", nn.L1Loss()),
        ("huber:1.35:0.5", nn.HuberLoss(delta=0.675)),
        (nn.SmoothL1Loss(), nn.SmoothL1Loss()),
        (lambda p, t: (p - t).abs().pow(1.5).mean(),) * 2,
    ],
    ids=["squared", "absolute", "huber", "module", "function"],
)
def test_training_is_the_loop_by_hand_bit_for_bit(
    layers: tuple[nn.Module, ...], loss: Any, criterion: Any
) -> None:
    X, y = data()
    model = net(*layers)
    before = copy.deepcopy(model)
    want, losses = by_hand(model, X, y, criterion)
    fit = gl.fit(
        X, y, model=model, loss=loss, lr=0.1, epochs=EPOCHS, standardize=False, seed=11
    )
    assert same_bits(fit.model, want)
    assert same_bits(model, before)  # the one that was given is as it was
    assert fit.trace is not None
    assert fit.trace.losses[:-1].tolist() == losses
    with torch.no_grad():
        predicted = want(torch.from_numpy(X).float())[:, 0].double().numpy()
    np.testing.assert_array_equal(fit.predict(X), predicted)


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        (None, {"momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
        ("Adam", {}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ("LBFGS", {}, lambda p: torch.optim.LBFGS(p, lr=0.01)),
    ],
)
def test_any_optimiser(name: str | None, options: dict[str, Any], make: Any) -> None:
    X, y = data()
    want, _ = by_hand_closure(net(), X, y, make)
    fit = gl.fit(
        X,
        y,
        model=net(),
        optimizer=name,
        lr=0.01,
        epochs=10,
        standardize=False,
        **options,
    )
    assert same_bits(fit.model, want)


def by_hand_closure(
    model: nn.Module, X: Array, y: Array, make: Any
) -> tuple[nn.Module, None]:
    x, t = torch.from_numpy(X).float(), torch.from_numpy(y).float()[:, None]
    optimizer = make(model.parameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = nn.functional.mse_loss(model(x), t)
        loss.backward()
        return loss

    for _ in range(10):
        closure()
        optimizer.step(closure if isinstance(optimizer, torch.optim.LBFGS) else None)
    return model, None


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("loss", ["squared", nn.SmoothL1Loss()])
def test_minibatches_are_the_loop_by_hand_bit_for_bit(shuffle: bool, loss: Any) -> None:
    X, y = data()
    model = net(nn.Dropout(0.2))
    want = copy.deepcopy(model)
    optimizer = torch.optim.Adam(want.parameters(), lr=0.01)
    criterion = nn.MSELoss() if loss == "squared" else loss
    design = prepare(X, y).design
    stream = BatchStream(prepare(X, y).source, design, 32, seed=4, shuffle=shuffle)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        for epoch in range(1, 6):
            for chunk in stream.epoch(epoch):
                want.train()
                x = torch.from_numpy(chunk.X).float()
                t = torch.from_numpy(chunk.y).float()
                value = criterion(want(x)[:, 0], t)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
    fit = gl.fit(
        X,
        y,
        model=model,
        loss=loss,
        batch_size=32,
        shuffle=shuffle,
        optimizer="Adam",
        lr=0.01,
        epochs=5,
        seed=4,
        standardize=False,
    )
    assert same_bits(fit.model, want)
    assert fit.settings["batch_size"] == 32
    assert len(fit.trace or ()) == 6
    x, t = torch.from_numpy(X).float(), torch.from_numpy(y).float()
    with torch.no_grad():
        last = float(criterion(fit.model(x)[:, 0], t))
    assert fit.certificate.loss == pytest.approx(last, rel=1e-5)


def test_early_stopping_by_minibatches_keeps_the_best_epoch() -> None:
    X, y = data(300)
    options: Any = {
        "model": net(),
        "optimizer": "Adam",
        "lr": 0.02,
        "batch_size": 32,
        "split": gl.Split(validation=0.3),
    }
    fit = gl.fit(X, y, epochs=60, early_stopping=4, **options)
    assert fit.trace is not None
    seen = fit.trace.validation_losses
    assert seen is not None
    assert fit.trace.best_epoch == int(np.argmin(seen))
    there = gl.fit(X, y, epochs=fit.trace.best_epoch, **options)
    assert same_bits(fit.model, there.model)
    held = prepare(X, y, split=options["split"]).validation
    assert held is not None
    (chunk,) = fit.design.chunks(held)
    rmse = np.sqrt(np.mean((fit.predict_terms(chunk.X) - chunk.y) ** 2))
    assert seen.min() == pytest.approx(rmse**2, rel=1e-4)


def test_inputs_are_standardised_by_the_training_rows() -> None:
    X, y = data()
    split = gl.Split(validation=0.3)
    fit = gl.fit(X, y, model=net(), epochs=30, split=split)
    plain = gl.fit(X, y, split=split)
    network = fit._network
    assert network is not None
    assert network.center is not None
    np.testing.assert_allclose(network.center, plain.center, rtol=RTOL)
    scaled = (X - network.center.numpy()) / network.scale.numpy()  # type: ignore[union-attr]
    again = gl.fit(scaled, y, model=net(), epochs=30, standardize=False)
    assert again.metrics.rmse != fit.metrics.rmse  # it has learned from all rows
    with torch.no_grad():  # the model takes the terms as they are
        found = fit.model(torch.from_numpy(X))[:, 0].double().numpy()
    np.testing.assert_allclose(found, fit.predict(X), rtol=1e-6)


def test_early_stopping_is_that_of_a_loop_by_hand() -> None:
    X, y = data()
    split = gl.Split(validation=0.3)
    fit = gl.fit(
        X,
        y,
        model=net(),
        optimizer="Adam",
        lr=0.03,
        epochs=400,
        standardize=False,
        split=split,
        early_stopping=15,
    )
    prepared = prepare(X, y, split=split)
    assert prepared.validation is not None
    (train,) = fit.design.chunks(prepared.source)
    (seen,) = fit.design.chunks(prepared.validation)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    x, t = torch.from_numpy(train.X).float(), torch.from_numpy(train.y).float()[:, None]
    xv, tv = torch.from_numpy(seen.X).float(), torch.from_numpy(seen.y).float()[:, None]
    best, best_epoch, state, losses = np.inf, 0, model.state_dict(), []
    for epoch in range(401):
        if epoch:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), t).backward()
            optimizer.step()
        with torch.no_grad():
            losses.append(float(nn.functional.mse_loss(model(xv), tv)))
        if losses[-1] < best:
            best, best_epoch = losses[-1], epoch
            state = copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= 15:
            break
    model.load_state_dict(state)
    assert fit.trace is not None
    assert fit.trace.best_epoch == best_epoch == fit.settings["epochs"]
    assert fit.trace.validation_losses is not None
    assert fit.trace.validation_losses.tolist() == losses
    assert same_bits(fit.model, model)
    assert any("Stopped on purpose" in note for note in fit.notes)


def test_torchs_own_random_numbers_go_on_undisturbed() -> None:
    X, y = data()
    model = net(nn.Dropout(0.5))
    torch.manual_seed(3)
    want = torch.rand(4)
    torch.manual_seed(3)
    first = gl.fit(X, y, model=model, epochs=5, seed=1)
    assert torch.equal(torch.rand(4), want)
    again = gl.fit(X, y, model=model, epochs=5, seed=1)
    other = gl.fit(X, y, model=model, epochs=5, seed=2)
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert (first.predict(X) != other.predict(X)).any()


def test_a_linear_module_is_held_against_the_exact_optimum() -> None:
    X, y = data()
    fit = gl.fit(X, y, model=nn.Linear(3, 1, dtype=torch.float64), epochs=500)
    exact = gl.fit(X, y)
    assert fit.certificate.bound == "exact"
    assert fit.certificate.status == "converged"
    assert fit.certificate.optimum_loss == pytest.approx(
        exact.certificate.optimum_loss, rel=RTOL
    )
    np.testing.assert_allclose(fit.slopes, exact.slopes, rtol=1e-6)
    assert fit.intercept == pytest.approx(exact.intercept, rel=1e-6)
    assert fit.trace is not None
    assert fit.trace.weights.shape == (501, 3)
    np.testing.assert_array_equal(fit.trace.weights[-1], fit.slopes)
    assert fit.inference().p.keys() == exact.inference().p.keys()


def test_a_loss_module_trains_a_line() -> None:
    from scipy.optimize import minimize

    X, y = data()
    fit = gl.fit(X, y, loss=nn.SmoothL1Loss(beta=0.3), epochs=1000)

    def loss(line: Array) -> float:
        r = torch.from_numpy(y - X @ line[:-1] - line[-1])
        return float(nn.functional.smooth_l1_loss(r, torch.zeros_like(r), beta=0.3))

    want = minimize(loss, np.append(fit.slopes, fit.intercept) * 1.01, tol=1e-12)
    assert fit.certificate.loss == pytest.approx(want.fun, rel=1e-6)
    np.testing.assert_allclose([*fit.slopes, fit.intercept], want.x, rtol=1e-3)
    assert fit.certificate.status == "converged"
    assert fit.certificate.bound == "none"
    assert "trained on SmoothL1Loss" in str(fit.no_inference)


def test_weights_count_with_a_loss_that_has_a_name() -> None:
    X, y = data(60)
    w = np.random.default_rng(0).integers(0, 3, 60)
    for loss in ("squared", "absolute", "quantile:0.8", "huber:1.35:0.5"):
        options: Any = {"model": net().double(), "loss": loss, "epochs": 20}
        fit = gl.fit(X, y, weights=w, standardize=False, **options)
        repeated = np.repeat(np.arange(60), w)
        want = gl.fit(X[repeated], y[repeated], standardize=False, **options)
        np.testing.assert_allclose(fit.predict(X), want.predict(X), rtol=RTOL)
        assert fit.certificate.loss == pytest.approx(want.certificate.loss, rel=RTOL)


def test_what_the_certificate_can_and_cannot_promise() -> None:
    X, y = data()
    fit = gl.fit(X, y, model=net(), optimizer="Adam", lr=0.03, epochs=250)
    c = fit.certificate
    assert c.bound == "none"
    assert np.isnan(c.gap)
    assert np.isnan(c.optimum_loss)
    assert "No gap is promised" in c.advice
    line = gl.fit(X, y).certificate.loss
    assert c.loss < line
    assert f"{1 - c.loss / line:.1%} below that of the best line" in c.advice
    model = fit.model
    loss = nn.functional.mse_loss(
        model(torch.from_numpy(X)), torch.from_numpy(y).float()[:, None]
    )
    loss.backward()
    grads = [p.grad for p in model.parameters()]
    norm = float(torch.cat([g.reshape(-1) for g in grads if g is not None]).norm())
    assert c.gradient_norm == pytest.approx(norm, rel=1e-3)
    assert c.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    assert fit.coefficients == {}
    assert np.isnan(fit.intercept)
    assert "No coefficients" in str(fit)
    strict_json(summary(fit))
    residual = y - fit.predict(X)
    assert fit.metrics.rmse == pytest.approx(np.sqrt(np.mean(residual**2)), rel=RTOL)
    assert fit.evaluate(X, y) == fit.metrics
    assert len(fit.plot().axes) == 1
    assert len(fit.plot_loss().axes) == 1


def test_the_picture_of_one_feature_is_a_curve() -> None:
    X, y = data(60)
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    figure = gl.fit(X[:, :1], y, model=model, epochs=3).plot()
    assert figure.axes[0].get_legend_handles_labels()[1][-1] == "fitted"


def test_a_network_on_a_table_with_categories() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"x": rng.normal(size=90), "kind": rng.choice(["a", "b", "c"], 90)}
    )
    table["y"] = np.abs(table["x"]) + (table["kind"] == "b")
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    fit = gl.fit(table, target="y", model=model, optimizer="Adam", lr=0.05, epochs=120)
    assert fit.design.terms == ("x", "kind[b]", "kind[c]")
    assert fit.metrics.r2 > 0.9
    assert fit.predict(table[:5]).shape == (5,)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_file_holds_the_weights_and_no_code(
    tmp_path: Path, standardize: bool, dtype: torch.dtype
) -> None:
    X, y = data()
    path = tmp_path / "net.safetensors"
    model = net(nn.BatchNorm1d(8)).to(dtype)
    fit = gl.fit(X, y, model=model, epochs=5, lr=0.01, standardize=standardize)
    fit.save(path)
    empty = net(nn.BatchNorm1d(8), seed=9).to(dtype)
    before = copy.deepcopy(empty)
    again = gl.load(path, model=empty)
    np.testing.assert_array_equal(again.predict(X), fit.predict(X))
    assert same_bits(empty, before)
    assert again.settings == fit.settings
    assert again.metrics == fit.metrics
    assert again.trace is not None
    assert fit.trace is not None
    np.testing.assert_array_equal(again.trace.losses, fit.trace.losses)
    assert again.trace.weights.shape == fit.trace.weights.shape
    assert again.coefficients == {}
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with pytest.raises(gl.UsageError, match=r"weights of a Sequential, and no model"):
        gl.load(path)


def test_a_file_refuses_another_module(tmp_path: Path) -> None:
    X, y = data()
    path = tmp_path / "net.safetensors"
    gl.fit(X, y, model=net(), epochs=5).save(path)
    for other, message in (
        (nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)), "2.weight.*shape"),
        (net().double(), "type torch.float32 in the file"),
        (nn.Sequential(nn.Linear(3, 8)), "the file has '2.bias'"),
        (net(nn.BatchNorm1d(8)), "fit: the"),
        ("net", "model is a str"),
    ):
        with pytest.raises(gl.UsageError, match=message):
            gl.load(path, model=other)  # type: ignore[arg-type]
    gl.fit(X, y).save(path)
    with pytest.raises(gl.UsageError, match="holds a line, which needs no module"):
        gl.load(path, model=net())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": nn.Linear(5, 1)}, gl.ShapeError, r"give one that takes \(n, 3\)"),
        ({"model": nn.Linear(3, 2)}, gl.ShapeError, r"predicts the shape \(8, 2\)"),
        ({"model": "net"}, gl.UsageError, "model is a str"),
        ({"loss": nn.MSELoss(reduction="none")}, gl.ShapeError, "must be one number"),
        ({"loss": "huber"}, gl.UsageError, "give the scale too"),
        ({"loss": gl.Huber if hasattr(gl, "Huber") else int}, gl.UsageError, "loss is"),
        ({"lr": 1e6, "momentum": 0.5}, gl.DivergenceError, "diverges"),
        ({"method": "exact"}, gl.UsageError, "method does not go with a module"),
        ({"penalty": "ridge"}, gl.UsageError, "penalty does not go with a module"),
        (
            {"loss": nn.SmoothL1Loss(), "weights": np.ones(120)},
            gl.UsageError,
            "row weights do not go with SmoothL1Loss",
        ),
        ({"start": gl.LinearRegression(3)}, gl.UsageError, "leave start out"),
        ({"average": True}, gl.UsageError, "average is for lines"),
        ({"batch_size": 9, "lr": "auto"}, gl.UsageError, "for full batches or a line"),
        ({"batch_size": 9, "lr": 1e9}, gl.DivergenceError, "diverges"),
        ({"batch_size": 9, "schedule": "nonsense"}, gl.UsageError, "schedule"),
    ],
)
def test_refusals(options: dict[str, Any], error: Any, message: str) -> None:
    X, y = data()
    with pytest.raises(error, match=message):
        gl.fit(X, y, **{"model": net(), **options})


def test_too_many_rows_for_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moduleloop, "MOST_BYTES", 1000)
    X, y = data()
    with pytest.raises(gl.UsageError, match=r"give batch_size=1024"):
        gl.fit(X, y, model=net())


def test_what_a_network_has_not() -> None:
    X, y = data()
    fit = gl.fit(X, y, model=net(), epochs=3)
    for call in (fit.loss_surface, fit.plot_surface, lambda: fit.at(2)):
        with pytest.raises(gl.DataError, match="fit without model"):
            call()
    for call in (fit.inference, lambda: fit.predict(X, interval=0.9)):
        with pytest.raises(gl.DataError, match="no standard errors for a Sequential"):
            call()
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict(X), fit.predict(X))


def test_the_command_line_says_that_a_module_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradline.cli import main

    X, y = data()
    gl.fit(X, y, model=net(), epochs=3).save(tmp_path / "net.safetensors")
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header="x1,x2,x3", comments="")
    words = [str(tmp_path / "net.safetensors"), str(tmp_path / "x.csv")]
    assert main(["predict", *words, "-o", str(tmp_path / "out.csv")]) == 2
    assert "no model file holds code: give a module" in capsys.readouterr().err


class Detached(nn.Linear):
    def forward(self, x: Any) -> Any:
        return super().forward(x).detach()


FROZEN = nn.Linear(3, 1).requires_grad_(False)
DEEP = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
NORMED = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": nn.Linear(3, 1), "intercept": False}, gl.UsageError, "bias=False"),
        ({"model": DEEP, "intercept": False}, gl.UsageError, "is for a line"),
        ({"model": FROZEN}, gl.UsageError, "no parameters that require"),
        ({"model": nn.Flatten()}, gl.UsageError, "no parameters that require"),
        ({"model": Detached(3, 1)}, gl.UsageError, "knows nothing of its parameters"),
        (
            {"loss": lambda p, y: (p - y).square().mean().detach()},
            gl.UsageError,
            "does not depend on the prediction",
        ),
        (
            {"loss": lambda *_: torch.ones((), requires_grad=True)},
            gl.UsageError,
            "does not depend on the prediction",
        ),
        ({"loss": lambda p, y: (p - y).mean() + 0j}, gl.UsageError, "complex"),
        ({"loss": nn.GaussianNLLLoss()}, gl.UsageError, r"loss\(prediction, target\)"),
        (
            {"loss": lambda p, _: torch.log(-1 - p.abs()).mean()},
            gl.DivergenceError,
            "nan before the first step, so lr has no part",
        ),
    ],
)
@pytest.mark.parametrize("batches", [{}, {"batch_size": 16}])
def test_what_cannot_be_trained_is_said_in_a_sentence(
    options: dict[str, Any], error: Any, message: str, batches: dict[str, Any]
) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(33, 3)), random.normal(size=33)
    with pytest.raises(error, match=message):
        gl.fit(X, y, epochs=2, **options, **batches)


def test_batch_norm_says_which_batch_size_leaves_no_single_row() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(33, 3)), random.normal(size=33)
    with pytest.raises(gl.UsageError, match=r"give batch_size=17, which leaves none"):
        gl.fit(X, y, model=NORMED, epochs=2, batch_size=16)
    gl.fit(X, y, model=NORMED, epochs=2, batch_size=17)


def test_a_large_target_is_told_to_be_scaled() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    y = 5000 * X[:, 0]
    for batches in ({}, {"batch_size": 16}):
        with pytest.raises(gl.DivergenceError, match=r"scale the target") as caught:
            gl.fit(X, y, model=DEEP, epochs=300, **batches)
        assert "standardise" not in str(caught.value)


def test_no_bias_and_no_intercept_go_together() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 3))
    y = X @ [1, 2, 3] + 5
    line = nn.Linear(3, 1, bias=False)
    fit = gl.fit(X, y, model=line, intercept=False, epochs=500)
    assert fit.metrics.rmse == pytest.approx(gl.fit(X, y, intercept=False).metrics.rmse)
