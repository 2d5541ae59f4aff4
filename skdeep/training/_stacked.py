"""Parameters and optimizers of many networks of one shape, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skdeep.training._epochs import Fit


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


def squared_norms(parts: list[Tensor]) -> Tensor:
    """Return each network's squared norm, (K,), over some of its parts."""
    norms = [torch.linalg.vector_norm(part.flatten(1), dim=1) for part in parts]
    return torch.stack(norms).square_().sum(0)


class AdamOfMany:
    """Adam for all networks at once.

    torch's fused kernel knows one learning rate: it takes its step from zero, and what
    each network makes of that is up to its own rate. The kernel's own correction of
    the moments is left out, as after endlessly many steps, and made up for: with it,
    ``eps`` would have to change from step to step, which a CUDA graph cannot follow.
    """

    def __init__(self, fits: list[Fit], layout: Layout, gradient: Tensor):
        (group,) = fits[0].learner.optimizer.param_groups
        self._betas, self._eps = group["betas"], group["eps"]
        states: list[Any] = [fit.learner.optimizer.state for fit in fits]
        self._n_steps = int(states[0]["step"])
        self._update = torch.zeros_like(gradient)
        self._means = layout.stack([state["exp_avg"] for state in states])
        self._squares = layout.stack([state["exp_avg_sq"] for state in states])
        self._is_on_cpu = gradient.device.type == "cpu"
        precision = torch.float64 if self._is_on_cpu else gradient.dtype
        self._correction = gradient.new_ones((), dtype=precision)
        endless = torch.full_like(states[0]["step"], torch.finfo(torch.float32).max)
        moments = [self._means], [self._squares]
        # The kernel's arguments, laid out once.
        self._tensors: tuple[Any, ...] = (
            [self._update],
            [gradient],
            *moments,
            [],
            [endless],
        )

    def advance(self) -> None:
        """Count a step."""
        self._n_steps += 1
        beta_1, beta_2 = self._betas
        correction = math.sqrt(1 - beta_2**self._n_steps) / (1 - beta_1**self._n_steps)
        self._correction.fill_(correction)

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take the step; ``rates`` are the learning rates, in every place."""
        self._update.zero_()
        torch._fused_adam_(
            *self._tensors,
            lr=self._correction if self._is_on_cpu else 1.0,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=self._eps,
            amsgrad=False,
            maximize=False,
        )
        if not self._is_on_cpu:
            # As a learning rate a GPU's kernel would read it in single precision.
            self._update.mul_(self._correction)
        values.addcmul_(self._update, rates)

    def state(self, layout: Layout, k: int) -> dict[str, Tensor]:
        """Return what one network's optimizer remembers."""
        return {
            "step": torch.tensor(float(self._n_steps)),
            "exp_avg": layout.pick(self._means, k),
            "exp_avg_sq": layout.pick(self._squares, k),
        }


class SGDOfMany:
    """Gradient descent with momentum for all networks at once, as ``FlatSGD``."""

    def __init__(self, fits: list[Fit], layout: Layout, gradient: Tensor):
        self._gradient = gradient
        states: list[Any] = [fit.learner.optimizer.state for fit in fits]
        self._velocity = layout.stack([state["velocity"] for state in states])
        groups = [fit.learner.optimizer.param_groups[0] for fit in fits]
        momenta = gradient.new_tensor([group["momentum"] for group in groups])
        self._momentum = layout.spread(momenta)
        self._nesterov = groups[0]["nesterov"]

    def advance(self) -> None:
        """Count a step, which means nothing here."""

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take the step; ``rates`` are the learning rates, in every place."""
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
