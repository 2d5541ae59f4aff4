"""Batches and their sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

# Bytes of the inputs of a block of batches, at least one.
_BLOCK_BYTES = 2**19

Inputs = tuple[Tensor, ...] | Mapping[str, Tensor]
Augment = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass
class Batch:
    """Some rows, as tensors on the training device.

    Parameters
    ----------
    inputs : tuple of Tensor, or dict of str to Tensor, each of shape (n_samples, ...)
        Arguments of the network, by position or by name.
    target : Tensor of shape (n_samples, ...), or None
        Compared with the network's outputs by the objective.
    weight : Tensor of shape (n_samples,), or None
        Weights of the rows; None if all are 1.
    weight_sum : float, optional
        Sum of the weights; computed by default. Pass it if the sums of many batches
        are known: computing each would synchronize with the accelerator.
    """

    inputs: Inputs
    target: Any = None
    weight: Tensor | None = None
    weight_sum: float = -1.0

    def __post_init__(self) -> None:
        if self.weight_sum < 0:
            weight = self.weight
            self.weight_sum = float(len(self) if weight is None else weight.sum())

    def __len__(self) -> int:
        first = self.inputs
        return len(
            next(iter(first.values())) if isinstance(first, Mapping) else first[0]
        )

    @property
    def scale(self) -> Tensor | float:
        """Weight of each row divided by the sum; a number if all are equal."""
        if self.weight is None:
            return 1 / self.weight_sum
        return self.weight / self.weight_sum

    def split(self, size: int) -> Iterator[Batch]:
        """Yield the rows in batches of ``size``; the last may be shorter."""
        start = 0
        # As in the batches of an epoch: see ``batch_sizes``.
        for n_rows in batch_sizes(len(self), size, merge_single=True):
            rows = slice(start, start + n_rows)
            start += n_rows
            yield Batch(
                _select_rows(self.inputs, rows),
                None if self.target is None else self.target[rows],
                None if self.weight is None else self.weight[rows],
            )


def first_input(inputs: Inputs) -> Tensor:
    """Return the first input of a batch."""
    if isinstance(inputs, tuple):
        return inputs[0]
    return next(iter(inputs.values()))


def _select_rows(inputs: Inputs, rows: slice) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: x[rows] for name, x in inputs.items()}
    return tuple(x[rows] for x in inputs)


def as_argument(inputs: Inputs) -> Tensor | Inputs:
    """Return inputs as skorch passes them: a single tensor without a tuple."""
    is_single = isinstance(inputs, tuple) and len(inputs) == 1
    return first_input(inputs) if is_single else inputs


class Source(ABC):
    """Returns batches by row index."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        """Return some rows.

        Parameters
        ----------
        index : Tensor or slice
            Row numbers.
        training : bool, default=False
            Whether the rows are for training and may be augmented.
        """

    def batches(
        self, order: Tensor, sizes: list[int], *, reuse: bool = False
    ) -> Iterator[Batch]:
        """Yield the training batches of an epoch.

        Parameters
        ----------
        order : Tensor of shape (n_samples,)
            Row numbers in training order.
        sizes : list of int
            Number of rows of each batch.
        reuse : bool, default=False
            Whether a batch may overwrite the memory of the previous one.
        """
        for rows in order.split(sizes):
            yield self.batch(rows, training=True)

    def renew(self, networks: Mapping[str, nn.Module]) -> None:
        """Replace the rows before an epoch, for example with simulated ones."""

    def state(self) -> Any:
        """Return, without tensors, what ``renew`` depends on, for a checkpoint."""
        return None

    def load_state(self, state: Any) -> None:
        """Restore what ``state`` has returned."""


class InputRows(Protocol):
    """Encoded inputs, as made by ``encoding``."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, index: Tensor | slice, out: Sequence[Tensor] | None = None) -> Any:
        """Return the network's arguments for some rows.

        ``out`` may hold tensors of an earlier batch with at least as many rows, to
        write the result into.
        """


class RowSource(Source):
    """Encoded rows with their targets and weights.

    Parameters
    ----------
    rows : InputRows
        The inputs. If they have a method ``prefetch(index)``, it is called with the
        row numbers of the next batch of an epoch as soon as the current one is taken,
        such that they can be read from disk while the network trains.
    target : Tensor of shape (n_samples, ...)
        The targets, in the form that the loss takes.
    weight : Tensor of shape (n_samples,), optional
        Weights of the rows.
    augment : callable, optional
        Changes the inputs of training batches, for example by random shifts:
        ``augment(inputs)`` takes and returns a tuple of tensors. It may change them in
        place: they do not share memory with the rows.
    """

    def __init__(
        self,
        rows: InputRows,
        target: Tensor | None,
        weight: Tensor | None = None,
        augment: Augment | None = None,
    ):
        self.rows = rows
        self.target = target
        self.weight = weight
        self.augment = augment

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        target = None if self.target is None else self.target[index]
        weight = None if self.weight is None else self.weight[index]
        inputs = self.rows.take(index)
        if training and self.augment is not None:
            if isinstance(index, slice):  # views of the rows
                inputs = tuple(x.clone() for x in inputs)
            inputs = self.augment(inputs)
        return Batch(inputs, target, weight)

    def batches(
        self, order: Tensor, sizes: list[int], *, reuse: bool = False
    ) -> Iterator[Batch]:
        weights, sums = self._weights(order, sizes)
        targets = self._targets(order, sizes)
        is_plain = self.augment is None and not hasattr(self.rows, "prefetch")
        take = self._inputs_in_blocks if reuse and is_plain else self._inputs
        inputs = take(order, sizes)
        for taken, target, weight, total in zip(
            inputs, targets, weights, sums, strict=True
        ):
            yield Batch(taken, target, weight, total)

    def _inputs(self, order: Tensor, sizes: list[int]) -> Iterator[Any]:
        """Yield the inputs of each batch."""
        # split_with_sizes makes all views in one call: slicing in a loop is slower, and
        # split takes three times as long.
        index = order.split_with_sizes(sizes)
        prefetch = getattr(self.rows, "prefetch", None)
        for rows, following in zip(index, (*index[1:], None), strict=True):
            taken = self.rows.take(rows)
            if prefetch is not None and following is not None:
                prefetch(following)
            yield taken if self.augment is None else self.augment(taken)

    def _inputs_in_blocks(self, order: Tensor, sizes: list[int]) -> Iterator[Any]:
        """Yield the inputs of each batch, several of which are taken at a time.

        A batch may overwrite the memory of earlier ones. For small batches, taking
        each on its own takes as long as a product.
        """
        first, others = sizes[0], sizes[1:]
        memory = self.rows.take(order[:first])
        yield memory
        n_bytes = sum(part.nbytes for part in memory)
        n_batches = max(1, _BLOCK_BYTES // max(1, n_bytes))
        blocks = [
            others[start : start + n_batches]
            for start in range(0, len(others), n_batches)
        ]
        block_index = order[first:].split_with_sizes([sum(block) for block in blocks])
        for i, (rows, block) in enumerate(zip(block_index, blocks, strict=True)):
            if i == 0 and len(block) > 1:
                memory = self.rows.take(rows)
                taken = memory
            else:
                # No block is larger than the first, whose memory fits all.
                taken = self.rows.take(rows, memory)
            parts = [part.split_with_sizes(block) for part in taken]
            yield from zip(*parts, strict=True)

    def _targets(self, order: Tensor, sizes: list[int]) -> Iterator[Any]:
        if self.target is None:
            return iter([None] * len(sizes))
        if self.target.is_contiguous():
            return iter(self.target[order].split_with_sizes(sizes))
        # Overlapping views of a series (forecasts): copying all rows at once could
        # exhaust the memory.
        return (self.target.index_select(0, rows) for rows in order.split(sizes))

    def _weights(
        self, order: Tensor, sizes: list[int]
    ) -> tuple[Sequence[Tensor | None], list[float]]:
        """Return the weights of each batch and their sums."""
        if self.weight is None:
            return [None] * len(sizes), [float(size) for size in sizes]
        weights = self.weight[order].split_with_sizes(sizes)
        return weights, torch.stack([part.sum() for part in weights]).tolist()


class SampledSource(Source):
    """A random share of the rows of another source, drawn anew before each epoch.

    The rows are divided into as many blocks of neighbors as the share has rows, and one
    row of each block is drawn. Neighbors that overlap, as windows of a series do, are
    thus seen evenly.

    Parameters
    ----------
    source : Source
        All rows.
    n_drawn : int
        Number of rows of an epoch.
    seed : int
        Seed of the draws.
    """

    def __init__(self, source: Source, n_drawn: int, seed: int):
        self.source = source
        self.rng = np.random.RandomState(seed)
        self.edges = np.linspace(0, len(source), n_drawn + 1).astype(int)
        self.drawn = torch.from_numpy(self.edges[:-1])

    def __len__(self) -> int:
        return len(self.drawn)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        return self.source.batch(self._rows(index), training=training)

    def batches(
        self, order: Tensor, sizes: list[int], *, reuse: bool = False
    ) -> Iterator[Batch]:
        return self.source.batches(self._rows(order), sizes, reuse=reuse)

    def _rows(self, index: Tensor | slice) -> Tensor:
        if not isinstance(index, slice):
            return self.drawn[index.cpu()].to(index.device)
        return self.drawn[index]

    def renew(self, networks: Mapping[str, nn.Module]) -> None:
        drawn = self.rng.randint(self.edges[:-1], self.edges[1:])
        self.drawn = torch.from_numpy(drawn)

    def state(self) -> Any:
        return self.rng.get_state(legacy=False)

    def load_state(self, state: Any) -> None:
        self.rng.set_state(state)


def batch_sizes(
    n_samples: int, batch_size: int, *, merge_single: bool = False
) -> list[int]:
    """Return the sizes of the batches of ``n_samples`` rows; the last may be shorter.

    ``merge_single`` merges a last batch of one row into the previous batch, because
    batch normalization needs two rows.
    """
    n_full, rest = divmod(n_samples, batch_size)
    sizes = [batch_size] * n_full + ([rest] if rest else [])
    if merge_single and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


# Number of values in a tensor that joins those of several steps.
_JOINED = 2**16


class _Values:
    """Values of the steps of an epoch, on the device.

    Parameters
    ----------
    joins : bool
        Whether to copy the values of several steps into one tensor. Small tensors that
        outlive a step split the memory that its large ones leave: a fit of convolutions
        took a megabyte more with each step. For small networks the copy takes longer
        than it saves.
    """

    def __init__(self, joins: bool):
        self.joins = joins
        self._parts: list[Tensor] = []
        self._memory: Tensor | None = None
        self._n_filled = 0

    def append(self, values: Tensor) -> None:
        """Add the values of a step, (n,)."""
        if not self.joins:
            self._parts.append(values)
            return
        end = self._n_filled + len(values)
        if self._memory is None or end > len(self._memory):
            self._memory = values.new_empty(max(_JOINED, len(values)))
            self._n_filled, end = 0, len(values)
            self._parts.append(self._memory)
        self._memory[self._n_filled : end] = values
        self._parts[-1] = self._memory[:end]
        self._n_filled = end

    def joined(self) -> Tensor:
        """Return all values."""
        return torch.cat(self._parts)


class LossTally:
    """The mean loss of an epoch; the losses stay on the device until its end.

    Parameters
    ----------
    joins : bool, default=False
        Whether the losses of several steps are joined as they come, which keeps the
        memory of large networks in one piece.
    """

    def __init__(self, joins: bool = False) -> None:
        self.losses, self.norms = _Values(joins), _Values(joins)
        self.factors: list[float] = []
        self.sizes: list[int] = []

    def add(self, losses: Tensor, batch: Batch) -> None:
        """Add the losses of the rows of a batch, (n_samples,)."""
        if batch.weight is not None:
            # Scaled such that the plain mean over all rows is the weighted mean of the
            # batches, each of which counts by its number of rows.
            losses = losses * (batch.weight * (len(batch) / batch.weight_sum))
        self.losses.append(losses)
        self.sizes.append(len(losses))

    def add_penalty(self, squared_norm: Tensor, factor: float) -> None:
        """Add the L2 penalty of the last batch."""
        self.norms.append(squared_norm.reshape(1))
        self.factors.append(factor * self.sizes[-1])

    def mean(self) -> float:
        """Return the mean loss; penalties are weighted by the batch sizes."""
        values = self.losses.joined()
        with np.errstate(over="ignore", invalid="ignore"):  # if training diverges
            loss = float(values.cpu().numpy().mean(dtype=np.float64))
        if self.factors:
            norms = self.norms.joined().tolist()
            total = sum(n * f for n, f in zip(norms, self.factors, strict=True))
            loss += 0.5 * total / sum(self.sizes)
        return loss
