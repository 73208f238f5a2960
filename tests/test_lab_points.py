"""Points added, moved and deleted by mouse and by keys, and the line that follows."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import expect

import gradline as gl
from browser import Visit
from helpers import TOLERANCE

FEW = TOLERANCE["float64"]


def points(visit: Visit) -> tuple[Any, Any]:
    """The points on the page, (n,) each."""
    X, y = visit.state("data.X"), visit.state("data.y")
    return np.array(X)[:, 0], np.array(y)


def check_optimum(visit: Visit, x: Any, y: Any) -> None:
    """The optimum on the page is that of gl.fit on these points."""
    fit = gl.fit(x, y)
    shown = visit.state("run.optimum.parameters")
    np.testing.assert_allclose(shown, [fit.coefficients["x"], fit.intercept], rtol=FEW)
    np.testing.assert_allclose(
        visit.state("run.optimum.loss"), fit.certificate.optimum_loss, rtol=FEW
    )


def nearby(place: tuple[float, float], x: Any, y: Any) -> bool:
    """Whether a point is where the mouse was, as well as pixels allow."""
    return bool((np.hypot(x - place[0], y - place[1]) < 0.01).any())


def test_points_by_mouse(visit: Visit) -> None:
    page = visit.open()
    x, y = gl.sample_linear_data(n=100, slope=1, intercept=0, noise=0.1, seed=0)
    check_optimum(visit, x, y)

    low, high = visit.page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    new = (float(x.min()) + 0.02, float(high - 0.05 * (high - low)))
    with visit.new_run():
        page.mouse.click(*visit.spot(0, *new))
    more = points(visit)
    assert len(more[0]) == 101
    assert nearby(new, *more)
    np.testing.assert_allclose(more[0][:100], x, rtol=FEW)
    check_optimum(visit, *more)

    # Drag the point that was added, then one that was there.
    old = int(np.argmax(x))
    for place in ((more[0][-1], more[1][-1]), (x[old], y[old])):
        aim = (float(place[0]) - 0.1 * np.sign(place[0] - 0.5), low + 0.1)
        with visit.new_run():
            visit.drag(visit.spot(0, *place), visit.spot(0, *aim))
        x_now, y_now = points(visit)
        assert len(x_now) == 101
        assert nearby(aim, x_now, y_now)
        check_optimum(visit, x_now, y_now)

    # A double click deletes.
    here = (float(x_now[-1]), float(y_now[-1]))
    with visit.new_run():
        page.mouse.dblclick(*visit.spot(0, *here))
    x_now, y_now = points(visit)
    assert not nearby(here, x_now, y_now)
    assert len(x_now) == 100
    check_optimum(visit, x_now, y_now)

    with visit.new_run():
        page.locator("#undo-edits").click()
    np.testing.assert_array_equal(points(visit), (x, y))
    expect(page.locator("#undo-edits")).to_be_hidden()


def test_points_by_keys(visit: Visit) -> None:
    page = visit.open()
    x, y = points(visit)
    page.locator("#data-view").focus()
    press = page.keyboard.press
    press("ArrowRight")  # to the first point from the left
    press("ArrowRight")  # and the second
    second = int(np.argsort(x)[1])
    heard = page.locator("#view-data [aria-live=polite]")
    expect(heard).to_contain_text(f"{x[second]:.2g}"[:3])
    with visit.new_run():
        press("Shift+ArrowUp")
    x_now, y_now = points(visit)
    moved = np.flatnonzero(y_now != y)
    assert list(moved) == [second]
    assert y_now[second] > y[second]
    assert x_now[second] == x[second]
    check_optimum(visit, x_now, y_now)

    with visit.new_run():
        press("Delete")
    expect(heard).to_contain_text("deleted")
    rest = np.delete(x, second)
    np.testing.assert_array_equal(points(visit)[0], rest)
    check_optimum(visit, *points(visit))

    with visit.new_run():
        press("Enter")  # in the middle of the picture
    expect(heard).to_contain_text("added")
    assert len(points(visit)[0]) == 100
    check_optimum(visit, *points(visit))
    # The keys of the transport rest while the picture has them.
    assert visit.state("step") == 0


def test_edits_are_in_validation_and_polynomials_too(visit: Visit) -> None:
    page = visit.open()
    visit.give("n", 20)
    visit.give("validation", 0.3)
    visit.give("degree", 3)
    visit.give("standardize", 1)
    low, high = page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    x = np.sort(visit.state("data.x"))
    middle = float(x[np.argmax(np.diff(x))] + np.diff(x).max() / 2)
    with visit.new_run():
        page.mouse.click(*visit.spot(0, middle, high - 0.04 * (high - low)))
    assert len(visit.state("setting.edits.added")) == 1
    assert len(visit.state("data.y")) == 21
    X, y = np.array(visit.state("data.X")), np.array(visit.state("data.y"))
    learned = np.array(visit.state("data.held")) == 0
    table = np.column_stack([np.ones(learned.sum()), X[learned]])
    best, *_ = np.linalg.lstsq(table, y[learned])
    shown = visit.state("run.optimum.parameters")
    np.testing.assert_allclose(shown, [*best[1:], best[0]], rtol=1e-6)


def test_points_cannot_be_deleted_below_two(visit: Visit) -> None:
    page = visit.open()
    visit.give("n", 2)
    page.locator("#data-view").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    expect(page.locator("#status")).to_contain_text("point")
    visit.settle()
    assert visit.state("data.rows") == 2
    assert visit.state("setting.edits.deleted") == []


def test_a_click_chooses_the_point_for_the_keys(visit: Visit) -> None:
    page = visit.open()
    low, high = page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    with visit.new_run():
        page.mouse.click(*visit.spot(0, 0.3, float(high - 0.1 * (high - low))))
    assert len(points(visit)[0]) == 101
    page.mouse.move(2, 2)  # what was chosen stays so when the pointer leaves
    with visit.new_run():
        page.keyboard.press("Delete")
    assert len(points(visit)[0]) == 100
