"""Time in the lab: play, pause, step, line by line, speed, and any epoch at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, expect

import gradline as gl
from browser import Visit
from helpers import TOLERANCE

FEW = TOLERANCE["float64"]


def loop(
    start: list[float], x: np.ndarray, y: np.ndarray, lr: float, epochs: int
) -> tuple[float, float, float]:
    """Slope, intercept and loss after so many of the five steps, in plain torch."""
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    weight = torch.tensor(start[0], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(start[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=lr)
    for _ in range(epochs):
        loss = ((weight * inputs + bias - targets) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss = ((weight * inputs + bias - targets) ** 2).mean()
    return weight.item(), bias.item(), loss.item()


def test_the_first_view_has_a_run_at_rest(visit: Visit) -> None:
    page = visit.open()
    assert visit.state("run.total") == 200
    assert visit.state("step") == 0
    expect(page.locator("#nothing")).to_be_hidden()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_it_plays_by_itself_where_motion_is_welcome(
    browser: Browser, address: str
) -> None:
    visit = Visit(browser, address)
    page = visit.open()
    visit.wait_state("playing")
    visit.wait_state("step > 3")
    page.get_by_role("button", name="Pause", exact=True).click()
    stopped = visit.state("step")
    page.wait_for_timeout(150)
    assert visit.state("step") == stopped
    assert not visit.state("playing")
    visit.close()


def test_any_epoch_is_that_of_gl_fit_and_of_a_loop(visit: Visit) -> None:
    visit.open()
    x, y = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    fit = gl.fit(x, y, method="gd", lr=0.1, epochs=200, seed=0, standardize=False)
    start = visit.scrub(0)["parameters"]
    for epoch in (1, 37, 200):
        frame = visit.scrub(epoch)
        there = fit.at(epoch)
        slope, intercept, loss = loop(start, x, y, 0.1, epoch)
        ours = [*frame["parameters"], frame["loss"]]
        np.testing.assert_allclose(ours, [slope, intercept, loss], rtol=FEW)
        known = [there.coefficients["x"], there.intercept]
        np.testing.assert_allclose(ours[:2], known, rtol=FEW)


def test_the_millionth_epoch_is_there_at_once(visit: Visit) -> None:
    page = visit.open()
    visit.give("epochs", 1_000_000)
    frame = visit.scrub(1_000_000)
    x, y = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    best = gl.fit(x, y)
    known = [best.coefficients["x"], best.intercept]
    np.testing.assert_allclose(frame["parameters"], known, rtol=FEW)
    expect(page.locator("#epoch-now")).to_have_text("1,000,000")
    # A step in the middle that no picture needed has its own exact numbers as well.
    middle = visit.scrub(123_457)
    np.testing.assert_allclose(middle["parameters"], known, rtol=FEW)


def test_buttons_step_on_back_and_reset(visit: Visit) -> None:
    page = visit.open()
    back = page.get_by_role("button", name="One step back")
    reset = page.get_by_role("button", name="Back to the start")
    expect(back).to_be_disabled()
    for _ in range(3):
        page.get_by_role("button", name="One step on").click()
    visit.frame_at(3)
    expect(page.locator("#epoch-now")).to_have_text("3")
    back.click()
    visit.frame_at(2)
    reset.click()
    visit.frame_at(0)
    expect(reset).to_be_disabled()
    visit.scrub(200)
    expect(page.get_by_role("button", name="One step on")).to_be_disabled()


def test_five_lines_make_one_step(visit: Visit) -> None:
    page = visit.open()
    lit = page.locator("#code-view .code-lit")
    lines = ["model(x)", "loss_fn(", "zero_grad()", "backward()", "optimizer.step()"]
    for number, line in enumerate(lines):
        page.get_by_role("button", name="One line of code on").click()
        expect(lit).to_have_count(1)
        expect(lit).to_contain_text(line)
        assert visit.state("step") == (1 if number == 4 else 0)
    shown = lit.inner_text()
    weight = visit.state("frame.parameters[0]")
    assert f"{weight:.3f}" in shown.replace("\N{MINUS SIGN}", "-")


def test_keys_do_what_the_help_says(visit: Visit) -> None:
    page = visit.open()
    press = page.keyboard.press
    page.locator("h1").click()
    press("ArrowRight")
    visit.frame_at(1)
    press("Shift+ArrowRight")
    visit.frame_at(11)
    press("ArrowLeft")
    visit.frame_at(10)
    press("End")
    visit.frame_at(200)
    press("r")
    visit.frame_at(0)
    press(".")
    expect(page.locator("#code-view .code-lit")).to_have_count(1)
    press(" ")
    visit.wait_state("playing && gradlineLab.store.step > 1")
    press(" ")
    visit.wait_state("playing === false")
    press("Home")
    visit.frame_at(0)
    press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    press("Escape")
    expect(page.locator("#help-dialog")).to_be_hidden()


@pytest.mark.parametrize("speed", [20, 1000])
def test_speed_is_steps_a_second(visit: Visit, speed: int) -> None:
    page = visit.open()
    visit.give("epochs", 100_000)
    page.locator("#speed").select_option(str(speed))
    page.locator("#play").click()
    visit.wait_state("step > 4")
    seen = "[gradlineLab.store.step, performance.now()]"
    first, began = page.evaluate(seen)
    page.wait_for_timeout(400)
    last, ended = page.evaluate(seen)
    page.locator("#play").click()
    # A picture takes time, and a tick counts at most a tenth of a second: only slower.
    assert last - first <= 1.3 * speed * (ended - began) / 1000 + 2
    assert last > first
    # What passed by while it played was exact.
    assert visit.state("frame.exact")


def test_it_stops_at_the_end_and_plays_again_from_the_start(visit: Visit) -> None:
    page = visit.open()
    visit.give("epochs", 5)
    page.locator("#play").click()
    visit.wait_state("playing === false && gradlineLab.store.step === 5")
    page.locator("#play").click()
    visit.wait_state("playing && gradlineLab.store.step < 5")
    visit.wait_state("playing === false && gradlineLab.store.step === 5")


def test_a_click_on_the_curve_goes_there(visit: Visit) -> None:
    page = visit.open()
    page.mouse.click(*visit.spot(2, 120, visit.state("run.optimum.loss")))
    visit.wait_state("step > 110 && gradlineLab.store.step < 130")
