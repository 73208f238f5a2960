"""Several pages, a lost connection, and how many pictures are drawn."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from playwright.sync_api import Browser, expect

from browser import Visit, lab


def test_two_pages_do_not_disturb_each_other(browser: Browser, address: str) -> None:
    one = Visit(browser, address, reduced_motion="reduce")
    two = Visit(browser, address, reduced_motion="reduce")
    one.open()
    two.open("#v=1&data=penguins&standardize=true")
    first = one.scrub(30)
    two.rate(0.3)
    two.give("optimizer", "Adam")
    assert one.state("setting.lr") == 0.1
    assert one.scrub(30) == first
    one.give("momentum", 0.5)
    assert two.state("setting.momentum") == 0
    assert two.scrub(40)["step"] == 40
    two.close()
    assert one.scrub(60)["step"] == 60
    one.close()


def test_it_reconnects_when_the_lab_is_back(browser: Browser) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as first:
        address = first.enter_context(lab(port=port))
        visit = Visit(browser, address, reduced_motion="reduce")
        page = visit.open()
        visit.give("n", 20)
        before = visit.scrub(50)
    expect(page.locator("#status")).to_contain_text("lost")
    visit.wait_state("connection === 'lost'")
    visit.number("#lr-number", 0.2)  # what is changed meanwhile is not forgotten
    page.locator("#status-action").click()  # "Try now", and there is nobody yet
    with lab(port=port):
        visit.wait_state("connection === 'open'")
        visit.settle()
        expect(page.locator("#status")).to_be_hidden()
        assert visit.state("setting.n") == 20
        assert visit.state("data.rows") == 20
        assert visit.state("setting.lr") == 0.2
        visit.rate(0.1)
        after = visit.scrub(50)
        np.testing.assert_allclose(after["parameters"], before["parameters"])
        # The browser notes each try that failed; that is no fault of the page.
        known = ("WebSocket", "net::ERR_CONNECTION_REFUSED")
        visit.faults = [f for f in visit.faults if not any(k in f for k in known)]
        visit.close()


def drawn(visit: Visit, milliseconds: int = 1_000) -> float:
    """Pictures a second while it plays."""
    visit.page.locator("#play").click()
    visit.wait_state("step > 3")
    counter = "[gradlineLab.stage.frames, performance.now()]"
    first, began = visit.page.evaluate(counter)
    visit.page.wait_for_timeout(milliseconds)
    last, ended = visit.page.evaluate(counter)
    assert visit.state("playing"), "it ended before it was measured"
    rate: float = 1000 * (last - first) / (ended - began)
    return rate


def test_pictures_are_drawn_while_it_plays(visit: Visit, tmp_path: Path) -> None:
    """A lax floor: benchmarks/bench_lab.py has the figure."""
    visit.open("#v=1&n=200&epochs=100000")
    assert drawn(visit) > 10
    visit.page.locator("#play").click()
    random = np.random.default_rng(0)
    x = random.standard_normal(300_000)
    y = x + random.standard_normal(300_000)
    path = tmp_path / "large.parquet"
    pyarrow.parquet.write_table(pa.table({"x": x, "y": y}), path)
    visit.page.locator("#open-data").click()
    with visit.new_run():
        visit.page.locator("#file").set_input_files(path)
    visit.page.keyboard.press("Escape")
    assert visit.state("data.rows") == 300_000
    visit.page.locator("#reset").click()
    assert drawn(visit) > 10
