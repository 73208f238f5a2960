"""Data on a GPU: how much of the memory's bandwidth a whole fit reaches.

The measure is a plain torch sum of the same tensors, which reads them once. A fit that
reads them more than once is not given credit for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from measure import OURS, Report, Rival, close, line_of, report

import gradline as gl

FEATURES = 32
SHARE = 0.6


def data(rows: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """X (rows, 32) and y (rows,), float32, made where they stay."""
    random = torch.Generator(device).manual_seed(0)
    X = torch.empty(rows, FEATURES, device=device).normal_(generator=random)
    y = torch.empty(rows, device=device).normal_(generator=random)
    y += X.sum(dim=1) + 2.0
    return X, y


def normal_equations(X: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """Intercept and slopes, (33,), in float64 and plain torch, a part at a time."""
    size = FEATURES + 2
    scatter = torch.zeros(size, size, dtype=torch.float64, device=X.device)
    for rows, targets in zip(X.split(1_000_000), y.split(1_000_000), strict=True):
        part = torch.column_stack([torch.ones_like(targets), rows, targets]).double()
        scatter += part.T @ part
    solved = torch.linalg.solve(scatter[:-1, :-1], scatter[:-1, -1])
    return solved.cpu().numpy()


def race(out: Report, rows: int, device: str) -> None:
    X, y = data(rows, device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()

    def total() -> None:
        float(X.sum() + y.sum())  # waits for the device

    def fit() -> Any:
        found = line_of(gl.fit(X, y))
        wait()
        return found

    size = (X.nbytes + y.nbytes) / 1e9
    rivals = {
        OURS: Rival(fit, gigabytes=size),
        "torch.sum of the same": Rival(total, SHARE, gigabytes=size),
    }
    work = f"{rows:,} x {FEATURES}, float32, on {device} ({size:.1f} GB)"
    out.race(work, rivals)
    close(1e-5)("torch", fit(), normal_equations(X, y))
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e9
        out.most(work, "peak memory of the device", peak, "GB")


def main() -> None:
    with report("A fit of CUDA tensors, against a plain sum of them.") as out:
        if torch.cuda.is_available():
            out.say("device", torch.cuda.get_device_name())
            race(out, 100_000 if out.small else 100_000_000, "cuda")
            return
        why = "torch.cuda is not available"
        out.say("skipped", f"\nSkipped: {why}.", reason=why)
        if out.small:
            out.say("device", "The CPU stands in, to try the benchmark out.")
            race(out, 10_000, "cpu")


if __name__ == "__main__":
    main()
