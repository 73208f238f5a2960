"""Every test starts from the same random state, on whatever machine it runs."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser

from browser import Visit, chromium, lab
from gradline.threads import blas_threads, torch_threads

settings.register_profile("gradline", derandomize=True, deadline=None)
settings.load_profile("gradline")


#: Files that look at how work is shared out among threads, which get all of them.
THREADED = {
    *("test_cluster", "test_coordinate", "test_folds", "test_minibatch"),
    *("test_networks", "test_readers_folders", "test_readers_prefetch", "test_robust"),
    *("test_shuffle", "test_state"),
}

#: Files of half a minute and more. They begin first: one begun last would end alone.
LONG = (
    "test_sklearn_contract",
    "test_docs",
    "test_package",
    "test_lab",
    "test_plots",
    "test_notebook",
)
LONG += ("test_estimator", "test_probe", "test_serve", "test_site", "test_minibatch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file, the order stays."""

    def place(item: pytest.Item) -> int:
        starts = map(item.path.name.startswith, LONG)
        return next((at for at, found in enumerate(starts) if found), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute with one thread beside other workers: more would fight for the cores."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    if alone or request.module.__name__ in THREADED:
        yield
        return
    with torch_threads(1), blas_threads():
        yield


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
