"""Every test starts from the same random state, on whatever machine it runs."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import settings

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
