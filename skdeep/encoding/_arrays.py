"""Inputs of modules other than tables: several arrays, integers, torch data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from skdeep.encoding._rows import DenseRows, as_tensor
from skdeep.encoding._targets import ClassTargets, ValueTargets, r2


@dataclass
class Arrays:
    """Checked arrays of the same number of rows.

    Parameters
    ----------
    arrays : dict of str to ndarray
        By the names of the module's arguments, or by the positions "0", "1", ….
    is_named : bool
        Whether they are passed to the module by name.
    """

    arrays: dict[str, np.ndarray]
    is_named: bool

    def __len__(self) -> int:
        return len(self.numeric)

    @property
    def numeric(self) -> np.ndarray:
        """The first array."""
        return next(iter(self.arrays.values()))

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in; float32, torch's default, for integers."""
        floats = [a.dtype for a in self.arrays.values() if a.dtype.kind == "f"]
        return np.result_type(*floats) if floats else np.dtype(np.float32)

    def rows(self, index) -> Arrays:
        """Return some of the rows."""
        arrays = {name: array[index] for name, array in self.arrays.items()}
        return Arrays(arrays, self.is_named)


class ArrayEncoder:
    """Turns checked arrays into tensors of the network's precision.

    Parameters
    ----------
    keeps_integers : bool
        Whether to leave integers, such as pixels and token ids, unchanged.
    """

    def __init__(self, keeps_integers: bool = True):
        self.keeps_integers = keeps_integers

    def fit(self, table: Arrays) -> ArrayEncoder:
        """Do nothing: arrays need no fitting."""
        return self

    def encode(self, table: Arrays, dtype: torch.dtype, device: torch.device):
        """Return the arrays as tensors on the given device."""
        tensors = [
            self._tensor(array, dtype, device) for array in table.arrays.values()
        ]
        if table.is_named:
            return NamedRows(list(table.arrays), *tensors)
        return DenseRows(*tensors)

    def _tensor(self, array, dtype, device) -> Tensor:
        tensor = as_tensor(array)
        if tensor.is_floating_point() or not self.keeps_integers:
            return tensor.to(device, dtype)
        return tensor.to(device)


class NamedRows(DenseRows):
    """Rows of several named tensors."""

    def __init__(self, names: list[str], *tensors: Tensor):
        super().__init__(*tensors)
        self.names = names

    def take(self, index, out=None):
        """Return some rows of each tensor, as a dict by name."""
        return dict(zip(self.names, super().take(index), strict=True))


@dataclass
class Items:
    """Some items of a torch data set.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Returns an item for an index.
    index : ndarray of shape (n_samples,)
        Indices of the items.
    is_labeled : bool
        Whether the last part of each item is its target.
    """

    dataset: Dataset
    index: np.ndarray
    is_labeled: bool

    def __len__(self) -> int:
        return len(self.index)

    @property
    def numeric(self) -> np.ndarray:
        """An array with one entry per item, for checks of lengths."""
        return self.index

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        first = self.inputs(0)
        parts = first.values() if isinstance(first, Mapping) else first
        # Only the first item is read: reading all of them may take hours.
        wide = any(torch.as_tensor(part).dtype == torch.float64 for part in parts)
        return np.dtype(np.float64 if wide else np.float32)

    def rows(self, index) -> Items:
        """Return some of the items."""
        return Items(self.dataset, self.index[index], self.is_labeled)

    def inputs(self, i: int) -> Any:
        """Return the inputs of an item, as a dict or a tuple."""
        item: Any = self.dataset[int(self.index[i])]
        if self.is_labeled:
            item = tuple(item[:-1])
        if isinstance(item, Mapping):
            return {name: _writable(part) for name, part in item.items()}
        parts = item if isinstance(item, (tuple, list)) else (item,)
        return tuple(map(_writable, parts))

    def labels(self) -> np.ndarray:
        """Return the targets of all items."""
        targets = [self.dataset[int(i)][-1] for i in self.index]
        return np.stack([np.asarray(target) for target in targets])

    def __getstate__(self):
        # A checkpoint hashes this to recognize the data; reading every item would
        # take too long.
        return {"kind": type(self.dataset).__qualname__, "index": self.index}


def _writable(part):
    """Return a copy of a read-only array, about which torch would warn."""
    is_locked = isinstance(part, np.ndarray) and not part.flags.writeable
    return part.copy() if is_locked else part


class ItemEncoder:
    """Reads the items of a data set batch by batch."""

    def fit(self, table: Items) -> ItemEncoder:
        """Do nothing: items need no fitting."""
        return self

    def encode(self, table: Items, dtype: torch.dtype, device: torch.device):
        """Return the items as rows on the given device."""
        return ItemRows(table, dtype, device)


class ItemRows:
    """Items of a data set, read batch by batch."""

    def __init__(self, items: Items, dtype: torch.dtype, device: torch.device):
        self.items = items
        self.dtype = dtype
        self.device = device

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: Tensor | slice, out=None):
        """Read some items and stack their parts."""
        # A slice may be open; a data set takes only single indices.
        numbers = torch.arange(len(self))[index] if isinstance(index, slice) else index
        parts = default_collate([self.items.inputs(i) for i in numbers.tolist()])
        if isinstance(parts, Mapping):
            return {name: self._to_device(part) for name, part in parts.items()}
        return tuple(map(self._to_device, parts))

    def _to_device(self, tensor: Tensor) -> Tensor:
        # Integers may be token ids or indices, which must not become floats.
        dtype = self.dtype if tensor.is_floating_point() else None
        return tensor.to(self.device, dtype)


class ShapedTargets(ValueTargets):
    """Targets of any shape, such as images, for user-defined losses.

    Parameters
    ----------
    shape : tuple of int
        Shape of the target of one row.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.n_outputs = shape  # type: ignore[assignment]
        self.flat = False

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Check the shape of the values and return them."""
        if y.shape[1:] != self.shape:
            raise ValueError(
                f"y must have shape (n_samples, {', '.join(map(str, self.shape))}), as "
                f"in training, got {y.shape}."
            )
        return y

    def learn_scale(self, values, weight):
        """Learn a single mean and spread from all values."""
        if weight is not None:
            weight = np.repeat(weight, np.prod(self.shape))
        super().learn_scale(values.reshape(-1, 1), weight)

    def score(self, values, expected, weight):
        """Return R² over all values, with the columns weighted by their variance."""
        predicted = values.cpu().double().numpy()
        expected, predicted = (
            v.reshape(len(v), -1) for v in (self._scaled(expected), predicted)
        )
        return r2(expected, predicted, weight, "variance_weighted")


class ShapedClassTargets(ClassTargets):
    """Classes of any shape, such as a class for each pixel.

    The classes are on axis 1 of the raw scores, as in torch's losses.
    """

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the index of each label, shaped as y."""
        return super().encode(y.ravel()).reshape(y.shape)

    def codes_from(self, raw: Tensor) -> Tensor:
        """Return the index of the class with the highest score."""
        return raw.max(1).indices  # see ClassTargets.codes_from

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the probabilities of the loss, with the classes on axis 1."""
        return values

    def margins(self, raw: np.ndarray) -> np.ndarray:
        """Return the raw scores unchanged."""
        return raw

    @staticmethod
    def score(codes: Tensor, expected: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the accuracy over all labels."""
        right = (codes.cpu().numpy() == expected).reshape(len(expected), -1).mean(1)
        return float(np.average(right, weights=weight))
