"""Data whose truth is known, to learn on and to test with."""

from __future__ import annotations

import numpy as np

from gradline.checks import real, whole
from gradline.data import Array
from gradline.errors import UsageError


def sample_linear_data(
    n: int = 100,
    slope: float = 1.0,
    intercept: float = 0.0,
    noise: float = 0.1,
    seed: int | None = None,
) -> tuple[Array, Array]:
    """Sample a noisy line: y = slope·x + intercept + noise·ε, with ε ~ N(0, 1).

    The x are uniform on [0, 1).

    Args:
        n: how many points, at least 1.
        slope: the true slope, in units of y per unit of x.
        intercept: the true value of y at x = 0.
        noise: the standard deviation of the noise, in units of y; at least 0.
        seed: the same seed gives the same points; None gives new ones each time.

    Returns:
        x and y, two float64 arrays of shape (n,).

    Raises:
        UsageError: n below 1, noise below 0, or a number that is not finite.
    """
    n = whole("n", n, 1, 10**10)
    slope, intercept = real("slope", slope), real("intercept", intercept)
    noise = real("noise", noise)
    if noise < 0:
        raise UsageError(
            f"noise is {noise}: it is a standard deviation, give 0 or more"
        )
    if seed is not None:
        seed = whole("seed", seed)
    random = np.random.default_rng(seed)
    x = random.uniform(0.0, 1.0, n)  # (n,)
    y = slope * x + intercept + noise * random.standard_normal(n)  # (n,)
    return x, y
