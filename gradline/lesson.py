"""The lesson: a simple linear regression with PyTorch, from start to end.

    python lesson.py

It needs torch, numpy and matplotlib, and nothing else. It samples a noisy line, starts
from a random one, and lets gradient descent turn it until it lies in the points.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

N, SLOPE, INTERCEPT, NOISE = 100, 1.0, 0.0, 0.1
LEARNING_RATE, EPOCHS, PRINT_EVERY = 0.1, 1000, 100
SEED = 47  # the same numbers on every run


# 1. Data: a line we know, and noise. In real life only the points are known.


def sample_linear_data(n, slope, intercept, noise, seed):
    random = np.random.default_rng(seed)
    x = random.uniform(0.0, 1.0, n)  # (n,)
    y = slope * x + intercept + noise * random.standard_normal(n)  # (n,)
    return x, y


# 2. Model: y = weight·x + bias. Its two parameters begin as random numbers.


class LinearRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(1, dtype=torch.float64))

    def forward(self, x):
        return self.weight * x + self.bias  # (n,) in, (n,) out


# 3. Training: the five steps, once an epoch. One epoch is one pass over all points.


def train(model, x, y):
    loss_fn = nn.MSELoss()  # the mean of (prediction - y)²
    # The optimiser is made after its model: it holds this model's own parameters.
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for epoch in range(1, EPOCHS + 1):
        model.train()
        prediction = model(x)  # 1. forward: predict with the parameters as they are
        loss = loss_fn(prediction, y)  # 2. loss: how far off, as one number
        optimizer.zero_grad()  # 3. zero: forget the gradients of the last epoch
        loss.backward()  # 4. backward: the loss's slope in every parameter
        optimizer.step()  # 5. step: move every parameter a little downhill
        losses.append(loss.item())
        if epoch % PRINT_EVERY == 0:
            print(f"epoch {epoch:5d}   loss {loss.item():.6f}")
    return losses


# 4. Pictures.


def draw_points(x, y, name, prediction=None):
    figure, axes = plt.subplots()
    axes.scatter(x, y, s=14, label=f"{len(x)} points")
    if prediction is not None:
        order = np.argsort(x)
        axes.plot(x[order], prediction[order], color="red", label="fitted line")
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    figure.savefig(name)
    plt.close(figure)


def main():
    x, y = sample_linear_data(N, SLOPE, INTERCEPT, NOISE, SEED)
    draw_points(x, y, "lesson-data.png")

    torch.manual_seed(SEED)
    model = LinearRegression()
    x_tensor, y_tensor = torch.from_numpy(x), torch.from_numpy(y)  # float64, both (n,)
    train(model, x_tensor, y_tensor)

    # 5. Prediction. eval() tells layers such as dropout that training is over;
    # inference_mode() tells autograd not to keep books. They are two things.
    model.eval()
    with torch.inference_mode():
        prediction = model(x_tensor).numpy()
    draw_points(x, y, "lesson-fit.png", prediction)

    print(f"weight {model.weight.item():.10f}   (the truth: {SLOPE})")
    print(f"bias   {model.bias.item():.10f}   (the truth: {INTERCEPT})")


if __name__ == "__main__":
    main()
