"""The batches of many networks, each with rows and an order of its own."""

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

# Bytes of inputs that are fetched at a time, if a batch has no more.
_AT_ONCE = 2**22


@dataclass
class StackedBatch:
    """Rows of K networks; those that have fewer than others are padded.

    Parameters
    ----------
    inputs : sequence of Tensor of shape (n_members, size, n_inputs)
        Inputs of all networks, or of those of each stream.
    target : Tensor of shape (K, size, ...)
        Targets.
    scale : float or Tensor of shape (K, size, 1)
        Weight of each row as a share of its network's batch, 0 where it is padded.
    sizes : float or Tensor of shape (K,)
        Rows of each network that are no padding.
    weight_sums : float or Tensor of shape (K,)
        Sums of their weights. These three are numbers where all rows weigh the same.
    """

    inputs: Sequence[Tensor]
    target: Tensor
    scale: Any
    sizes: Any
    weight_sums: Any

    def clone(self) -> StackedBatch:
        """Return a batch of the same shape in memory of its own."""
        inputs = [_copy(part) for part in self.inputs]
        shares = (self.scale, self.sizes, self.weight_sums)
        return StackedBatch(inputs, _copy(self.target), *map(_copy, shares))

    def copy_(self, other: StackedBatch) -> None:
        """Take over the rows of a batch of the same shape."""
        for own, part in zip(self._tensors(), other._tensors(), strict=True):
            _unrepeated(own).copy_(_unrepeated(part))

    def _tensors(self) -> list[Tensor]:
        values = (*self.inputs, self.target, self.scale, self.sizes, self.weight_sums)
        return [value for value in values if isinstance(value, Tensor)]

    @property
    def counts(self) -> list[int] | None:
        """Rows that are no padding, if some are."""
        if isinstance(self.sizes, float):
            return None
        return [int(size) for size in self.sizes.tolist()]


def _copy(value: Any) -> Any:
    """Return a number, or a copy of a tensor, repeated where it is."""
    if not isinstance(value, Tensor):
        return value
    return _unrepeated(value).clone().expand_as(value)


def _unrepeated(tensor: Tensor) -> Tensor:
    """Return a tensor, or the one entry of it that is repeated."""
    return tensor[:1] if tensor.stride(0) == 0 else tensor


class Pass:
    """One pass of K networks over their data, batch by batch.

    Parameters
    ----------
    streams : list of list of Member
        The networks' fits; those of a stream read the same rows in the same order.
    orders : list of ndarray of shape (n_samples,)
        The order of each stream's rows.
    is_shared : bool
        Whether the inputs of a stream are fetched once for all of it.
    """

    def __init__(
        self, streams: list[list[Member]], orders: list[np.ndarray], is_shared: bool
    ):
        self.members = list(itertools.chain(*streams))
        self.streams, self.is_shared = streams, is_shared
        lengths = [len(member.inputs) for member in self.members]
        self.shortest, longest = min(lengths), max(lengths)
        device = self.members[0].inputs.device
        index = np.stack([np.resize(order, longest) for order in orders])
        self.index = torch.from_numpy(index).to(device)  # (n_streams, n_samples)
        self.size = batch_rows(self.members[0].fit.options)
        if lengths[0] <= self.size:
            self.size = longest
        stops = np.cumsum(batch_sizes(longest, self.size)).tolist()
        self.bounds = list(zip([0, *stops[:-1]], stops, strict=True))
        self.lengths = torch.tensor(lengths, device=device)
        self.target = self._in_order([member.target for member in self.members])
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
        """Fetch the inputs of each batch, of some at once, into the same memory."""
        readers = [
            (member.inputs, i)
            for i, stream in enumerate(self.streams)
            for member in (stream[:1] if self.is_shared else stream)
        ]
        first, _ = readers[0]
        of_a_row = len(readers) * first.shape[1] * first.element_size()
        n_rows = self.size * max(1, _AT_ONCE // (self.size * of_a_row))
        n_rows = min(n_rows, self.index.shape[1])
        room = first.new_empty((len(readers), n_rows, first.shape[1]))
        for index in self.index.split(n_rows, 1):
            x = room[:, : index.shape[1]]
            for (inputs, i), out in zip(readers, x, strict=True):
                torch.index_select(inputs, 0, index[i], out=out)
            parts = self._for_all(x) if self.is_shared else [x]
            yield from zip(*(part.split(self.size, 1) for part in parts), strict=True)

    def _for_all(self, x: Tensor) -> list[Tensor]:
        """Return the rows of each stream, (1, size, n_inputs), for all of its members.

        ``x`` are those of all streams, one after the other.
        """
        parts = zip(x.split(1), self.streams, strict=True)
        return [part.expand(len(stream), -1, -1) for part, stream in parts]

    def _in_order(self, tensors: list[Tensor]) -> Tensor:
        """Return a tensor of each network in the order of its rows, (K, n, ...)."""
        ordered: list[Tensor] = []
        left = iter(tensors)
        for members, index in zip(self.streams, self.index, strict=True):
            known: dict[int, Tensor] = {}
            for tensor in itertools.islice(left, len(members)):
                if id(tensor) not in known:
                    known[id(tensor)] = tensor.index_select(0, index)
                ordered.append(known[id(tensor)])
        if all(tensor is ordered[0] for tensor in ordered):
            return ordered[0].expand(len(ordered), *ordered[0].shape)
        return torch.stack(ordered)

    def _weights(self, longest: int) -> Tensor | None:
        """Return all weights in order, (K, n_samples); None if all are 1."""
        place = torch.arange(longest, device=self.index.device)
        there = place < self.lengths.unsqueeze(1)  # (K, n_samples)
        weights: list[Any] = [self._source(k).weight for k in range(len(self.members))]
        if self.is_equal:
            return None if there.all() else there.to(self.members[0].inputs.dtype)
        return self._in_order(weights) * there

    def _shares(self, start: int, stop: int):
        """Return scale, sizes and sums of weights of a batch."""
        size = float(stop - start)
        if self.weight is None or (self.is_equal and stop <= self.shortest):
            return 1 / size, size, size
        weight = self.weight[:, start:stop]
        sums = weight.sum(1)
        scale = (weight / sums.unsqueeze(1)).unsqueeze(2)
        return scale, (self.lengths - start).clamp_max(size), sums
