"""Initial weights of convolutions, drawn with a torch generator for speed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Each maps (fan_in, fan_out) to the standard deviation. Sources: He et al. (2015),
# Glorot & Bengio (2010), LeCun et al. (1998); torch's own layers.
_DEVIATIONS: dict[str, Callable[[float, float], float]] = {
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "he_fan_out": lambda fan_in, fan_out: math.sqrt(2 / fan_out),
    "glorot": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "torch": lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in)),
    "lecun": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
}

_WITH_WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def draw(
    weight: Tensor, deviation: float | Tensor, generator: torch.Generator, normal: bool
) -> None:
    """Fill ``weight`` with draws of mean zero, normal or uniform."""
    # float32 on the CPU, so that all devices and dtypes get the same weights.
    draws = torch.empty(weight.shape, dtype=torch.float32, device="cpu")
    if normal:
        draws.normal_(generator=generator)
    else:
        draws.uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)
    weight.copy_(draws.mul_(deviation))


def fans(weight: Tensor) -> tuple[int, int]:
    """Return the numbers of inputs of an output, and of outputs of an input.

    ``weight`` is (n_outputs, n_inputs, *kernel). As in torch, the second number does
    not consider groups.
    """
    positions = math.prod(weight.shape[2:])
    return weight.shape[1] * positions, weight.shape[0] * positions


def initialize_layers(
    module: nn.Module,
    method: str,
    generator: torch.Generator,
    *,
    normal: bool = False,
) -> None:
    """Draw the weights of all linear layers and convolutions in ``module``.

    Biases start at zero. Batch normalizations start as the identity.
    """
    for layer in module.modules():
        if isinstance(layer, _WITH_WEIGHTS):
            deviation = _DEVIATIONS[method](*fans(layer.weight))
            draw(layer.weight, deviation, generator, normal)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, _NORMS):
            layer.reset_parameters()
