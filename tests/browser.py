"""A real browser on a real lab: fixtures for the tests of the page.

Chromium is Debian's. Where there is none the tests skip and say so; on CI, which sets
GRADLINE_NEEDS_BROWSER, they fail instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

from helpers import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: How long a page may take to come to what a test waits for, in milliseconds.
PATIENCE = 20_000


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, or a skip."""
    if not CHROMIUM.exists():
        reason = f"needs a browser at {CHROMIUM}: apt-get install chromium"
        if os.environ.get("GRADLINE_NEEDS_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def lab(*words: str, port: int = 0) -> Iterator[str]:
    """A lab as a process of its own: its address."""
    command = [sys.executable, "-m", "gradline", "lab", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--port", str(port), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"the lab did not start: {line!r}"
        yield found.group()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        process.stdout.close()


class Visit:
    """A page of the lab, and everything that went wrong on it.

    Attributes:
        page: Playwright's.
        faults: uncaught errors and console errors.
        foreign: requests to any other host.
    """

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        context = {"viewport": {"width": 1280, "height": 800}} | context
        self.address = address
        self._context = browser.new_context(**context)
        self._context.set_default_timeout(PATIENCE)
        self.faults: list[str] = []
        self.foreign: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self._context.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _asked(self, request: Request) -> None:
        own = request.url.startswith((self.address, "data:", "blob:"))
        if not own and request.url != "about:blank":
            self.foreign.append(request.url)

    def open(self, fragment: str = "") -> Page:
        """Load the lab and wait for its first picture."""
        self.page.goto(self.address + fragment)
        self.wait("window.gradlineLab?.store?.frame != null")
        self.settle()
        return self.page

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression holds.

        Playwright's own wait_for_function needs eval, which the page's policy forbids.
        """
        end = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came: {expression}"
            self.page.wait_for_timeout(20)

    def wait_state(self, expression: str) -> None:
        """Wait until something of the store holds: wait_state("step === 3")."""
        self.wait(f"window.gradlineLab.store.{expression}")

    def state(self, expression: str) -> Any:
        """A value out of the store: state("setting.lr")."""
        return self.page.evaluate(f"window.gradlineLab.store.{expression}")

    def settle(self) -> None:
        """Wait until the lab has answered the last change of the setting."""
        self.wait("!gradlineLab.store.busy && !gradlineLab.store.dirty")

    @contextlib.contextmanager
    def new_run(self) -> Iterator[None]:
        """What is done inside leads to another run; waits for it."""
        before = self.state("run.run")
        yield
        self.wait_state(f"run.run !== {before}")
        self.settle()

    def give(self, name: str, value: float | str) -> None:
        """Type a number into a setting's box, or choose from its list; wait for it."""
        field = self.page.locator(f"#set-{name}")
        with self.new_run():
            if field.evaluate("e => e.tagName") == "SELECT":
                field.select_option(str(value))
            elif field.get_attribute("type") == "checkbox":
                field.set_checked(bool(value))
            else:
                self.number(f"#set-{name}-number", value)

    def rate(self, value: float) -> None:
        """Type a learning rate."""
        with self.new_run():
            self.number("#lr-number", value)

    def number(self, place: str, value: float | str) -> None:
        """Type into a box of numbers."""
        box = self.page.locator(place)
        box.fill(f"{value!r}" if isinstance(value, float) else str(value))
        box.press("Tab")

    def scrub(self, step: int) -> dict[str, Any]:
        """Go to a step by the scrubber: its exact frame."""
        self.page.locator("#scrubber").fill(str(step))
        return self.frame_at(step)

    def frame_at(self, step: int) -> dict[str, Any]:
        """Wait for a step's exact frame."""
        self.wait_state(f"frame.step === {step} && gradlineLab.store.frame.exact")
        found: dict[str, Any] = self.state("frame")
        return found

    def spot(self, view: int, x: float, y: float) -> tuple[float, float]:
        """Where values of a view's axes are on the screen: 0 data, 1 surface, 2 curve.

        A view lays itself out when it is drawn, so this waits for that.
        """
        self.page.wait_for_timeout(60)
        found: list[float] = self.page.evaluate(
            """([k, x, y]) => {
                const view = gradlineLab.stage.views[k];
                const box = view.canvas.element.getBoundingClientRect();
                return [box.left + view.plot.x(x), box.top + view.plot.y(y)];
            }""",
            [view, x, y],
        )
        return found[0], found[1]

    def drag(
        self, start: Sequence[float], end: Sequence[float], moves: int = 8
    ) -> None:
        """Press the mouse, move it, let go."""
        mouse = self.page.mouse
        mouse.move(*start[:2])
        mouse.down()
        mouse.move(*end[:2], steps=moves)
        mouse.up()

    def along(self, slider: Locator, share: float) -> tuple[float, float]:
        """A place on a slider, on the screen."""
        box = slider.bounding_box()
        assert box is not None
        return box["x"] + share * box["width"], box["y"] + box["height"] / 2

    def close(self) -> None:
        """Close it; it fails where anything went wrong on the page."""
        self._context.close()
        assert not self.faults, self.faults
        assert not self.foreign, self.foreign
