"""Inputs of a network, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class _Readable:
    """Passes an array's memory on as writable.

    ``torch.from_numpy`` warns of read-only arrays, which pandas and memory maps give;
    skdeep never writes to a user's data, and copying them may not fit the memory.
    """

    def __init__(self, array: np.ndarray):
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def as_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor that shares the array's memory where it can."""
    if not array.flags.writeable:
        array = np.asarray(_Readable(array))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


class DenseRows:
    """Rows of one tensor or several of the same length."""

    def __init__(self, *tensors: Tensor):
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        if isinstance(index, Tensor) and out is not None:
            return tuple(
                torch.index_select(tensor, 0, index, out=memory[: len(index)])
                for tensor, memory in zip(self.tensors, out, strict=True)
            )
        if isinstance(index, Tensor):
            return tuple(tensor.index_select(0, index) for tensor in self.tensors)
        if index == slice(None):
            return self.tensors
        return tuple(tensor[index] for tensor in self.tensors)


class SparseRows:
    """Rows of a sparse matrix, made dense a batch at a time."""

    def __init__(self, matrix, dtype: torch.dtype, device: torch.device):
        self.matrix = sparse.csr_array(matrix)
        self.dtype = dtype
        self.device = device

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        rows = index.cpu().numpy() if isinstance(index, Tensor) else index
        dense = torch.from_numpy(self.matrix[rows].toarray())
        return (dense.to(self.device, self.dtype),)
