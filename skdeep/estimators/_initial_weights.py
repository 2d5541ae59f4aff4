"""Weights that the user passes for a network to start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep._messages import did_you_mean
from skdeep.encoding import as_tensor, naming, tensor_to_numpy


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
        state[name].copy_(_checked(name, values, state[name]))


def _checked(name: str, values, weight: Tensor) -> Tensor:
    """Return the values of one weight in its type."""
    where, shape = f"initial_weights[{name!r}]", tuple(weight.shape)
    with naming(where):
        array = np.asarray(tensor_to_numpy(values, where))
    if array.shape != shape:
        raise ValueError(
            f"{where} must have the shape {shape} of the network, got {array.shape}."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{where} must hold numbers, got {array.dtype}.")
    converted = as_tensor(array.astype(np.float64)).to(weight.dtype)
    if not converted.isfinite().all():
        found = array[~converted.isfinite().numpy()][0]
        raise ValueError(
            f"{where} must hold finite numbers of {weight.dtype}, got {found}."
        )
    return converted
