"""Every test starts from the same random state, on whatever machine it runs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser

from browser import Visit, chromium, lab

settings.register_profile("gradline", derandomize=True, deadline=None)
settings.load_profile("gradline")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that still draw from it
    torch.manual_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where a lab listens that all tests visit."""
    with lab() as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real one. Its loop runs in this thread, so no longer than a file's tests."""
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A page of the lab where nothing moves by itself."""
    found = Visit(browser, address, reduced_motion="reduce")
    yield found
    found.close()
