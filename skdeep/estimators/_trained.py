"""A trained network as the estimator keeps it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from skdeep.encoding import as_tensor


class TrainedNetwork:
    """Parameters and buffers in numpy arrays, made into a module when one is needed.

    The module is kept for the next time but left out of pickles and copies. On a CPU
    it shares the arrays' memory.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The network's ``state_dict``.
    config : dict
        What the network is built from.
    """

    def __init__(self, arrays: dict[str, np.ndarray], config: dict):
        self.arrays = arrays
        self.config = config
        self._cached: tuple[torch.device, nn.Module] | None = None

    @classmethod
    def of(cls, module: nn.Module, config: dict, dtype: torch.dtype) -> TrainedNetwork:
        """Copy a module's parameters and buffers, numbers as ``dtype``."""
        arrays = {}
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor = tensor.to(dtype)
            arrays[name] = tensor.detach().cpu().numpy().copy()
        return cls(arrays, config)

    @property
    def dtype(self) -> torch.dtype:
        """The float type that the network computes in."""
        kinds = {a.dtype for a in self.arrays.values() if a.dtype.kind == "f"}
        return torch.float32 if np.dtype("float32") in kinds else torch.float64

    def module(
        self, build: Callable[[dict], nn.Module], device: torch.device
    ) -> nn.Module:
        """Return the network, not training, on ``device``."""
        if self._cached is None or self._cached[0] != device:
            tensors = {name: as_tensor(a) for name, a in self.arrays.items()}
            module = build(self.config)
            module.load_state_dict(tensors, assign=True)
            self._cached = device, module.to(device).eval()
        return self._cached[1]

    def copy_into(self, module: nn.Module) -> None:
        """Set a module's parameters and buffers to these.

        Raises
        ------
        ValueError
            If the module is of another shape.
        """
        tensors = {name: as_tensor(a) for name, a in self.arrays.items()}
        try:
            module.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(
                "warm_start and partial_fit go on from the network of the last call, "
                "whose layers are of other sizes. Fit with warm_start=False, or leave "
                "the parameters that shape the network as they were."
            ) from error

    def __getstate__(self):
        return {"arrays": self.arrays, "config": self.config}

    def __setstate__(self, state):
        self.__dict__.update(state, _cached=None)
