"""Parameters and optimizers of many networks of one shape, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep.training._epochs import Fit
from skdeep.training._optimizers import FlatAdam


class Layout:
    """K networks' parameters in one buffer, each layer's of all networks side by side.

    ``shapes`` are those of one network, its weights before its biases, as
    ``FlatParameters`` has them.
    """

    def __init__(self, shapes: list[tuple[int, ...]], k: int):
        self.shapes, self.k = shapes, k
        self.sizes = [math.prod(shape) for shape in shapes]
        self.n_weights = k * sum(
            size
            for size, shape in zip(self.sizes, shapes, strict=True)
            if len(shape) > 1
        )

    def parts(self, buffer: Tensor) -> list[Tensor]:
        """Return each layer's part, (K, ...)."""
        flat = buffer.split([self.k * size for size in self.sizes])
        return [
            part.view(self.k, *shape)
            for part, shape in zip(flat, self.shapes, strict=True)
        ]

    def stack(self, flats: Sequence[Tensor]) -> Tensor:
        """Return one buffer for the flat buffers of all networks."""
        layers = zip(*(flat.split(self.sizes) for flat in flats), strict=True)
        return torch.cat([torch.cat(layer) for layer in layers])

    def pick(self, buffer: Tensor, k: int) -> Tensor:
        """Return the flat buffer of one network."""
        return torch.cat([part[k].reshape(-1) for part in self.parts(buffer)])

    def spread(self, of_each: Tensor) -> Tensor:
        """Return a buffer that holds each network's number, (K,), in all its places."""
        return torch.cat([of_each.repeat_interleave(size) for size in self.sizes])


@dataclass
class _Flat:
    """What ``FlatAdam`` needs of parameters."""

    values: Tensor
    gradient: Tensor


def squared_norms(parts: list[Tensor]) -> Tensor:
    """Return each network's squared norm, (K,), over some of its parts."""
    norms = [torch.linalg.vector_norm(part.flatten(1), dim=1) for part in parts]
    return torch.stack(norms).square_().sum(0)


class AdamOfMany:
    """Adam for all networks at once.

    torch's fused kernel knows one learning rate: it takes its step, for a rate of 1,
    from zero, and what each network makes of that is up to its own rate.
    """

    def __init__(self, fits: list[Fit], layout: Layout, gradient: Tensor):
        self._update = torch.zeros_like(gradient)
        (group,) = fits[0].trainer.optimizer.param_groups
        self._adam = FlatAdam(
            _Flat(self._update, gradient), 1.0, group["betas"], group["eps"]
        )
        states: list[Any] = [fit.trainer.optimizer.state for fit in fits]
        self._adam.load_state(
            {
                "step": states[0]["step"],
                "exp_avg": layout.stack([s["exp_avg"] for s in states]),
                "exp_avg_sq": layout.stack([s["exp_avg_sq"] for s in states]),
            }
        )

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take a step; ``rates`` are the learning rates, in every place."""
        self._update.zero_()
        self._adam.step()
        values.addcmul_(self._update, rates)

    def state(self, layout: Layout, k: int) -> dict[str, Tensor]:
        """Return what one network's optimizer remembers."""
        state = self._adam.state
        return {
            "step": state["step"],
            "exp_avg": layout.pick(state["exp_avg"], k),
            "exp_avg_sq": layout.pick(state["exp_avg_sq"], k),
        }


class SGDOfMany:
    """Gradient descent with momentum for all networks at once, as ``FlatSGD``."""

    def __init__(self, fits: list[Fit], layout: Layout, gradient: Tensor):
        self._gradient = gradient
        states: list[Any] = [fit.trainer.optimizer.state for fit in fits]
        self._velocity = layout.stack([state["velocity"] for state in states])
        groups = [fit.trainer.optimizer.param_groups[0] for fit in fits]
        momenta = gradient.new_tensor([group["momentum"] for group in groups])
        self._momentum = layout.spread(momenta)
        self._nesterov = groups[0]["nesterov"]

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take a step; ``rates`` are the learning rates, in every place."""
        gradient, velocity = self._gradient, self._velocity
        velocity.mul_(self._momentum).addcmul_(gradient, rates, value=-1)
        if self._nesterov:
            values.addcmul_(velocity, self._momentum)
            values.addcmul_(gradient, rates, value=-1)
        else:
            values.add_(velocity)

    def state(self, layout: Layout, k: int) -> dict[str, Tensor]:
        """Return what one network's optimizer remembers."""
        return {"velocity": layout.pick(self._velocity, k)}
