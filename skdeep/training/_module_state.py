"""The state of a module at one time, to go back to it.

A ``state_dict`` leaves out what a user's module may change in training: buffers that
are not persistent, and plain attributes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


class ModuleState:
    """Copies of a module's tensors and plain attributes.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Parameters and buffers, those that are not persistent included.
    attributes : dict of str to dict
        Plain attributes of each submodule, by its name.
    """

    def __init__(self, tensors: dict[str, Tensor], attributes: dict[str, dict]):
        self.tensors = tensors
        self.attributes = attributes

    @classmethod
    def of(cls, module: nn.Module) -> ModuleState:
        """Copy the state of a module."""
        tensors = {name: t.detach().clone() for name, t in _tensors(module).items()}
        attributes = {
            name: {k: _copied(v) for k, v in _attributes(submodule).items()}
            for name, submodule in module.named_modules()
        }
        return cls(
            tensors, {name: found for name, found in attributes.items() if found}
        )

    @torch.no_grad()
    def put_into(self, module: nn.Module) -> None:
        """Give a module of the same structure this state."""
        for name, submodule in module.named_modules():
            for key, value in self.attributes.get(name, {}).items():
                setattr(submodule, key, _copied(value))
        current = _tensors(module)
        for name, tensor in self.tensors.items():
            if name in current and current[name].shape == tensor.shape:
                # In place: optimizers hold the parameters.
                current[name].copy_(tensor)
            else:
                _replace(module, name, tensor.clone())

    def __getstate__(self):
        return {
            "tensors": _stored(self.tensors),
            "attributes": {
                name: {k: _stored(v) for k, v in found.items()}
                for name, found in self.attributes.items()
            },
        }

    def __setstate__(self, state):
        self.tensors = _restored(state["tensors"])
        self.attributes = _restored(state["attributes"])


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Set a tensor whose shape has changed in training."""
    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    is_parameter = last in owner._parameters
    setattr(owner, last, nn.Parameter(tensor) if is_parameter else tensor)


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return the attributes that a module may change; torch's own change constants."""
    is_torch = type(module).__module__.startswith("torch.")
    return {
        name: value
        for name, value in vars(module).items()
        if name not in _OF_EVERY_MODULE
        and (isinstance(value, _CONSTANTS) or (not is_torch and _is_data(value)))
    }


def _is_data(value) -> bool:
    """Say whether a value is made of numbers, text and arrays alone."""
    if isinstance(value, nn.Parameter):
        return False
    if isinstance(value, Mapping):
        return all(map(_is_data, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_data, value))
    return isinstance(value, (*_CONSTANTS, np.ndarray, np.generic, Tensor))


def _copied(value):
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict) or type(value) in (list, tuple):
        return _rebuilt(value, _copied)
    return value if isinstance(value, _CONSTANTS) else copy.deepcopy(value)


@dataclass
class _Stored:
    """A tensor as a numpy array; numpy has no bfloat16."""

    array: np.ndarray
    is_bfloat16: bool


def _stored(value):
    """Return a value with arrays in the place of its tensors."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            return _Stored(tensor.view(torch.int16).numpy().copy(), True)
        return _Stored(tensor.numpy().copy(), False)
    return _rebuilt(value, _stored)


def _restored(value):
    """Return what ``_stored`` was given."""
    if isinstance(value, _Stored):
        tensor = torch.from_numpy(value.array)
        return tensor.view(torch.bfloat16) if value.is_bfloat16 else tensor
    return _rebuilt(value, _restored)


def _rebuilt(value, function):
    """Apply a function to the parts of a container; return other values as they are."""
    if isinstance(value, dict):
        return {key: function(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(function, value))
    return value
