"""Stacked parameters and optimizers of many networks of the same shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skdeep.training._epochs import Fit


class StackedLayout:
    """Layout of the parameters of K networks in one buffer, layer by layer.

    ``shapes`` are the shapes of one network's parameters, weights before biases, as in
    ``FlatParameters``.
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
        """Return the part of each layer, (K, ...)."""
        flat = buffer.split([self.k * size for size in self.sizes])
        return [
            part.view(self.k, *shape)
            for part, shape in zip(flat, self.shapes, strict=True)
        ]

    def networks(self, buffer: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the parameters of each network, one flat tensor for each layer."""
        layers = (part.flatten(1).unbind() for part in self.parts(buffer))
        return list(zip(*layers, strict=True))

    def stack(self, flats: Sequence[Tensor]) -> Tensor:
        """Return one buffer with the flat buffers of all networks."""
        layers = zip(*(flat.split(self.sizes) for flat in flats), strict=True)
        return torch.cat([torch.cat(layer) for layer in layers])

    def pick(self, buffer: Tensor, k: int) -> Tensor:
        """Return the flat buffer of one network."""
        return torch.cat([part[k].reshape(-1) for part in self.parts(buffer)])

    def spread(self, values: Tensor) -> Tensor:
        """Return a buffer in which each network's parameters have its value in (K,)."""
        return torch.cat([values.repeat_interleave(size) for size in self.sizes])


def squared_norms(parts: list[Tensor]) -> Tensor:
    """Return the squared norm of each network, (K,), over some layers."""
    norms = [torch.linalg.vector_norm(part.flatten(1), dim=1) for part in parts]
    return torch.stack(norms).square_().sum(0)


class StackedAdam:
    """Adam or AdamW for all networks at once.

    torch's fused kernel takes one learning rate. Therefore the kernel computes an
    update from zero, which is then multiplied by the learning rate of each network.
    With AdamW, it starts from the decay of the weights instead.

    The kernel's bias correction is disabled, by an "infinite" number of steps, and
    applied here instead: with it, ``eps``, a Python number, would have to change in
    each step, which is not possible in a CUDA graph.
    """

    def __init__(self, fits: list[Fit], layout: StackedLayout, gradient: Tensor):
        (group,) = fits[0].learner.optimizer.param_groups
        self._betas, self._eps = group["betas"], group["eps"]
        states: list[Any] = [fit.learner.optimizer.state for fit in fits]
        self._n_steps = int(states[0]["step"])
        self._decays = _weight_decays(fits, layout, gradient)
        self._update = torch.zeros_like(gradient)
        self._means = layout.stack([state["exp_avg"] for state in states])
        self._squares = layout.stack([state["exp_avg_sq"] for state in states])
        self._is_on_cpu = gradient.device.type == "cpu"
        precision = torch.float64 if self._is_on_cpu else gradient.dtype
        self._correction = gradient.new_ones((), dtype=precision)
        infinite = torch.full_like(states[0]["step"], torch.finfo(torch.float32).max)
        moments = [self._means], [self._squares]
        # The arguments of the kernel: making the lists in each step takes time.
        self._tensors: tuple[Any, ...] = (
            [self._update],
            [gradient],
            *moments,
            [],
            [infinite],
        )

    def advance(self) -> None:
        """Count a step and update the bias correction."""
        self._n_steps += 1
        beta_1, beta_2 = self._betas
        correction = math.sqrt(1 - beta_2**self._n_steps) / (1 - beta_1**self._n_steps)
        self._correction.fill_(correction)

    def step(self, values: Tensor, rates: Tensor, factor: float) -> None:
        """Take a step; the learning rate of each parameter is a rate times a factor."""
        self._begin_update(values)
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
            # Passed as the learning rate, the GPU's kernel would read it in float32.
            self._update.mul_(self._correction)
        values.addcmul_(self._update, rates, value=factor)

    def _begin_update(self, values: Tensor) -> None:
        """Fill the update with the decay of the weights."""
        if self._decays is None:
            self._update.zero_()
            return
        torch.mul(values, self._decays, out=self._update)
        if not self._is_on_cpu:
            self._update.div_(self._correction)

    def state(self, layout: StackedLayout, k: int) -> dict[str, Tensor]:
        """Return the optimizer state of one network."""
        return {
            "step": torch.tensor(float(self._n_steps)),
            "exp_avg": layout.pick(self._means, k),
            "exp_avg_sq": layout.pick(self._squares, k),
        }


def _weight_decays(
    fits: list[Fit], layout: StackedLayout, like: Tensor
) -> Tensor | None:
    """Return the negative penalty of each weight and zero for each bias.

    None if all penalties are zero, or if they belong to the gradient, as in Adam.
    """
    alphas = [fit.options.alpha for fit in fits]
    if fits[0].options.solver != "adamw" or not any(alphas):
        return None
    decays = layout.spread(like.new_tensor(alphas)).neg_()
    decays[layout.n_weights :] = 0
    return decays


class StackedSGD:
    """``FlatSGD`` for all networks at once."""

    def __init__(self, fits: list[Fit], layout: StackedLayout, gradient: Tensor):
        self._gradient = gradient
        states: list[Any] = [fit.learner.optimizer.state for fit in fits]
        self._velocity = layout.stack([state["velocity"] for state in states])
        groups = [fit.learner.optimizer.param_groups[0] for fit in fits]
        momenta = gradient.new_tensor([group["momentum"] for group in groups])
        self._momentum = layout.spread(momenta)
        self._nesterov = groups[0]["nesterov"]

    def advance(self) -> None:
        """Do nothing: the step does not depend on the number of steps."""

    def step(self, values: Tensor, rates: Tensor, factor: float) -> None:
        """Take a step; the learning rate of each parameter is a rate times a factor."""
        gradient, velocity = self._gradient, self._velocity
        velocity.mul_(self._momentum).addcmul_(gradient, rates, value=-factor)
        if self._nesterov:
            values.addcmul_(velocity, self._momentum)
            values.addcmul_(gradient, rates, value=-factor)
        else:
            values.add_(velocity)

    def state(self, layout: StackedLayout, k: int) -> dict[str, Tensor]:
        """Return the optimizer state of one network."""
        return {"velocity": layout.pick(self._velocity, k)}
