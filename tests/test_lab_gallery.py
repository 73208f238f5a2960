"""The gallery of classic mistakes: each is made, seen, and really mended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from browser import Visit


def seven(visit: Visit) -> list[str]:
    """Open the gallery: the names in it."""
    visit.page.locator("#open-gallery").click()
    found: list[str] = visit.page.locator("[data-mistake]").evaluate_all(
        "cards => cards.map(c => c.dataset.mistake)"
    )
    return found


def make(visit: Visit, name: str) -> dict[str, Any]:
    """Make a mistake by its card; what the lab says of it."""
    with visit.new_run():
        visit.page.locator(f"[data-mistake={name}]").click()
    expect(visit.page.locator("#mistake-title")).to_be_visible()
    visit.wait_state("step === gradlineLab.store.run.total")
    found: dict[str, Any] = visit.state("run.mistake")
    return found


def mend(visit: Visit) -> None:
    """Press the button that mends it, and go to the end."""
    with visit.new_run():
        visit.page.locator("#mistake-fix").click()
    visit.scrub(visit.state("run.total"))


def relative_gap(visit: Visit) -> float:
    """How far the loss at this step is above the smallest possible."""
    best: float = visit.state("run.optimum.loss")
    loss: float = visit.state("frame.loss")
    return (loss - best) / best


def test_all_seven_are_offered_and_told(visit: Visit) -> None:
    page = visit.open()
    names = seven(visit)
    assert len(names) == 7
    side = page.locator("#side-body")
    for name in names:
        told = make(visit, name)
        for part in ("title", "what", "notice", "fix"):
            assert len(told[part]) > 5
            expect(side).to_contain_text(told[part])
        # The wrong line is marked, in the panel and among the five lines.
        wrong = told["code"][told["wrong"]]
        expect(side.locator(".wrong-code .wrong")).to_have_text(wrong)
        expect(page.locator("#code-view .code-wrong .code-text")).to_contain_text(
            wrong.split("  #")[0].strip()
        )
        mend(visit)
        assert visit.state("setting.mistake") == ""
        assert visit.state("run.mistake") is None
        expect(page.locator(".code-wrong")).to_have_count(0)
        expect(side).to_contain_text(told["fix"])
        page.locator("#mistake-list").click()
    page.locator("#mistake-back").click()
    visit.settle()
    assert visit.state("setting.data") == "line"
    assert visit.state("setting.lr") == 0.1


@pytest.mark.parametrize("name", ["lr_too_high", "unscaled"])
def test_what_ran_away_converges_once_mended(visit: Visit, name: str) -> None:
    visit.open()
    assert name in seven(visit)
    make(visit, name)
    losses = [v for v in visit.state("run.frames.losses") if v is not None]
    assert max(losses) > 10 * losses[0]
    mend(visit)
    assert visit.state("run.diverged") is None
    assert relative_gap(visit) < 0.05


def test_without_zero_grad_it_swings_for_ever(visit: Visit) -> None:
    visit.open()
    seven(visit)
    make(visit, "no_zero_grad")
    losses = visit.state("run.frames.losses")
    assert max(losses[len(losses) // 2 :]) > 20 * visit.state("run.optimum.loss")
    mend(visit)
    assert relative_gap(visit) < 0.001


def test_shapes_flatten_the_line(visit: Visit) -> None:
    visit.open()
    seven(visit)
    make(visit, "shapes")
    slope, intercept = visit.state("frame.parameters")
    assert abs(slope) < 0.05
    assert intercept == pytest.approx(np.mean(visit.state("data.y")), abs=0.05)
    mend(visit)
    assert visit.state("frame.parameters[0]") == pytest.approx(1, abs=0.1)
    assert relative_gap(visit) < 0.05


def test_stopping_too_early_is_seen_by_the_gap(visit: Visit) -> None:
    page = visit.open()
    seven(visit)
    make(visit, "too_early")
    assert relative_gap(visit) > 0.2
    expect(page.locator("#certificate-badge")).to_have_text("not converged")
    mend(visit)
    assert relative_gap(visit) < 1e-6
    expect(page.locator("#certificate-badge")).to_have_text("converged")


def test_float32_loses_the_seconds(visit: Visit) -> None:
    visit.open()
    seven(visit)
    told = make(visit, "float32")
    # What the loop sees is far off; on the rows as they are, the line is not the best.
    assert told["facts"]["seen"] > 2 * told["facts"]["optimum_loss"]
    assert relative_gap(visit) > 0.01
    X = np.array(visit.state("data.X"))[:, 0]
    assert len(np.unique(X.astype(np.float32))) == told["facts"]["distinct"] < 10
    mend(visit)
    assert relative_gap(visit) < 1e-6


def test_the_score_on_training_data_flatters(visit: Visit) -> None:
    visit.open()
    seven(visit)
    make(visit, "training_score")
    held, trained = visit.state("frame.validation"), visit.state("frame.loss")
    assert held > 2 * trained
    mend(visit)
    assert visit.state("frame.validation") < held
    assert visit.state("frame.validation") < 2 * visit.state("frame.loss")
