"""The lab in a real browser: what a visitor does, and what is then on the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browser import Visit, chromium, lab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with lab() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    found = Visit(browser, address)
    yield found
    found.close()


def test_the_first_view_has_a_run(visit: Visit) -> None:
    visit.open()
    assert visit.state("run.total") == 200
