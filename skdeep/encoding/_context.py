"""The rows before the first row: what an estimator of time-ordered rows remembers.

A moving average, a sliding window or a recurrent forecaster needs the rows before the
one it looks at. For the first rows of new data those are the last training rows, if
the new data follow them, and nobody knows them if it does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skdeep._messages import warn
from skdeep.encoding._time_axis import TimeAxis

CONTEXTS = ("auto", "train", "pad")

# Equal rows, computed from other neighbours or in float32, may differ by this share of
# the largest number in their column.
ROUNDING = 1e-6


def _are_close(rows: np.ndarray, others: np.ndarray) -> bool:
    """Whether rows are equal to rounding; a missing number equals a missing one."""
    largest = np.abs(np.nan_to_num(others)).max(axis=0, initial=0)
    close = np.isclose(rows, others, rtol=0, atol=ROUNDING * largest, equal_nan=True)
    return bool(close.all())


class RowContext:
    """The ends of the training rows, and whether other rows follow them.

    Everything stored is a numpy array or a plain Python object, so that the estimator
    that keeps it can be pickled and written by skops.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
        The training rows, in time order.
    axis : TimeAxis or None
        Their times.
    n_kept : int
        How many rows of either end to keep.
    """

    def __init__(self, rows: np.ndarray, axis: TimeAxis | None, n_kept: int):
        self.head = rows[:n_kept].copy()
        self.tail = rows[max(len(rows) - n_kept, 0) :].copy()
        self.axis: Any = axis
        self.has_warned = False

    def check(self, times: pd.Index | None) -> None:
        """Check that the times of later rows are on the calendar of these."""
        if self.axis is not None:
            self.axis.check(times)

    def rows_before(
        self,
        rows: np.ndarray,
        times: pd.Index | None,
        context: str,
        caller: str,
    ) -> np.ndarray:
        """Return the training rows to put before `rows`; there may be none.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, ...)
            The rows to transform, in time order.
        times : Index of length n_rows or None
            The time of each, as `times_of` gives it.
        context : {"auto", "train", "pad"}
            "auto": only where the times show that `rows` follow the training rows.
            "train": unless the times show that they do not. "pad": never.
        caller : str
            Who asks, for the warning.

        Returns
        -------
        before : ndarray of shape (n_before, ...)
            The last training rows, or none.

        Warns
        -----
        UserWarning
            Once, when "auto" or "train" finds that `rows` do not follow the training
            rows and are not these themselves.
        """
        nothing = rows[:0]
        if context == "pad" or not len(self.tail):
            return nothing
        if self._is_training_start(rows, times):
            return nothing
        if self._follows(times, context):
            return self.tail
        self._warn(caller)
        return nothing

    def _is_training_start(self, rows, times) -> bool:
        """Whether `rows` begin as the training rows did: they are the training rows."""
        n = min(len(rows), len(self.head))
        if self._has_times_like(times) and not self.axis.begins_with(times):
            return False
        return _are_close(rows[:n], self.head[:n])

    def _follows(self, times, context: str) -> bool:
        if not self._has_times_like(times):
            return context == "train"
        if context == "train":  # unless a row were handed its own future
            return self.axis.is_before(times)
        return self.axis.follows(times)

    def _has_times_like(self, times) -> bool:
        """Whether the training rows and these have times of one kind."""
        return self.axis is not None and self.axis.is_like(times)

    def _warn(self, caller: str) -> None:
        if self.has_warned:
            return
        self.has_warned = True
        warn(
            f"{caller}: these rows are not known to follow the training rows, so "
            "nothing is put before the first of them. If they do follow, pass "
            "DataFrames with an index of dates or set context='train'; "
            "context='pad' asks for this and does not warn."
        )
