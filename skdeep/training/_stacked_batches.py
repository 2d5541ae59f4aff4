"""Batches of a population: each network has its own rows and order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.training._batches import batch_sizes
from skdeep.training._grouping import Member, batch_rows

# Bytes of inputs to gather at a time, at least one batch.
_GATHER_BYTES = 2**22


@dataclass
class StackedBatch:
    """A batch of each of K networks, padded to the same number of rows.

    Parameters
    ----------
    inputs : sequence of Tensor
        The inputs of each stream, (size, n_inputs), or of each network, one tensor
        (K, size, n_inputs).
    target : Tensor of shape (K, size, ...)
        Targets.
    scale : float or Tensor of shape (K, size, 1)
        Weight of each row divided by the sum of its network's batch; 0 for padding.
    sizes : float or Tensor of shape (K,)
        Number of rows of each network without padding.
    weight_sums : float or Tensor of shape (K,)
        Sum of the weights of each network. The last three are numbers if all rows
        have the same weight.
    """

    inputs: Sequence[Tensor]
    target: Tensor
    scale: Any
    sizes: Any
    weight_sums: Any

    def clone(self) -> StackedBatch:
        """Return a copy of the batch."""
        inputs = [_copy(part) for part in self.inputs]
        shares = (self.scale, self.sizes, self.weight_sums)
        return StackedBatch(inputs, _copy(self.target), *map(_copy, shares))

    def copy_(self, other: StackedBatch) -> None:
        """Copy the rows of a batch of the same shape into this one."""
        for own, part in zip(self._tensors(), other._tensors(), strict=True):
            _drop_repeats(own).copy_(_drop_repeats(part))

    def _tensors(self) -> list[Tensor]:
        values = (*self.inputs, self.target, self.scale, self.sizes, self.weight_sums)
        return [value for value in values if isinstance(value, Tensor)]

    @property
    def counts(self) -> list[int] | None:
        """Number of rows of each network, or None if there is no padding."""
        if isinstance(self.sizes, float):
            return None
        return [int(size) for size in self.sizes.tolist()]


def _copy(value: Any) -> Any:
    """Return a number, or a copy of a tensor that is expanded in the same way."""
    if not isinstance(value, Tensor):
        return value
    return _drop_repeats(value).clone().expand_as(value)


def _drop_repeats(tensor: Tensor) -> Tensor:
    """Return a tensor, or its only distinct entry if it was expanded."""
    return tensor[:1] if tensor.stride(0) == 0 else tensor


class StackedEpoch:
    """The batches of one epoch of K networks.

    Parameters
    ----------
    streams : list of list of Member
        The fits of the networks; members of a stream read the same rows in the same
        order.
    orders : list of ndarray of shape (n_samples,)
        The order of the rows of each stream.
    is_shared : bool
        Whether the inputs of a stream are gathered once for all of its members.
    """

    def __init__(
        self, streams: list[list[Member]], orders: list[np.ndarray], is_shared: bool
    ):
        self.members = list(itertools.chain(*streams))
        self.streams, self.is_shared = streams, is_shared
        lengths = [len(member.inputs) for member in self.members]
        self.shortest, longest = min(lengths), max(lengths)
        device = self.members[0].inputs.device
        # Shorter orders are repeated: the padding has rows, but no weight.
        index = np.stack([np.resize(order, longest) for order in orders])
        self.index = torch.from_numpy(index).to(device)  # (n_streams, n_samples)
        self.size = batch_rows(self.members[0].fit.options)
        if lengths[0] <= self.size:  # each network has a single batch
            self.size = longest
        stops = np.cumsum(batch_sizes(longest, self.size)).tolist()
        self.bounds = list(zip([0, *stops[:-1]], stops, strict=True))
        self.lengths = torch.tensor(lengths, device=device)
        self.target = self._gather_in_order([member.target for member in self.members])
        self.is_equal = self._source(0).weight is None
        self.weight = self._weights(longest)

    def __iter__(self) -> Iterator[StackedBatch]:
        parts = zip(self._inputs(), self.target.split(self.size, 1), strict=True)
        for (start, stop), (inputs, target) in zip(self.bounds, parts, strict=True):
            yield StackedBatch(inputs, target, *self._shares(start, stop))

    def _source(self, k: int) -> Any:
        """Return the training rows of one network."""
        return self.members[k].fit.task.train

    def _inputs(self) -> Iterator[Sequence[Tensor]]:
        """Gather the inputs of several batches at a time; yield those of each batch.

        They are overwritten by the next ones.
        """
        readers = [
            (member.inputs, i)
            for i, stream in enumerate(self.streams)
            for member in (stream[:1] if self.is_shared else stream)
        ]
        first, _ = readers[0]
        row_bytes = len(readers) * first.shape[1] * first.element_size()
        n_rows = self.size * max(1, _GATHER_BYTES // (self.size * row_bytes))
        n_rows = min(n_rows, self.index.shape[1])
        buffer = first.new_empty((len(readers), n_rows, first.shape[1]))
        for index in self.index.split(n_rows, 1):
            x = buffer[:, : index.shape[1]]
            for (inputs, i), out in zip(readers, x, strict=True):
                torch.index_select(inputs, 0, index[i], out=out)
            batches = x.split(self.size, 1)
            yield from (
                batch.unbind() if self.is_shared else [batch] for batch in batches
            )

    def _gather_in_order(self, tensors: list[Tensor]) -> Tensor:
        """Return the networks' tensors in the order of their rows, (K, n, ...)."""
        ordered: list[Tensor] = []
        remaining = iter(tensors)
        for members, index in zip(self.streams, self.index, strict=True):
            selected: dict[int, Tensor] = {}
            for tensor in itertools.islice(remaining, len(members)):
                if id(tensor) not in selected:
                    selected[id(tensor)] = tensor.index_select(0, index)
                ordered.append(selected[id(tensor)])
        if all(tensor is ordered[0] for tensor in ordered):
            return ordered[0].expand(len(ordered), *ordered[0].shape)
        return torch.stack(ordered)

    def _weights(self, longest: int) -> Tensor | None:
        """Return all weights in order, (K, n_samples), or None if all are 1."""
        position = torch.arange(longest, device=self.index.device)
        is_row = position < self.lengths.unsqueeze(1)  # (K, n_samples)
        weights: list[Any] = [self._source(k).weight for k in range(len(self.members))]
        if self.is_equal:
            return None if is_row.all() else is_row.to(self.members[0].inputs.dtype)
        return self._gather_in_order(weights) * is_row

    def _shares(self, start: int, stop: int):
        """Return the scale, sizes and sums of weights of a batch."""
        size = float(stop - start)
        if self.weight is None or (self.is_equal and stop <= self.shortest):
            return 1 / size, size, size
        weight = self.weight[:, start:stop]
        sums = weight.sum(1)
        scale = (weight / sums.unsqueeze(1)).unsqueeze(2)
        return scale, (self.lengths - start).clamp_max(size), sums
