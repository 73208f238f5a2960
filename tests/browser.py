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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

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
def lab(*words: str) -> Iterator[str]:
    """A lab as a process of its own: its address."""
    command = [sys.executable, "-m", "gradline", "lab", "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        [*command, *words],
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
        return self.page

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression holds.

        Playwright's own wait_for_function needs eval, which the page's policy forbids.
        """
        end = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came: {expression}"
            self.page.wait_for_timeout(20)

    def state(self, expression: str) -> Any:
        """A value out of the store: state("setting.lr")."""
        return self.page.evaluate(f"window.gradlineLab.store.{expression}")

    def close(self) -> None:
        """Close it; it fails where anything went wrong on the page."""
        self._context.close()
        assert not self.faults, self.faults
        assert not self.foreign, self.foreign
