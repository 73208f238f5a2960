"""SGD on squared loss without autograd: each batch is a small affine map.

The loss of a batch B is a quadratic, 1/|B| Σ v_i (x_iᵀw + c - y_i)². With the row
q = [x 1 y] and the parameters θ = [w c -1] a residual is qᵀθ, and the gradient is

    2/|B| · Σ v_i q_i (q_iᵀθ) = G θ,    G = 2/|B| · Σ v_i q_i q_iᵀ

but for its last entry, which belongs to the -1 and counts as 0. So what torch.optim.SGD
does with learning rate η, momentum β, dampening τ and weight decay λ is linear in θ and
its velocity u: with H = G + λI, its last row 0,

    u ← βu + (1-τ)Hθ          (u ← Hθ at the first step of all)
    θ ← θ - ηu                (Nesterov: θ ← θ - η(Hθ + βu))

For few features the matrices G of many batches are one batched product, and a step is
one small matrix times [θ u]; for many, a step takes the residuals of the batch first
and then their product with its rows. Both are the steps of the plain loop (epochs.py)
on the same batches, in another order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.checkpoints import like
from gradline.data import Array
from gradline.epochs import Turn
from gradline.recurrence import Rule
from gradline.schedules import Rates, Schedule
from gradline.shuffle import BatchStream, Block

#: Steps are maps up to so many columns [x 1 y], and products of them in a batch;
#: above, residuals come first. (10 features: 256 rows are where both cost the same.)
MAP_COLUMNS = 24
MAP_PRODUCTS = 40_000

#: Maps made at a time: they stay in the cache.
MAPS = 256


class AffineSteps:
    """Minibatch SGD on squared loss.

    Args:
        stream: of the batches.
        start: slopes and level to begin with, (d + 1,), in the stream's coordinates.
        rule: the settings of torch.optim.SGD.
        schedule: of the learning rate.
        epochs: of the whole run, for the schedule.
        intercept: whether the level moves.
    """

    def __init__(
        self,
        stream: BatchStream,
        start: Tensor,
        rule: Rule,
        schedule: Schedule,
        epochs: int,
        intercept: bool = True,
    ) -> None:
        self.stream, self.rule = stream, rule
        p = stream.width
        self.theta = np.append(start.numpy(), -1.0)  # [w c -1]
        self.velocity = np.zeros(p)
        self.moved = False  # whether there was a step
        self.sum = np.zeros(p)  # of the parameters after each step that is averaged
        self.averaged = 0
        self.average_from = 0
        self._free = np.ones(p)
        self._free[-1] = 0.0
        self._free[-2] = float(intercept)
        zero = torch.zeros(1, requires_grad=True)
        self.optimizer = torch.optim.SGD([zero], lr=rule.lr)  # holds the rate
        self.rates = Rates(schedule, self.optimizer, stream.batches, epochs)
        self.optimizer.step()  # torch's schedulers want to have seen one

    def parameters(self) -> Tensor:
        """Slopes and level, (d + 1,)."""
        return torch.from_numpy(self.theta[:-1].copy())

    def average(self) -> Tensor | None:
        """The mean of the parameters after each step since `average_from`."""
        if not self.averaged:
            return None
        return torch.from_numpy(self.sum[:-1] / self.averaged)

    def restart_average(self, since: int) -> None:
        """Begin the average anew, with the step `since` of the run, counted from 0."""
        self.sum, self.averaged, self.average_from = 0 * self.sum, 0, since

    def recast(self, A: Tensor, lr: float | None) -> None:
        """Go on where θ is Aθ, with another rate: the motion lr·u stays the same."""
        assert lr is not None
        group, wide = self.optimizer.param_groups[0], A.numpy()
        self.theta[:-1] = wide @ self.theta[:-1]
        self.sum[:-1] = wide @ self.sum[:-1]
        self.velocity[:-1] = wide @ self.velocity[:-1] * (group["lr"] / lr)
        group["lr"] = lr

    def state(self) -> dict[str, Any]:
        """All that going on takes: tensors and plain values."""
        return {
            "theta": torch.from_numpy(self.theta.copy()),
            "velocity": torch.from_numpy(self.velocity.copy()),
            "moved": self.moved,
            "sum": torch.from_numpy(self.sum.copy()),
            "averaged": self.averaged,
            "average_from": self.average_from,
            "lr": self.optimizer.param_groups[0]["lr"],
            "rates": self.rates.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        like(state, self.state() | {"rates": state["rates"]})
        for name in ("theta", "velocity", "sum"):
            setattr(self, name, state[name].numpy().copy())
        for name in ("moved", "averaged", "average_from"):
            setattr(self, name, state[name])
        self.optimizer.param_groups[0]["lr"] = state["lr"]
        self.rates.restore(state["rates"])

    def turns(self, epochs: int, epoch: int = 1, batch: int = 0) -> Iterator[Turn]:
        """Step; yield a Turn after each block of batches, which names the last.

        Args:
            epochs: the last epoch.
            epoch: the first one, and
            batch: how many of its batches were done before.
        """
        per_epoch, size = self.stream.batches, self.stream.size
        unknown = torch.tensor(torch.nan)
        for number in range(epoch, epochs + 1):
            done = batch if number == epoch else 0
            for block in self.stream.blocks(number, done):
                batches = -(-block.rows // size)
                self._walk(block, (number - 1) * per_epoch + done)
                done += batches
                if done == per_epoch:
                    self.rates.end_epoch(torch.nan)
                yield Turn(number, done, block.rows, done == per_epoch, unknown)

    def _walk(self, block: Block, t: int) -> None:
        """The steps of a block, whose first batch is number t of the run."""
        size = self.stream.size
        whole = block.rows // size
        wide = self.stream.width
        by_map = wide <= MAP_COLUMNS and size * wide * wide <= MAP_PRODUCTS
        for first in range(0, whole, MAPS):
            part = block.part(first * size, min(whole, first + MAPS) * size)
            (self._by_maps if by_map else self._by_residuals)(part, size, t + first)
        if whole * size < block.rows:
            rest = block.part(whole * size, block.rows)
            (self._by_maps if by_map else self._by_residuals)(
                rest, rest.rows, t + whole
            )

    def _rate(self, t: int, count: int) -> Array:
        """The learning rates of so many steps, (count,)."""
        group = self.optimizer.param_groups[0]
        if self.rates.schedule.name == "constant":
            return np.full(count, group["lr"])
        found = np.empty(count)
        for i in range(count):
            self.rates.before(t + i)
            found[i] = group["lr"]
        return found

    def _keep(self, theta: Array, t: int) -> None:
        """Add the parameters after the steps t, t + 1, … to the average: (count, p)."""
        late = theta[max(0, self.average_from - t) :]
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum = self.sum + late.sum(axis=0)
        self.averaged += len(late)

    def _by_maps(self, block: Block, size: int, t: int) -> None:
        """Steps as products of a small matrix and [θ u]."""
        p, rule = self.stream.width, self.rule
        rows = block.values.reshape(-1, size, p)
        left = rows
        if block.weight is not None:
            left = rows * block.weight.reshape(-1, size, 1)
        H: Array = np.matmul(left.transpose(0, 2, 1), rows)  # (batches, p, p)
        H *= 2.0 / size
        count = len(H)
        if rule.weight_decay:
            H[:, range(p), range(p)] += rule.weight_decay
        H *= self._free[:, None]
        rate = self._rate(t, count)[:, None, None]
        if not rule.momentum:
            path = self._powers(np.eye(p) - rate * H, self.theta)
        else:
            β, gain = rule.momentum, np.full((count, 1, 1), 1 - rule.dampening)
            if not self.moved:
                gain[0] = 1.0
            now, kept = (1 + β * gain, β * β) if rule.nesterov else (gain, β)
            maps = np.empty((count, 2 * p, 2 * p))
            maps[:, :p, :p] = np.eye(p) - rate * now * H
            maps[:, :p, p:] = -rate * kept * np.eye(p)
            maps[:, p:, :p] = gain * H
            maps[:, p:, p:] = β * np.eye(p)
            path = self._powers(maps, np.concatenate([self.theta, self.velocity]))
            self.velocity = path[-1, p:].copy()
        self.theta = path[-1, :p].copy()
        self.moved = True
        self._keep(path[1:, :p], t)

    def _powers(self, maps: Array, state: Array) -> Array:
        """Where one map after another leads, (maps + 1, k), the start first."""
        path = np.empty((len(maps) + 1, len(state)))
        path[0] = state
        dot = np.dot
        with np.errstate(over="ignore", invalid="ignore"):
            for each, here, there in zip(maps, path[:-1], path[1:], strict=True):
                dot(each, here, there)
        return path

    def _by_residuals(self, block: Block, size: int, t: int) -> None:
        """Steps by the residuals of each batch."""
        rule, dot = self.rule, np.dot
        count = block.rows // size
        rates = self._rate(t, count).tolist()
        theta, velocity = self.theta, self.velocity
        path = np.empty((count, len(theta)))
        r, g = np.empty(size), np.empty_like(theta)
        scale = self._free * (2.0 / size)
        with np.errstate(over="ignore", invalid="ignore"):
            for i in range(count):
                rows = block.values[i * size : (i + 1) * size]
                dot(rows, theta, r)
                if block.weight is not None:
                    r *= block.weight[i * size : (i + 1) * size]
                dot(r, rows, g)
                g *= scale
                if rule.weight_decay:
                    g += rule.weight_decay * self._free * theta
                step = g
                if rule.momentum:
                    gain = 1 - rule.dampening if self.moved else 1.0
                    velocity = rule.momentum * velocity + gain * g
                    step = g + rule.momentum * velocity if rule.nesterov else velocity
                self.moved = True
                np.subtract(theta, rates[i] * step, out=path[i])
                theta = path[i]
        self.theta, self.velocity = theta.copy(), velocity
        self._keep(path, t)
