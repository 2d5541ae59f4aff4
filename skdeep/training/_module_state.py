"""Snapshots of modules.

A ``state_dict`` does not contain everything that a user's module may change in
training: non-persistent buffers and plain attributes are missing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

_MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


class ModuleState:
    """Copies of a module's tensors and plain attributes.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Parameters and buffers, including non-persistent ones.
    attributes : dict of str to dict
        Plain attributes of each submodule, by name of the submodule.
    """

    def __init__(
        self, tensors: dict[str, Tensor], attributes: dict[str, dict[str, Any]]
    ):
        self.tensors = tensors
        self.attributes = attributes

    @classmethod
    def of(cls, module: nn.Module) -> ModuleState:
        """Copy the state of a module."""
        tensors = {name: t.detach().clone() for name, t in _tensors(module).items()}
        attributes = {
            name: {k: _copy_value(v) for k, v in _attributes(submodule).items()}
            for name, submodule in module.named_modules()
        }
        return cls(
            tensors, {name: found for name, found in attributes.items() if found}
        )

    @torch.no_grad()
    def load_into(self, module: nn.Module) -> None:
        """Set the state of a module of the same structure."""
        for name, submodule in module.named_modules():
            for key, value in self.attributes.get(name, {}).items():
                setattr(submodule, key, _copy_value(value))
        current = _tensors(module)
        for name, tensor in self.tensors.items():
            if name in current and current[name].shape == tensor.shape:
                # In place, because optimizers hold references to the parameters.
                current[name].copy_(tensor)
            else:
                _replace(module, name, tensor.clone())

    def __getstate__(self) -> dict[str, Any]:
        return {
            "tensors": _to_arrays(self.tensors),
            "attributes": {
                name: {k: _to_arrays(v) for k, v in found.items()}
                for name, found in self.attributes.items()
            },
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.tensors = _to_tensors(state["tensors"])
        self.attributes = _to_tensors(state["attributes"])


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace a tensor whose shape has changed in training."""
    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    is_parameter = last in owner._parameters
    setattr(owner, last, nn.Parameter(tensor) if is_parameter else tensor)


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return the plain attributes that a module may change in training.

    Of torch's own modules these are constants only.
    """
    is_torch = type(module).__module__.startswith("torch.")
    return {
        name: value
        for name, value in vars(module).items()
        if name not in _MODULE_ATTRIBUTES
        and (isinstance(value, _CONSTANTS) or (not is_torch and _is_data(value)))
    }


def _is_data(value: Any) -> bool:
    """Return whether a value consists of numbers, text, arrays and tensors only."""
    if isinstance(value, nn.Parameter):
        return False
    if isinstance(value, Mapping):
        return all(map(_is_data, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_data, value))
    return isinstance(value, (*_CONSTANTS, np.ndarray, np.generic, Tensor))


def _copy_value(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict) or type(value) in (list, tuple):
        return _map_parts(value, _copy_value)
    return value if isinstance(value, _CONSTANTS) else copy.deepcopy(value)


@dataclass
class _StoredTensor:
    """A tensor as a numpy array, with bfloat16, which numpy lacks, as int16."""

    array: npt.NDArray[Any]
    is_bfloat16: bool


def _to_arrays(value: Any) -> Any:
    """Return a value with its tensors replaced by arrays."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            return _StoredTensor(tensor.view(torch.int16).numpy().copy(), True)
        return _StoredTensor(tensor.numpy().copy(), False)
    return _map_parts(value, _to_arrays)


def _to_tensors(value: Any) -> Any:
    """Undo ``_to_arrays``."""
    if isinstance(value, _StoredTensor):
        tensor = torch.from_numpy(value.array)
        return tensor.view(torch.bfloat16) if value.is_bfloat16 else tensor
    return _map_parts(value, _to_tensors)


def _map_parts(value: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to the parts of a container; return other values unchanged."""
    if isinstance(value, dict):
        return {key: function(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(function, value))
    return value
