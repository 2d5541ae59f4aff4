"""Means and spreads of columns over the training rows, of each series and of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

# A column that is not a target is scaled by the rows of all series, unless its spread
# in one series is below this share of the spread over all.
_SMALLEST_SHARE = 0.1
# The largest numbers whose differences, squares and forecasts stay finite.
_LARGEST_SCALABLE = {np.dtype(np.float64): 1e150, np.dtype(np.float32): 8e37}
# Rounding alone makes the spread of a constant column this share of its mean.
_CONSTANT_SPREAD = 64 * np.finfo(np.float64).eps


class Scaling:
    """Means and spreads of columns over the training rows, of each series and of all.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        May hold NaN, which is left out.
    used : ndarray of bool of shape (n_rows,)
        Which rows to use.
    series : int or ndarray of shape (n_rows,)
        The code of the series of each row, ascending, or of all rows.
    shared : list of int, default=()
        Columns that have the same scale in all series.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_series + 1, n_columns)
        The last row is that of all series together, and the only row if there is one
        series. A column that is empty or constant in the rows to use has the moments of
        all rows, such that its unit does not matter; if it is constant in all of them,
        its scale is 1.
    """

    def __init__(self, rows: np.ndarray, used, series, shared: Sequence[int] = ()):
        usual = _usual_moments(rows, used)
        parts = []
        if np.ndim(series):
            # The rows of a series are contiguous, in the order of the codes.
            ends = np.searchsorted(series, np.arange(series[-1] + 2))
            for first, end in pairwise(ends):
                part = _usual_moments(rows[first:end], used[first:end])
                parts.append(part if used[first:end].any() else usual)
        parts.append(usual)
        mean, spread = (np.array(each) for each in zip(*parts, strict=True))
        others = list(shared)
        usual_mean, usual_spread = mean[-1, others], spread[-1, others]
        is_alike = spread[:, others] >= _SMALLEST_SHARE * usual_spread
        is_alike |= spread[:, others] == 0
        mean[:, others] = np.where(is_alike, usual_mean, mean[:, others])
        spread[:, others] = np.where(is_alike, usual_spread, spread[:, others])
        self.mean_ = mean.astype(rows.dtype)
        self.scale_ = spread.astype(rows.dtype)
        self.scale_[self.scale_ == 0] = 1

    @property
    def n_series(self) -> int:
        """Number of series in the training rows."""
        return max(len(self.mean_) - 1, 1)

    def for_series(self, codes) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of a series, or those of each row given their codes."""
        return self.mean_[codes], self.scale_[codes]


def _usual_moments(rows: np.ndarray, used) -> tuple[np.ndarray, np.ndarray]:
    """Return the moments of the rows to use; of all rows where these are constant."""
    mean, spread = column_moments(rows[used])
    is_flat = spread == 0
    if is_flat.any():
        mean[is_flat], spread[is_flat] = column_moments(rows[:, is_flat])
    return mean, spread


def column_moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column; the spread is 0 if all values are equal.

    NaN is left out. Values are first divided by a power of 2, which is exact, so that
    the squares of tiny or huge values neither underflow nor overflow.
    """
    is_missing = np.isnan(rows)
    if is_missing.any():
        columns = zip(rows.T, is_missing.T, strict=True)
        parts = [column_moments(c[~missing, np.newaxis]) for c, missing in columns]
        return np.concatenate([m for m, _ in parts]), np.concatenate(
            [s for _, s in parts]
        )
    if not len(rows):
        return np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    largest = np.abs(rows).max(axis=0)
    if largest.max() > _LARGEST_SCALABLE[rows.dtype]:
        raise ValueError(
            "X or y holds values too large to be scaled; the largest is "
            f"{largest.max():.3g}."
        )
    exponent = np.frexp(largest)[1]
    parts = np.ldexp(rows.astype(np.float64), -exponent)
    mean, spread = parts.mean(axis=0), parts.std(axis=0)
    spread[spread <= _CONSTANT_SPREAD * np.abs(mean)] = 0.0
    return np.ldexp(mean, exponent), np.ldexp(spread, exponent)
