"""Rows into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass
class Batches:
    """One pass over the data in batches; everything has an entry for each of them.

    Parameters
    ----------
    sizes : list of int
        Number of rows.
    rows : list of Tensor of shape (size,)
        Row numbers.
    targets : sequence of Tensor of shape (size, ...)
        Targets.
    scales : list of float, or list of Tensor of shape (size,)
        Weight of each row as a share of its batch, one for all if they are equal.
    weight_sums : list of float
        Sum of the sample weights.
    equal_weights : bool
        Whether all rows weigh the same.
    """

    sizes: list[int]
    rows: list[Tensor]
    targets: Sequence[Tensor]
    scales: list[Any]
    weight_sums: list[float]
    equal_weights: bool

    def mean_loss(self, losses: list[Tensor]) -> float:
        """Average the losses of the rows of all batches, each batch by its size."""
        values = torch.cat(losses)
        if not self.equal_weights:
            parts = zip(self.scales, self.sizes, strict=True)
            values = values * torch.cat([scale * size for scale, size in parts])
        with np.errstate(over="ignore", invalid="ignore"):  # where training diverges
            return float(values.cpu().numpy().mean(dtype=np.float64))

    def mean_penalty(self, squared_norms: list[Tensor], alpha: float) -> float:
        """Average the L2 penalties of all batches, each by its size."""
        norms = torch.stack(squared_norms).tolist()
        parts = zip(norms, self.sizes, self.weight_sums, strict=True)
        total = sum(norm * size / weight for norm, size, weight in parts)
        return 0.5 * alpha * total / sum(self.sizes)


def batch_bounds(
    n_samples: int, batch_size: int, *, merge_single: bool = False
) -> list[tuple[int, int]]:
    """Cut ``n_samples`` rows into batches of ``batch_size``, the last one shorter.

    ``merge_single`` joins a last batch of one row to the one before it: batch
    normalisation needs two rows.
    """
    starts = list(range(0, n_samples, batch_size))
    if merge_single and len(starts) > 1 and n_samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_samples], strict=True))


class _Gathered(Sequence):
    """Overlapping targets, gathered batch by batch.

    All of them at once, as many times larger than the series as they are long, might
    fill the memory.
    """

    def __init__(self, target: Tensor, rows: list[Tensor]):
        self.target = target
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.target.index_select(0, self.rows[i])


def make_batches(
    order: np.ndarray,
    bounds: list[tuple[int, int]],
    target: Tensor,
    weight: Tensor | None,
) -> Batches:
    """Lay out one pass over the rows in the given order."""
    index = torch.from_numpy(order).to(target.device)
    sizes = [stop - start for start, stop in bounds]
    # split, unlike slicing in a loop, makes all the views in one call.
    rows = list(index.split(sizes))
    targets: Sequence[Tensor] = _Gathered(target, rows)
    if target.is_contiguous():
        targets = target[index].split(sizes)
    if weight is None:
        sums = [float(size) for size in sizes]
        return Batches(sizes, rows, targets, [1 / s for s in sums], sums, True)
    weights = weight[index].split(sizes)
    sums = torch.stack([part.sum() for part in weights]).tolist()
    scales = [part / s for part, s in zip(weights, sums, strict=True)]
    return Batches(sizes, rows, targets, scales, sums, False)
