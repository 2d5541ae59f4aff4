"""Tables as fixed features, so that a plain dense network can read them.

Nothing here is trained: numbers are scaled, squashed and expanded, categories become
columns of 0 and 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.encoding._inputs import InputEncoder, Table
from skdeep.encoding._rows import as_tensor

# Scaled numbers are squashed smoothly to below this absolute value.
_LIMIT = 3.0
# How many times the counts of frequent values are clipped.
_N_CLIPS = 8


class ColumnScaler:
    """Scales numbers by median and quartiles, and squashes outliers smoothly.

    The scaled number x becomes x / sqrt(1 + (x / 3)**2), which is close to x near 0 and
    lies in (-3, 3) (Holzmüller et al., 2024).
    """

    def fit(self, numbers: np.ndarray) -> ColumnScaler:
        """Learn median and spread of each column."""
        # Half of each: the difference of two large numbers would overflow.
        self.half_median_ = np.median(numbers / 2, axis=0)
        self.half_spread_ = np.array([_spread(column / 2) for column in numbers.T])
        return self

    def transform(self, numbers: np.ndarray) -> np.ndarray:
        """Return the scaled and squashed numbers."""
        with np.errstate(over="ignore"):
            scaled = (numbers / 2 - self.half_median_) / self.half_spread_
        scaled = scaled.clip(-1e6, 1e6)  # the square of infinity would give NaN
        return scaled / np.sqrt(1 + (scaled / _LIMIT) ** 2)


def _spread(column: np.ndarray) -> float:
    """Return the interquartile range, of the distinct values if it is 0."""
    distinct = np.unique(column)
    for values in (column, distinct):
        low, high = np.quantile(values, [0.25, 0.75])
        if high > low:
            return high - low
    return np.inf  # scales a constant column to 0


def bin_edges(numbers: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the edges of bins with equally many rows, (n_columns, n_bins + 1).

    A value counts for no more than one bin, so that the bins of a column that is mostly
    0 divide the other values.
    """
    levels = np.linspace(0, 1, n_bins + 1)
    edges = []
    for column in numbers.T:
        values, counts = np.unique(column, return_counts=True)
        for _ in range(_N_CLIPS):  # each clip reduces the total, and so the limit
            counts = counts.clip(max=-(-counts.sum() // n_bins))
        edges.append(np.quantile(np.repeat(values, counts), levels))
    return np.array(edges)


class CategoryColumns:
    """A column of 0 and 1 for each frequent category, and one for all rare ones.

    A category that was not in the training rows counts as rare if there are rare ones,
    and otherwise gets zeros.

    Parameters
    ----------
    n_frequent : int
        Largest number of categories of a column with an output of their own.
    """

    def __init__(self, n_frequent: int = 24):
        self.n_frequent = n_frequent

    def fit(self, codes: np.ndarray, n_codes: list[int]) -> CategoryColumns:
        """Learn which codes (n_samples, n_columns) are frequent."""
        self.tables_ = []
        self.n_outputs_ = 0
        for column, n in zip(codes.T, n_codes, strict=True):
            table = self._output_positions(np.bincount(column, minlength=n))
            self.tables_.append(table)
            self.n_outputs_ += table.max(initial=-1) + 1
        return self

    def _output_positions(self, counts: np.ndarray) -> np.ndarray:
        """Return the output of each code among those of its column, -1 for none."""
        seen = np.flatnonzero(counts)
        # Stable, so that ties are broken the same way on every machine.
        order = seen[np.argsort(-counts[seen], kind="stable")]
        has_rare = len(order) > self.n_frequent
        table = np.full(len(counts), self.n_frequent if has_rare else -1)
        frequent = order[: self.n_frequent]
        table[frequent] = np.arange(len(frequent))
        return table

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Return the columns of 0 and 1, (n_samples, n_outputs_)."""
        columns = []
        for column, table in zip(codes.T, self.tables_, strict=True):
            positions = np.arange(table.max(initial=-1) + 1)
            columns.append(table[column][:, np.newaxis] == positions)
        return np.concatenate(columns, axis=1)


class TableEncoder:
    """Turns checked columns into numbers near 0, which `Features` expand.

    Missing numbers are replaced by the mean and marked by an indicator column; numbers
    are scaled and squashed; categories become columns of 0 and 1.
    """

    def fit(self, table: Table) -> TableEncoder:
        """Learn from training rows."""
        self.inputs_ = InputEncoder().fit(table)
        numbers, codes = self._split(table)
        self.scaler_ = ColumnScaler().fit(numbers)
        # Any function of two values is linear: more features would add nothing.
        numeric = numbers[:, : self.inputs_.n_numeric_]
        self.expandable_ = np.flatnonzero([len(np.unique(c)) > 2 for c in numeric.T])
        self.categories_: CategoryColumns | None = None
        if codes is not None:
            self.categories_ = CategoryColumns().fit(codes, self.inputs_.n_codes_)
        return self

    def _split(self, table: Table) -> tuple[np.ndarray, np.ndarray | None]:
        """Return numbers with indicators, and codes of categories if there are any."""
        cpu = torch.device("cpu")
        rows: Any = self.inputs_.encode(table, torch.float64, cpu)
        numbers, *codes = (tensor.numpy() for tensor in rows.tensors)
        return numbers, codes[0] if codes else None

    def transform(self, table: Table) -> np.ndarray:
        """Return the encoded rows, (n_samples, n_outputs) in float64.

        The numeric columns of X come first, in their order; ``expandable_`` holds the
        positions of those with more than two values.
        """
        numbers, codes = self._split(table)
        n_numeric = self.inputs_.n_numeric_
        parts = [self.scaler_.transform(numbers)]
        # Indicators of missing numbers are 0 and 1 already.
        parts[0][:, n_numeric:] = numbers[:, n_numeric:]
        if self.categories_ is not None and codes is not None:
            parts.append(self.categories_.transform(codes).astype(np.float64))
        return np.concatenate(parts, axis=1)


class Features(ABC):
    """Encoded rows together with further features of some of their columns.

    Parameters
    ----------
    relevance : ndarray of shape (n_columns,)
        Factor of each column and of its features. A network learns large inputs first.
    columns : ndarray of shape (n_expanded,)
        Positions of the numeric columns to expand.
    """

    def __init__(self, relevance: np.ndarray, columns: np.ndarray):
        self.relevance = relevance
        self.columns = columns

    def encode(self, x: Tensor) -> Tensor:
        """Return the inputs of a network, (n_samples, n_columns) -> (n_samples, n)."""
        relevance = as_tensor(self.relevance).to(x)
        columns = as_tensor(self.columns).to(x.device)
        more = self.expand(x[:, columns])
        more = more * relevance[columns].unsqueeze(1)
        return torch.cat([x * relevance, more.flatten(1)], 1)

    @abstractmethod
    def expand(self, x: Tensor) -> Tensor:
        """Return features, (n_samples, n_expanded) -> (n_samples, n_expanded, n)."""


class PlainFeatures(Features):
    """The rows without further features.

    Parameters
    ----------
    relevance : ndarray of shape (n_columns,)
        Factor of each column.
    """

    def __init__(self, relevance: np.ndarray):
        super().__init__(relevance, np.arange(0))

    def expand(self, x):
        return x.unsqueeze(2)


class PeriodicFeatures(Features):
    """Sines and cosines of multiples of each number (Gorishniy et al., 2022).

    Parameters
    ----------
    relevance, columns : ndarray
        As in `Features`.
    frequencies : ndarray of shape (n_expanded, n_each)
        Number of periods per unit of each column.
    """

    def __init__(self, relevance, columns, frequencies: np.ndarray):
        super().__init__(relevance, columns)
        self.frequencies = frequencies

    def expand(self, x):
        frequencies = as_tensor(self.frequencies).to(x)
        angles = 2 * math.pi * x.unsqueeze(2) * frequencies
        return torch.cat([angles.sin(), angles.cos()], 2)


class PiecewiseFeatures(Features):
    """Piecewise linear encoding of each number (Gorishniy et al., 2022).

    Each bin has a feature: 0 below the bin, 1 above it, and linear inside.

    Parameters
    ----------
    relevance, columns : ndarray
        As in `Features`.
    edges : ndarray of shape (n_expanded, n_bins + 1)
        Edges of the bins.
    """

    def __init__(self, relevance, columns, edges: np.ndarray):
        super().__init__(relevance, columns)
        self.edges = edges

    def expand(self, x):
        edges = as_tensor(self.edges).to(x)
        widths = edges.diff(dim=1)
        # A bin of width 0, where many numbers are equal, stays at 0.
        widths = torch.where(widths > 0, widths, torch.inf)
        return ((x.unsqueeze(2) - edges[:, :-1]) / widths).clamp(0, 1)
