"""A fitted line as a part of a network: exported, compiled, trained on, stored."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradline as gl

SHAPES = [
    (1, 1, (7,)),
    (1, 1, (7, 1)),
    (3, 1, (7, 3)),
    (3, 2, (7, 3)),
    (3, 2, (2, 7, 3)),
]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What torch.compile has seen in one test says nothing about another."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def line(d: int, k: int) -> gl.LinearRegression:
    return gl.LinearRegression(d, k, generator=torch.Generator().manual_seed(1))


def fitted(**options: Any) -> gl.Fit:
    """A fit of two features and a category."""
    random = np.random.default_rng(0)
    data = {
        "x": random.normal(size=200),
        "z": random.normal(size=200) * 100,
        "g": random.choice(["a", "b", "c"], 200),
    }
    y = 3 * data["x"] - 0.02 * data["z"] + (data["g"] == "b") + 7
    return gl.fit(data | {"y": y + random.normal(size=200)}, target="y", **options)


def terms(fit: gl.Fit, data: dict[str, Any]) -> Tensor:
    """What fit.model takes: a column for each term, in their order."""
    columns = []
    for term in fit.design.terms:
        name, _, level = term.partition("[")
        values = np.asarray(data[name])
        columns.append(values == level[:-1] if level else values)
    return torch.from_numpy(np.column_stack(columns).astype(np.float64))


ROWS = {"x": [0.5, -1.0, 2.0], "z": [10.0, 0.0, -50.0], "g": ["b", "a", "c"]}


@pytest.mark.parametrize(("d", "k", "shape"), SHAPES)
def test_a_line_compiles_as_one_graph(d: int, k: int, shape: tuple[int, ...]) -> None:
    model = line(d, k)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for rows in (shape[0], 11):  # the second number of rows makes it dynamic
        x = torch.randn(rows, *shape[1:])
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize(("d", "k", "shape"), SHAPES)
def test_a_line_is_exported_for_any_number_of_rows(
    d: int, k: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    model = line(d, k)
    rows = torch.export.Dim("rows")
    program = torch.export.export(
        model, (torch.randn(shape),), dynamic_shapes=({0: rows},)
    )
    torch.export.save(program, tmp_path / "line.pt2")
    again = torch.export.load(tmp_path / "line.pt2").module()
    for n in (1, 2, 64):
        x = torch.randn(n, *shape[1:])
        torch.testing.assert_close(again(x), model(x))


def test_a_wrong_shape_is_refused_when_compiled_too() -> None:
    model = torch.compile(line(3, 1), backend="eager")
    assert model(torch.ones(5, 3)).shape == (5, 1)
    with pytest.raises(gl.ShapeError, match=r"\(5, 2\).*in_features=3"):
        model(torch.ones(5, 2))
    with pytest.raises(gl.ShapeError, match=r"\(5, 2\).*in_features=3"):
        torch.export.export(line(3, 1), (torch.ones(5, 2),))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("d", "k", "shape"), SHAPES)
def test_a_line_is_scripted(d: int, k: int, shape: tuple[int, ...]) -> None:
    model = line(d, k)
    scripted = torch.jit.script(model)
    x = torch.randn(shape)
    torch.testing.assert_close(scripted(x), model(x))
    with pytest.raises(torch.jit.Error, match=rf"\(5, 9\) .*in_features={d}"):
        scripted(torch.ones(5, 9))


@pytest.mark.slow
@pytest.mark.timeout(400)  # a compiler starts, beside whatever else runs
@pytest.mark.skipif(
    shutil.which("g++") is None or sys.platform != "linux", reason="needs a compiler"
)
@pytest.mark.skipif(
    " " in torch.__file__, reason="inductor gives the linker no path with a space"
)
def test_a_network_with_a_line_compiles_by_inductor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = nn.Sequential(nn.ReLU(), line(5, 2))
    x = torch.randn(9, 5)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the compiler itself
        compiled = torch.compile(network, fullgraph=True)
        torch.testing.assert_close(compiled(x), network(x))


def test_the_parameters_are_those_of_nn_linear_both_ways() -> None:
    model, twin = line(4, 3), nn.Linear(4, 3)
    x = torch.randn(6, 4)
    model.load_state_dict(twin.state_dict())
    torch.testing.assert_close(model(x), twin(x))
    other = line(4, 3)
    twin.load_state_dict(other.state_dict())
    torch.testing.assert_close(other(x), twin(x))


def test_a_line_of_given_parameters_draws_no_random_number() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    weight, bias = torch.ones(2, 3), torch.zeros(2)
    model = gl.LinearRegression.of(weight, bias)
    fit = gl.fit(np.arange(9.0), np.arange(9.0) ** 2)
    assert fit.model.bias.item() == fit.intercept
    assert torch.equal(torch.rand(3), wanted)
    with torch.no_grad():
        model.weight += 1  # a copy: what was given stays
    assert torch.equal(weight, torch.ones(2, 3))
    assert [p.requires_grad for p in model.parameters()] == [True, True]


def test_a_fit_is_the_last_layer_of_a_network() -> None:
    """Fitted on what a frozen part gives, then trained on together with it."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(2, 8), nn.Tanh())
    x = torch.randn(300, 2)
    y = torch.sin(2 * x[:, 0]) + x[:, 1] ** 2
    with torch.no_grad():
        fit = gl.fit(body(x), y)
    before = dict(fit.coefficients)
    network = nn.Sequential(body, fit.model.float())
    loss = nn.functional.mse_loss(network(x)[:, 0], y)
    assert loss.item() == pytest.approx(fit.certificate.loss, rel=1e-4)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x)[:, 0], y).backward()
        optimizer.step()
    trained = nn.functional.mse_loss(network(x)[:, 0], y).item()
    assert trained < 0.9 * loss.item()
    assert fit.coefficients == before  # the fit is as it was


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fit_in_another_precision(dtype: torch.dtype) -> None:
    fit = fitted()
    X = terms(fit, ROWS)
    wanted = torch.from_numpy(fit.predict(ROWS))
    torch.testing.assert_close(fit.model(X)[:, 0], wanted)
    found = fit.model.to(dtype)(X.to(dtype))[:, 0]
    torch.testing.assert_close(found, wanted.to(dtype), rtol=3e-2, atol=3e-2)


def test_a_fit_with_categories_is_exported() -> None:
    fit = fitted()
    assert fit.design.terms == ("x", "z", "g[b]", "g[c]")
    X = terms(fit, ROWS)
    shapes = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(fit.model, (X,), dynamic_shapes=shapes).module()
    np.testing.assert_allclose(program(X)[:, 0].detach(), fit.predict(ROWS), rtol=1e-12)
    assert program(X[:1]).shape == (1, 1)
    names = list(fit.model.state_dict())
    assert names == ["weight", "bias"]


def test_a_trained_network_with_its_scaling_is_exported_and_compiled() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    fit = fitted(model=module, epochs=5, lr=0.01, optimizer="Adam")
    model = fit.model
    X = terms(fit, ROWS)
    wanted = torch.from_numpy(fit.predict(ROWS))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X)[:, 0].double(), wanted)
    shapes = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(model, (X,), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(X)[:, 0].double(), wanted)
    again = fit.model
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(X), model(X))


def test_a_probe_is_exported_with_its_backbone() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randn(120, 1, 6, 6, generator=random)
    labels = (images.sum(dim=(1, 2, 3)) > 0).long()
    backbone = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten())
    probe = gl.linear_probe((images, labels), backbone=backbone, alpha=0.1)
    network = nn.Sequential(backbone, probe.module).eval()
    shapes = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(network, (images,), dynamic_shapes=shapes).module()
    assert torch.equal(program(images[:7]).argmax(dim=1), probe.predict(images[:7]))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images), network(images))
