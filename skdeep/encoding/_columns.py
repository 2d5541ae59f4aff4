"""Tables as standardized columns that a network reads and reconstructs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skdeep.encoding._inputs import InputEncoder, Table
from skdeep.encoding._rows import DenseRows, as_tensor

# Rounding gives constant columns a spread of about this share of their values.
_TINY = 1e-7


class ColumnEncoder:
    """Turns checked columns into numbers, NaN where missing, and codes of categories.

    A column without any value in the training rows carries no information: its values
    in later rows are treated as missing, and it is decoded as missing.

    Parameters
    ----------
    scaling : {"standard"} or None
        Whether the numbers of each column are standardized by its mean and standard
        deviation over the training rows. Otherwise they are only used to fill gaps.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_numbers,)
        Subtracted from the numbers, which are then divided by the scale.
    indicated_ : ndarray of int
        Positions of the numeric columns with gaps in the training rows.
    known_ : list of ndarray
        The categories of each categorical column.
    """

    def __init__(self, scaling: str | None):
        self.scaling = scaling

    def fit(self, table: Table) -> ColumnEncoder:
        """Learn from training rows."""
        numbers = table.numeric
        is_missing = np.isnan(numbers)
        self.indicated_ = np.flatnonzero(is_missing.any(0) & ~is_missing.all(0))
        mean, spread = _moments(numbers, is_missing)
        self.mean_, self.scale_ = mean, spread
        if self.scaling is None:
            # Without scaling a gap is still filled by 0, not by the mean: both are in
            # the unit of X.
            self.mean_ = np.where(np.isnan(mean), np.nan, 0.0)
            self.scale_ = np.ones_like(spread)
        self._categories = None
        if table.categories is not None:
            no_numbers = Table(numbers[:, :0], table.categories)
            self._categories = InputEncoder().fit(no_numbers)
        return self

    @property
    def n_numbers_(self) -> int:
        """Number of numeric columns."""
        return len(self.mean_)

    @property
    def n_inputs_(self) -> int:
        """Number of numeric columns, by the name that other encoders use."""
        return self.n_numbers_

    @property
    def known_(self) -> list[np.ndarray]:
        """The categories of each categorical column."""
        encoder: Any = self._categories
        return [] if encoder is None else encoder.known_

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the rows as tensors of the given type on the given device."""
        with np.errstate(over="ignore"):
            numbers = ((table.numeric - self.mean_) / self.scale_).astype(
                table.dtype, copy=False
            )
        tensor = as_tensor(numbers).to(device, dtype)
        if self._categories is None:
            return DenseRows(tensor)
        no_numbers = Table(table.numeric[:, :0], table.categories)
        _, codes = self._categories.encode(no_numbers, dtype, device).tensors
        return DenseRows(tensor, codes)

    def decode_numbers(self, values: np.ndarray) -> np.ndarray:
        """Return reconstructed numbers in the unit of X."""
        return values * self.scale_ + self.mean_

    def decode_categories(self, codes: np.ndarray) -> np.ndarray:
        """Return the categories of columns, (n, n_categorical), as objects.

        ``codes`` are positions in ``known_``. Columns without categories are missing.
        """
        columns = [
            known[column] if len(known) else np.full(len(codes), None)
            for known, column in zip(self.known_, codes.T, strict=True)
        ]
        return np.column_stack([column.astype(object) for column in columns])

    def log_volume(self, rows: DenseRows) -> np.ndarray:
        """Return the logarithms of the units of the observed numbers of each row.

        They are subtracted from log-densities of scaled rows to get those of rows in
        the unit of X.
        """
        is_observed = ~rows.tensors[0].isnan().cpu().numpy()
        return is_observed @ np.log(self.scale_)


def _moments(
    numbers: np.ndarray, is_missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column; the spread of a constant one is 1.

    The mean of a column without values is NaN.
    """
    filled = np.where(is_missing, 0.0, numbers).astype(np.float64, copy=False)
    counts = (~is_missing).sum(0)
    largest = np.abs(filled).max(axis=0, initial=0)
    largest = np.where(largest > 0, largest, 1.0)
    filled = filled / largest  # sums of large numbers would overflow
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(0) / counts
        deviations = np.where(is_missing, 0.0, filled - mean)
        spread = np.sqrt(np.square(deviations).sum(0) / counts)
    # Relative to the largest value, which is 1 here.
    tiny = _TINY if numbers.dtype == np.float32 else _TINY**2
    spread = np.where(spread > tiny, spread * largest, 1.0)
    return mean * largest, spread
