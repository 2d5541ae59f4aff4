"""Rows of tensors or of a sparse matrix, from which batches are taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class _AsWritable:
    """Exposes the memory of a read-only array as writable.

    ``torch.from_numpy`` warns about read-only arrays, which pandas and memory maps
    return. skdeep never writes to the user's data, and a copy may not fit into memory.
    """

    def __init__(self, array: np.ndarray):
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def as_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor that shares the array's memory where it can."""
    if not array.flags.writeable:
        array = np.asarray(_AsWritable(array))
    if any(stride < 0 for stride in array.strides):  # torch does not support these
        array = array.copy()
    return torch.from_numpy(array)


class DenseRows:
    """Rows of one or more tensors of the same length."""

    def __init__(self, *tensors: Tensor):
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors[0].shape[0]  # len takes three times as long

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Return some rows of each tensor, in the memory of ``out`` if given."""
        if isinstance(index, Tensor) and out is not None:
            # ``out`` is as long as a full batch; index_select would resize it, with a
            # warning, for the shorter last one.
            return tuple(
                torch.index_select(tensor, 0, index, out=memory[: len(index)])
                for tensor, memory in zip(self.tensors, out, strict=True)
            )
        if isinstance(index, Tensor):
            return tuple(tensor.index_select(0, index) for tensor in self.tensors)
        if index == slice(None):
            return self.tensors
        return tuple(tensor[index] for tensor in self.tensors)


class SparseMatrixRows:
    """Rows of a sparse matrix, made dense one batch at a time."""

    def __init__(self, matrix, dtype: torch.dtype, device: torch.device):
        self.matrix = sparse.csr_array(matrix)  # the format that selects rows fastest
        self.dtype = dtype
        self.device = device

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Return some rows as a dense tensor."""
        rows = index.cpu().numpy() if isinstance(index, Tensor) else index
        dense = torch.from_numpy(self.matrix[rows].toarray())
        return (dense.to(self.device, self.dtype),)
