"""The guided lesson from its first step to its last, as somebody does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from playwright.sync_api import expect

from browser import Visit


def noise(visit: Visit) -> None:
    visit.give("noise", 3)


def drag_away(visit: Visit) -> None:
    page = visit.page
    page.locator("#residuals").check()
    X, y = np.array(visit.state("data.X"))[:, 0], np.array(visit.state("data.y"))
    low, high = page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    # A point near the line at the left, to the edge that is farther.
    slope, intercept = visit.state("frame.parameters")
    error = slope * X + intercept - y
    near = int(np.argmin(np.abs(error) + X / 10))
    line = slope * X[near] + intercept
    edge = (
        low + 0.03 * (high - low)
        if line - low > high - line
        else high - 0.03 * (high - low)
    )
    with visit.new_run():
        visit.drag(visit.spot(0, X[near], y[near]), visit.spot(0, X[near], edge))


def five_lines(visit: Visit) -> None:
    for _ in range(5):
        visit.page.locator("#substep").click()
        visit.page.wait_for_timeout(30)


def thousand(visit: Visit) -> None:
    visit.give("epochs", 1000)
    visit.page.locator("h1").click()
    visit.page.keyboard.press("End")


def largest_rate(visit: Visit) -> None:
    limit = visit.state("run.limits.limit")
    visit.rate(1.2 * limit)
    to_the_end(visit)
    visit.page.wait_for_timeout(100)
    visit.rate(float(f"{0.98 * limit:.3g}"))


def to_the_end(visit: Visit) -> None:
    visit.page.locator("h1").click()
    visit.page.keyboard.press("End")


def standardise(visit: Visit) -> None:
    with visit.new_run():
        visit.page.locator("#standardize").check()
    to_the_end(visit)


def twenty(visit: Visit) -> None:
    standardise(visit)
    with visit.new_run():
        visit.page.locator("#use-best").click()
    to_the_end(visit)


def validation(visit: Visit) -> None:
    visit.give("degree", 1)
    visit.page.locator("h1").click()
    visit.page.keyboard.press("End")


def read(text: str) -> float:
    """A number as the page shows it: −7.46×10⁻⁴."""
    plain = text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    return float(plain.replace("×10", "e"))


def predict(visit: Visit) -> None:
    page = visit.page
    # Read off the page, as a learner does.
    line = page.locator("#lesson-task .now").inner_text()
    weight, bias = (read(part.split()[-1]) for part in line.split(","))
    page.locator("#lesson-answer").fill("7")
    page.locator("#lesson-check").click()
    expect(page.locator("#lesson-news")).to_have_text("Not quite.")
    page.locator("#lesson-answer").fill(f"{0.5 * weight + bias:.2f}")
    page.keyboard.press("Enter")


def own(visit: Visit) -> None:
    page = visit.page
    page.locator("#open-data").click()
    with visit.new_run():
        page.locator("[data-set=penguins]").click()
    page.locator("h1").click()
    page.keyboard.press("End")


TASKS: list[Callable[[Visit], None]] = [
    noise,
    drag_away,
    five_lines,
    thousand,
    largest_rate,
    standardise,
    twenty,
    validation,
    predict,
    own,
]


def test_the_lesson_is_finished_by_doing_its_tasks(visit: Visit) -> None:
    page = visit.open()
    page.locator("#open-lesson").click()
    dots = page.locator("#side-body .dots button")
    expect(dots).to_have_count(len(TASKS))
    for number, do in enumerate(TASKS, 1):
        expect(page.locator("#lesson-title")).to_contain_text(f"{number}. ")
        expect(page.locator("#lesson-task")).not_to_have_attribute("data-done", "")
        page.locator("#lesson-hint-button").click()
        expect(page.locator("#lesson-hint")).to_be_visible()
        do(visit)
        expect(page.locator("#lesson-news")).to_have_text("Solved.")
        if number < len(TASKS):
            with visit.new_run():
                page.locator("#lesson-next").click()
    page.locator("#lesson-next").click()
    expect(page.locator("#side")).to_be_hidden()

    # It is remembered in this browser, also by another page.
    page.reload()
    visit.wait("window.gradlineLab?.store?.frame != null")
    page.locator("#open-lesson").click()
    expect(page.locator("#side-body .dots button[aria-label$=solved]")).to_have_count(
        len(TASKS)
    )
    assert not visit.state("error")
