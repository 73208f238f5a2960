"""Every epoch of gradient descent: the plain five-step loop against the closed form."""

from __future__ import annotations

import torch
from measure import machine, medians, table
from torch import nn

import gradline as gl

EPOCHS = 1000


def plain(x: torch.Tensor, y: torch.Tensor) -> tuple[list[float], list[float]]:
    """The loop as anyone writes it, keeping every loss and weight."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = x[:, None], y[:, None]
    losses, weights = [], []
    for _ in range(EPOCHS):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        weights.append(model.weight.item())
    return losses, weights


def main() -> None:
    print(machine())
    for n, repeat in ((100, 5), (10_000_000, 1)):
        x, y = gl.sample_linear_data(n, seed=0)
        x_tensor, y_tensor = torch.from_numpy(x), torch.from_numpy(y)
        rivals = {
            "gradline": lambda x=x, y=y: gl.fit(
                x, y, method="gd", lr=0.1, epochs=EPOCHS, standardize=False
            ),
            "the plain loop": lambda x=x_tensor, y=y_tensor: plain(x, y),
        }
        if n > 1_000_000:
            rivals["the plain loop, 10 epochs x 100"] = rivals.pop("the plain loop")
            globals()["EPOCHS"] = 10
            found = medians({k: v for k, v in rivals.items() if k != "gradline"}, 3)
            found = {k: 100 * v for k, v in found.items()}
            globals()["EPOCHS"] = 1000
            found["gradline"] = medians({"gradline": rivals["gradline"]}, 3)["gradline"]
        else:
            found = medians(rivals, repeat)
        table(f"n = {n:,}, 1 feature, 1000 epochs, every loss and weight", found)


if __name__ == "__main__":
    main()
