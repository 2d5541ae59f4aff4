"""Weights that the user passes for a network to start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skdeep._messages import did_you_mean
from skdeep.encoding import as_tensor, tensor_to_numpy


@torch.no_grad()
def set_initial_weights(network: nn.Module, weights: dict[str, Any]) -> None:
    """Set some of the weights of a network.

    Parameters
    ----------
    network : nn.Module
        The network, with all its weights drawn.
    weights : dict of str to array-like
        Values by name in the network's ``state_dict``.

    Raises
    ------
    ValueError
        If a name is unknown, or an array has another shape or holds no finite numbers.
    """
    state = network.state_dict()
    for name, values in weights.items():
        if name not in state:
            hint = did_you_mean(name, state) or f"They are {', '.join(state)}."
            raise ValueError(
                f"initial_weights has the name {name!r}, which is not one of the "
                f"network's weights. {hint}"
            )
        state[name].copy_(as_tensor(_checked(name, values, tuple(state[name].shape))))


def _checked(name: str, values, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of one weight as an array."""
    where = f"initial_weights[{name!r}]"
    array = np.asarray(tensor_to_numpy(values, where))
    if array.shape != shape:
        raise ValueError(
            f"{where} must have the shape {shape} of the network, got {array.shape}."
        )
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"{where} must hold finite numbers, got {array.dtype}.")
    return array
