"""How curved a loss is, measured through autograd, for any module and any loss.

For squared loss the state (state.py) knows the curvature exactly; this file is for the
loop, which may train anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

#: Lanczos steps at the most; the largest eigenvalue is found long before.
LANCZOS_STEPS = 128

#: Looking whether the eigenvalue is there costs as much as a few of them.
LOOK_EVERY = 8


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

        def product(vector: Tensor) -> Tensor:
            return _flat(
                torch.autograd.grad(
                    gradient,
                    parameters,
                    vector.to(gradient),
                    retain_graph=True,
                    materialize_grads=True,
                )
            ).double()

        largest = largest_eigenvalue(product, gradient.numel())
    except RuntimeError:  # a loss that cannot be differentiated twice
        return math.inf
    return 2.0 / largest if largest > 0 and math.isfinite(largest) else math.inf


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor], size: int, tolerance: float = 1e-5
) -> float:
    """The largest eigenvalue of a symmetric matrix that is known by its products.

    Args:
        product: the matrix times a vector, (size,) float64 to (size,).
        size: of the matrix.
        tolerance: of the residual, as a share of the eigenvalue, whose own error is
            about the square of it.

    Returns:
        The eigenvalue, from below; NaN where a product is not finite.

    Source: Golub & Van Loan, Matrix Computations, 4th ed., section 10.1 (Lanczos).
    """
    seed = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=seed, dtype=torch.float64)
    vector = vector / vector.norm()
    most = min(LANCZOS_STEPS, size)
    known = torch.empty(most, size, dtype=torch.float64)  # the basis so far
    small = torch.zeros(most, most, dtype=torch.float64)  # its upper triangle
    found = -math.inf
    for step in range(most):
        known[step] = vector
        basis = known[: step + 1]
        image = product(vector)
        for _ in range(2):  # twice is enough to keep the basis orthogonal
            share = basis @ image
            small[: step + 1, step] += share
            image = image - basis.T @ share
        length = float(image.norm())
        if not math.isfinite(length):
            return math.nan
        ended = step + 1 == most or length <= 1e-12 * float(small[step, step].abs())
        if ended or step % LOOK_EVERY == LOOK_EVERY - 1:
            part = small[: step + 1, : step + 1]
            values, vectors = torch.linalg.eigh(part, UPLO="U")
            found = float(values[-1])
            # The residual of the Ritz pair bounds its error, quadratically.
            if ended or length * abs(float(vectors[-1, -1])) <= tolerance * abs(found):
                break
        vector = image / length
    return found


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])
