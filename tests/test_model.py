"""LinearRegression: the lesson's model, and torch.nn.Linear where there is more."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradline as gl


def test_the_lesson_model() -> None:
    model = gl.LinearRegression()
    assert isinstance(model, nn.Module)
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]
    x = torch.linspace(0, 1, 5)
    y = model(x)
    assert y.shape == (5,)
    torch.testing.assert_close(y, model.weight.item() * x + model.bias.item())


def test_parameters_are_drawn_at_random_and_by_seed() -> None:
    torch.manual_seed(3)
    first, second = gl.LinearRegression(), gl.LinearRegression()
    assert first.weight.item() != second.weight.item()
    torch.manual_seed(3)
    assert gl.LinearRegression().weight.item() == first.weight.item()
    draws = [
        gl.LinearRegression(4, generator=torch.Generator().manual_seed(9)).weight
        for _ in range(2)
    ]
    assert torch.equal(*draws)


@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 1), (3, 2), (1, 4)])
def test_shapes_and_state_are_those_of_nn_linear(d: int, k: int) -> None:
    model = gl.LinearRegression(d, k)
    twin = nn.Linear(d, k)
    twin.load_state_dict(model.state_dict())
    for shape in [(7, d), (2, 7, d)]:
        x = torch.randn(shape)
        assert model(x).shape == (*shape[:-1], k)
        torch.testing.assert_close(model(x), twin(x))


def test_wrong_number_of_features_names_both() -> None:
    model = gl.LinearRegression(3)
    with pytest.raises(gl.ShapeError, match=r"\(5, 2\).*in_features=3"):
        model(torch.ones(5, 2))
    with pytest.raises(gl.ShapeError, match=r"\(5,\).*in_features=3"):
        model(torch.ones(5))


def test_nonsense_sizes() -> None:
    with pytest.raises(gl.UsageError, match="both must be 1 or more"):
        gl.LinearRegression(0)


def test_repr() -> None:
    assert repr(gl.LinearRegression(2)) == (
        "LinearRegression(in_features=2, out_features=1)"
    )
