"""A symmetric system solved again and again, with a ridge only where it must be.

For few columns NumPy's routines are taken: torch's wake their threads for each of these
little factors, which on a busy machine costs a hundred times the work.
"""

from __future__ import annotations

import numpy as np
import torch

from gradline.data import Array

#: So many columns are few.
FEW = 100

#: No matrix needs more of a ridge than this.
MOST = 1e6


class Cholesky:
    """The factor of a matrix G + ridge·1, of the least ridge that makes one possible.

    Args:
        matrix: symmetric, positive semidefinite but for rounding, (p, p).
        ridge: the least ridge to try.
        unit: what a ridge of 1 is: of the size of the matrix's diagonal.

    Attributes:
        ridge: what it took.

    Raises:
        FloatingPointError: the matrix is not finite.
    """

    def __init__(self, matrix: Array, ridge: float = 0.0, unit: float = 1.0) -> None:
        self.ridge = ridge
        one = np.eye(len(matrix)) * unit
        while not self._try(matrix + self.ridge * one if self.ridge else matrix):
            self.ridge = max(1e-15, 10 * self.ridge)
            if self.ridge > MOST:  # not even that: numbers that are not finite
                raise FloatingPointError("the rows near the line are not finite")

    def solve(self, right: Array) -> Array:
        """(G + ridge·1)⁻¹ right, (p,)."""
        found: Array
        if len(right) <= FEW:
            found = self._inverse.T @ (self._inverse @ right)
        else:
            column = torch.from_numpy(right)[:, None]
            found = torch.cholesky_solve(column, self._factor)[:, 0].numpy()
        return found

    def _try(self, matrix: Array) -> bool:
        if len(matrix) > FEW:
            self._factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(matrix))
            return not int(failed)
        try:
            self._inverse = np.linalg.inv(np.linalg.cholesky(matrix))
        except np.linalg.LinAlgError:
            return False
        return bool(np.isfinite(self._inverse).all())
