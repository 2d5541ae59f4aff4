"""A trained network in the form that the estimator stores."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor, nn

from skdeep.encoding import as_tensor
from skdeep.networks import RandomLayer

_OTHER_SHAPE = (
    "warm_start and partial_fit continue the network of the last call, whose layers "
    "have other sizes. Fit with warm_start=False, or do not change the parameters that "
    "determine the size of the network."
)


class TrainedNetwork:
    """Parameters and buffers as numpy arrays; builds the module when it is needed.

    For networks that are fully described by their configuration and these arrays, such
    as those of skdeep. The module is cached, but left out of pickles and copies. On a
    CPU it shares the arrays' memory.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The network's ``state_dict``.
    config : dict
        Arguments from which the network is built.
    """

    def __init__(self, arrays: dict[str, np.ndarray], config: dict):
        self.arrays = arrays
        self.config = config
        self._cached: tuple[torch.device, nn.Module] | None = None

    @classmethod
    def of(cls, module: nn.Module, config: dict, dtype: torch.dtype) -> TrainedNetwork:
        """Copy a module's parameters and buffers, floats as ``dtype``."""
        return cls(_arrays_of(module, dtype), config)

    @property
    def dtype(self) -> torch.dtype:
        """The float type that the network computes in."""
        kinds = {a.dtype for a in self.arrays.values() if a.dtype.kind == "f"}
        return torch.float32 if np.dtype("float32") in kinds else torch.float64

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The arrays as tensors on their memory, which may be read-only."""
        return {name: as_tensor(array) for name, array in self.arrays.items()}

    def module(
        self, build: Callable[[dict], nn.Module], device: torch.device
    ) -> nn.Module:
        """Return the network, in evaluation mode, on ``device``."""
        if self._cached is None or self._cached[0] != device:
            module = build(self.config)
            # assign: the module takes over the tensors, which are views of the arrays,
            # so that `set_array` changes both.
            module.load_state_dict(self.tensors, assign=True)
            self._cached = device, module.to(device).eval()
        return self._cached[1]

    def take_over(self, module: nn.Module) -> None:
        """Predict with the module that the arrays were copied from, if it can be used.

        To build another one takes longer than to predict a few hundred rows. The module
        must be as a new one apart from its parameters, on whose memory nothing else
        relies.
        """
        tensors = self.tensors
        parameters = dict(module.named_parameters())
        kinds = {name: (p.dtype, p.device) for name, p in parameters.items()}
        # L-BFGS computes in another float type, and buffers would not share memory.
        if kinds != {name: (t.dtype, t.device) for name, t in tensors.items()}:
            return
        for name, parameter in parameters.items():
            parameter.data, parameter.grad = tensors[name], None
        for layer in module.modules():
            if isinstance(layer, RandomLayer):
                layer.generator = None
        self._cached = torch.device("cpu"), module.eval()

    def copy_for_training(self, module: nn.Module) -> nn.Module:
        """Load these parameters and buffers into a newly built module.

        Raises
        ------
        ValueError
            If the sizes of the module differ.
        """
        try:
            module.load_state_dict(self.tensors)
        except RuntimeError as error:
            raise ValueError(_OTHER_SHAPE) from error
        return module

    def set_array(self, name: str, array: np.ndarray) -> None:
        """Replace the values of one array."""
        if not self.arrays[name].flags.writeable:  # a memory map
            self.arrays[name] = self.arrays[name].copy()
            self._cached = None
        self.arrays[name][...] = array
        # On a CPU the module shares the array; elsewhere it holds a stale copy.
        if self._cached is not None and self._cached[0].type != "cpu":
            self._cached = None

    def __getstate__(self):
        return {"arrays": self.arrays, "config": self.config}

    def __setstate__(self, state):
        self.__dict__.update(state, _cached=None)


def _arrays_of(module: nn.Module, dtype: torch.dtype) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor = tensor.to(dtype)
        arrays[name] = tensor.detach().cpu().numpy().copy()
    return arrays


class TrainedModule:
    """A user-defined module as it was at the end of training.

    It is never rebuilt: it may have drawn its structure at random, or hold state in
    plain attributes. Pickles hold its tensors as numpy arrays, so that a module trained
    on a GPU loads anywhere; its class is stored by name or, if it cannot be imported,
    as code.

    Parameters
    ----------
    module : nn.Module
        The trained module; it is not copied.
    """

    def __init__(self, module: nn.Module):
        # Gradients are as large as the weights, and no longer needed.
        for parameter in module.parameters():
            parameter.grad = None
        self._module = module.eval()

    @property
    def dtype(self) -> torch.dtype:
        """The float type that the module computes in."""
        kinds = {p.dtype for p in self._module.parameters()}
        return torch.float64 if torch.float64 in kinds else torch.float32

    def module(self, build, device: torch.device) -> nn.Module:
        """Return the module, in evaluation mode, on ``device``."""
        first = next(self._module.parameters(), None)
        if first is not None and first.device != device:
            self._module.to(device)
        return self._module.eval()

    def copy_for_training(self, module: nn.Module) -> nn.Module:
        """Return a copy of the module; raise if a newly built one has other sizes.

        Raises
        ------
        ValueError
            If the sizes of the newly built module differ.
        """
        shapes, others = (
            {name: tensor.shape for name, tensor in each.named_parameters()}
            for each in (module, self._module)
        )
        if shapes != others:
            raise ValueError(_OTHER_SHAPE)
        return copy_module(self._module)

    def __deepcopy__(self, memo):
        return type(self)(copy_module(self._module))

    def __reduce_ex__(self, protocol):
        tensors: list[Tensor] = []
        try:
            structure = _dumped(self._module, pickle.Pickler, tensors)
        except (pickle.PicklingError, AttributeError, TypeError):
            # Lambdas, and classes defined in functions.
            tensors.clear()
            structure = _dumped(self._module, cloudpickle.CloudPickler, tensors)
        return _load, (structure, [StoredTensor.of(tensor) for tensor in tensors])

    # skops does not run pickled code; it stores attributes, by these methods.

    def __getstate__(self):
        stored = {id(t): StoredTensor.of(t) for t in _tensors_in(self._module)}
        return {"module": copy.deepcopy(self._module, stored)}

    def __setstate__(self, state):
        self._module = copy.deepcopy(state["module"]).eval()


class StoredTensor:
    """A tensor or parameter as a numpy array, which becomes the tensor when copied."""

    def __init__(self, array: np.ndarray, dtype: str, is_parameter: bool, learns: bool):
        self.array = array
        self.dtype = dtype
        self.is_parameter = is_parameter
        self.learns = learns

    @classmethod
    def of(cls, tensor: Tensor) -> StoredTensor:
        """Store a tensor; numpy has no bfloat16."""
        values = tensor.detach().cpu()
        if values.dtype == torch.bfloat16:
            values = values.view(torch.int16)
        is_parameter = isinstance(tensor, nn.Parameter)
        learns = bool(tensor.requires_grad)
        array = values.numpy().copy()
        return cls(array, str(tensor.dtype)[6:], is_parameter, learns)

    def tensor(self) -> Tensor:
        """Return the tensor."""
        # A copy: an array that joblib has mapped to memory is read-only.
        values = torch.from_numpy(np.array(self.array))
        if self.dtype == "bfloat16":
            values = values.view(torch.bfloat16)
        if self.is_parameter:
            return nn.Parameter(values, requires_grad=self.learns)
        return values

    def __deepcopy__(self, memo):
        return self.tensor()


def _is_storable(value) -> bool:
    """Return whether a value is a tensor that an array can hold."""
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_meta
    )


def _dumped(module: nn.Module, kind: Any, tensors: list[Tensor]) -> bytes:
    """Pickle a module; its tensors are appended to a list instead."""
    numbers: dict[int, int] = {}

    class Pickler(kind):
        def persistent_id(self, value):
            if not _is_storable(value):
                return None
            # Once per tensor, so that shared weights are still shared after loading.
            if id(value) not in numbers:
                numbers[id(value)] = len(tensors)
                tensors.append(value)
            return numbers[id(value)]

    file = io.BytesIO()
    Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(module)
    return file.getvalue()


def _load(structure: bytes, stored: list[StoredTensor]) -> TrainedModule:
    """Restore a pickled ``TrainedModule``."""
    tensors = [each.tensor() for each in stored]

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number):
            return tensors[number]

    return TrainedModule(Unpickler(io.BytesIO(structure)).load())


def _tensors_in(module: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors of a module and its submodules, also those in containers."""
    for submodule in module.modules():
        yield from _tensors_among(vars(submodule).values())


def _tensors_among(values) -> Iterator[Tensor]:
    for value in values:
        if _is_storable(value):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors_among(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _tensors_among(value)


def copy_module(module: nn.Module) -> nn.Module:
    """Copy a module; tensors it has computed are detached from their graph.

    ``copy.deepcopy`` raises for tensors that are part of a graph.
    """
    # The memo maps ids to finished copies: deepcopy takes these instead of its own.
    memo = {
        id(t): t.detach().clone() for t in _tensors_in(module) if t.grad_fn is not None
    }
    return copy.deepcopy(module, memo)
