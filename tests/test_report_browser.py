"""The report in a real browser: what a pointer reads, and a phone's width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

import gradline as gl
from browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of levels, of a scaled axis, and of a descent."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"far": np.arange(60) * 1e6})
    frame["level"] = [f"a level of a long name, number {i % 9}" for i in range(60)]
    frame["y"] = frame.far / 1e6 + random.normal(size=60)
    place = tmp_path_factory.mktemp("report") / "r.html"
    gl.fit(frame, target="y", epochs=80, method="gd").report(place)
    return place


def opened(browser: Browser, file: Path, width: int) -> tuple[Page, list[Any]]:
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults: list[Any] = []
    page.on("pageerror", lambda error: faults.append(error))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.goto(file.as_uri())
    return page, faults


def tip(page: Page, title: str, mark: str, place: int = 0) -> str:
    """What is said over a mark of a picture, or over its place-th dot."""
    at = page.evaluate(
        """([title, mark, place]) => {
            const svg = [...document.querySelectorAll(".plot")].find(
                (s) => s.querySelector("title").textContent === title);
            svg.scrollIntoView({ block: "center" });
            const path = svg.querySelector(mark);
            const drawn = path.tagName === "ellipse"
                ? path.getAttribute("cx") + " " + path.getAttribute("cy")
                : path.getAttribute("d").replace(/h0/g, "");
            const numbers = drawn.match(/-?\\d+/g).map(Number);
            let x = 0, y = 0;
            for (let i = 0; i <= place; i += 1) {
                x += numbers[2 * i]; y += numbers[2 * i + 1];
            }
            const p = new DOMPoint(x / 10, y / 10).matrixTransform(svg.getScreenCTM());
            return [p.x, p.y];
        }""",
        [title, mark, place],
    )
    page.mouse.move(*at)
    return page.inner_text("#tip")


def test_a_pointer_reads_what_is_there(browser: Browser, file: Path) -> None:
    page, faults = opened(browser, file, 1280)
    assert tip(page, "far", ".dot", 17).startswith("row 18\nfar: 17,000,000\n")
    said = tip(page, "level", ".dot", 22)
    assert said.startswith("row 23\nlevel: a level of a long name, number 4\n")
    said = tip(page, "Loss surface", ".ring:last-of-type")
    assert "loss under" in said
    assert "above its least" in said
    assert faults == []
    page.close()


def test_a_phone_shows_all_of_it(browser: Browser, file: Path) -> None:
    page, faults = opened(browser, file, 375)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    wider = """[...document.querySelectorAll("table, pre, p, dl, .plot > .axes text")]
        .filter((e) => e.getBoundingClientRect().right > 376)
        .map((e) => e.textContent)"""
    assert page.evaluate(wider) == []
    cut = """[...document.querySelectorAll(".wide")]
        .filter((e) => e.scrollWidth > e.clientWidth + 1).length"""
    assert page.evaluate(cut) == 0
    small = """Math.min(...[...document.querySelectorAll(".plot .axes text")].map(
        (t) => parseFloat(getComputedStyle(t).fontSize)
            * t.ownerSVGElement.getScreenCTM().a))"""
    assert page.evaluate(small) > 9.5
    assert faults == []
    page.close()
