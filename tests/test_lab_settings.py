"""What can be set in the lab, and that it changes what it should."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import gradline as gl
from browser import Visit
from helpers import TOLERANCE

FEW = TOLERANCE["float64"]


def line(n: int = 100, noise: float = 1.0) -> tuple[Any, Any]:
    """The points that the lab draws at first."""
    return gl.sample_linear_data(n=n, slope=1, intercept=0, noise=0.1 * noise, seed=0)


def walk(start: list[float], steps: int, make: Any, loss: Any) -> list[float]:
    """Slope and intercept after the five lines in plain torch, on the first points."""
    x, y = (torch.from_numpy(v)[:, None] for v in line())
    model = torch.nn.Linear(1, 1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(start[0])
        model.bias.fill_(start[1])
    optimizer = make(model.parameters())
    for _ in range(steps):
        error = loss(model(x), y)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return [model.weight.item(), model.bias.item()]


def test_a_rate_over_the_limit_diverges_and_is_mended_by_the_best(visit: Visit) -> None:
    page = visit.open()
    slider, words = page.locator("#lr"), page.locator("#lr-words")
    expect(words).to_contain_text("Stable")
    limit = visit.state("run.limits.limit")
    x, _ = line()
    hessian = 2 / len(x) * np.array([[x @ x, x.sum()], [x.sum(), len(x)]])
    np.testing.assert_allclose(limit, 2 / np.linalg.eigvalsh(hessian)[-1], rtol=FEW)

    here = float(slider.input_value())
    visit.drag(visit.along(slider, here), visit.along(slider, 0.98))
    visit.settle()
    assert visit.state("setting.lr") > limit
    assert visit.state("run.diverged") is not None
    expect(words).to_contain_text("iverge")
    expect(words).to_contain_text(f"{limit:.3g}")
    expect(page.locator("#certificate-sentence")).to_contain_text("ran away")
    # The path that is drawn runs away, as far as it can be shown.
    visit.scrub(visit.state("run.total"))
    assert visit.state("frame.loss") > 1e6 * visit.state("run.frames.losses[0]")
    expect(page.locator("#certificate-badge")).to_contain_text("diverge")

    with visit.new_run():
        page.locator("#use-best").click()
    assert visit.state("run.diverged") is None
    low, high = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(visit.state("setting.lr"), 2 / (low + high), rtol=1e-6)
    expect(words).to_contain_text("Stable")
    expect(page.locator("#use-best")).to_be_hidden()


def test_arrow_keys_move_the_learning_rate(visit: Visit) -> None:
    page = visit.open()
    before = visit.state("setting.lr")
    page.locator("#lr").focus()
    with visit.new_run():
        page.keyboard.press("ArrowRight")
    assert before < visit.state("setting.lr") < 1.1 * before


SQUARED = torch.nn.MSELoss()
OPTIMIZERS: dict[str, Any] = {
    "momentum=0.9": lambda p: torch.optim.SGD(p, 0.1, 0.9),
    "momentum=0.9&nesterov=true": lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True),
    "weight_decay=0.3": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.3),
    "optimizer=Adam": lambda p: torch.optim.Adam(p, 0.1),
    "optimizer=AdamW&weight_decay=0.2": lambda p: torch.optim.AdamW(
        p, 0.1, weight_decay=0.2
    ),
    "optimizer=RMSprop": lambda p: torch.optim.RMSprop(p, 0.1),
    "optimizer=Adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
}


def test_optimizers_walk_as_torch_does(visit: Visit) -> None:
    for link, make in OPTIMIZERS.items():
        with visit.new_run() if visit.page.url.startswith("http") else nullcontext():
            visit.open(f"#v=1&{link}&step=50")
        frame = visit.frame_at(50)
        start = visit.state("run.frames.parameters[0]")
        expected = walk(start, 50, make, SQUARED)
        np.testing.assert_allclose(
            frame["parameters"], expected, rtol=1e-7, err_msg=link
        )


def test_optimizers_are_chosen_from_the_list(visit: Visit) -> None:
    page = visit.open()
    ends = set()
    for name in ("Adam", "RMSprop", "SGD"):
        visit.give("optimizer", name)
        expect(page.locator("#code-view")).to_contain_text(f"torch.optim.{name}(")
        ends.add(visit.scrub(50)["loss"])
    assert len(ends) == 3


def test_nesterov_waits_for_momentum_and_sgd(visit: Visit) -> None:
    page = visit.open()
    nesterov = page.locator("#set-nesterov")
    expect(nesterov).to_be_disabled()
    expect(page.locator("#row-nesterov")).to_contain_text("needs momentum")
    visit.give("momentum", 0.5)
    expect(nesterov).to_be_enabled()
    visit.give("optimizer", "Adam")
    expect(nesterov).to_be_disabled()
    expect(page.locator("#row-nesterov")).to_contain_text("SGD")
    expect(page.locator("#set-momentum")).to_be_disabled()


def test_absolute_loss_walks_as_torch_does(visit: Visit) -> None:
    visit.open()
    visit.give("loss", "absolute")
    start = visit.scrub(0)["parameters"]
    frame = visit.scrub(40)
    make = lambda p: torch.optim.SGD(p, 0.1)  # noqa: E731
    expected = walk(start, 40, make, torch.nn.L1Loss())
    np.testing.assert_allclose(frame["parameters"], expected, rtol=1e-7)
    x, y = line()
    slope, intercept = expected
    error = np.abs(slope * x + intercept - y).mean()
    np.testing.assert_allclose(frame["loss"], error, rtol=1e-7)
    # Its optimum is the median line: nearer than where descent stands.
    best = gl.fit(x, y, loss="absolute")
    known = [best.coefficients["x"], best.intercept]
    shown = visit.state("run.optimum.parameters")
    error_of = lambda p: np.abs(p[0] * x + p[1] - y).mean()  # noqa: E731
    np.testing.assert_allclose(error_of(shown), error_of(known), rtol=1e-6)


def test_hubers_loss_cares_less_for_outliers(visit: Visit) -> None:
    visit.open()
    visit.give("outliers", 10)
    squared = visit.state("run.optimum.parameters")
    visit.give("loss", "huber")
    huber = visit.state("run.optimum.parameters")
    assert math.dist(huber, [1, 0]) < 0.5 * math.dist(squared, [1, 0])


def test_batches_are_steps_of_their_own_with_noise(visit: Visit) -> None:
    page = visit.open()
    visit.give("epochs", 20)
    visit.give("batch-size", 16)
    assert visit.state("run.per_epoch") == 7
    assert visit.state("run.total") == 140
    visit.scrub(21)
    expect(page.locator("#epoch-now")).to_have_text("3")
    expect(page.locator("#epoch-total")).to_contain_text("20")
    # The steps' own losses scatter around the loss over all rows.
    seen = np.array(visit.state("run.frames.seen")[1:], float)
    losses = np.array(visit.state("run.frames.losses")[:-1])
    late = slice(70, None)
    assert np.std((seen - losses)[late]) > 0.05 * np.mean(losses[late])
    assert np.unique(seen[late]).size > 50
    # The end is noisy, but near.
    assert visit.state("run.frames.losses.at(-1)") < 0.05
    expect(page.locator("#code-view")).to_contain_text("batches")


def test_degree_and_validation_show_overfitting(visit: Visit) -> None:
    page = visit.open()
    for name, value in {
        "n": 30,
        "noise": 2,
        "validation": 0.4,
        "standardize": 1,
    }.items():
        visit.give(name, value)
    held = visit.state("data.held_rows")
    assert 4 <= held <= 20
    assert visit.state("data.held").count(1) == held
    visit.give("epochs", 1_000_000)
    x = np.array(visit.state("data.X"))[:, 0]
    y = np.array(visit.state("data.y"))
    learned = np.array(visit.state("data.held")) == 0
    fitted = np.polyfit(x[learned], y[learned], 1)
    frame = visit.scrub(1_000_000)
    other = (np.polyval(fitted, x) - y)[~learned]
    np.testing.assert_allclose(frame["parameters"], fitted, rtol=1e-6)
    np.testing.assert_allclose(frame["validation"], (other**2).mean(), rtol=1e-6)
    visit.give("degree", 9)
    visit.rate(visit.state("run.limits.best"))
    assert len(visit.state("data.terms")) == 9
    flexible = visit.scrub(1_000_000)
    assert flexible["loss"] < frame["loss"]
    assert flexible["validation"] > frame["validation"]
    expect(page.locator("#certificate-validation")).not_to_have_text("–")


def test_points_noise_and_seed_draw_other_data(visit: Visit) -> None:
    page = visit.open()
    visit.give("n", 20)
    assert visit.state("data.rows") == 20
    _, y = line(20)
    np.testing.assert_allclose(visit.state("data.y"), y, rtol=FEW)
    visit.give("noise", 5)
    np.testing.assert_allclose(visit.state("data.y"), line(20, 5)[1], rtol=FEW)
    with visit.new_run():
        page.locator("#new-draw").click()
    assert visit.state("setting.seed") == 1
    assert visit.state("data.y") != list(y)
    visit.give("outliers", 3)
    assert sum(abs(v - w) > 1 for v, w in zip(visit.state("data.y"), y, strict=True))


def roundness(visit: Visit) -> float:
    """How much longer than wide the drawn contours are, from the axes of an ellipse."""
    kind = "standardised" if visit.state("setting.standardize") else "raw"
    root = np.array(visit.state(f"run.surface.{kind}.root"))
    sizes = np.linalg.svd(root, compute_uv=False)
    return float(sizes[0] / sizes[-1])


def test_standardising_makes_the_bowl_round_and_the_same_rate_converge(
    visit: Visit,
) -> None:
    page = visit.open("#v=1&data=penguins")
    assert visit.state("setting.lr") == 0.1
    assert visit.state("run.diverged") is not None
    assert roundness(visit) > 1000
    assert visit.state("run.limits.condition") > 1e6
    with visit.new_run():
        page.locator("#standardize").check()
    assert visit.state("run.diverged") is None
    assert roundness(visit) == pytest.approx(1, rel=1e-9)
    assert visit.state("run.limits.condition") == pytest.approx(1, rel=1e-9)
    visit.scrub(200)
    expect(page.locator("#certificate-badge")).to_have_text("converged")
    # On the screen too: one unit to the right is as long as one unit up.
    x0, y0 = visit.spot(1, 0, 0)
    x1, y1 = visit.spot(1, 100, 100)
    assert x1 - x0 == pytest.approx(y0 - y1, rel=0.02)
    # Both switches are the same one.
    expect(page.locator("#set-standardize")).to_be_checked()


def test_what_cannot_be_done_is_said_and_undone(visit: Visit) -> None:
    page = visit.open()
    page.evaluate("gradlineLab.store.change({ optimizer: 'Adamm' })")
    expect(page.locator("#status")).to_contain_text("Adam")
    visit.settle()
    assert visit.state("setting.optimizer") == "SGD"
    with visit.new_run():
        visit.number("#lr-number", 0.2)
    expect(page.locator("#status")).to_be_hidden()


def test_boxes_take_no_nonsense(visit: Visit) -> None:
    page = visit.open()
    for text in ("0", "-3", "", "1e99"):
        visit.number("#lr-number", text)
        visit.number("#set-epochs-number", text)
        visit.settle()
        assert 0 < visit.state("setting.lr") <= 1e6
        assert 1 <= visit.state("setting.epochs") <= 1_000_000
        assert page.locator("#lr-number").input_value() not in ("", text)


def test_the_start_is_dragged_on_the_surface(visit: Visit) -> None:
    visit.open()
    first = visit.state("run.frames.parameters[0]")
    best = visit.state("run.optimum.parameters")
    aim = [first[0] + 0.4 * (best[0] - first[0]), first[1] - 0.1]
    with visit.new_run():
        visit.drag(visit.spot(1, *first), visit.spot(1, *aim))
    np.testing.assert_allclose(visit.state("run.frames.parameters[0]"), aim, atol=0.05)


def test_the_proof_is_the_loop_itself(visit: Visit) -> None:
    page = visit.open()
    visit.scrub(100)
    page.locator("#proof").click()
    expect(page.locator("#proof-words")).to_contain_text("100")
    expect(page.locator("#proof")).to_be_enabled()


def test_curves_and_residuals_are_drawn_as_asked(visit: Visit) -> None:
    page = visit.open()
    visit.scrub(20)
    plain = page.evaluate("document.querySelector('#data-view').toDataURL()")
    page.locator("#residuals").check()
    visit.page.wait_for_timeout(100)
    assert plain != page.evaluate("document.querySelector('#data-view').toDataURL()")
    pictures = set()
    for name in ("Linear", "Log", "Gap"):
        page.locator("#view-curve").get_by_text(name, exact=True).click()
        visit.page.wait_for_timeout(100)
        pictures.add(page.evaluate("document.querySelector('#curve-view').toDataURL()"))
    assert len(pictures) == 3
