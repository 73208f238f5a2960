"""linear_probe(): the same answers as scikit-learn, in one pass over any batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV
from sklearn.metrics import confusion_matrix, r2_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import gradline as gl
from gradline import probestates
from gradline.probestates import DeviceSums, Gathering
from gradline.probetargets import Targets
from helpers import TOLERANCE

#: float64 against scikit-learn, which solves by the normal equations too.
CLOSE = TOLERANCE["float64"]

#: Sums of one block or of many, in float64: rounding alone.
ROUNDING = 1e-12


def digits() -> tuple[Tensor, Tensor]:
    """1,797 images of 64 pixels as float64, three of them constant, and labels."""
    X, y = load_digits(return_X_y=True)
    return torch.from_numpy(X), torch.from_numpy(y)


def numbers(
    rows: int = 500, features: int = 6, targets: int = 3, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Features that hang together, and targets (rows, k) of very different sizes."""
    random = torch.Generator().manual_seed(seed)
    X = torch.randn(rows, features, generator=random, dtype=torch.float64)
    X = X @ torch.randn(features, features, generator=random, dtype=torch.float64) + 5
    W = torch.randn(features, targets, generator=random, dtype=torch.float64)
    noise = torch.randn(rows, targets, generator=random, dtype=torch.float64)
    return X, (X @ W + noise) * 10.0 ** torch.arange(targets)


def pieces(*values: Tensor, size: int) -> list[tuple[Tensor, ...]]:
    """Tensors as batches."""
    return list(zip(*(v.split(size) for v in values), strict=True))


def parameters(probe: gl.Probe) -> tuple[Any, Any]:
    """Weight and bias as arrays."""
    module = probe.module
    return module.weight.detach().numpy(), module.bias.detach().numpy()


# Against scikit-learn.


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
def test_a_ridge_classifier_is_that_of_scikit_learn(
    alpha: float, standardize: bool
) -> None:
    X, y = digits()
    probe = gl.linear_probe((X, y), alpha=alpha, standardize=standardize)
    scaler = StandardScaler(with_std=standardize).fit(X)
    rival = RidgeClassifier(alpha=alpha * len(X)).fit(scaler.transform(X), y)
    outputs = probe.module(X).detach().numpy()
    theirs = rival.decision_function(scaler.transform(X))
    np.testing.assert_allclose(outputs, theirs, rtol=0, atol=CLOSE)
    assert probe.classes == tuple(range(10))
    assert (probe.predict(X).numpy() == rival.predict(scaler.transform(X))).all()
    scores = probe.evaluate((X, y))
    assert scores.accuracy == rival.score(scaler.transform(X), y)
    guess = rival.predict(scaler.transform(X))
    assert (scores.confusion == confusion_matrix(y, guess)).all()


def test_leave_one_out_chooses_what_ridge_classifier_cv_chooses() -> None:
    X, y = digits()
    alphas = np.logspace(2, -6, 15)
    probe = gl.linear_probe((X, y), alpha="loo", alphas=alphas, standardize=False)
    rival = RidgeClassifierCV(alphas=alphas * len(X), store_cv_results=True).fit(X, y)
    assert probe.alpha == pytest.approx(np.full(10, rival.alpha_ / len(X)), rel=1e-12)
    np.testing.assert_allclose(parameters(probe)[0], rival.coef_, atol=CLOSE)
    assert probe.cross_validation is not None
    errors = probe.cross_validation.mean
    np.testing.assert_allclose(errors, rival.cv_results_.mean(0).T, rtol=1e-8)


@pytest.mark.parametrize("per_target", [True, False])
def test_leave_one_out_chooses_what_ridge_cv_chooses(per_target: bool) -> None:
    X, Y = numbers(60, targets=4)
    alphas = np.logspace(2, -6, 15)
    probe = gl.linear_probe(
        (X, Y),
        alpha="loo",
        alphas=alphas,
        standardize=False,
        alpha_per_target=per_target,
    )
    rival = RidgeCV(alphas * len(X), alpha_per_target=per_target).fit(X, Y)
    wanted = np.broadcast_to(rival.alpha_, 4) / len(X)
    assert probe.alpha == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(parameters(probe)[0], rival.coef_, rtol=1e-7)
    np.testing.assert_allclose(parameters(probe)[1], rival.intercept_, rtol=1e-7)


def test_weights_are_those_of_scikit_learn() -> None:
    X, Y = numbers()
    weight = torch.rand(len(X), dtype=torch.float64)
    weight[::7] = 0
    probe = gl.linear_probe(pieces(X, Y, weight, size=40), alpha=0.3, standardize=False)
    rival = Ridge(0.3 * float(weight.sum())).fit(X, Y, sample_weight=weight.numpy())
    np.testing.assert_allclose(parameters(probe)[0], rival.coef_, rtol=CLOSE)
    np.testing.assert_allclose(parameters(probe)[1], rival.intercept_, rtol=CLOSE)
    scores = probe.evaluate((X, Y, weight))
    wanted = [
        r2_score(Y[:, k], rival.predict(X)[:, k], sample_weight=weight)
        for k in range(3)
    ]
    np.testing.assert_allclose(scores.r2, wanted, rtol=CLOSE)
    assert np.isnan(scores.accuracy)
    assert scores.confusion.shape == (0, 0)


def test_folds_and_errors_are_those_of_cross_validate() -> None:
    X, Y = numbers()
    alphas = np.logspace(1, -5, 12)
    for rule in ("cv", "1se", "gcv", "loo"):
        probe = gl.linear_probe(pieces(X, Y, size=33), alpha=rule, alphas=alphas)
        found = gl.cross_validate(X, Y, alphas=alphas, rule=rule)
        assert probe.cross_validation is not None
        ours = probe.cross_validation
        np.testing.assert_allclose(ours.errors, found.errors, rtol=CLOSE)
        assert (probe.alpha == found.alpha).all()
        np.testing.assert_allclose(parameters(probe)[0].T, found.slopes, rtol=1e-8)
    folds = gl.KFold(4, seed=9)
    ours_4 = gl.linear_probe((X, Y), folds=folds, alphas=alphas).cross_validation
    assert ours_4 is not None
    theirs = gl.cross_validate(X, Y, alphas=alphas, folds=folds)
    np.testing.assert_allclose(ours_4.errors, theirs.errors, rtol=CLOSE)


def test_at_alpha_0_it_is_least_squares_as_fit_finds_it() -> None:
    X, Y = numbers(targets=1)
    probe = gl.linear_probe((X, Y[:, 0]), alpha=0)
    fit = gl.fit(X, Y[:, 0])
    np.testing.assert_allclose(parameters(probe)[0][0], fit.slopes, rtol=CLOSE)
    certificate = probe.certificate
    assert certificate.rank == fit.certificate.rank == probe.rank == 7
    assert probe.condition == pytest.approx(fit.certificate.condition, rel=1e-9)
    assert certificate.lr_limit == pytest.approx(fit.certificate.lr_limit, rel=1e-9)
    assert certificate.best_lr == pytest.approx(fit.certificate.best_lr, rel=1e-9)
    # Half the mean squared error, as a penalty needs it.
    assert certificate.loss == pytest.approx(fit.certificate.loss / 2, rel=1e-9)
    assert certificate.status == gl.Status.EXACT
    assert probe.predict(X).shape == (500,)


def test_the_limit_of_the_learning_rate_is_that_of_torch() -> None:
    X, Y = numbers(100, targets=4)
    Y = Y / Y.std(dim=0)
    limit = gl.linear_probe((X, Y), alpha=0).certificate.lr_limit
    for share, settles in ((0.98, True), (1.02, False)):
        head = nn.Linear(6, 4, dtype=torch.float64)
        optimizer = torch.optim.SGD(head.parameters(), lr=share * limit)
        losses = []
        for _ in range(300):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(head(X), Y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert (losses[-1] < losses[0]) == settles


# One pass, whatever the batches.


@pytest.mark.parametrize("size", [1, 17, 500])
def test_batches_of_any_size_give_the_same_answer(size: int) -> None:
    X, Y = numbers()
    whole = gl.linear_probe((X, Y))
    for batches in (
        pieces(X, Y, size=size),
        iter(pieces(X, Y, size=size)),
        DataLoader(TensorDataset(X, Y), batch_size=size),
    ):
        probe = gl.linear_probe(batches)
        np.testing.assert_allclose(
            parameters(probe)[0], parameters(whole)[0], rtol=ROUNDING
        )
        assert torch.equal(probe.module.weight, whole.module.weight)  # to the last bit
        assert torch.equal(probe.module.bias, whole.module.bias)


def test_blocks_of_any_size_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """States are merged of other blocks, in which other classes turn up first."""
    X, y = digits()
    whole = gl.linear_probe((X, y))
    order = torch.argsort(y)
    for rows in (1, 50):
        monkeypatch.setattr(probestates, "BLOCK_ROWS", (rows, rows))
        probe = gl.linear_probe(pieces(X, y, size=64))
        assert probe.alpha == pytest.approx(whole.alpha, rel=1e-12)
        found = probe.module(X) - whole.module(X)
        assert float(found.detach().abs().max()) < 1e-10
        # The same rows, one class after the other: only the folds are others.
        one = gl.linear_probe((X[order], y[order]), alpha=0.1)
        two = gl.linear_probe((X, y), alpha=0.1)
        torch.testing.assert_close(one.module(X), two.module(X), rtol=0, atol=1e-10)


def test_every_row_goes_through_once() -> None:
    X, y = digits()
    seen = []

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(pieces(X, y, size=100)):
            seen.append(number)
            yield batch

    probe = gl.linear_probe(batches())
    assert seen == list(range(18))
    assert probe.rows == len(X)


# The backbone.


class Doubling(nn.Module):
    """A backbone that tells whether it was run as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.Linear(6, 6).eval()
        self.calls: list[tuple[bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        """Twice the standardised input."""
        self.calls.append((torch.is_grad_enabled(), self.training))
        return 2 * self.drop(self.norm(x))


def test_a_backbone_is_run_frozen_and_left_as_it_was() -> None:
    X, Y = numbers()
    x = X.float()
    backbone = Doubling()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    probe = gl.linear_probe(pieces(x, Y, size=100), backbone=backbone, alpha=0.1)
    assert backbone.calls == [(False, False)] * 5
    flags = [backbone.training, backbone.norm.training, backbone.drop.training]
    assert flags == [True] * 3
    assert not backbone.frozen.training
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad and p.grad is None for p in backbone.parameters())
    features = 2 * backbone.eval().norm(x).detach()
    direct = gl.linear_probe((features, Y), alpha=0.1)
    torch.testing.assert_close(probe.module.weight, direct.module.weight)
    # One tensor goes through in slices; predictions go through it too.
    backbone.train()
    again = gl.linear_probe((x, Y), backbone=backbone, alpha=0.1)
    torch.testing.assert_close(probe.module.weight, again.module.weight)
    wanted = probe.module(features)
    torch.testing.assert_close(probe.predict(x), wanted.detach())
    assert backbone.training


def test_a_backbone_that_fails_is_left_as_it_was() -> None:
    X, Y = numbers()
    backbone = nn.Sequential(nn.Linear(6, 4), nn.Dropout())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        gl.linear_probe((X.float()[:, :5], Y), backbone=backbone)
    assert backbone.training
    assert backbone[1].training


def test_any_function_makes_features() -> None:
    X, y = digits()
    inputs = [({"image": x.reshape(-1, 8, 8)}, t) for x, t in pieces(X, y, size=300)]

    def rows_of_ink(batch: dict[str, Tensor]) -> Tensor:
        return batch["image"].sum(dim=2)

    probe = gl.linear_probe(inputs, backbone=rows_of_ink)
    assert probe.features == 8
    assert probe.evaluate(inputs).accuracy > 0.3


def test_the_layer_drops_into_the_network() -> None:
    X, y = digits()
    backbone = nn.Sequential(nn.Linear(64, 32), nn.ReLU()).eval()
    x = X.float()
    probe = gl.linear_probe((x, y), backbone=backbone)
    network = nn.Sequential(backbone, probe.module)
    labels = network(x).argmax(dim=1)
    assert torch.equal(labels, probe.predict(x))
    twin = nn.Linear(32, 10)
    twin.load_state_dict(probe.state_dict())
    torch.testing.assert_close(twin(backbone(x)), network(x))
    nn.functional.cross_entropy(network(x), y).backward()
    assert probe.module.weight.grad is not None
    assert float(probe.module.weight.grad.abs().max()) > 0


# Types and devices.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_low_precision_features_are_summed_in_float64(dtype: str) -> None:
    """Far from zero, where squares of float32 would have lost everything."""
    X, Y = numbers()
    kind = getattr(torch, dtype)
    x = (X - 5 + 40).to(kind)
    probe = gl.linear_probe((x, Y), alpha=0.01, dtype=torch.float64)
    exact = gl.linear_probe((x.double(), Y), alpha=0.01)
    torch.testing.assert_close(
        probe.module.weight, exact.module.weight, rtol=ROUNDING, atol=0
    )
    own = gl.linear_probe((x, Y), alpha=0.01)
    assert own.module.weight.dtype == kind
    off = (own.module.weight.double() / exact.module.weight - 1).detach().abs().max()
    assert float(off) <= torch.finfo(kind).eps
    assert own.certificate.digits < exact.certificate.digits


def test_the_gap_of_a_rounded_layer_is_what_its_rounding_costs() -> None:
    X, Y = numbers(targets=2)
    for standardize in (True, False):
        probe = gl.linear_probe(
            (X, Y), alpha=0.1, dtype=torch.bfloat16, standardize=standardize
        )
        exact = gl.linear_probe((X, Y), alpha=0.1, standardize=standardize)

        def objective(layer: nn.Module, scaled: bool) -> float:
            weight, bias = layer.weight.double(), layer.bias.double()
            u = weight * X.std(dim=0, correction=0) if scaled else weight
            squares = (Y - X @ weight.T - bias).square().mean(dim=0)
            penalty = 0.1 * u.square().sum(dim=1)
            return (0.5 * (squares + penalty)).mean().item()

        mine = objective(probe.module, standardize)
        best = objective(exact.module, standardize)
        assert probe.certificate.loss == pytest.approx(mine, rel=1e-9)
        assert probe.certificate.optimum_loss == pytest.approx(best, rel=1e-9)
        assert probe.certificate.gap == pytest.approx(mine - best, rel=1e-6)
        assert exact.certificate.relative_gap < 1e-12


@pytest.mark.parametrize(
    ("dtype", "level", "better"),
    [("float16", 200, "float32"), ("bfloat16", 20, "float32"), ("float32", 1e6, "")],
)
def test_costly_rounding_is_not_called_exact(
    dtype: str, level: float, better: str
) -> None:
    """Far from zero: the bias has too few digits for what the slopes tell apart."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = draw(2000, 8)
    y = x @ draw(8, 3) + 0.1 * draw(2000, 3)
    far = (x + level).to(getattr(torch, dtype))
    probe = gl.linear_probe((far, y), alpha=1e-3)
    found = probe.certificate
    assert found.relative_gap > 0.01
    assert found.status == gl.Status.NOT_CONVERGED
    assert f"{100 * found.relative_gap:.2g}% to the loss" in found.advice
    assert f"dtype=torch.{better or 'float64'}" in " ".join(str(probe).split())
    # And what it says to do, helps: more digits, or features about zero.
    finer = getattr(torch, better or "float64")
    for again in (
        gl.linear_probe((far, y), alpha=1e-3, dtype=finer),
        gl.linear_probe((x.to(far.dtype), y), alpha=1e-3),
    ):
        assert again.certificate.relative_gap < 0.01
        assert again.certificate.status == gl.Status.EXACT


def test_whole_numbers_as_features() -> None:
    X, y = digits()
    pixels = X.to(torch.uint8)
    probe = gl.linear_probe((pixels, y), alpha=0.1)
    assert probe.module.weight.dtype == torch.float32
    exact = gl.linear_probe((X, y), alpha=0.1)
    off = probe.module.weight.double() - exact.module.weight
    assert off.abs().max().item() < 1e-7
    assert torch.equal(probe.predict(pixels), exact.predict(X))
    arrays = gl.linear_probe((pixels.numpy(), y.numpy()), alpha=0.1)
    assert torch.equal(arrays.module.weight, probe.module.weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_a_device_are_the_state(weighted: bool) -> None:
    """Made on the CPU here, by the code that a GPU runs."""
    X, Y = numbers(20_000, seed=3)
    X[10_000:] += 100  # the rows move away from where they began
    w = np.random.default_rng(0).uniform(0, 2, len(X)) if weighted else None
    if w is not None:
        w[:3000] = 0
    state = gl.Moments(6, 3)
    sums = DeviceSums(state, torch.device("cpu"))
    for start in range(0, len(X), 700):
        some = slice(start, start + 700)
        sums.add(X[some], Y[some], None if w is None else w[some])
    sums.bring()
    plain = gl.Moments(6, 3).add(gl.Chunk(X.numpy(), Y.numpy(), w))
    found, wanted = state.value(), plain.value()
    assert found[:2] == wanted[:2]
    spread = np.sqrt(wanted.xx.diagonal().max() * wanted.yy.max())
    scales = {"xx": wanted.xx.max(), "xy": spread}
    for name, theirs in wanted._asdict().items():
        scale = scales.get(name, np.abs(theirs).max())
        mine = getattr(found, name)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-11 * scale)
    solved, exact = gl.solve(state), gl.solve(plain)
    np.testing.assert_allclose(solved.slopes, exact.slopes, rtol=1e-7)


def test_a_probe_by_sums_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes turn up late, when much has been summed already."""
    X, y = digits()
    order = torch.argsort(y)
    X, y = X[order], y[order]
    here = gl.linear_probe((X, y))
    monkeypatch.setattr(probestates, "elsewhere", lambda _: True)
    monkeypatch.setattr(probestates, "OPENING", 20)
    monkeypatch.setattr(probestates, "BLOCK_ROWS", (64, 64))
    there = gl.linear_probe((X, y))
    assert there.alpha == pytest.approx(here.alpha, rel=1e-12)
    torch.testing.assert_close(there.module(X), here.module(X), rtol=0, atol=1e-10)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    X, y = digits()
    x = X.float()
    backbone = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
    features = backbone(x).detach()
    here = gl.linear_probe((features, y))
    there = gl.linear_probe((features.cuda(), y.cuda()))
    assert there.module.weight.device.type == "cuda"
    torch.testing.assert_close(there.module.weight.cpu(), here.module.weight)
    through = gl.linear_probe(pieces(x, y, size=100), backbone=backbone.cuda())
    assert through.module.weight.device.type == "cuda"
    assert through.evaluate((x, y)).accuracy == pytest.approx(
        here.evaluate((features, y)).accuracy, abs=2e-3
    )


# Labels.


def test_labels_of_any_kind() -> None:
    X, y = digits()
    binary = y % 2 == 1
    probe = gl.linear_probe((X, binary), alpha=0.1, standardize=False)
    assert probe.classes == (False, True)
    rival = RidgeClassifier(alpha=0.1 * len(X)).fit(X, binary.numpy())
    np.testing.assert_allclose(parameters(probe)[0][1], rival.coef_.ravel(), atol=CLOSE)
    # Two classes are opposites of one another.
    np.testing.assert_allclose(
        parameters(probe)[0][0], -rival.coef_.ravel(), atol=CLOSE
    )
    assert probe.predict(X).dtype == torch.bool
    odd = gl.linear_probe((X, y.to(torch.int32) * 100 - 500), alpha=0.1)
    assert odd.classes == tuple(range(-500, 500, 100))
    assert odd.evaluate((X, y * 100 - 500)).accuracy > 0.9
    floats = gl.linear_probe((X, y.float()), task="classification", alpha=0.1)
    assert floats.classes == tuple(range(10))
    amounts = gl.linear_probe((X, y), task="regression", alpha=0.1)
    assert amounts.classes == ()
    assert amounts.outputs == 1


def test_classes_may_be_given() -> None:
    X, y = digits()
    probe = gl.linear_probe((X, y), classes=[*range(9, -1, -1), 10], alpha=0.1)
    assert probe.classes == (*range(9, -1, -1), 10)
    sorted_ = gl.linear_probe((X, y), alpha=0.1)
    torch.testing.assert_close(
        probe.module.weight[:10].flip(0), sorted_.module.weight, rtol=0, atol=1e-12
    )
    assert float(probe.module.weight[10].detach().abs().max()) < 1e-12
    assert probe.module.bias[10].item() == pytest.approx(-1)
    assert any("'10'" in note and "never predicted" in note for note in probe.notes)
    assert torch.equal(probe.predict(X), sorted_.predict(X))
    with pytest.raises(gl.DataError, match=r"batch 2 .* label 9, which classes lacks"):
        gl.linear_probe(pieces(X, y, size=4), classes=range(9))


def test_all_classes_share_one_alpha() -> None:
    X, y = digits()
    probe = gl.linear_probe((X, y))
    found = probe.cross_validation
    assert found is not None
    assert found.shared
    assert found.errors.shape == (50, 5, 10)
    least = int(found.mean.mean(axis=1).argmin())
    assert (probe.alpha == found.alphas[least]).all()
    each = gl.linear_probe((X, y), alpha_per_target=True)
    assert len(set(each.alpha.tolist())) > 1
    larger = gl.linear_probe((X, y), alpha="1se")
    assert larger.alpha[0] > probe.alpha[0]


def test_the_accuracy_on_rows_held_out() -> None:
    """Each row by a scikit-learn classifier of the other folds."""
    X, y = digits()
    batches = pieces(X, y, size=100)
    probe = gl.linear_probe(batches, standardize=False)
    labels = probestates.fold_labels(gl.KFold(5))(0, len(X))
    hits = 0
    for fold in range(5):
        some = labels == fold
        alpha = probe.alpha[0] * (~some).sum()
        rival = RidgeClassifier(alpha=alpha).fit(X[~some], y[~some])
        hits += int((rival.predict(X[some]) == y[some].numpy()).sum())
    scores = probe.held_out(batches)
    assert scores.accuracy == hits / len(X)
    assert scores.accuracy < probe.evaluate(batches).accuracy
    assert scores.confusion.sum() == len(X)
    shuffled = torch.randperm(len(X))
    for other in ((X[shuffled], y[shuffled]), (X[:-1], y[:-1])):
        with pytest.raises(gl.DataError, match="in another order"):
            probe.held_out(other)
    with pytest.raises(gl.UsageError, match="no rows were held out"):
        gl.linear_probe((X, y), alpha="gcv").held_out((X, y))


def test_the_error_on_rows_held_out_is_that_of_the_curve() -> None:
    X, Y = numbers()
    weight = torch.rand(len(X), dtype=torch.float64) + 0.5
    probe = gl.linear_probe((X, Y))
    scores = probe.held_out((X, Y))
    found = probe.cross_validation
    assert found is not None
    np.testing.assert_allclose(scores.rmse, found.rmse, rtol=1e-9)  # folds of 100
    weighted = gl.linear_probe((X, Y, weight))
    assert weighted.held_out((X, Y, weight)).rmse == pytest.approx(
        weighted.cross_validation.rmse,
        rel=0.02,  # folds differ in weight
    )


# Other penalties, from the state.


def test_the_path_is_ridge_at_each_alpha() -> None:
    X, Y = numbers()
    probe = gl.linear_probe((X, Y), standardize=False)
    path = probe.path([1.0, 1e-3])
    assert path.alphas.tolist() == [1.0, 1e-3]
    for place, alpha in enumerate([1.0, 1e-3]):
        rival = Ridge(alpha * len(X)).fit(X, Y)
        np.testing.assert_allclose(path.weights[place], rival.coef_, rtol=1e-8)
        np.testing.assert_allclose(path.biases[place], rival.intercept_, rtol=1e-8)
        layer = probe.module_at(alpha)
        np.testing.assert_allclose(layer.weight.detach(), rival.coef_, rtol=1e-8)
    assert probe.path().weights.shape == (50, 3, 6)


def test_many_targets_are_solved_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, Y = numbers(targets=7)
    whole = gl.linear_probe((X, Y))
    monkeypatch.setattr("gradline.probesolve._NUMBERS", 700)  # 2 of the 7 targets
    parts = gl.linear_probe((X, Y))
    assert whole.cross_validation is not None
    assert parts.cross_validation is not None
    np.testing.assert_allclose(
        parts.cross_validation.errors, whole.cross_validation.errors, rtol=CLOSE
    )


# What is shown, and what is said of awkward data.


def test_what_is_printed() -> None:
    X, y = digits()
    probe = gl.linear_probe((X.float(), y))
    text = str(probe)
    for part in (
        "10 classes from 64 features, 1,797 rows, ridge, 50 alphas by 5 folds",
        "for all outputs",
        "R² held out",
        "the weights are good to 6.9 digits, as",
        "62 of 65 columns",
        "3 of 64 features are constant ('0', '32', '39', counted from 0)",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    assert repr(probe) == "<Probe: 10 classes, 64 features, 10 outputs, 1,797 rows>"
    scores = str(probe.evaluate((X.float(), y)))
    assert "accuracy 0.9" in scores
    assert "taken most for" in scores
    found = probe.to_dict()
    assert found["classes"] == list(range(10))
    assert found["certificate"]["rank"] == 62
    ends = gl.linear_probe((X, y), alphas=[100.0, 50.0])
    assert any("the smallest tried" in note for note in ends.notes)
    fixed = str(gl.linear_probe((X, X[:, :2] + 1.0), alpha=0.5))
    assert "2 targets from 64 features, 1,797 rows, ridge, alpha 0.5" in fixed
    assert "norm of weights" in fixed
    one = gl.linear_probe((X, X[:, 2]))
    assert "1 target from 64 features" in str(one)
    assert "R²" in str(one.evaluate((X, X[:, 2])))


def test_fewer_rows_than_features() -> None:
    X, y = digits()
    some = torch.arange(40)
    probe = gl.linear_probe((X[some], y[some]))
    assert any("40 rows do not determine" in note for note in probe.notes)
    assert probe.rank <= 40
    exact = gl.linear_probe((X[some], X[some, :1] + 1.0), alpha=0)
    assert exact.certificate.status == gl.Status.RANK_DEFICIENT
    assert "larger alpha" in exact.certificate.advice


def test_features_that_do_not_vary() -> None:
    y = torch.arange(30) % 3
    probe = gl.linear_probe((torch.ones(30, 4), y))
    assert "all features are constant" in " ".join(probe.notes)
    assert float(probe.module.weight.detach().abs().max()) == 0
    torch.testing.assert_close(probe.module.bias, torch.full((3,), -1 / 3))


def test_progress_is_told() -> None:
    from contextlib import contextmanager

    told: list[Any] = []

    @contextmanager
    def progress(title: str, rows: int | None) -> Iterator[Any]:
        told.append(title if rows is None else (title, rows))
        yield told.append

    X, y = digits()
    gl.linear_probe(pieces(X, y, size=1000), alpha="loo", progress=progress)
    assert told == ["features", 1000, 797, "leaving one out", 1000, 797]


GOOD = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(60) % 3
HOLE = GOOD.clone()
HOLE[25, 2] = torch.nan


@pytest.mark.parametrize(
    ("batches", "options", "message"),
    [
        ((GOOD[:, :, None], LABELS), {}, r"flatten them, x.flatten\(1\), or pool"),
        ((GOOD[:, 0], LABELS), {}, r"x\[:, None\] for one feature"),
        ((HOLE, LABELS), {}, "the data has nan in row 25, feature 2"),
        (pieces(HOLE, LABELS, size=10), {}, "batch 2 has nan in row 5, feature 2"),
        ((GOOD, HOLE[:, 2]), {}, "targets of the data have nan in row 25"),
        ((GOOD, LABELS * 0), {}, "all 60 labels are 0: give rows of two or more"),
        ((GOOD, ["cat"] * 60), {}, r"hold text: give whole numbers.*names.index"),
        ((GOOD, LABELS[:, None]), {}, r"whole numbers of shape \(60, 1\)"),
        ((GOOD, LABELS[:50]), {}, "60 rows and targets 50"),
        ([(GOOD, LABELS[:50])], {}, r"shape \(50,\) and the features 60 rows"),
        ((GOOD, torch.arange(60)), {}, "60 different ones in 60 rows"),
        ((GOOD, LABELS + 0.5), {"task": "classification"}, "with a fraction"),
        ((GOOD, LABELS, -torch.ones(60)), {}, "weights of the data have -1.0 in row 0"),
        ((GOOD, LABELS, torch.zeros(60)), {}, "none of the 60 rows has a weight"),
        ([(GOOD, LABELS), (GOOD[:, :3], LABELS)], {}, "batch 1 has 3 features and"),
        (
            [(GOOD, LABELS), (GOOD, LABELS, torch.ones(60))],
            {},
            "batch 1 has weights and those before it have none",
        ),
        ([(GOOD, GOOD), (GOOD, GOOD[:, :2])], {}, "give one shape"),
        ([], {}, "batches has no rows"),
        ([{"x": GOOD, "y": LABELS}], {}, "batch 0 is a dict of 'x', 'y'"),
        ([GOOD], {}, "batch 0 is a Tensor: give a DataLoader"),
        (TensorDataset(GOOD, LABELS), {}, "wrap it in torch.utils.data.DataLoader"),
        ("digits.csv", {}, "batches is a str: give a DataLoader"),
        ((GOOD * 1j, LABELS), {}, "is complex"),
        ((GOOD.double() * 1e200, LABELS), {}, "too large to square"),
        ((GOOD * 1e-9, LABELS), {"dtype": torch.float16}, "float16 cannot hold"),
        ((GOOD, LABELS), {"dtype": torch.int64}, "dtype is torch.int64"),
        ((GOOD, LABELS), {"folds": 1}, "the number of folds is 1"),
        ((GOOD, LABELS), {"folds": 100}, "60 rows are too few for 100 folds"),
        ((GOOD, LABELS), {"folds": gl.GroupKFold("x")}, "a gl.KFold without repeats"),
        ((GOOD, LABELS), {"alpha": "gvc"}, "did you mean 'gcv'"),
        ((GOOD, LABELS), {"alpha": -1.0}, "give 0 or more"),
        ((GOOD, LABELS), {"alpha": 1.0, "alphas": [1.0]}, "leave one of them out"),
        ((GOOD, LABELS), {"alpha": "gcv", "folds": 5}, "needs no folds"),
        ((GOOD, LABELS), {"alphas": []}, r"alphas is \[\]"),
        ((GOOD, LABELS), {"task": "labels"}, "give 'auto' or 'regression'"),
        ((GOOD, LABELS), {"alpha_per_target": 1}, "give None or True or False"),
        ((GOOD, LABELS), {"classes": [0, 0]}, "give two or more, each once"),
        ((GOOD, LABELS), {"classes": [0, 1], "task": "regression"}, "for labels"),
        ((GOOD, LABELS), {"backbone": "resnet"}, "backbone is a str"),
        ((GOOD, LABELS), {"backbone": lambda x: [x]}, "the features of the data are"),
        ((GOOD, LABELS), {"device": "nowhere"}, "device is 'nowhere'"),
        (iter([(GOOD, LABELS)]), {"alpha": "loo"}, "an iterator can be read once"),
    ],
)
def test_what_is_refused(batches: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(gl.GradlineError, match=message):
        gl.linear_probe(batches, **options)


def test_what_a_probe_refuses() -> None:
    probe = gl.linear_probe((GOOD, LABELS))
    with pytest.raises(gl.ShapeError, match="has 3 features and the probe 4"):
        probe.predict(GOOD[:, :3])
    with pytest.raises(gl.UsageError, match="has no targets"):
        probe.evaluate([(GOOD, None)])
    scores = probe.evaluate((GOOD, LABELS + 1))
    assert scores.unseen == 20
    assert scores.confusion.sum() == 40
    assert scores.accuracy == scores.confusion.trace() / 60
    numbers_ = gl.linear_probe((GOOD, GOOD[:, :2]), alpha=0.1)
    with pytest.raises(gl.ShapeError, match="have 3 columns and the probe 2"):
        numbers_.evaluate((GOOD, GOOD[:, :3]))
    with pytest.raises(gl.DataError, match="has no rows"):
        numbers_.evaluate((GOOD[:0], GOOD[:0, :2]))
    assert numbers_.predict(GOOD[:0]).shape == (0, 2)


def test_rows_that_change_between_passes() -> None:
    class Shrinking:
        """Another number of batches each time."""

        left = 3

        def __iter__(self) -> Iterator[Any]:
            self.left -= 1
            return iter([(GOOD, LABELS)] * self.left)

    with pytest.raises(gl.DataError, match="120 rows the first time and 60"):
        gl.linear_probe(Shrinking(), alpha="loo")


def test_a_gathering_of_no_folds_is_one_state() -> None:
    X, Y = numbers()
    gathering = Gathering(Targets("regression", None), None)
    from gradline.probebatches import Rows

    gathering.add(Rows(X, Y, None, "batch 0"))
    found = gathering.value()
    assert len(found.states) == 1
    plain = gl.Moments(6, 3).add(gl.Chunk(X.numpy(), Y.numpy(), None))
    np.testing.assert_allclose(found.states[0].xx, plain.xx, rtol=ROUNDING)
