"""What the tests of losses with kinks share: their definitions, plainly, and data."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def residuals(fit: Any, X: Array, y: Array) -> Array:
    """y - prediction by the coefficients alone."""
    return y - fit.intercept - X @ fit.slopes


def pinball(r: Array, level: float, w: Array | None = None) -> float:
    """The weighted mean of the quantile loss."""
    return float(np.average(np.where(r > 0, level * r, (level - 1) * r), weights=w))


def huber(r: Array, epsilon: float, scale: float, w: Array | None = None) -> float:
    """The weighted mean of s²·h(r/s)."""
    t = np.abs(r) / scale
    h = np.where(t <= epsilon, t**2 / 2, epsilon * (t - epsilon / 2))
    return float(np.average(scale**2 * h, weights=w))


def joint_huber(
    r: Array, epsilon: float, scale: float, w: Array | None = None
) -> float:
    """The weighted mean of s + s·H(r/s), scikit-learn's."""
    return scale + 2 * huber(r, epsilon, scale, w) / scale


def noisy(
    n: int, d: int, seed: int = 0, kind: str = "t", offset: float = 0.0
) -> tuple[Array, Array]:
    """X (n, d) and y (n,) with heavy noise, or some gross outliers."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + offset
    y = X @ np.arange(1.0, d + 1) + 3
    if kind == "outliers":
        return X, y + random.normal(size=n) + 1e4 * (random.random(n) < 0.15)
    return X, y + random.standard_t(2, size=n)
