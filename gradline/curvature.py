"""How curved a loss is, measured through autograd, for any module and any loss.

For squared loss the state (state.py) knows the curvature exactly; this file is for the
loop, which may train anything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Lanczos steps; the largest eigenvalue is found to several digits long before.
LANCZOS_STEPS = 32


def stability_limit(
    model: nn.Module, criterion: nn.Module, x: Tensor, y: Tensor
) -> float:
    """The learning rate above which plain gradient descent diverges: 2/λmax.

    λmax is the largest eigenvalue of the loss's Hessian at the model's parameters,
    found by the Lanczos method on Hessian-vector products.

    Args:
        model: the model, whose parameters are looked at and not changed.
        criterion: the loss module.
        x: (n,) or (n, d), as the model takes it.
        y: of the shape of model(x).

    Returns:
        The limit, in the units of the learning rate; infinite where the loss is flat
        or the curvature cannot be had.

    Source: Golub & Van Loan, Matrix Computations, 4th ed., section 10.1.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        with torch.enable_grad():
            loss = criterion(model(x), y)
            gradient = _flat(torch.autograd.grad(loss, parameters, create_graph=True))
        largest = _lanczos(gradient, parameters)
    except RuntimeError:  # a loss that cannot be differentiated twice
        return math.inf
    return 2.0 / largest if largest > 0 and math.isfinite(largest) else math.inf


def _lanczos(gradient: Tensor, parameters: list[nn.Parameter]) -> float:
    size = gradient.numel()
    seed = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=seed, dtype=torch.float64)
    vector = (vector / vector.norm()).to(gradient)
    basis: list[Tensor] = []
    steps = min(LANCZOS_STEPS, size)
    projected = torch.zeros(steps, steps, dtype=torch.float64)
    for i in range(steps):
        basis.append(vector)
        product = _flat(
            torch.autograd.grad(
                gradient, parameters, vector, retain_graph=True, materialize_grads=True
            )
        )
        for _ in range(2):  # twice is enough to keep the basis orthogonal
            for j, known in enumerate(basis):
                share = torch.dot(known, product)
                projected[j, i] += float(share)
                product = product - share * known
        length = product.norm()
        if float(length) <= 1e-12 * float(projected.abs().max()):
            steps = i + 1
            break
        vector = product / length
    small = projected[:steps, :steps]  # symmetric; its upper triangle is filled
    if not torch.isfinite(small).all():
        return math.nan
    return float(torch.linalg.eigvalsh(small, UPLO="U")[-1])


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])
