"""The five-step loop is the plain loop, to the last bit, and never fails silently."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import gradline as gl
from gradline.curvature import stability_limit


def line(n: int = 50, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    x, y = gl.sample_linear_data(n, slope=2, intercept=-1, noise=0.3, seed=1)
    return torch.from_numpy(x).to(dtype), torch.from_numpy(y).to(dtype)


def plain_loop(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    loss_fn: nn.Module,
) -> tuple[list[float], list[float], list[float]]:
    """The loop as anyone writes it: losses, and weight and bias after each step."""
    losses, weights, biases = [], [], []
    for _ in range(epochs):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        weights.append(model.weight.item())
        biases.append(model.bias.item())
    return losses, weights, biases


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
        ("Adam", {"lr": 0.05}),
        ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
        ("RMSprop", {"lr": 0.01}),
        ("Adagrad", {"lr": 0.5}),
    ],
)
@pytest.mark.parametrize("loss_fn", [nn.MSELoss(), nn.HuberLoss(), nn.L1Loss()])
def test_descend_is_the_plain_loop_bit_for_bit(
    dtype: torch.dtype, name: str, options: dict[str, float], loss_fn: nn.Module
) -> None:
    x, y = line(dtype=dtype)
    ours = gl.LinearRegression(dtype=dtype)
    theirs = copy.deepcopy(ours)
    optimizer = getattr(torch.optim, name)(theirs.parameters(), **options)
    losses, weights, biases = plain_loop(theirs, x, y, optimizer, 60, loss_fn)
    steps = list(
        gl.descend(ours, x, y, epochs=60, optimizer=name, loss=loss_fn, **options)
    )
    assert [s.epoch for s in steps] == list(range(1, 61))
    assert [s.loss for s in steps] == losses
    assert [s.weight for s in steps] == weights
    assert [s.bias for s in steps] == biases
    assert ours.weight.item() == weights[-1]


def test_an_optimizer_instance_keeps_its_own_settings() -> None:
    x, y = line()
    ours = gl.LinearRegression(dtype=torch.float64)
    theirs = copy.deepcopy(ours)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.2, momentum=0.5)
    losses, _, _ = plain_loop(theirs, x, y, sgd, 20, nn.MSELoss())
    own = torch.optim.SGD(ours.parameters(), lr=0.2, momentum=0.5)
    steps = list(gl.descend(ours, x, y, epochs=20, optimizer=own))
    assert [s.loss for s in steps] == losses


def test_lbfgs_is_torch_with_its_closure() -> None:
    x, y = line()
    ours = gl.LinearRegression(dtype=torch.float64)
    theirs = copy.deepcopy(ours)
    optimizer = torch.optim.LBFGS(theirs.parameters(), lr=0.5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((theirs(x) - y) ** 2).mean()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(8)]
    steps = list(gl.descend(ours, x, y, epochs=8, optimizer="LBFGS", lr=0.5))
    assert [s.loss for s in steps] == losses
    assert steps[-1].weight == theirs.weight.item()
    assert losses[-1] == pytest.approx(np.var(y.numpy() - 2 * x.numpy()), rel=0.1)


def test_many_features_and_many_targets() -> None:
    random = np.random.default_rng(0)
    X, B = random.normal(size=(200, 3)), random.normal(size=(3, 2))
    Y = X @ B + 0.5
    model = gl.LinearRegression(3, 2, dtype=torch.float64)
    steps = list(gl.descend(model, X, Y, lr=0.3, epochs=200))
    np.testing.assert_allclose(model.weight.detach().numpy().T, B, rtol=1e-9)
    np.testing.assert_allclose(steps[-1].bias, [0.5, 0.5], rtol=1e-9)
    assert steps[-1].weight.shape == (2, 3)


def test_any_module_trains() -> None:
    x, y = line(dtype=torch.float32)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    losses = [
        step.loss
        for step in gl.descend(
            model, x[:, None], y[:, None], optimizer="Adam", lr=0.01, epochs=200
        )
    ]
    assert losses[-1] < 0.3 * losses[0]


def test_a_step_shows_the_gradient_and_the_loss_before_the_update() -> None:
    x, y = line()
    model = gl.LinearRegression(dtype=torch.float64)
    before = copy.deepcopy(model)
    step = next(gl.descend(model, x, y, lr=0.1))
    loss = ((before(x) - y) ** 2).mean()
    loss.backward()
    norm = np.hypot(before.weight.grad.item(), before.bias.grad.item())
    assert step.loss == loss.item()
    assert step.gradient_norm == pytest.approx(norm, rel=1e-12)


def test_leaving_the_loop_keeps_what_was_learned() -> None:
    x, y = line()
    model = gl.LinearRegression(dtype=torch.float64)
    for step in gl.descend(model, x, y, lr=0.1):
        if step.epoch == 7:
            break
    assert model.weight.item() == step.weight


def test_evaluating_between_epochs_does_not_end_training_mode() -> None:
    x, y = line(dtype=torch.float32)

    class Spy(nn.Linear):
        modes: list[bool]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.modes.append(self.training)
            return super().forward(x)

    model = Spy(1, 1)
    model.modes = []
    for _ in gl.descend(model, x[:, None], y[:, None], lr=0.1, epochs=3):
        model.eval()
    assert model.modes[1:] == [True, True, True]  # the first is the shape check


def test_lr_auto_comes_from_the_curvature() -> None:
    x, y = line()
    X = torch.stack([x, torch.ones_like(x)], dim=1)
    largest = torch.linalg.eigvalsh(2 * X.T @ X / len(x))[-1].item()
    model = gl.LinearRegression(dtype=torch.float64)
    limit = stability_limit(model, nn.MSELoss(), x, y)
    assert limit == pytest.approx(2 / largest, rel=1e-9)
    last = list(gl.descend(model, x, y, lr="auto", epochs=500))[-1]
    assert last.gradient_norm < 1e-6


def test_the_stability_limit_of_many_features() -> None:
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 60)))
    y = X[:, :1]
    ones = torch.cat([X, torch.ones(300, 1)], dim=1).double()
    largest = torch.linalg.eigvalsh(2 * ones.T @ ones / 300)[-1].item()
    model = gl.LinearRegression(60, dtype=torch.float64)
    limit = stability_limit(model, nn.MSELoss(), X, y)
    assert limit == pytest.approx(2 / largest, rel=1e-3)


def test_divergence_stops_with_the_limit() -> None:
    x, y = line()
    model = gl.LinearRegression(dtype=torch.float64)
    limit = stability_limit(model, nn.MSELoss(), x, y)
    with pytest.raises(gl.DivergenceError, match="stability limit is 0\\.") as caught:
        for _ in gl.descend(model, x, y, lr=5.0):
            pass
    assert caught.value.lr == 5.0
    assert caught.value.lr_limit == pytest.approx(limit, rel=1e-6)
    assert torch.isfinite(model.weight).all()


def test_just_below_the_limit_converges_and_just_above_diverges() -> None:
    x, y = line()
    start = gl.LinearRegression(dtype=torch.float64)
    limit = stability_limit(start, nn.MSELoss(), x, y)
    below = list(gl.descend(copy.deepcopy(start), x, y, lr=0.99 * limit, epochs=3000))
    assert below[-1].gradient_norm < 1e-9
    with pytest.raises(gl.DivergenceError):
        list(gl.descend(copy.deepcopy(start), x, y, lr=1.01 * limit, epochs=3000))


def test_momentum_has_its_own_limit() -> None:
    x, y = line()
    start = gl.LinearRegression(dtype=torch.float64)
    limit = 1.9 * stability_limit(start, nn.MSELoss(), x, y)
    below = gl.descend(
        copy.deepcopy(start), x, y, lr=0.98 * limit, momentum=0.9, epochs=3000
    )
    assert list(below)[-1].gradient_norm < 1e-6
    with pytest.raises(gl.DivergenceError) as caught:
        list(gl.descend(start, x, y, lr=1.1 * limit, momentum=0.9, epochs=3000))
    assert caught.value.lr_limit == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize(
    ("x_shape", "y_shape"), [((20,), (20, 1)), ((20, 1), (20,)), ((20,), (19,))]
)
def test_a_broadcast_is_a_hard_error(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> None:
    with pytest.raises(gl.ShapeError) as caught:
        gl.descend(gl.LinearRegression(), np.ones(x_shape), np.ones(y_shape))
    predicted = "(20, 1)" if x_shape == (20, 1) else "(20,)"
    assert predicted in str(caught.value)
    assert str(y_shape) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "Adm"}, "did you mean 'Adam'"),
        ({"optimizer": "zzzz"}, "known are"),
        ({"lr": -1}, "lr is -1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"momentun": 0.9}, "refuses the setting .* did you mean 'momentum'"),
        ({"momentum": -1}, "torch.optim.SGD refuses"),
    ],
)
def test_bad_arguments(options: dict[str, float], message: str) -> None:
    x, y = line()
    with pytest.raises(gl.UsageError, match=message):
        gl.descend(gl.LinearRegression(), x, y, **options)


def test_an_optimizer_of_another_model_is_refused() -> None:
    x, y = line()
    stray = torch.optim.SGD(gl.LinearRegression().parameters(), lr=0.1)
    with pytest.raises(gl.UsageError, match="make the optimiser after its model"):
        gl.descend(gl.LinearRegression(), x, y, optimizer=stray)
    model = gl.LinearRegression()
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(gl.UsageError, match="drop lr, momentum"):
        gl.descend(model, x, y, optimizer=own, lr=0.1, momentum=0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_names_the_row(bad: float) -> None:
    y = np.ones(10)
    y[6] = bad
    with pytest.raises(gl.MissingValueError, match=r"y holds .* first in row 7"):
        gl.descend(gl.LinearRegression(), np.ones(10), y)


def test_no_rows() -> None:
    with pytest.raises(gl.DataError, match="x has no rows"):
        gl.descend(gl.LinearRegression(), np.ones(0), np.ones(0))


def test_a_model_of_other_columns_is_refused_in_a_sentence() -> None:
    with pytest.raises(gl.ShapeError, match=r"the model refuses x of shape \(5, 3\)"):
        gl.descend(torch.nn.Linear(2, 1), np.ones((5, 3)), np.ones((5, 1)))
